/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The books balance: every frame that goes into the host comes out of it or is counted under a name
 * that says why, on each path; and what the statistics OIDs say is what was delivered.
 */
#include "test/unit/host_nic_guest.h"

static const char small[] = "recv=1M,send=256K,channels=4";

/* Frames from the port = frames delivered + drops; and the OIDs agree. */
static void
check_rx(struct guest *g)
{
	const struct host_nic_stats *s = &g->nic->stats;
	const struct nic_oid_count *rcv = g->nic->oid_stats.rcv;

	CU_ASSERT_EQUAL(g->port.in_head,
		s->rx_frames - s->rx_large + s->rx_segments + guest_sum(s, "rx_dropped_"));
	CU_ASSERT_EQUAL(rcv[0].frames + rcv[1].frames + rcv[2].frames, s->rx_frames);
	CU_ASSERT_EQUAL(rcv[0].bytes + rcv[1].bytes + rcv[2].bytes, s->rx_bytes);
}

static void
put(struct guest *g, uint32_t n)
{
	uint8_t frame[60];
	uint32_t i;

	for (i = 0; i < n; i++)
		guest_port_put(g, frame, guest_make_udp(g, frame, 60, i));
}

static void
frames_for_a_guest_that_is_not_there(void)
{
	struct guest g;

	guest_start(&g, small, 16);
	put(&g, 3);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.nic->stats.rx_dropped_not_ready, 3);
	guest_nvsp_up(&g, NVSP_VERSION_61, 0, 1500);
	put(&g, 2);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.nic->stats.rx_dropped_not_ready, 5);
	guest_rndis_up(&g, 0);
	put(&g, 4);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.nic->stats.rx_dropped_filter, 4);
	host_nic_set_link(g.nic, false);
	put(&g, 6);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.nic->stats.rx_dropped_link, 6);
	check_rx(&g);
	guest_stop(&g);
}

static void
frames_that_do_not_fit_or_are_not_wanted(void)
{
	static uint8_t large[1600];
	uint8_t frame[60];
	struct guest g;

	guest_start(&g, small, 16);
	guest_up(&g, RNDIS_FILTER_DIRECTED | RNDIS_FILTER_BROADCAST);
	guest_make_udp(&g, large, sizeof(large), 1);
	guest_port_put(&g, large, 1519);
	guest_port_put(&g, large, 13);
	guest_port_put(&g, large, 1514);
	guest_make_udp(&g, frame, 60, 1);
	memcpy(frame, "\x02\x00\x00\x00\x00\x09", 6);
	guest_port_put(&g, frame, 60);
	memcpy(frame, "\x01\x00\x5e\x00\x00\x09", 6);
	guest_port_put(&g, frame, 60);
	memcpy(frame, "\xff\xff\xff\xff\xff\xff", 6);
	guest_port_put(&g, frame, 60);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.nic->stats.rx_dropped_size, 2);
	CU_ASSERT_EQUAL(g.nic->stats.rx_dropped_filter, 2);
	CU_ASSERT_EQUAL(g.nic->stats.rx_frames, 2);
	CU_ASSERT_EQUAL(g.nic->oid_stats.rcv[0].bytes, 1514);
	CU_ASSERT_EQUAL(g.nic->oid_stats.rcv[2].bytes, 60);
	check_rx(&g);
	guest_stop(&g);
}

