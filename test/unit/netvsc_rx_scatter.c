/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames longer than one mbuf: chains of them, or nothing (pitfall X16). */
#include "lib/netvsp/nvsp.h"
#include "lib/netvsp/rndis.h"
#include "test/unit/netvsc_receive.h"

#define TAG_TCI 0xb123u

/* A chain as the driver builds it: all segments full but the last, with exactly these bytes. */
static void
expect_chain(const struct rte_mbuf *m, const uint8_t *bytes, uint32_t len)
{
	const struct rte_mbuf *seg;
	uint32_t room = f.conf.room, at = 0, segs = 0;

	CU_ASSERT_EQUAL(m->pkt_len, len);
	CU_ASSERT_EQUAL(m->nb_segs, (len + room - 1) / room);
	CU_ASSERT_EQUAL(rte_mbuf_check(m, 1, &(const char *){NULL}), 0);
	for (seg = m; seg != NULL; seg = seg->next, segs++) {
		CU_ASSERT_EQUAL(seg->data_len, RTE_MIN(room, len - at));
		CU_ASSERT_EQUAL(seg->data_off, RTE_PKTMBUF_HEADROOM);
		CU_ASSERT_EQUAL(seg->port, 7);
		CU_ASSERT_EQUAL(rte_mbuf_refcnt_read(seg), 1);
		if (at + seg->data_len <= len)
			CU_ASSERT_EQUAL(memcmp(rte_pktmbuf_mtod(seg, const void *), bytes + at,
						seg->data_len),
				0);
		at += seg->data_len;
	}
	CU_ASSERT_EQUAL(segs, m->nb_segs);
}

static void
expect_frame(const struct rte_mbuf *m, uint32_t len, uint64_t seed)
{
	static uint8_t bytes[16384];

	fixture_fill(bytes, len, seed);
	expect_chain(m, bytes, len);
}

static void
each_length(uint16_t room)
{
	const struct fixture_conf conf = {
		.room = room, .rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER, .mtu = 1900};
	uint32_t len;

	REQUIRE(fixture_begin(&f, &conf));
	for (len = RNDIS_MIN_FRAME; len <= 1900; len++) {
		CU_ASSERT_EQUAL(fixture_frames(&f, 0, len, len % 256, 1, len, len), 0);
		fixture_publish(&f, 0);
		CU_ASSERT_EQUAL_FATAL(burst(4), 1);
		expect_frame(got[0], len, len);
		CU_ASSERT_EQUAL(got[0]->ol_flags, 0);
		free_got(1);
		CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, NULL, 0), 1);
	}
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
	CU_ASSERT_EQUAL(fixture_rxq(&f, 0)->stats.packets, 1900 - RNDIS_MIN_FRAME + 1);
	fixture_end(&f);
}

static void
test_every_length_into_small_mbufs(void)
{
	each_length(64);
	each_length(100);
	each_length(1024);
}

static void
test_jumbo_frames_across_bursts(void)
{
	const struct fixture_conf conf = {.room = 2048,
		.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER,
		.mtu = 9000,
		.recv_section = 10240,
		.recv_count = 64};
	uint64_t seed = 0;
	uint32_t i;

	REQUIRE(fixture_begin(&f, &conf));
	CU_ASSERT_EQUAL(fixture_frames(&f, 0, 1, 0, 20, 9018, 0), 0);
	CU_ASSERT_EQUAL(fixture_frames(&f, 0, 2, 20, 20, 60, 20), 0);
	fixture_publish(&f, 0);
	while (seed < 40) {
		uint16_t n = burst(7);

		CU_ASSERT_FATAL(n != 0);
		for (i = 0; i < n; i++, seed++)
			expect_frame(got[i], seed < 20 ? 9018 : 60, seed);
		free_got(n);
	}
	CU_ASSERT_EQUAL(fixture_rxq(&f, 0)->stats.bytes, 20 * (9018 + 60));
	CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, NULL, 0), 2);
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
	fixture_end(&f);
}

