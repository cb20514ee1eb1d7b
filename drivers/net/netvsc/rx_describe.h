/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What an mbuf tells of its frame: checksums, hash and tag as the host says, the packet type by the
 * frame's own headers. Hosts label hashes of UDP as TCP (spec/rndis.md §4.2), so that types are not
 * taken from those. On the queue's lcore.
 */
#ifndef HP_NETVSC_RX_DESCRIBE_H
#define HP_NETVSC_RX_DESCRIBE_H

#include <stdint.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_mbuf.h>
#include <rte_net.h>

#include "drivers/net/netvsc/rx.h"
#include "lib/netvsp/rndis.h"

/** Words that make a frame one of rx_place.c's: a tag that goes back in, a fragment. */
static inline uint32_t
netvsc_rx_special(struct netvsc_rx_wants wants)
{
	return (RNDIS_HAS_VLAN & ~wants.words) | RNDIS_HAS_PACKET_ID;
}

/** IPv4 without options over Ethernet, and its protocol. */
#define NETVSC_IP4_AT	 14u
#define NETVSC_IP4_L4_AT 34u

/**
 * The type of a frame, as its headers say, of these layers.
 * @param m     an mbuf with the frame
 * @param frame where it begins
 * @param len   bytes of it there
 */
static __rte_always_inline uint32_t
netvsc_rx_ptype(const struct rte_mbuf *m, const uint8_t *frame, uint32_t len, uint32_t layers)
{
	/* As they lie in memory: EtherType and version; fragment, (time to live,) and protocol. */
	const uint32_t ip4 = RTE_BE32(0x08004500u), ip4_mask = RTE_BE32(0xffffff00u);
	const uint32_t tcp = RTE_BE32(IPPROTO_TCP), udp = RTE_BE32(IPPROTO_UDP),
		       l4_mask = RTE_BE32(0x3fff00ffu);
	uint32_t type = RTE_PTYPE_L2_ETHER | RTE_PTYPE_L3_IPV4, head, l4;

	if (likely(len >= NETVSC_IP4_L4_AT + sizeof(struct rte_tcp_hdr))) {
		memcpy(&head, frame + NETVSC_IP4_AT - 2, sizeof(head));
		memcpy(&l4, frame + NETVSC_IP4_AT + 6, sizeof(l4));
		if (likely((head & ip4_mask) == ip4)) {
			l4 &= l4_mask;
			if (l4 == tcp)
				return (type | RTE_PTYPE_L4_TCP) & layers;
			if (l4 == udp)
				return (type | RTE_PTYPE_L4_UDP) & layers;
		}
	}
	return rte_net_get_ptype(m, NULL, layers);
}

/** ol_flags of mbufs that tell a hash, a tag. */
#define NETVSC_RX_HASH_FLAGS RTE_MBUF_F_RX_RSS_HASH
#define NETVSC_RX_TAG_FLAGS  (RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED)

/**
 * Fill in what an mbuf tells; its data and lengths are in place.
 * @param info  what the host said of the frame
 * @param flags ol_flags that it has anyway
 */
static inline void
netvsc_rx_describe(struct rte_mbuf *m, const struct netvsc_rxq *rxq,
	const struct rndis_packet_info *info, uint64_t flags)
{
	struct netvsc_rx_wants wants = rxq->plan.wants;
	uint32_t words = info->present & wants.words;

	if (words & RNDIS_HAS_HASH_VALUE) {
		m->hash.rss = info->hash_value;
		flags |= NETVSC_RX_HASH_FLAGS;
	}
	if (words & RNDIS_HAS_CSUM)
		flags |= rxq->csum_flags[info->csum % NETVSC_RX_CSUM_WORDS];
	if (words & RNDIS_HAS_VLAN) {
		m->vlan_tci = info->vlan_tci;
		flags |= NETVSC_RX_TAG_FLAGS;
	}
	m->ol_flags = flags;
	m->packet_type = wants.ptypes == 0
				 ? 0
				 : netvsc_rx_ptype(m, rte_pktmbuf_mtod(m, const uint8_t *),
					   m->data_len, wants.ptypes);
}

/** Where a frame begins that fills one mbuf: rx.c's. */
static __rte_always_inline uint8_t *
netvsc_rx_frame(const struct rte_mbuf *m)
{
	return (uint8_t *)m->buf_addr + RTE_PKTMBUF_HEADROOM;
}

/**
 * The same of such a frame, for whose message there is a plan, in shared memory: each word is
 * loaded once.
 */
static __rte_always_inline void
netvsc_rx_describe_planned(struct rte_mbuf *m, const struct netvsc_rxq *rxq, const uint8_t *msg)
{
	const struct netvsc_rx_plan *plan = &rxq->plan;
	uint32_t csum = vmbus_load32(msg + plan->csum_at) & plan->csum_bits;

	/* Without a question for any of them: what the plan does not tell, it does not flag. */
	m->hash.rss = vmbus_load32(msg + plan->hash_at);
	m->ol_flags = plan->flags | rxq->csum_flags[csum];
	m->packet_type = 0;
	if (likely(!plan->more))
		return;
	if (plan->tag) {
		m->vlan_tci = rndis_vlan_to_tci(vmbus_load32(msg + plan->vlan_at));
		if (plan->wants.ptypes == 0)
			return;
	}
	m->packet_type = netvsc_rx_ptype(m, netvsc_rx_frame(m), m->pkt_len, plan->wants.ptypes);
}

#endif
