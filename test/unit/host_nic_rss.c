/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RSS of the host's NIC (spec/rndis.md §7): tables of every size, every hash type, and hash PPIs,
 * against a Toeplitz hash that is computed bit by bit, as its definition has it.
 */
#include "test/unit/host_nic_guest.h"

/* The XOR of the 32 bits of key that begin where the input has a one. */
static uint32_t
hash_bit_by_bit(const uint8_t *key, const uint8_t *input, uint32_t len)
{
	uint32_t hash = 0, window, i, b;

	for (i = 0; i < len * 8; i++) {
		if (!(input[i / 8] >> (7 - i % 8) & 1))
			continue;
		for (window = 0, b = i; b < i + 32; b++)
			window = window << 1 | (key[b / 8] >> (7 - b % 8) & 1u);
		hash ^= window;
	}
	return hash;
}

/* A key unlike the default one. */
static void
make_key(uint8_t key[NDIS_RSS_KEY_SIZE])
{
	uint32_t i;

	for (i = 0; i < NDIS_RSS_KEY_SIZE; i++)
		key[i] = (uint8_t)(i * 73 + 19);
}

static uint32_t
set_rss(struct guest *g, uint32_t types, const uint16_t *table, uint32_t entries)
{
	uint8_t params[NDIS_RSS_PARAMS_MAX], key[NDIS_RSS_KEY_SIZE];
	int len;

	make_key(key);
	len = ndis_build_rss_params(
		params, sizeof(params), NDIS_HASH_TOEPLITZ | types, table, entries, key);
	CU_ASSERT_FATAL(len > 0);
	return guest_set(g, OID_GEN_RECEIVE_SCALE_PARAMETERS, params, (uint32_t)len);
}

/* @param entries of the table, as announced; NULL: as usual */
static void
start(struct guest *g, const char *entries, uint32_t subchannels)
{
	guest_start(g, "recv=1M,send=256K,channels=4", 16);
	if (entries != NULL)
		CU_ASSERT_EQUAL(host_nic_knob(g->nic, "rss_entries", entries), 0);
	guest_up(g, RNDIS_FILTER_PROMISCUOUS);
	if (subchannels != 0)
		guest_subchannels(g, subchannels);
	guest_poll(g);
}

/* The one frame of the last poll: its channel and what the host says of it. */
static unsigned int
received(struct guest *g, struct rndis_packet_info *info)
{
	const struct guest_packet *p = guest_transfer(g, 0);

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(p->ranges, 1);
	memset(info, 0, sizeof(*info));
	CU_ASSERT_EQUAL(
		rndis_packet_parse_rx(guest_message(g, p, 0), 300, p->range[0].byte_count, info),
		0);
	return p->channel;
}

static void
tables_have_the_size_that_was_announced(void)
{
	static const uint32_t sizes[] = {16, 64, 128, 256, 512};
	uint8_t frame[60], key[NDIS_RSS_KEY_SIZE];
	uint16_t table[NDIS_RSS_TABLE_MAX];
	struct rndis_packet_info info;
	struct ndis_rss_caps caps;
	uint32_t s, i, len, hash;
	struct guest g;
	char entries[8];

	make_key(key);
	for (i = 0; i < NDIS_RSS_TABLE_MAX; i++)
		table[i] = (uint16_t)(i * 5 % 7 % 4);
	for (s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		snprintf(entries, sizeof(entries), "%u", sizes[s]);
		start(&g, entries, 3);
		CU_ASSERT_EQUAL(guest_query(&g, OID_GEN_RECEIVE_SCALE_CAPABILITIES, &caps,
					sizeof(caps), &len),
			RNDIS_STATUS_SUCCESS);
		CU_ASSERT_EQUAL(caps.table_entries, sizes[s]);
		CU_ASSERT_EQUAL(
			set_rss(&g, NDIS_HASH_TCP_IPV4, table, sizes[s]), RNDIS_STATUS_SUCCESS);
		for (i = 0; i < 200; i++) {
			guest_port_put(&g, frame, guest_make_udp(&g, frame, 60, i));
			guest_poll(&g);
			hash = hash_bit_by_bit(key, frame + 26, 12);
			CU_ASSERT_EQUAL(received(&g, &info), table[hash % sizes[s]]);
			CU_ASSERT_EQUAL(info.hash_value, hash);
		}
		/* Every guest sends 128; more is refused where it was not announced. */
		CU_ASSERT_EQUAL(set_rss(&g, NDIS_HASH_TCP_IPV4, table, 128), RNDIS_STATUS_SUCCESS);
		if (sizes[s] < 512)
			CU_ASSERT_EQUAL(set_rss(&g, NDIS_HASH_TCP_IPV4, table,
						sizes[s] < 128 ? 129 : sizes[s] + 1),
				RNDIS_STATUS_INVALID_DATA);
		guest_stop(&g);
	}
}

