/* SPDX-License-Identifier: BSD-3-Clause */
/* A receive queue against a scripted host: what becomes of frames, and of what is none. */
#include "lib/netvsp/nvsp.h"
#include "lib/netvsp/rndis.h"
#include "test/unit/netvsc_receive.h"

static void
patch(struct vmbus_xfer_range range, uint32_t at, uint32_t value)
{
	memcpy(f.bus.recv.base + range.byte_offset + at, &value, sizeof(value));
}

/* Every buffer of the pool begins as 0xa5, so that a byte too many is seen. */
static void
poison_pool(void)
{
	unsigned int n = 0, i;

	while (n < RTE_DIM(got) && (got[n] = rte_pktmbuf_alloc(f.pool)) != NULL)
		n++;
	for (i = 0; i < n; i++)
		memset(got[i]->buf_addr, 0xa5, got[i]->buf_len);
	free_got(n);
}

/* ---- frames ---- */

static void
test_frames_arrive_in_order_and_whole(void)
{
	static const uint32_t lengths[] = {14, 15, 60, 64, 65, 128, 255, 256, 1000, 1514, 1518};
	struct vmbus_xfer_range ranges[ARRAY_SIZE(lengths)];
	uint64_t tids[4], bytes = 0;
	uint32_t statuses[4], i;

	REQUIRE(fixture_begin(&f, NULL));
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct fixture_frame frame = {.len = lengths[i], .seed = i};

		ranges[i] = fixture_message(&f, i, &frame);
		bytes += lengths[i];
	}
	CU_ASSERT_EQUAL(fixture_xfer(&f, 0, 77, ranges, 5), 0);
	CU_ASSERT_EQUAL(
		fixture_xfer(&f, 0, UINT64_C(1) << 40, ranges + 5, ARRAY_SIZE(lengths) - 5), 0);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(burst(32), ARRAY_SIZE(lengths));
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		CU_ASSERT(fixture_mbuf_is(got[i], lengths[i], i));
		CU_ASSERT_EQUAL(got[i]->port, 7);
		CU_ASSERT_EQUAL(got[i]->ol_flags, 0);
		CU_ASSERT_EQUAL(got[i]->packet_type, 0);
		CU_ASSERT_EQUAL(rte_mbuf_refcnt_read(got[i]), 1);
	}
	CU_ASSERT_EQUAL(fixture_rxq(&f, 0)->stats.packets, ARRAY_SIZE(lengths));
	CU_ASSERT_EQUAL(fixture_rxq(&f, 0)->stats.bytes, bytes);
	CU_ASSERT_EQUAL(fixture_completions(&f, 0, tids, statuses, 4), 2);
	CU_ASSERT_EQUAL(tids[0], 77);
	CU_ASSERT_EQUAL(tids[1], UINT64_C(1) << 40);
	CU_ASSERT_EQUAL(statuses[0], NVSP_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(statuses[1], NVSP_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(burst(32), 0);
	free_got(ARRAY_SIZE(lengths));
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
	fixture_end(&f);
}

static void
test_every_length_and_not_a_byte_more(void)
{
	const uint8_t *end;
	uint32_t len;

	REQUIRE(fixture_begin(&f, NULL));
	poison_pool();
	for (len = RNDIS_MIN_FRAME; len <= 1518; len++) {
		CU_ASSERT_EQUAL(fixture_frames(&f, 0, len, len % 256, 1, len, len), 0);
		fixture_publish(&f, 0);
		CU_ASSERT_EQUAL_FATAL(burst(4), 1);
		CU_ASSERT(fixture_mbuf_is(got[0], len, len));
		end = rte_pktmbuf_mtod_offset(got[0], const uint8_t *, len);
		CU_ASSERT_EQUAL(end[0], 0xa5);
		CU_ASSERT_EQUAL(end[-(int)len - 1], 0xa5);
		memset(rte_pktmbuf_mtod(got[0], void *), 0xa5, len);
		free_got(1);
		CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, NULL, 0), 1);
	}
	fixture_end(&f);
}

