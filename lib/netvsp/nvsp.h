/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * NVSP: the messages between netvsc (guest, VSC) and its network VSP (host), spec/nvsp.md.
 * Layouts, builders and bounds-checked parsers for both ends. Nobody owns data here and nothing
 * keeps state, so any thread may call anything on its own buffers.
 *
 * Parsers copy a message out before they look at it: what a peer can still change is never read
 * twice. Little-endian machines only.
 */
#ifndef HP_NETVSP_NVSP_H
#define HP_NETVSP_NVSP_H

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/vmbus/packet.h"
#include "lib/vmbus/shared.h"

/** Protocol versions, major << 16 | minor (spec/nvsp.md §1). There is no version 3. */
#define NVSP_VERSION_1	0x00000002u
#define NVSP_VERSION_2	0x00030002u
#define NVSP_VERSION_4	0x00040000u
#define NVSP_VERSION_5	0x00050000u
#define NVSP_VERSION_6	0x00060000u
#define NVSP_VERSION_61 0x00060001u

/** The order in which a guest tries versions. */
#define NVSP_VERSION_COUNT 6u
static const uint32_t nvsp_versions_newest_first[NVSP_VERSION_COUNT] = {
	NVSP_VERSION_61,
	NVSP_VERSION_6,
	NVSP_VERSION_5,
	NVSP_VERSION_4,
	NVSP_VERSION_2,
	NVSP_VERSION_1,
};

/** Message types (spec/nvsp.md §3). G>H guest to host. */
enum nvsp_type {
	NVSP_TYPE_INIT = 1,		       /**< G>H */
	NVSP_TYPE_INIT_COMPLETE = 2,	       /**< H>G */
	NVSP_TYPE_NDIS_VERSION = 100,	       /**< G>H */
	NVSP_TYPE_SEND_RECV_BUF = 101,	       /**< G>H */
	NVSP_TYPE_RECV_BUF_COMPLETE = 102,     /**< H>G */
	NVSP_TYPE_REVOKE_RECV_BUF = 103,       /**< G>H */
	NVSP_TYPE_SEND_SEND_BUF = 104,	       /**< G>H */
	NVSP_TYPE_SEND_BUF_COMPLETE = 105,     /**< H>G */
	NVSP_TYPE_REVOKE_SEND_BUF = 106,       /**< G>H */
	NVSP_TYPE_RNDIS = 107,		       /**< both ways */
	NVSP_TYPE_RNDIS_COMPLETE = 108,	       /**< both ways */
	NVSP_TYPE_NDIS_CONFIG = 125,	       /**< G>H, version 2 */
	NVSP_TYPE_VF_ASSOCIATION = 128,	       /**< H>G, version 4 */
	NVSP_TYPE_SWITCH_DATA_PATH = 129,      /**< both ways, version 4 */
	NVSP_TYPE_UPLINK_STATE = 130,	       /**< H>G, deprecated: ignore */
	NVSP_TYPE_OID_QUERY_EX = 131,	       /**< G>H, version 5 */
	NVSP_TYPE_OID_QUERY_EX_COMPLETE = 132, /**< H>G */
	NVSP_TYPE_SUBCHANNEL = 133,	       /**< request G>H and its answer, version 5 */
	NVSP_TYPE_SEND_TABLE = 134,	       /**< H>G, send indirection table, version 5 */
	NVSP_TYPE_PD_API = 135,		       /**< PacketDirect, never used */
	NVSP_TYPE_PD_POST_BATCH = 136,
};

/** Status words. Success is 1: the opposite of RNDIS inside (spec/nvsp.md §3). */
enum nvsp_status {
	NVSP_STATUS_NONE = 0,
	NVSP_STATUS_SUCCESS = 1,
	NVSP_STATUS_FAILURE = 2,
	NVSP_STATUS_TOO_NEW = 3,
	NVSP_STATUS_TOO_OLD = 4,
	NVSP_STATUS_INVALID_RNDIS = 5,
	NVSP_STATUS_BUSY = 6,
	NVSP_STATUS_UNSUPPORTED = 7,
};

/** Capability bits of NDIS_CONFIG (spec/nvsp.md §3). */
#define NVSP_CAP_VMQ		0x01u
#define NVSP_CAP_CHIMNEY	0x02u
#define NVSP_CAP_SRIOV		0x04u
#define NVSP_CAP_8021Q		0x08u
#define NVSP_CAP_CORRELATION_ID 0x10u
#define NVSP_CAP_TEAMING	0x20u
#define NVSP_CAP_VSUBNET	0x40u
#define NVSP_CAP_RSC		0x80u

