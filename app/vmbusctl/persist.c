/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A binding that lasts: a udev rule starts a systemd unit whenever the device appears, at boot and
 * when the host offers it again. A rule that only set driver_override would come too late, because
 * hv_netvsc has the device first (spec/linux-uio-vmbus.md §3).
 */
#include "app/vmbusctl/ctl.h"
#include "app/vmbusctl/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_LINE "# Written by vmbusctl bind --persist; vmbusctl unbind --persist removes it.\n"

/* One of the two files. */
struct file {
	const char *folder; /* below the root */
	char name[VMBUS_SYSFS_NAME_MAX + 32];
	char path[VMBUS_SYSFS_PATH_MAX];
	char text[2048];
};

enum { UNIT, RULE, FILES };

static void
name_files(const struct ctl *ctl, const char *device, struct file files[FILES])
{
	int i;

	files[UNIT].folder = "etc/systemd/system";
	snprintf(files[UNIT].name, sizeof(files[UNIT].name), "hyperpoll-bind-%s.service", device);
	files[RULE].folder = "etc/udev/rules.d";
	snprintf(files[RULE].name, sizeof(files[RULE].name), "70-hyperpoll-%s.rules", device);
	for (i = 0; i < FILES; i++)
		snprintf(files[i].path, sizeof(files[i].path), "%s/%s/%s", ctl->root,
			files[i].folder, files[i].name);
}

static void
write_texts(const char *device, const char *self, struct file files[FILES])
{
	/*
	 * No RemainAfterExit: a device that is offered again must be bound again. --force: that
	 * the adapter may go was settled when the rule was made, and at boot a DHCP client may
	 * have put a default route on it meanwhile.
	 */
	snprintf(files[UNIT].text, sizeof(files[UNIT].text),
		FIRST_LINE "[Unit]\n"
			   "Description=Bind VMBus network adapter %s to uio_hv_generic\n"
			   "DefaultDependencies=no\n"
			   "Wants=network-pre.target\n"
			   "Before=network-pre.target\n"
			   "\n"
			   "[Service]\n"
			   "Type=oneshot\n"
			   "ExecStart=%s bind --force %s\n",
		device, self, device);
	snprintf(files[RULE].text, sizeof(files[RULE].text),
		FIRST_LINE "ACTION==\"add\", SUBSYSTEM==\"vmbus\", KERNEL==\"%s\", "
			   "TAG+=\"systemd\", ENV{SYSTEMD_WANTS}+=\"hyperpoll-bind-%s.service\"\n",
		device, device);
}

/* @return 0 when nothing is in the way of a file that vmbusctl writes or removes, else -errno */
static int
is_ours(int folder, const char *name, char why[CTL_WHY_MAX])
{
	char line[sizeof(FIRST_LINE)] = "";
	int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	ssize_t n;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0) {
		n = -errno;
		if (n == -ELOOP)
			snprintf(why, CTL_WHY_MAX, "it is a symbolic link: remove it first");
		else
			snprintf(why, CTL_WHY_MAX, "%s", strerror((int)-n));
		return (int)n;
	}
	n = read(fd, line, sizeof(line) - 1);
	close(fd);
	if (n == (ssize_t)sizeof(line) - 1 && strcmp(line, FIRST_LINE) == 0)
		return 0;
	snprintf(why, CTL_WHY_MAX, "it was not written by vmbusctl: move it away first");
	return -EEXIST;
}

static int
cannot(const char *verb, const char *path, int error, const char *why)
{
	ctl_error("cannot %s %s: %s%s", verb, path, why,
		error == -EACCES ? ": run as root"
		: error == -EPERM
			? ": only root may be able to change what root reads at boot (chown root, chmod go-w)"
			: "");
	return CTL_FAILED;
}

int
ctl_persist_check(const struct ctl *ctl, const struct vmbus_sysfs_device *device)
{
	char self[VMBUS_SYSFS_PATH_MAX], why[CTL_WHY_MAX] = "";
	struct file files[FILES];
	int i, fd, rc;

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
	name_files(ctl, device->name, files);
	for (i = 0; i < FILES; i++) {
		fd = ctl_trusted_folder(ctl->root, files[i].folder, 0, why);
		rc = fd;
		if (fd >= 0) {
			rc = is_ours(fd, files[i].name, why);
			close(fd);
		}
		if (rc < 0 && rc != -ENOENT)
			return cannot("write", files[i].path, rc, why);
	}
	return CTL_OK;
}