static void
test_cursor_resumes_across_bursts(void)
{
	uint16_t n, done = 0, i;

	REQUIRE(fixture_begin(&f, NULL));
	CU_ASSERT_EQUAL(fixture_frames(&f, 0, 5, 0, 10, 100, 1000), 0);
	CU_ASSERT_EQUAL(fixture_frames(&f, 0, 6, 10, 2, 100, 1010), 0);
	fixture_publish(&f, 0);
	while (done < 12) {
		n = burst(3);
		CU_ASSERT_EQUAL_FATAL(n, 3);
		for (i = 0; i < n; i++)
			CU_ASSERT(fixture_mbuf_is(got[i], 100, 1000 + done + i));
		free_got(n);
		done += n;
		/* The sections of the first packet are read until its last frame is taken. */
		CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, NULL, 0), done == 12 ? 2 : 0);
		if (done == 9)
			CU_ASSERT_EQUAL(f.host[0].in.ring.ctl->read_index, 0);
	}
	CU_ASSERT_EQUAL(burst(3), 0);
	fixture_end(&f);
}

static void
test_caller_array_ends_with_the_packet(void)
{
	REQUIRE(fixture_begin(&f, NULL));
	CU_ASSERT_EQUAL(fixture_frames(&f, 0, 5, 0, 8, 64, 0), 0);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL(burst(8), 8);
	CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, NULL, 0), 1);
	free_got(8);
	fixture_end(&f);
}

/* Many times round the rings, with packets of all sizes. */
static void
test_ring_wraps(void)
{
	const struct fixture_conf conf = {.ring = 4096};
	uint64_t rnd = 7, seed = 0;
	uint32_t round, n, i;

	REQUIRE(fixture_begin(&f, &conf));
	for (round = 0; round < 2000; round++) {
		n = 1 + rnd_below(&rnd, 40);
		CU_ASSERT_EQUAL(fixture_frames(&f, 0, round, rnd_below(&rnd, 200), n, 60, seed), 0);
		fixture_publish(&f, 0);
		CU_ASSERT_EQUAL_FATAL(burst(64), n);
		for (i = 0; i < n; i++)
			CU_ASSERT(fixture_mbuf_is(got[i], 60, seed + i));
		free_got(n);
		seed += n;
		CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, NULL, 0), 1);
	}
	fixture_end(&f);
}

/* ---- what the host says of frames ---- */

static const struct fixture_conf telling = {
	.rx_offloads = RTE_ETH_RX_OFFLOAD_RSS_HASH | RTE_ETH_RX_OFFLOAD_CHECKSUM};

/* One frame with these PPIs. @return the mbuf */
static struct rte_mbuf *
receive_with(const struct fixture_ppi *ppis, unsigned int n, uint32_t data_at)
{
	struct fixture_frame frame = {.len = 99, .seed = 4, .data_at = data_at, .n_ppis = n};
	struct vmbus_xfer_range range;

	memcpy(frame.ppis, ppis, n * sizeof(*ppis));
	range = fixture_message(&f, 3, &frame);
	CU_ASSERT_EQUAL(fixture_xfer(&f, 0, 1, &range, 1), 0);
	fixture_publish(&f, 0);
	got[0] = NULL;
	CU_ASSERT_EQUAL_FATAL(burst(4), 1);
	CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, NULL, 0), 1);
	return got[0];
}

static void
test_hash_beside_others(void)
{
	static const struct fixture_ppi ppis[] = {
		{RNDIS_PPI_HASH_INFO, 0x101}, {77, 0xdead}, /* of a kind that nobody knows */
		{RNDIS_PPI_HASH_VALUE, 0xfeedbeef}, {RNDIS_PPI_CHECKSUM, RNDIS_RX_CSUM_IP_OK},
		{RNDIS_PPI_HASH_VALUE, 1}, /* the first of a kind counts */
	};
	uint32_t i;

	REQUIRE(fixture_begin(&f, &telling));
	for (i = 0; i < 6; i++) {
		/* With the fifth it has no shape; the far ones do not fit the parser's copy. */
		struct rte_mbuf *m = receive_with(ppis, i < 3 ? 4 : 5, i == 5 ? 900 : 0);

		CU_ASSERT_EQUAL(m->ol_flags, RTE_MBUF_F_RX_RSS_HASH | RTE_MBUF_F_RX_IP_CKSUM_GOOD);
		CU_ASSERT_EQUAL(m->hash.rss, 0xfeedbeef);
		CU_ASSERT(fixture_mbuf_is(m, 99, 4));
		free_got(1);
	}
	fixture_end(&f);
}

