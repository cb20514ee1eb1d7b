/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a port with a VF tells of itself: what both paths can do (pitfall V18). What the application
 * has configured already stays: a VF that cannot do it is not used.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/tx.h"
#include "drivers/net/netvsc/vf.h"
#include "drivers/net/netvsc/vf_dev.h"

uint32_t
netvsc_vf_mtu_max(const struct rte_eth_dev_info *info)
{
	/* As ethdev finds out what stands around the MTU in a frame. */
	uint32_t overhead = info->max_mtu != UINT16_MAX && info->max_rx_pktlen > info->max_mtu
				    ? info->max_rx_pktlen - info->max_mtu
				    : RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN;
	uint32_t mtu = info->max_rx_pktlen > overhead ? info->max_rx_pktlen - overhead : 0;

	return RTE_MIN(mtu, info->max_mtu);
}

/* ---- the table ---- */

enum how {
	LEAST, /* the smaller limit */
	MOST,
	BOTH, /* bits that both have */
};

#define RULE(member, how)                                                                          \
	{                                                                                          \
		offsetof(struct rte_eth_dev_info, member),                                         \
			sizeof(((struct rte_eth_dev_info *)NULL)->member), how                     \
	}

static const struct {
	size_t at, size;
	enum how how;
} rules[] = {
	RULE(max_rx_queues, LEAST),
	RULE(max_tx_queues, LEAST),
	RULE(max_mtu, LEAST),
	RULE(min_mtu, MOST),
	RULE(max_rx_pktlen, LEAST),
	RULE(max_lro_pkt_size, LEAST),
	RULE(min_rx_bufsize, MOST),
	RULE(rx_offload_capa, BOTH),
	RULE(tx_offload_capa, BOTH),
	RULE(rx_queue_offload_capa, BOTH),
	RULE(tx_queue_offload_capa, BOTH),
	RULE(flow_type_rss_offloads, BOTH),
	RULE(rx_desc_lim.nb_max, LEAST),
	RULE(rx_desc_lim.nb_min, MOST),
	RULE(rx_desc_lim.nb_align, MOST),
	RULE(tx_desc_lim.nb_max, LEAST),
	RULE(tx_desc_lim.nb_min, MOST),
	RULE(tx_desc_lim.nb_align, MOST),
	RULE(tx_desc_lim.nb_seg_max, LEAST),
	RULE(tx_desc_lim.nb_mtu_seg_max, LEAST),
};

/* Of one byte order and any of the sizes that members have. */
static uint64_t
get(const struct rte_eth_dev_info *info, size_t at, size_t size)
{
	const uint8_t *p = (const uint8_t *)info + at;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;

	switch (size) {
	case 2:
		memcpy(&u16, p, sizeof(u16));
		return u16;
	case 4:
		memcpy(&u32, p, sizeof(u32));
		return u32;
	default:
		memcpy(&u64, p, sizeof(u64));
		return u64;
	}
}

static void
put(struct rte_eth_dev_info *info, size_t at, size_t size, uint64_t value)
{
	uint8_t *p = (uint8_t *)info + at;
	uint16_t u16 = (uint16_t)value;
	uint32_t u32 = (uint32_t)value;

	switch (size) {
	case 2:
		memcpy(p, &u16, sizeof(u16));
		break;
	case 4:
		memcpy(p, &u32, sizeof(u32));
		break;
	default:
		memcpy(p, &value, sizeof(value));
	}
}

/* In terms of this port: what means the same has the same words. */
static void
translate(struct rte_eth_dev_info *vf)
{
	uint32_t mtu = netvsc_vf_mtu_max(vf);

	vf->max_mtu = (uint16_t)mtu;
	vf->max_rx_pktlen = netvsc_rx_room(mtu);
	vf->rx_offload_capa |= NETVSC_VF_RX_HARMLESS;
	vf->tx_offload_capa |= NETVSC_VF_TX_HARMLESS;
	/* What a queue alone cannot have there is switched on for all, where that harms nobody. */
	vf->rx_queue_offload_capa |= NETVSC_VF_RX_HARMLESS;
	vf->tx_queue_offload_capa = vf->tx_offload_capa;
	if (!(vf->rx_offload_capa & RTE_ETH_RX_OFFLOAD_TCP_LRO) || vf->max_lro_pkt_size == 0)
		vf->max_lro_pkt_size = UINT32_MAX;
	/* One that spreads frames by a rule of its own, if at all. */
	if (vf->flow_type_rss_offloads == 0)
		vf->flow_type_rss_offloads = UINT64_MAX;
	if (vf->tx_desc_lim.nb_seg_max == 0)
		vf->tx_desc_lim.nb_seg_max = UINT16_MAX;
	if (vf->tx_desc_lim.nb_mtu_seg_max == 0)
		vf->tx_desc_lim.nb_mtu_seg_max = UINT16_MAX;
	if (vf->rx_desc_lim.nb_max == 0)
		vf->rx_desc_lim.nb_max = UINT16_MAX;
	if (vf->tx_desc_lim.nb_max == 0)
		vf->tx_desc_lim.nb_max = UINT16_MAX;
}

