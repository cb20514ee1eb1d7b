/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver's control requests against a host that is a function of the test: it stands in the
 * place of the channel's dispatcher and answers, late, wrongly, or not at all.
 */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/control.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "test/unit/frozen_clock.h"
#include "test/unit/unit.h"
#include "test/unit/vmbus_fixture.h"

int netvsc_logtype;

#define SLACK_MS 5000 /* for a busy machine */

/* What the host does with a request. */
enum deed {
	SILENT,	     /* nothing at all */
	ANSWER,	     /* the completion, then the answer */
	COMPLETE,    /* the completion alone */
	BAD_LENGTH,  /* an answer whose length is not its own */
	BAD_TYPE,    /* an answer to something else, with our id */
	BAD_OFFSET,  /* information outside of the message */
	TOO_SHORT,   /* ends behind the id */
	BAD_FIRST,   /* BAD_LENGTH, and the completion never comes */
	NOT_OURS,    /* wrong answers with another id, then the right one */
	BAD_COMPLETE /* completed with a message of another type */
};

static struct {
	unsigned int scans; /* that the control side made */
	bool lcore_polls, lcore_answers;
	enum deed deed;
	int64_t delay_ms; /* before it does anything */
	int64_t asked_at; /* when the request was first seen, 0 = not */
	unsigned int requests;
} host;

static struct netvsc_port port;
static struct netvsc_channel channel;
static struct hpbus_device bus;
static struct rte_memzone zone;
static struct test_ring ring;
static _Alignas(4096) uint8_t page[4096];
static unsigned int broken;

/* ---- what is below the requests ---- */

void
netvsc_event(struct netvsc_port *p, uint32_t events)
{
	atomic_fetch_or(&p->events, events);
}

void
netvsc_events_again(struct netvsc_port *p)
{
}

void
netvsc_port_broken(struct netvsc_port *p, const char *why)
{
	atomic_fetch_or(&p->state, NETVSC_STATE_BROKEN);
	broken++;
}

void
hpbus_channel_signal(struct hpbus_device *dev, struct hpbus_channel *ch)
{
}

/* There are no virtual functions here. */
bool
netvsc_vf_is_inside(const struct netvsc_port *p, unsigned int queue)
{
	return false;
}

void
netvsc_vf_event(struct netvsc_port *p, enum netvsc_vf_event event, uint32_t value)
{
}

bool
netvsc_vf_switching(const struct netvsc_port *p)
{
	return false;
}

static void host_turn(void);

struct hpbus_dma_run
hpbus_dma_lookup(struct hpbus_device *dev, uintptr_t addr)
{
	return (struct hpbus_dma_run){0};
}

/* Whoever waits says this again and again: the test's moment for what others do meanwhile. */
void
hpbus_signal_again(struct hpbus_device *dev)
{
	if (frozen_ms != 0)
		frozen_ms++;
	if (!host.lcore_polls)
		return;
	rte_spinlock_lock(&channel.rx_lock);
	netvsc_channel_polled(&channel);
	if (host.lcore_answers)
		host_turn();
	rte_spinlock_unlock(&channel.rx_lock);
}

static void
complete(uint32_t type)
{
	struct nvsp_message msg;

	memset(&msg, 0, sizeof(msg));
	msg.type = type;
	msg.rndis_complete.status = NVSP_STATUS_SUCCESS;
	netvsc_control_completion(&port, atomic_load(&port.request.trans_id), &msg, sizeof(msg));
}

/* A set or query completion with 4 bytes of information, spoilt as asked for. */
static void
answer(enum deed deed, uint32_t id)
{
	struct {
		struct rndis_query_complete q;
		uint32_t value;
	} msg;
	uint32_t len = sizeof(msg);

	memset(&msg, 0, sizeof(msg));
	msg.q.h.type = deed == BAD_TYPE ? RNDIS_TYPE_INITIALIZE_CMPLT : RNDIS_TYPE_QUERY_CMPLT;
	msg.q.h.length = len;
	msg.q.request_id = id;
	msg.q.status = RNDIS_STATUS_SUCCESS;
	msg.q.info_length = sizeof(msg.value);
	msg.q.info_offset = (uint32_t)(offsetof(__typeof__(msg), value) - RNDIS_OFFSET_BASE);
	msg.value = 77;
	if (deed == BAD_LENGTH || deed == BAD_FIRST)
		msg.q.h.length = 4096;
	if (deed == BAD_OFFSET)
		msg.q.info_offset = 4000;
	if (deed == TOO_SHORT)
		msg.q.h.length = len = 12;
	netvsc_control_rndis(&port, &msg, len);
}

