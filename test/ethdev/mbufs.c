/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mbufs of every kind through a port: mbufs CASE EAL-ARGUMENTS. What the host's port must see is
 * written to the file $MBUFS_EXPECT (32-bit length, bytes; in order); how many frames must go by
 * reference depends on whose memory they are in, and is checked here. Exit status 0 when all is as
 * it should be.
 */
#include "test/ethdev/mbufs.h"

#include <sys/mman.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>

/* Frames that must have gone by reference. */
/* ---- received mbufs of pools with pinned external buffers ---- */

/*
 * Forward what comes, every third frame as a clone whose original is freed first. How many come is
 * $MBUFS_COUNT.
 */
static void
forward_pinned(bool foreign)
{
	struct rte_mempool *ext = pool_pinned("pinned", 1023, ROOM, foreign);
	struct rte_mempool *clones = pool_plain("clones", 1023, ROOM);
	unsigned int count = (unsigned int)atoi(getenv("MBUFS_COUNT")), got = 0, n, i;
	uint64_t end = rte_get_timer_cycles() + 20 * rte_get_timer_hz(), large = 0;
	struct rte_mbuf *rx[32], *clone;

	port_start(ext);
	while (got < count && rte_get_timer_cycles() < end) {
		n = rte_eth_rx_burst(0, 0, rx, RTE_DIM(rx));
		for (i = 0; i < n; i++, got++) {
			CHECK(RTE_MBUF_HAS_EXTBUF(rx[i]) && RTE_MBUF_HAS_PINNED_EXTBUF(rx[i]),
				"frame %u: flags %#" PRIx64, got, rx[i]->ol_flags);
			large += rx[i]->pkt_len > COPYBREAK;
			if (got % 3 != 0)
				continue;
			clone = rte_pktmbuf_clone(rx[i], clones);
			CHECK(clone != NULL && RTE_MBUF_HAS_EXTBUF(clone), "frame %u", got);
			rte_pktmbuf_free(rx[i]);
			rx[i] = clone;
		}
		send_all(rx, (uint16_t)n);
	}
	CHECK(got == count, "%u of %u frames received", got, count);
	check_by_reference(foreign ? 0 : large);
	rte_eth_dev_stop(0);
	pool_audit(ext);
	pool_audit(clones);
}

static void
case_forward_pinned(void)
{
	forward_pinned(false);
}

static void
case_forward_pinned_foreign(void)
{
	forward_pinned(true);
}

/* ---- attached external buffers ---- */

/* Buffers in EAL's memory and outside of it in turns; the former lie across pages, too. */
static void
case_attached(void)
{
	enum { N = 1200, EACH = 2048 + 40 };
	struct rte_mempool *mp = pool_plain("attached", 2047, 0), *rx = pool_plain("rx", 255, ROOM);
	uint8_t *own = rte_malloc("buffers", N * EACH, (size_t)2 << 20);
	uint8_t *foreign = memory_foreign(N * EACH);
	static struct rte_mbuf_ext_shared_info info[N];
	uint64_t large = 0;
	uint32_t n;

	CHECK(own != NULL, "no memory for %u buffers", N);
	port_start(rx);
	for (n = 0; n < N && own != NULL; n++) {
		bool named = n % 3 != 0;
		struct rte_mbuf *m = attached(mp, (named ? own : foreign) + n * EACH, &info[n], n);

		large += named && m->pkt_len > COPYBREAK;
		send_all(&m, 1);
	}
	check_by_reference(large);
	pool_wait(mp);
	CHECK(buffers_freed == N, "%u of %u buffers are freed", buffers_freed, N);
	rte_eth_dev_stop(0);
	pool_audit(mp);
	pool_audit(rx);
}

/* ---- indirect mbufs ---- */

static struct rte_mbuf *
frame_in(struct rte_mempool *mp, uint32_t n)
{
	struct rte_mbuf *m = mbuf_alloc(mp);

	frame_fill(rte_pktmbuf_append(m, (uint16_t)frame_size(n)), n, 0, frame_size(n));
	return m;
}

