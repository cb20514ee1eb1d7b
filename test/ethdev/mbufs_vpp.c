/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What VPP 23.06 does with a port, in its order (src/plugins/dpdk): buffers of its own that EAL
 * knows nothing of, with a header between mbuf and data; the MTU again before the queues; more send
 * queues than receive queues; a MAC address at each start. It judges a frame it forwards by its own
 * buffers and writes the mbufs anew, and never calls prepare.
 */
#include "test/ethdev/mbufs.h"

#include <sys/mman.h>
#include <unistd.h>

#include <rte_cycles.h>

enum { N_MBUFS = 4096, HEADER = 128, DATA = 2048, RX_QUEUES = 2, TX_QUEUES = 3, FRAME = 256 };

/* dpdk_buffer_pool_init(): small pages of a file. */
static struct rte_mempool *
vpp_pool(void)
{
	struct rte_pktmbuf_pool_private priv = {
		.mbuf_data_room_size = RTE_PKTMBUF_HEADROOM + DATA,
		.mbuf_priv_size = HEADER,
	};
	const uint32_t each = sizeof(struct rte_mbuf) + HEADER + RTE_PKTMBUF_HEADROOM + DATA;
	size_t len = RTE_ALIGN_CEIL((size_t)N_MBUFS * (each + 256), (size_t)2 << 20);
	int fd = memfd_create("buffers-numa-0", MFD_CLOEXEC);
	struct rte_mempool *mp;
	void *at = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, (off_t)len) == 0)
		at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	mp = rte_mempool_create_empty(
		"vpp pool 0", N_MBUFS, each, 512, sizeof(priv), SOCKET_ID_ANY, 0);
	if (at == MAP_FAILED || mp == NULL)
		rte_exit(2, "no memory for buffers\n");
	rte_pktmbuf_pool_init(mp, &priv);
	if (rte_mempool_populate_iova(mp, at, RTE_BAD_IOVA, len, NULL, NULL) != N_MBUFS)
		rte_exit(2, "pool %s: not populated\n", mp->name);
	rte_mempool_obj_iter(mp, rte_pktmbuf_init, NULL);
	return mp;
}

/* dpdk_device_setup() */
static void
vpp_setup(struct rte_mempool *mp)
{
	uint64_t rxo = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_SCATTER;
	uint64_t txo = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM |
		       RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf = {0};
	uint32_t frame, overhead;
	uint16_t q;

	CHECK(rte_eth_dev_info_get(0, &info) == 0, "dev_info");
	overhead = info.max_rx_pktlen - info.max_mtu;
	frame = RTE_MIN(info.max_rx_pktlen, 9000 + overhead);
	conf.rxmode.offloads = rxo & info.rx_offload_capa;
	conf.txmode.offloads = txo & info.tx_offload_capa;
	conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	conf.rx_adv_conf.rss_conf.rss_hf =
		(RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_TCP) & info.flow_type_rss_offloads;
	conf.rxmode.mtu = frame - overhead;
	CHECK(rte_eth_dev_configure(0, RX_QUEUES, TX_QUEUES, &conf) == 0, "configure");
	CHECK(rte_eth_dev_set_mtu(0, (uint16_t)(frame - overhead)) == 0, "MTU");
	for (q = 0; q < TX_QUEUES; q++)
		CHECK(rte_eth_tx_queue_setup(0, q, 1024, 0, NULL) == 0, "tx queue %u", q);
	for (q = 0; q < RX_QUEUES; q++)
		CHECK(rte_eth_rx_queue_setup(0, q, 1024, 0, NULL, mp) == 0, "rx queue %u", q);
}

/* dpdk_device_start() */
static void
vpp_up(void)
{
	struct rte_ether_addr mac;
	struct rte_eth_link link;

	CHECK(rte_eth_dev_start(0) == 0, "start");
	CHECK(rte_eth_macaddr_get(0, &mac) == 0, "address");
	CHECK(rte_eth_dev_default_mac_addr_set(0, &mac) == 0, "address set");
	CHECK(rte_eth_promiscuous_disable(0) == 0, "promiscuous");
	CHECK(rte_eth_allmulticast_enable(0) == 0, "all multicast");
	CHECK(rte_eth_link_get_nowait(0, &link) == 0 && link.link_status, "link");
}

/* dpdk_device_stop() */
static void
vpp_down(void)
{
	CHECK(rte_eth_allmulticast_disable(0) == 0, "all multicast");
	CHECK(rte_eth_dev_stop(0) == 0, "stop");
}

/* dpdk_device_input(): all of a queue, 32 at a time. */
static unsigned int
vpp_input(uint16_t queue, struct rte_mbuf **mbufs)
{
	unsigned int n = 0, got;

	do {
		got = rte_eth_rx_burst(0, queue, mbufs + n, 32);
		n += got;
	} while (got == 32 && n + 32 <= FRAME);
	return n;
}

/* dpdk_validate_rte_mbuf(): the last segment's next is what the driver has left there. */
static void
vpp_validate(struct rte_mbuf *m)
{
	struct rte_mbuf *seg;

	for (seg = m; seg != NULL; seg = seg->next) {
		CHECK(seg->buf_addr == RTE_PTR_ADD(seg, sizeof(*seg) + HEADER) &&
				seg->data_off == RTE_PKTMBUF_HEADROOM,
			"a frame that is not in its buffer, at %u", seg->data_off);
		if (seg != m)
			seg->pkt_len = seg->data_len;
	}
}

/* Frames of all lengths, up and down and at another MTU before, all of them back on any queue. */
void
case_vpp(void)
{
	unsigned int count = (unsigned int)atoi(getenv("MBUFS_COUNT")), got = 0, chains = 0, n, i;
	uint64_t end;
	struct rte_mempool *mp = vpp_pool();
	struct rte_mbuf *mbufs[FRAME];
	uint16_t q = 0;

	vpp_setup(mp);
	vpp_up();
	vpp_down();
	vpp_up();
	CHECK(rte_eth_dev_set_mtu(0, 1500) == 0, "MTU 1500");
	CHECK(rte_eth_dev_set_mtu(0, 9000) == 0, "MTU 9000");
	pause_for("up");
	end = rte_get_timer_cycles() + 20 * rte_get_timer_hz();
	while (got < count && rte_get_timer_cycles() < end) {
		n = vpp_input(q, mbufs);
		for (i = 0; i < n; i++) {
			vpp_validate(mbufs[i]);
			chains += mbufs[i]->nb_segs > 1;
		}
		send_all(mbufs, (uint16_t)n);
		got += n;
		q = (q + 1) % RX_QUEUES;
	}
	CHECK(got == count, "%u of %u frames received", got, count);
	CHECK(chains != 0, "no chains");
	vpp_down();
	pool_audit(mp);
}
