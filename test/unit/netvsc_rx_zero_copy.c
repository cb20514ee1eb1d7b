/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames that stay in the receive buffer: who holds them, for how long, and how many. */
#include <pthread.h>

#include "lib/netvsp/nvsp.h"
#include "lib/netvsp/rndis.h"
#include "test/unit/netvsc_fixture.h"

#define COPYBREAK 256u
#define SECTIONS  256u

static const struct fixture_conf lending = {
	.rx_copybreak = COPYBREAK, .mbufs = 4095, .ring = 256u << 10};

static struct fixture f;
static struct rte_mbuf *got[4096];

static uint16_t
burst_of(unsigned int q, uint16_t n)
{
	return netvsc_rx_burst(f.rx_queues[q], got, n);
}

static uint16_t
burst(uint16_t n)
{
	return burst_of(0, n);
}

static bool
is_lent(const struct rte_mbuf *m)
{
	const uint8_t *at = m->buf_addr;

	return RTE_MBUF_HAS_EXTBUF(m) && at >= f.bus.recv.base &&
	       at < f.bus.recv.base + f.bus.recv.len;
}

static uint64_t
lent(unsigned int ch)
{
	return fixture_channel(&f, ch)->stats.rx_lent;
}

static unsigned int
completed(unsigned int ch)
{
	return fixture_completions(&f, ch, NULL, NULL, 0);
}

/* All mbufs of the pool have their own buffers again. */
static void
expect_pool_sound(void)
{
	unsigned int n = 0, i;

	netvsc_rx_give_back(fixture_rxq(&f, 0));
	while (n < RTE_DIM(got) && (got[n] = rte_pktmbuf_alloc(f.pool)) != NULL)
		n++;
	CU_ASSERT_EQUAL(n, f.conf.mbufs);
	for (i = 0; i < n; i++) {
		CU_ASSERT(RTE_MBUF_DIRECT(got[i]));
		CU_ASSERT_PTR_EQUAL(got[i]->buf_addr, rte_mbuf_to_baddr(got[i]));
	}
	rte_pktmbuf_free_bulk(got, n);
}

static void *
free_thread(void *m)
{
	rte_pktmbuf_free(m);
	return NULL;
}

static void
free_elsewhere(struct rte_mbuf *m)
{
	pthread_t thread;

	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, free_thread, m), 0);
	pthread_join(thread, NULL);
}

/* ---- frames ---- */

static void
test_long_frames_stay_short_ones_are_copied(void)
{
	static const uint32_t lens[] = {60, COPYBREAK, COPYBREAK + 1, 1514, 100, 1000};
	uint32_t i, again;

	REQUIRE(fixture_begin(&f, &lending));
	for (again = 0; again < 2; again++) {
		for (i = 0; i < ARRAY_SIZE(lens); i++)
			CU_ASSERT_EQUAL(fixture_frames(&f, 0, i, i, 1, lens[i], i), 0);
		fixture_publish(&f, 0);
		CU_ASSERT_EQUAL_FATAL(burst(8), ARRAY_SIZE(lens));
		for (i = 0; i < ARRAY_SIZE(lens); i++) {
			CU_ASSERT(fixture_mbuf_is(got[i], lens[i], i));
			CU_ASSERT_EQUAL(is_lent(got[i]), lens[i] > COPYBREAK);
			CU_ASSERT_EQUAL(got[i]->port, 7);
			CU_ASSERT_EQUAL(got[i]->packet_type, 0);
			CU_ASSERT_EQUAL(rte_pktmbuf_tailroom(got[i]) == 0, is_lent(got[i]));
		}
		CU_ASSERT_EQUAL(lent(0), (again + 1) * 3);
		CU_ASSERT_EQUAL(netvsc_rx_lent(&f.port), 3);
		CU_ASSERT_EQUAL(completed(0), 3);
		rte_pktmbuf_free_bulk(got, ARRAY_SIZE(lens));
		CU_ASSERT_EQUAL(completed(0), 3);
		CU_ASSERT_EQUAL(netvsc_rx_lent(&f.port), 0);
	}
	expect_pool_sound();
	fixture_end(&f);
}

