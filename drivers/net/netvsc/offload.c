/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/net/netvsc/offload.h"

#include <errno.h>
#include <string.h>

#include "drivers/net/netvsc/control.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/tx.h"

#define RX_CHECKSUMS                                                                               \
	(NDIS_CAN_RX_IP4 | NDIS_CAN_RX_TCP4 | NDIS_CAN_RX_UDP4 | NDIS_CAN_RX_TCP6 |                \
		NDIS_CAN_RX_UDP6)
#define TX_TCP (NDIS_CAN_TX_TCP4 | NDIS_CAN_TX_TCP6)
#define TX_UDP (NDIS_CAN_TX_UDP4 | NDIS_CAN_TX_UDP6)

/*
 * What an offload of ethdev is to the host (spec/rndis.md §11): with all of @a need, or some of @a
 * any, it can be had; all of @a use that there is gets switched on.
 */
struct offload_rule {
	uint64_t flag;
	uint32_t need, any, use;
};

/*
 * Checksums of received frames are one thing to applications, which set RTE_ETH_RX_OFFLOAD_CHECKSUM
 * without looking (spec/hosts.md §4): a host that verifies some has all. Each frame says what the
 * host has found out, and "unknown" is an answer.
 */
static const struct offload_rule rx_rules[] = {
	{RTE_ETH_RX_OFFLOAD_IPV4_CKSUM, 0, RX_CHECKSUMS, NDIS_CAN_RX_IP4},
	{RTE_ETH_RX_OFFLOAD_TCP_CKSUM, 0, RX_CHECKSUMS, NDIS_CAN_RX_TCP4 | NDIS_CAN_RX_TCP6},
	{RTE_ETH_RX_OFFLOAD_UDP_CKSUM, 0, RX_CHECKSUMS, NDIS_CAN_RX_UDP4 | NDIS_CAN_RX_UDP6},
	{RTE_ETH_RX_OFFLOAD_TCP_LRO, 0, NDIS_CAN_RSC4 | NDIS_CAN_RSC6,
		NDIS_CAN_RSC4 | NDIS_CAN_RSC6},
	{RTE_ETH_RX_OFFLOAD_VLAN_STRIP, 0, 0, 0},
	{RTE_ETH_RX_OFFLOAD_SCATTER, 0, 0, 0},
	{RTE_ETH_RX_OFFLOAD_RSS_HASH, 0, 0, 0},
};

/* A large frame that fits one segment goes out with a checksum only (spec/rndis.md §4.1). */
static const struct offload_rule tx_rules[] = {
	{RTE_ETH_TX_OFFLOAD_IPV4_CKSUM, NDIS_CAN_TX_IP4, 0, NDIS_CAN_TX_IP4},
	{RTE_ETH_TX_OFFLOAD_TCP_CKSUM, TX_TCP, 0, TX_TCP},
	{RTE_ETH_TX_OFFLOAD_UDP_CKSUM, TX_UDP, 0, TX_UDP},
	{RTE_ETH_TX_OFFLOAD_TCP_TSO, NDIS_CAN_TSO4 | NDIS_CAN_TX_IP4 | TX_TCP, 0,
		NDIS_CAN_TSO4 | NDIS_CAN_TSO6 | NDIS_CAN_TX_IP4 | TX_TCP},
	{RTE_ETH_TX_OFFLOAD_VLAN_INSERT, 0, 0, 0},
	{RTE_ETH_TX_OFFLOAD_MULTI_SEGS, 0, 0, 0},
	{RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE, 0, 0, 0},
};

/* ---- what there is ---- */

static uint64_t
capa(const struct offload_rule *rules, size_t n, uint32_t can)
{
	uint64_t flags = 0;
	size_t i;

	for (i = 0; i < n; i++)
		if ((can & rules[i].need) == rules[i].need &&
			(rules[i].any == 0 || (can & rules[i].any) != 0))
			flags |= rules[i].flag;
	return flags;
}

static uint64_t
rx_capa(uint32_t can)
{
	return capa(rx_rules, RTE_DIM(rx_rules), can) & NETVSC_RX_OFFLOADS;
}

static uint64_t
tx_capa(uint32_t can)
{
	return capa(tx_rules, RTE_DIM(tx_rules), can) & NETVSC_TX_OFFLOADS;
}

uint64_t
netvsc_offload_rx_capa(const struct netvsc_port *port)
{
	return rx_capa(port->limits.offloads.can);
}

uint64_t
netvsc_offload_tx_capa(const struct netvsc_port *port)
{
	return tx_capa(port->limits.offloads.can);
}

/* ---- coalescing ---- */

uint32_t
netvsc_lro_limit(const struct rte_eth_rxmode *rx)
{
	if (rx->max_lro_pkt_size == netvsc_rx_room(rx->mtu) || rx->max_lro_pkt_size >= UINT16_MAX)
		return 0;
	return rx->max_lro_pkt_size;
}

bool
netvsc_lro_is_on(const struct rte_eth_dev_data *data)
{
	const struct rte_eth_rxmode *rx = &data->dev_conf.rxmode;

	return (rx->offloads & RTE_ETH_RX_OFFLOAD_TCP_LRO) != 0 && netvsc_lro_limit(rx) == 0;
}

/* ---- attach ---- */

