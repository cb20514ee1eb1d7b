/* SPDX-License-Identifier: BSD-3-Clause */
/* What mbufs tell of their frames: what was asked for, and nothing else. */
#include "lib/netvsp/ndis.h"
#include "lib/netvsp/nvsp.h"
#include "lib/netvsp/rndis.h"
#include "test/unit/netvsc_fixture.h"

#define TCI	 0xb123u
#define HASH	 0xfeedbeefu
#define FLAGS_L4 RTE_MBUF_F_RX_L4_CKSUM_MASK
#define FLAGS_IP RTE_MBUF_F_RX_IP_CKSUM_MASK
#define LEN	 99u

static struct fixture f;

/* A frame of these bytes with these PPIs, received on a queue. @return the mbuf */
static struct rte_mbuf *
receive_bytes(unsigned int q, const void *bytes, uint32_t len, const struct fixture_ppi *ppis,
	unsigned int n)
{
	struct fixture_frame frame = {.len = len, .n_ppis = n};
	struct vmbus_xfer_range range;
	struct rte_mbuf *m = NULL;

	if (n != 0)
		memcpy(frame.ppis, ppis, n * sizeof(*ppis));
	range = fixture_message(&f, 3, &frame);
	memcpy(f.bus.recv.base + range.byte_offset + FIXTURE_DATA_AT, bytes, len);
	CU_ASSERT_EQUAL(fixture_xfer(&f, q, 1, &range, 1), 0);
	fixture_publish(&f, q);
	CU_ASSERT_EQUAL_FATAL(netvsc_rx_burst(f.rx_queues[q], &m, 1), 1);
	CU_ASSERT_EQUAL(fixture_completions(&f, q, NULL, NULL, 0), 1);
	return m;
}

/* The frame that fixture_fill() makes of seed 4. */
static struct rte_mbuf *
receive(unsigned int q, const struct fixture_ppi *ppis, unsigned int n)
{
	uint8_t frame[LEN];

	fixture_fill(frame, sizeof(frame), 4);
	return receive_bytes(q, frame, sizeof(frame), ppis, n);
}

/* Have a queue set up anew with offloads of its own. */
static void
queue_offloads(uint16_t q, uint64_t offloads)
{
	const struct rte_eth_rxconf conf = {.rx_drop_en = 1, .offloads = offloads};

	netvsc_rx_queue_release(&f.eth, q);
	CU_ASSERT_EQUAL(netvsc_rx_queue_setup(&f.eth, q, 256, 0, &conf, f.pool), 0);
}

/* ---- checksums ---- */

static const struct {
	uint32_t word;
	uint64_t flags;
} csum_cases[] = {
	{0, 0}, {RNDIS_RX_CSUM_IP_OK, RTE_MBUF_F_RX_IP_CKSUM_GOOD},
	{RNDIS_RX_CSUM_IP_FAILED, RTE_MBUF_F_RX_IP_CKSUM_BAD},
	{RNDIS_RX_CSUM_IP_FAILED | RNDIS_RX_CSUM_IP_OK, RTE_MBUF_F_RX_IP_CKSUM_BAD},
	{RNDIS_RX_CSUM_IP_OK | RNDIS_RX_CSUM_IP_VALUE_INVALID, RTE_MBUF_F_RX_IP_CKSUM_NONE},
	{RNDIS_RX_CSUM_IP_VALUE_INVALID, 0},
	{RNDIS_RX_CSUM_IP_OK | RNDIS_RX_CSUM_TCP_OK,
		RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD},
	{RNDIS_RX_CSUM_UDP_OK, RTE_MBUF_F_RX_L4_CKSUM_GOOD},
	{RNDIS_RX_CSUM_UDP_OK | RNDIS_RX_CSUM_TCP_VALUE_INVALID, RTE_MBUF_F_RX_L4_CKSUM_NONE},
	{RNDIS_RX_CSUM_TCP_FAILED, RTE_MBUF_F_RX_L4_CKSUM_BAD},
	{RNDIS_RX_CSUM_UDP_FAILED, RTE_MBUF_F_RX_L4_CKSUM_BAD},
	{RNDIS_RX_CSUM_TCP_OK | RNDIS_RX_CSUM_TCP_VALUE_INVALID, RTE_MBUF_F_RX_L4_CKSUM_NONE},
	{RNDIS_RX_CSUM_TCP_VALUE_INVALID, 0}, {RNDIS_RX_CSUM_LOOPBACK, 0},
	{UINT32_MAX, RTE_MBUF_F_RX_IP_CKSUM_BAD | RTE_MBUF_F_RX_L4_CKSUM_BAD},
	{0xfffffe00u, 0}, /* bits that mean nothing here */
};

