/* SPDX-License-Identifier: BSD-3-Clause */
/* Which flows does the host's hash put on which queue? */
#include <errno.h>
#include <stdlib.h>

#include "app/pmdbench/run.h"

/* Where does the host's hash put a flow? Send one frame of it and see. */
static int
learn_flow(struct run *run, uint32_t flow)
{
	unsigned int tries;
	uint32_t q;

	host_turn(run->host, 1, run->cell->ppis);
	for (tries = 0; tries < RUN_MAX_TRIES; tries++)
		for (q = 0; q < run->guest->queues; q++)
			if (run->rx(run->guest, (uint16_t)q, run->pkts, 1) == 1) {
				rte_pktmbuf_free(run->pkts[0]);
				return (int)q;
			}
	return run_fail(run, -ENODATA, "flow %u did not arrive on any queue", flow);
}

int
run_learn_flows(struct run *run)
{
	static uint32_t known_flows, known_queues;
	struct bench_port *port = &run->host->port;
	uint32_t queues = run->cell->queues, flow, *queue_of;
	int rc = 0, q;

	if (known_flows == run->cell->flows && known_queues == queues)
		return 0;
	known_flows = 0;
	bench_port_forget(port);
	queue_of = calloc(run->cell->flows, sizeof(*queue_of));
	if (queue_of == NULL)
		return run_fail(run, -ENOMEM, "no memory for %u flows", run->cell->flows);
	for (flow = 0; rc == 0 && run->guest->queues > 1 && flow < run->cell->flows; flow++) {
		port->queues = 1;
		rc = bench_port_add(port, 0, flow);
		q = rc == 0 ? learn_flow(run, flow) : rc;
		bench_port_forget(port);
		if (q < 0)
			rc = q;
		else
			queue_of[flow] = (uint32_t)q;
	}
	port->queues = queues;
	for (flow = 0; rc == 0 && flow < run->cell->flows; flow++)
		if (queue_of[flow] < queues)
			rc = bench_port_add(port, queue_of[flow], flow);
	free(queue_of);
	for (q = 0; rc == 0 && q < (int)queues; q++)
		if (port->flows[q].n == 0)
			rc = run_fail(run, -EINVAL,
				"none of %u flows goes to queue %d; give more flows",
				run->cell->flows, q);
	if (rc == 0) {
		known_flows = run->cell->flows;
		known_queues = queues;
	}
	return rc;
}
