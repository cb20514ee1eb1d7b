/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bursts of a port that may use a VF: one word of the queue says where a burst goes. Around a call
 * into the VF's driver the queue says that it is inside; whoever has set the word to 0 and then
 * finds that nobody is inside knows that nobody will be (pitfall V4: no lock, and no line that two
 * queues share).
 *
 * The synthetic path is received from in every burst: frames keep coming on it while the VF is in
 * use (spec/nvsp.md §9), and so do the host's messages (pitfall X19).
 */
#include <stdatomic.h>

#include <rte_ethdev.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/tx.h"
#include "drivers/net/netvsc/vf.h"

#define PATH_VF	      UINT32_C(0xffff)
#define PATH_ONE_TIME (PATH_VF + 1)

static inline uint16_t
vf_port(uint32_t path)
{
	return (uint16_t)((path & PATH_VF) - 1);
}

/* @return where to go: 0, and nobody is inside, or the VF's port id + 1, to be left again */
static inline uint32_t
vf_enter(struct netvsc_vf_queue *q)
{
	uint32_t path;

	/* Relaxed, for the fence is what orders it. */
	atomic_store_explicit(&q->inside, 1, memory_order_relaxed);
	/* Pairs with the fence in netvsc_vf_path_is_quiet(): it sees us inside, or we see its word.
	 */
	atomic_thread_fence(memory_order_seq_cst);
	path = atomic_load_explicit(&q->path, memory_order_acquire);
	if (unlikely(path == 0))
		atomic_store_explicit(&q->inside, 0, memory_order_relaxed);
	return path;
}

static inline void
vf_exit(struct netvsc_vf_queue *q)
{
	/* Pairs with the acquire in netvsc_vf_path_is_quiet(): what the burst did is done. */
	atomic_store_explicit(&q->inside, 0, memory_order_release);
}

static uint16_t
vf_rx(struct netvsc_rxq *rxq, struct netvsc_vf_queue *q, struct rte_mbuf **pkts, uint16_t n)
{
	uint32_t path = vf_enter(q);
	uint16_t got, i;

	if (path == 0)
		return 0;
	got = rte_eth_rx_burst(vf_port(path), rxq->queue_id, pkts, n);
	vf_exit(q);
	/* They are the port's, whichever way they came (pitfall X18). */
	for (i = 0; i < got; i++)
		pkts[i]->port = rxq->port_id;
	netvsc_vf_counted(q, got);
	return got;
}

/* Both paths, each of them first in every other burst: neither keeps the array full for itself. */
static __rte_noinline uint16_t
vf_rx_both(struct netvsc_rxq *rxq, struct netvsc_vf_queue *q, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t got;

	/* Who has room for nothing may have no array, either. */
	if (unlikely(n == 0))
		return netvsc_rx_burst(rxq, pkts, 0);
	q->turn ^= 1;
	if (q->turn != 0) {
		got = vf_rx(rxq, q, pkts, n);
		return got + netvsc_rx_burst(rxq, pkts + got, (uint16_t)(n - got));
	}
	got = netvsc_rx_burst(rxq, pkts, n);
	return got < n ? got + vf_rx(rxq, q, pkts + got, (uint16_t)(n - got)) : got;
}

uint16_t
netvsc_vf_rx_burst(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct netvsc_rxq *rxq = queue;
	struct netvsc_vf_queue *q;

	if (unlikely(rxq == NULL))
		return 0;
	q = &rxq->port->vf_rx[rxq->queue_id];
	/* A hint: what is not 0 is looked at again in vf_enter(), which acquires. */
	if (likely(atomic_load_explicit(&q->path, memory_order_relaxed) == 0))
		return netvsc_rx_burst(rxq, pkts, n);
	return vf_rx_both(rxq, q, pkts, n);
}

static __rte_noinline uint16_t
vf_tx(struct netvsc_txq *txq, struct netvsc_vf_queue *q, struct rte_mbuf **pkts, uint16_t n)
{
	uint32_t path = vf_enter(q);
	uint16_t sent;

	if (path == 0)
		return netvsc_tx_burst(txq, pkts, n);
	if (likely((atomic_load_explicit(&q->segs, memory_order_relaxed) |
			   atomic_load_explicit(&q->mtu_segs, memory_order_relaxed)) == 0))
		sent = rte_eth_tx_burst(vf_port(path), txq->queue_id, pkts, n);
	else
		sent = netvsc_vf_tx_segments(txq, q, vf_port(path), pkts, n);
	vf_exit(q);
	netvsc_vf_counted(q, sent);
	/* What went the other way before the switch is freed when the host is done with it. */
	if (unlikely(txq->n_free != txq->nb_desc))
		netvsc_tx_burst(txq, pkts, 0);
	return sent;
}

