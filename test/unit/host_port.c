/* SPDX-License-Identifier: BSD-3-Clause */
/* Port specifications, generated frames and their verifier. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/host/crc32c.h"
#include "lib/host/gen_plain.h"
#include "lib/host/verify.h"
#include "test/unit/host_port.h"
#include "test/unit/unit.h"

static void
test_good_specs(void)
{
	static const char *const good[] = {
		"sink",
		"sink:flows=100",
		"sink:verify=none",
		"sink:flows=9,verify=1/1",
		"gen:size=1514,verify=1/1000000",
		"echo",
		"echo:",
		"gen",
		"gen:",
		"gen:size=60",
		"gen:size=9014,rate=1M",
		"gen:size=60-1514,rate=250k,flows=64,seed=7,count=10",
		"gen:size=imix,flows=65536",
		"gen:rate=0,count=0",
		"switch:lan",
		"switch:lan,vlan=1",
		"switch:lan,vlan=4094",
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct host_port *port = open_port(good[i]);

		CU_ASSERT_EQUAL(strncmp(port->ops->kind, good[i], strlen(port->ops->kind)), 0);
		port->ops->close(port);
	}
}

static void
test_bad_specs(void)
{
	/* The second string must be in the message. */
	static const char *const bad[][2] = {
		{"", "valid ports"},
		{"tapp:x", "'tapp:x'"},
		{"GEN", "valid ports"},
		{"ge", "valid ports"},
		{":", "valid ports"},
		{"sink:verify=1", "sink: verify=1 is not none, or 1/N"},
		{"sink:verify=1/0", "N from 1 to 1000000"},
		{"gen:verify=1/1000001", "gen: verify=1/1000001"},
		{"gen:verify=all", "verify=all is not none"},
		{"gen:verify=", "needs a value"},
		{"echo:verify=none", "'verify'"},
		{"sink:flows=0", "from 1 to"},
		{"echo:x", "'x'"},
		{"gen:sise=60", "valid keys: size=, rate=, flows=, seed=, count="},
		{"gen:size=59", "from 60 to 9014"},
		{"gen:size=9015", "size=9015"},
		{"gen:size=", "needs a value"},
		{"gen:size", "needs a value"},
		{"gen:size=1514-60", "1514-60"},
		{"gen:size=60-", "size=60-"},
		{"gen:size=60x", "size=60x"},
		{"gen:size=-60", "size=-60"},
		{"gen:size=64,size=65", "twice"},
		{"gen:rate=fast", "rate=fast"},
		{"gen:rate=1MM", "rate=1MM"},
		{"gen:rate=-1", "rate=-1"},
		{"gen:rate=99999999999", "rate="},
		{"gen:flows=0", "flows=0"},
		{"gen:flows=262145", "flows=262145"},
		{"gen:seed=99999999999999999999999", "seed="},
		{"gen:count=1.5", "count=1.5"},
		{"gen:,", "unknown key ''"},
		{"gen:rate=1,,count=1", "unknown key ''"},
		{"pcap", "needs in="},
		{"pcap:", "needs in="},
		{"pcap:file=x", "valid keys: in=, out=, loop=, rate="},
		{"pcap:in=/nonexistent/x.pcap", "/nonexistent/x.pcap"},
		{"pcap:out=/nonexistent/x.pcap", "/nonexistent/x.pcap"},
		{"pcap:out=/dev/null,loop=2", "without in="},
		{"pcap:in=/dev/null", "/dev/null"},
		{"tap", "needs the interface's name"},
		{"tap:", "needs the interface's name"},
		{"tap:a/b", "'a/b'"},
		{"tap:0123456789abcdef", "at most 15"},
		{"tap:x%d", "'x%d'"},
		{"tap:hp0,mtu=9000", "'mtu'"},
		{"tap:hp0,vnet=1", "neither on nor off"},
		{"switch", "needs a name"},
		{"switch:vlan=3", "needs a name"},
		{"switch:lan,vlan=0", "from 1 to 4094"},
		{"switch:lan,vlan=4095", "vlan=4095"},
		{"switch:lan,vlam=3", "'vlam'"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct host_port *port = NULL;
		char err[256] = "";
		int rc = host_port_open(bad[i][0], guest_mac, &port, err, sizeof(err));

		CU_ASSERT(rc < 0);
		CU_ASSERT_PTR_NULL(port);
		if (strstr(err, bad[i][1]) == NULL)
			printf("%s: %s\n", bad[i][0], err);
		CU_ASSERT_PTR_NOT_NULL(strstr(err, bad[i][1]));
	}
}

