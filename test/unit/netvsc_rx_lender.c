/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames that the application holds in the receive buffer while what they came from goes: its
 * receive is stopped, the session is another one, the device is fenced off or closed.
 */
#include <errno.h>

#include "test/unit/netvsc_lending.h"

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
	return UNIT_RUN("who lends frames", tests);
}
