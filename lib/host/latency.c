/* SPDX-License-Identifier: BSD-3-Clause */
/* The histogram of latency.h: log-linear buckets, and a cursor for each quantile. */
#include "lib/host/latency.h"

#include <stddef.h>

#define SUB (1u << LATENCY_SUB_BITS)

/* Below 2 * SUB one value each; above, SUB buckets per power of two. */
static uint32_t
bucket_of(uint64_t ns)
{
	uint32_t shift;

	if (ns < 2 * SUB)
		return (uint32_t)ns;
	if (ns >> LATENCY_BITS != 0)
		return LATENCY_BUCKETS - 1;
	shift = 63u - (uint32_t)__builtin_clzll(ns) - LATENCY_SUB_BITS;
	return (shift << LATENCY_SUB_BITS) + (uint32_t)(ns >> shift);
}

/* The longest time that is counted in a bucket. */
static uint64_t
bucket_end(uint32_t bucket)
{
	uint32_t shift;

	if (bucket < 2 * SUB)
		return bucket;
	shift = (bucket >> LATENCY_SUB_BITS) - 1;
	return ((uint64_t)(bucket - (shift << LATENCY_SUB_BITS)) + 1) * (UINT64_C(1) << shift) - 1;
}

uint64_t
latency_step_end(uint32_t step)
{
	return bucket_end((step + 1) * LATENCY_STEP_BUCKETS - 1);
}

void
latency_add(struct latency *l, uint64_t ns)
{
	uint32_t bucket = bucket_of(ns);

	if (l->frames == 0 || ns < l->min)
		l->min = ns;
	if (ns > l->max)
		l->max = ns;
	l->frames++;
	l->sum += ns;
	l->count[bucket]++;
	l->steps[bucket / LATENCY_STEP_BUCKETS]++;
	for (unsigned int i = 0; i < 3; i++)
		l->cursor[i].below += bucket < l->cursor[i].bucket;
}

/* Move a cursor to the bucket of the time that @p rank others do not exceed, from 1. */
static uint64_t
cursor_seek(struct latency *l, struct latency_cursor *c, uint64_t rank)
{
	while (c->below >= rank)
		c->below -= l->count[--c->bucket];
	while (c->below + l->count[c->bucket] < rank)
		c->below += l->count[c->bucket++];
	return bucket_end(c->bucket);
}

void
latency_summarize(struct latency *l, struct latency_summary *summary)
{
	static const uint64_t permille[3] = {500, 990, 999};
	uint64_t at[3] = {0};

	for (unsigned int i = 0; i < 3 && l->frames != 0; i++) {
		/* Rounded up; frames are far fewer than 2^54. */
		at[i] = cursor_seek(l, &l->cursor[i], (l->frames * permille[i] + 999) / 1000);
		/* No bucket's end is later than the latest. */
		if (at[i] > l->max)
			at[i] = l->max;
	}
	*summary = (struct latency_summary){
		.frames = l->frames,
		.min = l->min,
		.mean = l->frames != 0 ? l->sum / l->frames : 0,
		.max = l->max,
		.p50 = at[0],
		.p99 = at[1],
		.p999 = at[2],
		.steps = l->frames != 0 ? l->steps : NULL,
	};
}
