/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Receive. One call of netvsc_rx_burst() reads the host's write index once, walks the packets in
 * place, copies each frame into an mbuf, and publishes the read index and the completions once.
 * What the caller's array has no room for stays in the ring: the cursor remembers where (§ "The
 * data path" of the design).
 *
 * Each range of a transfer packet is *parsed*, which says where its frame lies and what the host
 * says of it, and then *placed* into what the caller gets. Frames mostly have the shape of the one
 * before, so that parsing is a comparison; rx_odd() has the parser, and all that does not happen to
 * a frame.
 */
#include <errno.h>
#include <string.h>

#include <rte_malloc.h>
#include <rte_prefetch.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/compat.h"
#include "drivers/net/netvsc/copy.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/rx_describe.h"
#include "drivers/net/netvsc/trace.h"
#include "drivers/net/netvsc/tx.h"
#include "drivers/net/netvsc/wire.h"

/* The header and four PPIs, copied before anything is believed. */
#define RX_HEADER_COPY 128u
/* Ring packets that one burst looks at: a host that never stops must not hold the lcore. */
#define RX_BUDGET 1024u

/* The receive buffer as of this burst. */
struct rx_buffer {
	const uint8_t *base;
	uint32_t len;	     /* bytes */
	uint32_t section;    /* bytes */
	const uint8_t *last; /* the last place where a whole section fits */
};

/* ---- parse ---- */

/* PPIs that did not fit the header copy: fetch them, then look. */
static int
rx_far_ppis(const uint8_t *msg, struct rndis_packet_info *info)
{
	uint8_t ppis[RNDIS_MAX_PPI_LENGTH];

	vmbus_load(ppis, msg + info->ppi_abs, info->ppi_length);
	return rndis_ppi_walk(ppis, info->ppi_length, info);
}

/* Any message, in full; the next one is expected to look like it. @return 0 or -EBADMSG */
static int
rx_parse(struct rndis_shape *shape, const uint8_t *msg, uint32_t range_length,
	struct rndis_packet_info *info)
{
	uint32_t avail = RTE_MIN(range_length, RX_HEADER_COPY);
	uint8_t header[RX_HEADER_COPY];
	int rc;

	vmbus_load(header, msg, avail);
	rc = rndis_packet_parse_rx(header, avail, range_length, info);
	if (rc == 0)
		rndis_shape_learn(shape, header, avail, info);
	else if (rc == -ENOBUFS)
		rc = rx_far_ppis(msg, info);
	return rc;
}

/*
 * Is the message one that looks like the one before it?
 * @param msg   anywhere from the buffer's start on, which is all that a range's offset can name
 * @param words RNDIS_HAS_*: to be loaded
 */
static __rte_always_inline bool
rx_match(const struct netvsc_rxq *rxq, const struct rx_buffer *recv, const uint8_t *msg,
	uint32_t range_length, uint32_t words, struct rndis_packet_info *info)
{
	/* A whole section in the buffer is more than nvsp_xfer_range_ok() asks for. */
	return msg <= recv->last && range_length <= recv->section &&
	       rndis_shape_match(&rxq->shape, msg, range_length, words, info);
}

/* ---- place ---- */

/* Does the frame go into one mbuf as it is? */
static inline bool
rx_is_simple(const struct netvsc_rxq *rxq, const struct rndis_packet_info *info)
{
	return info->data_length <= rxq->copy_max &&
	       !(info->present & netvsc_rx_special(rxq->plan.wants));
}

/* Place such a frame, all but what its mbuf tells. @return its bytes */
static __rte_always_inline int
rx_place(const struct netvsc_rxq *rxq, const uint8_t *msg, const struct rndis_packet_info *info,
	struct rte_mbuf *m)
{
	uint32_t len = info->data_length;

	netvsc_copy(netvsc_rx_frame(m), msg + info->data_abs, len);
	memcpy(&m->rearm_data, &rxq->rearm, sizeof(rxq->rearm));
	m->pkt_len = len;
	m->data_len = (uint16_t)len;
	return (int)len;
}

/* ---- ranges ---- */

/* Fetch mbufs from the pool, since there are none. */
static __rte_noinline void
rx_refill(struct netvsc_rxq *rxq)
{
	if (rte_mbuf_raw_alloc_bulk(rxq->mp, rxq->mbufs, NETVSC_RX_BURST) == 0)
		rxq->n_mbufs = NETVSC_RX_BURST;
	else if (rte_mbuf_raw_alloc_bulk(rxq->mp, rxq->mbufs, 1) == 0)
		rxq->n_mbufs = 1;
}

