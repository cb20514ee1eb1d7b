/* SPDX-License-Identifier: BSD-3-Clause */
/* The machine around the devices: kernel version, NUMA nodes, huge pages. */
#include "app/vmbusctl/ctl.h"

#include <dirent.h>
#include <numa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
parse_version(const char *text, struct ctl_version *v)
{
	v->patch = 0;
	return sscanf(text, "%u.%u.%u", &v->major, &v->minor, &v->patch) >= 2;
}

bool
ctl_kernel(const struct ctl *ctl, char release[128], struct ctl_version *version)
{
	char line[512], *at;

	if (!ctl_read_line(ctl->fs.proc, "sys/kernel/osrelease", release, 128))
		return false;
	/* Ubuntu's own number hides the stable release: "Ubuntu 5.15.0-1041.48-azure 5.15.111". */
	if (ctl_read_line(ctl->fs.proc, "version_signature", line, sizeof(line)) &&
		(at = strrchr(line, ' ')) != NULL && parse_version(at + 1, version))
		return true;
	/* So does Debian's: "... Debian 6.1.192-1 (2025-12-20)". */
	if (ctl_read_line(ctl->fs.proc, "version", line, sizeof(line)))
		for (at = line; (at = strstr(at, " Debian ")) != NULL; at++)
			if (parse_version(at + 8, version))
				return true;
	return parse_version(release, version);
}

/* libnuma only knows the machine it runs on. */
static bool
is_this_machine(const struct ctl *ctl)
{
	return strcmp(ctl->fs.sys, "/sys") == 0 && numa_available() >= 0;
}

unsigned int
ctl_numa_nodes(const struct ctl *ctl)
{
	char path[VMBUS_SYSFS_PATH_MAX];
	struct dirent *entry;
	unsigned int n = 0;
	uint32_t node;
	DIR *d;

	if (is_this_machine(ctl))
		return (unsigned int)numa_num_configured_nodes();
	snprintf(path, sizeof(path), "%s/devices/system/node", ctl->fs.sys);
	d = opendir(path);
	while (d != NULL && (entry = readdir(d)) != NULL)
		if (strncmp(entry->d_name, "node", 4) == 0 &&
			vmbus_parse_u32(entry->d_name + 4, 1023, &node) == 0)
			n++;
	if (d != NULL)
		closedir(d);
	return n;
}

static void
format_cpus(const struct bitmask *cpus, char *text, size_t size)
{
	unsigned int i, first, n = 0;

	text[0] = '\0';
	for (i = 0; i < cpus->size && n + 24 < size; i++) {
		if (!numa_bitmask_isbitset(cpus, i))
			continue;
		for (first = i; i + 1 < cpus->size && numa_bitmask_isbitset(cpus, i + 1);)
			i++;
		n += (unsigned int)snprintf(text + n, size - n, n == 0 ? "%u" : ",%u", first);
		if (i > first)
			n += (unsigned int)snprintf(text + n, size - n, "-%u", i);
	}
}

void
ctl_numa_cpus(const struct ctl *ctl, int node, char *text, size_t size)
{
	struct bitmask *cpus;
	char path[64];

	text[0] = '\0';
	if (node < 0)
		return;
	if (is_this_machine(ctl)) {
		cpus = numa_allocate_cpumask();
		if (numa_node_to_cpus(node, cpus) == 0)
			format_cpus(cpus, text, size);
		numa_free_cpumask(cpus);
		return;
	}
	snprintf(path, sizeof(path), "devices/system/node/node%d/cpulist", node);
	if (vmbus_sysfs_read(&ctl->fs, path, text, size) < 0)
		text[0] = '\0';
}

uint64_t
ctl_hugepages(const struct ctl *ctl, int node)
{
	char dir[128], path[VMBUS_SYSFS_PATH_MAX], attr[512], text[32];
	struct dirent *entry;
	uint64_t bytes = 0;
	unsigned int kib;
	uint32_t pages;
	DIR *d;

	if (node < 0)
		strcpy(dir, "kernel/mm/hugepages");
	else
		snprintf(dir, sizeof(dir), "devices/system/node/node%d/hugepages", node);
	snprintf(path, sizeof(path), "%s/%s", ctl->fs.sys, dir);
	d = opendir(path);
	while (d != NULL && (entry = readdir(d)) != NULL) {
		if (sscanf(entry->d_name, "hugepages-%ukB", &kib) != 1)
			continue;
		snprintf(attr, sizeof(attr), "%s/%s/free_hugepages", dir, entry->d_name);
		if (vmbus_sysfs_read(&ctl->fs, attr, text, sizeof(text)) > 0 &&
			vmbus_parse_u32(text, UINT32_MAX, &pages) == 0)
			bytes += (uint64_t)pages * kib * 1024;
	}
	if (d != NULL)
		closedir(d);
	return bytes;
}
