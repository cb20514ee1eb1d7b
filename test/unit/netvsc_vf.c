/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames go through a VF and come back, in all the ways that hosts, VFs and ports have.
 */
#include <errno.h>

#include <rte_power_intrinsics.h>

#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/sizes.h"
#include "test/unit/netvsc_vf_world.h"

/* Golden bytes (spec/nvsp.md, Checks), and who asks for VFs. */
static void
test_the_host_is_asked_for_virtual_functions(void)
{
	static const uint32_t versions[] = {NVSP_VERSION_61, NVSP_VERSION_5, NVSP_VERSION_4};
	struct fixture_packet pkt;
	struct nvsp_message msg;
	unsigned int i;

	REQUIRE(begin());
	f.port.session.asked_mtu = 1500;
	for (i = 0; i < 6; i++) {
		f.port.session.nvsp_version = versions[i / 2];
		f.port.vf_shared.asked = i % 2 == 0;
		CU_ASSERT_EQUAL(netvsc_nvsp_configure(&f.port), 0);
		CU_ASSERT_TRUE(fixture_read(&f, 0, &pkt));
		msg = fixture_nvsp(&pkt);
		CU_ASSERT_EQUAL(msg.type, NVSP_TYPE_NDIS_CONFIG);
		CU_ASSERT_EQUAL((msg.ndis_config.capabilities & NVSP_CAP_SRIOV) != 0,
			i % 2 == 0 && versions[i / 2] >= NVSP_VERSION_5);
		CU_ASSERT_TRUE(fixture_read(&f, 0, &pkt)); /* NDIS_VERSION */
	}
	f.port.session.nvsp_version = NVSP_VERSION_61;
	f.port.vf_shared.asked = true;
	end();
}

static void
test_frames_go_through_the_vf_when_the_host_has_moved_the_path(void)
{
	struct rte_mbuf *m, *got[4];

	REQUIRE(begin());
	CU_ASSERT_FALSE(goes_to_vf(1));
	host_associate(true, SERIAL);
	UNTIL(host.empty == 1); /* who asks for a completion gets an empty one */
	CU_ASSERT_EQUAL(host.empty_tid, TID_VF);
	UNTIL(atomic_load(&vf.looks) == 1);
	CU_ASSERT_TRUE(status().associated);
	CU_ASSERT_EQUAL(status().serial, SERIAL);
	/* The session before may have left the path where nobody listens. */
	UNTIL(host.back == 1);
	netvsc_vf_event(&f.port, NETVSC_VF_FOUND, VF);
	UNTIL(atomic_load(&vf.owned));
	CU_ASSERT_FALSE(atomic_load(&vf.started));
	CU_ASSERT_EQUAL(atomic_load(&vf.copies), 0); /* there may be no queues yet */
	CU_ASSERT_FALSE(goes_to_vf(2));
	host.holds = true;
	join();
	UNTIL(host.tid != 0);
	CU_ASSERT_TRUE(atomic_load(&vf.started));
	CU_ASSERT_EQUAL(host.asked, NVSP_DATA_PATH_VF);
	/* Frames may come before the answer does, but none is sent (pitfall N12). */
	CU_ASSERT_FALSE(goes_to_vf(3));
	CU_ASSERT_EQUAL(rte_ring_enqueue(vf.rx, numbered(4)), 0);
	CU_ASSERT_EQUAL(netvsc_vf_rx_burst(f.rx_queues[0], got, 4), 1);
	CU_ASSERT_EQUAL(got[0]->port, f.data.port_id); /* pitfall X18 */
	rte_pktmbuf_free(got[0]);
	host.holds = false;
	host_answer();
	UNTIL(used());
	CU_ASSERT_TRUE(goes_to_vf(5));
	/* Both paths are received from, whichever is full. */
	CU_ASSERT_EQUAL(fixture_frames(&f, 0, 1, 4, 3, FRAME, 70), 0);
	fixture_publish(&f, 0);
	m = numbered(6);
	m->port = VF;
	CU_ASSERT_EQUAL(rte_ring_enqueue(vf.rx, m), 0);
	CU_ASSERT_EQUAL(netvsc_vf_rx_burst(f.rx_queues[0], got, 2), 2);
	CU_ASSERT_EQUAL(netvsc_vf_rx_burst(f.rx_queues[0], got + 2, 2), 2);
	CU_ASSERT_EQUAL(got[0]->port, f.data.port_id);
	CU_ASSERT_EQUAL(got[1]->port, f.data.port_id);
	rte_pktmbuf_free_bulk(got, 4);
	CU_ASSERT_EQUAL(rte_ring_count(vf.rx), 0);
	CU_ASSERT_EQUAL(f.port.vf_tx[0].packets, 1);
	CU_ASSERT_EQUAL(f.port.vf_rx[0].packets, 2);
	/* Nobody sleeps on one ring who receives from two. */
	struct rte_power_monitor_cond cond = {0};
	CU_ASSERT_EQUAL(netvsc_get_monitor_addr(f.rx_queues[0], &cond), 0);
	CU_ASSERT_EQUAL(cond.opaque[0], UINT64_MAX);
	end();
	CU_ASSERT_EQUAL(atomic_load(&vf.stops), 1);
	CU_ASSERT_EQUAL(atomic_load(&vf.disowns), 1);
}

