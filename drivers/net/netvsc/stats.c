/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Statistics. Queues count with one writer each; readers add up. A reset takes a snapshot instead
 * of writing to another thread's counters.
 *
 * What is reported never goes backwards:
 * - Counters belong to the queue's number. A queue that is set up goes on where the one before it
 *   ended, and the number keeps them while there is none.
 * - A send is counted when it is written to the ring and may be refused later (pitfall I6). Refused
 *   frames end in oerrors and leave opackets, but not below what was told already: then later sends
 *   make up for them. A host that has refused something is not given credit any more: what is in
 *   flight counts when it is over, so that the sums are exact after a drain. A refusal of what was
 *   sent before a reset only counts as an error.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/compat.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/sizes.h"
#include "drivers/net/netvsc/stats.h"
#include "drivers/net/netvsc/tx.h"

/* ---- who counts ---- */

bool
netvsc_stats_rxq(struct netvsc_port *port, uint16_t queue, struct netvsc_rxq *rxq)
{
	struct netvsc_rxq_counts *c = &port->counts.rx[queue];

	if (!netvsc_lock_in_time(&port->counts.lock))
		return false;
	if (rxq != NULL)
		rxq->stats = c->kept;
	else if (c->queue != NULL)
		c->kept = c->queue->stats;
	c->queue = rxq;
	rte_spinlock_unlock(&port->counts.lock);
	return true;
}

bool
netvsc_stats_txq(struct netvsc_port *port, uint16_t queue, struct netvsc_txq *txq)
{
	struct netvsc_txq_counts *c = &port->counts.tx[queue];

	if (!netvsc_lock_in_time(&port->counts.lock))
		return false;
	if (txq != NULL) {
		txq->stats = c->kept;
		txq->drops = c->drops_kept;
		atomic_store_explicit(&txq->counted_from, c->base.packets, memory_order_relaxed);
	} else if (c->queue != NULL) {
		c->kept = c->queue->stats;
		c->drops_kept = c->queue->drops;
	}
	c->queue = txq;
	rte_spinlock_unlock(&port->counts.lock);
	return true;
}

void
netvsc_stats_refused(struct netvsc_txq *txq, const struct netvsc_tx_slot *slot)
{
	txq->stats.errors += slot->frames; /* one message may hold many (pitfall T7) */
	txq->stats.failed += slot->frames;
	if (slot->first < atomic_load_explicit(&txq->counted_from, memory_order_relaxed))
		return;
	txq->stats.refused += slot->frames;
	txq->stats.refused_bytes += slot->bytes;
}

static const struct netvsc_rxq_stats *
stats_of_rxq(const struct netvsc_rxq_counts *c)
{
	return c->queue != NULL ? &c->queue->stats : &c->kept;
}

static const struct netvsc_txq_stats *
stats_of_txq(const struct netvsc_txq_counts *c)
{
	return c->queue != NULL ? &c->queue->stats : &c->kept;
}

/* ---- basic ---- */

/* Sent and not refused, but never less than was told. */
static uint64_t
stats_sent(uint64_t sent, uint64_t refused, uint64_t *told)
{
	if (sent > refused && sent - refused > *told)
		*told = sent - refused;
	return *told;
}

void
netvsc_stats_rx_queue(
	const struct netvsc_port *port, unsigned int queue, struct netvsc_queue_told *told)
{
	const struct netvsc_rxq_counts *c = &port->counts.rx[queue];
	const struct netvsc_rxq_stats *now = stats_of_rxq(c);
	const struct netvsc_channel *ch = port->channels[queue]; /* queue and channel are one */

	told->packets = now->packets - c->base.packets;
	told->bytes = now->bytes - c->base.bytes;
	told->errors = ch == NULL ? 0 : ch->stats.rx_malformed - ch->base.rx_malformed;
}

