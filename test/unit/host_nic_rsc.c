/* SPDX-License-Identifier: BSD-3-Clause */
/* Receive segment coalescing (spec/rndis.md §4.3): what becomes one frame and what does not. */
#include "test/unit/host_nic_rsc_guest.h"

#define INVALID	 (RNDIS_RX_CSUM_TCP_VALUE_INVALID | RNDIS_RX_CSUM_IP_VALUE_INVALID)
#define VERIFIED (RNDIS_RX_CSUM_IP_OK | RNDIS_RX_CSUM_TCP_OK)

static struct rsc_frame many[341], *const got = many;

static void
segments_of_a_flow_become_one_frame(void)
{
	uint32_t i, version;
	struct guest g;

	rsc_start(&g);
	for (version = 4; version <= 6; version += 2) {
		uint32_t payload = version == 4 ? 1460 : 1440;

		for (i = 0; i < 20; i++)
			rsc_put(&g, version, payload, 1, 1000 + i * payload);
		rsc_put(&g, version, 333, 1, 1000 + 20 * payload);
		guest_poll(&g);
		CU_ASSERT_EQUAL_FATAL(rsc_collect(&g, got, 64), 1);
		rsc_check_whole(&g, &got[0], version, 1, 1000, 20 * payload + 333);
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

	rsc_start(&g);
	for (i = 0; i < 14; i++)
		rsc_put(&g, 4, 100, 1, i * 100);
	guest_poll(&g);
	CU_ASSERT_EQUAL_FATAL(rsc_collect(&g, got, 64), 1);
	CU_ASSERT_EQUAL(got[0].pieces, 1);
	/* A single range needs no mark. */
	CU_ASSERT_EQUAL(got[0].first.present, RNDIS_HAS_CSUM);
	rsc_check_whole(&g, &got[0], 4, 1, 0, 1400);
	/* More than a section, to the byte. */
	for (i = 0; i < 40; i++)
		rsc_put(&g, 4, 100, 1, i * 100);
	guest_poll(&g);
	CU_ASSERT_EQUAL_FATAL(rsc_collect(&g, got, 64), 1);
	CU_ASSERT_EQUAL(got[0].pieces, 3);
	rsc_check_whole(&g, &got[0], 4, 1, 0, 4000);
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

	rsc_start(&g);
	if (rsc_max != NULL)
		CU_ASSERT_EQUAL(host_nic_knob(g.nic, "rsc_max", rsc_max), 0);
	for (i = 0; i < 60; i++)
		rsc_put(&g, 4, 1460, 1, i * 1460);
	guest_poll(&g);
	CU_ASSERT_EQUAL_FATAL(rsc_collect(&g, got, 64), 2);
	rsc_check_whole(&g, &got[0], 4, 1, 0, first * 1460);
	rsc_check_whole(&g, &got[1], 4, 1, first * 1460, (60 - first) * 1460);
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
	guest_start_up(&g, RSC_NIC, 16);
	CU_ASSERT_EQUAL(host_nic_knob(g.nic, "rsc_max", "65550"), -EINVAL);
	guest_stop(&g);
}

static void
coalesced_ranges_stay_in_one_packet(void)
{
	struct guest g;
	uint32_t i;

	rsc_start(&g);
	host_nic_knob(g.nic, "batch", "1");
	for (i = 0; i < 10; i++)
		rsc_put(&g, 4, 1460, 1, i * 1460);
	rsc_put(&g, 4, 1460, 2, 0);
	guest_poll(&g);
	/* rndis_rsc_next() drops what goes on in another packet. */
	CU_ASSERT_EQUAL_FATAL(rsc_collect(&g, got, 64), 2);
	rsc_check_whole(&g, &got[0], 4, 1, 0, 14600);
	guest_stop(&g);
}

/* In a packet that is nearly as long as packets may be. */
static void
coalesced_ranges_do_not_outgrow_a_packet(void)
{
	uint8_t frame[60];
	struct guest g;
	uint32_t i, n;

	rsc_start(&g);
	host_nic_knob(g.nic, "batch", "375");
	for (i = 0; i < 340; i++)
		guest_port_put(&g, frame, guest_make_udp(&g, frame, 60, i));
	host_nic_knob(g.nic, "rsc_max", "65549");
	for (i = 0; i < 44; i++)
		rsc_put(&g, 4, 1460, 1, i * 1460);
	host_nic_poll(g.nic, 400);
	guest_poll(&g);
	CU_ASSERT_PTR_NOT_NULL_FATAL(guest_transfer(&g, 1));
	CU_ASSERT_EQUAL(guest_transfer(&g, 0)->ranges, 340);
	CU_ASSERT_EQUAL(guest_transfer(&g, 1)->ranges, 44);
	n = rsc_collect(&g, many, 341);
	CU_ASSERT_EQUAL_FATAL(n, 341);
	rsc_check_whole(&g, &many[340], 4, 1, 0, 44 * 1460);
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

	rsc_start(&g);
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
	CU_ASSERT_EQUAL_FATAL(rsc_collect(&g, got, 64), 3);
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

	rsc_start(&g);
	rsc_put(&g, 4, 500, 1, 0);
	rsc_put(&g, 4, 0, 1, 500);
	rsc_put(&g, 4, 500, 1, 500);
	guest_poll(&g);
	CU_ASSERT_EQUAL(rsc_collect(&g, got, 64), 3);
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

	rsc_start(&g);
	for (i = 0; i < 3; i++) {
		guest_make_tcp(&g, frame[i], 4, 500, 1, i * 500);
		frame[i][45] = (uint8_t)(10 * i);
		frame[i][49] = (uint8_t)(7 * i); /* window */
		frame[i][47] |= i == 1 ? 0x08 : 0;
		offload_fill(frame[i], 554, &all);
		guest_port_put(&g, frame[i], 554);
	}
	guest_poll(&g);
	CU_ASSERT_EQUAL_FATAL(rsc_collect(&g, got, 64), 1);
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

	rsc_start(&g);
	for (i = 0; i < 4; i++) {
		len = guest_make_tcp(&g, frame, 4, 500, 1, i * 500);
		guest_port_put(&g, frame, guest_tag(frame, len, (uint16_t)(100 + i / 2)));
	}
	rsc_put(&g, 4, 500, 1, 2000);
	guest_poll(&g);
	CU_ASSERT_EQUAL_FATAL(rsc_collect(&g, got, 64), 3);
	for (i = 0; i < 2; i++) {
		rsc_check_whole(&g, &got[i], 4, 1, 1000 * i, 1000);
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

	rsc_start(&g);
	for (i = 0; i < sizeof(flows) / sizeof(flows[0]); i++) {
		rsc_put(&g, 4, 500, flows[i], next[flows[i]]);
		next[flows[i]] += 500;
	}
	guest_port_put(&g, frame, guest_make_udp(&g, frame, 100, 9));
	rsc_put(&g, 4, 500, 2, next[2]);
	guest_poll(&g);
	CU_ASSERT_EQUAL_FATAL(rsc_collect(&g, got, 64), 6);
	rsc_check_whole(&g, &got[0], 4, 1, 0, 1000);
	rsc_check_whole(&g, &got[1], 4, 2, 0, 500);
	rsc_check_whole(&g, &got[2], 4, 1, 1000, 1000);
	rsc_check_whole(&g, &got[3], 4, 2, 500, 1000);
	CU_ASSERT_EQUAL(memcmp(got[4].data, frame, 100), 0);
	rsc_check_whole(&g, &got[5], 4, 2, 1500, 500);
	guest_stop(&g);
}

/* What pads a short frame is not data, unless the frame stays as it is. */
static void
padding_is_not_coalesced(void)
{
	uint8_t frame[64];
	struct guest g;
	uint32_t i;

	rsc_start(&g);
	for (i = 0; i < 3; i++) {
		memset(frame, 0xee, sizeof(frame));
		guest_make_tcp(&g, frame, 4, 2, 1, 2 * i);
		guest_port_put(&g, frame, 60);
	}
	guest_poll(&g);
	CU_ASSERT_EQUAL_FATAL(rsc_collect(&g, got, 64), 1);
	rsc_check_whole(&g, &got[0], 4, 1, 0, 6);
	guest_port_put(&g, frame, 60);
	guest_poll(&g);
	CU_ASSERT_EQUAL_FATAL(rsc_collect(&g, got, 64), 1);
	CU_ASSERT_EQUAL(got[0].len, 60);
	guest_stop(&g);
}

/* @p can of the guest: is anything coalesced? */
static void
check_wanted(uint32_t can, uint32_t version, bool coalesced)
{
	struct guest g;

	rsc_start_wanting(&g, can);
	rsc_put(&g, version, 500, 1, 0);
	rsc_put(&g, version, 500, 1, 500);
	guest_poll(&g);
	CU_ASSERT_EQUAL(rsc_collect(&g, got, 64), coalesced ? 1 : 2);
	guest_stop(&g);
}

static void
only_what_the_guest_enabled_is_coalesced(void)
{
	check_wanted(RSC_WANTED, 4, true);
	check_wanted(RSC_WANTED & ~NDIS_CAN_RSC4, 4, false);
	check_wanted(RSC_WANTED & ~NDIS_CAN_RSC6, 4, true);
	check_wanted(RSC_WANTED & ~NDIS_CAN_RSC6, 6, false);
	/* Nobody can verify the sum of a coalesced frame. */
	check_wanted(RSC_WANTED & ~NDIS_CAN_RX_TCP4, 4, false);
	check_wanted(RSC_WANTED & ~NDIS_CAN_RX_IP4, 4, false);
	check_wanted(NDIS_CAN_RSC4 | NDIS_CAN_RSC6, 4, false);
	check_wanted(RSC_WANTED & ~(NDIS_CAN_RSC4 | NDIS_CAN_RSC6), 4, false);
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

	guest_start(&g, RSC_NIC, 16);
	host_nic_knob(g.nic, "rsc", rsc);
	guest_nvsp_up(&g, version, capabilities, 1500);
	guest_rndis_up(&g, 13);
	CU_ASSERT_EQUAL(
		guest_query(&g, OID_TCP_OFFLOAD_HARDWARE_CAPS, caps, sizeof(caps), &len), 0);
	CU_ASSERT_EQUAL(ndis_parse_offload_caps(caps, len, &offloads), 0);
	CU_ASSERT_EQUAL(offloads.can & both, offered ? both : 0);
	guest_offloads(&g, RSC_WANTED);
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

	rsc_start(&g);
	rsc_put(&g, 4, 1460, 1, 0);
	rsc_put(&g, 4, 45, 1, 1460);
	rsc_put(&g, 4, 10, 1, 1505);
	rsc_put(&g, 4, 10, 1, 1515);
	guest_poll(&g);
	CU_ASSERT_EQUAL_FATAL(rsc_collect(&g, got, 64), 2);
	rsc_check_whole(&g, &got[0], 4, 1, 0, 1505);
	rsc_check_whole(&g, &got[1], 4, 1, 1505, 20);
	guest_stop(&g);
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
	};

	return UNIT_RUN("host_nic_rsc", tests);
}
