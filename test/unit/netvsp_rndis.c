/* SPDX-License-Identifier: BSD-3-Clause */
/** @file RNDIS data packets against spec/rndis.md §13, and hostile ones (§10, §12). */
#include "lib/netvsp/rndis.h"

#include "test/unit/netvsp_bytes.h"

static const uint8_t tx_frame[62] = {0x00, 0x15, 0x5d, 0x01, 0x02, 0x03, 0x00, 0x15, 0x5d, 0x0a,
	0x0b, 0x0c, 0x08, 0x00, 0x45, 0x00, 0x00, 0x00, 0x10, 0x01, 0x40, 0x00, 0x40, 0x06, 0x00,
	0x00, 0x0a, 0x00, 0x00, 0x01, 0x0a, 0x00, 0x00, 0x02, 0x12, 0x34, 0x00, 0x50, 0x11, 0x11,
	0x11, 0x11, 0x22, 0x22, 0x22, 0x22, 0x50, 0x18, 0x20, 0x00, 0x14, 0x09, 0x00, 0x00, 'A',
	'B', 'C', 'D', 'E', 'F', 'G', 'H'};

static const char tx_hex[] =
	"01000000aa000000640000003e00000000000000000000000000000024000000400000000000000000000000"
	"10000000080000000c0000000300000010000000060000000c0000004506000010000000020000000c000000"
	"0400204210000000000000000c0000001500220000155d01020300155d0a0b0c080045000000100140004006"
	"00000a0000010a00000212340050111111112222222250182000140900004142434445464748";

static const char rx_hex[] =
	"0100000096000000640000002a00000000000000000000000000000024000000400000000000000000000000"
	"10000000000000000c0000003000000010000000080000000c00000078c1cc5110000000090000000c000000"
	"0102000010000000060000000c0000004506000000155d0a0b0c00155d01020308004500001c000000004011"
	"66cf0a0000020a000001005012340008d957";

static const struct rndis_tx_rules no_floor = {1518, RNDIS_MAX_BIG_FRAME, 1};

/** Guest's parse of exactly the first @p len bytes, all of them available. */
static int
parse_rx(const uint8_t *msg, uint32_t len, struct rndis_packet_info *info)
{
	struct bytes b = bytes_copy(msg, len);
	int ret = rndis_packet_parse_rx(b.p, len, len, info);

	bytes_free(&b);
	return ret;
}

static int
parse_tx(const uint8_t *msg, uint32_t len, const struct rndis_tx_rules *rules,
	struct rndis_packet_info *info)
{
	struct bytes b = bytes_copy(msg, len);
	int ret = rndis_packet_parse_tx(b.p, len, len, rules, info);

	bytes_free(&b);
	return ret;
}