/* CRC32C of "123456789" (RFC 3720 B.4's polynomial), and of 32 zero bytes. */
static void
test_crc32c(void)
{
	static const uint8_t zero[32];

	CU_ASSERT_EQUAL(~crc32c(~0u, "123456789", 9), 0xe3069283u);
	CU_ASSERT_EQUAL(~crc32c(~0u, zero, sizeof(zero)), 0x8a9136aau);
}

/* What a plain generated frame takes of it: 14 bytes at @p at, then a distance. */
static void
header_is_the_same(uint32_t crc, const uint8_t *at, uint32_t distance)
{
	uint64_t words[2];

	memcpy(words, at, sizeof(words));
	CU_ASSERT_EQUAL_FATAL(crc32c_14(crc, words[0], words[1]), crc32c_portable(crc, at, 14));
	CU_ASSERT_EQUAL_FATAL(crc32c_skip(crc, distance), crc32c_skip_portable(crc, distance));
}

/* What the processor's instructions give is what bytes taken one by one give, for any length. */
static void
test_crc32c_is_the_same_without_instructions(void)
{
	static uint8_t data[GEN_FRAME_MAX + 24], zero[GEN_FRAME_MAX];
	static uint32_t distances[GEN_FRAME_MAX + 1];
	uint64_t random = 7;
	uint32_t crc = 0x12345678, len;

	for (len = 0; len < sizeof(data); len++)
		data[len] = (uint8_t)gen_random(&random);
	crc32c_distances(distances, GEN_FRAME_MAX);
	for (len = 0; len <= GEN_FRAME_MAX; len += len < 700 ? 1 : 77) {
		const uint8_t *at = data + len % 8;
		uint32_t distance = distances[len];

		CU_ASSERT_EQUAL_FATAL(crc32c(crc, at, len), crc32c_portable(crc, at, len));
		CU_ASSERT_EQUAL_FATAL(crc32c_skip(crc, distance), crc32c_portable(crc, zero, len));
		CU_ASSERT_EQUAL_FATAL(
			crc32c_skip_portable(crc, distance), crc32c_portable(crc, zero, len));
		CU_ASSERT_EQUAL_FATAL(crc32c_skip(crc, distance) ^ crc32c(0, at, len),
			crc32c_portable(crc, at, len));
		header_is_the_same(crc, at, distance);
#if defined(__x86_64__)
		const bool fast = crc32c_fast;

		crc32c_fast = false;
		header_is_the_same(crc, at, distance);
		CU_ASSERT_EQUAL_FATAL(crc32c(crc, at, len), crc32c_portable(crc, at, len));
		crc32c_fast = fast;
#endif
	}
}

#define ROOM 9100u

static uint8_t room[64][ROOM];

static unsigned int
take(struct host_port *port, struct host_frame *frames, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		frames[i].data = room[i];
		frames[i].room = ROOM;
		frames[i].len = 0;
		frames[i].head = NULL;
	}
	return port->ops->receive(port, frames, n);
}

static struct host_port_stats
stats_of(struct host_port *port)
{
	struct host_port_stats s;

	port->ops->stats(port, &s);
	return s;
}

static uint64_t
digest(const char *spec, unsigned int count, uint64_t *bytes)
{
	struct host_port *port = open_port(spec);
	struct host_frame frames[64];
	uint64_t sum = 0;
	unsigned int i, n, total = 0;

	*bytes = 0;
	while (total < count && (n = take(port, frames, 64)) > 0) {
		for (i = 0; i < n; i++) {
			sum = sum * 31 + crc32c(~0u, frames[i].data, frames[i].len);
			*bytes += frames[i].len;
		}
		total += n;
	}
	CU_ASSERT_EQUAL(total, count);
	port->ops->close(port);
	return sum;
}

