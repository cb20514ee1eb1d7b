/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * How a frame's bytes are named in GPA-direct packets (spec/nvsp.md §7). Inline parts of tx.c; the
 * sending lcore only.
 */
#ifndef HP_NETVSC_TX_GPA_H
#define HP_NETVSC_TX_GPA_H

#include <string.h>

#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/tx.h"

/** Forget what is remembered of memory: @p generation is another than it was learned in. */
static __rte_noinline void
netvsc_tx_forget_memory(struct netvsc_txq *txq, uint32_t generation)
{
	memset(txq->runs, 0, sizeof(txq->runs));
	txq->generation = generation;
}

/** What the host can read at an address. Pieces of memory are remembered by window. */
static inline const struct hpbus_dma_run *
netvsc_tx_memory(struct netvsc_txq *txq, uintptr_t addr)
{
	struct hpbus_dma_run *run = &txq->runs[addr / HPBUS_DMA_WINDOW % NETVSC_DMA_RUNS];

	if (unlikely(addr - run->start >= run->len)) {
		*run = hpbus_dma_lookup(netvsc_bus_of(txq->port), addr);
		txq->drops.dma_lookups++;
	}
	return run;
}

/** Most an RNDIS header and a frame of up to NETVSC_TX_MAX_SEGS segments take as a packet. */
#define NETVSC_GPA_ROOM 1024u
/* Pages: each segment's ends, and what a frame of the largest MTU there is fills between them. */
static_assert(sizeof(struct vmbus_packet) + sizeof(struct vmbus_gpa_header) +
			      (1 + NETVSC_TX_MAX_SEGS) * sizeof(struct vmbus_gpa_range) +
			      (1 + 2 * NETVSC_TX_MAX_SEGS +
				      (UINT16_MAX + RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN) /
					      VMBUS_PAGE_SIZE) *
				      sizeof(uint64_t) +
			      sizeof(struct nvsp_message) <=
		      NETVSC_GPA_ROOM,
	"every frame that is taken can be named");
/* What can never fit would be -EAGAIN for ever. */
static_assert(NETVSC_GPA_ROOM + VMBUS_TRAILER_SIZE + NETVSC_RING_RESERVE < VMBUS_RING_DATA_MIN,
	"every packet fits the smallest ring");

/** Append one range to a GPA-direct packet. @return bytes it takes */
static inline uint32_t
netvsc_gpa_range(uint8_t *at, rte_iova_t iova, uint32_t len)
{
	uint32_t offset = (uint32_t)(iova & (VMBUS_PAGE_SIZE - 1));
	struct vmbus_gpa_range range = {len, offset};
	uint32_t i, pages = (uint32_t)vmbus_gpa_pages(offset, len);
	uint64_t pfn = iova / VMBUS_PAGE_SIZE; /* 64 bits: virtual addresses are large */

	memcpy(at, &range, sizeof(range));
	at += sizeof(range);
	for (i = 0; i < pages; i++, pfn++, at += sizeof(pfn))
		memcpy(at, &pfn, sizeof(pfn));
	return (uint32_t)sizeof(range) + pages * (uint32_t)sizeof(pfn);
}

/**
 * Append the bytes of a segment from @p skip on as one range. Where they are counts, not whose they
 * are: a buffer may be of the mbuf's pool, another mbuf's, or the application's, and buf_iova of
 * the latter is whatever the application wrote.
 * @return bytes the range takes, 0 when the host cannot read all of it
 */
static inline uint32_t
netvsc_gpa_segment(struct netvsc_txq *txq, uint8_t *at, const struct rte_mbuf *seg, uint32_t skip)
{
	uintptr_t addr = rte_pktmbuf_mtod(seg, uintptr_t) + skip;
	uint32_t left = seg->data_len - skip, bytes, len;
	const struct hpbus_dma_run *run = netvsc_tx_memory(txq, addr);
	uint64_t pfn;

	if (unlikely(!run->usable))
		return 0;
	if (likely(left <= run->start + run->len - addr))
		return netvsc_gpa_range(at, addr + run->offset, left);
	/* Pages of one range need not follow each other. */
	len = (uint32_t)(run->start + run->len - addr);
	bytes = netvsc_gpa_range(at, addr + run->offset, len);
	memcpy(at, &left, sizeof(left));
	for (addr += len, left -= len; left != 0; addr += len, left -= len) {
		run = netvsc_tx_memory(txq, addr);
		if (!run->usable)
			return 0;
		len = RTE_MIN(left, VMBUS_PAGE_SIZE);
		pfn = (addr + run->offset) / VMBUS_PAGE_SIZE;
		memcpy(at + bytes, &pfn, sizeof(pfn));
		bytes += (uint32_t)sizeof(pfn);
	}
	return bytes;
}

#endif
