/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A port in a secondary process: bursts, and whatever only looks. What changes a port is the
 * primary's. The port's structures are shared; the functions and the device under it are not.
 */
#include <errno.h>
#include <string.h>

#include <rte_eal.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/compat.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/sizes.h"
#include "drivers/net/netvsc/stats.h"
#include "drivers/net/netvsc/tx.h"
#include "drivers/net/netvsc/tx_offload.h"

/* ---- what is refused ---- */

static int
refuse(struct rte_eth_dev *eth, const char *what)
{
	NETVSC_LOG(ERR, netvsc_port_of(eth), "%s: only the primary process can do that", what);
	return -EPERM;
}

static int
refuse_start(struct rte_eth_dev *eth)
{
	return refuse(eth, "start");
}

static void bursts_set(struct rte_eth_dev *eth);

static int
refuse_stop(struct rte_eth_dev *eth)
{
	/* ethdev has taken our bursts away already. */
	bursts_set(eth);
	return refuse(eth, "stop");
}

static int
refuse_promiscuous(struct rte_eth_dev *eth)
{
	return refuse(eth, "promiscuous mode");
}

static int
refuse_allmulticast(struct rte_eth_dev *eth)
{
	return refuse(eth, "allmulticast mode");
}

static int
refuse_mc_addr_list(struct rte_eth_dev *eth, struct rte_ether_addr *list, uint32_t n)
{
	return refuse(eth, "a multicast list");
}

static int
refuse_link(struct rte_eth_dev *eth)
{
	return refuse(eth, "link up or down");
}

static int
refuse_mac(struct rte_eth_dev *eth, struct rte_ether_addr *mac)
{
	return refuse(eth, "another MAC address");
}

static int
refuse_mtu(struct rte_eth_dev *eth, uint16_t mtu)
{
	return refuse(eth, "another MTU");
}

static int
refuse_vlan(struct rte_eth_dev *eth, int mask)
{
	return refuse(eth, "VLAN settings");
}

static int
refuse_queue(struct rte_eth_dev *eth, uint16_t queue)
{
	return refuse(eth, "queue start or stop");
}

static int
refuse_rss(struct rte_eth_dev *eth, struct rte_eth_rss_conf *conf)
{
	return refuse(eth, "RSS settings");
}

static int
refuse_reta(struct rte_eth_dev *eth, struct rte_eth_rss_reta_entry64 *reta, uint16_t size)
{
	return refuse(eth, "an RSS table");
}

static int
refuse_interrupt(struct rte_eth_dev *eth, uint16_t queue)
{
	NETVSC_LOG(ERR, netvsc_port_of(eth),
		"receive interrupts come to the primary process only: poll here");
	return -ENOTSUP;
}

/* ---- life ---- */

/* What the application's polls run into, of the queues that there are now. */
static void
bursts_set(struct rte_eth_dev *eth)
{
	struct rte_eth_fp_ops *fp = &rte_eth_fp_ops[eth->data->port_id];

	/* One that is closed is heard of later. */
	if (netvsc_port_of(eth) == NULL)
		return;
	/* A port that was never configured has none. */
	if (eth->data->rx_queues == NULL || eth->data->tx_queues == NULL)
		return;
	fp->rxq.data = eth->data->rx_queues;
	fp->txq.data = eth->data->tx_queues;
	fp->rx_queue_count = eth->rx_queue_count;
	fp->rx_descriptor_status = eth->rx_descriptor_status;
	fp->tx_descriptor_status = eth->tx_descriptor_status;
	fp->tx_pkt_prepare = eth->tx_pkt_prepare;
	/* Behind the queues that they are called with. */
	rte_smp_wmb();
	fp->rx_pkt_burst = eth->rx_pkt_burst;
	fp->tx_pkt_burst = eth->tx_pkt_burst;
}

/* The primary has no such port any more: nothing of it is looked at. */
static void
bursts_end(struct rte_eth_dev *eth)
{
	struct rte_eth_fp_ops *fp = &rte_eth_fp_ops[eth - rte_eth_devices];

	eth->rx_pkt_burst = fp->rx_pkt_burst = rte_eth_pkt_burst_dummy;
	eth->tx_pkt_burst = fp->tx_pkt_burst = rte_eth_pkt_burst_dummy;
}

static int
secondary_close(struct rte_eth_dev *eth)
{
	struct hpbus_device *bus = eth->process_private;

	bursts_end(eth);
	hpbus_device_set_driver_data(bus, NULL, NULL);
	bus->backend->close(bus);
	eth->process_private = NULL;
	return 0;
}

static const struct eth_dev_ops closed_ops = {.dev_close = secondary_close};

