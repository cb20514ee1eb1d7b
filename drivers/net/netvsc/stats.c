/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Statistics. Queues count with one writer each; readers add up. A reset takes a snapshot instead
 * of writing to another thread's counters. One table drives names, ids and values (pitfall I1).
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "drivers/net/netvsc/netvsc.h"

static struct netvsc_rxq *
stats_rxq(const struct rte_eth_dev *eth, unsigned int q)
{
	return eth->data->rx_queues == NULL ? NULL : eth->data->rx_queues[q];
}

static struct netvsc_txq *
stats_txq(const struct rte_eth_dev *eth, unsigned int q)
{
	return eth->data->tx_queues == NULL ? NULL : eth->data->tx_queues[q];
}

int
netvsc_stats_get(struct rte_eth_dev *eth, struct rte_eth_stats *stats)
{
	unsigned int q;

	for (q = 0; q < eth->data->nb_rx_queues; q++) {
		const struct netvsc_rxq *rxq = stats_rxq(eth, q);

		if (rxq == NULL)
			continue;
		stats->ipackets += rxq->stats.packets - rxq->base.packets;
		stats->ibytes += rxq->stats.bytes - rxq->base.bytes;
		stats->imissed += rxq->too_long - rxq->base_too_long;
		stats->rx_nombuf += rxq->no_mbuf - rxq->base_no_mbuf;
		if (q < RTE_ETHDEV_QUEUE_STAT_CNTRS) {
			stats->q_ipackets[q] = rxq->stats.packets - rxq->base.packets;
			stats->q_ibytes[q] = rxq->stats.bytes - rxq->base.bytes;
			stats->q_errors[q] = rxq->stats.errors - rxq->base.errors;
		}
		if (rxq->ch != NULL) {
			stats->ierrors += rxq->ch->stats.rx_malformed - rxq->ch->base.rx_malformed;
			stats->imissed += rxq->ch->stats.rx_dropped_unpolled -
					  rxq->ch->base.rx_dropped_unpolled;
		}
	}
	for (q = 0; q < eth->data->nb_tx_queues; q++) {
		const struct netvsc_txq *txq = stats_txq(eth, q);

		if (txq == NULL)
			continue;
		stats->opackets += txq->stats.packets - txq->base.packets;
		stats->obytes += txq->stats.bytes - txq->base.bytes;
		stats->oerrors += txq->stats.errors - txq->base.errors;
		if (q < RTE_ETHDEV_QUEUE_STAT_CNTRS) {
			stats->q_opackets[q] = txq->stats.packets - txq->base.packets;
			stats->q_obytes[q] = txq->stats.bytes - txq->base.bytes;
		}
	}
	/* ethdev reports this one; assign, do not add (pitfall I3). */
	eth->data->rx_mbuf_alloc_failed = stats->rx_nombuf;
	return 0;
}

/* ---- extended ---- */

struct xstat {
	const char *name;
	size_t offset;
};

static const struct xstat port_xstats[] = {
	{"rx_malformed", offsetof(struct netvsc_channel_stats, rx_malformed)},
	{"rx_dropped_unpolled", offsetof(struct netvsc_channel_stats, rx_dropped_unpolled)},
	{"rx_dropped_stopped", offsetof(struct netvsc_channel_stats, rx_dropped_stopped)},
	{"rx_unknown_packets", offsetof(struct netvsc_channel_stats, rx_unknown_packets)},
	{"tx_bad_completions", offsetof(struct netvsc_channel_stats, tx_bad_completions)},
	{"rx_doorbells", offsetof(struct netvsc_channel_stats, doorbells)},
	{"rx_completions_deferred", offsetof(struct netvsc_channel_stats, done_deferred)},
};

static const struct xstat txq_xstats[] = {
	{"ring_full", offsetof(struct netvsc_tx_drops, ring_full)},
	{"no_descriptor", offsetof(struct netvsc_tx_drops, no_slot)},
	{"no_section", offsetof(struct netvsc_tx_drops, no_section)},
	{"runt", offsetof(struct netvsc_tx_drops, runt)},
	{"oversize", offsetof(struct netvsc_tx_drops, oversize)},
	{"bad_mbuf", offsetof(struct netvsc_tx_drops, bad_mbuf)},
	{"unsendable", offsetof(struct netvsc_tx_drops, unsendable)},
	{"dma_lookups", offsetof(struct netvsc_tx_drops, dma_lookups)},
	{"by_reference", offsetof(struct netvsc_tx_drops, by_reference)},
	{"aggregated", offsetof(struct netvsc_tx_drops, aggregated)},
	{"doorbells", offsetof(struct netvsc_tx_drops, doorbells)},
};

static uint64_t
xstat_port_value(struct netvsc_port *port, size_t offset)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < HPBUS_MAX_CHANNELS; i++) {
		const struct netvsc_channel *ch = port->channels[i];

		if (ch != NULL)
			sum += *(const uint64_t *)((const char *)&ch->stats + offset) -
			       *(const uint64_t *)((const char *)&ch->base + offset);
	}
	return sum;
}

