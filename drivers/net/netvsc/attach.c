/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ladder up and down: NVSP and RNDIS bring-up (spec/nvsp.md §4, spec/rndis.md §8) and teardown
 * (spec/nvsp.md §10). Control side only; control_lock is held.
 * The queues are quiet: no channel is NETVSC_CHANNEL_RUNNING (channel.h).
 */
#include <errno.h>
#include <string.h>

#include "drivers/net/netvsc/attach.h"
#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/control.h"
#include "drivers/net/netvsc/offload.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/tx.h"
#include "drivers/net/netvsc/tx_header.h"

/* Fewer are all left to frames and what must be said. */
#define FEW_SECTIONS 8u

int
netvsc_set_filter(struct netvsc_port *port, uint32_t filter)
{
	int rc = netvsc_set(port, OID_GEN_CURRENT_PACKET_FILTER, &filter, sizeof(filter));

	if (rc == 0)
		port->session.filter = filter;
	return rc;
}

int
netvsc_query_link(struct netvsc_port *port)
{
	uint32_t value = 0, got = 0;
	int rc;

	rc = netvsc_query(port, OID_GEN_MEDIA_CONNECT_STATUS, NULL, 0, &value, sizeof(value), &got);
	if (rc == 0 && got == sizeof(value))
		atomic_store(&port->link.up, value == RNDIS_MEDIA_CONNECTED);
	else if (rc == -ENOTSUP)
		atomic_store(&port->link.up, 1);
	else if (rc != 0)
		return rc;
	rc = netvsc_query(port, OID_GEN_LINK_SPEED, NULL, 0, &value, sizeof(value), &got);
	if (rc == 0 && got == sizeof(value))
		atomic_store(&port->link.speed, value);
	return rc == -ENOTSUP ? 0 : rc;
}

int
netvsc_set_mac(struct netvsc_port *port, const struct rte_ether_addr *mac)
{
	uint8_t info[128];
	int rc;

	if (rte_is_same_ether_addr(mac, &port->session.mac))
		return 0;
	rc = ndis_build_config_mac(info, sizeof(info), mac->addr_bytes);
	if (rc > 0)
		rc = netvsc_set(port, OID_GEN_RNDIS_CONFIG_PARAMETER, info, (uint32_t)rc);
	if (rc == 0)
		port->session.mac = *mac;
	return rc;
}

int
netvsc_own_mac(struct netvsc_port *port)
{
	if (hpbus_op_given_up())
		return -ECANCELED;
	port->data->mac_addrs[0] = port->session.mac;
	return 0;
}

/* The address that the application has set, if this host allows it, too. */
static int
attach_user_mac(struct netvsc_port *port)
{
	int rc;

	if (!port->config.mac_user)
		return 0;
	rc = netvsc_set_mac(port, &port->config.mac);
	if (rc != -EIO && rc != -ENOTSUP)
		return rc;
	rc = netvsc_own_mac(port);
	if (rc != 0)
		return rc;
	NETVSC_LOG(WARNING, port,
		"the host does not take the MAC address that was set (" RTE_ETHER_ADDR_PRT_FMT
		") again: the port has its own; does the virtual switch allow MAC spoofing?",
		RTE_ETHER_ADDR_BYTES(&port->config.mac));
	port->config.mac_user = false;
	return 0;
}

static int
attach_mac(struct netvsc_port *port)
{
	struct rte_ether_addr mac;
	uint32_t got = 0;
	int rc;

	rc = netvsc_query(port, OID_802_3_PERMANENT_ADDRESS, NULL, 0, &mac, sizeof(mac), &got);
	if (rc == 0 && (got != sizeof(mac) || !rte_is_valid_assigned_ether_addr(&mac)))
		rc = -EPROTO;
	if (rc != 0)
		NETVSC_LOG(ERR, port, "the host gave no usable MAC address");
	else
		port->session.mac = mac;
	return rc;
}

/*
 * The largest MTU of which every frame can be sent: in pages where the host can read ours, else in
 * a section of the send buffer.
 */
static uint32_t
attach_sendable_mtu(const struct netvsc_port *port)
{
	const uint32_t around = NETVSC_HEADER_MAX + RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN;
	uint32_t room = port->session.max_transfer;

	if (!port->control_usable)
		room = RTE_MIN(room, port->session.send_section);
	return room > around ? netvsc_session_mtu(room - around) : NETVSC_DEFAULT_MTU;
}