/* The frame's header in an mbuf of one pool, the rest a clone of an mbuf of another. */
static struct rte_mbuf *
header_and_clone(struct rte_mempool *headers, struct rte_mbuf *clone, uint32_t n)
{
	struct rte_mbuf *m = mbuf_alloc(headers);

	frame_fill(rte_pktmbuf_append(m, RTE_ETHER_HDR_LEN), n, 0, RTE_ETHER_HDR_LEN);
	rte_pktmbuf_adj(clone, RTE_ETHER_HDR_LEN);
	rte_pktmbuf_chain(m, clone);
	return m;
}

/* Clones are judged by where their bytes are, not by their own pool, in every combination. */
static void
case_indirect(void)
{
	enum { N = 1000, POOLS = 4 };
	struct rte_mempool *pools[POOLS] = {
		pool_plain("own", 511, ROOM),
		pool_foreign("foreign", 511, ROOM),
		pool_pinned("pinned", 511, ROOM, false),
		pool_pinned("pinned_foreign", 511, ROOM, true),
	};
	uint64_t large = 0;
	uint32_t n, i;

	port_start(pools[0]);
	for (n = 0; n < N; n++) {
		unsigned int data = n % POOLS, other = n / POOLS % POOLS;
		struct rte_mbuf *original = frame_in(pools[data], n), *m;
		bool whole = n / (POOLS * POOLS) % 2 == 0;

		m = rte_pktmbuf_clone(original, pools[other % 2]);
		rte_pktmbuf_free(original);
		if (!whole)
			m = header_and_clone(pools[other], m, n);
		frame_expect(n, frame_size(n));
		/* The odd ones are foreign. */
		large += m->pkt_len > COPYBREAK && data % 2 == 0 && (whole || other % 2 == 0);
		send_all(&m, 1);
	}
	check_by_reference(large);
	rte_eth_dev_stop(0);
	for (i = 0; i < POOLS; i++)
		pool_audit(pools[i]);
}

/* ---- pools ---- */

/* What is known of memory must not be thrown away by each pool for the next. */
static void
case_forty_pools(void)
{
	enum { POOLS = 40, ROUNDS = 50 };
	struct rte_mempool *pools[POOLS];
	uint64_t lookups, large = 0;
	uint32_t n = 0, i, round;
	char name[32];

	for (i = 0; i < POOLS; i++) {
		snprintf(name, sizeof(name), "pool%u", i);
		pools[i] = pool_plain(name, 255, ROOM);
	}
	port_start(pools[0]);
	for (round = 0; round < ROUNDS; round++)
		for (i = 0; i < POOLS; i++, n++) {
			struct rte_mbuf *m = frame_in(pools[i], n);

			frame_expect(n, frame_size(n));
			large += m->pkt_len > COPYBREAK;
			send_all(&m, 1);
		}
	check_by_reference(large);
	lookups = xstat("tx_q0_dma_lookups");
	/* Each pool has some 600 KB: one window of 2 MiB, or two. */
	CHECK(lookups <= 2 * POOLS + 2, "%" PRIu64 " lookups for %" PRIu64 " frames", lookups,
		large);
	rte_eth_dev_stop(0);
	for (i = 0; i < POOLS; i++)
		pool_audit(pools[i]);
}

static void
send_some(struct rte_mempool *mp, uint32_t *n, uint32_t count, uint64_t *large)
{
	uint32_t end = *n + count;

	for (; *n < end; ++*n) {
		struct rte_mbuf *m = frame_in(mp, *n);

		frame_expect(*n, frame_size(*n));
		*large += m->pkt_len > COPYBREAK;
		send_all(&m, 1);
	}
	pool_wait(mp);
}

