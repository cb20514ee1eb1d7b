/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which session a port has. A session is replaced as a whole: when it broke, when another number of
 * channels or another MTU is asked for, when the application resets the port. Control side;
 * control_lock is held and the queues are quiet: no channel is NETVSC_CHANNEL_RUNNING, so no burst
 * is inside and none that comes goes on (channel.h).
 */
#include <errno.h>

#include "drivers/net/netvsc/attach.h"
#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/tx.h"

/* How long the largest MTU of a host is looked for. */
#define SEARCH_MS 2000

/* Divide the send sections anew; nothing is in flight. */
static int
session_divide(struct netvsc_port *port, uint16_t queues)
{
	struct rte_eth_dev_data *data = port->data;
	uint16_t q;
	int rc;

	for (q = 0; data->tx_queues != NULL && q < data->nb_tx_queues; q++)
		if (data->tx_queues[q] != NULL) {
			struct netvsc_txq *txq = data->tx_queues[q];

			netvsc_tx_forget(txq);
			netvsc_section_cache_free(&txq->sections);
		}
	netvsc_section_pool_free(&port->sections);
	port->section_queues = NETVSC_UNDIVIDED;
	rc = netvsc_section_pool_init(
		&port->sections, port->session.send_count, port->session.send_section, queues);
	for (q = 0; rc == 0 && data->tx_queues != NULL && q < data->nb_tx_queues; q++)
		if (data->tx_queues[q] != NULL)
			rc = netvsc_section_cache_init(
				&((struct netvsc_txq *)data->tx_queues[q])->sections,
				&port->sections, q);
	if (rc == 0)
		port->section_queues = queues;
	else
		NETVSC_LOG(ERR, port, "no memory to divide the send buffer");
	return rc;
}

/* Sends that were in flight when the channels closed are over. */
static void
session_forget_sends(struct netvsc_port *port)
{
	struct rte_eth_dev_data *data = port->data;
	uint16_t q;

	for (q = 0; data->tx_queues != NULL && q < data->nb_tx_queues; q++)
		if (data->tx_queues[q] != NULL)
			netvsc_tx_forget(data->tx_queues[q]);
}

int
netvsc_session_end(struct netvsc_port *port)
{
	int rc;

	if (!netvsc_channels_free(port))
		return -EBUSY;
	if (port->session.attached)
		rc = netvsc_detach(port, true);
	else
		rc = port->unfenced ? netvsc_fence(port) : 0;
	if (rc != 0)
		return rc;
	session_forget_sends(port);
	netvsc_tx_quarantine_free(port);
	return 0;
}

int
netvsc_session_lost(struct netvsc_port *port)
{
	if (!netvsc_channels_free(port))
		return -EBUSY;
	netvsc_port_quiet(port);
	/* No burst and no lcore that waits gets the address of a word from now on; some may have.
	 */
	if (atomic_load(&port->monitored))
		return -EBUSY;
	netvsc_rx_each_channel(port, netvsc_rx_drain);
	/* All of them or none: a session with some of its channels is of no use to anybody. */
	if (!netvsc_channels_free(port) || netvsc_detach(port, false) == -EBUSY)
		return -EBUSY;
	netvsc_queues_unlink(port);
	if (!netvsc_rx_lender_end(port))
		return -EBUSY;
	/* The fence: nothing of ours is mapped by a host whose connection is closed. */
	port->bus->backend->close(port->bus);
	hpbus_intr_lost(port->bus);
	port->unfenced = false;
	/* ethdev changes the queues of a port that is stopped; those have nothing in flight. */
	if (port->started)
		session_forget_sends(port);
	netvsc_tx_quarantine_free(port);
	return 0;
}

/* Another session in the place of the one there is. @return -EBUSY, or as netvsc_attach() */
static int
session_replace(struct netvsc_port *port, unsigned int channels, uint32_t mtu)
{
	int rc = netvsc_rx_lender_check(port);

	if (rc == 0) {
		rc = netvsc_session_end(port);
		if (rc == -EBUSY)
			NETVSC_LOG(ERR, port,
				"a thread is still inside of a burst: there is no other session "
				"before it goes on");
	}
	return rc != 0 ? rc : netvsc_attach(port, channels, mtu);
}

