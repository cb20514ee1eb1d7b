/* SPDX-License-Identifier: BSD-3-Clause */
/* Attributes of VMBus devices and the scan (spec/linux-uio-vmbus.md §1, §1.2). */
#include "drivers/bus/vmbus/sysfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#define ATTR_MAX 4096

static const uint8_t no_guid[16];

void
vmbus_sysfs_report(const struct vmbus_sysfs *fs, enum vmbus_sysfs_level level, const char *device,
	const char *fmt, ...)
{
	char sentence[1024];
	va_list ap;

	if (fs->log == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(sentence, sizeof(sentence), fmt, ap);
	va_end(ap);
	fs->log(fs->opaque, level, device == NULL ? "" : device, sentence);
}

static int
set_root(struct vmbus_sysfs *fs, char *root, const char *variable, const char *fallback)
{
	const char *value = getenv(variable);
	size_t n;

	if (value == NULL || value[0] == '\0')
		value = fallback;
	n = strlen(value);
	while (n > 0 && value[n - 1] == '/')
		n--;
	if (n >= VMBUS_SYSFS_ROOT_MAX) {
		vmbus_sysfs_report(fs, VMBUS_SYSFS_ERROR, NULL,
			"%s is longer than %d characters: use a shorter path", variable,
			VMBUS_SYSFS_ROOT_MAX - 1);
		return -ENAMETOOLONG;
	}
	memcpy(root, value, n);
	root[n] = '\0';
	return 0;
}

int
vmbus_sysfs_init(struct vmbus_sysfs *fs, vmbus_sysfs_log_fn log, void *opaque)
{
	memset(fs, 0, sizeof(*fs));
	fs->log = log;
	fs->opaque = opaque;
	if (set_root(fs, fs->sys, "HYPERPOLL_SYSFS_ROOT", "/sys") < 0 ||
		set_root(fs, fs->dev, "HYPERPOLL_DEV_ROOT", "/dev") < 0 ||
		set_root(fs, fs->proc, "HYPERPOLL_PROC_ROOT", "/proc") < 0)
		return -ENAMETOOLONG;
	return 0;
}

ssize_t
vmbus_sysfs_read(const struct vmbus_sysfs *fs, const char *path, char *text, size_t size)
{
	char full[VMBUS_SYSFS_PATH_MAX], page[ATTR_MAX];
	ssize_t n;
	int fd;

	if ((size_t)snprintf(full, sizeof(full), "%s/%s", fs->sys, path) >= sizeof(full))
		return -ENAMETOOLONG;
	fd = open(full, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? -ENODEV : -errno;
	n = read(fd, page, sizeof(page));
	if (n < 0) {
		n = -errno;
		close(fd);
		return n;
	}
	close(fd);
	/* A full page means that the kernel cut the text off (§1.2). */
	if (n == 0 || n >= ATTR_MAX || memchr(page, '\0', (size_t)n) != NULL)
		return -EINVAL;
	if (page[n - 1] == '\n')
		n--;
	if ((size_t)n >= size)
		return -EINVAL;
	memcpy(text, page, (size_t)n);
	text[n] = '\0';
	return n;
}

static ssize_t
device_attr(
	const struct vmbus_sysfs *fs, const char *name, const char *attr, char *text, size_t size)
{
	char path[VMBUS_SYSFS_PATH_MAX];

	snprintf(path, sizeof(path), "bus/vmbus/devices/%s/%s", name, attr);
	return vmbus_sysfs_read(fs, path, text, size);
}

/* Says why a device is skipped; ENODEV means that it went away, which is no news. */
static int
skip(struct vmbus_sysfs *fs, const char *name, const char *attr, const char *text, ssize_t error)
{
	if (error == -ENODEV)
		return -ENODEV;
	if (error == -EACCES || error == -EPERM) {
		if (!fs->denied)
			vmbus_sysfs_report(fs, VMBUS_SYSFS_ERROR, name,
				"no permission to read %s: run as a user who may read %s/bus/vmbus",
				attr, fs->sys);
		fs->denied = true;
		return -EACCES;
	}
	if (error < 0 && error != -EINVAL)
		vmbus_sysfs_report(fs, VMBUS_SYSFS_ERROR, name,
			"cannot read %s (%s): device skipped", attr, strerror((int)-error));
	else if (error == -EINVAL)
		vmbus_sysfs_report(fs, VMBUS_SYSFS_ERROR, name,
			"%s is empty, too long or binary: device skipped", attr);
	else
		vmbus_sysfs_report(fs, VMBUS_SYSFS_ERROR, name,
			"%s '%.40s' is not valid: device skipped", attr, text);
	return -EINVAL;
}

/* GUID attributes fail at debug level only: hosts offer what they like under this bus. */
static int
read_guid(struct vmbus_sysfs *fs, const char *name, const char *attr, uint8_t guid[16])
{
	char text[128];
	ssize_t n = device_attr(fs, name, attr, text, sizeof(text));

	if (n == -EINVAL || (n >= 0 && vmbus_parse_guid(text, guid) < 0)) {
		vmbus_sysfs_report(
			fs, VMBUS_SYSFS_DEBUG, name, "%s is no GUID: device skipped", attr);
		return -EINVAL;
	}
	return n < 0 ? skip(fs, name, attr, "", n) : 0;
}

static int
read_int(struct vmbus_sysfs *fs, const char *name, const char *attr, int min, int max, int *value)
{
	char text[64];
	ssize_t n = device_attr(fs, name, attr, text, sizeof(text));

	if (n < 0 || vmbus_parse_int(text, min, max, value) < 0)
		return skip(fs, name, attr, n < 0 ? "" : text, n < 0 ? n : 0);
	return 0;
}

static int
read_monitor_id(struct vmbus_sysfs *fs, const char *name, int *id)
{
	char text[64];
	ssize_t n = device_attr(fs, name, "monitor_id", text, sizeof(text));

	*id = -1;
	if (n == -ENODEV)
		return 0;
	if (n < 0 || vmbus_parse_int(text, 0, 255, id) < 0)
		return skip(fs, name, "monitor_id", n < 0 ? "" : text, n < 0 ? n : 0);
	if (*id > VMBUS_MONITOR_ID_MAX) {
		/* An index of 128 or more lies outside the page's four groups (§1.2). */
		vmbus_sysfs_report(fs, VMBUS_SYSFS_WARN, name,
			"monitor_id %d is above %d: treated as a device without monitor", *id,
			VMBUS_MONITOR_ID_MAX);
		*id = -1;
	}
	return 0;
}

static int
read_numa_node(struct vmbus_sysfs *fs, const char *name)
{
	char text[64];
	int node;

	if (device_attr(fs, name, "numa_node", text, sizeof(text)) < 0 ||
		vmbus_parse_int(text, -1, 1023, &node) < 0)
		return -1;
	return node;
}

static int
read_driver(struct vmbus_sysfs *fs, struct vmbus_sysfs_device *device)
{
	char path[VMBUS_SYSFS_PATH_MAX], target[PATH_MAX];
	const char *base;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/bus/vmbus/devices/%s/driver", fs->sys, device->name);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0 && errno != ENOENT)
		return skip(fs, device->name, "driver", "", -errno);
	if (n >= 0) {
		target[n] = '\0';
		base = strrchr(target, '/');
		base = base == NULL ? target : base + 1;
		if (base[0] == '\0' || strlen(base) >= sizeof(device->driver))
			return skip(fs, device->name, "driver", base, 0);
		strcpy(device->driver, base);
	}
	return 0;
}

/*
 * VMBus's own attribute and, from Linux 7.2 on, the driver core's print "(null)" when it is unset;
 * other buses under the driver core an empty line. It may hold any text, and decides nothing here:
 * a device is not given up over it.
 */
static void
read_override(struct vmbus_sysfs *fs, struct vmbus_sysfs_device *device)
{
	char text[ATTR_MAX];
	ssize_t n = device_attr(fs, device->name, "driver_override", text, sizeof(text));

	if (n == -ENODEV)
		return;
	device->has_override = true;
	if (n < 0 || strlen(text) >= sizeof(device->driver_override)) {
		device->override_unknown = true;
		vmbus_sysfs_report(fs, VMBUS_SYSFS_WARN, device->name,
			"driver_override %s: what it says is not known",
			n == -EINVAL ? "is empty, too long or binary"
			: n < 0	     ? strerror((int)-n)
				     : "names no driver, it is too long");
		return;
	}
	if (strcmp(text, "(null)") != 0)
		strcpy(device->driver_override, text);
}

/* Calls `each` for every entry that is not hidden; 0 also when the directory is not there. */
static int
for_each_entry(const struct vmbus_sysfs *fs, const char *name, const char *dir,
	int (*each)(struct vmbus_sysfs_device *, const char *), struct vmbus_sysfs_device *device)
{
	char path[VMBUS_SYSFS_PATH_MAX];
	struct dirent *entry;
	int rc = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/bus/vmbus/devices/%s/%s", fs->sys, name, dir);
	d = opendir(path);
	if (d == NULL)
		return 0;
	while (rc == 0 && (entry = readdir(d)) != NULL)
		if (entry->d_name[0] != '.')
			rc = each(device, entry->d_name);
	closedir(d);
	return rc;
}

static int
take_uio(struct vmbus_sysfs_device *device, const char *entry)
{
	int number = vmbus_parse_uio_name(entry);

	if (number < 0)
		return 0;
	if (device->uio >= 0)
		return -EEXIST;
	device->uio = number;
	return 0;
}

static int
take_netdev(struct vmbus_sysfs_device *device, const char *entry)
{
	if (device->n_netdevs < VMBUS_SYSFS_NETDEVS && strlen(entry) < sizeof(device->netdevs[0]))
		strcpy(device->netdevs[device->n_netdevs++], entry);
	return 0;
}

int
vmbus_sysfs_state(struct vmbus_sysfs *fs, const char *name)
{
	int state = 0, rc = read_int(fs, name, "state", 0, 3, &state);

	return rc < 0 ? rc : state;
}

void
vmbus_sysfs_device_clear(struct vmbus_sysfs_device *device)
{
	free(device->channels);
	device->channels = NULL;
	device->n_channels = 0;
}

/* Names go into paths, messages and udev rules: what the kernel prints, nothing else. */
static bool
name_ok(const char *name)
{
	size_t i;

	for (i = 0; name[i] != '\0'; i++)
		if (i + 1 >= VMBUS_SYSFS_NAME_MAX || strchr("0123456789abcdefghijklmnopqrstuvwxyz"
							    "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_:",
							     name[i]) == NULL)
			return false;
	return i > 0;
}

int
vmbus_sysfs_device_read(struct vmbus_sysfs *fs, const char *name, const uint8_t *class_guid,
	struct vmbus_sysfs_device *device)
{
	int rc, id = 0;

	memset(device, 0, sizeof(*device));
	device->uio = -1;
	if (!name_ok(name)) {
		vmbus_sysfs_report(
			fs, VMBUS_SYSFS_DEBUG, "", "a device name is not one of VMBus: skipped");
		return -EINVAL;
	}
	if (strncmp(name, "vmbus_", 6) == 0) {
		vmbus_sysfs_report(fs, VMBUS_SYSFS_DEBUG, name,
			"named as before Linux 4.10, which has no uio_hv_generic: device skipped");
		return -EINVAL;
	}
	strcpy(device->name, name);
	if ((rc = read_guid(fs, name, "class_id", device->class_guid)) < 0)
		return rc;
	if (class_guid != NULL && memcmp(class_guid, device->class_guid, 16) != 0)
		return -ESRCH;
	if ((rc = read_guid(fs, name, "device_id", device->instance)) < 0)
		return rc;
	if (memcmp(device->instance, no_guid, 16) == 0) {
		vmbus_sysfs_report(
			fs, VMBUS_SYSFS_DEBUG, name, "device_id is all zero: device skipped");
		return -EINVAL;
	}
	if ((rc = read_int(fs, name, "id", 1, VMBUS_RELID_MAX, &id)) < 0)
		return rc;
	device->relid = (uint16_t)id;
	if ((rc = vmbus_sysfs_state(fs, name)) < 0)
		return rc;
	device->state = (enum vmbus_channel_state)rc;
	if ((rc = read_monitor_id(fs, name, &device->monitor_id)) < 0 ||
		(rc = read_driver(fs, device)) < 0)
		return rc;
	read_override(fs, device);
	device->numa_node = read_numa_node(fs, name);
	for_each_entry(fs, name, "net", take_netdev, device);
	if (for_each_entry(fs, name, "uio", take_uio, device) < 0) {
		vmbus_sysfs_report(fs, VMBUS_SYSFS_ERROR, name,
			"uio/ has more than one uio<N> where one device has one: device skipped");
		return -EINVAL;
	}
	rc = vmbus_sysfs_channels(
		fs, name, device->relid, UINT16_MAX, &device->channels, &device->n_channels);
	device->has_channels = rc == 0;
	return rc == -ENOMEM ? rc : 0;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names in a fixed order, so that "the first of two" means the same on every scan. */
static int
list_names(const char *path, char ***names, size_t *n)
{
	struct dirent *entry;
	char **list = NULL, **grown;
	size_t used = 0, room = 0;
	DIR *d = opendir(path);

	if (d == NULL)
		return -errno;
	while ((entry = readdir(d)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		if (used == room) {
			room = room == 0 ? 32 : 2 * room;
			grown = realloc(list, room * sizeof(*list));
			if (grown == NULL)
				goto no_memory;
			list = grown;
		}
		list[used] = strdup(entry->d_name);
		if (list[used] == NULL)
			goto no_memory;
		used++;
	}
	closedir(d);
	if (used > 0)
		qsort(list, used, sizeof(*list), by_name);
	*names = list;
	*n = used;
	return 0;

no_memory:
	closedir(d);
	while (used > 0)
		free(list[--used]);
	free(list);
	return -ENOMEM;
}

void
vmbus_sysfs_free(struct vmbus_sysfs_device *devices, size_t n)
{
	while (n > 0)
		vmbus_sysfs_device_clear(&devices[--n]);
	free(devices);
}

static bool
is_duplicate(const struct vmbus_sysfs *fs, const struct vmbus_sysfs_device *devices, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (memcmp(devices[i].instance, devices[n].instance, 16) != 0)
			continue;
		vmbus_sysfs_report(fs, VMBUS_SYSFS_WARN, devices[n].name,
			"device_id is the same as that of %s: the second is ignored",
			devices[i].name);
		return true;
	}
	return false;
}

int
vmbus_sysfs_scan(struct vmbus_sysfs *fs, const uint8_t *class_guid,
	struct vmbus_sysfs_device **devices, size_t *n)
{
	char path[VMBUS_SYSFS_PATH_MAX];
	struct vmbus_sysfs_device *list;
	size_t i, n_names = 0, used = 0;
	char **names = NULL;
	int rc;

	*devices = NULL;
	*n = 0;
	snprintf(path, sizeof(path), "%s/bus/vmbus/devices", fs->sys);
	rc = list_names(path, &names, &n_names);
	if (rc < 0)
		return rc;
	list = calloc(n_names + 1, sizeof(*list));
	for (i = 0; i < n_names; i++) {
		if (list != NULL && rc != -ENOMEM) {
			rc = vmbus_sysfs_device_read(fs, names[i], class_guid, &list[used]);
			if (rc == 0 && !is_duplicate(fs, list, used))
				used++;
			else
				vmbus_sysfs_device_clear(&list[used]);
		}
		free(names[i]);
	}
	free(names);
	if (list == NULL || rc == -ENOMEM) {
		if (list != NULL)
			vmbus_sysfs_free(list, used);
		return -ENOMEM;
	}
	*devices = list;
	*n = used;
	return 0;
}
