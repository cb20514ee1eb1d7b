/* SPDX-License-Identifier: BSD-3-Clause */
/** @file RNDIS control messages against spec/rndis.md §13, and malformed ones (§10). */
#include "lib/netvsp/rndis.h"

#include "test/unit/netvsp_bytes.h"

static void
test_golden_control(void)
{
	static const uint8_t mac[6] = {0x00, 0x15, 0x5d, 0x01, 0x02, 0x03};
	static const char init[] = "02000000 18000000 01000000 01000000 00000000 00400000";
	static const char init_c[] = "02000080 34000000 01000000 00000000 01000000 00000000 "
				     "01000000 00000000 08000000 ffffffef 03000000 00000000 "
				     "00000000";
	static const char query[] =
		"04000000 1c000000 02000000 01010101 00000000 14000000 00000000";
	static const char query_c[] = "04000080 1e000000 02000000 00000000 06000000 10000000 "
				      "00155d01 0203";
	static const char set[] = "05000000 20000000 03000000 0e010100 04000000 14000000 00000000 "
				  "0d000000";
	static const char set_c[] = "05000080 10000000 03000000 00000000";
	const uint32_t filter =
		RNDIS_FILTER_DIRECTED | RNDIS_FILTER_ALL_MULTICAST | RNDIS_FILTER_BROADCAST;
	struct rndis_completion done;
	struct rndis_control ask;
	uint8_t out[64];
	struct bytes b;

	CU_ASSERT(bytes_match(init, out, rndis_build_initialize(out, sizeof(out), 1, 0x4000)));
	b = bytes_of(init);
	CU_ASSERT_EQUAL(rndis_parse_control(b.p, b.len, &ask), 0);
	CU_ASSERT_EQUAL(ask.type, RNDIS_TYPE_INITIALIZE);
	CU_ASSERT_EQUAL(ask.request_id, 1);
	CU_ASSERT_EQUAL(ask.major, 1);
	CU_ASSERT_EQUAL(ask.max_transfer_size, 0x4000);
	bytes_free(&b);

	CU_ASSERT(bytes_match(init_c, out,
		rndis_build_initialize_complete(out, sizeof(out), 1, 0, 8, 0xefffffff, 3)));
	b = bytes_of(init_c);
	CU_ASSERT_EQUAL(rndis_parse_completion(b.p, b.len, &done), 0);
	CU_ASSERT_EQUAL(done.type, RNDIS_TYPE_INITIALIZE_CMPLT);
	CU_ASSERT_EQUAL(done.request_id, 1);
	CU_ASSERT_EQUAL(done.max_packets, 8);
	CU_ASSERT_EQUAL(done.max_transfer_size, 0xefffffff);
	CU_ASSERT_EQUAL(done.alignment, 8);
	bytes_free(&b);

	CU_ASSERT(bytes_match(query, out,
		rndis_build_query(out, sizeof(out), 2, OID_802_3_PERMANENT_ADDRESS, NULL, 0)));
	b = bytes_of(query);
	CU_ASSERT_EQUAL(rndis_parse_control(b.p, b.len, &ask), 0);
	CU_ASSERT_EQUAL(ask.oid, OID_802_3_PERMANENT_ADDRESS);
	CU_ASSERT_EQUAL(ask.info_length, 0);
	bytes_free(&b);

	CU_ASSERT(bytes_match(
		query_c, out, rndis_build_query_complete(out, sizeof(out), 2, 0, mac, 6)));
	b = bytes_of(query_c);
	CU_ASSERT_EQUAL(rndis_parse_completion(b.p, b.len, &done), 0);
	CU_ASSERT_EQUAL(done.info_length, 6);
	CU_ASSERT_EQUAL_FATAL(done.info_abs, 24);
	CU_ASSERT_EQUAL(memcmp(b.p + done.info_abs, mac, 6), 0);
	bytes_free(&b);

	CU_ASSERT(bytes_match(set, out,
		rndis_build_set(out, sizeof(out), 3, OID_GEN_CURRENT_PACKET_FILTER, &filter, 4)));
	b = bytes_of(set);
	CU_ASSERT_EQUAL(rndis_parse_control(b.p, b.len, &ask), 0);
	CU_ASSERT_EQUAL(ask.type, RNDIS_TYPE_SET);
	CU_ASSERT_EQUAL(ask.info_length, 4);
	CU_ASSERT_EQUAL_FATAL(ask.info_abs, 28);
	CU_ASSERT_EQUAL(b.p[ask.info_abs], 0x0d);
	bytes_free(&b);

	CU_ASSERT(bytes_match(set_c, out, rndis_build_set_complete(out, sizeof(out), 3, 0)));
	b = bytes_of(set_c);
	CU_ASSERT_EQUAL(rndis_parse_completion(b.p, b.len, &done), 0);
	CU_ASSERT_EQUAL(done.type, RNDIS_TYPE_SET_CMPLT);
	CU_ASSERT_EQUAL(done.request_id, 3);
	bytes_free(&b);
}