static void
receive_oids_do_not_count_what_the_ring_had_no_room_for(void)
{
	uint64_t directed = 0;
	uint32_t i, len;
	struct guest g;

	guest_start(&g, small, 1);
	guest_up(&g, RNDIS_FILTER_DIRECTED);
	host_nic_knob(g.nic, "batch", "1");
	guest_poll(&g);
	put(&g, 200);
	/* The guest does not read. */
	for (i = 0; i < 10; i++)
		host_nic_poll(g.nic, 64);
	CU_ASSERT(g.nic->stats.rx_dropped_ring_full > 100);
	check_rx(&g);
	for (i = 0; i < 10; i++)
		guest_poll(&g);
	CU_ASSERT_EQUAL(
		guest_query(&g, OID_GEN_DIRECTED_FRAMES_RCV, &directed, sizeof(directed), &len),
		RNDIS_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(directed, 200 - g.nic->stats.rx_dropped_ring_full);
	CU_ASSERT_EQUAL(guest_query_word(&g, OID_GEN_RCV_OK), directed);
	guest_stop(&g);
}

static void
frames_without_a_section(void)
{
	struct guest g;
	uint32_t i;

	guest_start(&g, small, 64);
	host_nic_knob(g.nic, "recv_sections", "32");
	guest_up(&g, 13);
	guest_poll(&g);
	g.ack = false;
	put(&g, 100);
	for (i = 0; i < 4; i++)
		guest_poll(&g);
	CU_ASSERT_EQUAL(g.nic->stats.rx_dropped_no_section, 84);
	check_rx(&g);
	guest_stop(&g);
}

static void
frames_for_a_broken_channel(void)
{
	struct guest g;

	guest_start_up(&g, small, 1);
	host_nic_knob(g.nic, "batch", "1");
	/* An index that cannot be is found out when the room known of is used up. */
	atomic_store(&g.in[0].ring.ctl->read_index, 0x7fffffff);
	put(&g, 60);
	host_nic_poll(g.nic, 60);
	CU_ASSERT_EQUAL(g.broken[0], 1);
	CU_ASSERT(g.nic->stats.rx_dropped_channel > 0);
	CU_ASSERT_EQUAL(g.nic->stats.rx_dropped_ring_full, 0);
	put(&g, 2);
	host_nic_poll(g.nic, 64);
	CU_ASSERT_EQUAL(g.nic->stats.rx_frames + g.nic->stats.rx_dropped_channel, 62);
	check_rx(&g);
	guest_stop(&g);
}

static void
messages_spoiled_on_purpose_are_counted(void)
{
	struct guest g;

	guest_start_up(&g, small, 16);
	host_nic_knob(g.nic, "malformed_rx_pct", "50");
	put(&g, 40);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.nic->stats.rx_frames, 40);
	CU_ASSERT_EQUAL(g.nic->stats.rx_spoiled, 20);
	check_rx(&g);
	guest_stop(&g);
}

/* ---- from the guest ---- */

struct books {
	uint64_t messages; /* in sends that were taken */
	uint64_t failed;
};

/* One send of section 0 that holds @p messages frames. */
static void
send(struct guest *g, struct books *b, uint32_t bytes, uint32_t messages)
{
	if (guest_send_first(g, bytes) == NVSP_STATUS_SUCCESS)
		b->messages += messages;
	else
		b->failed++;
}

static void
check_tx(struct guest *g, const struct books *b)
{
	const struct host_nic_stats *s = &g->nic->stats;
	const struct nic_oid_count *xmit = g->nic->oid_stats.xmit;

	CU_ASSERT_EQUAL(b->messages, s->tx_frames + guest_sum(s, "tx_dropped_"));
	CU_ASSERT_EQUAL(g->port.out_n, s->tx_frames - s->tx_large + s->tx_segments);
	CU_ASSERT_EQUAL(b->failed, s->tx_errors);
	CU_ASSERT_EQUAL(guest_sum(s, "tx_refused_"), s->tx_errors);
	CU_ASSERT_EQUAL(xmit[0].frames + xmit[1].frames + xmit[2].frames, s->tx_frames);
	CU_ASSERT_EQUAL(xmit[0].bytes + xmit[1].bytes + xmit[2].bytes, s->tx_bytes);
}

static uint32_t
plain(struct guest *g, uint32_t at, uint32_t flow)
{
	uint8_t frame[60];

	guest_make_udp(g, frame, 60, flow);
	return at + rndis_packet_pad(g->send + at, guest_make_packet(g->send + at, frame, 60), 8);
}

