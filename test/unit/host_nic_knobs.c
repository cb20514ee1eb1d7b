/* SPDX-License-Identifier: BSD-3-Clause */
/* Each knob of the host NIC changes what it says, and the NIC stays sound meanwhile. */
#include <time.h>

#include "test/unit/host_nic_guest.h"

static const char small[] = "recv=1M,send=256K,channels=4";

static void
start_up(struct guest *g)
{
	guest_start(g, small, 64);
	guest_up(g, 13);
	guest_poll(g);
}

static void
names_and_values_are_checked(void)
{
	char name[32], help[8192];
	struct guest g;
	const char *line;
	size_t len;

	start_up(&g);
	CU_ASSERT_EQUAL(host_nic_knob(g.nic, "nothing", "1"), -ENOENT);
	CU_ASSERT_EQUAL(host_nic_knob(g.nic, "batch", "0"), -EINVAL);
	CU_ASSERT_EQUAL(host_nic_knob(g.nic, "batch", "376"), -EINVAL);
	CU_ASSERT_EQUAL(host_nic_knob(g.nic, "batch", "-1"), -EINVAL);
	CU_ASSERT_EQUAL(host_nic_knob(g.nic, "batch", "3x"), -EINVAL);
	CU_ASSERT_EQUAL(host_nic_knob(g.nic, "batch", ""), -EINVAL);
	CU_ASSERT_EQUAL(host_nic_knob(g.nic, "grant", "many"), -EINVAL);
	CU_ASSERT_EQUAL(host_nic_knob(g.nic, "corrupt_ring", "9"), -EINVAL);
	CU_ASSERT_EQUAL(host_nic_knob(g.nic, "table_layout", "d"), -EINVAL);
	/* The help names only knobs that exist. */
	CU_ASSERT_FATAL(strlen(host_nic_knob_help) < sizeof(help));
	strncpy(help, host_nic_knob_help, sizeof(help) - 1);
	help[sizeof(help) - 1] = '\0';
	for (line = strtok(help, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		len = strcspn(line, "=");
		CU_ASSERT_FATAL(len < sizeof(name));
		memcpy(name, line, len);
		name[len] = '\0';
		CU_ASSERT_EQUAL(host_nic_knob(g.nic, name, "bad value"), -EINVAL);
	}
	guest_stop(&g);
}

static void
stall_and_withheld_completions(void)
{
	uint8_t frame[60];
	struct guest g;
	uint32_t len, i;

	start_up(&g);
	len = guest_make_packet(g.send, frame, guest_make_udp(&g, frame, 60, 1));
	host_nic_knob(g.nic, "stall", "1");
	guest_send_section(&g, 0, 0, len, 10);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.port.out_n, 0);
	/* A stalled host may sleep: nothing would wake it usefully. */
	CU_ASSERT_FALSE(host_nic_sleep(g.nic));
	host_nic_wake(g.nic);
	host_nic_knob(g.nic, "stall", "0");
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.port.out_n, 1);
	CU_ASSERT_PTR_NOT_NULL(guest_completion(&g, 10));

	host_nic_knob(g.nic, "no_complete", "1");
	for (i = 0; i < 100; i++) {
		guest_send_section(&g, 0, 0, len, 100 + i);
		guest_poll(&g);
		CU_ASSERT_PTR_NULL(guest_completion(&g, 100 + i));
	}
	CU_ASSERT_EQUAL(g.port.out_n, 101);
	host_nic_knob(g.nic, "no_complete", "0");
	guest_poll(&g);
	for (i = 0; i < 100; i++)
		CU_ASSERT_PTR_NOT_NULL(guest_completion(&g, 100 + i));

	/* Sends that are never completed fill the host's queue; then it reads no more. */
	host_nic_knob(g.nic, "no_complete", "1");
	for (i = 0; i < 3 * NIC_DONE_QUEUE; i++) {
		guest_send_section(&g, 0, 0, len, i);
		host_nic_poll(g.nic, 64);
	}
	CU_ASSERT(nic_done_room(&g.nic->channels[0]) < NIC_PENDING + 64);
	host_nic_knob(g.nic, "no_complete", "0");
	for (i = 0; i < 100; i++)
		guest_poll(&g);
	CU_ASSERT_EQUAL(nic_done_room(&g.nic->channels[0]), NIC_DONE_QUEUE);
	guest_stop(&g);
}

