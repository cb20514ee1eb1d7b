/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * RNDIS over NVSP (spec/rndis.md): control messages and data packets with their per-packet
 * information (PPI); builders and bounds-checked parsers for both ends. Their layouts are in
 * rndis_layout.h.
 * Nobody owns data here and nothing keeps state but struct rndis_rsc, which belongs to one
 * receive queue; any thread may call anything on its own buffers.
 *
 * Parsers work on a *private copy* of a message's first bytes. Offsets in results ("abs") count
 * from the message's first byte, not from byte 8 as on the wire. Little-endian machines only.
 */
#ifndef HP_NETVSP_RNDIS_H
#define HP_NETVSP_RNDIS_H

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/netvsp/rndis_layout.h"
#include "lib/vmbus/shared.h"

/* ---- data packets: building ---- */

/** A PACKET being written: header space first, then PPIs. Lives on the writer's stack. */
struct rndis_packet_builder {
	uint8_t *base;
	uint32_t ppi_length;
};

/** Start a message at @p dst, which must have room for 44 bytes and 16 per PPI. */
static inline void
rndis_packet_begin(struct rndis_packet_builder *b, void *dst)
{
	b->base = (uint8_t *)dst;
	b->ppi_length = 0;
}

/** Append one PPI with one word. */
static inline void
rndis_packet_add(struct rndis_packet_builder *b, uint32_t type, uint32_t value)
{
	const struct rndis_ppi ppi = {
		.size = sizeof(ppi),
		.type = type,
		.offset = RNDIS_PPI_HEADER,
		.value = value,
	};

	memcpy(b->base + sizeof(struct rndis_packet) + b->ppi_length, &ppi, sizeof(ppi));
	b->ppi_length += sizeof(ppi);
}

/** Where data goes when it follows the PPIs at once: bytes from the message's start. */
static inline uint32_t
rndis_packet_header_length(const struct rndis_packet_builder *b)
{
	return (uint32_t)sizeof(struct rndis_packet) + b->ppi_length;
}

/**
 * Write the header with the frame at a chosen place (a host's receive section).
 * @param data_abs       first byte of the frame, >= rndis_packet_header_length()
 * @param data_length    bytes of the frame
 * @param message_length >= data_abs + data_length
 */
static inline void
rndis_packet_end_at(const struct rndis_packet_builder *b, uint32_t data_abs, uint32_t data_length,
	uint32_t message_length)
{
	const struct rndis_packet p = {
		.h = {.type = RNDIS_TYPE_PACKET, .length = message_length},
		.data_offset = data_abs - RNDIS_OFFSET_BASE,
		.data_length = data_length,
		/* 0 without PPIs: Linux takes any other offset as a promise and logs an error. */
		.ppi_offset = b->ppi_length == 0 ? 0 : (uint32_t)sizeof(p) - RNDIS_OFFSET_BASE,
		.ppi_length = b->ppi_length,
	};

	memcpy(b->base, &p, sizeof(p));
}

/**
 * Write the header with the frame right behind the PPIs (a guest's send).
 * @return header length: where the frame goes; the message is that plus @p data_length
 */
static inline uint32_t
rndis_packet_end(const struct rndis_packet_builder *b, uint32_t data_length)
{
	uint32_t header = rndis_packet_header_length(b);

	rndis_packet_end_at(b, header, data_length, header + data_length);
	return header;
}

/** PPIs were appended to a header that stands: they end, and the frame begins, at @p header. */
static inline void
rndis_packet_set_ppis(void *msg, uint32_t header)
{
	const uint32_t first = sizeof(struct rndis_packet), ppi_length = header - first;
	const uint32_t ppi_offset = ppi_length == 0 ? 0 : first - RNDIS_OFFSET_BASE;
	const uint32_t data_offset = header - RNDIS_OFFSET_BASE;
	uint8_t *p = (uint8_t *)msg;

	memcpy(p + offsetof(struct rndis_packet, data_offset), &data_offset, sizeof(data_offset));
	memcpy(p + offsetof(struct rndis_packet, ppi_offset), &ppi_offset, sizeof(ppi_offset));
	memcpy(p + offsetof(struct rndis_packet, ppi_length), &ppi_length, sizeof(ppi_length));
}

