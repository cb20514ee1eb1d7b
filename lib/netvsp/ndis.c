/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/netvsp/ndis.h"

#include <errno.h>
#include <string.h>

/* Checksum capability flags and encapsulations (spec/rndis.md §6.1). */
#define CAP_IP_OPTIONS	0x001u /* v6: extension headers */
#define CAP_TCP_OPTIONS 0x004u
#define CAP_TCP		0x010u
#define CAP_UDP		0x040u
#define CAP_IP_HEADER	0x100u
#define ENCAP_ETHERNET	0x2u
#define ENCAP_8021Q_OOB 0x8u
#define LSO6_OPTIONS	(CAP_IP_OPTIONS | CAP_TCP_OPTIONS)

static struct ndis_object_header
object_header(uint8_t type, uint8_t revision, size_t size)
{
	const struct ndis_object_header h = {type, revision, (uint16_t)size};

	return h;
}

/** An info buffer that is a header of @p type and zeros. */
static int
put_query(void *info, size_t size, struct ndis_object_header h)
{
	if (size < h.size)
		return -ENOSPC;
	memset(info, 0, h.size);
	memcpy(info, &h, sizeof(h));
	return h.size;
}

static int
put(void *info, size_t size, const void *object, size_t object_size)
{
	if (size < object_size)
		return -ENOSPC;
	memcpy(info, object, object_size);
	return (int)object_size;
}

/**
 * Guest: copy an object of @p type out of an answer: at least @p min bytes must be there, what is
 * missing up to @p full reads as zero, the excess is ignored (spec/rndis.md §6).
 */
static int
take(const void *info, size_t length, uint8_t type, size_t min, void *object, size_t full)
{
	struct ndis_object_header h;

	if (length < sizeof(h))
		return -EBADMSG;
	memcpy(&h, info, sizeof(h));
	if (h.type != type || h.revision < 1 || h.size < min || h.size > length)
		return -EBADMSG;
	memset(object, 0, full);
	memcpy(object, info, h.size < full ? h.size : full);
	return 0;
}

/* ---- offloads ---- */

int
ndis_build_offload_query(void *info, size_t size, uint32_t ndis_version)
{
	struct ndis_object_header h = object_header(NDIS_OBJECT_OFFLOAD, 3, NDIS_OFFLOAD_CAPS_REV3);

	if (ndis_version < NDIS_VERSION_6_1)
		h = object_header(NDIS_OBJECT_OFFLOAD, 1, NDIS_OFFLOAD_CAPS_REV1);
	else if (ndis_version < NDIS_VERSION_6_30)
		h = object_header(NDIS_OBJECT_OFFLOAD, 2, NDIS_OFFLOAD_CAPS_REV2);
	return put_query(info, size, h);
}

static uint32_t
csum_flags(uint32_t can, uint32_t ip, uint32_t tcp, uint32_t udp)
{
	uint32_t flags = 0;

	if (can & ip)
		flags |= CAP_IP_HEADER | CAP_IP_OPTIONS;
	if (can & tcp)
		flags |= CAP_TCP | CAP_TCP_OPTIONS | CAP_IP_OPTIONS;
	if (can & udp)
		flags |= CAP_UDP | CAP_IP_OPTIONS;
	return flags;
}

