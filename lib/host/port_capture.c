/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A port in front of another that writes down the frames which pass (capture=): those for the guest
 * as they came, those of the guest as they go. It is there only where it was asked for.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/host/trace_file.h"

struct port_capture {
	struct host_port port;
	struct host_port_ops ops; /* what the other can do, by functions of ours */
	struct host_port *inner;
	struct trace *trace;
	int interface;
	uint32_t snaplen;
};

static void
capture(struct port_capture *p, const struct host_frame *frames, unsigned int n,
	enum trace_flags flags)
{
	uint64_t now = n == 0 ? 0 : trace_clock();
	struct iovec part;
	unsigned int i;

	for (i = 0; i < n; i++) {
		part.iov_base = frames[i].data;
		part.iov_len = frames[i].len < p->snaplen ? frames[i].len : p->snaplen;
		trace_put(p->trace, p->interface, now, flags, &part, 1, frames[i].len);
	}
}

static unsigned int
capture_receive(struct host_port *port, struct host_frame *frames, unsigned int n)
{
	struct port_capture *p = (struct port_capture *)port;
	unsigned int got = p->inner->ops->receive(p->inner, frames, n);

	capture(p, frames, got < n ? got : n, TRACE_FLAG_INBOUND);
	return got;
}

static void
capture_send(struct host_port *port, const struct host_frame *frames, unsigned int n)
{
	struct port_capture *p = (struct port_capture *)port;

	capture(p, frames, n, TRACE_FLAG_OUTBOUND);
	p->inner->ops->send(p->inner, frames, n);
}

static void
capture_flush(struct host_port *port)
{
	struct port_capture *p = (struct port_capture *)port;

	p->inner->ops->flush(p->inner);
}

static int
capture_fd(struct host_port *port)
{
	struct port_capture *p = (struct port_capture *)port;

	return p->inner->ops->fd(p->inner);
}

static uint64_t
capture_deadline(struct host_port *port)
{
	struct port_capture *p = (struct port_capture *)port;

	return p->inner->ops->deadline(p->inner);
}

static void
capture_stats(struct host_port *port, struct host_port_stats *stats)
{
	struct port_capture *p = (struct port_capture *)port;

	p->inner->ops->stats(p->inner, stats);
}

static void
capture_set_rate(struct host_port *port, uint64_t rate)
{
	struct port_capture *p = (struct port_capture *)port;

	p->inner->ops->set_rate(p->inner, rate);
}

static void
capture_close(struct host_port *port)
{
	struct port_capture *p = (struct port_capture *)port;

	p->inner->ops->close(p->inner);
	host_trace_close(p->trace, TRACE_CLOSE_MS);
	free(p);
}

struct host_port *
port_capture_new(struct host_port *inner, struct trace *trace, uint32_t snaplen, const char *name,
	const char *description)
{
	struct port_capture *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->inner = inner;
	p->trace = trace;
	p->snaplen = snaplen;
	p->interface = trace_interface(trace, TRACE_LINK_ETHERNET, name, description);
	/*
	 * No function of the other's may be called with this port: what it does not have stays
	 * NULL, and so does what this file does not know of. Nor is in_place: what is written down
	 * is what goes on, not memory that the guest still writes.
	 */
	p->ops = (struct host_port_ops){
		.kind = inner->ops->kind,
		.receive = inner->ops->receive == NULL ? NULL : capture_receive,
		.send = capture_send,
		.flush = inner->ops->flush == NULL ? NULL : capture_flush,
		.fd = inner->ops->fd == NULL ? NULL : capture_fd,
		.deadline = inner->ops->deadline == NULL ? NULL : capture_deadline,
		.stats = inner->ops->stats == NULL ? NULL : capture_stats,
		.close = capture_close,
		.set_rate = inner->ops->set_rate == NULL ? NULL : capture_set_rate,
		.on_demand = inner->ops->on_demand,
		.carries_work = inner->ops->carries_work,
	};
	p->port.ops = &p->ops;
	return &p->port;
}
