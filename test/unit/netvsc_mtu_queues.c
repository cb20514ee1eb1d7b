/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Queues of a started port while its MTU changes: who polls them, those that are stopped or never
 * run again, and what they ask for when they run.
 */
#include <errno.h>

#include "drivers/net/netvsc/ops.h"
#include "test/unit/netvsc_mtu_rig.h"

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
	REQUIRE(mtu_start());
	f.on_signal = NULL;
	f.on_signal_again = poll_meanwhile;
	polls = 0;
	CU_ASSERT_EQUAL(mtu_set(JUMBO), 0);
	CU_ASSERT(polls > 10);
	f.on_signal = ladder_on_signal;
	f.on_signal_again = ladder_on_signal_again;
	mtu_check_running(JUMBO);
	mtu_check_frames(JUMBO + 14);
	mtu_finish();
}

/* A queue that the application has stopped is stopped afterwards, too. */
static void
test_a_queue_that_is_stopped_is_stopped_afterwards(void)
{
	REQUIRE(mtu_start());
	CU_ASSERT_EQUAL(netvsc_rx_queue_stop(&f.eth, 1), 0);
	CU_ASSERT_EQUAL(netvsc_tx_queue_stop(&f.eth, 2), 0);
	CU_ASSERT_EQUAL(mtu_set(JUMBO), 0);
	CU_ASSERT_TRUE(fixture_channel(&f, 0)->rx_on && fixture_channel(&f, 0)->tx_on);
	CU_ASSERT_TRUE(!fixture_channel(&f, 1)->rx_on && fixture_channel(&f, 1)->tx_on);
	CU_ASSERT_TRUE(fixture_channel(&f, 2)->rx_on && !fixture_channel(&f, 2)->tx_on);
	mtu_finish();
}

/* ethdev thinks that the port is started; its rings are gone. */
static void
test_no_queue_starts_after_a_change_that_lost_the_session(void)
{
	struct rte_mbuf *m, *out;

	REQUIRE(mtu_start());
	ladder_script(RECV_BUF, REFUSE);
	CU_ASSERT(mtu_set(JUMBO) < 0);
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
	mtu_finish();
}

/* ethdev has released the queue that was, and the set-up of the one in its place has failed. */
static void
test_a_queue_that_is_not_set_up_again(void)
{
	REQUIRE(mtu_start());
	CU_ASSERT_EQUAL(netvsc_rx_queue_stop(&f.eth, 1), 0);
	netvsc_rx_queue_release(&f.eth, 1);
	CU_ASSERT_EQUAL(netvsc_tx_queue_stop(&f.eth, 1), 0);
	netvsc_tx_queue_release(&f.eth, 1);
	CU_ASSERT_EQUAL(mtu_set(JUMBO), 0);
	mtu_check_running(JUMBO);
	CU_ASSERT_FALSE(fixture_channel(&f, 1)->rx_on || fixture_channel(&f, 1)->tx_on);
	mtu_finish();
}

/* The host reads queue 1's ring no more: what is in flight there is fenced off in time. */
static void
test_a_send_that_is_never_completed_leaves_time_for_the_new_session(void)
{
	unsigned int resets;
	struct rte_mbuf *out;

	REQUIRE(mtu_start());
	out = fixture_mbuf(&f, 1514, 1);
	CU_ASSERT_EQUAL(netvsc_tx_burst(f.tx_queues[1], &out, 1), 1);
	CU_ASSERT_EQUAL(netvsc_tx_inflight(f.tx_queues[1]), 1);
	resets = f.resets;
	f.on_signal = NULL; /* each answer takes a moment */
	CU_ASSERT_EQUAL_FATAL(mtu_set(JUMBO), 0);
	f.on_signal = ladder_on_signal;
	CU_ASSERT_EQUAL(f.resets, resets + 1);
	CU_ASSERT_EQUAL(netvsc_tx_inflight(f.tx_queues[1]), 0);
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
	mtu_check_running(JUMBO);
	mtu_check_frames(JUMBO + 14);
	mtu_finish();
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
	REQUIRE(mtu_start());
	CU_ASSERT_EQUAL(fixture_sleepy(&f), 0);
	/* What the session that was has met with is over. */
	atomic_fetch_or(&f.port.events, NETVSC_EVENT_RESET);
	CU_ASSERT_EQUAL(mtu_set(4000), 0);
	CU_ASSERT_FALSE(atomic_load(&f.port.events) & NETVSC_EVENT_RESET);
	/* Queues are woken up as soon as they run. */
	f.backend.intr_raise = poll_a_broken_ring;
	CU_ASSERT_EQUAL(mtu_set(JUMBO), 0);
	CU_ASSERT(atomic_load(&f.port.state) & NETVSC_STATE_BROKEN);
	CU_ASSERT(atomic_load(&f.port.events) & NETVSC_EVENT_RESET);
	mtu_finish();
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"polls while the MTU changes find nothing",
			test_polls_while_the_mtu_changes_find_nothing},
		{"a queue that is stopped is stopped afterwards",
			test_a_queue_that_is_stopped_is_stopped_afterwards},
		{"no queue starts after a change that lost the session",
			test_no_queue_starts_after_a_change_that_lost_the_session},
		{"a queue that is not set up again", test_a_queue_that_is_not_set_up_again},
		{"a send that is never completed leaves time for the new session",
			test_a_send_that_is_never_completed_leaves_time_for_the_new_session},
		{"a reset that the first poll asks for is not lost",
			test_a_reset_that_the_first_poll_asks_for_is_not_lost},
	};

	return UNIT_RUN("netvsc_mtu_queues", tests);
}
