/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Queues of a port at work: how frames spread, and queues that start, stop and change while frames
 * come. Every frame of the host is received, or counted.
 */
#include <rte_byteorder.h>
#include <rte_errno.h>
#include <rte_ip.h>
#include <rte_malloc.h>
#include <rte_power_intrinsics.h>
#include <rte_thash.h>
#include <rte_udp.h>
#include <rte_version.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/port.h"
#include "test/ethdev/ethdev.h"

#define RETA_GROUPS (RTE_ETH_RSS_RETA_SIZE_512 / RTE_ETH_RETA_GROUP_SIZE)

static const struct rte_eth_conf with_rss = {
	.rxmode = {.mq_mode = RTE_ETH_MQ_RX_RSS, .offloads = RTE_ETH_RX_OFFLOAD_RSS_HASH},
	.rx_adv_conf.rss_conf.rss_hf = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP,
};

static void
set_up(uint16_t rx, uint16_t tx, bool deferred)
{
	struct rte_eth_rxconf rxconf = {.rx_deferred_start = deferred};
	struct rte_eth_txconf txconf = {.tx_deferred_start = deferred};
	uint16_t q;

	/* The host keeps no more frames on their way than fit: nothing is given up for want of
	 * room. */
	ethdev_knob("rx_wait", 1);
	CHECK_EQUAL(rte_eth_dev_configure(ethdev_port, rx, tx, &with_rss), 0);
	for (q = 0; q < rx; q++)
		CHECK_EQUAL(rte_eth_rx_queue_setup(ethdev_port, q, 512, SOCKET_ID_ANY,
				    q == 0 ? NULL : &rxconf, ethdev_pool),
			0);
	for (q = 0; q < tx; q++)
		CHECK_EQUAL(rte_eth_tx_queue_setup(
				    ethdev_port, q, 512, SOCKET_ID_ANY, q == 0 ? NULL : &txconf),
			0);
}

static void
bring_up(uint16_t rx, uint16_t tx)
{
	set_up(rx, tx, false);
	CHECK_EQUAL(rte_eth_dev_start(ethdev_port), 0);
}

static uint64_t received[8]; /* by queue */

static void
poll(uint16_t queues)
{
	uint16_t q;

	for (q = 0; q < queues; q++)
		received[q] += ethdev_receive(q);
}

static uint64_t
received_by(uint16_t queues)
{
	uint64_t sum = 0;
	uint16_t q;

	for (q = 0; q < queues; q++)
		sum += received[q];
	return sum;
}

/* So many frames more, and all that wait behind them. */
static void
poll_until(uint16_t queues, uint64_t frames)
{
	uint64_t before = received_by(queues), now;

	WAIT_UNTIL((poll(queues), received_by(queues) - before >= frames));
	do {
		now = received_by(queues);
		poll(queues);
	} while (received_by(queues) != now);
}

/* All that the host has delivered was received or is counted; none is on its way any more. */
static void
all_are_accounted_for(uint16_t queues)
{
	struct rte_eth_stats stats;

	ethdev_knob("stall_rx", 1);
	WAIT_UNTIL(({
		poll(queues);
		stats = ethdev_stats();
		stats.ipackets + stats.imissed == ethdev_host_counter("rx_frames");
	}));
	CHECK_EQUAL(received_by(queues), stats.ipackets);
	CHECK_EQUAL(stats.ierrors, 0);
	CHECK_EQUAL(stats.rx_nombuf, 0);
	CHECK_EQUAL(stats.imissed, ethdev_xstat("rx_dropped_stopped"));
	ethdev_knob("stall_rx", 0);
}

static void
fill_table(struct rte_eth_rss_reta_entry64 *reta, uint16_t size, uint16_t from, uint16_t queues)
{
	uint16_t i;

	memset(reta, 0, RETA_GROUPS * sizeof(*reta));
	for (i = 0; i < size; i++) {
		reta[i / 64].mask |= UINT64_C(1) << (i % 64);
		reta[i / 64].reta[i % 64] = (uint16_t)(from + i * 7 % 11 % queues);
	}
}

