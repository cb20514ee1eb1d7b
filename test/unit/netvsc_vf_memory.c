/* SPDX-License-Identifier: BSD-3-Clause */
/* Whose memory a VF has: queues and pools that the application takes away while it may use them. */
#include "test/unit/netvsc_vf_rig.h"
#include "test/unit/wait.h"

static struct {
	struct rte_mempool *pool;
	atomic_bool stopping;
} old;

static void *
stop_vf(void *arg)
{
	atomic_store(&old.stopping, true);
	netvsc_vf_stop(&rig.setup, (uint16_t)rig.last);
	return NULL;
}

/* The VF stops when somebody waits for it, not before. */
static void *
let_stop(void *arg)
{
	while (atomic_load(&rig.f.port.vf_shared.told->releases) == 0)
		usleep(100);
	fake_vf_key(rig.knobs, "stop_hangs", "0");
	return NULL;
}

/* A VF in use that has mbufs of a pool of its queue 0, which the application is about to free. */
static bool
begin_pool(void)
{
	struct rte_mbuf *m[4];
	unsigned int i;

	if (!rig_begin_found(NULL))
		return false;
	old.pool = rte_pktmbuf_pool_create("vf_old", 63, 0, 0, 2048, SOCKET_ID_ANY);
	if (old.pool == NULL)
		return false;
	fixture_rxq(&rig.f, 0)->mp = old.pool;
	CU_ASSERT_EQUAL(rig_own_and_start(), 0);
	CU_ASSERT_PTR_EQUAL(rig.seen->pool[0], old.pool);
	for (i = 0; i < RTE_DIM(m); i++) {
		m[i] = rte_pktmbuf_alloc(old.pool);
		CU_ASSERT_EQUAL(rte_ring_enqueue(fake_vf_ring(rig.fake, true, 0), m[i]), 0);
	}
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(old.pool), 4);
	return true;
}

/* Stop, another pool, free the old one: none of its mbufs is anywhere, nor comes to it later. */
static void
test_pool_that_is_freed_after_a_stop_is_not_the_vfs(void)
{
	pthread_t stop, let;

	REQUIRE(begin_pool());
	fake_vf_key(rig.knobs, "stop_hangs", "1");
	CU_ASSERT_EQUAL_FATAL(pthread_create(&stop, NULL, stop_vf, NULL), 0);
	UNIT_WAIT_UNTIL(atomic_load(&old.stopping));
	CU_ASSERT_EQUAL_FATAL(pthread_create(&let, NULL, let_stop, NULL), 0);
	netvsc_rx_queue_release(&rig.f.eth, 0);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(old.pool), 0);
	pthread_join(let, NULL);
	pthread_join(stop, NULL);
	CU_ASSERT_PTR_NULL(fake_vf_ring(rig.fake, true, 0));
	rte_mempool_free(old.pool);
	rig_end();
}

/* What was copied before a queue was released is not what a VF is started with. */
static void
test_vf_is_not_started_with_queues_that_are_released(void)
{
	unsigned int starts;

	REQUIRE(begin_pool());
	netvsc_vf_stop(&rig.setup, (uint16_t)rig.last);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(old.pool), 0);
	starts = rig.seen->configures;
	CU_ASSERT_EQUAL(netvsc_vf_setup_copy(&rig.f.port, &rig.setup), 0);
	netvsc_rx_queue_release(&rig.f.eth, 0);
	rte_mempool_free(old.pool);
	CU_ASSERT_EQUAL(netvsc_vf_start(&rig.setup, (uint16_t)rig.last), -EAGAIN);
	CU_ASSERT_EQUAL(rig.seen->configures, starts);
	rig_end();
}

/*
 * Whether there is a VF is under a lock, whose holder was killed, or interrupted by this: the queue
 * stays, the port says so, and no VF is started with what may be freed.
 */
