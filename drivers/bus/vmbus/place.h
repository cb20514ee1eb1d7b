/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Where the primary process has a device's memory mapped. What lies in shared memory refers to it
 * by address, so that a secondary maps it at exactly the same one, or not at all (pitfall Q1).
 *
 * The addresses are ones that another process is likely to have free: behind EAL's memory, away
 * from where a kernel puts programs, libraries and stacks. They are not used twice.
 *
 * A list belongs to its device. It is changed by one control thread at a time and read by the
 * thread that answers secondaries, under a lock of this file.
 */
#ifndef HP_BUS_VMBUS_PLACE_H
#define HP_BUS_VMBUS_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/vmbus/ring.h"

struct hpbus_device;

enum hpbus_place_role {
	HPBUS_PLACE_RING,
	HPBUS_PLACE_RECV,
	HPBUS_PLACE_SEND,
	HPBUS_PLACE_MONITOR,
	HPBUS_PLACE_DOORBELL, /**< no memory: the eventfd of channel @a source */
};

/** The file is the device's own (/dev/uioN), not one of a channel. */
#define HPBUS_PLACE_DEVICE_FILE UINT32_MAX

/** A part of a mapping. */
struct hpbus_place_piece {
	uint64_t at, len; /**< bytes, behind the place's address; len 0: there is no such part */
	uint64_t offset;  /**< in the file */
};

/** A mapping: goes from process to process as it is. Later pieces lie over earlier ones. */
struct hpbus_place {
	uint64_t address, span; /**< bytes; all of it is taken */
	struct hpbus_place_piece piece[2];
	uint32_t role;	 /**< enum hpbus_place_role */
	uint32_t source; /**< uio: whose ring file, by relid, or HPBUS_PLACE_DEVICE_FILE */
};

/**
 * Take addresses for a mapping: inaccessible memory, over which it is laid with MAP_FIXED, and
 * which munmap() gives back. @return NULL with errno
 */
void *hpbus_place_reserve(size_t span);

/**
 * Something is mapped that other processes must have, too.
 * @param fd the file, kept as a duplicate; -1: they open it themselves
 * @return 0 or a negative errno
 */
int hpbus_place_add(struct hpbus_device *dev, const struct hpbus_place *place, int fd);
/** The same is mapped a second time; fine when nothing is known of it. @return as hpbus_place_add()
 */
int hpbus_place_copy(struct hpbus_device *dev, const void *address, const void *again);
/** What is at @p address is about to be unmapped. Harmless when nothing is known of it. */
void hpbus_place_remove(struct hpbus_device *dev, const void *address);
/** The same for the doorbell of a channel. */
void hpbus_place_remove_doorbell(struct hpbus_device *dev, unsigned int channel);
/** The device is closed: nothing is mapped any more. */
void hpbus_places_clear(struct hpbus_device *dev);

/**
 * Map one ring of a file, as vmbus_ring_map() does, and have it in the list.
 * @param relid of the channel whose ring file it is, which others open themselves; 0: they are
 *        given @p fd
 */
int hpbus_place_ring(struct hpbus_device *dev, int fd, uint32_t relid, uint64_t offset,
	uint64_t bytes, uint32_t header, struct vmbus_ring *ring);
/** Unmap a ring with all of the place it lies in; harmless on one that is not mapped. */
void hpbus_place_ring_end(struct hpbus_device *dev, struct vmbus_ring *ring);

/* ---- for who tells others (mp.c) ---- */

/** What is mapped now, as far as another process can have it. */
struct hpbus_places_view {
	uint32_t generation; /**< changes whenever the list does */
	uint32_t total;	     /**< places in the list */
	uint32_t n;	     /**< that are here */
};

/**
 * Copy up to @p n places from the @p first one on.
 * @param fds their files, duplicates for the caller to close; -1: none
 */
struct hpbus_places_view hpbus_places_copy(
	struct hpbus_device *dev, uint32_t first, uint32_t n, struct hpbus_place *places, int *fds);
/** A process, one bit, has mapped all of a generation. @return whether that is how it is now */
bool hpbus_places_ready(struct hpbus_device *dev, uint64_t process, uint32_t generation);
/** A process has nothing mapped any more. */
void hpbus_places_left(struct hpbus_device *dev, uint64_t process);
/** Processes that have mapped all that there is now. Any thread. */
uint64_t hpbus_places_mapped(const struct hpbus_device *dev);

/* ---- for who is told (secondary.c) ---- */

/**
 * Map a place, exactly where it says.
 * @return 0; -EEXIST: something else is there; -EINVAL: it makes no sense; a negative errno
 */
int hpbus_place_map(const struct hpbus_place *place, int fd);
void hpbus_place_unmap(const struct hpbus_place *place);

#endif
