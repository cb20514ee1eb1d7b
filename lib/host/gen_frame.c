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

/* Is the UDP checksum of a frame of @p len bytes right? */
static bool
udp_checksum_ok(const uint8_t *frame, uint32_t len)
{
	uint64_t sum = 17 + len - AT_UDP;
	uint32_t i;

	for (i = AT_IP + 12; i + 1 < len; i += 2)
		sum += get16be(frame + i);
	if (i < len)
		sum += (uint32_t)frame[i] << 8;
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
	/* As words, so that nothing is read back in other pieces than it was written. */
	const uint64_t tag[2] = {
		GEN_MAGIC | (uint32_t)source->stream << 16 | (uint64_t)flow << 32 | sequence << 48,
		sequence >> 16};
	uint16_t checksum = (uint16_t)~sum_fold(
		source->ip_sum + __builtin_bswap16((uint16_t)ip_len) + __builtin_bswap16(flow));

	port = 1024u + flow % 32768u;
	memcpy(frame, source->head, sizeof(source->head));
	put16be(frame + AT_IP_LENGTH, ip_len);
	memcpy(frame + AT_IP_CHECKSUM, &checksum, 2);
	put16be(frame + AT_IP_FLOW, flow);
	put16be(frame + AT_UDP, port);
	put16be(frame + AT_UDP_LENGTH, udp_len);
	memcpy(frame + AT_TAG, tag, sizeof(tag)); /* and two bytes of the CRC's place */
	crc = fill_crc(source, head_crc(port, GEN_UDP_PORT, udp_len, tag), at, fill);
	memcpy(frame + AT_CRC, &crc, 4);
	memcpy(frame + AT_FILL, source->pattern + at, fill);
}

/* ---- judging ---- */

/*
 * The header from the EtherType to the CRC, as six words: loaded from the frame itself, for a copy
 * of it would be read back in other pieces than it was written, and that stalls.
 */
struct words {
	uint64_t type_length;	/* EtherType, IP: version, length, id */
	uint64_t proto_source;	/* fragment, TTL, protocol, checksum, half of the source */
	uint64_t dest_port;	/* other half, destination, UDP: source port */
	uint64_t udp_magic;	/* destination port, length, checksum, our magic */
	uint64_t flow_sequence; /* stream, flow, half of the sequence number */
	uint64_t sequence_crc;	/* other half, CRC */
};
#define AT_WORDS 12u

/* 16 bits that begin at byte @p at of a word, in memory order or big-endian. */
#define HALF(word, at)	  ((uint16_t)((word) >> 8 * (at)))
#define HALF_BE(word, at) ((uint32_t)__builtin_bswap16(HALF(word, at)))

/* One's complement sum of the IP header, but for its first bytes all that lies in three words. */
static uint64_t
words_ip_sum(const struct words *w)
{
	return (uint32_t)(w->type_length >> 16) + (w->type_length >> 48) +
	       (uint32_t)w->proto_source + (w->proto_source >> 32) + (uint32_t)w->dest_port +
	       HALF(w->dest_port, 4);
}

/* Is the fill what the CRC says, or what @p source sent? */
static bool
fill_ok(const struct gen_source *source, const struct words *w, const struct gen_tag *tag,
	const uint8_t *frame, uint32_t len)
{
	uint32_t crc = (uint32_t)(w->sequence_crc >> 32), at = fill_start(tag->sequence);
	uint32_t fill_len = len - AT_FILL;
	uint32_t state = head_crc(HALF_BE(w->dest_port, 6), HALF_BE(w->udp_magic, 0),
		HALF_BE(w->udp_magic, 2), frame + AT_TAG);

	if (source != NULL && source->stream == tag->stream && fill_len <= GEN_FILL_MAX)
		return crc == fill_crc(source, state, at, fill_len) &&
		       memcmp(frame + AT_FILL, source->pattern + at, fill_len) == 0;
	return crc == ~crc32c(state, frame + AT_FILL, fill_len);
}

/* Judge the headers; @p w and @p tag are filled in when they are right, a VLAN tag is cut off. */
static inline enum gen_verdict
head_check(const uint8_t **frame, uint32_t *len, struct words *w, struct gen_tag *tag)
{
	uint32_t ip_len;
	bool magic;

	if (*len >= AT_FILL + VLAN_TAG && get16be(*frame + 12) == ETHERTYPE_VLAN) {
		*frame += VLAN_TAG;
		*len -= VLAN_TAG;
	}
	if (*len < AT_FILL)
		return GEN_FOREIGN;
	memcpy(w, *frame + AT_WORDS, sizeof(*w));
	magic = HALF(w->udp_magic, 6) == GEN_MAGIC;
	if (HALF_BE(w->type_length, 0) != ETHERTYPE_IPV4)
		return GEN_FOREIGN;
	/* Either mark makes it ours, so that damage to one of them shows as corruption. */
	if (!magic && HALF_BE(w->dest_port, 6) != GEN_UDP_PORT &&
		HALF_BE(w->udp_magic, 0) != GEN_UDP_PORT)
		return GEN_FOREIGN;
	ip_len = *len - GEN_ETH_LEN;
	if (!magic || (w->type_length >> 16 & 0xff) != 0x45 ||
		(w->proto_source >> 24 & 0xff) != 17 || HALF_BE(w->type_length, 4) != ip_len ||
		HALF_BE(w->udp_magic, 2) != ip_len - GEN_IP_LEN ||
		sum_fold(words_ip_sum(w)) != 0xffff)
		return GEN_CORRUPT;
	tag->stream = HALF(w->flow_sequence, 0);
	tag->flow = HALF(w->flow_sequence, 2);
	tag->sequence = w->flow_sequence >> 32 | w->sequence_crc << 32;
	return GEN_INTACT;
}

enum gen_verdict
gen_frame_check_head(const uint8_t *frame, uint32_t len, struct gen_tag *tag)
{
	struct words w;

	return head_check(&frame, &len, &w, tag);
}

enum gen_verdict
gen_frame_check(
	const struct gen_source *source, const uint8_t *frame, uint32_t len, struct gen_tag *tag)
{
	struct words w;
	enum gen_verdict verdict = head_check(&frame, &len, &w, tag);

	if (verdict != GEN_INTACT)
		return verdict;
	if (!fill_ok(source, &w, tag, frame, len))
		return GEN_CORRUPT;
	/* 0 is none; what somebody filled in must be right. */
	return HALF(w.udp_magic, 4) == 0 || udp_checksum_ok(frame, len) ? GEN_INTACT : GEN_CORRUPT;
}