/* What matters of a frame. */
struct kind {
	const char *name;
	bool ip6;
	uint8_t proto;	  /* next header of the IP header */
	bool fragment;	  /* IPv4 only */
	bool home, route; /* IPv6 extension headers with another address */
};

static uint32_t
make_frame(struct guest *g, uint8_t *frame, const struct kind *k, uint32_t flow)
{
	uint32_t at = 54, len = 120, i;

	guest_make_udp(g, frame, len, flow);
	if (!k->ip6) {
		frame[23] = k->proto;
		if (k->fragment)
			frame[20] = 0x20;
		return len;
	}
	memcpy(frame + 12, "\x86\xdd\x60\x00\x00\x00", 6);
	for (i = 18; i < len; i++)
		frame[i] = (uint8_t)(i * 11 + flow * 3);
	frame[18] = 0, frame[19] = (uint8_t)(len - 54);
	frame[20] = k->home ? 60 : k->route ? 43 : k->proto;
	frame[21] = 64;
	if (k->home) {
		frame[at] = k->route ? 43 : k->proto;
		frame[at + 1] = 2;
		memcpy(frame + at + 2, "\x01\x02\x00\x00", 4); /* a PadN option before it */
		frame[at + 6] = 201, frame[at + 7] = 16;
		at += 24;
	}
	if (k->route) {
		frame[at] = k->proto;
		frame[at + 1] = 2, frame[at + 2] = 2, frame[at + 3] = 1;
	}
	return len;
}

/* Which input the hash has by definition: addresses, ports if @p ports. */
static uint32_t
make_input(const uint8_t *frame, const struct kind *k, bool ports, bool ex, uint8_t input[36])
{
	uint32_t n = k->ip6 ? 32 : 8;

	memcpy(input, frame + (k->ip6 ? 22 : 26), n);
	if (ex && k->home)
		memcpy(input, frame + 54 + 8, 16);
	if (ex && k->route)
		memcpy(input + 16, frame + 54 + (k->home ? 24 : 0) + 8, 16);
	if (!ports)
		return n;
	memcpy(input + n, frame + (k->ip6 ? 54 : 34), 4);
	return n + 4;
}

