/* SPDX-License-Identifier: BSD-3-Clause */
/** @file NVSP messages against spec/nvsp.md "Checks", and hostile lengths. */
#include "lib/netvsp/nvsp.h"

#include "test/unit/netvsp_bytes.h"

/** Ring packet without trailer: descriptor, @p header_len bytes of type header, payload. */
static int
packet_matches(const char *hex, enum vmbus_packet_type type, uint16_t flags, uint64_t trans_id,
	const void *header, uint32_t header_len, const void *payload, uint32_t len)
{
	uint8_t buffer[256] = {0};
	struct vmbus_packet p;

	vmbus_packet_init(&p, type, (uint32_t)sizeof(p) + header_len,
		(uint32_t)sizeof(p) + header_len + len, flags, trans_id);
	memcpy(buffer, &p, sizeof(p));
	if (header_len != 0)
		memcpy(buffer + sizeof(p), header, header_len);
	if (len != 0)
		memcpy(buffer + sizeof(p) + header_len, payload, len);
	return bytes_match(hex, buffer, p.len8 * 8u);
}

/** Parse the payload of a golden packet. */
static struct nvsp_message
payload_of(const char *hex)
{
	struct bytes b = bytes_of(hex);
	struct nvsp_message m = {0};
	struct vmbus_packet p;

	memcpy(&p, b.p, sizeof(p));
	CU_ASSERT_EQUAL_FATAL(p.len8 * 8u, b.len);
	CU_ASSERT_EQUAL(nvsp_parse(b.p + p.offset8 * 8, b.len - p.offset8 * 8u, &m), 0);
	bytes_free(&b);
	return m;
}

#define INBAND(hex, flags, tid, m)                                                                 \
	CU_ASSERT(packet_matches(hex, VMBUS_PACKET_INBAND, flags, tid, NULL, 0, m, sizeof(*(m))))
#define COMPLETION(hex, tid, m, version)                                                           \
	CU_ASSERT(packet_matches(                                                                  \
		hex, VMBUS_PACKET_COMPLETION, 0, tid, NULL, 0, m, nvsp_message_size(version)))

