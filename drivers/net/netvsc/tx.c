/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Send. Small frames are packed into a send-buffer section until the host's limits or the end of
 * the burst; large ones go by reference to guest pages. Resources are taken before a frame is
 * touched and never lost (pitfalls T1, T2): a frame is accepted only when slot, section and ring
 * room for its packet are in hand, so a packed section can always be written out.
 *
 * The write index is published once per burst and the host signalled at most once.
 */
#include <errno.h>
#include <string.h>

#include <rte_memcpy.h>
#include <rte_prefetch.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/tx.h"
#include "drivers/net/netvsc/tx_frame.h"
#include "drivers/net/netvsc/tx_gpa.h"

/* Bytes of an in-band packet with one NVSP message, as written. */
#define TX_INBAND_LEN ((uint32_t)(sizeof(struct vmbus_packet) + sizeof(struct nvsp_message)))
/* Bytes of a section fetched for writing before they are written. */
#define TX_PREFETCH_AHEAD 512u
/* Copied frames are freed in one go. */
#define TX_FREE_BATCH 64u

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
		slot->section = NETVSC_SECTION_NONE;
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
	uint8_t *base;		 /* start of the section, NULL = none open */
	uint32_t used;		 /* bytes of complete messages */
	uint32_t last, last_len; /* where the last message starts, its bytes */
	uint32_t frames, bytes;
	uint16_t slot;
};

/* Frames whose bytes have been copied and that are freed together. */
struct tx_copied {
	struct rte_mbuf *mbuf[TX_FREE_BATCH];
	unsigned int n;
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
	slot->failed = false;
	slot->first = txq->stats.packets;
	atomic_store_explicit(&slot->state, NETVSC_SLOT_INFLIGHT, memory_order_release);
	return slot;
}

/* Write out the packet of the open section; there is room for it. */
static inline void
tx_close(struct netvsc_txq *txq, struct tx_open *open)
{
	struct netvsc_tx_slot *slot;
	struct {
		struct vmbus_packet pkt;
		struct nvsp_message msg;
	} p;

	if (open->base == NULL)
		return;
	slot = &txq->slots[open->slot];
	slot->frames = (uint8_t)open->frames;
	slot->bytes = open->bytes;
	vmbus_packet_init(&p.pkt, VMBUS_PACKET_INBAND, sizeof(p.pkt), sizeof(p),
		VMBUS_FLAG_COMPLETION, tx_trans_id(slot, open->slot));
	nvsp_build_rndis(&p.msg, NVSP_CHANNEL_DATA, slot->section, open->used);
	vmbus_ring_write(&txq->ch->out, &p, sizeof(p), 0);
	txq->stats.packets += open->frames;
	txq->stats.bytes += open->bytes;
	txq->drops.aggregated += open->frames;
	open->base = NULL;
}

/*
 * Take a cache line for writing: the host has it, since it read the last message there. The
 * compiler builtin means a read for baseline x86-64; the instruction is a no-op where it is not
 * known.
 */
static inline void
tx_prefetch_write(const void *p)
{
#if defined(__x86_64__)
	__asm__ volatile("prefetchw (%0)" : : "r"(p));
#else
	rte_prefetch0_write(p);
#endif
}

/*
 * Open a section for the next frames.
 * @return 0, or -ENOBUFS (no section) or -EAGAIN (no slot or no ring room), nothing taken
 */
static inline int
tx_open(struct netvsc_txq *txq, struct tx_open *open)
{
	struct netvsc_port *port = txq->port;
	struct netvsc_tx_slot *slot;
	uint32_t section, ahead;

	if (unlikely(txq->n_free == 0)) {
		txq->drops.no_slot++;
		return -EAGAIN;
	}
	if (unlikely(!vmbus_ring_writer_room(&txq->ch->out, TX_INBAND_LEN, NETVSC_RING_RESERVE))) {
		txq->drops.ring_full++;
		return -EAGAIN;
	}
	section = netvsc_section_alloc(&txq->sections);
	if (unlikely(section == NETVSC_SECTION_NONE))
		return -ENOBUFS;
	slot = tx_slot_take(txq, &open->slot);
	slot->section = section;
	open->base = port->bus->send.base + (size_t)section * port->session.send_section;
	for (ahead = 0; ahead < TX_PREFETCH_AHEAD; ahead += RTE_CACHE_LINE_SIZE)
		tx_prefetch_write(open->base + ahead);
	open->used = 0;
	open->frames = 0;
	open->bytes = 0;
	return 0;
}

