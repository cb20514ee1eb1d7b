/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Prints the feature table of the first port as the driver advertises it, in the form and order of
 * DPDK's features/default.ini, and its limits: what doc/features/netvsc.ini and doc/features.md are
 * made of and compared with (test/integration/feature_table.py).
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_version.h>
#include <bus_driver.h>
#include <dev_driver.h>
#include <ethdev_driver.h>

#include "drivers/net/netvsc/compat.h"
#include "drivers/net/netvsc/port.h"

/* What a driver leaves out is NULL until 25.07, and since then ethdev's function that refuses. */
#if RTE_VERSION >= RTE_VERSION_NUM(25, 11, 0, 0)
#define HAS_STATUS(op) ((op) != rte_eth_descriptor_status_dummy)
#else
#define HAS_STATUS(op) ((op) != NULL)
#endif

static void
feature(const char *name, bool has)
{
	if (has)
		printf("%-20s = Y\n", name);
}

static void
print_features(const struct rte_eth_dev *eth, const struct rte_eth_dev_info *info)
{
	const struct eth_dev_ops *ops = eth->dev_ops;
	uint64_t rx = info->rx_offload_capa, tx = info->tx_offload_capa;
	uint32_t flags = eth->data->dev_flags;

	printf("[Features]\n");
	feature("Speed capabilities", info->speed_capa != 0);
	feature("Link status", ops->link_update != NULL);
	feature("Link status event", flags & RTE_ETH_DEV_INTR_LSC);
	feature("Removal event", flags & RTE_ETH_DEV_INTR_RMV);
	feature("Rx interrupt", ops->rx_queue_intr_enable != NULL);
	feature("Fast mbuf free", tx & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE);
	feature("Free Tx mbuf on demand", ops->tx_done_cleanup != NULL);
	feature("Queue start/stop", ops->rx_queue_start != NULL && ops->tx_queue_stop != NULL);
	feature("Runtime Rx queue setup", info->dev_capa & RTE_ETH_DEV_CAPA_RUNTIME_RX_QUEUE_SETUP);
	feature("Runtime Tx queue setup", info->dev_capa & RTE_ETH_DEV_CAPA_RUNTIME_TX_QUEUE_SETUP);
	feature("Burst mode info", ops->rx_burst_mode_get != NULL);
	feature("Power mgmt address monitor", ops->get_monitor_addr != NULL);
	/* With one MTU only there is nothing to update. */
	feature("MTU update", ops->mtu_set != NULL && info->max_mtu > RTE_ETHER_MTU);
	feature("Scattered Rx", rx & RTE_ETH_RX_OFFLOAD_SCATTER);
	feature("LRO", rx & RTE_ETH_RX_OFFLOAD_TCP_LRO);
	feature("TSO", tx & RTE_ETH_TX_OFFLOAD_TCP_TSO);
	feature("Promiscuous mode", ops->promiscuous_enable != NULL);
	feature("Allmulticast mode", ops->allmulticast_enable != NULL);
	feature("Unicast MAC filter", ops->mac_addr_add != NULL);
	feature("Multicast MAC filter", ops->set_mc_addr_list != NULL);
	feature("RSS hash", info->flow_type_rss_offloads != 0);
	feature("RSS key update", ops->rss_hash_update != NULL && info->hash_key_size != 0);
	feature("RSS reta update", ops->reta_update != NULL && info->reta_size != 0);
	feature("VLAN filter", ops->vlan_filter_set != NULL);
	feature("VLAN offload", rx & RTE_ETH_RX_OFFLOAD_VLAN_STRIP);
	feature("L3 checksum offload", rx & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM);
	feature("L4 checksum offload", rx & RTE_ETH_RX_OFFLOAD_TCP_CKSUM);
	feature("Packet type parsing", ops->dev_supported_ptypes_get != NULL);
	feature("Rx descriptor status", HAS_STATUS(eth->rx_descriptor_status));
	feature("Tx descriptor status", HAS_STATUS(eth->tx_descriptor_status));
	feature("Basic stats", ops->stats_get != NULL);
	feature("Extended stats", ops->xstats_get != NULL);
	feature("Stats per queue", flags & RTE_ETH_DEV_AUTOFILL_QUEUE_XSTATS);
	feature("FW version", ops->fw_version_get != NULL);
	feature("Registers dump", ops->get_reg != NULL);
	feature("Multiprocess aware", true);
	feature("Linux", true);
#if defined(__x86_64__)
	feature("x86-64", true);
#elif defined(__aarch64__)
	feature("ARMv8", true);
#endif
	/* doc/guide.md, doc/design.md, doc/bench. */
	feature("Usage doc", true);
	feature("Design doc", true);
	feature("Perf doc", true);
}

/* ---- what the vocabulary has no words for ---- */

