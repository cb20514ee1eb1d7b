/* SPDX-License-Identifier: BSD-3-Clause */
/* Channels, UIO maps and VF slots of a VMBus device (spec/linux-uio-vmbus.md §1.1, §5, §6, §10). */
#include "drivers/bus/vmbus/sysfs.h"
#include "lib/vmbus/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define MAP_BYTES_MAX (UINT64_C(64) << 20)
/* Hyper-V's page; maps 1 and 2 are one of these on every kernel since 6.16, whatever the system's.
 */
#define HV_PAGE 4096u

static void
channel_path(const struct vmbus_sysfs *fs, const char *name, unsigned int relid, const char *attr,
	char path[VMBUS_SYSFS_PATH_MAX])
{
	snprintf(path, VMBUS_SYSFS_PATH_MAX, "%s/bus/vmbus/devices/%s/channels/%u/%s", fs->sys,
		name, relid, attr);
}

static ssize_t
channel_attr(const struct vmbus_sysfs *fs, const char *name, unsigned int relid, const char *attr,
	char *text, size_t size)
{
	char path[VMBUS_SYSFS_PATH_MAX];

	snprintf(path, sizeof(path), "bus/vmbus/devices/%s/channels/%u/%s", name, relid, attr);
	return vmbus_sysfs_read(fs, path, text, size);
}

static int
read_subchannel(struct vmbus_sysfs *fs, const char *name, uint16_t primary, uint16_t granted,
	struct vmbus_sysfs_channel *channel)
{
	bool is_primary = channel->relid == primary;
	uint32_t index = 0;
	char text[64];
	ssize_t n;

	n = channel_attr(fs, name, channel->relid, "subchannel_id", text, sizeof(text));
	if (n == -ENODEV)
		/* Before 4.16, or a directory being made or removed: only the primary is certain.
		 */
		return is_primary ? 0 : -ENODEV;
	if (n < 0 || vmbus_parse_u32(text, UINT16_MAX, &index) < 0 || (index == 0) != is_primary ||
		index > granted) {
		vmbus_sysfs_report(fs, VMBUS_SYSFS_ERROR, name,
			"channel %u has subchannel_id '%.20s', not one the host granted: channel ignored",
			channel->relid, n < 0 ? "" : text);
		return -EINVAL;
	}
	channel->subchannel = (uint16_t)index;
	return 0;
}

static int
read_channel(struct vmbus_sysfs *fs, const char *name, uint16_t primary, uint16_t granted,
	struct vmbus_sysfs_channel *channel)
{
	char path[VMBUS_SYSFS_PATH_MAX], text[64];
	struct stat st;
	ssize_t n;
	int rc;

	rc = read_subchannel(fs, name, primary, granted, channel);
	if (rc < 0)
		return rc;
	channel->monitor_id = -1;
	n = channel_attr(fs, name, channel->relid, "monitor_id", text, sizeof(text));
	if (n >= 0 && vmbus_parse_int(text, 0, VMBUS_MONITOR_ID_MAX, &channel->monitor_id) < 0) {
		channel->monitor_id = -1;
		vmbus_sysfs_report(fs, VMBUS_SYSFS_WARN, name,
			"channel %u has monitor_id '%.20s': treated as a channel without monitor",
			channel->relid, text);
	}
	n = channel_attr(fs, name, channel->relid, "cpu", text, sizeof(text));
	if (n < 0 || vmbus_parse_int(text, 0, 65535, &channel->cpu) < 0)
		channel->cpu = -1;
	channel_path(fs, name, channel->relid, "ring", path);
	if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
		channel->has_ring = true;
		channel->ring_size = (uint64_t)st.st_size;
	}
	return 0;
}

static int
by_subchannel(const void *a, const void *b)
{
	const struct vmbus_sysfs_channel *x = a, *y = b;

	if (x->subchannel != y->subchannel)
		return x->subchannel < y->subchannel ? -1 : 1;
	return x->relid < y->relid ? -1 : x->relid > y->relid;
}

/* Of two channels with one index neither can be believed more: the lower relid stays. */
static unsigned int
drop_duplicates(
	struct vmbus_sysfs *fs, const char *name, struct vmbus_sysfs_channel *list, unsigned int n)
{
	unsigned int i, kept = 0;

