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
#include "drivers/net/netvsc/tx.h"
#include "drivers/net/netvsc/tx_frame.h"
#include "drivers/net/netvsc/tx_gpa.h"
#include "drivers/net/netvsc/tx_header.h"

/* Bytes of an in-band packet with one NVSP message, as written. */
#define TX_INBAND_LEN ((uint32_t)(sizeof(struct vmbus_packet) + sizeof(struct nvsp_message)))
/* Bytes of a section fetched for writing before they are written. */
#define TX_PREFETCH_AHEAD 512u

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
	atomic_store_explicit(&slot->state, NETVSC_SLOT_DONE, memory_order_relaxed);
	head = atomic_load_explicit(&txq->completed_head, memory_order_relaxed);
	txq->completed[head & txq->completed_mask] = (uint16_t)index;
	/* Release: pairs with the acquire in netvsc_tx_reap(). */
	atomic_store_explicit(&txq->completed_head, head + 1, memory_order_release);
	return true;
}

/* Give back what a slot holds; the slot becomes free. */
static inline void
tx_slot_free(struct netvsc_txq *txq, uint16_t index)
{
	struct netvsc_tx_slot *slot = &txq->slots[index];

	if (slot->section != NETVSC_SECTION_NONE) {
		netvsc_section_release(&txq->sections, slot->section);
	}
	if (slot->mbuf != NULL) {
		rte_pktmbuf_free(slot->mbuf);
		slot->mbuf = NULL;
	}
	atomic_store_explicit(&slot->state, NETVSC_SLOT_FREE, memory_order_relaxed);
	txq->free[txq->n_free++] = index;
}

/* Free completed slots; with @count not 0 no more than so many frames sent by reference. */
static inline unsigned int
tx_reap(struct netvsc_txq *txq, uint32_t count)
{
	uint32_t tail = atomic_load_explicit(&txq->completed_tail, memory_order_relaxed);
	uint32_t head = atomic_load_explicit(&txq->completed_head, memory_order_acquire);
	unsigned int packets = 0;

	for (; tail != head; tail++) {
		uint16_t index = txq->completed[tail & txq->completed_mask];
		struct netvsc_tx_slot *slot = &txq->slots[index];

		if (slot->mbuf != NULL) {
			if (unlikely(count != 0 && packets == count))
				break;
			packets++;
		}
		txq->stats.over += slot->frames;
		txq->stats.over_bytes += slot->bytes;
		if (unlikely(slot->failed))
			netvsc_stats_refused(txq, slot);
		tx_slot_free(txq, index);
	}
	atomic_store_explicit(&txq->completed_tail, tail, memory_order_relaxed);
	return packets;
}

void
netvsc_tx_reap(struct netvsc_txq *txq)
{
	tx_reap(txq, 0);
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

	tx_reap(txq, 0);
	for (i = 0; i < txq->nb_desc; i++)
		if (atomic_load(&txq->slots[i].state) != NETVSC_SLOT_FREE) {
			txq->stats.over += txq->slots[i].frames;
			txq->stats.over_bytes += txq->slots[i].bytes;
			tx_slot_free(txq, i);
		}
}

void
netvsc_tx_abandon(struct netvsc_txq *txq)
{
	txq->stats.over = txq->stats.packets;
	txq->stats.over_bytes = txq->stats.bytes;
}

/* ---- one burst ---- */

/* The section being filled in this burst. */
struct tx_open {
	uint8_t *base;	 /* start of the section */
	uint32_t last;	 /* where the last message starts */
	uint32_t used;	 /* where it ends */
	uint32_t next;	 /* where the next one starts: aligned */
	uint32_t frames; /* TX_NONE_OPEN: there is no such section */
	uint32_t bytes;
	uint16_t slot;
};
#define TX_NONE_OPEN UINT32_MAX

/*
 * Copied frames go back to their pool together: those of the caller's array from @a first on that
 * have been copied and are of one pool, with nothing about them that a free would have to undo.
 */
