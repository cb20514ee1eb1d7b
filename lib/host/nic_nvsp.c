/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The NVSP state machine of the host (spec/nvsp.md §3, §4, §8-§12): one enum, one switch. A message
 * that its state does not allow stops the channel; everything else has an answer.
 */
#include "lib/host/nic_internal.h"

/* spec/nvsp.md §5: what a send buffer may measure. */
#define SEND_BUF_MAX NVSP_MAX_RECV_BUF

void
nic_nvsp_drop_buffer(struct host_nic *nic, struct host_buffer *buffer)
{
	/* Frames on their way to the port may lie in it. */
	nic_tx_flush(nic);
	if (buffer->base != NULL && nic->transport.release != NULL)
		nic->transport.release(nic->transport.ctx, buffer);
	memset(buffer, 0, sizeof(*buffer));
}

void
nic_nvsp_reset(struct host_nic *nic)
{
	nic_rx_release(nic);
	nic->state = NIC_OFFERED;
	nic->version = nic->ndis_version = 0;
	nic->message_size = nic->knobs.legacy28 ? NVSP_MESSAGE_SIZE_LEGACY : NVSP_MESSAGE_SIZE;
	nic->have_ndis_version = nic->have_ndis_config = false;
	nic->have_recv = nic->have_send = false;
	nic->mtu_field = NVSP_MTU_MIN;
	nic->capabilities = 0;
	nic_nvsp_drop_buffer(nic, &nic->recv);
	nic_nvsp_drop_buffer(nic, &nic->send);
	nic->send_sections = 0;
	nic->subchannels_asked = nic->subchannels_answered = false;
	nic->table_sent = nic->offer_now = false;
	nic->granted = 0;
	nic_vf_reset(nic);
	nic->control_head = nic->control_tail;
	nic->pending_n = 0;
	nic_rndis_reset(nic);
}

static void
answer_status(struct host_nic *nic, const struct vmbus_packet *pkt, uint32_t request,
	const struct nvsp_message *msg)
{
	if (pkt->flags & VMBUS_FLAG_COMPLETION)
		nic_control_answer(nic, pkt->trans_id, request, msg);
}

static const char *
init(struct host_nic *nic, const struct vmbus_packet *pkt, const struct nvsp_message *msg)
{
	uint32_t version = msg->init.version;
	bool good = nvsp_version_known(version) && version <= nic->config.nvsp_max;
	struct nvsp_message answer;

	if (nic->state != NIC_OPEN)
		return "INIT after a version was agreed";
	nvsp_build_init_complete(&answer, version, good ? NVSP_STATUS_SUCCESS : NVSP_STATUS_NONE);
	if (good) {
		nic->version = version;
		nic->state = NIC_NEGOTIATED;
		if (nic->knobs.legacy28)
			nic->message_size = nvsp_message_size(version);
	}
	answer_status(nic, pkt, NVSP_TYPE_INIT, &answer);
	return NULL;
}

/* Both buffers are set up, as far as this guest wants them: traffic may begin. */
static void
check_ready(struct host_nic *nic)
{
	if (nic->state == NIC_NEGOTIATED && nic->have_ndis_version && nic->have_recv &&
		nic->have_send && (nic->have_ndis_config || nic->version < NVSP_VERSION_2))
		nic->state = NIC_READY;
}

bool
nic_nvsp_rndis_allowed(struct host_nic *nic)
{
	if (nic->state == NIC_READY)
		return true;
	/* A guest may skip the send buffer; its first 107 says so. */
	if (nic->state != NIC_NEGOTIATED || !nic->have_ndis_version || !nic->have_recv ||
		(!nic->have_ndis_config && nic->version >= NVSP_VERSION_2))
		return false;
	nic->state = NIC_READY;
	return true;
}

