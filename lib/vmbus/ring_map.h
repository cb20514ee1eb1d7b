/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Map one ring of a file twice over, so that every packet is contiguous (spec/vmbus-ring.md §3).
 * The mapping belongs to the caller, who ends it with vmbus_ring_unmap(). Any thread.
 */
#ifndef HP_VMBUS_RING_MAP_H
#define HP_VMBUS_RING_MAP_H

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

#include "lib/vmbus/ring.h"

/**
 * Map a ring over addresses that the caller has reserved: 2 * @p bytes - @p header from @p base on.
 * They are given back when it fails, and with vmbus_ring_unmap().
 * @param fd     file whose offsets are byte offsets with page granularity (memfd, sysfs ring)
 * @param offset of the control page
 * @param bytes  of the ring, control page included
 * @param header bytes the control page takes in this mapping: 4096, or the guest's page size
 * @return 0, or a negative errno and nothing mapped
 */
static inline int
vmbus_ring_map_at(int fd, uint64_t offset, uint64_t bytes, uint32_t header, uint8_t *base,
	struct vmbus_ring *ring)
{
	uint64_t data = bytes - header;

	if ((bytes & (header - 1)) != 0) {
		munmap(base, bytes + data);
		return -EINVAL;
	}
	if (mmap(base, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, (off_t)offset) ==
			MAP_FAILED ||
		mmap(base + bytes, data, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
			(off_t)(offset + header)) == MAP_FAILED) {
		int rc = -errno;

		munmap(base, bytes + data);
		return rc;
	}
	/* Ring pages are shared with the peer: a child process must not keep them alive. */
	madvise(base, bytes + data, MADV_DONTFORK);
	ring->ctl = (struct vmbus_ring_control *)base;
	ring->data = base + header;
	ring->size = (uint32_t)data;
	ring->mirrored = true;
	return 0;
}

/** The same wherever there is room. */
static inline int
vmbus_ring_map(int fd, uint64_t offset, uint64_t bytes, uint32_t header, struct vmbus_ring *ring)
{
	uint64_t data = bytes - header;
	void *base;

	if (bytes < (uint64_t)header + VMBUS_RING_DATA_MIN || data > VMBUS_RING_DATA_MAX)
		return -EINVAL;
	base = mmap(
		NULL, bytes + data, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return -errno;
	return vmbus_ring_map_at(fd, offset, bytes, header, (uint8_t *)base, ring);
}

/** Undo vmbus_ring_map(); harmless on a ring that is not mapped. */
static inline void
vmbus_ring_unmap(struct vmbus_ring *ring)
{
	if (ring->ctl != NULL)
		munmap(ring->ctl,
			(size_t)(ring->data - (uint8_t *)ring->ctl) + 2 * (size_t)ring->size);
	memset(ring, 0, sizeof(*ring));
}

#endif
