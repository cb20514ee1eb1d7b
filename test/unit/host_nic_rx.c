/* SPDX-License-Identifier: BSD-3-Clause */
/* The host NIC's receive path: sections, batches, filter, RSS, offloads, acknowledgements. */
#include "lib/host/gen_frame.h"
#include "test/unit/host_nic_guest.h"

static const char small[] = "recv=1M,send=256K,channels=4";

static uint64_t
outstanding(const struct guest *g)
{
	uint64_t n = g->nic->sections_n - g->nic->free_n - g->nic->free_control_n;

	return n;
}

static void
rx_content_and_batch(void)
{
	struct rndis_packet_info info;
	const struct guest_packet *p;
	uint8_t frame[1514];
	const uint8_t *m;
	struct guest g;
	uint32_t i, seen = 0;

	guest_start_up(&g, small, 16);
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

/* Are the free sections a chain of all that are said to be free? */
static bool
free_sections_are_a_chain(const struct guest *g)
{
	static bool seen[4096];
	uint32_t i, at = g->nic->free_first;

	memset(seen, 0, sizeof(seen));
	for (i = 0; i < g->nic->free_n; i++, at = g->nic->sections[at].next) {
		if (at < g->nic->reserved || at >= g->nic->sections_n || seen[at])
			return false;
		seen[at] = true;
	}
	return g->nic->free_n == g->nic->sections_n - g->nic->reserved;
}

/* Frames that go the short way, in runs, among those that do not and those that are dropped. */
static void
runs_of_frames_among_others(void)
{
	static const char *const batch[] = {"1", "5", "32"};
	uint32_t round, i, k, n, kept, wrong = 0, kind[64];
	const struct guest_packet *p;
	uint64_t random = 3;
	uint8_t frame[60];
	const uint8_t *m;
	struct guest g;

	guest_start_up(&g, small, 16);
	guest_poll(&g);
	for (round = 0; round < 150; round++) {
		host_nic_knob(g.nic, "batch", batch[round % 3]);
		n = 1 + (uint32_t)(gen_random(&random) % 64);
		for (i = kept = 0; i < n; i++) {
			guest_make_udp(&g, frame, 60, i);
			k = (uint32_t)(gen_random(&random) % 16);
			if (k == 0)
				memset(frame, 0xff, 6); /* taken, but not by the short way */
			if (k == 1)
				frame[5] ^= 1; /* another's: dropped */
			guest_port_put(&g, frame, 60);
			if (k != 1)
				kind[kept++] = i;
		}
		guest_poll(&g);
		for (i = k = 0; (p = guest_transfer(&g, i)) != NULL; i++) {
			for (n = 0; n < p->ranges && k < kept; n++, k++) {
				m = guest_message(&g, p, n) + g.nic->data_offset;
				guest_make_udp(&g, frame, 60, kind[k]);
				wrong += memcmp(m + 6, frame + 6, 54) != 0;
			}
		}
		CU_ASSERT_EQUAL(k, kept);
		guest_poll(&g); /* the acknowledgements */
		CU_ASSERT_FATAL(free_sections_are_a_chain(&g));
	}
	CU_ASSERT_EQUAL(wrong, 0);
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

	guest_start_up(&g, small, 16);
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
	guest_start_up(&g, small, 16);
	guest_subchannels(&g, 3);
	guest_poll(&g);
	for (i = 0; i < NDIS_RSS_TABLE_ENTRIES; i++)
		table[i] = (uint16_t)(i % 4);
	ndis_build_rss_params(params, sizeof(params),
		NDIS_HASH_TOEPLITZ | NDIS_HASH_IPV4 | NDIS_HASH_TCP_IPV4, table,
		NDIS_RSS_TABLE_ENTRIES, toeplitz_default_key);
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

	guest_start_up(&g, small, 1);
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
		guest_start_up(&g, small, 16);
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

/* Frames that are almost TCP or UDP over plain IPv4: variant @p way of them. */
static uint32_t
almost_plain(struct guest *g, uint8_t *frame, uint32_t way)
{
	static const struct {
		uint32_t at;
		uint8_t value;
		uint32_t len;
	} ways[] = {
		{23, 17, 100},	 /* UDP */
		{23, 6, 100},	 /* TCP */
		{23, 1, 100},	 /* ICMP */
		{14, 0x46, 100}, /* options */
		{14, 0x65, 100}, /* another version */
		{15, 0x2e, 100}, /* type of service */
		{20, 0x40, 100}, /* do not fragment */
		{20, 0x20, 100}, /* more fragments */
		{21, 0x01, 100}, /* a later fragment */
		{17, 200, 100},	 /* longer than the frame */
		{17, 27, 100},	 /* shorter than UDP */
		{17, 28, 100},
		{23, 6, 53}, /* shorter than TCP */
		{23, 6, 54},
		{13, 0x06, 60}, /* ARP */
		{12, 0x86, 60},
		{0, 2, 60}, /* to somebody else */
		{0, 1, 60},
	};

	if (way == sizeof(ways) / sizeof(ways[0]))
		return 0;
	guest_make_udp(g, frame, ways[way].len, way);
	frame[ways[way].at] = ways[way].value;
	return ways[way].len;
}

/* The short way of plain frames decides as the general one, which range_slot makes all frames go.
 */
static void
short_way_hashes_as_the_general_one(void)
{
	static const uint32_t types[] = {NDIS_HASH_IPV4 | NDIS_HASH_TCP_IPV4, NDIS_HASH_IPV4,
		NDIS_HASH_TCP_IPV4, NDIS_HASH_IPV4 | NDIS_HASH_TCP_IPV4 | NDIS_HASH_UDP_IPV4};
	uint8_t params[NDIS_RSS_PARAMS_INFO], frame[100];
	uint16_t table[NDIS_RSS_TABLE_ENTRIES];
	struct rndis_packet_info info[2];
	const struct guest_packet *p;
	const uint8_t *m;
	uint32_t i, t, way, slot, len, channel[2];
	struct guest g;

	for (i = 0; i < NDIS_RSS_TABLE_ENTRIES; i++)
		table[i] = (uint16_t)(i % 4);
	for (t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
		guest_start(&g, small, 16);
		guest_up(&g, RNDIS_FILTER_PROMISCUOUS);
		guest_subchannels(&g, 3);
		guest_poll(&g);
		ndis_build_rss_params(params, sizeof(params), NDIS_HASH_TOEPLITZ | types[t], table,
			NDIS_RSS_TABLE_ENTRIES, toeplitz_default_key);
		guest_set(&g, OID_GEN_RECEIVE_SCALE_PARAMETERS, params, sizeof(params));
		g.nic->filter = RNDIS_FILTER_PROMISCUOUS | RNDIS_FILTER_DIRECTED;
		for (way = 0; (len = almost_plain(&g, frame, way)) != 0; way++) {
			memset(info, 0, sizeof(info));
			for (slot = 0; slot < 2; slot++) {
				host_nic_knob(g.nic, "range_slot", slot == 0 ? "0" : "1");
				guest_port_put(&g, frame, len);
				guest_poll(&g);
				p = guest_transfer(&g, 0);
				CU_ASSERT_PTR_NOT_NULL_FATAL(p);
				CU_ASSERT_EQUAL(p->ranges, 1);
				m = guest_message(&g, p, 0);
				CU_ASSERT_EQUAL(rndis_packet_parse_rx(m, 300,
							p->range[0].byte_count, &info[slot]),
					0);
				CU_ASSERT_EQUAL(memcmp(m + info[slot].data_abs, frame, len), 0);
				channel[slot] = p->channel;
			}
			CU_ASSERT_EQUAL(channel[0], channel[1]);
			CU_ASSERT_EQUAL(info[0].data_length, info[1].data_length);
			CU_ASSERT_EQUAL(info[0].present, info[1].present);
			if (info[0].present & RNDIS_HAS_HASH_VALUE) {
				CU_ASSERT_EQUAL(info[0].hash_value, info[1].hash_value);
				CU_ASSERT_EQUAL(info[0].hash_info, info[1].hash_info);
			}
		}
		guest_stop(&g);
	}
}

/* A port that can wait gives outstanding= frames for each channel until some come back. */
static void
waiting_port_keeps_few_frames_outstanding(void)
{
	uint8_t frame[60];
	struct guest g;
	uint32_t i;

	guest_start_up(&g, "recv=1M,send=256K,channels=4,outstanding=5", 16);
	guest_poll(&g);
	g.ack = false;
	for (i = 0; i < 40; i++)
		guest_port_put(&g, frame, guest_make_udp(&g, frame, 60, i));
	host_nic_knob(g.nic, "rx_wait", "1");
	for (i = 0; i < 3; i++)
		guest_poll(&g);
	CU_ASSERT_EQUAL(outstanding(&g), 5);
	CU_ASSERT_EQUAL(g.port.in_head, 5);
	/* What comes back is replaced, no more. */
	guest_ack(&g, 0, g.nic->reserved);
	guest_poll(&g);
	CU_ASSERT_EQUAL(outstanding(&g), 5);
	CU_ASSERT_EQUAL(g.port.in_head, 10);
	/* A network does not wait. */
	host_nic_knob(g.nic, "rx_wait", "0");
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.port.in_head, 40);
	CU_ASSERT_EQUAL(outstanding(&g), 35);
	CU_ASSERT_EQUAL(g.nic->stats.rx_frames, 40);
	guest_stop(&g);
}

static void
channel_that_nobody_polls_does_not_hold_the_others(void)
{
	uint8_t params[NDIS_RSS_PARAMS_INFO], frame[60];
	uint16_t table[NDIS_RSS_TABLE_ENTRIES];
	const struct guest_packet *p;
	uint32_t i, n;
	struct guest g;

	guest_start_up(&g, "recv=1M,send=256K,channels=4,outstanding=5", 16);
	guest_subchannels(&g, 1);
	guest_poll(&g);
	for (i = 0; i < NDIS_RSS_TABLE_ENTRIES; i++)
		table[i] = (uint16_t)(i % 2);
	ndis_build_rss_params(params, sizeof(params),
		NDIS_HASH_TOEPLITZ | NDIS_HASH_IPV4 | NDIS_HASH_TCP_IPV4, table,
		NDIS_RSS_TABLE_ENTRIES, toeplitz_default_key);
	guest_set(&g, OID_GEN_RECEIVE_SCALE_PARAMETERS, params, sizeof(params));
	host_nic_knob(g.nic, "rx_wait", "1");
	guest_poll(&g);
	g.ack = false;
	for (i = 0; i < 200; i++)
		guest_port_put(&g, frame, guest_make_udp(&g, frame, 60, i));
	for (i = 0; i < 200 && g.port.in_head < 200; i++) {
		guest_poll(&g);
		for (n = 0; (p = guest_transfer(&g, n)) != NULL; n++)
			if (p->channel == 0)
				guest_ack(&g, 0, p->desc.trans_id);
	}
	CU_ASSERT_EQUAL(g.port.in_head, 200);
	CU_ASSERT_EQUAL(g.nic->stats.rx_frames, 200);
	CU_ASSERT(g.nic->channels[1].outstanding > 5);
	guest_stop(&g);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"rx: content and batch", rx_content_and_batch},
		{"rx: runs of frames among others", runs_of_frames_among_others},
		{"rx: filter rules", rx_filter_rules},
		{"rx: VLAN and checksum", rx_vlan_and_checksum},
		{"RSS spreads by Toeplitz", rss_spreads_by_toeplitz},
		{"held sections drop but do not block", held_sections_drop_but_do_not_block},
		{"full ring drops frames but keeps completions",
			full_ring_drops_frames_but_keeps_completions},
		{"short way hashes as the general one", short_way_hashes_as_the_general_one},
		{"channel that nobody polls does not hold the others",
			channel_that_nobody_polls_does_not_hold_the_others},
		{"waiting port keeps few frames outstanding",
			waiting_port_keeps_few_frames_outstanding},
		{"bad acknowledgements stop the channel", bad_acknowledgements_stop_the_channel},
	};

	return UNIT_RUN("host_nic_rx", tests);
}
