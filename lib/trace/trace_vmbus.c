/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a packet to its record. The peer may be changing all that is looked at: a packet is copied
 * first, and what it names is found by the copy. What it names may be nonsense; that is what traces
 * are for.
 */
#include "lib/trace/trace_vmbus.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/netvsp/nvsp.h"
#include "lib/netvsp/rndis.h"
#include "lib/vmbus/shared.h"

/* Packets are longer only by mistake. */
#define PACKET_MAX 8192u
/* Pieces of a record: ranges of a transfer packet, or pages of a send. */
#define PIECES_MAX NVSP_MAX_XFER_RANGES_RSC
/* Header, packet and its padding; then three for each piece. */
#define PARTS_MAX (3 + 3 * PIECES_MAX)
/* Behind all pieces nothing more is taken of a record; less than TRACE_RECORD with all headers. */
#define BYTES_MAX (256u << 10)

static_assert(PACKET_MAX + BYTES_MAX + 16 * PIECES_MAX + 4096 < TRACE_RECORD, "records fit");

struct record {
	struct trace_header header;
	uint8_t packet[PACKET_MAX] __attribute__((aligned(8)));
	struct trace_piece pieces[PIECES_MAX];
	struct iovec parts[PARTS_MAX];
	unsigned int n_parts;
	uint32_t full;	/* bytes of the record, had nothing been cut */
	uint32_t bytes; /* of pieces, so far */
};

static const uint8_t zeros[4];

static void
add_part(struct record *r, const void *data, uint32_t len)
{
	if (len != 0)
		r->parts[r->n_parts++] = (struct iovec){(void *)(uintptr_t)data, len};
}

/* @param data NULL: it cannot be read. @param most bytes of it that are taken */
static void
add_piece(struct record *r, enum trace_piece_kind kind, uint32_t index, uint32_t offset,
	const void *data, uint32_t len, uint32_t most)
{
	struct trace_piece *p;

	if (r->header.pieces == PIECES_MAX) {
		r->header.flags |= TRACE_INCOMPLETE;
		return;
	}
	p = &r->pieces[r->header.pieces++];
	*p = (struct trace_piece){(uint16_t)kind, (uint16_t)index, offset, len, 0};
	if (most > BYTES_MAX - r->bytes)
		most = BYTES_MAX - r->bytes;
	p->captured = data == NULL ? 0 : len < most ? len : most;
	if (data == NULL)
		p->kind |= TRACE_PIECE_UNREADABLE;
	else if (p->captured < len)
		r->header.flags |= TRACE_INCOMPLETE;
	r->bytes += p->captured;
	add_part(r, p, sizeof(*p));
	add_part(r, data, p->captured);
	add_part(r, zeros, -p->captured & 3);
	r->full += (uint32_t)sizeof(*p) + (data == NULL ? 0 : len);
}

static void
name_ranges(struct record *r, uint32_t header, uint32_t snaplen, const struct trace_memory *m)
{
	const uint8_t *at = r->packet + sizeof(struct vmbus_packet);
	struct vmbus_xfer_header xfer;
	struct vmbus_xfer_range range;
	uint32_t i, n;

	if (header < sizeof(struct vmbus_packet) + sizeof(xfer))
		return;
	memcpy(&xfer, at, sizeof(xfer));
	at += sizeof(xfer);
	/* As many as there is room for, whatever is said. */
	n = (header - (uint32_t)(sizeof(struct vmbus_packet) + sizeof(xfer))) /
	    (uint32_t)sizeof(range);
	n = n < xfer.range_count ? n : xfer.range_count;
	for (i = 0; i < n; i++, at += sizeof(range)) {
		bool there;

		memcpy(&range, at, sizeof(range));
		there = m->recv != NULL && range.byte_offset <= m->recv_length &&
			range.byte_count <= m->recv_length - range.byte_offset;
		add_piece(r, TRACE_PIECE_RECEIVE, i, range.byte_offset,
			there ? m->recv + range.byte_offset : NULL, range.byte_count, snaplen);
	}
}

