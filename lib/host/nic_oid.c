/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The objects of RNDIS QUERY and SET (spec/rndis.md §5-§7). Most are one 32-bit word; the rest has
 * a small function each.
 */
#include "lib/host/nic_internal.h"

#define VENDOR_ID      0x0000155du
#define MAC_OPTIONS    0x24du
#define BUFFER_SPACE   0x40000u
#define DRIVER_VERSION 0x0100u
#define FRIENDLY_BYTES 512u
#define SPEED_PER_MBPS 10000u /* OID_GEN_LINK_SPEED counts 100 bit/s */
#define UDP_CHECKSUMS  (NDIS_CAN_TX_UDP4 | NDIS_CAN_TX_UDP6 | NDIS_CAN_RX_UDP4 | NDIS_CAN_RX_UDP6)

static const char vendor_text[] = "hyperpoll synthetic NIC";

/* From which NDIS version an OID is in the supported list; 0 = always. */
static const struct {
	uint32_t oid, ndis;
} oids[] = {
	{OID_GEN_SUPPORTED_LIST, 0},
	{OID_GEN_HARDWARE_STATUS, 0},
	{OID_GEN_MEDIA_SUPPORTED, 0},
	{OID_GEN_MEDIA_IN_USE, 0},
	{OID_GEN_MAXIMUM_LOOKAHEAD, 0},
	{OID_GEN_MAXIMUM_FRAME_SIZE, 0},
	{OID_GEN_LINK_SPEED, 0},
	{OID_GEN_TRANSMIT_BUFFER_SPACE, 0},
	{OID_GEN_RECEIVE_BUFFER_SPACE, 0},
	{OID_GEN_TRANSMIT_BLOCK_SIZE, 0},
	{OID_GEN_RECEIVE_BLOCK_SIZE, 0},
	{OID_GEN_VENDOR_ID, 0},
	{OID_GEN_VENDOR_DESCRIPTION, 0},
	{OID_GEN_CURRENT_PACKET_FILTER, 0},
	{OID_GEN_CURRENT_LOOKAHEAD, 0},
	{OID_GEN_DRIVER_VERSION, 0},
	{OID_GEN_MAXIMUM_TOTAL_SIZE, 0},
	{OID_GEN_MAC_OPTIONS, 0},
	{OID_GEN_MEDIA_CONNECT_STATUS, 0},
	{OID_GEN_MAXIMUM_SEND_PACKETS, 0},
	{OID_GEN_VENDOR_DRIVER_VERSION, 0},
	{OID_GEN_NETWORK_LAYER_ADDRESSES, 0},
	{OID_GEN_RNDIS_CONFIG_PARAMETER, 0},
	{OID_GEN_XMIT_OK, 0},
	{OID_GEN_RCV_OK, 0},
	{OID_GEN_XMIT_ERROR, 0},
	{OID_GEN_RCV_ERROR, 0},
	{OID_GEN_RCV_NO_BUFFER, 0},
	{OID_GEN_DIRECTED_BYTES_XMIT, 0},
	{OID_GEN_DIRECTED_FRAMES_XMIT, 0},
	{OID_GEN_MULTICAST_BYTES_XMIT, 0},
	{OID_GEN_MULTICAST_FRAMES_XMIT, 0},
	{OID_GEN_BROADCAST_BYTES_XMIT, 0},
	{OID_GEN_BROADCAST_FRAMES_XMIT, 0},
	{OID_GEN_DIRECTED_BYTES_RCV, 0},
	{OID_GEN_DIRECTED_FRAMES_RCV, 0},
	{OID_GEN_MULTICAST_BYTES_RCV, 0},
	{OID_GEN_MULTICAST_FRAMES_RCV, 0},
	{OID_GEN_BROADCAST_BYTES_RCV, 0},
	{OID_GEN_BROADCAST_FRAMES_RCV, 0},
	{OID_GEN_FRIENDLY_NAME, 0},
	{OID_GEN_BYTES_RCV, 0},
	{OID_GEN_BYTES_XMIT, 0},
	{OID_802_3_PERMANENT_ADDRESS, 0},
	{OID_802_3_CURRENT_ADDRESS, 0},
	{OID_802_3_MULTICAST_LIST, 0},
	{OID_802_3_MAXIMUM_LIST_SIZE, 0},
	{OID_802_3_RCV_ERROR_ALIGNMENT, 0},
	{OID_802_3_XMIT_ONE_COLLISION, 0},
	{OID_802_3_XMIT_MORE_COLLISIONS, 0},
	{OID_GEN_MAX_LINK_SPEED, 0x00060000},
	{OID_GEN_LINK_STATE, 0x00060000},
	{OID_GEN_STATISTICS, 0x00060000},
	{OID_TCP_OFFLOAD_CURRENT_CONFIG, 0x00060000},
	{OID_TCP_OFFLOAD_PARAMETERS, 0x00060000},
	{OID_TCP_OFFLOAD_HARDWARE_CAPS, 0x00060000},
	{OID_OFFLOAD_ENCAPSULATION, 0x00060000},
	{OID_GEN_RECEIVE_SCALE_CAPABILITIES, NDIS_VERSION_6_30},
	{OID_GEN_RECEIVE_SCALE_PARAMETERS, NDIS_VERSION_6_30},
};