/* The application was told of no limit when it looked, and the VF that came later has one. */
static void
test_frames_of_more_segments_than_the_vf_takes_are_copied(void)
{
	struct rte_mbuf *m[3], *part;
	unsigned int i;

	REQUIRE(begin());
	f.port.vf->setup.mtu_segs = 2;
	join();
	host_associate(true, SERIAL);
	netvsc_vf_event(&f.port, NETVSC_VF_FOUND, VF);
	UNTIL(used());
	for (i = 0; i < RTE_DIM(m); i++)
		m[i] = numbered(i);
	/* The same frame in four mbufs. */
	for (i = 3; i > 0; i--) {
		part = rte_pktmbuf_alloc(f.pool);
		REQUIRE(part != NULL);
		part->next = m[1]->next;
		m[1]->next = part;
		m[1]->nb_segs++;
		part->data_len = 10;
		memcpy(rte_pktmbuf_mtod(part, void *),
			rte_pktmbuf_mtod_offset(m[1], void *, 20 + 10 * i), 10);
	}
	m[1]->data_len = FRAME - 30;
	CU_ASSERT_EQUAL(m[1]->nb_segs, 4);
	CU_ASSERT_EQUAL(netvsc_vf_tx_burst(f.tx_queues[0], m, 3), 3);
	turn();
	CU_ASSERT_EQUAL(seen_vf, 3);
	CU_ASSERT_EQUAL(damaged, 0); /* who looks takes the first mbuf for all of it */
	CU_ASSERT(seen[0] == 1 && seen[1] == 1 && seen[2] == 1);
	CU_ASSERT_EQUAL(f.port.vf_tx[0].packets, 3);
	end();
}

/* One that fits into no mbuf, for a VF that takes no chains, is taken and counted as an error. */
static void
test_sizes_are_of_frames_that_the_vf_was_sent(void)
{
	static struct netvsc_sizes sizes;
	struct rte_mbuf *m[2], *part;
	uint64_t counted = 0;
	unsigned int i;

	REQUIRE(begin());
	memset(&sizes, 0, sizeof(sizes));
	f.port.sizes = &sizes;
	f.port.vf->setup.mtu_segs = 1;
	join();
	host_associate(true, SERIAL);
	netvsc_vf_event(&f.port, NETVSC_VF_FOUND, VF);
	UNTIL(used());
	m[0] = numbered(0);
	m[1] = numbered(1);
	part = rte_pktmbuf_alloc(f.pool);
	REQUIRE(part != NULL && rte_pktmbuf_append(part, rte_pktmbuf_tailroom(part)) != NULL);
	REQUIRE(rte_pktmbuf_chain(m[1], part) == 0);
	CU_ASSERT_EQUAL(netvsc_tx_burst_sized(f.tx_queues[0], m, 2), 2);
	CU_ASSERT_EQUAL(fixture_txq(&f, 0)->drops.unsendable, 1);
	CU_ASSERT_EQUAL(f.port.vf_tx[0].packets, 1);
	for (i = 0; i < NETVSC_SIZE_BINS; i++)
		counted += sizes.tx[0][i];
	CU_ASSERT_EQUAL(counted, 1);
	f.port.sizes = NULL;
	end();
}

