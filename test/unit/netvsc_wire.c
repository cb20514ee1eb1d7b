/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A port that is traced: its way up against a scripted host is in the file, each request before the
 * answer to it, and a port whose file cannot be written says so.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal_memconfig.h>

#include "drivers/net/netvsc/process.h"
#include "drivers/net/netvsc/wire.h"
#include "lib/netvsp/nvsp.h"
#include "lib/trace/trace_vmbus.h"
#include "test/unit/netvsc_ladder.h"

#define PACKET_BLOCK 6u
#define BLOCK_HEADER 28u

static char dir[] = "/tmp/netvsc_wire.XXXXXX";

/* A record, as it is in the file. */
struct record {
	struct trace_header header;
	uint32_t type; /* of the NVSP message; 0: there is none */
	uint64_t tid;
	bool completion;
};

static struct record records[512];

static uint32_t
word(const uint8_t *p)
{
	uint32_t w;

	memcpy(&w, p, sizeof(w));
	return w;
}

static void
take(struct record *r, const uint8_t *data)
{
	struct vmbus_packet pkt;

	memset(r, 0, sizeof(*r));
	memcpy(&r->header, data, sizeof(r->header));
	if (r->header.packet_captured < sizeof(pkt))
		return;
	memcpy(&pkt, data + sizeof(r->header), sizeof(pkt));
	r->tid = pkt.trans_id;
	r->completion = pkt.type == VMBUS_PACKET_COMPLETION;
	if (r->header.packet_captured > (uint32_t)pkt.offset8 * 8)
		r->type = word(data + sizeof(r->header) + pkt.offset8 * 8);
}

/* @return records of the file */
static unsigned int
records_of(const char *path)
{
	static uint8_t image[1 << 20];
	FILE *file = fopen(path, "rb");
	size_t len, at;
	unsigned int n = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	len = fread(image, 1, sizeof(image), file);
	fclose(file);
	for (at = 0; at + 8 <= len; at += word(image + at + 4)) {
		CU_ASSERT_FATAL(word(image + at + 4) >= 12);
		if (word(image + at + 4) > len - at)
			break; /* it is being written */
		if (word(image + at) == PACKET_BLOCK && n < RTE_DIM(records))
			take(&records[n++], image + at + BLOCK_HEADER);
	}
	return n;
}

/* The same, once the last one says that the channel is closed: the end of a port waits 200 ms for
 * its file, which may be too short for a disk of a busy machine. */
static unsigned int
all_records_of(const char *path)
{
	int64_t until = hpbus_now_ms() + 10000;
	unsigned int n;

	do {
		usleep(1000);
		n = records_of(path);
	} while ((n == 0 || records[n - 1].header.event != TRACE_EVENT_CLOSED) &&
		 hpbus_now_ms() < until);
	return n;
}

static void
trace_into(const char *path)
{
	snprintf(f.port.config.trace, sizeof(f.port.config.trace), "%s", path);
	f.port.config.trace_snaplen = TRACE_SNAPLEN;
	f.port.config.trace_data = false;
}

