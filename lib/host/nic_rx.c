/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames towards the guest (spec/nvsp.md §6, spec/rndis.md §4): the port writes straight into
 * receive sections, the RNDIS header goes in front, ranges are gathered into transfer-page packets.
 * The guest can write the receive buffer at any time: what decides anything is loaded once.
 */
#include <stdlib.h>

#include "lib/host/nic_internal.h"

/* Where frames start in a section: behind header and four PPIs, or where OpenVMM puts them. */
#define DATA_AT_SMALL 128u
#define DATA_AT_LARGE 256u
/* A section that the user did not choose begins where no other ends, as 1728 bytes do. */
#define CACHE_LINE 64u
/* EtherType of a tagged frame as it lies in memory. */
#define VLAN_TYPE 0x0081u
#define RX_CHECKSUMS                                                                               \
	(NDIS_CAN_RX_IP4 | NDIS_CAN_RX_TCP4 | NDIS_CAN_RX_UDP4 | NDIS_CAN_RX_TCP6 |                \
		NDIS_CAN_RX_UDP6)

/* ---- sections ---- */

int
nic_rx_sections(struct host_nic *nic)
{
	uint32_t frame = nic->mtu_field + OFFLOAD_VLAN_TAG + NIC_SECTION_TAIL, n, i;

	nic->section_bytes = nic->config.section_bytes;
	nic->data_offset = DATA_AT_SMALL;
	if (nic->section_bytes < DATA_AT_SMALL + frame) {
		nic->data_offset = DATA_AT_LARGE;
		if (nic->section_bytes < DATA_AT_LARGE + frame)
			nic->section_bytes =
				(DATA_AT_LARGE + frame + CACHE_LINE - 1) & ~(CACHE_LINE - 1);
	}
	n = (uint32_t)(nic->recv.len / nic->section_bytes);
	if (nic->knobs.recv_sections != 0 && n > nic->knobs.recv_sections)
		n = nic->knobs.recv_sections;
	if (n < NIC_CONTROL_SECTIONS + nic->config.channels)
		return -EINVAL;
	nic->sections = calloc(n, sizeof(*nic->sections));
	if (nic->sections == NULL)
		return -ENOMEM;
	/* Only with the sections there: a close of the channel walks them. */
	nic->sections_n = n;
	nic->reserved = NIC_CONTROL_SECTIONS;
	nic->free_first = NIC_NONE;
	for (i = nic->sections_n; i-- > 0;)
		nic_rx_free_section(nic, i);
	return 0;
}

void
nic_rx_release(struct host_nic *nic)
{
	unsigned int i;

	free(nic->sections);
	nic->sections = NULL;
	nic->sections_n = nic->free_n = nic->free_control_n = 0;
	for (i = 0; i < HOST_MAX_CHANNELS; i++)
		nic->channels[i].batch_n = 0;
}

void
nic_rx_free_section(struct host_nic *nic, uint32_t section)
{
	if (section < nic->reserved) {
		nic->free_control[nic->free_control_n++] = section;
		return;
	}
	nic->sections[section].next = nic->free_first;
	nic->free_first = section;
	nic->free_n++;
}

uint32_t
nic_rx_control_section(struct host_nic *nic)
{
	return nic->free_control_n == 0 ? NIC_NONE : nic->free_control[--nic->free_control_n];
}

/* The @p n sections from @p first to @p last come back. Control goes out in single ones. */
static void
free_chain(struct host_nic *nic, uint32_t first, uint32_t last, uint32_t n)
{
	if (first < nic->reserved) {
		nic_rx_free_section(nic, first);
		return;
	}
	nic->sections[last].next = nic->free_first;
	nic->free_first = first;
	nic->free_n += n;
}

/* A packet that is with the guest no longer is. */
static void
packet_back(struct host_nic *nic, uint32_t first)
{
	struct nic_section *s = &nic->sections[first];

	s->outstanding = false;
	free_chain(nic, first, s->last, s->n);
}

