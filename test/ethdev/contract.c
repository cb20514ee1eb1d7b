/* SPDX-License-Identifier: BSD-3-Clause */
/* The life cycle: what is announced works, what is not there is refused, no order of calls hurts.
 */
#include <ctype.h>
#include <semaphore.h>

#include <rte_dev.h>
#include <rte_version.h>

#include "drivers/net/netvsc/attach.h"
#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/tx.h"
#include "drivers/net/netvsc/vf.h"
#include "test/ethdev/ethdev.h"

/* ---- set-up ---- */

static void
start_without_a_queue_that_was_configured_is_refused(void)
{
	struct rte_eth_conf conf = {0};

	CHECK_EQUAL(rte_eth_dev_configure(ethdev_port, 1, 2, &conf), 0);
	CHECK_EQUAL(rte_eth_tx_queue_setup(ethdev_port, 0, 512, SOCKET_ID_ANY, NULL), 0);
	CHECK_REFUSED(rte_eth_dev_start(ethdev_port), -EINVAL, "receive queue 0 is configured but");
	CHECK_EQUAL(
		rte_eth_rx_queue_setup(ethdev_port, 0, 512, SOCKET_ID_ANY, NULL, ethdev_pool), 0);
	CHECK_REFUSED(
		rte_eth_dev_start(ethdev_port), -EINVAL, "transmit queue 1 is configured but");
	CHECK_EQUAL(rte_eth_tx_done_cleanup(ethdev_port, 1, 0), -EINVAL);
	CHECK_EQUAL(rte_eth_tx_queue_setup(ethdev_port, 1, 512, SOCKET_ID_ANY, NULL), 0);
	CHECK_EQUAL(rte_eth_dev_start(ethdev_port), 0);
	CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
	/* More queues than before: the new ones are not there. */
	CHECK_EQUAL(rte_eth_dev_configure(ethdev_port, 2, 2, &conf), 0);
	CHECK_REFUSED(rte_eth_dev_start(ethdev_port), -EINVAL, "receive queue 1 is configured but");
	ethdev_bring_up(2, 2);
}

static void
modes_that_are_not_there_are_refused(void)
{
	static const struct {
		struct rte_eth_conf conf;
		int error;
		const char *words;
	} asked[] = {
		{{.rxmode.mq_mode = RTE_ETH_MQ_RX_VMDQ_RSS}, -EINVAL, "no VMDq"},
		{{.rxmode.mq_mode = RTE_ETH_MQ_RX_VMDQ_ONLY}, -EINVAL, "no VMDq"},
		{{.rxmode.mq_mode = RTE_ETH_MQ_RX_DCB}, -EINVAL, "no DCB"},
		{{.rxmode.mq_mode = RTE_ETH_MQ_RX_DCB_RSS}, -EINVAL, "no DCB"},
		{{.rxmode.mq_mode = RTE_ETH_MQ_RX_VMDQ_DCB_RSS}, -EINVAL, "no DCB"},
		{{.txmode.mq_mode = RTE_ETH_MQ_TX_DCB}, -EINVAL, "no DCB"},
		{{.txmode.mq_mode = RTE_ETH_MQ_TX_VMDQ_DCB}, -EINVAL, "no DCB"},
		{{.txmode.mq_mode = RTE_ETH_MQ_TX_VMDQ_ONLY}, -EINVAL, "no VMDq"},
		{{.dcb_capability_en = RTE_ETH_DCB_PFC_SUPPORT}, -EINVAL, "no DCB"},
		{{.link_speeds = RTE_ETH_LINK_SPEED_FIXED | RTE_ETH_LINK_SPEED_1G}, -EINVAL,
			"link speed"},
		{{.link_speeds = RTE_ETH_LINK_SPEED_FIXED | RTE_ETH_LINK_SPEED_10G}, -EINVAL,
			"link speed"},
		{{.link_speeds = RTE_ETH_LINK_SPEED_1G}, -EINVAL, "link speed"},
		{{.txmode.hw_vlan_insert_pvid = 1}, -ENOTSUP, "port VLAN"},
		{{.txmode.hw_vlan_reject_tagged = 1}, -ENOTSUP, "port VLAN"},
		{{.txmode.hw_vlan_reject_untagged = 1}, -ENOTSUP, "port VLAN"},
	};
	struct rte_eth_conf conf;
	unsigned long lines;
	size_t i;

	for (i = 0; i < RTE_DIM(asked); i++)
		CHECK_REFUSED(rte_eth_dev_configure(ethdev_port, 2, 2, &asked[i].conf),
			asked[i].error, asked[i].words);
	/* What is there is granted: the speed it has, RSS, and loopback with a word about it. */
	conf = (struct rte_eth_conf){.link_speeds = RTE_ETH_LINK_SPEED_10G};
	CHECK_EQUAL(rte_eth_dev_configure(ethdev_port, 1, 1, &conf), 0);
	conf = (struct rte_eth_conf){.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS};
	CHECK_EQUAL(rte_eth_dev_configure(ethdev_port, 2, 2, &conf), 0);
	conf = (struct rte_eth_conf){.lpbk_mode = 1};
	lines = ethdev_log_lines();
	CHECK_EQUAL(rte_eth_dev_configure(ethdev_port, 1, 1, &conf), 0);
	CHECK(ethdev_logged(lines, "no loopback"));
}

