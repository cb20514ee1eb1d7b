/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * In the place of the C library's clock, one that stands still: only the test moves it. For one
 * source of a program.
 */
#ifndef HP_TEST_FROZEN_CLOCK_H
#define HP_TEST_FROZEN_CLOCK_H

#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int64_t frozen_ms; /**< what every clock says; 0: time as it is */

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	if (frozen_ms == 0)
		return (int)syscall(SYS_clock_gettime, id, ts);
	ts->tv_sec = frozen_ms / 1000;
	ts->tv_nsec = frozen_ms % 1000 * 1000000;
	return 0;
}

#endif
