/* SPDX-License-Identifier: BSD-3-Clause */
/* See fake_vf.h: what tests and commands set, and what they ask. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/fake_vf/fake_vf_dev.h"

#define KNOB(name)                                                                                 \
	{                                                                                          \
#name, offsetof(struct fake_vf_knobs, name)                                        \
	}

static const struct {
	const char *name;
	size_t at;
} knob_names[] = {KNOB(queues), KNOB(max_mtu), KNOB(nb_desc), KNOB(any_segs), KNOB(reta), KNOB(key),
	KNOB(rss), KNOB(rx_offloads), KNOB(tx_offloads), KNOB(lsc), KNOB(link), KNOB(start_ms),
	KNOB(stop_ms), KNOB(start_fails), KNOB(stop_hangs), KNOB(refuses), KNOB(loop),
	KNOB(counts_early)};

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
				__ATOMIC_RELEASE);
			return 0;
		}
	return -EINVAL;
}

struct fake_vf *
fake_vf_find(const char *name)
{
	uint16_t id;

	for (id = 0; id < RTE_MAX_ETHPORTS; id++) {
		struct rte_eth_dev *eth = fake_vfs[id];

		if (eth != NULL && strcmp(eth->data->name, name) == 0)
			return vf_of(eth);
	}
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
			fake_vf_link_set(vf->eth);
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
