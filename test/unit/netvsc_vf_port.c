/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The VF made to do what the port does (pitfalls V12, V18, V20), what the port tells of both, and
 * what they have counted (pitfalls I2, I4).
 */
#include <rte_malloc.h>

#include "drivers/net/netvsc/compat.h"
#include "drivers/net/netvsc/stats.h"
#include "test/unit/netvsc_vf_rig.h"

#define QUEUES 4u

static struct fake_vf *vf;
static const struct fake_vf_seen *seen;
static struct fake_vf_knobs *knobs;

/* A VF is there, and is owned. */
static bool
begin(const struct fixture_conf *conf)
{
	struct fixture_conf some = {.channels = QUEUES, .nb_desc = 256};

	if (!rig_begin(conf != NULL ? conf : &some, NULL, "mac=" RIG_MAC))
		return false;
	rig_function(RIG_PCI, 1);
	rig_associate(1);
	rig_look();
	CU_ASSERT_EQUAL(rig.found, 1);
	vf = fake_vf_find(RIG_PCI);
	if (vf == NULL)
		return false;
	seen = fake_vf_seen(vf);
	knobs = fake_vf_knobs(vf);
	return true;
}

static int
own_and_start(void)
{
	int rc = rig_own();

	return rc != 0 ? rc : rig_start();
}

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
		c->rss.reta[i] = (uint16_t)(i % 128 * 3 % QUEUES);
	rig.f.data.dev_conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
}

static void
check_everything(void)
{
	const struct netvsc_config *c = &rig.f.port.config;
	unsigned int i, q;

	CU_ASSERT_EQUAL(seen->n_rx, QUEUES);
	CU_ASSERT_EQUAL(seen->n_tx, QUEUES);
	CU_ASSERT_EQUAL(seen->mtu, 1500);
	CU_ASSERT_EQUAL(seen->promiscuous, c->promiscuous);
	CU_ASSERT_EQUAL(seen->all_multicast, c->all_multicast);
	CU_ASSERT_EQUAL(seen->n_multicast, c->n_multicast);
	CU_ASSERT_EQUAL(
		memcmp(seen->multicast, c->multicast, c->n_multicast * sizeof(c->multicast[0])), 0);
	CU_ASSERT_EQUAL(seen->hf, c->rss.hf & knobs->rss);
	CU_ASSERT_EQUAL(memcmp(seen->key, c->rss.key, NETVSC_RSS_KEY_LEN), 0);
	for (i = 0; i < knobs->reta; i++)
		CU_ASSERT_EQUAL(seen->reta[i], c->rss.reta[i % 128]);
	for (q = 0; q < QUEUES; q++) {
		CU_ASSERT_PTR_EQUAL(seen->pool[q], rig.f.pool);
		CU_ASSERT_EQUAL(seen->rx_desc[q], 256);
		CU_ASSERT_EQUAL(seen->tx_desc[q], 256);
	}
}

/* ---- replay ---- */

static void
test_everything_that_was_set_before_is_there(void)
{
	REQUIRE(begin(NULL));
	set_everything();
	CU_ASSERT_EQUAL(own_and_start(), 0);
	check_everything();
	/* Before any frame: all but the start itself needs no VF that runs, or comes at once. */
	CU_ASSERT_EQUAL(seen->starts, 1);
	CU_ASSERT_EQUAL(seen->conf.intr_conf.lsc, 1);
	CU_ASSERT_EQUAL(seen->conf.intr_conf.rmv, 1);
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

	REQUIRE(begin(NULL));
	c = &rig.f.port.config;
	set_everything();
	CU_ASSERT_EQUAL(own_and_start(), 0);
	configures = seen->configures;
	c->promiscuous = false;
	CU_ASSERT_EQUAL(replay(NETVSC_VF_SET_PROMISCUOUS), 0);
	check_everything();
	c->all_multicast = true;
	CU_ASSERT_EQUAL(replay(NETVSC_VF_SET_ALLMULTICAST), 0);
	CU_ASSERT_TRUE(seen->all_multicast);
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
	CU_ASSERT_TRUE(seen->strips[0]);
	CU_ASSERT_FALSE(seen->strips[1]);
	CU_ASSERT_EQUAL(seen->configures, configures);
	/* What it does not take while it runs is for its next start. */
	knobs->refuses = FAKE_VF_REFUSES_HASH;
	CU_ASSERT_EQUAL(replay(NETVSC_VF_SET_RSS), -EBUSY);
	/* Without any hash type a VF is configured otherwise. */
	knobs->refuses = 0;
	c->rss.hf = 0;
	CU_ASSERT_EQUAL(replay(NETVSC_VF_SET_RSS), -EBUSY);
	netvsc_vf_stop(&rig.setup, (uint16_t)rig.last);
	CU_ASSERT_EQUAL(rig_start(), 0);
	CU_ASSERT_EQUAL(seen->conf.rxmode.mq_mode, RTE_ETH_MQ_RX_NONE);
	rig_end();
}

