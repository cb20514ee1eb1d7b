/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What becomes of a port whose device went away (recover.h). What was in flight is over and counted
 * as sent or as an error, like with any session that ends; what the application has configured is
 * brought onto the session with the device that came back, which may be another host with other
 * limits. Where it does not fit there, the recovery fails, and the port waits for the application.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>

#include "drivers/net/netvsc/attach.h"
#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"

/* How often a device is looked for; how often one is tried that is there and does not do. */
#define LOOK_MS	 50
#define RETRY_MS 1000
/* What goes away so soon after it came back does so for a reason that is still there. */
#define FLAPS_MS      100
#define FLAP_PAUSE_MS 250
/* Until the last of somebody else's operations is over (control.c). */
#define SLICE_US 2000

/* Inside of a try: to connect, to learn what there is and to share memory. */
static const struct hpbus_op_kind op_reopen = {"connecting again", 2300, 300, false};

/* The same: whoever is inside of a burst and does not come out keeps us no longer. */
static const struct hpbus_op_kind op_leave = {"leaving what is gone", 2300, 300, true};

/* ---- whoever hears of it ---- */

/* Once for each time that it goes away: a recovery that is under way sees for itself. */
static void
recover_note(struct netvsc_port *port)
{
	if (atomic_fetch_or(&port->state, NETVSC_STATE_RECOVERING) & NETVSC_STATE_RECOVERING)
		return;
	atomic_store(&port->recovery.since, hpbus_now_ms());
	netvsc_flight_note(&port->flight, NETVSC_FLIGHT_STATE, 0, 0, "away");
	netvsc_event(port, NETVSC_EVENT_RECOVERING | NETVSC_EVENT_LINK);
}

static void
recover_give_up(struct netvsc_port *port, uint32_t events)
{
	atomic_fetch_or(&port->state, NETVSC_STATE_GONE);
	netvsc_flight_note(&port->flight, NETVSC_FLIGHT_STATE, 0, 0, "gone");
	atomic_fetch_and(&port->state, ~NETVSC_STATE_RECOVERING);
	netvsc_event(port, events | NETVSC_EVENT_GONE);
}

bool
netvsc_recover_note(struct netvsc_port *port)
{
	if (port->config.recovery_s == 0) {
		recover_give_up(port, 0);
		return false;
	}
	recover_note(port);
	return true;
}

/* ---- one try; control_lock is held ---- */

/* Nothing is left of the device that went away. @return 0; -EBUSY: somebody is inside */
static int
recover_down(struct netvsc_port *port)
{
	struct hpbus_op op;
	int rc;

	if (port->bus_closed)
		return 0;
	port->bus->returning = true;
	/* Also when it is there, but did not do. */
	atomic_store(&port->bus->gone, true);
	atomic_fetch_and(&port->state, ~NETVSC_STATE_RUNNING);
	hpbus_op_begin(&op, &op_leave);
	/* A VF is the session's: another host tells of its own. */
	netvsc_vf_leave(port, false);
	rc = netvsc_session_lost(port);
	hpbus_op_end(&op);
	port->bus_closed = rc == 0;
	if (rc != 0 && atomic_load(&port->monitored) && !port->recovery.said) {
		port->recovery.said = true;
		NETVSC_LOG(WARNING, port,
			"lcores wait for words in the rings (rte_eth_get_monitor_addr), which go "
			"with the device: the port recovers when it has been stopped");
	}
	return rc;
}

static int
recover_open(struct netvsc_port *port)
{
	struct hpbus_op op;
	int rc;

	hpbus_op_begin(&op, &op_reopen);
	rc = port->bus->backend->open(port->bus);
	port->bus_closed = rc != 0;
	if (rc == 0)
		rc = hpbus_dma_again(port->bus);
	hpbus_op_end(&op);
	if (rc != 0)
		return rc;
	port->control_usable =
		hpbus_dma_usable(port->bus, port->control_zone->addr, port->control_zone->len);
	return 0;
}

/* The port keeps its address, also when the device has another one now, if the host allows it. */
static int
recover_mac(struct netvsc_port *port)
{
	struct rte_ether_addr mac;
	int rc;

	/* Who closes the port may have given up waiting: it is ethdev's, and gone then. */
	if (hpbus_op_given_up())
		return -ECANCELED;
	mac = port->data->mac_addrs[0];
	rc = netvsc_set_mac(port, &mac);
	if (rc != -EIO && rc != -ENOTSUP)
		return rc;
	rc = netvsc_own_mac(port);
	if (rc == 0)
		NETVSC_LOG(WARNING, port,
			"the device came back with MAC address " RTE_ETHER_ADDR_PRT_FMT
			", and the host does not take the one before",
			RTE_ETHER_ADDR_BYTES(&port->session.mac));
	return rc;
}

