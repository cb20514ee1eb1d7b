/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames from the guest (spec/nvsp.md §7, spec/rndis.md §4, §10): gather the RNDIS stream once into
 * private memory, check all of it, then hand the frames to the port; sends of nothing but plain
 * frames are not gathered for ports that read in place. A send is completed only after the port has
 * its data.
 */
#include "lib/host/nic_internal.h"
#include "lib/vmbus/shared.h"

#define STREAM_ALIGN 64u
/* Longest RNDIS header with PPIs that is taken (spec/rndis.md §1). */
#define HEADER_MAX 512u

/* Where the pieces (section, then ranges) of a stream end. */
struct tx_pieces {
	uint32_t n;
	uint32_t end[NIC_GPA_RANGES + 1];
};

static void
frames_send(struct host_nic *nic)
{
	if (nic->frames_n != 0)
		nic->port->ops->send(nic->port, nic->frames, nic->frames_n);
	nic->frames_n = 0;
	nic->segments_used = 0;
}

void
nic_tx_flush(struct host_nic *nic)
{
	uint32_t i;

	frames_send(nic);
	nic->arena_used = 0;
	for (i = 0; i < nic->pending_n; i++) {
		struct nic_channel *ch = &nic->channels[nic->pending[i].channel];

		nic_done_add(ch, nic->pending[i].tid, (enum nic_answer)nic->pending[i].answer);
		ch->pending--;
	}
	nic->pending_n = 0;
}

/* ---- gathering ---- */

static int
gather_range(struct host_nic *nic, const struct nvsp_gpa_range *range, uint8_t *stream, uint32_t at)
{
	uint32_t offset = range->byte_offset, left = range->byte_count, n, i;
	const uint8_t *page;

	for (i = 0; i < range->pages; i++) {
		n = VMBUS_PAGE_SIZE - offset < left ? VMBUS_PAGE_SIZE - offset : left;
		page = nic->transport.page(nic->transport.ctx, nvsp_gpa_pfn(range, i));
		if (page == NULL)
			return nic_refuse(nic, HOST_REFUSED_PAGES);
		memcpy(stream + at, page + offset, n);
		nic->turn_cost += n;
		at += n;
		left -= n;
		offset = 0;
	}
	return 0;
}

static int
gather_pages(struct host_nic *nic, const struct vmbus_packet *pkt, uint8_t *stream, uint32_t total,
	struct tx_pieces *pieces)
{
	uint32_t header = (uint32_t)pkt->offset8 * 8 - (uint32_t)sizeof(*pkt);
	struct nvsp_gpa_walk walk;
	struct nvsp_gpa_range range;
	int rc = nvsp_gpa_walk_start(&walk, nic->packet + sizeof(*pkt), header, UINT32_MAX);

	if (rc < 0)
		return nic_refuse(nic, HOST_REFUSED_PAGES);
	if ((uint32_t)rc > (nic->knobs.lenient ? NIC_GPA_RANGES : NIC_STRICT_RANGES))
		return nic_refuse(nic, HOST_REFUSED_RANGES);
	while ((rc = nvsp_gpa_walk_next(&walk, &range)) > 0) {
		if (range.byte_count > NIC_STREAM_MAX - total)
			return nic_refuse(nic, HOST_REFUSED_SIZE);
		if (gather_range(nic, &range, stream, total) != 0)
			return -1;
		total += range.byte_count;
		pieces->end[pieces->n++] = total;
	}
	return rc < 0 ? nic_refuse(nic, HOST_REFUSED_PAGES) : (int)total;
}

/* Copy section and pages of a send to @p stream. Returns its bytes, or -1: refused. */
static int
gather(struct host_nic *nic, const struct vmbus_packet *pkt, const struct nvsp_message *msg,
	uint8_t *stream, struct tx_pieces *pieces)
{
	uint32_t index = msg->rndis.section_index, bytes = msg->rndis.section_bytes, total = 0;

	pieces->n = 0;
	if (index != NVSP_SECTION_NONE) {
		if (index >= nic->send_sections || bytes == 0 || bytes > nic->send_section)
			return nic_refuse(nic, HOST_REFUSED_SECTION);
		memcpy(stream, nic->send.base + (size_t)index * nic->send_section, bytes);
		nic->turn_cost += bytes;
		total = bytes;
		pieces->end[pieces->n++] = total;
	}
	if (pkt->type == VMBUS_PACKET_GPA_DIRECT)
		return gather_pages(nic, pkt, stream, total, pieces);
	return total == 0 ? nic_refuse(nic, HOST_REFUSED_SECTION) : (int)total;
}