/* What is told of copied frames is told of these. */
static void
test_offloads(void)
{
	struct fixture_conf conf = lending;
	const struct fixture_frame frame = {.len = 900,
		.seed = 3,
		.n_ppis = 2,
		.ppis = {{RNDIS_PPI_VLAN, rndis_vlan_from_tci(0xb123)},
			{RNDIS_PPI_HASH_VALUE, 0x77}}};
	uint8_t want[904], bytes[900];
	struct vmbus_xfer_range range;
	unsigned int again;

	fixture_fill(bytes, sizeof(bytes), 3);
	memcpy(want, bytes, 12);
	memcpy(want + 12, "\x81\x00\xb1\x23", 4);
	memcpy(want + 16, bytes + 12, sizeof(bytes) - 12);
	conf.rx_offloads = RTE_ETH_RX_OFFLOAD_VLAN_STRIP | RTE_ETH_RX_OFFLOAD_RSS_HASH;
	REQUIRE(fixture_begin(&f, &conf));
	for (again = 0; again < 2; again++) {
		range = fixture_message(&f, 1, &frame);
		fixture_xfer(&f, 0, 1, &range, 1);
		fixture_publish(&f, 0);
		CU_ASSERT_EQUAL_FATAL(burst(1), 1);
		CU_ASSERT(is_lent(got[0]));
		CU_ASSERT(fixture_mbuf_is(got[0], 900, 3));
		CU_ASSERT_EQUAL(got[0]->ol_flags, RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_RX_VLAN |
							  RTE_MBUF_F_RX_VLAN_STRIPPED |
							  RTE_MBUF_F_RX_RSS_HASH);
		CU_ASSERT_EQUAL(got[0]->vlan_tci, 0xb123);
		CU_ASSERT_EQUAL(got[0]->hash.rss, 0x77);
		rte_pktmbuf_free(got[0]);
		completed(0);
	}
	/* With the tag back in it is copied, and whole (pitfall X9). */
	f.data.dev_conf.rxmode.offloads = 0;
	netvsc_vlan_offload_set(&f.eth, RTE_ETH_VLAN_STRIP_MASK);
	for (again = 0; again < 2; again++) {
		range = fixture_message(&f, 1, &frame);
		fixture_xfer(&f, 0, 1, &range, 1);
		fixture_publish(&f, 0);
		CU_ASSERT_EQUAL_FATAL(burst(1), 1);
		CU_ASSERT_FALSE(is_lent(got[0]));
		CU_ASSERT_EQUAL(got[0]->pkt_len, sizeof(want));
		CU_ASSERT_EQUAL(memcmp(rte_pktmbuf_mtod(got[0], void *), want, sizeof(want)), 0);
		rte_pktmbuf_free(got[0]);
		CU_ASSERT_EQUAL(completed(0), 1);
	}
	fixture_end(&f);
}

static void
test_pools_that_cannot(void)
{
	struct fixture_conf conf = lending;

	conf.pinned = true;
	REQUIRE(fixture_begin(&f, &conf));
	fixture_frames(&f, 0, 1, 0, 1, 1000, 0);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(burst(1), 1);
	CU_ASSERT_FALSE(is_lent(got[0]));
	CU_ASSERT(fixture_mbuf_is(got[0], 1000, 0));
	rte_pktmbuf_free(got[0]);
	CU_ASSERT_EQUAL(lent(0), 0);
	fixture_end(&f);
}

/* ---- held, cloned, forwarded ---- */

/* Freed in any order, some elsewhere: each packet is completed once (pitfall X4). */
static void
test_freed_in_any_order_on_any_thread(void)
{
	uint8_t seen[16] = {0};
	uint64_t tids[16], rnd = 3;
	uint32_t i, k, n;

	REQUIRE(fixture_begin(&f, &lending));
	for (i = 0; i < 16; i++)
		CU_ASSERT_EQUAL(fixture_frames(&f, 0, i, i * 8, 8, 700, i * 8), 0);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(burst(128), 128);
	for (i = 0; i < 128; i++)
		CU_ASSERT(is_lent(got[i]) && fixture_mbuf_is(got[i], 700, i));
	CU_ASSERT_EQUAL(completed(0), 0);
	for (n = 128; n > 0; n--) {
		k = rnd_below(&rnd, n);
		if (rnd_below(&rnd, 4) == 0)
			free_elsewhere(got[k]);
		else
			rte_pktmbuf_free(got[k]);
		got[k] = got[n - 1];
		k = fixture_completions(&f, 0, tids, NULL, 16);
		for (i = 0; i < k; i++)
			seen[tids[i]]++;
	}
	for (i = 0; i < 16; i++)
		CU_ASSERT_EQUAL(seen[i], 1);
	CU_ASSERT_EQUAL(netvsc_rx_lent(&f.port), 0);
	expect_pool_sound();
	fixture_end(&f);
}

