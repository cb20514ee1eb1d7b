/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ranges gathered for one transfer-page packet of a channel. Inline, since each received frame
 * comes through here; on the NIC's thread, like all of struct host_nic.
 */
#ifndef HP_HOST_NIC_BATCH_H
#define HP_HOST_NIC_BATCH_H

#include "lib/host/nic_internal.h"

/* Write what a channel has gathered, or count it as lost. */
void nic_batch_flush(struct host_nic *nic, unsigned int channel);

/* The sections from @p first to @p last, a chain, are the next of the packet. */
static inline void
nic_batch_link(struct host_nic *nic, struct nic_channel *ch, uint32_t first, uint32_t last)
{
	if (ch->batch_n == 0) {
		ch->batch_first = first;
		memset(&ch->batch_count, 0, sizeof(ch->batch_count));
	} else {
		nic->sections[ch->batch_last].next = first;
	}
	ch->batch_last = last;
}

/* A range of the next packet. Returns how many there are. */
static inline uint32_t
nic_batch_put(struct host_nic *nic, struct nic_channel *ch, uint32_t section, uint32_t offset,
	uint32_t count)
{
	uint32_t n = ch->batch_n;

	nic_batch_link(nic, ch, section, section);
	ch->batch[n].byte_count = count;
	ch->batch[n].byte_offset = offset;
	ch->batch_n = ++n;
	return n;
}

static inline void
nic_batch_add(struct host_nic *nic, unsigned int channel, uint32_t section, uint32_t offset,
	uint32_t count, uint32_t frame_len, unsigned int kind)
{
	struct nic_channel *ch = &nic->channels[channel];
	uint32_t n = nic_batch_put(nic, ch, section, offset, count);

	ch->batch_count.kind[kind].frames++;
	ch->batch_count.kind[kind].bytes += frame_len;
	if (n >= nic->knobs.batch)
		nic_batch_flush(nic, channel);
}

/* Where the next ranges of the packet go; of @p n wanted ones that many have room. */
static inline struct vmbus_xfer_range *
nic_batch_begin(struct host_nic *nic, unsigned int channel, unsigned int *n)
{
	struct nic_channel *ch = &nic->channels[channel];
	uint32_t left = nic->knobs.batch - ch->batch_n;

	*n = *n < left ? *n : left;
	return &ch->batch[ch->batch_n];
}

/*
 * There are @p n now, of the sections from @p first to @p last, which are a chain: frames to the
 * guest alone, with so many bytes in all.
 */
static inline void
nic_batch_end(struct host_nic *nic, unsigned int channel, uint32_t first, uint32_t last, uint32_t n,
	uint64_t bytes)
{
	struct nic_channel *ch = &nic->channels[channel];

	nic_batch_link(nic, ch, first, last);
	ch->batch_count.kind[0].frames += n;
	ch->batch_count.kind[0].bytes += bytes;
	ch->batch_n += n;
	if (ch->batch_n >= nic->knobs.batch)
		nic_batch_flush(nic, channel);
}

#endif
