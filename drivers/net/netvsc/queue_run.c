/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Queues start and stop, with the port or alone while it runs. A channel is open whatever becomes
 * of its queues: completions of the one direction come with the frames of the other.
 *
 * A receive queue that is stopped is taken out of the host's table (rss.c). What comes all the
 * same, because it cannot be hashed or was on its way, is completed unread and counted as
 * rx_dropped_stopped. A send queue that is stopped waits until all it had in flight is back.
 * A VF is used only while all queues are started: it would spread frames over all of them.
 */
#include <errno.h>
#include <string.h>

#include <rte_cycles.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/control.h"
#include "drivers/net/netvsc/offload.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/tx.h"

static bool
rx_started(const struct rte_eth_dev_data *data, unsigned int q)
{
	return q < data->nb_rx_queues && data->rx_queue_state[q] == RTE_ETH_QUEUE_STATE_STARTED;
}

static bool
tx_started(const struct rte_eth_dev_data *data, unsigned int q)
{
	return q < data->nb_tx_queues && data->tx_queue_state[q] == RTE_ETH_QUEUE_STATE_STARTED;
}

/* Bursts of the queues that are started may be inside of channel @p i, and of no others. */
static bool
queue_run(struct netvsc_port *port, unsigned int i)
{
	const struct rte_eth_dev_data *data = port->data;

	return netvsc_channel_run(port->channels[i], rx_started(data, i), tx_started(data, i));
}

/* Whose sends complete on a channel: with its lock, for who is inside goes on with the queue. */
static void
queue_link_sends(struct netvsc_channel *ch, struct netvsc_txq *txq)
{
	if (!netvsc_channel_lock(ch, &ch->rx_lock))
		return;
	atomic_store(&ch->txq, txq);
	rte_spinlock_unlock(&ch->rx_lock);
}

static void
queue_begin_sends(struct netvsc_txq *txq)
{
	netvsc_txq_see_headers(txq);
	netvsc_tx_template(txq);
	queue_link_sends(txq->ch, txq);
}

/* ---- with the port ---- */

void
netvsc_queues_begin(struct netvsc_port *port)
{
	struct rte_eth_dev_data *data = port->data;
	uint16_t q;

	for (q = 0; q < data->nb_rx_queues; q++) {
		const struct netvsc_rxq *rxq = data->rx_queues[q];

		data->rx_queue_state[q] = rxq->conf.rx_deferred_start ? RTE_ETH_QUEUE_STATE_STOPPED
								      : RTE_ETH_QUEUE_STATE_STARTED;
	}
	for (q = 0; q < data->nb_tx_queues; q++) {
		const struct netvsc_txq *txq = data->tx_queues[q];

		data->tx_queue_state[q] = txq->conf.tx_deferred_start ? RTE_ETH_QUEUE_STATE_STOPPED
								      : RTE_ETH_QUEUE_STATE_STARTED;
	}
}

void
netvsc_queues_end(struct netvsc_port *port)
{
	struct rte_eth_dev_data *data = port->data;
	uint16_t q;

	for (q = 0; q < data->nb_rx_queues; q++)
		data->rx_queue_state[q] = RTE_ETH_QUEUE_STATE_STOPPED;
	for (q = 0; q < data->nb_tx_queues; q++)
		data->tx_queue_state[q] = RTE_ETH_QUEUE_STATE_STOPPED;
}

void
netvsc_queues_link(struct netvsc_port *port)
{
	const struct rte_eth_dev_data *data = port->data;
	uint16_t q;

	for (q = 0; q < data->nb_tx_queues; q++)
		if (tx_started(data, q))
			queue_begin_sends(data->tx_queues[q]);
}

void
netvsc_queues_run(struct netvsc_port *port)
{
	unsigned int i;

	/* Who has not mapped what is there now is left out, and comes in when it has. */
	hpbus_gather(port->bus, HPBUS_GATHER_MS);
	for (i = 0; i < port->session.n_channels; i++)
		queue_run(port, i);
}

void
netvsc_queues_unlink(struct netvsc_port *port)
{
	unsigned int i;

	/* By channel: the queue whose sends it completes may be one that was released since. */
	for (i = 0; i < RTE_DIM(port->channels); i++)
		if (port->channels[i] != NULL)
			queue_link_sends(port->channels[i], NULL);
}

/* ---- alone: ethdev has looked that the port is started and the queue is not yet what it will be
 */

/* Have the host's table name the queues that are started. */
static int
rx_spread(struct netvsc_port *port, uint16_t queue, const char *what)
{
	int rc = netvsc_rss_apply(port);

	if (rc != 0)
		NETVSC_LOG(ERR, port,
			"receive queue %u %s, but the host did not take another RSS table (%s): "
			"all frames come on receive queue 0",
			queue, what, strerror(-rc));
	return rc;
}

/* Can a queue of a started port start? The port may have lost its session to another MTU. */
static int
queue_ready(struct netvsc_port *port, uint16_t queue, const char *direction)
{
	if (!netvsc_channel_is_open(port->channels[queue])) {
		NETVSC_LOG(ERR, port,
			"%s queue %u cannot start: the port has no session with the host; reset it "
			"(rte_eth_dev_reset)",
			direction, queue);
		return -ENOTCONN;
	}
	/* Set up while the port runs, it may have offloads that nothing else has. */
	return netvsc_offload_apply(port);
}

