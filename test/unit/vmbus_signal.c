/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * When lib/vmbus/ring.h asks for a signal and when it does not: empty to non-empty, full to space,
 * and after a re-open (spec/vmbus-ring.md §7, §8, §11, §16). One thread plays both ends and counts.
 */
#include "test/unit/vmbus_fixture.h"

static const uint32_t sizes[] = {4096, 8192, 127 * 4096, 511 * 4096};

static void
polling_peer_is_never_signalled(void)
{
	uint32_t i, signals = 0;
	struct ends e;

	REQUIRE(ends_open(&e, 8192, 0));
	vmbus_ring_reader_mask(&e.r);
	for (i = 0; i < 1000; i++) {
		CU_ASSERT_EQUAL(ends_write(&e, 1), 1);
		signals += vmbus_ring_writer_publish(&e.w);
		CU_ASSERT_EQUAL(ends_read(&e, 1), 1);
		signals += vmbus_ring_reader_publish(&e.r, false);
	}
	CU_ASSERT_EQUAL(signals, 0);
	test_ring_free(&e.t);
}

static void
sleeping_peer_is_signalled_once_per_wake(void)
{
	uint32_t i, signals = 0;
	struct ends e;

	REQUIRE(ends_open(&e, 8192, 0));
	vmbus_ring_reader_mask(&e.r);
	for (i = 0; i < 1000; i++) {
		CU_ASSERT_FALSE(vmbus_ring_reader_unmask(&e.r)); /* empty: it sleeps */
		CU_ASSERT_EQUAL(ends_write(&e, 1), 1);
		signals += vmbus_ring_writer_publish(&e.w);
		/* Not yet read: further publishes are no empty-to-non-empty change. */
		CU_ASSERT_EQUAL(ends_write(&e, 1), 1);
		CU_ASSERT_FALSE(vmbus_ring_writer_publish(&e.w));
		CU_ASSERT_FALSE(vmbus_ring_writer_publish(&e.w)); /* nothing new */
		vmbus_ring_reader_mask(&e.r);
		CU_ASSERT_EQUAL(ends_read(&e, 9), 2);
		CU_ASSERT_FALSE(vmbus_ring_reader_publish(&e.r, false));
	}
	CU_ASSERT_EQUAL(signals, 1000);

	/* One burst of 32 is one signal. */
	CU_ASSERT_FALSE(vmbus_ring_reader_unmask(&e.r));
	CU_ASSERT_EQUAL(ends_write(&e, 32), 32);
	CU_ASSERT_TRUE(vmbus_ring_writer_publish(&e.w));
	CU_ASSERT_FALSE(vmbus_ring_writer_publish(&e.w));
	/* Going to sleep with packets in the ring does not work, and leaves it masked. */
	CU_ASSERT_TRUE(vmbus_ring_reader_unmask(&e.r));
	CU_ASSERT_NOT_EQUAL(atomic_load(&e.t.ring.ctl->interrupt_mask), 0);
	CU_ASSERT_EQUAL(ends_read(&e, 99), 32);
	test_ring_free(&e.t);
}

/* R1: one host exit per packet read was the price of deciding per packet. */
static void
r1_batch_of_1000_is_one_signal(void)
{
	uint32_t i, published = 0, signals = 0;
	struct ends e;

	REQUIRE(ends_open(&e, 127 * 4096, 0));
	CU_ASSERT_EQUAL(ends_write(&e, UINT32_MAX), (127 * 4096 - 8) / END_PACKET);
	CU_ASSERT_TRUE(vmbus_ring_writer_publish(&e.w));
	CU_ASSERT_FALSE(vmbus_ring_writer_wait_room(&e.w, END_PACKET));
	for (i = 0; i < 1000; i++) {
		CU_ASSERT_EQUAL(ends_read(&e, 1), 1);
		/* Nothing is told to the producer before the burst ends. */
		published += atomic_load(&e.t.ring.ctl->read_index) != 0;
	}
	signals += vmbus_ring_reader_publish(&e.r, false);
	signals += vmbus_ring_reader_publish(&e.r, false);
	CU_ASSERT_EQUAL(published, 0);
	CU_ASSERT_EQUAL(signals, 1);
	CU_ASSERT_EQUAL(atomic_load(&e.t.ring.ctl->read_index), 1000 * END_PACKET);
	test_ring_free(&e.t);
}