/*
 * A range that is not what was expected, or not simple.
 * @param at   the range
 * @param slot where the mbuf for its frame is, NULL: there is none
 * @param last it is the last one of its packet
 * @return bytes of the frame, or what became of it
 */
static __rte_noinline int
rx_odd(struct netvsc_rxq *rxq, const struct rx_buffer *recv, const uint8_t *at,
	struct rte_mbuf **slot, bool last)
{
	/* Anew: what the burst has seen there decides nothing. */
	struct vmbus_xfer_range range = nvsp_xfer_range_load(at);
	struct netvsc_channel *ch = rxq->ch;
	const uint8_t *msg = recv->base + range.byte_offset;
	struct rndis_packet_info info;

	/* Of the usual shape, but not simple; or else the parser's. */
	if (!rx_match(rxq, recv, msg, range.byte_count, RNDIS_HAS_ALL, &info)) {
		if (!nvsp_xfer_range_ok(range, recv->len, recv->section))
			return NETVSC_RX_MALFORMED;
		if (ch->cursor.alone && netvsc_rx_control_range(ch, range))
			return NETVSC_RX_CONTROL;
		if (rx_parse(&rxq->shape, msg, range.byte_count, &info) != 0)
			return NETVSC_RX_MALFORMED;
		netvsc_rx_plan_shape(rxq);
	}
	if (slot != NULL && rx_is_simple(rxq, &info)) {
		rx_place(rxq, msg, &info, *slot);
		netvsc_rx_describe(*slot, rxq, &info, rxq->pool_flags);
		return (int)info.data_length;
	}
	return netvsc_rx_place_other(rxq, msg, &info, slot, last);
}

static __rte_noinline void
rx_count_odd(struct netvsc_rxq *rxq, int what)
{
	struct netvsc_channel *ch = rxq->ch;

	if (what != NETVSC_RX_MALFORMED)
		return;
	ch->cursor.bad = true;
	ch->stats.rx_malformed++;
	/* A frame that was being put together will not be complete (pitfall X21). */
	rndis_rsc_reset(&ch->cursor.rsc);
	netvsc_rx_chain_free(&rxq->rsc);
}

/*
 * The pool is empty. What sends hold that the host has completed is free, but a send of this queue
 * is what frees it, and who forwards does not send while nothing comes. Slots of a queue whose
 * bursts are stopped are the control side's, which takes no lock for them.
 */
static __rte_noinline void
rx_reap_sends(struct netvsc_channel *ch)
{
	struct netvsc_txq *txq = atomic_load_explicit(&ch->txq, memory_order_acquire);

	if (txq == NULL || !netvsc_channel_lock_soon(&ch->tx_lock))
		return;
	if (netvsc_channel_sends(ch) && !txq->over)
		netvsc_tx_reap(txq);
	netvsc_channel_unlock(&ch->tx_lock);
}

/* The pool is empty: what comes is dropped, unless it is no frame. */
static __rte_noinline void
rx_without_mbufs(struct netvsc_rxq *rxq, const struct rx_buffer *recv)
{
	struct netvsc_rx_cursor *cursor = &rxq->ch->cursor;

	for (; cursor->left != 0; cursor->left--, cursor->range += sizeof(struct vmbus_xfer_range))
		rx_count_odd(rxq, rx_odd(rxq, recv, cursor->range, NULL, cursor->left == 1));
}

/* Of the packet under the cursor, which has not moved yet. */
static inline bool
rx_is_last(const struct netvsc_rx_cursor *cursor, const uint8_t *at)
{
	return at + sizeof(struct vmbus_xfer_range) ==
	       cursor->range + cursor->left * sizeof(struct vmbus_xfer_range);
}

/*
 * Take ranges of the packet under the cursor: not more than frames fit the caller's array, nor than
 * there are mbufs at hand.
 * @param tells a constant: mbufs tell something
 * @param bytes of frames, added to
 * @return frames
 */
static __rte_always_inline uint16_t
rx_ranges(struct netvsc_rxq *rxq, const bool tells, const struct rx_buffer *recv,
	struct rte_mbuf **pkts, uint16_t n, uint64_t *bytes)
{
	struct netvsc_rx_cursor *cursor = &rxq->ch->cursor;
	const uint8_t *at = cursor->range, *end;
	struct rndis_packet_info info = {0};
	struct rte_mbuf **stock, **to = pkts, *m;
	struct vmbus_xfer_range next;
	const uint8_t *msg, *next_msg;
	uint32_t take, length;
	int len;

