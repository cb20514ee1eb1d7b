/* SPDX-License-Identifier: BSD-3-Clause */
/* One turn: the host's half, then the guest's calls under the clock; or the other way round. */
#include <errno.h>
#include <string.h>

#include <rte_ether.h>

#include "app/pmdbench/frame.h"
#include "app/pmdbench/run.h"

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
			return run_fail(run, -EBADMSG, "frame %u of a burst arrived damaged", i);
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
			return run_fail(run, -EBADMSG, "%u frames arrived that nobody sent", n);
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

		if (++tries > RUN_MAX_TRIES) {
			rte_pktmbuf_free_bulk(run->pkts + sent, n - sent);
			return run_fail(run, -EAGAIN, "the driver does not take %u frames of %u",
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
		return run_fail(run, -ENOMEM, "no mbufs are left: the driver keeps them");
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
		if (n == 0 && ++tries > RUN_MAX_TRIES)
			rc = run_fail(run, -ENODATA, "queue %u: %u frames of %u did not arrive",
				queue, left, run->cell->burst);
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
		if (n == 0 && ++tries > RUN_MAX_TRIES)
			rc = run_fail(run, -ENODATA, "queue %u: %u frames of %u did not arrive",
				queue, left, run->cell->burst);
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
	return run_fail(run, -EBADMSG, "%u frames arrived that nobody sent", n);
}

/* ---- the host's half alone ---- */

/* Everything that was delivered, back as it is or freed. */
static int
guest_takes(struct run *run, uint32_t left, bool back)
{
	uint32_t tries = 0;

	while (left != 0) {
		uint16_t n = run->rx(run->guest, 0, run->pkts, (uint16_t)left);
		uint16_t sent = back && n != 0 ? run->tx(run->guest, 0, run->pkts, n) : 0;

		rte_pktmbuf_free_bulk(run->pkts + sent, n - sent);
		left -= n;
		if ((back && sent != n) || (n == 0 && ++tries > RUN_MAX_TRIES))
			return run_fail(run, -EIO, "the guest has not taken %u frames of %u", left,
				run->cell->burst);
	}
	return 0;
}

static int
guest_sends(struct run *run)
{
	uint64_t ticks = run->reply->ticks, calls = run->reply->calls;
	int rc = queue_tx(run, 0);

	/* Only the host's calls count. */
	run->reply->ticks = ticks;
	run->reply->calls = calls;
	return rc;
}

static int
host_alone(struct run *run)
{
	const struct bench_cell *cell = run->cell;
	uint32_t frames = cell->op == BENCH_HOST_SINK ? 0 : cell->burst, lost;
	uint64_t began;

	if (cell->op == BENCH_HOST_SINK && guest_sends(run) != 0)
		return -EIO;
	began = clock_read();
	lost = run->poll(run->host, frames);
	clock_charge(run, began);
	run->reply->frames += frames;
	if (lost != 0)
		return run_fail(run, -ENOBUFS, "the host could not deliver %u frames", lost);
	return guest_takes(run, frames, cell->op == BENCH_HOST_VERIFY);
}

int
run_turn(struct run *run)
{
	static int (*const queue_turn[])(struct run *, uint16_t) = {
		[BENCH_RX] = queue_rx,
		[BENCH_TX] = queue_tx,
		[BENCH_FWD] = queue_fwd,
		[BENCH_IDLE] = queue_idle,
	};
	const struct bench_cell *cell = run->cell;
	bool receives = cell->op == BENCH_RX || cell->op == BENCH_FWD;
	uint32_t lost;
	int rc = 0;

	if (bench_op_is_host(cell->op))
		return host_alone(run);
	lost = host_turn(run->host, receives ? cell->burst * cell->queues : 0, cell->ppis);

	if (lost != 0)
		return run_fail(run, -ENOBUFS, "the host could not deliver %u frames", lost);
	for (uint16_t q = 0; q < cell->queues && rc == 0; q++)
		rc = queue_turn[cell->op](run, q);
	return rc;
}

void
run_drain(struct run *run)
{
	for (unsigned int tries = 0; tries < RUN_MAX_TRIES; tries++) {
		host_turn(run->host, 0, 0);
		for (uint32_t q = 0; q < run->guest->queues; q++) {
			uint16_t n = timed_rx(run->guest, (uint16_t)q, run->pkts, BENCH_MAX_BURST);

			rte_pktmbuf_free_bulk(run->pkts, n);
		}
	}
}
