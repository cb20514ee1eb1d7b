/* SPDX-License-Identifier: BSD-3-Clause */
/* Message slot of hvsim-vm against a guest thread: in order, none lost (spec §7, §15). */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "app/hvsim-vm/synic.h"
#include "test/unit/unit.h"

#define MESSAGES 300000u

struct slot {
	_Atomic uint32_t type;
	uint8_t size;
	_Atomic uint8_t flags;
	uint8_t rest[10];
	uint8_t payload[240];
};

static struct ram ram;
static struct synic synic;
static int eom_fd;
static uint32_t received, out_of_order;

/* Linux's way: copy, compare-exchange the type to 0, fence, EOM if the flag is set. */
static void *
guest(void *arg)
{
	struct slot *slot = ram_at(&ram, 0x1200, 256);
	const uint64_t one = 1;
	uint64_t count;

	while (received < MESSAGES) {
		struct pollfd fd = {.fd = synic.vp[0].irq_fd, .events = POLLIN};

		if (poll(&fd, 1, 5000) <= 0)
			break; /* lost */
		if (read(fd.fd, &count, sizeof(count)) < 0)
			break;
		for (;;) {
			uint32_t type = atomic_load_explicit(&slot->type, memory_order_acquire), n;

			if (type == 0)
				break;
			memcpy(&n, slot->payload, 4);
			out_of_order += n != received || slot->size != 4 + n % 200;
			received++;
			atomic_compare_exchange_strong(&slot->type, &type, 0);
			atomic_thread_fence(memory_order_seq_cst);
			if ((atomic_load(&slot->flags) & 1) && write(eom_fd, &one, sizeof(one)) < 0)
				break;
		}
	}
	return NULL;
}

static void
test_pump(void)
{
	uint8_t payload[240] = {0};
	pthread_t thread;
	uint32_t sent = 0;
	uint64_t count;

	CU_ASSERT_EQUAL_FATAL(ram_create(&ram, 1 << 20), 0);
	synic_init(&synic, &ram, 1);
	synic.vp[0].irq_fd = eventfd(0, EFD_CLOEXEC);
	eom_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	synic_set_pages(&synic, 0, 1, 0, 0x1001);
	pthread_create(&thread, NULL, guest, NULL);
	/* Only acknowledgements move what is queued: a lost one stops everything. */
	while (sent < MESSAGES || synic.queued > 0) {
		while (sent < MESSAGES && synic.queued < 64) {
			memcpy(payload, &sent, 4);
			synic_post(&synic, payload, (uint8_t)(4 + sent % 200));
			sent++;
		}
		if (synic.queued > 0) {
			struct pollfd fd = {.fd = eom_fd, .events = POLLIN};

			if (poll(&fd, 1, 5000) <= 0)
				break;
			if (read(eom_fd, &count, sizeof(count)) > 0)
				synic_pump(&synic);
		}
	}
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(sent, MESSAGES);
	CU_ASSERT_EQUAL(received, MESSAGES);
	CU_ASSERT_EQUAL(out_of_order, 0);
	synic_destroy(&synic);
	close(synic.vp[0].irq_fd);
	close(eom_fd);
	ram_destroy(&ram);
}

static void
test_memory(void)
{
	struct ram r;
	struct ram_view view;
	const uint64_t pfns[] = {9, 3, 4, 5, 3};
	uint64_t offset;

	CU_ASSERT_EQUAL_FATAL(ram_create(&r, (UINT64_C(3) << 30) + 8192), 0);
	CU_ASSERT_EQUAL(r.low, UINT64_C(3) << 30);
	CU_ASSERT_TRUE(ram_offset(&r, RAM_HOLE_END + 4096, 4096, &offset));
	CU_ASSERT_EQUAL(offset, r.low + 4096);
	CU_ASSERT_PTR_NULL(ram_at(&r, r.low - 1, 2)); /* across the hole's edge */
	CU_ASSERT_PTR_NULL(ram_at(&r, r.low, 1));
	CU_ASSERT_PTR_NULL(ram_at(&r, RAM_HOLE_END + 8192, 1));
	CU_ASSERT_PTR_NULL(ram_at(&r, RAM_HOLE_END + 8191, 2));
	CU_ASSERT_PTR_NULL(ram_at(&r, UINT64_MAX, 1));
	CU_ASSERT_PTR_NULL(ram_at(&r, 4096, UINT64_MAX));
	CU_ASSERT_FALSE(ram_pfn_ok(&r, UINT64_MAX >> 12 << 1));
	CU_ASSERT_EQUAL(ram_view_map(&r, &view, pfns, 5, 1), 0);
	CU_ASSERT_EQUAL(view.maps, 3 + 2);
	memset(ram_at(&r, 3 << 12, 4096), 0x33, 4096);
	memset(ram_at(&r, 9 << 12, 4096), 0x99, 4096);
	CU_ASSERT_EQUAL(view.base[0], 0x99);
	CU_ASSERT_EQUAL(view.base[4096], 0x33);
	CU_ASSERT_EQUAL(view.base[4 * 4096], 0x33);
	CU_ASSERT_EQUAL(view.base[5 * 4096], 0x33); /* the second copy */
	ram_view_unmap(&view);
	ram_destroy(&r);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"memory with a hole, scattered views", test_memory},
		{"300,000 messages through the slot", test_pump},
	};

	return UNIT_RUN("vm_synic", tests);
}
