/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Processes that hold a uio device: a descriptor or a mapping each keep the channel open on the
 * host (spec/linux-uio-vmbus.md §7, last close).
 */
#include "app/vmbusctl/ctl.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

struct node {
	char plain[32];			   /* /dev/uio<N> */
	char rooted[VMBUS_SYSFS_PATH_MAX]; /* the same under the root in use */
	bool has_number;
	unsigned int major, minor;
};

static bool
is_node_path(const struct node *node, const char *path)
{
	return strcmp(path, node->plain) == 0 || strcmp(path, node->rooted) == 0;
}

static bool
holds_descriptor(const struct ctl *ctl, const char *pid, const struct node *node)
{
	char dir[VMBUS_SYSFS_PATH_MAX], path[VMBUS_SYSFS_PATH_MAX + 272], target[512];
	struct dirent *entry;
	struct stat st;
	bool found = false;
	ssize_t n;
	DIR *d;

	snprintf(dir, sizeof(dir), "%s/%.16s/fd", ctl->fs.proc, pid);
	d = opendir(dir);
	if (d == NULL)
		return false;
	while (!found && (entry = readdir(d)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		n = readlink(path, target, sizeof(target) - 1);
		if (n < 0)
			continue;
		target[n] = '\0';
		/* A container may have the node under another name. */
		found = is_node_path(node, target) ||
			(node->has_number && stat(path, &st) == 0 && S_ISCHR(st.st_mode) &&
				major(st.st_rdev) == node->major &&
				minor(st.st_rdev) == node->minor);
	}
	closedir(d);
	return found;
}

static bool
holds_mapping(const struct ctl *ctl, const char *pid, const struct node *node)
{
	char path[VMBUS_SYSFS_PATH_MAX], *line = NULL, *name;
	size_t room = 0;
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%.16s/maps", ctl->fs.proc, pid);
	f = fopen(path, "re");
	if (f == NULL)
		return false;
	while (!found && getline(&line, &room, f) > 0) {
		name = strchr(line, '/');
		if (name == NULL)
			continue;
		name[strcspn(name, " \n")] = '\0';
		found = is_node_path(node, name);
	}
	free(line);
	fclose(f);
	return found;
}

static int
by_pid(const void *a, const void *b)
{
	return ((const struct ctl_user *)a)->pid - ((const struct ctl_user *)b)->pid;
}

/* All processes that hold it. */
static unsigned int
find_users(const struct ctl *ctl, const struct node *node, struct ctl_user users[CTL_USERS_MAX])
{
	char path[64];
	struct dirent *entry;
	unsigned int n = 0;
	uint32_t pid;
	DIR *d;

	d = opendir(ctl->fs.proc[0] == '\0' ? "/" : ctl->fs.proc);
	if (d == NULL)
		return 0;
	while ((entry = readdir(d)) != NULL) {
		if (vmbus_parse_u32(entry->d_name, INT32_MAX, &pid) < 0 ||
			(!holds_descriptor(ctl, entry->d_name, node) &&
				!holds_mapping(ctl, entry->d_name, node)))
			continue;
		if (n < CTL_USERS_MAX) {
			users[n].pid = (int)pid;
			snprintf(path, sizeof(path), "%u/comm", pid);
			if (!ctl_read_line(
				    ctl->fs.proc, path, users[n].command, sizeof(users[n].command)))
				strcpy(users[n].command, "?");
			n++;
		}
	}
	closedir(d);
	qsort(users, n, sizeof(*users), by_pid);
	return n;
}

unsigned int
ctl_users(const struct ctl *ctl, const struct vmbus_sysfs_device *device,
	struct ctl_user users[CTL_USERS_MAX])
{
	char path[VMBUS_SYSFS_PATH_MAX], text[64];
	struct node node = {0};

	if (device->uio < 0)
		return 0;
	snprintf(node.plain, sizeof(node.plain), "/dev/uio%d", device->uio);
	snprintf(node.rooted, sizeof(node.rooted), "%s/uio%d", ctl->fs.dev, device->uio);
	snprintf(path, sizeof(path), "bus/vmbus/devices/%s/uio/uio%d/dev", device->name,
		device->uio);
	node.has_number = vmbus_sysfs_read(&ctl->fs, path, text, sizeof(text)) > 0 &&
			  sscanf(text, "%u:%u", &node.major, &node.minor) == 2;
	return find_users(ctl, &node, users);
}

unsigned int
ctl_vfio_users(const struct ctl *ctl, const char *pci, struct ctl_user users[CTL_USERS_MAX])
{
	char path[VMBUS_SYSFS_PATH_MAX], target[512];
	struct node node = {0};
	const char *group;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/bus/pci/devices/%.15s/iommu_group", ctl->fs.sys, pci);
	n = readlink(path, target, sizeof(target) - 1);
	if (n <= 0)
		return 0;
	target[n] = '\0';
	group = strrchr(target, '/') == NULL ? target : strrchr(target, '/') + 1;
	/* Without an IOMMU the group is vfio's own and its node has another name. */
	snprintf(node.plain, sizeof(node.plain), "/dev/vfio/%.15s", group);
	snprintf(node.rooted, sizeof(node.rooted), "/dev/vfio/noiommu-%.15s", group);
	return find_users(ctl, &node, users);
}