	if (unlikely(rxq->n_mbufs == 0)) {
		rx_refill(rxq);
		if (unlikely(rxq->n_mbufs == 0)) {
			rx_reap_sends(rxq->ch);
			rx_refill(rxq);
		}
		if (unlikely(rxq->n_mbufs == 0)) {
			rx_without_mbufs(rxq, recv);
			return 0;
		}
	}
	stock = rxq->mbufs + rxq->n_mbufs;
	take = RTE_MIN(n, rxq->n_mbufs);
	take = RTE_MIN(take, cursor->left);
	end = at + take * sizeof(next);
	next = nvsp_xfer_range_load(at);
	next_msg = recv->base + next.byte_offset;
	for (; at != end; at += sizeof(next)) {
		msg = next_msg;
		length = next.byte_count;
		/* Behind the last one there are other bytes of the packet: a prefetch does no harm.
		 */
		next = nvsp_xfer_range_load(at + sizeof(next));
		next_msg = recv->base + next.byte_offset;
		rte_prefetch0(next_msg);
		rte_prefetch0(next_msg + rxq->shape.data_offset + RNDIS_OFFSET_BASE);
		m = stock[-1];
		if (likely(rx_match(rxq, recv, msg, length, 0, &info) &&
			    info.data_length <= rxq->plan.copy_max)) {
			len = rx_place(rxq, msg, &info, m);
			if (tells) {
				netvsc_rx_describe_planned(m, rxq, msg);
			} else {
				m->ol_flags = rxq->pool_flags;
				m->packet_type = 0;
			}
		} else {
			len = rx_odd(rxq, recv, at, stock - 1, rx_is_last(cursor, at));
			if (unlikely(len <= 0)) {
				rx_count_odd(rxq, len);
				continue;
			}
			m = stock[-1];
		}
		*to++ = m;
		stock--;
		*bytes += (uint32_t)len;
	}
	rxq->n_mbufs = (uint16_t)(stock - rxq->mbufs);
	cursor->range = end;
	cursor->left -= take;
	return (uint16_t)(to - pkts);
}

/* ---- packets ---- */

/* All ranges of the packet under the cursor have been taken. */
static inline void
rx_packet_done(struct netvsc_channel *ch)
{
	if (unlikely(ch->cursor.transfer != NULL))
		netvsc_rx_put_cursor(ch);
	else
		netvsc_rx_complete(ch, ch->cursor.trans_id, !ch->cursor.bad);
	netvsc_rx_consume(ch, ch->cursor.total);
}

/*
 * Look at the packet at the consume position.
 * @param traced a constant: what is new in the ring is
 * @return 1 the cursor is on a transfer packet, 0 something else was consumed, -EAGAIN the ring is
 *         empty, -EIO it is broken
 */
static __rte_always_inline int
rx_next(struct netvsc_channel *ch, const bool traced)
{
	struct netvsc_rx_cursor *cursor = &ch->cursor;
	struct vmbus_packet pkt;
	int total, ranges;

	total = vmbus_ring_peek(&ch->in, &pkt);
	if (total <= 0)
		return total == 0 ? -EAGAIN : total;
	if (traced)
		netvsc_wire_in(ch);
	if (unlikely(pkt.type != VMBUS_PACKET_XFER_PAGES)) {
		/* What a scan has passed is handled. */
		if (ch->ahead == 0)
			netvsc_rx_other_packet(ch, &pkt, ch->in.next_r);
	} else if (likely(ch->ahead == 0 || !netvsc_rx_was_handled(ch))) {
		ranges = netvsc_rx_transfer_header(ch, &pkt, ch->in.next_r, &cursor->range);
		if (likely(ranges > 0)) {
			cursor->left = cursor->ranges = (uint32_t)ranges;
			cursor->total = (uint32_t)total;
			cursor->trans_id = pkt.trans_id;
			cursor->alone = ranges == 1;
			cursor->bad = false;
			rndis_rsc_reset(&cursor->rsc);
			return 1;
		}
		ch->stats.rx_malformed++;
		netvsc_rx_complete(ch, pkt.trans_id, false);
	}
	netvsc_rx_consume(ch, (uint32_t)total);
	return 0;
}

/* What is in the ring, up to @p n frames; rx_lock held. */
static __rte_always_inline uint16_t
rx_packets(struct netvsc_rxq *rxq, const bool tells, const bool traced, struct rte_mbuf **pkts,
	uint16_t n)
{
	struct netvsc_channel *ch = rxq->ch;
	const struct netvsc_port *port = rxq->port;
	const struct rx_buffer recv = {
		.base = port->recv.base,
		.len = (uint32_t)port->recv.len,
		.section = port->session.recv_section,
		.last = port->recv.base + port->recv.len - port->session.recv_section,
	};
	unsigned int budget = RX_BUDGET;
	uint64_t bytes = 0;
	uint16_t got = 0;
	int rc;

	while (got < n && netvsc_rx_complete_room(ch) && budget-- != 0) {
		if (ch->cursor.left == 0) {
			rc = rx_next(ch, traced);
			if (rc == 0)
				continue;
			if (rc < 0) {
				if (unlikely(rc != -EAGAIN))
					netvsc_port_broken(
						rxq->port, "the host broke the inbound ring");
				break;
			}
		}
		got += rx_ranges(rxq, tells, &recv, pkts + got, (uint16_t)(n - got), &bytes);
		if (likely(ch->cursor.left == 0))
			rx_packet_done(ch);
	}
	if (got != 0) {
		rxq->stats.packets += got;
		rxq->stats.batches++;
		rxq->stats.bytes += bytes;
	}
	return got;
}

