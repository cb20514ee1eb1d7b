/* SPDX-License-Identifier: BSD-3-Clause */
/* See fake_vf.h: the ethdev. */
#include "test/fake_vf/fake_vf.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_devargs.h>
#include <rte_kvargs.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_version.h>
#include <dev_driver.h>
#include <ethdev_driver.h>

struct fake_queue {
	struct fake_vf *vf;
	struct rte_ring
		*ring; /**< what comes or goes; with loop=1 that of the other direction, too */
	struct rte_mempool *pool;
	int fd;
	uint16_t number;
	uint64_t packets, bytes, dropped;
};

struct fake_vf {
	struct rte_eth_dev *eth;
	struct fake_vf_knobs knobs;
	struct fake_vf_seen seen;
	struct fake_queue rx[FAKE_VF_QUEUES], tx[FAKE_VF_QUEUES];
	atomic_bool vanished, recovering;
};

_Atomic unsigned int fake_vf_alive;
static struct rte_eth_dev *fakes[RTE_MAX_ETHPORTS]; /* by port id */

static struct fake_vf *
vf_of(const struct rte_eth_dev *eth)
{
	return eth->data->dev_private;
}

/* ---- knobs ---- */

#define KNOB(name)                                                                                 \
	{                                                                                          \
#name, offsetof(struct fake_vf_knobs, name)                                        \
	}

static const struct {
	const char *name;
	size_t at;
} knob_names[] = {KNOB(queues), KNOB(max_mtu), KNOB(nb_desc), KNOB(any_segs), KNOB(reta), KNOB(key),
	KNOB(rss), KNOB(rx_offloads), KNOB(tx_offloads), KNOB(lsc), KNOB(link), KNOB(start_ms),
	KNOB(stop_ms), KNOB(start_fails), KNOB(stop_hangs), KNOB(refuses), KNOB(loop)};

int
fake_vf_key(struct fake_vf_knobs *knobs, const char *key, const char *value)
{
	uint64_t number;
	char *end;
	size_t i;

	if (value == NULL)
		return -EINVAL;
	if (strcmp(key, "mac") == 0)
		return rte_ether_unformat_addr(value, &knobs->mac) == 0 ? 0 : -EINVAL;
	if (strcmp(key, "iface") == 0) {
		snprintf(knobs->iface, sizeof(knobs->iface), "%s", value);
		return 0;
	}
	number = strtoull(value, &end, 0);
	for (i = 0; *end == '\0' && i < RTE_DIM(knob_names); i++)
		if (strcmp(key, knob_names[i].name) == 0) {
			__atomic_store_n((uint64_t *)((char *)knobs + knob_names[i].at), number,
				__ATOMIC_RELAXED);
			return 0;
		}
	return -EINVAL;
}

static int
knob_argument(const char *key, const char *value, void *opaque)
{
	return fake_vf_key(opaque, key, value);
}

static bool
is_set(const uint64_t *knob)
{
	return __atomic_load_n(knob, __ATOMIC_RELAXED) != 0;
}

/* @return what an operation answers before it does anything */
static int
asked(struct rte_eth_dev *eth, uint64_t refusal)
{
	struct fake_vf *vf = vf_of(eth);

	if (eth->data->dev_started)
		vf->seen.while_started++;
	if (atomic_load(&vf->vanished))
		return -ENODEV;
	if (atomic_load(&vf->recovering))
		return -EBUSY;
	return vf->knobs.refuses & refusal ? -ENOTSUP : 0;
}

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

/* ---- frames ---- */

static uint16_t
rx_burst(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct fake_queue *q = queue;
	struct rte_mbuf *m;
	uint16_t i, got = 0;
	ssize_t len;

	if (atomic_load(&q->vf->vanished) || atomic_load(&q->vf->recovering))
		return 0;
	got = (uint16_t)rte_ring_dequeue_burst(q->ring, (void **)pkts, n, NULL);
	while (q->fd >= 0 && got < n && (m = rte_pktmbuf_alloc(q->pool)) != NULL) {
		len = recv(q->fd, rte_pktmbuf_mtod(m, void *), rte_pktmbuf_tailroom(m),
			MSG_DONTWAIT | MSG_TRUNC);
		if (len <= 0 || len > rte_pktmbuf_tailroom(m)) {
			q->dropped += len > 0;
			rte_pktmbuf_free(m);
			if (len <= 0)
				break;
			continue;
		}
		m->data_len = (uint16_t)len;
		m->pkt_len = (uint32_t)len;
		pkts[got++] = m;
	}
	for (i = 0; i < got; i++) {
		pkts[i]->port = q->vf->eth->data->port_id;
		q->bytes += pkts[i]->pkt_len;
	}
	q->packets += got;
	return got;
}