static void
test_clones(void)
{
	struct rte_mbuf *a, *b;

	REQUIRE(fixture_begin(&f, &lending));
	fixture_frames(&f, 0, 1, 0, 1, 1200, 5);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(burst(1), 1);
	a = rte_pktmbuf_clone(got[0], f.pool);
	b = rte_pktmbuf_clone(a, f.pool);
	CU_ASSERT(a != NULL && b != NULL);
	rte_pktmbuf_free(got[0]);
	CU_ASSERT_EQUAL(completed(0), 0);
	free_elsewhere(a);
	CU_ASSERT_EQUAL(completed(0), 0);
	CU_ASSERT(fixture_same(rte_pktmbuf_mtod(b, uint8_t *), 1200, 5));
	rte_pktmbuf_free(b);
	CU_ASSERT_EQUAL(completed(0), 1);
	expect_pool_sound();
	fixture_end(&f);
}

/*
 * Sent again on the same channel: the bytes are copied, and the mbuf is freed within the burst that
 * holds the lock which its completion needs. Nothing waits for that.
 */
static void
test_forwarded_on_the_same_channel(void)
{
	struct fixture_packet pkt;
	unsigned int sends = 0, done = 0;

	REQUIRE(fixture_begin(&f, &lending));
	fixture_frames(&f, 0, 1, 0, 4, 1200, 5);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(burst(4), 4);
	CU_ASSERT(is_lent(got[3]));
	CU_ASSERT_EQUAL(netvsc_tx_burst(f.tx_queues[0], got, 4), 4);
	CU_ASSERT_EQUAL(netvsc_rx_lent(&f.port), 0);
	CU_ASSERT_EQUAL(burst(4), 0);
	while (fixture_read(&f, 0, &pkt)) {
		if (pkt.desc.type == VMBUS_PACKET_COMPLETION)
			done++;
		else
			sends++;
	}
	CU_ASSERT_EQUAL(done, 1);
	CU_ASSERT(sends > 0);
	fixture_end(&f);
}

/* ---- how many ---- */

/* An application that frees nothing: three quarters of the sections, whatever their packets. */
static void
hold_everything(uint32_t ranges)
{
	uint32_t held = 0, back = 0, tid, i;
	const uint32_t limit = SECTIONS / 4 * 3;

	REQUIRE(fixture_begin(&f, &lending));
	for (tid = 0; tid < 1024 / ranges; tid++) {
		/* A host sends with the sections that it has. */
		if (held - back + ranges > SECTIONS)
			break;
		CU_ASSERT_EQUAL(fixture_frames(&f, 0, tid, (tid * ranges) % (SECTIONS - ranges + 1),
					ranges, 600, held),
			0);
		fixture_publish(&f, 0);
		i = netvsc_rx_burst(f.rx_queues[0], got + held, (uint16_t)ranges);
		CU_ASSERT_EQUAL_FATAL(i, ranges);
		held += ranges;
		back += completed(0) * ranges;
		CU_ASSERT(held - back <= limit);
	}
	CU_ASSERT_EQUAL(held, 1024 / ranges * ranges);
	CU_ASSERT(lent(0) <= limit);
	CU_ASSERT(lent(0) > limit - ranges);
	rte_pktmbuf_free_bulk(got, held);
	burst(1);
	CU_ASSERT_EQUAL(netvsc_rx_lent(&f.port), 0);
	/* And once more. */
	fixture_frames(&f, 0, 9999, 0, 1, 600, 1);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(burst(1), 1);
	CU_ASSERT(is_lent(got[0]));
	rte_pktmbuf_free(got[0]);
	expect_pool_sound();
	fixture_end(&f);
}

