/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Queues that start and stop while the port runs, and what others than their lcore ask of them:
 * counts, descriptor status, burst modes.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "drivers/net/netvsc/sizes.h"
#include "test/unit/netvsc_tx.h"

#define f tx_fixture

#define BURST 64u

static struct rte_mbuf *pkts[BURST];

static bool
begin(struct fixture_conf conf)
{
	if (!fixture_begin(&f, &conf))
		return false;
	f.data.dev_started = 1;
	memset(f.data.rx_queue_state, RTE_ETH_QUEUE_STATE_STARTED, f.conf.channels);
	memset(f.data.tx_queue_state, RTE_ETH_QUEUE_STATE_STARTED, f.conf.channels);
	netvsc_set_status_calls(&f.eth);
	return true;
}

/* As a port that stops: nothing is in flight for anybody any more. */
static void
end(void)
{
	unsigned int i;

	f.data.dev_started = 0;
	for (i = 0; i < f.conf.channels; i++)
		if (f.tx_queues[i] != NULL)
			netvsc_tx_forget(fixture_txq(&f, i));
	netvsc_tx_quarantine_free(&f.port);
	fixture_end(&f);
}

static uint64_t
dropped(unsigned int ch)
{
	return fixture_channel(&f, ch)->stats.rx_dropped_stopped;
}

/* @p n frames of 60 bytes for channel @p ch, in one packet. */
static void
give(unsigned int ch, uint64_t tid, unsigned int n, uint64_t seed)
{
	CU_ASSERT_EQUAL(fixture_frames(&f, ch, tid, (uint32_t)tid, n, 60, seed), 0);
	fixture_publish(&f, ch);
}

/* Receive; the frames have seeds @p seed and on. @return how many */
static unsigned int
take(unsigned int q, unsigned int most, uint64_t seed)
{
	unsigned int i, n = netvsc_rx_burst(f.rx_queues[q], pkts, (uint16_t)most);

	for (i = 0; i < n; i++) {
		CU_ASSERT(fixture_mbuf_is(pkts[i], 60, seed + i));
		rte_pktmbuf_free(pkts[i]);
	}
	return n;
}

static int
used(unsigned int q)
{
	return (int)f.eth.rx_queue_count(f.rx_queues[q]);
}

/* ---- receive queues ---- */

static void
test_frames_of_a_stopped_receive_queue_are_counted(void)
{
	REQUIRE(begin((struct fixture_conf){0}));
	give(0, 1, 3, 100);
	CU_ASSERT_EQUAL(take(0, 1, 100), 1);
	CU_ASSERT_EQUAL(netvsc_rx_queue_stop(&f.eth, 0), 0);
	CU_ASSERT_EQUAL(f.data.rx_queue_state[0], RTE_ETH_QUEUE_STATE_STOPPED);
	/* What was there goes back to the host, and so do mbufs that were fetched. */
	CU_ASSERT_EQUAL(dropped(0), 2);
	CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, NULL, 0), 1);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(f.pool), 0);
	/* What still comes waits for nobody, nor is it received. */
	give(0, 5, 4, 200);
	CU_ASSERT_EQUAL(take(0, BURST, 0), 0);
	CU_ASSERT_EQUAL(used(0), 0);
	netvsc_rx_try_scan(fixture_channel(&f, 0), &fixture_txq(&f, 0)->lock_misses);
	CU_ASSERT_EQUAL(dropped(0), 2 + 4);
	CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, NULL, 0), 1);
	CU_ASSERT_EQUAL(netvsc_rx_queue_start(&f.eth, 0), 0);
	CU_ASSERT_EQUAL(f.data.rx_queue_state[0], RTE_ETH_QUEUE_STATE_STARTED);
	give(0, 9, 5, 300);
	netvsc_rx_try_scan(fixture_channel(&f, 0), &fixture_txq(&f, 0)->lock_misses);
	CU_ASSERT_EQUAL(take(0, BURST, 300), 5);
	CU_ASSERT_EQUAL(dropped(0), 2 + 4);
	end();
}

