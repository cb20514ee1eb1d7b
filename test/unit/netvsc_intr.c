/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Queues that sleep: an armed queue is woken by what the host writes, whenever it does; and the
 * descriptors, which the host holds too, hold nobody up and lead nowhere when the port has stopped.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_interrupts.h>

#include "test/unit/descriptors.h"
#include "test/unit/netvsc_fixture.h"

/* A call that waits for the peer for ever ends the program. */
#define HANGS_S	      60
#define STRESS_FRAMES 20000u
/* Packets of up to four frames that the guest may hold: their sections are not written again
 * before. */
#define STRESS_OPEN 40u

static struct fixture f;
static struct rte_mbuf *got[64];
static int epoll_fd;

static uint16_t
burst(unsigned int q, uint16_t n)
{
	uint16_t k = netvsc_rx_burst(f.rx_queues[q], got, n);

	rte_pktmbuf_free_bulk(got, k);
	return k;
}

static int
registered(unsigned int q, int op)
{
	return rte_intr_rx_ctl(f.eth.intr_handle, epoll_fd, op, RTE_INTR_VEC_RXTX_OFFSET + q,
		(void *)(uintptr_t)q);
}

static bool
begin(unsigned int channels)
{
	const struct fixture_conf conf = {.channels = channels};
	unsigned int q;

	alarm(HANGS_S);
	if (!fixture_begin(&f, &conf))
		return false;
	CU_ASSERT_EQUAL(fixture_sleepy(&f), 0);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	for (q = 0; q < channels; q++)
		CU_ASSERT_EQUAL(registered(q, RTE_INTR_EVENT_ADD), 0);
	return true;
}

static void
end(void)
{
	fixture_end(&f);
	close(epoll_fd);
	alarm(0);
}

/* @return the queue that an event is for, -1 none comes in @p ms */
static int
event(int ms)
{
	struct rte_epoll_event e;

	return rte_epoll_wait(epoll_fd, &e, 1, ms) == 1 ? (int)(uintptr_t)e.epdata.data : -1;
}

static int
enable(unsigned int q)
{
	return netvsc_rx_queue_intr_enable(&f.eth, (uint16_t)q);
}

static int
disable(unsigned int q)
{
	return netvsc_rx_queue_intr_disable(&f.eth, (uint16_t)q);
}

static uint32_t
mask(unsigned int q)
{
	return atomic_load(&f.host[q].in.ring.ctl->interrupt_mask);
}

/* ---- arming ---- */

static void
test_a_frame_wakes_an_armed_queue(void)
{
	unsigned int i;

	REQUIRE(begin(1));
	for (i = 0; i < 10; i++) {
		CU_ASSERT_EQUAL(enable(0), 0);
		CU_ASSERT_EQUAL(mask(0), 0);
		CU_ASSERT_EQUAL(event(0), -1);
		fixture_frames(&f, 0, i + 1, i, 1, 64, i);
		CU_ASSERT_TRUE(fixture_publish_signal(&f, 0));
		/* The ring is not empty any more: one event is all that is due. */
		fixture_frames(&f, 0, i + 100, i + 100, 1, 64, i);
		CU_ASSERT_FALSE(fixture_publish_signal(&f, 0));
		CU_ASSERT_EQUAL(event(0), 0);
		CU_ASSERT_EQUAL(event(0), -1);
		CU_ASSERT_EQUAL(disable(0), 0);
		CU_ASSERT_EQUAL(burst(0, 32), 2);
	}
	end();
}

static void
test_frames_that_wait_already_are_an_event(void)
{
	REQUIRE(begin(1));
	fixture_frames(&f, 0, 1, 0, 4, 64, 0);
	CU_ASSERT_FALSE(fixture_publish_signal(&f, 0));
	CU_ASSERT_EQUAL(enable(0), 0);
	CU_ASSERT_EQUAL(event(0), 0);
	/* It is not asleep, so the host need not signal. */
	CU_ASSERT_NOT_EQUAL(mask(0), 0);
	/* Some of the packet has been taken, the rest stays in the ring. */
	CU_ASSERT_EQUAL(burst(0, 1), 1);
	CU_ASSERT_EQUAL(event(0), -1);
	CU_ASSERT_EQUAL(enable(0), 0);
	CU_ASSERT_EQUAL(event(0), 0);
	CU_ASSERT_EQUAL(burst(0, 32), 3);
	CU_ASSERT_EQUAL(enable(0), 0);
	CU_ASSERT_EQUAL(event(0), -1);
	CU_ASSERT_EQUAL(mask(0), 0);
	end();
}