int
ndis_build_offload_caps(void *info, size_t size, const struct ndis_offloads *offloads)
{
	const uint32_t encap = ENCAP_ETHERNET | ENCAP_8021Q_OOB;
	const uint32_t can = offloads->can;
	struct ndis_offload_caps c = {
		.h = object_header(NDIS_OBJECT_OFFLOAD, 3, NDIS_OFFLOAD_CAPS_REV3),
	};

	c.csum.v4_tx_flags = csum_flags(can, NDIS_CAN_TX_IP4, NDIS_CAN_TX_TCP4, NDIS_CAN_TX_UDP4);
	c.csum.v4_rx_flags = csum_flags(can, NDIS_CAN_RX_IP4, NDIS_CAN_RX_TCP4, NDIS_CAN_RX_UDP4);
	c.csum.v6_tx_flags = csum_flags(can, 0, NDIS_CAN_TX_TCP6, NDIS_CAN_TX_UDP6);
	c.csum.v6_rx_flags = csum_flags(can, 0, NDIS_CAN_RX_TCP6, NDIS_CAN_RX_UDP6);
	c.csum.v4_tx_encap = c.csum.v4_tx_flags != 0 ? encap : 0;
	c.csum.v4_rx_encap = c.csum.v4_rx_flags != 0 ? encap : 0;
	c.csum.v6_tx_encap = c.csum.v6_tx_flags != 0 ? encap : 0;
	c.csum.v6_rx_encap = c.csum.v6_rx_flags != 0 ? encap : 0;
	if (can & NDIS_CAN_TSO4) {
		c.lso2.v4_encap = encap;
		c.lso2.v4_max_size = offloads->tso4_max;
		c.lso2.v4_min_segments = offloads->tso4_min_segs;
	}
	if (can & NDIS_CAN_TSO6) {
		c.lso2.v6_encap = encap;
		c.lso2.v6_max_size = offloads->tso6_max;
		c.lso2.v6_min_segments = offloads->tso6_min_segs;
		c.lso2.v6_options = LSO6_OPTIONS;
	}
	c.rsc_v4 = (can & NDIS_CAN_RSC4) != 0;
	c.rsc_v6 = (can & NDIS_CAN_RSC6) != 0;
	return put(info, size, &c, sizeof(c));
}

/** @p bit when all of @p mask is in @p flags. */
static uint32_t
when(uint32_t flags, uint32_t mask, uint32_t bit)
{
	return (flags & mask) == mask ? bit : 0;
}

int
ndis_parse_offload_caps(const void *info, size_t length, struct ndis_offloads *offloads)
{
	struct ndis_offload_caps c;
	uint32_t can = 0;

	if (take(info, length, NDIS_OBJECT_OFFLOAD, NDIS_OFFLOAD_CAPS_REV1, &c, sizeof(c)) != 0)
		return -EBADMSG;
	can |= when(c.csum.v4_tx_flags, CAP_IP_HEADER | CAP_IP_OPTIONS, NDIS_CAN_TX_IP4);
	can |= when(c.csum.v4_tx_flags, CAP_TCP | CAP_TCP_OPTIONS, NDIS_CAN_TX_TCP4);
	can |= when(c.csum.v4_tx_flags, CAP_UDP, NDIS_CAN_TX_UDP4);
	can |= when(
		c.csum.v6_tx_flags, CAP_TCP | CAP_TCP_OPTIONS | CAP_IP_OPTIONS, NDIS_CAN_TX_TCP6);
	can |= when(c.csum.v6_tx_flags, CAP_UDP | CAP_IP_OPTIONS, NDIS_CAN_TX_UDP6);
	/* Receive is told per packet, so a host that does not do options only says so less often.
	 */
	can |= when(c.csum.v4_rx_flags, CAP_IP_HEADER, NDIS_CAN_RX_IP4);
	can |= when(c.csum.v4_rx_flags, CAP_TCP, NDIS_CAN_RX_TCP4);
	can |= when(c.csum.v4_rx_flags, CAP_UDP, NDIS_CAN_RX_UDP4);
	can |= when(c.csum.v6_rx_flags, CAP_TCP, NDIS_CAN_RX_TCP6);
	can |= when(c.csum.v6_rx_flags, CAP_UDP, NDIS_CAN_RX_UDP6);
	can |= when(c.lso2.v4_encap, ENCAP_ETHERNET, NDIS_CAN_TSO4);
	if ((c.lso2.v6_options & LSO6_OPTIONS) == LSO6_OPTIONS)
		can |= when(c.lso2.v6_encap, ENCAP_ETHERNET, NDIS_CAN_TSO6);
	can |= c.rsc_v4 ? NDIS_CAN_RSC4 : 0;
	can |= c.rsc_v6 ? NDIS_CAN_RSC6 : 0;
	offloads->can = can;
	offloads->tso4_max = c.lso2.v4_max_size;
	offloads->tso6_max = c.lso2.v6_max_size;
	offloads->tso4_min_segs = c.lso2.v4_min_segments;
	offloads->tso6_min_segs = c.lso2.v6_min_segments;
	return 0;
}

