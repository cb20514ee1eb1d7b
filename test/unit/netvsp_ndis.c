/* SPDX-License-Identifier: BSD-3-Clause */
/** @file NDIS objects and the Toeplitz hash against spec/rndis.md §5.2-§7, §13. */
#include "lib/netvsp/ndis.h"

#include "lib/netvsp/rndis.h"
#include "test/unit/netvsp_bytes.h"

#define TX_ALL                                                                                     \
	(NDIS_CAN_TX_IP4 | NDIS_CAN_TX_TCP4 | NDIS_CAN_TX_UDP4 | NDIS_CAN_TX_TCP6 |                \
		NDIS_CAN_TX_UDP6)
#define RX_ALL                                                                                     \
	(NDIS_CAN_RX_IP4 | NDIS_CAN_RX_TCP4 | NDIS_CAN_RX_UDP4 | NDIS_CAN_RX_TCP6 |                \
		NDIS_CAN_RX_UDP6)

/** The hash bit by bit, as the definition has it. */
static uint32_t
reference_hash(const uint8_t *key, const uint8_t *data, uint32_t len)
{
	uint32_t hash = 0;

	for (uint32_t bit = 0; bit < len * 8; bit++) {
		if (!(data[bit / 8] & 0x80 >> bit % 8))
			continue;
		for (uint32_t k = 0; k < 32; k++) {
			uint32_t at = bit + k;

			if (at < TOEPLITZ_KEY_SIZE * 8 && key[at / 8] & 0x80 >> at % 8)
				hash ^= 0x80000000u >> k;
		}
	}
	return hash;
}

static void
test_toeplitz(void)
{
	static const uint8_t flow[] = {
		66, 9, 149, 187, 161, 142, 100, 80, 2794 >> 8, 2794 & 0xff, 1766 >> 8, 1766 & 0xff};
	struct toeplitz *t = malloc(sizeof(*t));
	uint8_t key[TOEPLITZ_KEY_SIZE], data[TOEPLITZ_MAX_INPUT];
	uint64_t seed = 7;

	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	toeplitz_set_key(t, toeplitz_default_key);
	CU_ASSERT_EQUAL(toeplitz_hash(t, flow, 12), 0x51ccc178);
	CU_ASSERT_EQUAL(toeplitz_hash(t, flow, 8), 0x323e8fc2);
	CU_ASSERT_EQUAL(toeplitz_hash(t, flow, 12) % 128, 120);
	CU_ASSERT_EQUAL(
		toeplitz_part(t, 0, flow, 8) ^ toeplitz_part(t, 8, flow + 8, 4), 0x51ccc178);
	for (int round = 0; round < 200; round++) {
		uint32_t len = bytes_random(&seed) % (TOEPLITZ_MAX_INPUT + 1);

		for (uint32_t i = 0; i < sizeof(key); i++)
			key[i] = (uint8_t)bytes_random(&seed);
		for (uint32_t i = 0; i < sizeof(data); i++)
			data[i] = (uint8_t)bytes_random(&seed);
		toeplitz_set_key(t, key);
		CU_ASSERT_EQUAL(toeplitz_hash(t, data, len), reference_hash(key, data, len));
	}
	free(t);
}

