/* SPDX-License-Identifier: BSD-3-Clause */
/* The host NIC's send path: gathering, validation, segmentation, checksums. */
#include "test/unit/host_nic_guest.h"

static const char small[] = "recv=1M,send=256K,channels=4";

static uint32_t
hex(const char *text, uint8_t *out)
{
	uint32_t n = 0;
	unsigned int byte;

	for (; sscanf(text, "%2x", &byte) == 1; text += 2)
		out[n++] = (uint8_t)byte;
	return n;
}

static const struct guest_packet *
send_and_poll(struct guest *g, uint32_t bytes)
{
	guest_send_section(g, 0, 0, bytes, g->next_tid);
	guest_poll(g);
	return guest_completion(g, g->next_tid++);
}

static void
tx_section_aggregate_and_pages(void)
{
	static const struct guest_range whole[] = {{44 + 1000, 0xff0, 2}};
	static const struct guest_range header_then_pages[] = {
		{44, 0xff0, 2}, {500, 100, 8}, {500, 3800, 10}};
	static const struct guest_range split[] = {{20, 0, 2}, {24, 64, 8}, {1000, 0, 10}};
	const struct guest_packet *p;
	uint8_t frame[1514], stream[2048];
	struct nvsp_message msg;
	uint32_t len = 0, i, first;
	struct guest g;

	guest_start_up(&g, small, 16);
	/* Eight frames in one section: the golden lengths of spec/nvsp.md "Tests". */
	for (i = 0; i < 8; i++) {
		guest_make_udp(&g, frame, 60, i);
		first = guest_make_packet(g.send + len, frame, 60);
		CU_ASSERT_EQUAL(rndis_packet_pad(g.send + len, first, 8), 104);
		len += 104;
	}
	CU_ASSERT_EQUAL(len, 832);
	p = send_and_poll(&g, len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(p->msg.rndis_complete.status, NVSP_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(p->payload_len, 40);
	CU_ASSERT_EQUAL(g.port.out_n, 8);
	CU_ASSERT_EQUAL(g.port.sends, 1);
	for (i = 0; i < 8; i++) {
		guest_make_udp(&g, frame, 60, i);
		CU_ASSERT_EQUAL(g.port.out[i].len, 60);
		CU_ASSERT_EQUAL(memcmp(g.port.out[i].data, frame, 60), 0);
	}
	/* A 61-byte frame is padded to 112 bytes of message, not of frame. */
	guest_make_udp(&g, frame, 61, 9);
	first = rndis_packet_pad(g.send, guest_make_packet(g.send, frame, 61), 8);
	CU_ASSERT_EQUAL(first, 112);
	len = first + guest_make_packet(g.send + first, frame, 60);
	g.port.out_n = 0;
	p = send_and_poll(&g, len);
	CU_ASSERT_EQUAL(p->msg.rndis_complete.status, NVSP_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(g.port.out[0].len, 61);
	CU_ASSERT_EQUAL(g.port.out[1].len, 60);
	/* One byte behind the last message fails the whole send. */
	g.port.out_n = 0;
	p = send_and_poll(&g, len + 1);
	CU_ASSERT_EQUAL(p->msg.rndis_complete.status, NVSP_STATUS_FAILURE);
	CU_ASSERT_EQUAL(g.port.out_n, 0);

	/* Pages: one range over a page border, header and payload apart, header split. */
	guest_make_udp(&g, frame, 1000, 11);
	len = guest_make_packet(stream, frame, 1000);
	memcpy(g.pages + 2 * 4096 + 0xff0, stream, len);
	guest_send_pages(&g, 0, NVSP_CHANNEL_DATA, whole, 1, 500);
	guest_poll(&g);
	p = guest_completion(&g, 500);
	CU_ASSERT_EQUAL_FATAL(p->msg.rndis_complete.status, NVSP_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(memcmp(g.port.out[0].data, frame, 1000), 0);
	memcpy(g.pages + 8 * 4096 + 100, frame, 500);
	memcpy(g.pages + 10 * 4096 + 3800, frame + 500, 500);
	g.port.out_n = 0;
	guest_send_pages(&g, 0, NVSP_CHANNEL_DATA, header_then_pages, 3, 501);
	guest_poll(&g);
	p = guest_completion(&g, 501);
	CU_ASSERT_EQUAL_FATAL(p->msg.rndis_complete.status, NVSP_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(memcmp(g.port.out[0].data, frame, 1000), 0);
	memcpy(g.pages + 2 * 4096, stream, 20);
	memcpy(g.pages + 8 * 4096 + 64, stream + 20, 24);
	memcpy(g.pages + 10 * 4096, frame, 1000);
	g.port.out_n = 0;
	guest_send_pages(&g, 0, NVSP_CHANNEL_DATA, split, 3, 502);
	guest_poll(&g);
	p = guest_completion(&g, 502);
	CU_ASSERT_EQUAL(p->msg.rndis_complete.status, NVSP_STATUS_FAILURE);
	host_nic_knob(g.nic, "accept_split_header", "1");
	guest_send_pages(&g, 0, NVSP_CHANNEL_DATA, split, 3, 503);
	guest_poll(&g);
	p = guest_completion(&g, 503);
	CU_ASSERT_EQUAL(p->msg.rndis_complete.status, NVSP_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(memcmp(g.port.out[0].data, frame, 1000), 0);

	/* Mixed: header in the section, payload in a page (type 9 with a section). */
	{
		struct {
			struct vmbus_gpa_header h;
			uint32_t count, offset;
			uint64_t pfn;
		} gpa = {{0, 1}, 1000, 0, GUEST_PFN + 10};

		memcpy(g.send + 3 * g.send_section, stream, 44);
		nvsp_build_rndis(&msg, NVSP_CHANNEL_DATA, 3, 44);
		g.port.out_n = 0;
		guest_send(
			&g, 0, VMBUS_PACKET_GPA_DIRECT, 0, 1, &gpa, sizeof(gpa), &msg, sizeof(msg));
		guest_poll(&g);
		p = guest_completion(&g, 0); /* id 0 is answered too */
		CU_ASSERT_PTR_NOT_NULL_FATAL(p);
		CU_ASSERT_EQUAL(p->msg.rndis_complete.status, NVSP_STATUS_SUCCESS);
		CU_ASSERT_EQUAL(memcmp(g.port.out[0].data, frame, 1000), 0);
	}
	CU_ASSERT_EQUAL(g.broken[0], 0);
	guest_stop(&g);
}

static void
malformed_sends_fail_and_nothing_leaves(void)
{
	/* Offset in the message, value. */
	static const uint32_t edits[][2] = {{0, 2}, {0, 0x7fffffff}, {4, 0}, {4, 43}, {4, 105},
		{4, UINT32_MAX}, {8, 0}, {8, 35}, {8, 0xfffffff8}, {12, 0}, {12, 13}, {12, 61},
		{12, UINT32_MAX}, {16, 1}, {20, 1}, {24, 1}, {32, 4}, {32, 0xffff}, {36, 1}};
	static const struct {
		struct guest_range r[2];
		uint32_t n;
	} ranges[] = {
		{{{104, 0, GUEST_PAGES}}, 1},		/* a page that is not there */
		{{{0, 0, 2}}, 1},			/* empty range */
		{{{104, 4096, 2}}, 1},			/* offset beyond the page */
		{{{104, 0, 2}, {104, 0, 1u << 20}}, 2}, /* the second is outside */
	};
	const struct guest_packet *p;
	struct nvsp_message msg;
	uint8_t frame[60];
	struct guest g;
	uint32_t len, i;

	guest_start_up(&g, small, 16);
	guest_make_udp(&g, frame, 60, 1);
	for (i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		len = guest_make_packet(g.send, frame, 60);
		memcpy(g.send + edits[i][0], &edits[i][1], 4);
		p = send_and_poll(&g, len);
		CU_ASSERT_PTR_NOT_NULL_FATAL(p);
		CU_ASSERT_EQUAL(p->msg.rndis_complete.status, NVSP_STATUS_FAILURE);
	}
	len = guest_make_packet(g.send, frame, 60);
	/* Section index and size. */
	guest_send_section(&g, 0, g.nic->send_sections, len, 600);
	guest_send_section(&g, 0, 0x7fffffff, len, 601);
	guest_send_section(&g, 0, 0, 0, 602);
	guest_send_section(&g, 0, 0, g.send_section + 1, 603);
	guest_send_section(&g, 0, 0, UINT32_MAX, 604);
	guest_send_section(&g, 0, NVSP_SECTION_NONE, 0, 605);
	guest_send_section(&g, 0, 0, 7, 606);
	guest_poll(&g);
	for (i = 600; i <= 606; i++) {
		p = guest_completion(&g, i);
		CU_ASSERT_PTR_NOT_NULL_FATAL(p);
		CU_ASSERT_EQUAL(p->msg.rndis_complete.status, NVSP_STATUS_FAILURE);
	}
	memcpy(g.pages + 2 * 4096, g.send, len);
	for (i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		guest_send_pages(&g, 0, NVSP_CHANNEL_DATA, ranges[i].r, ranges[i].n, 700 + i);
		guest_poll(&g);
		p = guest_completion(&g, 700 + i);
		CU_ASSERT_PTR_NOT_NULL_FATAL(p);
		CU_ASSERT_EQUAL(p->msg.rndis_complete.status, NVSP_STATUS_FAILURE);
	}
	/* A good message in front of a bad one stays here too. */
	len += guest_make_packet(g.send + len, frame, 60);
	memset(g.send + 104 + 12, 0xff, 4);
	p = send_and_poll(&g, len);
	CU_ASSERT_EQUAL(p->msg.rndis_complete.status, NVSP_STATUS_FAILURE);
	/* Without a completion request: counted, nothing sent. */
	len = guest_make_packet(g.send, frame, 60);
	nvsp_build_rndis(&msg, NVSP_CHANNEL_DATA, 0, len);
	guest_nvsp(&g, &msg, 800, false);
	guest_poll(&g);
	CU_ASSERT_PTR_NULL(guest_completion(&g, 800));
	CU_ASSERT_EQUAL(g.port.out_n, 0);
	CU_ASSERT_EQUAL(g.broken[0], 0);
	CU_ASSERT_EQUAL(g.nic->stats.tx_errors,
		sizeof(edits) / sizeof(edits[0]) + 7 + sizeof(ranges) / sizeof(ranges[0]) + 2);
	p = send_and_poll(&g, len);
	CU_ASSERT_EQUAL(p->msg.rndis_complete.status, NVSP_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(g.port.out_n, 1);
	guest_stop(&g);
}

/* spec/rndis.md §13 "TX": LSO, VLAN 100 priority 5, two segments. */
static void
lso_vector(void)
{
	static const char vector[] =
		"01000000aa000000640000003e000000000000000000000000000000240000004000000000000000000000"
		"0010000000080000000c0000000300000010000000060000000c0000004506000010000000020000000c00"
		"00000400204210000000000000000c0000001500220000155d01020300155d0a0b0c080045000000100140"
		"00400600000a0000010a00000212340050111111112222222250182000140900004142434445464748";
	uint8_t expect[62], m[256], *f;
	const struct guest_packet *p;
	struct guest g;
	uint32_t len;

	guest_start_up(&g, "recv=1M,send=256K,channels=4,mac=00:15:5d:0a:0b:0c", 16);
	guest_offloads(&g, NDIS_CAN_ALL);
	len = hex(vector, m);
	CU_ASSERT_EQUAL_FATAL(len, 170);
	memcpy(g.send, m, len);
	/* The floor refuses so small a segment. */
	p = send_and_poll(&g, len);
	CU_ASSERT_EQUAL(p->msg.rndis_complete.status, NVSP_STATUS_FAILURE);
	CU_ASSERT_EQUAL(host_nic_knob(g.nic, "mss_floor", "1"), 0);
	p = send_and_poll(&g, len);
	CU_ASSERT_EQUAL(p->msg.rndis_complete.status, NVSP_STATUS_SUCCESS);
	CU_ASSERT_EQUAL_FATAL(g.port.out_n, 2);
	CU_ASSERT_EQUAL(g.port.out[0].len, 62);
	hex("00155d01020300155d0a0b0c8100a06408004500002c10010000", expect);
	f = g.port.out[0].data;
	CU_ASSERT_EQUAL(memcmp(f, expect, 22), 0); /* MACs, tag, IP up to its length */
	CU_ASSERT_EQUAL(f[18] << 8 | f[19], 0x4500);
	CU_ASSERT_EQUAL(f[20] << 8 | f[21], 0x002c);
	CU_ASSERT_EQUAL(f[22] << 8 | f[23], 0x1001);
	CU_ASSERT_EQUAL(f[28] << 8 | f[29], 0x16c9);
	CU_ASSERT_EQUAL(f[45], 0x11);
	CU_ASSERT_EQUAL(f[51], 0x10);
	CU_ASSERT_EQUAL(f[54] << 8 | f[55], 0x7e5d);
	CU_ASSERT_EQUAL(memcmp(f + 58, "ABCD", 4), 0);
	f = g.port.out[1].data;
	CU_ASSERT_EQUAL(g.port.out[1].len, 62);
	CU_ASSERT_EQUAL(f[22] << 8 | f[23], 0x1002);
	CU_ASSERT_EQUAL(f[28] << 8 | f[29], 0x16c8);
	CU_ASSERT_EQUAL(f[45], 0x15);
	CU_ASSERT_EQUAL(f[51], 0x18);
	CU_ASSERT_EQUAL(f[54] << 8 | f[55], 0x7649);
	CU_ASSERT_EQUAL(memcmp(f + 58, "EFGH", 4), 0);
	CU_ASSERT_EQUAL(g.nic->stats.tx_frames, 1);
	guest_stop(&g);
}

/* 60,000 bytes in one send: more segments than a burst, all of them and in order. */
static void
lso_of_many_segments(void)
{
	struct guest_range range = {0, 0, 4};
	struct rndis_packet_builder b;
	uint8_t *msg, *frame;
	uint32_t header, i, k = 0;
	struct guest g;

	guest_start_up(&g, small, 16);
	guest_offloads(&g, NDIS_CAN_TSO4);
	msg = g.pages + 4 * 4096;
	rndis_packet_begin(&b, msg);
	rndis_packet_add(&b, RNDIS_PPI_LSO, rndis_lso(536, 34, false));
	header = rndis_packet_end(&b, 54 + 60000);
	frame = msg + header;
	memset(frame, 0, 54);
	memcpy(frame + 6, g.config.mac, 6);
	memcpy(frame + 12, "\x08\x00\x45", 3);
	frame[23] = 6;
	frame[46] = 0x50;
	frame[47] = 0x81; /* CWR, FIN */
	for (i = 0; i < 60000; i++)
		frame[54 + i] = (uint8_t)(i * 31 + i / 256);
	range.count = header + 54 + 60000;
	guest_send_pages(&g, 0, NVSP_CHANNEL_DATA, &range, 1, 5);
	guest_poll(&g);
	CU_ASSERT_PTR_NOT_NULL_FATAL(guest_completion(&g, 5));
	CU_ASSERT_EQUAL(guest_completion(&g, 5)->msg.rndis_complete.status, NVSP_STATUS_SUCCESS);
	CU_ASSERT_EQUAL_FATAL(g.port.out_n, 112);
	for (i = 0; i < 112; i++) {
		uint32_t data = g.port.out[i].len - 54;
		const uint8_t *out = g.port.out[i].data;
		struct offload_verify want = {.ip4 = true, .tcp4 = true};
		struct offload_headers h;

		CU_ASSERT_EQUAL(data, i < 111 ? 536 : 60000 - 111 * 536);
		CU_ASSERT_EQUAL(memcmp(out + 54, frame + 54 + k, data), 0);
		CU_ASSERT_EQUAL(out[47], i == 0 ? 0x80 : i == 111 ? 0x01 : 0);
		offload_parse(out, 54, g.port.out[i].len, &h);
		CU_ASSERT_EQUAL(offload_verify(&h, out, out, &want),
			RNDIS_RX_CSUM_IP_OK | RNDIS_RX_CSUM_TCP_OK);
		k += data;
	}
	CU_ASSERT_EQUAL(k, 60000);
	guest_stop(&g);
}

static void
tx_checksum_fill(void)
{
	struct rndis_packet_builder b;
	const struct guest_packet *p;
	uint8_t frame[100], good[100];
	struct guest g;
	uint32_t h;

	guest_start_up(&g, small, 16);
	guest_offloads(&g, NDIS_CAN_TX_IP4 | NDIS_CAN_TX_UDP4 | NDIS_CAN_TX_TCP4);
	guest_make_udp(&g, good, 100, 5);
	memcpy(frame, good, 100);
	memset(frame + 24, 0, 2);
	memset(frame + 40, 0x77, 2); /* whatever partial sum the guest left */
	rndis_packet_begin(&b, g.send);
	rndis_packet_add(&b, RNDIS_PPI_CHECKSUM,
		rndis_tx_csum(RNDIS_TX_CSUM_IPV4 | RNDIS_TX_CSUM_UDP | RNDIS_TX_CSUM_IP_HDR, 34));
	h = rndis_packet_end(&b, 100);
	memcpy(g.send + h, frame, 100);
	p = send_and_poll(&g, h + 100);
	CU_ASSERT_EQUAL(p->msg.rndis_complete.status, NVSP_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(memcmp(g.port.out[0].data, good, 100), 0);
	/* UDP sum 0 goes out as ffff: choose the last word so that it comes to that. */
	memset(frame + 98, 0, 2);
	memcpy(g.send + h, frame, 100);
	p = send_and_poll(&g, h + 100);
	memcpy(frame + 98, g.port.out[1].data + 40, 2);
	memcpy(g.send + h, frame, 100);
	p = send_and_poll(&g, h + 100);
	CU_ASSERT_EQUAL(g.port.out[2].data[40], 0xff);
	CU_ASSERT_EQUAL(g.port.out[2].data[41], 0xff);
	/* A header offset outside the frame fails the send. */
	rndis_packet_begin(&b, g.send);
	rndis_packet_add(
		&b, RNDIS_PPI_CHECKSUM, rndis_tx_csum(RNDIS_TX_CSUM_IPV4 | RNDIS_TX_CSUM_TCP, 99));
	rndis_packet_end(&b, 100);
	p = send_and_poll(&g, h + 100);
	CU_ASSERT_EQUAL(p->msg.rndis_complete.status, NVSP_STATUS_FAILURE);
	guest_stop(&g);
}

/* A port that does not know of memory which the guest can change behind the checks gets none. */
static void
only_who_knows_gets_the_guests_memory(void)
{
	uint8_t frame[100];
	struct guest g;
	uint32_t len;

	guest_start_up(&g, small, 16);
	guest_make_udp(&g, frame, sizeof(frame), 0);
	len = guest_make_packet(g.send, frame, sizeof(frame));
	CU_ASSERT_PTR_NOT_NULL(send_and_poll(&g, len));
	CU_ASSERT_EQUAL_FATAL(g.port.out_n, 1);
	CU_ASSERT_EQUAL(g.port.last == g.send + (len - sizeof(frame)), g.port.port.ops->in_place);
	guest_stop(&g);
}

/* spoof=off: a guest that changes its address behind the check gains nothing. */
static void
source_address_cannot_change_behind_the_check(void)
{
	uint8_t frame[100];
	struct guest g;
	uint32_t len, i;

	guest_start_up(&g, small, 16);
	guest_make_udp(&g, frame, sizeof(frame), 0);
	for (i = 0; i < 12; i++) {
		len = guest_make_packet(g.send, frame, sizeof(frame));
		g.port.meanwhile = g.send + len - sizeof(frame) + i;
		g.port.out_n = 0;
		CU_ASSERT_PTR_NOT_NULL(send_and_poll(&g, len));
		CU_ASSERT_EQUAL_FATAL(g.port.out_n, 1);
		CU_ASSERT_EQUAL(memcmp(g.port.out[0].data, frame, sizeof(frame)), 0);
	}
	guest_stop(&g);
}

/* Sixty-four frames are with the port at once; the next one, sent another way, has room again. */
static void
frame_of_another_kind_follows_a_full_burst(void)
{
	static const struct guest_range apart[] = {{sizeof(struct rndis_packet), 0, 0}, {60, 0, 1}};
	uint8_t frame[60], stream[128];
	uint32_t i, k, at, len;
	struct guest g;

	guest_start_up(&g, small, 16);
	for (i = 0; i < 8; i++) {
		uint8_t *section = g.send + (size_t)i * g.send_section;

		for (k = at = 0; k < 8; k++, at += 104) {
			guest_make_udp(&g, frame, sizeof(frame), i * 8 + k);
			len = guest_make_packet(section + at, frame, sizeof(frame));
			rndis_packet_pad(section + at, len, 8);
		}
		guest_send_section(&g, 0, i, at, g.next_tid++);
	}
	/* By reference, header and frame apart. */
	guest_make_udp(&g, frame, sizeof(frame), 64);
	guest_make_packet(stream, frame, sizeof(frame));
	memcpy(g.pages, stream, sizeof(struct rndis_packet));
	memcpy(g.pages + VMBUS_PAGE_SIZE, frame, sizeof(frame));
	guest_send_pages(&g, 0, NVSP_CHANNEL_DATA, apart, 2, g.next_tid++);
	g.port.sends = 0;
	guest_poll(&g);
	CU_ASSERT_EQUAL_FATAL(g.port.out_n, 65);
	CU_ASSERT_EQUAL(g.port.sends, 2);
	for (i = 0; i < 65; i++) {
		guest_make_udp(&g, frame, sizeof(frame), i);
		CU_ASSERT_EQUAL(memcmp(g.port.out[i].data, frame, sizeof(frame)), 0);
	}
	guest_stop(&g);
}

static void
frames_are_with_the_port_before_their_buffer_goes(void)
{
	struct nvsp_message msg;
	uint8_t frame[100];
	struct guest g;
	uint32_t len;

	guest_start_up(&g, small, 16);
	guest_make_udp(&g, frame, sizeof(frame), 0);
	len = guest_make_packet(g.send, frame, sizeof(frame));
	/* In one turn of the host. */
	guest_send_section(&g, 0, 0, len, 900);
	nvsp_build_revoke(&msg, NVSP_TYPE_REVOKE_SEND_BUF, NVSP_SEND_BUF_ID);
	guest_nvsp(&g, &msg, VMBUS_NO_TRANS_ID, false);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.released, 1);
	CU_ASSERT_EQUAL(g.out_released, 1);
	CU_ASSERT_PTR_NOT_NULL(guest_completion(&g, 900));
	guest_stop(&g);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"tx: section, aggregate and pages", tx_section_aggregate_and_pages},
		{"malformed sends fail and nothing leaves",
			malformed_sends_fail_and_nothing_leaves},
		{"LSO vector", lso_vector},
		{"LSO of many segments", lso_of_many_segments},
		{"tx: checksum fill", tx_checksum_fill},
		{"only who knows gets the guest's memory", only_who_knows_gets_the_guests_memory},
		{"frame of another kind follows a full burst",
			frame_of_another_kind_follows_a_full_burst},
		{"source address cannot change behind the check",
			source_address_cannot_change_behind_the_check},
		{"frames are with the port before their buffer goes",
			frames_are_with_the_port_before_their_buffer_goes},
	};

	return UNIT_RUN("host_nic_tx", tests);
}
