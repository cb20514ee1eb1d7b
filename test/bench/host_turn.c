/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What one turn of the host costs for each frame: host_nic_poll() on one of the host's own ports,
 * with a guest of the unit tests in the same thread. Only the host's turn counts, in cycles here
 * and in instructions under callgrind (--toggle-collect=measured_turn); host_turn.py does both.
 *
 *     host_turn CASE SIZE TURNS [cross]
 *
 * prints frames and the lower quartile of cycles (nanoseconds where there is no TSC) per frame. A
 * turn has BURST frames. The guest packs what it sends into sections as the driver does. With
 * "cross" the guest is on another processor, in lock-step, so that cache lines travel.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "lib/host/gen_plain.h"
#include "lib/host/verify.h"
#include "test/unit/host_nic_guest.h"

#define BURST	   32u
#define RING_PAGES 511u
#define SECTIONS   64u
#define WARM_UP	   64u

/* What the guest does before each turn. */
enum guest_does { RECEIVES, SENDS, FORWARDS };

static const struct bench_case {
	const char *name, *port;
	enum guest_does guest;
	bool comes_back;   /* a guest receives the frames */
	bool peer;	   /* which is that of a second NIC */
	uint32_t channels; /* that receive, by RSS; 0 is one without */
} cases[] = {
	{"gen", "gen:size=%u", RECEIVES, true, false, 0},
	{"gen-rss", "gen:size=%u,flows=64", RECEIVES, true, false, 4},
	{"loop", "gen:size=%u", FORWARDS, true, false, 0},
	{"sink", "sink", SENDS, false, false, 0},
	{"loop-none", "gen:size=%u,verify=none", FORWARDS, true, false, 0},
	{"sink-none", "sink:verify=none", SENDS, false, false, 0},
	{"echo", "echo", SENDS, true, false, 0},
	{"switch", "switch:bench", SENDS, true, true, 0},
};

static struct {
	const struct bench_case *what;
	uint32_t size, turns, next_section;
	uint64_t sequence;
	struct gen_source source; /* of the frames that the guest sends */
	struct guest guest, peer;
} bench;

static uint64_t
ticks(void)
{
#if defined(__x86_64__)
	return __rdtsc();
#else
	return monotonic_ns();
#endif
}

/* ---- the guest's processor ---- */

static struct {
	bool used;
	pthread_t thread;
	void (*act)(struct guest *g); /* NULL: end */
	struct guest *guest;
	_Atomic uint32_t asked, done;
} other;

static void
pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static void *
other_run(void *arg)
{
	uint32_t n = 0;

	pin(1);
	for (;;) {
		while (atomic_load_explicit(&other.asked, memory_order_acquire) == n)
			sched_yield();
		if (other.act == NULL)
			return arg;
		other.act(other.guest);
		atomic_store_explicit(&other.done, ++n, memory_order_release);
	}
}

/* Let the guest do something, where it lives. */
static void
guest_acts(void (*act)(struct guest *g), struct guest *g)
{
	uint32_t n;

	if (!other.used) {
		act(g);
		return;
	}
	other.act = act;
	other.guest = g;
	n = atomic_fetch_add_explicit(&other.asked, 1, memory_order_acq_rel) + 1;
	while (act != NULL && atomic_load_explicit(&other.done, memory_order_acquire) != n)
		sched_yield();
}

/* ---- what the guest sends ---- */

/* One packet being filled with frames. */
struct packing {
	uint8_t *base;
	uint32_t used, last, n;
};

static void
packing_end(struct guest *g, struct packing *p)
{
	if (p->n != 0)
		guest_send_section(g, 0, bench.next_section++ % SECTIONS, p->used, g->next_tid++);
	p->n = 0;
}

