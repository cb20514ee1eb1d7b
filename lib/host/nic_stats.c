/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The counters' names, and the sentences about guests that break the rules: at most one of a kind
 * in ten seconds, so that a guest cannot flood the host's log.
 */
#include <inttypes.h>
#include <stdio.h>

#include "lib/host/nic_internal.h"

#define COMPLAIN_NS UINT64_C(10000000000)

#define NIC(field)                                                                                 \
	{                                                                                          \
#field, offsetof(struct host_nic_stats, field)                                     \
	}
#define PORT(field)                                                                                \
	{                                                                                          \
#field, offsetof(struct host_port_stats, field)                                    \
	}
#define REFUSED(name, kind)                                                                        \
	{                                                                                          \
		"tx_refused_" name, offsetof(struct host_nic_stats, tx_refused) +                  \
					    HOST_REFUSED_##kind * sizeof(uint64_t)                 \
	}

const struct host_counter host_nic_counters[] = {
	NIC(rx_frames),
	NIC(rx_bytes),
	NIC(tx_frames),
	NIC(tx_bytes),
	NIC(rx_packets),
	NIC(tx_packets),
	NIC(rx_dropped_no_section),
	NIC(rx_dropped_ring_full),
	NIC(rx_dropped_filter),
	NIC(rx_dropped_link),
	NIC(rx_dropped_not_ready),
	NIC(rx_dropped_channel),
	NIC(rx_dropped_size),
	NIC(rx_dropped_vf),
	NIC(rx_spoiled),
	NIC(rx_large),
	NIC(rx_segments),
	NIC(tx_dropped_link),
	NIC(tx_dropped_spoof),
	NIC(tx_large),
	NIC(tx_segments),
	NIC(tx_errors),
	REFUSED("state", STATE),
	REFUSED("answer", ANSWER),
	REFUSED("section", SECTION),
	REFUSED("ranges", RANGES),
	REFUSED("pages", PAGES),
	REFUSED("size", SIZE),
	REFUSED("messages", MESSAGES),
	REFUSED("alignment", ALIGNMENT),
	REFUSED("header", HEADER),
	REFUSED("malformed", MALFORMED),
	REFUSED("offload", OFFLOAD),
	REFUSED("lso", LSO),
	REFUSED("checksum", CHECKSUM),
	REFUSED("control", CONTROL),
	REFUSED("knob", KNOB),
	NIC(vf_rx_frames),
	NIC(vf_rx_bytes),
	NIC(vf_tx_frames),
	NIC(vf_tx_bytes),
	NIC(vf_tx_dropped_path),
	NIC(vf_tx_dropped_link),
	NIC(vf_tx_dropped_size),
	NIC(vf_tx_dropped_spoof),
	NIC(path_switches),
	NIC(signals),
	NIC(protocol_errors),
	{NULL, 0},
};

const struct host_counter host_port_counters[] = {
	PORT(rx_frames),
	PORT(rx_bytes),
	PORT(tx_frames),
	PORT(tx_bytes),
	PORT(rx_dropped_size),
	PORT(rx_dropped_full),
	PORT(tx_dropped),
	PORT(tx_dropped_full),
	PORT(tx_dropped_error),
	PORT(tx_dropped_vlan),
	PORT(tx_unclaimed),
	{NULL, 0},
};

/* "N sends refused: " and this; NULL: not the guest's doing. */
static const char *const refusals[HOST_REFUSALS] = {
	[HOST_REFUSED_STATE] = "the NIC is not set up",
	[HOST_REFUSED_ANSWER] = "they ask for no completion, or are cut short",
	[HOST_REFUSED_SECTION] = "not a send section, or more than its bytes",
	[HOST_REFUSED_RANGES] = "more page ranges than a host takes",
	[HOST_REFUSED_PAGES] = "page ranges that make no sense or cannot be read",
	[HOST_REFUSED_SIZE] = "more bytes than the announced transfer size",
	[HOST_REFUSED_MESSAGES] = "more messages than the announced number",
	[HOST_REFUSED_ALIGNMENT] = "messages that are not aligned as announced",
	[HOST_REFUSED_HEADER] = "RNDIS header too long, or split over ranges",
	[HOST_REFUSED_MALFORMED] = "RNDIS message that makes no sense",
	[HOST_REFUSED_OFFLOAD] = "an offload that the guest did not enable",
	[HOST_REFUSED_LSO] = "segmentation of what cannot be segmented, or a tiny MSS",
	[HOST_REFUSED_CHECKSUM] = "checksum of headers that are not there",
	[HOST_REFUSED_CONTROL] = "RNDIS control that makes no sense",
};

void
nic_complain(struct host_nic *nic)
{
	uint64_t now = monotonic_ns(), count;
	struct nic_complaint *c;
	char what[160];
	uint32_t kind;

	for (kind = 0; kind < NIC_COMPLAINTS; kind++) {
		c = &nic->complaints[kind];
		if (!(nic->complaints_due & 1u << kind) ||
			(c->said_ns != 0 && now - c->said_ns < COMPLAIN_NS))
			continue;
		nic->complaints_due &= ~(1u << kind);
		count = kind == NIC_COMPLAINT_SPOOF
				? nic->stats.tx_dropped_spoof + nic->stats.vf_tx_dropped_spoof
				: nic->stats.tx_refused[kind];
		if (kind == NIC_COMPLAINT_SPOOF)
			snprintf(what, sizeof(what),
				"frames of a foreign source MAC dropped: %" PRIu64
				" (spoof=on in --nic forwards them)",
				count - c->said_count);
		else
			snprintf(what, sizeof(what), "sends refused: %" PRIu64 ", %s",
				count - c->said_count, refusals[kind]);
		c->said_ns = now;
		c->said_count = count;
		if (nic->transport.complain != NULL)
			nic->transport.complain(nic->transport.ctx, what);
	}
}

uint64_t
nic_complain_deadline(const struct host_nic *nic)
{
	uint64_t now = monotonic_ns(), when = UINT64_MAX, since;
	uint32_t kind;

	for (kind = 0; kind < NIC_COMPLAINTS; kind++) {
		if (!(nic->complaints_due & 1u << kind))
			continue;
		since = now - nic->complaints[kind].said_ns;
		if (nic->complaints[kind].said_ns == 0 || since >= COMPLAIN_NS)
			return 0;
		when = COMPLAIN_NS - since < when ? COMPLAIN_NS - since : when;
	}
	return when;
}

int
nic_refuse(struct host_nic *nic, enum host_refusal why)
{
	nic->stats.tx_errors++;
	nic->stats.tx_refused[why]++;
	if (refusals[why] != NULL)
		nic->complaints_due |= 1u << why;
	return -1;
}