const char *
nic_rx_ack(
	struct host_nic *nic, unsigned int channel, uint64_t tid, const void *payload, uint32_t len)
{
	struct nic_section *s;
	uint32_t type;

	if (channel == 0 && (tid == NIC_TID_VF || tid == NIC_TID_SWITCH))
		return NULL; /* answer to a notice: optional, may be empty */
	if (nic->sections == NULL)
		return NULL; /* revoked: drain */
	if (len < 8)
		return "receive completion without a message";
	memcpy(&type, payload, sizeof(type));
	if (type != NVSP_TYPE_RNDIS_COMPLETE)
		return "receive completion of another type";
	tid -= nic->knobs.tid_base;
	if (tid >= nic->sections_n)
		return "receive completion with an unknown transaction id";
	s = &nic->sections[tid];
	if (!s->outstanding)
		return "receive completion of a packet that is not outstanding";
	if (s->channel != channel)
		return "receive completion on another channel";
	packet_back(nic, (uint32_t)tid);
	return NULL;
}

void
nic_rx_reclaim(struct host_nic *nic, unsigned int channel)
{
	uint32_t i;

	for (i = 0; i < nic->sections_n; i++)
		if (nic->sections[i].outstanding && nic->sections[i].channel == channel)
			packet_back(nic, i);
}

int
nic_rx_write(struct host_nic *nic, unsigned int channel, uint32_t channel_type, uint32_t first,
	uint32_t last, const struct vmbus_xfer_range *ranges, uint32_t n, uint32_t reserve)
{
	struct {
		struct vmbus_packet desc;
		struct vmbus_xfer_header xfer;
		uint8_t rest[NIC_BATCH_MAX * sizeof(struct vmbus_xfer_range) +
			     sizeof(struct nvsp_message) + 8];
	} pkt;
	uint32_t ranges_len = n * (uint32_t)sizeof(*ranges);
	uint32_t header = (uint32_t)(sizeof(pkt.desc) + sizeof(pkt.xfer)) + ranges_len;
	struct nic_section *s = &nic->sections[first];
	struct nvsp_message msg;
	int rc;

	vmbus_packet_init(&pkt.desc, VMBUS_PACKET_XFER_PAGES, header, header + nic->message_size,
		VMBUS_FLAG_COMPLETION, first + nic->knobs.tid_base);
	pkt.xfer = (struct vmbus_xfer_header){.set_id = nic->recv_id, .range_count = n};
	memcpy(pkt.rest, ranges, ranges_len);
	nvsp_build_rndis(&msg, channel_type, NVSP_SECTION_NONE, 0);
	memcpy(pkt.rest + ranges_len, &msg, sizeof(msg));
	rc = vmbus_ring_write(
		&nic->channels[channel].out, &pkt, header + nic->message_size, reserve);
	if (rc != 0)
		return rc;
	s->outstanding = true;
	s->channel = (uint8_t)channel;
	s->last = last;
	s->n = (uint16_t)n;
	nic->stats.rx_packets++;
	return 0;
}

/* ---- frames ---- */

static bool
rx_ready(const struct host_nic *nic)
{
	return nic->state == NIC_READY && nic->rndis_up && nic->filter != 0 && nic->link_up &&
	       nic->recv.base != NULL && nic->channels[0].open && !nic->channels[0].dead;
}

/* Why rx_ready() is false. */
static uint64_t *
rx_not_ready_counter(struct host_nic *nic)
{
	if (!nic->link_up)
		return &nic->stats.rx_dropped_link;
	if (nic->channels[0].open && nic->channels[0].dead)
		return &nic->stats.rx_dropped_channel;
	if (nic->state != NIC_READY || !nic->rndis_up || nic->recv.base == NULL)
		return &nic->stats.rx_dropped_not_ready;
	return &nic->stats.rx_dropped_filter;
}

