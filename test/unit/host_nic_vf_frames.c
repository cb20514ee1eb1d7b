/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where frames go while the data path is on a virtual function. What the host says of it is in
 * host_nic_vf.c.
 */
#include "test/unit/frozen_clock.h"
#include "test/unit/host_nic_vf_guest.h"

static void
frames_follow_the_path(void)
{
	struct rndis_packet_info info;
	const uint8_t *m;
	struct guest g;

	guest_start_vf(&g, small, 16);
	guest_up(&g, 13);
	put(&g, NULL, 1, 1);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.nic->stats.rx_frames, 1);
	switch_to(&g, NVSP_DATA_PATH_VF);
	/* Both ways by the VF; groups, and what the guest sends there, by the synthetic path. */
	put(&g, NULL, 1, 2);
	put(&g, broadcast, 1, 3);
	put(&g, NULL, 2, 4);
	put_vf(&g, NULL, 5);
	guest_poll(&g);
	m = guest_data(&g, 0, &info);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL(m[info.data_abs + 59], 3);
	CU_ASSERT_PTR_NULL(guest_data(&g, 1, &info));
	CU_ASSERT_EQUAL(g.vf_port.out_n, 2);
	CU_ASSERT_EQUAL(mark_out(&g.vf_port, 0), 2);
	CU_ASSERT_EQUAL(mark_out(&g.vf_port, 1), 4);
	CU_ASSERT_EQUAL(memcmp(g.vf_port.out[0].data, g.config.mac, 6), 0);
	CU_ASSERT_EQUAL(mark_out(&g.port, 0), 5);
	send_synthetic(&g, 6);
	CU_ASSERT_EQUAL(mark_out(&g.port, 1), 6);
	switch_to(&g, NVSP_DATA_PATH_SYNTHETIC);
	put(&g, NULL, 1, 7);
	guest_poll(&g);
	m = guest_data(&g, 0, &info);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL(m[info.data_abs + 59], 7);
	CU_ASSERT_EQUAL(g.vf_port.out_n, 2);
	CU_ASSERT_EQUAL(g.nic->stats.path_switches, 2);
	check_books(&g);
	guest_stop(&g);
}

/* Without a second port the messages are all there is of a VF. */
static void
without_a_second_port_frames_stay(void)
{
	struct guest g;

	guest_start(&g, small, 16);
	host_nic_set_vf(g.nic, true, 1);
	guest_up(&g, 13);
	switch_to(&g, NVSP_DATA_PATH_VF);
	CU_ASSERT_TRUE(host_nic_path_is_vf(g.nic));
	put(&g, NULL, 1, 1);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.nic->stats.rx_frames, 1);
	CU_ASSERT_EQUAL(host_nic_vf_port_fd(g.nic), -1);
	guest_stop(&g);
}

static void
what_the_vf_sends_on_the_wrong_path_is_lost_and_counted(void)
{
	struct guest g;

	guest_start_vf(&g, small, 16);
	/* Nobody there; then a guest that has not switched. */
	put_vf(&g, NULL, 1);
	guest_poll(&g);
	guest_up(&g, 13);
	put_vf(&g, NULL, 2);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.nic->stats.vf_tx_dropped_path, 2);
	CU_ASSERT_EQUAL(g.port.out_n, 0);
	switch_to(&g, NVSP_DATA_PATH_VF);
	put_vf(&g, NULL, 3);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.port.out_n, 1);
	CU_ASSERT_EQUAL(mark_out(&g.port, 0), 3);
	/* Adapters that send it all the same. */
	switch_to(&g, NVSP_DATA_PATH_SYNTHETIC);
	knob(&g, "vf_any_path", "1");
	put_vf(&g, NULL, 4);
	guest_poll(&g);
	CU_ASSERT_EQUAL(mark_out(&g.port, 1), 4);
	host_nic_set_vf(g.nic, false, 0);
	put_vf(&g, NULL, 5);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.nic->stats.vf_tx_dropped_path, 3);
	check_books(&g);
	guest_stop(&g);
}

