/* SPDX-License-Identifier: BSD-3-Clause */
/* Turns of host and guest, and what the guest's calls took. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ether.h>
#include <rte_pause.h>

#include "app/pmdbench/frame.h"
#include "app/pmdbench/measure.h"

/* Turns before the clock runs: caches, and what a driver sets up late. */
#define WARM_TURNS  64u
#define CHECK_TURNS 16u
/* Calls in a row that may bring nothing, where the host has delivered or taken everything. */
#define MAX_TRIES 64u

struct run {
	struct bench_guest *guest;
	struct bench_host *host;
	const struct bench_cell *cell;
	struct bench_reply *reply;
	guest_burst rx, tx;
	bool check;
	struct rte_mbuf *pkts[BENCH_MAX_BURST];
	uint64_t number; /* of the next frame that the guest makes */
};

/* ---- the clock ---- */

static uint64_t clock_cost;

/* Everything before has been done, nothing after has begun. */
static inline uint64_t
clock_read(void)
{
#if defined(__x86_64__)
	uint64_t ticks;

	__builtin_ia32_lfence();
	ticks = rte_rdtsc();
	__builtin_ia32_lfence();
	return ticks;
#else
	return rte_rdtsc_precise();
#endif
}

void
measure_calibrate(void)
{
	clock_cost = UINT64_MAX;
	for (unsigned int i = 0; i < 10000; i++) {
		uint64_t began = clock_read(), took = clock_read() - began;

		if (took < clock_cost)
			clock_cost = took;
	}
}

static inline void
clock_charge(struct run *run, uint64_t began)
{
	uint64_t took = clock_read() - began;

	run->reply->ticks += took > clock_cost ? took - clock_cost : 0;
	run->reply->calls++;
}

/* ---- one turn ---- */

static int __rte_format_printf(3, 4) fail(struct run *run, int rc, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(run->reply->error, sizeof(run->reply->error), format, ap);
	va_end(ap);
	return rc;
}

/* Frames that the guest has received and keeps: compare if need be, count. */
static int
took(struct run *run, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = run->pkts[i];

		run->reply->bytes += m->pkt_len;
		if (run->check && (m->nb_segs != 1 || m->data_len != m->pkt_len ||
					  frame_check(rte_pktmbuf_mtod(m, uint8_t *), m->data_len,
						  FRAME_TO_GUEST, run->cell->size) != 0))
			return fail(run, -EBADMSG, "frame %u of a burst arrived damaged", i);
	}
	run->reply->frames += n;
	return 0;
}

/* As l2fwd touches every frame. */
static inline void
swap_addresses(struct rte_mbuf *m)
{
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	struct rte_ether_addr address = eth->dst_addr;

	eth->dst_addr = eth->src_addr;
	eth->src_addr = address;
}

/* What a driver has out on other queues may keep this one waiting: applications poll them all. */
static int
poll_all(struct run *run)
{
	struct rte_mbuf *pkts[BENCH_MAX_BURST];
	uint16_t q, n;

	for (q = 0; q < run->cell->queues; q++) {
		uint64_t began = clock_read();

		n = run->rx(run->guest, q, pkts, BENCH_MAX_BURST);
		clock_charge(run, began);
		if (n != 0) {
			rte_pktmbuf_free_bulk(pkts, n);
			return fail(run, -EBADMSG, "%u frames arrived that nobody sent", n);
		}
	}
	return 0;
}

static int
send_rest(struct run *run, uint16_t queue, uint16_t sent, uint16_t n)
{
	unsigned int tries = 0;

	while (sent < n) {
		uint64_t began;
		uint16_t more;

		if (++tries > MAX_TRIES) {
			rte_pktmbuf_free_bulk(run->pkts + sent, n - sent);
			return fail(run, -EAGAIN, "the driver does not take %u frames of %u",
				n - sent, n);
		}
		/* As after any full queue: the host works on, and the call is repeated. */
		if (host_turn(run->host, 0, 0) != 0)
			return -EIO;
		if (run->cell->op == BENCH_TX && poll_all(run) != 0)
			return -EBADMSG;
		began = clock_read();
		more = run->tx(run->guest, queue, run->pkts + sent, (uint16_t)(n - sent));
		clock_charge(run, began);
		sent = (uint16_t)(sent + more);
	}
	return 0;
}