static void
test_three_quarters_at_most(void)
{
	hold_everything(1);
	hold_everything(7);
	hold_everything(32);
}

/* One queue's application holds all it can get: the other one's frames come, copied. */
static void
test_other_queues_lose_nothing(void)
{
	struct fixture_conf conf = lending;
	struct rte_mbuf *other[64];
	uint32_t i, n = 0;

	conf.channels = 2;
	REQUIRE(fixture_begin(&f, &conf));
	for (i = 0; i < SECTIONS / 4 * 3; i++)
		CU_ASSERT_EQUAL(fixture_frames(&f, 0, i, i, 1, 600, i), 0);
	fixture_publish(&f, 0);
	while (n < SECTIONS / 4 * 3)
		n += netvsc_rx_burst(f.rx_queues[0], got + n, 32);
	CU_ASSERT_EQUAL(completed(0), 0);
	for (i = 0; i < 300; i++) {
		CU_ASSERT_EQUAL(fixture_frames(&f, 1, i, SECTIONS / 4 * 3 + i % 32, 32, 600, i), 0);
		fixture_publish(&f, 1);
		CU_ASSERT_EQUAL_FATAL(netvsc_rx_burst(f.rx_queues[1], other, 64), 32);
		CU_ASSERT(fixture_mbuf_is(other[0], 600, i));
		CU_ASSERT(fixture_mbuf_is(other[31], 600, i + 31));
		CU_ASSERT_FALSE(is_lent(other[0]));
		rte_pktmbuf_free_bulk(other, 32);
		CU_ASSERT_EQUAL(completed(1), 1);
	}
	rte_pktmbuf_free_bulk(got, n);
	CU_ASSERT_EQUAL(completed(0), n);
	fixture_end(&f);
}

/* A host that uses a section again while it is held harms its own frame at most. */
static void
test_section_that_is_held_comes_again(void)
{
	const struct fixture_frame frame = {.len = 800, .seed = 1};
	struct vmbus_xfer_range ranges[3];

	REQUIRE(fixture_begin(&f, &lending));
	ranges[0] = ranges[1] = ranges[2] = fixture_message(&f, 5, &frame);
	fixture_xfer(&f, 0, 1, ranges, 2);
	fixture_xfer(&f, 0, 2, ranges, 1);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(burst(8), 3);
	CU_ASSERT(is_lent(got[0]));
	CU_ASSERT_FALSE(is_lent(got[1]));
	CU_ASSERT_FALSE(is_lent(got[2]));
	rte_pktmbuf_free(got[1]);
	rte_pktmbuf_free(got[2]);
	CU_ASSERT_EQUAL(completed(0), 1);
	rte_pktmbuf_free(got[0]);
	CU_ASSERT_EQUAL(completed(0), 1);
	expect_pool_sound();
	fixture_end(&f);
}

/* Each thing that a loan takes can be missing: then it is a copy, and nothing is left over (X5). */
static void
test_without_what_a_loan_takes(void)
{
	struct netvsc_channel *ch;
	struct netvsc_rx_transfer *objects;

	REQUIRE(fixture_begin(&f, &lending));
	ch = fixture_channel(&f, 0);
	objects = ch->free_transfers;
	ch->free_transfers = NULL;
	fixture_frames(&f, 0, 1, 0, 2, 800, 1);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(burst(8), 2);
	CU_ASSERT_FALSE(is_lent(got[0]));
	CU_ASSERT(fixture_mbuf_is(got[1], 800, 2));
	rte_pktmbuf_free_bulk(got, 2);
	CU_ASSERT_EQUAL(completed(0), 1);
	ch->free_transfers = objects;
	fixture_frames(&f, 0, 2, 0, 2, 800, 1);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(burst(8), 2);
	CU_ASSERT(is_lent(got[0]) && is_lent(got[1]));
	rte_pktmbuf_free_bulk(got, 2);
	CU_ASSERT_EQUAL(completed(0), 1);
	CU_ASSERT_EQUAL(netvsc_rx_lent(&f.port), 0);
	fixture_end(&f);
}

