/* SPDX-License-Identifier: BSD-3-Clause */
/* What generated frames can have beyond plain ones, latencies, rates that change, captures in their
 * own time. */
#include <errno.h>
#include <pcap/pcap.h>
#include <string.h>

#include "lib/host/gen_plain.h"
#include "lib/host/port_spec.h"
#include "lib/host/verify.h"
#include "test/unit/frozen_clock.h"
#include "test/unit/host_port.h"
#include "test/unit/unit.h"

#define ROOM (GEN_FRAME_MAX + GEN_VLAN_LEN)
#define MS   UINT64_C(1000000)

static uint8_t room[HOST_PORT_BURST][ROOM];
static char dir[] = "/tmp/hyperpoll-gen-XXXXXX";

static void
refused(const char *spec, const char *sentence)
{
	char err[256] = "";

	CU_ASSERT_EQUAL(host_port_check(spec, err, sizeof(err)), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, sentence));
	if (strstr(err, sentence) == NULL)
		printf("%s: %s\n", spec, err);
}

static unsigned int
take(struct host_port *port, struct host_frame *frames, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		frames[i] = (struct host_frame){.data = room[i], .room = ROOM};
	return port->ops->receive(port, frames, n);
}

/* All that is due now, in bursts of one so that the pacer's own limit does not show. */
static unsigned int
take_all(struct host_port *port)
{
	struct host_frame f[HOST_PORT_BURST];
	unsigned int n, all = 0;

	while ((n = take(port, f, HOST_PORT_BURST)) != 0)
		all += n;
	return all;
}

static struct host_port_stats
stats_of(struct host_port *port)
{
	struct host_port_stats s;

	port->ops->stats(port, &s);
	return s;
}

/* Everything that a generator makes comes back. @return frames */
static uint64_t
loop_back(struct host_port *port, uint64_t count)
{
	struct host_frame f[HOST_PORT_BURST];
	uint64_t done = 0;
	unsigned int n;

	while (done < count && (n = take(port, f, HOST_PORT_BURST)) != 0) {
		port->ops->send(port, f, n);
		done += n;
	}
	return done;
}

/* ---- what frames have ---- */

static const struct gen_variant variants[] = {
	{.timed = true},
	{.ipv6 = true},
	{.ipv6 = true, .timed = true},
	{.ipv6 = true, .timed = true, .vlan = 4094},
	{.vlan = 1},
};
#define N_VARIANTS (sizeof(variants) / sizeof(variants[0]))

static struct gen_source source, other;

static void
make_sources(void)
{
	uint64_t random = 1;

	gen_source_init(&source, guest_mac, guest_mac, 77, &random);
	gen_source_init(&other, guest_mac, guest_mac, 99, &random);
}

/* The UDP checksum over IPv6 is made of sums of the pattern and checked byte by byte. */
static void
test_each_variant_is_intact(void)
{
	struct gen_tag tag;
	uint64_t sequence = 0;
	uint8_t frame[ROOM];

	make_sources();
	for (size_t v = 0; v < N_VARIANTS; v++) {
		const struct gen_variant *variant = &variants[v];
		uint32_t min = gen_frame_min(variant), cut = variant->vlan != 0 ? GEN_VLAN_LEN : 0;
		enum gen_verdict good = variant->timed ? GEN_TIMED : GEN_INTACT;

		for (uint32_t size = min; size < min + 200; size++, sequence += 0x100000001) {
			uint32_t flow = size * 977u % GEN_FLOWS_MAX;

			gen_frame_write_variant(&source, variant, frame, size, flow, sequence, 123);
			CU_ASSERT_EQUAL(gen_frame_check(&source, frame, size + cut, &tag), good);
			CU_ASSERT_EQUAL(tag.flow, (uint16_t)flow);
			CU_ASSERT_EQUAL(tag.stream, 77 + (flow >> 16));
			CU_ASSERT_EQUAL(tag.sequence, sequence);
			CU_ASSERT(!variant->timed || tag.time == 123);
			/* By its CRC, and by its headers alone. */
			CU_ASSERT_EQUAL(gen_frame_check(NULL, frame, size + cut, &tag), good);
			CU_ASSERT_EQUAL(gen_frame_check(&other, frame, size + cut, &tag), good);
			CU_ASSERT_EQUAL(gen_frame_check_head(frame, size + cut, &tag), good);
		}
	}
}

