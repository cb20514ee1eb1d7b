/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What differs between DPDK releases for the ethdev (spec/dpdk-driver-api.md §13). The driver is
 * written for the newest one; here older ones get what they lack.
 */
#ifndef HP_NETVSC_COMPAT_H
#define HP_NETVSC_COMPAT_H

#include <string.h>

#include <rte_ethdev.h>
#include <rte_telemetry.h>
#include <rte_version.h>
#include <ethdev_driver.h>

#include "drivers/bus/vmbus/compat.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/stats.h"

#if RTE_VERSION < RTE_VERSION_NUM(25, 3, 0, 0)
/** Mbufs as they lie in their pool; newer releases check them and write their history, if asked. */
static inline int
rte_mbuf_raw_alloc_bulk(struct rte_mempool *mp, struct rte_mbuf **mbufs, unsigned int count)
{
	return rte_mempool_get_bulk(mp, (void **)mbufs, count);
}

static inline void
rte_mbuf_raw_free_bulk(struct rte_mempool *mp, struct rte_mbuf **mbufs, unsigned int count)
{
	rte_mempool_put_bulk(mp, (void **)mbufs, count);
}
#endif

#if RTE_VERSION < RTE_VERSION_NUM(25, 11, 0, 0)
/** Counters by queue, which were members of struct rte_eth_stats. */
struct eth_queue_stats {
	uint64_t q_ipackets[RTE_ETHDEV_QUEUE_STAT_CNTRS];
	uint64_t q_opackets[RTE_ETHDEV_QUEUE_STAT_CNTRS];
	uint64_t q_ibytes[RTE_ETHDEV_QUEUE_STAT_CNTRS];
	uint64_t q_obytes[RTE_ETHDEV_QUEUE_STAT_CNTRS];
	uint64_t q_errors[RTE_ETHDEV_QUEUE_STAT_CNTRS];
};
#endif

#if RTE_VERSION >= RTE_VERSION_NUM(25, 11, 0, 0)
#define netvsc_compat_stats_get netvsc_stats_get
#else
/** eth_dev_ops.stats_get */
static inline int
netvsc_compat_stats_get(struct rte_eth_dev *eth, struct rte_eth_stats *stats)
{
	struct eth_queue_stats queues = {0};
	int rc = netvsc_stats_get(eth, stats, &queues);

	memcpy(stats->q_ipackets, queues.q_ipackets, sizeof(stats->q_ipackets));
	memcpy(stats->q_opackets, queues.q_opackets, sizeof(stats->q_opackets));
	memcpy(stats->q_ibytes, queues.q_ibytes, sizeof(stats->q_ibytes));
	memcpy(stats->q_obytes, queues.q_obytes, sizeof(stats->q_obytes));
	memcpy(stats->q_errors, queues.q_errors, sizeof(stats->q_errors));
	return rc;
}
#endif

/** Counters of another port, by queue, too. */
static inline int
netvsc_compat_stats_of(
	uint16_t port_id, struct rte_eth_stats *stats, struct eth_queue_stats *queues)
{
	int rc = rte_eth_stats_get(port_id, stats);

#if RTE_VERSION >= RTE_VERSION_NUM(25, 11, 0, 0)
	struct rte_eth_stats again = {0};
	struct rte_eth_dev *eth = &rte_eth_devices[port_id];

	/* Applications find those only among extended statistics, by their names. */
	if (rc == 0 && eth->dev_ops->stats_get != NULL)
		eth->dev_ops->stats_get(eth, &again, queues);
#else
	memcpy(queues->q_ipackets, stats->q_ipackets, sizeof(stats->q_ipackets));
	memcpy(queues->q_opackets, stats->q_opackets, sizeof(stats->q_opackets));
	memcpy(queues->q_ibytes, stats->q_ibytes, sizeof(stats->q_ibytes));
	memcpy(queues->q_obytes, stats->q_obytes, sizeof(stats->q_obytes));
	memcpy(queues->q_errors, stats->q_errors, sizeof(stats->q_errors));
#endif
	return rc;
}

