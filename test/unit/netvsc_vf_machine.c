/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the state machine of a VF does about hosts, VFs and bursts that do not do what they should,
 * and about events that mean nothing. All orders of those that do: netvsc_vf_orders.c.
 */
#include <errno.h>
#include <string.h>

#include "test/unit/netvsc_vf_machine_world.h"

/* The next step now, done at once if it is a quick one that works. */
static enum netvsc_vf_step
step_of(struct world *w, int rc)
{
	enum netvsc_vf_step step;
	int64_t until;

	netvsc_vf_machine_take(&w->m, w->facts, w->now);
	w->facts = netvsc_vf_facts_rest(w->facts);
	step = netvsc_vf_machine_next(&w->m, w->now, &until);
	if (step != NETVSC_VF_WAIT && !netvsc_vf_step_is_slow(step))
		netvsc_vf_machine_done(&w->m, step, rc, w->now);
	return step;
}

static enum netvsc_vf_host
host_of(struct world *w)
{
	netvsc_vf_machine_take(&w->m, w->facts, w->now);
	w->facts = netvsc_vf_facts_rest(w->facts);
	return w->m.host;
}

/* A host that never answers: the path counts as synthetic, and it is asked again. */
static void
test_a_switch_that_is_never_answered(void)
{
	struct world w;

	wrongs = 0;
	world_run(&w, 0);
	happen_associated(&w);
	w.ignores_asks = true;
	happen_found(&w);
	world_pass(&w, NETVSC_VF_SWITCH_MS - 1, false);
	CU_ASSERT_EQUAL(w.m.host, NETVSC_VF_HOST_TO_VF);
	CU_ASSERT_FALSE(w.tx);
	CU_ASSERT_TRUE(w.rx);
	w.now++;
	CU_ASSERT_EQUAL(host_of(&w), NETVSC_VF_HOST_UNSURE);
	CU_ASSERT_EQUAL(step_of(&w, 0), NETVSC_VF_STEP_BACK);
	CU_ASSERT_EQUAL(w.m.counts.timeouts, 1);
	/* Nor that one: then it is as good as answered. */
	w.now += NETVSC_VF_SWITCH_MS;
	CU_ASSERT_EQUAL(host_of(&w), NETVSC_VF_HOST_SYNTHETIC);
	CU_ASSERT_EQUAL(step_of(&w, 0), NETVSC_VF_STEP_ASK);
	CU_ASSERT_EQUAL(w.m.counts.timeouts, 2);
	CU_ASSERT_EQUAL(wrongs, 0);
}

/*
 * A host that completes the request and moves the path back, or moves it back and never completes:
 * asked again and again, less and less, and frames stay on the synthetic path.
 */
static void
refuse(bool complete, bool first)
{
	int64_t before = 0, took[12];
	struct world w;
	unsigned int i;

	wrongs = 0;
	world_run(&w, 0);
	happen_associated(&w);
	w.ignores_asks = true;
	happen_found(&w);
	for (i = 0; i < 12; i++) {
		for (; w.asks == i && w.now < INT64_C(1) << 32; w.now++)
			world_pass(&w, 0, false);
		took[i] = w.now - before;
		before = w.now;
		CU_ASSERT_EQUAL(w.m.host, NETVSC_VF_HOST_TO_VF);
		if (first)
			world_tell(&w, NETVSC_VF_HOST_PATH, 0);
		if (complete)
			world_tell(&w, NETVSC_VF_HOST_ANSWERED, 0);
		if (!first)
			world_tell(&w, NETVSC_VF_HOST_PATH, 0);
		w.asked = false;
		world_pass(&w, 0, false);
		CU_ASSERT_FALSE(w.tx);
	}
	CU_ASSERT_EQUAL(w.m.counts.refused, 12);
	for (i = 1; i < 12; i++) {
		CU_ASSERT(took[i] >= NETVSC_VF_RETRY_MS);
		CU_ASSERT(took[i] <= NETVSC_VF_RETRY_MAX_MS + NETVSC_VF_GRACE_MS + S);
		CU_ASSERT(i == 1 || took[i] + S > took[i - 1]);
	}
	w.ignores_asks = false;
	/* The VF goes and comes: a host that may think otherwise of the other one is asked. */
	world_pass(&w, 100 * S, false);
	happen_disassociated(&w);
	happen_lost(&w);
	world_pass(&w, 0, false);
	happen_associated(&w);
	happen_found(&w);
	world_pass(&w, 2 * S, false);
	CU_ASSERT_TRUE(w.tx);
	CU_ASSERT_EQUAL(wrongs, 0);
}

