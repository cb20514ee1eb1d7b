/* SPDX-License-Identifier: BSD-3-Clause */
/* The host NIC's data path: receive sections, batches, RSS, sends, offloads, validation. */
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

static uint64_t
outstanding(const struct guest *g)
{
	uint64_t n = g->nic->sections_n - g->nic->free_n - g->nic->free_control_n;

	return n;
}

/* ---- receive ---- */

static void
rx_content_and_batch(void)
{
	struct rndis_packet_info info;
	const struct guest_packet *p;
	uint8_t frame[1514];
	const uint8_t *m;
	struct guest g;
	uint32_t i, seen = 0;

	guest_start(&g, small, 16);
	guest_up(&g, 13);
	for (i = 0; i < 40; i++)
		guest_port_put(&g, frame, guest_make_udp(&g, frame, 60 + i * 37 % 1455, i));
	g.signals = 0;
	guest_poll(&g);
	/* 32 + 8 frames: two packets, published once, one signal. */
	p = guest_transfer(&g, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(p->ranges, 32);
	CU_ASSERT_EQUAL(p->desc.flags, VMBUS_FLAG_COMPLETION);
	CU_ASSERT(p->desc.trans_id < g.sections);
	CU_ASSERT_EQUAL(p->desc.trans_id, p->range[0].byte_offset / g.section);
	CU_ASSERT_EQUAL(p->msg.rndis.section_index, NVSP_SECTION_NONE);
	CU_ASSERT_PTR_NOT_NULL(guest_transfer(&g, 1));
	CU_ASSERT_PTR_NULL(guest_transfer(&g, 2));
	CU_ASSERT_EQUAL(g.signals, 1);
	for (p = guest_transfer(&g, 0); p != NULL; p = guest_transfer(&g, seen > 32 ? 2 : 1)) {
		for (i = 0; i < p->ranges; i++, seen++) {
			m = guest_message(&g, p, i);
			CU_ASSERT_PTR_NOT_NULL_FATAL(m);
			CU_ASSERT_EQUAL(rndis_packet_parse_rx(m, p->range[i].byte_count,
						p->range[i].byte_count, &info),
				0);
			CU_ASSERT_EQUAL(info.data_length, g.port.in[seen].len);
			CU_ASSERT_EQUAL(info.present, 0);
			CU_ASSERT_EQUAL(
				memcmp(m + info.data_abs, g.port.in[seen].data, info.data_length),
				0);
		}
	}
	CU_ASSERT_EQUAL(seen, 40);
	CU_ASSERT_EQUAL(g.nic->stats.rx_frames, 40);
	CU_ASSERT_EQUAL(g.nic->stats.rx_packets, 2 + 2); /* and two control answers */
	guest_poll(&g);					 /* the acknowledgements */
	CU_ASSERT_EQUAL(outstanding(&g), 0);
	guest_stop(&g);
}

static void
rx_filter_rules(void)
{
	static const struct {
		uint32_t filter;
		unsigned int unicast, other, multicast, broadcast;
	} rows[] = {
		{0x00, 0, 0, 0, 0},
		{0x01, 1, 0, 0, 0},
		{0x09, 1, 0, 0, 1},
		{0x0d, 1, 0, 1, 1},
		{0x20, 1, 1, 1, 1},
		{0x02, 0, 0, 0, 0},
	};
	static const uint8_t listed[6] = {0x01, 0, 0x5e, 0, 0, 1};
	uint8_t frame[60];
	uint64_t before;
	struct guest g;
	uint32_t i, k;

	guest_start(&g, small, 16);
	guest_up(&g, 0);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const unsigned int *expect = &rows[i].unicast;

		guest_set(&g, OID_GEN_CURRENT_PACKET_FILTER, &rows[i].filter, 4);
		for (k = 0; k < 4; k++) {
			guest_make_udp(&g, frame, 60, 1);
			if (k == 1)
				frame[5] ^= 1;
			if (k == 2)
				memcpy(frame, listed, 6);
			if (k == 3)
				memset(frame, 0xff, 6);
			before = g.nic->stats.rx_frames;
			guest_port_put(&g, frame, 60);
			guest_poll(&g);
			CU_ASSERT_EQUAL(g.nic->stats.rx_frames - before, expect[k]);
			CU_ASSERT_EQUAL(guest_transfer(&g, 0) != NULL, expect[k]);
		}
	}
	/* Filter 2 takes listed groups only. */
	CU_ASSERT_EQUAL(guest_set(&g, OID_802_3_MULTICAST_LIST, listed, 6), 0);
	guest_make_udp(&g, frame, 60, 1);
	memcpy(frame, listed, 6);
	guest_port_put(&g, frame, 60);
	guest_poll(&g);
	CU_ASSERT_PTR_NOT_NULL(guest_transfer(&g, 0));
	guest_stop(&g);
}

