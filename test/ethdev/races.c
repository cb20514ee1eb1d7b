/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bursts beside control operations. A burst is held where it is by a call below it (the pool it
 * takes mbufs from, the backend that signals), never by luck; what an lcore does that is not
 * scheduled between two of its instructions is done by calling the burst where it would go on.
 */
#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

#include <rte_dev.h>

#include "drivers/net/netvsc/attach.h"
#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/tx.h"
#include "test/ethdev/ethdev.h"

static struct netvsc_port *
the_port(void)
{
	return netvsc_port_of(&rte_eth_devices[ethdev_port]);
}

static struct rte_mbuf *
a_frame(void)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(ethdev_pool);

	CHECK(m != NULL && rte_pktmbuf_append(m, 100) != NULL);
	memset(rte_pktmbuf_mtod(m, void *), 0xff, 100);
	return m;
}

static void
wait_for(sem_t *sem)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 20;
	CHECK_EQUAL(sem_timedwait(sem, &end), 0);
}

/* ---- bursts that come late ---- */

/* As on an lcore that has read the port's state and goes on when the operation is over. */
static void
late_bursts_do_nothing(struct netvsc_port *port, struct netvsc_rxq *rxq, struct netvsc_txq *txq)
{
	uint32_t state = atomic_load(&port->state);
	unsigned int out = ethdev_mbufs_out();
	struct rte_mbuf *m = a_frame(), *got;

	atomic_store(&port->state, NETVSC_STATE_RUNNING);
	CHECK_EQUAL(netvsc_rx_burst(rxq, &got, 1), 0);
	CHECK_EQUAL(netvsc_rx_burst(rxq, &got, 0), 0);
	CHECK_EQUAL(netvsc_tx_burst(txq, &m, 1), 0);
	CHECK_EQUAL(netvsc_tx_done_cleanup(txq, 0), 0);
	atomic_store(&port->state, state);
	CHECK_EQUAL(netvsc_tx_inflight(txq), 0);
	rte_pktmbuf_free(m);
	CHECK_EQUAL(ethdev_mbufs_out(), out);
}

static void
a_burst_that_comes_after_a_stop_or_reset_does_nothing(void)
{
	struct netvsc_port *port = the_port();
	struct rte_eth_dev_data *data = port->eth->data;

	ethdev_bring_up(1, 1);
	WAIT_UNTIL(ethdev_receive(0) != 0);
	CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
	late_bursts_do_nothing(port, data->rx_queues[0], data->tx_queues[0]);
	CHECK_EQUAL(rte_eth_dev_start(ethdev_port), 0);
	WAIT_UNTIL(ethdev_receive(0) != 0);
	CHECK_EQUAL(rte_eth_dev_reset(ethdev_port), 0);
	late_bursts_do_nothing(port, data->rx_queues[0], data->tx_queues[0]);
}

/* ---- an operation and a burst that is inside ---- */

static sem_t inside, go_on;
static atomic_bool hold, over;
static rte_mempool_dequeue_t real_dequeue;

static int
holding_dequeue(struct rte_mempool *mp, void **objects, unsigned int n)
{
	if (atomic_exchange(&hold, false)) {
		sem_post(&inside);
		wait_for(&go_on);
	}
	return real_dequeue(mp, objects, n);
}

static void *
burst_thread(void *arg)
{
	struct rte_mbuf *m[32];
	uint16_t n = netvsc_rx_burst(arg, m, RTE_DIM(m));

	rte_pktmbuf_free_bulk(m, n);
	return NULL;
}

static void *
operation_thread(void *arg)
{
	void (*operation)(void) = *(void (**)(void))arg;

	operation();
	atomic_store(&over, true);
	return NULL;
}

static void
operation_waits_for_the_burst_inside(void (*operation)(void))
{
	struct rte_mempool_ops *ops = &rte_mempool_ops_table.ops[ethdev_pool->ops_index];
	struct netvsc_port *port = the_port();
	struct netvsc_channel *ch = port->channels[0];
	struct netvsc_rxq *rxq;
	pthread_t burst, thread;

	ethdev_bring_up(1, 1);
	WAIT_UNTIL(ethdev_receive(0) != 0);
	rxq = port->eth->data->rx_queues[0];
	sem_init(&inside, 0, 0);
	sem_init(&go_on, 0, 0);
	atomic_store(&over, false);
	real_dequeue = ops->dequeue;
	ops->dequeue = holding_dequeue;
	netvsc_rx_give_back(rxq);
	/* Let there be something to receive. */
	WAIT_UNTIL(vmbus_ring_used(ch->in.ring.size, atomic_load(&ch->in.ring.ctl->write_index),
			   ch->in.next_r) != 0);
	atomic_store(&hold, true);
	CHECK_EQUAL(pthread_create(&burst, NULL, burst_thread, rxq), 0);
	wait_for(&inside);
	CHECK_EQUAL(pthread_create(&thread, NULL, operation_thread, &operation), 0);
	WAIT_UNTIL((atomic_load(&port->state) & NETVSC_STATE_RUNNING) == 0);
	/* The lock of the burst is what it needs next. */
	CHECK(!atomic_load(&over));
	CHECK(netvsc_channel_live(ch));
	sem_post(&go_on);
	CHECK_EQUAL(pthread_join(burst, NULL), 0);
	CHECK_EQUAL(pthread_join(thread, NULL), 0);
	ops->dequeue = real_dequeue;
	CHECK_EQUAL(ethdev_mbufs_out(), 0);
}