/* A sender has looked ahead of receive: frames are still at its consume position. */
static void
test_frames_that_a_scan_has_passed_are_an_event(void)
{
	uint16_t misses = 0;

	REQUIRE(begin(1));
	fixture_frames(&f, 0, 1, 0, 1, 64, 0);
	fixture_complete(&f, 0, 77, NVSP_STATUS_SUCCESS);
	fixture_publish(&f, 0);
	netvsc_rx_try_scan(fixture_channel(&f, 0), &misses);
	CU_ASSERT_EQUAL(enable(0), 0);
	CU_ASSERT_EQUAL(event(0), 0);
	CU_ASSERT_EQUAL(burst(0, 32), 1);
	/* A completion alone is nothing to stay awake for, once a scan has taken it. */
	fixture_complete(&f, 0, 78, NVSP_STATUS_SUCCESS);
	fixture_publish(&f, 0);
	netvsc_rx_try_scan(fixture_channel(&f, 0), &misses);
	CU_ASSERT_EQUAL(enable(0), 0);
	CU_ASSERT_EQUAL(event(0), -1);
	end();
}

/* Receive completions that found no room: asleep, nobody would send them soon. */
static void
test_completions_that_wait_keep_awake(void)
{
	struct fixture_packet pkt;

	REQUIRE(begin(1));
	fixture_fill_out(&f, 0);
	fixture_frames(&f, 0, 1, 0, 1, 64, 0);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL(burst(0, 32), 1);
	CU_ASSERT_EQUAL(enable(0), 0);
	CU_ASSERT_EQUAL(event(0), 0);
	while (fixture_read(&f, 0, &pkt))
		;
	vmbus_ring_reader_publish(&f.host[0].from_guest, false);
	CU_ASSERT_EQUAL(enable(0), 0);
	CU_ASSERT_EQUAL(event(0), -1);
	CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, NULL, 0), 1);
	end();
}

static void
test_a_disarmed_queue_is_not_signalled(void)
{
	REQUIRE(begin(1));
	CU_ASSERT_EQUAL(enable(0), 0);
	CU_ASSERT_EQUAL(disable(0), 0);
	CU_ASSERT_NOT_EQUAL(mask(0), 0);
	fixture_frames(&f, 0, 1, 0, 4, 64, 0);
	CU_ASSERT_FALSE(fixture_publish_signal(&f, 0));
	CU_ASSERT_EQUAL(event(0), -1);
	CU_ASSERT_EQUAL(burst(0, 32), 4);
	end();
}

/* Who polls the descriptor itself, level-triggered, must be able to sleep. */
static void
test_arming_takes_old_events_back(void)
{
	struct pollfd fd;

	REQUIRE(begin(1));
	fd = (struct pollfd){.fd = f.bus.intr.fd[0], .events = POLLIN};
	CU_ASSERT_EQUAL(enable(0), 0);
	fixture_frames(&f, 0, 1, 0, 1, 64, 0);
	CU_ASSERT_TRUE(fixture_publish_signal(&f, 0));
	CU_ASSERT_EQUAL(poll(&fd, 1, 0), 1);
	CU_ASSERT_EQUAL(burst(0, 32), 1);
	CU_ASSERT_EQUAL(poll(&fd, 1, 0), 1);
	CU_ASSERT_EQUAL(enable(0), 0);
	CU_ASSERT_EQUAL(poll(&fd, 1, 0), 0);
	end();
}

static void
test_queues_wake_apart(void)
{
	unsigned int q;

	REQUIRE(begin(4));
	for (q = 0; q < 4; q++)
		CU_ASSERT_EQUAL(enable(q), 0);
	for (q = 4; q-- > 0;) {
		fixture_frames(&f, q, 1, q, 1, 64, q);
		CU_ASSERT_TRUE(fixture_publish_signal(&f, q));
		CU_ASSERT_EQUAL(event(0), (int)q);
		CU_ASSERT_EQUAL(event(0), -1);
		CU_ASSERT_EQUAL(burst(q, 32), 1);
	}
	end();
}

