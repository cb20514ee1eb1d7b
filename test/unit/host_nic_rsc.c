/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Receive segment coalescing (spec/rndis.md §4.3): what becomes one frame and what does not, and
 * that nothing of it is lost, reordered or counted twice.
 */
#include "test/unit/host_nic_guest.h"

static const char small[] = "recv=1M,send=256K,channels=4";
#define WANTED                                                                                     \
	(NDIS_CAN_RX_IP4 | NDIS_CAN_RX_TCP4 | NDIS_CAN_RX_TCP6 | NDIS_CAN_RSC4 | NDIS_CAN_RSC6)
#define INVALID	 (RNDIS_RX_CSUM_TCP_VALUE_INVALID | RNDIS_RX_CSUM_IP_VALUE_INVALID)
#define VERIFIED (RNDIS_RX_CSUM_IP_OK | RNDIS_RX_CSUM_TCP_OK)

/* A frame as the guest puts it together (rndis_rsc_next()). */
struct whole {
	uint32_t len, pieces, segments;
	struct rndis_packet_info first;
	uint8_t data[RNDIS_MAX_BIG_FRAME];
};

static void
start_wanting(struct guest *g, uint32_t can)
{
	guest_start(g, small, 64);
	guest_nvsp_up(g, NVSP_VERSION_61, NVSP_CAP_8021Q | NVSP_CAP_RSC, 1500);
	guest_rndis_up(g, 13);
	guest_offloads(g, can);
}

static void
start_up(struct guest *g)
{
	start_wanting(g, WANTED);
}

/* Put together the frames of the last poll. Returns how many. */
static uint32_t
collect(const struct guest *g, struct whole *to, uint32_t most)
{
	struct rndis_rsc rsc = {0};
	const struct guest_packet *p;
	uint32_t i, k, n = 0, act;
	struct whole *w = NULL;
	const uint8_t *m;

	for (i = 0; (p = guest_transfer(g, i)) != NULL; i++) {
		if (p->msg.rndis.channel_type != NVSP_CHANNEL_DATA)
			continue;
		for (k = 0; k < p->ranges; k++) {
			struct rndis_packet_info info;

			m = guest_message(g, p, k);
			CU_ASSERT_PTR_NOT_NULL_FATAL(m);
			CU_ASSERT_EQUAL_FATAL(
				rndis_packet_parse_rx(m, 300, p->range[k].byte_count, &info), 0);
			CU_ASSERT(
				info.data_abs + info.data_length + NIC_SECTION_TAIL <= g->section);
			act = rndis_rsc_next(&rsc, &info, k + 1 == p->ranges);
			CU_ASSERT_EQUAL_FATAL(act & RNDIS_RSC_ACT_DROP, 0);
			if (act & RNDIS_RSC_ACT_START) {
				CU_ASSERT_FATAL(n < most);
				w = &to[n++];
				w->len = w->pieces = 0;
				w->first = info;
			} else {
				CU_ASSERT_EQUAL(info.present, RNDIS_HAS_PACKET_ID);
			}
			CU_ASSERT_FATAL(w->len + info.data_length <= sizeof(w->data));
			memcpy(w->data + w->len, m + info.data_abs, info.data_length);
			w->len += info.data_length;
			w->pieces++;
		}
	}
	return n;
}

/* Is @p w one frame of @p payload bytes from @p seq on, with verified headers? */
static void
check_whole(struct guest *g, const struct whole *w, uint32_t version, uint32_t flow, uint32_t seq,
	uint32_t payload)
{
	static uint8_t frame[RNDIS_MAX_BIG_FRAME];
	uint32_t len = guest_make_tcp(g, frame, version, payload, flow, seq), l4;

	l4 = version == 4 ? 34 : 54;
	CU_ASSERT_EQUAL_FATAL(w->len, len);
	/* All but the checksums, which are told to be invalid. */
	CU_ASSERT_EQUAL(memcmp(w->data, frame, version == 4 ? 24 : l4 + 16), 0);
	if (version == 4)
		CU_ASSERT_EQUAL(memcmp(w->data + 26, frame + 26, l4 + 16 - 26), 0);
	CU_ASSERT_EQUAL(memcmp(w->data + l4 + 18, frame + l4 + 18, len - l4 - 18), 0);
}

