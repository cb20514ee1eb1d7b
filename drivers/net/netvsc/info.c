/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ethdev operations that look at a port (spec/dpdk-driver-api.md §6, §7).
 */
#include <errno.h>
#include <string.h>

#include "drivers/net/netvsc/attach.h"
#include "drivers/net/netvsc/compat.h"
#include "drivers/net/netvsc/control.h"
#include "drivers/net/netvsc/offload.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/tx.h"

int
netvsc_infos_get(struct rte_eth_dev *eth, struct rte_eth_dev_info *info)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	uint64_t mbps = atomic_load(&port->link.speed) / 10000;
	const struct rte_eth_desc_lim lim = {
		.nb_max = NETVSC_MAX_DESC,
		.nb_min = NETVSC_MIN_DESC,
		.nb_align = 1,
		.nb_seg_max = UINT16_MAX, /* above NETVSC_TX_MAX_SEGS a frame is copied */
		.nb_mtu_seg_max = UINT16_MAX,
	};

	/* Cached answers only: no round trip to the host (pitfall N13). */
	info->max_rx_queues = info->max_tx_queues = (uint16_t)port->limits.max_queues;
	info->max_mac_addrs = 1;
	/* With SCATTER; without it netvsc_check_pool() says what a frame of the MTU needs. */
	info->min_rx_bufsize = NETVSC_RX_MIN_ROOM;
	info->min_mtu = RTE_ETHER_MIN_MTU;
	info->max_mtu = (uint16_t)port->limits.mtu;
	info->max_rx_pktlen = netvsc_rx_room(port->limits.mtu);
	info->tx_offload_capa = info->tx_queue_offload_capa = netvsc_offload_tx_capa(port);
	info->rx_offload_capa = netvsc_offload_rx_capa(port);
	/* The host coalesces as it likes, or not at all: netvsc_lro_limit(). */
	if (info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_TCP_LRO)
		info->max_lro_pkt_size = RNDIS_MAX_BIG_FRAME + RTE_VLAN_HLEN;
	info->rx_queue_offload_capa = info->rx_offload_capa & NETVSC_RXQ_OFFLOADS;
	info->rx_desc_lim = info->tx_desc_lim = lim;
	info->default_rxportconf.ring_size = info->default_txportconf.ring_size =
		NETVSC_DEFAULT_DESC;
	info->default_rxportconf.nb_queues = info->default_txportconf.nb_queues = 1;
	info->default_rxportconf.burst_size = info->default_txportconf.burst_size = 32;
	info->speed_capa = rte_eth_speed_bitflag((uint32_t)mbps, RTE_ETH_LINK_FULL_DUPLEX);
	info->dev_capa =
		RTE_ETH_DEV_CAPA_RUNTIME_RX_QUEUE_SETUP | RTE_ETH_DEV_CAPA_RUNTIME_TX_QUEUE_SETUP;
	/* Of a device that goes away; a port that its host broke waits for the application. */
	info->err_handle_mode = port->config.recovery_s != 0 ? RTE_ETH_ERROR_HANDLE_MODE_PROACTIVE
							     : RTE_ETH_ERROR_HANDLE_MODE_PASSIVE;
	if (port->limits.rss_caps != 0) {
		info->reta_size = (uint16_t)port->limits.reta_size;
		info->hash_key_size = NETVSC_RSS_KEY_LEN;
		info->flow_type_rss_offloads = netvsc_rss_offloads(port);
	}
	netvsc_compat_info(info);
	netvsc_vf_limit_info(port, info);
	return 0;
}

int
netvsc_fw_version(struct rte_eth_dev *eth, char *text, size_t size)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	int n = snprintf(text, size, "NVSP %u.%u", port->limits.nvsp_version >> 16,
		port->limits.nvsp_version & 0xffff);

	return n < 0 ? -EINVAL : (size_t)n < size ? 0 : n + 1;
}