static const struct eth_dev_ops secondary_ops = {
	.dev_start = refuse_start,
	.dev_stop = refuse_stop,
	.dev_close = secondary_close,
	/* ethdev takes queues and settings away before it asks: configure, set-up and reset are not
	 * here, which is an answer, too. */
	.is_removed = netvsc_is_removed,
	.dev_infos_get = netvsc_infos_get,
	.link_update = netvsc_link_update,
	.promiscuous_enable = refuse_promiscuous,
	.promiscuous_disable = refuse_promiscuous,
	.allmulticast_enable = refuse_allmulticast,
	.allmulticast_disable = refuse_allmulticast,
	.set_mc_addr_list = refuse_mc_addr_list,
	.dev_set_link_up = refuse_link,
	.dev_set_link_down = refuse_link,
	.mac_addr_set = refuse_mac,
	.mtu_set = refuse_mtu,
	.vlan_offload_set = refuse_vlan,
	.dev_supported_ptypes_get = netvsc_compat_ptypes_get,
	.stats_get = netvsc_compat_stats_get,
	.stats_reset = netvsc_stats_reset,
	.xstats_get = netvsc_xstats_get,
	.xstats_get_names = netvsc_xstats_get_names,
	.xstats_get_by_id = netvsc_xstats_get_by_id,
	.xstats_get_names_by_id = netvsc_xstats_get_names_by_id,
	.xstats_reset = netvsc_xstats_reset,
	.rx_queue_intr_enable = refuse_interrupt,
	.rx_queue_intr_disable = refuse_interrupt,
	.rxq_info_get = netvsc_rxq_info_get,
	.txq_info_get = netvsc_txq_info_get,
	.rx_queue_start = refuse_queue,
	.rx_queue_stop = refuse_queue,
	.tx_queue_start = refuse_queue,
	.tx_queue_stop = refuse_queue,
	.rx_burst_mode_get = netvsc_rx_burst_mode,
	.tx_burst_mode_get = netvsc_tx_burst_mode,
	.tx_done_cleanup = netvsc_tx_done_cleanup,
	.reta_update = refuse_reta,
	.reta_query = netvsc_reta_query,
	.rss_hash_update = refuse_rss,
	.rss_hash_conf_get = netvsc_rss_hash_conf_get,
	.fw_version_get = netvsc_fw_version,
	.get_reg = netvsc_get_reg,
	.eth_dev_priv_dump = netvsc_priv_dump,
};

/* ---- what the primary does ---- */

void
netvsc_secondary_removed(struct rte_eth_dev *eth)
{
	if (eth->state != RTE_ETH_DEV_UNUSED && eth->process_private != NULL &&
		(eth->dev_ops == &secondary_ops || eth->dev_ops == &closed_ops))
		rte_eth_dev_callback_process(eth, RTE_ETH_EVENT_INTR_RMV, NULL);
}

/*
 * The primary is dead: nobody else can say so to who looks at the port, and what it had the lock of
 * nobody gives back.
 */
static bool
secondary_gone(struct hpbus_device *bus)
{
	struct netvsc_port *port = bus->driver_data;

	if (port != NULL) {
		atomic_fetch_or(&port->state, NETVSC_STATE_GONE);
		netvsc_break_locks(port, 1);
	}
	return false;
}

void
netvsc_secondary_changed(struct hpbus_device *bus)
{
	struct rte_eth_dev *eth = bus->driver_eth;

	if (eth == NULL || eth->process_private != bus || eth->dev_ops == &closed_ops)
		return;
	/* Gone without that it was told: the primary waits for it, or has not seen it yet. */
	if (!atomic_load(&bus->told)) {
		bursts_set(eth);
		return;
	}
	bursts_end(eth);
	/* What a dead primary has left can still be looked at; what one has closed is no more. */
	if (!bus->sharing.on) {
		bus->driver_data = NULL;
		eth->dev_ops = &closed_ops;
	}
	bus->removed = true;
}

int
netvsc_secondary_probe(struct hpbus_device *bus)
{
	struct netvsc_port *port;
	struct rte_eth_dev *eth;
	int rc = bus->backend->open(bus);

	if (rc != 0)
		return rc;
	eth = rte_eth_dev_attach_secondary(bus->sharing.port);
	if (eth == NULL) {
		HPBUS_LOG(ERR, "%s: the primary process has no port %s", bus->name,
			bus->sharing.port);
		bus->backend->close(bus);
		return -ENODEV;
	}
	port = netvsc_port_of(eth);
	/* It is being closed: ethdev forgets its name last. */
	if (port == NULL) {
		HPBUS_LOG(ERR, "%s: the primary process closes port %s just now", bus->name,
			bus->sharing.port);
		rte_eth_dev_release_port(eth);
		bus->backend->close(bus);
		return -ENODEV;
	}
	netvsc_process.bit = UINT64_C(1) << hpbus_process_slot();
	netvsc_process.holder = (int)hpbus_process_slot() + 1;
	eth->device = &bus->device;
	eth->process_private = bus;
	eth->dev_ops = &secondary_ops;
	eth->rx_pkt_burst = port->sizes != NULL ? netvsc_rx_burst_sized : netvsc_rx_burst;
	eth->tx_pkt_burst = port->sizes != NULL ? netvsc_tx_burst_sized : netvsc_tx_burst;
	eth->tx_pkt_prepare = netvsc_tx_prepare;
	netvsc_set_status_calls(eth);
	netvsc_compat_secondary(eth);
	bus->driver_eth = eth;
	hpbus_device_set_driver_data(bus, port, secondary_gone);
	/* It died just now. */
	if (atomic_load(&bus->gone))
		secondary_gone(bus);
	rte_eth_dev_probing_finish(eth);
	return 0;
}

int
netvsc_secondary_remove(struct hpbus_device *bus)
{
	struct rte_eth_dev *eth = bus->driver_eth;

	bus->driver_eth = NULL;
	if (eth == NULL || eth->process_private != bus)
		return 0; /* closed already by the application */
	return rte_eth_dev_close((uint16_t)(eth - rte_eth_devices));
}
