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

/** Words of receive checksums there are: 9 bits (spec/rndis.md §4.2). */
#define NETVSC_RX_CSUM_WORDS 512u

/** ol_flags by receive checksum word. */
extern uint16_t netvsc_rx_csum_flags[NETVSC_RX_CSUM_WORDS];

/** IPv4 without options over Ethernet, and its protocol. */
#define NETVSC_IP4_AT	 14u
#define NETVSC_IP4_L4_AT 34u

/**
 * The type of a frame, as its headers say, of these layers.
 * @param m an mbuf with the frame
 */
static __rte_always_inline uint32_t
netvsc_rx_ptype(const struct rte_mbuf *m, uint32_t layers)
{
	/* EtherType and version as they lie in memory; no fragment. */
	const uint32_t ip4 = rte_cpu_to_be_32(0x08004500u),
		       ip4_mask = rte_cpu_to_be_32(0xffffff00u);
	const uint16_t fragment = rte_cpu_to_be_16(0x3fff);
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t type, head;
	uint16_t offset;

	if (likely(m->data_len >= NETVSC_IP4_L4_AT + sizeof(struct rte_tcp_hdr))) {
		memcpy(&head, frame + NETVSC_IP4_AT - 2, sizeof(head));
		memcpy(&offset, frame + NETVSC_IP4_AT + 6, sizeof(offset));
		type = RTE_PTYPE_L2_ETHER | RTE_PTYPE_L3_IPV4;
		if ((head & ip4_mask) == ip4 && (offset & fragment) == 0) {
			uint8_t protocol = frame[NETVSC_IP4_AT + 9];

			if (likely(protocol == IPPROTO_TCP))
				return (type | RTE_PTYPE_L4_TCP) & layers;
			if (likely(protocol == IPPROTO_UDP))
				return (type | RTE_PTYPE_L4_UDP) & layers;
		}
	}
	return rte_net_get_ptype(m, NULL, layers);
}

/* What is told of one word; @return ol_flags */

static __rte_always_inline uint64_t
netvsc_rx_tell_hash(struct rte_mbuf *m, uint32_t word)
{
	m->hash.rss = word;
	return RTE_MBUF_F_RX_RSS_HASH;
}

static __rte_always_inline uint64_t
netvsc_rx_tell_csum(struct netvsc_rx_wants wants, uint32_t word)
{
	return netvsc_rx_csum_flags[word & wants.csum];
}

static __rte_always_inline uint64_t
netvsc_rx_tell_tag(struct rte_mbuf *m, uint16_t tci)
{
	m->vlan_tci = tci;
	return RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
}

/** The end of both below. */
static __rte_always_inline void
netvsc_rx_describe_end(struct rte_mbuf *m, struct netvsc_rx_wants wants, uint64_t flags)
{
	m->packet_type = wants.ptypes == 0 ? 0 : netvsc_rx_ptype(m, wants.ptypes);
	m->ol_flags = flags;
}

/**
 * Fill in what an mbuf tells; its data and lengths are in place.
 * @param info  what the host said of the frame
 * @param flags ol_flags that it has anyway
 */
static inline void
netvsc_rx_describe(struct rte_mbuf *m, struct netvsc_rx_wants wants,
	const struct rndis_packet_info *info, uint64_t flags)
{
	uint32_t words = info->present & wants.words;

	if (words & RNDIS_HAS_HASH_VALUE)
		flags |= netvsc_rx_tell_hash(m, info->hash_value);
	if (words & RNDIS_HAS_CSUM)
		flags |= netvsc_rx_tell_csum(wants, info->csum);
	if (words & RNDIS_HAS_VLAN)
		flags |= netvsc_rx_tell_tag(m, info->vlan_tci);
	netvsc_rx_describe_end(m, wants, flags);
}

/** The same of a message that has this shape, in shared memory: each word is loaded once. */
static __rte_always_inline void
netvsc_rx_describe_shaped(struct rte_mbuf *m, struct netvsc_rx_wants wants,
	const struct rndis_shape *shape, const uint8_t *msg, uint64_t flags)
{
	uint32_t words = shape->present & wants.words;

	if (words != 0) {
		if (words & RNDIS_HAS_HASH_VALUE)
			flags |= netvsc_rx_tell_hash(m, vmbus_load32(msg + shape->hash_value_at));
		if (words & RNDIS_HAS_CSUM)
			flags |= netvsc_rx_tell_csum(wants, vmbus_load32(msg + shape->csum_at));
		if (words & RNDIS_HAS_VLAN)
			flags |= netvsc_rx_tell_tag(
				m, rndis_vlan_to_tci(vmbus_load32(msg + shape->vlan_at)));
	}
	netvsc_rx_describe_end(m, wants, flags);
}

#endif
