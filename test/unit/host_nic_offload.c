/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the host does to frames on request: VLAN tags both ways, checksums that are told but not in
 * the frame, and segmentation of what is sane only (spec/rndis.md §4, §4.1, §4.2).
 */
#include "test/unit/host_nic_guest.h"

static const char small[] = "recv=1M,send=256K,channels=4";
#define TCI 0xa064u

/* One frame in section 0 with a PPI; the status is checked. */
static void
send(struct guest *g, uint32_t type, uint32_t word, const uint8_t *frame, uint32_t len, bool taken)
{
	struct rndis_packet_builder b;
	uint32_t header;

	rndis_packet_begin(&b, g->send);
	rndis_packet_add(&b, type, word);
	header = rndis_packet_end(&b, len);
	memcpy(g->send + header, frame, len);
	g->port.out_n = 0;
	CU_ASSERT_EQUAL(guest_send_first(g, header + len),
		taken ? NVSP_STATUS_SUCCESS : NVSP_STATUS_FAILURE);
}

/* ---- VLAN ---- */

static void
check_received(struct guest *g, const char *vlan_ppi, const uint8_t *frame, uint32_t len, bool ppi)
{
	struct rndis_packet_info info;
	uint8_t tagged[1600];
	const uint8_t *m;

	CU_ASSERT_EQUAL(host_nic_knob(g->nic, "vlan_ppi", vlan_ppi), 0);
	guest_make_udp(g, tagged, 1514, 3);
	guest_port_put(g, tagged, guest_tag(tagged, 1514, TCI));
	guest_poll(g);
	m = guest_data(g, 0, &info);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL(info.present, ppi ? RNDIS_HAS_VLAN : 0);
	CU_ASSERT_EQUAL_FATAL(info.data_length, len);
	CU_ASSERT_EQUAL(memcmp(m + info.data_abs, frame, len), 0);
	if (ppi)
		CU_ASSERT_EQUAL(info.vlan_tci, TCI);
}

static void
received_tags_are_where_the_host_puts_them(void)
{
	uint8_t frame[1600], tagged[1600];
	struct guest g;

	guest_start_up(&g, small, 16);
	guest_make_udp(&g, frame, 1514, 3);
	memcpy(tagged, frame, 1514);
	guest_tag(tagged, 1514, TCI);
	check_received(&g, "on", frame, 1514, true);
	check_received(&g, "off", tagged, 1518, false);
	check_received(&g, "drop", frame, 1514, false);
	CU_ASSERT_EQUAL(host_nic_knob(g.nic, "vlan_ppi", "yes"), -EINVAL);
	guest_stop(&g);
	/* A guest that did not say that it knows of them finds them in the frame. */
	guest_start(&g, small, 16);
	guest_nvsp_up(&g, NVSP_VERSION_61, 0, 1500);
	guest_rndis_up(&g, 13);
	check_received(&g, "on", tagged, 1518, false);
	guest_stop(&g);
}

static void
sent_tags_leave_the_port_unless_the_host_loses_them(void)
{
	uint8_t frame[1600], tagged[1600];
	struct guest g;

	guest_start_up(&g, small, 16);
	guest_make_udp(&g, frame, 1514, 3);
	memcpy(tagged, frame, 1514);
	guest_tag(tagged, 1514, TCI);
	send(&g, RNDIS_PPI_VLAN, rndis_vlan_from_tci(TCI), frame, 1514, true);
	CU_ASSERT_EQUAL_FATAL(g.port.out_n, 1);
	CU_ASSERT_EQUAL_FATAL(g.port.out[0].len, 1518);
	CU_ASSERT_EQUAL(memcmp(g.port.out[0].data, tagged, 1518), 0);
	host_nic_knob(g.nic, "vlan_ppi", "off");
	send(&g, RNDIS_PPI_VLAN, rndis_vlan_from_tci(TCI), frame, 1514, true);
	CU_ASSERT_EQUAL_FATAL(g.port.out[0].len, 1518);
	host_nic_knob(g.nic, "vlan_ppi", "drop");
	send(&g, RNDIS_PPI_VLAN, rndis_vlan_from_tci(TCI), frame, 1514, true);
	CU_ASSERT_EQUAL_FATAL(g.port.out[0].len, 1514);
	CU_ASSERT_EQUAL(memcmp(g.port.out[0].data, frame, 1514), 0);
	guest_stop(&g);
}

/* ---- checksums ---- */

