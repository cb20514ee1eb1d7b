/* SPDX-License-Identifier: BSD-3-Clause */
/* Ports that move other people's frames: pcap, echo, switch. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/host/port_queue.h"
#include "test/unit/host_port.h"
#include "test/unit/unit.h"

static char dir[] = "/tmp/host_port_io.XXXXXX";

static struct host_port_stats
stats_of(struct host_port *port)
{
	struct host_port_stats s;

	port->ops->stats(port, &s);
	return s;
}

static _Thread_local uint8_t room[64][2048];

static unsigned int
take(struct host_port *port, struct host_frame *frames, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		frames[i].data = room[i];
		frames[i].room = sizeof(room[i]);
		frames[i].len = 0;
		frames[i].head = NULL;
	}
	return port->ops->receive(port, frames, n);
}

/* ---- pcap ---- */

static const char *
path(const char *name)
{
	static char buf[4][128];
	static unsigned int i;

	i = (i + 1) % 4;
	snprintf(buf[i], sizeof(buf[i]), "%s/%s", dir, name);
	return buf[i];
}

struct pcap_head {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t zone, sigfigs, snaplen, link;
};

struct pcap_frame {
	uint32_t sec, usec, caplen, len;
};

/* Frames of 60 + 7i bytes; the last one short by @p cut bytes in the file. */
static size_t
write_capture(const char *name, uint32_t link, unsigned int n, uint32_t caplen_less, size_t cut)
{
	struct pcap_head head = {0xa1b2c3d4, 2, 4, 0, 0, 65535, link};
	FILE *f = fopen(path(name), "w");
	uint8_t bytes[2048];
	long size;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fwrite(&head, sizeof(head), 1, f);
	for (unsigned int i = 0; i < n; i++) {
		uint32_t len = 60 + 7 * i;
		struct pcap_frame frame = {1000 + i, i, len - caplen_less, len};

		for (unsigned int b = 0; b < len; b++)
			bytes[b] = (uint8_t)(i * 17 + b * 3);
		fwrite(&frame, sizeof(frame), 1, f);
		fwrite(bytes, len - caplen_less, 1, f);
	}
	size = ftell(f);
	fclose(f);
	if (cut != 0)
		CU_ASSERT_EQUAL(truncate(path(name), size - (long)cut), 0);
	return (size_t)size;
}

static void
spec(char out[256], const char *format, const char *a, const char *b)
{
	char pa[128], pb[128] = "";

	snprintf(pa, sizeof(pa), "%s", path(a));
	if (b != NULL)
		snprintf(pb, sizeof(pb), "%s", path(b));
	snprintf(out, 256, format, pa, pb);
}

/* Frames of a capture file written by us or by libpcap, compared without their times. */
static size_t
read_frames(const char *name, uint8_t *out, size_t max)
{
	FILE *f = fopen(path(name), "r");
	struct pcap_head head;
	struct pcap_frame frame;
	size_t used = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(fread(&head, sizeof(head), 1, f), 1);
	CU_ASSERT_EQUAL(head.magic, 0xa1b2c3d4);
	CU_ASSERT_EQUAL(head.link, 1);
	while (fread(&frame, sizeof(frame), 1, f) == 1) {
		CU_ASSERT_EQUAL_FATAL(frame.caplen, frame.len);
		CU_ASSERT_FATAL(used + 4 + frame.len <= max);
		memcpy(out + used, &frame.len, 4);
		CU_ASSERT_EQUAL_FATAL(fread(out + used + 4, frame.len, 1, f), 1);
		used += 4 + frame.len;
	}
	fclose(f);
	return used;
}

