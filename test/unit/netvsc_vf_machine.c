/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The state machine of a VF in virtual time, in a world of the test: a host that moves the data
 * path, a VF with a link that comes and goes, calls of its driver that last. What the world looks
 * like decides what the machine must have made of it in the end, whatever the order of the events
 * was that told of it; and some things must never be, at any moment in between.
 */
#include <errno.h>
#include <string.h>

#include "drivers/net/netvsc/vf_machine.h"
#include "test/unit/unit.h"

#define S	  1000
#define EVENTS	  5u /* in an alphabet */
#define EACH	  2u /* times at most that each comes */
#define SETTLE_MS (300 * S)

/* How hosts and VFs differ; bits of a number. */
#define HABIT_SLOW_HOST	   0x01u /* it answers after 5 s */
#define HABIT_SLOW_START   0x02u /* 3 s, and events meanwhile; stops, too */
#define HABIT_FAILED_START 0x04u /* the first two starts of each VF fail */
#define HABIT_FAILED_OWN   0x08u /* the first one does */
#define HABIT_STICKY_PATH  0x10u /* the path stays on a VF that is not associated any more */
#define HABIT_OTHER_ID	   0x20u /* each VF has another port id than the one before */
#define HABIT_COALESCED	   0x40u /* the machine looks at every other event only */
#define HABITS		   0x80u

struct world {
	struct netvsc_vf_machine m;
	uint64_t facts;
	int64_t now;
	unsigned int habits;

	/* As it is. */
	bool associated, present, link, recovering, failed, started, session;
	uint32_t serial;
	uint16_t id;
	bool host_vf; /* where the path is */

	/* What the driver has made of it. */
	bool tx, rx;
	uint16_t owned; /* or NETVSC_VF_NONE */
	bool running;	/* the VF is started */
	/* Which VF, and which configuration of the port, there is and was taken and started. */
	unsigned int vf_number, conf_number, owned_vf, started_vf, started_conf;
	bool call; /* a slow step is going on */
	enum netvsc_vf_step step;
	int64_t call_until;
	bool asked; /* the host has a request of ours */
	bool asked_vf;
	int64_t answer_at; /* INT64_MAX: never */
	unsigned int starts_to_fail, owns_to_fail;
	unsigned int told; /* events so far */

	bool resets;	   /* it is closed while the VF does */
	bool ignores_asks; /* the host does not answer a 129(1) */
	unsigned int asks, backs, starts, stops;
};

/* Where something was that must not be; the first is printed. */
static unsigned int wrongs;
static char trail[256];

static void
wrong(const struct world *w, const char *what)
{
	if (wrongs++ < 5)
		printf("\n  %s, at %.3f s: %s (habits %#x)\n", what, (double)w->now / S, trail,
			w->habits);
}

