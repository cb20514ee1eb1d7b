/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Slots: what is remembered of a packet while the host has it. Inline parts of tx.c. While bursts
 * of the queue may send (netvsc_channel_sends()) slots belong to who holds tx_lock: the lcore that
 * sends, or the one that receives on the channel and is out of mbufs. Afterwards they are the
 * control side's, without the lock.
 */
#ifndef HP_NETVSC_TX_SLOT_H
#define HP_NETVSC_TX_SLOT_H

#include <rte_mbuf.h>

#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/tx.h"

static inline uint64_t
netvsc_tx_trans_id(const struct netvsc_tx_slot *slot, uint16_t index)
{
	return (uint64_t)slot->generation << 32 | (uint32_t)(index + 1);
}

/** Take a slot for a packet; it is in flight before the host can know (vmbus-ring.md §5). */
static inline struct netvsc_tx_slot *
netvsc_tx_slot_take(struct netvsc_txq *txq, uint16_t *index)
{
	struct netvsc_tx_slot *slot;

	*index = txq->free[--txq->n_free];
	slot = &txq->slots[*index];
	/* 31 bits, so that bit 63 of the id stays clear. */
	slot->generation = (slot->generation + 1) & 0x7fffffffu;
	slot->first = txq->stats.packets;
	/* Release: the generation comes before; pairs with the acquire in netvsc_tx_complete(). */
	atomic_store_explicit(&slot->state, NETVSC_SLOT_INFLIGHT, memory_order_release);
	return slot;
}

/** Give back what a slot holds; the slot becomes free. */
static inline void
netvsc_tx_slot_free(struct netvsc_txq *txq, uint16_t index)
{
	struct netvsc_tx_slot *slot = &txq->slots[index];

	if (slot->section != NETVSC_SECTION_NONE) {
		netvsc_section_release(&txq->sections, slot->section);
	}
	if (slot->mbuf != NULL) {
		struct rte_mbuf *m = slot->mbuf;

		/*
		 * First: who is killed here has it freed by nobody, not twice (process.c). Nothing
		 * but the compiler can turn the two around: a thread dies between two instructions.
		 */
		slot->mbuf = NULL;
		rte_compiler_barrier();
		rte_pktmbuf_free(m);
	}
	atomic_store_explicit(&slot->state, NETVSC_SLOT_FREE, memory_order_relaxed);
	txq->free[txq->n_free++] = index;
}

/** Free completed slots; with @count not 0 no more than so many frames sent by reference. */
static inline unsigned int
netvsc_tx_slots_reap(struct netvsc_txq *txq, uint32_t count)
{
	/*
	 * Only who has the slots writes the tail, and who completes never looks at it: there is an
	 * entry for each slot. That one is read before it is written anew follows from the slots:
	 * so many completions later one slot has come again, and it was given out (release in
	 * netvsc_tx_slot_take()) after all entries before its first completion were read here.
	 */
	uint32_t tail = atomic_load_explicit(&txq->completed_tail, memory_order_relaxed);
	/* Acquire: pairs with the release in netvsc_tx_complete(). */
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
		netvsc_tx_slot_free(txq, index);
	}
	/* By the burst, not by the packet. */
	txq->drops.reaped +=
		tail - atomic_load_explicit(&txq->completed_tail, memory_order_relaxed);
	atomic_store_explicit(&txq->completed_tail, tail, memory_order_relaxed);
	return packets;
}

#endif
