/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Knobs: what a test can make the host do to its guest. Most are one number in struct nic_knobs,
 * listed in a table; the rest (grant, corrupt_ring, notices) has a function.
 */
#include "lib/host/nic_internal.h"
#include "lib/vmbus/number.h"

#define HELP_WORD(name) "|" #name
#define MALFORMED_HELP                                                                             \
	"malformed_rx_kind=all" NIC_DEFECTS(HELP_WORD) "  what is broken of them (all, in turn)\n"

const char *const host_nic_knob_help =
	"stall=0|1           do not read the guest's rings\n"
	"stall_rx=0|1        deliver no frames; they stay in the port\n"
	"rx_wait=0|1         leave frames in the port while sections or ring room are short\n"
	"no_complete=0|1     take sends but withhold their completions\n"
	"refuse_pct=0..100   complete this share of sends with a failure, unsent\n"
	"batch=1..375        most frames per transfer-page packet (32)\n"
	"rate=PPS            frames per second of port gen; 0 = as fast as the guest takes them\n"
	"range_slot=0|1      announce the whole section as range length\n"
	"malformed_rx_pct=0..100  break this share of received messages\n" MALFORMED_HELP
	"tid_base=N          first receive transaction id; other than 0 breaks the in-tree driver\n"
	"legacy28=0|1        28-byte messages below version 6.1\n"
	"silence=TYPE        do not answer this NVSP message type; 0 = answer all\n"
	"silence_rndis=TYPE  do not answer this RNDIS message type; 0 = answer all\n"
	"delay_ms=N          delay of control answers\n"
	"inject=0|1          send notices before each control answer\n"
	"grant=off|N|+N|-N   subchannels granted: absolute or relative to what was asked\n"
	"corrupt_ring=N      write an impossible write index into channel N's ring, once\n"
	"table_layout=a|b|c  layout of the send indirection table (b)\n"
	"table_offset=N      offset it claims; 0 = the true one\n"
	"accept_split_header=0|1  take RNDIS headers split over ranges\n"
	"max_mtu=N           largest IP MTU that guests get from now on; 0 = of --nic\n"
	"clamp_mtu=0|1       a guest that asks for more gets the largest, not 1500\n"
	"recv_sections=N     use at most N receive sections; 0 = all\n"
	"num_sections=N      what RECV_BUF_COMPLETE says (1)\n"
	"refuse_recv=0|1, refuse_send=0|1  refuse the buffers\n"
	"send_section=N      size of a send section; 0 = none, default = of --nic\n"
	"max_messages=N      messages per send, by INITIALIZE_C (8)\n"
	"max_transfer=N      bytes of one send, by INITIALIZE_C (0xefffffff)\n"
	"align_factor=0..31  alignment of messages in one send as power of 2, by INITIALIZE_C (3)\n"
	"lenient=0|1         take sends beyond announced limits and offloads (of --nic)\n"
	"spoof=0|1           forward frames with a foreign source MAC (of --nic)\n"
	"vlan_ppi=on|off|drop  VLAN tags in per-packet information, in received frames, or lost (on)\n"
	"rsc=0|1             offer to coalesce received TCP segments, and do so (1)\n"
	"data_offset=N       where frames begin in a section, from 124 on; 0: 128 or 256\n"
	"section_align=N     multiple to which sections longer than section= are rounded (64)\n"
	"tx_inflight=N       sends of a channel that wait for their completion (4096)\n"
	"multicast_max=0..32 entries of the multicast list (32)\n"
	"rescind_primary=0|1 the primary channel is rescinded before its subchannels (hvsim-vm)\n"
	"rsc_max=N           bytes of a coalesced frame, up to 65549 (62780)\n"
	"oid_stats=0|1       answer queries of statistics (1)\n"
	"oid_restart=1       statistics begin at 0, as those of another host do\n"
	"same_host=0|1       received frames as from the same host: verified, checksums not filled\n"
	"mss_floor=N         smallest segment taken for segmentation (64)\n"
	"loose_filter=0|1    any filter but 0 takes every frame\n"
	"hash_ppi=0|1        tell the RSS hash of received frames (1)\n"
	"udp_hash=0|1        hash UDP/IPv4 ports as TCP/IPv4, as hosts since Windows 10 (1)\n"
	"rss_caps=N          RSS capability flags (0x301)\n"
	"rss_entries=N       RSS table entries announced (128)\n"
	"strict_rss=0|1      refuse an RSS change while RSS is on\n"
	"refuse_rss=0|1      refuse RSS parameters\n"
	"offload_notice=0|1  indicate the offloads after a change (1)\n"
	"link_mbps=N         link speed; a change is indicated\n"
	"network_change=0..3 indicate a network change\n"
	"vf_offer=0|1        tell guests that ask for it of a VF that is there (1)\n"
	"vf_offer_ms=N       earliest so long after RNDIS INITIALIZE (0)\n"
	"vf_switch=take|refuse|fail|ignore  a switch to the VF is done, or answered and not done, "
	"or that and then taken back, or not even answered (take)\n"
	"vf_switch_ms=N      a guest's switch is done and answered so much later (0)\n"
	"vf_removal=path_first|vf_first|ask|silent  a VF goes: the guest hears of path and VF, of "
	"VF and path, of the VF and is to switch, or of nothing (path_first)\n"
	"vf_leave_ms=N       with ask: then the path goes back by itself (5000)\n"
	"vf_outlives=0|1     the path stays where it is when the guest closes the channel\n"
	"vf_dead=0|1         frames for the VF and of the VF are lost, nobody is told\n"
	"vf_first=0..255     frames of each flow that still come on the synthetic path\n"
	"vf_any_path=0|1     what the VF sends goes out whatever the path is\n"
	"vf_multicast=0|1    broadcast and multicast go to the VF as well, not to the synthetic path\n";

