/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Round trips of single frames through whatever port EAL has found, whose other end sends every
 * frame back; or wake-ups by frames that the other end generates.
 * Usage: [EAL options] -- RATE SECONDS STARTED [sleep|wake]
 *
 * RATE frames per second are due at even distances; a round trip begins when its frame was due, not
 * when it could be sent, so that a stall counts against all frames that it held. STARTED is the
 * monotonic clock in nanoseconds when the process was started. With "sleep" the lcore sleeps until
 * the frame that it has sent is back, instead of polling. Prints one line of JSON.
 *
 * With "wake" the lcore sends nothing and sleeps until a frame comes. Frames of hvsim's generator
 * say when they were made (latency=on), which is just before the host writes them to the ring and
 * signals: a wake-up is from then until rte_epoll_wait() has returned. RATE is what they come at.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_debug.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_interrupts.h>

#include "lib/host/gen_frame.h"
#include "lib/vmbus/clock.h"

#define PORT	    0
#define BURST	    32
#define FRAME	    64
#define FIRST_TRIES 30 /* seconds that the first frame may take */
#define LOST_MS	    1000
#define MAX_SAMPLES (16u << 20)

struct stamp {
	struct rte_ether_hdr eth;
	uint64_t magic, due;
} __attribute__((packed, aligned(2)));
#define MAGIC UINT64_C(0x68706c6174656e63)

static struct rte_mempool *pool;
static struct rte_ether_addr own;
static uint64_t *samples; /* ticks, or nanoseconds where the host has measured, too */
static uint32_t n_samples;
static uint64_t sent;

static void
port_start(bool sleepy)
{
	const struct rte_eth_conf conf = {.intr_conf = {.rxq = sleepy}};
	uint16_t n_rx = 1024, n_tx = 512;
	int rc;

	if (!rte_eth_dev_is_valid_port(PORT))
		rte_exit(EXIT_FAILURE, "no port\n");
	pool = rte_pktmbuf_pool_create(
		"latency", 8191, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (pool == NULL)
		rte_exit(EXIT_FAILURE, "no memory for mbufs\n");
	rc = rte_eth_dev_configure(PORT, 1, 1, &conf);
	if (rc == 0)
		rc = rte_eth_dev_adjust_nb_rx_tx_desc(PORT, &n_rx, &n_tx);
	if (rc == 0)
		rc = rte_eth_rx_queue_setup(PORT, 0, n_rx, SOCKET_ID_ANY, NULL, pool);
	if (rc == 0)
		rc = rte_eth_tx_queue_setup(PORT, 0, n_tx, SOCKET_ID_ANY, NULL);
	if (rc == 0)
		rc = rte_eth_dev_start(PORT);
	if (rc == 0 && sleepy)
		rc = rte_eth_dev_rx_intr_ctl_q(
			PORT, 0, RTE_EPOLL_PER_THREAD, RTE_INTR_EVENT_ADD, NULL);
	if (rc == 0)
		rc = rte_eth_macaddr_get(PORT, &own);
	if (rc != 0)
		rte_exit(EXIT_FAILURE, "the port does not start: %s\n", strerror(-rc));
}

static void
send_one(uint64_t due)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	struct stamp *stamp;

	if (m == NULL)
		return;
	stamp = rte_pktmbuf_mtod(m, struct stamp *);
	memset(stamp, 0, FRAME);
	/* To ourselves: it comes back as it is. */
	stamp->eth.dst_addr = own;
	stamp->eth.src_addr = own;
	stamp->eth.ether_type = rte_cpu_to_be_16(0x88b5);
	stamp->magic = MAGIC;
	stamp->due = due;
	m->data_len = m->pkt_len = FRAME;
	if (rte_eth_tx_burst(PORT, 0, &m, 1) != 1)
		rte_pktmbuf_free(m);
	else
		sent++;
}

static unsigned int
receive(bool record)
{
	struct rte_mbuf *pkts[BURST];
	uint16_t n = rte_eth_rx_burst(PORT, 0, pkts, BURST), i;
	uint64_t now = rte_rdtsc();
	unsigned int ours = 0;

	for (i = 0; i < n; i++) {
		const struct stamp *stamp = rte_pktmbuf_mtod(pkts[i], const struct stamp *);

		if (pkts[i]->data_len >= sizeof(*stamp) && stamp->magic == MAGIC) {
			ours++;
			if (record && n_samples < MAX_SAMPLES)
				samples[n_samples++] = now - stamp->due;
		}
		rte_pktmbuf_free(pkts[i]);
	}
	return ours;
}

/* Until the other end is there, frames are lost: send now and then. @return when one came back */
static uint64_t
first_frame(void)
{
	uint64_t hz = rte_get_tsc_hz(), end = rte_rdtsc() + FIRST_TRIES * hz, next = 0, now;

	while ((now = rte_rdtsc()) < end) {
		if (now >= next) {
			send_one(now);
			next = now + hz / 10000;
		}
		if (receive(false) != 0)
			return monotonic_ns();
	}
	rte_exit(EXIT_FAILURE, "no frame has come back\n");
}

/* Events may be for nothing, and what has come already is one. */
static void
sleep_until_back(void)
{
	struct rte_epoll_event event;

	do {
		rte_eth_dev_rx_intr_enable(PORT, 0);
		if (rte_epoll_wait(RTE_EPOLL_PER_THREAD, &event, 1, LOST_MS) != 1)
			return;
		rte_eth_dev_rx_intr_disable(PORT, 0);
	} while (receive(true) == 0);
}

