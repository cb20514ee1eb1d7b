/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ethdev life cycle: configure, start, stop, reset, close (spec/dpdk-driver-api.md §5). Every
 * operation may be called in any state; each returns 0 or a negative errno.
 */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include <rte_cycles.h>
#include <rte_eal.h>

#include "drivers/net/netvsc/attach.h"
#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/compat.h"
#include "drivers/net/netvsc/control.h"
#include "drivers/net/netvsc/offload.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/sizes.h"
#include "drivers/net/netvsc/stats.h"
#include "drivers/net/netvsc/tx.h"
#include "drivers/net/netvsc/tx_offload.h"
#include "drivers/net/netvsc/tx_spare.h"

RTE_LOG_REGISTER(netvsc_logtype, pmd.net.hyperpoll, NOTICE);

/* ---- configure, start, stop, close ---- */

static int
netvsc_configure(struct rte_eth_dev *eth)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	struct rte_eth_dev_data *data = eth->data;
	unsigned int channels = RTE_MAX(data->nb_rx_queues, data->nb_tx_queues);
	struct hpbus_op op;
	int rc;

	if (channels > port->limits.max_queues) {
		NETVSC_LOG(ERR, port, "%u queues asked for, the host allows %u", channels,
			port->limits.max_queues);
		return -EINVAL;
	}
	rc = netvsc_check_conf(port, &data->dev_conf);
	if (rc != 0)
		return rc;
	if (netvsc_control_begin(port, &op, &netvsc_op_bring_up) != 0)
		return -EBUSY;
	rc = netvsc_session_want(port, RTE_MAX(channels, 1u), data->mtu);
	if (rc == 0)
		netvsc_rss_default(port);
	port->config.mtu = data->mtu;
	netvsc_control_end(port, &op);
	return rc;
}

/*
 * What the application's polls run into. ethdev has its own for a stopped port, but copies of ours
 * are with whoever reads the device's (failsafe).
 */
void
netvsc_set_bursts(struct rte_eth_dev *eth, bool on)
{
	struct rte_eth_fp_ops *fp = &rte_eth_fp_ops[eth->data->port_id];
	const struct netvsc_port *port = netvsc_port_of(eth);
	/* Another session may have a VF, and comes without a start (MTU, recovery). */
	bool sized = port->sizes != NULL, vf = port->vf != NULL;
	const eth_rx_burst_t rx = sized ? netvsc_rx_burst_sized
				  : vf	? netvsc_vf_rx_burst
					: netvsc_rx_burst;
	const eth_tx_burst_t tx = sized ? netvsc_tx_burst_sized
				  : vf	? netvsc_vf_tx_burst
					: netvsc_tx_burst;

	eth->rx_pkt_burst = on ? rx : rte_eth_pkt_burst_dummy;
	eth->tx_pkt_burst = on ? tx : rte_eth_pkt_burst_dummy;
	eth->tx_pkt_prepare = netvsc_tx_prepare;
	if (on)
		return; /* ethdev copies them when the start has succeeded */
	if (fp->rx_pkt_burst == rx)
		fp->rx_pkt_burst = rte_eth_pkt_burst_dummy;
	if (fp->tx_pkt_burst == tx)
		fp->tx_pkt_burst = rte_eth_pkt_burst_dummy;
}

void
netvsc_port_quiet(struct netvsc_port *port)
{
	unsigned int i;

	atomic_fetch_and(&port->state, ~NETVSC_STATE_RUNNING);
	for (i = 0; i < port->session.n_channels; i++)
		if (netvsc_channel_is_open(port->channels[i]))
			netvsc_channel_set(port->channels[i], NETVSC_CHANNEL_OPEN);
}

int
netvsc_port_up(struct netvsc_port *port)
{
	struct rte_eth_dev_data *data = port->data;
	uint16_t q;
	int rc;

	netvsc_queues_link(port);
	netvsc_rx_lender_begin(port);
	data->lro = netvsc_lro_is_on(data);
	data->scattered_rx = 0;
	for (q = 0; q < data->nb_rx_queues; q++) {
		struct netvsc_rxq *rxq = data->rx_queues[q];

		/* A stopped queue of a started port may have failed to be set up anew. */
		if (rxq == NULL)
			continue;
		netvsc_rxq_apply(rxq);
		data->scattered_rx |= rxq->chains;
	}
	rc = netvsc_offload_apply(port);
	if (rc == 0)
		rc = netvsc_rss_apply(port);
	if (rc == 0) {
		rc = netvsc_query_link(port);
		rc = rc == -EIO ? 0 : rc; /* as when it was attached: the host does not say */
	}
	if (rc == 0) {
		atomic_fetch_or(&port->state, NETVSC_STATE_RUNNING);
		rc = netvsc_set_filter(port, netvsc_filter_of(port));
	}
	if (rc != 0) {
		atomic_fetch_and(&port->state, ~NETVSC_STATE_RUNNING);
		netvsc_queues_unlink(port);
	}
	return rc;
}

