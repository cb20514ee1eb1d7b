/* SPDX-License-Identifier: BSD-3-Clause */
/* A send queue against a scripted host: what the host sees of each frame, byte by byte. */
#include "drivers/net/netvsc/tx_header.h"
#include "test/unit/netvsc_tx.h"

#define f tx_fixture

static struct tx_seen seen;
static struct rte_mbuf *pkts[256];

/* ---- by copy ---- */

static void
test_a_section_takes_as_many_frames_as_the_host_allows(void)
{
	static const unsigned int want[] = {8, 8, 4};
	unsigned int i, p, at = 0;

	REQUIRE(fixture_begin(&f, NULL));
	tx_make(pkts, 20, 61, 100);
	CU_ASSERT_EQUAL(tx_send(pkts, 20), 20);
	/* Copied: the mbufs are free before the host has looked. */
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
	CU_ASSERT_EQUAL(f.host[0].signals, 1);
	for (p = 0; p < ARRAY_SIZE(want); p++) {
		REQUIRE(tx_take(0, &seen));
		CU_ASSERT_EQUAL(seen.n, want[p]);
		for (i = 0; i < seen.n; i++, at++) {
			CU_ASSERT(tx_frame_is(&seen, i, 61, 100 + at));
			/* 44 + 61 = 105; all but the last are padded. */
			CU_ASSERT_EQUAL(seen.frame[i].message_len, i + 1 < seen.n ? 112 : 105);
			CU_ASSERT_EQUAL(seen.frame[i].ppi_type, 0);
		}
		tx_answer(0, &seen, NVSP_STATUS_SUCCESS);
	}
	CU_ASSERT_FALSE(tx_take(0, &seen));
	CU_ASSERT_EQUAL(netvsc_tx_done_cleanup(f.tx_queues[0], 0), 0);
	CU_ASSERT_EQUAL(netvsc_tx_inflight(fixture_txq(&f, 0)), 0);
	CU_ASSERT_EQUAL(fixture_txq(&f, 0)->stats.packets, 20);
	CU_ASSERT_EQUAL(fixture_txq(&f, 0)->stats.bytes, 20 * 61);
	CU_ASSERT_EQUAL(fixture_txq(&f, 0)->stats.over, 20);
	CU_ASSERT_EQUAL(fixture_txq(&f, 0)->stats.over_bytes, 20 * 61);
	CU_ASSERT_EQUAL(fixture_txq(&f, 0)->drops.aggregated, 20);
	fixture_end(&f);
}

/* Every length from the shortest to the longest, alone and next to others of other lengths. */
static void
test_frames_of_every_length_arrive_whole(void)
{
	uint32_t len, i, at;

	REQUIRE(fixture_begin(&f, NULL));
	for (len = RTE_ETHER_HDR_LEN; len <= 1518; len += 7) {
		for (i = 0; i < 7; i++)
			tx_make(pkts + i, 1, RTE_MIN(len + i, 1518u), len + i);
		CU_ASSERT_EQUAL(tx_send(pkts, 7), 7);
		for (at = 0; tx_take(0, &seen);) {
			for (i = 0; i < seen.n; i++, at++)
				CU_ASSERT(
					tx_frame_is(&seen, i, RTE_MIN(len + at, 1518u), len + at));
			tx_answer(0, &seen, NVSP_STATUS_SUCCESS);
		}
		CU_ASSERT_EQUAL(at, 7);
	}
	netvsc_tx_done_cleanup(f.tx_queues[0], 0);
	CU_ASSERT_EQUAL(netvsc_tx_inflight(fixture_txq(&f, 0)), 0);
	CU_ASSERT_EQUAL(fixture_txq(&f, 0)->drops.by_reference, 0);
	fixture_end(&f);
}

