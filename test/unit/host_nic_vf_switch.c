/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a host makes of a guest that wants to switch its data path, or is to (spec/nvsp.md §9). What
 * it says of virtual functions is in host_nic_vf.c.
 */
#include <errno.h>

#include "test/unit/frozen_clock.h"
#include "test/unit/host_nic_vf_guest.h"

static void
a_switch_that_is_refused_fails_or_is_ignored(void)
{
	struct guest g;

	guest_start(&g, small, 16);
	host_nic_set_vf(g.nic, true, 3);
	guest_up(&g, 13);
	hears(&g, "+3 ");
	knob(&g, "vf_switch", "refuse");
	switch_to(&g, NVSP_DATA_PATH_VF);
	CU_ASSERT_FALSE(host_nic_path_is_vf(g.nic));
	hears(&g, "");
	knob(&g, "vf_switch", "fail");
	ask(&g, NVSP_DATA_PATH_VF, 70);
	guest_poll(&g);
	CU_ASSERT_PTR_NOT_NULL_FATAL(guest_completion(&g, 70));
	CU_ASSERT_PTR_NOT_NULL_FATAL(guest_inband(&g, NVSP_TYPE_SWITCH_DATA_PATH));
	/* The answer comes first. */
	CU_ASSERT(guest_completion(&g, 70) < guest_inband(&g, NVSP_TYPE_SWITCH_DATA_PATH));
	CU_ASSERT_FALSE(host_nic_path_is_vf(g.nic));
	hears(&g, "0 ");
	knob(&g, "vf_switch", "ignore");
	ask(&g, NVSP_DATA_PATH_VF, 71);
	guest_poll(&g);
	CU_ASSERT_PTR_NULL(guest_completion(&g, 71));
	CU_ASSERT_FALSE(host_nic_path_is_vf(g.nic));
	/* The way back is always open. */
	switch_to(&g, NVSP_DATA_PATH_SYNTHETIC);
	/* Switched, but the answer is lost. */
	knob(&g, "vf_switch", "take");
	knob(&g, "silence", "129");
	ask(&g, NVSP_DATA_PATH_VF, 72);
	guest_poll(&g);
	CU_ASSERT_PTR_NULL(guest_completion(&g, 72));
	CU_ASSERT_TRUE(host_nic_path_is_vf(g.nic));
	CU_ASSERT_EQUAL(g.broken[0], 0);
	CU_ASSERT_EQUAL(host_nic_knob(g.nic, "vf_switch", "never"), -EINVAL);
	guest_stop(&g);
}

