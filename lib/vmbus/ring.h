/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Reader and writer of one VMBus ring, for either end (spec/vmbus-ring.md §1-§8, §12).
 *
 * A ring is one control page followed by a data area whose size is a multiple of 8 but not a power
 * of two. Producer and consumer keep their own index privately and trust only that copy; what the
 * peer wrote is loaded once, validated, then used. An index or a descriptor length that cannot be
 * makes the ring *corrupt*: every later call returns -EIO and touches nothing.
 *
 * Threads: one writer and one reader object per ring and end; calls on one object must be
 * serialised by the caller. Reader and writer of the same ring may run concurrently.
 */
#ifndef HP_VMBUS_RING_H
#define HP_VMBUS_RING_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "lib/vmbus/packet.h"
#include "lib/vmbus/shared.h"

/** Control page of a ring; w and r are byte offsets into the data area, multiples of 8. */
struct vmbus_ring_control {
	_Atomic(uint32_t) write_index;	   /**< producer's */
	_Atomic(uint32_t) read_index;	   /**< consumer's */
	_Atomic(uint32_t) interrupt_mask;  /**< consumer's; non-zero: no signal for new packets */
	_Atomic(uint32_t) pending_send_sz; /**< producer's; non-zero: signal when more is free */
	uint32_t reserved[12];
	_Atomic(uint32_t) feature_bits; /**< producer's; bit 0: pending_send_sz is used */
};

static_assert(offsetof(struct vmbus_ring_control, feature_bits) == 64, "feature_bits at 64");

#define VMBUS_RING_FEATURE_PENDING_SEND 0x1u
/** Smallest legal data area and the largest we map: one page, and 64 MiB. */
#define VMBUS_RING_DATA_MIN 4096u
#define VMBUS_RING_DATA_MAX (64u << 20)

/**
 * Where a ring is mapped. With @a mirrored the data area is mapped twice back to back, so that
 * every packet is contiguous (§3); without it copies are split at the end.
 */
struct vmbus_ring {
	struct vmbus_ring_control *ctl;
	uint8_t *data;
	uint32_t size; /**< bytes of the data area */
	bool mirrored;
};

/** Bytes between read and write index; @p size - used is free. */
static inline uint32_t
vmbus_ring_used(uint32_t size, uint32_t w, uint32_t r)
{
	uint32_t ahead = w - r;

	return w >= r ? ahead : ahead + size;
}

/** Index @p i moved on by @p n <= size. */
static inline uint32_t
vmbus_ring_advance(uint32_t size, uint32_t i, uint32_t n)
{
	uint32_t next = i + n; /* far from wrapping: VMBUS_RING_DATA_MAX */

	return next >= size ? next - size : next;
}

static inline bool
vmbus_ring_index_ok(uint32_t size, uint32_t i)
{
	return i < size && (i & 7u) == 0;
}

/** Copy @p len bytes into the data area at @p at, wrapping when the ring is mapped once. */
static inline void
vmbus_ring_copy_in(const struct vmbus_ring *ring, uint32_t at, const void *src, uint32_t len)
{
	uint32_t first = ring->size - at;

	if (ring->mirrored || len <= first) {
		memcpy(ring->data + at, src, len);
		return;
	}
	memcpy(ring->data + at, src, first);
	memcpy(ring->data, (const uint8_t *)src + first, len - first);
}

/** Copy @p len bytes out of the data area from @p at, wrapping when the ring is mapped once. */
static inline void
vmbus_ring_copy_out(const struct vmbus_ring *ring, uint32_t at, void *dst, uint32_t len)
{
	uint32_t first = ring->size - at;

	if (ring->mirrored || len <= first) {
		memcpy(dst, ring->data + at, len);
		return;
	}
	memcpy(dst, ring->data + at, first);
	memcpy((uint8_t *)dst + first, ring->data, len - first);
}

/**
 * The bytes from @p at on, in place, in a ring that is mapped twice: no packet is split. The peer
 * may be changing them: lib/vmbus/shared.h.
 */
static inline const uint8_t *
vmbus_ring_view(const struct vmbus_ring *ring, uint32_t at)
{
	return ring->data + at;
}

/** Producer's state. Fields are private to this header. */
struct vmbus_ring_writer {
	struct vmbus_ring ring;
	uint32_t next_w;      /**< where the next packet goes */
	uint32_t published_w; /**< what the consumer was last told */
	uint32_t cached_r;    /**< consumer's index as last seen */
	bool corrupt;
};