static void
test_a_host_that_refuses_is_asked_less_and_less(void)
{
	refuse(true, false);
	refuse(true, true);
	refuse(false, true);
}

/* One that obeys and takes it back at once is no better. */
static void
test_a_host_that_takes_it_back_is_asked_less_and_less(void)
{
	struct world w;
	unsigned int i;

	wrongs = 0;
	world_use(&w, 0);
	for (i = 0; i < 600; i++) {
		happen_path(&w);
		world_pass(&w, S, false);
	}
	/* 1 + 2 + 4 + ... + 32 + 32 + ... seconds. */
	CU_ASSERT(w.asks >= 10 && w.asks <= 30);
	CU_ASSERT_EQUAL(w.m.counts.forced, w.m.counts.to_vf);
	world_pass(&w, 100 * S, false);
	CU_ASSERT_TRUE(w.tx);
	/* Once in a while is another thing. */
	happen_path(&w);
	CU_ASSERT_FALSE(w.tx);
	world_pass(&w, 2 * S, false);
	CU_ASSERT_TRUE(w.tx);
	CU_ASSERT_EQUAL(wrongs, 0);
}

/* An answer that comes when nobody waits for it any more is not the next request's. */
static void
test_a_late_answer_is_not_the_next_ones(void)
{
	struct world w;

	wrongs = 0;
	world_use(&w, 0);
	happen_link(&w);
	world_pass(&w, 0, false);
	CU_ASSERT_EQUAL(w.m.host, NETVSC_VF_HOST_SYNTHETIC);
	/* Between two looks of the machine, of which the second one asks. */
	world_tell(&w, NETVSC_VF_HOST_ANSWERED, 0);
	w.facts = netvsc_vf_facts_unanswered(w.facts);
	CU_ASSERT_EQUAL(w.facts, netvsc_vf_facts_rest(w.facts));
	w.ignores_asks = true;
	happen_link(&w);
	world_pass(&w, S, false);
	CU_ASSERT_EQUAL(w.m.host, NETVSC_VF_HOST_TO_VF);
	CU_ASSERT_FALSE(w.tx);
	CU_ASSERT_EQUAL(wrongs, 0);
}

static void
test_failed_starts_are_tried_again_for_ever(void)
{
	struct world w;
	unsigned int before;

	wrongs = 0;
	world_run(&w, 0);
	happen_associated(&w);
	happen_found(&w);
	w.starts_to_fail = UINT32_MAX;
	world_pass(&w, 10000 * S, false);
	CU_ASSERT(w.starts >= 300 && w.starts <= 330);
	CU_ASSERT_EQUAL(w.m.counts.failed_starts, w.starts);
	/* Another configuration, or another VF, may do: at once. */
	before = w.starts;
	happen_port(&w);
	happen_port(&w);
	world_pass(&w, 0, false);
	CU_ASSERT_EQUAL(w.starts, before + 1);
	happen_lost(&w);
	happen_found(&w);
	world_pass(&w, 0, false);
	CU_ASSERT_EQUAL(w.starts, before + 1 + 1);
	CU_ASSERT_TRUE(w.tx);
	CU_ASSERT_EQUAL(wrongs, 0);
}

/* What does not take a setting is started again, and then does. */
static void
test_a_setting_that_is_not_taken_restarts_the_vf(void)
{
	struct world w;

	wrongs = 0;
	world_use(&w, 0);
	CU_ASSERT_TRUE(netvsc_vf_machine_replays(&w.m));
	netvsc_vf_machine_restart(&w.m, w.now);
	CU_ASSERT_FALSE(netvsc_vf_machine_replays(&w.m));
	world_pass(&w, 0, false);
	CU_ASSERT_EQUAL(w.stops, 1);
	CU_ASSERT_FALSE(w.host_vf);
	world_pass(&w, 2 * S, false);
	CU_ASSERT_EQUAL(w.starts, 2);
	CU_ASSERT_TRUE(w.tx);
	CU_ASSERT_EQUAL(wrongs, 0);
}

