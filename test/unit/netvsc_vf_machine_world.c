/* SPDX-License-Identifier: BSD-3-Clause */
/* See netvsc_vf_machine_world.h. */
#include <errno.h>
#include <string.h>

#include "test/unit/netvsc_vf_machine_world.h"

/* Where something was that must not be; the first is printed. */
unsigned int wrongs;
char trail[256];

void
wrong(const struct world *w, const char *what)
{
	if (wrongs++ < 5)
		printf("\n  %s, at %.3f s: %s (habits %#x)\n", what, (double)w->now / S, trail,
			w->habits);
}

void
world_begin(struct world *w, unsigned int habits)
{
	memset(w, 0, sizeof(*w));
	netvsc_vf_machine_init(&w->m);
	w->habits = habits;
	w->owned = NETVSC_VF_NONE;
	w->id = 5;
	w->serial = 1;
	w->answer_at = INT64_MAX;
	w->now = 1000000;
}

void
world_check(const struct world *w)
{
	MUST(w, !w->tx || w->running);
	MUST(w, !w->rx || w->running);
	MUST(w, !w->tx || w->rx);
	MUST(w, !w->tx || w->host_vf);
	MUST(w, !w->tx || (w->present && w->link && !w->recovering && w->started));
	MUST(w, !w->rx || (w->present && !w->recovering));
}

/* ---- steps ---- */

static void
world_begin_call(struct world *w, enum netvsc_vf_step step)
{
	bool there = w->present && w->owned == w->id && w->owned_vf == w->vf_number;

	MUST(w, !w->call);
	MUST(w, !w->recovering || !there);
	netvsc_vf_machine_begin(&w->m, step);
	w->call = true;
	w->step = step;
	w->call_until = w->now;
	switch (step) {
	case NETVSC_VF_STEP_OWN:
		MUST(w, w->owned == NETVSC_VF_NONE);
		MUST(w, !w->present || !w->recovering);
		MUST(w, w->m.vf == w->id);
		w->owned_vf = w->vf_number;
		break;
	case NETVSC_VF_STEP_START:
		MUST(w, w->owned != NETVSC_VF_NONE && !w->running);
		w->started_vf = w->owned_vf;
		w->started_conf = w->conf_number;
		if (w->habits & HABIT_SLOW_START)
			w->call_until = w->now + 3 * S;
		break;
	case NETVSC_VF_STEP_STOP:
		MUST(w, w->running && !w->tx && !w->rx);
		/* Unless nobody is there to receive what the host sends. */
		MUST(w, !w->host_vf || !there);
		if (w->habits & HABIT_SLOW_START)
			w->call_until = w->now + 3 * S;
		break;
	case NETVSC_VF_STEP_DISOWN:
		/* Who closes leaves one that resets itself as it is. */
		MUST(w, w->owned != NETVSC_VF_NONE && (!w->running || w->resets));
		break;
	case NETVSC_VF_STEP_LINK:
		MUST(w, w->running);
		break;
	default:
		wrong(w, "another slow step");
	}
}

void
world_tell(struct world *w, enum netvsc_vf_event event, uint32_t value)
{
	w->facts = netvsc_vf_facts_add(w->facts, event, value);
	if (netvsc_vf_facts_cut_tx(w->facts))
		w->tx = false;
	if (netvsc_vf_facts_cut_rx(w->facts))
		w->rx = false;
}

void
world_end_call(struct world *w)
{
	enum netvsc_vf_step step = w->step;
	int rc = 0;

	w->call = false;
	switch (step) {
	case NETVSC_VF_STEP_OWN:
		if (w->owns_to_fail != 0) {
			w->owns_to_fail--;
			rc = -EPERM;
		} else {
			w->owned = w->m.vf;
		}
		break;
	case NETVSC_VF_STEP_START:
		w->starts++;
		if (w->starts_to_fail != 0) {
			w->starts_to_fail--;
			rc = -EIO;
		}
		w->running = rc == 0;
		break;
	case NETVSC_VF_STEP_STOP:
		w->stops++;
		w->running = false;
		break;
	case NETVSC_VF_STEP_DISOWN:
		w->owned = NETVSC_VF_NONE;
		break;
	case NETVSC_VF_STEP_LINK:
		if (w->present && w->owned == w->id && w->link != netvsc_vf_facts_link(w->facts))
			world_tell(w, NETVSC_VF_LINK, w->link);
		break;
	default:
		break;
	}
	netvsc_vf_machine_done(&w->m, step, rc, w->now);
}

static void
world_quick(struct world *w, enum netvsc_vf_step step)
{
	switch (step) {
	case NETVSC_VF_STEP_TX_OFF:
		w->tx = false;
		break;
	case NETVSC_VF_STEP_RX_OFF:
		w->rx = false;
		break;
	case NETVSC_VF_STEP_TX:
		w->tx = true;
		break;
	case NETVSC_VF_STEP_RX:
		MUST(w, !w->call || w->step == NETVSC_VF_STEP_LINK);
		w->rx = true;
		break;
	case NETVSC_VF_STEP_ASK:
	case NETVSC_VF_STEP_BACK:
		MUST(w, w->session);
		w->asked = true;
		w->asked_vf = step == NETVSC_VF_STEP_ASK;
		w->answer_at = w->now + ((w->habits & HABIT_SLOW_HOST) ? 5 * S : 0);
		if (w->asked_vf && w->ignores_asks)
			w->answer_at = INT64_MAX;
		w->facts = netvsc_vf_facts_unanswered(w->facts);
		if (w->asked_vf)
			w->asks++;
		else
			w->backs++;
		break;
	default:
		break;
	}
	netvsc_vf_machine_done(&w->m, step, 0, w->now);
	world_check(w);
}

