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

/* A range of the next packet. Returns how many there are. */
static inline uint32_t
nic_batch_put(struct host_nic *nic, struct nic_channel *ch, uint32_t section, uint32_t offset,
	uint32_t count)
{
	uint32_t n = ch->batch_n;

	if (n == 0) {
		ch->batch_first = section;
		memset(&ch->batch_count, 0, sizeof(ch->batch_count));
	} else {
		nic->sections[ch->batch_last].next = section;
	}
	ch->batch_last = section;
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

#endif
