/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Lines for standard error. Before log_start() they are written at once; after it they go through
 * a buffer (output.h), so that no thread, whatever lock it holds, waits for who reads them.
 */
#ifndef HP_HOST_LOG_H
#define HP_HOST_LOG_H

#include <stdbool.h>
#include <stdint.h>

/** Lines that a guest can cause at once; then one per interval. */
#define LOG_BURST	10u
#define LOG_INTERVAL_NS UINT64_C(1000000000)

/** Bounds what one guest can make its host print. Zeroed is ready; log_guest() has the lock. */
struct log_limit {
	uint64_t due_ns;     /**< when all lines so far are paid for, one per interval */
	uint64_t suppressed; /**< lines left out since the last one printed */
};

/** What stands in front of each line; static. One thread, first of all. */
void log_program(const char *name);
/** One thread, before the others run. @return 0 or a negative errno */
int log_start(void);
/** Wait until all lines are written, while somebody reads them (output_flush()). Any thread. */
void log_flush(void);
/** Write what is left (see output_stop()); lines are written at once again. */
void log_stop(void);
/** One line, the program's name in front, newline behind. Any thread. */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
/**
 * Likewise for what a guest can repeat at will: beyond its @p limit only counted, and the next line
 * says how many were left out. Any thread.
 */
void log_guest(struct log_limit *limit, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/**
 * May a line be printed at @p now_ns (monotonic)? The caller has the lock.
 * @param[out] suppressed lines left out before this one, to be mentioned; set when true
 */
bool log_allowed(struct log_limit *limit, uint64_t now_ns, uint64_t *suppressed);

#endif
