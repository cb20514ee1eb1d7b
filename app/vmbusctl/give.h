/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * vmbusctl: an adapter bound to uio_hv_generic in the hands of a user. He gets /dev/uio<N>; the
 * `ring` files of subchannels appear when he opens it, as root's, without an event
 * (spec/linux-uio-vmbus.md §4, §9): a helper process, started here, hands them over. It looks ten
 * times a second, may do nothing but change owners (CAP_CHOWN, user nobody), and ends when the
 * device leaves uio_hv_generic or ctl_give_back() says so. One thread.
 */
#ifndef HP_VMBUSCTL_GIVE_H
#define HP_VMBUSCTL_GIVE_H

#include "app/vmbusctl/ctl.h"

/**
 * A user by name or number, not root.
 * @return CTL_OK or CTL_USAGE (reported)
 */
int ctl_find_user(const char *text, struct ctl_owner *owner);

/**
 * Give the device, and see that the helper runs. What was given already stays given.
 * @param device  as it is now: bound to uio_hv_generic
 * @return CTL_OK, or CTL_FAILED (reported; nothing is given)
 */
int ctl_give(
	struct ctl *ctl, const struct vmbus_sysfs_device *device, const struct ctl_owner *owner);

enum ctl_given {
	CTL_GIVEN_NOT,
	CTL_GIVEN_HELPED,   /**< and the helper runs */
	CTL_GIVEN_UNHELPED, /**< but the helper does not: one queue only */
	CTL_GIVEN_UNKNOWN,  /**< not root: cannot see whether the helper runs */
};

/** Whose the device is. */
enum ctl_given ctl_given_to(
	const struct ctl *ctl, const struct vmbus_sysfs_device *device, struct ctl_owner *owner);

/** End the helper and make the device root's again. @return CTL_OK or CTL_FAILED (reported) */
int ctl_give_back(struct ctl *ctl, const struct vmbus_sysfs_device *device);

#endif