/* Until the host has left it, what it sends to the VF is received. */
static void
test_a_vf_is_received_from_until_the_host_has_left_it(void)
{
	struct world w;

	wrongs = 0;
	world_use(&w, 0);
	world_tell(&w, NETVSC_VF_PORT_STOPPING, 0);
	CU_ASSERT_TRUE(w.rx);
	CU_ASSERT_EQUAL(step_of(&w, 0), NETVSC_VF_STEP_TX_OFF);
	CU_ASSERT_EQUAL(step_of(&w, 0), NETVSC_VF_STEP_TX_QUIET);
	CU_ASSERT_EQUAL(step_of(&w, 0), NETVSC_VF_STEP_BACK);
	CU_ASSERT_EQUAL(step_of(&w, 0), NETVSC_VF_WAIT);
	CU_ASSERT_TRUE(w.m.rx);
	world_tell(&w, NETVSC_VF_HOST_ANSWERED, 0);
	CU_ASSERT_EQUAL(step_of(&w, 0), NETVSC_VF_STEP_RX_OFF);
	CU_ASSERT_EQUAL(step_of(&w, 0), NETVSC_VF_STEP_RX_QUIET);
	CU_ASSERT_EQUAL(step_of(&w, 0), NETVSC_VF_STEP_STOP);
	CU_ASSERT_EQUAL(wrongs, 0);
}

/* A burst is inside of the VF's driver and does not come out: the VF is not stopped. */
static void
test_a_burst_that_stays_inside_keeps_the_vf_started(void)
{
	unsigned int looks = 0, backs = 0, i;
	enum netvsc_vf_step step;
	struct world w;

	wrongs = 0;
	world_use(&w, 0);
	world_tell(&w, NETVSC_VF_PORT_STOPPING, 0);
	CU_ASSERT_EQUAL(step_of(&w, 0), NETVSC_VF_STEP_TX_OFF);
	netvsc_vf_machine_cut_rx(&w.m);
	CU_ASSERT_EQUAL(step_of(&w, 0), NETVSC_VF_STEP_RX_OFF);
	for (i = 0; i < 10000; i++, w.now++) {
		step = step_of(&w, -EAGAIN);
		looks += step == NETVSC_VF_STEP_TX_QUIET;
		if (step == NETVSC_VF_STEP_BACK) {
			backs++;
			CU_ASSERT(i >= NETVSC_VF_QUIET_MS);
			netvsc_vf_machine_done(&w.m, step, 0, w.now);
			CU_ASSERT_EQUAL(w.m.host, NETVSC_VF_HOST_BACK);
			world_tell(&w, NETVSC_VF_HOST_ANSWERED, 0);
		}
		CU_ASSERT(step != NETVSC_VF_STEP_STOP);
	}
	CU_ASSERT_EQUAL(backs, 1);
	CU_ASSERT(looks > 100 && looks < 300); /* cheap */
	w.now += NETVSC_VF_SOON_MAX_MS;
	CU_ASSERT_EQUAL(step_of(&w, 0), NETVSC_VF_STEP_TX_QUIET);
	CU_ASSERT_EQUAL(step_of(&w, 0), NETVSC_VF_STEP_RX_QUIET);
	CU_ASSERT_EQUAL(step_of(&w, 0), NETVSC_VF_STEP_STOP);
	CU_ASSERT_EQUAL(wrongs, 0);
}

/* Whatever there is, and whatever host: the VF is stopped and left, and no later than at once. */
static void
test_closing_ends_from_everywhere(void)
{
	unsigned int habits, ms;
	enum netvsc_vf_step step;
	struct world w;
	int64_t until;

	wrongs = 0;
	for (habits = 0; habits < HABITS; habits++)
		for (ms = 0; ms < 12 * S; ms += 499) {
			world_run(&w, habits);
			happen_associated(&w);
			happen_found(&w);
			world_pass(&w, ms, false);
			if ((ms & 1) != 0)
				happen_recovery(&w);
			world_tell(&w, NETVSC_VF_CLOSING, 0);
			w.resets = w.recovering;
			w.host_vf = w.recovering = false;
			w.answer_at = INT64_MAX; /* it says nothing any more */
			if (w.call) {
				w.now = w.call_until;
				world_end_call(&w);
			}
			world_pass(&w, NETVSC_VF_SOON_MAX_MS + 3 * S, false);
			netvsc_vf_machine_take(&w.m, w.facts, w.now);
			step = netvsc_vf_machine_next(&w.m, w.now, &until);
			MUST(&w, step == NETVSC_VF_STEP_END);
			MUST(&w, w.owned == NETVSC_VF_NONE && !w.tx && !w.rx);
		}
	CU_ASSERT_EQUAL(wrongs, 0);
}

