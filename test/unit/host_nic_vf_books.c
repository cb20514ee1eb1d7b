/* SPDX-License-Identifier: BSD-3-Clause */
/* The books balance on both paths whatever becomes of the virtual function. */
#include "test/unit/frozen_clock.h"
#include "test/unit/host_nic_vf_guest.h"

/* Everything that can happen, in any order, with frames on their way both ways. */
static void
the_books_balance_whatever_happens(void)
{
	static const char *const words[][2] = {{"vf_removal", "path_first"},
		{"vf_removal", "vf_first"}, {"vf_removal", "ask"}, {"vf_removal", "silent"},
		{"vf_switch", "take"}, {"vf_switch", "take"}, {"vf_switch", "take"},
		{"vf_switch", "take"}, {"vf_switch", "refuse"}, {"vf_switch", "fail"},
		{"vf_dead", "0"}, {"vf_dead", "0"}, {"vf_dead", "1"}, {"vf_first", "0"},
		{"vf_first", "3"}, {"vf_multicast", "0"}, {"vf_multicast", "1"},
		{"vf_outlives", "0"}, {"vf_outlives", "1"}, {"vf_leave_ms", "0"},
		{"vf_switch_ms", "0"}, {"vf_switch_ms", "1"}};
	static const char *const to[] = {NULL, NULL, NULL, broadcast, group, stranger};
	unsigned int seed = 11;
	struct nvsp_message msg;
	struct guest g;
	uint32_t i, k, seen_vf = 0;

	frozen_ms = 1000000;
	guest_start_vf(&g, small, 16);
	guest_up(&g, 13);
	for (i = 0; i < 3500; i++) {
		frozen_ms++;
		for (k = (unsigned int)rand_r(&seed) % 3; k > 0; k--)
			put(&g, to[rand_r(&seed) % 6], k, 1);
		if (rand_r(&seed) % 2)
			put_vf(&g, rand_r(&seed) % 8 ? NULL : stranger, 2);
		switch (rand_r(&seed) % 16) {
		case 0:
			host_nic_set_vf(g.nic, rand_r(&seed) % 4 != 0, 1 + i % 3);
			break;
		case 1:
		case 2:
		case 3:
			nvsp_build_switch_data_path(&msg, rand_r(&seed) % 4 != 0);
			guest_nvsp(&g, &msg, 10000 + i, rand_r(&seed) % 2);
			break;
		case 4:
			host_nic_take_path_back(g.nic);
			break;
		case 5:
			k = (unsigned int)rand_r(&seed) % (sizeof(words) / sizeof(words[0]));
			knob(&g, words[k][0], words[k][1]);
			break;
		case 6:
			host_nic_set_link(g.nic, rand_r(&seed) % 8 != 0);
			break;
		case 7:
			if (rand_r(&seed) % 4 != 0)
				break;
			host_nic_channel_close(g.nic, 0);
			guest_open(&g, 0);
			guest_up(&g, 13);
			break;
		default:
			break;
		}
		guest_poll(&g);
		seen_vf += host_nic_path_is_vf(g.nic);
		check_books(&g);
		if (g.broken[0] != 0) {
			/* A flood of switches: what a guest gets for it. */
			g.broken[0] = 0;
			host_nic_channel_close(g.nic, 0);
			guest_open(&g, 0);
			guest_up(&g, 13);
		}
	}
	/* Most of it has happened. */
	CU_ASSERT(seen_vf > 500 && seen_vf < 3000);
	CU_ASSERT(g.nic->stats.path_switches > 100);
	CU_ASSERT(g.nic->stats.vf_rx_frames > 100 && g.nic->stats.vf_tx_frames > 100);
	CU_ASSERT(g.nic->stats.rx_dropped_vf > 10 && g.nic->stats.vf_tx_dropped_path > 10);
	guest_stop(&g);
	frozen_ms = 0;
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"the books balance whatever happens", the_books_balance_whatever_happens},
	};

	return UNIT_RUN("host_nic_vf_books", tests);
}
