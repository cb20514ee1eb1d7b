/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an application may ask for at configure and queue setup. ethdev compares offloads, MTU, RSS
 * types, shared queues and split buffers with dev_info; the rest of rte_eth_conf, rte_eth_rxconf
 * and rte_eth_txconf is looked at here: what is not there is refused, in one sentence, instead of
 * being ignored. Thresholds are hints, and rx_drop_en says what the host does anyway.
 */
#include <errno.h>

#include "drivers/net/netvsc/offload.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/tx.h"

static int
check_link_speeds(struct netvsc_port *port, uint32_t asked)
{
	uint64_t mbps = atomic_load(&port->link.speed) / 10000;
	uint32_t has = rte_eth_speed_bitflag((uint32_t)mbps, RTE_ETH_LINK_FULL_DUPLEX);

	/* A list to negotiate from is met when the one speed there is stands in it. */
	if (asked == RTE_ETH_LINK_SPEED_AUTONEG ||
		(!(asked & RTE_ETH_LINK_SPEED_FIXED) && (asked & has) != 0))
		return 0;
	NETVSC_LOG(ERR, port,
		"the host decides the link speed (%u Mb/s now): link_speeds %#x cannot be set, use "
		"RTE_ETH_LINK_SPEED_AUTONEG",
		(unsigned int)mbps, asked);
	return -EINVAL;
}

static int
check_modes(struct netvsc_port *port, const struct rte_eth_conf *conf)
{
	const struct rte_eth_txmode *tx = &conf->txmode;

	if (((unsigned int)conf->rxmode.mq_mode & ~RTE_ETH_MQ_RX_RSS_FLAG) != 0) {
		NETVSC_LOG(ERR, port,
			"rxmode.mq_mode %#x: the port has no VMDq and no DCB, only RSS (or none)",
			(unsigned int)conf->rxmode.mq_mode);
		return -EINVAL;
	}
	if (tx->mq_mode != RTE_ETH_MQ_TX_NONE) {
		NETVSC_LOG(ERR, port, "txmode.mq_mode %#x: the port has no VMDq and no DCB",
			(unsigned int)tx->mq_mode);
		return -EINVAL;
	}
	if (conf->dcb_capability_en != 0) {
		NETVSC_LOG(ERR, port, "dcb_capability_en %#x: the port has no DCB",
			conf->dcb_capability_en);
		return -EINVAL;
	}
	if (tx->hw_vlan_reject_tagged || tx->hw_vlan_reject_untagged || tx->hw_vlan_insert_pvid) {
		NETVSC_LOG(ERR, port,
			"txmode.hw_vlan_*: the port neither rejects frames by their tag nor "
			"inserts a port VLAN");
		return -ENOTSUP;
	}
	return 0;
}

int
netvsc_check_conf(struct netvsc_port *port, const struct rte_eth_conf *conf)
{
	const struct rte_eth_rss_conf *rss = &conf->rx_adv_conf.rss_conf;
	int rc;

	rc = check_link_speeds(port, conf->link_speeds);
	if (rc == 0)
		rc = check_modes(port, conf);
	if (rc != 0)
		return rc;
	if (rss->rss_key != NULL && rss->rss_key_len != NETVSC_RSS_KEY_LEN) {
		NETVSC_LOG(ERR, port, "an RSS key has %u bytes, not %u", NETVSC_RSS_KEY_LEN,
			rss->rss_key_len);
		return -EINVAL;
	}
	if ((conf->rxmode.offloads & RTE_ETH_RX_OFFLOAD_TCP_LRO) &&
		netvsc_lro_limit(&conf->rxmode) != 0)
		NETVSC_LOG(NOTICE, port,
			"max_lro_pkt_size %u: the host coalesces up to %u bytes and cannot be told "
			"less, so that it does not coalesce; leave the limit 0, or set %u or more",
			conf->rxmode.max_lro_pkt_size, RNDIS_MAX_BIG_FRAME + RTE_VLAN_HLEN,
			UINT16_MAX);
	/* Nobody else refuses it, and applications set it everywhere. */
	if (conf->lpbk_mode != 0)
		NETVSC_LOG(NOTICE, port, "lpbk_mode %u: the port has no loopback, frames go out",
			conf->lpbk_mode);
	return 0;
}

int
netvsc_check_txconf(struct netvsc_port *port, uint16_t queue, uint16_t nb_desc,
	const struct rte_eth_txconf *conf)
{
	if (conf->tx_free_thresh != 0 && conf->tx_free_thresh + 3 >= nb_desc) {
		NETVSC_LOG(ERR, port,
			"transmit queue %u: tx_free_thresh %u must be below the number of "
			"descriptors %u minus 3",
			queue, conf->tx_free_thresh, nb_desc);
		return -EINVAL;
	}
	return 0;
}

int
netvsc_check_pool(struct netvsc_port *port, uint16_t queue, struct rte_mempool *mp, uint32_t mtu,
	uint64_t offloads)
{
	bool scatter = (offloads & RTE_ETH_RX_OFFLOAD_SCATTER) != 0;
	uint32_t room = rte_pktmbuf_data_room_size(mp);
	uint32_t need = scatter ? NETVSC_RX_MIN_ROOM : netvsc_rx_room(mtu);

	room = room > RTE_PKTMBUF_HEADROOM ? room - RTE_PKTMBUF_HEADROOM : 0;
	if (room >= need)
		return 0;
	if (scatter)
		NETVSC_LOG(ERR, port,
			"receive queue %u: mbufs of pool %s hold %u bytes, %u is the least; use a "
			"pool with larger mbufs",
			queue, mp->name, room, need);
	else
		NETVSC_LOG(ERR, port,
			"receive queue %u: mbufs of pool %s hold %u bytes, frames of MTU %u need "
			"%u; use a pool with larger mbufs, or RTE_ETH_RX_OFFLOAD_SCATTER",
			queue, mp->name, room, mtu, need);
	return -EINVAL;
}

int
netvsc_check_pools(struct netvsc_port *port, uint32_t mtu)
{
	const struct rte_eth_dev_data *data = port->eth->data;
	int rc = 0;
	uint16_t q;

	for (q = 0; rc == 0 && data->rx_queues != NULL && q < data->nb_rx_queues; q++) {
		const struct netvsc_rxq *rxq = data->rx_queues[q];

		if (rxq != NULL)
			rc = netvsc_check_pool(port, q, rxq->mp, mtu, netvsc_rxq_offloads(rxq));
	}
	return rc;
}

int
netvsc_check_queues(struct netvsc_port *port)
{
	const struct rte_eth_dev_data *data = port->eth->data;
	uint16_t q;

	for (q = 0; q < data->nb_rx_queues; q++)
		if (data->rx_queues[q] == NULL) {
			NETVSC_LOG(ERR, port,
				"receive queue %u is configured but not set up "
				"(rte_eth_rx_queue_setup): cannot start",
				q);
			return -EINVAL;
		}
	for (q = 0; q < data->nb_tx_queues; q++)
		if (data->tx_queues[q] == NULL) {
			NETVSC_LOG(ERR, port,
				"transmit queue %u is configured but not set up "
				"(rte_eth_tx_queue_setup): cannot start",
				q);
			return -EINVAL;
		}
	return netvsc_check_pools(port, data->mtu);
}