/* Its channel goes on for the other direction: the host completes sends among frames for nobody. */
static void
test_sends_go_on_while_receive_is_stopped(void)
{
	struct fixture_packet pkt;
	unsigned int i, back = 0;

	REQUIRE(begin((struct fixture_conf){.nb_desc = 64, .send_count = 8}));
	CU_ASSERT_EQUAL(netvsc_rx_queue_stop(&f.eth, 0), 0);
	for (i = 0; i < 200; i++) {
		give(0, 10 + i % 100, 1, i);
		tx_make(pkts, 16, 60, i * 16);
		CU_ASSERT_EQUAL(tx_send(pkts, 16), 16);
		while (fixture_read(&f, 0, &pkt)) {
			if (pkt.desc.type == VMBUS_PACKET_COMPLETION)
				back++;
			else
				fixture_complete(&f, 0, pkt.desc.trans_id, NVSP_STATUS_SUCCESS);
		}
		fixture_publish(&f, 0);
	}
	CU_ASSERT(dropped(0) > 0);
	CU_ASSERT_EQUAL(back, dropped(0));
	CU_ASSERT_EQUAL(fixture_channel(&f, 0)->stats.rx_dropped_unpolled, 0);
	end();
}

/* More send queues than receive queues: what comes on the channels of the others is for nobody. */
static void
test_a_channel_without_a_receive_queue_is_emptied(void)
{
	REQUIRE(begin((struct fixture_conf){.channels = 2}));
	netvsc_rx_queue_release(&f.eth, 1);
	f.data.nb_rx_queues = 1;
	netvsc_queues_begin(&f.port);
	netvsc_queues_link(&f.port);
	netvsc_queues_run(&f.port);
	give(1, 1, 3, 0);
	netvsc_rx_try_scan(fixture_channel(&f, 1), &fixture_txq(&f, 1)->lock_misses);
	CU_ASSERT_EQUAL(dropped(1), 3);
	give(0, 4, 3, 50);
	CU_ASSERT_EQUAL(take(0, BURST, 50), 3);
	CU_ASSERT_EQUAL(dropped(0), 0);
	end();
}

/* ---- send queues ---- */

/* The host answers when the operation waits for it. */
static void
answer_while_waiting(struct fixture *fixture)
{
	unsigned int *frames = fixture->priv;

	*frames += tx_take_all(0);
}

static void
test_sends_of_a_stopped_queue_come_back(void)
{
	struct fixture_conf conf = {.tx_copybreak = 100};
	unsigned int frames = 0;

	REQUIRE(begin(conf));
	tx_make(pkts, 32, 1000, 0);
	CU_ASSERT_EQUAL(tx_send(pkts, 32), 32);
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 32);
	f.priv = &frames;
	f.on_signal_again = answer_while_waiting;
	CU_ASSERT_EQUAL(netvsc_tx_queue_stop(&f.eth, 0), 0);
	CU_ASSERT_EQUAL(frames, 32);
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
	CU_ASSERT_EQUAL(netvsc_tx_inflight(fixture_txq(&f, 0)), 0);
	CU_ASSERT_EQUAL(f.data.tx_queue_state[0], RTE_ETH_QUEUE_STATE_STOPPED);
	/* Nothing is taken, and nothing is freed that is not the queue's. */
	tx_make(pkts, 4, 60, 0);
	CU_ASSERT_EQUAL(tx_send(pkts, 4), 0);
	CU_ASSERT_EQUAL(netvsc_tx_done_cleanup(f.tx_queues[0], 0), 0);
	CU_ASSERT_EQUAL(tx_take_all(0), 0);
	CU_ASSERT_EQUAL(netvsc_tx_queue_start(&f.eth, 0), 0);
	CU_ASSERT_EQUAL(tx_send(pkts, 4), 4);
	CU_ASSERT_EQUAL(tx_take_all(0), 4);
	end();
}

