/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What comes in behind frames that nobody has received yet: completions, control messages, and the
 * mark above which frames are dropped (pitfall X1). And transfer packets that others hold.
 */
#include <pthread.h>

#include <rte_cycles.h>

#include "lib/netvsp/nvsp.h"
#include "lib/netvsp/rndis.h"
#include "test/unit/netvsc_receive.h"

static struct netvsc_channel *
channel(void)
{
	return fixture_channel(&f, 0);
}

/* As a sender that needs completions. */
static void
scan(void)
{
	netvsc_rx_try_scan(channel(), &fixture_txq(&f, 0)->lock_misses);
}

static void
indicate(uint32_t section, uint64_t tid)
{
	struct vmbus_xfer_range range;
	uint8_t msg[64];
	int len = rndis_build_indicate(msg, sizeof(msg), RNDIS_STATUS_MEDIA_DISCONNECT, NULL, 0);

	CU_ASSERT_FATAL(len > 0);
	range = fixture_bytes(&f, section, msg, (uint32_t)len);
	CU_ASSERT_EQUAL(fixture_xfer(&f, 0, tid, &range, 1), 0);
}

/* Send a frame. @return the transaction id of its packet */
static uint64_t
send_one(uint64_t seed)
{
	struct rte_mbuf *m = fixture_mbuf(&f, 100, seed);
	struct fixture_packet pkt = {0};

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL_FATAL(netvsc_tx_burst(f.tx_queues[0], &m, 1), 1);
	do {
		CU_ASSERT_FATAL(fixture_read(&f, 0, &pkt));
	} while (pkt.desc.type == VMBUS_PACKET_COMPLETION);
	return pkt.desc.trans_id;
}

static unsigned int
inflight(void)
{
	netvsc_tx_reap(fixture_txq(&f, 0));
	return netvsc_tx_inflight(fixture_txq(&f, 0));
}

/* ---- scanning ahead ---- */

static void
test_completions_pass_frames(void)
{
	uint64_t a, b;
	uint32_t i;

	REQUIRE(fixture_begin(&f, NULL));
	a = send_one(1);
	b = send_one(2);
	fixture_frames(&f, 0, 1, 0, 4, 64, 0);
	fixture_complete(&f, 0, b, NVSP_STATUS_SUCCESS);
	fixture_frames(&f, 0, 2, 4, 4, 64, 4);
	fixture_complete(&f, 0, a, NVSP_STATUS_FAILURE);
	fixture_publish(&f, 0);
	scan();
	CU_ASSERT_EQUAL(inflight(), 0);
	CU_ASSERT_EQUAL(fixture_txq(&f, 0)->stats.failed, 1);
	/* Nothing of the ring is given back: the frames are still there. */
	CU_ASSERT_EQUAL(f.host[0].in.ring.ctl->read_index, 0);
	CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, NULL, 0), 0);
	/* More comes, more is scanned, nothing twice. */
	a = send_one(3);
	fixture_complete(&f, 0, a, NVSP_STATUS_SUCCESS);
	fixture_publish(&f, 0);
	scan();
	scan();
	CU_ASSERT_EQUAL(inflight(), 0);
	CU_ASSERT_EQUAL_FATAL(burst(32), 8);
	for (i = 0; i < 8; i++)
		CU_ASSERT(fixture_mbuf_is(got[i], 64, i));
	free_got(8);
	CU_ASSERT_EQUAL(counts()->tx_bad_completions, 0);
	CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, NULL, 0), 2);
	CU_ASSERT_EQUAL(channel()->ahead, 0);
	fixture_end(&f);
}

/* With nothing unread before them they are out of the ring at once. */
static void
test_scan_gives_back_what_it_can(void)
{
	uint64_t a;

	REQUIRE(fixture_begin(&f, NULL));
	a = send_one(1);
	fixture_complete(&f, 0, a, NVSP_STATUS_SUCCESS);
	fixture_publish(&f, 0);
	scan();
	CU_ASSERT_EQUAL(inflight(), 0);
	CU_ASSERT_EQUAL(f.host[0].in.ring.ctl->read_index, f.host[0].in.ring.ctl->write_index);
	fixture_end(&f);
}