/* Tables of other sizes, keys of other lengths, fewer types (pitfall V20). */
static void
test_rss_is_folded_onto_what_the_vf_has(void)
{
	static const uint16_t sizes[] = {16, 64, 128, 256, 512};
	size_t i;

	for (i = 0; i < RTE_DIM(sizes); i++) {
		REQUIRE(begin(NULL));
		set_everything();
		knobs->reta = sizes[i];
		knobs->key = i % 2 == 0 ? 40 : 52;
		knobs->rss = RTE_ETH_RSS_IPV4;
		CU_ASSERT_EQUAL(own_and_start(), 0);
		check_everything();
		CU_ASSERT_EQUAL(seen->hf, RTE_ETH_RSS_IPV4);
		rig_end();
	}
	/* A queue that is stopped gets nothing; nor is there a table where there is none. */
	REQUIRE(begin(NULL));
	set_everything();
	rig.f.data.rx_queue_state[3] = RTE_ETH_QUEUE_STATE_STOPPED;
	CU_ASSERT_EQUAL(own_and_start(), 0);
	for (i = 0; i < knobs->reta; i++)
		CU_ASSERT(seen->reta[i] < 3);
	netvsc_vf_stop(&rig.setup, (uint16_t)rig.last);
	knobs->reta = knobs->rss = knobs->key = 0;
	CU_ASSERT_EQUAL(own_and_start(), 0);
	CU_ASSERT_EQUAL(seen->conf.rxmode.mq_mode, RTE_ETH_MQ_RX_NONE);
	rig_end();
}

/* ---- what fits, and what does not ---- */

static void
test_descriptors_and_thresholds_fit_the_vf(void)
{
	const struct fixture_conf many = {.channels = 2, .nb_desc = 1000, .tx_free_thresh = 100};
	const struct fixture_conf few = {.channels = 2, .nb_desc = 33};

	REQUIRE(begin(&many));
	knobs->nb_desc = 512;
	knobs->refuses = FAKE_VF_REFUSES_THRESHOLDS;
	fixture_rxq(&rig.f, 0)->conf.rx_free_thresh = 32;
	CU_ASSERT_EQUAL(own_and_start(), 0);
	CU_ASSERT_EQUAL(seen->rx_desc[0], 512);
	CU_ASSERT_EQUAL(seen->tx_desc[1], 512);
	CU_ASSERT_EQUAL(seen->rx_conf[0].rx_free_thresh, 7);
	CU_ASSERT_EQUAL(seen->tx_conf[0].tx_free_thresh, 100);
	/* The application's, where the VF takes it. */
	netvsc_vf_stop(&rig.setup, (uint16_t)rig.last);
	knobs->refuses = 0;
	CU_ASSERT_EQUAL(rig_start(), 0);
	CU_ASSERT_EQUAL(seen->rx_conf[0].rx_free_thresh, 32);
	rig_end();
	REQUIRE(begin(&few));
	CU_ASSERT_EQUAL(own_and_start(), 0);
	CU_ASSERT_EQUAL(seen->rx_desc[0], 64);
	rig_end();
}

