/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "app/hvsim-vm/ram.h"

int
ram_create(struct ram *ram, uint64_t size)
{
	int rc;

	ram->size = size;
	ram->low = ram_low(size);
	ram->fd = memfd_create("hvsim-vm-ram", MFD_CLOEXEC);
	if (ram->fd < 0)
		return -errno;
	if (ftruncate(ram->fd, (off_t)size) != 0)
		goto fail;
	ram->base =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, ram->fd, 0);
	if (ram->base == MAP_FAILED)
		goto fail;
	return 0;
fail:
	rc = -errno;
	close(ram->fd);
	ram->fd = -1;
	ram->base = NULL;
	return rc;
}

void
ram_destroy(struct ram *ram)
{
	if (ram->base == NULL)
		return;
	munmap(ram->base, ram->size);
	close(ram->fd);
	ram->base = NULL;
}

/* Map pfns[0..n) at `at`, one mmap per run of pages that are consecutive in the memfd. */
static int
map_runs(const struct ram *ram, struct ram_view *view, uint8_t *at, const uint64_t *pfns, size_t n)
{
	size_t i = 0;

	while (i < n) {
		uint64_t start, next;
		size_t run = 1;

		if (!ram_offset(ram, pfns[i] << 12, 4096, &start))
			return -EINVAL;
		while (i + run < n && ram_offset(ram, pfns[i + run] << 12, 4096, &next) &&
			next == start + run * 4096)
			run++;
		if (mmap(at + i * 4096, run * 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			    ram->fd, (off_t)start) == MAP_FAILED)
			return -errno;
		view->maps++;
		i += run;
	}
	return 0;
}

int
ram_view_map(
	const struct ram *ram, struct ram_view *view, const uint64_t *pfns, size_t n, size_t repeat)
{
	int rc;

	view->len = (n + (n - repeat)) * 4096;
	view->maps = 0;
	view->base = mmap(
		NULL, view->len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (view->base == MAP_FAILED) {
		view->base = NULL;
		return -errno;
	}
	rc = map_runs(ram, view, view->base, pfns, n);
	if (rc == 0)
		rc = map_runs(ram, view, view->base + n * 4096, pfns + repeat, n - repeat);
	if (rc != 0)
		ram_view_unmap(view);
	return rc;
}

void
ram_view_unmap(struct ram_view *view)
{
	if (view->base != NULL)
		munmap(view->base, view->len);
	view->base = NULL;
	view->len = 0;
	view->maps = 0;
}
