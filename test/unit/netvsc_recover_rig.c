/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/unit/netvsc_recover_rig.h"

#include <errno.h>
#include <pthread.h>

#define FILTER_ (RNDIS_FILTER_DIRECTED | RNDIS_FILTER_BROADCAST)

/* ---- what the application is told ---- */

_Atomic unsigned int recover_n_told, recover_told_event[16];
enum rte_eth_event_type recover_closes_at = RTE_ETH_EVENT_MAX;
_Atomic int recover_closed;

int
rte_eth_dev_callback_process(struct rte_eth_dev *dev, enum rte_eth_event_type event, void *ret)
{
	unsigned int n = atomic_load(&recover_n_told);

	if (n < RTE_DIM(recover_told_event))
		atomic_store(&recover_told_event[n], event);
	atomic_store(&recover_n_told, n + 1);
	if (event == recover_closes_at)
		atomic_store(&recover_closed, netvsc_ops.dev_close(dev));
	return 0;
}

bool
recover_told(enum rte_eth_event_type event)
{
	unsigned int i, n = RTE_MIN(atomic_load(&recover_n_told),
				(unsigned int)RTE_DIM(recover_told_event));

	for (i = 0; i < n; i++)
		if (atomic_load(&recover_told_event[i]) == event)
			return true;
	return false;
}

void
recover_check_told(const enum rte_eth_event_type *events, unsigned int n)
{
	unsigned int i;

	CU_ASSERT_EQUAL(atomic_load(&recover_n_told), n);
	for (i = 0; i < n; i++)
		CU_ASSERT_EQUAL(atomic_load(&recover_told_event[i]), events[i]);
}

/* ---- the device ---- */

_Atomic int recover_open_rc;
_Atomic unsigned int recover_tries;

static int
on_open(struct fixture *fixture)
{
	atomic_fetch_add(&recover_tries, 1);
	return atomic_load(&recover_open_rc);
}

int
recover_on_open_there(struct fixture *fixture)
{
	atomic_store(&f.bus.gone, false);
	return on_open(fixture);
}

void
recover_go_away(void)
{
	atomic_store(&f.bus.gone, true);
	if (!atomic_exchange(&f.bus.told, true))
		netvsc_recover_note(&f.port);
}

/* The host does one thing at a time: the alarm, the recovery's thread and the test all ask it. */
static pthread_mutex_t host_lock = PTHREAD_MUTEX_INITIALIZER;

/* The host vanishes at a rung of the ladder (once), and the bus hears of it. */
static void
on_signal_again(struct fixture *fixture)
{
	if (pthread_mutex_trylock(&host_lock) != 0)
		return; /* who waits asks again */
	ladder_turn();
	if (atomic_load(&f.bus.gone) && !atomic_load(&f.bus.told)) {
		host.deed = ANSWER;
		recover_go_away();
	}
	pthread_mutex_unlock(&host_lock);
}

static void
on_signal(struct fixture *fixture, unsigned int ch)
{
	if (ch == 0)
		on_signal_again(fixture);
}

bool
recover_begin_as(struct fixture_conf conf, uint32_t recovery_s)
{
	atomic_store(&recover_n_told, 0);
	atomic_store(&recover_closed, 1);
	atomic_store(&recover_open_rc, -ENOENT);
	atomic_store(&recover_tries, 0);
	recover_closes_at = RTE_ETH_EVENT_MAX;
	if (!ladder_begin_as(conf))
		return false;
	f.port.config.recovery_s = recovery_s;
	f.bus.driver_data = &f.port;
	f.on_open = on_open;
	f.on_signal = on_signal;
	f.on_signal_again = on_signal_again;
	f.port.recovery = (struct netvsc_recovery){0};
	f.port.limits.max_queues = CHANNELS;
	f.data.dev_conf.intr_conf.rmv = 1;
	CU_ASSERT_EQUAL(netvsc_events_start(&f.port), 0);
	return true;
}

bool
recover_start_as(struct fixture_conf conf, uint32_t recovery_s)
{
	if (!recover_begin_as(conf, recovery_s))
		return false;
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, CHANNELS, 1500), 0);
	netvsc_rss_default(&f.port);
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), 0);
	f.data.dev_started = 1;
	return true;
}

bool
recover_start(void)
{
	return recover_start_as((struct fixture_conf){0}, 60);
}

void
recover_stop(void)
{
	CU_ASSERT_EQUAL(netvsc_ops.dev_stop(&f.eth), 0);
	f.data.dev_started = 0;
}

void
recover_finish(void)
{
	struct hpbus_op op;

	if (f.data.dev_started)
		recover_stop();
	netvsc_events_stop(&f.port);
	hpbus_op_begin(&op, &netvsc_op_close);
	CU_ASSERT_EQUAL(netvsc_recover_end(&f.port), 0);
	hpbus_op_end(&op);
	f.bus.driver_data = NULL;
	ladder_end();
}

void
recover_check_running(void)
{
	unsigned int i;

	CU_ASSERT_EQUAL(atomic_load(&f.port.state), NETVSC_STATE_RUNNING);
	CU_ASSERT_EQUAL(f.port.session.n_channels, CHANNELS);
	CU_ASSERT_EQUAL(host.filter, FILTER_);
	for (i = 0; i < CHANNELS; i++)
		CU_ASSERT_EQUAL(fixture_channel(&f, i)->state, NETVSC_CHANNEL_RUNNING);
	CU_ASSERT_FALSE(f.bus.returning);
}

void
recover_check_noted(int64_t value)
{
	struct netvsc_flight_event event = {.value = 1};

	CU_ASSERT_TRUE(netvsc_flight_last(&f.port.flight, NETVSC_FLIGHT_RECOVERY, &event));
	CU_ASSERT_EQUAL(event.value, value);
}

void
recover_check_frames(uint32_t len)
{
	pthread_mutex_lock(&host_lock);
	ladder_check_frames(len);
	pthread_mutex_unlock(&host_lock);
}
