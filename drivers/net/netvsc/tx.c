/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Send. Frames are packed into a send-buffer section until the host's limits or the end of the
 * burst; those that no section holds go by reference to guest pages. Resources are taken before a
 * frame is touched and never lost (pitfalls T1, T2): a frame is accepted only when slot, section
 * and ring room for its packet are in hand, so a packed section can always be written out.
 *
 * The write index is published once per burst and the host signalled at most once.
 */
#include <errno.h>
#include <string.h>

#include <rte_prefetch.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/compat.h"
#include "drivers/net/netvsc/copy.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/sizes.h"
#include "drivers/net/netvsc/trace.h"
#include "drivers/net/netvsc/tx.h"
#include "drivers/net/netvsc/tx_frame.h"
#include "drivers/net/netvsc/tx_gpa.h"
#include "drivers/net/netvsc/tx_offload.h"
#include "drivers/net/netvsc/tx_pack.h"
#include "drivers/net/netvsc/tx_slot.h"
#include "drivers/net/netvsc/tx_spare.h"
#include "drivers/net/netvsc/wire.h"

/* Pieces of a large frame, at most; sections of 6 KiB need eleven. */
#define TX_PIECES_MAX 16u

/* ---- completions ---- */

bool
netvsc_tx_complete(struct netvsc_txq *txq, uint64_t trans_id, bool ok)
{
	uint32_t index = (uint32_t)trans_id - 1, head;
	struct netvsc_tx_slot *slot;

	if (index >= txq->nb_desc)
		return false;
	slot = &txq->slots[index];
	if (atomic_load_explicit(&slot->state, memory_order_acquire) != NETVSC_SLOT_INFLIGHT ||
		slot->generation != (uint32_t)(trans_id >> 32))
		return false;
	slot->failed = !ok;
	/* Only this side asks for it, who reaps goes by the entry below. */
	atomic_store_explicit(&slot->state, NETVSC_SLOT_DONE, memory_order_relaxed);
	head = atomic_load_explicit(&txq->completed_head, memory_order_relaxed);
	txq->completed[head & txq->completed_mask] = (uint16_t)index;
	/* Release: pairs with the acquire in netvsc_tx_reap(). */
	atomic_store_explicit(&txq->completed_head, head + 1, memory_order_release);
	return true;
}

void
netvsc_tx_reap(struct netvsc_txq *txq)
{
	netvsc_tx_slots_reap(txq, 0);
}

unsigned int
netvsc_tx_inflight(const struct netvsc_txq *txq)
{
	return txq->nb_desc - txq->n_free;
}

void
netvsc_tx_forget(struct netvsc_txq *txq)
{
	uint16_t i;

	netvsc_tx_slots_reap(txq, 0);
	txq->n_free = 0;
	for (i = 0; i < txq->nb_desc; i++)
		if (atomic_load(&txq->slots[i].state) != NETVSC_SLOT_FREE) {
			txq->stats.over += txq->slots[i].frames;
			txq->drops.unanswered += txq->slots[i].frames;
			txq->stats.over_bytes += txq->slots[i].bytes;
			txq->drops.reaped++;
			netvsc_tx_slot_free(txq, i);
		}
	/* Anew: a process may have been killed while it took one from the stack. */
	for (txq->n_free = 0; txq->n_free < txq->nb_desc; txq->n_free++)
		txq->free[txq->n_free] = (uint16_t)(txq->nb_desc - 1 - txq->n_free);
}

void
netvsc_tx_abandon(struct netvsc_txq *txq)
{
	txq->drops.unanswered += txq->stats.packets - txq->stats.over;
	txq->stats.over = txq->stats.packets;
	txq->stats.over_bytes = txq->stats.bytes;
}

/* ---- one burst ---- */

/*
 * Copied frames go back to their pool together: those of the caller's array from @a first on that
 * have been copied and are of one pool, with nothing about them that a free would have to undo.
 */
struct tx_copied {
	struct rte_mempool *pool;
	unsigned int first;
};

