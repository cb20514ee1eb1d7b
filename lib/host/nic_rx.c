/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames towards the guest (spec/nvsp.md §6, spec/rndis.md §4): the port writes straight into
 * receive sections, the RNDIS header goes in front, ranges are gathered into transfer-page packets
 * (nic_batch.c, nic_sections.c).
 * The guest can write the receive buffer at any time: what decides anything is loaded once.
 */
#include "lib/host/nic_batch.h"

/* EtherType of a tagged frame as it lies in memory. */
#define VLAN_TYPE 0x0081u
#define RX_TCP	  6u
#define RX_UDP	  17u
#define RX_CHECKSUMS                                                                               \
	(NDIS_CAN_RX_IP4 | NDIS_CAN_RX_TCP4 | NDIS_CAN_RX_UDP4 | NDIS_CAN_RX_TCP6 |                \
		NDIS_CAN_RX_UDP6)

static bool
rx_ready(const struct host_nic *nic)
{
	return nic->state == NIC_READY && nic->rndis_up && nic->filter != 0 && nic->link_up &&
	       nic->recv.base != NULL &&
	       (nic->lanes.lead == NULL ? nic->channels[0].open && !nic->channels[0].dead
					: nic->lanes.primary_works);
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
	return !nic->port->ops->on_demand || (nic_vf_carries(nic) ? nic->link_up : rx_ready(nic));
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

static unsigned int
rx_channel(const struct host_nic *nic, uint32_t hash)
{
	uint32_t channel = nic->rss.table[hash % NDIS_RSS_TABLE_MAX];

	/* A table may name a channel that is not open yet: the primary takes its frames. */
	return channel < HOST_MAX_CHANNELS && nic->channels[channel].open &&
			       !nic->channels[channel].dead
		       ? channel
		       : 0;
}

/* Channel for a frame, and its hash. */
static unsigned int
rx_spread(struct host_nic *nic, const struct offload_headers *headers, const uint8_t *head,
	struct rndis_packet_info *info)
{
	uint8_t input[TOEPLITZ_MAX_INPUT];
	uint32_t type, hash, len;

	len = offload_hash_input(
		headers, head, nic->rss.hash_info, nic->knobs.udp_hash, input, &type);
	if (len == 0)
		return 0;
	hash = toeplitz_hash(&nic->toeplitz, input, len);
	info->hash_value = hash;
	info->hash_info = NDIS_HASH_TOEPLITZ | type;
	/* OpenVMM spreads, but does not say by what (spec/rndis.md §4.2). */
	if (nic->knobs.hash_ppi)
		info->present |= RNDIS_HAS_HASH_VALUE | RNDIS_HAS_HASH_INFO;
	return rx_channel(nic, hash);
}

/*
 * What the guest hears of the checksums; 0: nothing. The L4 checksum may be @p left to us. A guest
 * that has TCP checksums looked at is then told, as hosts do for senders on the same machine, that
 * all is well but for the field (spec/rndis.md §4.2). For UDP there is no such word, and who does
 * not listen needs the sum: there the field is filled.
 */
static uint32_t
rx_checksum(const struct host_nic *nic, const struct offload_headers *headers, uint8_t *head,
	uint8_t *frame, uint32_t len, const struct host_frame_work *left)
{
	uint32_t on = nic->offloads_on, word = 0;
	struct offload_verify want = {
		.ip4 = on & NDIS_CAN_RX_IP4,
		.tcp4 = on & NDIS_CAN_RX_TCP4,
		.udp4 = on & NDIS_CAN_RX_UDP4,
		.tcp6 = on & NDIS_CAN_RX_TCP6,
		.udp6 = on & NDIS_CAN_RX_UDP6,
	};
	/* The bits of values that are not in the frame came with NDIS 6.30 (spec/rndis.md §4.2). */
	bool can_say = nic->ndis_version >= NDIS_VERSION_6_30;

	if (left->csum_start != 0 && can_say && headers->proto == RX_TCP &&
		headers->l4 == left->csum_start && (headers->ip == 4 ? want.tcp4 : want.tcp6)) {
		want.tcp4 = want.tcp6 = false;
		word = RNDIS_RX_CSUM_TCP_OK | RNDIS_RX_CSUM_TCP_VALUE_INVALID |
		       RNDIS_RX_CSUM_LOOPBACK;
	} else if (left->csum_start != 0) {
		offload_finish(frame, len, left);
	}
	word |= offload_verify(headers, head, frame, &want);
	if (nic->knobs.same_host && can_say)
		word = offload_unfill(headers, head, frame, word);
	return word;
}

/*
 * One frame lies in @p section; false: that is free again, because the frame is dropped or copied.
 * @p left: what is left to us to do, NULL: nothing
 */
static bool
rx_deliver(struct host_nic *nic, uint32_t section, uint32_t len, const struct host_frame_work *left)
{
	uint8_t *frame = nic->recv.base + (size_t)section * nic->section_bytes + nic->data_offset;
	struct rndis_packet_info info = {.data_abs = nic->data_offset};
	uint8_t head[OFFLOAD_HEAD_MAX];
	struct offload_headers headers;
	unsigned int channel = 0;
	enum nic_rsc_took took;
	bool hash = nic->rss.enabled;
	struct host_frame_work work = {0};
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
	if (left != NULL) {
		work = *left;
		verify |= work.csum_start != 0;
	}
	tagged = len >= 18 && head[12] == 0x81 && head[13] == 0x00;
	if (tagged && nic->capabilities & NVSP_CAP_8021Q &&
		nic->knobs.vlan_ppi != NIC_VLAN_INLINE) {
		/* The host delivers tags out of band (spec/rndis.md §4), or loses them. */
		memmove(frame + OFFLOAD_VLAN_TAG, frame, 12);
		frame += OFFLOAD_VLAN_TAG;
		info.data_abs += OFFLOAD_VLAN_TAG;
		len -= OFFLOAD_VLAN_TAG;
		if (work.csum_start != 0)
			work.csum_start -= OFFLOAD_VLAN_TAG;
		tagged = false;
		info.vlan_tci = (uint16_t)(head[14] << 8 | head[15]);
		if (nic->knobs.vlan_ppi == NIC_VLAN_PPI)
			info.present |= RNDIS_HAS_VLAN;
	}
	if (len > nic->mtu_field + (tagged ? OFFLOAD_VLAN_TAG : 0)) {
		nic->stats.rx_dropped_size++;
		return false;
	}
	info.data_length = len;
	if (hash || verify) {
		uint32_t head_len = len < sizeof(head) ? len : (uint32_t)sizeof(head);

		memcpy(head, frame, head_len);
		offload_parse(head, head_len, len, &headers);
		info.csum = verify ? rx_checksum(nic, &headers, head, frame, len, &work) : 0;
		if (info.csum != 0)
			info.present |= RNDIS_HAS_CSUM;
		if (hash)
			channel = rx_spread(nic, &headers, head, &info);
	}
	if (nic_rsc_on(nic)) {
		if (!verify)
			memset(&headers, 0, sizeof(headers));
		took = nic_rsc_take(nic, channel, section, &info, &headers, head);
		if (took != NIC_RSC_NOT)
			return took == NIC_RSC_KEPT;
	}
	nic_rx_frame(nic, channel, section, &info, nic_frame_kind(head));
	return true;
}

/* A frame of a port that does not go the plain way; apart, so that those that do pay nothing. */
static __attribute__((noinline)) bool
rx_deliver_general(struct host_nic *nic, uint32_t section, const struct host_frame *frame)
{
	return rx_deliver(
		nic, section, frame->len, nic->port->ops->carries_work ? &frame->work : NULL);
}

/* A header with the hash PPIs, as rx_spread() adds them. */
struct rx_hashed {
	struct rndis_packet packet;
	struct rndis_ppi value, info;
};
static_assert(sizeof(struct rx_hashed) == 76, "PPIs follow the header at once");

/*
 * What a poll knows beforehand of all its frames. With @a plain, nothing but addresses and ports
 * decides about most: no checksums, no spoiled messages. Headers are templates.
 */
struct rx_plan {
	bool plain;
	bool hash;
	uint64_t mac;  /* the guest's, as rx_address() gives it; an impossible one: not wanted */
	uint8_t *base; /* of the sections; the rest as in struct host_nic */
	uint32_t section_bytes, data_offset, max;
	uint32_t udp_type,
		tcp_type; /* of the hash over IPv4 addresses and ports; 0: without them */
	struct rndis_packet header;
	struct rx_hashed hashed;
};

#define RX_NO_ADDRESS UINT64_MAX
/* Addresses and ports of IPv4 without options, in a frame without a tag. */
#define RX_TUPLE_AT 26u
#define RX_TUPLE    12u
#define RX_L4_AT    34u

/* The address at @p p as a number. */
static inline uint64_t
rx_address(const uint8_t *p)
{
	uint64_t address = 0;

	memcpy(&address, p, 6);
	return address;
}

static uint32_t
rx_hash_type(const struct host_nic *nic, uint8_t proto)
{
	static const uint8_t head[OFFLOAD_HEAD_MAX];
	const struct offload_headers headers = {.ip = 4, .proto = proto};
	uint8_t input[TOEPLITZ_MAX_INPUT];
	uint32_t type;

	return offload_hash_input(&headers, head, nic->rss.hash_info, nic->knobs.udp_hash, input,
		       &type) == RX_TUPLE
		       ? type
		       : 0;
}

static struct rx_plan
rx_plan(const struct host_nic *nic)
{
	struct rx_plan plan = {
		.plain = !(nic->offloads_on & RX_CHECKSUMS) && !nic->knobs.range_slot &&
			 nic->knobs.malformed_rx_pct == 0 && !nic_rsc_on(nic) &&
			 nic->knobs.hash_ppi && !nic->port->ops->carries_work,
		.hash = nic->rss.enabled,
		.mac = nic->filter & RNDIS_FILTER_DIRECTED ? rx_address(nic->mac) : RX_NO_ADDRESS,
		.base = nic->recv.base,
		.section_bytes = nic->section_bytes,
		.data_offset = nic->data_offset,
		.max = nic->mtu_field,
	};
	struct rndis_packet_builder b;

	/* With lengths that the frames put right. */
	rndis_packet_begin(&b, &plan.header);
	rndis_packet_end_at(&b, nic->data_offset, 0, nic->data_offset);
	if (plan.hash) {
		plan.udp_type = rx_hash_type(nic, RX_UDP);
		plan.tcp_type = rx_hash_type(nic, RX_TCP);
		rndis_packet_begin(&b, &plan.hashed);
		rndis_packet_add(&b, RNDIS_PPI_HASH_VALUE, 0);
		rndis_packet_add(&b, RNDIS_PPI_HASH_INFO, 0);
		rndis_packet_end_at(&b, nic->data_offset, 0, nic->data_offset);
	}
	return plan;
}

static inline uint32_t
rx_word(const uint8_t *p, uint32_t len)
{
	uint32_t word = 0;

	memcpy(&word, p, len);
	return word;
}

/*
 * Type of the hash over addresses and ports of a frame of TCP or UDP over IPv4 without options; 0:
 * it is something else, by the rules of offload_parse().
 */
static inline uint32_t
rx_tuple_type(const struct rx_plan *plan, const uint8_t *frame, uint32_t len)
{
	/* EtherType and version, as they lie in memory; any type of service. */
	const uint32_t ip4 = 0x450008u, fragment = 0xff3fu;
	uint32_t ip_len, proto, least;

	if (len < RX_L4_AT || rx_word(frame + 12, 3) != ip4 ||
		(rx_word(frame + 20, 2) & fragment) != 0)
		return 0;
	proto = frame[23];
	least = proto == RX_TCP ? 40 : 28;
	ip_len = __builtin_bswap16((uint16_t)rx_word(frame + 16, 2));
	if (ip_len < least || ip_len > len - 14)
		return 0;
	return proto == RX_UDP ? plan->udp_type : proto == RX_TCP ? plan->tcp_type : 0;
}

/* Write the header of a message of @p len bytes of frame, from its template of @p size bytes. */
static inline void
rx_header(uint8_t *message, const void *header, uint32_t size, uint32_t length, uint32_t len)
{
	memcpy(message, header, size);
	memcpy(message + offsetof(struct rndis_packet, h.length), &length, sizeof(length));
	memcpy(message + offsetof(struct rndis_packet, data_length), &len, sizeof(len));
}

/* The address at the begin of a frame. */
static inline uint64_t
rx_destination(const uint8_t *frame)
{
	uint64_t word;

	memcpy(&word, frame, sizeof(word));
	return word & UINT64_C(0xffffffffffff);
}

/* Is it a frame to the guest's own address, without a tag, as long as frames may be? */
static inline bool
rx_is_plain(const struct rx_plan *plan, const uint8_t *frame, uint32_t len)
{
	return len >= RNDIS_MIN_FRAME && len <= plan->max && rx_destination(frame) == plan->mac &&
	       rx_word(frame + 12, 2) != VLAN_TYPE;
}

/* rx_deliver() for such a frame where a hash chooses the channel; for any other, that is called. */
static inline bool
rx_deliver_hashed(struct host_nic *nic, const struct rx_plan *plan, uint32_t section, uint32_t len)
{
	uint32_t offset = section * plan->section_bytes, at = plan->data_offset;
	uint8_t *message = plan->base + offset, *frame = message + at, tuple[RX_TUPLE];
	uint32_t length = at + len, hash, info, type = 0;

	if (rx_is_plain(plan, frame, len))
		type = rx_tuple_type(plan, frame, len);
	if (type == 0)
		return rx_deliver(nic, section, len, NULL);
	memcpy(tuple, frame + RX_TUPLE_AT, sizeof(tuple));
	hash = toeplitz_hash(&nic->toeplitz, tuple, sizeof(tuple));
	info = NDIS_HASH_TOEPLITZ | type;
	rx_header(message, &plan->hashed, sizeof(plan->hashed), length, len);
	memcpy(message + offsetof(struct rx_hashed, value.value), &hash, sizeof(hash));
	memcpy(message + offsetof(struct rx_hashed, info.value), &info, sizeof(info));
	nic_batch_add(nic, rx_channel(nic, hash), section, offset, length, len, 0);
	return true;
}

/*
 * The same where there is but one channel, for as many of @p n frames as there are before another
 * one or the end of a packet. Returns how many. They are in sections that are a chain, for such the
 * free ones were.
 */
static inline unsigned int
rx_deliver_run(struct host_nic *nic, const struct rx_plan *plan, const uint32_t *section,
	const struct host_frame *frames, unsigned int n)
{
	struct vmbus_xfer_range *range;
	uint64_t bytes = 0;
	unsigned int i;

	range = nic_batch_begin(nic, 0, &n);
	for (i = 0; i < n && rx_is_plain(plan, frames[i].data, frames[i].len); i++) {
		uint32_t len = frames[i].len, length = plan->data_offset + len;

		rx_header(frames[i].data - plan->data_offset, &plan->header, sizeof(plan->header),
			length, len);
		range[i].byte_count = length;
		range[i].byte_offset = section[i] * plan->section_bytes;
		bytes += len;
	}
	if (i != 0)
		nic_batch_end(nic, 0, section[0], section[i - 1], i, bytes);
	return i;
}

/* What the port has given, by the shortest way that there is. */
static void
rx_deliver_all(struct host_nic *nic, const struct rx_plan *plan, const uint32_t *section,
	const struct host_frame *frames, unsigned int n)
{
	unsigned int i, run;
	bool kept;

	for (i = 0; i < n; i += run) {
		run = plan->plain && !plan->hash
			      ? rx_deliver_run(nic, plan, section + i, frames + i, n - i)
			      : 0;
		if (run != 0)
			continue;
		kept = plan->plain && plan->hash
			       ? rx_deliver_hashed(nic, plan, section[i], frames[i].len)
			       : rx_deliver_general(nic, section[i], &frames[i]);
		if (!kept)
			nic_rx_free_section(nic, section[i]);
		run = 1;
	}
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

/*
 * Most frames that a port which can wait may give now. A channel that nobody polls keeps its share,
 * not that of others.
 */
static uint32_t
rx_outstanding_left(const struct host_nic *nic)
{
	uint32_t most = nic->config.outstanding, left = 0, held, i;

	if (most == 0)
		return UINT32_MAX;
	for (i = 0; i < nic->channels_top; i++) {
		held = nic->channels[i].outstanding + nic->channels[i].batch_n +
		       nic->channels[i].rsc.n;
		if (nic->channels[i].open && held < most)
			left += most - held;
	}
	return left;
}

unsigned int
nic_rx_channel_of(struct host_nic *nic, const uint8_t *frame, uint32_t len)
{
	uint8_t head[OFFLOAD_HEAD_MAX] = {0}, input[TOEPLITZ_MAX_INPUT];
	uint32_t head_len = len < sizeof(head) ? len : (uint32_t)sizeof(head), type, n;
	struct offload_headers headers;
	unsigned int channel;

	if (!nic->rss.enabled)
		return 0;
	memcpy(head, frame, head_len);
	offload_parse(head, head_len, len, &headers);
	n = offload_hash_input(
		&headers, head, nic->rss.hash_info, nic->knobs.udp_hash, input, &type);
	if (n == 0)
		return 0;
	channel = nic->rss.table[toeplitz_hash(&nic->toeplitz, input, n) % NDIS_RSS_TABLE_MAX];
	return channel < HOST_MAX_CHANNELS && nic_channel_works(nic, channel) ? channel : 0;
}

void
nic_rx_copied(struct host_nic *nic, const struct host_frame *frame)
{
	uint32_t section = nic->free_first;

	if (!rx_ready(nic)) {
		(*rx_not_ready_counter(nic))++;
		return;
	}
	if (nic->free_n == 0) {
		nic->stats.rx_dropped_no_section++;
		return;
	}
	if (frame->len > nic->section_bytes - nic->data_offset - NIC_SECTION_TAIL) {
		nic->stats.rx_dropped_size++;
		return;
	}
	nic->free_first = nic->sections[section].next;
	nic->free_n--;
	memcpy(nic->recv.base + (size_t)section * nic->section_bytes + nic->data_offset,
		frame->data, frame->len);
	if (!rx_deliver_general(nic, section, frame))
		nic_rx_free_section(nic, section);
}

void
nic_rx_finish(struct host_nic *nic)
{
	unsigned int i;

	for (i = 0; i < nic->channels_top; i++) {
		nic_rsc_close(nic, i);
		nic_batch_flush(nic, i);
	}
}

/* Free sections as places for @p n frames. Returns the free one behind them. */
static uint32_t
rx_places(const struct host_nic *nic, uint32_t *section, struct host_frame *frames, unsigned int n)
{
	uint32_t room = nic->section_bytes - nic->data_offset - NIC_SECTION_TAIL;
	uint8_t *first = nic->recv.base + nic->data_offset;
	const struct nic_section *sections = nic->sections;
	size_t section_bytes = nic->section_bytes;
	uint32_t at = nic->free_first;

	for (unsigned int i = 0; i < n; i++, at = sections[at].next) {
		section[i] = at;
		frames[i].data = first + at * section_bytes;
		frames[i].room = room;
	}
	return at;
}

unsigned int
nic_rx_poll(struct host_nic *nic, unsigned int budget)
{
	struct host_frame frames[HOST_PORT_BURST];
	uint32_t section[HOST_PORT_BURST], at;
	unsigned int n, k, got = 0;
	struct rx_plan plan;

	if (!nic_rx_wants_port(nic))
		return 0;
	if (nic_vf_carries(nic))
		return nic_vf_to_guest(nic, budget);
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
		at = rx_places(nic, section, frames, n);
		k = nic->port->ops->receive(nic->port, frames, n);
		if (k > n)
			k = n;
		nic->free_first = k < n ? section[k] : at;
		nic->free_n -= k;
		rx_deliver_all(nic, &plan, section, frames, k);
		got += k;
		if (k < n)
			break;
	}
	nic_rx_finish(nic);
	return got;
}
