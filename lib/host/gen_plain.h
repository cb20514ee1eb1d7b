/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Plain generated frames (gen_frame.h): over IPv4, without a time, of a flow below 65,536; with a
 * VLAN tag they are judged, but not written. Inline, since each frame of a generator comes through
 * here on its way out and on its way back. Any thread, as gen_frame.h says.
 */
#ifndef HP_HOST_GEN_PLAIN_H
#define HP_HOST_GEN_PLAIN_H

#include <assert.h>
#include <string.h>

#include "lib/host/crc32c.h"
#include "lib/host/gen_frame.h"
#include "lib/vmbus/shared.h"

/* Where things are in a frame without a tag. */
#define GEN_AT_WORDS   12u
#define GEN_AT_ADDRESS (GEN_ETH_LEN + 12u)
#define GEN_AT_UDP     (GEN_ETH_LEN + GEN_IP_LEN)
#define GEN_AT_FILL    (GEN_HEADER_LEN + GEN_TAG_LEN)

static_assert(GEN_AT_WORDS + sizeof(struct gen_words) == GEN_AT_FILL, "words end at the fill");

/** 16 bits that begin at byte @p at of a word, in memory order or big-endian. */
#define GEN_HALF(word, at)    ((uint16_t)((word) >> 8 * (at)))
#define GEN_HALF_BE(word, at) ((uint32_t)__builtin_bswap16(GEN_HALF(word, at)))
/** A 16-bit number in network order at byte @p at of a word. */
#define GEN_PUT_BE(value, at) ((uint64_t)__builtin_bswap16((uint16_t)(value)) << 8 * (at))

/** Another start for each frame, so that a stale buffer does not look like this one. */
static inline uint32_t
gen_fill_start(uint64_t sequence)
{
	return sequence & 63;
}

/**
 * State of the CRC in front of our header: what forwarding leaves alone of ports and length. The
 * XOR of the @p ports survives their exchange.
 */
static inline uint32_t
gen_ports_crc(uint32_t ports, uint32_t udp_len)
{
	return ~(ports << 16 | udp_len);
}

/** State of the CRC before the fill of a plain frame; @p flow_sequence is the word. */
static inline uint32_t
gen_head_crc(uint32_t crc, uint64_t flow_sequence, uint64_t sequence)
{
	return crc32c_14(crc, flow_sequence << 16 | GEN_MAGIC, sequence >> 16);
}

/** The frame's CRC: state @p crc, then @p len bytes of the pattern from @p at, a @p distance. */
static inline uint32_t
gen_fill_crc(
	const struct gen_source *source, uint32_t crc, uint32_t at, uint32_t len, uint32_t distance)
{
	return ~(crc32c_skip(crc ^ source->crc[at], distance) ^ source->crc[at + len]);
}

/* A fill of 4 to 16 bytes is copied and compared for less than a call costs. */

static inline uint64_t
gen_load(const uint8_t *p, uint32_t len)
{
	uint64_t word = 0;

	memcpy(&word, p, len);
	return word;
}

static inline void
gen_fill_copy(uint8_t *to, const uint8_t *from, uint32_t len)
{
	if (len - 4 > 12) {
		memcpy(to, from, len);
	} else if (len >= 8) {
		memcpy(to, from, 8);
		memcpy(to + len - 8, from + len - 8, 8);
	} else {
		memcpy(to, from, 4);
		memcpy(to + len - 4, from + len - 4, 4);
	}
}

static inline bool
gen_fill_equal(const uint8_t *a, const uint8_t *b, uint32_t len)
{
	if (len - 4 > 12)
		return memcmp(a, b, len) == 0;
	if (len >= 8)
		return gen_load(a, 8) == gen_load(b, 8) &&
		       gen_load(a + len - 8, 8) == gen_load(b + len - 8, 8);
	return gen_load(a, 4) == gen_load(b, 4) &&
	       gen_load(a + len - 4, 4) == gen_load(b + len - 4, 4);
}

/** What the plain frames of one size have in common. */
struct gen_shape {
	uint32_t size, udp_len, fill;
	uint32_t ip_sum;   /**< of the header without the flow */
	uint32_t distance; /**< of the fill */
	struct gen_words words;
};