static void
stall_rx_and_rx_wait_lose_nothing(void)
{
	uint8_t frame[60];
	uint32_t i, n, seen = 0;
	struct guest g;

	guest_start(&g, small, 1);
	host_nic_knob(g.nic, "recv_sections", "40");
	guest_up(&g, 13);
	host_nic_knob(g.nic, "stall_rx", "1");
	host_nic_knob(g.nic, "rx_wait", "1");
	for (i = 0; i < 500; i++)
		guest_port_put(&g, frame, guest_make_udp(&g, frame, 60, i));
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.port.in_head, 0);
	host_nic_knob(g.nic, "stall_rx", "0");
	for (i = 0; i < 10; i++)
		host_nic_poll(g.nic, 64); /* the guest sleeps */
	for (i = 0; i < 100; i++) {
		guest_poll(&g);
		for (n = 0; guest_transfer(&g, n) != NULL; n++)
			seen += guest_transfer(&g, n)->ranges;
	}
	CU_ASSERT_EQUAL(seen, 500);
	CU_ASSERT_EQUAL(g.nic->stats.rx_dropped_no_section, 0);
	CU_ASSERT_EQUAL(g.nic->stats.rx_dropped_ring_full, 0);
	guest_stop(&g);
}

static void
refused_sends_are_spread(void)
{
	uint32_t i, len, refused = 0;
	uint8_t frame[60];
	struct guest g;

	start_up(&g);
	len = guest_make_packet(g.send, frame, guest_make_udp(&g, frame, 60, 1));
	host_nic_knob(g.nic, "refuse_pct", "25");
	for (i = 0; i < 100; i++) {
		guest_send_section(&g, 0, 0, len, 100 + i);
		guest_poll(&g);
		CU_ASSERT_PTR_NOT_NULL_FATAL(guest_completion(&g, 100 + i));
		refused += guest_completion(&g, 100 + i)->msg.rndis_complete.status !=
			   NVSP_STATUS_SUCCESS;
	}
	CU_ASSERT_EQUAL(refused, 25);
	CU_ASSERT_EQUAL(g.port.out_n, 75);
	guest_stop(&g);
}

static void
batch_and_slot(void)
{
	const struct guest_packet *p;
	struct rndis_packet_info info;
	const uint8_t *m;
	uint8_t frame[60];
	struct guest g;
	uint32_t i;

	start_up(&g);
	host_nic_knob(g.nic, "batch", "3");
	host_nic_knob(g.nic, "range_slot", "1");
	for (i = 0; i < 7; i++)
		guest_port_put(&g, frame, guest_make_udp(&g, frame, 60, i));
	guest_poll(&g);
	CU_ASSERT_PTR_NOT_NULL_FATAL(guest_transfer(&g, 2));
	CU_ASSERT_PTR_NULL(guest_transfer(&g, 3));
	p = guest_transfer(&g, 0);
	CU_ASSERT_EQUAL(p->ranges, 3);
	CU_ASSERT_EQUAL(guest_transfer(&g, 2)->ranges, 1);
	CU_ASSERT_EQUAL(p->range[0].byte_count, g.section);
	m = guest_message(&g, p, 0);
	CU_ASSERT_EQUAL(rndis_packet_parse_rx(m, 300, g.section, &info), 0);
	CU_ASSERT_EQUAL(info.message_length, g.section);
	CU_ASSERT_EQUAL(info.data_length, 60);
	/* The largest batch there is: one packet of 375 ranges. */
	host_nic_knob(g.nic, "range_slot", "0");
	host_nic_knob(g.nic, "batch", "375");
	guest_poll(&g);
	for (i = 0; i < 400; i++)
		guest_port_put(&g, frame, 60);
	host_nic_poll(g.nic, 400);
	guest_poll(&g);
	CU_ASSERT_PTR_NOT_NULL_FATAL(guest_transfer(&g, 1));
	CU_ASSERT_EQUAL(guest_transfer(&g, 0)->ranges, 375);
	CU_ASSERT_EQUAL(guest_transfer(&g, 1)->ranges, 25);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.nic->free_n + g.nic->free_control_n, g.sections);
	guest_stop(&g);
}

