/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The guest's half of a subject: DPDK, one port, and the calls that are measured. One thread, the
 * subject's main one.
 */
#ifndef PMDBENCH_GUEST_H
#define PMDBENCH_GUEST_H

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "app/pmdbench/floor.h"
#include "app/pmdbench/host.h"
#include "app/pmdbench/pmdbench.h"

struct bench_guest {
	struct rte_mempool *pool;
	uint32_t queues;
	bool parked;	     /**< EAL's interrupt thread sleeps for good */
	struct floor *floor; /**< NULL: rte_ethdev and the driver behind it */
};

/**
 * Start EAL with the driver under test on the NIC of @p host, and the port with all its queues.
 * @return 0 or a negative errno with a sentence
 */
int guest_start(struct bench_guest *guest, const struct bench_subject_options *options,
	struct bench_host *host, char *errbuf, size_t errlen);
void guest_stop(struct bench_guest *guest);

/*
 * The measured calls. They are never inlined, so that callgrind finds the counted ones by name; the
 * timed ones are the same for turns that it must not count.
 */
typedef uint16_t (*guest_burst)(
	struct bench_guest *guest, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);
uint16_t timed_rx(struct bench_guest *guest, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);
uint16_t timed_tx(struct bench_guest *guest, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);
uint16_t counted_rx(struct bench_guest *guest, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);
uint16_t counted_tx(struct bench_guest *guest, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);

#endif