/* A header must lie in one piece, as on Windows (spec/nvsp.md §7). */
static bool
header_in_one_piece(const struct tx_pieces *pieces, uint32_t start, uint32_t end)
{
	uint32_t i;

	for (i = 0; i < pieces->n; i++)
		if (start < pieces->end[i])
			return end <= pieces->end[i];
	return false;
}

/* ---- checking ---- */

/* Did OID_TCP_OFFLOAD_PARAMETERS enable what the message asks for? (spec/rndis.md §4.1, §6.2) */
static bool
offload_enabled(const struct host_nic *nic, const struct rndis_packet_info *info)
{
	uint32_t need = 0, csum = info->csum;
	bool v4 = csum & RNDIS_TX_CSUM_IPV4, v6 = csum & RNDIS_TX_CSUM_IPV6;

	if (info->present & RNDIS_HAS_LSO) {
		need = info->lso & RNDIS_LSO_IPV6 ? NDIS_CAN_TSO6 : NDIS_CAN_TSO4;
	} else if (info->present & RNDIS_HAS_CSUM && v4 != v6) {
		if (v4 && csum & RNDIS_TX_CSUM_IP_HDR)
			need |= NDIS_CAN_TX_IP4;
		if (csum & RNDIS_TX_CSUM_TCP)
			need |= v4 ? NDIS_CAN_TX_TCP4 : NDIS_CAN_TX_TCP6;
		else if (csum & RNDIS_TX_CSUM_UDP)
			need |= v4 ? NDIS_CAN_TX_UDP4 : NDIS_CAN_TX_UDP6;
	}
	return (nic->offloads_on & need) == need;
}

/* Can the frame of @p m be cut as it asks, into segments that its network carries? */
static int
check_lso(struct host_nic *nic, struct nic_tx_message *m)
{
	const struct rndis_packet_info *info = &m->info;
	uint32_t mss = rndis_lso_mss(info->lso);

	/* Tiny segments would make one send a flood (spec/rndis.md §10). */
	if (mss < nic->knobs.mss_floor ||
		offload_lso_begin(&m->lso, m->base + info->data_abs, info->data_length, mss,
			rndis_lso_tcp_offset(info->lso), info->lso & RNDIS_LSO_IPV6) != 0)
		return nic_refuse(nic, HOST_REFUSED_LSO);
	if (!nic->knobs.lenient && (info->data_length > NDIS_LSO_MAX_SIZE ||
					   !offload_lso_sane(&m->lso, nic->mtu_field)))
		return nic_refuse(nic, HOST_REFUSED_LSO);
	return 0;
}

/* Offload requests that cannot be met fail the send before anything is forwarded. */
static int
check_offloads(struct host_nic *nic, struct nic_tx_message *m)
{
	const struct rndis_packet_info *info = &m->info;
	uint8_t *frame = m->base + info->data_abs;
	struct offload_checksum ask;

	m->work = (struct host_frame_work){0};
	if (!nic->knobs.lenient && !offload_enabled(nic, info))
		return nic_refuse(nic, HOST_REFUSED_OFFLOAD);
	if (info->present & RNDIS_HAS_LSO)
		return check_lso(nic, m);
	if (!(info->present & RNDIS_HAS_CSUM))
		return 0;
	ask.ipv4 = info->csum & RNDIS_TX_CSUM_IPV4;
	ask.ipv6 = info->csum & RNDIS_TX_CSUM_IPV6;
	ask.ip_header = info->csum & RNDIS_TX_CSUM_IP_HDR;
	ask.tcp = info->csum & RNDIS_TX_CSUM_TCP;
	ask.udp = info->csum & RNDIS_TX_CSUM_UDP;
	ask.l4_offset = (uint16_t)rndis_tx_csum_l4_offset(info->csum);
	if ((nic->port->ops->carries_work ? offload_leave(frame, info->data_length, &ask, &m->work)
					  : offload_fill(frame, info->data_length, &ask)) != 0)
		return nic_refuse(nic, HOST_REFUSED_CHECKSUM);
	return 0;
}

/* May message @p n of a send begin at @p at, by what INITIALIZE_C announced (spec/rndis.md §2)? */
static int
check_place(struct host_nic *nic, uint32_t at, uint32_t n)
{
	if (n == NIC_MESSAGES_MAX || (!nic->knobs.lenient && n >= nic->announced.messages))
		return nic_refuse(nic, HOST_REFUSED_MESSAGES);
	if (!nic->knobs.lenient && (at & (nic->announced.alignment - 1)) != 0)
		return nic_refuse(nic, HOST_REFUSED_ALIGNMENT);
	return 0;
}

