/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rings are traced by position: from what was traced last to what has been seen, or written, by
 * now. Where another process has polled meanwhile the position is nowhere any more; what it took is
 * missing in the trace.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/thread.h"
#include "drivers/net/netvsc/tx.h"
#include "drivers/net/netvsc/wire.h"
#include "lib/trace/trace_vmbus.h"

/* A close is not to take longer for it (control.c). */
#define CLOSE_MS 200

struct netvsc_wire {
	struct trace *trace;
	struct trace_tap tap;
	uint32_t in[HPBUS_MAX_CHANNELS];  /* under the channel's rx_lock */
	uint32_t out[HPBUS_MAX_CHANNELS]; /* ... tx_lock */
};

/* ---- what packets name ---- */

/*
 * A page of a send: of its header, or of memory that the burst has just looked up, or what it has
 * forgotten again for other memory, where addresses are those of the host, too. This is in a burst:
 * EAL's answer to where an address lies takes its lock, whose holder may be waiting for a host.
 */
static const void *
wire_sent_page(const struct netvsc_txq *txq, uint64_t iova)
{
	const struct hpbus_dma_run *run;
	struct hpbus_dma_run found;
	size_t i, headers;

	for (run = txq->runs; run != txq->runs + NETVSC_DMA_RUNS; run++)
		if (run->usable && iova - (run->start + run->offset) < run->len)
			return (const void *)(uintptr_t)(iova - run->offset);
	headers = RTE_ALIGN_CEIL((size_t)txq->nb_desc * txq->header_room, VMBUS_PAGE_SIZE) /
		  VMBUS_PAGE_SIZE;
	for (i = 0; i < headers; i++)
		if (txq->headers_iova[i] == iova)
			return txq->headers + i * VMBUS_PAGE_SIZE;
	found = hpbus_dma_lookup(netvsc_bus_of(txq->port), (uintptr_t)iova);
	return found.usable && found.offset == 0 ? (const void *)(uintptr_t)iova : NULL;
}

/* A page of ours, which is what we name; tx_lock held. */
static const void *
wire_page(void *ctx, uint64_t pfn)
{
	const struct netvsc_channel *ch = ctx;
	const struct rte_memzone *zone = ch->port->control_zone;
	const struct netvsc_txq *txq = atomic_load_explicit(&ch->txq, memory_order_acquire);
	uint64_t iova = pfn * VMBUS_PAGE_SIZE;

	if (zone != NULL && iova - zone->iova < zone->len)
		return (const uint8_t *)zone->addr + (iova - zone->iova);
	return txq != NULL ? wire_sent_page(txq, iova) : NULL;
}

/* @param direction of what is traced: a host names none of our pages, whatever it says */
static struct trace_memory
wire_memory(struct netvsc_channel *ch, enum trace_direction direction)
{
	struct netvsc_port *port = ch->port;

	return (struct trace_memory){
		.recv = port->recv.base,
		.send = port->bus->send.base,
		.recv_length = (uint32_t)port->recv.len,
		.send_length = (uint32_t)port->bus->send.len,
		.send_section = port->session.send_section,
		.page = direction == TRACE_TO_HOST ? wire_page : NULL,
		.ctx = ch,
	};
}

/* ---- packets ---- */

/* Trace a ring from @at to @end. @return how far */
static uint32_t
wire_ring(struct netvsc_channel *ch, const struct vmbus_ring *ring, uint32_t at, uint32_t end,
	enum trace_direction direction)
{
	struct trace_memory memory = wire_memory(ch, direction);
	struct vmbus_packet pkt;
	int total;

	while (at != end) {
		total = vmbus_ring_peek_at(ring, at, vmbus_ring_used(ring->size, end, at), &pkt);
		if (total < 0)
			return end; /* who reads the ring will say so */
		trace_ring_packet(&ch->wire->tap, ch->index, direction, ring, at,
			(uint32_t)total - VMBUS_TRAILER_SIZE, &memory);
		at = vmbus_ring_advance(ring->size, at, (uint32_t)total);
	}
	return at;
}

void
netvsc_wire_in(struct netvsc_channel *ch)
{
	const struct vmbus_ring_reader *in = &ch->in;
	uint32_t size = in->ring.size, *at;

	if (!netvsc_is_primary())
		return;
	at = &ch->wire->in[ch->index];
	if (vmbus_ring_used(size, *at, in->next_r) >
		vmbus_ring_used(size, in->cached_w, in->next_r))
		*at = in->next_r;
	*at = wire_ring(ch, &in->ring, *at, in->cached_w, TRACE_TO_GUEST);
}

