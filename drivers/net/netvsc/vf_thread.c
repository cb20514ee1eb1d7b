/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control thread of a port that may use a VF: it waits for events, does what the machine says,
 * and is the only one that calls the VF's driver. It holds no lock in such a call and touches
 * nothing of the port, which may be closed before the call returns, if it ever does.
 */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "drivers/net/netvsc/control.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/vf.h"

/* An operation of the application has the port just now. */
#define BUSY_MS 2
/* When VFs are looked for first, after the port has come. */
#define LOOK_MS 1000
/* ... and for events where poll() is refused, as it is with a limit of 0 open files. */
#define BLIND_MS 10

const struct netvsc_vf_calls netvsc_vf_calls = {
	.find_start = netvsc_vf_find_start,
	.find_stop = netvsc_vf_find_stop,
	.find_again = netvsc_vf_find_again,
	.setup_copy = netvsc_vf_setup_copy,
	.setup_free = netvsc_vf_setup_free,
	.own = netvsc_vf_own,
	.disown = netvsc_vf_disown,
	.start = netvsc_vf_start,
	.stop = netvsc_vf_stop,
	.replay = netvsc_vf_replay,
	.link = netvsc_vf_link,
	.count = netvsc_vf_count,
};

/* Wait for an event, or until a time. */
static void
thread_wait(struct netvsc_vf *vf, int64_t until)
{
	struct pollfd pfd = {.fd = vf->wake, .events = POLLIN};
	int64_t left = until - hpbus_now_ms();
	uint64_t count;
	ssize_t n;

	if (left > 0 && poll(&pfd, 1, (int)RTE_MIN(left, (int64_t)60000)) < 0)
		poll(NULL, 0, (int)RTE_MIN(left, (int64_t)BLIND_MS));
	n = read(vf->wake, &count, sizeof(count));
	(void)n; /* nothing there: the time was over */
}

/* The port is there until this is over. With the lock; @return with the lock, whether it is */
static bool
thread_hold_port(struct netvsc_vf *vf)
{
	if (vf->port == NULL)
		return false;
	vf->at = NETVSC_VF_AT_PORT;
	pthread_mutex_unlock(&vf->lock);
	return true;
}

static void
thread_release_port(struct netvsc_vf *vf)
{
	pthread_mutex_lock(&vf->lock);
	vf->at = NETVSC_VF_AT_REST;
}

/* What the host is asked needs the port's control side; whether it is still wanted, then. */
static int
thread_ask_host(struct netvsc_vf *vf)
{
	struct netvsc_port *port = vf->port;
	enum netvsc_vf_step step;
	struct hpbus_op op;
	int64_t until;
	int rc = 0;

	if (!thread_hold_port(vf))
		return 0;
	if (!netvsc_control_try_begin(port, &op, &netvsc_op_path)) {
		thread_release_port(vf);
		return -EAGAIN;
	}
	thread_release_port(vf);
	netvsc_vf_take(vf);
	step = netvsc_vf_machine_next(&vf->machine, hpbus_now_ms(), &until);
	if (step == NETVSC_VF_STEP_ASK || step == NETVSC_VF_STEP_BACK)
		rc = netvsc_vf_do_quick(vf, step);
	netvsc_control_end(port, &op);
	return rc;
}

/* Another serial is associated than was looked for, or it is time: look again. */
static void
thread_find_again(struct netvsc_vf *vf, uint64_t serial)
{
	int after;

	vf->looked_for = serial;
	vf->at = NETVSC_VF_AT_CALL;
	pthread_mutex_unlock(&vf->lock);
	after = vf->calls->find_again(&vf->setup, serial != 0, (uint32_t)(serial - 1));
	pthread_mutex_lock(&vf->lock);
	vf->at = NETVSC_VF_AT_REST;
	vf->look_at = after < 0 ? INT64_MAX : hpbus_now_ms() + after;
}

