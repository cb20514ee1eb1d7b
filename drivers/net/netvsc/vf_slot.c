/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What Linux shows of the PCI functions that may be VFs (spec/linux-uio-vmbus.md §10): small files,
 * read on the control thread and never in a callback.
 */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "drivers/bus/vmbus/sysfs.h"
#include "drivers/net/netvsc/vf_dev.h"

static void
slot_name(const struct vmbus_pci_address *a, char name[NETVSC_VF_NAME_MAX])
{
	snprintf(name, NETVSC_VF_NAME_MAX, "%.4x:%.2x:%.2x.%x", a->domain, a->bus, a->device,
		a->function);
}

void
netvsc_vf_slot(uint32_t serial, char name[NETVSC_VF_NAME_MAX])
{
	struct vmbus_pci_address address;
	struct vmbus_sysfs fs;

	name[0] = '\0';
	if (vmbus_sysfs_init(&fs, NULL, NULL) == 0 && vmbus_sysfs_vf(&fs, serial, &address) == 0)
		slot_name(&address, name);
}

bool
netvsc_vf_has_slot(const char *device)
{
	char path[VMBUS_SYSFS_PATH_MAX], name[NETVSC_VF_NAME_MAX];
	const struct dirent *entry;
	struct vmbus_sysfs fs;
	bool has = false;
	uint32_t serial;
	DIR *slots;

	if (vmbus_sysfs_init(&fs, NULL, NULL) != 0)
		return false;
	snprintf(path, sizeof(path), "%s/bus/pci/slots", fs.sys);
	slots = opendir(path);
	while (slots != NULL && !has && (entry = readdir(slots)) != NULL) {
		if (vmbus_parse_slot(entry->d_name, &serial) != 0)
			continue;
		netvsc_vf_slot(serial, name);
		has = strcmp(name, device) == 0;
	}
	if (slots != NULL)
		closedir(slots);
	return has;
}

static bool
pci_has(const char *device, const char *what)
{
	char path[VMBUS_SYSFS_PATH_MAX];
	struct vmbus_sysfs fs;

	if (vmbus_sysfs_init(&fs, NULL, NULL) != 0)
		return false;
	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s%s", fs.sys, device, what);
	return access(path, F_OK) == 0;
}

bool
netvsc_vf_function(const char *device)
{
	return pci_has(device, "");
}

void
netvsc_vf_driver(const char *device, char text[NETVSC_VF_NAME_MAX])
{
	char path[VMBUS_SYSFS_PATH_MAX], target[PATH_MAX];
	const char *name = "";
	struct vmbus_sysfs fs;
	ssize_t n;

	text[0] = '\0';
	if (vmbus_sysfs_init(&fs, NULL, NULL) != 0)
		return;
	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/driver", fs.sys, device);
	n = readlink(path, target, sizeof(target) - 1);
	if (n > 0) {
		target[n] = '\0';
		name = strrchr(target, '/') != NULL ? strrchr(target, '/') + 1 : target;
	}
	snprintf(text, NETVSC_VF_NAME_MAX, "%.40s%s%s", name, pci_has(device, "/net") ? " net" : "",
		pci_has(device, "/infiniband") ? " infiniband" : "");
}
