/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A send queue that runs out of things, and what becomes of what is in flight: slots, sections,
 * ring, completions of every kind, a host that is not to be trusted. Queues that go, and their
 * lock: netvsc_tx_ends.c.
 */
#include <errno.h>

#include "test/unit/netvsc_tx.h"

#define f tx_fixture

static struct tx_seen seen, kept[256];
static struct rte_mbuf *pkts[1024];

static struct netvsc_txq *
queue(void)
{
	return fixture_txq(&f, 0);
}

/* Send what there is, as an application does that keeps what is not taken. @return taken */
static unsigned int
send_until_full(unsigned int n)
{
	unsigned int sent = 0;
	uint16_t k;

	do {
		k = tx_send(pkts + sent, (uint16_t)RTE_MIN(n - sent, 32u));
		sent += k;
	} while (k != 0 && sent < n);
	return sent;
}

static void
free_from(unsigned int first, unsigned int n)
{
	if (first < n)
		rte_pktmbuf_free_bulk(pkts + first, n - first);
}

/* Hold what is in the ring. @return packets, in kept[] */
static unsigned int
keep(unsigned int at)
{
	while (at < ARRAY_SIZE(kept) && tx_take(0, &kept[at]))
		at++;
	return at;
}

/* ---- running out ---- */

static void
test_a_burst_is_cut_where_slots_end(void)
{
	struct fixture_conf conf = {.nb_desc = 64, .send_count = 256, .ring = 256 << 10};
	unsigned int n, i, at = 0;

	REQUIRE(fixture_begin(&f, &conf));
	tx_make(pkts, 600, 60, 0);
	CU_ASSERT_EQUAL(send_until_full(600), 64 * 8);
	CU_ASSERT(queue()->drops.no_slot >= 1);
	CU_ASSERT_EQUAL(netvsc_tx_inflight(queue()), 64);
	n = keep(0);
	CU_ASSERT_EQUAL(n, 64);
	for (i = 0; i < n; at += kept[i++].n)
		CU_ASSERT(tx_frame_is(&kept[i], kept[i].n - 1, 60, at + kept[i].n - 1));
	/* One is completed: one more packet goes out. */
	tx_answer(0, &kept[10], NVSP_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(tx_send(pkts + 512, 32), 8);
	CU_ASSERT_EQUAL(keep(0), 1);
	CU_ASSERT(tx_frame_is(&kept[0], 0, 60, 512));
	free_from(520, 600);
	netvsc_channel_close(fixture_channel(&f, 0));
	netvsc_tx_forget(queue());
	CU_ASSERT_EQUAL(queue()->stats.over, 520);
	fixture_end(&f);
}

/* By reference and by copy alike: what is taken is seen, what is not is the caller's. */
static void
test_the_smallest_ring_is_never_overrun(void)
{
	static const uint32_t copybreaks[] = {100, 2000};
	unsigned int c, sent, done, i, taken;

	for (c = 0; c < ARRAY_SIZE(copybreaks); c++) {
		struct fixture_conf conf = {.ring = VMBUS_RING_DATA_MIN,
			.tx_copybreak = copybreaks[c],
			.max_messages = 1};

		REQUIRE(fixture_begin(&f, &conf));
		for (done = 0; done < 400; done += sent) {
			for (i = 0; i < 100; i++)
				tx_make(&pkts[i], 1, 300 + i, i);
			sent = send_until_full(100);
			CU_ASSERT(sent > 0 && sent < 100);
			CU_ASSERT(queue()->drops.ring_full != 0);
			/* Room for receive completions is left (spec/nvsp.md §6). */
			CU_ASSERT(vmbus_ring_writer_free(&fixture_channel(&f, 0)->out) >=
				  NETVSC_RING_RESERVE);
			for (taken = 0; tx_take(0, &seen);) {
				for (i = 0; i < seen.n; i++, taken++)
					CU_ASSERT(tx_frame_is(&seen, i, 300 + taken, taken));
				tx_answer(0, &seen, NVSP_STATUS_SUCCESS);
			}
			CU_ASSERT_EQUAL(taken, sent);
			netvsc_tx_done_cleanup(queue(), 0);
			free_from(sent, 100);
			CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
		}
		fixture_end(&f);
	}
}

/* Pitfall T3: other queues may have all of the sections. */
static void
test_without_a_section_frames_go_by_reference(void)
{
	struct fixture_conf conf = {.send_count = 2, .channels = 2};
	unsigned int i;

	REQUIRE(fixture_begin(&f, &conf));
	tx_make(pkts, 32, 60, 0);
	CU_ASSERT_EQUAL(tx_send(pkts, 32), 32);
	/* A section each: 8 frames are copied, the rest goes without. */
	CU_ASSERT_EQUAL(queue()->drops.aggregated, 8);
	CU_ASSERT_EQUAL(queue()->drops.by_reference, 24);
	REQUIRE(tx_take(0, &seen));
	CU_ASSERT_EQUAL(seen.n, 8);
	tx_answer(0, &seen, NVSP_STATUS_SUCCESS);
	for (i = 8; i < 32; i++) {
		REQUIRE(tx_take(0, &seen));
		CU_ASSERT(seen.n == 1 && seen.n_ranges == 2 && tx_frame_is(&seen, 0, 60, i));
		tx_answer(0, &seen, NVSP_STATUS_SUCCESS);
	}
	CU_ASSERT_EQUAL(queue()->drops.no_section, 0);
	netvsc_tx_done_cleanup(queue(), 0);
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
	fixture_end(&f);
}

/* Nothing can be named: frames wait, which is no error. */
static void
test_copy_only_waits_for_a_section(void)
{
	struct fixture_conf conf = {.send_count = 2, .copy_only = true, .tx_copybreak = 100};
	unsigned int n;

	REQUIRE(fixture_begin(&f, &conf));
	tx_make(pkts, 10, 1500, 0);
	/* Three to a section. */
	CU_ASSERT_EQUAL(send_until_full(10), 6);
	CU_ASSERT(queue()->drops.no_section >= 1);
	CU_ASSERT_EQUAL(queue()->stats.errors, 0);
	CU_ASSERT_EQUAL(queue()->drops.by_reference, 0);
	n = keep(0);
	CU_ASSERT_EQUAL(n, 2);
	tx_answer(0, &kept[1], NVSP_STATUS_SUCCESS);
	/* Sections are looked for in the ring before the burst gives up. */
	CU_ASSERT_EQUAL(tx_send(pkts + 6, 4), 3);
	free_from(9, 10);
	CU_ASSERT_EQUAL(tx_take_all(0), 3);
	tx_answer(0, &kept[0], NVSP_STATUS_SUCCESS);
	netvsc_tx_done_cleanup(queue(), 0);
	CU_ASSERT_EQUAL(netvsc_tx_inflight(queue()), 0);
	fixture_end(&f);
}

static void
test_a_host_without_send_buffer_gets_all_by_reference(void)
{
	struct fixture_conf conf = {.no_send_buffer = true};

	REQUIRE(fixture_begin(&f, &conf));
	tx_make(pkts, 5, 60, 3);
	CU_ASSERT_EQUAL(tx_send(pkts, 5), 5);
	REQUIRE(tx_take(0, &seen));
	CU_ASSERT(seen.n_ranges == 2 && tx_frame_is(&seen, 0, 60, 3));
	tx_answer(0, &seen, NVSP_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(tx_take_all(0), 4);
	netvsc_tx_done_cleanup(queue(), 0);
	fixture_end(&f);
	/* And where that cannot be done, either, nothing can. */
	conf.copy_only = true;
	REQUIRE(fixture_begin(&f, &conf));
	tx_make(pkts, 5, 60, 3);
	CU_ASSERT_EQUAL(tx_send(pkts, 5), 5);
	CU_ASSERT_EQUAL(queue()->drops.unsendable, 5);
	CU_ASSERT_EQUAL(queue()->stats.errors, 5);
	CU_ASSERT_FALSE(tx_take(0, &seen));
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
	fixture_end(&f);
}

static void
test_a_frame_longer_than_a_message_may_be_is_dropped(void)
{
	REQUIRE(fixture_begin(&f, NULL));
	f.port.session.max_transfer = 1000;
	netvsc_tx_template(queue());
	tx_make(pkts, 1, 900, 0);
	tx_make(pkts + 1, 1, 957, 1);
	tx_make(pkts + 2, 1, 956, 2);
	CU_ASSERT_EQUAL(tx_send(pkts, 3), 3);
	CU_ASSERT_EQUAL(queue()->drops.unsendable, 1);
	CU_ASSERT_EQUAL(queue()->stats.errors, 1);
	REQUIRE(tx_take(0, &seen));
	CU_ASSERT(tx_frame_is(&seen, 0, 900, 0));
	tx_answer(0, &seen, NVSP_STATUS_SUCCESS);
	REQUIRE(tx_take(0, &seen));
	CU_ASSERT(tx_frame_is(&seen, 0, 956, 2));
	tx_answer(0, &seen, NVSP_STATUS_SUCCESS);
	netvsc_tx_done_cleanup(queue(), 0);
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
	fixture_end(&f);
}

/* ---- completions ---- */

static void
test_a_refused_packet_counts_its_frames(void)
{
	REQUIRE(fixture_begin(&f, NULL));
	tx_make(pkts, 12, 100, 0);
	CU_ASSERT_EQUAL(tx_send(pkts, 12), 12);
	CU_ASSERT_EQUAL(keep(0), 2);
	tx_answer(0, &kept[0], NVSP_STATUS_FAILURE);
	tx_answer(0, &kept[1], NVSP_STATUS_SUCCESS);
	netvsc_tx_done_cleanup(queue(), 0);
	CU_ASSERT_EQUAL(queue()->stats.packets, 12);
	CU_ASSERT_EQUAL(queue()->stats.errors, 8);
	CU_ASSERT_EQUAL(queue()->stats.refused, 8);
	CU_ASSERT_EQUAL(queue()->stats.refused_bytes, 800);
	CU_ASSERT_EQUAL(queue()->stats.over, 12);
	/* A refusal without a word is one, too (pitfall T9). */
	tx_make(pkts, 1, 100, 0);
	CU_ASSERT_EQUAL(tx_send(pkts, 1), 1);
	REQUIRE(tx_take(0, &seen));
	CU_ASSERT_EQUAL(
		fixture_packet(&f, 0, VMBUS_PACKET_COMPLETION, seen.desc.trans_id, "", 0, 0), 0);
	fixture_publish(&f, 0);
	netvsc_tx_done_cleanup(queue(), 0);
	CU_ASSERT_EQUAL(queue()->stats.errors, 9);
	CU_ASSERT_EQUAL(netvsc_tx_inflight(queue()), 0);
	fixture_end(&f);
}

/* Pitfall T8: the id comes from a host, which may say anything. */
static void
test_completions_of_what_is_not_in_flight_do_nothing(void)
{
	uint64_t bad = 0, ids[8];
	unsigned int i;

	REQUIRE(fixture_begin(&f, NULL));
	tx_make(pkts, 2, 100, 0);
	CU_ASSERT_EQUAL(tx_send(pkts, 1), 1);
	REQUIRE(tx_take(0, &kept[0]));
	tx_answer(0, &kept[0], NVSP_STATUS_SUCCESS);
	netvsc_tx_done_cleanup(queue(), 0);
	CU_ASSERT_EQUAL(tx_send(pkts + 1, 1), 1);
	REQUIRE(tx_take(0, &kept[1]));
	ids[0] = 0;
	ids[1] = UINT32_MAX;
	ids[2] = f.conf.nb_desc + 1;			    /* behind the last */
	ids[3] = kept[0].desc.trans_id;			    /* the same slot, one earlier */
	ids[4] = kept[1].desc.trans_id + 1;		    /* a slot that is free */
	ids[5] = kept[1].desc.trans_id ^ UINT64_C(1) << 40; /* another generation */
	ids[6] = VMBUS_NO_TRANS_ID & ~(UINT64_C(1) << 63);
	ids[7] = kept[1].desc.trans_id + ((uint64_t)1 << 32);
	for (i = 0; i < ARRAY_SIZE(ids); i++) {
		CU_ASSERT_EQUAL(fixture_complete(&f, 0, ids[i], NVSP_STATUS_SUCCESS), 0);
		fixture_publish(&f, 0);
		netvsc_tx_done_cleanup(queue(), 0);
		CU_ASSERT_EQUAL(fixture_channel(&f, 0)->stats.tx_bad_completions, ++bad);
		CU_ASSERT_EQUAL(netvsc_tx_inflight(queue()), 1);
	}
	/* Twice in one go: the second comes when the slot is done but not free. */
	tx_answer(0, &kept[1], NVSP_STATUS_SUCCESS);
	tx_answer(0, &kept[1], NVSP_STATUS_FAILURE);
	netvsc_tx_done_cleanup(queue(), 0);
	CU_ASSERT_EQUAL(fixture_channel(&f, 0)->stats.tx_bad_completions, bad + 1);
	CU_ASSERT_EQUAL(netvsc_tx_inflight(queue()), 0);
	CU_ASSERT_EQUAL(queue()->stats.errors, 0);
	fixture_end(&f);
}

/* The host's turn comes and goes; what is in flight is never the next burst's to write over. */
static void
test_sections_in_flight_are_left_alone(void)
{
	struct fixture_conf conf = {.send_count = 16, .copy_only = true, .nb_desc = 64};
	unsigned int held = 0, round, i, n, sent;
	uint64_t rnd = 99, seed = 0;

	REQUIRE(fixture_begin(&f, &conf));
	for (round = 0; round < 3000; round++) {
		n = 1 + rnd_below(&rnd, 32);
		for (i = 0; i < n; i++)
			tx_make(&pkts[i], 1, 60 + (seed + i) % 900, seed + i);
		sent = tx_send(pkts, (uint16_t)n);
		free_from(sent, n);
		seed += sent;
		held = keep(held);
		/* Some of them, in any order; each is what was sent, however long ago. */
		for (i = 0; i < 4 && held != 0 && rnd_below(&rnd, 4) != 0; i++) {
			unsigned int at = rnd_below(&rnd, held);
			const uint8_t *section =
				f.bus.send.base + (size_t)kept[at].msg.rndis.section_index * 6144;
			unsigned int k;

			for (k = 0; k < kept[at].n; k++)
				CU_ASSERT_EQUAL(
					memcmp(section + kept[at].frame[k].start +
							kept[at].frame[k].header,
						kept[at].frame[k].bytes, kept[at].frame[k].len),
					0);
			tx_answer(0, &kept[at], NVSP_STATUS_SUCCESS);
			kept[at] = kept[--held];
		}
	}
	while (held != 0)
		tx_answer(0, &kept[--held], NVSP_STATUS_SUCCESS);
	netvsc_tx_done_cleanup(queue(), 0);
	CU_ASSERT_EQUAL(netvsc_tx_inflight(queue()), 0);
	CU_ASSERT_EQUAL(queue()->stats.over, queue()->stats.packets);
	CU_ASSERT(seed > 3000);
	fixture_end(&f);
}

/* Pitfall X1: completions lie behind frames that nobody receives. */
static void
test_completions_behind_unread_frames_are_found(void)
{
	struct fixture_conf conf = {.nb_desc = 64, .send_count = 256};
	unsigned int round;

	REQUIRE(fixture_begin(&f, &conf));
	for (round = 0; round < 100; round++) {
		CU_ASSERT_EQUAL(fixture_frames(&f, 0, round, 2 * round, 2, 100, round), 0);
		fixture_publish(&f, 0);
		tx_make(pkts, 32, 60, 0);
		CU_ASSERT_EQUAL(tx_send(pkts, 32), 32);
		CU_ASSERT_EQUAL(tx_take_all(0), 32);
	}
	/* All of the frames are still there. */
	for (round = 0; round < 200; round += 20) {
		CU_ASSERT_EQUAL(netvsc_rx_burst(f.rx_queues[0], pkts, 20), 20);
		rte_pktmbuf_free_bulk(pkts, 20);
	}
	CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, NULL, 0), 100);
	CU_ASSERT_EQUAL(fixture_channel(&f, 0)->stats.rx_dropped_unpolled, 0);
	netvsc_tx_done_cleanup(queue(), 0);
	CU_ASSERT_EQUAL(netvsc_tx_inflight(queue()), 0);
	fixture_end(&f);
}