/* Configure for coalescing and start. @return whether the port says that there is */
static bool
coalesces(uint32_t limit, uint16_t mtu)
{
	struct rte_eth_conf conf = {.rxmode = {.offloads = RTE_ETH_RX_OFFLOAD_TCP_LRO,
					    .max_lro_pkt_size = limit,
					    .mtu = mtu}};
	struct rte_eth_burst_mode mode;

	CHECK_EQUAL(rte_eth_dev_configure(ethdev_port, 1, 1, &conf), 0);
	CHECK_EQUAL(
		rte_eth_rx_queue_setup(ethdev_port, 0, 512, SOCKET_ID_ANY, NULL, ethdev_pool), 0);
	CHECK_EQUAL(rte_eth_tx_queue_setup(ethdev_port, 0, 512, SOCKET_ID_ANY, NULL), 0);
	CHECK_EQUAL(rte_eth_dev_start(ethdev_port), 0);
	CHECK_EQUAL(rte_eth_rx_burst_mode_get(ethdev_port, 0, &mode), 0);
	CHECK_EQUAL(strstr(mode.info, "coalescing") != NULL, port_device()->data->lro);
	CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
	return port_device()->data->lro;
}

/* The limit of coalesced frames: kept, or refused by ethdev; who has none gets what there is. */
static void
a_limit_of_coalesced_frames_is_kept(void)
{
	struct rte_eth_conf conf = {.rxmode.offloads = RTE_ETH_RX_OFFLOAD_TCP_LRO};
	struct rte_eth_dev_info info;
	unsigned long lines;

	CHECK_EQUAL(rte_eth_dev_info_get(ethdev_port, &info), 0);
	CHECK(info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_TCP_LRO);
	CHECK(info.max_lro_pkt_size > UINT16_MAX);
	lines = ethdev_log_lines();
	CHECK(coalesces(0, 0));
	CHECK(coalesces(0, 1400));
	CHECK(coalesces(UINT16_MAX, 0));
	CHECK(coalesces(info.max_lro_pkt_size, 0));
	CHECK(!ethdev_logged(lines, "max_lro_pkt_size"));
	CHECK(!coalesces(16000, 0));
	CHECK(ethdev_logged(lines, "max_lro_pkt_size 16000: the host"));
	/* What the port cannot have. */
	conf.rxmode.max_lro_pkt_size = info.max_lro_pkt_size + 1;
	CHECK_EQUAL(rte_eth_dev_configure(ethdev_port, 1, 1, &conf), -EINVAL);
	ethdev_bring_up(2, 2);
	CHECK(!port_device()->data->lro);
}

/* ---- limits ---- */

static void
check_descriptors(uint16_t queues, uint16_t rx, uint16_t tx)
{
	struct rte_eth_conf conf = {0};
	uint16_t q;

	CHECK_EQUAL(rte_eth_dev_configure(ethdev_port, queues, queues, &conf), 0);
	for (q = 0; q < queues; q++) {
		CHECK_EQUAL(rte_eth_rx_queue_setup(
				    ethdev_port, q, rx, SOCKET_ID_ANY, NULL, ethdev_pool),
			0);
		CHECK_EQUAL(rte_eth_tx_queue_setup(ethdev_port, q, tx, SOCKET_ID_ANY, NULL), 0);
	}
	CHECK_EQUAL(rte_eth_dev_start(ethdev_port), 0);
	for (q = 0; q < queues; q++) {
		ethdev_send(q, 100, 60);
		ethdev_send(q, 100, 1514);
	}
	CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
}

