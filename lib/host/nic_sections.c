/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Receive sections (spec/nvsp.md §5, §6): how the receive buffer is cut, the packets that they are
 * in, and how they come back from the guest.
 */
#include <stdlib.h>

#include "lib/host/nic_internal.h"

/* Where frames start in a section: behind header and four PPIs, or where OpenVMM puts them. */
#define DATA_AT_SMALL 128u
#define DATA_AT_LARGE 256u
/* Behind a header with all five PPIs; what the knob says below this is not looked at. */
#define DATA_AT_LEAST 124u

int
nic_rx_sections(struct host_nic *nic)
{
	uint32_t frame = nic->mtu_field + OFFLOAD_VLAN_TAG + NIC_SECTION_TAIL, n, i;
	uint32_t align = nic->knobs.section_align;

	nic->section_bytes = nic->config.section_bytes;
	nic->data_offset = nic->knobs.data_offset;
	if (nic->data_offset < DATA_AT_LEAST)
		nic->data_offset =
			nic->section_bytes < DATA_AT_SMALL + frame ? DATA_AT_LARGE : DATA_AT_SMALL;
	if (nic->section_bytes < nic->data_offset + frame)
		nic->section_bytes = (nic->data_offset + frame + align - 1) / align * align;
	n = (uint32_t)(nic->recv.len / nic->section_bytes);
	if (nic->knobs.recv_sections != 0 && n > nic->knobs.recv_sections)
		n = nic->knobs.recv_sections;
	if (n < NIC_CONTROL_SECTIONS + nic->config.channels)
		return -EINVAL;
	nic->sections = calloc(n, sizeof(*nic->sections));
	if (nic->sections == NULL)
		return -ENOMEM;
	/* Only with the sections there: a close of the channel walks them. */
	nic->sections_n = n;
	nic->reserved = NIC_CONTROL_SECTIONS;
	nic->own_n = n - NIC_CONTROL_SECTIONS;
	nic->free_first = NIC_NONE;
	for (i = nic->sections_n; i-- > 0;)
		nic_rx_free_section(nic, i);
	return 0;
}

void
nic_rx_release(struct host_nic *nic)
{
	unsigned int i;

	free(nic->sections);
	nic->sections = NULL;
	nic->sections_n = nic->own_n = nic->free_n = nic->free_control_n = 0;
	nic_lanes_release(nic);
	for (i = 0; i < HOST_MAX_CHANNELS; i++)
		nic->channels[i].batch_n = 0;
}

void
nic_rx_free_section(struct host_nic *nic, uint32_t section)
{
	if (section < nic->reserved) {
		nic->free_control[nic->free_control_n++] = section;
		return;
	}
	nic->sections[section].next = nic->free_first;
	nic->free_first = section;
	nic->free_n++;
}

uint32_t
nic_rx_control_section(struct host_nic *nic)
{
	return nic->free_control_n == 0 ? NIC_NONE : nic->free_control[--nic->free_control_n];
}

void
nic_rx_free_chain(struct host_nic *nic, uint32_t first, uint32_t last, uint32_t n)
{
	if (first < nic->reserved) {
		nic_rx_free_section(nic, first);
		return;
	}
	nic->sections[last].next = nic->free_first;
	nic->free_first = first;
	nic->free_n += n;
}

/* A packet that is with the guest no longer is. */
static void
packet_back(struct host_nic *nic, uint32_t first)
{
	struct nic_section *s = &nic->sections[first];

	s->outstanding = false;
	if (first >= nic->reserved)
		nic->channels[s->channel].outstanding -= s->n;
	nic_rx_free_chain(nic, first, s->last, s->n);
}

const char *
nic_rx_ack(
	struct host_nic *nic, unsigned int channel, uint64_t tid, const void *payload, uint32_t len)
{
	struct nic_section *s;
	uint32_t type;

	if (channel == 0 && (tid == NIC_TID_VF || tid == NIC_TID_SWITCH))
		return NULL; /* answer to a notice: optional, may be empty */
	if (nic->sections == NULL)
		return NULL; /* revoked: drain */
	if (len < 8)
		return "receive completion without a message";
	memcpy(&type, payload, sizeof(type));
	if (type != NVSP_TYPE_RNDIS_COMPLETE)
		return "receive completion of another type";
	tid -= nic->knobs.tid_base;
	/* What another lane has sent is looked at by that lane alone. */
	if (tid >= nic->sections_n || nic->sections[tid].lane != nic->lanes.number)
		return "receive completion with an unknown transaction id";
	s = &nic->sections[tid];
	if (!s->outstanding)
		return "receive completion of a packet that is not outstanding";
	if (s->channel != channel)
		return "receive completion on another channel";
	packet_back(nic, (uint32_t)tid);
	return NULL;
}

void
nic_rx_reclaim(struct host_nic *nic, unsigned int channel)
{
	uint32_t i;

	for (i = 0; i < nic->sections_n; i++)
		if (nic->sections[i].outstanding && nic->sections[i].channel == channel)
			packet_back(nic, i);
}

int
nic_rx_write(struct host_nic *nic, unsigned int channel, uint32_t channel_type, uint32_t first,
	uint32_t last, const struct vmbus_xfer_range *ranges, uint32_t n, uint32_t reserve)
{
	struct {
		struct vmbus_packet desc;
		struct vmbus_xfer_header xfer;
		uint8_t rest[NIC_BATCH_MAX * sizeof(struct vmbus_xfer_range) +
			     sizeof(struct nvsp_message) + 8];
	} pkt;
	uint32_t ranges_len = n * (uint32_t)sizeof(*ranges);
	uint32_t header = (uint32_t)(sizeof(pkt.desc) + sizeof(pkt.xfer)) + ranges_len;
	struct nic_section *s = &nic->sections[first];
	struct nvsp_message msg;
	int rc;

	vmbus_packet_init(&pkt.desc, VMBUS_PACKET_XFER_PAGES, header, header + nic->message_size,
		VMBUS_FLAG_COMPLETION, first + nic->knobs.tid_base);
	pkt.xfer = (struct vmbus_xfer_header){.set_id = nic->recv_id, .range_count = n};
	if (nic->lie != NIC_DEFECT_ALL)
		nic_malform_packet(nic, &pkt.xfer);
	memcpy(pkt.rest, ranges, ranges_len);
	nvsp_build_rndis(&msg, channel_type, NVSP_SECTION_NONE, 0);
	memcpy(pkt.rest + ranges_len, &msg, sizeof(msg));
	rc = vmbus_ring_write(
		&nic->channels[channel].out, &pkt, header + nic->message_size, reserve);
	if (rc != 0)
		return rc;
	if (nic->tap != NULL)
		nic_trace_out(nic, channel, &pkt, header + nic->message_size);
	s->outstanding = true;
	s->channel = (uint8_t)channel;
	s->last = last;
	s->n = (uint16_t)n;
	if (first >= nic->reserved)
		nic->channels[channel].outstanding += n;
	nic->stats.rx_packets++;
	return 0;
}
