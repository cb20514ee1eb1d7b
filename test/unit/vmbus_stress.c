/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Two threads, one ring, both sleep: no packet lost, changed or reordered, no wake-up missed (R2,
 * R3, R12; spec/vmbus-ring.md §7, §8, §16). A wait of ten seconds counts as a missed wake-up.
 *
 * The ring is mapped once, so that ThreadSanitizer sees both ends at the same addresses.
 */
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include "test/unit/vmbus_fixture.h"

#if defined(__SANITIZE_THREAD__)
#define STRESS_PACKETS 300000u
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define STRESS_PACKETS 300000u
#endif
#endif
#ifndef STRESS_PACKETS
#define STRESS_PACKETS 1000000u
#endif

#define STRESS_WAIT_MS 10000
#define STRESS_MAX     256u /* bytes of a packet without trailer */

struct stress {
	struct test_ring t;
	int data_event;	 /* producer -> consumer: there is something to read */
	int space_event; /* consumer -> producer: there is room */
	bool producer_sleeps, consumer_sleeps;
	uint32_t max_burst, max_budget;
	_Atomic bool stop; /* one end failed: the other need not wait for its time-out */
	/* producer's */
	uint64_t publishes, data_signals, space_waits;
	const char *producer_error;
	/* consumer's */
	uint64_t received, data_waits, space_signals;
	const char *consumer_error;
};

static void
event_set(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) != sizeof(one))
		CU_FAIL("eventfd");
}

/* Events are level-latched: one set before the wait ends it at once. */
static bool
event_wait(struct stress *s, int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t count;

	if (poll(&p, 1, STRESS_WAIT_MS) != 1 || atomic_load(&s->stop))
		return false;
	return read(fd, &count, sizeof(count)) == sizeof(count);
}

static const char *
wait_for_room(struct stress *s, struct vmbus_ring_writer *w, uint32_t total, uint64_t *rnd)
{
	uint32_t size = s->t.ring.size, wish = total;

	if (!s->producer_sleeps) {
		poll(NULL, 0, 0);
		return atomic_load(&s->stop) ? "stopped" : NULL;
	}
	/* What real hosts ask for: just enough, a quarter of the ring, or "when empty" (§8). */
	switch (rnd_below(rnd, 3)) {
	case 0:
		if (wish < (size - 8) / 4)
			wish = ((size - 8) / 4 + 7) & ~7u;
		break;
	case 1:
		wish = size - 1;
		break;
	}
	if (vmbus_ring_writer_wait_room(w, wish))
		return NULL;
	s->space_waits++;
	if (!event_wait(s, s->space_event))
		return "producer: no space signal within 10 s";
	vmbus_ring_writer_clear_wait(w);
	return NULL;
}

static void *
produce(void *arg)
{
	struct stress *s = arg;
	uint64_t rnd = 0x1234567, seq = 0;
	struct vmbus_ring_writer w;
	_Alignas(8) uint8_t pkt[STRESS_MAX] = {0};
	const char *error = NULL;

	if (vmbus_ring_writer_init(&w, &s->t.ring) != 0)
		error = "producer: init";
	while (error == NULL && seq < STRESS_PACKETS) {
		uint32_t burst = 1 + rnd_below(&rnd, s->max_burst), len = 0;
		int rc = 0;

		for (; rc == 0 && burst > 0 && seq < STRESS_PACKETS; burst--) {
			uint64_t seed = seq;

			len = 24 + ((uint32_t)seq * 40503u >> 5) % (STRESS_MAX - 24);
			/* First and last payload words carry the number; the middle is left. */
			vmbus_packet_init(
				(struct vmbus_packet *)pkt, VMBUS_PACKET_INBAND, 16, len, 0, seq);
			memcpy(pkt + 16, &seed, 8);
			memcpy(pkt + ((len + 7u) & ~7u) - 8, &seed, 8);
			rc = vmbus_ring_write(&w, pkt, len, 0);
			if (rc == 0)
				seq++;
		}
		s->publishes += w.next_w != w.published_w;
		if (vmbus_ring_writer_publish(&w)) {
			s->data_signals++;
			event_set(s->data_event);
		}
		if (rc == -EAGAIN)
			error = wait_for_room(s, &w, vmbus_packet_ring_size(len), &rnd);
		else if (rc != 0)
			error = "producer: corrupt ring";
	}
	s->producer_error = error;
	if (error != NULL) {
		atomic_store(&s->stop, true);
		event_set(s->data_event);
	}
	return NULL;
}

/* @return packets taken, or -1 for a packet that is not the next one */
static int
take(struct stress *s, struct vmbus_ring_reader *r, uint32_t budget)
{
	struct vmbus_packet p;
	uint64_t word[2];
	int total, n = 0;

	while (n < (int)budget && (total = vmbus_ring_peek(r, &p)) != 0) {
		uint32_t size = s->t.ring.size;

		if (total < 0 || p.trans_id != s->received || total < 32)
			return -1;
		vmbus_ring_copy_out(
			&s->t.ring, vmbus_ring_advance(size, r->next_r, 16), &word[0], 8);
		vmbus_ring_copy_out(&s->t.ring,
			vmbus_ring_advance(size, r->next_r, (uint32_t)total - 16), &word[1], 8);
		if (word[0] != s->received || word[1] != s->received)
			return -1;
		vmbus_ring_consume(r, (uint32_t)total);
		s->received++;
		n++;
	}
	return n;
}

