/* SPDX-License-Identifier: BSD-3-Clause */
/** @file The monotonic clock, in the two units that are used here. Any thread. */
#ifndef HP_VMBUS_CLOCK_H
#define HP_VMBUS_CLOCK_H

#include <stdint.h>
#include <time.h>

/** CLOCK_MONOTONIC in nanoseconds. */
static inline uint64_t
monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

/** CLOCK_MONOTONIC in milliseconds; signed, because deadlines are subtracted. */
static inline int64_t
monotonic_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

#endif
