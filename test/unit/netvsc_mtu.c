/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A change of the MTU, stopped and started, against a scripted host: it is another session, onto
 * which what is configured is replayed, and what cannot be had leaves the port as it was.
 */
#include <errno.h>

#include "drivers/net/netvsc/attach.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/tx_header.h"
#include "lib/netvsp/nvsp.h"
#include "lib/netvsp/rndis.h"
#include "test/unit/netvsc_ladder.h"

#define JUMBO	9000u
#define FILTER_ (RNDIS_FILTER_DIRECTED | RNDIS_FILTER_BROADCAST)

static const struct fixture_conf big = {
	.recv_section = 10240, .recv_count = 64, .room = 9216, .mbufs = 255};

/* Started with all queues at 1500, on a host that allows 9216. */
static bool
start_as(const struct fixture_conf *conf)
{
	unsigned int i;

	if (!ladder_begin_as(*conf))
		return false;
	host.max_mtu = 9216;
	host.clamps = true;
	f.port.limits.mtu = 9216;
	f.data.dev_conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	f.data.dev_conf.rx_adv_conf.rss_conf.rss_hf = RTE_ETH_RSS_NONFRAG_IPV4_TCP;
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, CHANNELS, 1500), 0);
	netvsc_rss_default(&f.port);
	for (i = 0; i < CHANNELS; i++)
		f.data.rx_queue_state[i] = f.data.tx_queue_state[i] = RTE_ETH_QUEUE_STATE_STARTED;
	CU_ASSERT_EQUAL(netvsc_port_up(&f.port), 0);
	for (i = 0; i < CHANNELS; i++)
		netvsc_channel_set(fixture_channel(&f, i), NETVSC_CHANNEL_RUNNING);
	f.data.dev_started = 1;
	CU_ASSERT_EQUAL(host.filter, FILTER_);
	return true;
}

static bool
start(void)
{
	return start_as(&big);
}

/* As ethdev: the new one is stored when it was taken. With a clock that only waiting moves. */
static int
set(uint16_t mtu)
{
	int rc;

	ladder_ms = 1000000;
	rc = netvsc_mtu_set(&f.eth, mtu);
	ladder_ms = 0;
	if (rc == 0)
		f.data.mtu = mtu;
	return rc;
}

static void
finish(void)
{
	unsigned int i;

	f.data.dev_started = 0;
	atomic_fetch_and(&f.port.state, ~NETVSC_STATE_RUNNING);
	for (i = 0; i < CHANNELS; i++)
		if (netvsc_channel_is_open(fixture_channel(&f, i)))
			netvsc_channel_set(fixture_channel(&f, i), NETVSC_CHANNEL_OPEN);
	atomic_fetch_and(&f.port.state, ~NETVSC_STATE_BROKEN);
	ladder_end();
}