struct knob {
	const char *name;
	size_t offset; /* of an u32 in struct nic_knobs */
	uint32_t initial, min, max;
};

#define KNOB(field, initial, min, max)                                                             \
	{                                                                                          \
#field, offsetof(struct nic_knobs, field), initial, min, max                       \
	}
#define FLAG(field) KNOB(field, 0, 0, 1)

static const struct knob knobs[] = {
	FLAG(stall),
	FLAG(stall_rx),
	FLAG(rx_wait),
	FLAG(no_complete),
	KNOB(refuse_pct, 0, 0, 100),
	KNOB(batch, 32, 1, NIC_BATCH_MAX),
	FLAG(range_slot),
	KNOB(malformed_rx_pct, 0, 0, 100),
	FLAG(legacy28),
	KNOB(silence, 0, 0, UINT32_MAX),
	KNOB(silence_rndis, 0, 0, UINT32_MAX),
	KNOB(delay_ms, 0, 0, 600000),
	FLAG(inject),
	KNOB(table_offset, 0, 0, UINT32_MAX),
	FLAG(accept_split_header),
	KNOB(max_mtu, 0, 0, NIC_MTU_MAX),
	FLAG(clamp_mtu),
	KNOB(recv_sections, 0, 0, UINT32_MAX),
	KNOB(num_sections, 1, 0, UINT32_MAX),
	FLAG(refuse_recv),
	FLAG(refuse_send),
	KNOB(send_section, UINT32_MAX, 0, UINT32_MAX),
	/* INITIALIZE_C as OpenVMM's (spec/rndis.md §2). */
	KNOB(max_messages, 8, 0, UINT32_MAX),
	KNOB(max_transfer, 0xefffffffu, 0, UINT32_MAX),
	KNOB(align_factor, 3, 0, 31),
	FLAG(lenient),
	FLAG(spoof),
	FLAG(same_host),
	KNOB(rsc, 1, 0, 1),
	/* What a guest can send again, at most what has a length in IP. */
	KNOB(rsc_max, NDIS_LSO_MAX_SIZE, 0, UINT16_MAX + RNDIS_MIN_FRAME),
	/* Behind a header with five PPIs. */
	KNOB(data_offset, 0, 0, 1024),
	/* A section that the user did not choose begins where no other ends, as 1728 bytes do. */
	KNOB(section_align, 64, 1, 4096),
	KNOB(tx_inflight, NIC_DONE_QUEUE, 1, NIC_DONE_QUEUE),
	KNOB(multicast_max, NIC_MULTICAST_MAX, 0, NIC_MULTICAST_MAX),
	FLAG(rescind_primary),
	KNOB(oid_stats, 1, 0, 1),
	KNOB(hash_ppi, 1, 0, 1),
	KNOB(mss_floor, RNDIS_MSS_FLOOR, 1, 65535),
	FLAG(loose_filter),
	KNOB(udp_hash, 1, 0, 1),
	KNOB(rss_caps, NDIS_RSS_CAP_TOEPLITZ | NDIS_RSS_CAP_TCP_IPV4 | NDIS_RSS_CAP_TCP_IPV6, 0,
		UINT32_MAX),
	KNOB(rss_entries, NDIS_RSS_TABLE_ENTRIES, 0, UINT16_MAX),
	FLAG(strict_rss),
	FLAG(refuse_rss),
	KNOB(offload_notice, 1, 0, 1),
	KNOB(link_mbps, 10000, 1, 400000),
	KNOB(vf_offer, 1, 0, 1),
	KNOB(vf_offer_ms, 0, 0, 600000),
	KNOB(vf_switch_ms, 0, 0, 600000),
	KNOB(vf_leave_ms, 5000, 0, 600000),
	FLAG(vf_outlives),
	FLAG(vf_dead),
	KNOB(vf_first, 0, 0, UINT8_MAX),
	FLAG(vf_any_path),
	FLAG(vf_multicast),
};

