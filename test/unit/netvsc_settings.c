/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the application sets while the port runs: multicast list, link up and down, and what it then
 * finds; registers and the link's speed, which it looks at; queues with offloads of their own.
 */
#include <errno.h>

#include <rte_dev_info.h>

#include "drivers/net/netvsc/attach.h"
#include "lib/netvsp/ndis.h"
#include "lib/netvsp/nvsp.h"
#include "lib/netvsp/rndis.h"
#include "test/unit/netvsc_ladder.h"

#define USUAL	  (RNDIS_FILTER_DIRECTED | RNDIS_FILTER_BROADCAST)
#define MULTICAST (USUAL | RNDIS_FILTER_ALL_MULTICAST)

static struct rte_ether_addr groups[] = {
	{{0x01, 0x80, 0xc2, 0, 0, 2}}, {{0x33, 0x33, 0, 0, 0, 1}}, {{0x02, 0, 0, 0, 0, 1}}};

static bool
start(void)
{
	unsigned int i;

	if (!ladder_begin(true))
		return false;
	f.port.limits.max_queues = CHANNELS;
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, CHANNELS, 1500), 0);
	netvsc_rss_default(&f.port);
	netvsc_queues_begin(&f.port);
	CU_ASSERT_EQUAL(netvsc_port_up(&f.port), 0);
	for (i = 0; i < CHANNELS; i++) {
		f.data.rx_queue_state[i] = f.data.tx_queue_state[i] = RTE_ETH_QUEUE_STATE_STARTED;
		netvsc_channel_set(fixture_channel(&f, i), NETVSC_CHANNEL_RUNNING);
	}
	f.data.dev_started = 1;
	CU_ASSERT_EQUAL(host.filter, USUAL);
	return true;
}

static void
finish(void)
{
	unsigned int i;

	f.data.dev_started = 0;
	atomic_store(&f.port.state, 0);
	for (i = 0; i < CHANNELS; i++)
		if (netvsc_channel_is_open(fixture_channel(&f, i)))
			netvsc_channel_set(fixture_channel(&f, i), NETVSC_CHANNEL_OPEN);
	ladder_end();
}

/* As ethdev: the flag is stored when it was taken. */
static void
all_multicast(bool on)
{
	CU_ASSERT_EQUAL(
		on ? netvsc_allmulticast_enable(&f.eth) : netvsc_allmulticast_disable(&f.eth), 0);
	f.data.all_multicast = on;
}

static void
promiscuous(bool on)
{
	CU_ASSERT_EQUAL(
		on ? netvsc_promiscuous_enable(&f.eth) : netvsc_promiscuous_disable(&f.eth), 0);
	f.data.promiscuous = on;
}

static void
test_all_multicast_comes_while_there_is_a_list(void)
{
	REQUIRE(start());
	CU_ASSERT_EQUAL(netvsc_set_mc_addr_list(&f.eth, groups, 2), 0);
	CU_ASSERT_EQUAL(host.filter, MULTICAST);
	/* With the flags of the port it is one question (pitfall N14). */
	all_multicast(true);
	CU_ASSERT_EQUAL(netvsc_set_mc_addr_list(&f.eth, NULL, 0), 0);
	CU_ASSERT_EQUAL(host.filter, MULTICAST);
	CU_ASSERT_EQUAL(netvsc_set_mc_addr_list(&f.eth, groups, 1), 0);
	all_multicast(false);
	CU_ASSERT_EQUAL(host.filter, MULTICAST);
	promiscuous(true);
	CU_ASSERT_EQUAL(host.filter, RNDIS_FILTER_PROMISCUOUS);
	CU_ASSERT_EQUAL(netvsc_set_mc_addr_list(&f.eth, NULL, 0), 0);
	CU_ASSERT_EQUAL(host.filter, RNDIS_FILTER_PROMISCUOUS);
	promiscuous(false);
	CU_ASSERT_EQUAL(host.filter, USUAL);
	finish();
}

static void
test_a_multicast_list_that_is_refused(void)
{
	REQUIRE(start());
	CU_ASSERT_EQUAL(netvsc_set_mc_addr_list(&f.eth, groups, 3), -EINVAL);
	/* ethdev does not look. */
	CU_ASSERT_EQUAL(netvsc_set_mc_addr_list(&f.eth, NULL, 5), -EINVAL);
	CU_ASSERT_EQUAL(host.filter, USUAL);
	host.rung = FILTER;
	host.deed = REFUSE;
	CU_ASSERT_EQUAL(netvsc_set_mc_addr_list(&f.eth, groups, 2), -EIO);
	/* It is not in force, and does not come into force later. */
	CU_ASSERT_EQUAL(netvsc_filter_of(&f.port), USUAL);
	host.deed = ANSWER;
	/* One that is set while the port is stopped is there when it starts. */
	f.data.dev_started = 0;
	host.n_said = 0;
	CU_ASSERT_EQUAL(netvsc_set_mc_addr_list(&f.eth, groups, 2), 0);
	CU_ASSERT_EQUAL(host.n_said, 0);
	CU_ASSERT_EQUAL(netvsc_filter_of(&f.port), MULTICAST);
	finish();
}