/*
 * The next MTU to ask for between one that is good and one that is not. Most hosts have 1500 or
 * 9000: they are found out at once, and also where each session takes so long that there is no time
 * for halving.
 */
static uint32_t
session_guess(uint32_t good, uint32_t bad)
{
	/* And whether there is more than that. */
	static const uint32_t likely[] = {9000, 9000 + 1, NETVSC_DEFAULT_MTU + 1};
	unsigned int i;

	for (i = 0; i < RTE_DIM(likely); i++)
		if (likely[i] > good && likely[i] < bad)
			return likely[i];
	return good + (bad - good) / 2;
}

int
netvsc_session_first(struct netvsc_port *port)
{
	uint32_t mtu = NVSP_MTU_MAX - NVSP_MTU_HEADER; /* OpenVMM's */
	uint32_t good = NETVSC_DEFAULT_MTU, bad = mtu + 1;
	int64_t until = hpbus_now_ms() + SEARCH_MS;
	int rc;

	rc = netvsc_attach(port, 1, NETVSC_MAX_MTU);
	if (rc == -E2BIG)
		rc = netvsc_attach(port, 1, NETVSC_DEFAULT_MTU);
	if (rc != 0 || port->session.host_mtu != NETVSC_DEFAULT_MTU ||
		port->session.nvsp_version < NVSP_VERSION_2)
		return rc;
	/* A host that does not say what its largest is says whether one is too large. */
	while (bad - good > 1 && hpbus_now_ms() < until) {
		rc = session_replace(port, 1, mtu);
		if (rc == -ENODEV || rc == -ETIMEDOUT)
			return rc;
		if (rc != 0 || port->session.host_mtu <= good)
			bad = mtu;
		else if ((good = port->session.host_mtu) < mtu)
			break; /* it does say */
		mtu = session_guess(good, bad);
	}
	return port->session.attached ? 0 : netvsc_attach(port, 1, NETVSC_DEFAULT_MTU);
}

/*
 * Is the session that there is one that is wanted, or can it become one? It may ask for subchannels
 * once; a port that broke while nobody used it is brought up anew.
 */
static bool
session_does(struct netvsc_port *port, unsigned int channels, uint32_t mtu)
{
	const struct netvsc_session *s = &port->session;

	if (!s->attached || (atomic_load(&port->state) & NETVSC_STATE_BROKEN) ||
		s->asked_mtu != netvsc_session_mtu(mtu))
		return false;
	if (s->n_channels >= channels)
		return true;
	return !s->subchannels_asked && netvsc_attach_subchannels(port, channels) == 0;
}

int
netvsc_session_want(struct netvsc_port *port, unsigned int channels, uint32_t mtu)
{
	struct rte_eth_dev_data *data = port->data;
	int rc = 0;

	if (atomic_load(&port->state) & NETVSC_STATE_GONE)
		return netvsc_port_away(port);
	if (!session_does(port, channels, mtu)) {
		rc = session_replace(port, channels, netvsc_session_mtu(mtu));
		port->section_queues = NETVSC_UNDIVIDED;
	}
	if (rc == -E2BIG) {
		NETVSC_LOG(ERR, port,
			"MTU %u: the host does not divide the receive buffer of %zu KiB into sections "
			"of that size",
			mtu, port->bus->recv.len >> 10);
		return -EINVAL;
	}
	/* The sections of the send buffer may have another size and number now. */
	if (rc == 0 && port->section_queues != data->nb_tx_queues)
		rc = session_divide(port, data->nb_tx_queues);
	if (rc != 0)
		return rc;
	if (port->session.mtu < mtu) {
		netvsc_refuse_mtu(port, mtu, port->session.mtu);
		return -EINVAL;
	}
	if (port->session.n_channels < channels) {
		NETVSC_LOG(ERR, port,
			"the host granted %u of the %u channels asked for; configure at most %u "
			"queues",
			port->session.n_channels, channels, port->session.n_channels);
		port->limits.max_queues = port->session.max_queues = port->session.n_channels;
		return -ENOSPC;
	}
	return 0;
}

int
netvsc_session_renew(struct netvsc_port *port)
{
	int rc;

	rc = session_replace(port, 1, NETVSC_DEFAULT_MTU);
	if (rc == 0)
		rc = session_divide(port, port->data->nb_tx_queues);
	return rc;
}