void
netvsc_tx_template(struct netvsc_txq *txq)
{
	const struct netvsc_port *port = txq->port;
	const struct netvsc_session *session = &port->session;
	uint32_t limit = RTE_MIN(session->send_section, session->max_transfer);
	uint64_t offloads = txq->conf.offloads, work = 0;

	txq->send_base = port->bus->send.base;
	txq->send_section = session->send_section;
	txq->max_transfer = session->max_transfer;
	txq->limit = limit;
	txq->max_messages = session->max_messages;
	txq->align_mask = session->alignment - 1;
	txq->max_frame = session->mtu + RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN;
	/* The rest is sent by reference, or cannot be sent. */
	txq->max_copy = RTE_MIN(port->config.tx_copybreak, txq->max_frame);
	txq->max_copy =
		RTE_MIN(txq->max_copy, limit < NETVSC_HEADER_MAX ? 0 : limit - NETVSC_HEADER_MAX);
	txq->copy_lengths = netvsc_tx_lengths(txq->max_copy);
	netvsc_tx_forget_memory(txq, hpbus_dma_generation());
	netvsc_tx_header_template(txq);
	if (offloads & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM)
		work |= RTE_MBUF_F_TX_IP_CKSUM;
	if (offloads & (RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM))
		work |= RTE_MBUF_F_TX_L4_MASK;
	if (offloads & RTE_ETH_TX_OFFLOAD_VLAN_INSERT)
		work |= RTE_MBUF_F_TX_VLAN;
	if (offloads & RTE_ETH_TX_OFFLOAD_TCP_TSO)
		work |= RTE_MBUF_F_TX_TCP_SEG;
	/* Once each: rte_eth_tx_prepare() reads them while the MTU changes. */
	if (netvsc_wire_has_data(txq->ch))
		work |= NETVSC_TX_TRACED;
	txq->work = work;
	txq->tso_max[0] = offloads & RTE_ETH_TX_OFFLOAD_TCP_TSO ? session->offloads.tso4_max : 0;
	txq->tso_max[1] = offloads & RTE_ETH_TX_OFFLOAD_TCP_TSO ? session->offloads.tso6_max : 0;
}

/* Give the frames before @p end that were copied back to their pool. */
static inline void
tx_free_copied(struct tx_copied *copied, struct rte_mbuf **pkts, unsigned int end)
{
	if (end != copied->first)
		rte_mbuf_raw_free_bulk(copied->pool, &pkts[copied->first], end - copied->first);
	copied->first = end;
}

/*
 * Send frames by copy, section after section, as long as there is nothing special about them and
 * nothing runs out.
 * @param offloads the queue has some: what a frame asks for goes with it, and its tag
 * @return the first that was not taken
 */
static __rte_always_inline unsigned int
tx_fill(struct netvsc_txq *txq, struct netvsc_tx_open *open, struct tx_copied *copied,
	struct rte_mbuf **pkts, unsigned int i, unsigned int n, const bool offloads)
{
	struct rte_mbuf **at = &pkts[i], **end = &pkts[n];

	for (; at != end; at++) {
		const struct netvsc_tx_asks *asks = NULL;
		struct rte_mbuf *m = *at;
		struct netvsc_tx_asks asked;
		const uint8_t *src;
		uint32_t len;
		uint8_t *dst;

		if (at + 2 < end)
			rte_prefetch0(at[2]);
		if (unlikely(!netvsc_tx_plain(m, txq->copy_lengths)))
			break;
		len = m->pkt_len;
		src = rte_pktmbuf_mtod(m, const uint8_t *);
		if (offloads) {
			if ((m->ol_flags & txq->work) != 0 || netvsc_tx_has_tag(src)) {
				if (unlikely(netvsc_tx_ask(txq, m, &asked) != 0 ||
					     asked.headers != 0))
					break;
				asks = &asked;
				len -= asked.cut;
			}
		} else if (unlikely(netvsc_tx_has_tag(src))) {
			break;
		}
		if (unlikely(!netvsc_tx_fits(txq, open, len))) {
			netvsc_tx_close(txq, open);
			if (unlikely(netvsc_tx_open(txq, open) != 0))
				break;
		}
		if (unlikely(m->pool != copied->pool)) {
			tx_free_copied(copied, pkts, (unsigned int)(at - pkts));
			copied->pool = m->pool;
		}
		dst = netvsc_tx_append(txq, open, asks, len);
		if (offloads && asks != NULL && asks->cut != 0) {
			memcpy(dst, src, NETVSC_TYPE_AT);
			dst += NETVSC_TYPE_AT;
			src += NETVSC_TYPE_AT + RTE_VLAN_HLEN;
			len -= NETVSC_TYPE_AT;
			open->bytes += RTE_VLAN_HLEN;
		}
		netvsc_copy(dst, src, len);
	}
	return (unsigned int)(at - pkts);
}

