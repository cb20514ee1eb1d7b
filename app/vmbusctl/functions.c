/* SPDX-License-Identifier: BSD-3-Clause */
/* Virtual functions and the adapters they belong to (spec/linux-uio-vmbus.md §10). */
#include "app/vmbusctl/functions.h"

#include <dirent.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define VENDOR_MICROSOFT 0x1414
#define DEVICE_MANA	 0x00ba

static uint64_t
pci_number(const struct ctl *ctl, const char *pci, const char *attr)
{
	char path[VMBUS_SYSFS_PATH_MAX], text[32];
	uint64_t value;

	snprintf(path, sizeof(path), "bus/pci/devices/%s/%s", pci, attr);
	if (vmbus_sysfs_read(&ctl->fs, path, text, sizeof(text)) < 0 ||
		vmbus_parse_hex64(text, &value) < 0)
		return 0;
	return value;
}

static bool
is_mana(const struct ctl *ctl, const char *pci)
{
	return pci_number(ctl, pci, "vendor") == VENDOR_MICROSOFT &&
	       pci_number(ctl, pci, "device") == DEVICE_MANA;
}

/* Known already, or new and filled in; NULL when there are too many. */
static struct ctl_function *
add_function(const struct ctl *ctl, const char *pci, struct ctl_function *list, unsigned int *n)
{
	char path[VMBUS_SYSFS_PATH_MAX], target[512];
	struct ctl_function *f;
	const char *slash;
	ssize_t length;
	unsigned int i;

	for (i = 0; i < *n; i++)
		if (strcmp(list[i].pci, pci) == 0)
			return &list[i];
	if (*n == CTL_FUNCTIONS_MAX)
		return NULL;
	f = &list[(*n)++];
	memset(f, 0, sizeof(*f));
	snprintf(f->pci, sizeof(f->pci), "%.15s", pci);
	f->mana = is_mana(ctl, pci);
	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/driver", ctl->fs.sys, pci);
	length = readlink(path, target, sizeof(target) - 1);
	if (length > 0) {
		target[length] = '\0';
		slash = strrchr(target, '/');
		snprintf(f->driver, sizeof(f->driver), "%.63s", slash == NULL ? target : slash + 1);
	}
	return f;
}

/* By the serial number that names their slot, and MANA by its id. */
unsigned int
ctl_functions(const struct ctl *ctl, bool report, struct ctl_function list[CTL_FUNCTIONS_MAX])
{
	char pattern[VMBUS_SYSFS_PATH_MAX], pci[48];
	struct vmbus_sysfs fs = ctl->fs;
	struct vmbus_pci_address a;
	struct ctl_function *f;
	struct dirent *entry;
	unsigned int n = 0;
	uint32_t serial;
	glob_t found;
	size_t i;
	DIR *d;

	if (!report)
		fs.log = NULL;
	snprintf(pattern, sizeof(pattern), "%s/bus/pci/slots/*", fs.sys);
	if (glob(pattern, 0, NULL, &found) != 0)
		found.gl_pathc = 0;
	for (i = 0; i < found.gl_pathc; i++) {
		if (vmbus_parse_slot(strrchr(found.gl_pathv[i], '/') + 1, &serial) < 0 ||
			vmbus_sysfs_vf(&fs, serial, &a) < 0)
			continue;
		snprintf(pci, sizeof(pci), "%04x:%02x:%02x.0", a.domain, a.bus, a.device);
		f = add_function(ctl, pci, list, &n);
		if (f != NULL) {
			f->has_serial = true;
			f->serial = serial;
		}
	}
	globfree(&found);
	snprintf(pattern, sizeof(pattern), "%s/bus/pci/devices", fs.sys);
	d = opendir(pattern);
	while (d != NULL && (entry = readdir(d)) != NULL)
		if (strlen(entry->d_name) < sizeof(list->pci) && is_mana(ctl, entry->d_name))
			add_function(ctl, entry->d_name, list, &n);
	if (d != NULL)
		closedir(d);
	return n;
}

