/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From frames in receive sections to RNDIS messages, ranges and transfer-page packets
 * (spec/nvsp.md §6, spec/rndis.md §4). What a message says was decided in nic_rx.c.
 */
#include "lib/host/nic_batch.h"

void
nic_batch_flush(struct host_nic *nic, unsigned int channel)
{
	struct nic_channel *ch = &nic->channels[channel];
	const struct nic_batch_count *count = &ch->batch_count;
	uint32_t n = ch->batch_n, kind;
	uint64_t frames;
	int rc = -EIO;

	if (n == 0)
		return;
	ch->batch_n = 0;
	if (ch->open && !ch->dead)
		rc = nic_rx_write(nic, channel, NVSP_CHANNEL_DATA, ch->batch_first, ch->batch_last,
			ch->batch, n, NIC_RX_RESERVE);
	frames = count->kind[0].frames + count->kind[1].frames + count->kind[2].frames;
	if (rc != 0) {
		*(rc == -EAGAIN ? &nic->stats.rx_dropped_ring_full
				: &nic->stats.rx_dropped_channel) +=
			frames - count->large + count->segments;
		nic_rx_free_chain(nic, ch->batch_first, ch->batch_last, n);
		return;
	}
	nic->stats.rx_frames += frames;
	nic->stats.rx_large += count->large;
	nic->stats.rx_segments += count->segments;
	for (kind = 0; kind < 3; kind++) {
		nic->stats.rx_bytes += count->kind[kind].bytes;
		nic->oid_stats.rcv[kind].frames += count->kind[kind].frames;
		nic->oid_stats.rcv[kind].bytes += count->kind[kind].bytes;
	}
}

/* Write the message of a frame at its place in @p section. Returns the bytes of its range. */
static uint32_t
rx_message(struct host_nic *nic, uint32_t section, const struct rndis_packet_info *info)
{
	uint32_t count = info->data_abs + info->data_length;
	struct rndis_packet_builder b;

	rndis_packet_begin(&b, nic->recv.base + (size_t)section * nic->section_bytes);
	if (info->present & RNDIS_HAS_VLAN)
		rndis_packet_add(&b, RNDIS_PPI_VLAN, rndis_vlan_from_tci(info->vlan_tci));
	if (info->present & RNDIS_HAS_CSUM)
		rndis_packet_add(&b, RNDIS_PPI_CHECKSUM, info->csum);
	if (info->present & RNDIS_HAS_HASH_VALUE)
		rndis_packet_add(&b, RNDIS_PPI_HASH_VALUE, info->hash_value);
	if (info->present & RNDIS_HAS_HASH_INFO)
		rndis_packet_add(&b, RNDIS_PPI_HASH_INFO, info->hash_info);
	if (info->present & RNDIS_HAS_PACKET_ID)
		rndis_packet_add(
			&b, RNDIS_PPI_PACKET_ID, rndis_packet_id(info->rsc_flags, info->rsc_id));
	if (nic->knobs.range_slot)
		count = nic->section_bytes;
	rndis_packet_end_at(&b, info->data_abs, info->data_length, count);
	return count;
}

/* Is it this frame's turn to be broken on purpose? */
static bool
rx_spoils(struct host_nic *nic)
{
	return nic->knobs.malformed_rx_pct != 0 &&
	       nic_percent(&nic->malform_acc, nic->knobs.malformed_rx_pct);
}

void
nic_rx_frame(struct host_nic *nic, unsigned int channel, uint32_t section,
	const struct rndis_packet_info *info, unsigned int kind)
{
	struct vmbus_xfer_range range = {
		.byte_count = rx_message(nic, section, info),
		.byte_offset = section * nic->section_bytes,
	};
	enum nic_defect lie = NIC_DEFECT_ALL;

	if (rx_spoils(nic))
		lie = nic_malform(nic, &range);
	/* A packet that lies takes no other frame along. */
	if (lie != NIC_DEFECT_ALL) {
		nic_batch_flush(nic, channel);
		nic->lie = lie;
	}
	nic_batch_add(nic, channel, section, range.byte_offset, range.byte_count, info->data_length,
		kind);
	if (lie != NIC_DEFECT_ALL) {
		nic_batch_flush(nic, channel);
		nic->lie = NIC_DEFECT_ALL;
	}
}

void
nic_rx_large_frame(struct host_nic *nic, unsigned int channel, const struct nic_piece *pieces,
	uint32_t n, uint32_t segments, const struct rndis_packet_info *info, unsigned int kind)
{
	struct nic_channel *ch = &nic->channels[channel];
	struct rndis_packet_info part = *info;
	enum nic_defect lie = NIC_DEFECT_ALL;
	bool spoils = rx_spoils(nic);
	uint32_t i;

	/* All ranges are in one packet, whatever the knob says of others; one that may lie has no
	 * others. */
	if (spoils || n > NIC_BATCH_MAX - ch->batch_n)
		nic_batch_flush(nic, channel);
	part.rsc_id = n > 1 ? ++ch->rsc_id : 0;
	for (i = 0; i < n; i++) {
		struct vmbus_xfer_range range;

		part.data_abs = pieces[i].data_at;
		part.data_length = pieces[i].len;
		part.rsc_flags = RNDIS_RSC_MULTI | (i == 0 ? RNDIS_RSC_FIRST : 0) |
				 (i == n - 1 ? RNDIS_RSC_LAST : 0);
		part.present = (i == 0 ? info->present : 0) | (n > 1 ? RNDIS_HAS_PACKET_ID : 0);
		range.byte_offset = pieces[i].section * nic->section_bytes;
		range.byte_count = rx_message(nic, pieces[i].section, &part);
		/* One of its ranges, another one each time. */
		if (spoils && i == nic->stats.rx_spoiled % n) {
			lie = nic_malform(nic, &range);
			spoils = false;
		}
		nic_batch_put(nic, ch, pieces[i].section, range.byte_offset, range.byte_count);
		ch->batch_count.kind[kind].bytes += pieces[i].len;
	}
	ch->batch_count.kind[kind].frames++;
	ch->batch_count.large++;
	ch->batch_count.segments += segments;
	nic->lie = lie;
	if (lie != NIC_DEFECT_ALL || ch->batch_n >= nic->knobs.batch)
		nic_batch_flush(nic, channel);
	nic->lie = NIC_DEFECT_ALL;
}
