/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The VF of a port as telemetry shows it. Any thread of the primary; the port does not go
 * meanwhile.
 */
#ifndef HP_NETVSC_VF_REASON_H
#define HP_NETVSC_VF_REASON_H

#include "drivers/net/netvsc/vf.h"
#include "drivers/net/netvsc/vf_dev.h"

struct rte_tel_data;

struct netvsc_vf_show {
	struct netvsc_vf_status status;
	char name[RTE_ETH_NAME_MAX_LEN]; /**< of its ethdev, "": none */
	char device[NETVSC_VF_NAME_MAX]; /**< that this is on */
	char reason[NETVSC_VF_WHY_MAX];	 /**< why no frames go there, "": they do */
};

void netvsc_vf_show_take(const struct netvsc_port *port, struct netvsc_vf_show *show);
/** Into the dictionary of an answer. */
void netvsc_vf_show_add(const struct netvsc_vf_show *show, struct rte_tel_data *d);

#endif
