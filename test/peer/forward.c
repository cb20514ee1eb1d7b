/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * testpmd's forwarding modes for drivers whose queues testpmd does not poll: every frame of every
 * queue goes back out of the same queue of the same port. It links DPDK only; which driver serves
 * the port is for EAL's options. Usage: [EAL options] -- QUEUES io|mac|macswap
 *
 * One lcore, the main one. SIGINT ends it; it prints what each queue received, and the cycles of
 * the rounds that found frames.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_debug.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ether.h>

#define BURST	  32
#define MAX_QUEUE 64

static volatile sig_atomic_t ended;
/* Cycles of the rounds that found frames: what receiving and sending them takes. */
static uint64_t busy_cycles, busy_rounds;
static uint64_t received[RTE_MAX_ETHPORTS][MAX_QUEUE];

static void
on_signal(int number)
{
	ended = 1;
}

static int
port_start(uint16_t port, uint16_t queues, struct rte_mempool *pool)
{
	struct rte_eth_conf conf = {0};
	struct rte_eth_dev_info info;
	uint16_t q, n_rx = 4096, n_tx = 512;
	int rc = rte_eth_dev_info_get(port, &info);

	if (rc == 0 && queues > 1) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf =
			(RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP) & info.flow_type_rss_offloads;
	}
	if (rc == 0)
		rc = rte_eth_dev_configure(port, queues, queues, &conf);
	if (rc == 0)
		rc = rte_eth_dev_adjust_nb_rx_tx_desc(port, &n_rx, &n_tx);
	for (q = 0; rc == 0 && q < queues; q++) {
		rc = rte_eth_rx_queue_setup(port, q, n_rx, SOCKET_ID_ANY, NULL, pool);
		if (rc == 0)
			rc = rte_eth_tx_queue_setup(port, q, n_tx, SOCKET_ID_ANY, NULL);
	}
	if (rc == 0)
		rc = rte_eth_dev_start(port);
	if (rc == 0)
		rc = rte_eth_promiscuous_enable(port);
	return rc;
}

static void
change(struct rte_mbuf *m, char mode, const struct rte_ether_addr *own)
{
	static const struct rte_ether_addr peer = {{2, 0, 0, 0, 0, 0}};
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	struct rte_ether_addr saved = eth->src_addr;

	if (mode == 'm') {
		eth->src_addr = *own;
		eth->dst_addr = peer;
	} else if (mode == 's') {
		eth->src_addr = eth->dst_addr;
		eth->dst_addr = saved;
	}
}

static void
poll_queue(uint16_t port, uint16_t q, char mode, const struct rte_ether_addr *own)
{
	struct rte_mbuf *burst[BURST];
	uint64_t began = rte_rdtsc();
	uint16_t i, n, sent;

	n = rte_eth_rx_burst(port, q, burst, BURST);
	if (n == 0)
		return;
	received[port][q] += n;
	for (i = 0; i < n; i++)
		change(burst[i], mode, own);
	for (sent = 0; sent < n && !ended;)
		sent += rte_eth_tx_burst(port, q, burst + sent, n - sent);
	while (sent < n)
		rte_pktmbuf_free(burst[sent++]);
	busy_cycles += rte_rdtsc() - began;
	busy_rounds++;
}

int
main(int argc, char **argv)
{
	struct rte_ether_addr own[RTE_MAX_ETHPORTS];
	struct rte_mempool *pool;
	uint16_t port, q, queues;
	char mode;
	int used = rte_eal_init(argc, argv);

	if (used < 0 || argc - used != 3)
		rte_exit(EXIT_FAILURE, "usage: [EAL options] -- QUEUES io|mac|macswap\n");
	queues = (uint16_t)atoi(argv[used + 1]);
	mode = strcmp(argv[used + 2], "macswap") == 0 ? 's' : argv[used + 2][0];
	if (queues < 1 || queues > MAX_QUEUE)
		rte_exit(EXIT_FAILURE, "QUEUES must be 1 to %d\n", MAX_QUEUE);
	signal(SIGINT, on_signal);
	pool = rte_pktmbuf_pool_create(
		"forward", 16383, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (pool == NULL)
		rte_exit(EXIT_FAILURE, "no memory for mbufs\n");
	RTE_ETH_FOREACH_DEV (port) {
		if (port_start(port, queues, pool) != 0 ||
			rte_eth_macaddr_get(port, &own[port]) != 0)
			rte_exit(EXIT_FAILURE, "port %u does not start\n", port);
	}
	printf("forwarding on %u ports\n", rte_eth_dev_count_avail());
	fflush(stdout);
	while (!ended)
		RTE_ETH_FOREACH_DEV (port) {
			for (q = 0; q < queues; q++)
				poll_queue(port, q, mode, &own[port]);
		}
	RTE_ETH_FOREACH_DEV (port) {
		struct rte_eth_stats stats = {0};

		rte_eth_stats_get(port, &stats);
		printf("port %u received %" PRIu64 " missed %" PRIu64 " errors %" PRIu64
		       " without mbuf %" PRIu64 " sent %" PRIu64 " errors %" PRIu64 "\n",
			port, stats.ipackets, stats.imissed, stats.ierrors, stats.rx_nombuf,
			stats.opackets, stats.oerrors);
		for (q = 0; q < queues; q++)
			printf("port %u queue %u received %" PRIu64 "\n", port, q,
				received[port][q]);
		rte_eth_dev_stop(port);
		rte_eth_dev_close(port);
	}
	printf("busy %" PRIu64 " cycles in %" PRIu64 " rounds\n", busy_cycles, busy_rounds);
	return rte_eal_cleanup() == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
