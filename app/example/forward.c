/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The smallest application that links hyperpoll instead of loading the plugin: every port sends
 * back what it receives, with the MAC addresses swapped, until SIGINT; then it prints how many
 * frames each port saw.
 *
 *   hyperpoll-forward [EAL options], for example -l 0,1 --in-memory -a vmbus:<guid>
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#define BURST	 32
#define N_MBUFS	 8191
#define N_CACHED 256

static volatile sig_atomic_t stop;

static void
on_signal(int sig)
{
	stop = 1;
}

static int
port_start(uint16_t port, struct rte_mempool *pool)
{
	struct rte_eth_conf conf = {0};
	int rc;

	rc = rte_eth_dev_configure(port, 1, 1, &conf);
	if (rc == 0)
		rc = rte_eth_rx_queue_setup(port, 0, 1024, rte_eth_dev_socket_id(port), NULL, pool);
	if (rc == 0)
		rc = rte_eth_tx_queue_setup(port, 0, 1024, rte_eth_dev_socket_id(port), NULL);
	if (rc == 0)
		rc = rte_eth_dev_start(port);
	if (rc == 0)
		rc = rte_eth_promiscuous_enable(port);
	return rc;
}

static void
swap_macs(struct rte_mbuf *m)
{
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	struct rte_ether_addr dst = eth->dst_addr;

	eth->dst_addr = eth->src_addr;
	eth->src_addr = dst;
}

static void
forward(uint16_t port)
{
	struct rte_mbuf *pkts[BURST];
	uint16_t n, sent, i;

	n = rte_eth_rx_burst(port, 0, pkts, BURST);
	for (i = 0; i < n; i++)
		swap_macs(pkts[i]);
	sent = rte_eth_tx_burst(port, 0, pkts, n);
	rte_pktmbuf_free_bulk(pkts + sent, n - sent);
}

int
main(int argc, char **argv)
{
	struct rte_mempool *pool;
	struct rte_eth_stats stats;
	uint16_t port;
	int rc;

	if (rte_eal_init(argc, argv) < 0)
		return 1;
	if (rte_eth_dev_count_avail() == 0) {
		fprintf(stderr, "no port: is a NIC served, and named with -a vmbus:<guid>?\n");
		rte_eal_cleanup();
		return 1;
	}
	pool = rte_pktmbuf_pool_create(
		"mbufs", N_MBUFS, N_CACHED, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (pool == NULL) {
		fprintf(stderr, "no memory for %d mbufs: reserve hugepages or use --no-huge\n",
			N_MBUFS);
		rte_eal_cleanup();
		return 1;
	}
	RTE_ETH_FOREACH_DEV (port) {
		rc = port_start(port, pool);
		if (rc != 0) {
			fprintf(stderr, "port %u does not start: %s\n", port, strerror(-rc));
			rte_eal_cleanup();
			return 1;
		}
	}
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	printf("forwarding\n");
	fflush(stdout);
	while (!stop)
		RTE_ETH_FOREACH_DEV (port)
			forward(port);
	RTE_ETH_FOREACH_DEV (port) {
		if (rte_eth_stats_get(port, &stats) == 0)
			printf("port %u: received %" PRIu64 ", sent %" PRIu64 "\n", port,
				stats.ipackets, stats.opackets);
		rte_eth_dev_stop(port);
		rte_eth_dev_close(port);
	}
	rte_eal_cleanup();
	return 0;
}
