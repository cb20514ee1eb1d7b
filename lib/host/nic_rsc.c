/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Receive segment coalescing (spec/rndis.md §4.3): TCP segments of one flow that follow each other
 * on a channel within a poll become one frame, as long as the largest send is (knob rsc_max). Short
 * ones are copied into the section of the one before; what does not fit there stays where the port
 * put it, and the frame is a chain of ranges. Only what was verified is coalesced, because nobody
 * can verify the result: its header says how long it is, but not the checksums.
 */
#include "lib/host/nic_internal.h"

#define ETHER_LEN 14u
#define TCP	  6u
#define TCP_PSH	  0x08u
#define TCP_ACK	  0x10u

static uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void
put16(uint8_t *p, uint32_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

/* A frame of the port that may be part of a larger one. */
struct segment {
	uint32_t section, header, payload;
	const struct rndis_packet_info *info;
	const struct offload_headers *at;
	const uint8_t *head;
};

/* Nothing but data: no options of IP, no flags that the stack must see at their place. */
static bool
is_plain_data(const struct host_nic *nic, struct segment *s)
{
	const struct offload_headers *at = s->at;
	uint32_t good = RNDIS_RX_CSUM_TCP_OK, tcp;

	if (at->proto != TCP || at->l3 != ETHER_LEN ||
		!(nic->offloads_on & (at->ip == 4 ? NDIS_CAN_RSC4 : NDIS_CAN_RSC6)))
		return false;
	if (at->ip == 4) {
		good |= RNDIS_RX_CSUM_IP_OK;
		if (s->head[at->l3] != 0x45)
			return false;
	}
	if (!(s->info->present & RNDIS_HAS_CSUM) || (s->info->csum & good) != good)
		return false;
	tcp = (uint32_t)(s->head[at->l4 + 12] >> 4) * 4;
	if (tcp < 20 || tcp >= at->l4_len || (s->head[at->l4 + 13] & ~TCP_PSH) != TCP_ACK)
		return false;
	s->header = at->l4 + tcp;
	s->payload = at->l4_len - tcp;
	return true;
}

/* Do both frames have the same headers but for lengths, ids, numbers, window and checksums? */
static bool
same_flow(const struct nic_rsc *rsc, const struct segment *s)
{
	const uint8_t *a = rsc->head, *b = s->head;
	uint32_t l3 = rsc->l3, l4 = rsc->l4;

	if (s->at->ip != rsc->ip || s->header != rsc->header ||
		((s->info->present ^ rsc->first.present) & RNDIS_HAS_VLAN) != 0 ||
		(s->info->present & RNDIS_HAS_VLAN && s->info->vlan_tci != rsc->first.vlan_tci) ||
		memcmp(a, b, l3) != 0)
		return false;
	if (rsc->ip == 4
			? memcmp(a + l3, b + l3, 2) != 0 ||
				  memcmp(a + l3 + 6, b + l3 + 6, 4) != 0 ||
				  memcmp(a + l3 + 12, b + l3 + 12, 8) != 0
			: memcmp(a + l3, b + l3, 4) != 0 || memcmp(a + l3 + 6, b + l3 + 6, 34) != 0)
		return false;
	return memcmp(a + l4, b + l4, 4) == 0 && a[l4 + 12] == b[l4 + 12] &&
	       memcmp(a + l4 + 18, b + l4 + 18, rsc->header - l4 - 18) == 0;
}

/* Is it the next one, and is there room? */
static bool
follows(const struct host_nic *nic, const struct nic_rsc *rsc, const struct segment *s)
{
	const uint8_t *tcp = s->head + rsc->l4;

	return rsc->n != 0 && same_flow(rsc, s) && get32(tcp + 4) == rsc->next_seq &&
	       (int32_t)(get32(tcp + 8) - rsc->ack) >= 0 &&
	       rsc->bytes + s->payload <= nic->knobs.rsc_max;
}

static void
hold(struct nic_rsc *rsc, const struct segment *s)
{
	rsc->n = rsc->segments = 1;
	rsc->header = s->header;
	rsc->bytes = s->header + s->payload;
	rsc->l3 = s->at->l3;
	rsc->l4 = s->at->l4;
	rsc->ip = s->at->ip;
	rsc->first = *s->info;
	memcpy(rsc->head, s->head, s->header);
	rsc->next_seq = get32(s->head + rsc->l4 + 4) + s->payload;
	rsc->ack = get32(s->head + rsc->l4 + 8);
	/* Without what pads a short frame. */
	rsc->pieces[0] = (struct nic_piece){s->section, s->info->data_abs, s->header + s->payload};
}

static enum nic_rsc_took
append(struct host_nic *nic, struct nic_rsc *rsc, const struct segment *s)
{
	struct nic_piece *last = &rsc->pieces[rsc->n - 1];
	uint32_t end = nic->section_bytes - NIC_SECTION_TAIL, from = s->info->data_abs + s->header;
	enum nic_rsc_took took = NIC_RSC_KEPT;
	uint8_t *tcp = rsc->head + rsc->l4;

	if (s->payload <= end - last->data_at - last->len) {
		memcpy(nic->recv.base + (size_t)last->section * nic->section_bytes + last->data_at +
				last->len,
			nic->recv.base + (size_t)s->section * nic->section_bytes + from,
			s->payload);
		last->len += s->payload;
		took = NIC_RSC_COPIED;
	} else {
		/* A message of less than an Ethernet header is none, whatever it is part of. */
		if (rsc->n == NIC_RSC_PIECES || s->payload < RNDIS_MIN_FRAME)
			return NIC_RSC_NOT;
		rsc->pieces[rsc->n++] = (struct nic_piece){s->section, from, s->payload};
	}
	rsc->segments++;
	rsc->bytes += s->payload;
	rsc->next_seq += s->payload;
	rsc->ack = get32(s->head + rsc->l4 + 8);
	/* The newest acknowledgement and window; the push of any. */
	memcpy(tcp + 8, s->head + rsc->l4 + 8, 4);
	memcpy(tcp + 14, s->head + rsc->l4 + 14, 2);
	tcp[13] |= s->head[rsc->l4 + 13] & TCP_PSH;
	return took;
}

enum nic_rsc_took
nic_rsc_take(struct host_nic *nic, unsigned int channel, uint32_t section,
	const struct rndis_packet_info *info, const struct offload_headers *headers,
	const uint8_t *head)
{
	struct nic_rsc *rsc = &nic->channels[channel].rsc;
	struct segment s = {.section = section, .info = info, .at = headers, .head = head};
	bool data = is_plain_data(nic, &s);
	enum nic_rsc_took took;

	if (data && follows(nic, rsc, &s)) {
		took = append(nic, rsc, &s);
		if (took != NIC_RSC_NOT)
			return took;
	}
	/* Frames of a channel stay in order. */
	nic_rsc_close(nic, channel);
	if (!data)
		return NIC_RSC_NOT;
	hold(rsc, &s);
	return NIC_RSC_KEPT;
}

void
nic_rsc_finish(struct host_nic *nic, unsigned int channel)
{
	struct nic_rsc *rsc = &nic->channels[channel].rsc;
	struct rndis_packet_info info = rsc->first;
	unsigned int kind = nic_frame_kind(rsc->head);
	uint8_t *frame;

	if (rsc->segments == 1) {
		rsc->n = 0;
		nic_rx_frame(nic, channel, rsc->pieces[0].section, &info, kind);
		return;
	}
	if (rsc->ip == 4)
		put16(rsc->head + rsc->l3 + 2, rsc->bytes - rsc->l3);
	else
		put16(rsc->head + rsc->l3 + 4, rsc->bytes - rsc->l3 - 40);
	frame = nic->recv.base + (size_t)rsc->pieces[0].section * nic->section_bytes +
		rsc->pieces[0].data_at;
	memcpy(frame, rsc->head, rsc->header);
	info.csum |= RNDIS_RX_CSUM_TCP_VALUE_INVALID |
		     (rsc->ip == 4 ? RNDIS_RX_CSUM_IP_VALUE_INVALID : 0);
	nic_rx_large_frame(nic, channel, rsc->pieces, rsc->n, rsc->segments, &info, kind);
	rsc->n = 0;
}