static void
rx_vlan_and_checksum(void)
{
	uint8_t params[NDIS_OFFLOAD_PARAMS_REV3], frame[1600], tagged[1600];
	struct rndis_packet_info info;
	const struct guest_packet *p;
	const uint8_t *m;
	struct guest g;
	uint32_t n;
	int len;

	guest_start(&g, small, 16);
	guest_up(&g, 13);
	len = ndis_build_offload_params(
		params, sizeof(params), NDIS_VERSION_6_30, NDIS_CAN_RX_IP4 | NDIS_CAN_RX_UDP4);
	CU_ASSERT_EQUAL(guest_set(&g, OID_TCP_OFFLOAD_PARAMETERS, params, (uint32_t)len), 0);
	guest_make_udp(&g, frame, 1514, 5);
	memcpy(tagged, frame, 12);
	memcpy(tagged + 12, "\x81\x00\xa0\x64", 4);
	memcpy(tagged + 16, frame + 12, 1502);
	guest_port_put(&g, tagged, 1518);
	frame[100] ^= 1; /* now the UDP checksum is wrong */
	guest_port_put(&g, frame, 1514);
	frame[100] ^= 1;
	frame[24] ^= 1; /* now the IP header's is */
	guest_port_put(&g, frame, 1514);
	guest_port_put(&g, tagged, 1519); /* too long even with a tag */
	guest_poll(&g);
	frame[24] ^= 1;
	for (n = 0, p = NULL; (p = guest_transfer(&g, n)) != NULL; n++)
		if (p->msg.rndis.channel_type == NVSP_CHANNEL_DATA)
			break;
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL_FATAL(p->ranges, 3);
	m = guest_message(&g, p, 0);
	CU_ASSERT_EQUAL(rndis_packet_parse_rx(m, 300, p->range[0].byte_count, &info), 0);
	CU_ASSERT_EQUAL(info.data_length, 1514);
	CU_ASSERT_EQUAL(memcmp(m + info.data_abs, frame, 1514), 0);
	CU_ASSERT_EQUAL(info.present, RNDIS_HAS_VLAN | RNDIS_HAS_CSUM);
	CU_ASSERT_EQUAL(info.vlan_tci, 0xa064);
	CU_ASSERT_EQUAL(info.csum, RNDIS_RX_CSUM_IP_OK | RNDIS_RX_CSUM_UDP_OK);
	m = guest_message(&g, p, 1);
	CU_ASSERT_EQUAL(rndis_packet_parse_rx(m, 300, p->range[1].byte_count, &info), 0);
	CU_ASSERT_EQUAL(info.csum, RNDIS_RX_CSUM_IP_OK | RNDIS_RX_CSUM_UDP_FAILED);
	m = guest_message(&g, p, 2);
	CU_ASSERT_EQUAL(rndis_packet_parse_rx(m, 300, p->range[2].byte_count, &info), 0);
	CU_ASSERT_EQUAL(info.csum, RNDIS_RX_CSUM_IP_FAILED | RNDIS_RX_CSUM_UDP_OK);
	CU_ASSERT_EQUAL(g.nic->stats.rx_dropped_size, 1);
	guest_stop(&g);
}