/* A completion of the one that was stopped is none of the queue that is set up in its place. */
static void
test_a_queue_is_set_up_anew_while_the_port_runs(void)
{
	const struct rte_eth_txconf txconf = {0};
	const struct rte_eth_rxconf rxconf = {0};
	unsigned int frames = 0;

	REQUIRE(begin((struct fixture_conf){0}));
	tx_make(pkts, 8, 60, 0);
	CU_ASSERT_EQUAL(tx_send(pkts, 8), 8);
	f.priv = &frames;
	f.on_signal_again = answer_while_waiting;
	CU_ASSERT_EQUAL(netvsc_tx_queue_stop(&f.eth, 0), 0);
	netvsc_tx_queue_release(&f.eth, 0);
	/* A late one finds no queue. */
	fixture_complete(&f, 0, 1, NVSP_STATUS_SUCCESS);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL(take(0, BURST, 0), 0);
	CU_ASSERT_EQUAL(fixture_channel(&f, 0)->stats.tx_bad_completions, 1);
	CU_ASSERT_EQUAL(netvsc_tx_queue_setup(&f.eth, 0, 128, 0, &txconf), 0);
	CU_ASSERT_EQUAL(netvsc_tx_queue_start(&f.eth, 0), 0);
	tx_make(pkts, 8, 60, 0);
	CU_ASSERT_EQUAL(tx_send(pkts, 8), 8);
	CU_ASSERT_EQUAL(tx_take_all(0), 8);
	CU_ASSERT_EQUAL(fixture_txq(&f, 0)->stats.packets, 16);

	CU_ASSERT_EQUAL(netvsc_rx_queue_stop(&f.eth, 0), 0);
	netvsc_rx_queue_release(&f.eth, 0);
	CU_ASSERT_EQUAL(netvsc_rx_queue_setup(&f.eth, 0, 512, 0, &rxconf, f.pool), 0);
	CU_ASSERT_EQUAL(netvsc_rx_queue_start(&f.eth, 0), 0);
	give(0, 3, 2, 70);
	CU_ASSERT_EQUAL(take(0, BURST, 70), 2);
	end();
}

/* A host that completes nothing: an error in time, and its memory stays until it is fenced off. */
static void
test_a_host_that_keeps_sends_breaks_the_port(void)
{
	const struct hpbus_op_kind soon = {"test", 60, 10, true};
	struct fixture_conf conf = {.tx_copybreak = 100};
	struct hpbus_op op;

	REQUIRE(begin(conf));
	tx_make(pkts, 3, 1000, 0);
	CU_ASSERT_EQUAL(tx_send(pkts, 3), 3);
	hpbus_op_begin(&op, &soon);
	CU_ASSERT_EQUAL(netvsc_tx_queue_stop(&f.eth, 0), -ETIMEDOUT);
	hpbus_op_end(&op);
	CU_ASSERT(atomic_load(&f.port.state) & NETVSC_STATE_BROKEN);
	CU_ASSERT_EQUAL(f.data.tx_queue_state[0], RTE_ETH_QUEUE_STATE_STOPPED);
	CU_ASSERT_EQUAL(tx_send(pkts, 0), 0);
	netvsc_tx_queue_release(&f.eth, 0);
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 3);
	CU_ASSERT_PTR_NOT_NULL(f.port.quarantine);
	end();
}

/* Its memory goes with the fence, though it is not among the port's queues any more. */
static void
test_no_channel_keeps_a_queue_that_is_released_with_sends_left(void)
{
	const struct hpbus_op_kind soon = {"test", 60, 10, true};
	struct netvsc_channel *ch;
	struct hpbus_op op;

	REQUIRE(begin((struct fixture_conf){.tx_copybreak = 100}));
	ch = fixture_channel(&f, 0);
	tx_make(pkts, 1, 1000, 0);
	CU_ASSERT_EQUAL(tx_send(pkts, 1), 1);
	hpbus_op_begin(&op, &soon);
	CU_ASSERT_EQUAL(netvsc_tx_queue_stop(&f.eth, 0), -ETIMEDOUT);
	hpbus_op_end(&op);
	/* And no other is set up in its place. */
	netvsc_tx_queue_release(&f.eth, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f.port.quarantine);
	CU_ASSERT_PTR_EQUAL(atomic_load(&ch->txq), f.port.quarantine);
	netvsc_queues_unlink(&f.port);
	netvsc_tx_quarantine_free(&f.port);
	CU_ASSERT_PTR_NULL(atomic_load(&ch->txq));
	/* A completion that comes late is nobody's. */
	fixture_complete(&f, 0, 1, NVSP_STATUS_SUCCESS);
	fixture_publish(&f, 0);
	rte_spinlock_lock(&ch->rx_lock);
	netvsc_rx_drain(ch);
	rte_spinlock_unlock(&ch->rx_lock);
	CU_ASSERT_EQUAL(ch->stats.tx_bad_completions, 1);
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
	end();
}

