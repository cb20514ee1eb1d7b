/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The VF made to do what the port does: owned, configured, started, kept as the application wants
 * it (pitfall V12). All through ethdev's public interface, on the control thread. What a VF refuses
 * is one line of log; it is not used then, unless nothing is lost by it.
 */
#include <errno.h>
#include <string.h>

#include <rte_errno.h>
#include <ethdev_driver.h>

#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/vf.h"
#include "drivers/net/netvsc/vf_dev.h"

/* So long a VF that is about to be stopped may go on receiving. */
#define DRAIN_MS 20

/* Offloads that all frames must get on either path. */
static uint64_t
lacking(uint64_t wanted, uint64_t there, uint64_t harmless)
{
	return wanted & ~there & ~harmless;
}

int
netvsc_vf_refused(struct netvsc_vf_dev *dev, const char *what, int rc)
{
	/* While it runs it is asked again, from the beginning, before anything is said. */
	if (rc != 0 && !dev->replaying)
		netvsc_vf_say(dev, "VF %s does not take %s (%s): it is not used",
			netvsc_vf_name(dev), what, rte_strerror(-rc));
	return rc;
}

/* ---- own ---- */

void
netvsc_vf_know(struct netvsc_vf_dev *dev)
{
	struct netvsc_vf_candidate c;
	struct rte_eth_dev_info info;
	uint16_t vf;
	bool known;

	if (pthread_mutex_trylock(&dev->calls) != 0)
		return;
	rte_spinlock_lock(&netvsc_vf_lock);
	known = dev->has_info || !netvsc_vf_is_there(dev) || dev->removed ||
		netvsc_vf_is_recovering(dev);
	vf = dev->held;
	rte_spinlock_unlock(&netvsc_vf_lock);
	if (!known && netvsc_vf_candidate(vf, &c) && c.usable &&
		rte_eth_dev_info_get(vf, &info) == 0) {
		rte_spinlock_lock(&netvsc_vf_lock);
		known = dev->held == vf;
		if (known) {
			dev->info = info;
			dev->has_info = true;
		}
		rte_spinlock_unlock(&netvsc_vf_lock);
		if (known)
			netvsc_vf_tell_info(dev);
	}
	pthread_mutex_unlock(&dev->calls);
}

static int
own(struct netvsc_vf_dev *dev, uint16_t vf)
{
	struct rte_eth_dev_info info;
	struct netvsc_vf_candidate c;
	bool again;
	int rc = 0;

	rte_spinlock_lock(&netvsc_vf_lock);
	if (dev->held != vf || dev->gone || dev->removing || !netvsc_vf_is_there(dev))
		rc = -ENODEV;
	/* It is announced to us before its probe is over. */
	else if (!netvsc_vf_candidate(vf, &c) || !c.usable)
		rc = -EAGAIN;
	again = dev->reset;
	rte_spinlock_unlock(&netvsc_vf_lock);
	if (rc != 0)
		return rc;
	if (again) {
		rc = netvsc_vf_refused(dev, "a reset", rte_eth_dev_reset(vf));
		dev->reset = rc != 0;
	}
	if (rc == 0)
		rc = netvsc_vf_refused(
			dev, "a question for what it can", rte_eth_dev_info_get(vf, &info));
	if (rc == -EAGAIN)
		rc = -EBUSY; /* its driver's word, which is not asked again as soon */
	rte_spinlock_lock(&netvsc_vf_lock);
	if (rc == 0) {
		dev->info = info;
		dev->has_info = true;
	}
	dev->owned = rc == 0;
	rte_spinlock_unlock(&netvsc_vf_lock);
	if (rc == 0) {
		netvsc_vf_tell_info(dev);
		netvsc_vf_stats_begin(dev, vf);
	}
	return rc;
}

int
netvsc_vf_own(struct netvsc_vf_setup *setup, uint16_t vf)
{
	struct netvsc_vf_dev *dev = setup->dev;
	int rc;

	if (dev == NULL)
		return -ENODEV;
	pthread_mutex_lock(&dev->calls);
	rc = own(dev, vf);
	pthread_mutex_unlock(&dev->calls);
	return rc;
}