static void
expect_checksum(uint32_t word, uint64_t flags)
{
	const struct fixture_ppi ppi = {RNDIS_PPI_CHECKSUM, word};
	unsigned int again;

	/* The second time the frame is what was expected. */
	for (again = 0; again < 2; again++) {
		struct rte_mbuf *m = receive(0, &ppi, 1);

		CU_ASSERT_EQUAL(m->ol_flags, flags);
		CU_ASSERT(fixture_mbuf_is(m, LEN, 4));
		rte_pktmbuf_free(m);
	}
}

static void
test_checksums(void)
{
	const struct fixture_conf conf = {.rx_offloads = RTE_ETH_RX_OFFLOAD_CHECKSUM};
	unsigned int i;

	REQUIRE(fixture_begin(&f, &conf));
	for (i = 0; i < ARRAY_SIZE(csum_cases); i++)
		expect_checksum(csum_cases[i].word, csum_cases[i].flags);
	fixture_end(&f);
}

static void
test_only_the_checksums_asked_for(void)
{
	const uint32_t tcp = RNDIS_RX_CSUM_TCP_OK | RNDIS_RX_CSUM_TCP_VALUE_INVALID,
		       udp = RNDIS_RX_CSUM_UDP_FAILED, ip = RNDIS_RX_CSUM_IP_OK;
	struct fixture_conf conf = {.rx_offloads = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM};

	REQUIRE(fixture_begin(&f, &conf));
	expect_checksum(ip | tcp, RTE_MBUF_F_RX_IP_CKSUM_GOOD);
	expect_checksum(udp, 0);
	fixture_end(&f);
	conf.rx_offloads = RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
	REQUIRE(fixture_begin(&f, &conf));
	expect_checksum(ip | tcp, RTE_MBUF_F_RX_L4_CKSUM_NONE);
	expect_checksum(ip | udp, 0);
	fixture_end(&f);
	conf.rx_offloads = RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
	REQUIRE(fixture_begin(&f, &conf));
	expect_checksum(ip | udp, RTE_MBUF_F_RX_L4_CKSUM_BAD);
	expect_checksum(ip | tcp, 0);
	fixture_end(&f);
}

/* ---- queues ---- */

static const struct fixture_ppi all_ppis[] = {
	{RNDIS_PPI_HASH_INFO, NDIS_HASH_TOEPLITZ | NDIS_HASH_IPV4},
	{RNDIS_PPI_HASH_VALUE, HASH},
	{RNDIS_PPI_CHECKSUM, RNDIS_RX_CSUM_IP_OK | RNDIS_RX_CSUM_TCP_OK},
};

static void
test_nothing_asked_nothing_told(void)
{
	unsigned int again;

	REQUIRE(fixture_begin(&f, NULL));
	for (again = 0; again < 2; again++) {
		struct rte_mbuf *m = receive(0, all_ppis, ARRAY_SIZE(all_ppis));

		CU_ASSERT_EQUAL(m->ol_flags, 0);
		CU_ASSERT_EQUAL(m->packet_type, 0);
		CU_ASSERT(fixture_mbuf_is(m, LEN, 4));
		rte_pktmbuf_free(m);
	}
	CU_ASSERT_EQUAL(fixture_rxq(&f, 0)->mode, NETVSC_RX_PLAIN);
	fixture_end(&f);
}