/* ---- stop, another session, close ---- */

static void
test_held_over_a_stop(void)
{
	struct netvsc_channel *ch;

	REQUIRE(fixture_begin(&f, &lending));
	ch = fixture_channel(&f, 0);
	fixture_frames(&f, 0, 1, 0, 2, 800, 1);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(burst(1), 1);
	atomic_store(&f.port.state, 0);
	netvsc_channel_set(ch, NETVSC_CHANNEL_OPEN);
	rte_spinlock_lock(&ch->rx_lock);
	netvsc_rx_drain(ch);
	rte_spinlock_unlock(&ch->rx_lock);
	CU_ASSERT_EQUAL(completed(0), 0);
	CU_ASSERT(fixture_mbuf_is(got[0], 800, 1));
	free_elsewhere(got[0]);
	/* Nobody receives any more, and the host has its section all the same. */
	CU_ASSERT_EQUAL(completed(0), 1);
	fixture_end(&f);
}

/* The host may not get the buffer anew while somebody reads in it. */
static void
test_held_frames_keep_the_session(void)
{
	REQUIRE(fixture_begin(&f, &lending));
	CU_ASSERT_EQUAL(netvsc_rx_lender_check(&f.port), 0);
	fixture_frames(&f, 0, 1, 0, 1, 800, 1);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(burst(1), 1);
	CU_ASSERT_EQUAL(netvsc_rx_lender_check(&f.port), -EBUSY);
	CU_ASSERT_EQUAL(netvsc_session_renew(&f.port), -EBUSY);
	CU_ASSERT_EQUAL(f.resets, 0);
	CU_ASSERT(fixture_mbuf_is(got[0], 800, 1));
	rte_pktmbuf_free(got[0]);
	CU_ASSERT_EQUAL(netvsc_rx_lender_check(&f.port), 0);
	fixture_end(&f);
}

/* What the next session is: other sections, other channels. */
static void
next_session(uint32_t section, uint32_t count)
{
	f.port.session.recv_section = section;
	f.port.session.recv_count = count;
	netvsc_rx_lender_begin(&f.port);
}