/* Copy a part of a frame, and not one byte more whatever its segments say. */
static void
tx_copy_chain(uint8_t *dst, const struct rte_mbuf *seg, uint32_t from, uint32_t len)
{
	for (; len != 0; seg = seg->next) {
		uint32_t bytes;

		if (from >= seg->data_len) {
			from -= seg->data_len;
			continue;
		}
		bytes = RTE_MIN(seg->data_len - from, len);
		netvsc_copy(dst, rte_pktmbuf_mtod_offset(seg, const void *, from), bytes);
		from = 0;
		dst += bytes;
		len -= bytes;
	}
}

/* Copy the first @p len bytes of a frame as they are sent. */
static void
tx_copy(uint8_t *dst, const struct rte_mbuf *m, uint32_t len, const struct netvsc_tx_asks *asks)
{
	uint32_t from = 0;

	if (asks->cut != 0) {
		tx_copy_chain(dst, m, 0, NETVSC_TYPE_AT);
		dst += NETVSC_TYPE_AT;
		from = NETVSC_TYPE_AT + asks->cut;
		len -= NETVSC_TYPE_AT;
	}
	tx_copy_chain(dst, m, from, len);
}

/*
 * Send a frame by reference: RNDIS header in this slot's own memory, and behind it what must not be
 * changed in the frame's; then the segments. The open section goes first, which keeps the order.
 * @return 0; -ENOSR no slot, -EAGAIN no ring room; -EMSGSIZE the host cannot read it
 */
static int
tx_by_reference(struct netvsc_txq *txq, struct netvsc_tx_open *open, struct rte_mbuf *m,
	const struct netvsc_tx_asks *asks)
{
	uint8_t pkt[NETVSC_GPA_ROOM] __rte_aligned(8);
	struct vmbus_packet *desc = (struct vmbus_packet *)pkt;
	struct vmbus_gpa_header gpa = {0, 1};
	uint32_t at = sizeof(*desc) + sizeof(gpa), header, bytes, own, skip;
	uint32_t len = m->pkt_len - asks->cut;
	struct netvsc_tx_slot *slot;
	const struct rte_mbuf *seg;
	struct nvsp_message msg;
	uint8_t *room;
	uint16_t index;

	if (unlikely(!txq->headers_usable))
		return -EMSGSIZE;
	if (unlikely(txq->n_free == 0))
		return -ENOSR;
	index = txq->free[txq->n_free - 1];
	room = txq->headers + (size_t)index * txq->header_room;
	header = netvsc_tx_header(txq, room, asks, len);
	/* What is longer than one message may be is refused whichever way it goes. */
	if (unlikely(header + len > txq->max_transfer))
		return -EMSGSIZE;
	rndis_packet_set_length(room, header + len);
	own = asks->headers != 0 ? asks->headers : asks->cut != 0 ? NETVSC_TYPE_AT : 0;
	tx_copy(room + header, m, own, asks);
	if (asks->headers != 0)
		netvsc_tx_fix(room + header, asks);
	at += netvsc_gpa_range(pkt + at, netvsc_tx_header_iova(txq, index), header + own);
	skip = own + asks->cut;
	for (seg = m; seg != NULL; seg = seg->next) {
		if (seg->data_len <= skip) {
			skip -= seg->data_len;
			continue;
		}
		if (unlikely(gpa.range_count > NETVSC_TX_MAX_SEGS))
			return -EMSGSIZE;
		bytes = netvsc_gpa_segment(txq, pkt + at, seg, skip);
		if (unlikely(bytes == 0))
			return -EMSGSIZE;
		skip = 0;
		at += bytes;
		gpa.range_count++;
	}
	memcpy(desc + 1, &gpa, sizeof(gpa));
	nvsp_build_rndis(&msg, NVSP_CHANNEL_DATA, NVSP_SECTION_NONE, 0);
	memcpy(pkt + at, &msg, sizeof(msg));
	netvsc_tx_close(txq, open);
	if (unlikely(!vmbus_ring_writer_room(
		    &txq->ch->out, at + (uint32_t)sizeof(msg), NETVSC_RING_RESERVE)))
		return -EAGAIN;
	slot = netvsc_tx_slot_take(txq, &index);
	slot->mbuf = m;
	slot->section = NETVSC_SECTION_NONE;
	slot->frames = 1;
	slot->bytes = m->pkt_len;
	vmbus_packet_init(desc, VMBUS_PACKET_GPA_DIRECT, at, at + (uint32_t)sizeof(msg),
		VMBUS_FLAG_COMPLETION, netvsc_tx_trans_id(slot, index));
	vmbus_ring_write(&txq->ch->out, pkt, at + (uint32_t)sizeof(msg), 0);
	txq->stats.packets++;
	txq->stats.bytes += m->pkt_len;
	txq->drops.by_reference++;
	return 0;
}