/* Who forwards sends only what comes: nothing came for want of mbufs that nothing but a send gave
 * back. */
static void
test_mbufs_of_done_sends_are_there_for_receive(void)
{
	struct fixture_conf conf = {.tx_copybreak = 100, .nb_desc = 64, .mbufs = 127};
	struct rte_mbuf *rest[128];
	unsigned int n = 0, i, sent;

	REQUIRE(fixture_begin(&f, &conf));
	tx_make(pkts, 32, 700, 0);
	CU_ASSERT_EQUAL(tx_send(pkts, 32), 32);
	sent = keep(0);
	CU_ASSERT_EQUAL(sent, 32);
	while (n < RTE_DIM(rest) && (rest[n] = rte_pktmbuf_alloc(f.pool)) != NULL)
		n++;
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), n + 32);
	/* All are in flight: what comes is dropped, and the answers behind it are seen. */
	CU_ASSERT_EQUAL(fixture_frames(&f, 0, 1, 0, 4, 100, 0), 0);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL(netvsc_rx_burst(f.rx_queues[0], pkts, 32), 0);
	CU_ASSERT_EQUAL(fixture_rxq(&f, 0)->stats.no_mbuf, 4);
	for (i = 0; i < sent; i++)
		tx_answer(0, &kept[i], NVSP_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(fixture_frames(&f, 0, 2, 4, 4, 100, 4), 0);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL(netvsc_rx_burst(f.rx_queues[0], pkts, 32), 4);
	CU_ASSERT_EQUAL(netvsc_tx_inflight(queue()), 0);
	rte_pktmbuf_free_bulk(pkts, 4);
	rte_pktmbuf_free_bulk(rest, n);
	fixture_end(&f);
}