/* What is configured, as limits: nothing that is told may exclude it. */
static void
configured(const struct netvsc_port *port, struct rte_eth_dev_info *used)
{
	const struct rte_eth_dev_data *data = port->data;
	uint16_t q;

	memset(used, 0, sizeof(*used));
	used->min_mtu = used->rx_desc_lim.nb_min = used->tx_desc_lim.nb_min = UINT16_MAX;
	used->rx_desc_lim.nb_align = used->tx_desc_lim.nb_align = UINT16_MAX;
	used->min_rx_bufsize = UINT32_MAX;
	/* Applications configure this one without looking. */
	used->max_mtu = RTE_ETHER_MTU;
	used->max_rx_queues = used->max_tx_queues = 1;
	if (data->nb_rx_queues != 0 || data->nb_tx_queues != 0) {
		used->max_rx_queues = data->nb_rx_queues;
		used->max_tx_queues = data->nb_tx_queues;
		used->min_mtu = data->mtu;
		used->max_mtu = RTE_MAX(data->mtu, RTE_ETHER_MTU);
		used->rx_offload_capa = data->dev_conf.rxmode.offloads;
		used->max_lro_pkt_size = data->dev_conf.rxmode.max_lro_pkt_size;
		used->tx_offload_capa = data->dev_conf.txmode.offloads;
		used->flow_type_rss_offloads = port->config.rss.hf;
	}
	used->max_rx_pktlen = netvsc_rx_room(used->max_mtu);
	for (q = 0; data->rx_queues != NULL && q < data->nb_rx_queues; q++) {
		const struct netvsc_rxq *rxq = data->rx_queues[q];

		if (rxq == NULL)
			continue;
		used->rx_queue_offload_capa |= rxq->conf.offloads;
		used->rx_desc_lim.nb_max = RTE_MAX(used->rx_desc_lim.nb_max, rxq->nb_desc);
		used->rx_desc_lim.nb_min = RTE_MIN(used->rx_desc_lim.nb_min, rxq->nb_desc);
		used->rx_desc_lim.nb_align = 1;
		used->min_rx_bufsize = RTE_MIN(used->min_rx_bufsize, rxq->room);
	}
	for (q = 0; data->tx_queues != NULL && q < data->nb_tx_queues; q++) {
		const struct netvsc_txq *txq = data->tx_queues[q];

		if (txq == NULL)
			continue;
		used->tx_queue_offload_capa |= txq->conf.offloads;
		used->tx_desc_lim.nb_max = RTE_MAX(used->tx_desc_lim.nb_max, txq->nb_desc);
		used->tx_desc_lim.nb_min = RTE_MIN(used->tx_desc_lim.nb_min, txq->nb_desc);
		used->tx_desc_lim.nb_align = 1;
	}
	used->rx_offload_capa |= used->rx_queue_offload_capa;
	used->tx_offload_capa |= used->tx_queue_offload_capa;
}

void
netvsc_vf_limit_info(struct netvsc_port *port, struct rte_eth_dev_info *info)
{
	struct rte_eth_dev_info vf, used;
	size_t i;
	int rc;

	rc = netvsc_vf_told_info(port, &vf);
	if (rc == -EAGAIN) {
		netvsc_vf_know_now(port);
		rc = netvsc_vf_told_info(port, &vf);
	}
	if (rc != 0)
		return;
	translate(&vf);
	configured(port, &used);
	for (i = 0; i < RTE_DIM(rules); i++) {
		size_t at = rules[i].at, size = rules[i].size;
		uint64_t ours = get(info, at, size), theirs = get(&vf, at, size),
			 in_use = get(&used, at, size);

		switch (rules[i].how) {
		case LEAST:
			theirs = RTE_MAX(theirs, in_use);
			put(info, at, size, RTE_MIN(ours, theirs));
			break;
		case MOST:
			theirs = RTE_MIN(theirs, in_use);
			put(info, at, size, RTE_MAX(ours, theirs));
			break;
		default:
			put(info, at, size, ours & (theirs | in_use));
		}
	}
	if (!(info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_TCP_LRO))
		info->max_lro_pkt_size = 0;
	info->rx_queue_offload_capa &= info->rx_offload_capa;
	info->tx_queue_offload_capa &= info->tx_offload_capa;
}
