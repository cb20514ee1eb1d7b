/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What VFs have counted, added up over all that the port had (pitfalls I2, I4): the sums go on when
 * a driver's counters begin anew, as they do at its start or with another VF, and stay when it is
 * gone. The control thread reads, who is asked tells: in memory that processes share (vf_told.h).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ethdev_driver.h>
#include <rte_malloc.h>

#include "drivers/net/netvsc/compat.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/stats.h"
#include "drivers/net/netvsc/vf_dev.h"

enum { BASIC_PACKETS, BASIC_BYTES };
static const size_t basic[NETVSC_VF_BASIC] = {
	[BASIC_PACKETS] = offsetof(struct rte_eth_stats, ipackets),
	[BASIC_BYTES] = offsetof(struct rte_eth_stats, ibytes),
	offsetof(struct rte_eth_stats, opackets),
	offsetof(struct rte_eth_stats, obytes),
	offsetof(struct rte_eth_stats, imissed),
	offsetof(struct rte_eth_stats, ierrors),
	offsetof(struct rte_eth_stats, oerrors),
	offsetof(struct rte_eth_stats, rx_nombuf),
};

enum { QUEUE_PACKETS, QUEUE_BYTES };
static const size_t per_queue[NETVSC_VF_PER_QUEUE] = {
	[QUEUE_PACKETS] = offsetof(struct eth_queue_stats, q_ipackets),
	[QUEUE_BYTES] = offsetof(struct eth_queue_stats, q_ibytes),
	offsetof(struct eth_queue_stats, q_opackets),
	offsetof(struct eth_queue_stats, q_obytes),
	offsetof(struct eth_queue_stats, q_errors),
};

static uint64_t *
member(void *stats, size_t at)
{
	return (uint64_t *)((uint8_t *)stats + at);
}

/* @param begin what was counted so far is nobody's */
static void
count(struct netvsc_vf_count *c, uint64_t now, bool begin)
{
	uint64_t more = now >= c->last ? now - c->last : now;
	uint64_t not_ours = RTE_MIN(more, c->owed);

	c->last = now;
	if (begin)
		return;
	c->owed -= not_ours;
	c->sum += more - not_ours;
}

/* ---- reading ---- */

static void
count_basic(struct netvsc_vf_told *sums, struct rte_eth_stats *now, struct eth_queue_stats *queues,
	bool begin)
{
	unsigned int i, q;

	for (i = 0; i < NETVSC_VF_BASIC; i++)
		count(&sums->basic[i], *member(now, basic[i]), begin);
	for (i = 0; i < NETVSC_VF_PER_QUEUE; i++)
		for (q = 0; q < RTE_ETHDEV_QUEUE_STAT_CNTRS; q++)
			count(&sums->queue[i][q], member(queues, per_queue[i])[q], begin);
}

/* Extended statistics in memory of their own, as the driver has them now. @return how many */
static unsigned int
xstats_of(uint16_t vf, struct rte_eth_xstat_name **names, struct rte_eth_xstat **values)
{
	int n = rte_eth_xstats_get_names(vf, NULL, 0);

	*names = NULL;
	*values = NULL;
	if (n <= 0)
		return 0;
	*names = calloc((size_t)n, sizeof(**names));
	*values = calloc((size_t)n, sizeof(**values));
	if (*names != NULL && *values != NULL &&
		rte_eth_xstats_get_names(vf, *names, (unsigned int)n) == n &&
		rte_eth_xstats_get(vf, *values, (unsigned int)n) == n)
		return (unsigned int)n;
	free(*names);
	free(*values);
	*names = NULL;
	*values = NULL;
	return 0;
}

/* @param near where it is likely to be. @return its place, or that behind the last */
static unsigned int
xstat_find(const struct netvsc_vf_told *sums, const char *name, unsigned int near)
{
	unsigned int i;

	if (near < sums->n_xstats && strcmp(sums->names[near].name, name) == 0)
		return near;
	for (i = 0; i < sums->n_xstats && strcmp(sums->names[i].name, name) != 0; i++)
		;
	return i;
}

