/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * NDIS objects that RNDIS queries and sets carry (spec/rndis.md §5.2, §6, §7): offloads, RSS, link
 * state, MAC configuration; layouts, builders and validators for both ends.
 * Nobody owns data here and nothing keeps state. Parsers work on private copies of an info buffer
 * (any alignment). Guest-side ones return a negative errno, host-side ones the RNDIS status to
 * answer with.
 */
#ifndef HP_NETVSP_NDIS_H
#define HP_NETVSP_NDIS_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/netvsp/oid.h"
#include "lib/netvsp/toeplitz.h"

/** NDIS versions, major << 16 | minor, as announced in NVSP (see nvsp_ndis_version()). */
#define NDIS_VERSION_6_1  0x00060001u
#define NDIS_VERSION_6_20 0x00060014u
#define NDIS_VERSION_6_30 0x0006001eu

struct ndis_object_header {
	uint8_t type;
	uint8_t revision;
	uint16_t size;
};

#define NDIS_OBJECT_DEFAULT	  0x80u /**< offload params, link state */
#define NDIS_OBJECT_RSS_CAPS	  0x88u
#define NDIS_OBJECT_RSS_PARAMS	  0x89u
#define NDIS_OBJECT_OFFLOAD	  0xa7u
#define NDIS_OBJECT_OFFLOAD_ENCAP 0xa8u

/** Offload capabilities (§6.1), revision 3; lower revisions are prefixes. */
struct ndis_offload_caps {
	struct ndis_object_header h;
	struct {
		uint32_t v4_tx_encap, v4_tx_flags, v4_rx_encap, v4_rx_flags;
		uint32_t v6_tx_encap, v6_tx_flags, v6_rx_encap, v6_rx_flags;
	} csum;
	struct {
		uint32_t encap, max_size, min_segments, options;
	} lso1;
	uint32_t ipsec1[7];
	struct {
		uint32_t v4_encap, v4_max_size, v4_min_segments;
		uint32_t v6_encap, v6_max_size, v6_min_segments, v6_options;
	} lso2;
	uint32_t flags;
	uint8_t ipsec2[32];
	uint8_t rsc_v4, rsc_v6;
	uint8_t pad[2];
	uint32_t nvgre;
	uint32_t nvgre_max_header;
};

#define NDIS_OFFLOAD_CAPS_REV1 112u
#define NDIS_OFFLOAD_CAPS_REV2 144u
#define NDIS_OFFLOAD_CAPS_REV3 156u

/** Offload parameters (§6.2), revision 3. */
struct ndis_offload_params {
	struct ndis_object_header h;
	uint8_t ip4_csum, tcp4_csum, udp4_csum, tcp6_csum, udp6_csum; /**< 0 no change, 1..4 */
	uint8_t lso1, ipsec1, lso2_v4, lso2_v6;			      /**< 0, 1 off, 2 on */
	uint8_t tcp_connection_v4, tcp_connection_v6, pad;
	uint32_t flags;
	uint8_t ipsec2, ipsec2_v4, rsc_v4, rsc_v6;
	uint8_t encap_task, encap_types;
	uint8_t pad2[2];
};

#define NDIS_OFFLOAD_PARAMS_REV1 20u
#define NDIS_OFFLOAD_PARAMS_REV2 22u
#define NDIS_OFFLOAD_PARAMS_REV3 28u
/** What a host needs to see RSC; the rest of revision 3 is optional. */
#define NDIS_OFFLOAD_PARAMS_REV3_MIN 26u

#define NDIS_OFFLOAD_NO_CHANGE 0u
#define NDIS_OFFLOAD_OFF       1u
#define NDIS_OFFLOAD_ON	       2u /**< LSO, RSC */
#define NDIS_CSUM_TX	       2u
#define NDIS_CSUM_RX	       3u
#define NDIS_CSUM_TX_RX	       4u

/** RSS capabilities (§7): 16 bytes in revision 1, 18 in revision 2. */
struct __attribute__((packed)) ndis_rss_caps {
	struct ndis_object_header h;
	uint32_t cap_flags; /**< NDIS_RSS_CAP_* */
	uint32_t interrupt_messages;
	uint32_t receive_queues;
	uint16_t table_entries;
};

#define NDIS_RSS_CAPS_REV1 16u
#define NDIS_RSS_CAPS_REV2 18u

#define NDIS_RSS_CAP_TOEPLITZ	 0x0001u
#define NDIS_RSS_CAP_TCP_IPV4	 0x0100u
#define NDIS_RSS_CAP_TCP_IPV6	 0x0200u
#define NDIS_RSS_CAP_TCP_IPV6_EX 0x0400u
#define NDIS_RSS_CAP_UDP_IPV4	 0x0800u
#define NDIS_RSS_CAP_UDP_IPV6	 0x1000u
#define NDIS_RSS_CAP_UDP_IPV6_EX 0x2000u