static void
test_gen_is_deterministic(void)
{
	uint64_t a, b, c;

	CU_ASSERT_EQUAL(digest("gen:size=60-1514,flows=5,seed=3,count=1000", 1000, &a),
		digest("gen:size=60-1514,flows=5,seed=3,count=1000", 1000, &b));
	CU_ASSERT_EQUAL(a, b);
	CU_ASSERT_NOT_EQUAL(digest("gen:size=60-1514,flows=5,seed=3,count=1000", 1000, &a),
		digest("gen:size=60-1514,flows=5,seed=4,count=1000", 1000, &c));
	CU_ASSERT_NOT_EQUAL(a, c);
	digest("gen:size=imix,count=1200", 1200, &a);
	CU_ASSERT_EQUAL(a, 100 * (7 * 60 + 4 * 590 + 1514));
}

/* Golden frame: the format is a contract between processes of different age. */
static void
test_frame_bytes(void)
{
	static const uint8_t src[6] = {2, 0x48, 0x50, 1, 2, 3};
	static const uint8_t head[54] = {0x00, 0x15, 0x5d, 0x48, 0x00, 0x01, 2, 0x48, 0x50, 1, 2, 3,
		0x08, 0x00, 0x45, 0x00, 0x00, 0x2e, 0, 0, 0x40, 0, 0x40, 0x11, 0xad, 0x74, 198, 19,
		0x01, 0x02, 198, 18, 0, 2, 0x05, 0x02, 0x48, 0x50, 0x00, 0x1a, 0, 0, 0x48, 0x50,
		0xcd, 0xab, 0x02, 0x01, 0x08, 0x07, 0x06, 0x05, 0x04, 0x03};
	static struct gen_source source;
	uint64_t sequence = UINT64_C(0x0102030405060708), random = 1;
	struct gen_tag back;
	uint8_t frame[60];
	uint32_t sum = 0;

	gen_source_init(&source, guest_mac, src, 0xabcd, &random);
	gen_frame_write(&source, frame, sizeof(frame), 0x0102, sequence);
	for (unsigned int i = 14; i < 34; i += 2)
		sum += (uint32_t)frame[i] << 8 | frame[i + 1];
	CU_ASSERT_EQUAL((sum & 0xffff) + (sum >> 16), 0xffff);
	/* The IP checksum has just been proved; compare the rest literally. */
	CU_ASSERT_EQUAL(memcmp(frame, head, 24), 0);
	CU_ASSERT_EQUAL(memcmp(frame + 26, head + 26, sizeof(head) - 26), 0);
	CU_ASSERT_EQUAL(gen_frame_check(NULL, frame, sizeof(frame), &back), GEN_INTACT);
	CU_ASSERT_EQUAL(back.stream, 0xabcd);
	CU_ASSERT_EQUAL(back.flow, 0x0102);
	CU_ASSERT_EQUAL(back.sequence, sequence);
}

static void
test_every_damaged_byte_shows(void)
{
	struct host_port *port = open_port("gen:size=60-200,flows=3,count=30");
	struct host_frame frames[64];
	struct gen_tag tag;
	unsigned int i, n = take(port, frames, 30);
	uint32_t at;

	CU_ASSERT_EQUAL_FATAL(n, 30);
	for (i = 0; i < n; i++) {
		for (at = 14; at < frames[i].len; at++) {
			frames[i].data[at] ^= 0x10;
			CU_ASSERT_EQUAL(gen_frame_check(NULL, frames[i].data, frames[i].len, &tag),
				GEN_CORRUPT);
			frames[i].data[at] ^= 0x10;
		}
		/* Cut or padded. */
		CU_ASSERT_NOT_EQUAL(
			gen_frame_check(NULL, frames[i].data, frames[i].len - 1, &tag), GEN_INTACT);
		CU_ASSERT_EQUAL(gen_frame_check(NULL, frames[i].data, frames[i].len + 1, &tag),
			GEN_CORRUPT);
		CU_ASSERT_EQUAL(
			gen_frame_check(NULL, frames[i].data, frames[i].len, &tag), GEN_INTACT);
	}
	port->ops->close(port);
}