/* The ring is with a thread that is not scheduled: nobody waits for that, and nobody oversleeps. */
static void
test_arming_waits_for_no_lock(void)
{
	REQUIRE(begin(1));
	rte_spinlock_lock(&fixture_channel(&f, 0)->rx_lock);
	CU_ASSERT_EQUAL(enable(0), 0);
	CU_ASSERT_EQUAL(event(0), 0);
	CU_ASSERT_EQUAL(disable(0), 0);
	rte_spinlock_unlock(&fixture_channel(&f, 0)->rx_lock);
	CU_ASSERT_EQUAL(enable(0), 0);
	CU_ASSERT_EQUAL(event(0), -1);
	end();
}

/* ---- a peer that plays with the descriptor ---- */

static void
test_a_full_descriptor_that_blocks_holds_nobody(void)
{
	const uint64_t full = UINT64_MAX - 1;
	int fd;

	REQUIRE(begin(1));
	fd = f.bus.intr.fd[0];
	CU_ASSERT_EQUAL(write(fd, &full, sizeof(full)), sizeof(full));
	CU_ASSERT_EQUAL(fcntl(fd, F_SETFL, 0), 0);
	/* Raising, clearing, and clearing what is empty. */
	CU_ASSERT_EQUAL(event(0), 0);
	fixture_frames(&f, 0, 1, 0, 1, 64, 0);
	fixture_publish(&f, 0);
	netvsc_intr_wake(&f.port);
	CU_ASSERT_EQUAL(event(0), 0);
	CU_ASSERT_EQUAL(enable(0), 0);
	CU_ASSERT_EQUAL(event(0), 0);
	CU_ASSERT_EQUAL(burst(0, 32), 1);
	CU_ASSERT_EQUAL(enable(0), 0);
	CU_ASSERT_EQUAL(enable(0), 0);
	CU_ASSERT_EQUAL(event(0), -1);
	CU_ASSERT_EQUAL(disable(0), 0);
	end();
}

/* ---- coming and going ---- */

static void
test_nothing_without_intr_conf(void)
{
	alarm(HANGS_S);
	REQUIRE(fixture_begin(&f, NULL));
	CU_ASSERT_EQUAL(netvsc_intr_start(&f.port), 0);
	CU_ASSERT_PTR_NULL(f.eth.intr_handle);
	CU_ASSERT_EQUAL(f.bus.intr.n, 0);
	CU_ASSERT_EQUAL(enable(0), -EINVAL);
	CU_ASSERT_EQUAL(disable(0), -EINVAL);
	CU_ASSERT_NOT_EQUAL(mask(0), 0);
	fixture_end(&f);
	alarm(0);
}

static void
test_a_host_that_has_none_is_said_and_leaves_nothing(void)
{
	unsigned int before;

	alarm(HANGS_S);
	REQUIRE(fixture_begin(&f, NULL));
	before = count_descriptors();
	f.intr_rc = -ENOTSUP;
	CU_ASSERT_EQUAL(fixture_sleepy(&f), -ENOTSUP);
	CU_ASSERT_EQUAL(enable(0), -EINVAL);
	vfu_signaller_fini(&f.signaller);
	CU_ASSERT_EQUAL(count_descriptors(), before);
	fixture_end(&f);
	alarm(0);
}

/* The host has the descriptor still, and the application its epoll set. */
static void
test_a_stopped_port_is_in_no_epoll_set(void)
{
	int fd;

	REQUIRE(begin(2));
	fd = f.bus.intr.fd[0];
	CU_ASSERT_EQUAL(enable(0), 0);
	netvsc_channel_set(fixture_channel(&f, 0), NETVSC_CHANNEL_OPEN);
	netvsc_intr_stop(&f.port);
	CU_ASSERT_NOT_EQUAL(mask(0), 0);
	CU_ASSERT_EQUAL(vfu_signal(&f.signaller, fd), 0);
	CU_ASSERT_EQUAL(event(0), -1);
	CU_ASSERT_EQUAL(enable(0), -EINVAL);
	CU_ASSERT_EQUAL(disable(0), -EINVAL);
	CU_ASSERT_NOT_EQUAL(registered(0, RTE_INTR_EVENT_ADD), 0);
	/* Started again it has the same descriptors, and the application adds them again. */
	CU_ASSERT_EQUAL(netvsc_intr_start(&f.port), 0);
	netvsc_channel_set(fixture_channel(&f, 0), NETVSC_CHANNEL_RUNNING);
	CU_ASSERT_EQUAL(f.bus.intr.fd[0], fd);
	CU_ASSERT_EQUAL(registered(0, RTE_INTR_EVENT_ADD), 0);
	CU_ASSERT_EQUAL(enable(0), 0);
	fixture_frames(&f, 0, 1, 0, 1, 64, 0);
	CU_ASSERT_TRUE(fixture_publish_signal(&f, 0));
	CU_ASSERT_EQUAL(event(0), 0);
	CU_ASSERT_EQUAL(burst(0, 32), 1);
	end();
}