static const char *
ndis_config(struct host_nic *nic, const struct vmbus_packet *pkt, const struct nvsp_message *msg)
{
	uint32_t mtu = msg->ndis_config.mtu, max = nic->config.mtu;

	if (nic->have_ndis_config || nic->have_recv || nic->version < NVSP_VERSION_2)
		return "NDIS_CONFIG twice, too late or at version 1";
	nic->have_ndis_config = true;
	if (nic->knobs.max_mtu != 0 && nic->knobs.max_mtu < max)
		max = nic->knobs.max_mtu;
	max += NVSP_MTU_HEADER;
	/* What is out of range silently becomes 1514 (spec/nvsp.md §3). */
	nic->mtu_field = mtu >= NVSP_MTU_MIN && mtu <= max ? mtu : NVSP_MTU_MIN;
	if (mtu > max && max > NVSP_MTU_MIN && nic->knobs.clamp_mtu)
		nic->mtu_field = max;
	nic->capabilities = msg->ndis_config.capabilities;
	answer_status(nic, pkt, NVSP_TYPE_NDIS_CONFIG, NULL);
	check_ready(nic);
	return NULL;
}

static const char *
ndis_version(struct host_nic *nic, const struct vmbus_packet *pkt, const struct nvsp_message *msg)
{
	uint32_t major = msg->ndis_version.major;

	if (nic->have_ndis_version)
		return "NDIS_VERSION twice";
	if (major != 5 && major != 6)
		return "NDIS_VERSION that does not exist";
	nic->have_ndis_version = true;
	nic->ndis_version = major << 16 | (msg->ndis_version.minor & 0xffff);
	answer_status(nic, pkt, NVSP_TYPE_NDIS_VERSION, NULL);
	check_ready(nic);
	return NULL;
}

static int
map_buffer(struct host_nic *nic, const struct nvsp_message *msg, size_t max, struct host_buffer *b)
{
	struct host_buffer mapped = {0};
	int rc = nic->transport.buffer(nic->transport.ctx, msg->send_buf.gpadl, &mapped);

	if (rc != 0)
		return rc;
	if (mapped.base == NULL || mapped.len == 0 || mapped.len % VMBUS_PAGE_SIZE != 0 ||
		mapped.len > max) {
		nic_nvsp_drop_buffer(nic, &mapped);
		return -EINVAL;
	}
	*b = mapped;
	return 0;
}

static const char *
recv_buffer(struct host_nic *nic, const struct vmbus_packet *pkt, const struct nvsp_message *msg)
{
	enum nvsp_status status = NVSP_STATUS_FAILURE;
	struct nvsp_message answer;

	if (nic->have_recv)
		return "receive buffer twice";
	if (!nic->have_ndis_config && nic->version >= NVSP_VERSION_2)
		return "receive buffer before NDIS_CONFIG";
	if (!nic->knobs.refuse_recv &&
		map_buffer(nic, msg,
			nic->version <= NVSP_VERSION_2 ? NVSP_MAX_RECV_BUF_LEGACY
						       : NVSP_MAX_RECV_BUF,
			&nic->recv) == 0) {
		if (nic_rx_sections(nic) == 0)
			status = NVSP_STATUS_SUCCESS;
		else
			nic_nvsp_drop_buffer(nic, &nic->recv);
	}
	if (status == NVSP_STATUS_SUCCESS) {
		nic->have_recv = true;
		nic->recv_id = msg->send_buf.id;
	}
	nvsp_build_recv_buf_complete(&answer, status, nic->section_bytes, nic->sections_n);
	if (status == NVSP_STATUS_SUCCESS && nic->knobs.num_sections != 1)
		answer.recv_buf_complete.num_sections = nic->knobs.num_sections;
	answer_status(nic, pkt, NVSP_TYPE_SEND_RECV_BUF, &answer);
	check_ready(nic);
	return NULL;
}

