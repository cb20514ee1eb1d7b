/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the host says on the control path: answers, which end the request that waits for them, and
 * notices, of which only a note is taken. Called by the dispatcher (rx_ring.c) on whatever thread
 * that runs, with rx_lock of channel 0 held.
 */
#include <string.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/control.h"
#include "drivers/net/netvsc/port.h"

void
netvsc_control_completion(
	struct netvsc_port *port, uint64_t trans_id, const void *payload, uint32_t len)
{
	struct netvsc_request *rq = &port->request;

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

void
netvsc_control_notice(struct netvsc_port *port, const void *payload, uint32_t len)
{
	struct nvsp_message msg;
	int rc = nvsp_parse(payload, len, &msg);

	if (rc == 0)
		netvsc_flight_nvsp(&port->flight, NETVSC_FLIGHT_RECEIVED, &msg);
	/*
	 * The send indirection table is advisory and the application chooses its transmit queue;
	 * VF association is not asked for. Both are legal at any time.
	 */
	if (rc != 0 ||
		(msg.type != NVSP_TYPE_SEND_TABLE && msg.type != NVSP_TYPE_VF_ASSOCIATION &&
			msg.type != NVSP_TYPE_SWITCH_DATA_PATH &&
			msg.type != NVSP_TYPE_UPLINK_STATE))
		port->channels[0]->stats.rx_unknown_packets++;
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
		atomic_fetch_or(&port->events, NETVSC_EVENT_FLAP);
		break;
	default:
		return;
	}
	/* Only noted here: the housekeeping alarm tells the application (pitfall N4). */
	atomic_fetch_or(&port->events, NETVSC_EVENT_LINK);
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
