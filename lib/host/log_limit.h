/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Bounds what a guest can make a host print: a few lines at once, then one per second. Belongs to
 * whoever embeds it, with its lock.
 */
#ifndef HP_HOST_LOG_LIMIT_H
#define HP_HOST_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define HOST_LOG_BURST	     10u
#define HOST_LOG_INTERVAL_NS UINT64_C(1000000000)

/** Zeroed is ready. */
struct host_log_limit {
	uint64_t due_ns;     /**< when all lines so far are paid for, one per interval */
	uint64_t suppressed; /**< lines left out since the last one printed */
};

/**
 * May a line be printed at @p now_ns (monotonic)?
 * @param[out] suppressed lines left out before this one, to be mentioned; set when true
 */
static inline bool
host_log_allowed(struct host_log_limit *limit, uint64_t now_ns, uint64_t *suppressed)
{
	if (limit->due_ns < now_ns)
		limit->due_ns = now_ns;
	if (limit->due_ns - now_ns > (HOST_LOG_BURST - 1) * HOST_LOG_INTERVAL_NS) {
		limit->suppressed++;
		return false;
	}
	limit->due_ns += HOST_LOG_INTERVAL_NS;
	*suppressed = limit->suppressed;
	limit->suppressed = 0;
	return true;
}

#endif
