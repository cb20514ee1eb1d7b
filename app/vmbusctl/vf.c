/* SPDX-License-Identifier: BSD-3-Clause */
/* Virtual functions at bind and unbind; see vf.h. */
#include "app/vmbusctl/vf.h"
#include "app/vmbusctl/changes.h"
#include "app/vmbusctl/functions.h"
#include "app/vmbusctl/managers.h"
#include "app/vmbusctl/state.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VFIO_DRIVER	"vfio-pci"
#define NO_IOMMU	"module/vfio/parameters/enable_unsafe_noiommu_mode"
#define INTERFACE_UP	0x1u
#define STATE_NAME(out) char out[VMBUS_SYSFS_NAME_MAX + 8]

static void
state_name(const char *device, char name[VMBUS_SYSFS_NAME_MAX + 8])
{
	snprintf(name, VMBUS_SYSFS_NAME_MAX + 8, "%s.json", device);
}

static void __attribute__((format(printf, 2, 3))) note(struct ctl_vf *vf, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_object_array_add(vf->notes, json_object_new_string(text));
}

/* ---- kept by its driver ---- */

/*
 * The mana PMD takes the function's port, which the kernel's driver has while its interface is up;
 * the PMDs of mlx4 and mlx5 want theirs up and see to that.
 */
static void
link_down(const struct ctl *ctl, const char *interface, struct json_object *changes)
{
	char path[VMBUS_SYSFS_PATH_MAX], text[32], value[32];
	uint64_t flags;

	snprintf(path, sizeof(path), "class/net/%s/flags", interface);
	if (vmbus_sysfs_read(&ctl->fs, path, text, sizeof(text)) < 0 ||
		vmbus_parse_hex64(text, &flags) < 0 || (flags & INTERFACE_UP) == 0)
		return;
	snprintf(path, sizeof(path), "%s/class/net/%s/flags", ctl->fs.sys, interface);
	snprintf(value, sizeof(value), "0x%llx",
		(unsigned long long)(flags & ~(uint64_t)INTERFACE_UP));
	ctl_change(changes, "take the interface down", interface,
		ctl_deed("write", path, value, NULL), ctl_deed("write", path, text, NULL));
}

/* ---- given to vfio-pci ---- */

static void
plan_no_iommu(const struct ctl *ctl, const struct ctl_function *f, struct ctl_vf *vf)
{
	char path[VMBUS_SYSFS_PATH_MAX], text[8] = "N";

	snprintf(path, sizeof(path), "%s/bus/pci/devices/%.15s/iommu_group", ctl->fs.sys, f->pci);
	if (access(path, F_OK) == 0)
		return;
	vmbus_sysfs_read(&ctl->fs, NO_IOMMU, text, sizeof(text));
	if (text[0] == 'Y')
		return;
	note(vf,
		"%s has no IOMMU: vfio's unsafe no-IOMMU mode is switched on, which taints the kernel",
		f->pci);
	snprintf(path, sizeof(path), "%s/" NO_IOMMU, ctl->fs.sys);
	ctl_change(vf->changes, "switch vfio's no-IOMMU mode on", NULL,
		ctl_deed("write", path, "Y", NULL), ctl_deed("write", path, "N", NULL));
}

static void
plan_vfio(const struct ctl *ctl, const struct ctl_function *f, struct ctl_vf *vf)
{
	char override[VMBUS_SYSFS_PATH_MAX], unbind[VMBUS_SYSFS_PATH_MAX];
	char vfio_unbind[VMBUS_SYSFS_PATH_MAX], probe[VMBUS_SYSFS_PATH_MAX];
	char path[VMBUS_SYSFS_ROOT_MAX + 128], was[64] = "";
	const char *sys = ctl->fs.sys;

	snprintf(path, sizeof(path), "bus/pci/devices/%.15s/driver_override", f->pci);
	vmbus_sysfs_read(&ctl->fs, path, was, sizeof(was));
	if (strcmp(was, "(null)") == 0)
		was[0] = '\0';
	snprintf(override, sizeof(override), "%s/%s", sys, path);
	snprintf(unbind, sizeof(unbind), "%s/bus/pci/drivers/%.63s/unbind", sys, f->driver);
	snprintf(
		vfio_unbind, sizeof(vfio_unbind), "%s/bus/pci/drivers/" VFIO_DRIVER "/unbind", sys);
	snprintf(probe, sizeof(probe), "%s/bus/pci/drivers_probe", sys);
	snprintf(path, sizeof(path), "%s/bus/pci/drivers/" VFIO_DRIVER, sys);
	if (access(path, F_OK) != 0)
		ctl_change(vf->changes, "load vfio-pci", NULL,
			ctl_deed("run", "modprobe", VFIO_DRIVER, NULL), NULL);
	plan_no_iommu(ctl, f, vf);
	/* Undone from last to first: override, release, probe, arrival. */
	ctl_change(vf->changes, "give the function back to its driver", NULL, NULL,
		ctl_deed("arrive", f->pci, f->driver, NULL));
	ctl_change(vf->changes, "release the function from its driver", NULL,
		ctl_deed("release", unbind, f->pci, NULL), ctl_deed("write", probe, f->pci, NULL));
	ctl_change(vf->changes, "release the function from vfio-pci", NULL, NULL,
		ctl_deed("release", vfio_unbind, f->pci, NULL));
	ctl_change(vf->changes, "set the function's driver override", NULL,
		ctl_deed("write", override, VFIO_DRIVER, NULL),
		ctl_deed("write", override, was, NULL));
	ctl_change(vf->changes, "give the function to vfio-pci", NULL,
		ctl_deed("write", probe, f->pci, NULL), NULL);
	ctl_change(vf->changes, "see the function with vfio-pci", NULL,
		ctl_deed("arrive", f->pci, VFIO_DRIVER, NULL), NULL);
}

