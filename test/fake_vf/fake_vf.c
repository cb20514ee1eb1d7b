/* SPDX-License-Identifier: BSD-3-Clause */
/* See fake_vf.h: life and settings of the ethdev. */
#include "test/fake_vf/fake_vf_dev.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_devargs.h>
#include <rte_kvargs.h>
#include <rte_malloc.h>
#include <rte_version.h>
#include <dev_driver.h>

_Atomic unsigned int fake_vf_alive;
struct rte_eth_dev *_Atomic fake_vfs[RTE_MAX_ETHPORTS];

/* What it answers whatever it does. */
static void
question(struct rte_eth_dev *eth)
{
	struct fake_vf *vf = vf_of(eth);

	vf->seen.while_recovering += atomic_load(&vf->recovering);
}

static void
takes(const uint64_t *ms)
{
	usleep((useconds_t)__atomic_load_n(ms, __ATOMIC_RELAXED) * 1000);
}

/* ---- life ---- */

static void
remember_key(struct fake_vf *vf, const struct rte_eth_rss_conf *rss)
{
	if (rss->rss_key != NULL)
		memcpy(vf->seen.key, rss->rss_key, RTE_MIN(vf->knobs.key, (uint64_t)FAKE_VF_KEY));
	vf->seen.hf = rss->rss_hf;
}

static int
dev_configure(struct rte_eth_dev *eth)
{
	struct fake_vf *vf = vf_of(eth);
	int rc = fake_vf_asked(eth, FAKE_VF_REFUSES_CONFIGURE);
	uint16_t q;

	if (rc != 0)
		return rc == -ENOTSUP ? -EINVAL : rc;
	vf->seen.configures++;
	vf->seen.conf = eth->data->dev_conf;
	vf->seen.n_rx = eth->data->nb_rx_queues;
	vf->seen.n_tx = eth->data->nb_tx_queues;
	memset(vf->seen.key, 0, sizeof(vf->seen.key));
	remember_key(vf, &eth->data->dev_conf.rx_adv_conf.rss_conf);
	for (q = 0; q < FAKE_VF_QUEUES; q++)
		vf->seen.strips[q] =
			(eth->data->dev_conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP) != 0;
	return 0;
}

void
fake_vf_link_set(struct rte_eth_dev *eth)
{
	struct rte_eth_link link;

	memset(&link, 0, sizeof(link));
	link.link_speed = RTE_ETH_SPEED_NUM_100G;
	link.link_duplex = RTE_ETH_LINK_FULL_DUPLEX;
	link.link_status = eth->data->dev_started && is_set(&vf_of(eth)->knobs.link);
	rte_eth_linkstatus_set(eth, &link);
}

static int
link_update(struct rte_eth_dev *eth, int wait)
{
	fake_vf_link_set(eth);
	return 0;
}

static int
dev_start(struct rte_eth_dev *eth)
{
	struct fake_vf *vf = vf_of(eth);
	int rc = fake_vf_asked(eth, 0);
	uint16_t q;

	takes(&vf->knobs.start_ms);
	if (rc == 0 && is_set(&vf->knobs.start_fails)) {
		vf->knobs.start_fails--;
		vf->seen.failed_starts++;
		rc = -EIO;
	}
	if (rc != 0)
		return rc;
	vf->seen.starts++;
	for (q = 0; q < eth->data->nb_rx_queues; q++)
		eth->data->rx_queue_state[q] = RTE_ETH_QUEUE_STATE_STARTED;
	for (q = 0; q < eth->data->nb_tx_queues; q++)
		eth->data->tx_queue_state[q] = RTE_ETH_QUEUE_STATE_STARTED;
	eth->data->dev_started = 1;
	fake_vf_link_set(eth);
	eth->data->dev_started = 0;
	return 0;
}

static int
dev_stop(struct rte_eth_dev *eth)
{
	struct fake_vf *vf = vf_of(eth);
	uint16_t q;

	takes(&vf->knobs.stop_ms);
	while (is_set(&vf->knobs.stop_hangs))
		usleep(1000);
	vf->seen.stops++;
	for (q = 0; q < eth->data->nb_rx_queues; q++)
		eth->data->rx_queue_state[q] = RTE_ETH_QUEUE_STATE_STOPPED;
	for (q = 0; q < eth->data->nb_tx_queues; q++)
		eth->data->tx_queue_state[q] = RTE_ETH_QUEUE_STATE_STOPPED;
	return 0;
}

