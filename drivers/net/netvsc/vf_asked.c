/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is asked of a queue beside bursts, asked of the VF that carries its frames, too: how much
 * waits, what a descriptor is, to free what was sent, to prepare what will be. Those who ask are
 * not always the lcore that polls, so they are counted; a VF is not stopped while one is inside of
 * its driver (netvsc_vf_path_is_quiet()). What a driver cannot answer counts as nothing.
 */
#include <errno.h>

#include <rte_ethdev.h>

#include "drivers/net/netvsc/compat.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/tx.h"
#include "drivers/net/netvsc/vf.h"

/* Other processes do not have the VF, whatever the word of the queue says for a moment. */
static struct netvsc_vf_queue *
begin(struct netvsc_vf_queue *queues, uint16_t queue, uint16_t *vf)
{
	struct netvsc_vf_queue *q = &queues[queue];

	return netvsc_is_primary() && netvsc_vf_ask_begin(q, vf) ? q : NULL;
}

uint32_t
netvsc_vf_rx_waiting(const struct netvsc_rxq *rxq)
{
	struct netvsc_vf_queue *q;
	int count;
	uint16_t vf;

	q = begin(rxq->port->vf_rx, rxq->queue_id, &vf);
	if (q == NULL)
		return 0;
	count = rte_eth_rx_queue_count(vf, rxq->queue_id);
	netvsc_vf_ask_end(q);
	return count > 0 ? (uint32_t)count : 0;
}

bool
netvsc_vf_rx_done(const struct netvsc_rxq *rxq, uint16_t offset)
{
	struct netvsc_vf_queue *q;
	uint16_t vf;
	int is;

	q = begin(rxq->port->vf_rx, rxq->queue_id, &vf);
	if (q == NULL)
		return false;
	is = rte_eth_rx_descriptor_status(vf, rxq->queue_id, offset);
	netvsc_vf_ask_end(q);
	return is == RTE_ETH_RX_DESC_DONE;
}

int
netvsc_vf_tx_status(const struct netvsc_txq *txq, uint16_t offset, int own)
{
	struct netvsc_vf_queue *q;
	uint16_t vf;
	int is;

	q = begin(txq->port->vf_tx, txq->queue_id, &vf);
	if (q == NULL)
		return own;
	is = rte_eth_tx_descriptor_status(vf, txq->queue_id, offset);
	netvsc_vf_ask_end(q);
	/* It has fewer than the port. */
	if (is == -EINVAL)
		return RTE_ETH_TX_DESC_UNAVAIL;
	return is < 0 ? own : is;
}

uint32_t
netvsc_vf_tx_waiting(const struct netvsc_txq *txq)
{
	struct netvsc_vf_queue *q;
	uint32_t used;
	uint16_t vf;

	q = begin(txq->port->vf_tx, txq->queue_id, &vf);
	if (q == NULL)
		return 0;
	used = netvsc_compat_tx_used(vf, txq->queue_id);
	netvsc_vf_ask_end(q);
	return used;
}

uint32_t
netvsc_vf_tx_cleanup(const struct netvsc_txq *txq, uint32_t count)
{
	struct netvsc_vf_queue *q;
	uint16_t vf;
	int freed;

	q = begin(txq->port->vf_tx, txq->queue_id, &vf);
	if (q == NULL)
		return 0;
	freed = rte_eth_tx_done_cleanup(vf, txq->queue_id, count);
	netvsc_vf_ask_end(q);
	return freed > 0 ? (uint32_t)freed : 0;
}

/* Chains that are too long for it are copied when they are sent: nothing to prepare there. */
uint16_t
netvsc_vf_tx_prepare(const struct netvsc_txq *txq, struct rte_mbuf **pkts, uint16_t n)
{
	struct netvsc_vf_queue *q;
	uint16_t vf, done = 0, run;

	q = begin(txq->port->vf_tx, txq->queue_id, &vf);
	if (q == NULL)
		return n;
	while (done < n) {
		for (run = done; run < n && netvsc_vf_segments_fit(q, pkts[run]); run++)
			;
		done += rte_eth_tx_prepare(vf, txq->queue_id, pkts + done, run - done);
		if (done != run)
			break;
		done += run < n;
	}
	netvsc_vf_ask_end(q);
	return done;
}
