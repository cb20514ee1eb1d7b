/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a host says of a virtual function, in every order (spec/nvsp.md §9). What it makes of a
 * guest that wants to switch is in host_nic_vf_switch.c, where the frames go in
 * host_nic_vf_frames.c.
 */
#include "test/unit/frozen_clock.h"
#include "test/unit/host_nic_vf_guest.h"

static void
only_a_guest_that_asks_for_sriov_hears_of_vfs(void)
{
	static const struct {
		uint32_t version;
		uint64_t capabilities;
		const char *heard;
	} rows[] = {
		{NVSP_VERSION_61, NVSP_CAP_SRIOV, "+3 "},
		{NVSP_VERSION_5, NVSP_CAP_SRIOV, "+3 "},
		{NVSP_VERSION_4, NVSP_CAP_SRIOV, "+3 "},
		{NVSP_VERSION_61, NVSP_CAP_8021Q | NVSP_CAP_TEAMING | NVSP_CAP_RSC, ""},
		{NVSP_VERSION_2, NVSP_CAP_SRIOV, ""},
	};
	const struct guest_packet *p;
	struct guest g;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		guest_start(&g, small, 16);
		host_nic_set_vf(g.nic, true, 3);
		guest_nvsp_up(&g, rows[i].version, rows[i].capabilities, 1500);
		/* Not before RNDIS. */
		hears(&g, "");
		guest_rndis_up(&g, 13);
		hears(&g, rows[i].heard);
		host_nic_set_vf(g.nic, true, 4);
		guest_poll(&g);
		p = guest_inband(&g, NVSP_TYPE_VF_ASSOCIATION);
		if (rows[i].heard[0] != '\0') {
			CU_ASSERT_PTR_NOT_NULL_FATAL(p);
			CU_ASSERT_EQUAL(p->desc.trans_id, NIC_TID_VF);
			CU_ASSERT_EQUAL(p->desc.flags, VMBUS_FLAG_COMPLETION);
			CU_ASSERT_EQUAL(p->payload_len, 40);
			/* The empty answer is legal, and so is none. */
			guest_send(&g, 0, VMBUS_PACKET_COMPLETION, NIC_TID_VF, 0, NULL, 0, NULL, 0);
		} else {
			CU_ASSERT_PTR_NULL(p);
		}
		guest_poll(&g);
		CU_ASSERT_EQUAL(g.broken[0], 0);
		guest_stop(&g);
	}
}

static void
a_vf_goes_in_every_order(void)
{
	static const struct {
		const char *removal, *heard;
		bool stays; /* the path, until the guest gives it back */
	} rows[] = {
		{"path_first", "0 -3 ", false},
		{"vf_first", "-3 0 ", false},
		{"ask", "-3 ", true},
		{"silent", "", true},
	};
	struct guest g;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		start_told(&g, small, 3);
		knob(&g, "vf_removal", rows[i].removal);
		/* The serial that a command names here is not the VF's: pitfalls V21. */
		host_nic_set_vf(g.nic, false, 9);
		hears(&g, rows[i].heard);
		CU_ASSERT_EQUAL(host_nic_path_is_vf(g.nic), rows[i].stays);
		/* There is no way back to what is not there. */
		switch_to(&g, NVSP_DATA_PATH_VF);
		CU_ASSERT_EQUAL(host_nic_path_is_vf(g.nic), rows[i].stays);
		switch_to(&g, NVSP_DATA_PATH_SYNTHETIC);
		CU_ASSERT_FALSE(host_nic_path_is_vf(g.nic));
		hears(&g, "");
		/* It comes back as another. */
		host_nic_set_vf(g.nic, true, 4);
		hears(&g, "+4 ");
		switch_to(&g, NVSP_DATA_PATH_VF);
		CU_ASSERT_TRUE(host_nic_path_is_vf(g.nic));
		knob(&g, "vf_removal", "path_first");
		host_nic_set_vf(g.nic, false, 0);
		hears(&g, "0 -4 ");
		CU_ASSERT_EQUAL(g.nic->stats.path_switches, 4);
		guest_stop(&g);
	}
}

/* A guest that was not on the VF hears of the VF alone, whatever the order. */
static void
a_vf_that_was_not_used_goes(void)
{
	static const char *const removals[] = {"path_first", "vf_first", "ask"};
	struct guest g;
	size_t i;

	for (i = 0; i < sizeof(removals) / sizeof(removals[0]); i++) {
		guest_start_up(&g, small, 16);
		knob(&g, "vf_removal", removals[i]);
		/* The end of what it never heard of is nothing. */
		host_nic_set_vf(g.nic, false, 0);
		hears(&g, "");
		host_nic_set_vf(g.nic, true, 7);
		host_nic_set_vf(g.nic, false, 0);
		hears(&g, "+7 -7 ");
		CU_ASSERT_EQUAL(nic_vf_deadline(g.nic), UINT64_MAX);
		guest_stop(&g);
	}
}

