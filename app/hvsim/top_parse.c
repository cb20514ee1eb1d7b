/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers of the control socket as samples of the live view. */
#include <stdio.h>
#include <string.h>

#include "app/hvsim/top.h"
#include "app/top/members.h"

static bool
truth(struct json_object *o, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(o, key, &value) && json_object_get_boolean(value);
}

/* Counters of lost frames and refused sends, by their names; sums of others are left out. */
static void
take_drops(struct json_object *o, const char *prefix, struct top_nic *nic)
{
	char name[64];

	if (!json_object_is_type(o, json_type_object))
		return;
	json_object_object_foreach(o, key, value)
	{
		if (!json_object_is_type(value, json_type_int) ||
			(strstr(key, "_dropped_") == NULL && strstr(key, "_refused_") == NULL))
			continue;
		snprintf(name, sizeof(name), "%s%s", prefix, key);
		top_counter_add(nic->drops, &nic->n_drops, TOP_COUNTERS, name,
			json_object_get_uint64(value));
	}
}

static void
take_nic(struct json_object *o, unsigned int at, struct top_nic *nic)
{
	struct json_object *port;
	const char *vf = member_text(o, "vf_port");

	snprintf(nic->name, sizeof(nic->name), "%u", at);
	snprintf(nic->device, sizeof(nic->device), "%s", member_text(o, "guid"));
	snprintf(nic->state, sizeof(nic->state), "%s", member_text(o, "state"));
	snprintf(nic->path, sizeof(nic->path), "%s", truth(o, "path_is_vf") ? "VF" : "synthetic");
	/* Hosts before this view did not say. */
	if (json_object_object_get_ex(o, "link_up", NULL))
		snprintf(nic->link, sizeof(nic->link), "%s", truth(o, "link_up") ? "up" : "down");
	snprintf(nic->about, sizeof(nic->about), "%s port=%s%s%s", member_text(o, "mac"),
		member_text(o, "port"), vf[0] != '\0' ? " vf-port=" : "", vf);
	nic->gone = truth(o, "rescinded");
	nic->stalled = truth(o, "stalled");
	nic->rx_frames = member_number(o, "rx_frames") + member_number(o, "vf_rx_frames");
	nic->rx_bytes = member_number(o, "rx_bytes") + member_number(o, "vf_rx_bytes");
	nic->tx_frames = member_number(o, "tx_frames") + member_number(o, "vf_tx_frames");
	nic->tx_bytes = member_number(o, "tx_bytes") + member_number(o, "vf_tx_bytes");
	take_drops(o, "", nic);
	if (json_object_object_get_ex(o, "port_stats", &port)) {
		take_drops(port, "port_", nic);
		if (json_object_object_get_ex(port, "lost", NULL)) {
			top_counter_add(nic->drops, &nic->n_drops, TOP_COUNTERS, "port_corrupt",
				member_number(port, "corrupt"));
		}
	}
	if (json_object_object_get_ex(o, "vf_port_stats", &port))
		take_drops(port, "vf_port_", nic);
	top_counter_add(nic->notes, &nic->n_notes, 8, "protocol errors",
		member_number(o, "protocol_errors"));
	if (member_number(o, "recv_sections") != 0)
		top_gauge_add(nic, "recv sections", member_number(o, "recv_sections_used"),
			member_number(o, "recv_sections"));
}

unsigned int
top_parse_stats(struct json_object *answer, struct top_sample *sample)
{
	struct json_object *list;

	if (!json_object_object_get_ex(answer, "nics", &list) ||
		!json_object_is_type(list, json_type_array))
		return 0;
	for (size_t i = 0; i < json_object_array_length(list) && i < TOP_NICS; i++) {
		struct json_object *o = json_object_array_get_idx(list, i);

		if (json_object_is_type(o, json_type_object))
			take_nic(o, (unsigned int)i, &sample->nic[sample->n++]);
	}
	return sample->n;
}

/* Bytes between the indices; the guest writes one of them, so they may be anything. */
static void
take_ring(struct json_object *channel, const char *key, const char *what, uint64_t number_of,
	struct top_nic *nic)
{
	struct json_object *o;
	uint64_t size, w, r;
	char name[32];

	if (!json_object_object_get_ex(channel, key, &o))
		return;
	size = member_number(o, "size");
	w = member_number(o, "write_index");
	r = member_number(o, "read_index");
	if (size == 0 || w >= size || r >= size)
		return;
	snprintf(name, sizeof(name), "ch %u %s", (unsigned int)number_of, what);
	top_gauge_add(nic, name, w >= r ? w - r : size - r + w, size);
}

void
top_parse_rings(struct json_object *answer, struct top_nic *nic)
{
	struct json_object *list;

	if (!json_object_object_get_ex(answer, "rings", &list) ||
		!json_object_is_type(list, json_type_array))
		return;
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);

		take_ring(o, "rx", "to guest", member_number(o, "channel"), nic);
		take_ring(o, "tx", "from guest", member_number(o, "channel"), nic);
	}
}