static void
rss_spreads_by_toeplitz(void)
{
	uint8_t params[NDIS_RSS_PARAMS_INFO], frame[60], input[12];
	uint16_t table[NDIS_RSS_TABLE_ENTRIES];
	struct rndis_packet_info info;
	const struct guest_packet *p;
	struct toeplitz *t = malloc(sizeof(*t));
	uint32_t i, n, k, hash, used = 0, seen = 0;
	const uint8_t *m;
	struct guest g;

	toeplitz_set_key(t, toeplitz_default_key);
	guest_start(&g, small, 16);
	guest_up(&g, 13);
	guest_subchannels(&g, 3);
	guest_poll(&g);
	for (i = 0; i < NDIS_RSS_TABLE_ENTRIES; i++)
		table[i] = (uint16_t)(i % 4);
	ndis_build_rss_params(params, sizeof(params),
		NDIS_HASH_TOEPLITZ | NDIS_HASH_IPV4 | NDIS_HASH_TCP_IPV4, table,
		toeplitz_default_key);
	CU_ASSERT_EQUAL(guest_set(&g, OID_GEN_RECEIVE_SCALE_PARAMETERS, params, sizeof(params)), 0);
	for (i = 0; i < 64; i++)
		guest_port_put(&g, frame, guest_make_udp(&g, frame, 60, i));
	guest_poll(&g);
	for (n = 0; (p = guest_transfer(&g, n)) != NULL; n++) {
		if (p->msg.rndis.channel_type != NVSP_CHANNEL_DATA)
			continue;
		used |= 1u << p->channel;
		for (k = 0; k < p->ranges; k++, seen++) {
			m = guest_message(&g, p, k);
			CU_ASSERT_EQUAL(
				rndis_packet_parse_rx(m, 300, p->range[k].byte_count, &info), 0);
			/* UDP ports hashed, labelled TCP_IPV4, as hosts since Windows 10. */
			memcpy(input, m + info.data_abs + 26, 12);
			hash = toeplitz_hash(t, input, 12);
			CU_ASSERT_EQUAL(info.hash_value, hash);
			CU_ASSERT_EQUAL(info.hash_info, NDIS_HASH_TOEPLITZ | NDIS_HASH_TCP_IPV4);
			CU_ASSERT_EQUAL(p->channel, table[hash % 128]);
		}
	}
	CU_ASSERT_EQUAL(seen, 64);
	CU_ASSERT_EQUAL(used, 0xf);
	/* Not IP: the primary, without a hash. */
	guest_make_udp(&g, frame, 60, 3);
	frame[13] = 0x06;
	guest_port_put(&g, frame, 60);
	/* A table entry whose channel closed falls back to the primary. */
	host_nic_channel_close(g.nic, 3);
	for (i = 0; i < 32; i++)
		guest_port_put(&g, frame, guest_make_udp(&g, frame, 60, i));
	guest_poll(&g);
	for (n = 0, seen = 0; (p = guest_transfer(&g, n)) != NULL; n++)
		seen += p->ranges;
	CU_ASSERT_EQUAL(seen, 33);
	/* Disable: everything on the primary. */
	ndis_build_rss_disable(params, sizeof(params), toeplitz_default_key);
	CU_ASSERT_EQUAL(guest_set(&g, OID_GEN_RECEIVE_SCALE_PARAMETERS, params, sizeof(params)), 0);
	for (i = 0; i < 32; i++)
		guest_port_put(&g, frame, guest_make_udp(&g, frame, 60, i));
	guest_poll(&g);
	CU_ASSERT_PTR_NOT_NULL_FATAL(guest_transfer(&g, 0));
	CU_ASSERT_EQUAL(guest_transfer(&g, 0)->ranges, 32);
	CU_ASSERT_EQUAL(guest_transfer(&g, 0)->channel, 0);
	guest_stop(&g);
	free(t);
}

/* Held sections: drops are counted, control is still answered, and traffic resumes. */
static void
held_sections_drop_but_do_not_block(void)
{
	uint64_t held[64];
	uint32_t n, i, k = 0;
	uint8_t frame[60];
	struct guest g;

	guest_start(&g, small, 64);
	host_nic_knob(g.nic, "recv_sections", "32");
	guest_up(&g, 13);
	CU_ASSERT_EQUAL(g.sections, 32);
	guest_poll(&g);
	g.ack = false;
	for (i = 0; i < 100; i++)
		guest_port_put(&g, frame, guest_make_udp(&g, frame, 60, i));
	for (i = 0; i < 4; i++) {
		guest_poll(&g);
		for (n = 0; guest_transfer(&g, n) != NULL; n++)
			held[k++] = guest_transfer(&g, n)->desc.trans_id;
	}
	CU_ASSERT_EQUAL(g.nic->stats.rx_frames, 16);
	CU_ASSERT_EQUAL(g.nic->stats.rx_dropped_no_section, 84);
	g.ack = true;
	CU_ASSERT_EQUAL(guest_query_word(&g, OID_GEN_MEDIA_CONNECT_STATUS), 0);
	for (i = 0; i < k; i++)
		guest_ack(&g, 0, held[i]);
	guest_poll(&g);
	guest_poll(&g);
	CU_ASSERT_EQUAL(outstanding(&g), 0);
	guest_port_put(&g, frame, 60);
	guest_poll(&g);
	CU_ASSERT_PTR_NOT_NULL(guest_transfer(&g, 0));
	guest_stop(&g);
}

