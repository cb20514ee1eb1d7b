/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sysfs tree of a NIC as real files under rig_options.dir (spec/linux-uio-vmbus.md §1, §5, §12)
 * and the events that the kernel sends about it (§4).
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test/uio/rig.h"

#define NIC_CLASS    "f8615163-df3e-46c5-913f-f2d2f965ed0e"
#define NIC_MODALIAS "635161f83edfc546913ff2d2f965ed0e"
#define BUS_FOLDER   "devices/ACPI0004:00/VMBUS:00"
#define UIO_MAJOR    245
/* Monitors of a host that has none, so that kernels of all ages would bind the device (§11). */
#define OWN_MONITOR 3u

static unsigned int sequence = 4711;

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

void
rig_remove_all(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void
make_folders(char *path)
{
	char *slash;

	for (slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
}

/* Path under the device's own folder; "" is that folder. */
static void
device_path(const struct rig_device *device, char path[RIG_PATH], const char *format, ...)
{
	va_list args;
	int n = snprintf(path, RIG_PATH, "%.255s/sys/" BUS_FOLDER "/%s/", rig_options.dir,
		device->slot->name);

	va_start(args, format);
	vsnprintf(path + n, RIG_PATH - (size_t)n, format, args);
	va_end(args);
}

/* One attribute, folders made on the way. */
static void
put(const struct rig_device *device, const char *name, const char *format, ...)
{
	char path[RIG_PATH];
	va_list args;
	FILE *f;

	device_path(device, path, "%s", name);
	make_folders(path);
	f = fopen(path, "w");
	if (f == NULL) {
		rig_log("%s: %s", path, strerror(errno));
		return;
	}
	va_start(args, format);
	vfprintf(f, format, args);
	va_end(args);
	fputc('\n', f);
	fclose(f);
}

int
rig_monitor_id(const struct rig_device *device, unsigned int k)
{
	uint8_t id = device->info.channel[k].monitor_id;

	if (rig_options.no_monitor)
		return -1;
	return id != VMBUS_MONITOR_NONE ? id : (int)(OWN_MONITOR + k);
}

void
rig_tree_state(struct rig_device *device, int state)
{
	char path[RIG_PATH], text[4];
	int fd;

	if (rig_options.state >= 0)
		state = rig_options.state;
	device_path(device, path, "state");
	/* In place: a reader must never find it empty. */
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	snprintf(text, sizeof(text), "%d\n", state);
	if (fd < 0 || pwrite(fd, text, 2, 0) != 2)
		rig_log("%s: %s", path, strerror(errno));
	close(fd);
}

static void
put_maps(struct rig_device *device)
{
	static const char *const names[] = {"txrx_rings", "int_page", "monitor_page", NULL, NULL};
	char name[64];
	unsigned int i;

	for (i = 0; i < RIG_MAPS; i++) {
		snprintf(name, sizeof(name), "uio/uio%d/maps/map%u/name", device->number, i);
		if (i == VMBUS_REGION_RECV)
			put(device, name, "recv:%u", device->info.recv_gpadl);
		else if (i == VMBUS_REGION_SEND)
			put(device, name, "send:%u", device->info.send_gpadl);
		else
			put(device, name, "%s", names[i]);
		snprintf(name, sizeof(name), "uio/uio%d/maps/map%u/addr", device->number, i);
		/* As useless as the kernel's; map 0 has none that could be right here. */
		put(device, name, "0x%016llx", 0xffff8b2c01a2b000ull + (i << 12));
		snprintf(name, sizeof(name), "uio/uio%d/maps/map%u/size", device->number, i);
		put(device, name, "0x%016llx", (unsigned long long)device->region_size[i]);
		snprintf(name, sizeof(name), "uio/uio%d/maps/map%u/offset", device->number, i);
		put(device, name, "0x0");
	}
}

static void
put_uio(struct rig_device *device)
{
	char name[64];

	put_maps(device);
	snprintf(name, sizeof(name), "uio/uio%d/name", device->number);
	put(device, name, "uio_hv_generic");
	snprintf(name, sizeof(name), "uio/uio%d/version", device->number);
	put(device, name, "0.02.1");
	snprintf(name, sizeof(name), "uio/uio%d/event", device->number);
	put(device, name, "0");
	snprintf(name, sizeof(name), "uio/uio%d/dev", device->number);
	put(device, name, "%d:%d", UIO_MAJOR, device->number);
	snprintf(name, sizeof(name), "uio/uio%d/uevent", device->number);
	put(device, name, "MAJOR=%d\nMINOR=%d\nDEVNAME=uio%d", UIO_MAJOR, device->number,
		device->number);
}

static void
put_device(struct rig_device *device)
{
	put(device, "class_id", "{" NIC_CLASS "}");
	put(device, "device_id", "{%s}", device->slot->name);
	put(device, "id", "%u", device->info.relid);
	if (rig_monitor_id(device, 0) >= 0)
		put(device, "monitor_id", "%d", rig_monitor_id(device, 0));
	put(device, "numa_node", "%d", device->info.numa_node);
	put(device, "vendor", "0x1414");
	put(device, "device", "0x3");
	put(device, "modalias", "vmbus:" NIC_MODALIAS);
	put(device, "channel_vp_mapping", "%u:0", device->info.relid);
	put(device, "driver_override", "uio_hv_generic");
	put(device, "uevent", "DRIVER=uio_hv_generic\nMODALIAS=vmbus:" NIC_MODALIAS);
	rig_tree_state(device, 2);
}

/* Link @p name, under rig_options.dir, to @p target. */
static void
put_link(const char *target, const char *format, ...)
{
	char path[RIG_PATH];
	va_list args;
	int n = snprintf(path, sizeof(path), "%.255s", rig_options.dir);

	va_start(args, format);
	vsnprintf(path + n, sizeof(path) - (size_t)n, format, args);
	va_end(args);
	make_folders(path);
	unlink(path);
	if (symlink(target, path) != 0)
		rig_log("%s: %s", path, strerror(errno));
}

int
rig_tree_build(struct rig_device *device)
{
	const char *name = device->slot->name;
	char path[RIG_PATH], target[128];
	int fd;

	device_path(device, path, "%s", "");
	rig_remove_all(path);
	put_device(device);
	put_uio(device);
	rig_tree_channel(device, 0, true);
	put_link("../../../../bus/vmbus/drivers/uio_hv_generic", "/sys/" BUS_FOLDER "/%s/driver",
		name);
	snprintf(path, sizeof(path), "%.255s/sys/bus/vmbus/drivers/uio_hv_generic/",
		rig_options.dir);
	make_folders(path);
	/* The node before the name by which it is found. */
	snprintf(path, sizeof(path), "%.255s/dev/uio%d", rig_options.dir, device->number);
	make_folders(path);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, rig_options.deny_node ? 0 : 0600);
	if (fd < 0)
		return -errno;
	close(fd);
	snprintf(target, sizeof(target), "../../../" BUS_FOLDER "/%s", name);
	put_link(target, "/sys/bus/vmbus/devices/%s", name);
	return 0;
}

void
rig_tree_remove(struct rig_device *device)
{
	char path[RIG_PATH];

	snprintf(path, sizeof(path), "%.255s/sys/bus/vmbus/devices/%s", rig_options.dir,
		device->slot->name);
	unlink(path);
	snprintf(path, sizeof(path), "%.255s/dev/uio%d", rig_options.dir, device->number);
	unlink(path);
	device_path(device, path, "%s", "");
	rig_remove_all(path);
}

/* The driver is gone, the device stays: its folder, without what the driver had put there. */
void
rig_tree_unbind(struct rig_device *device)
{
	char path[RIG_PATH];

	snprintf(path, sizeof(path), "%.255s/dev/uio%d", rig_options.dir, device->number);
	unlink(path);
	device_path(device, path, "driver");
	unlink(path);
	device_path(device, path, "uio");
	rig_remove_all(path);
}

static void
channel_put(struct rig_device *device, unsigned int k, const char *attr, const char *value)
{
	char name[64];

	/* Not below channels/ yet: the folder appears with all that is in it. */
	snprintf(name, sizeof(name), "new-%u/%s", k, attr);
	put(device, name, "%s", value);
}

/* A process without privileges cannot make files of root's: some that nobody may open stand in. */
static void
make_ring(const char *path, uint32_t ring_bytes, bool denied)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, denied ? 0 : 0600);

	if (fd < 0 || ftruncate(fd, 2 * (off_t)ring_bytes) != 0)
		rig_log("%s: %s", path, strerror(errno));
	close(fd);
}