/** What a bus does to remove a device, by its name in struct rte_bus. */
#if RTE_VERSION >= RTE_VERSION_NUM(26, 7, 0, 0)
#define NETVSC_COMPAT_UNPLUG unplug_device
#else
#define NETVSC_COMPAT_UNPLUG unplug
#endif

/** Numbers of telemetry, which had another name. */
static inline int
netvsc_compat_tel_number(struct rte_tel_data *d, const char *name, uint64_t value)
{
#if RTE_VERSION >= RTE_VERSION_NUM(23, 3, 0, 0)
	return rte_tel_data_add_dict_uint(d, name, value);
#else
	return rte_tel_data_add_dict_u64(d, name, value);
#endif
}

/** What rx_queue_count returns: unsigned or not, by release; -errno in any. */
typedef __typeof__(((eth_rx_queue_count_t)NULL)(NULL)) netvsc_rx_count;
/** What tx_queue_count returns, which older releases do not have; not the same in 24.11. */
#if RTE_VERSION >= RTE_VERSION_NUM(24, 3, 0, 0)
typedef __typeof__(((eth_tx_queue_count_t)NULL)(NULL)) netvsc_tx_count;
#else
typedef int netvsc_tx_count;
#endif

/** Descriptors in use of a send queue. */
static inline void
netvsc_compat_tx_queue_count(struct rte_eth_dev *eth, netvsc_tx_count (*count)(void *txq))
{
#if RTE_VERSION >= RTE_VERSION_NUM(24, 3, 0, 0)
	eth->tx_queue_count = count;
#endif
}

/** Descriptors in use of another port's send queue; 0 also where nobody can be asked. */
static inline uint32_t
netvsc_compat_tx_used(uint16_t port, uint16_t queue)
{
	int used = 0;

#if RTE_VERSION >= RTE_VERSION_NUM(24, 3, 0, 0)
	used = rte_eth_tx_queue_count(port, queue);
#endif
	RTE_SET_USED(port);
	RTE_SET_USED(queue);
	return used > 0 ? (uint32_t)used : 0;
}

/** What ethdev has set for who does without it, only in the primary (spec/dpdk-driver-api.md §5).
 */
static inline void
netvsc_compat_secondary(struct rte_eth_dev *eth)
{
#if RTE_VERSION >= RTE_VERSION_NUM(25, 11, 0, 0)
	eth->recycle_tx_mbufs_reuse = rte_eth_recycle_tx_mbufs_reuse_dummy;
	eth->recycle_rx_descriptors_refill = rte_eth_recycle_rx_descriptors_refill_dummy;
#endif
}

#if RTE_VERSION >= RTE_VERSION_NUM(24, 3, 0, 0)
#define netvsc_compat_ptypes_get netvsc_ptypes_get
#else
/** eth_dev_ops.dev_supported_ptypes_get */
static inline const uint32_t *
netvsc_compat_ptypes_get(struct rte_eth_dev *eth)
{
	size_t count;

	return netvsc_ptypes_get(eth, &count);
}
#endif

/** What dev_info, RSS and the link tell in some releases only. */
static inline void
netvsc_compat_info(struct rte_eth_dev_info *info)
{
#if RTE_VERSION >= RTE_VERSION_NUM(23, 11, 0, 0)
	info->rss_algo_capa |= RTE_ETH_HASH_ALGO_CAPA_MASK(TOEPLITZ);
#endif
}

static inline void
netvsc_compat_rss_conf(struct rte_eth_rss_conf *conf)
{
#if RTE_VERSION >= RTE_VERSION_NUM(23, 11, 0, 0)
	conf->algorithm = RTE_ETH_HASH_FUNCTION_TOEPLITZ;
#endif
}

static inline void
netvsc_compat_link(struct rte_eth_link *link)
{
#if RTE_VERSION >= RTE_VERSION_NUM(25, 11, 0, 0)
	link->link_connector = RTE_ETH_LINK_CONNECTOR_OTHER; /* no physical interface */
#endif
}

#endif