struct tx_copied {
	struct rte_mempool *pool;
	unsigned int first;
};

static inline uint64_t
tx_trans_id(const struct netvsc_tx_slot *slot, uint16_t index)
{
	return (uint64_t)slot->generation << 32 | (uint32_t)(index + 1);
}

/* Take a slot for a packet; it is in flight before the host can know (vmbus-ring.md §5). */
static inline struct netvsc_tx_slot *
tx_slot_take(struct netvsc_txq *txq, uint16_t *index)
{
	struct netvsc_tx_slot *slot;

	*index = txq->free[--txq->n_free];
	slot = &txq->slots[*index];
	/* 31 bits, so that bit 63 of the id stays clear. */
	slot->generation = (slot->generation + 1) & 0x7fffffffu;
	slot->first = txq->stats.packets;
	atomic_store_explicit(&slot->state, NETVSC_SLOT_INFLIGHT, memory_order_release);
	return slot;
}

/* Write out the packet of the open section: tx_open() saw that there is room for it. */
static inline void
tx_close(struct netvsc_txq *txq, struct tx_open *open)
{
	struct vmbus_ring_writer *out = &txq->ch->out;
	struct netvsc_tx_slot *slot;
	struct vmbus_packet *pkt;

	if (open->frames == TX_NONE_OPEN)
		return;
	/* The last message ends where its frame does: all of them end there (spec/nvsp.md §7). */
	rndis_packet_set_length(open->base + open->last, open->used - open->last);
	slot = &txq->slots[open->slot];
	slot->frames = (uint8_t)open->frames;
	slot->bytes = open->bytes;
	pkt = vmbus_ring_writer_at(out);
	vmbus_packet_init(pkt, VMBUS_PACKET_INBAND, sizeof(*pkt), TX_INBAND_LEN,
		VMBUS_FLAG_COMPLETION, tx_trans_id(slot, open->slot));
	nvsp_build_rndis(
		(struct nvsp_message *)(pkt + 1), NVSP_CHANNEL_DATA, slot->section, open->used);
	vmbus_ring_writer_end(out, TX_INBAND_LEN);
	txq->stats.packets += open->frames;
	txq->stats.bytes += open->bytes;
	txq->drops.aggregated += open->frames;
	open->frames = TX_NONE_OPEN;
}

/*
 * Take a cache line for writing: the host has it, since it read the last message there. Without it
 * a burst of small frames costs a third more when the host is on another core. The compiler builtin
 * means a read for baseline x86-64; the instruction is a no-op where it is not known.
 */
static inline void
tx_prefetch_write(const uint8_t *p)
{
#if defined(__x86_64__)
	__asm__ volatile("prefetchw %0" : : "m"(*p));
#else
	rte_prefetch0_write(p);
#endif
}

/*
 * Open a section for the next frames.
 * @return 0, or what there is none of, and nothing taken: -ENOSR slots, -EAGAIN ring room, -ENOBUFS
 *         sections
 */
static inline int
tx_open(struct netvsc_txq *txq, struct tx_open *open)
{
	struct netvsc_tx_slot *slot;
	uint32_t section, ahead;

	if (unlikely(txq->n_free == 0))
		return -ENOSR;
	if (unlikely(!vmbus_ring_writer_room(&txq->ch->out, TX_INBAND_LEN, NETVSC_RING_RESERVE)))
		return -EAGAIN;
	section = netvsc_section_alloc(&txq->sections);
	if (unlikely(section == NETVSC_SECTION_NONE))
		return -ENOBUFS;
	slot = tx_slot_take(txq, &open->slot);
	slot->section = section;
	open->base = txq->send_base + (size_t)section * txq->send_section;
	for (ahead = 0; ahead < TX_PREFETCH_AHEAD; ahead += RTE_CACHE_LINE_SIZE)
		tx_prefetch_write(open->base + ahead);
	open->used = open->next = 0;
	open->frames = 0;
	open->bytes = 0;
	return 0;
}

