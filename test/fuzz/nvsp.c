/* SPDX-License-Identifier: BSD-3-Clause */
/* Every parser of NVSP (lib/netvsp/nvsp.h) on one payload; two bytes in front are what we know. */
#include "lib/netvsp/nvsp.h"
#include "test/fuzz/fuzz.h"

static void
messages(const uint8_t *payload, size_t len)
{
	struct nvsp_message msg;
	uint32_t sections;
	int rc = nvsp_parse(payload, len, &msg);

	FUZZ_CHECK(rc == 0 || rc == -EBADMSG || rc == -ENOTSUP);
	nvsp_parse_rndis_complete(payload, len);
	if (rc != 0)
		return;
	FUZZ_CHECK(len >= nvsp_min_len(msg.type));
	FUZZ_CHECK(nvsp_type_name(msg.type) != NULL);
	if (nvsp_check_recv_buf_complete(&msg, 1u << 20) == 0)
		FUZZ_CHECK((uint64_t)msg.recv_buf_complete.sub_alloc_size *
				   msg.recv_buf_complete.count <=
			   1u << 20);
	if (nvsp_check_send_buf_complete(&msg, 1u << 20, &sections) == 0)
		FUZZ_CHECK((uint64_t)msg.send_buf_complete.section_size * sections <= 1u << 20);
}

static void
send_table(const uint8_t *payload, size_t len, uint32_t version, uint32_t channels)
{
	uint32_t table[NVSP_SEND_TABLE_ENTRIES] = {0}, i;
	int n = nvsp_parse_send_table(payload, len, version, channels, table);

	FUZZ_CHECK(n <= (int)NVSP_SEND_TABLE_ENTRIES);
	for (i = 0; i < NVSP_SEND_TABLE_ENTRIES; i++)
		FUZZ_CHECK(table[i] < channels);
}

static void
transfer(const uint8_t *header, uint32_t len)
{
	int n = nvsp_xfer_parse(header, len, NVSP_RECV_BUF_ID, NVSP_MAX_XFER_RANGES_RSC), i;

	for (i = 0; i < n; i++) {
		struct vmbus_xfer_range r = nvsp_xfer_range(header, (uint32_t)i);

		if (nvsp_xfer_range_ok(r, 1u << 20, 2048))
			FUZZ_CHECK((uint64_t)r.byte_offset + r.byte_count <= 1u << 20);
	}
}

static void
pages(const uint8_t *header, uint32_t len)
{
	struct nvsp_gpa_range range;
	struct nvsp_gpa_walk walk;
	uint32_t i;

	if (nvsp_gpa_walk_start(&walk, header, len, 32) < 0)
		return;
	while (nvsp_gpa_walk_next(&walk, &range) == 1) {
		FUZZ_CHECK(range.byte_count != 0 && range.byte_offset < 4096);
		for (i = 0; i < range.pages; i++)
			nvsp_gpa_pfn(&range, i);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = {data, size};
	uint32_t version = nvsp_versions_newest_first[fuzz_below(&in, NVSP_VERSION_COUNT)];
	uint32_t channels = 1 + fuzz_below(&in, 64);
	size_t len;
	uint8_t *payload = fuzz_block(&in, 4096, &len);

	messages(payload, len);
	send_table(payload, len, version, channels);
	transfer(payload, (uint32_t)len);
	pages(payload, (uint32_t)len);
	nvsp_ndis_version(version);
	nvsp_message_size(version);
	free(payload);
	return 0;
}