/* The host does what it was asked, if it can, and says that it is done. */
static void
world_answer(struct world *w)
{
	w->asked = false;
	w->answer_at = INT64_MAX;
	if (!w->asked_vf)
		w->host_vf = false;
	else if (w->associated)
		w->host_vf = true;
	world_tell(w, NETVSC_VF_HOST_ANSWERED, 0);
}

/* ---- time ---- */

static int64_t
min64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* One look. @return whether something was done; else when to look again is in @until */
static bool
world_look(struct world *w, int64_t *until)
{
	enum netvsc_vf_step step;

	netvsc_vf_machine_take(&w->m, w->facts, w->now);
	w->facts = netvsc_vf_facts_rest(w->facts);
	step = netvsc_vf_machine_next(&w->m, w->now, until);
	if (step == NETVSC_VF_WAIT || step == NETVSC_VF_STEP_END)
		return false;
	if (!netvsc_vf_step_is_slow(step)) {
		world_quick(w, step);
		return true;
	}
	/* One thread calls. */
	if (w->call) {
		*until = INT64_MAX;
		return false;
	}
	world_begin_call(w, step);
	return true;
}

/* Is nothing left to come but looks at a link that is known? */
static bool
world_rests(const struct world *w, int64_t next)
{
	return !w->call && w->answer_at == INT64_MAX && w->m.running && next >= w->m.poll &&
	       w->link == netvsc_vf_facts_link(w->facts) && w->m.ask.at <= w->now &&
	       w->m.start.at <= w->now && w->m.own.at <= w->now;
}

/* Time passes until then, or until nothing will happen any more but looks at the link. */
void
world_pass(struct world *w, int64_t ms, bool settle)
{
	int64_t end = w->now + ms, until, at;
	unsigned int steps = 0;

	for (;;) {
		while (world_look(w, &until))
			if (++steps > 20000) {
				wrong(w, "it does not come to rest");
				return;
			}
		world_check(w);
		if (w->call && w->call_until <= w->now) {
			world_end_call(w);
			continue;
		}
		if (w->answer_at <= w->now) {
			world_answer(w);
			continue;
		}
		at = min64(until, w->answer_at);
		if (w->call)
			at = min64(at, w->call_until);
		if (settle && world_rests(w, at))
			return;
		if (settle && at == INT64_MAX)
			return;
		if (at > end) {
			w->now = end;
			return;
		}
		if (at <= w->now) {
			wrong(w, "time stands still");
			return;
		}
		w->now = at;
	}
}

/* ---- what happens ---- */

void
happen_found(struct world *w)
{
	if (!w->present) {
		w->present = true;
		w->vf_number++;
		w->link = true;
		w->recovering = w->failed = false;
		if (w->habits & HABIT_OTHER_ID)
			w->id++;
		w->starts_to_fail = (w->habits & HABIT_FAILED_START) ? 2 : 0;
		w->owns_to_fail = (w->habits & HABIT_FAILED_OWN) ? 1 : 0;
	}
	world_tell(w, NETVSC_VF_FOUND, w->id);
}

void
happen_lost(struct world *w)
{
	w->present = w->recovering = w->failed = w->link = false;
	world_tell(w, NETVSC_VF_LOST, w->id);
}

void
happen_associated(struct world *w)
{
	w->associated = w->session;
	if (w->session)
		world_tell(w, NETVSC_VF_HOST_ASSOCIATED, w->serial);
}

void
happen_disassociated(struct world *w)
{
	if (w->associated)
		w->serial++;
	w->associated = false;
	if (!(w->habits & HABIT_STICKY_PATH))
		w->host_vf = false;
	/* A path that stays is not used by us: what we send must not go there. */
	world_tell(w, NETVSC_VF_HOST_DISASSOCIATED, 0);
}

void
happen_path(struct world *w)
{
	w->host_vf = false;
	world_tell(w, NETVSC_VF_HOST_PATH, 0);
}

void
happen_link(struct world *w)
{
	if (!w->present)
		return;
	w->link = !w->link;
	world_tell(w, NETVSC_VF_LINK, w->link);
}

void
happen_recovery(struct world *w)
{
	if (!w->present)
		return;
	/* In turns: it resets itself, which succeeds, and fails the next time. */
	if (!w->recovering) {
		w->recovering = true;
		w->failed = false;
		world_tell(w, NETVSC_VF_RECOVERING, w->id);
		return;
	}
	w->recovering = false;
	w->failed = (w->told & 1) != 0;
	world_tell(w, w->failed ? NETVSC_VF_RECOVERY_FAILED : NETVSC_VF_RECOVERED, w->id);
}

void
happen_port(struct world *w)
{
	w->started = !w->started;
	w->conf_number += w->started;
	world_tell(w, w->started ? NETVSC_VF_PORT_STARTED : NETVSC_VF_PORT_STOPPING, 0);
}

void
happen_session(struct world *w)
{
	if (w->session) {
		w->session = w->associated = w->host_vf = false;
		w->asked = false;
		w->answer_at = INT64_MAX;
		world_tell(w, NETVSC_VF_SESSION_GONE, 0);
		return;
	}
	w->session = true;
	/* A path that outlived its channel. */
	w->host_vf = (w->told & 1) != 0;
	happen_associated(w);
	world_tell(w, NETVSC_VF_SESSION_NEW, 0);
}

void
world_run(struct world *w, unsigned int habits)
{
	world_begin(w, habits);
	happen_session(w);
	happen_disassociated(w);
	happen_port(w);
	w->told = 0;
}

void
world_use(struct world *w, unsigned int habits)
{
	world_run(w, habits);
	happen_associated(w);
	happen_found(w);
	world_pass(w, SETTLE_MS, false);
	MUST(w, w->tx && w->rx && w->host_vf);
}