/* Frames of this length go both ways on every queue, byte by byte. */
static void
check_frames(uint32_t len)
{
	struct rte_mbuf *m[4], *out;
	struct fixture_packet pkt;
	unsigned int q;

	f.on_signal = NULL;
	for (q = 0; q < CHANNELS; q++) {
		ladder_turn(); /* acks of the control path */
		CU_ASSERT_EQUAL(fixture_frames(&f, q, 500 + q, 4 + q, 1, len, 70 + q), 0);
		fixture_publish(&f, q);
		CU_ASSERT_EQUAL_FATAL(netvsc_rx_burst(f.rx_queues[q], m, RTE_DIM(m)), 1);
		CU_ASSERT_TRUE(fixture_mbuf_is(m[0], len, 70 + q));
		rte_pktmbuf_free(m[0]);
		while (fixture_read(&f, q, &pkt))
			CU_ASSERT_EQUAL(pkt.desc.type, VMBUS_PACKET_COMPLETION);
		out = fixture_mbuf(&f, len, 90 + q);
		CU_ASSERT_PTR_NOT_NULL_FATAL(out);
		CU_ASSERT_EQUAL_FATAL(netvsc_tx_burst(f.tx_queues[q], &out, 1), 1);
		CU_ASSERT_TRUE_FATAL(fixture_read(&f, q, &pkt));
		CU_ASSERT_EQUAL(pkt.desc.type,
			len > f.conf.send_section ? VMBUS_PACKET_GPA_DIRECT : VMBUS_PACKET_INBAND);
		CU_ASSERT_EQUAL(fixture_complete(&f, q, pkt.desc.trans_id, NVSP_STATUS_SUCCESS), 0);
		fixture_publish(&f, q);
		CU_ASSERT_EQUAL(netvsc_tx_burst(f.tx_queues[q], NULL, 0), 0);
		CU_ASSERT_EQUAL(netvsc_rx_burst(f.rx_queues[q], m, RTE_DIM(m)), 0);
		CU_ASSERT_EQUAL(netvsc_tx_burst(f.tx_queues[q], NULL, 0), 0);
		CU_ASSERT_EQUAL(netvsc_tx_inflight(f.tx_queues[q]), 0);
	}
	f.on_signal = ladder_on_signal;
}

static void
check_running(uint32_t mtu)
{
	unsigned int i;

	CU_ASSERT_TRUE(f.port.session.attached);
	CU_ASSERT_EQUAL(f.port.session.mtu, mtu);
	CU_ASSERT_EQUAL(f.port.session.n_channels, CHANNELS);
	CU_ASSERT_EQUAL(atomic_load(&f.port.state), NETVSC_STATE_RUNNING);
	for (i = 0; i < CHANNELS; i++)
		CU_ASSERT_EQUAL(fixture_channel(&f, i)->state, NETVSC_CHANNEL_RUNNING);
	CU_ASSERT_EQUAL(host.filter, FILTER_);
	CU_ASSERT_EQUAL(f.port.section_queues, CHANNELS);
}

/* ---- started ---- */

static void
test_jumbo_frames_after_a_change_while_started(void)
{
	struct rte_eth_stats stats = {0};

	REQUIRE(start());
	check_frames(1514);
	CU_ASSERT_EQUAL(set(JUMBO), 0);
	CU_ASSERT_EQUAL(host.mtu, JUMBO);
	check_running(JUMBO);
	check_frames(JUMBO + 14);
	check_frames(60);
	CU_ASSERT_EQUAL(set(1500), 0);
	CU_ASSERT_EQUAL(host.mtu, 1500);
	check_running(1500);
	check_frames(1514);
	/* Nothing that was counted is gone. */
	CU_ASSERT_EQUAL(netvsc_stats_get(&f.eth, &stats, NULL), 0);
	CU_ASSERT_EQUAL(stats.ipackets, 4 * CHANNELS);
	CU_ASSERT_EQUAL(stats.opackets, 4 * CHANNELS);
	CU_ASSERT_EQUAL(stats.oerrors + stats.ierrors + stats.imissed, 0);
	finish();
}

/* RSS, MAC address and filter are what the application has made them. */
static void
test_what_is_configured_survives_a_change(void)
{
	struct rte_ether_addr mac = ladder_users;
	unsigned int rss;

	REQUIRE(start());
	CU_ASSERT_EQUAL(netvsc_mac_addr_set(&f.eth, &mac), 0);
	f.data.all_multicast = 1;
	f.port.config.rss.reta[5] = 2;
	f.port.config.rss.user = true;
	rss = host.asked[RSS];
	memset(host.asked, 0, sizeof(host.asked));
	host.rss_sets = 0;
	CU_ASSERT_EQUAL(set(4000), 0);
	CU_ASSERT_EQUAL(host.asked[USER_MAC], 1);
	CU_ASSERT(rte_is_same_ether_addr(&f.port.session.mac, &ladder_users));
	CU_ASSERT_EQUAL(host.filter, FILTER_ | RNDIS_FILTER_ALL_MULTICAST);
	CU_ASSERT_EQUAL(host.asked[RSS], rss);
	CU_ASSERT_EQUAL(host.asked[SUBCHANNELS], 1);
	/* Off and on, from what was configured: the second one is the last that was set. */
	CU_ASSERT_EQUAL(host.rss_sets, 2);
	CU_ASSERT_EQUAL(host.rss_entry, 2);
	CU_ASSERT_EQUAL(f.port.config.rss.reta[5], 2);
	finish();
}