/*
 * Send a frame of any shape by copy.
 * @return 0, or why not (see netvsc_tx_open()); -EMSGSIZE no section can hold it
 */
static int
tx_by_copy(struct netvsc_txq *txq, struct netvsc_tx_open *open, struct rte_mbuf *m,
	const struct netvsc_tx_asks *asks)
{
	uint32_t len = m->pkt_len - asks->cut;
	uint8_t *dst;
	int rc;

	if (!netvsc_tx_fits(txq, open, len)) {
		if (unlikely(NETVSC_HEADER_MAX + len > txq->limit))
			return -EMSGSIZE;
		netvsc_tx_close(txq, open);
		rc = netvsc_tx_open(txq, open);
		if (unlikely(rc != 0))
			return rc;
	}
	dst = netvsc_tx_append(txq, open, asks, len);
	open->bytes += asks->cut; /* what is counted is the frame as it was given */
	tx_copy(dst, m, len, asks);
	if (asks->headers != 0)
		netvsc_tx_fix(dst, asks);
	rte_pktmbuf_free(m);
	return 0;
}

/* ---- large frames by copy ---- */

/*
 * Write piece @p i of a large frame: its headers, as a host that segments would have made them, and
 * @p len bytes of its payload from @p from on.
 */
static void
tx_piece(uint8_t *dst, const struct rte_mbuf *m, const struct netvsc_tx_asks *asks, uint32_t mss,
	uint32_t from, uint32_t len)
{
	bool last = asks->headers + asks->cut + from + len == m->pkt_len;

	tx_copy(dst, m, asks->headers, asks);
	tx_copy_chain(dst + asks->headers, m, asks->headers + asks->cut + from, len);
	netvsc_tx_fix(dst, asks);
	netvsc_tx_fix_piece(dst, asks, from / mss, from, last);
}

/*
 * Send a large frame that can only be copied as several that fit a section each: its memory has no
 * name, or it lies in too many segments. The host cuts them further. All that they need is in hand
 * before the first is written.
 * @return 0; -ENOSR, -EAGAIN, -ENOBUFS as netvsc_tx_open(); -EMSGSIZE it cannot be done
 */
static int
tx_in_pieces(struct netvsc_txq *txq, struct netvsc_tx_open *open, struct rte_mbuf *m,
	const struct netvsc_tx_asks *whole)
{
	uint32_t sections[TX_PIECES_MAX], mss = rndis_lso_mss(whole->word), payload, per, n, i, at;
	uint32_t room = txq->limit - RTE_MIN(txq->limit, NETVSC_HEADER_MAX + whole->headers);

	payload = m->pkt_len - whole->cut - whole->headers;
	per = room / mss * mss;
	n = per == 0 ? UINT32_MAX : (payload + per - 1) / per;
	if (n > TX_PIECES_MAX)
		return -EMSGSIZE;
	netvsc_tx_close(txq, open);
	if (txq->n_free < n)
		return txq->n_free == txq->nb_desc ? -EMSGSIZE : -ENOSR;
	if (!vmbus_ring_writer_room(&txq->ch->out, n * (NETVSC_INBAND_LEN + VMBUS_TRAILER_SIZE),
		    NETVSC_RING_RESERVE))
		return -EAGAIN;
	for (i = 0; i < n; i++) {
		sections[i] = netvsc_section_alloc(&txq->sections);
		if (sections[i] != NETVSC_SECTION_NONE)
			continue;
		while (i-- > 0)
			netvsc_section_release(&txq->sections, sections[i]);
		/* With nothing in flight nothing will come back to wait for. */
		return txq->n_free == txq->nb_desc ? -EMSGSIZE : -ENOBUFS;
	}
	for (i = 0, at = 0; i < n; i++, at += per) {
		uint32_t len = RTE_MIN(per, payload - at);
		struct netvsc_tx_asks asks = *whole;

		if (len <= mss)
			netvsc_tx_ask_one_segment(&asks, len);
		netvsc_tx_begin(txq, open, sections[i]);
		tx_piece(netvsc_tx_append(txq, open, &asks, asks.headers + len), m, &asks, mss, at,
			len);
		/* One frame to the application, which is refused when its first piece is. */
		open->frames = i == 0;
		open->bytes = i == 0 ? m->pkt_len : 0;
		netvsc_tx_close(txq, open);
	}
	rte_pktmbuf_free(m);
	return 0;
}

