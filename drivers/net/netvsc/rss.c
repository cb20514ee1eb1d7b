/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Receive side scaling (spec/rndis.md §7, §11). The table holds receive queues, which are channel
 * numbers; it never names a queue that nobody polls (pitfall C2).
 */
#include <errno.h>
#include <string.h>

#include "drivers/net/netvsc/attach.h"
#include "drivers/net/netvsc/compat.h"
#include "drivers/net/netvsc/control.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "lib/netvsp/toeplitz.h"

/*
 * Types of rss_hf, and what makes the host spread frames of these types: the first of its ways
 * whose capability the host has. Applications ask for sets (RTE_ETH_RSS_IP) that no host has all
 * of, and ethdev refuses what dev_info does not list; so a type is listed when anything spreads its
 * frames, if only by addresses.
 */
static const struct {
	uint64_t hf;
	struct {
		uint32_t cap, hash;
	} way[3];
} rss_map[] = {
	{RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_FRAG_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_OTHER |
			RTE_ETH_RSS_NONFRAG_IPV4_SCTP,
		{{NDIS_RSS_CAP_TCP_IPV4, NDIS_HASH_IPV4}}},
	{RTE_ETH_RSS_NONFRAG_IPV4_TCP, {{NDIS_RSS_CAP_TCP_IPV4, NDIS_HASH_TCP_IPV4}}},
	/* Hosts without a type for UDP hash its ports with those of TCP (spec/rndis.md §7). */
	{RTE_ETH_RSS_NONFRAG_IPV4_UDP,
		{{NDIS_RSS_CAP_UDP_IPV4, NDIS_HASH_UDP_IPV4},
			{NDIS_RSS_CAP_TCP_IPV4, NDIS_HASH_IPV4 | NDIS_HASH_TCP_IPV4}}},
	{RTE_ETH_RSS_IPV6 | RTE_ETH_RSS_FRAG_IPV6 | RTE_ETH_RSS_NONFRAG_IPV6_OTHER |
			RTE_ETH_RSS_NONFRAG_IPV6_SCTP,
		{{NDIS_RSS_CAP_TCP_IPV6, NDIS_HASH_IPV6}}},
	{RTE_ETH_RSS_NONFRAG_IPV6_TCP, {{NDIS_RSS_CAP_TCP_IPV6, NDIS_HASH_TCP_IPV6}}},
	{RTE_ETH_RSS_NONFRAG_IPV6_UDP, {{NDIS_RSS_CAP_UDP_IPV6, NDIS_HASH_UDP_IPV6},
					       {NDIS_RSS_CAP_TCP_IPV6, NDIS_HASH_IPV6}}},
	{RTE_ETH_RSS_IPV6_EX, {{NDIS_RSS_CAP_TCP_IPV6_EX, NDIS_HASH_IPV6_EX},
				      {NDIS_RSS_CAP_TCP_IPV6, NDIS_HASH_IPV6}}},
	{RTE_ETH_RSS_IPV6_TCP_EX, {{NDIS_RSS_CAP_TCP_IPV6_EX, NDIS_HASH_TCP_IPV6_EX},
					  {NDIS_RSS_CAP_TCP_IPV6, NDIS_HASH_TCP_IPV6}}},
	{RTE_ETH_RSS_IPV6_UDP_EX, {{NDIS_RSS_CAP_UDP_IPV6_EX, NDIS_HASH_UDP_IPV6_EX},
					  {NDIS_RSS_CAP_UDP_IPV6, NDIS_HASH_UDP_IPV6},
					  {NDIS_RSS_CAP_TCP_IPV6, NDIS_HASH_IPV6}}},
};

/* Hash types that honour row @p i at a host with @p caps, 0: nothing does. */
static uint32_t
rss_way(size_t i, uint32_t caps)
{
	size_t w;

	for (w = 0; w < RTE_DIM(rss_map[i].way); w++)
		if (caps & rss_map[i].way[w].cap)
			return rss_map[i].way[w].hash;
	return 0;
}

uint64_t
netvsc_rss_offloads(const struct netvsc_port *port)
{
	uint64_t hf = 0;
	size_t i;

	for (i = 0; i < RTE_DIM(rss_map); i++)
		if (rss_way(i, port->limits.rss_caps) != 0)
			hf |= rss_map[i].hf;
	return hf;
}

static uint32_t
rss_hash_info(const struct netvsc_port *port, uint64_t hf)
{
	uint32_t info = 0;
	size_t i;

	for (i = 0; i < RTE_DIM(rss_map); i++)
		if (hf & rss_map[i].hf)
			info |= rss_way(i, port->session.rss_caps);
	return info == 0 ? 0 : info | NDIS_HASH_TOEPLITZ;
}