/* Of an mbuf, beside the MTU. */
#define FRAME_ROOM (RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN)

/* Every limit of dev_info is used. */
static void
what_dev_info_announces_works(void)
{
	struct rte_eth_rss_reta_entry64 reta[RTE_ETH_RSS_RETA_SIZE_512 / 64] = {0};
	struct rte_eth_conf conf = {0};
	struct rte_eth_dev_info info;
	struct rte_mempool *small, *smallest, *tiny;
	struct rte_eth_rxconf rxconf = {.rx_drop_en = 1};
	uint8_t key[256] = {1};
	struct rte_eth_rss_conf rss = {.rss_key = key};
	unsigned long before;
	uint16_t i;

	CHECK_EQUAL(rte_eth_dev_info_get(ethdev_port, &info), 0);
	CHECK(info.max_rx_queues >= 2 && info.max_tx_queues >= 2);
	before = ethdev_host_counter("tx_frames");
	if (port_device()->data->dev_private != NULL)
		netvsc_port_of(port_device())->config.tx_copybreak = 512;
	check_descriptors(info.max_rx_queues, info.rx_desc_lim.nb_max, info.tx_desc_lim.nb_max);
	check_descriptors(1, info.rx_desc_lim.nb_min, info.tx_desc_lim.nb_min);
	CHECK_EQUAL(ethdev_host_counter("tx_frames"), before + (info.max_tx_queues + 1u) * 200);
	if (port_device()->data->dev_private != NULL &&
		!netvsc_port_of(port_device())->bus->copy_only)
		CHECK(ethdev_xstat("tx_q0_by_reference") >= 100);

	/* An mbuf that takes a frame of the MTU with its tag takes every one. */
	small = rte_pktmbuf_pool_create("small", 127, 0, 0,
		RTE_ETHER_MTU + FRAME_ROOM + RTE_PKTMBUF_HEADROOM, SOCKET_ID_ANY);
	CHECK(small != NULL);
	CHECK_EQUAL(rte_eth_dev_configure(ethdev_port, 1, 1, &conf), 0);
	CHECK_EQUAL(rte_eth_rx_queue_setup(ethdev_port, 0, 512, SOCKET_ID_ANY, NULL, small), 0);
	CHECK_EQUAL(rte_eth_tx_queue_setup(ethdev_port, 0, 512, SOCKET_ID_ANY, NULL), 0);
	CHECK_EQUAL(rte_eth_dev_start(ethdev_port), 0);
	WAIT_UNTIL((ethdev_receive(0), ethdev_stats().ipackets) >= 2000);
	CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
	CHECK_EQUAL(ethdev_xstat("rx_dropped_stopped"), ethdev_stats().imissed);

	/* MTU: the smallest and the largest, and none of those next to them. */
	CHECK_EQUAL(rte_eth_dev_set_mtu(ethdev_port, info.min_mtu), 0);
	CHECK_EQUAL(rte_eth_dev_set_mtu(ethdev_port, info.max_mtu), 0);
	CHECK_EQUAL(rte_eth_dev_set_mtu(ethdev_port, info.min_mtu - 1), -EINVAL);
	CHECK_EQUAL(rte_eth_dev_set_mtu(ethdev_port, info.max_mtu + 1), -EINVAL);

	/*
	 * Mbufs for a smaller MTU are taken. A larger one is refused while frames
	 * come, and by a start: before it the queue may be set up anew with other mbufs.
	 */
	conf.rxmode.mtu = info.min_mtu;
	CHECK_EQUAL(rte_eth_dev_configure(ethdev_port, 1, 1, &conf), 0);
	smallest = rte_pktmbuf_pool_create("smallest", 127, 0, 0,
		(uint16_t)(info.min_mtu + FRAME_ROOM + RTE_PKTMBUF_HEADROOM), SOCKET_ID_ANY);
	CHECK_EQUAL(rte_eth_rx_queue_setup(ethdev_port, 0, 512, SOCKET_ID_ANY, NULL, smallest), 0);
	CHECK_EQUAL(rte_eth_tx_queue_setup(ethdev_port, 0, 512, SOCKET_ID_ANY, NULL), 0);
	CHECK_EQUAL(rte_eth_dev_start(ethdev_port), 0);
	CHECK_REFUSED(rte_eth_dev_set_mtu(ethdev_port, info.min_mtu + 1), -EINVAL, "larger mbufs");
	CHECK_REFUSED(rte_eth_dev_set_mtu(ethdev_port, info.max_mtu), -EINVAL, "larger mbufs");
	CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
	CHECK_EQUAL(rte_eth_dev_set_mtu(ethdev_port, info.max_mtu), 0);
	CHECK_REFUSED(rte_eth_dev_start(ethdev_port), -EINVAL, "larger mbufs");
	conf.rxmode.mtu = info.max_mtu;
	CHECK_EQUAL(rte_eth_dev_configure(ethdev_port, 1, 1, &conf), 0);
	CHECK_EQUAL(rte_eth_tx_queue_setup(ethdev_port, 0, 512, SOCKET_ID_ANY, NULL), 0);
	CHECK_REFUSED(rte_eth_dev_start(ethdev_port), -EINVAL, "larger mbufs");

	/* The smallest that is announced take frames that are scattered. */
	tiny = rte_pktmbuf_pool_create("tiny", 2047, 0, 0,
		(uint16_t)(info.min_rx_bufsize + RTE_PKTMBUF_HEADROOM), SOCKET_ID_ANY);
	CHECK_REFUSED(rte_eth_rx_queue_setup(ethdev_port, 0, 512, SOCKET_ID_ANY, NULL, tiny),
		-EINVAL, "SCATTER");
	rxconf.offloads = RTE_ETH_RX_OFFLOAD_SCATTER;
	CHECK_EQUAL(rte_eth_rx_queue_setup(ethdev_port, 0, 512, SOCKET_ID_ANY, &rxconf, tiny), 0);
	CHECK_EQUAL(rte_eth_dev_start(ethdev_port), 0);
	before = ethdev_stats().ipackets;
	WAIT_UNTIL((ethdev_receive(0), ethdev_stats().ipackets) >= before + 2000);
	CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);

	/* RSS: the table of that size, a key of that length. */
	ethdev_bring_up(2, 2);
	rte_mempool_free(small);
	rte_mempool_free(smallest);
	rte_mempool_free(tiny);
	CHECK(info.reta_size > 0 && info.reta_size <= RTE_ETH_RSS_RETA_SIZE_512);
	for (i = 0; i < info.reta_size; i++) {
		reta[i / 64].mask |= UINT64_C(1) << (i % 64);
		reta[i / 64].reta[i % 64] = i % 2;
	}
	CHECK_EQUAL(rte_eth_dev_rss_reta_update(ethdev_port, reta, info.reta_size), 0);
	rss.rss_hf = info.flow_type_rss_offloads;
	rss.rss_key_len = info.hash_key_size;
	CHECK_EQUAL(rte_eth_dev_rss_hash_update(ethdev_port, &rss), 0);
	rss.rss_key_len++;
	CHECK_REFUSED(rte_eth_dev_rss_hash_update(ethdev_port, &rss), -EINVAL, "RSS key");
}

