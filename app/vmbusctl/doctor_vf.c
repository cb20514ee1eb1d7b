/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmbusctl doctor: virtual functions (accelerated networking). Only the guest's driver moves a
 * NIC's packets to its virtual function and back (spec/nvsp.md §9): hv_netvsc does, hyperpoll does
 * not.
 */
#include "app/vmbusctl/doctor.h"

#include <dirent.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define FUNCTIONS_MAX	 64
#define VENDOR_MICROSOFT 0x1414
#define DEVICE_MANA	 0x00ba

struct function {
	char pci[16];
	bool has_serial, mana;
	uint32_t serial;
	char driver[64]; /* "" none */
};

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

/* Known already, or new and filled in; NULL when there are too many. */
static struct function *
add_function(const struct ctl *ctl, const char *pci, struct function *list, unsigned int *n)
{
	char path[VMBUS_SYSFS_PATH_MAX], target[512];
	struct function *f;
	const char *slash;
	ssize_t length;
	unsigned int i;

	for (i = 0; i < *n; i++)
		if (strcmp(list[i].pci, pci) == 0)
			return &list[i];
	if (*n == FUNCTIONS_MAX)
		return NULL;
	f = &list[(*n)++];
	memset(f, 0, sizeof(*f));
	snprintf(f->pci, sizeof(f->pci), "%.15s", pci);
	f->mana = pci_number(ctl, pci, "vendor") == VENDOR_MICROSOFT &&
		  pci_number(ctl, pci, "device") == DEVICE_MANA;
	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/driver", ctl->fs.sys, pci);
	length = readlink(path, target, sizeof(target) - 1);
	if (length > 0) {
		target[length] = '\0';
		slash = strrchr(target, '/');
		snprintf(f->driver, sizeof(f->driver), "%.63s", slash == NULL ? target : slash + 1);
	}
	return f;
}

/* By the serial number that names their slot (spec/linux-uio-vmbus.md §10), and MANA by its id. */
static unsigned int
find_functions(struct ctl *ctl, struct function *list)
{
	char pattern[VMBUS_SYSFS_PATH_MAX], pci[48];
	struct vmbus_pci_address a;
	struct dirent *entry;
	struct function *f;
	unsigned int n = 0;
	uint32_t serial;
	glob_t found;
	size_t i;
	DIR *d;

	snprintf(pattern, sizeof(pattern), "%s/bus/pci/slots/*", ctl->fs.sys);
	if (glob(pattern, 0, NULL, &found) != 0)
		found.gl_pathc = 0;
	for (i = 0; i < found.gl_pathc; i++) {
		if (vmbus_parse_slot(strrchr(found.gl_pathv[i], '/') + 1, &serial) < 0 ||
			vmbus_sysfs_vf(&ctl->fs, serial, &a) < 0)
			continue;
		snprintf(pci, sizeof(pci), "%04x:%02x:%02x.0", a.domain, a.bus, a.device);
		f = add_function(ctl, pci, list, &n);
		if (f != NULL) {
			f->has_serial = true;
			f->serial = serial;
		}
	}
	globfree(&found);
	snprintf(pattern, sizeof(pattern), "%s/bus/pci/devices", ctl->fs.sys);
	d = opendir(pattern);
	while (d != NULL && (entry = readdir(d)) != NULL)
		if (strlen(entry->d_name) < sizeof(list->pci) &&
			pci_number(ctl, entry->d_name, "vendor") == VENDOR_MICROSOFT &&
			pci_number(ctl, entry->d_name, "device") == DEVICE_MANA)
			add_function(ctl, entry->d_name, list, &n);
	if (d != NULL)
		closedir(d);
	return n;
}

static bool
read_mac(const struct ctl *ctl, const char *folder, const char *name, char mac[32])
{
	char path[VMBUS_SYSFS_PATH_MAX];

	snprintf(path, sizeof(path), "%s/%.31s/address", folder, name);
	return vmbus_sysfs_read(&ctl->fs, path, mac, 32) == 17;
}

/* Azure's GUIDs repeat the MAC address: 000d3a11-2233-000d-3a11-2233000d3a11 (§12). */
static bool
is_in_guid(const char *mac, const uint8_t instance[16])
{
	char text[VMBUS_GUID_LEN + 1], digits[33], want[13];
	unsigned int n = 0, i;

	vmbus_guid_format(instance, text);
	for (i = 0; text[i] != '\0' && n < 32; i++)
		if (text[i] != '-')
			digits[n++] = text[i];
	digits[n] = '\0';
	for (i = 0, n = 0; mac[i] != '\0' && n < 12; i++)
		if (mac[i] != ':')
			want[n++] = mac[i];
	want[n] = '\0';
	return n == 12 && strncasecmp(digits, want, 12) == 0 &&
	       strncasecmp(digits + 12, want, 12) == 0;
}

