/* SPDX-License-Identifier: BSD-3-Clause */
/* What a port and its VF have counted, in every process (pitfalls I2, I4). */
#include "drivers/net/netvsc/compat.h"
#include "drivers/net/netvsc/stats.h"
#include "test/unit/netvsc_vf_rig.h"

/* @p n frames of @p len bytes come to the VF, and wait in its ring. */
static void
to_vf(uint16_t queue, unsigned int n, uint32_t len)
{
	struct rte_ring *ring = fake_vf_ring(rig.fake, true, queue);
	unsigned int i;

	CU_ASSERT_PTR_NOT_NULL_FATAL(ring);
	for (i = 0; i < n; i++)
		CU_ASSERT_EQUAL(rte_ring_enqueue(ring, fixture_mbuf(&rig.f, len, i)), 0);
}

/* They come through it. */
static void
through_vf(uint16_t queue, unsigned int n, uint32_t len)
{
	struct rte_mbuf *m[64];

	REQUIRE(n <= RTE_DIM(m));
	to_vf(queue, n, len);
	CU_ASSERT_EQUAL(rte_eth_rx_burst((uint16_t)rig.last, queue, m, (uint16_t)n), n);
	rte_pktmbuf_free_bulk(m, n);
}

static struct rte_eth_stats
stats_told(struct eth_queue_stats *queues)
{
	struct rte_eth_stats stats = {0};

	memset(queues, 0, sizeof(*queues));
	CU_ASSERT_EQUAL(netvsc_stats_get(&rig.f.eth, &stats, queues), 0);
	return stats;
}

/* The control thread has asked the VF. */
static struct rte_eth_stats
stats_now(struct eth_queue_stats *queues)
{
	netvsc_vf_count(&rig.setup, (uint16_t)rig.last);
	return stats_told(queues);
}

/* Another process looks: all that is the primary's alone means nothing there. */
static void
as_secondary(bool secondary)
{
	static const struct netvsc_process first = {NETVSC_PRIMARY, 1}, second = {2, 2};

	netvsc_process = secondary ? second : first;
	rig.f.port.eth = secondary ? NULL : &rig.f.eth;
	rig.f.port.vf = secondary ? NULL : &rig.vf;
}

static uint64_t
xstat_now(const char *name)
{
	struct rte_eth_xstat_name names[256];
	struct rte_eth_xstat values[256];
	int n = netvsc_xstats_get_names(&rig.f.eth, names, RTE_DIM(names)), i;

	CU_ASSERT(n > 0 && n < 256);
	CU_ASSERT_EQUAL(netvsc_xstats_get(&rig.f.eth, values, RTE_DIM(values)), n);
	for (i = 0; i < n; i++)
		if (strcmp(names[i].name, name) == 0)
			return values[i].value;
	return UINT64_MAX;
}

static void
test_counters_are_sums_and_never_go_backwards(void)
{
	struct eth_queue_stats queues;
	struct rte_eth_stats stats;

	REQUIRE(rig_begin_found(NULL));
	CU_ASSERT_EQUAL(rig_own_and_start(), 0);
	fixture_rxq(&rig.f, 1)->stats.packets = 10;
	fixture_rxq(&rig.f, 1)->stats.bytes = 1000;
	through_vf(1, 5, 100);
	through_vf(2, 3, 60);
	stats = stats_now(&queues);
	CU_ASSERT_EQUAL(stats.ipackets, 18);
	CU_ASSERT_EQUAL(stats.ibytes, 1000 + 500 + 180);
	CU_ASSERT_EQUAL(queues.q_ipackets[1], 15);
	CU_ASSERT_EQUAL(queues.q_ipackets[2], 3);
	CU_ASSERT_EQUAL(queues.q_ibytes[1], 1500);
	CU_ASSERT_EQUAL(xstat_now("vf_rx_good_packets"), 8);
	CU_ASSERT_EQUAL(xstat_now("vf_rx_q1_packets"), 5);
	CU_ASSERT_EQUAL(xstat_now("vf_fake_starts"), 1);
	/* A driver that forgets, as some do at a start. */
	CU_ASSERT_EQUAL(rte_eth_stats_reset((uint16_t)rig.last), 0);
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, 18);
	through_vf(1, 4, 100);
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, 22);
	/* The VF vanishes with its counters. */
	through_vf(1, 1, 100);
	netvsc_vf_stop(&rig.setup, (uint16_t)rig.last);
	CU_ASSERT_EQUAL(fake_command(RIG_PCI " unplug", NULL, 0), 0);
	netvsc_vf_disown(&rig.setup, (uint16_t)rig.last);
	CU_ASSERT_PTR_NULL(fake_vf_find(RIG_PCI));
	stats = stats_now(&queues);
	CU_ASSERT_EQUAL(stats.ipackets, 23);
	CU_ASSERT_EQUAL(queues.q_ipackets[1], 20);
	CU_ASSERT_EQUAL(xstat_now("vf_rx_good_packets"), 13);
	/* Another one goes on where it ended. */
	rig_look();
	CU_ASSERT_EQUAL(rig.found, 2);
	rig.fake = fake_vf_find(RIG_PCI);
	REQUIRE(rig.fake != NULL);
	CU_ASSERT_EQUAL(rig_own_and_start(), 0);
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, 23);
	through_vf(0, 2, 64);
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, 25);
	CU_ASSERT_EQUAL(xstat_now("vf_rx_good_packets"), 15);
	/* A reset is one of both paths (pitfall I2). */
	CU_ASSERT_EQUAL(netvsc_xstats_reset(&rig.f.eth), 0);
	stats = stats_now(&queues);
	CU_ASSERT_EQUAL(stats.ipackets, 0);
	CU_ASSERT_EQUAL(queues.q_ipackets[1], 0);
	CU_ASSERT_EQUAL(xstat_now("vf_rx_good_packets"), 0);
	through_vf(0, 2, 64);
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, 2);
	rig_end();
}

