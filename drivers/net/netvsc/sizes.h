/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * How long frames are, as a histogram of each direction, for who asks for it (devarg size_stats).
 * Such a port has bursts of its own, which count around the usual ones: others pay nothing.
 *
 * Counters are written by the lcore of their queue; who reads them holds netvsc_counts.lock.
 */
#ifndef HP_NETVSC_SIZES_H
#define HP_NETVSC_SIZES_H

#include <stdint.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "drivers/bus/vmbus/bus.h"

struct netvsc_port;
struct netvsc_txq;

#define NETVSC_SIZE_BINS 8u

struct netvsc_sizes {
	/** By queue, a cache line each. */
	uint64_t rx[HPBUS_MAX_CHANNELS][NETVSC_SIZE_BINS] __rte_cache_aligned;
	uint64_t tx[HPBUS_MAX_CHANNELS][NETVSC_SIZE_BINS] __rte_cache_aligned;
	/** Of the send burst that a queue is in: what it has taken, and not found unsendable. */
	uint64_t taken[HPBUS_MAX_CHANNELS][NETVSC_SIZE_BINS] __rte_cache_aligned;
	uint64_t base[2 * NETVSC_SIZE_BINS]; /**< as of the last reset, receive first */
};

uint16_t netvsc_rx_burst_sized(void *queue, struct rte_mbuf **pkts, uint16_t n);
uint16_t netvsc_tx_burst_sized(void *queue, struct rte_mbuf **pkts, uint16_t n);
/** Within a send burst: the frame is taken from the caller, but as an error. Any port's, any mbuf.
 */
void netvsc_sizes_not_sent(const struct netvsc_txq *txq, const struct rte_mbuf *m);
/** Counters: 0 where nobody asked for them. */
unsigned int netvsc_sizes_count(const struct netvsc_port *port);
/** @param index < netvsc_sizes_count() */
uint64_t netvsc_sizes_value(const struct netvsc_port *port, unsigned int index);
void netvsc_sizes_name(unsigned int index, char name[RTE_ETH_XSTATS_NAME_SIZE]);
void netvsc_sizes_reset(struct netvsc_port *port);

#endif
