/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Queues that sleep: receive interrupts, and what a processor can wait for in memory. Nothing of it
 * is in a burst: a queue is armed by its lcore when that is about to sleep, and the host signals
 * the next packet. Why no wake-up is lost is written where the ring is armed
 * (drivers/bus/vmbus/intr.c).
 *
 * The descriptors are the bus's and stay until the port is closed, because the host holds most of
 * them too: only then are they the last. What an application makes of them in epoll sets goes with
 * each stop, as with other drivers. They are of type VDEV, which the event adapter knows to have
 * one for each queue, with a counter of 0 bytes: EAL does not read them, which it would do in a
 * loop until there is something to read.
 */
#include <errno.h>

#include <rte_interrupts.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"

/* ---- the port's handle ---- */

static int
intr_handle_fill(struct rte_intr_handle *handle, const struct hpbus_device *bus, unsigned int n)
{
	unsigned int q;

	if (rte_intr_vec_list_alloc(handle, "netvsc_intr", (int)n) != 0)
		return -ENOMEM;
	for (q = 0; q < n; q++)
		if (rte_intr_efds_index_set(handle, (int)q, bus->intr.fd[q]) != 0 ||
			rte_intr_vec_list_index_set(
				handle, (int)q, (int)(RTE_INTR_VEC_RXTX_OFFSET + q)) != 0)
			return -EINVAL;
	/* No more vectors than descriptors: they are not EAL's to close. */
	if (rte_intr_nb_efd_set(handle, (int)n) != 0 || rte_intr_max_intr_set(handle, (int)n) != 0)
		return -EINVAL;
	return 0;
}

static int
intr_handle_make(struct rte_eth_dev *eth)
{
	struct rte_intr_handle *handle = eth->intr_handle;

	if (handle != NULL)
		return 0;
	handle = rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE);
	if (handle == NULL)
		return -ENOMEM;
	if (rte_intr_fd_set(handle, -1) != 0 || rte_intr_efd_counter_size_set(handle, 0) != 0 ||
		rte_intr_type_set(handle, RTE_INTR_HANDLE_VDEV) != 0) {
		rte_intr_instance_free(handle);
		return -EINVAL;
	}
	eth->intr_handle = handle;
	return 0;
}

int
netvsc_intr_start(struct netvsc_port *port)
{
	struct rte_eth_dev *eth = port->eth;
	unsigned int n = eth->data->nb_rx_queues;
	int rc;

	if (eth->data->dev_conf.intr_conf.rxq == 0 || n == 0)
		return 0;
	rc = hpbus_intr_open(port->bus, n);
	if (rc == 0)
		rc = intr_handle_make(eth);
	if (rc == 0)
		rc = intr_handle_fill(eth->intr_handle, port->bus, n);
	if (rc != 0) {
		netvsc_intr_stop(port);
		return rc;
	}
	atomic_store(&port->n_intr, n);
	return 0;
}

void
netvsc_intr_stop(struct netvsc_port *port)
{
	struct rte_intr_handle *handle = port->eth->intr_handle;
	unsigned int n = atomic_exchange(&port->n_intr, 0), q;

	for (q = 0; q < n; q++) {
		struct netvsc_channel *ch = port->channels[q];

		if (!netvsc_channel_lock(ch, &ch->rx_lock))
			continue;
		if (netvsc_channel_is_open(ch))
			hpbus_channel_disarm(&ch->bus);
		rte_spinlock_unlock(&ch->rx_lock);
	}
	if (handle == NULL)
		return;
	/* The host may go on signalling: no epoll set must lead to what is freed. */
	rte_intr_free_epoll_fd(handle);
	rte_intr_nb_efd_set(handle, 0);
	rte_intr_max_intr_set(handle, 0);
	rte_intr_vec_list_free(handle);
}

void
netvsc_intr_free(struct netvsc_port *port)
{
	rte_intr_instance_free(port->eth->intr_handle);
	port->eth->intr_handle = NULL;
	hpbus_intr_close(port->bus);
}

void
netvsc_intr_wake(struct netvsc_port *port)
{
	unsigned int n = atomic_load(&port->n_intr), q;

	for (q = 0; q < n; q++)
		if (hpbus_intr_raise(port->bus, q) != 0)
			netvsc_event(port, NETVSC_EVENT_WAKE);
}

