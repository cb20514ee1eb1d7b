/* SPDX-License-Identifier: BSD-3-Clause */
/* Receive completions of a host that does not read its ring: they wait, and none is lost. */
#include "test/unit/netvsc_fixture.h"

#define SECTIONS 1000u
/* Every so many packets are malformed. */
#define BAD 7u

static struct fixture f;
static struct rte_mbuf *got[2 * SECTIONS];

static uint16_t
burst(unsigned int queue, uint16_t n)
{
	uint16_t rc = netvsc_rx_burst(f.rx_queues[queue], got, n);

	rte_pktmbuf_free_bulk(got, rc);
	return rc;
}

static struct netvsc_channel_stats *
counts(unsigned int ch)
{
	return &fixture_channel(&f, ch)->stats;
}

static bool
is_bad(uint64_t tid)
{
	return tid % BAD == BAD - 1;
}

/* One transfer packet with one frame, which is @tid's. */
static int
packet(unsigned int ch, uint64_t tid)
{
	struct vmbus_xfer_range range = {.byte_count = 3};

	if (is_bad(tid))
		return fixture_xfer(&f, ch, tid, &range, 1);
	return fixture_frames(&f, ch, tid, (uint32_t)(tid % SECTIONS), 1, 60, tid);
}

/*
 * The host sends @p n packets and reads nothing.
 * @return how many the queue took: its read index went past them
 */
static unsigned int
flood(unsigned int ch, uint64_t tid, unsigned int n)
{
	const struct vmbus_ring *in = &fixture_channel(&f, ch)->in.ring;
	unsigned int sent = 0, took = 0;
	uint32_t before;

	for (;;) {
		while (sent < n && packet(ch, tid + sent) == 0)
			sent++;
		fixture_publish(&f, ch);
		before = atomic_load(&in->ctl->read_index);
		took += burst(ch, 32);
		if (atomic_load(&in->ctl->read_index) == before)
			return took;
	}
}

/* The host reads: the packets of @p tid and on are completed, each once and as it should be. */
static void
check_completed(unsigned int ch, uint64_t tid, unsigned int n)
{
	static uint64_t tids[2 * SECTIONS];
	static uint32_t statuses[2 * SECTIONS];
	struct fixture_packet pkt;
	unsigned int k = 0, i, read;

	do {
		for (read = 0; fixture_read(&f, ch, &pkt); read++) {
			if (pkt.desc.type != VMBUS_PACKET_COMPLETION)
				continue; /* what the ring was filled with */
			REQUIRE(k < RTE_DIM(tids));
			tids[k] = pkt.desc.trans_id;
			statuses[k++] = fixture_nvsp(&pkt).rndis_complete.status;
		}
		burst(ch, 32);
	} while (read != 0);
	CU_ASSERT_EQUAL(k, n);
	for (i = 0; i < RTE_MIN(k, n); i++) {
		CU_ASSERT_EQUAL(tids[i], tid + i);
		CU_ASSERT_EQUAL(
			statuses[i], is_bad(tid + i) ? NVSP_STATUS_FAILURE : NVSP_STATUS_SUCCESS);
	}
}

static unsigned int
good_of(uint64_t tid, unsigned int n)
{
	unsigned int i, good = 0;

	for (i = 0; i < n; i++)
		good += !is_bad(tid + i);
	return good;
}

static bool
begin(unsigned int channels)
{
	const struct fixture_conf conf = {
		.channels = channels, .recv_count = SECTIONS, .mbufs = 2047, .ring = 128u << 10};

	return fixture_begin(&f, &conf);
}

