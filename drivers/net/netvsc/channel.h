/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * One channel: its two rings with a lock each, and what belongs to either direction. Opened and
 * closed by the control side (channel.c); the inbound direction is walked by rx.c and rx_ring.c,
 * the outbound one is written by tx.c. See port.h for the order of locks.
 */
#ifndef HP_NETVSC_CHANNEL_H
#define HP_NETVSC_CHANNEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_common.h>
#include <rte_pause.h>
#include <rte_spinlock.h>

#include "drivers/bus/vmbus/bus.h"
#include "drivers/net/netvsc/process.h"
#include "drivers/net/netvsc/stats.h"
#include "lib/netvsp/rndis.h"

/** Control messages handled ahead of receive. */
#define NETVSC_HANDLED_MAX 32u
/** Failed try-locks in a row before a burst waits for the lock (pitfall T20). */
#define NETVSC_TRYLOCK_LIMIT 8u
/** Completions that a channel has room for by itself; more go to the port's pool (rx_done.c). */
#define NETVSC_DONE_MAX 128u
/** Looks at a lock before a burst does without it: some ten microseconds. */
#define NETVSC_LOCK_LOOKS 500u

/** An lcore that has not received for so long does something else just now. */
#define NETVSC_UNPOLLED_MS 2

struct netvsc_port;
struct netvsc_rx_transfer;
struct netvsc_rx_waiting;
struct netvsc_txq;
struct netvsc_wire;

/** A transfer packet of which a burst has taken some ranges but not all. */
struct netvsc_rx_cursor {
	const uint8_t *range; /**< the next one, in the ring */
	uint32_t left;	      /**< ranges not taken; 0: there is no such packet */
	uint32_t ranges;      /**< ranges that it came with */
	uint32_t total;	      /**< bytes of the packet in the ring */
	uint64_t trans_id;
	bool alone; /**< it has one range, which may be a control message */
	bool bad;   /**< a range was malformed: complete with failure */
	struct netvsc_rx_transfer *transfer; /**< others read it, too; NULL: the burst alone */
	struct rndis_rsc rsc; /**< fragments lie in one packet (spec/rndis.md §4.3) */
};

/** A port's memory for receive completions that wait for the host (rx_done.c). */
struct netvsc_rx_pool {
	rte_spinlock_t lock;
	struct netvsc_rx_waiting *blocks, *free;
};

/** A receive completion that waits for the end of the burst, or for room in the outbound ring. */
struct netvsc_rx_done {
	uint64_t trans_id;
	uint32_t status;
};

/**
 * What may be done with a channel's rings, and who may. Changed by the control side only, with both
 * locks held, and read under either: whoever has made it less knows that nobody is inside any more,
 * and that nobody who comes later goes on.
 */
enum netvsc_channel_state {
	NETVSC_CHANNEL_CLOSED,	/**< nothing: there are no rings */
	NETVSC_CHANNEL_OPEN,	/**< the control side brings up, drains, takes down */
	NETVSC_CHANNEL_RUNNING, /**< bursts, too */
};

struct netvsc_channel {
	struct netvsc_port *port;
	struct netvsc_txq *_Atomic txq; /**< whose sends complete here, or NULL */
	struct hpbus_channel bus;
	uint16_t index;
	struct netvsc_wire *wire; /**< the primary's: its packets are traced (wire.h); else NULL */
	enum netvsc_channel_state state; /**< see netvsc_channel_set() */
	/**
	 * Of a running channel: the processes that have its rings mapped, and of these those whose
	 * bursts go on, when the receive queue is started and when the send queue is.
	 */
	uint64_t live, rx_on, tx_on;

	/* Inbound, under rx_lock. */
	rte_spinlock_t rx_lock __rte_cache_aligned;
	struct vmbus_ring_reader in;
	uint32_t ahead; /**< bytes behind the consume position that a scan has looked at */
	uint32_t n_handled;
	struct netvsc_rx_cursor cursor;
	uint32_t done_head, done_tail; /**< of @a done */
	/** In the port's pool, older than those in @a done, which is not empty while there are any.
	 */
	struct netvsc_rx_waiting *waiting, *waiting_last;
	uint32_t n_waiting;
	uint32_t opened; /**< how often so far */
	struct netvsc_rx_transfer *transfers, *free_transfers;
	struct netvsc_rx_transfer *_Atomic released; /**< pushed by any thread */
	struct netvsc_rx_transfer *releasing;	     /**< taken from @a released */
	uint32_t handled[NETVSC_HANDLED_MAX];	     /**< ring indices of control done ahead */
	uint64_t polls; /**< receive bursts so far: netvsc_channel_polled() */
	uint64_t high_polls, high_since;
	struct netvsc_channel_stats stats, base;     /**< base: as of the last reset */
	struct netvsc_rx_done done[NETVSC_DONE_MAX]; /**< ring of completions to send */

	/* The control side's. */
	bool stuck; /**< somebody is inside who does not come out: netvsc_channel_stuck() */
	/** See netvsc_channel_is_polled(). */
	uint64_t seen_polls;
	int64_t seen_at; /**< CLOCK_MONOTONIC, milliseconds */

	/* Outbound, under tx_lock. */
	rte_spinlock_t tx_lock __rte_cache_aligned;
	struct vmbus_ring_writer out;
};

