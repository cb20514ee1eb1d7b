/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Offloads agreed on with a host that is a function of the test: what is made of its capabilities,
 * honest and not, and what it is told at start (spec/rndis.md §6).
 */
#include <errno.h>
#include <string.h>

#include "drivers/net/netvsc/control.h"
#include "drivers/net/netvsc/offload.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/tx.h"
#include "test/unit/unit.h"

int netvsc_logtype;

#define CHECKSUMS RTE_ETH_RX_OFFLOAD_CHECKSUM
#define ALL_TCP4                                                                                   \
	(NDIS_CAN_TX_IP4 | NDIS_CAN_TX_TCP4 | NDIS_CAN_TX_TCP6 | NDIS_CAN_TSO4 | NDIS_CAN_TSO6)

static struct {
	/* Its answer to the query, or what that comes to. */
	uint8_t caps[640];
	uint32_t caps_len;
	int query, set;
	/* What it was asked with and told. */
	uint8_t asked[NDIS_OFFLOAD_CAPS_REV3];
	uint32_t asked_len;
	uint8_t told[64];
	uint32_t told_len;
	uint32_t on; /* as a host understands that */
	unsigned int sets;
} host;

static struct rte_eth_dev_data data;
static struct rte_eth_dev eth = {.data = &data};
static struct hpbus_device bus = {.name = "test"};
struct netvsc_process netvsc_process = {NETVSC_PRIMARY, 1};
static struct netvsc_port port;
static struct netvsc_rxq rxq;
static struct netvsc_txq txq;
static void *rx_queues[] = {NULL, &rxq}, *tx_queues[] = {&txq, NULL};

int
netvsc_query(struct netvsc_port *p, uint32_t oid, const void *in, uint32_t in_len, void *out,
	uint32_t out_len, uint32_t *got)
{
	CU_ASSERT_EQUAL(oid, OID_TCP_OFFLOAD_HARDWARE_CAPS);
	CU_ASSERT_FATAL(in_len <= sizeof(host.asked));
	memcpy(host.asked, in, in_len);
	host.asked_len = in_len;
	if (host.query != 0)
		return host.query;
	*got = RTE_MIN(host.caps_len, out_len);
	memcpy(out, host.caps, *got);
	return 0;
}

int
netvsc_set(struct netvsc_port *p, uint32_t oid, const void *in, uint32_t in_len)
{
	CU_ASSERT_EQUAL(oid, OID_TCP_OFFLOAD_PARAMETERS);
	host.sets++;
	if (host.set != 0)
		return host.set;
	CU_ASSERT_FATAL(in_len <= sizeof(host.told));
	memcpy(host.told, in, in_len);
	host.told_len = in_len;
	CU_ASSERT_EQUAL(ndis_apply_offload_params(in, in_len, NDIS_CAN_ALL, &host.on),
		RNDIS_STATUS_SUCCESS);
	return 0;
}

/* A host that can all this, and has all of it on. */
static void
begin(uint32_t can)
{
	const struct ndis_offloads offloads = {.can = can, .tso4_max = 62780, .tso6_max = 62780};

	memset(&host, 0, sizeof(host));
	memset(&port, 0, sizeof(port));
	memset(&data, 0, sizeof(data));
	memset(&rxq, 0, sizeof(rxq));
	memset(&txq, 0, sizeof(txq));
	host.caps_len = (uint32_t)ndis_build_offload_caps(host.caps, sizeof(host.caps), &offloads);
	host.on = NDIS_CAN_ALL;
	data.rx_queues = rx_queues;
	data.tx_queues = tx_queues;
	data.nb_rx_queues = data.nb_tx_queues = 2;
	port.bus = &bus;
	port.eth = &eth;
	port.data = &data;
	port.session.nvsp_version = NVSP_VERSION_61;
}

static uint32_t
attach(void)
{
	CU_ASSERT_EQUAL(netvsc_offload_attach(&port), 0);
	port.limits.offloads = port.session.offloads;
	return port.session.offloads.can;
}

