/* SPDX-License-Identifier: BSD-3-Clause */
/* Guest memory table, its quiescence handshake and the SIGBUS handler; see memmap.h. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "lib/host/memmap.h"
#include "lib/vfio_user/dma_file.h"

#define PAGE	   4096u
#define FIRST_ROOM 64u
/* Spins before the control thread sleeps while a poll is going on. */
#define QUIESCE_SPINS 200

struct host_memmap {
	_Atomic(struct host_memmap_table *) table;
	struct host_memmap_reader *readers;
	uint64_t bytes, mapped; /* of the entries, and of address space we took for them */
	uint32_t max_entries;
	uint64_t max_mapped;
	_Atomic bool poisoned;
};

/* The map that this thread polls now: all that the SIGBUS handler looks at. */
static _Thread_local struct host_memmap_reader *volatile polling;

static struct host_memmap_table *
table_new(uint32_t room)
{
	struct host_memmap_table *t =
		malloc(sizeof(*t) + (size_t)room * sizeof(struct host_memmap_entry));

	if (t == NULL)
		return NULL;
	atomic_init(&t->count, 0);
	t->room = room;
	return t;
}

/* Only the control thread stores, so its own loads need no order. */
static struct host_memmap_table *
table_of(const struct host_memmap *map)
{
	return atomic_load_explicit(&((struct host_memmap *)map)->table, memory_order_relaxed);
}

struct host_memmap *
host_memmap_create(void)
{
	struct host_memmap *map = calloc(1, sizeof(*map));
	struct host_memmap_table *t = table_new(FIRST_ROOM);

	if (map == NULL || t == NULL) {
		free(map);
		free(t);
		return NULL;
	}
	map->max_entries = HOST_MEMMAP_MAX_ENTRIES;
	map->max_mapped = HOST_MEMMAP_MAX_BYTES;
	atomic_init(&map->table, t);
	return map;
}

void
host_memmap_limit(struct host_memmap *map, uint32_t entries, uint64_t bytes)
{
	map->max_entries = entries < HOST_MEMMAP_MAX_ENTRIES ? entries : HOST_MEMMAP_MAX_ENTRIES;
	map->max_mapped = bytes < HOST_MEMMAP_MAX_BYTES ? bytes : HOST_MEMMAP_MAX_BYTES;
}

static void
entry_unmap(const struct host_memmap_entry *e)
{
	if (e->map_base != NULL)
		munmap(e->map_base, e->map_len);
}

void
host_memmap_destroy(struct host_memmap *map)
{
	if (map == NULL)
		return;
	host_memmap_unmap_all(map);
	free(table_of(map));
	free(map);
}

void
host_memmap_reader_add(struct host_memmap *map, struct host_memmap_reader *reader)
{
	memset(reader, 0, sizeof(*reader));
	reader->map = map;
	reader->next = map->readers;
	map->readers = reader;
}

void
host_memmap_reader_remove(struct host_memmap *map, struct host_memmap_reader *reader)
{
	struct host_memmap_reader **at = &map->readers;

	while (*at != NULL && *at != reader)
		at = &(*at)->next;
	if (*at != NULL)
		*at = reader->next;
	reader->map = NULL;
}

/* ---- readers ---- */

void
host_memmap_enter(struct host_memmap_reader *reader)
{
	uint64_t polls = atomic_load_explicit(&reader->polls, memory_order_relaxed);

	atomic_store_explicit(&reader->polls, polls + 1, memory_order_relaxed);
	/*
	 * Store->load fence: pairs with the one in map_quiesce(). Either the control thread sees
	 * us inside and waits, or we see its new table.
	 */
	atomic_thread_fence(memory_order_seq_cst);
	/* Acquire: pairs with the release stores in map_publish() and map_append(). */
	reader->table = atomic_load_explicit(&reader->map->table, memory_order_acquire);
	reader->count = atomic_load_explicit(
		&((struct host_memmap_table *)reader->table)->count, memory_order_acquire);
	polling = reader;
}

void
host_memmap_leave(struct host_memmap_reader *reader)
{
	uint64_t polls = atomic_load_explicit(&reader->polls, memory_order_relaxed);

	polling = NULL;
	reader->table = NULL;
	reader->count = 0;
	/* Release: our reads of guest memory come before; pairs with map_quiesce(). */
	atomic_store_explicit(&reader->polls, polls + 1, memory_order_release);
}

