/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What RNDIS messages look like (spec/rndis.md): types, statuses, layouts, and words that are
 * fields. For those who build or parse messages: lib/netvsp/rndis.h.
 */
#ifndef HP_NETVSP_RNDIS_LAYOUT_H
#define HP_NETVSP_RNDIS_LAYOUT_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/netvsp/oid.h"

/** Message types (§2). A completion is its request with bit 31 set. */
enum rndis_type {
	RNDIS_TYPE_PACKET = 1,
	RNDIS_TYPE_INITIALIZE = 2,
	RNDIS_TYPE_HALT = 3,
	RNDIS_TYPE_QUERY = 4,
	RNDIS_TYPE_SET = 5,
	RNDIS_TYPE_RESET = 6,
	RNDIS_TYPE_INDICATE_STATUS = 7,
	RNDIS_TYPE_KEEPALIVE = 8,
};
#define RNDIS_TYPE_COMPLETION	    0x80000000u
#define RNDIS_TYPE_INITIALIZE_CMPLT (RNDIS_TYPE_COMPLETION | RNDIS_TYPE_INITIALIZE)
#define RNDIS_TYPE_QUERY_CMPLT	    (RNDIS_TYPE_COMPLETION | RNDIS_TYPE_QUERY)
#define RNDIS_TYPE_SET_CMPLT	    (RNDIS_TYPE_COMPLETION | RNDIS_TYPE_SET)
#define RNDIS_TYPE_RESET_CMPLT	    (RNDIS_TYPE_COMPLETION | RNDIS_TYPE_RESET)
#define RNDIS_TYPE_KEEPALIVE_CMPLT  (RNDIS_TYPE_COMPLETION | RNDIS_TYPE_KEEPALIVE)

/** What offset fields on the wire count from. */
#define RNDIS_OFFSET_BASE 8u
/** Largest control request we send or take (§1). */
#define RNDIS_MAX_REQUEST 4096u

struct rndis_header {
	uint32_t type;
	uint32_t length; /**< header included */
};

struct rndis_initialize {
	struct rndis_header h;
	uint32_t request_id;
	uint32_t major; /**< 1 */
	uint32_t minor; /**< 0 */
	uint32_t max_transfer_size;
};

struct rndis_initialize_complete {
	struct rndis_header h;
	uint32_t request_id;
	uint32_t status;
	uint32_t major;
	uint32_t minor;
	uint32_t device_flags; /**< 1 connectionless */
	uint32_t medium;       /**< 0 802.3 */
	uint32_t max_packets;
	uint32_t max_transfer_size;
	uint32_t alignment_factor; /**< alignment = 1 << factor */
	uint32_t af_list_offset;
	uint32_t af_list_size;
};

/** Some hosts leave out the last field: what a guest accepts (§2). */
#define RNDIS_INITIALIZE_CMPLT_MIN 48u

/** QUERY and SET; info follows, info_offset is always 20. */
struct rndis_request {
	struct rndis_header h;
	uint32_t request_id;
	uint32_t oid;
	uint32_t info_length;
	uint32_t info_offset;
	uint32_t vc_handle;
};

struct rndis_query_complete {
	struct rndis_header h;
	uint32_t request_id;
	uint32_t status;
	uint32_t info_length;
	uint32_t info_offset; /**< 16 */
};

/** HALT, KEEPALIVE and (reserved instead of the id) RESET. */
struct rndis_short_request {
	struct rndis_header h;
	uint32_t request_id;
};

/** SET_C and KEEPALIVE_C. */
struct rndis_short_complete {
	struct rndis_header h;
	uint32_t request_id;
	uint32_t status;
};

struct rndis_reset_complete {
	struct rndis_header h;
	uint32_t status;
	uint32_t addressing_reset;
};

struct rndis_indicate_status {
	struct rndis_header h;
	uint32_t status;
	uint32_t status_length;
	uint32_t status_offset; /**< 12, or 0 without a buffer */
};

/** PACKET (§4). */
struct rndis_packet {
	struct rndis_header h;
	uint32_t data_offset;
	uint32_t data_length;
	uint32_t oob_offset;
	uint32_t oob_length;
	uint32_t oob_count;
	uint32_t ppi_offset;
	uint32_t ppi_length;
	uint32_t vc_handle;
	uint32_t reserved;
};

/** One PPI; all known ones carry one word. */
struct rndis_ppi {
	uint32_t size;	 /**< 16 */
	uint32_t type;	 /**< enum rndis_ppi_type */
	uint32_t offset; /**< of the payload from the PPI's first byte: 12 */
	uint32_t value;
};

#define RNDIS_AT(s, field, at) static_assert(offsetof(struct s, field) == (at), #s "." #field)
static_assert(sizeof(struct rndis_initialize) == 24, "INITIALIZE");
static_assert(sizeof(struct rndis_initialize_complete) == 52, "INITIALIZE_C");
RNDIS_AT(rndis_initialize_complete, max_packets, 32);
RNDIS_AT(rndis_initialize_complete, max_transfer_size, 36);
RNDIS_AT(rndis_initialize_complete, alignment_factor, 40);
static_assert(sizeof(struct rndis_request) == 28, "QUERY, SET");
RNDIS_AT(rndis_request, info_offset, 20);
static_assert(sizeof(struct rndis_query_complete) == 24, "QUERY_C");
static_assert(sizeof(struct rndis_short_request) == 12, "HALT");
static_assert(sizeof(struct rndis_short_complete) == 16, "SET_C");
static_assert(sizeof(struct rndis_reset_complete) == 16, "RESET_C");
static_assert(sizeof(struct rndis_indicate_status) == 20, "INDICATE_STATUS");
static_assert(sizeof(struct rndis_packet) == 44, "PACKET");
RNDIS_AT(rndis_packet, data_offset, 8);
RNDIS_AT(rndis_packet, data_length, 12);
RNDIS_AT(rndis_packet, ppi_offset, 28);
RNDIS_AT(rndis_packet, ppi_length, 32);
RNDIS_AT(rndis_packet, reserved, 40);
static_assert(sizeof(struct rndis_ppi) == 16, "PPI");
#undef RNDIS_AT