static void
test_golden_tx(void)
{
	struct rndis_tx_rules rules = no_floor;
	struct bytes b = bytes_of(tx_hex);
	struct rndis_packet_builder builder;
	struct rndis_packet_info info;
	uint8_t out[256];
	uint32_t header;

	CU_ASSERT_EQUAL(b.len, 170);
	CU_ASSERT_EQUAL(bytes_crc32(b.p, b.len), 0xcddd1258);
	rndis_packet_begin(&builder, out);
	rndis_packet_add(&builder, RNDIS_PPI_HASH_VALUE, 3);
	rndis_packet_add(&builder, RNDIS_PPI_VLAN, rndis_vlan_from_tci(5 << 13 | 100));
	rndis_packet_add(&builder, RNDIS_PPI_LSO, rndis_lso(4, 34, false));
	rndis_packet_add(&builder, RNDIS_PPI_CHECKSUM,
		rndis_tx_csum(RNDIS_TX_CSUM_IPV4 | RNDIS_TX_CSUM_TCP | RNDIS_TX_CSUM_IP_HDR, 34));
	header = rndis_packet_end(&builder, b.len - 108);
	CU_ASSERT_EQUAL_FATAL(header, 108);
	memcpy(out + header, tx_frame, sizeof(tx_frame));
	CU_ASSERT(bytes_match(tx_hex, out, header + sizeof(tx_frame)));

	CU_ASSERT_EQUAL(parse_tx(b.p, b.len, &rules, &info), 0);
	CU_ASSERT_EQUAL(info.message_length, 170);
	CU_ASSERT_EQUAL(info.data_abs, 108);
	CU_ASSERT_EQUAL(info.data_length, 62);
	CU_ASSERT_EQUAL(info.present,
		RNDIS_HAS_HASH_VALUE | RNDIS_HAS_VLAN | RNDIS_HAS_LSO | RNDIS_HAS_CSUM);
	CU_ASSERT_EQUAL(info.hash_value, 3);
	CU_ASSERT_EQUAL(info.vlan_tci, 0xa064);
	CU_ASSERT_EQUAL(rndis_lso_mss(info.lso), 4);
	CU_ASSERT_EQUAL(rndis_lso_tcp_offset(info.lso), 34);
	CU_ASSERT_EQUAL(rndis_tx_csum_l4_offset(info.csum), 34);
	rules.mss_floor = RNDIS_MSS_FLOOR;
	CU_ASSERT_EQUAL(parse_tx(b.p, b.len, &rules, &info), -EBADMSG);
	bytes_free(&b);
}

static void
test_golden_rx(void)
{
	struct bytes b = bytes_of(rx_hex);
	struct rndis_packet_builder builder;
	struct rndis_packet_info info;
	uint8_t out[256];

	CU_ASSERT_EQUAL(b.len, 150);
	CU_ASSERT_EQUAL(bytes_crc32(b.p, b.len), 0xfa51c919);
	memset(out, 0, sizeof(out));
	rndis_packet_begin(&builder, out);
	rndis_packet_add(&builder, RNDIS_PPI_CHECKSUM, RNDIS_RX_CSUM_IP_OK | RNDIS_RX_CSUM_UDP_OK);
	rndis_packet_add(&builder, RNDIS_PPI_HASH_VALUE, 0x51ccc178);
	rndis_packet_add(&builder, RNDIS_PPI_HASH_INFO, 0x201);
	rndis_packet_add(&builder, RNDIS_PPI_VLAN, rndis_vlan_from_tci(0xa064));
	rndis_packet_end_at(&builder, 108, 42, 150);
	memcpy(out + 108, b.p + 108, 42);
	CU_ASSERT(bytes_match(rx_hex, out, 150));

	CU_ASSERT_EQUAL(parse_rx(b.p, b.len, &info), 0);
	CU_ASSERT_EQUAL(info.data_abs, 108);
	CU_ASSERT_EQUAL(info.data_length, 42);
	CU_ASSERT_EQUAL(info.present,
		RNDIS_HAS_CSUM | RNDIS_HAS_HASH_VALUE | RNDIS_HAS_HASH_INFO | RNDIS_HAS_VLAN);
	CU_ASSERT_EQUAL(info.csum, 0x30);
	CU_ASSERT_EQUAL(info.hash_value, 0x51ccc178);
	CU_ASSERT_EQUAL(info.hash_info, 0x201);
	CU_ASSERT_EQUAL(info.vlan_tci, 0xa064);

	/* Only a header's worth copied: the caller fetches the PPIs and walks them itself. */
	CU_ASSERT_EQUAL(rndis_packet_parse_rx(b.p, 100, b.len, &info), -ENOBUFS);
	CU_ASSERT_EQUAL(info.ppi_abs, 44);
	CU_ASSERT_EQUAL(info.ppi_length, 64);
	CU_ASSERT_EQUAL(info.data_abs, 108);
	CU_ASSERT_EQUAL(rndis_ppi_walk(b.p + info.ppi_abs, info.ppi_length, &info), 0);
	CU_ASSERT_EQUAL(info.vlan_tci, 0xa064);
	bytes_free(&b);
}

