/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a guest may take of its host: a NIC's turn is bounded in bytes and time, its counters are
 * read while it is busy, and its log lines are rate-limited.
 */
#include <sched.h>
#include <time.h>

#include "lib/host/log.h"
#include "test/unit/host_nic_guest.h"

#define SENDS	   40u
#define LSO_DATA   60000u
#define LSO_MSS	   1460u
#define BUSY_TURNS 100u

/* Time stands, or goes on by a step with each look at it. */
static uint64_t fake_now = 1000000000, fake_step;

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	fake_now += fake_step;
	ts->tv_sec = (time_t)(fake_now / 1000000000);
	ts->tv_nsec = (long)(fake_now % 1000000000);
	return 0;
}

/* What happens while a reader leaves the processor to the writer. */
static struct host_nic *half_written;
static unsigned int yields;

int
sched_yield(void)
{
	yields++;
	if (half_written != NULL) {
		/* A writer begins with what the half did: the sequence becomes odd. */
		atomic_fetch_sub(&half_written->published.sequence, 1);
		host_nic_publish(half_written);
	}
	half_written = NULL;
	return 0;
}

static void
start(struct guest *g)
{
	fake_step = 0;
	guest_start(g, "recv=1M,send=256K,channels=4", 16);
	guest_up(g, 13);
	guest_offloads(g, NDIS_CAN_TSO4);
	guest_subchannels(g, 2);
}

/* The bytes of one large send, in pages 4 and up. */
static struct guest_range
large_send(struct guest *g)
{
	struct guest_range range = {0, 0, 4};
	struct rndis_packet_builder b;
	uint8_t *msg = g->pages + 4 * 4096, *frame;
	uint32_t header;

	rndis_packet_begin(&b, msg);
	rndis_packet_add(&b, RNDIS_PPI_LSO, rndis_lso(LSO_MSS, 34, false));
	header = rndis_packet_end(&b, 54 + LSO_DATA);
	frame = msg + header;
	memset(frame, 0, 54);
	memcpy(frame + 6, g->config.mac, 6);
	memcpy(frame + 12, "\x08\x00\x45", 3);
	frame[23] = 6;
	frame[46] = 0x50;
	range.count = header + 54 + LSO_DATA;
	return range;
}

/* Completions of the last poll on @p channel with ids of [first, first + n). */
static unsigned int
completed(const struct guest *g, unsigned int channel, uint64_t first, uint64_t n)
{
	unsigned int found = 0;

	for (uint32_t i = 0; i < g->packets_n; i++)
		found += g->packets[i].channel == channel &&
			 g->packets[i].desc.type == VMBUS_PACKET_COMPLETION &&
			 g->packets[i].desc.trans_id - first < n;
	return found;
}

/* Megabytes in a ring were one turn: nobody else was served until all of it was segmented. */
static void
test_flood_of_bytes(void)
{
	struct guest_range range;
	unsigned int done, turns, most = 0, neighbour = 0;
	uint8_t frame[60];
	struct guest g;

	start(&g);
	range = large_send(&g);
	for (uint64_t i = 0; i < SENDS; i++)
		CU_ASSERT_EQUAL_FATAL(
			guest_send_pages(&g, 0, NVSP_CHANNEL_DATA, &range, 1, 1000 + i), 0);
	guest_make_udp(&g, frame, 60, 1);
	guest_send_section(&g, 1, 0, guest_make_packet(g.send, frame, 60), 2000);
	for (done = turns = 0; done < SENDS && turns < SENDS; turns++) {
		unsigned int now;

		guest_poll(&g);
		now = completed(&g, 0, 1000, SENDS);
		done += now;
		most = now > most ? now : most;
		if (completed(&g, 1, 2000, 1) != 0)
			neighbour = turns + 1;
	}
	CU_ASSERT_EQUAL(done, SENDS);
	/* A megabyte is 16 of these. */
	CU_ASSERT(most <= 20);
	/* The second channel came right after the first one's turn, not after its last send. */
	CU_ASSERT(neighbour == 1 || neighbour == 2);
	CU_ASSERT_EQUAL(g.port.out_n, SENDS * ((LSO_DATA + LSO_MSS - 1) / LSO_MSS) + 1);
	guest_stop(&g);
}

/* Where each packet takes long, time ends the turn. */
static void
test_flood_of_time(void)
{
	unsigned int done = 0, turns;
	uint8_t frame[60];
	uint32_t bytes;
	struct guest g;

	start(&g);
	guest_make_udp(&g, frame, 60, 1);
	bytes = guest_make_packet(g.send, frame, 60);
	for (uint64_t i = 0; i < SENDS; i++)
		CU_ASSERT_EQUAL_FATAL(guest_send_section(&g, 0, 0, bytes, 1000 + i), 0);
	fake_step = 400000;
	for (turns = 0; done < SENDS && turns < SENDS; turns++) {
		unsigned int now;

		guest_poll(&g);
		now = completed(&g, 0, 1000, SENDS);
		CU_ASSERT(now > 0);
		CU_ASSERT(now < SENDS / 2);
		done += now;
	}
	CU_ASSERT_EQUAL(done, SENDS);
	CU_ASSERT_EQUAL(g.port.out_n, SENDS);
	guest_stop(&g);
}