/* tx_take() asserts on what a host would: limits, alignment, zero padding, exact ends. */
static void
test_sections_and_alignments_of_any_size_are_respected(void)
{
	static const uint32_t sections[] = {160, 333, 1000, 1601, 6144, 6143};
	static const uint32_t alignments[] = {4, 8, 16, 128, 4096};
	unsigned int s, a, i, got;
	uint64_t rnd = 4711;

	for (s = 0; s < ARRAY_SIZE(sections); s++)
		for (a = 0; a < ARRAY_SIZE(alignments); a++) {
			struct fixture_conf conf = {
				.send_section = sections[s],
				.alignment = alignments[a],
				.max_messages = 1 + a * 5,
				.ring = 256 << 10,
				.nb_desc = 1024,
			};
			uint32_t len[64];

			REQUIRE(fixture_begin(&f, &conf));
			memset(f.bus.send.base, 0xa5, f.bus.send.len);
			for (i = 0; i < 64; i++) {
				len[i] = 14 + rnd_below(&rnd, sections[s] < 400 ? 80 : 700);
				tx_make(&pkts[i], 1, len[i], i);
			}
			CU_ASSERT_EQUAL(tx_send(pkts, 64), 64);
			for (got = 0; tx_take(0, &seen);) {
				for (i = 0; i < seen.n; i++, got++)
					CU_ASSERT(tx_frame_is(&seen, i, len[got], got));
				tx_answer(0, &seen, NVSP_STATUS_SUCCESS);
			}
			CU_ASSERT_EQUAL(got, 64);
			CU_ASSERT(netvsc_tx_done_cleanup(f.tx_queues[0], 0) >= 0);
			CU_ASSERT_EQUAL(netvsc_tx_inflight(fixture_txq(&f, 0)), 0);
			fixture_end(&f);
		}
}

/* The next section of the buffer belongs to somebody else. */
static void
test_nothing_is_written_behind_a_section(void)
{
	struct fixture_conf conf = {.send_section = 200, .send_count = 64, .alignment = 4};
	uint32_t len, i, section;

	REQUIRE(fixture_begin(&f, &conf));
	for (len = RTE_ETHER_HDR_LEN; len <= 200 - NETVSC_HEADER_MAX; len++) {
		memset(f.bus.send.base, 0xee, f.bus.send.len);
		tx_make(pkts, 1, len, len);
		CU_ASSERT_EQUAL(tx_send(pkts, 1), 1);
		REQUIRE(tx_take(0, &seen));
		CU_ASSERT(tx_frame_is(&seen, 0, len, len));
		section = seen.msg.rndis.section_index;
		CU_ASSERT_FATAL(section < 64);
		for (i = 0; i < f.bus.send.len; i++)
			if (i / 200 != section && f.bus.send.base[i] != 0xee)
				break;
		CU_ASSERT_EQUAL(i, f.bus.send.len);
		tx_answer(0, &seen, NVSP_STATUS_SUCCESS);
		netvsc_tx_done_cleanup(f.tx_queues[0], 0);
	}
	fixture_end(&f);
}

static void
test_frames_name_their_queue_when_there_are_several(void)
{
	struct fixture_conf conf = {.channels = 3};

	REQUIRE(fixture_begin(&f, &conf));
	tx_make(pkts, 2, 60, 5);
	CU_ASSERT_EQUAL(netvsc_tx_burst(f.tx_queues[2], pkts, 2), 2);
	CU_ASSERT_FALSE(tx_take(0, &seen));
	REQUIRE(tx_take(2, &seen));
	CU_ASSERT_EQUAL(seen.frame[1].ppi_type, RNDIS_PPI_HASH_VALUE);
	CU_ASSERT_EQUAL(seen.frame[1].ppi_value, 2);
	CU_ASSERT_EQUAL(seen.frame[1].header, 60);
	CU_ASSERT(tx_frame_is(&seen, 0, 60, 5) && tx_frame_is(&seen, 1, 60, 6));
	fixture_end(&f);
}