static void
name_pages(struct record *r, uint32_t header, uint32_t snaplen, const struct trace_memory *m)
{
	struct nvsp_gpa_walk walk;
	struct nvsp_gpa_range range;
	uint32_t index = 0, i, at, len, left;

	if (nvsp_gpa_walk_start(&walk, r->packet + sizeof(struct vmbus_packet),
		    header - (uint32_t)sizeof(struct vmbus_packet), UINT32_MAX) < 0)
		return;
	for (; nvsp_gpa_walk_next(&walk, &range) > 0; index++) {
		at = range.byte_offset;
		left = range.byte_count;
		for (i = 0; i < range.pages; i++, left -= len, at = 0) {
			const uint8_t *page =
				m->page == NULL ? NULL : m->page(m->ctx, nvsp_gpa_pfn(&range, i));

			len = VMBUS_PAGE_SIZE - at < left ? VMBUS_PAGE_SIZE - at : left;
			add_piece(r, TRACE_PIECE_PAGES, index, range.byte_count - left,
				page == NULL ? NULL : page + at, len,
				r->bytes < snaplen ? snaplen - r->bytes : 0);
		}
	}
}

static void
name_section(struct record *r, const struct nvsp_message *msg, uint32_t snaplen,
	const struct trace_memory *m)
{
	uint32_t index = msg->rndis.section_index, len = msg->rndis.section_bytes;
	uint64_t at = (uint64_t)index * m->send_section;
	bool there;

	if (index == NVSP_SECTION_NONE)
		return;
	there = m->send != NULL && m->send_section != 0 && len <= m->send_section &&
		at + len <= m->send_length;
	add_piece(r, TRACE_PIECE_SECTION, 0, index, there ? m->send + at : NULL, len, snaplen);
}

/* Of a transfer packet: is its message one of control? Not the word about it is asked alone. */
static bool
range_is_control(const struct record *r, uint32_t header, const struct trace_memory *m)
{
	const uint8_t *at =
		r->packet + sizeof(struct vmbus_packet) + sizeof(struct vmbus_xfer_header);
	struct vmbus_xfer_range range;

	if (header !=
		sizeof(struct vmbus_packet) + sizeof(struct vmbus_xfer_header) + sizeof(range))
		return false;
	memcpy(&range, at, sizeof(range));
	return m->recv != NULL && m->recv_length >= 4 && range.byte_offset <= m->recv_length - 4 &&
	       vmbus_load32(m->recv + range.byte_offset) != RNDIS_TYPE_PACKET;
}

/* @return false: the packet is data, or completes some */
static bool
is_control(const struct trace_tap *tap, const struct record *r, const struct vmbus_packet *pkt,
	uint32_t header, const struct nvsp_message *msg, const struct trace_memory *m)
{
	switch (pkt->type) {
	case VMBUS_PACKET_COMPLETION:
		return r->header.direction == TRACE_TO_GUEST
			       ? (pkt->trans_id & tap->control_ids) != 0
			       : msg->type != NVSP_TYPE_RNDIS_COMPLETE;
	case VMBUS_PACKET_XFER_PAGES:
		return msg->rndis.channel_type == NVSP_CHANNEL_CONTROL ||
		       range_is_control(r, header, m);
	default:
		return msg->type != NVSP_TYPE_RNDIS ||
		       msg->rndis.channel_type == NVSP_CHANNEL_CONTROL;
	}
}

static int
tap_interface(struct trace_tap *tap, unsigned int channel)
{
	int is, new;
	char name[TRACE_NAME];

	if (channel >= TRACE_CHANNELS)
		return -1;
	is = atomic_load_explicit(&tap->interface[channel], memory_order_acquire);
	if (is != 0)
		return is - 1;
	snprintf(name, sizeof(name), "%s channel %u", tap->name, channel);
	new = trace_interface(tap->trace, TRACE_LINK_VMBUS, name, tap->description);
	/* The other direction may have made one at the same time: that one is left empty. */
	if (new >= 0 && atomic_compare_exchange_strong(&tap->interface[channel], &is, new + 1))
		return new;
	return is - 1;
}

static void
record_begin(struct record *r, const struct trace_tap *tap, unsigned int channel,
	enum trace_direction direction, const struct trace_memory *m)
{
	r->header = (struct trace_header){.version = 1,
		.direction = (uint8_t)direction,
		.channel = (uint16_t)channel,
		.flags = tap->flags | (tap->data ? 0 : TRACE_CONTROL_ONLY),
		.time = trace_clock(),
		.recv_length = m->recv == NULL ? 0 : m->recv_length,
		.send_length = m->send == NULL ? 0 : m->send_length,
		.tap = tap->number};
	r->n_parts = 0;
	r->bytes = 0;
	r->full = sizeof(r->header);
	add_part(r, &r->header, sizeof(r->header));
}