static const char *
send_buffer(struct host_nic *nic, const struct vmbus_packet *pkt, const struct nvsp_message *msg)
{
	enum nvsp_status status = NVSP_STATUS_FAILURE;
	struct nvsp_message answer;
	uint32_t section = nic->knobs.send_section;

	if (nic->have_send)
		return "send buffer twice";
	if (section == UINT32_MAX)
		section = nic->config.send_section_bytes;
	if (!nic->knobs.refuse_send && map_buffer(nic, msg, SEND_BUF_MAX, &nic->send) == 0) {
		status = NVSP_STATUS_SUCCESS;
		nic->have_send = true;
		nic->send_id = msg->send_buf.id;
		nic->send_section = section;
		nic->send_sections = section == 0 ? 0 : (uint32_t)(nic->send.len / section);
	}
	nvsp_build_send_buf_complete(&answer, status, status == NVSP_STATUS_SUCCESS ? section : 0);
	answer_status(nic, pkt, NVSP_TYPE_SEND_SEND_BUF, &answer);
	check_ready(nic);
	return NULL;
}

/* Channels to put into the answer for @p asked; what is really prepared is at most this. */
static int64_t
grant_for(const struct host_nic *nic, uint32_t asked)
{
	uint32_t most = nic->config.channels - 1;
	int64_t granted = asked < most ? asked : most;

	if (nic->knobs.grant_mode == 1)
		granted = nic->knobs.grant;
	else if (nic->knobs.grant_mode == 2)
		granted = (int64_t)asked + nic->knobs.grant;
	return granted < 0 ? 0 : granted;
}

static void
subchannels(struct host_nic *nic, const struct vmbus_packet *pkt, const struct nvsp_message *msg)
{
	uint32_t asked = msg->subchannel.count, most = nic->config.channels - 1, prepare;
	enum nvsp_status status = NVSP_STATUS_FAILURE;
	struct nvsp_message answer;
	uint32_t tail = nic->control_tail;
	int64_t says = 0;
	int rc;

	if (msg->subchannel.op == NVSP_SUBCHANNEL_ALLOCATE && asked > 0 && most > 0 &&
		!nic->subchannels_asked) {
		nic->subchannels_asked = true;
		says = grant_for(nic, asked);
		prepare = says < asked ? (uint32_t)says : asked;
		if (prepare > most)
			prepare = most;
		/* The transport may open the channels inside the call: they must be legal. */
		nic->granted = prepare;
		rc = (int)prepare;
		if (prepare > 0 && nic->transport.subchannels != NULL)
			rc = nic->transport.subchannels(nic->transport.ctx, prepare);
		if (rc >= 0 && rc < (int)prepare)
			nic->granted = (uint32_t)rc;
		if (rc < 0)
			nic->granted = 0;
		if (rc < (int)prepare || nic->knobs.grant_mode == 0)
			says = nic->granted;
		if (rc >= 0)
			status = NVSP_STATUS_SUCCESS;
	}
	nvsp_build_subchannel_complete(&answer, status, (uint32_t)says);
	answer_status(nic, pkt, NVSP_TYPE_SUBCHANNEL, &answer);
	if (nic->control_tail != tail)
		nic->control[(nic->control_tail - 1) % NIC_CONTROL_QUEUE].offer =
			status == NVSP_STATUS_SUCCESS;
	if (status == NVSP_STATUS_SUCCESS) {
		nic->subchannels_answered = true;
		nic_nvsp_channel_opened(nic);
	}
}

void
nic_nvsp_send_table(struct host_nic *nic)
{
	/* Layouts a, b, c of spec/nvsp.md §8. */
	static const uint32_t at[] = {
		NVSP_SEND_TABLE_AT_NEW, NVSP_SEND_TABLE_AT_OLD, NVSP_SEND_TABLE_AT_VMM};
	uint32_t table[NVSP_SEND_TABLE_ENTRIES], i, where;
	uint8_t buf[NVSP_SEND_TABLE_MAX_LEN];
	struct nic_control *c;
	int len;

	for (i = 0; i < NVSP_SEND_TABLE_ENTRIES; i++)
		table[i] = i % (nic->granted + 1);
	where = at[nic->knobs.table_layout];
	len = nvsp_build_send_table(buf, sizeof(buf), where,
		nic->knobs.table_offset != 0 ? nic->knobs.table_offset : where, table);
	if (len < 0)
		return;
	c = nic_control_add(nic, NIC_CONTROL_INBAND, buf, (uint32_t)len);
	if (c != NULL)
		c->tid = 0;
}