static void
test_chains_are_copied_in_one_piece(void)
{
	static const uint16_t shapes[][32] = {
		{1, 1, 12}, {14, 46}, {7, 300, 1}, {100, 100, 100, 100, 100}, {1, 59}};
	unsigned int i, s;

	REQUIRE(fixture_begin(&f, NULL));
	for (s = 0; s < ARRAY_SIZE(shapes); s++) {
		uint32_t total = 0;

		for (i = 0; shapes[s][i] != 0; i++)
			total += shapes[s][i];
		tx_make(pkts, 1, 60, 1);
		pkts[1] = tx_chain(shapes[s], 40 + s);
		tx_make(pkts + 2, 1, 61, 2);
		CU_ASSERT_EQUAL(tx_send(pkts, 3), 3);
		CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
		REQUIRE(tx_take(0, &seen));
		CU_ASSERT_EQUAL(seen.n, 3);
		CU_ASSERT(tx_frame_is(&seen, 0, 60, 1));
		CU_ASSERT(tx_frame_is(&seen, 1, total, 40 + s));
		CU_ASSERT(tx_frame_is(&seen, 2, 61, 2));
	}
	fixture_end(&f);
}

/* ---- by reference ---- */

static void
test_large_frames_go_by_reference_in_order(void)
{
	struct fixture_conf conf = {.tx_copybreak = 200};
	unsigned int i;

	REQUIRE(fixture_begin(&f, &conf));
	tx_make(pkts, 2, 60, 0);
	tx_make(pkts + 2, 2, 1514, 2);
	tx_make(pkts + 4, 1, 200, 4);
	tx_make(pkts + 5, 1, 201, 5);
	CU_ASSERT_EQUAL(tx_send(pkts, 6), 6);
	CU_ASSERT_EQUAL(f.host[0].signals, 1);
	REQUIRE(tx_take(0, &seen));
	CU_ASSERT(seen.n == 2 && tx_frame_is(&seen, 0, 60, 0) && tx_frame_is(&seen, 1, 60, 1));
	tx_answer(0, &seen, NVSP_STATUS_SUCCESS);
	for (i = 2; i < 4; i++) {
		REQUIRE(tx_take(0, &seen));
		CU_ASSERT_EQUAL(seen.n_ranges, 2);
		CU_ASSERT_EQUAL(seen.range[0].len, 44);
		CU_ASSERT(tx_frame_is(&seen, 0, 1514, i));
		tx_answer(0, &seen, NVSP_STATUS_SUCCESS);
	}
	REQUIRE(tx_take(0, &seen));
	CU_ASSERT(seen.n == 1 && seen.n_ranges == 0 && tx_frame_is(&seen, 0, 200, 4));
	tx_answer(0, &seen, NVSP_STATUS_SUCCESS);
	REQUIRE(tx_take(0, &seen));
	CU_ASSERT(seen.n_ranges == 2 && tx_frame_is(&seen, 0, 201, 5));
	tx_answer(0, &seen, NVSP_STATUS_SUCCESS);
	/* Frames by reference are the host's until it completes them. */
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 3);
	CU_ASSERT_EQUAL(netvsc_tx_done_cleanup(f.tx_queues[0], 2), 2);
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 1);
	CU_ASSERT_EQUAL(netvsc_tx_done_cleanup(f.tx_queues[0], 0), 1);
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
	CU_ASSERT_EQUAL(fixture_txq(&f, 0)->drops.by_reference, 3);
	CU_ASSERT_EQUAL(fixture_txq(&f, 0)->drops.aggregated, 3);
	fixture_end(&f);
}