/** Frame length from DataLength alone; DataOffset 248 and a message as long as the section. */
static void
test_whole_section(void)
{
	struct rndis_packet_builder builder;
	struct rndis_packet_info info;
	uint8_t out[1806] = {0};

	rndis_packet_begin(&builder, out);
	rndis_packet_end_at(&builder, 256, 1514, sizeof(out));
	CU_ASSERT_EQUAL(parse_rx(out, sizeof(out), &info), 0);
	CU_ASSERT_EQUAL(info.data_abs, 256);
	CU_ASSERT_EQUAL(info.data_length, 1514);
	CU_ASSERT_EQUAL(info.present, 0);
	/* Range bytes behind the message are padding. */
	put32(out, 4, 1770);
	CU_ASSERT_EQUAL(parse_rx(out, sizeof(out), &info), 0);
	CU_ASSERT_EQUAL(info.message_length, 1770);
	put32(out, 4, 1769);
	CU_ASSERT_EQUAL(parse_rx(out, sizeof(out), &info), -EBADMSG);
	put32(out, 4, 1807);
	CU_ASSERT_EQUAL(parse_rx(out, sizeof(out), &info), -EBADMSG);
}

static uint32_t
append_frame(uint8_t *at, uint32_t frame)
{
	struct rndis_packet_builder builder;
	uint32_t header;

	rndis_packet_begin(&builder, at);
	header = rndis_packet_end(&builder, frame);
	memset(at + header, 0xee, frame);
	return header + frame;
}

/** Messages of a send tile the stream; padding counts in MessageLength, not in DataLength. */
static void
test_concatenation(void)
{
	struct rndis_packet_info info;
	uint8_t out[1024];
	uint32_t used, last;

	memset(out, 0x55, sizeof(out));
	/* 44 + 77 = 121 bytes each: the first becomes 128. */
	last = append_frame(out, 77);
	CU_ASSERT_EQUAL(last, 121);
	used = rndis_packet_pad(out, last, 8);
	CU_ASSERT_EQUAL(used, 128);
	for (uint32_t i = 121; i < 128; i++)
		CU_ASSERT_EQUAL(out[i], 0);
	used += append_frame(out + used, 77);
	CU_ASSERT_EQUAL(used, 249);
	CU_ASSERT_EQUAL(parse_tx(out, used, &no_floor, &info), 0);
	CU_ASSERT_EQUAL(info.message_length, 128);
	CU_ASSERT_EQUAL(info.data_length, 77);
	CU_ASSERT_EQUAL(parse_tx(out + 128, used - 128, &no_floor, &info), 0);
	CU_ASSERT_EQUAL(info.message_length, 121);

	/* Eight frames of 60 bytes: 104 each, 832 in all; one of 61 becomes 112. */
	used = 0;
	for (int i = 0; i < 8; i++) {
		last = append_frame(out + used, 60);
		used += rndis_packet_pad(out + used, last, 8);
	}
	CU_ASSERT_EQUAL(used, 832);
	last = append_frame(out, 61);
	CU_ASSERT_EQUAL(rndis_packet_pad(out, last, 8), 112);
}

