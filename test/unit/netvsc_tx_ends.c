/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A send queue whose port or whose lock is not there for a burst, and one that is set up and goes.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include <rte_cycles.h>
#include <rte_malloc.h>

#include "test/unit/netvsc_tx.h"

#define f tx_fixture

static struct rte_mbuf *pkts[4];

static struct netvsc_txq *
queue(void)
{
	return fixture_txq(&f, 0);
}

/* ---- a port that is not there for bursts ---- */

static void
test_a_burst_that_comes_too_late_touches_nothing(void)
{
	struct netvsc_channel *ch;

	REQUIRE(fixture_begin(&f, NULL));
	ch = fixture_channel(&f, 0);
	tx_make(pkts, 4, 60, 0);
	CU_ASSERT_EQUAL(tx_send(pkts, 2), 2);
	/* Stopped between the look at the port's state and the lock. */
	netvsc_channel_set(ch, NETVSC_CHANNEL_OPEN);
	CU_ASSERT_EQUAL(tx_send(pkts + 2, 2), 0);
	CU_ASSERT_EQUAL(netvsc_tx_done_cleanup(queue(), 0), 0);
	netvsc_channel_close(ch);
	CU_ASSERT_EQUAL(tx_send(pkts + 2, 2), 0);
	CU_ASSERT_EQUAL(netvsc_tx_done_cleanup(queue(), 0), 0);
	CU_ASSERT_EQUAL(netvsc_tx_inflight(queue()), 1);
	atomic_store(&f.port.state, NETVSC_STATE_GONE);
	CU_ASSERT_EQUAL(tx_send(pkts + 2, 2), 0);
	rte_pktmbuf_free_bulk(pkts + 2, 2);
	fixture_end(&f);
}

/* The holder is a thread that does not run just now: the burst does without, and comes again. */
static void
test_a_burst_waits_for_nobody(void)
{
	struct netvsc_channel *ch;

	REQUIRE(fixture_begin(&f, NULL));
	ch = fixture_channel(&f, 0);
	tx_make(pkts, 2, 60, 0);
	rte_spinlock_lock(&ch->tx_lock);
	CU_ASSERT_EQUAL(tx_send(pkts, 2), 0);
	CU_ASSERT_EQUAL(netvsc_tx_done_cleanup(queue(), 0), 0);
	rte_spinlock_unlock(&ch->tx_lock);
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 2);
	CU_ASSERT_EQUAL(tx_send(pkts, 2), 2);
	CU_ASSERT_EQUAL(tx_take_all(0), 2);
	netvsc_tx_done_cleanup(queue(), 0);
	fixture_end(&f);
}

/* Lets go of the lock when it has been away for longer than other bursts look at one. */
static void *
away_for_a_moment(void *arg)
{
	struct netvsc_channel *ch = fixture_channel(&f, 0);
	atomic_int *turn = arg;

	while (atomic_load(turn) == 0)
		;
	rte_delay_us_block(60);
	rte_spinlock_unlock(&ch->tx_lock);
	return NULL;
}

/*
 * Each process of a machine with fewer cores than pollers: applications drop what is not taken. The
 * other thread may itself be late, so there are some rounds; one that waits shows it.
 */
static void
test_a_holder_that_is_away_for_a_moment_costs_no_frame(void)
{
	uint64_t least = rte_get_tsc_hz() * 190 / 1000000, began;
	unsigned int round, sent = 0;
	pthread_t thread;
	atomic_int turn;

	REQUIRE(fixture_begin(&f, NULL));
	tx_make(pkts, 1, 60, 0);
	for (round = 0; round < 200 && sent == 0; round++) {
		atomic_init(&turn, 0);
		rte_spinlock_lock(&fixture_channel(&f, 0)->tx_lock);
		REQUIRE(pthread_create(&thread, NULL, away_for_a_moment, &turn) == 0);
		rte_delay_us_sleep(1000);
		atomic_store(&turn, 1);
		began = rte_get_tsc_cycles();
		sent = tx_send(pkts, 1);
		if (sent == 0)
			CU_ASSERT(rte_get_tsc_cycles() - began >= least);
		pthread_join(thread, NULL);
	}
	CU_ASSERT_EQUAL(sent, 1);
	if (sent == 0)
		rte_pktmbuf_free(pkts[0]);
	CU_ASSERT_EQUAL(tx_take_all(0), 1);
	netvsc_tx_done_cleanup(queue(), 0);
	fixture_end(&f);
}

/* ---- queues that come and go ---- */

