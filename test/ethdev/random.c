/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random sequences of ethdev calls, sensible and not. After each call: a refusal is a negative
 * errno and somebody said why; what statistics report has not gone backwards. After each port:
 * every mbuf is back. The seed of a sequence is printed when it fails: "random 1 SEED" runs that
 * one alone.
 */
#include <rte_dev.h>
#include <ethdev_driver.h>

#include "test/ethdev/ethdev.h"

#define MAX_QUEUES 4u
#define MAX_CALLS  14u

static uint64_t state;

static uint32_t
draw(uint32_t below)
{
	/* splitmix64: a sequence depends on its seed alone. */
	uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)((z ^ (z >> 31)) >> 32) % below;
}

static bool
chance(uint32_t one_in)
{
	return draw(one_in) == 0;
}

static struct rte_mempool *tiny_pool; /* mbufs too small for a frame */
static struct rte_eth_stats told;     /* what was reported last */
static bool disturbed;		      /* a knob is turned */

/* ---- what is known of the port, to call the burst functions as the contract wants ---- */

static bool
queue_started(const uint8_t *states, uint16_t n, uint16_t queue)
{
	return queue < n && states[queue] == RTE_ETH_QUEUE_STATE_STARTED;
}

static struct rte_eth_dev_data *
port_data(void)
{
	return rte_eth_devices[ethdev_port].data;
}

/* ---- calls; each returns what the API returned ---- */

static int
call_configure(void)
{
	struct rte_eth_conf conf = {0};

	if (chance(2))
		conf.rxmode.mq_mode =
			chance(6) ? (enum rte_eth_rx_mq_mode)draw(8) : RTE_ETH_MQ_RX_RSS;
	if (chance(3))
		conf.rx_adv_conf.rss_conf.rss_hf =
			chance(4)   ? RTE_ETH_RSS_L2_PAYLOAD
			: chance(2) ? RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP
				    : RTE_ETH_RSS_IPV4;
	if (chance(6))
		conf.rxmode.mtu = draw(1600);
	if (chance(12))
		conf.txmode.mq_mode = (enum rte_eth_tx_mq_mode)draw(4);
	if (chance(12))
		conf.link_speeds = 1u << draw(12) | draw(2);
	if (chance(12))
		conf.rxmode.offloads = UINT64_C(1) << draw(22);
	if (chance(12))
		conf.txmode.offloads = UINT64_C(1) << draw(22);
	conf.intr_conf.lsc = draw(2);
	conf.intr_conf.rmv = draw(2);
	conf.intr_conf.rxq = chance(3);
	conf.lpbk_mode = chance(20);
	return rte_eth_dev_configure(
		ethdev_port, (uint16_t)draw(MAX_QUEUES + 2), (uint16_t)draw(MAX_QUEUES + 2), &conf);
}

static uint16_t
draw_descriptors(void)
{
	static const uint16_t usual[] = {64, 128, 512, 1024};

	return chance(6) ? (uint16_t)draw(9000) : usual[draw(4)];
}

static int
call_rx_setup(void)
{
	struct rte_eth_rxconf conf = {.rx_deferred_start = chance(10)};

	return rte_eth_rx_queue_setup(ethdev_port, (uint16_t)draw(MAX_QUEUES), draw_descriptors(),
		SOCKET_ID_ANY, chance(2) ? &conf : NULL, chance(8) ? tiny_pool : ethdev_pool);
}

static int
call_tx_setup(void)
{
	struct rte_eth_txconf conf = {
		.tx_deferred_start = chance(10), .tx_free_thresh = (uint16_t)draw(200)};

	return rte_eth_tx_queue_setup(ethdev_port, (uint16_t)draw(MAX_QUEUES), draw_descriptors(),
		SOCKET_ID_ANY, chance(2) ? &conf : NULL);
}

/* All that a started port needs, so that sequences get further than their first refusal. */
static int
call_bring_up(void)
{
	struct rte_eth_conf conf = {.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS};
	uint16_t q, rx = (uint16_t)draw(3), tx = (uint16_t)draw(3);
	int rc;

	rc = rte_eth_dev_configure(ethdev_port, rx, tx, &conf);
	for (q = 0; rc == 0 && q < port_data()->nb_rx_queues; q++)
		rc = rte_eth_rx_queue_setup(
			ethdev_port, q, draw_descriptors(), SOCKET_ID_ANY, NULL, ethdev_pool);
	for (q = 0; rc == 0 && q < port_data()->nb_tx_queues; q++)
		rc = rte_eth_tx_queue_setup(
			ethdev_port, q, draw_descriptors(), SOCKET_ID_ANY, NULL);
	return rc == 0 ? rte_eth_dev_start(ethdev_port) : rc;
}

