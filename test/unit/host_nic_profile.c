/* SPDX-License-Identifier: BSD-3-Clause */
/* Each profile is the host that it is named after (spec/hosts.md §2), and what is given wins. */
#include "test/unit/host_nic_guest.h"

static uint32_t
rss_entries(struct guest *g)
{
	struct ndis_rss_caps caps;
	uint8_t out[64];
	uint32_t len;

	CU_ASSERT_EQUAL(
		guest_query(g, OID_GEN_RECEIVE_SCALE_CAPABILITIES, out, sizeof(out), &len), 0);
	CU_ASSERT_EQUAL(ndis_parse_rss_caps(out, len, &caps), 0);
	return caps.table_entries;
}

static bool
offers_rsc(struct guest *g)
{
	struct ndis_offloads offloads;
	uint8_t out[NDIS_OFFLOAD_CAPS_REV3];
	uint32_t len;

	guest_query(g, OID_TCP_OFFLOAD_HARDWARE_CAPS, out, sizeof(out), &len);
	CU_ASSERT_EQUAL(ndis_parse_offload_caps(out, len, &offloads), 0);
	return offloads.can & NDIS_CAN_RSC4;
}

static void
guests_see_the_host_that_the_profile_names(void)
{
	static const struct {
		const char *nic;
		uint32_t version, section, data_at, range, rss_entries, link_mbps;
		bool rsc, stats;
	} rows[] = {
		{"channels=4", NVSP_VERSION_61, 1728, 128, 128 + 60, 128, 10000, true, true},
		{"channels=4,profile=ws2016", NVSP_VERSION_6, 1728, 128, 128 + 60, 128, 10000,
			false, true},
		{"channels=4,profile=ws2019", NVSP_VERSION_61, 1728, 128, 128 + 60, 128, 10000,
			true, true},
		{"channels=4,profile=ws2022", NVSP_VERSION_61, 1728, 128, 128 + 60, 128, 40000,
			true, true},
		{"channels=4,profile=openhcl", NVSP_VERSION_61, 1810, 256, 1810, 256, 200000, false,
			false},
	};
	struct rndis_packet_info info;
	struct nvsp_message msg;
	uint8_t frame[60], out[64];
	const uint8_t *m;
	struct guest g;
	uint32_t len;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		guest_start(&g, rows[i].nic, 16);
		/* Newer versions are refused. */
		nvsp_build_init(&msg, NVSP_VERSION_61);
		if (rows[i].version < NVSP_VERSION_61) {
			guest_nvsp(&g, &msg, 77, true);
			guest_poll(&g);
			CU_ASSERT_PTR_NOT_NULL_FATAL(guest_completion(&g, 77));
			CU_ASSERT_NOT_EQUAL(guest_completion(&g, 77)->msg.init_complete.status,
				NVSP_STATUS_SUCCESS);
		}
		guest_nvsp_up(&g, rows[i].version, NVSP_CAP_8021Q | NVSP_CAP_RSC, 1500);
		guest_rndis_up(&g, 13);
		CU_ASSERT_EQUAL(g.section, rows[i].section);
		CU_ASSERT_EQUAL(rss_entries(&g), rows[i].rss_entries);
		CU_ASSERT_EQUAL(offers_rsc(&g), rows[i].rsc);
		CU_ASSERT_EQUAL(
			guest_query_word(&g, OID_GEN_LINK_SPEED), rows[i].link_mbps * 10000u);
		CU_ASSERT_EQUAL(guest_query(&g, OID_GEN_XMIT_OK, out, sizeof(out), &len),
			rows[i].stats ? RNDIS_STATUS_SUCCESS : RNDIS_STATUS_NOT_SUPPORTED);
		guest_port_put(&g, frame, guest_make_udp(&g, frame, 60, 1));
		guest_poll(&g);
		m = guest_data(&g, 0, &info);
		CU_ASSERT_PTR_NOT_NULL_FATAL(m);
		CU_ASSERT_EQUAL(info.data_abs, rows[i].data_at);
		CU_ASSERT_EQUAL(info.message_length, rows[i].range);
		CU_ASSERT_EQUAL(memcmp(m + info.data_abs, frame, 60), 0);
		guest_stop(&g);
	}
}