/** Consumer's state. Fields are private to this header. */
struct vmbus_ring_reader {
	struct vmbus_ring ring;
	uint32_t next_r;      /**< next packet not consumed */
	uint32_t published_r; /**< what the producer was last told */
	uint32_t cached_w;    /**< producer's index as last seen */
	bool corrupt;
};

static inline int
vmbus_ring_check(const struct vmbus_ring *ring)
{
	if (ring->ctl == NULL || ring->data == NULL || ring->size < VMBUS_RING_DATA_MIN ||
		ring->size > VMBUS_RING_DATA_MAX || (ring->size & 7u) != 0)
		return -EINVAL;
	if (!vmbus_ring_index_ok(ring->size, atomic_load(&ring->ctl->write_index)) ||
		!vmbus_ring_index_ok(ring->size, atomic_load(&ring->ctl->read_index)))
		return -EIO;
	return 0;
}

/**
 * Start producing from the indices that stand in the ring (§11); announces pending_send_sz
 * support and clears a stale pending_send_sz.
 * @return 0, -EINVAL for an unusable mapping, -EIO for indices out of range
 */
static inline int
vmbus_ring_writer_init(struct vmbus_ring_writer *w, const struct vmbus_ring *ring)
{
	int rc = vmbus_ring_check(ring);

	/* Corrupt until all has been checked: a failed init leaves no usable object. */
	*w = (struct vmbus_ring_writer){.ring = *ring, .corrupt = true};
	if (rc != 0)
		return rc;
	w->next_w = w->published_w = atomic_load(&ring->ctl->write_index);
	w->cached_r = atomic_load(&ring->ctl->read_index);
	w->corrupt = !vmbus_ring_index_ok(ring->size, w->next_w) ||
		     !vmbus_ring_index_ok(ring->size, w->cached_r);
	if (w->corrupt)
		return -EIO;
	atomic_store(&ring->ctl->pending_send_sz, 0);
	atomic_store(&ring->ctl->feature_bits, VMBUS_RING_FEATURE_PENDING_SEND);
	return 0;
}

/** Start consuming from the indices that stand in the ring. The interrupt mask is left alone. */
static inline int
vmbus_ring_reader_init(struct vmbus_ring_reader *r, const struct vmbus_ring *ring)
{
	int rc = vmbus_ring_check(ring);

	/* Corrupt until all has been checked: a failed init leaves no usable object. */
	*r = (struct vmbus_ring_reader){.ring = *ring, .corrupt = true};
	if (rc != 0)
		return rc;
	r->next_r = r->published_r = atomic_load(&ring->ctl->read_index);
	r->cached_w = r->next_r;
	r->corrupt = !vmbus_ring_index_ok(ring->size, r->next_r);
	return r->corrupt ? -EIO : 0;
}

/* ---- producer ---- */

/** Look at the consumer's index. Step P0/P5: pairs with the release store of C2. */
static inline bool
vmbus_ring_writer_refresh(struct vmbus_ring_writer *w)
{
	uint32_t r = atomic_load_explicit(&w->ring.ctl->read_index, memory_order_acquire);

	/* A read index beyond what was published would make free space out of nothing. */
	if (!vmbus_ring_index_ok(w->ring.size, r) ||
		vmbus_ring_used(w->ring.size, w->published_w, r) >
			vmbus_ring_used(w->ring.size, w->published_w, w->cached_r)) {
		w->corrupt = true;
		return false;
	}
	w->cached_r = r;
	return true;
}

/** Free bytes as last seen (no look at shared memory). */
static inline uint32_t
vmbus_ring_writer_free(const struct vmbus_ring_writer *w)
{
	return w->ring.size - vmbus_ring_used(w->ring.size, w->next_w, w->cached_r);
}

/**
 * Is there room for a packet of @p len bytes (without trailer) and @p reserve bytes more?
 * Looks at the consumer's index only when the cached one does not suffice. A ring is never filled
 * completely (§2).
 */
