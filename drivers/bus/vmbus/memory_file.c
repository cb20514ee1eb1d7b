/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/bus/vmbus/memory_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* One line of /proc/self/maps. */
struct mapping {
	uintptr_t start, end;
	uint64_t offset;
	dev_t dev;
	ino_t inode;
	bool shared;
};

static bool
mapping_parse(const char *line, struct mapping *m)
{
	unsigned int major, minor;
	unsigned long inode;
	char perms[5];

	if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %" SCNx64 " %x:%x %lu", &m->start, &m->end,
		    perms, &m->offset, &major, &minor, &inode) != 7)
		return false;
	m->dev = makedev(major, minor);
	m->inode = inode;
	m->shared = perms[3] == 's';
	return true;
}

static int
mapping_of(uintptr_t addr, struct mapping *m)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char *line = NULL;
	size_t room = 0;
	int rc = -ENOENT;

	if (maps == NULL)
		return -errno;
	while (rc != 0 && getline(&line, &room, maps) > 0)
		if (mapping_parse(line, m) && addr >= m->start && addr < m->end)
			rc = 0;
	free(line);
	fclose(maps);
	return rc;
}

static bool
is_file(int fd, const struct mapping *m)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && st.st_ino == m->inode && st.st_dev == m->dev;
}

/* A descriptor that the application has kept: all there is of a file without a name. */
static int
kept_open(const struct mapping *m)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	int fd = -1;

	if (dir == NULL)
		return -errno;
	while (fd < 0 && (entry = readdir(dir)) != NULL) {
		char *end;
		long number = strtol(entry->d_name, &end, 10);

		if (end != entry->d_name && *end == '\0' && is_file((int)number, m))
			fd = fcntl((int)number, F_DUPFD_CLOEXEC, 0);
	}
	closedir(dir);
	return fd;
}

int
hpbus_memory_file(uintptr_t addr, size_t *len, uint64_t *offset)
{
	struct mapping m = {0};
	char path[64];
	int fd, rc;

	rc = mapping_of(addr, &m);
	if (rc != 0)
		return rc;
	if (!m.shared || m.inode == 0)
		return -ENOTSUP;
	fd = kept_open(&m);
	if (fd < 0) {
		/* The mapping itself as a file; for root only. */
		snprintf(path, sizeof(path), "/proc/self/map_files/%" PRIxPTR "-%" PRIxPTR, m.start,
			m.end);
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (!is_file(fd, &m)) {
		if (fd >= 0)
			close(fd);
		return -ENOTSUP;
	}
	*len = m.end - addr;
	*offset = m.offset + (addr - m.start);
	return fd;
}

int
hpbus_memory_hugepages(uintptr_t addr, size_t *len, size_t *page)
{
	FILE *maps = fopen("/proc/self/smaps", "re");
	struct mapping m = {0}, next;
	size_t room = 0, kib = 0;
	bool inside = false;
	char *line = NULL;

	if (maps == NULL)
		return -errno;
	while (kib == 0 && getline(&line, &room, maps) > 0) {
		if (mapping_parse(line, &next)) {
			if (inside)
				break;
			m = next;
			inside = addr >= m.start && addr < m.end;
		} else if (inside) {
			sscanf(line, "KernelPageSize: %zu", &kib);
		}
	}
	free(line);
	fclose(maps);
	if (!inside)
		return -ENOENT;
	*len = m.end - addr;
	*page = kib << 10;
	return m.shared && *page > (size_t)sysconf(_SC_PAGESIZE) ? 0 : -ENOTSUP;
}