/* The stop begins while a burst holds the lock: what the burst takes is completed before it ends.
 */
static struct {
	pthread_t thread;
	atomic_bool entered;
	int rc;
	unsigned int frames;
} stopper;

static void *
stop_now(void *arg)
{
	atomic_store(&stopper.entered, true);
	stopper.rc = netvsc_tx_queue_stop(&f.eth, 0);
	return NULL;
}

static void
stop_inside_of_a_burst(struct fixture *fixture, unsigned int ch)
{
	fixture->on_signal = NULL;
	pthread_create(&stopper.thread, NULL, stop_now, NULL);
	while (!atomic_load(&stopper.entered))
		sched_yield();
}

static void
test_a_stop_waits_for_the_burst_that_is_inside(void)
{
	REQUIRE(begin((struct fixture_conf){.tx_copybreak = 100}));
	memset(&stopper, 0, sizeof(stopper));
	f.priv = &stopper.frames;
	f.on_signal_again = answer_while_waiting;
	f.on_signal = stop_inside_of_a_burst;
	tx_make(pkts, 16, 500, 0);
	CU_ASSERT_EQUAL(tx_send(pkts, 16), 16);
	pthread_join(stopper.thread, NULL);
	CU_ASSERT_EQUAL(stopper.rc, 0);
	CU_ASSERT_EQUAL(stopper.frames, 16);
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
	end();
}

/*
 * Frees of mbufs are where a test gets in between: their memory is the test's, which is told when
 * it is free. The lcore that receives comes then, and has no mbufs.
 */
#define REAPED 4u

static struct {
	struct rte_mbuf_ext_shared_info info[REAPED];
	unsigned int freed[REAPED], bursts;
	uint16_t got;
} reap;

static void
receive_inside_of_a_free(void *buffer, void *count)
{
	struct rte_mbuf *m[4];

	++*(unsigned int *)count;
	if (reap.bursts++ == 0)
		reap.got = netvsc_rx_burst(f.rx_queues[0], m, RTE_DIM(m));
}

static struct rte_mbuf *
external(unsigned int i)
{
	static uint8_t bytes[REAPED][1000];
	struct rte_mbuf *m = rte_pktmbuf_alloc(f.pool);

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	reap.info[i].free_cb = receive_inside_of_a_free;
	reap.info[i].fcb_opaque = &reap.freed[i];
	rte_mbuf_ext_refcnt_set(&reap.info[i], 1);
	rte_pktmbuf_attach_extbuf(m, bytes[i], RTE_BAD_IOVA, sizeof(bytes[i]), &reap.info[i]);
	fixture_fill(bytes[i], sizeof(bytes[i]), i);
	m->data_off = 0;
	m->data_len = sizeof(bytes[i]);
	m->pkt_len = sizeof(bytes[i]);
	return m;
}

static void
test_receive_does_not_free_what_a_stop_is_freeing(void)
{
	struct rte_mbuf *rest[128];
	struct netvsc_txq *txq;
	unsigned int n = 0, i;
	uint64_t slots = 0;

	REQUIRE(begin((struct fixture_conf){.tx_copybreak = 100, .nb_desc = 64, .mbufs = 127}));
	memset(&reap, 0, sizeof(reap));
	txq = fixture_txq(&f, 0);
	for (i = 0; i < REAPED; i++)
		pkts[i] = external(i);
	CU_ASSERT_EQUAL(tx_send(pkts, REAPED), REAPED);
	while (n < RTE_DIM(rest) && (rest[n] = rte_pktmbuf_alloc(f.pool)) != NULL)
		n++;
	CU_ASSERT_EQUAL(tx_take_all(0), REAPED);
	give(0, 1, 2, 0);
	CU_ASSERT_EQUAL(netvsc_tx_queue_stop(&f.eth, 0), 0);
	CU_ASSERT_EQUAL(reap.bursts, REAPED);
	for (i = 0; i < REAPED; i++)
		CU_ASSERT_EQUAL(reap.freed[i], 1);
	/* It found none, for those that it could have taken are the stop's. */
	CU_ASSERT_EQUAL(reap.got, 0);
	CU_ASSERT_EQUAL(fixture_rxq(&f, 0)->stats.no_mbuf, 2);
	/* Each slot is free, and once. */
	CU_ASSERT_EQUAL_FATAL(txq->n_free, txq->nb_desc);
	for (i = 0; i < txq->n_free; i++)
		slots |= UINT64_C(1) << txq->free[i];
	CU_ASSERT_EQUAL(slots, UINT64_MAX);
	CU_ASSERT_EQUAL(txq->stats.over, REAPED);
	CU_ASSERT_EQUAL(txq->drops.reaped, REAPED);
	rte_pktmbuf_free_bulk(rest, n);
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
	end();
}