/* What ethdev would let an application ask for; what the driver has no part for yet is left out. */
static int
start(uint64_t rx, uint64_t tx)
{
	data.dev_conf.rxmode.offloads = rx;
	data.dev_conf.txmode.offloads = tx;
	return netvsc_offload_apply(&port);
}

/* ---- attach ---- */

static void
test_what_the_host_can(void)
{
	begin(NDIS_CAN_ALL);
	CU_ASSERT_EQUAL(attach(), NDIS_CAN_ALL);
	CU_ASSERT_EQUAL(port.session.offloads.tso4_max, 62780);
	CU_ASSERT_EQUAL(port.session.offloads.tso6_max, 62780);
	/* What it may have had on is off. */
	CU_ASSERT_EQUAL(host.on, 0);
	CU_ASSERT_EQUAL(netvsc_offload_rx_capa(&port), NETVSC_RX_OFFLOADS);
	CU_ASSERT_EQUAL(netvsc_offload_tx_capa(&port), NETVSC_TX_OFFLOADS);
}

static void
test_a_host_that_can_nothing(void)
{
	static const int answers[] = {-ENOTSUP, -EIO, -ENODATA};
	size_t i;

	for (i = 0; i < RTE_DIM(answers); i++) {
		begin(NDIS_CAN_ALL);
		host.query = answers[i];
		host.set = i == 0 ? 0 : i == 1 ? -ENOTSUP : -EIO;
		CU_ASSERT_EQUAL(attach(), 0);
		CU_ASSERT_EQUAL(netvsc_offload_rx_capa(&port),
			NETVSC_RX_OFFLOADS &
				(RTE_ETH_RX_OFFLOAD_VLAN_STRIP | RTE_ETH_RX_OFFLOAD_SCATTER |
					RTE_ETH_RX_OFFLOAD_RSS_HASH));
		CU_ASSERT_EQUAL(netvsc_offload_tx_capa(&port),
			NETVSC_TX_OFFLOADS &
				(RTE_ETH_TX_OFFLOAD_VLAN_INSERT | RTE_ETH_TX_OFFLOAD_MULTI_SEGS |
					RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE));
		/* Nothing asked for, so a refusal is nobody's business. */
		CU_ASSERT_EQUAL(start(0, RTE_ETH_TX_OFFLOAD_MULTI_SEGS), 0);
	}
	/* Silence and nonsense are what they are to every request. */
	begin(NDIS_CAN_ALL);
	host.query = -ETIMEDOUT;
	CU_ASSERT_EQUAL(netvsc_offload_attach(&port), -ETIMEDOUT);
	host.query = 0;
	host.set = -EPROTO;
	CU_ASSERT_EQUAL(netvsc_offload_attach(&port), -EPROTO);
}

