/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random and mutated messages against the host NIC, from fixed seeds: it never reads or writes
 * outside its memory (run it with ASan), answers each send exactly once, leaks no section, and
 * works after the channel is opened again.
 */
#include "test/unit/host_nic_guest.h"

static const char small[] = "recv=1M,send=256K,channels=4";
static uint64_t seed;

static uint32_t
rnd(uint32_t below)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)((seed >> 33) % below);
}

static void
scribble(uint8_t *p, uint32_t len, uint32_t times)
{
	static const uint32_t words[] = {
		0, 1, 8, 44, 0x7fffffff, 0x80000000, 0xfffffff8, UINT32_MAX};

	for (; times > 0; times--) {
		if (rnd(2) == 0)
			p[rnd(len)] = (uint8_t)rnd(256);
		else if (len >= 4)
			memcpy(p + rnd(len - 3), &words[rnd(8)], 4);
	}
}

static void
reopen(struct guest *g)
{
	host_nic_channel_close(g->nic, 0);
	memset(g->broken, 0, sizeof(g->broken));
	guest_open(g, 0);
	host_nic_knob(g->nic, "lenient", rnd(2) ? "1" : "0");
	host_nic_knob(g->nic, "spoof", rnd(2) ? "1" : "0");
	guest_up(g, RNDIS_FILTER_PROMISCUOUS);
	if (rnd(2))
		guest_offloads(g, NDIS_CAN_ALL);
	guest_poll(g);
}

/* A packet message with PPIs, some of its bytes changed. */
static uint32_t
random_packet(uint8_t *dst)
{
	static const uint32_t ppis[] = {RNDIS_PPI_CHECKSUM, RNDIS_PPI_LSO, RNDIS_PPI_VLAN,
		RNDIS_PPI_HASH_VALUE, RNDIS_PPI_HASH_INFO, RNDIS_PPI_PACKET_ID};
	struct rndis_packet_builder b;
	uint32_t i, n = rnd(4), len = 60 + rnd(1000), header;

	rndis_packet_begin(&b, dst);
	for (i = 0; i < n; i++)
		rndis_packet_add(&b, ppis[rnd(6)],
			rnd(2) ? rndis_lso(64 + rnd(1000), rnd(80), rnd(2)) : rnd(UINT32_MAX));
	header = rndis_packet_end(&b, len);
	memset(dst + header, 0, len);
	memcpy(dst + header + 12, rnd(2) ? "\x08\x00\x45" : "\x86\xdd\x60", 3);
	dst[header + 17] = (uint8_t)rnd(256);
	dst[header + 46] = (uint8_t)(rnd(16) << 4);
	return header + len;
}

static void
random_sends(void)
{
	static const struct guest_range range = {4000, 50, 0};
	const struct guest_packet *p;
	struct guest_range ranges[3];
	uint32_t i, k, n, len, good = 0, bad = 0;
	uint64_t tid;
	struct guest g;

	guest_start(&g, small, 16);
	seed = 1;
	guest_up(&g, RNDIS_FILTER_PROMISCUOUS);
	for (i = 0; i < 20000; i++) {
		tid = 1000 + i;
		for (len = 0, k = rnd(4); len < 3000; k--) {
			n = random_packet(g.send + len);
			len += rndis_packet_pad(g.send + len, n, 8);
			if (k == 0)
				break;
		}
		if (rnd(4) != 0)
			scribble(g.send, rnd(2) ? 100 : len, 1 + rnd(3));
		if (rnd(2)) {
			guest_send_section(&g, 0, rnd(20) ? 0 : rnd(UINT32_MAX),
				rnd(20) ? len : rnd(8000), tid);
		} else {
			memcpy(g.pages + 50, g.send, len < 8000 ? len : 8000);
			ranges[0] = range;
			ranges[0].count = len;
			for (n = 1; n < 3; n++)
				ranges[n] = (struct guest_range){
					1 + rnd(9000), rnd(4096), rnd(GUEST_PAGES + 2)};
			guest_send_pages(&g, 0, rnd(2), ranges, rnd(4) ? 1 : 1 + rnd(3), tid);
		}
		guest_poll(&g);
		p = guest_completion(&g, tid);
		CU_ASSERT_PTR_NOT_NULL_FATAL(p);
		if (p->msg.rndis_complete.status == NVSP_STATUS_SUCCESS)
			good++;
		else
			bad++;
		if (g.port.out_n > GUEST_FRAMES / 2)
			g.port.out_n = 0;
		/* A mutated type may be a control message, HALT and all. */
		if (!g.nic->rndis_up)
			reopen(&g);
	}
	CU_ASSERT(good > 2000);
	CU_ASSERT(bad > 2000);
	CU_ASSERT_EQUAL(g.broken[0], 0);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.nic->free_n + g.nic->free_control_n, g.nic->sections_n);
	guest_stop(&g);
}

