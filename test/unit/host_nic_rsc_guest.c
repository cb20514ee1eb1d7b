/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/unit/host_nic_rsc_guest.h"

void
rsc_start_wanting(struct guest *g, uint32_t can)
{
	guest_start(g, RSC_NIC, 64);
	guest_nvsp_up(g, NVSP_VERSION_61, NVSP_CAP_8021Q | NVSP_CAP_RSC, 1500);
	guest_rndis_up(g, 13);
	guest_offloads(g, can);
}

void
rsc_start(struct guest *g)
{
	rsc_start_wanting(g, RSC_WANTED);
}

uint32_t
rsc_collect(const struct guest *g, struct rsc_frame *to, uint32_t most)
{
	struct rndis_rsc rsc = {0};
	const struct guest_packet *p;
	uint32_t i, k, n = 0, act;
	struct rsc_frame *w = NULL;
	const uint8_t *m;

	for (i = 0; (p = guest_transfer(g, i)) != NULL; i++) {
		if (p->msg.rndis.channel_type != NVSP_CHANNEL_DATA)
			continue;
		for (k = 0; k < p->ranges; k++) {
			struct rndis_packet_info info;

			m = guest_message(g, p, k);
			CU_ASSERT_PTR_NOT_NULL_FATAL(m);
			CU_ASSERT_EQUAL_FATAL(
				rndis_packet_parse_rx(m, 300, p->range[k].byte_count, &info), 0);
			CU_ASSERT(
				info.data_abs + info.data_length + NIC_SECTION_TAIL <= g->section);
			act = rndis_rsc_next(&rsc, &info, k + 1 == p->ranges);
			CU_ASSERT_EQUAL_FATAL(act & RNDIS_RSC_ACT_DROP, 0);
			if (act & RNDIS_RSC_ACT_START) {
				CU_ASSERT_FATAL(n < most);
				w = &to[n++];
				w->len = w->pieces = 0;
				w->first = info;
			} else {
				CU_ASSERT_EQUAL(info.present, RNDIS_HAS_PACKET_ID);
			}
			CU_ASSERT_FATAL(w->len + info.data_length <= sizeof(w->data));
			memcpy(w->data + w->len, m + info.data_abs, info.data_length);
			w->len += info.data_length;
			w->pieces++;
		}
	}
	return n;
}

void
rsc_check_whole(struct guest *g, const struct rsc_frame *w, uint32_t version, uint32_t flow,
	uint32_t seq, uint32_t payload)
{
	static uint8_t frame[RNDIS_MAX_BIG_FRAME];
	uint32_t len = guest_make_tcp(g, frame, version, payload, flow, seq), l4;

	l4 = version == 4 ? 34 : 54;
	CU_ASSERT_EQUAL_FATAL(w->len, len);
	/* All but the checksums, which are told to be invalid. */
	CU_ASSERT_EQUAL(memcmp(w->data, frame, version == 4 ? 24 : l4 + 16), 0);
	if (version == 4)
		CU_ASSERT_EQUAL(memcmp(w->data + 26, frame + 26, l4 + 16 - 26), 0);
	CU_ASSERT_EQUAL(memcmp(w->data + l4 + 18, frame + l4 + 18, len - l4 - 18), 0);
}

void
rsc_put(struct guest *g, uint32_t version, uint32_t payload, uint32_t flow, uint32_t seq)
{
	uint8_t frame[1600];

	guest_port_put(g, frame, guest_make_tcp(g, frame, version, payload, flow, seq));
}