void
rig_tree_channel(struct rig_device *device, unsigned int k, bool ring)
{
	static const char *const zeroes[] = {"out_mask", "read_avail", "pending", "interrupts",
		"events", "intr_in_full", "intr_out_empty", "out_full_first", "out_full_total"};
	char text[32], path[RIG_PATH], hidden[RIG_PATH];
	size_t i;

	for (i = 0; i < sizeof(zeroes) / sizeof(zeroes[0]); i++)
		channel_put(device, k, zeroes[i], "0");
	channel_put(device, k, "in_mask", "1");
	channel_put(device, k, "latency", "500");
	snprintf(text, sizeof(text), "%u", device->channel[k].ring_bytes - VMBUS_DEVICE_PAGE);
	channel_put(device, k, "write_avail", text);
	snprintf(text, sizeof(text), "%u", k);
	channel_put(device, k, "cpu", text);
	if (rig_monitor_id(device, k) >= 0) {
		snprintf(text, sizeof(text), "%d", rig_monitor_id(device, k));
		channel_put(device, k, "monitor_id", text);
	}
	snprintf(text, sizeof(text), "%u", k);
	channel_put(device, k, "subchannel_id", text);
	if (ring) {
		device_path(device, hidden, "new-%u/ring", k);
		make_ring(hidden, device->channel[k].ring_bytes, rig_options.deny_rings && k != 0);
	}
	device_path(device, hidden, "new-%u", k);
	device_path(device, path, "channels/%u", device->channel[k].relid);
	make_folders(path);
	if (rename(hidden, path) != 0)
		rig_log("%s: %s", path, strerror(errno));
	device->channel[k].listed = true;
}

