/* SPDX-License-Identifier: BSD-3-Clause */
/* The host NIC's control side: NVSP ladder, RNDIS, OIDs, subchannels, link, life and sleep. */
#include "test/unit/host_nic_guest.h"

static const char small[] = "recv=1M,send=256K,channels=4";

static void
ladder_at_every_version(void)
{
	struct guest g;
	unsigned int i;

	for (i = 0; i < NVSP_VERSION_COUNT; i++) {
		uint32_t version = nvsp_versions_newest_first[i];

		guest_start(&g, small, 16);
		guest_nvsp_up(&g, version, 0, 1500);
		CU_ASSERT_EQUAL(g.section, 1728);
		CU_ASSERT_EQUAL(g.sections, (1u << 20) / 1728);
		CU_ASSERT_EQUAL(g.send_section, 6144);
		guest_rndis_up(&g, RNDIS_FILTER_DIRECTED);
		CU_ASSERT_STRING_EQUAL(host_nic_state_name(g.nic), "running");
		CU_ASSERT_EQUAL(guest_query_word(&g, OID_GEN_MAXIMUM_FRAME_SIZE), 1500);
		guest_stop(&g);
	}
}

static void
version_is_refused_until_it_fits(void)
{
	struct nvsp_message msg;
	const struct guest_packet *p;
	struct guest g;

	guest_start(&g, "nvsp=4,recv=1M,send=256K", 16);
	nvsp_build_init(&msg, NVSP_VERSION_61);
	guest_nvsp(&g, &msg, 7, true);
	nvsp_build_init(&msg, 0x00030000); /* never existed */
	guest_nvsp(&g, &msg, 8, true);
	guest_poll(&g);
	p = guest_completion(&g, 7);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(p->msg.init_complete.status, NVSP_STATUS_NONE);
	CU_ASSERT_EQUAL(p->payload_len, 40);
	p = guest_completion(&g, 8);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(p->msg.init_complete.status, NVSP_STATUS_NONE);
	guest_nvsp_up(&g, NVSP_VERSION_4, NVSP_CAP_8021Q, 1500);
	/* INIT again is a protocol error that stops the channel. */
	nvsp_build_init(&msg, NVSP_VERSION_4);
	guest_nvsp(&g, &msg, 9, true);
	guest_poll(&g);
	CU_ASSERT_PTR_NULL(guest_completion(&g, 9));
	CU_ASSERT_EQUAL(g.broken[0], 1);
	CU_ASSERT_STRING_EQUAL(host_nic_state_name(g.nic), "broken");
	guest_stop(&g);
}

/* Messages that their state forbids stop the channel without an answer (spec/nvsp.md §11, §12). */
static void
wrong_order_stops_the_channel(void)
{
	struct nvsp_message msg;
	struct guest g;
	unsigned int i;

	for (i = 0; i < 6; i++) {
		guest_start(&g, small, 16);
		if (i == 0) {
			nvsp_build_send_recv_buf(&msg, GUEST_RECV, NVSP_RECV_BUF_ID);
		} else {
			nvsp_build_init(&msg, NVSP_VERSION_61);
			guest_nvsp(&g, &msg, 50, true);
			nvsp_build_send_recv_buf(&msg, GUEST_RECV, NVSP_RECV_BUF_ID);
		}
		if (i == 2 || i == 3) {
			nvsp_build_ndis_config(&msg, 1500, 0);
			guest_nvsp(&g, &msg, 51, false);
		}
		if (i == 3)
			nvsp_build_subchannel(&msg, 1);
		if (i == 4)
			msg.type = 4711;
		if (i == 5) {
			nvsp_build_ndis_version(&msg, NVSP_VERSION_61);
			msg.ndis_version.major = 7;
		}
		guest_nvsp(&g, &msg, 52, true);
		guest_poll(&g);
		CU_ASSERT_PTR_NULL(guest_completion(&g, 52));
		CU_ASSERT_EQUAL(g.broken[0], 1);
		CU_ASSERT_PTR_NOT_NULL(g.why);
		/* It stays stopped, and its memory untouched. */
		CU_ASSERT_EQUAL(guest_poll(&g), 0);
		guest_stop(&g);
	}
}

