/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames of more segments than a VF takes. dev_info tells its limit while it is there; a VF that
 * comes after the application has looked may have a lower one than the application was told, and
 * what its driver makes of a longer chain is its own affair. So they are copied into as few mbufs
 * as they need. A port whose application sends no chains (RTE_ETH_TX_OFFLOAD_MULTI_SEGS), or whose
 * VF has no limit, does not come here.
 */
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/sizes.h"
#include "drivers/net/netvsc/tx.h"
#include "drivers/net/netvsc/vf.h"

void
netvsc_vf_segments_set(struct netvsc_vf_queue *queues, uint16_t segs, uint16_t mtu_segs)
{
	unsigned int i;

	for (i = 0; i < HPBUS_MAX_CHANNELS; i++) {
		atomic_store_explicit(&queues[i].segs, segs, memory_order_relaxed);
		atomic_store_explicit(&queues[i].mtu_segs, mtu_segs, memory_order_relaxed);
	}
}

/* 0 means what it means in dev_info: no limit. */
bool
netvsc_vf_segments_fit(const struct netvsc_vf_queue *q, const struct rte_mbuf *m)
{
	uint16_t most = m->ol_flags & RTE_MBUF_F_TX_TCP_SEG
				? atomic_load_explicit(&q->segs, memory_order_relaxed)
				: atomic_load_explicit(&q->mtu_segs, memory_order_relaxed);

	return most == 0 || m->nb_segs <= most;
}

/* A pool whose mbufs have room: that of what a clone is of, not the clone's. */
static struct rte_mempool *
pool_of(const struct rte_mbuf *m)
{
	struct rte_mempool *mp =
		RTE_MBUF_CLONED(m) ? rte_mbuf_from_indirect((struct rte_mbuf *)(uintptr_t)m)->pool
				   : m->pool;

	return rte_pktmbuf_data_room_size(mp) > RTE_PKTMBUF_HEADROOM ? mp : NULL;
}

/* @return whether @p m is done with: sent as a copy, or never sendable; else it is tried again */
static bool
send_copy(struct netvsc_txq *txq, struct netvsc_vf_queue *q, uint16_t vf, struct rte_mbuf *m)
{
	struct rte_mempool *mp = pool_of(m);
	struct rte_mbuf *copy = mp != NULL ? rte_pktmbuf_copy(m, mp, 0, UINT32_MAX) : NULL;
	bool sendable = mp != NULL && (copy == NULL || netvsc_vf_segments_fit(q, copy));

	if (!sendable) {
		txq->stats.errors++;
		netvsc_sizes_not_sent(txq, m);
		txq->drops.unsendable++;
		netvsc_vf_counted(q, -1); /* the burst counts what is done with */
	} else if (copy == NULL || rte_eth_tx_burst(vf, txq->queue_id, &copy, 1) == 0) {
		rte_pktmbuf_free(copy);
		return false;
	}
	if (!sendable)
		rte_pktmbuf_free(copy);
	rte_pktmbuf_free(m);
	return true;
}

uint16_t
netvsc_vf_tx_segments(struct netvsc_txq *txq, struct netvsc_vf_queue *q, uint16_t vf,
	struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t done = 0, run;

	while (done < n) {
		for (run = done; run < n && netvsc_vf_segments_fit(q, pkts[run]); run++)
			;
		if (run != done)
			done += rte_eth_tx_burst(vf, txq->queue_id, pkts + done, run - done);
		if (done != run || run == n || !send_copy(txq, q, vf, pkts[run]))
			break;
		done++;
	}
	return done;
}