/** PPI types (§4); bit 31 is the internal namespace. */
enum rndis_ppi_type {
	RNDIS_PPI_CHECKSUM = 0,
	RNDIS_PPI_LSO = 2,
	RNDIS_PPI_VLAN = 6,
	RNDIS_PPI_HASH_VALUE = 8,
	RNDIS_PPI_HASH_INFO = 9,
};
#define RNDIS_PPI_PACKET_ID 0x80000001u

#define RNDIS_PPI_HEADER     12u
#define RNDIS_MAX_PPI_LENGTH 256u
#define RNDIS_MAX_PPIS	     16u
#define RNDIS_MIN_FRAME	     14u
/** Longest frame made of fragments or taken for segmentation: IP's limit and a tagged header. */
#define RNDIS_MAX_BIG_FRAME (65535u + 18u)

/** Transmit checksum word (§4.1); bits 16-25 hold the L4 header's offset in the frame. */
#define RNDIS_TX_CSUM_IPV4    0x01u
#define RNDIS_TX_CSUM_IPV6    0x02u
#define RNDIS_TX_CSUM_TCP     0x04u
#define RNDIS_TX_CSUM_UDP     0x08u
#define RNDIS_TX_CSUM_IP_HDR  0x10u
#define RNDIS_L4_OFFSET_SHIFT 16
#define RNDIS_L4_OFFSET_MAX   0x3ffu

/** Receive checksum word (§4.2): another layout. */
#define RNDIS_RX_CSUM_TCP_FAILED	0x001u
#define RNDIS_RX_CSUM_UDP_FAILED	0x002u
#define RNDIS_RX_CSUM_IP_FAILED		0x004u
#define RNDIS_RX_CSUM_TCP_OK		0x008u
#define RNDIS_RX_CSUM_UDP_OK		0x010u
#define RNDIS_RX_CSUM_IP_OK		0x020u
#define RNDIS_RX_CSUM_LOOPBACK		0x040u
#define RNDIS_RX_CSUM_TCP_VALUE_INVALID 0x080u
#define RNDIS_RX_CSUM_IP_VALUE_INVALID	0x100u

/** Transmit checksum word. @param l4_offset bytes, <= RNDIS_L4_OFFSET_MAX; 0 = minimal headers */
static inline uint32_t
rndis_tx_csum(uint32_t flags, uint32_t l4_offset)
{
	return flags | (l4_offset & RNDIS_L4_OFFSET_MAX) << RNDIS_L4_OFFSET_SHIFT;
}

static inline uint32_t
rndis_tx_csum_l4_offset(uint32_t word)
{
	return word >> RNDIS_L4_OFFSET_SHIFT & RNDIS_L4_OFFSET_MAX;
}

/** LSOv2 word (§4.1): MSS in bits 0-19, TCP header offset in 20-29, bit 30 set, bit 31 IPv6. */
#define RNDIS_LSO_MSS_MASK 0xfffffu
#define RNDIS_LSO_V2	   0x40000000u
#define RNDIS_LSO_IPV6	   0x80000000u

static inline uint32_t
rndis_lso(uint32_t mss, uint32_t tcp_offset, bool ipv6)
{
	return (mss & RNDIS_LSO_MSS_MASK) | (tcp_offset & RNDIS_L4_OFFSET_MAX) << 20 |
	       RNDIS_LSO_V2 | (ipv6 ? RNDIS_LSO_IPV6 : 0);
}

static inline uint32_t
rndis_lso_mss(uint32_t word)
{
	return word & RNDIS_LSO_MSS_MASK;
}

static inline uint32_t
rndis_lso_tcp_offset(uint32_t word)
{
	return word >> 20 & RNDIS_L4_OFFSET_MAX;
}

/** 802.1Q word (§4): priority, CFI, id from bit 0 up, unlike the TCI. */
static inline uint32_t
rndis_vlan_from_tci(uint16_t tci)
{
	return (tci >> 13 & 7u) | (tci >> 12 & 1u) << 3 | (tci & 0xfffu) << 4;
}

static inline uint16_t
rndis_vlan_to_tci(uint32_t word)
{
	return (uint16_t)((word & 7u) << 13 | (word >> 3 & 1u) << 12 | (word >> 4 & 0xfffu));
}

/** Hash info word (§4.2): function in bits 0-7, the type used (NDIS_HASH_*) above. */
#define RNDIS_HASH_FUNCTION_MASK 0xffu
#define RNDIS_HASH_TYPE_MASK	 0xffff00u

/** Packet id word (§4.3): {version u8 = 1, flags u8, id u16}. */
#define RNDIS_PACKET_ID_VERSION 1u
#define RNDIS_RSC_MULTI		1u
#define RNDIS_RSC_FIRST		2u
#define RNDIS_RSC_LAST		4u

static inline uint32_t
rndis_packet_id(uint32_t flags, uint16_t id)
{
	return RNDIS_PACKET_ID_VERSION | (flags & 0xffu) << 8 | (uint32_t)id << 16;
}

static inline uint8_t
rndis_packet_id_flags(uint32_t word)
{
	return (uint8_t)(word >> 8);
}

static inline uint16_t
rndis_packet_id_number(uint32_t word)
{
	return (uint16_t)(word >> 16);
}

#endif