/* Frames that the application keeps: the host does not even hear of the change. */
static void
test_frames_that_are_held_do_not_interrupt_traffic(void)
{
	struct fixture_conf conf = big;
	struct rte_mbuf *held, *m;

	conf.rx_copybreak = 256;
	REQUIRE(start_as(&conf));
	f.on_signal = NULL;
	ladder_turn();
	fixture_frames(&f, 0, 500, 4, 1, 900, 70);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(netvsc_rx_burst(f.rx_queues[0], &held, 1), 1);
	CU_ASSERT_EQUAL_FATAL(netvsc_rx_lent(&f.port), 1);
	/* One that nobody has received yet is not lost. */
	fixture_frames(&f, 0, 501, 5, 1, 900, 71);
	fixture_publish(&f, 0);
	f.on_signal = ladder_on_signal;
	host.n_said = 0;
	CU_ASSERT_EQUAL(set(JUMBO), -EBUSY);
	CU_ASSERT_EQUAL(host.n_said, 0);
	CU_ASSERT_EQUAL(host.mtu, 1500);
	check_running(1500);
	CU_ASSERT_EQUAL_FATAL(netvsc_rx_burst(f.rx_queues[0], &m, 1), 1);
	CU_ASSERT_TRUE(fixture_mbuf_is(m, 900, 71));
	CU_ASSERT_TRUE(fixture_mbuf_is(held, 900, 70));
	rte_pktmbuf_free(m);
	rte_pktmbuf_free(held);
	CU_ASSERT_EQUAL(set(JUMBO), 0);
	check_running(JUMBO);
	finish();
}

static struct rte_mbuf *on_its_way;

static void
free_on_its_way(struct fixture *fixture)
{
	rte_pktmbuf_free(on_its_way);
	on_its_way = NULL;
	f.on_signal_again = ladder_on_signal_again;
	ladder_on_signal_again(fixture);
}

/* One that is on its way through the application is no reason to refuse. */
static void
test_frames_that_come_back_are_waited_for(void)
{
	struct fixture_conf conf = big;

	conf.rx_copybreak = 256;
	REQUIRE(start_as(&conf));
	ladder_turn();
	fixture_frames(&f, 0, 500, 4, 1, 900, 70);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(netvsc_rx_burst(f.rx_queues[0], &on_its_way, 1), 1);
	CU_ASSERT_EQUAL_FATAL(netvsc_rx_lent(&f.port), 1);
	f.on_signal_again = free_on_its_way;
	CU_ASSERT_EQUAL(set(JUMBO), 0);
	CU_ASSERT_PTR_NULL(on_its_way);
	check_running(JUMBO);
	finish();
}

static void
test_an_mtu_that_the_host_does_not_allow_any_more(void)
{
	REQUIRE(start());
	host.max_mtu = 1500;
	CU_ASSERT_EQUAL(set(JUMBO), -EINVAL);
	check_running(1500);
	check_frames(1514);
	CU_ASSERT_EQUAL(f.data.mtu, 1500);
	/* It may allow it again. */
	CU_ASSERT_EQUAL(f.port.limits.mtu, 9216);
	host.max_mtu = 9216;
	CU_ASSERT_EQUAL(set(JUMBO), 0);
	check_running(JUMBO);
	/* One that says how much there is now is believed, and not asked again. */
	host.max_mtu = 4000;
	CU_ASSERT_EQUAL(set(8000), -EINVAL);
	CU_ASSERT_EQUAL(f.port.limits.mtu, 4000);
	memset(host.asked, 0, sizeof(host.asked));
	CU_ASSERT_EQUAL(set(JUMBO), -EINVAL);
	CU_ASSERT_EQUAL(host.asked[INIT], 0);
	finish();
}