#define MUST(w, expr)                                                                              \
	do {                                                                                       \
		if (!(expr))                                                                       \
			wrong(w, #expr);                                                           \
	} while (0)

static void
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

/* What must hold at any moment. */
static void
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

static void
world_tell(struct world *w, enum netvsc_vf_event event, uint32_t value)
{
	w->facts = netvsc_vf_facts_add(w->facts, event, value);
	if (netvsc_vf_facts_cut_tx(w->facts))
		w->tx = false;
	if (netvsc_vf_facts_cut_rx(w->facts))
		w->rx = false;
}

static void
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
static void
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

static void
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

static void
happen_lost(struct world *w)
{
	w->present = w->recovering = w->failed = w->link = false;
	world_tell(w, NETVSC_VF_LOST, w->id);
}

static void
happen_associated(struct world *w)
{
	w->associated = w->session;
	if (w->session)
		world_tell(w, NETVSC_VF_HOST_ASSOCIATED, w->serial);
}

static void
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

static void
happen_path(struct world *w)
{
	w->host_vf = false;
	world_tell(w, NETVSC_VF_HOST_PATH, 0);
}

static void
happen_link(struct world *w)
{
	if (!w->present)
		return;
	w->link = !w->link;
	world_tell(w, NETVSC_VF_LINK, w->link);
}

static void
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

static void
happen_port(struct world *w)
{
	w->started = !w->started;
	w->conf_number += w->started;
	world_tell(w, w->started ? NETVSC_VF_PORT_STARTED : NETVSC_VF_PORT_STOPPING, 0);
}

static void
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

struct happening {
	char letter;
	void (*happen)(struct world *w);
};

static void
happen(struct world *w, const struct happening *h)
{
	size_t n = strlen(trail);

	if (n + 2 < sizeof(trail)) {
		trail[n] = h->letter;
		trail[n + 1] = '\0';
	}
	w->told++;
	h->happen(w);
	world_check(w);
}

/* ---- the oracle: what the world is like decides, nothing that the machine thinks ---- */

static void
oracle(const struct world *before)
{
	struct world w = *before;
	bool run, use;

	world_pass(&w, SETTLE_MS, true);
	run = w.present && w.started && !w.failed;
	use = run && !w.recovering && w.associated && w.link && w.session;
	MUST(&w, !w.call);
	/* One that resets itself is not taken, either. */
	MUST(&w, (w.owned != NETVSC_VF_NONE) == w.present ||
			 (w.recovering && w.owned == NETVSC_VF_NONE));
	MUST(&w, !w.present || w.recovering || (w.owned == w.id && w.owned_vf == w.vf_number));
	/* Not the one before, nor as the port was before. */
	MUST(&w, !run || w.recovering ||
			 (w.started_vf == w.vf_number && w.started_conf == w.conf_number));
	/* One that resets itself is left as it is. */
	MUST(&w, w.recovering || w.running == run);
	MUST(&w, w.rx == (run && !w.recovering && w.running));
	MUST(&w, w.host_vf == use);
	MUST(&w, w.tx == use);
}

/* ---- all orders ---- */

static const int64_t gaps[] = {0, 1 * S, 120 * S};

struct search {
	const struct happening *alphabet;
	unsigned int left[EVENTS];
	unsigned int all_gaps; /* events so deep come with every gap, later ones with one each */
	unsigned int deep, nodes;
	uint64_t seed;
};

static uint64_t
mix(uint64_t v)
{
	v = (v ^ v >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	v = (v ^ v >> 27) * UINT64_C(0x94d049bb133111eb);
	return v ^ v >> 31;
}

static void search_next(struct search *s, const struct world *w);

static void
search_one(struct search *s, const struct world *before, unsigned int event, int64_t gap)
{
	struct world w = *before;
	size_t n = strlen(trail);

	happen(&w, &s->alphabet[event]);
	if (n + 4 < sizeof(trail))
		strcat(trail, gap == 0 ? " " : gap == S ? ". " : "_ ");
	if (gap != 0)
		world_pass(&w, gap, false);
	else if (!(w.habits & HABIT_COALESCED) || (w.told & 1) == 0)
		world_pass(&w, 0, false);
	oracle(&w);
	s->nodes++;
	s->deep++;
	search_next(s, &w);
	s->deep--;
	trail[n] = '\0';
}

static void
search_next(struct search *s, const struct world *w)
{
	unsigned int event, g;

	for (event = 0; event < EVENTS; event++) {
		if (s->left[event] == 0)
			continue;
		s->left[event]--;
		if (s->deep < s->all_gaps) {
			for (g = 0; g < 3; g++)
				search_one(s, w, event, gaps[g]);
		} else {
			s->seed = mix(s->seed + 0x9e3779b97f4a7c15u);
			search_one(s, w, event, gaps[s->seed % 3]);
		}
		s->left[event]++;
	}
}

static unsigned int
search(const struct happening *alphabet, const struct world *from, unsigned int each,
	unsigned int all_gaps)
{
	struct search s = {.alphabet = alphabet, .all_gaps = all_gaps, .seed = from->habits};
	unsigned int i;

	for (i = 0; i < EVENTS; i++)
		s.left[i] = each;
	trail[0] = '\0';
	search_next(&s, from);
	return s.nodes;
}

static const struct happening of_the_host_and_the_bus[EVENTS] = {
	{'A', happen_associated},
	{'D', happen_disassociated},
	{'P', happen_path},
	{'F', happen_found},
	{'L', happen_lost},
};

static const struct happening of_a_vf_in_use[EVENTS] = {
	{'K', happen_link},
	{'R', happen_recovery},
	{'S', happen_port},
	{'N', happen_session},
	{'P', happen_path},
};

static void
world_run(struct world *w, unsigned int habits)
{
	world_begin(w, habits);
	happen_session(w);
	happen_disassociated(w);
	happen_port(w);
	w->told = 0;
}

/* A port that runs, with a VF through which it sends. */
static void
world_use(struct world *w, unsigned int habits)
{
	world_run(w, habits);
	happen_associated(w);
	happen_found(w);
	world_pass(w, SETTLE_MS, false);
	MUST(w, w->tx && w->rx && w->host_vf);
}

/* Sequences of up to ten events: each node of the search is one, and is judged. */
#define ORDERS 326010u

static void
test_all_orders_of_the_five_events(void)
{
	struct world w;

	wrongs = 0;
	world_run(&w, 0);
	CU_ASSERT_EQUAL(search(of_the_host_and_the_bus, &w, EACH, 0), ORDERS);
	world_run(&w, HABIT_COALESCED);
	CU_ASSERT_EQUAL(search(of_the_host_and_the_bus, &w, EACH, 0), ORDERS);
	CU_ASSERT_EQUAL(wrongs, 0);
}

static void
test_all_orders_of_events_of_a_vf_in_use(void)
{
	struct world w;

	wrongs = 0;
	world_use(&w, HABIT_COALESCED);
	CU_ASSERT_EQUAL(search(of_a_vf_in_use, &w, EACH, 0), ORDERS);
	world_use(&w, HABIT_SLOW_HOST | HABIT_SLOW_START);
	CU_ASSERT_EQUAL(search(of_a_vf_in_use, &w, EACH, 0), ORDERS);
	CU_ASSERT_EQUAL(wrongs, 0);
}

/* Each once, with every gap, of every kind of host and VF. */
static void
test_all_orders_and_gaps_of_all_habits(void)
{
	unsigned int habits;
	struct world w;

	wrongs = 0;
	for (habits = 0; habits < HABITS; habits++) {
		world_run(&w, habits);
		search(of_the_host_and_the_bus, &w, 1, 3);
		world_use(&w, habits);
		search(of_a_vf_in_use, &w, 1, 3);
	}
	CU_ASSERT_EQUAL(wrongs, 0);
}

/* ---- hosts, VFs and bursts that do not do what they should ---- */

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
		{"all orders of the five events", test_all_orders_of_the_five_events},
		{"all orders of events of a VF in use", test_all_orders_of_events_of_a_vf_in_use},
		{"all orders and gaps of all habits", test_all_orders_and_gaps_of_all_habits},
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
		{"events that mean nothing", test_events_that_mean_nothing},
		{"a reset that was told before the VF was found is remembered",
			test_a_reset_that_was_told_before_the_vf_was_found_is_remembered},
	};

	return UNIT_RUN("netvsc_vf_machine", tests);
}