/** All priorities, CFI and ids, both ways. */
static void
test_vlan(void)
{
	uint32_t wrong = 0;

	for (uint32_t tci = 0; tci <= 0xffff; tci++) {
		uint32_t word = rndis_vlan_from_tci((uint16_t)tci);

		wrong += word > 0xffff || rndis_vlan_to_tci(word) != tci;
		wrong += (word & 7) != tci >> 13 || (word >> 3 & 1) != (tci >> 12 & 1) ||
			 word >> 4 != (tci & 0xfff);
		/* Bits 16-31 mean nothing. */
		wrong += rndis_vlan_to_tci(word | 0xffff0000u) != tci;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(rndis_vlan_from_tci(0xa064), 0x645);
}

/** Each length and offset of the receive vector with values that must not pass. */
static void
test_hostile_rx(void)
{
	static const uint32_t values[] = {0, 1, 0x7fffffff, 0xfffffff8, 0xffffffff};
	/* Message; data offset, length; PPI offset, length; then size and offset of each PPI. */
	static const uint32_t fields[] = {4, 8, 12, 28, 32, 44, 52, 60, 68, 76, 84, 92, 100};
	struct bytes b = bytes_of(rx_hex);
	struct rndis_packet_info info;
	uint32_t saved;

	for (size_t f = 0; f < sizeof(fields) / sizeof(fields[0]); f++) {
		memcpy(&saved, b.p + fields[f], 4);
		for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
			put32(b.p, fields[f], values[v]);
			if (fields[f] == 32 && values[v] == 0) {
				/* No PPIs: legal, and none is seen. */
				CU_ASSERT_EQUAL(parse_rx(b.p, b.len, &info), 0);
				CU_ASSERT_EQUAL(info.present, 0);
			} else {
				CU_ASSERT_EQUAL(parse_rx(b.p, b.len, &info), -EBADMSG);
			}
		}
		put32(b.p, fields[f], saved);
	}
	CU_ASSERT_EQUAL(parse_rx(b.p, b.len, &info), 0);
	for (uint32_t len = 0; len < b.len; len++)
		CU_ASSERT_EQUAL(parse_rx(b.p, len, &info), -EBADMSG);
	/* All values of the PPI area's place: never a read outside (the sanitizer looks). */
	for (uint32_t offset = 0; offset < 200; offset++) {
		put32(b.p, 28, offset);
		if (parse_rx(b.p, b.len, &info) == 0)
			CU_ASSERT(offset == 36);
	}
	bytes_free(&b);
}

/** @p n PPIs {size, type, offset, value} with @p length bytes told to the walk. */
static int
walk(const uint32_t *words, uint32_t n, uint32_t length, struct rndis_packet_info *info)
{
	struct bytes b = bytes_copy(words, (size_t)n * 4);
	int ret;

	CU_ASSERT_FATAL(length <= b.len);
	ret = rndis_ppi_walk(b.p, length, info);
	bytes_free(&b);
	return ret;
}

static void
test_ppi_traps(void)
{
	struct rndis_packet_info info;
	uint32_t many[17 * 4];
	uint32_t ppi[] = {16, 77, 12, 0};

	CU_ASSERT_EQUAL(walk(ppi, 4, 16, &info), 0); /* unknown: skipped */
	CU_ASSERT_EQUAL(info.present, 0);
	for (uint32_t length = 1; length < 16; length++)
		CU_ASSERT_EQUAL(walk(ppi, 4, length, &info), -EBADMSG);

	static const uint32_t bad[][2] = {
		/* size, offset */
		{0, 0},
		{0, 12},
		{4, 12},
		{12, 12},
		{16, 0},
		{16, 8},
		{16, 13},
		{16, 16},
		{16, 0xfffffff4},
		{18, 12},
		{20, 12},
		{0x80000000, 12},
		{0xfffffffc, 12},
		{0xffffffff, 12},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		/* A known and an unknown kind: the in-tree driver loops on the latter. */
		ppi[0] = bad[i][0], ppi[1] = RNDIS_PPI_VLAN, ppi[2] = bad[i][1];
		CU_ASSERT_EQUAL(walk(ppi, 4, 16, &info), -EBADMSG);
		ppi[1] = 77;
		CU_ASSERT_EQUAL(walk(ppi, 4, 16, &info), -EBADMSG);
	}

	for (uint32_t i = 0; i < 17; i++)
		memcpy(many + 4 * i, (uint32_t[]){16, 8, 12, 100 + i}, 16);
	CU_ASSERT_EQUAL(walk(many, 64, 256, &info), 0);
	CU_ASSERT_EQUAL(info.hash_value, 100); /* the first wins */
	CU_ASSERT_EQUAL(walk(many, 68, 272, &info), -EBADMSG);

	/* A payload that is not at 12, in a longer PPI; and the internal namespace. */
	CU_ASSERT_EQUAL(walk((uint32_t[]){20, 6, 16, 0xffff, 0x645}, 5, 20, &info), 0);
	CU_ASSERT_EQUAL(info.vlan_tci, 0xa064);
	CU_ASSERT_EQUAL(walk((uint32_t[]){16, 0x80000001, 12, 0x00070301}, 4, 16, &info), 0);
	CU_ASSERT_EQUAL(info.present, RNDIS_HAS_PACKET_ID);
	CU_ASSERT_EQUAL(info.rsc_flags, RNDIS_RSC_MULTI | RNDIS_RSC_FIRST);
	CU_ASSERT_EQUAL(info.rsc_id, 7);
	CU_ASSERT_EQUAL(walk((uint32_t[]){16, 1, 12, 0x00070301}, 4, 16, &info), 0);
	CU_ASSERT_EQUAL(info.present, 0);
	CU_ASSERT_EQUAL(rndis_packet_id(RNDIS_RSC_MULTI | RNDIS_RSC_LAST, 7), 0x00070501);
}

