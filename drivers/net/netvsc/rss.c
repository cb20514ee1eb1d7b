/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Receive side scaling (spec/rndis.md §7, §11). The table holds receive queues, which are channel
 * numbers; it never names a queue that nobody polls (pitfall C2).
 */
#include <errno.h>
#include <string.h>

#include "drivers/net/netvsc/attach.h"
#include "drivers/net/netvsc/control.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "lib/netvsp/toeplitz.h"

/* rss_hf to the host's hash types, and the capability that each needs. */
static const struct {
	uint64_t hf;
	uint32_t hash, cap;
} rss_map[] = {
	{RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_FRAG_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_OTHER, NDIS_HASH_IPV4,
		NDIS_RSS_CAP_TCP_IPV4},
	{RTE_ETH_RSS_NONFRAG_IPV4_TCP, NDIS_HASH_TCP_IPV4, NDIS_RSS_CAP_TCP_IPV4},
	{RTE_ETH_RSS_NONFRAG_IPV4_UDP, NDIS_HASH_UDP_IPV4, NDIS_RSS_CAP_UDP_IPV4},
	{RTE_ETH_RSS_IPV6 | RTE_ETH_RSS_FRAG_IPV6 | RTE_ETH_RSS_NONFRAG_IPV6_OTHER, NDIS_HASH_IPV6,
		NDIS_RSS_CAP_TCP_IPV6},
	{RTE_ETH_RSS_NONFRAG_IPV6_TCP, NDIS_HASH_TCP_IPV6, NDIS_RSS_CAP_TCP_IPV6},
	{RTE_ETH_RSS_NONFRAG_IPV6_UDP, NDIS_HASH_UDP_IPV6, NDIS_RSS_CAP_UDP_IPV6},
	{RTE_ETH_RSS_IPV6_EX, NDIS_HASH_IPV6_EX, NDIS_RSS_CAP_TCP_IPV6_EX},
	{RTE_ETH_RSS_IPV6_TCP_EX, NDIS_HASH_TCP_IPV6_EX, NDIS_RSS_CAP_TCP_IPV6_EX},
};

uint64_t
netvsc_rss_offloads(const struct netvsc_port *port)
{
	uint64_t hf = 0;
	size_t i;

	for (i = 0; i < RTE_DIM(rss_map); i++)
		if (port->limits.rss_caps & rss_map[i].cap)
			hf |= rss_map[i].hf;
	return hf;
}

static uint32_t
rss_hash_info(const struct netvsc_port *port, uint64_t hf)
{
	uint32_t info = 0;
	size_t i;

	for (i = 0; i < RTE_DIM(rss_map); i++)
		if ((hf & rss_map[i].hf) && (port->session.rss_caps & rss_map[i].cap))
			info |= rss_map[i].hash;
	return info == 0 ? 0 : info | NDIS_HASH_TOEPLITZ;
}

int
netvsc_rss_query(struct netvsc_port *port)
{
	uint8_t in[NDIS_RSS_CAPS_REV2], out[64];
	struct ndis_rss_caps caps;
	uint32_t got = 0;
	int rc;

	if (port->session.nvsp_version < NVSP_VERSION_5)
		return 0;
	rc = ndis_build_rss_query(in, sizeof(in), nvsp_ndis_version(port->session.nvsp_version));
	if (rc < 0)
		return rc;
	rc = netvsc_query(
		port, OID_GEN_RECEIVE_SCALE_CAPABILITIES, in, (uint32_t)rc, out, sizeof(out), &got);
	if (rc == -ENOTSUP || rc == -EIO || rc == -ENODATA)
		return 0; /* one queue */
	if (rc != 0)
		return rc;
	if (ndis_parse_rss_caps(out, got, &caps) != 0 || caps.receive_queues < 2) {
		NETVSC_LOG(NOTICE, port, "the host offers no RSS: one queue");
		return 0;
	}
	port->session.rss_caps = caps.cap_flags;
	port->session.reta_size = NETVSC_RETA_MAX;
	port->session.max_queues = RTE_MIN(caps.receive_queues, port->bus->max_channels);
	return 0;
}

void
netvsc_rss_default(struct netvsc_port *port)
{
	const struct rte_eth_dev_data *data = port->eth->data;
	const struct rte_eth_rss_conf *conf = &data->dev_conf.rx_adv_conf.rss_conf;
	uint16_t i, n = data->nb_rx_queues;
	bool valid = port->config.reta_user;

	if (conf->rss_key != NULL)
		memcpy(port->config.rss_key, conf->rss_key, NETVSC_RSS_KEY_LEN);
	port->config.rss_hf =
		data->dev_conf.rxmode.mq_mode & RTE_ETH_MQ_RX_RSS_FLAG ? conf->rss_hf : 0;
	/* The user's table survives as long as its queues exist (pitfalls C3, H7). */
	for (i = 0; i < NETVSC_RETA_MAX; i++)
		valid = valid && port->config.reta[i] < n;
	port->config.reta_user = valid;
	for (i = 0; !valid && n != 0 && i < NETVSC_RETA_MAX; i++)
		port->config.reta[i] = i % n;
}

