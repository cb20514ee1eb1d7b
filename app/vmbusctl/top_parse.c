/* SPDX-License-Identifier: BSD-3-Clause */
/* Telemetry of the driver as samples of the live view. */
#include "app/vmbusctl/top.h"

#include <stdio.h>
#include <string.h>

#include "app/top/members.h"

void
top_take_info(struct json_object *info, unsigned int port, struct top_nic *nic)
{
	static const struct {
		const char *key, *name;
	} notes[] = {{"recoveries", "recoveries"}, {"recoveries_failed", "recoveries failed"},
		{"breaks", "breaks of the protocol"}, {"vf_changes", "changes of the VF"}};

	snprintf(nic->name, sizeof(nic->name), "%u", port);
	snprintf(nic->device, sizeof(nic->device), "%s", member_text(info, "device"));
	snprintf(nic->state, sizeof(nic->state), "%s", member_text(info, "state"));
	snprintf(nic->path, sizeof(nic->path), "%s",
		strcmp(member_text(info, "path"), "vf") == 0 ? "VF" : member_text(info, "path"));
	if (json_object_object_get_ex(info, "link_up", NULL))
		snprintf(nic->link, sizeof(nic->link), "%s",
			member_number(info, "link_up") != 0 ? "up" : "down");
	snprintf(nic->about, sizeof(nic->about), "%s NVSP %s MTU %u %s",
		member_text(info, "backend"), member_text(info, "nvsp_version"),
		(unsigned int)member_number(info, "mtu"), member_text(info, "name"));
	/* Where the host offers one. */
	if (member_number(info, "vf_associated") != 0 &&
		member_text(info, "vf_unused_because")[0] != '\0')
		snprintf(nic->why, sizeof(nic->why), "VF not used: %s",
			member_text(info, "vf_unused_because"));
	nic->gone = strcmp(nic->state, "gone") == 0;
	for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++)
		top_counter_add(nic->notes, &nic->n_notes, 8, notes[i].name,
			member_number(info, notes[i].key));
	if (member_number(info, "recv_sections") != 0)
		top_gauge_add(nic, "recv sect. lent", member_number(info, "recv_sections_lent"),
			member_number(info, "recv_sections"));
	if (member_number(info, "send_sections") != 0)
		top_gauge_add(nic, "send sections", member_number(info, "send_sections_used"),
			member_number(info, "send_sections"));
}

static void
add_drop(struct top_nic *nic, const char *name, uint64_t value)
{
	for (unsigned int i = 0; i < nic->n_drops; i++)
		if (strcmp(nic->drops[i].name, name) == 0) {
			nic->drops[i].value += value;
			return;
		}
	top_counter_add(nic->drops, &nic->n_drops, TOP_COUNTERS, name, value);
}

void
top_take_queue(struct json_object *queue, struct top_nic *nic)
{
	static const char *const drops[] = {"rx_no_mbuf", "rx_too_long", "rx_malformed",
		"rx_dropped_unpolled", "rx_dropped_stopped", "tx_refused"};
	uint64_t errors = member_number(queue, "tx_errors"),
		 refused = member_number(queue, "tx_refused");
	unsigned int q = (unsigned int)member_number(queue, "queue");
	char name[32];

	nic->rx_frames += member_number(queue, "rx_frames");
	nic->rx_bytes += member_number(queue, "rx_bytes");
	nic->tx_frames += member_number(queue, "tx_frames");
	nic->tx_bytes += member_number(queue, "tx_bytes");
	for (size_t i = 0; i < sizeof(drops) / sizeof(drops[0]); i++)
		add_drop(nic, drops[i], member_number(queue, drops[i]));
	/* What the host refuses is an error, too: here are the others. */
	add_drop(nic, "tx_errors", errors > refused ? errors - refused : 0);
	/* Without rings the channel is closed, or a control operation is at it. */
	if (member_number(queue, "rx_ring_bytes") == 0)
		return;
	snprintf(name, sizeof(name), "q %u rx ring", q);
	top_gauge_add(nic, name, member_number(queue, "rx_ring_used"),
		member_number(queue, "rx_ring_bytes"));
	snprintf(name, sizeof(name), "q %u tx ring", q);
	top_gauge_add(nic, name, member_number(queue, "tx_ring_used"),
		member_number(queue, "tx_ring_bytes"));
}

void
top_take_ethdev(struct json_object *stats, struct top_nic *nic)
{
	if (!json_object_object_get_ex(stats, "ipackets", NULL))
		return;
	nic->rx_frames = member_number(stats, "ipackets");
	nic->rx_bytes = member_number(stats, "ibytes");
	nic->tx_frames = member_number(stats, "opackets");
	nic->tx_bytes = member_number(stats, "obytes");
}