static void
test_scan_passes_a_half_taken_packet(void)
{
	uint64_t a, tids[4];

	REQUIRE(fixture_begin(&f, NULL));
	a = send_one(1);
	fixture_frames(&f, 0, 1, 0, 4, 64, 0);
	fixture_complete(&f, 0, a, NVSP_STATUS_SUCCESS);
	fixture_frames(&f, 0, 2, 4, 1, 64, 4);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(burst(2), 2);
	free_got(2);
	scan();
	CU_ASSERT_EQUAL(inflight(), 0);
	CU_ASSERT_EQUAL_FATAL(burst(8), 3);
	CU_ASSERT(fixture_mbuf_is(got[0], 64, 2));
	CU_ASSERT(fixture_mbuf_is(got[2], 64, 4));
	free_got(3);
	CU_ASSERT_EQUAL(counts()->tx_bad_completions, 0);
	CU_ASSERT_EQUAL(fixture_completions(&f, 0, tids, NULL, 4), 2);
	CU_ASSERT_EQUAL(tids[0], 1);
	CU_ASSERT_EQUAL(tids[1], 2);
	fixture_end(&f);
}

/* Each is handled once, by whichever comes first; more than can be remembered wait for receive. */
static void
test_control_is_handled_once(void)
{
	const uint32_t many = NETVSC_HANDLED_MAX + 8;
	uint64_t tids[128];
	uint32_t i, n;

	REQUIRE(fixture_begin(&f, NULL));
	fixture_frames(&f, 0, 1000, 0, 1, 64, 0);
	for (i = 0; i < many; i++)
		indicate(10 + i, i);
	fixture_frames(&f, 0, 1001, 1, 1, 64, 1);
	fixture_publish(&f, 0);
	scan();
	CU_ASSERT(atomic_exchange(&f.port.events, 0) & NETVSC_EVENT_LINK);
	n = fixture_completions(&f, 0, tids, NULL, 128);
	CU_ASSERT_EQUAL(n, NETVSC_HANDLED_MAX);
	for (i = 0; i < n; i++)
		CU_ASSERT_EQUAL(tids[i], i);
	scan();
	CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, NULL, 0), 0);
	CU_ASSERT_EQUAL_FATAL(burst(8), 2);
	CU_ASSERT(fixture_mbuf_is(got[0], 64, 0));
	CU_ASSERT(fixture_mbuf_is(got[1], 64, 1));
	free_got(2);
	CU_ASSERT(atomic_exchange(&f.port.events, 0) & NETVSC_EVENT_LINK);
	n = fixture_completions(&f, 0, tids, NULL, 128);
	CU_ASSERT_EQUAL(n, 2 + many - NETVSC_HANDLED_MAX);
	CU_ASSERT_EQUAL(tids[0], 1000);
	CU_ASSERT_EQUAL(tids[1], NETVSC_HANDLED_MAX);
	CU_ASSERT_EQUAL(tids[n - 1], 1001);
	CU_ASSERT_EQUAL(counts()->rx_malformed, 0);
	CU_ASSERT_EQUAL(channel()->n_handled, 0);
	fixture_end(&f);
}

static void
test_scan_has_a_budget(void)
{
	const struct fixture_conf conf = {.ring = 128u << 10};
	const uint64_t nothing = 0;
	uint64_t a;
	uint32_t i;

	REQUIRE(fixture_begin(&f, &conf));
	a = send_one(1);
	for (i = 0; i < 1500; i++)
		fixture_packet(&f, 0, (enum vmbus_packet_type)0x3f, i, &nothing, 0, 8);
	fixture_complete(&f, 0, a, NVSP_STATUS_SUCCESS);
	fixture_publish(&f, 0);
	scan();
	CU_ASSERT_EQUAL(inflight(), 1);
	scan();
	CU_ASSERT_EQUAL(inflight(), 0);
	CU_ASSERT_EQUAL(counts()->rx_unknown_packets, 1500);
	fixture_end(&f);
}

static void
test_scan_of_a_broken_ring(void)
{
	struct vmbus_packet pkt = {.type = VMBUS_PACKET_COMPLETION, .offset8 = 3, .len8 = 2};
	uint32_t at;

	REQUIRE(fixture_begin(&f, NULL));
	fixture_frames(&f, 0, 1, 0, 1, 64, 0);
	at = f.host[0].to_guest.next_w;
	fixture_frames(&f, 0, 2, 0, 1, 64, 0);
	memcpy(f.host[0].in.ring.data + at, &pkt, sizeof(pkt));
	fixture_publish(&f, 0);
	scan();
	CU_ASSERT(atomic_load(&f.port.state) & NETVSC_STATE_BROKEN);
	scan();
	rte_spinlock_lock(&channel()->rx_lock);
	netvsc_rx_drain(channel());
	rte_spinlock_unlock(&channel()->rx_lock);
	CU_ASSERT_EQUAL(counts()->rx_dropped_stopped, 0);
	CU_ASSERT_EQUAL(burst(8), 0);
	fixture_end(&f);
}