static inline bool
vmbus_ring_writer_room(struct vmbus_ring_writer *w, uint32_t len, uint32_t reserve)
{
	uint64_t want = (uint64_t)vmbus_packet_ring_size(len) + reserve;

	if (w->corrupt)
		return false;
	if (vmbus_ring_writer_free(w) > want)
		return true;
	if (!vmbus_ring_writer_refresh(w))
		return false;
	return vmbus_ring_writer_free(w) > want;
}

/**
 * Write one packet; the peer does not see it before vmbus_ring_writer_publish().
 * @param pkt     descriptor, type header and payload; @p len rounded up to 8 must be readable and
 *                the padding zero
 * @param len     bytes, <= 524 280
 * @param reserve bytes of ring that must stay free afterwards
 * @return 0, -EAGAIN when the ring is full, -EIO when it is corrupt
 */
static inline int
vmbus_ring_write(struct vmbus_ring_writer *w, const void *pkt, uint32_t len, uint32_t reserve)
{
	uint32_t padded = (len + 7u) & ~7u;
	uint64_t trailer = (uint64_t)w->next_w << 32;

	if (!vmbus_ring_writer_room(w, len, reserve))
		return w->corrupt ? -EIO : -EAGAIN;
	vmbus_ring_copy_in(&w->ring, w->next_w, pkt, padded);
	w->next_w = vmbus_ring_advance(w->ring.size, w->next_w, padded);
	vmbus_ring_copy_in(&w->ring, w->next_w, &trailer, sizeof(trailer));
	w->next_w = vmbus_ring_advance(w->ring.size, w->next_w, sizeof(trailer));
	return 0;
}

/* P2. @return whether there was anything to publish */
static inline bool
vmbus_ring_writer_show(struct vmbus_ring_writer *w)
{
	if (w->corrupt || w->next_w == w->published_w)
		return false;
	/* Release: pairs with the acquire load of w in vmbus_ring_reader_refresh(). */
	atomic_store_explicit(&w->ring.ctl->write_index, w->next_w, memory_order_release);
	w->published_w = w->next_w;
	return true;
}

/* P4-P6, behind the fence P3. @param old what was published before. @return whether to signal */
static inline bool
vmbus_ring_writer_wakes(struct vmbus_ring_writer *w, uint32_t old)
{
	/* Relaxed: the fence P3 orders it, and nothing is read because of it but the index. */
	if (atomic_load_explicit(&w->ring.ctl->interrupt_mask, memory_order_relaxed) != 0)
		return false;
	if (!vmbus_ring_writer_refresh(w))
		return false;
	return w->cached_r == old; /* P6: it was empty before this burst */
}

/**
 * Where the next packet is to be written, by a caller that has asked vmbus_ring_writer_room() for
 * it: the ring is mapped twice, so it lies in one piece. Write only, the peer sees it as it comes.
 */
static inline void *
vmbus_ring_writer_at(const struct vmbus_ring_writer *w)
{
	return w->ring.data + w->next_w;
}

/** A packet of @p len bytes, a multiple of 8, has been written there: add the trailer. */
static inline void
vmbus_ring_writer_end(struct vmbus_ring_writer *w, uint32_t len)
{
	uint64_t trailer = (uint64_t)w->next_w << 32;

	memcpy(w->ring.data + w->next_w + len, &trailer, sizeof(trailer));
	w->next_w = vmbus_ring_advance(w->ring.size, w->next_w, len + (uint32_t)sizeof(trailer));
}

/**
 * Publish everything written since the last call, once per burst (P2-P6).
 * @return true when the peer must be signalled now
 */
static inline bool
vmbus_ring_writer_publish(struct vmbus_ring_writer *w)
{
	uint32_t old = w->published_w;

	if (!vmbus_ring_writer_show(w))
		return false;
	/*
	 * P3, store->load fence: pairs with I3 in vmbus_ring_reader_unmask(). Either the consumer's
	 * re-check sees our new w, or we see its mask cleared here (Dekker; §7).
	 */
	atomic_thread_fence(memory_order_seq_cst);
	return vmbus_ring_writer_wakes(w, old);
}

/**
 * Ask the consumer to signal when more than @p bytes are free (F2-F4).
 * @return true when that much is free already (the request is withdrawn), or when the ring is
 *         corrupt: the next write says so, nobody sleeps on it
 */