/* EAL closes descriptors that it takes for its own. */
static void
test_closing_leaves_no_descriptor(void)
{
	unsigned int before, i;

	/* Whatever EAL opens with the first one. */
	REQUIRE(begin(4));
	end();
	before = count_descriptors();
	for (i = 0; i < 3; i++) {
		REQUIRE(begin(4));
		end();
	}
	CU_ASSERT_EQUAL(count_descriptors(), before);
}

static void
test_a_port_that_is_gone_wakes_and_then_sleeps(void)
{
	REQUIRE(begin(2));
	CU_ASSERT_EQUAL(enable(0), 0);
	atomic_fetch_or(&f.port.state, NETVSC_STATE_GONE);
	netvsc_intr_wake(&f.port);
	CU_ASSERT(event(0) >= 0);
	CU_ASSERT(event(0) >= 0);
	CU_ASSERT_EQUAL(event(0), -1);
	CU_ASSERT_EQUAL(enable(0), -EIO);
	CU_ASSERT_EQUAL(event(0), -1);
	end();
}

/* The kernel has no memory to make an event of it just now: the alarm tries again. */
static void
test_an_event_that_cannot_be_made_is_made_later(void)
{
	REQUIRE(begin(1));
	fixture_frames(&f, 0, 1, 0, 1, 64, 0);
	fixture_publish(&f, 0);
	vfu_signaller_fini(&f.signaller);
	CU_ASSERT_EQUAL(enable(0), 0);
	CU_ASSERT_EQUAL(event(0), -1);
	CU_ASSERT(atomic_exchange(&f.port.events, 0) & NETVSC_EVENT_WAKE);
	netvsc_intr_wake(&f.port);
	CU_ASSERT(atomic_exchange(&f.port.events, 0) & NETVSC_EVENT_WAKE);
	CU_ASSERT_EQUAL(vfu_signaller_init(&f.signaller), 0);
	netvsc_intr_wake(&f.port);
	CU_ASSERT_EQUAL(atomic_load(&f.port.events), 0);
	CU_ASSERT_EQUAL(event(0), 0);
	CU_ASSERT_EQUAL(burst(0, 32), 1);
	end();
}

/* ---- waiting for a word in memory ---- */

/* What a processor with umwait does: 0, it would sleep. */
static int
monitored(struct rte_power_monitor_cond *cond)
{
	CU_ASSERT_EQUAL(cond->size, sizeof(uint32_t));
	return cond->fn(*(volatile uint32_t *)cond->addr, cond->opaque);
}

static void
test_monitor_follows_the_hosts_write_index(void)
{
	struct rte_power_monitor_cond cond;

	alarm(HANGS_S);
	REQUIRE(fixture_begin(&f, NULL));
	CU_ASSERT_EQUAL(netvsc_get_monitor_addr(f.rx_queues[0], &cond), 0);
	CU_ASSERT_PTR_EQUAL(cond.addr, &f.host[0].in.ring.ctl->write_index);
	CU_ASSERT_EQUAL(monitored(&cond), 0);
	/* Comes while it waits, and before it asks. */
	fixture_frames(&f, 0, 1, 0, 4, 64, 0);
	CU_ASSERT_EQUAL(monitored(&cond), 0);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL(monitored(&cond), -1);
	CU_ASSERT_EQUAL(netvsc_get_monitor_addr(f.rx_queues[0], &cond), 0);
	CU_ASSERT_EQUAL(monitored(&cond), -1);
	CU_ASSERT_EQUAL(burst(0, 1), 1);
	CU_ASSERT_EQUAL(netvsc_get_monitor_addr(f.rx_queues[0], &cond), 0);
	CU_ASSERT_EQUAL(monitored(&cond), -1);
	CU_ASSERT_EQUAL(burst(0, 32), 3);
	CU_ASSERT_EQUAL(netvsc_get_monitor_addr(f.rx_queues[0], &cond), 0);
	CU_ASSERT_EQUAL(monitored(&cond), 0);
	/* No room for completions: they must not wait for the next frame. */
	fixture_fill_out(&f, 0);
	fixture_frames(&f, 0, 1, 0, 1, 64, 0);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL(burst(0, 32), 1);
	CU_ASSERT_EQUAL(netvsc_get_monitor_addr(f.rx_queues[0], &cond), 0);
	CU_ASSERT_EQUAL(monitored(&cond), -1);
	/* There is nothing to wait for in a ring that is gone. */
	netvsc_channel_set(fixture_channel(&f, 0), NETVSC_CHANNEL_OPEN);
	CU_ASSERT_EQUAL(netvsc_get_monitor_addr(f.rx_queues[0], &cond), -EIO);
	CU_ASSERT_EQUAL(netvsc_get_monitor_addr(NULL, &cond), -EINVAL);
	fixture_end(&f);
	alarm(0);
}

