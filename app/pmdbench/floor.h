/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The floor: what moving the frames costs when nothing is checked, locked, counted or signalled.
 * A bare loop on the rings and buffers that our driver has set up: read the descriptor, copy,
 * fill in the mbuf, publish once per burst. No driver can be faster by much; it is no driver.
 *
 * Same thread as all of the guest.
 */
#ifndef PMDBENCH_FLOOR_H
#define PMDBENCH_FLOOR_H

#include <rte_mbuf.h>

#include "app/pmdbench/host.h"

struct floor;

/**
 * Take the rings over from the driver, which must not be used any more, not by EAL's threads
 * either.
 * @return 0 or a negative errno
 */
int floor_create(
	struct floor **out, struct bench_host *host, uint32_t queues, struct rte_mempool *pool);
void floor_destroy(struct floor *floor);
/** As rte_eth_rx_burst(). */
uint16_t floor_rx(struct floor *floor, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);
/** As rte_eth_tx_burst(). Mbufs must have one segment, no other owner, and all one pool. */
uint16_t floor_tx(struct floor *floor, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);

#endif