static void
the_port_has_a_node(void)
{
	int node = rte_eth_dev_socket_id(ethdev_port);
	struct rte_mempool *pool;

	CHECK(node >= 0);
	/* As applications do: their memory goes where the port says it is. */
	pool = rte_pktmbuf_pool_create("there", 63, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, node);
	CHECK(pool != NULL);
	rte_mempool_free(pool);
	ethdev_detach();
	CHECK_EQUAL(ethdev_attach(ethdev_device), 0);
	CHECK_EQUAL(rte_eth_dev_socket_id(ethdev_port), node);
}

/* ---- life ---- */

static bool
bursts_are_ours(eth_rx_burst_t rx, eth_tx_burst_t tx)
{
	return rx == netvsc_rx_burst || rx == netvsc_vf_rx_burst || tx == netvsc_tx_burst ||
	       tx == netvsc_vf_tx_burst;
}

static bool
bursts_are_harmless(struct rte_eth_dev *eth, uint16_t port)
{
	const struct rte_eth_fp_ops *fp = &rte_eth_fp_ops[port];

	return !bursts_are_ours(fp->rx_pkt_burst, fp->tx_pkt_burst) &&
	       !bursts_are_ours(eth->rx_pkt_burst, eth->tx_pkt_burst);
}

static void
bursts_of_a_stopped_or_removed_port_are_harmless(void)
{
	uint16_t port = ethdev_port;
	struct rte_eth_dev *eth = port_device();
	struct rte_mbuf *m = NULL;

	CHECK(bursts_are_harmless(eth, port));
	ethdev_bring_up(1, 1);
	/* A port that may get a virtual function. */
	CHECK(eth->rx_pkt_burst == netvsc_vf_rx_burst && eth->tx_pkt_burst == netvsc_vf_tx_burst);
	CHECK(rte_eth_fp_ops[port].rx_pkt_burst == netvsc_vf_rx_burst);
	WAIT_UNTIL(ethdev_receive(0) != 0);
	CHECK_EQUAL(rte_eth_dev_stop(port), 0);
	CHECK(bursts_are_harmless(eth, port));
	/* Whoever kept the device, as failsafe does, polls a queue that may be gone. */
	CHECK(eth->rx_pkt_burst != NULL && eth->tx_pkt_burst != NULL);
	CHECK_EQUAL(eth->rx_pkt_burst(NULL, &m, 1), 0);
	CHECK_EQUAL(eth->tx_pkt_burst(NULL, &m, 1), 0);
	CHECK_EQUAL(rte_eth_rx_burst(port, 0, &m, 1), 0);
	ethdev_bring_up(1, 1);
	WAIT_UNTIL(ethdev_receive(0) != 0);
	ethdev_detach();
	CHECK(bursts_are_harmless(eth, port));
	CHECK_EQUAL(rte_eth_rx_burst(port, 0, &m, 1), 0);
	CHECK_EQUAL(rte_eth_tx_burst(port, 0, &m, 1), 0);
}