/** @p length rounded up to @p alignment, a power of two. */
static inline uint32_t
rndis_align(uint32_t length, uint32_t alignment)
{
	return (length + alignment - 1) & ~(alignment - 1);
}

/** Say how long a message is, padding included. */
static inline void
rndis_packet_set_length(void *msg, uint32_t length)
{
	memcpy((uint8_t *)msg + offsetof(struct rndis_header, length), &length, sizeof(length));
}

/**
 * Before another message is appended: zero-pad the one at @p msg to the alignment and count the
 * padding in its length (§4 "Concatenation"). Room for the padding is the caller's.
 * @param length the length it was built with. @return its new length
 */
static inline uint32_t
rndis_packet_pad(void *msg, uint32_t length, uint32_t alignment)
{
	uint32_t padded = rndis_align(length, alignment);

	if (padded != length) {
		memset((uint8_t *)msg + length, 0, padded - length);
		rndis_packet_set_length(msg, padded);
	}
	return padded;
}

/* ---- data packets: parsing ---- */

/** Bits of rndis_packet_info.present. */
#define RNDIS_HAS_CSUM	     0x01u
#define RNDIS_HAS_LSO	     0x02u
#define RNDIS_HAS_VLAN	     0x04u
#define RNDIS_HAS_HASH_VALUE 0x08u
#define RNDIS_HAS_HASH_INFO  0x10u
#define RNDIS_HAS_PACKET_ID  0x20u
#define RNDIS_HAS_ALL	     0x3fu

/** What a checked PACKET says. Words are valid only when their bit in @a present is set. */
struct rndis_packet_info {
	uint32_t message_length;
	uint32_t data_abs;    /**< first byte of the frame, from the message's start */
	uint32_t data_length; /**< bytes of the frame, no FCS */
	uint32_t ppi_abs;     /**< where the PPIs are, from the message's start */
	uint32_t ppi_length;
	uint32_t present; /**< RNDIS_HAS_* */
	uint32_t csum;	  /**< RNDIS_TX_CSUM_* or RNDIS_RX_CSUM_* by direction */
	uint32_t lso;
	uint32_t hash_value;
	uint32_t hash_info;
	uint16_t vlan_tci;
	uint16_t rsc_id;
	uint8_t rsc_flags; /**< RNDIS_RSC_* */
};

/** Type of a message whose first bytes are at @p header (private copy of >= 4 bytes). */
static inline uint32_t
rndis_message_type(const void *header)
{
	uint32_t type;

	memcpy(&type, header, sizeof(type));
	return type;
}

/**
 * Walk @p length bytes of PPIs (§10), a private copy. First of a kind wins, unknown kinds are
 * skipped. @return 0 or -EBADMSG
 */
int rndis_ppi_walk(const void *ppis, uint32_t length, struct rndis_packet_info *info);

/** Rules that both ends share: everything but PPI contents and direction-specific limits. */
static inline int
rndis_packet_parse_head(
	const void *header, uint32_t avail, uint32_t range_length, struct rndis_packet_info *info)
{
	struct rndis_packet p;
	uint32_t s;

	if (avail < sizeof(p) || range_length < sizeof(p))
		return -EBADMSG;
	memcpy(&p, header, sizeof(p));
	if (p.h.type != RNDIS_TYPE_PACKET || p.h.length < sizeof(p) || p.h.length > range_length)
		return -EBADMSG;
	s = p.h.length - RNDIS_OFFSET_BASE;
	if (p.data_offset < sizeof(p) - RNDIS_OFFSET_BASE || p.data_offset > s ||
		p.data_length < RNDIS_MIN_FRAME || p.data_length > s - p.data_offset)
		return -EBADMSG;
	info->message_length = p.h.length;
	info->data_abs = p.data_offset + RNDIS_OFFSET_BASE;
	info->data_length = p.data_length;
	info->ppi_abs = 0;
	info->ppi_length = 0;
	info->present = 0;
	if (p.ppi_length == 0)
		return 0;
	if (p.ppi_offset < sizeof(p) - RNDIS_OFFSET_BASE || p.ppi_offset % 4 != 0 ||
		p.ppi_offset > s || p.ppi_length > s - p.ppi_offset ||
		p.ppi_length < RNDIS_PPI_HEADER || p.ppi_length > RNDIS_MAX_PPI_LENGTH)
		return -EBADMSG;
	info->ppi_abs = p.ppi_offset + RNDIS_OFFSET_BASE;
	info->ppi_length = p.ppi_length;
	return 0;
}

