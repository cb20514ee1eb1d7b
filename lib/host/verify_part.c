/* SPDX-License-Identifier: BSD-3-Clause */
/* A verifier's part for another thread: bytes are judged here, numbers at the verifier's. */
#include <stdatomic.h>
#include <stdlib.h>

#include "lib/host/gen_plain.h"
#include "lib/host/port_spec.h"
#include "lib/host/verify.h"
#include "lib/vmbus/clock.h"

#define PART_TAGS (4 * VERIFY_TURN) /* a power of two */

struct verifier_part {
	const struct gen_source *own;
	uint32_t sample, skip;
	uint64_t corrupt, foreign;
	uint64_t now;
	uint64_t seen_tail;    /* @a tail as last seen */
	_Atomic uint64_t head; /* next write; these are the part's, the tail the verifier's */
	uint8_t apart[128];
	_Atomic uint64_t tail;
	uint8_t apart_too[128];
	struct verify_tag tags[PART_TAGS];
};

struct verifier_part *
verifier_part_create(const struct verifier *v)
{
	struct verifier_part *part = calloc(1, sizeof(*part));

	if (part == NULL)
		return NULL;
	verifier_looks(v, &part->own, &part->sample);
	return part;
}

void
verifier_part_destroy(struct verifier_part *part)
{
	free(part);
}

bool
verifier_part_full(struct verifier_part *part)
{
	uint64_t head = atomic_load_explicit(&part->head, memory_order_relaxed);

	if (head - part->seen_tail <= PART_TAGS - VERIFY_TURN)
		return false;
	/* Acquire: what was read there is read. Pairs with the release of verifier_gather(). */
	part->seen_tail = atomic_load_explicit(&part->tail, memory_order_acquire);
	return head - part->seen_tail > PART_TAGS - VERIFY_TURN;
}

static uint64_t
part_took(struct verifier_part *part, uint64_t time)
{
	if (part->now == 0)
		part->now = monotonic_ns();
	return time <= part->now ? part->now - time : VERIFY_NO_TIME;
}

/* @return false: it has no number, or none that counts */
static inline bool
part_frame(struct verifier_part *part, const uint8_t *frame, uint32_t len, struct verify_tag *t)
{
	enum gen_verdict verdict;

	if (part->skip == 0) {
		part->skip = part->sample;
		verdict = gen_frame_check(part->own, frame, len, &t->tag);
	} else {
		verdict = gen_frame_check_head(frame, len, &t->tag);
	}
	part->skip--;
	part->foreign += verdict == GEN_FOREIGN;
	part->corrupt += verdict == GEN_CORRUPT;
	t->took = verdict == GEN_TIMED ? part_took(part, t->tag.time) : VERIFY_NO_TIME;
	return verdict == GEN_INTACT || verdict == GEN_TIMED;
}

void
verifier_part_frames(struct verifier_part *part, const struct host_frame *frames, unsigned int n)
{
	uint64_t head = atomic_load_explicit(&part->head, memory_order_relaxed);

	part->now = 0;
	/* There is room: who calls has asked, and there are not more frames in a turn. */
	for (unsigned int i = 0; i < n; i++)
		head += part_frame(
			part, frames[i].data, frames[i].len, &part->tags[head % PART_TAGS]);
	/* Release: pairs with the acquire of verifier_gather(). */
	atomic_store_explicit(&part->head, head, memory_order_release);
}

void
verifier_part_stats(const struct verifier_part *part, struct host_port_stats *stats)
{
	stats->verifies = true;
	stats->corrupt = part->corrupt;
	stats->foreign = part->foreign;
}

bool
verifier_part_left(struct verifier_part *part)
{
	return atomic_load_explicit(&part->head, memory_order_acquire) !=
	       atomic_load_explicit(&part->tail, memory_order_relaxed);
}

unsigned int
verifier_gather(struct verifier *v, struct verifier_part *part)
{
	uint64_t tail = atomic_load_explicit(&part->tail, memory_order_relaxed);
	uint64_t n = atomic_load_explicit(&part->head, memory_order_acquire) - tail;

	/* As far as they lie in a row. */
	if (n > PART_TAGS - tail % PART_TAGS)
		n = PART_TAGS - tail % PART_TAGS;
	verifier_numbers(v, &part->tags[tail % PART_TAGS], (unsigned int)n);
	atomic_store_explicit(&part->tail, tail + n, memory_order_release);
	return (unsigned int)n;
}