/* Is it a counter? Some hosts have none (knob oid_stats). */
static bool
is_statistic(uint32_t oid)
{
	return (oid >= OID_GEN_XMIT_OK && oid <= OID_GEN_BROADCAST_FRAMES_RCV) ||
	       oid == OID_GEN_BYTES_RCV || oid == OID_GEN_BYTES_XMIT;
}

static uint32_t
query_list(const struct host_nic *nic, uint8_t *out, uint32_t size)
{
	uint32_t n = 0;
	size_t i;

	for (i = 0; i < sizeof(oids) / sizeof(oids[0]) && size - n >= sizeof(uint32_t); i++)
		if (nic->ndis_version >= oids[i].ndis &&
			(nic->knobs.oid_stats || !is_statistic(oids[i].oid))) {
			memcpy(out + n, &oids[i].oid, sizeof(uint32_t));
			n += sizeof(uint32_t);
		}
	return n;
}

static uint32_t
query_name(uint8_t *out)
{
	size_t i;

	memset(out, 0, FRIENDLY_BYTES);
	for (i = 0; i < sizeof(vendor_text) - 1; i++)
		out[2 * i] = (uint8_t)vendor_text[i];
	return FRIENDLY_BYTES;
}

/* What this NIC can do for a guest of this version (spec/rndis.md §4.1: no UDP below 5). */
static uint32_t
offloads_can(const struct host_nic *nic)
{
	uint32_t can = NDIS_CAN_ALL;

	/* spec/nvsp.md §3: coalesced frames only for who said that he knows of them. */
	if (nic->version < NVSP_VERSION_61 || !(nic->capabilities & NVSP_CAP_RSC) ||
		!nic->knobs.rsc)
		can &= ~(NDIS_CAN_RSC4 | NDIS_CAN_RSC6);
	return nic->version < NVSP_VERSION_5 ? can & ~UDP_CHECKSUMS : can;
}

static uint32_t
offload_object(const struct host_nic *nic, uint32_t which, uint8_t *out, uint32_t size)
{
	const struct ndis_offloads offloads = {
		.can = which,
		.tso4_max = which & NDIS_CAN_TSO4 ? NDIS_LSO_MAX_SIZE : 0,
		.tso6_max = which & NDIS_CAN_TSO6 ? NDIS_LSO_MAX_SIZE : 0,
		.tso4_min_segs = which & NDIS_CAN_TSO4 ? 2 : 0,
		.tso6_min_segs = which & NDIS_CAN_TSO6 ? 2 : 0,
	};
	int len = ndis_build_offload_caps(out, size, &offloads);

	return len < 0 ? 0 : (uint32_t)len;
}

void
nic_oid_indicate_offloads(struct host_nic *nic)
{
	uint8_t caps[NDIS_OFFLOAD_CAPS_REV3];
	uint32_t len = offload_object(nic, nic->offloads_on, caps, sizeof(caps));

	nic_rndis_indicate(nic, RNDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG, caps, len);
}

/* Entries that a table may have: guests send 128 to every host, more where that was announced. */
static uint32_t
rss_entries_max(const struct host_nic *nic)
{
	uint32_t entries = nic->ndis_version < NDIS_VERSION_6_30 ? 0 : nic->knobs.rss_entries;

	return entries > NDIS_RSS_TABLE_ENTRIES ? entries : NDIS_RSS_TABLE_ENTRIES;
}

