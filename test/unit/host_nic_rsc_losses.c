/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Receive segment coalescing (spec/rndis.md §4.3): nothing is lost, reordered or counted twice,
 * also of random segments, with a guest that does not read, and where frames are spoiled on
 * purpose.
 */
#include "test/unit/host_nic_rsc_guest.h"

static struct rsc_frame many[64], *const got = many;

static uint64_t seed = 5;

static uint32_t
rnd(uint32_t below)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)((seed >> 33) % below);
}

/* A frame that the port had: its TCP data, if it has any. */
struct sent {
	uint8_t frame[1600];
	uint32_t len, header, payload, seq;
};

static void
random_segment(struct guest *g, struct sent *s, uint32_t next[3])
{
	uint32_t flow = rnd(3), version = flow == 2 ? 6 : 4, payload = 1 + rnd(rnd(3) ? 200 : 1440);

	/* Mostly the next one of its flow. */
	s->seq = next[flow] + (rnd(8) ? 0 : rnd(3) * 100);
	s->payload = payload;
	s->header = version == 4 ? 54 : 74;
	s->len = guest_make_tcp(g, s->frame, version, payload, flow, s->seq);
	if (rnd(6) == 0)
		s->frame[s->header - 20 + rnd(20)] ^= (uint8_t)(1u << rnd(8));
	if (s->len < 60)
		memset(s->frame + s->len, 0xee, 60 - s->len);
	s->len = s->len < 60 ? 60 : s->len;
	next[flow] = s->seq + payload;
	guest_port_put(g, s->frame, s->len);
}

/* Is @p w made of the frames from @p s on? Returns how many. */
static uint32_t
check_made_of(const struct rsc_frame *w, const struct sent *s)
{
	uint32_t at = s->header, n = 0;

	if (w->len == s->len && memcmp(w->data, s->frame, s->len) == 0)
		return 1;
	for (; at < w->len; at += s[n++].payload) {
		CU_ASSERT_EQUAL_FATAL(s[n].header, s->header);
		CU_ASSERT_EQUAL_FATAL(s[n].seq, s->seq + at - s->header);
		CU_ASSERT_FATAL(s[n].payload <= w->len - at);
		CU_ASSERT_EQUAL(memcmp(w->data + at, s[n].frame + s->header, s[n].payload), 0);
	}
	/* Its header is the first one's, but for lengths, checksums, acknowledgement and push. */
	CU_ASSERT_EQUAL(memcmp(w->data, s->frame, 16), 0);
	CU_ASSERT_EQUAL(memcmp(w->data + s->header - 20, s->frame + s->header - 20, 8), 0);
	CU_ASSERT(w->first.csum & RNDIS_RX_CSUM_TCP_VALUE_INVALID);
	return n;
}

static void
random_segments_come_out_complete_and_in_order(void)
{
	static struct sent sent[64];
	uint32_t next[3] = {0}, round, i, k, n, frames;
	uint64_t large = 0;
	struct guest g;

	rsc_start(&g);
	for (round = 0; round < 1000; round++) {
		n = 1 + rnd(60);
		for (i = 0; i < n; i++)
			random_segment(&g, &sent[i], next);
		guest_poll(&g);
		frames = rsc_collect(&g, got, 64);
		for (i = k = 0; i < frames; i++) {
			CU_ASSERT_FATAL(k < n);
			k += check_made_of(&got[i], &sent[k]);
			large += got[i].len > 1514;
		}
		CU_ASSERT_EQUAL_FATAL(k, n);
	}
	CU_ASSERT(large > 300);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.nic->free_n + g.nic->free_control_n, g.sections);
	guest_stop(&g);
}