/* Each NVSP version asks with the revision that goes with it, and takes any in answer. */
static void
test_revisions(void)
{
	static const struct {
		uint32_t version, revision, caps, params;
	} asks[] = {
		{NVSP_VERSION_1, 2, NDIS_OFFLOAD_CAPS_REV2, NDIS_OFFLOAD_PARAMS_REV2},
		{NVSP_VERSION_4, 2, NDIS_OFFLOAD_CAPS_REV2, NDIS_OFFLOAD_PARAMS_REV2},
		{NVSP_VERSION_5, 3, NDIS_OFFLOAD_CAPS_REV3, NDIS_OFFLOAD_PARAMS_REV3},
		{NVSP_VERSION_61, 3, NDIS_OFFLOAD_CAPS_REV3, NDIS_OFFLOAD_PARAMS_REV3},
	};
	static const uint16_t sizes[] = {
		NDIS_OFFLOAD_CAPS_REV1, NDIS_OFFLOAD_CAPS_REV2, NDIS_OFFLOAD_CAPS_REV3, 180, 512};
	const uint32_t rsc = NDIS_CAN_RSC4 | NDIS_CAN_RSC6;
	struct ndis_object_header h;
	size_t i;

	for (i = 0; i < RTE_DIM(asks); i++) {
		begin(NDIS_CAN_ALL);
		port.session.nvsp_version = asks[i].version;
		attach();
		memcpy(&h, host.asked, sizeof(h));
		CU_ASSERT_EQUAL(h.type, NDIS_OBJECT_OFFLOAD);
		CU_ASSERT_EQUAL(h.revision, asks[i].revision);
		CU_ASSERT_EQUAL(h.size, asks[i].caps);
		CU_ASSERT_EQUAL(host.asked_len, asks[i].caps);
		CU_ASSERT_EQUAL(host.told_len, asks[i].params);
	}
	for (i = 0; i < RTE_DIM(sizes); i++) {
		begin(NDIS_CAN_ALL);
		memset(host.caps + NDIS_OFFLOAD_CAPS_REV3, 0xff, 512 - NDIS_OFFLOAD_CAPS_REV3);
		h = (struct ndis_object_header){NDIS_OBJECT_OFFLOAD, (uint8_t)(i + 1), sizes[i]};
		memcpy(host.caps, &h, sizeof(h));
		host.caps_len = sizes[i];
		CU_ASSERT_EQUAL(attach(),
			sizes[i] < NDIS_OFFLOAD_CAPS_REV3 ? NDIS_CAN_ALL & ~rsc : NDIS_CAN_ALL);
	}
}

/* An answer that is cut anywhere, or says of itself what cannot be, is no answer. */
static void
test_capabilities_that_lie(void)
{
	static const struct ndis_object_header lies[] = {
		{NDIS_OBJECT_DEFAULT, 3, NDIS_OFFLOAD_CAPS_REV3},
		{NDIS_OBJECT_OFFLOAD, 0, NDIS_OFFLOAD_CAPS_REV3},
		{NDIS_OBJECT_OFFLOAD, 3, NDIS_OFFLOAD_CAPS_REV1 - 1},
		{NDIS_OBJECT_OFFLOAD, 3, NDIS_OFFLOAD_CAPS_REV3 + 1},
		{NDIS_OBJECT_OFFLOAD, 3, 0},
		{NDIS_OBJECT_OFFLOAD, 3, 0xffff},
	};
	static const struct ndis_offloads big = {NDIS_CAN_ALL, UINT32_MAX, UINT32_MAX, 1, 2};
	size_t i;

	for (i = 0; i < RTE_DIM(lies); i++) {
		begin(NDIS_CAN_ALL);
		memcpy(host.caps, &lies[i], sizeof(lies[i]));
		CU_ASSERT_EQUAL(attach(), 0);
		CU_ASSERT_EQUAL(host.on, 0);
		CU_ASSERT_EQUAL(netvsc_offload_rx_capa(&port) & CHECKSUMS, 0);
	}
	for (i = 1; i < NDIS_OFFLOAD_CAPS_REV3; i++) {
		begin(NDIS_CAN_ALL);
		host.caps_len = (uint32_t)i;
		CU_ASSERT_EQUAL(attach(), 0);
	}
	/* Every bit set: what is left is what the driver can use, within what frames can be. */
	begin(NDIS_CAN_ALL);
	memset(host.caps + sizeof(lies[0]), 0xff, host.caps_len - sizeof(lies[0]));
	CU_ASSERT_EQUAL(attach(), NDIS_CAN_ALL & ~(NDIS_CAN_TSO4 | NDIS_CAN_TSO6));
	CU_ASSERT_EQUAL(port.session.offloads.tso4_max, 0);
	begin(NDIS_CAN_ALL);
	ndis_build_offload_caps(host.caps, sizeof(host.caps), &big);
	CU_ASSERT_EQUAL(attach(), NDIS_CAN_ALL);
	CU_ASSERT_EQUAL(port.session.offloads.tso4_max, RNDIS_MAX_BIG_FRAME);
	CU_ASSERT_EQUAL(port.session.offloads.tso6_max, RNDIS_MAX_BIG_FRAME);
}

