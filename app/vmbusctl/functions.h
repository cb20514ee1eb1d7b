/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * vmbusctl: virtual functions (accelerated networking) and the adapters they belong to. Read from
 * sysfs when asked; one thread.
 */
#ifndef HP_VMBUSCTL_FUNCTIONS_H
#define HP_VMBUSCTL_FUNCTIONS_H

#include "app/vmbusctl/ctl.h"

#define CTL_FUNCTIONS_MAX 64
/** Interfaces of one function: MANA has one for each adapter (spec/linux-uio-vmbus.md §10). */
#define CTL_FUNCTION_INTERFACES_MAX 32

struct ctl_function {
	char pci[16];
	bool has_serial, mana;
	uint32_t serial;
	char driver[64]; /**< "" none */
};

/**
 * All that the VM has.
 * @param report  say which slots cannot be read
 * @return their number, at most CTL_FUNCTIONS_MAX
 */
unsigned int ctl_functions(
	const struct ctl *ctl, bool report, struct ctl_function list[CTL_FUNCTIONS_MAX]);

/** Network interfaces of a function in this network namespace. @return their number */
unsigned int ctl_function_interfaces(const struct ctl *ctl, const struct ctl_function *function,
	char names[CTL_FUNCTION_INTERFACES_MAX][16]);

/** The adapter that an interface of a function belongs to, by master or MAC; NULL unknown. */
const struct vmbus_sysfs_device *ctl_function_adapter(
	const struct ctl *ctl, const struct ctl_function *function, const char *interface);

/** Is its PMD one that works beside the kernel's driver, which therefore stays bound? */
bool ctl_function_is_shared(const struct ctl_function *function);

/** MAC address of an adapter, "" unknown. */
void ctl_adapter_mac(const struct ctl *ctl, const struct vmbus_sysfs_device *device, char mac[32]);

#endif
