/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Placing frames that are not copied into one mbuf as they are: those that are longer, those whose
 * tag goes back in because nobody strips it, and those that come in fragments, the host having
 * coalesced segments (RSC). Such a frame becomes a chain, filled mbuf by mbuf; or it stays where it
 * is, if that is configured (rx_zero_copy.c).
 */
#include <errno.h>
#include <string.h>

#include <rte_ether.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/compat.h"
#include "drivers/net/netvsc/copy.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/rx_describe.h"

#define MACS_LEN (2 * RTE_ETHER_ADDR_LEN)

/* ---- chains ---- */

void
netvsc_rx_chain_free(struct netvsc_rx_chain *chain)
{
	if (chain->head != NULL)
		rte_pktmbuf_free(chain->head);
	chain->head = chain->last = NULL;
}

/* Make an mbuf of the pool an empty segment. */
static void
segment_init(const struct netvsc_rxq *rxq, struct rte_mbuf *m)
{
	memcpy(&m->rearm_data, &rxq->rearm, sizeof(rxq->rearm));
	m->ol_flags = rxq->pool_flags;
	m->packet_type = 0;
	m->pkt_len = 0;
	m->data_len = 0;
}

static void
chain_begin(const struct netvsc_rxq *rxq, struct netvsc_rx_chain *chain, struct rte_mbuf *m)
{
	segment_init(rxq, m);
	chain->head = chain->last = m;
}

/* @return 0 or -ENOBUFS */
static int
chain_grow(const struct netvsc_rxq *rxq, struct netvsc_rx_chain *chain)
{
	struct rte_mbuf *m;

	if (rte_mbuf_raw_alloc_bulk(rxq->mp, &m, 1) != 0)
		return -ENOBUFS;
	segment_init(rxq, m);
	chain->last->next = m;
	chain->last = m;
	chain->head->nb_segs++;
	return 0;
}

static int
chain_append(const struct netvsc_rxq *rxq, struct netvsc_rx_chain *chain, const void *bytes,
	uint32_t len)
{
	const uint8_t *from = bytes;

	chain->head->pkt_len += len;
	while (len != 0) {
		struct rte_mbuf *m = chain->last;
		uint32_t n = RTE_MIN(len, rxq->room - m->data_len);

		netvsc_copy(rte_pktmbuf_mtod_offset(m, uint8_t *, m->data_len), from, n);
		m->data_len = (uint16_t)(m->data_len + n);
		from += n;
		len -= n;
		if (len != 0 && chain_grow(rxq, chain) != 0)
			return -ENOBUFS;
	}
	return 0;
}

/* Append a frame, or its first fragment, with its tag if that goes back in. */
static int
chain_append_first(const struct netvsc_rxq *rxq, struct netvsc_rx_chain *chain, bool tag,
	const uint8_t *msg, const struct rndis_packet_info *info)
{
	const uint16_t words[] = {
		rte_cpu_to_be_16(RTE_ETHER_TYPE_VLAN), rte_cpu_to_be_16(info->vlan_tci)};
	const uint8_t *frame = msg + info->data_abs;
	uint32_t len = info->data_length;
	int rc = 0;

	if (tag) {
		rc = chain_append(rxq, chain, frame, MACS_LEN);
		if (rc == 0)
			rc = chain_append(rxq, chain, words, sizeof(words));
		frame += MACS_LEN;
		len -= MACS_LEN;
	}
	return rc != 0 ? rc : chain_append(rxq, chain, frame, len);
}

/* ---- frames in one range ---- */

/* Has the frame a tag that goes back in? */
static bool
place_has_tag(const struct netvsc_rxq *rxq, const struct rndis_packet_info *info)
{
	return (info->present & ~rxq->plan.wants.words & RNDIS_HAS_VLAN) != 0;
}

static int
place_too_long(struct netvsc_rxq *rxq)
{
	rxq->stats.too_long++;
	return NETVSC_RX_DROPPED;
}

static int
place_no_mbuf(struct netvsc_rxq *rxq)
{
	rxq->stats.no_mbuf++;
	return NETVSC_RX_DROPPED;
}

static int
place_whole(struct netvsc_rxq *rxq, const uint8_t *msg, const struct rndis_packet_info *info,
	struct rte_mbuf *m)
{
	bool tag = place_has_tag(rxq, info);
	struct netvsc_rx_chain chain, rest;