static uint32_t
query_rss(const struct host_nic *nic, uint8_t *out, uint32_t size)
{
	int len = ndis_build_rss_caps(
		out, size, nic->ndis_version, nic->knobs.rss_caps, nic->config.channels);
	uint16_t entries = (uint16_t)nic->knobs.rss_entries;

	if (len < 0)
		return 0;
	if (entries != NDIS_RSS_TABLE_ENTRIES && len >= (int)NDIS_RSS_CAPS_REV2)
		memcpy(out + offsetof(struct ndis_rss_caps, table_entries), &entries,
			sizeof(entries));
	return (uint32_t)len;
}

/* One u32 answers: true and *value. */
static bool
query_word(const struct host_nic *nic, uint32_t oid, uint32_t *value)
{
	uint32_t mtu = nic->mtu_field;

	switch (oid) {
	case OID_GEN_HARDWARE_STATUS:
	case OID_GEN_MEDIA_SUPPORTED:
	case OID_GEN_MEDIA_IN_USE:
	case OID_802_3_RCV_ERROR_ALIGNMENT:
	case OID_802_3_XMIT_ONE_COLLISION:
	case OID_802_3_XMIT_MORE_COLLISIONS:
		*value = 0;
		return true;
	case OID_GEN_MAXIMUM_LOOKAHEAD:
	case OID_GEN_CURRENT_LOOKAHEAD:
	case OID_GEN_MAXIMUM_FRAME_SIZE:
		*value = mtu - NVSP_MTU_HEADER;
		return true;
	case OID_GEN_TRANSMIT_BLOCK_SIZE:
	case OID_GEN_RECEIVE_BLOCK_SIZE:
	case OID_GEN_MAXIMUM_TOTAL_SIZE:
		*value = mtu;
		return true;
	case OID_GEN_LINK_SPEED:
		*value = nic->knobs.link_mbps * SPEED_PER_MBPS;
		return true;
	case OID_GEN_TRANSMIT_BUFFER_SPACE:
	case OID_GEN_RECEIVE_BUFFER_SPACE:
		*value = BUFFER_SPACE;
		return true;
	case OID_GEN_VENDOR_ID:
		*value = VENDOR_ID;
		return true;
	case OID_GEN_CURRENT_PACKET_FILTER:
		*value = nic->filter;
		return true;
	case OID_GEN_DRIVER_VERSION:
	case OID_GEN_VENDOR_DRIVER_VERSION:
		*value = DRIVER_VERSION;
		return true;
	case OID_GEN_MAC_OPTIONS:
		*value = MAC_OPTIONS;
		return true;
	case OID_GEN_MEDIA_CONNECT_STATUS:
		*value = nic->link_up ? RNDIS_MEDIA_CONNECTED : RNDIS_MEDIA_DISCONNECTED;
		return true;
	case OID_GEN_MAXIMUM_SEND_PACKETS:
		*value = UINT32_MAX;
		return true;
	case OID_802_3_MAXIMUM_LIST_SIZE:
		*value = nic->knobs.multicast_max;
		return true;
	default:
		return false;
	}
}

static void
subtract(void *from, const void *what, size_t len)
{
	uint64_t *words = from;
	const uint64_t *less = what;
	size_t i;

	for (i = 0; i < len / sizeof(*words); i++)
		words[i] -= less[i];
}

static void
count_all(struct host_nic *nic, struct nic_oid_since *all)
{
	static_assert(sizeof(all->stats) % 8 == 0 && sizeof(all->kinds) % 8 == 0, "counters alone");

	host_nic_get_stats(nic, &all->stats, NULL);
	nic_lanes_oid_stats(nic, &all->kinds);
}

/* Counters as the guest is told them: of the host that it is on now. */
static void
counted_here(struct host_nic *nic, struct nic_oid_since *here)
{
	count_all(nic, here);
	subtract(&here->stats, &nic->oid_since.stats, sizeof(here->stats));
	subtract(&here->kinds, &nic->oid_since.kinds, sizeof(here->kinds));
}

void
nic_oid_restart(struct host_nic *nic)
{
	count_all(nic, &nic->oid_since);
}

/* Frames for the guest that were lost for want of room, and frames of it that went nowhere. */
static uint64_t
in_discards(const struct host_nic_stats *s)
{
	return s->rx_dropped_no_section + s->rx_dropped_ring_full + s->rx_dropped_channel;
}

static uint64_t
out_discards(const struct host_nic_stats *s)
{
	return s->tx_dropped_link + s->tx_dropped_spoof;
}

/*
 * A counter. The first five have four bytes unless more are asked for, as NDIS has it; the others
 * have eight.
 */