static uint16_t
tx_burst(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct fake_queue *q = queue;
	uint8_t flat[RTE_ETHER_MAX_JUMBO_FRAME_LEN];
	const void *frame;
	uint16_t i, sent;

	if (atomic_load(&q->vf->vanished) || atomic_load(&q->vf->recovering))
		return 0;
	for (i = 0; i < n; i++)
		q->bytes += pkts[i]->pkt_len;
	if (q->fd < 0) {
		sent = (uint16_t)rte_ring_enqueue_burst(q->ring, (void **)pkts, n, NULL);
		for (i = sent; i < n; i++)
			q->bytes -= pkts[i]->pkt_len;
		q->packets += sent;
		return sent;
	}
	for (i = 0; i < n; i++) {
		frame = rte_pktmbuf_read(
			pkts[i], 0, RTE_MIN(pkts[i]->pkt_len, (uint32_t)sizeof(flat)), flat);
		if (frame == NULL || send(q->fd, frame, pkts[i]->pkt_len, MSG_DONTWAIT) < 0)
			q->dropped++;
		rte_pktmbuf_free(pkts[i]);
	}
	q->packets += n;
	return n;
}

/* A socket on the interface; several that receive divide its flows. */
static int
socket_open(const struct fake_vf *vf, bool rx)
{
	struct sockaddr_ll addr = {
		.sll_family = AF_PACKET,
		.sll_protocol = rx ? htons(ETH_P_ALL) : 0,
		.sll_ifindex = (int)if_nametoindex(vf->knobs.iface),
	};
	int fd, on = 1, fanout = (getpid() & 0xffff) | PACKET_FANOUT_HASH << 16;

	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (addr.sll_ifindex == 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 ||
		(rx && setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) != 0) ||
		(rx && vf->eth->data->nb_rx_queues > 1 &&
			setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &fanout, sizeof(fanout)) != 0)) {
		fprintf(stderr, "fake VF: cannot use interface '%s': %s\n", vf->knobs.iface,
			strerror(errno));
		close(fd);
		return -ENODEV;
	}
	return fd;
}

/* ---- queues ---- */

static void
queue_free(struct fake_queue *q, const struct fake_queue *other)
{
	struct rte_mbuf *m;

	while (q->ring != NULL && rte_ring_dequeue(q->ring, (void **)&m) == 0)
		rte_pktmbuf_free(m);
	if (q->vf != NULL && q->fd >= 0)
		close(q->fd);
	if (q->ring != other->ring)
		rte_ring_free(q->ring);
	q->ring = NULL;
	q->fd = -1;
}

static int
queue_make(struct rte_eth_dev *eth, struct fake_queue *q, uint16_t number, bool rx)
{
	struct fake_vf *vf = vf_of(eth);
	char name[RTE_RING_NAMESIZE];
	int rc = asked(eth, FAKE_VF_REFUSES_QUEUES);

	if (rc != 0)
		return rc == -ENOTSUP ? -ENOMEM : rc;
	q->vf = vf;
	q->number = number;
	q->fd = -1;
	snprintf(name, sizeof(name), "fake%u%s%u", eth->data->port_id,
		rx || is_set(&vf->knobs.loop) ? "r" : "t", number);
	q->ring = rte_ring_lookup(name);
	if (q->ring == NULL)
		q->ring = rte_ring_create(name, 2048, SOCKET_ID_ANY, 0);
	if (q->ring == NULL)
		return -ENOMEM;
	if (vf->knobs.iface[0] != '\0')
		q->fd = socket_open(vf, rx);
	return q->fd < -1 ? q->fd : 0;
}

