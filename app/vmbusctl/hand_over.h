/* SPDX-License-Identifier: BSD-3-Clause */
/** @file vmbusctl: the helper process of give.h. */
#ifndef HP_VMBUSCTL_HAND_OVER_H
#define HP_VMBUSCTL_HAND_OVER_H

#include <sys/stat.h>
#include <sys/types.h>

#include "drivers/bus/vmbus/sysfs.h"

/** What a working helper's file says: whose it is, and of which device's folder. */
#define CTL_HELPER_TEXT_MAX 64
void ctl_helper_text(uid_t uid, const struct stat *folder, char text[CTL_HELPER_TEXT_MAX]);

/**
 * The rest of a forked process: hands the ring files of one device to a user as they appear.
 * @param lock  descriptor of a locked file, which keeps the lock as long as the helper lives; it
 *              gets ctl_helper_text(), and the helper ends when the file is removed
 * @param ready  written a 1 and closed when the helper works; closed without when it cannot
 */
void ctl_hand_over(const struct vmbus_sysfs *fs, const char *device, uid_t uid, int lock, int ready)
	__attribute__((noreturn));

#endif