static void
stop(void)
{
	CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
}

static void
reset(void)
{
	CHECK_EQUAL(rte_eth_dev_reset(ethdev_port), 0);
}

static void
stop_and_close(void)
{
	CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
	CHECK_EQUAL(rte_eth_dev_close(ethdev_port), 0);
}

static void
a_stop_waits_for_the_burst_that_is_inside(void)
{
	operation_waits_for_the_burst_inside(stop);
}

static void
a_reset_waits_for_the_burst_that_is_inside(void)
{
	operation_waits_for_the_burst_inside(reset);
	ethdev_bring_up(1, 1);
	WAIT_UNTIL(ethdev_receive(0) != 0);
}

static void
a_close_waits_for_the_burst_that_is_inside(void)
{
	operation_waits_for_the_burst_inside(stop_and_close);
}

static void
a_removal_waits_for_the_burst_that_is_inside(void)
{
	operation_waits_for_the_burst_inside(ethdev_detach);
}

/* ---- signals ---- */

static struct netvsc_channel *signalled;
static unsigned int signals;

static void
looking_signal(struct hpbus_device *dev, struct hpbus_channel *bus)
{
	signals++;
	CHECK(bus == &signalled->bus);
	if (!rte_spinlock_is_locked(&signalled->tx_lock) &&
		!rte_spinlock_is_locked(&signalled->rx_lock))
		FAIL("nothing keeps the channel open while it is signalled");
}

static void
a_channel_that_is_being_signalled_is_not_closed(void)
{
	struct netvsc_port *port = the_port();
	struct hpbus_backend backend = *port->bus->backend;
	const struct hpbus_backend *real = port->bus->backend;
	enum hpbus_signal method;
	struct rte_mbuf *m;
	unsigned int i;

	ethdev_knob("stall_rx", 1);
	ethdev_bring_up(1, 1);
	signalled = port->channels[0];
	method = signalled->bus.signal;
	backend.signal = looking_signal;
	ethdev_backend(&backend);
	for (i = 0; i < 50 && signals == 0; i++) {
		ethdev_knob("stall", 0);
		WAIT_UNTIL((ethdev_receive(0), atomic_load(&signalled->out.ring.ctl->read_index)) ==
			   signalled->out.published_w);
		ethdev_knob("stall", 1);
		m = a_frame();
		signalled->bus.signal = HPBUS_SIGNAL_CALL;
		/* As a host that sleeps; one that wakes just now writes its mask over it. */
		atomic_store(&signalled->out.ring.ctl->interrupt_mask, 0);
		CHECK_EQUAL(rte_eth_tx_burst(ethdev_port, 0, &m, 1), 1);
		signalled->bus.signal = method;
	}
	CHECK_EQUAL(signals, 1);
	ethdev_backend(real);
	ethdev_knob("stall", 0);
}

/* ---- who waits for whom ---- */

/* A control thread that has a lock and is not scheduled; the test would hang in a burst. */
static void
a_burst_does_not_wait_for_a_holder_that_is_not_scheduled(void)
{
	struct netvsc_channel *ch;
	struct rte_mbuf *m, *got;
	unsigned int i;

	ethdev_bring_up(1, 1);
	WAIT_UNTIL(ethdev_receive(0) != 0);
	ch = the_port()->channels[0];
	alarm(20);
	m = a_frame();
	rte_spinlock_lock(&ch->rx_lock);
	for (i = 0; i < 4 * NETVSC_TRYLOCK_LIMIT; i++)
		CHECK_EQUAL(rte_eth_rx_burst(ethdev_port, 0, &got, 1), 0);
	for (i = 0; i < 4 * NETVSC_TRYLOCK_LIMIT; i++)
		rte_eth_tx_done_cleanup(ethdev_port, 0, 0);
	rte_spinlock_unlock(&ch->rx_lock);
	rte_spinlock_lock(&ch->tx_lock);
	CHECK_EQUAL(rte_eth_tx_burst(ethdev_port, 0, &m, 1), 0);
	CHECK_EQUAL(rte_eth_tx_done_cleanup(ethdev_port, 0, 0), 0);
	/* Frames come; what must be said about them waits. */
	WAIT_UNTIL((ethdev_receive(0), ch->done_head != ch->done_tail));
	rte_spinlock_unlock(&ch->tx_lock);
	WAIT_UNTIL((ethdev_receive(0), ch->done_head == ch->done_tail));
	CHECK_EQUAL(rte_eth_tx_burst(ethdev_port, 0, &m, 1), 1);
	alarm(0);
}