/* As started as it was, within an operation. */
static int
recover_up(struct netvsc_port *port)
{
	const struct rte_eth_dev_data *data = port->data;
	int rc;

	if (hpbus_op_given_up())
		return -ECANCELED;
	port->section_queues = NETVSC_UNDIVIDED;
	/* What a port that is stopped wants, it says when it is configured or started. */
	if (!port->started) {
		rc = netvsc_attach(port, 1, NETVSC_DEFAULT_MTU);
		return rc == 0 ? recover_mac(port) : rc;
	}
	rc = netvsc_session_want(port, RTE_MAX(data->nb_rx_queues, data->nb_tx_queues), data->mtu);
	if (rc == 0)
		rc = recover_mac(port);
	if (rc == 0)
		rc = hpbus_intr_open(port->bus, atomic_load(&port->n_intr));
	if (rc == 0)
		rc = netvsc_port_up(port);
	return rc;
}

/*
 * @return 0; -ENOENT: the device is not there; another negative errno: what became of it. The
 *         application's configuration does not fit there if it is one of recover_is_final()
 */
static int
recover_try(struct netvsc_port *port)
{
	struct hpbus_op op;
	int rc;

	hpbus_op_begin(&op, &netvsc_op_recover);
	hpbus_op_end_for(&op, &port->recovery.hurry);
	rc = recover_down(port);
	if (rc == 0)
		rc = recover_open(port);
	if (rc == 0)
		rc = recover_up(port);
	hpbus_op_end(&op);
	return rc;
}

/* Another try would find the same; one to open the device may not. */
static bool
recover_is_final(const struct netvsc_port *port, int rc)
{
	return !port->bus_closed && !atomic_load(&port->bus->gone) &&
	       (rc == -ENOSPC || rc == -EINVAL || rc == -ENOTSUP);
}

/* Away again before the recovery was over: nobody has noted it, or whoever does is next. */
static void
recover_note_again(struct netvsc_port *port)
{
	if (atomic_load(&port->bus->gone) && atomic_load(&port->bus->told))
		recover_note(port);
}

static void
recover_succeeded(struct netvsc_port *port)
{
	struct netvsc_recovery *r = &port->recovery;
	uint32_t ms = (uint32_t)(hpbus_now_ms() - atomic_load(&r->since));
	char text[NETVSC_FLIGHT_TEXT];

	snprintf(text, sizeof(text), "done after %u ms", ms);
	netvsc_flight_note(&port->flight, NETVSC_FLIGHT_RECOVERY, 0, 0, text);
	port->bus->returning = false;
	r->back = hpbus_now_ms();
	r->said = false;
	atomic_store(&r->last_ms, ms);
	atomic_fetch_add(&r->done, 1);
	atomic_fetch_and(&port->state, ~NETVSC_STATE_RECOVERING);
	if (port->started) {
		netvsc_queues_run(port);
		netvsc_vf_join(port);
	}
	/* Not before it is true: whoever reads it may start the port. */
	NETVSC_LOG(NOTICE, port, "the device is back; the port has recovered after %u ms", ms);
	/* What another one did not take with it (an event of a session that failed) is over. */
	atomic_fetch_and(&port->events, ~NETVSC_EVENT_RESET);
	netvsc_event(port, NETVSC_EVENT_RECOVERED | NETVSC_EVENT_LINK | NETVSC_EVENT_WAKE);
	recover_note_again(port);
}

static void
recover_note_failure(struct netvsc_port *port, int rc, const char *text)
{
	netvsc_flight_note(&port->flight, NETVSC_FLIGHT_RECOVERY, 0, rc, text);
	atomic_fetch_add(&port->recovery.failed, 1);
}

/* The device is there, and the port as it is configured cannot be had from it. */
static void
recover_failed(struct netvsc_port *port, int rc)
{
	NETVSC_LOG(ERR, port,
		"the device is back, but what is configured cannot be had there any more (%s); stop "
		"the port, configure and start it anew, or close it",
		strerror(-rc));
	recover_note_failure(port, rc, "does not fit");
	port->bus->returning = false;
	atomic_fetch_or(&port->state, NETVSC_STATE_BROKEN);
	atomic_fetch_and(&port->state, ~NETVSC_STATE_RECOVERING);
	netvsc_event(port, NETVSC_EVENT_FAILED);
	recover_note_again(port);
}

