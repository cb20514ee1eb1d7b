/* SPDX-License-Identifier: BSD-3-Clause */
/** @file vmbusctl: processes of others, found by their arguments in /proc. One thread. */
#ifndef HP_VMBUSCTL_PROCESSES_H
#define HP_VMBUSCTL_PROCESSES_H

#include "app/vmbusctl/ctl.h"

#define CTL_ARGUMENTS_MAX 32

struct ctl_process {
	char pid[16], started[24]; /**< decimal; ticks after boot */
	unsigned int n;
	char *arguments[CTL_ARGUMENTS_MAX + 1]; /**< into `text`, NULL-terminated */
	char text[2048];
};

/**
 * A DHCP client that root started, which serves one interface. What only calls itself one, or runs
 * as root because its file is setuid, is none: its arguments are run as root later.
 * @return whether there is one that can be stopped and started again
 */
bool ctl_dhcp_client(const struct ctl *ctl, const char *interface, struct ctl_process *process);

/** Does such a process with these arguments run (its program's folder does not matter)? */
bool ctl_process_runs(const struct ctl *ctl, const char *const *arguments);

/**
 * Wait for a child of ours, 10 s at most; then it is killed.
 * @return its exit status, -EINTR when a signal ended it, -ETIMEDOUT, or another negative errno
 */
int ctl_child_end(pid_t pid);

/** Close all descriptors from one on, inherited ones too. */
void ctl_close_from(unsigned int first);

/**
 * Start a program in a session of its own. One that still runs after 2 s is left to itself: a
 * client in the foreground never ends, another one ends only when it has a lease.
 * @return 0, an exit status when it ended before, or a negative errno
 */
int ctl_process_start(const char *const *words);

/** SIGTERM, and wait for its end, at most 2 s. @return 0 (also when it is gone), -ETIMEDOUT, -errno
 */
int ctl_process_stop(const char *pid, const char *started);

#endif
