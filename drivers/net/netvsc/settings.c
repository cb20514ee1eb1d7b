/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the application sets while the port runs and the host is told: which frames come (packet
 * filter, multicast list, link down) and the MAC address (spec/rndis.md §5.1, §5.2).
 */
#include <errno.h>
#include <string.h>

#include "drivers/net/netvsc/attach.h"
#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/control.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"

/* ---- packet filter ---- */

/* One function decides from all flags (pitfall N14). */
static uint32_t
filter_with(const struct netvsc_port *port, bool promiscuous, bool all_multicast)
{
	if (atomic_load(&port->state) & NETVSC_STATE_LINK_DOWN)
		return 0;
	if (promiscuous)
		return RNDIS_FILTER_PROMISCUOUS;
	/* A host keeps no list of ours (spec/rndis.md §5): who wants some gets all. */
	return RNDIS_FILTER_DIRECTED | RNDIS_FILTER_BROADCAST |
	       (all_multicast || port->config.n_multicast != 0 ? RNDIS_FILTER_ALL_MULTICAST : 0);
}

uint32_t
netvsc_filter_of(const struct netvsc_port *port)
{
	const struct rte_eth_dev_data *data = port->data;

	return filter_with(port, data->promiscuous, data->all_multicast);
}

/* Within an operation. */
static int
port_refilter(struct netvsc_port *port, uint32_t filter)
{
	int rc = 0;

	if (port->data->dev_started && port->session.attached && filter != port->session.filter)
		rc = netvsc_set_filter(port, filter);
	if (rc != 0)
		NETVSC_LOG(ERR, port, "the host did not take packet filter %#x: %s", filter,
			strerror(-rc));
	return rc;
}

/* ethdev stores the new flag before or after the call by version: say which one is meant. */
static int
port_refilter_with(struct rte_eth_dev *eth, bool promiscuous, bool all_multicast)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	struct hpbus_op op;
	int rc;

	if (netvsc_control_begin(port, &op, &netvsc_op_setting) != 0)
		return -EBUSY;
	rc = port_refilter(port, filter_with(port, promiscuous, all_multicast));
	if (rc == 0) {
		port->config.promiscuous = promiscuous;
		port->config.all_multicast = all_multicast;
	}
	netvsc_control_end(port, &op);
	netvsc_vf_changed(port, NETVSC_VF_SET_PROMISCUOUS | NETVSC_VF_SET_ALLMULTICAST);
	return rc;
}

int
netvsc_promiscuous_enable(struct rte_eth_dev *eth)
{
	return port_refilter_with(eth, true, eth->data->all_multicast);
}

int
netvsc_promiscuous_disable(struct rte_eth_dev *eth)
{
	return port_refilter_with(eth, false, eth->data->all_multicast);
}

int
netvsc_allmulticast_enable(struct rte_eth_dev *eth)
{
	return port_refilter_with(eth, eth->data->promiscuous, true);
}

int
netvsc_allmulticast_disable(struct rte_eth_dev *eth)
{
	return port_refilter_with(eth, eth->data->promiscuous, false);
}

int
netvsc_set_mc_addr_list(struct rte_eth_dev *eth, struct rte_ether_addr *list, uint32_t n)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	uint32_t i, before = port->config.n_multicast;
	struct hpbus_op op;
	int rc;

	if (list == NULL && n != 0) {
		NETVSC_LOG(ERR, port, "multicast list: %u addresses, but there is no list", n);
		return -EINVAL;
	}
	for (i = 0; i < n; i++)
		if (!rte_is_multicast_ether_addr(&list[i])) {
			NETVSC_LOG(ERR, port,
				"multicast list: " RTE_ETHER_ADDR_PRT_FMT
				" is no multicast address",
				RTE_ETHER_ADDR_BYTES(&list[i]));
			return -EINVAL;
		}
	if (netvsc_control_begin(port, &op, &netvsc_op_setting) != 0)
		return -EBUSY;
	port->config.n_multicast = n;
	rc = port_refilter(port, netvsc_filter_of(port));
	if (rc == 0 && n != 0)
		memcpy(port->config.multicast, list,
			RTE_MIN(n, NETVSC_MULTICAST_MAX) * sizeof(*list));
	else if (rc != 0)
		port->config.n_multicast = before;
	netvsc_control_end(port, &op);
	netvsc_vf_changed(port, NETVSC_VF_SET_MULTICAST_LIST);
	return rc;
}

/* ---- link ---- */

/*
 * The host knows no such thing as a link that its guest takes down: nothing is received (filter 0),
 * nothing is sent (bursts look at the state), and the link is told to be down.
 */
static int
port_set_link(struct rte_eth_dev *eth, bool down)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	struct hpbus_op op;
	int rc = 0;

	if (netvsc_control_begin(port, &op, &netvsc_op_setting) != 0)
		return -EBUSY;
	/* A port that is stopped has no link, and one that starts has. */
	if (eth->data->dev_started &&
		down != ((atomic_load(&port->state) & NETVSC_STATE_LINK_DOWN) != 0)) {
		if (down)
			netvsc_vf_leave(port, false);
		atomic_fetch_xor(&port->state, NETVSC_STATE_LINK_DOWN);
		rc = port_refilter(port, netvsc_filter_of(port));
		if (rc != 0)
			atomic_fetch_xor(&port->state, NETVSC_STATE_LINK_DOWN);
		else if (down)
			/* What came before is not received when the link comes up again. */
			netvsc_rx_each_channel(port, netvsc_rx_drain);
		netvsc_vf_join(port);
		netvsc_intr_wake(port); /* who was told not to sleep, or sleeps */
		netvsc_event(port, NETVSC_EVENT_LINK);
	}
	netvsc_control_end(port, &op);
	return rc;
}

int
netvsc_set_link_up(struct rte_eth_dev *eth)
{
	return port_set_link(eth, false);
}

int
netvsc_set_link_down(struct rte_eth_dev *eth)
{
	return port_set_link(eth, true);
}

/* ---- MAC address ---- */

int
netvsc_mac_addr_set(struct rte_eth_dev *eth, struct rte_ether_addr *mac)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	struct hpbus_op op;
	int rc = 0;

	if (netvsc_control_begin(port, &op, &netvsc_op_setting) != 0)
		return -EBUSY;
	/* ethdev sets the one there is at every start. */
	if (!rte_is_same_ether_addr(mac, &port->session.mac)) {
		rc = netvsc_set_mac(port, mac);
		if (rc == 0) {
			port->config.mac = *mac;
			port->config.mac_user = true;
		}
	}
	if (rc == -EIO)
		NETVSC_LOG(ERR, port,
			"the host refused the new MAC address; does the virtual "
			"switch allow MAC spoofing?");
	else if (rc != 0)
		NETVSC_LOG(ERR, port, "cannot set the MAC address: %s%s", strerror(-rc),
			rc == -ENOTSUP	  ? "; this host has no way to"
			: rc == -ENODEV	  ? "; the device is gone, close the port"
			: rc == -ENOTCONN ? "; reset the port (rte_eth_dev_reset)"
					  : "");
	netvsc_control_end(port, &op);
	netvsc_vf_changed(port, NETVSC_VF_SET_MAC);
	return rc;
}
