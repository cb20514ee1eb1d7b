/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * All orders of what happens to a VF. What the world looks like decides what the state machine must
 * have made of it in the end, whatever the order of the events was that told of it; and some things
 * must never be, at any moment in between.
 */
#include <string.h>

#include "test/unit/netvsc_vf_machine_world.h"

#define EVENTS 5u /* in an alphabet */
#define EACH   2u /* times at most that each comes */

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

int
main(void)
{
	static const struct unit_test tests[] = {
		{"all orders of the five events", test_all_orders_of_the_five_events},
		{"all orders of events of a VF in use", test_all_orders_of_events_of_a_vf_in_use},
		{"all orders and gaps of all habits", test_all_orders_and_gaps_of_all_habits},
	};

	return UNIT_RUN("netvsc_vf_orders", tests);
}
