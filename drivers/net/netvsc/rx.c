/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Receive. One call of netvsc_rx_burst() reads the host's write index once, walks the packets in
 * place, copies each frame into an mbuf, and publishes the read index and the completions once.
 * What the caller's array has no room for stays in the ring: the cursor remembers where (§ "The
 * data path" of the design).
 */
#include <errno.h>
#include <string.h>

#include <rte_malloc.h>
#include <rte_memcpy.h>
#include <rte_prefetch.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/compat.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"

/* One cache line holds the header and one PPI: copied before anything is believed. */
#define RX_HEADER_COPY 64u
/* Ring packets that one burst looks at: a host that never stops must not hold the lcore. */
#define RX_BUDGET 1024u

/* Next mbuf, fetching a batch from the pool when there is none. */
static inline struct rte_mbuf *
rx_mbuf(struct netvsc_rxq *rxq)
{
	if (unlikely(rxq->n_mbufs == 0)) {
		if (rte_mbuf_raw_alloc_bulk(rxq->mp, rxq->mbufs, NETVSC_RX_BURST) == 0)
			rxq->n_mbufs = NETVSC_RX_BURST;
		else if (rte_mbuf_raw_alloc_bulk(rxq->mp, rxq->mbufs, 1) == 0)
			rxq->n_mbufs = 1;
		else
			return NULL;
	}
	return rxq->mbufs[--rxq->n_mbufs];
}

/* PPIs that did not fit the header copy: fetch them, then look. */
static int
rx_far_ppis(const uint8_t *msg, struct rndis_packet_info *info)
{
	uint8_t ppis[RNDIS_MAX_PPI_LENGTH];

	memcpy(ppis, msg + info->ppi_abs, info->ppi_length);
	return rndis_ppi_walk(ppis, info->ppi_length, info);
}