static int
call_start(void)
{
	return rte_eth_dev_start(ethdev_port);
}

static int
call_stop(void)
{
	return rte_eth_dev_stop(ethdev_port);
}

static int
call_reset(void)
{
	return rte_eth_dev_reset(ethdev_port);
}

static int
call_close(void)
{
	return rte_eth_dev_close(ethdev_port);
}

static int
call_receive(void)
{
	uint16_t queue = (uint16_t)draw(MAX_QUEUES), n = (uint16_t)draw(33);
	struct rte_mbuf *m[33];

	/* A stopped port may be polled on any queue, a started one on those it has. */
	if (port_data()->dev_started &&
		!queue_started(port_data()->rx_queue_state, port_data()->nb_rx_queues, queue))
		return 0;
	n = rte_eth_rx_burst(ethdev_port, queue, m, n);
	rte_pktmbuf_free_bulk(m, n);
	return 0;
}

static int
call_send(void)
{
	uint16_t queue = (uint16_t)draw(MAX_QUEUES), n = (uint16_t)draw(33), sent, i;
	struct rte_mbuf *m[33];

	if (port_data()->dev_started &&
		!queue_started(port_data()->tx_queue_state, port_data()->nb_tx_queues, queue))
		return 0;
	for (i = 0; i < n; i++) {
		uint16_t size = (uint16_t)(60 + draw(1455));
		char *frame;

		m[i] = rte_pktmbuf_alloc(ethdev_pool);
		if (m[i] == NULL)
			break;
		frame = rte_pktmbuf_append(m[i], size);
		CHECK(frame != NULL);
		memset(frame, 0xff, size);
		memcpy(frame + 6, "\x00\x15\x5d\x48\x00\x01", 6);
	}
	n = i;
	sent = rte_eth_tx_burst(ethdev_port, queue, m, n);
	rte_pktmbuf_free_bulk(m + sent, n - sent);
	return 0;
}

static int
call_cleanup(void)
{
	int rc;

	/* ethdev itself follows a null pointer where no queue was ever configured. */
	if (port_data()->tx_queues == NULL)
		return 0;
	rc = rte_eth_tx_done_cleanup(ethdev_port, (uint16_t)draw(MAX_QUEUES), draw(64));
	return rc > 0 ? 0 : rc;
}

static int
call_promiscuous(void)
{
	return draw(2) ? rte_eth_promiscuous_enable(ethdev_port)
		       : rte_eth_promiscuous_disable(ethdev_port);
}

static int
call_allmulticast(void)
{
	struct rte_ether_addr mac = {{0x01}};

	switch (draw(3)) {
	case 0:
		return rte_eth_dev_set_mc_addr_list(ethdev_port, &mac, draw(2));
	case 1:
		return rte_eth_allmulticast_enable(ethdev_port);
	default:
		return rte_eth_allmulticast_disable(ethdev_port);
	}
}

static int
call_mac(void)
{
	struct rte_ether_addr mac = {{0x00, 0x15, 0x5d, 0x48, 0x00, (uint8_t)draw(3)}};

	if (chance(8))
		memset(&mac, 0, sizeof(mac));
	return rte_eth_dev_default_mac_addr_set(ethdev_port, &mac);
}

static int
call_mtu(void)
{
	return rte_eth_dev_set_mtu(ethdev_port, (uint16_t)draw(1700));
}

static int
call_stats_reset(void)
{
	int rc = draw(2) ? rte_eth_stats_reset(ethdev_port) : rte_eth_xstats_reset(ethdev_port);

	if (rc == 0)
		memset(&told, 0, sizeof(told));
	return rc;
}

static int
call_xstats(void)
{
	struct rte_eth_xstat_name names[512];
	struct rte_eth_xstat values[512];
	int n = rte_eth_xstats_get(ethdev_port, values, draw(2) ? RTE_DIM(values) : draw(40));
	int m = rte_eth_xstats_get_names(ethdev_port, names, RTE_DIM(names));

	CHECK_EQUAL(n, m);
	return n < 0 ? n : 0;
}