static unsigned int
receive(void)
{
	struct rte_mbuf *m[4];
	unsigned int i, n = netvsc_rx_burst(f.rx_queues[1], m, RTE_DIM(m));

	for (i = 0; i < n; i++)
		rte_pktmbuf_free(m[i]);
	return n;
}

static void
a_frame(uint64_t tid)
{
	CU_ASSERT_EQUAL(fixture_frames(&f, 1, tid, 4, 1, 100, tid), 0);
	fixture_publish(&f, 1);
}

static void
test_a_link_that_is_taken_down_carries_nothing(void)
{
	struct rte_mbuf *out;

	REQUIRE(start());
	out = fixture_mbuf(&f, 60, 1);
	netvsc_link_update(&f.eth, 0);
	CU_ASSERT_EQUAL(f.data.dev_link.link_status, RTE_ETH_LINK_UP);
	atomic_store(&f.port.events, 0);
	/* A frame that was there before is not received when the link is up again. */
	a_frame(1);
	CU_ASSERT_EQUAL(netvsc_set_link_down(&f.eth), 0);
	CU_ASSERT_EQUAL(host.filter, 0);
	CU_ASSERT_EQUAL(atomic_exchange(&f.port.events, 0), NETVSC_EVENT_LINK);
	netvsc_link_update(&f.eth, 0);
	CU_ASSERT_EQUAL(f.data.dev_link.link_status, RTE_ETH_LINK_DOWN);
	CU_ASSERT_EQUAL(fixture_channel(&f, 1)->stats.rx_dropped_stopped, 1);
	CU_ASSERT_EQUAL(fixture_completions(&f, 1, NULL, NULL, 0), 1);
	a_frame(2);
	CU_ASSERT_EQUAL(receive(), 0);
	CU_ASSERT_EQUAL(netvsc_tx_burst(f.tx_queues[1], &out, 1), 0);
	/* What is set meanwhile does not let frames in, and holds when it is up. */
	all_multicast(true);
	CU_ASSERT_EQUAL(host.filter, 0);
	CU_ASSERT_EQUAL(netvsc_set_link_down(&f.eth), 0);
	CU_ASSERT_EQUAL(host.filter, 0);
	CU_ASSERT_EQUAL(netvsc_set_link_up(&f.eth), 0);
	CU_ASSERT_EQUAL(host.filter, MULTICAST);
	netvsc_link_update(&f.eth, 0);
	CU_ASSERT_EQUAL(f.data.dev_link.link_status, RTE_ETH_LINK_UP);
	CU_ASSERT_EQUAL(receive(), 1);
	CU_ASSERT_EQUAL(netvsc_set_link_up(&f.eth), 0);
	rte_pktmbuf_free(out);
	finish();
}

static void
test_a_link_that_the_host_keeps_up(void)
{
	REQUIRE(start());
	host.rung = FILTER;
	host.deed = REFUSE;
	CU_ASSERT_EQUAL(netvsc_set_link_down(&f.eth), -EIO);
	CU_ASSERT_EQUAL(atomic_load(&f.port.state), NETVSC_STATE_RUNNING);
	a_frame(1);
	CU_ASSERT_EQUAL(receive(), 1);
	/* A port that is stopped has no link, and one that starts has. */
	f.data.dev_started = 0;
	CU_ASSERT_EQUAL(netvsc_set_link_down(&f.eth), 0);
	CU_ASSERT_EQUAL(atomic_load(&f.port.state), NETVSC_STATE_RUNNING);
	finish();
}

/* A change of the MTU is no way to get the link up. */
static void
test_a_link_stays_down_with_another_mtu(void)
{
	REQUIRE(start());
	host.max_mtu = f.port.limits.mtu = 1600;
	CU_ASSERT_EQUAL(netvsc_set_link_down(&f.eth), 0);
	CU_ASSERT_EQUAL(netvsc_mtu_set(&f.eth, 1600), 0);
	CU_ASSERT_EQUAL(f.port.session.mtu, 1600);
	CU_ASSERT_EQUAL(host.filter, 0);
	CU_ASSERT_EQUAL(atomic_load(&f.port.state), NETVSC_STATE_RUNNING | NETVSC_STATE_LINK_DOWN);
	CU_ASSERT_EQUAL(netvsc_set_link_up(&f.eth), 0);
	CU_ASSERT_EQUAL(host.filter, USUAL);
	a_frame(1);
	CU_ASSERT_EQUAL(receive(), 1);
	finish();
}