static void
recover_missed(struct netvsc_port *port)
{
	recover_note_failure(port, -ENODEV, "the device did not come back");
	NETVSC_LOG(ERR, port,
		"the device did not come back within %u s (devarg recovery_s) and is gone; close "
		"the port and detach it",
		port->config.recovery_s);
	recover_down(port);
	port->bus->returning = false;
	recover_give_up(port, NETVSC_EVENT_FAILED);
}

/* ---- the thread ---- */

/* The lock, as soon as nobody else has it. @return false: nothing is to be done any more */
static bool
recover_lock(struct netvsc_port *port)
{
	while (!atomic_load(&port->recovery.stop)) {
		/* Who takes the port down goes first. */
		if (atomic_load(&port->recovery.hurry) == 0 &&
			pthread_mutex_trylock(&port->control_lock) == 0)
			return true;
		rte_delay_us_sleep(SLICE_US);
	}
	return false;
}

/* @return whether the recovery is over */
static bool
recover_step(struct netvsc_port *port, bool last, bool *there)
{
	int rc;

	if (!recover_lock(port))
		return true;
	rc = recover_try(port);
	/* Not there, or away again. */
	*there = rc != -ENOENT && rc != -ECANCELED &&
		 (port->bus_closed || !atomic_load(&port->bus->gone));
	if (rc == 0)
		recover_succeeded(port);
	else if (recover_is_final(port, rc))
		recover_failed(port, rc);
	else if (last)
		recover_missed(port);
	else if (*there)
		NETVSC_LOG(NOTICE, port, "not recovered yet (%s), trying again", strerror(-rc));
	pthread_mutex_unlock(&port->control_lock);
	return rc == 0 || last || !netvsc_port_recovers(port);
}

static void
recover_sleep(const struct netvsc_port *port, unsigned int ms)
{
	int64_t until = hpbus_now_ms() + ms;

	while (hpbus_now_ms() < until && !atomic_load(&port->recovery.stop))
		rte_delay_us_sleep(SLICE_US);
}

static netvsc_thread_result
recover_thread(void *arg)
{
	struct netvsc_port *port = arg;
	int64_t until =
		atomic_load(&port->recovery.since) + (int64_t)port->config.recovery_s * 1000;
	/* One that comes only to go again must not keep us busy. */
	bool flaps = atomic_load(&port->recovery.since) - port->recovery.back < FLAPS_MS;
	bool there = false, last = false;

	if (flaps)
		recover_sleep(port, FLAP_PAUSE_MS);
	while (!recover_step(port, last, &there)) {
		recover_sleep(port, there ? RETRY_MS : LOOK_MS);
		last = hpbus_now_ms() >= until;
	}
	/* Release: pairs with the acquire of who joins; the port may go then. */
	atomic_store_explicit(&port->recovery.ended, true, memory_order_release);
	return 0;
}

/* ---- the alarm, and close ---- */

/* @return whether there is no thread any more */
static bool
recover_join(struct netvsc_recovery *r)
{
	if (!r->begun)
		return true;
	if (!atomic_load_explicit(&r->ended, memory_order_acquire))
		return false;
	netvsc_thread_join(r->thread);
	r->begun = false;
	return true;
}

bool
netvsc_recover_begin(struct netvsc_port *port)
{
	struct netvsc_recovery *r = &port->recovery;
	int rc;

	if (!recover_join(r))
		return false;
	atomic_store(&r->ended, false);
	rc = netvsc_thread_begin(&r->thread, "netvsc-recover", recover_thread, port);
	r->begun = rc == 0;
	if (rc == 0)
		return true;
	/* Memory or threads may have run out for a moment only. */
	if (hpbus_now_ms() < atomic_load(&r->since) + (int64_t)port->config.recovery_s * 1000)
		return false;
	NETVSC_LOG(ERR, port, "no thread to recover the port with (%s): the device is gone",
		strerror(-rc));
	recover_give_up(port, NETVSC_EVENT_FAILED);
	return true;
}

int
netvsc_recover_end(struct netvsc_port *port)
{
	struct netvsc_recovery *r = &port->recovery;
	int64_t until = hpbus_op_talk_until();

	atomic_store(&r->stop, true);
	atomic_fetch_add(&r->hurry, 1);
	while (!recover_join(r)) {
		if (hpbus_now_ms() >= until) {
			NETVSC_LOG(ERR, port, "the thread that recovers the port does not end");
			return -EBUSY;
		}
		rte_delay_us_sleep(SLICE_US);
	}
	port->bus->returning = false;
	return 0;
}