/* With the flush, for a channel that is traced, whatever its mbufs tell. */
static __rte_noinline uint16_t
rx_packets_traced(struct netvsc_rxq *rxq, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t got = rx_packets(rxq, true, true, pkts, n);

	netvsc_rx_flush_any(rxq->ch);
	return got;
}

/* With the flush, for a queue whose mbufs tell something, and when that changes; others pay for
 * none of it. */
static __rte_noinline uint16_t
rx_packets_telling(struct netvsc_rxq *rxq, uint8_t mode, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t got;

	if (unlikely(mode != NETVSC_RX_TELLS)) {
		if (mode == NETVSC_RX_ANEW)
			netvsc_rx_plan_wants(rxq);
		if (rxq->ch->wire != NULL)
			return rx_packets_traced(rxq, pkts, n);
	}
	got = rx_packets(rxq, true, false, pkts, n);
	netvsc_rx_flush(rxq->ch);
	return got;
}

/* A burst is over. */
static inline uint16_t
rx_end(struct netvsc_rxq *rxq, uint16_t n, uint16_t got)
{
	netvsc_channel_unlock(&rxq->ch->rx_lock);
	netvsc_trace_rx_burst(rxq->port_id, rxq->queue_id, n, got);
	return got;
}

/* The rest of a burst that finds something. */
static __rte_noinline uint16_t
rx_some(struct netvsc_rxq *rxq, struct rte_mbuf **pkts, uint16_t n)
{
	uint8_t mode = __atomic_load_n(&rxq->mode, __ATOMIC_RELAXED);
	uint16_t got;

	if (mode != NETVSC_RX_PLAIN)
		return rx_end(rxq, n, rx_packets_telling(rxq, mode, pkts, n));
	got = rx_packets(rxq, false, false, pkts, n);
	netvsc_rx_flush(rxq->ch);
	return rx_end(rxq, n, got);
}

/* The rest of one that wants nothing: completions and events must move, too (pitfall X19). */
static __rte_noinline uint16_t
rx_scan(struct netvsc_rxq *rxq)
{
	netvsc_rx_scan(rxq->ch);
	return rx_end(rxq, 0, 0);
}

/* Nothing is new, half-taken or to be told to the host, as in most polls of a queue at rest. */
static inline bool
rx_is_idle(const struct netvsc_channel *ch)
{
	return ch->cursor.left == 0 && vmbus_ring_reader_is_idle(&ch->in) &&
	       !netvsc_rx_is_dirty(ch);
}

/* A sender may be scanning for completions: wait only if that happens again and again. */
static inline bool
rx_lock(struct netvsc_rxq *rxq)
{
	struct netvsc_channel *ch = rxq->ch;

	if (unlikely(!netvsc_trylock(&ch->rx_lock)) &&
		(++rxq->lock_misses < NETVSC_TRYLOCK_LIMIT ||
			!netvsc_channel_lock_soon(&ch->rx_lock)))
		return false;
	rxq->lock_misses = 0;
	return true;
}

/* Who has nothing to take pays for no more than to see that. */
uint16_t
netvsc_rx_burst(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct netvsc_rxq *rxq = queue;
	struct netvsc_channel *ch;

	if (unlikely(rxq == NULL || !rx_lock(rxq)))
		return 0;
	ch = rxq->ch;
	/*
	 * Asked with the lock: who stops or closes the channel knows that no burst is inside. The
	 * port's state is a hint beside it, so that no order is needed.
	 */
	if (unlikely(!netvsc_channel_receives(ch) || rxq->over ||
		     atomic_load_explicit(&rxq->port->state, memory_order_relaxed) !=
			     NETVSC_STATE_RUNNING))
		return rx_end(rxq, n, 0);
	netvsc_channel_polled(ch);
	if (unlikely(n == 0))
		return rx_scan(rxq);
	if (rx_is_idle(ch))
		return rx_end(rxq, n, 0);
	return rx_some(rxq, pkts, n);
}
