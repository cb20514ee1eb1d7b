/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests of control operations (operations.c) to the host. One is outstanding at a time
 * (spec/nvsp.md §2): there is one operation at a time. A waiter drives the dispatcher itself unless
 * an lcore does, so that everything else on the channel goes on (pitfall N3), and every wait ends:
 * by the answer, with the operation that the request belongs to (op.h), or because the device went
 * away.
 */
#include <errno.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_malloc.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/control.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/wire.h"

#define PROGRESS_MS 5000
/* How long the completion of a request may come after an answer that made no sense. */
#define GRACE_MS 100
/* A request waits so long for the answer to a switch of the data path. */
#define AFTER_SWITCH_MS 10000

/* ---- waiting ---- */

static int
control_alive(const struct netvsc_port *port)
{
	if (hpbus_op_given_up())
		return -ECANCELED;
	/* It may come back: then the application can try again. */
	if (atomic_load(&port->bus->gone))
		return netvsc_port_may_recover(port) ? -EAGAIN : -ENODEV;
	/* Not -EIO: that is what a host that refuses something gets. */
	if (atomic_load(&port->state) & NETVSC_STATE_BROKEN)
		return -ENOTCONN;
	return 0;
}

void
netvsc_control_scan(struct netvsc_port *port)
{
	struct netvsc_channel *ch = port->channels[0];

	if (netvsc_channel_is_polled(ch) || !netvsc_trylock(&ch->rx_lock))
		return;
	if (netvsc_channel_is_open(ch))
		netvsc_rx_scan(ch);
	rte_spinlock_unlock(&ch->rx_lock);
}

struct control_clock {
	int64_t began, until;
	bool told, bad;
	unsigned int spins;
};

static struct control_clock
control_clock(void)
{
	return (struct control_clock){.began = hpbus_now_ms(), .until = hpbus_op_talk_until()};
}

/* Between two looks. @return 0, -ETIMEDOUT or why there is nothing to wait for any more. */
static int
control_pause(struct netvsc_port *port, struct control_clock *clock, const char *what)
{
	const struct hpbus_op *op = hpbus_op_current();
	int64_t now = hpbus_now_ms();
	int rc = control_alive(port);

	if (rc != 0)
		return rc;
	if (now >= clock->until) {
		if (!clock->bad)
			NETVSC_LOG(ERR, port, "no answer to %s: the host is silent, and %s ends",
				what, op != NULL ? op->kind->name : "the operation");
		return -ETIMEDOUT;
	}
	if (clock->spins++ < 1000) {
		rte_pause();
		return 0;
	}
	if (now - clock->began > PROGRESS_MS && !clock->told) {
		clock->told = true;
		NETVSC_LOG(NOTICE, port, "still waiting for the host to answer %s", what);
	}
	hpbus_signal_again(port->bus);
	rte_delay_us_sleep(50);
	return 0;
}

static int
control_wait(struct netvsc_port *port, _Atomic uint32_t *answered, const char *what)
{
	struct control_clock clock = control_clock();
	int rc;

	for (;;) {
		netvsc_control_scan(port);
		if (atomic_load_explicit(answered, memory_order_acquire))
			return 0;
		/* Nothing will come of this request; only its memory should come back. */
		if (!clock.bad && atomic_load_explicit(&port->request.rndis_answered,
					  memory_order_acquire) == NETVSC_ANSWER_BAD) {
			clock.bad = true;
			clock.until = RTE_MIN(clock.until, hpbus_now_ms() + GRACE_MS);
		}
		rc = control_pause(port, &clock, what);
		if (rc != 0)
			return rc;
	}
}

/*
 * Put one packet into the primary channel's ring. With the lock there are a copy and a store to do;
 * a burst that finds it taken does not wait for us. @return -EAGAIN: there is no room just now
 */
static int
control_write_now(struct netvsc_port *port, const void *pkt, uint32_t len)
{
	struct netvsc_channel *ch = port->channels[0];
	bool signal;
	int rc;

	if (!netvsc_channel_lock(ch, &ch->tx_lock))
		return -ENOTCONN;
	rc = netvsc_channel_is_open(ch) ? vmbus_ring_write(&ch->out, pkt, len, 0) : -ENOTCONN;
	if (rc == 0 && ch->wire != NULL)
		netvsc_wire_sent(ch, pkt, len);
	signal = rc == 0 && vmbus_ring_writer_publish(&ch->out);
	rte_spinlock_unlock(&ch->tx_lock);
	if (signal)
		hpbus_channel_signal(netvsc_bus_of(port), &ch->bus);
	return rc;
}

