/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which session a port has, and how large an MTU: what the first one finds out of the host, and
 * when there is another one.
 */
#include <errno.h>

#include "drivers/net/netvsc/attach.h"
#include "lib/netvsp/nvsp.h"
#include "test/unit/netvsc_ladder.h"

/* ---- the first one ---- */

static int
first(void)
{
	static const struct hpbus_op_kind kind = {"a test", 20000, 500, false};
	struct hpbus_op op;
	int rc;

	f.port.limits.mtu = 0;
	ladder_ms = 1000000;
	CU_ASSERT_EQUAL(netvsc_control_begin(&f.port, &op, &kind), 0);
	rc = netvsc_session_first(&f.port);
	netvsc_control_end(&f.port, &op);
	ladder_ms = 0;
	return rc;
}

static void
test_the_largest_mtu_is_what_the_host_allows(void)
{
	static const struct {
		uint32_t max_mtu;
		bool clamps;
		uint32_t divides, newest;
		uint32_t found;
		unsigned int sessions, most;
	} hosts[] = {
		/* One that allows all that is asked for, or says how much it allows. */
		{9216, false, UINT32_MAX, NVSP_VERSION_61, 9216, 1, 1},
		{65521, false, UINT32_MAX, NVSP_VERSION_61, 9216, 1, 1},
		{4000, true, UINT32_MAX, NVSP_VERSION_61, 4000, 1, 1},
		{1400, true, UINT32_MAX, NVSP_VERSION_61, 1400, 1, 1},
		{9216, false, UINT32_MAX, NVSP_VERSION_2, 9216, 1, 1},
		/* OpenVMM (spec/nvsp.md §3), and others that only say whether it is too much. */
		{9202, false, UINT32_MAX, NVSP_VERSION_61, 9202, 2, 2},
		{4000, false, UINT32_MAX, NVSP_VERSION_61, 4000, 3, 17},
		{1501, false, UINT32_MAX, NVSP_VERSION_61, 1501, 3, 17},
		/* What most have is found out at once. */
		{9000, false, UINT32_MAX, NVSP_VERSION_61, 9000, 3, 4},
		{1500, false, UINT32_MAX, NVSP_VERSION_61, 1500, 3, 4},
		/* One that has a receive buffer for no more. */
		{9216, false, 3000, NVSP_VERSION_61, 3000, 3, 19},
		{9216, false, 1500, NVSP_VERSION_61, 1500, 3, 7},
		/* One that cannot be asked for any. */
		{1500, false, UINT32_MAX, NVSP_VERSION_1, 1500, 1, 1},
	};
	size_t i;

	for (i = 0; i < RTE_DIM(hosts); i++) {
		REQUIRE(ladder_begin(true));
		host.max_mtu = hosts[i].max_mtu;
		host.clamps = hosts[i].clamps;
		host.divides = hosts[i].divides;
		host.newest = hosts[i].newest;
		CU_ASSERT_EQUAL(first(), 0);
		CU_ASSERT_EQUAL(f.port.limits.mtu, hosts[i].found);
		if (f.port.limits.mtu != hosts[i].found)
			printf("\nhost %zu: %u\n", i, f.port.limits.mtu);
		CU_ASSERT(host.asked[RECV_BUF] >= hosts[i].sessions);
		CU_ASSERT(host.asked[RECV_BUF] <= hosts[i].most);
		/* All is right with the session that there is now. */
		CU_ASSERT_TRUE(f.port.session.attached);
		CU_ASSERT_EQUAL(atomic_load(&f.port.state), 0);
		CU_ASSERT_EQUAL(f.resets, host.asked[RECV_BUF] - 1);
		ladder_end();
	}
}

static void
answer_late(struct fixture *fixture, unsigned int ch)
{
	ladder_ms += 40;
	ladder_on_signal(fixture, ch);
}

/* A host, or a machine, that takes half a second for a session, of two that the search has. */
static void
test_a_slow_host_with_jumbo_frames_is_not_taken_for_less(void)
{
	REQUIRE(ladder_begin(true));
	host.max_mtu = 9000;
	f.on_signal = answer_late;
	CU_ASSERT_EQUAL(first(), 0);
	CU_ASSERT_EQUAL(f.port.limits.mtu, 9000);
	CU_ASSERT(host.asked[RECV_BUF] <= 4);
	ladder_end();
}

static void
test_a_host_that_does_not_tell_its_mtu(void)
{
	static const enum deed deeds[] = {REFUSE, NOT_SUPPORTED, UNSENT, EMPTY, ODD};
	size_t i;

	for (i = 0; i < RTE_DIM(deeds); i++) {
		REQUIRE(ladder_begin(true));
		ladder_script(FRAME_SIZE, deeds[i]);
		host.max_mtu = 9216;
		CU_ASSERT_EQUAL(first(), 0);
		CU_ASSERT_EQUAL(f.port.limits.mtu, 1500);
		CU_ASSERT_EQUAL(host.asked[INIT], 1);
		ladder_end();
	}
}

static void
test_no_frame_is_announced_that_cannot_be_sent(void)
{
	/* Without pages a frame and its header are in one section. */
	REQUIRE(ladder_begin(false));
	host.max_mtu = 9216;
	CU_ASSERT_EQUAL(first(), 0);
	CU_ASSERT_EQUAL(host.asked[INIT], 1);
	CU_ASSERT_EQUAL(f.port.session.host_mtu, 9216);
	CU_ASSERT(f.port.limits.mtu > 5900 && f.port.limits.mtu < f.conf.send_section);
	ladder_end();
}

