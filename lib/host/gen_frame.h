/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Generated frames: their format, writing and judging them.
 *
 * A frame is Ethernet, IPv4 without options, UDP with checksum 0, and a payload of at least 18
 * bytes (so that 60 bytes suffice; no FCS anywhere). Whoever forwards it may rewrite MAC
 * addresses, swap addresses and ports, decrement the TTL, fill in the UDP checksum or put a VLAN
 * tag in: it still verifies. Everything else is covered by the IP checksum or by a CRC32C.
 *
 * Payload, little-endian: 0 u16 magic, 2 u16 stream (which generator, and flows above 65,535: one
 * more for each 65,536), 4 u16 flow, 6 u64 sequence number within the flow from 0, 14 u32 CRC32C
 * over UDP ports (their XOR), UDP length, bytes 0..13 and 18.. of the payload; then the fill
 * pattern. Frames of another magic have a time before the fill: u64 nanoseconds of CLOCK_MONOTONIC.
 *
 * Over IPv6 there are no extension headers, and a UDP checksum, which is checked.
 *
 * Any thread, each on its own frames. A frame that is judged may lie in memory that its sender
 * still writes: nothing in it says how much of it is read.
 */
#ifndef HP_HOST_GEN_FRAME_H
#define HP_HOST_GEN_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GEN_FRAME_MIN  60u   /**< smallest frame without FCS */
#define GEN_FRAME_MAX  9014u /**< largest: 9000 bytes of IP */
#define GEN_FLOWS_MAX  262144u
#define GEN_MAGIC      0x5048u /**< "HP" */
#define GEN_MAGIC_TIME 0x5448u /**< "HT": with a time */
#define GEN_UDP_PORT   18512u  /**< destination port of every generated frame */
#define GEN_ETH_LEN    14u
#define GEN_IP_LEN     20u
#define GEN_IP6_LEN    40u
#define GEN_UDP_LEN    8u
#define GEN_TAG_LEN    18u /**< our header at the start of the payload */
#define GEN_TIME_LEN   8u
#define GEN_VLAN_LEN   4u
#define GEN_HEADER_LEN (GEN_ETH_LEN + GEN_IP_LEN + GEN_UDP_LEN)

/** What makes a frame besides its size. */
struct gen_tag {
	uint16_t stream, flow;
	uint64_t sequence;
	uint64_t time; /**< only of GEN_TIMED */
};

/** What a frame can have beyond a plain one. */
struct gen_variant {
	bool ipv6;
	bool timed;
	uint16_t vlan; /**< 0: no tag */
};

/** Most bytes behind our header, and those of the pattern that they are cut from. */
#define GEN_FILL_MAX	(GEN_FRAME_MAX - GEN_HEADER_LEN - GEN_TAG_LEN)
#define GEN_PATTERN_LEN (GEN_FRAME_MAX + 64u)

/**
 * What the frames of one generator have in common, made once: their headers, the pattern that
 * fills them, and what makes the CRC of any piece of it a matter of two look-ups.
 */
struct gen_source {
	uint16_t stream;
	uint8_t head[GEN_HEADER_LEN + GEN_TAG_LEN];
	uint64_t ip_sum; /**< one's complement sum of the IP header, without length and flow */
	uint8_t pattern[GEN_PATTERN_LEN];
	uint32_t crc[GEN_PATTERN_LEN + 1];   /**< state from 0 after so many bytes of it */
	uint32_t distance[GEN_FILL_MAX + 1]; /**< crc32c_distances() */
	uint32_t sum[GEN_PATTERN_LEN + 1];   /**< of 16-bit words in memory order, likewise */
};

/** Is a frame of this stream one of @p source's? Streams count the flows' high bits. */
static inline bool
gen_source_owns(const struct gen_source *source, uint16_t stream)
{
	return stream == source->stream ||
	       (uint16_t)(stream - source->stream) < GEN_FLOWS_MAX / 65536u;
}

/** Small seeded generator (splitmix64); the same seed gives the same sequence everywhere. */
uint64_t gen_random(uint64_t *state);

/** @param random state of gen_random(), from which the pattern is taken */
void gen_source_init(struct gen_source *source, const uint8_t dst[6], const uint8_t src[6],
	uint16_t stream, uint64_t *random);

/**
 * Write one frame.
 * @param frame @p size bytes are written
 * @param size  GEN_FRAME_MIN..GEN_FRAME_MAX bytes, without FCS
 */
void gen_frame_write(const struct gen_source *source, uint8_t *frame, uint32_t size, uint16_t flow,
	uint64_t sequence);

/** Smallest size of such a frame, without its VLAN tag. */
uint32_t gen_frame_min(const struct gen_variant *variant);

/**
 * Write one frame that is not plain, or of a flow above 65,535.
 * @param frame @p size bytes are written, and GEN_VLAN_LEN more with a tag
 * @param size  gen_frame_min()..GEN_FRAME_MAX
 * @param flow  below GEN_FLOWS_MAX
 * @param time  ignored unless @a timed
 */
void gen_frame_write_variant(const struct gen_source *source, const struct gen_variant *variant,
	uint8_t *frame, uint32_t size, uint32_t flow, uint64_t sequence, uint64_t time);

enum gen_verdict {
	GEN_FOREIGN, /**< not a generated frame at all */
	GEN_CORRUPT, /**< was one, but not every byte is right */
	GEN_INTACT,
	GEN_TIMED, /**< intact, and tells when it was sent */
};

/**
 * Judge one frame; fills in @p tag when it is intact.
 * @param source of the frames that are compared with what was sent, or NULL; those of others are
 *               judged by their CRC
 */
enum gen_verdict gen_frame_check(
	const struct gen_source *source, const uint8_t *frame, uint32_t len, struct gen_tag *tag);

/** The same by the frame's headers alone: nothing behind them is looked at, and no CRC. */
enum gen_verdict gen_frame_check_head(const uint8_t *frame, uint32_t len, struct gen_tag *tag);

#endif
