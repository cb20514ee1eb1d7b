/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device goes away in the middle of operations, and operations come into the middle of its
 * recovery: a stop, a close, also by an application that is being told of it.
 */
#include <errno.h>

#include <rte_power_intrinsics.h>

#include "test/unit/netvsc_recover_rig.h"

/* ---- of the application's operations ---- */

static void
test_away_in_the_middle_of_configure(void)
{
	REQUIRE(recover_begin_as((struct fixture_conf){0}, 60));
	ladder_script(RECV_BUF, VANISH);
	CU_ASSERT_EQUAL(netvsc_ops.dev_configure(&f.eth), -EAGAIN);
	atomic_store(&recover_open_rc, 0);
	WAIT_FOR(recover_told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	CU_ASSERT_EQUAL(netvsc_ops.dev_configure(&f.eth), 0);
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), 0);
	f.data.dev_started = 1;
	recover_check_running();
	recover_finish();
}

static void
test_away_in_the_middle_of_another_mtu(void)
{
	REQUIRE(recover_start_as(
		(struct fixture_conf){
			.recv_section = 10240, .recv_count = 64, .room = 9216, .mbufs = 255},
		60));
	host.max_mtu = f.port.limits.mtu = 9216;
	ladder_script(RNDIS_INIT, VANISH);
	host.above = 1500;
	CU_ASSERT_EQUAL(netvsc_mtu_set(&f.eth, 9000), -EAGAIN);
	CU_ASSERT_FALSE(recover_told(RTE_ETH_EVENT_INTR_RESET));
	atomic_store(&recover_open_rc, 0);
	WAIT_FOR(recover_told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	recover_check_running();
	CU_ASSERT_EQUAL(f.port.session.mtu, 1500);
	recover_check_frames(1000);
	recover_finish();
}

static void
test_away_in_the_middle_of_a_stop(void)
{
	struct rte_mbuf *m;

	REQUIRE(recover_start());
	/* In flight, so that the stop has something to wait for. */
	m = fixture_mbuf(&f, 100, 1);
	CU_ASSERT_EQUAL(netvsc_tx_burst(f.tx_queues[1], &m, 1), 1);
	ladder_script(FILTER, VANISH);
	recover_stop();
	atomic_store(&recover_open_rc, 0);
	WAIT_FOR(recover_told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	CU_ASSERT_EQUAL(atomic_load(&f.port.state), 0);
	CU_ASSERT_EQUAL(netvsc_tx_inflight(f.tx_queues[1]), 0);
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), 0);
	f.data.dev_started = 1;
	recover_check_frames(100);
	recover_finish();
}

/* The host is back and does not answer: who stops the port does not wait for it. */
static void
test_a_stop_ends_a_try(void)
{
	int64_t began;

	REQUIRE(recover_start());
	ladder_script(SEND_BUF, SILENT);
	atomic_store(&recover_open_rc, 0);
	recover_go_away();
	WAIT_FOR(host.asked[SEND_BUF] > 0);
	began = hpbus_now_ms();
	recover_stop();
	CU_ASSERT(hpbus_now_ms() - began < netvsc_op_stop.budget);
	ladder_script(OTHER, ANSWER);
	WAIT_FOR(recover_told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	CU_ASSERT_EQUAL(atomic_load(&f.port.state), 0);
	CU_ASSERT_FALSE(recover_told(RTE_ETH_EVENT_INTR_RESET));
	recover_finish();
}

/* A thread that was killed in a burst, or stopped: what it may touch stays until it goes on. */
static void
test_a_burst_that_does_not_come_out(void)
{
	struct netvsc_channel *ch;
	int64_t began;

	REQUIRE(recover_start());
	ch = fixture_channel(&f, 1);
	rte_spinlock_lock(&ch->tx_lock);
	atomic_store(&recover_open_rc, 0);
	recover_go_away();
	WAIT_FOR(recover_told(RTE_ETH_EVENT_ERR_RECOVERING));
	began = hpbus_now_ms();
	CU_ASSERT_EQUAL(netvsc_ops.dev_stop(&f.eth), -EBUSY);
	CU_ASSERT_EQUAL(f.data.dev_started, 0);
	CU_ASSERT(hpbus_now_ms() - began <= netvsc_op_stop.budget + 200);
	CU_ASSERT_EQUAL(f.closes, 0);
	CU_ASSERT_TRUE(f.host[1].open);
	rte_spinlock_unlock(&ch->tx_lock);
	WAIT_FOR(recover_told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	CU_ASSERT_EQUAL(atomic_load(&f.port.state), 0);
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), 0);
	f.data.dev_started = 1;
	recover_check_running();
	recover_check_frames(100);
	recover_finish();
}

/* An lcore that waits for a word in a ring reads it whenever it likes: the ring must be there. */
static void
test_a_word_that_is_waited_for_stays(void)
{
	struct rte_power_monitor_cond cond;

	REQUIRE(recover_start());
	CU_ASSERT_EQUAL(netvsc_get_monitor_addr(f.rx_queues[1], &cond), 0);
	atomic_store(&recover_open_rc, 0);
	recover_go_away();
	WAIT_FOR(recover_told(RTE_ETH_EVENT_ERR_RECOVERING));
	WAIT_FOR(f.port.recovery.said);
	CU_ASSERT_EQUAL(netvsc_get_monitor_addr(f.rx_queues[2], &cond), -EIO);
	CU_ASSERT_EQUAL(cond.fn(*(volatile uint32_t *)cond.addr, cond.opaque), 0);
	CU_ASSERT_EQUAL(f.closes, 0);
	recover_stop();
	WAIT_FOR(recover_told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	CU_ASSERT_EQUAL(f.closes, 1);
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), 0);
	f.data.dev_started = 1;
	recover_check_frames(100);
	recover_finish();
}