/* The guest does not read: what is lost is counted in frames of the port. */
static void
lost_segments_are_all_counted(void)
{
	uint32_t i, k, sent = 0;
	struct guest g;

	guest_start(&g, RSC_NIC, 1);
	guest_nvsp_up(&g, NVSP_VERSION_61, NVSP_CAP_RSC, 1500);
	guest_rndis_up(&g, 13);
	guest_offloads(&g, RSC_WANTED);
	host_nic_knob(g.nic, "batch", "1");
	guest_poll(&g);
	for (i = 0; i < 60; i++) {
		for (k = 0; k < 5; k++, sent++)
			rsc_put(&g, 4, 1460, 1, sent * 1460);
		host_nic_poll(g.nic, 64);
	}
	CU_ASSERT(g.nic->stats.rx_dropped_ring_full > 0);
	CU_ASSERT(g.nic->stats.rx_large > 0);
	CU_ASSERT_EQUAL(g.nic->stats.rx_frames - g.nic->stats.rx_large + g.nic->stats.rx_segments +
				g.nic->stats.rx_dropped_ring_full,
		sent);
	for (i = 0; i < 10; i++)
		guest_poll(&g);
	CU_ASSERT_EQUAL(g.nic->free_n + g.nic->free_control_n, g.sections);
	guest_stop(&g);
}

/* Ranges of the last poll's packets that a guest takes for good ones, and whole frames of them. */
static void
count_ranges(const struct guest *g, uint32_t *good, uint32_t *frames)
{
	const struct guest_packet *p;
	struct rndis_rsc rsc = {0};
	uint32_t i, k, act;

	for (i = 0; (p = guest_transfer(g, i)) != NULL; i++) {
		if (p->msg.rndis.channel_type != NVSP_CHANNEL_DATA || p->xfer_ranges <= 0)
			continue;
		for (k = 0; k < p->ranges; k++) {
			const uint8_t *m = guest_message(g, p, k);
			struct rndis_packet_info info;

			if (m == NULL ||
				rndis_packet_parse_rx(m, 300, p->range[k].byte_count, &info) != 0) {
				rndis_rsc_reset(&rsc);
				continue;
			}
			++*good;
			act = rndis_rsc_next(&rsc, &info, k + 1 == p->ranges);
			*frames += (act & RNDIS_RSC_ACT_FINISH) != 0;
		}
	}
}

/* A frame of four ranges, with every kind of defect: no whole one comes, and all sections back. */
static void
coalesced_frames_are_malformed_by_the_knob(void)
{
#define NAME(name) #name,
	static const char *const kinds[] = {NIC_DEFECTS(NAME)};
	uint32_t i, k, good, frames, payload = 1400;
	struct guest g;

	for (k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		good = frames = 0;
		rsc_start(&g);
		g.lies = true;
		CU_ASSERT_EQUAL(host_nic_knob(g.nic, "malformed_rx_kind", kinds[k]), 0);
		host_nic_knob(g.nic, "malformed_rx_pct", "100");
		for (i = 0; i < 4; i++)
			rsc_put(&g, 4, payload, 1, i * payload);
		guest_poll(&g);
		count_ranges(&g, &good, &frames);
		if (frames != 0)
			printf("\n    %s: %u good ranges", kinds[k], good);
		CU_ASSERT_EQUAL(frames, 0);
		CU_ASSERT(good == 3 || good == 0);
		CU_ASSERT_EQUAL(g.nic->stats.rx_spoiled, 1);
		CU_ASSERT_EQUAL(g.nic->stats.rx_large, 1);
		/* Those behind it are as they should be. */
		host_nic_knob(g.nic, "malformed_rx_pct", "0");
		for (i = 0; i < 4; i++)
			rsc_put(&g, 4, payload, 1, i * payload);
		guest_poll(&g);
		CU_ASSERT_EQUAL_FATAL(rsc_collect(&g, got, 64), 1);
		rsc_check_whole(&g, &got[0], 4, 1, 0, 4 * payload);
		guest_poll(&g);
		CU_ASSERT_EQUAL(g.nic->free_n + g.nic->free_control_n, g.sections);
		guest_stop(&g);
	}
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"random segments come out complete and in order",
			random_segments_come_out_complete_and_in_order},
		{"lost segments are all counted", lost_segments_are_all_counted},
		{"coalesced frames are malformed by the knob",
			coalesced_frames_are_malformed_by_the_knob},
	};

	return UNIT_RUN("host_nic_rsc_losses", tests);
}