static void
test_vf_that_cannot_do_what_is_configured_is_not_used(void)
{
	REQUIRE(begin(NULL));
	knobs->queues = QUEUES - 1;
	CU_ASSERT_EQUAL(own_and_start(), -ENOSPC);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.setup.dev->said, "fewer than"));
	knobs->queues = QUEUES;
	knobs->max_mtu = 1499;
	CU_ASSERT_EQUAL(own_and_start(), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.setup.dev->said, "MTU"));
	knobs->max_mtu = 1500;
	rig.f.data.dev_conf.txmode.offloads = RTE_ETH_TX_OFFLOAD_TCP_TSO;
	knobs->tx_offloads = 0;
	CU_ASSERT_EQUAL(own_and_start(), -ENOTSUP);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.setup.dev->said, "TCP_TSO"));
	rig.f.data.dev_conf.txmode.offloads = 0;
	rig.f.data.dev_conf.intr_conf.rxq = 1;
	CU_ASSERT_EQUAL(own_and_start(), -ENOTSUP);
	rig.f.data.dev_conf.intr_conf.rxq = 0;
	CU_ASSERT_EQUAL(seen->configures, 0);
	knobs->refuses = FAKE_VF_REFUSES_QUEUES;
	CU_ASSERT_EQUAL(own_and_start(), -ENOMEM);
	knobs->refuses = 0;
	knobs->start_fails = 2;
	CU_ASSERT_EQUAL(own_and_start(), -EIO);
	CU_ASSERT_EQUAL(own_and_start(), -EIO);
	CU_ASSERT_EQUAL(own_and_start(), 0);
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
		REQUIRE(begin(NULL));
		set_everything();
		rig.f.port.config.promiscuous = cases[i].promiscuous;
		knobs->refuses = cases[i].refuses;
		CU_ASSERT_EQUAL(own_and_start() == 0, cases[i].used);
		CU_ASSERT_EQUAL(seen->stops, !cases[i].used);
		if (cases[i].refuses == FAKE_VF_REFUSES_MULTICAST)
			CU_ASSERT_TRUE(seen->all_multicast);
		rig_end();
	}
	/* Another address than the one that the VF came with. */
	REQUIRE(begin(NULL));
	rig.f.port.config.mac_user = true;
	rig.f.port.config.mac = (struct rte_ether_addr){{2, 0, 0, 0, 0, 9}};
	knobs->refuses = FAKE_VF_REFUSES_MAC;
	CU_ASSERT_NOT_EQUAL(own_and_start(), 0);
	knobs->refuses = 0;
	CU_ASSERT_EQUAL(own_and_start(), 0);
	rig_end();
}

/* Frames that nothing was found out about say so; those offloads need no VF. */
static void
test_offloads_of_one_path_only(void)
{
	REQUIRE(begin(NULL));
	knobs->rx_offloads = RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
	knobs->tx_offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	rig.f.data.dev_conf.rxmode.offloads = RTE_ETH_RX_OFFLOAD_CHECKSUM |
					      RTE_ETH_RX_OFFLOAD_RSS_HASH |
					      RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
	rig.f.data.dev_conf.txmode.offloads =
		RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE | RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	CU_ASSERT_EQUAL(own_and_start(), 0);
	CU_ASSERT_EQUAL(seen->conf.rxmode.offloads, RTE_ETH_RX_OFFLOAD_VLAN_STRIP);
	CU_ASSERT_EQUAL(seen->conf.txmode.offloads, RTE_ETH_TX_OFFLOAD_MULTI_SEGS);
	CU_ASSERT_TRUE(seen->strips[0]);
	rig_end();
}

/* ---- whose memory it has ---- */

static struct {
	struct rte_mempool *pool;
	atomic_bool stopping;
} old;

static void *
stop_vf(void *arg)
{
	atomic_store(&old.stopping, true);
	netvsc_vf_stop(&rig.setup, (uint16_t)rig.last);
	return NULL;
}

/* The VF stops when somebody waits for it, not before. */
static void *
let_stop(void *arg)
{
	while (atomic_load(&rig.f.port.vf_shared.told->releases) == 0)
		usleep(100);
	fake_vf_key(knobs, "stop_hangs", "0");
	return NULL;
}

/* A VF in use that has mbufs of a pool of its queue 0, which the application is about to free. */
static bool
begin_pool(void)
{
	struct rte_mbuf *m[4];
	unsigned int i;

	old.pool = rte_pktmbuf_pool_create("vf_old", 63, 0, 0, 2048, SOCKET_ID_ANY);
	if (old.pool == NULL || !begin(NULL))
		return false;
	fixture_rxq(&rig.f, 0)->mp = old.pool;
	CU_ASSERT_EQUAL(own_and_start(), 0);
	CU_ASSERT_PTR_EQUAL(seen->pool[0], old.pool);
	for (i = 0; i < RTE_DIM(m); i++) {
		m[i] = rte_pktmbuf_alloc(old.pool);
		CU_ASSERT_EQUAL(rte_ring_enqueue(fake_vf_ring(vf, true, 0), m[i]), 0);
	}
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(old.pool), 4);
	return true;
}