static void
test_a_host_that_has_no_sections_for_it(void)
{
	REQUIRE(start());
	host.divides = 8000;
	CU_ASSERT_EQUAL(set(JUMBO), -EINVAL);
	check_running(1500);
	check_frames(1514);
	CU_ASSERT_EQUAL(set(8000), 0);
	check_running(8000);
	CU_ASSERT_EQUAL(set(JUMBO), -EINVAL);
	check_running(8000);
	check_frames(8014);
	finish();
}

/* Whatever goes wrong with the new session: the old MTU works, or the application hears of it. */
static void
test_every_misdeed_while_the_mtu_changes(void)
{
	static const enum rung rungs[] = {RECV_BUF, SEND_BUF, RNDIS_INIT, FILTER, MAC, FRAME_SIZE,
		OFFLOAD_CAPS, OFFLOADS, MEDIA, SPEED, RSS, SUBCHANNELS};
	static const enum deed deeds[] = {REFUSE, SHORT, WRONG_TYPE, ODD, SILENT, VANISH};
	size_t i, d;
	int rc;

	for (i = 0; i < RTE_DIM(rungs); i++)
		for (d = 0; d < RTE_DIM(deeds); d++) {
			REQUIRE(start());
			ladder_script(rungs[i], deeds[d]);
			host.max_mtu = 9216;
			host.mtu = 1500;
			host.filter = FILTER_;
			host.above = 1500; /* only of the new one */
			rc = set(JUMBO);
			host.deed = ANSWER;
			if (rc == 0) {
				CU_ASSERT_EQUAL(f.port.session.mtu, JUMBO);
			} else if (deeds[d] == SILENT || deeds[d] == VANISH) {
				/* The time is over, or the device is; unless this host is quick. */
				CU_ASSERT(atomic_load(&f.bus.gone) ||
					  (atomic_load(&f.port.state) == NETVSC_STATE_RUNNING) !=
						  ((atomic_load(&f.port.events) &
							   NETVSC_EVENT_RESET) != 0));
			} else {
				CU_ASSERT_EQUAL(f.data.mtu, 1500);
				check_running(1500);
				check_frames(1514);
			}
			finish();
		}
}

static void
test_a_port_that_cannot_come_up_again_asks_for_a_reset(void)
{
	REQUIRE(start());
	ladder_script(RECV_BUF, REFUSE);
	CU_ASSERT(set(JUMBO) < 0);
	CU_ASSERT_EQUAL(atomic_load(&f.port.state), NETVSC_STATE_BROKEN);
	CU_ASSERT(atomic_load(&f.port.events) & NETVSC_EVENT_RESET);
	ladder_check_nothing_left();
	/* What it then asks for is taken, and is there when it comes up. */
	host.deed = ANSWER;
	host.max_mtu = 9216;
	CU_ASSERT_EQUAL(set(4000), 0);
	f.data.dev_started = 0;
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, CHANNELS, f.data.mtu), 0);
	CU_ASSERT_EQUAL(f.port.session.mtu, 4000);
	finish();
}

static void
test_a_pool_that_is_too_small_changes_nothing(void)
{
	const struct fixture_conf small = {.room = 2048};

	REQUIRE(start_as(&small));
	memset(host.asked, 0, sizeof(host.asked));
	CU_ASSERT_EQUAL(set(JUMBO), -EINVAL);
	CU_ASSERT_EQUAL(host.asked[INIT] + host.asked[FILTER], 0);
	check_running(1500);
	check_frames(1514);
	finish();
}

