/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Send queues: memory of the slots, their header area, and what ethdev asks about a queue. The
 * burst itself is in tx.c.
 */
#include <errno.h>
#include <stdio.h>

#include <rte_malloc.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/tx.h"

static void
tx_queue_free(struct netvsc_txq *txq)
{
	if (txq == NULL)
		return;
	netvsc_section_cache_free(&txq->sections);
	netvsc_let_go(txq->headers);
	netvsc_let_go(txq->headers_iova);
	netvsc_let_go(txq->completed);
	netvsc_let_go(txq->free);
	netvsc_let_go(txq->slots);
	netvsc_let_go(txq);
}

static rte_iova_t
tx_page_iova(const uint8_t *page)
{
	const struct rte_memseg *seg = rte_mem_virt2memseg(page, NULL);

	if (seg == NULL || seg->iova == RTE_BAD_IOVA)
		return RTE_BAD_IOVA;
	return seg->iova + (rte_iova_t)(page - (const uint8_t *)seg->addr);
}

/*
 * Memory of the headers. A page of it is all that must be contiguous for the host: no header
 * crosses one (pitfall T10), and 8,192 of them take 2 MiB, which may lie in several hugepages.
 */
static int
tx_queue_headers(struct netvsc_txq *txq, int socket)
{
	/* Those that write the headers of frames anew. */
	const uint64_t rewriting = RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_TCP_CKSUM |
				   RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
	size_t at, bytes, pages;

	txq->header_room =
		txq->conf.offloads & rewriting ? NETVSC_HEADER_ROOM_TSO : NETVSC_HEADER_ROOM;
	bytes = RTE_ALIGN_CEIL((size_t)txq->nb_desc * txq->header_room, VMBUS_PAGE_SIZE);
	pages = bytes / VMBUS_PAGE_SIZE;
	txq->headers = rte_zmalloc_socket("netvsc_headers", bytes, VMBUS_PAGE_SIZE, socket);
	txq->headers_iova = rte_zmalloc_socket("netvsc_headers_iova",
		pages * sizeof(*txq->headers_iova), RTE_CACHE_LINE_SIZE, socket);
	if (txq->headers == NULL || txq->headers_iova == NULL)
		return -ENOMEM;
	for (at = 0; at < bytes; at += VMBUS_PAGE_SIZE)
		txq->headers_iova[at / VMBUS_PAGE_SIZE] = tx_page_iova(txq->headers + at);
	return 0;
}

void
netvsc_txq_see_headers(struct netvsc_txq *txq)
{
	size_t at, bytes = RTE_ALIGN_CEIL((size_t)txq->nb_desc * txq->header_room, VMBUS_PAGE_SIZE);

	txq->headers_usable = hpbus_dma_usable(txq->port->bus, txq->headers, bytes);
	for (at = 0; at < bytes / VMBUS_PAGE_SIZE; at++)
		txq->headers_usable &= txq->headers_iova[at] != RTE_BAD_IOVA;
}

