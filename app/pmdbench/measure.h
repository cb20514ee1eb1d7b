/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Turns of host and guest, and what the guest's calls took. The subject's main thread.
 */
#ifndef PMDBENCH_MEASURE_H
#define PMDBENCH_MEASURE_H

#include "app/pmdbench/guest.h"

/** Ticks that two readings of the clock with nothing between them are apart. */
void measure_calibrate(void);
/**
 * Carry out one request. The reply is complete: a frame that was lost or damaged is an error.
 */
void measure(struct bench_guest *guest, struct bench_host *host,
	const struct bench_request *request, struct bench_reply *reply);

/** Around the turns of BENCH_COUNT: callgrind begins and ends a dump here. */
void count_begin(void);
void count_end(void);

#endif