static void
frames_sent_while_the_link_is_down_are_counted(void)
{
	struct books b = {0};
	struct guest g;

	guest_start_up(&g, small, 16);
	send(&g, &b, plain(&g, 0, 1), 1);
	host_nic_set_link(g.nic, false);
	/* Like a cable that is not plugged in: no error of the send. */
	send(&g, &b, plain(&g, plain(&g, 0, 1), 2), 2);
	send(&g, &b, plain(&g, 0, 3), 1);
	CU_ASSERT_EQUAL(b.messages, 4);
	CU_ASSERT_EQUAL(g.nic->stats.tx_dropped_link, 3);
	CU_ASSERT_EQUAL(g.nic->stats.tx_frames, 1);
	CU_ASSERT_EQUAL(guest_query_word(&g, OID_GEN_XMIT_OK), 1);
	host_nic_set_link(g.nic, true);
	send(&g, &b, plain(&g, 0, 4), 1);
	CU_ASSERT_EQUAL(g.nic->stats.tx_frames, 2);
	check_tx(&g, &b);
	guest_stop(&g);
}

/* One message of @p len bytes with a PPI; 0 is left of the frame but its MACs and IP version. */
static uint32_t
with_ppi(struct guest *g, uint32_t type, uint32_t word, uint32_t len)
{
	struct rndis_packet_builder b;
	uint32_t header;
	uint8_t *frame;

	rndis_packet_begin(&b, g->send);
	rndis_packet_add(&b, type, word);
	header = rndis_packet_end(&b, len);
	frame = g->send + header;
	memset(frame, 0, len);
	memcpy(frame + 6, g->config.mac, 6);
	memcpy(frame + 12, "\x08\x00\x45", 3);
	frame[23] = 6;
	frame[46] = 0x50;
	return header + len;
}

static void
every_refused_send_has_a_reason(void)
{
	static const struct guest_range gone[] = {{104, 0, GUEST_PAGES}};
	static const struct guest_range split[] = {{20, 0, 2}, {24, 64, 8}, {60, 0, 10}};
	static const struct guest_range huge[] = {{60000, 0, 4}, {60000, 0, 4}, {60000, 0, 4}};
	static const uint32_t kinds[] = {HOST_REFUSED_STATE, HOST_REFUSED_SECTION,
		HOST_REFUSED_PAGES, HOST_REFUSED_SIZE, HOST_REFUSED_MESSAGES,
		HOST_REFUSED_ALIGNMENT, HOST_REFUSED_HEADER, HOST_REFUSED_MALFORMED,
		HOST_REFUSED_OFFLOAD, HOST_REFUSED_LSO, HOST_REFUSED_CHECKSUM, HOST_REFUSED_CONTROL,
		HOST_REFUSED_KNOB, HOST_REFUSED_ANSWER};
	struct guest_range many[33];
	struct nvsp_message msg;
	struct books b = {0};
	uint32_t i, at = 0;
	struct guest g;

	guest_start(&g, small, 16);
	guest_nvsp_up(&g, NVSP_VERSION_61, NVSP_CAP_8021Q, 1500);
	send(&g, &b, plain(&g, 0, 1), 1); /* STATE: before INITIALIZE */
	guest_rndis_up(&g, 13);
	guest_offloads(&g, NDIS_CAN_TSO4 | NDIS_CAN_TX_TCP4);
	send(&g, &b, g.send_section + 1, 1); /* SECTION */
	for (i = 0; i < 9; i++)
		at = plain(&g, at, i);
	send(&g, &b, at, 9);				/* MESSAGES */
	send(&g, &b, plain(&g, plain(&g, 0, 1), 2), 2); /* well */
	memcpy(g.send + 4, "\x6c", 1);
	memmove(g.send + 0x6c, g.send + 104, 104);
	send(&g, &b, 0x6c + 104, 2); /* ALIGNMENT */
	plain(&g, 0, 1);
	g.send[12] = 200;
	send(&g, &b, 104, 1);							     /* MALFORMED */
	send(&g, &b, with_ppi(&g, RNDIS_PPI_LSO, rndis_lso(100, 54, true), 400), 1); /* OFFLOAD */
	send(&g, &b, with_ppi(&g, RNDIS_PPI_LSO, rndis_lso(10, 34, false), 400), 1); /* LSO */
	send(&g, &b, with_ppi(&g, RNDIS_PPI_LSO, rndis_lso(100, 34, false), 254), 1); /* well: 2 */
	send(&g, &b,
		with_ppi(&g, RNDIS_PPI_CHECKSUM,
			rndis_tx_csum(RNDIS_TX_CSUM_IPV4 | RNDIS_TX_CSUM_TCP, 34), 60),
		1); /* CHECKSUM: the IP header's length is 0 */
	memcpy(g.send, "\x06\0\0\0\x0c\0\0\0\0\0\0\0", 12);
	send(&g, &b, 12, 1); /* CONTROL */
	host_nic_knob(g.nic, "refuse_pct", "100");
	send(&g, &b, plain(&g, 0, 1), 1); /* KNOB */
	host_nic_knob(g.nic, "refuse_pct", "0");
	memcpy(g.send + 44 + 6, "\x02\0\0\0\0\1", 6);
	send(&g, &b, 104, 1); /* a foreign MAC: dropped, not refused */
	/* By pages. */
	for (i = 0; i < 33; i++)
		many[i] = (struct guest_range){8, 8 * i, 2};
	guest_send_pages(&g, 0, NVSP_CHANNEL_DATA, gone, 1, 900);
	memcpy(g.pages + 2 * 4096, g.send, 20);
	memcpy(g.pages + 8 * 4096 + 64, g.send + 20, 24);
	guest_send_pages(&g, 0, NVSP_CHANNEL_DATA, split, 3, 901);
	guest_send_pages(&g, 0, NVSP_CHANNEL_DATA, huge, 3, 902);
	guest_send_pages(&g, 0, NVSP_CHANNEL_DATA, many, 33, 903);
	nvsp_build_rndis(&msg, NVSP_CHANNEL_DATA, 0, 104);
	guest_nvsp(&g, &msg, 904, false); /* ANSWER: none asked for */
	guest_poll(&g);
	for (i = 900; i < 904; i++)
		CU_ASSERT_EQUAL(guest_status(&g, i), NVSP_STATUS_FAILURE);
	b.failed += 5;
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		CU_ASSERT_EQUAL(g.nic->stats.tx_refused[kinds[i]], 1);
	CU_ASSERT_EQUAL(g.nic->stats.tx_refused[HOST_REFUSED_RANGES], 1);
	CU_ASSERT_EQUAL(g.nic->stats.tx_dropped_spoof, 1);
	CU_ASSERT_EQUAL(b.failed, HOST_REFUSALS);
	check_tx(&g, &b);
	guest_stop(&g);
}

