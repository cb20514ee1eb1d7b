/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Extended statistics. Tables drive names, ids and values (pitfall I1): an id is a place in the
 * tables one behind the other, and what it means is found in one function.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

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
	{"unanswered", offsetof(struct netvsc_tx_drops, unanswered)},
	{"doorbells", offsetof(struct netvsc_tx_drops, doorbells)},
};

/* Of queues for which basic statistics have no place. */
#define FIRST_QUEUE RTE_ETHDEV_QUEUE_STAT_CNTRS

static const struct xstat queue_xstats[] = {
	{"packets", offsetof(struct netvsc_queue_told, packets)},
	{"bytes", offsetof(struct netvsc_queue_told, bytes)},
	{"errors", offsetof(struct netvsc_queue_told, errors)},
};
#define RX_QUEUE_XSTATS RTE_DIM(queue_xstats)
#define TX_QUEUE_XSTATS (RTE_DIM(queue_xstats) - 1) /* errors have names that say which */

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
	enum {
		XSTAT_PORT,
		XSTAT_COPY_ONLY,
		XSTAT_HOST,
		XSTAT_SIZE,
		XSTAT_RX_QUEUE,
		XSTAT_TX_QUEUE,
		XSTAT_TXQ,
		XSTAT_PATH,
		XSTAT_VF
	} kind;
	unsigned int index; /* in the table of that kind */
	unsigned int queue;
};

/* What one question is answered from: those of the VF are what it has at the moment. */
struct xstats_view {
	struct netvsc_port *port;
	struct netvsc_vf_xstats vf;
	unsigned int rx_queues, tx_queues, txq, paths; /* extended statistics of that kind */
	unsigned int count;			       /* of all kinds */
	bool busy; /* somebody has the VF's who does not go on */
};

/* Frames by the way that they took, or did not get to the end of. */
enum { PATH_RX, PATH_TX, PATH_DROPPED };
static const char *const path_xstats[] = {
	[PATH_RX] = "rx_vf_packets",
	[PATH_TX] = "tx_vf_packets",
	[PATH_DROPPED] = "rx_vf_dropped_stopped",
};

static unsigned int
beyond(uint16_t n_queues)
{
	return n_queues > FIRST_QUEUE ? n_queues - FIRST_QUEUE : 0;
}

static struct xstats_view
xstats_begin(const struct rte_eth_dev *eth)
{
	struct xstats_view v = {.port = netvsc_port_of(eth)};

	v.busy = !netvsc_vf_xstats(v.port, &v.vf);
	v.rx_queues = beyond(eth->data->nb_rx_queues) * RX_QUEUE_XSTATS;
	v.tx_queues = beyond(eth->data->nb_tx_queues) * TX_QUEUE_XSTATS;
	v.txq = eth->data->nb_tx_queues * RTE_DIM(txq_xstats);
	v.paths = v.port->vf != NULL ? RTE_DIM(path_xstats) : 0;
	/* One more: the address mode. */
	v.count = RTE_DIM(port_xstats) + 1 + NETVSC_HOST_STATS + netvsc_sizes_count(v.port) +
		  v.rx_queues + v.tx_queues + v.txq + v.paths + v.vf.n;
	return v;
}

static int
xstats_end(struct xstats_view *v, int rc)
{
	netvsc_vf_xstats_free(&v->vf);
	return rc;
}

/* @param id < v->count */
static struct xstat_place
xstat_place(const struct xstats_view *v, uint64_t id)
{
	unsigned int at = (unsigned int)id, sizes = netvsc_sizes_count(v->port);

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
	if (at < v->rx_queues)
		return (struct xstat_place){
			XSTAT_RX_QUEUE, at % RX_QUEUE_XSTATS, FIRST_QUEUE + at / RX_QUEUE_XSTATS};
	at -= v->rx_queues;
	if (at < v->tx_queues)
		return (struct xstat_place){
			XSTAT_TX_QUEUE, at % TX_QUEUE_XSTATS, FIRST_QUEUE + at / TX_QUEUE_XSTATS};
	at -= v->tx_queues;
	if (at < v->txq)
		return (struct xstat_place){
			XSTAT_TXQ, at % RTE_DIM(txq_xstats), at / RTE_DIM(txq_xstats)};
	at -= v->txq;
	if (at < v->paths)
		return (struct xstat_place){XSTAT_PATH, at, 0};
	return (struct xstat_place){XSTAT_VF, at - v->paths, 0};
}