const void *
host_memmap_search(struct host_memmap_reader *reader, uint64_t pfn)
{
	uint64_t iova = pfn << 12;
	uint32_t low = 0, high = reader->count;

	if (pfn >= UINT64_C(1) << 44)
		return NULL;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct host_memmap_entry *e = &reader->table->entries[middle];

		if (iova < e->iova) {
			high = middle;
		} else if (iova - e->iova >= e->len) {
			low = middle + 1;
		} else {
			reader->last = middle;
			return e->prot & HOST_MEMMAP_READ ? e->hva + (iova - e->iova) : NULL;
		}
	}
	return NULL;
}

/* ---- changes ---- */

/* Wait until no reader is inside a poll that may have seen the table before the last one. */
static void
map_quiesce(struct host_memmap *map)
{
	struct host_memmap_reader *r;

	atomic_thread_fence(memory_order_seq_cst);
	for (r = map->readers; r != NULL; r = r->next) {
		uint64_t polls = atomic_load_explicit(&r->polls, memory_order_acquire);
		unsigned int spins = 0;

		while ((polls & 1) != 0 &&
			atomic_load_explicit(&r->polls, memory_order_acquire) == polls) {
			struct timespec nap = {0, 20000};

			if (++spins < QUIESCE_SPINS)
				sched_yield();
			else
				nanosleep(&nap, NULL);
		}
	}
}

static void
map_publish(struct host_memmap *map, struct host_memmap_table *t)
{
	struct host_memmap_table *old = table_of(map);

	atomic_store_explicit(&map->table, t, memory_order_release);
	map_quiesce(map);
	free(old);
}