/* What the port has, all queues have; a queue may have more. */
static void
test_queues_for_themselves(void)
{
	const struct fixture_conf conf = {
		.channels = 2, .rx_offloads = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM};
	struct rte_eth_rxq_info info;
	struct rte_mbuf *m;

	REQUIRE(fixture_begin(&f, &conf));
	queue_offloads(1, RTE_ETH_RX_OFFLOAD_RSS_HASH);
	m = receive(0, all_ppis, ARRAY_SIZE(all_ppis));
	CU_ASSERT_EQUAL(m->ol_flags, RTE_MBUF_F_RX_IP_CKSUM_GOOD);
	rte_pktmbuf_free(m);
	m = receive(1, all_ppis, ARRAY_SIZE(all_ppis));
	CU_ASSERT_EQUAL(m->ol_flags, RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_RSS_HASH);
	CU_ASSERT_EQUAL(m->hash.rss, HASH);
	rte_pktmbuf_free(m);
	netvsc_rxq_info_get(&f.eth, 1, &info);
	CU_ASSERT_EQUAL(
		info.conf.offloads, RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_RSS_HASH);
	/* Configured anew without what the port had. */
	f.data.dev_conf.rxmode.offloads = 0;
	netvsc_rxq_apply(f.rx_queues[0]);
	netvsc_rxq_apply(f.rx_queues[1]);
	m = receive(0, all_ppis, ARRAY_SIZE(all_ppis));
	CU_ASSERT_EQUAL(m->ol_flags, 0);
	rte_pktmbuf_free(m);
	m = receive(1, all_ppis, ARRAY_SIZE(all_ppis));
	CU_ASSERT_EQUAL(m->ol_flags, RTE_MBUF_F_RX_RSS_HASH);
	rte_pktmbuf_free(m);
	fixture_end(&f);
}

/* ---- tags ---- */

static const struct fixture_ppi tag_ppi = {RNDIS_PPI_VLAN, 0x0000123du}; /* TCI 0xb123 */

/* With the tag beside the frame, or in it. */
static void
expect_tagged(unsigned int q, bool stripped)
{
	uint8_t want[LEN + RTE_VLAN_HLEN], frame[LEN];
	struct rte_mbuf *m;
	unsigned int again;

	fixture_fill(frame, sizeof(frame), 4);
	memcpy(want, frame, 12);
	memcpy(want + 12, "\x81\x00\xb1\x23", 4);
	memcpy(want + 16, frame + 12, sizeof(frame) - 12);
	for (again = 0; again < 2; again++) {
		m = receive(q, &tag_ppi, 1);
		if (stripped) {
			CU_ASSERT_EQUAL(
				m->ol_flags, RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED);
			CU_ASSERT_EQUAL(m->vlan_tci, TCI);
			CU_ASSERT(fixture_mbuf_is(m, LEN, 4));
		} else {
			CU_ASSERT_EQUAL(m->ol_flags, 0);
			CU_ASSERT_EQUAL(m->pkt_len, sizeof(want));
			CU_ASSERT_EQUAL(m->data_len, sizeof(want));
			CU_ASSERT_EQUAL(memcmp(rte_pktmbuf_mtod(m, void *), want, sizeof(want)), 0);
		}
		rte_pktmbuf_free(m);
	}
}

/* Golden words of pitfall F4 and trap 2 of spec/rndis.md §12: the PPI's word is not the TCI. */
static void
test_tags_are_stripped_when_asked(void)
{
	const struct fixture_conf conf = {.rx_offloads = RTE_ETH_RX_OFFLOAD_VLAN_STRIP};

	CU_ASSERT_EQUAL(rndis_vlan_from_tci(TCI), tag_ppi.value);
	REQUIRE(fixture_begin(&f, &conf));
	expect_tagged(0, true);
	fixture_end(&f);
	REQUIRE(fixture_begin(&f, NULL));
	expect_tagged(0, false);
	fixture_end(&f);
}

/* As ethdev calls it: the setting is stored before. */
static void
strip(bool on)
{
	uint64_t *offloads = &f.data.dev_conf.rxmode.offloads;

	*offloads = on ? *offloads | RTE_ETH_RX_OFFLOAD_VLAN_STRIP
		       : *offloads & ~RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
	CU_ASSERT_EQUAL(netvsc_vlan_offload_set(&f.eth, RTE_ETH_VLAN_STRIP_MASK), 0);
}