static void
test_pcap_identity(void)
{
	static uint8_t in[256 << 10], out[256 << 10];
	struct host_frame frames[64];
	struct host_port *port;
	unsigned int n, total = 0;
	size_t a, b;
	char s[256];

	write_capture("in.pcap", 1, 150, 0, 0);
	spec(s, "pcap:in=%s,out=%s", "in.pcap", "out.pcap");
	port = open_port(s);
	CU_ASSERT(port->ops->on_demand);
	CU_ASSERT(!stats_of(port).finished);
	while ((n = take(port, frames, 64)) > 0) {
		port->ops->send(port, frames, n);
		port->ops->flush(port);
		total += n;
	}
	CU_ASSERT_EQUAL(total, 150);
	CU_ASSERT(stats_of(port).finished);
	/* Two idle flushes: the file is complete while the port is still open. */
	port->ops->flush(port);
	port->ops->flush(port);
	a = read_frames("in.pcap", in, sizeof(in));
	b = read_frames("out.pcap", out, sizeof(out));
	CU_ASSERT_EQUAL(a, b);
	CU_ASSERT(a > 150 * 60);
	CU_ASSERT_EQUAL(memcmp(in, out, a), 0);
	port->ops->close(port);
}

static void
test_pcap_loop(void)
{
	struct host_frame frames[64];
	struct host_port *port;
	unsigned int n, total = 0;
	char s[256];

	write_capture("loop.pcap", 1, 10, 0, 0);
	spec(s, "pcap:in=%s,loop=3", "loop.pcap", NULL);
	port = open_port(s);
	while ((n = take(port, frames, 64)) > 0)
		total += n;
	CU_ASSERT_EQUAL(total, 30);
	CU_ASSERT(stats_of(port).finished);
	CU_ASSERT_EQUAL(port->ops->deadline(port), UINT64_MAX);
	port->ops->close(port);
}

static void
refused(const char *s, const char *because)
{
	struct host_port *port = NULL;
	char err[512] = "";

	CU_ASSERT(host_port_open(s, guest_mac, &port, err, sizeof(err)) < 0);
	CU_ASSERT_PTR_NULL(port);
	if (strstr(err, because) == NULL)
		printf("%s: %s\n", s, err);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, because));
}

static void
test_pcap_bad_files(void)
{
	char s[256];
	FILE *f;

	write_capture("cut.pcap", 1, 5, 0, 3);
	spec(s, "pcap:in=%s", "cut.pcap", NULL);
	refused(s, "damaged after frame 4");
	write_capture("cuthead.pcap", 1, 5, 0, 60 + 28 + 3);
	spec(s, "pcap:in=%s", "cuthead.pcap", NULL);
	refused(s, "damaged after frame 4");
	write_capture("snap.pcap", 1, 5, 10, 0);
	spec(s, "pcap:in=%s", "snap.pcap", NULL);
	refused(s, "frame 1 of");
	write_capture("wifi.pcap", 105, 5, 0, 0);
	spec(s, "pcap:in=%s", "wifi.pcap", NULL);
	refused(s, "IEEE802_11");
	f = fopen(path("text.pcap"), "w");
	fputs("this is not a capture at all, but long enough to be one\n", f);
	fclose(f);
	spec(s, "pcap:in=%s", "text.pcap", NULL);
	refused(s, "text.pcap");
	write_capture("same.pcap", 1, 5, 0, 0);
	spec(s, "pcap:in=%s,out=%s", "same.pcap", "same.pcap");
	refused(s, "same file");
	spec(s, "pcap:in=%s", ".", NULL);
	refused(s, "cannot read");
}

/* ---- echo and its queue ---- */

static void
test_queue_keeps_order_when_it_wraps(void)
{
	uint8_t frame[4096], back[4096];
	uint32_t in = 0, out = 0, seed = 1, len, got;
	struct port_queue q;

	CU_ASSERT_EQUAL_FATAL(port_queue_init(&q), 0);
	q.size = 8192; /* small, so that it wraps often */
	for (unsigned int round = 0; round < 20000; round++) {
		seed = seed * 1103515245 + 12345;
		if (seed >> 31) {
			len = 4 + in * 37 % 2000;
			memset(frame, (int)(in & 0xff), len);
			memcpy(frame, &in, 4);
			if (port_queue_put(&q, &(struct host_frame){.data = frame, .len = len}))
				in++;
		} else {
			got = port_queue_get(&q, back, sizeof(back));
			if (got == 0) {
				CU_ASSERT_EQUAL(in, out);
				continue;
			}
			len = 4 + out * 37 % 2000;
			CU_ASSERT_EQUAL_FATAL(got, len);
			CU_ASSERT_EQUAL_FATAL(memcmp(back, &out, 4), 0);
			CU_ASSERT(len == 4 || back[len - 1] == (uint8_t)out);
			out++;
		}
	}
	CU_ASSERT(out > 5000);
	for (; port_queue_get(&q, back, sizeof(back)) != 0; out++)
		CU_ASSERT_EQUAL(memcmp(back, &out, 4), 0);
	CU_ASSERT_EQUAL(in, out);
	CU_ASSERT(port_queue_empty(&q));
	free(q.data);
}

