/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A port is taken down while somebody is inside of a burst (or holds another lock of it) who does
 * not come out: the thread of a handler that interrupted it, or one that was killed. No operation
 * waits for him for ever, and nothing that he may touch goes: the rings of a closed channel cannot
 * be accessed here.
 */
#include <errno.h>

#include "drivers/net/netvsc/attach.h"
#include "test/unit/netvsc_ladder.h"

/* Every operation of a test ends in this time. */
static const struct hpbus_op_kind soon = {"a test", 150, 50, true};

static bool
start_as(struct fixture_conf conf)
{
	unsigned int i;

	if (!ladder_begin_as(conf))
		return false;
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, CHANNELS, 1500), 0);
	netvsc_rss_default(&f.port);
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), 0);
	f.data.dev_started = 1;
	for (i = 0; i < CHANNELS; i++)
		CU_ASSERT_EQUAL(fixture_channel(&f, i)->state, NETVSC_CHANNEL_RUNNING);
	ladder_turn(); /* acks of the control path */
	return true;
}

static bool
start(void)
{
	return start_as((struct fixture_conf){0});
}

/* What the end of the process does to what stayed. */
static void
finish(void)
{
	f.data.dev_private = &f.port;
	rte_eth_devices[f.port.port_id].process_private = &f.bus;
	f.data.dev_started = 0;
	f.bus.kept = false;
	ladder_end();
}

/* An operation, as by an application that waits for nothing else. */
static int
within_time(int (*operation)(struct rte_eth_dev *eth))
{
	struct hpbus_op op;
	int rc;

	hpbus_op_begin(&op, &soon);
	rc = operation(&f.eth);
	hpbus_op_end(&op);
	return rc;
}

static void
check_kept(void)
{
	CU_ASSERT_EQUAL(f.closes, 0);
	CU_ASSERT_EQUAL(f.resets, 0);
	CU_ASSERT_TRUE(f.bus.kept);
	CU_ASSERT_PTR_NULL(f.bus.driver_data);
	CU_ASSERT_PTR_NULL(f.data.dev_private);
	CU_ASSERT_PTR_NOT_NULL(f.port.channels[0]);
	CU_ASSERT(atomic_load(&f.port.state) != NETVSC_STATE_RUNNING);
}

/* The handler runs where a burst rings the doorbell. */
static int closed_inside;

static void
close_inside(struct fixture *fixture, unsigned int ch)
{
	fixture->on_signal = ladder_on_signal;
	closed_inside = within_time(netvsc_ops.dev_close);
	/* As rte_eth_dev_close() does whatever that has said. */
	rte_eth_devices[f.port.port_id].process_private = NULL;
}

static void
test_a_close_ends_that_interrupts_a_send(void)
{
	struct rte_mbuf *m[2];
	struct fixture_packet pkt;

	REQUIRE(start());
	m[0] = fixture_mbuf(&f, 100, 1);
	m[1] = fixture_mbuf(&f, 100, 2);
	closed_inside = 1;
	f.on_signal = close_inside;
	/* The handler returns, and the burst goes on where it was. */
	CU_ASSERT_EQUAL(netvsc_tx_burst(f.tx_queues[1], m, 1), 1);
	CU_ASSERT_EQUAL(closed_inside, -EBUSY);
	check_kept();
	CU_ASSERT_TRUE(f.host[1].open);
	CU_ASSERT_TRUE(fixture_read(&f, 1, &pkt));
	/* It was the last. */
	CU_ASSERT_EQUAL(netvsc_tx_burst(f.tx_queues[1], &m[1], 1), 0);
	CU_ASSERT_FALSE(fixture_read(&f, 1, &pkt));
	rte_pktmbuf_free(m[1]);
	finish();
}

static void
test_a_close_ends_that_interrupts_a_receive(void)
{
	struct rte_mbuf *m[4];
	unsigned int i, n;

	/* Where the control path has its answers from, too, and elsewhere. */
	for (i = 0; i < 2; i++) {
		REQUIRE(start());
		CU_ASSERT_EQUAL(fixture_frames(&f, i, 500, 4, 3, 100, 70), 0);
		fixture_publish(&f, i);
		closed_inside = 1;
		f.on_signal = close_inside;
		n = netvsc_rx_burst(f.rx_queues[i], m, RTE_DIM(m));
		CU_ASSERT_EQUAL_FATAL(n, 3);
		CU_ASSERT_EQUAL(closed_inside, -EBUSY);
		check_kept();
		CU_ASSERT_TRUE(f.host[i].open);
		CU_ASSERT_EQUAL(netvsc_rx_burst(f.rx_queues[i], m + n, 1), 0);
		while (n > 0)
			rte_pktmbuf_free(m[--n]);
		finish();
	}
}

