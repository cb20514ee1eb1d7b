/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Round trips of single frames through whatever port EAL has found, whose other end sends every
 * frame back. Usage: [EAL options] -- RATE SECONDS STARTED [sleep]
 *
 * RATE frames per second are due at even distances; a round trip begins when its frame was due, not
 * when it could be sent, so that a stall counts against all frames that it held. STARTED is the
 * monotonic clock in nanoseconds when the process was started. With "sleep" the lcore sleeps until
 * the frame that it has sent is back, instead of polling. Prints one line of JSON.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_cycles.h>
#include <rte_debug.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_interrupts.h>

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
static uint64_t *samples;
static uint32_t n_samples;
static uint64_t sent;

static uint64_t
monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

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

static int
by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static double
percentile_us(double percent)
{
	if (n_samples == 0)
		return 0;
	return (double)samples[(uint32_t)((double)(n_samples - 1) * percent / 100)] * 1e6 /
	       (double)rte_get_tsc_hz();
}

int
main(int argc, char **argv)
{
	uint64_t rate, seconds, started, first;
	int used = rte_eal_init(argc, argv);
	bool sleepy = used >= 0 && argc - used == 5 && strcmp(argv[used + 4], "sleep") == 0;

	if (used < 0 || (argc - used != 4 && !sleepy))
		rte_exit(EXIT_FAILURE, "usage: [EAL options] -- RATE SECONDS STARTED [sleep]\n");
	rate = strtoull(argv[used + 1], NULL, 10);
	seconds = strtoull(argv[used + 2], NULL, 10);
	started = strtoull(argv[used + 3], NULL, 10);
	samples = malloc(MAX_SAMPLES * sizeof(*samples));
	if (samples == NULL || rate == 0)
		rte_exit(EXIT_FAILURE, "no memory, or no rate\n");
	port_start(sleepy);
	first = first_frame();
	run(rate, seconds, sleepy);
	qsort(samples, n_samples, sizeof(*samples), by_value);
	printf("{\"rate\": %" PRIu64 ", \"sent\": %" PRIu64 ", \"returned\": %u, "
	       "\"p50_us\": %.2f, \"p99_us\": %.2f, \"p99_9_us\": %.2f, \"first_frame_ms\": %.1f}\n",
		rate, sent, n_samples, percentile_us(50), percentile_us(99), percentile_us(99.9),
		(double)(first - started) / 1e6);
	fflush(stdout);
	rte_eth_dev_stop(PORT);
	rte_eth_dev_close(PORT);
	return rte_eal_cleanup() == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
