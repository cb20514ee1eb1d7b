/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the application has set for the port, set for its VF (pitfalls V12, V20): after its start,
 * and again when it changes.
 */
#include <errno.h>
#include <string.h>

#include <ethdev_driver.h>

#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/vf_dev.h"

uint64_t
netvsc_vf_rss_types(const struct netvsc_vf_dev *dev, const struct netvsc_vf_want *want)
{
	return want->n_rx > 1 ? want->rss_hf & dev->info.flow_type_rss_offloads : 0;
}

/* The key of the port in the length that the VF has (pitfall V20). ethdev keeps the pointer. */
struct rte_eth_rss_conf
netvsc_vf_rss_conf(struct netvsc_vf_dev *dev, const struct netvsc_vf_want *want)
{
	uint8_t len = (uint8_t)RTE_MIN(dev->info.hash_key_size, NETVSC_VF_KEY_MAX);

	memcpy(dev->record->rss_key, want->rss_key, sizeof(dev->record->rss_key));
	return (struct rte_eth_rss_conf){
		.rss_key = len != 0 ? dev->record->rss_key : NULL,
		.rss_key_len = len,
		.rss_hf = netvsc_vf_rss_types(dev, want),
	};
}

/*
 * A driver without the operation has one mode: rings, sockets and memif pass all that they are
 * given; functions like MANA, ENA or gve pass what their network has for them, and what is for
 * others comes on the synthetic path, whose filter stays as it is. A driver that has it and refuses
 * has a filter that would keep frames back.
 */
static int
set_promiscuous(struct netvsc_vf_dev *dev, const struct netvsc_vf_want *want, uint16_t vf)
{
	int rc;

	if (rte_eth_devices[vf].dev_ops->promiscuous_enable == NULL) {
		if (want->promiscuous && dev->pci && !dev->one_mode)
			NETVSC_VF_LOG(NOTICE, dev->name,
				"VF %s has no promiscuous mode: frames for other addresses come on "
				"the synthetic path, if the host has any",
				netvsc_vf_name(dev));
		dev->one_mode = want->promiscuous;
		return 0;
	}
	rc = want->promiscuous ? rte_eth_promiscuous_enable(vf) : rte_eth_promiscuous_disable(vf);
	/* One that cannot be told to stop takes more than it must. */
	return rc == -ENOTSUP && !want->promiscuous
		       ? 0
		       : netvsc_vf_refused(dev, "promiscuous mode", rc);
}

/* Multicast frames come on the synthetic path, too (spec/nvsp.md §9): nothing is lost here. */
static int
set_multicast(struct netvsc_vf_dev *dev, struct netvsc_vf_want *want, uint16_t vf)
{
	bool all = want->all_multicast;
	int rc;

	if (!all) {
		rc = rte_eth_dev_set_mc_addr_list(
			vf, want->n_multicast != 0 ? want->multicast : NULL, want->n_multicast);
		all = rc != 0 && want->n_multicast != 0;
	}
	rc = all ? rte_eth_allmulticast_enable(vf) : rte_eth_allmulticast_disable(vf);
	return rc == -ENOTSUP ? 0 : netvsc_vf_refused(dev, "all multicast frames", rc);
}

static int
set_mac(struct netvsc_vf_dev *dev, struct netvsc_vf_want *want, uint16_t vf)
{
	struct rte_ether_addr mac;
	int rc = rte_eth_macaddr_get(vf, &mac);

	if (rc != 0 || rte_is_same_ether_addr(&mac, &want->mac))
		return netvsc_vf_refused(dev, "a question for its MAC address", rc);
	rc = rte_eth_dev_default_mac_addr_set(vf, &want->mac);
	if (rc == 0 || dev->pci)
		return netvsc_vf_refused(dev, "the port's MAC address", rc);
	/* Who is named by the user may have none of its own (rings, sockets). */
	NETVSC_VF_LOG(INFO, dev->name, "VF %s keeps its own MAC address", netvsc_vf_name(dev));
	return 0;
}

