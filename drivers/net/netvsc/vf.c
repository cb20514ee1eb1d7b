/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The VF of a port as others see it: events, the quick steps of the machine, which whoever has the
 * lock does, and how it stands. Operations of the application are vf_operations.c, the thread is
 * vf_thread.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_malloc.h>

#include "drivers/net/netvsc/control.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/vf.h"
#include "drivers/net/netvsc/vf_dev.h"

/* How long a thread that ends is waited for, and then one that only has to let go of the port. */
#define END_MS	  1500
#define LET_GO_MS 500
/*
 * The control thread is waited for so long by who asks it. It may not be scheduled for a while;
 * what does not return is waited for once.
 */
#define ASK_MS 1000
/* The lock is waited for that long even when the time of the operation is over. */
#define LOCK_MS 100

/* ---- the lock ---- */

/*
 * Whoever has it has it for microseconds, unless this thread has it itself: in the handler of a
 * signal that closes the port. Then it is not had.
 */
bool
netvsc_vf_lock_soon(struct netvsc_vf *vf)
{
	int64_t until = RTE_MAX(hpbus_op_talk_until(), hpbus_now_ms() + LOCK_MS);

	while (pthread_mutex_trylock(&vf->lock) != 0) {
		if (hpbus_now_ms() >= until)
			return false;
		rte_delay_us_sleep(50);
	}
	return true;
}

/* ---- events ---- */

/* The descriptor is nobody else's: a write never blocks. */
void
netvsc_vf_wake(struct netvsc_vf *vf)
{
	const uint64_t one = 1;
	ssize_t n;

	/* The descriptor is the primary's, whose alarm comes by (events.c). */
	if (!netvsc_is_primary())
		return;
	n = write(vf->wake, &one, sizeof(one));
	(void)n; /* a counter that is full wakes, too */
}

/*
 * What must not go on does not wait for the thread, which does the rest. A path is looked at behind
 * the mark (the fence pairs with the one in vf_on()), and cut only while nobody has taken the mark:
 * who has, knows of it, and may have switched on again since.
 */
static void
vf_cut(struct netvsc_port *port, struct netvsc_vf_queue *queues, bool (*forbids)(uint64_t facts))
{
	uint32_t path;

	if (!forbids(atomic_load(&port->vf_shared.facts)))
		return;
	atomic_thread_fence(memory_order_seq_cst);
	path = netvsc_vf_path(queues);
	if (path != 0 && forbids(atomic_load(&port->vf_shared.facts)))
		netvsc_vf_path_cut(queues, path);
}

void
netvsc_vf_event(struct netvsc_port *port, enum netvsc_vf_event event, uint32_t value)
{
	_Atomic uint64_t *facts = &port->vf_shared.facts;
	uint64_t before, after;

	if (!port->vf_shared.asked)
		return;
	before = atomic_load(facts);
	do
		after = netvsc_vf_facts_add(before, event, value);
	while (!atomic_compare_exchange_weak(facts, &before, after));
	vf_cut(port, port->vf_tx, netvsc_vf_facts_cut_tx);
	vf_cut(port, port->vf_rx, netvsc_vf_facts_cut_rx);
	/* The thread is the primary's; a burst of another process leaves a note for its alarm. */
	if (rte_eal_process_type() == RTE_PROC_PRIMARY)
		netvsc_vf_wake(port->vf);
	else
		netvsc_event(port, NETVSC_EVENT_VF);
}

void
netvsc_vf_changed(struct netvsc_port *port, uint32_t what)
{
	if (port->vf == NULL)
		return;
	atomic_fetch_or(&port->vf->replay, what);
	netvsc_vf_wake(port->vf);
}

void
netvsc_vf_unanswered(struct netvsc_port *port)
{
	uint64_t facts = atomic_load(&port->vf_shared.facts);

	while (!atomic_compare_exchange_weak(
		&port->vf_shared.facts, &facts, netvsc_vf_facts_unanswered(facts)))
		;
}

/* ---- steps ---- */