static void
test_a_host_that_falls_silent_while_it_is_asked(void)
{
	REQUIRE(ladder_begin(true));
	ladder_script(FRAME_SIZE, ANSWER);
	host.max_mtu = 1500;
	CU_ASSERT_EQUAL(first(), 0);
	CU_ASSERT_EQUAL(netvsc_session_end(&f.port), 0);
	ladder_script(FRAME_SIZE, SILENT);
	CU_ASSERT_EQUAL(first(), -ETIMEDOUT);
	ladder_check_nothing_left();
	ladder_end();
}

/* ---- another one ---- */

static void
test_a_session_is_replaced_when_it_does_not_do(void)
{
	REQUIRE(ladder_begin(true));
	host.max_mtu = 1600;
	f.data.nb_tx_queues = f.data.nb_rx_queues = 1;
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, 1, 1500), 0);
	CU_ASSERT_EQUAL(host.asked[INIT], 1);
	CU_ASSERT_EQUAL(f.port.section_queues, 1);
	/* The same, and less than a host can be asked for: it does. */
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, 1, 1000), 0);
	CU_ASSERT_EQUAL(host.asked[INIT], 1);
	CU_ASSERT_EQUAL(f.resets, 0);
	/* The first subchannels: it asks for them, once (spec/nvsp.md §8). */
	f.data.nb_tx_queues = 2;
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, 2, 1000), 0);
	CU_ASSERT_EQUAL(host.asked[INIT], 1);
	CU_ASSERT_EQUAL(f.resets, 0);
	CU_ASSERT_EQUAL(f.port.session.n_channels, 2);
	CU_ASSERT_EQUAL(f.port.section_queues, 2);
	/* More of them, and then more bytes: another one. */
	f.data.nb_tx_queues = 3;
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, 3, 1000), 0);
	CU_ASSERT_EQUAL(host.asked[INIT], 2);
	CU_ASSERT_EQUAL(f.port.session.n_channels, 3);
	f.data.nb_tx_queues = 2;
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, 2, 1600), 0);
	CU_ASSERT_EQUAL(host.asked[INIT], 3);
	CU_ASSERT_EQUAL(f.port.session.mtu, 1600);
	/* And fewer again: the host cuts more sections then. */
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, 2, 1500), 0);
	CU_ASSERT_EQUAL(host.asked[INIT], 4);
	CU_ASSERT_EQUAL(host.mtu, 1500);
	CU_ASSERT_EQUAL(f.port.limits.mtu, 1600);
	/* One that broke. */
	atomic_fetch_or(&f.port.state, NETVSC_STATE_BROKEN);
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, 2, 1500), 0);
	CU_ASSERT_EQUAL(host.asked[INIT], 5);
	/* Other queues with the same channels: only divided anew. */
	f.data.nb_tx_queues = 1;
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, 1, 1500), 0);
	CU_ASSERT_EQUAL(host.asked[INIT], 5);
	CU_ASSERT_EQUAL(f.port.section_queues, 1);
	/* A host that grants fewer. */
	host.grants = 1;
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, 3, 1500), -ENOSPC);
	CU_ASSERT_EQUAL(f.port.limits.max_queues, 2);
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, 2, 1500), 0);
	/* With one channel, as a reset has it. */
	CU_ASSERT_EQUAL(netvsc_session_renew(&f.port), 0);
	CU_ASSERT_EQUAL(f.port.session.n_channels, 1);
	/* And none for a device that is gone. */
	atomic_fetch_or(&f.port.state, NETVSC_STATE_GONE);
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, 2, 1500), -ENODEV);
	f.data.nb_tx_queues = f.data.nb_rx_queues = CHANNELS;
	atomic_store(&f.port.state, 0);
	ladder_end();
}

/* What is announced goes down when a host takes back what it had, and never for asking less. */
static void
test_a_host_that_takes_its_mtu_back(void)
{
	REQUIRE(ladder_begin(true));
	host.max_mtu = 9000;
	host.clamps = true;
	CU_ASSERT_EQUAL(first(), 0);
	CU_ASSERT_EQUAL(f.port.limits.mtu, 9000);
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, 1, 1500), 0);
	CU_ASSERT_EQUAL(f.port.limits.mtu, 9000);
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, 1, 9000), 0);
	host.max_mtu = 4000;
	CU_ASSERT_EQUAL(netvsc_session_renew(&f.port), 0);
	CU_ASSERT_EQUAL(f.port.limits.mtu, 9000);
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, 1, 8000), -EINVAL);
	CU_ASSERT_EQUAL(f.port.limits.mtu, 4000);
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, 1, 4000), 0);
	host.divides = 2000;
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, 1, 3000), -EINVAL);
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, 1, 2000), 0);
	ladder_end();
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"the largest MTU is what the host allows",
			test_the_largest_mtu_is_what_the_host_allows},
		{"a slow host with jumbo frames is not taken for less",
			test_a_slow_host_with_jumbo_frames_is_not_taken_for_less},
		{"a host that does not tell its MTU", test_a_host_that_does_not_tell_its_mtu},
		{"no frame is announced that cannot be sent",
			test_no_frame_is_announced_that_cannot_be_sent},
		{"a host that falls silent while it is asked",
			test_a_host_that_falls_silent_while_it_is_asked},
		{"a session is replaced when it does not do",
			test_a_session_is_replaced_when_it_does_not_do},
		{"a host that takes its MTU back", test_a_host_that_takes_its_mtu_back},
	};

	return UNIT_RUN("netvsc_session", tests);
}