/* Control requests with random OIDs, lengths and objects. */
static void
random_control(void)
{
	uint8_t msg[RNDIS_MAX_REQUEST];
	struct guest_range range = {0, 0, 0};
	uint32_t i, len, info, oid;
	struct guest g;
	int n;

	guest_start(&g, small, 16);
	seed = 2;
	guest_up(&g, RNDIS_FILTER_PROMISCUOUS);
	for (i = 0; i < 20000; i++) {
		static const uint32_t sets[] = {OID_GEN_RECEIVE_SCALE_PARAMETERS,
			OID_TCP_OFFLOAD_PARAMETERS, OID_GEN_RNDIS_CONFIG_PARAMETER,
			OID_OFFLOAD_ENCAPSULATION, OID_802_3_MULTICAST_LIST,
			OID_GEN_CURRENT_PACKET_FILTER, OID_GEN_FRIENDLY_NAME, 0xfc010200};

		oid = sets[rnd(8)] + (rnd(4) ? 0 : rnd(16));
		info = rnd(4) ? rnd(700) : 0;
		n = rnd(2) ? rndis_build_set(msg, sizeof(msg), i + 1, oid, NULL, info)
			   : rndis_build_query(msg, sizeof(msg), i + 1, oid, NULL, 0);
		CU_ASSERT_FATAL(n > 0);
		len = (uint32_t)n;
		if (oid == OID_GEN_RECEIVE_SCALE_PARAMETERS && rnd(2)) {
			uint16_t table[NDIS_RSS_TABLE_ENTRIES] = {(uint16_t)rnd(5)};

			ndis_build_rss_params(msg + 28, 700, NDIS_HASH_TOEPLITZ | 0x300, table,
				NDIS_RSS_TABLE_ENTRIES, toeplitz_default_key);
			len = 28 + NDIS_RSS_PARAMS_INFO;
			memcpy(msg + 4, &len, 4);
			memcpy(msg + 16, &(uint32_t){NDIS_RSS_PARAMS_INFO}, 4);
		}
		if (rnd(3) == 0)
			scribble(msg, len, 1 + rnd(4));
		range.count = rnd(10) ? len : 1 + rnd(5000);
		range.offset = rnd(2) ? 0 : 4000; /* over a page border */
		memcpy(g.pages + range.offset, msg, len);
		guest_send_pages(&g, 0, NVSP_CHANNEL_CONTROL, &range, 1, i + 1);
		guest_poll(&g);
		CU_ASSERT_PTR_NOT_NULL_FATAL(guest_completion(&g, i + 1));
		if (!g.nic->rndis_up)
			reopen(&g);
	}
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.nic->free_n + g.nic->free_control_n, g.nic->sections_n);
	/* It still does its work. */
	CU_ASSERT_EQUAL(guest_query_word(&g, OID_GEN_HARDWARE_STATUS), 0);
	guest_stop(&g);
}