/* A start chooses the bursts, and another session comes without one (MTU, recovery). */
static void
test_frames_of_a_vf_arrive_whichever_session_the_start_met_with(void)
{
	static struct netvsc_sizes sizes;
	struct rte_mbuf *m, *got[2];
	unsigned int sized;

	for (sized = 0; sized < 2; sized++) {
		REQUIRE(begin());
		memset(&sizes, 0, sizeof(sizes));
		f.port.sizes = sized ? &sizes : NULL;
		f.port.session.nvsp_version = NVSP_VERSION_4;
		netvsc_set_bursts(&f.eth, true);
		f.port.session.nvsp_version = NVSP_VERSION_61;
		join();
		host_associate(true, SERIAL);
		netvsc_vf_event(&f.port, NETVSC_VF_FOUND, VF);
		UNTIL(used());
		CU_ASSERT_EQUAL(rte_ring_enqueue(vf.rx, numbered(1)), 0);
		CU_ASSERT_EQUAL(f.eth.rx_pkt_burst(f.rx_queues[0], got, 2), 1);
		CU_ASSERT_EQUAL(got[0]->port, f.data.port_id);
		rte_pktmbuf_free(got[0]);
		m = numbered(2);
		CU_ASSERT_EQUAL(f.eth.tx_pkt_burst(f.tx_queues[0], &m, 1), 1);
		turn();
		CU_ASSERT_EQUAL(seen_vf, 1);
		CU_ASSERT_EQUAL(sizes.rx[0][0], sized);
		CU_ASSERT_EQUAL(sizes.tx[0][0], sized);
		netvsc_set_bursts(&f.eth, false);
		f.port.sizes = NULL;
		end();
	}
}

/* A host's messages are heard in every burst, also by who has room for no frame (pitfall X19). */
static void
test_a_burst_of_nothing_hears_the_host(void)
{
	REQUIRE(begin_used());
	host_force();
	CU_ASSERT_EQUAL(netvsc_vf_rx_burst(f.rx_queues[0], NULL, 0), 0);
	CU_ASSERT_EQUAL(netvsc_vf_path(f.port.vf_tx), 0);
	end();
}

/* The burst that hears of it is the last one there: nobody waits for the thread. */
static void
test_a_forced_switch_counts_at_once(void)
{
	unsigned int asked;

	REQUIRE(begin_used());
	asked = host.to_vf;
	host_force();
	scan();
	CU_ASSERT_FALSE(goes_to_vf(1));
	CU_ASSERT_EQUAL(netvsc_vf_path(f.port.vf_tx), 0);
	CU_ASSERT(netvsc_vf_path(f.port.vf_rx) != 0); /* what is there still comes */
	UNTIL(status().counts.forced == 1);
	CU_ASSERT_EQUAL(host.back, 1); /* it knows already */
	/* Later it is asked again. */
	UNTIL(used());
	CU_ASSERT_EQUAL(host.to_vf, asked + 1);
	CU_ASSERT_TRUE(goes_to_vf(2));
	CU_ASSERT_EQUAL(atomic_load(&vf.starts), 1);
	end();
}

