/* SPDX-License-Identifier: BSD-3-Clause */
/* What generators share, and frames that are not plain; the format is in gen_frame.h. */
#include <string.h>

#include "lib/host/gen_plain.h"

#define VLAN_TAG    GEN_VLAN_LEN
#define IPPROTO_UDP 17u

/* Where things are in a frame without a tag. */
#define AT_IP	       GEN_ETH_LEN
#define AT_IP_LENGTH   (AT_IP + 2)
#define AT_IP_PROTO    (AT_IP + 9)
#define AT_IP_CHECKSUM (AT_IP + 10)
#define AT_IP_FLOW     (AT_IP + 14)
#define AT_UDP	       GEN_AT_UDP
#define AT_FILL	       GEN_AT_FILL

/* Bytes of our header that the CRC covers. */
#define TAG_COVERED 14u

static void
put16be(uint8_t *p, uint32_t v)
{
	uint16_t be = __builtin_bswap16((uint16_t)v);

	memcpy(p, &be, 2);
}

static uint32_t
get16be(const uint8_t *p)
{
	uint16_t be;

	memcpy(&be, p, 2);
	return __builtin_bswap16(be);
}

uint64_t
gen_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* ---- checksums ---- */

/* One's complement sum of an IP header in memory order (RFC 1071). */
static uint64_t
ip_sum(const uint8_t *ip)
{
	uint64_t sum = 0;
	uint32_t word;

	for (unsigned int i = 0; i < GEN_IP_LEN; i += 4) {
		memcpy(&word, ip + i, 4);
		sum += word;
	}
	return sum;
}

