/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host's whole service of a NIC (lib/host/nic*.c) fed by a hostile guest: valid messages,
 * requests, sends and acknowledgements of which some words are changed, forged packets, corrupt
 * indices, memory that changes meanwhile (FUZZ_FLIP), at any time and in any order; knobs, link,
 * virtual function and profiles among them. Frames are accounted for at the end.
 */
#include "lib/host/nic_vf.h"
#include "test/fuzz/fuzz.h"
#include "test/unit/host_nic_guest.h"

static struct guest g;
static uint64_t tid;

/* One of the first @p n channels if it was ever open, the primary for zero. */
static unsigned int
any_channel(struct fuzz *in, uint32_t n)
{
	unsigned int channel = fuzz_below(in, n);

	return g.out[channel].ring.ctl != NULL ? channel : 0;
}

/* ---- what a guest sends ---- */

static void
send_nvsp(struct fuzz *in)
{
	static const uint32_t caps[] = {NVSP_CAP_8021Q | NVSP_CAP_SRIOV | NVSP_CAP_TEAMING, 0};
	struct nvsp_message msg;
	uint32_t len = sizeof(msg);

	switch (fuzz_below(in, 10)) {
	case 0:
		nvsp_build_init(
			&msg, nvsp_versions_newest_first[fuzz_below(in, NVSP_VERSION_COUNT)]);
		break;
	case 1:
		nvsp_build_ndis_config(&msg, 1500 + fuzz_u16(in), caps[fuzz_below(in, 2)]);
		break;
	case 2:
		nvsp_build_ndis_version(&msg, NVSP_VERSION_61);
		break;
	case 3:
		nvsp_build_send_recv_buf(&msg, GUEST_RECV, NVSP_RECV_BUF_ID);
		break;
	case 4:
		nvsp_build_send_send_buf(&msg, GUEST_SEND, NVSP_SEND_BUF_ID);
		break;
	case 5:
		nvsp_build_revoke(&msg, NVSP_TYPE_REVOKE_RECV_BUF, NVSP_RECV_BUF_ID);
		break;
	case 6:
		nvsp_build_revoke(&msg, NVSP_TYPE_REVOKE_SEND_BUF, NVSP_SEND_BUF_ID);
		break;
	case 7:
		nvsp_build_subchannel(&msg, fuzz_below(in, 4));
		break;
	case 8:
		nvsp_build_switch_data_path(&msg, fuzz_below(in, 2));
		break;
	case 9:
		nvsp_build(&msg, (enum nvsp_type)(100 + fuzz_below(in, 64)));
		fuzz_take(in, (uint8_t *)&msg + 4, 20);
		break;
	}
	fuzz_scribble(in, &msg, sizeof(msg));
	if (fuzz_bool(in))
		len = fuzz_below(in, sizeof(msg) + 1);
	guest_send(&g, any_channel(in, 2), VMBUS_PACKET_INBAND, ++tid, (uint16_t)!fuzz_bool(in),
		NULL, 0, &msg, len);
}

/* Headers of a frame that an offload may be asked for. */
static uint32_t
make_frame(struct fuzz *in, uint8_t *frame)
{
	uint32_t len, kind = fuzz_below(in, 4);

	if (kind == 0)
		len = guest_make_udp(&g, frame, 60 + fuzz_u16(in) % 1454, fuzz_u8(in));
	else
		len = guest_make_tcp(&g, frame, kind == 1 ? 6 : 4, fuzz_u16(in) % 1400,
			kind == 3 ? 1 : fuzz_u8(in), fuzz_below(in, 3) * 1000);
	if (fuzz_bool(in))
		len = guest_tag(frame, len, fuzz_u16(in));
	fuzz_scribble(in, frame, len < 80 ? len : 80);
	return len;
}

