/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Guest memory as the host maps it: guest page number to host address
 * (spec/vmbus-over-vfio-user.md §12).
 *
 * A *map* belongs to one session (or one machine) and is changed by one control thread. It is read
 * by *readers*, one per polling thread that uses it: a reader brackets each poll with
 * host_memmap_enter() and host_memmap_leave(); addresses are good in between. Entries are sorted
 * and never change in place; a new table is published with a release store, and what an old table
 * or an ended mapping takes is given back only when no reader is inside a poll that began before.
 *
 * A guest may truncate its file at any time. host_memmap_sigbus_install() puts zero pages in place
 * of such a mapping and *poisons* the map; whoever owns the session ends it.
 */
#ifndef HP_HOST_MEMMAP_H
#define HP_HOST_MEMMAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What the host may do with a range; the bits of vfio-user's DMA_MAP. */
#define HOST_MEMMAP_READ  1u
#define HOST_MEMMAP_WRITE 2u

/** Guest addresses end here. */
#define HOST_MEMMAP_ADDRESS_BITS 56u
#define HOST_MEMMAP_MAX_ENTRIES	 65535u
#define HOST_MEMMAP_MAX_BYTES	 (UINT64_C(1) << 40)

struct host_memmap_entry {
	uint64_t iova, len; /**< multiples of 4096 */
	uint8_t *hva;	    /**< host address of @a iova */
	uint32_t prot;	    /**< HOST_MEMMAP_* */
	/** What was mapped for it (whole huge pages); NULL when the memory is the caller's. */
	void *map_base;
	size_t map_len;
};

struct host_memmap_table;
struct host_memmap;

/** One polling thread's view; fields are private to this header and memmap.c. */
struct host_memmap_reader {
	struct host_memmap *map;
	const struct host_memmap_table *table;
	uint32_t count;
	uint32_t last; /**< entry of the last hit */
	/** Odd between enter and leave: the control thread waits for it to change. */
	_Atomic(uint64_t) polls;
	struct host_memmap_reader *next;
};

/** @return NULL when out of memory */
struct host_memmap *host_memmap_create(void);
/**
 * Narrow the limits of host_memmap_map(): mappings, and bytes of address space (whole pages of the
 * files, which may be larger than what is asked for). Control thread, before the first mapping.
 */
void host_memmap_limit(struct host_memmap *map, uint32_t entries, uint64_t bytes);
/** Unmaps everything. No reader may be registered. NULL is fine. */
void host_memmap_destroy(struct host_memmap *map);

/** Control thread: @p reader may be used from now on; it must stay valid until removed. */
void host_memmap_reader_add(struct host_memmap *map, struct host_memmap_reader *reader);
/** Control thread, while nobody is inside a poll of @p reader. */
void host_memmap_reader_remove(struct host_memmap *map, struct host_memmap_reader *reader);

/**
 * Map @p size bytes of @p fd at @p offset as guest addresses from @p iova (control thread).
 * Checks: page multiples, the address limit, a sealable regular file (so no network file system)
 * that is long enough and whose access mode covers @p prot, overlap, number and total of mappings.
 * @return 0; -EINVAL, -EPERM (access mode), -EEXIST (overlap), -ENOSPC (limits), -ENOMEM
 */
int host_memmap_map(struct host_memmap *map, int fd, uint64_t offset, uint64_t iova, uint64_t size,
	uint32_t prot);
/**
 * End exactly one earlier mapping. Returns when no reader can touch it any more.
 * @return 0, -ENOENT, -ENOMEM
 */
int host_memmap_unmap(struct host_memmap *map, uint64_t iova, uint64_t size);
void host_memmap_unmap_all(struct host_memmap *map);

/** Mappings, and their bytes in total. */
uint32_t host_memmap_count(const struct host_memmap *map, uint64_t *bytes);
/** A file behind the map has shrunk under us. Any thread. */
bool host_memmap_poisoned(const struct host_memmap *map);

/** Begin a poll. Not nested; one map at a time per thread. */
void host_memmap_enter(struct host_memmap_reader *reader);
/** End a poll: addresses from it are void. */
void host_memmap_leave(struct host_memmap_reader *reader);

const void *host_memmap_search(struct host_memmap_reader *reader, uint64_t pfn);

/**
 * Install the handler of SIGBUS for the process. A fault outside the map that the faulting thread
 * is polling ends the process as it would without the handler.
 * @return 0 or a negative errno
 */
int host_memmap_sigbus_install(void);

struct host_memmap_table {
	/** Entries that may be read; grows when one is appended. Release/acquire. */
	_Atomic(uint32_t) count;
	uint32_t room;
	struct host_memmap_entry entries[];
};

/**
 * Host address of guest page @p pfn for reading, or NULL. Between enter and leave.
 * A page never straddles two mappings: all are multiples of it.
 */
static inline const void *
host_memmap_page(struct host_memmap_reader *reader, uint64_t pfn)
{
	if (reader->last < reader->count) {
		const struct host_memmap_entry *e = &reader->table->entries[reader->last];
		uint64_t at = (pfn << 12) - e->iova;

		if (pfn < UINT64_C(1) << 44 && at < e->len && (e->prot & HOST_MEMMAP_READ))
			return e->hva + at;
	}
	return host_memmap_search(reader, pfn);
}

#endif