static void
test_scan_without_the_lock(void)
{
	uint16_t misses = 0;
	uint64_t a;
	uint32_t i;

	REQUIRE(fixture_begin(&f, NULL));
	a = send_one(1);
	fixture_complete(&f, 0, a, NVSP_STATUS_SUCCESS);
	fixture_publish(&f, 0);
	rte_spinlock_lock(&channel()->rx_lock);
	for (i = 0; i < 2 * NETVSC_TRYLOCK_LIMIT; i++)
		netvsc_rx_try_scan(channel(), &misses);
	CU_ASSERT_EQUAL(misses, 2 * NETVSC_TRYLOCK_LIMIT);
	rte_spinlock_unlock(&channel()->rx_lock);
	netvsc_rx_try_scan(channel(), &misses);
	CU_ASSERT_EQUAL(misses, 0);
	CU_ASSERT_EQUAL(inflight(), 0);
	fixture_end(&f);
}

/* ---- the mark ---- */

static uint32_t
occupied(void)
{
	const struct vmbus_ring_control *ctl = f.host[0].in.ring.ctl;

	return vmbus_ring_used(f.conf.ring, ctl->write_index, ctl->read_index);
}

/* Nobody has received since long before the mark was passed. */
static void
make_it_old(void)
{
	CU_ASSERT_FATAL(channel()->high_since != 0);
	channel()->high_since -= rte_get_timer_hz();
}

static void
test_unpolled_ring_drops_the_oldest(void)
{
	uint32_t written = 0, dropped, n, k, i;

	REQUIRE(fixture_begin(&f, NULL));
	while (fixture_frames(&f, 0, written, written % 50 * 4, 4, 64, written * 4) == 0)
		written++;
	/* Sections are used again: only the newest 49 packets have their bytes. */
	fixture_publish(&f, 0);
	CU_ASSERT(occupied() > f.conf.ring / 8 * 7);
	scan();
	CU_ASSERT_EQUAL(counts()->rx_dropped_unpolled, 0);
	make_it_old();
	/* A receiver that came meanwhile is one. */
	CU_ASSERT_EQUAL(burst(1), 1);
	free_got(1);
	scan();
	CU_ASSERT_EQUAL(counts()->rx_dropped_unpolled, 0);
	make_it_old();
	scan();
	dropped = (uint32_t)counts()->rx_dropped_unpolled;
	CU_ASSERT(dropped > 0);
	/* One frame of the first packet was received. */
	CU_ASSERT_EQUAL(dropped % 4, 3);
	CU_ASSERT(occupied() <= f.conf.ring / 8 * 7);
	CU_ASSERT(occupied() > f.conf.ring / 8 * 6);
	CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, NULL, 0), (dropped + 1) / 4);
	/* The rest is received, in order. */
	for (n = dropped + 1; (k = burst(32)) != 0; n += k) {
		for (i = 0; i < k; i++)
			if (n + i >= (written - 49) * 4)
				CU_ASSERT(fixture_mbuf_is(got[i], 64, n + i));
		free_got(k);
	}
	CU_ASSERT_EQUAL(n, written * 4);
	fixture_end(&f);
}

/* Memory of what was handled ahead is as good a reason: sends starve without it. */
static void
test_unpolled_with_too_much_handled(void)
{
	uint32_t i;

	REQUIRE(fixture_begin(&f, NULL));
	fixture_frames(&f, 0, 1000, 0, 2, 64, 0);
	for (i = 0; i < NETVSC_HANDLED_MAX; i++)
		indicate(10 + i, i);
	/* Nor does it get lost that this makes no sense. */
	fixture_xfer_as(&f, 0, 1001, 0xdead, 1, NULL, 0);
	fixture_publish(&f, 0);
	scan();
	make_it_old();
	scan();
	CU_ASSERT_EQUAL(counts()->rx_dropped_unpolled, 2);
	CU_ASSERT(channel()->n_handled < NETVSC_HANDLED_MAX);
	CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, NULL, 0), NETVSC_HANDLED_MAX + 1);
	CU_ASSERT_EQUAL(burst(8), 0);
	CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, NULL, 0), 1);
	CU_ASSERT_EQUAL(counts()->rx_malformed, 1);
	fixture_end(&f);
}

/* ---- draining ---- */

static void
drain(void)
{
	rte_spinlock_lock(&channel()->rx_lock);
	netvsc_rx_drain(channel());
	rte_spinlock_unlock(&channel()->rx_lock);
}