void
netvsc_vf_disown(struct netvsc_vf_setup *setup, uint16_t vf)
{
	struct netvsc_vf_dev *dev = setup->dev;

	if (dev == NULL)
		return;
	pthread_mutex_lock(&dev->calls);
	if (dev->held == vf)
		netvsc_vf_leave_it(dev);
	pthread_mutex_unlock(&dev->calls);
}

void
netvsc_vf_end(struct netvsc_vf_dev *dev)
{
	pthread_mutex_lock(&dev->calls);
	if (dev->port == NULL && dev->held != NETVSC_VF_NONE)
		netvsc_vf_leave_it(dev);
	pthread_mutex_unlock(&dev->calls);
	netvsc_vf_unref(dev);
}

/* ---- start ---- */

static int
check_offloads(struct netvsc_vf_dev *dev, const struct netvsc_vf_want *want)
{
	const struct rte_eth_dev_info *info = &dev->info;
	uint64_t rx = want->rx_offloads, tx = want->tx_offloads;
	const char *name;
	uint16_t q;

	for (q = 0; q < want->n_rx; q++)
		rx |= want->rx[q].conf.offloads;
	for (q = 0; q < want->n_tx; q++)
		tx |= want->tx[q].conf.offloads;
	rx = lacking(rx, info->rx_offload_capa, NETVSC_VF_RX_HARMLESS);
	tx = lacking(tx, info->tx_offload_capa, NETVSC_VF_TX_HARMLESS);
	if (rx == 0 && tx == 0)
		return 0;
	name = rx != 0 ? rte_eth_dev_rx_offload_name(rx & -rx)
		       : rte_eth_dev_tx_offload_name(tx & -tx);
	netvsc_vf_say(dev,
		"VF %s cannot do offload %s %s, which is configured: it is not used; dev_info tells "
		"what both paths can do while it is there",
		netvsc_vf_name(dev), rx != 0 ? "RX" : "TX", name);
	return -ENOTSUP;
}

static int
check(struct netvsc_vf_dev *dev, const struct netvsc_vf_want *want)
{
	const struct rte_eth_dev_info *info = &dev->info;

	if (want->sleeps) {
		netvsc_vf_say(dev,
			"VF %s is not used: the application sleeps on receive queues (intr_conf.rxq), "
			"and frames that come through a VF would not wake it up",
			netvsc_vf_name(dev));
		return -ENOTSUP;
	}
	if (want->n_rx > info->max_rx_queues || want->n_tx > info->max_tx_queues) {
		netvsc_vf_say(dev,
			"VF %s has %u receive and %u transmit queues, fewer than the %u and %u "
			"configured: it is not used",
			netvsc_vf_name(dev), info->max_rx_queues, info->max_tx_queues, want->n_rx,
			want->n_tx);
		return -ENOSPC;
	}
	if (want->mtu > netvsc_vf_mtu_max(info) || want->mtu < info->min_mtu) {
		netvsc_vf_say(dev, "VF %s takes an MTU of %u to %u, not %u: it is not used",
			netvsc_vf_name(dev), info->min_mtu, netvsc_vf_mtu_max(info), want->mtu);
		return -EINVAL;
	}
	return check_offloads(dev, want);
}