static bool
query_counter(struct host_nic *nic, uint32_t oid, uint64_t *value, bool *narrow)
{
	struct nic_oid_since here;
	const struct host_nic_stats *s = &here.stats;
	const struct nic_oid_count *count;
	uint32_t which;

	counted_here(nic, &here);
	*narrow = true;
	switch (oid) {
	case OID_GEN_XMIT_OK:
		*value = s->tx_frames;
		return true;
	case OID_GEN_RCV_OK:
		*value = s->rx_frames;
		return true;
	case OID_GEN_XMIT_ERROR:
		*value = s->tx_errors;
		return true;
	case OID_GEN_RCV_ERROR:
		*value = s->rx_dropped_size;
		return true;
	case OID_GEN_RCV_NO_BUFFER:
		*value = in_discards(s);
		return true;
	default:
		break;
	}
	*narrow = false;
	if (oid == OID_GEN_BYTES_RCV || oid == OID_GEN_BYTES_XMIT) {
		*value = oid == OID_GEN_BYTES_RCV ? s->rx_bytes : s->tx_bytes;
		return true;
	}
	if (oid < OID_GEN_DIRECTED_BYTES_XMIT || oid > OID_GEN_BROADCAST_FRAMES_RCV)
		return false;
	/* Bytes and frames alternate; three kinds; transmit, then receive. */
	which = oid - OID_GEN_DIRECTED_BYTES_XMIT;
	count = which < 6 ? &here.kinds.xmit[which / 2] : &here.kinds.rcv[which / 2 - 3];
	*value = which & 1 ? count->frames : count->bytes;
	return true;
}

static struct ndis_counts
count_frames(const struct nic_oid_count count[3])
{
	return (struct ndis_counts){count[0].frames, count[1].frames, count[2].frames};
}

static struct ndis_counts
count_bytes(const struct nic_oid_count count[3])
{
	return (struct ndis_counts){count[0].bytes, count[1].bytes, count[2].bytes};
}

static uint32_t
query_statistics(struct host_nic *nic, uint8_t *out)
{
	struct nic_oid_since here;
	const struct host_nic_stats *s = &here.stats;
	struct ndis_statistics all;

	counted_here(nic, &here);
	all = (struct ndis_statistics){
		.h = {NDIS_OBJECT_DEFAULT, 1, sizeof(all)},
		.valid = NDIS_STATISTICS_ALL,
		.in_discards = in_discards(s),
		.in_errors = s->rx_dropped_size,
		.in_octets = s->rx_bytes,
		.in_frames = count_frames(here.kinds.rcv),
		.out_octets = s->tx_bytes,
		.out_frames = count_frames(here.kinds.xmit),
		.out_errors = s->tx_errors,
		.out_discards = out_discards(s),
		.in_bytes = count_bytes(here.kinds.rcv),
		.out_bytes = count_bytes(here.kinds.xmit),
	};

	memcpy(out, &all, sizeof(all));
	return sizeof(all);
}

static uint32_t
query_bytes(struct host_nic *nic, uint32_t oid, uint8_t *out, uint32_t size)
{
	struct ndis_link_speed speed;
	uint64_t bps = (uint64_t)nic->knobs.link_mbps * 1000000;
	int len;

	switch (oid) {
	case OID_GEN_SUPPORTED_LIST:
		return query_list(nic, out, size);
	case OID_GEN_VENDOR_DESCRIPTION:
		memcpy(out, vendor_text, sizeof(vendor_text));
		return sizeof(vendor_text);
	case OID_GEN_FRIENDLY_NAME:
		return query_name(out);
	case OID_802_3_PERMANENT_ADDRESS:
		memcpy(out, nic->config.mac, 6);
		return 6;
	case OID_802_3_CURRENT_ADDRESS:
		memcpy(out, nic->mac, 6);
		return 6;
	case OID_GEN_MAX_LINK_SPEED:
		speed.tx = speed.rx = bps;
		memcpy(out, &speed, sizeof(speed));
		return sizeof(speed);
	case OID_GEN_STATISTICS:
		return query_statistics(nic, out);
	case OID_GEN_LINK_STATE:
		len = ndis_build_link_state(out, size, nic->link_up, bps);
		return len < 0 ? 0 : (uint32_t)len;
	case OID_TCP_OFFLOAD_HARDWARE_CAPS:
		return offload_object(nic, offloads_can(nic), out, size);
	case OID_TCP_OFFLOAD_CURRENT_CONFIG:
		return offload_object(nic, nic->offloads_on, out, size);
	case OID_GEN_RECEIVE_SCALE_CAPABILITIES:
		return nic->version < NVSP_VERSION_5 ? 0 : query_rss(nic, out, size);
	default:
		return 0;
	}
}