static void
test_what_a_version_or_a_limit_takes_away(void)
{
	const uint32_t tso = NDIS_CAN_TSO4 | NDIS_CAN_TSO6, rsc = NDIS_CAN_RSC4 | NDIS_CAN_RSC6;
	struct ndis_offloads small = {.can = NDIS_CAN_ALL, .tso4_max = 1518, .tso6_max = 0};

	begin(NDIS_CAN_ALL);
	port.session.nvsp_version = NVSP_VERSION_4;
	CU_ASSERT_EQUAL(attach(), NDIS_CAN_ALL & ~(rsc | NDIS_CAN_TX_UDP4 | NDIS_CAN_TX_UDP6));
	begin(NDIS_CAN_ALL);
	port.session.nvsp_version = NVSP_VERSION_6;
	CU_ASSERT_EQUAL(attach(), NDIS_CAN_ALL & ~rsc);
	/* A large send of the size of any other is none. */
	begin(NDIS_CAN_ALL);
	ndis_build_offload_caps(host.caps, sizeof(host.caps), &small);
	CU_ASSERT_EQUAL(attach(), NDIS_CAN_ALL & ~tso);
	CU_ASSERT_EQUAL(port.session.offloads.tso4_max, 0);
}

/* ---- what applications are told ---- */

/*
 * l3fwd and others ask for all three without looking: they get them where the host verifies any,
 * and each frame says of itself what is known.
 */
static void
test_receive_checksums_are_had_together(void)
{
	const uint64_t has = NETVSC_RX_OFFLOADS & CHECKSUMS;

	begin(NDIS_CAN_ALL);
	attach();
	CU_ASSERT_EQUAL(netvsc_offload_rx_capa(&port) & CHECKSUMS, has);
	begin(NDIS_CAN_RX_TCP4);
	attach();
	CU_ASSERT_EQUAL(netvsc_offload_rx_capa(&port) & CHECKSUMS, has);
	CU_ASSERT_EQUAL(start(has, 0), 0);
	CU_ASSERT_EQUAL(host.on, has != 0 ? NDIS_CAN_RX_TCP4 : 0);
	begin(NDIS_CAN_ALL & ~(NDIS_CAN_RX_IP4 | NDIS_CAN_RX_TCP4 | NDIS_CAN_RX_UDP4 |
				     NDIS_CAN_RX_TCP6 | NDIS_CAN_RX_UDP6));
	attach();
	CU_ASSERT_EQUAL(netvsc_offload_rx_capa(&port) & CHECKSUMS, 0);
}

/* An offload of sends covers IPv4 and IPv6, or frames would leave with wrong checksums. */
static void
test_send_offloads_are_whole(void)
{
	static const struct {
		uint32_t missing;
		uint64_t flags;
	} holes[] = {
		{NDIS_CAN_TX_IP4, RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_TSO},
		{NDIS_CAN_TX_TCP4, RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_TSO},
		{NDIS_CAN_TX_TCP6, RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_TSO},
		{NDIS_CAN_TX_UDP4, RTE_ETH_TX_OFFLOAD_UDP_CKSUM},
		{NDIS_CAN_TX_UDP6, RTE_ETH_TX_OFFLOAD_UDP_CKSUM},
		{NDIS_CAN_TSO4, RTE_ETH_TX_OFFLOAD_TCP_TSO},
		/* The frame says which it is; see tx_pkt_prepare. */
		{NDIS_CAN_TSO6, 0},
	};
	size_t i;

	for (i = 0; i < RTE_DIM(holes); i++) {
		begin(NDIS_CAN_ALL & ~holes[i].missing);
		attach();
		CU_ASSERT_EQUAL(
			netvsc_offload_tx_capa(&port), NETVSC_TX_OFFLOADS & ~holes[i].flags);
	}
}

/* ---- start ---- */

