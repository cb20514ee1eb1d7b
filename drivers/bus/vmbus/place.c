/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/bus/vmbus/place.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "drivers/bus/vmbus/bus.h"
#include "lib/vmbus/ring_map.h"

/* Behind EAL's memory, for what EAL itself maps there later. */
#define GAP   (UINT64_C(64) << 30)
#define ALIGN (UINT64_C(2) << 20)
/* How far on, and how often, when something is there. */
#define STEP  (UINT64_C(1) << 30)
#define TRIES 256u
/* More is no mapping of ours: two views of the largest ring. */
#define SPAN_MAX (UINT64_C(1) << 33)

struct hpbus_place_entry {
	struct hpbus_place place;
	int fd;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uintptr_t next_address;

/* ---- addresses ---- */

static int
find_end(const struct rte_memseg_list *msl, void *arg)
{
	uintptr_t *end = arg, at = (uintptr_t)msl->base_va + msl->len;

	if (!msl->external && at > *end)
		*end = at;
	return 0;
}

static void *
reserve_at(uintptr_t at, size_t span)
{
	void *want = (void *)at, *p;

	p = mmap(want, span, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (at != 0 ? MAP_FIXED_NOREPLACE : 0),
		-1, 0);
	if (p == MAP_FAILED || at == 0 || p == want)
		return p;
	/* Kernels before 4.17 take the flag for no more than a hint. */
	munmap(p, span);
	errno = EEXIST;
	return MAP_FAILED;
}

void *
hpbus_place_reserve(size_t span)
{
	void *p = MAP_FAILED;
	unsigned int i;

	pthread_mutex_lock(&lock);
	if (next_address == 0) {
		rte_memseg_list_walk_thread_unsafe(find_end, &next_address);
		if (next_address != 0)
			next_address = RTE_ALIGN_CEIL(next_address, STEP) + GAP;
	}
	for (i = 0; next_address != 0 && p == MAP_FAILED && i < TRIES; i++) {
		p = reserve_at(next_address, span);
		next_address += p != MAP_FAILED ? RTE_ALIGN_CEIL(span, ALIGN) + ALIGN : STEP;
		/* Behind the end of what a process can have. */
		if (p == MAP_FAILED && errno != EEXIST)
			next_address = 0;
	}
	pthread_mutex_unlock(&lock);
	/* Good for this process; a secondary will see. */
	if (p == MAP_FAILED)
		p = reserve_at(0, span);
	return p == MAP_FAILED ? NULL : p;
}

/* ---- the list ---- */

/* Lock held. Nobody has mapped what there is from now on. */
static void
places_changed(struct hpbus_places *places)
{
	places->generation++;
	atomic_store(&places->mapped, 0);
}

int
hpbus_place_add(struct hpbus_device *dev, const struct hpbus_place *place, int fd)
{
	struct hpbus_places *places = &dev->places;
	struct hpbus_place_entry *list;
	int rc = 0, own = -1;

	if (fd >= 0) {
		own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (own < 0)
			return -errno;
	}
	pthread_mutex_lock(&lock);
	if (places->n == places->room) {
		list = realloc(places->list, (places->room + 16) * sizeof(*list));
		if (list == NULL) {
			rc = -ENOMEM;
			goto out;
		}
		places->list = list;
		places->room += 16;
	}
	places->list[places->n++] = (struct hpbus_place_entry){.place = *place, .fd = own};
	places_changed(places);
out:
	pthread_mutex_unlock(&lock);
	if (rc != 0 && own >= 0)
		close(own);
	return rc;
}

static void
places_drop(struct hpbus_places *places, unsigned int i)
{
	if (places->list[i].fd >= 0)
		close(places->list[i].fd);
	places->list[i] = places->list[--places->n];
	places_changed(places);
}

int
hpbus_place_copy(struct hpbus_device *dev, const void *address, const void *again)
{
	struct hpbus_place place = {0};
	unsigned int i;
	int fd = -1;

	pthread_mutex_lock(&lock);
	for (i = 0; i < dev->places.n; i++)
		if (dev->places.list[i].place.address == (uintptr_t)address) {
			place = dev->places.list[i].place;
			fd = dev->places.list[i].fd;
		}
	pthread_mutex_unlock(&lock);
	if (place.span == 0)
		return 0;
	place.address = (uintptr_t)again;
	return hpbus_place_add(dev, &place, fd);
}

void
hpbus_place_remove(struct hpbus_device *dev, const void *address)
{
	struct hpbus_places *places = &dev->places;
	unsigned int i;

	pthread_mutex_lock(&lock);
	for (i = places->n; i > 0; i--)
		if (places->list[i - 1].place.address == (uintptr_t)address &&
			places->list[i - 1].place.span != 0)
			places_drop(places, i - 1);
	pthread_mutex_unlock(&lock);
}

void
hpbus_place_remove_doorbell(struct hpbus_device *dev, unsigned int channel)
{
	struct hpbus_places *places = &dev->places;
	unsigned int i;

	pthread_mutex_lock(&lock);
	for (i = places->n; i > 0; i--)
		if (places->list[i - 1].place.role == HPBUS_PLACE_DOORBELL &&
			places->list[i - 1].place.source == channel)
			places_drop(places, i - 1);
	pthread_mutex_unlock(&lock);
}

void
hpbus_places_clear(struct hpbus_device *dev)
{
	struct hpbus_places *places = &dev->places;

	pthread_mutex_lock(&lock);
	while (places->n != 0)
		places_drop(places, places->n - 1);
	free(places->list);
	places->list = NULL;
	places->room = 0;
	pthread_mutex_unlock(&lock);
}

/* ---- rings ---- */

int
hpbus_place_ring(struct hpbus_device *dev, int fd, uint32_t relid, uint64_t offset, uint64_t bytes,
	uint32_t header, struct vmbus_ring *ring)
{
	struct hpbus_place place = {
		.span = 2 * bytes - header,
		.role = HPBUS_PLACE_RING,
		.source = relid,
	};
	void *base;
	int rc;

	if (bytes < (uint64_t)header + VMBUS_RING_DATA_MIN || bytes - header > VMBUS_RING_DATA_MAX)
		return -EINVAL;
	base = hpbus_place_reserve(place.span);
	if (base == NULL)
		return -errno;
	rc = vmbus_ring_map_at(fd, offset, bytes, header, base, ring);
	if (rc != 0)
		return rc;
	place.address = (uintptr_t)base;
	place.piece[0] = (struct hpbus_place_piece){0, bytes, offset};
	place.piece[1] = (struct hpbus_place_piece){bytes, bytes - header, offset + header};
	rc = hpbus_place_add(dev, &place, relid != 0 ? -1 : fd);
	if (rc != 0)
		vmbus_ring_unmap(ring);
	return rc;
}

void
hpbus_place_ring_end(struct hpbus_device *dev, struct vmbus_ring *ring)
{
	struct hpbus_places *places = &dev->places;
	uintptr_t at = (uintptr_t)ring->ctl;
	struct hpbus_place place = {0};
	unsigned int i;

	pthread_mutex_lock(&lock);
	for (i = 0; at != 0 && i < places->n; i++) {
		if (at - places->list[i].place.address >= places->list[i].place.span)
			continue;
		place = places->list[i].place;
		places_drop(places, i);
		break;
	}
	pthread_mutex_unlock(&lock);
	if (place.span == 0) {
		vmbus_ring_unmap(ring);
		return;
	}
	hpbus_place_unmap(&place);
	memset(ring, 0, sizeof(*ring));
}

/* ---- for others ---- */

struct hpbus_places_view
hpbus_places_copy(
	struct hpbus_device *dev, uint32_t first, uint32_t n, struct hpbus_place *places, int *fds)
{
	struct hpbus_places_view view = {0};

