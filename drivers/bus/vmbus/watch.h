/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Descriptors that EAL's interrupt thread looks at: files of the kernel's, sockets, eventfds. A
 * callback runs there as long as its descriptor is readable.
 */
#ifndef HP_BUS_VMBUS_WATCH_H
#define HP_BUS_VMBUS_WATCH_H

#include <rte_interrupts.h>

/**
 * Have @p cb called while @p fd is readable, which may be before this returns.
 * @param intr what stands for it; NULL when this fails
 * @return 0, or a negative errno: why the step that failed did
 */
int hpbus_watch(int fd, rte_intr_callback_fn cb, void *arg, struct rte_intr_handle **intr);
/** Not any more; waits for a call that is under way. Harmless when *intr is NULL. */
void hpbus_unwatch(struct rte_intr_handle **intr, rte_intr_callback_fn cb, void *arg);
/**
 * From @p cb itself: this call is the last one. hpbus_unwatch() frees what is left, or @p last,
 * which is called when EAL has forgotten it, unless that is NULL. When it cannot be done (with a
 * message, once), the callback comes again.
 */
void hpbus_watch_over(struct rte_intr_handle *intr, rte_intr_callback_fn cb, void *arg,
	rte_intr_unregister_callback_fn last);

#endif