/** Hash function and types: RSS parameters, and the hash info PPI. */
#define NDIS_HASH_FUNCTION_MASK 0x000000ffu
#define NDIS_HASH_TOEPLITZ	0x00000001u
#define NDIS_HASH_IPV4		0x00000100u
#define NDIS_HASH_TCP_IPV4	0x00000200u
#define NDIS_HASH_IPV6		0x00000400u
#define NDIS_HASH_IPV6_EX	0x00000800u
#define NDIS_HASH_TCP_IPV6	0x00001000u
#define NDIS_HASH_TCP_IPV6_EX	0x00002000u
#define NDIS_HASH_UDP_IPV4	0x00004000u
#define NDIS_HASH_UDP_IPV6	0x00008000u
#define NDIS_HASH_UDP_IPV6_EX	0x00010000u

#define NDIS_RSS_FLAG_BASE_CPU_UNCHANGED  0x01u
#define NDIS_RSS_FLAG_HASH_INFO_UNCHANGED 0x02u
#define NDIS_RSS_FLAG_TABLE_UNCHANGED	  0x04u
#define NDIS_RSS_FLAG_KEY_UNCHANGED	  0x08u
#define NDIS_RSS_FLAG_DISABLE		  0x10u

#define NDIS_RSS_TABLE_ENTRIES 128u /**< of most hosts, and of one that does not say */
#define NDIS_RSS_TABLE_MAX     512u /**< that guest and host can have here; a power of two */
#define NDIS_RSS_KEY_SIZE      TOEPLITZ_KEY_SIZE

/** RSS parameters (§7), revision 2; table and key offsets count from its first byte. */
struct ndis_rss_params {
	struct ndis_object_header h;
	uint16_t flags;
	uint16_t base_cpu;
	uint32_t hash_info;  /**< NDIS_HASH_* */
	uint16_t table_size; /**< bytes */
	uint16_t pad;
	uint32_t table_offset;
	uint16_t key_size;
	uint16_t pad2;
	uint32_t key_offset;
	uint32_t mask_offset, mask_count, mask_entry_size;
};

/** Info buffer with the table at 40 and the key at 552. */
#define NDIS_RSS_PARAMS_BYTES(entries)                                                             \
	(sizeof(struct ndis_rss_params) + (entries)*4 + NDIS_RSS_KEY_SIZE)
#define NDIS_RSS_PARAMS_INFO NDIS_RSS_PARAMS_BYTES(NDIS_RSS_TABLE_ENTRIES)
#define NDIS_RSS_PARAMS_MAX  NDIS_RSS_PARAMS_BYTES(NDIS_RSS_TABLE_MAX)

struct ndis_link_state {
	struct ndis_object_header h; /**< 0x80, 1, 40 */
	uint32_t state;		     /**< 1 up, 2 down */
	uint32_t duplex;	     /**< 2 full */
	uint32_t pad;
	uint64_t tx_speed, rx_speed; /**< bit/s */
	uint32_t pause;
	uint32_t autoneg;
};

struct ndis_link_speed {
	uint64_t tx, rx; /**< bit/s */
};

/** Directed, multicast and broadcast: what NDIS counts by kind. */
struct ndis_counts {
	uint64_t directed, multicast, broadcast;
};

/** OID_GEN_STATISTICS (NDIS 6.0): all counters of an adapter, as its driver counts them. */
struct ndis_statistics {
	struct ndis_object_header h; /**< 0x80, 1, 152 */
	uint32_t valid;		     /**< which of the following; NDIS_STATISTICS_ALL */
	uint64_t in_discards, in_errors;
	uint64_t in_octets;
	struct ndis_counts in_frames;
	uint64_t out_octets;
	struct ndis_counts out_frames;
	uint64_t out_errors, out_discards;
	struct ndis_counts in_bytes, out_bytes;
};
#define NDIS_STATISTICS_ALL 0x3f87ffu

/** Offload encapsulation (§6.3). */
struct ndis_offload_encap {
	struct ndis_object_header h; /**< 0xa8, 1, 28 */
	struct {
		uint32_t enabled, type, header_size;
	} v4, v6;
};

/** Name and value follow, UTF-16LE (§5.2). */
struct ndis_config_parameter {
	uint32_t name_offset;
	uint32_t name_length; /**< bytes */
	uint32_t type;	      /**< NDIS_CONFIG_STRING */
	uint32_t value_offset;
	uint32_t value_length;
};

#define NDIS_CONFIG_STRING   2u
#define NDIS_CONFIG_MAC_INFO 72u

