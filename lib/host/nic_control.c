/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Control messages from the host to the guest: a bounded queue in front of the primary channel's
 * ring, because an answer must not be lost when the ring is full or no receive section is free.
 */
#include "lib/host/nic_internal.h"

#define MS_NS UINT64_C(1000000)

struct nic_control *
nic_control_add(struct host_nic *nic, enum nic_control_kind kind, const void *data, uint32_t len)
{
	struct nic_control *c;

	if (nic_control_room(nic) == 0 || len > NIC_CONTROL_BYTES)
		return NULL;
	c = &nic->control[nic->control_tail++ % NIC_CONTROL_QUEUE];
	c->kind = kind;
	c->flags = 0;
	c->offer = false;
	c->len = len;
	c->tid = VMBUS_NO_TRANS_ID;
	c->due_ns = nic->knobs.delay_ms == 0 ? 0 : monotonic_ns() + nic->knobs.delay_ms * MS_NS;
	if (len != 0)
		memcpy(c->data, data, len);
	/* The ring takes multiples of 8 with zero padding. */
	if (len % 8 != 0)
		memset(c->data + len, 0, 8 - len % 8);
	return c;
}

void
nic_control_answer(
	struct host_nic *nic, uint64_t tid, uint32_t request, const struct nvsp_message *msg)
{
	struct nic_control *c;

	if (nic->knobs.silence == request)
		return;
	if (nic->knobs.inject)
		nic_nvsp_inject(nic);
	c = nic_control_add(nic, NIC_CONTROL_COMPLETION, msg, msg == NULL ? 0 : nic->message_size);
	if (c != NULL)
		c->tid = tid;
}

void
nic_control_notify(
	struct host_nic *nic, const struct nvsp_message *msg, uint16_t flags, uint64_t tid)
{
	struct nic_control *c = nic_control_add(nic, NIC_CONTROL_INBAND, msg, nic->message_size);

	if (c != NULL) {
		c->flags = flags;
		c->tid = tid;
	}
}

/* An RNDIS message goes into a receive section; it is announced by a transfer-page packet. */
static int
control_write_rndis(struct host_nic *nic, const struct nic_control *c)
{
	struct vmbus_xfer_range range;
	uint32_t section;
	int rc;

	if (nic->recv.base == NULL)
		return 0; /* revoked: nobody to tell */
	section = nic_rx_control_section(nic);
	if (section == NIC_NONE)
		return -EAGAIN;
	memcpy(nic->recv.base + (size_t)section * nic->section_bytes, c->data, c->len);
	range.byte_count = nic->knobs.range_slot ? nic->section_bytes : c->len;
	range.byte_offset = section * nic->section_bytes;
	rc = nic_rx_write(nic, 0, NVSP_CHANNEL_CONTROL, section, section, &range, 1, 0);
	if (rc != 0)
		nic_rx_free_section(nic, section);
	return rc;
}

static int
control_write(struct host_nic *nic, const struct nic_control *c)
{
	uint8_t buf[sizeof(struct vmbus_packet) + NIC_CONTROL_BYTES + 8];
	struct vmbus_packet desc;
	uint32_t len = (uint32_t)sizeof(desc) + c->len;
	int rc;

	if (c->kind == NIC_CONTROL_RNDIS)
		return control_write_rndis(nic, c);
	vmbus_packet_init(&desc,
		c->kind == NIC_CONTROL_COMPLETION ? VMBUS_PACKET_COMPLETION : VMBUS_PACKET_INBAND,
		sizeof(desc), len, c->flags, c->tid);
	memcpy(buf, &desc, sizeof(desc));
	memcpy(buf + sizeof(desc), c->data, (c->len + 7u) & ~7u);
	rc = vmbus_ring_write(&nic->channels[0].out, buf, len, 0);
	if (rc == 0 && nic->tap != NULL)
		nic_trace_out(nic, 0, buf, len);
	return rc;
}

unsigned int
nic_control_flush(struct host_nic *nic)
{
	struct nic_control *c;
	unsigned int n = 0;

	nic_rndis_notify(nic);
	if (nic->control_head == nic->control_tail)
		return 0;
	if (!nic->channels[0].open || nic->channels[0].dead) {
		nic->control_head = nic->control_tail;
		return 0;
	}
	for (; nic->control_head != nic->control_tail; nic->control_head++, n++) {
		c = &nic->control[nic->control_head % NIC_CONTROL_QUEUE];
		if (c->due_ns != 0 && c->due_ns > monotonic_ns())
			break;
		if (control_write(nic, c) != 0)
			break;
		nic->offer_now |= c->offer;
	}
	return n;
}

/* Nanoseconds until the first message is due; 0: it is due and waits for room. */
uint64_t
nic_control_deadline(const struct host_nic *nic)
{
	const struct nic_control *c = &nic->control[nic->control_head % NIC_CONTROL_QUEUE];
	uint64_t now;

	if (nic->control_head == nic->control_tail)
		return UINT64_MAX;
	if (c->due_ns == 0)
		return 0;
	now = monotonic_ns();
	return c->due_ns > now ? c->due_ns - now : 0;
}