void
rig_tree_ring(struct rig_device *device, unsigned int k)
{
	char path[RIG_PATH], hidden[RIG_PATH];

	/* The file appears with its size, not before. */
	device_path(device, hidden, "ring-%u", k);
	device_path(device, path, "channels/%u/ring", device->channel[k].relid);
	make_ring(hidden, device->channel[k].ring_bytes, rig_options.deny_rings && k != 0);
	if (rename(hidden, path) != 0)
		rig_log("%s: %s", path, strerror(errno));
}

void
rig_tree_calls(struct rig_device *device, unsigned int k)
{
	char path[RIG_PATH], text[32];
	int fd, n;

	device_path(device, path, "channels/%u/events", device->channel[k].relid);
	n = snprintf(text, sizeof(text), "%llu\n", (unsigned long long)device->channel[k].calls);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || pwrite(fd, text, (size_t)n, 0) != n)
		rig_log("%s: %s", path, strerror(errno));
	close(fd);
}

void
rig_tree_channel_remove(struct rig_device *device, unsigned int k)
{
	char path[RIG_PATH];

	device_path(device, path, "channels/%u", device->channel[k].relid);
	rig_remove_all(path);
	device->channel[k].listed = false;
}

/* ---- events ---- */

static void
send_event(const char *action, const char *path, const char *rest, size_t rest_len)
{
	char text[1024];
	int n;

	n = snprintf(text, sizeof(text), "%s@%s%cACTION=%s%cDEVPATH=%s%c", action, path, 0, action,
		0, path, 0);
	memcpy(text + n, rest, rest_len);
	n += (int)rest_len;
	n += snprintf(text + n, sizeof(text) - (size_t)n, "SEQNUM=%u", sequence++) + 1;
	rig_uevent_send(text, (size_t)n);
}

void
rig_tree_uevent(struct rig_device *device, const char *action)
{
	static const char bound[] = "SUBSYSTEM=vmbus\0DRIVER=uio_hv_generic\0"
				    "MODALIAS=vmbus:" NIC_MODALIAS,
			  bare[] = "SUBSYSTEM=vmbus\0MODALIAS=vmbus:" NIC_MODALIAS;
	char path[256], rest[128];
	int n;

	if (strcmp(action, "bind") == 0 || strcmp(action, "unbind") == 0) {
		snprintf(path, sizeof(path), "/" BUS_FOLDER "/%s", device->slot->name);
		if (action[0] == 'b')
			send_event(action, path, bound, sizeof(bound));
		else
			send_event(action, path, bare, sizeof("SUBSYSTEM=vmbus"));
		return;
	}
	if (strcmp(action, "add") == 0 || strcmp(action, "remove") == 0 ||
		strcmp(action, "leave") == 0) {
		snprintf(path, sizeof(path), "/" BUS_FOLDER "/%s/uio/uio%d", device->slot->name,
			device->number);
		n = snprintf(rest, sizeof(rest), "MAJOR=%d%cMINOR=%d%cDEVNAME=uio%d%cSUBSYSTEM=uio",
			UIO_MAJOR, 0, device->number, 0, device->number, 0);
		send_event(action[0] == 'l' ? "remove" : action, path, rest, (size_t)n + 1);
	}
	if (strcmp(action, "remove") == 0) {
		snprintf(path, sizeof(path), "/" BUS_FOLDER "/%s", device->slot->name);
		send_event("unbind", path, bare, sizeof("SUBSYSTEM=vmbus"));
		send_event(action, path, bare, sizeof(bare));
	}
}
