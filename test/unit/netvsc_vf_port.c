/* SPDX-License-Identifier: BSD-3-Clause */
/* The VF made to do what the port does, and what the port tells of both (pitfalls V12, V18, V20).
 */
#include <ethdev_driver.h>

#include "drivers/net/netvsc/compat.h"
#include "test/unit/netvsc_vf_rig.h"

static int
replay(uint32_t what)
{
	CU_ASSERT_EQUAL(netvsc_vf_setup_copy(&rig.f.port, &rig.setup), 0);
	return netvsc_vf_replay(&rig.setup, (uint16_t)rig.last, what);
}

/* Everything that an application can set, and what is left of it on the VF. */
static void
set_everything(void)
{
	struct netvsc_config *c = &rig.f.port.config;
	unsigned int i;

	c->promiscuous = true;
	c->n_multicast = 2;
	c->multicast[0] = (struct rte_ether_addr){{0x01, 0, 0x5e, 0, 0, 1}};
	c->multicast[1] = (struct rte_ether_addr){{0x01, 0, 0x5e, 0, 0, 2}};
	c->rss.hf = RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_TCP;
	for (i = 0; i < NETVSC_RSS_KEY_LEN; i++)
		c->rss.key[i] = (uint8_t)(i * 7);
	for (i = 0; i < NETVSC_RETA_MAX; i++)
		c->rss.reta[i] = (uint16_t)(i % 128 * 3 % RIG_QUEUES);
	rig.f.data.dev_conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
}

static void
check_everything(void)
{
	const struct netvsc_config *c = &rig.f.port.config;
	unsigned int i, q;

	CU_ASSERT_EQUAL(rig.seen->n_rx, RIG_QUEUES);
	CU_ASSERT_EQUAL(rig.seen->n_tx, RIG_QUEUES);
	CU_ASSERT_EQUAL(rig.seen->mtu, 1500);
	CU_ASSERT_EQUAL(rig.seen->promiscuous, c->promiscuous);
	CU_ASSERT_EQUAL(rig.seen->all_multicast, c->all_multicast);
	CU_ASSERT_EQUAL(rig.seen->n_multicast, c->n_multicast);
	CU_ASSERT_EQUAL(
		memcmp(rig.seen->multicast, c->multicast, c->n_multicast * sizeof(c->multicast[0])),
		0);
	CU_ASSERT_EQUAL(rig.seen->hf, c->rss.hf & rig.knobs->rss);
	CU_ASSERT_EQUAL(memcmp(rig.seen->key, c->rss.key, NETVSC_RSS_KEY_LEN), 0);
	for (i = 0; i < rig.knobs->reta; i++)
		CU_ASSERT_EQUAL(rig.seen->reta[i], c->rss.reta[i % 128]);
	for (q = 0; q < RIG_QUEUES; q++) {
		CU_ASSERT_PTR_EQUAL(rig.seen->pool[q], rig.f.pool);
		CU_ASSERT_EQUAL(rig.seen->rx_desc[q], 256);
		CU_ASSERT_EQUAL(rig.seen->tx_desc[q], 256);
	}
}

/* ---- replay ---- */

static void
test_everything_that_was_set_before_is_there(void)
{
	REQUIRE(rig_begin_found(NULL));
	set_everything();
	CU_ASSERT_EQUAL(rig_own_and_start(), 0);
	check_everything();
	/* Before any frame: all but the start itself needs no VF that runs, or comes at once. */
	CU_ASSERT_EQUAL(rig.seen->starts, 1);
	CU_ASSERT_EQUAL(rig.seen->conf.intr_conf.lsc, 1);
	CU_ASSERT_EQUAL(rig.seen->conf.intr_conf.rmv, 1);
	/* Once more, as after a stop. */
	netvsc_vf_stop(&rig.setup, (uint16_t)rig.last);
	rig.f.port.config.promiscuous = false;
	rig.f.port.config.n_multicast = 0;
	CU_ASSERT_EQUAL(rig_start(), 0);
	check_everything();
	rig_end();
}