static uint8_t
csum_value(uint32_t want, uint32_t tx, uint32_t rx)
{
	if (want & tx)
		return want & rx ? NDIS_CSUM_TX_RX : NDIS_CSUM_TX;
	return want & rx ? NDIS_CSUM_RX : NDIS_OFFLOAD_OFF;
}

static uint8_t
switch_value(uint32_t want, uint32_t bit)
{
	return want & bit ? NDIS_OFFLOAD_ON : NDIS_OFFLOAD_OFF;
}

int
ndis_build_offload_params(void *info, size_t size, uint32_t ndis_version, uint32_t want)
{
	struct ndis_offload_params p = {
		.h = object_header(NDIS_OBJECT_DEFAULT, 3, NDIS_OFFLOAD_PARAMS_REV3),
		.ip4_csum = csum_value(want, NDIS_CAN_TX_IP4, NDIS_CAN_RX_IP4),
		.tcp4_csum = csum_value(want, NDIS_CAN_TX_TCP4, NDIS_CAN_RX_TCP4),
		.udp4_csum = csum_value(want, NDIS_CAN_TX_UDP4, NDIS_CAN_RX_UDP4),
		.tcp6_csum = csum_value(want, NDIS_CAN_TX_TCP6, NDIS_CAN_RX_TCP6),
		.udp6_csum = csum_value(want, NDIS_CAN_TX_UDP6, NDIS_CAN_RX_UDP6),
		.lso2_v4 = switch_value(want, NDIS_CAN_TSO4),
		.lso2_v6 = switch_value(want, NDIS_CAN_TSO6),
		.rsc_v4 = switch_value(want, NDIS_CAN_RSC4),
		.rsc_v6 = switch_value(want, NDIS_CAN_RSC6),
	};

	if (ndis_version < NDIS_VERSION_6_1)
		p.h = object_header(NDIS_OBJECT_DEFAULT, 1, NDIS_OFFLOAD_PARAMS_REV1);
	else if (ndis_version < NDIS_VERSION_6_30)
		p.h = object_header(NDIS_OBJECT_DEFAULT, 2, NDIS_OFFLOAD_PARAMS_REV2);
	return put(info, size, &p, p.h.size);
}

/** Change @p bit of *on as @p to says when it is supported. */
static void
turn(uint32_t *on, uint32_t supported, uint32_t bit, bool to)
{
	bit &= supported;
	*on = to ? *on | bit : *on & ~bit;
}

static void
apply_csum(uint8_t value, uint32_t supported, uint32_t tx, uint32_t rx, uint32_t *on)
{
	if (value < NDIS_OFFLOAD_OFF || value > NDIS_CSUM_TX_RX)
		return;
	turn(on, supported, tx, value == NDIS_CSUM_TX || value == NDIS_CSUM_TX_RX);
	turn(on, supported, rx, value == NDIS_CSUM_RX || value == NDIS_CSUM_TX_RX);
}

static void
apply_switch(uint8_t value, uint32_t supported, uint32_t bit, uint32_t *on)
{
	if (value == NDIS_OFFLOAD_OFF || value == NDIS_OFFLOAD_ON)
		turn(on, supported, bit, value == NDIS_OFFLOAD_ON);
}