static void
test_far_ppis(void)
{
	struct fixture_ppi ppis[FIXTURE_PPIS];
	uint32_t i;

	REQUIRE(fixture_begin(&f, &telling));
	for (i = 0; i < FIXTURE_PPIS; i++)
		ppis[i] = (struct fixture_ppi){100 + i, i};
	ppis[FIXTURE_PPIS - 1] = (struct fixture_ppi){RNDIS_PPI_HASH_VALUE, 42};
	for (i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(receive_with(ppis, FIXTURE_PPIS, 400)->hash.rss, 42);
		CU_ASSERT_EQUAL(got[0]->ol_flags, RTE_MBUF_F_RX_RSS_HASH);
		free_got(1);
	}
	fixture_end(&f);
}

static void
test_tag_goes_back_in(void)
{
	const struct fixture_ppi ppi = {RNDIS_PPI_VLAN, rndis_vlan_from_tci(0xb123)};
	uint8_t want[103], frame[99];
	uint32_t again;

	REQUIRE(fixture_begin(&f, NULL));
	fixture_fill(frame, sizeof(frame), 4);
	memcpy(want, frame, 12);
	memcpy(want + 12, "\x81\x00\xb1\x23", 4);
	memcpy(want + 16, frame + 12, sizeof(frame) - 12);
	for (again = 0; again < 2; again++) {
		struct rte_mbuf *m = receive_with(&ppi, 1, 0);

		CU_ASSERT_EQUAL(m->pkt_len, sizeof(want));
		CU_ASSERT_EQUAL(m->data_len, sizeof(want));
		CU_ASSERT_EQUAL(memcmp(rte_pktmbuf_mtod(m, void *), want, sizeof(want)), 0);
		CU_ASSERT_EQUAL(m->ol_flags, 0);
		free_got(1);
	}
	CU_ASSERT_EQUAL(fixture_rxq(&f, 0)->stats.bytes, 2 * sizeof(want));
	fixture_end(&f);
}

/* Each frame unlike the one before it: what was expected must not stick to it. */
static void
test_shapes_change_from_frame_to_frame(void)
{
	struct vmbus_xfer_range ranges[32];
	struct fixture_frame frames[32];
	uint64_t rnd = 99;
	uint32_t round, i;

	REQUIRE(fixture_begin(&f, &telling));
	for (round = 0; round < 200; round++) {
		for (i = 0; i < 32; i++) {
			struct fixture_frame *frame = &frames[i];

			*frame = (struct fixture_frame){.len = 14 + rnd_below(&rnd, 500),
				.seed = round * 32 + i,
				.data_at = 128 + 4 * rnd_below(&rnd, 2)};
			if (rnd_below(&rnd, 2))
				frame->ppis[frame->n_ppis++] = (struct fixture_ppi){
					RNDIS_PPI_HASH_VALUE, (uint32_t)rnd_next(&rnd)};
			if (rnd_below(&rnd, 2))
				frame->ppis[frame->n_ppis++] = (struct fixture_ppi){
					RNDIS_PPI_CHECKSUM, RNDIS_RX_CSUM_TCP_OK};
			ranges[i] = fixture_message(&f, i, frame);
		}
		CU_ASSERT_EQUAL(fixture_xfer(&f, 0, round, ranges, 32), 0);
		fixture_publish(&f, 0);
		CU_ASSERT_EQUAL_FATAL(burst(32), 32);
		for (i = 0; i < 32; i++) {
			const struct fixture_frame *frame = &frames[i];
			uint64_t flags = 0;
			uint32_t k;

			for (k = 0; k < frame->n_ppis; k++)
				if (frame->ppis[k].type == RNDIS_PPI_HASH_VALUE) {
					flags |= RTE_MBUF_F_RX_RSS_HASH;
					CU_ASSERT_EQUAL(got[i]->hash.rss, frame->ppis[k].value);
				} else {
					flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
				}
			CU_ASSERT_EQUAL(got[i]->ol_flags, flags);
			CU_ASSERT(fixture_mbuf_is(got[i], frame->len, frame->seed));
		}
		free_got(32);
		CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, NULL, 0), 1);
	}
	fixture_end(&f);
}