/* NVSP messages of all types and lengths, descriptors with odd sizes; random acknowledgements. */
static void
random_packets(void)
{
	static const uint16_t types[] = {6, 6, 6, 9, 0xb, 7, 0, 0xffff};
	struct nvsp_message msg;
	uint8_t header[64];
	uint32_t i, broken = 0, frame_n = 0;
	uint8_t frame[60];
	struct guest g;

	guest_start(&g, small, 16);
	seed = 3;
	guest_up(&g, RNDIS_FILTER_PROMISCUOUS);
	for (i = 0; i < 20000; i++) {
		nvsp_build(&msg, NVSP_TYPE_RNDIS);
		msg.type = rnd(3) ? 100 + rnd(40) : rnd(UINT32_MAX);
		scribble((uint8_t *)&msg + 4, 36, rnd(6));
		memset(header, 0, sizeof(header));
		scribble(header, sizeof(header), rnd(8));
		g.ack = rnd(8) != 0;
		if (rnd(3) == 0)
			guest_port_put(&g, frame, guest_make_udp(&g, frame, 60, frame_n++));
		if (guest_send(&g, 0, types[rnd(8)], rnd(700), (uint16_t)(rnd(8) ? rnd(2) : 2),
			    header, 8 * rnd(8), &msg, rnd(41)) != 0 ||
			guest_poll(&g) > 1000)
			CU_FAIL_FATAL("the host stopped reading");
		if (g.broken[0] != 0) {
			broken++;
			g.ack = true;
			g.offers = 0;
			reopen(&g);
		}
	}
	CU_ASSERT(broken > 1000);
	guest_stop(&g);
}

/* Frames of any content with RSS and checksum verification on. */
static void
random_received_frames(void)
{
	uint8_t params[NDIS_RSS_PARAMS_INFO], offload[NDIS_OFFLOAD_PARAMS_REV3], frame[200];
	uint16_t table[NDIS_RSS_TABLE_ENTRIES];
	struct guest g;
	uint32_t i;
	int len;

	guest_start(&g, small, 16);
	seed = 4;
	guest_up(&g, RNDIS_FILTER_PROMISCUOUS);
	guest_subchannels(&g, 3);
	for (i = 0; i < NDIS_RSS_TABLE_ENTRIES; i++)
		table[i] = (uint16_t)(i % 4);
	ndis_build_rss_params(params, sizeof(params), NDIS_HASH_TOEPLITZ | 0x1700, table,
		NDIS_RSS_TABLE_ENTRIES, toeplitz_default_key);
	guest_set(&g, OID_GEN_RECEIVE_SCALE_PARAMETERS, params, sizeof(params));
	len = ndis_build_offload_params(offload, sizeof(offload), NDIS_VERSION_6_30, NDIS_CAN_ALL);
	guest_set(&g, OID_TCP_OFFLOAD_PARAMETERS, offload, (uint32_t)len);
	for (i = 0; i < 20000; i++) {
		uint32_t n = 14 + rnd(186);

		guest_make_udp(&g, frame, 200, i);
		if (rnd(2)) {
			memcpy(frame + 12, "\x86\xdd\x60", 3);
			frame[20] = rnd(2) ? 6 : 17;
		}
		if (rnd(4) == 0)
			memcpy(frame + 12, "\x81\x00", 2);
		scribble(frame + 12, 60, rnd(4));
		guest_port_put(&g, frame, n);
		guest_poll(&g);
	}
	CU_ASSERT_EQUAL(g.nic->stats.rx_frames, 20000);
	guest_poll(&g);
	CU_ASSERT_EQUAL(g.nic->free_n + g.nic->free_control_n, g.nic->sections_n);
	guest_stop(&g);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"random sends", random_sends},
		{"random control", random_control},
		{"random packets", random_packets},
		{"random received frames", random_received_frames},
	};

	return UNIT_RUN("host_nic_random", tests);
}
