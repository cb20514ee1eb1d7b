/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the host says on the control path: answers, which end the request that waits for them, and
 * notices, of which only a note is taken. Called by the dispatcher (rx_ring.c) on whatever thread
 * that runs, with rx_lock of channel 0 held.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/control.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/wire.h"

void
netvsc_control_completion(
	struct netvsc_port *port, uint64_t trans_id, const void *payload, uint32_t len)
{
	struct netvsc_request *rq = &port->request;

	/* Its completion is empty: there is nothing in it to look at (pitfall T9). */
	if (port->vf_shared.asked && trans_id == atomic_load(&port->vf_shared.switch_tid)) {
		atomic_store(&port->vf_shared.switch_tid, 0);
		netvsc_vf_event(port, NETVSC_VF_HOST_ANSWERED, 0);
		return;
	}
	if (trans_id != atomic_load_explicit(&rq->trans_id, memory_order_acquire)) {
		if (netvsc_host_stats_completion(port, trans_id, payload, len))
			return;
		port->channels[0]->stats.tx_bad_completions++;
		return;
	}
	atomic_store_explicit(&rq->trans_id, 0, memory_order_relaxed);
	memset(&rq->answer, 0, sizeof(rq->answer));
	rq->answer_len = RTE_MIN(len, (uint32_t)sizeof(rq->answer));
	memcpy(&rq->answer, payload, rq->answer_len);
	atomic_store_explicit(&rq->answered, 1, memory_order_release);
}

/*
 * An empty completion, as a host may ask for; none waits for it (spec/nvsp.md §9), so that nothing
 * is done about a ring that is full.
 */
static void
control_complete(struct netvsc_channel *ch, uint64_t trans_id)
{
	struct vmbus_packet pkt;
	bool signal, written;

	vmbus_packet_init(&pkt, VMBUS_PACKET_COMPLETION, sizeof(pkt), sizeof(pkt), 0, trans_id);
	if (!netvsc_channel_lock_soon(&ch->tx_lock))
		return;
	written = vmbus_ring_write(&ch->out, &pkt, sizeof(pkt), 0) == 0;
	if (written && ch->wire != NULL)
		netvsc_wire_sent(ch, &pkt, sizeof(pkt));
	signal = written && vmbus_ring_writer_publish(&ch->out);
	netvsc_channel_unlock(&ch->tx_lock);
	if (signal) {
		ch->stats.doorbells++;
		hpbus_channel_signal(netvsc_bus_of(ch->port), &ch->bus);
	}
}

/* Of VFs and the data path. @return whether it makes sense: from a host that was asked */
static bool
control_vf_notice(struct netvsc_port *port, const struct nvsp_message *msg)
{
	if (!port->vf_shared.asked || port->session.nvsp_version < NVSP_VERSION_5)
		return true; /* legal at any time, and nobody's business */
	if (msg->type == NVSP_TYPE_SWITCH_DATA_PATH) {
		if (msg->switch_data_path.path > NVSP_DATA_PATH_VF)
			return false;
		netvsc_vf_event(port, NETVSC_VF_HOST_PATH, msg->switch_data_path.path);
	} else if (msg->vf_association.allocated == 0) {
		netvsc_vf_event(port, NETVSC_VF_HOST_DISASSOCIATED, 0);
	} else {
		netvsc_vf_event(port, NETVSC_VF_HOST_ASSOCIATED, msg->vf_association.serial);
	}
	return true;
}

/* ---- the send indirection table ---- */

void
netvsc_send_table_forget(struct netvsc_port *port)
{
	unsigned int i;

	atomic_store(&port->send_table.tables, 0);
	for (i = 0; i < NVSP_SEND_TABLE_ENTRIES; i++)
		atomic_store(&port->send_table.channel[i], UINT32_MAX);
}

uint32_t
netvsc_send_table_read(const struct netvsc_port *port, uint32_t table[NVSP_SEND_TABLE_ENTRIES])
{
	const struct netvsc_send_table *has = &port->send_table;
	uint32_t tables = atomic_load(&has->tables);
	unsigned int i;

	for (i = 0; i < NVSP_SEND_TABLE_ENTRIES; i++)
		table[i] = tables != 0 ? atomic_load(&has->channel[i]) : UINT32_MAX;
	return tables;
}

unsigned int
netvsc_send_table_share(const uint32_t table[NVSP_SEND_TABLE_ENTRIES], uint32_t channel)
{
	unsigned int i, share = 0;

	for (i = 0; i < NVSP_SEND_TABLE_ENTRIES; i++)
		share += table[i] == channel;
	return share;
}

void
netvsc_send_table_text(
	const uint32_t table[NVSP_SEND_TABLE_ENTRIES], char text[NETVSC_SEND_TABLE_TEXT])
{
	unsigned int i, at = 0;

	if (netvsc_send_table_share(table, UINT32_MAX) == NVSP_SEND_TABLE_ENTRIES) {
		snprintf(text, NETVSC_SEND_TABLE_TEXT, "none");
		return;
	}
	for (i = 0; i < NVSP_SEND_TABLE_ENTRIES; i++) {
		const char *space = i == 0 ? "" : " ";
		char *to = text + at;
		size_t left = NETVSC_SEND_TABLE_TEXT - at;

		at += (unsigned int)(table[i] == UINT32_MAX
					     ? snprintf(to, left, "%s-", space)
					     : snprintf(to, left, "%s%" PRIu32, space, table[i]));
	}
}

/*
 * Advisory: the application chooses its transmit queue, and with it the channel. Of a channel that
 * is open as soon as the host says: the control side may not have counted it yet.
 */
