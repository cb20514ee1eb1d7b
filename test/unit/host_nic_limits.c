/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Limits that the host announced are enforced (spec/hosts.md §2): a send that breaks one is refused
 * as a whole and counted under its reason; with lenient=on it passes. One guest's sends are bounded
 * work per poll.
 */
#include "test/unit/host_nic_guest.h"

static const char strict[] = "recv=1M,send=256K,channels=4";

static void
check_status(uint32_t status, bool taken)
{
	CU_ASSERT_EQUAL(status, taken ? NVSP_STATUS_SUCCESS : NVSP_STATUS_FAILURE);
}

/* Send @p bytes of section 0. @return frames that came out, with the status checked */
static uint32_t
send_section(struct guest *g, uint32_t bytes, bool taken)
{
	g->port.out_n = 0;
	check_status(guest_send_first(g, bytes), taken);
	return g->port.out_n;
}

static uint32_t
send_ranges(struct guest *g, const struct guest_range *ranges, uint32_t n, bool taken)
{
	g->port.out_n = 0;
	guest_send_pages(g, 0, NVSP_CHANNEL_DATA, ranges, n, g->next_tid);
	guest_poll(g);
	check_status(guest_status(g, g->next_tid++), taken);
	return g->port.out_n;
}

/* @p n frames of @p len bytes in section 0; padded to 8 but the last. */
static uint32_t
messages(struct guest *g, uint32_t n, uint32_t len, bool pad)
{
	uint32_t i, at = 0, bytes;
	uint8_t frame[100];

	for (i = 0; i < n; i++) {
		guest_make_udp(g, frame, len, i);
		bytes = guest_make_packet(g->send + at, frame, len);
		at += pad && i + 1 < n ? rndis_packet_pad(g->send + at, bytes, 8) : bytes;
	}
	return at;
}

static uint64_t
refused(const struct guest *g, enum host_refusal why)
{
	return g->nic->stats.tx_refused[why];
}

/* HALT, then INITIALIZE: the host announces what the knobs say now. */
static void
initialize_again(struct guest *g)
{
	static const uint8_t halt[12] = {3, 0, 0, 0, 12};
	uint32_t len;

	guest_request(g, halt, sizeof(halt), 0, &len);
	guest_rndis_up(g, 13);
}

static void
more_messages_than_announced_are_refused(void)
{
	struct guest g;

	guest_start_up(&g, strict, 16);
	CU_ASSERT_EQUAL(send_section(&g, messages(&g, 8, 60, true), true), 8);
	CU_ASSERT_EQUAL(send_section(&g, messages(&g, 9, 60, true), false), 0);
	CU_ASSERT_EQUAL(refused(&g, HOST_REFUSED_MESSAGES), 1);
	/* What was announced to this guest counts. */
	host_nic_knob(g.nic, "max_messages", "0");
	CU_ASSERT_EQUAL(send_section(&g, messages(&g, 8, 60, true), true), 8);
	/* N = 0 is read as 1 (spec/rndis.md §2). */
	initialize_again(&g);
	CU_ASSERT_EQUAL(send_section(&g, messages(&g, 1, 60, true), true), 1);
	CU_ASSERT_EQUAL(send_section(&g, messages(&g, 2, 60, true), false), 0);
	CU_ASSERT_EQUAL(refused(&g, HOST_REFUSED_MESSAGES), 2);
	host_nic_knob(g.nic, "lenient", "1");
	CU_ASSERT_EQUAL(send_section(&g, messages(&g, 9, 60, true), true), 9);
	CU_ASSERT_EQUAL(g.nic->stats.tx_errors, 2);
	guest_stop(&g);
}