static void
test_segments_become_ranges_and_empty_ones_none(void)
{
	struct fixture_conf conf = {.tx_copybreak = 100};
	uint16_t lengths[NETVSC_TX_MAX_SEGS + 2] = {0};
	struct rte_mbuf *empty;
	unsigned int i;

	REQUIRE(fixture_begin(&f, &conf));
	for (i = 0; i < NETVSC_TX_MAX_SEGS; i++)
		lengths[i] = 45;
	pkts[0] = tx_chain(lengths, 1);
	lengths[NETVSC_TX_MAX_SEGS] = 45; /* one more than can be named: copied */
	pkts[1] = tx_chain(lengths, 2);
	pkts[2] = tx_chain((const uint16_t[]){70, 80, 0}, 3);
	empty = rte_pktmbuf_alloc(f.pool);
	CU_ASSERT_PTR_NOT_NULL_FATAL(empty);
	empty->next = pkts[2]->next;
	pkts[2]->next = empty;
	pkts[2]->nb_segs++;
	CU_ASSERT_EQUAL(tx_send(pkts, 3), 3);
	REQUIRE(tx_take(0, &seen));
	CU_ASSERT_EQUAL(seen.n_ranges, 1 + NETVSC_TX_MAX_SEGS);
	CU_ASSERT(tx_frame_is(&seen, 0, 45 * NETVSC_TX_MAX_SEGS, 1));
	tx_answer(0, &seen, NVSP_STATUS_SUCCESS);
	REQUIRE(tx_take(0, &seen));
	CU_ASSERT_EQUAL(seen.n_ranges, 0);
	CU_ASSERT(tx_frame_is(&seen, 0, 45 * (NETVSC_TX_MAX_SEGS + 1), 2));
	tx_answer(0, &seen, NVSP_STATUS_SUCCESS);
	REQUIRE(tx_take(0, &seen));
	CU_ASSERT_EQUAL(seen.n_ranges, 3);
	CU_ASSERT(tx_frame_is(&seen, 0, 150, 3));
	tx_answer(0, &seen, NVSP_STATUS_SUCCESS);
	netvsc_tx_done_cleanup(f.tx_queues[0], 0);
	fixture_end(&f);
}

/* Every slot's header in turn: tx_take() asserts that none crosses a page (pitfall T10). */
static void
test_no_header_by_reference_crosses_a_page(void)
{
	struct fixture_conf conf = {.tx_copybreak = 20, .nb_desc = 128, .channels = 2};
	unsigned int i, round;

	REQUIRE(fixture_begin(&f, &conf));
	for (round = 0; round < 2; round++) {
		tx_make(pkts, 128, 300, 0);
		CU_ASSERT_EQUAL(tx_send(pkts, 128), 128);
		for (i = 0; tx_take(0, &seen); i++) {
			CU_ASSERT_EQUAL(seen.frame[0].header, 60);
			CU_ASSERT(tx_frame_is(&seen, 0, 300, i));
			tx_answer(0, &seen, NVSP_STATUS_SUCCESS);
		}
		CU_ASSERT_EQUAL(i, 128);
		CU_ASSERT_EQUAL(netvsc_tx_done_cleanup(f.tx_queues[0], 0), 128);
	}
	fixture_end(&f);
}

/* Memory in pieces: each page its own, as physical addresses may be. */
static struct hpbus_dma_run
lookup_pages(struct fixture *fx, uintptr_t addr)
{
	return (struct hpbus_dma_run){
		.start = RTE_ALIGN_FLOOR(addr, VMBUS_PAGE_SIZE),
		.len = VMBUS_PAGE_SIZE,
		.usable = true,
	};
}

static uintptr_t unusable_page;

static struct hpbus_dma_run
lookup_hole(struct fixture *fx, uintptr_t addr)
{
	struct hpbus_dma_run run = lookup_pages(fx, addr);

	run.usable = run.start != unusable_page;
	return run;
}

/* The first mbuf whose frame of 1,514 bytes lies in two pages. */
static struct rte_mbuf *
across_a_page(unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		uintptr_t at = rte_pktmbuf_mtod(pkts[i], uintptr_t);

		if (at % VMBUS_PAGE_SIZE + 1514 > VMBUS_PAGE_SIZE + 200)
			return pkts[i];
	}
	return NULL;
}

