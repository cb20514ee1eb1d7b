/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * VMBus channel packets as they lie in a ring (spec/vmbus-ring.md §4).
 * Layouts only; nobody owns data here. Little-endian hosts and guests only.
 */
#ifndef HP_VMBUS_PACKET_H
#define HP_VMBUS_PACKET_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/** Hyper-V's page: unit of PFNs and of the ring control area, whatever the guest's page size. */
#define VMBUS_PAGE_SIZE 4096u

/** Packet types that netvsc uses; everything else is refused. */
enum vmbus_packet_type {
	VMBUS_PACKET_INBAND = 0x6,     /**< both ways: control, send-buffer transmit */
	VMBUS_PACKET_XFER_PAGES = 0x7, /**< host to guest: ranges of the receive buffer */
	VMBUS_PACKET_GPA_DIRECT = 0x9, /**< guest to host: ranges of guest pages */
	VMBUS_PACKET_COMPLETION = 0xb, /**< both ways: answer to one packet, by transaction id */
};

/** Descriptor flag: the peer shall answer with a completion. */
#define VMBUS_FLAG_COMPLETION 0x1u

/** Transaction id of packets that ask for no completion (spec/nvsp.md §2). */
#define VMBUS_NO_TRANS_ID UINT64_C(0xfffffffffffffffd)

/** First 16 bytes of every packet. Lengths count 8-byte units. */
struct vmbus_packet {
	uint16_t type;
	uint16_t offset8; /**< payload offset from the start of the descriptor, >= 2 */
	uint16_t len8;	  /**< whole packet without trailer, >= offset8 */
	uint16_t flags;
	uint64_t trans_id; /**< opaque to the peer, echoed in the completion */
};

static_assert(sizeof(struct vmbus_packet) == 16, "descriptor is 16 bytes");
static_assert(offsetof(struct vmbus_packet, trans_id) == 8, "trans_id at 8");

/** Follows the descriptor of VMBUS_PACKET_XFER_PAGES. */
struct vmbus_xfer_header {
	uint16_t set_id; /**< receive buffer id */
	uint16_t ignored;
	uint32_t range_count;
};

/** One RNDIS message in the receive buffer; count comes first. */
struct vmbus_xfer_range {
	uint32_t byte_count;
	uint32_t byte_offset;
};

/** Follows the descriptor of VMBUS_PACKET_GPA_DIRECT. */
struct vmbus_gpa_header {
	uint32_t reserved;
	uint32_t range_count;
};

/** One run of guest memory; byte_offset < 4096 into pfn[0]. */
struct vmbus_gpa_range {
	uint32_t byte_count;
	uint32_t byte_offset;
	uint64_t pfn[];
};

static_assert(sizeof(struct vmbus_xfer_header) == 8, "xfer header");
static_assert(sizeof(struct vmbus_xfer_range) == 8, "xfer range");
static_assert(sizeof(struct vmbus_gpa_header) == 8, "gpa header");
static_assert(sizeof(struct vmbus_gpa_range) == 8, "gpa range");

/** Bytes that follow a packet in the ring: the trailer with its own start offset. */
#define VMBUS_TRAILER_SIZE 8u

/** Pages touched by @p count bytes at @p offset < 4096 of the first page. 64-bit maths on purpose.
 */
static inline uint64_t
vmbus_gpa_pages(uint32_t offset, uint32_t count)
{
	return ((uint64_t)offset + count + VMBUS_PAGE_SIZE - 1) / VMBUS_PAGE_SIZE;
}

/** Bytes of a packet in the ring for @p len bytes of descriptor, type header and payload. */
static inline uint32_t
vmbus_packet_ring_size(uint32_t len)
{
	return ((len + 7u) & ~7u) + VMBUS_TRAILER_SIZE;
}

/**
 * Fill in a descriptor.
 * @param header_len bytes of descriptor plus type header (multiple of 8)
 * @param len        bytes of the whole packet, rounded up to 8 here
 */
static inline void
vmbus_packet_init(struct vmbus_packet *p, enum vmbus_packet_type type, uint32_t header_len,
	uint32_t len, uint16_t flags, uint64_t trans_id)
{
	p->type = (uint16_t)type;
	p->offset8 = (uint16_t)(header_len / 8);
	p->len8 = (uint16_t)((len + 7u) / 8);
	p->flags = flags;
	p->trans_id = trans_id;
}

#endif