/* The guest stops sending, then asks: nothing of it is lost, and all of it comes first. */
static void
what_the_vf_sent_before_the_switch_back_goes_out(void)
{
	struct nvsp_message msg;
	struct guest g;
	uint32_t i;

	start_on_vf(&g, small, 13);
	for (i = 1; i <= 200; i++)
		put_vf(&g, NULL, (uint8_t)i);
	nvsp_build_switch_data_path(&msg, NVSP_DATA_PATH_SYNTHETIC);
	guest_nvsp(&g, &msg, 60, true);
	host_nic_poll(g.nic, 1);
	CU_ASSERT_FALSE(host_nic_path_is_vf(g.nic));
	CU_ASSERT_EQUAL(g.port.out_n, 200);
	for (i = 1; i <= 200; i++)
		CU_ASSERT_EQUAL(mark_out(&g.port, i - 1), i);
	put_vf(&g, NULL, 201);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.nic->stats.vf_tx_dropped_path, 1);
	check_books(&g);
	guest_stop(&g);
}

/* What the guest gave to the synthetic path before it gave up the VF is in its order, too. */
static void
both_paths_keep_their_order_at_the_switch(void)
{
	struct nvsp_message msg;
	uint8_t frame[60];
	struct guest g;

	start_on_vf(&g, small, 13);
	guest_make_udp(&g, frame, 60, 1);
	memcpy(frame + 6, g.config.mac, 6);
	frame[59] = 1;
	guest_send_section(&g, 0, 0, guest_make_packet(g.send, frame, 60), 70);
	put_vf(&g, NULL, 2);
	nvsp_build_switch_data_path(&msg, NVSP_DATA_PATH_SYNTHETIC);
	guest_nvsp(&g, &msg, 71, true);
	guest_poll(&g);
	CU_ASSERT_EQUAL(mark_out(&g.port, 0), 1);
	CU_ASSERT_EQUAL(mark_out(&g.port, 1), 2);
	CU_ASSERT_EQUAL(guest_status(&g, 70), NVSP_STATUS_SUCCESS);
	check_books(&g);
	guest_stop(&g);
}

static void
a_vf_that_is_dead_swallows_frames_that_are_counted(void)
{
	static const char *const how[] = {"knob", "silent"};
	struct guest g;
	size_t i;

	for (i = 0; i < sizeof(how) / sizeof(how[0]); i++) {
		start_on_vf(&g, small, 13);
		if (i == 0) {
			knob(&g, "vf_dead", "1");
		} else {
			knob(&g, "vf_removal", how[i]);
			host_nic_set_vf(g.nic, false, 0);
		}
		put(&g, NULL, 1, 1);
		put(&g, broadcast, 1, 2);
		put_vf(&g, NULL, 3);
		guest_poll(&g);
		CU_ASSERT_EQUAL(g.nic->stats.rx_dropped_vf, 1);
		CU_ASSERT_EQUAL(g.nic->stats.rx_frames, 1);
		CU_ASSERT_EQUAL(g.nic->stats.vf_tx_dropped_path, 1);
		CU_ASSERT_EQUAL(g.vf_port.out_n + g.port.out_n, 0);
		/* The way out. */
		switch_to(&g, NVSP_DATA_PATH_SYNTHETIC);
		put(&g, NULL, 1, 4);
		guest_poll(&g);
		CU_ASSERT_EQUAL(g.nic->stats.rx_frames, 2);
		check_books(&g);
		guest_stop(&g);
	}
}

