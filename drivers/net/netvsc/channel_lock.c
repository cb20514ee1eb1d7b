/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How the control side takes locks that bursts and others hold for some microseconds. Their holder
 * may never go on: a thread that was killed, or the one that this runs on, interrupted by the
 * handler of a signal that closes the port. Then the lock is not had, what it covers stays as it
 * is, and the operation goes on without.
 */
#include <rte_cycles.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/port.h"

struct netvsc_process netvsc_process = {NETVSC_PRIMARY, 1};

/* A holder has this long even when the time of the operation is over: it may not be scheduled. */
#define LEAST_MS 100
/*
 * A send burst waits longer than others: most applications drop what it does not take, and there is
 * room. It is as long as a holder is away for whom another thread was woken for a moment; one whose
 * turn is over is gone for milliseconds, and no lcore waits for that.
 */
#define SEND_US 200

bool
netvsc_lock_in_time(rte_spinlock_t *lock)
{
	int64_t until = RTE_MAX(hpbus_op_talk_until(), hpbus_now_ms() + LEAST_MS);

	while (!netvsc_channel_lock_soon(lock)) {
		if (hpbus_now_ms() >= until)
			return false;
		rte_delay_us_sleep(50);
	}
	return true;
}

bool
netvsc_channel_lock_to_send(rte_spinlock_t *lock)
{
	uint64_t until = rte_get_tsc_cycles() + rte_get_tsc_hz() * SEND_US / 1000000;
	bool over;

	/* The time first: whoever was away himself looks once more. */
	do {
		over = rte_get_tsc_cycles() >= until;
		if (netvsc_trylock(lock))
			return true;
		rte_pause();
	} while (!over);
	return false;
}

bool
netvsc_channel_lock(struct netvsc_channel *ch, rte_spinlock_t *lock)
{
	if (ch->stuck)
		return false;
	if (netvsc_lock_in_time(lock))
		return true;
	netvsc_channel_stuck(ch, "a burst");
	return false;
}

void
netvsc_channel_stuck(struct netvsc_channel *ch, const char *where)
{
	struct netvsc_port *port = ch->port;

	if (ch->stuck)
		return;
	ch->stuck = true;
	NETVSC_LOG(ERR, port,
		"channel %u: a thread inside of %s does not go on (was it killed, or interrupted by "
		"this call?); what it may touch stays until the process ends, or until it goes on and "
		"the application resets the port",
		ch->index, where);
	if (atomic_fetch_or(&port->state, NETVSC_STATE_BROKEN) & NETVSC_STATE_BROKEN)
		return;
	/* As with every port that breaks: nothing is sent any more, whichever way. */
	netvsc_vf_event(port, NETVSC_VF_SESSION_GONE, 0);
	/* Nothing can be done about it within an operation that takes the port down. */
	if (!hpbus_op_down())
		netvsc_event(port, NETVSC_EVENT_RESET);
}

/* Has whoever was inside come out? */
static bool
channel_is_free(struct netvsc_channel *ch)
{
	if (!ch->stuck)
		return true;
	if (netvsc_vf_is_inside(ch->port, ch->index) || !netvsc_trylock(&ch->rx_lock))
		return false;
	if (netvsc_trylock(&ch->tx_lock)) {
		ch->stuck = false;
		rte_spinlock_unlock(&ch->tx_lock);
	}
	rte_spinlock_unlock(&ch->rx_lock);
	return !ch->stuck;
}

bool
netvsc_channels_free(struct netvsc_port *port)
{
	unsigned int i;

	for (i = 0; i < RTE_DIM(port->channels); i++)
		if (port->channels[i] != NULL && !channel_is_free(port->channels[i]))
			return false;
	return true;
}