static void
host_turn(void)
{
	uint64_t tid = atomic_load(&port.request.trans_id);
	uint32_t id = atomic_load(&port.request.rndis_id);

	if (host.deed == SILENT || (tid == 0 && id == 0))
		return;
	if (host.asked_at == 0) {
		host.asked_at = hpbus_now_ms();
		host.requests++;
	}
	if (hpbus_now_ms() < host.asked_at + host.delay_ms)
		return;
	if (tid != 0 && host.deed != BAD_FIRST)
		complete(host.deed == BAD_COMPLETE ? NVSP_TYPE_INIT_COMPLETE
						   : NVSP_TYPE_RNDIS_COMPLETE);
	if (id == 0 || host.deed == COMPLETE || host.deed == BAD_COMPLETE)
		return;
	if (host.deed == NOT_OURS) {
		answer(BAD_LENGTH, id + 1);
		answer(BAD_TYPE, id + 7);
		CU_ASSERT_EQUAL(atomic_load(&port.request.rndis_answered), NETVSC_ANSWER_NONE);
	}
	answer(host.deed == NOT_OURS ? ANSWER : host.deed, id);
	host.asked_at = 0;
}

void
netvsc_rx_scan(struct netvsc_channel *ch)
{
	host.scans++;
	host_turn();
}

static void
begin(enum deed deed, int64_t delay_ms)
{
	memset(&host, 0, sizeof(host));
	host.deed = deed;
	host.delay_ms = delay_ms;
	memset(&port, 0, sizeof(port));
	memset(&channel, 0, sizeof(channel));
	memset(&bus, 0, sizeof(bus));
	snprintf(bus.name, sizeof(bus.name), "test");
	broken = 0;
	port.bus = &bus;
	port.channels[0] = &channel;
	port.control_zone = &zone;
	port.control_usable = true;
	pthread_mutex_init(&port.control_lock, NULL);
	zone.addr = page;
	CU_ASSERT_TRUE_FATAL(test_ring_heap(&ring, 1u << 16));
	CU_ASSERT_EQUAL_FATAL(vmbus_ring_writer_init(&channel.out, &ring.ring), 0);
	channel.state = NETVSC_CHANNEL_OPEN;
}

static void
end(void)
{
	test_ring_free(&ring);
	pthread_mutex_destroy(&port.control_lock);
}

static int
query(void)
{
	uint32_t value = 0, got = 0;
	int rc = netvsc_query(&port, OID_GEN_LINK_SPEED, NULL, 0, &value, sizeof(value), &got);

	if (rc == 0) {
		CU_ASSERT_EQUAL(got, sizeof(value));
		CU_ASSERT_EQUAL(value, 77);
	}
	return rc;
}

static const struct hpbus_op_kind short_op = {"test", 400, 100, false};
static const struct hpbus_op_kind long_op = {"test", 20000, 1000, false};
static const struct hpbus_op_kind down_op = {"test", 400, 100, true};

/* ---- tests ---- */

static void
test_answer(void)
{
	begin(ANSWER, 0);
	CU_ASSERT_EQUAL(query(), 0);
	CU_ASSERT_EQUAL(broken, 0);
	end();
}

/* Many requests of one operation together take no longer than one. */
static void
test_silent_host_holds_an_operation_once(void)
{
	struct hpbus_op op;
	int64_t began;

	begin(SILENT, 0);
	began = hpbus_now_ms();
	hpbus_op_begin(&op, &short_op);
	CU_ASSERT_EQUAL(query(), -ETIMEDOUT);
	CU_ASSERT_TRUE(hpbus_op_spent());
	for (int i = 0; i < 5; i++)
		CU_ASSERT_EQUAL(query(), -ENOTCONN);
	hpbus_op_end(&op);
	CU_ASSERT(hpbus_now_ms() - began >= 300);
	CU_ASSERT(hpbus_now_ms() - began < 400 + SLACK_MS);
	CU_ASSERT_EQUAL(broken, 1);
	CU_ASSERT_PTR_NULL(hpbus_op_current());
	end();
}