static int
call_info(void)
{
	struct rte_eth_dev_info info;

	return rte_eth_dev_info_get(ethdev_port, &info);
}

static int
call_queue_info(void)
{
	uint16_t queue = (uint16_t)draw(MAX_QUEUES);
	struct rte_eth_burst_mode mode;
	struct rte_eth_rxq_info rxq;
	struct rte_eth_txq_info txq;

	switch (draw(4)) {
	case 0:
		return rte_eth_rx_queue_info_get(ethdev_port, queue, &rxq);
	case 1:
		return rte_eth_tx_queue_info_get(ethdev_port, queue, &txq);
	case 2:
		return rte_eth_rx_burst_mode_get(ethdev_port, queue, &mode);
	default:
		return rte_eth_tx_burst_mode_get(ethdev_port, queue, &mode);
	}
}

static int
call_reta(void)
{
	struct rte_eth_rss_reta_entry64 reta[4] = {0};
	uint16_t size = chance(8) ? (uint16_t)draw(256) : 128;
	unsigned int i;

	reta[draw(2)].mask = UINT64_MAX; /* ethdev refuses an empty one without a word */
	for (i = 0; i < 64; i++)
		reta[0].reta[i] = (uint16_t)draw(chance(4) ? MAX_QUEUES : 1);
	if (size <= 64)
		size = 64, reta[0].mask = UINT64_MAX;
	if (draw(2))
		return rte_eth_dev_rss_reta_update(ethdev_port, reta, size);
	return rte_eth_dev_rss_reta_query(ethdev_port, reta, size);
}

static int
call_rss(void)
{
	uint8_t key[64] = {0};
	struct rte_eth_rss_conf conf = {
		.rss_key = draw(2) ? key : NULL,
		.rss_key_len = (uint8_t)(chance(4) ? draw(64) : 40),
		.rss_hf = chance(4) ? draw(1u << 31) : RTE_ETH_RSS_IPV4,
	};

	if (draw(2))
		return rte_eth_dev_rss_hash_update(ethdev_port, &conf);
	return rte_eth_dev_rss_hash_conf_get(ethdev_port, &conf);
}

static int
call_link(void)
{
	struct rte_eth_link link;

	switch (draw(3)) {
	case 0:
		return rte_eth_dev_set_link_up(ethdev_port);
	case 1:
		return rte_eth_dev_set_link_down(ethdev_port);
	default:
		return rte_eth_link_get_nowait(ethdev_port, &link);
	}
}

static int
call_look(void)
{
	char text[64];
	FILE *null;
	int rc;

	switch (draw(4)) {
	case 0:
		rc = rte_eth_dev_fw_version_get(ethdev_port, text, draw(sizeof(text)));
		return rc > 0 ? 0 : rc;
	case 1:
		return rte_eth_dev_is_removed(ethdev_port) == 0 ? 0 : -EIO;
	case 2:
		null = fopen("/dev/null", "w");
		rc = rte_eth_dev_priv_dump(ethdev_port, null);
		fclose(null);
		return rc;
	default:
		return rte_eth_dev_socket_id(ethdev_port) >= 0 ? 0 : -EINVAL;
	}
}

/* Queues that sleep, or cannot; whatever was added to an epoll set and is gone again. */
static int
call_sleep(void)
{
	uint16_t queue = (uint16_t)draw(MAX_QUEUES);
	struct rte_power_monitor_cond cond;
	struct rte_epoll_event events[4];
	int rc;

	switch (draw(6)) {
	case 0:
		return rte_eth_dev_rx_intr_enable(ethdev_port, queue);
	case 1:
		return rte_eth_dev_rx_intr_disable(ethdev_port, queue);
	case 2:
		return rte_eth_dev_rx_intr_ctl_q(ethdev_port, queue, RTE_EPOLL_PER_THREAD,
			draw(3) ? RTE_INTR_EVENT_ADD : RTE_INTR_EVENT_DEL, NULL);
	case 3:
		rc = rte_eth_dev_rx_intr_ctl_q_get_fd(ethdev_port, queue);
		return rc < 0 ? -EINVAL : 0;
	case 4:
		rc = rte_eth_get_monitor_addr(ethdev_port, queue, &cond);
		if (rc == 0)
			cond.fn(*(volatile uint32_t *)cond.addr, cond.opaque);
		return rc;
	default:
		rc = rte_epoll_wait(RTE_EPOLL_PER_THREAD, events, RTE_DIM(events), 0);
		return rc < 0 ? rc : 0;
	}
}