	pthread_mutex_lock(&lock);
	view.generation = dev->places.generation;
	view.total = dev->places.n;
	for (; view.n < n && first < view.total; view.n++, first++) {
		int fd = dev->places.list[first].fd;

		places[view.n] = dev->places.list[first].place;
		fds[view.n] = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
	}
	pthread_mutex_unlock(&lock);
	return view;
}

bool
hpbus_places_ready(struct hpbus_device *dev, uint64_t process, uint32_t generation)
{
	bool now;

	pthread_mutex_lock(&lock);
	now = generation == dev->places.generation;
	if (now)
		atomic_fetch_or(&dev->places.mapped, process);
	pthread_mutex_unlock(&lock);
	return now;
}

void
hpbus_places_left(struct hpbus_device *dev, uint64_t process)
{
	atomic_fetch_and(&dev->places.mapped, ~process);
}

uint64_t
hpbus_places_mapped(const struct hpbus_device *dev)
{
	return atomic_load(&dev->places.mapped);
}

/* ---- in another process ---- */

static bool
place_makes_sense(const struct hpbus_place *place)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	unsigned int i;

	if (place->address == 0 || place->span == 0 || place->span > SPAN_MAX ||
		place->address > UINTPTR_MAX - place->span ||
		((place->address | place->span) & (page - 1)) != 0)
		return false;
	for (i = 0; i < RTE_DIM(place->piece); i++) {
		const struct hpbus_place_piece *piece = &place->piece[i];

		if (piece->len > place->span || piece->at > place->span - piece->len ||
			((piece->at | piece->len | piece->offset) & (page - 1)) != 0)
			return false;
	}
	return place->piece[0].len != 0;
}

int
hpbus_place_map(const struct hpbus_place *place, int fd)
{
	uint8_t *base;
	unsigned int i;
	int rc;

	if (!place_makes_sense(place))
		return -EINVAL;
	base = reserve_at((uintptr_t)place->address, place->span);
	if (base == MAP_FAILED)
		return -errno;
	for (i = 0; i < RTE_DIM(place->piece); i++) {
		const struct hpbus_place_piece *piece = &place->piece[i];

		if (piece->len != 0 && mmap(base + piece->at, piece->len, PROT_READ | PROT_WRITE,
					       MAP_SHARED | MAP_POPULATE | MAP_FIXED, fd,
					       (off_t)piece->offset) == MAP_FAILED) {
			rc = -errno;
			munmap(base, place->span);
			return rc;
		}
	}
	madvise(base, place->span, MADV_DONTFORK);
	return 0;
}

void
hpbus_place_unmap(const struct hpbus_place *place)
{
	munmap((void *)(uintptr_t)place->address, place->span);
}