/* The tag goes into the first mbuf; what it pushes out goes into the next. */
static void
test_tagged_frames_into_small_mbufs(void)
{
	const struct fixture_conf conf = {.room = 64, .rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER};
	uint8_t frame[1514], want[1518];
	uint32_t len, again;

	REQUIRE(fixture_begin(&f, &conf));
	for (len = RNDIS_MIN_FRAME; len <= 200; len++)
		for (again = 0; again < 2; again++) {
			const struct fixture_frame tagged = {.len = len,
				.seed = len,
				.n_ppis = 1,
				.ppis = {{RNDIS_PPI_VLAN, rndis_vlan_from_tci(TAG_TCI)}}};
			struct vmbus_xfer_range range = fixture_message(&f, 3, &tagged);

			fixture_fill(frame, len, len);
			memcpy(want, frame, 12);
			memcpy(want + 12, "\x81\x00\xb1\x23", 4);
			memcpy(want + 16, frame + 12, len - 12);
			fixture_xfer(&f, 0, len, &range, 1);
			fixture_publish(&f, 0);
			CU_ASSERT_EQUAL_FATAL(burst(4), 1);
			expect_chain(got[0], want, len + 4);
			free_got(1);
			fixture_completions(&f, 0, NULL, NULL, 0);
		}
	fixture_end(&f);
}

/* What mbufs tell stands in the first one. */
static void
test_first_mbuf_tells(void)
{
	const struct fixture_conf conf = {.room = 64,
		.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER | RTE_ETH_RX_OFFLOAD_RSS_HASH |
			       RTE_ETH_RX_OFFLOAD_VLAN_STRIP | RTE_ETH_RX_OFFLOAD_CHECKSUM,
		.ptypes = NETVSC_RX_PTYPES};
	const struct fixture_frame frame = {.len = 300,
		.seed = 1,
		.n_ppis = 3,
		.ppis = {{RNDIS_PPI_VLAN, rndis_vlan_from_tci(TAG_TCI)},
			{RNDIS_PPI_HASH_VALUE, 0x1234},
			{RNDIS_PPI_CHECKSUM, RNDIS_RX_CSUM_TCP_OK}}};
	struct vmbus_xfer_range range;
	unsigned int again;

	REQUIRE(fixture_begin(&f, &conf));
	for (again = 0; again < 2; again++) {
		range = fixture_message(&f, 3, &frame);
		/* IPv4 and TCP, so that there is a type. */
		memcpy(f.bus.recv.base + range.byte_offset + FIXTURE_DATA_AT + 12,
			"\x08\x00\x45\0\0\x40\0\0\0\0\x40\x06", 12);
		fixture_xfer(&f, 0, 1, &range, 1);
		fixture_publish(&f, 0);
		CU_ASSERT_EQUAL_FATAL(burst(4), 1);
		CU_ASSERT_EQUAL(got[0]->nb_segs, 5);
		CU_ASSERT_EQUAL(got[0]->ol_flags, RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED |
							  RTE_MBUF_F_RX_RSS_HASH |
							  RTE_MBUF_F_RX_L4_CKSUM_GOOD);
		CU_ASSERT_EQUAL(got[0]->vlan_tci, TAG_TCI);
		CU_ASSERT_EQUAL(got[0]->hash.rss, 0x1234);
		CU_ASSERT_EQUAL(got[0]->packet_type,
			RTE_PTYPE_L2_ETHER | RTE_PTYPE_L3_IPV4 | RTE_PTYPE_L4_TCP);
		CU_ASSERT_EQUAL(got[0]->next->ol_flags, 0);
		free_got(1);
	}
	fixture_end(&f);
}