/* Counters and state are there without the NIC's lock, and are those of one moment. */
static void
test_status_while_polled(void)
{
	struct host_nic_status status;
	uint8_t frame[60];
	struct guest g;

	start(&g);
	guest_make_udp(&g, frame, 60, 1);
	guest_send_section(&g, 0, 0, guest_make_packet(g.send, frame, 60), 1);
	while (guest_poll(&g) != 0)
		;
	host_nic_status(g.nic, &status);
	CU_ASSERT_EQUAL(status.stats.tx_frames, 1);
	CU_ASSERT_EQUAL(status.stats.tx_bytes, 60);
	CU_ASSERT_STRING_EQUAL(status.state, "running");
	CU_ASSERT_EQUAL(status.channels_open, 3);
	/* A reader that comes in the middle of a change gets what it becomes. */
	g.nic->stats.tx_frames = 77;
	g.nic->stats.tx_bytes = 7777;
	atomic_fetch_add(&g.nic->published.sequence, 1);
	atomic_store(&g.nic->published.words[0], 12345);
	half_written = g.nic;
	yields = 0;
	host_nic_status(g.nic, &status);
	CU_ASSERT(yields > 0);
	CU_ASSERT_EQUAL(status.stats.rx_frames, 0);
	CU_ASSERT_EQUAL(status.stats.tx_frames, 77);
	CU_ASSERT_EQUAL(status.stats.tx_bytes, 7777);
	guest_stop(&g);
}

/* Turns that all have work are not seen one by one, but in time, and the last of them at once. */
static void
test_status_of_a_busy_nic(void)
{
	struct host_nic_status status;
	unsigned int turns, lag, most = 0, seen = 0;
	uint8_t frame[60];
	struct guest g;

	start(&g);
	guest_make_udp(&g, frame, 60, 1);
	for (turns = 1; turns <= BUSY_TURNS; turns++) {
		guest_send_section(&g, 0, 0, guest_make_packet(g.send, frame, 60), turns);
		CU_ASSERT_NOT_EQUAL(guest_poll(&g), 0);
		host_nic_status(g.nic, &status);
		lag = turns - (unsigned int)status.stats.tx_frames;
		seen += lag == 0;
		most = lag > most ? lag : most;
	}
	CU_ASSERT(most < 16);
	CU_ASSERT(seen < BUSY_TURNS / 4);
	while (guest_poll(&g) != 0)
		;
	host_nic_status(g.nic, &status);
	CU_ASSERT_EQUAL(status.stats.tx_frames, BUSY_TURNS);
	/* One that comes alone is seen when it is over. */
	guest_send_section(&g, 0, 0, guest_make_packet(g.send, frame, 60), turns);
	CU_ASSERT_NOT_EQUAL(guest_poll(&g), 0);
	host_nic_status(g.nic, &status);
	CU_ASSERT_EQUAL(status.stats.tx_frames, BUSY_TURNS + 1);
	guest_stop(&g);
}

/* A guest that breaks its rings over and over printed as many lines, or for ever none. */
static void
test_log_lines(void)
{
	struct log_limit limit = {0};
	uint64_t now = 5000000000, left_out = 99, printed = 0, told = 0;

	for (unsigned int i = 0; i < 100000; i++)
		printed += log_allowed(&limit, now, &left_out);
	CU_ASSERT_EQUAL(printed, LOG_BURST);
	CU_ASSERT_EQUAL(left_out, 0);
	for (unsigned int i = 0; i < 60; i++) {
		now += LOG_INTERVAL_NS;
		for (unsigned int k = 0; k < 100; k++)
			if (log_allowed(&limit, now, &left_out)) {
				printed++;
				told += left_out;
			}
	}
	CU_ASSERT_EQUAL(printed, LOG_BURST + 60);
	CU_ASSERT_EQUAL(printed + told + limit.suppressed, 100000 + 6000);
	/* After a quiet time there is a burst again. */
	now += 3600 * LOG_INTERVAL_NS;
	for (unsigned int i = 0; i < LOG_BURST; i++)
		CU_ASSERT(log_allowed(&limit, now, &left_out));
	CU_ASSERT(!log_allowed(&limit, now, &left_out));
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"a flood of bytes is many turns", test_flood_of_bytes},
		{"a flood of time is many turns", test_flood_of_time},
		{"status while polled", test_status_while_polled},
		{"status of a busy NIC", test_status_of_a_busy_nic},
		{"log lines", test_log_lines},
	};

	return UNIT_RUN("host_share", tests);
}