/* The port never had them; what was told of them by then is made up for by later frames. */
static void
check_frames_that_wait(bool early)
{
	struct eth_queue_stats queues;
	struct rte_eth_stats stats;

	REQUIRE(rig_begin_found(NULL));
	rig.knobs->counts_early = early;
	CU_ASSERT_EQUAL(rig_own_and_start(), 0);
	through_vf(1, 5, 100);
	to_vf(1, 40, 100);
	to_vf(2, 3, 60);
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, early ? 48 : 5);
	netvsc_vf_stop(&rig.setup, (uint16_t)rig.last);
	CU_ASSERT_EQUAL(rig.seen->stops, 1);
	stats = stats_told(&queues);
	CU_ASSERT_EQUAL(stats.ipackets, early ? 48 : 5);
	CU_ASSERT_EQUAL(stats.ibytes, 500);
	CU_ASSERT_EQUAL(stats.imissed, 43);
	CU_ASSERT_EQUAL(queues.q_ipackets[1], 5);
	CU_ASSERT_EQUAL(queues.q_ipackets[2], 0);
	CU_ASSERT_EQUAL(xstat_now("rx_vf_dropped_stopped"), 43);
	CU_ASSERT_EQUAL(rig_own_and_start(), 0);
	through_vf(1, 44, 100);
	stats = stats_now(&queues);
	CU_ASSERT_EQUAL(stats.ipackets, 49);
	CU_ASSERT_EQUAL(stats.ibytes, 4900);
	CU_ASSERT_EQUAL(stats.imissed, 43);
	CU_ASSERT_EQUAL(queues.q_ipackets[1], 49);
	CU_ASSERT_EQUAL(netvsc_xstats_reset(&rig.f.eth), 0);
	CU_ASSERT_EQUAL(stats_now(&queues).imissed, 0);
	CU_ASSERT_EQUAL(xstat_now("rx_vf_dropped_stopped"), 0);
	rig_end();
}

static void
test_frames_that_wait_at_a_stop_are_counted_as_missed(void)
{
	check_frames_that_wait(false);
}

static void
test_frames_that_a_driver_counts_early_are_not_counted_twice(void)
{
	check_frames_that_wait(true);
}

/* What others counted before the port was ours is not the port's. */
static void
test_counters_begin_when_the_vf_is_ours(void)
{
	struct eth_queue_stats queues;
	struct rte_eth_conf conf = {0};
	struct rte_mempool *pool;
	uint16_t id;

	REQUIRE(rig_begin_found(NULL));
	id = fake_vf_port(rig.fake);
	pool = rig.f.pool;
	CU_ASSERT_EQUAL(rte_eth_dev_configure(id, 1, 1, &conf), 0);
	CU_ASSERT_EQUAL(rte_eth_rx_queue_setup(id, 0, 64, 0, NULL, pool), 0);
	CU_ASSERT_EQUAL(rte_eth_tx_queue_setup(id, 0, 64, 0, NULL), 0);
	CU_ASSERT_EQUAL(rte_eth_dev_start(id), 0);
	through_vf(0, 7, 64);
	CU_ASSERT_EQUAL(rte_eth_dev_stop(id), 0);
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, 0);
	CU_ASSERT_EQUAL(rig_own_and_start(), 0);
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, 0);
	through_vf(0, 1, 64);
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, 1);
	rig_end();
}

/* Somebody is inside of its driver and does not come out: counters are those read last. */
static void
test_counters_do_not_wait_for_a_vf_that_hangs(void)
{
	struct eth_queue_stats queues;

	REQUIRE(rig_begin_found(NULL));
	CU_ASSERT_EQUAL(rig_own_and_start(), 0);
	through_vf(0, 3, 64);
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, 3);
	pthread_mutex_lock(&rig.setup.dev->calls);
	through_vf(0, 3, 64);
	CU_ASSERT_EQUAL(stats_told(&queues).ipackets, 3);
	CU_ASSERT_EQUAL(rig_info().max_rx_queues, RIG_QUEUES);
	CU_ASSERT_EQUAL(xstat_now("vf_rx_good_packets"), 3);
	pthread_mutex_unlock(&rig.setup.dev->calls);
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, 6);
	rig_end();
}

