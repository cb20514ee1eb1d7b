/* SPDX-License-Identifier: BSD-3-Clause */
/* A receive queue against a scripted host: what becomes of frames, and of everything else. */
#include "lib/netvsp/nvsp.h"
#include "lib/netvsp/rndis.h"
#include "test/unit/netvsc_fixture.h"

static struct fixture f;
static struct rte_mbuf *got[1024];

/* A burst of the first queue. */
static uint16_t
burst(uint16_t n)
{
	return netvsc_rx_burst(f.rx_queues[0], got, n);
}

static void
free_got(unsigned int n)
{
	rte_pktmbuf_free_bulk(got, n);
}

/* ---- frames ---- */

static void
test_frames_arrive_in_order_and_whole(void)
{
	static const uint32_t lengths[] = {14, 15, 60, 64, 65, 128, 255, 256, 1000, 1514, 1518};
	struct vmbus_xfer_range ranges[ARRAY_SIZE(lengths)];
	uint64_t tids[4];
	uint32_t statuses[4], i;
	uint64_t bytes = 0;

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

static const struct unit_test tests[] = {
	{"frames arrive in order and whole", test_frames_arrive_in_order_and_whole},
};

int
main(void)
{
	return UNIT_RUN("receive", tests);
}