/* Stop, another pool, free the old one: none of its mbufs is anywhere, nor comes to it later. */
static void
test_pool_that_is_freed_after_a_stop_is_not_the_vfs(void)
{
	pthread_t stop, let;

	REQUIRE(begin_pool());
	fake_vf_key(knobs, "stop_hangs", "1");
	CU_ASSERT_EQUAL_FATAL(pthread_create(&stop, NULL, stop_vf, NULL), 0);
	while (!atomic_load(&old.stopping))
		usleep(100);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&let, NULL, let_stop, NULL), 0);
	netvsc_rx_queue_release(&rig.f.eth, 0);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(old.pool), 0);
	pthread_join(let, NULL);
	pthread_join(stop, NULL);
	CU_ASSERT_PTR_NULL(fake_vf_ring(vf, true, 0));
	rte_mempool_free(old.pool);
	rig_end();
}

/* What was copied before a queue was released is not what a VF is started with. */
static void
test_vf_is_not_started_with_queues_that_are_released(void)
{
	unsigned int starts;

	REQUIRE(begin_pool());
	netvsc_vf_stop(&rig.setup, (uint16_t)rig.last);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(old.pool), 0);
	starts = seen->configures;
	CU_ASSERT_EQUAL(netvsc_vf_setup_copy(&rig.f.port, &rig.setup), 0);
	netvsc_rx_queue_release(&rig.f.eth, 0);
	rte_mempool_free(old.pool);
	CU_ASSERT_EQUAL(netvsc_vf_start(&rig.setup, (uint16_t)rig.last), -EAGAIN);
	CU_ASSERT_EQUAL(seen->configures, starts);
	rig_end();
}

/*
 * Whether there is a VF is under a lock, whose holder was killed, or interrupted by this: the queue
 * stays, the port says so, and no VF is started with what may be freed.
 */
static void
test_queue_stays_when_nobody_can_say_whether_a_vf_has_it(void)
{
	struct netvsc_rxq *rxq;
	struct netvsc_txq *txq;
	unsigned int starts;

	REQUIRE(begin_pool());
	rxq = fixture_rxq(&rig.f, 0);
	txq = fixture_txq(&rig.f, 1);
	netvsc_vf_stop(&rig.setup, (uint16_t)rig.last);
	starts = seen->configures;
	CU_ASSERT_EQUAL(netvsc_vf_setup_copy(&rig.f.port, &rig.setup), 0);
	rte_spinlock_lock(&netvsc_vf_lock);
	netvsc_rx_queue_release(&rig.f.eth, 0);
	netvsc_tx_queue_release(&rig.f.eth, 1);
	rte_spinlock_unlock(&netvsc_vf_lock);
	CU_ASSERT_PTR_NULL(rig.f.rx_queues[0]);
	CU_ASSERT_PTR_NULL(rig.f.tx_queues[1]);
	CU_ASSERT_PTR_EQUAL(rxq->port, &rig.f.port); /* rte_free() clears what it frees */
	CU_ASSERT_PTR_EQUAL(rig.f.port.quarantine, txq);
	CU_ASSERT_TRUE(fixture_channel(&rig.f, 0)->stuck);
	CU_ASSERT_TRUE(fixture_channel(&rig.f, 1)->stuck);
	CU_ASSERT(atomic_load(&rig.f.port.state) & NETVSC_STATE_BROKEN);
	CU_ASSERT_EQUAL(netvsc_vf_start(&rig.setup, (uint16_t)rig.last), -EAGAIN);
	CU_ASSERT_EQUAL(seen->configures, starts);
	/* He has gone on: what is stuck is free. */
	CU_ASSERT_TRUE(netvsc_channels_free(&rig.f.port));
	if (rig.f.port.quarantine == txq) {
		rig.f.rx_queues[0] = rxq;
		rig.f.tx_queues[1] = txq;
	}
	rig.f.port.quarantine = NULL;
	rte_mempool_free(old.pool);
	rig_end();
}

/* The other thread may be stopping it just now. */
static bool
keeps_them(void)
{
	bool keeps;

	rte_spinlock_lock(&netvsc_vf_lock);
	keeps = rig.setup.dev->keeps_them;
	rte_spinlock_unlock(&netvsc_vf_lock);
	return keeps;
}

