/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host's own counters as extended statistics: asked for in the background when somebody reads
 * them, one a tick of the housekeeping alarm, and nobody waits for the answer.
 */
#include <errno.h>

#include "drivers/net/netvsc/host_stats.h"
#include "lib/netvsp/nvsp.h"
#include "lib/netvsp/oid.h"
#include "test/unit/netvsc_ladder.h"

#define MAX 256

static struct rte_eth_xstat_name names[MAX];

/* A port that runs, with a host that has all counters. */
static bool
begin(bool usable)
{
	unsigned int i;

	if (!ladder_begin(usable))
		return false;
	CU_ASSERT_EQUAL_FATAL(ladder_attach(1, 1500), 0);
	atomic_store(&f.port.state, NETVSC_STATE_RUNNING);
	netvsc_channel_set(fixture_channel(&f, 0), NETVSC_CHANNEL_RUNNING);
	for (i = 0; i < NETVSC_HOST_STATS; i++)
		CU_ASSERT_EQUAL(atomic_load(&f.port.host_stats.value[i]), 0);
	host.n_said = 0;
	memset(host.asked, 0, sizeof(host.asked));
	return true;
}

static void
end(void)
{
	atomic_store(&f.port.state, 0);
	netvsc_channel_set(fixture_channel(&f, 0), NETVSC_CHANNEL_OPEN);
	ladder_end();
}

static uint64_t
value(const char *name)
{
	int n = netvsc_xstats_get_names(&f.eth, names, MAX), i;
	uint64_t told = 0, id;

	for (i = 0; i < n; i++)
		if (strcmp(names[i].name, name) == 0) {
			id = (uint64_t)i;
			CU_ASSERT_EQUAL(netvsc_xstats_get_by_id(&f.eth, &id, &told, 1), 1);
			return told;
		}
	CU_FAIL(no such name);
	return UINT64_MAX;
}

/* One tick of the alarm, and what the host makes of it. */
static void
tick(void)
{
	netvsc_host_stats_tick(&f.port);
	ladder_turn();
	netvsc_rx_each_channel(&f.port, netvsc_rx_scan);
}

static void
ticks(unsigned int n)
{
	while (n-- > 0)
		tick();
}

static void
test_a_read_is_answered_from_memory_and_asks_anew(void)
{
	REQUIRE(begin(true));
	/* Nobody has read: nobody asks. */
	ticks(50);
	CU_ASSERT_EQUAL(host.asked[COUNTER], 0);
	host.counter = 1000;
	CU_ASSERT_EQUAL(value("host_tx_packets"), 0);
	CU_ASSERT_EQUAL(host.asked[COUNTER], 0);
	tick();
	CU_ASSERT_EQUAL(host.asked[COUNTER], 1);
	CU_ASSERT_EQUAL(atomic_load(&f.port.host_stats.value[0]), 1001);
	ticks(NETVSC_HOST_COUNTERS);
	CU_ASSERT_EQUAL(host.asked[COUNTER], NETVSC_HOST_COUNTERS);
	CU_ASSERT_EQUAL(value("host_rx_packets"), 1002);
	CU_ASSERT_EQUAL(value("host_rx_no_buffer"), 1005);
	CU_ASSERT_EQUAL(value("host_tx_bytes"), 1000 + (OID_GEN_BYTES_XMIT & 0xff));
	CU_ASSERT_EQUAL(value("host_rounds"), 1);
	/* What was read asks for one more round, and no more than that. */
	host.counter = 5000;
	ticks(5 * NETVSC_HOST_COUNTERS);
	CU_ASSERT_EQUAL(host.asked[COUNTER], 2 * NETVSC_HOST_COUNTERS);
	CU_ASSERT_EQUAL(value("host_rx_packets"), 5002);
	CU_ASSERT_EQUAL(value("host_rounds"), 2);
	CU_ASSERT_EQUAL(fixture_channel(&f, 0)->stats.rx_control_malformed, 0);
	CU_ASSERT_EQUAL(fixture_channel(&f, 0)->stats.tx_bad_completions, 0);
	end();
}

static void
test_a_reset_counts_from_there(void)
{
	REQUIRE(begin(true));
	host.counter = 1000;
	value("host_tx_packets");
	ticks(20);
	CU_ASSERT_EQUAL(netvsc_xstats_reset(&f.eth), 0);
	CU_ASSERT_EQUAL(value("host_tx_packets"), 0);
	host.counter = 1007;
	ticks(20);
	CU_ASSERT_EQUAL(value("host_tx_packets"), 7);
	end();
}

/* What the first counter is told as, when the host says @p said. */
static uint64_t
told_of(uint64_t said)
{
	host.counter = said - 1; /* of the first, one more */
	ticks(20);
	return value("host_tx_packets");
}