	for (i = 0; i < n; i++) {
		if (kept > 0 && list[kept - 1].subchannel == list[i].subchannel) {
			vmbus_sysfs_report(fs, VMBUS_SYSFS_ERROR, name,
				"channels %u and %u both have subchannel_id %u: %u ignored",
				list[kept - 1].relid, list[i].relid, list[i].subchannel,
				list[i].relid);
			continue;
		}
		list[kept++] = list[i];
	}
	return kept;
}

int
vmbus_sysfs_channels(struct vmbus_sysfs *fs, const char *name, uint16_t relid, uint16_t granted,
	struct vmbus_sysfs_channel **channels, unsigned int *n)
{
	char path[VMBUS_SYSFS_PATH_MAX];
	struct vmbus_sysfs_channel *list = NULL, *grown, channel;
	unsigned int used = 0, room = 0;
	struct dirent *entry;
	uint32_t id;
	DIR *d;

	*channels = NULL;
	*n = 0;
	snprintf(path, sizeof(path), "%s/bus/vmbus/devices/%s/channels", fs->sys, name);
	d = opendir(path);
	if (d == NULL)
		return -ENODEV;
	/* At most one entry per relid, so the list is bounded by VMBUS_RELID_MAX. */
	while ((entry = readdir(d)) != NULL) {
		if (vmbus_parse_u32(entry->d_name, VMBUS_RELID_MAX, &id) < 0 || id == 0)
			continue;
		memset(&channel, 0, sizeof(channel));
		channel.relid = (uint16_t)id;
		if (read_channel(fs, name, relid, granted, &channel) < 0)
			continue;
		if (used == room) {
			room = room == 0 ? 16 : 2 * room;
			grown = realloc(list, room * sizeof(*list));
			if (grown == NULL) {
				free(list);
				closedir(d);
				return -ENOMEM;
			}
			list = grown;
		}
		list[used++] = channel;
	}
	closedir(d);
	if (used > 0)
		qsort(list, used, sizeof(*list), by_subchannel);
	*n = drop_duplicates(fs, name, list, used);
	*channels = list;
	return 0;
}

static void
poll_pause(void)
{
	const struct timespec step = {.tv_nsec = VMBUS_SYSFS_POLL_MS * 1000000L};

	nanosleep(&step, NULL);
}

static bool
given_up(const struct vmbus_sysfs *fs)
{
	return fs->given_up != NULL && fs->given_up();
}

int
vmbus_sysfs_ring_wait(struct vmbus_sysfs *fs, const char *name, uint16_t relid, uint16_t granted,
	uint16_t subchannel, unsigned int timeout_ms, struct vmbus_sysfs_channel *channel,
	char *path)
{
	const int64_t deadline = monotonic_ms() + timeout_ms;
	struct vmbus_sysfs quiet = *fs;
	struct vmbus_sysfs_channel *list;
	unsigned int i, n;
	int rc;

	/* A channel that stays malformed would be reported a hundred times a second. */
	quiet.log = NULL;
	for (;;) {
		rc = vmbus_sysfs_channels(&quiet, name, relid, granted, &list, &n);
		/* channels/ itself appears late on a hot-added device (§4). */
		if (rc == -ENODEV && vmbus_sysfs_state(&quiet, name) == -ENODEV)
			return -ENODEV;
		if (rc == -ENOMEM)
			return rc;
		for (i = 0; i < n && list[i].subchannel != subchannel; i++)
			;
		if (i < n && list[i].has_ring) {
			*channel = list[i];
			free(list);
			channel_path(fs, name, channel->relid, "ring", path);
			return 0;
		}
		free(list);
		if (given_up(fs))
			return -ECANCELED;
		if (monotonic_ms() >= deadline)
			break;
		poll_pause();
	}
	/* Once more aloud, for what is wrong with the channels that are there. */
	if (vmbus_sysfs_channels(fs, name, relid, granted, &list, &n) == 0)
		free(list);
	vmbus_sysfs_report(fs, VMBUS_SYSFS_ERROR, name,
		"no ring file for subchannel %u after %u ms: use fewer queues", subchannel,
		timeout_ms);
	return -ETIMEDOUT;
}