/* It is not gone before the guest has had its time to leave it. */
static void
a_vf_that_the_guest_is_asked_to_leave_loses_nothing(void)
{
	struct guest g;

	frozen_ms = 1000000;
	start_on_vf(&g, small, 13);
	knob(&g, "vf_removal", "ask");
	host_nic_set_vf(g.nic, false, 0);
	put(&g, NULL, 1, 1);
	put_vf(&g, NULL, 2);
	guest_poll(&g);
	CU_ASSERT_EQUAL(mark_out(&g.vf_port, 0), 1);
	CU_ASSERT_EQUAL(mark_out(&g.port, 0), 2);
	put_vf(&g, NULL, 3);
	switch_to(&g, NVSP_DATA_PATH_SYNTHETIC);
	CU_ASSERT_EQUAL(mark_out(&g.port, 1), 3);
	put(&g, NULL, 1, 4);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.nic->stats.rx_frames, 1);
	CU_ASSERT_EQUAL(g.nic->stats.rx_dropped_vf + g.nic->stats.vf_tx_dropped_path, 0);
	/* Another one, and its guest does not leave. */
	host_nic_set_vf(g.nic, true, 2);
	switch_to(&g, NVSP_DATA_PATH_VF);
	host_nic_set_vf(g.nic, false, 0);
	frozen_ms += 5000;
	guest_poll(&g);
	put(&g, NULL, 1, 5);
	put_vf(&g, NULL, 6);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.nic->stats.rx_frames, 2);
	CU_ASSERT_EQUAL(g.nic->stats.vf_tx_dropped_path, 1);
	check_books(&g);
	guest_stop(&g);
	frozen_ms = 0;
}

static void
what_the_adapter_does_not_carry(void)
{
	uint8_t frame[60];
	struct guest g;

	start_on_vf(&g, small, RNDIS_FILTER_DIRECTED | RNDIS_FILTER_BROADCAST);
	put(&g, stranger, 1, 1); /* not this guest's */
	put(&g, group, 1, 2);	 /* not wanted */
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.nic->stats.rx_dropped_filter, 2);
	put_vf(&g, stranger, 3);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.nic->stats.vf_tx_dropped_spoof, 1);
	CU_ASSERT_EQUAL(g.complaints, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(g.complaint, "dropped: 1 "));
	guest_make_udp(&g, frame, 60, 1);
	guest_port_put(&g, frame, 13);
	test_port_put(&g.vf_port, frame, 13);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.nic->stats.rx_dropped_size, 1);
	CU_ASSERT_EQUAL(g.nic->stats.vf_tx_dropped_size, 1);
	/* The cable is that of the adapter. */
	host_nic_set_link(g.nic, false);
	put(&g, NULL, 1, 4);
	put(&g, broadcast, 1, 5);
	put_vf(&g, NULL, 6);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.nic->stats.rx_dropped_link, 2);
	CU_ASSERT_EQUAL(g.nic->stats.vf_tx_dropped_link, 1);
	CU_ASSERT_EQUAL(g.vf_port.out_n + g.port.out_n, 0);
	check_books(&g);
	guest_stop(&g);

	start_on_vf(&g, "spoof=on,recv=1M,send=256K", RNDIS_FILTER_PROMISCUOUS);
	put(&g, stranger, 1, 1);
	put_vf(&g, stranger, 2);
	guest_poll(&g);
	CU_ASSERT_EQUAL(mark_out(&g.vf_port, 0), 1);
	CU_ASSERT_EQUAL(mark_out(&g.port, 0), 2);
	check_books(&g);
	guest_stop(&g);
}

static void
first_frames_of_flows_come_on_the_synthetic_path(void)
{
	struct guest g;
	uint32_t round, i;

	start_on_vf(&g, small, 13);
	knob(&g, "vf_first", "2");
	for (round = 0; round < 5; round++) {
		for (i = 0; i < 8; i++)
			put(&g, NULL, i, (uint8_t)round);
		guest_poll(&g);
		CU_ASSERT_EQUAL(g.vf_port.out_n, round < 2 ? 0 : 8 * (round - 1));
	}
	CU_ASSERT_EQUAL(g.nic->stats.rx_frames, 16);
	/* The adapter's rules go with the path. */
	switch_to(&g, NVSP_DATA_PATH_SYNTHETIC);
	switch_to(&g, NVSP_DATA_PATH_VF);
	put(&g, NULL, 1, 9);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.nic->stats.rx_frames, 17);
	knob(&g, "vf_first", "0");
	put(&g, NULL, 1, 10);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.nic->stats.rx_frames, 17);
	check_books(&g);
	guest_stop(&g);
}

