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
#include "drivers/net/netvsc/rx.h"
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

int
netvsc_session_want(struct netvsc_port *port, unsigned int channels)
{
	struct rte_eth_dev_data *data = port->eth->data;
	uint32_t mtu = RTE_MAX((uint32_t)data->mtu, NETVSC_DEFAULT_MTU);
	uint32_t state = atomic_load(&port->state);
	int rc;

	if (state & NETVSC_STATE_GONE) {
		NETVSC_LOG(ERR, port, "the device is gone; close the port and detach it");
		return -ENODEV;
	}
	/* A port that broke while nobody used it is brought up anew. */
	if (port->session.attached && !(state & NETVSC_STATE_BROKEN) &&
		port->session.n_channels >= channels && port->session.asked_mtu >= mtu)
		return port->section_queues == data->nb_tx_queues
			       ? 0
			       : session_divide(port, data->nb_tx_queues);
	rc = netvsc_rx_lender_check(port);
	if (rc == 0)
		rc = netvsc_session_end(port);
	if (rc == 0)
		rc = netvsc_attach(port, channels, mtu);
	/* In every case: the sections of the send buffer may have another size and number now. */
	if (rc == 0)
		rc = session_divide(port, data->nb_tx_queues);
	if (rc != 0)
		return rc;
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

	rc = netvsc_rx_lender_check(port);
	if (rc == 0)
		rc = netvsc_session_end(port);
	if (rc == 0)
		rc = netvsc_attach(port, 1, NETVSC_DEFAULT_MTU);
	if (rc == 0)
		rc = session_divide(port, port->eth->data->nb_tx_queues);
	return rc;
}