/* First entry that ends above @p iova. */
static uint32_t
table_find(const struct host_memmap_table *t, uint32_t count, uint64_t iova)
{
	uint32_t low = 0, high = count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (t->entries[middle].iova + t->entries[middle].len <= iova)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int
map_check(const struct host_memmap *map, uint64_t iova, uint64_t size, uint32_t prot)
{
	const uint64_t limit = UINT64_C(1) << HOST_MEMMAP_ADDRESS_BITS;
	struct host_memmap_table *t = table_of(map);
	uint32_t count = atomic_load(&t->count), at;

	if (prot == 0 || (prot & ~(HOST_MEMMAP_READ | HOST_MEMMAP_WRITE)) != 0 || size == 0 ||
		((iova | size) & (PAGE - 1)) != 0 || iova >= limit || size > limit - iova)
		return -EINVAL;
	at = table_find(t, count, iova);
	if (at < count && t->entries[at].iova - iova < size)
		return -EEXIST;
	if (at < count && t->entries[at].iova <= iova)
		return -EEXIST;
	if (count >= map->max_entries || size > HOST_MEMMAP_MAX_BYTES - map->bytes)
		return -ENOSPC;
	return 0;
}

/* Memory is mostly announced in ascending order: then the entry goes behind the others, unseen. */
static bool
map_append(struct host_memmap_table *t, const struct host_memmap_entry *e, uint32_t at)
{
	uint32_t count = atomic_load(&t->count);

	if (at != count || count == t->room)
		return false;
	t->entries[count] = *e;
	atomic_store_explicit(&t->count, count + 1, memory_order_release);
	return true;
}

static int
map_insert(struct host_memmap *map, const struct host_memmap_entry *e)
{
	struct host_memmap_table *t = table_of(map), *grown;
	uint32_t count = atomic_load(&t->count), at = table_find(t, count, e->iova);

	if (!map_append(t, e, at)) {
		grown = table_new(count < t->room ? t->room : 2 * t->room);
		if (grown == NULL)
			return -ENOMEM;
		memcpy(grown->entries, t->entries, at * sizeof(*e));
		grown->entries[at] = *e;
		memcpy(grown->entries + at + 1, t->entries + at, (count - at) * sizeof(*e));
		atomic_init(&grown->count, count + 1);
		map_publish(map, grown);
	}
	map->bytes += e->len;
	map->mapped += e->map_len;
	return 0;
}

int
host_memmap_map(struct host_memmap *map, int fd, uint64_t offset, uint64_t iova, uint64_t size,
	uint32_t prot)
{
	struct host_memmap_entry e = {.iova = iova, .len = size, .prot = prot};
	uint64_t block, down;
	int rc = map_check(map, iova, size, prot);

	if (rc == 0)
		rc = vfu_dma_file_check(fd, offset, size, prot & HOST_MEMMAP_WRITE, &block);
	if (rc != 0)
		return rc;
	down = offset & (block - 1);
	e.map_len = (size_t)((down + size + block - 1) & ~(block - 1));
	if (e.map_len > map->max_mapped - map->mapped)
		return -ENOSPC;
	e.map_base = mmap(NULL, e.map_len, PROT_READ | (prot & HOST_MEMMAP_WRITE ? PROT_WRITE : 0),
		MAP_SHARED, fd, (off_t)(offset - down));
	if (e.map_base == MAP_FAILED)
		return errno == ENOMEM ? -ENOMEM : -EINVAL;
	/* The guest's memory belongs neither into our core dumps nor into a child. */
	madvise(e.map_base, e.map_len, MADV_DONTDUMP);
	madvise(e.map_base, e.map_len, MADV_DONTFORK);
	e.hva = (uint8_t *)e.map_base + down;
	rc = map_insert(map, &e);
	if (rc != 0)
		entry_unmap(&e);
	return rc;
}

int
host_memmap_unmap(struct host_memmap *map, uint64_t iova, uint64_t size)
{
	struct host_memmap_table *t = table_of(map), *shrunk;
	uint32_t count = atomic_load(&t->count), at = table_find(t, count, iova);
	struct host_memmap_entry e;

	if (at == count || t->entries[at].iova != iova || t->entries[at].len != size)
		return -ENOENT;
	e = t->entries[at];
	shrunk = table_new(t->room);
	if (shrunk == NULL)
		return -ENOMEM;
	memcpy(shrunk->entries, t->entries, at * sizeof(e));
	memcpy(shrunk->entries + at, t->entries + at + 1, (count - at - 1) * sizeof(e));
	atomic_init(&shrunk->count, count - 1);
	map_publish(map, shrunk);
	entry_unmap(&e);
	map->bytes -= e.len;
	map->mapped -= e.map_len;
	return 0;
}

void
host_memmap_unmap_all(struct host_memmap *map)
{
	struct host_memmap_table *t = table_of(map), *empty;
	uint32_t count = atomic_load(&t->count);

	if (count == 0)
		return;
	/* Without memory for a new table the old one is emptied in place, which readers honour. */
	empty = table_new(FIRST_ROOM);
	if (empty != NULL) {
		atomic_store_explicit(&map->table, empty, memory_order_release);
	} else {
		atomic_store_explicit(&t->count, 0, memory_order_release);
	}
	map_quiesce(map);
	for (uint32_t i = 0; i < count; i++)
		entry_unmap(&t->entries[i]);
	if (empty != NULL)
		free(t);
	map->bytes = map->mapped = 0;
}

uint32_t
host_memmap_count(const struct host_memmap *map, uint64_t *bytes)
{
	if (bytes != NULL)
		*bytes = map->bytes;
	return atomic_load(&table_of(map)->count);
}

bool
host_memmap_poisoned(const struct host_memmap *map)
{
	return atomic_load_explicit(&((struct host_memmap *)map)->poisoned, memory_order_relaxed);
}

/* ---- SIGBUS ---- */

/* Zero pages in place of the mapping that @p at lies in. Async-signal-safe: system calls only. */
static bool
fault_repair(struct host_memmap_reader *reader, const uint8_t *at)
{
	if (reader == NULL || reader->table == NULL)
		return false;
	for (uint32_t i = 0; i < reader->count; i++) {
		const struct host_memmap_entry *e = &reader->table->entries[i];

		if (e->map_base == NULL || at < (uint8_t *)e->map_base ||
			(size_t)(at - (uint8_t *)e->map_base) >= e->map_len)
			continue;
		if (mmap(e->map_base, e->map_len, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
			    0) == MAP_FAILED)
			return false;
		atomic_store_explicit(&reader->map->poisoned, true, memory_order_relaxed);
		return true;
	}
	return false;
}

static void
fault_handler(int signal_number, siginfo_t *info, void *context)
{
	int saved = errno;

	(void)context;
	/* si_code > 0: from the kernel, with an address; the access repeats and reads zeroes. */
	if (info->si_code > 0 && fault_repair(polling, info->si_addr)) {
		errno = saved;
		return;
	}
	signal(signal_number, SIG_DFL);
	if (info->si_code <= 0)
		raise(signal_number);
	errno = saved;
}

int
host_memmap_sigbus_install(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_sigaction = fault_handler;
	action.sa_flags = SA_SIGINFO;
	sigemptyset(&action.sa_mask);
	return sigaction(SIGBUS, &action, NULL) == 0 ? 0 : -errno;
}
