/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What a host NIC does to frames in software: checksum fill and verification, segmentation, VLAN
 * tags, and the input of the RSS hash (spec/rndis.md §4.1, §4.2, §7).
 *
 * Stateless; the caller owns all memory. Functions that take a *shared* frame read memory that the
 * guest may change meanwhile: they copy the headers once and bound everything by the copy.
 */
#ifndef HP_HOST_OFFLOAD_H
#define HP_HOST_OFFLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/host/port.h"

#define OFFLOAD_VLAN_TAG 4u
/** Headers are looked for in this many bytes of a shared frame. */
#define OFFLOAD_HEAD_MAX 128u

/** Where the headers of a frame are; offsets in bytes from the destination MAC. */
struct offload_headers {
	uint8_t ip;	 /**< 4, 6, or 0: not IP or broken */
	uint8_t proto;	 /**< 6 TCP, 17 UDP with a whole L4 header; else 0 (also fragments) */
	bool fragment;	 /**< IPv4 or IPv6 fragment */
	uint16_t l3, l4; /**< offsets; l4 is 0 when there is none */
	uint32_t l4_len; /**< bytes of L4 header and payload, by the IP header, inside the frame */
};

/**
 * Find IP, TCP and UDP headers.
 * @param head   private copy of the first @p head_len bytes
 * @param len    bytes of the whole frame, >= @p head_len
 */
void offload_parse(
	const uint8_t *head, uint32_t head_len, uint32_t len, struct offload_headers *headers);

/** What a guest asks for one frame it sends. */
struct offload_checksum {
	bool ipv4, ipv6, ip_header, tcp, udp;
	uint16_t l4_offset; /**< from the frame start; 0 = right after minimal headers */
};

/**
 * Fill checksums from zero, ignoring the guest's partial sums. UDP 0 becomes 0xffff.
 * @param frame private memory, @p len bytes
 * @return 0, or -EINVAL when the headers asked for are not inside the frame
 */
int offload_fill(uint8_t *frame, uint32_t len, const struct offload_checksum *ask);
/** The same, but that who takes the frame fills the L4 checksum: what is @p left to do. */
int offload_leave(uint8_t *frame, uint32_t len, const struct offload_checksum *ask,
	struct host_frame_work *left);

/**
 * Fill the checksum that @p work left. Of a shared frame: only the sum depends on what it holds.
 * @return 0, or -EINVAL when the place is not inside the frame; then nothing is written
 */
int offload_finish(uint8_t *frame, uint32_t len, const struct host_frame_work *work);

/** Segmentation of one large TCP frame; fields are private. */
struct offload_lso {
	const uint8_t *frame;
	uint32_t header, payload, mss, done;
	uint16_t l3, l4, first_id, ethertype;
	bool ipv6;
	uint32_t seq;
};

/**
 * Start to cut @p frame (private memory) into segments of @p mss payload bytes.
 * @param tcp_offset from the frame start; 0 = right after minimal headers
 * @return 0, or -EINVAL: not the TCP frame that was announced
 */
int offload_lso_begin(struct offload_lso *lso, const uint8_t *frame, uint32_t len, uint32_t mss,
	uint32_t tcp_offset, bool ipv6);
/**
 * Are the headers what a strict host takes for segmentation (spec/rndis.md §4.1)? The EtherType is
 * the announced version's, TCP follows it at the announced place and is no fragment, there is more
 * than one segment, and none is longer than the guest's MTU.
 * @param max_frame bytes of the longest frame without a tag
 */
bool offload_lso_sane(const struct offload_lso *lso, uint32_t max_frame);
/** Bytes of the next segment, 0 when all are out. */
uint32_t offload_lso_next_len(const struct offload_lso *lso);
/** Write the next segment to @p out, which has offload_lso_next_len() bytes. */
void offload_lso_next(struct offload_lso *lso, uint8_t *out);

/** The same with the TCP checksum left to who takes the segment. @p out may be shared. */
void offload_lso_next_unfilled(struct offload_lso *lso, uint8_t *out, struct host_frame_work *left);
/**
 * Instead of cutting: finish @p frame, the one that was given to offload_lso_begin(), so that who
 * takes it can cut it.
 * @return 0 and what is left to do, or -EINVAL: too long to have a length
 */
int offload_lso_whole(const struct offload_lso *lso, uint8_t *frame, struct host_frame_work *left);

/** Which receive checksums the guest wants verified. */
struct offload_verify {
	bool ip4, tcp4, udp4, tcp6, udp6;
};

/**
 * Verify a shared frame.
 * @param head private copy of its first min(@p len, OFFLOAD_HEAD_MAX) bytes
 * @return the receive checksum word of spec/rndis.md §4.2; 0 = nothing known
 */
uint32_t offload_verify(const struct offload_headers *headers, const uint8_t *head,
	const uint8_t *frame, const struct offload_verify *want);

/**
 * Make a verified frame look as one of a guest on the same host: nobody has filled in what nobody
 * would check, so that the IPv4 header's checksum is 0 and TCP's is the sum of the pseudo header.
 * @param head  private copy of the first bytes of @p frame, changed as well
 * @param word  what offload_verify() said
 * @return @p word with the bits for values that are not in the frame
 */
uint32_t offload_unfill(
	const struct offload_headers *headers, uint8_t *head, uint8_t *frame, uint32_t word);

/**
 * Choose the RSS hash input of a frame.
 * @param hash_info hash types enabled by the guest (spec/rndis.md §7)
 * @param udp4_as_tcp hash UDP/IPv4 four-tuples under the TCP_IPV4 type, as hosts since Windows 10
 * @param input     at least 36 bytes: addresses, then ports, network order
 * @param type      the hash type used
 * @return bytes of @p input, 0 when the frame is not hashed
 */
uint32_t offload_hash_input(const struct offload_headers *headers, const uint8_t *head,
	uint32_t hash_info, bool udp4_as_tcp, uint8_t input[36], uint32_t *type);

#endif