/**
 * Guest: check a received PACKET (§10 "Guest RX").
 * @param header       private copy of the message's first @p avail bytes (300 hold all PPIs of a
 *                     usual packet)
 * @param range_length bytes of the transfer range, already checked against the receive buffer
 * @return 0; -EBADMSG drop, count and still complete; -ENOBUFS the PPIs lie behind @p avail: copy
 *         info->ppi_length bytes at info->ppi_abs and call rndis_ppi_walk() on them
 */
static inline int
rndis_packet_parse_rx(
	const void *header, uint32_t avail, uint32_t range_length, struct rndis_packet_info *info)
{
	int ret = rndis_packet_parse_head(header, avail, range_length, info);

	if (ret != 0 || info->ppi_length == 0)
		return ret;
	if (info->ppi_abs > avail || info->ppi_length > avail - info->ppi_abs)
		return -ENOBUFS;
	return rndis_ppi_walk((const uint8_t *)header + info->ppi_abs, info->ppi_length, info);
}

/** Most PPIs that a shape has. */
#define RNDIS_SHAPE_PPIS 4u

/**
 * Guest: what the last PACKET looked like. Hosts send frame after frame of one shape: everything in
 * the header is the same but the lengths, and the PPIs are the same kinds at the same places. So
 * the parser need not look at each: rndis_shape_match() compares, and says what the parser would
 * say. All zero but for rndis_shape_forget() at start; one per receive queue.
 */
struct rndis_shape {
	uint32_t data_offset; /**< as it lies in the header; RNDIS_SHAPE_NONE: no shape */
	uint32_t ppi_abs, n_ppis;
	uint64_t ppi_area;		/**< PerPacketInfoOffset and Length, as they lie */
	uint64_t ppi[RNDIS_SHAPE_PPIS]; /**< size and type of each, as they lie */
	uint32_t present;		/**< RNDIS_HAS_* */
	/** Where the words are, from the message's start; by kind, if present. */
	uint32_t csum_at, vlan_at, hash_value_at, hash_info_at, packet_id_at;
};

/** A data offset behind which no message has a frame. */
#define RNDIS_SHAPE_NONE UINT32_MAX

static inline void
rndis_shape_forget(struct rndis_shape *shape)
{
	shape->data_offset = RNDIS_SHAPE_NONE;
}

/**
 * Remember the shape of a message that rndis_packet_parse_rx() has accepted; one that has none,
 * with other than 16-byte PPIs of different kinds in front of the frame, leaves no shape.
 * @param header the private copy that was parsed. @param info what the parser said
 */
void rndis_shape_learn(struct rndis_shape *shape, const void *header, uint32_t avail,
	const struct rndis_packet_info *info);

/**
 * Does the message at @p msg, in shared memory, have this shape? Every word is loaded once. If it
 * does, @p info is what rndis_packet_parse_rx() would have said of the same bytes; lengths are
 * checked as there, and what the words of PPIs say never decided anything.
 * @param msg          there is memory for a struct rndis_packet, however long the range is
 * @param range_length bytes of the transfer range, already checked against the receive buffer
 * @param want         RNDIS_HAS_*: words to load, a constant; others are left as they were
 * @return false: it does not, ask the parser
 */
