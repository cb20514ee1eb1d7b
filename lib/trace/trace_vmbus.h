/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Packets of a NIC's VMBus channels as records of a trace: the packet as it lies in the ring, and
 * behind it what it names, which is where RNDIS messages are (spec/rndis.md §1): a section of the
 * send buffer, guest pages, ranges of the receive buffer. Both ends write the same.
 *
 * A tap is one NIC seen from one end. It belongs to who polls the NIC; the packets of one direction
 * of one channel come one after the other, others at the same time.
 */
#ifndef HP_TRACE_TRACE_VMBUS_H
#define HP_TRACE_TRACE_VMBUS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/trace/trace.h"
#include "lib/vmbus/packet.h"
#include "lib/vmbus/ring.h"

#define TRACE_CHANNELS 64u
/** Bytes of RNDIS of a send, or of a received range, that go into the trace; its default. */
#define TRACE_SNAPLEN_MIN 128u
#define TRACE_SNAPLEN	  2048u
#define TRACE_SNAPLEN_MAX 131072u

/** Direction of a record. */
enum trace_direction {
	TRACE_TO_HOST,
	TRACE_TO_GUEST,
	TRACE_EVENT, /**< no packet: something happened to the channel */
};

enum trace_event { TRACE_EVENT_NONE, TRACE_EVENT_OPENED, TRACE_EVENT_CLOSED };

/** Bits of trace_header.flags. */
#define TRACE_SEEN_BY_GUEST 0x1u
#define TRACE_CONTROL_ONLY  0x2u /**< data packets, and what completes them, are not traced */
#define TRACE_INCOMPLETE    0x4u /**< the packet, or what it names, is longer than is there */

/** In front of every record; little-endian, as all behind it. */
struct trace_header {
	uint8_t version; /**< 1 */
	uint8_t direction;
	uint16_t channel;
	uint8_t flags;
	uint8_t event;
	uint16_t pieces;	  /**< that follow the packet */
	uint64_t time;		  /**< of trace_clock(), nanoseconds */
	uint32_t packet_length;	  /**< bytes of the packet in the ring, without its trailer */
	uint32_t packet_captured; /**< bytes of it that follow, padded to 4 */
	uint32_t recv_length; /**< bytes of the receive buffer; 0: there is none, or not known */
	uint32_t send_length; /**< ... of the send buffer */
	uint32_t tap;	      /**< the NIC and who sees it: a number of its own in any file */
	uint32_t lost;	      /**< records of this NIC that are missing before this one */
};

enum trace_piece_kind {
	TRACE_PIECE_SECTION = 1, /**< of the send buffer; offset: the section's number */
	TRACE_PIECE_PAGES = 2,	 /**< of guest pages: range @a index; offset: in the range */
	TRACE_PIECE_RECEIVE = 3, /**< range @a index; offset: in the receive buffer */
};
#define TRACE_PIECE_UNREADABLE 0x8000u /**< bit of the kind: it lies outside of what there is */

/** In front of each piece, whose bytes are padded to 4. */
struct trace_piece {
	uint16_t kind;
	uint16_t index;
	uint32_t offset;
	uint32_t length;   /**< bytes as the packet names them */
	uint32_t captured; /**< bytes that follow */
};

static_assert(sizeof(struct trace_header) == 40, "header of a record");
static_assert(sizeof(struct trace_piece) == 16, "header of a piece");

/** What packets can name, as this end has it mapped. */
struct trace_memory {
	const uint8_t *recv, *send; /**< NULL: there is none */
	uint32_t recv_length, send_length;
	uint32_t send_section; /**< bytes of a section */
	/** The 4 KiB page @p pfn of the guest, or NULL. */
	const void *(*page)(void *ctx, uint64_t pfn);
	void *ctx;
};

struct trace_tap {
	struct trace *trace;
	char name[TRACE_NAME - 16]; /**< interfaces are called so, and by their channel */
	char description[TRACE_NAME];
	uint32_t snaplen;
	uint32_t number;	/**< trace_header.tap */
	_Atomic(uint32_t) lost; /**< since the last record that was taken */
	uint8_t flags;		/**< TRACE_SEEN_BY_GUEST */
	bool data;		/**< everything; false: control messages */
	/** Of control only: bits of a transaction id that completions of control have, of the host.
	 */
	uint64_t control_ids;
	_Atomic(int) interface[TRACE_CHANNELS]; /**< number + 1 */
};

/** A tap of a trace that its owner holds. */
void trace_tap_init(struct trace_tap *tap, struct trace *trace, const char *name,
	const char *description, uint32_t snaplen);
/** Trace a packet of @p len bytes that the caller has in its own memory, or in the ring. */
void trace_packet(struct trace_tap *tap, unsigned int channel, enum trace_direction direction,
	const void *packet, uint32_t len, const struct trace_memory *memory);
/** The same for one that lies in a ring at @p at. */
void trace_ring_packet(struct trace_tap *tap, unsigned int channel, enum trace_direction direction,
	const struct vmbus_ring *ring, uint32_t at, uint32_t len,
	const struct trace_memory *memory);
void trace_event(struct trace_tap *tap, unsigned int channel, enum trace_event event,
	const struct trace_memory *memory);

#endif