static uint16_t
sum_fold(uint64_t sum)
{
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

bool
gen_udp_checksum_ok(const uint8_t *frame, uint32_t len, uint32_t at, uint32_t udp)
{
	uint64_t sum = IPPROTO_UDP + len - udp;
	uint32_t i;

	for (i = at; i + 1 < len; i += 2)
		sum += get16be(frame + i);
	if (i < len)
		sum += (uint32_t)frame[i] << 8;
	return sum_fold(sum) == 0xffff;
}

/* State of the CRC before time and fill. */
static uint32_t
head_crc(uint32_t port_a, uint32_t port_b, uint32_t udp_len, const void *tag)
{
	return crc32c(gen_ports_crc(port_a ^ port_b, udp_len), tag, TAG_COVERED);
}

/* ---- writing ---- */

void
gen_source_init(struct gen_source *source, const uint8_t dst[6], const uint8_t src[6],
	uint16_t stream, uint64_t *random)
{
	/* 198.18.0.0/15 is the range for benchmarks (RFC 2544); the flow is in the source. */
	static const uint8_t ip[GEN_IP_LEN] = {
		0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0, 198, 19, 0, 0, 198, 18, 0, 2};
	uint32_t i;

	memset(source, 0, sizeof(*source));
	source->stream = stream;
	memcpy(source->head, dst, 6);
	memcpy(source->head + 6, src, 6);
	put16be(source->head + 12, GEN_ETHERTYPE_IPV4);
	memcpy(source->head + AT_IP, ip, sizeof(ip));
	source->ip_sum = sum_fold(ip_sum(ip));
	put16be(source->head + AT_UDP + 2, GEN_UDP_PORT);
	memcpy(&source->words, source->head + GEN_AT_WORDS, sizeof(source->words));
	source->words.udp_magic |= (uint64_t)GEN_MAGIC << 48;
	source->words.flow_sequence = stream;
	for (i = 0; i + 8 <= GEN_PATTERN_LEN; i += 8) {
		uint64_t word = gen_random(random);

		memcpy(source->pattern + i, &word, 8);
	}
	for (i = 0; i < GEN_PATTERN_LEN; i++)
		source->crc[i + 1] = crc32c(source->crc[i], source->pattern + i, 1);
	crc32c_distances(source->distance, GEN_FILL_MAX);
	for (i = 0; i < GEN_PATTERN_LEN; i++)
		source->sum[i + 1] = source->sum[i] + ((uint32_t)source->pattern[i] << 8 * (i & 1));
}

/* ---- variants ---- */

/* Where things are in a frame whose VLAN tag is cut off. */
struct layout {
	uint32_t udp, tag, fill;
};

static struct layout
layout_of(bool ipv6, bool timed)
{
	uint32_t udp = GEN_ETH_LEN + (ipv6 ? GEN_IP6_LEN : GEN_IP_LEN), tag = udp + GEN_UDP_LEN;

	return (struct layout){udp, tag, tag + GEN_TAG_LEN + (timed ? GEN_TIME_LEN : 0)};
}

uint32_t
gen_frame_min(const struct gen_variant *variant)
{
	uint32_t fill = layout_of(variant->ipv6, variant->timed).fill;

	return fill > GEN_FRAME_MIN ? fill : GEN_FRAME_MIN;
}

/* One's complement sum in memory order of an even number of bytes. */
static uint64_t
sum_bytes(const uint8_t *p, uint32_t len)
{
	uint64_t sum = 0;
	uint16_t word;

	for (; len >= 2; len -= 2, p += 2) {
		memcpy(&word, p, 2);
		sum += word;
	}
	return sum;
}

/* UDP's checksum over IPv6 (RFC 8200 §8.1); its field is still 0. */
static uint16_t
udp6_checksum(const struct gen_source *source, const uint8_t *frame, const struct layout *at,
	uint32_t start, uint32_t size)
{
	/* The pattern's sums are of words that begin at its even bytes. */
	uint16_t sum = sum_fold(source->sum[start + size - at->fill] - source->sum[start]);

	if (start & 1)
		sum = __builtin_bswap16(sum);
	sum = (uint16_t)~sum_fold(sum + sum_bytes(frame + AT_IP + 8, at->fill - AT_IP - 8) +
				  __builtin_bswap16((uint16_t)(size - at->udp)) +
				  __builtin_bswap16(IPPROTO_UDP));
	return sum != 0 ? sum : 0xffff;
}

/* The IP header but for the checksum; the flow is in the source address. */
static void
write_ip6(uint8_t *ip, uint32_t payload, uint32_t flow)
{
	/* 2001:2::/48 is the range for benchmarks (RFC 5180). */
	static const uint8_t head[GEN_IP6_LEN] = {0x60, 0, 0, 0, 0, 0, IPPROTO_UDP, 64, 0x20, 0x01,
		0, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0x01, 0, 0x02, 0, 0, 0, 1, 0, 0,
		0, 0, 0, 0, 0, 2};

	memcpy(ip, head, sizeof(head));
	put16be(ip + 4, payload);
	put16be(ip + 20, flow >> 16);
	put16be(ip + 22, flow);
}

void
gen_frame_write_variant(const struct gen_source *source, const struct gen_variant *variant,
	uint8_t *frame, uint32_t size, uint32_t flow, uint64_t sequence, uint64_t time)
{
	const struct layout at = layout_of(variant->ipv6, variant->timed);
	uint32_t udp_len = size - at.udp, start = gen_fill_start(sequence), fill = size - at.fill;
	/* Flows that differ in their high bits alone have other ports. */
	uint32_t port = 1024u + flow % 32768u + (flow >> 16), crc;
	const uint64_t tag[2] = {(variant->timed ? GEN_MAGIC_TIME : GEN_MAGIC) |
					 (uint64_t)(uint16_t)(source->stream + (flow >> 16)) << 16 |
					 (uint64_t)(uint16_t)flow << 32 | sequence << 48,
		sequence >> 16};
	uint16_t checksum;

	memcpy(frame, source->head, 12);
	if (variant->vlan != 0) {
		put16be(frame + 12, GEN_ETHERTYPE_VLAN);
		put16be(frame + 14, variant->vlan);
		frame += VLAN_TAG; /* its first bytes are never looked at again */
	}
	put16be(frame + 12, variant->ipv6 ? GEN_ETHERTYPE_IPV6 : GEN_ETHERTYPE_IPV4);
	if (variant->ipv6) {
		write_ip6(frame + AT_IP, udp_len, flow);
	} else {
		memcpy(frame + AT_IP, source->head + AT_IP, GEN_IP_LEN);
		put16be(frame + AT_IP_LENGTH, size - GEN_ETH_LEN);
		put16be(frame + AT_IP_FLOW, flow);
		checksum = (uint16_t)~sum_fold(ip_sum(frame + AT_IP));
		memcpy(frame + AT_IP_CHECKSUM, &checksum, 2);
	}
	put16be(frame + at.udp, port);
	put16be(frame + at.udp + 2, GEN_UDP_PORT);
	put16be(frame + at.udp + 4, udp_len);
	memset(frame + at.udp + 6, 0, 2);
	memcpy(frame + at.tag, tag, TAG_COVERED);
	crc = head_crc(port, GEN_UDP_PORT, udp_len, tag);
	if (variant->timed) {
		memcpy(frame + at.tag + GEN_TAG_LEN, &time, GEN_TIME_LEN);
		crc = crc32c(crc, &time, GEN_TIME_LEN);
	}
	crc = gen_fill_crc(source, crc, start, fill, source->distance[fill]);
	memcpy(frame + at.tag + TAG_COVERED, &crc, 4);
	memcpy(frame + at.fill, source->pattern + start, fill);
	if (variant->ipv6) {
		checksum = udp6_checksum(source, frame, &at, start, size);
		memcpy(frame + at.udp + 6, &checksum, 2);
	}
}

enum gen_verdict
gen_frame_check_variant(const struct gen_source *source, const uint8_t *frame, uint32_t len,
	bool all, struct gen_tag *tag)
{
	bool ipv6 = len >= AT_FILL && get16be(frame + 12) == GEN_ETHERTYPE_IPV6, timed, good;
	struct layout at = layout_of(ipv6, false);
	uint32_t port_a, port_b, udp_len, crc, state, start, fill;
	uint16_t magic, checksum;

	if (len < at.fill || (!ipv6 && get16be(frame + 12) != GEN_ETHERTYPE_IPV4))
		return GEN_FOREIGN;
	memcpy(&magic, frame + at.tag, 2);
	timed = magic == GEN_MAGIC_TIME;
	port_a = get16be(frame + at.udp);
	port_b = get16be(frame + at.udp + 2);
	udp_len = get16be(frame + at.udp + 4);
	if (!ipv6 && !timed)
		return GEN_FOREIGN;
	if (!timed && magic != GEN_MAGIC && port_a != GEN_UDP_PORT && port_b != GEN_UDP_PORT)
		return GEN_FOREIGN;
	good = (timed || magic == GEN_MAGIC) && udp_len == len - at.udp;
	if (ipv6)
		good = good && frame[AT_IP] >> 4 == 6 && frame[AT_IP + 6] == IPPROTO_UDP &&
		       get16be(frame + AT_IP + 4) == udp_len;
	else
		good = good && frame[AT_IP] == 0x45 && frame[AT_IP_PROTO] == IPPROTO_UDP &&
		       get16be(frame + AT_IP_LENGTH) == len - GEN_ETH_LEN &&
		       sum_fold(ip_sum(frame + AT_IP)) == 0xffff;
	at = layout_of(ipv6, timed);
	if (!good || len < at.fill)
		return GEN_CORRUPT;
	memcpy(&tag->stream, frame + at.tag + 2, 2);
	memcpy(&tag->flow, frame + at.tag + 4, 2);
	memcpy(&tag->sequence, frame + at.tag + 6, 8);
	if (timed)
		memcpy(&tag->time, frame + at.tag + GEN_TAG_LEN, GEN_TIME_LEN);
	if (!all)
		return timed ? GEN_TIMED : GEN_INTACT;
	memcpy(&crc, frame + at.tag + TAG_COVERED, 4);
	memcpy(&checksum, frame + at.udp + 6, 2);
	state = head_crc(port_a, port_b, udp_len, frame + at.tag);
	if (timed)
		state = crc32c(state, frame + at.tag + GEN_TAG_LEN, GEN_TIME_LEN);
	start = gen_fill_start(tag->sequence);
	fill = len - at.fill;
	if (source != NULL && gen_source_owns(source, tag->stream) && fill <= GEN_FILL_MAX)
		good = crc == gen_fill_crc(source, state, start, fill, source->distance[fill]) &&
		       memcmp(frame + at.fill, source->pattern + start, fill) == 0;
	else
		good = crc == ~crc32c(state, frame + at.fill, fill);
	/* 0 is none, over IPv4. */
	if (good && (ipv6 || checksum != 0))
		good = checksum != 0 &&
		       gen_udp_checksum_ok(frame, len, ipv6 ? AT_IP + 8 : AT_IP + 12, at.udp);
	return good ? timed ? GEN_TIMED : GEN_INTACT : GEN_CORRUPT;
}