static void
what_a_command_repeats_the_guest_hears_again(void)
{
	struct guest g;

	start_told(&g, small, 3);
	host_nic_set_vf(g.nic, true, 3);
	host_nic_set_vf(g.nic, true, 3);
	hears(&g, "+3 +3 ");
	/* Another one, and nobody has said that the first is gone. */
	host_nic_set_vf(g.nic, true, 5);
	hears(&g, "+5 ");
	CU_ASSERT_TRUE(host_nic_path_is_vf(g.nic));
	host_nic_take_path_back(g.nic);
	host_nic_take_path_back(g.nic);
	hears(&g, "0 0 ");
	host_nic_set_vf(g.nic, false, 0);
	host_nic_set_vf(g.nic, false, 0);
	hears(&g, "-5 -5 ");
	guest_stop(&g);
}

static void
the_path_is_taken_back_and_the_vf_stays(void)
{
	const struct guest_packet *p;
	struct guest g;

	start_told(&g, small, 3);
	host_nic_take_path_back(g.nic);
	CU_ASSERT_FALSE(host_nic_path_is_vf(g.nic));
	guest_poll(&g);
	p = guest_inband(&g, NVSP_TYPE_SWITCH_DATA_PATH);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(p->desc.trans_id, NIC_TID_SWITCH);
	CU_ASSERT_EQUAL(p->desc.flags, 0);
	hears(&g, "0 ");
	switch_to(&g, NVSP_DATA_PATH_VF);
	CU_ASSERT_TRUE(host_nic_path_is_vf(g.nic));
	guest_stop(&g);
}

static void
a_host_that_never_offers(void)
{
	struct guest g;

	guest_start(&g, small, 16);
	host_nic_set_vf(g.nic, true, 3);
	knob(&g, "vf_offer", "0");
	guest_up(&g, 13);
	hears(&g, "");
	/* A guest that found the function by itself may not use it. */
	switch_to(&g, NVSP_DATA_PATH_VF);
	CU_ASSERT_FALSE(host_nic_path_is_vf(g.nic));
	host_nic_set_vf(g.nic, false, 0);
	hears(&g, "");
	host_nic_set_vf(g.nic, true, 4);
	hears(&g, "");
	CU_ASSERT_EQUAL(nic_vf_deadline(g.nic), UINT64_MAX);
	knob(&g, "vf_offer", "1");
	hears(&g, "+4 ");
	/* What ends is the one that the guest knows of. */
	knob(&g, "vf_offer", "0");
	host_nic_set_vf(g.nic, true, 5);
	hears(&g, "");
	host_nic_set_vf(g.nic, false, 0);
	hears(&g, "-4 ");
	guest_stop(&g);
}

static void
an_association_that_comes_late(void)
{
	struct guest g;

	frozen_ms = 1000000;
	guest_start(&g, small, 16);
	host_nic_set_vf(g.nic, true, 3);
	knob(&g, "vf_offer_ms", "700");
	guest_up(&g, 13);
	CU_ASSERT_EQUAL(nic_vf_deadline(g.nic), UINT64_C(700000000));
	CU_ASSERT(host_nic_deadline(g.nic) <= UINT64_C(700000000));
	frozen_ms += 699;
	hears(&g, "");
	switch_to(&g, NVSP_DATA_PATH_VF);
	CU_ASSERT_FALSE(host_nic_path_is_vf(g.nic));
	/* Removed before anybody heard of it: nothing to be said. */
	host_nic_set_vf(g.nic, false, 0);
	hears(&g, "");
	CU_ASSERT_EQUAL(nic_vf_deadline(g.nic), UINT64_MAX);
	host_nic_set_vf(g.nic, true, 4);
	frozen_ms++;
	CU_ASSERT_EQUAL(nic_vf_deadline(g.nic), 0);
	hears(&g, "+4 ");
	CU_ASSERT_EQUAL(nic_vf_deadline(g.nic), UINT64_MAX);
	/* Later ones wait no more. */
	host_nic_set_vf(g.nic, false, 0);
	host_nic_set_vf(g.nic, true, 5);
	hears(&g, "-4 +5 ");
	guest_stop(&g);
	frozen_ms = 0;
}