static void
test_drain(void)
{
	uint64_t a, tids[64];
	uint32_t statuses[64], n, i;

	REQUIRE(fixture_begin(&f, NULL));
	a = send_one(1);
	fixture_frames(&f, 0, 1, 0, 3, 64, 0);
	fixture_frames(&f, 0, 2, 3, 2, 64, 3);
	indicate(9, 3);
	fixture_complete(&f, 0, a, NVSP_STATUS_SUCCESS);
	fixture_xfer_as(&f, 0, 4, 0xdead, 1, NULL, 0);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL(burst(1), 1);
	free_got(1);
	drain();
	CU_ASSERT_EQUAL(inflight(), 0);
	CU_ASSERT(atomic_load(&f.port.events) & NETVSC_EVENT_LINK);
	CU_ASSERT_EQUAL(counts()->rx_dropped_stopped, 2 + 2 + 1);
	CU_ASSERT_EQUAL(occupied(), 0);
	n = fixture_completions(&f, 0, tids, statuses, 64);
	CU_ASSERT_EQUAL(n, 4);
	for (i = 0; i < n; i++)
		CU_ASSERT_EQUAL(
			statuses[i], tids[i] == 4 ? NVSP_STATUS_FAILURE : NVSP_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(burst(8), 0);
	fixture_end(&f);
}

/* What a scan did not get to is not lost, frames or not. */
static void
test_drain_behind_a_full_memory(void)
{
	uint64_t a;
	uint32_t i;

	REQUIRE(fixture_begin(&f, NULL));
	a = send_one(1);
	fixture_frames(&f, 0, 1000, 0, 1, 64, 0);
	for (i = 0; i < NETVSC_HANDLED_MAX + 5; i++)
		indicate(10 + i, i);
	fixture_complete(&f, 0, a, NVSP_STATUS_SUCCESS);
	fixture_publish(&f, 0);
	drain();
	CU_ASSERT_EQUAL(inflight(), 0);
	CU_ASSERT_EQUAL(counts()->rx_dropped_stopped, 1);
	CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, NULL, 0), 1 + NETVSC_HANDLED_MAX + 5);
	fixture_end(&f);
}

/* ---- transfer packets that others hold ---- */

static struct netvsc_rx_transfer *
hold(void)
{
	struct netvsc_rx_transfer *transfer;

	rte_spinlock_lock(&channel()->rx_lock);
	transfer = netvsc_rx_hold(channel());
	rte_spinlock_unlock(&channel()->rx_lock);
	return transfer;
}

static void *
put_thread(void *transfer)
{
	netvsc_rx_put(transfer);
	return NULL;
}

static void
put_elsewhere(struct netvsc_rx_transfer *transfer)
{
	pthread_t thread;

	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, put_thread, transfer), 0);
	pthread_join(thread, NULL);
}

static void
test_held_packet_is_completed_by_the_last(void)
{
	struct netvsc_rx_transfer *a, *b;
	uint64_t tids[4];

	REQUIRE(fixture_begin(&f, NULL));
	CU_ASSERT_EQUAL_FATAL(netvsc_rx_transfers_make(channel(), 2), 0);
	fixture_frames(&f, 0, 1, 0, 3, 64, 0);
	fixture_frames(&f, 0, 2, 3, 1, 64, 3);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL(burst(1), 1);
	free_got(1);
	a = hold();
	b = hold();
	CU_ASSERT_PTR_NOT_NULL_FATAL(a);
	CU_ASSERT_PTR_EQUAL(a, b);
	CU_ASSERT_EQUAL(burst(8), 3);
	free_got(3);
	/* The ring went on, the sections of the first packet are still read. */
	CU_ASSERT_EQUAL(occupied(), 0);
	CU_ASSERT_EQUAL(fixture_completions(&f, 0, tids, NULL, 4), 1);
	CU_ASSERT_EQUAL(tids[0], 2);
	netvsc_rx_put(a);
	CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, NULL, 0), 0);
	/* The last goes on another thread, without any burst. */
	put_elsewhere(b);
	CU_ASSERT_EQUAL(fixture_completions(&f, 0, tids, NULL, 4), 1);
	CU_ASSERT_EQUAL(tids[0], 1);
	netvsc_rx_transfers_free(channel());
	fixture_end(&f);
}

