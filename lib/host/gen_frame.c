/* SPDX-License-Identifier: BSD-3-Clause */
/* Generated frames; the format is described in gen_frame.h. */
#include <stdbool.h>
#include <string.h>

#include "lib/host/crc32c.h"
#include "lib/host/gen_frame.h"

#define ETHERTYPE_IPV4 0x0800u
#define ETHERTYPE_VLAN 0x8100u
#define VLAN_TAG       4u

/* Where things are in a frame without a tag. */
#define AT_IP	       GEN_ETH_LEN
#define AT_IP_LENGTH   (AT_IP + 2)
#define AT_IP_PROTO    (AT_IP + 9)
#define AT_IP_CHECKSUM (AT_IP + 10)
#define AT_IP_FLOW     (AT_IP + 14)
#define AT_UDP	       (AT_IP + GEN_IP_LEN)
#define AT_UDP_LENGTH  (AT_UDP + 4)
#define AT_TAG	       GEN_HEADER_LEN
#define AT_CRC	       (AT_TAG + 14)
#define AT_FILL	       (AT_TAG + GEN_TAG_LEN)

/* The bytes of our header that the CRC covers. */
struct tag_bytes {
	uint16_t magic, stream, flow;
	uint16_t sequence[4];
};
#define TAG_COVERED 14u
_Static_assert(sizeof(struct tag_bytes) == TAG_COVERED, "tag");

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

/* A UDP checksum that somebody filled in (0 = none) must be right; @p head to the fill. */
static bool
udp_checksum_ok(const uint8_t *head, const uint8_t *fill, uint32_t fill_len)
{
	uint64_t sum = 17 + get16be(head + AT_UDP_LENGTH);
	uint32_t i;

	if (get16be(head + AT_UDP + 6) == 0)
		return true;
	for (i = AT_IP + 12; i < AT_FILL; i += 2)
		sum += get16be(head + i);
	for (i = 0; i + 1 < fill_len; i += 2)
		sum += get16be(fill + i);
	if (i < fill_len)
		sum += (uint32_t)fill[i] << 8;
	return sum_fold(sum) == 0xffff;
}

/* State of the CRC before the fill, over what forwarding leaves alone of ports, length and tag. */
static uint32_t
head_crc(uint32_t port_a, uint32_t port_b, uint32_t udp_len, const void *tag)
{
	/* The XOR of the ports survives their exchange. */
	return crc32c(~((port_a ^ port_b) << 16 | udp_len), tag, TAG_COVERED);
}

/* The frame's CRC: state @p crc, then @p len bytes of the pattern from @p at. */
static uint32_t
fill_crc(const struct gen_source *source, uint32_t crc, uint32_t at, uint32_t len)
{
	return ~(crc32c_skip(crc ^ source->crc[at], source->distance[len]) ^ source->crc[at + len]);
}

/* Another start for each frame, so that a stale buffer does not look like this one. */
static uint32_t
fill_start(uint64_t sequence)
{
	return sequence & 63;
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
	put16be(source->head + 12, ETHERTYPE_IPV4);
	memcpy(source->head + AT_IP, ip, sizeof(ip));
	source->ip_sum = ip_sum(ip);
	put16be(source->head + AT_UDP + 2, GEN_UDP_PORT);
	for (i = 0; i + 8 <= GEN_PATTERN_LEN; i += 8) {
		uint64_t word = gen_random(random);

		memcpy(source->pattern + i, &word, 8);
	}
	for (i = 0; i < GEN_PATTERN_LEN; i++)
		source->crc[i + 1] = crc32c(source->crc[i], source->pattern + i, 1);
	crc32c_distances(source->distance, GEN_FILL_MAX);
}

