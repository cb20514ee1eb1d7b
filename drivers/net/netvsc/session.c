/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which session a port has. A session is replaced as a whole: when it broke, when another number of
 * channels or a larger MTU is asked for, when the application resets the port. Control side;
 * control_lock is held and the queues are quiet: no channel is NETVSC_CHANNEL_RUNNING, so no burst
 * is inside and none that comes goes on (channel.h).
 */
#include <errno.h>

#include "drivers/net/netvsc/attach.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/tx.h"

/* Divide the send sections anew; nothing is in flight. */
static int
session_divide(struct netvsc_port *port, uint16_t queues)
{
	struct rte_eth_dev_data *data = port->eth->data;
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
	struct rte_eth_dev_data *data = port->eth->data;
	uint16_t q;

	for (q = 0; data->tx_queues != NULL && q < data->nb_tx_queues; q++)
		if (data->tx_queues[q] != NULL)
			netvsc_tx_forget(data->tx_queues[q]);
}

int
netvsc_session_end(struct netvsc_port *port)
{
	int rc;

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

/*
 * Is the session that is attached one with so many channels, or can it become one? It may ask for
 * subchannels once; a port that broke while nobody used it is brought up anew.
 */
static bool
session_keeps(struct netvsc_port *port, unsigned int channels, uint32_t mtu)
{
	const struct netvsc_session *s = &port->session;

	if (!s->attached || (atomic_load(&port->state) & NETVSC_STATE_BROKEN) || s->asked_mtu < mtu)
		return false;
	if (s->n_channels >= channels)
		return true;
	return !s->subchannels_asked && netvsc_attach_subchannels(port, channels) == 0;
}

/* What the host grants is all that there is. */
static int
session_check_channels(struct netvsc_port *port, unsigned int channels)
{
	uint32_t has = port->session.n_channels;

	if (has >= channels)
		return 0;
	NETVSC_LOG(ERR, port,
		"the host granted %u of the %u channels asked for; configure at most %u queues",
		has, channels, has);
	port->limits.max_queues = port->session.max_queues = has;
	return -ENOSPC;
}

int
netvsc_session_want(struct netvsc_port *port, unsigned int channels)
{
	struct rte_eth_dev_data *data = port->eth->data;
	uint32_t mtu = RTE_MAX((uint32_t)data->mtu, NETVSC_DEFAULT_MTU);
	uint32_t state = atomic_load(&port->state);
	int rc = 0;

	if (state & NETVSC_STATE_GONE) {
		NETVSC_LOG(ERR, port, "the device is gone; close the port and detach it");
		return -ENODEV;
	}
	if (session_keeps(port, channels, mtu)) {
		if (port->section_queues != data->nb_tx_queues)
			rc = session_divide(port, data->nb_tx_queues);
		return rc == 0 ? session_check_channels(port, channels) : rc;
	}
	rc = netvsc_session_end(port);
	if (rc == 0)
		rc = netvsc_attach(port, channels, mtu);
	/* In every case: the sections of the send buffer may have another size and number now. */
	if (rc == 0)
		rc = session_divide(port, data->nb_tx_queues);
	if (rc != 0)
		return rc;
	return session_check_channels(port, channels);
}

int
netvsc_session_renew(struct netvsc_port *port)
{
	int rc;

	rc = netvsc_session_end(port);
	if (rc == 0)
		rc = netvsc_attach(port, 1, NETVSC_DEFAULT_MTU);
	if (rc == 0)
		rc = session_divide(port, port->eth->data->nb_tx_queues);
	return rc;
}