/* Of a frame whose sender can still write it, the first bytes are those that were checked. */
static void
test_checked_bytes_go_on(void)
{
	static const char *const kinds[] = {"echo", "switch:checked"};
	uint8_t head[HOST_FRAME_HEAD], shared[64], expected[64];
	struct host_frame f = {.data = shared, .len = sizeof(shared), .head = head};

	memset(shared, 0xee, sizeof(shared));
	memset(expected, 0xee, sizeof(expected));
	memset(head, 0x22, sizeof(head));
	head[0] = 0x24; /* not its own address */
	memcpy(expected, head, sizeof(head));
	for (unsigned int i = 0; i < 2; i++) {
		struct host_port *from = open_port(kinds[i]),
				 *to = i == 0 ? from : open_port(kinds[i]);
		struct host_frame got[64];

		CU_ASSERT(from->ops->in_place);
		from->ops->send(from, &f, 1);
		CU_ASSERT_EQUAL_FATAL(take(to, got, 64), 1);
		CU_ASSERT_EQUAL(memcmp(got[0].data, expected, sizeof(expected)), 0);
		if (to != from)
			to->ops->close(to);
		from->ops->close(from);
	}
}

static void
test_echo(void)
{
	struct host_port *port = open_port("echo");
	struct host_frame f = {0}, frames[64];
	unsigned int i, total = 0, n;
	static uint8_t big[1500];

	for (i = 0; i < 8000; i++) {
		f.data = big;
		f.len = 60 + i % 1400;
		memcpy(big, &i, sizeof(i));
		port->ops->send(port, &f, 1);
	}
	/* Bounded: what did not fit was dropped, the rest comes back in order. */
	CU_ASSERT(stats_of(port).tx_dropped > 0);
	CU_ASSERT_EQUAL(port->ops->deadline(port), 0);
	while ((n = take(port, frames, 64)) > 0)
		for (unsigned int k = 0; k < n; k++, total++)
			if (total < 1000) {
				memcpy(&i, frames[k].data, sizeof(i));
				CU_ASSERT_EQUAL(i, total);
				CU_ASSERT_EQUAL(frames[k].len, 60 + total % 1400);
			}
	CU_ASSERT_EQUAL(total + stats_of(port).tx_dropped, 8000);
	CU_ASSERT_EQUAL(port->ops->deadline(port), UINT64_MAX);
	port->ops->close(port);
}

/* ---- switch ---- */

static void
say(struct host_port *port, uint8_t to, uint8_t from, uint8_t what)
{
	uint8_t frame[60] = {0x02, 0, 0, 0, 0, to, 0x02, 0, 0, 0, 0, from, 0x08, 0x00, what};
	struct host_frame f = {frame, sizeof(frame), 0};

	if (to == 0xff)
		memset(frame, 0xff, 6);
	port->ops->send(port, &f, 1);
}

/* The marks of all frames waiting, as a number in base 100. */
static unsigned int
heard(struct host_port *port)
{
	struct host_frame frames[64];
	unsigned int i, sum = 0, n = take(port, frames, 64);

	for (i = 0; i < n; i++)
		sum = sum * 100 + frames[i].data[14];
	return sum;
}