static void
test_golden_indicate(void)
{
	static const char up[] = "07000000 14000000 0b000140 00000000 00000000";
	static const char speed[] = "07000000 18000000 13000140 04000000 0c000000 00e1f505";
	const uint32_t units = 100000000; /* 10 Gbit/s in 100 bit/s */
	struct rndis_indication in;
	uint8_t out[64];
	struct bytes b;

	CU_ASSERT(bytes_match(up, out,
		rndis_build_indicate(out, sizeof(out), RNDIS_STATUS_MEDIA_CONNECT, NULL, 0)));
	b = bytes_of(up);
	CU_ASSERT_EQUAL(rndis_parse_indicate(b.p, b.len, &in), 0);
	CU_ASSERT_EQUAL(in.status, RNDIS_STATUS_MEDIA_CONNECT);
	CU_ASSERT_EQUAL(in.buffer_length, 0);
	bytes_free(&b);

	CU_ASSERT(bytes_match(speed, out,
		rndis_build_indicate(out, sizeof(out), RNDIS_STATUS_LINK_SPEED_CHANGE, &units, 4)));
	b = bytes_of(speed);
	CU_ASSERT_EQUAL(rndis_parse_indicate(b.p, b.len, &in), 0);
	CU_ASSERT_EQUAL(in.buffer_length, 4);
	CU_ASSERT_EQUAL_FATAL(in.buffer_abs, 20);
	CU_ASSERT_EQUAL(memcmp(b.p + in.buffer_abs, &units, 4), 0);
	/* Old switches leave the buffer out of MessageLength. */
	put32(b.p, 4, 20);
	CU_ASSERT_EQUAL(rndis_parse_indicate(b.p, b.len, &in), 0);
	CU_ASSERT_EQUAL(in.buffer_length, 4);
	CU_ASSERT_EQUAL(rndis_parse_indicate(b.p, 23, &in), 0);
	CU_ASSERT_EQUAL(in.buffer_length, 0);
	CU_ASSERT_EQUAL(rndis_parse_indicate(b.p, 19, &in), -EBADMSG);
	put32(b.p, 16, 0xfffffffc);
	CU_ASSERT_EQUAL(rndis_parse_indicate(b.p, b.len, &in), 0);
	CU_ASSERT_EQUAL(in.buffer_length, 0);
	bytes_free(&b);
}