/* ---- the spread ---- */

static uint32_t
software_hash(struct rte_mbuf *m, const uint8_t *key)
{
	const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(m, void *, RTE_ETHER_HDR_LEN);
	const struct rte_udp_hdr *udp = (const void *)(ip + 1);
	uint32_t tuple[3];

	CHECK_EQUAL(ip->version_ihl, 0x45);
	CHECK_EQUAL(ip->next_proto_id, IPPROTO_UDP);
	tuple[0] = rte_be_to_cpu_32(ip->src_addr);
	tuple[1] = rte_be_to_cpu_32(ip->dst_addr);
	tuple[2] =
		(uint32_t)rte_be_to_cpu_16(udp->src_port) << 16 | rte_be_to_cpu_16(udp->dst_port);
	return rte_softrss(tuple, RTE_DIM(tuple), key);
}

static void
check_spread(uint16_t size)
{
	struct rte_eth_rss_reta_entry64 reta[RETA_GROUPS];
	uint8_t key[40];
	struct rte_eth_rss_conf conf = {
		.rss_key = key, .rss_key_len = sizeof(key), .rss_hf = RTE_ETH_RSS_UDP};
	unsigned int checked = 0, seen[4] = {0};
	struct rte_eth_dev_info info;
	struct rte_mbuf *m[32];
	uint16_t q, n, i;

	CHECK_EQUAL(rte_eth_dev_info_get(ethdev_port, &info), 0);
	CHECK_EQUAL(info.reta_size, size);
	ethdev_knob("stall_rx", 1);
	bring_up(4, 1);
	for (i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(i * 91 + size);
	CHECK_EQUAL(rte_eth_dev_rss_hash_update(ethdev_port, &conf), 0);
	fill_table(reta, size, 0, 4);
	CHECK_EQUAL(rte_eth_dev_rss_reta_update(ethdev_port, reta, size), 0);
	ethdev_knob("stall_rx", 0);
	WAIT_UNTIL(({
		for (q = 0; q < 4; q++) {
			n = rte_eth_rx_burst(ethdev_port, q, m, RTE_DIM(m));
			for (i = 0; i < n; i++) {
				uint32_t hash = software_hash(m[i], key);

				CHECK(m[i]->ol_flags & RTE_MBUF_F_RX_RSS_HASH);
				CHECK_EQUAL(m[i]->hash.rss, hash);
				CHECK_EQUAL(q, reta[hash % size / 64].reta[hash % 64]);
			}
			rte_pktmbuf_free_bulk(m, n);
			seen[q] += n;
			checked += n;
		}
		checked >= 1000;
	}));
	for (q = 0; q < 4; q++)
		CHECK(seen[q] > 0);
	CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
}

static void
the_spread_equals_a_software_toeplitz(void)
{
	static const uint16_t sizes[] = {64, 256, 512};
	size_t i;

	check_spread(128);
	for (i = 0; i < RTE_DIM(sizes); i++) {
		ethdev_knob("rss_entries", sizes[i]);
		CHECK_EQUAL(rte_eth_dev_reset(ethdev_port), 0);
		check_spread(sizes[i]);
	}
}

/* One lcore polls and changes: what comes meanwhile waits in the rings. */
static void
rss_changes_lose_nothing(void)
{
	struct rte_eth_rss_reta_entry64 reta[RETA_GROUPS];
	uint8_t key[40] = {0};
	struct rte_eth_rss_conf conf = {.rss_key = key, .rss_key_len = sizeof(key)};
	unsigned int i;

	bring_up(4, 1);
	poll_until(4, 100);
	for (i = 0; i < 60; i++) {
		fill_table(reta, 128, 0, (uint16_t)(1 + i % 4));
		CHECK_EQUAL(rte_eth_dev_rss_reta_update(ethdev_port, reta, 128), 0);
		poll_until(4, 10);
		memset(key, (int)(i * 37 + 1), sizeof(key));
		conf.rss_hf = i % 2 ? RTE_ETH_RSS_UDP : RTE_ETH_RSS_IP;
		CHECK_EQUAL(rte_eth_dev_rss_hash_update(ethdev_port, &conf), 0);
		poll_until(4, 10);
	}
	all_are_accounted_for(4);
	CHECK_EQUAL(ethdev_stats().imissed, 0);
}

/* ---- queues alone ---- */

static void
receive_queues_stop_and_start(void)
{
	uint64_t before;
	uint16_t q;

	bring_up(4, 1);
	poll_until(4, 500);
	for (q = 0; q < 4; q++)
		CHECK(received[q] > 0);
	for (q = 1; q < 4; q++) {
		CHECK_EQUAL(rte_eth_dev_rx_queue_stop(ethdev_port, q), 0);
		before = received[q];
		/* Everything comes on the others. */
		poll_until(4, 300);
		CHECK_EQUAL(received[q], before);
		CHECK_EQUAL(rte_eth_dev_rx_queue_start(ethdev_port, q), 0);
		poll_until(4, 300);
		CHECK(received[q] > before);
	}
	all_are_accounted_for(4);
	/* All but one; then none, and frames are counted as they come. */
	for (q = 0; q < 3; q++)
		CHECK_EQUAL(rte_eth_dev_rx_queue_stop(ethdev_port, q), 0);
	before = received[3];
	poll_until(4, 300);
	CHECK(received[3] >= before + 300);
	CHECK_EQUAL(rte_eth_dev_rx_queue_stop(ethdev_port, 3), 0);
	before = ethdev_stats().ipackets;
	WAIT_UNTIL(ethdev_xstat("rx_dropped_stopped") > 500);
	CHECK_EQUAL(ethdev_stats().ipackets, before);
	for (q = 0; q < 4; q++)
		CHECK_EQUAL(rte_eth_dev_rx_queue_start(ethdev_port, q), 0);
	poll_until(4, 300);
	all_are_accounted_for(4);
}

static void
send_queues_stop_and_start(void)
{
	unsigned long before = ethdev_host_counter("tx_frames"), sent = 0;
	struct rte_mbuf *m;
	unsigned int i;
	uint16_t q;

	bring_up(1, 4);
	for (i = 0; i < 50; i++)
		for (q = 0; q < 4; q++) {
			ethdev_send(q, 20, i % 2 ? 60 : 1514);
			sent += 20;
			CHECK_EQUAL(rte_eth_dev_tx_queue_stop(ethdev_port, q), 0);
			m = rte_pktmbuf_alloc(ethdev_pool);
			CHECK(m != NULL && rte_pktmbuf_append(m, 60) != NULL);
			CHECK_EQUAL(rte_eth_tx_burst(ethdev_port, q, &m, 1), 0);
			rte_pktmbuf_free(m);
			/* All that it took is with the host, and back. */
			WAIT_UNTIL(ethdev_host_counter("tx_frames") == before + sent);
			CHECK_EQUAL(rte_eth_dev_tx_queue_start(ethdev_port, q), 0);
			poll(1);
		}
	CHECK_EQUAL(ethdev_stats().opackets, sent);
	CHECK_EQUAL(ethdev_xstat("tx_bad_completions"), 0);
}

static void
queues_are_set_up_while_the_port_runs(void)
{
	struct rte_eth_rxq_info rxq;
	struct rte_eth_txq_info txq;
	unsigned long sent;
	unsigned int i;

	bring_up(2, 2);
	poll_until(2, 100);
	for (i = 0; i < 20; i++) {
		uint16_t desc = (uint16_t)(64 << i % 4);

		ethdev_send(1, 10, 300);
		CHECK_EQUAL(rte_eth_rx_queue_setup(
				    ethdev_port, 1, desc, SOCKET_ID_ANY, NULL, ethdev_pool),
			-EBUSY);
		CHECK_EQUAL(rte_eth_dev_rx_queue_stop(ethdev_port, 1), 0);
		CHECK_EQUAL(rte_eth_dev_tx_queue_stop(ethdev_port, 1), 0);
		CHECK_EQUAL(rte_eth_rx_queue_setup(
				    ethdev_port, 1, desc, SOCKET_ID_ANY, NULL, ethdev_pool),
			0);
		CHECK_EQUAL(rte_eth_tx_queue_setup(ethdev_port, 1, desc, SOCKET_ID_ANY, NULL), 0);
		poll_until(1, 50);
		CHECK_EQUAL(rte_eth_dev_rx_queue_start(ethdev_port, 1), 0);
		CHECK_EQUAL(rte_eth_dev_tx_queue_start(ethdev_port, 1), 0);
		CHECK_EQUAL(rte_eth_rx_queue_info_get(ethdev_port, 1, &rxq), 0);
		CHECK_EQUAL(rte_eth_tx_queue_info_get(ethdev_port, 1, &txq), 0);
		CHECK_EQUAL(rxq.nb_desc, desc);
		CHECK_EQUAL(txq.nb_desc, desc);
		poll_until(2, 50);
	}
	sent = ethdev_stats().opackets;
	CHECK_EQUAL(sent, 200);
	all_are_accounted_for(2);
}

/* Whatever goes past ethdev's checks to queues that are not there. */
static void
check_absent(uint16_t rx, uint16_t tx)
{
	struct rte_power_monitor_cond cond;
	struct rte_mbuf *m, *got;

	CHECK(port_device()->data->rx_queues[rx] == NULL);
	CHECK(port_device()->data->tx_queues[tx] == NULL);
	CHECK_EQUAL(rte_eth_rx_queue_count(ethdev_port, rx), -EINVAL);
	CHECK_EQUAL(rte_eth_rx_descriptor_status(ethdev_port, rx, 0), -EINVAL);
	CHECK_EQUAL(rte_eth_tx_descriptor_status(ethdev_port, tx, 0), -EINVAL);
#if RTE_VERSION >= RTE_VERSION_NUM(24, 3, 0, 0)
	CHECK_EQUAL(rte_eth_tx_queue_count(ethdev_port, tx), -EINVAL);
#endif
	CHECK_EQUAL(rte_eth_tx_done_cleanup(ethdev_port, tx, 0), -EINVAL);
	CHECK_EQUAL(rte_eth_get_monitor_addr(ethdev_port, rx, &cond), -EINVAL);
	CHECK_EQUAL(rte_eth_rx_burst(ethdev_port, rx, &got, 1), 0);
	m = rte_pktmbuf_alloc(ethdev_pool);
	CHECK(m != NULL && rte_pktmbuf_append(m, 60) != NULL);
	CHECK_EQUAL(rte_eth_tx_prepare(ethdev_port, tx, &m, 1), 0);
	CHECK_EQUAL(rte_errno, EINVAL);
	CHECK_EQUAL(rte_eth_tx_burst(ethdev_port, tx, &m, 1), 0);
	rte_pktmbuf_free(m);
	CHECK(rte_eth_dev_rx_queue_start(ethdev_port, rx) < 0);
	CHECK(rte_eth_dev_tx_queue_start(ethdev_port, tx) < 0);
}

/* ethdev has released the queue before the new one is refused, by it or by the port. */
static void
fail_to_set_up(struct rte_mempool *small)
{
	struct rte_eth_rxconf no_rx = {.offloads = RTE_ETH_RX_OFFLOAD_MACSEC_STRIP};
	struct rte_eth_txconf no_tx = {.offloads = RTE_ETH_TX_OFFLOAD_MACSEC_INSERT};

	bring_up(2, 2);
	CHECK_EQUAL(rte_eth_dev_rx_queue_stop(ethdev_port, 1), 0);
	CHECK_EQUAL(rte_eth_dev_tx_queue_stop(ethdev_port, 1), 0);
	CHECK_EQUAL(
		rte_eth_rx_queue_setup(ethdev_port, 1, 512, SOCKET_ID_ANY, NULL, small), -EINVAL);
	heap_fails = "netvsc_txq";
	CHECK_EQUAL(rte_eth_tx_queue_setup(ethdev_port, 1, 512, SOCKET_ID_ANY, NULL), -ENOMEM);
	heap_fails = NULL;
	check_absent(1, 1);
	CHECK_EQUAL(rte_eth_rx_queue_setup(ethdev_port, 1, 512, SOCKET_ID_ANY, &no_rx, ethdev_pool),
		-EINVAL);
	CHECK_EQUAL(rte_eth_tx_queue_setup(ethdev_port, 1, 512, SOCKET_ID_ANY, &no_tx), -EINVAL);
	check_absent(1, 1);
	/* The others go on, and so do these when they are there. */
	poll_until(1, 100);
	ethdev_send(0, 10, 300);
	CHECK_EQUAL(
		rte_eth_rx_queue_setup(ethdev_port, 1, 512, SOCKET_ID_ANY, NULL, ethdev_pool), 0);
	CHECK_EQUAL(rte_eth_tx_queue_setup(ethdev_port, 1, 512, SOCKET_ID_ANY, NULL), 0);
	CHECK_EQUAL(rte_eth_dev_rx_queue_start(ethdev_port, 1), 0);
	CHECK_EQUAL(rte_eth_dev_tx_queue_start(ethdev_port, 1), 0);
	ethdev_send(1, 10, 300);
	poll_until(2, 100);
}

/* By any of the bursts that a port may have. */
static void
queues_whose_set_up_failed_are_not_there(void)
{
	static const char *const args[] = {"", ",ignore_vf=1", ",size_stats=1"};
	struct rte_mempool *small = rte_pktmbuf_pool_create(
		"tiny", 63, 0, 0, RTE_PKTMBUF_HEADROOM + 1000, SOCKET_ID_ANY);
	char device[320];
	size_t i;

	CHECK(small != NULL);
	for (i = 0; i < RTE_DIM(args); i++) {
		ethdev_detach();
		snprintf(device, sizeof(device), "%s%s", ethdev_device, args[i]);
		CHECK_EQUAL(ethdev_attach(device), 0);
		fail_to_set_up(small);
	}
	rte_mempool_free(small);
}

static void
queues_start_later_when_deferred(void)
{
	uint16_t q;

	set_up(3, 3, true);
	CHECK_EQUAL(rte_eth_dev_start(ethdev_port), 0);
	poll_until(3, 200);
	CHECK_EQUAL(received[1] + received[2], 0);
	for (q = 1; q < 3; q++) {
		CHECK_EQUAL(rte_eth_dev_rx_queue_start(ethdev_port, q), 0);
		CHECK_EQUAL(rte_eth_dev_tx_queue_start(ethdev_port, q), 0);
		ethdev_send(q, 10, 100);
		poll_until(3, 200);
		CHECK(received[q] > 0);
	}
	all_are_accounted_for(3);
}

/* ---- numbers of queues ---- */

static void
numbers_of_queues_need_not_be_equal(void)
{
	static const struct {
		uint16_t rx, tx;
	} numbers[] = {{1, 4}, {4, 1}, {0, 3}, {3, 0}, {2, 3}, {1, 1}};
	unsigned long sent = 0;
	uint16_t q;
	size_t i;

	for (i = 0; i < RTE_DIM(numbers); i++) {
		bring_up(numbers[i].rx, numbers[i].tx);
		for (q = 0; q < numbers[i].tx; q++, sent += 50)
			ethdev_send(q, 50, 200);
		if (numbers[i].rx != 0)
			poll_until(numbers[i].rx, 100);
		CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
		CHECK_EQUAL(ethdev_stats().opackets, sent);
		CHECK_EQUAL(ethdev_mbufs_out(), 0);
	}
}

/* Channels that are there stay: no other session, whose channels would begin anew. */
static void
fewer_queues_keep_the_session(void)
{
	struct netvsc_port *port = netvsc_port_of(&rte_eth_devices[ethdev_port]);
	static const uint16_t numbers[] = {1, 4, 2, 3, 1, 4};
	uint64_t frames = 0;
	uint32_t opened = 0;
	size_t i;

	for (i = 0; i < RTE_DIM(numbers); i++) {
		bring_up(numbers[i], numbers[i]);
		poll_until(numbers[i], 200);
		CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
		/* The one of the first start, which has this MTU. */
		if (i == 0)
			opened = port->channels[0]->opened;
		CHECK_EQUAL(port->channels[0]->opened, opened);
		CHECK(ethdev_stats().ipackets >= frames + 200);
		frames = ethdev_stats().ipackets;
	}
}

/* ---- counts ---- */

static void
counts_are_of_frames_that_wait(void)
{
	unsigned int n;
	int used;

	ethdev_knob("stall_rx", 1);
	bring_up(1, 1);
	CHECK_ASKED(rte_eth_rx_queue_count(ethdev_port, 0), 0);
	CHECK_ASKED(rte_eth_rx_descriptor_status(ethdev_port, 0, 0), RTE_ETH_RX_DESC_AVAIL);
	CHECK_ASKED(rte_eth_rx_descriptor_status(ethdev_port, 0, 512), -EINVAL);
	ethdev_knob("stall_rx", 0);
	WAIT_UNTIL(rte_eth_rx_queue_count(ethdev_port, 0) >= 40);
	ethdev_knob("stall_rx", 1);
	WAIT_UNTIL((used = rte_eth_rx_queue_count(ethdev_port, 0)) != -EBUSY);
	CHECK_ASKED(rte_eth_rx_descriptor_status(ethdev_port, 0, (uint16_t)(used - 1)),
		RTE_ETH_RX_DESC_DONE);
	for (n = 0; n < (unsigned int)used; n += ethdev_receive(0))
		CHECK_ASKED(rte_eth_rx_queue_count(ethdev_port, 0), used - (int)n);
	CHECK_ASKED(rte_eth_rx_descriptor_status(ethdev_port, 0, 0), RTE_ETH_RX_DESC_AVAIL);
	CHECK_EQUAL(rte_eth_tx_descriptor_status(ethdev_port, 0, 511), RTE_ETH_TX_DESC_DONE);
	ethdev_knob("no_complete", 1);
	ethdev_send(0, 1, 200);
	CHECK_EQUAL(rte_eth_tx_descriptor_status(ethdev_port, 0, 511), RTE_ETH_TX_DESC_FULL);
	CHECK_EQUAL(rte_eth_tx_descriptor_status(ethdev_port, 0, 510), RTE_ETH_TX_DESC_DONE);
	CHECK_EQUAL(rte_eth_tx_descriptor_status(ethdev_port, 0, 512), -EINVAL);
}

#define CASE(name)                                                                                 \
	{                                                                                          \
#name, name                                                                        \
	}
const struct ethdev_case ethdev_queue_cases[] = {
	CASE(the_spread_equals_a_software_toeplitz),
	CASE(rss_changes_lose_nothing),
	CASE(receive_queues_stop_and_start),
	CASE(send_queues_stop_and_start),
	CASE(queues_are_set_up_while_the_port_runs),
	CASE(queues_whose_set_up_failed_are_not_there),
	CASE(queues_start_later_when_deferred),
	CASE(numbers_of_queues_need_not_be_equal),
	CASE(fewer_queues_keep_the_session),
	CASE(counts_are_of_frames_that_wait),
	{NULL, NULL},
};