static unsigned int
xstats_count(const struct rte_eth_dev *eth)
{
	/* One more: the address mode. */
	return RTE_DIM(port_xstats) + 1 + eth->data->nb_tx_queues * RTE_DIM(txq_xstats);
}

int
netvsc_xstats_get(struct rte_eth_dev *eth, struct rte_eth_xstat *xstats, unsigned int n)
{
	unsigned int count = xstats_count(eth), i, q, at = 0;
	struct netvsc_port *port = netvsc_port_of(eth);

	if (xstats == NULL || n < count)
		return (int)count;
	for (i = 0; i < RTE_DIM(port_xstats); i++, at++) {
		xstats[at].id = at;
		xstats[at].value = xstat_port_value(port, port_xstats[i].offset);
	}
	xstats[at].id = at;
	xstats[at++].value = port->bus->copy_only;
	for (q = 0; q < eth->data->nb_tx_queues; q++) {
		const struct netvsc_txq *txq = stats_txq(eth, q);

		for (i = 0; i < RTE_DIM(txq_xstats); i++, at++) {
			size_t offset = txq_xstats[i].offset;

			xstats[at].id = at;
			xstats[at].value =
				txq == NULL
					? 0
					: *(const uint64_t *)((const char *)&txq->drops + offset) -
						  *(const uint64_t *)((const char *)&txq
									      ->base_drops +
								      offset);
		}
	}
	return (int)count;
}

int
netvsc_xstats_get_names(struct rte_eth_dev *eth, struct rte_eth_xstat_name *names, unsigned int n)
{
	unsigned int count = xstats_count(eth), i, q, at = 0;

	if (names == NULL || n < count)
		return (int)count;
	for (i = 0; i < RTE_DIM(port_xstats); i++)
		snprintf(names[at++].name, RTE_ETH_XSTATS_NAME_SIZE, "%s", port_xstats[i].name);
	snprintf(names[at++].name, RTE_ETH_XSTATS_NAME_SIZE, "copy_only");
	for (q = 0; q < eth->data->nb_tx_queues; q++)
		for (i = 0; i < RTE_DIM(txq_xstats); i++)
			snprintf(names[at++].name, RTE_ETH_XSTATS_NAME_SIZE, "tx_q%u_%s", q,
				txq_xstats[i].name);
	return (int)count;
}

int
netvsc_stats_reset(struct rte_eth_dev *eth)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	unsigned int i;

	for (i = 0; i < eth->data->nb_rx_queues; i++) {
		struct netvsc_rxq *rxq = stats_rxq(eth, i);

		if (rxq == NULL)
			continue;
		rxq->base = rxq->stats;
		rxq->base_no_mbuf = rxq->no_mbuf;
		rxq->base_too_long = rxq->too_long;
	}
	for (i = 0; i < eth->data->nb_tx_queues; i++) {
		struct netvsc_txq *txq = stats_txq(eth, i);

		if (txq == NULL)
			continue;
		txq->base = txq->stats;
		txq->base_drops = txq->drops;
	}
	for (i = 0; i < HPBUS_MAX_CHANNELS; i++)
		if (port->channels[i] != NULL)
			port->channels[i]->base = port->channels[i]->stats;
	eth->data->rx_mbuf_alloc_failed = 0;
	return 0;
}

int
netvsc_xstats_reset(struct rte_eth_dev *eth)
{
	return netvsc_stats_reset(eth);
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
	unsigned int i;

	pthread_mutex_lock(&port->control_lock);
	fprintf(f,
		"device %s (%s) over %s, NVSP %#x, %s, state %#x, MTU %u\n"
		"receive buffer %zu bytes in %u sections of %u; send sections %u of %u\n",
		port->bus->name, port->bus->where, port->bus->backend->name, port->nvsp_version,
		port->bus->copy_only ? "copy-only" : "large frames by reference",
		atomic_load(&port->state), port->mtu, port->bus->recv.len, port->recv_count,
		port->recv_section, port->send_count, port->send_section);
	for (i = 0; i < port->n_channels; i++) {
		const struct netvsc_channel *ch = port->channels[i];

		if (ch == NULL || !ch->open)
			continue;
		fprintf(f, "channel %u relid %u\n", i, ch->bus.relid);
		dump_ring(f, "guest->host", &ch->bus.tx, "write", ch->out.next_w);
		dump_ring(f, "host->guest", &ch->bus.rx, "read", ch->in.next_r);
		fprintf(f, "  receive completions waiting %u, scanned ahead %llu bytes\n",
			ch->done_head - ch->done_tail,
			(unsigned long long)(ch->scanned - ch->consumed));
	}
	pthread_mutex_unlock(&port->control_lock);
	return 0;
}
