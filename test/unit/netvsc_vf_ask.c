/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who asks the control thread for what the VF has counted: it is answered, however slow the machine
 * is, and waits once for a VF that hangs. The time of the one that asks is the test's.
 */
#include "test/unit/netvsc_vf_world.h"
#include "test/unit/refused_poll.h"

int64_t __real_hpbus_now_ms(void);
int64_t __wrap_hpbus_now_ms(void);

/* Of this thread: time stands still, but for what passes once the VF is being asked. */
static _Thread_local struct {
	int64_t began; /* 0: it goes on as it does */
	int64_t passes, passed;
	void (*meanwhile)(void);
} still;

int64_t
__wrap_hpbus_now_ms(void)
{
	int64_t now = __real_hpbus_now_ms();

	/* What would never end does. */
	if (still.began == 0 || now - still.began > PATIENCE)
		return now + still.passed;
	if (still.passes != 0 && atomic_load(&vf.in_count) &&
		atomic_load(&f.port.vf->asked) != atomic_load(&f.port.vf->answered)) {
		still.passed += still.passes;
		still.passes = 0;
		if (still.meanwhile != NULL)
			still.meanwhile();
	}
	return still.began + still.passed;
}

/* Ask, and let @p ms pass while the VF is being asked, and something happen. */
static void
ask(int64_t ms, void (*meanwhile)(void))
{
	still.passed = 0;
	still.passes = ms;
	still.meanwhile = meanwhile;
	still.began = __real_hpbus_now_ms();
	netvsc_vf_count_now(&f.port);
	still.began = 0;
	still.passed = 0;
}

/* Nothing keeps the VF from counting. @return whether it had, when that was told */
static bool
is_counted(void)
{
	unsigned int before = atomic_load(&vf.counts);

	ask(0, NULL);
	return atomic_load(&vf.counts) > before;
}

static void
let_count(void)
{
	atomic_store(&vf.hold_count, false);
}

/* Its answer comes when the one who asked has looked for it last. */
static void
let_answer(void)
{
	struct netvsc_vf *v = f.port.vf;
	int64_t end = __real_hpbus_now_ms() + PATIENCE;

	let_count();
	while (atomic_load(&v->answered) != atomic_load(&v->asked) && __real_hpbus_now_ms() < end)
		usleep(100);
}

/* Counters are read by the thread that calls the VF; who asks waits for a VF that hangs once. */
static void
test_counters_are_asked_for_and_a_vf_that_hangs_is_waited_for_once(void)
{
	unsigned int i;

	REQUIRE(begin_used());
	CU_ASSERT_TRUE(is_counted());
	CU_ASSERT_FALSE(pthread_equal(vf.counted_by, pthread_self()));
	atomic_store(&vf.hold_count, true);
	ask(PATIENCE, NULL);
	CU_ASSERT_TRUE(netvsc_vf_hangs(f.port.vf));
	/* Time stands still: each that waited would wait for ever. */
	for (i = 0; i < 1000; i++)
		ask(0, NULL);
	CU_ASSERT_TRUE(atomic_load(&vf.in_count));
	CU_ASSERT_TRUE(goes_to_vf(1));
	let_count();
	UNTIL(!netvsc_vf_hangs(f.port.vf));
	CU_ASSERT_TRUE(is_counted());
	end();
}

/* A thread that is not scheduled for some tenths of a second. */
static void
test_a_thread_that_is_slow_is_waited_for(void)
{
	unsigned int before;

	REQUIRE(begin_used());
	before = atomic_load(&vf.counts);
	atomic_store(&vf.hold_count, true);
	ask(700, let_count);
	CU_ASSERT(atomic_load(&vf.counts) > before);
	CU_ASSERT_FALSE(netvsc_vf_hangs(f.port.vf));
	end();
}

static void
test_an_answer_that_comes_as_one_gives_up_is_an_answer(void)
{
	REQUIRE(begin_used());
	atomic_store(&vf.hold_count, true);
	ask(PATIENCE, let_answer);
	CU_ASSERT_FALSE(netvsc_vf_hangs(f.port.vf));
	CU_ASSERT_TRUE(is_counted());
	end();
}

static void
test_a_thread_whose_poll_is_refused_sleeps_and_hears(void)
{
	REQUIRE(begin_used());
	atomic_store(&poll_refuses, true);
	netvsc_vf_wake(f.port.vf);
	UNTIL(atomic_load(&poll_refusals) >= 5);
	CU_ASSERT_EQUAL(atomic_load(&poll_spins), 0);
	CU_ASSERT_TRUE(is_counted());
	atomic_store(&poll_refuses, false);
	end();
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"counters are asked for, and a VF that hangs is waited for once",
			test_counters_are_asked_for_and_a_vf_that_hangs_is_waited_for_once},
		{"a thread that is slow is waited for", test_a_thread_that_is_slow_is_waited_for},
		{"an answer that comes as one gives up is an answer",
			test_an_answer_that_comes_as_one_gives_up_is_an_answer},
		{"a thread whose poll() is refused sleeps and hears",
			test_a_thread_whose_poll_is_refused_sleeps_and_hears},
	};

	return UNIT_RUN("netvsc_vf_ask", tests);
}