/* Nothing is left of a port that is closed, also when its recovery is at work. */
static void
check_closed(void)
{
	CU_ASSERT_EQUAL(atomic_load(&recover_closed), 0);
	CU_ASSERT_FALSE(f.bus.kept);
	CU_ASSERT_FALSE(f.port.recovery.begun);
	CU_ASSERT_PTR_NULL(f.port.channels[0]);
	f.data.dev_started = 0;
	fixture_end(&f);
}

static void
test_a_close_ends_a_try(void)
{
	REQUIRE(recover_start());
	ladder_script(SEND_BUF, SILENT);
	atomic_store(&recover_open_rc, 0);
	recover_go_away();
	WAIT_FOR(host.asked[SEND_BUF] > 0);
	f.data.mac_addrs = NULL;
	atomic_store(&recover_closed, netvsc_ops.dev_close(&f.eth));
	check_closed();
}

/* ---- the backend waits for the host ---- */

static int (*channel_open)(struct hpbus_device *dev, unsigned int index, struct hpbus_channel *ch);
static atomic_bool held, deaf;
static _Atomic unsigned int inside;

/* As a backend does while the host has no such channel; @deaf: a wait that cannot be ended. */
static int
held_channel_open(struct hpbus_device *dev, unsigned int index, struct hpbus_channel *ch)
{
	while (atomic_load(&held)) {
		atomic_store(&inside, 1);
		if (!atomic_load(&deaf) && hpbus_op_given_up())
			return -ECANCELED;
		rte_delay_us_sleep(1000);
	}
	return channel_open(dev, index, ch);
}

static bool
start_held(bool is_deaf)
{
	if (!recover_start())
		return false;
	channel_open = f.backend.channel_open;
	f.backend.channel_open = held_channel_open;
	atomic_store(&inside, 0);
	atomic_store(&deaf, is_deaf);
	atomic_store(&held, true);
	atomic_store(&recover_open_rc, 0);
	recover_go_away();
	WAIT_FOR(atomic_load(&inside) != 0);
	return true;
}

static void
test_a_stop_ends_a_wait_of_the_backend(void)
{
	REQUIRE(start_held(false));
	recover_stop();
	atomic_store(&held, false);
	WAIT_FOR(recover_told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), 0);
	f.data.dev_started = 1;
	recover_check_running();
	recover_check_frames(100);
	recover_finish();
}

static void
test_a_close_ends_a_wait_of_the_backend(void)
{
	REQUIRE(start_held(false));
	atomic_store(&recover_closed, netvsc_ops.dev_close(&f.eth));
	atomic_store(&held, false);
	check_closed();
}

/* Where it ends after the port is gone: nothing of ethdev's is there any more. */
static void
test_a_wait_of_the_backend_that_outlives_the_port(void)
{
	struct rte_eth_dev_data data;

	REQUIRE(start_held(true));
	CU_ASSERT_EQUAL(netvsc_ops.dev_close(&f.eth), -EBUSY);
	CU_ASSERT_TRUE(f.bus.kept);
	/* As ethdev releases it. */
	data = f.data;
	memset(&f.data, 0, sizeof(f.data));
	f.eth.data = NULL;
	f.eth.process_private = rte_eth_devices[f.port.port_id].process_private = NULL;
	atomic_store(&held, false);
	WAIT_FOR(atomic_load(&f.port.recovery.ended));
	netvsc_thread_join(f.port.recovery.thread);
	f.data = data;
	f.data.dev_private = &f.port;
	f.eth.data = &f.data;
	f.eth.process_private = rte_eth_devices[f.port.port_id].process_private = &f.bus;
	ladder_end();
}

static void
test_an_application_closes_when_it_is_told(void)
{
	static const enum rte_eth_event_type events[] = {RTE_ETH_EVENT_ERR_RECOVERING,
		RTE_ETH_EVENT_RECOVERY_SUCCESS, RTE_ETH_EVENT_RECOVERY_FAILED,
		RTE_ETH_EVENT_INTR_RMV};
	unsigned int i, n;

	for (i = 0; i < RTE_DIM(events); i++) {
		REQUIRE(recover_start_as((struct fixture_conf){0}, 1));
		recover_closes_at = events[i];
		if (events[i] == RTE_ETH_EVENT_RECOVERY_SUCCESS)
			atomic_store(&recover_open_rc, 0);
		recover_go_away();
		WAIT_FOR(atomic_load(&recover_closed) != 1);
		check_closed();
		/* It was the last that the port said. */
		n = atomic_load(&recover_n_told);
		rte_delay_us_sleep(100000);
		CU_ASSERT_EQUAL(atomic_load(&recover_n_told), n);
		CU_ASSERT_EQUAL(atomic_load(&recover_told_event[n - 1]), events[i]);
	}
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"away in the middle of configure", test_away_in_the_middle_of_configure},
		{"away in the middle of another MTU", test_away_in_the_middle_of_another_mtu},
		{"away in the middle of a stop", test_away_in_the_middle_of_a_stop},
		{"a stop ends a try", test_a_stop_ends_a_try},
		{"a burst that does not come out", test_a_burst_that_does_not_come_out},
		{"a word that is waited for stays", test_a_word_that_is_waited_for_stays},
		{"a close ends a try", test_a_close_ends_a_try},
		{"a stop ends a wait of the backend", test_a_stop_ends_a_wait_of_the_backend},
		{"a close ends a wait of the backend", test_a_close_ends_a_wait_of_the_backend},
		{"a wait of the backend that outlives the port",
			test_a_wait_of_the_backend_that_outlives_the_port},
		{"an application closes when it is told",
			test_an_application_closes_when_it_is_told},
	};

	return UNIT_RUN("netvsc_recover_midway", tests);
}
