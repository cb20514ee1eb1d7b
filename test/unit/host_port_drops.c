/* SPDX-License-Identifier: BSD-3-Clause */
/* What a port loses is counted under its reason: frames in = frames out + drops + unclaimed. */
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "test/unit/host_port.h"
#include "test/unit/unit.h"

static struct host_port_stats
stats_of(struct host_port *port)
{
	struct host_port_stats s;

	port->ops->stats(port, &s);
	/* The sum is what it says. */
	CU_ASSERT_EQUAL(s.tx_dropped, s.rx_dropped_size + s.rx_dropped_full + s.tx_dropped_full +
					      s.tx_dropped_error + s.tx_dropped_vlan);
	return s;
}

static void
say(struct host_port *port, uint8_t to, uint8_t from, uint32_t len)
{
	static uint8_t frame[70000];
	struct host_frame f = {frame, len, 0};

	memset(frame, 0, 14);
	frame[0] = to == 0xff ? 0xff : 2;
	memset(frame + 1, to == 0xff ? 0xff : 0, 4);
	frame[5] = to;
	frame[6] = 2;
	frame[11] = from;
	port->ops->send(port, &f, 1);
}

/* Take everything with room for @p room bytes a frame. */
static unsigned int
hear(struct host_port *port, uint32_t room)
{
	static uint8_t data[70000];
	struct host_frame f = {data, 0, room};
	unsigned int n = 0;

	while (port->ops->receive(port, &f, 1) == 1)
		n++;
	return n;
}

static void
echo_counts_full_and_too_long(void)
{
	struct host_port *echo = open_port("echo");
	unsigned int i, back;

	for (i = 0; i < 8000; i++)
		say(echo, 1, 2, i % 2 == 0 ? 1000 : 1600);
	back = hear(echo, 1500);
	CU_ASSERT(stats_of(echo).tx_dropped_full > 0);
	CU_ASSERT(stats_of(echo).rx_dropped_size > 0);
	CU_ASSERT_EQUAL(stats_of(echo).tx_frames, 8000);
	CU_ASSERT_EQUAL(
		8000, back + stats_of(echo).tx_dropped_full + stats_of(echo).rx_dropped_size);
	echo->ops->close(echo);
}

static void
switch_counts_what_nobody_gets(void)
{
	struct host_port *a = open_port("switch:drops"), *b;
	unsigned int i, got;

	/* Alone on the switch. */
	say(a, 9, 1, 60);
	say(a, 0xff, 1, 60);
	CU_ASSERT_EQUAL(stats_of(a).tx_unclaimed, 2);
	b = open_port("switch:drops");
	/* To an address that is on the sender's own side. */
	say(a, 9, 1, 60);
	say(a, 9, 5, 60);
	say(a, 5, 1, 60);
	CU_ASSERT_EQUAL(stats_of(a).tx_unclaimed, 3);
	CU_ASSERT_EQUAL(hear(b, 2000), 2);
	/* The other's queue is full: its loss, on the way to its guest. */
	for (i = 0; i < 8000; i++)
		say(a, 9, 1, 1000);
	say(a, 9, 1, 2000);
	got = hear(b, 1500);
	CU_ASSERT(stats_of(b).rx_dropped_full > 0);
	CU_ASSERT_EQUAL(8001, got + stats_of(b).rx_dropped_full + stats_of(b).rx_dropped_size);
	CU_ASSERT_EQUAL(stats_of(a).tx_frames, 2 + 3 + 8001);
	CU_ASSERT_EQUAL(stats_of(a).tx_dropped, 0);
	/* What is shorter than a header has no address. */
	say(a, 9, 1, 13);
	CU_ASSERT_EQUAL(stats_of(a).tx_dropped_error, 1);
	CU_ASSERT_EQUAL(stats_of(a).tx_dropped_vlan, 0);
	a->ops->close(a);
	b->ops->close(b);
}

static void
gen_counts_what_is_longer_than_the_section(void)
{
	struct host_port *gen = open_port("gen:size=1000-2000,count=500");
	unsigned int got = 0, i;

	for (i = 0; i < 500 && !stats_of(gen).finished; i++)
		got += hear(gen, 1500);
	CU_ASSERT(stats_of(gen).rx_dropped_size > 0);
	CU_ASSERT_EQUAL(got + stats_of(gen).rx_dropped_size, 500);
	gen->ops->close(gen);
}

