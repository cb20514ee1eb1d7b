/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The section being filled: messages are packed into it one behind the other, until the host's
 * limits or the end of the burst (spec/nvsp.md §7). Inline parts of tx.c; the sending lcore only.
 */
#ifndef HP_NETVSC_TX_PACK_H
#define HP_NETVSC_TX_PACK_H

#include <errno.h>
#include <string.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/tx.h"
#include "drivers/net/netvsc/tx_header.h"
#include "drivers/net/netvsc/tx_slot.h"

/** Bytes of an in-band packet with one NVSP message, as written. */
#define NETVSC_INBAND_LEN ((uint32_t)(sizeof(struct vmbus_packet) + sizeof(struct nvsp_message)))
/** Bytes of a section fetched for writing before they are written. */
#define NETVSC_TX_PREFETCH 512u

/** The section that is being filled in this burst. */
struct netvsc_tx_open {
	uint8_t *base;
	uint8_t *stop;	 /**< no frame of a message that starts at @a next may end behind it, */
			 /**< its header not counted */
	uint8_t *last;	 /**< where the last message starts */
	uint8_t *end;	 /**< where it ends */
	uint8_t *next;	 /**< where the next one starts: aligned */
	uint32_t frames; /**< NETVSC_TX_NONE_OPEN: there is no such section */
	uint32_t bytes;
	uint16_t slot;
};
#define NETVSC_TX_NONE_OPEN UINT32_MAX

/** Write out the packet of the open section: netvsc_tx_open() saw that there is room for it. */
static inline void
netvsc_tx_close(struct netvsc_txq *txq, struct netvsc_tx_open *open)
{
	struct vmbus_ring_writer *out = &txq->ch->out;
	struct netvsc_tx_slot *slot;
	struct vmbus_packet *pkt;

	if (open->frames == NETVSC_TX_NONE_OPEN)
		return;
	/* The last message ends where its frame does: all of them end there (spec/nvsp.md §7). */
	rndis_packet_set_length(open->last, (uint32_t)(open->end - open->last));
	slot = &txq->slots[open->slot];
	slot->frames = (uint8_t)open->frames;
	slot->bytes = open->bytes;
	pkt = vmbus_ring_writer_at(out);
	vmbus_packet_init(pkt, VMBUS_PACKET_INBAND, sizeof(*pkt), NETVSC_INBAND_LEN,
		VMBUS_FLAG_COMPLETION, netvsc_tx_trans_id(slot, open->slot));
	nvsp_build_rndis((struct nvsp_message *)(pkt + 1), NVSP_CHANNEL_DATA, slot->section,
		(uint32_t)(open->end - open->base));
	vmbus_ring_writer_end(out, NETVSC_INBAND_LEN);
	txq->stats.packets += open->frames;
	txq->stats.bytes += open->bytes;
	txq->drops.aggregated += open->frames;
	open->frames = NETVSC_TX_NONE_OPEN;
}

/**
 * Take a cache line for writing: the host has it, since it read the last message there. Without it
 * a burst of small frames costs a third more when the host is on another core. The compiler builtin
 * means a read for baseline x86-64; the instruction is a no-op where it is not known.
 */
static inline void
netvsc_tx_prefetch_write(const uint8_t *p)
{
#if defined(__x86_64__)
	__asm__ volatile("prefetchw %0" : : "m"(*p));
#else
	rte_prefetch0_write(p);
#endif
}

/** Begin a packet in a section that was taken: there is a slot for it, and room in the ring. */
static inline void
netvsc_tx_begin(struct netvsc_txq *txq, struct netvsc_tx_open *open, uint32_t section)
{
	struct netvsc_tx_slot *slot = netvsc_tx_slot_take(txq, &open->slot);
	uint32_t ahead;

	slot->section = section;
	open->base = txq->send_base + (size_t)section * txq->send_section;
	for (ahead = 0; ahead < NETVSC_TX_PREFETCH; ahead += RTE_CACHE_LINE_SIZE)
		netvsc_tx_prefetch_write(open->base + ahead);
	open->stop = open->base + txq->limit - NETVSC_HEADER_MAX;
	open->end = open->next = open->base;
	open->frames = 0;
	open->bytes = 0;
}

/**
 * Open a section for the next frames.
 * @return 0, or what there is none of, and nothing taken: -ENOSR slots, -EAGAIN ring room, -ENOBUFS
 *         sections
 */
static inline int
netvsc_tx_open(struct netvsc_txq *txq, struct netvsc_tx_open *open)
{
	uint32_t section;

	if (unlikely(txq->n_free == 0))
		return -ENOSR;
	if (unlikely(
		    !vmbus_ring_writer_room(&txq->ch->out, NETVSC_INBAND_LEN, NETVSC_RING_RESERVE)))
		return -EAGAIN;
	section = netvsc_section_alloc(&txq->sections);
	if (unlikely(section == NETVSC_SECTION_NONE))
		return -ENOBUFS;
	netvsc_tx_begin(txq, open, section);
	return 0;
}

/** Does a frame of @p len bytes fit into the open section? */
static inline bool
netvsc_tx_fits(const struct netvsc_txq *txq, const struct netvsc_tx_open *open, uint32_t len)
{
	return open->frames < txq->max_messages && open->next + len <= open->stop;
}

/**
 * Append the message of a frame that fits to the open section, all but the frame's bytes.
 * @param asks what goes with it, or NULL. @param len bytes of the frame as it is sent
 * @return where those go
 */
static inline uint8_t *
netvsc_tx_append(const struct netvsc_txq *txq, struct netvsc_tx_open *open,
	const struct netvsc_tx_asks *asks, uint32_t len)
{
	uint32_t mask = txq->align_mask, header, length, padding;
	uint8_t *dst = open->next;
	const uint64_t zero = 0;

	netvsc_tx_prefetch_write(dst + NETVSC_TX_PREFETCH);
	netvsc_tx_prefetch_write(dst + NETVSC_TX_PREFETCH + RTE_CACHE_LINE_SIZE);
	/*
	 * Padding counts as part of the message before (spec/rndis.md §4), and nothing that was in
	 * the section goes out with it. There is room for a header behind it.
	 */
	if (likely(mask < sizeof(zero)))
		memcpy(open->end, &zero, sizeof(zero));
	else
		memset(open->end, 0, (size_t)(dst - open->end));
	header = netvsc_tx_header(txq, dst, asks, len);
	length = header + len;
	padding = -length & mask;
	rndis_packet_set_length(dst, length + padding);
	open->last = dst;
	open->end = dst + length;
	open->next = open->end + padding;
	open->frames++;
	open->bytes += len;
	return dst + header;
}

#endif