static void
transaction_ids_from_a_base(void)
{
	uint8_t frame[60];
	struct guest g;

	guest_start(&g, small, 64);
	CU_ASSERT_EQUAL(host_nic_knob(g.nic, "tid_base", "0x10000000000"), -EINVAL);
	host_nic_channel_close(g.nic, 0);
	CU_ASSERT_EQUAL(host_nic_knob(g.nic, "tid_base", "0x10000000000"), 0);
	guest_open(&g, 0);
	guest_up(&g, 13);
	guest_port_put(&g, frame, guest_make_udp(&g, frame, 60, 1));
	guest_poll(&g);
	CU_ASSERT_PTR_NOT_NULL_FATAL(guest_transfer(&g, 0));
	CU_ASSERT(guest_transfer(&g, 0)->desc.trans_id >= UINT64_C(1) << 40);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.broken[0], 0);
	guest_ack(&g, 0, 16); /* an id without the base is unknown */
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.broken[0], 1);
	guest_stop(&g);
}

/* Count the messages of the last poll that a guest takes, and what it must not take. */
static void
seen(const struct guest *g, uint32_t *good, uint32_t *bad)
{
	struct rndis_packet_info info;
	const struct guest_packet *p;
	uint32_t n, k;
	const uint8_t *m;

	for (n = 0; (p = guest_transfer(g, n)) != NULL; n++) {
		if (p->msg.rndis.channel_type != NVSP_CHANNEL_DATA)
			continue;
		if (p->xfer_ranges <= 0) {
			++*bad;
			continue;
		}
		for (k = 0; k < p->ranges; k++) {
			m = guest_message(g, p, k);
			++*(m == NULL || rndis_packet_parse_rx(
						 m, 300, p->range[k].byte_count, &info) != 0
					? bad
					: good);
		}
	}
}

/* Of each kind, one in a packet of good ones. */
static void
every_kind_of_defect_is_one_that_a_guest_finds(void)
{
#define NAME(name) #name,
	static const char *const kinds[] = {NIC_DEFECTS(NAME)};
	static const char *const hosts[] = {small, "recv=1M,send=256K,profile=openhcl"};
	uint32_t i, k, host, good, bad;
	uint8_t frame[60];
	struct guest g;

	for (host = 0; host < 2; host++)
		for (k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
			good = bad = 0;
			guest_start_up(&g, hosts[host], 64);
			guest_poll(&g);
			g.lies = true;
			CU_ASSERT_EQUAL(host_nic_knob(g.nic, "malformed_rx_kind", kinds[k]), 0);
			host_nic_knob(g.nic, "malformed_rx_pct", "20");
			for (i = 0; i < 10; i++)
				guest_port_put(&g, frame, guest_make_udp(&g, frame, 60, i));
			guest_poll(&g);
			seen(&g, &good, &bad);
			if (good != 8 || bad != 2)
				printf("\n    %s: %u good, %u bad", kinds[k], good, bad);
			CU_ASSERT_EQUAL(good, 8);
			CU_ASSERT_EQUAL(bad, 2);
			CU_ASSERT_EQUAL(g.nic->stats.rx_spoiled, 2);
			CU_ASSERT_EQUAL(g.nic->stats.rx_frames, 10);
			guest_poll(&g);
			CU_ASSERT_EQUAL(g.nic->free_n + g.nic->free_control_n, g.sections);
			guest_stop(&g);
		}
	start_up(&g);
	CU_ASSERT_EQUAL(host_nic_knob(g.nic, "malformed_rx_kind", "all"), 0);
	CU_ASSERT_EQUAL(host_nic_knob(g.nic, "malformed_rx_kind", "none"), -EINVAL);
	guest_stop(&g);
}

/* pitfalls X10: whatever a message holds, its section comes back. */
static void
malformed_messages_leak_no_section(void)
{
	uint32_t i, good = 0, bad = 0;
	uint8_t frame[60];
	struct guest g;

	start_up(&g);
	g.lies = true;
	host_nic_knob(g.nic, "malformed_rx_pct", "50");
	for (i = 0; i < 500; i++) {
		guest_port_put(&g, frame, guest_make_udp(&g, frame, 60, i));
		guest_poll(&g);
		seen(&g, &good, &bad);
	}
	guest_poll(&g);
	CU_ASSERT_EQUAL(good, 250);
	CU_ASSERT_EQUAL(bad, 250);
	CU_ASSERT_EQUAL(g.nic->free_n + g.nic->free_control_n, g.sections);
	CU_ASSERT_EQUAL(g.broken[0], 0);
	guest_stop(&g);
}