static void
run(uint64_t rate, uint64_t seconds, bool sleepy)
{
	uint64_t hz = rte_get_tsc_hz(), gap = hz / rate, now, next, end;

	/* What is still on its way from before. */
	for (end = rte_rdtsc() + hz / 10; rte_rdtsc() < end;)
		receive(false);
	sent = 0;
	next = rte_rdtsc();
	end = next + seconds * hz;
	while ((now = rte_rdtsc()) < end) {
		if (now >= next) {
			send_one(next);
			next += gap;
			if (sleepy)
				sleep_until_back();
		}
		receive(true);
	}
	for (end = rte_rdtsc() + hz / 10; rte_rdtsc() < end;)
		receive(true);
}

/* ---- wake-ups ---- */

/* When a frame was made, or 0: it does not say. */
static uint64_t
made_at(const struct rte_mbuf *m)
{
	const uint8_t *tag = rte_pktmbuf_mtod_offset(m, const uint8_t *, GEN_HEADER_LEN);
	uint64_t time;

	if (m->data_len < GEN_HEADER_LEN + GEN_TAG_LEN + GEN_TIME_LEN ||
		(tag[0] | tag[1] << 8) != GEN_MAGIC_TIME)
		return 0;
	memcpy(&time, tag + GEN_TAG_LEN, sizeof(time));
	return rte_le_to_cpu_64(time);
}

/* Take all that has come. @return when the first of it was made that was made after @asleep, or 0
 */
static uint64_t
take_all(uint64_t asleep, uint64_t *frames)
{
	struct rte_mbuf *pkts[BURST];
	uint64_t first = 0;
	uint16_t n, i;

	while ((n = rte_eth_rx_burst(PORT, 0, pkts, BURST)) != 0) {
		for (i = 0; i < n; i++) {
			uint64_t made = made_at(pkts[i]);

			if (first == 0 && made > asleep)
				first = made;
		}
		*frames += n;
		rte_pktmbuf_free_bulk(pkts, n);
	}
	return first;
}

/* What was made before the lcore slept has woken nobody. @return frames */
static uint64_t
run_asleep(uint64_t seconds)
{
	uint64_t end = monotonic_ns() + seconds * UINT64_C(1000000000), frames = 0;
	uint64_t asleep, awake, made;
	struct rte_epoll_event event;

	do {
		rte_eth_dev_rx_intr_enable(PORT, 0);
		asleep = monotonic_ns();
		if (rte_epoll_wait(RTE_EPOLL_PER_THREAD, &event, 1, LOST_MS) != 1)
			rte_exit(EXIT_FAILURE, "no frame comes\n");
		awake = monotonic_ns();
		rte_eth_dev_rx_intr_disable(PORT, 0);
		made = take_all(asleep, &frames);
		if (made != 0 && n_samples < MAX_SAMPLES)
			samples[n_samples++] = awake - made;
	} while (awake < end);
	return frames;
}

/* ---- what comes of it ---- */

static int
by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static double
percentile_us(double percent, uint64_t hz)
{
	if (n_samples == 0)
		return 0;
	return (double)samples[(uint32_t)((double)(n_samples - 1) * percent / 100)] * 1e6 /
	       (double)hz;
}

static void
print_percentiles(uint64_t hz)
{
	qsort(samples, n_samples, sizeof(*samples), by_value);
	printf("\"p50_us\": %.2f, \"p99_us\": %.2f, \"p99_9_us\": %.2f", percentile_us(50, hz),
		percentile_us(99, hz), percentile_us(99.9, hz));
}

int
main(int argc, char **argv)
{
	uint64_t rate, seconds, started, first, frames;
	int used = rte_eal_init(argc, argv);
	const char *habit = used >= 0 && argc - used == 5 ? argv[used + 4] : "";
	bool sleepy = strcmp(habit, "sleep") == 0, wakes = strcmp(habit, "wake") == 0;

	if (used < 0 || (argc - used != 4 && !sleepy && !wakes))
		rte_exit(EXIT_FAILURE,
			"usage: [EAL options] -- RATE SECONDS STARTED [sleep|wake]\n");
	rate = strtoull(argv[used + 1], NULL, 10);
	seconds = strtoull(argv[used + 2], NULL, 10);
	started = strtoull(argv[used + 3], NULL, 10);
	samples = malloc(MAX_SAMPLES * sizeof(*samples));
	if (samples == NULL || rate == 0)
		rte_exit(EXIT_FAILURE, "no memory, or no rate\n");
	port_start(sleepy || wakes);
	if (wakes) {
		frames = run_asleep(seconds);
		printf("{\"rate\": %" PRIu64 ", \"frames\": %" PRIu64 ", \"wake_ups\": %u, ", rate,
			frames, n_samples);
		print_percentiles(UINT64_C(1000000000));
		printf("}\n");
	} else {
		first = first_frame();
		run(rate, seconds, sleepy);
		printf("{\"rate\": %" PRIu64 ", \"sent\": %" PRIu64 ", \"returned\": %u, ", rate,
			sent, n_samples);
		print_percentiles(rte_get_tsc_hz());
		printf(", \"first_frame_ms\": %.1f}\n", (double)(first - started) / 1e6);
	}
	fflush(stdout);
	rte_eth_dev_stop(PORT);
	rte_eth_dev_close(PORT);
	return rte_eal_cleanup() == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