/* A PACKET with PPIs; the frame is the guest's own. */
static uint32_t
make_packet(struct fuzz *in, uint8_t *dst)
{
	static const uint32_t types[] = {RNDIS_PPI_CHECKSUM, RNDIS_PPI_LSO, RNDIS_PPI_VLAN,
		RNDIS_PPI_HASH_VALUE, RNDIS_PPI_HASH_INFO, RNDIS_PPI_PACKET_ID};
	static uint8_t frame[GUEST_FRAME];
	struct rndis_packet_builder b;
	uint32_t n = fuzz_below(in, 4), len = make_frame(in, frame), header, word;

	if (fuzz_bool(in))
		memcpy(frame + 6, g.config.mac, 6);
	rndis_packet_begin(&b, dst);
	for (; n != 0; n--) {
		switch (fuzz_below(in, 4)) {
		case 0:
			word = rndis_lso(
				64 + fuzz_u16(in) % 1400, 14 + fuzz_below(in, 80), fuzz_bool(in));
			break;
		case 1:
			word = rndis_tx_csum(fuzz_u8(in), 14 + fuzz_below(in, 80));
			break;
		default:
			word = fuzz_word(in);
		}
		rndis_packet_add(&b, types[fuzz_below(in, 6)], word);
	}
	header = rndis_packet_end(&b, len);
	memcpy(dst + header, frame, len);
	return header + len;
}

static void
send_packets(struct fuzz *in)
{
	uint32_t n = 1 + fuzz_below(in, 3), len = 0, k, i;
	uint32_t section = fuzz_below(in, 4), channel = any_channel(in, 2);
	uint8_t *base = g.send + section * g.config.send_section_bytes;
	struct guest_range ranges[4];

	for (i = 0; i < n; i++) {
		k = make_packet(in, base + len);
		len += rndis_packet_pad(base + len, k, 8);
	}
	fuzz_scribble(in, base, len < 256 ? len : 256);
	if (fuzz_bool(in)) {
		k = fuzz_below(in, 4);
		for (i = 0; i <= k; i++)
			ranges[i] = (struct guest_range){1 + fuzz_u16(in) % 4096,
				fuzz_u16(in) % 4200, fuzz_below(in, GUEST_PAGES + 1)};
		if (fuzz_below(in, 4) == 0) {
			ranges[0] = (struct guest_range){len, 0, 0};
			memcpy(g.pages, base, len);
			k = 0;
		}
		guest_send_pages(&g, channel, fuzz_below(in, 8) == 1, ranges, k + 1, ++tid);
		return;
	}
	if (fuzz_bool(in)) {
		section = fuzz_word(in);
		len = fuzz_word(in);
	}
	guest_send_section(&g, channel, section, len, ++tid);
}

static uint32_t
make_info(struct fuzz *in, uint8_t *info, size_t size, uint32_t *oid)
{
	uint16_t table[NDIS_RSS_TABLE_ENTRIES] = {0};
	uint32_t i, word;

	switch (fuzz_below(in, 7)) {
	case 0:
		*oid = OID_GEN_CURRENT_PACKET_FILTER;
		word = fuzz_bool(in) ? RNDIS_FILTER_PROMISCUOUS : fuzz_u16(in);
		memcpy(info, &word, sizeof(word));
		return sizeof(word);
	case 1:
		*oid = OID_GEN_RECEIVE_SCALE_PARAMETERS;
		for (i = 0; i < 8; i++)
			table[i] = fuzz_below(in, 4);
		return (uint32_t)ndis_build_rss_params(info, size,
			NDIS_HASH_TOEPLITZ | (fuzz_u8(in) << 8), table, NDIS_RSS_TABLE_ENTRIES,
			toeplitz_default_key);
	case 2:
		*oid = OID_TCP_OFFLOAD_PARAMETERS;
		return (uint32_t)ndis_build_offload_params(info, size, NDIS_VERSION_6_30,
			fuzz_bool(in) ? fuzz_word(in) : NDIS_CAN_ALL);
	case 3:
		*oid = OID_GEN_RNDIS_CONFIG_PARAMETER;
		return (uint32_t)ndis_build_config_mac(
			info, size, (const uint8_t[6]){2, 1, 2, 3, 4, 5});
	case 4:
		*oid = OID_802_3_MULTICAST_LIST;
		word = 6 * fuzz_below(in, 40);
		fuzz_take(in, info, 12);
		return word;
	case 5:
		*oid = OID_OFFLOAD_ENCAPSULATION;
		fuzz_take(in, info, 28);
		return 28;
	default:
		*oid = fuzz_bool(in) ? 0x00010100u + fuzz_u8(in) : fuzz_u32(in);
		return fuzz_u8(in);
	}
}