/* Whatever the channels share is enough for all that an honest host can have outstanding (X10). */
static void
test_all_sections_can_be_outstanding(void)
{
	static const unsigned int share[][4] = {
		{SECTIONS, 0, 0, 0}, {0, 0, 0, SECTIONS}, {SECTIONS - 3 * 201, 201, 201, 201}};
	unsigned int ch, round, total;
	uint64_t tid = 0;

	REQUIRE(begin(4));
	for (round = 0; round < RTE_DIM(share); round++) {
		for (ch = 0, total = 0; ch < 4; total += share[round][ch++]) {
			fixture_fill_out(&f, ch);
			CU_ASSERT_EQUAL(flood(ch, tid + total, share[round][ch]),
				good_of(tid + total, share[round][ch]));
			CU_ASSERT_EQUAL(counts(ch)->done_deferred > 0, share[round][ch] > 0);
		}
		for (ch = 0, total = 0; ch < 4; total += share[round][ch++]) {
			check_completed(ch, tid + total, share[round][ch]);
			CU_ASSERT_EQUAL(fixture_channel(&f, ch)->n_waiting, 0);
			counts(ch)->done_deferred = 0;
		}
		tid += total;
	}
	fixture_end(&f);
}

/* A host that claims to have more: reception stops, and goes on when the host reads. */
static void
test_more_than_there_are_sections(void)
{
	unsigned int took;

	REQUIRE(begin(1));
	fixture_fill_out(&f, 0);
	took = flood(0, 0, 2 * SECTIONS);
	CU_ASSERT(took >= good_of(0, SECTIONS));
	CU_ASSERT(took < good_of(0, 2 * SECTIONS));
	check_completed(0, 0, 2 * SECTIONS);
	fixture_end(&f);
}

/* As many packets as a burst looks at are more than what the channel itself has room for. */
static void
test_a_long_burst_is_not_cut_short(void)
{
	unsigned int i;

	REQUIRE(begin(1));
	for (i = 0; i < SECTIONS; i++)
		CU_ASSERT_EQUAL(packet(0, i), 0);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL(burst(0, SECTIONS), good_of(0, SECTIONS));
	CU_ASSERT_EQUAL(counts(0)->done_deferred, 0);
	check_completed(0, 0, SECTIONS);
	fixture_end(&f);
}

/* Another lcore, or a control thread, has the lock of what the channels share, and keeps it. */
static void
test_a_pool_that_cannot_be_had(void)
{
	rte_spinlock_t *lock = &f.port.done_pool.lock;
	unsigned int took;

	REQUIRE(begin(1));
	fixture_fill_out(&f, 0);
	rte_spinlock_lock(lock);
	took = flood(0, 0, SECTIONS);
	CU_ASSERT_EQUAL(took, good_of(0, NETVSC_DONE_MAX));
	rte_spinlock_unlock(lock);
	took += flood(0, SECTIONS, 0);
	CU_ASSERT_EQUAL(took, good_of(0, SECTIONS));
	/* What is written cannot be given back just now, and is not written again. */
	rte_spinlock_lock(lock);
	check_completed(0, 0, 64);
	rte_spinlock_unlock(lock);
	burst(0, 32);
	fixture_publish(&f, 0);
	check_completed(0, 64, SECTIONS - 64);
	fixture_end(&f);
}

/* The next session owes the host nothing of what the last one did. */
static void
test_another_session_owes_nothing(void)
{
	REQUIRE(begin(1));
	fixture_fill_out(&f, 0);
	CU_ASSERT_EQUAL(flood(0, 0, SECTIONS), good_of(0, SECTIONS));
	netvsc_channel_close(fixture_channel(&f, 0));
	netvsc_rx_pool_free(&f.port.done_pool);
	REQUIRE(netvsc_channel_open(&f.port, 0) == 0);
	REQUIRE(netvsc_rx_pool_init(&f.port.done_pool, SECTIONS, 0) == 0);
	netvsc_channel_set(fixture_channel(&f, 0), NETVSC_CHANNEL_RUNNING);
	CU_ASSERT_EQUAL(packet(0, SECTIONS + 1), 0);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL(burst(0, 32), 1);
	check_completed(0, SECTIONS + 1, 1);
	fixture_end(&f);
}

static const struct unit_test tests[] = {
	{"completions wait for a full ring, of all sections (X10)",
		test_all_sections_can_be_outstanding},
	{"more than there are sections", test_more_than_there_are_sections},
	{"a long burst is not cut short", test_a_long_burst_is_not_cut_short},
	{"a pool that cannot be had", test_a_pool_that_cannot_be_had},
	{"another session owes nothing", test_another_session_owes_nothing},
};

int
main(void)
{
	return UNIT_RUN("receive completions", tests);
}