static void
what_is_given_wins_over_the_profile(void)
{
	static const struct {
		const char *nic;
		uint32_t nvsp;
	} rows[] = {
		{"profile=ws2016,nvsp=6.1", NVSP_VERSION_61},
		{"nvsp=6.1,profile=ws2016", NVSP_VERSION_61},
		{"nvsp=5,profile=openhcl", NVSP_VERSION_5},
		{"profile=ws2016", NVSP_VERSION_6},
	};
	struct host_nic_config config;
	struct guest g;
	char err[200];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT_EQUAL(
			host_nic_config_parse(rows[i].nic, 0, &config, err, sizeof(err)), 0);
		CU_ASSERT_EQUAL(config.nvsp_max, rows[i].nvsp);
	}
	CU_ASSERT_NOT_EQUAL(
		host_nic_config_parse("profile=ws2003", 0, &config, err, sizeof(err)), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "openhcl"));
	/* A section that is long enough for the profile's offset stays as it was given. */
	guest_start(&g, "section=2048,profile=openhcl", 16);
	host_nic_knob(g.nic, "rss_entries", "128");
	guest_up(&g, 13);
	CU_ASSERT_EQUAL(g.section, 2048);
	CU_ASSERT_EQUAL(g.nic->data_offset, 256);
	CU_ASSERT_EQUAL(rss_entries(&g), 128);
	guest_stop(&g);
}

static void
hash_that_a_host_does_not_tell(void)
{
	uint16_t table[NDIS_RSS_TABLE_ENTRIES];
	uint8_t params[NDIS_RSS_PARAMS_INFO], frame[60];
	struct rndis_packet_info info;
	uint32_t i, n, seen = 0;
	struct guest g;

	guest_start_up(&g, "profile=openhcl,channels=4", 64);
	guest_subchannels(&g, 3);
	for (i = 0; i < NDIS_RSS_TABLE_ENTRIES; i++)
		table[i] = (uint16_t)(i % 4);
	ndis_build_rss_params(params, sizeof(params), NDIS_HASH_TOEPLITZ | NDIS_HASH_TCP_IPV4,
		table, NDIS_RSS_TABLE_ENTRIES, toeplitz_default_key);
	guest_set(&g, OID_GEN_RECEIVE_SCALE_PARAMETERS, params, sizeof(params));
	for (i = 0; i < 32; i++)
		guest_port_put(&g, frame, guest_make_udp(&g, frame, 60, i));
	guest_poll(&g);
	for (i = 0; guest_data(&g, i, &info) != NULL; i++)
		CU_ASSERT_EQUAL(info.present, 0);
	CU_ASSERT_EQUAL(i, 32);
	for (n = 0; guest_transfer(&g, n) != NULL; n++)
		seen |= 1u << guest_transfer(&g, n)->channel;
	CU_ASSERT_EQUAL(seen, 0xf);
	guest_stop(&g);
}

/* OpenVMM stops reading the ring (spec/nvsp.md §5). */
static void
sends_in_flight_are_limited(void)
{
	uint32_t i, len, n;
	uint8_t frame[60];
	struct guest g;

	guest_start_up(&g, "profile=openhcl", 64);
	guest_poll(&g);
	len = guest_make_packet(g.send, frame, guest_make_udp(&g, frame, 60, 1));
	host_nic_knob(g.nic, "no_complete", "1");
	for (i = 0; i < 1500; i++) {
		CU_ASSERT_EQUAL(guest_send_section(&g, 0, 0, len, i), 0);
		host_nic_poll(g.nic, 64);
	}
	CU_ASSERT_EQUAL(g.nic->stats.tx_frames, 1024);
	host_nic_knob(g.nic, "no_complete", "0");
	for (i = n = 0; i < 100; i++) {
		guest_poll(&g);
		n += g.packets_n;
	}
	CU_ASSERT_EQUAL(g.nic->stats.tx_frames, 1500);
	CU_ASSERT_EQUAL(n, 1500);
	guest_stop(&g);
}

static void
list_of_groups_that_a_host_has_no_room_for(void)
{
	static const uint8_t listed[6] = {0x01, 0, 0x5e, 0, 0, 1};
	struct guest g;

	guest_start_up(&g, "profile=openhcl", 16);
	CU_ASSERT_EQUAL(guest_query_word(&g, OID_802_3_MAXIMUM_LIST_SIZE), 0);
	CU_ASSERT_EQUAL(
		guest_set(&g, OID_802_3_MULTICAST_LIST, listed, 6), RNDIS_STATUS_MULTICAST_FULL);
	CU_ASSERT_EQUAL(guest_set(&g, OID_802_3_MULTICAST_LIST, NULL, 0), RNDIS_STATUS_SUCCESS);
	guest_stop(&g);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"guests see the host that the profile names",
			guests_see_the_host_that_the_profile_names},
		{"what is given wins over the profile", what_is_given_wins_over_the_profile},
		{"hash that a host does not tell", hash_that_a_host_does_not_tell},
		{"sends in flight are limited", sends_in_flight_are_limited},
		{"list of groups that a host has no room for",
			list_of_groups_that_a_host_has_no_room_for},
	};

	return UNIT_RUN("host_nic_profile", tests);
}
