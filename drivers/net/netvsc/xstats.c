/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Extended statistics. Tables drive names, ids and values (pitfall I1): an id is a place in the
 * tables one behind the other, and what it means is found in one function.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/sizes.h"
#include "drivers/net/netvsc/stats.h"
#include "drivers/net/netvsc/tx.h"

struct xstat {
	const char *name;
	size_t offset;
};

static const struct xstat port_xstats[] = {
	{"rx_malformed", offsetof(struct netvsc_channel_stats, rx_malformed)},
	{"rx_control_malformed", offsetof(struct netvsc_channel_stats, rx_control_malformed)},
	{"rx_dropped_unpolled", offsetof(struct netvsc_channel_stats, rx_dropped_unpolled)},
	{"rx_dropped_stopped", offsetof(struct netvsc_channel_stats, rx_dropped_stopped)},
	{"rx_by_reference", offsetof(struct netvsc_channel_stats, rx_lent)},
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
	{"bad_offload", offsetof(struct netvsc_tx_drops, bad_offload)},
	{"dma_lookups", offsetof(struct netvsc_tx_drops, dma_lookups)},
	{"by_reference", offsetof(struct netvsc_tx_drops, by_reference)},
	{"aggregated", offsetof(struct netvsc_tx_drops, aggregated)},
	{"doorbells", offsetof(struct netvsc_tx_drops, doorbells)},
};

static uint64_t
xstat_diff(const void *now, const void *base, size_t offset)
{
	return *(const uint64_t *)((const char *)now + offset) -
	       *(const uint64_t *)((const char *)base + offset);
}

static uint64_t
xstat_port_value(const struct netvsc_port *port, size_t offset)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < HPBUS_MAX_CHANNELS; i++)
		if (port->channels[i] != NULL)
			sum += xstat_diff(
				&port->channels[i]->stats, &port->channels[i]->base, offset);
	return sum;
}

/* What an id means. */
struct xstat_place {
	enum { XSTAT_PORT, XSTAT_COPY_ONLY, XSTAT_HOST, XSTAT_SIZE, XSTAT_TXQ } kind;
	unsigned int index; /* in the table of that kind */
	unsigned int queue;
};

static unsigned int
xstats_count(const struct rte_eth_dev *eth)
{
	/* One more: the address mode. */
	return RTE_DIM(port_xstats) + 1 + NETVSC_HOST_STATS +
	       netvsc_sizes_count(netvsc_port_of(eth)) +
	       eth->data->nb_tx_queues * RTE_DIM(txq_xstats);
}

/* @param id < xstats_count() */
static struct xstat_place
xstat_place(const struct netvsc_port *port, uint64_t id)
{
	unsigned int at = (unsigned int)id, sizes = netvsc_sizes_count(port);

	if (at < RTE_DIM(port_xstats))
		return (struct xstat_place){XSTAT_PORT, at, 0};
	at -= RTE_DIM(port_xstats);
	if (at-- == 0)
		return (struct xstat_place){XSTAT_COPY_ONLY, 0, 0};
	if (at < NETVSC_HOST_STATS)
		return (struct xstat_place){XSTAT_HOST, at, 0};
	at -= NETVSC_HOST_STATS;
	if (at < sizes)
		return (struct xstat_place){XSTAT_SIZE, at, 0};
	at -= sizes;
	return (struct xstat_place){XSTAT_TXQ, at % RTE_DIM(txq_xstats), at / RTE_DIM(txq_xstats)};
}

/* The lock of the counts is held. */
static uint64_t
xstat_value(struct netvsc_port *port, uint64_t id)
{
	struct xstat_place place = xstat_place(port, id);
	const struct netvsc_txq_counts *c = &port->counts.tx[place.queue];

	switch (place.kind) {
	case XSTAT_PORT:
		return xstat_port_value(port, port_xstats[place.index].offset);
	case XSTAT_COPY_ONLY:
		return netvsc_bus_of(port)->copy_only;
	case XSTAT_HOST:
		return netvsc_host_stats_value(port, place.index);
	case XSTAT_SIZE:
		return netvsc_sizes_value(port, place.index);
	default:
		return xstat_diff(c->queue != NULL ? &c->queue->drops : &c->drops_kept,
			&c->drops_base, txq_xstats[place.index].offset);
	}
}

static void
xstat_name(const struct netvsc_port *port, uint64_t id, char name[RTE_ETH_XSTATS_NAME_SIZE])
{
	struct xstat_place place = xstat_place(port, id);

	switch (place.kind) {
	case XSTAT_PORT:
		snprintf(name, RTE_ETH_XSTATS_NAME_SIZE, "%s", port_xstats[place.index].name);
		break;
	case XSTAT_COPY_ONLY:
		snprintf(name, RTE_ETH_XSTATS_NAME_SIZE, "copy_only");
		break;
	case XSTAT_HOST:
		snprintf(name, RTE_ETH_XSTATS_NAME_SIZE, "%s", netvsc_host_stats_name(place.index));
		break;
	case XSTAT_SIZE:
		netvsc_sizes_name(place.index, name);
		break;
	default:
		snprintf(name, RTE_ETH_XSTATS_NAME_SIZE, "tx_q%u_%s", place.queue,
			txq_xstats[place.index].name);
	}
}

int
netvsc_xstats_get(struct rte_eth_dev *eth, struct rte_eth_xstat *xstats, unsigned int n)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	unsigned int count = xstats_count(eth), i;

	if (xstats == NULL || n < count)
		return (int)count;
	if (!netvsc_lock_in_time(&port->counts.lock))
		return -EBUSY;
	for (i = 0; i < count; i++) {
		xstats[i].id = i;
		xstats[i].value = xstat_value(port, i);
	}
	rte_spinlock_unlock(&port->counts.lock);
	return (int)count;
}

int
netvsc_xstats_get_names(struct rte_eth_dev *eth, struct rte_eth_xstat_name *names, unsigned int n)
{
	unsigned int count = xstats_count(eth), i;

	if (names == NULL || n < count)
		return (int)count;
	for (i = 0; i < count; i++)
		xstat_name(netvsc_port_of(eth), i, names[i].name);
	return (int)count;
}

int
netvsc_xstats_get_by_id(
	struct rte_eth_dev *eth, const uint64_t *ids, uint64_t *values, unsigned int n)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	unsigned int count = xstats_count(eth), i;

	if (values == NULL || (ids == NULL && n < count))
		return (int)count;
	n = ids == NULL ? count : n;
	for (i = 0; ids != NULL && i < n; i++)
		if (ids[i] >= count)
			return -EINVAL;
	if (!netvsc_lock_in_time(&port->counts.lock))
		return -EBUSY;
	for (i = 0; i < n; i++)
		values[i] = xstat_value(port, ids != NULL ? ids[i] : i);
	rte_spinlock_unlock(&port->counts.lock);
	return (int)n;
}

int
netvsc_xstats_get_names_by_id(struct rte_eth_dev *eth, const uint64_t *ids,
	struct rte_eth_xstat_name *names, unsigned int n)
{
	unsigned int count = xstats_count(eth), i;

	if (names == NULL || (ids == NULL && n < count))
		return (int)count;
	n = ids == NULL ? count : n;
	for (i = 0; i < n; i++) {
		if (ids != NULL && ids[i] >= count)
			return -EINVAL;
		xstat_name(netvsc_port_of(eth), ids != NULL ? ids[i] : i, names[i].name);
	}
	return (int)n;
}

int
netvsc_xstats_reset(struct rte_eth_dev *eth)
{
	return netvsc_stats_reset(eth);
}
