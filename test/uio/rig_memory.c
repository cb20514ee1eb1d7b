/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The process's mappings: those of device files, which keep a device open, and those of memory
 * that the host can be given (spec/vmbus-over-vfio-user.md §11). On a real machine the host simply
 * sees guest memory; here it must be told.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "test/uio/rig.h"

#define HUGETLBFS 0x958458f6
#define PAGE	  4096u

/* A file of memory, kept open read-only: later connections need it again. */
struct backing {
	LIST_ENTRY(backing) next;
	dev_t dev;
	ino_t ino;
	int fd;
	size_t block; /* page size */
	unsigned int users;
};

struct area {
	LIST_ENTRY(area) next;
	uintptr_t start;
	size_t len;
	struct rig_device *device; /* of a device file, else NULL */
	bool ring;
	/* Memory: */
	struct backing *backing;
	uint64_t offset;
	uint64_t iova[RIG_MAX_SLOTS]; /* as told to that slot's host */
	unsigned int told;	      /* bits */
};

static LIST_HEAD(, area) areas = LIST_HEAD_INITIALIZER(areas);
static LIST_HEAD(, backing) backings = LIST_HEAD_INITIALIZER(backings);

/* ---- memory files ---- */

/* Hugepages and memfds only: a file on disk is no memory, and hvsim would refuse it. */
static bool
is_memory(int fd, const struct stat *st)
{
	char link[64], target[16];
	struct statfs fs;
	ssize_t n;

	if (!S_ISREG(st->st_mode) || fcntl(fd, F_GET_SEALS) < 0)
		return false;
	if (fstatfs(fd, &fs) == 0 && fs.f_type == HUGETLBFS)
		return true;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, target, sizeof(target));
	return n >= 7 && memcmp(target, "/memfd:", 7) == 0;
}

static struct backing *
backing_get(int fd)
{
	struct backing *b;
	struct stat st;

	if (syscall(SYS_fstat, fd, &st) != 0 || !is_memory(fd, &st))
		return NULL;
	LIST_FOREACH(b, &backings, next)
	if (b->dev == st.st_dev && b->ino == st.st_ino)
		return b;
	b = calloc(1, sizeof(*b));
	if (b == NULL)
		return NULL;
	b->fd = vfu_reopen_read_only(fd);
	if (b->fd < 0) {
		free(b);
		return NULL;
	}
	b->dev = st.st_dev;
	b->ino = st.st_ino;
	b->block = st.st_blksize > (long)PAGE ? (size_t)st.st_blksize : 0;
	LIST_INSERT_HEAD(&backings, b, next);
	return b;
}

static void
backing_put(struct backing *b)
{
	if (--b->users > 0)
		return;
	close(b->fd);
	LIST_REMOVE(b, next);
	free(b);
}

/* ---- addresses ---- */

/* Physical address of a page that is present, or 0. */
static uint64_t
physical(uintptr_t va)
{
	static int pagemap = -2;
	uint64_t entry;

	if (pagemap == -2)
		pagemap = (int)syscall(
			SYS_openat, AT_FDCWD, "/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (pread(pagemap, &entry, sizeof(entry), (off_t)(va / PAGE * sizeof(entry))) !=
			sizeof(entry) ||
		!(entry & UINT64_C(1) << 63))
		return 0;
	return (entry & ((UINT64_C(1) << 55) - 1)) * PAGE;
}

static void
area_tell(struct area *a, unsigned int slot)
{
	struct rig_device *device = rig_slots[slot].device;
	uint64_t iova = a->start;
	int rc;

	if (device == NULL || device->client == NULL || device->gone || a->told & 1u << slot)
		return;
	if (rig_options.physical) {
		/* Contiguous only within one hugepage; other memory may move. */
		iova = a->backing->block == 0 ? 0 : physical(a->start);
		if (iova == 0)
			return;
	}
	rc = vfu_client_dma_map(
		device->client, a->backing->fd, VFIO_USER_DMA_READ_FLAG, a->offset, iova, a->len);
	if (rc == 0) {
		a->iova[slot] = iova;
		a->told |= 1u << slot;
	} else if (rig_options.verbose) {
		rig_log("cannot share %zu bytes at 0x%lx: %s", a->len, (long)a->start,
			strerror(-rc));
	}
}