static inline uint64_t
rx_checksum(uint32_t word)
{
	uint64_t flags = 0;

	/* spec/rndis.md §11: verified but no longer in the frame means NONE. */
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

/* Copy the frame; a tag that the host took out goes back in, since stripping is not offered. */
static inline void
rx_copy(struct rte_mbuf *m, const uint8_t *frame, const struct rndis_packet_info *info)
{
	uint8_t *dst = rte_pktmbuf_mtod(m, uint8_t *);
	uint32_t len = info->data_length;

	if (unlikely(info->present & RNDIS_HAS_VLAN)) {
		const uint16_t tag[2] = {
			rte_cpu_to_be_16(RTE_ETHER_TYPE_VLAN), rte_cpu_to_be_16(info->vlan_tci)};

		memcpy(dst, frame, 2 * RTE_ETHER_ADDR_LEN);
		memcpy(dst + 2 * RTE_ETHER_ADDR_LEN, tag, sizeof(tag));
		memcpy(dst + 2 * RTE_ETHER_ADDR_LEN + sizeof(tag), frame + 2 * RTE_ETHER_ADDR_LEN,
			len - 2 * RTE_ETHER_ADDR_LEN);
		len += sizeof(tag);
	} else {
		rte_memcpy(dst, frame, len);
	}
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
}

/* What became of one range. */
enum rx_result { RX_FRAME, RX_NOTHING, RX_MALFORMED };

static inline enum rx_result
rx_range(struct netvsc_rxq *rxq, struct vmbus_xfer_range range, struct rte_mbuf **out)
{
	struct netvsc_port *port = rxq->port;
	uint8_t header[RX_HEADER_COPY];
	struct rndis_packet_info info;
	struct rte_mbuf *m;
	const uint8_t *msg;
	uint32_t avail, room;
	uint64_t flags;
	int rc;

	if (unlikely(!nvsp_xfer_range_ok(
		    range, (uint32_t)port->bus->recv.len, port->session.recv_section)))
		return RX_MALFORMED;
	msg = port->bus->recv.base + range.byte_offset;
	avail = range.byte_count;
	if (likely(avail >= RX_HEADER_COPY)) {
		avail = RX_HEADER_COPY;
		memcpy(header, msg, RX_HEADER_COPY);
	} else {
		memcpy(header, msg, avail);
	}
	rc = rndis_packet_parse_rx(header, avail, range.byte_count, &info);
	if (unlikely(rc == -ENOBUFS))
		rc = rx_far_ppis(msg, &info);
	if (unlikely(rc != 0))
		return RX_MALFORMED;
	m = rx_mbuf(rxq);
	if (unlikely(m == NULL)) {
		rxq->stats.no_mbuf++;
		return RX_NOTHING;
	}
	memcpy(&m->rearm_data, &rxq->rearm, sizeof(rxq->rearm));
	room = (uint32_t)(m->buf_len - RTE_PKTMBUF_HEADROOM);
	if (unlikely(info.data_length > room - 4)) {
		rxq->mbufs[rxq->n_mbufs++] = m;
		rxq->stats.too_long++;
		return RX_NOTHING;
	}
	rxq->data_hint = info.data_abs;
	m->packet_type = 0;
	rx_copy(m, msg + info.data_abs, &info);
	flags = rxq->pool_flags;
	if (info.present & RNDIS_HAS_HASH_VALUE) {
		m->hash.rss = info.hash_value;
		flags |= RTE_MBUF_F_RX_RSS_HASH;
	}
	if (info.present & RNDIS_HAS_CSUM)
		flags |= rx_checksum(info.csum);
	m->ol_flags = flags;
	rxq->stats.packets++;
	rxq->stats.bytes += m->pkt_len;
	*out = m;
	return RX_FRAME;
}

/* Take ranges of the packet under the cursor until it or the caller's array ends. */
static uint16_t
rx_transfer(struct netvsc_rxq *rxq, struct rte_mbuf **pkts, uint16_t n)
{
	struct netvsc_channel *ch = rxq->ch;
	const struct vmbus_ring *ring = &ch->in.ring;
	struct netvsc_rx_cursor *cursor = &ch->cursor;
	const uint8_t *base = rxq->port->bus->recv.base;
	uint32_t buffer = (uint32_t)rxq->port->bus->recv.len;
	struct vmbus_xfer_range range, next;
	uint16_t got = 0;

	vmbus_ring_copy_out(ring, cursor->next_range, &next, sizeof(next));
	while (cursor->left != 0 && got < n) {
		range = next;
		cursor->left--;
		cursor->next_range =
			vmbus_ring_advance(ring->size, cursor->next_range, sizeof(range));
		if (cursor->left != 0) {
			vmbus_ring_copy_out(ring, cursor->next_range, &next, sizeof(next));
			if (likely(next.byte_offset < buffer)) {
				/* Hosts put the frame at the same place in every section. */
				rte_prefetch0(base + next.byte_offset);
				rte_prefetch0(base + next.byte_offset + rxq->data_hint);
			}
		}
		switch (rx_range(rxq, range, &pkts[got])) {
		case RX_FRAME:
			got++;
			break;
		case RX_MALFORMED:
			cursor->bad = true;
			ch->stats.rx_malformed++;
			break;
		case RX_NOTHING:
			break;
		}
	}
	if (cursor->left == 0) {
		netvsc_rx_complete(ch, cursor->trans_id, !cursor->bad);
		netvsc_rx_consume(ch, cursor->total);
		cursor->active = false;
	}
	return got;
}

/*
 * Look at the packet at the consume position.
 * @return 1 when the cursor is on a transfer packet, 0 when something else was consumed,
 *         -EAGAIN when the ring is empty, -EIO when it is broken
 */
static inline int
rx_next(struct netvsc_channel *ch)
{
	struct vmbus_packet pkt;
	uint32_t first;
	int total, ranges;

	total = vmbus_ring_peek(&ch->in, &pkt);
	if (total <= 0)
		return total == 0 ? -EAGAIN : total;
	if (likely(pkt.type == VMBUS_PACKET_XFER_PAGES)) {
		if (netvsc_rx_was_handled(ch)) {
			netvsc_rx_consume(ch, (uint32_t)total);
			return 0;
		}
		ranges = netvsc_rx_transfer_header(ch, &pkt, ch->in.next_r, &first);
		if (likely(ranges > 0)) {
			if (ch->index == 0 && ranges == 1 &&
				netvsc_rx_control_transfer(ch, &pkt, ch->in.next_r)) {
				netvsc_rx_consume(ch, (uint32_t)total);
				return 0;
			}
			ch->cursor = (struct netvsc_rx_cursor){
				.active = true,
				.total = (uint32_t)total,
				.next_range = first,
				.left = (uint32_t)ranges,
				.trans_id = pkt.trans_id,
			};
			return 1;
		}
		ch->stats.rx_malformed++;
		netvsc_rx_complete(ch, pkt.trans_id, false);
	} else if (ch->consumed < ch->scanned) {
		; /* handled ahead by a scan */
	} else if (pkt.type == VMBUS_PACKET_COMPLETION || pkt.type == VMBUS_PACKET_INBAND) {
		netvsc_rx_control_packet(ch, &pkt, ch->in.next_r);
	} else {
		ch->stats.rx_unknown_packets++;
	}
	netvsc_rx_consume(ch, (uint32_t)total);
	return 0;
}

uint16_t
netvsc_rx_burst(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct netvsc_rxq *rxq = queue;
	struct netvsc_channel *ch = rxq->ch;
	unsigned int budget = RX_BUDGET;
	uint16_t got = 0;
	int rc;

	if (unlikely(atomic_load_explicit(&rxq->port->state, memory_order_acquire) !=
		     NETVSC_STATE_RUNNING))
		return 0;
	if (unlikely(!rte_spinlock_trylock(&ch->rx_lock))) {
		/* A sender is scanning for completions; wait only if that happens again and again.
		 */
		if (++rxq->lock_misses < NETVSC_TRYLOCK_LIMIT)
			return 0;
		if (!netvsc_channel_lock_soon(&ch->rx_lock))
			return 0;
	}
	rxq->lock_misses = 0;
	/* The port may have been stopped, or more, since the look at its state. */
	if (unlikely(!netvsc_channel_live(ch))) {
		rte_spinlock_unlock(&ch->rx_lock);
		return 0;
	}
	netvsc_channel_polled(ch);
	/* Even with n == 0 completions and events must move (pitfall X19). */
	while (netvsc_rx_complete_room(ch) && budget-- != 0) {
		if (!ch->cursor.active) {
			if (unlikely(n == 0)) {
				netvsc_rx_scan(ch);
				break;
			}
			rc = rx_next(ch);
			if (rc == 0)
				continue;
			if (rc < 0) {
				if (unlikely(rc != -EAGAIN))
					netvsc_port_broken(
						rxq->port, "the host broke the inbound ring");
				break;
			}
		}
		if (got == n)
			break;
		got += rx_transfer(rxq, pkts + got, (uint16_t)(n - got));
		if (got == n)
			break;
	}
	netvsc_rx_flush(ch);
	rte_spinlock_unlock(&ch->rx_lock);
	return got;
}
