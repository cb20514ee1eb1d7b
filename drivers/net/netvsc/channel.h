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
#include <rte_spinlock.h>

#include "drivers/bus/vmbus/bus.h"
#include "drivers/net/netvsc/stats.h"

/** Control messages handled ahead of receive. */
#define NETVSC_HANDLED_MAX 32u
/** Failed try-locks in a row before a burst waits for the lock (pitfall T20). */
#define NETVSC_TRYLOCK_LIMIT 8u

struct netvsc_port;
struct netvsc_txq;

/** A transfer packet of which a burst has taken some ranges but not all. */
struct netvsc_rx_cursor {
	bool active;
	bool bad;	     /**< a range was malformed: complete with failure */
	uint32_t total;	     /**< bytes of the packet in the ring */
	uint32_t next_range; /**< ring index of the next range */
	uint32_t left;	     /**< ranges not taken */
	uint64_t trans_id;
};

/** A receive completion that waits for room in the outbound ring. */
struct netvsc_rx_done {
	uint64_t trans_id;
	uint32_t status;
};

struct netvsc_channel {
	struct netvsc_port *port;
	struct netvsc_txq *_Atomic txq; /**< whose sends complete here, or NULL */
	struct hpbus_channel bus;
	uint16_t index;
	bool open;

	/* Inbound, under rx_lock. */
	rte_spinlock_t rx_lock __rte_cache_aligned;
	struct vmbus_ring_reader in;
	uint64_t consumed, scanned; /**< bytes since open; scanned >= consumed */
	uint32_t scan_at;	    /**< ring index that belongs to @a scanned */
	struct netvsc_rx_cursor cursor;
	uint32_t n_handled;
	uint64_t handled[NETVSC_HANDLED_MAX]; /**< positions of control packets done ahead */
	struct netvsc_rx_done *done;	      /**< ring of completions to send */
	uint32_t done_head, done_tail, done_mask;
	uint64_t polls; /**< receive bursts so far */
	uint64_t high_polls, high_since;
	struct netvsc_channel_stats stats, base; /**< base: as of the last reset */
	uint64_t tick_polls;			 /**< polls as of the last housekeeping tick */

	/* Outbound, under tx_lock. */
	rte_spinlock_t tx_lock __rte_cache_aligned;
	struct vmbus_ring_writer out;
};

int netvsc_channel_open(struct netvsc_port *port, unsigned int index);
/** The host must not touch the channel any more (reset), or be told right after. */
void netvsc_channel_close(struct netvsc_channel *ch);

/**
 * May this channel's rings be touched? Ask under the lock of the direction that is about to be
 * used: whoever closes a channel holds both.
 */
static inline bool
netvsc_channel_live(const struct netvsc_channel *ch)
{
	return ch->open;
}

#endif