static void
test_changes_reach_a_vf_in_use(void)
{
	struct netvsc_config *c = NULL;
	unsigned int configures;

	REQUIRE(rig_begin_found(NULL));
	c = &rig.f.port.config;
	set_everything();
	CU_ASSERT_EQUAL(rig_own_and_start(), 0);
	configures = rig.seen->configures;
	c->promiscuous = false;
	CU_ASSERT_EQUAL(replay(NETVSC_VF_SET_PROMISCUOUS), 0);
	check_everything();
	c->all_multicast = true;
	CU_ASSERT_EQUAL(replay(NETVSC_VF_SET_ALLMULTICAST), 0);
	CU_ASSERT_TRUE(rig.seen->all_multicast);
	c->all_multicast = false;
	c->n_multicast = 1;
	CU_ASSERT_EQUAL(replay(NETVSC_VF_SET_MULTICAST_LIST), 0);
	check_everything();
	c->rss.reta[5] = 0;
	c->rss.key[3] ^= 0xff;
	c->rss.hf = RTE_ETH_RSS_IPV6;
	CU_ASSERT_EQUAL(replay(NETVSC_VF_SET_RSS), 0);
	check_everything();
	fixture_rxq(&rig.f, 0)->conf.offloads = RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
	CU_ASSERT_EQUAL(replay(NETVSC_VF_SET_VLAN), 0);
	CU_ASSERT_TRUE(rig.seen->strips[0]);
	CU_ASSERT_FALSE(rig.seen->strips[1]);
	CU_ASSERT_EQUAL(rig.seen->configures, configures);
	/* What it does not take while it runs is for its next start. */
	rig.knobs->refuses = FAKE_VF_REFUSES_HASH;
	CU_ASSERT_EQUAL(replay(NETVSC_VF_SET_RSS), -EBUSY);
	/* Without any hash type a VF is configured otherwise. */
	rig.knobs->refuses = 0;
	c->rss.hf = 0;
	CU_ASSERT_EQUAL(replay(NETVSC_VF_SET_RSS), -EBUSY);
	netvsc_vf_stop(&rig.setup, (uint16_t)rig.last);
	CU_ASSERT_EQUAL(rig_start(), 0);
	CU_ASSERT_EQUAL(rig.seen->conf.rxmode.mq_mode, RTE_ETH_MQ_RX_NONE);
	rig_end();
}

/* Tables of other sizes, keys of other lengths, fewer types (pitfall V20). */
static void
test_rss_is_folded_onto_what_the_vf_has(void)
{
	static const uint16_t sizes[] = {16, 64, 128, 256, 512};
	size_t i;

	for (i = 0; i < RTE_DIM(sizes); i++) {
		REQUIRE(rig_begin_found(NULL));
		set_everything();
		rig.knobs->reta = sizes[i];
		rig.knobs->key = i % 2 == 0 ? 40 : 52;
		rig.knobs->rss = RTE_ETH_RSS_IPV4;
		CU_ASSERT_EQUAL(rig_own_and_start(), 0);
		check_everything();
		CU_ASSERT_EQUAL(rig.seen->hf, RTE_ETH_RSS_IPV4);
		rig_end();
	}
	/* A queue that is stopped gets nothing; nor is there a table where there is none. */
	REQUIRE(rig_begin_found(NULL));
	set_everything();
	rig.f.data.rx_queue_state[3] = RTE_ETH_QUEUE_STATE_STOPPED;
	CU_ASSERT_EQUAL(rig_own_and_start(), 0);
	for (i = 0; i < rig.knobs->reta; i++)
		CU_ASSERT(rig.seen->reta[i] < 3);
	netvsc_vf_stop(&rig.setup, (uint16_t)rig.last);
	rig.knobs->reta = rig.knobs->rss = rig.knobs->key = 0;
	CU_ASSERT_EQUAL(rig_own_and_start(), 0);
	CU_ASSERT_EQUAL(rig.seen->conf.rxmode.mq_mode, RTE_ETH_MQ_RX_NONE);
	rig_end();
}

/* ---- what fits, and what does not ---- */