static void
silence_and_delay(void)
{
	static const struct timespec pause = {0, 30 * 1000 * 1000};
	struct nvsp_message msg;
	uint32_t len, word;
	struct guest g;

	guest_start(&g, small, 16);
	host_nic_knob(g.nic, "silence", "1");
	nvsp_build_init(&msg, 0x99);
	guest_nvsp(&g, &msg, 1, true);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.packets_n, 0);
	host_nic_knob(g.nic, "silence", "0");
	guest_up(&g, 13);
	host_nic_knob(g.nic, "silence_rndis", "4");
	CU_ASSERT_EQUAL(guest_query(&g, OID_GEN_LINK_SPEED, &word, 4, &len), UINT32_MAX);
	host_nic_knob(g.nic, "silence_rndis", "0");
	host_nic_knob(g.nic, "delay_ms", "20");
	CU_ASSERT_EQUAL(guest_query(&g, OID_GEN_LINK_SPEED, &word, 4, &len), UINT32_MAX);
	nanosleep(&pause, NULL);
	guest_poll(&g);
	CU_ASSERT_PTR_NOT_NULL(guest_control(&g, RNDIS_TYPE_QUERY_CMPLT, &len));
	guest_stop(&g);
}

static void
granted_channels(void)
{
	static const struct {
		const char *grant;
		uint32_t says, prepared;
	} rows[] = {{"0", 0, 0}, {"1", 1, 1}, {"-1", 1, 1}, {"+1", 3, 2}, {"60", 60, 2}};
	const struct guest_packet *p;
	struct nvsp_message msg;
	struct guest g;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		start_up(&g);
		CU_ASSERT_EQUAL(host_nic_knob(g.nic, "grant", rows[i].grant), 0);
		nvsp_build_subchannel(&msg, 2);
		guest_nvsp(&g, &msg, 5, true);
		guest_poll(&g);
		p = guest_completion(&g, 5);
		CU_ASSERT_PTR_NOT_NULL_FATAL(p);
		CU_ASSERT_EQUAL(p->msg.subchannel_complete.granted, rows[i].says);
		CU_ASSERT_EQUAL(g.granted, rows[i].prepared);
		CU_ASSERT_EQUAL(g.offers, rows[i].prepared);
		guest_stop(&g);
	}
}

static void
table_layouts(void)
{
	static const struct {
		const char *layout;
		uint32_t offset, len;
	} rows[] = {{"a", 28, 96}, {"b", 40, 104}, {"c", 12, 80}};
	const struct guest_packet *p;
	struct guest g;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		start_up(&g);
		CU_ASSERT_EQUAL(host_nic_knob(g.nic, "table_layout", rows[i].layout), 0);
		guest_subchannels(&g, 3);
		guest_poll(&g);
		p = guest_inband(&g, NVSP_TYPE_SEND_TABLE);
		CU_ASSERT_PTR_NOT_NULL_FATAL(p);
		CU_ASSERT_EQUAL(p->msg.send_table.offset, rows[i].offset);
		CU_ASSERT_EQUAL(p->payload_len, rows[i].len);
		guest_stop(&g);
	}
}

static void
corrupt_ring_stays_corrupt(void)
{
	uint8_t frame[60];
	struct guest g;

	start_up(&g);
	CU_ASSERT_EQUAL(host_nic_knob(g.nic, "corrupt_ring", "0"), 0);
	guest_port_put(&g, frame, guest_make_udp(&g, frame, 60, 1));
	guest_poll(&g);
	CU_ASSERT_TRUE(g.in[0].corrupt);
	CU_ASSERT_EQUAL(atomic_load(&g.in[0].ring.ctl->write_index), g.in[0].ring.size + 3);
	/* Re-opening the channel heals it. */
	host_nic_channel_close(g.nic, 0);
	guest_open(&g, 0);
	guest_up(&g, 13);
	guest_stop(&g);
}

static void
inject_comes_before_each_answer(void)
{
	struct guest g;

	guest_start(&g, small, 64);
	host_nic_set_vf(g.nic, true, 1);
	guest_up(&g, 13);
	host_nic_knob(g.nic, "inject", "1");
	CU_ASSERT_EQUAL(guest_query_word(&g, OID_GEN_MEDIA_CONNECT_STATUS), 0);
	CU_ASSERT_PTR_NOT_NULL(guest_inband(&g, NVSP_TYPE_SEND_TABLE));
	CU_ASSERT_PTR_NOT_NULL_FATAL(guest_inband(&g, NVSP_TYPE_VF_ASSOCIATION));
	CU_ASSERT(guest_inband(&g, NVSP_TYPE_VF_ASSOCIATION) < guest_transfer(&g, 0));
	guest_stop(&g);
}