static void
test_an_empty_burst_reaps(void)
{
	struct fixture_conf conf = {.tx_copybreak = 100, .tx_free_thresh = 250};

	REQUIRE(fixture_begin(&f, &conf));
	tx_make(pkts, 8, 1000, 0);
	CU_ASSERT_EQUAL(tx_send(pkts, 8), 8);
	CU_ASSERT_EQUAL(tx_take_all(0), 8);
	CU_ASSERT_EQUAL(tx_send(pkts, 0), 0);
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
	CU_ASSERT_EQUAL(netvsc_tx_done_cleanup(NULL, 0), -EINVAL);
	fixture_end(&f);
}

static void
test_a_ring_that_the_host_breaks_stops_the_port(void)
{
	struct fixture_conf conf = {.ring = VMBUS_RING_DATA_MIN};
	unsigned int sent;

	REQUIRE(fixture_begin(&f, &conf));
	tx_make(pkts, 400, 60, 0);
	sent = tx_send(pkts, 32);
	/* Free space out of nothing: beyond what was written. */
	atomic_store(&f.host[0].out.ring.ctl->read_index, 2048);
	while (sent < 400 && atomic_load(&f.port.state) == NETVSC_STATE_RUNNING) {
		uint16_t k = tx_send(pkts + sent, 32);

		sent += k;
		if (k == 0)
			break;
	}
	CU_ASSERT(atomic_load(&f.port.state) & NETVSC_STATE_BROKEN);
	CU_ASSERT_EQUAL(tx_send(pkts + sent, 1), 0);
	free_from(sent, 400);
	fixture_end(&f);
}