/* ---- with the port ---- */

static void
test_deferred_queues_start_when_they_are_told(void)
{
	REQUIRE(begin((struct fixture_conf){0}));
	fixture_rxq(&f, 0)->conf.rx_deferred_start = 1;
	fixture_txq(&f, 0)->conf.tx_deferred_start = 1;
	netvsc_queues_unlink(&f.port);
	netvsc_queues_end(&f.port);
	netvsc_queues_begin(&f.port);
	netvsc_queues_link(&f.port);
	netvsc_queues_run(&f.port);
	CU_ASSERT_EQUAL(f.data.rx_queue_state[0], RTE_ETH_QUEUE_STATE_STOPPED);
	CU_ASSERT_EQUAL(f.data.tx_queue_state[0], RTE_ETH_QUEUE_STATE_STOPPED);
	tx_make(pkts, 2, 60, 0);
	CU_ASSERT_EQUAL(tx_send(pkts, 2), 0);
	give(0, 1, 1, 0);
	CU_ASSERT_EQUAL(netvsc_rx_burst(f.rx_queues[0], pkts + 8, 8), 0);
	CU_ASSERT_EQUAL(netvsc_rx_queue_start(&f.eth, 0), 0);
	CU_ASSERT_EQUAL(netvsc_tx_queue_start(&f.eth, 0), 0);
	CU_ASSERT_EQUAL(tx_send(pkts, 2), 2);
	CU_ASSERT_EQUAL(take(0, 8, 0), 1);
	end();
}

/* ---- counts and descriptors ---- */