int
vmbus_sysfs_ring_open(
	struct vmbus_sysfs *fs, const char *name, const char *path, unsigned int timeout_ms)
{
	const int64_t deadline = monotonic_ms() + timeout_ms;
	int fd, rc;

	for (;;) {
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd >= 0)
			return fd;
		rc = -errno;
		if (given_up(fs))
			return -ECANCELED;
		if ((rc != -EACCES && rc != -EPERM) || monotonic_ms() >= deadline)
			break;
		poll_pause();
	}
	if (rc == -EACCES || rc == -EPERM)
		vmbus_sysfs_report(fs, VMBUS_SYSFS_ERROR, name,
			"no permission for %s, which is root's when it appears: 'vmbusctl bind %s --user "
			"NAME', run by root, has a helper that hands it over; or use one queue",
			path, name);
	return rc;
}

int
vmbus_sysfs_primary_wait(
	struct vmbus_sysfs *fs, const char *name, uint16_t relid, unsigned int timeout_ms)
{
	const int64_t deadline = monotonic_ms() + timeout_ms;
	char path[VMBUS_SYSFS_PATH_MAX];
	struct dirent *entry;
	unsigned int others;
	uint32_t id;
	DIR *d;

	snprintf(path, sizeof(path), "%s/bus/vmbus/devices/%s/channels", fs->sys, name);
	for (;;) {
		/* Directories, not what is in them: one half removed is still an old channel. */
		d = opendir(path);
		if (d == NULL && vmbus_sysfs_state(fs, name) == -ENODEV)
			return -ENODEV;
		others = 0;
		while (d != NULL && (entry = readdir(d)) != NULL)
			if (vmbus_parse_u32(entry->d_name, VMBUS_RELID_MAX, &id) == 0 &&
				id != relid)
				others++;
		if (d != NULL)
			closedir(d);
		if (others == 0)
			return 0;
		if (given_up(fs))
			return -ECANCELED;
		if (monotonic_ms() >= deadline)
			break;
		poll_pause();
	}
	vmbus_sysfs_report(fs, VMBUS_SYSFS_ERROR, name,
		"%u subchannels of a previous owner are still there after %u ms: "
		"close whatever has the device open",
		others, timeout_ms);
	return -ETIMEDOUT;
}

static int
refuse(struct vmbus_sysfs *fs, const char *name, const char *what, const char *text)
{
	vmbus_sysfs_report(fs, VMBUS_SYSFS_ERROR, name,
		"%s '%.40s' is not what uio_hv_generic of Linux 4.16 or later shows: device refused",
		what, text);
	return -EINVAL;
}

static ssize_t
uio_attr(const struct vmbus_sysfs *fs, const char *name, int uio, const char *attr, char *text,
	size_t size)
{
	char path[VMBUS_SYSFS_PATH_MAX];

	snprintf(path, sizeof(path), "bus/vmbus/devices/%s/uio/uio%d/%s", name, uio, attr);
	return vmbus_sysfs_read(fs, path, text, size);
}

static int
read_dev_number(struct vmbus_sysfs *fs, const char *name, struct vmbus_sysfs_uio *uio)
{
	char text[64], *colon;
	uint32_t major_number, minor_number;
	ssize_t n = uio_attr(fs, name, uio->number, "dev", text, sizeof(text));

	if (n == -ENODEV || n == -EACCES)
		return (int)n;
	colon = n < 0 ? NULL : strchr(text, ':');
	if (colon == NULL)
		return refuse(fs, name, "uio device number", n < 0 ? "" : text);
	*colon = '\0';
	if (vmbus_parse_u32(text, UINT32_MAX, &major_number) < 0 ||
		vmbus_parse_u32(colon + 1, UINT32_MAX, &minor_number) < 0)
		return refuse(fs, name, "uio device number", text);
	uio->major = major_number;
	uio->minor = minor_number;
	return 0;
}

static int
read_map(struct vmbus_sysfs *fs, const char *name, int uio, unsigned int i,
	struct vmbus_sysfs_map *map)
{
	char attr[64], text[64];
	uint64_t offset;
	ssize_t n;