static void
area_untell(struct area *a)
{
	unsigned int i;

	for (i = 0; i < rig_options.n_sockets; i++) {
		struct rig_device *device = rig_slots[i].device;

		if ((a->told & 1u << i) && device != NULL && device->client != NULL &&
			vfu_client_dma_unmap(device->client, a->iova[i], a->len) != 0 &&
			!device->gone)
			rig_log("the host keeps memory at 0x%lx: %s", (long)a->start,
				vfu_client_error(device->client));
	}
	a->told = 0;
}

void
rig_memory_share(struct rig_slot *slot)
{
	unsigned int i = (unsigned int)(slot - rig_slots);
	struct area *a;

	LIST_FOREACH(a, &areas, next)
	if (a->backing != NULL)
		area_tell(a, i);
}

void
rig_memory_unshared(struct rig_slot *slot)
{
	struct area *a;

	LIST_FOREACH(a, &areas, next)
	a->told &= ~(1u << (slot - rig_slots));
}

/* ---- areas ---- */

static struct area *
area_new(uintptr_t start, size_t len)
{
	struct area *a = calloc(1, sizeof(*a));

	if (a == NULL) {
		rig_log("out of memory");
		abort();
	}
	a->start = start;
	a->len = len;
	LIST_INSERT_HEAD(&areas, a, next);
	return a;
}

/* Another area for a part of @p a. */
static struct area *
area_part(const struct area *a, uintptr_t start, size_t len)
{
	struct area *part = area_new(start, len);

	part->device = a->device;
	part->ring = a->ring;
	part->backing = a->backing;
	part->offset = a->offset + (start - a->start);
	if (part->backing != NULL)
		part->backing->users++;
	if (part->device != NULL && !part->ring)
		part->device->maps++;
	return part;
}

void
rig_area_device(void *start, size_t len, struct rig_file *file)
{
	struct area *a = area_new((uintptr_t)start, (len + PAGE - 1) & ~(size_t)(PAGE - 1));

	a->device = file->device;
	a->ring = file->kind == RIG_FILE_RING;
	if (!a->ring)
		a->device->maps++;
}

void
rig_area_memory(void *start, size_t len, int fd, off_t offset)
{
	struct backing *b = backing_get(fd);
	size_t at, piece;
	unsigned int i;

	if (b == NULL)
		return;
	/* A hugepage each: EAL frees other ranges than it allocated (spec §11). */
	piece = b->block == 0 ? len : b->block;
	for (at = 0; at < len; at += piece) {
		struct area *a =
			area_new((uintptr_t)start + at, len - at < piece ? len - at : piece);

		a->backing = b;
		a->offset = (uint64_t)offset + at;
		b->users++;
		for (i = 0; i < rig_options.n_sockets; i++)
			area_tell(a, i);
	}
}

void
rig_area_forget(void *addr, size_t len)
{
	uintptr_t start = (uintptr_t)addr, end = start + ((len + PAGE - 1) & ~(size_t)(PAGE - 1));
	struct area *a, *next, *part;
	unsigned int i;

	for (a = LIST_FIRST(&areas); a != NULL; a = next) {
		uintptr_t a_end = a->start + a->len;
		struct rig_device *device = a->device;
		bool ring = a->ring;

		next = LIST_NEXT(a, next);
		if (a->start >= end || a_end <= start)
			continue;
		area_untell(a);
		/* New parts go to the head of the list, behind us. */
		if (a->start < start) {
			part = area_part(a, a->start, start - a->start);
			for (i = 0; part->backing != NULL && i < rig_options.n_sockets; i++)
				area_tell(part, i);
		}
		if (a_end > end) {
			part = area_part(a, end, a_end - end);
			for (i = 0; part->backing != NULL && i < rig_options.n_sockets; i++)
				area_tell(part, i);
		}
		if (a->backing != NULL)
			backing_put(a->backing);
		LIST_REMOVE(a, next);
		free(a);
		if (device != NULL && !ring) {
			device->maps--;
			rig_device_released(device);
		}
	}
}

void
rig_revoke_rings(struct rig_device *device)
{
	struct area *a, *next;
	int empty;

	/* A mapping behind the end of its file: every access is a SIGBUS. */
	empty = memfd_create("rig-revoked", MFD_CLOEXEC);
	for (a = LIST_FIRST(&areas); a != NULL; a = next) {
		next = LIST_NEXT(a, next);
		if (a->device != device || !a->ring)
			continue;
		if ((void *)syscall(SYS_mmap, a->start, a->len, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_FIXED, empty, 0) == MAP_FAILED)
			rig_log("cannot revoke a ring: %s", strerror(errno));
		LIST_REMOVE(a, next);
		free(a);
	}
	syscall(SYS_close, empty);
}