static __attribute__((always_inline)) inline bool
rndis_shape_match(const struct rndis_shape *shape, const uint8_t *msg, uint32_t range_length,
	uint32_t want, struct rndis_packet_info *info)
{
	uint64_t head = vmbus_load64(msg);
	uint64_t data = vmbus_load64(msg + offsetof(struct rndis_packet, data_offset));
	uint64_t data_abs = (uint64_t)shape->data_offset + RNDIS_OFFSET_BASE;
	uint32_t length = (uint32_t)(head >> 32), data_length = (uint32_t)(data >> 32), i;
	const uint8_t *ppi;

	if ((uint32_t)head != RNDIS_TYPE_PACKET || (uint32_t)data != shape->data_offset ||
		vmbus_load64(msg + offsetof(struct rndis_packet, ppi_offset)) != shape->ppi_area)
		return false;
	/* The frame is in the message, and so are the PPIs in front of it. */
	if (data_length < RNDIS_MIN_FRAME || data_abs + data_length > length ||
		length > range_length)
		return false;
	if (shape->n_ppis != 0) {
		ppi = msg + shape->ppi_abs;
		for (i = 0; i < shape->n_ppis; i++, ppi += sizeof(struct rndis_ppi))
			if (vmbus_load64(ppi) != shape->ppi[i] ||
				vmbus_load32(ppi + offsetof(struct rndis_ppi, offset)) !=
					RNDIS_PPI_HEADER)
				return false;
	}
	info->message_length = length;
	info->data_abs = (uint32_t)data_abs;
	info->data_length = data_length;
	info->ppi_abs = shape->ppi_abs;
	info->ppi_length = shape->n_ppis * (uint32_t)sizeof(struct rndis_ppi);
	info->present = shape->present;
	want &= info->present;
	if (want == 0)
		return true;
	if (want & RNDIS_HAS_CSUM)
		info->csum = vmbus_load32(msg + shape->csum_at);
	if (want & RNDIS_HAS_VLAN)
		info->vlan_tci = rndis_vlan_to_tci(vmbus_load32(msg + shape->vlan_at));
	if (want & RNDIS_HAS_HASH_VALUE)
		info->hash_value = vmbus_load32(msg + shape->hash_value_at);
	if (want & RNDIS_HAS_HASH_INFO)
		info->hash_info = vmbus_load32(msg + shape->hash_info_at);
	if (want & RNDIS_HAS_PACKET_ID) {
		uint32_t id = vmbus_load32(msg + shape->packet_id_at);

		info->rsc_flags = rndis_packet_id_flags(id);
		info->rsc_id = rndis_packet_id_number(id);
	}
	return true;
}

/** Host: limits for what guests send (§10 "Host TX"). */
struct rndis_tx_rules {
	uint32_t max_frame; /**< without segmentation: configured MTU field + 4 */
	uint32_t max_lso;   /**< with it; at most RNDIS_MAX_BIG_FRAME */
	uint32_t mss_floor; /**< smallest MSS taken, >= 1 */
};

/** Segment-flood guard of the host (§10). */
#define RNDIS_MSS_FLOOR	      64u
#define RNDIS_MAX_TX_PER_SEND 64u

/**
 * Host: check a PACKET of a send (§10 "Host TX").
 * @param header private copy of the first @p avail bytes; must hold header and PPIs
 * @param left   bytes of the stream from this message on
 * @return 0 (the next message starts info->message_length bytes on); -EBADMSG fail the whole
 *         send; -ENOBUFS as rndis_packet_parse_rx(): gather more (or fail the send), then call
 * again
 */
int rndis_packet_parse_tx(const void *header, uint32_t avail, uint32_t left,
	const struct rndis_tx_rules *rules, struct rndis_packet_info *info);

/* ---- receive segment coalescing (§4.3) ---- */

/** Fragments held of one coalesced frame; one per receive queue, zero at start. */
struct rndis_rsc {
	uint32_t count;
	uint32_t bytes;
	uint16_t id;
};

/** What to do with a fragment: START, FINISH or both or none (append and hold), or DROP. */
#define RNDIS_RSC_ACT_START  1u /**< discard what is held, begin with this one */
#define RNDIS_RSC_ACT_FINISH 2u /**< after appending it, deliver */
#define RNDIS_RSC_ACT_DROP   4u /**< discard it and what is held */