bool
nic_rx_wants_port(const struct host_nic *nic)
{
	if (nic->knobs.stall_rx || nic->port->ops->receive == NULL)
		return false;
	return !nic->port->ops->on_demand || rx_ready(nic);
}

/* Does the guest's packet filter take a frame to @p dst? (spec/rndis.md §5.1) */
static bool
rx_filter(const struct host_nic *nic, const uint8_t dst[6])
{
	uint32_t i;

	if (nic->filter & RNDIS_FILTER_PROMISCUOUS || nic->knobs.loose_filter)
		return true;
	if (!(dst[0] & 1))
		return nic->filter & RNDIS_FILTER_DIRECTED && memcmp(dst, nic->mac, 6) == 0;
	if (memcmp(dst, "\xff\xff\xff\xff\xff\xff", 6) == 0)
		return nic->filter & RNDIS_FILTER_BROADCAST;
	if (nic->filter & RNDIS_FILTER_ALL_MULTICAST)
		return true;
	if (nic->filter & RNDIS_FILTER_MULTICAST)
		for (i = 0; i < nic->multicast_n; i++)
			if (memcmp(dst, nic->multicast[i], 6) == 0)
				return true;
	return false;
}

static void
batch_flush(struct host_nic *nic, unsigned int channel)
{
	struct nic_channel *ch = &nic->channels[channel];
	uint32_t n = ch->batch_n, kind;
	int rc = -EIO;

	if (n == 0)
		return;
	ch->batch_n = 0;
	if (ch->open && !ch->dead)
		rc = nic_rx_write(nic, channel, NVSP_CHANNEL_DATA, ch->batch_first, ch->batch_last,
			ch->batch, n, NIC_RX_RESERVE);
	if (rc != 0) {
		*(rc == -EAGAIN ? &nic->stats.rx_dropped_ring_full
				: &nic->stats.rx_dropped_channel) += n;
		free_chain(nic, ch->batch_first, ch->batch_last, n);
		return;
	}
	nic->stats.rx_frames += n;
	for (kind = 0; kind < 3; kind++) {
		nic->stats.rx_bytes += ch->batch_count[kind].bytes;
		nic->oid_stats.rcv[kind].frames += ch->batch_count[kind].frames;
		nic->oid_stats.rcv[kind].bytes += ch->batch_count[kind].bytes;
	}
}

static void
batch_add(struct host_nic *nic, unsigned int channel, uint32_t section, uint32_t offset,
	uint32_t count, uint32_t frame_len, unsigned int kind)
{
	struct nic_channel *ch = &nic->channels[channel];

	if (ch->batch_n == 0) {
		ch->batch_first = section;
		memset(ch->batch_count, 0, sizeof(ch->batch_count));
	} else {
		nic->sections[ch->batch_last].next = section;
	}
	ch->batch_last = section;
	ch->batch_count[kind].frames++;
	ch->batch_count[kind].bytes += frame_len;
	ch->batch[ch->batch_n].byte_count = count;
	ch->batch[ch->batch_n].byte_offset = offset;
	if (++ch->batch_n >= nic->knobs.batch)
		batch_flush(nic, channel);
}