static void *
consume(void *arg)
{
	struct stress *s = arg;
	struct vmbus_ring_reader r;
	const char *error = NULL;
	uint64_t rnd = 0x7654321;

	if (vmbus_ring_reader_init(&r, &s->t.ring) != 0)
		error = "consumer: init";
	else
		vmbus_ring_reader_mask(&r);
	while (error == NULL && s->received < STRESS_PACKETS) {
		int n = take(s, &r, 1 + rnd_below(&rnd, s->max_budget));

		if (n < 0) {
			error = "consumer: corrupt, wrong or reordered packet";
			break;
		}
		if (vmbus_ring_reader_publish(&r, true)) {
			s->space_signals++;
			event_set(s->space_event);
		}
		if (n > 0)
			continue;
		if (!s->consumer_sleeps) {
			poll(NULL, 0, 0);
			if (atomic_load(&s->stop))
				error = "stopped";
			continue;
		}
		if (vmbus_ring_reader_unmask(&r))
			continue;
		s->data_waits++;
		if (!event_wait(s, s->data_event))
			error = "consumer: no data signal within 10 s";
		vmbus_ring_reader_mask(&r);
	}
	s->consumer_error = error;
	if (error != NULL) {
		atomic_store(&s->stop, true);
		event_set(s->space_event);
	}
	return NULL;
}

static void
stress(uint32_t size, bool producer_sleeps, bool consumer_sleeps, uint32_t burst, uint32_t budget)
{
	struct stress s = {
		.producer_sleeps = producer_sleeps,
		.consumer_sleeps = consumer_sleeps,
		.max_burst = burst,
		.max_budget = budget,
	};
	pthread_t producer;

	REQUIRE(test_ring_heap(&s.t, size));
	atomic_store(&s.t.ring.ctl->feature_bits, VMBUS_RING_FEATURE_PENDING_SEND);
	atomic_store(&s.t.ring.ctl->interrupt_mask, 1); /* the consumer is awake */
	s.data_event = eventfd(0, EFD_CLOEXEC);
	s.space_event = eventfd(0, EFD_CLOEXEC);
	REQUIRE(s.data_event >= 0 && s.space_event >= 0);
	REQUIRE(pthread_create(&producer, NULL, produce, &s) == 0);
	consume(&s);
	pthread_join(producer, NULL);

	if (s.producer_error != NULL || s.consumer_error != NULL)
		printf("\n    %s; %s; %llu received\n    ",
			s.producer_error ? s.producer_error : "producer fine",
			s.consumer_error ? s.consumer_error : "consumer fine",
			(unsigned long long)s.received);
	CU_ASSERT_PTR_NULL(s.producer_error);
	CU_ASSERT_PTR_NULL(s.consumer_error);
	CU_ASSERT_EQUAL(s.received, STRESS_PACKETS);
	CU_ASSERT_EQUAL(
		atomic_load(&s.t.ring.ctl->read_index), atomic_load(&s.t.ring.ctl->write_index));
	/* No more signals than occasions; none at all to an end that polls. */
	CU_ASSERT_TRUE(s.data_signals <= s.publishes);
	CU_ASSERT_TRUE(s.data_signals >= s.data_waits);
	CU_ASSERT_TRUE(s.space_signals >= s.space_waits);
	if (consumer_sleeps) {
		CU_ASSERT_TRUE(s.data_waits > 0);
	} else {
		CU_ASSERT_EQUAL(s.data_signals, 0);
	}
	if (!producer_sleeps)
		CU_ASSERT_EQUAL(s.space_signals, 0);
	close(s.data_event);
	close(s.space_event);
	test_ring_free(&s.t);
}

/* R2, R3, R12: big bursts meet small budgets and the other way round. */
static void
both_sleep_small_ring(void)
{
	stress(4096, true, true, 24, 16);
}

static void
both_sleep_every_packet_published(void)
{
	stress(8192, true, true, 1, 4);
}

static void
both_sleep_large_bursts(void)
{
	stress(127 * 4096, true, true, 512, 700);
}

static void
producer_polls(void)
{
	stress(4096, false, true, 8, 64);
}

static void
consumer_polls(void)
{
	stress(4096, true, false, 64, 8);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"R12 both sleep, ring of two pages", both_sleep_small_ring},
		{"R2 R3 both sleep, publish each", both_sleep_every_packet_published},
		{"R12 both sleep, large bursts", both_sleep_large_bursts},
		{"producer polls", producer_polls},
		{"consumer polls", consumer_polls},
	};

	return UNIT_RUN("vmbus_stress", tests);
}