#define NVSP_CHANNEL_DATA    0u
#define NVSP_CHANNEL_CONTROL 1u
/** section_index of a message whose bytes are all in guest pages. */
#define NVSP_SECTION_NONE 0xffffffffu

#define NVSP_DATA_PATH_SYNTHETIC 0u
#define NVSP_DATA_PATH_VF	 1u
#define NVSP_SUBCHANNEL_ALLOCATE 1u

/** Receive and send buffer ids that guests use; a host echoes the receive id (spec/nvsp.md §5). */
#define NVSP_RECV_BUF_ID 0xcafeu
#define NVSP_SEND_BUF_ID 0xfaceu

/** INIT_COMPLETE's max_mdl_chain and deprecated word of a real host. */
#define NVSP_MAX_MDL_CHAIN 34u

/** NDIS_CONFIG's mtu counts the Ethernet header; what a host honours (spec/nvsp.md §3). */
#define NVSP_MTU_HEADER 14u
#define NVSP_MTU_MIN	1514u
#define NVSP_MTU_MAX	9216u

/** Limits of spec/nvsp.md §5. */
#define NVSP_MAX_RECV_BUF	  (31u << 20)
#define NVSP_MAX_RECV_BUF_LEGACY  (15u << 20) /**< versions 1 and 2 */
#define NVSP_MAX_CHANNELS	  64u
#define NVSP_SEND_TABLE_ENTRIES	  16u
#define NVSP_MAX_XFER_RANGES	  375u
#define NVSP_MAX_XFER_RANGES_RSC  562u
#define NVSP_MAX_GPA_RANGES	  32u
#define NVSP_MIN_SECTION	  68u /**< smallest sub-allocation or send section taken */
#define NVSP_MAX_ALIGNMENT_FACTOR 12u

/** Message sizes: "size class" (spec/nvsp.md §2). A guest always sends 40 bytes. */
#define NVSP_MESSAGE_SIZE_LEGACY 28u
#define NVSP_MESSAGE_SIZE	 40u

/**
 * Any message but SEND_TABLE's entries. Zero it (the builders do) and send all 40 bytes.
 * Offsets of spec/nvsp.md §3 count from the type. Packed: ndis_config.capabilities is unaligned.
 */
struct __attribute__((packed, aligned(4))) nvsp_message {
	uint32_t type; /**< enum nvsp_type */
	union {
		struct {
			uint32_t version;
			uint32_t version_again; /**< the same */
		} init;
		struct {
			uint32_t deprecated; /**< 2 when version 1 was accepted, else all ones */
			uint32_t max_mdl_chain;
			uint32_t status;
		} init_complete;
		struct {
			uint32_t major;
			uint32_t minor;
		} ndis_version;
		struct {
			uint32_t gpadl;
			uint16_t id;
			uint16_t reserved;
		} send_buf; /**< SEND_RECV_BUF and SEND_SEND_BUF */
		struct {
			uint32_t status;
			uint32_t num_sections; /**< 1 */
			uint32_t offset;       /**< 0 */
			uint32_t sub_alloc_size;
			uint32_t count;
			uint32_t end_offset; /**< sub_alloc_size * count */
		} recv_buf_complete;
		struct {
			uint32_t status;
			uint32_t section_size;
		} send_buf_complete;
		struct {
			uint16_t id;
		} revoke;
		struct {
			uint32_t channel_type;
			uint32_t section_index;
			uint32_t section_bytes;
		} rndis;
		struct {
			uint32_t status;
		} rndis_complete;
		struct __attribute__((packed)) {
			uint32_t mtu; /**< IP MTU + 14 */
			uint32_t reserved;
			uint64_t capabilities; /**< NVSP_CAP_* */
		} ndis_config;
		struct {
			uint32_t allocated;
			uint32_t serial;
		} vf_association;
		struct {
			uint32_t path; /**< NVSP_DATA_PATH_* */
		} switch_data_path;
		struct {
			uint8_t object_type;
			uint8_t object_revision;
			uint16_t object_size;
			uint32_t oid;
		} oid_query_ex;
		struct {
			uint32_t ndis_status;
			uint32_t bytes;
		} oid_query_ex_complete;
		struct {
			uint32_t op;	/**< NVSP_SUBCHANNEL_ALLOCATE */
			uint32_t count; /**< without the primary */
		} subchannel;
		struct {
			uint32_t status;
			uint32_t granted;
		} subchannel_complete;
		struct {
			uint32_t entries; /**< 16 */
			uint32_t offset;  /**< from the message's first byte */
		} send_table;
		uint8_t raw[NVSP_MESSAGE_SIZE - 4];
	};
};