/* Who waits for a word in a ring reads it without asking us: it must not be unmapped. */
static void
test_a_ring_that_is_watched_stays_mapped(void)
{
	struct rte_power_monitor_cond cond;

	REQUIRE(start());
	CU_ASSERT_EQUAL(netvsc_get_monitor_addr(f.rx_queues[0], &cond), 0);
	CU_ASSERT_EQUAL(set(9000), -EBUSY);
	CU_ASSERT_EQUAL(f.port.session.mtu, 1500);
	CU_ASSERT_EQUAL(netvsc_channel_live(fixture_channel(&f, 0)), true);
	/* A stop ends it. */
	CU_ASSERT_EQUAL(netvsc_ops.dev_stop(&f.eth), 0);
	f.data.dev_started = 0;
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), 0);
	f.data.dev_started = 1;
	CU_ASSERT_EQUAL(set(9000), 0);
	finish();
}

/* Nobody waits for what the host is not asked for. */
static void
test_an_mtu_below_what_hosts_know_is_only_noted(void)
{
	REQUIRE(start());
	host.n_said = 0;
	CU_ASSERT_EQUAL(set(1400), 0);
	CU_ASSERT_EQUAL(set(RTE_ETHER_MIN_MTU), 0);
	CU_ASSERT_EQUAL(set(1500), 0);
	CU_ASSERT_EQUAL(host.n_said, 0);
	check_running(1500);
	finish();
}

static unsigned int polls;

/* The application polls on while its port has another session. */
static void
poll_meanwhile(struct fixture *fixture)
{
	struct rte_mbuf *m[4], *out = fixture_mbuf(&f, 60, 1);
	unsigned int q;

	for (q = 0; q < CHANNELS; q++) {
		CU_ASSERT_EQUAL(netvsc_rx_burst(f.rx_queues[q], m, RTE_DIM(m)), 0);
		CU_ASSERT_EQUAL(netvsc_tx_burst(f.tx_queues[q], &out, 1), 0);
	}
	rte_pktmbuf_free(out);
	polls++;
	ladder_on_signal_again(fixture);
}

static void
test_polls_while_the_mtu_changes_find_nothing(void)
{
	REQUIRE(start());
	f.on_signal = NULL;
	f.on_signal_again = poll_meanwhile;
	polls = 0;
	CU_ASSERT_EQUAL(set(JUMBO), 0);
	CU_ASSERT(polls > 10);
	f.on_signal = ladder_on_signal;
	f.on_signal_again = ladder_on_signal_again;
	check_running(JUMBO);
	check_frames(JUMBO + 14);
	finish();
}

/* A queue that the application has stopped is stopped afterwards, too. */
static void
test_a_queue_that_is_stopped_is_stopped_afterwards(void)
{
	REQUIRE(start());
	CU_ASSERT_EQUAL(netvsc_rx_queue_stop(&f.eth, 1), 0);
	CU_ASSERT_EQUAL(netvsc_tx_queue_stop(&f.eth, 2), 0);
	CU_ASSERT_EQUAL(set(JUMBO), 0);
	CU_ASSERT_TRUE(fixture_channel(&f, 0)->rx_on && fixture_channel(&f, 0)->tx_on);
	CU_ASSERT_TRUE(!fixture_channel(&f, 1)->rx_on && fixture_channel(&f, 1)->tx_on);
	CU_ASSERT_TRUE(fixture_channel(&f, 2)->rx_on && !fixture_channel(&f, 2)->tx_on);
	finish();
}

