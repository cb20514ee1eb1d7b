/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Housekeeping whose next alarm cannot be set: EAL's alarms are the test's, which says when there
 * is none and when a tick comes.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include <rte_alarm.h>
#include <rte_cycles.h>

#include "test/unit/netvsc_fixture.h"

#define PATIENCE_MS 20000

static struct fixture f;

/* ---- EAL ---- */

static struct {
	rte_eal_alarm_callback cb;
	void *arg;
	bool pending, fails, early; /* a cancel came before what is being set was */
	atomic_bool setting, cancelled, waited;
	unsigned int tries;
	void (*meanwhile)(void); /* while one is being set */
} alarms;

int __wrap_rte_eal_alarm_set(uint64_t us, rte_eal_alarm_callback cb, void *arg);
int __wrap_rte_eal_alarm_cancel(rte_eal_alarm_callback cb, void *arg);
void __real_rte_delay_us_sleep(unsigned int us);
void __wrap_rte_delay_us_sleep(unsigned int us);

int
__wrap_rte_eal_alarm_set(uint64_t us, rte_eal_alarm_callback cb, void *arg)
{
	alarms.tries++;
	if (alarms.fails)
		return -ENOMEM;
	atomic_store(&alarms.setting, true);
	if (alarms.meanwhile != NULL)
		alarms.meanwhile();
	CU_ASSERT_FALSE(alarms.pending);
	alarms.cb = cb;
	alarms.arg = arg;
	alarms.pending = true;
	atomic_store(&alarms.setting, false);
	return 0;
}

int
__wrap_rte_eal_alarm_cancel(rte_eal_alarm_callback cb, void *arg)
{
	int n = alarms.pending;

	alarms.early |= atomic_load(&alarms.setting);
	alarms.pending = false;
	atomic_store(&alarms.cancelled, true);
	return n;
}

void
__wrap_rte_delay_us_sleep(unsigned int us)
{
	atomic_store(&alarms.waited, true);
	__real_rte_delay_us_sleep(us);
}

/* ---- what the application is told ---- */

static unsigned int told[RTE_ETH_EVENT_MAX];

int
rte_eth_dev_callback_process(struct rte_eth_dev *dev, enum rte_eth_event_type event, void *ret)
{
	told[event]++;
	return 0;
}

/* ---- tests ---- */

static void
tick(void)
{
	CU_ASSERT_TRUE_FATAL(alarms.pending);
	alarms.pending = false;
	alarms.cb(alarms.arg);
}

/* A port whose alarm could not be set. */
static bool
begin_missed(void)
{
	memset(&alarms, 0, sizeof(alarms));
	memset(told, 0, sizeof(told));
	if (!fixture_begin(&f, NULL))
		return false;
	f.data.dev_conf.intr_conf.lsc = 1;
	CU_ASSERT_EQUAL(netvsc_events_start(&f.port), 0);
	tick();
	CU_ASSERT_TRUE(alarms.pending);
	alarms.fails = true;
	tick();
	CU_ASSERT_FALSE(alarms.pending);
	alarms.fails = false;
	return true;
}

static void
end(void)
{
	CU_ASSERT_TRUE(netvsc_events_stop(&f.port));
	CU_ASSERT_FALSE(alarms.pending);
	fixture_end(&f);
}

static void
one_operation(void)
{
	struct hpbus_op op;

	CU_ASSERT_EQUAL_FATAL(netvsc_control_begin(&f.port, &op, &netvsc_op_setting), 0);
	netvsc_control_end(&f.port, &op);
}

/* The link goes up: the application hears of it. */
static void
check_ticks(void)
{
	CU_ASSERT_TRUE_FATAL(alarms.pending);
	atomic_store(&f.port.link.up, 1);
	netvsc_event(&f.port, NETVSC_EVENT_LINK);
	tick();
	CU_ASSERT_EQUAL(told[RTE_ETH_EVENT_INTR_LSC], 1);
	CU_ASSERT_EQUAL(f.data.dev_link.link_status, RTE_ETH_LINK_UP);
	CU_ASSERT_TRUE(alarms.pending);
}

