/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A reader that sleeps, and a writer, in every order of their accesses (spec/vmbus-ring.md §7):
 * what the writer publishes always wakes the reader. Leaving out any part of how the reader goes to
 * sleep, or of how the writer decides to signal, loses a wake-up in some order, and it is found.
 */
#include "test/unit/interleave.h"

#include "lib/vmbus/ring.h"
#include "test/unit/unit.h"

#define DATA	     4096u
#define BYTES	     64u /* of a packet, descriptor included */
#define MAX_MESSAGES 3u

static struct {
	_Alignas(64) struct vmbus_ring_control ctl;
	_Alignas(8) uint8_t data[DATA];
} memory;

static struct vmbus_ring_writer w;
static struct vmbus_ring_reader r;
static unsigned int messages, got;
static bool event; /* an eventfd */

/* What a test does in place of ring.h's. */
static bool (*arm)(struct vmbus_ring_reader *);
static bool (*publish)(struct vmbus_ring_writer *);
static bool publish_before_arming;

static void
raise_event(void)
{
	il_call();
	event = true;
}

static void
guest(void)
{
	struct vmbus_packet pkt;
	int total;

	while (got < messages) {
		il_call();
		event = false;
		if (publish_before_arming)
			vmbus_ring_reader_publish(&r, true);
		if (arm(&r))
			raise_event();
		il_wait(&event);
		vmbus_ring_reader_mask(&r);
		while ((total = vmbus_ring_peek(&r, &pkt)) > 0) {
			vmbus_ring_consume(&r, (uint32_t)total);
			got++;
		}
	}
}

static void
host(void)
{
	_Alignas(8) uint8_t packet[BYTES] = {0};
	unsigned int i;

	vmbus_packet_init((struct vmbus_packet *)packet, VMBUS_PACKET_INBAND,
		sizeof(struct vmbus_packet), BYTES, 0, 0);
	for (i = 0; i < messages; i++) {
		vmbus_ring_write(&w, packet, BYTES, 0);
		if (publish(&w))
			raise_event();
	}
}

static void
prepare(void)
{
	memset(&memory, 0, sizeof(memory));
	memory.ctl.interrupt_mask = 1;
	w = (struct vmbus_ring_writer){
		.ring = {.ctl = &memory.ctl, .data = memory.data, .size = DATA}};
	r = (struct vmbus_ring_reader){.ring = w.ring};
	got = 0;
	event = false;
}

static void (*const both[])(void) = {guest, host};

static unsigned long
explore(unsigned int n, unsigned int bound)
{
	messages = n;
	return il_explore(prepare, both, 2, bound);
}

static void
as_it_is(void)
{
	arm = vmbus_ring_reader_unmask;
	publish = vmbus_ring_writer_publish;
	publish_before_arming = true;
}

static void
test_no_order_loses_a_wake_up(void)
{
	as_it_is();
	CU_ASSERT_EQUAL(explore(1, 5), 0);
	printf("%lu orders ... ", il.runs);
	CU_ASSERT(il.runs > 1000);
	CU_ASSERT_EQUAL(explore(2, 2), 0);
	printf("%lu ... ", il.runs);
	CU_ASSERT_EQUAL(explore(MAX_MESSAGES, 2), 0);
	printf("%lu ... ", il.runs);
}

/* ---- with a part left out ---- */

static bool
arm_without_looking_again(struct vmbus_ring_reader *reader)
{
	atomic_store_explicit(&reader->ring.ctl->interrupt_mask, 0, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	return false;
}

static bool
arm_without_fence(struct vmbus_ring_reader *reader)
{
	atomic_store_explicit(&reader->ring.ctl->interrupt_mask, 0, memory_order_relaxed);
	return atomic_load_explicit(&reader->ring.ctl->write_index, memory_order_acquire) !=
	       reader->next_r;
}

static bool
arm_having_looked_before(struct vmbus_ring_reader *reader)
{
	bool found = atomic_load_explicit(&reader->ring.ctl->write_index, memory_order_acquire) !=
		     reader->next_r;

	atomic_store_explicit(&reader->ring.ctl->interrupt_mask, 0, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	return found;
}

static bool
publish_without_fence(struct vmbus_ring_writer *writer)
{
	uint32_t old = writer->published_w;

	return vmbus_ring_writer_show(writer) && vmbus_ring_writer_wakes(writer, old);
}

static void
test_without_the_second_look_one_is_lost(void)
{
	as_it_is();
	arm = arm_without_looking_again;
	CU_ASSERT_NOT_EQUAL(explore(1, 4), 0);
	arm = arm_having_looked_before;
	CU_ASSERT_NOT_EQUAL(explore(1, 4), 0);
}

static void
test_without_a_fence_one_is_lost(void)
{
	as_it_is();
	arm = arm_without_fence;
	CU_ASSERT_NOT_EQUAL(explore(1, 4), 0);
	as_it_is();
	publish = publish_without_fence;
	CU_ASSERT_NOT_EQUAL(explore(1, 4), 0);
}

/* The writer takes the ring for not empty, and who sleeps for awake. */
static void
test_asleep_with_the_read_index_unpublished_one_is_lost(void)
{
	as_it_is();
	publish_before_arming = false;
	CU_ASSERT_NOT_EQUAL(explore(2, 2), 0);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"no order loses a wake-up", test_no_order_loses_a_wake_up},
		{"without the second look one is lost", test_without_the_second_look_one_is_lost},
		{"without a fence one is lost", test_without_a_fence_one_is_lost},
		{"asleep with the read index unpublished one is lost",
			test_asleep_with_the_read_index_unpublished_one_is_lost},
	};

	return UNIT_RUN("vmbus_interleave", tests);
}