/* Knob malformed_rx_pct: break one message in the next of these ways. */
static void
rx_malform(struct host_nic *nic, uint8_t *message, uint32_t *offset, uint32_t *count)
{
	static const struct {
		uint32_t at, value;
	} ways[] = {
		{offsetof(struct rndis_packet, h.length), 0},
		{offsetof(struct rndis_packet, h.length), UINT32_MAX},
		{offsetof(struct rndis_packet, h.type), 0x7f},
		{offsetof(struct rndis_packet, data_offset), 0},
		{offsetof(struct rndis_packet, data_offset), 0xfffffff8u},
		{offsetof(struct rndis_packet, data_length), 0},
		{offsetof(struct rndis_packet, data_length), UINT32_MAX},
		{offsetof(struct rndis_packet, ppi_length), 0xffff},
		{offsetof(struct rndis_packet, data_length), RNDIS_MIN_FRAME - 1},
	};
	uint32_t way = nic->malform_kind++ % (sizeof(ways) / sizeof(ways[0]) + 3);
	const struct rndis_ppi endless = {0};
	uint32_t ppi_length = sizeof(endless);

	nic->stats.rx_spoiled++;
	if (way < sizeof(ways) / sizeof(ways[0])) {
		memcpy(message + ways[way].at, &ways[way].value, sizeof(uint32_t));
		return;
	}
	switch (way - sizeof(ways) / sizeof(ways[0])) {
	case 0: /* a PPI of size 0 loops for ever in some guests */
		memcpy(message + offsetof(struct rndis_packet, ppi_length), &ppi_length,
			sizeof(ppi_length));
		memcpy(message + sizeof(struct rndis_packet), &endless, sizeof(endless));
		break;
	case 1:
		*count = 4;
		break;
	default:
		*offset = UINT32_MAX - 7;
	}
}

/* Channel for a frame, and its hash PPIs. */
static unsigned int
rx_spread(struct host_nic *nic, const struct offload_headers *headers, const uint8_t *head,
	struct rndis_packet_builder *b)
{
	uint8_t input[TOEPLITZ_MAX_INPUT];
	uint32_t type, hash, len, channel;

	len = offload_hash_input(
		headers, head, nic->rss.hash_info, nic->knobs.udp_hash, input, &type);
	if (len == 0)
		return 0;
	hash = toeplitz_hash(&nic->toeplitz, input, len);
	rndis_packet_add(b, RNDIS_PPI_HASH_VALUE, hash);
	rndis_packet_add(b, RNDIS_PPI_HASH_INFO, NDIS_HASH_TOEPLITZ | type);
	channel = nic->rss.table[hash % NDIS_RSS_TABLE_ENTRIES];
	/* A table may name a channel that is not open yet: the primary takes its frames. */
	return channel < HOST_MAX_CHANNELS && nic->channels[channel].open &&
			       !nic->channels[channel].dead
		       ? channel
		       : 0;
}

static uint32_t
rx_verify(const struct host_nic *nic, const struct offload_headers *headers, const uint8_t *head,
	const uint8_t *frame)
{
	uint32_t on = nic->offloads_on;
	const struct offload_verify want = {
		.ip4 = on & NDIS_CAN_RX_IP4,
		.tcp4 = on & NDIS_CAN_RX_TCP4,
		.udp4 = on & NDIS_CAN_RX_UDP4,
		.tcp6 = on & NDIS_CAN_RX_TCP6,
		.udp6 = on & NDIS_CAN_RX_UDP6,
	};

	return offload_verify(headers, head, frame, &want);
}