/* Copy a frame of @p left bytes, and not one more whatever its segments say. */
static inline void
tx_copy_frame(uint8_t *dst, const struct rte_mbuf *m, uint32_t left)
{
	for (;;) {
		uint32_t len = m->data_len;

		if (unlikely(len > left))
			len = left;
		rte_memcpy(dst, rte_pktmbuf_mtod(m, const void *), len);
		left -= len;
		if (likely(left == 0))
			return;
		dst += len;
		m = m->next;
	}
}

void
netvsc_tx_template(struct netvsc_txq *txq)
{
	struct rndis_packet_builder b;

	txq->max_frame = txq->port->session.mtu + RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN;
	netvsc_tx_forget_memory(txq, hpbus_dma_generation());
	rndis_packet_begin(&b, txq->template);
	/* The queue, so that the host completes and answers here; with one there is no choice. */
	if (txq->port->session.nvsp_version >= NVSP_VERSION_5 && txq->port->session.n_channels > 1)
		rndis_packet_add(&b, RNDIS_PPI_HASH_VALUE, txq->queue_id);
	txq->header_len = rndis_packet_end(&b, 0);
}

/*
 * Write the RNDIS header of a frame. A copy of the template and two words: building it in place
 * would read back words that are still in the store buffer.
 */
static inline uint32_t
tx_header(const struct netvsc_txq *txq, uint8_t *dst, uint32_t frame_len)
{
	uint32_t message_len = txq->header_len + frame_len;

	memcpy(dst, txq->template, NETVSC_HEADER_TEMPLATE);
	memcpy(dst + offsetof(struct rndis_packet, h.length), &message_len, sizeof(message_len));
	memcpy(dst + offsetof(struct rndis_packet, data_length), &frame_len, sizeof(frame_len));
	return txq->header_len;
}

/*
 * Append a frame to the open section, opening one if needed.
 * @return 0, or why not (see tx_open()); -EMSGSIZE when no section can hold it
 */
static inline int
tx_by_copy(struct netvsc_txq *txq, struct tx_open *open, const struct rte_mbuf *m)
{
	struct netvsc_port *port = txq->port;
	uint32_t limit = RTE_MIN(port->session.send_section, port->session.max_transfer);
	uint32_t start = 0, header, len;
	int rc;

	if (open->base != NULL) {
		start = rndis_align(open->used, port->session.alignment);
		if (open->frames >= port->session.max_messages ||
			start + NETVSC_HEADER_MAX + m->pkt_len > limit)
			tx_close(txq, open);
	}
	if (open->base == NULL) {
		if (unlikely(NETVSC_HEADER_MAX + m->pkt_len > limit))
			return -EMSGSIZE;
		rc = tx_open(txq, open);
		if (unlikely(rc != 0))
			return rc;
		start = 0;
	} else if (start != open->used) {
		/* Padding counts as part of the previous message (spec/rndis.md §4). */
		rndis_packet_pad(open->base + open->last, open->last_len, port->session.alignment);
	}
	tx_prefetch_write(open->base + start + TX_PREFETCH_AHEAD);
	tx_prefetch_write(open->base + start + TX_PREFETCH_AHEAD + RTE_CACHE_LINE_SIZE);
	header = tx_header(txq, open->base + start, m->pkt_len);
	tx_copy_frame(open->base + start + header, m, m->pkt_len);
	len = header + m->pkt_len;
	open->last = start;
	open->last_len = len;
	open->used = start + len;
	open->frames++;
	open->bytes += m->pkt_len;
	return 0;
}

/*
 * Send a frame by reference: RNDIS header in this slot's own memory, then the segments. The open
 * section goes first, which keeps the order.
 * @return 0; -EAGAIN no slot or no ring room; -EMSGSIZE the host cannot read it, copy it
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
		     txq->header_len + m->pkt_len > txq->port->session.max_transfer))
		return -EMSGSIZE;
	if (unlikely(txq->n_free == 0)) {
		txq->drops.no_slot++;
		return -EAGAIN;
	}
	index = txq->free[txq->n_free - 1];
	room = (size_t)index * NETVSC_HEADER_ROOM;
	header = tx_header(txq, txq->headers + room, m->pkt_len);
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
		    &txq->ch->out, at + (uint32_t)sizeof(msg), NETVSC_RING_RESERVE))) {
		txq->drops.ring_full++;
		return -EAGAIN;
	}
	slot = tx_slot_take(txq, &index);
	slot->mbuf = m;
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

static inline void
tx_free_copied(struct tx_copied *copied)
{
	if (copied->n != 0)
		rte_pktmbuf_free_bulk(copied->mbuf, copied->n);
	copied->n = 0;
}

/*
 * Send one frame whichever way fits.
 * @return 0 accepted; -EAGAIN stop here, the caller keeps it; else it can never be sent and is
 *         counted, to be freed unless -EFAULT
 */
