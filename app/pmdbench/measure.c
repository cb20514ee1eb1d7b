/* SPDX-License-Identifier: BSD-3-Clause */
/* One request: prepare, warm up, run, and balance what went in with what came out. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "app/pmdbench/frame.h"
#include "app/pmdbench/measure.h"
#include "app/pmdbench/run.h"

/* Turns before the clock runs: caches, and what a driver sets up late. */
#define WARM_TURNS  64u
#define CHECK_TURNS 16u

uint64_t clock_cost;

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

int
run_fail(struct run *run, int rc, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(run->reply->error, sizeof(run->reply->error), format, ap);
	va_end(ap);
	return rc;
}

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
		rc = run_turn(run);
	return rc;
}

/* What the guest sent, and nothing else, has come out at the host's port. */
static int
balance(struct run *run, uint64_t sent, uint64_t bytes, uint64_t bad)
{
	const struct bench_port *port = &run->host->port;
	enum bench_op op = run->cell->op;
	bool sends = op == BENCH_TX || op == BENCH_FWD || op == BENCH_HOST_SINK ||
		     op == BENCH_HOST_VERIFY;
	struct host_port_stats stats = {0};
	uint64_t frames = sends ? run->reply->frames : 0;

	host_turn(run->host, 0, 0);
	if (op == BENCH_HOST_VERIFY) {
		port->inner->ops->stats(port->inner, &stats);
		if (stats.verified != stats.rx_frames)
			return run_fail(run, -EBADMSG, "%llu frames were made and %llu verified",
				(unsigned long long)stats.rx_frames,
				(unsigned long long)stats.verified);
	}
	if (port->bad != bad)
		return run_fail(run, -EBADMSG, "%llu frames left the guest damaged",
			(unsigned long long)(port->bad - bad));
	if (port->sent - sent != frames)
		return run_fail(run, -EIO, "%llu frames were sent and %llu came out",
			(unsigned long long)frames, (unsigned long long)(port->sent - sent));
	if (run->cell->op == BENCH_TX && port->sent_bytes - bytes != run->reply->bytes)
		return run_fail(run, -EIO, "%llu bytes were sent and %llu came out",
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

/* What hvsim's port makes and takes in such a cell; it checks by itself. */
static int
use_port(struct run *run)
{
	struct bench_host *host = run->host;
	char spec[64] = "sink";

	if (!bench_op_is_host(run->cell->op))
		return bench_port_use(&host->port, NULL, NULL, NULL, 0);
	if (run->cell->op != BENCH_HOST_SINK) {
		if (run->cell->size == BENCH_SIZE_IMIX)
			snprintf(spec, sizeof(spec), "gen:size=imix,flows=%u", run->cell->flows);
		else
			snprintf(spec, sizeof(spec), "gen:size=%u,flows=%u", run->cell->size,
				run->cell->flows);
	}
	return bench_port_use(&host->port, spec, host->device.config.mac, run->reply->error,
		sizeof(run->reply->error));
}

static int
cell_check(struct run *run)
{
	const struct bench_cell *cell = run->cell;

	if (cell->queues < 1 || cell->queues > run->guest->queues || cell->burst < 1 ||
		cell->burst > BENCH_MAX_BURST || cell->ppis > 2 || cell->flows < 1 ||
		(bench_op_is_host(cell->op) && (cell->queues != 1 || cell->cross)) ||
		(cell->size != BENCH_SIZE_IMIX &&
			(cell->size < FRAME_MIN || cell->size > FRAME_MAX)))
		return run_fail(run, -EINVAL, "a cell that this subject does not have");
	return 0;
}

void
measure(struct bench_guest *guest, struct bench_host *host, const struct bench_request *request,
	struct bench_reply *reply)
{
	const struct bench_cell *cell = &request->cell;
	uint64_t turn = (uint64_t)cell->burst * cell->queues;
	struct run run = {guest, host, cell, reply, timed_rx, timed_tx, timed_poll};
	int rc;

	memset(reply, 0, sizeof(*reply));
	rc = cell_check(&run);
	if (rc != 0) {
		reply->rc = rc;
		return;
	}
	host->port.size = cell->size;
	/* First: its thread must not be in the port that is put in another's place. */
	host_set_mode(host, cell->cross ? HOST_CROSS : HOST_PAUSED);
	rc = use_port(&run);
	if (rc != 0) {
		reply->rc = rc;
		return;
	}
	rc = bench_op_is_host(cell->op) ? 0 : run_learn_flows(&run);
	if (rc == 0 && request->what == BENCH_CHECK) {
		run.check = true;
		/* What a generator made it verifies itself. */
		host->port.check = cell->op != BENCH_HOST_VERIFY;
		rc = phase(&run, CHECK_TURNS * turn);
		host->port.check = false;
	} else if (rc == 0) {
		rc = phase(&run, WARM_TURNS * turn);
		if (rc == 0 && request->what == BENCH_COUNT) {
			if (bench_op_is_host(cell->op)) {
				run.poll = counted_poll;
			} else {
				run.rx = counted_rx;
				run.tx = counted_tx;
			}
			count_begin();
			rc = phase(&run, request->frames);
			count_end();
		} else if (rc == 0) {
			rc = phase(&run, request->frames);
		}
	}
	if (rc != 0)
		run_drain(&run);
	/* Nobody spins while another subject has its turn. */
	if (cell->cross)
		host_set_mode(host, HOST_PAUSED);
	reply->rc = rc;
}