unsigned int
ctl_function_interfaces(const struct ctl *ctl, const struct ctl_function *function,
	char names[CTL_FUNCTION_INTERFACES_MAX][16])
{
	char path[VMBUS_SYSFS_PATH_MAX];
	unsigned int n = 0;
	const char *name;
	glob_t found;
	size_t i;

	snprintf(path, sizeof(path), "%s/bus/pci/devices/%.15s/net/*", ctl->fs.sys, function->pci);
	if (glob(path, 0, NULL, &found) != 0)
		found.gl_pathc = 0;
	for (i = 0; i < found.gl_pathc && n < CTL_FUNCTION_INTERFACES_MAX; i++) {
		name = strrchr(found.gl_pathv[i], '/') + 1;
		if (strlen(name) < sizeof(names[0]))
			strcpy(names[n++], name);
	}
	globfree(&found);
	return n;
}

static bool
read_mac(const struct ctl *ctl, const char *folder, const char *name, char mac[32])
{
	char path[VMBUS_SYSFS_PATH_MAX];

	snprintf(path, sizeof(path), "%s/%.31s/address", folder, name);
	return vmbus_sysfs_read(&ctl->fs, path, mac, 32) == 17;
}

static unsigned int
hex_of_guid(const uint8_t instance[16], char digits[33])
{
	char text[VMBUS_GUID_LEN + 1];
	unsigned int n = 0, i;

	vmbus_guid_format(instance, text);
	for (i = 0; text[i] != '\0' && n < 32; i++)
		if (text[i] != '-')
			digits[n++] = text[i];
	digits[n] = '\0';
	return n;
}

/* Azure's GUIDs repeat the MAC address: 000d3a11-2233-000d-3a11-2233000d3a11 (§12). */
static bool
is_in_guid(const char *mac, const uint8_t instance[16])
{
	char digits[33], want[13];
	unsigned int n = 0, i;

	hex_of_guid(instance, digits);
	for (i = 0; mac[i] != '\0' && n < 12; i++)
		if (mac[i] != ':')
			want[n++] = mac[i];
	want[n] = '\0';
	return n == 12 && strncasecmp(digits, want, 12) == 0 &&
	       strncasecmp(digits + 12, want, 12) == 0;
}

void
ctl_adapter_mac(const struct ctl *ctl, const struct vmbus_sysfs_device *device, char mac[32])
{
	char folder[VMBUS_SYSFS_NAME_MAX + 64], d[33];

	snprintf(folder, sizeof(folder), "bus/vmbus/devices/%s/net", device->name);
	if (device->n_netdevs > 0 && read_mac(ctl, folder, device->netdevs[0], mac))
		return;
	hex_of_guid(device->instance, d);
	snprintf(mac, 32, "%.2s:%.2s:%.2s:%.2s:%.2s:%.2s", d, d + 2, d + 4, d + 6, d + 8, d + 10);
	if (!is_in_guid(mac, device->instance))
		mac[0] = '\0';
}

const struct vmbus_sysfs_device *
ctl_function_adapter(
	const struct ctl *ctl, const struct ctl_function *function, const char *interface)
{
	char folder[VMBUS_SYSFS_NAME_MAX + 64], master[16], mac[32], other[32];
	const struct vmbus_sysfs_device *d;
	bool has_master, has_mac;
	unsigned int j;
	size_t i;

	has_master = ctl_master(ctl, interface, master);
	snprintf(folder, sizeof(folder), "bus/pci/devices/%s/net", function->pci);
	has_mac =
		read_mac(ctl, folder, interface, mac) || read_mac(ctl, "class/net", interface, mac);
	for (i = 0; i < ctl->n_devices; i++) {
		d = &ctl->devices[i];
		if (!ctl_is_nic(d))
			continue;
		snprintf(folder, sizeof(folder), "bus/vmbus/devices/%s/net", d->name);
		for (j = 0; j < d->n_netdevs; j++)
			if ((has_master && strcmp(master, d->netdevs[j]) == 0) ||
				(has_mac && read_mac(ctl, folder, d->netdevs[j], other) &&
					strcasecmp(mac, other) == 0))
				return d;
		if (has_mac && is_in_guid(mac, d->instance))
			return d;
	}
	return NULL;
}

bool
ctl_function_is_shared(const struct ctl_function *function)
{
	static const char *const shared[] = {"mana", "mlx4_core", "mlx5_core"};
	size_t i;

	for (i = 0; i < sizeof(shared) / sizeof(shared[0]); i++)
		if (strcmp(function->driver, shared[i]) == 0)
			return true;
	return function->mana;
}