	snprintf(attr, sizeof(attr), "maps/map%u/name", i);
	n = uio_attr(fs, name, uio, attr, map->name, sizeof(map->name));
	if (n == -ENODEV && uio_attr(fs, name, uio, "name", text, sizeof(text)) == -ENODEV)
		return -ENODEV;
	if (n < 0) {
		vmbus_sysfs_report(fs, VMBUS_SYSFS_ERROR, name,
			"uio%d has no readable map %u where a NIC has %d: use Linux 4.16 or later",
			uio, i, VMBUS_UIO_MAPS);
		return -EINVAL;
	}
	snprintf(attr, sizeof(attr), "maps/map%u/size", i);
	n = uio_attr(fs, name, uio, attr, text, sizeof(text));
	if (n < 0 || vmbus_parse_hex64(text, &map->size) < 0)
		return refuse(fs, name, attr, n < 0 ? "" : text);
	snprintf(attr, sizeof(attr), "maps/map%u/addr", i);
	n = uio_attr(fs, name, uio, attr, text, sizeof(text));
	if (n < 0 || vmbus_parse_hex64(text, &map->addr) < 0)
		return refuse(fs, name, attr, n < 0 ? "" : text);
	snprintf(attr, sizeof(attr), "maps/map%u/offset", i);
	n = uio_attr(fs, name, uio, attr, text, sizeof(text));
	if (n != -ENODEV && (n < 0 || vmbus_parse_hex64(text, &offset) < 0 || offset != 0))
		return refuse(fs, name, attr, n < 0 ? "" : text);
	return 0;
}

static int
bad_size(struct vmbus_sysfs *fs, const char *name, const struct vmbus_sysfs_map *map)
{
	vmbus_sysfs_report(fs, VMBUS_SYSFS_ERROR, name,
		"map %s has an impossible size of 0x%llx bytes: device refused", map->name,
		(unsigned long long)map->size);
	return -EINVAL;
}

static int
check_maps(struct vmbus_sysfs *fs, const char *name, size_t page, struct vmbus_sysfs_uio *uio)
{
	struct vmbus_sysfs_map *m = uio->maps;
	unsigned int i;

	if (strcmp(m[VMBUS_MAP_RINGS].name, "txrx_rings") != 0)
		return refuse(fs, name, "name of map 0", m[VMBUS_MAP_RINGS].name);
	if (strcmp(m[VMBUS_MAP_INTERRUPT].name, "int_page") != 0)
		return refuse(fs, name, "name of map 1", m[VMBUS_MAP_INTERRUPT].name);
	if (strcmp(m[VMBUS_MAP_MONITOR].name, "monitor_page") != 0)
		return refuse(fs, name, "name of map 2", m[VMBUS_MAP_MONITOR].name);
	if (vmbus_parse_gpadl(m[VMBUS_MAP_RECV].name, "recv:", &uio->recv_gpadl) < 0)
		return refuse(fs, name, "name of map 3", m[VMBUS_MAP_RECV].name);
	if (vmbus_parse_gpadl(m[VMBUS_MAP_SEND].name, "send:", &uio->send_gpadl) < 0)
		return refuse(fs, name, "name of map 4", m[VMBUS_MAP_SEND].name);
	if (uio->recv_gpadl == uio->send_gpadl)
		return refuse(fs, name, "name of map 4, the same handle as map 3,",
			m[VMBUS_MAP_SEND].name);

	/* Two equal rings, each of a control page and at least one page of data. */
	if (m[0].size % (2 * page) != 0 || m[0].size < 4 * page || m[0].size > 2 * MAP_BYTES_MAX)
		return bad_size(fs, name, &m[0]);
	uio->ring_bytes = (uint32_t)(m[0].size / 2);
	for (i = VMBUS_MAP_INTERRUPT; i <= VMBUS_MAP_MONITOR; i++)
		if (m[i].size < HV_PAGE || m[i].size % HV_PAGE != 0 || m[i].size > MAP_BYTES_MAX)
			return bad_size(fs, name, &m[i]);
	for (i = VMBUS_MAP_RECV; i <= VMBUS_MAP_SEND; i++)
		if (m[i].size < page || m[i].size % page != 0 || m[i].size > MAP_BYTES_MAX)
			return bad_size(fs, name, &m[i]);
	return 0;
}