static void
test_switch_learns(void)
{
	struct host_port *a = open_port("switch:t"), *b = open_port("switch:t"),
			 *c = open_port("switch:t"), *other = open_port("switch:u");

	say(a, 2, 1, 11); /* unknown: everywhere else */
	CU_ASSERT_EQUAL(heard(a), 0);
	CU_ASSERT_EQUAL(heard(b), 11);
	CU_ASSERT_EQUAL(heard(c), 11);
	say(b, 1, 2, 12); /* a was learned */
	CU_ASSERT_EQUAL(heard(a), 12);
	CU_ASSERT_EQUAL(heard(c), 0);
	say(a, 2, 1, 13); /* b as well */
	CU_ASSERT_EQUAL(heard(b), 13);
	CU_ASSERT_EQUAL(heard(c), 0);
	say(c, 0xff, 3, 14);
	CU_ASSERT_EQUAL(heard(a), 14);
	CU_ASSERT_EQUAL(heard(b), 14);
	CU_ASSERT_EQUAL(heard(c), 0);
	say(c, 0xff, 1, 15); /* the address moves */
	heard(a);
	heard(b);
	say(b, 1, 2, 16);
	CU_ASSERT_EQUAL(heard(a), 0);
	CU_ASSERT_EQUAL(heard(c), 16);
	say(b, 2, 2, 17); /* to itself: nowhere */
	CU_ASSERT_EQUAL(heard(a) + heard(b) + heard(c), 0);
	CU_ASSERT_EQUAL(heard(other), 0);
	/* A port that left is forgotten; its addresses are unknown again. */
	c->ops->close(c);
	say(b, 1, 2, 18);
	CU_ASSERT_EQUAL(heard(a), 18);
	a->ops->close(a);
	b->ops->close(b);
	other->ops->close(other);
}

static void
test_switch_vlans(void)
{
	struct host_port *a5 = open_port("switch:t,vlan=5"), *b5 = open_port("switch:t,vlan=5"),
			 *a6 = open_port("switch:t,vlan=6"), *plain = open_port("switch:t");
	uint8_t tagged[60] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 9, 0x81, 0, 0, 6};
	struct host_frame f = {tagged, sizeof(tagged), 0};

	say(a5, 0xff, 1, 21);
	CU_ASSERT_EQUAL(heard(b5), 21);
	CU_ASSERT_EQUAL(heard(a6), 0);
	CU_ASSERT_EQUAL(heard(plain), 0);
	/* An address learned in one VLAN is unknown in another. */
	say(a6, 1, 2, 22);
	say(plain, 1, 3, 23);
	CU_ASSERT_EQUAL(heard(a5) + heard(b5) + heard(plain), 0);
	/* Hopping: a tag from an access port, or from the plain network, reaches nobody. */
	a5->ops->send(a5, &f, 1);
	CU_ASSERT_EQUAL(stats_of(a5).tx_dropped, 1);
	plain->ops->send(plain, &f, 1);
	CU_ASSERT_EQUAL(heard(a6) + heard(b5), 0);
	a5->ops->close(a5);
	b5->ops->close(b5);
	a6->ops->close(a6);
	plain->ops->close(plain);
}

static bool
readable(struct host_port *port)
{
	struct pollfd p = {port->ops->fd(port), POLLIN, 0};

	return poll(&p, 1, 0) == 1;
}

static void
test_switch_wakes_a_sleeper(void)
{
	struct host_port *a = open_port("switch:t"), *b = open_port("switch:t");

	/* Who polls costs the sender no signal. */
	CU_ASSERT_EQUAL(heard(b), 0);
	say(a, 0xff, 1, 30);
	CU_ASSERT(!readable(b));
	CU_ASSERT_EQUAL(b->ops->deadline(b), 0);
	CU_ASSERT_EQUAL(heard(b), 30);
	/* About to sleep: asked for when there may be work. */
	CU_ASSERT_EQUAL(b->ops->deadline(b), UINT64_MAX);
	CU_ASSERT(!readable(b));
	say(a, 0xff, 1, 31);
	CU_ASSERT(readable(b));
	CU_ASSERT_EQUAL(heard(b), 31);
	CU_ASSERT(!readable(b));
	CU_ASSERT_EQUAL(heard(b), 0);
	CU_ASSERT_EQUAL(b->ops->deadline(b), UINT64_MAX);
	CU_ASSERT_EQUAL(b->ops->deadline(b), UINT64_MAX);
	say(a, 0xff, 1, 32);
	CU_ASSERT(readable(b));
	a->ops->close(a);
	CU_ASSERT_EQUAL(heard(b), 32);
	CU_ASSERT(!readable(b));
	b->ops->close(b);
}