static void
test_golden_init(void)
{
	static const char init[] = "06000200 07000100 01000000 00000000 01000000 01000600 01000600 "
				   "28*00";
	static const char done[] = "0b000200 06000000 01000000 00000000 02000000 ffffffff 22000000 "
				   "01000000 16*00";
	struct nvsp_message m;

	nvsp_build_init(&m, NVSP_VERSION_61);
	INBAND(init, VMBUS_FLAG_COMPLETION, 1, &m);
	m = payload_of(init);
	CU_ASSERT_EQUAL(m.type, NVSP_TYPE_INIT);
	CU_ASSERT_EQUAL(m.init.version, NVSP_VERSION_61);
	CU_ASSERT_EQUAL(m.init.version_again, NVSP_VERSION_61);

	/* Before negotiation the host sends the legacy size. */
	nvsp_build_init_complete(&m, NVSP_VERSION_61, NVSP_STATUS_SUCCESS);
	COMPLETION(done, 1, &m, 0);
	m = payload_of(done);
	CU_ASSERT_EQUAL(m.type, NVSP_TYPE_INIT_COMPLETE);
	CU_ASSERT_EQUAL(m.init_complete.deprecated, 0xffffffffu);
	CU_ASSERT_EQUAL(m.init_complete.max_mdl_chain, 34);
	CU_ASSERT_EQUAL(m.init_complete.status, NVSP_STATUS_SUCCESS);

	nvsp_build_init_complete(&m, NVSP_VERSION_1, NVSP_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(m.init_complete.deprecated, 2);
}

static void
test_golden_config(void)
{
	static const char config[] = "06000200 07000000 fdffffff ffffffff 7d000000 ea050000 "
				     "00000000 ac000000 00000000 20*00";
	static const char version[] = "06000200 07000000 fdffffff ffffffff 64000000 06000000 "
				      "1e000000 28*00";
	struct nvsp_message m;

	nvsp_build_ndis_config(
		&m, 1500, NVSP_CAP_SRIOV | NVSP_CAP_8021Q | NVSP_CAP_TEAMING | NVSP_CAP_RSC);
	INBAND(config, 0, VMBUS_NO_TRANS_ID, &m);
	m = payload_of(config);
	CU_ASSERT_EQUAL(m.ndis_config.mtu, 1514);
	CU_ASSERT_EQUAL(m.ndis_config.capabilities, 0xac);

	nvsp_build_ndis_version(&m, NVSP_VERSION_5);
	INBAND(version, 0, VMBUS_NO_TRANS_ID, &m);
	m = payload_of(version);
	CU_ASSERT_EQUAL(m.ndis_version.major, 6);
	CU_ASSERT_EQUAL(m.ndis_version.minor, 30);
	nvsp_build_ndis_version(&m, NVSP_VERSION_4);
	CU_ASSERT_EQUAL(m.ndis_version.minor, 1);
}

static void
test_golden_buffers(void)
{
	static const char recv[] = "06000200 07000100 02000000 00000000 65000000 101e0e00 feca0000 "
				   "28*00";
	static const char recv_done[] =
		"0b000200 07000000 02000000 00000000 66000000 01000000 01000000 00000000 c0060000 "
		"ed250000 c0ffff00 12*00";
	static const char send_done[] =
		"0b000200 07000000 03000000 00000000 69000000 01000000 00180000 28*00";
	static const char revoke[] = "06000200 07000000 fdffffff ffffffff 67000000 feca0000 32*00";
	struct nvsp_message m;
	uint32_t sections = 0;

	nvsp_build_send_recv_buf(&m, 0xe1e10, NVSP_RECV_BUF_ID);
	INBAND(recv, VMBUS_FLAG_COMPLETION, 2, &m);
	m = payload_of(recv);
	CU_ASSERT_EQUAL(m.send_buf.gpadl, 0xe1e10);
	CU_ASSERT_EQUAL(m.send_buf.id, 0xcafe);

	nvsp_build_recv_buf_complete(&m, NVSP_STATUS_SUCCESS, 1728, 9709);
	COMPLETION(recv_done, 2, &m, NVSP_VERSION_61);
	m = payload_of(recv_done);
	CU_ASSERT_EQUAL(m.recv_buf_complete.sub_alloc_size, 1728);
	CU_ASSERT_EQUAL(m.recv_buf_complete.count, 9709);
	CU_ASSERT_EQUAL(nvsp_check_recv_buf_complete(&m, 16u << 20), 0);
	CU_ASSERT_EQUAL(nvsp_check_recv_buf_complete(&m, 1728 * 9709), 0);
	CU_ASSERT_EQUAL(nvsp_check_recv_buf_complete(&m, 1728 * 9709 - 1), -EPROTO);

	nvsp_build_send_buf_complete(&m, NVSP_STATUS_SUCCESS, 6144);
	COMPLETION(send_done, 3, &m, NVSP_VERSION_61);
	m = payload_of(send_done);
	CU_ASSERT_EQUAL(nvsp_check_send_buf_complete(&m, 16u << 20, &sections), 0);
	CU_ASSERT_EQUAL(sections, 2730);

	nvsp_build_revoke(&m, NVSP_TYPE_REVOKE_RECV_BUF, NVSP_RECV_BUF_ID);
	INBAND(revoke, 0, VMBUS_NO_TRANS_ID, &m);
	m = payload_of(revoke);
	CU_ASSERT_EQUAL(m.type, NVSP_TYPE_REVOKE_RECV_BUF);
	CU_ASSERT_EQUAL(m.revoke.id, 0xcafe);
}

static void
test_golden_channels(void)
{
	static const char ask[] = "06000200 07000100 04000000 00000000 85000000 01000000 07000000 "
				  "28*00";
	static const char answer[] = "0b000200 07000000 04000000 00000000 85000000 01000000 "
				     "07000000 28*00";
	static const char vf[] = "06000200 07000100 00000000 00000080 80000000 01000000 01000000 "
				 "28*00";
	static const char path[] = "06000200 07000100 05000000 00000000 81000000 01000000 32*00";
	static const char path_done[] = "0b000200 02000000 05000000 00000000";
	struct nvsp_message m;

	nvsp_build_subchannel(&m, 7);
	INBAND(ask, VMBUS_FLAG_COMPLETION, 4, &m);
	nvsp_build_subchannel_complete(&m, NVSP_STATUS_SUCCESS, 7);
	COMPLETION(answer, 4, &m, NVSP_VERSION_61);
	m = payload_of(answer);
	CU_ASSERT_EQUAL(m.subchannel_complete.status, NVSP_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(m.subchannel_complete.granted, 7);

	nvsp_build_vf_association(&m, true, 1);
	INBAND(vf, VMBUS_FLAG_COMPLETION, UINT64_C(0x8000000000000000), &m);
	m = payload_of(vf);
	CU_ASSERT_EQUAL(m.vf_association.allocated, 1);
	CU_ASSERT_EQUAL(m.vf_association.serial, 1);

	nvsp_build_switch_data_path(&m, NVSP_DATA_PATH_VF);
	INBAND(path, VMBUS_FLAG_COMPLETION, 5, &m);
	CU_ASSERT(packet_matches(path_done, VMBUS_PACKET_COMPLETION, 0, 5, NULL, 0, NULL, 0));
	m = payload_of(path);
	CU_ASSERT_EQUAL(m.switch_data_path.path, NVSP_DATA_PATH_VF);
}

static void
test_golden_rndis(void)
{
	static const char section[] = "06000200 07000100 11000000 00000000 6b000000 00000000 "
				      "05000000 68000000 24*00";
	static const char pages[] =
		"09000800 0d000100 12000000 00000000 00000000 02000000 2c000000 00010000 45230100 "
		"00000000 ea050000 000e0000 00200200 00000000 01200200 00000000 6b000000 00000000 "
		"ffffffff 00000000 24*00";
	static const char done[] = "0b000200 07000000 11000000 00000000 6c000000 01000000 32*00";
	const uint64_t ranges[] = {
		UINT64_C(2) << 32,
		UINT64_C(0x100) << 32 | 44,
		0x12345,
		UINT64_C(0xe00) << 32 | 1514,
		0x22000,
		0x22001,
	};
	struct nvsp_gpa_range range;
	struct nvsp_gpa_walk walk;
	struct nvsp_message m;
	struct bytes b;

	nvsp_build_rndis(&m, NVSP_CHANNEL_DATA, 5, 104);
	INBAND(section, VMBUS_FLAG_COMPLETION, 0x11, &m);
	m = payload_of(section);
	CU_ASSERT_EQUAL(m.rndis.channel_type, NVSP_CHANNEL_DATA);
	CU_ASSERT_EQUAL(m.rndis.section_index, 5);
	CU_ASSERT_EQUAL(m.rndis.section_bytes, 104);

	nvsp_build_rndis(&m, NVSP_CHANNEL_DATA, NVSP_SECTION_NONE, 0);
	CU_ASSERT(packet_matches(pages, VMBUS_PACKET_GPA_DIRECT, VMBUS_FLAG_COMPLETION, 0x12,
		ranges, sizeof(ranges), &m, sizeof(m)));
	m = payload_of(pages);
	CU_ASSERT_EQUAL(m.rndis.section_index, NVSP_SECTION_NONE);
	b = bytes_of(pages);
	CU_ASSERT_EQUAL(nvsp_gpa_walk_start(&walk, b.p + 16, 48, 32), 2);
	CU_ASSERT_EQUAL(nvsp_gpa_walk_next(&walk, &range), 1);
	CU_ASSERT_EQUAL(range.byte_count, 44);
	CU_ASSERT_EQUAL(range.byte_offset, 0x100);
	CU_ASSERT_EQUAL(range.pages, 1);
	CU_ASSERT_EQUAL(nvsp_gpa_pfn(&range, 0), 0x12345);
	CU_ASSERT_EQUAL(nvsp_gpa_walk_next(&walk, &range), 1);
	CU_ASSERT_EQUAL(range.byte_count, 1514);
	CU_ASSERT_EQUAL(range.byte_offset, 0xe00);
	CU_ASSERT_EQUAL(range.pages, 2);
	CU_ASSERT_EQUAL(nvsp_gpa_pfn(&range, 1), 0x22001);
	CU_ASSERT_EQUAL(nvsp_gpa_walk_next(&walk, &range), 0);
	bytes_free(&b);

	nvsp_build_rndis_complete(&m, NVSP_STATUS_SUCCESS);
	COMPLETION(done, 0x11, &m, NVSP_VERSION_61);
	m = payload_of(done);
	CU_ASSERT_EQUAL(m.rndis_complete.status, NVSP_STATUS_SUCCESS);
}

static void
test_golden_transfer(void)
{
	static const char xfer[] =
		"07000500 0a000100 10000000 00000000 feca0000 02000000 68000000 006c0000 16060000 "
		"c0720000 6b000000 00000000 ffffffff 00000000 24*00";
	static const char done[] = "0b000200 03000000 10000000 00000000 6c000000 01000000";
	const uint32_t header[] = {0xcafe, 2, 104, 16 * 1728, 1558, 17 * 1728};
	struct vmbus_xfer_range r;
	struct nvsp_message m;
	struct bytes b;

	nvsp_build_rndis(&m, NVSP_CHANNEL_DATA, NVSP_SECTION_NONE, 0);
	CU_ASSERT(packet_matches(xfer, VMBUS_PACKET_XFER_PAGES, VMBUS_FLAG_COMPLETION, 16, header,
		sizeof(header), &m, sizeof(m)));
	b = bytes_of(xfer);
	CU_ASSERT_EQUAL(nvsp_xfer_parse(b.p + 16, 24, NVSP_RECV_BUF_ID, 375), 2);
	r = nvsp_xfer_range(b.p + 16, 0);
	CU_ASSERT_EQUAL(r.byte_count, 104);
	CU_ASSERT_EQUAL(r.byte_offset, 16 * 1728);
	CU_ASSERT(nvsp_xfer_range_ok(r, 16u << 20, 1728));
	r = nvsp_xfer_range(b.p + 16, 1);
	CU_ASSERT_EQUAL(r.byte_count, 1558);
	CU_ASSERT_EQUAL(r.byte_offset, 17 * 1728);
	bytes_free(&b);

	/* A receive completion may be 8 bytes. */
	nvsp_build_rndis_complete(&m, NVSP_STATUS_SUCCESS);
	CU_ASSERT(packet_matches(done, VMBUS_PACKET_COMPLETION, 0, 16, NULL, 0, &m, 8));
	CU_ASSERT_EQUAL(nvsp_parse_rndis_complete(&m, 8), 0);
	CU_ASSERT_EQUAL(nvsp_parse_rndis_complete(&m, 7), -EBADMSG);
	CU_ASSERT_EQUAL(nvsp_parse_rndis_complete(&m, 0), -EBADMSG);
	nvsp_build_rndis_complete(&m, NVSP_STATUS_FAILURE);
	CU_ASSERT_EQUAL(nvsp_parse_rndis_complete(&m, 40), -EIO);
	nvsp_build_rndis_complete(&m, NVSP_STATUS_NONE);
	CU_ASSERT_EQUAL(nvsp_parse_rndis_complete(&m, 40), -EIO);
	nvsp_build_rndis(&m, 1, 2, 3);
	CU_ASSERT_EQUAL(nvsp_parse_rndis_complete(&m, 40), -EBADMSG);
}

/** A completion takes 56 ring bytes in class 28 and 64 in class 40. */
static void
test_size_class(void)
{
	CU_ASSERT_EQUAL(nvsp_message_size(0), 28);
	CU_ASSERT_EQUAL(nvsp_message_size(NVSP_VERSION_6), 28);
	CU_ASSERT_EQUAL(nvsp_message_size(NVSP_VERSION_61), 40);
	CU_ASSERT_EQUAL(vmbus_packet_ring_size(16 + nvsp_message_size(NVSP_VERSION_5)), 56);
	CU_ASSERT_EQUAL(vmbus_packet_ring_size(16 + nvsp_message_size(NVSP_VERSION_61)), 64);
	CU_ASSERT(nvsp_version_known(NVSP_VERSION_2));
	CU_ASSERT_FALSE(nvsp_version_known(0x30000));
	CU_ASSERT_FALSE(nvsp_version_known(0));
	for (unsigned int i = 1; i < NVSP_VERSION_COUNT; i++)
		CU_ASSERT(nvsp_versions_newest_first[i] < nvsp_versions_newest_first[i - 1]);
}

/** Every type at every data length from 0 to 48: exactly those >= 4 + payload pass. */
static void
test_every_length(void)
{
	static const struct {
		uint32_t type, payload;
	} known[] = {
		{1, 8},
		{2, 12},
		{100, 8},
		{101, 8},
		{102, 24},
		{103, 2},
		{104, 8},
		{105, 8},
		{106, 2},
		{107, 12},
		{108, 4},
		{125, 16},
		{128, 8},
		{129, 4},
		{130, 0},
		{131, 8},
		{132, 8},
		{133, 8},
		{134, 8},
		{135, 0},
		{136, 0},
	};

	for (uint32_t type = 0; type < 260; type++) {
		int payload = -1;

		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (known[i].type == type)
				payload = (int)known[i].payload;
		for (uint32_t len = 0; len <= 48; len++) {
			uint8_t data[48];
			struct nvsp_message m;
			struct bytes b;
			int want, ret;

			memset(data, 0xa5, sizeof(data));
			memcpy(data, &type, sizeof(type));
			b = bytes_copy(data, len);
			memset(&m, 0xff, sizeof(m));
			ret = nvsp_parse(b.p, len, &m);
			if (len < 4)
				want = -EBADMSG;
			else if (payload < 0)
				want = -ENOTSUP;
			else
				want = len >= 4 + (uint32_t)payload ? 0 : -EBADMSG;
			CU_ASSERT_EQUAL(ret, want);
			/* What was not sent reads as zero, the rest as it was sent. */
			for (uint32_t i = len < 4 ? 0 : 4; i < sizeof(m); i++)
				CU_ASSERT_EQUAL(((uint8_t *)&m)[i], len >= 4 && i < len ? 0xa5 : 0);
			bytes_free(&b);
		}
	}
}

static void
test_buffer_checks(void)
{
	struct nvsp_message ok, m;
	uint32_t sections = 7;

	nvsp_build_recv_buf_complete(&ok, NVSP_STATUS_SUCCESS, 68, 10);
	CU_ASSERT_EQUAL(nvsp_check_recv_buf_complete(&ok, 680), 0);
	CU_ASSERT_EQUAL(nvsp_check_recv_buf_complete(&ok, 679), -EPROTO);
	m = ok, m.recv_buf_complete.status = 0;
	CU_ASSERT_EQUAL(nvsp_check_recv_buf_complete(&m, 680), -EIO);
	m = ok, m.recv_buf_complete.num_sections = 2;
	CU_ASSERT_EQUAL(nvsp_check_recv_buf_complete(&m, 680), -EPROTO);
	m = ok, m.recv_buf_complete.num_sections = 0;
	CU_ASSERT_EQUAL(nvsp_check_recv_buf_complete(&m, 680), -EPROTO);
	m = ok, m.recv_buf_complete.offset = 8;
	CU_ASSERT_EQUAL(nvsp_check_recv_buf_complete(&m, 4096), -EPROTO);
	m = ok, m.recv_buf_complete.sub_alloc_size = 67;
	CU_ASSERT_EQUAL(nvsp_check_recv_buf_complete(&m, 680), -EPROTO);
	m = ok, m.recv_buf_complete.count = 0;
	CU_ASSERT_EQUAL(nvsp_check_recv_buf_complete(&m, 680), -EPROTO);
	/* The product does not fit 32 bits: 0x10000 * 0x10000 = 0. */
	m = ok, m.recv_buf_complete.sub_alloc_size = m.recv_buf_complete.count = 0x10000;
	CU_ASSERT_EQUAL(nvsp_check_recv_buf_complete(&m, 680), -EPROTO);

	nvsp_build_send_buf_complete(&m, NVSP_STATUS_FAILURE, 6144);
	CU_ASSERT_EQUAL(nvsp_check_send_buf_complete(&m, 6144, &sections), -EIO);
	CU_ASSERT_EQUAL(sections, 0);
	nvsp_build_send_buf_complete(&m, NVSP_STATUS_SUCCESS, 6146);
	CU_ASSERT_EQUAL(nvsp_check_send_buf_complete(&m, 61440, &sections), -EPROTO);
	nvsp_build_send_buf_complete(&m, NVSP_STATUS_SUCCESS, 0);
	CU_ASSERT_EQUAL(nvsp_check_send_buf_complete(&m, 61440, &sections), -EPROTO);
	nvsp_build_send_buf_complete(&m, NVSP_STATUS_SUCCESS, 6144);
	CU_ASSERT_EQUAL(nvsp_check_send_buf_complete(&m, 6143, &sections), 0);
	CU_ASSERT_EQUAL(sections, 0);
}

/** Build SEND_TABLE into exactly @p len bytes of heap and parse it. */
static int
table_parse(uint32_t at, uint32_t claimed, uint32_t len, uint32_t version, uint32_t channels,
	const uint32_t *table, uint32_t *out)
{
	uint8_t data[256] = {0};
	struct bytes b;
	int ret;

	CU_ASSERT_FATAL(nvsp_build_send_table(data, sizeof(data), at, claimed, table) > 0);
	b = bytes_copy(data, len);
	ret = nvsp_parse_send_table(b.p, len, version, channels, out);
	bytes_free(&b);
	return ret;
}

static void
test_send_table(void)
{
	static const char golden[] =
		"06000200 0f000000 8*00 86000000 10000000 28000000 28*00"
		"00000000 01000000 02000000 03000000 04000000 05000000 06000000 07000000"
		"00000000 01000000 02000000 03000000 04000000 05000000 06000000 07000000";
	uint32_t table[16], out[16];
	uint8_t message[104];

	for (uint32_t i = 0; i < 16; i++)
		table[i] = i % 8;
	CU_ASSERT_EQUAL(nvsp_build_send_table(message, sizeof(message), 40, 40, table), 104);
	CU_ASSERT(packet_matches(
		golden, VMBUS_PACKET_INBAND, 0, 0, NULL, 0, message, sizeof(message)));
	CU_ASSERT_EQUAL(nvsp_build_send_table(message, 103, 40, 40, table), -EINVAL);
	CU_ASSERT_EQUAL(nvsp_build_send_table(message, sizeof(message), 8, 8, table), -EINVAL);

	/* Layouts a, b, c, and b with the small offset of old hosts: the same result. */
	static const struct {
		uint32_t at, claimed, len, version;
	} good[] = {
		{28, 28, 96, NVSP_VERSION_5},
		{40, 40, 104, NVSP_VERSION_61},
		{40, 40, 104, NVSP_VERSION_5},
		{12, 12, 80, NVSP_VERSION_61},
		{12, 12, 76, NVSP_VERSION_5},
		{40, 28, 104, NVSP_VERSION_5},
		{40, 28, 104, NVSP_VERSION_6},
	};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		memset(out, 0xee, sizeof(out));
		CU_ASSERT_EQUAL(table_parse(good[i].at, good[i].claimed, good[i].len,
					good[i].version, 8, table, out),
			16);
		CU_ASSERT_EQUAL(memcmp(out, table, sizeof(table)), 0);
	}
	/* 0x28 with 96 bytes of data, offsets outside, lengths from 0. */
	CU_ASSERT_EQUAL(table_parse(40, 40, 96, NVSP_VERSION_5, 8, table, out), -EBADMSG);
	CU_ASSERT_EQUAL(table_parse(12, 11, 80, NVSP_VERSION_61, 8, table, out), -EBADMSG);
	CU_ASSERT_EQUAL(table_parse(12, 17, 80, NVSP_VERSION_61, 8, table, out), -EBADMSG);
	CU_ASSERT_EQUAL(table_parse(12, 0xffffffffu, 80, NVSP_VERSION_61, 8, table, out), -EBADMSG);
	for (uint32_t len = 0; len < 76; len++)
		CU_ASSERT_EQUAL(table_parse(12, 12, len, NVSP_VERSION_61, 8, table, out), -EBADMSG);

	/* Entries that name no open channel keep what was there. */
	table[3] = 64, table[9] = 0xffffffffu;
	memset(out, 0, sizeof(out));
	out[3] = 5, out[9] = 6;
	CU_ASSERT_EQUAL(table_parse(40, 40, 104, NVSP_VERSION_61, 8, table, out), 14);
	CU_ASSERT_EQUAL(out[3], 5);
	CU_ASSERT_EQUAL(out[9], 6);
	CU_ASSERT_EQUAL(out[15], 7);

	/* 15 entries are no table. */
	memset(message, 0, sizeof(message));
	nvsp_build_send_table(message, sizeof(message), 12, 12, table);
	message[4] = 15;
	CU_ASSERT_EQUAL(nvsp_parse_send_table(message, 76, NVSP_VERSION_61, 8, out), -EBADMSG);
}

static void
test_transfer_hostile(void)
{
	const uint32_t buffer = 1u << 20, section = 1728;
	uint8_t data[32] = {0xfe, 0xca, 0x77, 0x99, 2};
	struct vmbus_xfer_range r;
	struct bytes b;

	/* Bits 16-31 of the id word may be garbage. */
	for (uint32_t bytes = 0; bytes <= sizeof(data); bytes++) {
		b = bytes_copy(data, bytes);
		CU_ASSERT_EQUAL(nvsp_xfer_parse(b.p, bytes, NVSP_RECV_BUF_ID, 375),
			bytes >= 24 ? 2 : -EBADMSG);
		bytes_free(&b);
	}
	CU_ASSERT_EQUAL(nvsp_xfer_parse(data, 32, 0xcaff, 375), -EBADMSG);
	CU_ASSERT_EQUAL(nvsp_xfer_parse(data, 32, NVSP_RECV_BUF_ID, 1), -EBADMSG);
	/* 0x20000001 ranges of 8 bytes are 8 bytes in 32-bit maths. */
	memcpy(data + 4, &(uint32_t){0x20000001}, 4);
	CU_ASSERT_EQUAL(nvsp_xfer_parse(data, 32, NVSP_RECV_BUF_ID, 0xffffffffu), -EBADMSG);
	memcpy(data + 4, &(uint32_t){0}, 4);
	CU_ASSERT_EQUAL(nvsp_xfer_parse(data, 32, NVSP_RECV_BUF_ID, 375), -EBADMSG);

	r = (struct vmbus_xfer_range){section, buffer - section};
	CU_ASSERT(nvsp_xfer_range_ok(r, buffer, section));
	r.byte_offset++;
	CU_ASSERT_FALSE(nvsp_xfer_range_ok(r, buffer, section));
	r = (struct vmbus_xfer_range){8, buffer};
	CU_ASSERT_FALSE(nvsp_xfer_range_ok(r, buffer, section));
	r = (struct vmbus_xfer_range){8, 0xfffffff8u};
	CU_ASSERT_FALSE(nvsp_xfer_range_ok(r, buffer, section));
	r = (struct vmbus_xfer_range){0xfffffff8u, 8};
	CU_ASSERT_FALSE(nvsp_xfer_range_ok(r, buffer, 0xffffffffu));
	r = (struct vmbus_xfer_range){section + 1, 0};
	CU_ASSERT_FALSE(nvsp_xfer_range_ok(r, buffer, section));
	r = (struct vmbus_xfer_range){7, 0};
	CU_ASSERT_FALSE(nvsp_xfer_range_ok(r, buffer, section));
}

/** Walk a header of @p words u64s to its end. @return ranges seen, or the error */
static int
gpa_walk(const uint64_t *words, uint32_t n, uint32_t limit)
{
	struct bytes b = bytes_copy(words, (size_t)n * 8);
	struct nvsp_gpa_range range;
	struct nvsp_gpa_walk walk;
	uint64_t sum = 0;
	int seen = 0, ret;

	ret = nvsp_gpa_walk_start(&walk, b.p, b.len, limit);
	if (ret < 0) {
		bytes_free(&b);
		return ret;
	}
	while ((ret = nvsp_gpa_walk_next(&walk, &range)) == 1) {
		seen++;
		for (uint32_t i = 0; i < range.pages; i++)
			sum += nvsp_gpa_pfn(&range, i);
	}
	CU_ASSERT(sum < 1000);
	bytes_free(&b);
	return ret < 0 ? ret : seen;
}

#define GPA(offset, count) ((uint64_t)(offset) << 32 | (count))

static void
test_gpa_hostile(void)
{
	const uint64_t two[] = {GPA(2, 0), GPA(0x800, 0x1800), 1, 2, GPA(0, 1), 3};

	CU_ASSERT_EQUAL(gpa_walk(two, 6, 32), 2);
	for (uint32_t n = 0; n < 6; n++)
		CU_ASSERT_EQUAL(gpa_walk(two, n, 32), -EBADMSG);
	CU_ASSERT_EQUAL(gpa_walk(two, 6, 1), -EBADMSG);
	CU_ASSERT_EQUAL(gpa_walk((uint64_t[]){GPA(0, 0), GPA(0, 1), 3}, 3, 32), -EBADMSG);
	CU_ASSERT_EQUAL(gpa_walk((uint64_t[]){GPA(1, 0), GPA(0, 0), 3}, 3, 32), -EBADMSG);
	CU_ASSERT_EQUAL(gpa_walk((uint64_t[]){GPA(1, 0), GPA(4096, 1), 3}, 3, 32), -EBADMSG);
	CU_ASSERT_EQUAL(gpa_walk((uint64_t[]){GPA(1, 0), GPA(4095, 1), 3}, 3, 32), 1);
	CU_ASSERT_EQUAL(gpa_walk((uint64_t[]){GPA(1, 0), GPA(4095, 2), 3}, 3, 32), -EBADMSG);
	CU_ASSERT_EQUAL(gpa_walk((uint64_t[]){GPA(1, 0), GPA(4095, 2), 3, 4}, 4, 32), 1);
	/* offset + count wraps 32 bits to less than a page. */
	CU_ASSERT_EQUAL(
		gpa_walk((uint64_t[]){GPA(1, 0), GPA(0xfff, 0xfffff002u), 3}, 3, 32), -EBADMSG);
	CU_ASSERT_EQUAL(gpa_walk((uint64_t[]){GPA(0xffffffffu, 0), GPA(0, 1), 3}, 3, 0xffffffffu),
		-EBADMSG);
}

static void
test_names(void)
{
	CU_ASSERT_STRING_EQUAL(nvsp_type_name(134), "SEND_INDIRECTION_TABLE");
	for (uint32_t type = 0; type < 200; type++)
		CU_ASSERT_EQUAL(nvsp_min_len(type) == 0,
			strcmp(nvsp_type_name(type), "unknown NVSP message") == 0);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"golden INIT", test_golden_init},
		{"golden NDIS_CONFIG and NDIS_VERSION", test_golden_config},
		{"golden buffers", test_golden_buffers},
		{"golden subchannels, VF, data path", test_golden_channels},
		{"golden RNDIS sends", test_golden_rndis},
		{"golden transfer pages", test_golden_transfer},
		{"message sizes and versions", test_size_class},
		{"every type at every length", test_every_length},
		{"buffer answers", test_buffer_checks},
		{"send indirection table", test_send_table},
		{"hostile transfer pages", test_transfer_hostile},
		{"hostile guest page ranges", test_gpa_hostile},
		{"names", test_names},
	};

	return UNIT_RUN("netvsp", tests);
}