static void
groups_by_the_vf_when_the_adapter_does_so(void)
{
	struct guest g;

	start_on_vf(&g, small, 13);
	knob(&g, "vf_multicast", "1");
	put(&g, broadcast, 1, 1);
	put(&g, group, 1, 2);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.vf_port.out_n, 2);
	CU_ASSERT_EQUAL(g.nic->stats.rx_frames, 0);
	check_books(&g);
	guest_stop(&g);
}

static void
groups_that_the_synthetic_path_cannot_take_are_counted(void)
{
	struct guest g;
	uint32_t i;

	guest_start_vf(&g, small, 16);
	knob(&g, "recv_sections", "20");
	guest_up(&g, 13);
	guest_poll(&g);
	switch_to(&g, NVSP_DATA_PATH_VF);
	g.ack = false;
	for (i = 0; i < 10; i++)
		put(&g, broadcast, i, 1);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.nic->stats.rx_frames, 4);
	CU_ASSERT_EQUAL(g.nic->stats.rx_dropped_no_section, 6);
	check_books(&g);
	guest_stop(&g);
}

/* OpenVMM: the VF goes on without a driver of the synthetic NIC. */
static void
frames_of_a_vf_that_outlives_the_channel(void)
{
	struct guest g;

	start_on_vf(&g, small, 13);
	knob(&g, "vf_outlives", "1");
	host_nic_channel_close(g.nic, 0);
	put(&g, NULL, 1, 1);
	put(&g, broadcast, 1, 2);
	put_vf(&g, NULL, 3);
	guest_poll(&g);
	CU_ASSERT_EQUAL(mark_out(&g.vf_port, 0), 1);
	CU_ASSERT_EQUAL(mark_out(&g.port, 0), 3);
	CU_ASSERT_EQUAL(g.nic->stats.rx_dropped_not_ready, 1);
	check_books(&g);
	guest_stop(&g);
}

/* A generator has frames for whoever can receive. */
static void
a_port_that_can_wait_has_frames_for_the_vf(void)
{
	struct host_port_ops waits;
	struct guest g;

	start_on_vf(&g, small, 13);
	waits = *g.port.port.ops;
	waits.on_demand = true;
	g.port.port.ops = &waits;
	knob(&g, "vf_outlives", "1");
	host_nic_channel_close(g.nic, 0);
	put(&g, NULL, 1, 1);
	guest_poll(&g);
	CU_ASSERT_EQUAL(mark_out(&g.vf_port, 0), 1);
	host_nic_set_link(g.nic, false);
	put(&g, NULL, 1, 2);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.port.in_head, 1);
	host_nic_set_link(g.nic, true);
	/* It waits for the next guest. */
	host_nic_take_path_back(g.nic);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.port.in_head, 1);
	check_books(&g);
	guest_stop(&g);
}

/* ---- ports that leave work to be done ---- */

static unsigned int
unfinished_receive(struct host_port *port, struct host_frame *frames, unsigned int n)
{
	struct test_port *p = (struct test_port *)port;

	if (n == 0 || p->in_head == p->in_tail)
		return 0;
	p->in_head++;
	memcpy(frames[0].data, p->in[0].data, p->in[0].len);
	frames[0].len = p->in[0].len;
	frames[0].work = (struct host_frame_work){.csum_start = 34, .csum_offset = 6};
	return 1;
}