static inline bool
vmbus_ring_writer_wait_room(struct vmbus_ring_writer *w, uint32_t bytes)
{
	if (w->corrupt)
		return true;
	/* Relaxed: what it waits for is looked at behind the fence. */
	atomic_store_explicit(&w->ring.ctl->pending_send_sz, bytes, memory_order_relaxed);
	/* F3: pairs with C3 in vmbus_ring_reader_publish(). */
	atomic_thread_fence(memory_order_seq_cst);
	if (!vmbus_ring_writer_refresh(w) || vmbus_ring_writer_free(w) > bytes) {
		atomic_store_explicit(&w->ring.ctl->pending_send_sz, 0, memory_order_relaxed);
		return true;
	}
	return false;
}

/** Withdraw the request of vmbus_ring_writer_wait_room(); seen late it costs a signal too many. */
static inline void
vmbus_ring_writer_clear_wait(struct vmbus_ring_writer *w)
{
	atomic_store_explicit(&w->ring.ctl->pending_send_sz, 0, memory_order_relaxed);
}

/* ---- consumer ---- */

/** Look at the producer's index. Step C0: pairs with the release store of P2. */
static inline bool
vmbus_ring_reader_refresh(struct vmbus_ring_reader *r)
{
	uint32_t w = atomic_load_explicit(&r->ring.ctl->write_index, memory_order_acquire);

	if (w == r->cached_w)
		return true;
	/*
	 * A write index that falls behind what was seen would un-write packets. Measured from the
	 * published read index, which the producer cannot legally pass: measured from next_r, a
	 * step back into packets just consumed would look like a nearly full ring.
	 */
	if (!vmbus_ring_index_ok(r->ring.size, w) ||
		vmbus_ring_used(r->ring.size, w, r->published_r) <
			vmbus_ring_used(r->ring.size, r->cached_w, r->published_r)) {
		r->corrupt = true;
		return false;
	}
	r->cached_w = w;
	return true;
}

/**
 * Has vmbus_ring_peek() nothing to say, neither of a packet nor of a ring that is corrupt? Nothing
 * is read because of the index: relaxed.
 */
static inline bool
vmbus_ring_reader_is_idle(const struct vmbus_ring_reader *r)
{
	return r->next_r == r->cached_w && !r->corrupt &&
	       atomic_load_explicit(&r->ring.ctl->write_index, memory_order_relaxed) == r->cached_w;
}

/**
 * Copy out and validate the descriptor at index @p at of @p used readable bytes (§12).
 * @return bytes it takes in the ring (trailer included), or -EIO
 */
static inline int
vmbus_ring_peek_at(
	const struct vmbus_ring *ring, uint32_t at, uint32_t used, struct vmbus_packet *pkt)
{
	uint64_t words[2];
	uint32_t total;

	if (used < sizeof(*pkt) + VMBUS_TRAILER_SIZE)
		return -EIO;
	/* Aligned words: none of them straddles the end of the ring. */
	words[0] = vmbus_load64(ring->data + at);
	words[1] = vmbus_load64(ring->data + vmbus_ring_advance(ring->size, at, 8));
	memcpy(pkt, words, sizeof(*pkt));
	total = (uint32_t)pkt->len8 * 8 + VMBUS_TRAILER_SIZE;
	if (pkt->offset8 < 2 || pkt->len8 < pkt->offset8 || total > used)
		return -EIO;
	return (int)total;
}

/**
 * Look at the next packet.
 * @return bytes it takes in the ring, 0 when the ring is empty, -EIO when it is corrupt
 */
static inline int
vmbus_ring_peek(struct vmbus_ring_reader *r, struct vmbus_packet *pkt)
{
	int total;

	if (r->corrupt)
		return -EIO;
	if (r->next_r == r->cached_w) {
		if (!vmbus_ring_reader_refresh(r))
			return -EIO;
		if (r->next_r == r->cached_w)
			return 0;
	}
	total = vmbus_ring_peek_at(
		&r->ring, r->next_r, vmbus_ring_used(r->ring.size, r->cached_w, r->next_r), pkt);
	if (total < 0)
		r->corrupt = true;
	return total;
}

/** Move past the packet that vmbus_ring_peek() measured. */
static inline void
vmbus_ring_consume(struct vmbus_ring_reader *r, uint32_t total)
{
	r->next_r = vmbus_ring_advance(r->ring.size, r->next_r, total);
}