static void
test_the_way_up_is_in_the_trace(void)
{
	/* Of the first session; everything until RNDIS. */
	static const uint32_t order[] = {0, NVSP_TYPE_INIT, NVSP_TYPE_INIT_COMPLETE,
		NVSP_TYPE_NDIS_CONFIG, NVSP_TYPE_NDIS_VERSION, NVSP_TYPE_SEND_RECV_BUF,
		NVSP_TYPE_RECV_BUF_COMPLETE, NVSP_TYPE_SEND_SEND_BUF, NVSP_TYPE_SEND_BUF_COMPLETE,
		NVSP_TYPE_RNDIS};
	unsigned int n, i, k, answered = 0;
	char path[64];

	snprintf(path, sizeof(path), "%s/up.pcapng", dir);
	REQUIRE(ladder_begin(true));
	trace_into(path);
	/* One time for all of it: that of a machine which has just begun is less than the ladder's.
	 */
	ladder_ms = 1000000;
	CU_ASSERT_EQUAL_FATAL(netvsc_wire_begin(&f.port), 0);
	CU_ASSERT_EQUAL(ladder_attach(CHANNELS, 1500), 0);
	CU_ASSERT_EQUAL(netvsc_detach(&f.port, true), 0);
	/* It waits for the file, in its own time. */
	ladder_ms = 0;
	n = all_records_of(path);
	netvsc_wire_end(&f.port);
	CU_ASSERT_PTR_NULL(f.port.wire);
	ladder_end();
	CU_ASSERT_FATAL(n > RTE_DIM(order));
	CU_ASSERT_EQUAL(records[0].header.direction, TRACE_EVENT);
	CU_ASSERT_EQUAL(records[0].header.event, TRACE_EVENT_OPENED);
	CU_ASSERT_EQUAL(records[n - 1].header.event, TRACE_EVENT_CLOSED);
	for (i = 0; i < RTE_DIM(order); i++)
		CU_ASSERT_EQUAL(records[i].type, order[i]);
	for (i = 0; i < n; i++) {
		CU_ASSERT_EQUAL(records[i].header.channel, 0);
		CU_ASSERT_EQUAL(records[i].header.flags, TRACE_SEEN_BY_GUEST | TRACE_CONTROL_ONLY);
		CU_ASSERT(i == 0 || records[i].header.time >= records[i - 1].header.time);
		if (!records[i].completion || records[i].header.direction != TRACE_TO_GUEST)
			continue;
		/* What it answers stands before it. */
		for (k = 0; k < i; k++)
			if (records[k].header.direction == TRACE_TO_HOST &&
				records[k].tid == records[i].tid)
				break;
		CU_ASSERT(k < i);
		answered++;
	}
	CU_ASSERT(answered > 10);
	unlink(path);
}

static void
test_a_file_that_cannot_be_written_is_an_error(void)
{
	REQUIRE(ladder_begin(true));
	trace_into("/nowhere/at/all");
	CU_ASSERT_EQUAL(netvsc_wire_begin(&f.port), -ENOENT);
	CU_ASSERT_PTR_NULL(f.port.wire);
	netvsc_wire_end(&f.port);
	/* Without one nothing is traced, and all is as it was. */
	trace_into("");
	CU_ASSERT_EQUAL(netvsc_wire_begin(&f.port), 0);
	CU_ASSERT_PTR_NULL(f.port.wire);
	CU_ASSERT_EQUAL(ladder_attach(1, 1500), 0);
	ladder_end();
}

static void
test_two_ports_of_one_file_are_an_error(void)
{
	struct netvsc_wire *first;
	char path[64];

	snprintf(path, sizeof(path), "%s/both.pcapng", dir);
	REQUIRE(ladder_begin(true));
	trace_into(path);
	CU_ASSERT_EQUAL_FATAL(netvsc_wire_begin(&f.port), 0);
	first = f.port.wire;
	f.port.wire = NULL;
	CU_ASSERT_EQUAL(netvsc_wire_begin(&f.port), -EBUSY);
	CU_ASSERT_PTR_NULL(f.port.wire);
	f.port.wire = first;
	CU_ASSERT_EQUAL(ladder_attach(1, 1500), 0);
	CU_ASSERT_EQUAL(netvsc_detach(&f.port, true), 0);
	CU_ASSERT(all_records_of(path) > 10);
	netvsc_wire_end(&f.port);
	ladder_end();
	unlink(path);
}

static void
test_a_full_disk_does_not_stop_the_way_up(void)
{
	REQUIRE(ladder_begin(true));
	trace_into("/dev/full");
	CU_ASSERT_EQUAL_FATAL(netvsc_wire_begin(&f.port), 0);
	CU_ASSERT_EQUAL(ladder_attach(CHANNELS, 1500), 0);
	ladder_check_attached(CHANNELS);
	CU_ASSERT_EQUAL(netvsc_detach(&f.port, true), 0);
	netvsc_wire_end(&f.port);
	ladder_end();
}

/* ---- sends, while somebody has EAL's memory lock: its holder may be waiting for a host ---- */

static struct {
	struct rte_mbuf *m;
	uint16_t sent;
	atomic_bool done;
} burst;

static void *
burst_now(void *arg)
{
	burst.sent = netvsc_tx_burst(f.tx_queues[1], &burst.m, 1);
	atomic_store(&burst.done, true);
	return NULL;
}