/* Each answer comes before a deadline per request would pass, but the operation has its own. */
static void
test_slow_host_does_not_stretch_an_operation(void)
{
	struct hpbus_op op;
	int64_t began;
	int rc = 0;

	begin(ANSWER, 90);
	began = hpbus_now_ms();
	hpbus_op_begin(&op, &short_op);
	for (int i = 0; rc == 0 && i < 100; i++)
		rc = query();
	hpbus_op_end(&op);
	CU_ASSERT_EQUAL(rc, -ETIMEDOUT);
	CU_ASSERT(host.requests < 10);
	CU_ASSERT(hpbus_now_ms() - began < 400 + SLACK_MS);
	end();
}

static void
test_late_answer(void)
{
	struct hpbus_op op;

	begin(ANSWER, 1500);
	hpbus_op_begin(&op, &long_op);
	CU_ASSERT_EQUAL(query(), 0);
	hpbus_op_end(&op);
	CU_ASSERT_EQUAL(broken, 0);
	end();
}

/* On the way down nobody is told to reset a port that is being left. */
static void
test_silent_host_on_the_way_down(void)
{
	struct hpbus_op op;

	begin(SILENT, 0);
	hpbus_op_begin(&op, &down_op);
	CU_ASSERT_EQUAL(query(), -ETIMEDOUT);
	hpbus_op_end(&op);
	CU_ASSERT_EQUAL(broken, 0);
	CU_ASSERT_EQUAL(atomic_load(&port.state), NETVSC_STATE_BROKEN);
	end();
}

/* An answer with our id that makes no sense is the answer: nothing else will come. */
static void
test_malformed_answers(void)
{
	static const enum deed deeds[] = {
		BAD_LENGTH, BAD_TYPE, BAD_OFFSET, TOO_SHORT, BAD_COMPLETE};
	struct hpbus_op op;
	int64_t began;

	for (size_t i = 0; i < ARRAY_SIZE(deeds); i++) {
		begin(deeds[i], 0);
		hpbus_op_begin(&op, &long_op);
		began = hpbus_now_ms();
		CU_ASSERT_EQUAL(query(), -EPROTO);
		CU_ASSERT(hpbus_now_ms() - began < SLACK_MS);
		/* Its memory came back, so the next request is as good as any. */
		CU_ASSERT_EQUAL(broken, 0);
		host.deed = ANSWER;
		host.asked_at = 0;
		CU_ASSERT_EQUAL(query(), 0);
		hpbus_op_end(&op);
		end();
	}
}

/* Without the completion the memory is still the host's: only a reset can go on (N8). */
static void
test_malformed_answer_without_completion(void)
{
	struct hpbus_op op;
	int64_t began;

	begin(BAD_FIRST, 0);
	hpbus_op_begin(&op, &long_op);
	began = hpbus_now_ms();
	CU_ASSERT_EQUAL(query(), -EPROTO);
	CU_ASSERT(hpbus_now_ms() - began < SLACK_MS);
	hpbus_op_end(&op);
	CU_ASSERT_EQUAL(broken, 1);
	end();
}

/* Match first (N9): what belongs to no request ends none. */
static void
test_wrong_answers_to_other_requests(void)
{
	begin(NOT_OURS, 0);
	CU_ASSERT_EQUAL(query(), 0);
	CU_ASSERT_EQUAL(channel.stats.rx_control_malformed, 2);
	end();
}