/* One frame lies in @p section; false when it is dropped. */
static bool
rx_deliver(struct host_nic *nic, uint32_t section, uint32_t len)
{
	uint32_t offset = section * nic->section_bytes, data_at = nic->data_offset, count, word;
	uint8_t *message = nic->recv.base + offset, *frame = message + data_at;
	uint8_t head[OFFLOAD_HEAD_MAX];
	struct offload_headers headers;
	struct rndis_packet_builder b;
	unsigned int channel = 0, kind;
	bool hash = nic->rss.enabled && nic->channels_open > 1;
	bool verify = nic->offloads_on & RX_CHECKSUMS, tagged;

	if (len < RNDIS_MIN_FRAME || len > nic->mtu_field + OFFLOAD_VLAN_TAG) {
		nic->stats.rx_dropped_size++;
		return false;
	}
	memcpy(head, frame, 18);
	if (!rx_filter(nic, head)) {
		nic->stats.rx_dropped_filter++;
		return false;
	}
	rndis_packet_begin(&b, message);
	tagged = len >= 18 && head[12] == 0x81 && head[13] == 0x00;
	if (tagged && nic->capabilities & NVSP_CAP_8021Q) {
		/* The host delivers tags out of band (spec/rndis.md §4). */
		memmove(frame + OFFLOAD_VLAN_TAG, frame, 12);
		frame += OFFLOAD_VLAN_TAG;
		data_at += OFFLOAD_VLAN_TAG;
		len -= OFFLOAD_VLAN_TAG;
		tagged = false;
		rndis_packet_add(&b, RNDIS_PPI_VLAN,
			rndis_vlan_from_tci((uint16_t)(head[14] << 8 | head[15])));
	}
	if (len > nic->mtu_field + (tagged ? OFFLOAD_VLAN_TAG : 0)) {
		nic->stats.rx_dropped_size++;
		return false;
	}
	kind = nic_frame_kind(head);
	if (hash || verify) {
		uint32_t head_len = len < sizeof(head) ? len : (uint32_t)sizeof(head);

		memcpy(head, frame, head_len);
		offload_parse(head, head_len, len, &headers);
		if (verify) {
			word = rx_verify(nic, &headers, head, frame);
			if (word != 0)
				rndis_packet_add(&b, RNDIS_PPI_CHECKSUM, word);
		}
		if (hash)
			channel = rx_spread(nic, &headers, head, &b);
	}
	count = nic->knobs.range_slot ? nic->section_bytes : data_at + len;
	rndis_packet_end_at(&b, data_at, len, count);
	if (nic->knobs.malformed_rx_pct != 0 &&
		nic_percent(&nic->malform_acc, nic->knobs.malformed_rx_pct))
		rx_malform(nic, message, &offset, &count);
	batch_add(nic, channel, section, offset, count, len, kind);
	return true;
}

/*
 * What a poll knows beforehand of all its frames. Nothing but addresses decides about a frame that
 * is
 * @a plain: no hash, no checksums, no spoiled messages.
 */
struct rx_plan {
	bool plain;
	uint64_t mac; /* the guest's, as rx_address() gives it; an impossible one: not wanted */
	struct rndis_packet header;
};

#define RX_NO_ADDRESS UINT64_MAX

/* The address at @p p as a number. */
static inline uint64_t
rx_address(const uint8_t *p)
{
	uint64_t address = 0;

	memcpy(&address, p, 6);
	return address;
}

static struct rx_plan
rx_plan(const struct host_nic *nic)
{
	bool hash = nic->rss.enabled && nic->channels_open > 1;
	struct rx_plan plan = {
		.plain = !hash && !(nic->offloads_on & RX_CHECKSUMS) && !nic->knobs.range_slot &&
			 nic->knobs.malformed_rx_pct == 0,
		.mac = nic->filter & RNDIS_FILTER_DIRECTED ? rx_address(nic->mac) : RX_NO_ADDRESS,
	};
	struct rndis_packet_builder b;

	/* With lengths that the frames put right. */
	rndis_packet_begin(&b, &plan.header);
	rndis_packet_end_at(&b, nic->data_offset, 0, nic->data_offset);
	return plan;
}

/* rx_deliver() for a frame to the guest's own address; for any other, that is called. */
static inline bool
rx_deliver_plain(struct host_nic *nic, const struct rx_plan *plan, uint32_t section, uint32_t len)
{
	uint32_t offset = section * nic->section_bytes, at = nic->data_offset;
	uint8_t *message = nic->recv.base + offset, *frame = message + at;
	uint32_t length = at + len;
	uint16_t type;

	memcpy(&type, frame + 12, sizeof(type));
	if (len < RNDIS_MIN_FRAME || len > nic->mtu_field || rx_address(frame) != plan->mac ||
		type == VLAN_TYPE)
		return rx_deliver(nic, section, len);
	memcpy(message, &plan->header, sizeof(plan->header));
	memcpy(message + offsetof(struct rndis_packet, h.length), &length, sizeof(length));
	memcpy(message + offsetof(struct rndis_packet, data_length), &len, sizeof(len));
	batch_add(nic, 0, section, offset, length, len, 0);
	return true;
}