static sem_t event_seen;
static unsigned int closings;

static int
close_in_callback(uint16_t port, enum rte_eth_event_type event, void *arg, void *ret)
{
	if (__atomic_fetch_add(&closings, 1, __ATOMIC_RELAXED) == 0) {
		rte_eth_dev_stop(port);
		rte_eth_dev_close(port);
	}
	sem_post(&event_seen);
	return 0;
}

/* Housekeeping would go on with the port that its callback has freed. */
static void
closed_in_callback(void (*provoke)(void))
{
	struct rte_eth_conf conf = {.intr_conf.lsc = 1};
	struct timespec end;
	int i;

	closings = 0;
	sem_init(&event_seen, 0, 0);
	CHECK_EQUAL(rte_eth_dev_configure(ethdev_port, 1, 1, &conf), 0);
	CHECK_EQUAL(
		rte_eth_rx_queue_setup(ethdev_port, 0, 512, SOCKET_ID_ANY, NULL, ethdev_pool), 0);
	CHECK_EQUAL(rte_eth_tx_queue_setup(ethdev_port, 0, 512, SOCKET_ID_ANY, NULL), 0);
	CHECK_EQUAL(rte_eth_dev_callback_register(
			    ethdev_port, RTE_ETH_EVENT_INTR_LSC, close_in_callback, NULL),
		0);
	CHECK_EQUAL(rte_eth_dev_start(ethdev_port), 0);
	provoke();
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 10;
	CHECK_EQUAL(sem_timedwait(&event_seen, &end), 0);
	/* A tick that was armed again would have run by then, on memory that is no port any more.
	 */
	for (i = 0; i < 10; i++)
		rte_delay_us_sleep(10000);
	CHECK_EQUAL(closings, 1);
	CHECK(!rte_eth_dev_is_valid_port(ethdev_port));
}

static void
link_goes_down(void)
{
	ethdev_link(false);
}

static void
network_changes(void)
{
	ethdev_knob("network_change", 1);
}