static void
checksums_of_a_neighbour_are_told_but_not_in_the_frame(void)
{
	static const struct {
		uint32_t version, csum;
	} rows[] = {
		{4, RNDIS_RX_CSUM_IP_OK | RNDIS_RX_CSUM_TCP_OK | RNDIS_RX_CSUM_LOOPBACK |
				RNDIS_RX_CSUM_TCP_VALUE_INVALID | RNDIS_RX_CSUM_IP_VALUE_INVALID},
		{6, RNDIS_RX_CSUM_TCP_OK | RNDIS_RX_CSUM_LOOPBACK |
				RNDIS_RX_CSUM_TCP_VALUE_INVALID},
	};
	struct rndis_packet_info info;
	uint8_t frame[200], got[200];
	uint32_t i, len, l4;
	const uint8_t *m;
	struct guest g;

	guest_start_up(&g, small, 16);
	guest_offloads(&g, NDIS_CAN_RX_IP4 | NDIS_CAN_RX_TCP4 | NDIS_CAN_RX_TCP6);
	CU_ASSERT_EQUAL(host_nic_knob(g.nic, "same_host", "1"), 0);
	for (i = 0; i < 2; i++) {
		const struct offload_checksum all = {.ipv4 = i == 0,
			.ipv6 = i == 1,
			.ip_header = true,
			.tcp = true,
			.l4_offset = i == 0 ? 34 : 54};

		l4 = all.l4_offset;
		len = guest_make_tcp(&g, frame, rows[i].version, 100, 1, 7);
		guest_port_put(&g, frame, len);
		guest_poll(&g);
		m = guest_data(&g, 0, &info);
		CU_ASSERT_PTR_NOT_NULL_FATAL(m);
		CU_ASSERT_EQUAL(info.csum, rows[i].csum);
		CU_ASSERT_EQUAL_FATAL(info.data_length, len);
		memcpy(got, m + info.data_abs, len);
		CU_ASSERT_NOT_EQUAL(memcmp(got + l4 + 16, frame + l4 + 16, 2), 0);
		/* What is there is the sum of the pseudo header: whoever adds the rest is right. */
		if (i == 0)
			CU_ASSERT_EQUAL(memcmp(got + 24, "\0", 2), 0);
		CU_ASSERT_EQUAL(offload_fill(got, len, &all), 0);
		CU_ASSERT_EQUAL(memcmp(got, frame, len), 0);
	}
	/* A wrong one stays wrong, and in the frame. */
	len = guest_make_tcp(&g, frame, 4, 100, 1, 7);
	frame[60] ^= 1;
	guest_port_put(&g, frame, len);
	guest_poll(&g);
	CU_ASSERT_PTR_NOT_NULL(guest_data(&g, 0, &info));
	CU_ASSERT_EQUAL(info.csum & (RNDIS_RX_CSUM_TCP_FAILED | RNDIS_RX_CSUM_TCP_VALUE_INVALID),
		RNDIS_RX_CSUM_TCP_FAILED);
	guest_stop(&g);
	/* Guests before NDIS 6.30 do not know the bits. */
	guest_start(&g, small, 16);
	guest_nvsp_up(&g, NVSP_VERSION_4, NVSP_CAP_8021Q, 1500);
	guest_rndis_up(&g, 13);
	guest_offloads(&g, NDIS_CAN_RX_IP4 | NDIS_CAN_RX_TCP4);
	host_nic_knob(g.nic, "same_host", "1");
	len = guest_make_tcp(&g, frame, 4, 100, 1, 7);
	guest_port_put(&g, frame, len);
	guest_poll(&g);
	m = guest_data(&g, 0, &info);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL(info.csum, RNDIS_RX_CSUM_IP_OK | RNDIS_RX_CSUM_TCP_OK);
	CU_ASSERT_EQUAL(memcmp(m + info.data_abs, frame, len), 0);
	guest_stop(&g);
}

/* ---- segmentation ---- */

static void
start_cutting(struct guest *g)
{
	guest_start_up(g, small, 16);
	guest_offloads(g, NDIS_CAN_TSO4 | NDIS_CAN_TSO6);
}

/* Byte @p at of a TCP frame of @p version made @p value: does a strict host cut it? */
static void
check_cut(struct guest *g, uint32_t version, uint32_t mss, uint32_t payload, uint32_t at,
	uint8_t value, bool taken)
{
	uint64_t before = g->nic->stats.tx_refused[HOST_REFUSED_LSO];
	uint8_t frame[5000];
	uint32_t len;

	len = guest_make_tcp(g, frame, version, payload, 1, 7);
	if (at != 0)
		frame[at] = value;
	send(g, RNDIS_PPI_LSO, rndis_lso(mss, version == 4 ? 34 : 54, version == 6), frame, len,
		taken);
	CU_ASSERT_EQUAL(g->port.out_n, taken ? (payload + mss - 1) / mss : 0);
	CU_ASSERT_EQUAL(g->nic->stats.tx_refused[HOST_REFUSED_LSO] - before, !taken);
}

