/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Receive completions. A channel notes them while a burst walks the ring and writes them when it
 * ends. Where the outbound ring has no room they wait, for however long the host takes to read: a
 * host may itself wait until its ring is read before it goes on to ours, so receive must be able to
 * take all that can be outstanding (pitfall X10). That is a transfer packet for each section of the
 * receive buffer; but the sections are one port's, not one channel's, and so is the pool of memory
 * for completions that wait in such number. It is lent in blocks, which are filled and emptied as
 * a whole: not many are needed beyond what the sections are, and nothing is searched.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/trace.h"
#include "drivers/net/netvsc/wire.h"

/* Completions of a block, as the bits of a word say which are failures. */
#define BLOCK 64u

struct netvsc_rx_waiting {
	struct netvsc_rx_waiting *next;
	uint64_t failed;  /* bit i: the i-th completes with failure */
	uint32_t written; /* so many have been */
	uint64_t trans_id[BLOCK];
};

static_assert(NETVSC_DONE_MAX == 2 * BLOCK, "a channel with blocks has as many itself");

struct rx_completion {
	struct vmbus_packet pkt;
	uint32_t type, status;
};

/* ---- the port's pool; its lock is a leaf, held for a few instructions ---- */

int
netvsc_rx_pool_init(struct netvsc_rx_pool *pool, uint32_t sections, int socket)
{
	/*
	 * One more than none. A channel's oldest block may be half written, but as long as it has
	 * blocks it has as many completions as fill another one itself.
	 */
	uint32_t i, n = sections / BLOCK + 1;

	netvsc_rx_pool_free(pool);
	rte_spinlock_init(&pool->lock);
	pool->blocks = netvsc_session_memory("netvsc_done", n * sizeof(*pool->blocks), socket);
	if (pool->blocks == NULL)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		pool->blocks[i].next = pool->free;
		pool->free = &pool->blocks[i];
	}
	return 0;
}

void
netvsc_rx_pool_free(struct netvsc_rx_pool *pool)
{
	netvsc_session_memory_free(pool->blocks);
	pool->blocks = pool->free = NULL;
}

/* @return NULL: there is none, or the lock cannot be had just now */
static struct netvsc_rx_waiting *
pool_take(struct netvsc_rx_pool *pool)
{
	struct netvsc_rx_waiting *block;

	if (pool->blocks == NULL || !netvsc_channel_lock_soon(&pool->lock))
		return NULL;
	block = pool->free;
	if (block != NULL)
		pool->free = block->next;
	netvsc_channel_unlock(&pool->lock);
	return block;
}

static bool
pool_give(struct netvsc_rx_pool *pool, struct netvsc_rx_waiting *block)
{
	if (!netvsc_channel_lock_soon(&pool->lock))
		return false;
	block->next = pool->free;
	pool->free = block;
	netvsc_channel_unlock(&pool->lock);
	return true;
}

/* ---- waiting ---- */

void
netvsc_rx_done_begin(struct netvsc_channel *ch)
{
	/* What waited for a host that had the channel before: the pool is another one, too. */
	ch->waiting = ch->waiting_last = NULL;
	ch->n_waiting = 0;
	ch->done_head = ch->done_tail = 0;
}

bool
netvsc_rx_make_room(struct netvsc_channel *ch)
{
	struct netvsc_rx_waiting *block = pool_take(&ch->port->done_pool);
	uint32_t i;

	if (block == NULL)
		return false;
	block->next = NULL;
	block->failed = 0;
	block->written = 0;
	for (i = 0; i < BLOCK; i++) {
		const struct netvsc_rx_done *done = &ch->done[ch->done_tail++ % NETVSC_DONE_MAX];

		block->trans_id[i] = done->trans_id;
		if (done->status != NVSP_STATUS_SUCCESS)
			block->failed |= 1ull << i;
	}
	if (ch->waiting == NULL)
		ch->waiting = block;
	else
		ch->waiting_last->next = block;
	ch->waiting_last = block;
	ch->n_waiting += BLOCK;
	return true;
}