static void
test_descriptors_and_thresholds_fit_the_vf(void)
{
	const struct fixture_conf many = {.channels = 2, .nb_desc = 1000, .tx_free_thresh = 100};
	const struct fixture_conf few = {.channels = 2, .nb_desc = 33};

	REQUIRE(rig_begin_found(&many));
	rig.knobs->nb_desc = 512;
	rig.knobs->refuses = FAKE_VF_REFUSES_THRESHOLDS;
	fixture_rxq(&rig.f, 0)->conf.rx_free_thresh = 32;
	CU_ASSERT_EQUAL(rig_own_and_start(), 0);
	CU_ASSERT_EQUAL(rig.seen->rx_desc[0], 512);
	CU_ASSERT_EQUAL(rig.seen->tx_desc[1], 512);
	CU_ASSERT_EQUAL(rig.seen->rx_conf[0].rx_free_thresh, 7);
	CU_ASSERT_EQUAL(rig.seen->tx_conf[0].tx_free_thresh, 100);
	/* The application's, where the VF takes it. */
	netvsc_vf_stop(&rig.setup, (uint16_t)rig.last);
	rig.knobs->refuses = 0;
	CU_ASSERT_EQUAL(rig_start(), 0);
	CU_ASSERT_EQUAL(rig.seen->rx_conf[0].rx_free_thresh, 32);
	rig_end();
	REQUIRE(rig_begin_found(&few));
	CU_ASSERT_EQUAL(rig_own_and_start(), 0);
	CU_ASSERT_EQUAL(rig.seen->rx_desc[0], 64);
	rig_end();
}

static void
test_vf_that_cannot_do_what_is_configured_is_not_used(void)
{
	REQUIRE(rig_begin_found(NULL));
	rig.knobs->queues = RIG_QUEUES - 1;
	CU_ASSERT_EQUAL(rig_own_and_start(), -ENOSPC);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.setup.dev->said, "fewer than"));
	rig.knobs->queues = RIG_QUEUES;
	rig.knobs->max_mtu = 1499;
	CU_ASSERT_EQUAL(rig_own_and_start(), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.setup.dev->said, "MTU"));
	rig.knobs->max_mtu = 1500;
	rig.f.data.dev_conf.txmode.offloads = RTE_ETH_TX_OFFLOAD_TCP_TSO;
	rig.knobs->tx_offloads = 0;
	CU_ASSERT_EQUAL(rig_own_and_start(), -ENOTSUP);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.setup.dev->said, "TCP_TSO"));
	rig.f.data.dev_conf.txmode.offloads = 0;
	rig.f.data.dev_conf.intr_conf.rxq = 1;
	CU_ASSERT_EQUAL(rig_own_and_start(), -ENOTSUP);
	rig.f.data.dev_conf.intr_conf.rxq = 0;
	CU_ASSERT_EQUAL(rig.seen->configures, 0);
	rig.knobs->refuses = FAKE_VF_REFUSES_QUEUES;
	CU_ASSERT_EQUAL(rig_own_and_start(), -ENOMEM);
	rig.knobs->refuses = 0;
	rig.knobs->start_fails = 2;
	CU_ASSERT_EQUAL(rig_own_and_start(), -EIO);
	CU_ASSERT_EQUAL(rig_own_and_start(), -EIO);
	CU_ASSERT_EQUAL(rig_own_and_start(), 0);
	rig_end();
}

