/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ethdev life cycle: probe, configure, start, stop, close (spec/dpdk-driver-api.md §5). Every
 * operation may be called in any state; each returns 0 or a negative errno.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_malloc.h>

#include "drivers/net/netvsc/attach.h"
#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/compat.h"
#include "drivers/net/netvsc/control.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/stats.h"
#include "drivers/net/netvsc/tx.h"
#include "lib/netvsp/toeplitz.h"

RTE_LOG_REGISTER(netvsc_logtype, pmd.net.hyperpoll, NOTICE);

static void
port_lock(struct netvsc_port *port)
{
	pthread_mutex_lock(&port->control_lock);
}

static void
port_unlock(struct netvsc_port *port)
{
	pthread_mutex_unlock(&port->control_lock);
}

/* ---- attach with the right number of channels ---- */

/* Divide the send sections anew; nothing is in flight. */
static int
port_divide_sections(struct netvsc_port *port, uint16_t queues)
{
	struct rte_eth_dev_data *data = port->eth->data;
	uint16_t q;
	int rc;

	for (q = 0; data->tx_queues != NULL && q < data->nb_tx_queues; q++)
		if (data->tx_queues[q] != NULL) {
			struct netvsc_txq *txq = data->tx_queues[q];

			netvsc_tx_forget(txq);
			netvsc_section_cache_free(&txq->sections);
		}
	netvsc_section_pool_free(&port->sections);
	port->section_queues = NETVSC_UNDIVIDED;
	rc = netvsc_section_pool_init(
		&port->sections, port->session.send_count, port->session.send_section, queues);
	for (q = 0; rc == 0 && data->tx_queues != NULL && q < data->nb_tx_queues; q++)
		if (data->tx_queues[q] != NULL)
			rc = netvsc_section_cache_init(
				&((struct netvsc_txq *)data->tx_queues[q])->sections,
				&port->sections, q);
	if (rc == 0)
		port->section_queues = queues;
	else
		NETVSC_LOG(ERR, port, "no memory to divide the send buffer");
	return rc;
}

/* Sends that were in flight when the channels closed are over. */
static void
port_forget_sends(struct netvsc_port *port)
{
	struct rte_eth_dev_data *data = port->eth->data;
	uint16_t q;

	for (q = 0; data->tx_queues != NULL && q < data->nb_tx_queues; q++)
		if (data->tx_queues[q] != NULL)
			netvsc_tx_forget(data->tx_queues[q]);
}

/* @return 0, or why the host could not be fenced off: then nothing in flight may be touched */
static int
port_detach(struct netvsc_port *port)
{
	int rc;

	if (port->session.attached)
		rc = netvsc_detach(port, true);
	else
		rc = port->unfenced ? netvsc_fence(port) : 0;
	if (rc != 0)
		return rc;
	port_forget_sends(port);
	netvsc_tx_quarantine_free(port);
	return 0;
}

static int
port_attach(struct netvsc_port *port, unsigned int channels)
{
	struct rte_eth_dev_data *data = port->eth->data;
	uint32_t mtu = RTE_MAX((uint32_t)data->mtu, NETVSC_DEFAULT_MTU);
	uint32_t state = atomic_load(&port->state);
	int rc;

	if (state & NETVSC_STATE_GONE) {
		NETVSC_LOG(ERR, port, "the device is gone; close the port and detach it");
		return -ENODEV;
	}
	/* A port that broke while nobody used it is brought up anew. */
	if (port->session.attached && !(state & NETVSC_STATE_BROKEN) &&
		port->session.n_channels >= channels && port->session.asked_mtu >= mtu)
		return port->section_queues == data->nb_tx_queues
			       ? 0
			       : port_divide_sections(port, data->nb_tx_queues);
	rc = port_detach(port);
	if (rc == 0)
		rc = netvsc_attach(port, channels, mtu);
	/* In every case: the sections of the send buffer may have another size and number now. */
	if (rc == 0)
		rc = port_divide_sections(port, data->nb_tx_queues);
	if (rc != 0)
		return rc;
	if (port->session.n_channels < channels) {
		NETVSC_LOG(ERR, port,
			"the host granted %u of the %u channels asked for; configure at most %u "
			"queues",
			port->session.n_channels, channels, port->session.n_channels);
		port->session.max_queues = port->session.n_channels;
		return -ENOSPC;
	}
	return 0;
}

/* ---- configure, start, stop, close ---- */