/* The frame goes by reference. @return whether the burst came back in time */
static bool
burst_without_memory_lock(void)
{
	int64_t until = hpbus_now_ms() + 10000;
	pthread_t thread;
	bool done;

	atomic_store(&burst.done, false);
	rte_mcfg_mem_write_lock();
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, burst_now, NULL), 0);
	while (!(done = atomic_load(&burst.done)) && hpbus_now_ms() < until)
		usleep(1000);
	rte_mcfg_mem_write_unlock();
	pthread_join(thread, NULL);
	return done;
}

static bool
file_has(const char *path, const void *bytes, size_t len)
{
	static uint8_t image[1 << 20];
	FILE *file = fopen(path, "rb");
	size_t n;

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	n = fread(image, 1, sizeof(image), file);
	fclose(file);
	return memmem(image, n, bytes, len) != NULL;
}

/* As all_records_of(). */
static bool
file_gets(const char *path, const void *bytes, size_t len)
{
	int64_t until = hpbus_now_ms() + 10000;
	bool has;

	while (!(has = file_has(path, bytes, len)) && hpbus_now_ms() < until)
		usleep(1000);
	return has;
}

/* A port that runs, whose frames are traced. */
static void
start_traced(const char *path)
{
	trace_into(path);
	f.port.config.trace_data = true;
	f.port.config.trace_snaplen = 4096;
	CU_ASSERT_EQUAL_FATAL(netvsc_wire_begin(&f.port), 0);
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, CHANNELS, 1500), 0);
	netvsc_rss_default(&f.port);
	CU_ASSERT_EQUAL_FATAL(netvsc_ops.dev_start(&f.eth), 0);
	f.data.dev_started = 1;
}

static void
stop_traced(void)
{
	CU_ASSERT_EQUAL(netvsc_ops.dev_stop(&f.eth), 0);
	f.data.dev_started = 0;
	CU_ASSERT_EQUAL(netvsc_detach(&f.port, true), 0);
}

static void
test_a_traced_send_waits_for_no_memory_lock(void)
{
	struct fixture_packet pkt;
	uint8_t frame[1000];
	char path[64];

	snprintf(path, sizeof(path), "%s/send.pcapng", dir);
	REQUIRE(ladder_begin_as((struct fixture_conf){.tx_copybreak = 100}));
	start_traced(path);
	burst.m = fixture_mbuf(&f, sizeof(frame), 77);
	CU_ASSERT_TRUE(burst_without_memory_lock());
	CU_ASSERT_EQUAL(burst.sent, 1);
	CU_ASSERT_TRUE(fixture_read(&f, 1, &pkt));
	CU_ASSERT_EQUAL(pkt.desc.type, VMBUS_PACKET_GPA_DIRECT);
	fixture_complete(&f, 1, pkt.desc.trans_id, NVSP_STATUS_SUCCESS);
	fixture_publish(&f, 1);
	stop_traced();
	/* Nor is anything missing for that. */
	fixture_fill(frame, sizeof(frame), 77);
	CU_ASSERT_TRUE(file_gets(path, frame, sizeof(frame)));
	netvsc_wire_end(&f.port);
	ladder_end();
	unlink(path);
}

/* ---- frames both ways, with a burst that nobody traces in between: another process' ---- */

#define FRAME 700u

static void
receive_frames(uint64_t seed, uint32_t section, uint32_t n)
{
	struct rte_mbuf *got[8];
	uint32_t i;

	CU_ASSERT_EQUAL(fixture_frames(&f, 1, 1000 + seed, section, n, FRAME, seed), 0);
	fixture_publish(&f, 1);
	CU_ASSERT_EQUAL_FATAL(netvsc_rx_burst(fixture_rxq(&f, 1), got, RTE_DIM(got)), n);
	for (i = 0; i < n; i++) {
		CU_ASSERT_TRUE(fixture_mbuf_is(got[i], FRAME, seed + i));
		rte_pktmbuf_free(got[i]);
	}
	CU_ASSERT_EQUAL(fixture_completions(&f, 1, NULL, NULL, 0), 1);
}

static void
send_frame(uint64_t seed)
{
	struct rte_mbuf *m = fixture_mbuf(&f, FRAME, seed);
	struct fixture_packet pkt;

	CU_ASSERT_EQUAL(netvsc_tx_burst(f.tx_queues[1], &m, 1), 1);
	CU_ASSERT_TRUE_FATAL(fixture_read(&f, 1, &pkt));
	fixture_complete(&f, 1, pkt.desc.trans_id, NVSP_STATUS_SUCCESS);
	fixture_publish(&f, 1);
}