/* The same, waiting for room without the lock. */
static int
control_write(struct netvsc_port *port, const void *pkt, uint32_t len, const char *what)
{
	struct control_clock clock = control_clock();
	int rc;

	for (;;) {
		/* Who gave it up may not wait any more: nothing of ethdev's is there then. */
		if (hpbus_op_given_up())
			return -ECANCELED;
		rc = control_write_now(port, pkt, len);
		if (rc != -EAGAIN)
			return rc;
		netvsc_control_scan(port);
		rc = control_pause(port, &clock, what);
		if (rc != 0)
			return rc;
	}
}

/* ---- NVSP ---- */

struct control_packet {
	struct vmbus_packet pkt;
	struct nvsp_message msg;
};

int
netvsc_nvsp_post(struct netvsc_port *port, const struct nvsp_message *msg)
{
	struct control_packet p = {.msg = *msg};

	vmbus_packet_init(
		&p.pkt, VMBUS_PACKET_INBAND, sizeof(p.pkt), sizeof(p), 0, VMBUS_NO_TRANS_ID);
	netvsc_flight_nvsp(&port->flight, NETVSC_FLIGHT_SENT, msg);
	return control_write(port, &p, sizeof(p), nvsp_type_name(msg->type));
}

/*
 * What the dispatcher compares with, 0 for nothing. Under its lock: an answer that it has at hand
 * is written before, and belongs to the request that it was compared with.
 */
static void
control_await(struct netvsc_port *port, uint64_t trans_id, uint32_t rndis_id)
{
	struct netvsc_channel *ch = port->channels[0];
	struct netvsc_request *rq = &port->request;

	/* Stuck: nothing is sent, so that nothing is compared. */
	if (!netvsc_channel_lock(ch, &ch->rx_lock))
		return;
	rq->answer_len = 0;
	atomic_store(&rq->answered, 0);
	atomic_store(&rq->rndis_answered, NETVSC_ANSWER_NONE);
	atomic_store(&rq->trans_id, trans_id);
	atomic_store(&rq->rndis_id, rndis_id);
	rte_spinlock_unlock(&ch->rx_lock);
}

uint64_t
netvsc_control_next_tid(struct netvsc_port *port)
{
	return NETVSC_TID_CONTROL | ++port->next_trans_id;
}

int
netvsc_nvsp_post_awaited(
	struct netvsc_port *port, const struct nvsp_message *msg, _Atomic uint64_t *awaited)
{
	struct control_packet p = {.msg = *msg};
	uint64_t tid = netvsc_control_next_tid(port);
	int rc = control_alive(port);

	if (rc != 0)
		return rc;
	atomic_store(awaited, tid);
	vmbus_packet_init(
		&p.pkt, VMBUS_PACKET_INBAND, sizeof(p.pkt), sizeof(p), VMBUS_FLAG_COMPLETION, tid);
	rc = control_write_now(port, &p, sizeof(p));
	if (rc != 0)
		atomic_store(awaited, 0);
	else
		netvsc_flight_nvsp(&port->flight, NETVSC_FLIGHT_SENT, msg);
	return rc;
}

/*
 * Only one request of those that NVSP answers may be outstanding (spec/nvsp.md §2), and one to
 * switch the data path is not waited for by who sent it. A host that does not answer it does not
 * answer others either.
 */
static void
control_after_switch(struct netvsc_port *port)
{
	struct control_clock clock = control_clock();

	while (netvsc_vf_switching(port)) {
		netvsc_control_scan(port);
		if (hpbus_now_ms() - clock.began > AFTER_SWITCH_MS ||
			control_pause(port, &clock, nvsp_type_name(NVSP_TYPE_SWITCH_DATA_PATH)) !=
				0)
			return;
	}
}

/* A request that got no answer leaves memory with the host: only a reset can go on (N8). */
static int
control_stuck(struct netvsc_port *port, int rc, const char *what)
{
	control_await(port, 0, 0);
	netvsc_flight_note(&port->flight, NETVSC_FLIGHT_UNANSWERED, 0, rc, what);
	if (rc != -ETIMEDOUT)
		return rc;
	if (hpbus_op_down())
		atomic_fetch_or(&port->state, NETVSC_STATE_BROKEN); /* a fence follows anyway */
	else
		netvsc_port_broken(port, "a control request was never answered");
	return rc;
}