static int
netvsc_configure(struct rte_eth_dev *eth)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	struct rte_eth_dev_data *data = eth->data;
	unsigned int channels = RTE_MAX(data->nb_rx_queues, data->nb_tx_queues);
	int rc;

	if (channels > port->session.max_queues) {
		NETVSC_LOG(ERR, port, "%u queues asked for, the host allows %u", channels,
			port->session.max_queues);
		return -EINVAL;
	}
	rc = netvsc_check_conf(port, &data->dev_conf);
	if (rc != 0)
		return rc;
	port_lock(port);
	rc = port_attach(port, RTE_MAX(channels, 1u));
	if (rc == 0)
		netvsc_rss_default(port);
	port_unlock(port);
	return rc;
}

static void
port_queue_states(struct rte_eth_dev_data *data, uint8_t state)
{
	uint16_t q;

	for (q = 0; q < data->nb_rx_queues; q++)
		data->rx_queue_state[q] = state;
	for (q = 0; q < data->nb_tx_queues; q++)
		data->tx_queue_state[q] = state;
}

/*
 * What the application's polls run into. ethdev has its own for a stopped port, but copies of ours
 * are with whoever reads the device's (failsafe).
 */
static void
port_set_bursts(struct rte_eth_dev *eth, bool on)
{
	struct rte_eth_fp_ops *fp = &rte_eth_fp_ops[eth->data->port_id];

	eth->rx_pkt_burst = on ? netvsc_rx_burst : rte_eth_pkt_burst_dummy;
	eth->tx_pkt_burst = on ? netvsc_tx_burst : rte_eth_pkt_burst_dummy;
	if (on)
		return; /* ethdev copies them when the start has succeeded */
	if (fp->rx_pkt_burst == netvsc_rx_burst)
		fp->rx_pkt_burst = rte_eth_pkt_burst_dummy;
	if (fp->tx_pkt_burst == netvsc_tx_burst)
		fp->tx_pkt_burst = rte_eth_pkt_burst_dummy;
}

/* From now on, or not any more, bursts may be inside of the channels that have queues. */
static void
port_set_channels(struct netvsc_port *port, enum netvsc_channel_state state)
{
	unsigned int i;

	for (i = 0; i < port->session.n_channels; i++)
		netvsc_channel_set(port->channels[i], state);
}

/* No send can complete any more: the queues may be released. */
static void
port_unlink_sends(struct rte_eth_dev_data *data)
{
	uint16_t q;

	for (q = 0; q < data->nb_tx_queues; q++)
		if (data->tx_queues[q] != NULL)
			atomic_store(&((struct netvsc_txq *)data->tx_queues[q])->ch->txq, NULL);
}

static int
netvsc_start(struct rte_eth_dev *eth)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	struct rte_eth_dev_data *data = eth->data;
	unsigned int q, channels = RTE_MAX(data->nb_rx_queues, data->nb_tx_queues);
	int rc;

	port_lock(port);
	rc = netvsc_check_queues(port);
	if (rc == 0)
		rc = port_attach(port, RTE_MAX(channels, 1u));
	for (q = 0; rc == 0 && q < data->nb_tx_queues; q++) {
		struct netvsc_txq *txq = data->tx_queues[q];

		netvsc_tx_template(txq);
		atomic_store(&txq->ch->txq, txq);
	}
	if (rc == 0)
		rc = netvsc_rss_apply(port);
	if (rc == 0)
		rc = netvsc_query_link(port);
	if (rc == 0) {
		atomic_fetch_or(&port->state, NETVSC_STATE_RUNNING);
		rc = netvsc_set_filter(port, netvsc_filter_of(data));
	}
	if (rc == 0) {
		port_queue_states(data, RTE_ETH_QUEUE_STATE_STARTED);
		port_set_channels(port, NETVSC_CHANNEL_RUNNING);
		netvsc_link_update(eth, 0);
		port_set_bursts(eth, true);
	} else {
		atomic_fetch_and(&port->state, ~NETVSC_STATE_RUNNING);
		port_unlink_sends(data);
		NETVSC_LOG(ERR, port, "cannot start: %s", strerror(-rc));
	}
	port_unlock(port);
	return rc;
}