static void
test_stripping_changes_while_frames_come(void)
{
	const struct fixture_conf conf = {.channels = 2};
	unsigned int i;

	REQUIRE(fixture_begin(&f, &conf));
	for (i = 0; i < 3; i++) {
		strip(true);
		expect_tagged(0, true);
		expect_tagged(1, true);
		strip(false);
		expect_tagged(0, false);
		expect_tagged(1, false);
	}
	/* A queue for itself, until the port is set as a whole. */
	netvsc_vlan_strip_queue_set(&f.eth, 1, 1);
	expect_tagged(0, false);
	expect_tagged(1, true);
	netvsc_vlan_strip_queue_set(&f.eth, 1, 0);
	expect_tagged(1, false);
	netvsc_vlan_strip_queue_set(&f.eth, 1, 1);
	strip(false);
	expect_tagged(1, false);
	/* Other kinds of tag are not offered, and nothing happens. */
	CU_ASSERT_EQUAL(netvsc_vlan_offload_set(&f.eth, RTE_ETH_VLAN_FILTER_MASK), 0);
	expect_tagged(0, false);
	/* Before there are queues. */
	f.data.rx_queues = NULL;
	CU_ASSERT_EQUAL(netvsc_vlan_offload_set(&f.eth, RTE_ETH_VLAN_STRIP_MASK), 0);
	CU_ASSERT_EQUAL(netvsc_ptypes_set(&f.eth, 0), 0);
	f.data.rx_queues = f.rx_queues;
	fixture_end(&f);
}

static void
test_one_queue_keeps_tags_that_the_port_strips(void)
{
	const struct fixture_conf conf = {
		.channels = 2, .rx_offloads = RTE_ETH_RX_OFFLOAD_VLAN_STRIP};
	struct rte_eth_rxq_info info;

	REQUIRE(fixture_begin(&f, &conf));
	netvsc_vlan_strip_queue_set(&f.eth, 1, 0);
	expect_tagged(0, true);
	expect_tagged(1, false);
	netvsc_rxq_info_get(&f.eth, 0, &info);
	CU_ASSERT(info.conf.offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP);
	netvsc_rxq_info_get(&f.eth, 1, &info);
	CU_ASSERT_FALSE(info.conf.offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP);
	/* What else is set, or a port that comes up again, leaves it. */
	CU_ASSERT_EQUAL(netvsc_ptypes_set(&f.eth, 0), 0);
	netvsc_rxq_apply(fixture_rxq(&f, 1));
	expect_tagged(1, false);
	netvsc_vlan_strip_queue_set(&f.eth, 1, 1);
	expect_tagged(1, true);
	/* Until the port is set as a whole. */
	netvsc_vlan_strip_queue_set(&f.eth, 1, 0);
	strip(true);
	expect_tagged(1, true);
	/* What the port was told is nothing of the queue's own. */
	strip(false);
	f.data.dev_conf.rxmode.offloads = RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
	netvsc_rxq_apply(fixture_rxq(&f, 1));
	expect_tagged(1, true);
	fixture_end(&f);
}

/* ---- packet types ---- */

#define ETHER_IP4 "\x02\0\0\0\0\1\x02\0\0\0\0\2\x08\x00"
/* Version and length, total length 46, no fragment, protocol, addresses. */
#define IP4(first, fragment, proto)                                                                \
	first "\0\0\x2e\0\0" fragment "\x40" proto "\0\0\x0a\0\0\1\x0a\0\0\2"
#define IP6(next)                                                                                  \
	"\x02\0\0\0\0\1\x02\0\0\0\0\2\x86\xdd\x60\0\0\0\0\x14" next                                \
	"\x40\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2"

struct ptype_case {
	const char *name;
	uint32_t len; /* bytes of the frame; behind @a bytes there are zeros */
	uint32_t type;
	uint8_t bytes[64];
};