static void
test_a_refused_switch_is_survived_and_tried_again(void)
{
	REQUIRE(begin());
	host.refuses = true;
	join();
	host_associate(true, SERIAL);
	netvsc_vf_event(&f.port, NETVSC_VF_FOUND, VF);
	UNTIL(status().counts.refused + status().counts.forced == 2);
	CU_ASSERT_FALSE(goes_to_vf(1));
	CU_ASSERT_EQUAL(seen_vf, 0);
	host.refuses = false;
	UNTIL(used());
	CU_ASSERT_TRUE(goes_to_vf(2));
	CU_ASSERT_EQUAL(atomic_load(&vf.starts), 1);
	end();
}

/* Either message may be the first, and the device goes at any time (spec/nvsp.md §9). */
static void
test_a_vf_goes_in_any_order(void)
{
	unsigned int order;

	for (order = 0; order < 4; order++) {
		REQUIRE(begin_used());
		host.strict = true;
		if (order == 0)
			host_force();
		if (order <= 1)
			host_associate(false, SERIAL);
		if (order == 2)
			host_associate(false, 0);
		if (order == 3)
			netvsc_vf_event(&f.port, NETVSC_VF_LOST, VF);
		scan();
		CU_ASSERT_FALSE(goes_to_vf(1));
		UNTIL(!status().used && !host.path_vf);
		if (order != 3) {
			CU_ASSERT_TRUE(atomic_load(&vf.started));
			netvsc_vf_event(&f.port, NETVSC_VF_LOST, VF);
		}
		UNTIL(atomic_load(&vf.disowns) == 1);
		CU_ASSERT_EQUAL(atomic_load(&vf.stops), 1);
		if (order == 3)
			host_associate(false, 0);
		/* It comes back, with another serial. */
		netvsc_vf_event(&f.port, NETVSC_VF_FOUND, VF);
		host_associate(true, SERIAL + 1);
		UNTIL(used());
		CU_ASSERT_TRUE(goes_to_vf(2));
		CU_ASSERT_EQUAL(host.early, 0);
		end();
	}
}

/* Pitfall V13: a stopped VF that still gets the frames of the host drops them. */
static void
test_a_port_that_stops_takes_the_path_back_first(void)
{
	unsigned int i;

	REQUIRE(begin_used());
	for (i = 0; i < 2; i++) {
		CU_ASSERT_TRUE(leave());
		CU_ASSERT_FALSE(host.path_vf);
		CU_ASSERT_FALSE(goes_to_vf(2 * i));
		UNTIL(atomic_load(&vf.stops) == i + 1);
		CU_ASSERT_FALSE(host.path_vf);
		join();
		UNTIL(used());
		CU_ASSERT_TRUE(goes_to_vf(2 * i + 1));
	}
	end();
}

/* A queue stops, the port runs: what the host sends until it has moved the path is received. */
static void
test_a_port_that_runs_loses_nothing_while_the_host_leaves_the_vf(void)
{
	struct rte_mbuf *got[1];
	struct hpbus_op op;

	REQUIRE(begin_used());
	host.holds = true;
	CU_ASSERT_EQUAL_FATAL(netvsc_control_begin(&f.port, &op, &netvsc_op_setting), 0);
	CU_ASSERT_TRUE(netvsc_vf_leave(&f.port, false));
	netvsc_control_end(&f.port, &op);
	CU_ASSERT_EQUAL(host.asked, NVSP_DATA_PATH_SYNTHETIC);
	CU_ASSERT_TRUE(host.path_vf);
	CU_ASSERT_FALSE(goes_to_vf(1));
	CU_ASSERT_EQUAL(rte_ring_enqueue(vf.rx, numbered(2)), 0);
	CU_ASSERT_EQUAL_FATAL(netvsc_vf_rx_burst(f.rx_queues[0], got, 1), 1);
	rte_pktmbuf_free(got[0]);
	/* Nobody polls when it stops as a whole. */
	CU_ASSERT_TRUE(leave());
	CU_ASSERT_EQUAL(netvsc_vf_path(f.port.vf_rx), 0);
	host.holds = false;
	host_answer();
	UNTIL(atomic_load(&vf.stops) == 1);
	end();
}