static bool
port_busy(struct netvsc_port *port)
{
	struct rte_eth_dev_data *data = port->eth->data;
	bool busy = false;
	unsigned int i;

	for (i = 0; i < port->session.n_channels; i++) {
		struct netvsc_channel *ch = port->channels[i];

		rte_spinlock_lock(&ch->rx_lock);
		if (netvsc_channel_is_open(ch))
			netvsc_rx_drain(ch);
		busy |= ch->done_head != ch->done_tail;
		rte_spinlock_unlock(&ch->rx_lock);
	}
	for (i = 0; i < data->nb_tx_queues; i++)
		if (data->tx_queues[i] != NULL) {
			netvsc_tx_reap(data->tx_queues[i]);
			busy |= netvsc_tx_inflight(data->tx_queues[i]) != 0;
		}
	return busy;
}

/* The queues are stopped. Let everything in flight come back, or fence it off (pitfall T16). */
static void
port_drain(struct netvsc_port *port)
{
	if (!port->session.attached)
		return;
	/* A request that was never answered left its memory with the host, as a send does (N8). */
	while (port_busy(port) || (atomic_load(&port->state) & NETVSC_STATE_BROKEN)) {
		if (hpbus_op_spent() ||
			(atomic_load(&port->state) & (NETVSC_STATE_GONE | NETVSC_STATE_BROKEN))) {
			port_detach(port);
			return;
		}
		rte_delay_us_sleep(1000);
	}
}

static int
netvsc_stop(struct rte_eth_dev *eth)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	struct rte_eth_dev_data *data = eth->data;
	uint16_t q;

	port_lock(port);
	atomic_fetch_and(&port->state, ~NETVSC_STATE_RUNNING);
	port_set_bursts(eth, false);
	/* From here the queues are quiet: no burst is inside, and none that comes goes on. */
	port_set_channels(port, NETVSC_CHANNEL_OPEN);
	if (port->session.attached && netvsc_set_filter(port, 0) != 0 &&
		!atomic_load(&port->bus->gone))
		NETVSC_LOG(WARNING, port, "the host did not take filter 0");
	port_drain(port);
	port_unlink_sends(data);
	for (q = 0; q < data->nb_rx_queues; q++)
		netvsc_rx_give_back(data->rx_queues[q]);
	port_queue_states(data, RTE_ETH_QUEUE_STATE_STOPPED);
	netvsc_link_update(eth, 0);
	port_unlock(port);
	return 0;
}

static void
port_free(struct netvsc_port *port)
{
	unsigned int i;

	netvsc_section_pool_free(&port->sections);
	for (i = 0; i < HPBUS_MAX_CHANNELS; i++)
		if (port->channels[i] != NULL) {
			rte_free(port->channels[i]->done);
			rte_free(port->channels[i]);
			port->channels[i] = NULL;
		}
	rte_memzone_free(port->control_zone);
	port->control_zone = NULL;
	pthread_mutex_destroy(&port->control_lock);
}

static int
netvsc_close(struct rte_eth_dev *eth)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	struct rte_eth_dev_data *data = eth->data;
	uint16_t q;

	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return 0;
	if (data->dev_started) {
		netvsc_stop(eth);
		data->dev_started = 0;
	}
	netvsc_events_stop(port);
	port_lock(port);
	netvsc_detach(port, false);
	hpbus_device_set_driver_data(port->bus, NULL, NULL);
	/*
	 * The fence for what is still in flight; then its memory may go. That of a host that was
	 * cut off may, too: its connection is closed and there is no better fence.
	 */
	port->bus->backend->close(port->bus);
	for (q = 0; q < data->nb_rx_queues; q++)
		netvsc_rx_queue_release(eth, q);
	port->unfenced = false;
	for (q = 0; q < data->nb_tx_queues; q++)
		netvsc_tx_queue_release(eth, q);
	netvsc_tx_quarantine_free(port);
	port_unlock(port);
	port_free(port);
	return 0;
}

static int
netvsc_reset(struct rte_eth_dev *eth)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	int rc;

	port_lock(port);
	rc = port_detach(port);
	if (rc == 0)
		rc = netvsc_attach(port, 1, NETVSC_DEFAULT_MTU);
	if (rc == 0)
		rc = port_divide_sections(port, eth->data->nb_tx_queues);
	port_unlock(port);
	return rc;
}

/* ---- the operations, each with its time ---- */

static int
op_configure(struct rte_eth_dev *eth)
{
	struct hpbus_op op;
	int rc;

	hpbus_op_begin(&op, &netvsc_op_bring_up);
	rc = netvsc_configure(eth);
	hpbus_op_end(&op);
	return rc;
}