int
netvsc_rss_query(struct netvsc_port *port)
{
	uint8_t in[NDIS_RSS_CAPS_REV2], out[64];
	struct netvsc_session *s = &port->session;
	struct ndis_rss_caps caps;
	uint32_t got = 0;
	int rc;

	if (s->nvsp_version < NVSP_VERSION_5)
		return 0;
	rc = ndis_build_rss_query(in, sizeof(in), nvsp_ndis_version(s->nvsp_version));
	if (rc < 0)
		return rc;
	rc = netvsc_query(
		port, OID_GEN_RECEIVE_SCALE_CAPABILITIES, in, (uint32_t)rc, out, sizeof(out), &got);
	if (rc == -ENOTSUP || rc == -EIO || rc == -ENODATA)
		return 0; /* one queue */
	if (rc != 0)
		return rc;
	if (ndis_parse_rss_caps(out, got, &caps) != 0 || caps.receive_queues < 2 ||
		caps.table_entries < 2) {
		NETVSC_LOG(NOTICE, port, "the host offers no RSS: one queue");
		return 0;
	}
	s->rss_caps = caps.cap_flags;
	/* A shorter table than the host could have is repeated by it. */
	s->reta_size = rte_align32prevpow2(RTE_MIN((uint32_t)caps.table_entries, NETVSC_RETA_MAX));
	s->max_queues = RTE_MIN(caps.receive_queues, port->bus->max_channels);
	/* A table without an entry for each queue leaves some without frames. */
	s->max_queues = RTE_MIN(s->max_queues, s->reta_size);
	return 0;
}

void
netvsc_rss_default(struct netvsc_port *port)
{
	const struct rte_eth_dev_data *data = port->data;
	const struct rte_eth_rss_conf *conf = &data->dev_conf.rx_adv_conf.rss_conf;
	struct netvsc_rss *rss = &port->config.rss;
	uint16_t i, n = data->nb_rx_queues;
	bool valid = rss->user;

	if (conf->rss_key != NULL)
		memcpy(rss->key, conf->rss_key, NETVSC_RSS_KEY_LEN);
	rss->hf = data->dev_conf.rxmode.mq_mode & RTE_ETH_MQ_RX_RSS_FLAG ? conf->rss_hf : 0;
	/* The user's table survives as long as its queues exist (pitfalls C3, H7). */
	for (i = 0; i < NETVSC_RETA_MAX; i++)
		valid = valid && rss->reta[i] < n;
	rss->user = valid;
	for (i = 0; !valid && n != 0 && i < NETVSC_RETA_MAX; i++)
		rss->reta[i] = i % n;
}

uint16_t
netvsc_rss_table(const struct netvsc_port *port, uint16_t *table, uint32_t entries)
{
	const struct rte_eth_dev_data *data = port->data;
	const uint16_t *reta = port->config.rss.reta;
	uint16_t started[HPBUS_MAX_CHANNELS], n = 0, q;
	uint32_t i;

	for (q = 0; q < data->nb_rx_queues; q++)
		if (data->rx_queue_state[q] == RTE_ETH_QUEUE_STATE_STARTED)
			started[n++] = q;
	for (i = 0; n != 0 && i < entries; i++) {
		table[i] = reta[i % NETVSC_RETA_MAX];
		if (data->rx_queue_state[table[i]] != RTE_ETH_QUEUE_STATE_STARTED)
			table[i] = started[i % n];
	}
	return n;
}

/* Does a receive queue tell the hash of its frames, for itself or with the port? */
static bool
rss_label(const struct netvsc_port *port)
{
	const struct rte_eth_dev_data *data = port->data;
	uint64_t offloads = data->dev_conf.rxmode.offloads;
	uint16_t q;

	for (q = 0; q < data->nb_rx_queues; q++) {
		const struct netvsc_rxq *rxq = data->rx_queues[q];

		if (rxq != NULL)
			offloads |= rxq->conf.offloads;
	}
	return (offloads & RTE_ETH_RX_OFFLOAD_RSS_HASH) != 0;
}

int
netvsc_rss_apply(struct netvsc_port *port)
{
	const struct rte_eth_dev_data *data = port->data;
	uint32_t hash = rss_hash_info(port, port->config.rss.hf);
	uint16_t table[NETVSC_RETA_MAX],
		queues = netvsc_rss_table(port, table, port->session.reta_size);
	uint8_t info[NDIS_RSS_PARAMS_MAX];
	bool spread = data->nb_rx_queues > 1;
	/* With a single queue it is only for the hash in mbufs, and no host need have it. */
	bool label = rss_label(port);
	int rc;

	if (port->session.rss_caps == 0)
		return spread ? -ENOTSUP : 0;
	/* A host refuses a change while RSS is on: off first (pitfall H1). */
	rc = ndis_build_rss_disable(info, sizeof(info), port->config.rss.key);
	if (rc > 0)
		rc = netvsc_set(port, OID_GEN_RECEIVE_SCALE_PARAMETERS, info, (uint32_t)rc);
	if (rc != 0 || hash == 0 || queues == 0 || (!spread && !label))
		return rc;
	rc = ndis_build_rss_params(
		info, sizeof(info), hash, table, port->session.reta_size, port->config.rss.key);
	if (rc > 0)
		rc = netvsc_set(port, OID_GEN_RECEIVE_SCALE_PARAMETERS, info, (uint32_t)rc);
	if (spread || (rc != -EIO && rc != -ENOTSUP))
		return rc;
	NETVSC_LOG(NOTICE, port, "the host hashes nothing for a single queue: mbufs have no hash");
	return 0;
}