#define KNOBS (sizeof(knobs) / sizeof(knobs[0]))

void
nic_knobs_init(struct nic_knobs *k)
{
	size_t i;

	memset(k, 0, sizeof(*k));
	for (i = 0; i < KNOBS; i++)
		memcpy((uint8_t *)k + knobs[i].offset, &knobs[i].initial, sizeof(uint32_t));
}

static int
knob_grant(struct host_nic *nic, const char *value)
{
	bool sign = *value == '+' || *value == '-';
	uint64_t number;

	if (strcmp(value, "off") == 0) {
		nic->knobs.grant_mode = 0;
		return 0;
	}
	if (number_parse(value + sign, NUMBER_HEX, 0, 65535, &number) != 0)
		return -EINVAL;
	nic->knobs.grant = *value == '-' ? -(int32_t)number : (int32_t)number;
	nic->knobs.grant_mode = sign ? 2 : 1;
	return 0;
}

static int
knob_corrupt_ring(struct host_nic *nic, const char *value)
{
	struct nic_channel *ch;
	uint64_t index;

	if (number_parse(value, NUMBER_PLAIN, 0, HOST_MAX_CHANNELS - 1, &index) != 0)
		return -EINVAL;
	nic = nic_lane_of(nic, (unsigned int)index);
	ch = &nic->channels[index];
	if (!ch->open || ch->dead)
		return -EINVAL;
	/* Publishing anything later would repair it. */
	ch->frozen = true;
	atomic_store(&ch->out.ring.ctl->write_index, ch->out.ring.size + 3);
	nic->transport.signal(nic->transport.ctx, (unsigned int)index);
	return 0;
}

/* Knobs whose values are words: the number is the word's place. */
static const struct {
	const char *name;
	size_t offset; /* of an u32 in struct nic_knobs */
	const char *words[5];
} worded[] = {
	/* Layouts of nic_nvsp_send_table(). */
	{"table_layout", offsetof(struct nic_knobs, table_layout), {"b", "a", "c"}},
	/* enum nic_vlan. */
	{"vlan_ppi", offsetof(struct nic_knobs, vlan_ppi), {"on", "off", "drop"}},
	/* enum nic_vf_switch, enum nic_vf_removal. */
	{"vf_switch", offsetof(struct nic_knobs, vf_switch), {"take", "refuse", "fail", "ignore"}},
	{"vf_removal", offsetof(struct nic_knobs, vf_removal),
		{"path_first", "vf_first", "ask", "silent"}},
};