static void
put(struct guest *g, uint32_t version, uint32_t payload, uint32_t flow, uint32_t seq)
{
	uint8_t frame[1600];

	guest_port_put(g, frame, guest_make_tcp(g, frame, version, payload, flow, seq));
}

static struct whole many[341], *const got = many;

static void
segments_of_a_flow_become_one_frame(void)
{
	uint32_t i, version;
	struct guest g;

	start_up(&g);
	for (version = 4; version <= 6; version += 2) {
		uint32_t payload = version == 4 ? 1460 : 1440;

		for (i = 0; i < 20; i++)
			put(&g, version, payload, 1, 1000 + i * payload);
		put(&g, version, 333, 1, 1000 + 20 * payload);
		guest_poll(&g);
		CU_ASSERT_EQUAL_FATAL(collect(&g, got, 64), 1);
		check_whole(&g, &got[0], version, 1, 1000, 20 * payload + 333);
		CU_ASSERT_EQUAL(got[0].pieces, 21);
		CU_ASSERT_EQUAL(got[0].first.csum,
			version == 4 ? VERIFIED | INVALID
				     : RNDIS_RX_CSUM_TCP_OK | RNDIS_RX_CSUM_TCP_VALUE_INVALID);
	}
	CU_ASSERT_EQUAL(g.nic->stats.rx_frames, 2);
	CU_ASSERT_EQUAL(g.nic->stats.rx_large, 2);
	CU_ASSERT_EQUAL(g.nic->stats.rx_segments, 42);
	guest_poll(&g); /* the acknowledgements */
	CU_ASSERT_EQUAL(g.nic->free_n + g.nic->free_control_n, g.sections);
	guest_stop(&g);
}

static void
short_segments_share_a_section(void)
{
	struct guest g;
	uint32_t i;

	start_up(&g);
	for (i = 0; i < 14; i++)
		put(&g, 4, 100, 1, i * 100);
	guest_poll(&g);
	CU_ASSERT_EQUAL_FATAL(collect(&g, got, 64), 1);
	CU_ASSERT_EQUAL(got[0].pieces, 1);
	/* A single range needs no mark. */
	CU_ASSERT_EQUAL(got[0].first.present, RNDIS_HAS_CSUM);
	check_whole(&g, &got[0], 4, 1, 0, 1400);
	/* More than a section, to the byte. */
	for (i = 0; i < 40; i++)
		put(&g, 4, 100, 1, i * 100);
	guest_poll(&g);
	CU_ASSERT_EQUAL_FATAL(collect(&g, got, 64), 1);
	CU_ASSERT_EQUAL(got[0].pieces, 3);
	check_whole(&g, &got[0], 4, 1, 0, 4000);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.nic->free_n + g.nic->free_control_n, g.sections);
	guest_stop(&g);
}

/* @p first of sixty segments are in the first frame of a host that coalesces as much as it says. */
static void
check_longest(const char *rsc_max, uint32_t first)
{
	struct guest g;
	uint32_t i;

	start_up(&g);
	if (rsc_max != NULL)
		CU_ASSERT_EQUAL(host_nic_knob(g.nic, "rsc_max", rsc_max), 0);
	for (i = 0; i < 60; i++)
		put(&g, 4, 1460, 1, i * 1460);
	guest_poll(&g);
	CU_ASSERT_EQUAL_FATAL(collect(&g, got, 64), 2);
	check_whole(&g, &got[0], 4, 1, 0, first * 1460);
	check_whole(&g, &got[1], 4, 1, first * 1460, (60 - first) * 1460);
	/* Each has an id of its own. */
	CU_ASSERT_NOT_EQUAL(got[0].first.rsc_id, got[1].first.rsc_id);
	guest_stop(&g);
}