void
netvsc_tx_template(struct netvsc_txq *txq)
{
	const struct netvsc_port *port = txq->port;
	const struct netvsc_session *session = &port->session;
	uint32_t limit = RTE_MIN(session->send_section, session->max_transfer);

	txq->send_base = port->bus->send.base;
	txq->send_section = session->send_section;
	txq->max_transfer = session->max_transfer;
	txq->limit = limit;
	txq->max_messages = session->max_messages;
	txq->alignment = session->alignment;
	txq->max_frame = session->mtu + RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN;
	/* The rest is sent by reference, or cannot be sent. */
	txq->max_copy = RTE_MIN(port->config.tx_copybreak, txq->max_frame);
	txq->max_copy =
		RTE_MIN(txq->max_copy, limit < NETVSC_HEADER_MAX ? 0 : limit - NETVSC_HEADER_MAX);
	txq->copy_lengths = netvsc_tx_lengths(txq->max_copy);
	netvsc_tx_forget_memory(txq, hpbus_dma_generation());
	netvsc_tx_header_template(txq);
}

/* Does a frame of @p len bytes fit into the open section? */
static inline bool
tx_fits(const struct netvsc_txq *txq, const struct tx_open *open, uint32_t len)
{
	return open->frames < txq->max_messages &&
	       open->next + NETVSC_HEADER_MAX + len <= txq->limit;
}

/*
 * Append the message of a frame that fits to the open section, all but the frame's bytes.
 * @return where those go
 */