uint32_t
nic_oid_query(struct host_nic *nic, uint32_t oid, const uint8_t *in, uint32_t in_len, uint8_t *out,
	uint32_t out_size, uint32_t *out_len)
{
	uint64_t counter;
	uint32_t word;
	bool narrow;

	(void)in; /* typed queries carry the wanted size: few answers depend on it */
	if (out_size < FRIENDLY_BYTES)
		return RNDIS_STATUS_BUFFER_TOO_SHORT;
	if (is_statistic(oid) && !nic->knobs.oid_stats)
		return RNDIS_STATUS_NOT_SUPPORTED;
	if (query_word(nic, oid, &word)) {
		memcpy(out, &word, sizeof(word));
		*out_len = sizeof(word);
	} else if (query_counter(nic, oid, &counter, &narrow)) {
		*out_len = narrow && in_len < sizeof(counter) ? sizeof(word) : sizeof(counter);
		memcpy(out, &counter, *out_len);
	} else {
		*out_len = query_bytes(nic, oid, out, out_size);
	}
	return *out_len == 0 ? RNDIS_STATUS_NOT_SUPPORTED : RNDIS_STATUS_SUCCESS;
}

static uint32_t
set_filter(struct host_nic *nic, const uint8_t *in, uint32_t in_len)
{
	if (in_len < sizeof(nic->filter))
		return RNDIS_STATUS_FAILURE;
	memcpy(&nic->filter, in, sizeof(nic->filter));
	return RNDIS_STATUS_SUCCESS;
}

static uint32_t
set_multicast(struct host_nic *nic, const uint8_t *in, uint32_t in_len)
{
	if (in_len % 6 != 0)
		return RNDIS_STATUS_INVALID_LENGTH;
	if (in_len / 6 > nic->knobs.multicast_max)
		return RNDIS_STATUS_MULTICAST_FULL;
	nic->multicast_n = in_len / 6;
	memcpy(nic->multicast, in, in_len);
	return RNDIS_STATUS_SUCCESS;
}

static uint32_t
set_rss(struct host_nic *nic, const uint8_t *in, uint32_t in_len)
{
	struct ndis_rss_config want = nic->rss;
	uint32_t status;

	if (nic->version < NVSP_VERSION_5)
		return RNDIS_STATUS_NOT_SUPPORTED;
	if (nic->knobs.refuse_rss)
		return RNDIS_STATUS_FAILURE;
	status = ndis_parse_rss_params(in, in_len, nic->config.channels, &want);
	if (status == RNDIS_STATUS_SUCCESS && want.enabled && want.entries > rss_entries_max(nic))
		status = RNDIS_STATUS_INVALID_DATA;
	if (status != RNDIS_STATUS_SUCCESS)
		return status;
	/* Knob strict_rss: like hosts that refuse a change while RSS is on. */
	if (want.enabled && nic->rss.enabled && nic->knobs.strict_rss)
		return RNDIS_STATUS_FAILURE;
	nic->rss = want;
	if (want.enabled)
		toeplitz_set_key(&nic->toeplitz, want.key);
	return RNDIS_STATUS_SUCCESS;
}

uint32_t
nic_oid_set(struct host_nic *nic, uint32_t oid, const uint8_t *in, uint32_t in_len)
{
	switch (oid) {
	case OID_GEN_CURRENT_PACKET_FILTER:
		return set_filter(nic, in, in_len);
	case OID_GEN_NETWORK_LAYER_ADDRESSES:
	case OID_GEN_CURRENT_LOOKAHEAD:
		return RNDIS_STATUS_SUCCESS;
	case OID_GEN_RECEIVE_SCALE_PARAMETERS:
		return set_rss(nic, in, in_len);
	case OID_GEN_RNDIS_CONFIG_PARAMETER:
		return ndis_parse_config_mac(in, in_len, nic->mac);
	case OID_802_3_MULTICAST_LIST:
		return set_multicast(nic, in, in_len);
	case OID_OFFLOAD_ENCAPSULATION:
		return ndis_check_offload_encap(in, in_len);
	case OID_TCP_OFFLOAD_PARAMETERS:
		return ndis_apply_offload_params(in, in_len, offloads_can(nic), &nic->offloads_on);
	default:
		return RNDIS_STATUS_NOT_SUPPORTED;
	}
}