/* Frames for which there is no place: taken from the port and dropped. */
static unsigned int
rx_discard(struct host_nic *nic, unsigned int budget, uint64_t *counter)
{
	struct host_frame frames[HOST_PORT_BURST];
	unsigned int i, n, got = 0;

	while (got < budget) {
		n = budget - got < HOST_PORT_BURST ? budget - got : HOST_PORT_BURST;
		for (i = 0; i < n; i++)
			frames[i] = (struct host_frame){.data = nic->scratch, .room = NIC_SCRATCH};
		i = nic->port->ops->receive(nic->port, frames, n);
		*counter += i;
		got += i;
		if (i < n)
			break;
	}
	return got;
}

/* Knob rx_wait: is there ring room for @p n frames wherever they go? */
static bool
rx_rings_have_room(struct host_nic *nic, uint32_t n)
{
	uint32_t packets = n / nic->knobs.batch + 1, i, each;

	each = vmbus_packet_ring_size(24 + 8 * nic->knobs.batch + NVSP_MESSAGE_SIZE);
	for (i = 0; i < nic->channels_top; i++)
		if (nic->channels[i].open && !nic->channels[i].dead &&
			!vmbus_ring_writer_room(
				&nic->channels[i].out, 0, NIC_RX_RESERVE + packets * each))
			return false;
	return true;
}

/*
 * Does the port hold its frames until there is a place for them? A generator or a capture can
 * wait, a network cannot.
 */
static bool
rx_port_waits(const struct host_nic *nic)
{
	return nic->knobs.rx_wait || nic->port->ops->on_demand;
}

/* Most frames that a port which can wait may give now. */
static uint32_t
rx_outstanding_left(const struct host_nic *nic)
{
	uint32_t most = nic->config.outstanding * nic->channels_open;
	uint32_t out = nic->sections_n - nic->reserved - nic->free_n;

	if (nic->config.outstanding == 0)
		return UINT32_MAX;
	return out < most ? most - out : 0;
}

unsigned int
nic_rx_poll(struct host_nic *nic, unsigned int budget)
{
	struct host_frame frames[HOST_PORT_BURST];
	uint32_t section[HOST_PORT_BURST], at;
	unsigned int i, n, k, got = 0;
	struct rx_plan plan;

	if (!nic_rx_wants_port(nic))
		return 0;
	if (!rx_ready(nic))
		return rx_discard(nic, budget, rx_not_ready_counter(nic));
	plan = rx_plan(nic);
	while (got < budget) {
		n = budget - got < HOST_PORT_BURST ? budget - got : HOST_PORT_BURST;
		if (n > nic->free_n)
			n = nic->free_n;
		if (rx_port_waits(nic)) {
			k = rx_outstanding_left(nic);
			n = n < k ? n : k;
			if (!rx_rings_have_room(nic, n))
				break;
		}
		if (n == 0) {
			if (!rx_port_waits(nic))
				got += rx_discard(
					nic, budget - got, &nic->stats.rx_dropped_no_section);
			break;
		}
		for (i = 0, at = nic->free_first; i < n; i++, at = nic->sections[at].next) {
			section[i] = at;
			frames[i].data =
				nic->recv.base + (size_t)at * nic->section_bytes + nic->data_offset;
			frames[i].room = nic->section_bytes - nic->data_offset - NIC_SECTION_TAIL;
			frames[i].len = 0;
		}
		k = nic->port->ops->receive(nic->port, frames, n);
		if (k > n)
			k = n;
		nic->free_first = k < n ? section[k] : at;
		nic->free_n -= k;
		for (i = 0; i < k; i++)
			if (plan.plain ? !rx_deliver_plain(nic, &plan, section[i], frames[i].len)
				       : !rx_deliver(nic, section[i], frames[i].len))
				nic_rx_free_section(nic, section[i]);
		got += k;
		if (k < n)
			break;
	}
	for (i = 0; i < nic->channels_top; i++)
		batch_flush(nic, i);
	return got;
}