/* It is told of before its probe is over: that lasts microseconds, and may last longer. */
static void
test_a_vf_whose_probe_is_not_over_is_tried_again_soon(void)
{
	struct netvsc_vf_machine m;
	uint64_t facts = netvsc_vf_facts_add(0, NETVSC_VF_FOUND, 7);
	static const struct {
		int rc;
		int64_t after;
	} tries[] = {
		{-EAGAIN, 1},
		{-EAGAIN, 2},
		{-EAGAIN, 4},
		{-EAGAIN, 8},
		{-EAGAIN, 16},
		{-EAGAIN, 32},
		{-EAGAIN, 64},
		{-EAGAIN, 64},
		/* Its driver refuses: that is another matter. */
		{-EIO, 1000},
		{-EIO, 2000},
		{-EAGAIN, 64},
	};
	int64_t now = 5000, until;
	unsigned int i;

	netvsc_vf_machine_init(&m);
	for (i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		netvsc_vf_machine_take(&m, facts, now);
		CU_ASSERT_EQUAL(netvsc_vf_machine_next(&m, now, &until), NETVSC_VF_STEP_OWN);
		netvsc_vf_machine_begin(&m, NETVSC_VF_STEP_OWN);
		netvsc_vf_machine_done(&m, NETVSC_VF_STEP_OWN, tries[i].rc, now);
		CU_ASSERT_EQUAL(netvsc_vf_machine_next(&m, now, &until), NETVSC_VF_WAIT);
		CU_ASSERT_EQUAL(until - now, tries[i].after);
		now = until;
	}
}

/* Facts: what means nothing changes nothing. */
static void
test_events_that_mean_nothing(void)
{
	uint64_t facts = 0, found;
	uint32_t serial;

	CU_ASSERT_EQUAL(netvsc_vf_facts_add(facts, NETVSC_VF_LOST, 3), 0);
	CU_ASSERT_EQUAL(netvsc_vf_facts_add(facts, NETVSC_VF_LINK, 1), 0);
	CU_ASSERT_EQUAL(netvsc_vf_facts_add(facts, NETVSC_VF_RECOVERED, 0), 0);
	CU_ASSERT_EQUAL(netvsc_vf_facts_add(facts, NETVSC_VF_RECOVERING, NETVSC_VF_NONE), 0);
	CU_ASSERT_EQUAL(netvsc_vf_facts_add(facts, NETVSC_VF_FOUND, NETVSC_VF_NONE), 0);
	CU_ASSERT_EQUAL(netvsc_vf_facts_add(facts, NETVSC_VF_HOST_PATH, 1), 0);
	facts = found = netvsc_vf_facts_add(facts, NETVSC_VF_FOUND, 3);
	CU_ASSERT_EQUAL(netvsc_vf_facts_found(facts), 3);
	CU_ASSERT_EQUAL(netvsc_vf_facts_add(facts, NETVSC_VF_LOST, 4), found);
	CU_ASSERT_EQUAL(netvsc_vf_facts_add(facts, NETVSC_VF_FOUND, 3), found);
	CU_ASSERT_FALSE(netvsc_vf_facts_serial(facts, &serial));
	facts = netvsc_vf_facts_add(facts, NETVSC_VF_HOST_ASSOCIATED, UINT32_MAX);
	CU_ASSERT_TRUE(netvsc_vf_facts_serial(facts, &serial));
	CU_ASSERT_EQUAL(serial, UINT32_MAX);
	CU_ASSERT_FALSE(netvsc_vf_facts_cut_tx(facts));
	/* Once more is nothing new, another serial is another VF. */
	CU_ASSERT_EQUAL(netvsc_vf_facts_add(facts, NETVSC_VF_HOST_ASSOCIATED, UINT32_MAX), facts);
	facts = netvsc_vf_facts_add(facts, NETVSC_VF_HOST_ASSOCIATED, 7);
	CU_ASSERT_TRUE(netvsc_vf_facts_cut_tx(facts));
	CU_ASSERT_FALSE(netvsc_vf_facts_cut_rx(facts));
	/* So is another port. */
	CU_ASSERT_TRUE(netvsc_vf_facts_cut_rx(
		netvsc_vf_facts_add(netvsc_vf_facts_rest(facts), NETVSC_VF_FOUND, 4)));
	facts = netvsc_vf_facts_add(netvsc_vf_facts_rest(facts), NETVSC_VF_LOST, 3);
	CU_ASSERT_TRUE(netvsc_vf_facts_cut_rx(facts));
	CU_ASSERT_EQUAL(netvsc_vf_facts_found(facts), NETVSC_VF_NONE);
}

