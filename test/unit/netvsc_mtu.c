/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A change of the MTU, stopped and started, against a scripted host: it is another session, onto
 * which what is configured is replayed, and what cannot be had leaves the port as it was.
 */
#include <errno.h>

#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/tx_header.h"
#include "lib/netvsp/rndis.h"
#include "test/unit/netvsc_mtu_rig.h"

/* ---- started ---- */

static void
test_jumbo_frames_after_a_change_while_started(void)
{
	struct rte_eth_stats stats = {0};

	REQUIRE(mtu_start());
	mtu_check_frames(1514);
	CU_ASSERT_EQUAL(mtu_set(JUMBO), 0);
	CU_ASSERT_EQUAL(host.mtu, JUMBO);
	mtu_check_running(JUMBO);
	mtu_check_frames(JUMBO + 14);
	mtu_check_frames(60);
	CU_ASSERT_EQUAL(mtu_set(1500), 0);
	CU_ASSERT_EQUAL(host.mtu, 1500);
	mtu_check_running(1500);
	mtu_check_frames(1514);
	/* Nothing that was counted is gone. */
	CU_ASSERT_EQUAL(netvsc_stats_get(&f.eth, &stats, NULL), 0);
	CU_ASSERT_EQUAL(stats.ipackets, 4 * CHANNELS);
	CU_ASSERT_EQUAL(stats.opackets, 4 * CHANNELS);
	CU_ASSERT_EQUAL(stats.oerrors + stats.ierrors + stats.imissed, 0);
	mtu_finish();
}

/* RSS, MAC address and filter are what the application has made them. */
static void
test_what_is_configured_survives_a_change(void)
{
	struct rte_ether_addr mac = ladder_users;
	unsigned int rss;

	REQUIRE(mtu_start());
	CU_ASSERT_EQUAL(netvsc_mac_addr_set(&f.eth, &mac), 0);
	f.data.all_multicast = 1;
	f.port.config.rss.reta[5] = 2;
	f.port.config.rss.user = true;
	rss = host.asked[RSS];
	memset(host.asked, 0, sizeof(host.asked));
	host.rss_sets = 0;
	CU_ASSERT_EQUAL(mtu_set(4000), 0);
	CU_ASSERT_EQUAL(host.asked[USER_MAC], 1);
	CU_ASSERT(rte_is_same_ether_addr(&f.port.session.mac, &ladder_users));
	CU_ASSERT_EQUAL(host.filter, FILTER_ | RNDIS_FILTER_ALL_MULTICAST);
	CU_ASSERT_EQUAL(host.asked[RSS], rss);
	CU_ASSERT_EQUAL(host.asked[SUBCHANNELS], 1);
	/* Off and on, from what was configured: the second one is the last that was set. */
	CU_ASSERT_EQUAL(host.rss_sets, 2);
	CU_ASSERT_EQUAL(host.rss_entry, 2);
	CU_ASSERT_EQUAL(f.port.config.rss.reta[5], 2);
	mtu_finish();
}

/* Frames that the application keeps: the host does not even hear of the change. */
static void
test_frames_that_are_held_do_not_interrupt_traffic(void)
{
	struct fixture_conf conf = mtu_big;
	struct rte_mbuf *held, *m;

	conf.rx_copybreak = 256;
	REQUIRE(mtu_start_as(&conf));
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
	CU_ASSERT_EQUAL(mtu_set(JUMBO), -EBUSY);
	CU_ASSERT_EQUAL(host.n_said, 0);
	CU_ASSERT_EQUAL(host.mtu, 1500);
	mtu_check_running(1500);
	CU_ASSERT_EQUAL_FATAL(netvsc_rx_burst(f.rx_queues[0], &m, 1), 1);
	CU_ASSERT_TRUE(fixture_mbuf_is(m, 900, 71));
	CU_ASSERT_TRUE(fixture_mbuf_is(held, 900, 70));
	rte_pktmbuf_free(m);
	rte_pktmbuf_free(held);
	CU_ASSERT_EQUAL(mtu_set(JUMBO), 0);
	mtu_check_running(JUMBO);
	mtu_finish();
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
	struct fixture_conf conf = mtu_big;

	conf.rx_copybreak = 256;
	REQUIRE(mtu_start_as(&conf));
	ladder_turn();
	fixture_frames(&f, 0, 500, 4, 1, 900, 70);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(netvsc_rx_burst(f.rx_queues[0], &on_its_way, 1), 1);
	CU_ASSERT_EQUAL_FATAL(netvsc_rx_lent(&f.port), 1);
	f.on_signal_again = free_on_its_way;
	CU_ASSERT_EQUAL(mtu_set(JUMBO), 0);
	CU_ASSERT_PTR_NULL(on_its_way);
	mtu_check_running(JUMBO);
	mtu_finish();
}