static void
test_completions(void)
{
	struct rndis_completion done;
	struct rndis_control ask;
	uint8_t msg[128];
	struct bytes b;
	int len;

	/* INITIALIZE_C of 48 bytes; factors 0 and 31; 0 packets. */
	len = rndis_build_initialize_complete(msg, sizeof(msg), 9, 0, 0, 4096, 0);
	put32(msg, 4, 48);
	b = bytes_copy(msg, 48);
	CU_ASSERT_EQUAL(rndis_parse_completion(b.p, 48, &done), 0);
	CU_ASSERT_EQUAL(done.alignment, 4);
	CU_ASSERT_EQUAL(done.max_packets, 1);
	put32(b.p, 4, 47);
	CU_ASSERT_EQUAL(rndis_parse_completion(b.p, 48, &done), -EBADMSG);
	bytes_free(&b);
	for (uint32_t factor = 0; factor < 40; factor++) {
		rndis_build_initialize_complete(msg, sizeof(msg), 9, 0, 8, 4096, factor);
		CU_ASSERT_EQUAL(rndis_parse_completion(msg, (uint32_t)len, &done), 0);
		CU_ASSERT_EQUAL(done.alignment, factor <= 2 ? 4 : factor <= 12 ? 1u << factor : 4);
		CU_ASSERT_EQUAL(done.max_packets, factor <= 12 ? 8 : 1);
	}

	/* QUERY_C: info outside, offset below the header, an error without info. */
	len = rndis_build_query_complete(msg, sizeof(msg), 5, 0, msg + 64, 8);
	CU_ASSERT_EQUAL(len, 32);
	for (uint32_t avail = 0; avail < 32; avail++) {
		b = bytes_copy(msg, avail);
		CU_ASSERT_EQUAL(rndis_parse_completion(b.p, avail, &done), -EBADMSG);
		bytes_free(&b);
	}
	static const uint32_t bad[][2] = {{9, 16}, {8, 17}, {8, 15}, {8, 0}, {0xffffffff, 16},
		{1, 0xffffffff}, {8, 0xfffffff8}};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put32(msg, 16, bad[i][0]);
		put32(msg, 20, bad[i][1]);
		CU_ASSERT_EQUAL(rndis_parse_completion(msg, 32, &done), -EBADMSG);
	}
	put32(msg, 16, 0);
	put32(msg, 20, 0);
	CU_ASSERT_EQUAL(rndis_parse_completion(msg, 32, &done), 0);
	CU_ASSERT_EQUAL(done.info_length, 0);
	len = rndis_build_query_complete(
		msg, sizeof(msg), 5, RNDIS_STATUS_NOT_SUPPORTED, msg + 64, 8);
	CU_ASSERT_EQUAL(len, 24);
	CU_ASSERT_EQUAL(rndis_parse_completion(msg, 24, &done), 0);
	CU_ASSERT_EQUAL(done.status, RNDIS_STATUS_NOT_SUPPORTED);
	CU_ASSERT_EQUAL(done.info_length, 0);

	len = rndis_build_reset_complete(msg, sizeof(msg), 0, true);
	CU_ASSERT_EQUAL(rndis_parse_completion(msg, (uint32_t)len, &done), 0);
	CU_ASSERT_EQUAL(done.type, RNDIS_TYPE_RESET_CMPLT);
	len = rndis_build_keepalive_complete(msg, sizeof(msg), 6, 0);
	CU_ASSERT_EQUAL(rndis_parse_completion(msg, (uint32_t)len, &done), 0);
	CU_ASSERT_EQUAL(done.request_id, 6);
	put32(msg, 0, RNDIS_TYPE_KEEPALIVE);
	CU_ASSERT_EQUAL(rndis_parse_completion(msg, (uint32_t)len, &done), -ENOTSUP);

	/* The host's end. */
	len = rndis_build_set(msg, sizeof(msg), 7, OID_GEN_CURRENT_PACKET_FILTER, "1234", 4);
	CU_ASSERT_EQUAL(len, 32);
	for (uint32_t avail = 0; avail < 32; avail++) {
		b = bytes_copy(msg, avail);
		CU_ASSERT_EQUAL(rndis_parse_control(b.p, avail, &ask), -EBADMSG);
		bytes_free(&b);
	}
	static const uint32_t wrong[][2] = {
		{5, 20}, {4, 21}, {4, 19}, {0xffffffff, 20}, {1, 0xffffffff}, {4, 0xfffffffc}};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		put32(msg, 16, wrong[i][0]);
		put32(msg, 20, wrong[i][1]);
		CU_ASSERT_EQUAL(rndis_parse_control(msg, 32, &ask), -EBADMSG);
	}
	len = rndis_build_short(msg, sizeof(msg), RNDIS_TYPE_HALT, 8);
	CU_ASSERT_EQUAL(len, 12);
	CU_ASSERT_EQUAL(rndis_parse_control(msg, 12, &ask), 0);
	CU_ASSERT_EQUAL(ask.type, RNDIS_TYPE_HALT);
	CU_ASSERT_EQUAL(ask.request_id, 8);
	put32(msg, 0, 9);
	CU_ASSERT_EQUAL(rndis_parse_control(msg, 12, &ask), -ENOTSUP);
	put32(msg, 0, RNDIS_TYPE_INITIALIZE);
	CU_ASSERT_EQUAL(rndis_parse_control(msg, 12, &ask), -EBADMSG);
	CU_ASSERT_EQUAL(rndis_build_initialize(msg, 23, 1, 1), -ENOSPC);
	CU_ASSERT_EQUAL(rndis_build_query(msg, 40, 1, 1, msg, 13), -ENOSPC);
	CU_ASSERT_EQUAL(rndis_build_query(msg, 40, 1, 1, NULL, 0xffffffffu), -ENOSPC);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"golden control messages", test_golden_control},
		{"golden indications", test_golden_indicate},
		{"completions and requests", test_completions},
	};

	return UNIT_RUN("netvsp_control", tests);
}