/* The VF itself stays started until the host has the path elsewhere, or is past waiting for. */
static void
test_a_host_that_is_slow_keeps_the_vf_started_not_the_port(void)
{
	int64_t began;

	REQUIRE(begin_used());
	host.holds = true;
	began = hpbus_now_ms();
	CU_ASSERT_TRUE(leave());
	CU_ASSERT(hpbus_now_ms() - began < PATIENCE);
	CU_ASSERT_EQUAL(host.asked, NVSP_DATA_PATH_SYNTHETIC);
	CU_ASSERT_FALSE(goes_to_vf(1));
	looked();
	CU_ASSERT_TRUE(atomic_load(&vf.started));
	CU_ASSERT_EQUAL(atomic_load(&vf.stops), 0);
	host.holds = false;
	host_answer();
	UNTIL(atomic_load(&vf.stops) == 1);
	end();
}

/* spec/nvsp.md §10: who leaves the session, or the device, leaves the path where others are. */
static void
test_a_session_that_ends_takes_the_path_back(void)
{
	struct hpbus_op op;

	REQUIRE(begin_used());
	CU_ASSERT_EQUAL_FATAL(netvsc_control_begin(&f.port, &op, &netvsc_op_stop), 0);
	netvsc_vf_session_ends(&f.port, true);
	netvsc_control_end(&f.port, &op);
	CU_ASSERT_FALSE(host.path_vf);
	host.associated = false;
	CU_ASSERT_EQUAL(netvsc_vf_path(f.port.vf_tx), 0);
	CU_ASSERT_FALSE(status().associated);
	/* Another session: wait for the association, and ask again. */
	netvsc_vf_session_begins(&f.port);
	looked();
	CU_ASSERT_FALSE(used());
	host_associate(true, SERIAL + 1);
	UNTIL(used());
	CU_ASSERT_EQUAL(atomic_load(&vf.starts), 1); /* the VF has nothing to do with it */
	end();
}

static void
test_a_vf_without_a_link_is_not_used(void)
{
	REQUIRE(begin());
	atomic_store(&vf.link, false);
	join();
	host_associate(true, SERIAL);
	netvsc_vf_event(&f.port, NETVSC_VF_FOUND, VF);
	UNTIL(status().receives);
	CU_ASSERT_FALSE(goes_to_vf(1));
	CU_ASSERT_EQUAL(host.to_vf, 0);
	/* Nobody tells: it is looked at. */
	atomic_store(&vf.link, true);
	UNTIL(used());
	atomic_store(&vf.link, false);
	netvsc_vf_event(&f.port, NETVSC_VF_LINK, 0);
	CU_ASSERT_FALSE(goes_to_vf(2)); /* at once */
	UNTIL(host.back == 2);
	CU_ASSERT_FALSE(host.path_vf);
	end();
}

/* Pitfall V16. */
static void
test_a_vf_that_resets_itself_is_left_and_entered_again(void)
{
	REQUIRE(begin_used());
	netvsc_vf_event(&f.port, NETVSC_VF_RECOVERING, VF);
	CU_ASSERT_FALSE(goes_to_vf(1));
	CU_ASSERT_EQUAL(netvsc_vf_path(f.port.vf_rx), 0);
	UNTIL(!host.path_vf);
	CU_ASSERT_TRUE(leave());
	looked();
	CU_ASSERT_EQUAL(atomic_load(&vf.stops), 0); /* nothing of it may be called */
	join();
	netvsc_vf_event(&f.port, NETVSC_VF_RECOVERED, VF);
	UNTIL(used());
	CU_ASSERT_TRUE(goes_to_vf(2));
	netvsc_vf_event(&f.port, NETVSC_VF_RECOVERING, VF);
	netvsc_vf_event(&f.port, NETVSC_VF_RECOVERY_FAILED, VF);
	CU_ASSERT_FALSE(goes_to_vf(3));
	UNTIL(atomic_load(&vf.stops) == 2);
	netvsc_vf_event(&f.port, NETVSC_VF_FOUND, VF);
	UNTIL(used());
	end();
}