static void
buffers_are_checked(void)
{
	struct nvsp_message msg;
	const struct guest_packet *p;
	struct guest g;

	guest_start(&g, small, 16);
	nvsp_build_init(&msg, NVSP_VERSION_61);
	guest_nvsp(&g, &msg, 1, true);
	nvsp_build_ndis_config(&msg, 9000, 0);
	guest_nvsp(&g, &msg, VMBUS_NO_TRANS_ID, false);
	/* Unknown handle: status 2, and the guest may try again. */
	nvsp_build_send_recv_buf(&msg, 4711, NVSP_RECV_BUF_ID);
	guest_nvsp(&g, &msg, 2, true);
	guest_poll(&g);
	p = guest_completion(&g, 2);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(p->msg.recv_buf_complete.status, NVSP_STATUS_FAILURE);
	/* Too small for the control sections: no zero-section buffer (a crash elsewhere). */
	g.recv_len = 16 * VMBUS_PAGE_SIZE;
	nvsp_build_send_recv_buf(&msg, GUEST_RECV, NVSP_RECV_BUF_ID);
	guest_nvsp(&g, &msg, 3, true);
	guest_poll(&g);
	p = guest_completion(&g, 3);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(p->msg.recv_buf_complete.status, NVSP_STATUS_FAILURE);
	g.recv_len = g.config.recv_bytes;
	guest_nvsp(&g, &msg, 4, true);
	guest_poll(&g);
	p = guest_completion(&g, 4);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(p->msg.recv_buf_complete.status, NVSP_STATUS_SUCCESS);
	/* Jumbo: header space, frame, tag and tail fit. */
	CU_ASSERT(p->msg.recv_buf_complete.sub_alloc_size >= 256 + 9014 + 36);
	guest_stop(&g);
}

/* Refused, and then the end: there is nothing to take back from the guest. */
static void
refused_buffer_then_close(void)
{
	struct nvsp_message msg;
	const struct guest_packet *p;
	struct guest g;
	unsigned int pages;

	for (pages = 1; pages <= 4; pages *= 2) {
		guest_start(&g, small, 16);
		nvsp_build_init(&msg, NVSP_VERSION_61);
		guest_nvsp(&g, &msg, 1, true);
		nvsp_build_ndis_config(&msg, 1500, 0);
		guest_nvsp(&g, &msg, VMBUS_NO_TRANS_ID, false);
		g.recv_len = pages * VMBUS_PAGE_SIZE;
		nvsp_build_send_recv_buf(&msg, GUEST_RECV, NVSP_RECV_BUF_ID);
		guest_nvsp(&g, &msg, 2, true);
		guest_poll(&g);
		p = guest_completion(&g, 2);
		CU_ASSERT_PTR_NOT_NULL_FATAL(p);
		CU_ASSERT_EQUAL(p->msg.recv_buf_complete.status, NVSP_STATUS_FAILURE);
		CU_ASSERT_PTR_NULL(g.nic->sections);
		CU_ASSERT_EQUAL(g.nic->sections_n, 0);
		host_nic_channel_close(g.nic, 0);
		CU_ASSERT_STRING_EQUAL(host_nic_state_name(g.nic), "offered");
		guest_stop(&g);
	}
}

