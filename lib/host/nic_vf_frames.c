/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The switch inside an adapter with virtual functions: while the data path is the VF's, frames of
 * the network leave by the port vf-port=, but for those that stay on the synthetic path, and what
 * the guest's VF sends comes in there and goes on to the network (spec/nvsp.md §9).
 * Frames are in the arena of the sends (nic_tx.c), which is empty between its flushes.
 */
#include "lib/host/crc32c.h"
#include "lib/host/nic_internal.h"
#include "lib/netvsp/toeplitz.h"

/* What a VF may have sent before its guest left it, and is still in the port. */
#define DRAIN_FRAMES 1024u
#define SLOT_ALIGN   64u

/* Places for up to @p n frames. Returns how many there are. */
static unsigned int
frames_place(struct host_nic *nic, struct host_frame *frames, unsigned int n)
{
	uint32_t room = nic->config.mtu + NVSP_MTU_HEADER + OFFLOAD_VLAN_TAG, slot, i;

	slot = (room + SLOT_ALIGN - 1) & ~(SLOT_ALIGN - 1);
	if (n > HOST_PORT_BURST)
		n = HOST_PORT_BURST;
	/* Whole words may be read past the end of the last. */
	if (n > (NIC_ARENA - SLOT_ALIGN) / slot)
		n = (NIC_ARENA - SLOT_ALIGN) / slot;
	for (i = 0; i < n; i++)
		frames[i] =
			(struct host_frame){.data = nic->arena + (size_t)i * slot, .room = room};
	return n;
}

/* Do what the port that takes the frame would not. */
static void
frame_finish(struct host_frame *frame, const struct host_port *to)
{
	if (frame->work.csum_start == 0 || to->ops->carries_work)
		return;
	offload_finish(frame->data, frame->len, &frame->work);
	frame->work = (struct host_frame_work){0};
}

/* ---- to the guest ---- */

/* Is the frame one of the first of its flow, as many as the knob says? */
static bool
first_of_flow(struct host_nic *nic, const struct host_frame *frame)
{
	uint32_t len = frame->len, head = len < OFFLOAD_HEAD_MAX ? len : OFFLOAD_HEAD_MAX, n, type;
	uint8_t input[TOEPLITZ_MAX_INPUT], *count;
	struct offload_headers headers;

	if (nic->knobs.vf_first == 0)
		return false;
	offload_parse(frame->data, head, len, &headers);
	n = offload_hash_input(&headers, frame->data,
		NDIS_HASH_IPV4 | NDIS_HASH_TCP_IPV4 | NDIS_HASH_IPV6 | NDIS_HASH_TCP_IPV6, true,
		input, &type);
	count = &nic->vf.flows[(n != 0 ? crc32c(~0u, input, n) : crc32c(~0u, frame->data, 12)) %
			       NIC_VF_FLOWS];
	if (*count >= nic->knobs.vf_first)
		return false;
	(*count)++;
	return true;
}

/* Groups and what the adapter has no rule for yet come by the vSwitch. */
static bool
stays_synthetic(struct host_nic *nic, const struct host_frame *frame)
{
	if (frame->data[0] & 1)
		return !nic->knobs.vf_multicast;
	return first_of_flow(nic, frame);
}

/* Why a frame does not reach the VF, or NULL: it does. */
static uint64_t *
lost_to_guest(struct host_nic *nic, const struct host_frame *frame)
{
	const uint8_t *dst = frame->data;

	if (!nic->link_up)
		return &nic->stats.rx_dropped_link;
	if (!(dst[0] & 1) && memcmp(dst, nic->mac, 6) != 0 &&
		memcmp(dst, nic->config.mac, 6) != 0 && !(nic->filter & RNDIS_FILTER_PROMISCUOUS) &&
		!nic->knobs.loose_filter)
		return &nic->stats.rx_dropped_filter;
	return nic_vf_alive(nic) ? NULL : &nic->stats.rx_dropped_vf;
}