static void
test_a_vf_that_fails_leaves_the_port_as_it_is(void)
{
	REQUIRE(begin());
	atomic_store(&vf.own_rc, -EPERM);
	join();
	host_associate(true, SERIAL);
	netvsc_vf_event(&f.port, NETVSC_VF_FOUND, VF);
	UNTIL(atomic_load(&vf.owns) == 1);
	CU_ASSERT_FALSE(goes_to_vf(1));
	atomic_store(&vf.own_rc, 0);
	atomic_store(&vf.start_rc, -EIO);
	UNTIL(atomic_load(&vf.starts) == 1);
	CU_ASSERT_FALSE(goes_to_vf(2));
	atomic_store(&vf.start_rc, 0);
	UNTIL(used());
	CU_ASSERT_TRUE(goes_to_vf(3));
	CU_ASSERT_EQUAL(status().counts.failed_starts, 1);
	end();
}

static void
test_settings_are_replayed_onto_the_vf(void)
{
	REQUIRE(begin_used());
	netvsc_vf_changed(&f.port, NETVSC_VF_SET_PROMISCUOUS);
	netvsc_vf_changed(&f.port, NETVSC_VF_SET_RSS);
	UNTIL(atomic_load(&vf.replayed) == (NETVSC_VF_SET_PROMISCUOUS | NETVSC_VF_SET_RSS));
	CU_ASSERT_EQUAL(atomic_load(&vf.starts), 1);
	/* What it does not take while it runs it gets by another start. */
	atomic_store(&vf.replay_rc, -EBUSY);
	netvsc_vf_changed(&f.port, NETVSC_VF_SET_MTU);
	UNTIL(atomic_load(&vf.stops) == 1);
	UNTIL(used());
	CU_ASSERT_EQUAL(atomic_load(&vf.starts), 2);
	end();
}

/* A VF would spread frames over all queues, and interrupts come from one path only. */
static void
test_a_vf_is_for_ports_with_all_queues_polled(void)
{
	REQUIRE(begin_used());
	CU_ASSERT_EQUAL(netvsc_rx_queue_stop(&f.eth, 0), 0);
	CU_ASSERT_FALSE(host.path_vf);
	CU_ASSERT_FALSE(goes_to_vf(1));
	join();
	UNTIL(atomic_load(&vf.stops) == 1);
	CU_ASSERT_FALSE(used());
	CU_ASSERT_EQUAL(netvsc_rx_queue_start(&f.eth, 0), 0);
	UNTIL(used());
	CU_ASSERT_EQUAL(netvsc_tx_queue_stop(&f.eth, 0), 0);
	CU_ASSERT_FALSE(host.path_vf);
	CU_ASSERT_EQUAL(netvsc_tx_queue_start(&f.eth, 0), 0);
	UNTIL(used());
	CU_ASSERT_TRUE(leave());
	f.data.dev_conf.intr_conf.rxq = 1;
	join();
	looked();
	CU_ASSERT_FALSE(used());
	end();
}

/* Another process would not receive from the VF, whenever it maps the port. */
static void
test_a_vf_is_not_used_while_another_process_has_the_port(void)
{
	_Atomic uint64_t *attached = &f.bus.sharing.attached;

	REQUIRE(begin());
	host_associate(true, SERIAL);
	netvsc_vf_event(&f.port, NETVSC_VF_FOUND, VF);
	UNTIL(atomic_load(&vf.owned));
	/* It has not mapped it yet. */
	atomic_store(attached, 2);
	join();
	CU_ASSERT_FALSE(netvsc_vf_facts_started(atomic_load(&f.port.vf_shared.facts)));
	netvsc_vf_tick(&f.port);
	/* Come and gone between two looks, and come again before the port joins. */
	atomic_store(attached, 0);
	netvsc_vf_tick(&f.port);
	UNTIL(used());
	atomic_store(attached, 2);
	netvsc_vf_tick(&f.port);
	UNTIL(!used() && atomic_load(&vf.stops) == 1);
	netvsc_vf_event(&f.port, NETVSC_VF_PORT_STARTED, 0);
	netvsc_vf_tick(&f.port);
	CU_ASSERT_FALSE(netvsc_vf_facts_started(atomic_load(&f.port.vf_shared.facts)));
	atomic_store(attached, 0);
	netvsc_vf_tick(&f.port);
	UNTIL(used());
	end();
}

