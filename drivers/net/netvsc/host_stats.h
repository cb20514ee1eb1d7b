/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The host's own counters (OIDs of spec/rndis.md §5), as extended statistics. Nobody waits for the
 * host: who reads gets what it said last and makes the housekeeping alarm ask anew, one counter a
 * tick. A host that does not answer is not asked again in this session, and costs nothing else.
 */
#ifndef HP_NETVSC_HOST_STATS_H
#define HP_NETVSC_HOST_STATS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct netvsc_port;

#define NETVSC_HOST_COUNTERS 11u
/** One more value: how often all counters have been asked for. */
#define NETVSC_HOST_STATS (NETVSC_HOST_COUNTERS + 1u)

/** Belongs to whoever has control_lock, unless it is said otherwise. */
struct netvsc_host_stats {
	/**
	 * Sums, which go on where a host begins anew: written by the dispatcher, the last one by
	 * the alarm.
	 */
	_Atomic uint64_t value[NETVSC_HOST_STATS];
	uint64_t base[NETVSC_HOST_STATS];    /**< as of the last reset, under counts.lock */
	uint64_t said[NETVSC_HOST_COUNTERS]; /**< by the host, last; the dispatcher's */
	_Atomic bool wanted;		     /**< somebody has read since the last round began */
	bool round;			     /**< one is under way */
	uint32_t next;			     /**< counter to ask for */

	/* Of this session. */
	uint32_t section; /**< of the send buffer, where pages cannot be named */
	/** The request that is outstanding, beside that of control.h; 0: none. The alarm sets them,
	 * the dispatcher ends them. */
	_Atomic uint64_t trans_id;
	_Atomic uint32_t rndis_id;
	uint32_t asked;		    /**< counter that it is for */
	_Atomic uint32_t not_there; /**< bits of counters that the host does not have */
	_Atomic uint32_t bare;	    /**< of those that are asked for without room for the answer */
	atomic_bool again;	    /**< the last one is, since just now */
};

/** A session begins or is over, and nothing is outstanding. Control side. */
void netvsc_host_stats_forget(struct netvsc_port *port);
/** Ask for the next counter, if that is wanted. The alarm: never waits. control_lock held. */
void netvsc_host_stats_tick(struct netvsc_port *port);

/** Value @p i as told, and wish for a newer one. counts.lock held. */
uint64_t netvsc_host_stats_value(struct netvsc_port *port, unsigned int i);
const char *netvsc_host_stats_name(unsigned int i);
/** counts.lock held. */
void netvsc_host_stats_reset(struct netvsc_port *port);

/** Dispatcher, rx_lock of channel 0 held: is this the completion of ours, or the answer to it? */
bool netvsc_host_stats_completion(
	struct netvsc_port *port, uint64_t trans_id, const void *payload, uint32_t len);
bool netvsc_host_stats_answer(struct netvsc_port *port, const void *msg, uint32_t len);

#endif