static int
configure(struct netvsc_vf_dev *dev, const struct netvsc_vf_want *want, uint16_t vf)
{
	const struct rte_eth_dev_info *info = &dev->info;
	struct rte_eth_conf conf = {0};
	uint64_t strip = 0;
	uint16_t q;

	conf.rxmode.mtu = want->mtu;
	/* What one queue alone wants and cannot have alone, all get, where that harms nobody. */
	conf.rxmode.offloads = want->rx_offloads;
	for (q = 0; q < want->n_rx; q++) {
		conf.rxmode.offloads |= want->rx[q].conf.offloads & ~info->rx_queue_offload_capa;
		strip |= want->rx[q].strips ? RTE_ETH_RX_OFFLOAD_VLAN_STRIP : 0;
	}
	conf.rxmode.offloads = ((conf.rxmode.offloads & ~RTE_ETH_RX_OFFLOAD_VLAN_STRIP) | strip) &
			       info->rx_offload_capa;
	conf.txmode.offloads = want->tx_offloads;
	for (q = 0; q < want->n_tx; q++)
		conf.txmode.offloads |= want->tx[q].conf.offloads & ~info->tx_queue_offload_capa;
	conf.txmode.offloads &= info->tx_offload_capa;
	/* One that has no limit of its own takes none. */
	if (want->lro_limit != 0 && info->max_lro_pkt_size == 0)
		conf.rxmode.offloads &= ~RTE_ETH_RX_OFFLOAD_TCP_LRO;
	if (conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_TCP_LRO)
		conf.rxmode.max_lro_pkt_size =
			want->lro_limit == 0 ? info->max_lro_pkt_size
					     : RTE_MIN(want->lro_limit, info->max_lro_pkt_size);
	if (netvsc_vf_rss_types(dev, want) != 0) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf = netvsc_vf_rss_conf(dev, want);
	} else {
		conf.rxmode.offloads &= ~RTE_ETH_RX_OFFLOAD_RSS_HASH;
	}
	conf.intr_conf.lsc = info->dev_flags != NULL && (*info->dev_flags & RTE_ETH_DEV_INTR_LSC);
	conf.intr_conf.rmv = info->dev_flags != NULL && (*info->dev_flags & RTE_ETH_DEV_INTR_RMV);
	dev->configured = true;
	return netvsc_vf_refused(dev, "the port's configuration",
		rte_eth_dev_configure(vf, want->n_rx, want->n_tx, &conf));
}

/* Thresholds are hints: a VF that does not like the application's gets its own. */
static int
rx_queue(struct netvsc_vf_dev *dev, const struct netvsc_vf_want *want, uint16_t vf, uint16_t q,
	uint16_t n)
{
	const struct netvsc_vf_want_rx *w = &want->rx[q];
	unsigned int socket = (unsigned int)rte_eth_dev_socket_id(vf);
	struct rte_eth_rxconf conf, own = dev->info.default_rxconf;

	own.offloads = w->conf.offloads & dev->info.rx_queue_offload_capa;
	own.rx_deferred_start = 0;
	conf = own;
	conf.rx_drop_en = w->conf.rx_drop_en;
	conf.rx_thresh = w->conf.rx_thresh;
	if (w->conf.rx_free_thresh != 0 && w->conf.rx_free_thresh < n)
		conf.rx_free_thresh = w->conf.rx_free_thresh;
	if (rte_eth_rx_queue_setup(vf, q, n, socket, &conf, w->mp) == 0)
		return 0;
	return rte_eth_rx_queue_setup(vf, q, n, socket, &own, w->mp);
}

static int
tx_queue(struct netvsc_vf_dev *dev, const struct netvsc_vf_want *want, uint16_t vf, uint16_t q,
	uint16_t n)
{
	const struct netvsc_vf_want_tx *w = &want->tx[q];
	unsigned int socket = (unsigned int)rte_eth_dev_socket_id(vf);
	struct rte_eth_txconf conf, own = dev->info.default_txconf;

	own.offloads = w->conf.offloads & dev->info.tx_queue_offload_capa;
	own.tx_deferred_start = 0;
	conf = own;
	if (w->conf.tx_free_thresh != 0 && w->conf.tx_free_thresh + 3 < n)
		conf.tx_free_thresh = w->conf.tx_free_thresh;
	if (w->conf.tx_rs_thresh != 0 && w->conf.tx_rs_thresh + 2 < n)
		conf.tx_rs_thresh = w->conf.tx_rs_thresh;
	if (rte_eth_tx_queue_setup(vf, q, n, socket, &conf) == 0)
		return 0;
	return rte_eth_tx_queue_setup(vf, q, n, socket, &own);
}