/* C2. @return whether there was anything to publish */
static inline bool
vmbus_ring_reader_show(struct vmbus_ring_reader *r)
{
	if (r->corrupt || r->next_r == r->published_r)
		return false;
	/* Release: our reads of the packets come before the producer's reuse of the space. */
	atomic_store_explicit(&r->ring.ctl->read_index, r->next_r, memory_order_release);
	r->published_r = r->next_r;
	return true;
}

/* G1-G4, behind the fence C3. @param old what was published before. @return whether to signal */
static inline bool
vmbus_ring_reader_frees(struct vmbus_ring_reader *r, uint32_t old, bool gate)
{
	uint32_t pending, w, size = r->ring.size;

	/* Relaxed: C3 comes before, G2 behind. */
	pending = atomic_load_explicit(&r->ring.ctl->pending_send_sz, memory_order_relaxed);
	if (pending == 0)
		return false;
	if (gate && !(atomic_load_explicit(&r->ring.ctl->feature_bits, memory_order_relaxed) &
			    VMBUS_RING_FEATURE_PENDING_SEND))
		return false;
	atomic_thread_fence(memory_order_acquire); /* G2 */
	w = atomic_load_explicit(&r->ring.ctl->write_index, memory_order_acquire);
	if (!vmbus_ring_index_ok(size, w)) {
		r->corrupt = true;
		return false;
	}
	return size - vmbus_ring_used(size, w, old) <= pending &&
	       size - vmbus_ring_used(size, w, r->next_r) > pending;
}

/**
 * Publish the read index, once per burst (C2, C3, G1-G4).
 * @param gate a guest honours pending_send_sz only if the producer announced it; a host always
 * @return true when the producer waits for the space that became free and must be signalled
 */
static inline bool
vmbus_ring_reader_publish(struct vmbus_ring_reader *r, bool gate)
{
	uint32_t old = r->published_r;

	if (!vmbus_ring_reader_show(r))
		return false;
	/* C3, store->load fence: pairs with F3 in vmbus_ring_writer_wait_room(). */
	atomic_thread_fence(memory_order_seq_cst);
	return vmbus_ring_reader_frees(r, old, gate);
}

/**
 * Publish both directions of a channel: what vmbus_ring_writer_publish() and
 * vmbus_ring_reader_publish() do, with one fence. Either ring's argument asks for a fence between
 * its own store (P2, C2) and its own loads (P4-P5, G1-G3); one that comes behind both stores and
 * before all the loads is there for both, and what happens in the other ring meanwhile is to each
 * only time that passes.
 * @return true when the peer, who is the same for both, must be signalled
 */
static inline bool
vmbus_ring_publish_both(struct vmbus_ring_writer *w, struct vmbus_ring_reader *r, bool gate)
{
	uint32_t old_w = w->published_w, old_r = r->published_r;
	bool wrote = vmbus_ring_writer_show(w), read = vmbus_ring_reader_show(r);
	bool wakes, frees;

	if (!wrote && !read)
		return false;
	/* P3 and C3. */
	atomic_thread_fence(memory_order_seq_cst);
	wakes = wrote && vmbus_ring_writer_wakes(w, old_w);
	frees = read && vmbus_ring_reader_frees(r, old_r, gate);
	return wakes || frees;
}

/**
 * Suppress signals for new packets. A poller masks once, right after mapping; seen late it costs a
 * signal too many.
 */
static inline void
vmbus_ring_reader_mask(struct vmbus_ring_reader *r)
{
	atomic_store_explicit(&r->ring.ctl->interrupt_mask, 1, memory_order_relaxed);
}

/**
 * About to sleep (I2-I4): allow signals, then look once more. The read index must have been
 * published before (I1).
 * @return true when packets have arrived meanwhile: signals are masked again, go on polling; also
 *         when the ring is corrupt: the next peek says so, nobody sleeps on it
 */
static inline bool
vmbus_ring_reader_unmask(struct vmbus_ring_reader *r)
{
	if (r->corrupt)
		return true;
	/* Relaxed: what it allows is looked for behind the fence. */
	atomic_store_explicit(&r->ring.ctl->interrupt_mask, 0, memory_order_relaxed);
	/* I3: pairs with P3 in vmbus_ring_writer_publish(). */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&r->ring.ctl->write_index, memory_order_acquire) == r->next_r)
		return false;
	vmbus_ring_reader_mask(r);
	return true;
}

#endif