/* What a VF can and has counted is told by every process that has the port. */
static void
test_other_processes_tell_of_the_vf(void)
{
	struct eth_queue_stats queues;

	REQUIRE(rig_begin_found(NULL));
	CU_ASSERT_EQUAL(rig_own_and_start(), 0);
	rig.knobs->queues = 3; /* not asked again */
	through_vf(0, 3, 64);
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, 3);
	as_secondary(true);
	CU_ASSERT_EQUAL(stats_told(&queues).ipackets, 3);
	CU_ASSERT_EQUAL(queues.q_ipackets[0], 3);
	CU_ASSERT_EQUAL(xstat_now("vf_rx_good_packets"), 3);
	CU_ASSERT_EQUAL(rig_info().tx_desc_lim.nb_seg_max, 40);
	CU_ASSERT_EQUAL(netvsc_xstats_reset(&rig.f.eth), 0);
	CU_ASSERT_EQUAL(xstat_now("vf_rx_good_packets"), 0);
	as_secondary(false);
	through_vf(0, 2, 64);
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, 2);
	rig_end();
}

/* A process that was ended while it read, or that does not go on: who else reads says so. */
static void
test_counters_whose_reader_does_not_go_on_are_not_waited_for(void)
{
	static const struct hpbus_op_kind soon = {"a test", 150, 50, true};
	struct rte_eth_stats stats = {0};
	struct eth_queue_stats queues;
	struct hpbus_op op;

	REQUIRE(rig_begin_found(NULL));
	CU_ASSERT_EQUAL(rig_own_and_start(), 0);
	through_vf(0, 3, 64);
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, 3);
	as_secondary(true);
	CU_ASSERT_TRUE(netvsc_trylock(&rig.f.port.vf_shared.told->lock));
	as_secondary(false);
	hpbus_op_begin(&op, &soon);
	CU_ASSERT_EQUAL(netvsc_stats_get(&rig.f.eth, &stats, NULL), -EBUSY);
	CU_ASSERT_EQUAL(netvsc_xstats_get(&rig.f.eth, NULL, 0), -EBUSY);
	netvsc_vf_count(&rig.setup, (uint16_t)rig.last);
	hpbus_op_end(&op);
	netvsc_break_locks(&rig.f.port, 2);
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, 3);
	rig_end();
}

/* Nothing of a VF may be called while it resets itself: counters are those read last. */
static void
test_vf_that_resets_itself_is_not_asked(void)
{
	struct eth_queue_stats queues;

	REQUIRE(rig_begin_found(NULL));
	CU_ASSERT_EQUAL(rig_own_and_start(), 0);
	through_vf(0, 3, 64);
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, 3);
	through_vf(0, 2, 64);
	CU_ASSERT_EQUAL(fake_vf_event(rig.fake, "recovering"), 0);
	rig.setup.dev->has_info = false;
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, 3);
	CU_ASSERT_EQUAL(xstat_now("vf_rx_good_packets"), 3);
	rig_info();
	CU_ASSERT_EQUAL(netvsc_xstats_reset(&rig.f.eth), 0);
	CU_ASSERT_EQUAL(rig.seen->while_recovering, 0);
	CU_ASSERT_EQUAL(fake_vf_event(rig.fake, "recovered"), 0);
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, 2);
	CU_ASSERT_EQUAL(rig_info().max_rx_queues, RIG_QUEUES);
	CU_ASSERT_FALSE(rig.setup.dev->has_info); /* not on this thread */
	rig_look();
	CU_ASSERT_TRUE(rig.setup.dev->has_info);
	rig_end();
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"counters are sums and never go backwards",
			test_counters_are_sums_and_never_go_backwards},
		{"frames that wait at a stop are counted as missed",
			test_frames_that_wait_at_a_stop_are_counted_as_missed},
		{"frames that a driver counts early are not counted twice",
			test_frames_that_a_driver_counts_early_are_not_counted_twice},
		{"counters begin when the VF is ours", test_counters_begin_when_the_vf_is_ours},
		{"counters do not wait for a VF that hangs",
			test_counters_do_not_wait_for_a_vf_that_hangs},
		{"other processes tell of the VF", test_other_processes_tell_of_the_vf},
		{"counters whose reader does not go on are not waited for",
			test_counters_whose_reader_does_not_go_on_are_not_waited_for},
		{"VF that resets itself is not asked", test_vf_that_resets_itself_is_not_asked},
	};

	return UNIT_RUN("netvsc_vf_counters", tests);
}
