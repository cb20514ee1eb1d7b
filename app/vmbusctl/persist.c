/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A binding that lasts: a udev rule starts a systemd unit whenever the device appears, at boot and
 * when the host offers it again. A rule that only set driver_override would come too late, because
 * hv_netvsc has the device first (spec/linux-uio-vmbus.md §3).
 */
#include "app/vmbusctl/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
rule_path(const struct ctl *ctl, const char *name, char path[VMBUS_SYSFS_PATH_MAX])
{
	snprintf(path, VMBUS_SYSFS_PATH_MAX, "%s/etc/udev/rules.d/70-hyperpoll-%s.rules", ctl->root,
		name);
}

static void
unit_path(const struct ctl *ctl, const char *name, char path[VMBUS_SYSFS_PATH_MAX])
{
	snprintf(path, VMBUS_SYSFS_PATH_MAX, "%s/etc/systemd/system/hyperpoll-bind-%s.service",
		ctl->root, name);
}

static void
rule_text(const char *name, char *text, size_t size)
{
	snprintf(text, size,
		"# Written by vmbusctl bind --persist; vmbusctl unbind --persist removes it.\n"
		"ACTION==\"add\", SUBSYSTEM==\"vmbus\", KERNEL==\"%s\", TAG+=\"systemd\", "
		"ENV{SYSTEMD_WANTS}+=\"hyperpoll-bind-%s.service\"\n",
		name, name);
}

static void
unit_text(const char *name, char *text, size_t size)
{
	char self[VMBUS_SYSFS_PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0 || strpbrk((self[n < 0 ? 0 : n] = '\0', self), " \t\"'\\%$") != NULL)
		strcpy(self, VMBUSCTL_INSTALLED);
	/*
	 * No RemainAfterExit: a device that is offered again must be bound again. --force: that
	 * the adapter may go was settled when the rule was made, and at boot a DHCP client may
	 * have put a default route on it meanwhile.
	 */
	snprintf(text, size,
		"# Written by vmbusctl bind --persist; vmbusctl unbind --persist removes it.\n"
		"[Unit]\n"
		"Description=Bind VMBus network adapter %s to uio_hv_generic\n"
		"DefaultDependencies=no\n"
		"Wants=network-pre.target\n"
		"Before=network-pre.target\n"
		"\n"
		"[Service]\n"
		"Type=oneshot\n"
		"ExecStart=%s bind --force %s\n",
		name, self, name);
}

/* Parents of an absolute path below the root. */
static void
make_parents(char *path, size_t from)
{
	char *slash;

	for (slash = path + from; (slash = strchr(slash + 1, '/')) != NULL;) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
}

/* Whole or not at all: a half rule would be read at the next boot. */
static int
write_file(const struct ctl *ctl, char *path, const char *text)
{
	char temporary[VMBUS_SYSFS_PATH_MAX + 8];
	size_t n = strlen(text);
	int fd, error = 0;

	make_parents(path, strlen(ctl->root));
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0) {
		error = errno;
	} else {
		if (write(fd, text, n) != (ssize_t)n || fsync(fd) < 0)
			error = errno == 0 ? EIO : errno;
		close(fd);
		if (error == 0 && rename(temporary, path) < 0)
			error = errno;
		if (error != 0)
			unlink(temporary);
	}
	if (error == 0)
		return CTL_OK;
	ctl_error("cannot write %s: %s%s", path, strerror(error),
		error == EACCES ? ": run as root" : "");
	return CTL_FAILED;
}

int
ctl_persist_write(const struct ctl *ctl, const struct vmbus_sysfs_device *device)
{
	char path[VMBUS_SYSFS_PATH_MAX], text[2048];

	unit_path(ctl, device->name, path);
	unit_text(device->name, text, sizeof(text));
	if (write_file(ctl, path, text) != CTL_OK)
		return CTL_FAILED;
	rule_path(ctl, device->name, path);
	rule_text(device->name, text, sizeof(text));
	if (write_file(ctl, path, text) != CTL_OK) {
		unit_path(ctl, device->name, path);
		unlink(path);
		return CTL_FAILED;
	}
	return CTL_OK;
}

static int
remove_file(const char *path)
{
	if (unlink(path) == 0 || errno == ENOENT)
		return CTL_OK;
	ctl_error("cannot remove %s: %s", path, strerror(errno));
	return CTL_FAILED;
}

int
ctl_persist_remove(const struct ctl *ctl, const struct vmbus_sysfs_device *device)
{
	char path[VMBUS_SYSFS_PATH_MAX];
	int rule, unit;

	rule_path(ctl, device->name, path);
	rule = remove_file(path);
	unit_path(ctl, device->name, path);
	unit = remove_file(path);
	return rule == CTL_OK && unit == CTL_OK ? CTL_OK : CTL_FAILED;
}

bool
ctl_persist_exists(const struct ctl *ctl, const struct vmbus_sysfs_device *device)
{
	char path[VMBUS_SYSFS_PATH_MAX];

	rule_path(ctl, device->name, path);
	return access(path, F_OK) == 0;
}

void
ctl_persist_show(const struct ctl *ctl, const struct vmbus_sysfs_device *device, bool write)
{
	char path[VMBUS_SYSFS_PATH_MAX], text[2048];

	if (!write) {
		rule_path(ctl, device->name, path);
		printf("rm -f %s\n", path);
		unit_path(ctl, device->name, path);
		printf("rm -f %s\n", path);
		return;
	}
	unit_path(ctl, device->name, path);
	unit_text(device->name, text, sizeof(text));
	printf("cat > %s <<'END'\n%sEND\n", path, text);
	rule_path(ctl, device->name, path);
	rule_text(device->name, text, sizeof(text));
	printf("cat > %s <<'END'\n%sEND\n", path, text);
}
