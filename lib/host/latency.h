/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A histogram of times in nanoseconds that always knows its quantiles: adding one is a few
 * instructions, asking is a few more, at whichever rate. Belongs to one port and its thread.
 *
 * Buckets are 1/32 of a power of two wide: a quantile is at most 3.2 % more than the time it
 * stands for, and exact below 64 ns. Times of more than 2^40 ns (18 minutes) count as that.
 */
#ifndef HP_HOST_LATENCY_H
#define HP_HOST_LATENCY_H

#include <stdint.h>

#define LATENCY_BITS	 40u
#define LATENCY_SUB_BITS 5u
#define LATENCY_BUCKETS	 ((LATENCY_BITS - LATENCY_SUB_BITS + 1) << LATENCY_SUB_BITS)
/** To be looked at there are fewer: four of each power of two. */
#define LATENCY_STEP_BUCKETS 8u
#define LATENCY_STEPS	     (LATENCY_BUCKETS / LATENCY_STEP_BUCKETS)

/** What can be said of the times so far, in nanoseconds; all 0 without any. */
struct latency_summary {
	uint64_t frames;
	uint64_t min, mean, max; /**< exact */
	uint64_t p50, p99, p999; /**< so many of 100 or 1,000 took no longer */
	/** LATENCY_STEPS counts, which go on with the histogram; their sum is @a frames. */
	const uint64_t *steps;
};

/** Of one quantile: its bucket as of the last question, and how many times lie below that. */
struct latency_cursor {
	uint32_t bucket;
	uint64_t below;
};

/** All zero: nothing yet. */
struct latency {
	uint64_t frames, sum, min, max;
	struct latency_cursor cursor[3];
	uint64_t count[LATENCY_BUCKETS], steps[LATENCY_STEPS];
};

/** Count one time. */
void latency_add(struct latency *l, uint64_t ns);

/** The longest time that is counted in a step; what takes longer than any is in the last one. */
uint64_t latency_step_end(uint32_t step);

/** Fill in @p summary of all times since the begin. */
void latency_summarize(struct latency *l, struct latency_summary *summary);

#endif