static void
test_the_count_is_that_of_frames_in_the_ring(void)
{
	const uint32_t status[5] = {
		RNDIS_TYPE_INDICATE_STATUS, sizeof(status), RNDIS_STATUS_MEDIA_CONNECT, 0, 0};
	struct vmbus_xfer_range control;
	struct netvsc_channel *ch;
	unsigned int i;

	REQUIRE(begin((struct fixture_conf){0}));
	ch = fixture_channel(&f, 0);
	CU_ASSERT_EQUAL(used(0), 0);
	give(0, 1, 3, 0);
	give(0, 10, 1, 3);
	CU_ASSERT_EQUAL(used(0), 4);
	/* In the middle of a packet. */
	CU_ASSERT_EQUAL(take(0, 2, 0), 2);
	CU_ASSERT_EQUAL(used(0), 2);
	/* Completions are no frames, nor is control that a scan has passed. */
	fixture_complete(&f, 0, 77, NVSP_STATUS_SUCCESS);
	control = fixture_bytes(&f, 200, status, sizeof(status));
	fixture_xfer(&f, 0, 200, &control, 1);
	give(0, 20, 2, 4);
	netvsc_rx_try_scan(ch, &fixture_txq(&f, 0)->lock_misses);
	CU_ASSERT_EQUAL(used(0), 4);
	/* All of it is there for the burst, as if nobody had looked. */
	for (i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(used(0), 4);
	CU_ASSERT_EQUAL(take(0, BURST, 2), 4);
	CU_ASSERT_EQUAL(used(0), 0);
	/* More than descriptors. */
	for (i = 0; i < 10; i++)
		CU_ASSERT_EQUAL(fixture_frames(&f, 0, 1 + i, 0, 40, 60, 0), 0);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL(used(0), 256);
	/* Somebody holds the lock and does not go on. */
	rte_spinlock_lock(&ch->rx_lock);
	CU_ASSERT_EQUAL(used(0), -EBUSY);
	CU_ASSERT_EQUAL(f.eth.rx_descriptor_status(f.rx_queues[0], 0), -EBUSY);
	rte_spinlock_unlock(&ch->rx_lock);
	/* Nobody looks into rings that are gone. */
	netvsc_channel_close(ch);
	CU_ASSERT_EQUAL(used(0), 0);
	end();
}

/* A host that writes nonsense into the ring ends the walk, not the process. */
static void
test_a_broken_ring_is_not_walked(void)
{
	struct netvsc_channel *ch;

	REQUIRE(begin((struct fixture_conf){0}));
	ch = fixture_channel(&f, 0);
	give(0, 1, 2, 0);
	fixture_xfer_as(&f, 0, 2, NVSP_RECV_BUF_ID, 1000, NULL, 0);
	give(0, 3, 3, 0);
	CU_ASSERT_EQUAL(used(0), 5);
	memset(ch->in.ring.data, 0xff, 16);
	CU_ASSERT_EQUAL(used(0), 0);
	atomic_store(&ch->in.ring.ctl->write_index, UINT32_MAX);
	CU_ASSERT_EQUAL(used(0), 0);
	CU_ASSERT_EQUAL(f.eth.rx_descriptor_status(f.rx_queues[0], 0), RTE_ETH_RX_DESC_AVAIL);
	end();
}

static void
test_descriptors_of_a_receive_queue(void)
{
	struct netvsc_rxq *rxq;

	REQUIRE(begin((struct fixture_conf){.nb_desc = 64}));
	rxq = fixture_rxq(&f, 0);
	CU_ASSERT_EQUAL(f.eth.rx_descriptor_status(rxq, 0), RTE_ETH_RX_DESC_AVAIL);
	give(0, 1, 2, 0);
	CU_ASSERT_EQUAL(f.eth.rx_descriptor_status(rxq, 0), RTE_ETH_RX_DESC_DONE);
	CU_ASSERT_EQUAL(f.eth.rx_descriptor_status(rxq, 1), RTE_ETH_RX_DESC_DONE);
	CU_ASSERT_EQUAL(f.eth.rx_descriptor_status(rxq, 2), RTE_ETH_RX_DESC_AVAIL);
	CU_ASSERT_EQUAL(f.eth.rx_descriptor_status(rxq, 63), RTE_ETH_RX_DESC_AVAIL);
	CU_ASSERT_EQUAL(f.eth.rx_descriptor_status(rxq, 64), -EINVAL);
	CU_ASSERT_EQUAL(take(0, 1, 0), 1);
	CU_ASSERT_EQUAL(f.eth.rx_descriptor_status(rxq, 1), RTE_ETH_RX_DESC_AVAIL);
	CU_ASSERT_EQUAL(take(0, 1, 1), 1);
	end();
}

static void
test_descriptors_of_a_send_queue(void)
{
	struct netvsc_txq *txq;
	struct tx_seen seen;

	REQUIRE(begin((struct fixture_conf){.nb_desc = 64, .tx_copybreak = 100}));
	txq = fixture_txq(&f, 0);
	CU_ASSERT_EQUAL(f.eth.tx_descriptor_status(txq, 63), RTE_ETH_TX_DESC_DONE);
	tx_make(pkts, 4, 500, 0);
	CU_ASSERT_EQUAL(tx_send(pkts, 4), 4);
	CU_ASSERT_EQUAL(f.eth.tx_descriptor_status(txq, 0), RTE_ETH_TX_DESC_DONE);
	CU_ASSERT_EQUAL(f.eth.tx_descriptor_status(txq, 59), RTE_ETH_TX_DESC_DONE);
	CU_ASSERT_EQUAL(f.eth.tx_descriptor_status(txq, 60), RTE_ETH_TX_DESC_FULL);
	CU_ASSERT_EQUAL(f.eth.tx_descriptor_status(txq, 63), RTE_ETH_TX_DESC_FULL);
	CU_ASSERT_EQUAL(f.eth.tx_descriptor_status(txq, 64), -EINVAL);
	/* Completed and not freed yet: done all the same. */
	CU_ASSERT(tx_take(0, &seen));
	tx_answer(0, &seen, NVSP_STATUS_SUCCESS);
	netvsc_rx_try_scan(fixture_channel(&f, 0), &txq->lock_misses);
	CU_ASSERT_EQUAL(f.eth.tx_descriptor_status(txq, 60), RTE_ETH_TX_DESC_DONE);
	CU_ASSERT_EQUAL(f.eth.tx_descriptor_status(txq, 61), RTE_ETH_TX_DESC_FULL);
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 4);
	CU_ASSERT_EQUAL(tx_take_all(0), 3);
	netvsc_rx_try_scan(fixture_channel(&f, 0), &txq->lock_misses);
	CU_ASSERT_EQUAL(f.eth.tx_descriptor_status(txq, 63), RTE_ETH_TX_DESC_DONE);
	end();
}