/** Offload words of a guest that point outside the frame or ask for a segment flood. */
static void
test_tx_rules(void)
{
	static const struct {
		uint32_t type, value, frame;
		int want;
	} cases[] = {
		{RNDIS_PPI_CHECKSUM, 0x00220005, 54, 0},
		{RNDIS_PPI_CHECKSUM, 0x00220005, 53, -EBADMSG},
		{RNDIS_PPI_CHECKSUM, 0x00220009, 42, 0},
		{RNDIS_PPI_CHECKSUM, 0x00220009, 41, -EBADMSG},
		{RNDIS_PPI_CHECKSUM, 0x00210009, 60, -EBADMSG}, /* 33 < 34 */
		{RNDIS_PPI_CHECKSUM, 0x00000005, 54, 0},	/* minimal headers */
		{RNDIS_PPI_CHECKSUM, 0x00000005, 53, -EBADMSG},
		{RNDIS_PPI_CHECKSUM, 0x00360006, 74, 0},
		{RNDIS_PPI_CHECKSUM, 0x00350006, 74, -EBADMSG},
		{RNDIS_PPI_CHECKSUM, 0x03ff0006, 74, -EBADMSG},
		{RNDIS_PPI_CHECKSUM, 0x03ff0007, 74, 0}, /* both families: no L4 offload */
		{RNDIS_PPI_CHECKSUM, 0x03ff0004, 74, 0}, /* neither */
		{RNDIS_PPI_CHECKSUM, 0x00000011, 20, 0}, /* IPv4 header only */
		{RNDIS_PPI_LSO, 0x42200040, 200, 0},
		{RNDIS_PPI_LSO, 0x4220003f, 200, -EBADMSG},
		{RNDIS_PPI_LSO, 0x42200000, 200, -EBADMSG},
		{RNDIS_PPI_LSO, 0x02200040, 200, -EBADMSG}, /* LSOv1 */
		{RNDIS_PPI_LSO, 0x42100040, 200, -EBADMSG}, /* TCP at 33 */
		{RNDIS_PPI_LSO, 0xc2200040, 200, -EBADMSG}, /* IPv6, TCP at 34 */
		{RNDIS_PPI_LSO, 0xc3600040, 200, 0},
		{RNDIS_PPI_LSO, 0x42200040, 53, -EBADMSG},
		{RNDIS_PPI_LSO, 0x422005b4, 4000, 0},
		{RNDIS_PPI_LSO, 0x422005b4, 4001, -EBADMSG},
		{RNDIS_PPI_HASH_VALUE, 1, 1518, 0},
		{RNDIS_PPI_HASH_VALUE, 1, 1519, -EBADMSG},
		{RNDIS_PPI_HASH_VALUE, 1, 13, -EBADMSG},
	};
	static const uint32_t must_be_zero[] = {16, 20, 24, 36};
	const struct rndis_tx_rules rules = {1518, 4000, RNDIS_MSS_FLOOR};
	struct rndis_packet_builder builder;
	struct rndis_packet_info info;
	uint8_t out[8192] = {0};
	uint32_t header;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rndis_packet_begin(&builder, out);
		rndis_packet_add(&builder, cases[i].type, cases[i].value);
		header = rndis_packet_end(&builder, cases[i].frame);
		if (parse_tx(out, header + cases[i].frame, &rules, &info) != cases[i].want) {
			fprintf(stderr, "case %zu\n", i);
			CU_FAIL("offload word");
		}
	}
	rndis_packet_begin(&builder, out);
	header = rndis_packet_end(&builder, 60);
	CU_ASSERT_EQUAL(parse_tx(out, header + 60, &rules, &info), 0);
	for (size_t i = 0; i < 4; i++) {
		put32(out, must_be_zero[i], 1);
		CU_ASSERT_EQUAL(parse_tx(out, header + 60, &rules, &info), -EBADMSG);
		put32(out, must_be_zero[i], 0);
	}
	/* Trailing bytes of a stream are parsed as a header and fail. */
	CU_ASSERT_EQUAL(parse_tx(out + header + 60, 3, &rules, &info), -EBADMSG);
	put32(out, 0, RNDIS_TYPE_SET);
	CU_ASSERT_EQUAL(parse_tx(out, header + 60, &rules, &info), -EBADMSG);
}