#define THREAD_FRAMES 20000u

static void *
talk(void *arg)
{
	struct host_port *port = arg;

	for (unsigned int i = 0; i < THREAD_FRAMES; i++)
		say(port, 0xff, 1, 1);
	return NULL;
}

/* Two NICs on two threads: every frame is delivered or counted as dropped. */
static void
test_switch_threads(void)
{
	struct host_port *a = open_port("switch:t"), *b = open_port("switch:t");
	struct host_frame frames[64];
	uint64_t got = 0;
	pthread_t t;

	CU_ASSERT_EQUAL_FATAL(pthread_create(&t, NULL, talk, a), 0);
	for (unsigned int i = 0; i < 1000000 && got + stats_of(b).tx_dropped < THREAD_FRAMES; i++) {
		struct pollfd p = {b->ops->fd(b), POLLIN, 0};

		got += take(b, frames, 64);
		if (b->ops->deadline(b) != 0)
			poll(&p, 1, 100);
	}
	pthread_join(t, NULL);
	CU_ASSERT_EQUAL(got + stats_of(b).tx_dropped, THREAD_FRAMES);
	CU_ASSERT(got > 0);
	a->ops->close(a);
	b->ops->close(b);
}

struct talker {
	struct host_port *port;
	uint8_t self, peer;
	uint64_t sent, got;
};

/* Sends to the peer and to all, from three addresses, and receives. */
static void *
converse(void *arg)
{
	struct talker *t = arg;
	struct host_frame frames[64];
	unsigned int i;

	for (i = 0; i < THREAD_FRAMES; i++) {
		say(t->port, i % 5 == 0 ? 0xff : t->peer, (uint8_t)(t->self + i % 3 * 16), 1);
		t->sent++;
		t->got += take(t->port, frames, 64);
	}
	return NULL;
}

/* Others join and leave meanwhile; between the two that stay nothing is lost that is not counted.
 */
static void
test_switch_comings_and_goings(void)
{
	struct talker talker[2] = {{open_port("switch:t"), 1, 2}, {open_port("switch:t"), 2, 1}};
	struct host_frame frames[64];
	pthread_t thread[2];
	unsigned int i, n;

	for (i = 0; i < 2; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&thread[i], NULL, converse, &talker[i]), 0);
	for (i = 0; i < 300; i++) {
		struct host_port *c = open_port(i % 2 ? "switch:t" : "switch:t,vlan=3");

		say(c, 9, (uint8_t)(i % 2 ? 9 : 1), 1);
		n = take(c, frames, 64);
		/* Nothing goes from one network to another. */
		CU_ASSERT(i % 2 != 0 || n == 0);
		c->ops->close(c);
	}
	for (i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	for (i = 0; i < 2; i++) {
		struct host_port *to = talker[!i].port;

		while ((n = take(to, frames, 64)) != 0)
			talker[!i].got += n;
		CU_ASSERT(talker[!i].got + stats_of(to).rx_dropped_full >= talker[i].sent);
	}
	for (i = 0; i < 2; i++)
		talker[i].port->ops->close(talker[i].port);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"pcap in equals pcap out", test_pcap_identity},
		{"pcap loop", test_pcap_loop},
		{"pcap refuses bad files", test_pcap_bad_files},
		{"queue keeps order when it wraps", test_queue_keeps_order_when_it_wraps},
		{"checked bytes go on, not the sender's", test_checked_bytes_go_on},
		{"echo", test_echo},
		{"switch learns", test_switch_learns},
		{"switch keeps VLANs apart", test_switch_vlans},
		{"switch wakes a sleeper", test_switch_wakes_a_sleeper},
		{"switch between threads", test_switch_threads},
		{"switch with comings and goings", test_switch_comings_and_goings},
	};

	return UNIT_RUN_IN(dir, "host_port_io", tests);
}