/* For who does not have the lock. */
static void
vf_tell_host(struct netvsc_vf *vf)
{
	atomic_store(&vf->sends, vf->machine.host != NETVSC_VF_HOST_SYNTHETIC &&
					 vf->machine.host != NETVSC_VF_HOST_LEFT);
}

void
netvsc_vf_take(struct netvsc_vf *vf)
{
	uint64_t facts = vf->last_facts;

	if (vf->port != NULL) {
		_Atomic uint64_t *now = &vf->port->vf_shared.facts;

		facts = atomic_load(now);
		while (!atomic_compare_exchange_weak(now, &facts, netvsc_vf_facts_rest(facts)))
			;
	}
	netvsc_vf_machine_take(&vf->machine, facts, hpbus_now_ms());
	vf_tell_host(vf);
}

/*
 * What forbids it may be told since the facts were taken. Its teller has found the path off, or
 * cuts it; or it is found here, and the machine takes it next.
 */
static void
vf_on(struct netvsc_vf *vf, struct netvsc_vf_queue *queues, bool (*forbids)(uint64_t facts))
{
	netvsc_vf_path_on(queues, vf->machine.vf);
	/* Pairs with the one in vf_cut(). */
	atomic_thread_fence(memory_order_seq_cst);
	if (forbids(atomic_load(&vf->port->vf_shared.facts)))
		netvsc_vf_path_off(queues);
}

static int
vf_quick(struct netvsc_vf *vf, enum netvsc_vf_step step)
{
	struct netvsc_port *port = vf->port;

	switch (step) {
	case NETVSC_VF_STEP_TX_OFF:
		netvsc_vf_path_off(port->vf_tx);
		return 0;
	case NETVSC_VF_STEP_RX_OFF:
		netvsc_vf_path_off(port->vf_rx);
		return 0;
	case NETVSC_VF_STEP_TX_QUIET:
		return netvsc_vf_path_is_quiet(port->vf_tx) ? 0 : -EAGAIN;
	case NETVSC_VF_STEP_RX_QUIET:
		return netvsc_vf_path_is_quiet(port->vf_rx) ? 0 : -EAGAIN;
	case NETVSC_VF_STEP_RX:
		vf_on(vf, port->vf_rx, netvsc_vf_facts_cut_rx);
		return 0;
	case NETVSC_VF_STEP_TX:
		netvsc_vf_segments_set(port->vf_tx, vf->setup.segs, vf->setup.mtu_segs);
		vf_on(vf, port->vf_tx, netvsc_vf_facts_cut_tx);
		return 0;
	case NETVSC_VF_STEP_ASK:
	case NETVSC_VF_STEP_BACK:
		return netvsc_nvsp_switch(port, step == NETVSC_VF_STEP_ASK);
	default:
		return 0;
	}
}

void
netvsc_vf_done(struct netvsc_vf *vf, enum netvsc_vf_step step, int rc)
{
	/* Of the rest, messages tell, or nobody needs to know. */
	static const char *const notes[] = {
		[NETVSC_VF_STEP_OWN] = "taken",
		[NETVSC_VF_STEP_START] = "started",
		[NETVSC_VF_STEP_STOP] = "stopped",
		[NETVSC_VF_STEP_DISOWN] = "given back",
	};
	struct netvsc_port *port = vf->port;

	netvsc_vf_machine_done(&vf->machine, step, rc, hpbus_now_ms());
	vf_tell_host(vf);
	if (port == NULL || rc == -EAGAIN)
		return;
	if (step == NETVSC_VF_STEP_TX || step == NETVSC_VF_STEP_TX_OFF)
		netvsc_flight_note(
			&port->flight, NETVSC_FLIGHT_PATH, 0, step == NETVSC_VF_STEP_TX, NULL);
	else if (step < RTE_DIM(notes) && notes[step] != NULL)
		netvsc_flight_note(&port->flight, NETVSC_FLIGHT_VF, 0, rc, notes[step]);
}

int
netvsc_vf_do_quick(struct netvsc_vf *vf, enum netvsc_vf_step step)
{
	/* Closed while a call did not return: no burst and no host is there any more. */
	int rc = vf->port == NULL ? 0 : vf_quick(vf, step);

	netvsc_vf_done(vf, step, rc);
	return rc;
}