static int
op_start(struct rte_eth_dev *eth)
{
	struct hpbus_op op;
	int rc;

	hpbus_op_begin(&op, &netvsc_op_bring_up);
	rc = netvsc_start(eth);
	hpbus_op_end(&op);
	return rc;
}

/*
 * The last stop by this thread. rte_eth_dev_reset() stops a started port and goes on at once: a
 * thread that has slept or waited for something in between made two calls.
 */
static __thread struct {
	const struct netvsc_port *port;
	int64_t began, ended;
	long waits; /* of this thread, at the end of the stop */
} last_stop;

static long
thread_waits(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_THREAD, &usage) == 0 ? usage.ru_nvcsw : -1;
}

static int
op_stop(struct rte_eth_dev *eth)
{
	struct hpbus_op op;
	int rc;

	last_stop.port = netvsc_port_of(eth);
	last_stop.began = hpbus_now_ms();
	hpbus_op_begin(&op, &netvsc_op_stop);
	rc = netvsc_stop(eth);
	hpbus_op_end(&op);
	last_stop.ended = hpbus_now_ms();
	last_stop.waits = thread_waits();
	return rc;
}

/* Has the stop that came before been part of this reset? */
static bool
reset_has_stopped(const struct netvsc_port *port, int64_t now)
{
	bool here = last_stop.port == port && now - last_stop.ended < 100 &&
		    thread_waits() == last_stop.waits;

	last_stop.port = NULL;
	return here;
}

static int
op_close(struct rte_eth_dev *eth)
{
	struct hpbus_op op;
	int rc;

	hpbus_op_begin(&op, &netvsc_op_close);
	rc = netvsc_close(eth);
	hpbus_op_end(&op);
	return rc;
}

static int
op_reset(struct rte_eth_dev *eth)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	int64_t now = hpbus_now_ms();
	struct hpbus_op op;
	int rc;

	/* rte_eth_dev_reset() stops a started port first: that is part of the time it may take. */
	hpbus_op_begin_at(
		&op, &netvsc_op_reset, reset_has_stopped(port, now) ? last_stop.began : now);
	rc = netvsc_reset(eth);
	hpbus_op_end(&op);
	return rc;
}

static int
netvsc_is_removed(struct rte_eth_dev *eth)
{
	return (atomic_load(&netvsc_port_of(eth)->state) & NETVSC_STATE_GONE) != 0;
}

static const struct eth_dev_ops netvsc_ops = {
	.dev_configure = op_configure,
	.dev_start = op_start,
	.dev_stop = op_stop,
	.dev_close = op_close,
	.dev_reset = op_reset,
	.is_removed = netvsc_is_removed,
	.dev_infos_get = netvsc_infos_get,
	.link_update = netvsc_link_update,
	.promiscuous_enable = netvsc_promiscuous_enable,
	.promiscuous_disable = netvsc_promiscuous_disable,
	.allmulticast_enable = netvsc_allmulticast_enable,
	.allmulticast_disable = netvsc_allmulticast_disable,
	.mac_addr_set = netvsc_mac_addr_set,
	.mtu_set = netvsc_mtu_set,
	.stats_get = netvsc_compat_stats_get,
	.stats_reset = netvsc_stats_reset,
	.xstats_get = netvsc_xstats_get,
	.xstats_get_names = netvsc_xstats_get_names,
	.xstats_reset = netvsc_xstats_reset,
	.rx_queue_setup = netvsc_rx_queue_setup,
	.rx_queue_release = netvsc_rx_queue_release,
	.tx_queue_setup = netvsc_tx_queue_setup,
	.tx_queue_release = netvsc_tx_queue_release,
	.rxq_info_get = netvsc_rxq_info_get,
	.txq_info_get = netvsc_txq_info_get,
	.rx_burst_mode_get = netvsc_burst_mode,
	.tx_burst_mode_get = netvsc_burst_mode,
	.tx_done_cleanup = netvsc_tx_done_cleanup,
	.reta_update = netvsc_reta_update,
	.reta_query = netvsc_reta_query,
	.rss_hash_update = netvsc_rss_hash_update,
	.rss_hash_conf_get = netvsc_rss_hash_conf_get,
	.fw_version_get = netvsc_fw_version,
	.eth_dev_priv_dump = netvsc_priv_dump,
};

/* ---- probe and remove ---- */

static void
netvsc_on_gone(struct hpbus_device *bus)
{
	struct netvsc_port *port = bus->driver_data;

	if (port == NULL)
		return;
	atomic_fetch_or(&port->state, NETVSC_STATE_GONE);
	atomic_fetch_or(&port->events, NETVSC_EVENT_GONE);
}