int
netvsc_rss_apply(struct netvsc_port *port)
{
	uint32_t hash = rss_hash_info(port, port->config.rss_hf);
	uint8_t info[NDIS_RSS_PARAMS_INFO];
	int rc;

	if (port->session.rss_caps == 0)
		return port->eth->data->nb_rx_queues > 1 ? -ENOTSUP : 0;
	/* A host refuses a change while RSS is on: off first (pitfall H1). */
	rc = ndis_build_rss_disable(info, sizeof(info), port->config.rss_key);
	if (rc > 0)
		rc = netvsc_set(port, OID_GEN_RECEIVE_SCALE_PARAMETERS, info, (uint32_t)rc);
	if (rc != 0 || port->eth->data->nb_rx_queues <= 1 || hash == 0)
		return rc;
	rc = ndis_build_rss_params(
		info, sizeof(info), hash, port->config.reta, port->config.rss_key);
	return rc < 0 ? rc : netvsc_set(port, OID_GEN_RECEIVE_SCALE_PARAMETERS, info, (uint32_t)rc);
}

static int
rss_apply_if_started(struct rte_eth_dev *eth)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	int rc;

	if (!eth->data->dev_started)
		return 0;
	rc = netvsc_rss_apply(port);
	if (rc != 0)
		NETVSC_LOG(ERR, port, "the host refused the RSS settings: %s", strerror(-rc));
	return rc;
}

int
netvsc_rss_hash_update(struct rte_eth_dev *eth, struct rte_eth_rss_conf *conf)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	struct hpbus_op op;
	int rc;

	if (conf->rss_key != NULL && conf->rss_key_len != NETVSC_RSS_KEY_LEN) {
		NETVSC_LOG(ERR, port, "an RSS key has %u bytes, not %u", NETVSC_RSS_KEY_LEN,
			conf->rss_key_len);
		return -EINVAL;
	}
	netvsc_control_begin(port, &op, &netvsc_op_setting);
	if (conf->rss_key != NULL)
		memcpy(port->config.rss_key, conf->rss_key, NETVSC_RSS_KEY_LEN);
	port->config.rss_hf = conf->rss_hf;
	rc = rss_apply_if_started(eth);
	netvsc_control_end(port, &op);
	return rc;
}

int
netvsc_rss_hash_conf_get(struct rte_eth_dev *eth, struct rte_eth_rss_conf *conf)
{
	struct netvsc_port *port = netvsc_port_of(eth);

	if (conf->rss_key != NULL && conf->rss_key_len >= NETVSC_RSS_KEY_LEN)
		memcpy(conf->rss_key, port->config.rss_key, NETVSC_RSS_KEY_LEN);
	conf->rss_key_len = NETVSC_RSS_KEY_LEN;
	conf->rss_hf = port->config.rss_hf & netvsc_rss_offloads(port);
	return 0;
}

int
netvsc_reta_update(struct rte_eth_dev *eth, struct rte_eth_rss_reta_entry64 *reta, uint16_t size)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	uint16_t table[NETVSC_RETA_MAX];
	struct hpbus_op op;
	uint16_t i;
	int rc;

	if (size != port->limits.reta_size) {
		NETVSC_LOG(ERR, port, "the RSS table has %u entries, not %u",
			port->limits.reta_size, size);
		return -EINVAL;
	}
	memcpy(table, port->config.reta, sizeof(table));
	/* Check all, then commit (pitfall H4). */
	for (i = 0; i < size; i++) {
		const struct rte_eth_rss_reta_entry64 *group = &reta[i / RTE_ETH_RETA_GROUP_SIZE];
		uint16_t at = i % RTE_ETH_RETA_GROUP_SIZE;

		if (!(group->mask & (UINT64_C(1) << at)))
			continue;
		if (group->reta[at] >= eth->data->nb_rx_queues) {
			NETVSC_LOG(ERR, port, "RSS table entry %u: there is no receive queue %u", i,
				group->reta[at]);
			return -EINVAL;
		}
		table[i] = group->reta[at];
	}
	netvsc_control_begin(port, &op, &netvsc_op_setting);
	memcpy(port->config.reta, table, sizeof(table));
	port->config.reta_user = true;
	rc = rss_apply_if_started(eth);
	netvsc_control_end(port, &op);
	return rc;
}

int
netvsc_reta_query(struct rte_eth_dev *eth, struct rte_eth_rss_reta_entry64 *reta, uint16_t size)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	uint16_t i;

	if (size != port->limits.reta_size) {
		NETVSC_LOG(ERR, port, "the RSS table has %u entries, not %u",
			port->limits.reta_size, size);
		return -EINVAL;
	}
	for (i = 0; i < size; i++)
		if (reta[i / RTE_ETH_RETA_GROUP_SIZE].mask &
			(UINT64_C(1) << (i % RTE_ETH_RETA_GROUP_SIZE)))
			reta[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE] =
				port->config.reta[i];
	return 0;
}