/* A start that fails keeps nothing, and a stop that hangs holds up all releases together once. */
static void
test_release_of_queues_waits_for_a_vf_that_hangs_once(void)
{
	pthread_t stop;
	int64_t began;
	uint16_t q;

	REQUIRE(begin_pool());
	atomic_store(&old.stopping, false);
	fake_vf_key(knobs, "stop_hangs", "1");
	CU_ASSERT_EQUAL_FATAL(pthread_create(&stop, NULL, stop_vf, NULL), 0);
	began = hpbus_now_ms();
	for (q = 0; q < QUEUES; q++) {
		netvsc_rx_queue_release(&rig.f.eth, q);
		netvsc_tx_queue_release(&rig.f.eth, q);
	}
	CU_ASSERT(hpbus_now_ms() - began >= 3000);
	/* Each for itself would be as often. */
	CU_ASSERT(hpbus_now_ms() - began < 3000 * 2 * QUEUES);
	CU_ASSERT_TRUE(keeps_them());
	fake_vf_key(knobs, "stop_hangs", "0");
	pthread_join(stop, NULL);
	CU_ASSERT_FALSE(keeps_them());
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(old.pool), 0);
	rte_mempool_free(old.pool);
	rig_end();
}

/* ---- dev_info ---- */

static struct rte_eth_dev_info
info_now(void)
{
	struct rte_eth_dev_info info = {0};

	CU_ASSERT_EQUAL(netvsc_infos_get(&rig.f.eth, &info), 0);
	return info;
}