/* Whole or not at all: a half rule would be read at the next boot. */
static int
write_file(const struct ctl *ctl, const struct file *file)
{
	char temporary[sizeof(file->name) + 8], why[CTL_WHY_MAX] = "";
	int folder = ctl_trusted_folder(ctl->root, file->folder, 1, why), fd = -1, rc = 0;
	size_t n = strlen(file->text);

	if (folder < 0)
		return cannot("write", file->path, folder, why);
	snprintf(temporary, sizeof(temporary), "%s.new", file->name);
	rc = is_ours(folder, file->name, why);
	if (rc == 0) {
		/* What an earlier run, killed, left behind. */
		unlinkat(folder, temporary, 0);
		fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			0644);
		if (fd < 0 || fchmod(fd, 0644) < 0 || write(fd, file->text, n) != (ssize_t)n ||
			fsync(fd) < 0 || renameat(folder, temporary, folder, file->name) < 0) {
			rc = errno == 0 ? -EIO : -errno;
			snprintf(why, sizeof(why), "%s", strerror(-rc));
		}
		if (fd >= 0)
			close(fd);
		if (rc < 0)
			unlinkat(folder, temporary, 0);
	}
	close(folder);
	return rc == 0 ? CTL_OK : cannot("write", file->path, rc, why);
}

static int
remove_file(const struct ctl *ctl, const struct file *file)
{
	char why[CTL_WHY_MAX] = "";
	int folder = ctl_trusted_folder(ctl->root, file->folder, 0, why), rc = folder;

	if (folder >= 0) {
		rc = is_ours(folder, file->name, why);
		if (rc == 0 && unlinkat(folder, file->name, 0) < 0 && errno != ENOENT) {
			rc = -errno;
			snprintf(why, sizeof(why), "%s", strerror(-rc));
		}
		close(folder);
	}
	return rc == 0 || rc == -ENOENT ? CTL_OK : cannot("remove", file->path, rc, why);
}

int
ctl_persist_write(const struct ctl *ctl, const struct vmbus_sysfs_device *device)
{
	char self[VMBUS_SYSFS_PATH_MAX], why[CTL_WHY_MAX];
	struct file files[FILES];

	if (ctl_persist_check(ctl, device) != CTL_OK ||
		ctl_trusted_self(ctl->root, self, sizeof(self), why) < 0)
		return CTL_FAILED;
	name_files(ctl, device->name, files);
	write_texts(device->name, self, files);
	if (write_file(ctl, &files[UNIT]) != CTL_OK)
		return CTL_FAILED;
	if (write_file(ctl, &files[RULE]) == CTL_OK)
		return CTL_OK;
	remove_file(ctl, &files[UNIT]);
	return CTL_FAILED;
}

int
ctl_persist_remove(const struct ctl *ctl, const struct vmbus_sysfs_device *device)
{
	struct file files[FILES];
	int rule, unit;

	name_files(ctl, device->name, files);
	rule = remove_file(ctl, &files[RULE]);
	unit = remove_file(ctl, &files[UNIT]);
	return rule == CTL_OK && unit == CTL_OK ? CTL_OK : CTL_FAILED;
}

bool
ctl_persist_exists(const struct ctl *ctl, const struct vmbus_sysfs_device *device)
{
	struct file files[FILES];

	name_files(ctl, device->name, files);
	return access(files[RULE].path, F_OK) == 0;
}

void
ctl_persist_show(const struct ctl *ctl, const struct vmbus_sysfs_device *device, bool write)
{
	char self[VMBUS_SYSFS_PATH_MAX], why[CTL_WHY_MAX];
	struct file files[FILES];
	int i;

	name_files(ctl, device->name, files);
	if (!write) {
		printf("rm -f %s\nrm -f %s\n", files[RULE].path, files[UNIT].path);
		return;
	}
	ctl_trusted_self(ctl->root, self, sizeof(self), why);
	write_texts(device->name, self, files);
	for (i = 0; i < FILES; i++)
		printf("cat > %s <<'END'\n%sEND\n", files[i].path, files[i].text);
}