static unsigned int
fragment(struct rndis_rsc *rsc, uint32_t flags, uint16_t id, uint32_t bytes, bool final_range)
{
	const struct rndis_packet_info info = {
		.present = RNDIS_HAS_PACKET_ID,
		.rsc_flags = (uint8_t)flags,
		.rsc_id = id,
		.data_length = bytes,
	};

	return rndis_rsc_next(rsc, &info, final_range);
}

static void
test_rsc(void)
{
	const uint32_t m = RNDIS_RSC_MULTI, first = m | RNDIS_RSC_FIRST, last = m | RNDIS_RSC_LAST;
	const struct rndis_packet_info plain = {.data_length = 60};
	const unsigned int start = RNDIS_RSC_ACT_START, finish = RNDIS_RSC_ACT_FINISH,
			   drop = RNDIS_RSC_ACT_DROP;
	struct rndis_rsc rsc = {0};

	CU_ASSERT_EQUAL(rndis_rsc_next(&rsc, &plain, true), start | finish);
	CU_ASSERT_EQUAL(fragment(&rsc, 0, 7, 60, true), start | finish);
	CU_ASSERT_EQUAL(fragment(&rsc, first, 7, 1500, false), start);
	CU_ASSERT_EQUAL(fragment(&rsc, m, 7, 1500, false), 0);
	CU_ASSERT_EQUAL(fragment(&rsc, last, 7, 100, true), finish);
	CU_ASSERT_EQUAL(fragment(&rsc, first | RNDIS_RSC_LAST, 8, 60, true), start | finish);
	/* A lone middle or last; first as the final range, and what follows it. */
	CU_ASSERT_EQUAL(fragment(&rsc, m, 7, 60, false), drop);
	CU_ASSERT_EQUAL(fragment(&rsc, last, 7, 60, true), drop);
	CU_ASSERT_EQUAL(fragment(&rsc, first, 7, 60, true), drop);
	CU_ASSERT_EQUAL(fragment(&rsc, last, 7, 60, true), drop);
	/* First twice: begins again. A plain frame or a bad range in between ends it. */
	CU_ASSERT_EQUAL(fragment(&rsc, first, 7, 60, false), start);
	CU_ASSERT_EQUAL(fragment(&rsc, first, 8, 60, false), start);
	CU_ASSERT_EQUAL(rndis_rsc_next(&rsc, &plain, false), start | finish);
	CU_ASSERT_EQUAL(fragment(&rsc, last, 8, 60, true), drop);
	CU_ASSERT_EQUAL(fragment(&rsc, first, 9, 60, false), start);
	rndis_rsc_reset(&rsc);
	CU_ASSERT_EQUAL(fragment(&rsc, last, 9, 60, true), drop);
	/* Another frame's id. */
	CU_ASSERT_EQUAL(fragment(&rsc, first, 7, 60, false), start);
	CU_ASSERT_EQUAL(fragment(&rsc, last, 8, 60, true), drop);
	/* 562 fragments pass, the 563rd does not. */
	CU_ASSERT_EQUAL(fragment(&rsc, first, 7, 60, false), start);
	for (int i = 1; i < 562; i++)
		CU_ASSERT_EQUAL(fragment(&rsc, m, 7, 60, false), 0);
	CU_ASSERT_EQUAL(fragment(&rsc, last, 7, 60, true), drop);
	/* 65535 + 18 bytes pass, one more does not. */
	CU_ASSERT_EQUAL(fragment(&rsc, first, 7, 65000, false), start);
	CU_ASSERT_EQUAL(fragment(&rsc, last, 7, 553, true), finish);
	CU_ASSERT_EQUAL(fragment(&rsc, first, 7, 65000, false), start);
	CU_ASSERT_EQUAL(fragment(&rsc, last, 7, 554, true), drop);
	CU_ASSERT_EQUAL(fragment(&rsc, first, 7, 0xffffffff, false), drop);
}