static int
dev_close(struct rte_eth_dev *eth)
{
	struct fake_vf *vf = vf_of(eth);
	uint16_t q;

	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return 0;
	vf->seen.closes++;
	for (q = 0; q < eth->data->nb_rx_queues; q++)
		fake_vf_rx_queue_release(eth, q);
	for (q = 0; q < eth->data->nb_tx_queues; q++)
		fake_vf_tx_queue_release(eth, q);
	fake_vfs[eth->data->port_id] = NULL;
	fake_vf_alive--;
	return 0;
}

static int
dev_reset(struct rte_eth_dev *eth)
{
	vf_of(eth)->seen.resets++;
	return fake_vf_asked(eth, 0);
}

static int
infos_get(struct rte_eth_dev *eth, struct rte_eth_dev_info *info)
{
	const struct fake_vf_knobs *k = &vf_of(eth)->knobs;
	const struct rte_eth_desc_lim lim = {.nb_max = (uint16_t)k->nb_desc,
		.nb_min = 64,
		.nb_align = 8,
		/* Of any: as ethdev has written it there before it asked. */
		.nb_seg_max = k->any_segs ? info->tx_desc_lim.nb_seg_max : 40,
		.nb_mtu_seg_max = k->any_segs ? info->tx_desc_lim.nb_mtu_seg_max : 8};

	question(eth);
	info->max_rx_queues = info->max_tx_queues = (uint16_t)k->queues;
	info->max_mac_addrs = 1;
	info->min_rx_bufsize = 256;
	info->min_mtu = RTE_ETHER_MIN_MTU;
	info->max_mtu = (uint16_t)k->max_mtu;
	info->max_rx_pktlen = (uint32_t)k->max_mtu + 18;
	info->max_lro_pkt_size = 65535;
	info->rx_offload_capa = k->rx_offloads;
	info->tx_offload_capa = k->tx_offloads;
	info->rx_desc_lim = info->tx_desc_lim = lim;
	info->reta_size = (uint16_t)k->reta;
	info->hash_key_size = (uint8_t)k->key;
	info->flow_type_rss_offloads = k->rss;
	info->default_rxconf.rx_free_thresh = 7;
	return 0;
}

/* ---- settings ---- */

static int
promiscuous(struct rte_eth_dev *eth, bool on)
{
	int rc = fake_vf_asked(eth, FAKE_VF_REFUSES_PROMISCUOUS);

	if (rc == 0)
		vf_of(eth)->seen.promiscuous = on;
	return rc;
}

static const uint32_t *
#if RTE_VERSION >= RTE_VERSION_NUM(24, 3, 0, 0)
ptypes_get(struct rte_eth_dev *eth, size_t *count)
#else
ptypes_get(struct rte_eth_dev *eth)
#endif
{
	static const uint32_t all[] = {
		RTE_PTYPE_L2_ETHER, RTE_PTYPE_L3_IPV4, RTE_PTYPE_L4_TCP, RTE_PTYPE_UNKNOWN};

#if RTE_VERSION >= RTE_VERSION_NUM(24, 3, 0, 0)
	*count = RTE_DIM(all) - 1;
#endif
	return all;
}

static int
ptypes_set(struct rte_eth_dev *eth, uint32_t mask)
{
	vf_of(eth)->seen.ptypes = mask;
	return 0;
}

static int
promiscuous_enable(struct rte_eth_dev *eth)
{
	return promiscuous(eth, true);
}

static int
promiscuous_disable(struct rte_eth_dev *eth)
{
	return promiscuous(eth, false);
}

static int
all_multicast(struct rte_eth_dev *eth, bool on)
{
	int rc = fake_vf_asked(eth, FAKE_VF_REFUSES_ALL_MULTICAST);

	if (rc == 0)
		vf_of(eth)->seen.all_multicast = on;
	return rc;
}

static int
all_multicast_enable(struct rte_eth_dev *eth)
{
	return all_multicast(eth, true);
}

static int
all_multicast_disable(struct rte_eth_dev *eth)
{
	return all_multicast(eth, false);
}

static int
set_mc_addr_list(struct rte_eth_dev *eth, struct rte_ether_addr *list, uint32_t n)
{
	struct fake_vf *vf = vf_of(eth);
	int rc = fake_vf_asked(eth, FAKE_VF_REFUSES_MULTICAST);

	if (rc != 0)
		return rc;
	if (n > FAKE_VF_LISTED)
		return -ENOSPC;
	vf->seen.n_multicast = n;
	if (n != 0)
		memcpy(vf->seen.multicast, list, n * sizeof(*list));
	return 0;
}

static int
mac_addr_set(struct rte_eth_dev *eth, struct rte_ether_addr *mac)
{
	return fake_vf_asked(eth, FAKE_VF_REFUSES_MAC);
}