#define ETHER RTE_PTYPE_L2_ETHER
static const struct ptype_case ptype_cases[] = {
	{"TCP", 60, ETHER | RTE_PTYPE_L3_IPV4 | RTE_PTYPE_L4_TCP,
		ETHER_IP4 IP4("\x45", "\x40\0", "\x06") "\0\1\0\2\0\0\0\0\0\0\0\0\x50"},
	{"UDP", 60, ETHER | RTE_PTYPE_L3_IPV4 | RTE_PTYPE_L4_UDP,
		ETHER_IP4 IP4("\x45", "\0\0", "\x11")},
	{"the shortest UDP", 42, ETHER | RTE_PTYPE_L3_IPV4 | RTE_PTYPE_L4_UDP,
		ETHER_IP4 IP4("\x45", "\0\0", "\x11")},
	{"SCTP", 60, ETHER | RTE_PTYPE_L3_IPV4 | RTE_PTYPE_L4_SCTP,
		ETHER_IP4 IP4("\x45", "\0\0", "\x84")},
	{"another protocol", 60, ETHER | RTE_PTYPE_L3_IPV4, ETHER_IP4 IP4("\x45", "\0\0", "\x2e")},
	{"the first fragment", 60, ETHER | RTE_PTYPE_L3_IPV4 | RTE_PTYPE_L4_FRAG,
		ETHER_IP4 IP4("\x45", "\x20\0", "\x06")},
	{"a later fragment", 60, ETHER | RTE_PTYPE_L3_IPV4 | RTE_PTYPE_L4_FRAG,
		ETHER_IP4 IP4("\x45", "\0\x10", "\x11")},
	{"options", 64, ETHER | RTE_PTYPE_L3_IPV4_EXT | RTE_PTYPE_L4_UDP,
		ETHER_IP4 IP4("\x46", "\0\0", "\x11")},
	{"TCP cut in its header", 50, ETHER | RTE_PTYPE_L3_IPV4,
		ETHER_IP4 IP4("\x45", "\0\0", "\x06") "\0\1\0\2\0\0\0\0\0\0\0\0\x50"},
	{"IPv4 cut in its header", 30, ETHER, ETHER_IP4 IP4("\x45", "\0\0", "\x06")},
	{"an Ethernet header", 14, ETHER, ETHER_IP4},
	{"ARP", 60, ETHER, "\xff\xff\xff\xff\xff\xff\x02\0\0\0\0\2\x08\x06"},
	{"TCP over IPv6", 74, ETHER | RTE_PTYPE_L3_IPV6 | RTE_PTYPE_L4_TCP,
		IP6("\x06") "\0\1\0\2\0\0\0\0\0"},
	{"UDP over IPv6", 62, ETHER | RTE_PTYPE_L3_IPV6 | RTE_PTYPE_L4_UDP, IP6("\x11")},
	{"IPv6 cut in its header", 40, ETHER, IP6("\x11")},
};

static void
expect_ptype(const struct ptype_case *c, uint32_t layers)
{
	uint8_t frame[128] = {0};
	struct rte_mbuf *m;

	memcpy(frame, c->bytes, sizeof(c->bytes));
	m = receive_bytes(0, frame, c->len, NULL, 0);
	if (m->packet_type != (c->type & layers))
		printf("\n%s, layers %#x: %#x, not %#x\n", c->name, layers, m->packet_type,
			c->type & layers);
	CU_ASSERT_EQUAL(m->packet_type, c->type & layers);
	CU_ASSERT_EQUAL(m->ol_flags, 0);
	rte_pktmbuf_free(m);
}

static void
test_packet_types(void)
{
	const struct fixture_conf conf = {.ptypes = NETVSC_RX_PTYPES};
	unsigned int i;

	REQUIRE(fixture_begin(&f, &conf));
	for (i = 0; i < ARRAY_SIZE(ptype_cases); i++)
		expect_ptype(&ptype_cases[i], NETVSC_RX_PTYPES);
	fixture_end(&f);
}

