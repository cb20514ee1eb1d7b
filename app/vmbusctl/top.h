/* SPDX-License-Identifier: BSD-3-Clause */
/** @file vmbusctl top: the live view of a DPDK application by its telemetry. One thread. */
#ifndef HP_VMBUSCTL_TOP_H
#define HP_VMBUSCTL_TOP_H

#include <json-c/json.h>

#include "app/top/model.h"

/** A port of /netvsc/info; what is missing is left out. */
void top_take_info(struct json_object *info, unsigned int port, struct top_nic *nic);
/** A queue of /netvsc/queue: adds its counters, and its rings as gauges. */
void top_take_queue(struct json_object *queue, struct top_nic *nic);
/** /ethdev/stats, which has the frames of both paths: they take the place of the queues'. */
void top_take_ethdev(struct json_object *stats, struct top_nic *nic);

/** "top [OPTION]...", argv[0] being "top". @return exit status */
int ctl_top(int argc, char **argv);

#endif
