/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way down of a session: politely, in time, and behind a fence.
 */
#include <errno.h>

#include "drivers/net/netvsc/attach.h"
#include "test/unit/netvsc_ladder.h"

static void
check_said(const enum rung *want, unsigned int n)
{
	CU_ASSERT_EQUAL(host.n_said, n);
	CU_ASSERT(memcmp(host.said, want, n * sizeof(*want)) == 0);
}

static void
test_a_session_is_left_politely(void)
{
	static const enum rung order[] = {FILTER, HALT, REVOKE_RECV, REVOKE_SEND};

	REQUIRE(ladder_begin(true));
	CU_ASSERT_EQUAL(ladder_attach(CHANNELS, 1500), 0);
	CU_ASSERT_EQUAL(netvsc_set_filter(&f.port, RNDIS_FILTER_DIRECTED), 0);
	ladder_script(OTHER, ANSWER);
	host.filter = 77;
	CU_ASSERT_EQUAL(netvsc_detach(&f.port, true), 0);
	CU_ASSERT_EQUAL(host.filter, 0);
	ladder_check_nothing_left();
	check_said(order, RTE_DIM(order));
	CU_ASSERT_EQUAL(f.resets, 1);
	/* Once more is nothing. */
	CU_ASSERT_EQUAL(netvsc_detach(&f.port, true), 0);
	CU_ASSERT_EQUAL(f.resets, 1);
	ladder_end();
}

/* Only what was connected is revoked, and a closing backend is its own fence. */
static void
test_a_session_without_a_send_buffer_is_left(void)
{
	static const enum rung order[] = {HALT, REVOKE_RECV};

	REQUIRE(ladder_begin(true));
	ladder_script(SEND_BUF, REFUSE);
	CU_ASSERT_EQUAL(ladder_attach(1, 1500), 0);
	ladder_script(OTHER, ANSWER);
	CU_ASSERT_EQUAL(netvsc_detach(&f.port, false), 0);
	ladder_check_nothing_left();
	check_said(order, RTE_DIM(order));
	CU_ASSERT_EQUAL(f.resets, 0);
	ladder_end();
}

static void
test_a_host_that_is_silent_is_left_in_time(void)
{
	static const enum rung first[] = {FILTER}, second[] = {FILTER, HALT};
	static const struct hpbus_op_kind kind = {"a test", 20000, 500, true};
	struct hpbus_op op;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		REQUIRE(ladder_begin(true));
		CU_ASSERT_EQUAL(ladder_attach(CHANNELS, 1500), 0);
		CU_ASSERT_EQUAL(netvsc_set_filter(&f.port, RNDIS_FILTER_DIRECTED), 0);
		ladder_script(i == 0 ? FILTER : HALT, SILENT);
		ladder_ms = 1000000;
		CU_ASSERT_EQUAL(netvsc_control_begin(&f.port, &op, &kind), 0);
		CU_ASSERT_EQUAL(netvsc_detach(&f.port, true), 0);
		netvsc_control_end(&f.port, &op);
		/* The farewell has a time of its own within the operation's. */
		CU_ASSERT(ladder_ms - 1000000 <= netvsc_op_farewell.budget + 20);
		ladder_ms = 0;
		ladder_check_nothing_left();
		if (i == 0)
			check_said(first, RTE_DIM(first));
		else
			check_said(second, RTE_DIM(second));
		CU_ASSERT_EQUAL(f.resets, 1);
		/* Nobody is told to reset a port that is being left. */
		CU_ASSERT_EQUAL(atomic_load(&f.port.events), 0);
		ladder_end();
	}
}

static void
test_a_broken_or_absent_host_is_not_talked_to(void)
{
	REQUIRE(ladder_begin(true));
	CU_ASSERT_EQUAL(ladder_attach(1, 1500), 0);
	ladder_script(OTHER, ANSWER);
	atomic_fetch_or(&f.port.state, NETVSC_STATE_BROKEN);
	CU_ASSERT_EQUAL(netvsc_detach(&f.port, true), 0);
	CU_ASSERT_EQUAL(host.n_said, 0);
	CU_ASSERT_EQUAL(f.resets, 1);
	CU_ASSERT_EQUAL(ladder_attach(1, 1500), 0);
	CU_ASSERT_EQUAL(atomic_load(&f.port.state), 0);
	ladder_script(OTHER, ANSWER);
	atomic_store(&f.bus.gone, true);
	CU_ASSERT_EQUAL(netvsc_detach(&f.port, true), 0);
	CU_ASSERT_EQUAL(host.n_said, 0);
	CU_ASSERT_EQUAL(f.resets, 1);
	ladder_end();
}

/* Until a fence holds, nothing in flight is anybody's but the host's. */
static void
test_a_fence_that_fails(void)
{
	REQUIRE(ladder_begin(true));
	CU_ASSERT_EQUAL(ladder_attach(1, 1500), 0);
	f.reset_rc = -EIO;
	CU_ASSERT_EQUAL(netvsc_session_end(&f.port), -EIO);
	ladder_check_nothing_left();
	CU_ASSERT_TRUE(f.port.unfenced);
	CU_ASSERT_EQUAL(netvsc_session_end(&f.port), -EIO);
	CU_ASSERT_EQUAL(f.resets, 2);
	/* Cut off: nobody will ever know. */
	atomic_store(&f.bus.gone, true);
	CU_ASSERT_EQUAL(netvsc_session_end(&f.port), -ENODEV);
	CU_ASSERT_EQUAL(f.resets, 2);
	CU_ASSERT_TRUE(f.port.unfenced);
	atomic_store(&f.bus.gone, false);
	f.reset_rc = 0;
	CU_ASSERT_EQUAL(netvsc_session_end(&f.port), 0);
	CU_ASSERT_FALSE(f.port.unfenced);
	CU_ASSERT_EQUAL(netvsc_session_end(&f.port), 0);
	CU_ASSERT_EQUAL(f.resets, 3);
	ladder_end();
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"a session is left politely", test_a_session_is_left_politely},
		{"a session without a send buffer is left",
			test_a_session_without_a_send_buffer_is_left},
		{"a host that is silent is left in time",
			test_a_host_that_is_silent_is_left_in_time},
		{"a broken or absent host is not talked to",
			test_a_broken_or_absent_host_is_not_talked_to},
		{"a fence that fails", test_a_fence_that_fails},
	};

	return UNIT_RUN("netvsc_detach", tests);
}
