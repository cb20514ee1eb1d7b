/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Send queues: memory of the slots, their header area, and what ethdev asks about a queue. The
 * burst itself is in tx.c.
 */
#include <errno.h>
#include <stdio.h>

#include <rte_malloc.h>

#include "drivers/net/netvsc/netvsc.h"

static void
tx_queue_free(struct netvsc_txq *txq)
{
	if (txq == NULL)
		return;
	netvsc_section_cache_free(&txq->sections);
	rte_memzone_free(txq->headers);
	rte_free(txq->completed);
	rte_free(txq->free);
	rte_free(txq->slots);
	rte_free(txq);
}

static int
tx_queue_alloc(struct netvsc_txq *txq, int socket)
{
	uint32_t ring = rte_align32pow2(txq->nb_desc);
	char name[RTE_MEMZONE_NAMESIZE];
	uint16_t i;

	txq->slots = rte_zmalloc_socket(
		"netvsc_slots", txq->nb_desc * sizeof(*txq->slots), RTE_CACHE_LINE_SIZE, socket);
	txq->free = rte_zmalloc_socket(
		"netvsc_free", txq->nb_desc * sizeof(*txq->free), RTE_CACHE_LINE_SIZE, socket);
	txq->completed = rte_zmalloc_socket(
		"netvsc_completed", ring * sizeof(*txq->completed), RTE_CACHE_LINE_SIZE, socket);
	/* 16 slots to a page and page-aligned: no header crosses a page (pitfall T10). */
	snprintf(name, sizeof(name), "netvsc_hdr_%u_%u", txq->port->eth->data->port_id,
		txq->queue_id);
	txq->headers = rte_memzone_reserve_aligned(name, (size_t)txq->nb_desc * NETVSC_HEADER_ROOM,
		socket, RTE_MEMZONE_IOVA_CONTIG, VMBUS_PAGE_SIZE);
	if (txq->slots == NULL || txq->free == NULL || txq->completed == NULL ||
		txq->headers == NULL)
		return -ENOMEM;
	txq->completed_mask = ring - 1;
	for (i = txq->nb_desc; i > 0; i--) {
		txq->slots[i - 1].section = NETVSC_SECTION_NONE;
		txq->free[txq->n_free++] = (uint16_t)(i - 1);
	}
	txq->headers_iova = txq->headers->iova;
	txq->headers_usable =
		hpbus_dma_usable(txq->port->bus, txq->headers->addr, txq->headers->len);
	return 0;
}

int
netvsc_tx_queue_setup(struct rte_eth_dev *eth, uint16_t queue, uint16_t nb_desc,
	unsigned int socket, const struct rte_eth_txconf *conf)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	uint16_t thresh = conf->tx_free_thresh != 0 ? conf->tx_free_thresh : nb_desc / 4;
	struct netvsc_txq *txq;
	int rc;

	if (thresh + 3 >= nb_desc) {
		NETVSC_LOG(ERR, port,
			"transmit queue %u: tx_free_thresh %u must be below the number of "
			"descriptors %u minus 3",
			queue, thresh, nb_desc);
		return -EINVAL;
	}
	txq = rte_zmalloc_socket("netvsc_txq", sizeof(*txq), RTE_CACHE_LINE_SIZE, (int)socket);
	if (txq == NULL)
		return -ENOMEM;
	txq->port = port;
	txq->ch = port->channels[queue];
	txq->queue_id = queue;
	txq->nb_desc = nb_desc;
	txq->free_thresh = thresh;
	txq->conf = *conf;
	rc = tx_queue_alloc(txq, (int)socket);
	if (rc == 0)
		rc = netvsc_section_cache_init(&txq->sections, &port->sections, queue);
	if (rc != 0) {
		tx_queue_free(txq);
		return rc;
	}
	eth->data->tx_queues[queue] = txq;
	return 0;
}

void
netvsc_tx_queue_release(struct rte_eth_dev *eth, uint16_t queue)
{
	struct netvsc_txq *txq = eth->data->tx_queues[queue];

	if (txq == NULL)
		return;
	if (netvsc_tx_inflight(txq) != 0)
		netvsc_tx_forget(txq);
	tx_queue_free(txq);
	eth->data->tx_queues[queue] = NULL;
}

void
netvsc_txq_info_get(struct rte_eth_dev *eth, uint16_t queue, struct rte_eth_txq_info *info)
{
	const struct netvsc_txq *txq = eth->data->tx_queues[queue];

	info->nb_desc = txq->nb_desc;
	info->conf = txq->conf;
}