/* A VF is announced, and found to be one when its association has come: meanwhile it may reset. */
static void
test_a_reset_that_was_told_before_the_vf_was_found_is_remembered(void)
{
	struct netvsc_vf_machine m;
	uint64_t facts;
	int64_t until;

	facts = netvsc_vf_facts_add(0, NETVSC_VF_RECOVERING, 3);
	CU_ASSERT_TRUE(netvsc_vf_facts_recovering(facts, 3));
	CU_ASSERT_FALSE(netvsc_vf_facts_recovering(facts, 4));
	CU_ASSERT_EQUAL(netvsc_vf_facts_found(facts), NETVSC_VF_NONE);
	facts = netvsc_vf_facts_add(facts, NETVSC_VF_FOUND, 3);
	CU_ASSERT_TRUE(netvsc_vf_facts_recovering(facts, 3));
	netvsc_vf_machine_init(&m);
	netvsc_vf_machine_take(&m, facts, 1);
	CU_ASSERT_EQUAL(netvsc_vf_machine_next(&m, 1, &until), NETVSC_VF_WAIT);
	facts = netvsc_vf_facts_add(netvsc_vf_facts_rest(facts), NETVSC_VF_RECOVERED, 4);
	CU_ASSERT_TRUE(netvsc_vf_facts_recovering(facts, 3)); /* another one did */
	facts = netvsc_vf_facts_add(facts, NETVSC_VF_RECOVERED, 3);
	netvsc_vf_machine_take(&m, facts, 2);
	CU_ASSERT_EQUAL(netvsc_vf_machine_next(&m, 2, &until), NETVSC_VF_STEP_OWN);
	/* Another one is found than was told of. */
	facts = netvsc_vf_facts_add(0, NETVSC_VF_RECOVERING, 3);
	facts = netvsc_vf_facts_add(facts, NETVSC_VF_FOUND, 4);
	CU_ASSERT_FALSE(netvsc_vf_facts_recovering(facts, 4));
	CU_ASSERT_EQUAL(netvsc_vf_facts_found(facts), 4);
	CU_ASSERT_FALSE(
		netvsc_vf_facts_recovering(netvsc_vf_facts_add(facts, NETVSC_VF_RECOVERING, 3), 4));
	/* It is over before it was found, or the VF is. */
	facts = netvsc_vf_facts_add(0, NETVSC_VF_RECOVERING, 3);
	CU_ASSERT_EQUAL(
		netvsc_vf_facts_rest(netvsc_vf_facts_add(facts, NETVSC_VF_RECOVERED, 3)), 0);
	CU_ASSERT_EQUAL(netvsc_vf_facts_rest(netvsc_vf_facts_add(facts, NETVSC_VF_LOST, 3)), 0);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"a switch that is never answered", test_a_switch_that_is_never_answered},
		{"a host that refuses is asked less and less",
			test_a_host_that_refuses_is_asked_less_and_less},
		{"a host that takes it back is asked less and less",
			test_a_host_that_takes_it_back_is_asked_less_and_less},
		{"a late answer is not the next one's", test_a_late_answer_is_not_the_next_ones},
		{"failed starts are tried again for ever",
			test_failed_starts_are_tried_again_for_ever},
		{"a setting that is not taken restarts the VF",
			test_a_setting_that_is_not_taken_restarts_the_vf},
		{"a VF is received from until the host has left it",
			test_a_vf_is_received_from_until_the_host_has_left_it},
		{"a burst that stays inside keeps the VF started",
			test_a_burst_that_stays_inside_keeps_the_vf_started},
		{"closing ends from everywhere", test_closing_ends_from_everywhere},
		{"a VF whose probe is not over is tried again soon",
			test_a_vf_whose_probe_is_not_over_is_tried_again_soon},
		{"events that mean nothing", test_events_that_mean_nothing},
		{"a reset that was told before the VF was found is remembered",
			test_a_reset_that_was_told_before_the_vf_was_found_is_remembered},
	};

	return UNIT_RUN("netvsc_vf_machine", tests);
}