static int
netvsc_start(struct rte_eth_dev *eth)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	struct rte_eth_dev_data *data = eth->data;
	unsigned int channels = RTE_MAX(data->nb_rx_queues, data->nb_tx_queues);
	struct hpbus_op op;
	int rc;

	if (netvsc_control_begin(port, &op, &netvsc_op_bring_up) != 0)
		return -EBUSY;
	atomic_fetch_and(&port->state, ~NETVSC_STATE_LINK_DOWN);
	port->config.mtu = data->mtu;
	rc = netvsc_check_queues(port);
	if (rc == 0)
		rc = netvsc_session_want(port, RTE_MAX(channels, 1u), data->mtu);
	if (rc == 0)
		rc = netvsc_intr_start(port);
	if (rc == 0) {
		netvsc_tx_spare_begin(port);
		netvsc_queues_begin(port);
		rc = netvsc_port_up(port);
	}
	port->started = rc == 0;
	if (rc == 0) {
		netvsc_queues_run(port);
		netvsc_link_update(eth, 0);
		netvsc_set_bursts(eth, true);
		netvsc_vf_join(port);
	} else {
		netvsc_queues_end(port);
		netvsc_intr_stop(port);
		NETVSC_LOG(ERR, port, "cannot start: %s", strerror(-rc));
	}
	netvsc_flight_note(&port->flight, NETVSC_FLIGHT_STATE, 0, rc, "started");
	netvsc_control_end(port, &op);
	return rc;
}

static bool
port_busy(struct netvsc_port *port)
{
	struct rte_eth_dev_data *data = port->eth->data;
	bool busy = netvsc_rx_each_channel(port, netvsc_rx_drain);
	unsigned int i;

	for (i = 0; i < data->nb_tx_queues; i++)
		if (data->tx_queues[i] != NULL && !port->channels[i]->stuck) {
			netvsc_tx_reap(data->tx_queues[i]);
			busy |= netvsc_tx_inflight(data->tx_queues[i]) != 0;
		}
	return busy;
}

/*
 * The queues are quiet: port_stop() has taken their channels out of running. Let everything in
 * flight come back, or fence it off (pitfall T16).
 */
static void
port_drain(struct netvsc_port *port)
{
	if (!port->session.attached)
		return;
	/* A request that was never answered left its memory with the host, as a send does (N8). */
	while (port_busy(port) || (atomic_load(&port->state) & NETVSC_STATE_BROKEN)) {
		if (hpbus_op_spent() || (atomic_load(&port->state) & NETVSC_STATE_NO_HOST)) {
			netvsc_session_end(port);
			return;
		}
		rte_delay_us_sleep(1000);
	}
}

void
netvsc_port_down(struct netvsc_port *port)
{
	if (port->session.attached && netvsc_set_filter(port, 0) != 0 &&
		!atomic_load(&port->bus->gone) &&
		!(atomic_load(&port->state) & NETVSC_STATE_BROKEN))
		NETVSC_LOG(WARNING, port, "the host did not take filter 0");
	port_drain(port);
	netvsc_queues_unlink(port);
}

static bool
port_is_stuck(const struct netvsc_port *port)
{
	unsigned int i;

	for (i = 0; i < RTE_DIM(port->channels); i++)
		if (port->channels[i] != NULL && port->channels[i]->stuck)
			return true;
	return false;
}

