/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Which frames are sent at all. The host refuses a whole packet for one bad message in it, and what
 * is copied into a section must be what was measured: each mbuf is judged before it is packed.
 */
#ifndef HP_NETVSC_TX_FRAME_H
#define HP_NETVSC_TX_FRAME_H

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/tx.h"

/* Both are read as one word. */
static_assert(offsetof(struct rte_mbuf, nb_segs) == offsetof(struct rte_mbuf, refcnt) + 2,
	"nb_segs follows refcnt");

/** How many lengths a frame can have that is an Ethernet header to @p max bytes long. */
static inline uint32_t
netvsc_tx_lengths(uint32_t max)
{
	return max < RTE_ETHER_HDR_LEN ? 0 : max - RTE_ETHER_HDR_LEN + 1;
}

/**
 * One segment in its own buffer, nobody else's, that agrees with itself and has one of
 * these lengths? Nearly every frame is, and can go back to its pool as it is; of the
 * others netvsc_tx_check() says what they are.
 */
static inline bool
netvsc_tx_plain(const struct rte_mbuf *m, uint32_t lengths)
{
	uint32_t refcnt_and_segs;

	if (unlikely(m == NULL))
		return false;
	memcpy(&refcnt_and_segs, &m->refcnt, sizeof(refcnt_and_segs));
	return refcnt_and_segs == 0x00010001 && RTE_MBUF_DIRECT(m) && m->pkt_len == m->data_len &&
	       m->pkt_len - RTE_ETHER_HDR_LEN < lengths && m->data_off + m->pkt_len <= m->buf_len &&
	       m->next == NULL;
}

/**
 * Look at a frame segment by segment.
 * @return 0 it can be sent; -EINVAL, -ENODATA or -EMSGSIZE it cannot; -EFAULT it is no mbuf in use:
 *         there is nothing to free
 */
int netvsc_tx_judge(const struct netvsc_txq *txq, const struct rte_mbuf *m);
/** The same, and count what cannot be sent. */
int netvsc_tx_check(struct netvsc_txq *txq, const struct rte_mbuf *m);

#endif
