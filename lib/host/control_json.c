/* SPDX-License-Identifier: BSD-3-Clause */
/* A NIC's counters and rings in JSON: for the control socket and for hvsim's reports. */
#include "lib/host/control_json.h"

#include <stdio.h>

#include "lib/vmbus/guid.h"

void
control_json_u64(struct json_object *o, const char *key, uint64_t value)
{
	json_object_object_add(o, key, json_object_new_uint64(value));
}

void
control_json_text(struct json_object *o, const char *key, const char *value)
{
	json_object_object_add(o, key, json_object_new_string(value));
}

/* [longest time, frames] of all that are not empty. */
static struct json_object *
histogram(const uint64_t steps[LATENCY_STEPS])
{
	struct json_object *list = json_object_new_array(), *pair;

	for (unsigned int i = 0; i < LATENCY_STEPS; i++) {
		if (steps[i] == 0)
			continue;
		pair = json_object_new_array();
		json_object_array_add(pair, json_object_new_uint64(latency_step_end(i)));
		json_object_array_add(pair, json_object_new_uint64(steps[i]));
		json_object_array_add(list, pair);
	}
	return list;
}

static struct json_object *
latency_stats(const struct latency_summary *latency, const uint64_t steps[LATENCY_STEPS])
{
	struct json_object *o = json_object_new_object();

	control_json_u64(o, "frames", latency->frames);
	control_json_u64(o, "min", latency->min);
	control_json_u64(o, "mean", latency->mean);
	control_json_u64(o, "p50", latency->p50);
	control_json_u64(o, "p99", latency->p99);
	control_json_u64(o, "p99.9", latency->p999);
	control_json_u64(o, "max", latency->max);
	json_object_object_add(o, "histogram", histogram(steps));
	return o;
}

static struct json_object *
port_stats(const struct host_port_stats *port, const uint64_t steps[LATENCY_STEPS])
{
	struct json_object *o = json_object_new_object();
	const struct host_counter *c;

	for (c = host_port_counters; c->name != NULL; c++)
		control_json_u64(o, c->name, host_counter(port, c));
	if (port->verifies) {
		control_json_u64(o, "verified", port->verified);
		control_json_u64(o, "corrupt", port->corrupt);
		control_json_u64(o, "lost", port->lost);
		control_json_u64(o, "duplicate", port->duplicate);
		control_json_u64(o, "reordered", port->reordered);
		control_json_u64(o, "foreign", port->foreign);
	}
	if (port->latency.frames != 0)
		json_object_object_add(o, "latency_ns", latency_stats(&port->latency, steps));
	json_object_object_add(o, "finished", json_object_new_boolean(port->finished));
	return o;
}

struct json_object *
control_json_stats(struct host_nic *nic)
{
	struct json_object *o = json_object_new_object();
	const struct host_nic_config *config = host_nic_config(nic);
	struct host_nic_status status;
	struct host_nic_stats s;
	const struct host_counter *c;
	char text[VMBUS_GUID_LEN + 1];

	host_nic_status(nic, &status);
	s = status.stats;
	vmbus_guid_format(config->instance, text);
	text[VMBUS_GUID_LEN] = '\0';
	control_json_text(o, "guid", text);
	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", config->mac[0],
		config->mac[1], config->mac[2], config->mac[3], config->mac[4], config->mac[5]);
	control_json_text(o, "mac", text);
	control_json_text(o, "port", config->port);
	if (config->vf_port[0] != '\0')
		control_json_text(o, "vf_port", config->vf_port);
	control_json_text(o, "state", status.state);
	json_object_object_add(o, "link_up", json_object_new_boolean(status.link_up));
	json_object_object_add(o, "stalled", json_object_new_boolean(status.stalled));
	control_json_u64(o, "channels", status.channels_open);
	control_json_u64(o, "recv_sections", status.sections);
	control_json_u64(o, "recv_sections_used", status.sections_used);
	json_object_object_add(o, "path_is_vf", json_object_new_boolean(status.path_is_vf));
	json_object_object_add(o, "vf_present", json_object_new_boolean(status.vf_present));
	for (c = host_nic_counters; c->name != NULL; c++)
		control_json_u64(o, c->name, host_counter(&s, c));
	json_object_object_add(o, "port_stats", port_stats(&status.port, status.latency));
	if (config->vf_port[0] != '\0')
		json_object_object_add(
			o, "vf_port_stats", port_stats(&status.vf_port, status.vf_latency));
	return o;
}

static struct json_object *
ring(const struct host_ring_state *r)
{
	struct json_object *o = json_object_new_object();

	control_json_u64(o, "size", r->size);
	control_json_u64(o, "write_index", r->write_index);
	control_json_u64(o, "read_index", r->read_index);
	control_json_u64(o, "interrupt_mask", r->interrupt_mask);
	control_json_u64(o, "pending_send_sz", r->pending_send_sz);
	control_json_u64(o, "feature_bits", r->feature_bits);
	control_json_u64(o, "private_index", r->private_index);
	return o;
}

struct json_object *
control_json_rings(struct host_nic *nic)
{
	struct json_object *list = json_object_new_array();
	unsigned int i;

	for (i = 0; i < host_nic_config(nic)->channels; i++) {
		struct host_channel_state state;
		struct json_object *o;

		if (host_nic_channel_state(nic, i, &state) != 0 || !state.open)
			continue;
		o = json_object_new_object();
		control_json_u64(o, "channel", i);
		json_object_object_add(o, "tx", ring(&state.tx));
		json_object_object_add(o, "rx", ring(&state.rx));
		json_object_array_add(list, o);
	}
	return list;
}
