/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Housekeeping: an alarm on EAL's interrupt thread that tells the application what the queues
 * noticed (link, removal, a broken host) and keeps the primary channel moving when nobody polls it.
 * It never waits: every lock is tried, what could not be done is done at the next tick.
 */
#include <string.h>

#include <rte_alarm.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/compat.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"

#define TICK_US 20000
/* Who sets an alarm has this long even when the time of the close is over. */
#define ARMING_MS 100

/* Callbacks of a recovery that its own news makes void. */
#define RECOVERY_OVER (NETVSC_EVENT_RECOVERED | NETVSC_EVENT_RESET)
/* What who sleeps must see for himself. */
#define WAKING                                                                                     \
	(NETVSC_EVENT_WAKE | NETVSC_EVENT_GONE | NETVSC_EVENT_RESET | NETVSC_EVENT_RECOVERING)

/* The port whose tick runs on this thread; NULL once a callback of that tick has closed it. */
static __thread struct netvsc_port *ticking;

void
netvsc_port_broken(struct netvsc_port *port, const char *why)
{
	/* A device that vanished leaves zeroed rings behind: that is not the host's fault. */
	if (atomic_load(&netvsc_bus_of(port)->gone))
		return;
	/* A recovery that meets with it goes on by itself, and says what it does. */
	if (atomic_fetch_or(&port->state, NETVSC_STATE_BROKEN) &
		(NETVSC_STATE_BROKEN | NETVSC_STATE_RECOVERING))
		return;
	NETVSC_LOG(ERR, port,
		"%s; the port is stopped until the application resets it "
		"(rte_eth_dev_reset)",
		why);
	netvsc_flight_note(&port->flight, NETVSC_FLIGHT_BROKEN, 0, 0, why);
	netvsc_event(port, NETVSC_EVENT_RESET);
	/* Nothing is sent any more, whichever way; until a reset there is no session to speak of.
	 */
	netvsc_vf_event(port, NETVSC_VF_SESSION_GONE, 0);
}

int
netvsc_link_update(struct rte_eth_dev *eth, int wait)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	bool running = atomic_load(&port->state) == NETVSC_STATE_RUNNING;
	uint64_t mbps = atomic_load(&port->link.speed) / 10000;
	struct rte_eth_link link, before;

	netvsc_events_again(port);
	memset(&link, 0, sizeof(link));
	link.link_duplex = RTE_ETH_LINK_FULL_DUPLEX;
	link.link_autoneg = RTE_ETH_LINK_AUTONEG;
	link.link_status =
		running && atomic_load(&port->link.up) ? RTE_ETH_LINK_UP : RTE_ETH_LINK_DOWN;
	link.link_speed = mbps == 0 ? RTE_ETH_SPEED_NUM_UNKNOWN : (uint32_t)mbps;
	netvsc_compat_link(&link);
	rte_eth_linkstatus_get(eth, &before);
	if (before.link_status != link.link_status || before.link_speed != link.link_speed)
		netvsc_flight_note(&port->flight, NETVSC_FLIGHT_LINK, 0, (int64_t)mbps,
			link.link_status == RTE_ETH_LINK_UP ? "up" : "down");
	/* ethdev compares up and down only, and another speed is news, too (pitfall K3). */
	if (rte_eth_linkstatus_set(eth, &link) == 0)
		return 0;
	return before.link_speed != link.link_speed ? 0 : -1;
}

static void
events_link(struct netvsc_port *port, bool flap)
{
	struct rte_eth_dev *eth = port->eth;
	struct rte_eth_link down;

	if (flap && eth->data->dev_link.link_status == RTE_ETH_LINK_UP) {
		/* The network behind the port is another one now: peers must learn us again. */
		down = eth->data->dev_link;
		down.link_status = RTE_ETH_LINK_DOWN;
		rte_eth_linkstatus_set(eth, &down);
		if (eth->data->dev_conf.intr_conf.lsc)
			rte_eth_dev_callback_process(eth, RTE_ETH_EVENT_INTR_LSC, NULL);
		if (ticking != port)
			return;
	}
	/* Update first, then tell: the callback reads the stored state (pitfall K2). */
	if (netvsc_link_update(eth, 0) == 0 && eth->data->dev_conf.intr_conf.lsc)
		rte_eth_dev_callback_process(eth, RTE_ETH_EVENT_INTR_LSC, NULL);
}

static void
events_keep_moving(struct netvsc_port *port)
{
	unsigned int i;

	for (i = 0; i < port->session.n_channels; i++) {
		struct netvsc_channel *ch = port->channels[i];

		if (netvsc_channel_is_polled(ch) || !netvsc_trylock(&ch->rx_lock))
			continue;
		/*
		 * Another channel carries nothing but frames, and those wait for their queue, if
		 * that is not stopped.
		 */
		if (netvsc_channel_is_open(ch) && (i == 0 || !netvsc_channel_receives(ch)))
			netvsc_rx_scan(ch);
		else if (netvsc_channel_is_open(ch))
			netvsc_rx_flush(ch);
		rte_spinlock_unlock(&ch->rx_lock);
	}
}

/* What the recovery of the port begins with. @return events that are left to tell */
static uint32_t
events_recover(struct netvsc_port *port, uint32_t events)
{
	if (!(events & NETVSC_EVENT_RECOVERING))
		return events;
	if (netvsc_recover_begin(port))
		return events & ~(uint32_t)RECOVERY_OVER;
	/* The end of the one before is news first; or nothing is there to begin with. */
	netvsc_event(port, NETVSC_EVENT_RECOVERING | NETVSC_EVENT_LINK);
	return events & ~(uint32_t)NETVSC_EVENT_RECOVERING;
}