static int
rx_queue_setup(struct rte_eth_dev *eth, uint16_t queue, uint16_t nb_desc, unsigned int socket,
	const struct rte_eth_rxconf *conf, struct rte_mempool *mp)
{
	struct fake_vf *vf = vf_of(eth);
	int rc;

	if ((vf->knobs.refuses & FAKE_VF_REFUSES_THRESHOLDS) && conf->rx_free_thresh != 7)
		return -EINVAL;
	rc = queue_make(eth, &vf->rx[queue], queue, true);
	if (rc != 0)
		return rc;
	vf->rx[queue].pool = mp;
	vf->seen.rx_desc[queue] = nb_desc;
	vf->seen.rx_conf[queue] = *conf;
	vf->seen.pool[queue] = mp;
	eth->data->rx_queues[queue] = &vf->rx[queue];
	return 0;
}

static int
tx_queue_setup(struct rte_eth_dev *eth, uint16_t queue, uint16_t nb_desc, unsigned int socket,
	const struct rte_eth_txconf *conf)
{
	struct fake_vf *vf = vf_of(eth);
	int rc = queue_make(eth, &vf->tx[queue], queue, false);

	if (rc != 0)
		return rc;
	vf->seen.tx_desc[queue] = nb_desc;
	vf->seen.tx_conf[queue] = *conf;
	eth->data->tx_queues[queue] = &vf->tx[queue];
	return 0;
}

static void
rx_queue_release(struct rte_eth_dev *eth, uint16_t queue)
{
	if (eth->data->rx_queues[queue] != NULL)
		queue_free(eth->data->rx_queues[queue], &vf_of(eth)->tx[queue]);
	eth->data->rx_queues[queue] = NULL;
}

static void
tx_queue_release(struct rte_eth_dev *eth, uint16_t queue)
{
	if (eth->data->tx_queues[queue] != NULL)
		queue_free(eth->data->tx_queues[queue], &vf_of(eth)->rx[queue]);
	eth->data->tx_queues[queue] = NULL;
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
	int rc = asked(eth, FAKE_VF_REFUSES_CONFIGURE);
	uint16_t q;

	if (rc != 0)
		return rc == -ENOTSUP ? -EINVAL : rc;
	vf->seen.configures++;
	vf->seen.conf = eth->data->dev_conf;
	vf->seen.n_rx = eth->data->nb_rx_queues;
	vf->seen.n_tx = eth->data->nb_tx_queues;
	vf->seen.mtu = eth->data->mtu;
	memset(vf->seen.key, 0, sizeof(vf->seen.key));
	remember_key(vf, &eth->data->dev_conf.rx_adv_conf.rss_conf);
	for (q = 0; q < FAKE_VF_QUEUES; q++)
		vf->seen.strips[q] =
			(eth->data->dev_conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP) != 0;
	return 0;
}

static void
link_set(struct rte_eth_dev *eth)
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
	link_set(eth);
	return 0;
}

static int
dev_start(struct rte_eth_dev *eth)
{
	struct fake_vf *vf = vf_of(eth);
	int rc = asked(eth, 0);
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
	link_set(eth);
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
		rx_queue_release(eth, q);
	for (q = 0; q < eth->data->nb_tx_queues; q++)
		tx_queue_release(eth, q);
	fakes[eth->data->port_id] = NULL;
	fake_vf_alive--;
	return 0;
}

static int
dev_reset(struct rte_eth_dev *eth)
{
	vf_of(eth)->seen.resets++;
	return asked(eth, 0);
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
	int rc = asked(eth, FAKE_VF_REFUSES_PROMISCUOUS);

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
	int rc = asked(eth, FAKE_VF_REFUSES_ALL_MULTICAST);

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
	int rc = asked(eth, FAKE_VF_REFUSES_MULTICAST);

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
	return asked(eth, FAKE_VF_REFUSES_MAC);
}

static int
mtu_set(struct rte_eth_dev *eth, uint16_t mtu)
{
	int rc = asked(eth, 0);

	if (rc == 0)
		vf_of(eth)->seen.mtu = mtu;
	return rc;
}