/* The pool ends in the middle of a frame: it is dropped as a whole, and no mbuf with it. */
static void
test_pool_ends_within_a_frame(void)
{
	const struct fixture_conf conf = {
		.room = 256, .rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER, .mbufs = 64};
	struct rte_mbuf *held[64];
	uint32_t status, left;

	REQUIRE(fixture_begin(&f, &conf));
	/* The queue has fetched its stock. */
	fixture_frames(&f, 0, 1, 0, 1, 60, 0);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(burst(1), 1);
	free_got(1);
	fixture_completions(&f, 0, NULL, NULL, 0);
	for (left = 0; left < 6; left++) {
		uint32_t n = rte_mempool_avail_count(f.pool) - left;
		uint64_t before = fixture_rxq(&f, 0)->stats.no_mbuf;
		bool fits = left >= 5; /* besides the one in stock */

		CU_ASSERT_EQUAL_FATAL(rte_pktmbuf_alloc_bulk(f.pool, held, n), 0);
		fixture_frames(&f, 0, 2, 1, 1, 1514, 7);
		fixture_frames(&f, 0, 3, 2, 1, 60, 8);
		fixture_publish(&f, 0);
		CU_ASSERT_EQUAL_FATAL(burst(8), 1 + fits);
		if (fits)
			expect_frame(got[0], 1514, 7);
		expect_frame(got[fits], 60, 8);
		free_got(1 + fits);
		CU_ASSERT_EQUAL(fixture_rxq(&f, 0)->stats.no_mbuf, before + !fits);
		/* Not the host's fault. */
		CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, &status, 1), 2);
		CU_ASSERT_EQUAL(status, NVSP_STATUS_SUCCESS);
		rte_pktmbuf_free_bulk(held, n);
	}
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
	fixture_end(&f);
}

/* What was begun with it and not finished is no part of it when the queue stops. */
static void
test_an_mbuf_that_goes_back_has_one_segment(void)
{
	const struct fixture_conf conf = {
		.room = 256, .rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER, .mbufs = 63};
	struct rte_mbuf *held[64], *all[64];
	uint32_t n, i;

	REQUIRE(fixture_begin(&f, &conf));
	fixture_frames(&f, 0, 1, 0, 1, 60, 0);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(burst(1), 1);
	free_got(1);
	/* Two more than the one in stock, where six are needed. */
	n = rte_mempool_avail_count(f.pool) - 2;
	CU_ASSERT_EQUAL_FATAL(rte_pktmbuf_alloc_bulk(f.pool, held, n), 0);
	fixture_frames(&f, 0, 2, 1, 1, 1514, 7);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL(burst(1), 0);
	CU_ASSERT_EQUAL(fixture_rxq(&f, 0)->stats.no_mbuf, 1);
	rte_pktmbuf_free_bulk(held, n);
	netvsc_rx_give_back(fixture_rxq(&f, 0));
	CU_ASSERT_EQUAL_FATAL(rte_mempool_avail_count(f.pool), 63);
	CU_ASSERT_EQUAL_FATAL(rte_mempool_get_bulk(f.pool, (void **)all, 63), 0);
	for (i = 0; i < 63; i++) {
		CU_ASSERT_EQUAL(all[i]->nb_segs, 1);
		CU_ASSERT_PTR_NULL(all[i]->next);
	}
	rte_mempool_put_bulk(f.pool, (void **)all, 63);
	fixture_end(&f);
}

static void
test_pinned_buffers_in_a_chain(void)
{
	const struct fixture_conf conf = {
		.room = 512, .rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER, .pinned = true};
	const struct rte_mbuf *seg;

	REQUIRE(fixture_begin(&f, &conf));
	fixture_frames(&f, 0, 1, 0, 1, 1514, 3);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(burst(4), 1);
	expect_frame(got[0], 1514, 3);
	for (seg = got[0]; seg != NULL; seg = seg->next)
		CU_ASSERT_EQUAL(seg->ol_flags, RTE_MBUF_F_EXTERNAL);
	free_got(1);
	fixture_end(&f);
}