/* Within an operation. @return whether all is back; else somebody is inside of a burst */
static bool
port_stop(struct netvsc_port *port)
{
	struct rte_eth_dev *eth = port->eth;
	struct rte_eth_dev_data *data = eth->data;
	uint16_t q;

	netvsc_vf_leave(port, true);
	port->started = false;
	netvsc_set_bursts(eth, false);
	netvsc_port_quiet(port);
	netvsc_intr_stop(port);
	atomic_store(&port->monitored, false);
	netvsc_port_down(port);
	/* Who was inside may have come out since: what he was in the way of has not been done. */
	if (port_is_stuck(port) && netvsc_session_end(port) != -EBUSY)
		netvsc_queues_unlink(port);
	for (q = 0; q < data->nb_rx_queues; q++)
		if (!port->channels[q]->stuck)
			netvsc_rx_give_back(data->rx_queues[q]);
	netvsc_queues_end(port);
	netvsc_link_update(eth, 0);
	return !port_is_stuck(port);
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
netvsc_stop(struct rte_eth_dev *eth)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	struct hpbus_op op;
	bool stuck;

	last_stop.port = port;
	last_stop.began = hpbus_now_ms();
	if (netvsc_control_begin(port, &op, &netvsc_op_stop) != 0)
		return -EBUSY;
	stuck = !port_stop(port);
	netvsc_flight_note(&port->flight, NETVSC_FLIGHT_STATE, 0, stuck ? -EBUSY : 0, "stopped");
	netvsc_control_end(port, &op);
	last_stop.ended = hpbus_now_ms();
	last_stop.waits = thread_waits();
	if (!stuck)
		return 0;
	/*
	 * It is stopped, or could not be closed, and who has called must not free mbufs' pools. For
	 * ethdev there is nothing left to stop: another stop is 0 and asks nobody.
	 */
	eth->data->dev_started = 0;
	return -EBUSY;
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
netvsc_reset(struct rte_eth_dev *eth)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	int64_t now = hpbus_now_ms();
	struct hpbus_op op;
	int rc;

	/* rte_eth_dev_reset() stops a started port first: that is part of the time it may take. */
	rc = netvsc_control_begin_at(
		port, &op, &netvsc_op_reset, reset_has_stopped(port, now) ? last_stop.began : now);
	if (rc != 0)
		return rc;
	rc = netvsc_session_renew(port);
	netvsc_flight_note(&port->flight, NETVSC_FLIGHT_STATE, 0, rc, "reset");
	netvsc_control_end(port, &op);
	return rc;
}

/*
 * Somebody may be inside who does not come out: nothing that he may touch goes before the process
 * does, nor does what the host has of it. Who comes later finds the port broken.
 */
static int
close_around(struct netvsc_port *port)
{
	atomic_fetch_or(&port->state, NETVSC_STATE_BROKEN);
	hpbus_device_set_driver_data(port->bus, NULL, NULL);
	port->bus->kept = true;
	port->eth->data->dev_private = NULL; /* which ethdev would free */
	NETVSC_LOG(NOTICE, port,
		"closed while a thread may be inside: its memory stays until the process ends");
	return -EBUSY;
}

/* @return whether nobody is inside: all may go */
static bool
close_session(struct netvsc_port *port)
{
	if (!netvsc_channels_free(port) || netvsc_detach(port, false) == -EBUSY)
		return false;
	/* Who reads counts reads the port's memory. */
	if (!netvsc_lock_in_time(&port->counts.lock))
		return false;
	rte_spinlock_unlock(&port->counts.lock);
	hpbus_device_set_driver_data(port->bus, NULL, NULL);
	return netvsc_rx_lender_end(port);
}

static int
netvsc_close(struct rte_eth_dev *eth)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	struct rte_eth_dev_data *data = eth->data;
	struct hpbus_op op, rest;
	bool vf_closed, ticks_over;
	bool unread;
	uint16_t q;
	int rc;

	hpbus_op_begin(&op, &netvsc_op_close);
	if (data->dev_started) {
		netvsc_stop(eth);
		data->dev_started = 0;
	}
	/* Without the lock: its thread, and callbacks of a tick that is running, may want it. */
	vf_closed = netvsc_vf_close(port);
	ticks_over = netvsc_events_stop(port);
	unread = netvsc_telemetry_remove(port);
	rc = netvsc_recover_end(port);
	if (rc == 0)
		rc = netvsc_control_begin(port, &rest, &netvsc_op_close);
	if (rc == 0 && !(ticks_over && unread && vf_closed && close_session(port))) {
		rc = -EBUSY;
		netvsc_control_end(port, &rest);
	}
	if (rc != 0) {
		hpbus_op_end(&op);
		return close_around(port);
	}
	/*
	 * The fence for what is still in flight; then its memory may go. That of a host that was
	 * cut off may, too: its connection is closed and there is no better fence.
	 */
	port->bus->backend->close(port->bus);
	netvsc_let_go(hpbus_unshare(port->bus));
	hpbus_dma_forget(port->bus);
	netvsc_intr_free(port);
	for (q = 0; q < data->nb_rx_queues; q++)
		netvsc_rx_queue_release(eth, q);
	netvsc_tx_queues_close(eth);
	netvsc_tx_spare_end(port);
	netvsc_control_end(port, &rest);
	hpbus_op_end(&op);
	netvsc_port_free(port);
	/* Others may be about to look, with what they have read of ethdev's before. */
	if (hpbus_has_peers()) {
		netvsc_let_go(data->rx_queues);
		netvsc_let_go(data->tx_queues);
		netvsc_let_go(port);
		data->rx_queues = data->tx_queues = NULL;
		data->dev_private = NULL;
	}
	return 0;
}

