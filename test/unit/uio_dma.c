/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory of an application's own that packets of the uio backend may name: pages that stay where
 * they are, by what the kernel says of them (drivers/bus/vmbus/uio_dma.c, memory_file.c).
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_memory.h>

#include "drivers/bus/vmbus/memory_file.h"
#include "drivers/bus/vmbus/uio.h"
#include "test/unit/unit.h"

#define HUGE ((size_t)2 << 20)

int hpbus_logtype;

static struct hpbus_device device;
static struct uio_device uio;
static unsigned int changes;

int
hpbus_dma_follow(void)
{
	return 0;
}

void
hpbus_dma_changed(void)
{
	changes++;
}

static void
begin(void)
{
	memset(&device, 0, sizeof(device));
	memset(&uio, 0, sizeof(uio));
	uio.dev = &device;
	device.backend_data = &uio;
	hpbus_dma_table_init(&uio.dma);
	changes = 0;
}

static void
end(void)
{
	hpbus_dma_table_clear(&uio.dma);
}

/* @return NULL: there are no hugepages */
static uint8_t *
memory(size_t len, unsigned int memfd, int flags)
{
	int fd = memfd_create("uio_dma", MFD_CLOEXEC | memfd);
	uint8_t *at = MAP_FAILED;

	if (fd < 0)
		return NULL;
	if (ftruncate(fd, (off_t)len) == 0)
		at = mmap(NULL, len, PROT_READ | PROT_WRITE, flags, fd, 0);
	close(fd);
	return at == MAP_FAILED ? NULL : at;
}

static bool
named(const void *at, size_t len)
{
	return uio_dma_usable(&device, at, len);
}

static void
test_pages_that_may_move_are_refused(void)
{
	static const int kinds[] = {MAP_SHARED | MAP_POPULATE, MAP_PRIVATE | MAP_POPULATE};
	uint8_t *at;
	size_t i;

	begin();
	for (i = 0; i < RTE_DIM(kinds); i++) {
		at = memory(8 * VMBUS_PAGE_SIZE, 0, kinds[i]);
		CU_ASSERT_PTR_NOT_NULL_FATAL(at);
		CU_ASSERT_EQUAL(
			uio_dma_map(&device, (uintptr_t)at, 0, 8 * VMBUS_PAGE_SIZE), -ENOTSUP);
		CU_ASSERT_FALSE(named(at, 1));
		munmap(at, 8 * VMBUS_PAGE_SIZE);
		CU_ASSERT_EQUAL(uio_dma_map(&device, (uintptr_t)at, 0, VMBUS_PAGE_SIZE), -ENOENT);
	}
	CU_ASSERT_EQUAL(uio.dma.n, 0);
	/* What is no pages at all. */
	CU_ASSERT_EQUAL(uio_dma_map(&device, (uintptr_t)at, 0, 0), -EINVAL);
	CU_ASSERT_EQUAL(uio_dma_map(&device, (uintptr_t)at + 1, 0, VMBUS_PAGE_SIZE), -EINVAL);
	CU_ASSERT_EQUAL(uio_dma_map(&device, (uintptr_t)at, 0, VMBUS_PAGE_SIZE + 1), -EINVAL);
	end();
}

/* Private ones are another page after a fork() and a write. */
static void
test_private_hugepages_are_refused(void)
{
	uint8_t *at = memory(HUGE, MFD_HUGETLB, MAP_PRIVATE | MAP_POPULATE);

	if (at == NULL) {
		printf("no hugepages ");
		return;
	}
	begin();
	CU_ASSERT_EQUAL(uio_dma_map(&device, (uintptr_t)at, 0, HUGE), -ENOTSUP);
	CU_ASSERT_EQUAL(uio.dma.n, 0);
	munmap(at, HUGE);
	end();
}

static void
check_run(uint8_t *at)
{
	struct hpbus_dma_run run = {
		.start = (uintptr_t)at & ~(uintptr_t)(HPBUS_DMA_WINDOW - 1),
		.len = HPBUS_DMA_WINDOW,
	};

	CU_ASSERT_TRUE(uio_dma_own(&device, (uintptr_t)at, &run));
	CU_ASSERT_TRUE(run.usable);
	CU_ASSERT_EQUAL(run.offset + (uintptr_t)at, rte_mem_virt2phy(at));
}

/* By the kernel's word, whatever the application says of the address. */
static void
test_shared_hugepages_are_named_by_where_they_are(void)
{
	uint8_t *at = memory(2 * HUGE, MFD_HUGETLB, MAP_SHARED);
	size_t len = 0, page = 0;

	if (at == NULL) {
		printf("no hugepages ");
		return;
	}
	begin();
	CU_ASSERT_EQUAL(hpbus_memory_hugepages((uintptr_t)at + HUGE, &len, &page), 0);
	CU_ASSERT_EQUAL(len, HUGE);
	CU_ASSERT_EQUAL(page, HUGE);
	/* The second page has not been touched, so that there is none: all or nothing. */
	memset(at, 1, 1);
	CU_ASSERT_EQUAL(uio_dma_map(&device, (uintptr_t)at, 0, 2 * HUGE), -EFAULT);
	CU_ASSERT_EQUAL(uio.dma.n, 0);
	memset(at + HUGE, 1, 1);
	/* Nobody without privileges is told where. */
	if (rte_mem_virt2phy(at) != RTE_BAD_IOVA) {
		CU_ASSERT_EQUAL(uio_dma_map(&device, (uintptr_t)at, 0xdead000, 2 * HUGE), 0);
		CU_ASSERT_TRUE(named(at, 2 * HUGE));
		check_run(at + 100);
		check_run(at + HUGE - 1);
		check_run(at + HUGE + VMBUS_PAGE_SIZE);
		changes = 0;
		uio_dma_unmap(&device, (uintptr_t)at, 2 * HUGE);
		CU_ASSERT(changes != 0);
		CU_ASSERT_FALSE(named(at, 1));
		/* A part of a hugepage, and that part alone. */
		CU_ASSERT_EQUAL(
			uio_dma_map(&device, (uintptr_t)at + VMBUS_PAGE_SIZE, 0, VMBUS_PAGE_SIZE),
			0);
		check_run(at + VMBUS_PAGE_SIZE);
		CU_ASSERT_FALSE(named(at, 1));
		CU_ASSERT_FALSE(named(at + VMBUS_PAGE_SIZE, VMBUS_PAGE_SIZE + 1));
	}
	munmap(at, 2 * HUGE);
	end();
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"pages that may move are refused", test_pages_that_may_move_are_refused},
		{"private hugepages are refused", test_private_hugepages_are_refused},
		{"shared hugepages are named by where they are",
			test_shared_hugepages_are_named_by_where_they_are},
	};

	return UNIT_RUN("uio_dma", tests);
}