static int
tx_queue_alloc(struct netvsc_txq *txq, int socket)
{
	uint32_t ring = rte_align32pow2(txq->nb_desc);
	uint16_t i;

	txq->slots = rte_zmalloc_socket(
		"netvsc_slots", txq->nb_desc * sizeof(*txq->slots), RTE_CACHE_LINE_SIZE, socket);
	txq->free = rte_zmalloc_socket("netvsc_free", (txq->nb_desc + 1u) * sizeof(*txq->free),
		RTE_CACHE_LINE_SIZE, socket);
	txq->completed = rte_zmalloc_socket(
		"netvsc_completed", ring * sizeof(*txq->completed), RTE_CACHE_LINE_SIZE, socket);
	if (txq->slots == NULL || txq->free == NULL || txq->completed == NULL ||
		tx_queue_headers(txq, socket) != 0)
		return -ENOMEM;
	netvsc_txq_see_headers(txq);
	txq->completed_mask = ring - 1;
	for (i = txq->nb_desc; i > 0; i--)
		txq->free[txq->n_free++] = (uint16_t)(i - 1);
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

	rc = netvsc_check_txconf(port, queue, nb_desc, conf);
	if (rc == 0)
		rc = netvsc_check_here(port, "a transmit queue's set-up");
	if (rc != 0)
		return rc;
	txq = rte_zmalloc_socket("netvsc_txq", sizeof(*txq), RTE_CACHE_LINE_SIZE, (int)socket);
	if (txq == NULL)
		goto no_memory;
	txq->port = port;
	txq->ch = port->channels[queue];
	txq->queue_id = queue;
	txq->nb_desc = nb_desc;
	txq->free_thresh = thresh;
	txq->conf = *conf;
	/* ethdev names only those that the port does not have. */
	txq->conf.offloads |= eth->data->dev_conf.txmode.offloads;
	rc = tx_queue_alloc(txq, (int)socket);
	if (rc == 0)
		rc = netvsc_section_cache_init(&txq->sections, &port->sections, queue);
	if (rc != 0)
		goto no_memory;
	if (!netvsc_stats_txq(port, queue, txq)) {
		tx_queue_free(txq);
		return -EBUSY;
	}
	eth->data->tx_queues[queue] = txq;
	return 0;

no_memory:
	tx_queue_free(txq);
	NETVSC_LOG(ERR, port,
		"transmit queue %u: no memory for %u descriptors on socket %d; give EAL more "
		"(-m, --socket-mem) or ask for fewer",
		queue, nb_desc, (int)socket);
	return -ENOMEM;
}

/* Another process may have the queue in hand: its burst finds that it is over. */
static bool
tx_queue_end(struct netvsc_txq *txq)
{
	if (!hpbus_has_peers())
		return true;
	if (!netvsc_channel_lock(txq->ch, &txq->ch->tx_lock))
		return false;
	txq->over = true;
	netvsc_channel_unlock(&txq->ch->tx_lock);
	return true;
}

void
netvsc_tx_queue_release(struct rte_eth_dev *eth, uint16_t queue)
{
	struct netvsc_txq *txq = eth->data->tx_queues[queue];
	struct netvsc_port *port = netvsc_port_of(eth);
	bool keep, stuck;

	if (txq == NULL)
		return;
	netvsc_vf_release_queue(txq->ch);
	stuck = txq->ch->stuck || !tx_queue_end(txq);
	if (!stuck)
		netvsc_tx_reap(txq);
	/*
	 * A stop waits for what is in flight or has it fenced off, unless it is one of a queue that
	 * has given up (queue_run.c), or one that somebody was in the way of, here or elsewhere.
	 */
	keep = stuck ||
	       (netvsc_tx_inflight(txq) != 0 && (port->unfenced || port->session.attached));
	/* Before the number takes its counts over: what is in flight will never be over for it. */
	if (keep)
		netvsc_tx_abandon(txq);
	else
		netvsc_tx_forget(txq);
	keep |= !netvsc_stats_txq(port, queue, NULL);
	eth->data->tx_queues[queue] = NULL;
	if (keep) {
		/* The host may still read it, or somebody is inside. */
		txq->next = port->quarantine;
		port->quarantine = txq;
		return;
	}
	tx_queue_free(txq);
}

void
netvsc_tx_queues_close(struct rte_eth_dev *eth)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	uint16_t q;

	/* Unless another process keeps the channel open: then what is in flight is lost to us. */
	port->unfenced = port->bus->held;
	for (q = 0; q < eth->data->nb_tx_queues; q++)
		netvsc_tx_queue_release(eth, q);
	if (!port->unfenced)
		netvsc_tx_quarantine_free(port);
	else if (port->quarantine != NULL)
		NETVSC_LOG(ERR, port,
			"closed while a secondary process keeps the channel open: frames that the "
			"host may still read stay until this process ends");
}

void
netvsc_tx_quarantine_free(struct netvsc_port *port)
{
	struct netvsc_txq *txq;

	while ((txq = port->quarantine) != NULL) {
		port->quarantine = txq->next;
		netvsc_tx_forget(txq);
		tx_queue_free(txq);
	}
}

void
netvsc_txq_info_get(struct rte_eth_dev *eth, uint16_t queue, struct rte_eth_txq_info *info)
{
	const struct netvsc_txq *txq = eth->data->tx_queues[queue];

	info->nb_desc = txq->nb_desc;
	info->conf = txq->conf;
}
