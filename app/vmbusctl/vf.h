/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * vmbusctl: the virtual functions below an adapter that is bound and unbound, so that hyperpoll can
 * have them: their interfaces are taken from whoever configures them, or they go to vfio-pci. What
 * was changed is kept in /run until unbind. One thread.
 */
#ifndef HP_VMBUSCTL_VF_H
#define HP_VMBUSCTL_VF_H

#include "app/vmbusctl/ctl.h"

struct ctl_vf {
	struct json_object *notes;   /**< sentences: what is there and becomes of it */
	struct json_object *changes; /**< changes.h */
};

/** @return CTL_OK with `vf` to be freed by ctl_vf_free(), or CTL_FAILED: refused (reported) */
int ctl_vf_plan(const struct ctl *ctl, const struct vmbus_sysfs_device *device, struct ctl_vf *vf);
void ctl_vf_free(struct ctl_vf *vf);

/** Do what was planned, or nothing of it. @return CTL_OK or CTL_FAILED (reported) */
int ctl_vf_do(const struct ctl *ctl, const char *device, struct ctl_vf *vf);

/** Has ctl_vf_do() changed something that was not undone? */
bool ctl_vf_is_done(const struct ctl *ctl, const char *device);
/**
 * A process has a function open that ctl_vf_undo() would take from vfio-pci: the kernel would wait
 * for it, however long (reported).
 */
bool ctl_vf_is_open(const struct ctl *ctl, const char *device);
/** Undo it. What cannot be undone stays written down. @return CTL_OK or CTL_FAILED (reported) */
int ctl_vf_undo(const struct ctl *ctl, const char *device);
/** Its commands, as ctl_changes_commands(). */
void ctl_vf_undo_commands(const struct ctl *ctl, const char *device,
	void (*each)(void *opaque, char *command), void *opaque);

#endif