/* Who forwards what was coalesced found it too long for the largest send: TCP stalled. */
static void
a_coalesced_frame_can_be_sent_again(void)
{
	check_longest(NULL, (NDIS_LSO_MAX_SIZE - 54) / 1460);
}

static void
a_frame_ends_at_ips_limit(void)
{
	struct guest g;

	check_longest("65549", 44);
	guest_start_up(&g, small, 16);
	CU_ASSERT_EQUAL(host_nic_knob(g.nic, "rsc_max", "65550"), -EINVAL);
	guest_stop(&g);
}

static void
coalesced_ranges_stay_in_one_packet(void)
{
	struct guest g;
	uint32_t i;

	start_up(&g);
	host_nic_knob(g.nic, "batch", "1");
	for (i = 0; i < 10; i++)
		put(&g, 4, 1460, 1, i * 1460);
	put(&g, 4, 1460, 2, 0);
	guest_poll(&g);
	/* rndis_rsc_next() drops what goes on in another packet. */
	CU_ASSERT_EQUAL_FATAL(collect(&g, got, 64), 2);
	check_whole(&g, &got[0], 4, 1, 0, 14600);
	guest_stop(&g);
}

/* In a packet that is nearly as long as packets may be. */
static void
coalesced_ranges_do_not_outgrow_a_packet(void)
{
	uint8_t frame[60];
	struct guest g;
	uint32_t i, n;

	start_up(&g);
	host_nic_knob(g.nic, "batch", "375");
	for (i = 0; i < 340; i++)
		guest_port_put(&g, frame, guest_make_udp(&g, frame, 60, i));
	host_nic_knob(g.nic, "rsc_max", "65549");
	for (i = 0; i < 44; i++)
		put(&g, 4, 1460, 1, i * 1460);
	host_nic_poll(g.nic, 400);
	guest_poll(&g);
	CU_ASSERT_PTR_NOT_NULL_FATAL(guest_transfer(&g, 1));
	CU_ASSERT_EQUAL(guest_transfer(&g, 0)->ranges, 340);
	CU_ASSERT_EQUAL(guest_transfer(&g, 1)->ranges, 44);
	n = collect(&g, many, 341);
	CU_ASSERT_EQUAL_FATAL(n, 341);
	check_whole(&g, &many[340], 4, 1, 0, 44 * 1460);
	guest_stop(&g);
}

/* The second of three segments is changed at @p at: nothing is coalesced across it. */
static void
check_apart(uint32_t version, uint32_t at, uint8_t flip)
{
	const struct offload_checksum all = {.ipv4 = version == 4,
		.ipv6 = version == 6,
		.ip_header = version == 4,
		.tcp = true,
		.l4_offset = version == 4 ? 34 : 54};
	uint8_t frame[3][600];
	uint32_t i, len = 0;
	struct guest g;

	start_up(&g);
	for (i = 0; i < 3; i++) {
		len = guest_make_tcp(&g, frame[i], version, 500, 1, i * 500);
		if (i == 1) {
			frame[i][at] ^= flip;
			/* With right checksums, where it is not these. */
			if (at != 60 && offload_fill(frame[i], len, &all) != 0)
				CU_FAIL("the frame is not TCP any more");
		}
		guest_port_put(&g, frame[i], len);
	}
	guest_poll(&g);
	CU_ASSERT_EQUAL_FATAL(collect(&g, got, 64), 3);
	for (i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(got[i].len, len);
		CU_ASSERT_EQUAL(memcmp(got[i].data, frame[i], len), 0);
	}
	CU_ASSERT_EQUAL(g.nic->stats.rx_large, 0);
	guest_stop(&g);
}

static void
other_segments_are_left_alone(void)
{
	check_apart(4, 7, 1);	  /* another source MAC */
	check_apart(4, 15, 3);	  /* congestion experienced */
	check_apart(4, 22, 1);	  /* another TTL */
	check_apart(4, 29, 1);	  /* another address */
	check_apart(4, 35, 1);	  /* another port */
	check_apart(4, 41, 1);	  /* another sequence number */
	check_apart(4, 47, 0x01); /* FIN */
	check_apart(4, 47, 0x02); /* SYN */
	check_apart(4, 47, 0x04); /* RST */
	check_apart(4, 47, 0x20); /* URG */
	check_apart(4, 47, 0x40); /* ECE */
	check_apart(4, 47, 0x80); /* CWR */
	check_apart(4, 47, 0x10); /* no ACK */
	check_apart(4, 60, 1);	  /* a wrong checksum */
	check_apart(6, 17, 1);	  /* another flow label */
	check_apart(6, 30, 1);
}