void
netvsc_stats_tx_queue(struct netvsc_port *port, unsigned int queue, struct netvsc_queue_told *told)
{
	struct netvsc_txq_counts *c = &port->counts.tx[queue];
	const struct netvsc_txq_stats *now = stats_of_txq(c);
	bool credit = now->failed == 0;
	uint64_t flying = credit ? 0 : now->packets - now->over;
	uint64_t flying_bytes = credit ? 0 : now->bytes - now->over_bytes;

	told->packets = stats_sent(now->packets - c->base.packets,
		now->refused - c->base.refused + flying, &c->told_packets);
	told->bytes = stats_sent(now->bytes - c->base.bytes,
		now->refused_bytes - c->base.refused_bytes + flying_bytes, &c->told_bytes);
	told->errors = 0;
}

/* @param queues NULL, also where ethdev has no place for the queue: xstats.c tells of it then */
static void
stats_get_queue(struct netvsc_port *port, unsigned int q, struct rte_eth_stats *stats,
	struct eth_queue_stats *queues)
{
	const struct netvsc_rxq_counts *rx = &port->counts.rx[q];
	const struct netvsc_txq_counts *tx = &port->counts.tx[q];
	const struct netvsc_channel *ch = port->channels[q];
	struct netvsc_queue_told in, out;

	netvsc_stats_rx_queue(port, q, &in);
	netvsc_stats_tx_queue(port, q, &out);
	stats->ipackets += in.packets;
	stats->ibytes += in.bytes;
	stats->ierrors += in.errors;
	stats->opackets += out.packets;
	stats->obytes += out.bytes;
	stats->imissed += stats_of_rxq(rx)->too_long - rx->base.too_long;
	stats->rx_nombuf += stats_of_rxq(rx)->no_mbuf - rx->base.no_mbuf;
	stats->oerrors += stats_of_txq(tx)->errors - tx->base.errors;
	if (ch != NULL)
		stats->imissed += ch->stats.rx_dropped_unpolled - ch->base.rx_dropped_unpolled +
				  ch->stats.rx_dropped_stopped - ch->base.rx_dropped_stopped;
	if (queues == NULL)
		return;
	queues->q_ipackets[q] = in.packets;
	queues->q_ibytes[q] = in.bytes;
	queues->q_errors[q] = in.errors;
	queues->q_opackets[q] = out.packets;
	queues->q_obytes[q] = out.bytes;
}

/* The queues of a direction have one writer each, which goes on counting for their number. */
static uint64_t
stats_path_sum(const struct netvsc_port *port, unsigned int direction)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < HPBUS_MAX_CHANNELS; i++)
		sum += atomic_load_explicit(
			direction == 0 ? &port->vf_rx[i].packets : &port->vf_tx[i].packets,
			memory_order_relaxed);
	return sum;
}

uint64_t
netvsc_stats_path(const struct netvsc_port *port, unsigned int direction)
{
	return stats_path_sum(port, direction) - port->counts.path_base[direction];
}

int
netvsc_stats_get(
	struct rte_eth_dev *eth, struct rte_eth_stats *stats, struct eth_queue_stats *queues)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	unsigned int i;

	netvsc_events_again(port);
	/* ethdev presets this one with what it was told last: not to be added to (pitfall I3). */
	stats->rx_nombuf = 0;
	if (!netvsc_lock_in_time(&port->counts.lock))
		return -EBUSY;
	for (i = 0; i < HPBUS_MAX_CHANNELS; i++)
		stats_get_queue(port, i, stats, i < RTE_ETHDEV_QUEUE_STAT_CNTRS ? queues : NULL);
	rte_spinlock_unlock(&port->counts.lock);
	if (!netvsc_vf_stats_add(port, stats, queues))
		return -EBUSY;
	eth->data->rx_mbuf_alloc_failed = stats->rx_nombuf;
	return 0;
}