/* A ring of 2 pages whose guest stops reading: drops, no lost completion, no dead-lock. */
static void
full_ring_drops_frames_but_keeps_completions(void)
{
	uint32_t i, len, done = 0, n = 0, seen = 0, sent = 0;
	uint8_t frame[60];
	struct guest g;

	guest_start(&g, small, 1);
	guest_up(&g, 13);
	host_nic_knob(g.nic, "batch", "1");
	guest_poll(&g);
	guest_make_udp(&g, frame, 60, 1);
	len = guest_make_packet(g.send, frame, 60);
	/* The host alone runs: its ring fills with frames, then with completions. */
	for (i = 0; i < 100; i++) {
		guest_port_put(&g, frame, 60);
		if (guest_send_section(&g, 0, 0, len, 1000 + sent) == 0)
			sent++;
		host_nic_poll(g.nic, 8);
	}
	CU_ASSERT(g.nic->stats.rx_dropped_ring_full > 0);
	CU_ASSERT(sent > 60); /* sends went on although completions wait */
	CU_ASSERT(g.nic->channels[0].done_head != g.nic->channels[0].done_tail);
	/* Asleep, the host wants to hear of space, and looks again soon. */
	CU_ASSERT_FALSE(host_nic_sleep(g.nic));
	CU_ASSERT_NOT_EQUAL(atomic_load(&g.in[0].ring.ctl->pending_send_sz), 0);
	CU_ASSERT(host_nic_deadline(g.nic) <= 1000000);
	host_nic_wake(g.nic);
	for (i = 0; i < 20; i++) {
		guest_poll(&g);
		for (n = 0; n < g.packets_n; n++) {
			if (g.packets[n].desc.type == VMBUS_PACKET_COMPLETION) {
				CU_ASSERT_EQUAL(g.packets[n].desc.trans_id, 1000 + done);
				done++;
			} else {
				seen += g.packets[n].ranges;
			}
		}
	}
	CU_ASSERT_EQUAL(done, sent); /* each exactly once, in order */
	CU_ASSERT_EQUAL(seen + g.nic->stats.rx_dropped_ring_full, 100);
	CU_ASSERT_EQUAL(outstanding(&g), 0);
	CU_ASSERT_EQUAL(g.port.out_n, sent);
	guest_stop(&g);
}

static void
bad_acknowledgements_stop_the_channel(void)
{
	struct nvsp_message msg;
	uint8_t frame[60];
	struct guest g;
	uint64_t tid;
	unsigned int way;

	for (way = 0; way < 6; way++) {
		guest_start(&g, small, 16);
		guest_up(&g, 13);
		guest_subchannels(&g, 1);
		guest_poll(&g);
		g.ack = false;
		guest_port_put(&g, frame, guest_make_udp(&g, frame, 60, 1));
		guest_poll(&g);
		CU_ASSERT_PTR_NOT_NULL_FATAL(guest_transfer(&g, 0));
		tid = guest_transfer(&g, 0)->desc.trans_id;
		if (way == 0) { /* twice */
			guest_ack(&g, 0, tid);
			guest_ack(&g, 0, tid);
		} else if (way == 1) { /* another channel */
			guest_ack(&g, 1, tid);
		} else if (way == 2) { /* one past the end */
			guest_ack(&g, 0, g.sections);
		} else if (way == 3) { /* never sent */
			guest_ack(&g, 0, tid == 20 ? 21 : 20);
		} else if (way == 4) { /* another type */
			nvsp_build(&msg, NVSP_TYPE_INIT);
			guest_send(&g, 0, VMBUS_PACKET_COMPLETION, tid, 0, NULL, 0, &msg, 40);
		} else { /* empty */
			guest_send(&g, 0, VMBUS_PACKET_COMPLETION, tid, 0, NULL, 0, &msg, 0);
		}
		guest_poll(&g);
		CU_ASSERT_EQUAL(g.broken[way == 1], 1);
		CU_ASSERT_EQUAL(g.broken[way != 1], 0);
		guest_stop(&g);
	}
}

/* ---- send ---- */

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

	guest_start(&g, small, 16);
	guest_up(&g, 13);
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

	guest_start(&g, small, 16);
	guest_up(&g, 13);
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

	guest_start(&g, small, 16);
	guest_up(&g, 13);
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

	guest_start(&g, small, 16);
	guest_up(&g, 13);
	msg = g.pages + 4 * 4096;
	rndis_packet_begin(&b, msg);
	rndis_packet_add(&b, RNDIS_PPI_LSO, rndis_lso(536, 34, false));
	header = rndis_packet_end(&b, 54 + 60000);
	frame = msg + header;
	memset(frame, 0, 54);
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

	guest_start(&g, small, 16);
	guest_up(&g, 13);
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

int
main(void)
{
	static const struct unit_test tests[] = {
		{"rx: content and batch", rx_content_and_batch},
		{"rx: filter rules", rx_filter_rules},
		{"rx: VLAN and checksum", rx_vlan_and_checksum},
		{"RSS spreads by Toeplitz", rss_spreads_by_toeplitz},
		{"held sections drop but do not block", held_sections_drop_but_do_not_block},
		{"full ring drops frames but keeps completions",
			full_ring_drops_frames_but_keeps_completions},
		{"bad acknowledgements stop the channel", bad_acknowledgements_stop_the_channel},
		{"tx: section, aggregate and pages", tx_section_aggregate_and_pages},
		{"malformed sends fail and nothing leaves",
			malformed_sends_fail_and_nothing_leaves},
		{"LSO vector", lso_vector},
		{"LSO of many segments", lso_of_many_segments},
		{"tx: checksum fill", tx_checksum_fill},
	};

	return UNIT_RUN("host_nic_data", tests);
}
