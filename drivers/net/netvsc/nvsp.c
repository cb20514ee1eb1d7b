/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is said in NVSP while a session is attached and detached (spec/nvsp.md §4, §10). Control
 * side; control_lock is held.
 */
#include <errno.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/control.h"
#include "drivers/net/netvsc/port.h"

int
netvsc_nvsp_init(struct netvsc_port *port)
{
	struct nvsp_message msg;
	unsigned int i;
	int rc;

	for (i = 0; i < NVSP_VERSION_COUNT; i++) {
		nvsp_build_init(&msg, nvsp_versions_newest_first[i]);
		rc = netvsc_nvsp_request(port, &msg, NVSP_TYPE_INIT_COMPLETE);
		if (rc != 0)
			return rc;
		if (port->request.answer.init_complete.status == NVSP_STATUS_SUCCESS) {
			port->session.nvsp_version = nvsp_versions_newest_first[i];
			return 0;
		}
	}
	NETVSC_LOG(ERR, port, "the host accepts no NVSP version");
	return -EPROTONOSUPPORT;
}

int
netvsc_nvsp_configure(struct netvsc_port *port)
{
	uint64_t caps = NVSP_CAP_8021Q;
	struct nvsp_message msg;
	int rc = 0;

	/* Who asks is told of virtual functions, as Linux does from NVSP 5 on (pitfall V2). */
	if (port->session.nvsp_version >= NVSP_VERSION_5 && port->vf != NULL)
		caps |= NVSP_CAP_SRIOV;
	/* Teaming: without it the host does not announce changes of the link speed. */
	if (port->session.nvsp_version >= NVSP_VERSION_5)
		caps |= NVSP_CAP_TEAMING;
	/* The host coalesces when the offload is switched on, too (spec/rndis.md §4.3). */
	if (port->session.nvsp_version >= NVSP_VERSION_61)
		caps |= NVSP_CAP_RSC;
	if (port->session.nvsp_version >= NVSP_VERSION_2) {
		nvsp_build_ndis_config(&msg, port->session.asked_mtu, caps);
		rc = netvsc_nvsp_post(port, &msg);
	}
	if (rc == 0) {
		nvsp_build_ndis_version(&msg, port->session.nvsp_version);
		rc = netvsc_nvsp_post(port, &msg);
	}
	return rc;
}

int
netvsc_nvsp_buffers(struct netvsc_port *port)
{
	struct hpbus_device *bus = port->bus;
	struct netvsc_request *rq = &port->request;
	struct nvsp_message msg;
	uint32_t sections;
	int rc;

	nvsp_build_send_recv_buf(&msg, bus->recv.gpadl, NVSP_RECV_BUF_ID);
	rc = netvsc_nvsp_request(port, &msg, NVSP_TYPE_RECV_BUF_COMPLETE);
	if (rc != 0)
		return rc;
	port->session.recv_connected = rq->answer.recv_buf_complete.status == NVSP_STATUS_SUCCESS;
	rc = nvsp_check_recv_buf_complete(&rq->answer, (uint32_t)bus->recv.len);
	if (rc != 0 && port->session.asked_mtu > NETVSC_DEFAULT_MTU)
		return -E2BIG;
	if (rc != 0) {
		if (!port->session.recv_connected && port->session.nvsp_version <= NVSP_VERSION_2 &&
			bus->recv.len > NVSP_MAX_RECV_BUF_LEGACY)
			NETVSC_LOG(ERR, port,
				"the host is too old: before NVSP 4 it takes no receive buffer "
				"of more than 15 MiB, and this one has %zu",
				bus->recv.len >> 20);
		else
			NETVSC_LOG(ERR, port,
				"the host refused the receive buffer or divided it badly");
		return rc;
	}
	port->session.recv_section = rq->answer.recv_buf_complete.sub_alloc_size;
	port->session.recv_count = rq->answer.recv_buf_complete.count;

	nvsp_build_send_send_buf(&msg, bus->send.gpadl, NVSP_SEND_BUF_ID);
	rc = netvsc_nvsp_request(port, &msg, NVSP_TYPE_SEND_BUF_COMPLETE);
	if (rc != 0)
		return rc;
	/* Only what was connected may be revoked; without sections all goes by reference (T21). */
	port->session.send_connected = rq->answer.send_buf_complete.status == NVSP_STATUS_SUCCESS;
	sections = 0;
	rc = nvsp_check_send_buf_complete(&rq->answer, (uint32_t)bus->send.len, &sections);
	if (rc != 0)
		NETVSC_LOG(NOTICE, port, "no send buffer: everything is sent by reference");
	port->session.send_section = rc == 0 ? rq->answer.send_buf_complete.section_size : 0;
	port->session.send_count = rc == 0 ? sections : 0;
	return 0;
}

int
netvsc_nvsp_subchannels(struct netvsc_port *port, unsigned int want, unsigned int *granted)
{
	struct netvsc_request *rq = &port->request;
	struct nvsp_message msg;
	int rc;

	*granted = 0;
	nvsp_build_subchannel(&msg, want);
	rc = netvsc_nvsp_request(port, &msg, NVSP_TYPE_SUBCHANNEL);
	if (rc != 0)
		return rc;
	if (rq->answer.subchannel_complete.status != NVSP_STATUS_SUCCESS)
		return 0;
	if (rq->answer.subchannel_complete.granted > want) {
		NETVSC_LOG(ERR, port, "asked for %u subchannels, the host granted %u", want,
			rq->answer.subchannel_complete.granted);
		return -EPROTO;
	}
	*granted = rq->answer.subchannel_complete.granted;
	return 0;
}

int
netvsc_nvsp_revoke(struct netvsc_port *port)
{
	struct nvsp_message msg;
	int rc = 0;

	if (port->session.recv_connected) {
		nvsp_build_revoke(&msg, NVSP_TYPE_REVOKE_RECV_BUF, NVSP_RECV_BUF_ID);
		rc = netvsc_nvsp_post(port, &msg);
	}
	if (rc == 0 && port->session.send_connected) {
		nvsp_build_revoke(&msg, NVSP_TYPE_REVOKE_SEND_BUF, NVSP_SEND_BUF_ID);
		rc = netvsc_nvsp_post(port, &msg);
	}
	port->session.recv_connected = port->session.send_connected = false;
	return rc;
}

int
netvsc_nvsp_switch(struct netvsc_port *port, bool to_vf)
{
	struct netvsc_channel *ch = port->channels[0];
	struct nvsp_message msg;

	/* Whatever answers come from here on, they are not to a request before. */
	if (!netvsc_channel_lock(ch, &ch->rx_lock))
		return -ENOTCONN;
	atomic_store(&port->vf->switch_tid, 0);
	netvsc_vf_unanswered(port);
	rte_spinlock_unlock(&ch->rx_lock);
	nvsp_build_switch_data_path(&msg, to_vf ? NVSP_DATA_PATH_VF : NVSP_DATA_PATH_SYNTHETIC);
	return netvsc_nvsp_post_awaited(port, &msg, &port->vf->switch_tid);
}
