/* SPDX-License-Identifier: BSD-3-Clause */
/* The port of a benchmark's NIC. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app/pmdbench/frame.h"
#include "app/pmdbench/port.h"

static uint32_t
next_flow(struct port_flows *flows)
{
	uint32_t flow;

	if (flows->n == 0)
		return 0;
	flow = flows->flow[flows->next];
	if (++flows->next == flows->n)
		flows->next = 0;
	return flow;
}

static unsigned int
receive(struct host_port *base, struct host_frame *frames, unsigned int n)
{
	struct bench_port *port = (struct bench_port *)base;
	unsigned int i;

	if (port->inner != NULL) {
		if (n > port->asked - port->handed)
			n = port->asked - port->handed;
		i = n == 0 ? 0 : port->inner->ops->receive(port->inner, frames, n);
		port->handed += i;
		return i;
	}
	for (i = 0; i < n && port->handed < port->asked; i++) {
		uint32_t len = frame_size(port->size, port->number);
		uint32_t queue = port->handed % port->queues;

		if (len > frames[i].room)
			break;
		frame_write(frames[i].data, len, FRAME_TO_GUEST, next_flow(&port->flows[queue]),
			port->number++);
		frames[i].len = len;
		port->frame[port->handed++] = frames[i];
	}
	return i;
}

static void
send(struct host_port *base, const struct host_frame *frames, unsigned int n)
{
	struct bench_port *port = (struct bench_port *)base;

	port->sent += n;
	if (port->inner != NULL) {
		port->inner->ops->send(port->inner, frames, n);
		/* That counts by itself: a second time would be no cost of the host. */
		if (!port->check)
			return;
	}
	for (unsigned int i = 0; i < n; i++) {
		port->sent_bytes += frames[i].len;
		if (port->check && frame_check(frames[i].data, frames[i].len, FRAME_FROM_GUEST,
					   port->size) != 0)
			port->bad++;
	}
}

static int
no_fd(struct host_port *port)
{
	return -1;
}

static uint64_t
deadline(struct host_port *base)
{
	const struct bench_port *port = (struct bench_port *)base;

	return port->handed < port->asked ? 0 : UINT64_MAX;
}

static void
close_port(struct host_port *port)
{
	bench_port_forget((struct bench_port *)port);
	bench_port_use((struct bench_port *)port, NULL, NULL, NULL, 0);
}

static const struct host_port_ops usual_ops = {
	.kind = "bench",
	.receive = receive,
	.send = send,
	.fd = no_fd,
	.deadline = deadline,
	.close = close_port,
	.on_demand = true,
};

void
bench_port_init(struct bench_port *port)
{
	memset(port, 0, sizeof(*port));
	port->ops = usual_ops;
	port->port.ops = &port->ops;
	port->queues = 1;
}

int
bench_port_use(struct bench_port *port, const char *spec, const uint8_t mac[6], char *errbuf,
	size_t errlen)
{
	int rc;

	if (port->inner != NULL)
		port->inner->ops->close(port->inner);
	port->inner = NULL;
	port->ops = usual_ops;
	rc = spec == NULL ? 0 : host_port_open(spec, mac, &port->inner, errbuf, errlen);
	if (port->inner == NULL)
		return rc;
	/* The NIC deals with it as with the port that it stands for. */
	port->ops.in_place = port->inner->ops->in_place;
	if (port->inner->ops->receive == NULL)
		port->ops.receive = NULL;
	return 0;
}

void
bench_port_ask(struct bench_port *port, uint32_t frames)
{
	port->asked = frames;
	port->handed = 0;
}

void
bench_port_forget(struct bench_port *port)
{
	for (unsigned int i = 0; i < BENCH_MAX_QUEUES; i++) {
		free(port->flows[i].flow);
		port->flows[i] = (struct port_flows){.flow = NULL};
	}
}

int
bench_port_add(struct bench_port *port, uint32_t queue, uint32_t flow)
{
	struct port_flows *flows = &port->flows[queue];

	/* Grows at every power of two. */
	if ((flows->n & (flows->n - 1)) == 0) {
		uint32_t room = flows->n == 0 ? 1 : flows->n * 2;
		uint32_t *more = realloc(flows->flow, room * sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		flows->flow = more;
	}
	flows->flow[flows->n++] = flow;
	return 0;
}