void
netvsc_wire_out(struct netvsc_channel *ch)
{
	const struct vmbus_ring_writer *out = &ch->out;
	uint32_t size = out->ring.size, *at;

	if (!netvsc_is_primary() || !ch->wire->tap.data)
		return;
	at = &ch->wire->out[ch->index];
	if (vmbus_ring_used(size, out->next_w, *at) >
		vmbus_ring_used(size, out->next_w, out->cached_r))
		*at = out->published_w;
	*at = wire_ring(ch, &out->ring, *at, out->next_w, TRACE_TO_HOST);
}

void
netvsc_wire_sent(struct netvsc_channel *ch, const void *packet, uint32_t len)
{
	struct trace_memory memory;

	if (!netvsc_is_primary())
		return;
	if (ch->wire->tap.data) {
		netvsc_wire_out(ch);
		return;
	}
	memory = wire_memory(ch, TRACE_TO_HOST);
	trace_packet(&ch->wire->tap, ch->index, TRACE_TO_HOST, packet, (len + 7) & ~7u, &memory);
}

/* ---- channels ---- */

void
netvsc_wire_opened(struct netvsc_channel *ch)
{
	struct netvsc_wire *wire = ch->port->wire;
	struct trace_memory memory;

	ch->wire = wire != NULL && (ch->index == 0 || wire->tap.data) ? wire : NULL;
	if (ch->wire == NULL)
		return;
	wire->in[ch->index] = ch->in.next_r;
	wire->out[ch->index] = ch->out.next_w;
	memory = wire_memory(ch, TRACE_EVENT);
	trace_event(&wire->tap, ch->index, TRACE_EVENT_OPENED, &memory);
}

void
netvsc_wire_closed(struct netvsc_channel *ch)
{
	struct trace_memory memory;

	if (ch->wire == NULL)
		return;
	memory = wire_memory(ch, TRACE_EVENT);
	trace_event(&ch->wire->tap, ch->index, TRACE_EVENT_CLOSED, &memory);
	ch->wire = NULL;
}

bool
netvsc_wire_has_data(const struct netvsc_channel *ch)
{
	return ch->wire != NULL && ch->wire->tap.data;
}

/* ---- the file ---- */

static void
wire_complain(const char *what)
{
	rte_log(RTE_LOG_ERR, netvsc_logtype, "hyperpoll: %s\n", what);
}

struct wire_start {
	void *(*run)(void *);
	void *arg;
};

static netvsc_thread_result
wire_run(void *arg)
{
	struct wire_start start = *(struct wire_start *)arg;

	free(arg);
	start.run(start.arg);
	return (netvsc_thread_result)0;
}

/* Not on the CPU of an lcore. */
static int
wire_start(pthread_t *thread, void *(*run)(void *), void *arg)
{
	struct wire_start *start = malloc(sizeof(*start));
	netvsc_thread id;
	int rc;

	if (start == NULL)
		return ENOMEM;
	*start = (struct wire_start){run, arg};
	rc = netvsc_thread_begin(&id, "hyperpoll-trace", wire_run, start);
	if (rc != 0) {
		free(start);
		return rc < 0 ? -rc : rc;
	}
	/* Both are pthread's, whatever they are called. */
	static_assert(sizeof(id) == sizeof(*thread), "a thread of pthread");
	memcpy(thread, &id, sizeof(*thread));
	return 0;
}

int
netvsc_wire_begin(struct netvsc_port *port)
{
	const struct trace_options options = {.path = port->config.trace,
		.application = "hyperpoll guest",
		.complain = wire_complain,
		.start = wire_start};
	char why[512], name[TRACE_NAME], description[TRACE_NAME];
	struct netvsc_wire *wire;
	int rc;

	if (port->config.trace[0] == '\0')
		return 0;
	wire = calloc(1, sizeof(*wire));
	if (wire == NULL) {
		NETVSC_LOG(ERR, port, "devargs key trace: no memory; do without it");
		return -ENOMEM;
	}
	rc = trace_open(&wire->trace, &options, why, sizeof(why));
	if (rc != 0) {
		NETVSC_LOG(ERR, port, "devargs key trace: %s", why);
		free(wire);
		return rc;
	}
	snprintf(name, sizeof(name), "port%u", port->port_id);
	snprintf(description, sizeof(description), "guest, %.50s", port->bus->name);
	trace_tap_init(&wire->tap, wire->trace, name, description, port->config.trace_snaplen);
	wire->tap.flags = TRACE_SEEN_BY_GUEST;
	wire->tap.data = port->config.trace_data;
	wire->tap.control_ids = NETVSC_TID_CONTROL;
	port->wire = wire;
	return 0;
}

void
netvsc_wire_end(struct netvsc_port *port)
{
	struct netvsc_wire *wire = port->wire;

	if (wire == NULL)
		return;
	port->wire = NULL;
	if (!trace_close_within(wire->trace, CLOSE_MS))
		NETVSC_LOG(WARNING, port,
			"the trace is not complete: its file does not take what is left");
	free(wire);
}