/* By what is left out nothing is lost, or something is. */
static void
test_refusals_are_harmless_or_not(void)
{
	static const struct {
		uint64_t refuses;
		bool promiscuous, used;
	} cases[] = {
		{FAKE_VF_REFUSES_PROMISCUOUS, false, true},
		{FAKE_VF_REFUSES_PROMISCUOUS, true, false},
		{FAKE_VF_REFUSES_MULTICAST, false, true},
		{FAKE_VF_REFUSES_MULTICAST | FAKE_VF_REFUSES_ALL_MULTICAST, false, true},
		{FAKE_VF_REFUSES_RETA, false, true},
	};
	size_t i;

	for (i = 0; i < RTE_DIM(cases); i++) {
		REQUIRE(rig_begin_found(NULL));
		set_everything();
		rig.f.port.config.promiscuous = cases[i].promiscuous;
		rig.knobs->refuses = cases[i].refuses;
		CU_ASSERT_EQUAL(rig_own_and_start() == 0, cases[i].used);
		CU_ASSERT_EQUAL(rig.seen->stops, !cases[i].used);
		if (cases[i].refuses == FAKE_VF_REFUSES_MULTICAST)
			CU_ASSERT_TRUE(rig.seen->all_multicast);
		rig_end();
	}
	/* Another address than the one that the VF came with. */
	REQUIRE(rig_begin_found(NULL));
	rig.f.port.config.mac_user = true;
	rig.f.port.config.mac = (struct rte_ether_addr){{2, 0, 0, 0, 0, 9}};
	rig.knobs->refuses = FAKE_VF_REFUSES_MAC;
	CU_ASSERT_NOT_EQUAL(rig_own_and_start(), 0);
	rig.knobs->refuses = 0;
	CU_ASSERT_EQUAL(rig_own_and_start(), 0);
	rig_end();
}

/* What a configuration says is noted by ethdev alone: MANA loses jumbo frames then. */
static void
test_vf_has_the_mtu_by_its_operation(void)
{
	const struct eth_dev_ops *ops = NULL;
	struct eth_dev_ops bare;

	REQUIRE(rig_begin_found(NULL));
	rig.f.port.config.mtu = 8000;
	CU_ASSERT_EQUAL(rig_own_and_start(), 0);
	CU_ASSERT_EQUAL(rig.seen->mtu, 8000);
	rig.f.port.config.mtu = 1400;
	CU_ASSERT_EQUAL(replay(NETVSC_VF_SET_MTU), 0);
	CU_ASSERT_EQUAL(rig.seen->mtu, 1400);
	/* Who refuses loses frames, or none. */
	rig.knobs->refuses = FAKE_VF_REFUSES_MTU;
	netvsc_vf_stop(&rig.setup, (uint16_t)rig.last);
	CU_ASSERT_EQUAL(rig_start(), 0);
	netvsc_vf_stop(&rig.setup, (uint16_t)rig.last);
	rig.f.port.config.mtu = 1501;
	CU_ASSERT_EQUAL(rig_start(), -EPERM);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.setup.dev->said, "the port's MTU"));
	CU_ASSERT_EQUAL(rig.seen->starts, 2);
	/* Rings and the like have no interface. */
	ops = rte_eth_devices[rig.last].dev_ops;
	bare = *ops;
	bare.mtu_set = NULL;
	rte_eth_devices[rig.last].dev_ops = &bare;
	CU_ASSERT_EQUAL(rig_start(), 0);
	rte_eth_devices[rig.last].dev_ops = ops;
	rig_end();
}

/* MANA, ENA, gve: no operation, no filter that could be set. Frames for others come otherwise. */
static void
test_vf_that_has_no_promiscuous_mode_is_used(void)
{
	const struct eth_dev_ops *ops = NULL;
	struct eth_dev_ops bare;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		REQUIRE(rig_begin_found(NULL));
		set_everything();
		ops = rte_eth_devices[rig.last].dev_ops;
		bare = *ops;
		bare.promiscuous_enable = bare.promiscuous_disable = NULL;
		bare.allmulticast_enable = bare.allmulticast_disable = NULL;
		bare.set_mc_addr_list = NULL;
		rte_eth_devices[rig.last].dev_ops = &bare;
		rig.f.port.config.promiscuous = i == 0;
		CU_ASSERT_EQUAL(rig_own_and_start(), 0);
		CU_ASSERT_EQUAL(rig.setup.dev->one_mode, i == 0);
		CU_ASSERT_FALSE(rig.seen->promiscuous);
		rig.f.port.config.promiscuous = i != 0;
		CU_ASSERT_EQUAL(replay(NETVSC_VF_SET_PROMISCUOUS), 0);
		CU_ASSERT_EQUAL(rig.setup.dev->one_mode, i != 0);
		/* What the application sets as its address it must have. */
		bare.mac_addr_set = NULL;
		rig.f.port.config.mac_user = true;
		rig.f.port.config.mac = (struct rte_ether_addr){{2, 0, 0, 0, 0, 9}};
		CU_ASSERT_EQUAL(replay(NETVSC_VF_SET_MAC), -EBUSY);
		netvsc_vf_stop(&rig.setup, (uint16_t)rig.last);
		CU_ASSERT_NOT_EQUAL(rig_start(), 0);
		rte_eth_devices[rig.last].dev_ops = ops;
		rig_end();
	}
}