static void
swap(uint8_t *a, uint8_t *b, unsigned int n)
{
	while (n-- > 0) {
		uint8_t t = a[n];

		a[n] = b[n];
		b[n] = t;
	}
}

/* What l2fwd, macswap, 5tswap, l3fwd and VLAN insertion do to a frame leaves it intact. */
static void
test_forwarding_leaves_frames_intact(void)
{
	struct host_port *port = open_port("gen:size=101,flows=3,count=1");
	uint8_t tagged[128];
	struct host_frame f;
	struct gen_tag tag;

	CU_ASSERT_EQUAL_FATAL(take(port, &f, 1), 1);
	swap(f.data, f.data + 6, 6);
	CU_ASSERT_EQUAL(gen_frame_check(NULL, f.data, f.len, &tag), GEN_INTACT);
	swap(f.data + 26, f.data + 30, 4);
	swap(f.data + 34, f.data + 36, 2);
	CU_ASSERT_EQUAL(gen_frame_check(NULL, f.data, f.len, &tag), GEN_INTACT);
	memcpy(tagged, f.data, 12);
	memcpy(tagged + 12, "\x81\x00\x00\x05", 4);
	memcpy(tagged + 16, f.data + 12, f.len - 12);
	CU_ASSERT_EQUAL(gen_frame_check(NULL, tagged, f.len + 4, &tag), GEN_INTACT);
	/* TTL - 1 with the checksum updated. */
	f.data[22]--;
	CU_ASSERT_EQUAL(gen_frame_check(NULL, f.data, f.len, &tag), GEN_CORRUPT);
	f.data[24]++;
	CU_ASSERT_EQUAL(gen_frame_check(NULL, f.data, f.len, &tag), GEN_INTACT);
	/* A UDP checksum that is there must be right. */
	f.data[40] = 0x12;
	CU_ASSERT_EQUAL(gen_frame_check(NULL, f.data, f.len, &tag), GEN_CORRUPT);
	port->ops->close(port);
}

/* A generator and a sink fed with the same selection must agree. */
struct pair {
	struct host_port *gen, *sink;
};

static void
give(struct pair *p, const struct host_frame *f)
{
	p->gen->ops->send(p->gen, f, 1);
	p->sink->ops->send(p->sink, f, 1);
}

static void
test_verifier_counts(void)
{
	struct pair p = {open_port("gen:size=60,flows=2,count=40"), open_port("sink")};
	struct host_frame f[64];
	struct host_port_stats s;
	unsigned int i;

	CU_ASSERT_EQUAL_FATAL(take(p.gen, f, 64), 40);
	for (i = 0; i < 40; i++) {
		if (i == 10 || i == 11 || i == 20 || i == 25)
			continue; /* flow 0 and 1: sequence 5; flow 0: 10; flow 1: 12 */
		if (i == 30)
			f[i].data[50] ^= 1;
		give(&p, &f[i]);
		if (i == 7)
			give(&p, &f[i]);
		if (i == 28)
			give(&p, &f[20]);
		if (i == 39)
			give(&p, &f[20]);
	}
	for (i = 0; i < 2; i++) {
		s = stats_of(i == 0 ? p.gen : p.sink);
		CU_ASSERT(s.verifies);
		CU_ASSERT_EQUAL(s.tx_frames, 39);
		CU_ASSERT_EQUAL(s.corrupt, 1);
		CU_ASSERT_EQUAL(s.duplicate, 2);
		CU_ASSERT_EQUAL(s.reordered, 1);
		CU_ASSERT_EQUAL(s.verified, 36);
		/* 10, 11, 25 never came and 30 came damaged. */
		CU_ASSERT_EQUAL(s.lost, 4);
	}
	s = stats_of(p.gen);
	CU_ASSERT_EQUAL(s.rx_frames, 40);
	CU_ASSERT(s.finished);
	p.gen->ops->close(p.gen);
	p.sink->ops->close(p.sink);
}

