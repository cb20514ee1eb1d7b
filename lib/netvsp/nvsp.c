/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/netvsp/nvsp.h"

/** Type word plus payload as far as a field of the union reaches. */
#define LEN_OF(field) (4u + (uint32_t)sizeof(((struct nvsp_message *)0)->field))

uint32_t
nvsp_min_len(uint32_t type)
{
	switch (type) {
	case NVSP_TYPE_INIT:
		return LEN_OF(init);
	case NVSP_TYPE_INIT_COMPLETE:
		return LEN_OF(init_complete);
	case NVSP_TYPE_NDIS_VERSION:
		return LEN_OF(ndis_version);
	case NVSP_TYPE_SEND_RECV_BUF:
	case NVSP_TYPE_SEND_SEND_BUF:
		return LEN_OF(send_buf);
	case NVSP_TYPE_RECV_BUF_COMPLETE:
		return LEN_OF(recv_buf_complete);
	case NVSP_TYPE_SEND_BUF_COMPLETE:
		return LEN_OF(send_buf_complete);
	case NVSP_TYPE_REVOKE_RECV_BUF:
	case NVSP_TYPE_REVOKE_SEND_BUF:
		return LEN_OF(revoke);
	case NVSP_TYPE_RNDIS:
		return LEN_OF(rndis);
	case NVSP_TYPE_RNDIS_COMPLETE:
		return LEN_OF(rndis_complete);
	case NVSP_TYPE_NDIS_CONFIG:
		return LEN_OF(ndis_config);
	case NVSP_TYPE_VF_ASSOCIATION:
		return LEN_OF(vf_association);
	case NVSP_TYPE_SWITCH_DATA_PATH:
		return LEN_OF(switch_data_path);
	case NVSP_TYPE_OID_QUERY_EX:
		return LEN_OF(oid_query_ex);
	case NVSP_TYPE_OID_QUERY_EX_COMPLETE:
		return LEN_OF(oid_query_ex_complete);
	case NVSP_TYPE_SUBCHANNEL:
		return LEN_OF(subchannel);
	case NVSP_TYPE_SEND_TABLE:
		return LEN_OF(send_table);
	/* Ignored or answered without a look at their payload. */
	case NVSP_TYPE_UPLINK_STATE:
	case NVSP_TYPE_PD_API:
	case NVSP_TYPE_PD_POST_BATCH:
		return 4;
	default:
		return 0;
	}
}

int
nvsp_parse(const void *payload, size_t len, struct nvsp_message *msg)
{
	uint32_t min;

	memset(msg, 0, sizeof(*msg));
	if (len < sizeof(msg->type))
		return -EBADMSG;
	vmbus_load(msg, payload, len < sizeof(*msg) ? len : sizeof(*msg));
	min = nvsp_min_len(msg->type);
	if (min == 0)
		return -ENOTSUP;
	return len >= min ? 0 : -EBADMSG;
}

int
nvsp_check_recv_buf_complete(const struct nvsp_message *msg, uint32_t buffer_bytes)
{
	uint32_t size = msg->recv_buf_complete.sub_alloc_size;
	uint32_t count = msg->recv_buf_complete.count;

	if (msg->recv_buf_complete.status != NVSP_STATUS_SUCCESS)
		return -EIO;
	if (msg->recv_buf_complete.num_sections != 1 || msg->recv_buf_complete.offset != 0 ||
		size < NVSP_MIN_SECTION || count == 0 || (uint64_t)size * count > buffer_bytes)
		return -EPROTO;
	return 0;
}

int
nvsp_check_send_buf_complete(
	const struct nvsp_message *msg, uint32_t buffer_bytes, uint32_t *sections)
{
	uint32_t size = msg->send_buf_complete.section_size;

	*sections = 0;
	if (msg->send_buf_complete.status != NVSP_STATUS_SUCCESS)
		return -EIO;
	if (size < NVSP_MIN_SECTION || size % 4 != 0)
		return -EPROTO;
	*sections = buffer_bytes / size;
	return 0;
}

int
nvsp_build_send_table(void *dst, size_t size, uint32_t at, uint32_t claimed,
	const uint32_t table[NVSP_SEND_TABLE_ENTRIES])
{
	const uint32_t header[3] = {NVSP_TYPE_SEND_TABLE, NVSP_SEND_TABLE_ENTRIES, claimed};
	const size_t table_bytes = NVSP_SEND_TABLE_ENTRIES * sizeof(table[0]);

	if (at < sizeof(header) || size < table_bytes || at > size - table_bytes)
		return -EINVAL;
	memset(dst, 0, at);
	memcpy(dst, header, sizeof(header));
	memcpy((uint8_t *)dst + at, table, table_bytes);
	return (int)(at + table_bytes);
}