/* ---- out of something ---- */

static void
test_no_mbufs(void)
{
	const struct fixture_conf conf = {.mbufs = 40};
	struct rte_mbuf *held[40];
	struct vmbus_xfer_range range;
	unsigned int n;

	REQUIRE(fixture_begin(&f, &conf));
	CU_ASSERT_EQUAL_FATAL(rte_pktmbuf_alloc_bulk(f.pool, held, 37), 0);
	fixture_frames(&f, 0, 1, 0, 10, 64, 0);
	fixture_publish(&f, 0);
	n = burst(32);
	CU_ASSERT_EQUAL(n, 3);
	CU_ASSERT(fixture_mbuf_is(got[2], 64, 2));
	CU_ASSERT_EQUAL(fixture_rxq(&f, 0)->stats.no_mbuf, 7);
	CU_ASSERT_EQUAL(fixture_rxq(&f, 0)->stats.packets, 3);
	/* What makes no sense and what is for the driver need none. */
	range = link_down(5);
	fixture_xfer(&f, 0, 2, &range, 1);
	patch(range, 0, 1);
	range.byte_offset = UINT32_MAX;
	fixture_xfer(&f, 0, 3, &range, 1);
	range = link_down(6);
	fixture_xfer(&f, 0, 4, &range, 1);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL(netvsc_rx_burst(f.rx_queues[0], got + n, 8), 0);
	CU_ASSERT_EQUAL(counts()->rx_malformed, 2);
	CU_ASSERT(atomic_load(&f.port.events) & NETVSC_EVENT_LINK);
	CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, NULL, 0), 4);
	free_got(n);
	rte_pktmbuf_free_bulk(held, 37);
	fixture_frames(&f, 0, 5, 0, 32, 64, 0);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL(burst(32), 32);
	free_got(32);
	fixture_end(&f);
}

static void
test_frames_longer_than_mbufs(void)
{
	const struct fixture_conf conf = {.room = 1518};
	const struct fixture_ppi tag = {RNDIS_PPI_VLAN, 0};
	static const struct {
		uint32_t len;
		bool tagged, fits;
	} cases[] = {{1518, false, true}, {1519, false, false}, {1514, true, true},
		{1515, true, false}, {1800, false, false}, {60, false, true}};
	struct vmbus_xfer_range ranges[ARRAY_SIZE(cases)];
	uint32_t i, status;

	REQUIRE(fixture_begin(&f, &conf));
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture_frame frame = {
			.len = cases[i].len, .seed = i, .n_ppis = cases[i].tagged, .ppis = {tag}};

		ranges[i] = fixture_message(&f, i, &frame);
	}
	fixture_xfer(&f, 0, 1, ranges, ARRAY_SIZE(cases));
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(burst(32), 3);
	CU_ASSERT(fixture_mbuf_is(got[0], 1518, 0));
	CU_ASSERT_EQUAL(got[1]->pkt_len, 1518);
	CU_ASSERT(fixture_mbuf_is(got[2], 60, 5));
	free_got(3);
	CU_ASSERT_EQUAL(fixture_rxq(&f, 0)->stats.too_long, 3);
	/* Not the host's fault. */
	CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, &status, 1), 1);
	CU_ASSERT_EQUAL(status, NVSP_STATUS_SUCCESS);
	fixture_end(&f);
}

static void
test_pinned_buffers_stay_external(void)
{
	const struct fixture_conf conf = {
		.pinned = true, .rx_offloads = RTE_ETH_RX_OFFLOAD_RSS_HASH};
	const struct fixture_ppi ppi = {RNDIS_PPI_HASH_VALUE, 9};
	struct rte_mbuf *m;

	REQUIRE(fixture_begin(&f, &conf));
	m = receive_with(&ppi, 1, 0);
	CU_ASSERT_EQUAL(m->ol_flags, RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_RX_RSS_HASH);
	CU_ASSERT(fixture_mbuf_is(m, 99, 4));
	free_got(1);
	fixture_end(&f);
}

