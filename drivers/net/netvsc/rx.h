/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The inbound direction. rx.c is a burst, from the ring to the caller's array; rx_ring.c is what
 * else comes in: dispatch of completions and control messages, scanning ahead of receive, receive
 * completions; rxq.c sets queues up.
 */
#ifndef HP_NETVSC_RX_H
#define HP_NETVSC_RX_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/stats.h"

#define NETVSC_RX_BURST 32u /**< mbufs fetched from the pool at a time */

struct netvsc_port;

struct netvsc_rxq {
	struct netvsc_channel *ch;
	struct netvsc_port *port;
	struct rte_mempool *mp;
	uint64_t rearm;
	uint64_t pool_flags; /**< ol_flags that every mbuf of the pool keeps */
	uint16_t port_id, queue_id;
	uint16_t nb_desc;
	uint16_t lock_misses;
	uint16_t n_mbufs;
	uint32_t data_hint;			 /**< where the last frame was in its message */
	struct rte_mbuf *mbufs[NETVSC_RX_BURST]; /**< fetched, not used yet */
	struct netvsc_rxq_stats stats;		 /**< goes on from the queue before it */
	struct rte_eth_rxconf conf;
};

/* ---- rx.c and rxq.c ---- */

uint16_t netvsc_rx_burst(void *rxq, struct rte_mbuf **pkts, uint16_t n);
int netvsc_rx_queue_setup(struct rte_eth_dev *eth, uint16_t queue, uint16_t nb_desc,
	unsigned int socket, const struct rte_eth_rxconf *conf, struct rte_mempool *mp);
/** Give mbufs that were fetched and not used back to the pool; while the queue is stopped. */
void netvsc_rx_give_back(struct netvsc_rxq *rxq);
void netvsc_rx_queue_release(struct rte_eth_dev *eth, uint16_t queue);
void netvsc_rxq_info_get(struct rte_eth_dev *eth, uint16_t queue, struct rte_eth_rxq_info *info);

/* ---- rx_ring.c ---- */

/**
 * Handle completions and control messages without consuming frames; rx_lock held. When nobody
 * receives and the ring is nearly full, frames are completed unread, oldest first.
 */
void netvsc_rx_scan(struct netvsc_channel *ch);
/** Complete everything in the ring unread (the port is stopping); rx_lock held. */
void netvsc_rx_drain(struct netvsc_channel *ch);
/** Scan if the lock can be had; @p misses bounds how often it may fail. */
void netvsc_rx_try_scan(struct netvsc_channel *ch, uint16_t *misses);
/** Remember that a transfer packet must be completed; rx_lock held. */
void netvsc_rx_complete(struct netvsc_channel *ch, uint64_t trans_id, bool ok);
/** Room for one more netvsc_rx_complete()? rx_lock held. */
static inline bool
netvsc_rx_complete_room(const struct netvsc_channel *ch)
{
	return ch->done_head - ch->done_tail <= ch->done_mask;
}
/** Publish what was consumed and send waiting completions; rx_lock held. */
void netvsc_rx_flush(struct netvsc_channel *ch);
/** A completion or control message at the head of the ring; rx_lock held. */
void netvsc_rx_control_packet(
	struct netvsc_channel *ch, const struct vmbus_packet *pkt, uint32_t at);
/** Handle a transfer packet if it carries control. @return whether it did; rx_lock held. */
bool netvsc_rx_control_transfer(
	struct netvsc_channel *ch, const struct vmbus_packet *pkt, uint32_t at);
/** Was the packet at the consume position handled ahead by a scan? rx_lock held. */
bool netvsc_rx_was_handled(struct netvsc_channel *ch);
/** Move consume (and scan with it) past a packet; rx_lock held. */
static inline void
netvsc_rx_consume(struct netvsc_channel *ch, uint32_t total)
{
	vmbus_ring_consume(&ch->in, total);
	ch->consumed += total;
	if (ch->scanned < ch->consumed) {
		ch->scanned = ch->consumed;
		ch->scan_at = ch->in.next_r;
	}
}
/** Header of a transfer packet: ranges, and that it is ours. @return ranges or -EBADMSG */
int netvsc_rx_transfer_header(
	struct netvsc_channel *ch, const struct vmbus_packet *pkt, uint32_t at, uint32_t *first);

#endif
