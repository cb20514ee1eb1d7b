/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a primary process has a device's memory, and another one the same (pitfall Q1). */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "drivers/bus/vmbus/bus.h"
#include "drivers/bus/vmbus/place.h"
#include "test/unit/unit.h"

#define PAGE  4096u
#define BYTES (5u * PAGE) /* of a ring, with its control page */

int hpbus_logtype;

static struct hpbus_device device;

static int
memory_file(size_t size)
{
	int fd = memfd_create("place", MFD_CLOEXEC);

	CU_ASSERT_FATAL(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
	return fd;
}

static struct hpbus_place
only_place(int *fd)
{
	struct hpbus_places_view view;
	struct hpbus_place place = {0};

	view = hpbus_places_copy(&device, 0, 1, &place, fd);
	CU_ASSERT_EQUAL_FATAL(view.n, 1);
	return place;
}

static void
a_ring_is_mapped_where_the_primary_has_it(void)
{
	struct hpbus_place place;
	struct vmbus_ring ring;
	volatile uint8_t *data;
	int fd = memory_file(2 * BYTES), copy;

	CU_ASSERT_EQUAL_FATAL(hpbus_place_ring(&device, fd, 0, BYTES, BYTES, PAGE, &ring), 0);
	place = only_place(&copy);
	CU_ASSERT_PTR_EQUAL((void *)(uintptr_t)place.address, ring.ctl);
	/* This process has it: there is no room for a second one, and nothing is changed. */
	ring.data[7] = 0x77;
	CU_ASSERT_EQUAL(hpbus_place_map(&place, copy), -EEXIST);
	CU_ASSERT_EQUAL(ring.data[7], 0x77);
	data = ring.data;
	hpbus_place_ring_end(&device, &ring);
	CU_ASSERT_EQUAL(device.places.n, 0);
	/* As another process does. */
	CU_ASSERT_EQUAL_FATAL(hpbus_place_map(&place, copy), 0);
	CU_ASSERT_EQUAL(data[7], 0x77);
	data[BYTES - PAGE + 8] = 0x55; /* twice behind each other */
	CU_ASSERT_EQUAL(data[8], 0x55);
	hpbus_place_unmap(&place);
	CU_ASSERT(msync((void *)(uintptr_t)data, PAGE, MS_ASYNC) != 0 && errno == ENOMEM);
	close(copy);
	close(fd);
	hpbus_places_clear(&device);
}

static void
what_is_taken_by_something_else_is_left_alone(void)
{
	struct hpbus_place place = {.span = 4 * PAGE, .piece = {{0, 4 * PAGE, 0}}};
	int fd = memory_file(4 * PAGE);
	uint8_t *mine;

	/* The last page of where it would be. */
	mine = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_FATAL(mine != MAP_FAILED);
	*mine = 1;
	place.address = (uintptr_t)mine - 3 * PAGE;
	CU_ASSERT_EQUAL(hpbus_place_map(&place, fd), -EEXIST);
	CU_ASSERT_EQUAL(*mine, 1);
	munmap(mine, PAGE);
	close(fd);
}

static void
places_that_make_no_sense_are_refused(void)
{
	void *room = hpbus_place_reserve(4 * PAGE);
	const struct hpbus_place good = {
		.address = (uintptr_t)room,
		.span = 4 * PAGE,
		.piece = {{0, 2 * PAGE, 0}, {2 * PAGE, 2 * PAGE, 0}},
	};
	int fd = memory_file(4 * PAGE);
	struct hpbus_place place;

	CU_ASSERT_PTR_NOT_NULL_FATAL(room);
	munmap(room, 4 * PAGE);
#define REFUSED(field, value)                                                                      \
	place = good;                                                                              \
	place.field = (value);                                                                     \
	CU_ASSERT_EQUAL(hpbus_place_map(&place, fd), -EINVAL)
	REFUSED(address, 0);
	REFUSED(address, good.address + 1);
	REFUSED(address, UINT64_MAX - PAGE + 1);
	REFUSED(span, 0);
	REFUSED(span, UINT64_MAX - PAGE + 1);
	REFUSED(piece[0].len, 0);
	REFUSED(piece[0].len, 5 * PAGE);
	REFUSED(piece[1].at, 3 * PAGE);
	REFUSED(piece[1].at, UINT64_MAX - PAGE + 1);
	REFUSED(piece[1].len, 1);
	REFUSED(piece[1].offset, 1);
#undef REFUSED
	CU_ASSERT_EQUAL(hpbus_place_map(&good, fd), 0);
	hpbus_place_unmap(&good);
	close(fd);
}

static void
whoever_has_less_than_all_is_not_ready(void)
{
	struct hpbus_place place = {.address = 16 * PAGE, .span = PAGE, .piece = {{0, PAGE, 0}}};
	struct hpbus_place bell = {.role = HPBUS_PLACE_DOORBELL, .source = 3};
	uint32_t before;
	int fd = memory_file(PAGE);

	CU_ASSERT_EQUAL(hpbus_place_add(&device, &place, -1), 0);
	before = device.places.generation;
	CU_ASSERT_TRUE(hpbus_places_ready(&device, 2, before));
	CU_ASSERT_TRUE(hpbus_places_ready(&device, 4, before));
	CU_ASSERT_EQUAL(hpbus_places_mapped(&device), 6);
	hpbus_places_left(&device, 2);
	CU_ASSERT_EQUAL(hpbus_places_mapped(&device), 4);
	CU_ASSERT_EQUAL(hpbus_place_add(&device, &bell, fd), 0);
	CU_ASSERT_EQUAL(hpbus_places_mapped(&device), 0);
	CU_ASSERT_FALSE(hpbus_places_ready(&device, 4, before));
	CU_ASSERT_TRUE(hpbus_places_ready(&device, 4, device.places.generation));
	hpbus_place_remove_doorbell(&device, 2);
	CU_ASSERT_EQUAL(device.places.n, 2);
	hpbus_place_remove_doorbell(&device, 3);
	CU_ASSERT_EQUAL(device.places.n, 1);
	CU_ASSERT_EQUAL(hpbus_places_mapped(&device), 0);
	hpbus_place_remove(&device, (void *)(uintptr_t)(16 * PAGE));
	CU_ASSERT_EQUAL(device.places.n, 0);
	hpbus_places_clear(&device);
	close(fd);
}

static const struct unit_test tests[] = {
	{"a ring is mapped where the primary has it", a_ring_is_mapped_where_the_primary_has_it},
	{"what is taken is left alone", what_is_taken_by_something_else_is_left_alone},
	{"nonsense", places_that_make_no_sense_are_refused},
	{"who has less than all is not ready", whoever_has_less_than_all_is_not_ready},
};

int
main(void)
{
	return UNIT_RUN("bus_place", tests);
}
