/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests to the host and their answers. One request is outstanding at a time (spec/nvsp.md §2),
 * serialised by control_lock. A waiter drives the dispatcher itself, so that everything else on the
 * channel goes on (pitfall N3), and every wait ends: by the answer, with the operation that the
 * request belongs to (op.h), or because the device went away.
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

#define PROGRESS_MS 5000
/* How long the completion of a request may come after an answer that made no sense. */
#define GRACE_MS 100

const struct hpbus_op_kind netvsc_op_probe = {"probe", 120000, 1000, false};
/* Configure and start: all of bring-up when the number of channels changes, else a few requests. */
const struct hpbus_op_kind netvsc_op_bring_up = {"bring-up", 30000, 1000, false};
const struct hpbus_op_kind netvsc_op_setting = {"a setting", 20000, 0, false};
/* A little less than the 3 s and 5 s that are promised. */
const struct hpbus_op_kind netvsc_op_stop = {"stop", 2800, 800, true};
const struct hpbus_op_kind netvsc_op_close = {"close", 2800, 800, true};
const struct hpbus_op_kind netvsc_op_reset = {"reset", 4800, 800, false};
/* Inside of others: what is polite before a fence must leave them time for what comes behind it. */
const struct hpbus_op_kind netvsc_op_farewell = {"the farewell", 1000, 0, true};

/* ---- answers: called by the dispatcher, rx_lock of channel 0 held ---- */

void
netvsc_control_completion(
	struct netvsc_port *port, uint64_t trans_id, const void *payload, uint32_t len)
{
	struct netvsc_request *rq = &port->request;