/* Parse the whole stream. Returns the number of messages, or -1: refused. */
static int
check_stream(struct host_nic *nic, uint8_t *stream, uint32_t total, const struct tx_pieces *pieces)
{
	const struct rndis_tx_rules rules = {
		.max_frame = nic->mtu_field + OFFLOAD_VLAN_TAG,
		.max_lso = RNDIS_MAX_BIG_FRAME,
		.mss_floor = 1, /* the knob's is checked with the offloads */
	};
	struct nic_tx_message *m = nic->messages;
	uint32_t at = 0, header, n = 0;

	if (!nic->knobs.lenient && total > nic->announced.transfer)
		return nic_refuse(nic, HOST_REFUSED_SIZE);
	while (at < total) {
		if (check_place(nic, at, n) != 0)
			return -1;
		m->base = stream + at;
		if (rndis_packet_parse_tx(m->base, total - at, total - at, &rules, &m->info) != 0)
			return nic_refuse(nic, HOST_REFUSED_MALFORMED);
		header = m->info.ppi_length == 0 ? (uint32_t)sizeof(struct rndis_packet)
						 : m->info.ppi_abs + m->info.ppi_length;
		if (header > HEADER_MAX || (pieces->n > 1 && !nic->knobs.accept_split_header &&
						   !header_in_one_piece(pieces, at, at + header)))
			return nic_refuse(nic, HOST_REFUSED_HEADER);
		if (check_offloads(nic, m) != 0)
			return -1;
		at += m->info.message_length;
		m++;
		n++;
	}
	return (int)n;
}

/* ---- forwarding ---- */

static void
frame_add(struct host_nic *nic, uint8_t *frame, uint32_t len, const struct rndis_packet_info *info)
{
	struct host_frame *f = &nic->frames[nic->frames_n++];
	uint16_t tci;

	if (info->present & RNDIS_HAS_VLAN && nic->knobs.vlan_ppi != NIC_VLAN_DROP) {
		/* The 4 bytes before are ours: the message's header, or the segment's headroom. */
		tci = info->vlan_tci;
		memmove(frame - OFFLOAD_VLAN_TAG, frame, 12);
		frame -= OFFLOAD_VLAN_TAG;
		len += OFFLOAD_VLAN_TAG;
		frame[12] = 0x81;
		frame[13] = 0x00;
		frame[14] = (uint8_t)(tci >> 8);
		frame[15] = (uint8_t)tci;
		if (f->work.csum_start != 0)
			f->work.csum_start += OFFLOAD_VLAN_TAG;
	}
	nic->turn_cost += NIC_FRAME_COST;
	f->data = frame;
	f->len = len;
	f->room = 0;
	f->head = NULL;
	if (nic->frames_n == HOST_PORT_BURST)
		frames_send(nic);
}

static void
forward_segments(struct host_nic *nic, struct nic_tx_message *m)
{
	uint32_t len;
	uint8_t *out;

	nic->stats.tx_large++;
	while ((len = offload_lso_next_len(&m->lso)) != 0) {
		if (len + OFFLOAD_VLAN_TAG > NIC_SEGMENTS - nic->segments_used)
			frames_send(nic);
		out = nic->segments + nic->segments_used + OFFLOAD_VLAN_TAG;
		offload_lso_next(&m->lso, out);
		nic->segments_used += (len + OFFLOAD_VLAN_TAG + 7) & ~7u;
		if (nic->segments_used > NIC_SEGMENTS)
			nic->segments_used = NIC_SEGMENTS;
		nic->turn_cost += len;
		nic->stats.tx_segments++;
		frame_add(nic, out, len, &m->info);
	}
}

/* A frame to which the port does the rest. It goes at once: for all others, work is zero. */
static void
forward_unfinished(struct host_nic *nic, struct nic_tx_message *m)
{
	uint32_t at = nic->frames_n;

	nic->frames[at].work = m->work;
	frame_add(nic, m->base + m->info.data_abs, m->info.data_length, &m->info);
	frames_send(nic);
	nic->frames[at].work = (struct host_frame_work){0};
}