/* Somebody wants to know what the VF has counted, or what it can. With the lock. */
static void
thread_answer(struct netvsc_vf *vf, uint64_t serial)
{
	uint32_t asked = atomic_load(&vf->asked);
	uint32_t late = atomic_load(&vf->overdue);
	uint16_t id = vf->machine.vf;

	vf->answers = true;
	if (atomic_exchange(&vf->unknown, false))
		thread_find_again(vf, serial);
	if (id != NETVSC_VF_NONE && !vf->machine.lost &&
		!netvsc_vf_facts_recovering(vf->machine.levels, id)) {
		vf->at = NETVSC_VF_AT_CALL;
		pthread_mutex_unlock(&vf->lock);
		vf->calls->count(&vf->setup, id);
		pthread_mutex_lock(&vf->lock);
		vf->at = NETVSC_VF_AT_REST;
	}
	atomic_store(&vf->answered, asked);
	/* Never far behind, where it would look like one to come. */
	if ((int32_t)(late - asked) < 0)
		atomic_compare_exchange_strong(&vf->overdue, &late, asked);
}

/* Is there still to be done what needs a copy: a start, or a replay (WAIT)? With the lock. */
static bool
thread_still(struct netvsc_vf *vf, enum netvsc_vf_step step)
{
	int64_t until;

	netvsc_vf_take(vf);
	if (step == NETVSC_VF_WAIT)
		return netvsc_vf_machine_replays(&vf->machine);
	return netvsc_vf_machine_next(&vf->machine, hpbus_now_ms(), &until) == step;
}

/*
 * Take a copy of the port's configuration. Queues that are not started come and go at any time:
 * only while they all are, which is the port's control side's to change, they are looked at.
 * @param what NETVSC_VF_SET_* that are in it and were not before: what changes from here on is the
 * next one's
 * @return false: not just now
 */
static bool
thread_copy(struct netvsc_vf *vf, enum netvsc_vf_step step, uint32_t *what, int *rc)
{
	struct netvsc_port *port = vf->port;
	struct hpbus_op op;
	bool still;

	if (!thread_hold_port(vf)) {
		*rc = -ENODEV;
		return true;
	}
	if (!netvsc_control_try_begin(port, &op, &netvsc_op_setting)) {
		thread_release_port(vf);
		return false;
	}
	pthread_mutex_lock(&vf->lock);
	still = port->started && thread_still(vf, step);
	pthread_mutex_unlock(&vf->lock);
	if (still) {
		*what = atomic_exchange(&vf->replay, 0);
		*rc = vf->calls->setup_copy(port, &vf->setup);
	}
	netvsc_control_end(port, &op);
	thread_release_port(vf);
	return still;
}

/* Between begin and done of a step: without the lock. */
static int
thread_call(struct netvsc_vf *vf, enum netvsc_vf_step step, uint16_t id, bool *link)
{
	switch (step) {
	case NETVSC_VF_STEP_OWN:
		return vf->calls->own(&vf->setup, id);
	case NETVSC_VF_STEP_START:
		return vf->calls->start(&vf->setup, id);
	case NETVSC_VF_STEP_STOP:
		vf->calls->stop(&vf->setup, id);
		return 0;
	case NETVSC_VF_STEP_DISOWN:
		vf->calls->disown(&vf->setup, id);
		return 0;
	case NETVSC_VF_STEP_LINK:
		*link = vf->calls->link(&vf->setup, id);
		/* Also for who cannot ask, and a VF that goes without a stop takes less with it. */
		vf->calls->count(&vf->setup, id);
		return 0;
	default:
		return 0;
	}
}

/* @return milliseconds after which to look again, 0: at once */
static int
thread_slow(struct netvsc_vf *vf, enum netvsc_vf_step step)
{
	struct netvsc_vf_machine *m = &vf->machine;
	bool link = false;
	uint32_t what; /* all of it */
	uint16_t id;
	int rc = 0;

	if (step == NETVSC_VF_STEP_START) {
		if (!thread_copy(vf, step, &what, &rc))
			return BUSY_MS;
		/* Something may have happened meanwhile. */
		if (rc == 0 && !thread_still(vf, step))
			return 0;
	}
	netvsc_vf_machine_begin(m, step);
	id = m->vf;
	vf->at = NETVSC_VF_AT_CALL;
	pthread_mutex_unlock(&vf->lock);
	if (rc == 0)
		rc = thread_call(vf, step, id, &link);
	pthread_mutex_lock(&vf->lock);
	vf->at = NETVSC_VF_AT_REST;
	netvsc_vf_done(vf, step, rc);
	if (step == NETVSC_VF_STEP_LINK && vf->port != NULL &&
		netvsc_vf_facts_found(atomic_load(&vf->port->vf_shared.facts)) == id &&
		link != netvsc_vf_facts_link(atomic_load(&vf->port->vf_shared.facts)))
		netvsc_vf_event(vf->port, NETVSC_VF_LINK, link);
	return 0;
}