/* Give a frame its way. True: it is @p nic's VF's. */
static bool
frame_to_guest(struct host_nic *nic, struct host_frame *frame)
{
	uint64_t *lost;

	if (frame->len < RNDIS_MIN_FRAME) {
		nic->stats.rx_dropped_size++;
		return false;
	}
	if (stays_synthetic(nic, frame)) {
		nic_rx_copied(nic, frame);
		return false;
	}
	lost = lost_to_guest(nic, frame);
	if (lost != NULL) {
		(*lost)++;
		return false;
	}
	nic->stats.vf_rx_frames++;
	nic->stats.vf_rx_bytes += frame->len;
	frame_finish(frame, nic->vf.port);
	return true;
}

unsigned int
nic_vf_to_guest(struct host_nic *nic, unsigned int budget)
{
	struct host_frame frames[HOST_PORT_BURST];
	unsigned int i, n, k, m, got = 0;

	nic_tx_flush(nic);
	while (got < budget) {
		n = frames_place(nic, frames, budget - got);
		k = nic->port->ops->receive(nic->port, frames, n);
		for (i = m = 0; i < k; i++)
			if (frame_to_guest(nic, &frames[i]))
				frames[m++] = frames[i];
		if (m != 0)
			nic->vf.port->ops->send(nic->vf.port, frames, m);
		got += k;
		if (k < n)
			break;
	}
	nic_rx_finish(nic);
	return got;
}

/* ---- from the guest ---- */

/* Why a frame of the VF does not reach the network, or NULL: it does. */
static uint64_t *
lost_from_guest(struct host_nic *nic, const struct host_frame *frame)
{
	if (!nic_vf_may_send(nic))
		return &nic->stats.vf_tx_dropped_path;
	if (!nic->link_up)
		return &nic->stats.vf_tx_dropped_link;
	if (frame->len < RNDIS_MIN_FRAME)
		return &nic->stats.vf_tx_dropped_size;
	if (!nic->knobs.spoof && nic_source_is_foreign(nic, frame->data + 6)) {
		nic->complaints_due |= 1u << NIC_COMPLAINT_SPOOF;
		return &nic->stats.vf_tx_dropped_spoof;
	}
	return NULL;
}

static bool
frame_from_guest(struct host_nic *nic, struct host_frame *frame)
{
	uint64_t *lost = lost_from_guest(nic, frame);

	if (lost != NULL) {
		(*lost)++;
		return false;
	}
	nic->stats.vf_tx_frames++;
	nic->stats.vf_tx_bytes += frame->len;
	frame_finish(frame, nic->port);
	return true;
}

bool
nic_vf_wants_port(const struct host_nic *nic)
{
	const struct host_port *port = nic->vf.port;

	/* Of others, what is sent on the wrong path is taken and lost, not kept for later. */
	return port != NULL && port->ops->receive != NULL &&
	       (!port->ops->on_demand || nic_vf_may_send(nic));
}

unsigned int
nic_vf_from_guest(struct host_nic *nic, unsigned int budget)
{
	struct host_frame frames[HOST_PORT_BURST];
	unsigned int i, n, k, m, got = 0;

	if (!nic_vf_wants_port(nic))
		return 0;
	nic_tx_flush(nic);
	while (got < budget) {
		n = frames_place(nic, frames, budget - got);
		k = nic->vf.port->ops->receive(nic->vf.port, frames, n);
		for (i = m = 0; i < k; i++)
			if (frame_from_guest(nic, &frames[i]))
				frames[m++] = frames[i];
		if (m != 0)
			nic->port->ops->send(nic->port, frames, m);
		got += k;
		if (k < n)
			break;
	}
	return got;
}

void
nic_vf_drain(struct host_nic *nic)
{
	if (nic->vf.port != NULL && nic->vf.on && !nic->vf.port->ops->on_demand)
		nic_vf_from_guest(nic, DRAIN_FRAMES);
}