static void
test_dev_info_is_what_both_paths_can(void)
{
	struct rte_eth_dev_info before, both;

	REQUIRE(rig_begin(NULL, NULL, "mac=" RIG_MAC ",queues=2,max_mtu=4000,nb_desc=512"));
	rig.f.data.nb_rx_queues = rig.f.data.nb_tx_queues = 0; /* not configured */
	before = info_now();
	CU_ASSERT_EQUAL(before.max_mtu, 9000);
	CU_ASSERT_EQUAL(before.max_rx_queues, FIXTURE_CHANNELS);
	rig_function(RIG_PCI, 1);
	rig_associate(1);
	rig_look();
	vf = fake_vf_find(RIG_PCI);
	REQUIRE(vf != NULL);
	both = info_now();
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
	both = info_now();
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
	const struct fixture_conf conf = {.channels = QUEUES,
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
	both = info_now();
	CU_ASSERT_EQUAL(both.max_rx_queues, QUEUES);
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

/* ---- counters ---- */

/* @p n frames of @p len bytes come through the VF on a queue. */
static void
through_vf(uint16_t queue, unsigned int n, uint32_t len)
{
	struct rte_ring *ring = fake_vf_ring(vf, true, queue);
	struct rte_mbuf *m[64];
	unsigned int i;

	REQUIRE(ring != NULL && n <= RTE_DIM(m));
	for (i = 0; i < n; i++) {
		m[i] = fixture_mbuf(&rig.f, len, i);
		CU_ASSERT_EQUAL(rte_ring_enqueue(ring, m[i]), 0);
	}
	CU_ASSERT_EQUAL(rte_eth_rx_burst((uint16_t)rig.last, queue, m, (uint16_t)n), n);
	rte_pktmbuf_free_bulk(m, n);
}

static struct rte_eth_stats
stats_told(struct eth_queue_stats *queues)
{
	struct rte_eth_stats stats = {0};

	memset(queues, 0, sizeof(*queues));
	CU_ASSERT_EQUAL(netvsc_stats_get(&rig.f.eth, &stats, queues), 0);
	return stats;
}

/* The control thread has asked the VF. */
static struct rte_eth_stats
stats_now(struct eth_queue_stats *queues)
{
	netvsc_vf_count(&rig.setup, (uint16_t)rig.last);
	return stats_told(queues);
}

/* Another process looks: all that is the primary's alone means nothing there. */
static void
as_secondary(bool secondary)
{
	static const struct netvsc_process first = {NETVSC_PRIMARY, 1}, second = {2, 2};

	netvsc_process = secondary ? second : first;
	rig.f.port.eth = secondary ? NULL : &rig.f.eth;
	rig.f.port.vf = secondary ? NULL : &rig.vf;
}

static uint64_t
xstat_now(const char *name)
{
	struct rte_eth_xstat_name names[256];
	struct rte_eth_xstat values[256];
	int n = netvsc_xstats_get_names(&rig.f.eth, names, RTE_DIM(names)), i;

	CU_ASSERT(n > 0 && n < 256);
	CU_ASSERT_EQUAL(netvsc_xstats_get(&rig.f.eth, values, RTE_DIM(values)), n);
	for (i = 0; i < n; i++)
		if (strcmp(names[i].name, name) == 0)
			return values[i].value;
	return UINT64_MAX;
}

static void
test_counters_are_sums_and_never_go_backwards(void)
{
	struct eth_queue_stats queues;
	struct rte_eth_stats stats;

	REQUIRE(begin(NULL));
	CU_ASSERT_EQUAL(own_and_start(), 0);
	fixture_rxq(&rig.f, 1)->stats.packets = 10;
	fixture_rxq(&rig.f, 1)->stats.bytes = 1000;
	through_vf(1, 5, 100);
	through_vf(2, 3, 60);
	stats = stats_now(&queues);
	CU_ASSERT_EQUAL(stats.ipackets, 18);
	CU_ASSERT_EQUAL(stats.ibytes, 1000 + 500 + 180);
	CU_ASSERT_EQUAL(queues.q_ipackets[1], 15);
	CU_ASSERT_EQUAL(queues.q_ipackets[2], 3);
	CU_ASSERT_EQUAL(queues.q_ibytes[1], 1500);
	CU_ASSERT_EQUAL(xstat_now("vf_rx_good_packets"), 8);
	CU_ASSERT_EQUAL(xstat_now("vf_rx_q1_packets"), 5);
	CU_ASSERT_EQUAL(xstat_now("vf_fake_starts"), 1);
	/* A driver that forgets, as some do at a start. */
	CU_ASSERT_EQUAL(rte_eth_stats_reset((uint16_t)rig.last), 0);
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, 18);
	through_vf(1, 4, 100);
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, 22);
	/* The VF vanishes with its counters. */
	through_vf(1, 1, 100);
	netvsc_vf_stop(&rig.setup, (uint16_t)rig.last);
	CU_ASSERT_EQUAL(fake_command(RIG_PCI " unplug", NULL, 0), 0);
	netvsc_vf_disown(&rig.setup, (uint16_t)rig.last);
	CU_ASSERT_PTR_NULL(fake_vf_find(RIG_PCI));
	stats = stats_now(&queues);
	CU_ASSERT_EQUAL(stats.ipackets, 23);
	CU_ASSERT_EQUAL(queues.q_ipackets[1], 20);
	CU_ASSERT_EQUAL(xstat_now("vf_rx_good_packets"), 13);
	/* Another one goes on where it ended. */
	rig_look();
	CU_ASSERT_EQUAL(rig.found, 2);
	vf = fake_vf_find(RIG_PCI);
	REQUIRE(vf != NULL);
	CU_ASSERT_EQUAL(own_and_start(), 0);
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, 23);
	through_vf(0, 2, 64);
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, 25);
	CU_ASSERT_EQUAL(xstat_now("vf_rx_good_packets"), 15);
	/* A reset is one of both paths (pitfall I2). */
	CU_ASSERT_EQUAL(netvsc_xstats_reset(&rig.f.eth), 0);
	stats = stats_now(&queues);
	CU_ASSERT_EQUAL(stats.ipackets, 0);
	CU_ASSERT_EQUAL(queues.q_ipackets[1], 0);
	CU_ASSERT_EQUAL(xstat_now("vf_rx_good_packets"), 0);
	through_vf(0, 2, 64);
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, 2);
	rig_end();
}

/* What others counted before the port was ours is not the port's. */
static void
test_counters_begin_when_the_vf_is_ours(void)
{
	struct eth_queue_stats queues;
	struct rte_eth_conf conf = {0};
	struct rte_mempool *pool;
	uint16_t id;

	REQUIRE(begin(NULL));
	id = fake_vf_port(vf);
	pool = rig.f.pool;
	CU_ASSERT_EQUAL(rte_eth_dev_configure(id, 1, 1, &conf), 0);
	CU_ASSERT_EQUAL(rte_eth_rx_queue_setup(id, 0, 64, 0, NULL, pool), 0);
	CU_ASSERT_EQUAL(rte_eth_tx_queue_setup(id, 0, 64, 0, NULL), 0);
	CU_ASSERT_EQUAL(rte_eth_dev_start(id), 0);
	through_vf(0, 7, 64);
	CU_ASSERT_EQUAL(rte_eth_dev_stop(id), 0);
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, 0);
	CU_ASSERT_EQUAL(own_and_start(), 0);
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, 0);
	through_vf(0, 1, 64);
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, 1);
	rig_end();
}