static bool
control_send_table(struct netvsc_port *port, const void *payload, uint32_t len)
{
	struct netvsc_send_table *has = &port->send_table;
	uint32_t table[NVSP_SEND_TABLE_ENTRIES];
	unsigned int i;

	netvsc_send_table_read(port, table);
	if (nvsp_parse_send_table(
		    payload, len, port->session.nvsp_version, HPBUS_MAX_CHANNELS, table) < 0)
		return false;
	for (i = 0; i < NVSP_SEND_TABLE_ENTRIES; i++)
		atomic_store(&has->channel[i], table[i]);
	atomic_fetch_add(&has->tables, 1);
	return true;
}

void
netvsc_control_notice(
	struct netvsc_port *port, const struct vmbus_packet *pkt, const void *payload, uint32_t len)
{
	struct netvsc_channel *ch = port->channels[0];
	struct nvsp_message msg;
	bool known = nvsp_parse(payload, len, &msg) == 0;

	if (known)
		netvsc_flight_nvsp(&port->flight, NETVSC_FLIGHT_RECEIVED, &msg);
	if (known &&
		(msg.type == NVSP_TYPE_VF_ASSOCIATION || msg.type == NVSP_TYPE_SWITCH_DATA_PATH)) {
		known = control_vf_notice(port, &msg);
		if (pkt->flags & VMBUS_FLAG_COMPLETION)
			control_complete(ch, pkt->trans_id);
	} else if (known && msg.type == NVSP_TYPE_SEND_TABLE) {
		known = control_send_table(port, payload, len);
	} else if (known) {
		known = msg.type == NVSP_TYPE_UPLINK_STATE;
	}
	if (!known)
		ch->stats.rx_unknown_packets++;
}

static void
control_indication(struct netvsc_port *port, const void *msg, uint32_t len)
{
	struct rndis_indication ind;
	uint32_t speed;

	if (rndis_parse_indicate(msg, len, &ind) != 0) {
		port->channels[0]->stats.rx_control_malformed++;
		return;
	}
	netvsc_flight_note(&port->flight, NETVSC_FLIGHT_RNDIS_RECEIVED, RNDIS_TYPE_INDICATE_STATUS,
		ind.status, NULL);
	switch (ind.status) {
	case RNDIS_STATUS_MEDIA_CONNECT:
		atomic_store(&port->link.up, 1);
		break;
	case RNDIS_STATUS_MEDIA_DISCONNECT:
		atomic_store(&port->link.up, 0);
		break;
	case RNDIS_STATUS_LINK_SPEED_CHANGE:
		if (ind.buffer_length < sizeof(speed))
			return;
		memcpy(&speed, (const uint8_t *)msg + ind.buffer_abs, sizeof(speed));
		atomic_store(&port->link.speed, speed);
		break;
	case RNDIS_STATUS_NETWORK_CHANGE:
		netvsc_event(port, NETVSC_EVENT_FLAP);
		break;
	default:
		return;
	}
	/* Only noted here: the housekeeping alarm tells the application (pitfall N4). */
	netvsc_event(port, NETVSC_EVENT_LINK);
}

static bool
control_type(uint32_t type)
{
	switch (type & ~RNDIS_TYPE_COMPLETION) {
	case RNDIS_TYPE_INITIALIZE:
	case RNDIS_TYPE_QUERY:
	case RNDIS_TYPE_SET:
	case RNDIS_TYPE_RESET:
	case RNDIS_TYPE_KEEPALIVE:
		return true;
	default:
		return type == RNDIS_TYPE_HALT || type == RNDIS_TYPE_INDICATE_STATUS;
	}
}

void
netvsc_control_rndis(struct netvsc_port *port, const void *msg, uint32_t len)
{
	struct netvsc_request *rq = &port->request;
	struct rndis_short_complete head;
	struct rndis_completion done;
	bool good;

	/* What is no control message either was to be a frame. */
	if (len < sizeof(struct rndis_header) || !control_type(rndis_message_type(msg))) {
		port->channels[0]->stats.rx_malformed++;
		return;
	}
	if (rndis_message_type(msg) == RNDIS_TYPE_INDICATE_STATUS) {
		control_indication(port, msg, len);
		return;
	}
	if (netvsc_host_stats_answer(port, msg, len))
		return;
	memset(&head, 0, sizeof(head));
	memcpy(&head, msg, RTE_MIN((size_t)len, sizeof(head)));
	/* Match first, copy then (pitfall N9). */
	if (!(head.h.type & RNDIS_TYPE_COMPLETION) || head.h.type == RNDIS_TYPE_RESET_CMPLT ||
		head.request_id == 0 ||
		head.request_id != atomic_load_explicit(&rq->rndis_id, memory_order_acquire)) {
		port->channels[0]->stats.rx_control_malformed++;
		return;
	}
	/* It is the answer, and no other will come: what makes no sense ends the request, too. */
	good = rndis_parse_completion(msg, len, &done) == 0 && done.type == rq->rndis_type &&
	       len <= sizeof(rq->reply);
	atomic_store_explicit(&rq->rndis_id, 0, memory_order_relaxed);
	if (good) {
		rq->reply_len = len;
		memcpy(rq->reply, msg, len);
	} else {
		port->channels[0]->stats.rx_control_malformed++;
	}
	atomic_store_explicit(&rq->rndis_answered, good ? NETVSC_ANSWER_HERE : NETVSC_ANSWER_BAD,
		memory_order_release);
}
