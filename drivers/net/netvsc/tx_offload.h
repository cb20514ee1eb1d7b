/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What a frame asks of the host (spec/rndis.md §4.1): its ol_flags as words of PPIs. They are
 * checked against the mbuf's header lengths and those against the headers themselves, because the
 * host refuses a whole packet for one request in it that cannot be met.
 *
 * The caller's mbuf is only read: an application may have cloned it, or send it again. What must
 * stand differently in the headers is written into the driver's own copy of them.
 */
#ifndef HP_NETVSC_TX_OFFLOAD_H
#define HP_NETVSC_TX_OFFLOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_mbuf.h>

struct netvsc_txq;

/** Headers are looked at in this much of a frame. */
#define NETVSC_TX_HEAD_MAX 256u
/** Where the type of an Ethernet frame is, or its tag. */
#define NETVSC_TYPE_AT (2u * RTE_ETHER_ADDR_LEN)
/**
 * The smallest segment that is asked for: hosts refuse floods of tiny ones (spec/rndis.md §10), and
 * no TCP uses them.
 */
#define NETVSC_TX_MSS_MIN 64u

/** Offsets are those of the frame without what is left out of it. */
struct netvsc_tx_asks {
	uint32_t type, word; /**< PPI for checksums or segmentation; word 0: none */
	uint32_t vlan;	     /**< word of the VLAN PPI, if @a tagged */
	bool tagged;
	bool ipv6;
	uint8_t cut; /**< bytes left out at NETVSC_TYPE_AT: a tag, which goes as PPI */
	uint8_t l3;  /**< only if @a headers != 0, as the next two */
	uint16_t l4;
	uint16_t headers; /**< bytes of headers to be written anew, 0: they go as they are */
	bool sum_only;	  /**< of those nothing but the sum of the pseudo header, which was 0 */
	bool too_large;	  /**< more than the host cuts at once: it goes as several */
	uint32_t l4_len;  /**< that their checksum and IP's length count; 0: a segmented frame */
};

/** Does a tag stand in the frame, of which there is an Ethernet header? */
static inline bool
netvsc_tx_has_tag(const uint8_t *frame)
{
	uint16_t type;

	memcpy(&type, frame + NETVSC_TYPE_AT, sizeof(type));
	return type == RTE_BE16(RTE_ETHER_TYPE_VLAN);
}

/**
 * Find out what is to be said of a frame, which agrees with itself (tx_frame.h).
 * @return 0; -EINVAL the mbuf or its headers contradict what is asked; -ENOTSUP it cannot be done
 */
int netvsc_tx_ask(
	const struct netvsc_txq *txq, const struct rte_mbuf *m, struct netvsc_tx_asks *asks);
/** What is asked for a part of a large frame that fits one segment: @p payload bytes. */
void netvsc_tx_ask_one_segment(struct netvsc_tx_asks *asks, uint32_t payload);
/** Write the headers of a frame anew (asks->headers != 0). @param frame a copy of them */
void netvsc_tx_fix(uint8_t *frame, const struct netvsc_tx_asks *asks);
/**
 * Behind netvsc_tx_fix(), for a piece of a large frame.
 * @param segments, bytes of the frame's payload before this piece
 */
void netvsc_tx_fix_piece(uint8_t *frame, const struct netvsc_tx_asks *asks, uint32_t segments,
	uint32_t bytes, bool last);

/**
 * eth_dev.tx_pkt_prepare: say which frames cannot be sent as they are, and write the checksums of
 * pseudo headers into those that can. Any lcore.
 * @return frames before the first that cannot; rte_errno is EINVAL or ENOTSUP
 */
uint16_t netvsc_tx_prepare(void *queue, struct rte_mbuf **pkts, uint16_t n);

#endif