/* No room for an association that is due: the host looks now and then, and does not spin. */
static void
an_association_is_due_and_the_guest_does_not_read(void)
{
	struct guest g;
	uint32_t i;

	frozen_ms = 1000000;
	guest_start(&g, small, 16);
	host_nic_set_vf(g.nic, true, 3);
	knob(&g, "vf_offer_ms", "700");
	guest_up(&g, 13);
	for (i = 0; i < 1000 && nic_control_room(g.nic) >= NIC_CONTROL_QUEUE / 2; i++) {
		host_nic_set_link(g.nic, i % 2 != 0);
		host_nic_poll(g.nic, 8);
	}
	CU_ASSERT_FATAL(nic_control_room(g.nic) < NIC_CONTROL_QUEUE / 2);
	frozen_ms += 700;
	for (i = 0; i < 3; i++) {
		host_nic_poll(g.nic, 8);
		CU_ASSERT_TRUE(g.nic->vf.notice);
		CU_ASSERT_EQUAL(nic_vf_deadline(g.nic), UINT64_C(1000000));
		CU_ASSERT_NOT_EQUAL(host_nic_deadline(g.nic), 0);
	}
	for (i = 0; i < 100 && g.heard[0] == '\0'; i++)
		guest_poll(&g);
	hears(&g, "+3 ");
	CU_ASSERT_EQUAL(nic_vf_deadline(g.nic), UINT64_MAX);
	guest_stop(&g);
	frozen_ms = 0;
}

static void
profiles_have_their_habits(void)
{
	struct guest g;

	frozen_ms = 1000000;
	start_told(&g, "profile=openhcl,recv=1M,send=256K", 2);
	host_nic_set_vf(g.nic, false, 0);
	hears(&g, "0 -2 ");
	host_nic_set_vf(g.nic, true, 2);
	hears(&g, "+2 ");
	switch_to(&g, NVSP_DATA_PATH_VF);
	host_nic_channel_close(g.nic, 0);
	CU_ASSERT_TRUE(host_nic_path_is_vf(g.nic));
	guest_stop(&g);

	guest_start(&g, "profile=ws2022,recv=1M,send=256K", 16);
	host_nic_set_vf(g.nic, true, 2);
	guest_up(&g, 13);
	hears(&g, "");
	frozen_ms += 500;
	hears(&g, "+2 ");
	switch_to(&g, NVSP_DATA_PATH_VF);
	host_nic_set_vf(g.nic, false, 0);
	hears(&g, "-2 ");
	CU_ASSERT_TRUE(host_nic_path_is_vf(g.nic));
	switch_to(&g, NVSP_DATA_PATH_SYNTHETIC);
	host_nic_channel_close(g.nic, 0);
	CU_ASSERT_FALSE(host_nic_path_is_vf(g.nic));
	guest_stop(&g);
	frozen_ms = 0;
}

/* pitfalls K5, for VFs: faster than the guest reads, and the last word is never lost. */
static void
many_vfs_end_as_the_last_one(void)
{
	const char *sign;
	struct guest g;
	uint32_t i, round;
	char last = 0;

	for (round = 0; round < 2; round++) {
		guest_start_up(&g, small, 1);
		for (i = 0; i < 1001 + round; i++) {
			host_nic_set_vf(g.nic, i % 2 == 0, i);
			host_nic_poll(g.nic, 8);
		}
		for (i = 0; i < 100; i++) {
			g.heard[0] = '\0';
			guest_poll(&g);
			sign = strpbrk(g.heard, "+-");
			for (; sign != NULL; sign = strpbrk(sign + 1, "+-"))
				last = *sign;
		}
		CU_ASSERT_EQUAL(last, round == 0 ? '+' : '-');
		CU_ASSERT_EQUAL(g.nic->vf.announced, round == 0);
		CU_ASSERT(round == 1 || g.nic->vf.serial_told == 1000);
		CU_ASSERT_EQUAL(g.broken[0], 0);
		guest_stop(&g);
	}
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"only a guest that asks for SR-IOV hears of VFs",
			only_a_guest_that_asks_for_sriov_hears_of_vfs},
		{"a VF goes in every order", a_vf_goes_in_every_order},
		{"a VF that was not used goes", a_vf_that_was_not_used_goes},
		{"what a command repeats the guest hears again",
			what_a_command_repeats_the_guest_hears_again},
		{"the path is taken back and the VF stays",
			the_path_is_taken_back_and_the_vf_stays},
		{"a host that never offers", a_host_that_never_offers},
		{"an association that comes late", an_association_that_comes_late},
		{"an association is due and the guest does not read",
			an_association_is_due_and_the_guest_does_not_read},
		{"profiles have their habits", profiles_have_their_habits},
		{"many VFs end as the last one", many_vfs_end_as_the_last_one},
	};

	return UNIT_RUN("host_nic_vf", tests);
}