static int
queue_tx(struct run *run, uint16_t queue)
{
	uint16_t n = (uint16_t)run->cell->burst, sent, i;
	uint64_t began;

	if (rte_pktmbuf_alloc_bulk(run->guest->pool, run->pkts, n) != 0)
		return fail(run, -ENOMEM, "no mbufs are left: the driver keeps them");
	for (i = 0; i < n; i++) {
		struct rte_mbuf *m = run->pkts[i];
		uint32_t len = frame_size(run->cell->size, run->number);

		frame_write(rte_pktmbuf_mtod(m, uint8_t *), len, FRAME_FROM_GUEST, queue,
			run->number++);
		m->data_len = (uint16_t)len;
		m->pkt_len = len;
		run->reply->bytes += len;
	}
	began = clock_read();
	sent = run->tx(run->guest, queue, run->pkts, n);
	clock_charge(run, began);
	run->reply->frames += n;
	return sent == n ? 0 : send_rest(run, queue, sent, n);
}

static int
queue_rx(struct run *run, uint16_t queue)
{
	uint32_t left = run->cell->burst, tries = 0;
	int rc = 0;

	while (left != 0 && rc == 0) {
		uint64_t began = clock_read();
		uint16_t n = run->rx(run->guest, queue, run->pkts, (uint16_t)left);

		clock_charge(run, began);
		rc = took(run, n);
		rte_pktmbuf_free_bulk(run->pkts, n);
		left -= n;
		if (n == 0 && ++tries > MAX_TRIES)
			rc = fail(run, -ENODATA, "queue %u: %u frames of %u did not arrive", queue,
				left, run->cell->burst);
	}
	return rc;
}

static int
queue_fwd(struct run *run, uint16_t queue)
{
	uint32_t left = run->cell->burst, tries = 0;
	int rc = 0;

	while (left != 0 && rc == 0) {
		uint16_t n, i, sent = 0;
		uint64_t began = clock_read();

		n = run->rx(run->guest, queue, run->pkts, (uint16_t)left);
		for (i = 0; i < n; i++)
			swap_addresses(run->pkts[i]);
		if (n != 0)
			sent = run->tx(run->guest, queue, run->pkts, n);
		clock_charge(run, began);
		run->reply->frames += n;
		left -= n;
		if (sent != n)
			rc = send_rest(run, queue, sent, n);
		if (n == 0 && ++tries > MAX_TRIES)
			rc = fail(run, -ENODATA, "queue %u: %u frames of %u did not arrive", queue,
				left, run->cell->burst);
	}
	return rc;
}

static int
queue_idle(struct run *run, uint16_t queue)
{
	uint64_t began;
	uint16_t n;

	began = clock_read();
	n = run->rx(run->guest, queue, run->pkts, (uint16_t)run->cell->burst);
	clock_charge(run, began);
	run->reply->frames++;
	if (n == 0)
		return 0;
	rte_pktmbuf_free_bulk(run->pkts, n);
	return fail(run, -EBADMSG, "%u frames arrived that nobody sent", n);
}

static int
one_turn(struct run *run)
{
	static int (*const queue_turn[])(struct run *, uint16_t) = {
		[BENCH_RX] = queue_rx,
		[BENCH_TX] = queue_tx,
		[BENCH_FWD] = queue_fwd,
		[BENCH_IDLE] = queue_idle,
	};
	const struct bench_cell *cell = run->cell;
	bool receives = cell->op == BENCH_RX || cell->op == BENCH_FWD;
	uint32_t lost = host_turn(run->host, receives ? cell->burst * cell->queues : 0, cell->ppis);
	int rc = 0;

	if (lost != 0)
		return fail(run, -ENOBUFS, "the host could not deliver %u frames", lost);
	for (uint16_t q = 0; q < cell->queues && rc == 0; q++)
		rc = queue_turn[cell->op](run, q);
	return rc;
}

/* ---- flows ---- */

/* Where does the host's hash put a flow? Send one frame of it and see. */
static int
learn_flow(struct run *run, uint32_t flow)
{
	unsigned int tries;
	uint16_t q;

	host_turn(run->host, 1, run->cell->ppis);
	for (tries = 0; tries < MAX_TRIES; tries++)
		for (q = 0; q < run->guest->queues; q++)
			if (run->rx(run->guest, q, run->pkts, 1) == 1) {
				rte_pktmbuf_free(run->pkts[0]);
				return q;
			}
	return fail(run, -ENODATA, "flow %u did not arrive on any queue", flow);
}

