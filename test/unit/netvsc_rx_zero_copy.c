/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames that stay in the receive buffer: who holds them, for how long, and how many. */
#include "lib/netvsp/nvsp.h"
#include "lib/netvsp/rndis.h"
#include "test/unit/netvsc_lending.h"

/* ---- frames ---- */

static void
test_long_frames_stay_short_ones_are_copied(void)
{
	static const uint32_t lens[] = {60, COPYBREAK, COPYBREAK + 1, 1514, 100, 1000};
	uint32_t i, again;

	REQUIRE(fixture_begin(&f, &lending));
	for (again = 0; again < 2; again++) {
		for (i = 0; i < ARRAY_SIZE(lens); i++)
			CU_ASSERT_EQUAL(fixture_frames(&f, 0, i, i, 1, lens[i], i), 0);
		fixture_publish(&f, 0);
		CU_ASSERT_EQUAL_FATAL(burst(8), ARRAY_SIZE(lens));
		for (i = 0; i < ARRAY_SIZE(lens); i++) {
			CU_ASSERT(fixture_mbuf_is(got[i], lens[i], i));
			CU_ASSERT_EQUAL(is_lent(got[i]), lens[i] > COPYBREAK);
			CU_ASSERT_EQUAL(got[i]->port, 7);
			CU_ASSERT_EQUAL(got[i]->packet_type, 0);
			CU_ASSERT_EQUAL(rte_pktmbuf_tailroom(got[i]) == 0, is_lent(got[i]));
		}
		CU_ASSERT_EQUAL(lent(0), (again + 1) * 3);
		CU_ASSERT_EQUAL(netvsc_rx_lent(&f.port), 3);
		CU_ASSERT_EQUAL(completed(0), 3);
		rte_pktmbuf_free_bulk(got, ARRAY_SIZE(lens));
		CU_ASSERT_EQUAL(completed(0), 3);
		CU_ASSERT_EQUAL(netvsc_rx_lent(&f.port), 0);
	}
	expect_pool_sound();
	fixture_end(&f);
}

/* What is told of copied frames is told of these. */
static void
test_offloads(void)
{
	struct fixture_conf conf = lending;
	const struct fixture_frame frame = {.len = 900,
		.seed = 3,
		.n_ppis = 2,
		.ppis = {{RNDIS_PPI_VLAN, rndis_vlan_from_tci(0xb123)},
			{RNDIS_PPI_HASH_VALUE, 0x77}}};
	uint8_t want[904], bytes[900];
	struct vmbus_xfer_range range;
	unsigned int again;

	fixture_fill(bytes, sizeof(bytes), 3);
	memcpy(want, bytes, 12);
	memcpy(want + 12, "\x81\x00\xb1\x23", 4);
	memcpy(want + 16, bytes + 12, sizeof(bytes) - 12);
	conf.rx_offloads = RTE_ETH_RX_OFFLOAD_VLAN_STRIP | RTE_ETH_RX_OFFLOAD_RSS_HASH;
	REQUIRE(fixture_begin(&f, &conf));
	for (again = 0; again < 2; again++) {
		range = fixture_message(&f, 1, &frame);
		fixture_xfer(&f, 0, 1, &range, 1);
		fixture_publish(&f, 0);
		CU_ASSERT_EQUAL_FATAL(burst(1), 1);
		CU_ASSERT(is_lent(got[0]));
		CU_ASSERT(fixture_mbuf_is(got[0], 900, 3));
		CU_ASSERT_EQUAL(got[0]->ol_flags, RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_RX_VLAN |
							  RTE_MBUF_F_RX_VLAN_STRIPPED |
							  RTE_MBUF_F_RX_RSS_HASH);
		CU_ASSERT_EQUAL(got[0]->vlan_tci, 0xb123);
		CU_ASSERT_EQUAL(got[0]->hash.rss, 0x77);
		rte_pktmbuf_free(got[0]);
		completed(0);
	}
	/* With the tag back in it is copied, and whole (pitfall X9). */
	f.data.dev_conf.rxmode.offloads = 0;
	netvsc_vlan_offload_set(&f.eth, RTE_ETH_VLAN_STRIP_MASK);
	for (again = 0; again < 2; again++) {
		range = fixture_message(&f, 1, &frame);
		fixture_xfer(&f, 0, 1, &range, 1);
		fixture_publish(&f, 0);
		CU_ASSERT_EQUAL_FATAL(burst(1), 1);
		CU_ASSERT_FALSE(is_lent(got[0]));
		CU_ASSERT_EQUAL(got[0]->pkt_len, sizeof(want));
		CU_ASSERT_EQUAL(memcmp(rte_pktmbuf_mtod(got[0], void *), want, sizeof(want)), 0);
		rte_pktmbuf_free(got[0]);
		CU_ASSERT_EQUAL(completed(0), 1);
	}
	fixture_end(&f);
}