int
nvsp_parse_send_table(const void *payload, size_t len, uint32_t version, uint32_t channels,
	uint32_t table[NVSP_SEND_TABLE_ENTRIES])
{
	const uint32_t table_bytes = NVSP_SEND_TABLE_ENTRIES * 4;
	const uint8_t *p = payload;
	uint32_t offset, value;
	int taken = 0;

	if (len < NVSP_SEND_TABLE_AT_VMM + table_bytes || vmbus_load32(p) != NVSP_TYPE_SEND_TABLE ||
		vmbus_load32(p + 4) != NVSP_SEND_TABLE_ENTRIES)
		return -EBADMSG;
	offset = vmbus_load32(p + 8);
	/* Hosts up to version 6 send the long layout with an offset that is too small (§8). */
	if (version <= NVSP_VERSION_6 && len >= NVSP_SEND_TABLE_MAX_LEN)
		offset = NVSP_SEND_TABLE_AT_NEW;
	if (offset < NVSP_SEND_TABLE_AT_VMM || offset > len - table_bytes)
		return -EBADMSG;
	for (uint32_t i = 0; i < NVSP_SEND_TABLE_ENTRIES; i++) {
		value = vmbus_load32(p + offset + 4 * i);
		if (value >= channels)
			continue;
		table[i] = value;
		taken++;
	}
	return taken;
}

int
nvsp_gpa_walk_start(struct nvsp_gpa_walk *walk, const void *header, uint32_t bytes, uint32_t limit)
{
	uint32_t n;

	if (bytes < sizeof(struct vmbus_gpa_header))
		return -EBADMSG;
	n = vmbus_load32((const uint8_t *)header + offsetof(struct vmbus_gpa_header, range_count));
	if (n == 0 || n > limit || n > INT32_MAX)
		return -EBADMSG;
	walk->next = (const uint8_t *)header + sizeof(struct vmbus_gpa_header);
	walk->bytes_left = bytes - (uint32_t)sizeof(struct vmbus_gpa_header);
	walk->ranges_left = n;
	return (int)n;
}

int
nvsp_gpa_walk_next(struct nvsp_gpa_walk *walk, struct nvsp_gpa_range *range)
{
	uint64_t v, pages;

	if (walk->ranges_left == 0)
		return 0;
	if (walk->bytes_left < sizeof(struct vmbus_gpa_range))
		return -EBADMSG;
	v = vmbus_load64(walk->next);
	range->byte_count = (uint32_t)v;
	range->byte_offset = (uint32_t)(v >> 32);
	walk->bytes_left -= (uint32_t)sizeof(struct vmbus_gpa_range);
	if (range->byte_count == 0 || range->byte_offset >= VMBUS_PAGE_SIZE)
		return -EBADMSG;
	pages = vmbus_gpa_pages(range->byte_offset, range->byte_count);
	if (pages > walk->bytes_left / sizeof(uint64_t))
		return -EBADMSG;
	range->pages = (uint32_t)pages;
	range->pfns = walk->next + sizeof(struct vmbus_gpa_range);
	walk->next = range->pfns + pages * sizeof(uint64_t);
	walk->bytes_left -= (uint32_t)(pages * sizeof(uint64_t));
	walk->ranges_left--;
	return 1;
}

const char *
nvsp_type_name(uint32_t type)
{
	switch (type) {
	case NVSP_TYPE_INIT:
		return "INIT";
	case NVSP_TYPE_INIT_COMPLETE:
		return "INIT_COMPLETE";
	case NVSP_TYPE_NDIS_VERSION:
		return "NDIS_VERSION";
	case NVSP_TYPE_SEND_RECV_BUF:
		return "SEND_RECV_BUF";
	case NVSP_TYPE_RECV_BUF_COMPLETE:
		return "RECV_BUF_COMPLETE";
	case NVSP_TYPE_REVOKE_RECV_BUF:
		return "REVOKE_RECV_BUF";
	case NVSP_TYPE_SEND_SEND_BUF:
		return "SEND_SEND_BUF";
	case NVSP_TYPE_SEND_BUF_COMPLETE:
		return "SEND_BUF_COMPLETE";
	case NVSP_TYPE_REVOKE_SEND_BUF:
		return "REVOKE_SEND_BUF";
	case NVSP_TYPE_RNDIS:
		return "RNDIS_PKT";
	case NVSP_TYPE_RNDIS_COMPLETE:
		return "RNDIS_PKT_COMPLETE";
	case NVSP_TYPE_NDIS_CONFIG:
		return "NDIS_CONFIG";
	case NVSP_TYPE_VF_ASSOCIATION:
		return "VF_ASSOCIATION";
	case NVSP_TYPE_SWITCH_DATA_PATH:
		return "SWITCH_DATA_PATH";
	case NVSP_TYPE_UPLINK_STATE:
		return "UPLINK_CONNECT_STATE";
	case NVSP_TYPE_OID_QUERY_EX:
		return "OID_QUERY_EX";
	case NVSP_TYPE_OID_QUERY_EX_COMPLETE:
		return "OID_QUERY_EX_COMPLETE";
	case NVSP_TYPE_SUBCHANNEL:
		return "SUBCHANNEL";
	case NVSP_TYPE_SEND_TABLE:
		return "SEND_INDIRECTION_TABLE";
	case NVSP_TYPE_PD_API:
		return "PD_API";
	case NVSP_TYPE_PD_POST_BATCH:
		return "PD_POST_BATCH";
	default:
		return "unknown NVSP message";
	}
}