/* The N of the one uio<N>, -ENOENT none, -EEXIST several. */
static int
find_uio(const struct vmbus_sysfs *fs, const char *name)
{
	char path[VMBUS_SYSFS_PATH_MAX];
	struct dirent *entry;
	int number, found = -ENOENT;
	DIR *d;

	snprintf(path, sizeof(path), "%s/bus/vmbus/devices/%s/uio", fs->sys, name);
	d = opendir(path);
	if (d == NULL)
		return errno == EACCES ? -EACCES : -ENOENT;
	while ((entry = readdir(d)) != NULL) {
		number = vmbus_parse_uio_name(entry->d_name);
		if (number >= 0)
			found = found == -ENOENT ? number : -EEXIST;
	}
	closedir(d);
	return found;
}

int
vmbus_sysfs_uio_read(
	struct vmbus_sysfs *fs, const char *name, size_t page_size, struct vmbus_sysfs_uio *uio)
{
	char text[64];
	unsigned int i;
	ssize_t n;
	int rc;

	memset(uio, 0, sizeof(*uio));
	uio->number = find_uio(fs, name);
	if (uio->number == -EEXIST) {
		vmbus_sysfs_report(fs, VMBUS_SYSFS_ERROR, name,
			"uio/ has more than one uio<N> where one device has one: device refused");
		return -EINVAL;
	}
	if (uio->number < 0)
		return uio->number;
	n = uio_attr(fs, name, uio->number, "name", text, sizeof(text));
	if (n == -ENODEV || n == -EACCES)
		return (int)n;
	if (n < 0 || strcmp(text, VMBUS_UIO_DRIVER) != 0)
		return -ENOENT;
	rc = read_dev_number(fs, name, uio);
	for (i = 0; rc == 0 && i < VMBUS_UIO_MAPS; i++)
		rc = read_map(fs, name, uio->number, i, &uio->maps[i]);
	if (rc == 0)
		rc = check_maps(fs, name, page_size, uio);
	snprintf(uio->path, sizeof(uio->path), "%s/uio%d", fs->dev, uio->number);
	return rc;
}

int
vmbus_sysfs_uio_open(struct vmbus_sysfs *fs, const char *name, const struct vmbus_sysfs_uio *uio)
{
	struct vmbus_sysfs_uio again = *uio;
	struct stat st;
	int fd, rc;

	fd = open(uio->path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		rc = -errno;
		if (rc == -EACCES || rc == -EPERM)
			vmbus_sysfs_report(fs, VMBUS_SYSFS_ERROR, name,
				"no permission for %s: run as root, or have root run 'vmbusctl bind %s "
				"--user NAME' first",
				uio->path, name);
		else
			vmbus_sysfs_report(fs, VMBUS_SYSFS_ERROR, name, "cannot open %s: %s",
				uio->path, strerror(-rc));
		return rc;
	}
	/* Between reading sysfs and opening, the number may have gone to another device (§1.2). */
	rc = read_dev_number(fs, name, &again);
	if (rc == 0 &&
		(fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode) || major(st.st_rdev) != again.major ||
			minor(st.st_rdev) != again.minor))
		rc = -ENODEV;
	if (rc < 0) {
		vmbus_sysfs_report(fs, VMBUS_SYSFS_ERROR, name,
			"%s is not the device with number %u:%u that sysfs names: scan again",
			uio->path, again.major, again.minor);
		close(fd);
		return rc;
	}
	return fd;
}

int
vmbus_sysfs_vf(struct vmbus_sysfs *fs, uint32_t serial, struct vmbus_pci_address *address)
{
	char path[64], text[64];
	ssize_t n;

	snprintf(path, sizeof(path), "bus/pci/slots/%u/address", serial);
	n = vmbus_sysfs_read(fs, path, text, sizeof(text));
	if (n == -ENODEV)
		return -ENODEV;
	if (n < 0 || vmbus_parse_slot_address(text, address) < 0) {
		vmbus_sysfs_report(fs, VMBUS_SYSFS_ERROR, NULL,
			"PCI slot %u has address '%.20s', which is none: VF ignored", serial,
			n < 0 ? "" : text);
		return -EINVAL;
	}
	return 0;
}
