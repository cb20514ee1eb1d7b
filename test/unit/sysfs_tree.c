/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/unit/sysfs_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char tree_root[256];

const struct tree_kernel tree_kernels[] = {
	{"4.10", "vmbus-", false, false, false, true, false, 3, "monitor_pages", {NULL, NULL}},
	{"4.14", "", true, false, false, true, false, 3, "monitor_pages", {NULL, NULL}},
	{"4.18", "", true, true, true, true, false, 5, "monitor_page",
		{"0x0000000000f00000", "0x0000000000f00000"}},
	{"6.1", "", true, true, true, true, false, 5, "monitor_page",
		{"0x0000000001f00000", "0x0000000001000000"}},
	{"6.18", "", true, true, true, false, false, 5, "monitor_page",
		{"0x0000000001f00000", "0x0000000001000000"}},
	{"7.2", "", true, true, true, true, true, 5, "monitor_page",
		{"0x0000000001f00000", "0x0000000001000000"}},
};
const size_t tree_n_kernels = sizeof(tree_kernels) / sizeof(tree_kernels[0]);

static void
die(const char *what, const char *path)
{
	fprintf(stderr, "fixture: %s %s: %s\n", what, path, strerror(errno));
	exit(EXIT_FAILURE);
}

/* Full path, with its folders made. */
static const char *
full_path(const char *path)
{
	static char full[1024];
	char *slash;

	if ((size_t)snprintf(full, sizeof(full), "%s/%s", tree_root, path) >= sizeof(full))
		die("path too long", path);
	for (slash = full + strlen(tree_root); (slash = strchr(slash + 1, '/')) != NULL;) {
		*slash = '\0';
		if (mkdir(full, 0755) < 0 && errno != EEXIST)
			die("mkdir", full);
		*slash = '/';
	}
	return full;
}

void
tree_put_bytes(const char *path, const void *bytes, size_t n)
{
	const char *full = full_path(path);
	int fd = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, bytes, n) != (ssize_t)n || close(fd) < 0)
		die("write", full);
}

void
tree_put(const char *path, const char *text)
{
	tree_put_bytes(path, text, strlen(text));
}

void
tree_size(const char *path, long bytes)
{
	tree_put(path, "");
	if (truncate(full_path(path), bytes) < 0)
		die("truncate", path);
}

void
tree_link(const char *path, const char *target)
{
	const char *full = full_path(path);

	unlink(full);
	if (symlink(target, full) < 0)
		die("symlink", full);
}

void
tree_mkdir(const char *path)
{
	const char *full = full_path(path);

	if (mkdir(full, 0755) < 0 && errno != EEXIST)
		die("mkdir", full);
}

static int
delete_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

void
tree_delete(const char *path)
{
	const char *full = full_path(path);

	if (nftw(full, delete_one, 16, FTW_DEPTH | FTW_PHYS) < 0 && errno != ENOENT)
		die("remove", full);
}

void
tree_remove(void)
{
	if (nftw(tree_root, delete_one, 16, FTW_DEPTH | FTW_PHYS) < 0)
		die("remove", tree_root);
	tree_root[0] = '\0';
}

/* `dir`/`attr` with one formatted value and the newline every attribute ends in. */
static void __attribute__((format(printf, 3, 4)))
put(const char *dir, const char *attr, const char *fmt, ...)
{
	char path[768], text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text) - 1, fmt, ap);
	va_end(ap);
	strcat(text, "\n");
	snprintf(path, sizeof(path), "%s/%s", dir, attr);
	tree_put(path, text);
}

static void
build_channel(const struct tree_kernel *k, const char *nic, unsigned int relid, unsigned int index,
	unsigned int monitor)
{
	char dir[512], path[640];

	snprintf(dir, sizeof(dir), "%s/channels/%u", nic, relid);
	if (k->subchannel_id)
		put(dir, "subchannel_id", "%u", index);
	if (k->subchannel_id && k->monitor)
		put(dir, "monitor_id", "%u", monitor);
	put(dir, "cpu", "%u", index);
	put(dir, "in_mask", "1");
	put(dir, "out_mask", "0");
	put(dir, "read_avail", "0");
	put(dir, "write_avail", "2093056");
	if (k->subchannel_id) {
		snprintf(path, sizeof(path), "%s/ring", dir);
		tree_size(path, 4194304);
	}
}