static void
forward(struct host_nic *nic, struct nic_tx_message *m)
{
	const struct rndis_packet_info *info = &m->info;
	uint8_t *frame = m->base + info->data_abs;
	struct nic_oid_count *count;

	/* Taken and lost, like on a cable that is not plugged in. */
	if (!nic->link_up) {
		nic->stats.tx_dropped_link++;
		return;
	}
	if (!nic->knobs.spoof && nic_source_is_foreign(nic, frame + 6)) {
		nic->stats.tx_dropped_spoof++;
		nic->complaints_due |= 1u << NIC_COMPLAINT_SPOOF;
		return;
	}
	count = &nic->oid_stats.xmit[nic_frame_kind(frame)];
	count->frames++;
	count->bytes += info->data_length;
	nic->stats.tx_frames++;
	nic->stats.tx_bytes += info->data_length;
	if (info->present & RNDIS_HAS_LSO && nic->port->ops->carries_work &&
		offload_lso_whole(&m->lso, frame, &m->work) == 0)
		nic->stats.tx_large++;
	if (m->work.csum_start != 0)
		forward_unfinished(nic, m);
	else if (info->present & RNDIS_HAS_LSO)
		forward_segments(nic, m);
	else
		frame_add(nic, frame, info->data_length, info);
}

/* ---- plain sends ---- */

/* Most messages of a send that plain_send() looks at. */
#define PLAIN_MESSAGES 16u

/*
 * Frame of a message that may be in the guest's own memory: every word is loaded once. What makes
 * it a plain one are the rules of rndis_packet_parse_head(), that nothing else is in it, and a
 * frame with addresses. Returns the bytes of the message, 0: not a plain one.
 */
static inline uint32_t
plain_message(const struct host_nic *nic, uint8_t *message, uint32_t left, struct host_frame *frame)
{
	uint64_t head = vmbus_load64(message);
	uint64_t data = vmbus_load64(message + offsetof(struct rndis_packet, data_offset));
	uint64_t data_abs = (data & UINT32_MAX) + RNDIS_OFFSET_BASE, others;
	uint32_t length = (uint32_t)(head >> 32), data_length = (uint32_t)(data >> 32);

	others = vmbus_load64(message + offsetof(struct rndis_packet, oob_offset)) |
		 vmbus_load32(message + offsetof(struct rndis_packet, oob_count)) |
		 vmbus_load64(message + offsetof(struct rndis_packet, ppi_length));
	if ((uint32_t)head != RNDIS_TYPE_PACKET || others != 0 || length > left ||
		data_abs < sizeof(struct rndis_packet) || data_abs + data_length > length ||
		data_length < HOST_FRAME_HEAD || data_length > nic->mtu_field + OFFLOAD_VLAN_TAG)
		return 0;
	frame->data = message + data_abs;
	frame->len = data_length;
	return length;
}

/*
 * A send of nothing but frames that ask for nothing and go on as they are, on a NIC that is up:
 * most of them. Returns false, and nothing has happened, for any other. @p in_place is known when
 * this is compiled.
 */
static inline __attribute__((always_inline)) bool
plain_send(struct host_nic *nic, uint8_t *stream, uint32_t total, bool in_place)
{
	struct nic_oid_count counts[3] = {{0}}; /* but for directed frames */
	uint32_t at = 0, n = 0, most = PLAIN_MESSAGES, length;
	uint32_t misaligned = nic->announced.alignment - 1;
	const uint8_t *addresses;
	struct host_frame *frame;
	uint8_t *head;
	unsigned int kind;
	uint64_t bytes = 0;

	if (!nic->link_up || nic->knobs.refuse_pct != 0 || total > nic->announced.transfer)
		return false;
	if (nic->announced.messages < most)
		most = nic->announced.messages;
	if (nic->frames_n + most > HOST_PORT_BURST)
		frames_send(nic);
	frame = &nic->frames[nic->frames_n];
	head = nic->heads[nic->frames_n];
	for (; at < total; at += length, n++, frame++, head += HOST_FRAME_HEAD) {
		if (n == most || total - at < sizeof(struct rndis_packet) || (at & misaligned) != 0)
			return false;
		length = plain_message(nic, stream + at, total - at, frame);
		if (length == 0)
			return false;
		if (in_place)
			vmbus_load(head, frame->data, HOST_FRAME_HEAD);
		frame->head = in_place ? head : NULL;
		addresses = in_place ? head : frame->data;
		if (!nic->knobs.spoof && nic_source_is_foreign(nic, addresses + 6))
			return false;
		bytes += frame->len;
		kind = nic_frame_kind(addresses);
		if (kind != 0) {
			counts[kind].frames++;
			counts[kind].bytes += frame->len;
		}
	}
	counts[0].frames = n - counts[1].frames - counts[2].frames;
	counts[0].bytes = bytes - counts[1].bytes - counts[2].bytes;
	for (kind = 0; kind < 3; kind++) {
		nic->oid_stats.xmit[kind].frames += counts[kind].frames;
		nic->oid_stats.xmit[kind].bytes += counts[kind].bytes;
	}
	nic->stats.tx_frames += n;
	nic->stats.tx_bytes += bytes;
	nic->frames_n += n;
	nic->turn_cost += n * NIC_FRAME_COST;
	/* As frame_add(), which is next perhaps, leaves them. */
	if (nic->frames_n == HOST_PORT_BURST)
		frames_send(nic);
	return true;
}