/* A thread that was stopped goes on again: then a reset has all as it was. */
static void
test_a_port_comes_back_with_the_thread_that_was_inside(void)
{
	struct netvsc_channel *ch;

	REQUIRE(start());
	ch = fixture_channel(&f, 1);
	rte_spinlock_lock(&ch->tx_lock);
	/* Who has called must not free what it may touch. */
	CU_ASSERT_EQUAL(within_time(netvsc_ops.dev_stop), -EBUSY);
	CU_ASSERT_EQUAL(f.data.dev_started, 0);
	CU_ASSERT(atomic_load(&f.port.state) & NETVSC_STATE_BROKEN);
	CU_ASSERT_EQUAL(within_time(netvsc_ops.dev_reset), -EBUSY);
	CU_ASSERT_EQUAL(within_time(netvsc_ops.dev_start), -EBUSY);
	CU_ASSERT_TRUE(f.host[1].open);
	CU_ASSERT_EQUAL(f.resets, 0);
	rte_spinlock_unlock(&ch->tx_lock);
	CU_ASSERT_EQUAL(netvsc_ops.dev_reset(&f.eth), 0);
	CU_ASSERT_EQUAL(f.resets, 1);
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), 0);
	CU_ASSERT_EQUAL(atomic_load(&f.port.state), NETVSC_STATE_RUNNING);
	CU_ASSERT_EQUAL(netvsc_ops.dev_stop(&f.eth), 0);
	finish();
}

/* Who is inside of a send comes out when a stop has given up on him. */
static rte_spinlock_t *comes_out;

void __real_netvsc_queues_unlink(struct netvsc_port *port);
void __wrap_netvsc_queues_unlink(struct netvsc_port *port);

void
__wrap_netvsc_queues_unlink(struct netvsc_port *port)
{
	__real_netvsc_queues_unlink(port);
	if (comes_out != NULL)
		rte_spinlock_unlock(comes_out);
	comes_out = NULL;
}

/* One that the host has, by reference. */
static void
send_one(unsigned int q)
{
	struct rte_mbuf *m = fixture_mbuf(&f, 1000, q);

	CU_ASSERT_EQUAL_FATAL(netvsc_tx_burst(f.tx_queues[q], &m, 1), 1);
	CU_ASSERT_EQUAL(netvsc_tx_inflight(fixture_txq(&f, q)), 1);
}

/* An application frees its pools when a stop is 0: nothing of them is with the host or the port. */
static void
test_a_stop_that_succeeds_late_has_everything_back(void)
{
	struct netvsc_channel *ch;
	struct rte_mbuf *m;

	REQUIRE(start_as((struct fixture_conf){.tx_copybreak = 100}));
	ch = fixture_channel(&f, 1);
	CU_ASSERT_EQUAL(fixture_frames(&f, 1, 500, 4, 1, 100, 70), 0);
	fixture_publish(&f, 1);
	CU_ASSERT_EQUAL_FATAL(netvsc_rx_burst(f.rx_queues[1], &m, 1), 1);
	rte_pktmbuf_free(m);
	CU_ASSERT(fixture_rxq(&f, 1)->n_mbufs != 0);
	send_one(1);
	rte_spinlock_lock(&ch->tx_lock);
	comes_out = &ch->tx_lock;
	CU_ASSERT_EQUAL(within_time(netvsc_ops.dev_stop), 0);
	CU_ASSERT_PTR_NULL(comes_out);
	f.data.dev_started = 0;
	CU_ASSERT_EQUAL(f.resets, 1);
	CU_ASSERT_FALSE(f.host[1].open);
	CU_ASSERT_PTR_NULL(atomic_load(&ch->txq));
	CU_ASSERT_EQUAL(netvsc_tx_inflight(fixture_txq(&f, 1)), 0);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(f.pool), 0);
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), 0);
	CU_ASSERT_EQUAL(netvsc_ops.dev_stop(&f.eth), 0);
	finish();
}