/*
 * Send the frame that tx_fill() left, whichever way it can be sent.
 * @return 0 accepted; -EAGAIN stop here, the caller keeps it; else it can never be sent and is
 *         counted, to be freed unless -EFAULT
 */
static int
tx_one(struct netvsc_txq *txq, struct netvsc_tx_open *open, struct rte_mbuf *m)
{
	bool small, no_section = false;
	struct netvsc_tx_asks asks;
	struct rte_mbuf *copy;
	int rc;

	if (!netvsc_tx_plain(m, netvsc_tx_lengths(txq->max_frame))) {
		rc = netvsc_tx_check(txq, m);
		if (unlikely(rc != 0))
			return rc;
	}
	if (unlikely(netvsc_tx_ask(txq, m, &asks) != 0)) {
		txq->drops.bad_offload++;
		return -EINVAL;
	}
	/* What cannot go one way goes the other: other queues may have all the sections (T3). */
	small = m->pkt_len <= txq->max_copy;
	rc = asks.too_large ? -EMSGSIZE
	     : small	    ? tx_by_copy(txq, open, m, &asks)
			    : tx_by_reference(txq, open, m, &asks);
	if (small && rc == -ENOBUFS) {
		no_section = true;
		rc = tx_by_reference(txq, open, m, &asks);
	} else if (!small && rc == -EMSGSIZE && !asks.too_large) {
		rc = tx_by_copy(txq, open, m, &asks);
		no_section = rc == -ENOBUFS;
	}
	if (rc == -EMSGSIZE && asks.type == RNDIS_PPI_LSO && asks.word != 0) {
		rc = tx_in_pieces(txq, open, m, &asks);
		no_section = rc == -ENOBUFS;
	}
	if (rc == -EMSGSIZE && !no_section) {
		rc = netvsc_tx_spare_copy(txq->port, m, &copy);
		no_section = rc == -ENOBUFS;
		if (rc == 0) {
			rc = tx_by_reference(txq, open, copy, &asks);
			rte_pktmbuf_free(rc == 0 ? m : copy);
		}
	}
	if (likely(rc == 0))
		return 0;
	if (rc == -ENOSR) {
		txq->drops.no_slot++;
	} else if (rc == -EAGAIN) {
		txq->drops.ring_full++;
	} else if (no_section) {
		txq->drops.no_section++;
	} else {
		txq->drops.unsendable++;
		return -EMSGSIZE;
	}
	return -EAGAIN;
}

/* Send what can be sent now, in order. @return frames accepted */
static __rte_always_inline uint16_t
tx_send(struct netvsc_txq *txq, struct rte_mbuf **pkts, uint16_t n, const bool offloads)
{
	struct tx_copied copied = {.pool = NULL};
	struct netvsc_tx_open open = {.frames = NETVSC_TX_NONE_OPEN}, other;
	unsigned int i = 0;
	int rc;

	for (;;) {
		i = tx_fill(txq, &open, &copied, pkts, i, n, offloads);
		if (i == n)
			break;
		/* By its copy: what nobody has the address of stays in registers. */
		other = open;
		rc = tx_one(txq, &other, pkts[i]);
		open = other;
		if (rc == -EAGAIN)
			break;
		tx_free_copied(&copied, pkts, i);
		if (rc != 0) {
			txq->stats.errors++;
			netvsc_sizes_not_sent(txq, pkts[i]);
			if (rc != -EFAULT)
				rte_pktmbuf_free(pkts[i]);
		}
		copied.first = ++i;
	}
	netvsc_tx_close(txq, &open);
	tx_free_copied(&copied, pkts, i);
	return (uint16_t)i;
}