static void
test_the_host_does_what_was_configured(void)
{
	static const struct {
		uint64_t rx, tx;
		uint32_t on;
	} asks[] = {
		{RTE_ETH_RX_OFFLOAD_IPV4_CKSUM, 0, NDIS_CAN_RX_IP4},
		{RTE_ETH_RX_OFFLOAD_TCP_CKSUM, 0, NDIS_CAN_RX_TCP4 | NDIS_CAN_RX_TCP6},
		{RTE_ETH_RX_OFFLOAD_UDP_CKSUM, 0, NDIS_CAN_RX_UDP4 | NDIS_CAN_RX_UDP6},
		{RTE_ETH_RX_OFFLOAD_TCP_LRO, 0, NDIS_CAN_RSC4 | NDIS_CAN_RSC6},
		{RTE_ETH_RX_OFFLOAD_RSS_HASH, 0, 0},
		{0, RTE_ETH_TX_OFFLOAD_IPV4_CKSUM, NDIS_CAN_TX_IP4},
		{0, RTE_ETH_TX_OFFLOAD_TCP_CKSUM, NDIS_CAN_TX_TCP4 | NDIS_CAN_TX_TCP6},
		{0, RTE_ETH_TX_OFFLOAD_UDP_CKSUM, NDIS_CAN_TX_UDP4 | NDIS_CAN_TX_UDP6},
		{0, RTE_ETH_TX_OFFLOAD_TCP_TSO, ALL_TCP4},
		{0, RTE_ETH_TX_OFFLOAD_MULTI_SEGS, 0},
		/* Both ways is another value than either (pitfall F1). */
		{RTE_ETH_RX_OFFLOAD_IPV4_CKSUM, RTE_ETH_TX_OFFLOAD_IPV4_CKSUM,
			NDIS_CAN_RX_IP4 | NDIS_CAN_TX_IP4},
	};
	size_t i;

	begin(NDIS_CAN_ALL);
	attach();
	for (i = 0; i < RTE_DIM(asks); i++) {
		if ((asks[i].rx & ~NETVSC_RX_OFFLOADS) || (asks[i].tx & ~NETVSC_TX_OFFLOADS))
			continue;
		CU_ASSERT_EQUAL(start(asks[i].rx, asks[i].tx), 0);
		CU_ASSERT_EQUAL(host.on, asks[i].on);
		/* Off again, said explicitly (pitfall F2). */
		CU_ASSERT_EQUAL(start(0, 0), 0);
		CU_ASSERT_EQUAL(host.on, 0);
	}
}

/* A host has no limit that it can be told: who has one gets segments as they came. */
static void
test_a_limit_of_coalescing_is_kept(void)
{
	static const struct {
		uint32_t mtu, max;
		bool on;
	} cases[] = {
		{1500, 0, true}, /* a driver's own test; ethdev makes it the next */
		{1500, 1518, true},
		{9000, 9018, true},
		{1500, UINT16_MAX, true},
		{1500, 65557, true},
		{1500, 64, false},
		{1500, 1517, false},
		{1500, 1519, false},
		{1500, 9018, false},
		{1500, UINT16_MAX - 1, false},
	};
	struct rte_eth_rxmode *rx = &data.dev_conf.rxmode;
	size_t i;

	begin(NDIS_CAN_ALL);
	attach();
	for (i = 0; i < RTE_DIM(cases); i++) {
		uint32_t limit = cases[i].on ? 0 : cases[i].max;

		rx->mtu = cases[i].mtu;
		rx->max_lro_pkt_size = cases[i].max;
		CU_ASSERT_EQUAL(netvsc_lro_limit(rx), limit);
		CU_ASSERT_EQUAL(
			start(RTE_ETH_RX_OFFLOAD_TCP_LRO | RTE_ETH_RX_OFFLOAD_IPV4_CKSUM, 0), 0);
		CU_ASSERT_EQUAL(host.on,
			NDIS_CAN_RX_IP4 | (cases[i].on ? NDIS_CAN_RSC4 | NDIS_CAN_RSC6 : 0));
		CU_ASSERT_EQUAL(netvsc_lro_is_on(&data), cases[i].on);
		/* Who does not have the offload has no limit either. */
		CU_ASSERT_EQUAL(start(0, 0), 0);
		CU_ASSERT_FALSE(netvsc_lro_is_on(&data));
	}
	rx->mtu = rx->max_lro_pkt_size = 0;
}

