/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Another MTU (pitfalls section 9). The host cuts the receive buffer by what it was asked for when
 * the session was attached, so that another MTU is another session: the same teardown and bring-up
 * as at configure, onto which what the application wants is replayed. While the port is started its
 * queues stay with the application, whose polls find nothing until the new session runs.
 */
#include <errno.h>
#include <string.h>

#include <rte_cycles.h>

#include "drivers/net/netvsc/attach.h"
#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/control.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/tx.h"

/* How long frames that the application holds are waited for. */
#define LENT_MS 100

/* A session for this MTU, which carries frames if the port is started. */
static int
mtu_have(struct netvsc_port *port, uint32_t mtu)
{
	const struct rte_eth_dev_data *data = port->eth->data;
	unsigned int channels = RTE_MAX(data->nb_rx_queues, data->nb_tx_queues);
	int rc;

	rc = netvsc_session_want(port, RTE_MAX(channels, 1u), mtu);
	return rc == 0 && data->dev_started ? netvsc_port_up(port) : rc;
}

/* Have another MTU, or the one that there was, or (@lost) none: then nothing helps but a reset. */
static int
mtu_have_or_keep(struct netvsc_port *port, uint32_t mtu, bool *lost)
{
	const uint32_t old = port->eth->data->mtu;
	int rc = mtu_have(port, mtu);

	*lost = rc != 0 && mtu_have(port, old) != 0;
	if (rc != 0 && !*lost)
		NETVSC_LOG(ERR, port, "MTU %u cannot be had (%s): it stays %u", mtu, strerror(-rc),
			old);
	return rc;
}

/* What a host does not complete must not take the time that the other session needs. */
static void
mtu_down(struct netvsc_port *port)
{
	struct hpbus_op down;

	hpbus_op_begin(&down, &netvsc_op_stop);
	netvsc_port_down(port);
	hpbus_op_end(&down);
}

/*
 * Received frames that are on their way through the application, to our own send queues too, come
 * back within a moment when no more are received; those that it keeps do not.
 */
static bool
mtu_frames_back(struct netvsc_port *port)
{
	struct rte_eth_dev_data *data = port->eth->data;
	int64_t until = hpbus_now_ms() + LENT_MS;
	uint16_t q;

	while (netvsc_rx_lent(port) != 0 && hpbus_now_ms() < until) {
		/* Completions of sends; frames wait where they are. */
		netvsc_rx_each_channel(port, netvsc_rx_scan);
		for (q = 0; q < data->nb_tx_queues; q++)
			if (data->tx_queues[q] != NULL && !port->channels[q]->stuck)
				netvsc_tx_reap(data->tx_queues[q]);
		hpbus_signal_again(port->bus);
		rte_delay_us_sleep(1000);
	}
	return netvsc_rx_lender_check(port) == 0;
}

/* The queues stay as they are, and what they belong to changes. */
static int
mtu_change_started(struct netvsc_port *port, uint32_t mtu)
{
	bool lost;
	int rc;

	netvsc_vf_leave(port, false);
	netvsc_port_quiet(port);
	/* Before anything is taken down that would come up again with no other MTU. */
	if (!mtu_frames_back(port)) {
		atomic_fetch_or(&port->state, NETVSC_STATE_RUNNING);
		netvsc_queues_run(port);
		netvsc_vf_join(port);
		netvsc_intr_wake(port);
		return -EBUSY;
	}
	mtu_down(port);
	rc = mtu_have_or_keep(port, mtu, &lost);
	if (!lost) {
		/* Whatever the other session met with; before queues meet with anything new. */
		if (!(atomic_load(&port->state) & NETVSC_STATE_BROKEN))
			atomic_fetch_and(&port->events, ~NETVSC_EVENT_RESET);
		netvsc_queues_run(port);
		port->config.mtu = rc == 0 ? mtu : port->eth->data->mtu;
		netvsc_vf_join(port);
	}
	netvsc_intr_wake(port); /* who armed the ring that was */
	if (lost)
		netvsc_port_broken(port, "the port did not come up again with another MTU");
	/* What the link is by now was asked for, and may be news. */
	netvsc_event(port, NETVSC_EVENT_LINK);
	return rc;
}

/* Within an operation. */
static int
mtu_change(struct netvsc_port *port, uint32_t mtu)
{
	uint32_t state = atomic_load(&port->state);
	bool lost;

	if (state & NETVSC_STATE_GONE)
		return netvsc_port_away(port);
	/* A port that broke or has no session gets one of that size when it is brought up. */
	if (!port->session.attached || (state & NETVSC_STATE_BROKEN))
		return 0;
	return port->eth->data->dev_started ? mtu_change_started(port, mtu)
					    : mtu_have_or_keep(port, mtu, &lost);
}

int
netvsc_mtu_set(struct rte_eth_dev *eth, uint16_t mtu)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	struct hpbus_op op;
	int rc = 0;

	/* ethdev has checked the limits of dev_info. */
	if (mtu > port->limits.mtu) {
		netvsc_refuse_mtu(port, mtu, port->limits.mtu);
		return -EINVAL;
	}
	/* The queues of a stopped port may be set up anew with another pool: it looks at its start.
	 */
	if (eth->data->dev_started)
		rc = netvsc_check_pools(port, mtu);
	/* Frames of fewer bytes than the host was asked for pass anyway: nobody waits (N13). */
	if (rc == 0 && netvsc_session_mtu(mtu) == netvsc_session_mtu(eth->data->mtu)) {
		port->config.mtu = mtu;
		netvsc_vf_changed(port, NETVSC_VF_SET_MTU);
	}
	if (rc != 0 || netvsc_session_mtu(mtu) == netvsc_session_mtu(eth->data->mtu))
		return rc;
	if (eth->data->dev_started && atomic_load(&port->monitored)) {
		NETVSC_LOG(ERR, port,
			"MTU %u: lcores wait for words in the rings (rte_eth_get_monitor_addr), which "
			"another MTU unmaps; stop the port first",
			mtu);
		return -EBUSY;
	}
	if (netvsc_control_begin(port, &op, &netvsc_op_bring_up) != 0)
		return -EBUSY;
	rc = mtu_change(port, mtu);
	netvsc_flight_note(&port->flight, NETVSC_FLIGHT_MTU, (uint32_t)-rc, mtu, NULL);
	netvsc_control_end(port, &op);
	return rc;
}
