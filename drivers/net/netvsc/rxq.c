/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Receive queues: set-up, and what ethdev asks about one. The burst itself is in rx.c.
 */
#include <errno.h>
#include <string.h>

#include <rte_malloc.h>
#include <rte_mbuf.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/compat.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"

int
netvsc_rx_queue_setup(struct rte_eth_dev *eth, uint16_t queue, uint16_t nb_desc,
	unsigned int socket, const struct rte_eth_rxconf *conf, struct rte_mempool *mp)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	struct rte_mbuf template = {.nb_segs = 1, .data_off = RTE_PKTMBUF_HEADROOM};
	struct netvsc_rxq *rxq;
	int rc;

	rc = netvsc_check_pool(port, queue, mp, eth->data->mtu,
		eth->data->dev_conf.rxmode.offloads | conf->offloads);
	if (rc == 0)
		rc = netvsc_check_here(port, "a receive queue's set-up");
	if (rc != 0)
		return rc;
	rxq = rte_zmalloc_socket("netvsc_rxq", sizeof(*rxq), RTE_CACHE_LINE_SIZE, (int)socket);
	if (rxq == NULL) {
		NETVSC_LOG(ERR, port,
			"receive queue %u: no memory on socket %d; give EAL more (-m, "
			"--socket-mem)",
			queue, (int)socket);
		return -ENOMEM;
	}
	rxq->port = port;
	rxq->ch = port->channels[queue];
	rxq->mp = mp;
	/* Such mbufs live with their buffers: whoever frees or clones one looks at the flag. */
	if (rte_pktmbuf_priv_flags(mp) & RTE_PKTMBUF_POOL_F_PINNED_EXT_BUF)
		rxq->pool_flags = RTE_MBUF_F_EXTERNAL;
	rxq->room = rte_pktmbuf_data_room_size(mp) - RTE_PKTMBUF_HEADROOM;
	rndis_shape_forget(&rxq->shape);
	rxq->port_id = eth->data->port_id;
	rxq->queue_id = queue;
	rxq->nb_desc = nb_desc;
	rxq->conf = *conf;
	template.port = eth->data->port_id;
	rte_mbuf_refcnt_set(&template, 1);
	memcpy(&rxq->rearm, &template.rearm_data, sizeof(rxq->rearm));
	netvsc_rxq_apply(rxq);
	if (!netvsc_stats_rxq(port, queue, rxq)) {
		rte_free(rxq);
		return -EBUSY;
	}
	eth->data->rx_queues[queue] = rxq;
	return 0;
}

void
netvsc_rx_give_back(struct netvsc_rxq *rxq)
{
	if (rxq == NULL)
		return;
	netvsc_rx_chain_free(&rxq->rsc);
	if (rxq->n_mbufs == 0)
		return;
	rte_mbuf_raw_free_bulk(rxq->mp, rxq->mbufs, rxq->n_mbufs);
	rxq->n_mbufs = 0;
}

void
netvsc_rx_queue_release(struct rte_eth_dev *eth, uint16_t queue)
{
	struct netvsc_rxq *rxq = eth->data->rx_queues[queue];
	bool counted;

	if (rxq == NULL)
		return;
	netvsc_vf_release_queue(rxq->ch);
	counted = netvsc_stats_rxq(rxq->port, queue, NULL);
	eth->data->rx_queues[queue] = NULL;
	/* Somebody is inside, and nobody will know when he has come out. */
	if (!counted || rxq->ch->stuck)
		return;
	/* Another process may have the queue in hand: its burst finds that it is over. */
	if (hpbus_has_peers()) {
		if (!netvsc_channel_lock(rxq->ch, &rxq->ch->rx_lock))
			return;
		rxq->over = true;
		netvsc_channel_unlock(&rxq->ch->rx_lock);
	}
	netvsc_rx_give_back(rxq);
	netvsc_let_go(rxq);
}

void
netvsc_rxq_info_get(struct rte_eth_dev *eth, uint16_t queue, struct rte_eth_rxq_info *info)
{
	const struct netvsc_rxq *rxq = eth->data->rx_queues[queue];

	info->mp = rxq->mp;
	info->nb_desc = rxq->nb_desc;
	info->conf = rxq->conf;
	info->conf.offloads = netvsc_rxq_offloads(rxq);
	info->scattered_rx = rxq->chains;
	info->rx_buf_size = (uint16_t)(rte_pktmbuf_data_room_size(rxq->mp) - RTE_PKTMBUF_HEADROOM);
}