static void
test_queue_stays_when_nobody_can_say_whether_a_vf_has_it(void)
{
	struct netvsc_rxq *rxq;
	struct netvsc_txq *txq;
	unsigned int starts;

	REQUIRE(begin_pool());
	rxq = fixture_rxq(&rig.f, 0);
	txq = fixture_txq(&rig.f, 1);
	netvsc_vf_stop(&rig.setup, (uint16_t)rig.last);
	starts = rig.seen->configures;
	CU_ASSERT_EQUAL(netvsc_vf_setup_copy(&rig.f.port, &rig.setup), 0);
	rte_spinlock_lock(&netvsc_vf_lock);
	netvsc_rx_queue_release(&rig.f.eth, 0);
	netvsc_tx_queue_release(&rig.f.eth, 1);
	rte_spinlock_unlock(&netvsc_vf_lock);
	CU_ASSERT_PTR_NULL(rig.f.rx_queues[0]);
	CU_ASSERT_PTR_NULL(rig.f.tx_queues[1]);
	CU_ASSERT_PTR_EQUAL(rxq->port, &rig.f.port); /* rte_free() clears what it frees */
	CU_ASSERT_PTR_EQUAL(rig.f.port.quarantine, txq);
	CU_ASSERT_TRUE(fixture_channel(&rig.f, 0)->stuck);
	CU_ASSERT_TRUE(fixture_channel(&rig.f, 1)->stuck);
	CU_ASSERT(atomic_load(&rig.f.port.state) & NETVSC_STATE_BROKEN);
	CU_ASSERT_EQUAL(netvsc_vf_start(&rig.setup, (uint16_t)rig.last), -EAGAIN);
	CU_ASSERT_EQUAL(rig.seen->configures, starts);
	/* He has gone on: what is stuck is free. */
	CU_ASSERT_TRUE(netvsc_channels_free(&rig.f.port));
	if (rig.f.port.quarantine == txq) {
		rig.f.rx_queues[0] = rxq;
		rig.f.tx_queues[1] = txq;
	}
	rig.f.port.quarantine = NULL;
	rte_mempool_free(old.pool);
	rig_end();
}

/* The other thread may be stopping it just now. */
static bool
keeps_them(void)
{
	bool keeps;

	rte_spinlock_lock(&netvsc_vf_lock);
	keeps = rig.setup.dev->keeps_them;
	rte_spinlock_unlock(&netvsc_vf_lock);
	return keeps;
}

/* A start that fails keeps nothing, and a stop that hangs holds up all releases together once. */
static void
test_release_of_queues_waits_for_a_vf_that_hangs_once(void)
{
	pthread_t stop;
	int64_t began;
	uint16_t q;

	REQUIRE(begin_pool());
	atomic_store(&old.stopping, false);
	fake_vf_key(rig.knobs, "stop_hangs", "1");
	CU_ASSERT_EQUAL_FATAL(pthread_create(&stop, NULL, stop_vf, NULL), 0);
	began = hpbus_now_ms();
	for (q = 0; q < RIG_QUEUES; q++) {
		netvsc_rx_queue_release(&rig.f.eth, q);
		netvsc_tx_queue_release(&rig.f.eth, q);
	}
	CU_ASSERT(hpbus_now_ms() - began >= 3000);
	/* Each for itself would be as often. */
	CU_ASSERT(hpbus_now_ms() - began < 3000 * 2 * RIG_QUEUES);
	CU_ASSERT_TRUE(keeps_them());
	fake_vf_key(rig.knobs, "stop_hangs", "0");
	pthread_join(stop, NULL);
	CU_ASSERT_FALSE(keeps_them());
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(old.pool), 0);
	rte_mempool_free(old.pool);
	rig_end();
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"pool that is freed after a stop is not the VF's",
			test_pool_that_is_freed_after_a_stop_is_not_the_vfs},
		{"VF is not started with queues that are released",
			test_vf_is_not_started_with_queues_that_are_released},
		{"queue stays when nobody can say whether a VF has it",
			test_queue_stays_when_nobody_can_say_whether_a_vf_has_it},
		{"release of queues waits for a VF that hangs once",
			test_release_of_queues_waits_for_a_vf_that_hangs_once},
	};

	return UNIT_RUN("netvsc_vf_memory", tests);
}