/* Within an operation. */
static int
rx_start(struct netvsc_port *port, uint16_t queue)
{
	struct rte_eth_dev_data *data = port->data;
	int rc = queue_ready(port, queue, "receive");

	if (rc != 0)
		return rc;
	data->rx_queue_state[queue] = RTE_ETH_QUEUE_STATE_STARTED;
	/* First, for frames may come as soon as the host knows. */
	queue_run(port, queue);
	rc = rx_spread(port, queue, "could start");
	if (rc != 0) {
		data->rx_queue_state[queue] = RTE_ETH_QUEUE_STATE_STOPPED;
		queue_run(port, queue);
	}
	netvsc_vf_join(port);
	return rc;
}

int
netvsc_rx_queue_start(struct rte_eth_dev *eth, uint16_t queue)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	struct hpbus_op op;
	int rc;

	if (netvsc_control_begin(port, &op, &netvsc_op_setting) != 0)
		return -EBUSY;
	rc = rx_start(port, queue);
	netvsc_control_end(port, &op);
	return rc;
}

int
netvsc_rx_queue_stop(struct rte_eth_dev *eth, uint16_t queue)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	struct netvsc_channel *ch = port->channels[queue];
	struct hpbus_op op;

	if (netvsc_control_begin(port, &op, &netvsc_op_setting) != 0)
		return -EBUSY;
	netvsc_vf_leave(port, false);
	eth->data->rx_queue_state[queue] = RTE_ETH_QUEUE_STATE_STOPPED;
	/* It stops in any case: what still comes is counted. */
	rx_spread(port, queue, "is stopped");
	if (netvsc_channel_is_open(ch) && queue_run(port, queue) &&
		netvsc_channel_lock(ch, &ch->rx_lock)) {
		netvsc_rx_drain(ch);
		rte_spinlock_unlock(&ch->rx_lock);
	}
	if (!ch->stuck)
		netvsc_rx_give_back(eth->data->rx_queues[queue]);
	netvsc_control_end(port, &op);
	return ch->stuck ? -EBUSY : 0;
}

int
netvsc_tx_queue_start(struct rte_eth_dev *eth, uint16_t queue)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	struct hpbus_op op;
	int rc;

	if (netvsc_control_begin(port, &op, &netvsc_op_setting) != 0)
		return -EBUSY;
	rc = queue_ready(port, queue, "transmit");
	if (rc == 0) {
		eth->data->tx_queue_state[queue] = RTE_ETH_QUEUE_STATE_STARTED;
		queue_begin_sends(eth->data->tx_queues[queue]);
		queue_run(port, queue);
		netvsc_vf_join(port);
	}
	netvsc_control_end(port, &op);
	return rc;
}

/* Wait for what a queue without bursts has in flight. @return 0 or -ETIMEDOUT */
static int
tx_drain(struct netvsc_port *port, struct netvsc_txq *txq)
{
	struct netvsc_channel *ch = txq->ch;

	for (;;) {
		/* An lcore that receives there sees completions, too. */
		if (!netvsc_channel_is_polled(ch) && netvsc_trylock(&ch->rx_lock)) {
			if (netvsc_channel_is_open(ch))
				netvsc_rx_scan(ch);
			rte_spinlock_unlock(&ch->rx_lock);
		}
		netvsc_tx_reap(txq);
		/* What a host leaves that is gone or broken comes back when the port stops. */
		if (netvsc_tx_inflight(txq) == 0 ||
			(atomic_load(&port->state) & NETVSC_STATE_NO_HOST))
			return 0;
		if (hpbus_op_spent())
			return -ETIMEDOUT;
		hpbus_signal_again(port->bus);
		rte_delay_us_sleep(50);
	}
}

int
netvsc_tx_queue_stop(struct rte_eth_dev *eth, uint16_t queue)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	struct netvsc_txq *txq = eth->data->tx_queues[queue];
	struct hpbus_op op;
	int rc;

	if (netvsc_control_begin(port, &op, &netvsc_op_stop) != 0)
		return -EBUSY;
	netvsc_vf_leave(port, false);
	eth->data->tx_queue_state[queue] = RTE_ETH_QUEUE_STATE_STOPPED;
	if (netvsc_channel_is_open(txq->ch) && !queue_run(port, queue)) {
		netvsc_control_end(port, &op);
		return -EBUSY;
	}
	rc = tx_drain(port, txq);
	if (rc != 0) {
		NETVSC_LOG(ERR, port,
			"transmit queue %u is stopped, but the host has %u of its sends and does "
			"not complete them",
			queue, netvsc_tx_inflight(txq));
		netvsc_port_broken(port, "sends of a stopped queue were never completed");
	}
	if (netvsc_tx_inflight(txq) == 0)
		queue_link_sends(txq->ch, NULL);
	netvsc_control_end(port, &op);
	return rc;
}