int
netvsc_nvsp_request(struct netvsc_port *port, const struct nvsp_message *msg, uint32_t expect)
{
	struct control_packet p = {.msg = *msg};
	struct netvsc_request *rq = &port->request;
	const char *what = nvsp_type_name(msg->type);
	uint64_t tid = netvsc_control_next_tid(port);
	int rc;

	control_after_switch(port);
	control_await(port, tid, 0);
	netvsc_flight_nvsp(&port->flight, NETVSC_FLIGHT_SENT, msg);
	vmbus_packet_init(
		&p.pkt, VMBUS_PACKET_INBAND, sizeof(p.pkt), sizeof(p), VMBUS_FLAG_COMPLETION, tid);
	rc = control_write(port, &p, sizeof(p), what);
	if (rc == 0)
		rc = control_wait(port, &rq->answered, what);
	if (rc != 0)
		return control_stuck(port, rc, what);
	netvsc_flight_nvsp(&port->flight, NETVSC_FLIGHT_RECEIVED, &rq->answer);
	if (rq->answer_len < nvsp_min_len(expect) || rq->answer.type != expect) {
		NETVSC_LOG(ERR, port, "the host answered %s with %s of %u bytes", what,
			nvsp_type_name(rq->answer.type), rq->answer_len);
		return -EPROTO;
	}
	return 0;
}

/* ---- RNDIS ---- */

int
netvsc_rndis_packet(const struct netvsc_port *port, uint8_t pkt[NETVSC_RNDIS_PACKET_MAX],
	uint32_t at, uint32_t section, uint32_t len, uint64_t tid)
{
	struct {
		struct vmbus_packet pkt;
		struct vmbus_gpa_header gpa;
		struct vmbus_gpa_range range;
		uint64_t pfn;
		struct nvsp_message msg;
	} p = {0};
	struct control_packet s = {0};

	static_assert(sizeof(p) <= NETVSC_RNDIS_PACKET_MAX, "the longer one fits");
	if (port->control_usable) {
		vmbus_packet_init(&p.pkt, VMBUS_PACKET_GPA_DIRECT,
			(uint32_t)((uint8_t *)&p.msg - (uint8_t *)&p), sizeof(p),
			VMBUS_FLAG_COMPLETION, tid);
		p.gpa.range_count = 1;
		p.range.byte_count = len;
		p.pfn = (port->control_zone->iova + at) / VMBUS_PAGE_SIZE;
		nvsp_build_rndis(&p.msg, NVSP_CHANNEL_CONTROL, NVSP_SECTION_NONE, 0);
		memcpy(pkt, &p, sizeof(p));
		return sizeof(p);
	}
	if (section == NETVSC_SECTION_NONE || len > port->session.send_section)
		return -EOPNOTSUPP;
	memcpy(port->bus->send.base + (size_t)section * port->session.send_section,
		(const uint8_t *)port->control_zone->addr + at, len);
	vmbus_packet_init(
		&s.pkt, VMBUS_PACKET_INBAND, sizeof(s.pkt), sizeof(s), VMBUS_FLAG_COMPLETION, tid);
	nvsp_build_rndis(&s.msg, NVSP_CHANNEL_CONTROL, section, len);
	memcpy(pkt, &s, sizeof(s));
	return sizeof(s);
}

/*
 * Send the message that stands in the control page and wait until the host is done with it; its
 * answer is looked for under @answer_id, 0 if there will be none.
 */
static int
rndis_send(struct netvsc_port *port, uint32_t len, uint32_t answer_id, const char *what)
{
	uint8_t pkt[NETVSC_RNDIS_PACKET_MAX] __rte_aligned(8);
	struct netvsc_request *rq = &port->request;
	uint64_t tid = netvsc_control_next_tid(port);
	int rc;

	control_await(port, tid, answer_id);
	rc = netvsc_rndis_packet(port, pkt, 0, port->session.control_section, len, tid);
	if (rc > 0)
		rc = control_write(port, pkt, (uint32_t)rc, what);
	else
		NETVSC_LOG(ERR, port,
			"no way to send %s: DPDK's memory is not shared with the "
			"host and the host gave no send buffer",
			what);
	if (rc == 0)
		rc = control_wait(port, &rq->answered, what);
	if (rc != 0) {
		bool bad =
			rc == -ETIMEDOUT && atomic_load(&rq->rndis_answered) == NETVSC_ANSWER_BAD;

		control_stuck(port, rc, what);
		return bad ? -EPROTO : rc;
	}
	if (rq->answer_len < nvsp_min_len(NVSP_TYPE_RNDIS_COMPLETE) ||
		rq->answer.type != NVSP_TYPE_RNDIS_COMPLETE) {
		NETVSC_LOG(ERR, port, "the host completed %s with %s of %u bytes", what,
			nvsp_type_name(rq->answer.type), rq->answer_len);
		return -EPROTO;
	}
	if (nvsp_parse_rndis_complete(&rq->answer, rq->answer_len) != 0) {
		NETVSC_LOG(ERR, port, "the host refused %s", what);
		return -EIO;
	}
	return 0;
}

/* Send the request in the control page, wait for its completion, parse it. @param oid 0: none */
static int
rndis_request(struct netvsc_port *port, int len, uint32_t type, uint32_t oid,
	struct rndis_completion *done)
{
	struct netvsc_request *rq = &port->request;
	const char *what = rndis_type_name(type);
	int rc;