uint32_t
ndis_apply_offload_params(const void *info, size_t length, uint32_t supported, uint32_t *on)
{
	struct ndis_offload_params p = {0};
	size_t min;

	if (length < NDIS_OFFLOAD_PARAMS_REV1)
		return RNDIS_STATUS_FAILURE;
	memcpy(&p.h, info, sizeof(p.h));
	/* Linux sends revision 3 with 22 bytes to hosts before NDIS 6.30 (spec/rndis.md §6). */
	min = p.h.revision >= 2 ? NDIS_OFFLOAD_PARAMS_REV2 : NDIS_OFFLOAD_PARAMS_REV1;
	if (p.h.type != NDIS_OBJECT_DEFAULT || p.h.revision < 1 || p.h.size < min)
		return RNDIS_STATUS_INVALID_DATA;
	if (p.h.size > length)
		return RNDIS_STATUS_FAILURE;
	memcpy(&p, info, p.h.size < sizeof(p) ? p.h.size : sizeof(p));
	if (p.lso1 == NDIS_OFFLOAD_ON)
		return RNDIS_STATUS_NOT_SUPPORTED;
	apply_csum(p.ip4_csum, supported, NDIS_CAN_TX_IP4, NDIS_CAN_RX_IP4, on);
	apply_csum(p.tcp4_csum, supported, NDIS_CAN_TX_TCP4, NDIS_CAN_RX_TCP4, on);
	apply_csum(p.udp4_csum, supported, NDIS_CAN_TX_UDP4, NDIS_CAN_RX_UDP4, on);
	apply_csum(p.tcp6_csum, supported, NDIS_CAN_TX_TCP6, NDIS_CAN_RX_TCP6, on);
	apply_csum(p.udp6_csum, supported, NDIS_CAN_TX_UDP6, NDIS_CAN_RX_UDP6, on);
	apply_switch(p.lso2_v4, supported, NDIS_CAN_TSO4, on);
	apply_switch(p.lso2_v6, supported, NDIS_CAN_TSO6, on);
	if (p.h.revision >= 3 && p.h.size >= NDIS_OFFLOAD_PARAMS_REV3_MIN) {
		apply_switch(p.rsc_v4, supported, NDIS_CAN_RSC4, on);
		apply_switch(p.rsc_v6, supported, NDIS_CAN_RSC6, on);
	}
	return RNDIS_STATUS_SUCCESS;
}

uint32_t
ndis_check_offload_encap(const void *info, size_t length)
{
	const uint32_t on = 1, off = 2, ethernet = 2, ethernet_header = 14;
	struct ndis_offload_encap e;

	if (length < sizeof(e))
		return RNDIS_STATUS_FAILURE;
	memcpy(&e, info, sizeof(e));
	if (e.h.type != NDIS_OBJECT_OFFLOAD_ENCAP || e.h.revision < 1 || e.h.size < sizeof(e))
		return RNDIS_STATUS_INVALID_DATA;
	if ((e.v4.enabled != on && e.v4.enabled != off) ||
		(e.v6.enabled != on && e.v6.enabled != off))
		return RNDIS_STATUS_NOT_SUPPORTED;
	if (e.v4.enabled == on && (e.v4.type != ethernet || e.v4.header_size != ethernet_header))
		return RNDIS_STATUS_NOT_SUPPORTED;
	if (e.v6.enabled == on && (e.v6.type != ethernet || e.v6.header_size != ethernet_header))
		return RNDIS_STATUS_NOT_SUPPORTED;
	return RNDIS_STATUS_SUCCESS;
}

/* ---- RSS ---- */

static struct ndis_object_header
rss_caps_header(uint32_t ndis_version)
{
	return ndis_version >= NDIS_VERSION_6_30
		       ? object_header(NDIS_OBJECT_RSS_CAPS, 2, NDIS_RSS_CAPS_REV2)
		       : object_header(NDIS_OBJECT_RSS_CAPS, 1, NDIS_RSS_CAPS_REV1);
}

int
ndis_build_rss_query(void *info, size_t size, uint32_t ndis_version)
{
	return put_query(info, size, rss_caps_header(ndis_version));
}

int
ndis_build_rss_caps(
	void *info, size_t size, uint32_t ndis_version, uint32_t cap_flags, uint32_t queues)
{
	const struct ndis_rss_caps c = {
		.h = rss_caps_header(ndis_version),
		.cap_flags = cap_flags,
		.interrupt_messages = 1,
		.receive_queues = queues,
		.table_entries = NDIS_RSS_TABLE_ENTRIES,
	};

	return put(info, size, &c, c.h.size);
}

int
ndis_parse_rss_caps(const void *info, size_t length, struct ndis_rss_caps *caps)
{
	if (take(info, length, NDIS_OBJECT_RSS_CAPS, NDIS_RSS_CAPS_REV1, caps, sizeof(*caps)) != 0)
		return -EBADMSG;
	if (caps->table_entries == 0)
		caps->table_entries = NDIS_RSS_TABLE_ENTRIES;
	return 0;
}