/* verify=1/N sees damage behind the headers in every Nth frame, and what is missing in all. */
static void
test_verify_one_in_four(void)
{
	struct pair p = {
		open_port("gen:size=100,count=40,verify=1/4"), open_port("sink:verify=1/4")};
	struct host_port *none = open_port("sink:verify=none");
	struct host_frame f[64];
	struct host_port_stats s;
	unsigned int i;

	CU_ASSERT_EQUAL_FATAL(take(p.gen, f, 64), 40);
	for (i = 0; i < 40; i++) {
		if (i == 7 || i == 9)
			continue;
		f[i].data[90] ^= 1;
		give(&p, &f[i]);
		none->ops->send(none, &f[i], 1);
	}
	for (i = 0; i < 2; i++) {
		s = stats_of(i == 0 ? p.gen : p.sink);
		CU_ASSERT(s.verifies);
		CU_ASSERT_EQUAL(s.corrupt, 10);
		CU_ASSERT_EQUAL(s.verified, 28);
		/* The corrupt ones, and two; the sink does not miss what came before its first. */
		CU_ASSERT_EQUAL(s.lost, 12 - i);
	}
	s = stats_of(none);
	CU_ASSERT_FALSE(s.verifies);
	CU_ASSERT_EQUAL(s.tx_frames, 38);
	CU_ASSERT_EQUAL(s.verified + s.corrupt + s.lost, 0);
	p.gen->ops->close(p.gen);
	p.sink->ops->close(p.sink);
	none->ops->close(none);
}

static void
test_verifier_window(void)
{
	struct pair p = {open_port("gen:size=60,count=3000"), open_port("sink")};
	struct host_frame f[64];
	uint8_t first[60], second[60];
	struct host_frame late[2] = {{first, 60, 0}, {second, 60, 0}};
	unsigned int i, n, total = 0;
	struct host_port_stats s;

	while ((n = take(p.gen, f, 64)) > 0)
		for (i = 0; i < n; i++, total++) {
			if (total == 0)
				memcpy(first, f[i].data, 60);
			else if (total == 2000)
				memcpy(second, f[i].data, 60);
			else
				give(&p, &f[i]);
		}
	CU_ASSERT_EQUAL(total, 3000);
	CU_ASSERT_EQUAL(stats_of(p.gen).lost, 2);
	/* The sink cannot know what came before its first frame. */
	CU_ASSERT_EQUAL(stats_of(p.sink).lost, 1);
	give(&p, &late[1]);
	s = stats_of(p.gen);
	CU_ASSERT_EQUAL(s.lost, 1);
	CU_ASSERT_EQUAL(s.reordered, 1);
	give(&p, &late[1]);
	give(&p, &late[0]);
	s = stats_of(p.gen);
	CU_ASSERT_EQUAL(s.duplicate, 2);
	CU_ASSERT_EQUAL(s.lost, 1);
	CU_ASSERT_EQUAL(s.verified, 2999);
	p.gen->ops->close(p.gen);
	p.sink->ops->close(p.sink);
}

static void
test_sink_sees_reordered_start(void)
{
	struct pair p = {open_port("gen:size=60,count=4"), open_port("sink")};
	struct host_frame f[64];
	struct host_port_stats s;

	CU_ASSERT_EQUAL_FATAL(take(p.gen, f, 64), 4);
	give(&p, &f[3]);
	CU_ASSERT_EQUAL(stats_of(p.gen).lost, 3);
	give(&p, &f[0]);
	CU_ASSERT_EQUAL(stats_of(p.sink).lost, 2);
	give(&p, &f[2]);
	give(&p, &f[1]);
	s = stats_of(p.sink);
	CU_ASSERT_EQUAL(s.lost, 0);
	CU_ASSERT_EQUAL(s.reordered, 3);
	CU_ASSERT_EQUAL(s.verified, 4);
	CU_ASSERT_EQUAL(stats_of(p.gen).lost, 0);
	p.gen->ops->close(p.gen);
	p.sink->ops->close(p.sink);
}