	if (trans_id != atomic_load_explicit(&rq->trans_id, memory_order_acquire)) {
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

	/*
	 * The send indirection table is advisory and the application chooses its transmit queue;
	 * VF association is not asked for. Both are legal at any time.
	 */
	if (nvsp_parse(payload, len, &msg) != 0 ||
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
	switch (ind.status) {
	case RNDIS_STATUS_MEDIA_CONNECT:
		atomic_store(&port->session.link_up, 1);
		break;
	case RNDIS_STATUS_MEDIA_DISCONNECT:
		atomic_store(&port->session.link_up, 0);
		break;
	case RNDIS_STATUS_LINK_SPEED_CHANGE:
		if (ind.buffer_length < sizeof(speed))
			return;
		memcpy(&speed, (const uint8_t *)msg + ind.buffer_abs, sizeof(speed));
		atomic_store(&port->session.link_speed, speed);
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

/* ---- waiting ---- */

static int
control_alive(const struct netvsc_port *port)
{
	if (atomic_load(&port->bus->gone))
		return -ENODEV;
	/* Not -EIO: that is what a host that refuses something gets. */
	if (atomic_load(&port->state) & NETVSC_STATE_BROKEN)
		return -ENOTCONN;
	return 0;
}

/* Look for answers, unless an lcore does. */
static void
control_scan(struct netvsc_port *port)
{
	struct netvsc_channel *ch = port->channels[0];

	if (netvsc_channel_is_polled(ch) || !rte_spinlock_trylock(&ch->rx_lock))
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
		control_scan(port);
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
 * Put one packet into the primary channel's ring, waiting for room without the lock. With the lock
 * there are a copy and a store to do; a burst that finds it taken does not wait for us.
 */
static int
control_write(struct netvsc_port *port, const void *pkt, uint32_t len, const char *what)
{
	struct netvsc_channel *ch = port->channels[0];
	struct control_clock clock = control_clock();
	bool signal;
	int rc;

	for (;;) {
		rte_spinlock_lock(&ch->tx_lock);
		rc = netvsc_channel_is_open(ch) ? vmbus_ring_write(&ch->out, pkt, len, 0)
						: -ENOTCONN;
		signal = rc == 0 && vmbus_ring_writer_publish(&ch->out);
		rte_spinlock_unlock(&ch->tx_lock);
		if (signal)
			hpbus_channel_signal(&ch->bus);
		if (rc != -EAGAIN)
			return rc;
		control_scan(port);
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

static int
nvsp_post(struct netvsc_port *port, const struct nvsp_message *msg)
{
	struct control_packet p = {.msg = *msg};

	vmbus_packet_init(
		&p.pkt, VMBUS_PACKET_INBAND, sizeof(p.pkt), sizeof(p), 0, VMBUS_NO_TRANS_ID);
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

	rte_spinlock_lock(&ch->rx_lock);
	rq->answer_len = 0;
	atomic_store(&rq->answered, 0);
	atomic_store(&rq->rndis_answered, NETVSC_ANSWER_NONE);
	atomic_store(&rq->trans_id, trans_id);
	atomic_store(&rq->rndis_id, rndis_id);
	rte_spinlock_unlock(&ch->rx_lock);
}

static uint64_t
control_next_tid(struct netvsc_port *port)
{
	return NETVSC_TID_CONTROL | ++port->next_trans_id;
}

/* A request that got no answer leaves memory with the host: only a reset can go on (N8). */
static int
control_stuck(struct netvsc_port *port, int rc)
{
	control_await(port, 0, 0);
	if (rc != -ETIMEDOUT)
		return rc;
	if (hpbus_op_down())
		atomic_fetch_or(&port->state, NETVSC_STATE_BROKEN); /* a fence follows anyway */
	else
		netvsc_port_broken(port, "a control request was never answered");
	return rc;
}

static int
nvsp_request(struct netvsc_port *port, const struct nvsp_message *msg, uint32_t expect)
{
	struct control_packet p = {.msg = *msg};
	struct netvsc_request *rq = &port->request;
	const char *what = nvsp_type_name(msg->type);
	uint64_t tid = control_next_tid(port);
	int rc;

	control_await(port, tid, 0);
	vmbus_packet_init(
		&p.pkt, VMBUS_PACKET_INBAND, sizeof(p.pkt), sizeof(p), VMBUS_FLAG_COMPLETION, tid);
	rc = control_write(port, &p, sizeof(p), what);
	if (rc == 0)
		rc = control_wait(port, &rq->answered, what);
	if (rc != 0)
		return control_stuck(port, rc);
	if (rq->answer_len < nvsp_min_len(expect) || rq->answer.type != expect) {
		NETVSC_LOG(ERR, port, "the host answered %s with %s of %u bytes", what,
			nvsp_type_name(rq->answer.type), rq->answer_len);
		return -EPROTO;
	}
	return 0;
}

int
netvsc_nvsp_init(struct netvsc_port *port)
{
	struct nvsp_message msg;
	unsigned int i;
	int rc;

	for (i = 0; i < NVSP_VERSION_COUNT; i++) {
		nvsp_build_init(&msg, nvsp_versions_newest_first[i]);
		rc = nvsp_request(port, &msg, NVSP_TYPE_INIT_COMPLETE);
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
netvsc_nvsp_configure(struct netvsc_port *port, uint32_t mtu)
{
	uint64_t caps = NVSP_CAP_8021Q;
	struct nvsp_message msg;
	int rc = 0;

	/* Teaming: without it the host does not announce changes of the link speed. */
	if (port->session.nvsp_version >= NVSP_VERSION_5)
		caps |= NVSP_CAP_TEAMING;
	if (port->session.nvsp_version >= NVSP_VERSION_2) {
		nvsp_build_ndis_config(&msg, mtu, caps);
		rc = nvsp_post(port, &msg);
	}
	if (rc == 0) {
		nvsp_build_ndis_version(&msg, port->session.nvsp_version);
		rc = nvsp_post(port, &msg);
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
	rc = nvsp_request(port, &msg, NVSP_TYPE_RECV_BUF_COMPLETE);
	if (rc != 0)
		return rc;
	port->session.recv_connected = rq->answer.recv_buf_complete.status == NVSP_STATUS_SUCCESS;
	rc = nvsp_check_recv_buf_complete(&rq->answer, (uint32_t)bus->recv.len);
	if (rc != 0) {
		NETVSC_LOG(ERR, port, "the host refused the receive buffer or divided it badly");
		return rc;
	}
	port->session.recv_section = rq->answer.recv_buf_complete.sub_alloc_size;
	port->session.recv_count = rq->answer.recv_buf_complete.count;

	nvsp_build_send_send_buf(&msg, bus->send.gpadl, NVSP_SEND_BUF_ID);
	rc = nvsp_request(port, &msg, NVSP_TYPE_SEND_BUF_COMPLETE);
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
	rc = nvsp_request(port, &msg, NVSP_TYPE_SUBCHANNEL);
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
		rc = nvsp_post(port, &msg);
	}
	if (rc == 0 && port->session.send_connected) {
		nvsp_build_revoke(&msg, NVSP_TYPE_REVOKE_SEND_BUF, NVSP_SEND_BUF_ID);
		rc = nvsp_post(port, &msg);
	}
	port->session.recv_connected = port->session.send_connected = false;
	return rc;
}

/* ---- RNDIS ---- */

/*
 * Send the message that stands in the control page and wait until the host is done with it; its
 * answer is looked for under @answer_id, 0 if there will be none. Pages when the host can read them
 * (the only way Windows is known to take), else a section.
 */
static int
rndis_send(struct netvsc_port *port, uint32_t len, uint32_t answer_id, const char *what)
{
	struct {
		struct vmbus_packet pkt;
		struct vmbus_gpa_header gpa;
		struct vmbus_gpa_range range;
		uint64_t pfn;
		struct nvsp_message msg;
	} p = {0};
	struct control_packet s = {0};
	struct netvsc_request *rq = &port->request;
	uint64_t tid = control_next_tid(port);
	int rc;

	control_await(port, tid, answer_id);
	if (port->control_usable) {
		vmbus_packet_init(&p.pkt, VMBUS_PACKET_GPA_DIRECT,
			(uint32_t)((uint8_t *)&p.msg - (uint8_t *)&p), sizeof(p),
			VMBUS_FLAG_COMPLETION, tid);
		p.gpa.range_count = 1;
		p.range.byte_count = len;
		p.pfn = port->control_zone->iova / VMBUS_PAGE_SIZE;
		nvsp_build_rndis(&p.msg, NVSP_CHANNEL_CONTROL, NVSP_SECTION_NONE, 0);
		rc = control_write(port, &p, sizeof(p), what);
	} else if (port->session.control_section != NETVSC_SECTION_NONE &&
		   len <= port->session.send_section) {
		memcpy(port->bus->send.base +
				(size_t)port->session.control_section * port->session.send_section,
			port->control_zone->addr, len);
		vmbus_packet_init(&s.pkt, VMBUS_PACKET_INBAND, sizeof(s.pkt), sizeof(s),
			VMBUS_FLAG_COMPLETION, tid);
		nvsp_build_rndis(&s.msg, NVSP_CHANNEL_CONTROL, port->session.control_section, len);
		rc = control_write(port, &s, sizeof(s), what);
	} else {
		NETVSC_LOG(ERR, port,
			"no way to send %s: DPDK's memory is not shared with the "
			"host and the host gave no send buffer",
			what);
		rc = -EOPNOTSUPP;
	}
	if (rc == 0)
		rc = control_wait(port, &rq->answered, what);
	if (rc != 0) {
		bool bad =
			rc == -ETIMEDOUT && atomic_load(&rq->rndis_answered) == NETVSC_ANSWER_BAD;

		control_stuck(port, rc);
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

/* Send the request in the control page, wait for its completion, parse it. */
static int
rndis_request(struct netvsc_port *port, int len, uint32_t type, struct rndis_completion *done)
{
	struct netvsc_request *rq = &port->request;
	const char *what = rndis_type_name(type);
	int rc;

	if (len < 0)
		return len;
	rq->rndis_type = type | RNDIS_TYPE_COMPLETION;
	rc = rndis_send(port, (uint32_t)len, port->next_rndis_id, what);
	if (rc == 0) {
		rc = control_wait(port, &rq->rndis_answered, what);
		if (rc != 0)
			control_stuck(port, rc);
	}
	atomic_store(&rq->rndis_id, 0);
	if (rc == 0 && (atomic_load(&rq->rndis_answered) != NETVSC_ANSWER_HERE ||
			       rndis_parse_completion(rq->reply, rq->reply_len, done) != 0))
		rc = -EPROTO;
	if (rc == -EPROTO)
		NETVSC_LOG(ERR, port, "the host's answer to %s makes no sense", what);
	return rc;
}

/* A request that belongs to no operation is one of its own. */
static bool
control_begin(struct hpbus_op *op)
{
	if (hpbus_op_current() != NULL)
		return false;
	hpbus_op_begin(op, &netvsc_op_setting);
	return true;
}

static uint32_t
rndis_next_id(struct netvsc_port *port)
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
		rndis_next_id(port), NETVSC_MAX_TRANSFER);
	rc = rndis_request(port, rc, RNDIS_TYPE_INITIALIZE, &done);
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
	int len = rndis_build_short(
		port->control_zone->addr, RNDIS_MAX_REQUEST, RNDIS_TYPE_HALT, rndis_next_id(port));

	/* Answered only by its send completion. */
	return len < 0 ? len : rndis_send(port, (uint32_t)len, 0, rndis_type_name(RNDIS_TYPE_HALT));
}

int
netvsc_query(struct netvsc_port *port, uint32_t oid, const void *in, uint32_t in_len, void *out,
	uint32_t out_len, uint32_t *got)
{
	struct rndis_completion done;
	struct hpbus_op op;
	bool own;
	int rc;

	pthread_mutex_lock(&port->control_lock);
	own = control_begin(&op);
	rc = rndis_build_query(
		port->control_zone->addr, RNDIS_MAX_REQUEST, rndis_next_id(port), oid, in, in_len);
	rc = rndis_request(port, rc, RNDIS_TYPE_QUERY, &done);
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
	if (own)
		hpbus_op_end(&op);
	pthread_mutex_unlock(&port->control_lock);
	return rc;
}

int
netvsc_set(struct netvsc_port *port, uint32_t oid, const void *in, uint32_t in_len)
{
	struct rndis_completion done;
	struct hpbus_op op;
	bool own;
	int rc;

	pthread_mutex_lock(&port->control_lock);
	own = control_begin(&op);
	rc = rndis_build_set(
		port->control_zone->addr, RNDIS_MAX_REQUEST, rndis_next_id(port), oid, in, in_len);
	rc = rndis_request(port, rc, RNDIS_TYPE_SET, &done);
	if (rc == 0 && done.status != RNDIS_STATUS_SUCCESS) {
		NETVSC_LOG(DEBUG, port, "set of OID %#x: status %#x", oid, done.status);
		rc = done.status == RNDIS_STATUS_NOT_SUPPORTED ? -ENOTSUP : -EIO;
	}
	if (own)
		hpbus_op_end(&op);
	pthread_mutex_unlock(&port->control_lock);
	return rc;
}
