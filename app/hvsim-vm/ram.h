/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The guest's memory: one memfd, mapped once, in one or two pieces of guest-physical space (a hole
 * below 4 GiB holds the interrupt controllers). Made by main before any vCPU runs, never changed
 * after that; any thread may look addresses up. The guest may change the contents at any time.
 */
#ifndef HVSIM_VM_RAM_H
#define HVSIM_VM_RAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** RAM ends here and goes on at 4 GiB. */
#define RAM_HOLE_START UINT64_C(0xc0000000)
#define RAM_HOLE_END   UINT64_C(0x100000000)

struct ram {
	int fd;
	uint8_t *base; /**< the whole memfd */
	uint64_t size;
	uint64_t low; /**< bytes at guest-physical 0; the rest is at RAM_HOLE_END */
};

/** Bytes at guest-physical 0 of a memory of @p size. */
static inline uint64_t
ram_low(uint64_t size)
{
	return size < RAM_HOLE_START ? size : RAM_HOLE_START;
}

/**
 * Make the memory.
 * @param size bytes, multiple of 4096
 * @return 0 or a negative errno
 */
int ram_create(struct ram *ram, uint64_t size);
void ram_destroy(struct ram *ram);

/** Offset in the memfd of @p len bytes at guest-physical @p gpa. @return false: not all RAM. */
static inline bool
ram_offset(const struct ram *ram, uint64_t gpa, uint64_t len, uint64_t *offset)
{
	if (gpa < ram->low) {
		*offset = gpa;
		return len <= ram->low - gpa;
	}
	if (gpa < RAM_HOLE_END || gpa - RAM_HOLE_END >= ram->size - ram->low)
		return false;
	*offset = gpa - RAM_HOLE_END + ram->low;
	return len <= ram->size - *offset;
}

/** Host address of @p len bytes at guest-physical @p gpa, or NULL. */
static inline void *
ram_at(const struct ram *ram, uint64_t gpa, uint64_t len)
{
	uint64_t offset;

	return ram_offset(ram, gpa, len, &offset) ? ram->base + offset : NULL;
}

/** Is @p pfn a page of RAM? */
static inline bool
ram_pfn_ok(const struct ram *ram, uint64_t pfn)
{
	uint64_t offset;

	return pfn < (UINT64_C(1) << 52) && ram_offset(ram, pfn << 12, 4096, &offset);
}

/** A contiguous mapping of scattered guest pages. */
struct ram_view {
	uint8_t *base;
	size_t len;
	unsigned int maps; /**< memory areas of the process it takes (the kernel allows 65,530) */
};

/**
 * Map guest pages one behind the other (spec/hyperv-host-on-kvm.md §11).
 * @param pfns   every one must have passed ram_pfn_ok()
 * @param repeat first page that is mapped a second time behind the last one; @p n for none
 * @return 0 or a negative errno
 */
int ram_view_map(const struct ram *ram, struct ram_view *view, const uint64_t *pfns, size_t n,
	size_t repeat);
void ram_view_unmap(struct ram_view *view);

#endif
