/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/net/netvsc/sizes.h"

#include <stdio.h>
#include <string.h>

#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/tx.h"

/* As other drivers call them, of frames without FCS. */
static const char *const bins[NETVSC_SIZE_BINS] = {"undersize", "size_64", "size_65_to_127",
	"size_128_to_255", "size_256_to_511", "size_512_to_1023", "size_1024_to_1518",
	"size_1519_to_max"};

static inline unsigned int
size_bin(uint32_t len)
{
	if (len <= 64)
		return len == 64;
	return len > 1518 ? NETVSC_SIZE_BINS - 1 : 31u - (unsigned int)__builtin_clz(len) - 4u;
}

uint16_t
netvsc_rx_burst_sized(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct netvsc_rxq *rxq = queue;
	uint16_t got = netvsc_vf_rx_burst(queue, pkts, n), i;
	uint64_t *count;

	if (got == 0)
		return 0;
	count = rxq->port->sizes->rx[rxq->queue_id];
	for (i = 0; i < got; i++)
		count[size_bin(pkts[i]->pkt_len)]++;
	return got;
}

/* A frame that was sent is not ours to look at any more: all are counted before. */
uint16_t
netvsc_tx_burst_sized(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct netvsc_txq *txq = queue;
	struct netvsc_sizes *sizes;
	uint64_t *taken;
	uint16_t sent, i;

	if (unlikely(txq == NULL))
		return 0;
	sizes = txq->port->sizes;
	taken = sizes->taken[txq->queue_id];
	memset(taken, 0, sizeof(sizes->taken[0]));
	for (i = 0; i < n; i++)
		if (pkts[i] != NULL)
			taken[size_bin(pkts[i]->pkt_len)]++;
	sent = netvsc_vf_tx_burst(queue, pkts, n);
	for (i = sent; i < n; i++)
		if (pkts[i] != NULL)
			taken[size_bin(pkts[i]->pkt_len)]--;
	for (i = 0; i < NETVSC_SIZE_BINS; i++)
		sizes->tx[txq->queue_id][i] += taken[i];
	return sent;
}

void
netvsc_sizes_not_sent(const struct netvsc_txq *txq, const struct rte_mbuf *m)
{
	struct netvsc_sizes *sizes = txq->port->sizes;

	if (sizes != NULL && m != NULL)
		sizes->taken[txq->queue_id][size_bin(m->pkt_len)]--;
}

unsigned int
netvsc_sizes_count(const struct netvsc_port *port)
{
	return port->sizes != NULL ? 2 * NETVSC_SIZE_BINS : 0;
}

static uint64_t
sizes_sum(const struct netvsc_sizes *sizes, unsigned int index)
{
	unsigned int q, bin = index % NETVSC_SIZE_BINS;
	uint64_t sum = 0;

	for (q = 0; q < HPBUS_MAX_CHANNELS; q++)
		sum += index < NETVSC_SIZE_BINS ? sizes->rx[q][bin] : sizes->tx[q][bin];
	return sum;
}

uint64_t
netvsc_sizes_value(const struct netvsc_port *port, unsigned int index)
{
	return sizes_sum(port->sizes, index) - port->sizes->base[index];
}

void
netvsc_sizes_name(unsigned int index, char name[RTE_ETH_XSTATS_NAME_SIZE])
{
	snprintf(name, RTE_ETH_XSTATS_NAME_SIZE, "%s_%s_packets",
		index < NETVSC_SIZE_BINS ? "rx" : "tx", bins[index % NETVSC_SIZE_BINS]);
}

void
netvsc_sizes_reset(struct netvsc_port *port)
{
	unsigned int i;

	for (i = 0; i < netvsc_sizes_count(port); i++)
		port->sizes->base[i] = sizes_sum(port->sizes, i);
}