static void
only_tcp_is_cut(void)
{
	struct guest g;

	start_cutting(&g);
	check_cut(&g, 4, 1000, 3000, 0, 0, true);
	check_cut(&g, 6, 1000, 3000, 0, 0, true);
	check_cut(&g, 4, 1000, 3000, 23, 17, false); /* UDP */
	check_cut(&g, 6, 1000, 3000, 20, 17, false); /* the same */
	check_cut(&g, 4, 1000, 3000, 13, 6, false);  /* ARP */
	check_cut(&g, 4, 1000, 3000, 12, 0x86, false);
	check_cut(&g, 4, 1000, 3000, 14, 0x46, false); /* options up into TCP */
	check_cut(&g, 4, 1000, 3000, 14, 0x44, false); /* no whole header */
	check_cut(&g, 4, 1000, 3000, 20, 0x20, false); /* a fragment */
	check_cut(&g, 4, 1000, 3000, 21, 1, false);
	check_cut(&g, 4, 1000, 3000, 46, 0x40, false); /* TCP header of 16 bytes */
	check_cut(&g, 6, 1000, 3000, 14, 0x45, false); /* IPv4 announced as IPv6 */
	guest_stop(&g);
}

/* LSO that OpenVMM and Windows validate (spec/hosts.md §2), but a lenient host does not. */
static void
lenient_host_cuts_what_looks_like_tcp(void)
{
	struct guest g;

	guest_start_up(&g, "recv=1M,send=256K,lenient=on", 16);
	check_cut(&g, 4, 1000, 3000, 23, 17, true);
	check_cut(&g, 4, 1000, 500, 0, 0, true);
	check_cut(&g, 4, 2000, 3000, 0, 0, true);
	check_cut(&g, 4, 1000, 3000, 46, 0x40, false);
	guest_stop(&g);
}

static void
segments_longer_than_the_mtu_are_refused(void)
{
	struct guest g;

	start_cutting(&g);
	check_cut(&g, 4, 1460, 3000, 0, 0, true);
	check_cut(&g, 4, 1461, 3000, 0, 0, false);
	check_cut(&g, 6, 1440, 3000, 0, 0, true);
	check_cut(&g, 6, 1441, 3000, 0, 0, false);
	guest_stop(&g);
}

/* MinSegmentCount 2 (spec/rndis.md §4.1): a single segment is for the checksum offload. */
static void
one_segment_is_not_cut(void)
{
	struct guest g;

	start_cutting(&g);
	check_cut(&g, 4, 1000, 1001, 0, 0, true);
	check_cut(&g, 4, 1000, 1000, 0, 0, false);
	guest_stop(&g);
}

/* More than the announced 0xf53c bytes, in pages. */
static void
more_than_the_largest_send_is_not_cut(void)
{
	static uint8_t frame[0xf53d + 2];
	struct rndis_packet_builder b;
	struct guest_range range = {0, 0, 4};
	uint32_t header, i;
	struct guest g;

	guest_start_up(&g, small, 16);
	guest_offloads(&g, NDIS_CAN_TSO4);
	guest_make_tcp(&g, frame, 4, 0xf53d - 54, 1, 7);
	for (i = 0; i < 2; i++) {
		rndis_packet_begin(&b, g.pages + 4 * VMBUS_PAGE_SIZE);
		rndis_packet_add(&b, RNDIS_PPI_LSO, rndis_lso(1400, 34, false));
		header = rndis_packet_end(&b, 0xf53c + i);
		memcpy(g.pages + 4 * VMBUS_PAGE_SIZE + header, frame, 0xf53c + i);
		range.count = header + 0xf53c + i;
		guest_send_pages(&g, 0, NVSP_CHANNEL_DATA, &range, 1, 50 + i);
		guest_poll(&g);
		CU_ASSERT_EQUAL(guest_status(&g, 50 + i),
			i == 0 ? NVSP_STATUS_SUCCESS : NVSP_STATUS_FAILURE);
	}
	CU_ASSERT_EQUAL(g.nic->stats.tx_refused[HOST_REFUSED_LSO], 1);
	CU_ASSERT_EQUAL(g.port.out_n, 45);
	guest_stop(&g);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"received tags are where the host puts them",
			received_tags_are_where_the_host_puts_them},
		{"sent tags leave the port unless the host loses them",
			sent_tags_leave_the_port_unless_the_host_loses_them},
		{"checksums of a neighbour are told but not in the frame",
			checksums_of_a_neighbour_are_told_but_not_in_the_frame},
		{"only TCP is cut", only_tcp_is_cut},
		{"lenient host cuts what looks like TCP", lenient_host_cuts_what_looks_like_tcp},
		{"segments longer than the MTU are refused",
			segments_longer_than_the_mtu_are_refused},
		{"one segment is not cut", one_segment_is_not_cut},
		{"more than the largest send is not cut", more_than_the_largest_send_is_not_cut},
	};

	return UNIT_RUN("host_nic_offload", tests);
}