/* The fence failed: the host may still read what a released queue has in flight. */
static void
test_a_queue_released_without_a_fence_is_kept(void)
{
	struct fixture_conf conf = {.tx_copybreak = 100, .channels = 2};

	REQUIRE(fixture_begin(&f, &conf));
	tx_make(pkts, 3, 700, 0);
	CU_ASSERT_EQUAL(tx_send(pkts, 3), 3);
	netvsc_channel_close(fixture_channel(&f, 0));
	f.port.unfenced = true;
	netvsc_tx_queue_release(&f.eth, 0);
	CU_ASSERT_PTR_NULL(f.tx_queues[0]);
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 3);
	/* Counted as over: nobody will hear of it. */
	CU_ASSERT_EQUAL(f.port.counts.tx[0].kept.over, 3);
	CU_ASSERT_EQUAL(f.port.counts.tx[0].kept.over_bytes, 2100);
	/* With nothing in flight there is nothing to keep. */
	netvsc_tx_queue_release(&f.eth, 1);
	CU_ASSERT_PTR_NOT_NULL(f.port.quarantine);
	CU_ASSERT_PTR_NULL(f.port.quarantine->next);
	netvsc_tx_queue_release(&f.eth, 1);
	netvsc_tx_quarantine_free(&f.port);
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
	CU_ASSERT_PTR_NULL(f.port.quarantine);
	f.port.unfenced = false;
	fixture_end(&f);
}

/* A secondary has the device mapped: the kernel keeps the channel open, and the host reads on. */
static void
test_a_close_that_is_no_fence_frees_nothing_in_flight(void)
{
	struct fixture_conf conf = {.tx_copybreak = 100};

	REQUIRE(fixture_begin(&f, &conf));
	tx_make(pkts, 3, 700, 0);
	CU_ASSERT_EQUAL(tx_send(pkts, 3), 3);
	netvsc_channel_close(fixture_channel(&f, 0));
	f.bus.held = true;
	netvsc_tx_queues_close(&f.eth);
	CU_ASSERT_PTR_NULL(f.tx_queues[0]);
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 3);
	f.bus.held = false;
	netvsc_tx_queues_close(&f.eth);
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
	fixture_end(&f);
}

static void
test_a_queue_tells_what_it_was_set_up_with(void)
{
	struct rte_eth_txconf conf = {.tx_free_thresh = 33};
	struct rte_eth_txq_info info;

	REQUIRE(fixture_begin(&f, NULL));
	netvsc_tx_queue_release(&f.eth, 0);
	CU_ASSERT_EQUAL(netvsc_tx_queue_setup(&f.eth, 0, 128, 0, &conf), 0);
	netvsc_txq_info_get(&f.eth, 0, &info);
	CU_ASSERT_EQUAL(info.nb_desc, 128);
	CU_ASSERT_EQUAL(info.conf.tx_free_thresh, 33);
	/* What is refused leaves no queue behind. */
	netvsc_tx_queue_release(&f.eth, 0);
	conf.tx_free_thresh = 128;
	CU_ASSERT_EQUAL(netvsc_tx_queue_setup(&f.eth, 0, 128, 0, &conf), -EINVAL);
	CU_ASSERT_PTR_NULL(f.tx_queues[0]);
	fixture_end(&f);
}

/* Whichever piece of its memory is not there. */
static void
test_a_queue_without_memory_is_none(void)
{
	static const size_t sizes[] = {1 << 20, 128 << 10, 16 << 10, 2 << 10, 256};
	const struct rte_eth_txconf conf = {0};
	static void *hog[2048];
	unsigned int n = 0, s, failed = 0;

	REQUIRE(fixture_begin(&f, NULL));
	netvsc_tx_queue_release(&f.eth, 0);
	for (s = 0; s < ARRAY_SIZE(sizes); s++)
		while (n < ARRAY_SIZE(hog) && (hog[n] = rte_malloc(NULL, sizes[s], 0)) != NULL)
			n++;
	CU_ASSERT(n < ARRAY_SIZE(hog));
	rte_log_set_level(netvsc_logtype, RTE_LOG_CRIT);
	while (netvsc_tx_queue_setup(&f.eth, 0, 256, 0, &conf) != 0) {
		CU_ASSERT_PTR_NULL(f.tx_queues[0]);
		failed++;
		CU_ASSERT_FATAL(n != 0);
		rte_free(hog[--n]);
	}
	rte_log_set_level(netvsc_logtype, RTE_LOG_NOTICE);
	CU_ASSERT(failed > 1);
	while (n != 0)
		rte_free(hog[--n]);
	CU_ASSERT_EQUAL(fixture_txq(&f, 0)->sections.n_own, f.port.sections.share);
	netvsc_tx_template(fixture_txq(&f, 0));
	tx_make(pkts, 2, 60, 0);
	CU_ASSERT_EQUAL(tx_send(pkts, 2), 2);
	CU_ASSERT_EQUAL(tx_take_all(0), 2);
	fixture_end(&f);
}

static const struct unit_test tests[] = {
	{"a burst that comes too late touches nothing",
		test_a_burst_that_comes_too_late_touches_nothing},
	{"a burst waits for nobody", test_a_burst_waits_for_nobody},
	{"a holder that is away for a moment costs no frame",
		test_a_holder_that_is_away_for_a_moment_costs_no_frame},
	{"a queue released without a fence is kept", test_a_queue_released_without_a_fence_is_kept},
	{"a close that is no fence frees nothing in flight",
		test_a_close_that_is_no_fence_frees_nothing_in_flight},
	{"a queue tells what it was set up with", test_a_queue_tells_what_it_was_set_up_with},
	{"a queue without memory is none", test_a_queue_without_memory_is_none},
};

int
main(void)
{
	return UNIT_RUN("send queue's ends", tests);
}