/* A host that restarts, or another one after a live migration, without a new session. */
static void
test_counters_go_on_with_a_host_that_restarted(void)
{
	static const uint32_t bytes[] = {8, 4};
	unsigned int i;

	for (i = 0; i < RTE_DIM(bytes); i++) {
		REQUIRE(begin(true));
		host.counter_bytes = bytes[i];
		value("host_tx_packets");
		CU_ASSERT_EQUAL(told_of(1000), 1000);
		CU_ASSERT_EQUAL(told_of(3), 1003);
		CU_ASSERT_EQUAL(told_of(10), 1010);
		CU_ASSERT_EQUAL(netvsc_xstats_reset(&f.eth), 0);
		CU_ASSERT_EQUAL(value("host_tx_packets"), 0);
		CU_ASSERT_EQUAL(told_of(2), 2);
		CU_ASSERT_EQUAL(told_of(9), 9);
		end();
	}
}

static void
test_counters_go_on_where_four_bytes_wrap(void)
{
	REQUIRE(begin(true));
	host.counter_bytes = 4;
	value("host_tx_packets");
	CU_ASSERT_EQUAL(told_of(0x1fffffff0), 0xfffffff0);
	CU_ASSERT_EQUAL(told_of(0x200000010), 0x100000010);
	CU_ASSERT_EQUAL(netvsc_xstats_reset(&f.eth), 0);
	CU_ASSERT_EQUAL(told_of(0x2fffffff0), 0xffffffe0);
	CU_ASSERT_EQUAL(told_of(0x300000001), 0xfffffff1);
	end();
}

/* With room for eight bytes in the question, which not every host takes: then without. */
static void
test_eight_bytes_are_asked_for_first(void)
{
	REQUIRE(begin(true));
	host.counter_fits = true;
	value("host_tx_packets");
	CU_ASSERT_EQUAL(told_of(0x1fffffff0), 0x1fffffff0);
	CU_ASSERT_EQUAL(host.asked[COUNTER], NETVSC_HOST_COUNTERS);
	CU_ASSERT_EQUAL(told_of(0x200000010), 0x200000010);
	end();
	REQUIRE(begin(true));
	host.counter_strict = true;
	value("host_tx_packets");
	ticks(40);
	CU_ASSERT_EQUAL(host.asked[COUNTER], 2 * NETVSC_HOST_COUNTERS);
	CU_ASSERT_EQUAL(value("host_rounds"), 1);
	CU_ASSERT_EQUAL(value("host_tx_packets"), 1);
	/* From then on it is known. */
	CU_ASSERT_EQUAL(told_of(700), 700);
	CU_ASSERT_EQUAL(host.asked[COUNTER], 3 * NETVSC_HOST_COUNTERS);
	CU_ASSERT_EQUAL(value("host_tx_bytes"), 699 + (OID_GEN_BYTES_XMIT & 0xff));
	end();
}

static void
test_what_the_host_does_not_have_is_not_asked_for_again(void)
{
	REQUIRE(begin(true));
	host.absent_counter = OID_GEN_XMIT_ERROR;
	value("host_tx_packets");
	ticks(20);
	/* Either way. */
	CU_ASSERT_EQUAL(host.asked[COUNTER], NETVSC_HOST_COUNTERS + 1);
	CU_ASSERT_EQUAL(value("host_tx_errors"), 0);
	CU_ASSERT_EQUAL(value("host_rx_errors"), 4);
	ticks(20);
	CU_ASSERT_EQUAL(host.asked[COUNTER], 2 * NETVSC_HOST_COUNTERS);
	CU_ASSERT_EQUAL(value("host_rounds"), 2);
	end();
}

/* It is asked once; frames and settings go on, and the port does not break. */
static void
test_a_host_that_does_not_answer_costs_one_question(void)
{
	static const enum deed deeds[] = {SILENT, SHORT, WRONG_TYPE};
	struct rte_ether_addr mac = ladder_users;
	struct rte_mbuf *m;
	unsigned int i;

	for (i = 0; i < RTE_DIM(deeds); i++) {
		REQUIRE(begin(true));
		host.rung = COUNTER;
		host.deed = deeds[i];
		value("host_tx_packets");
		ticks(100);
		CU_ASSERT_EQUAL(host.asked[COUNTER], 1);
		CU_ASSERT_EQUAL(atomic_load(&f.port.state), NETVSC_STATE_RUNNING);
		CU_ASSERT_EQUAL(netvsc_mac_addr_set(&f.eth, &mac), 0);
		CU_ASSERT_EQUAL(host.asked[USER_MAC], 1);
		CU_ASSERT_EQUAL(fixture_frames(&f, 0, 500, 4, 1, 60, 7), 0);
		fixture_publish(&f, 0);
		CU_ASSERT_EQUAL_FATAL(netvsc_rx_burst(f.rx_queues[0], &m, 1), 1);
		CU_ASSERT_TRUE(fixture_mbuf_is(m, 60, 7));
		rte_pktmbuf_free(m);
		/* The next session's host may answer. */
		atomic_store(&f.port.state, 0);
		netvsc_channel_set(fixture_channel(&f, 0), NETVSC_CHANNEL_OPEN);
		CU_ASSERT_EQUAL(netvsc_session_end(&f.port), 0);
		ladder_script(OTHER, ANSWER);
		CU_ASSERT_EQUAL_FATAL(ladder_attach(1, 1500), 0);
		atomic_store(&f.port.state, NETVSC_STATE_RUNNING);
		netvsc_channel_set(fixture_channel(&f, 0), NETVSC_CHANNEL_RUNNING);
		value("host_tx_packets");
		ticks(20);
		CU_ASSERT_EQUAL(host.asked[COUNTER], NETVSC_HOST_COUNTERS);
		end();
	}
}