static void
test_what_is_in_flight_at_a_fence_is_freed_once(void)
{
	struct fixture_conf conf = {.tx_copybreak = 100};

	REQUIRE(fixture_begin(&f, &conf));
	tx_make(pkts, 20, 60, 0);
	tx_make(pkts + 20, 10, 700, 0);
	CU_ASSERT_EQUAL(tx_send(pkts, 30), 30);
	CU_ASSERT_EQUAL(keep(0), 13);
	tx_answer(0, &kept[12], NVSP_STATUS_SUCCESS);
	netvsc_channel_close(fixture_channel(&f, 0));
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 10);
	netvsc_tx_forget(queue());
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
	CU_ASSERT_EQUAL(netvsc_tx_inflight(queue()), 0);
	CU_ASSERT_EQUAL(queue()->stats.over, 30);
	/* Nobody has read the one answer. */
	CU_ASSERT_EQUAL(queue()->drops.unanswered, 30);
	CU_ASSERT_EQUAL(queue()->sections.n_own, f.port.sections.share);
	fixture_end(&f);
}

/* A share each and a pool to borrow from, which gets back what is not needed. */
static void
test_sections_are_borrowed_and_given_back(void)
{
	struct fixture_conf conf = {.send_count = 128,
		.channels = 2,
		.copy_only = true,
		.max_messages = 1,
		.nb_desc = 256};
	uint32_t pool;

	REQUIRE(fixture_begin(&f, &conf));
	pool = f.port.sections.n_free;
	tx_make(pkts, 200, 60, 0);
	/* Its own 32 and the pool's 64; not those of the other queue. */
	CU_ASSERT_EQUAL(send_until_full(200), 32 + pool);
	CU_ASSERT_EQUAL(f.port.sections.n_free, 0);
	free_from(32 + pool, 200);
	CU_ASSERT_EQUAL(tx_take_all(0), 32 + pool);
	netvsc_tx_done_cleanup(queue(), 0);
	CU_ASSERT(f.port.sections.n_free >= pool - 2 * NETVSC_SECTION_BATCH);
	CU_ASSERT_EQUAL(f.port.sections.n_free + queue()->sections.n_borrowed, pool);
	fixture_end(&f);
}