static void
test_nothing_new_is_not_said_twice(void)
{
	begin(NDIS_CAN_ALL);
	attach();
	CU_ASSERT_EQUAL(host.sets, 1);
	CU_ASSERT_EQUAL(start(0, RTE_ETH_TX_OFFLOAD_MULTI_SEGS), 0);
	CU_ASSERT_EQUAL(host.sets, 1);
}

/* Offloads of a queue and of the port are one wish; an attach in between is made up for. */
static void
test_queues_and_attaches(void)
{
	begin(NDIS_CAN_ALL);
	attach();
	txq.conf.offloads = RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
	CU_ASSERT_EQUAL(start(0, RTE_ETH_TX_OFFLOAD_IPV4_CKSUM), 0);
	CU_ASSERT_EQUAL(host.on, NDIS_CAN_TX_IP4 | NDIS_CAN_TX_UDP4 | NDIS_CAN_TX_UDP6);
	port.session.offloads_on = 0;
	attach();
	CU_ASSERT_EQUAL(host.on, 0);
	CU_ASSERT_EQUAL(netvsc_offload_apply(&port), 0);
	CU_ASSERT_EQUAL(host.on, NDIS_CAN_TX_IP4 | NDIS_CAN_TX_UDP4 | NDIS_CAN_TX_UDP6);
}

/* What was asked for and is not done must not go unsaid: frames would leave with bad checksums. */
static void
test_a_host_that_refuses_or_has_changed(void)
{
	static const int answers[] = {-EIO, -ENOTSUP, -ETIMEDOUT};
	size_t i;

	for (i = 0; i < RTE_DIM(answers); i++) {
		begin(NDIS_CAN_ALL);
		attach();
		host.set = answers[i];
		CU_ASSERT_EQUAL(start(0, RTE_ETH_TX_OFFLOAD_TCP_TSO), answers[i]);
		CU_ASSERT_EQUAL(port.session.offloads_on, 0);
	}
	/* The port has come to a host with less. */
	begin(NDIS_CAN_ALL & ~NDIS_CAN_TX_UDP6);
	attach();
	CU_ASSERT_EQUAL(start(0, RTE_ETH_TX_OFFLOAD_UDP_CKSUM), -ENOTSUP);
	txq.conf.offloads = RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
	CU_ASSERT_EQUAL(start(0, 0), -ENOTSUP);
	CU_ASSERT_EQUAL(host.on, 0);
	txq.conf.offloads = 0;
	CU_ASSERT_EQUAL(start(0, RTE_ETH_TX_OFFLOAD_TCP_CKSUM), 0);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"what the host can", test_what_the_host_can},
		{"a host that can nothing", test_a_host_that_can_nothing},
		{"revisions", test_revisions},
		{"capabilities that lie", test_capabilities_that_lie},
		{"what a version or a limit takes away", test_what_a_version_or_a_limit_takes_away},
		{"receive checksums are had together", test_receive_checksums_are_had_together},
		{"send offloads are whole", test_send_offloads_are_whole},
		{"the host does what was configured", test_the_host_does_what_was_configured},
		{"a limit of coalescing is kept", test_a_limit_of_coalescing_is_kept},
		{"queues and attaches", test_queues_and_attaches},
		{"a host that refuses or has changed", test_a_host_that_refuses_or_has_changed},
		{"nothing new is not said twice", test_nothing_new_is_not_said_twice},
	};

	return UNIT_RUN("netvsc_offload", tests);
}