static int
put_rss_params(void *info, size_t size, uint16_t flags, uint32_t hash_info, const uint16_t *table,
	uint32_t entries, const uint8_t key[NDIS_RSS_KEY_SIZE])
{
	const uint32_t table_bytes = entries * (uint32_t)sizeof(uint32_t);
	const struct ndis_rss_params p = {
		.h = object_header(NDIS_OBJECT_RSS_PARAMS, 2, sizeof(p)),
		.flags = flags,
		.hash_info = hash_info,
		.table_size = (uint16_t)table_bytes,
		.table_offset = sizeof(p),
		.key_size = NDIS_RSS_KEY_SIZE,
		.key_offset = (uint32_t)sizeof(p) + table_bytes,
	};
	uint8_t *dst = info;

	if (entries > NDIS_RSS_TABLE_MAX || size < NDIS_RSS_PARAMS_BYTES(entries))
		return -ENOSPC;
	memcpy(dst, &p, sizeof(p));
	for (uint32_t i = 0; i < entries; i++) {
		const uint32_t channel = table[i];

		memcpy(dst + p.table_offset + i * sizeof(channel), &channel, sizeof(channel));
	}
	memcpy(dst + p.key_offset, key, NDIS_RSS_KEY_SIZE);
	return (int)NDIS_RSS_PARAMS_BYTES(entries);
}

int
ndis_build_rss_params(void *info, size_t size, uint32_t hash_info, const uint16_t *table,
	uint32_t entries, const uint8_t key[NDIS_RSS_KEY_SIZE])
{
	return put_rss_params(info, size, 0, hash_info, table, entries, key);
}

int
ndis_build_rss_disable(void *info, size_t size, const uint8_t key[NDIS_RSS_KEY_SIZE])
{
	static const uint16_t zero[NDIS_RSS_TABLE_ENTRIES];

	return put_rss_params(
		info, size, NDIS_RSS_FLAG_DISABLE, 0, zero, NDIS_RSS_TABLE_ENTRIES, key);
}

uint32_t
ndis_parse_rss_params(
	const void *info, size_t length, uint32_t max_queues, struct ndis_rss_config *config)
{
	struct ndis_rss_config c = {.enabled = true};
	uint32_t wire[NDIS_RSS_TABLE_MAX];
	const uint8_t *src = info;
	struct ndis_rss_params p;
	uint32_t entries, n;

	if (length < sizeof(p))
		return RNDIS_STATUS_FAILURE;
	memcpy(&p, info, sizeof(p));
	if ((p.flags & NDIS_RSS_FLAG_DISABLE) || (p.hash_info & NDIS_HASH_FUNCTION_MASK) == 0) {
		memset(config, 0, sizeof(*config));
		return RNDIS_STATUS_SUCCESS;
	}
	if (p.key_size != NDIS_RSS_KEY_SIZE || p.table_size == 0 ||
		p.table_size % sizeof(wire[0]) != 0 || p.table_size > sizeof(wire) ||
		p.table_offset > length || p.table_size > length - p.table_offset ||
		p.key_offset > length || p.key_size > length - p.key_offset)
		return RNDIS_STATUS_INVALID_DATA;
	c.entries = entries = p.table_size / sizeof(wire[0]);
	memcpy(wire, src + p.table_offset, p.table_size);
	n = entries <= NDIS_RSS_TABLE_ENTRIES ? NDIS_RSS_TABLE_ENTRIES : NDIS_RSS_TABLE_MAX;
	for (uint32_t i = 0; i < NDIS_RSS_TABLE_MAX; i++) {
		uint32_t channel = wire[i % n % entries];

		if (channel >= max_queues || channel > UINT16_MAX)
			return RNDIS_STATUS_INVALID_DATA;
		c.table[i] = (uint16_t)channel;
	}
	memcpy(c.key, src + p.key_offset, NDIS_RSS_KEY_SIZE);
	c.hash_info = p.hash_info;
	*config = c;
	return RNDIS_STATUS_SUCCESS;
}

/* ---- link, MAC ---- */