/* Frames by every way that is counted; then all of it through the OIDs. */
static void
statistics_oids_say_what_happened(void)
{
	static const uint8_t group[6] = {0x01, 0, 0x5e, 0, 0, 1};
	struct ndis_statistics all;
	static uint8_t large[1600];
	struct books b = {0};
	uint8_t frame[60];
	uint64_t wide = 0;
	uint32_t len, i;
	struct guest g;

	guest_start(&g, small, 1);
	guest_up(&g, RNDIS_FILTER_DIRECTED | RNDIS_FILTER_ALL_MULTICAST | RNDIS_FILTER_BROADCAST);
	put(&g, 5);
	for (i = 0; i < 2; i++) {
		guest_make_udp(&g, frame, 60, 1);
		memcpy(frame, group, 6);
		if (i == 1)
			memset(frame, 0xff, 6);
		guest_port_put(&g, frame, 60);
	}
	guest_make_udp(&g, large, sizeof(large), 1);
	guest_port_put(&g, large, 1519);
	guest_poll(&g);
	send(&g, &b, plain(&g, plain(&g, 0, 1), 2), 2);
	send(&g, &b, g.send_section + 1, 1);
	plain(&g, 0, 1);
	memcpy(g.send + 44 + 6, "\x02\0\0\0\0\1", 6);
	send(&g, &b, 104, 1);
	host_nic_knob(g.nic, "recv_sections", "0");
	host_nic_knob(g.nic, "batch", "1");
	put(&g, 200);
	for (i = 0; i < 10; i++)
		host_nic_poll(g.nic, 64);
	for (i = 0; i < 10; i++)
		guest_poll(&g);
	CU_ASSERT(g.nic->stats.rx_dropped_ring_full > 0);
	CU_ASSERT_EQUAL(guest_query(&g, OID_GEN_STATISTICS, &all, sizeof(all), &len), 0);
	CU_ASSERT_EQUAL_FATAL(len, sizeof(all));
	CU_ASSERT_EQUAL(all.h.type, NDIS_OBJECT_DEFAULT);
	CU_ASSERT_EQUAL(all.h.size, sizeof(all));
	CU_ASSERT_EQUAL(all.in_discards, g.nic->stats.rx_dropped_ring_full);
	CU_ASSERT_EQUAL(all.in_frames.directed, 205 - all.in_discards);
	CU_ASSERT_EQUAL(all.in_frames.multicast, 1);
	CU_ASSERT_EQUAL(all.in_frames.broadcast, 1);
	CU_ASSERT_EQUAL(all.in_bytes.directed, all.in_frames.directed * 60);
	CU_ASSERT_EQUAL(all.in_bytes.broadcast, 60);
	CU_ASSERT_EQUAL(all.in_octets, all.in_bytes.directed + 120);
	CU_ASSERT_EQUAL(all.in_errors, 1);
	CU_ASSERT_EQUAL(all.out_frames.directed, 2);
	CU_ASSERT_EQUAL(all.out_octets, 120);
	CU_ASSERT_EQUAL(all.out_bytes.directed, 120);
	CU_ASSERT_EQUAL(all.out_errors, 1);
	CU_ASSERT_EQUAL(all.out_discards, 1);
	CU_ASSERT_EQUAL(guest_query_word(&g, OID_GEN_XMIT_OK), 2);
	CU_ASSERT_EQUAL(guest_query_word(&g, OID_GEN_XMIT_ERROR), 1);
	CU_ASSERT_EQUAL(guest_query_word(&g, OID_GEN_RCV_ERROR), 1);
	CU_ASSERT_EQUAL(guest_query_word(&g, OID_GEN_RCV_NO_BUFFER), all.in_discards);
	/* Who has room for eight bytes gets all of a counter that four do not hold. */
	g.nic->stats.rx_frames += UINT64_C(1) << 32;
	CU_ASSERT_EQUAL(guest_query_word(&g, OID_GEN_RCV_OK), 207 - all.in_discards);
	CU_ASSERT_EQUAL(guest_query_sized(&g, OID_GEN_RCV_OK, 8, &wide, sizeof(wide), &len), 0);
	CU_ASSERT_EQUAL(len, 8);
	CU_ASSERT_EQUAL(wide, 207 - all.in_discards + (UINT64_C(1) << 32));
	/* Another host begins at 0; what hvsim itself tells goes on. */
	CU_ASSERT_EQUAL(host_nic_knob(g.nic, "oid_restart", "0"), -EINVAL);
	CU_ASSERT_EQUAL(host_nic_knob(g.nic, "oid_restart", "1"), 0);
	for (i = OID_GEN_XMIT_OK; i <= OID_GEN_RCV_NO_BUFFER; i++)
		CU_ASSERT_EQUAL(guest_query_word(&g, i), 0);
	CU_ASSERT_EQUAL(guest_query(&g, OID_GEN_STATISTICS, &all, sizeof(all), &len), 0);
	CU_ASSERT_EQUAL(all.in_octets + all.out_octets + all.in_discards + all.out_errors, 0);
	CU_ASSERT_EQUAL(all.in_frames.directed + all.out_frames.directed, 0);
	CU_ASSERT(g.nic->stats.rx_frames > UINT64_C(1) << 32);
	/* Hosts that have none say so, one by one and in their list. */
	host_nic_knob(g.nic, "oid_stats", "0");
	for (i = OID_GEN_XMIT_OK; i <= OID_GEN_STATISTICS; i++)
		CU_ASSERT_EQUAL(
			guest_query(&g, i, &all, sizeof(all), &len), RNDIS_STATUS_NOT_SUPPORTED);
	CU_ASSERT_EQUAL(guest_query(&g, OID_GEN_BYTES_XMIT, &all, sizeof(all), &len),
		RNDIS_STATUS_NOT_SUPPORTED);
	guest_query(&g, OID_GEN_SUPPORTED_LIST, large, sizeof(large), &len);
	CU_ASSERT(len > 100);
	for (i = 0; i < len; i += 4)
		CU_ASSERT(vmbus_load32(large + i) == OID_GEN_FRIENDLY_NAME ||
			  vmbus_load32(large + i) >> 16 != 2);
	guest_stop(&g);
}