static void
checksums_that_one_port_leaves_open_are_filled_for_another(void)
{
	struct host_port_ops unfinished;
	uint8_t frame[60], whole[60];
	struct guest g;

	start_on_vf(&g, small, 13);
	unfinished = *g.port.port.ops;
	unfinished.receive = unfinished_receive;
	unfinished.carries_work = true;
	guest_make_udp(&g, whole, 60, 1);
	memcpy(frame, whole, 60);
	/* The sum of the pseudo header: addresses, protocol, length (RFC 768). */
	frame[40] = frame[41] = 0;
	{
		uint32_t s = 17 + 60 - 34, i;

		for (i = 26; i < 34; i += 2)
			s += (uint32_t)frame[i] << 8 | frame[i + 1];
		s = (s & 0xffff) + (s >> 16);
		s = (s & 0xffff) + (s >> 16);
		frame[40] = (uint8_t)(s >> 8);
		frame[41] = (uint8_t)s;
	}
	guest_port_put(&g, frame, 60);
	g.port.port.ops = &unfinished;
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.vf_port.out_n, 1);
	CU_ASSERT_EQUAL(memcmp(g.vf_port.out[0].data, whole, 60), 0);
	guest_stop(&g);
}

/* ---- life ---- */

static void
both_ports_are_opened_and_closed(void)
{
	const struct host_transport transport = {0};
	struct host_nic_config c;
	struct host_nic *nic = NULL;
	char why[256] = "";

	CU_ASSERT_EQUAL(
		host_nic_config_parse("vf-port=echo,port=echo", 0, &c, why, sizeof(why)), 0);
	CU_ASSERT_EQUAL_FATAL(host_nic_create(&c, &transport, &nic, why, sizeof(why)), 0);
	CU_ASSERT_PTR_NOT_NULL(nic->vf.port);
	CU_ASSERT_TRUE(nic->vf.present);
	host_nic_destroy(nic);
	CU_ASSERT_EQUAL(host_nic_config_parse(
				"vf-port=pcap:in=/nonexistent,port=echo", 0, &c, why, sizeof(why)),
		0);
	CU_ASSERT(host_nic_create(&c, &transport, &nic, why, sizeof(why)) < 0);
	CU_ASSERT_PTR_NULL(nic);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "/nonexistent"));
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"frames follow the path", frames_follow_the_path},
		{"without a second port frames stay", without_a_second_port_frames_stay},
		{"what the VF sends on the wrong path is lost and counted",
			what_the_vf_sends_on_the_wrong_path_is_lost_and_counted},
		{"what the VF sent before the switch back goes out",
			what_the_vf_sent_before_the_switch_back_goes_out},
		{"both paths keep their order at the switch",
			both_paths_keep_their_order_at_the_switch},
		{"a VF that is dead swallows frames that are counted",
			a_vf_that_is_dead_swallows_frames_that_are_counted},
		{"a VF that the guest is asked to leave loses nothing",
			a_vf_that_the_guest_is_asked_to_leave_loses_nothing},
		{"what the adapter does not carry", what_the_adapter_does_not_carry},
		{"first frames of flows come on the synthetic path",
			first_frames_of_flows_come_on_the_synthetic_path},
		{"groups by the VF when the adapter does so",
			groups_by_the_vf_when_the_adapter_does_so},
		{"groups that the synthetic path cannot take are counted",
			groups_that_the_synthetic_path_cannot_take_are_counted},
		{"frames of a VF that outlives the channel",
			frames_of_a_vf_that_outlives_the_channel},
		{"a port that can wait has frames for the VF",
			a_port_that_can_wait_has_frames_for_the_vf},
		{"checksums that one port leaves open are filled for another",
			checksums_that_one_port_leaves_open_are_filled_for_another},
		{"both ports are opened and closed", both_ports_are_opened_and_closed},
	};

	return UNIT_RUN("host_nic_vf_frames", tests);
}