/* A host that never stops does not hold the lcore. */
static void
test_budget_of_a_burst(void)
{
	const struct fixture_conf conf = {.ring = 128u << 10};
	const uint64_t nothing = 0;
	unsigned int i;

	REQUIRE(fixture_begin(&f, &conf));
	for (i = 0; i < 2000; i++)
		CU_ASSERT_EQUAL(
			fixture_packet(&f, 0, (enum vmbus_packet_type)0x3f, i, &nothing, 0, 8), 0);
	fixture_frames(&f, 0, 3, 0, 1, 64, 0);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL(burst(4), 0);
	CU_ASSERT_EQUAL(counts()->rx_unknown_packets, 1024);
	CU_ASSERT_EQUAL(burst(4), 1);
	CU_ASSERT_EQUAL(counts()->rx_unknown_packets, 2000);
	free_got(1);
	fixture_end(&f);
}

/* The producer asked for a signal when there is room again, and gets one. */
static void
test_signal_for_room(void)
{
	struct vmbus_ring_writer *w;
	unsigned int n;

	REQUIRE(fixture_begin(&f, NULL));
	w = &f.host[0].to_guest;
	/* None for completions. */
	vmbus_ring_reader_mask(&f.host[0].from_guest);
	while (fixture_frames(&f, 0, 1, 0, 50, 60, 0) == 0)
		;
	fixture_publish(&f, 0);
	CU_ASSERT_FALSE(vmbus_ring_writer_wait_room(w, f.conf.ring / 2));
	do {
		CU_ASSERT_EQUAL(f.host[0].signals, 0);
		n = burst(50);
		CU_ASSERT_EQUAL_FATAL(n, 50);
		free_got(n);
		CU_ASSERT_TRUE(vmbus_ring_writer_refresh(w));
		CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, NULL, 0), 1);
	} while (vmbus_ring_writer_free(w) <= f.conf.ring / 2);
	CU_ASSERT_EQUAL(f.host[0].signals, 1);
	CU_ASSERT_EQUAL(counts()->doorbells, 1);
	free_got(burst(50));
	CU_ASSERT_EQUAL(f.host[0].signals, 1);
	fixture_end(&f);
}

/* ---- set-up ---- */

static void
test_queue_setup(void)
{
	struct rte_eth_rxq_info info = {0};

	REQUIRE(fixture_begin(&f, NULL));
	netvsc_rxq_info_get(&f.eth, 0, &info);
	CU_ASSERT_PTR_EQUAL(info.mp, f.pool);
	CU_ASSERT_EQUAL(info.nb_desc, 256);
	CU_ASSERT_EQUAL(info.rx_buf_size, 2048);
	fixture_frames(&f, 0, 1, 0, 1, 64, 0);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL(burst(8), 1);
	free_got(1);
	netvsc_rx_give_back(fixture_rxq(&f, 0));
	netvsc_rx_give_back(NULL);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(f.pool), 0);
	netvsc_rx_queue_release(&f.eth, 0);
	netvsc_rx_queue_release(&f.eth, 0);
	f.data.mtu = 9000;
	CU_ASSERT_EQUAL(
		netvsc_rx_queue_setup(&f.eth, 0, 256, 0, &(struct rte_eth_rxconf){0}, f.pool),
		-EINVAL);
	CU_ASSERT_PTR_NULL(f.rx_queues[0]);
	fixture_end(&f);
}

static const struct unit_test tests[] = {
	{"frames arrive in order and whole", test_frames_arrive_in_order_and_whole},
	{"every length, and not a byte more", test_every_length_and_not_a_byte_more},
	{"the cursor resumes across bursts", test_cursor_resumes_across_bursts},
	{"the caller's array ends with the packet", test_caller_array_ends_with_the_packet},
	{"the ring wraps", test_ring_wraps},
	{"a hash beside other PPIs", test_hash_beside_others},
	{"far PPIs", test_far_ppis},
	{"a tag goes back in", test_tag_goes_back_in},
	{"shapes change from frame to frame", test_shapes_change_from_frame_to_frame},
	{"no mbufs", test_no_mbufs},
	{"frames longer than mbufs", test_frames_longer_than_mbufs},
	{"pinned buffers stay external", test_pinned_buffers_stay_external},
	{"the budget of a burst", test_budget_of_a_burst},
	{"a signal for room", test_signal_for_room},
	{"set-up of a queue", test_queue_setup},
};

int
main(void)
{
	return UNIT_RUN("receive", tests);
}