static void
test_pieces_of_memory_are_one_range_of_pages(void)
{
	/* A pool's own buffers lie within pages where those are small. */
	struct fixture_conf conf = {.tx_copybreak = 100, .pinned = true};
	struct rte_mbuf *m;
	unsigned int i;

	REQUIRE(fixture_begin(&f, &conf));
	f.on_lookup = lookup_pages;
	tx_make(pkts, 16, 1514, 0);
	m = across_a_page(16);
	REQUIRE(m != NULL);
	CU_ASSERT_EQUAL(tx_send(pkts, 16), 16);
	for (i = 0; i < 16; i++) {
		REQUIRE(tx_take(0, &seen));
		CU_ASSERT_EQUAL(seen.n_ranges, 2);
		CU_ASSERT_EQUAL(seen.range[1].len, 1514);
		CU_ASSERT(tx_frame_is(&seen, 0, 1514, i));
		tx_answer(0, &seen, NVSP_STATUS_SUCCESS);
	}
	netvsc_tx_done_cleanup(f.tx_queues[0], 0);
	fixture_end(&f);
}

static void
test_what_the_host_cannot_read_is_copied(void)
{
	struct fixture_conf conf = {.tx_copybreak = 100, .pinned = true};
	struct rte_mbuf *m;
	uintptr_t at;

	REQUIRE(fixture_begin(&f, &conf));
	f.on_lookup = lookup_hole;
	tx_make(pkts, 16, 1514, 0);
	m = across_a_page(16);
	REQUIRE(m != NULL);
	at = rte_pktmbuf_mtod(m, uintptr_t);
	/* Its first page, then its second; after each the answer is asked for anew. */
	fixture_fill(rte_pktmbuf_mtod(m, uint8_t *), 1514, 50);
	unusable_page = RTE_ALIGN_FLOOR(at, VMBUS_PAGE_SIZE);
	rte_mbuf_refcnt_set(m, 3);
	CU_ASSERT_EQUAL(tx_send(&m, 1), 1);
	REQUIRE(tx_take(0, &seen));
	CU_ASSERT(seen.n_ranges == 0 && tx_frame_is(&seen, 0, 1514, 50));
	unusable_page += VMBUS_PAGE_SIZE;
	hpbus_dma_generation_word++;
	CU_ASSERT_EQUAL(tx_send(&m, 1), 1);
	REQUIRE(tx_take(0, &seen));
	CU_ASSERT(seen.n_ranges == 0 && tx_frame_is(&seen, 0, 1514, 50));
	CU_ASSERT_EQUAL(rte_mbuf_refcnt_read(m), 1);
	unusable_page = 0;
	rte_mbuf_refcnt_set(m, 2);
	hpbus_dma_generation_word++;
	CU_ASSERT_EQUAL(tx_send(&m, 1), 1);
	REQUIRE(tx_take(0, &seen));
	CU_ASSERT(seen.n_ranges == 2 && tx_frame_is(&seen, 0, 1514, 50));
	tx_answer(0, &seen, NVSP_STATUS_SUCCESS);
	netvsc_tx_done_cleanup(f.tx_queues[0], 0);
	CU_ASSERT_EQUAL(rte_mbuf_refcnt_read(m), 1);
	rte_pktmbuf_free_bulk(pkts, 16);
	fixture_end(&f);
}

static void
test_lookups_are_remembered(void)
{
	struct fixture_conf conf = {.tx_copybreak = 100};
	struct netvsc_txq *txq;
	uint64_t lookups;

	REQUIRE(fixture_begin(&f, &conf));
	txq = fixture_txq(&f, 0);
	tx_make(pkts, 32, 500, 0);
	CU_ASSERT_EQUAL(tx_send(pkts, 32), 32);
	CU_ASSERT_EQUAL(tx_take_all(0), 32);
	lookups = txq->drops.dma_lookups;
	CU_ASSERT(lookups >= 1 && lookups <= 3);
	netvsc_tx_done_cleanup(txq, 0);
	tx_make(pkts, 32, 500, 0);
	CU_ASSERT_EQUAL(tx_send(pkts, 32), 32);
	CU_ASSERT_EQUAL(tx_take_all(0), 32);
	CU_ASSERT_EQUAL(txq->drops.dma_lookups, lookups);
	netvsc_tx_done_cleanup(txq, 0);
	fixture_end(&f);
}

/* ---- mbufs of all kinds ---- */