static int
vlan_offload_set(struct rte_eth_dev *eth, int mask)
{
	struct fake_vf *vf = vf_of(eth);
	int rc = asked(eth, FAKE_VF_REFUSES_VLAN);
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
	int rc = asked(eth, FAKE_VF_REFUSES_RETA);
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
	int rc = asked(eth, FAKE_VF_REFUSES_HASH);

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
	.rx_queue_setup = rx_queue_setup,
	.rx_queue_release = rx_queue_release,
	.tx_queue_setup = tx_queue_setup,
	.tx_queue_release = tx_queue_release,
	.reta_update = reta_update,
	.rss_hash_update = rss_hash_update,
};

/* ---- for tests and commands ---- */

struct fake_vf *
fake_vf_find(const char *name)
{
	uint16_t id;

	for (id = 0; id < RTE_MAX_ETHPORTS; id++)
		if (fakes[id] != NULL && strcmp(fakes[id]->data->name, name) == 0)
			return vf_of(fakes[id]);
	return NULL;
}

uint16_t
fake_vf_port(const struct fake_vf *vf)
{
	return vf->eth->data->port_id;
}

struct fake_vf_knobs *
fake_vf_knobs(struct fake_vf *vf)
{
	return &vf->knobs;
}

const struct fake_vf_seen *
fake_vf_seen(const struct fake_vf *vf)
{
	return &vf->seen;
}

struct rte_ring *
fake_vf_ring(struct fake_vf *vf, bool rx, uint16_t queue)
{
	return rx ? vf->rx[queue].ring : vf->tx[queue].ring;
}

int
fake_vf_event(struct fake_vf *vf, const char *event)
{
	static const struct {
		const char *name;
		enum rte_eth_event_type type;
	} events[] = {{"rmv", RTE_ETH_EVENT_INTR_RMV}, {"reset", RTE_ETH_EVENT_INTR_RESET},
		{"lsc", RTE_ETH_EVENT_INTR_LSC}, {"recovering", RTE_ETH_EVENT_ERR_RECOVERING},
		{"recovered", RTE_ETH_EVENT_RECOVERY_SUCCESS},
		{"failed", RTE_ETH_EVENT_RECOVERY_FAILED}};
	size_t i;

	for (i = 0; i < RTE_DIM(events); i++) {
		if (strcmp(event, events[i].name) != 0)
			continue;
		if (events[i].type == RTE_ETH_EVENT_ERR_RECOVERING)
			atomic_store(&vf->recovering, true);
		if (events[i].type == RTE_ETH_EVENT_RECOVERY_SUCCESS)
			atomic_store(&vf->recovering, false);
		if (events[i].type == RTE_ETH_EVENT_INTR_LSC)
			link_set(vf->eth);
		rte_eth_dev_callback_process(vf->eth, events[i].type, NULL);
		return 0;
	}
	return -EINVAL;
}

void
fake_vf_vanish(struct fake_vf *vf)
{
	atomic_store(&vf->vanished, true);
	rte_eth_dev_callback_process(vf->eth, RTE_ETH_EVENT_INTR_RMV, NULL);
}

size_t
fake_vf_tell(const struct fake_vf *vf, char *text, size_t size)
{
	const struct fake_vf_seen *s = &vf->seen;
	int n = snprintf(text, size,
		"port %u\nstarted %u\nconfigures %u\nstarts %u\nstops %u\nfailed_starts %u\n"
		"rx_queues %u\ntx_queues %u\nmtu %u\npromiscuous %d\nall_multicast %d\n"
		"multicast %u\nrss %#" PRIx64 "\n",
		fake_vf_port(vf), vf->eth->data->dev_started, s->configures, s->starts, s->stops,
		s->failed_starts, s->n_rx, s->n_tx, s->mtu, s->promiscuous, s->all_multicast,
		s->n_multicast, s->hf);

	return n < 0 ? 0 : RTE_MIN((size_t)n, size - 1);
}

/* ---- it comes and goes ---- */

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
	eth->rx_pkt_burst = rx_burst;
	eth->tx_pkt_burst = tx_burst;
	fakes[eth->data->port_id] = eth;
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
		if (fakes[id] == NULL || fakes[id]->device != device)
			continue;
		if (fakes[id]->data->dev_started)
			rte_eth_dev_stop(id);
		rc = rte_eth_dev_close(id);
		if (rc != 0)
			return rc;
	}
	return 0;
}
