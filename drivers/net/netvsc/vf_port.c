/* SPDX-License-Identifier: BSD-3-Clause */
/* See vf_port.h: no VF is ever found yet. */
#include <errno.h>
#include <stdio.h>

#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/vf_port.h"

int
netvsc_vf_setup_copy(struct netvsc_port *port, struct netvsc_vf_setup *setup)
{
	snprintf(setup->name, sizeof(setup->name), "%s", port->eth->data->name);
	return 0;
}

void
netvsc_vf_setup_free(struct netvsc_vf_setup *setup)
{
}

int
netvsc_vf_own(struct netvsc_vf_setup *setup, uint16_t vf)
{
	return -ENOTSUP;
}

void
netvsc_vf_disown(struct netvsc_vf_setup *setup, uint16_t vf)
{
}

int
netvsc_vf_start(struct netvsc_vf_setup *setup, uint16_t vf)
{
	return -ENOTSUP;
}

void
netvsc_vf_stop(struct netvsc_vf_setup *setup, uint16_t vf)
{
}

int
netvsc_vf_replay(struct netvsc_vf_setup *setup, uint16_t vf, uint32_t what)
{
	return -ENOTSUP;
}

bool
netvsc_vf_link(struct netvsc_vf_setup *setup, uint16_t vf)
{
	return false;
}

int
netvsc_vf_find_start(struct netvsc_port *port)
{
	return 0;
}

void
netvsc_vf_find_stop(struct netvsc_port *port)
{
}

void
netvsc_vf_find_again(struct netvsc_port *port)
{
}

void
netvsc_vf_limit_info(struct netvsc_port *port, struct rte_eth_dev_info *info)
{
}

void
netvsc_vf_stats_add(struct netvsc_port *port, struct rte_eth_stats *stats)
{
}