static void
test_each_mbuf_goes_back_to_its_own_pool_once(void)
{
	struct rte_mbuf *shared[3], *clone;
	struct rte_mempool *other;
	unsigned int i;

	REQUIRE(fixture_begin(&f, NULL));
	other = rte_pktmbuf_pool_create("other", 63, 0, 0, 2048, SOCKET_ID_ANY);
	CU_ASSERT_PTR_NOT_NULL_FATAL(other);
	for (i = 0; i < 3; i++) {
		tx_make(&shared[i], 1, 70, 200 + i);
		rte_pktmbuf_refcnt_update(shared[i], 1);
	}
	for (i = 0; i < 32; i++) {
		tx_make(&pkts[i], 1, 60 + i, i);
		if (i % 5 == 2) {
			rte_pktmbuf_free(pkts[i]);
			pkts[i] = rte_pktmbuf_alloc(other);
			CU_ASSERT_PTR_NOT_NULL_FATAL(pkts[i]);
			pkts[i]->data_len = (uint16_t)(60 + i);
			pkts[i]->pkt_len = 60 + i;
			fixture_fill(rte_pktmbuf_mtod(pkts[i], uint8_t *), 60 + i, i);
		}
	}
	for (i = 0; i < 3; i++) {
		rte_pktmbuf_free(pkts[4 + 9 * i]);
		pkts[4 + 9 * i] = shared[i];
	}
	clone = rte_pktmbuf_clone(shared[1], other);
	CU_ASSERT_PTR_NOT_NULL_FATAL(clone);
	rte_pktmbuf_free(pkts[7]);
	pkts[7] = clone;
	CU_ASSERT_EQUAL(tx_send(pkts, 32), 32);
	for (i = 0; tx_take(0, &seen);) {
		unsigned int k;

		for (k = 0; k < seen.n; k++, i++) {
			uint32_t len = 60 + i;
			uint64_t seed = i;

			if (i == 7 || (i % 9 == 4 && i < 27)) {
				len = 70;
				seed = 200 + (i == 7 ? 1 : i / 9);
			}
			CU_ASSERT(tx_frame_is(&seen, k, len, seed));
		}
		tx_answer(0, &seen, NVSP_STATUS_SUCCESS);
	}
	CU_ASSERT_EQUAL(i, 32);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(other), 0);
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 3);
	for (i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(rte_mbuf_refcnt_read(shared[i]), 1);
		rte_pktmbuf_free(shared[i]);
	}
	fixture_end(&f);
	rte_mempool_free(other);
}

static void
test_buffers_outside_of_the_mbuf_are_let_go(void)
{
	struct fixture_conf conf = {.pinned = true};

	REQUIRE(fixture_begin(&f, &conf));
	tx_make(pkts, 4, 90, 9);
	CU_ASSERT_EQUAL(tx_send(pkts, 4), 4);
	REQUIRE(tx_take(0, &seen));
	CU_ASSERT(seen.n == 4 && tx_frame_is(&seen, 3, 90, 12));
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
	fixture_end(&f);
}

/* ---- bad ones ---- */

enum badness {
	BAD_NULL,
	BAD_FREED,
	BAD_RUNT,
	BAD_EMPTY,
	BAD_OVERSIZE,
	BAD_PKT_LEN,
	BAD_DATA_LEN,
	BAD_DATA_OFF,
	BAD_SEGS_MORE,
	BAD_SEGS_LESS,
	BAD_SEGS_ZERO,
	BADNESSES,
};