/* @return false: a callback has closed the port */
static bool
events_call(struct netvsc_port *port, bool happened, enum rte_eth_event_type type)
{
	if (happened)
		rte_eth_dev_callback_process(port->eth, type, NULL);
	return ticking == port;
}

/* In this order; any callback may close the port: behind it the port may be freed memory. */
static bool
events_tell(struct netvsc_port *port, uint32_t events)
{
	bool rmv = port->eth->data->dev_conf.intr_conf.rmv != 0;

	if (!events_call(port, events & NETVSC_EVENT_RECOVERING, RTE_ETH_EVENT_ERR_RECOVERING))
		return false;
	if (events & (NETVSC_EVENT_LINK | NETVSC_EVENT_FLAP | NETVSC_EVENT_GONE))
		events_link(port, (events & NETVSC_EVENT_FLAP) != 0);
	if (ticking != port)
		return false;
	if (!events_call(port, events & NETVSC_EVENT_RECOVERED, RTE_ETH_EVENT_RECOVERY_SUCCESS) ||
		!events_call(port, events & NETVSC_EVENT_FAILED, RTE_ETH_EVENT_RECOVERY_FAILED))
		return false;
	if (events & NETVSC_EVENT_GONE) {
		/* EAL has heard of a device that was not waited for from the bus. */
		if (events & NETVSC_EVENT_FAILED)
			hpbus_device_lost(port->bus);
		return ticking == port && events_call(port, rmv, RTE_ETH_EVENT_INTR_RMV);
	}
	return events_call(port, events & NETVSC_EVENT_RESET, RTE_ETH_EVENT_INTR_RESET);
}

static void events_tick(void *arg);

/*
 * One alarm brings one tick, so that one which cannot be had (there is no memory for it) would be
 * the end of all: what happens then is told when somebody comes by, netvsc_events_again().
 */
static void
events_arm(struct netvsc_port *port)
{
	uint32_t set = NETVSC_ALARM_SET;
	int rc = rte_eal_alarm_set(TICK_US, events_tick, port);

	if (rc == 0) {
		if (atomic_load(&port->alarm_said) && atomic_exchange(&port->alarm_said, false))
			NETVSC_LOG(NOTICE, port, "there is an alarm for housekeeping again");
	} else if (atomic_compare_exchange_strong(&port->alarm, &set, NETVSC_ALARM_MISSED) &&
		   !atomic_exchange(&port->alarm_said, true)) {
		NETVSC_LOG(ERR, port,
			"no alarm for housekeeping: %s; link changes, removal and recovery wait for "
			"the application's next call (statistics will do); is memory short?",
			strerror(-rc));
	}
}

static void
events_tick(void *arg)
{
	struct netvsc_port *port = arg;
	uint32_t events;

	if (atomic_load(&port->alarm) == NETVSC_ALARM_OFF)
		return;
	/* A control operation in progress drives the channel itself. */
	if (pthread_mutex_trylock(&port->control_lock) == 0) {
		if (port->session.attached && !(atomic_load(&port->state) & NETVSC_STATE_NO_HOST))
			events_keep_moving(port);
		if (atomic_load(&port->state) == NETVSC_STATE_RUNNING)
			netvsc_host_stats_tick(port);
		netvsc_vf_tick(port);
		hpbus_signal_again(port->bus);
		pthread_mutex_unlock(&port->control_lock);
	}
	/* A secondary may have heard something of VFs. */
	if (port->vf != NULL && hpbus_has_peers())
		netvsc_vf_wake(port->vf);
	events = atomic_exchange(&port->events, 0);
	if ((events & NETVSC_EVENT_VF) && port->vf != NULL)
		netvsc_vf_wake(port->vf);
	if (events & WAKING)
		netvsc_intr_wake(port);
	events = events_recover(port, events);
	ticking = port;
	if (!events_tell(port, events))
		return;
	ticking = NULL;
	events_arm(port);
}

void
netvsc_events_again(struct netvsc_port *port)
{
	uint32_t missed = NETVSC_ALARM_MISSED;

	/* EAL's alarms in another process are not the port's. */
	if (likely(atomic_load(&port->alarm) != NETVSC_ALARM_MISSED) || !netvsc_is_primary())
		return;
	/* Before the look: a stop that is not seen there sees this. */
	atomic_fetch_add(&port->arming, 1);
	if (atomic_compare_exchange_strong(&port->alarm, &missed, NETVSC_ALARM_SET))
		events_arm(port);
	atomic_fetch_sub(&port->arming, 1);
}

void
netvsc_event(struct netvsc_port *port, uint32_t events)
{
	atomic_fetch_or(&port->events, events);
	netvsc_events_again(port);
}

int
netvsc_events_start(struct netvsc_port *port)
{
	int rc;

	atomic_store(&port->alarm, NETVSC_ALARM_SET);
	rc = rte_eal_alarm_set(TICK_US, events_tick, port);
	if (rc != 0)
		netvsc_events_stop(port);
	return rc;
}

bool
netvsc_events_stop(struct netvsc_port *port)
{
	int64_t until = RTE_MAX(hpbus_op_talk_until(), hpbus_now_ms() + ARMING_MS);
	bool quiet;

	/* No lock is held: cancelling waits for a running tick (pitfall V7), unless we are in it.
	 */
	if (ticking == port)
		ticking = NULL;
	atomic_store(&port->alarm, NETVSC_ALARM_OFF);
	/* What is set behind the cancel would be a tick of a port that is gone. */
	while (!(quiet = atomic_load(&port->arming) == 0) && hpbus_now_ms() < until)
		rte_delay_us_sleep(50);
	rte_eal_alarm_cancel(events_tick, port);
	return quiet;
}