/*
 * More notices than there are places for them: the host once stopped reading the ring in which the
 * guest gave those places back, for good.
 */
static void
notices_without_end_do_not_stop_the_host(void)
{
	uint32_t value = 0, len = 0, i;
	struct guest g;

	guest_start_up(&g, small, 16);
	for (i = 0; i < 200; i++) {
		host_nic_knob(g.nic, "network_change", "2");
		host_nic_poll(g.nic, 8);
	}
	for (i = 0; i < 200; i++)
		guest_poll(&g);
	CU_ASSERT_EQUAL(
		guest_query(&g, OID_GEN_MEDIA_CONNECT_STATUS, &value, sizeof(value), &len), 0);
	guest_stop(&g);
}

static void
legacy_size_and_link_notices(void)
{
	struct rndis_indication in;
	const uint8_t *m;
	struct guest g;
	uint32_t len;

	guest_start(&g, small, 16);
	host_nic_knob(g.nic, "legacy28", "1");
	host_nic_channel_close(g.nic, 0);
	guest_open(&g, 0);
	guest_nvsp_up(&g, NVSP_VERSION_5, NVSP_CAP_TEAMING, 1500);
	CU_ASSERT_EQUAL(guest_completion(&g, g.next_tid - 1)->payload_len, 32);
	guest_rndis_up(&g, 13);
	host_nic_knob(g.nic, "link_mbps", "40000");
	guest_poll(&g);
	m = guest_control(&g, RNDIS_TYPE_INDICATE_STATUS, &len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL(rndis_parse_indicate(m, len, &in), 0);
	CU_ASSERT_EQUAL(in.status, RNDIS_STATUS_LINK_SPEED_CHANGE);
	CU_ASSERT_EQUAL(vmbus_load32(m + in.buffer_abs), 400000000);
	host_nic_knob(g.nic, "network_change", "2");
	guest_poll(&g);
	m = guest_control(&g, RNDIS_TYPE_INDICATE_STATUS, &len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL(rndis_parse_indicate(m, len, &in), 0);
	CU_ASSERT_EQUAL(in.status, RNDIS_STATUS_NETWORK_CHANGE);
	CU_ASSERT_EQUAL(vmbus_load32(m + in.buffer_abs), 2);
	guest_stop(&g);
}

static void
clamped_mtu_is_the_largest(void)
{
	static const struct {
		const char *clamp;
		uint32_t asked, got;
	} cases[] = {{"0", 4000, 4000}, {"0", 4001, 1500}, {"1", 4000, 4000}, {"1", 4001, 4000},
		{"1", 9216, 4000}};
	struct guest g;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		guest_start(&g, "", 16);
		CU_ASSERT_EQUAL(host_nic_knob(g.nic, "max_mtu", "4000"), 0);
		CU_ASSERT_EQUAL(host_nic_knob(g.nic, "clamp_mtu", cases[i].clamp), 0);
		guest_nvsp_up(&g, NVSP_VERSION_61, 0, cases[i].asked);
		guest_rndis_up(&g, 13);
		CU_ASSERT_EQUAL(guest_query_word(&g, OID_GEN_MAXIMUM_FRAME_SIZE), cases[i].got);
		guest_stop(&g);
	}
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"names and values are checked", names_and_values_are_checked},
		{"stall and withheld completions", stall_and_withheld_completions},
		{"stall_rx and rx_wait lose nothing", stall_rx_and_rx_wait_lose_nothing},
		{"refused sends are spread", refused_sends_are_spread},
		{"batch and slot", batch_and_slot},
		{"transaction ids from a base", transaction_ids_from_a_base},
		{"every kind of defect is one that a guest finds",
			every_kind_of_defect_is_one_that_a_guest_finds},
		{"malformed messages leak no section", malformed_messages_leak_no_section},
		{"silence and delay", silence_and_delay},
		{"granted channels", granted_channels},
		{"table layouts", table_layouts},
		{"corrupt ring stays corrupt", corrupt_ring_stays_corrupt},
		{"inject comes before each answer", inject_comes_before_each_answer},
		{"legacy size and link notices", legacy_size_and_link_notices},
		{"clamped MTU is the largest", clamped_mtu_is_the_largest},
		{"notices without end do not stop the host",
			notices_without_end_do_not_stop_the_host},
	};

	return UNIT_RUN("host_nic_knobs", tests);
}