/*
 * Have a place for each of these names. Those that there were stay: with its queues a VF has more
 * of them than without. Nobody else changes the places, and who reads them has the lock.
 */
static void
xstats_places(struct netvsc_vf_told *sums, unsigned int n, const struct rte_eth_xstat_name *names)
{
	struct netvsc_vf_told more;
	unsigned int i;

	for (i = 0; i < n && xstat_find(sums, names[i].name, i) < sums->n_xstats; i++)
		;
	if (i == n)
		return;
	more.n_xstats = sums->n_xstats;
	more.names = rte_calloc("netvsc_vf_names", sums->n_xstats + n, sizeof(*more.names), 0);
	more.xstats = rte_calloc("netvsc_vf_xstats", sums->n_xstats + n, sizeof(*more.xstats), 0);
	if (more.names != NULL && more.xstats != NULL) {
		for (i = 0; i < sums->n_xstats; i++)
			more.names[i] = sums->names[i];
		for (i = 0; i < n; i++)
			if (xstat_find(&more, names[i].name, i) == more.n_xstats)
				more.names[more.n_xstats++] = names[i];
		if (netvsc_lock_in_time(&sums->lock)) {
			for (i = 0; i < sums->n_xstats; i++)
				more.xstats[i] = sums->xstats[i];
			RTE_SWAP(sums->names, more.names);
			RTE_SWAP(sums->xstats, more.xstats);
			sums->n_xstats = more.n_xstats;
			netvsc_channel_unlock(&sums->lock);
		}
	}
	/* With the lock nobody looks at those that there were. */
	rte_free(more.names);
	rte_free(more.xstats);
}

static void
count_xstats(struct netvsc_vf_told *sums, unsigned int n, const struct rte_eth_xstat_name *names,
	const struct rte_eth_xstat *values, bool begin)
{
	unsigned int i, at;

	for (i = 0; begin && i < sums->n_xstats; i++)
		sums->xstats[i].last = 0;
	for (i = 0; i < n; i++) {
		at = xstat_find(sums, names[i].name, i);
		if (at < sums->n_xstats)
			count(&sums->xstats[at], values[i].value, begin);
	}
}

/* What somebody who does not go on keeps from being counted is counted another time. */
static void
stats_read(struct netvsc_vf_dev *dev, uint16_t vf, bool begin)
{
	struct netvsc_vf_told *sums = dev->shared;
	struct eth_queue_stats queues = {0};
	struct rte_eth_stats now = {0};
	struct rte_eth_xstat_name *names;
	struct rte_eth_xstat *values;
	unsigned int n;
	int rc;

	if (!rte_eth_dev_is_valid_port(vf))
		return;
	rc = netvsc_compat_stats_of(vf, &now, &queues);
	n = xstats_of(vf, &names, &values);
	xstats_places(sums, n, names);
	if (netvsc_lock_in_time(&sums->lock)) {
		if (rc == 0)
			count_basic(sums, &now, &queues, begin);
		count_xstats(sums, n, names, values, begin);
		netvsc_channel_unlock(&sums->lock);
	}
	free(names);
	free(values);
}

void
netvsc_vf_stats_begin(struct netvsc_vf_dev *dev, uint16_t vf)
{
	stats_read(dev, vf, true);
}

void
netvsc_vf_stats_read(struct netvsc_vf_dev *dev, uint16_t vf)
{
	stats_read(dev, vf, false);
}

/*
 * Some drivers count a frame when it is fetched, others when it comes. What these have told of
 * before is not taken back, for a counter does not go backwards: later frames make up for it.
 */
