/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Operations of the application that let frames onto the VF, or take them off it, with the host's
 * data path; sessions that begin and end likewise. Control side: they do what cannot wait.
 */
#include <rte_cycles.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/control.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/vf.h"

/* The answer of a host to which nothing else will be said is waited for so long, */
#define ANSWER_MS 200
/* ... and receive bursts of a port that stops, when there is no time any more. */
#define CUT_MS 100

/* ---- onto it ---- */

static bool
vf_all_started(const struct rte_eth_dev_data *data)
{
	uint16_t q;

	for (q = 0; q < data->nb_rx_queues; q++)
		if (data->rx_queue_state[q] != RTE_ETH_QUEUE_STATE_STARTED)
			return false;
	for (q = 0; q < data->nb_tx_queues; q++)
		if (data->tx_queue_state[q] != RTE_ETH_QUEUE_STATE_STARTED)
			return false;
	return data->nb_rx_queues != 0 && data->nb_tx_queues != 0;
}

bool
netvsc_vf_others(const struct netvsc_port *port)
{
	return netvsc_processes(port) != NETVSC_PRIMARY ||
	       (atomic_load(&port->bus->sharing.attached) & ~NETVSC_PRIMARY) != 0;
}

void
netvsc_vf_join(struct netvsc_port *port)
{
	const struct rte_eth_dev_data *data = port->data;

	if (!netvsc_vf_possible(port) || atomic_load(&port->state) != NETVSC_STATE_RUNNING ||
		!vf_all_started(data))
		return;
	if (netvsc_vf_others(port))
		return; /* and netvsc_vf_tick() says so */
	if (data->dev_conf.intr_conf.rxq != 0) {
		uint16_t found = netvsc_vf_facts_found(atomic_load(&port->vf_shared.facts));

		NETVSC_LOG(NOTICE, port,
			"receive interrupts are configured, which only the synthetic path has: "
			"virtual functions are not used%s",
			found != NETVSC_VF_NONE ? ", though there is one" : "");
		return;
	}
	netvsc_vf_event(port, NETVSC_VF_PORT_STARTED, 0);
}

void
netvsc_vf_tick(struct netvsc_port *port)
{
	struct netvsc_vf *vf = port->vf;
	bool shared = netvsc_vf_others(port), was = vf != NULL && vf->shared;

	if (vf == NULL)
		return;
	vf->shared = shared;
	if (was && !shared)
		netvsc_vf_join(port);
	if (!was && shared)
		NETVSC_LOG(NOTICE, port,
			"other processes have the port: virtual functions are not used as long as "
			"they do");
	/* One that came while the port was about to join was not seen there. */
	if (shared && netvsc_vf_facts_started(atomic_load(&port->vf_shared.facts)))
		netvsc_vf_event(port, NETVSC_VF_PORT_STOPPING, 0);
}

/* ---- away ---- */

/* What a quick step of leaving waits for: the host, or bursts that come out. */
static bool
leave_waits(const struct netvsc_vf_machine *m)
{
	return m->host == NETVSC_VF_HOST_TO_VF || m->host == NETVSC_VF_HOST_BACK || !m->tx_quiet ||
	       !m->rx_quiet;
}

/* @return whether to come again */
static bool
leave_step(struct netvsc_vf *vf)
{
	enum netvsc_vf_step step;
	int64_t until;
	int rc;

	netvsc_vf_take(vf);
	step = netvsc_vf_machine_next(&vf->machine, hpbus_now_ms(), &until);
	if (step == NETVSC_VF_WAIT)
		return leave_waits(&vf->machine);
	if (netvsc_vf_step_is_slow(step))
		return !vf->machine.tx_quiet || !vf->machine.rx_quiet;
	rc = netvsc_vf_do_quick(vf, step);
	return rc == 0 || rc == -EAGAIN;
}