static void
a_switch_that_takes_its_time(void)
{
	uint32_t i;
	struct guest g;

	frozen_ms = 1000000;
	guest_start(&g, small, 16);
	host_nic_set_vf(g.nic, true, 3);
	guest_up(&g, 13);
	hears(&g, "+3 ");
	knob(&g, "vf_switch_ms", "5000");
	ask(&g, NVSP_DATA_PATH_VF, 70);
	guest_poll(&g);
	CU_ASSERT_PTR_NULL(guest_completion(&g, 70));
	CU_ASSERT_FALSE(host_nic_path_is_vf(g.nic));
	CU_ASSERT_EQUAL(nic_vf_deadline(g.nic), UINT64_C(5000000000));
	frozen_ms += 4000;
	/* Whoever lost patience is served in turn. */
	ask(&g, NVSP_DATA_PATH_SYNTHETIC, 71);
	guest_poll(&g);
	/* All else is answered meanwhile. */
	CU_ASSERT_EQUAL(guest_query_word(&g, OID_GEN_MEDIA_CONNECT_STATUS), 0);
	frozen_ms += 1000;
	guest_poll(&g);
	CU_ASSERT_PTR_NOT_NULL(guest_completion(&g, 70));
	CU_ASSERT_PTR_NULL(guest_completion(&g, 71));
	CU_ASSERT_TRUE(host_nic_path_is_vf(g.nic));
	frozen_ms += 4000;
	guest_poll(&g);
	CU_ASSERT_PTR_NOT_NULL(guest_completion(&g, 71));
	CU_ASSERT_FALSE(host_nic_path_is_vf(g.nic));
	CU_ASSERT_EQUAL(nic_vf_deadline(g.nic), UINT64_MAX);
	/* Gone before it is done: answered, and nothing happens. */
	ask(&g, NVSP_DATA_PATH_VF, 72);
	guest_poll(&g);
	host_nic_set_vf(g.nic, false, 0);
	frozen_ms += 5000;
	guest_poll(&g);
	CU_ASSERT_PTR_NOT_NULL(guest_completion(&g, 72));
	CU_ASSERT_FALSE(host_nic_path_is_vf(g.nic));
	/* Who closes the channel is answered no more. */
	ask(&g, NVSP_DATA_PATH_SYNTHETIC, 73);
	guest_poll(&g);
	host_nic_channel_close(g.nic, 0);
	CU_ASSERT_EQUAL(nic_vf_deadline(g.nic), UINT64_MAX);
	guest_open(&g, 0);
	guest_up(&g, 13);
	/* One request may be outstanding (spec/nvsp.md §2): a few more are borne, a flood is not.
	 */
	for (i = 0; i <= NIC_VF_SWITCHES; i++)
		ask(&g, NVSP_DATA_PATH_SYNTHETIC, 80 + i);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.broken[0], 1);
	guest_stop(&g);
	frozen_ms = 0;
}

/* Tests hold something back with a very long time and let it go when they have seen enough. */
static void
what_is_held_back_is_let_go_by_its_knob(void)
{
	struct guest g;

	frozen_ms = 1000000;
	guest_start(&g, small, 16);
	host_nic_set_vf(g.nic, true, 3);
	knob(&g, "vf_offer_ms", "600000");
	guest_up(&g, 13);
	hears(&g, "");
	CU_ASSERT_EQUAL(nic_vf_deadline(g.nic), UINT64_C(600000000000));
	frozen_ms += 100;
	knob(&g, "vf_offer_ms", "300");
	CU_ASSERT_EQUAL(nic_vf_deadline(g.nic), UINT64_C(200000000));
	hears(&g, "");
	knob(&g, "vf_offer_ms", "0");
	CU_ASSERT_EQUAL(nic_vf_deadline(g.nic), 0);
	hears(&g, "+3 ");
	knob(&g, "vf_switch_ms", "600000");
	ask(&g, NVSP_DATA_PATH_VF, 70);
	guest_poll(&g);
	CU_ASSERT_PTR_NULL(guest_completion(&g, 70));
	CU_ASSERT_EQUAL(nic_vf_deadline(g.nic), UINT64_C(600000000000));
	frozen_ms += 100;
	knob(&g, "vf_switch_ms", "300");
	CU_ASSERT_EQUAL(nic_vf_deadline(g.nic), UINT64_C(200000000));
	guest_poll(&g);
	CU_ASSERT_PTR_NULL(guest_completion(&g, 70));
	CU_ASSERT_FALSE(host_nic_path_is_vf(g.nic));
	knob(&g, "vf_switch_ms", "0");
	CU_ASSERT_EQUAL(nic_vf_deadline(g.nic), 0);
	guest_poll(&g);
	CU_ASSERT_PTR_NOT_NULL(guest_completion(&g, 70));
	CU_ASSERT_TRUE(host_nic_path_is_vf(g.nic));
	CU_ASSERT_EQUAL(nic_vf_deadline(g.nic), UINT64_MAX);
	guest_stop(&g);
	frozen_ms = 0;
}