static void
pcap_without_a_file_counts_what_nobody_gets(void)
{
	char name[] = "/tmp/host_port_drops.XXXXXX", spec[64];
	int fd = mkstemp(name);
	struct host_port *record, *play;

	CU_ASSERT_FATAL(fd >= 0);
	close(fd);
	snprintf(spec, sizeof(spec), "pcap:out=%s", name);
	record = open_port(spec);
	say(record, 1, 2, 60);
	say(record, 1, 2, 1700);
	CU_ASSERT_EQUAL(stats_of(record).tx_unclaimed, 0);
	record->ops->close(record);
	snprintf(spec, sizeof(spec), "pcap:in=%s", name);
	play = open_port(spec);
	say(play, 1, 2, 60);
	CU_ASSERT_EQUAL(stats_of(play).tx_unclaimed, 1);
	CU_ASSERT_EQUAL(hear(play, 1500), 1);
	CU_ASSERT_EQUAL(stats_of(play).rx_dropped_size, 1);
	play->ops->close(play);
	unlink(name);
}

/* The disk is full while frames are only buffered: all of them are lost, not the one flush. */
static void
pcap_counts_every_frame_that_the_file_did_not_take(void)
{
	char name[] = "/tmp/host_port_drops.XXXXXX", spec[64];
	struct rlimit before, limit;
	struct host_port *port;
	int fd = mkstemp(name);
	unsigned int i;

	CU_ASSERT_FATAL(fd >= 0);
	close(fd);
	snprintf(spec, sizeof(spec), "pcap:out=%s", name);
	port = open_port(spec);
	signal(SIGXFSZ, SIG_IGN);
	CU_ASSERT_EQUAL(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = 24; /* the header is in it */
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &limit), 0);
	for (i = 0; i < 20; i++)
		say(port, 1, 2, 1000);
	port->ops->flush(port);
	port->ops->flush(port);
	CU_ASSERT_EQUAL(stats_of(port).tx_dropped_error, 20);
	say(port, 1, 2, 1000);
	CU_ASSERT_EQUAL(stats_of(port).tx_dropped_error, 21);
	CU_ASSERT_EQUAL(stats_of(port).tx_frames, 21);
	port->ops->close(port);
	setrlimit(RLIMIT_FSIZE, &before);
	unlink(name);
}

/* What ends in a sink is verified, corrupt, a duplicate or foreign: nothing else, nothing twice. */
static void
sink_counts_every_frame_once(void)
{
	struct host_port *sink = open_port("sink"), *gen = open_port("gen:count=50,size=80");
	static uint8_t data[2000];
	struct host_frame f = {data, 0, sizeof(data)};
	struct host_port_stats s;
	unsigned int i;

	for (i = 0; gen->ops->receive(gen, &f, 1) == 1; i++) {
		if (i == 7)
			f.data[70] ^= 1;
		sink->ops->send(sink, &f, 1);
		if (i == 9)
			sink->ops->send(sink, &f, 1);
		f.room = sizeof(data);
	}
	for (i = 0; i < 5; i++)
		say(sink, 1, 2, 60);
	s = stats_of(sink);
	CU_ASSERT_EQUAL(s.tx_frames, 56);
	CU_ASSERT_EQUAL(s.verified, 49);
	CU_ASSERT_EQUAL(s.corrupt, 1);
	CU_ASSERT_EQUAL(s.duplicate, 1);
	CU_ASSERT_EQUAL(s.foreign, 5);
	sink->ops->close(sink);
	gen->ops->close(gen);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"echo counts full and too long", echo_counts_full_and_too_long},
		{"switch counts what nobody gets", switch_counts_what_nobody_gets},
		{"sink counts every frame once", sink_counts_every_frame_once},
		{"gen counts what is longer than the section",
			gen_counts_what_is_longer_than_the_section},
		{"pcap without a file counts what nobody gets",
			pcap_without_a_file_counts_what_nobody_gets},
		{"pcap counts every frame that the file did not take",
			pcap_counts_every_frame_that_the_file_did_not_take},
	};

	return UNIT_RUN("host_port_drops", tests);
}