static void
send_request(struct fuzz *in)
{
	uint8_t msg[RNDIS_MAX_REQUEST] = {0}, info[NDIS_RSS_PARAMS_MAX] = {0};
	struct guest_range range = {0, 0, 0};
	uint32_t oid, len = make_info(in, info, sizeof(info), &oid);
	int n;

	switch (fuzz_below(in, 8)) {
	case 0:
	case 1:
	case 2:
		n = rndis_build_set(msg, sizeof(msg), fuzz_u8(in), oid, info, len);
		break;
	case 3:
	case 4:
		n = rndis_build_query(
			msg, sizeof(msg), fuzz_u8(in), oid, info, fuzz_bool(in) ? len : 0);
		break;
	case 5:
		n = rndis_build_initialize(msg, sizeof(msg), 1, 0x4000);
		break;
	case 6:
		n = rndis_build_short(msg, sizeof(msg), RNDIS_TYPE_KEEPALIVE, 1);
		break;
	default:
		n = rndis_build_short(msg, sizeof(msg),
			fuzz_below(in, 8) == 1 ? RNDIS_TYPE_HALT : RNDIS_TYPE_RESET, 1);
	}
	if (n <= 0)
		return;
	fuzz_scribble(in, msg, (size_t)n);
	range.count = fuzz_bool(in) ? fuzz_u16(in) % 8192 : (uint32_t)n;
	range.offset = fuzz_bool(in) ? 4000 : 0; /* over a page border */
	memcpy(g.pages + range.offset, msg, (size_t)n);
	guest_send_pages(&g, 0, NVSP_CHANNEL_CONTROL, &range, 1, ++tid);
}

static void
send_raw(struct fuzz *in)
{
	uint8_t header[72] = {0}, payload[64];
	uint32_t header_len = 8 * fuzz_below(in, 10), len = fuzz_below(in, 65);

	fuzz_take(in, header, header_len);
	fuzz_take(in, payload, len);
	guest_send(&g, any_channel(in, 3), fuzz_bool(in) ? fuzz_u16(in) : VMBUS_PACKET_GPA_DIRECT,
		fuzz_bool(in) ? fuzz_u64(in) : ++tid, fuzz_u8(in), header, header_len, payload,
		len);
}

/* ---- what is done else ---- */

static void
reopen(void)
{
	host_nic_channel_close(g.nic, 0);
	memset(g.broken, 0, sizeof(g.broken));
	g.offers = 0;
	fuzz_flip_pause();
	guest_open(&g, 0);
	fuzz_flip_resume();
}