/* ethdev thinks that the port is started; its rings are gone. */
static void
test_no_queue_starts_after_a_change_that_lost_the_session(void)
{
	struct rte_mbuf *m, *out;

	REQUIRE(start());
	ladder_script(RECV_BUF, REFUSE);
	CU_ASSERT(set(JUMBO) < 0);
	CU_ASSERT_FALSE(f.port.session.attached);
	CU_ASSERT_EQUAL(netvsc_rx_queue_stop(&f.eth, 1), 0);
	CU_ASSERT_EQUAL(netvsc_tx_queue_stop(&f.eth, 1), 0);
	CU_ASSERT_EQUAL(netvsc_rx_queue_start(&f.eth, 1), -ENOTCONN);
	CU_ASSERT_EQUAL(netvsc_tx_queue_start(&f.eth, 1), -ENOTCONN);
	CU_ASSERT_EQUAL(f.data.rx_queue_state[1], RTE_ETH_QUEUE_STATE_STOPPED);
	CU_ASSERT_EQUAL(f.data.tx_queue_state[1], RTE_ETH_QUEUE_STATE_STOPPED);
	CU_ASSERT_EQUAL(fixture_channel(&f, 1)->state, NETVSC_CHANNEL_CLOSED);
	/* Those that look at the channel only. */
	CU_ASSERT_EQUAL(netvsc_tx_done_cleanup(f.tx_queues[1], 0), 0);
	out = fixture_mbuf(&f, 60, 1);
	CU_ASSERT_EQUAL(netvsc_rx_burst(f.rx_queues[1], &m, 1), 0);
	CU_ASSERT_EQUAL(netvsc_tx_burst(f.tx_queues[1], &out, 1), 0);
	rte_pktmbuf_free(out);
	finish();
}

/* ethdev has released the queue that was, and the set-up of the one in its place has failed. */
static void
test_a_queue_that_is_not_set_up_again(void)
{
	REQUIRE(start());
	CU_ASSERT_EQUAL(netvsc_rx_queue_stop(&f.eth, 1), 0);
	netvsc_rx_queue_release(&f.eth, 1);
	CU_ASSERT_EQUAL(netvsc_tx_queue_stop(&f.eth, 1), 0);
	netvsc_tx_queue_release(&f.eth, 1);
	CU_ASSERT_EQUAL(set(JUMBO), 0);
	check_running(JUMBO);
	CU_ASSERT_FALSE(fixture_channel(&f, 1)->rx_on || fixture_channel(&f, 1)->tx_on);
	finish();
}

/* What a port tells that can only copy is what it can send, whatever the host allows. */
static void
test_an_mtu_that_no_section_holds_is_refused_up_front(void)
{
	const uint32_t most = 6144 - NETVSC_HEADER_MAX - RTE_ETHER_HDR_LEN - RTE_VLAN_HLEN;
	struct rte_eth_dev_info info = {0};
	struct fixture_conf conf = big;

	conf.copy_only = true;
	REQUIRE(start_as(&conf));
	CU_ASSERT_EQUAL(set(JUMBO), -EINVAL);
	CU_ASSERT_EQUAL(f.port.session.host_mtu, 1500);
	check_running(1500);
	CU_ASSERT_EQUAL(netvsc_infos_get(&f.eth, &info), 0);
	CU_ASSERT_EQUAL(info.max_mtu, most);
	/* The host is not even asked again. */
	host.n_said = 0;
	CU_ASSERT_EQUAL(set((uint16_t)(most + 1)), -EINVAL);
	CU_ASSERT_EQUAL(host.n_said, 0);
	CU_ASSERT_EQUAL(set((uint16_t)most), 0);
	check_running(most);
	check_frames(most + RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN);
	finish();
}

/* ethdev's own data, which its telemetry shows. */
static void
test_a_start_tells_scatter_and_coalescing(void)
{
	struct fixture_conf conf = big;

	REQUIRE(start_as(&conf));
	CU_ASSERT_EQUAL(f.data.scattered_rx, 0);
	CU_ASSERT_EQUAL(f.data.lro, 0);
	finish();
	conf.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER;
	REQUIRE(start_as(&conf));
	CU_ASSERT_EQUAL(f.data.scattered_rx, 1);
	CU_ASSERT_EQUAL(f.data.lro, 0);
	finish();
	conf.rx_offloads = RTE_ETH_RX_OFFLOAD_TCP_LRO;
	REQUIRE(start_as(&conf));
	CU_ASSERT_EQUAL(f.data.scattered_rx, 1);
	CU_ASSERT_EQUAL(f.data.lro, 1);
	/* A limit that the host cannot be told: no chains, and none is told of. */
	netvsc_port_down(&f.port);
	f.data.dev_conf.rxmode.max_lro_pkt_size = 8000;
	CU_ASSERT_EQUAL(netvsc_port_up(&f.port), 0);
	CU_ASSERT_EQUAL(f.data.scattered_rx, 0);
	CU_ASSERT_EQUAL(f.data.lro, 0);
	CU_ASSERT_FALSE(fixture_rxq(&f, 0)->chains);
	f.data.dev_conf.rxmode.max_lro_pkt_size = 0;
	finish();
}