/* A queue alone: refused by ethdev unless the port is started and has it. */
static int
call_queue_run(void)
{
	uint16_t queue = (uint16_t)draw(MAX_QUEUES);

	switch (draw(4)) {
	case 0:
		return rte_eth_dev_rx_queue_start(ethdev_port, queue);
	case 1:
		return rte_eth_dev_rx_queue_stop(ethdev_port, queue);
	case 2:
		return rte_eth_dev_tx_queue_start(ethdev_port, queue);
	default:
		return rte_eth_dev_tx_queue_stop(ethdev_port, queue);
	}
}

/*
 * Calls that go past ethdev's checks: of queues that the port has, started or not, and not there
 * when their set-up has failed.
 */
static int
call_queue_status(void)
{
	uint16_t queue = (uint16_t)draw(MAX_QUEUES), at = (uint16_t)draw(9000);
	const struct rte_eth_dev_data *data = port_data();
	int rc;

	if (draw(2)) {
		if (queue >= data->nb_rx_queues)
			return 0;
		rc = draw(2) ? rte_eth_rx_queue_count(ethdev_port, queue)
			     : rte_eth_rx_descriptor_status(ethdev_port, queue, at);
	} else {
		if (queue >= data->nb_tx_queues)
			return 0;
		rc = rte_eth_tx_descriptor_status(ethdev_port, queue, at);
	}
	return rc > 0 ? 0 : rc;
}

/* Operations that the port does not have: refused by ethdev, which says nothing. */
static int
call_absent(void)
{
	struct rte_ether_addr mac = {{0x02}};

	switch (draw(2)) {
	case 0:
		return rte_eth_dev_mac_addr_add(ethdev_port, &mac, 0);
	default:
		return rte_eth_dev_vlan_filter(ethdev_port, 10, 1);
	}
}

/* What the host does meanwhile. */
static int
call_host(void)
{
	static const char *const percent[] = {"refuse_pct", "malformed_rx_pct"};

	disturbed = true;
	switch (draw(8)) {
	case 0:
		ethdev_link(draw(2));
		break;
	case 1:
		ethdev_knob("network_change", draw(4));
		break;
	case 2:
		ethdev_knob("link_mbps", 1 + draw(40000));
		break;
	case 3:
		if (port_data()->nb_rx_queues != 0 && chance(4))
			ethdev_knob("corrupt_ring", 0);
		break;
	case 4:
		ethdev_knob("inject", draw(2));
		break;
	default:
		ethdev_knob(percent[draw(2)], draw(101));
		break;
	}
	return 0;
}

static const struct {
	const char *name;
	int (*call)(void);
	unsigned int weight;
	bool silent; /* a refusal comes from ethdev without a word */
} calls[] = {
	{"configure", call_configure, 8},
	{"rx_queue_setup", call_rx_setup, 10},
	{"tx_queue_setup", call_tx_setup, 10},
	{"bring up", call_bring_up, 8},
	{"start", call_start, 8},
	{"stop", call_stop, 4},
	{"reset", call_reset, 1},
	{"close", call_close, 1},
	{"rx_burst", call_receive, 20},
	{"tx_burst", call_send, 20},
	{"tx_done_cleanup", call_cleanup, 6, true},
	{"promiscuous", call_promiscuous, 3},
	{"allmulticast", call_allmulticast, 3},
	{"mac_addr_set", call_mac, 2, true},
	{"set_mtu", call_mtu, 4},
	{"stats_reset", call_stats_reset, 3},
	{"xstats", call_xstats, 4},
	{"info", call_info, 2},
	{"queue info", call_queue_info, 4},
	{"queue start or stop", call_queue_run, 12},
	{"queue status", call_queue_status, 6, true},
	{"reta", call_reta, 5},
	{"rss", call_rss, 5},
	{"link", call_link, 2},
	{"look", call_look, 3},
	{"sleep", call_sleep, 10, true},
	{"absent", call_absent, 3, true},
	{"host", call_host, 2},
};

/* ---- after each call ---- */