/* All that a guest does to come up, if the host lets it. */
static void
come_up(void)
{
	uint32_t filter = RNDIS_FILTER_PROMISCUOUS;
	struct guest_range range = {0, 0, 0};
	struct nvsp_message msg;
	uint8_t request[64];

	nvsp_build_init(&msg, NVSP_VERSION_61);
	guest_nvsp(&g, &msg, ++tid, true);
	nvsp_build_ndis_config(&msg, 1500, NVSP_CAP_8021Q | NVSP_CAP_SRIOV);
	guest_nvsp(&g, &msg, VMBUS_NO_TRANS_ID, false);
	nvsp_build_ndis_version(&msg, NVSP_VERSION_61);
	guest_nvsp(&g, &msg, VMBUS_NO_TRANS_ID, false);
	nvsp_build_send_recv_buf(&msg, GUEST_RECV, NVSP_RECV_BUF_ID);
	guest_nvsp(&g, &msg, ++tid, true);
	nvsp_build_send_send_buf(&msg, GUEST_SEND, NVSP_SEND_BUF_ID);
	guest_nvsp(&g, &msg, ++tid, true);
	guest_poll(&g);
	range.count = (uint32_t)rndis_build_initialize(request, sizeof(request), 1, 0x4000);
	memcpy(g.pages, request, range.count);
	guest_send_pages(&g, 0, NVSP_CHANNEL_CONTROL, &range, 1, ++tid);
	guest_poll(&g);
	range.count = (uint32_t)rndis_build_set(request, sizeof(request), 2,
		OID_GEN_CURRENT_PACKET_FILTER, &filter, sizeof(filter));
	memcpy(g.pages, request, range.count);
	guest_send_pages(&g, 0, NVSP_CHANNEL_CONTROL, &range, 1, ++tid);
	guest_poll(&g);
}

/* Frames for the guest, of one flow where they shall be coalesced. */
static void
put_frames(struct fuzz *in)
{
	static uint8_t frame[GUEST_FRAME];
	uint32_t n = 1 + fuzz_below(in, 16), flow = fuzz_u8(in), i;
	struct test_port *port = g.vf_port.in != NULL && fuzz_bool(in) ? &g.vf_port : &g.port;

	for (i = 0; i < n && port->in_tail - port->in_head < GUEST_FRAMES; i++) {
		uint32_t len = fuzz_bool(in) ? make_frame(in, frame)
			       : flow & 1    ? guest_make_tcp(&g, frame, 4, 1000, flow, i * 1000)
					     : guest_make_udp(&g, frame, 60, flow + i);

		if (fuzz_below(in, 16) == 1)
			len = fuzz_u16(in) % 1600;
		test_port_put(port, frame, len);
	}
}

static void
acknowledge(struct fuzz *in)
{
	uint32_t i;

	if (fuzz_bool(in)) {
		guest_ack(&g, any_channel(in, 3), fuzz_bool(in) ? fuzz_u64(in) : fuzz_u8(in));
		return;
	}
	for (i = 0; i < g.packets_n; i++)
		if (g.packets[i].desc.type == VMBUS_PACKET_XFER_PAGES)
			guest_ack(&g, g.packets[i].channel, g.packets[i].desc.trans_id);
	if (fuzz_bool(in)) /* once more */
		guest_ack(&g, 0, g.packets_n != 0 ? g.packets[0].desc.trans_id : 0);
}

static void
set_knob(struct fuzz *in)
{
	static const char *const knobs[] = {"stall", "stall_rx", "no_complete", "refuse_pct",
		"batch", "malformed_rx_pct", "malformed_rx_kind", "rsc", "table_layout", "vlan_ppi",
		"vf_removal", "vf_switch", "grant", "tid_base", "network_change", "range_slot",
		"hash_ppi", "data_offset", "rss_entries", "loose_filter", "lenient", "spoof",
		"delay_ms", "inject", "section_align", "corrupt_ring", "multicast_max",
		"tx_inflight"};
	char value[16];

	snprintf(value, sizeof(value), "%u", fuzz_bool(in) ? fuzz_u16(in) : fuzz_below(in, 3));
	host_nic_knob(g.nic, knobs[fuzz_below(in, sizeof(knobs) / sizeof(knobs[0]))], value);
}

static void
hurt_rings(struct fuzz *in)
{
	unsigned int channel = fuzz_below(in, 3);
	struct vmbus_ring_control *ctl =
		fuzz_bool(in) ? g.out[channel].ring.ctl : g.in[channel].ring.ctl;

	if (ctl != NULL && host_nic_channel_is_open(g.nic, channel))
		fuzz_scribble(in, ctl, fuzz_bool(in) ? 20 : VMBUS_PAGE_SIZE + 256);
}

