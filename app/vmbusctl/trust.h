/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * vmbusctl: files that root will read or run at boot. Only root may be able to change them, or any
 * folder above them: whoever can rename a folder can put another file in its place. One thread.
 */
#ifndef HP_VMBUSCTL_TRUST_H
#define HP_VMBUSCTL_TRUST_H

#include <stddef.h>

/** Room for a reason. */
#define CTL_WHY_MAX 1024

/**
 * The program that runs, as a unit may name it.
 * @param root  fixture's instead of "/", "" for none; a program installed in it counts as installed
 * @param path  its path, without the root
 * @param why   on failure: what is wrong with it, to complete "..., but "
 * @return 0 or -EPERM
 */
int ctl_trusted_self(const char *root, char *path, size_t size, char why[CTL_WHY_MAX]);

/**
 * Open a folder below the root through no symbolic link.
 * @param create  make what is missing
 * @return descriptor, or -errno with `why`, to complete "cannot ...: "; -ENOENT is left to the
 * caller
 */
int ctl_trusted_folder(const char *root, const char *folder, int create, char why[CTL_WHY_MAX]);

#endif