static void
build_uio(const struct tree_kernel *k, const char *nic, unsigned int n)
{
	const char *const names[] = {"txrx_rings", "int_page", k->map2, NULL, NULL};
	const char *const addrs[] = {"0x0000000108000000", "0xffff8b2c01a2b000",
		"0xffff8b2c01a2c000", "0xffffb5a1c2400000", "0xffffb5a1c4400000"};
	const char *const sizes[] = {"0x0000000000400000", "0x0000000000001000",
		"0x0000000000001000", k->buf_size[0], k->buf_size[1]};
	char dir[512], map[640];
	unsigned int i;

	snprintf(dir, sizeof(dir), "%s/uio/uio%u", nic, n);
	put(dir, "name", "uio_hv_generic");
	put(dir, "version", "0.02.1");
	put(dir, "event", "9");
	put(dir, "dev", "245:%u", n);
	put(dir, "uevent", "MAJOR=245\nMINOR=%u\nDEVNAME=uio%u", n, n);
	for (i = 0; i < k->maps; i++) {
		snprintf(map, sizeof(map), "%s/maps/map%u", dir, i);
		if (i < 3)
			put(map, "name", "%s", names[i]);
		else
			put(map, "name", "%s:%u", i == 3 ? "recv" : "send", 925213 + 2 * n + i - 3);
		put(map, "addr", "%s", addrs[i]);
		put(map, "size", "%s", sizes[i]);
		put(map, "offset", "0x0");
	}
}

static void
build_nic(const struct tree_kernel *k, const char *guid, unsigned int relid, unsigned int monitor,
	unsigned int uio, unsigned int subchannels)
{
	char dir[256], path[384];
	unsigned int i;

	/* The directory is a link into the device tree, whose shape varies: nobody may parse it. */
	snprintf(dir, sizeof(dir), "sys/devices/LNXSYSTM:00/MSFT1000:00/%s%s", k->prefix, guid);
	tree_mkdir(dir);
	snprintf(path, sizeof(path), "sys/bus/vmbus/devices/%s%s", k->prefix, guid);
	snprintf(
		dir, sizeof(dir), "../../../devices/LNXSYSTM:00/MSFT1000:00/%s%s", k->prefix, guid);
	tree_link(path, dir);
	strcpy(dir, path);
	put(dir, "class_id", "{f8615163-df3e-46c5-913f-f2d2f965ed0e}");
	put(dir, "device_id", "{%s}", guid);
	put(dir, "id", "%u", relid);
	put(dir, "state", "3");
	if (k->monitor)
		put(dir, "monitor_id", "%u", monitor);
	put(dir, "numa_node", "0");
	put(dir, "modalias", "vmbus:635161f83edfc546913ff2d2f965ed0e");
	if (k->override)
		put(dir, "driver_override", "uio_hv_generic");
	snprintf(path, sizeof(path), "%s/driver", dir);
	tree_link(path, "../../../../bus/vmbus/drivers/uio_hv_generic");
	for (i = 0; k->channels && i <= subchannels; i++)
		build_channel(k, dir, i == 0 ? relid : relid + 6 + i, i,
			i == 0 ? monitor : monitor + 8 + i);
	build_uio(k, dir, uio);
}

/* A channel without monitor, smaller rings and three maps: what no NIC has. */
static void
build_fcopy(void)
{
	static const struct tree_kernel few_maps = {.maps = 3, .map2 = "monitor_page"};
	static const char dir[] = "sys/bus/vmbus/devices/" TREE_FCOPY;
	static const char channel[] = "sys/bus/vmbus/devices/" TREE_FCOPY "/channels/9";

	put(dir, "class_id", "{34d14be3-dee4-41c8-9ae7-6b174977c192}");
	put(dir, "device_id", "{%s}", TREE_FCOPY);
	put(dir, "id", "9");
	put(dir, "state", "2");
	put(dir, "numa_node", "0");
	put(dir, "driver_override", "(null)");
	tree_link("sys/bus/vmbus/devices/" TREE_FCOPY "/driver",
		"../../../../bus/vmbus/drivers/uio_hv_generic");
	put(channel, "subchannel_id", "0");
	put(channel, "cpu", "0");
	tree_size("sys/bus/vmbus/devices/" TREE_FCOPY "/channels/9/ring", 32768);
	build_uio(&few_maps, dir, 2);
}

void
tree_build(const struct tree_kernel *kernel)
{
	char path[300];

	/* In memory where it can be: a disk that others are busy with takes seconds for a tree. */
	snprintf(tree_root, sizeof(tree_root), "%s/hyperpoll-sysfs.XXXXXX",
		access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp");
	if (mkdtemp(tree_root) == NULL)
		die("mkdtemp", tree_root);
	build_nic(kernel, TREE_NIC, 14, 3, 0, kernel->subchannel_id ? 3 : 0);
	build_nic(kernel, TREE_NEIGHBOUR, 40, 7, 1, 0);
	if (kernel->fcopy)
		build_fcopy();
	tree_put("sys/bus/pci/slots/2/address", "0001:00:02\n");
	tree_mkdir("dev");
	tree_mkdir("proc");
	snprintf(path, sizeof(path), "%s/sys", tree_root);
	setenv("HYPERPOLL_SYSFS_ROOT", path, 1);
	snprintf(path, sizeof(path), "%s/dev", tree_root);
	setenv("HYPERPOLL_DEV_ROOT", path, 1);
	snprintf(path, sizeof(path), "%s/proc", tree_root);
	setenv("HYPERPOLL_PROC_ROOT", path, 1);
}
