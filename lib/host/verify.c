/* SPDX-License-Identifier: BSD-3-Clause */
/* What became of generated frames: sequence numbers of each flow. */
#include <stdlib.h>
#include <string.h>

#include "lib/host/gen_plain.h"
#include "lib/host/latency.h"
#include "lib/host/port_spec.h"
#include "lib/host/verify.h"

struct verify_flow {
	uint64_t key;			   /* flow_key(); 0: unused */
	uint64_t first;			   /* oldest sequence number expected */
	uint64_t next;			   /* newest seen + 1 */
	uint64_t seen[VERIFY_WINDOW / 64]; /* bit s % VERIFY_WINDOW for the newest ones */
};

struct verifier {
	uint64_t verified, corrupt, lost, duplicate, reordered, foreign;
	const struct gen_source *own;
	uint32_t sample, skip; /* all bytes of one frame in so many; frames until the next one */
	uint32_t mask;	       /* slots - 1 */
	uint32_t left;	       /* flows that may still be added */
	struct verify_flow *flows;
	uint64_t now; /* of this burst; 0: not asked for yet */
	struct latency latency;
};

struct verifier *
verifier_create(uint32_t flows)
{
	struct verifier *v = calloc(1, sizeof(*v));
	uint32_t slots = 64;

	if (v == NULL)
		return NULL;
	if (flows > 2 * GEN_FLOWS_MAX)
		flows = 2 * GEN_FLOWS_MAX;
	while (slots < 2 * flows)
		slots *= 2;
	v->flows = calloc(slots, sizeof(v->flows[0]));
	if (v->flows == NULL) {
		free(v);
		return NULL;
	}
	v->sample = 1;
	v->mask = slots - 1;
	v->left = flows;
	return v;
}

void
verifier_destroy(struct verifier *v)
{
	if (v == NULL)
		return;
	free(v->flows);
	free(v);
}

void
verifier_own(struct verifier *v, const struct gen_source *source)
{
	v->own = source;
}

void
verifier_sample(struct verifier *v, uint32_t n)
{
	v->sample = n;
}

static inline uint64_t
flow_key(const struct gen_tag *tag)
{
	return UINT64_C(1) << 32 | (uint32_t)tag->stream << 16 | tag->flow;
}

/* The table is at most half full, so a free slot ends every search. */
static inline struct verify_flow *
verifier_flow(struct verifier *v, const struct gen_tag *tag)
{
	/* Neighbouring flows in neighbouring slots. */
	uint32_t at = tag->flow + (uint32_t)tag->stream * 0x9e3779b1u;
	struct verify_flow *f;

	for (;; at++) {
		f = &v->flows[at & v->mask];
		if (f->key == flow_key(tag))
			return f;
		if (f->key == 0)
			break;
	}
	if (v->left == 0)
		return NULL;
	v->left--;
	f->key = flow_key(tag);
	f->first = f->next =
		v->own != NULL && gen_source_owns(v->own, tag->stream) ? 0 : tag->sequence;
	return f;
}

static bool
flow_test_and_set(struct verify_flow *f, uint64_t s)
{
	uint64_t *word = &f->seen[s % VERIFY_WINDOW / 64], bit = UINT64_C(1) << (s & 63);
	bool was = (*word & bit) != 0;

	*word |= bit;
	return was;
}

static void
flow_forget(struct verify_flow *f, uint64_t from, uint64_t n)
{
	if (n >= VERIFY_WINDOW) {
		memset(f->seen, 0, sizeof(f->seen));
		return;
	}
	for (; n > 0; n--, from++)
		f->seen[from % VERIFY_WINDOW / 64] &= ~(UINT64_C(1) << (from & 63));
}

/* A number that is not the next one. */
static void
verifier_sequence(struct verifier *v, struct verify_flow *f, uint64_t s)
{
	if (s > f->next) {
		v->lost += s - f->next;
		flow_forget(f, f->next, s - f->next + 1);
		flow_test_and_set(f, s);
		f->next = s + 1;
		v->verified++;
		return;
	}
	if (f->next - s > VERIFY_WINDOW) {
		v->duplicate++;
		return;
	}
	if (flow_test_and_set(f, s)) {
		v->duplicate++;
		return;
	}
	v->reordered++;
	v->verified++;
	if (s >= f->first) {
		v->lost--;
	} else {
		v->lost += f->first - s - 1;
		f->first = s;
	}
}

/* A time of another machine's clock may lie ahead: it says nothing. */
static __attribute__((noinline)) void
verifier_time(struct verifier *v, uint64_t time)
{
	if (v->now == 0)
		v->now = monotonic_ns();
	if (time <= v->now)
		latency_add(&v->latency, v->now - time);
}

/* The number of an intact frame. */
static inline __attribute__((always_inline)) void
verifier_number(struct verifier *v, const struct gen_tag *tag)
{
	struct verify_flow *f = verifier_flow(v, tag);

	if (f == NULL) {
		v->verified++;
	} else if (tag->sequence == f->next) {
		/* The usual; a bit left from a window before is meant to be set, too. */
		flow_test_and_set(f, tag->sequence);
		f->next++;
		v->verified++;
	} else {
		verifier_sequence(v, f, tag->sequence);
	}
}

static inline void
verifier_frame(struct verifier *v, const uint8_t *frame, uint32_t len)
{
	enum gen_verdict verdict;
	struct gen_tag tag;

	if (v->skip == 0) {
		v->skip = v->sample;
		verdict = gen_frame_check(v->own, frame, len, &tag);
	} else {
		verdict = gen_frame_check_head(frame, len, &tag);
	}
	v->skip--;
	switch (verdict) {
	case GEN_FOREIGN:
		v->foreign++;
		return;
	case GEN_CORRUPT:
		v->corrupt++;
		return;
	case GEN_TIMED:
		verifier_time(v, tag.time);
		break;
	case GEN_INTACT:
		break;
	}
	verifier_number(v, &tag);
}

void
verifier_frames(struct verifier *v, const struct host_frame *frames, unsigned int n)
{
	v->now = 0;
	for (unsigned int i = 0; i < n; i++)
		verifier_frame(v, frames[i].data, frames[i].len);
}

void
verifier_stats(struct verifier *v, struct host_port_stats *stats)
{
	stats->verifies = true;
	stats->verified = v->verified;
	stats->corrupt = v->corrupt;
	stats->lost = v->lost;
	stats->duplicate = v->duplicate;
	stats->foreign = v->foreign;
	stats->reordered = v->reordered;
	latency_summarize(&v->latency, &stats->latency);
}

void
verifier_numbers(struct verifier *v, const struct verify_tag *tags, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		if (tags[i].took != VERIFY_NO_TIME)
			latency_add(&v->latency, tags[i].took);
		verifier_number(v, &tags[i].tag);
	}
}

void
verifier_looks(const struct verifier *v, const struct gen_source **own, uint32_t *sample)
{
	*own = v->own;
	*sample = v->sample;
}