/* Long, short, tagged and malformed ones, in any order: each once, or counted. */
static void
test_random_mix(void)
{
	const struct fixture_conf conf = {
		.room = 128, .rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER, .mbufs = 2047};
	struct vmbus_xfer_range ranges[32];
	uint64_t rnd = 5, malformed = 0;
	uint32_t round, i, good, n;
	uint32_t lens[32], seeds[32];

	REQUIRE(fixture_begin(&f, &conf));
	for (round = 0; round < 500; round++) {
		good = 0;
		for (i = 0; i < 32; i++) {
			struct fixture_frame frame = {
				.len = 14 + rnd_below(&rnd, 1500), .seed = round * 32 + i};

			ranges[i] = fixture_message(&f, i, &frame);
			if (rnd_below(&rnd, 8) == 0) {
				ranges[i].byte_count = rnd_below(&rnd, 40);
				malformed++;
				continue;
			}
			lens[good] = frame.len;
			seeds[good++] = (uint32_t)frame.seed;
		}
		fixture_xfer(&f, 0, round, ranges, 32);
		fixture_publish(&f, 0);
		for (n = 0; n < good; n += i) {
			i = burst((uint16_t)(1 + rnd_below(&rnd, 9)));
			CU_ASSERT_FATAL(i != 0);
			for (uint32_t k = 0; k < i; k++)
				expect_frame(got[k], lens[n + k], seeds[n + k]);
			free_got(i);
		}
		CU_ASSERT_EQUAL(burst(8), 0);
		CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, NULL, 0), 1);
	}
	CU_ASSERT_EQUAL(fixture_channel(&f, 0)->stats.rx_malformed, malformed);
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
	fixture_end(&f);
}

/* A pool that is too small is refused, and with SCATTER only one of mbufs without room. */
static void
test_pools(void)
{
	const struct rte_eth_rxconf plain = {.rx_drop_en = 1},
				    scatter = {.offloads = RTE_ETH_RX_OFFLOAD_SCATTER};
	struct fixture_conf conf = {.channels = 2, .room = 1518};

	REQUIRE(fixture_begin(&f, &conf));
	f.data.mtu = 9000;
	netvsc_rx_queue_release(&f.eth, 0);
	netvsc_rx_queue_release(&f.eth, 1);
	CU_ASSERT_EQUAL(netvsc_rx_queue_setup(&f.eth, 0, 256, 0, &plain, f.pool), -EINVAL);
	CU_ASSERT_EQUAL(netvsc_rx_queue_setup(&f.eth, 0, 256, 0, &scatter, f.pool), 0);
	CU_ASSERT_EQUAL(netvsc_check_pools(&f.port, 9000), 0);
	/* One without it stands in the way of the MTU. */
	f.data.mtu = 1500;
	CU_ASSERT_EQUAL(netvsc_rx_queue_setup(&f.eth, 1, 256, 0, &plain, f.pool), 0);
	CU_ASSERT_EQUAL(netvsc_check_pools(&f.port, 1500), 0);
	CU_ASSERT_EQUAL(netvsc_check_pools(&f.port, 1501), -EINVAL);
	f.data.dev_conf.rxmode.offloads = RTE_ETH_RX_OFFLOAD_SCATTER;
	CU_ASSERT_EQUAL(netvsc_check_pools(&f.port, 9000), 0);
	fixture_end(&f);
	conf = (struct fixture_conf){
		.room = NETVSC_RX_MIN_ROOM, .rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER};
	REQUIRE(fixture_begin(&f, &conf));
	fixture_end(&f);
	/* One byte less, without the fixture's own queue. */
	conf.rx_offloads = 0;
	conf.mtu = 68;
	conf.room = 86;
	REQUIRE(fixture_begin(&f, &conf));
	CU_ASSERT_EQUAL(
		netvsc_check_pool(&f.port, 0, f.pool, 69, RTE_ETH_RX_OFFLOAD_RSS_HASH), -EINVAL);
	CU_ASSERT_EQUAL(netvsc_check_pool(&f.port, 0, f.pool, 9000, RTE_ETH_RX_OFFLOAD_SCATTER), 0);
	fixture_end(&f);
}

static const struct unit_test tests[] = {
	{"every length into small mbufs", test_every_length_into_small_mbufs},
	{"jumbo frames across bursts", test_jumbo_frames_across_bursts},
	{"tagged frames into small mbufs", test_tagged_frames_into_small_mbufs},
	{"the first mbuf tells", test_first_mbuf_tells},
	{"the pool ends within a frame", test_pool_ends_within_a_frame},
	{"an mbuf that goes back has one segment", test_an_mbuf_that_goes_back_has_one_segment},
	{"pinned buffers in a chain", test_pinned_buffers_in_a_chain},
	{"a random mix", test_random_mix},
	{"pools", test_pools},
};

int
main(void)
{
	return UNIT_RUN("scattered receive", tests);
}