static void
test_it_goes_on_with_the_next_operation(void)
{
	if (!begin_missed())
		return;
	one_operation();
	check_ticks();
	end();
}

static void
look_at_link(void)
{
	netvsc_ops.link_update(&f.eth, 0);
}

static void
look_at_stats(void)
{
	struct rte_eth_stats stats = {0};

	CU_ASSERT_EQUAL(netvsc_stats_get(&f.eth, &stats, NULL), 0);
}

static void
look_whether_removed(void)
{
	CU_ASSERT_EQUAL(netvsc_ops.is_removed(&f.eth), 0);
}

static void
test_it_goes_on_when_the_application_looks(void)
{
	static void (*const looks[])(void) = {look_at_link, look_at_stats, look_whether_removed};
	unsigned int i;

	for (i = 0; i < RTE_DIM(looks); i++) {
		if (!begin_missed())
			return;
		looks[i]();
		CU_ASSERT_TRUE(alarms.pending);
		end();
	}
}

static void
test_a_port_that_breaks_is_told_of(void)
{
	if (!begin_missed())
		return;
	netvsc_port_broken(&f.port, "as the test says");
	tick();
	CU_ASSERT_EQUAL(told[RTE_ETH_EVENT_INTR_RESET], 1);
	end();
}

static void
test_a_device_that_goes_away_is_waited_for(void)
{
	struct hpbus_op op;

	if (!begin_missed())
		return;
	f.port.config.recovery_s = 60;
	f.bus.driver_data = &f.port;
	alarms.fails = true;
	CU_ASSERT_TRUE(netvsc_recover_note(&f.port));
	CU_ASSERT_FALSE(alarms.pending);
	alarms.fails = false;
	/* Whatever needs the device is refused from now on. */
	CU_ASSERT_EQUAL(netvsc_control_begin(&f.port, &op, &netvsc_op_setting), -EBUSY);
	CU_ASSERT_TRUE(alarms.pending);
	end();
}

static void
test_a_device_that_goes_for_good_is_told_of(void)
{
	if (!begin_missed())
		return;
	f.data.dev_conf.intr_conf.rmv = 1;
	CU_ASSERT_FALSE(netvsc_recover_note(&f.port));
	tick();
	CU_ASSERT_EQUAL(told[RTE_ETH_EVENT_INTR_RMV], 1);
	end();
}

static void
test_it_is_said_once(void)
{
	char *text = NULL;
	const char *at;
	size_t len = 0;
	FILE *log = open_memstream(&text, &len);
	unsigned int i;

	CU_ASSERT_PTR_NOT_NULL_FATAL(log);
	rte_openlog_stream(log);
	if (begin_missed()) {
		alarms.fails = true;
		for (i = 0; i < 3; i++)
			one_operation();
		CU_ASSERT(alarms.tries >= 6);
		alarms.fails = false;
		one_operation();
		end();
	}
	rte_openlog_stream(NULL);
	fclose(log);
	at = strstr(text, "no alarm for housekeeping: Cannot allocate memory");
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	CU_ASSERT_PTR_NULL(strstr(at + 1, "no alarm"));
	CU_ASSERT_PTR_NOT_NULL(strstr(at, "an alarm for housekeeping again"));
	free(text);
}

static void
test_none_is_set_twice(void)
{
	if (!begin_missed())
		return;
	one_operation();
	one_operation();
	look_at_stats();
	/* __wrap_rte_eal_alarm_set() has looked. */
	CU_ASSERT_TRUE(alarms.pending);
	end();
}

static void
test_a_port_that_is_closed_sets_none(void)
{
	if (!begin_missed())
		return;
	CU_ASSERT_TRUE(netvsc_events_stop(&f.port));
	/* As a close does, and the thread of a recovery that it ends. */
	one_operation();
	netvsc_event(&f.port, NETVSC_EVENT_RECOVERED);
	CU_ASSERT_FALSE(alarms.pending);
	end();
}

