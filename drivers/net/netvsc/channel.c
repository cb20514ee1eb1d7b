/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Channels are opened and closed here, by the control side. See port.h for the locks.
 */
#include <errno.h>

#include <rte_malloc.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"

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
	netvsc_channel_set(ch, NETVSC_CHANNEL_OPEN);
	return 0;
}

static void
channel_change(struct netvsc_channel *ch, enum netvsc_channel_state state, bool rx_on, bool tx_on)
{
	rte_spinlock_lock(&ch->rx_lock);
	rte_spinlock_lock(&ch->tx_lock);
	ch->state = state;
	ch->rx_on = rx_on;
	ch->tx_on = tx_on;
	rte_spinlock_unlock(&ch->tx_lock);
	rte_spinlock_unlock(&ch->rx_lock);
}

void
netvsc_channel_set(struct netvsc_channel *ch, enum netvsc_channel_state state)
{
	bool on = state == NETVSC_CHANNEL_RUNNING;

	channel_change(ch, state, on, on);
}

void
netvsc_channel_run(struct netvsc_channel *ch, bool rx_on, bool tx_on)
{
	channel_change(ch, NETVSC_CHANNEL_RUNNING, rx_on, tx_on);
}

void
netvsc_channel_close(struct netvsc_channel *ch)
{
	if (ch == NULL || ch->state == NETVSC_CHANNEL_CLOSED)
		return;
	netvsc_channel_set(ch, NETVSC_CHANNEL_CLOSED);
	ch->port->bus->backend->channel_close(ch->port->bus, &ch->bus);
}