int
netvsc_stats_reset(struct rte_eth_dev *eth)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	unsigned int i;

	if (!netvsc_lock_in_time(&port->counts.lock))
		return -EBUSY;
	for (i = 0; i < HPBUS_MAX_CHANNELS; i++) {
		struct netvsc_txq_counts *tx = &port->counts.tx[i];

		port->counts.rx[i].base = *stats_of_rxq(&port->counts.rx[i]);
		tx->base = *stats_of_txq(tx);
		tx->drops_base = tx->queue != NULL ? tx->queue->drops : tx->drops_kept;
		tx->told_packets = tx->told_bytes = 0;
		if (tx->queue != NULL)
			atomic_store_explicit(
				&tx->queue->counted_from, tx->base.packets, memory_order_relaxed);
		if (port->channels[i] != NULL)
			port->channels[i]->base = port->channels[i]->stats;
	}
	for (i = 0; i < RTE_DIM(port->counts.path_base); i++)
		port->counts.path_base[i] = stats_path_sum(port, i);
	netvsc_sizes_reset(port);
	netvsc_host_stats_reset(port);
	rte_spinlock_unlock(&port->counts.lock);
	eth->data->rx_mbuf_alloc_failed = 0;
	return netvsc_vf_stats_reset(port) ? 0 : -EBUSY;
}

/* ---- rings, for people looking at a hang ---- */

static void
dump_ring(
	FILE *f, const char *name, const struct vmbus_ring *ring, const char *ours, uint32_t index)
{
	const struct vmbus_ring_control *c = ring->ctl;

	fprintf(f, "  %s size %u write %u read %u mask %u pending %u features %#x; our %s %u\n",
		name, ring->size, atomic_load(&c->write_index), atomic_load(&c->read_index),
		atomic_load(&c->interrupt_mask), atomic_load(&c->pending_send_sz),
		atomic_load(&c->feature_bits), ours, index);
}

int
netvsc_priv_dump(struct rte_eth_dev *eth, FILE *f)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	const struct hpbus_device *bus = netvsc_bus_of(port);
	uint32_t table[NVSP_SEND_TABLE_ENTRIES], tables;
	char text[NETVSC_SEND_TABLE_TEXT];
	unsigned int i;

	/* Somebody who looks at a hang must not hang with it. */
	if (!netvsc_control_try(port)) {
		fprintf(f, "device %s, state %#x: a control operation is going on, ask again\n",
			bus->name, atomic_load(&port->state));
		netvsc_flight_dump(&port->flight, f);
		return 0;
	}
	fprintf(f,
		"device %s (%s) over %s, NVSP %#x, %s, state %#x, MTU %u\n"
		"receive buffer %zu bytes in %u sections of %u; send sections %u of %u\n",
		bus->name, bus->where, bus->backend->name, port->session.nvsp_version,
		bus->copy_only ? "copy-only" : "large frames by reference",
		atomic_load(&port->state), port->session.mtu, port->recv.len,
		port->session.recv_count, port->session.recv_section, port->session.send_count,
		port->session.send_section);
	tables = netvsc_send_table_read(port, table);
	netvsc_send_table_text(table, text);
	fprintf(f, "send table of the host: %s; tables %" PRIu32 "\n", text, tables);
	for (i = 0; i < port->session.n_channels; i++) {
		struct netvsc_channel *ch = port->channels[i];

		if (!netvsc_channel_look(ch))
			continue;
		fprintf(f, "channel %u relid %u\n", i, ch->bus.relid);
		dump_ring(f, "guest->host", &ch->bus.tx, "write", ch->out.next_w);
		dump_ring(f, "host->guest", &ch->bus.rx, "read", ch->in.next_r);
		fprintf(f, "  receive completions waiting %u, scanned ahead %u bytes\n",
			ch->n_waiting + ch->done_head - ch->done_tail, ch->ahead);
		netvsc_channel_look_end(ch);
	}
	netvsc_control_try_end(port);
	netvsc_flight_dump(&port->flight, f);
	return 0;
}