static void
test_golden_rss(void)
{
	static const char head[] = "05000000 6c020000 04000000 04020100 50020000 14000000 00000000 "
				   "89022800 00000000 01170000 00020000 28000000 28000000 "
				   "28020000 00000000 00000000 00000000";
	static const char query[] = "04000000 2e000000 07000000 03020100 12000000 14000000 "
				    "00000000 88021200 14*00";
	static const char caps_hex[] = "88021200 01030000 01000000 10000000 8000";
	const uint32_t hash_info = NDIS_HASH_TOEPLITZ | NDIS_HASH_IPV4 | NDIS_HASH_TCP_IPV4 |
				   NDIS_HASH_IPV6 | NDIS_HASH_TCP_IPV6;
	uint8_t info[NDIS_RSS_PARAMS_INFO], msg[1024];
	struct ndis_rss_config config;
	struct ndis_rss_caps caps;
	uint16_t table[128];
	struct bytes b;
	int len;

	for (uint32_t i = 0; i < 128; i++)
		table[i] = i % 4;
	CU_ASSERT_EQUAL(ndis_build_rss_params(info, sizeof(info), hash_info, table,
				NDIS_RSS_TABLE_ENTRIES, toeplitz_default_key),
		592);
	len = rndis_build_set(
		msg, sizeof(msg), 4, OID_GEN_RECEIVE_SCALE_PARAMETERS, info, sizeof(info));
	CU_ASSERT_EQUAL_FATAL(len, 620);
	CU_ASSERT_EQUAL(bytes_crc32(msg, 620), 0xc266df12);
	CU_ASSERT(bytes_match(head, msg, 28 + 40));
	CU_ASSERT_EQUAL(ndis_build_rss_params(info, 591, hash_info, table, NDIS_RSS_TABLE_ENTRIES,
				toeplitz_default_key),
		-ENOSPC);

	b = bytes_copy(msg + 28, 592);
	CU_ASSERT_EQUAL(ndis_parse_rss_params(b.p, b.len, 4, &config), RNDIS_STATUS_SUCCESS);
	CU_ASSERT(config.enabled);
	CU_ASSERT_EQUAL(config.hash_info, 0x1701);
	CU_ASSERT_EQUAL(memcmp(config.table, table, sizeof(table)), 0);
	CU_ASSERT_EQUAL(config.table[120], 0);
	CU_ASSERT_EQUAL(memcmp(config.key, toeplitz_default_key, 40), 0);
	CU_ASSERT_EQUAL(ndis_parse_rss_params(b.p, b.len, 3, &config), RNDIS_STATUS_INVALID_DATA);
	CU_ASSERT(config.enabled);
	bytes_free(&b);

	len = ndis_build_rss_query(info, sizeof(info), NDIS_VERSION_6_30);
	len = rndis_build_query(
		msg, sizeof(msg), 7, OID_GEN_RECEIVE_SCALE_CAPABILITIES, info, (uint32_t)len);
	CU_ASSERT_EQUAL(len, 46);
	CU_ASSERT(bytes_match(query, msg, (uint32_t)len));
	len = ndis_build_rss_caps(info, sizeof(info), NDIS_VERSION_6_30,
		NDIS_RSS_CAP_TOEPLITZ | NDIS_RSS_CAP_TCP_IPV4 | NDIS_RSS_CAP_TCP_IPV6, 16);
	CU_ASSERT(bytes_match(caps_hex, info, (uint32_t)len));
	b = bytes_of(caps_hex);
	CU_ASSERT_EQUAL(ndis_parse_rss_caps(b.p, b.len, &caps), 0);
	CU_ASSERT_EQUAL(caps.cap_flags, 0x301);
	CU_ASSERT_EQUAL(caps.receive_queues, 16);
	CU_ASSERT_EQUAL(caps.table_entries, 128);
	for (uint32_t n = 0; n < b.len; n++) {
		struct bytes cut = bytes_copy(b.p, n);

		CU_ASSERT_EQUAL(ndis_parse_rss_caps(cut.p, n, &caps), -EBADMSG);
		bytes_free(&cut);
	}
	bytes_free(&b);
	/* Revision 1 has no entries field. */
	len = ndis_build_rss_caps(info, sizeof(info), NDIS_VERSION_6_20, 0x301, 16);
	CU_ASSERT_EQUAL(len, 16);
	CU_ASSERT_EQUAL(ndis_parse_rss_caps(info, 16, &caps), 0);
	CU_ASSERT_EQUAL(caps.table_entries, 128);
}