static void
link_speed_up_to_400_gbit(void)
{
	static const uint32_t mbps[] = {100, 10000, 200000, 400000};
	struct ndis_link_speed speed;
	uint8_t state[64];
	uint64_t bps;
	uint32_t len;
	char text[16];
	struct guest g;
	size_t i;
	bool up;

	guest_start_up(&g, small, 16);
	for (i = 0; i < sizeof(mbps) / sizeof(mbps[0]); i++) {
		snprintf(text, sizeof(text), "%u", mbps[i]);
		CU_ASSERT_EQUAL(host_nic_knob(g.nic, "link_mbps", text), 0);
		guest_poll(&g);
		CU_ASSERT_EQUAL(guest_query_word(&g, OID_GEN_LINK_SPEED), mbps[i] * 10000u);
		CU_ASSERT_EQUAL(
			guest_query(&g, OID_GEN_MAX_LINK_SPEED, &speed, sizeof(speed), &len), 0);
		CU_ASSERT_EQUAL(speed.tx, mbps[i] * UINT64_C(1000000));
		CU_ASSERT_EQUAL(speed.rx, speed.tx);
		CU_ASSERT_EQUAL(guest_query(&g, OID_GEN_LINK_STATE, state, sizeof(state), &len), 0);
		CU_ASSERT_EQUAL(ndis_parse_link_state(state, len, &up, &bps), 0);
		CU_ASSERT(up && bps == speed.rx);
	}
	host_nic_set_link(g.nic, false);
	guest_poll(&g);
	guest_query(&g, OID_GEN_LINK_STATE, state, sizeof(state), &len);
	CU_ASSERT_EQUAL(ndis_parse_link_state(state, len, &up, &bps), 0);
	CU_ASSERT(!up);
	guest_stop(&g);
}