static void
a_link_callback_may_close_the_port(void)
{
	closed_in_callback(link_goes_down);
}

static void
a_callback_of_a_network_change_may_close_the_port(void)
{
	closed_in_callback(network_changes);
}

static void
a_port_that_broke_while_stopped_starts_again(void)
{
	struct netvsc_port *port;
	uint64_t before;

	ethdev_bring_up(1, 1);
	CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
	port = netvsc_port_of(port_device());
	ethdev_knob("corrupt_ring", 0);
	WAIT_UNTIL(atomic_load(&port->state) & NETVSC_STATE_BROKEN);
	ethdev_bring_up(1, 1);
	before = ethdev_stats().ipackets;
	WAIT_UNTIL((ethdev_receive(0), ethdev_stats().ipackets) > before + 100);
	/* And without configure. */
	CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
	ethdev_knob("corrupt_ring", 0);
	WAIT_UNTIL(atomic_load(&port->state) & NETVSC_STATE_BROKEN);
	CHECK_EQUAL(rte_eth_dev_start(ethdev_port), 0);
	before = ethdev_stats().ipackets;
	WAIT_UNTIL((ethdev_receive(0), ethdev_stats().ipackets) > before + 100);
	ethdev_send(0, 10, 1000);
}

/* ---- refusals have a sentence ---- */

static void
what_a_port_that_is_gone_refuses_has_a_reason(void)
{
	struct netvsc_port *port = netvsc_port_of(port_device());
	struct rte_ether_addr mac = {{0x02, 0, 0, 0, 0, 0x77}};
	struct rte_eth_conf conf = {0};

	ethdev_knob("stall", 1);
	/* The bus tells nobody: after that, ethdev's answer is -EIO instead of ours. */
	atomic_store(&port->bus->told, true);
	atomic_store(&port->bus->gone, true);
	CHECK_REFUSED(rte_eth_dev_default_mac_addr_set(ethdev_port, &mac), -ENODEV, "is gone");
	CHECK_REFUSED(rte_eth_dev_reset(ethdev_port), -ENODEV, "close the port");
	CHECK_REFUSED(rte_eth_dev_configure(ethdev_port, 1, 1, &conf), -ENODEV, "close the port");
	/* It was there all the time. */
	ethdev_knob("stall", 0);
	atomic_store(&port->bus->gone, false);
	atomic_store(&port->bus->told, false);
	CHECK_EQUAL(port->bus->backend->reset(port->bus), 0);
	ethdev_bring_up(1, 1);
	/* A port without a channel has not been refused anything by the host. */
	CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
	CHECK_EQUAL(ethdev_end_session(), 0);
	CHECK_REFUSED(
		rte_eth_dev_default_mac_addr_set(ethdev_port, &mac), -ENOTCONN, "reset the port");
}

static void
a_receive_queue_without_memory_has_a_reason(void)
{
	struct rte_eth_conf conf = {0};

	CHECK_EQUAL(rte_eth_dev_configure(ethdev_port, 1, 1, &conf), 0);
	heap_fails = "netvsc_rxq";
	CHECK_REFUSED(rte_eth_rx_queue_setup(ethdev_port, 0, 512, SOCKET_ID_ANY, NULL, ethdev_pool),
		-ENOMEM, "receive queue 0: no memory");
	heap_fails = NULL;
}

static void
a_device_without_memory_has_a_reason(void)
{
	static const struct {
		const char *type, *words;
	} fails[] = {
		{"netvsc_port", "no memory for a port"},
		{"netvsc_mac", "no memory for the MAC address"},
	};
	size_t i;

	for (i = 0; i < RTE_DIM(fails); i++) {
		if (rte_eth_dev_is_valid_port(ethdev_port))
			ethdev_detach();
		heap_fails = fails[i].type;
		CHECK_REFUSED(ethdev_attach(ethdev_device), -ENOMEM, fails[i].words);
		heap_fails = NULL;
		CHECK_EQUAL(ethdev_attach(ethdev_device), 0);
	}
}

/* ---- names and arguments ---- */