/* Somebody is inside of its driver and does not come out: counters are those read last. */
static void
test_counters_do_not_wait_for_a_vf_that_hangs(void)
{
	struct eth_queue_stats queues;

	REQUIRE(begin(NULL));
	CU_ASSERT_EQUAL(own_and_start(), 0);
	through_vf(0, 3, 64);
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, 3);
	pthread_mutex_lock(&rig.setup.dev->calls);
	through_vf(0, 3, 64);
	CU_ASSERT_EQUAL(stats_told(&queues).ipackets, 3);
	CU_ASSERT_EQUAL(info_now().max_rx_queues, QUEUES);
	CU_ASSERT_EQUAL(xstat_now("vf_rx_good_packets"), 3);
	pthread_mutex_unlock(&rig.setup.dev->calls);
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, 6);
	rig_end();
}

/* What a VF can and has counted is told by every process that has the port. */
static void
test_other_processes_tell_of_the_vf(void)
{
	struct eth_queue_stats queues;

	REQUIRE(begin(NULL));
	CU_ASSERT_EQUAL(own_and_start(), 0);
	knobs->queues = 3; /* not asked again */
	through_vf(0, 3, 64);
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, 3);
	as_secondary(true);
	CU_ASSERT_EQUAL(stats_told(&queues).ipackets, 3);
	CU_ASSERT_EQUAL(queues.q_ipackets[0], 3);
	CU_ASSERT_EQUAL(xstat_now("vf_rx_good_packets"), 3);
	CU_ASSERT_EQUAL(info_now().tx_desc_lim.nb_seg_max, 40);
	CU_ASSERT_EQUAL(netvsc_xstats_reset(&rig.f.eth), 0);
	CU_ASSERT_EQUAL(xstat_now("vf_rx_good_packets"), 0);
	as_secondary(false);
	through_vf(0, 2, 64);
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, 2);
	rig_end();
}

/* A process that was ended while it read, or that does not go on: who else reads says so. */
static void
test_counters_whose_reader_does_not_go_on_are_not_waited_for(void)
{
	static const struct hpbus_op_kind soon = {"a test", 150, 50, true};
	struct rte_eth_stats stats = {0};
	struct eth_queue_stats queues;
	struct hpbus_op op;

	REQUIRE(begin(NULL));
	CU_ASSERT_EQUAL(own_and_start(), 0);
	through_vf(0, 3, 64);
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, 3);
	as_secondary(true);
	CU_ASSERT_TRUE(netvsc_trylock(&rig.f.port.vf_shared.told->lock));
	as_secondary(false);
	hpbus_op_begin(&op, &soon);
	CU_ASSERT_EQUAL(netvsc_stats_get(&rig.f.eth, &stats, NULL), -EBUSY);
	CU_ASSERT_EQUAL(netvsc_xstats_get(&rig.f.eth, NULL, 0), -EBUSY);
	netvsc_vf_count(&rig.setup, (uint16_t)rig.last);
	hpbus_op_end(&op);
	netvsc_break_locks(&rig.f.port, 2);
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, 3);
	rig_end();
}

static void
test_packet_types_that_the_application_wants_reach_the_vf(void)
{
	REQUIRE(begin(NULL));
	rig.f.port.config.ptypes = NETVSC_RX_PTYPES;
	CU_ASSERT_EQUAL(own_and_start(), 0);
	CU_ASSERT_EQUAL(seen->ptypes, 0); /* it has its own way, as nobody asked */
	atomic_store(&rig.vf.replay, 0);
	CU_ASSERT_EQUAL(netvsc_ptypes_set(&rig.f.eth, RTE_PTYPE_L2_MASK), 0);
	CU_ASSERT_EQUAL(atomic_load(&rig.vf.replay), NETVSC_VF_SET_PTYPES);
	CU_ASSERT_EQUAL(replay(NETVSC_VF_SET_PTYPES), 0);
	CU_ASSERT_EQUAL(seen->ptypes, RTE_PTYPE_L2_MASK);
	/* Also with the next start. */
	CU_ASSERT_EQUAL(netvsc_ptypes_set(&rig.f.eth, RTE_PTYPE_L2_MASK | RTE_PTYPE_L3_MASK), 0);
	netvsc_vf_stop(&rig.setup, (uint16_t)rig.last);
	CU_ASSERT_EQUAL(rig_start(), 0);
	CU_ASSERT_EQUAL(seen->ptypes, RTE_PTYPE_L2_MASK | RTE_PTYPE_L3_MASK);
	rig_end();
}