/* Frames that nothing was found out about say so; those offloads need no VF. */
static void
test_offloads_of_one_path_only(void)
{
	REQUIRE(rig_begin_found(NULL));
	rig.knobs->rx_offloads = RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
	rig.knobs->tx_offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	rig.f.data.dev_conf.rxmode.offloads = RTE_ETH_RX_OFFLOAD_CHECKSUM |
					      RTE_ETH_RX_OFFLOAD_RSS_HASH |
					      RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
	rig.f.data.dev_conf.txmode.offloads =
		RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE | RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	CU_ASSERT_EQUAL(rig_own_and_start(), 0);
	CU_ASSERT_EQUAL(rig.seen->conf.rxmode.offloads, RTE_ETH_RX_OFFLOAD_VLAN_STRIP);
	CU_ASSERT_EQUAL(rig.seen->conf.txmode.offloads, RTE_ETH_TX_OFFLOAD_MULTI_SEGS);
	CU_ASSERT_TRUE(rig.seen->strips[0]);
	rig_end();
}

/* ---- dev_info ---- */

static void
test_dev_info_is_what_both_paths_can(void)
{
	struct rte_eth_dev_info before, both;

	REQUIRE(rig_begin(NULL, NULL, "mac=" RIG_MAC ",queues=2,max_mtu=4000,nb_desc=512"));
	rig.f.data.nb_rx_queues = rig.f.data.nb_tx_queues = 0; /* not configured */
	before = rig_info();
	CU_ASSERT_EQUAL(before.max_mtu, 9000);
	CU_ASSERT_EQUAL(before.max_rx_queues, FIXTURE_CHANNELS);
	rig_function(RIG_PCI, 1);
	rig_associate(1);
	rig_look();
	rig.fake = fake_vf_find(RIG_PCI);
	REQUIRE(rig.fake != NULL);
	both = rig_info();
	CU_ASSERT_EQUAL(both.max_rx_queues, 2);
	CU_ASSERT_EQUAL(both.max_tx_queues, 2);
	CU_ASSERT_EQUAL(both.max_mtu, 4000);
	CU_ASSERT_EQUAL(both.max_rx_pktlen, netvsc_rx_room(4000));
	CU_ASSERT_EQUAL(both.rx_desc_lim.nb_max, 512);
	CU_ASSERT_EQUAL(both.rx_desc_lim.nb_min, 64);
	CU_ASSERT_EQUAL(both.tx_desc_lim.nb_align, 8);
	CU_ASSERT_EQUAL(both.tx_desc_lim.nb_seg_max, 40);
	CU_ASSERT_EQUAL(both.tx_desc_lim.nb_mtu_seg_max, 8);
	CU_ASSERT_EQUAL(both.min_rx_bufsize, 256);
	CU_ASSERT_EQUAL(both.tx_offload_capa, before.tx_offload_capa);
	CU_ASSERT_EQUAL(both.rx_offload_capa, before.rx_offload_capa);
	CU_ASSERT_EQUAL(both.reta_size, before.reta_size);
	rig.f.data.nb_rx_queues = rig.f.data.nb_tx_queues = 1;
	CU_ASSERT_EQUAL(rig_own(), 0);
	rig_end();
	/* A VF with nothing at all: what costs no frame stays. */
	REQUIRE(rig_begin(NULL, NULL, "mac=" RIG_MAC ",rx_offloads=0,tx_offloads=0,rss=0,reta=0"));
	rig.f.data.nb_rx_queues = rig.f.data.nb_tx_queues = 0;
	rig_function(RIG_PCI, 1);
	rig_associate(1);
	rig_look();
	both = rig_info();
	CU_ASSERT_EQUAL(both.tx_offload_capa, RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE);
	CU_ASSERT_EQUAL(
		both.rx_offload_capa & RTE_ETH_RX_OFFLOAD_CHECKSUM, RTE_ETH_RX_OFFLOAD_CHECKSUM);
	CU_ASSERT_EQUAL(both.rx_offload_capa & RTE_ETH_RX_OFFLOAD_VLAN_STRIP, 0);
	rig.f.data.nb_rx_queues = rig.f.data.nb_tx_queues = 1;
	CU_ASSERT_EQUAL(rig_own(), 0);
	rig_end();
}