static int
queues(struct netvsc_vf_dev *dev, const struct netvsc_vf_want *want, uint16_t vf)
{
	uint16_t q, rx, tx, unused;
	int rc = 0;

	for (q = 0; rc == 0 && q < want->n_rx; q++) {
		rx = want->rx[q].nb_desc;
		unused = dev->info.tx_desc_lim.nb_min;
		rc = rte_eth_dev_adjust_nb_rx_tx_desc(vf, &rx, &unused);
		if (rc == 0 || rc == -ENOTSUP)
			rc = rx_queue(dev, want, vf, q, rx);
		if (rc != 0)
			netvsc_vf_refused(dev, "a receive queue like the port's", rc);
	}
	for (q = 0; rc == 0 && q < want->n_tx; q++) {
		tx = want->tx[q].nb_desc;
		unused = dev->info.rx_desc_lim.nb_min;
		rc = rte_eth_dev_adjust_nb_rx_tx_desc(vf, &unused, &tx);
		if (rc == 0 || rc == -ENOTSUP)
			rc = tx_queue(dev, want, vf, q, tx);
		if (rc != 0)
			netvsc_vf_refused(dev, "a transmit queue like the port's", rc);
	}
	return rc;
}

/*
 * Of a configuration ethdev notes the MTU, and MANA, mlx4 and mlx5 before 24.07 leave the interface
 * that the kernel has of their function as it was: the operation alone changes that. Before the
 * start, as some do not take it later, and with queues, which some look at. Frames of 1500 bytes
 * pass any.
 */
static int
set_mtu(struct netvsc_vf_dev *dev, const struct netvsc_vf_want *want, uint16_t vf)
{
	int rc = rte_eth_dev_set_mtu(vf, want->mtu);

	return rc == -ENOTSUP || want->mtu <= RTE_ETHER_MTU
		       ? 0
		       : netvsc_vf_refused(dev, "the port's MTU", rc);
}

/* ---- what the control thread calls ---- */

/* May its driver be called? It goes while we are at it, at the worst. */
static bool
there(const struct netvsc_vf_dev *dev, uint16_t vf)
{
	bool is;

	if (dev == NULL)
		return false;
	rte_spinlock_lock(&netvsc_vf_lock);
	is = dev->held == vf && dev->owned && netvsc_vf_is_there(dev);
	rte_spinlock_unlock(&netvsc_vf_lock);
	return is;
}

static int
start(struct netvsc_vf_dev *dev, struct netvsc_vf_want *want, uint16_t vf)
{
	int rc = check(dev, want);

	if (rc == 0 && !netvsc_vf_queues_begin(dev, want))
		rc = -EAGAIN;
	if (rc != 0)
		return rc;
	rc = configure(dev, want, vf);
	if (rc == 0)
		rc = queues(dev, want, vf);
	if (rc == 0)
		rc = set_mtu(dev, want, vf);
	if (rc == 0)
		rc = netvsc_vf_refused(dev, "a start", rte_eth_dev_start(vf));
	if (rc == 0) {
		rc = netvsc_vf_settings(dev, want, vf, UINT32_MAX, false);
		if (rc != 0)
			rte_eth_dev_stop(vf);
	}
	if (rc != 0)
		netvsc_vf_queues_end(dev, vf);
	else
		dev->said[0] = '\0';
	if (rc == 0)
		netvsc_vf_why(dev, NULL);
	return rc;
}

/* What ethdev writes for a driver that says nothing, or the driver itself: no mbuf has more. */
static uint16_t
segments_limit(uint16_t most)
{
	return most == UINT16_MAX ? 0 : most;
}

/* Who sends no chains meets no limit. */
static void
limit_segments(struct netvsc_vf_setup *setup)
{
	const struct rte_eth_desc_lim *lim = &setup->dev->info.tx_desc_lim;
	uint64_t offloads = setup->want->tx_offloads;
	uint16_t q;

	for (q = 0; q < setup->want->n_tx; q++)
		offloads |= setup->want->tx[q].conf.offloads;
	setup->segs = setup->mtu_segs = 0;
	if (!(offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS))
		return;
	setup->segs = segments_limit(lim->nb_seg_max);
	setup->mtu_segs = segments_limit(lim->nb_mtu_seg_max);
}

