/* SPDX-License-Identifier: BSD-3-Clause */
/** @file What there is to know of a NIC, in JSON. Threads as of what is read. */
#ifndef HP_HOST_CONTROL_JSON_H
#define HP_HOST_CONTROL_JSON_H

#include <json-c/json.h>

#include "lib/host/nic.h"

/** Give an object a member. */
void control_json_u64(struct json_object *o, const char *key, uint64_t value);
void control_json_text(struct json_object *o, const char *key, const char *value);
/** Counters and state as published last (host_nic_status()): any thread. */
struct json_object *control_json_stats(struct host_nic *nic);
/** Indices and masks of all open channels; the NIC's lock is held. */
struct json_object *control_json_rings(struct host_nic *nic);

#endif