/* The lock of the counts is held. */
static uint64_t
xstat_value(const struct xstats_view *v, uint64_t id)
{
	struct netvsc_port *port = v->port;
	struct xstat_place place = xstat_place(v, id);
	const struct netvsc_txq_counts *c = &port->counts.tx[place.queue];
	const struct netvsc_queue_told none = {0};
	struct netvsc_queue_told told;

	switch (place.kind) {
	case XSTAT_PORT:
		return xstat_port_value(port, port_xstats[place.index].offset);
	case XSTAT_COPY_ONLY:
		return netvsc_bus_of(port)->copy_only;
	case XSTAT_HOST:
		return netvsc_host_stats_value(port, place.index);
	case XSTAT_SIZE:
		return netvsc_sizes_value(port, place.index);
	case XSTAT_RX_QUEUE:
		netvsc_stats_rx_queue(port, place.queue, &told);
		return xstat_diff(&told, &none, queue_xstats[place.index].offset);
	case XSTAT_TX_QUEUE:
		netvsc_stats_tx_queue(port, place.queue, &told);
		return xstat_diff(&told, &none, queue_xstats[place.index].offset);
	case XSTAT_PATH:
		return place.index == PATH_DROPPED ? v->vf.dropped
						   : netvsc_stats_path(port, place.index);
	case XSTAT_VF:
		return v->vf.values[place.index];
	default:
		return xstat_diff(c->queue != NULL ? &c->queue->drops : &c->drops_kept,
			&c->drops_base, txq_xstats[place.index].offset);
	}
}

static void
xstat_name(const struct xstats_view *v, uint64_t id, char name[RTE_ETH_XSTATS_NAME_SIZE])
{
	struct xstat_place place = xstat_place(v, id);

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
	case XSTAT_RX_QUEUE:
	case XSTAT_TX_QUEUE:
		snprintf(name, RTE_ETH_XSTATS_NAME_SIZE, "%s_q%u_%s",
			place.kind == XSTAT_RX_QUEUE ? "rx" : "tx", place.queue,
			queue_xstats[place.index].name);
		break;
	case XSTAT_PATH:
		snprintf(name, RTE_ETH_XSTATS_NAME_SIZE, "%s", path_xstats[place.index]);
		break;
	case XSTAT_VF:
		memcpy(name, v->vf.names[place.index].name, RTE_ETH_XSTATS_NAME_SIZE);
		break;
	default:
		snprintf(name, RTE_ETH_XSTATS_NAME_SIZE, "tx_q%u_%s", place.queue,
			txq_xstats[place.index].name);
	}
}

int
netvsc_xstats_get(struct rte_eth_dev *eth, struct rte_eth_xstat *xstats, unsigned int n)
{
	struct xstats_view v = xstats_begin(eth);
	unsigned int i;

	if (v.busy)
		return xstats_end(&v, -EBUSY);
	if (xstats == NULL || n < v.count)
		return xstats_end(&v, (int)v.count);
	if (!netvsc_lock_in_time(&v.port->counts.lock))
		return xstats_end(&v, -EBUSY);
	for (i = 0; i < v.count; i++) {
		xstats[i].id = i;
		xstats[i].value = xstat_value(&v, i);
	}
	rte_spinlock_unlock(&v.port->counts.lock);
	return xstats_end(&v, (int)v.count);
}

int
netvsc_xstats_get_names(struct rte_eth_dev *eth, struct rte_eth_xstat_name *names, unsigned int n)
{
	struct xstats_view v = xstats_begin(eth);
	unsigned int i;

	if (v.busy)
		return xstats_end(&v, -EBUSY);
	if (names == NULL || n < v.count)
		return xstats_end(&v, (int)v.count);
	for (i = 0; i < v.count; i++)
		xstat_name(&v, i, names[i].name);
	return xstats_end(&v, (int)v.count);
}

int
netvsc_xstats_get_by_id(
	struct rte_eth_dev *eth, const uint64_t *ids, uint64_t *values, unsigned int n)
{
	struct xstats_view v = xstats_begin(eth);
	unsigned int i;

	if (v.busy)
		return xstats_end(&v, -EBUSY);
	if (values == NULL || (ids == NULL && n < v.count))
		return xstats_end(&v, (int)v.count);
	n = ids == NULL ? v.count : n;
	for (i = 0; ids != NULL && i < n; i++)
		if (ids[i] >= v.count)
			return xstats_end(&v, -EINVAL);
	if (!netvsc_lock_in_time(&v.port->counts.lock))
		return xstats_end(&v, -EBUSY);
	for (i = 0; i < n; i++)
		values[i] = xstat_value(&v, ids != NULL ? ids[i] : i);
	rte_spinlock_unlock(&v.port->counts.lock);
	return xstats_end(&v, (int)n);
}

int
netvsc_xstats_get_names_by_id(struct rte_eth_dev *eth, const uint64_t *ids,
	struct rte_eth_xstat_name *names, unsigned int n)
{
	struct xstats_view v = xstats_begin(eth);
	unsigned int i;

	if (v.busy)
		return xstats_end(&v, -EBUSY);
	if (names == NULL || (ids == NULL && n < v.count))
		return xstats_end(&v, (int)v.count);
	n = ids == NULL ? v.count : n;
	for (i = 0; i < n; i++) {
		if (ids != NULL && ids[i] >= v.count)
			return xstats_end(&v, -EINVAL);
		xstat_name(&v, ids != NULL ? ids[i] : i, names[i].name);
	}
	return xstats_end(&v, (int)n);
}

int
netvsc_xstats_reset(struct rte_eth_dev *eth)
{
	return netvsc_stats_reset(eth);
}
