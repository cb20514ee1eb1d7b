/* SPDX-License-Identifier: BSD-3-Clause */
/** @file File descriptors that a host may have (RLIMIT_NOFILE). Asked at the start, on one thread.
 */
#ifndef HP_HOST_DESCRIPTORS_H
#define HP_HOST_DESCRIPTORS_H

#include <stddef.h>
#include <stdint.h>

/** Raise the limit as far as it goes. @return the limit, in descriptors */
uint64_t descriptors_limit(void);

/**
 * Are there @p need descriptors? Asked before anything is opened, so that a limit which is too low
 * is told as that, and not as whatever happens to be opened last.
 * @return 0, or -EMFILE and one sentence
 */
int descriptors_check(unsigned int need, char *errbuf, size_t errlen);

/**
 * Wait until @p fd is as asked, or a millisecond where poll(2) is refused, as it is with a limit of
 * 0 that somebody has set since. Any thread; it may come back early.
 * @param events POLLIN or POLLOUT
 */
void descriptors_wait(int fd, short events);

#endif