	if (len < 0)
		return len;
	rq->rndis_type = type | RNDIS_TYPE_COMPLETION;
	netvsc_flight_note(&port->flight, NETVSC_FLIGHT_RNDIS_SENT, type, oid, NULL);
	rc = rndis_send(port, (uint32_t)len, port->next_rndis_id, what);
	if (rc == 0) {
		rc = control_wait(port, &rq->rndis_answered, what);
		if (rc != 0)
			control_stuck(port, rc, what);
	}
	atomic_store(&rq->rndis_id, 0);
	if (rc == 0 && (atomic_load(&rq->rndis_answered) != NETVSC_ANSWER_HERE ||
			       rndis_parse_completion(rq->reply, rq->reply_len, done) != 0))
		rc = -EPROTO;
	if (rc == 0)
		netvsc_flight_note(&port->flight, NETVSC_FLIGHT_RNDIS_RECEIVED, done->type,
			done->status, NULL);
	if (rc == -EPROTO)
		NETVSC_LOG(ERR, port, "the host's answer to %s makes no sense", what);
	return rc;
}

uint32_t
netvsc_rndis_next_id(struct netvsc_port *port)
{
	if (++port->next_rndis_id == 0)
		port->next_rndis_id = 1;
	return port->next_rndis_id;
}

int
netvsc_rndis_init(struct netvsc_port *port)
{
	struct rndis_completion done;
	int rc;

	rc = rndis_build_initialize(port->control_zone->addr, RNDIS_MAX_REQUEST,
		netvsc_rndis_next_id(port), NETVSC_MAX_TRANSFER);
	rc = rndis_request(port, rc, RNDIS_TYPE_INITIALIZE, 0, &done);
	if (rc != 0)
		return rc;
	if (done.status != RNDIS_STATUS_SUCCESS) {
		NETVSC_LOG(ERR, port, "RNDIS INITIALIZE failed with status %#x", done.status);
		return -EIO;
	}
	/* A slot counts the frames of a send in a byte. */
	port->session.max_messages = RTE_MIN(done.max_packets, (uint32_t)UINT8_MAX);
	port->session.max_transfer = done.max_transfer_size;
	port->session.alignment = done.alignment;
	return 0;
}

int
netvsc_rndis_halt(struct netvsc_port *port)
{
	int len = rndis_build_short(port->control_zone->addr, RNDIS_MAX_REQUEST, RNDIS_TYPE_HALT,
		netvsc_rndis_next_id(port));

	netvsc_flight_note(&port->flight, NETVSC_FLIGHT_RNDIS_SENT, RNDIS_TYPE_HALT, 0, NULL);
	/* Answered only by its send completion. */
	return len < 0 ? len : rndis_send(port, (uint32_t)len, 0, rndis_type_name(RNDIS_TYPE_HALT));
}

int
netvsc_query(struct netvsc_port *port, uint32_t oid, const void *in, uint32_t in_len, void *out,
	uint32_t out_len, uint32_t *got)
{
	struct rndis_completion done;
	int rc;

	rc = rndis_build_query(port->control_zone->addr, RNDIS_MAX_REQUEST,
		netvsc_rndis_next_id(port), oid, in, in_len);
	rc = rndis_request(port, rc, RNDIS_TYPE_QUERY, oid, &done);
	if (rc == 0 && done.status != RNDIS_STATUS_SUCCESS) {
		NETVSC_LOG(DEBUG, port, "query of OID %#x: status %#x", oid, done.status);
		rc = done.status == RNDIS_STATUS_NOT_SUPPORTED ? -ENOTSUP : -EIO;
	}
	/* An empty answer is an error, not a success with nothing set (pitfall N7). */
	if (rc == 0 && done.info_length == 0)
		rc = -ENODATA;
	if (rc == 0) {
		*got = RTE_MIN(done.info_length, out_len);
		memcpy(out, port->request.reply + done.info_abs, *got);
	}
	return rc;
}

int
netvsc_set(struct netvsc_port *port, uint32_t oid, const void *in, uint32_t in_len)
{
	struct rndis_completion done;
	int rc;

	rc = rndis_build_set(port->control_zone->addr, RNDIS_MAX_REQUEST,
		netvsc_rndis_next_id(port), oid, in, in_len);
	rc = rndis_request(port, rc, RNDIS_TYPE_SET, oid, &done);
	if (rc == 0 && done.status != RNDIS_STATUS_SUCCESS) {
		NETVSC_LOG(DEBUG, port, "set of OID %#x: status %#x", oid, done.status);
		rc = done.status == RNDIS_STATUS_NOT_SUPPORTED ? -ENOTSUP : -EIO;
	}
	return rc;
}