/* @return 0, -ENOENT: it is none of these, -EINVAL */
static int
knob_word(struct nic_knobs *values, const char *name, const char *value)
{
	uint32_t word;
	size_t i;

	for (i = 0; i < sizeof(worded) / sizeof(worded[0]); i++)
		if (strcmp(name, worded[i].name) == 0)
			break;
	if (i == sizeof(worded) / sizeof(worded[0]))
		return -ENOENT;
	for (word = 0; worded[i].words[word] != NULL; word++)
		if (strcmp(value, worded[i].words[word]) == 0) {
			memcpy((uint8_t *)values + worded[i].offset, &word, sizeof(word));
			return 0;
		}
	return -EINVAL;
}

static int
knob_malformed_rx_kind(struct host_nic *nic, const char *value)
{
	return nic_malform_find(value, &nic->knobs.malformed_rx_kind);
}

static int
knob_tid_base(struct host_nic *nic, const char *value)
{
	uint64_t base;

	/* Ids of packets that are out must not change under the guest. */
	if (nic->state != NIC_OFFERED ||
		number_parse(value, NUMBER_HEX, 0, NIC_TID_VF / 2, &base) != 0)
		return -EINVAL;
	nic->knobs.tid_base = base;
	return 0;
}

static int
knob_network_change(struct host_nic *nic, const char *value)
{
	uint64_t number;
	uint32_t kind;

	if (number_parse(value, NUMBER_PLAIN, 0, 3, &number) != 0)
		return -EINVAL;
	kind = (uint32_t)number;
	nic_rndis_indicate(nic, RNDIS_STATUS_NETWORK_CHANGE, &kind, kind == 0 ? 0 : sizeof(kind));
	return 0;
}

static int
knob_oid_restart(struct host_nic *nic, const char *value)
{
	uint64_t number;

	if (number_parse(value, NUMBER_PLAIN, 1, 1, &number) != 0)
		return -EINVAL;
	nic_oid_restart(nic);
	return 0;
}

static int
knob_rate(struct host_nic *nic, const char *value)
{
	uint64_t rate;

	if (nic->port->ops->set_rate == NULL ||
		number_parse(value, NUMBER_KMG_1000, 0, 1000000000, &rate) != 0)
		return -EINVAL;
	nic->port->ops->set_rate(nic->port, rate);
	return 0;
}

static const struct {
	const char *name;
	int (*set)(struct host_nic *nic, const char *value);
} special[] = {
	{"rate", knob_rate},
	{"grant", knob_grant},
	{"corrupt_ring", knob_corrupt_ring},
	{"malformed_rx_kind", knob_malformed_rx_kind},
	{"tid_base", knob_tid_base},
	{"network_change", knob_network_change},
	{"oid_restart", knob_oid_restart},
};

static void
speed_changed(struct host_nic *nic)
{
	uint32_t speed = nic->knobs.link_mbps * 10000u;

	/* Only guests that announced teaming hear of it (spec/nvsp.md §3). */
	if (nic->capabilities & NVSP_CAP_TEAMING)
		nic_rndis_indicate(nic, RNDIS_STATUS_LINK_SPEED_CHANGE, &speed, sizeof(speed));
}

int
host_nic_knob(struct host_nic *nic, const char *name, const char *value)
{
	uint64_t number;
	uint32_t word;
	size_t i;
	int rc = knob_word(&nic->knobs, name, value);

	if (rc != -ENOENT)
		return rc;
	for (i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		if (strcmp(name, special[i].name) == 0)
			return special[i].set(nic, value);
	for (i = 0; i < KNOBS; i++)
		if (strcmp(name, knobs[i].name) == 0)
			break;
	if (i == KNOBS)
		return -ENOENT;
	if (number_parse(value, NUMBER_HEX, knobs[i].min, knobs[i].max, &number) != 0)
		return -EINVAL;
	word = (uint32_t)number;
	memcpy((uint8_t *)&nic->knobs + knobs[i].offset, &word, sizeof(word));
	if (knobs[i].offset == offsetof(struct nic_knobs, link_mbps))
		speed_changed(nic);
	return 0;
}

bool
host_nic_has_knob(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(worded) / sizeof(worded[0]); i++)
		if (strcmp(name, worded[i].name) == 0)
			return true;
	for (i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		if (strcmp(name, special[i].name) == 0)
			return true;
	for (i = 0; i < KNOBS; i++)
		if (strcmp(name, knobs[i].name) == 0)
			return true;
	return false;
}
