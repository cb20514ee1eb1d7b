/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What receive queues do besides bringing frames, by configuration. A queue for which nothing is
 * asked has a burst that looks at nothing (rx.c); settings that change while it runs are words that
 * the next burst reads.
 */
#include <errno.h>

#include "drivers/net/netvsc/offload.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/rx_describe.h"

#define RX_CHECKSUMS                                                                               \
	(RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM |                            \
		RTE_ETH_RX_OFFLOAD_TCP_CKSUM)

/* ---- what checksum words mean ---- */

/* spec/rndis.md §11: verified but no longer in the frame means NONE; neither means UNKNOWN. */
static uint64_t
csum_meaning(uint32_t word)
{
	uint64_t flags = 0;

	if (word & RNDIS_RX_CSUM_IP_FAILED)
		flags |= RTE_MBUF_F_RX_IP_CKSUM_BAD;
	else if (word & RNDIS_RX_CSUM_IP_OK)
		flags |= word & RNDIS_RX_CSUM_IP_VALUE_INVALID ? RTE_MBUF_F_RX_IP_CKSUM_NONE
							       : RTE_MBUF_F_RX_IP_CKSUM_GOOD;
	if (word & (RNDIS_RX_CSUM_TCP_FAILED | RNDIS_RX_CSUM_UDP_FAILED))
		flags |= RTE_MBUF_F_RX_L4_CKSUM_BAD;
	else if (word & (RNDIS_RX_CSUM_TCP_OK | RNDIS_RX_CSUM_UDP_OK))
		flags |= word & RNDIS_RX_CSUM_TCP_VALUE_INVALID ? RTE_MBUF_F_RX_L4_CKSUM_NONE
								: RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	return flags;
}

/* Bits of the checksum word that count with these offloads. */
static uint32_t
csum_bits(uint64_t offloads)
{
	uint32_t bits = 0;

	if (offloads & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM)
		bits |= RNDIS_RX_CSUM_IP_OK | RNDIS_RX_CSUM_IP_FAILED |
			RNDIS_RX_CSUM_IP_VALUE_INVALID;
	if (offloads & RTE_ETH_RX_OFFLOAD_TCP_CKSUM)
		bits |= RNDIS_RX_CSUM_TCP_OK | RNDIS_RX_CSUM_TCP_FAILED |
			RNDIS_RX_CSUM_TCP_VALUE_INVALID;
	if (offloads & RTE_ETH_RX_OFFLOAD_UDP_CKSUM)
		bits |= RNDIS_RX_CSUM_UDP_OK | RNDIS_RX_CSUM_UDP_FAILED |
			RNDIS_RX_CSUM_TCP_VALUE_INVALID;
	return bits;
}

/* ---- queues ---- */

uint64_t
netvsc_rxq_offloads(const struct netvsc_rxq *rxq)
{
	uint64_t offloads = rxq->port->data->dev_conf.rxmode.offloads | rxq->conf.offloads;

	return rxq->keeps_tags ? offloads & ~RTE_ETH_RX_OFFLOAD_VLAN_STRIP : offloads;
}

void
netvsc_rxq_apply(struct netvsc_rxq *rxq)
{
	uint64_t offloads = netvsc_rxq_offloads(rxq);
	uint32_t words = 0;

	if (offloads & RX_CHECKSUMS)
		words |= RNDIS_HAS_CSUM;
	if (offloads & RTE_ETH_RX_OFFLOAD_RSS_HASH)
		words |= RNDIS_HAS_HASH_VALUE;
	if (offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP)
		words |= RNDIS_HAS_VLAN;
	/* Mbufs whose buffers are external already cannot have another one. */
	rxq->copybreak = rxq->port->lender != NULL && rxq->pool_flags == 0
				 ? rxq->port->config.rx_copybreak
				 : NETVSC_RX_COPY_ALL;
	rxq->copy_max = RTE_MIN(rxq->room, rxq->copybreak);
	rxq->chains =
		(offloads & RTE_ETH_RX_OFFLOAD_SCATTER) != 0 || netvsc_lro_is_on(rxq->port->data);
	/* Bursts may run; each word for itself is right before and after a change. */
	__atomic_store_n(&rxq->wants.csum, csum_bits(offloads), __ATOMIC_RELAXED);
	__atomic_store_n(&rxq->wants.words, words, __ATOMIC_RELAXED);
	__atomic_store_n(&rxq->wants.ptypes, rxq->port->config.ptypes, __ATOMIC_RELAXED);
	/* Release: pairs with the exchange in netvsc_rx_plan_wants(). */
	__atomic_store_n(&rxq->mode, NETVSC_RX_ANEW, __ATOMIC_RELEASE);
}