static inline struct gen_shape
gen_shape_of(const struct gen_source *source, uint32_t size)
{
	uint32_t ip_len = size - GEN_ETH_LEN, fill = size - GEN_AT_FILL;
	struct gen_shape shape = {
		.size = size,
		.udp_len = ip_len - GEN_IP_LEN,
		.fill = fill,
		.ip_sum = (uint32_t)(source->ip_sum + GEN_PUT_BE(ip_len, 0)),
		.distance = source->distance[fill],
		.words = source->words,
	};

	shape.words.type_length |= GEN_PUT_BE(ip_len, 4);
	shape.words.udp_magic |= GEN_PUT_BE(shape.udp_len, 2);
	return shape;
}

static inline void
gen_store(uint8_t *p, uint64_t word)
{
	memcpy(p, &word, sizeof(word));
}

/** Write one frame of shape->size bytes. */
static inline void
gen_shape_write(const struct gen_source *source, const struct gen_shape *shape, uint8_t *frame,
	uint16_t flow, uint64_t sequence)
{
	uint32_t port = 1024u + flow % 32768u, sum, crc, at = gen_fill_start(sequence);
	uint64_t flow_sequence = shape->words.flow_sequence | (uint64_t)flow << 16 | sequence << 32;

	sum = (uint32_t)(shape->ip_sum + GEN_PUT_BE(flow, 0));
	/* Three numbers of 16 bits: the second time there is nothing to carry. */
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	crc = gen_ports_crc(port ^ GEN_UDP_PORT, shape->udp_len);
	crc = gen_head_crc(crc, flow_sequence, sequence);
	crc = gen_fill_crc(source, crc, at, shape->fill, shape->distance);
	memcpy(frame, source->head, GEN_AT_WORDS);
	frame += GEN_AT_WORDS;
	gen_store(frame, shape->words.type_length);
	gen_store(frame + 8, shape->words.proto_source | (uint64_t)(~sum & 0xffff) << 32);
	gen_store(frame + 16, shape->words.dest_port | GEN_PUT_BE(flow, 0) | GEN_PUT_BE(port, 6));
	gen_store(frame + 24, shape->words.udp_magic);
	gen_store(frame + 32, flow_sequence);
	gen_store(frame + 40, sequence >> 32 | (uint64_t)crc << 32);
	gen_fill_copy(frame + sizeof(struct gen_words), source->pattern + at, shape->fill);
}

/**
 * Write one frame.
 * @param frame @p size bytes are written
 * @param size  GEN_FRAME_MIN..GEN_FRAME_MAX bytes, without FCS
 */
static inline void
gen_frame_write(const struct gen_source *source, uint8_t *frame, uint32_t size, uint16_t flow,
	uint64_t sequence)
{
	const struct gen_shape shape = gen_shape_of(source, size);

	gen_shape_write(source, &shape, frame, flow, sequence);
}

/* ---- judging ---- */

/** One's complement sum of the IP header, but for its first bytes all that lies in three words. */
static inline uint64_t
gen_ip_sum(const struct gen_words *w)
{
	return (uint32_t)(w->type_length >> 16) + (w->type_length >> 48) +
	       (uint32_t)w->proto_source + (w->proto_source >> 32) + (uint32_t)w->dest_port +
	       GEN_HALF(w->dest_port, 4);
}

/** Do EtherType, lengths and our mark say that it is a plain frame of @p len bytes? */
static inline bool
gen_is_plain(uint64_t type_length, uint64_t udp_magic, uint32_t len)
{
	const uint64_t type_mask = UINT64_C(0x0000ffff00ffffff);
	const uint64_t udp_mask = UINT64_C(0xffff0000ffff0000);
	uint32_t ip_len = len - GEN_ETH_LEN;

	return (type_length & type_mask) == (UINT64_C(0x450008) | GEN_PUT_BE(ip_len, 4)) &&
	       (udp_magic & udp_mask) ==
		       (GEN_PUT_BE(ip_len - GEN_IP_LEN, 2) | (uint64_t)GEN_MAGIC << 48);
}

/** What a frame is that is not, its tag cut off. */
static inline enum gen_verdict
gen_check_other(const struct gen_source *source, const uint8_t *frame, uint32_t len, bool all,
	uint64_t type_length, uint64_t udp_magic, struct gen_tag *tag)
{
	uint32_t type = GEN_HALF_BE(type_length, 0);
	uint16_t magic = GEN_HALF(udp_magic, 6);

	if (type == GEN_ETHERTYPE_IPV6 || (type == GEN_ETHERTYPE_IPV4 && magic == GEN_MAGIC_TIME))
		return gen_frame_check_variant(source, frame, len, all, tag);
	if (type != GEN_ETHERTYPE_IPV4)
		return GEN_FOREIGN;
	/* Any mark makes it ours, so that damage to one of them shows as corruption. */
	return magic == GEN_MAGIC || GEN_HALF_BE(udp_magic, 0) == GEN_UDP_PORT ||
			       GEN_HALF_BE(gen_load(frame + GEN_AT_UDP, 2), 0) == GEN_UDP_PORT
		       ? GEN_CORRUPT
		       : GEN_FOREIGN;
}