static void
row(const char *name, bool has, const char *how)
{
	printf("%s = %s%s%s\n", name, has ? "Y" : "–", has && how[0] != '\0' ? ", " : "",
		has ? how : "");
}

/* What a port alone cannot show, a test does, which the page names. */
static void
row_by_test(const char *name, const char *how, const char *test)
{
	printf("%s = Y, %s(`%s`)\n", name, how, test);
}

static bool
has_xstat(uint16_t id, const char *name)
{
	uint64_t number;

	return rte_eth_xstats_get_id_by_name(id, name, &number) == 0;
}

/* Of VMBus: as the port that runs shows it, or as a test does. */
static void
print_vmbus(const struct rte_eth_dev *eth, const struct rte_eth_dev_info *info)
{
	const struct netvsc_port *port = netvsc_port_of(eth);
	const struct rte_bus *bus = eth->device->bus;
	char text[64];

	printf("[VMBus]\n");
	row("Accelerated networking (a VF under the port)", netvsc_vf_possible(port),
		"by serial number and MAC address");
	row("VF found by name (`vf=`)", port->vf != NULL, "any ethdev");
	row("Recovery after rescind and re-offer",
		info->err_handle_mode == RTE_ETH_ERROR_HANDLE_MODE_PROACTIVE &&
			port->config.recovery_s != 0,
		"same port, within `recovery_s` (uio: bound with `--persist`)");
	row("Withdrawal of the NIC is told", eth->data->dev_flags & RTE_ETH_DEV_INTR_RMV, "");
	row("Detached and attached again", bus->NETVSC_COMPAT_UNPLUG != NULL, "");
	row_by_test("Multi-process", "also while the primary stops, resets or recovers ",
		"test/integration/test_processes.py");
	snprintf(text, sizeof(text), "up to %u frames a packet here", port->session.max_messages);
	row("Aggregation of sends", port->session.max_messages > 1, text);
	row("Zero-copy send", !port->bus->copy_only, "above `tx_copybreak`, per segment");
	row("Zero-copy receive", has_xstat(eth->data->port_id, "rx_by_reference"),
		"above `rx_copybreak`, if given");
	snprintf(text, sizeof(text), "up to %u, started and stopped one by one",
		RTE_MIN(info->max_rx_queues, info->max_tx_queues));
	row("Channels", info->max_rx_queues > 1, text);
	row_by_test(
		"NIC without a monitor page (Linux 6.10 and later)", "", "test/uio/test_rig.py");
	row_by_test("Users without privileges", "`copy_only=1` on uio ", "test/uio/test_user.py");
	row("Hosts in user space (vfio-user)", strcmp(port->bus->backend->name, "vfio-user") == 0,
		"");
	row_by_test("Telemetry of its own", "`/netvsc/...`, flight recorder, wire trace ",
		"test/integration/test_telemetry.py");
}

static void
print_limits(const struct rte_eth_dev *eth, const struct rte_eth_dev_info *info)
{
	int xstats = rte_eth_xstats_get_names(eth->data->port_id, NULL, 0);

	printf("[Limits]\n");
	printf("Receive and send queues = %u, %u\n", info->max_rx_queues, info->max_tx_queues);
	printf("Descriptors of a receive queue = %u to %u\n", info->rx_desc_lim.nb_min,
		info->rx_desc_lim.nb_max);
	printf("Descriptors of a send queue = %u to %u\n", info->tx_desc_lim.nb_min,
		info->tx_desc_lim.nb_max);
	printf("MTU = %u to %u\n", info->min_mtu, info->max_mtu);
	printf("RSS table, key = %u entries, %u bytes\n", info->reta_size, info->hash_key_size);
	printf("RSS types = %#llx\n", (unsigned long long)info->flow_type_rss_offloads);
	printf("Receive offloads = %#llx\n", (unsigned long long)info->rx_offload_capa);
	printf("Send offloads = %#llx\n", (unsigned long long)info->tx_offload_capa);
	printf("Longest coalesced frame = %u\n", info->max_lro_pkt_size);
	printf("MAC addresses = %u\n", info->max_mac_addrs);
	printf("Segments of a frame = %u\n", info->tx_desc_lim.nb_seg_max);
	/* Not configured: those that the port has whatever its queues are. */
	printf("Extended statistics = %s\n", xstats > 0 ? "by name and id" : "none");
}

int
main(int argc, char **argv)
{
	struct rte_eth_dev_info info;

	if (rte_eal_init(argc, argv) < 0)
		return 1;
	if (rte_eth_dev_count_avail() == 0 || rte_eth_dev_info_get(0, &info) != 0) {
		fprintf(stderr, "no port\n");
		rte_eal_cleanup();
		return 1;
	}
	print_features(&rte_eth_devices[0], &info);
	print_vmbus(&rte_eth_devices[0], &info);
	print_limits(&rte_eth_devices[0], &info);
	rte_eth_dev_close(0);
	rte_eal_cleanup();
	return 0;
}