/* The adapter that an interface of a function belongs to; NULL unknown. */
static const struct vmbus_sysfs_device *
adapter_of(const struct ctl *ctl, const char *pci, const char *interface)
{
	char folder[VMBUS_SYSFS_NAME_MAX + 64], master[16], mac[32], other[32];
	const struct vmbus_sysfs_device *d;
	bool has_master, has_mac;
	unsigned int j;
	size_t i;

	has_master = ctl_master(ctl, interface, master);
	snprintf(folder, sizeof(folder), "bus/pci/devices/%s/net", pci);
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

static void
judge(struct report *r, const struct function *f, const char *interface)
{
	static const char unused[] = "hyperpoll does not use virtual functions yet";
	static const char in_tree[] =
		"to use it: DPDK's own netvsc driver (HYPERPOLL_YIELD=1) with the "
		"PMD of the function, mlx5 for instance, and rdma-core";
	static const char mana[] =
		"to use it: DPDK's own netvsc driver (HYPERPOLL_YIELD=1) with the mana "
		"PMD, rdma-core, and Linux 6.14 or later (or back-ported drivers)";
	const struct vmbus_sysfs_device *d =
		interface[0] == '\0' ? NULL : adapter_of(r->ctl, f->pci, interface);
	const char *fix = f->mana ? mana : in_tree, *netdev;
	char what[160], serial[24] = "";

	if (f->has_serial)
		snprintf(serial, sizeof(serial), " (serial %u)", f->serial);
	snprintf(what, sizeof(what), "%s %s%s%s%s", f->mana ? "MANA function" : "virtual function",
		f->pci, serial, interface[0] == '\0' ? "" : " as ", interface);
	if (f->driver[0] == '\0') {
		doctor_find(r, WARN, "vf", fix,
			"%s has no driver: all packets take the synthetic path, under hv_netvsc too; %s",
			what, unused);
	} else if (strcmp(f->driver, "vfio-pci") == 0) {
		doctor_find(r, NOTE, "vf", fix,
			"%s is bound to vfio-pci: packets take the synthetic path, nothing moves them to "
			"it; %s",
			what, unused);
	} else if (d != NULL && strcmp(d->driver, VMBUS_UIO_DRIVER) == 0) {
		doctor_find(r, NOTE, "vf", fix,
			"%s with driver %s belongs to %s, which is bound to uio_hv_generic: all its "
			"packets take the synthetic path, expect none here; %s",
			what, f->driver, d->name, unused);
	} else if (d != NULL && strcmp(d->driver, VMBUS_NETVSC_DRIVER) == 0) {
		netdev = d->n_netdevs > 0 ? d->netdevs[0] : d->name;
		doctor_find(r, NOTE, "vf", fix,
			"%s with driver %s carries the packets of %s while hv_netvsc has that; bound to "
			"uio_hv_generic, they all take the slower synthetic path: %s",
			what, f->driver, netdev, unused);
	} else {
		doctor_find(r, NOTE, "vf", fix,
			"%s with driver %s: %s, packets of its adapter take the synthetic path when that "
			"is bound to uio_hv_generic, and this one's only under hv_netvsc",
			what, f->driver, unused);
	}
}

static void
judge_interfaces(struct report *r, const struct function *f)
{
	char path[VMBUS_SYSFS_PATH_MAX];
	unsigned int n = 0;
	glob_t found;
	size_t i;

	/* One MANA function has an interface for each adapter (§10). */
	snprintf(path, sizeof(path), "%s/bus/pci/devices/%.15s/net/*", r->ctl->fs.sys, f->pci);
	if (glob(path, 0, NULL, &found) != 0)
		found.gl_pathc = 0;
	for (i = 0; i < found.gl_pathc; i++, n++)
		judge(r, f, strrchr(found.gl_pathv[i], '/') + 1);
	globfree(&found);
	if (n == 0)
		judge(r, f, "");
}

/* spec/hosts.md §1 */
static void
explain_mana(struct report *r)
{
	bool old = doctor_before(r, 6, 14);
	char kernel[160] = "";

	if (old)
		snprintf(kernel, sizeof(kernel),
			"; this is Linux %u.%u, so only back-ported drivers would do",
			r->kernel.major, r->kernel.minor);
	doctor_find(r, NOTE, "mana", NULL,
		"PCI 1414:00ba is the Microsoft Azure Network Adapter: DPDK's fast path on it needs Linux "
		"6.14 or later (or back-ported Ethernet and InfiniBand drivers), rdma-core and the mana "
		"PMD; without them all packets of DPDK take the synthetic path, as they do with "
		"hyperpoll%s",
		kernel);
}

void
doctor_check_functions(struct report *r)
{
	struct function list[FUNCTIONS_MAX];
	unsigned int n = find_functions(r->ctl, list), i;
	bool mana = false;

	for (i = 0; i < n; i++) {
		judge_interfaces(r, &list[i]);
		mana |= list[i].mana;
	}
	if (mana)
		explain_mana(r);
	if (n == 0)
		doctor_find(r, NOTE, "vf", NULL,
			"no virtual function: packets take the synthetic path");
}