static void
hash_types_are_those_that_were_asked_for(void)
{
	static const struct kind kinds[] = {
		{"TCP over IPv4", false, 6, false, false, false},
		{"UDP over IPv4", false, 17, false, false, false},
		{"a fragment over IPv4", false, 17, true, false, false},
		{"ICMP over IPv4", false, 1, false, false, false},
		{"TCP over IPv6", true, 6, false, false, false},
		{"UDP over IPv6", true, 17, false, false, false},
		{"ICMP over IPv6", true, 58, false, false, false},
		{"a home address", true, 17, false, true, false},
		{"a routing header of type 2", true, 17, false, false, true},
		{"both", true, 6, false, true, true},
	};
	/* For each kind: the type that it is hashed by when these are asked for, 0: by none. */
	static const struct {
		uint32_t asked;
		bool udp_hash;
		uint32_t type[10];
	} want[] = {
		{NDIS_HASH_IPV4, true,
			{NDIS_HASH_IPV4, NDIS_HASH_IPV4, NDIS_HASH_IPV4, NDIS_HASH_IPV4}},
		{NDIS_HASH_TCP_IPV4, true, {NDIS_HASH_TCP_IPV4, NDIS_HASH_TCP_IPV4}},
		{NDIS_HASH_TCP_IPV4, false, {NDIS_HASH_TCP_IPV4}},
		{NDIS_HASH_UDP_IPV4, false, {0, NDIS_HASH_UDP_IPV4}},
		{NDIS_HASH_UDP_IPV4 | NDIS_HASH_TCP_IPV4 | NDIS_HASH_IPV4, true,
			{NDIS_HASH_TCP_IPV4, NDIS_HASH_UDP_IPV4, NDIS_HASH_IPV4, NDIS_HASH_IPV4}},
		{NDIS_HASH_IPV6, true,
			{0, 0, 0, 0, NDIS_HASH_IPV6, NDIS_HASH_IPV6, NDIS_HASH_IPV6, NDIS_HASH_IPV6,
				NDIS_HASH_IPV6, NDIS_HASH_IPV6}},
		{NDIS_HASH_TCP_IPV6, true, {0, 0, 0, 0, NDIS_HASH_TCP_IPV6}},
		{NDIS_HASH_UDP_IPV6 | NDIS_HASH_IPV6_EX, true,
			{0, 0, 0, 0, NDIS_HASH_IPV6_EX, NDIS_HASH_UDP_IPV6, NDIS_HASH_IPV6_EX,
				NDIS_HASH_IPV6_EX, NDIS_HASH_IPV6_EX, NDIS_HASH_IPV6_EX}},
		{NDIS_HASH_TCP_IPV6_EX | NDIS_HASH_UDP_IPV6_EX, true,
			{0, 0, 0, 0, NDIS_HASH_TCP_IPV6_EX, NDIS_HASH_UDP_IPV6_EX}},
		{NDIS_HASH_IPV6 | NDIS_HASH_IPV6_EX, true,
			{0, 0, 0, 0, NDIS_HASH_IPV6, NDIS_HASH_IPV6, NDIS_HASH_IPV6,
				NDIS_HASH_IPV6_EX, NDIS_HASH_IPV6_EX, NDIS_HASH_IPV6_EX}},
	};
	const uint32_t ports = NDIS_HASH_TCP_IPV4 | NDIS_HASH_UDP_IPV4 | NDIS_HASH_TCP_IPV6 |
			       NDIS_HASH_UDP_IPV6 | NDIS_HASH_TCP_IPV6_EX | NDIS_HASH_UDP_IPV6_EX;
	uint8_t frame[120], input[36], key[NDIS_RSS_KEY_SIZE];
	uint16_t table[NDIS_RSS_TABLE_ENTRIES];
	struct rndis_packet_info info;
	uint32_t w, k, i, n, type, hash;
	unsigned int channel;
	struct guest g;

	make_key(key);
	for (i = 0; i < NDIS_RSS_TABLE_ENTRIES; i++)
		table[i] = (uint16_t)(3 - i % 3);
	for (w = 0; w < sizeof(want) / sizeof(want[0]); w++) {
		start(&g, NULL, 3);
		CU_ASSERT_EQUAL(host_nic_knob(g.nic, "udp_hash", want[w].udp_hash ? "1" : "0"), 0);
		CU_ASSERT_EQUAL(set_rss(&g, want[w].asked, table, NDIS_RSS_TABLE_ENTRIES), 0);
		for (k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
			guest_port_put(&g, frame, make_frame(&g, frame, &kinds[k], w * 16 + k));
			guest_poll(&g);
			channel = received(&g, &info);
			type = want[w].type[k];
			if (type == 0) {
				CU_ASSERT_EQUAL(channel, 0);
				CU_ASSERT_FALSE(info.present & RNDIS_HAS_HASH_VALUE);
				continue;
			}
			n = make_input(frame, &kinds[k], (type & ports) != 0,
				type == NDIS_HASH_IPV6_EX, input);
			hash = hash_bit_by_bit(key, input, n);
			CU_ASSERT_EQUAL(info.hash_value, hash);
			CU_ASSERT_EQUAL(info.hash_info, NDIS_HASH_TOEPLITZ | type);
			CU_ASSERT_EQUAL(channel, table[hash % NDIS_RSS_TABLE_ENTRIES]);
			if (info.hash_value != hash)
				fprintf(stderr, "%s, types %#x\n", kinds[k].name, want[w].asked);
		}
		guest_stop(&g);
	}
}

/* A guest that wants the hash, not the spreading. */
static void
a_single_channel_has_hashes_too(void)
{
	static const uint16_t table[NDIS_RSS_TABLE_ENTRIES];
	uint8_t frame[60], key[NDIS_RSS_KEY_SIZE];
	struct rndis_packet_info info;
	struct guest g;

	make_key(key);
	start(&g, NULL, 0);
	CU_ASSERT_EQUAL(set_rss(&g, NDIS_HASH_TCP_IPV4, table, NDIS_RSS_TABLE_ENTRIES), 0);
	guest_port_put(&g, frame, guest_make_udp(&g, frame, 60, 5));
	guest_poll(&g);
	CU_ASSERT_EQUAL(received(&g, &info), 0);
	CU_ASSERT(info.present & RNDIS_HAS_HASH_VALUE);
	CU_ASSERT_EQUAL(info.hash_value, hash_bit_by_bit(key, frame + 26, 12));
	guest_stop(&g);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"tables have the size that was announced",
			tables_have_the_size_that_was_announced},
		{"hash types are those that were asked for",
			hash_types_are_those_that_were_asked_for},
		{"a single channel has hashes, too", a_single_channel_has_hashes_too},
	};

	return UNIT_RUN("host_nic_rss", tests);
}