static void
test_full_ring(void)
{
	uint8_t filler[1024] = {0};
	struct hpbus_op op;
	int64_t began;

	begin(SILENT, 0);
	for (uint32_t len = sizeof(filler); len >= sizeof(struct vmbus_packet); len /= 2) {
		vmbus_packet_init((struct vmbus_packet *)filler, VMBUS_PACKET_INBAND,
			sizeof(struct vmbus_packet), len, 0, 0);
		while (vmbus_ring_write(&channel.out, filler, len, 0) == 0)
			;
	}
	began = hpbus_now_ms();
	hpbus_op_begin(&op, &short_op);
	CU_ASSERT_EQUAL(query(), -ETIMEDOUT);
	hpbus_op_end(&op);
	CU_ASSERT(hpbus_now_ms() - began < 400 + SLACK_MS);
	end();
}

/* The lcore that receives sees the answer; it must not find its ring taken by one who waits. */
static void
test_the_ring_is_left_to_an_lcore_that_polls(void)
{
	struct hpbus_op op;

	begin(ANSWER, 50);
	channel.state = NETVSC_CHANNEL_RUNNING;
	frozen_ms = 1000000;
	netvsc_channel_polled(&channel);
	host.lcore_polls = host.lcore_answers = true;
	hpbus_op_begin(&op, &long_op);
	CU_ASSERT_EQUAL(query(), 0);
	CU_ASSERT_EQUAL(host.scans, 0);
	/* It has gone to sleep, and nobody else looks. */
	host.lcore_polls = false;
	CU_ASSERT_EQUAL(query(), 0);
	CU_ASSERT(host.scans > 0);
	/* A ring that no burst may enter is the control side's at once. */
	host.lcore_polls = true;
	host.lcore_answers = false;
	channel.state = NETVSC_CHANNEL_OPEN;
	CU_ASSERT_EQUAL(query(), 0);
	hpbus_op_end(&op);
	frozen_ms = 0;
	end();
}

/* An inner operation is never longer than the outer one. */
static void
test_operations_nest(void)
{
	struct hpbus_op outer, inner;

	hpbus_op_begin(&outer, &down_op);
	hpbus_op_begin(&inner, &long_op);
	CU_ASSERT_EQUAL(hpbus_op_talk_until(), outer.talk_until);
	CU_ASSERT_EQUAL(hpbus_op_until(), outer.until);
	CU_ASSERT_TRUE(hpbus_op_down());
	hpbus_op_end(&inner);
	CU_ASSERT_PTR_EQUAL(hpbus_op_current(), &outer);
	hpbus_op_end(&outer);
	CU_ASSERT_FALSE(hpbus_op_down());
	CU_ASSERT_FALSE(hpbus_op_spent());
	hpbus_op_begin_at(&outer, &long_op, hpbus_now_ms() - 19500);
	CU_ASSERT_TRUE(hpbus_op_spent());
	CU_ASSERT(hpbus_op_until() > hpbus_now_ms() - SLACK_MS);
	hpbus_op_end(&outer);
}

/* What the guide promises, a little less to get there in time. */
static void
test_budgets(void)
{
	CU_ASSERT(netvsc_op_stop.budget <= 3000 && netvsc_op_stop.down);
	CU_ASSERT(netvsc_op_close.budget <= 3000 && netvsc_op_close.down);
	CU_ASSERT(netvsc_op_reset.budget <= 5000);
	CU_ASSERT_EQUAL(netvsc_op_probe.budget, 120000);
	CU_ASSERT(netvsc_op_setting.budget >= 20000);
	CU_ASSERT(netvsc_op_bring_up.budget - netvsc_op_bring_up.fence > 20000);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"an answer", test_answer},
		{"a silent host holds an operation once", test_silent_host_holds_an_operation_once},
		{"a slow host does not stretch an operation",
			test_slow_host_does_not_stretch_an_operation},
		{"a late answer", test_late_answer},
		{"a silent host on the way down", test_silent_host_on_the_way_down},
		{"malformed answers", test_malformed_answers},
		{"a malformed answer without completion", test_malformed_answer_without_completion},
		{"wrong answers to other requests", test_wrong_answers_to_other_requests},
		{"a full ring", test_full_ring},
		{"the ring is left to an lcore that polls",
			test_the_ring_is_left_to_an_lcore_that_polls},
		{"operations nest", test_operations_nest},
		{"budgets", test_budgets},
	};

	return UNIT_RUN("netvsc_control", tests);
}
