/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The port of a benchmark's NIC: hands out exactly the frames that it was asked for and counts what
 * comes back. Called on the thread of the host's turn.
 */
#ifndef PMDBENCH_PORT_H
#define PMDBENCH_PORT_H

#include "app/pmdbench/pmdbench.h"
#include "lib/host/port.h"

/** Frames of one turn: a burst for each queue. */
#define PORT_TURN_MAX (BENCH_MAX_QUEUES * BENCH_MAX_BURST)

/** Flows that the host hashes to one queue. */
struct port_flows {
	uint32_t *flow;
	uint32_t n, next;
};

struct bench_port {
	struct host_port port;
	struct host_port_ops ops; /**< its own: what the NIC may do depends on @a inner */
	uint32_t size;
	struct host_port *inner; /**< of hvsim, which makes and takes the frames; or NULL */
	bool check;		 /**< compare every byte of what the guest sends */
	uint64_t number;	 /**< of the next frame for the guest */
	uint32_t asked;		 /**< frames to hand out, each queue in its turn */
	uint32_t handed;	 /**< of them */
	uint32_t queues;
	uint32_t ppis; /**< of the frames of a turn on the other core */
	struct port_flows flows[BENCH_MAX_QUEUES];
	/** Where the frames of this turn lie in the receive buffer. */
	struct host_frame frame[PORT_TURN_MAX];

	uint64_t sent, sent_bytes; /**< by the guest */
	uint64_t bad;		   /**< of them, when they are compared */
};

/** A port that is not a NIC's yet; closing it frees nothing but the lists of flows. */
void bench_port_init(struct bench_port *port);
/**
 * Let a port of hvsim make and take the frames, as many as are asked for; NULL: none any more.
 * @return 0 or a negative errno with a sentence
 */
int bench_port_use(struct bench_port *port, const char *spec, const uint8_t mac[6], char *errbuf,
	size_t errlen);
/** @p frames more for the guest, spread evenly over the queues. */
void bench_port_ask(struct bench_port *port, uint32_t frames);
/** Forget the flows of all queues. */
void bench_port_forget(struct bench_port *port);
/** Flow @p flow goes to @p queue. @return 0 or -ENOMEM */
int bench_port_add(struct bench_port *port, uint32_t queue, uint32_t flow);

#endif
