/* SPDX-License-Identifier: BSD-3-Clause */
/* Segments that the host has coalesced: one frame in several ranges (spec/rndis.md §4.3). */
#include "lib/netvsp/nvsp.h"
#include "lib/netvsp/rndis.h"
#include "test/unit/netvsc_fixture.h"

#define FIRST (RNDIS_RSC_MULTI | RNDIS_RSC_FIRST)
#define NEXT  RNDIS_RSC_MULTI
#define LAST  (RNDIS_RSC_MULTI | RNDIS_RSC_LAST)
#define ALONE UINT32_MAX /* a frame without the PPI */
#define ID    77u

static const struct fixture_conf lro = {.rx_offloads = RTE_ETH_RX_OFFLOAD_TCP_LRO, .room = 1518};

static struct fixture f;
static struct rte_mbuf *got[64];
/* The packet being written. */
static struct vmbus_xfer_range ranges[NVSP_MAX_XFER_RANGES_RSC];
static uint32_t n_ranges;

static uint16_t
burst(uint16_t n)
{
	return netvsc_rx_burst(f.rx_queues[0], got, n);
}

/* Append a fragment whose bytes are those of a frame of this seed from @p at on. */
static struct fixture_frame
fragment(uint32_t flags, uint16_t id, uint32_t len)
{
	struct fixture_frame frame = {.len = len};

	if (flags != ALONE)
		frame.ppis[frame.n_ppis++] =
			(struct fixture_ppi){RNDIS_PPI_PACKET_ID, rndis_packet_id(flags, id)};
	return frame;
}

static uint8_t *
add_frame(const struct fixture_frame *frame, uint64_t seed, uint32_t at)
{
	static uint8_t bytes[RNDIS_MAX_BIG_FRAME + 4096];
	uint8_t *data;

	CU_ASSERT_FATAL(at + frame->len <= sizeof(bytes));
	fixture_fill(bytes, at + frame->len, seed);
	ranges[n_ranges] = fixture_message(&f, n_ranges % f.conf.recv_count, frame);
	data = f.bus.recv.base + ranges[n_ranges].byte_offset + FIXTURE_DATA_AT;
	memcpy(data, bytes + at, frame->len);
	n_ranges++;
	return data;
}

static void
add(uint32_t flags, uint16_t id, uint64_t seed, uint32_t at, uint32_t len)
{
	struct fixture_frame frame = fragment(flags, id, len);

	add_frame(&frame, seed, at);
}

/* A whole frame of @p n fragments. */
static void
add_coalesced(uint64_t seed, uint32_t n, uint32_t each)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		add(i == 0 ? FIRST : i == n - 1 ? LAST : NEXT, ID, seed, i * each, each);
}

static void
give(void)
{
	CU_ASSERT_EQUAL(fixture_xfer(&f, 0, 9, ranges, n_ranges), 0);
	fixture_publish(&f, 0);
	n_ranges = 0;
}

static void
expect_status(uint32_t status)
{
	uint32_t is = UINT32_MAX;

	CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, &is, 1), 1);
	CU_ASSERT_EQUAL(is, status);
}

static void
expect(const struct rte_mbuf *m, uint32_t len, uint64_t seed)
{
	static uint8_t want[RNDIS_MAX_BIG_FRAME], is[RNDIS_MAX_BIG_FRAME];
	const uint8_t *bytes;

	CU_ASSERT_EQUAL(m->pkt_len, len);
	CU_ASSERT_EQUAL(m->nb_segs, (len + f.conf.room - 1) / f.conf.room);
	CU_ASSERT_EQUAL(rte_mbuf_check(m, 1, &(const char *){NULL}), 0);
	bytes = rte_pktmbuf_read(m, 0, len, is);
	CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
	fixture_fill(want, len, seed);
	CU_ASSERT_EQUAL(memcmp(bytes, want, len), 0);
}

