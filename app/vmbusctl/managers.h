/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * vmbusctl: programs that configure network interfaces by themselves, and how they leave a virtual
 * function's alone. While hv_netvsc has the adapter, the function's interface is its slave and
 * they know to leave it; bound to uio_hv_generic it is an interface like any other to them, with
 * the adapter's MAC address, so that DHCP would give it the adapter's own lease. One thread.
 */
#ifndef HP_VMBUSCTL_MANAGERS_H
#define HP_VMBUSCTL_MANAGERS_H

#include "app/vmbusctl/ctl.h"

/**
 * What makes them leave any function of an adapter alone, also one that comes later.
 * @param persist  in /etc and not in /run, for the next boot; does not tell the running ones
 */
void ctl_managers_adapter(const struct ctl *ctl, const char *device, const char *mac, bool persist,
	struct json_object *changes);

/**
 * What makes them let go of one interface now: link handling, leases and addresses.
 * @param who  names who configures it, "nobody" for none
 */
void ctl_managers_interface(const struct ctl *ctl, const char *interface,
	struct json_object *changes, char *who, size_t size);

/** Files that ctl_managers_adapter() writes with `persist`, below the root. */
#define CTL_MANAGERS_FILES 2
void ctl_managers_files(
	const char *device, bool persist, char paths[CTL_MANAGERS_FILES][VMBUS_SYSFS_PATH_MAX]);

/** A sentence about cloud-init, "" when it has no part in this. */
void ctl_managers_cloud_init(const struct ctl *ctl, char *text, size_t size);

#endif