/* Make it so; what comes back is the caller's to put right before it is freed by anybody. */
static struct rte_mbuf *
spoil(struct rte_mbuf *m, enum badness how)
{
	switch (how) {
	case BAD_NULL:
		return NULL;
	case BAD_FREED:
		rte_mbuf_refcnt_set(m, 0);
		break;
	case BAD_RUNT:
		m->pkt_len = m->data_len = RTE_ETHER_HDR_LEN - 1;
		break;
	case BAD_EMPTY:
		m->pkt_len = m->data_len = 0;
		break;
	case BAD_OVERSIZE:
		m->pkt_len = m->data_len = 1519;
		break;
	case BAD_PKT_LEN:
		m->pkt_len++;
		break;
	case BAD_DATA_LEN:
		m->pkt_len = m->data_len = 65000;
		break;
	case BAD_DATA_OFF:
		m->data_off = (uint16_t)(m->buf_len - 20);
		break;
	case BAD_SEGS_MORE:
		m->nb_segs = 2;
		break;
	case BAD_SEGS_LESS:
		m->next = rte_pktmbuf_alloc(f.pool);
		break;
	default:
		m->nb_segs = 0;
		break;
	}
	return m;
}

static void
test_bad_mbufs_do_not_hurt_their_neighbours(void)
{
	struct netvsc_txq *txq;
	struct rte_mbuf *freed;
	unsigned int how, i;

	REQUIRE(fixture_begin(&f, NULL));
	txq = fixture_txq(&f, 0);
	for (how = 0; how < BADNESSES; how++) {
		const struct netvsc_tx_drops *d = &txq->drops;
		uint64_t before = d->bad_mbuf + d->runt + d->oversize;
		uint64_t errors = txq->stats.errors;

		tx_make(pkts, 7, 80, 0);
		freed = pkts[3];
		pkts[3] = spoil(pkts[3], how);
		CU_ASSERT_EQUAL(tx_send(pkts, 7), 7);
		REQUIRE(tx_take(0, &seen));
		CU_ASSERT_EQUAL(seen.n, 6);
		for (i = 0; i < 6; i++)
			CU_ASSERT(tx_frame_is(&seen, i, 80, i < 3 ? i : i + 1));
		tx_answer(0, &seen, NVSP_STATUS_SUCCESS);
		netvsc_tx_done_cleanup(txq, 0);
		CU_ASSERT_EQUAL(d->bad_mbuf + d->runt + d->oversize, before + 1);
		CU_ASSERT_EQUAL(txq->stats.errors, errors + 1);
		if (how == BAD_NULL || how == BAD_FREED) {
			/* No mbuf in use is nobody's to free. */
			CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 1);
			rte_mbuf_refcnt_set(freed, 1);
			rte_pktmbuf_free(freed);
		}
		CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
	}
	CU_ASSERT_EQUAL(txq->drops.runt, 2);
	CU_ASSERT_EQUAL(txq->drops.oversize, 1);
	CU_ASSERT_EQUAL(txq->stats.refused, 0);
	fixture_end(&f);
}

static const struct unit_test tests[] = {
	{"a section takes as many frames as the host allows",
		test_a_section_takes_as_many_frames_as_the_host_allows},
	{"frames of every length arrive whole", test_frames_of_every_length_arrive_whole},
	{"sections and alignments of any size are respected",
		test_sections_and_alignments_of_any_size_are_respected},
	{"nothing is written behind a section", test_nothing_is_written_behind_a_section},
	{"frames name their queue when there are several",
		test_frames_name_their_queue_when_there_are_several},
	{"chains are copied in one piece", test_chains_are_copied_in_one_piece},
	{"large frames go by reference, in order", test_large_frames_go_by_reference_in_order},
	{"segments become ranges, and empty ones none",
		test_segments_become_ranges_and_empty_ones_none},
	{"no header by reference crosses a page", test_no_header_by_reference_crosses_a_page},
	{"pieces of memory are one range of pages", test_pieces_of_memory_are_one_range_of_pages},
	{"what the host cannot read is copied", test_what_the_host_cannot_read_is_copied},
	{"lookups are remembered", test_lookups_are_remembered},
	{"each mbuf goes back to its own pool once", test_each_mbuf_goes_back_to_its_own_pool_once},
	{"buffers outside of the mbuf are let go", test_buffers_outside_of_the_mbuf_are_let_go},
	{"bad mbufs do not hurt their neighbours", test_bad_mbufs_do_not_hurt_their_neighbours},
};

int
main(void)
{
	return UNIT_RUN("send", tests);
}