static inline uint8_t *
tx_append(
	const struct netvsc_txq *txq, struct tx_open *open, const struct rte_mbuf *m, uint32_t len)
{
	uint32_t start = open->next, alignment = txq->alignment, header;
	uint8_t *dst = open->base + start;
	const uint64_t zero = 0;

	tx_prefetch_write(dst + TX_PREFETCH_AHEAD);
	tx_prefetch_write(dst + TX_PREFETCH_AHEAD + RTE_CACHE_LINE_SIZE);
	/*
	 * Padding counts as part of the message before (spec/rndis.md §4), and nothing that was in
	 * the section goes out with it. There is room for a header from @a start on.
	 */
	if (likely(alignment <= sizeof(zero)))
		memcpy(open->base + open->used, &zero, sizeof(zero));
	else
		memset(open->base + open->used, 0, start - open->used);
	header = netvsc_tx_header(txq, dst, m, len);
	open->last = start;
	open->used = start + header + len;
	open->next = rndis_align(open->used, alignment);
	rndis_packet_set_length(dst, open->next - start);
	open->frames++;
	open->bytes += len;
	return dst + header;
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
 * @return the first that was not taken
 */
static inline unsigned int
tx_fill(struct netvsc_txq *txq, struct tx_open *open, struct tx_copied *copied,
	struct rte_mbuf **pkts, unsigned int i, unsigned int n)
{
	struct tx_open o = *open;

	for (; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		uint32_t len;
		uint8_t *dst;

		if (i + 2 < n)
			rte_prefetch0(pkts[i + 2]);
		if (unlikely(!netvsc_tx_plain(m, txq->copy_lengths)))
			break;
		len = m->pkt_len;
		if (!tx_fits(txq, &o, len)) {
			tx_close(txq, &o);
			if (unlikely(tx_open(txq, &o) != 0))
				break;
		}
		if (unlikely(m->pool != copied->pool)) {
			tx_free_copied(copied, pkts, i);
			copied->pool = m->pool;
		}
		dst = tx_append(txq, &o, m, len);
		netvsc_copy(dst, rte_pktmbuf_mtod(m, const void *), len);
	}
	*open = o;
	return i;
}

/*
 * Send a frame by reference: RNDIS header in this slot's own memory, then the segments. The open
 * section goes first, which keeps the order.
 * @return 0; -ENOSR no slot, -EAGAIN no ring room; -EMSGSIZE the host cannot read it
 */
static int
tx_by_reference(struct netvsc_txq *txq, struct tx_open *open, struct rte_mbuf *m)
{
	uint8_t pkt[NETVSC_GPA_ROOM] __rte_aligned(8);
	struct vmbus_packet *desc = (struct vmbus_packet *)pkt;
	struct vmbus_gpa_header gpa = {0, 1};
	uint32_t at = sizeof(*desc) + sizeof(gpa), header, bytes;
	struct netvsc_tx_slot *slot;
	const struct rte_mbuf *seg;
	struct nvsp_message msg;
	uint16_t index;
	size_t room;

	/* What is longer than one message may be is refused whichever way it goes. */
	if (unlikely(!txq->headers_usable || m->nb_segs > NETVSC_TX_MAX_SEGS ||
		     netvsc_tx_header_bound(txq) + m->pkt_len > txq->max_transfer))
		return -EMSGSIZE;
	if (unlikely(txq->n_free == 0))
		return -ENOSR;
	index = txq->free[txq->n_free - 1];
	room = (size_t)index * NETVSC_HEADER_ROOM;
	header = netvsc_tx_header(txq, txq->headers + room, m, m->pkt_len);
	rndis_packet_set_length(txq->headers + room, header + m->pkt_len);
	at += netvsc_gpa_range(pkt + at, netvsc_tx_header_iova(txq, index), header);
	for (seg = m; seg != NULL; seg = seg->next) {
		if (unlikely(seg->data_len == 0))
			continue;
		bytes = netvsc_gpa_segment(txq, pkt + at, seg);
		if (unlikely(bytes == 0))
			return -EMSGSIZE;
		at += bytes;
		gpa.range_count++;
	}
	memcpy(desc + 1, &gpa, sizeof(gpa));
	nvsp_build_rndis(&msg, NVSP_CHANNEL_DATA, NVSP_SECTION_NONE, 0);
	memcpy(pkt + at, &msg, sizeof(msg));
	tx_close(txq, open);
	if (unlikely(!vmbus_ring_writer_room(
		    &txq->ch->out, at + (uint32_t)sizeof(msg), NETVSC_RING_RESERVE)))
		return -EAGAIN;
	slot = tx_slot_take(txq, &index);
	slot->mbuf = m;
	slot->section = NETVSC_SECTION_NONE;
	slot->frames = 1;
	slot->bytes = m->pkt_len;
	vmbus_packet_init(desc, VMBUS_PACKET_GPA_DIRECT, at, at + (uint32_t)sizeof(msg),
		VMBUS_FLAG_COMPLETION, tx_trans_id(slot, index));
	vmbus_ring_write(&txq->ch->out, pkt, at + (uint32_t)sizeof(msg), 0);
	txq->stats.packets++;
	txq->stats.bytes += m->pkt_len;
	txq->drops.by_reference++;
	return 0;
}

/*
 * Send a frame of any shape by copy, and not one byte more than was measured whatever its segments
 * say.
 * @return 0, or why not (see tx_open()); -EMSGSIZE no section can hold it
 */
static int
tx_by_copy(struct netvsc_txq *txq, struct tx_open *open, struct rte_mbuf *m)
{
	const struct rte_mbuf *seg = m;
	uint32_t left = m->pkt_len;
	uint8_t *dst;
	int rc;

	if (!tx_fits(txq, open, left)) {
		if (unlikely(NETVSC_HEADER_MAX + left > txq->limit))
			return -EMSGSIZE;
		tx_close(txq, open);
		rc = tx_open(txq, open);
		if (unlikely(rc != 0))
			return rc;
	}
	dst = tx_append(txq, open, m, left);
	for (;;) {
		uint32_t len = RTE_MIN((uint32_t)seg->data_len, left);

		netvsc_copy(dst, rte_pktmbuf_mtod(seg, const void *), len);
		left -= len;
		if (left == 0)
			break;
		dst += len;
		seg = seg->next;
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
tx_one(struct netvsc_txq *txq, struct tx_open *open, struct rte_mbuf *m)
{
	bool small, no_section = false;
	int rc;

	if (!netvsc_tx_plain(m, netvsc_tx_lengths(txq->max_frame))) {
		rc = netvsc_tx_check(txq, m);
		if (unlikely(rc != 0))
			return rc;
	}
	/* What cannot go one way goes the other: other queues may have all the sections (T3). */
	small = m->pkt_len <= txq->max_copy;
	rc = small ? tx_by_copy(txq, open, m) : tx_by_reference(txq, open, m);
	if (small && rc == -ENOBUFS) {
		no_section = true;
		rc = tx_by_reference(txq, open, m);
	} else if (!small && rc == -EMSGSIZE) {
		rc = tx_by_copy(txq, open, m);
		no_section = rc == -ENOBUFS;
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
static inline uint16_t
tx_send(struct netvsc_txq *txq, struct rte_mbuf **pkts, uint16_t n)
{
	struct tx_copied copied = {.pool = NULL};
	struct tx_open open = {.frames = TX_NONE_OPEN};
	unsigned int i = 0;
	int rc;

	for (;;) {
		i = tx_fill(txq, &open, &copied, pkts, i, n);
		if (i == n)
			break;
		rc = tx_one(txq, &open, pkts[i]);
		if (rc == -EAGAIN)
			break;
		tx_free_copied(&copied, pkts, i);
		if (rc != 0) {
			txq->stats.errors++;
			if (rc != -EFAULT)
				rte_pktmbuf_free(pkts[i]);
		}
		copied.first = ++i;
	}
	tx_close(txq, &open);
	tx_free_copied(&copied, pkts, i);
	return (uint16_t)i;
}

/* With it goes all that belongs to the queue: a stopped one is the control side's. */
static inline bool
tx_enter(struct netvsc_txq *txq)
{
	struct netvsc_channel *ch = txq->ch;

	if (unlikely(!netvsc_channel_lock_soon(&ch->tx_lock)))
		return false;
	/* The port may have been stopped, or more, since the look at its state. */
	if (likely(netvsc_channel_sends(ch)))
		return true;
	netvsc_channel_unlock(&ch->tx_lock);
	return false;
}

/* Are slots or sections running out, and some of them in flight? */
static inline bool
tx_wants_completions(const struct netvsc_txq *txq, uint16_t n)
{
	return txq->n_free < RTE_MAX(txq->free_thresh, n) ||
	       (netvsc_section_none(&txq->sections) && txq->n_free != txq->nb_desc);
}

uint16_t
netvsc_tx_burst(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct netvsc_txq *txq = queue;
	struct netvsc_channel *ch = txq->ch;
	uint32_t generation;
	uint16_t sent;

	if (unlikely(atomic_load_explicit(&txq->port->state, memory_order_acquire) !=
		     NETVSC_STATE_RUNNING))
		return 0;
	if (!tx_enter(txq))
		return 0;
	tx_reap(txq, 0);
	if (tx_wants_completions(txq, n)) {
		/* The other lock comes first: without this one. */
		netvsc_channel_unlock(&ch->tx_lock);
		netvsc_rx_try_scan(ch, &txq->lock_misses);
		if (!tx_enter(txq))
			return 0;
		tx_reap(txq, 0);
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
	sent = tx_send(txq, pkts, n);
	/* Still with the lock: whoever closes the channel takes the way to signal with it. */
	if (vmbus_ring_writer_publish(&ch->out)) {
		txq->drops.doorbells++;
		hpbus_channel_signal(&ch->bus);
	}
	netvsc_channel_unlock(&ch->tx_lock);
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
	unsigned int freed;

	/* ethdev does not look whether the queue was set up. */
	if (txq == NULL)
		return -EINVAL;
	netvsc_rx_try_scan(txq->ch, &txq->lock_misses);
	if (!tx_enter(txq))
		return 0; /* a stop has freed what could be */
	freed = tx_reap(txq, count);
	netvsc_channel_unlock(&txq->ch->tx_lock);
	return (int)freed;
}
