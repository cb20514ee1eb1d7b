/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A producer of a trace that is not scheduled for long: between its looks at the buffer others fill
 * it, and the writer empties it, more than once.
 */
#include <stdint.h>

struct trace;
static void others(struct trace *t);
#define TRACE_BETWEEN_LOADS(t) others(t)
#include "lib/trace/trace.c"
#include "test/unit/unit.h"

/* Bytes that go through the buffer before each look at its head. */
static const uint64_t *pass;
static unsigned int passes, looks;

static void
others(struct trace *t)
{
	if (looks < passes) {
		atomic_fetch_add(&t->head, pass[looks]);
		atomic_fetch_add(&t->tail, pass[looks]);
	}
	looks++;
}

static void
reserve(const uint64_t *bytes, unsigned int n)
{
	struct trace t = {.fd = -1};
	uint64_t at = 0, sum = 0;
	unsigned int i;

	pass = bytes;
	passes = n;
	looks = 0;
	for (i = 0; i < n; i++)
		sum += bytes[i];
	/* It must return; the signal is what ends it otherwise. */
	alarm(100);
	CU_ASSERT_TRUE(ring_reserve(&t, 64, &at));
	alarm(0);
	CU_ASSERT_EQUAL(at, sum);
	CU_ASSERT_EQUAL(atomic_load(&t.head), sum + 64);
	CU_ASSERT_EQUAL(atomic_load(&t.tail), sum);
}

static void
a_producer_that_slept_finds_its_room(void)
{
	static const uint64_t none[1], some[] = {4096}, all[] = {TRACE_BUFFER + 4};
	static const uint64_t twice[] = {TRACE_BUFFER + 4, 2 * TRACE_BUFFER, 3 * TRACE_BUFFER, 8};

	reserve(none, 0);
	reserve(some, 1);
	reserve(all, 1);
	/* The head that it has seen is behind the tail when it looks again. */
	reserve(twice, 4);
}

static void
a_full_buffer_is_full(void)
{
	struct trace t = {.fd = -1};
	uint64_t at;

	passes = 0;
	atomic_store(&t.head, TRACE_BUFFER + 32);
	atomic_store(&t.tail, 64);
	CU_ASSERT_FALSE(ring_reserve(&t, 64, &at));
	CU_ASSERT_TRUE(ring_reserve(&t, 32, &at));
	CU_ASSERT_EQUAL(at, TRACE_BUFFER + 32);
	CU_ASSERT_FALSE(ring_reserve(&t, 4, &at));
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"a producer that slept finds its room", a_producer_that_slept_finds_its_room},
		{"a full buffer is full", a_full_buffer_is_full},
	};

	return UNIT_RUN("trace_reserve", tests);
}