static void
acknowledgements_are_not_data(void)
{
	struct guest g;

	start_up(&g);
	put(&g, 4, 500, 1, 0);
	put(&g, 4, 0, 1, 500);
	put(&g, 4, 500, 1, 500);
	guest_poll(&g);
	CU_ASSERT_EQUAL(collect(&g, got, 64), 3);
	CU_ASSERT_EQUAL(got[1].len, 54);
	guest_stop(&g);
}

static void
newest_acknowledgement_and_any_push_are_kept(void)
{
	const struct offload_checksum all = {
		.ipv4 = true, .ip_header = true, .tcp = true, .l4_offset = 34};
	uint8_t frame[3][600];
	struct guest g;
	uint32_t i;

	start_up(&g);
	for (i = 0; i < 3; i++) {
		guest_make_tcp(&g, frame[i], 4, 500, 1, i * 500);
		frame[i][45] = (uint8_t)(10 * i);
		frame[i][49] = (uint8_t)(7 * i); /* window */
		frame[i][47] |= i == 1 ? 0x08 : 0;
		offload_fill(frame[i], 554, &all);
		guest_port_put(&g, frame[i], 554);
	}
	guest_poll(&g);
	CU_ASSERT_EQUAL_FATAL(collect(&g, got, 64), 1);
	CU_ASSERT_EQUAL(got[0].len, 1554);
	CU_ASSERT_EQUAL(got[0].data[45], 20);
	CU_ASSERT_EQUAL(got[0].data[49], 14);
	CU_ASSERT_EQUAL(got[0].data[47], 0x18);
	guest_stop(&g);
}

static void
frames_of_two_vlans_are_two(void)
{
	uint8_t frame[600];
	struct guest g;
	uint32_t i, len;

	start_up(&g);
	for (i = 0; i < 4; i++) {
		len = guest_make_tcp(&g, frame, 4, 500, 1, i * 500);
		guest_port_put(&g, frame, guest_tag(frame, len, (uint16_t)(100 + i / 2)));
	}
	put(&g, 4, 500, 1, 2000);
	guest_poll(&g);
	CU_ASSERT_EQUAL_FATAL(collect(&g, got, 64), 3);
	for (i = 0; i < 2; i++) {
		check_whole(&g, &got[i], 4, 1, 1000 * i, 1000);
		CU_ASSERT_EQUAL(got[i].first.vlan_tci, 100 + i);
	}
	CU_ASSERT_EQUAL(got[2].first.present & RNDIS_HAS_VLAN, 0);
	guest_stop(&g);
}

static void
order_of_a_channel_is_kept(void)
{
	static const uint32_t flows[] = {1, 1, 2, 1, 1, 2, 2};
	uint32_t next[3] = {0}, i;
	uint8_t frame[100];
	struct guest g;

	start_up(&g);
	for (i = 0; i < sizeof(flows) / sizeof(flows[0]); i++) {
		put(&g, 4, 500, flows[i], next[flows[i]]);
		next[flows[i]] += 500;
	}
	guest_port_put(&g, frame, guest_make_udp(&g, frame, 100, 9));
	put(&g, 4, 500, 2, next[2]);
	guest_poll(&g);
	CU_ASSERT_EQUAL_FATAL(collect(&g, got, 64), 6);
	check_whole(&g, &got[0], 4, 1, 0, 1000);
	check_whole(&g, &got[1], 4, 2, 0, 500);
	check_whole(&g, &got[2], 4, 1, 1000, 1000);
	check_whole(&g, &got[3], 4, 2, 500, 1000);
	CU_ASSERT_EQUAL(memcmp(got[4].data, frame, 100), 0);
	check_whole(&g, &got[5], 4, 2, 1500, 500);
	guest_stop(&g);
}