static void
test_pools_that_cannot(void)
{
	struct fixture_conf conf = lending;

	conf.pinned = true;
	REQUIRE(fixture_begin(&f, &conf));
	fixture_frames(&f, 0, 1, 0, 1, 1000, 0);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(burst(1), 1);
	CU_ASSERT_FALSE(is_lent(got[0]));
	CU_ASSERT(fixture_mbuf_is(got[0], 1000, 0));
	rte_pktmbuf_free(got[0]);
	CU_ASSERT_EQUAL(lent(0), 0);
	fixture_end(&f);
}

/* ---- held, cloned, forwarded ---- */

/* Freed in any order, some elsewhere: each packet is completed once (pitfall X4). */
static void
test_freed_in_any_order_on_any_thread(void)
{
	uint8_t seen[16] = {0};
	uint64_t tids[16], rnd = 3;
	uint32_t i, k, n;

	REQUIRE(fixture_begin(&f, &lending));
	for (i = 0; i < 16; i++)
		CU_ASSERT_EQUAL(fixture_frames(&f, 0, i, i * 8, 8, 700, i * 8), 0);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(burst(128), 128);
	for (i = 0; i < 128; i++)
		CU_ASSERT(is_lent(got[i]) && fixture_mbuf_is(got[i], 700, i));
	CU_ASSERT_EQUAL(completed(0), 0);
	for (n = 128; n > 0; n--) {
		k = rnd_below(&rnd, n);
		if (rnd_below(&rnd, 4) == 0)
			free_elsewhere(got[k]);
		else
			rte_pktmbuf_free(got[k]);
		got[k] = got[n - 1];
		k = fixture_completions(&f, 0, tids, NULL, 16);
		for (i = 0; i < k; i++)
			seen[tids[i]]++;
	}
	for (i = 0; i < 16; i++)
		CU_ASSERT_EQUAL(seen[i], 1);
	CU_ASSERT_EQUAL(netvsc_rx_lent(&f.port), 0);
	expect_pool_sound();
	fixture_end(&f);
}

static void
test_clones(void)
{
	struct rte_mbuf *a, *b;

	REQUIRE(fixture_begin(&f, &lending));
	fixture_frames(&f, 0, 1, 0, 1, 1200, 5);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(burst(1), 1);
	a = rte_pktmbuf_clone(got[0], f.pool);
	b = rte_pktmbuf_clone(a, f.pool);
	CU_ASSERT(a != NULL && b != NULL);
	rte_pktmbuf_free(got[0]);
	CU_ASSERT_EQUAL(completed(0), 0);
	free_elsewhere(a);
	CU_ASSERT_EQUAL(completed(0), 0);
	CU_ASSERT(fixture_same(rte_pktmbuf_mtod(b, uint8_t *), 1200, 5));
	rte_pktmbuf_free(b);
	CU_ASSERT_EQUAL(completed(0), 1);
	expect_pool_sound();
	fixture_end(&f);
}

/*
 * Sent again on the same channel: the bytes are copied, and the mbuf is freed within the burst that
 * holds the lock which its completion needs. Nothing waits for that.
 */
static void
test_forwarded_on_the_same_channel(void)
{
	struct fixture_packet pkt;
	unsigned int sends = 0, done = 0;

	REQUIRE(fixture_begin(&f, &lending));
	fixture_frames(&f, 0, 1, 0, 4, 1200, 5);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(burst(4), 4);
	CU_ASSERT(is_lent(got[3]));
	CU_ASSERT_EQUAL(netvsc_tx_burst(f.tx_queues[0], got, 4), 4);
	CU_ASSERT_EQUAL(netvsc_rx_lent(&f.port), 0);
	CU_ASSERT_EQUAL(burst(4), 0);
	while (fixture_read(&f, 0, &pkt)) {
		if (pkt.desc.type == VMBUS_PACKET_COMPLETION)
			done++;
		else
			sends++;
	}
	CU_ASSERT_EQUAL(done, 1);
	CU_ASSERT(sends > 0);
	fixture_end(&f);
}

/* ---- how many ---- */

/* An application that frees nothing: three quarters of the sections, whatever their packets. */
static void
hold_everything(uint32_t ranges)
{
	uint32_t held = 0, back = 0, tid, i;
	const uint32_t limit = SECTIONS / 4 * 3;

	REQUIRE(fixture_begin(&f, &lending));
	for (tid = 0; tid < 1024 / ranges; tid++) {
		/* A host sends with the sections that it has. */
		if (held - back + ranges > SECTIONS)
			break;
		CU_ASSERT_EQUAL(fixture_frames(&f, 0, tid, (tid * ranges) % (SECTIONS - ranges + 1),
					ranges, 600, held),
			0);
		fixture_publish(&f, 0);
		i = netvsc_rx_burst(f.rx_queues[0], got + held, (uint16_t)ranges);
		CU_ASSERT_EQUAL_FATAL(i, ranges);
		held += ranges;
		back += completed(0) * ranges;
		CU_ASSERT(held - back <= limit);
	}
	CU_ASSERT_EQUAL(held, 1024 / ranges * ranges);
	CU_ASSERT(lent(0) <= limit);
	CU_ASSERT(lent(0) > limit - ranges);
	rte_pktmbuf_free_bulk(got, held);
	burst(1);
	CU_ASSERT_EQUAL(netvsc_rx_lent(&f.port), 0);
	/* And once more. */
	fixture_frames(&f, 0, 9999, 0, 1, 600, 1);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(burst(1), 1);
	CU_ASSERT(is_lent(got[0]));
	rte_pktmbuf_free(got[0]);
	expect_pool_sound();
	fixture_end(&f);
}