/*
 * Such a send in a section, for a port that reads it in the guest's memory. Returns false, and
 * nothing has happened, when it is none.
 */
static bool
plain_send_in_place(
	struct host_nic *nic, const struct vmbus_packet *pkt, const struct nvsp_message *msg)
{
	uint32_t index = msg->rndis.section_index, bytes = msg->rndis.section_bytes;

	if (!nic->port->ops->in_place || pkt->type != VMBUS_PACKET_INBAND || !nic->rndis_up ||
		index >= nic->send_sections || bytes == 0 || bytes > nic->send_section ||
		!plain_send(nic, nic->send.base + (size_t)index * nic->send_section, bytes, true))
		return false;
	nic->turn_cost += bytes;
	return true;
}

/* Of tx_process(): nothing has happened, for the lanes go on. */
#define TX_LATER 1

/* Process one send. Returns 0, or -1: refused, answer with a failure; or TX_LATER. */
static int
tx_process(struct host_nic *nic, unsigned int channel, const struct vmbus_packet *pkt,
	const struct nvsp_message *msg)
{
	struct tx_pieces pieces;
	uint8_t *stream;
	int total, n, i;

	if (!nic_nvsp_rndis_allowed(nic))
		return nic_refuse(nic, HOST_REFUSED_STATE);
	if (plain_send_in_place(nic, pkt, msg))
		return 0;
	/* Leave room for the longest stream and for whole words read past its end. */
	if (NIC_ARENA - nic->arena_used < NIC_STREAM_MAX + STREAM_ALIGN)
		nic_tx_flush(nic);
	stream = nic->arena + nic->arena_used;
	total = gather(nic, pkt, msg, stream, &pieces);
	if (total < 0)
		return total;
	if ((uint32_t)total < sizeof(struct rndis_header))
		return nic_refuse(nic, HOST_REFUSED_MALFORMED);
	if (rndis_message_type(stream) != RNDIS_TYPE_PACKET) {
		if (channel == 0 && !nic_may_change(nic))
			return TX_LATER;
		if (channel != 0 || nic_rndis_control(nic, stream, (uint32_t)total) != 0)
			return nic_refuse(nic, HOST_REFUSED_CONTROL);
		return 0;
	}
	if (!nic->rndis_up)
		return nic_refuse(nic, HOST_REFUSED_STATE);
	if (pieces.n == 1 && plain_send(nic, stream, (uint32_t)total, false)) {
		nic->arena_used += ((uint32_t)total + STREAM_ALIGN - 1) & ~(STREAM_ALIGN - 1);
		return 0;
	}
	n = check_stream(nic, stream, (uint32_t)total, &pieces);
	if (n < 0)
		return n;
	if (nic->knobs.refuse_pct != 0 && nic_percent(&nic->refuse_acc, nic->knobs.refuse_pct))
		return nic_refuse(nic, HOST_REFUSED_KNOB);
	nic->arena_used += ((uint32_t)total + STREAM_ALIGN - 1) & ~(STREAM_ALIGN - 1);
	for (i = 0; i < n; i++)
		forward(nic, &nic->messages[i]);
	return 0;
}

bool
nic_tx_packet(struct host_nic *nic, unsigned int channel, const struct vmbus_packet *pkt,
	const void *payload, uint32_t payload_len)
{
	bool answer = pkt->flags & VMBUS_FLAG_COMPLETION;
	struct nvsp_message msg;
	int rc;

	nic->stats.tx_packets++;
	/* Without a completion request the guest would never learn when its buffer is free. */
	if (answer && payload_len >= offsetof(struct nvsp_message, rndis.section_bytes) + 4) {
		memcpy(&msg, payload, offsetof(struct nvsp_message, rndis.section_bytes) + 4);
		rc = tx_process(nic, channel, pkt, &msg);
		if (rc == TX_LATER) {
			nic->stats.tx_packets--;
			return false;
		}
	} else {
		rc = nic_refuse(nic, HOST_REFUSED_ANSWER);
	}
	if (!answer)
		return true;
	nic->pending[nic->pending_n].tid = pkt->trans_id;
	nic->pending[nic->pending_n].channel = channel;
	nic->pending[nic->pending_n].answer = rc == 0 ? NIC_ANSWER_SUCCESS : NIC_ANSWER_FAILURE;
	nic->channels[channel].pending++;
	if (++nic->pending_n == NIC_PENDING)
		nic_tx_flush(nic);
	return true;
}