static int
mtu_set(struct rte_eth_dev *eth, uint16_t mtu)
{
	int rc = fake_vf_asked(eth, FAKE_VF_REFUSES_MTU);

	if (rc == 0)
		vf_of(eth)->seen.mtu = mtu;
	else if (rc == -ENOTSUP)
		rc = -EPERM;
	return rc;
}

static int
vlan_offload_set(struct rte_eth_dev *eth, int mask)
{
	struct fake_vf *vf = vf_of(eth);
	int rc = fake_vf_asked(eth, FAKE_VF_REFUSES_VLAN);
	uint16_t q;

	for (q = 0; rc == 0 && q < FAKE_VF_QUEUES; q++)
		vf->seen.strips[q] =
			(eth->data->dev_conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP) != 0;
	return rc;
}

static void
vlan_strip_queue_set(struct rte_eth_dev *eth, uint16_t queue, int on)
{
	vf_of(eth)->seen.strips[queue] = on != 0;
}

static int
reta_update(struct rte_eth_dev *eth, struct rte_eth_rss_reta_entry64 *reta, uint16_t size)
{
	struct fake_vf *vf = vf_of(eth);
	int rc = fake_vf_asked(eth, FAKE_VF_REFUSES_RETA);
	uint16_t i;

	if (rc == 0 && size != vf->knobs.reta)
		return -EINVAL;
	for (i = 0; rc == 0 && i < size; i++)
		if (reta[i / RTE_ETH_RETA_GROUP_SIZE].mask >> i % RTE_ETH_RETA_GROUP_SIZE & 1)
			vf->seen.reta[i] =
				reta[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE];
	return rc;
}

static int
rss_hash_update(struct rte_eth_dev *eth, struct rte_eth_rss_conf *conf)
{
	int rc = fake_vf_asked(eth, FAKE_VF_REFUSES_HASH);

	if (rc == 0)
		remember_key(vf_of(eth), conf);
	return rc;
}

/* ---- counters ---- */