int
ndis_build_link_state(void *info, size_t size, bool up, uint64_t speed)
{
	const struct ndis_link_state s = {
		.h = object_header(NDIS_OBJECT_DEFAULT, 1, sizeof(s)),
		.state = up ? 1 : 2,
		.duplex = 2,
		.tx_speed = speed,
		.rx_speed = speed,
	};

	return put(info, size, &s, sizeof(s));
}

int
ndis_parse_link_state(const void *info, size_t length, bool *up, uint64_t *speed)
{
	struct ndis_link_state s;

	if (take(info, length, NDIS_OBJECT_DEFAULT, sizeof(s), &s, sizeof(s)) != 0)
		return -EBADMSG;
	*up = s.state == 1;
	*speed = s.rx_speed;
	return 0;
}

static const char mac_name[] = "NetworkAddress";
#define MAC_NAME_BYTES	((uint32_t)(sizeof(mac_name) - 1) * 2)
#define MAC_VALUE_BYTES 24u

static_assert(sizeof(struct ndis_config_parameter) + (sizeof(mac_name) - 1) * 2 + MAC_VALUE_BYTES ==
		      NDIS_CONFIG_MAC_INFO,
	"MAC parameter");

int
ndis_build_config_mac(void *info, size_t size, const uint8_t mac[6])
{
	static const char digits[] = "0123456789abcdef";
	const struct ndis_config_parameter p = {
		.name_offset = sizeof(p),
		.name_length = MAC_NAME_BYTES,
		.type = NDIS_CONFIG_STRING,
		.value_offset = (uint32_t)sizeof(p) + MAC_NAME_BYTES,
		.value_length = MAC_VALUE_BYTES,
	};
	uint8_t *dst = info;

	if (size < NDIS_CONFIG_MAC_INFO)
		return -ENOSPC;
	memset(dst, 0, NDIS_CONFIG_MAC_INFO);
	memcpy(dst, &p, sizeof(p));
	for (uint32_t i = 0; i < MAC_NAME_BYTES / 2; i++)
		dst[p.name_offset + 2 * i] = (uint8_t)mac_name[i];
	for (uint32_t i = 0; i < MAC_VALUE_BYTES / 2; i++)
		dst[p.value_offset + 2 * i] =
			(uint8_t)digits[i % 2 == 0 ? mac[i / 2] >> 4 : mac[i / 2] & 0xf];
	return NDIS_CONFIG_MAC_INFO;
}

/** Value of a hexadecimal digit, or -1. */
static int
hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

uint32_t
ndis_parse_config_mac(const void *info, size_t length, uint8_t mac[6])
{
	struct ndis_config_parameter p;
	const uint8_t *src = info;
	uint8_t out[6] = {0};
	uint8_t any = 0;

	if (length < sizeof(p))
		return RNDIS_STATUS_FAILURE;
	memcpy(&p, info, sizeof(p));
	if (p.name_offset > length || p.name_length > length - p.name_offset ||
		p.value_offset > length || p.value_length > length - p.value_offset)
		return RNDIS_STATUS_INVALID_DATA;
	if (p.name_length != MAC_NAME_BYTES)
		return RNDIS_STATUS_NOT_SUPPORTED;
	for (uint32_t i = 0; i < MAC_NAME_BYTES / 2; i++)
		if (src[p.name_offset + 2 * i] != (uint8_t)mac_name[i] ||
			src[p.name_offset + 2 * i + 1] != 0)
			return RNDIS_STATUS_NOT_SUPPORTED;
	if (p.type != NDIS_CONFIG_STRING || p.value_length != MAC_VALUE_BYTES)
		return RNDIS_STATUS_INVALID_DATA;
	for (uint32_t i = 0; i < MAC_VALUE_BYTES / 2; i++) {
		int digit = hex_digit(src[p.value_offset + 2 * i]);

		if (digit < 0 || src[p.value_offset + 2 * i + 1] != 0)
			return RNDIS_STATUS_INVALID_DATA;
		out[i / 2] = (uint8_t)(out[i / 2] << 4 | digit);
		any |= out[i / 2];
	}
	if (any == 0 || (out[0] & 1))
		return RNDIS_STATUS_INVALID_DATA;
	memcpy(mac, out, sizeof(out));
	return RNDIS_STATUS_SUCCESS;
}