static void
test_what_another_process_takes_is_missing_and_nothing_else(void)
{
	static const struct {
		uint64_t seed;
		bool traced;
	} frames[] = {{10, true}, {11, true}, {12, false}, {13, false}, {14, true}, {15, true},
		{16, true}, {20, true}, {21, false}, {22, true}};
	const struct netvsc_process primary = netvsc_process, other = {2, 2};
	uint8_t frame[FRAME];
	char path[64];
	size_t i;

	snprintf(path, sizeof(path), "%s/other.pcapng", dir);
	REQUIRE(ladder_begin_as((struct fixture_conf){.tx_copybreak = 100}));
	start_traced(path);
	f.bus.driver_data = &f.port;
	fixture_processes = other.bit;
	CU_ASSERT_TRUE(netvsc_process_ready(&f.bus));
	receive_frames(10, 0, 2);
	send_frame(20);
	netvsc_process = other;
	receive_frames(12, 2, 2);
	send_frame(21);
	netvsc_process = primary;
	receive_frames(14, 4, 2);
	send_frame(22);
	receive_frames(16, 6, 1);
	fixture_processes = 0;
	CU_ASSERT_TRUE(netvsc_process_ready(&f.bus));
	stop_traced();
	/* The last one that is there has everything before it in front. */
	fixture_fill(frame, sizeof(frame), 16);
	CU_ASSERT_TRUE(file_gets(path, frame, sizeof(frame)));
	for (i = 0; i < RTE_DIM(frames); i++) {
		fixture_fill(frame, sizeof(frame), frames[i].seed);
		CU_ASSERT_EQUAL(file_has(path, frame, sizeof(frame)), frames[i].traced);
	}
	netvsc_wire_end(&f.port);
	ladder_end();
	unlink(path);
}

/* What is no packet ends the trace of a burst, and is told by who receives. */
static void
test_a_ring_that_cannot_be_is_not_traced(void)
{
	struct vmbus_ring_writer *to_guest;
	struct rte_mbuf *got[8];
	uint8_t frame[FRAME];
	char path[64];

	snprintf(path, sizeof(path), "%s/ring.pcapng", dir);
	REQUIRE(ladder_begin_as((struct fixture_conf){.tx_copybreak = 100}));
	start_traced(path);
	receive_frames(10, 0, 1);
	CU_ASSERT_EQUAL(fixture_frames(&f, 1, 5, 1, 1, FRAME, 11), 0);
	to_guest = &f.host[1].to_guest;
	/* The packet's offset8 and len8, of which neither may be 0. */
	memset(to_guest->ring.data + to_guest->published_w + 2, 0, 4);
	fixture_publish(&f, 1);
	CU_ASSERT_EQUAL(netvsc_rx_burst(fixture_rxq(&f, 1), got, RTE_DIM(got)), 0);
	CU_ASSERT_TRUE(atomic_load(&f.port.state) & NETVSC_STATE_BROKEN);
	stop_traced();
	fixture_fill(frame, sizeof(frame), 10);
	CU_ASSERT_TRUE(file_gets(path, frame, sizeof(frame)));
	fixture_fill(frame, sizeof(frame), 11);
	CU_ASSERT_FALSE(file_has(path, frame, sizeof(frame)));
	netvsc_wire_end(&f.port);
	atomic_store(&f.port.state, 0);
	ladder_end();
	unlink(path);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"the way up is in the trace", test_the_way_up_is_in_the_trace},
		{"a file that cannot be written is an error",
			test_a_file_that_cannot_be_written_is_an_error},
		{"two ports of one file are an error", test_two_ports_of_one_file_are_an_error},
		{"a full disk does not stop the way up", test_a_full_disk_does_not_stop_the_way_up},
		{"a traced send waits for no memory lock",
			test_a_traced_send_waits_for_no_memory_lock},
		{"what another process takes is missing and nothing else",
			test_what_another_process_takes_is_missing_and_nothing_else},
		{"a ring that cannot be is not traced", test_a_ring_that_cannot_be_is_not_traced},
	};

	return UNIT_RUN_IN(dir, "netvsc_wire", tests);
}