/* ethdev_device with the GUID spelled another way: "vmbus:GUID[,ARGS]". */
static void
spell(char *out, size_t size, const char *before, const char *after, bool upper)
{
	char guid[37];
	int i;

	memcpy(guid, ethdev_device + strlen("vmbus:"), sizeof(guid) - 1);
	guid[sizeof(guid) - 1] = '\0';
	for (i = 0; upper && guid[i] != '\0'; i++)
		guid[i] = (char)toupper((unsigned char)guid[i]);
	snprintf(out, size, "%s%s%s%s", before, guid, after, ethdev_device + strlen("vmbus:") + 36);
}

static void
a_guid_may_be_spelled_as_windows_does(void)
{
	static const struct {
		const char *before, *after;
		bool upper;
	} spelled[] = {
		{"vmbus:{", "}", true},
		{"vmbus:{", "}", false},
		{"{", "}", true},
		{"vmbus:", "", true},
		{"", "", true},
		{"vmbus:", "", false},
	};
	char device[300];
	size_t i;

	for (i = 0; i < RTE_DIM(spelled); i++) {
		ethdev_detach();
		spell(device, sizeof(device), spelled[i].before, spelled[i].after,
			spelled[i].upper);
		if (ethdev_attach(device) != 0)
			FAIL("%s is not attached", device);
		ethdev_bring_up(1, 1);
		WAIT_UNTIL(ethdev_receive(0) != 0);
	}
	ethdev_detach();
	CHECK(ethdev_attach("vmbus:{48795065-7230-4000-8000-000000000001") < 0);
	CHECK(ethdev_attach("vmbus:48795065-7230-4000-8000-000000000001}") < 0);
	CHECK(ethdev_attach("vmbus:{{48795065-7230-4000-8000-00000000000}") < 0);
	CHECK_EQUAL(ethdev_attach(ethdev_device), 0);
}

static void
device_arguments_of_the_in_tree_driver_are_accepted(void)
{
	static const struct {
		const char *args, *words;
		bool good;
	} given[] = {
		{"numa_aware=1", "numa_aware has no effect", true},
		{"numa_aware=0", "numa_aware has no effect", true},
		{"rx_copybreak=0", NULL, true},
		{"rx_extmbuf_enable=1", NULL, true},
		{"latency=100,tx_copybreak=256", NULL, true},
		{"numa_aware=2", "devargs key numa_aware=2", false},
		{"numa_aware=yes", "devargs key numa_aware=yes", false},
		{"latency=-1", "devargs key latency=-1", false},
		{"numa_awares=1", "known keys: vfio-user=PATH", false},
	};
	char device[400];
	unsigned long lines;
	size_t i;

	for (i = 0; i < RTE_DIM(given); i++) {
		if (rte_eth_dev_is_valid_port(ethdev_port))
			ethdev_detach();
		snprintf(device, sizeof(device), "%s,%s", ethdev_device, given[i].args);
		lines = ethdev_log_lines();
		if ((ethdev_attach(device) == 0) != given[i].good)
			FAIL("%s: %s", given[i].args, given[i].good ? "refused" : "accepted");
		if (given[i].words != NULL && !ethdev_logged(lines, given[i].words))
			FAIL("%s: nothing in the log about \"%s\"", given[i].args, given[i].words);
		if (given[i].good)
			ethdev_bring_up(1, 1);
	}
}

#define CASE(name)                                                                                 \
	{                                                                                          \
#name, name                                                                        \
	}
const struct ethdev_case ethdev_contract_cases[] = {
	CASE(start_without_a_queue_that_was_configured_is_refused),
	CASE(modes_that_are_not_there_are_refused),
	CASE(a_limit_of_coalesced_frames_is_kept),
	CASE(what_dev_info_announces_works),
	CASE(the_port_has_a_node),
	CASE(bursts_of_a_stopped_or_removed_port_are_harmless),
	CASE(a_link_callback_may_close_the_port),
	CASE(a_callback_of_a_network_change_may_close_the_port),
	CASE(a_port_that_broke_while_stopped_starts_again),
	CASE(what_a_port_that_is_gone_refuses_has_a_reason),
	CASE(a_receive_queue_without_memory_has_a_reason),
	CASE(a_device_without_memory_has_a_reason),
	CASE(a_guid_may_be_spelled_as_windows_does),
	CASE(device_arguments_of_the_in_tree_driver_are_accepted),
	{NULL, NULL},
};
