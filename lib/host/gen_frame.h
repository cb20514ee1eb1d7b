/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Generated frames: their format, writing and judging them. Plain ones are in gen_plain.h.
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

#define GEN_FRAME_MIN	   60u	 /**< smallest frame without FCS */
#define GEN_FRAME_MAX	   9014u /**< largest: 9000 bytes of IP */
#define GEN_FLOWS_MAX	   262144u
#define GEN_MAGIC	   0x5048u /**< "HP" */
#define GEN_MAGIC_TIME	   0x5448u /**< "HT": with a time */
#define GEN_UDP_PORT	   18512u  /**< destination port of every generated frame */
#define GEN_ETH_LEN	   14u
#define GEN_IP_LEN	   20u
#define GEN_IP6_LEN	   40u
#define GEN_UDP_LEN	   8u
#define GEN_TAG_LEN	   18u /**< our header at the start of the payload */
#define GEN_TIME_LEN	   8u
#define GEN_VLAN_LEN	   4u
#define GEN_ETHERTYPE_IPV4 0x0800u
#define GEN_ETHERTYPE_IPV6 0x86ddu
#define GEN_ETHERTYPE_VLAN 0x8100u
#define GEN_HEADER_LEN	   (GEN_ETH_LEN + GEN_IP_LEN + GEN_UDP_LEN)

#define GEN_ETHERTYPE_IPV4 0x0800u
#define GEN_ETHERTYPE_IPV6 0x86ddu
#define GEN_ETHERTYPE_VLAN 0x8100u

#define GEN_ETHERTYPE_IPV4 0x0800u
#define GEN_ETHERTYPE_IPV6 0x86ddu
#define GEN_ETHERTYPE_VLAN 0x8100u

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
 * A plain frame from the EtherType to the CRC, as six words: loaded and stored as such, for a copy
 * would be read back in other pieces than it was written, and that stalls.
 */
struct gen_words {
	uint64_t type_length;	/**< EtherType, IP: version, length, id */
	uint64_t proto_source;	/**< fragment, TTL, protocol, checksum, half of the source */
	uint64_t dest_port;	/**< other half, destination, UDP: source port */
	uint64_t udp_magic;	/**< destination port, length, checksum, our magic */
	uint64_t flow_sequence; /**< stream, flow, half of the sequence number */
	uint64_t sequence_crc;	/**< other half, CRC */
};

/**
 * What the frames of one generator have in common, made once: their headers, the pattern that
 * fills them, and what makes the CRC of any piece of it a matter of two look-ups.
 */
struct gen_source {
	uint16_t stream;
	uint8_t head[GEN_HEADER_LEN + GEN_TAG_LEN];
	struct gen_words words; /**< of a plain one; what differs is 0 */
	uint16_t ip_sum; /**< one's complement sum of the IP header, without length and flow */
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
 * Judge one frame that gen_frame_check() of gen_plain.h has found not to be plain.
 * @param all look at all bytes, not at the headers alone
 */
enum gen_verdict gen_frame_check_variant(const struct gen_source *source, const uint8_t *frame,
	uint32_t len, bool all, struct gen_tag *tag);

/** Is the UDP checksum right, with addresses from @p at and the UDP header from @p udp? */
bool gen_udp_checksum_ok(const uint8_t *frame, uint32_t len, uint32_t at, uint32_t udp);

#endif