static void
test_damage_of_a_variant_shows(void)
{
	struct gen_tag tag;
	uint8_t frame[ROOM];

	make_sources();
	for (size_t v = 0; v < N_VARIANTS; v++) {
		const struct gen_variant *variant = &variants[v];
		uint32_t cut = variant->vlan != 0 ? GEN_VLAN_LEN : 0, size = 131, ip = 14 + cut;

		gen_frame_write_variant(&source, variant, frame, size, 5, 9, 123);
		for (uint32_t i = 12; i < size + cut; i++) {
			/* A forwarder may rewrite tag, traffic class, flow label and hop limit. */
			if ((i >= 14 && i < ip) ||
				(variant->ipv6 && ((i > ip && i < ip + 4) || i == ip + 7)))
				continue;
			frame[i] ^= 0x10;
			CU_ASSERT(gen_frame_check(&source, frame, size + cut, &tag) < GEN_INTACT);
			frame[i] ^= 0x10;
		}
		for (uint32_t len = 0; len < size + cut; len++)
			CU_ASSERT(gen_frame_check(&source, frame, len, &tag) < GEN_INTACT);
	}
}

static void
test_ipv6_and_vlans_come_back_verified(void)
{
	struct host_port *gen = open_port("gen:ip=6,vlan=7-9,flows=5,size=80-1500,count=1000");
	struct host_port_stats s;
	struct host_frame f[6];

	CU_ASSERT_EQUAL_FATAL(take(gen, f, 6), 6);
	for (unsigned int i = 0; i < 6; i++) {
		CU_ASSERT_EQUAL(f[i].data[12] << 8 | f[i].data[13], 0x8100);
		CU_ASSERT_EQUAL(f[i].data[14] << 8 | f[i].data[15], (int)(7 + i % 5 % 3));
		CU_ASSERT_EQUAL(f[i].data[16] << 8 | f[i].data[17], 0x86dd);
	}
	gen->ops->send(gen, f, 6);
	CU_ASSERT_EQUAL(loop_back(gen, 994), 994);
	s = stats_of(gen);
	CU_ASSERT_EQUAL(s.verified, 1000);
	CU_ASSERT_EQUAL(s.corrupt + s.lost + s.foreign, 0);
	CU_ASSERT_TRUE(s.finished);
	CU_ASSERT_EQUAL(s.latency.frames, 0);
	gen->ops->close(gen);
}

/* Room for the frame, but not for its tag. */
static void
test_a_tag_that_does_not_fit_shows_as_lost(void)
{
	struct host_port *gen = open_port("gen:size=100,vlan=5,count=3");
	struct host_frame f = {.data = room[0], .room = 103};

	CU_ASSERT_EQUAL(gen->ops->receive(gen, &f, 1), 0);
	CU_ASSERT_EQUAL(stats_of(gen).rx_dropped_size, 1);
	f.room = 104;
	CU_ASSERT_EQUAL(gen->ops->receive(gen, &f, 1), 1);
	CU_ASSERT_EQUAL(f.len, 104);
	gen->ops->close(gen);
}

static int
compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(uint64_t));
}

static void
test_100000_flows(void)
{
	enum { FLOWS = 100000 };
	static uint64_t seen[FLOWS];
	struct host_port *gen = open_port("gen:flows=100000,count=200000");
	struct host_frame f[HOST_PORT_BURST];
	struct host_port_stats s;
	unsigned int n, made = 0, same = 0;

	while (made < FLOWS) {
		n = take(gen, f, FLOWS - made < HOST_PORT_BURST ? FLOWS - made : HOST_PORT_BURST);
		/* Source address and port: the rest of the five is the same in all. */
		for (unsigned int i = 0; i < n; i++) {
			memcpy(&seen[made], f[i].data + 26, 4);
			memcpy((uint8_t *)&seen[made++] + 4, f[i].data + 34, 2);
		}
		gen->ops->send(gen, f, n);
	}
	qsort(seen, FLOWS, sizeof(seen[0]), compare);
	for (unsigned int i = 1; i < FLOWS; i++)
		same += seen[i] == seen[i - 1];
	CU_ASSERT_EQUAL(same, 0);
	/* The second round: its first 64 frames stay away, and each belongs to one of its own
	 * flows. */
	take(gen, f, HOST_PORT_BURST);
	CU_ASSERT_EQUAL(loop_back(gen, FLOWS - HOST_PORT_BURST), FLOWS - HOST_PORT_BURST);
	s = stats_of(gen);
	CU_ASSERT_EQUAL(s.verified, 2 * FLOWS - HOST_PORT_BURST);
	CU_ASSERT_EQUAL(s.duplicate + s.reordered + s.corrupt, 0);
	gen->ops->close(gen);
}

/* ---- latency ---- */