static void
rndis_control_and_oids(void)
{
	static const uint8_t halt[] = {3, 0, 0, 0, 12, 0, 0, 0, 9, 0, 0, 0};
	static const uint8_t reset[] = {6, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0};
	static const uint8_t keepalive[] = {8, 0, 0, 0, 12, 0, 0, 0, 0x44, 0, 0, 0};
	static const uint32_t words[][2] = {
		{OID_GEN_HARDWARE_STATUS, 0},
		{OID_GEN_MEDIA_SUPPORTED, 0},
		{OID_GEN_MAXIMUM_LOOKAHEAD, 1500},
		{OID_GEN_LINK_SPEED, 100000000},
		{OID_GEN_MAXIMUM_TOTAL_SIZE, 1514},
		{OID_GEN_VENDOR_ID, 0x155d},
		{OID_GEN_MAC_OPTIONS, 0x24d},
		{OID_GEN_MEDIA_CONNECT_STATUS, 0},
		{OID_GEN_MAXIMUM_SEND_PACKETS, UINT32_MAX},
		{OID_GEN_CURRENT_PACKET_FILTER, 13},
		{OID_GEN_XMIT_OK, 0},
	};
	uint8_t out[600], mac[6] = {0x02, 1, 2, 3, 4, 5}, info[NDIS_CONFIG_MAC_INFO];
	struct ndis_offloads offloads;
	struct ndis_rss_caps rss;
	const uint8_t *answer;
	struct guest g;
	uint32_t len;
	size_t i;

	guest_start(&g, small, 16);
	guest_nvsp_up(&g, NVSP_VERSION_61, NVSP_CAP_8021Q, 1500);
	/* QUERY before INITIALIZE: the send itself fails. */
	CU_ASSERT_EQUAL(guest_query(&g, OID_GEN_LINK_SPEED, out, 4, &len), UINT32_MAX);
	guest_rndis_up(&g, 13);
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		CU_ASSERT_EQUAL(guest_query_word(&g, words[i][0]), words[i][1]);
	CU_ASSERT_EQUAL(guest_query(&g, OID_802_3_PERMANENT_ADDRESS, out, 6, &len), 0);
	CU_ASSERT_EQUAL(len, 6);
	CU_ASSERT_EQUAL(memcmp(out, g.config.mac, 6), 0);
	CU_ASSERT_EQUAL(guest_query(&g, OID_GEN_FRIENDLY_NAME, out, 512, &len), 0);
	CU_ASSERT_EQUAL(len, 512);
	CU_ASSERT_EQUAL(guest_query(&g, OID_GEN_DIRECTED_BYTES_RCV, out, 8, &len), 0);
	CU_ASSERT_EQUAL(len, 8);
	CU_ASSERT_EQUAL(guest_query(&g, OID_GEN_LINK_STATE, out, 40, &len), 0);
	CU_ASSERT_EQUAL(len, 40);
	CU_ASSERT_EQUAL(guest_query(&g, OID_GEN_SUPPORTED_LIST, out, sizeof(out), &len), 0);
	CU_ASSERT(len >= 4 * 50 && len % 4 == 0);
	CU_ASSERT_EQUAL(guest_query(&g, OID_TCP_OFFLOAD_HARDWARE_CAPS, out, 156, &len), 0);
	CU_ASSERT_EQUAL(len, 156);
	CU_ASSERT_EQUAL(ndis_parse_offload_caps(out, len, &offloads), 0);
	CU_ASSERT_EQUAL(offloads.can, NDIS_CAN_ALL & ~(NDIS_CAN_RSC4 | NDIS_CAN_RSC6));
	CU_ASSERT_EQUAL(offloads.tso4_max, NDIS_LSO_MAX_SIZE);
	CU_ASSERT_EQUAL(guest_query(&g, OID_GEN_RECEIVE_SCALE_CAPABILITIES, out, 18, &len), 0);
	CU_ASSERT_EQUAL(len, 18);
	CU_ASSERT_EQUAL(ndis_parse_rss_caps(out, len, &rss), 0);
	CU_ASSERT_EQUAL(rss.receive_queues, 4);
	CU_ASSERT_EQUAL(rss.table_entries, 128);
	CU_ASSERT_EQUAL(guest_query(&g, OID_GEN_VLAN_ID, out, 4, &len), RNDIS_STATUS_NOT_SUPPORTED);
	CU_ASSERT_EQUAL(len, 0);
	/* MAC: permanent stays, current changes. */
	CU_ASSERT_EQUAL(ndis_build_config_mac(info, sizeof(info), mac), NDIS_CONFIG_MAC_INFO);
	CU_ASSERT_EQUAL(guest_set(&g, OID_GEN_RNDIS_CONFIG_PARAMETER, info, sizeof(info)), 0);
	CU_ASSERT_EQUAL(guest_query(&g, OID_802_3_CURRENT_ADDRESS, out, 6, &len), 0);
	CU_ASSERT_EQUAL(memcmp(out, mac, 6), 0);
	CU_ASSERT_EQUAL(guest_query(&g, OID_802_3_PERMANENT_ADDRESS, out, 6, &len), 0);
	CU_ASSERT_EQUAL(memcmp(out, g.config.mac, 6), 0);
	answer = guest_request(&g, keepalive, sizeof(keepalive), RNDIS_TYPE_KEEPALIVE_CMPLT, &len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(answer);
	CU_ASSERT_EQUAL(answer[8], 0x44);
	CU_ASSERT_PTR_NULL(guest_request(&g, reset, sizeof(reset), RNDIS_TYPE_RESET_CMPLT, &len));
	/* HALT has only its 108; then INITIALIZE is legal again. */
	CU_ASSERT_PTR_NULL(guest_request(&g, halt, sizeof(halt), RNDIS_TYPE_INITIALIZE, &len));
	CU_ASSERT_EQUAL(g.nic->filter, 0);
	guest_rndis_up(&g, 1);
	guest_stop(&g);
}

static void
control_on_a_subchannel_fails(void)
{
	static const struct guest_range range = {28, 0, 0};
	const struct guest_packet *p;
	struct guest g;

	guest_start_up(&g, small, 16);
	guest_subchannels(&g, 2);
	guest_poll(&g);
	rndis_build_query(g.pages, 64, 1, OID_GEN_LINK_SPEED, NULL, 0);
	guest_send_pages(&g, 1, NVSP_CHANNEL_CONTROL, &range, 1, 77);
	guest_poll(&g);
	p = guest_completion(&g, 77);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(p->channel, 1);
	CU_ASSERT_EQUAL(p->msg.rndis_complete.status, NVSP_STATUS_FAILURE);
	guest_stop(&g);
}

static void
subchannels_then_table(void)
{
	uint32_t table[NVSP_SEND_TABLE_ENTRIES] = {0};
	const struct guest_packet *p;
	struct nvsp_message msg;
	struct guest g;

	guest_start_up(&g, small, 16);
	guest_subchannels(&g, 3);
	CU_ASSERT_PTR_NOT_NULL(&g);
	guest_poll(&g);
	p = guest_inband(&g, NVSP_TYPE_SEND_TABLE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(p->payload_len, 104);
	CU_ASSERT_EQUAL(p->msg.send_table.offset, 40);
	CU_ASSERT_EQUAL(p->desc.flags, 0);
	(void)table;
	/* Once per open: asking again fails and changes nothing. */
	nvsp_build_subchannel(&msg, 1);
	guest_nvsp(&g, &msg, 90, true);
	guest_poll(&g);
	p = guest_completion(&g, 90);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(p->msg.subchannel_complete.status, NVSP_STATUS_FAILURE);
	CU_ASSERT_EQUAL(p->msg.subchannel_complete.granted, 0);
	guest_stop(&g);

	/* A transport that opens the channels inside the call: the answer still comes first. */
	guest_start(&g, small, 16);
	g.open_at_once = true;
	guest_up(&g, 13);
	guest_subchannels(&g, 3);
	p = guest_inband(&g, NVSP_TYPE_SEND_TABLE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(g.packets[0].desc.type, VMBUS_PACKET_COMPLETION);
	CU_ASSERT(p > &g.packets[0]);
	/* A channel that was not granted cannot be opened. */
	CU_ASSERT_EQUAL(host_nic_channel_open(g.nic, 4, &g.out[0].ring, &g.in[0].ring), -EINVAL);
	guest_stop(&g);

	/* More than there are: clamped. Transport failure: status 2. */
	guest_start_up(&g, small, 16);
	g.subchannels_rc = -ENOMEM;
	nvsp_build_subchannel(&msg, 63);
	guest_nvsp(&g, &msg, 91, true);
	guest_poll(&g);
	p = guest_completion(&g, 91);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(g.granted, 3);
	CU_ASSERT_EQUAL(p->msg.subchannel_complete.status, NVSP_STATUS_FAILURE);
	CU_ASSERT_EQUAL(g.offers, 0);
	guest_stop(&g);
}

static void
link_is_indicated(void)
{
	struct rndis_indication in;
	const uint8_t *m;
	struct guest g;
	uint8_t frame[60];
	uint32_t len;

	guest_start_up(&g, small, 16);
	host_nic_set_link(g.nic, false);
	guest_port_put(&g, frame, guest_make_udp(&g, frame, 60, 1));
	guest_poll(&g);
	m = guest_control(&g, RNDIS_TYPE_INDICATE_STATUS, &len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL(rndis_parse_indicate(m, len, &in), 0);
	CU_ASSERT_EQUAL(in.status, RNDIS_STATUS_MEDIA_DISCONNECT);
	CU_ASSERT_EQUAL(g.nic->stats.rx_dropped_link, 1);
	CU_ASSERT_EQUAL(guest_query_word(&g, OID_GEN_MEDIA_CONNECT_STATUS), 1);
	host_nic_set_link(g.nic, true);
	guest_poll(&g);
	m = guest_control(&g, RNDIS_TYPE_INDICATE_STATUS, &len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL(rndis_parse_indicate(m, len, &in), 0);
	CU_ASSERT_EQUAL(in.status, RNDIS_STATUS_MEDIA_CONNECT);
	guest_stop(&g);
}

/* pitfalls K5: flaps faster than the guest reads; the last state is never lost. */
static void
many_flaps_end_in_the_last_state(void)
{
	struct rndis_indication in = {0};
	const struct guest_packet *p;
	uint32_t i, n, flaps;
	struct guest g;

	for (flaps = 1001; flaps <= 1002; flaps++) {
		guest_start_up(&g, small, 1);
		for (i = 0; i < flaps; i++) {
			host_nic_set_link(g.nic, i % 2);
			host_nic_poll(g.nic, 8);
		}
		for (i = 0; i < 20; i++) {
			guest_poll(&g);
			for (n = 0; (p = guest_transfer(&g, n)) != NULL; n++)
				CU_ASSERT_EQUAL(rndis_parse_indicate(guest_message(&g, p, 0),
							p->range[0].byte_count, &in),
					0);
		}
		CU_ASSERT_EQUAL(in.status,
			flaps % 2 ? RNDIS_STATUS_MEDIA_DISCONNECT : RNDIS_STATUS_MEDIA_CONNECT);
		guest_stop(&g);
	}
}

static void
revoke_close_and_reopen(void)
{
	struct nvsp_message msg;
	const struct guest_packet *p;
	uint8_t frame[60];
	struct guest g;
	int round;

	guest_start(&g, small, 16);
	for (round = 0; round < 3; round++) {
		guest_up(&g, 13);
		guest_subchannels(&g, 2);
		g.ack = false;
		guest_port_put(&g, frame, guest_make_udp(&g, frame, 60, 1));
		guest_poll(&g);
		CU_ASSERT_PTR_NOT_NULL(guest_transfer(&g, 0));
		if (round < 2) {
			nvsp_build_revoke(&msg, NVSP_TYPE_REVOKE_RECV_BUF, NVSP_RECV_BUF_ID);
			guest_nvsp(&g, &msg, VMBUS_NO_TRANS_ID, false);
			nvsp_build_revoke(&msg, NVSP_TYPE_REVOKE_SEND_BUF, NVSP_SEND_BUF_ID);
			guest_nvsp(&g, &msg, VMBUS_NO_TRANS_ID, false);
			/* A late send is answered, with a failure; a late ack is drained. */
			guest_send_section(&g, 0, 0, 100, 70);
			guest_ack(&g, 0, 16);
			guest_poll(&g);
			p = guest_completion(&g, 70);
			CU_ASSERT_PTR_NOT_NULL_FATAL(p);
			CU_ASSERT_EQUAL(p->msg.rndis_complete.status, NVSP_STATUS_FAILURE);
			CU_ASSERT_EQUAL(g.broken[0], 0);
			CU_ASSERT_STRING_EQUAL(host_nic_state_name(g.nic), "revoked");
		}
		/* Revoked memory is never written again. */
		host_nic_buffers_revoked(g.nic);
		memset(g.recv, 0x5a, g.recv_len);
		guest_port_put(&g, frame, 60);
		guest_poll(&g);
		CU_ASSERT_EQUAL(g.recv[0], 0x5a);
		CU_ASSERT_EQUAL(memcmp(g.recv, g.recv + 1, g.recv_len - 1), 0);
		host_nic_channel_close(g.nic, 0);
		CU_ASSERT_FALSE(host_nic_channel_is_open(g.nic, 1));
		CU_ASSERT_STRING_EQUAL(host_nic_state_name(g.nic), "offered");
		CU_ASSERT_EQUAL(guest_poll(&g), 0);
		g.ack = true;
		g.offers = 0;
		guest_open(&g, 0);
	}
	guest_stop(&g);
}

static void
broken_ring_closes_that_channel_only(void)
{
	struct guest g;
	uint32_t len = 0;

	guest_start_up(&g, small, 16);
	guest_subchannels(&g, 2);
	guest_poll(&g);
	atomic_store(&g.out[1].ring.ctl->write_index, 12);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.broken[1], 1);
	CU_ASSERT_EQUAL(g.broken[0], 0);
	CU_ASSERT_EQUAL(guest_query_word(&g, OID_GEN_MEDIA_CONNECT_STATUS), 0);
	/* A descriptor type that guests do not send. */
	guest_send(&g, 2, VMBUS_PACKET_XFER_PAGES, 1, 1, NULL, 0, &len, 4);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.broken[2], 1);
	guest_send(&g, 0, VMBUS_PACKET_INBAND, 1, 3, NULL, 0, &len, 4);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.broken[0], 1);
	CU_ASSERT_EQUAL(g.nic->stats.protocol_errors, 3);
	guest_stop(&g);
}

static void
sleep_asks_for_signals(void)
{
	struct nvsp_message msg;
	struct guest g;

	guest_start(&g, small, 16);
	CU_ASSERT_NOT_EQUAL(atomic_load(&g.out[0].ring.ctl->interrupt_mask), 0);
	CU_ASSERT_FALSE(host_nic_sleep(g.nic));
	CU_ASSERT_EQUAL(atomic_load(&g.out[0].ring.ctl->interrupt_mask), 0);
	CU_ASSERT_EQUAL(host_nic_deadline(g.nic), UINT64_MAX);
	host_nic_wake(g.nic);
	CU_ASSERT_NOT_EQUAL(atomic_load(&g.out[0].ring.ctl->interrupt_mask), 0);
	/* Work that came just before is seen, and signals are masked again. */
	nvsp_build_init(&msg, NVSP_VERSION_61);
	guest_nvsp(&g, &msg, 1, true);
	CU_ASSERT_TRUE(host_nic_sleep(g.nic));
	CU_ASSERT_NOT_EQUAL(atomic_load(&g.out[0].ring.ctl->interrupt_mask), 0);
	/* Our guest's ring is unmasked and was empty: one signal for the answer. */
	CU_ASSERT_EQUAL(g.signals, 0);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.signals, 1);
	/* A delayed answer has a deadline. */
	CU_ASSERT_EQUAL(host_nic_knob(g.nic, "delay_ms", "60000"), 0);
	nvsp_build_ndis_config(&msg, 1500, 0);
	guest_nvsp(&g, &msg, 2, true);
	guest_poll(&g);
	CU_ASSERT_PTR_NULL(guest_completion(&g, 2));
	CU_ASSERT(host_nic_deadline(g.nic) <= UINT64_C(60000000000));
	CU_ASSERT(host_nic_deadline(g.nic) > UINT64_C(50000000000));
	guest_stop(&g);
}

static void
config_is_strict(void)
{
	static const char *const bad[] = {"channels=0", "channels=65", "ring=4095", "ring=4096",
		"recv=32M", "mac=01:00:00:00:00:01", "mac=00:15:5d:00:00", "guid=1", "nvsp=3",
		"mtu=1499", "bogus=1", "channels", "channels=4,,mtu=1500", "channels=4,",
		"channels=4,channels=4", "port=", "ring=2G", "recv=99999999999M"};
	struct host_nic_config c, d;
	char err[200];
	size_t i;

	CU_ASSERT_EQUAL(host_nic_config_parse("", 0, &c, err, sizeof(err)), 0);
	CU_ASSERT_EQUAL(host_nic_config_parse("", 1, &d, err, sizeof(err)), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(c.mac, d.mac, 6), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(c.instance, d.instance, 16), 0);
	CU_ASSERT_EQUAL(c.channels, 8);
	CU_ASSERT_EQUAL(c.ring_bytes, 2u << 20);
	CU_ASSERT_EQUAL(host_nic_config_parse("guid=f8615163-df3e-46c5-913f-f2d2f965ed0e,"
					      "mac=02:00:00:00:00:09,channels=2,ring=64K,recv=1M,"
					      "send=256K,mtu=1500,nvsp=5,section=2048,"
					      "port=gen:size=64,count=5",
				0, &c, err, sizeof(err)),
		0);
	CU_ASSERT_STRING_EQUAL(c.port, "gen:size=64,count=5");
	CU_ASSERT_EQUAL(c.ring_bytes, 65536);
	CU_ASSERT_EQUAL(c.nvsp_max, NVSP_VERSION_5);
	CU_ASSERT_EQUAL(c.instance[0], 0x63);
	CU_ASSERT_EQUAL(c.mac[5], 9);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err[0] = '\0';
		CU_ASSERT_EQUAL(host_nic_config_parse(bad[i], 0, &c, err, sizeof(err)), -EINVAL);
		CU_ASSERT_NOT_EQUAL(err[0], '\0');
	}
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"ladder at every version", ladder_at_every_version},
		{"version is refused until it fits", version_is_refused_until_it_fits},
		{"wrong order stops the channel", wrong_order_stops_the_channel},
		{"buffers are checked", buffers_are_checked},
		{"a refused buffer, then the channel closes", refused_buffer_then_close},
		{"RNDIS control and OIDs", rndis_control_and_oids},
		{"control on a subchannel fails", control_on_a_subchannel_fails},
		{"subchannels, then the table", subchannels_then_table},
		{"link is indicated", link_is_indicated},
		{"many flaps end in the last state", many_flaps_end_in_the_last_state},
		{"revoke, close and reopen", revoke_close_and_reopen},
		{"broken ring closes that channel only", broken_ring_closes_that_channel_only},
		{"sleep asks for signals", sleep_asks_for_signals},
		{"configuration is strict", config_is_strict},
	};

	return UNIT_RUN("host_nic", tests);
}