void
netvsc_refuse_mtu(const struct netvsc_port *port, uint32_t mtu, uint32_t most)
{
	/* The host may allow more, but a message lies in one section (spec/nvsp.md §7). */
	if (port->session.attached && !port->control_usable && most == attach_sendable_mtu(port))
		NETVSC_LOG(ERR, port,
			"MTU %u: the host cannot read DPDK's memory, and frames that are copied must "
			"fit a section of the send buffer (%u bytes): at most %u",
			mtu, port->session.send_section, most);
	else
		NETVSC_LOG(ERR, port, "MTU %u: the host allows %u", mtu, most);
}

/*
 * What became of the MTU that we asked for: a host that does not allow it has another one, silently
 * (spec/nvsp.md §3).
 */
static int
attach_mtu(struct netvsc_port *port)
{
	struct netvsc_session *s = &port->session;
	uint32_t frame = 0, got = 0;
	int rc;

	rc = netvsc_query(port, OID_GEN_MAXIMUM_FRAME_SIZE, NULL, 0, &frame, sizeof(frame), &got);
	if (rc == 0 && got == sizeof(frame) && frame >= RTE_ETHER_MIN_MTU)
		s->host_mtu = RTE_MIN(frame, s->asked_mtu);
	/* Where the host does not say, nobody knows that more than usual passes. */
	s->mtu = RTE_MIN(
		s->host_mtu != 0 ? s->host_mtu : NETVSC_DEFAULT_MTU, attach_sendable_mtu(port));
	/* A host may have no answer, but it must give it. */
	return rc == -ENOTSUP || rc == -EIO || rc == -ENODATA ? 0 : rc;
}

int
netvsc_attach_subchannels(struct netvsc_port *port, unsigned int channels)
{
	unsigned int i, granted = 0;
	int rc;

	port->session.subchannels_asked = true;
	rc = netvsc_nvsp_subchannels(port, channels - 1, &granted);
	if (rc != 0)
		return rc;
	for (i = 1; i <= granted; i++) {
		rc = netvsc_channel_open(port, i);
		if (rc != 0) {
			NETVSC_LOG(ERR, port, "cannot open subchannel %u: %s", i, strerror(-rc));
			return rc;
		}
		port->session.n_channels++;
	}
	return 0;
}

const struct netvsc_session netvsc_session_none = {
	.max_queues = 1,
	.control_section = NETVSC_SECTION_NONE,
};

static void
attach_forget(struct netvsc_port *port)
{
	port->session = netvsc_session_none;
	memset(&port->request, 0, sizeof(port->request));
	netvsc_send_table_forget(port);
	netvsc_host_stats_forget(port);
}

/* What applications are told from now on. */
static void
attach_tell(struct netvsc_port *port)
{
	const struct netvsc_session *s = &port->session;
	uint32_t mtu = port->limits.mtu;

	/*
	 * A session that asked for less says nothing of what there is, nor does a host that has its
	 * usual MTU instead of one that it had before: it may have that again.
	 */
	if (s->mtu > mtu ||
		(s->mtu < s->asked_mtu && s->asked_mtu <= mtu && s->host_mtu > NETVSC_DEFAULT_MTU))
		mtu = s->mtu;
	port->limits = (struct netvsc_limits){
		.nvsp_version = s->nvsp_version,
		.mtu = mtu,
		.max_queues = s->max_queues,
		.reta_size = s->reta_size,
		.rss_caps = s->rss_caps,
		.offloads = s->offloads,
	};
}

/* Steps that need answers; the primary channel is open. */
static int
attach_ladder(struct netvsc_port *port, unsigned int channels)
{
	int rc;

	rc = netvsc_nvsp_init(port);
	if (rc == 0)
		rc = netvsc_nvsp_configure(port);
	if (rc == 0)
		rc = netvsc_nvsp_buffers(port);
	if (rc == 0)
		rc = netvsc_rx_pool_init(
			&port->done_pool, port->session.recv_count, port->bus->device.numa_node);
	if (rc != 0)
		return rc;
	/* The last section is kept for control messages where pages cannot be named. */
	if (!port->control_usable && port->session.send_count > 1)
		port->session.control_section = --port->session.send_count;
	if (!port->control_usable && port->session.send_count > FEW_SECTIONS)
		port->host_stats.section = --port->session.send_count;
	rc = netvsc_rndis_init(port);
	if (rc == 0)
		rc = netvsc_set_filter(port, 0); /* some hosts start with a stale one */
	if (rc == 0)
		rc = attach_mac(port);
	if (rc == 0)
		rc = attach_user_mac(port);
	if (rc == 0)
		rc = attach_mtu(port);
	if (rc != 0)
		return rc;
	rc = netvsc_offload_attach(port);
	if (rc != 0)
		return rc;
	rc = netvsc_query_link(port);
	if (rc != 0 && rc != -EIO)
		return rc;
	rc = netvsc_rss_query(port);
	if (rc != 0)
		return rc;
	port->session.n_channels = 1;
	return channels > 1 ? netvsc_attach_subchannels(port, channels) : 0;
}