/* ---- space signals ---- */

static void
space_signal_table(void)
{
	static const struct {
		uint32_t w, r_old, r_new, pending;
		bool signal;
	} row[] = {
		{8184, 0, 72, 80, false}, /* 80 free is not more than 80 */
		{8184, 0, 80, 80, true},
		{8184, 0, 88, 80, true},
		{8184, 0, 8184, 8191, true}, /* D-1: when empty */
		{8184, 0, 8176, 8191, false},
		{8184, 0, 8184, 8192, false}, /* never */
		{8184, 0, 8184, UINT32_MAX, false},
		{8184, 0, 8184, 0, false},
		{4096, 4192, 4200, 80, false}, /* was free already */
		{4096, 4104, 4192, 80, true},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(row); i++) {
		struct vmbus_ring_reader r;
		struct test_ring t;

		REQUIRE(test_ring_heap(&t, 8192));
		test_ring_place(&t, row[i].w, row[i].r_old);
		CU_ASSERT_EQUAL(vmbus_ring_reader_init(&r, &t.ring), 0);
		atomic_store(&t.ring.ctl->pending_send_sz, row[i].pending);
		atomic_store(&t.ring.ctl->interrupt_mask, 1); /* not consulted here (§8) */
		vmbus_ring_consume(&r, vmbus_ring_used(8192, row[i].r_new, row[i].r_old));
		CU_ASSERT_EQUAL(vmbus_ring_reader_publish(&r, false), row[i].signal);
		CU_ASSERT_EQUAL(atomic_load(&t.ring.ctl->read_index), row[i].r_new);
		CU_ASSERT_EQUAL(atomic_load(&t.ring.ctl->pending_send_sz), row[i].pending);
		test_ring_free(&t);
	}
}

/* Fill, wait for @p want free bytes, drain one by one. @return signals; *after = packets read */
static uint32_t
drain_signals(uint32_t size, uint32_t want, uint32_t *after, uint32_t *count)
{
	uint32_t signals = 0, i;
	struct ends e;

	*after = *count = 0;
	if (!ends_open(&e, size, 0))
		return 0;
	*count = ends_write(&e, UINT32_MAX);
	vmbus_ring_writer_publish(&e.w);
	CU_ASSERT_FALSE(vmbus_ring_writer_wait_room(&e.w, want));
	CU_ASSERT_EQUAL(atomic_load(&e.t.ring.ctl->pending_send_sz), want);
	for (i = 1; ends_read(&e, 1) == 1; i++)
		if (vmbus_ring_reader_publish(&e.r, true)) {
			signals++;
			*after = i;
			CU_ASSERT_TRUE(vmbus_ring_writer_refresh(&e.w));
			CU_ASSERT_TRUE(vmbus_ring_writer_free(&e.w) > want);
		}
	/* Asking for what is there already is no wait, and leaves no request behind. */
	CU_ASSERT_TRUE(vmbus_ring_writer_wait_room(&e.w, want));
	CU_ASSERT_EQUAL(atomic_load(&e.t.ring.ctl->pending_send_sz), 0);
	test_ring_free(&e.t);
	return signals;
}

static void
blocked_producer_gets_exactly_one_signal(void)
{
	uint32_t after, count;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		/* 64 bytes stay free in a full ring: one packet read makes room for one. */
		CU_ASSERT_EQUAL(drain_signals(sizes[i], END_PACKET, &after, &count), 1);
		CU_ASSERT_EQUAL(after, 1);
		CU_ASSERT_EQUAL(count, sizes[i] / END_PACKET - 1);
		/* S = D-1: exactly when the ring is empty. */
		CU_ASSERT_EQUAL(drain_signals(sizes[i], sizes[i] - 1, &after, &count), 1);
		CU_ASSERT_EQUAL(after, count);
		/* A quarter of the ring, as one real host asks for. */
		CU_ASSERT_EQUAL(drain_signals(sizes[i], sizes[i] / 4, &after, &count), 1);
		CU_ASSERT_EQUAL(after, sizes[i] / 4 / END_PACKET);
	}
}