static void
test_an_mtu_that_the_host_does_not_allow_any_more(void)
{
	REQUIRE(mtu_start());
	host.max_mtu = 1500;
	CU_ASSERT_EQUAL(mtu_set(JUMBO), -EINVAL);
	mtu_check_running(1500);
	mtu_check_frames(1514);
	CU_ASSERT_EQUAL(f.data.mtu, 1500);
	/* It may allow it again. */
	CU_ASSERT_EQUAL(f.port.limits.mtu, 9216);
	host.max_mtu = 9216;
	CU_ASSERT_EQUAL(mtu_set(JUMBO), 0);
	mtu_check_running(JUMBO);
	/* One that says how much there is now is believed, and not asked again. */
	host.max_mtu = 4000;
	CU_ASSERT_EQUAL(mtu_set(8000), -EINVAL);
	CU_ASSERT_EQUAL(f.port.limits.mtu, 4000);
	memset(host.asked, 0, sizeof(host.asked));
	CU_ASSERT_EQUAL(mtu_set(JUMBO), -EINVAL);
	CU_ASSERT_EQUAL(host.asked[INIT], 0);
	mtu_finish();
}

static void
test_a_host_that_has_no_sections_for_it(void)
{
	REQUIRE(mtu_start());
	host.divides = 8000;
	CU_ASSERT_EQUAL(mtu_set(JUMBO), -EINVAL);
	mtu_check_running(1500);
	mtu_check_frames(1514);
	CU_ASSERT_EQUAL(mtu_set(8000), 0);
	mtu_check_running(8000);
	CU_ASSERT_EQUAL(mtu_set(JUMBO), -EINVAL);
	mtu_check_running(8000);
	mtu_check_frames(8014);
	mtu_finish();
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
			REQUIRE(mtu_start());
			ladder_script(rungs[i], deeds[d]);
			host.max_mtu = 9216;
			host.mtu = 1500;
			host.filter = FILTER_;
			host.above = 1500; /* only of the new one */
			rc = mtu_set(JUMBO);
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
				mtu_check_running(1500);
				mtu_check_frames(1514);
			}
			mtu_finish();
		}
}

static void
test_a_port_that_cannot_come_up_again_asks_for_a_reset(void)
{
	REQUIRE(mtu_start());
	ladder_script(RECV_BUF, REFUSE);
	CU_ASSERT(mtu_set(JUMBO) < 0);
	CU_ASSERT_EQUAL(atomic_load(&f.port.state), NETVSC_STATE_BROKEN);
	CU_ASSERT(atomic_load(&f.port.events) & NETVSC_EVENT_RESET);
	ladder_check_nothing_left();
	/* What it then asks for is taken, and is there when it comes up. */
	host.deed = ANSWER;
	host.max_mtu = 9216;
	CU_ASSERT_EQUAL(mtu_set(4000), 0);
	f.data.dev_started = 0;
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, CHANNELS, f.data.mtu), 0);
	CU_ASSERT_EQUAL(f.port.session.mtu, 4000);
	mtu_finish();
}

static void
test_a_pool_that_is_too_small_changes_nothing(void)
{
	const struct fixture_conf small = {.room = 2048};

	REQUIRE(mtu_start_as(&small));
	memset(host.asked, 0, sizeof(host.asked));
	CU_ASSERT_EQUAL(mtu_set(JUMBO), -EINVAL);
	CU_ASSERT_EQUAL(host.asked[INIT] + host.asked[FILTER], 0);
	mtu_check_running(1500);
	mtu_check_frames(1514);
	mtu_finish();
}

/* Who waits for a word in a ring reads it without asking us: it must not be unmapped. */
static void
test_a_ring_that_is_watched_stays_mapped(void)
{
	struct rte_power_monitor_cond cond;

	REQUIRE(mtu_start());
	CU_ASSERT_EQUAL(netvsc_get_monitor_addr(f.rx_queues[0], &cond), 0);
	CU_ASSERT_EQUAL(mtu_set(9000), -EBUSY);
	CU_ASSERT_EQUAL(f.port.session.mtu, 1500);
	CU_ASSERT_EQUAL(netvsc_channel_live(fixture_channel(&f, 0)), true);
	/* A stop ends it. */
	CU_ASSERT_EQUAL(netvsc_ops.dev_stop(&f.eth), 0);
	f.data.dev_started = 0;
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), 0);
	f.data.dev_started = 1;
	CU_ASSERT_EQUAL(mtu_set(9000), 0);
	mtu_finish();
}

/* Nobody waits for what the host is not asked for. */
static void
test_an_mtu_below_what_hosts_know_is_only_noted(void)
{
	REQUIRE(mtu_start());
	host.n_said = 0;
	CU_ASSERT_EQUAL(mtu_set(1400), 0);
	CU_ASSERT_EQUAL(mtu_set(RTE_ETHER_MIN_MTU), 0);
	CU_ASSERT_EQUAL(mtu_set(1500), 0);
	CU_ASSERT_EQUAL(host.n_said, 0);
	mtu_check_running(1500);
	mtu_finish();
}