/* The receiver has the lock: its next burst sends what the other left. */
static void
test_last_reference_while_a_burst_is_inside(void)
{
	struct netvsc_rx_transfer *a;
	uint32_t status;

	REQUIRE(fixture_begin(&f, NULL));
	CU_ASSERT_EQUAL_FATAL(netvsc_rx_transfers_make(channel(), 1), 0);
	fixture_frames(&f, 0, 1, 0, 2, 64, 0);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL(burst(1), 1);
	free_got(1);
	a = hold();
	CU_ASSERT_PTR_NOT_NULL_FATAL(a);
	channel()->cursor.bad = true;
	CU_ASSERT_EQUAL(burst(8), 1);
	free_got(1);
	rte_spinlock_lock(&channel()->rx_lock);
	put_elsewhere(a);
	rte_spinlock_unlock(&channel()->rx_lock);
	CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, NULL, 0), 0);
	CU_ASSERT_EQUAL(burst(8), 0);
	CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, &status, 1), 1);
	CU_ASSERT_EQUAL(status, NVSP_STATUS_FAILURE);
	netvsc_rx_transfers_free(channel());
	fixture_end(&f);
}

static void
test_no_object_left(void)
{
	struct netvsc_rx_transfer *a;

	REQUIRE(fixture_begin(&f, NULL));
	fixture_frames(&f, 0, 1, 0, 2, 64, 0);
	fixture_frames(&f, 0, 2, 2, 2, 64, 0);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL(burst(1), 1);
	free_got(1);
	CU_ASSERT_PTR_NULL(hold());
	CU_ASSERT_EQUAL_FATAL(netvsc_rx_transfers_make(channel(), 1), 0);
	a = hold();
	CU_ASSERT_PTR_NOT_NULL_FATAL(a);
	CU_ASSERT_EQUAL(burst(2), 2);
	free_got(2);
	CU_ASSERT_PTR_NULL(hold());
	netvsc_rx_put(a);
	/* Back, and good for the next. */
	a = hold();
	CU_ASSERT_PTR_NOT_NULL_FATAL(a);
	netvsc_rx_put(a);
	/* A stop takes what is left, and the burst's reference with it. */
	drain();
	CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, NULL, 0), 2);
	netvsc_rx_transfers_free(channel());
	fixture_end(&f);
}

/* The host has its sections back with the reset: nobody may complete a packet of before it. */
static void
test_reference_from_before_a_reset(void)
{
	struct netvsc_rx_transfer *a, *b;

	REQUIRE(fixture_begin(&f, NULL));
	CU_ASSERT_EQUAL_FATAL(netvsc_rx_transfers_make(channel(), 2), 0);
	fixture_frames(&f, 0, 1, 0, 2, 64, 0);
	fixture_frames(&f, 0, 2, 2, 2, 64, 0);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL(burst(1), 1);
	free_got(1);
	a = hold();
	CU_ASSERT_EQUAL(burst(2), 2);
	free_got(2);
	b = hold();
	CU_ASSERT(a != NULL && b != NULL && a != b);
	netvsc_channel_close(channel());
	netvsc_rx_put(a);
	CU_ASSERT_EQUAL_FATAL(netvsc_channel_open(&f.port, 0), 0);
	netvsc_channel_set(channel(), NETVSC_CHANNEL_RUNNING);
	netvsc_rx_put(b);
	CU_ASSERT_EQUAL(burst(2), 0);
	CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, NULL, 0), 0);
	/* Both objects are back. */
	CU_ASSERT_PTR_NOT_NULL(channel()->free_transfers);
	CU_ASSERT_PTR_NOT_NULL(channel()->free_transfers->next);
	netvsc_rx_transfers_free(channel());
	fixture_end(&f);
}

static const struct unit_test tests[] = {
	{"completions pass frames (X1)", test_completions_pass_frames},
	{"a scan gives back what it can", test_scan_gives_back_what_it_can},
	{"a scan passes a half-taken packet", test_scan_passes_a_half_taken_packet},
	{"control is handled once", test_control_is_handled_once},
	{"a scan has a budget", test_scan_has_a_budget},
	{"a scan of a broken ring", test_scan_of_a_broken_ring},
	{"a scan without the lock", test_scan_without_the_lock},
	{"an unpolled ring drops the oldest (X1)", test_unpolled_ring_drops_the_oldest},
	{"an unpolled ring with too much handled ahead", test_unpolled_with_too_much_handled},
	{"draining", test_drain},
	{"draining behind a full memory", test_drain_behind_a_full_memory},
	{"a held packet is completed by the last reference",
		test_held_packet_is_completed_by_the_last},
	{"the last reference while a burst is inside", test_last_reference_while_a_burst_is_inside},
	{"no object left for a packet", test_no_object_left},
	{"a reference from before a reset", test_reference_from_before_a_reset},
};

int
main(void)
{
	return UNIT_RUN("receive ring", tests);
}