/* A tag that goes back in is part of the type, one that is stripped is not. */
static void
test_packet_types_of_tagged_frames(void)
{
	const struct ptype_case *udp = &ptype_cases[1];
	const uint32_t rest = RTE_PTYPE_L3_IPV4 | RTE_PTYPE_L4_UDP;
	const struct fixture_conf conf = {.ptypes = NETVSC_RX_PTYPES};
	uint8_t frame[128] = {0};
	struct rte_mbuf *m;

	memcpy(frame, udp->bytes, sizeof(udp->bytes));
	REQUIRE(fixture_begin(&f, &conf));
	m = receive_bytes(0, frame, udp->len, &tag_ppi, 1);
	CU_ASSERT_EQUAL(m->packet_type, RTE_PTYPE_L2_ETHER_VLAN | rest);
	rte_pktmbuf_free(m);
	strip(true);
	m = receive_bytes(0, frame, udp->len, &tag_ppi, 1);
	CU_ASSERT_EQUAL(m->packet_type, ETHER | rest);
	CU_ASSERT_EQUAL(m->vlan_tci, TCI);
	rte_pktmbuf_free(m);
	fixture_end(&f);
}

static void
test_packet_types_by_layer(void)
{
	static const uint32_t masks[] = {RTE_PTYPE_L2_MASK, RTE_PTYPE_L3_MASK, RTE_PTYPE_L4_MASK,
		RTE_PTYPE_L3_MASK | RTE_PTYPE_L4_MASK, NETVSC_RX_PTYPES};
	unsigned int i;

	REQUIRE(fixture_begin(&f, NULL));
	for (i = 0; i < ARRAY_SIZE(masks); i++) {
		CU_ASSERT_EQUAL(netvsc_ptypes_set(&f.eth, masks[i]), 0);
		expect_ptype(&ptype_cases[0], masks[i]);
		expect_ptype(&ptype_cases[1], masks[i]);
	}
	CU_ASSERT_EQUAL(netvsc_ptypes_set(&f.eth, RTE_PTYPE_UNKNOWN), 0);
	expect_ptype(&ptype_cases[0], 0);
	CU_ASSERT_EQUAL(fixture_rxq(&f, 0)->mode, NETVSC_RX_PLAIN);
	/* Tunnels are not told of. */
	CU_ASSERT_EQUAL(netvsc_ptypes_set(&f.eth, RTE_PTYPE_TUNNEL_MASK), 0);
	CU_ASSERT_FALSE(netvsc_rxq_tells(fixture_rxq(&f, 0)));
	fixture_end(&f);
}

/* All types that frames are of stand in the list, and it ends where it says (pitfall I7). */
static void
test_supported_packet_types(void)
{
	const uint32_t *list;
	size_t n = 0, i, k;

	REQUIRE(fixture_begin(&f, NULL));
	list = netvsc_ptypes_get(&f.eth, &n);
	CU_ASSERT_FATAL(n != 0);
	CU_ASSERT_EQUAL(list[n], RTE_PTYPE_UNKNOWN);
	for (i = 0; i < n; i++)
		CU_ASSERT_NOT_EQUAL(list[i], RTE_PTYPE_UNKNOWN);
	for (i = 0; i < ARRAY_SIZE(ptype_cases); i++) {
		uint32_t left = ptype_cases[i].type;

		for (k = 0; k < n; k++) {
			uint32_t mask = list[k] & RTE_PTYPE_L2_MASK   ? RTE_PTYPE_L2_MASK
					: list[k] & RTE_PTYPE_L3_MASK ? RTE_PTYPE_L3_MASK
								      : RTE_PTYPE_L4_MASK;

			if ((left & mask) == list[k])
				left &= ~mask;
		}
		CU_ASSERT_EQUAL(left, 0);
	}
	fixture_end(&f);
}

static const struct unit_test tests[] = {
	{"checksums", test_checksums},
	{"only the checksums asked for", test_only_the_checksums_asked_for},
	{"nothing asked, nothing told", test_nothing_asked_nothing_told},
	{"queues for themselves", test_queues_for_themselves},
	{"tags are stripped when asked", test_tags_are_stripped_when_asked},
	{"stripping changes while frames come", test_stripping_changes_while_frames_come},
	{"one queue keeps tags that the port strips",
		test_one_queue_keeps_tags_that_the_port_strips},
	{"packet types", test_packet_types},
	{"packet types of tagged frames", test_packet_types_of_tagged_frames},
	{"packet types by layer", test_packet_types_by_layer},
	{"supported packet types", test_supported_packet_types},
};

int
main(void)
{
	return UNIT_RUN("receive offloads", tests);
}
