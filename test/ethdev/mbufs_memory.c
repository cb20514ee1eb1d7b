/* SPDX-License-Identifier: BSD-3-Clause */
/* What a port takes of DPDK's memory, beside its mbufs. */
#include "test/ethdev/mbufs.h"

#define KIB	 1024u
#define PAIR_MAX (256 * KIB) /* of a queue pair */
#define PORT_MAX (256 * KIB) /* of a port, whatever the number of queues */
#define PAIRS	 8u

/* Bytes in use, on all sockets. */
static size_t
in_use(void)
{
	struct rte_malloc_socket_stats stats;
	size_t sum = 0;
	unsigned int i;

	for (i = 0; i < rte_socket_count(); i++)
		if (rte_malloc_get_socket_stats(rte_socket_id_by_idx(i), &stats) == 0)
			sum += stats.heap_allocsz_bytes;
	return sum;
}

/* A port with so many queue pairs of the size that the driver prefers. */
static void
start_pairs(struct rte_mempool *mp, uint16_t pairs)
{
	struct rte_eth_conf conf = {.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS};
	uint16_t q;

	CHECK(rte_eth_dev_configure(0, pairs, pairs, &conf) == 0, "%u pairs", pairs);
	for (q = 0; q < pairs; q++) {
		CHECK(rte_eth_rx_queue_setup(0, q, 0, SOCKET_ID_ANY, NULL, mp) == 0, "rxq %u", q);
		CHECK(rte_eth_tx_queue_setup(0, q, 0, SOCKET_ID_ANY, NULL) == 0, "txq %u", q);
	}
	CHECK(rte_eth_dev_start(0) == 0, "%u pairs", pairs);
}

void
case_memory(void)
{
	struct rte_mempool *mp = pool_plain("memory", 2047, ROOM);
	size_t none, one, many, pair;

	start_pairs(mp, 1);
	one = in_use();
	rte_eth_dev_stop(0);
	start_pairs(mp, PAIRS);
	many = in_use();
	rte_eth_dev_stop(0);
	rte_eth_dev_close(0);
	none = in_use();
	CHECK(none < one && one < many, "%zu %zu %zu", none, one, many);
	pair = (many - one) / (PAIRS - 1);
	printf("a queue pair takes %zu bytes, the port %zu\n", pair, one - none - pair);
	CHECK(pair <= PAIR_MAX, "%zu bytes for each queue pair", pair);
	CHECK(one - none - pair <= PORT_MAX, "%zu bytes for the port", one - none - pair);
}