static void
record_end(struct record *r, struct trace_tap *tap)
{
	r->header.lost = atomic_exchange_explicit(&tap->lost, 0, memory_order_relaxed);
	if (!trace_put(tap->trace, tap_interface(tap, r->header.channel), r->header.time,
		    TRACE_FLAG_NONE, r->parts, r->n_parts, r->full))
		atomic_fetch_add_explicit(&tap->lost, r->header.lost + 1, memory_order_relaxed);
}

/* The packet stands in the record. @param len bytes of it that are there */
static void
record_packet(struct record *r, struct trace_tap *tap, uint32_t len, const struct trace_memory *m)
{
	struct nvsp_message msg = {0};
	struct vmbus_packet pkt = {0};
	uint32_t header;

	r->header.packet_captured = len;
	if (len < r->header.packet_length)
		r->header.flags |= TRACE_INCOMPLETE;
	r->full += r->header.packet_length;
	add_part(r, r->packet, len);
	add_part(r, zeros, -len & 3);
	memcpy(&pkt, r->packet, len < sizeof(pkt) ? len : sizeof(pkt));
	header = (uint32_t)pkt.offset8 * 8;
	if (header >= sizeof(pkt) && header <= len)
		memcpy(&msg, r->packet + header,
			len - header < sizeof(msg) ? len - header : sizeof(msg));
	if (!tap->data && !is_control(tap, r, &pkt, header, &msg, m))
		return;
	if (header >= sizeof(pkt) && header <= len) {
		if (pkt.type != VMBUS_PACKET_COMPLETION && msg.type == NVSP_TYPE_RNDIS &&
			r->header.direction == TRACE_TO_HOST)
			name_section(r, &msg, tap->snaplen, m);
		if (pkt.type == VMBUS_PACKET_GPA_DIRECT)
			name_pages(r, header, tap->snaplen, m);
		else if (pkt.type == VMBUS_PACKET_XFER_PAGES)
			name_ranges(r, header, tap->snaplen, m);
	}
	record_end(r, tap);
}

void
trace_packet(struct trace_tap *tap, unsigned int channel, enum trace_direction direction,
	const void *packet, uint32_t len, const struct trace_memory *memory)
{
	uint32_t take = len < PACKET_MAX ? len : PACKET_MAX;
	struct record r;

	record_begin(&r, tap, channel, direction, memory);
	r.header.packet_length = len;
	vmbus_load(r.packet, packet, take);
	record_packet(&r, tap, take, memory);
}

void
trace_ring_packet(struct trace_tap *tap, unsigned int channel, enum trace_direction direction,
	const struct vmbus_ring *ring, uint32_t at, uint32_t len, const struct trace_memory *memory)
{
	uint32_t take = len < PACKET_MAX ? len : PACKET_MAX;
	struct record r;

	record_begin(&r, tap, channel, direction, memory);
	r.header.packet_length = len;
	vmbus_ring_copy_out(ring, at, r.packet, take);
	record_packet(&r, tap, take, memory);
}

void
trace_event(struct trace_tap *tap, unsigned int channel, enum trace_event event,
	const struct trace_memory *memory)
{
	struct record r;

	record_begin(&r, tap, channel, TRACE_EVENT, memory);
	r.header.event = (uint8_t)event;
	record_end(&r, tap);
}

void
trace_tap_init(struct trace_tap *tap, struct trace *trace, const char *name,
	const char *description, uint32_t snaplen)
{
	memset(tap, 0, sizeof(*tap));
	tap->trace = trace;
	tap->snaplen = snaplen;
	/* Two files may be merged. */
	tap->number = (uint32_t)(trace_clock() * UINT64_C(0x9e3779b97f4a7c15) >> 32) ^
		      (uint32_t)getpid() << 16;
	tap->data = true;
	snprintf(tap->name, sizeof(tap->name), "%s", name);
	snprintf(tap->description, sizeof(tap->description), "%s", description);
}