/* The host reads queue 1's ring no more: what is in flight there is fenced off in time. */
static void
test_a_send_that_is_never_completed_leaves_time_for_the_new_session(void)
{
	unsigned int resets;
	struct rte_mbuf *out;

	REQUIRE(start());
	out = fixture_mbuf(&f, 1514, 1);
	CU_ASSERT_EQUAL(netvsc_tx_burst(f.tx_queues[1], &out, 1), 1);
	CU_ASSERT_EQUAL(netvsc_tx_inflight(f.tx_queues[1]), 1);
	resets = f.resets;
	f.on_signal = NULL; /* each answer takes a moment */
	CU_ASSERT_EQUAL_FATAL(set(JUMBO), 0);
	f.on_signal = ladder_on_signal;
	CU_ASSERT_EQUAL(f.resets, resets + 1);
	CU_ASSERT_EQUAL(netvsc_tx_inflight(f.tx_queues[1]), 0);
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
	check_running(JUMBO);
	check_frames(JUMBO + 14);
	finish();
}

/* As a poll of an lcore that was waiting for the new session: its ring is nonsense. */
static int
poll_a_broken_ring(struct hpbus_device *dev, int fd)
{
	struct rte_mbuf *m;

	atomic_store(&fixture_channel(&f, 0)->in.ring.ctl->write_index, UINT32_MAX);
	CU_ASSERT_EQUAL(netvsc_rx_burst(f.rx_queues[0], &m, 1), 0);
	return 0;
}

static void
test_a_reset_that_the_first_poll_asks_for_is_not_lost(void)
{
	REQUIRE(start());
	CU_ASSERT_EQUAL(fixture_sleepy(&f), 0);
	/* What the session that was has met with is over. */
	atomic_fetch_or(&f.port.events, NETVSC_EVENT_RESET);
	CU_ASSERT_EQUAL(set(4000), 0);
	CU_ASSERT_FALSE(atomic_load(&f.port.events) & NETVSC_EVENT_RESET);
	/* Queues are woken up as soon as they run. */
	f.backend.intr_raise = poll_a_broken_ring;
	CU_ASSERT_EQUAL(set(JUMBO), 0);
	CU_ASSERT(atomic_load(&f.port.state) & NETVSC_STATE_BROKEN);
	CU_ASSERT(atomic_load(&f.port.events) & NETVSC_EVENT_RESET);
	finish();
}

/* ---- stopped ---- */

static void
stop(void)
{
	unsigned int i;

	f.data.dev_started = 0;
	atomic_fetch_and(&f.port.state, ~NETVSC_STATE_RUNNING);
	for (i = 0; i < CHANNELS; i++)
		netvsc_channel_set(fixture_channel(&f, i), NETVSC_CHANNEL_OPEN);
	netvsc_port_down(&f.port);
}