void
netvsc_rx_plan_wants(struct netvsc_rxq *rxq)
{
	uint8_t mode = rxq->ch->wire != NULL ? NETVSC_RX_TRACED : NETVSC_RX_TELLS;
	uint32_t word;

	/* First: what is set from here on makes the next burst come again, too. */
	__atomic_exchange_n(&rxq->mode, mode, __ATOMIC_ACQUIRE);
	rxq->plan.wants = (struct netvsc_rx_wants){
		.words = __atomic_load_n(&rxq->wants.words, __ATOMIC_RELAXED),
		.csum = __atomic_load_n(&rxq->wants.csum, __ATOMIC_RELAXED),
		.ptypes = __atomic_load_n(&rxq->wants.ptypes, __ATOMIC_RELAXED),
	};
	for (word = 0; word < NETVSC_RX_CSUM_WORDS; word++)
		rxq->csum_flags[word] = (uint16_t)csum_meaning(word & rxq->plan.wants.csum);
	netvsc_rx_plan_shape(rxq);
	if (mode == NETVSC_RX_TELLS && (rxq->plan.wants.words | rxq->plan.wants.ptypes) == 0)
		__atomic_compare_exchange_n(&rxq->mode, &mode, NETVSC_RX_PLAIN, false,
			__ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

void
netvsc_rx_plan_shape(struct netvsc_rxq *rxq)
{
	const struct rndis_shape *shape = &rxq->shape;
	struct netvsc_rx_plan *plan = &rxq->plan;
	uint32_t tells = shape->present & plan->wants.words;

	plan->copy_max = shape->present & netvsc_rx_special(plan->wants) ? 0 : rxq->copy_max;
	plan->flags = rxq->pool_flags;
	plan->hash_at = plan->csum_at = plan->csum_bits = plan->vlan_at = 0;
	if (tells & RNDIS_HAS_HASH_VALUE) {
		plan->hash_at = shape->hash_value_at;
		plan->flags |= NETVSC_RX_HASH_FLAGS;
	}
	if (tells & RNDIS_HAS_CSUM) {
		plan->csum_at = shape->csum_at;
		plan->csum_bits = NETVSC_RX_CSUM_WORDS - 1;
	}
	if (tells & RNDIS_HAS_VLAN) {
		plan->vlan_at = shape->vlan_at;
		plan->flags |= NETVSC_RX_TAG_FLAGS;
	}
	plan->tag = (tells & RNDIS_HAS_VLAN) != 0;
	plan->more = plan->tag || plan->wants.ptypes != 0;
}

/* ---- while the port runs ---- */

/* For a queue by itself, until the port is set as a whole or the queue is set up anew. */
static void
strip_set(struct netvsc_rxq *rxq, bool on)
{
	uint64_t port = rxq->port->data->dev_conf.rxmode.offloads;

	if (on)
		rxq->conf.offloads |= RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
	else
		rxq->conf.offloads &= ~RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
	rxq->keeps_tags = !on && (port & RTE_ETH_RX_OFFLOAD_VLAN_STRIP) != 0;
	netvsc_rxq_apply(rxq);
}

int
netvsc_vlan_offload_set(struct rte_eth_dev *eth, int mask)
{
	const struct rte_eth_dev_data *data = eth->data;
	uint16_t q;

	/* ethdev has refused what dev_info does not have, and has stored the new setting. */
	if (!(mask & RTE_ETH_VLAN_STRIP_MASK))
		return 0;
	for (q = 0; data->rx_queues != NULL && q < data->nb_rx_queues; q++)
		if (data->rx_queues[q] != NULL)
			strip_set(data->rx_queues[q],
				data->dev_conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP);
	netvsc_vf_changed(netvsc_port_of(eth), NETVSC_VF_SET_VLAN);
	return 0;
}

void
netvsc_vlan_strip_queue_set(struct rte_eth_dev *eth, uint16_t queue, int on)
{
	struct netvsc_rxq *rxq = eth->data->rx_queues[queue];

	if (rxq != NULL)
		strip_set(rxq, on);
	netvsc_vf_changed(netvsc_port_of(eth), NETVSC_VF_SET_VLAN);
}

/* ---- packet types ---- */

/* What rte_net_get_ptype() says of frames without tunnels. */
static const uint32_t ptypes[] = {
	RTE_PTYPE_L2_ETHER,
	RTE_PTYPE_L2_ETHER_VLAN,
	RTE_PTYPE_L2_ETHER_QINQ,
	RTE_PTYPE_L2_ETHER_MPLS,
	RTE_PTYPE_L3_IPV4,
	RTE_PTYPE_L3_IPV4_EXT,
	RTE_PTYPE_L3_IPV6,
	RTE_PTYPE_L3_IPV6_EXT,
	RTE_PTYPE_L4_TCP,
	RTE_PTYPE_L4_UDP,
	RTE_PTYPE_L4_SCTP,
	RTE_PTYPE_L4_FRAG,
	RTE_PTYPE_UNKNOWN,
};

const uint32_t *
netvsc_ptypes_get(struct rte_eth_dev *eth, size_t *count)
{
	/* By count since 24.03, by the last one before (pitfall I7). */
	*count = RTE_DIM(ptypes) - 1;
	return ptypes;
}

int
netvsc_ptypes_set(struct rte_eth_dev *eth, uint32_t mask)
{
	struct rte_eth_dev_data *data = eth->data;
	struct netvsc_port *port = netvsc_port_of(eth);
	uint32_t layers = 0;
	uint16_t q;

	if (mask & RTE_PTYPE_L2_MASK)
		layers |= RTE_PTYPE_L2_MASK;
	if (mask & RTE_PTYPE_L3_MASK)
		layers |= RTE_PTYPE_L3_MASK;
	if (mask & RTE_PTYPE_L4_MASK)
		layers |= RTE_PTYPE_L4_MASK;
	/* At once: the VF's control thread may be copying it. */
	port->config.ptypes = layers;
	for (q = 0; data->rx_queues != NULL && q < data->nb_rx_queues; q++)
		if (data->rx_queues[q] != NULL)
			netvsc_rxq_apply(data->rx_queues[q]);
	netvsc_vf_changed(port, NETVSC_VF_SET_PTYPES);
	return 0;
}