/* ---- coming and going ---- */

int
netvsc_vf_new(struct netvsc_port *port)
{
	struct netvsc_vf *vf;

	if (port->config.ignore_vf)
		return 0;
	/* Notices of the host come to whichever process polls the primary channel. */
	vf = rte_zmalloc("netvsc_vf", sizeof(*vf), RTE_CACHE_LINE_SIZE);
	if (vf == NULL)
		return -ENOMEM;
	vf->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vf->wake < 0) {
		int rc = -errno;

		rte_free(vf);
		return rc;
	}
	pthread_mutex_init(&vf->lock, NULL);
	netvsc_vf_machine_init(&vf->machine);
	vf->references = 1;
	vf->port = port;
	vf->calls = &netvsc_vf_calls;
	port->vf = vf;
	port->vf_shared.asked = true;
	return 0;
}

void
netvsc_vf_put(struct netvsc_vf *vf)
{
	if (vf == NULL || atomic_fetch_sub(&vf->references, 1) != 1)
		return;
	close(vf->wake);
	pthread_mutex_destroy(&vf->lock);
	netvsc_let_go(vf);
}

/* Is the thread through with what it must not be left alone with? */
static bool
vf_wait_for(struct netvsc_vf *vf, bool (*what)(const struct netvsc_vf *vf), unsigned int ms)
{
	int64_t now = hpbus_now_ms();
	int64_t until = RTE_MAX(hpbus_op_talk_until(), now + LET_GO_MS);
	bool done;

	until = RTE_MIN(until, now + ms);
	for (;;) {
		if (!netvsc_vf_lock_soon(vf))
			return false;
		done = what(vf);
		pthread_mutex_unlock(&vf->lock);
		if (done || hpbus_now_ms() >= until)
			return done;
		rte_delay_us_sleep(500);
	}
}

static bool
vf_is_over(const struct netvsc_vf *vf)
{
	return vf->at == NETVSC_VF_AT_END;
}

static bool
vf_lets_go(const struct netvsc_vf *vf)
{
	return vf->at != NETVSC_VF_AT_PORT;
}

static bool
vf_is_in_call_here(struct netvsc_vf *vf)
{
	bool here;

	if (!netvsc_vf_lock_soon(vf))
		return false;
	here = vf->at == NETVSC_VF_AT_CALL && pthread_equal(vf->self, pthread_self());
	pthread_mutex_unlock(&vf->lock);
	return here;
}

/* A call of the VF's driver does not return: it keeps its thread, which ends by itself if it does.
 */
static bool
vf_abandon(struct netvsc_vf *vf)
{
	struct netvsc_port *port = vf->port;
	bool alone;

	if (!netvsc_vf_lock_soon(vf))
		return false;
	alone = vf->at == NETVSC_VF_AT_CALL && !vf->machine.tx && !vf->machine.rx &&
		vf->machine.tx_quiet && vf->machine.rx_quiet;
	if (alone) {
		vf->last_facts = netvsc_vf_facts_rest(atomic_load(&port->vf_shared.facts));
		vf->port = NULL;
		netvsc_thread_detach(vf->thread);
		NETVSC_LOG(ERR, port,
			"closed while the driver of its virtual function (ethdev port %u) does not "
			"return from a call: that thread and what the VF has of memory stay until "
			"it does; nothing but an end of the process gets rid of them before",
			vf->machine.vf);
	}
	pthread_mutex_unlock(&vf->lock);
	return alone;
}

bool
netvsc_vf_close(struct netvsc_port *port)
{
	struct netvsc_vf *vf = port->vf;

	if (vf == NULL || !vf->has_thread)
		return true;
	/* Nor has this thread, interrupted, the locks of what is called. */
	if (!netvsc_lock_in_time(&netvsc_vf_lock))
		return false;
	rte_spinlock_unlock(&netvsc_vf_lock);
	if (!netvsc_vf_lock_soon(vf))
		return false;
	pthread_mutex_unlock(&vf->lock);
	vf->calls->find_stop(port);
	netvsc_vf_event(port, NETVSC_VF_CLOSING, 0);
	/* Closed by a callback that a call of the VF's driver makes: nobody waits for himself. */
	if (vf_is_in_call_here(vf) || !vf_wait_for(vf, vf_is_over, END_MS)) {
		vf_wait_for(vf, vf_lets_go, LET_GO_MS);
		if (!vf_is_over(vf))
			return vf_abandon(vf);
	}
	netvsc_thread_join(vf->thread);
	vf->has_thread = false;
	return true;
}