/*
 * Give every queue of the cell its flows, about as many as its share. Kept while cells have the
 * same queues and flows.
 */
static int
learn_flows(struct run *run)
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
		return fail(run, -ENOMEM, "no memory for %u flows", run->cell->flows);
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
			rc = fail(run, -EINVAL,
				"none of %u flows goes to queue %d; give more flows",
				run->cell->flows, q);
	if (rc == 0) {
		known_flows = run->cell->flows;
		known_queues = queues;
	}
	return rc;
}

/* ---- one request ---- */

__rte_noinline void
count_begin(void)
{
	__asm__ volatile("# begin");
}

__rte_noinline void
count_end(void)
{
	__asm__ volatile("# end");
}

static int
turns(struct run *run, uint64_t frames)
{
	int rc = 0;

	while (rc == 0 && run->reply->frames < frames)
		rc = one_turn(run);
	return rc;
}

/* What the guest sent, and nothing else, has come out at the host's port. */
static int
balance(struct run *run, uint64_t sent, uint64_t bytes, uint64_t bad)
{
	const struct bench_port *port = &run->host->port;
	bool sends = run->cell->op == BENCH_TX || run->cell->op == BENCH_FWD;
	uint64_t frames = sends ? run->reply->frames : 0;

	host_turn(run->host, 0, 0);
	if (port->bad != bad)
		return fail(run, -EBADMSG, "%llu frames left the guest damaged",
			(unsigned long long)(port->bad - bad));
	if (port->sent - sent != frames)
		return fail(run, -EIO, "%llu frames were sent and %llu came out",
			(unsigned long long)frames, (unsigned long long)(port->sent - sent));
	if (run->cell->op == BENCH_TX && port->sent_bytes - bytes != run->reply->bytes)
		return fail(run, -EIO, "%llu bytes were sent and %llu came out",
			(unsigned long long)run->reply->bytes,
			(unsigned long long)(port->sent_bytes - bytes));
	return 0;
}

/* Turns as @p what wants them; the reply counts only these. */
static int
phase(struct run *run, uint64_t frames)
{
	const struct bench_port *port = &run->host->port;
	uint64_t sent = port->sent, bytes = port->sent_bytes, bad = port->bad;
	int rc;

	memset(run->reply, 0, sizeof(*run->reply));
	rc = turns(run, frames);
	return rc != 0 ? rc : balance(run, sent, bytes, bad);
}

static int
cell_check(struct run *run)
{
	const struct bench_cell *cell = run->cell;

	if (cell->queues < 1 || cell->queues > run->guest->queues || cell->burst < 1 ||
		cell->burst > BENCH_MAX_BURST || cell->ppis > 2 || cell->flows < 1 ||
		(cell->size != BENCH_SIZE_IMIX &&
			(cell->size < FRAME_MIN || cell->size > FRAME_MAX)))
		return fail(run, -EINVAL, "a cell that this subject does not have");
	return 0;
}

void
measure(struct bench_guest *guest, struct bench_host *host, const struct bench_request *request,
	struct bench_reply *reply)
{
	const struct bench_cell *cell = &request->cell;
	uint64_t turn = (uint64_t)cell->burst * cell->queues;
	struct run run = {guest, host, cell, reply, timed_rx, timed_tx};
	int rc;

	memset(reply, 0, sizeof(*reply));
	rc = cell_check(&run);
	if (rc != 0) {
		reply->rc = rc;
		return;
	}
	host->port.size = cell->size;
	host_set_mode(host, cell->cross ? HOST_CROSS : HOST_PAUSED);
	rc = learn_flows(&run);
	if (rc == 0 && request->what == BENCH_CHECK) {
		run.check = host->port.check = true;
		rc = phase(&run, CHECK_TURNS * turn);
		host->port.check = false;
	} else if (rc == 0) {
		rc = phase(&run, WARM_TURNS * turn);
		if (rc == 0 && request->what == BENCH_COUNT) {
			run.rx = counted_rx;
			run.tx = counted_tx;
			count_begin();
			rc = phase(&run, request->frames);
			count_end();
		} else if (rc == 0) {
			rc = phase(&run, request->frames);
		}
	}
	/* Nobody spins while another subject has its turn. */
	if (cell->cross)
		host_set_mode(host, HOST_PAUSED);
	reply->rc = rc;
}