/* What pads a short frame is not data, unless the frame stays as it is. */
static void
padding_is_not_coalesced(void)
{
	uint8_t frame[64];
	struct guest g;
	uint32_t i;

	start_up(&g);
	for (i = 0; i < 3; i++) {
		memset(frame, 0xee, sizeof(frame));
		guest_make_tcp(&g, frame, 4, 2, 1, 2 * i);
		guest_port_put(&g, frame, 60);
	}
	guest_poll(&g);
	CU_ASSERT_EQUAL_FATAL(collect(&g, got, 64), 1);
	check_whole(&g, &got[0], 4, 1, 0, 6);
	guest_port_put(&g, frame, 60);
	guest_poll(&g);
	CU_ASSERT_EQUAL_FATAL(collect(&g, got, 64), 1);
	CU_ASSERT_EQUAL(got[0].len, 60);
	guest_stop(&g);
}

/* @p can of the guest: is anything coalesced? */
static void
check_wanted(uint32_t can, uint32_t version, bool coalesced)
{
	struct guest g;

	start_wanting(&g, can);
	put(&g, version, 500, 1, 0);
	put(&g, version, 500, 1, 500);
	guest_poll(&g);
	CU_ASSERT_EQUAL(collect(&g, got, 64), coalesced ? 1 : 2);
	guest_stop(&g);
}

static void
only_what_the_guest_enabled_is_coalesced(void)
{
	check_wanted(WANTED, 4, true);
	check_wanted(WANTED & ~NDIS_CAN_RSC4, 4, false);
	check_wanted(WANTED & ~NDIS_CAN_RSC6, 4, true);
	check_wanted(WANTED & ~NDIS_CAN_RSC6, 6, false);
	/* Nobody can verify the sum of a coalesced frame. */
	check_wanted(WANTED & ~NDIS_CAN_RX_TCP4, 4, false);
	check_wanted(WANTED & ~NDIS_CAN_RX_IP4, 4, false);
	check_wanted(NDIS_CAN_RSC4 | NDIS_CAN_RSC6, 4, false);
	check_wanted(WANTED & ~(NDIS_CAN_RSC4 | NDIS_CAN_RSC6), 4, false);
}

/* Does a guest of this kind find RSC in the host's capabilities, and on after it asked for it? */
static void
check_offered(uint32_t version, uint64_t capabilities, const char *rsc, bool offered)
{
	const uint32_t both = NDIS_CAN_RSC4 | NDIS_CAN_RSC6;
	uint8_t caps[NDIS_OFFLOAD_CAPS_REV3];
	struct ndis_offloads offloads;
	struct guest g;
	uint32_t len;

	guest_start(&g, small, 16);
	host_nic_knob(g.nic, "rsc", rsc);
	guest_nvsp_up(&g, version, capabilities, 1500);
	guest_rndis_up(&g, 13);
	CU_ASSERT_EQUAL(
		guest_query(&g, OID_TCP_OFFLOAD_HARDWARE_CAPS, caps, sizeof(caps), &len), 0);
	CU_ASSERT_EQUAL(ndis_parse_offload_caps(caps, len, &offloads), 0);
	CU_ASSERT_EQUAL(offloads.can & both, offered ? both : 0);
	guest_offloads(&g, WANTED);
	guest_query(&g, OID_TCP_OFFLOAD_CURRENT_CONFIG, caps, sizeof(caps), &len);
	CU_ASSERT_EQUAL(ndis_parse_offload_caps(caps, len, &offloads), 0);
	CU_ASSERT_EQUAL(offloads.can & both, offered ? both : 0);
	guest_stop(&g);
}

static void
rsc_is_offered_to_who_knows_it(void)
{
	check_offered(NVSP_VERSION_61, NVSP_CAP_RSC, "1", true);
	check_offered(NVSP_VERSION_61, NVSP_CAP_8021Q | NVSP_CAP_SRIOV, "1", false);
	check_offered(NVSP_VERSION_6, NVSP_CAP_RSC, "1", false);
	check_offered(NVSP_VERSION_61, NVSP_CAP_RSC, "0", false);
}