static void
control(struct fuzz *in)
{
	struct host_channel_state state;
	unsigned int channel = fuzz_below(in, GUEST_CHANNELS);

	switch (fuzz_below(in, 8)) {
	case 0:
		host_nic_set_link(g.nic, fuzz_bool(in));
		break;
	case 1:
		host_nic_set_vf(g.nic, fuzz_bool(in), fuzz_below(in, 3));
		break;
	case 2:
		host_nic_take_path_back(g.nic);
		break;
	case 3:
		if (channel < 4 && !host_nic_channel_is_open(g.nic, channel) &&
			channel <= g.nic->granted && host_nic_channel_is_open(g.nic, 0))
			guest_open(&g, channel);
		break;
	case 4:
		host_nic_channel_close(g.nic, channel);
		break;
	case 5:
		host_nic_buffers_revoked(g.nic);
		break;
	case 6:
		if (!host_nic_sleep(g.nic))
			host_nic_wake(g.nic);
		host_nic_deadline(g.nic);
		break;
	case 7:
		host_nic_channel_state(g.nic, channel, &state);
		break;
	}
	if (!host_nic_channel_is_open(g.nic, 0))
		reopen();
}

/* Every frame that a port gave is counted where it went. */
static void
check_accounts(void)
{
	const struct host_nic_stats *s = &g.nic->stats;
	uint64_t dropped = 0, refused = 0;
	unsigned int i;

	for (i = 0; i < HOST_REFUSALS; i++)
		refused += s->tx_refused[i];
	FUZZ_CHECK(refused == s->tx_errors);
	dropped = guest_sum(s, "rx_dropped");
	FUZZ_CHECK(s->rx_frames - s->rx_large + s->rx_segments + dropped + s->vf_rx_frames <=
		   g.port.in_head);
	FUZZ_CHECK(g.nic->free_n + g.nic->free_control_n <= g.nic->sections_n);
}

static void
begin(struct fuzz *in)
{
	static const char *const profiles[] = {"", ",profile=ws2016", ",profile=ws2019",
		",profile=ws2022", ",profile=openhcl", ",nvsp=1", ",nvsp=4",
		",lenient=on,spoof=on"};
	char nic[128];

	snprintf(nic, sizeof(nic), "recv=128K,send=64K,channels=4%s", profiles[fuzz_below(in, 8)]);
	if (fuzz_bool(in))
		guest_start_vf(&g, nic, 8);
	else
		guest_start(&g, nic, 8);
	g.ack = false;
	g.lies = g.hurt = g.port.any_size = g.vf_port.any_size = true;
	tid = 1000;
	if (!fuzz_bool(in))
		come_up();
	fuzz_flip(fuzz_bool(in) ? g.ring_mem[0] : g.send, 64 << 10);
}

static void
step(struct fuzz *in)
{
	switch (fuzz_below(in, 16)) {
	case 0:
	case 1:
		send_packets(in);
		break;
	case 2:
		send_nvsp(in);
		break;
	case 3:
	case 4:
		send_request(in);
		break;
	case 5:
		send_raw(in);
		break;
	case 6:
	case 7:
		put_frames(in);
		break;
	case 8:
		acknowledge(in);
		break;
	case 9:
		set_knob(in);
		break;
	case 10:
		hurt_rings(in);
		break;
	case 11:
		control(in);
		break;
	default:
		guest_poll(&g);
		if (g.broken[0] != 0)
			reopen();
		if (g.port.out_n > GUEST_FRAMES / 2)
			g.port.out_n = 0;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = {data, size};
	unsigned int i;

	begin(&in);
	while (in.left != 0)
		step(&in);
	for (i = 0; i < 4; i++)
		guest_poll(&g);
	fuzz_flip_end();
	check_accounts();
	guest_stop(&g);
	return 0;
}