/* Other queues have the pool: what has come back of its own is enough, if the burst looks. */
static void
test_too_few_sections_are_a_reason_to_look_for_completions(void)
{
	/* A share of five, and four for a burst of 32. */
	struct fixture_conf conf = {.send_count = 20, .channels = 2};
	unsigned int round;

	REQUIRE(fixture_begin(&f, &conf));
	for (round = 0; round < 4; round++) {
		tx_make(pkts, 32, 60, 0);
		CU_ASSERT_EQUAL(netvsc_tx_burst(fixture_txq(&f, 1), pkts, 32), 32);
	}
	CU_ASSERT_EQUAL(f.port.sections.n_free, 0);
	for (round = 0; round < 4; round++) {
		tx_make(pkts, 32, 60, 0);
		CU_ASSERT_EQUAL(tx_send(pkts, 32), 32);
		CU_ASSERT_EQUAL(tx_take_all(0), 32);
	}
	CU_ASSERT_EQUAL(queue()->drops.by_reference, 0);
	CU_ASSERT(tx_take_all(1) != 0);
	netvsc_tx_done_cleanup(queue(), 0);
	netvsc_tx_done_cleanup(fixture_txq(&f, 1), 0);
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
	fixture_end(&f);
}

static const struct unit_test tests[] = {
	{"a burst is cut where slots end", test_a_burst_is_cut_where_slots_end},
	{"the smallest ring is never overrun", test_the_smallest_ring_is_never_overrun},
	{"without a section frames go by reference", test_without_a_section_frames_go_by_reference},
	{"copy-only waits for a section", test_copy_only_waits_for_a_section},
	{"a host without send buffer gets all by reference",
		test_a_host_without_send_buffer_gets_all_by_reference},
	{"a frame longer than a message may be is dropped",
		test_a_frame_longer_than_a_message_may_be_is_dropped},
	{"a refused packet counts its frames", test_a_refused_packet_counts_its_frames},
	{"completions of what is not in flight do nothing",
		test_completions_of_what_is_not_in_flight_do_nothing},
	{"sections in flight are left alone", test_sections_in_flight_are_left_alone},
	{"completions behind unread frames are found",
		test_completions_behind_unread_frames_are_found},
	{"mbufs of done sends are there for receive",
		test_mbufs_of_done_sends_are_there_for_receive},
	{"an empty burst reaps", test_an_empty_burst_reaps},
	{"a ring that the host breaks stops the port",
		test_a_ring_that_the_host_breaks_stops_the_port},
	{"what is in flight at a fence is freed once",
		test_what_is_in_flight_at_a_fence_is_freed_once},
	{"sections are borrowed and given back", test_sections_are_borrowed_and_given_back},
	{"too few sections are a reason to look for completions",
		test_too_few_sections_are_a_reason_to_look_for_completions},
};

int
main(void)
{
	return UNIT_RUN("send flow", tests);
}
