/* SPDX-License-Identifier: BSD-3-Clause */
/* The guest of host_nic_guest.h on its way up: NVSP, RNDIS, OIDs, subchannels. */
#include "test/unit/host_nic_guest.h"

void
guest_nvsp_up(struct guest *g, uint32_t version, uint64_t capabilities, uint32_t ip_mtu)
{
	const struct guest_packet *p;
	struct nvsp_message msg;

	nvsp_build_init(&msg, version);
	guest_nvsp(g, &msg, g->next_tid, true);
	guest_poll(g);
	p = guest_completion(g, g->next_tid++);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL_FATAL(p->msg.init_complete.status, NVSP_STATUS_SUCCESS);
	if (version >= NVSP_VERSION_2) {
		nvsp_build_ndis_config(&msg, ip_mtu, capabilities);
		guest_nvsp(g, &msg, VMBUS_NO_TRANS_ID, false);
	}
	nvsp_build_ndis_version(&msg, version);
	guest_nvsp(g, &msg, VMBUS_NO_TRANS_ID, false);
	nvsp_build_send_recv_buf(&msg, GUEST_RECV, NVSP_RECV_BUF_ID);
	guest_nvsp(g, &msg, g->next_tid, true);
	guest_poll(g);
	p = guest_completion(g, g->next_tid++);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL_FATAL(nvsp_check_recv_buf_complete(&p->msg, (uint32_t)g->recv_len), 0);
	g->section = p->msg.recv_buf_complete.sub_alloc_size;
	g->sections = p->msg.recv_buf_complete.count;
	nvsp_build_send_send_buf(&msg, GUEST_SEND, NVSP_SEND_BUF_ID);
	guest_nvsp(g, &msg, g->next_tid, true);
	guest_poll(g);
	p = guest_completion(g, g->next_tid++);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(p->msg.send_buf_complete.status, NVSP_STATUS_SUCCESS);
	g->send_section = p->msg.send_buf_complete.section_size;
}

const uint8_t *
guest_request(struct guest *g, const void *msg, uint32_t len, uint32_t type, uint32_t *answer_len)
{
	struct guest_range range = {len, 16, 0};
	const struct guest_packet *p;

	memcpy(g->pages + 16, msg, len);
	guest_send_pages(g, 0, NVSP_CHANNEL_CONTROL, &range, 1, g->next_tid);
	guest_poll(g);
	p = guest_completion(g, g->next_tid++);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(p->msg.type, NVSP_TYPE_RNDIS_COMPLETE);
	if (p->msg.rndis_complete.status != NVSP_STATUS_SUCCESS)
		return NULL;
	return guest_control(g, type, answer_len);
}

uint32_t
guest_set(struct guest *g, uint32_t oid, const void *info, uint32_t len)
{
	uint8_t msg[RNDIS_MAX_REQUEST];
	struct rndis_completion c;
	const uint8_t *answer;
	uint32_t answer_len = 0, id = (uint32_t)g->next_tid;
	int n = rndis_build_set(msg, sizeof(msg), id, oid, info, len);

	answer = guest_request(g, msg, (uint32_t)n, RNDIS_TYPE_SET_CMPLT, &answer_len);
	if (answer == NULL)
		return UINT32_MAX;
	CU_ASSERT_EQUAL(rndis_parse_completion(answer, answer_len, &c), 0);
	CU_ASSERT_EQUAL(c.request_id, id);
	return c.status;
}

uint32_t
guest_query(struct guest *g, uint32_t oid, void *out, uint32_t size, uint32_t *len)
{
	return guest_query_sized(g, oid, 0, out, size, len);
}

uint32_t
guest_query_sized(
	struct guest *g, uint32_t oid, uint32_t asked, void *out, uint32_t size, uint32_t *len)
{
	static const uint8_t zeros[200];
	uint8_t msg[256];
	struct rndis_completion c;
	const uint8_t *answer;
	uint32_t answer_len = 0, id = (uint32_t)g->next_tid;
	int n = rndis_build_query(msg, sizeof(msg), id, oid, zeros, asked);

	*len = 0;
	answer = guest_request(g, msg, (uint32_t)n, RNDIS_TYPE_QUERY_CMPLT, &answer_len);
	if (answer == NULL)
		return UINT32_MAX;
	CU_ASSERT_EQUAL(rndis_parse_completion(answer, answer_len, &c), 0);
	CU_ASSERT_EQUAL(c.request_id, id);
	if (c.info_length <= size) {
		memcpy(out, answer + c.info_abs, c.info_length);
		*len = c.info_length;
	}
	return c.status;
}

uint32_t
guest_query_word(struct guest *g, uint32_t oid)
{
	uint32_t word = 0xdeadbeef, len;

	CU_ASSERT_EQUAL(guest_query(g, oid, &word, sizeof(word), &len), RNDIS_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(len, 4);
	return word;
}

void
guest_offloads(struct guest *g, uint32_t can)
{
	uint8_t params[64];
	int len = ndis_build_offload_params(params, sizeof(params), g->nic->ndis_version, can);

	CU_ASSERT_EQUAL(guest_set(g, OID_TCP_OFFLOAD_PARAMETERS, params, (uint32_t)len),
		RNDIS_STATUS_SUCCESS);
}

void
guest_rndis_up(struct guest *g, uint32_t filter)
{
	struct rndis_completion c;
	const uint8_t *answer;
	uint8_t msg[64];
	uint32_t len = 0;
	int n = rndis_build_initialize(msg, sizeof(msg), 1, 0x4000);

	answer = guest_request(g, msg, (uint32_t)n, RNDIS_TYPE_INITIALIZE_CMPLT, &len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(answer);
	CU_ASSERT_EQUAL(rndis_parse_completion(answer, len, &c), 0);
	CU_ASSERT_EQUAL(c.status, RNDIS_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(guest_set(g, OID_GEN_CURRENT_PACKET_FILTER, &filter, sizeof(filter)),
		RNDIS_STATUS_SUCCESS);
}

void
guest_up(struct guest *g, uint32_t filter)
{
	guest_nvsp_up(g, NVSP_VERSION_61, NVSP_CAP_8021Q | NVSP_CAP_SRIOV | NVSP_CAP_TEAMING, 1500);
	guest_rndis_up(g, filter);
}

void
guest_start_up(struct guest *g, const char *nic, uint32_t ring_pages)
{
	guest_start(g, nic, ring_pages);
	guest_up(g, 13);
}

void
guest_subchannels(struct guest *g, uint32_t n)
{
	const struct guest_packet *p;
	struct nvsp_message msg;
	uint32_t i;

	nvsp_build_subchannel(&msg, n);
	guest_nvsp(g, &msg, g->next_tid, true);
	guest_poll(g);
	p = guest_completion(g, g->next_tid++);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(p->msg.subchannel_complete.status, NVSP_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(p->msg.subchannel_complete.granted, n);
	CU_ASSERT_EQUAL(g->offers, n);
	for (i = 1; i <= n && !g->open_at_once; i++)
		guest_open(g, i);
}