/* ---- two threads ---- */

static atomic_bool stress_stop;
static unsigned int stress_signals;

static void *
stress_host(void *arg)
{
	uint32_t sent = 0, random = 1, open = 0, n, i;

	while (sent < STRESS_FRAMES && !atomic_load(&stress_stop)) {
		open -= fixture_completions(&f, 0, NULL, NULL, 0);
		vmbus_ring_reader_publish(&f.host[0].from_guest, false);
		random = random * 1664525u + 1013904223u;
		n = RTE_MIN(1 + (random >> 28) % 4, STRESS_FRAMES - sent);
		if (open == STRESS_OPEN ||
			fixture_frames(&f, 0, sent + 1, sent % 200, n, 64, sent) != 0) {
			sched_yield();
			continue;
		}
		sent += n;
		open++;
		stress_signals += fixture_publish_signal(&f, 0);
		/* A moment, so that the guest is anywhere on its way to bed. */
		for (i = 0; i < (random >> 16 & 0xfff); i++)
			rte_pause();
	}
	return NULL;
}

/* No poll but behind an event. */
static void
test_stress_of_a_queue_that_sleeps(void)
{
	unsigned int received = 0, waits = 0;
	pthread_t thread;
	uint16_t n;

	REQUIRE(begin(1));
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, stress_host, NULL), 0);
	while (received < STRESS_FRAMES) {
		CU_ASSERT_EQUAL(enable(0), 0);
		if (event(HANGS_S * 1000 / 2) != 0) {
			CU_FAIL("a wake-up was lost");
			break;
		}
		CU_ASSERT_EQUAL(disable(0), 0);
		waits++;
		while ((n = burst(0, 32)) != 0)
			received += n;
	}
	atomic_store(&stress_stop, true);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(received, STRESS_FRAMES);
	/* Else the threads were never at it at the same time. */
	CU_ASSERT(stress_signals > 0 && waits > 1);
	end();
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"a frame wakes an armed queue", test_a_frame_wakes_an_armed_queue},
		{"frames that wait already are an event",
			test_frames_that_wait_already_are_an_event},
		{"frames that a scan has passed are an event",
			test_frames_that_a_scan_has_passed_are_an_event},
		{"completions that wait keep awake", test_completions_that_wait_keep_awake},
		{"a disarmed queue is not signalled", test_a_disarmed_queue_is_not_signalled},
		{"arming takes old events back", test_arming_takes_old_events_back},
		{"queues wake apart", test_queues_wake_apart},
		{"arming waits for no lock", test_arming_waits_for_no_lock},
		{"a full descriptor that blocks holds nobody",
			test_a_full_descriptor_that_blocks_holds_nobody},
		{"nothing without intr_conf", test_nothing_without_intr_conf},
		{"a host that has none is said and leaves nothing",
			test_a_host_that_has_none_is_said_and_leaves_nothing},
		{"a stopped port is in no epoll set", test_a_stopped_port_is_in_no_epoll_set},
		{"closing leaves no descriptor", test_closing_leaves_no_descriptor},
		{"a port that is gone wakes and then sleeps",
			test_a_port_that_is_gone_wakes_and_then_sleeps},
		{"an event that cannot be made is made later",
			test_an_event_that_cannot_be_made_is_made_later},
		{"monitor follows the host's write index",
			test_monitor_follows_the_hosts_write_index},
		{"stress of a queue that sleeps", test_stress_of_a_queue_that_sleeps},
	};

	return UNIT_RUN("netvsc_intr", tests);
}
