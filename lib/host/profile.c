/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hosts in the field (spec/hosts.md §2): what each of them does differently from what a NIC does by
 * itself, as the newest protocol version and a list of knobs. Read when a NIC is created.
 */
#include "lib/host/nic_internal.h"

struct profile {
	const char *name;
	uint32_t nvsp_max;
	struct {
		const char *knob, *value;
	} knobs[16];
};

static const struct profile profiles[] = {
	/* The protocol's 6.1, and coalescing with it, came with Windows Server 2019. */
	{"ws2016", NVSP_VERSION_6,
		{{"rsc", "0"}, {"table_layout", "a"}, {"vf_removal", "ask"},
			{"vf_offer_ms", "500"}}},
	{"ws2019", NVSP_VERSION_61,
		{{"rsc", "1"}, {"table_layout", "b"}, {"vf_removal", "ask"},
			{"vf_offer_ms", "500"}}},
	{"ws2022", NVSP_VERSION_61,
		{{"rsc", "1"}, {"table_layout", "b"}, {"link_mbps", "40000"}, {"vf_removal", "ask"},
			{"vf_offer_ms", "500"}}},
	/*
	 * OpenVMM's netvsp on MANA hardware, as of August 2026; before May it lost VLAN tags
	 * (vlan_ppi=drop), before August it could rescind the primary first (rescind_primary=1).
	 */
	{"openhcl", NVSP_VERSION_61,
		{
			{"rsc", "0"},
			{"table_layout", "c"},
			{"data_offset", "256"},
			/* Sections of 256 bytes, the frame and the unused tail; ranges name all of
			 * one. */
			{"section_align", "1"},
			{"range_slot", "1"},
			{"rss_entries", "256"},
			{"hash_ppi", "0"},
			{"tx_inflight", "1024"},
			{"loose_filter", "1"},
			{"multicast_max", "0"},
			{"oid_stats", "0"},
			{"link_mbps", "200000"},
			{"vf_removal", "path_first"},
			{"vf_outlives", "1"},
		}},
};

#define PROFILES (sizeof(profiles) / sizeof(profiles[0]))

int
nic_profile_find(const char *name, uint32_t *profile, uint32_t *nvsp_max)
{
	uint32_t i;

	for (i = 0; i < PROFILES; i++)
		if (strcmp(name, profiles[i].name) == 0) {
			*profile = i + 1;
			*nvsp_max = profiles[i].nvsp_max;
			return 0;
		}
	return -EINVAL;
}

void
nic_profile_apply(struct host_nic *nic)
{
	const struct profile *p;
	size_t i;

	if (nic->config.profile == 0)
		return;
	p = &profiles[nic->config.profile - 1];
	for (i = 0; i < sizeof(p->knobs) / sizeof(p->knobs[0]) && p->knobs[i].knob != NULL; i++)
		host_nic_knob(nic, p->knobs[i].knob, p->knobs[i].value);
}