/**
 * Next fragment. A frame without RSC gives START | FINISH.
 * @param final_range it is the last range of its transfer-page packet
 */
unsigned int rndis_rsc_next(
	struct rndis_rsc *rsc, const struct rndis_packet_info *info, bool final_range);

/** A range could not be used: forget (and the caller discards) what is held. */
static inline void
rndis_rsc_reset(struct rndis_rsc *rsc)
{
	rsc->count = 0;
}

/* ---- control: building. Each returns the message's bytes, or -ENOSPC when size is too small ---
 */

int rndis_build_initialize(void *dst, size_t size, uint32_t request_id, uint32_t max_transfer);
/** @param type RNDIS_TYPE_HALT or RNDIS_TYPE_KEEPALIVE */
int rndis_build_short(void *dst, size_t size, enum rndis_type type, uint32_t request_id);
/** @param info input of a typed query, or NULL */
int rndis_build_query(void *dst, size_t size, uint32_t request_id, uint32_t oid, const void *info,
	uint32_t info_length);
/** @param info NULL: the caller fills info_length bytes at dst + 28 */
int rndis_build_set(void *dst, size_t size, uint32_t request_id, uint32_t oid, const void *info,
	uint32_t info_length);

int rndis_build_initialize_complete(void *dst, size_t size, uint32_t request_id, uint32_t status,
	uint32_t max_packets, uint32_t max_transfer, uint32_t alignment_factor);
/** With an error status no info goes out (§2). */
int rndis_build_query_complete(void *dst, size_t size, uint32_t request_id, uint32_t status,
	const void *info, uint32_t info_length);
int rndis_build_set_complete(void *dst, size_t size, uint32_t request_id, uint32_t status);
int rndis_build_keepalive_complete(void *dst, size_t size, uint32_t request_id, uint32_t status);
int rndis_build_reset_complete(void *dst, size_t size, uint32_t status, bool addressing_reset);
int rndis_build_indicate(
	void *dst, size_t size, uint32_t status, const void *buffer, uint32_t length);

/* ---- control: parsing ---- */

/** Guest: a completion. Matching type and request id with what is pending is the caller's. */
struct rndis_completion {
	uint32_t type;	     /**< RNDIS_TYPE_*_CMPLT */
	uint32_t request_id; /**< 0 for RESET_C */
	uint32_t status;
	uint32_t info_abs; /**< QUERY_C: bytes from the message's start, valid when length != 0 */
	uint32_t info_length;
	/* INITIALIZE_C with status success only: */
	uint32_t max_packets; /**< per send, >= 1 */
	uint32_t max_transfer_size;
	uint32_t alignment; /**< bytes, power of two, >= 4 */
};

/**
 * @param msg   private copy, @param avail its bytes (at most the range's)
 * @return 0; -EBADMSG malformed; -ENOTSUP not a completion
 */
int rndis_parse_completion(const void *msg, uint32_t avail, struct rndis_completion *out);

/** Guest: a status indication. */
struct rndis_indication {
	uint32_t status;     /**< RNDIS_STATUS_* */
	uint32_t buffer_abs; /**< valid when length != 0 */
	uint32_t buffer_length;
};

/**
 * The buffer is checked against @p avail, not against MessageLength: old switches leave it out of
 * the latter (§9). A buffer that does not fit reads as none.
 */
int rndis_parse_indicate(const void *msg, uint32_t avail, struct rndis_indication *out);

/** Host: a control message of a guest. */
struct rndis_control {
	uint32_t type;	     /**< enum rndis_type */
	uint32_t request_id; /**< not RESET */
	uint32_t oid;	     /**< QUERY, SET */
	uint32_t info_abs;
	uint32_t info_length;
	uint32_t major, minor, max_transfer_size; /**< INITIALIZE */
};

/**
 * @param msg private copy, @param avail bytes of the stream
 * @return 0; -EBADMSG malformed; -ENOTSUP a type guests do not send
 */
int rndis_parse_control(const void *msg, uint32_t avail, struct rndis_control *out);

/** "QUERY_C" and so on, for logs; never NULL. */
const char *rndis_type_name(uint32_t type);

#endif
