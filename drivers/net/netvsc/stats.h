/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Counters: what each lcore counts is written by it alone; what is reported is derived from that
 * and from what earlier queues of the same number counted (stats.c).
 */
#ifndef HP_NETVSC_STATS_H
#define HP_NETVSC_STATS_H

#include <stdint.h>
#include <stdio.h>

#include <rte_ethdev.h>
#include <rte_spinlock.h>

#include "drivers/bus/vmbus/bus.h"

struct netvsc_port;
struct netvsc_rxq;
struct netvsc_txq;
struct netvsc_tx_slot;
struct eth_queue_stats; /* compat.h, before 25.11 */

struct netvsc_channel_stats {
	uint64_t rx_malformed;	       /**< frames (or packets of them) that made no sense */
	uint64_t rx_control_malformed; /**< control messages that made no sense */
	uint64_t rx_dropped_unpolled;  /**< dropped unread so that completions could pass (X1) */
	uint64_t rx_dropped_stopped;   /**< ... or because port or queue is stopped */
	uint64_t rx_lent;	       /**< frames received that were not copied */
	uint64_t rx_unknown_packets;   /**< ring packets of a type nobody sends */
	uint64_t tx_bad_completions;   /**< completions with an id that is not in flight */
	uint64_t doorbells;	       /**< signals sent to the host */
	uint64_t done_deferred;	       /**< receive completions that had to wait for ring room */
};

/** Counted by the receiving lcore. */
struct netvsc_rxq_stats {
	uint64_t packets, bytes;
	uint64_t batches;  /**< bursts that took any of them */
	uint64_t no_mbuf;  /**< frames dropped because the pool was empty */
	uint64_t too_long; /**< ... because they do not fit one mbuf */
};

/** Counted by the sending lcore; see stats.c for what is reported of them. */
struct netvsc_txq_stats {
	uint64_t packets, bytes;	 /**< written to the ring */
	uint64_t errors;		 /**< not sent: refused by the host, or never sendable */
	uint64_t refused, refused_bytes; /**< of those in @a packets since the last reset */
	uint64_t failed;		 /**< refused by the host, whenever sent */
	uint64_t over, over_bytes;	 /**< of @a packets: not in flight any more */
};

struct netvsc_tx_drops {
	uint64_t ring_full;   /**< bursts cut short: no room in the ring */
	uint64_t no_slot;     /**< ... every descriptor is in flight */
	uint64_t no_section;  /**< ... no send-buffer section and not sendable by reference */
	uint64_t runt;	      /**< frames dropped: shorter than an Ethernet header */
	uint64_t oversize;    /**< ... longer than the host takes */
	uint64_t bad_mbuf;    /**< ... the mbuf contradicts itself */
	uint64_t unsendable;  /**< ... can be sent neither by copy nor by reference */
	uint64_t bad_offload; /**< ... ask for an offload that their headers contradict */
	uint64_t dma_lookups; /**< pieces of memory looked up, not found in @a netvsc_txq.runs */
	uint64_t by_reference, aggregated; /**< frames sent each way */
	uint64_t reaped;    /**< VMBus packets that they went in and that have been freed since */
	uint64_t doorbells; /**< signals sent to the host */
	/** Frames whose session ended before the host had completed them: it may have them or not.
	 */
	uint64_t unanswered;
};

/** What has been counted for a queue number, whichever queues had it; under the lock. */
struct netvsc_rxq_counts {
	struct netvsc_rxq *queue;	    /**< counts now, or NULL: @a kept has it all */
	struct netvsc_rxq_stats kept, base; /**< base: as of the last reset */
};

struct netvsc_txq_counts {
	struct netvsc_txq *queue;
	struct netvsc_txq_stats kept, base;
	struct netvsc_tx_drops drops_kept, drops_base;
	uint64_t told_packets, told_bytes; /**< most that was reported since the last reset */
};

struct netvsc_counts {
	rte_spinlock_t lock; /**< innermost, held for a few loads and stores */
	struct netvsc_rxq_counts rx[HPBUS_MAX_CHANNELS];
	struct netvsc_txq_counts tx[HPBUS_MAX_CHANNELS];
	uint64_t path_base[2]; /**< frames that went through VFs, received and sent, as of then */
};

/** @param queues NULL: nobody asks for them */
int netvsc_stats_get(
	struct rte_eth_dev *eth, struct rte_eth_stats *stats, struct eth_queue_stats *queues);
int netvsc_stats_reset(struct rte_eth_dev *eth);
int netvsc_xstats_get(struct rte_eth_dev *eth, struct rte_eth_xstat *xstats, unsigned int n);
int netvsc_xstats_get_names(
	struct rte_eth_dev *eth, struct rte_eth_xstat_name *names, unsigned int n);
int netvsc_xstats_get_by_id(
	struct rte_eth_dev *eth, const uint64_t *ids, uint64_t *values, unsigned int n);
int netvsc_xstats_get_names_by_id(struct rte_eth_dev *eth, const uint64_t *ids,
	struct rte_eth_xstat_name *names, unsigned int n);
int netvsc_xstats_reset(struct rte_eth_dev *eth);
int netvsc_priv_dump(struct rte_eth_dev *eth, FILE *f);
/** What is told of one queue, without what went through VFs; errors only of receive. */
struct netvsc_queue_told {
	uint64_t packets, bytes, errors;
};

/** The lock is held. */
void netvsc_stats_rx_queue(
	const struct netvsc_port *port, unsigned int queue, struct netvsc_queue_told *told);
void netvsc_stats_tx_queue(
	struct netvsc_port *port, unsigned int queue, struct netvsc_queue_told *told);
/** Frames that went through VFs: received (0) or sent (1). The lock is held. */
uint64_t netvsc_stats_path(const struct netvsc_port *port, unsigned int direction);
/**
 * A queue begins to count for its number, or (NULL) the one that did is released.
 * @return false: somebody who reads counts does not go on; nothing is changed
 */
bool netvsc_stats_rxq(struct netvsc_port *port, uint16_t queue, struct netvsc_rxq *rxq);
bool netvsc_stats_txq(struct netvsc_port *port, uint16_t queue, struct netvsc_txq *txq);
/** Count a packet that the host refused. The queue's lcore. */
void netvsc_stats_refused(struct netvsc_txq *txq, const struct netvsc_tx_slot *slot);

#endif