/* All granted channels are open: tell the guest how to spread what it sends. */
void
nic_nvsp_channel_opened(struct host_nic *nic)
{
	unsigned int i;

	if (nic->table_sent || !nic->subchannels_answered || nic->granted == 0)
		return;
	for (i = 1; i <= nic->granted; i++)
		if (!host_nic_channel_is_open(nic, i))
			return;
	nic->table_sent = true;
	nic_nvsp_send_table(nic);
}

void
nic_nvsp_inject(struct host_nic *nic)
{
	if (nic->version >= NVSP_VERSION_5 && nic->state == NIC_READY)
		nic_nvsp_send_table(nic);
	nic_vf_inject(nic);
}

static void
revoke(struct host_nic *nic, const struct vmbus_packet *pkt, uint32_t type)
{
	if (type == NVSP_TYPE_REVOKE_RECV_BUF) {
		nic_rx_release(nic);
		nic_nvsp_drop_buffer(nic, &nic->recv);
	} else {
		nic_nvsp_drop_buffer(nic, &nic->send);
		nic->send_sections = 0;
	}
	nic->state = NIC_REVOKED;
	answer_status(nic, pkt, type, NULL);
}

const char *
nic_nvsp_message(
	struct host_nic *nic, const struct vmbus_packet *pkt, const void *payload, uint32_t len)
{
	struct nvsp_message msg, answer;
	int rc = nvsp_parse(payload, len, &msg);

	if (rc == -EBADMSG)
		return "NVSP message shorter than its type";
	if (rc != 0)
		return "NVSP message of an unknown type";
	if (nic->state == NIC_REVOKED && msg.type != NVSP_TYPE_REVOKE_RECV_BUF &&
		msg.type != NVSP_TYPE_REVOKE_SEND_BUF)
		return NULL; /* drain */
	if (nic->state == NIC_OPEN && msg.type != NVSP_TYPE_INIT)
		return "NVSP message before INIT";
	switch (msg.type) {
	case NVSP_TYPE_INIT:
		return init(nic, pkt, &msg);
	case NVSP_TYPE_NDIS_VERSION:
		return ndis_version(nic, pkt, &msg);
	case NVSP_TYPE_NDIS_CONFIG:
		return ndis_config(nic, pkt, &msg);
	case NVSP_TYPE_SEND_RECV_BUF:
		return recv_buffer(nic, pkt, &msg);
	case NVSP_TYPE_SEND_SEND_BUF:
		return send_buffer(nic, pkt, &msg);
	case NVSP_TYPE_REVOKE_RECV_BUF:
	case NVSP_TYPE_REVOKE_SEND_BUF:
		revoke(nic, pkt, msg.type);
		return NULL;
	case NVSP_TYPE_SWITCH_DATA_PATH:
		return nic_vf_switch(nic, pkt, msg.switch_data_path.path);
	case NVSP_TYPE_OID_QUERY_EX:
		if (nic->version < NVSP_VERSION_5)
			return "OID_QUERY_EX below version 5";
		nvsp_build_oid_query_ex_complete(&answer, RNDIS_STATUS_NOT_SUPPORTED);
		answer_status(nic, pkt, msg.type, &answer);
		return NULL;
	case NVSP_TYPE_SUBCHANNEL:
		if (nic->version < NVSP_VERSION_5 || nic->state != NIC_READY)
			return "SUBCHANNEL below version 5 or before the NIC is ready";
		subchannels(nic, pkt, &msg);
		return NULL;
	case NVSP_TYPE_PD_API:
	case NVSP_TYPE_PD_POST_BATCH:
		answer_status(nic, pkt, msg.type, NULL);
		return NULL;
	default:
		return "NVSP message that guests do not send";
	}
}