/* Room for one more message; the caller writes it. */
static uint8_t *
packing_next(struct guest *g, struct packing *p, uint32_t message)
{
	uint32_t align = g->nic->announced.alignment;

	if (p->n != 0 && (p->n == g->nic->announced.messages ||
				 rndis_align(p->used, align) + message > g->send_section))
		packing_end(g, p);
	if (p->n == 0) {
		p->base = g->send + (size_t)(bench.next_section % SECTIONS) * g->send_section;
		p->used = 0;
	} else {
		p->used = p->last + rndis_packet_pad(p->base + p->last, p->used - p->last, align);
	}
	p->last = p->used;
	p->used += message;
	p->n++;
	return p->base + p->last;
}

static void
send_frame(struct guest *g, struct packing *p, const uint8_t *frame, uint32_t len)
{
	guest_make_packet(
		packing_next(g, p, (uint32_t)sizeof(struct rndis_packet) + len), frame, len);
}

static void
guest_sends(struct guest *g)
{
	struct packing p = {0};
	uint8_t frame[GEN_FRAME_MAX];
	uint32_t i;

	for (i = 0; i < BURST; i++) {
		gen_frame_write(&bench.source, frame, bench.size, 0, bench.sequence++);
		send_frame(g, &p, frame, bench.size);
	}
	packing_end(g, &p);
}

static void
guest_forwards(struct guest *g)
{
	struct packing p = {0};
	const struct guest_packet *t;
	struct rndis_packet_info info;
	const uint8_t *m;
	uint32_t n, r;

	for (n = 0; (t = guest_transfer(g, n)) != NULL; n++)
		for (r = 0; r < t->ranges && t->msg.rndis.channel_type == NVSP_CHANNEL_DATA; r++) {
			m = guest_message(g, t, r);
			CU_ASSERT_EQUAL_FATAL(rndis_packet_parse_rx(m, t->range[r].byte_count,
						      t->range[r].byte_count, &info),
				0);
			send_frame(g, &p, m + info.data_abs, info.data_length);
		}
	packing_end(g, &p);
}

/* ---- turns ---- */

/* All that counts; callgrind is told this name. */
__attribute__((noinline)) static void
measured_turn(struct host_nic *nic)
{
	host_nic_poll(nic, BURST);
}

static uint64_t
turn(struct guest *g)
{
	uint64_t begin = ticks(), end;

	measured_turn(g->nic);
	end = ticks();
	guest_acts(guest_drain, g);
	return end - begin;
}

static uint64_t
one_round(void)
{
	struct guest *g = &bench.guest;
	uint64_t spent;

	if (bench.what->guest == SENDS)
		guest_acts(guest_sends, g);
	else if (bench.what->guest == FORWARDS)
		guest_acts(guest_forwards, g);
	spent = turn(g);
	return bench.what->peer ? spent + turn(&bench.peer) : spent;
}

static void
spread(struct guest *g, uint32_t channels)
{
	uint8_t params[NDIS_RSS_PARAMS_INFO];
	uint16_t table[NDIS_RSS_TABLE_ENTRIES];
	uint32_t i;

	guest_subchannels(g, channels - 1);
	for (i = 0; i < NDIS_RSS_TABLE_ENTRIES; i++)
		table[i] = (uint16_t)(i % channels);
	ndis_build_rss_params(params, sizeof(params),
		NDIS_HASH_TOEPLITZ | NDIS_HASH_IPV4 | NDIS_HASH_TCP_IPV4, table,
		NDIS_RSS_TABLE_ENTRIES, toeplitz_default_key);
	CU_ASSERT_EQUAL(guest_set(g, OID_GEN_RECEIVE_SCALE_PARAMETERS, params, sizeof(params)), 0);
}