/* What of it the driver believes and can use, for this NVSP version. */
static void
offload_limit(struct ndis_offloads *offloads, uint32_t nvsp_version)
{
	uint32_t *can = &offloads->can;

	if (nvsp_version < NVSP_VERSION_5)
		*can &= ~TX_UDP; /* spec/rndis.md §4.1 */
	if (nvsp_version < NVSP_VERSION_61)
		*can &= ~(NDIS_CAN_RSC4 | NDIS_CAN_RSC6); /* spec/rndis.md §4.3 */
	/* Large sends that are no larger than others are none, nor are those of three segments. */
	if (offloads->tso4_max <= RTE_ETHER_MAX_LEN || offloads->tso4_min_segs > 2)
		*can &= ~NDIS_CAN_TSO4;
	if (offloads->tso6_max <= RTE_ETHER_MAX_LEN || offloads->tso6_min_segs > 2)
		*can &= ~NDIS_CAN_TSO6;
	offloads->tso4_max =
		*can & NDIS_CAN_TSO4 ? RTE_MIN(offloads->tso4_max, RNDIS_MAX_BIG_FRAME) : 0;
	offloads->tso6_max =
		*can & NDIS_CAN_TSO6 ? RTE_MIN(offloads->tso6_max, RNDIS_MAX_BIG_FRAME) : 0;
}

static int
offload_query(struct netvsc_port *port)
{
	struct netvsc_session *s = &port->session;
	uint8_t in[NDIS_OFFLOAD_CAPS_REV3], out[512];
	uint32_t got = 0;
	int rc;

	memset(&s->offloads, 0, sizeof(s->offloads));
	rc = ndis_build_offload_query(in, sizeof(in), nvsp_ndis_version(s->nvsp_version));
	if (rc < 0)
		return rc;
	rc = netvsc_query(
		port, OID_TCP_OFFLOAD_HARDWARE_CAPS, in, (uint32_t)rc, out, sizeof(out), &got);
	if (rc == -ENOTSUP || rc == -EIO || rc == -ENODATA)
		return 0;
	if (rc != 0)
		return rc;
	if (ndis_parse_offload_caps(out, got, &s->offloads) != 0) {
		NETVSC_LOG(NOTICE, port,
			"what the host says of its offloads makes no sense: none are used");
		return 0;
	}
	offload_limit(&s->offloads, s->nvsp_version);
	return 0;
}

/* Have exactly these on, of NDIS_CAN_*. */
static int
offload_set(struct netvsc_port *port, uint32_t want)
{
	uint8_t info[NDIS_OFFLOAD_PARAMS_REV3];
	int rc;

	rc = ndis_build_offload_params(
		info, sizeof(info), nvsp_ndis_version(port->session.nvsp_version), want);
	if (rc > 0)
		rc = netvsc_set(port, OID_TCP_OFFLOAD_PARAMETERS, info, (uint32_t)rc);
	if (rc == 0)
		port->session.offloads_on = want;
	return rc;
}

int
netvsc_offload_attach(struct netvsc_port *port)
{
	int rc;

	rc = offload_query(port);
	if (rc == 0)
		rc = offload_set(port, 0);
	/* A host that has none may not know the question. */
	return rc == -ENOTSUP || rc == -EIO ? 0 : rc;
}

/* ---- start ---- */

/* @return 0, or -ENOTSUP: the host of this session has less than the one that was asked */
static int
offload_missing(struct netvsc_port *port, uint64_t rx, uint64_t tx)
{
	const char *name;

	rx &= ~rx_capa(port->session.offloads.can);
	tx &= ~tx_capa(port->session.offloads.can);
	if (rx == 0 && tx == 0)
		return 0;
	name = rx != 0 ? rte_eth_dev_rx_offload_name(rx & -rx)
		       : rte_eth_dev_tx_offload_name(tx & -tx);
	NETVSC_LOG(ERR, port,
		"the host cannot do offload %s %s (any more); look at dev_info again and "
		"configure without it",
		rx != 0 ? "RX" : "TX", name);
	return -ENOTSUP;
}

static uint32_t
uses(const struct offload_rule *rules, size_t n, uint64_t flags)
{
	uint32_t use = 0;
	size_t i;

	for (i = 0; i < n; i++)
		if (flags & rules[i].flag)
			use |= rules[i].use;
	return use;
}

int
netvsc_offload_apply(struct netvsc_port *port)
{
	const struct rte_eth_dev_data *data = port->data;
	uint64_t rx = data->dev_conf.rxmode.offloads, tx = data->dev_conf.txmode.offloads;
	uint32_t want;
	uint16_t q;
	int rc;

	for (q = 0; q < data->nb_rx_queues; q++)
		if (data->rx_queues[q] != NULL)
			rx |= ((struct netvsc_rxq *)data->rx_queues[q])->conf.offloads;
	for (q = 0; q < data->nb_tx_queues; q++)
		if (data->tx_queues[q] != NULL)
			tx |= ((struct netvsc_txq *)data->tx_queues[q])->conf.offloads;
	rc = offload_missing(port, rx, tx);
	if (rc != 0)
		return rc;
	if (!netvsc_lro_is_on(data))
		rx &= ~RTE_ETH_RX_OFFLOAD_TCP_LRO;
	want = uses(rx_rules, RTE_DIM(rx_rules), rx) | uses(tx_rules, RTE_DIM(tx_rules), tx);
	want &= port->session.offloads.can;
	/* Attaching has switched all off. */
	if (want == port->session.offloads_on)
		return 0;
	rc = offload_set(port, want);
	if (rc == -ENOTSUP || rc == -EIO)
		NETVSC_LOG(ERR, port,
			"the host refused the offloads that were configured (rx %#" PRIx64
			", tx %#" PRIx64 "), which it has announced; configure without them",
			rx, tx);
	return rc;
}