static void *
promiscuous_thread(void *arg)
{
	*(int *)arg = rte_eth_promiscuous_enable(ethdev_port);
	return NULL;
}

/* All that an application calls from an lcore that polls, while a request is not answered. */
static void
what_an_lcore_asks_does_not_wait_for_the_host(void)
{
	struct netvsc_port *port = the_port();
	struct rte_eth_xstat xstats[128];
	struct rte_eth_rss_conf rss = {0};
	struct rte_eth_stats stats;
	struct rte_ether_addr mac;
	struct rte_eth_link link;
	struct rte_eth_dev_info info;
	char text[64];
	struct rte_mbuf *m;
	pthread_t thread;
	uint64_t request;
	FILE *f;
	int rc = 1;

	ethdev_bring_up(1, 1);
	WAIT_UNTIL(ethdev_receive(0) != 0);
	ethdev_knob("stall", 1);
	CHECK_EQUAL(pthread_create(&thread, NULL, promiscuous_thread, &rc), 0);
	WAIT_UNTIL(atomic_load(&port->request.trans_id) != 0);
	request = atomic_load(&port->request.trans_id);
	CHECK_EQUAL(rte_eth_stats_get(ethdev_port, &stats), 0);
	CHECK(rte_eth_xstats_get(ethdev_port, xstats, RTE_DIM(xstats)) > 0);
	CHECK_EQUAL(rte_eth_stats_reset(ethdev_port), 0);
	CHECK_EQUAL(rte_eth_link_get_nowait(ethdev_port, &link), 0);
	CHECK_EQUAL(rte_eth_link_get(ethdev_port, &link), 0);
	CHECK_EQUAL(link.link_status, RTE_ETH_LINK_UP);
	CHECK_EQUAL(rte_eth_dev_info_get(ethdev_port, &info), 0);
	CHECK_EQUAL(rte_eth_macaddr_get(ethdev_port, &mac), 0);
	CHECK_EQUAL(rte_eth_dev_set_mtu(ethdev_port, 1400), 0);
	CHECK_EQUAL(rte_eth_dev_rss_hash_conf_get(ethdev_port, &rss), 0);
	CHECK_EQUAL(rte_eth_dev_fw_version_get(ethdev_port, text, sizeof(text)), 0);
	f = fopen("/dev/null", "w");
	CHECK(f != NULL);
	rte_eth_dev_priv_dump(ethdev_port, f);
	fclose(f);
	ethdev_receive(0);
	m = a_frame();
	CHECK_EQUAL(rte_eth_tx_burst(ethdev_port, 0, &m, 1), 1);
	rte_eth_tx_done_cleanup(ethdev_port, 0, 0);
	/* None of them took until the answer came, or until nobody waited for one any more. */
	CHECK_EQUAL(atomic_load(&port->request.trans_id), request);
	ethdev_knob("stall", 0);
	CHECK_EQUAL(pthread_join(thread, NULL), 0);
	CHECK_EQUAL(rc, 0);
}

#define CASE(name)                                                                                 \
	{                                                                                          \
#name, name                                                                        \
	}
const struct ethdev_case ethdev_race_cases[] = {
	CASE(a_burst_that_comes_after_a_stop_or_reset_does_nothing),
	CASE(a_stop_waits_for_the_burst_that_is_inside),
	CASE(a_reset_waits_for_the_burst_that_is_inside),
	CASE(a_close_waits_for_the_burst_that_is_inside),
	CASE(a_removal_waits_for_the_burst_that_is_inside),
	CASE(a_channel_that_is_being_signalled_is_not_closed),
	CASE(a_burst_does_not_wait_for_a_holder_that_is_not_scheduled),
	CASE(what_an_lcore_asks_does_not_wait_for_the_host),
	{NULL, NULL},
};