/** Random damage of both vectors: no read outside, and what passes stays inside the message. */
static void
test_random_damage(void)
{
	struct bytes vectors[] = {bytes_of(rx_hex), bytes_of(tx_hex)};
	uint64_t seed = 42;
	uint32_t passed = 0;

	for (uint32_t round = 0; round < 40000; round++) {
		struct bytes b = bytes_copy(vectors[round & 1].p, vectors[round & 1].len);
		struct rndis_packet_info info;
		struct rndis_completion done;
		struct rndis_indication in;
		struct rndis_control ask;
		uint32_t len = b.len;

		for (uint32_t n = bytes_random(&seed) % 4; n > 0; n--)
			b.p[bytes_random(&seed) % 108] ^= (uint8_t)(1u << bytes_random(&seed) % 8);
		if (bytes_random(&seed) % 4 == 0)
			len = bytes_random(&seed) % (b.len + 1);
		if (parse_rx(b.p, len, &info) == 0) {
			passed++;
			CU_ASSERT(info.message_length <= len && info.data_abs >= 44 &&
				  info.data_abs + info.data_length <= info.message_length);
		}
		if (parse_tx(b.p, len, &no_floor, &info) == 0)
			CU_ASSERT(info.data_abs + info.data_length <= info.message_length);
		put32(b.p, 0, bytes_random(&seed) % 10 | (bytes_random(&seed) & 1) << 31);
		if (rndis_parse_completion(b.p, len, &done) == 0)
			CU_ASSERT(done.info_length == 0 || done.info_abs + done.info_length <= len);
		if (rndis_parse_control(b.p, len, &ask) == 0)
			CU_ASSERT(ask.info_length == 0 || ask.info_abs + ask.info_length <= len);
		if (rndis_parse_indicate(b.p, len, &in) == 0)
			CU_ASSERT(in.buffer_length == 0 || in.buffer_abs + in.buffer_length <= len);
		bytes_free(&b);
	}
	CU_ASSERT(passed > 1000);
	bytes_free(&vectors[0]);
	bytes_free(&vectors[1]);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"golden transmit packet", test_golden_tx},
		{"golden receive packet", test_golden_rx},
		{"message as long as the section", test_whole_section},
		{"concatenated sends", test_concatenation},
		{"VLAN word both ways", test_vlan},
		{"hostile receive packets", test_hostile_rx},
		{"PPI traps", test_ppi_traps},
		{"host's rules for sends", test_tx_rules},
		{"receive segment coalescing", test_rsc},
		{"random damage", test_random_damage},
	};

	return UNIT_RUN("netvsp_rndis", tests);
}