static int
set_reta(struct netvsc_vf_dev *dev, const struct netvsc_vf_want *want, uint16_t vf)
{
	struct rte_eth_rss_reta_entry64 reta[NETVSC_VF_RETA_MAX / RTE_ETH_RETA_GROUP_SIZE];
	uint16_t size = dev->info.reta_size, i;

	if (size == 0 || size > NETVSC_VF_RETA_MAX)
		return 0;
	memset(reta, 0, sizeof(reta));
	for (i = 0; i < size; i++) {
		struct rte_eth_rss_reta_entry64 *group = &reta[i / RTE_ETH_RETA_GROUP_SIZE];

		group->mask |= UINT64_C(1) << i % RTE_ETH_RETA_GROUP_SIZE;
		group->reta[i % RTE_ETH_RETA_GROUP_SIZE] = want->reta[i];
	}
	return rte_eth_dev_rss_reta_update(vf, reta, size);
}

/* @param again it runs: key and types, too */
static int
set_rss(struct netvsc_vf_dev *dev, struct netvsc_vf_want *want, uint16_t vf, bool again)
{
	struct rte_eth_rss_conf conf;
	int rc = 0;

	if (want->n_rx <= 1 || dev->info.flow_type_rss_offloads == 0)
		return 0; /* nothing to spread, or no way to say how */
	if (netvsc_vf_rss_types(dev, want) == 0)
		return again ? -EBUSY : 0; /* it is to be configured without */
	conf = netvsc_vf_rss_conf(dev, want);
	if (again)
		rc = rte_eth_dev_rss_hash_update(vf, &conf);
	if (rc != 0)
		return rc;
	rc = set_reta(dev, want, vf);
	return rc == -ENOTSUP ? 0 : netvsc_vf_refused(dev, "the RSS table", rc);
}

static int
set_vlan(struct netvsc_vf_dev *dev, struct netvsc_vf_want *want, uint16_t vf, bool again)
{
	bool any = false, all = true;
	int mask, rc = 0;
	uint16_t q;

	for (q = 0; q < want->n_rx; q++) {
		any |= want->rx[q].strips;
		all &= want->rx[q].strips;
	}
	if (again) {
		mask = rte_eth_dev_get_vlan_offload(vf);
		if (mask < 0)
			return mask;
		mask = any ? mask | RTE_ETH_VLAN_STRIP_OFFLOAD : mask & ~RTE_ETH_VLAN_STRIP_OFFLOAD;
		rc = rte_eth_dev_set_vlan_offload(vf, mask);
	}
	/* Some take tags out and some do not. */
	for (q = 0; rc == 0 && any && !all && q < want->n_rx; q++)
		rc = rte_eth_dev_set_vlan_strip_on_queue(vf, q, want->rx[q].strips);
	return netvsc_vf_refused(dev, "what is to become of VLAN tags", rc);
}

/* Types are a hint: who tells of more, or of none, harms nobody. */
static int
set_ptypes(const struct netvsc_vf_want *want, uint16_t vf, bool again)
{
	if (again || want->ptypes != RTE_PTYPE_ALL_MASK)
		rte_eth_dev_set_ptypes(vf, want->ptypes, NULL, 0);
	return 0;
}

int
netvsc_vf_settings(struct netvsc_vf_dev *dev, struct netvsc_vf_want *want, uint16_t vf,
	uint32_t what, bool again)
{
	int rc = 0;

	if (again && (what & NETVSC_VF_SET_MTU))
		rc = rte_eth_dev_set_mtu(vf, want->mtu);
	if (rc == 0 && (what & NETVSC_VF_SET_MAC))
		rc = set_mac(dev, want, vf);
	if (rc == 0 && (what & NETVSC_VF_SET_VLAN))
		rc = set_vlan(dev, want, vf, again);
	if (rc == 0 && (what & NETVSC_VF_SET_PTYPES))
		rc = set_ptypes(want, vf, again);
	if (rc == 0 && (what & NETVSC_VF_SET_RSS))
		rc = set_rss(dev, want, vf, again);
	if (rc == 0 && (what & NETVSC_VF_SET_PROMISCUOUS))
		rc = set_promiscuous(dev, want, vf);
	if (rc == 0 && (what & (NETVSC_VF_SET_ALLMULTICAST | NETVSC_VF_SET_MULTICAST_LIST)))
		rc = set_multicast(dev, want, vf);
	return rc;
}