	/* A tag that goes back in moves the bytes before it: such a frame is copied. */
	if (info->data_length > rxq->copybreak && !tag && m != NULL &&
		netvsc_rx_lend(rxq, msg, info, m)) {
		netvsc_rx_describe(m, rxq, info, m->ol_flags);
		return (int)m->pkt_len;
	}
	if (info->data_length + (tag ? RTE_VLAN_HLEN : 0) > rxq->room && !rxq->chains)
		return place_too_long(rxq);
	if (m == NULL)
		return place_no_mbuf(rxq);
	chain_begin(rxq, &chain, m);
	if (chain_append_first(rxq, &chain, tag, msg, info) != 0) {
		/* The first one is the caller's, as it was. */
		rest.head = m->next;
		m->next = NULL;
		m->nb_segs = 1;
		netvsc_rx_chain_free(&rest);
		return place_no_mbuf(rxq);
	}
	netvsc_rx_describe(m, rxq, info, m->ol_flags);
	return (int)m->pkt_len;
}

/* ---- fragments ---- */

/* What is held is lost, for want of memory or of room; what comes of it is dropped, too. */
static int
fragment_lost(struct netvsc_rxq *rxq, int (*count)(struct netvsc_rxq *rxq))
{
	netvsc_rx_chain_free(&rxq->rsc);
	return count(rxq);
}

static int
fragment_first(struct netvsc_rxq *rxq, const uint8_t *msg, const struct rndis_packet_info *info)
{
	bool tag = place_has_tag(rxq, info);
	struct rte_mbuf *m;

	if (info->data_length + (tag ? RTE_VLAN_HLEN : 0) > rxq->room && !rxq->chains)
		return place_too_long(rxq);
	if (rte_mbuf_raw_alloc_bulk(rxq->mp, &m, 1) != 0)
		return place_no_mbuf(rxq);
	chain_begin(rxq, &rxq->rsc, m);
	if (chain_append_first(rxq, &rxq->rsc, tag, msg, info) != 0)
		return fragment_lost(rxq, place_no_mbuf);
	/* Checksum, tag and hash are the first fragment's (spec/rndis.md §4.3). */
	netvsc_rx_describe(m, rxq, info, m->ol_flags);
	return NETVSC_RX_HELD;
}

static int
fragment_next(struct netvsc_rxq *rxq, const uint8_t *msg, const struct rndis_packet_info *info)
{
	struct rte_mbuf *head = rxq->rsc.head;

	if (head == NULL)
		return NETVSC_RX_HELD; /* of a frame that is lost, and counted */
	if (head->pkt_len + info->data_length > rxq->room && !rxq->chains)
		return fragment_lost(rxq, place_too_long);
	if (chain_append(rxq, &rxq->rsc, msg + info->data_abs, info->data_length) != 0)
		return fragment_lost(rxq, place_no_mbuf);
	return NETVSC_RX_HELD;
}

/* The frame is complete: the caller gets it in place of the mbuf that he gave. */
static int
fragment_finish(struct netvsc_rxq *rxq, struct rte_mbuf **slot)
{
	struct rte_mbuf *head = rxq->rsc.head;

	if (head == NULL)
		return NETVSC_RX_HELD;
	if (slot == NULL)
		return fragment_lost(rxq, place_no_mbuf);
	rte_mbuf_raw_free(*slot);
	*slot = head;
	rxq->rsc = (struct netvsc_rx_chain){NULL, NULL};
	return (int)head->pkt_len;
}

int
netvsc_rx_place_other(struct netvsc_rxq *rxq, const uint8_t *msg,
	const struct rndis_packet_info *info, struct rte_mbuf **slot, bool last)
{
	const unsigned int alone = RNDIS_RSC_ACT_START | RNDIS_RSC_ACT_FINISH;
	unsigned int act = alone;
	int rc;

	if (info->present & RNDIS_HAS_PACKET_ID)
		act = rndis_rsc_next(&rxq->ch->cursor.rsc, info, last);
	if (act & (RNDIS_RSC_ACT_START | RNDIS_RSC_ACT_DROP))
		netvsc_rx_chain_free(&rxq->rsc);
	if (act & RNDIS_RSC_ACT_DROP)
		return NETVSC_RX_MALFORMED;
	if (act == alone)
		return place_whole(rxq, msg, info, slot == NULL ? NULL : *slot);
	rc = act & RNDIS_RSC_ACT_START ? fragment_first(rxq, msg, info)
				       : fragment_next(rxq, msg, info);
	return act & RNDIS_RSC_ACT_FINISH && rc == NETVSC_RX_HELD ? fragment_finish(rxq, slot) : rc;
}