static int
port_init(struct netvsc_port *port, struct rte_eth_dev *eth, struct hpbus_device *bus)
{
	char name[RTE_MEMZONE_NAMESIZE];
	pthread_mutexattr_t attr;

	port->eth = eth;
	port->bus = bus;
	port->session.max_queues = 1;
	memcpy(port->config.rss_key, toeplitz_default_key, sizeof(port->config.rss_key));
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&port->control_lock, &attr);
	pthread_mutexattr_destroy(&attr);
	rte_spinlock_init(&port->counts.lock);
	/* A page of its own: a request never crosses one (pitfall A5). */
	snprintf(name, sizeof(name), "netvsc_ctl_%u", eth->data->port_id);
	port->control_zone = rte_memzone_reserve_aligned(name, RNDIS_MAX_REQUEST,
		bus->device.numa_node, RTE_MEMZONE_IOVA_CONTIG, VMBUS_PAGE_SIZE);
	if (port->control_zone == NULL) {
		NETVSC_LOG(ERR, port,
			"no memory for a page of requests on node %d (%s); give EAL more (-m, "
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
	if (rc != 0)
		return rc;
	/* Applications stop over a port of no node (pitfall A6). */
	eth->data->numa_node = hpbus_device_node(bus);
	rc = port_init(port, eth, bus);
	if (rc == 0)
		rc = netvsc_attach(port, 1, NETVSC_DEFAULT_MTU);
	if (rc != 0)
		goto close;
	eth->data->mac_addrs = rte_calloc("netvsc_mac", 1, sizeof(*eth->data->mac_addrs), 0);
	if (eth->data->mac_addrs == NULL) {
		NETVSC_LOG(ERR, port,
			"no memory for the MAC address; give EAL more (-m, --socket-mem)");
		rc = -ENOMEM;
		goto detach;
	}
	eth->data->mac_addrs[0] = port->mac;
	hpbus_device_set_driver_data(bus, port, netvsc_on_gone);
	/* Gone before anybody listened: the queues must know. */
	if (atomic_load(&bus->gone))
		netvsc_on_gone(bus);
	rc = netvsc_events_start(port);
	if (rc == 0)
		return 0;
	NETVSC_LOG(ERR, port, "no alarm for housekeeping: %s; is EAL's interrupt thread running?",
		strerror(-rc));
	hpbus_device_set_driver_data(bus, NULL, NULL);
detach:
	netvsc_detach(port, false);
close:
	bus->backend->close(bus);
	port_free(port);
	return rc;
}

static int
netvsc_probe(struct hpbus_device *bus)
{
	char name[RTE_ETH_NAME_MAX_LEN];
	struct rte_eth_dev *eth;
	struct netvsc_port *port;
	int rc;

	if (rte_eal_process_type() != RTE_PROC_PRIMARY) {
		HPBUS_LOG(ERR, "%s: secondary processes are not supported yet", bus->name);
		return -ENOTSUP;
	}
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
	rc = netvsc_devargs_parse(port, bus->device.devargs);
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
	port_set_bursts(eth, false);
	rte_eth_dev_probing_finish(eth);
	return 0;
}

static int
netvsc_remove(struct hpbus_device *bus)
{
	const struct netvsc_port *port = bus->driver_data;
	struct rte_eth_dev *eth;
	int rc;

	/* Closed already by the application. */
	if (port == NULL)
		return 0;
	eth = port->eth;
	if (eth->data->dev_started) {
		rc = rte_eth_dev_stop(eth->data->port_id);
		if (rc != 0)
			return rc;
	}
	return rte_eth_dev_close(eth->data->port_id);
}

static struct hpbus_driver netvsc_driver = {
	.driver = {.name = "net_netvsc"},
	.probe = netvsc_probe,
	.remove = netvsc_remove,
};

RTE_INIT(netvsc_driver_init)
{
	hpbus_register_driver(&netvsc_driver);
}

/* What dpdk-pmdinfo reads from the plugin (spec/dpdk-driver-api.md §12). */
static const char netvsc_pmd_info[] __attribute__((used)) =
	"PMD_INFO_STRING= {\"name\": \"net_netvsc\", \"params\": \"vfio-user=<path> "
	"tx_copybreak=<int> latency=<int> name=<string>\", \"kmod\": \"* uio_hv_generic\", \"pci_ids\": []}";