static int
may_go_to_vfio(const struct ctl *ctl, const struct ctl_function *f,
	const struct vmbus_sysfs_device *device, char names[][16], unsigned int n)
{
	const struct vmbus_sysfs_device *other;
	unsigned int i;

	for (i = 0; i < n; i++) {
		other = ctl_function_adapter(ctl, f, names[i]);
		if (other == device)
			continue;
		ctl_error("%s cannot go to vfio-pci: it carries %s too, which is no part of %s; "
			  "--vf keep leaves it with %s",
			f->pci, names[i], device->name, f->driver);
		return CTL_FAILED;
	}
	if (ctl_function_is_shared(f) && !ctl->force) {
		ctl_error("%s has driver %s, whose PMD works beside it and not on vfio-pci: --vf "
			  "keep; --force does it all the same",
			f->pci, f->driver);
		return CTL_FAILED;
	}
	return CTL_OK;
}

/* ---- a function ---- */

static int
plan_function(const struct ctl *ctl, const struct ctl_function *f,
	const struct vmbus_sysfs_device *device, struct ctl_vf *vf)
{
	char names[CTL_FUNCTION_INTERFACES_MAX][16], who[64], cloud[256];
	unsigned int n = ctl_function_interfaces(ctl, f, names), i;
	bool vfio = ctl->vf == CTL_VF_VFIO ||
		    (ctl->vf == CTL_VF_AUTO && !ctl_function_is_shared(f)),
	     below = false;

	for (i = 0; i < n; i++) {
		if (ctl_function_adapter(ctl, f, names[i]) != device)
			continue;
		if (!below && vfio && may_go_to_vfio(ctl, f, device, names, n) != CTL_OK)
			return CTL_FAILED;
		below = true;
		ctl_managers_interface(ctl, names[i], vf->changes, who, sizeof(who));
		note(vf, "%s is its virtual function %s with driver %s, configured by %s: %s",
			names[i], f->pci, f->driver, who,
			vfio ? "goes to vfio-pci"
			     : "stays with the driver, as its PMD needs that, and is left alone");
		ctl_managers_cloud_init(ctl, cloud, sizeof(cloud));
		if (cloud[0] != '\0')
			note(vf, "%s", cloud);
		if (!vfio && f->mana)
			link_down(ctl, names[i], vf->changes);
	}
	if (below && vfio)
		plan_vfio(ctl, f, vf);
	return CTL_OK;
}

int
ctl_vf_plan(const struct ctl *ctl, const struct vmbus_sysfs_device *device, struct ctl_vf *vf)
{
	struct ctl_function list[CTL_FUNCTIONS_MAX];
	unsigned int n = ctl_functions(ctl, true, list), i;
	char mac[32];

	vf->notes = json_object_new_array();
	vf->changes = json_object_new_array();
	ctl_adapter_mac(ctl, device, mac);
	ctl_managers_adapter(ctl, device->name, mac, false, vf->changes);
	for (i = 0; i < n; i++) {
		/* Without a driver it has no interface, and with vfio-pci it is where it may be. */
		if (plan_function(ctl, &list[i], device, vf) == CTL_OK)
			continue;
		ctl_vf_free(vf);
		return CTL_FAILED;
	}
	return CTL_OK;
}