/* The settings have changed: tell the host, or go back to @p before. Within an operation. */
static int
rss_changed(struct netvsc_port *port, const struct netvsc_rss *before)
{
	int rc;

	if (!port->data->dev_started)
		return 0;
	rc = netvsc_rss_apply(port);
	if (rc == 0)
		return 0;
	NETVSC_LOG(ERR, port, "the host refused the RSS settings: %s", strerror(-rc));
	port->config.rss = *before;
	/*
	 * Off by now, however it was refused: with the settings that it took before, queues have
	 * frames again. Unless nobody answers any more.
	 */
	if (!atomic_load(&port->bus->gone) && !(atomic_load(&port->state) & NETVSC_STATE_BROKEN) &&
		netvsc_rss_apply(port) != 0)
		NETVSC_LOG(ERR, port,
			"the host refused the former RSS settings, too: all frames come on "
			"receive queue 0 until others are set");
	return rc;
}

int
netvsc_rss_hash_update(struct rte_eth_dev *eth, struct rte_eth_rss_conf *conf)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	struct netvsc_rss before;
	struct hpbus_op op;
	int rc;

	if (conf->rss_key != NULL && conf->rss_key_len != NETVSC_RSS_KEY_LEN) {
		NETVSC_LOG(ERR, port, "an RSS key has %u bytes, not %u", NETVSC_RSS_KEY_LEN,
			conf->rss_key_len);
		return -EINVAL;
	}
	if (netvsc_control_begin(port, &op, &netvsc_op_setting) != 0)
		return -EBUSY;
	before = port->config.rss;
	if (conf->rss_key != NULL)
		memcpy(port->config.rss.key, conf->rss_key, NETVSC_RSS_KEY_LEN);
	port->config.rss.hf = conf->rss_hf;
	rc = rss_changed(port, &before);
	netvsc_control_end(port, &op);
	netvsc_vf_changed(port, NETVSC_VF_SET_RSS);
	return rc;
}

int
netvsc_rss_hash_conf_get(struct rte_eth_dev *eth, struct rte_eth_rss_conf *conf)
{
	struct netvsc_port *port = netvsc_port_of(eth);

	if (conf->rss_key != NULL && conf->rss_key_len >= NETVSC_RSS_KEY_LEN)
		memcpy(conf->rss_key, port->config.rss.key, NETVSC_RSS_KEY_LEN);
	conf->rss_key_len = NETVSC_RSS_KEY_LEN;
	conf->rss_hf = port->config.rss.hf & netvsc_rss_offloads(port);
	netvsc_compat_rss_conf(conf);
	return 0;
}

static int
rss_check_size(const struct netvsc_port *port, uint16_t size)
{
	if (size != 0 && size == port->limits.reta_size)
		return 0;
	NETVSC_LOG(ERR, port, "the RSS table has %u entries, not %u", port->limits.reta_size, size);
	return -EINVAL;
}

static bool
rss_asked(const struct rte_eth_rss_reta_entry64 *reta, uint16_t i)
{
	return (reta[i / RTE_ETH_RETA_GROUP_SIZE].mask >> i % RTE_ETH_RETA_GROUP_SIZE & 1) != 0;
}

int
netvsc_reta_update(struct rte_eth_dev *eth, struct rte_eth_rss_reta_entry64 *reta, uint16_t size)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	struct netvsc_rss before;
	struct hpbus_op op;
	uint16_t i, at, queue;
	int rc = rss_check_size(port, size);

	/* Check all, then commit (pitfall H4). */
	for (i = 0; rc == 0 && i < size; i++) {
		queue = reta[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE];
		if (!rss_asked(reta, i) || queue < eth->data->nb_rx_queues)
			continue;
		NETVSC_LOG(ERR, port, "RSS table entry %u: there is no receive queue %u", i, queue);
		rc = -EINVAL;
	}
	if (rc != 0)
		return rc;
	if (netvsc_control_begin(port, &op, &netvsc_op_setting) != 0)
		return -EBUSY;
	before = port->config.rss;
	for (at = 0; at < NETVSC_RETA_MAX; at++) {
		i = at % size;
		if (rss_asked(reta, i))
			port->config.rss.reta[at] =
				reta[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE];
	}
	port->config.rss.user = true;
	rc = rss_changed(port, &before);
	netvsc_control_end(port, &op);
	netvsc_vf_changed(port, NETVSC_VF_SET_RSS);
	return rc;
}

int
netvsc_reta_query(struct rte_eth_dev *eth, struct rte_eth_rss_reta_entry64 *reta, uint16_t size)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	int rc = rss_check_size(port, size);
	uint16_t i;

	for (i = 0; rc == 0 && i < size; i++)
		if (rss_asked(reta, i))
			reta[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE] =
				port->config.rss.reta[i];
	return rc;
}
