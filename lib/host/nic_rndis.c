/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RNDIS control of the host (spec/rndis.md §1, §2, §9): INITIALIZE, HALT, QUERY, SET, KEEPALIVE and
 * status indications. The objects that QUERY and SET carry are in nic_oid.c.
 */
#include "lib/host/nic_internal.h"

void
nic_rndis_reset(struct host_nic *nic)
{
	nic->rndis_up = false;
	nic->link_notice = false; /* the guest will ask */
	nic->filter = 0;
	nic->multicast_n = 0;
	nic->offloads_on = 0;
	nic->rss.enabled = false;
	memcpy(nic->mac, nic->config.mac, sizeof(nic->mac));
}

static void
reply(struct host_nic *nic, uint32_t request, const uint8_t *msg, int len)
{
	if (len <= 0 || nic->knobs.silence_rndis == request)
		return;
	if (nic->knobs.inject)
		nic_nvsp_inject(nic);
	nic_control_add(nic, NIC_CONTROL_RNDIS, msg, (uint32_t)len);
}

void
nic_rndis_indicate(struct host_nic *nic, uint32_t status, const void *buf, uint32_t len)
{
	uint8_t msg[NIC_CONTROL_BYTES];
	int n;

	if (!nic->rndis_up)
		return;
	n = rndis_build_indicate(msg, sizeof(msg), status, buf, len);
	reply(nic, RNDIS_TYPE_INDICATE_STATUS, msg, n);
}

void
nic_rndis_notify(struct host_nic *nic)
{
	if (!nic->rndis_up) {
		nic->link_notice = false;
		return;
	}
	if (nic_control_is_crowded(nic))
		return;
	if (nic->link_notice) {
		nic->link_notice = false;
		nic_rndis_indicate(nic,
			nic->link_up ? RNDIS_STATUS_MEDIA_CONNECT : RNDIS_STATUS_MEDIA_DISCONNECT,
			NULL, 0);
	}
	nic_vf_announce(nic);
}

static int
initialize(struct host_nic *nic, const struct rndis_control *c)
{
	uint32_t status = c->major == 1 ? RNDIS_STATUS_SUCCESS : RNDIS_STATUS_BAD_VERSION;
	uint8_t msg[64];
	int len;

	if (nic->rndis_up)
		return -EINVAL;
	len = rndis_build_initialize_complete(msg, sizeof(msg), c->request_id, status,
		nic->knobs.max_messages, nic->knobs.max_transfer, nic->knobs.align_factor);
	reply(nic, c->type, msg, len);
	if (status != RNDIS_STATUS_SUCCESS)
		return 0;
	nic_rndis_reset(nic);
	/* As the guest reads it: no messages are one, a factor that cannot be is none. */
	nic->announced.messages = nic->knobs.max_messages == 0 ? 1 : nic->knobs.max_messages;
	nic->announced.transfer = nic->knobs.max_transfer;
	nic->announced.alignment =
		nic->knobs.align_factor <= NIC_ALIGN_FACTOR_MAX ? 1u << nic->knobs.align_factor : 1;
	nic->rndis_up = true;
	nic_vf_rndis_up(nic);
	nic_rndis_notify(nic);
	return 0;
}

static void
query(struct host_nic *nic, const struct rndis_control *c, const uint8_t *info)
{
	uint8_t msg[NIC_CONTROL_BYTES],
		out[NIC_CONTROL_BYTES - sizeof(struct rndis_query_complete)];
	uint32_t len = 0, status;

	status = nic_oid_query(nic, c->oid, info, c->info_length, out, sizeof(out), &len);
	reply(nic, c->type, msg,
		rndis_build_query_complete(msg, sizeof(msg), c->request_id, status, out, len));
}

static void
set(struct host_nic *nic, const struct rndis_control *c, const uint8_t *info)
{
	uint8_t msg[sizeof(struct rndis_short_complete)];
	uint32_t status = nic_oid_set(nic, c->oid, info, c->info_length);

	reply(nic, c->type, msg, rndis_build_set_complete(msg, sizeof(msg), c->request_id, status));
	if (status == RNDIS_STATUS_SUCCESS && c->oid == OID_TCP_OFFLOAD_PARAMETERS &&
		nic->knobs.offload_notice)
		nic_oid_indicate_offloads(nic);
}

int
nic_rndis_control(struct host_nic *nic, const uint8_t *msg, uint32_t len)
{
	uint8_t out[sizeof(struct rndis_short_complete)];
	struct rndis_control c;
	int rc;

	if (len > RNDIS_MAX_REQUEST)
		return -EMSGSIZE;
	rc = rndis_parse_control(msg, len, &c);
	if (rc != 0)
		return -EINVAL;
	if (!nic->rndis_up && c.type != RNDIS_TYPE_INITIALIZE && c.type != RNDIS_TYPE_HALT)
		return -EINVAL;
	switch (c.type) {
	case RNDIS_TYPE_INITIALIZE:
		return initialize(nic, &c);
	case RNDIS_TYPE_HALT:
		/* Answered by its 108 alone; INITIALIZE is legal again. */
		nic_rndis_reset(nic);
		return 0;
	case RNDIS_TYPE_QUERY:
		query(nic, &c, msg + c.info_abs);
		return 0;
	case RNDIS_TYPE_SET:
		set(nic, &c, msg + c.info_abs);
		return 0;
	case RNDIS_TYPE_KEEPALIVE:
		rc = rndis_build_keepalive_complete(
			out, sizeof(out), c.request_id, RNDIS_STATUS_SUCCESS);
		reply(nic, c.type, out, rc);
		return 0;
	default:
		return -EINVAL; /* RESET and the like: never sent by a sane guest */
	}
}
