/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * One request while it is carried out, for measure.c, turns.c and flows.c. The subject's main
 * thread.
 */
#ifndef PMDBENCH_RUN_H
#define PMDBENCH_RUN_H

#include <rte_cycles.h>

#include "app/pmdbench/guest.h"

/** Calls in a row that may bring nothing, where the host has delivered or taken everything. */
#define RUN_MAX_TRIES 64u

struct run {
	struct bench_guest *guest;
	struct bench_host *host;
	const struct bench_cell *cell;
	struct bench_reply *reply;
	guest_burst rx, tx;
	host_poll poll; /**< where the host is measured */
	bool check;
	struct rte_mbuf *pkts[BENCH_MAX_BURST];
	uint64_t number; /**< of the next frame that the guest makes */
};

/** Put a sentence into the reply. @return @p rc */
int run_fail(struct run *run, int rc, const char *format, ...) __rte_format_printf(3, 4);

/** One turn of host and guest. @return 0 or a negative errno */
int run_turn(struct run *run);
/** After a failure: what is still on its way must not meet the next cell. */
void run_drain(struct run *run);

/**
 * Give every queue of the cell its flows, about as many as its share. Kept while cells have the
 * same queues and flows. @return 0 or a negative errno
 */
int run_learn_flows(struct run *run);

/** Ticks that two readings with nothing between them are apart. */
extern uint64_t clock_cost;

/** Everything before has been done, nothing after has begun. */
static inline uint64_t
clock_read(void)
{
#if defined(__x86_64__)
	uint64_t ticks;

	__builtin_ia32_lfence();
	ticks = rte_rdtsc();
	__builtin_ia32_lfence();
	return ticks;
#else
	return rte_rdtsc_precise();
#endif
}

/** Charge the calls since @p began to the cell. */
static inline void
clock_charge(struct run *run, uint64_t began)
{
	uint64_t took = clock_read() - began;

	run->reply->ticks += took > clock_cost ? took - clock_cost : 0;
	run->reply->calls++;
}

#endif