/* The send itself is refused: the next tick asks for the next one. */
static void
test_a_refused_send_is_no_answer(void)
{
	REQUIRE(begin(true));
	host.rung = COUNTER;
	host.deed = UNSENT;
	value("host_tx_packets");
	ticks(20);
	CU_ASSERT_EQUAL(host.asked[COUNTER], NETVSC_HOST_COUNTERS);
	CU_ASSERT_EQUAL(value("host_tx_packets"), 0);
	end();
}

/* Both are outstanding at a time, and each answer finds its own. */
static void
test_a_setting_meets_a_question_that_is_outstanding(void)
{
	struct rte_ether_addr mac = ladder_users;

	REQUIRE(begin(true));
	host.counter = 1000;
	value("host_tx_packets");
	f.on_signal = NULL;
	netvsc_host_stats_tick(&f.port);
	CU_ASSERT_NOT_EQUAL(atomic_load(&f.port.host_stats.trans_id), 0);
	f.on_signal = ladder_on_signal;
	CU_ASSERT_EQUAL(netvsc_mac_addr_set(&f.eth, &mac), 0);
	CU_ASSERT_EQUAL(host.asked[USER_MAC], 1);
	CU_ASSERT_EQUAL(atomic_load(&f.port.host_stats.trans_id), 0);
	CU_ASSERT_EQUAL(atomic_load(&f.port.host_stats.rndis_id), 0);
	CU_ASSERT_EQUAL(value("host_tx_packets"), 1001);
	end();
}

static void
test_without_pages_a_section_is_kept_for_it(void)
{
	REQUIRE(begin(false));
	host.counter = 1000;
	value("host_tx_packets");
	ticks(20);
	CU_ASSERT_EQUAL(host.asked[COUNTER], NETVSC_HOST_COUNTERS);
	CU_ASSERT_EQUAL(value("host_tx_packets"), 1001);
	CU_ASSERT_EQUAL(f.port.session.send_count, f.conf.send_count - 2);
	end();
}

/* The alarm waits for nobody: who sends just now, or has no room, is asked next time. */
static void
test_the_alarm_does_not_wait(void)
{
	REQUIRE(begin(true));
	value("host_tx_packets");
	rte_spinlock_lock(&fixture_channel(&f, 0)->tx_lock);
	netvsc_host_stats_tick(&f.port);
	rte_spinlock_unlock(&fixture_channel(&f, 0)->tx_lock);
	CU_ASSERT_EQUAL(host.asked[COUNTER], 0);
	CU_ASSERT_EQUAL(atomic_load(&f.port.host_stats.trans_id), 0);
	f.on_signal = NULL;
	fixture_fill_out(&f, 0);
	netvsc_host_stats_tick(&f.port);
	CU_ASSERT_EQUAL(atomic_load(&f.port.host_stats.trans_id), 0);
	f.on_signal = ladder_on_signal;
	end();
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"a read is answered from memory and asks anew",
			test_a_read_is_answered_from_memory_and_asks_anew},
		{"a reset counts from there", test_a_reset_counts_from_there},
		{"counters go on with a host that restarted",
			test_counters_go_on_with_a_host_that_restarted},
		{"counters go on where four bytes wrap", test_counters_go_on_where_four_bytes_wrap},
		{"eight bytes are asked for first", test_eight_bytes_are_asked_for_first},
		{"what the host does not have is not asked for again",
			test_what_the_host_does_not_have_is_not_asked_for_again},
		{"a host that does not answer costs one question",
			test_a_host_that_does_not_answer_costs_one_question},
		{"a refused send is no answer", test_a_refused_send_is_no_answer},
		{"a setting meets a question that is outstanding",
			test_a_setting_meets_a_question_that_is_outstanding},
		{"without pages a section is kept for it",
			test_without_pages_a_section_is_kept_for_it},
		{"the alarm does not wait", test_the_alarm_does_not_wait},
	};

	return UNIT_RUN("netvsc_host_stats", tests);
}