static void
test_latency_is_the_time_until_they_come_back(void)
{
	struct host_port *gen = open_port("gen:latency=on,count=1000,size=imix");
	struct host_frame f[10];
	struct host_port_stats s;

	frozen_ms = 1000;
	/* 100 bursts of 10: one of them takes 80 ms, the others 2. */
	for (unsigned int i = 0; i < 100; i++) {
		CU_ASSERT_EQUAL_FATAL(take(gen, f, 10), 10);
		frozen_ms += i == 50 ? 80 : 2;
		gen->ops->send(gen, f, 10);
	}
	s = stats_of(gen);
	CU_ASSERT_EQUAL(s.verified, 1000);
	CU_ASSERT_EQUAL(s.latency.frames, 1000);
	CU_ASSERT_EQUAL(s.latency.min, 2 * MS);
	CU_ASSERT_EQUAL(s.latency.max, 80 * MS);
	CU_ASSERT_EQUAL(s.latency.mean, (990 * 2 + 10 * 80) * MS / 1000);
	CU_ASSERT(s.latency.p50 >= 2 * MS && s.latency.p50 <= 2 * MS + 2 * MS / 32);
	CU_ASSERT(s.latency.p99 >= 2 * MS && s.latency.p99 <= 2 * MS + 2 * MS / 32);
	CU_ASSERT_EQUAL(s.latency.p999, 80 * MS);
	gen->ops->close(gen);
	frozen_ms = 0;
}

/* At another NIC's sink; a time ahead of the clock says nothing. */
static void
test_a_sink_measures_too(void)
{
	struct host_port *gen = open_port("gen:latency=on,ip=6"), *sink = open_port("sink");
	struct host_frame f[4];

	frozen_ms = 500;
	CU_ASSERT_EQUAL_FATAL(take(gen, f, 4), 4);
	frozen_ms = 503;
	sink->ops->send(sink, f, 4);
	CU_ASSERT_EQUAL(stats_of(sink).latency.frames, 4);
	CU_ASSERT_EQUAL(stats_of(sink).latency.min, 3 * MS);
	CU_ASSERT_EQUAL_FATAL(take(gen, f, 4), 4);
	frozen_ms = 400;
	sink->ops->send(sink, f, 4);
	CU_ASSERT_EQUAL(stats_of(sink).latency.frames, 4);
	CU_ASSERT_EQUAL(stats_of(sink).verified, 8);
	gen->ops->close(gen);
	sink->ops->close(sink);
	frozen_ms = 0;
}

/* ---- rates ---- */

/* Frames in each of @p n slices of 10 ms, asked for every millisecond. */
static void
slices(struct host_port *gen, unsigned int n, unsigned int *frames)
{
	for (unsigned int i = 0; i < n; i++) {
		frames[i] = 0;
		for (unsigned int k = 0; k < 10; k++) {
			frozen_ms++;
			frames[i] += take_all(gen);
		}
	}
}

static void
test_a_rate_follows_its_steps(void)
{
	struct host_port *gen = open_port("gen:rate=10K:100ms/1K:50ms/2K-22K:1/5k");
	unsigned int frames[200];

	frozen_ms = 1000;
	take_all(gen);
	slices(gen, 200, frames);
	for (unsigned int i = 1; i < 10; i++)
		CU_ASSERT(frames[i] >= 99 && frames[i] <= 101);
	for (unsigned int i = 11; i < 15; i++)
		CU_ASSERT(frames[i] >= 9 && frames[i] <= 11);
	/* 20 more frames in each second's hundredth. */
	for (unsigned int i = 16; i < 115; i++) {
		unsigned int want = 20 + (i - 15) * 2;

		CU_ASSERT(frames[i] >= want - 2 && frames[i] <= want + 4);
	}
	for (unsigned int i = 116; i < 200; i++)
		CU_ASSERT(frames[i] >= 49 && frames[i] <= 51);
	gen->ops->close(gen);
	frozen_ms = 0;
}

/* Who sleeps until the next frame of a slow step wakes up for the fast one. */
static void
test_a_slow_step_does_not_hide_the_next(void)
{
	struct host_port *gen = open_port("gen:rate=1:200ms/1K");

	frozen_ms = 1000;
	CU_ASSERT_EQUAL(take_all(gen), 1);
	CU_ASSERT_EQUAL(gen->ops->deadline(gen), 200 * MS);
	frozen_ms += 200;
	take_all(gen);
	frozen_ms += 10;
	CU_ASSERT(take_all(gen) >= 9);
	gen->ops->close(gen);
	frozen_ms = 0;
}

static void
test_bad_specifications_say_what_is_wrong(void)
{
	static const char *const rates[] = {"x", "1K:", "1K:0", "0:5", "1K/2K", "1K-2K", "1K:5/",
		"1K:5s5", "1K:5,2K", "2G:1", "1K-0:5", "1K:86401", "1K:5//1K"};
	char spec[64];

	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		snprintf(spec, sizeof(spec), "gen:rate=%s", rates[i]);
		refused(spec,
			strchr(rates[i], ',') != NULL ? "unknown key '2K'" : "is neither a number");
	}
	refused("gen:ip=5", "ip=5 is neither 4 nor 6");
	refused("gen:latency=yes", "latency=yes is neither off nor on");
	refused("gen:vlan=0", "vlan=0 is not a VLAN from 1 to 4094");
	refused("gen:vlan=9-5", "vlan=9-5 is not a VLAN");
	refused("gen:ip=6,size=79", "size=79 is too small: frames over IPv6 take at least 80");
	refused("gen:size=67,latency=on", "with a time (latency=on) take at least 68");
	refused("gen:latency=on,verify=none", "not looked at");
	refused("gen:flows=262145", "flows=262145 is not a number from 1 to 262144");
	refused("pcap:in=x,rate=fast", "rate=fast is neither a number");
}