static void
check_stats(const char *after)
{
	struct rte_eth_stats now = ethdev_stats();
	const struct {
		const char *name;
		uint64_t was, is;
	} pair[] = {
		{"ipackets", told.ipackets, now.ipackets},
		{"ibytes", told.ibytes, now.ibytes},
		{"imissed", told.imissed, now.imissed},
		{"ierrors", told.ierrors, now.ierrors},
		{"rx_nombuf", told.rx_nombuf, now.rx_nombuf},
		{"opackets", told.opackets, now.opackets},
		{"obytes", told.obytes, now.obytes},
		{"oerrors", told.oerrors, now.oerrors},
	};
	size_t i;

	for (i = 0; i < RTE_DIM(pair); i++)
		if (pair[i].is < pair[i].was || pair[i].is > UINT32_MAX)
			FAIL("after %s %s went from %" PRIu64 " to %" PRIu64, after, pair[i].name,
				pair[i].was, pair[i].is);
	told = now;
}

static void
one_call(void)
{
	unsigned int i, total = 0, at;
	unsigned long lines = ethdev_log_lines();
	int rc;

	for (i = 0; i < RTE_DIM(calls); i++)
		total += calls[i].weight;
	at = draw(total);
	for (i = 0; at >= calls[i].weight; i++)
		at -= calls[i].weight;
	if (getenv("ETHDEV_VERBOSE") != NULL)
		fprintf(stderr, "-- %s\n", calls[i].name);
	rc = calls[i].call();
	if (rc > 0 || rc < -200)
		FAIL("%s returned %d, which is no negative errno", calls[i].name, rc);
	/* A queue of a started port: ethdev's refusal, without a word. */
	if (rc == -EBUSY && strstr(calls[i].name, "queue_setup") != NULL)
		return;
	if (rc < 0 && !calls[i].silent && ethdev_log_lines() == lines)
		FAIL("%s was refused (%s) without a word", calls[i].name, strerror(-rc));
	if (rte_eth_dev_is_valid_port(ethdev_port))
		check_stats(calls[i].name);
}

/* Close or detach what is left; every mbuf is back. */
static void
end_of_port(struct rte_device *device)
{
	if (rte_eth_dev_is_valid_port(ethdev_port) && draw(2)) {
		rte_eth_dev_stop(ethdev_port);
		CHECK_EQUAL(rte_eth_dev_close(ethdev_port), 0);
	}
	CHECK_EQUAL(rte_dev_remove(device), 0);
	CHECK(!rte_eth_dev_is_valid_port(ethdev_port));
	CHECK_EQUAL(ethdev_mbufs_out(), 0);
	CHECK_EQUAL(rte_mempool_in_use_count(tiny_pool), 0);
}

static void
settle_host(void)
{
	static const char *const off[] = {"refuse_pct", "malformed_rx_pct", "inject"};
	size_t i;

	if (!disturbed)
		return;
	for (i = 0; i < RTE_DIM(off); i++)
		ethdev_knob(off[i], 0);
	ethdev_knob("link_mbps", 10000);
	ethdev_link(true);
	disturbed = false;
}

int
ethdev_random(unsigned long sequences, uint64_t seed)
{
	struct rte_eth_dev_info info;
	unsigned long n;
	unsigned int i;

	tiny_pool = rte_pktmbuf_pool_create(
		"tiny", 63, 0, 0, 256 + RTE_PKTMBUF_HEADROOM, SOCKET_ID_ANY);
	CHECK(tiny_pool != NULL);
	CHECK_EQUAL(rte_eth_dev_info_get(ethdev_port, &info), 0);
	for (n = 0; n < sequences; n++, seed++) {
		state = seed;
		if (getenv("ETHDEV_VERBOSE") != NULL)
			fprintf(stderr, "---- seed %" PRIu64 "\n", seed);
		snprintf(ethdev_note, sizeof(ethdev_note), "seed %" PRIu64, seed);
		for (i = draw(MAX_CALLS) + 1; i != 0 && rte_eth_dev_is_valid_port(ethdev_port); i--)
			one_call();
		/* Mostly the next sequence finds the port as this one left it. */
		if (rte_eth_dev_is_valid_port(ethdev_port) && !chance(20))
			continue;
		end_of_port(info.device);
		settle_host();
		memset(&told, 0, sizeof(told));
		CHECK_EQUAL(ethdev_attach(ethdev_device), 0);
		CHECK_EQUAL(rte_eth_dev_info_get(ethdev_port, &info), 0);
	}
	end_of_port(info.device);
	rte_mempool_free(tiny_pool);
	printf("ok %lu sequences\n", sequences);
	return 0;
}