static void
test_three_quarters_at_most(void)
{
	hold_everything(1);
	hold_everything(7);
	hold_everything(32);
}

/* One queue's application holds all it can get: the other one's frames come, copied. */
static void
test_other_queues_lose_nothing(void)
{
	struct fixture_conf conf = lending;
	struct rte_mbuf *other[64];
	uint32_t i, n = 0;

	conf.channels = 2;
	REQUIRE(fixture_begin(&f, &conf));
	for (i = 0; i < SECTIONS / 4 * 3; i++)
		CU_ASSERT_EQUAL(fixture_frames(&f, 0, i, i, 1, 600, i), 0);
	fixture_publish(&f, 0);
	while (n < SECTIONS / 4 * 3)
		n += netvsc_rx_burst(f.rx_queues[0], got + n, 32);
	CU_ASSERT_EQUAL(completed(0), 0);
	for (i = 0; i < 300; i++) {
		CU_ASSERT_EQUAL(fixture_frames(&f, 1, i, SECTIONS / 4 * 3 + i % 32, 32, 600, i), 0);
		fixture_publish(&f, 1);
		CU_ASSERT_EQUAL_FATAL(netvsc_rx_burst(f.rx_queues[1], other, 64), 32);
		CU_ASSERT(fixture_mbuf_is(other[0], 600, i));
		CU_ASSERT(fixture_mbuf_is(other[31], 600, i + 31));
		CU_ASSERT_FALSE(is_lent(other[0]));
		rte_pktmbuf_free_bulk(other, 32);
		CU_ASSERT_EQUAL(completed(1), 1);
	}
	rte_pktmbuf_free_bulk(got, n);
	CU_ASSERT_EQUAL(completed(0), n);
	fixture_end(&f);
}

/* A host that uses a section again while it is held harms its own frame at most. */
static void
test_section_that_is_held_comes_again(void)
{
	const struct fixture_frame frame = {.len = 800, .seed = 1};
	struct vmbus_xfer_range ranges[3];

	REQUIRE(fixture_begin(&f, &lending));
	ranges[0] = ranges[1] = ranges[2] = fixture_message(&f, 5, &frame);
	fixture_xfer(&f, 0, 1, ranges, 2);
	fixture_xfer(&f, 0, 2, ranges, 1);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(burst(8), 3);
	CU_ASSERT(is_lent(got[0]));
	CU_ASSERT_FALSE(is_lent(got[1]));
	CU_ASSERT_FALSE(is_lent(got[2]));
	rte_pktmbuf_free(got[1]);
	rte_pktmbuf_free(got[2]);
	CU_ASSERT_EQUAL(completed(0), 1);
	rte_pktmbuf_free(got[0]);
	CU_ASSERT_EQUAL(completed(0), 1);
	expect_pool_sound();
	fixture_end(&f);
}

/* Each thing that a loan takes can be missing: then it is a copy, and nothing is left over (X5). */
static void
test_without_what_a_loan_takes(void)
{
	struct netvsc_channel *ch;
	struct netvsc_rx_transfer *objects;

	REQUIRE(fixture_begin(&f, &lending));
	ch = fixture_channel(&f, 0);
	objects = ch->free_transfers;
	ch->free_transfers = NULL;
	fixture_frames(&f, 0, 1, 0, 2, 800, 1);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(burst(8), 2);
	CU_ASSERT_FALSE(is_lent(got[0]));
	CU_ASSERT(fixture_mbuf_is(got[1], 800, 2));
	rte_pktmbuf_free_bulk(got, 2);
	CU_ASSERT_EQUAL(completed(0), 1);
	ch->free_transfers = objects;
	fixture_frames(&f, 0, 2, 0, 2, 800, 1);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(burst(8), 2);
	CU_ASSERT(is_lent(got[0]) && is_lent(got[1]));
	rte_pktmbuf_free_bulk(got, 2);
	CU_ASSERT_EQUAL(completed(0), 1);
	CU_ASSERT_EQUAL(netvsc_rx_lent(&f.port), 0);
	fixture_end(&f);
}

static const struct unit_test tests[] = {
	{"long frames stay, short ones are copied", test_long_frames_stay_short_ones_are_copied},
	{"offloads", test_offloads},
	{"pools that cannot", test_pools_that_cannot},
	{"freed in any order on any thread (X4)", test_freed_in_any_order_on_any_thread},
	{"clones", test_clones},
	{"forwarded on the same channel", test_forwarded_on_the_same_channel},
	{"three quarters at most", test_three_quarters_at_most},
	{"other queues lose nothing", test_other_queues_lose_nothing},
	{"a section that is held comes again", test_section_that_is_held_comes_again},
	{"without what a loan takes (X5)", test_without_what_a_loan_takes},
};

int
main(void)
{
	return UNIT_RUN("receive without a copy", tests);
}
