/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A guest with a VF: what its host says of that, its frames on both paths where it has two ports,
 * and the books of the host.
 */
#ifndef HP_TEST_HOST_NIC_VF_GUEST_H
#define HP_TEST_HOST_NIC_VF_GUEST_H

#include <stdio.h>

#include "test/unit/host_nic_guest.h"

static const char small[] = "recv=1M,send=256K,channels=4";

static inline void
knob(struct guest *g, const char *name, const char *value)
{
	CU_ASSERT_EQUAL(host_nic_knob(g->nic, name, value), 0);
}

static inline void
ask(struct guest *g, uint32_t path, uint64_t tid)
{
	struct nvsp_message msg;

	nvsp_build_switch_data_path(&msg, path);
	CU_ASSERT_EQUAL(guest_nvsp(g, &msg, tid, true), 0);
}

/* Ask for a path and be answered at once. */
static inline void
switch_to(struct guest *g, uint32_t path)
{
	const struct guest_packet *p;
	uint64_t tid = g->next_tid++;

	ask(g, path, tid);
	guest_poll(g);
	p = guest_completion(g, tid);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(p->payload_len, 0); /* anything else hangs Linux */
	CU_ASSERT_EQUAL(p->desc.flags, 0);
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

/* The host has said this since last time. */
static inline void
hears(struct guest *g, const char *what)
{
	guest_poll(g);
	if (strcmp(g->heard, what) != 0)
		printf("\n    heard '%s' instead of '%s'", g->heard, what);
	CU_ASSERT_STRING_EQUAL(g->heard, what);
	g->heard[0] = '\0';
}

/* A guest that has switched to the VF with this serial. */
static inline void
start_told(struct guest *g, const char *nic, uint32_t serial)
{
	char expected[16];

	guest_start(g, nic, 16);
	host_nic_set_vf(g->nic, true, serial);
	guest_up(g, 13);
	snprintf(expected, sizeof(expected), "+%u ", serial);
	hears(g, expected);
	switch_to(g, NVSP_DATA_PATH_VF);
	CU_ASSERT_TRUE(host_nic_path_is_vf(g->nic));
	hears(g, "");
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