/* Pitfall V18, turned round: a VF that comes later does not make what is configured illegal. */
static void
test_dev_info_never_excludes_what_is_configured(void)
{
	const struct fixture_conf conf = {.channels = RIG_QUEUES,
		.nb_desc = 1000,
		.mtu = 4000,
		.room = 8192,
		.mbufs = 255,
		.recv_section = 10240,
		.recv_count = 64};
	struct rte_eth_dev_info both;

	REQUIRE(rig_begin(&conf, NULL,
		"mac=" RIG_MAC ",queues=1,max_mtu=1500,nb_desc=128,tx_offloads=0,rx_offloads=0"));
	rig.f.data.dev_conf.txmode.offloads = RTE_ETH_TX_OFFLOAD_TCP_TSO;
	rig.f.data.dev_conf.rxmode.offloads = RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
	rig_function(RIG_PCI, 1);
	rig_associate(1);
	rig_look();
	CU_ASSERT_EQUAL(rig.found, 1);
	both = rig_info();
	CU_ASSERT_EQUAL(both.max_rx_queues, RIG_QUEUES);
	CU_ASSERT_EQUAL(both.max_mtu, 4000);
	CU_ASSERT_EQUAL(both.rx_desc_lim.nb_max, 1000);
	CU_ASSERT_EQUAL(both.rx_desc_lim.nb_align, 1);
	CU_ASSERT_TRUE(both.tx_offload_capa & RTE_ETH_TX_OFFLOAD_TCP_TSO);
	CU_ASSERT_TRUE(both.rx_offload_capa & RTE_ETH_RX_OFFLOAD_VLAN_STRIP);
	CU_ASSERT_FALSE(both.tx_offload_capa & RTE_ETH_TX_OFFLOAD_VLAN_INSERT);
	CU_ASSERT_EQUAL(rig_own(), 0);
	CU_ASSERT_NOT_EQUAL(rig_start(), 0);
	rig_end();
}

/* A VF is told how long coalesced frames may get, which the host cannot be. */
static void
test_the_limit_of_coalescing_reaches_the_vf(void)
{
	static const uint32_t limits[][2] = {{0, 65535}, {65557, 65535}, {9000, 9000}};
	struct rte_eth_rxmode *rx = &rig.f.data.dev_conf.rxmode;
	struct rte_eth_dev_info both;
	size_t i;

	for (i = 0; i < RTE_DIM(limits); i++) {
		REQUIRE(rig_begin_found(NULL));
		rx->offloads = RTE_ETH_RX_OFFLOAD_TCP_LRO;
		rx->max_lro_pkt_size = limits[i][0];
		CU_ASSERT_EQUAL(rig_own_and_start(), 0);
		CU_ASSERT_TRUE(rig.seen->conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_TCP_LRO);
		CU_ASSERT_EQUAL(rig.seen->conf.rxmode.max_lro_pkt_size, limits[i][1]);
		/* ethdev compares it with what is told when a queue is set up. */
		both = rig_info();
		CU_ASSERT(both.max_lro_pkt_size >= limits[i][0]);
		rig_end();
	}
	rx->offloads = rx->max_lro_pkt_size = 0;
}