#define NVSP_AT(field, at)                                                                         \
	static_assert(offsetof(struct nvsp_message, field) == (at), #field " at " #at)
static_assert(sizeof(struct nvsp_message) == NVSP_MESSAGE_SIZE, "message is 40 bytes");
NVSP_AT(init.version, 4);
NVSP_AT(init.version_again, 8);
NVSP_AT(init_complete.deprecated, 4);
NVSP_AT(init_complete.max_mdl_chain, 8);
NVSP_AT(init_complete.status, 12);
NVSP_AT(ndis_version.major, 4);
NVSP_AT(ndis_version.minor, 8);
NVSP_AT(send_buf.gpadl, 4);
NVSP_AT(send_buf.id, 8);
NVSP_AT(send_buf.reserved, 10);
NVSP_AT(recv_buf_complete.status, 4);
NVSP_AT(recv_buf_complete.num_sections, 8);
NVSP_AT(recv_buf_complete.offset, 12);
NVSP_AT(recv_buf_complete.sub_alloc_size, 16);
NVSP_AT(recv_buf_complete.count, 20);
NVSP_AT(recv_buf_complete.end_offset, 24);
NVSP_AT(send_buf_complete.status, 4);
NVSP_AT(send_buf_complete.section_size, 8);
NVSP_AT(revoke.id, 4);
NVSP_AT(rndis.channel_type, 4);
NVSP_AT(rndis.section_index, 8);
NVSP_AT(rndis.section_bytes, 12);
NVSP_AT(rndis_complete.status, 4);
NVSP_AT(ndis_config.mtu, 4);
NVSP_AT(ndis_config.reserved, 8);
NVSP_AT(ndis_config.capabilities, 12);
NVSP_AT(vf_association.allocated, 4);
NVSP_AT(vf_association.serial, 8);
NVSP_AT(switch_data_path.path, 4);
NVSP_AT(oid_query_ex.object_type, 4);
NVSP_AT(oid_query_ex.object_revision, 5);
NVSP_AT(oid_query_ex.object_size, 6);
NVSP_AT(oid_query_ex.oid, 8);
NVSP_AT(oid_query_ex_complete.ndis_status, 4);
NVSP_AT(oid_query_ex_complete.bytes, 8);
NVSP_AT(subchannel.op, 4);
NVSP_AT(subchannel.count, 8);
NVSP_AT(subchannel_complete.status, 4);
NVSP_AT(subchannel_complete.granted, 8);
NVSP_AT(send_table.entries, 4);
NVSP_AT(send_table.offset, 8);
#undef NVSP_AT

/** Bytes of a message at a negotiated version; 0 = nothing negotiated yet (spec/nvsp.md §2). */
static inline uint32_t
nvsp_message_size(uint32_t version)
{
	return version >= NVSP_VERSION_61 ? NVSP_MESSAGE_SIZE : NVSP_MESSAGE_SIZE_LEGACY;
}

/** Whether a version exists. */
static inline bool
nvsp_version_known(uint32_t version)
{
	for (unsigned int i = 0; i < NVSP_VERSION_COUNT; i++)
		if (nvsp_versions_newest_first[i] == version)
			return true;
	return false;
}

/** NDIS version that goes with an NVSP version, major << 16 | minor: 6.1 or 6.30 (§1). */
static inline uint32_t
nvsp_ndis_version(uint32_t nvsp_version)
{
	return nvsp_version >= NVSP_VERSION_5 ? 0x0006001eu : 0x00060001u;
}

/* ---- builders: each fills all 40 bytes of *m ---- */

static inline void
nvsp_build(struct nvsp_message *m, enum nvsp_type type)
{
	memset(m, 0, sizeof(*m));
	m->type = (uint32_t)type;
}

static inline void
nvsp_build_init(struct nvsp_message *m, uint32_t version)
{
	nvsp_build(m, NVSP_TYPE_INIT);
	m->init.version = version;
	m->init.version_again = version;
}

/** @param version the version of the INIT that is answered */
static inline void
nvsp_build_init_complete(struct nvsp_message *m, uint32_t version, enum nvsp_status status)
{
	nvsp_build(m, NVSP_TYPE_INIT_COMPLETE);
	m->init_complete.deprecated = version == NVSP_VERSION_1 && status == NVSP_STATUS_SUCCESS
					      ? NVSP_VERSION_1
					      : 0xffffffffu;
	m->init_complete.max_mdl_chain = NVSP_MAX_MDL_CHAIN;
	m->init_complete.status = (uint32_t)status;
}

/** Announce the NDIS version that belongs to @p nvsp_version. */
static inline void
nvsp_build_ndis_version(struct nvsp_message *m, uint32_t nvsp_version)
{
	nvsp_build(m, NVSP_TYPE_NDIS_VERSION);
	m->ndis_version.major = nvsp_ndis_version(nvsp_version) >> 16;
	m->ndis_version.minor = nvsp_ndis_version(nvsp_version) & 0xffffu;
}

/** @param ip_mtu IP MTU; the wire's 14 bytes are added here. @param capabilities NVSP_CAP_* */
static inline void
nvsp_build_ndis_config(struct nvsp_message *m, uint32_t ip_mtu, uint64_t capabilities)
{
	nvsp_build(m, NVSP_TYPE_NDIS_CONFIG);
	m->ndis_config.mtu = ip_mtu + NVSP_MTU_HEADER;
	m->ndis_config.capabilities = capabilities;
}

static inline void
nvsp_build_send_recv_buf(struct nvsp_message *m, uint32_t gpadl, uint16_t id)
{
	nvsp_build(m, NVSP_TYPE_SEND_RECV_BUF);
	m->send_buf.gpadl = gpadl;
	m->send_buf.id = id;
}

static inline void
nvsp_build_send_send_buf(struct nvsp_message *m, uint32_t gpadl, uint16_t id)
{
	nvsp_build(m, NVSP_TYPE_SEND_SEND_BUF);
	m->send_buf.gpadl = gpadl;
	m->send_buf.id = id;
}

/** @param section_size bytes of one sub-allocation, @param count of them */
static inline void
nvsp_build_recv_buf_complete(
	struct nvsp_message *m, enum nvsp_status status, uint32_t section_size, uint32_t count)
{
	nvsp_build(m, NVSP_TYPE_RECV_BUF_COMPLETE);
	m->recv_buf_complete.status = (uint32_t)status;
	if (status != NVSP_STATUS_SUCCESS)
		return;
	m->recv_buf_complete.num_sections = 1;
	m->recv_buf_complete.sub_alloc_size = section_size;
	m->recv_buf_complete.count = count;
	m->recv_buf_complete.end_offset = section_size * count;
}

static inline void
nvsp_build_send_buf_complete(struct nvsp_message *m, enum nvsp_status status, uint32_t section_size)
{
	nvsp_build(m, NVSP_TYPE_SEND_BUF_COMPLETE);
	m->send_buf_complete.status = (uint32_t)status;
	m->send_buf_complete.section_size = section_size;
}

/** @param type NVSP_TYPE_REVOKE_RECV_BUF or NVSP_TYPE_REVOKE_SEND_BUF */
static inline void
nvsp_build_revoke(struct nvsp_message *m, enum nvsp_type type, uint16_t id)
{
	nvsp_build(m, type);
	m->revoke.id = id;
}

/** @param section_index NVSP_SECTION_NONE when all bytes are in guest pages; then bytes is 0 */
static inline void
nvsp_build_rndis(struct nvsp_message *m, uint32_t channel_type, uint32_t section_index,
	uint32_t section_bytes)
{
	nvsp_build(m, NVSP_TYPE_RNDIS);
	m->rndis.channel_type = channel_type;
	m->rndis.section_index = section_index;
	m->rndis.section_bytes = section_bytes;
}

/** Answer to NVSP_TYPE_RNDIS; as a receive completion its first 8 bytes may go alone. */
static inline void
nvsp_build_rndis_complete(struct nvsp_message *m, enum nvsp_status status)
{
	nvsp_build(m, NVSP_TYPE_RNDIS_COMPLETE);
	m->rndis_complete.status = (uint32_t)status;
}

static inline void
nvsp_build_vf_association(struct nvsp_message *m, bool allocated, uint32_t serial)
{
	nvsp_build(m, NVSP_TYPE_VF_ASSOCIATION);
	m->vf_association.allocated = allocated;
	m->vf_association.serial = serial;
}

static inline void
nvsp_build_switch_data_path(struct nvsp_message *m, uint32_t path)
{
	nvsp_build(m, NVSP_TYPE_SWITCH_DATA_PATH);
	m->switch_data_path.path = path;
}

static inline void
nvsp_build_oid_query_ex_complete(struct nvsp_message *m, uint32_t ndis_status)
{
	nvsp_build(m, NVSP_TYPE_OID_QUERY_EX_COMPLETE);
	m->oid_query_ex_complete.ndis_status = ndis_status;
}

/** @param count channels wanted beside the primary */
static inline void
nvsp_build_subchannel(struct nvsp_message *m, uint32_t count)
{
	nvsp_build(m, NVSP_TYPE_SUBCHANNEL);
	m->subchannel.op = NVSP_SUBCHANNEL_ALLOCATE;
	m->subchannel.count = count;
}

static inline void
nvsp_build_subchannel_complete(struct nvsp_message *m, enum nvsp_status status, uint32_t granted)
{
	nvsp_build(m, NVSP_TYPE_SUBCHANNEL);
	m->subchannel_complete.status = (uint32_t)status;
	m->subchannel_complete.granted = granted;
}

/** Layouts of SEND_TABLE seen on hosts, by the offset of the table (spec/nvsp.md §8). */
#define NVSP_SEND_TABLE_AT_OLD	28u /**< (a) */
#define NVSP_SEND_TABLE_AT_NEW	40u /**< (b) */
#define NVSP_SEND_TABLE_AT_VMM	12u /**< (c) */
#define NVSP_SEND_TABLE_MAX_LEN (NVSP_SEND_TABLE_AT_NEW + NVSP_SEND_TABLE_ENTRIES * 4u)

/**
 * Host: build SEND_TABLE with the table at @p at.
 * @param claimed the offset field; equals @p at except to imitate the bug of old hosts
 * @return bytes of the message, or -EINVAL when @p size is too small or @p at below 12
 */
int nvsp_build_send_table(void *dst, size_t size, uint32_t at, uint32_t claimed,
	const uint32_t table[NVSP_SEND_TABLE_ENTRIES]);

/* ---- parsers ---- */

/** Bytes a message of @p type must have at least, or 0 for a type nobody uses (§3). */
uint32_t nvsp_min_len(uint32_t type);

/**
 * Copy one message out of a ring and check its length; the excess is ignored, what the peer left
 * out reads as zero (spec/nvsp.md §2, §11).
 * @param payload data of the packet, may be in shared memory, any alignment
 * @param len     its bytes
 * @return 0; -EBADMSG too short for its type; -ENOTSUP a type nobody uses (msg->type is valid)
 */
int nvsp_parse(const void *payload, size_t len, struct nvsp_message *msg);

/**
 * Fast path: whether a send completion says success. A short or foreign one releases the request
 * too but counts as an error.
 * @return 0 success, -EBADMSG not a NVSP_TYPE_RNDIS_COMPLETE of >= 8 bytes, -EIO other status
 */
static inline int
nvsp_parse_rndis_complete(const void *payload, size_t len)
{
	uint64_t v;

	if (len < 8)
		return -EBADMSG;
	v = vmbus_load64(payload);
	if ((uint32_t)v != NVSP_TYPE_RNDIS_COMPLETE)
		return -EBADMSG;
	return (uint32_t)(v >> 32) == NVSP_STATUS_SUCCESS ? 0 : -EIO;
}

/**
 * Guest: check RECV_BUF_COMPLETE against the buffer it answers (spec/nvsp.md §11).
 * @return 0, -EIO refused by the host, -EPROTO impossible values
 */
int nvsp_check_recv_buf_complete(const struct nvsp_message *msg, uint32_t buffer_bytes);

/**
 * Guest: check SEND_BUF_COMPLETE.
 * @param[out] sections sections that fit @p buffer_bytes; 0 = run without a send buffer
 * @return 0, -EIO refused by the host, -EPROTO impossible values
 */
int nvsp_check_send_buf_complete(
	const struct nvsp_message *msg, uint32_t buffer_bytes, uint32_t *sections);

/**
 * Guest: SEND_TABLE by the layout rule of spec/nvsp.md §8. An entry that names no open channel is
 * ignored: @p table keeps what it had there.
 * @param version  negotiated NVSP version
 * @param channels open channels including the primary
 * @return entries taken (0..16), or -EBADMSG
 */
int nvsp_parse_send_table(const void *payload, size_t len, uint32_t version, uint32_t channels,
	uint32_t table[NVSP_SEND_TABLE_ENTRIES]);

/**
 * Guest: check the header of a transfer-page packet (spec/nvsp.md §11, spec/vmbus-ring.md §12).
 * @param header what follows the 16-byte descriptor
 * @param bytes  offset8 * 8 - 16
 * @param id     our receive buffer id
 * @param limit  most ranges taken (NVSP_MAX_XFER_RANGES or .._RSC)
 * @return number of ranges (>= 1), or -EBADMSG
 */
static inline int
nvsp_xfer_parse(const void *header, uint32_t bytes, uint16_t id, uint32_t limit)
{
	uint64_t v;
	uint32_t n;

	if (bytes < sizeof(struct vmbus_xfer_header))
		return -EBADMSG;
	v = vmbus_load64(header);
	n = (uint32_t)(v >> 32);
	/* Bits 16..31 may hold garbage. */
	if ((uint16_t)v != id || n == 0 || n > limit ||
		n > (bytes - sizeof(struct vmbus_xfer_header)) / sizeof(struct vmbus_xfer_range))
		return -EBADMSG;
	return (int)n;
}

/** Load a range, once. */
static inline struct vmbus_xfer_range
nvsp_xfer_range_load(const void *range)
{
	uint64_t v = vmbus_load64(range);
	struct vmbus_xfer_range r = {
		.byte_count = (uint32_t)v,
		.byte_offset = (uint32_t)(v >> 32),
	};

	return r;
}

/** Load range @p i < the count nvsp_xfer_parse() returned, once. */
static inline struct vmbus_xfer_range
nvsp_xfer_range(const void *header, uint32_t i)
{
	return nvsp_xfer_range_load((const uint8_t *)header + sizeof(struct vmbus_xfer_header) +
				    (size_t)i * sizeof(struct vmbus_xfer_range));
}

/** Whether a range lies in the receive buffer and can hold a message: 8 <= count <= section. */
static inline bool
nvsp_xfer_range_ok(struct vmbus_xfer_range r, uint32_t buffer_bytes, uint32_t section_bytes)
{
	return r.byte_count >= 8 && r.byte_count <= section_bytes &&
	       r.byte_offset <= buffer_bytes && r.byte_count <= buffer_bytes - r.byte_offset;
}

/** Host: position in the ranges of a GPA-direct packet. */
struct nvsp_gpa_walk {
	const uint8_t *next;
	uint32_t bytes_left;
	uint32_t ranges_left;
};

/** One checked range: byte_count >= 1, byte_offset < 4096, @a pages PFNs inside the packet. */
struct nvsp_gpa_range {
	uint32_t byte_count;
	uint32_t byte_offset;
	uint32_t pages;
	const uint8_t *pfns; /**< use nvsp_gpa_pfn() */
};

/**
 * Host: start walking the ranges of a GPA-direct packet (spec/vmbus-ring.md §12).
 * @param header what follows the 16-byte descriptor, @param bytes offset8 * 8 - 16
 * @param limit  most ranges taken
 * @return number of ranges (>= 1), or -EBADMSG
 */
int nvsp_gpa_walk_start(
	struct nvsp_gpa_walk *walk, const void *header, uint32_t bytes, uint32_t limit);

/** Next range. @return 1 and *range; 0 at the end; -EBADMSG a range that does not fit. */
int nvsp_gpa_walk_next(struct nvsp_gpa_walk *walk, struct nvsp_gpa_range *range);

/** PFN @p i < range->pages, loaded once; may be any value. */
static inline uint64_t
nvsp_gpa_pfn(const struct nvsp_gpa_range *range, uint32_t i)
{
	return vmbus_load64(range->pfns + (size_t)i * 8);
}

/** "INIT_COMPLETE" and so on, for logs; never NULL. */
const char *nvsp_type_name(uint32_t type);

#endif