int
netvsc_is_removed(struct rte_eth_dev *eth)
{
	struct netvsc_port *port = netvsc_port_of(eth);

	netvsc_events_again(port);
	return (atomic_load(&port->state) & NETVSC_STATE_GONE) != 0;
}

const struct eth_dev_ops netvsc_ops = {
	.dev_configure = netvsc_configure,
	.dev_start = netvsc_start,
	.dev_stop = netvsc_stop,
	.dev_close = netvsc_close,
	.dev_reset = netvsc_reset,
	.is_removed = netvsc_is_removed,
	.dev_infos_get = netvsc_infos_get,
	.link_update = netvsc_link_update,
	.promiscuous_enable = netvsc_promiscuous_enable,
	.promiscuous_disable = netvsc_promiscuous_disable,
	.allmulticast_enable = netvsc_allmulticast_enable,
	.allmulticast_disable = netvsc_allmulticast_disable,
	.set_mc_addr_list = netvsc_set_mc_addr_list,
	.dev_set_link_up = netvsc_set_link_up,
	.dev_set_link_down = netvsc_set_link_down,
	.mac_addr_set = netvsc_mac_addr_set,
	.mtu_set = netvsc_mtu_set,
	.vlan_offload_set = netvsc_vlan_offload_set,
	.vlan_strip_queue_set = netvsc_vlan_strip_queue_set,
	.dev_supported_ptypes_get = netvsc_compat_ptypes_get,
	.dev_ptypes_set = netvsc_ptypes_set,
	.stats_get = netvsc_compat_stats_get,
	.stats_reset = netvsc_stats_reset,
	.xstats_get = netvsc_xstats_get,
	.xstats_get_names = netvsc_xstats_get_names,
	.xstats_get_by_id = netvsc_xstats_get_by_id,
	.xstats_get_names_by_id = netvsc_xstats_get_names_by_id,
	.xstats_reset = netvsc_xstats_reset,
	.rx_queue_setup = netvsc_rx_queue_setup,
	.rx_queue_release = netvsc_rx_queue_release,
	.tx_queue_setup = netvsc_tx_queue_setup,
	.tx_queue_release = netvsc_tx_queue_release,
	.rx_queue_intr_enable = netvsc_rx_queue_intr_enable,
	.rx_queue_intr_disable = netvsc_rx_queue_intr_disable,
	.get_monitor_addr = netvsc_get_monitor_addr,
	.rxq_info_get = netvsc_rxq_info_get,
	.txq_info_get = netvsc_txq_info_get,
	.rx_queue_start = netvsc_rx_queue_start,
	.rx_queue_stop = netvsc_rx_queue_stop,
	.tx_queue_start = netvsc_tx_queue_start,
	.tx_queue_stop = netvsc_tx_queue_stop,
	.rx_burst_mode_get = netvsc_rx_burst_mode,
	.tx_burst_mode_get = netvsc_tx_burst_mode,
	.tx_done_cleanup = netvsc_tx_done_cleanup,
	.reta_update = netvsc_reta_update,
	.reta_query = netvsc_reta_query,
	.rss_hash_update = netvsc_rss_hash_update,
	.rss_hash_conf_get = netvsc_rss_hash_conf_get,
	.fw_version_get = netvsc_fw_version,
	.get_reg = netvsc_get_reg,
	.eth_dev_priv_dump = netvsc_priv_dump,
};