static void
more_than_32_page_ranges_are_refused(void)
{
	struct guest_range ranges[33];
	uint8_t frame[320], stream[400];
	uint32_t i, len;
	struct guest g;

	guest_start_up(&g, strict, 16);
	guest_make_udp(&g, frame, sizeof(frame), 1);
	len = guest_make_packet(stream, frame, sizeof(frame));
	memcpy(g.pages + 2 * 4096, stream, len);
	/* Header, then 31 or 32 pieces of 10 bytes. */
	ranges[0] = (struct guest_range){44 + 10, 0, 2};
	for (i = 1; i < 32; i++)
		ranges[i] = (struct guest_range){10, 44 + 10 * i, 2};
	CU_ASSERT_EQUAL(send_ranges(&g, ranges, 32, true), 1);
	CU_ASSERT_EQUAL(memcmp(g.port.out[0].data, frame, sizeof(frame)), 0);
	ranges[31].count = 5;
	ranges[32] = (struct guest_range){5, 44 + 315, 2};
	CU_ASSERT_EQUAL(send_ranges(&g, ranges, 33, false), 0);
	CU_ASSERT_EQUAL(refused(&g, HOST_REFUSED_RANGES), 1);
	host_nic_knob(g.nic, "lenient", "1");
	CU_ASSERT_EQUAL(send_ranges(&g, ranges, 33, true), 1);
	CU_ASSERT_EQUAL(memcmp(g.port.out[0].data, frame, sizeof(frame)), 0);
	CU_ASSERT_EQUAL(g.nic->stats.tx_errors, 1);
	guest_stop(&g);
}