/* Settings have changed while the VF runs. What it does not take it gets by a start. */
static int
thread_replay(struct netvsc_vf *vf)
{
	uint16_t id = vf->machine.vf;
	uint32_t what = 0;
	int rc = 0;

	if (!thread_copy(vf, NETVSC_VF_WAIT, &what, &rc))
		return BUSY_MS;
	vf->at = NETVSC_VF_AT_CALL;
	pthread_mutex_unlock(&vf->lock);
	if (rc == 0)
		rc = vf->calls->replay(&vf->setup, id, what);
	pthread_mutex_lock(&vf->lock);
	vf->at = NETVSC_VF_AT_REST;
	if (rc != 0)
		netvsc_vf_machine_restart(&vf->machine, hpbus_now_ms());
	return 0;
}

/* One look at what is to be done; with the lock. @return false: nothing ever again */
static bool
thread_turn(struct netvsc_vf *vf)
{
	int64_t until, now = hpbus_now_ms();
	uint64_t serial;
	uint32_t number;
	enum netvsc_vf_step step;
	bool answered = vf->answers;
	int later = 0;

	vf->answers = false;
	netvsc_vf_take(vf);
	serial = netvsc_vf_facts_serial(vf->machine.levels, &number) ? number + UINT64_C(1) : 0;
	step = netvsc_vf_machine_next(&vf->machine, now, &until);
	if (step == NETVSC_VF_STEP_END)
		return false;
	if (step == NETVSC_VF_STEP_ASK || step == NETVSC_VF_STEP_BACK) {
		later = thread_ask_host(vf) == -EAGAIN ? BUSY_MS : 0;
	} else if (step != NETVSC_VF_WAIT && !netvsc_vf_step_is_slow(step)) {
		netvsc_vf_do_quick(vf, step);
	} else if (!answered && atomic_load(&vf->asked) != atomic_load(&vf->answered)) {
		thread_answer(vf, serial);
	} else if (serial != vf->looked_for || now >= vf->look_at) {
		thread_find_again(vf, serial);
	} else if (atomic_load(&vf->replay) != 0 && netvsc_vf_machine_replays(&vf->machine)) {
		later = thread_replay(vf);
	} else if (step != NETVSC_VF_WAIT) {
		later = thread_slow(vf, step);
	} else {
		later = -1;
	}
	if (later != 0) {
		pthread_mutex_unlock(&vf->lock);
		thread_wait(vf, later > 0 ? now + later : RTE_MIN(until, vf->look_at));
		pthread_mutex_lock(&vf->lock);
	}
	return true;
}

static netvsc_thread_result
thread_main(void *arg)
{
	struct netvsc_vf *vf = arg;

	pthread_mutex_lock(&vf->lock);
	vf->self = pthread_self();
	while (thread_turn(vf))
		;
	vf->at = NETVSC_VF_AT_CALL;
	pthread_mutex_unlock(&vf->lock);
	vf->calls->setup_free(&vf->setup);
	pthread_mutex_lock(&vf->lock);
	vf->at = NETVSC_VF_AT_END;
	pthread_mutex_unlock(&vf->lock);
	netvsc_vf_put(vf);
	return 0;
}

void
netvsc_vf_open(struct netvsc_port *port)
{
	struct netvsc_vf *vf = port->vf;
	int rc;

	if (vf == NULL)
		return;
	/* It has looked just now. */
	vf->look_at = hpbus_now_ms() + LOOK_MS;
	rc = vf->calls->find_start(port, &vf->setup);
	if (rc == 0) {
		atomic_fetch_add(&vf->references, 1);
		rc = netvsc_thread_begin(&vf->thread, "netvsc-vf", thread_main, vf);
		vf->has_thread = rc == 0;
		if (rc != 0) {
			vf->calls->find_stop(port);
			vf->calls->setup_free(&vf->setup);
			netvsc_vf_put(vf);
		}
	}
	if (rc != 0)
		NETVSC_LOG(NOTICE, port, "virtual functions are not used: %s", strerror(-rc));
}
