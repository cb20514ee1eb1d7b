/* SPDX-License-Identifier: BSD-3-Clause */
/* A receive buffer that the bus lets go of: what is read there does not change any more. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "drivers/bus/vmbus/bus.h"
#include "drivers/bus/vmbus/mappings.h"
#include "test/unit/unit.h"

#define LEN (64u << 10)

int hpbus_logtype;

static void
shared_memory_becomes_private_in_its_place(void)
{
	int fd = memfd_create("recv", MFD_CLOEXEC);
	struct hpbus_device dev = {.recv.len = LEN};
	uint8_t *ours, *hosts;
	unsigned int i;

	CU_ASSERT_FATAL(fd >= 0 && ftruncate(fd, LEN) == 0);
	ours = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	hosts = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CU_ASSERT_FATAL(ours != MAP_FAILED && hosts != MAP_FAILED);
	for (i = 0; i < LEN; i++)
		hosts[i] = (uint8_t)(i * 7 + (i >> 8));
	dev.recv.base = ours;
	CU_ASSERT_EQUAL(hpbus_recv_keep(&dev), 0);
	CU_ASSERT_PTR_NULL(dev.recv.base);
	memset(hosts, 0xee, LEN);
	for (i = 0; i < LEN && ours[i] == (uint8_t)(i * 7 + (i >> 8)); i++)
		;
	CU_ASSERT_EQUAL(i, LEN);
	ours[0] = 1;
	CU_ASSERT_EQUAL(hosts[0], 0xee);
	hpbus_recv_free(ours, LEN);
	/* It is not mapped any more. */
	CU_ASSERT(msync(ours, LEN, MS_ASYNC) != 0 && errno == ENOMEM);
	munmap(hosts, LEN);
	close(fd);
}

/* What close() of the bus would unmap under who reads there, and the reader once more. */
static void
the_bus_lets_go_without_memory_for_a_copy(void)
{
	struct hpbus_device dev = {.recv.len = (size_t)1 << 60};
	uint8_t *ours;

	ours = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_FATAL(ours != MAP_FAILED);
	ours[1] = 0x55;
	CU_ASSERT_EQUAL_FATAL(hpbus_mapping_add(&dev, ours, LEN), 0);
	dev.recv.base = ours;
	CU_ASSERT_EQUAL(hpbus_recv_keep(&dev), -ENOMEM);
	CU_ASSERT_PTR_NULL(dev.recv.base);
	/* Not the device's any more: it is not replaced when that vanishes. */
	hpbus_mappings_replace(&dev);
	CU_ASSERT_EQUAL(ours[1], 0x55);
	CU_ASSERT_EQUAL(hpbus_sigbus_handle(ours), 1);
	hpbus_mapping_remove(ours);
	hpbus_recv_free(ours, LEN);
}

/* The device goes on with the host's memory, who read in it with what he had. */
static void
a_reset_that_maps_nothing_leaves_the_device_its_buffer(void)
{
	static const struct hpbus_backend backend = {.name = "test"};
	int fd = memfd_create("recv", MFD_CLOEXEC);
	struct hpbus_device dev = {.recv.len = LEN, .backend = &backend};
	uint8_t *ours;

	CU_ASSERT_FATAL(fd >= 0 && ftruncate(fd, LEN) == 0);
	ours = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CU_ASSERT_FATAL(ours != MAP_FAILED);
	ours[LEN - 1] = 0x11;
	dev.recv.base = ours;
	CU_ASSERT_EQUAL(hpbus_recv_renew(&dev), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(dev.recv.base);
	CU_ASSERT_PTR_NOT_EQUAL(dev.recv.base, ours);
	CU_ASSERT_EQUAL(pwrite(fd, "\x22", 1, LEN - 1), 1);
	CU_ASSERT_EQUAL(ours[LEN - 1], 0x11);
	CU_ASSERT_EQUAL(dev.recv.base[LEN - 1], 0x22);
	hpbus_recv_free(ours, LEN);
	CU_ASSERT_EQUAL(dev.recv.base[LEN - 1], 0x22);
	munmap(dev.recv.base, LEN);
	close(fd);
}

/* The mapping would keep the channel open: the bus may have none left when it closes it. */
static void
a_reset_that_maps_has_none_left(void)
{
	static const struct hpbus_backend backend = {.name = "test", .reset_maps = true};
	struct hpbus_device dev = {.recv.len = LEN, .backend = &backend};
	int fd = memfd_create("recv", MFD_CLOEXEC);
	uint8_t *ours;

	CU_ASSERT_FATAL(fd >= 0 && ftruncate(fd, LEN) == 0);
	ours = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CU_ASSERT_FATAL(ours != MAP_FAILED);
	dev.recv.base = ours;
	CU_ASSERT_EQUAL(hpbus_recv_renew(&dev), 0);
	CU_ASSERT_PTR_NULL(dev.recv.base);
	CU_ASSERT_EQUAL(pwrite(fd, "\x22", 1, 0), 1);
	CU_ASSERT_EQUAL(ours[0], 0);
	hpbus_recv_free(ours, LEN);
	close(fd);
}

static const struct unit_test tests[] = {
	{"shared memory becomes private in its place", shared_memory_becomes_private_in_its_place},
	{"a reset that maps nothing leaves the device its buffer",
		a_reset_that_maps_nothing_leaves_the_device_its_buffer},
	{"a reset that maps has none left", a_reset_that_maps_has_none_left},
	{"the bus lets go without memory for a copy", the_bus_lets_go_without_memory_for_a_copy},
};

int
main(void)
{
	return UNIT_RUN("receive buffer that is kept", tests);
}