/* A channel that is closed keeps packets that came back late, also over another lender. */
static void
test_freed_after_its_channel_closed(void)
{
	struct netvsc_channel *ch;

	REQUIRE(fixture_begin(&f, &lending));
	ch = fixture_channel(&f, 0);
	fixture_frames(&f, 0, 1, 0, 1, 800, 1);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(burst(1), 1);
	netvsc_channel_close(ch);
	rte_pktmbuf_free(got[0]);
	CU_ASSERT_EQUAL(netvsc_rx_lent(&f.port), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(atomic_load(&ch->released));
	next_session(4096, SECTIONS / 2);
	/* It counts no more in memory that is another's by now. */
	CU_ASSERT_PTR_NULL(atomic_load(&ch->released)->withheld);
	CU_ASSERT_EQUAL(netvsc_channel_open(&f.port, 0), 0);
	rte_spinlock_lock(&ch->rx_lock);
	netvsc_rx_flush(ch);
	rte_spinlock_unlock(&ch->rx_lock);
	CU_ASSERT_PTR_NULL(atomic_load(&ch->released));
	CU_ASSERT_EQUAL(completed(0), 0);
	fixture_end(&f);
}

/* Frames on channel 0 from here on: how many are lent, when nothing is freed? */
static uint32_t
held_of(uint32_t n)
{
	uint32_t i, held = 0;

	for (i = 0; i < n; i++) {
		CU_ASSERT_EQUAL(fixture_frames(&f, 0, i, i, 1, 600, i), 0);
		fixture_publish(&f, 0);
		CU_ASSERT_EQUAL_FATAL(burst_of(0, 1), 1);
		if (is_lent(got[0]))
			got[++held] = got[0];
		else
			rte_pktmbuf_free(got[0]);
	}
	rte_pktmbuf_free_bulk(got + 1, held);
	CU_ASSERT_EQUAL(netvsc_rx_lent(&f.port), 0);
	return held;
}

/* A lender of a session with many sections would let all of the few be held. */
static void
test_another_number_of_sections(void)
{
	REQUIRE(fixture_begin(&f, &lending));
	CU_ASSERT_EQUAL(held_of(32), 32);
	next_session(f.conf.recv_section, 32);
	CU_ASSERT_EQUAL(held_of(32), 24);
	next_session(f.conf.recv_section, SECTIONS);
	CU_ASSERT_EQUAL(held_of(32), 32);
	fixture_end(&f);
}

static void
test_too_few_sections(void)
{
	REQUIRE(fixture_begin(&f, &lending));
	next_session(f.conf.recv_section, 3);
	CU_ASSERT_PTR_NULL(f.port.lender);
	netvsc_rxq_apply(fixture_rxq(&f, 0));
	CU_ASSERT_EQUAL(held_of(3), 0);
	CU_ASSERT_TRUE(f.port.few_sections);
	next_session(f.conf.recv_section, 4);
	netvsc_rxq_apply(fixture_rxq(&f, 0));
	CU_ASSERT_EQUAL(held_of(4), 3);
	fixture_end(&f);
}

/* A reset of the bus can map the buffer elsewhere. */
static void
test_buffer_is_elsewhere(void)
{
	uint8_t *old;

	REQUIRE(fixture_begin(&f, &lending));
	old = f.bus.recv.base;
	f.bus.recv.base = malloc(f.bus.recv.len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f.bus.recv.base);
	free(old);
	f.port.recv = f.bus.recv;
	next_session(f.conf.recv_section, f.conf.recv_count);
	fixture_frames(&f, 0, 1, SECTIONS - 1, 1, 800, 1);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(burst(1), 1);
	CU_ASSERT(is_lent(got[0]));
	CU_ASSERT(fixture_mbuf_is(got[0], 800, 1));
	rte_pktmbuf_free(got[0]);
	fixture_end(&f);
}

/* A port that breaks is fenced off with frames held: they are the application's alone then. */
static void
test_held_over_a_fence(void)
{
	struct netvsc_session session;
	uint32_t i;

	REQUIRE(fixture_begin(&f, &lending));
	session = f.port.session;
	fixture_frames(&f, 0, 1, 0, 4, 800, 1);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(burst(4), 4);
	/* One is back, and the burst is in the midst of its packet. */
	rte_pktmbuf_free(got[3]);
	atomic_store(&f.port.state, NETVSC_STATE_BROKEN);
	CU_ASSERT_EQUAL(netvsc_session_end(&f.port), 0);
	CU_ASSERT_EQUAL(f.resets, 1);
	CU_ASSERT_EQUAL(f.renews, 1);
	/* The host has the buffer again, and nobody is in its way. */
	memset(f.bus.recv.base, 0xee, f.bus.recv.len);
	CU_ASSERT_EQUAL(netvsc_rx_lender_check(&f.port), 0);
	f.port.session = session;
	atomic_store(&f.port.state, NETVSC_STATE_RUNNING);
	CU_ASSERT_EQUAL_FATAL(netvsc_channel_open(&f.port, 0), 0);
	netvsc_rx_lender_begin(&f.port);
	netvsc_channel_set(fixture_channel(&f, 0), NETVSC_CHANNEL_RUNNING);
	for (i = 0; i < 3; i++) {
		CU_ASSERT(fixture_mbuf_is(got[i], 800, 1 + i));
		CU_ASSERT_FALSE(is_lent(got[i]));
		free_elsewhere(got[i]);
	}
	CU_ASSERT_EQUAL(completed(0), 0);
	fixture_frames(&f, 0, 2, 0, 1, 800, 9);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(burst(1), 1);
	CU_ASSERT(is_lent(got[0]));
	CU_ASSERT(fixture_mbuf_is(got[0], 800, 9));
	rte_pktmbuf_free(got[0]);
	CU_ASSERT_EQUAL(completed(0), 1);
	expect_pool_sound();
	fixture_end(&f);
}

/* Nothing held: the bus keeps its buffer. */
static void
test_fence_with_nothing_held(void)
{
	const uint8_t *base;

	REQUIRE(fixture_begin(&f, &lending));
	base = f.bus.recv.base;
	atomic_store(&f.port.state, NETVSC_STATE_BROKEN);
	CU_ASSERT_EQUAL(netvsc_session_end(&f.port), 0);
	CU_ASSERT_EQUAL(f.resets, 1);
	CU_ASSERT_EQUAL(f.renews, 0);
	CU_ASSERT_PTR_EQUAL(f.bus.recv.base, base);
	fixture_end(&f);
}

/* The frames stay mapped, so that the kernel does not close the channel: that is no fence. */
static void
test_fence_without_memory(void)
{
	REQUIRE(fixture_begin(&f, &lending));
	fixture_frames(&f, 0, 1, 0, 1, 800, 1);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(burst(1), 1);
	f.renew_rc = -ENOMEM;
	atomic_store(&f.port.state, NETVSC_STATE_BROKEN);
	CU_ASSERT_EQUAL(netvsc_session_end(&f.port), -ENOMEM);
	CU_ASSERT_EQUAL(netvsc_session_end(&f.port), -ENODEV);
	CU_ASSERT_EQUAL(f.resets, 0);
	CU_ASSERT_TRUE(f.port.unfenced);
	CU_ASSERT(fixture_mbuf_is(got[0], 800, 1));
	rte_pktmbuf_free(got[0]);
	f.port.unfenced = false;
	fixture_end(&f);
}

/* The port is closed and its structures are gone: the frames are there until they are freed. */
static void
test_held_over_a_close(void)
{
	uint32_t i;

	REQUIRE(fixture_begin(&f, &lending));
	fixture_frames(&f, 0, 1, 0, 4, 800, 1);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(burst(4), 4);
	netvsc_channel_close(fixture_channel(&f, 0));
	netvsc_rx_lender_end(&f.port);
	/* The bus has let go of the buffer. */
	CU_ASSERT_PTR_NULL(f.bus.recv.base);
	CU_ASSERT_PTR_NULL(fixture_channel(&f, 0)->transfers);
	for (i = 0; i < 4; i++) {
		CU_ASSERT(fixture_mbuf_is(got[i], 800, 1 + i));
		if (i % 2)
			free_elsewhere(got[i]);
		else
			rte_pktmbuf_free(got[i]);
	}
	expect_pool_sound();
	fixture_end(&f);
}

/* Nothing held: the bus unmaps as ever. */
static void
test_close_with_nothing_held(void)
{
	REQUIRE(fixture_begin(&f, &lending));
	netvsc_channel_close(fixture_channel(&f, 0));
	netvsc_rx_lender_end(&f.port);
	CU_ASSERT_PTR_NOT_NULL(f.bus.recv.base);
	netvsc_rx_lender_end(&f.port);
	fixture_end(&f);
}

static const struct unit_test tests[] = {
	{"long frames stay, short ones are copied", test_long_frames_stay_short_ones_are_copied},
	{"offloads", test_offloads},
	{"pools that cannot", test_pools_that_cannot},
	{"freed in any order on any thread (X4)", test_freed_in_any_order_on_any_thread},
	{"clones", test_clones},
	{"forwarded on the same channel", test_forwarded_on_the_same_channel},
	{"three quarters at most", test_three_quarters_at_most},
	{"other queues lose nothing", test_other_queues_lose_nothing},
	{"a section that is held comes again", test_section_that_is_held_comes_again},
	{"without what a loan takes (X5)", test_without_what_a_loan_takes},
	{"held over a stop", test_held_over_a_stop},
	{"held frames keep the session", test_held_frames_keep_the_session},
	{"freed after its channel closed", test_freed_after_its_channel_closed},
	{"another number of sections", test_another_number_of_sections},
	{"too few sections", test_too_few_sections},
	{"the buffer is elsewhere", test_buffer_is_elsewhere},
	{"held over a fence", test_held_over_a_fence},
	{"fence with nothing held", test_fence_with_nothing_held},
	{"fence without memory", test_fence_without_memory},
	{"held over a close", test_held_over_a_close},
	{"close with nothing held", test_close_with_nothing_held},
};

int
main(void)
{
	return UNIT_RUN("receive without a copy", tests);
}