/* A frame that comes next is not harmed. */
static void
expect_next_whole(void)
{
	add_coalesced(1234, 3, 700);
	give();
	CU_ASSERT_EQUAL_FATAL(burst(8), 1);
	expect(got[0], 2100, 1234);
	rte_pktmbuf_free(got[0]);
	expect_status(NVSP_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
}

static uint64_t
malformed(void)
{
	return fixture_channel(&f, 0)->stats.rx_malformed;
}

/* ---- frames ---- */

static void
test_coalesced_among_others(void)
{
	REQUIRE(fixture_begin(&f, &lro));
	add(ALONE, 0, 1, 0, 100);
	add_coalesced(2, 3, 1800);
	add_coalesced(3, 2, 1448);
	/* A packet id alone makes no fragment. */
	add(0, ID, 4, 0, 60);
	add(RNDIS_RSC_MULTI | RNDIS_RSC_FIRST | RNDIS_RSC_LAST, ID, 5, 0, 500);
	add_coalesced(6, 30, 1800);
	give();
	CU_ASSERT_EQUAL_FATAL(burst(32), 6);
	expect(got[0], 100, 1);
	expect(got[1], 5400, 2);
	expect(got[2], 2896, 3);
	expect(got[3], 60, 4);
	expect(got[4], 500, 5);
	expect(got[5], 54000, 6);
	CU_ASSERT_EQUAL(fixture_rxq(&f, 0)->stats.packets, 6);
	CU_ASSERT_EQUAL(fixture_rxq(&f, 0)->stats.bytes, 100 + 5400 + 2896 + 60 + 500 + 54000);
	rte_pktmbuf_free_bulk(got, 6);
	expect_status(NVSP_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
	CU_ASSERT_EQUAL(malformed(), 0);
	fixture_end(&f);
}

/* The caller's array ends anywhere. */
static void
test_bursts_of_one(void)
{
	uint32_t i;

	REQUIRE(fixture_begin(&f, &lro));
	for (i = 0; i < 5; i++) {
		add(ALONE, 0, 100 + i, 0, 64);
		add_coalesced(i, 4, 1000);
	}
	give();
	for (i = 0; i < 5; i++) {
		CU_ASSERT_EQUAL_FATAL(burst(1), 1);
		expect(got[0], 64, 100 + i);
		rte_pktmbuf_free(got[0]);
		CU_ASSERT_EQUAL_FATAL(burst(1), 1);
		expect(got[0], 4000, i);
		rte_pktmbuf_free(got[0]);
	}
	expect_status(NVSP_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
	fixture_end(&f);
}

/* Checksum, tag and hash are the first fragment's; a tag that is not stripped goes back in. */
static void
test_first_fragment_tells(void)
{
	static const uint64_t offloads[] = {
		RTE_ETH_RX_OFFLOAD_TCP_LRO | RTE_ETH_RX_OFFLOAD_VLAN_STRIP |
			RTE_ETH_RX_OFFLOAD_RSS_HASH | RTE_ETH_RX_OFFLOAD_CHECKSUM,
		RTE_ETH_RX_OFFLOAD_TCP_LRO};
	struct fixture_conf conf = lro;
	uint8_t bytes[2004], want[2000];
	unsigned int i;

	fixture_fill(want, sizeof(want), 5);
	for (i = 0; i < ARRAY_SIZE(offloads); i++) {
		struct fixture_frame frame = fragment(FIRST, ID, 1000);

		conf.rx_offloads = offloads[i];
		REQUIRE(fixture_begin(&f, &conf));
		frame.ppis[frame.n_ppis++] =
			(struct fixture_ppi){RNDIS_PPI_VLAN, rndis_vlan_from_tci(0xb123)};
		frame.ppis[frame.n_ppis++] = (struct fixture_ppi){RNDIS_PPI_HASH_VALUE, 42};
		frame.ppis[frame.n_ppis++] =
			(struct fixture_ppi){RNDIS_PPI_CHECKSUM, RNDIS_RX_CSUM_TCP_OK};
		add_frame(&frame, 5, 0);
		add(LAST, ID, 5, 1000, 1000);
		give();
		CU_ASSERT_EQUAL_FATAL(burst(8), 1);
		if (i == 0) {
			expect(got[0], 2000, 5);
			CU_ASSERT_EQUAL(got[0]->ol_flags,
				RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED |
					RTE_MBUF_F_RX_RSS_HASH | RTE_MBUF_F_RX_L4_CKSUM_GOOD);
			CU_ASSERT_EQUAL(got[0]->vlan_tci, 0xb123);
			CU_ASSERT_EQUAL(got[0]->hash.rss, 42);
		} else {
			const uint8_t *is = rte_pktmbuf_read(got[0], 0, 2004, bytes);

			CU_ASSERT_EQUAL(got[0]->pkt_len, 2004);
			CU_ASSERT_EQUAL(got[0]->ol_flags, 0);
			CU_ASSERT_EQUAL(memcmp(is, want, 12), 0);
			CU_ASSERT_EQUAL(memcmp(is + 12, "\x81\x00\xb1\x23", 4), 0);
			CU_ASSERT_EQUAL(memcmp(is + 16, want + 12, 2000 - 12), 0);
		}
		rte_pktmbuf_free(got[0]);
		expect_status(NVSP_STATUS_SUCCESS);
		fixture_end(&f);
	}
}

/* A host that coalesces though it was not asked to: what fits one mbuf arrives. */
static void
test_fragments_that_nobody_asked_for(void)
{
	const struct fixture_conf conf = {.room = 1518};

	REQUIRE(fixture_begin(&f, &conf));
	add_coalesced(1, 2, 700);
	add_coalesced(2, 3, 700);
	add(ALONE, 0, 3, 0, 100);
	give();
	CU_ASSERT_EQUAL_FATAL(burst(8), 2);
	expect(got[0], 1400, 1);
	expect(got[1], 100, 3);
	rte_pktmbuf_free_bulk(got, 2);
	CU_ASSERT_EQUAL(fixture_rxq(&f, 0)->stats.too_long, 1);
	expect_status(NVSP_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
	fixture_end(&f);
}

/* ---- a host that breaks the rules ---- */

static void
expect_dropped(uint32_t bad)
{
	uint64_t before = malformed();

	give();
	CU_ASSERT_EQUAL(burst(8), 0);
	CU_ASSERT_EQUAL(malformed(), before + bad);
	expect_status(NVSP_STATUS_FAILURE);
	expect_next_whole();
}

static void
test_fragments_without_a_frame(void)
{
	REQUIRE(fixture_begin(&f, &lro));
	/* No first one. */
	add(NEXT, ID, 1, 0, 500);
	add(LAST, ID, 1, 500, 500);
	expect_dropped(2);
	/* No last one: a frame ends with its packet. */
	add(FIRST, ID, 1, 0, 500);
	add(NEXT, ID, 1, 500, 500);
	expect_dropped(1);
	add(FIRST, ID, 1, 0, 500);
	expect_dropped(1);
	/* Of another frame. */
	add(FIRST, ID, 1, 0, 500);
	add(LAST, ID + 1, 1, 500, 500);
	expect_dropped(1);
	fixture_end(&f);
}

static void
test_first_fragment_twice(void)
{
	REQUIRE(fixture_begin(&f, &lro));
	add(FIRST, ID, 1, 0, 500);
	add(NEXT, ID, 1, 500, 500);
	add_coalesced(2, 3, 600);
	/* Unfinished, and then something else. */
	add(FIRST, ID, 3, 0, 500);
	add(ALONE, 0, 4, 0, 90);
	give();
	CU_ASSERT_EQUAL_FATAL(burst(8), 2);
	expect(got[0], 1800, 2);
	expect(got[1], 90, 4);
	rte_pktmbuf_free_bulk(got, 2);
	fixture_completions(&f, 0, NULL, NULL, 0);
	expect_next_whole();
	fixture_end(&f);
}

/* A range that makes no sense ends what was being put together (pitfall X21). */
static void
test_malformed_range_between_fragments(void)
{
	uint64_t before;

	REQUIRE(fixture_begin(&f, &lro));
	add(FIRST, ID, 1, 0, 500);
	ranges[n_ranges++] = (struct vmbus_xfer_range){20, 0};
	add(NEXT, ID, 1, 500, 500);
	add(LAST, ID, 1, 1000, 500);
	add(ALONE, 0, 2, 0, 70);
	before = malformed();
	give();
	CU_ASSERT_EQUAL_FATAL(burst(8), 1);
	expect(got[0], 70, 2);
	rte_pktmbuf_free(got[0]);
	CU_ASSERT_EQUAL(malformed(), before + 3);
	expect_status(NVSP_STATUS_FAILURE);
	expect_next_whole();
	fixture_end(&f);
}

static void
test_frames_without_end(void)
{
	const struct fixture_conf conf = {.rx_offloads = RTE_ETH_RX_OFFLOAD_TCP_LRO,
		.room = 2048,
		.mbufs = 2047,
		.recv_count = 600,
		.ring = 128u << 10};
	uint32_t i;

	REQUIRE(fixture_begin(&f, &conf));
	/* As many fragments as a packet has ranges. */
	for (i = 0; i < 562; i++)
		add(i == 0 ? FIRST : i == 561 ? LAST : NEXT, ID, 1, i * 20, 20);
	give();
	CU_ASSERT_EQUAL_FATAL(burst(8), 1);
	expect(got[0], 562 * 20, 1);
	rte_pktmbuf_free(got[0]);
	expect_status(NVSP_STATUS_SUCCESS);
	/* As many bytes as a frame has, and one more. */
	for (i = 0; i < 66; i++)
		add(i == 0 ? FIRST : i == 65 ? LAST : NEXT, ID, 2, i * 993, i == 65 ? 1008 : 993);
	give();
	CU_ASSERT_EQUAL_FATAL(burst(8), 1);
	expect(got[0], RNDIS_MAX_BIG_FRAME, 2);
	rte_pktmbuf_free(got[0]);
	expect_status(NVSP_STATUS_SUCCESS);
	for (i = 0; i < 66; i++)
		add(i == 0 ? FIRST : i == 65 ? LAST : NEXT, ID, 2, i * 993, i == 65 ? 1009 : 993);
	expect_dropped(1);
	fixture_end(&f);
}

/* ---- out of something ---- */

/* Mbufs end within a frame: it is lost once, and what comes of it is not the host's fault. */
static void
test_pool_ends_within_a_frame(void)
{
	const struct fixture_conf conf = {
		.rx_offloads = RTE_ETH_RX_OFFLOAD_TCP_LRO, .room = 1518, .mbufs = 64};
	struct rte_mbuf *held[64];
	uint32_t left, n;

	REQUIRE(fixture_begin(&f, &conf));
	expect_next_whole();
	for (left = 0; left < 4; left++) {
		uint64_t before = fixture_rxq(&f, 0)->stats.no_mbuf;
		bool fits = left >= 3;

		n = rte_mempool_avail_count(f.pool) - left;
		CU_ASSERT_EQUAL_FATAL(rte_pktmbuf_alloc_bulk(f.pool, held, n), 0);
		add_coalesced(1, 3, 1500);
		add(ALONE, 0, 2, 0, 64);
		give();
		CU_ASSERT_EQUAL_FATAL(burst(8), 1 + fits);
		if (fits)
			expect(got[0], 4500, 1);
		expect(got[fits], 64, 2);
		rte_pktmbuf_free_bulk(got, 1 + fits);
		CU_ASSERT_EQUAL(fixture_rxq(&f, 0)->stats.no_mbuf, before + !fits);
		expect_status(NVSP_STATUS_SUCCESS);
		rte_pktmbuf_free_bulk(held, n);
	}
	CU_ASSERT_EQUAL(malformed(), 0);
	expect_next_whole();
	fixture_end(&f);
}

static void
test_no_mbuf_at_all(void)
{
	const struct fixture_conf conf = {
		.rx_offloads = RTE_ETH_RX_OFFLOAD_TCP_LRO, .room = 1518, .mbufs = 64};
	struct rte_mbuf *held[64];

	REQUIRE(fixture_begin(&f, &conf));
	CU_ASSERT_EQUAL_FATAL(rte_pktmbuf_alloc_bulk(f.pool, held, 64), 0);
	add_coalesced(1, 3, 1500);
	give();
	CU_ASSERT_EQUAL(burst(8), 0);
	CU_ASSERT_EQUAL(fixture_rxq(&f, 0)->stats.no_mbuf, 1);
	CU_ASSERT_EQUAL(malformed(), 0);
	expect_status(NVSP_STATUS_SUCCESS);
	rte_pktmbuf_free_bulk(held, 64);
	expect_next_whole();
	fixture_end(&f);
}

/* A burst's budget ends in the middle of a frame of 60 fragments. */
static void
half_a_frame(void)
{
	const uint64_t nothing = 0;
	unsigned int i;

	for (i = 0; i < 1000; i++)
		CU_ASSERT_EQUAL(
			fixture_packet(&f, 0, (enum vmbus_packet_type)0x3f, i, &nothing, 0, 8), 0);
	add_coalesced(2, 60, 500);
	give();
	CU_ASSERT_EQUAL(burst(1), 0);
	CU_ASSERT_PTR_NOT_NULL(fixture_rxq(&f, 0)->rsc.head);
}

static void
test_budget_ends_within_a_frame(void)
{
	struct fixture_conf conf = lro;

	conf.ring = 128u << 10;
	REQUIRE(fixture_begin(&f, &conf));
	half_a_frame();
	CU_ASSERT_EQUAL_FATAL(burst(1), 1);
	expect(got[0], 30000, 2);
	rte_pktmbuf_free(got[0]);
	expect_status(NVSP_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
	fixture_end(&f);
}

/* The port stops there: its mbufs go back, and what follows is another frame. */
static void
test_stop_within_a_frame(void)
{
	struct fixture_conf conf = lro;
	struct netvsc_channel *ch;

	conf.ring = 128u << 10;
	REQUIRE(fixture_begin(&f, &conf));
	ch = fixture_channel(&f, 0);
	half_a_frame();
	rte_spinlock_lock(&ch->rx_lock);
	netvsc_rx_drain(ch);
	rte_spinlock_unlock(&ch->rx_lock);
	CU_ASSERT(ch->stats.rx_dropped_stopped > 0);
	expect_status(NVSP_STATUS_SUCCESS);
	netvsc_rx_give_back(fixture_rxq(&f, 0));
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(f.pool), 0);
	/* The rest of it in a packet of its own makes no frame. */
	add(LAST, ID, 2, 2000, 1000);
	expect_dropped(1);
	fixture_end(&f);
}

static const struct unit_test tests[] = {
	{"coalesced among others", test_coalesced_among_others},
	{"bursts of one", test_bursts_of_one},
	{"the first fragment tells", test_first_fragment_tells},
	{"fragments that nobody asked for", test_fragments_that_nobody_asked_for},
	{"fragments without a frame", test_fragments_without_a_frame},
	{"the first fragment twice", test_first_fragment_twice},
	{"a malformed range between fragments (X21)", test_malformed_range_between_fragments},
	{"frames without end", test_frames_without_end},
	{"the pool ends within a frame", test_pool_ends_within_a_frame},
	{"no mbuf at all", test_no_mbuf_at_all},
	{"the budget ends within a frame", test_budget_ends_within_a_frame},
	{"stop within a frame", test_stop_within_a_frame},
};

int
main(void)
{
	return UNIT_RUN("receive segment coalescing", tests);
}