/* ---- captures ---- */

/* Frames at so many nanoseconds. */
static void
write_capture(const char *file, const uint64_t *ns, unsigned int n)
{
	static const uint8_t bytes[60] = {1};
	pcap_t *dead =
		pcap_open_dead_with_tstamp_precision(DLT_EN10MB, 65535, PCAP_TSTAMP_PRECISION_NANO);
	pcap_dumper_t *dumper = pcap_dump_open(dead, file);

	CU_ASSERT_PTR_NOT_NULL_FATAL(dumper);
	for (unsigned int i = 0; i < n; i++) {
		struct pcap_pkthdr h = {.caplen = 60, .len = 60};

		h.ts.tv_sec = (time_t)(ns[i] / NSEC_PER_SEC);
		h.ts.tv_usec = (suseconds_t)(ns[i] % NSEC_PER_SEC);
		pcap_dump((u_char *)dumper, &h, bytes);
	}
	pcap_dump_close(dumper);
	pcap_close(dead);
}

static void
test_a_capture_is_played_in_its_own_time(void)
{
	/* One lies before its predecessor: it comes with that. */
	static const uint64_t at[] = {1700000000 * NSEC_PER_SEC + 999 * MS,
		1700000001 * NSEC_PER_SEC + 4 * MS, 1700000001 * NSEC_PER_SEC + 3 * MS,
		1700000001 * NSEC_PER_SEC + 29 * MS};
	char file[64], spec[96];
	struct host_port *port;

	snprintf(file, sizeof(file), "%s/time.pcap", dir);
	snprintf(spec, sizeof(spec), "pcap:in=%s,loop=2,rate=capture", file);
	write_capture(file, at, 4);
	port = open_port(spec);
	frozen_ms = 1000;
	CU_ASSERT_EQUAL(take_all(port), 1);
	CU_ASSERT_EQUAL(port->ops->deadline(port), 5 * MS);
	frozen_ms += 4;
	CU_ASSERT_EQUAL(take_all(port), 0);
	CU_ASSERT_EQUAL(port->ops->deadline(port), 1 * MS);
	frozen_ms += 1;
	CU_ASSERT_EQUAL(take_all(port), 2);
	CU_ASSERT_EQUAL(port->ops->deadline(port), 25 * MS);
	/* The next round begins 10 ms, which is the mean, after the last frame. */
	frozen_ms += 25;
	CU_ASSERT_EQUAL(take_all(port), 1);
	frozen_ms += 9;
	CU_ASSERT_EQUAL(take_all(port), 0);
	frozen_ms += 1;
	CU_ASSERT_EQUAL(take_all(port), 1);
	/* Away for a second: no more than what is a millisecond late at most, the rest in its time.
	 */
	frozen_ms += 1000;
	CU_ASSERT_EQUAL(take_all(port), 2);
	frozen_ms += 23;
	CU_ASSERT_EQUAL(take_all(port), 0);
	frozen_ms += 1;
	CU_ASSERT_EQUAL(take_all(port), 1);
	CU_ASSERT_TRUE(stats_of(port).finished);
	CU_ASSERT_EQUAL(port->ops->deadline(port), UINT64_MAX);
	port->ops->close(port);
	frozen_ms = 0;
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"each variant is intact", test_each_variant_is_intact},
		{"damage of a variant shows", test_damage_of_a_variant_shows},
		{"IPv6 and VLANs come back verified", test_ipv6_and_vlans_come_back_verified},
		{"a tag that does not fit shows as lost",
			test_a_tag_that_does_not_fit_shows_as_lost},
		{"100,000 flows", test_100000_flows},
		{"latency is the time until they come back",
			test_latency_is_the_time_until_they_come_back},
		{"a sink measures, too", test_a_sink_measures_too},
		{"a rate follows its steps", test_a_rate_follows_its_steps},
		{"a slow step does not hide the next", test_a_slow_step_does_not_hide_the_next},
		{"bad specifications say what is wrong", test_bad_specifications_say_what_is_wrong},
		{"a capture is played in its own time", test_a_capture_is_played_in_its_own_time},
	};

	return unit_run_in(dir, "host_port_gen", tests, sizeof(tests) / sizeof(tests[0]));
}