static void
test_a_change_while_stopped(void)
{
	REQUIRE(start());
	stop();
	CU_ASSERT_EQUAL(set(JUMBO), 0);
	CU_ASSERT_EQUAL(f.port.session.mtu, JUMBO);
	CU_ASSERT_EQUAL(host.filter, 0);
	CU_ASSERT_EQUAL(atomic_load(&f.port.state), 0);
	host.max_mtu = 4000;
	CU_ASSERT_EQUAL(set(8000), -EINVAL);
	/* 9000 is not to be had again, so there is none until a start asks for what there is. */
	CU_ASSERT_EQUAL(set(4000), 0);
	CU_ASSERT_EQUAL(f.port.session.mtu, 4000);
	CU_ASSERT_EQUAL(set(1500), 0);
	CU_ASSERT_EQUAL(f.port.session.mtu, 1500);
	finish();
}

/* Open vSwitch sets the MTU before it sets the queues up anew with a pool for it. */
static void
test_the_pool_of_a_stopped_port_is_looked_at_when_it_starts(void)
{
	const struct fixture_conf small = {.room = 2048};

	REQUIRE(start_as(&small));
	stop();
	CU_ASSERT_EQUAL(set(JUMBO), 0);
	CU_ASSERT_EQUAL(f.port.session.mtu, JUMBO);
	CU_ASSERT_EQUAL(netvsc_check_queues(&f.port), -EINVAL);
	CU_ASSERT_EQUAL(set(1500), 0);
	CU_ASSERT_EQUAL(netvsc_check_queues(&f.port), 0);
	finish();
}

static void
test_the_device_is_gone(void)
{
	REQUIRE(start());
	atomic_store(&f.bus.gone, true);
	atomic_fetch_or(&f.port.state, NETVSC_STATE_GONE);
	CU_ASSERT_EQUAL(set(JUMBO), -ENODEV);
	CU_ASSERT_EQUAL(f.data.mtu, 1500);
	atomic_fetch_and(&f.port.state, ~NETVSC_STATE_GONE);
	finish();
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"jumbo frames after a change while started",
			test_jumbo_frames_after_a_change_while_started},
		{"what is configured survives a change", test_what_is_configured_survives_a_change},
		{"an MTU that the host does not allow any more",
			test_an_mtu_that_the_host_does_not_allow_any_more},
		{"frames that are held do not interrupt traffic",
			test_frames_that_are_held_do_not_interrupt_traffic},
		{"frames that come back are waited for", test_frames_that_come_back_are_waited_for},
		{"a host that has no sections for it", test_a_host_that_has_no_sections_for_it},
		{"every misdeed while the MTU changes", test_every_misdeed_while_the_mtu_changes},
		{"a port that cannot come up again asks for a reset",
			test_a_port_that_cannot_come_up_again_asks_for_a_reset},
		{"a pool that is too small changes nothing",
			test_a_pool_that_is_too_small_changes_nothing},
		{"a ring that is watched stays mapped", test_a_ring_that_is_watched_stays_mapped},
		{"an MTU below what hosts know is only noted",
			test_an_mtu_below_what_hosts_know_is_only_noted},
		{"polls while the MTU changes find nothing",
			test_polls_while_the_mtu_changes_find_nothing},
		{"a queue that is stopped is stopped afterwards",
			test_a_queue_that_is_stopped_is_stopped_afterwards},
		{"no queue starts after a change that lost the session",
			test_no_queue_starts_after_a_change_that_lost_the_session},
		{"a queue that is not set up again", test_a_queue_that_is_not_set_up_again},
		{"an MTU that no section holds is refused up front",
			test_an_mtu_that_no_section_holds_is_refused_up_front},
		{"a start tells scatter and coalescing", test_a_start_tells_scatter_and_coalescing},
		{"a send that is never completed leaves time for the new session",
			test_a_send_that_is_never_completed_leaves_time_for_the_new_session},
		{"a reset that the first poll asks for is not lost",
			test_a_reset_that_the_first_poll_asks_for_is_not_lost},
		{"a change while stopped", test_a_change_while_stopped},
		{"the pool of a stopped port is looked at when it starts",
			test_the_pool_of_a_stopped_port_is_looked_at_when_it_starts},
		{"the device is gone", test_the_device_is_gone},
	};

	return UNIT_RUN("netvsc_mtu", tests);
}