static void
start(struct guest *g, unsigned int number)
{
	char nic[64], spec[64], err[200];
	struct host_port *port;
	uint8_t mac[6] = {0x00, 0x15, 0x5d, 0x48, 0, (uint8_t)number};

	/* The formats are ours, above. */
	snprintf(nic, sizeof(nic), "spoof=on,mac=00:15:5d:48:00:%02x", number);
	snprintf(spec, sizeof(spec), bench.what->port, bench.size);
	if (host_port_open(spec, mac, &port, err, sizeof(err)) != 0) {
		printf("%s\n", err);
		CU_FAIL_FATAL("the port does not open");
	}
	guest_start_port(g, nic, RING_PAGES, port);
	guest_up(g, RNDIS_FILTER_DIRECTED | RNDIS_FILTER_BROADCAST);
	if (bench.what->channels != 0)
		spread(g, bench.what->channels);
}

static int
compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t
frames_done(void)
{
	struct guest *g = bench.what->peer ? &bench.peer : &bench.guest;
	struct host_nic_stats stats;

	host_nic_get_stats(g->nic, &stats, NULL);
	return bench.what->comes_back ? stats.rx_frames : stats.tx_frames;
}

static void
run(void)
{
	uint64_t *spent = calloc(bench.turns, sizeof(*spent)), random = 1, before;
	struct host_port_stats port;
	uint8_t dst[6];
	uint32_t i;

	start(&bench.guest, 1);
	if (other.used) {
		pin(0);
		CU_ASSERT_EQUAL_FATAL(pthread_create(&other.thread, NULL, other_run, NULL), 0);
	}
	memcpy(dst, bench.guest.config.mac, sizeof(dst));
	dst[5] += bench.what->peer;
	gen_source_init(&bench.source, dst, bench.guest.config.mac, 1, &random);
	if (bench.what->peer) {
		start(&bench.peer, 2);
		/* Its address is learnt from the first frame that it sends. */
		uint8_t frame[64];
		struct packing p = {0};

		guest_make_udp(&bench.peer, frame, sizeof(frame), 0);
		send_frame(&bench.peer, &p, frame, sizeof(frame));
		packing_end(&bench.peer, &p);
		turn(&bench.peer);
	}
	for (i = 0; i < WARM_UP; i++)
		one_round();
	before = frames_done();
	for (i = 0; i < bench.turns; i++)
		spent[i] = one_round();
	/* A turn that was interrupted may have ended early, by time. */
	CU_ASSERT(frames_done() - before + 2 * BURST >= (uint64_t)bench.turns * BURST);
	host_nic_get_stats(bench.guest.nic, NULL, &port);
	CU_ASSERT_EQUAL(port.corrupt + port.lost + port.duplicate + port.tx_dropped, 0);
	qsort(spent, bench.turns, sizeof(*spent), compare);
	printf("\nframes %llu ticks %.1f\n", (unsigned long long)frames_done(),
		(double)spent[bench.turns / 4] / BURST);
	if (other.used) {
		guest_acts(NULL, NULL);
		pthread_join(other.thread, NULL);
	}
	free(spent);
	guest_stop(&bench.guest);
	if (bench.what->peer)
		guest_stop(&bench.peer);
}

int
main(int argc, char **argv)
{
	static const struct unit_test tests[] = {{"turns", run}};
	size_t i;

	other.used = argc == 5 && strcmp(argv[4], "cross") == 0;
	argc -= other.used;
	bench.size = argc == 4 ? (uint32_t)atoi(argv[2]) : 0;
	bench.turns = argc == 4 ? (uint32_t)atoi(argv[3]) : 0;
	for (i = 0; argc == 4 && i < sizeof(cases) / sizeof(cases[0]); i++)
		if (strcmp(argv[1], cases[i].name) == 0)
			bench.what = &cases[i];
	if (bench.what == NULL || bench.size < GEN_FRAME_MIN || bench.size > 1514 ||
		bench.turns < 4) {
		fprintf(stderr,
			"usage: host_turn gen|gen-rss|loop|sink|loop-none|sink-none|echo|switch SIZE TURNS [cross]\n");
		return 2;
	}
	return UNIT_RUN("host_turn", tests);
}