int
netvsc_vf_start(struct netvsc_vf_setup *setup, uint16_t vf)
{
	int rc = -ENODEV;

	if (!there(setup->dev, vf))
		return rc;
	pthread_mutex_lock(&setup->dev->calls);
	rc = start(setup->dev, setup->want, vf);
	limit_segments(setup);
	pthread_mutex_unlock(&setup->dev->calls);
	return rc;
}

/*
 * What waits in the VF's rings is lost when it is stopped, and no driver says how much that was: so
 * it is fetched, for what is fetched is counted. What comes meanwhile makes no end of it.
 */
static void
drain(struct netvsc_vf_dev *dev, uint16_t vf)
{
	int64_t until = hpbus_now_ms() + DRAIN_MS;
	uint64_t frames, bytes;
	struct rte_mbuf *pkts[32];
	uint16_t q, i, n;

	if (!rte_eth_dev_is_valid_port(vf) || !rte_eth_devices[vf].data->dev_started)
		return;
	for (q = 0; q < rte_eth_devices[vf].data->nb_rx_queues; q++) {
		frames = bytes = 0;
		do {
			n = rte_eth_rx_burst(vf, q, pkts, RTE_DIM(pkts));
			for (i = 0; i < n; i++)
				bytes += pkts[i]->pkt_len;
			rte_pktmbuf_free_bulk(pkts, n);
			frames += n;
		} while (n != 0 && hpbus_now_ms() < until);
		netvsc_vf_stats_dropped(dev, q, frames, bytes);
	}
}

void
netvsc_vf_stop(struct netvsc_vf_setup *setup, uint16_t vf)
{
	struct netvsc_vf_dev *dev = setup->dev;
	int rc;

	if (!there(dev, vf))
		return;
	pthread_mutex_lock(&dev->calls);
	drain(dev, vf);
	/* Some drivers forget what they have counted. */
	netvsc_vf_stats_read(dev, vf);
	rc = rte_eth_dev_stop(vf);
	if (rc != 0)
		NETVSC_VF_LOG(NOTICE, dev->name, "VF %s: its driver could not stop it: %s",
			netvsc_vf_name(dev), rte_strerror(-rc));
	netvsc_vf_queues_end(dev, vf);
	pthread_mutex_unlock(&dev->calls);
}

int
netvsc_vf_replay(struct netvsc_vf_setup *setup, uint16_t vf, uint32_t what)
{
	int rc;

	if (!there(setup->dev, vf))
		return -ENODEV;
	pthread_mutex_lock(&setup->dev->calls);
	setup->dev->replaying = true;
	rc = netvsc_vf_settings(setup->dev, setup->want, vf, what, true);
	setup->dev->replaying = false;
	pthread_mutex_unlock(&setup->dev->calls);
	/* It may take at its start what it does not take while it runs. */
	return rc != 0 ? -EBUSY : 0;
}

void
netvsc_vf_count(struct netvsc_vf_setup *setup, uint16_t vf)
{
	struct netvsc_vf_dev *dev = setup->dev;
	bool may;

	if (!there(dev, vf))
		return;
	pthread_mutex_lock(&dev->calls);
	rte_spinlock_lock(&netvsc_vf_lock);
	may = !dev->removed && !netvsc_vf_is_recovering(dev);
	rte_spinlock_unlock(&netvsc_vf_lock);
	if (may)
		netvsc_vf_stats_read(dev, vf);
	pthread_mutex_unlock(&dev->calls);
}

bool
netvsc_vf_link(struct netvsc_vf_setup *setup, uint16_t vf)
{
	struct rte_eth_link link = {0};
	bool up;

	if (!there(setup->dev, vf))
		return false;
	pthread_mutex_lock(&setup->dev->calls);
	up = rte_eth_link_get_nowait(vf, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
	pthread_mutex_unlock(&setup->dev->calls);
	return up && !netvsc_vf_goes(setup->dev);
}