/* What a host says that makes no sense, and a port that wants no VF. */
static void
test_notices_of_a_host_that_was_not_asked(void)
{
	struct netvsc_channel_stats *stats;
	struct nvsp_message msg;

	REQUIRE(begin());
	stats = &fixture_channel(&f, 0)->stats;
	nvsp_build_switch_data_path(&msg, 7);
	host_notice(&msg, TID_VF);
	scan();
	CU_ASSERT_EQUAL(stats->rx_unknown_packets, 1);
	f.port.vf_shared.asked = false;
	host_associate(true, SERIAL);
	host_force();
	scan();
	f.port.vf_shared.asked = true;
	CU_ASSERT_FALSE(status().associated);
	f.port.session.nvsp_version = NVSP_VERSION_4;
	CU_ASSERT_FALSE(netvsc_vf_possible(&f.port));
	host_associate(true, SERIAL);
	scan();
	CU_ASSERT_FALSE(status().associated);
	CU_ASSERT_EQUAL(stats->rx_unknown_packets, 1);
	f.port.session.nvsp_version = NVSP_VERSION_61;
	end();
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"the host is asked for virtual functions",
			test_the_host_is_asked_for_virtual_functions},
		{"frames go through the VF when the host has moved the path",
			test_frames_go_through_the_vf_when_the_host_has_moved_the_path},
		{"frames of more segments than the VF takes are copied",
			test_frames_of_more_segments_than_the_vf_takes_are_copied},
		{"sizes are of frames that the VF was sent",
			test_sizes_are_of_frames_that_the_vf_was_sent},
		{"frames of a VF arrive whichever session the start met with",
			test_frames_of_a_vf_arrive_whichever_session_the_start_met_with},
		{"a burst of nothing hears the host", test_a_burst_of_nothing_hears_the_host},
		{"a forced switch counts at once", test_a_forced_switch_counts_at_once},
		{"a refused switch is survived and tried again",
			test_a_refused_switch_is_survived_and_tried_again},
		{"a VF goes in any order", test_a_vf_goes_in_any_order},
		{"a port that stops takes the path back first",
			test_a_port_that_stops_takes_the_path_back_first},
		{"a port that runs loses nothing while the host leaves the VF",
			test_a_port_that_runs_loses_nothing_while_the_host_leaves_the_vf},
		{"a host that is slow keeps the VF started, not the port",
			test_a_host_that_is_slow_keeps_the_vf_started_not_the_port},
		{"a session that ends takes the path back",
			test_a_session_that_ends_takes_the_path_back},
		{"a VF without a link is not used", test_a_vf_without_a_link_is_not_used},
		{"a VF that resets itself is left and entered again",
			test_a_vf_that_resets_itself_is_left_and_entered_again},
		{"a VF that fails leaves the port as it is",
			test_a_vf_that_fails_leaves_the_port_as_it_is},
		{"settings are replayed onto the VF", test_settings_are_replayed_onto_the_vf},
		{"a VF is for ports with all queues polled",
			test_a_vf_is_for_ports_with_all_queues_polled},
		{"a VF is not used while another process has the port",
			test_a_vf_is_not_used_while_another_process_has_the_port},
		{"notices of a host that was not asked", test_notices_of_a_host_that_was_not_asked},
	};

	return UNIT_RUN("netvsc_vf", tests);
}
