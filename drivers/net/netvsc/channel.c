/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Channels are opened and closed here, by the control side. See port.h for the locks.
 */
#include <errno.h>

#include <rte_malloc.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/wire.h"

int
netvsc_channel_open(struct netvsc_port *port, unsigned int index)
{
	struct netvsc_channel *ch = port->channels[index];
	int rc;

	if (ch == NULL) {
		ch = rte_zmalloc_socket("netvsc_channel", sizeof(*ch), RTE_CACHE_LINE_SIZE,
			port->bus->device.numa_node);
		if (ch == NULL)
			return -ENOMEM;
		ch->port = port;
		ch->index = (uint16_t)index;
		rte_spinlock_init(&ch->rx_lock);
		rte_spinlock_init(&ch->tx_lock);
		port->channels[index] = ch;
	}
	rc = port->bus->backend->channel_open(port->bus, index, &ch->bus);
	if (rc != 0)
		return rc;
	/* It may be elsewhere than before a reset. */
	port->recv = port->bus->recv;
	rc = vmbus_ring_writer_init(&ch->out, &ch->bus.tx);
	if (rc == 0)
		rc = vmbus_ring_reader_init(&ch->in, &ch->bus.rx);
	if (rc != 0) {
		port->bus->backend->channel_close(port->bus, &ch->bus);
		return rc;
	}
	/* Kernels differ in whether they mask: we poll, so say so before anything else (R10). */
	vmbus_ring_reader_mask(&ch->in);
	if (ch->bus.signal == HPBUS_SIGNAL_MONITOR)
		vmbus_monitor_set_latency(
			port->bus->monitor, ch->bus.monitor_id, port->config.latency_ns);
	netvsc_rx_begin(ch);
	netvsc_wire_opened(ch);
	netvsc_channel_set(ch, NETVSC_CHANNEL_OPEN);
	return 0;
}

/*
 * Somebody is inside and does not come out: he has looked at the state already. It is made less for
 * those who come when he did, but not so little that anything goes.
 */
static void
channel_change_around(
	struct netvsc_channel *ch, enum netvsc_channel_state state, bool rx_on, bool tx_on)
{
	ch->rx_on = rx_on ? ch->rx_on : 0;
	ch->tx_on = tx_on ? ch->tx_on : 0;
	if (state != NETVSC_CHANNEL_RUNNING && ch->state == NETVSC_CHANNEL_RUNNING) {
		ch->state = NETVSC_CHANNEL_OPEN;
		ch->live = 0;
	}
}

static bool
channel_change(struct netvsc_channel *ch, enum netvsc_channel_state state, bool rx_on, bool tx_on)
{
	if (!netvsc_channel_lock(ch, &ch->rx_lock)) {
		channel_change_around(ch, state, rx_on, tx_on);
		return false;
	}
	if (!netvsc_channel_lock(ch, &ch->tx_lock)) {
		channel_change_around(ch, state, rx_on, tx_on);
		rte_spinlock_unlock(&ch->rx_lock);
		return false;
	}
	ch->state = state;
	ch->live = state == NETVSC_CHANNEL_RUNNING ? netvsc_processes(ch->port) : 0;
	ch->rx_on = rx_on ? ch->live : 0;
	ch->tx_on = tx_on ? ch->live : 0;
	rte_spinlock_unlock(&ch->tx_lock);
	rte_spinlock_unlock(&ch->rx_lock);
	return true;
}

bool
netvsc_channel_set(struct netvsc_channel *ch, enum netvsc_channel_state state)
{
	bool on = state == NETVSC_CHANNEL_RUNNING;

	return channel_change(ch, state, on, on);
}

bool
netvsc_channel_run(struct netvsc_channel *ch, bool rx_on, bool tx_on)
{
	return channel_change(ch, NETVSC_CHANNEL_RUNNING, rx_on, tx_on);
}

bool
netvsc_channel_close(struct netvsc_channel *ch)
{
	if (ch == NULL || ch->state == NETVSC_CHANNEL_CLOSED)
		return true;
	if (!netvsc_channel_set(ch, NETVSC_CHANNEL_CLOSED))
		return false;
	netvsc_wire_closed(ch);
	ch->port->bus->backend->channel_close(ch->port->bus, &ch->bus);
	return true;
}