static inline int
tx_one(struct netvsc_txq *txq, struct tx_open *open, struct tx_copied *copied, struct rte_mbuf *m)
{
	int rc, other;
	bool small;

	if (unlikely(!netvsc_tx_plain(txq, m))) {
		rc = netvsc_tx_check(txq, m);
		if (rc != 0)
			return rc;
	}
	small = m->pkt_len <= txq->port->config.tx_copybreak;
	if (!small) {
		rc = tx_by_reference(txq, open, m);
		if (rc != -EMSGSIZE)
			return rc;
	}
	rc = tx_by_copy(txq, open, m);
	if (likely(rc == 0)) {
		copied->mbuf[copied->n++] = m;
		if (copied->n == TX_FREE_BATCH)
			tx_free_copied(copied);
		return 0;
	}
	/* Other queues may have all the sections, or they are too small: do without (T3). */
	if (small && rc != -EAGAIN) {
		other = tx_by_reference(txq, open, m);
		if (other != -EMSGSIZE)
			return other;
	}
	if (rc == -ENOBUFS) {
		txq->drops.no_section++;
		return -EAGAIN;
	}
	if (rc == -EMSGSIZE)
		txq->drops.unsendable++;
	return rc;
}

/* With it goes all that belongs to the queue: a stopped one is the control side's. */
static inline bool
tx_enter(struct netvsc_txq *txq)
{
	struct netvsc_channel *ch = txq->ch;

	if (unlikely(!netvsc_channel_lock_soon(&ch->tx_lock)))
		return false;
	/* The port may have been stopped, or more, since the look at its state. */
	if (likely(netvsc_channel_live(ch)))
		return true;
	rte_spinlock_unlock(&ch->tx_lock);
	return false;
}

uint16_t
netvsc_tx_burst(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct netvsc_txq *txq = queue;
	struct netvsc_channel *ch = txq->ch;
	struct tx_open open = {.base = NULL};
	struct tx_copied copied = {.n = 0};
	uint32_t generation;
	uint16_t i;
	int rc;

	if (unlikely(atomic_load_explicit(&txq->port->state, memory_order_acquire) !=
		     NETVSC_STATE_RUNNING))
		return 0;
	if (!tx_enter(txq))
		return 0;
	tx_reap(txq, 0);
	if (txq->n_free < RTE_MAX(txq->free_thresh, n)) {
		/* The other lock comes first: without this one. */
		rte_spinlock_unlock(&ch->tx_lock);
		netvsc_rx_try_scan(ch, &txq->lock_misses);
		if (!tx_enter(txq))
			return 0;
		tx_reap(txq, 0);
	}
	if (unlikely(n == 0)) {
		rte_spinlock_unlock(&ch->tx_lock);
		return 0;
	}
	/* Whoever handed these mbufs over has their memory since before: once per burst is enough.
	 */
	generation = hpbus_dma_generation();
	if (unlikely(generation != txq->generation))
		netvsc_tx_forget_memory(txq, generation);
	for (i = 0; i < n; i++) {
		if (i + 2 < n)
			rte_prefetch0(pkts[i + 2]);
		rc = tx_one(txq, &open, &copied, pkts[i]);
		if (likely(rc == 0))
			continue;
		if (rc == -EAGAIN)
			break;
		txq->stats.errors++;
		if (rc != -EFAULT)
			rte_pktmbuf_free(pkts[i]);
	}
	tx_close(txq, &open);
	/* Still with the lock: whoever closes the channel takes the way to signal with it. */
	if (vmbus_ring_writer_publish(&ch->out)) {
		txq->drops.doorbells++;
		hpbus_channel_signal(&ch->bus);
	}
	rte_spinlock_unlock(&ch->tx_lock);
	tx_free_copied(&copied);
	if (unlikely(i < n)) {
		/* Out of something: completions may be waiting behind unread frames (X1). */
		if (unlikely(ch->out.corrupt))
			netvsc_port_broken(txq->port, "the host broke the outbound ring");
		else
			netvsc_rx_try_scan(ch, &txq->lock_misses);
	}
	return i;
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
	rte_spinlock_unlock(&txq->ch->tx_lock);
	return (int)freed;
}