void
gen_frame_write(const struct gen_source *source, uint8_t *frame, uint32_t size, uint16_t flow,
	uint64_t sequence)
{
	uint32_t ip_len = size - GEN_ETH_LEN, udp_len = ip_len - GEN_IP_LEN, port, crc;
	uint32_t at = fill_start(sequence), fill = size - AT_FILL;
	struct tag_bytes tag = {.magic = GEN_MAGIC, .stream = source->stream, .flow = flow};
	uint16_t checksum = (uint16_t)~sum_fold(
		source->ip_sum + __builtin_bswap16((uint16_t)ip_len) + __builtin_bswap16(flow));

	memcpy(tag.sequence, &sequence, sizeof(sequence));
	port = 1024u + flow % 32768u;
	memcpy(frame, source->head, sizeof(source->head));
	put16be(frame + AT_IP_LENGTH, ip_len);
	memcpy(frame + AT_IP_CHECKSUM, &checksum, 2);
	put16be(frame + AT_IP_FLOW, flow);
	put16be(frame + AT_UDP, port);
	put16be(frame + AT_UDP_LENGTH, udp_len);
	memcpy(frame + AT_TAG, &tag, sizeof(tag));
	crc = fill_crc(source, head_crc(port, GEN_UDP_PORT, udp_len, &tag), at, fill);
	memcpy(frame + AT_CRC, &crc, 4);
	memcpy(frame + AT_FILL, source->pattern + at, fill);
}

/* ---- judging ---- */

/* Is the fill what the CRC in @p head says, or what @p source sent? */
static bool
fill_ok(const struct gen_source *source, const uint8_t *head, const struct gen_tag *tag,
	const uint8_t *fill, uint32_t fill_len)
{
	uint32_t crc, at = fill_start(tag->sequence);
	uint32_t state = head_crc(get16be(head + AT_UDP), get16be(head + AT_UDP + 2),
		get16be(head + AT_UDP_LENGTH), head + AT_TAG);

	memcpy(&crc, head + AT_CRC, 4);
	if (source != NULL && source->stream == tag->stream && fill_len <= GEN_FILL_MAX)
		return crc == fill_crc(source, state, at, fill_len) &&
		       memcmp(fill, source->pattern + at, fill_len) == 0;
	return crc == ~crc32c(state, fill, fill_len);
}

enum gen_verdict
gen_frame_check(
	const struct gen_source *source, const uint8_t *frame, uint32_t len, struct gen_tag *tag)
{
	uint8_t head[AT_FILL];
	struct tag_bytes t;
	uint32_t ip_len;

	if (len < AT_FILL)
		return GEN_FOREIGN;
	if (get16be(frame + 12) == ETHERTYPE_VLAN) {
		frame += VLAN_TAG;
		len -= VLAN_TAG;
		if (len < AT_FILL)
			return GEN_FOREIGN;
	}
	memcpy(head, frame, sizeof(head));
	memcpy(&t, head + AT_TAG, sizeof(t));
	if (get16be(head + 12) != ETHERTYPE_IPV4)
		return GEN_FOREIGN;
	/* Either mark makes it ours, so that damage to one of them shows as corruption. */
	if (t.magic != GEN_MAGIC && get16be(head + AT_UDP) != GEN_UDP_PORT &&
		get16be(head + AT_UDP + 2) != GEN_UDP_PORT)
		return GEN_FOREIGN;
	ip_len = len - GEN_ETH_LEN;
	if (t.magic != GEN_MAGIC || head[AT_IP] != 0x45 || head[AT_IP_PROTO] != 17 ||
		get16be(head + AT_IP_LENGTH) != ip_len ||
		get16be(head + AT_UDP_LENGTH) != ip_len - GEN_IP_LEN ||
		sum_fold(ip_sum(head + AT_IP)) != 0xffff)
		return GEN_CORRUPT;
	tag->stream = t.stream;
	tag->flow = t.flow;
	memcpy(&tag->sequence, t.sequence, sizeof(tag->sequence));
	return fill_ok(source, head, tag, frame + AT_FILL, len - AT_FILL) &&
			       udp_checksum_ok(head, frame + AT_FILL, len - AT_FILL)
		       ? GEN_INTACT
		       : GEN_CORRUPT;
}
