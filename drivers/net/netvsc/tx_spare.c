/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/net/netvsc/tx_spare.h"

#include <errno.h>
#include <stdatomic.h>

#include <rte_mempool.h>

#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/tx_header.h"

/* As many frames as an application hands over at once (VPP: 256), for each queue. */
#define SPARE_PER_QUEUE 256u
#define SPARE_MAX	2048u

struct foreign {
	struct hpbus_device *bus;
	bool found;
};

static void
foreign_chunk(struct rte_mempool *mp, void *arg, struct rte_mempool_memhdr *chunk, unsigned int i)
{
	struct foreign *foreign = arg;

	foreign->found = foreign->found || !hpbus_dma_usable(foreign->bus, chunk->addr, chunk->len);
}

/* Are mbufs of a pool where the host cannot read? Of one that says nothing about its memory, too.
 */
static bool
pool_is_foreign(struct netvsc_port *port, struct rte_mempool *mp)
{
	struct foreign foreign = {.bus = port->bus};

	return rte_mempool_mem_iter(mp, foreign_chunk, &foreign) == 0 || foreign.found;
}

/* Of those that the application receives into, and most likely sends. */
static const struct rte_mempool *
foreign_pool(struct netvsc_port *port)
{
	const struct rte_eth_dev_data *data = port->data;
	uint16_t q;

	for (q = 0; q < data->nb_rx_queues; q++) {
		const struct netvsc_rxq *rxq = data->rx_queues[q];

		if (rxq != NULL && pool_is_foreign(port, rxq->mp))
			return rxq->mp;
	}
	return NULL;
}

void
netvsc_tx_spare_begin(struct netvsc_port *port)
{
	uint32_t longest = port->limits.mtu + RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN;
	uint32_t n = RTE_MIN(SPARE_PER_QUEUE * port->data->nb_tx_queues, SPARE_MAX);
	uint32_t limit = RTE_MIN(port->session.send_section, port->session.max_transfer);
	static _Atomic unsigned int number;
	const struct rte_mempool *foreign;
	char name[RTE_MEMPOOL_NAMESIZE];

	if (port->spare != NULL || n == 0 || port->bus->copy_only ||
		NETVSC_HEADER_MAX + longest <= limit)
		return;
	foreign = foreign_pool(port);
	if (foreign == NULL)
		return;
	snprintf(name, sizeof(name), "netvsc_spare_%u", atomic_fetch_add(&number, 1));
	port->spare = rte_pktmbuf_pool_create(name, n, 0, 0,
		(uint16_t)(RTE_PKTMBUF_HEADROOM + longest), rte_eth_dev_socket_id(port->port_id));
	if (port->spare != NULL)
		NETVSC_LOG(NOTICE, port,
			"the host cannot read the memory of pool %s: frames in it that are longer "
			"than %u bytes are copied twice",
			foreign->name, limit - NETVSC_HEADER_MAX);
	else
		NETVSC_LOG(WARNING, port,
			"the host cannot read the memory of pool %s, and there is none for copies: "
			"frames in it that are longer than %u bytes cannot be sent; give EAL %u "
			"KiB more (-m, --socket-mem)",
			foreign->name, limit - NETVSC_HEADER_MAX,
			(uint32_t)(n * (longest + sizeof(struct rte_mbuf)) >> 10));
}

void
netvsc_tx_spare_end(struct netvsc_port *port)
{
	/* What is kept of a queue may have some, and other processes look at it. */
	if (port->quarantine == NULL && !hpbus_has_peers())
		rte_mempool_free(port->spare);
	port->spare = NULL;
}

int
netvsc_tx_spare_copy(
	const struct netvsc_port *port, const struct rte_mbuf *m, struct rte_mbuf **copy)
{
	struct rte_mempool *spare = port->spare;

	if (spare == NULL || m->pkt_len + RTE_PKTMBUF_HEADROOM > rte_pktmbuf_data_room_size(spare))
		return -EMSGSIZE;
	*copy = rte_pktmbuf_copy(m, spare, 0, UINT32_MAX);
	return *copy != NULL ? 0 : -ENOBUFS;
}