#define NDIS_AT(s, field, at) static_assert(offsetof(struct s, field) == (at), #s "." #field)
static_assert(sizeof(struct ndis_object_header) == 4, "object header");
static_assert(sizeof(struct ndis_offload_caps) == NDIS_OFFLOAD_CAPS_REV3, "offload caps");
NDIS_AT(ndis_offload_caps, csum.v4_tx_encap, 4);
NDIS_AT(ndis_offload_caps, csum.v6_rx_flags, 32);
NDIS_AT(ndis_offload_caps, lso1, 36);
NDIS_AT(ndis_offload_caps, ipsec1, 52);
NDIS_AT(ndis_offload_caps, lso2.v4_encap, 80);
NDIS_AT(ndis_offload_caps, lso2.v6_options, 104);
NDIS_AT(ndis_offload_caps, flags, 108);
NDIS_AT(ndis_offload_caps, ipsec2, 112);
NDIS_AT(ndis_offload_caps, rsc_v4, 144);
NDIS_AT(ndis_offload_caps, rsc_v6, 145);
NDIS_AT(ndis_offload_caps, nvgre, 148);
static_assert(sizeof(struct ndis_offload_params) == NDIS_OFFLOAD_PARAMS_REV3, "offload params");
NDIS_AT(ndis_offload_params, ip4_csum, 4);
NDIS_AT(ndis_offload_params, udp6_csum, 8);
NDIS_AT(ndis_offload_params, lso1, 9);
NDIS_AT(ndis_offload_params, lso2_v4, 11);
NDIS_AT(ndis_offload_params, lso2_v6, 12);
NDIS_AT(ndis_offload_params, flags, 16);
NDIS_AT(ndis_offload_params, rsc_v4, 22);
NDIS_AT(ndis_offload_params, rsc_v6, 23);
NDIS_AT(ndis_offload_params, encap_types, 25);
static_assert(sizeof(struct ndis_rss_caps) == NDIS_RSS_CAPS_REV2, "RSS caps");
NDIS_AT(ndis_rss_caps, receive_queues, 12);
NDIS_AT(ndis_rss_caps, table_entries, 16);
static_assert(sizeof(struct ndis_rss_params) == 40, "RSS params");
NDIS_AT(ndis_rss_params, hash_info, 8);
NDIS_AT(ndis_rss_params, table_size, 12);
NDIS_AT(ndis_rss_params, table_offset, 16);
NDIS_AT(ndis_rss_params, key_size, 20);
NDIS_AT(ndis_rss_params, key_offset, 24);
NDIS_AT(ndis_rss_params, mask_entry_size, 36);
static_assert(NDIS_RSS_PARAMS_INFO == 592, "RSS info buffer");
static_assert(sizeof(struct ndis_link_state) == 40, "link state");
NDIS_AT(ndis_link_state, state, 4);
NDIS_AT(ndis_link_state, tx_speed, 16);
NDIS_AT(ndis_link_state, pause, 32);
static_assert(sizeof(struct ndis_link_speed) == 16, "link speed");
static_assert(sizeof(struct ndis_statistics) == 152, "statistics");
NDIS_AT(ndis_statistics, in_discards, 8);
NDIS_AT(ndis_statistics, out_octets, 56);
NDIS_AT(ndis_statistics, out_errors, 88);
NDIS_AT(ndis_statistics, in_bytes, 104);
static_assert(sizeof(struct ndis_offload_encap) == 28, "offload encapsulation");
NDIS_AT(ndis_offload_encap, v6, 16);
static_assert(sizeof(struct ndis_config_parameter) == 20, "config parameter");
#undef NDIS_AT

/* ---- offloads ---- */

/** What can be done or is on; one vocabulary for capabilities, parameters and the driver. */
#define NDIS_CAN_TX_IP4	 0x0001u /**< IPv4 header checksum */
#define NDIS_CAN_TX_TCP4 0x0002u
#define NDIS_CAN_TX_UDP4 0x0004u
#define NDIS_CAN_TX_TCP6 0x0008u
#define NDIS_CAN_TX_UDP6 0x0010u
#define NDIS_CAN_RX_IP4	 0x0020u
#define NDIS_CAN_RX_TCP4 0x0040u
#define NDIS_CAN_RX_UDP4 0x0080u
#define NDIS_CAN_RX_TCP6 0x0100u
#define NDIS_CAN_RX_UDP6 0x0200u
#define NDIS_CAN_TSO4	 0x0400u
#define NDIS_CAN_TSO6	 0x0800u
#define NDIS_CAN_RSC4	 0x1000u
#define NDIS_CAN_RSC6	 0x2000u
#define NDIS_CAN_ALL	 0x3fffu

/** LSO size of vmswitch and OpenVMM (§4.1). */
#define NDIS_LSO_MAX_SIZE 0xf53cu

