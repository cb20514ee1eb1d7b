/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A port comes and goes: the bus's driver. Probe and remove run on EAL's control threads, one at a
 * time; until a port is announced nobody else knows it, so that probing takes no lock.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include <rte_devargs.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_version.h>

#include "drivers/net/netvsc/attach.h"
#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/sizes.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/tx.h"
#include "drivers/net/netvsc/tx_slot.h"
#include "drivers/net/netvsc/vf_told.h"
#include "drivers/net/netvsc/wire.h"
#include "lib/netvsp/toeplitz.h"

static bool
netvsc_on_gone(struct hpbus_device *bus)
{
	struct netvsc_port *port = bus->driver_data;

	if (port == NULL)
		return false;
	netvsc_vf_event(port, NETVSC_VF_SESSION_GONE, 0);
	return netvsc_recover_note(port);
}

void
netvsc_port_free(struct netvsc_port *port)
{
	unsigned int i;

	/* First: who tells of events then looks no further. */
	port->vf_shared.asked = false;
	netvsc_vf_put(port->vf);
	port->vf = NULL;
	netvsc_vf_told_end(port);
	netvsc_section_pool_free(&port->sections);
	for (i = 0; i < HPBUS_MAX_CHANNELS; i++)
		if (port->channels[i] != NULL) {
			netvsc_let_go(port->channels[i]);
			port->channels[i] = NULL;
		}
	netvsc_rx_pool_free(&port->done_pool);
	netvsc_let_go(port->sizes);
	port->sizes = NULL;
	netvsc_wire_end(port);
	/* The host may read a request there as long as the channel is open. */
	if (!port->unfenced)
		rte_memzone_free(port->control_zone);
	port->control_zone = NULL;
	pthread_mutex_destroy(&port->control_lock);
}

static int
port_init(struct netvsc_port *port, struct rte_eth_dev *eth, struct hpbus_device *bus)
{
	/* Not the port's number, which comes again while a zone may have to stay. */
	static _Atomic uint32_t zones;
	char name[RTE_MEMZONE_NAMESIZE];

	port->session = netvsc_session_none;
	memcpy(port->config.rss.key, toeplitz_default_key, sizeof(port->config.rss.key));
	port->config.ptypes = NETVSC_RX_PTYPES;
	pthread_mutex_init(&port->control_lock, NULL);
	rte_spinlock_init(&port->counts.lock);
	if (port->config.size_stats) {
		port->sizes = rte_zmalloc_socket("netvsc_sizes", sizeof(*port->sizes),
			RTE_CACHE_LINE_SIZE, bus->device.numa_node);
		if (port->sizes == NULL) {
			NETVSC_LOG(ERR, port,
				"no memory for size_stats on node %d; give EAL more (-m, --socket-mem)",
				bus->device.numa_node);
			return -ENOMEM;
		}
	}
	if (netvsc_vf_new(port) != 0)
		NETVSC_LOG(NOTICE, port,
			"no memory or descriptor for a virtual function: the port will have none");
	/* Two pages: a request never crosses one (pitfall A5). The second is host_stats.c's. */
	snprintf(name, sizeof(name), "netvsc_ctl_%" PRIu32, atomic_fetch_add(&zones, 1));
	port->control_zone = rte_memzone_reserve_aligned(name, 2 * RNDIS_MAX_REQUEST,
		bus->device.numa_node, RTE_MEMZONE_IOVA_CONTIG, VMBUS_PAGE_SIZE);
	if (port->control_zone == NULL) {
		NETVSC_LOG(ERR, port,
			"no memory for pages of requests on node %d (%s); give EAL more (-m, "
			"--socket-mem)",
			bus->device.numa_node, rte_strerror(rte_errno));
		return -ENOMEM;
	}
	port->control_usable =
		hpbus_dma_usable(bus, port->control_zone->addr, port->control_zone->len);
	return 0;
}