void
netvsc_vf_stats_dropped(struct netvsc_vf_dev *dev, uint16_t queue, uint64_t frames, uint64_t bytes)
{
	struct netvsc_vf_told *sums = dev->shared;

	if (frames == 0 || !netvsc_lock_in_time(&sums->lock))
		return;
	sums->dropped += frames;
	sums->basic[BASIC_PACKETS].owed += frames;
	sums->basic[BASIC_BYTES].owed += bytes;
	if (queue < RTE_ETHDEV_QUEUE_STAT_CNTRS) {
		sums->queue[QUEUE_PACKETS][queue].owed += frames;
		sums->queue[QUEUE_BYTES][queue].owed += bytes;
	}
	netvsc_channel_unlock(&sums->lock);
}

/* ---- telling ---- */

/* The sums as of now. @return whether there are any, with their lock; @p rc false: not in time */
static struct netvsc_vf_told *
sums_now(struct netvsc_port *port, bool *rc)
{
	struct netvsc_vf_told *sums = port->vf_shared.told;

	*rc = true;
	if (sums == NULL)
		return NULL;
	netvsc_vf_count_now(port);
	*rc = netvsc_lock_in_time(&sums->lock);
	return *rc ? sums : NULL;
}

bool
netvsc_vf_stats_add(
	struct netvsc_port *port, struct rte_eth_stats *stats, struct eth_queue_stats *queues)
{
	struct netvsc_vf_told *sums;
	unsigned int i, q;
	bool rc;

	sums = sums_now(port, &rc);
	if (sums == NULL)
		return rc;
	for (i = 0; i < NETVSC_VF_BASIC; i++)
		*member(stats, basic[i]) += sums->basic[i].sum;
	stats->imissed += sums->dropped;
	for (i = 0; queues != NULL && i < NETVSC_VF_PER_QUEUE; i++)
		for (q = 0; q < RTE_ETHDEV_QUEUE_STAT_CNTRS; q++)
			member(queues, per_queue[i])[q] += sums->queue[i][q].sum;
	netvsc_channel_unlock(&sums->lock);
	return true;
}

bool
netvsc_vf_stats_reset(struct netvsc_port *port)
{
	struct netvsc_vf_told *sums;
	unsigned int i, q;
	bool rc;

	sums = sums_now(port, &rc);
	if (sums == NULL)
		return rc;
	for (i = 0; i < NETVSC_VF_BASIC; i++)
		sums->basic[i].sum = sums->basic[i].owed = 0;
	for (i = 0; i < NETVSC_VF_PER_QUEUE; i++)
		for (q = 0; q < RTE_ETHDEV_QUEUE_STAT_CNTRS; q++)
			sums->queue[i][q].sum = sums->queue[i][q].owed = 0;
	sums->dropped = 0;
	for (i = 0; i < sums->n_xstats; i++)
		sums->xstats[i].sum = 0;
	netvsc_channel_unlock(&sums->lock);
	return true;
}

bool
netvsc_vf_xstats(struct netvsc_port *port, struct netvsc_vf_xstats *x)
{
	struct netvsc_vf_told *sums;
	unsigned int i, n;
	bool rc;

	*x = (struct netvsc_vf_xstats){0};
	sums = sums_now(port, &rc);
	if (sums == NULL)
		return rc;
	n = sums->n_xstats;
	x->dropped = sums->dropped;
	x->names = n != 0 ? malloc(n * sizeof(*x->names)) : NULL;
	x->values = n != 0 ? malloc(n * sizeof(*x->values)) : NULL;
	for (i = 0; x->names != NULL && x->values != NULL && i < n; i++) {
		/* A name that is too long loses its end. */
		snprintf(x->names[i].name, sizeof(x->names[i].name), "vf_%.60s",
			sums->names[i].name);
		x->values[i] = sums->xstats[i].sum;
		x->n = n;
	}
	netvsc_channel_unlock(&sums->lock);
	return true;
}

void
netvsc_vf_xstats_free(struct netvsc_vf_xstats *x)
{
	free(x->names);
	free(x->values);
}