/* Chains of more segments are copied where there may be chains, and the VF has a limit. */
static void
test_segments_are_limited_by_the_vf(void)
{
	REQUIRE(begin(NULL));
	CU_ASSERT_EQUAL(own_and_start(), 0);
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
	REQUIRE(begin(NULL));
	knobs->any_segs = 1;
	rig.f.data.dev_conf.txmode.offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	CU_ASSERT_EQUAL(own_and_start(), 0);
	CU_ASSERT_EQUAL(rig.setup.dev->info.tx_desc_lim.nb_seg_max, UINT16_MAX);
	CU_ASSERT_EQUAL(rig.setup.segs, 0);
	CU_ASSERT_EQUAL(rig.setup.mtu_segs, 0);
	rig_end();
}

/* Nothing of a VF may be called while it resets itself: counters are those read last. */
static void
test_vf_that_resets_itself_is_not_asked(void)
{
	struct eth_queue_stats queues;

	REQUIRE(begin(NULL));
	CU_ASSERT_EQUAL(own_and_start(), 0);
	through_vf(0, 3, 64);
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, 3);
	through_vf(0, 2, 64);
	CU_ASSERT_EQUAL(fake_vf_event(vf, "recovering"), 0);
	rig.setup.dev->has_info = false;
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, 3);
	CU_ASSERT_EQUAL(xstat_now("vf_rx_good_packets"), 3);
	info_now();
	CU_ASSERT_EQUAL(netvsc_xstats_reset(&rig.f.eth), 0);
	CU_ASSERT_EQUAL(seen->while_recovering, 0);
	CU_ASSERT_EQUAL(fake_vf_event(vf, "recovered"), 0);
	CU_ASSERT_EQUAL(stats_now(&queues).ipackets, 2);
	CU_ASSERT_EQUAL(info_now().max_rx_queues, QUEUES);
	CU_ASSERT_FALSE(rig.setup.dev->has_info); /* not on this thread */
	rig_look();
	CU_ASSERT_TRUE(rig.setup.dev->has_info);
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
		{"offloads of one path only", test_offloads_of_one_path_only},
		{"pool that is freed after a stop is not the VF's",
			test_pool_that_is_freed_after_a_stop_is_not_the_vfs},
		{"VF is not started with queues that are released",
			test_vf_is_not_started_with_queues_that_are_released},
		{"queue stays when nobody can say whether a VF has it",
			test_queue_stays_when_nobody_can_say_whether_a_vf_has_it},
		{"release of queues waits for a VF that hangs once",
			test_release_of_queues_waits_for_a_vf_that_hangs_once},
		{"dev_info is what both paths can", test_dev_info_is_what_both_paths_can},
		{"dev_info never excludes what is configured",
			test_dev_info_never_excludes_what_is_configured},
		{"counters are sums and never go backwards",
			test_counters_are_sums_and_never_go_backwards},
		{"counters begin when the VF is ours", test_counters_begin_when_the_vf_is_ours},
		{"counters do not wait for a VF that hangs",
			test_counters_do_not_wait_for_a_vf_that_hangs},
		{"other processes tell of the VF", test_other_processes_tell_of_the_vf},
		{"counters whose reader does not go on are not waited for",
			test_counters_whose_reader_does_not_go_on_are_not_waited_for},
		{"packet types that the application wants reach the VF",
			test_packet_types_that_the_application_wants_reach_the_vf},
		{"segments are limited by the VF", test_segments_are_limited_by_the_vf},
		{"segments are not limited by a VF that has no limit",
			test_segments_are_not_limited_by_a_vf_that_has_no_limit},
		{"VF that resets itself is not asked", test_vf_that_resets_itself_is_not_asked},
	};

	return UNIT_RUN("netvsc_vf_port", tests);
}