static void
test_rss_hostile(void)
{
	uint8_t info[NDIS_RSS_PARAMS_INFO];
	struct ndis_rss_config config = {.hash_info = 99};
	struct ndis_rss_params p, ok;
	uint16_t table[128] = {0};
	struct bytes b;

	table[0] = 1;
	ndis_build_rss_params(
		info, sizeof(info), 0x1701, table, NDIS_RSS_TABLE_ENTRIES, toeplitz_default_key);
	memcpy(&ok, info, sizeof(ok));
	for (uint32_t len = 0; len < 592; len++) {
		b = bytes_copy(info, len);
		CU_ASSERT_EQUAL(ndis_parse_rss_params(b.p, len, 4, &config),
			len < 40 ? RNDIS_STATUS_FAILURE : RNDIS_STATUS_INVALID_DATA);
		bytes_free(&b);
	}
	CU_ASSERT_EQUAL(config.hash_info, 99);
#define REFUSED(change)                                                                            \
	do {                                                                                       \
		p = ok, change;                                                                    \
		b = bytes_copy(info, sizeof(info));                                                \
		memcpy(b.p, &p, sizeof(p));                                                        \
		CU_ASSERT_EQUAL(                                                                   \
			ndis_parse_rss_params(b.p, b.len, 4, &config), RNDIS_STATUS_INVALID_DATA); \
		bytes_free(&b);                                                                    \
	} while (0)
	REFUSED(p.key_size = 39);
	REFUSED(p.key_size = 0);
	REFUSED(p.table_size = 0);
	REFUSED(p.table_size = 510);
	REFUSED(p.table_size = 556); /* past the end */
	REFUSED(p.table_size = 0xfffc);
	REFUSED(p.table_offset = 81);
	REFUSED(p.table_offset = 0xffffffff);
	REFUSED(p.table_offset = 0xfffffffc);
	REFUSED(p.key_offset = 553);
	REFUSED(p.key_offset = 0xfffffff8);
	CU_ASSERT_EQUAL(config.hash_info, 99);

	/* A short table is repeated; the key may come first. */
	p = ok, p.table_size = 8, p.table_offset = 80, p.key_offset = 40;
	memcpy(info, &p, sizeof(p));
	memcpy(info + 40, toeplitz_default_key, 40);
	memcpy(info + 80, (uint32_t[]){2, 3}, 8);
	CU_ASSERT_EQUAL(ndis_parse_rss_params(info, 88, 4, &config), RNDIS_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(config.table[126], 2);
	CU_ASSERT_EQUAL(config.table[127], 3);
	CU_ASSERT_EQUAL(memcmp(config.key, toeplitz_default_key, 40), 0);

	/* Off: by flag and by function 0. */
	CU_ASSERT_EQUAL(ndis_build_rss_disable(info, sizeof(info), toeplitz_default_key), 592);
	CU_ASSERT_EQUAL(ndis_parse_rss_params(info, 592, 4, &config), RNDIS_STATUS_SUCCESS);
	CU_ASSERT_FALSE(config.enabled);
	config.enabled = true;
	ndis_build_rss_params(
		info, sizeof(info), 0x1700, table, NDIS_RSS_TABLE_ENTRIES, toeplitz_default_key);
	CU_ASSERT_EQUAL(ndis_parse_rss_params(info, 592, 4, &config), RNDIS_STATUS_SUCCESS);
	CU_ASSERT_FALSE(config.enabled);
}

/* Hosts with many processors have tables of more than 128 entries (spec/hosts.md §2). */
static void
test_rss_tables_of_other_sizes(void)
{
	static const uint32_t sizes[] = {1, 2, 16, 64, 128, 256, 512};
	uint8_t info[NDIS_RSS_PARAMS_MAX];
	struct ndis_rss_config config;
	uint16_t table[NDIS_RSS_TABLE_MAX];
	uint32_t i, s;

	for (i = 0; i < NDIS_RSS_TABLE_MAX; i++)
		table[i] = (uint16_t)(i * 7 % 64);
	for (s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		int len = ndis_build_rss_params(
			info, sizeof(info), 0x1701, table, sizes[s], toeplitz_default_key);

		CU_ASSERT_EQUAL(len, (int)(40 + sizes[s] * 4 + 40));
		CU_ASSERT_EQUAL(ndis_parse_rss_params(info, (size_t)len, 64, &config),
			RNDIS_STATUS_SUCCESS);
		CU_ASSERT_EQUAL(config.entries, sizes[s]);
		for (i = 0; i < NDIS_RSS_TABLE_MAX; i++)
			CU_ASSERT_EQUAL(config.table[i], table[i % sizes[s]]);
		CU_ASSERT_EQUAL(memcmp(config.key, toeplitz_default_key, 40), 0);
		CU_ASSERT_EQUAL(ndis_build_rss_params(info, (size_t)len - 1, 0x1701, table,
					sizes[s], toeplitz_default_key),
			-ENOSPC);
	}
	CU_ASSERT_EQUAL(
		ndis_build_rss_params(info, sizeof(info), 0x1701, table, 513, toeplitz_default_key),
		-ENOSPC);
	/* 48 of 128: the hash chooses among 128, which are the 48 over and over (spec/rndis.md §7).
	 */
	ndis_build_rss_params(info, sizeof(info), 0x1701, table, 48, toeplitz_default_key);
	CU_ASSERT_EQUAL(
		ndis_parse_rss_params(info, sizeof(info), 64, &config), RNDIS_STATUS_SUCCESS);
	for (i = 0; i < NDIS_RSS_TABLE_MAX; i++)
		CU_ASSERT_EQUAL(config.table[i], table[i % 128 % 48]);
}

static void
test_golden_params(void)
{
	static const char hex[] = "05000000 38000000 05000000 0c0201fc 1c000000 14000000 00000000 "
				  "80031c00 04040404 04000002 02000000 00000000 00000101 00000000";
	uint32_t on = NDIS_CAN_RSC4;
	uint8_t info[28], msg[64];
	int len;

	len = ndis_build_offload_params(info, sizeof(info), NDIS_VERSION_6_30,
		TX_ALL | RX_ALL | NDIS_CAN_TSO4 | NDIS_CAN_TSO6);
	CU_ASSERT_EQUAL_FATAL(len, 28);
	len = rndis_build_set(msg, sizeof(msg), 5, OID_TCP_OFFLOAD_PARAMETERS, info, 28);
	CU_ASSERT(bytes_match(hex, msg, (uint32_t)len));
	CU_ASSERT_EQUAL(
		ndis_apply_offload_params(msg + 28, 28, NDIS_CAN_ALL, &on), RNDIS_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(on, TX_ALL | RX_ALL | NDIS_CAN_TSO4 | NDIS_CAN_TSO6);
	/* What the host cannot do stays off. */
	on = 0;
	ndis_apply_offload_params(info, 28, NDIS_CAN_TX_TCP4 | NDIS_CAN_TSO6, &on);
	CU_ASSERT_EQUAL(on, NDIS_CAN_TX_TCP4 | NDIS_CAN_TSO6);
}

/** All four combinations of each of the five checksums: byte values, and back on the host. */
static void
test_capability_bytes(void)
{
	static const struct {
		uint32_t tx, rx, at;
	} csum[] = {
		{NDIS_CAN_TX_IP4, NDIS_CAN_RX_IP4, 4},
		{NDIS_CAN_TX_TCP4, NDIS_CAN_RX_TCP4, 5},
		{NDIS_CAN_TX_UDP4, NDIS_CAN_RX_UDP4, 6},
		{NDIS_CAN_TX_TCP6, NDIS_CAN_RX_TCP6, 7},
		{NDIS_CAN_TX_UDP6, NDIS_CAN_RX_UDP6, 8},
	};
	static const struct {
		uint32_t bit, at;
	} onoff[] = {
		{NDIS_CAN_TSO4, 11},
		{NDIS_CAN_TSO6, 12},
		{NDIS_CAN_RSC4, 22},
		{NDIS_CAN_RSC6, 23},
	};
	uint8_t info[28];

	for (size_t i = 0; i < 5; i++)
		for (uint32_t combination = 0; combination < 4; combination++) {
			/* 1 neither, 2 transmit, 3 receive, 4 both: an enumeration, not bits. */
			static const uint8_t want[] = {1, 2, 3, 4};
			uint32_t can = (combination & 1 ? csum[i].tx : 0) |
				       (combination & 2 ? csum[i].rx : 0);
			uint32_t on = NDIS_CAN_ALL;

			ndis_build_offload_params(info, sizeof(info), NDIS_VERSION_6_30, can);
			for (size_t k = 0; k < 5; k++)
				CU_ASSERT_EQUAL(info[csum[k].at], k == i ? want[combination] : 1);
			CU_ASSERT_EQUAL(ndis_apply_offload_params(info, 28, NDIS_CAN_ALL, &on),
				RNDIS_STATUS_SUCCESS);
			CU_ASSERT_EQUAL(on, can);
		}
	for (size_t i = 0; i < 4; i++) {
		ndis_build_offload_params(info, sizeof(info), NDIS_VERSION_6_30, onoff[i].bit);
		for (size_t k = 0; k < 4; k++)
			CU_ASSERT_EQUAL(info[onoff[k].at], k == i ? 2 : 1);
	}
	/* IPsec, connection and encapsulation stay 0. */
	CU_ASSERT_EQUAL(info[10] | info[13] | info[14] | info[24] | info[25], 0);
}

static void
test_params_hostile(void)
{
	const uint32_t before = NDIS_CAN_TX_TCP4 | NDIS_CAN_RSC6;
	uint32_t on = before;
	uint8_t info[28];
	struct bytes b;

	ndis_build_offload_params(info, sizeof(info), NDIS_VERSION_6_30, NDIS_CAN_TSO4);
	for (uint32_t len = 0; len < 28; len++) {
		b = bytes_copy(info, len);
		CU_ASSERT_EQUAL(ndis_apply_offload_params(b.p, len, NDIS_CAN_ALL, &on),
			RNDIS_STATUS_FAILURE);
		bytes_free(&b);
	}
	info[9] = 2; /* LSOv1 */
	CU_ASSERT_EQUAL(
		ndis_apply_offload_params(info, 28, NDIS_CAN_ALL, &on), RNDIS_STATUS_NOT_SUPPORTED);
	info[9] = 0;
	info[0] = 0x81;
	CU_ASSERT_EQUAL(
		ndis_apply_offload_params(info, 28, NDIS_CAN_ALL, &on), RNDIS_STATUS_INVALID_DATA);
	info[0] = 0x80, info[1] = 0;
	CU_ASSERT_EQUAL(
		ndis_apply_offload_params(info, 28, NDIS_CAN_ALL, &on), RNDIS_STATUS_INVALID_DATA);
	info[1] = 3, info[2] = 21;
	CU_ASSERT_EQUAL(
		ndis_apply_offload_params(info, 28, NDIS_CAN_ALL, &on), RNDIS_STATUS_INVALID_DATA);
	CU_ASSERT_EQUAL(on, before);

	/* Unknown values and 0 change nothing. */
	memset(info + 4, 0, 24);
	info[2] = 28, info[4] = 5, info[5] = 0xff, info[11] = 3, info[22] = 4;
	CU_ASSERT_EQUAL(
		ndis_apply_offload_params(info, 28, NDIS_CAN_ALL, &on), RNDIS_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(on, before);
	/* Revision 3 with 22 bytes, as Linux sends to old hosts: RSC is not there. */
	CU_ASSERT_EQUAL(ndis_build_offload_params(info, sizeof(info), NDIS_VERSION_6_1, 0), 22);
	info[1] = 3;
	b = bytes_copy(info, 22);
	CU_ASSERT_EQUAL(
		ndis_apply_offload_params(b.p, 22, NDIS_CAN_ALL, &on), RNDIS_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(on, NDIS_CAN_RSC6);
	bytes_free(&b);
	/* Higher revisions are read as the known prefix. */
	uint8_t newer[40];

	memset(newer, 0, sizeof(newer));
	memcpy(newer, (uint8_t[]){0x80, 5, 40, 0, 4}, 5);
	on = 0;
	CU_ASSERT_EQUAL(
		ndis_apply_offload_params(newer, 40, NDIS_CAN_ALL, &on), RNDIS_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(on, NDIS_CAN_TX_IP4 | NDIS_CAN_RX_IP4);
}

static void
test_offload_caps(void)
{
	const struct ndis_offloads all = {
		NDIS_CAN_ALL, NDIS_LSO_MAX_SIZE, NDIS_LSO_MAX_SIZE - 4, 2, 3};
	struct ndis_offloads host, guest;
	struct ndis_offload_caps caps;
	uint8_t info[200];
	struct bytes b;

	/* Each ability alone survives the way over the wire, and all of them together. */
	for (uint32_t bit = 1; bit < NDIS_CAN_ALL; bit <<= 1) {
		host = all, host.can = bit;
		CU_ASSERT_EQUAL(ndis_build_offload_caps(info, sizeof(info), &host), 156);
		CU_ASSERT_EQUAL(ndis_parse_offload_caps(info, 156, &guest), 0);
		CU_ASSERT_EQUAL(guest.can, bit);
	}
	ndis_build_offload_caps(info, sizeof(info), &all);
	CU_ASSERT(bytes_match("a7039c00", info, 4));
	memcpy(&caps, info, sizeof(caps));
	CU_ASSERT_EQUAL(caps.csum.v4_tx_flags, 0x155);
	CU_ASSERT_EQUAL(caps.csum.v6_tx_flags, 0x55);
	CU_ASSERT_EQUAL(caps.nvgre, 0);
	for (uint32_t len = 0; len <= 156; len++) {
		b = bytes_copy(info, len);
		CU_ASSERT_EQUAL(
			ndis_parse_offload_caps(b.p, len, &guest), len == 156 ? 0 : -EBADMSG);
		bytes_free(&b);
	}
	CU_ASSERT_EQUAL(guest.can, NDIS_CAN_ALL);
	CU_ASSERT_EQUAL(guest.tso4_max, 0xf53c);
	CU_ASSERT_EQUAL(guest.tso6_max, 0xf538);
	CU_ASSERT_EQUAL(guest.tso6_min_segs, 3);
	/* Revision 1 with 112 bytes: no RSC, the rest as before; 111 is too short. */
	info[1] = 1, info[2] = 112;
	b = bytes_copy(info, 112);
	CU_ASSERT_EQUAL(ndis_parse_offload_caps(b.p, 112, &guest), 0);
	CU_ASSERT_EQUAL(guest.can, NDIS_CAN_ALL & ~(NDIS_CAN_RSC4 | NDIS_CAN_RSC6));
	b.p[2] = 111;
	CU_ASSERT_EQUAL(ndis_parse_offload_caps(b.p, 112, &guest), -EBADMSG);
	b.p[2] = 112, b.p[0] = 0xa8;
	CU_ASSERT_EQUAL(ndis_parse_offload_caps(b.p, 112, &guest), -EBADMSG);
	b.p[0] = 0xa7, b.p[1] = 0;
	CU_ASSERT_EQUAL(ndis_parse_offload_caps(b.p, 112, &guest), -EBADMSG);
	bytes_free(&b);
	/* A longer object of a later revision. */
	memset(info + 156, 0xff, sizeof(info) - 156);
	info[1] = 4, info[2] = 177;
	CU_ASSERT_EQUAL(ndis_parse_offload_caps(info, 177, &guest), 0);
	CU_ASSERT_EQUAL(guest.can, NDIS_CAN_ALL);
	CU_ASSERT_EQUAL(ndis_parse_offload_caps(info, 176, &guest), -EBADMSG);

	CU_ASSERT_EQUAL(ndis_build_offload_query(info, sizeof(info), NDIS_VERSION_6_30), 156);
	CU_ASSERT(bytes_match("a7039c00 152*00", info, 156));
	CU_ASSERT_EQUAL(ndis_build_offload_query(info, sizeof(info), NDIS_VERSION_6_1), 144);
	CU_ASSERT(bytes_match("a7029000 140*00", info, 144));
	CU_ASSERT_EQUAL(ndis_build_offload_query(info, 143, NDIS_VERSION_6_1), -ENOSPC);
}

static void
test_encapsulation(void)
{
	struct ndis_offload_encap e = {
		.h = {NDIS_OBJECT_OFFLOAD_ENCAP, 1, 28}, .v4 = {1, 2, 14}, .v6 = {2, 0, 0}};

	CU_ASSERT_EQUAL(ndis_check_offload_encap(&e, 28), RNDIS_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(ndis_check_offload_encap(&e, 27), RNDIS_STATUS_FAILURE);
	e.v4.header_size = 18;
	CU_ASSERT_EQUAL(ndis_check_offload_encap(&e, 28), RNDIS_STATUS_NOT_SUPPORTED);
	e.v4.header_size = 14, e.v6.enabled = 3;
	CU_ASSERT_EQUAL(ndis_check_offload_encap(&e, 28), RNDIS_STATUS_NOT_SUPPORTED);
	e.v6.enabled = 1;
	CU_ASSERT_EQUAL(ndis_check_offload_encap(&e, 28), RNDIS_STATUS_NOT_SUPPORTED);
	e.v6.type = 2, e.v6.header_size = 14;
	CU_ASSERT_EQUAL(ndis_check_offload_encap(&e, 28), RNDIS_STATUS_SUCCESS);
	e.h.type = 0xa7;
	CU_ASSERT_EQUAL(ndis_check_offload_encap(&e, 28), RNDIS_STATUS_INVALID_DATA);
}

static void
test_mac(void)
{
	static const uint8_t mac[6] = {0x00, 0x15, 0x5d, 0x01, 0x02, 0x03};
	uint8_t info[NDIS_CONFIG_MAC_INFO], msg[128], got[6] = {0};
	struct bytes b;
	int len;

	CU_ASSERT_EQUAL(ndis_build_config_mac(info, sizeof(info), mac), 72);
	len = rndis_build_set(msg, sizeof(msg), 8, OID_GEN_RNDIS_CONFIG_PARAMETER, info, 72);
	CU_ASSERT_EQUAL_FATAL(len, 100);
	CU_ASSERT_EQUAL(bytes_crc32(msg, 100), 0xf65d88ea);
	CU_ASSERT(
		bytes_match("14000000 1c000000 02000000 30000000 18000000 4e006500", msg + 28, 24));
	for (uint32_t n = 0; n <= 72; n++) {
		b = bytes_copy(info, n);
		CU_ASSERT_EQUAL(
			ndis_parse_config_mac(b.p, n, got), n < 20   ? RNDIS_STATUS_FAILURE
							    : n < 72 ? RNDIS_STATUS_INVALID_DATA
								     : RNDIS_STATUS_SUCCESS);
		bytes_free(&b);
	}
	CU_ASSERT_EQUAL(memcmp(got, mac, 6), 0);

	static const struct {
		uint32_t at;
		uint8_t value;
		uint32_t want;
	} bad[] = {
		{20, 'M', RNDIS_STATUS_NOT_SUPPORTED}, /* another name */
		{21, 1, RNDIS_STATUS_NOT_SUPPORTED},   /* not Latin */
		{4, 26, RNDIS_STATUS_NOT_SUPPORTED},   /* its length */
		{8, 4, RNDIS_STATUS_INVALID_DATA},     /* type */
		{16, 22, RNDIS_STATUS_INVALID_DATA},   /* 11 digits */
		{48, 'g', RNDIS_STATUS_INVALID_DATA},
		{49, 1, RNDIS_STATUS_INVALID_DATA},
		{50, '1', RNDIS_STATUS_INVALID_DATA}, /* group address */
		{3, 0xff, RNDIS_STATUS_INVALID_DATA}, /* offsets and lengths far away */
		{7, 0xff, RNDIS_STATUS_INVALID_DATA},
		{15, 0xff, RNDIS_STATUS_INVALID_DATA},
		{19, 0xff, RNDIS_STATUS_INVALID_DATA},
	};
	memset(got, 0x77, sizeof(got));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		b = bytes_copy(info, sizeof(info));
		b.p[bad[i].at] = bad[i].value;
		CU_ASSERT_EQUAL(ndis_parse_config_mac(b.p, b.len, got), bad[i].want);
		bytes_free(&b);
	}
	CU_ASSERT_EQUAL(got[0], 0x77);
	ndis_build_config_mac(info, sizeof(info), (uint8_t[6]){0});
	CU_ASSERT_EQUAL(ndis_parse_config_mac(info, 72, got), RNDIS_STATUS_INVALID_DATA);
	CU_ASSERT_EQUAL(ndis_build_config_mac(info, 71, mac), -ENOSPC);
}

static void
test_link_state(void)
{
	uint8_t info[40];
	uint64_t speed = 0;
	bool up = true;

	CU_ASSERT_EQUAL(ndis_build_link_state(info, 39, true, 1), -ENOSPC);
	CU_ASSERT_EQUAL(ndis_build_link_state(info, 40, false, 10000000000), 40);
	CU_ASSERT(bytes_match("80012800 02000000 02000000 00000000 00e40b5402000000 "
			      "00e40b5402000000 8*00",
		info, 40));
	CU_ASSERT_EQUAL(ndis_parse_link_state(info, 40, &up, &speed), 0);
	CU_ASSERT_FALSE(up);
	CU_ASSERT_EQUAL(speed, 10000000000);
	CU_ASSERT_EQUAL(ndis_parse_link_state(info, 39, &up, &speed), -EBADMSG);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"Toeplitz hash", test_toeplitz},
		{"golden RSS objects", test_golden_rss},
		{"hostile RSS parameters", test_rss_hostile},
		{"RSS tables of other sizes", test_rss_tables_of_other_sizes},
		{"golden offload parameters", test_golden_params},
		{"capability bytes", test_capability_bytes},
		{"hostile offload parameters", test_params_hostile},
		{"offload capabilities", test_offload_caps},
		{"offload encapsulation", test_encapsulation},
		{"MAC configuration", test_mac},
		{"link state", test_link_state},
	};

	return UNIT_RUN("netvsp_ndis", tests);
}