static void
a_guest_that_is_asked_to_leave_and_does_not(void)
{
	struct guest g;

	frozen_ms = 1000000;
	start_told(&g, small, 3);
	knob(&g, "vf_removal", "ask");
	knob(&g, "vf_leave_ms", "2000");
	host_nic_set_vf(g.nic, false, 0);
	hears(&g, "-3 ");
	CU_ASSERT_EQUAL(nic_vf_deadline(g.nic), UINT64_C(2000000000));
	frozen_ms += 1999;
	guest_poll(&g);
	CU_ASSERT_TRUE(host_nic_path_is_vf(g.nic));
	/* It returns in time: nothing has happened. */
	host_nic_set_vf(g.nic, true, 3);
	hears(&g, "+3 ");
	CU_ASSERT_EQUAL(nic_vf_deadline(g.nic), UINT64_MAX);
	host_nic_set_vf(g.nic, false, 0);
	frozen_ms += 2000;
	hears(&g, "-3 ");
	CU_ASSERT_FALSE(host_nic_path_is_vf(g.nic));
	CU_ASSERT_EQUAL(nic_vf_deadline(g.nic), UINT64_MAX);
	guest_stop(&g);
	frozen_ms = 0;
}

static void
a_switch_out_of_place_stops_the_channel(void)
{
	struct nvsp_message msg;
	struct guest g;
	uint32_t i;

	for (i = 0; i < 3; i++) {
		guest_start(&g, small, 16);
		host_nic_set_vf(g.nic, true, 3);
		if (i == 0) {
			guest_nvsp_up(&g, NVSP_VERSION_2, NVSP_CAP_SRIOV, 1500);
			guest_rndis_up(&g, 13);
		} else {
			nvsp_build_init(&msg, NVSP_VERSION_61);
			guest_nvsp(&g, &msg, 50, true);
		}
		if (i == 2) {
			nvsp_build_ndis_config(&msg, 1500, NVSP_CAP_SRIOV);
			guest_nvsp(&g, &msg, 51, false);
		}
		ask(&g, NVSP_DATA_PATH_SYNTHETIC, 52);
		guest_poll(&g);
		CU_ASSERT_PTR_NULL(guest_completion(&g, 52));
		CU_ASSERT_EQUAL(g.broken[0], 1);
		guest_stop(&g);
	}
}

static void
a_path_that_outlives_the_channel_or_not(void)
{
	struct guest g;
	uint32_t i;

	for (i = 0; i < 2; i++) {
		start_told(&g, small, 3);
		knob(&g, "vf_outlives", i == 0 ? "0" : "1");
		host_nic_channel_close(g.nic, 0);
		CU_ASSERT_EQUAL(host_nic_path_is_vf(g.nic), i == 1);
		/* The next guest hears of the VF, and has to switch for itself. */
		guest_open(&g, 0);
		guest_up(&g, 13);
		hears(&g, "+3 ");
		CU_ASSERT_EQUAL(host_nic_path_is_vf(g.nic), i == 1);
		switch_to(&g, NVSP_DATA_PATH_VF);
		CU_ASSERT_TRUE(host_nic_path_is_vf(g.nic));
		/* Taken away while nobody is there to hear of it. */
		host_nic_channel_close(g.nic, 0);
		host_nic_set_vf(g.nic, false, 0);
		CU_ASSERT_FALSE(host_nic_path_is_vf(g.nic));
		guest_open(&g, 0);
		guest_up(&g, 13);
		hears(&g, "");
		guest_stop(&g);
	}
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"a switch that is refused, fails or is ignored",
			a_switch_that_is_refused_fails_or_is_ignored},
		{"a switch that takes its time", a_switch_that_takes_its_time},
		{"what is held back is let go by its knob",
			what_is_held_back_is_let_go_by_its_knob},
		{"a guest that is asked to leave and does not",
			a_guest_that_is_asked_to_leave_and_does_not},
		{"a switch out of place stops the channel",
			a_switch_out_of_place_stops_the_channel},
		{"a path that outlives the channel, or not",
			a_path_that_outlives_the_channel_or_not},
	};

	return UNIT_RUN("host_nic_vf_switch", tests);
}
