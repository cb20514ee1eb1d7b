/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A binding that lasts: a udev rule starts a systemd unit whenever the device appears, at boot and
 * when the host offers it again. A rule that only set driver_override would come too late, because
 * hv_netvsc has the device first (spec/linux-uio-vmbus.md §3).
 */
#include "app/vmbusctl/ctl.h"
#include "app/vmbusctl/changes.h"
#include "app/vmbusctl/files.h"
#include "app/vmbusctl/functions.h"
#include "app/vmbusctl/managers.h"
#include "app/vmbusctl/trust.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_LINE CTL_FILE_MARK " --persist; vmbusctl unbind --persist removes it.\n"

/* The unit before the rule that starts it; then what keeps others from the virtual function. */
enum { UNIT, RULE, MANAGERS, FILES = MANAGERS + CTL_MANAGERS_FILES };

static void
name_files(const char *device, char paths[FILES][VMBUS_SYSFS_PATH_MAX])
{
	snprintf(paths[UNIT], VMBUS_SYSFS_PATH_MAX, "etc/systemd/system/hyperpoll-bind-%s.service",
		device);
	snprintf(paths[RULE], VMBUS_SYSFS_PATH_MAX, "etc/udev/rules.d/70-hyperpoll-%s.rules",
		device);
	ctl_managers_files(device, true, &paths[MANAGERS]);
}

/*
 * No RemainAfterExit: a device that is offered again must be bound again. --force: that the adapter
 * may go was settled when the rule was made, and at boot a DHCP client may have put a default route
 * on it meanwhile. A helper that stays behind (--user) is the unit's main process.
 */
static void
write_unit(const struct ctl *ctl, const char *device, const char *self, char text[2048])
{
	static const char *const vf[] = {
		[CTL_VF_AUTO] = "", [CTL_VF_KEEP] = " --vf keep", [CTL_VF_VFIO] = " --vf vfio-pci"};
	char user[32] = "";

	/* By number: a name may hold what a unit cannot. */
	if (ctl->user.uid != 0)
		snprintf(user, sizeof(user), " --user %u", (unsigned int)ctl->user.uid);
	snprintf(text, 2048,
		FIRST_LINE "[Unit]\n"
			   "Description=Bind VMBus network adapter %s to uio_hv_generic\n"
			   "DefaultDependencies=no\n"
			   "Wants=network-pre.target\n"
			   "Before=network-pre.target\n"
			   "\n"
			   "[Service]\n"
			   "Type=%s\n"
			   "ExecStart=%s bind --force%s%s %s\n",
		device, ctl->user.uid != 0 ? "forking" : "oneshot", self, vf[ctl->vf], user,
		device);
}

static void
write_rule(const char *device, char text[2048])
{
	snprintf(text, 2048,
		FIRST_LINE "ACTION==\"add\", SUBSYSTEM==\"vmbus\", KERNEL==\"%s\", "
			   "TAG+=\"systemd\", ENV{SYSTEMD_WANTS}+=\"hyperpoll-bind-%s.service\"\n",
		device, device);
}

/* All that --persist writes, each with its removal. */
static struct json_object *
all_files(const struct ctl *ctl, const struct vmbus_sysfs_device *device, const char *self)
{
	struct json_object *changes = json_object_new_array();
	char paths[FILES][VMBUS_SYSFS_PATH_MAX], text[2048], mac[32];

	name_files(device->name, paths);
	write_unit(ctl, device->name, self, text);
	ctl_change(changes, "write the unit", NULL, ctl_deed("file", paths[UNIT], text, NULL),
		ctl_deed("remove", paths[UNIT], NULL));
	write_rule(device->name, text);
	ctl_change(changes, "write the rule", NULL, ctl_deed("file", paths[RULE], text, NULL),
		ctl_deed("remove", paths[RULE], NULL));
	ctl_adapter_mac(ctl, device, mac);
	ctl_managers_adapter(ctl, device->name, mac, true, changes);
	return changes;
}

int
ctl_persist_check(const struct ctl *ctl, const struct vmbus_sysfs_device *device)
{
	char self[VMBUS_SYSFS_PATH_MAX], why[CTL_WHY_MAX] = "", paths[FILES][VMBUS_SYSFS_PATH_MAX];
	int i;

	if (strspn(device->name,
		    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_") !=
		strlen(device->name)) {
		ctl_error("%s has a name that cannot be put into a unit: bind it without --persist",
			device->name);
		return CTL_FAILED;
	}
	if (ctl_trusted_self(ctl->root, self, sizeof(self), why) < 0) {
		ctl_error("--persist would have root run %s at every boot, but %s: install it "
			  "(meson install) and use " VMBUSCTL_INSTALLED,
			self, why);
		return CTL_FAILED;
	}
	name_files(device->name, paths);
	for (i = 0; i < FILES; i++)
		if (ctl_file_check(ctl, paths[i]) != CTL_OK)
			return CTL_FAILED;
	return CTL_OK;
}

int
ctl_persist_write(const struct ctl *ctl, const struct vmbus_sysfs_device *device)
{
	char self[VMBUS_SYSFS_PATH_MAX], why[CTL_WHY_MAX];
	struct json_object *files;
	size_t done;
	int rc;

	if (ctl_persist_check(ctl, device) != CTL_OK ||
		ctl_trusted_self(ctl->root, self, sizeof(self), why) < 0)
		return CTL_FAILED;
	files = all_files(ctl, device, self);
	rc = ctl_changes_do(ctl, files, &done);
	if (rc != CTL_OK)
		ctl_changes_undo(ctl, files, done, NULL);
	json_object_put(files);
	return rc;
}

int
ctl_persist_remove(const struct ctl *ctl, const struct vmbus_sysfs_device *device)
{
	char paths[FILES][VMBUS_SYSFS_PATH_MAX];
	int rc = CTL_OK, i;

	name_files(device->name, paths);
	for (i = FILES; i-- > 0;)
		if (ctl_file_remove(ctl, paths[i]) != CTL_OK)
			rc = CTL_FAILED;
	return rc;
}

bool
ctl_persist_exists(const struct ctl *ctl, const struct vmbus_sysfs_device *device)
{
	char paths[FILES][VMBUS_SYSFS_PATH_MAX], full[2 * VMBUS_SYSFS_PATH_MAX];

	name_files(device->name, paths);
	snprintf(full, sizeof(full), "%s/%s", ctl->root, paths[RULE]);
	return access(full, F_OK) == 0;
}

void
ctl_persist_commands(const struct ctl *ctl, const struct vmbus_sysfs_device *device, bool write,
	void (*each)(void *opaque, char *command), void *opaque)
{
	char self[VMBUS_SYSFS_PATH_MAX], why[CTL_WHY_MAX];
	char paths[FILES][VMBUS_SYSFS_PATH_MAX], full[2 * VMBUS_SYSFS_PATH_MAX];
	struct json_object *files;
	int i;

	if (write) {
		ctl_trusted_self(ctl->root, self, sizeof(self), why);
		files = all_files(ctl, device, self);
		ctl_changes_commands(ctl, files, false, each, opaque);
		json_object_put(files);
		return;
	}
	name_files(device->name, paths);
	for (i = FILES; i-- > 0;) {
		snprintf(full, sizeof(full), "%s/%s", ctl->root, paths[i]);
		if (i >= MANAGERS && access(full, F_OK) != 0)
			continue;
		files = ctl_deed("remove", paths[i], NULL);
		each(opaque, ctl_deed_command(ctl, files));
		json_object_put(files);
	}
}