/* Frames that no generator made are counted as traffic and nothing else. */
static void
test_foreign_frames(void)
{
	struct host_port *sink = open_port("sink");
	uint8_t arp[60] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 1, 2, 3, 4, 5, 0x08, 0x06};
	struct host_frame f[3] = {{arp, 60, 0}, {arp, 14, 0}, {arp, 0, 0}};
	struct host_port_stats s;

	sink->ops->send(sink, f, 3);
	s = stats_of(sink);
	CU_ASSERT_EQUAL(s.tx_frames, 3);
	CU_ASSERT_EQUAL(s.tx_bytes, 74);
	CU_ASSERT_EQUAL(s.verified + s.corrupt + s.lost + s.duplicate + s.reordered, 0);
	sink->ops->close(sink);
}

/* More flows than the verifier follows: content still counts. */
static void
test_sink_out_of_flows(void)
{
	struct pair p = {open_port("gen:flows=64,count=128"), open_port("sink:flows=10")};
	struct host_frame f[64];
	unsigned int i, n;

	while ((n = take(p.gen, f, 64)) > 0)
		for (i = 0; i < n; i++)
			give(&p, &f[i]);
	CU_ASSERT_EQUAL(stats_of(p.sink).verified, 128);
	CU_ASSERT_EQUAL(stats_of(p.gen).verified, 128);
	p.gen->ops->close(p.gen);
	p.sink->ops->close(p.sink);
}

static void
test_oversized_frames_show_as_lost(void)
{
	struct host_port *gen = open_port("gen:size=2000,count=10");
	struct host_frame f[4];
	unsigned int i;

	for (i = 0; i < 4; i++) {
		f[i].data = room[i];
		f[i].room = 1728;
	}
	CU_ASSERT_EQUAL(gen->ops->receive(gen, f, 4), 0);
	CU_ASSERT_EQUAL(stats_of(gen).tx_dropped, 4);
	gen->ops->close(gen);
}

static void
test_rate_paces(void)
{
	struct host_port *gen = open_port("gen:rate=10");
	struct host_frame f[64];
	uint64_t wait;

	CU_ASSERT_EQUAL(gen->ops->deadline(gen), 0);
	CU_ASSERT_EQUAL(take(gen, f, 64), 1);
	CU_ASSERT_EQUAL(take(gen, f, 64), 0);
	wait = gen->ops->deadline(gen);
	CU_ASSERT(wait <= 100000000);
	gen->ops->close(gen);
	gen = open_port("gen:count=1");
	CU_ASSERT_EQUAL(take(gen, f, 64), 1);
	CU_ASSERT_EQUAL(gen->ops->deadline(gen), UINT64_MAX);
	gen->ops->close(gen);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"good specifications", test_good_specs},
		{"bad specifications say what is wrong", test_bad_specs},
		{"crc32c", test_crc32c},
		{"crc32c with and without instructions",
			test_crc32c_is_the_same_without_instructions},
		{"gen is deterministic", test_gen_is_deterministic},
		{"bytes of a generated frame", test_frame_bytes},
		{"every damaged byte shows", test_every_damaged_byte_shows},
		{"forwarding leaves frames intact", test_forwarding_leaves_frames_intact},
		{"lost, duplicate, reordered, corrupt", test_verifier_counts},
		{"verify=1/4 and verify=none", test_verify_one_in_four},
		{"late beyond the window", test_verifier_window},
		{"sink sees a reordered start", test_sink_sees_reordered_start},
		{"foreign frames", test_foreign_frames},
		{"sink out of flows", test_sink_out_of_flows},
		{"oversized frames show as lost", test_oversized_frames_show_as_lost},
		{"rate paces", test_rate_paces},
	};

	return UNIT_RUN("host_port", tests);
}