#define PORT_WORDS 32 /* of the registers */

static void
test_registers(void)
{
	uint32_t words[PORT_WORDS + 16 * CHANNELS];
	unsigned int i;
	struct rte_dev_reg_info info = {0};

	REQUIRE(start());
	CU_ASSERT_EQUAL(netvsc_get_reg(&f.eth, &info), 0);
	CU_ASSERT_EQUAL(info.length, RTE_DIM(words));
	CU_ASSERT_EQUAL(info.width, sizeof(uint32_t));
	info.data = words;
	memset(words, 0xee, sizeof(words));
	CU_ASSERT_EQUAL(netvsc_get_reg(&f.eth, &info), 0);
	CU_ASSERT_EQUAL(words[2], CHANNELS);
	CU_ASSERT_EQUAL(words[3], NETVSC_STATE_RUNNING);
	CU_ASSERT_EQUAL(words[4], NVSP_VERSION_61);
	CU_ASSERT_EQUAL(words[6], 1500);
	CU_ASSERT_EQUAL(words[13], USUAL);
	/* The host of this test tells nothing of the channels that it would have sends on. */
	for (i = PORT_WORDS - NVSP_SEND_TABLE_ENTRIES; i < PORT_WORDS; i++)
		CU_ASSERT_EQUAL(words[i], UINT32_MAX);
	atomic_store(&f.port.send_table.tables, 1);
	atomic_store(&f.port.send_table.channel[0], 2);
	atomic_store(&f.port.send_table.channel[NVSP_SEND_TABLE_ENTRIES - 1], 1);
	CU_ASSERT_EQUAL(netvsc_get_reg(&f.eth, &info), 0);
	CU_ASSERT_EQUAL(words[0], 2);
	CU_ASSERT_EQUAL(words[PORT_WORDS - NVSP_SEND_TABLE_ENTRIES], 2);
	CU_ASSERT_EQUAL(words[PORT_WORDS - 1], 1);
	CU_ASSERT_EQUAL(words[PORT_WORDS + 16], 1);
	CU_ASSERT_EQUAL(words[PORT_WORDS + 16 + 2], NETVSC_CHANNEL_RUNNING);
	CU_ASSERT_EQUAL(words[PORT_WORDS + 16 + 3], f.conf.ring);
	/* A frame that waits is seen in the indices of its channel. */
	a_frame(1);
	CU_ASSERT_EQUAL(netvsc_get_reg(&f.eth, &info), 0);
	CU_ASSERT(words[PORT_WORDS + 16 + 4] > words[PORT_WORDS + 16 + 5]);
	CU_ASSERT_EQUAL(words[PORT_WORDS + 32 + 4], words[PORT_WORDS + 32 + 5]);
	CU_ASSERT_EQUAL(receive(), 1);
	/* Part of them is not to be had, and nobody waits for them. */
	info.length = 3;
	CU_ASSERT_EQUAL(netvsc_get_reg(&f.eth, &info), -ENOTSUP);
	info.length = 0;
	pthread_mutex_lock(&f.port.control_lock);
	CU_ASSERT_EQUAL(netvsc_get_reg(&f.eth, &info), -EAGAIN);
	pthread_mutex_unlock(&f.port.control_lock);
	finish();
}

/* Pitfall K3: applications hear of another speed, and the numbers are right up to 200 Gbit/s. */
static void
test_the_speed_of_the_link(void)
{
	static const struct {
		uint32_t mbps, flag;
	} speeds[] = {
		{100, RTE_ETH_LINK_SPEED_100M},
		{1000, RTE_ETH_LINK_SPEED_1G},
		{10000, RTE_ETH_LINK_SPEED_10G},
		{25000, RTE_ETH_LINK_SPEED_25G},
		{40000, RTE_ETH_LINK_SPEED_40G},
		{50000, RTE_ETH_LINK_SPEED_50G},
		{100000, RTE_ETH_LINK_SPEED_100G},
		{200000, RTE_ETH_LINK_SPEED_200G},
	};
	struct rte_eth_dev_info info = {0};
	size_t i;

	REQUIRE(start());
	netvsc_link_update(&f.eth, 0);
	for (i = 0; i < RTE_DIM(speeds); i++) {
		atomic_store(&f.port.link.speed, speeds[i].mbps * 10000);
		CU_ASSERT_EQUAL(netvsc_link_update(&f.eth, 0), 0);
		CU_ASSERT_EQUAL(f.data.dev_link.link_speed, speeds[i].mbps);
		CU_ASSERT_EQUAL(f.data.dev_link.link_status, RTE_ETH_LINK_UP);
		CU_ASSERT_EQUAL(netvsc_link_update(&f.eth, 0), -1);
		CU_ASSERT_EQUAL(netvsc_infos_get(&f.eth, &info), 0);
		CU_ASSERT_EQUAL(info.speed_capa, speeds[i].flag);
	}
	finish();
}