void
ctl_vf_free(struct ctl_vf *vf)
{
	json_object_put(vf->notes);
	json_object_put(vf->changes);
	vf->notes = vf->changes = NULL;
}

/* ---- done and undone ---- */

static int
undo_list(const struct ctl *ctl, const char *device, struct json_object *changes, size_t n)
{
	struct json_object *left = json_object_new_array(), *again = json_object_new_array();
	STATE_NAME(name);
	size_t i;
	int rc;

	state_name(device, name);
	rc = ctl_changes_undo(ctl, changes, n, left);
	if (rc == CTL_OK) {
		ctl_state_remove(ctl, name);
	} else {
		for (i = json_object_array_length(left); i-- > 0;)
			json_object_array_add(
				again, json_object_get(json_object_array_get_idx(left, i)));
		ctl_state_write(ctl, name, again);
		ctl_error("the rest is kept for another 'vmbusctl unbind %s'", device);
	}
	json_object_put(left);
	json_object_put(again);
	return rc;
}

int
ctl_vf_do(const struct ctl *ctl, const char *device, struct ctl_vf *vf)
{
	STATE_NAME(name);
	size_t done;

	if (json_object_array_length(vf->changes) == 0)
		return CTL_OK;
	state_name(device, name);
	/* First: whoever ends us in the middle leaves what undoes it. */
	if (ctl_state_write(ctl, name, vf->changes) != CTL_OK)
		return CTL_FAILED;
	if (ctl_changes_do(ctl, vf->changes, &done) == CTL_OK)
		return CTL_OK;
	if (undo_list(ctl, device, vf->changes, done) == CTL_OK)
		ctl_error("undone: the virtual function is as it was");
	return CTL_FAILED;
}

bool
ctl_vf_is_done(const struct ctl *ctl, const char *device)
{
	STATE_NAME(name);

	state_name(device, name);
	return ctl_state_exists(ctl, name);
}

static struct json_object *
read_changes(const struct ctl *ctl, const char *device)
{
	struct json_object *changes;
	STATE_NAME(name);

	state_name(device, name);
	changes = ctl_state_read(ctl, name);
	if (changes == NULL || json_object_is_type(changes, json_type_array))
		return changes;
	json_object_put(changes);
	return NULL;
}

/* The function that an undo takes from vfio-pci; NULL: it does not. */
static const char *
taken_from_vfio(struct json_object *change)
{
	struct json_object *undo = json_object_object_get(change, "undo"), *kind, *path;

	if (!json_object_is_type(undo, json_type_array) || json_object_array_length(undo) != 3)
		return NULL;
	kind = json_object_array_get_idx(undo, 0);
	path = json_object_array_get_idx(undo, 1);
	if (kind == NULL || path == NULL || strcmp(json_object_get_string(kind), "release") != 0 ||
		strstr(json_object_get_string(path), "/" VFIO_DRIVER "/") == NULL)
		return NULL;
	return json_object_get_string(json_object_array_get_idx(undo, 2));
}

bool
ctl_vf_is_open(const struct ctl *ctl, const char *device)
{
	struct json_object *changes = read_changes(ctl, device);
	struct ctl_user users[CTL_USERS_MAX];
	unsigned int n = 0;
	const char *pci;
	size_t i;

	for (i = 0; changes != NULL && n == 0 && i < json_object_array_length(changes); i++) {
		pci = taken_from_vfio(json_object_array_get_idx(changes, i));
		n = pci == NULL ? 0 : ctl_vfio_users(ctl, pci, users);
		if (n > 0)
			ctl_error(
				"the virtual function %s is in use by %s (pid %d)%s: end it first",
				pci, users[0].command, users[0].pid, n > 1 ? " and others" : "");
	}
	json_object_put(changes);
	return n > 0;
}

int
ctl_vf_undo(const struct ctl *ctl, const char *device)
{
	struct json_object *changes;
	int rc;

	if (!ctl_vf_is_done(ctl, device))
		return CTL_OK;
	changes = read_changes(ctl, device);
	if (changes == NULL) {
		ctl_error("what bind changed around %s cannot be read: its virtual function is "
			  "left as it is",
			device);
		return CTL_FAILED;
	}
	rc = undo_list(ctl, device, changes, json_object_array_length(changes));
	json_object_put(changes);
	return rc;
}

void
ctl_vf_undo_commands(const struct ctl *ctl, const char *device,
	void (*each)(void *opaque, char *command), void *opaque)
{
	struct json_object *changes = read_changes(ctl, device);

	if (changes != NULL)
		ctl_changes_commands(ctl, changes, true, each, opaque);
	json_object_put(changes);
}