uint16_t
netvsc_vf_tx_burst(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct netvsc_txq *txq = queue;
	struct netvsc_vf_queue *q;

	if (unlikely(txq == NULL))
		return 0;
	q = &txq->port->vf_tx[txq->queue_id];
	if (likely(atomic_load_explicit(&q->path, memory_order_relaxed) == 0))
		return netvsc_tx_burst(txq, pkts, n);
	return vf_tx(txq, q, pkts, n);
}

/* ---- who asks ---- */

/* Like vf_enter(), for any number of threads at once: it is no burst. */
bool
netvsc_vf_ask_begin(struct netvsc_vf_queue *q, uint16_t *vf)
{
	uint32_t path;

	if (likely(atomic_load_explicit(&q->path, memory_order_relaxed) == 0))
		return false;
	atomic_fetch_add_explicit(&q->asking, 1, memory_order_relaxed);
	/* Pairs with the fence in netvsc_vf_path_is_quiet(), as in vf_enter(). */
	atomic_thread_fence(memory_order_seq_cst);
	path = atomic_load_explicit(&q->path, memory_order_acquire);
	if (path == 0)
		netvsc_vf_ask_end(q);
	*vf = vf_port(path);
	return path != 0;
}

void
netvsc_vf_ask_end(struct netvsc_vf_queue *q)
{
	/* Pairs with the acquire in netvsc_vf_path_is_quiet(), as in vf_exit(). */
	atomic_fetch_sub_explicit(&q->asking, 1, memory_order_release);
}

/* ---- the other side ---- */

static bool
is_called(const struct netvsc_vf_queue *q)
{
	return atomic_load_explicit(&q->inside, memory_order_acquire) != 0 ||
	       atomic_load_explicit(&q->asking, memory_order_acquire) != 0;
}

static void
path_set(struct netvsc_vf_queue *queues, uint32_t path)
{
	unsigned int i;

	/* A burst that finds it finds the VF started. The first is read by who cuts: last. */
	for (i = HPBUS_MAX_CHANNELS; i > 0; i--)
		atomic_store_explicit(&queues[i - 1].path, path, memory_order_release);
}

void
netvsc_vf_path_on(struct netvsc_vf_queue *queues, uint16_t vf)
{
	queues->times += PATH_ONE_TIME;
	path_set(queues, queues->times | (vf + UINT32_C(1)));
}

void
netvsc_vf_path_off(struct netvsc_vf_queue *queues)
{
	path_set(queues, 0);
}

uint32_t
netvsc_vf_path(const struct netvsc_vf_queue *queues)
{
	return atomic_load(&queues->path);
}

void
netvsc_vf_path_cut(struct netvsc_vf_queue *queues, uint32_t path)
{
	uint32_t expected;
	unsigned int i;

	for (i = 0; path != 0 && i < HPBUS_MAX_CHANNELS; i++) {
		expected = path;
		atomic_compare_exchange_strong(&queues[i].path, &expected, 0);
	}
}

static bool
queue_is_inside(const struct netvsc_vf_queue *q)
{
	return atomic_load_explicit(&q->path, memory_order_relaxed) != 0 || is_called(q);
}

bool
netvsc_vf_is_inside(const struct netvsc_port *port, unsigned int queue)
{
	/* Pairs with the one in vf_enter(). */
	atomic_thread_fence(memory_order_seq_cst);
	return queue_is_inside(&port->vf_rx[queue]) || queue_is_inside(&port->vf_tx[queue]);
}

bool
netvsc_vf_path_is_quiet(const struct netvsc_vf_queue *queues)
{
	unsigned int i;

	/* Pairs with the one in vf_enter(). */
	atomic_thread_fence(memory_order_seq_cst);
	for (i = 0; i < HPBUS_MAX_CHANNELS; i++)
		if (is_called(&queues[i]))
			return false;
	return true;
}
