/* SPDX-License-Identifier: BSD-3-Clause */
/** @file A guest with a VF of two ports, its frames on both paths, and the books of its host. */
#ifndef HP_TEST_HOST_NIC_VF_GUEST_H
#define HP_TEST_HOST_NIC_VF_GUEST_H

#include "test/unit/host_nic_guest.h"

static const char small[] = "recv=1M,send=256K,channels=4";

static inline void
knob(struct guest *g, const char *name, const char *value)
{
	CU_ASSERT_EQUAL(host_nic_knob(g->nic, name, value), 0);
}

static inline void
switch_to(struct guest *g, uint32_t path)
{
	struct nvsp_message msg;

	nvsp_build_switch_data_path(&msg, path);
	CU_ASSERT_EQUAL(guest_nvsp(g, &msg, g->next_tid, true), 0);
	guest_poll(g);
	CU_ASSERT_PTR_NOT_NULL(guest_completion(g, g->next_tid++));
}

static inline void
start_on_vf(struct guest *g, const char *nic, uint32_t filter)
{
	guest_start_vf(g, nic, 16);
	guest_up(g, filter);
	guest_poll(g);
	switch_to(g, NVSP_DATA_PATH_VF);
	CU_ASSERT_TRUE_FATAL(host_nic_path_is_vf(g->nic));
}

/* Every frame that came in on a side went out on another or has a reason; no frame twice. */
static inline void
check_books(struct guest *g)
{
	const struct host_nic_stats *s = &g->nic->stats;

	CU_ASSERT_EQUAL(g->port.in_head, s->rx_frames - s->rx_large + s->rx_segments +
						 s->vf_rx_frames + guest_sum(s, "rx_dropped_"));
	CU_ASSERT_EQUAL(g->vf_port.in_head, s->vf_tx_frames + guest_sum(s, "vf_tx_dropped_"));
	CU_ASSERT_EQUAL(g->port.out_n, s->tx_frames + s->vf_tx_frames);
	CU_ASSERT_EQUAL(g->vf_port.out_n, s->vf_rx_frames);
}

/* A frame to the guest of which the last byte is @p mark. */
static inline void
put(struct guest *g, const char *dst, uint32_t flow, uint8_t mark)
{
	uint8_t frame[60];

	guest_make_udp(g, frame, 60, flow);
	if (dst != NULL)
		memcpy(frame, dst, 6);
	frame[59] = mark;
	guest_port_put(g, frame, 60);
}

/* One of the guest's VF. */
static inline void
put_vf(struct guest *g, const char *src, uint8_t mark)
{
	uint8_t frame[60];

	guest_make_udp(g, frame, 60, 1);
	memcpy(frame, "\x02\x00\x00\x00\x00\x09", 6);
	memcpy(frame + 6, src != NULL ? src : (const char *)g->config.mac, 6);
	frame[59] = mark;
	test_port_put(&g->vf_port, frame, 60);
}

/* The guest sends on the synthetic path. */
static inline void
send_synthetic(struct guest *g, uint8_t mark)
{
	uint8_t frame[60];

	guest_make_udp(g, frame, 60, 1);
	memcpy(frame, "\x02\x00\x00\x00\x00\x09", 6);
	memcpy(frame + 6, g->config.mac, 6);
	frame[59] = mark;
	CU_ASSERT_EQUAL(
		guest_send_first(g, guest_make_packet(g->send, frame, 60)), NVSP_STATUS_SUCCESS);
}

static inline uint8_t
mark_out(const struct test_port *p, uint32_t n)
{
	return n < p->out_n ? p->out[n].data[p->out[n].len - 1] : 0;
}

static const char broadcast[] = "\xff\xff\xff\xff\xff\xff", group[] = "\x01\x00\x5e\x00\x00\x09",
		  stranger[] = "\x02\x00\x00\x00\x00\x33";

#endif