static void
test_a_start_without_alarm_leaves_none(void)
{
	memset(&alarms, 0, sizeof(alarms));
	if (!fixture_begin(&f, NULL))
		return;
	alarms.fails = true;
	CU_ASSERT_EQUAL(netvsc_events_start(&f.port), -ENOMEM);
	alarms.fails = false;
	one_operation();
	CU_ASSERT_FALSE(alarms.pending);
	end();
}

static void
test_another_process_sets_none(void)
{
	struct netvsc_process primary = netvsc_process;

	if (!begin_missed())
		return;
	netvsc_process.bit = 2;
	look_at_stats();
	netvsc_port_broken(&f.port, "in another process");
	netvsc_process = primary;
	CU_ASSERT_FALSE(alarms.pending);
	end();
}

/* ---- a close meanwhile ---- */

static pthread_t closer;

static void *
close_thread(void *arg)
{
	*(bool *)arg = netvsc_events_stop(&f.port);
	return NULL;
}

static bool stopped;

/* Until the close has nothing left but to wait, or has not waited. */
static void
close_meanwhile(void)
{
	int64_t until = hpbus_now_ms() + PATIENCE_MS;

	alarms.meanwhile = NULL;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&closer, NULL, close_thread, &stopped), 0);
	while (!atomic_load(&alarms.waited) && !atomic_load(&alarms.cancelled) &&
		hpbus_now_ms() < until)
		sched_yield();
}

static void
test_no_tick_comes_to_a_port_that_was_closed_meanwhile(void)
{
	if (!begin_missed())
		return;
	stopped = false;
	alarms.meanwhile = close_meanwhile;
	atomic_store(&alarms.waited, false);
	atomic_store(&alarms.cancelled, false);
	one_operation();
	CU_ASSERT_EQUAL(pthread_join(closer, NULL), 0);
	CU_ASSERT_TRUE(stopped);
	CU_ASSERT_TRUE(atomic_load(&alarms.cancelled));
	CU_ASSERT_FALSE(alarms.early);
	CU_ASSERT_FALSE(alarms.pending);
	end();
}

static void
test_a_thread_that_ends_while_it_sets_one_keeps_the_port(void)
{
	static const struct hpbus_op_kind kind = {"the test's", 0, 0, true};
	struct hpbus_op op;

	if (!begin_missed())
		return;
	/* As if killed there. */
	atomic_store(&f.port.arming, 1);
	hpbus_op_begin(&op, &kind);
	CU_ASSERT_FALSE(netvsc_events_stop(&f.port));
	hpbus_op_end(&op);
	atomic_store(&f.port.arming, 0);
	end();
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"it goes on with the next operation", test_it_goes_on_with_the_next_operation},
		{"it goes on when the application looks",
			test_it_goes_on_when_the_application_looks},
		{"a port that breaks is told of", test_a_port_that_breaks_is_told_of},
		{"a device that goes away is waited for",
			test_a_device_that_goes_away_is_waited_for},
		{"a device that goes for good is told of",
			test_a_device_that_goes_for_good_is_told_of},
		{"it is said once", test_it_is_said_once},
		{"none is set twice", test_none_is_set_twice},
		{"a port that is closed sets none", test_a_port_that_is_closed_sets_none},
		{"a start without alarm leaves none", test_a_start_without_alarm_leaves_none},
		{"another process sets none", test_another_process_sets_none},
		{"no tick comes to a port that was closed meanwhile",
			test_no_tick_comes_to_a_port_that_was_closed_meanwhile},
		{"a thread that ends while it sets one keeps the port",
			test_a_thread_that_ends_while_it_sets_one_keeps_the_port},
	};

	return UNIT_RUN("netvsc_housekeeping", tests);
}