#if RTE_VERSION >= RTE_VERSION_NUM(25, 11, 0, 0)
static int
stats_get(struct rte_eth_dev *eth, struct rte_eth_stats *stats, struct eth_queue_stats *queues)
{
	struct eth_queue_stats *by_queue = queues;
#else
static int
stats_get(struct rte_eth_dev *eth, struct rte_eth_stats *stats)
{
	struct rte_eth_stats *by_queue = stats;
#endif
	const struct fake_vf *vf = vf_of(eth);
	uint16_t q;

	question(eth);
	for (q = 0; q < FAKE_VF_QUEUES; q++) {
		stats->ipackets += vf->rx[q].packets;
		if (is_set(&vf->knobs.counts_early) && vf->rx[q].ring != NULL)
			stats->ipackets += rte_ring_count(vf->rx[q].ring);
		stats->ibytes += vf->rx[q].bytes;
		stats->imissed += vf->rx[q].dropped;
		stats->opackets += vf->tx[q].packets;
		stats->obytes += vf->tx[q].bytes;
		stats->oerrors += vf->tx[q].dropped;
		if (by_queue == NULL)
			continue;
		by_queue->q_ipackets[q] = vf->rx[q].packets;
		by_queue->q_ibytes[q] = vf->rx[q].bytes;
		by_queue->q_opackets[q] = vf->tx[q].packets;
		by_queue->q_obytes[q] = vf->tx[q].bytes;
	}
	return 0;
}

static int
stats_reset(struct rte_eth_dev *eth)
{
	struct fake_vf *vf = vf_of(eth);
	uint16_t q;

	for (q = 0; q < FAKE_VF_QUEUES; q++) {
		vf->rx[q].packets = vf->rx[q].bytes = vf->rx[q].dropped = 0;
		vf->tx[q].packets = vf->tx[q].bytes = vf->tx[q].dropped = 0;
	}
	return 0;
}

static int
xstats_get(struct rte_eth_dev *eth, struct rte_eth_xstat *xstats, unsigned int n)
{
	question(eth);
	if (n == 0)
		return 1;
	xstats[0].id = 0;
	xstats[0].value = vf_of(eth)->seen.starts;
	return 1;
}

static int
xstats_get_names(struct rte_eth_dev *eth, struct rte_eth_xstat_name *names, unsigned int n)
{
	question(eth);
	if (names != NULL && n != 0)
		snprintf(names[0].name, sizeof(names[0].name), "fake_starts");
	return 1;
}

static const struct eth_dev_ops fake_ops = {
	.dev_configure = dev_configure,
	.dev_start = dev_start,
	.dev_stop = dev_stop,
	.dev_close = dev_close,
	.dev_reset = dev_reset,
	.dev_infos_get = infos_get,
	.link_update = link_update,
	.dev_supported_ptypes_get = ptypes_get,
	.dev_ptypes_set = ptypes_set,
	.promiscuous_enable = promiscuous_enable,
	.promiscuous_disable = promiscuous_disable,
	.allmulticast_enable = all_multicast_enable,
	.allmulticast_disable = all_multicast_disable,
	.set_mc_addr_list = set_mc_addr_list,
	.mac_addr_set = mac_addr_set,
	.mtu_set = mtu_set,
	.vlan_offload_set = vlan_offload_set,
	.vlan_strip_queue_set = vlan_strip_queue_set,
	.stats_get = stats_get,
	.stats_reset = stats_reset,
	.xstats_get = xstats_get,
	.xstats_get_names = xstats_get_names,
	.rx_queue_setup = fake_vf_rx_queue_setup,
	.rx_queue_release = fake_vf_rx_queue_release,
	.tx_queue_setup = fake_vf_tx_queue_setup,
	.tx_queue_release = fake_vf_tx_queue_release,
	.tx_done_cleanup = fake_vf_tx_done_cleanup,
	.reta_update = reta_update,
	.rss_hash_update = rss_hash_update,
};

/* ---- it comes and goes ---- */

static int
knob_argument(const char *key, const char *value, void *opaque)
{
	return fake_vf_key(opaque, key, value);
}

int
fake_vf_make(struct rte_device *device, const char *name)
{
	struct rte_eth_dev *eth = rte_eth_dev_allocate(name);
	struct rte_kvargs *kv = NULL;
	struct fake_vf *vf;
	int rc = 0;

	if (eth == NULL)
		return -ENOMEM;
	vf = rte_zmalloc("fake_vf", sizeof(*vf), 0);
	eth->data->mac_addrs = rte_zmalloc("fake_vf_mac", sizeof(struct rte_ether_addr), 0);
	eth->data->dev_private = vf;
	eth->device = device;
	if (vf == NULL || eth->data->mac_addrs == NULL) {
		rte_eth_dev_release_port(eth);
		return -ENOMEM;
	}
	vf->eth = eth;
	vf->knobs = (struct fake_vf_knobs){.queues = FAKE_VF_QUEUES,
		.max_mtu = 9000,
		.nb_desc = 1024,
		.reta = 64,
		.key = 40,
		.rss = UINT64_MAX,
		.rx_offloads = UINT64_MAX,
		.tx_offloads = UINT64_MAX,
		.lsc = 1,
		.link = 1};
	if (device->devargs != NULL && device->devargs->args != NULL)
		kv = rte_kvargs_parse(device->devargs->args, NULL);
	if (kv != NULL)
		rc = rte_kvargs_process(kv, NULL, knob_argument, &vf->knobs);
	rte_kvargs_free(kv);
	if (rc != 0) {
		fprintf(stderr, "fake VF %s: bad arguments '%s'\n", device->name,
			device->devargs->args);
		rte_eth_dev_release_port(eth);
		return -EINVAL;
	}
	eth->data->mac_addrs[0] = vf->knobs.mac;
	eth->data->dev_flags |= RTE_ETH_DEV_INTR_RMV | RTE_ETH_DEV_AUTOFILL_QUEUE_XSTATS;
	if (vf->knobs.lsc != 0)
		eth->data->dev_flags |= RTE_ETH_DEV_INTR_LSC;
	eth->dev_ops = &fake_ops;
	eth->rx_pkt_burst = fake_vf_rx_burst;
	eth->tx_pkt_burst = fake_vf_tx_burst;
	eth->tx_pkt_prepare = fake_vf_tx_prepare;
	eth->rx_queue_count = fake_vf_rx_queue_count;
	eth->rx_descriptor_status = fake_vf_rx_descriptor_status;
	eth->tx_descriptor_status = fake_vf_tx_descriptor_status;
	fake_vfs[eth->data->port_id] = eth;
	fake_vf_alive++;
	rte_eth_dev_probing_finish(eth);
	return 0;
}

int
fake_vf_unmake(struct rte_device *device)
{
	uint16_t id;
	int rc = 0;

	for (id = 0; id < RTE_MAX_ETHPORTS; id++) {
		if (fake_vfs[id] == NULL || fake_vfs[id]->device != device)
			continue;
		if (fake_vfs[id]->data->dev_started)
			rte_eth_dev_stop(id);
		rc = rte_eth_dev_close(id);
		if (rc != 0)
			return rc;
	}
	return 0;
}