/* ---- one queue ---- */

/* Wake up who is about to sleep. What cannot be done now, the alarm does. */
static void
intr_raise(struct netvsc_port *port, uint16_t queue)
{
	if (hpbus_intr_raise(port->bus, queue) != 0)
		netvsc_event(port, NETVSC_EVENT_WAKE);
}

/* rx_lock held. @return false: there is work for a burst */
static bool
intr_arm(struct netvsc_channel *ch)
{
	hpbus_intr_clear(ch->port->bus, ch->index);
	/* I1: the host must know all that was consumed. What must wait would wait for a burst. */
	netvsc_rx_flush(ch);
	return ch->done_head == ch->done_tail && hpbus_channel_arm(&ch->bus, &ch->in);
}

int
netvsc_rx_queue_intr_enable(struct rte_eth_dev *eth, uint16_t queue)
{
	struct netvsc_rxq *rxq = eth->data->rx_queues[queue];
	struct netvsc_port *port = rxq->port;
	struct netvsc_channel *ch = rxq->ch;
	int rc = 0;

	if (queue >= atomic_load(&port->n_intr))
		return -EINVAL; /* stopped, or configured without intr_conf.rxq */
	if (!netvsc_channel_lock_soon(&ch->rx_lock)) {
		intr_raise(port, queue);
		return 0;
	}
	/* Nothing comes any more, and an lcore that is told so sleeps. */
	if (!netvsc_channel_live(ch) || atomic_load(&port->state) != NETVSC_STATE_RUNNING)
		rc = -EIO;
	else if (!intr_arm(ch))
		intr_raise(port, queue);
	netvsc_channel_unlock(&ch->rx_lock);
	return rc;
}

int
netvsc_rx_queue_intr_disable(struct rte_eth_dev *eth, uint16_t queue)
{
	struct netvsc_rxq *rxq = eth->data->rx_queues[queue];
	struct netvsc_channel *ch = rxq->ch;

	if (queue >= atomic_load(&rxq->port->n_intr))
		return -EINVAL;
	/* Whoever has the lock does not keep it: signals for nothing until the next time. */
	if (!netvsc_channel_lock_soon(&ch->rx_lock))
		return 0;
	if (netvsc_channel_live(ch))
		hpbus_channel_disarm(&ch->bus);
	netvsc_channel_unlock(&ch->rx_lock);
	return 0;
}

/* ---- waiting for a word in memory ---- */

/* @return 0: nothing has come, sleep; -1 do not */
static int
monitor_compare(const uint64_t value, const uint64_t opaque[RTE_POWER_MONITOR_OPAQUE_SZ])
{
	return value == opaque[0] ? 0 : -1;
}

/*
 * The host writes the write index of the ring (spec/vmbus-ring.md §1). When it is where receive
 * stands there is nothing to do; a value that it never has says that there is.
 */
int
netvsc_get_monitor_addr(void *queue, struct rte_power_monitor_cond *cond)
{
	struct netvsc_rxq *rxq = queue;
	struct netvsc_channel *ch;
	int rc = 0;

	/* ethdev does not ask whether it has been set up. */
	if (rxq == NULL)
		return -EINVAL;
	ch = rxq->ch;
	if (!netvsc_channel_lock_soon(&ch->rx_lock))
		return -EAGAIN;
	if (!netvsc_channel_live(ch)) {
		rc = -EIO;
	} else {
		/* Read without a lock of ours: the ring stays mapped until the port stops. */
		atomic_store_explicit(&ch->port->monitored, true, memory_order_relaxed);
		cond->addr = &ch->bus.rx.ctl->write_index;
		cond->size = sizeof(ch->bus.rx.ctl->write_index);
		cond->fn = monitor_compare;
		/* Frames of a VF come without a word here: who receives from it does not sleep. */
		cond->opaque[0] =
			ch->done_head == ch->done_tail && netvsc_vf_path(ch->port->vf_rx) == 0
				? ch->in.next_r
				: UINT64_MAX;
	}
	netvsc_channel_unlock(&ch->rx_lock);
	return rc;
}
