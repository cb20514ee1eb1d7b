/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * vmbusctl: text files that it writes for others (udev, systemd, NetworkManager) and takes away
 * again, whole or not at all, and only its own: a first line tells. The folders are trust.h's. One
 * thread.
 */
#ifndef HP_VMBUSCTL_FILES_H
#define HP_VMBUSCTL_FILES_H

#include "app/vmbusctl/ctl.h"

/** How each of them begins. */
#define CTL_FILE_MARK "# Written by vmbusctl bind"

/**
 * May the file be written? Nothing is changed.
 * @param path  below the root, without a slash in front
 * @return CTL_OK, or CTL_FAILED (reported)
 */
int ctl_file_check(const struct ctl *ctl, const char *path);
/** @return CTL_OK, or CTL_FAILED (reported) */
int ctl_file_write(const struct ctl *ctl, const char *path, const char *text);
/** One that is not there counts as removed. @return CTL_OK, or CTL_FAILED (reported) */
int ctl_file_remove(const struct ctl *ctl, const char *path);

#endif