/* Five bytes are left in the section, and ten are no message of their own. */
static void
a_few_bytes_too_many_begin_another_frame(void)
{
	struct guest g;

	start_up(&g);
	put(&g, 4, 1460, 1, 0);
	put(&g, 4, 45, 1, 1460);
	put(&g, 4, 10, 1, 1505);
	put(&g, 4, 10, 1, 1515);
	guest_poll(&g);
	CU_ASSERT_EQUAL_FATAL(collect(&g, got, 64), 2);
	check_whole(&g, &got[0], 4, 1, 0, 1505);
	check_whole(&g, &got[1], 4, 1, 1505, 20);
	guest_stop(&g);
}

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
check_made_of(const struct whole *w, const struct sent *s)
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

	start_up(&g);
	for (round = 0; round < 1000; round++) {
		n = 1 + rnd(60);
		for (i = 0; i < n; i++)
			random_segment(&g, &sent[i], next);
		guest_poll(&g);
		frames = collect(&g, got, 64);
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

	guest_start(&g, small, 1);
	guest_nvsp_up(&g, NVSP_VERSION_61, NVSP_CAP_RSC, 1500);
	guest_rndis_up(&g, 13);
	guest_offloads(&g, WANTED);
	host_nic_knob(g.nic, "batch", "1");
	guest_poll(&g);
	for (i = 0; i < 60; i++) {
		for (k = 0; k < 5; k++, sent++)
			put(&g, 4, 1460, 1, sent * 1460);
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
		start_up(&g);
		g.lies = true;
		CU_ASSERT_EQUAL(host_nic_knob(g.nic, "malformed_rx_kind", kinds[k]), 0);
		host_nic_knob(g.nic, "malformed_rx_pct", "100");
		for (i = 0; i < 4; i++)
			put(&g, 4, payload, 1, i * payload);
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
			put(&g, 4, payload, 1, i * payload);
		guest_poll(&g);
		CU_ASSERT_EQUAL_FATAL(collect(&g, got, 64), 1);
		check_whole(&g, &got[0], 4, 1, 0, 4 * payload);
		guest_poll(&g);
		CU_ASSERT_EQUAL(g.nic->free_n + g.nic->free_control_n, g.sections);
		guest_stop(&g);
	}
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"segments of a flow become one frame", segments_of_a_flow_become_one_frame},
		{"short segments share a section", short_segments_share_a_section},
		{"a coalesced frame can be sent again", a_coalesced_frame_can_be_sent_again},
		{"a frame ends at IP's limit", a_frame_ends_at_ips_limit},
		{"coalesced ranges stay in one packet", coalesced_ranges_stay_in_one_packet},
		{"coalesced ranges do not outgrow a packet",
			coalesced_ranges_do_not_outgrow_a_packet},
		{"other segments are left alone", other_segments_are_left_alone},
		{"acknowledgements are not data", acknowledgements_are_not_data},
		{"newest acknowledgement and any push are kept",
			newest_acknowledgement_and_any_push_are_kept},
		{"frames of two VLANs are two", frames_of_two_vlans_are_two},
		{"order of a channel is kept", order_of_a_channel_is_kept},
		{"padding is not coalesced", padding_is_not_coalesced},
		{"only what the guest enabled is coalesced",
			only_what_the_guest_enabled_is_coalesced},
		{"RSC is offered to who knows it", rsc_is_offered_to_who_knows_it},
		{"a few bytes too many begin another frame",
			a_few_bytes_too_many_begin_another_frame},
		{"random segments come out complete and in order",
			random_segments_come_out_complete_and_in_order},
		{"lost segments are all counted", lost_segments_are_all_counted},
		{"coalesced frames are malformed by the knob",
			coalesced_frames_are_malformed_by_the_knob},
	};

	return UNIT_RUN("host_nic_rsc", tests);
}
