/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * vmbusctl: what a binding has to remember until unbind or the next boot, in /run/vmbusctl, where
 * only root may write. It names what root will run, so the folder is trust.h's. One thread.
 */
#ifndef HP_VMBUSCTL_STATE_H
#define HP_VMBUSCTL_STATE_H

#include "app/vmbusctl/ctl.h"

#define CTL_STATE_FOLDER "run/vmbusctl"

/** Whole or not at all. @return CTL_OK or CTL_FAILED (reported) */
int ctl_state_write(const struct ctl *ctl, const char *name, struct json_object *value);
/** @return what was written, to be put; NULL when there is none or it cannot be trusted or read */
struct json_object *ctl_state_read(const struct ctl *ctl, const char *name);
bool ctl_state_exists(const struct ctl *ctl, const char *name);
void ctl_state_remove(const struct ctl *ctl, const char *name);

#endif