/* ---- information ---- */

static void
test_burst_modes_name_what_is_used(void)
{
	struct rte_eth_burst_mode mode;
	struct rte_eth_rxq_info info;
	struct netvsc_sizes sizes;

	REQUIRE(begin((struct fixture_conf){0}));
	netvsc_rxq_info_get(&f.eth, 0, &info);
	CU_ASSERT_EQUAL(info.scattered_rx, 0);
	CU_ASSERT_EQUAL(netvsc_rx_burst_mode(&f.eth, 0, &mode), 0);
	CU_ASSERT_STRING_EQUAL(mode.info, "Scalar, copy");
	CU_ASSERT_EQUAL(netvsc_tx_burst_mode(&f.eth, 0, &mode), 0);
	CU_ASSERT_STRING_EQUAL(mode.info, "Scalar, copy, large frames by reference");
	end();
	/* Where the host cannot read guest memory, nothing goes by reference. */
	REQUIRE(begin((struct fixture_conf){.copy_only = true}));
	CU_ASSERT_EQUAL(netvsc_tx_burst_mode(&f.eth, 0, &mode), 0);
	CU_ASSERT_STRING_EQUAL(mode.info, "Scalar, copy");
	end();
	/* All at once. */
	REQUIRE(begin((struct fixture_conf){
		.rx_offloads = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_LRO,
		.tx_offloads = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM,
		.rx_copybreak = 256,
	}));
	f.port.sizes = &sizes;
	CU_ASSERT_EQUAL(netvsc_rx_burst_mode(&f.eth, 0, &mode), 0);
	CU_ASSERT_STRING_EQUAL(
		mode.info, "Scalar, offloads, scattered, coalescing, copy, zero copy, sizes");
	CU_ASSERT_EQUAL(netvsc_tx_burst_mode(&f.eth, 0, &mode), 0);
	CU_ASSERT_STRING_EQUAL(
		mode.info, "Scalar, offloads, copy, large frames by reference, sizes");
	netvsc_rxq_info_get(&f.eth, 0, &info);
	CU_ASSERT_EQUAL(info.scattered_rx, 1);
	f.port.sizes = NULL;
	end();
}

static const struct unit_test tests[] = {
	{"frames of a stopped receive queue are counted",
		test_frames_of_a_stopped_receive_queue_are_counted},
	{"sends go on while receive is stopped", test_sends_go_on_while_receive_is_stopped},
	{"a channel without a receive queue is emptied",
		test_a_channel_without_a_receive_queue_is_emptied},
	{"sends of a stopped queue come back", test_sends_of_a_stopped_queue_come_back},
	{"a queue is set up anew while the port runs",
		test_a_queue_is_set_up_anew_while_the_port_runs},
	{"a host that keeps sends breaks the port", test_a_host_that_keeps_sends_breaks_the_port},
	{"no channel keeps a queue that is released with sends left",
		test_no_channel_keeps_a_queue_that_is_released_with_sends_left},
	{"a stop waits for the burst that is inside",
		test_a_stop_waits_for_the_burst_that_is_inside},
	{"receive does not free what a stop is freeing",
		test_receive_does_not_free_what_a_stop_is_freeing},
	{"deferred queues start when they are told", test_deferred_queues_start_when_they_are_told},
	{"the count is that of frames in the ring", test_the_count_is_that_of_frames_in_the_ring},
	{"a broken ring is not walked", test_a_broken_ring_is_not_walked},
	{"descriptors of a receive queue", test_descriptors_of_a_receive_queue},
	{"descriptors of a send queue", test_descriptors_of_a_send_queue},
	{"burst modes name what is used", test_burst_modes_name_what_is_used},
};

int
main(void)
{
	return UNIT_RUN("netvsc_queues", tests);
}