/* Two are inside and one comes out: there is no fence, so what the host has of his queue stays. */
static void
test_what_the_host_has_stays_while_another_thread_is_inside(void)
{
	struct netvsc_channel *ch, *other;

	REQUIRE(start_as((struct fixture_conf){.tx_copybreak = 100}));
	ch = fixture_channel(&f, 1);
	other = fixture_channel(&f, 2);
	send_one(1);
	rte_spinlock_lock(&ch->tx_lock);
	rte_spinlock_lock(&other->tx_lock);
	comes_out = &ch->tx_lock;
	CU_ASSERT_EQUAL(within_time(netvsc_ops.dev_stop), -EBUSY);
	CU_ASSERT_PTR_NULL(comes_out);
	CU_ASSERT_EQUAL(f.data.dev_started, 0);
	CU_ASSERT_FALSE(ch->stuck);
	CU_ASSERT_TRUE(other->stuck);
	CU_ASSERT_EQUAL(f.resets, 0);
	netvsc_tx_queue_release(&f.eth, 1);
	CU_ASSERT_PTR_NOT_NULL(f.port.quarantine);
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 1);
	rte_spinlock_unlock(&other->tx_lock);
	CU_ASSERT_EQUAL(netvsc_session_end(&f.port), 0);
	CU_ASSERT_EQUAL(f.resets, 1);
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
	finish();
}

/* A queue alone, and what is taken out of the port meanwhile. */
static void
test_queues_that_somebody_is_inside_of_are_not_freed(void)
{
	struct netvsc_channel *ch;
	struct netvsc_txq *txq;
	struct hpbus_op op;

	REQUIRE(start());
	ch = fixture_channel(&f, 1);
	txq = fixture_txq(&f, 1);
	rte_spinlock_lock(&ch->tx_lock);
	hpbus_op_begin(&op, &soon);
	CU_ASSERT_EQUAL(netvsc_tx_queue_stop(&f.eth, 1), -EBUSY);
	CU_ASSERT_EQUAL(netvsc_rx_queue_stop(&f.eth, 1), -EBUSY);
	hpbus_op_end(&op);
	netvsc_tx_queue_release(&f.eth, 1);
	CU_ASSERT_PTR_NULL(f.tx_queues[1]);
	CU_ASSERT_PTR_EQUAL(f.port.quarantine, txq);
	rte_spinlock_unlock(&ch->tx_lock);
	CU_ASSERT_EQUAL(netvsc_session_end(&f.port), 0);
	CU_ASSERT_PTR_NULL(f.port.quarantine);
	finish();
}

/* The handler interrupts an operation, or a look at the counts. */
static void
test_a_close_ends_that_interrupts_an_operation(void)
{
	REQUIRE(start());
	pthread_mutex_lock(&f.port.control_lock);
	CU_ASSERT_EQUAL(within_time(netvsc_ops.dev_close), -EBUSY);
	check_kept();
	pthread_mutex_unlock(&f.port.control_lock);
	finish();
}

static void
test_a_close_ends_that_interrupts_a_look_at_the_counts(void)
{
	struct rte_eth_stats stats = {0};
	struct hpbus_op op;

	REQUIRE(start());
	rte_spinlock_lock(&f.port.counts.lock);
	hpbus_op_begin(&op, &soon);
	CU_ASSERT_EQUAL(netvsc_stats_get(&f.eth, &stats, NULL), -EBUSY);
	hpbus_op_end(&op);
	CU_ASSERT_EQUAL(within_time(netvsc_ops.dev_close), -EBUSY);
	check_kept();
	rte_spinlock_unlock(&f.port.counts.lock);
	finish();
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"a close ends that interrupts a send", test_a_close_ends_that_interrupts_a_send},
		{"a close ends that interrupts a receive",
			test_a_close_ends_that_interrupts_a_receive},
		{"a port comes back with the thread that was inside",
			test_a_port_comes_back_with_the_thread_that_was_inside},
		{"a stop that succeeds late has everything back",
			test_a_stop_that_succeeds_late_has_everything_back},
		{"what the host has stays while another thread is inside",
			test_what_the_host_has_stays_while_another_thread_is_inside},
		{"queues that somebody is inside of are not freed",
			test_queues_that_somebody_is_inside_of_are_not_freed},
		{"a close ends that interrupts an operation",
			test_a_close_ends_that_interrupts_an_operation},
		{"a close ends that interrupts a look at the counts",
			test_a_close_ends_that_interrupts_a_look_at_the_counts},
	};

	return UNIT_RUN("netvsc_stuck", tests);
}