/* Pools come and go at one address: what was learned of one says nothing of the next. */
static void
case_pool_reborn_foreign(void)
{
	struct rte_mempool *rx = pool_plain("rx", 255, ROOM), *mp;
	uint64_t large = 0, none = 0;
	uintptr_t was = 0;
	uint32_t n = 0, i;

	port_start(rx);
	for (i = 0; i < 4; i++) {
		mp = i % 2 == 0 ? pool_plain("reborn", 511, ROOM)
				: pool_foreign("reborn", 511, ROOM);
		if (i == 0)
			was = (uintptr_t)mp;
		CHECK((uintptr_t)mp == was, "pool %u is at %p, not at %#zx", i, (void *)mp,
			(size_t)was);
		send_some(mp, &n, 50, i % 2 == 0 ? &large : &none);
		check_by_reference(large);
		rte_mempool_free(mp);
	}
	rte_eth_dev_stop(0);
}

/* The same addresses again, in other pages. */
static void
case_pages_reborn(void)
{
	enum { MBUFS = 2047, ROUNDS = 4, HOARD = 8 << 20 };
	struct rte_mempool *rx = pool_plain("rx", 255, ROOM), *mp;
	uint64_t large = 0;
	uintptr_t was = 0;
	uint32_t n = 0, i, moved = 0;
	rte_iova_t page = 0;
	struct rte_mbuf *m;

	port_start(rx);
	for (i = 0; i < ROUNDS; i++) {
		mp = pool_plain("reborn", MBUFS, ROOM);
		m = mbuf_alloc(mp);
		if (i != 0) {
			CHECK((uintptr_t)m == was, "mbufs are at %p, not at %#zx", (void *)m,
				(size_t)was);
			moved += rte_mem_virt2iova(m) != page;
		}
		was = (uintptr_t)m;
		page = rte_mem_virt2iova(m);
		rte_pktmbuf_free(m);
		send_some(mp, &n, MBUFS, &large);
		rte_mempool_free(mp);
		/* So that the kernel has other pages to give next time. */
		if (mmap(NULL, HOARD, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE, -1,
			    0) == MAP_FAILED)
			rte_exit(2, "no hugepages left\n");
	}
	check_by_reference(large);
	CHECK(moved != 0 || rte_eal_iova_mode() == RTE_IOVA_VA, "the pages are the same");
	rte_eth_dev_stop(0);
}

/* ---- the smallest ring ---- */

/* Frames of 1,500 bytes and of as many segments as can be named: all of them go, by reference. */
static void
case_smallest_ring(void)
{
	enum { N = 3000, SEGMENTS = 24, SIZE = 1500 };
	struct rte_mempool *mp = pool_plain("mp", 4095, ROOM);
	struct rte_mbuf *m, *seg;
	uint32_t n, i;

	port_start(mp);
	for (n = 0; n < N; n++) {
		uint32_t segments = n % 2 == 0 ? 1 : SEGMENTS, at = 0, len;

		m = NULL;
		for (i = 0; i < segments; i++, at += len) {
			len = (SIZE - at) / (segments - i);
			seg = mbuf_alloc(mp);
			frame_fill(rte_pktmbuf_append(seg, (uint16_t)len), n, at, len);
			if (m == NULL)
				m = seg;
			else
				rte_pktmbuf_chain(m, seg);
		}
		frame_expect(n, SIZE);
		send_all(&m, 1);
	}
	check_by_reference(N);
	rte_eth_dev_stop(0);
	pool_audit(mp);
}

/* ---- chains ---- */

#define CHAIN_MAX   24u
#define SEGMENT_MAX 9000u

/* The next number of a sequence that is the same in every run. */
static uint32_t
next(uint32_t *state, uint32_t below)
{
	*state = *state * 1664525 + 1013904223;
	return (uint32_t)(((uint64_t)*state * below) >> 32);
}

/*
 * Lengths of @p n segments, with @p most bytes at most in all; some have none: in front, in the
 * middle, at the end, or many of them. One has nearly all there can be, the others what is left.
 */