/** Map the rings; the control side may use them then. @return 0 or a negative errno, all undone */
int netvsc_channel_open(struct netvsc_port *port, unsigned int index);
/**
 * Unmap the rings, when nobody is inside any more. The host must not touch the channel any more
 * (reset), or be told right after.
 * @return false: the channel is stuck, and all stays
 */
bool netvsc_channel_close(struct netvsc_channel *ch);
/**
 * Of an open channel; RUNNING with both of its queues. Control side.
 * @return true: no burst is inside that may not be; false: the channel is stuck, somebody is, and
 *         none that comes later goes on
 */
bool netvsc_channel_set(struct netvsc_channel *ch, enum netvsc_channel_state state);
/** Make it RUNNING, with bursts of these queues only; otherwise the same. */
bool netvsc_channel_run(struct netvsc_channel *ch, bool rx_on, bool tx_on);

/* ---- channel_lock.c: control side ---- */

/** Wait for a lock, but not for longer than the operation may take. @return whether it was taken */
bool netvsc_lock_in_time(rte_spinlock_t *lock);
/**
 * The same for a lock of @p ch. If it cannot be had, the channel is stuck and the port broken,
 * which is told; from then on the answer is false at once.
 */
bool netvsc_channel_lock(struct netvsc_channel *ch, rte_spinlock_t *lock);
/** The rest of a send burst's wait for a lock that somebody has; bounded, too. @return taken? */
bool netvsc_channel_lock_to_send(rte_spinlock_t *lock);
/** Somebody is inside of @p where, for a message, and does not come out: the same. */
void netvsc_channel_stuck(struct netvsc_channel *ch, const char *where);
/** Is no channel stuck (any more)? */
bool netvsc_channels_free(struct netvsc_port *port);

/**
 * May a lcore of a burst in this process touch this channel's rings? Ask under the lock of the
 * direction.
 */
static inline bool
netvsc_channel_live(const struct netvsc_channel *ch)
{
	return (ch->live & netvsc_process.bit) != 0;
}

/** May a receive burst take frames? rx_lock held. */
static inline bool
netvsc_channel_receives(const struct netvsc_channel *ch)
{
	return (ch->rx_on & netvsc_process.bit) != 0;
}

/** May a send burst go on? tx_lock held. */
static inline bool
netvsc_channel_sends(const struct netvsc_channel *ch)
{
	return (ch->tx_on & netvsc_process.bit) != 0;
}

/**
 * Look at the rings of a channel in any process, for a moment; the primary has control_lock.
 * @return false: they are not there, or somebody has them who does not let go
 */
bool netvsc_channel_look(struct netvsc_channel *ch);
void netvsc_channel_look_end(struct netvsc_channel *ch);

/** Are there rings at all? For the control side and the housekeeping alarm; under a lock of it. */
static inline bool
netvsc_channel_is_open(const struct netvsc_channel *ch)
{
	return ch->state != NETVSC_CHANNEL_CLOSED;
}

/** Take a lock if nobody has it; of all that processes share, none is taken in another way. */
static inline bool
netvsc_trylock(rte_spinlock_t *lock)
{
	return netvsc_lock_word_try(&lock->locked);
}

/**
 * Take a lock of a channel in a burst. Its holder has little left to do, but it may be a control
 * thread that is not scheduled just now, and no lcore waits for that.
 * @return whether it was taken; if not, the burst does without
 */
static inline bool
netvsc_channel_lock_soon(rte_spinlock_t *lock)
{
	unsigned int looks;

	for (looks = 0; !netvsc_trylock(lock); looks++) {
		if (looks == NETVSC_LOCK_LOOKS)
			return false;
		rte_pause();
	}
	return true;
}

/**
 * Release a lock of a channel. A release store is all it takes: rte_spinlock_unlock() on x86 is a
 * second locked instruction per lock, which costs as much as what an empty poll does under it.
 */
static inline void
netvsc_channel_unlock(rte_spinlock_t *lock)
{
	netvsc_lock_word_release(&lock->locked);
}

/** A receive burst is inside; rx_lock held. Others look at the count without the lock. */
static inline void
netvsc_channel_polled(struct netvsc_channel *ch)
{
	__atomic_store_n(&ch->polls, ch->polls + 1, __ATOMIC_RELAXED);
}

/** Receive bursts so far, for who does not hold rx_lock. */
static inline uint64_t
netvsc_channel_polls(const struct netvsc_channel *ch)
{
	return __atomic_load_n(&ch->polls, __ATOMIC_RELAXED);
}

/**
 * Does an lcore receive here? Then the ring is left to it, whatever is waited for: it must not find
 * the lock with a thread that is not scheduled. Control side.
 */
static inline bool
netvsc_channel_is_polled(struct netvsc_channel *ch)
{
	uint64_t polls = netvsc_channel_polls(ch);
	int64_t now = hpbus_now_ms();

	if (ch->state != NETVSC_CHANNEL_RUNNING)
		return false;
	if (polls != ch->seen_polls) {
		ch->seen_polls = polls;
		ch->seen_at = now;
	}
	return now - ch->seen_at < NETVSC_UNPOLLED_MS;
}

#endif
