/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "test/unit/host_nic_guest.h"

static unsigned int
port_receive(struct host_port *port, struct host_frame *frames, unsigned int n)
{
	struct test_port *p = (struct test_port *)port;
	unsigned int i = 0;
	uint32_t slot;

	p->receives++;
	while (i < n && p->in_head != p->in_tail) {
		slot = p->in_head++ % GUEST_FRAMES;
		if (p->in[slot].len > frames[i].room) {
			if (!p->any_size)
				CU_FAIL("no room for the frame");
			continue;
		}
		memcpy(frames[i].data, p->in[slot].data, p->in[slot].len);
		frames[i++].len = p->in[slot].len;
	}
	return i;
}

static void
port_send(struct host_port *port, const struct host_frame *frames, unsigned int n)
{
	struct test_port *p = (struct test_port *)port;
	unsigned int i;

	p->sends++;
	p->last = frames[n - 1].data;
	if (p->meanwhile != NULL)
		*p->meanwhile ^= 0x40;
	for (i = 0; i < n && p->out_n < GUEST_FRAMES; i++, p->out_n++) {
		uint32_t len = frames[i].len < GUEST_FRAME ? frames[i].len : GUEST_FRAME;

		memcpy(p->out[p->out_n].data, frames[i].data, len);
		if (frames[i].head != NULL)
			memcpy(p->out[p->out_n].data, frames[i].head, HOST_FRAME_HEAD);
		p->out[p->out_n].len = frames[i].len;
	}
}

static void
port_close(struct host_port *port)
{
	(void)port;
}

static const struct host_port_ops port_ops = {
	.kind = "test",
	.receive = port_receive,
	.send = port_send,
	.close = port_close,
};

static const struct host_port_ops port_ops_in_place = {
	.kind = "test",
	.receive = port_receive,
	.send = port_send,
	.close = port_close,
	.in_place = true,
};

void
test_port_init(struct test_port *p)
{
	p->port.ops = getenv("PORT_IN_PLACE") != NULL ? &port_ops_in_place : &port_ops;
	p->in = calloc(GUEST_FRAMES, sizeof(*p->in));
	p->out = calloc(GUEST_FRAMES, sizeof(*p->out));
}

void
test_port_put(struct test_port *p, const void *frame, uint32_t len)
{
	uint32_t slot = p->in_tail++ % GUEST_FRAMES;

	memcpy(p->in[slot].data, frame, len);
	p->in[slot].len = len;
}