/* ---- writing ---- */

/* Write one completion in place. @return whether there was room for it */
static inline bool
rx_write_one(struct vmbus_ring_writer *out, uint64_t trans_id, uint32_t status)
{
	struct rx_completion msg = {.type = NVSP_TYPE_RNDIS_COMPLETE, .status = status};

	if (unlikely(!vmbus_ring_writer_room(out, sizeof(msg), 0)))
		return false;
	vmbus_packet_init(
		&msg.pkt, VMBUS_PACKET_COMPLETION, sizeof(msg.pkt), sizeof(msg), 0, trans_id);
	memcpy(vmbus_ring_writer_at(out), &msg, sizeof(msg));
	vmbus_ring_writer_end(out, sizeof(msg));
	return true;
}

/* Those in the pool; tx_lock held. @return whether that was all of them */
static __rte_noinline bool
rx_write_waiting(struct netvsc_channel *ch)
{
	struct netvsc_rx_waiting *block, *next;
	bool bad;

	for (block = ch->waiting; block != NULL; block = next) {
		for (; block->written < BLOCK; block->written++, ch->n_waiting--) {
			bad = block->failed >> block->written & 1;
			if (!rx_write_one(&ch->out, block->trans_id[block->written],
				    bad ? NVSP_STATUS_FAILURE : NVSP_STATUS_SUCCESS))
				return false;
		}
		next = block->next;
		if (!pool_give(&ch->port->done_pool, block))
			return false;
		ch->waiting = next;
	}
	return true;
}

/* Write as many completions of the channel's own as fit; tx_lock held. */
static inline void
rx_write_own(struct netvsc_channel *ch)
{
	/* A copy: what is written to the ring could be anything's memory to the compiler. */
	struct vmbus_ring_writer out = ch->out;
	uint32_t tail = ch->done_tail, head = ch->done_head;

	for (; tail != head; tail++) {
		const struct netvsc_rx_done *done = &ch->done[tail % NETVSC_DONE_MAX];

		if (unlikely(!rx_write_one(&out, done->trans_id, done->status))) {
			ch->stats.done_deferred++;
			break;
		}
	}
	ch->done_tail = tail;
	ch->out = out;
}

/* Write as many completions as fit; tx_lock held. */
static inline void
rx_write_done(struct netvsc_channel *ch)
{
	if (likely(ch->waiting == NULL) || rx_write_waiting(ch))
		rx_write_own(ch);
	else
		ch->stats.done_deferred++;
}

/* @param traced a constant */
static __rte_always_inline void
rx_flush(struct netvsc_channel *ch, const bool traced)
{
	bool signal;

	/* A hint, as in netvsc_rx_flush(). */
	if (unlikely(atomic_load_explicit(&ch->released, memory_order_relaxed) != NULL ||
		     ch->releasing != NULL))
		netvsc_rx_take_released(ch);
	/* If the lock cannot be had they wait for the next flush. */
	if (ch->done_tail != ch->done_head && netvsc_channel_lock_soon(&ch->tx_lock)) {
		rx_write_done(ch);
		if (traced)
			netvsc_wire_out(ch);
		signal = vmbus_ring_publish_both(&ch->out, &ch->in, true);
		netvsc_channel_unlock(&ch->tx_lock);
		if (unlikely(ch->out.corrupt))
			netvsc_port_broken(ch->port, "the host broke the outbound ring");
	} else {
		signal = vmbus_ring_reader_publish(&ch->in, true);
	}
	if (signal) {
		ch->stats.doorbells++;
		netvsc_trace_doorbell(ch->port->flight.port_id, ch->index, 0);
		hpbus_channel_signal(netvsc_bus_of(ch->port), &ch->bus);
	}
}

void
netvsc_rx_flush_done(struct netvsc_channel *ch)
{
	rx_flush(ch, false);
}

void
netvsc_rx_flush_any(struct netvsc_channel *ch)
{
	if (likely(ch->wire == NULL))
		rx_flush(ch, false);
	else
		rx_flush(ch, true);
}