static void
test_packet_types_that_the_application_wants_reach_the_vf(void)
{
	REQUIRE(rig_begin_found(NULL));
	rig.f.port.config.ptypes = NETVSC_RX_PTYPES;
	CU_ASSERT_EQUAL(rig_own_and_start(), 0);
	CU_ASSERT_EQUAL(rig.seen->ptypes, 0); /* it has its own way, as nobody asked */
	atomic_store(&rig.vf.replay, 0);
	CU_ASSERT_EQUAL(netvsc_ptypes_set(&rig.f.eth, RTE_PTYPE_L2_MASK), 0);
	CU_ASSERT_EQUAL(atomic_load(&rig.vf.replay), NETVSC_VF_SET_PTYPES);
	CU_ASSERT_EQUAL(replay(NETVSC_VF_SET_PTYPES), 0);
	CU_ASSERT_EQUAL(rig.seen->ptypes, RTE_PTYPE_L2_MASK);
	/* Also with the next start. */
	CU_ASSERT_EQUAL(netvsc_ptypes_set(&rig.f.eth, RTE_PTYPE_L2_MASK | RTE_PTYPE_L3_MASK), 0);
	netvsc_vf_stop(&rig.setup, (uint16_t)rig.last);
	CU_ASSERT_EQUAL(rig_start(), 0);
	CU_ASSERT_EQUAL(rig.seen->ptypes, RTE_PTYPE_L2_MASK | RTE_PTYPE_L3_MASK);
	rig_end();
}

/* Chains of more segments are copied where there may be chains, and the VF has a limit. */
static void
test_segments_are_limited_by_the_vf(void)
{
	REQUIRE(rig_begin_found(NULL));
	CU_ASSERT_EQUAL(rig_own_and_start(), 0);
	CU_ASSERT_EQUAL(rig.setup.segs, 0);
	CU_ASSERT_EQUAL(rig.setup.mtu_segs, 0);
	netvsc_vf_stop(&rig.setup, (uint16_t)rig.last);
	rig.f.data.dev_conf.txmode.offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	CU_ASSERT_EQUAL(rig_start(), 0);
	CU_ASSERT_EQUAL(rig.setup.segs, 40);
	CU_ASSERT_EQUAL(rig.setup.mtu_segs, 8);
	rig_end();
}

/* A driver that says nothing of them: frames go to it as they are, and none is looked at. */
static void
test_segments_are_not_limited_by_a_vf_that_has_no_limit(void)
{
	REQUIRE(rig_begin_found(NULL));
	rig.knobs->any_segs = 1;
	rig.f.data.dev_conf.txmode.offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	CU_ASSERT_EQUAL(rig_own_and_start(), 0);
	CU_ASSERT_EQUAL(rig.setup.dev->info.tx_desc_lim.nb_seg_max, UINT16_MAX);
	CU_ASSERT_EQUAL(rig.setup.segs, 0);
	CU_ASSERT_EQUAL(rig.setup.mtu_segs, 0);
	rig_end();
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"everything that was set before is there",
			test_everything_that_was_set_before_is_there},
		{"changes reach a VF in use", test_changes_reach_a_vf_in_use},
		{"RSS is folded onto what the VF has", test_rss_is_folded_onto_what_the_vf_has},
		{"descriptors and thresholds fit the VF",
			test_descriptors_and_thresholds_fit_the_vf},
		{"VF that cannot do what is configured is not used",
			test_vf_that_cannot_do_what_is_configured_is_not_used},
		{"refusals are harmless or not", test_refusals_are_harmless_or_not},
		{"a VF has the MTU by its operation", test_vf_has_the_mtu_by_its_operation},
		{"VF that has no promiscuous mode is used",
			test_vf_that_has_no_promiscuous_mode_is_used},
		{"offloads of one path only", test_offloads_of_one_path_only},
		{"dev_info is what both paths can", test_dev_info_is_what_both_paths_can},
		{"the limit of coalescing reaches the VF",
			test_the_limit_of_coalescing_reaches_the_vf},
		{"dev_info never excludes what is configured",
			test_dev_info_never_excludes_what_is_configured},
		{"packet types that the application wants reach the VF",
			test_packet_types_that_the_application_wants_reach_the_vf},
		{"segments are limited by the VF", test_segments_are_limited_by_the_vf},
		{"segments are not limited by a VF that has no limit",
			test_segments_are_not_limited_by_a_vf_that_has_no_limit},
	};

	return UNIT_RUN("netvsc_vf_port", tests);
}
