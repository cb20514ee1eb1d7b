/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Generated frames: their format, and the verifier that tells what became of them.
 *
 * A frame is Ethernet, IPv4 without options, UDP with checksum 0, and a payload of at least 18
 * bytes (so that 60 bytes suffice; no FCS anywhere). Whoever forwards it may rewrite MAC
 * addresses, swap addresses and ports, decrement the TTL, fill in the UDP checksum or put a VLAN
 * tag in: it still verifies. Everything else is covered by the IP checksum or by a CRC32C.
 *
 * Payload, little-endian: 0 u16 magic, 2 u16 stream (which generator), 4 u16 flow, 6 u64 sequence
 * number within the flow from 0, 14 u32 CRC32C over UDP ports (their XOR), UDP length, bytes 0..13
 * and 18.. of the payload; then the fill pattern.
 *
 * A verifier belongs to one port and runs on its thread.
 */
#ifndef HP_HOST_VERIFY_H
#define HP_HOST_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/host/port.h"

#define GEN_FRAME_MIN  60u   /**< smallest frame without FCS */
#define GEN_FRAME_MAX  9014u /**< largest: 9000 bytes of IP */
#define GEN_FLOWS_MAX  65536u
#define GEN_MAGIC      0x5048u /**< "HP" */
#define GEN_UDP_PORT   18512u  /**< destination port of every generated frame */
#define GEN_ETH_LEN    14u
#define GEN_IP_LEN     20u
#define GEN_UDP_LEN    8u
#define GEN_TAG_LEN    18u /**< our header at the start of the payload */
#define GEN_HEADER_LEN (GEN_ETH_LEN + GEN_IP_LEN + GEN_UDP_LEN)

/** What makes a frame besides its size. */
struct gen_tag {
	uint16_t stream, flow;
	uint64_t sequence;
};

/** Bytes of fill pattern that gen_frame_write() needs. */
#define GEN_PATTERN_LEN (GEN_FRAME_MAX + 64u)

/** Small seeded generator (splitmix64); the same seed gives the same sequence everywhere. */
uint64_t gen_random(uint64_t *state);

/**
 * Write one frame.
 * @param frame   @p size bytes are written
 * @param size    GEN_FRAME_MIN..GEN_FRAME_MAX bytes, without FCS
 * @param pattern GEN_PATTERN_LEN bytes
 */
void gen_frame_write(uint8_t *frame, uint32_t size, const uint8_t dst[6], const uint8_t src[6],
	const struct gen_tag *tag, const uint8_t *pattern);

enum gen_verdict {
	GEN_FOREIGN, /**< not a generated frame at all */
	GEN_CORRUPT, /**< was one, but not every byte is right */
	GEN_INTACT,
};

/** Judge one frame; fills in @p tag when it is intact. */
enum gen_verdict gen_frame_check(const uint8_t *frame, uint32_t len, struct gen_tag *tag);

/** Sequence numbers of a flow that can be told apart when they come late. */
#define VERIFY_WINDOW 1024u

struct verifier;

/**
 * @param flows most flows (of all streams together) whose sequence numbers are followed; frames
 *              of further flows are checked for content only
 * @return NULL when out of memory
 */
struct verifier *verifier_create(uint32_t flows);
void verifier_destroy(struct verifier *v);

/**
 * Expect every flow of @p stream from sequence number 0, so that frames missing before the first
 * one seen count as lost. Flows of other streams start where they are first seen.
 */
void verifier_own_stream(struct verifier *v, uint16_t stream);

/** Judge one frame and count it. Intact and new frames count as verified. */
void verifier_frame(struct verifier *v, const uint8_t *frame, uint32_t len);

/**
 * Fill in verified, corrupt, lost, duplicate, reordered, foreign and verifies.
 * lost = gaps still open below the newest sequence number of each flow; what is late by more than
 * VERIFY_WINDOW counts as duplicate and leaves its gap open.
 */
void verifier_stats(const struct verifier *v, struct host_port_stats *stats);

#endif