static int
port_bring_up(struct netvsc_port *port, struct rte_eth_dev *eth, struct hpbus_device *bus)
{
	int rc;

	rc = bus->backend->open(bus);
	if (rc != 0) {
		netvsc_wire_end(port);
		return rc;
	}
	/* Applications stop over a port of no node (pitfall A6). */
	eth->data->numa_node = hpbus_device_node(bus);
	rc = port_init(port, eth, bus);
	if (rc == 0)
		rc = netvsc_session_first(port);
	if (rc != 0)
		goto close;
	eth->data->mac_addrs = rte_calloc("netvsc_mac", 1, sizeof(*eth->data->mac_addrs), 0);
	if (eth->data->mac_addrs == NULL) {
		NETVSC_LOG(ERR, port,
			"no memory for the MAC address; give EAL more (-m, --socket-mem)");
		rc = -ENOMEM;
		goto detach;
	}
	eth->data->mac_addrs[0] = port->session.mac;
	hpbus_device_set_driver_data(bus, port, netvsc_on_gone);
	/* Gone before anybody listened: the queues must know. */
	if (atomic_load(&bus->gone))
		netvsc_on_gone(bus);
	rc = hpbus_share(bus, eth->data->name);
	if (rc != 0) {
		NETVSC_LOG(ERR, port,
			"no memory for what processes share; give EAL more (-m, --socket-mem)");
		hpbus_device_set_driver_data(bus, NULL, NULL);
		goto detach;
	}
	rc = netvsc_events_start(port);
	if (rc == 0)
		return 0;
	netvsc_let_go(hpbus_unshare(bus));
	NETVSC_LOG(ERR, port, "no alarm for housekeeping: %s; is EAL's interrupt thread running?",
		strerror(-rc));
	hpbus_device_set_driver_data(bus, NULL, NULL);
detach:
	netvsc_detach(port, false);
close:
	/*
	 * The fence, whatever became of the one before, unless another process keeps it open. Who
	 * is inside of netvsc_on_gone() comes out before it is over.
	 */
	bus->backend->close(bus);
	port->unfenced = bus->held;
	netvsc_port_free(port);
	return rc;
}

/*
 * Users have followed old instructions for years (pitfall Z2): failsafe over a TAP and the virtual
 * function, which this port would take itself.
 */
static void
warn_of_vdev_netvsc(const struct netvsc_port *port)
{
	static atomic_flag said = ATOMIC_FLAG_INIT;
	const struct rte_devargs *da;

	RTE_EAL_DEVARGS_FOREACH ("vdev", da) {
		if (strncmp(da->name, "net_vdev_netvsc", strlen("net_vdev_netvsc")) != 0 ||
			(da->args != NULL && strstr(da->args, "ignore=1") != NULL) ||
			atomic_flag_test_and_set(&said))
			continue;
		NETVSC_LOG(WARNING, port,
			"%s is on the command line, too: this driver has both data paths in one port "
			"and needs neither that nor failsafe, which may take the virtual function away "
			"from it: leave it out",
			da->name);
	}
}