/* The same for queues with offloads, and traced ones; apart, so that the others pay nothing for it.
 */
static __rte_noinline uint16_t
tx_send_offloads(struct netvsc_txq *txq, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t sent = tx_send(txq, pkts, n, true);

	if (unlikely(txq->work & NETVSC_TX_TRACED))
		netvsc_wire_out(txq->ch);
	return sent;
}

/* With it goes all that belongs to the queue: a stopped one is the control side's. */
static inline bool
tx_enter(struct netvsc_txq *txq)
{
	struct netvsc_channel *ch = txq->ch;

	if (unlikely(!netvsc_trylock(&ch->tx_lock) && !netvsc_channel_lock_to_send(&ch->tx_lock)))
		return false;
	/* The port may have been stopped, or more, since the look at its state. */
	if (likely(netvsc_channel_sends(ch) && !txq->over))
		return true;
	netvsc_channel_unlock(&ch->tx_lock);
	return false;
}

/*
 * Are slots or sections running out, and some of them in flight? A burst of small frames must not
 * run out half-way: the pool may be with other queues, and what is left would go by reference.
 */
static inline bool
tx_wants_completions(const struct netvsc_txq *txq, uint16_t n)
{
	return txq->n_free < RTE_MAX(txq->free_thresh, n) ||
	       (netvsc_section_at_hand(&txq->sections) * txq->max_messages <= n &&
		       txq->n_free != txq->nb_desc);
}

uint16_t
netvsc_tx_burst(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct netvsc_txq *txq = queue;
	struct netvsc_channel *ch;
	uint32_t generation;
	uint16_t sent;

	if (unlikely(txq == NULL || atomic_load_explicit(&txq->port->state, memory_order_acquire) !=
					    NETVSC_STATE_RUNNING))
		return 0;
	ch = txq->ch;
	if (!tx_enter(txq))
		return 0;
	netvsc_tx_slots_reap(txq, 0);
	if (tx_wants_completions(txq, n)) {
		/* The other lock comes first: without this one. */
		netvsc_channel_unlock(&ch->tx_lock);
		netvsc_rx_try_scan(ch, &txq->lock_misses);
		if (!tx_enter(txq))
			return 0;
		netvsc_tx_slots_reap(txq, 0);
	}
	if (unlikely(n == 0)) {
		netvsc_channel_unlock(&ch->tx_lock);
		return 0;
	}
	/* Whoever handed these mbufs over has their memory since before: once per burst is enough.
	 */
	generation = hpbus_dma_generation();
	if (unlikely(generation != txq->generation))
		netvsc_tx_forget_memory(txq, generation);
	if (likely(txq->work == 0))
		sent = tx_send(txq, pkts, n, false);
	else
		sent = tx_send_offloads(txq, pkts, n);
	/* Still with the lock: whoever closes the channel takes the way to signal with it. */
	if (vmbus_ring_writer_publish(&ch->out)) {
		txq->drops.doorbells++;
		netvsc_trace_doorbell(txq->port->flight.port_id, ch->index, 1);
		hpbus_channel_signal(netvsc_bus_of(txq->port), &ch->bus);
	}
	netvsc_channel_unlock(&ch->tx_lock);
	netvsc_trace_tx_burst(txq->port->flight.port_id, txq->queue_id, n, sent);
	if (unlikely(sent < n)) {
		/* Out of something: completions may be waiting behind unread frames (X1). */
		if (unlikely(ch->out.corrupt))
			netvsc_port_broken(txq->port, "the host broke the outbound ring");
		else
			netvsc_rx_try_scan(ch, &txq->lock_misses);
	}
	return sent;
}

int
netvsc_tx_done_cleanup(void *queue, uint32_t count)
{
	struct netvsc_txq *txq = queue;
	unsigned int freed = 0;

	/* ethdev does not look whether the queue was set up. */
	if (txq == NULL)
		return -EINVAL;
	netvsc_rx_try_scan(txq->ch, &txq->lock_misses);
	/* Else a stop has freed what could be. */
	if (tx_enter(txq)) {
		freed = netvsc_tx_slots_reap(txq, count);
		netvsc_channel_unlock(&txq->ch->tx_lock);
	}
	if (count == 0 || freed < count)
		freed += netvsc_vf_tx_cleanup(txq, count == 0 ? 0 : count - freed);
	return (int)freed;
}
