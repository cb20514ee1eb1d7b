/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the VF is to be like: all that the application has set for the port (pitfall V12), copied at
 * one moment, because calls into the VF's driver last and the port may change, or go, meanwhile.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/net/netvsc/offload.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/tx.h"
#include "drivers/net/netvsc/vf_dev.h"

static void
want_settings(const struct netvsc_port *port, const struct rte_ether_addr *mac,
	struct netvsc_vf_want *want)
{
	const struct rte_eth_dev_data *data = port->eth->data;
	const struct netvsc_config *c = &port->config;
	uint32_t i;

	want->mtu = c->mtu != 0 ? c->mtu : data->mtu;
	want->mac = c->mac_user ? c->mac : *mac;
	want->promiscuous = c->promiscuous;
	want->n_multicast = c->n_multicast;
	/* A list that is longer than what is kept of it: all, as on the synthetic path. */
	want->all_multicast = c->all_multicast || c->n_multicast > NETVSC_MULTICAST_MAX;
	memcpy(want->multicast, c->multicast,
		RTE_MIN(c->n_multicast, NETVSC_MULTICAST_MAX) * sizeof(want->multicast[0]));
	want->ptypes = c->ptypes == NETVSC_RX_PTYPES ? RTE_PTYPE_ALL_MASK : c->ptypes;
	want->rss_hf = c->rss.hf;
	for (i = 0; i < sizeof(want->rss_key); i++)
		want->rss_key[i] = c->rss.key[i % NETVSC_RSS_KEY_LEN];
	netvsc_rss_table(port, want->reta, NETVSC_VF_RETA_MAX);
}

static int
want_queues(const struct netvsc_port *port, struct netvsc_vf_want *want)
{
	const struct rte_eth_dev_data *data = port->eth->data;
	uint16_t q;

	want->n_rx = data->nb_rx_queues;
	want->n_tx = data->nb_tx_queues;
	want->rx_offloads = data->dev_conf.rxmode.offloads;
	want->tx_offloads = data->dev_conf.txmode.offloads;
	want->lro_limit = netvsc_lro_limit(&data->dev_conf.rxmode);
	want->sleeps = data->dev_conf.intr_conf.rxq != 0;
	for (q = 0; q < want->n_rx; q++) {
		const struct netvsc_rxq *rxq = data->rx_queues[q];

		if (rxq == NULL)
			return -ENOTCONN;
		want->rx[q] = (struct netvsc_vf_want_rx){
			.conf = rxq->conf,
			.mp = rxq->mp,
			.nb_desc = rxq->nb_desc,
			.strips = (netvsc_rxq_offloads(rxq) & RTE_ETH_RX_OFFLOAD_VLAN_STRIP) != 0,
		};
	}
	for (q = 0; q < want->n_tx; q++) {
		const struct netvsc_txq *txq = data->tx_queues[q];

		if (txq == NULL)
			return -ENOTCONN;
		want->tx[q] = (struct netvsc_vf_want_tx){
			.conf = txq->conf,
			.nb_desc = txq->nb_desc,
		};
	}
	return 0;
}

int
netvsc_vf_setup_copy(struct netvsc_port *port, struct netvsc_vf_setup *setup)
{
	snprintf(setup->name, sizeof(setup->name), "%s", port->bus->name);
	if (setup->want == NULL)
		setup->want = malloc(sizeof(*setup->want));
	if (setup->dev == NULL || setup->want == NULL)
		return setup->dev == NULL ? -ENODEV : -ENOMEM;
	memset(setup->want, 0, sizeof(*setup->want));
	want_settings(port, &setup->dev->mac, setup->want);
	setup->want->releases = atomic_load(&setup->dev->shared->releases);
	return want_queues(port, setup->want);
}

void
netvsc_vf_setup_free(struct netvsc_vf_setup *setup)
{
	if (setup->dev != NULL)
		netvsc_vf_end(setup->dev);
	setup->dev = NULL;
	free(setup->want);
	setup->want = NULL;
}
