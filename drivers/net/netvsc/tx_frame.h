/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Which frames are sent at all. The host refuses a whole packet for one bad message in it, and what
 * is copied into a section must be what was measured: each mbuf is judged before it is packed.
 */
#ifndef HP_NETVSC_TX_FRAME_H
#define HP_NETVSC_TX_FRAME_H

#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/tx.h"

/**
 * One segment, nobody else's, that agrees with itself and has a length that the host takes? Nearly
 * every frame is; of the others netvsc_tx_check() says what they are.
 */
static inline bool
netvsc_tx_plain(const struct netvsc_txq *txq, const struct rte_mbuf *m)
{
	return m != NULL && m->nb_segs == 1 && rte_mbuf_refcnt_read(m) == 1 &&
	       m->pkt_len == m->data_len &&
	       m->pkt_len - RTE_ETHER_HDR_LEN <= txq->max_frame - RTE_ETHER_HDR_LEN &&
	       (uint32_t)m->data_off + m->data_len <= m->buf_len && m->next == NULL;
}

/**
 * Look at a frame segment by segment.
 * @return 0 it can be sent; -EINVAL or -EMSGSIZE it cannot, which is counted: free it; -EFAULT it
 *         is no mbuf in use: there is nothing to free
 */
int netvsc_tx_check(struct netvsc_txq *txq, const struct rte_mbuf *m);

#endif
