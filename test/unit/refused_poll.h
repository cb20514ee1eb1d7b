/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * poll(2) as it is with a limit of 0 open files: it refuses whoever names a descriptor, at once,
 * and who does not sleep then spins. Link with --wrap=poll. Any thread.
 */
#ifndef HP_TEST_REFUSED_POLL_H
#define HP_TEST_REFUSED_POLL_H

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>

static atomic_bool poll_refuses;
static _Thread_local bool poll_refuses_here; /**< this thread alone */
static atomic_uint poll_refusals;	     /**< so far, */
static atomic_uint poll_spins; /**< ... and of these behind another without a sleep between */

int __real_poll(struct pollfd *p, nfds_t n, int timeout);
int __wrap_poll(struct pollfd *p, nfds_t n, int timeout);

int
__wrap_poll(struct pollfd *p, nfds_t n, int timeout)
{
	static _Thread_local bool slept = true;

	if (n == 0 || !(poll_refuses_here || atomic_load(&poll_refuses))) {
		slept |= timeout != 0;
		return __real_poll(p, n, timeout);
	}
	atomic_fetch_add(&poll_spins, !slept);
	slept = false;
	atomic_fetch_add(&poll_refusals, 1);
	errno = EINVAL;
	return -1;
}

#endif