static void
space_signal_is_gated_for_guests_only(void)
{
	struct ends e;

	REQUIRE(ends_open(&e, 8192, 0));
	CU_ASSERT_EQUAL(atomic_load(&e.t.ring.ctl->feature_bits), VMBUS_RING_FEATURE_PENDING_SEND);
	CU_ASSERT_TRUE(ends_write(&e, UINT32_MAX) > 2);
	vmbus_ring_writer_publish(&e.w);
	CU_ASSERT_FALSE(vmbus_ring_writer_wait_room(&e.w, 2 * END_PACKET));
	atomic_store(&e.t.ring.ctl->feature_bits, 0xfffffffe);
	CU_ASSERT_EQUAL(ends_read(&e, 2), 2);
	CU_ASSERT_FALSE(vmbus_ring_reader_publish(&e.r, true));

	REQUIRE(vmbus_ring_reader_init(&e.r, &e.t.ring) == 0);
	CU_ASSERT_FALSE(vmbus_ring_writer_wait_room(&e.w, 4 * END_PACKET));
	CU_ASSERT_EQUAL(ends_read(&e, 2), 2);
	CU_ASSERT_TRUE(vmbus_ring_reader_publish(&e.r, false));
	test_ring_free(&e.t);
}

/* ---- reopen ---- */

/* The kernel resets only w, r and feature_bits: mask and pending_send_sz survive a close (§11). */
static void
reopen_with_stale_mask_and_pending(void)
{
	uint32_t i, signals = 0;
	struct ends e;

	REQUIRE(ends_open(&e, 8192, 0));
	CU_ASSERT_EQUAL(ends_write(&e, 5), 5);
	vmbus_ring_writer_publish(&e.w);
	CU_ASSERT_EQUAL(ends_read(&e, 2), 2);
	vmbus_ring_reader_publish(&e.r, false);

	test_ring_place(&e.t, 0, 0);
	atomic_store(&e.t.ring.ctl->interrupt_mask, 1);
	atomic_store(&e.t.ring.ctl->pending_send_sz, 64);
	REQUIRE(vmbus_ring_writer_init(&e.w, &e.t.ring) == 0);
	REQUIRE(vmbus_ring_reader_init(&e.r, &e.t.ring) == 0);
	CU_ASSERT_EQUAL(atomic_load(&e.t.ring.ctl->pending_send_sz), 0);
	CU_ASSERT_EQUAL(
		atomic_load(&e.t.ring.ctl->interrupt_mask), 1); /* the consumer's to clear */
	CU_ASSERT_EQUAL(ends_read(&e, 1), 0);
	for (i = 0; i < 500; i++) {
		CU_ASSERT_TRUE(ends_write(&e, UINT32_MAX) > 0);
		signals += vmbus_ring_writer_publish(&e.w);
		CU_ASSERT_TRUE(ends_read(&e, 1 + i % 200) > 0);
		signals += vmbus_ring_reader_publish(&e.r, false);
	}
	CU_ASSERT_EQUAL(signals, 0);

	/* Re-open in the middle of a ring: start from the indices that stand there. */
	REQUIRE(vmbus_ring_writer_init(&e.w, &e.w.ring) == 0);
	REQUIRE(vmbus_ring_reader_init(&e.r, &e.r.ring) == 0);
	ends_read(&e, UINT32_MAX);
	vmbus_ring_reader_publish(&e.r, false);
	CU_ASSERT_FALSE(vmbus_ring_reader_unmask(&e.r));
	CU_ASSERT_EQUAL(ends_write(&e, 1), 1);
	CU_ASSERT_TRUE(vmbus_ring_writer_publish(&e.w));
	CU_ASSERT_EQUAL(ends_read(&e, 9), 1);
	test_ring_free(&e.t);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"signals: polling peer", polling_peer_is_never_signalled},
		{"signals: sleeping peer", sleeping_peer_is_signalled_once_per_wake},
		{"R1 a batch of 1000 is one signal", r1_batch_of_1000_is_one_signal},
		{"R12 space signal table", space_signal_table},
		{"R12 blocked producer: one signal", blocked_producer_gets_exactly_one_signal},
		{"space signal gate", space_signal_is_gated_for_guests_only},
		{"reopen with stale mask and pending", reopen_with_stale_mask_and_pending},
	};

	return UNIT_RUN("vmbus_signal", tests);
}