/** Is the fill what the CRC says, or what @p source sent? */
static inline bool
gen_fill_ok(const struct gen_source *source, const struct gen_words *w, const struct gen_tag *tag,
	const uint8_t *frame, uint32_t len)
{
	uint32_t crc = (uint32_t)(w->sequence_crc >> 32), at = gen_fill_start(tag->sequence);
	uint32_t fill = len - GEN_AT_FILL;
	uint32_t ports = GEN_HALF_BE(w->dest_port >> 48 ^ w->udp_magic, 0), state;

	state = gen_ports_crc(ports, len - GEN_AT_UDP);
	state = gen_head_crc(state, w->flow_sequence, tag->sequence);
	if (source != NULL && gen_source_owns(source, tag->stream) && fill <= GEN_FILL_MAX)
		return crc == gen_fill_crc(source, state, at, fill, source->distance[fill]) &&
		       gen_fill_equal(frame + GEN_AT_FILL, source->pattern + at, fill);
	return crc == ~crc32c(state, frame + GEN_AT_FILL, fill);
}

static inline enum gen_verdict
gen_check(const struct gen_source *source, const uint8_t *frame, uint32_t len, bool all,
	struct gen_tag *tag)
{
	const uint8_t *words;
	struct gen_words w;

	if (len >= GEN_AT_FILL + GEN_VLAN_LEN &&
		GEN_HALF_BE(gen_load(frame + 12, 2), 0) == GEN_ETHERTYPE_VLAN) {
		frame += GEN_VLAN_LEN;
		len -= GEN_VLAN_LEN;
	}
	if (len < GEN_AT_FILL)
		return GEN_FOREIGN;
	words = frame + GEN_AT_WORDS;
	w.type_length = vmbus_load64(words);
	w.udp_magic = vmbus_load64(words + offsetof(struct gen_words, udp_magic));
	if (!gen_is_plain(w.type_length, w.udp_magic, len))
		return gen_check_other(source, frame, len, all, w.type_length, w.udp_magic, tag);
	w.proto_source = vmbus_load64(words + offsetof(struct gen_words, proto_source));
	w.dest_port = vmbus_load64(words + offsetof(struct gen_words, dest_port));
	/* A sum of all ones is a multiple of 0xffff; it is not 0, with such a first word. */
	if ((w.proto_source >> 24 & 0xff) != 17 || gen_ip_sum(&w) % 0xffff != 0)
		return GEN_CORRUPT;
	w.flow_sequence = vmbus_load64(words + offsetof(struct gen_words, flow_sequence));
	w.sequence_crc = vmbus_load64(words + offsetof(struct gen_words, sequence_crc));
	tag->stream = GEN_HALF(w.flow_sequence, 0);
	tag->flow = GEN_HALF(w.flow_sequence, 2);
	tag->sequence = w.flow_sequence >> 32 | w.sequence_crc << 32;
	if (!all)
		return GEN_INTACT;
	if (!gen_fill_ok(source, &w, tag, frame, len))
		return GEN_CORRUPT;
	/* 0 is none; what somebody filled in must be right. */
	return GEN_HALF(w.udp_magic, 4) == 0 ||
			       gen_udp_checksum_ok(frame, len, GEN_AT_ADDRESS, GEN_AT_UDP)
		       ? GEN_INTACT
		       : GEN_CORRUPT;
}

/**
 * Judge one frame; fills in @p tag when it is intact.
 * @param source of the frames that are compared with what was sent, or NULL; those of others are
 *               judged by their CRC
 */
static inline enum gen_verdict
gen_frame_check(
	const struct gen_source *source, const uint8_t *frame, uint32_t len, struct gen_tag *tag)
{
	return gen_check(source, frame, len, true, tag);
}

/** The same by the frame's headers alone: nothing behind them is looked at, and no CRC. */
static inline enum gen_verdict
gen_frame_check_head(const uint8_t *frame, uint32_t len, struct gen_tag *tag)
{
	return gen_check(NULL, frame, len, false, tag);
}

#endif