static void
every_counter_has_a_name_of_its_own(void)
{
	const struct host_counter *lists[] = {host_nic_counters, host_port_counters}, *c, *d;
	size_t n;

	for (size_t i = 0; i < 2; i++)
		for (c = lists[i]; c->name != NULL; c++)
			for (d = lists[i]; d != c; d++) {
				CU_ASSERT_NOT_EQUAL(strcmp(c->name, d->name), 0);
				CU_ASSERT_NOT_EQUAL(c->offset, d->offset);
			}
	/* None is left out: a new member needs a line in nic_stats.c. */
	for (n = 0, c = host_nic_counters; c->name != NULL; c++)
		n += sizeof(uint64_t);
	CU_ASSERT_EQUAL(n, sizeof(struct host_nic_stats));
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"frames for a guest that is not there", frames_for_a_guest_that_is_not_there},
		{"frames that do not fit or are not wanted",
			frames_that_do_not_fit_or_are_not_wanted},
		{"receive OIDs do not count what the ring had no room for",
			receive_oids_do_not_count_what_the_ring_had_no_room_for},
		{"frames without a section", frames_without_a_section},
		{"frames for a broken channel", frames_for_a_broken_channel},
		{"messages spoiled on purpose are counted",
			messages_spoiled_on_purpose_are_counted},
		{"frames sent while the link is down are counted",
			frames_sent_while_the_link_is_down_are_counted},
		{"every refused send has a reason", every_refused_send_has_a_reason},
		{"statistics OIDs say what happened", statistics_oids_say_what_happened},
		{"link speed up to 400 Gbit/s", link_speed_up_to_400_gbit},
		{"every counter has a name of its own", every_counter_has_a_name_of_its_own},
	};

	return UNIT_RUN("host_nic_accounts", tests);
}