static uint32_t
chain_lengths(uint32_t *state, uint32_t n, uint32_t most, uint32_t round, uint32_t *lengths)
{
	uint32_t left = most, big = next(state, n), total = 0, i;

	for (i = 0; i < n; i++)
		lengths[i] = 0;
	if (round % 2 == 0)
		lengths[big] = RTE_MIN(next(state, most - 60) + 60, SEGMENT_MAX);
	left -= lengths[big];
	for (i = 0; i < n; i++) {
		bool empty = (round % 3 == 1 && next(state, 3) == 0) || (round == 2 && i == 0) ||
			     (round == 4 && i == n / 2) || (round == 5 && i == n - 1);

		if (lengths[i] != 0 || empty)
			continue;
		lengths[i] = next(state, RTE_MIN(left / (n - i), SEGMENT_MAX) + 1);
		left -= lengths[i];
	}
	for (i = 0; i < n; i++)
		total += lengths[i];
	/* A frame has a header, wherever it lies. */
	if (total < 60) {
		lengths[big] += 60;
		total += 60;
	}
	return total;
}

static void
chains(struct rte_mempool *mp)
{
	enum { ROUNDS = 12 };
	uint32_t lengths[CHAIN_MAX], segments, round, total, i, at, n = 0, state = 1, empty = 0;
	struct rte_mbuf *m, *seg;
	uint64_t referred;
	uint16_t mtu = 0;

	port_start(mp);
	CHECK(rte_eth_dev_get_mtu(0, &mtu) == 0 && mtu >= 1500, "MTU %u", mtu);
	for (round = 0; round < ROUNDS; round++)
		for (segments = 1; segments <= CHAIN_MAX; segments++, n++) {
			total = chain_lengths(
				&state, segments, mtu + RTE_ETHER_HDR_LEN - 60u, round, lengths);
			m = NULL;
			for (i = 0, at = 0; i < segments; at += lengths[i++]) {
				seg = mbuf_alloc(mp);
				frame_fill(rte_pktmbuf_append(seg, (uint16_t)lengths[i]), n, at,
					lengths[i]);
				empty += lengths[i] == 0;
				if (m == NULL)
					m = seg;
				else
					CHECK(rte_pktmbuf_chain(m, seg) == 0, "chain");
			}
			CHECK(m->nb_segs == segments && m->pkt_len == total,
				"%u segments, %u bytes", m->nb_segs, m->pkt_len);
			frame_expect(n, total);
			send_all(&m, 1);
		}
	CHECK(empty > CHAIN_MAX, "%u empty segments", empty);
	/* Those that have too many pieces to name are copied. */
	referred = xstat("tx_q0_by_reference");
	CHECK((referred != 0) == (xstat("copy_only") == 0), "%" PRIu64 " of %u frames by reference",
		referred, n);
	CHECK(rte_eth_dev_stop(0) == 0, "stop");
	pool_audit(mp);
}

static void
case_chains(void)
{
	chains(pool_plain("mp", 511, SEGMENT_MAX + 60 + RTE_PKTMBUF_HEADROOM));
}

/* As VPP's buffers are: what fits no section is copied, too. */
static void
case_chains_foreign(void)
{
	chains(pool_foreign("mp", 511, SEGMENT_MAX + 60 + RTE_PKTMBUF_HEADROOM));
}

/* ---- what a queue holds ---- */

/* The host withholds completions until told. */
static void
case_done_cleanup(void)
{
	const uint32_t N = 10, AT_MOST = 3;
	struct rte_mempool *rx = pool_plain("rx", 255, ROOM), *mp = pool_plain("mp", 255, ROOM);
	struct rte_mbuf *m;
	unsigned int free, rc;
	uint32_t n;

	port_start(rx);
	pause_for("started");
	for (n = 0; n < N + 2; n++) {
		/* The last two are copied, and free at once. */
		uint32_t size = n < N ? 1000 : 100;

		m = mbuf_alloc(mp);
		frame_fill(rte_pktmbuf_append(m, (uint16_t)size), n, 0, size);
		frame_expect(n, size);
		send_all(&m, 1);
	}
	free = rte_mempool_avail_count(mp);
	CHECK(free == 255 - N, "%u mbufs are free", free);
	rc = (unsigned int)rte_eth_tx_done_cleanup(0, 0, 0);
	CHECK(rc == 0, "%u packets freed that the host still has", rc);
	pause_for("held");
	for (n = 0; n < N; n += AT_MOST) {
		rc = (unsigned int)rte_eth_tx_done_cleanup(0, 0, AT_MOST);
		CHECK(rc == RTE_MIN(AT_MOST, N - n), "call %u: %u packets freed", n / AT_MOST, rc);
		CHECK(rte_mempool_avail_count(mp) - free == rc, "%u packets freed, %u mbufs back",
			rc, rte_mempool_avail_count(mp) - free);
		free = rte_mempool_avail_count(mp);
	}
	rc = (unsigned int)rte_eth_tx_done_cleanup(0, 0, AT_MOST);
	CHECK(rc == 0, "%u packets freed of none", rc);
	rte_eth_dev_stop(0);
	pool_audit(mp);
}