static void
more_bytes_than_the_transfer_size_are_refused(void)
{
	struct rndis_initialize_complete c;
	const uint8_t *answer;
	uint8_t msg[64];
	uint32_t len = 0;
	struct guest g;

	guest_start(&g, strict, 16);
	CU_ASSERT_EQUAL(host_nic_knob(g.nic, "max_transfer", "400"), 0);
	guest_nvsp_up(&g, NVSP_VERSION_61, 0, 1500);
	rndis_build_initialize(msg, sizeof(msg), 1, 0x4000);
	answer = guest_request(&g, msg, 24, RNDIS_TYPE_INITIALIZE_CMPLT, &len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(answer);
	memcpy(&c, answer, sizeof(c));
	CU_ASSERT_EQUAL(c.max_transfer_size, 400);
	CU_ASSERT_EQUAL(send_section(&g, messages(&g, 3, 60, true), true), 3);
	CU_ASSERT_EQUAL(send_section(&g, messages(&g, 4, 60, true), false), 0);
	CU_ASSERT_EQUAL(refused(&g, HOST_REFUSED_SIZE), 1);
	host_nic_knob(g.nic, "lenient", "1");
	CU_ASSERT_EQUAL(send_section(&g, messages(&g, 4, 60, true), true), 4);
	guest_stop(&g);
}

static void
messages_that_are_not_aligned_are_refused(void)
{
	struct guest g;

	guest_start_up(&g, strict, 16);
	CU_ASSERT_EQUAL(send_section(&g, messages(&g, 2, 61, true), true), 2);
	/* The last needs no padding. */
	CU_ASSERT_EQUAL(send_section(&g, messages(&g, 1, 61, false), true), 1);
	CU_ASSERT_EQUAL(send_section(&g, messages(&g, 2, 61, false), false), 0);
	CU_ASSERT_EQUAL(refused(&g, HOST_REFUSED_ALIGNMENT), 1);
	host_nic_knob(g.nic, "align_factor", "0");
	initialize_again(&g);
	CU_ASSERT_EQUAL(send_section(&g, messages(&g, 2, 61, false), true), 2);
	host_nic_knob(g.nic, "align_factor", "3");
	initialize_again(&g);
	CU_ASSERT_EQUAL(send_section(&g, messages(&g, 2, 61, false), false), 0);
	host_nic_knob(g.nic, "lenient", "1");
	CU_ASSERT_EQUAL(send_section(&g, messages(&g, 2, 61, false), true), 2);
	CU_ASSERT_EQUAL(g.nic->stats.tx_errors, 2);
	guest_stop(&g);
}

/* A frame with one PPI in section 0: @p version 4 or 6, @p proto at its place, 300 bytes payload.
 */
static uint32_t
offload_message(struct guest *g, uint32_t version, uint8_t proto, uint32_t type, uint32_t word)
{
	uint32_t l4 = version == 4 ? 34 : 54, len = l4 + 20 + 300, header;
	struct rndis_packet_builder b;
	uint8_t *frame;

	rndis_packet_begin(&b, g->send);
	rndis_packet_add(&b, type, word);
	header = rndis_packet_end(&b, len);
	frame = g->send + header;
	memset(frame, 0, len);
	memcpy(frame + 6, g->config.mac, 6);
	if (version == 4) {
		memcpy(frame + 12, "\x08\x00\x45", 3);
		frame[16] = (uint8_t)((len - 14) >> 8);
		frame[17] = (uint8_t)(len - 14);
		frame[23] = proto;
	} else {
		memcpy(frame + 12, "\x86\xdd\x60", 3);
		frame[18] = (uint8_t)((len - l4) >> 8);
		frame[19] = (uint8_t)(len - l4);
		frame[20] = proto;
	}
	frame[l4 + 12] = 0x50;
	return header + len;
}

static void
offloads_that_were_never_enabled_are_refused(void)
{
	static const struct {
		uint32_t can, version, type, word, frames;
		uint8_t proto;
	} asks[] = {
		{NDIS_CAN_TX_IP4, 4, RNDIS_PPI_CHECKSUM, RNDIS_TX_CSUM_IPV4 | RNDIS_TX_CSUM_IP_HDR,
			1, 6},
		{NDIS_CAN_TX_TCP4, 4, RNDIS_PPI_CHECKSUM, RNDIS_TX_CSUM_IPV4 | RNDIS_TX_CSUM_TCP, 1,
			6},
		{NDIS_CAN_TX_UDP4, 4, RNDIS_PPI_CHECKSUM, RNDIS_TX_CSUM_IPV4 | RNDIS_TX_CSUM_UDP, 1,
			17},
		{NDIS_CAN_TX_TCP6, 6, RNDIS_PPI_CHECKSUM, RNDIS_TX_CSUM_IPV6 | RNDIS_TX_CSUM_TCP, 1,
			6},
		{NDIS_CAN_TX_UDP6, 6, RNDIS_PPI_CHECKSUM, RNDIS_TX_CSUM_IPV6 | RNDIS_TX_CSUM_UDP, 1,
			17},
		{NDIS_CAN_TSO4, 4, RNDIS_PPI_LSO, 0, 3, 6},
		{NDIS_CAN_TSO6, 6, RNDIS_PPI_LSO, RNDIS_LSO_IPV6, 3, 6},
	};
	uint32_t len, word, i, all = NDIS_CAN_ALL & ~(NDIS_CAN_RSC4 | NDIS_CAN_RSC6);
	struct guest g;

	guest_start_up(&g, strict, 16);
	for (i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
		uint32_t l4 = asks[i].version == 4 ? 34 : 54;

		word = asks[i].type == RNDIS_PPI_LSO
			       ? rndis_lso(100, l4, asks[i].word & RNDIS_LSO_IPV6)
			       : rndis_tx_csum(asks[i].word, l4);
		len = offload_message(&g, asks[i].version, asks[i].proto, asks[i].type, word);
		/* All others are on, then only this one. */
		guest_offloads(&g, all & ~asks[i].can);
		CU_ASSERT_EQUAL(send_section(&g, len, false), 0);
		CU_ASSERT_EQUAL(refused(&g, HOST_REFUSED_OFFLOAD), i + 1);
		guest_offloads(&g, asks[i].can);
		CU_ASSERT_EQUAL(send_section(&g, len, true), asks[i].frames);
		CU_ASSERT_EQUAL(refused(&g, HOST_REFUSED_OFFLOAD), i + 1);
		guest_offloads(&g, 0);
		host_nic_knob(g.nic, "lenient", "1");
		CU_ASSERT_EQUAL(send_section(&g, len, true), asks[i].frames);
		host_nic_knob(g.nic, "lenient", "0");
	}
	/* Neither or both IP versions: nothing is asked for (spec/rndis.md §4.1). */
	len = offload_message(&g, 4, 6, RNDIS_PPI_CHECKSUM, rndis_tx_csum(RNDIS_TX_CSUM_TCP, 34));
	CU_ASSERT_EQUAL(send_section(&g, len, true), 1);
	guest_stop(&g);
}

static void
offloads_do_not_outlive_the_guest_that_enabled_them(void)
{
	struct guest g;
	uint32_t len;

	guest_start_up(&g, strict, 16);
	guest_offloads(&g, NDIS_CAN_TX_TCP4);
	len = offload_message(&g, 4, 6, RNDIS_PPI_CHECKSUM,
		rndis_tx_csum(RNDIS_TX_CSUM_IPV4 | RNDIS_TX_CSUM_TCP, 34));
	CU_ASSERT_EQUAL(send_section(&g, len, true), 1);
	initialize_again(&g);
	CU_ASSERT_EQUAL(send_section(&g, len, false), 0);
	CU_ASSERT_EQUAL(refused(&g, HOST_REFUSED_OFFLOAD), 1);
	guest_stop(&g);
}

/* spec/rndis.md §4.1: below NVSP 5 it is not offered, and asking for it changes nothing. */
static void
udp_checksums_below_nvsp_5_are_refused(void)
{
	struct guest g;
	uint32_t len;

	guest_start(&g, strict, 16);
	guest_nvsp_up(&g, NVSP_VERSION_4, NVSP_CAP_8021Q, 1500);
	guest_rndis_up(&g, 13);
	guest_offloads(&g, NDIS_CAN_ALL);
	len = offload_message(&g, 4, 17, RNDIS_PPI_CHECKSUM,
		rndis_tx_csum(RNDIS_TX_CSUM_IPV4 | RNDIS_TX_CSUM_UDP, 34));
	CU_ASSERT_EQUAL(send_section(&g, len, false), 0);
	CU_ASSERT_EQUAL(refused(&g, HOST_REFUSED_OFFLOAD), 1);
	len = offload_message(&g, 4, 6, RNDIS_PPI_CHECKSUM,
		rndis_tx_csum(RNDIS_TX_CSUM_IPV4 | RNDIS_TX_CSUM_TCP, 34));
	CU_ASSERT_EQUAL(send_section(&g, len, true), 1);
	guest_stop(&g);
}

static void
checksums_of_headers_that_are_not_there_are_refused(void)
{
	static const struct {
		uint32_t version, flags, l4;
		uint8_t proto;
	} asks[] = {
		{6, RNDIS_TX_CSUM_IPV4 | RNDIS_TX_CSUM_IP_HDR, 0, 6}, /* it is IPv6 */
		{4, RNDIS_TX_CSUM_IPV6 | RNDIS_TX_CSUM_TCP, 54, 6},
		{4, RNDIS_TX_CSUM_IPV4 | RNDIS_TX_CSUM_TCP, 33, 6},  /* inside of the IP header */
		{4, RNDIS_TX_CSUM_IPV4 | RNDIS_TX_CSUM_TCP, 340, 6}, /* 14 bytes are left */
		{4, RNDIS_TX_CSUM_IPV4 | RNDIS_TX_CSUM_UDP, 350, 17},
	};
	struct guest g;
	uint32_t i, len;

	guest_start_up(&g, strict, 16);
	guest_offloads(&g, NDIS_CAN_ALL);
	for (i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
		len = offload_message(&g, asks[i].version, asks[i].proto, RNDIS_PPI_CHECKSUM,
			rndis_tx_csum(asks[i].flags, asks[i].l4));
		CU_ASSERT_EQUAL(send_section(&g, len, false), 0);
		CU_ASSERT_EQUAL(g.nic->stats.tx_errors, i + 1);
	}
	CU_ASSERT_EQUAL(
		refused(&g, HOST_REFUSED_CHECKSUM) + refused(&g, HOST_REFUSED_MALFORMED), i);
	CU_ASSERT(refused(&g, HOST_REFUSED_CHECKSUM) >= 2);
	guest_stop(&g);
}

static void
a_tiny_mss_is_refused(void)
{
	struct guest g;
	uint32_t len;

	guest_start_up(&g, strict, 16);
	guest_offloads(&g, NDIS_CAN_TSO4);
	len = offload_message(&g, 4, 6, RNDIS_PPI_LSO, rndis_lso(63, 34, false));
	CU_ASSERT_EQUAL(send_section(&g, len, false), 0);
	CU_ASSERT_EQUAL(refused(&g, HOST_REFUSED_LSO), 1);
	/* Also where limits are not looked at: this one protects the host. */
	host_nic_knob(g.nic, "lenient", "1");
	CU_ASSERT_EQUAL(send_section(&g, len, false), 0);
	len = offload_message(&g, 4, 6, RNDIS_PPI_LSO, rndis_lso(64, 34, false));
	CU_ASSERT_EQUAL(send_section(&g, len, true), 5);
	guest_stop(&g);
}

static void
a_foreign_source_mac_is_dropped_and_counted(void)
{
	static const uint8_t config[72] = {20, 0, 0, 0, 28, 0, 0, 0, 2, 0, 0, 0, 48, 0, 0, 0, 24, 0,
		0, 0, 'N', 0, 'e', 0, 't', 0, 'w', 0, 'o', 0, 'r', 0, 'k', 0, 'A', 0, 'd', 0, 'd',
		0, 'r', 0, 'e', 0, 's', 0, 's', 0, '0', 0, '2', 0, '0', 0, '0', 0, '0', 0, '0', 0,
		'0', 0, '0', 0, '0', 0, '0', 0, '0', 0, '7', 0};
	uint8_t frame[60];
	struct guest g;
	uint32_t len;

	guest_start_up(&g, strict, 16);
	guest_make_udp(&g, frame, 60, 1);
	memcpy(frame + 6, "\x02\x00\x00\x00\x00\x07", 6);
	len = guest_make_packet(g.send, frame, 60);
	/* Not an error of the send: what is lost on the way is not reported. */
	CU_ASSERT_EQUAL(send_section(&g, len, true), 0);
	CU_ASSERT_EQUAL(g.nic->stats.tx_dropped_spoof, 1);
	CU_ASSERT_EQUAL(g.nic->stats.tx_frames, 0);
	CU_ASSERT_EQUAL(guest_query_word(&g, OID_GEN_XMIT_OK), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(g.complaint, "spoof=on"));
	CU_ASSERT_EQUAL(host_nic_knob(g.nic, "spoof", "1"), 0);
	CU_ASSERT_EQUAL(send_section(&g, len, true), 1);
	CU_ASSERT_EQUAL(host_nic_knob(g.nic, "spoof", "0"), 0);
	/* An address that the guest gave itself over RNDIS is its own. */
	CU_ASSERT_EQUAL(guest_set(&g, OID_GEN_RNDIS_CONFIG_PARAMETER, config, sizeof(config)),
		RNDIS_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(send_section(&g, len, true), 1);
	CU_ASSERT_EQUAL(g.nic->stats.tx_dropped_spoof, 1);
	guest_stop(&g);

	guest_start_up(&g, "recv=1M,send=256K,spoof=on", 16);
	memcpy(g.send, "\0", 1);
	len = guest_make_packet(g.send, frame, 60);
	CU_ASSERT_EQUAL(send_section(&g, len, true), 1);
	guest_stop(&g);
}

static void
the_log_is_told_once_in_ten_seconds(void)
{
	struct guest g;
	uint32_t len, i;

	guest_start_up(&g, strict, 16);
	len = messages(&g, 9, 60, true);
	for (i = 0; i < 100; i++)
		send_section(&g, len, false);
	CU_ASSERT_EQUAL(g.complaints, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(g.complaint, "refused: 1, more messages"));
	/* Another kind is told at once. */
	send_section(&g, messages(&g, 2, 61, false), false);
	CU_ASSERT_EQUAL(g.complaints, 2);
	/* A sleeping host wakes up for the rest. */
	CU_ASSERT(host_nic_deadline(g.nic) <= UINT64_C(10000000000));
	/* Ten seconds later: how many there were meanwhile. */
	g.nic->complaints[HOST_REFUSED_MESSAGES].said_ns -= UINT64_C(10000000000);
	CU_ASSERT_EQUAL(host_nic_deadline(g.nic), 0);
	guest_poll(&g);
	CU_ASSERT_EQUAL(host_nic_deadline(g.nic), UINT64_MAX);
	CU_ASSERT_EQUAL(g.complaints, 3);
	CU_ASSERT_PTR_NOT_NULL(strstr(g.complaint, "refused: 99, more messages"));
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.complaints, 3);
	guest_stop(&g);
}

/* A frame of 60,000 bytes to be cut, in pages 4 and following. */
static struct guest_range
large_send(struct guest *g, uint32_t mss)
{
	struct rndis_packet_builder b;
	uint8_t *msg = g->pages + 4 * 4096;
	uint32_t header;

	rndis_packet_begin(&b, msg);
	rndis_packet_add(&b, RNDIS_PPI_LSO, rndis_lso(mss, 34, false));
	header = rndis_packet_end(&b, 54 + 60000);
	memset(msg + header, 0, 54);
	memcpy(msg + header + 6, g->config.mac, 6);
	memcpy(msg + header + 12, "\x08\x00\x45", 3);
	msg[header + 23] = 6;
	msg[header + 46] = 0x50;
	return (struct guest_range){header + 54 + 60000, 0, 4};
}

static void
segment_floods_are_bounded_work_per_poll(void)
{
	uint32_t i, polls = 0, most = 0, total = 0, done = 0;
	struct guest_range range;
	struct guest g;

	guest_start_up(&g, strict, 16);
	guest_offloads(&g, NDIS_CAN_TSO4);
	range = large_send(&g, 64);
	for (i = 0; i < 64; i++)
		CU_ASSERT_EQUAL(guest_send_pages(&g, 0, NVSP_CHANNEL_DATA, &range, 1, 5000 + i), 0);
	for (; done < 64 && polls < 1000; polls++) {
		g.port.out_n = 0;
		guest_poll(&g);
		most = g.port.out_n > most ? g.port.out_n : most;
		total += g.port.out_n;
		for (i = 0; i < g.packets_n; i++)
			done += g.packets[i].desc.type == VMBUS_PACKET_COMPLETION;
	}
	CU_ASSERT_EQUAL(done, 64);
	CU_ASSERT_EQUAL(total, 64 * 938);
	CU_ASSERT(most <= NIC_TURN_COST / NIC_FRAME_COST + 938);
	CU_ASSERT_EQUAL(g.nic->stats.tx_segments, 64 * 938);
	CU_ASSERT_EQUAL(g.nic->stats.tx_large, 64);
	guest_stop(&g);
}

static void
large_sends_are_bounded_work_per_poll(void)
{
	uint32_t i, polls, done = 0, most = 0, n;
	struct guest_range range;
	struct guest g;

	guest_start_up(&g, strict, 16);
	guest_offloads(&g, NDIS_CAN_TSO4);
	range = large_send(&g, 1446);
	for (i = 0; i < 64; i++)
		guest_send_pages(&g, 0, NVSP_CHANNEL_DATA, &range, 1, 5000 + i);
	for (polls = 0; done < 64 && polls < 1000; polls++) {
		guest_poll(&g);
		for (i = n = 0; i < g.packets_n; i++)
			n += g.packets[i].desc.type == VMBUS_PACKET_COMPLETION;
		most = n > most ? n : most;
		done += n;
	}
	CU_ASSERT_EQUAL(done, 64);
	CU_ASSERT(most <= NIC_TURN_COST / 60000 + 1);
	guest_stop(&g);
}

static void
a_flooded_channel_starves_no_other(void)
{
	struct guest_range range;
	uint32_t i;
	struct guest g;

	guest_start(&g, strict, 16);
	g.open_at_once = true;
	guest_up(&g, 13);
	guest_offloads(&g, NDIS_CAN_TSO4);
	guest_subchannels(&g, 1);
	range = large_send(&g, 64);
	for (i = 0; i < 60; i++)
		guest_send_pages(&g, 0, NVSP_CHANNEL_DATA, &range, 1, 5000 + i);
	guest_send_section(&g, 1, 0, messages(&g, 1, 60, true), 77);
	for (i = 0; i < 2; i++) {
		g.port.out_n = 0;
		guest_poll(&g);
		if (guest_completion(&g, 77) != NULL)
			break;
	}
	CU_ASSERT(i < 2);
	guest_stop(&g);
}

/* One channel's sends took the places of another one's. */
static void
sends_in_flight_are_counted_by_channel(void)
{
	struct guest g;
	uint32_t i, len;

	guest_start(&g, strict, 16);
	g.open_at_once = true;
	guest_up(&g, 13);
	guest_subchannels(&g, 1);
	CU_ASSERT_EQUAL(host_nic_knob(g.nic, "tx_inflight", "4"), 0);
	len = messages(&g, 1, 60, true);
	for (i = 0; i < 5; i++) {
		guest_send_section(&g, 0, 0, len, 100 + i);
		guest_send_section(&g, 1, 0, len, 200 + i);
	}
	guest_poll(&g);
	for (i = 0; i < 5; i++) {
		CU_ASSERT_EQUAL(guest_completion(&g, 100 + i) != NULL, i < 4);
		CU_ASSERT_EQUAL(guest_completion(&g, 200 + i) != NULL, i < 4);
	}
	guest_poll(&g);
	CU_ASSERT_PTR_NOT_NULL(guest_completion(&g, 104));
	CU_ASSERT_PTR_NOT_NULL(guest_completion(&g, 204));
	guest_stop(&g);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"more messages than announced are refused",
			more_messages_than_announced_are_refused},
		{"more than 32 page ranges are refused", more_than_32_page_ranges_are_refused},
		{"more bytes than the transfer size are refused",
			more_bytes_than_the_transfer_size_are_refused},
		{"messages that are not aligned are refused",
			messages_that_are_not_aligned_are_refused},
		{"offloads that were never enabled are refused",
			offloads_that_were_never_enabled_are_refused},
		{"offloads do not outlive the guest that enabled them",
			offloads_do_not_outlive_the_guest_that_enabled_them},
		{"UDP checksums below NVSP 5 are refused", udp_checksums_below_nvsp_5_are_refused},
		{"checksums of headers that are not there are refused",
			checksums_of_headers_that_are_not_there_are_refused},
		{"a tiny MSS is refused", a_tiny_mss_is_refused},
		{"a foreign source MAC is dropped and counted",
			a_foreign_source_mac_is_dropped_and_counted},
		{"the log is told once in ten seconds", the_log_is_told_once_in_ten_seconds},
		{"segment floods are bounded work per poll",
			segment_floods_are_bounded_work_per_poll},
		{"large sends are bounded work per poll", large_sends_are_bounded_work_per_poll},
		{"a flooded channel starves no other", a_flooded_channel_starves_no_other},
		{"sends in flight are counted by channel", sends_in_flight_are_counted_by_channel},
	};

	return UNIT_RUN("host_nic_limits", tests);
}