/* Nobody will poll: receive bursts are taken off while the host may still send to the VF. */
static bool
leave_cut_rx(struct netvsc_vf *vf)
{
	int64_t until = hpbus_now_ms() + CUT_MS;
	bool on;

	for (;;) {
		if (!netvsc_vf_lock_soon(vf))
			return false;
		netvsc_vf_machine_cut_rx(&vf->machine);
		leave_step(vf);
		on = vf->machine.rx || !vf->machine.rx_quiet;
		pthread_mutex_unlock(&vf->lock);
		if (!on || hpbus_now_ms() >= until)
			return !on;
		rte_delay_us_sleep(50);
	}
}

/* @return whether no burst is inside of a VF that is left */
static bool
leave_in_time(struct netvsc_port *port, struct netvsc_vf *vf)
{
	bool again, quiet;

	do {
		if (!netvsc_vf_lock_soon(vf))
			return false;
		again = leave_step(vf);
		quiet = vf->machine.tx_quiet && vf->machine.rx_quiet;
		pthread_mutex_unlock(&vf->lock);
		if (again) {
			netvsc_control_scan(port);
			hpbus_signal_again(port->bus);
			rte_delay_us_sleep(50);
		}
	} while (again && !hpbus_op_spent());
	return quiet;
}

/*
 * Who is inside comes back to the queue, and to the port: they stay. A path that is still on is
 * received from by a port that goes on, and nobody's by one that stops.
 */
static void
leave_stuck(struct netvsc_port *port, bool stops)
{
	unsigned int i;

	for (i = 0; i < RTE_DIM(port->channels); i++) {
		bool on = atomic_load(&port->vf_rx[i].path) != 0 ||
			  atomic_load(&port->vf_tx[i].path) != 0;

		if (port->channels[i] != NULL && (stops || !on) && netvsc_vf_is_inside(port, i))
			netvsc_channel_stuck(port->channels[i], "the virtual function's driver");
	}
}

bool
netvsc_vf_leave(struct netvsc_port *port, bool stops)
{
	struct netvsc_vf *vf = port->vf;
	struct hpbus_op op;
	bool quiet;

	if (vf == NULL)
		return true;
	hpbus_op_begin(&op, &netvsc_op_path);
	netvsc_vf_event(port, NETVSC_VF_PORT_STOPPING, 0);
	quiet = leave_in_time(port, vf);
	if (stops)
		quiet = leave_cut_rx(vf) && quiet;
	hpbus_op_end(&op);
	if (!quiet)
		leave_stuck(port, stops);
	netvsc_vf_wake(vf);
	return quiet;
}

/* ---- sessions ---- */

/* The host's last chance; a session that is left has no time for more. */
static void
vf_await_answer(struct netvsc_port *port)
{
	int64_t until = hpbus_now_ms() + ANSWER_MS;

	while (netvsc_vf_switching(port) && !hpbus_op_spent() && hpbus_now_ms() < until) {
		netvsc_control_scan(port);
		hpbus_signal_again(port->bus);
		rte_delay_us_sleep(50);
	}
}

void
netvsc_vf_session_begins(struct netvsc_port *port)
{
	if (port->session.nvsp_version >= NVSP_VERSION_5)
		netvsc_vf_event(port, NETVSC_VF_SESSION_NEW, 0);
}

void
netvsc_vf_session_ends(struct netvsc_port *port, bool talk)
{
	struct netvsc_vf *vf = port->vf;
	bool back = true; /* if nobody knows */

	if (vf == NULL)
		return;
	if (netvsc_vf_lock_soon(vf)) {
		netvsc_vf_take(vf);
		back = vf->machine.host != NETVSC_VF_HOST_SYNTHETIC &&
		       vf->machine.host != NETVSC_VF_HOST_LEFT;
		pthread_mutex_unlock(&vf->lock);
	}
	/* The path may outlive the channel: whoever comes next is not prepared (pitfall V13). */
	if (talk && back) {
		vf_await_answer(port);
		if (netvsc_nvsp_switch(port, false) == 0)
			vf_await_answer(port);
	}
	netvsc_vf_event(port, NETVSC_VF_SESSION_GONE, 0);
	atomic_store(&port->vf_shared.switch_tid, 0);
}