/* A few frames received and a few withheld by the host: stop gives all mbufs back. */
static void
case_stop_gives_all_back(void)
{
	struct rte_mempool *mp = pool_plain("mp", 511, ROOM);
	uint64_t end = rte_get_timer_cycles() + 20 * rte_get_timer_hz();
	struct rte_mbuf *rx[8];
	unsigned int i, n, got = 0;

	port_start(mp);
	for (i = 0; i < 5; i++) {
		struct rte_mbuf *m = frame_in(mp, i);

		frame_expect(i, frame_size(i));
		send_all(&m, 1);
	}
	while (got < 5 && rte_get_timer_cycles() < end) {
		n = rte_eth_rx_burst(0, 0, rx, 1);
		rte_pktmbuf_free_bulk(rx, n);
		got += n;
	}
	CHECK(got == 5, "%u frames received", got);
	CHECK(!rte_mempool_full(mp), "nothing is prefetched: this shows nothing");
	for (i = 0; i < 2; i++) {
		CHECK(rte_eth_dev_stop(0) == 0, "stop");
		pool_audit(mp);
		/* And the queue still works. */
		CHECK(rte_eth_dev_start(0) == 0, "start");
		while ((n = rte_eth_rx_burst(0, 0, rx, 1)) == 0 && rte_get_timer_cycles() < end)
			;
		CHECK(n == 1, "no frame after start");
		rte_pktmbuf_free_bulk(rx, n);
	}
	rte_eth_dev_stop(0);
	pool_audit(mp);
}

/* ---- */

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{"attached", case_attached},
	{"bad", case_bad},
	{"chains", case_chains},
	{"chains_foreign", case_chains_foreign},
	{"done_cleanup", case_done_cleanup},
	{"forty_pools", case_forty_pools},
	{"forward_pinned", case_forward_pinned},
	{"forward_pinned_foreign", case_forward_pinned_foreign},
	{"held", case_held},
	{"indirect", case_indirect},
	{"memory", case_memory},
	{"pages_reborn", case_pages_reborn},
	{"pool_reborn_foreign", case_pool_reborn_foreign},
	{"registered", case_registered},
	{"registered_returns", case_registered_returns},
	{"smallest_ring", case_smallest_ring},
	{"stop_gives_all_back", case_stop_gives_all_back},
	{"vpp", case_vpp},
};

int
main(int argc, char **argv)
{
	unsigned int i;

	for (i = 0; argc > 1 && i < RTE_DIM(cases); i++)
		if (strcmp(argv[1], cases[i].name) == 0)
			break;
	if (argc < 2 || i == RTE_DIM(cases)) {
		fprintf(stderr, "usage: mbufs CASE EAL-ARGUMENTS\n");
		return 2;
	}
	argv[1] = argv[0];
	if (rte_eal_init(argc - 1, argv + 1) < 0 || rte_eth_dev_count_avail() == 0)
		rte_exit(2, "no port: %s\n", rte_strerror(rte_errno));
	cases[i].run();
	if (rte_eth_dev_is_valid_port(0))
		rte_eth_dev_close(0);
	rte_eal_cleanup();
	printf("%s: %u checks failed\n", cases[i].name, failures);
	return failures == 0 ? 0 : 1;
}