int
netvsc_port_away(struct netvsc_port *port)
{
	if (netvsc_port_may_recover(port)) {
		NETVSC_LOG(ERR, port,
			"the device is away; the port recovers by itself when it comes back");
		return -EAGAIN;
	}
	NETVSC_LOG(ERR, port, "the device is gone; close the port and detach it");
	return -ENODEV;
}

int
netvsc_attach(struct netvsc_port *port, unsigned int channels, uint32_t mtu)
{
	int rc;

	if (atomic_load(&port->bus->gone))
		return netvsc_port_away(port);
	atomic_fetch_and(&port->state, ~NETVSC_STATE_BROKEN);
	attach_forget(port);
	netvsc_rx_pool_free(&port->done_pool);
	port->session.asked_mtu = mtu;
	rc = netvsc_channel_open(port, 0);
	if (rc != 0) {
		NETVSC_LOG(ERR, port, "cannot open the primary channel: %s", strerror(-rc));
		attach_forget(port);
		return rc;
	}
	rc = attach_ladder(port, channels);
	port->session.attached = true;
	netvsc_flight_note(&port->flight, NETVSC_FLIGHT_STATE, 0, rc, "attached");
	if (rc == 0) {
		attach_tell(port);
		netvsc_vf_session_begins(port);
		return 0;
	}
	if (rc != -E2BIG && rc != -ECANCELED)
		NETVSC_LOG(ERR, port, "bring-up failed: %s", strerror(-rc));
	netvsc_detach(port, true);
	return rc;
}

int
netvsc_fence(struct netvsc_port *port)
{
	int rc = 0;

	if (!atomic_load(&port->bus->gone)) {
		rc = netvsc_rx_lender_fence(port);
		/* What is left mapped may keep the channel open: no reset is a fence any more. */
		if (rc == 0)
			rc = port->bus->backend->reset(port->bus);
		else if (rc != -EBUSY)
			atomic_store(&port->bus->gone, true);
	} else if (port->unfenced) {
		rc = -ENODEV; /* cut off, and nobody knows whether it has let go */
	}
	port->unfenced = rc != 0;
	netvsc_flight_note(&port->flight, NETVSC_FLIGHT_FENCE, 0, rc, NULL);
	if (rc != 0)
		NETVSC_LOG(ERR, port,
			"the reset failed (%s): frames in flight stay with the driver; close the "
			"port",
			strerror(-rc));
	return rc;
}

/* Politeness that ends with the time for it; the fence does what is needed. */
static void
detach_politely(struct netvsc_port *port)
{
	bool talk = !atomic_load(&port->bus->gone) &&
		    !(atomic_load(&port->state) & NETVSC_STATE_BROKEN);
	struct hpbus_op op;

	hpbus_op_begin(&op, &netvsc_op_farewell);
	netvsc_vf_session_ends(port, talk);
	if (talk && port->session.filter != 0)
		talk = !hpbus_op_spent() && netvsc_set_filter(port, 0) == 0;
	if (talk)
		talk = !hpbus_op_spent() && netvsc_rndis_halt(port) == 0;
	if (talk && !hpbus_op_spent())
		netvsc_nvsp_revoke(port);
	hpbus_op_end(&op);
}

int
netvsc_detach(struct netvsc_port *port, bool reset)
{
	bool closed = true;
	unsigned int i;
	int rc = 0;

	if (!port->session.attached)
		return 0;
	detach_politely(port);
	for (i = HPBUS_MAX_CHANNELS; i > 0; i--)
		closed &= netvsc_channel_close(port->channels[i - 1]);
	/* Somebody is inside: what he may touch is neither taken from him nor given to others. */
	if (!closed)
		return -EBUSY;
	/*
	 * The fence: behind it the host touches no memory of ours (spec/nvsp.md §10). A host that
	 * does not answer even this one is cut off, and the port is gone.
	 */
	if (reset)
		rc = netvsc_fence(port);
	netvsc_flight_note(&port->flight, NETVSC_FLIGHT_STATE, 0, rc, "detached");
	attach_forget(port);
	return rc;
}