static int
netvsc_probe(struct hpbus_device *bus)
{
	char name[RTE_ETH_NAME_MAX_LEN];
	struct rte_eth_dev *eth;
	struct netvsc_port *port;
	int rc;

	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return netvsc_secondary_probe(bus);
	rc = netvsc_devargs_name(bus, name);
	if (rc != 0)
		return rc;
	eth = rte_eth_dev_allocate(name);
	if (eth == NULL) {
		HPBUS_LOG(ERR, "%s: ethdev has no port for it: too many, or one of this name",
			bus->name);
		return -ENOMEM;
	}
	port = rte_zmalloc_socket(
		"netvsc_port", sizeof(*port), RTE_CACHE_LINE_SIZE, bus->device.numa_node);
	eth->data->dev_private = port;
	eth->device = &bus->device;
	if (port == NULL) {
		HPBUS_LOG(ERR,
			"%s: no memory for a port on node %d; give EAL more (-m, --socket-mem)",
			bus->name, bus->device.numa_node);
		rte_eth_dev_release_port(eth);
		return -ENOMEM;
	}
	port->bus = bus;
	port->eth = eth;
	port->data = eth->data;
	port->port_id = eth->data->port_id;
	eth->process_private = bus;
	netvsc_flight_init(&port->flight, eth->data->port_id);
	rc = netvsc_devargs_parse(port, bus->device.devargs);
	if (rc == 0)
		rc = netvsc_wire_begin(port);
	if (rc == 0) {
		struct hpbus_op op;

		hpbus_op_begin(&op, &netvsc_op_probe);
		rc = port_bring_up(port, eth, bus);
		hpbus_op_end(&op);
	}
	if (rc != 0) {
		rte_eth_dev_release_port(eth);
		return rc;
	}
	eth->data->dev_flags |=
		RTE_ETH_DEV_INTR_LSC | RTE_ETH_DEV_INTR_RMV | RTE_ETH_DEV_AUTOFILL_QUEUE_XSTATS;
	eth->dev_ops = &netvsc_ops;
	netvsc_set_bursts(eth, false);
	netvsc_set_status_calls(eth);
	netvsc_telemetry_add(port);
	warn_of_vdev_netvsc(port);
	/* Before the application hears of the port: it may start or close it at once. */
	netvsc_vf_open(port);
	rte_eth_dev_probing_finish(eth);
	return 0;
}

static int
netvsc_remove(struct hpbus_device *bus)
{
	const struct netvsc_port *port = bus->driver_data;
	struct rte_eth_dev *eth;

	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return netvsc_secondary_remove(bus);

	/* Closed already by the application. */
	if (port == NULL)
		return 0;
	eth = port->eth;
	if (eth->data->dev_started) {
		/* Close goes around what cannot be stopped. */
		if (rte_eth_dev_stop(eth->data->port_id) != 0)
			eth->data->dev_started = 0;
	}
	return rte_eth_dev_close(eth->data->port_id);
}

static struct hpbus_driver netvsc_driver = {
	.driver = {.name = "net_netvsc"},
	.probe = netvsc_probe,
	.remove = netvsc_remove,
	.process_came = netvsc_process_came,
	.process_ready = netvsc_process_ready,
	.process_ended = netvsc_process_ended,
	.call = netvsc_process_call,
	.changed = netvsc_secondary_changed,
	.removed = netvsc_secondary_removed,
};

/*
 * Of what processes share. One that was built otherwise must not look at it; sizes tell most of
 * that, and a processor that has other lines does not share memory with this one.
 */
static uint32_t
netvsc_abi(void)
{
	static const size_t sizes[] = {sizeof(struct netvsc_port), sizeof(struct netvsc_channel),
		sizeof(struct netvsc_rxq), sizeof(struct netvsc_txq), sizeof(struct netvsc_tx_slot),
		sizeof(struct netvsc_rx_transfer), sizeof(struct netvsc_sizes),
		sizeof(struct netvsc_vf), sizeof(struct netvsc_vf_told)};
	uint32_t abi = RTE_VERSION;
	unsigned int i;

	for (i = 0; i < RTE_DIM(sizes); i++)
		abi = abi * 31 + (uint32_t)sizes[i];
	return abi;
}

RTE_INIT(netvsc_driver_init)
{
	netvsc_driver.abi = netvsc_abi();
	hpbus_register_driver(&netvsc_driver);
}

/* What dpdk-pmdinfo reads from the plugin (spec/dpdk-driver-api.md §12). */
static const char netvsc_pmd_info[] __attribute__((used)) =
	"PMD_INFO_STRING= {\"name\": \"net_netvsc\", \"params\": \"vfio-user=<path> "
	"tx_copybreak=<int> rx_copybreak=<int> rx_extmbuf_enable=<0|1> latency=<int> copy_only=<0|1> "
	"size_stats=<0|1> numa_aware=<0|1> recovery_s=<int> ignore_vf=<0|1> name=<string> "
	"vf=<string> vf_args=<string> trace=<string> trace_data=<0|1> trace_snaplen=<int>\", \"kmod\": \"* uio_hv_generic\", \"pci_ids\": []}";