/* ---- how it stands ---- */

/* Have the control thread do what is asked for, and wait until it has, if it goes on. */
static void
vf_ask(struct netvsc_port *port)
{
	struct netvsc_vf *vf = port->vf;
	int64_t until = hpbus_now_ms() + ASK_MS;
	uint32_t mine;

	/* In a callback that a call of the VF's driver makes: nobody waits for himself. */
	if (vf_is_in_call_here(vf))
		return;
	mine = atomic_fetch_add(&vf->asked, 1) + 1;
	netvsc_vf_wake(vf);
	while ((int32_t)(atomic_load(&vf->answered) - mine) < 0 && !netvsc_vf_hangs(vf)) {
		if (hpbus_now_ms() >= until)
			atomic_store(&vf->overdue, mine);
		else
			rte_delay_us_sleep(50);
	}
}

/*
 * Counters are asked for, and not only read now and then: who reads them when its frames have gone
 * through finds these counted.
 */
void
netvsc_vf_count_now(struct netvsc_port *port)
{
	struct netvsc_vf *vf = port->vf;

	if (netvsc_is_primary() && vf != NULL && vf->has_thread &&
		netvsc_vf_facts_found(atomic_load(&port->vf_shared.facts)) != NETVSC_VF_NONE)
		vf_ask(port);
}

void
netvsc_vf_know_now(struct netvsc_port *port)
{
	struct netvsc_vf *vf = port->vf;

	if (!netvsc_is_primary() || vf == NULL || !vf->has_thread)
		return;
	atomic_store(&vf->unknown, true);
	vf_ask(port);
}

bool
netvsc_vf_possible(const struct netvsc_port *port)
{
	return port->vf != NULL && port->vf->has_thread &&
	       port->session.nvsp_version >= NVSP_VERSION_5;
}

bool
netvsc_vf_switching(const struct netvsc_port *port)
{
	return atomic_load(&port->vf_shared.switch_tid) != 0;
}

bool
netvsc_vf_serial(const struct netvsc_port *port, uint32_t *serial)
{
	return port->vf != NULL &&
	       netvsc_vf_facts_serial(atomic_load(&port->vf_shared.facts), serial);
}

void
netvsc_vf_status(const struct netvsc_port *port, struct netvsc_vf_status *status)
{
	struct netvsc_vf *vf = port->vf;
	const struct netvsc_vf_machine *m;
	uint64_t facts;

	memset(status, 0, sizeof(*status));
	status->vf = NETVSC_VF_NONE;
	if (vf == NULL)
		return;
	m = &vf->machine;
	facts = atomic_load(&port->vf_shared.facts);
	status->possible = netvsc_vf_possible(port);
	status->associated = netvsc_vf_facts_serial(facts, &status->serial);
	status->vf = netvsc_vf_facts_found(facts);
	status->found = status->vf != NETVSC_VF_NONE;
	status->link = netvsc_vf_facts_link(facts);
	status->recovering = netvsc_vf_facts_recovering(facts, status->vf);
	status->failed = netvsc_vf_facts_failed(facts, status->vf);
	status->hangs = netvsc_vf_hangs(vf);
	if (!netvsc_vf_lock_soon(vf))
		return;
	status->owned = m->vf != NETVSC_VF_NONE;
	if (status->owned)
		status->vf = m->vf;
	status->starting = m->starting;
	status->running = m->running;
	status->asks_later = m->ask.at > hpbus_now_ms();
	status->receives = m->rx;
	status->used = m->tx;
	status->host = m->host;
	status->counts = m->counts;
	pthread_mutex_unlock(&vf->lock);
}