struct ndis_offloads {
	uint32_t can;		     /**< NDIS_CAN_* */
	uint32_t tso4_max, tso6_max; /**< bytes of a frame */
	uint32_t tso4_min_segs, tso6_min_segs;
};

/**
 * Guest: input of a capability query for the announced NDIS version: header filled, rest 0.
 * @return its bytes (112, 144 or 156), or -ENOSPC
 */
int ndis_build_offload_query(void *info, size_t size, uint32_t ndis_version);

/**
 * Host: capabilities for @p offloads, as revision 3 / 156 bytes.
 * @return 156 or -ENOSPC
 */
int ndis_build_offload_caps(void *info, size_t size, const struct ndis_offloads *offloads);

/** Guest: capabilities or current configuration by the tests of §6.1. @return 0 or -EBADMSG */
int ndis_parse_offload_caps(const void *info, size_t length, struct ndis_offloads *offloads);

/**
 * Guest: parameters that turn on exactly @p want (NDIS_CAN_*): the rest of checksums, LSO and, in
 * revision 3, RSC goes off. @return bytes (20, 22 or 28 by NDIS version), or -ENOSPC
 */
int ndis_build_offload_params(void *info, size_t size, uint32_t ndis_version, uint32_t want);

/**
 * Host: apply parameters. Unknown values and what is not in @p supported change nothing.
 * @param[in,out] on NDIS_CAN_* that are on; unchanged on failure
 * @return RNDIS_STATUS_*
 */
uint32_t ndis_apply_offload_params(
	const void *info, size_t length, uint32_t supported, uint32_t *on);

/** Host: check an encapsulation object. @return RNDIS_STATUS_* */
uint32_t ndis_check_offload_encap(const void *info, size_t length);

/* ---- RSS ---- */

/** Guest: input of a capability query. @return its bytes (16 or 18), or -ENOSPC */
int ndis_build_rss_query(void *info, size_t size, uint32_t ndis_version);

/** Host: says 128 entries. @return bytes (16 or 18 by NDIS version), or -ENOSPC */
int ndis_build_rss_caps(
	void *info, size_t size, uint32_t ndis_version, uint32_t cap_flags, uint32_t queues);

/**
 * Guest: RSS capabilities; missing tail reads as zero, 0 entries as 128. @return 0 or -EBADMSG
 */
int ndis_parse_rss_caps(const void *info, size_t length, struct ndis_rss_caps *caps);

/**
 * Guest: RSS parameters with the table at 40 and the key behind it.
 * @param table channel index of each of @p entries buckets, 1 to NDIS_RSS_TABLE_MAX
 * @return NDIS_RSS_PARAMS_BYTES(entries) or -ENOSPC
 */
int ndis_build_rss_params(void *info, size_t size, uint32_t hash_info, const uint16_t *table,
	uint32_t entries, const uint8_t key[NDIS_RSS_KEY_SIZE]);

/** Guest: 128 entries, all 0, with the disable flag; key @p key. @return 592 or -ENOSPC */
int ndis_build_rss_disable(void *info, size_t size, const uint8_t key[NDIS_RSS_KEY_SIZE]);

/** What a host needs of RSS parameters. */
struct ndis_rss_config {
	bool enabled; /**< off: all traffic to channel 0, the rest is not set */
	uint32_t hash_info;
	uint32_t entries; /**< that the guest sent */
	/** Channel of a hash modulo NDIS_RSS_TABLE_MAX; a short table is repeated to 128 first. */
	uint16_t table[NDIS_RSS_TABLE_MAX];
	uint8_t key[NDIS_RSS_KEY_SIZE];
};

/**
 * Host: check and read RSS parameters (§7); the object header is not looked at, as real hosts do.
 * @param max_queues every table entry must be below
 * @return RNDIS_STATUS_*; *config is unchanged on failure
 */
uint32_t ndis_parse_rss_params(
	const void *info, size_t length, uint32_t max_queues, struct ndis_rss_config *config);

/* ---- link, MAC ---- */

/** Host. @param speed bit/s both ways. @return 40 or -ENOSPC */
int ndis_build_link_state(void *info, size_t size, bool up, uint64_t speed);

/** Guest. @return 0 or -EBADMSG */
int ndis_parse_link_state(const void *info, size_t length, bool *up, uint64_t *speed);

/** Guest: "NetworkAddress" = @p mac for OID_GEN_RNDIS_CONFIG_PARAMETER. @return 72 or -ENOSPC */
int ndis_build_config_mac(void *info, size_t size, const uint8_t mac[6]);

/**
 * Host: read a configuration parameter that sets the MAC. @return RNDIS_STATUS_*: NOT_SUPPORTED
 * for another name, INVALID_DATA for a value that is not 12 hex digits or a group address
 */
uint32_t ndis_parse_config_mac(const void *info, size_t length, uint8_t mac[6]);

#endif