/* ---- queues of a running port, with offloads of their own ---- */

/* Stop queue 1 of both directions and set it up anew. */
static void
queues_anew(uint64_t rx, uint64_t tx)
{
	const struct rte_eth_rxconf rxconf = {.offloads = rx};
	const struct rte_eth_txconf txconf = {.offloads = tx};

	CU_ASSERT_EQUAL(netvsc_rx_queue_stop(&f.eth, 1), 0);
	CU_ASSERT_EQUAL(netvsc_tx_queue_stop(&f.eth, 1), 0);
	netvsc_rx_queue_release(&f.eth, 1);
	netvsc_tx_queue_release(&f.eth, 1);
	CU_ASSERT_EQUAL(netvsc_rx_queue_setup(&f.eth, 1, 256, 0, &rxconf, f.pool), 0);
	CU_ASSERT_EQUAL(netvsc_tx_queue_setup(&f.eth, 1, 256, 0, &txconf), 0);
	host.asked[OFFLOADS] = 0;
}

static void
test_offloads_of_a_queue_that_starts_later_reach_the_host(void)
{
	REQUIRE(start());
	CU_ASSERT_EQUAL(f.port.session.offloads_on, 0);
	queues_anew(RTE_ETH_RX_OFFLOAD_IPV4_CKSUM, 0);
	CU_ASSERT_EQUAL(netvsc_rx_queue_start(&f.eth, 1), 0);
	CU_ASSERT_EQUAL(host.asked[OFFLOADS], 1);
	CU_ASSERT_EQUAL(f.port.session.offloads_on, NDIS_CAN_RX_IP4);
	/* What is on already is not told again. */
	CU_ASSERT_EQUAL(netvsc_tx_queue_start(&f.eth, 1), 0);
	CU_ASSERT_EQUAL(host.asked[OFFLOADS], 1);
	queues_anew(0, RTE_ETH_TX_OFFLOAD_IPV4_CKSUM);
	CU_ASSERT_EQUAL(netvsc_tx_queue_start(&f.eth, 1), 0);
	CU_ASSERT_EQUAL(host.asked[OFFLOADS], 1);
	CU_ASSERT_EQUAL(f.port.session.offloads_on, NDIS_CAN_TX_IP4);
	CU_ASSERT(fixture_channel(&f, 1)->tx_on);
	finish();
}

static void
test_a_queue_whose_offloads_are_refused_stays_stopped(void)
{
	REQUIRE(start());
	queues_anew(RTE_ETH_RX_OFFLOAD_IPV4_CKSUM, 0);
	host.rung = OFFLOADS;
	host.deed = REFUSE;
	CU_ASSERT_EQUAL(netvsc_rx_queue_start(&f.eth, 1), -EIO);
	CU_ASSERT_EQUAL(netvsc_tx_queue_start(&f.eth, 1), -EIO);
	CU_ASSERT_EQUAL(f.data.rx_queue_state[1], RTE_ETH_QUEUE_STATE_STOPPED);
	CU_ASSERT_EQUAL(f.data.tx_queue_state[1], RTE_ETH_QUEUE_STATE_STOPPED);
	CU_ASSERT_FALSE(fixture_channel(&f, 1)->rx_on || fixture_channel(&f, 1)->tx_on);
	host.deed = ANSWER;
	CU_ASSERT_EQUAL(netvsc_rx_queue_start(&f.eth, 1), 0);
	CU_ASSERT_EQUAL(netvsc_tx_queue_start(&f.eth, 1), 0);
	finish();
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"all multicast comes while there is a list",
			test_all_multicast_comes_while_there_is_a_list},
		{"a multicast list that is refused", test_a_multicast_list_that_is_refused},
		{"a link that is taken down carries nothing",
			test_a_link_that_is_taken_down_carries_nothing},
		{"a link that the host keeps up", test_a_link_that_the_host_keeps_up},
		{"a link stays down with another MTU", test_a_link_stays_down_with_another_mtu},
		{"registers", test_registers},
		{"the speed of the link", test_the_speed_of_the_link},
		{"offloads of a queue that starts later reach the host",
			test_offloads_of_a_queue_that_starts_later_reach_the_host},
		{"a queue whose offloads are refused stays stopped",
			test_a_queue_whose_offloads_are_refused_stays_stopped},
	};

	return UNIT_RUN("netvsc_settings", tests);
}
