/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What VFs have counted, added up over all that the port had (pitfalls I2, I4): the sums go on when
 * a driver's counters begin anew, as they do at its start or with another VF, and stay when it is
 * gone. Nobody waits for a driver: what it is in the middle of something else is read another time.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ethdev_driver.h>

#include "drivers/net/netvsc/compat.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/stats.h"
#include "drivers/net/netvsc/vf_dev.h"

static const size_t basic[NETVSC_VF_BASIC] = {
	offsetof(struct rte_eth_stats, ipackets),
	offsetof(struct rte_eth_stats, ibytes),
	offsetof(struct rte_eth_stats, opackets),
	offsetof(struct rte_eth_stats, obytes),
	offsetof(struct rte_eth_stats, imissed),
	offsetof(struct rte_eth_stats, ierrors),
	offsetof(struct rte_eth_stats, oerrors),
	offsetof(struct rte_eth_stats, rx_nombuf),
};

static const size_t per_queue[NETVSC_VF_PER_QUEUE] = {
	offsetof(struct eth_queue_stats, q_ipackets),
	offsetof(struct eth_queue_stats, q_ibytes),
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
	if (!begin)
		c->sum += now >= c->last ? now - c->last : now;
	c->last = now;
}

/* ---- reading ---- */

static void
count_basic(struct netvsc_vf_sums *sums, struct rte_eth_stats *now, struct eth_queue_stats *queues,
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
xstat_find(const struct netvsc_vf_sums *sums, const char *name, unsigned int near)
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
 * of them than without. Who reads has @a calls, so that nobody else changes the places.
 */
static void
xstats_places(struct netvsc_vf_dev *dev, unsigned int n, const struct rte_eth_xstat_name *names)
{
	struct netvsc_vf_sums *sums = &dev->sums, more;
	unsigned int i;

	for (i = 0; i < n && xstat_find(sums, names[i].name, i) < sums->n_xstats; i++)
		;
	if (i == n)
		return;
	more.n_xstats = sums->n_xstats;
	more.names = calloc(sums->n_xstats + n, sizeof(*more.names));
	more.xstats = calloc(sums->n_xstats + n, sizeof(*more.xstats));
	if (more.names == NULL || more.xstats == NULL) {
		free(more.names);
		free(more.xstats);
		return;
	}
	for (i = 0; i < sums->n_xstats; i++)
		more.names[i] = sums->names[i];
	for (i = 0; i < n; i++)
		if (xstat_find(&more, names[i].name, i) == more.n_xstats)
			more.names[more.n_xstats++] = names[i];
	rte_spinlock_lock(&dev->sums_lock);
	for (i = 0; i < sums->n_xstats; i++)
		more.xstats[i] = sums->xstats[i];
	RTE_SWAP(sums->names, more.names);
	RTE_SWAP(sums->xstats, more.xstats);
	sums->n_xstats = more.n_xstats;
	rte_spinlock_unlock(&dev->sums_lock);
	free(more.names);
	free(more.xstats);
}

static void
count_xstats(struct netvsc_vf_sums *sums, unsigned int n, const struct rte_eth_xstat_name *names,
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

static void
stats_read(struct netvsc_vf_dev *dev, uint16_t vf, bool begin)
{
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
	xstats_places(dev, n, names);
	rte_spinlock_lock(&dev->sums_lock);
	if (rc == 0)
		count_basic(&dev->sums, &now, &queues, begin);
	count_xstats(&dev->sums, n, names, values, begin);
	rte_spinlock_unlock(&dev->sums_lock);
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

void
netvsc_vf_stats_free(struct netvsc_vf_dev *dev)
{
	free(dev->sums.names);
	free(dev->sums.xstats);
}

/* ---- telling ---- */

/* The VF's counters as of now, if its driver is not in the middle of something. */
static struct netvsc_vf_dev *
stats_now(struct netvsc_port *port)
{
	struct netvsc_vf_dev *dev = netvsc_vf_ref(port);
	uint16_t vf = NETVSC_VF_NONE;

	if (dev == NULL)
		return NULL;
	if (pthread_mutex_trylock(&dev->calls) != 0)
		return dev;
	rte_spinlock_lock(&netvsc_vf_lock);
	/* From the moment that it is the VF it counts for the port. */
	if (dev->owned && !dev->destroyed && !dev->removed && !netvsc_vf_is_recovering(dev))
		vf = dev->held;
	rte_spinlock_unlock(&netvsc_vf_lock);
	if (vf != NETVSC_VF_NONE)
		netvsc_vf_stats_read(dev, vf);
	pthread_mutex_unlock(&dev->calls);
	return dev;
}

void
netvsc_vf_stats_add(
	struct netvsc_port *port, struct rte_eth_stats *stats, struct eth_queue_stats *queues)
{
	struct netvsc_vf_dev *dev = stats_now(port);
	unsigned int i, q;

	if (dev == NULL)
		return;
	rte_spinlock_lock(&dev->sums_lock);
	for (i = 0; i < NETVSC_VF_BASIC; i++)
		*member(stats, basic[i]) += dev->sums.basic[i].sum;
	for (i = 0; queues != NULL && i < NETVSC_VF_PER_QUEUE; i++)
		for (q = 0; q < RTE_ETHDEV_QUEUE_STAT_CNTRS; q++)
			member(queues, per_queue[i])[q] += dev->sums.queue[i][q].sum;
	rte_spinlock_unlock(&dev->sums_lock);
	netvsc_vf_unref(dev);
}

void
netvsc_vf_stats_reset(struct netvsc_port *port)
{
	struct netvsc_vf_dev *dev = stats_now(port);
	unsigned int i, q;

	if (dev == NULL)
		return;
	rte_spinlock_lock(&dev->sums_lock);
	for (i = 0; i < NETVSC_VF_BASIC; i++)
		dev->sums.basic[i].sum = 0;
	for (i = 0; i < NETVSC_VF_PER_QUEUE; i++)
		for (q = 0; q < RTE_ETHDEV_QUEUE_STAT_CNTRS; q++)
			dev->sums.queue[i][q].sum = 0;
	for (i = 0; i < dev->sums.n_xstats; i++)
		dev->sums.xstats[i].sum = 0;
	rte_spinlock_unlock(&dev->sums_lock);
	netvsc_vf_unref(dev);
}

void
netvsc_vf_xstats(struct netvsc_port *port, struct netvsc_vf_xstats *x)
{
	struct netvsc_vf_dev *dev = stats_now(port);
	unsigned int i, n;

	*x = (struct netvsc_vf_xstats){0};
	if (dev == NULL)
		return;
	rte_spinlock_lock(&dev->sums_lock);
	n = dev->sums.n_xstats;
	x->names = n != 0 ? malloc(n * sizeof(*x->names)) : NULL;
	x->values = n != 0 ? malloc(n * sizeof(*x->values)) : NULL;
	for (i = 0; x->names != NULL && x->values != NULL && i < n; i++) {
		/* A name that is too long loses its end. */
		snprintf(x->names[i].name, sizeof(x->names[i].name), "vf_%.60s",
			dev->sums.names[i].name);
		x->values[i] = dev->sums.xstats[i].sum;
		x->n = n;
	}
	rte_spinlock_unlock(&dev->sums_lock);
	netvsc_vf_unref(dev);
}

void
netvsc_vf_xstats_free(struct netvsc_vf_xstats *x)
{
	free(x->names);
	free(x->values);
}