/* What a port tells that can only copy is what it can send, whatever the host allows. */
static void
test_an_mtu_that_no_section_holds_is_refused_up_front(void)
{
	const uint32_t most = 6144 - NETVSC_HEADER_MAX - RTE_ETHER_HDR_LEN - RTE_VLAN_HLEN;
	struct rte_eth_dev_info info = {0};
	struct fixture_conf conf = mtu_big;

	conf.copy_only = true;
	REQUIRE(mtu_start_as(&conf));
	CU_ASSERT_EQUAL(mtu_set(JUMBO), -EINVAL);
	CU_ASSERT_EQUAL(f.port.session.host_mtu, 1500);
	mtu_check_running(1500);
	CU_ASSERT_EQUAL(netvsc_infos_get(&f.eth, &info), 0);
	CU_ASSERT_EQUAL(info.max_mtu, most);
	/* The host is not even asked again. */
	host.n_said = 0;
	CU_ASSERT_EQUAL(mtu_set((uint16_t)(most + 1)), -EINVAL);
	CU_ASSERT_EQUAL(host.n_said, 0);
	CU_ASSERT_EQUAL(mtu_set((uint16_t)most), 0);
	mtu_check_running(most);
	mtu_check_frames(most + RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN);
	mtu_finish();
}

/* ethdev's own data, which its telemetry shows. */
static void
test_a_start_tells_scatter_and_coalescing(void)
{
	struct fixture_conf conf = mtu_big;

	REQUIRE(mtu_start_as(&conf));
	CU_ASSERT_EQUAL(f.data.scattered_rx, 0);
	CU_ASSERT_EQUAL(f.data.lro, 0);
	mtu_finish();
	conf.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER;
	REQUIRE(mtu_start_as(&conf));
	CU_ASSERT_EQUAL(f.data.scattered_rx, 1);
	CU_ASSERT_EQUAL(f.data.lro, 0);
	mtu_finish();
	conf.rx_offloads = RTE_ETH_RX_OFFLOAD_TCP_LRO;
	REQUIRE(mtu_start_as(&conf));
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
	mtu_finish();
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
	REQUIRE(mtu_start());
	stop();
	CU_ASSERT_EQUAL(mtu_set(JUMBO), 0);
	CU_ASSERT_EQUAL(f.port.session.mtu, JUMBO);
	CU_ASSERT_EQUAL(host.filter, 0);
	CU_ASSERT_EQUAL(atomic_load(&f.port.state), 0);
	host.max_mtu = 4000;
	CU_ASSERT_EQUAL(mtu_set(8000), -EINVAL);
	/* 9000 is not to be had again, so there is none until a start asks for what there is. */
	CU_ASSERT_EQUAL(mtu_set(4000), 0);
	CU_ASSERT_EQUAL(f.port.session.mtu, 4000);
	CU_ASSERT_EQUAL(mtu_set(1500), 0);
	CU_ASSERT_EQUAL(f.port.session.mtu, 1500);
	mtu_finish();
}

/* Open vSwitch sets the MTU before it sets the queues up anew with a pool for it. */
static void
test_the_pool_of_a_stopped_port_is_looked_at_when_it_starts(void)
{
	const struct fixture_conf small = {.room = 2048};

	REQUIRE(mtu_start_as(&small));
	stop();
	CU_ASSERT_EQUAL(mtu_set(JUMBO), 0);
	CU_ASSERT_EQUAL(f.port.session.mtu, JUMBO);
	CU_ASSERT_EQUAL(netvsc_check_queues(&f.port), -EINVAL);
	CU_ASSERT_EQUAL(mtu_set(1500), 0);
	CU_ASSERT_EQUAL(netvsc_check_queues(&f.port), 0);
	mtu_finish();
}

static void
test_the_device_is_gone(void)
{
	REQUIRE(mtu_start());
	atomic_store(&f.bus.gone, true);
	atomic_fetch_or(&f.port.state, NETVSC_STATE_GONE);
	CU_ASSERT_EQUAL(mtu_set(JUMBO), -ENODEV);
	CU_ASSERT_EQUAL(f.data.mtu, 1500);
	atomic_fetch_and(&f.port.state, ~NETVSC_STATE_GONE);
	mtu_finish();
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
		{"an MTU that no section holds is refused up front",
			test_an_mtu_that_no_section_holds_is_refused_up_front},
		{"a start tells scatter and coalescing", test_a_start_tells_scatter_and_coalescing},
		{"a change while stopped", test_a_change_while_stopped},
		{"the pool of a stopped port is looked at when it starts",
			test_the_pool_of_a_stopped_port_is_looked_at_when_it_starts},
		{"the device is gone", test_the_device_is_gone},
	};

	return UNIT_RUN("netvsc_mtu", tests);
}
