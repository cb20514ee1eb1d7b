/* SPDX-License-Identifier: BSD-3-Clause */
/* Send-buffer sections against a model: who has what, and that nothing is lost or given twice. */
#include <stdint.h>
#include <stdlib.h>

#include "drivers/net/netvsc/process.h"
#include "drivers/net/netvsc/sections.h"
#include "test/unit/unit.h"

#define COUNT  301u
#define QUEUES 4u
#define STEPS  2000000u

struct netvsc_process netvsc_process = {NETVSC_PRIMARY, 1};

void *
netvsc_section_memory(size_t bytes)
{
	return calloc(1, bytes);
}

void
netvsc_section_memory_free(void *memory)
{
	free(memory);
}

/* xorshift: the same steps on every run. */
static uint32_t
next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static void
test_random_alloc_free_matches_model(void)
{
	struct netvsc_section_cache cache[QUEUES];
	struct netvsc_section_pool pool;
	static uint8_t owner[COUNT]; /* queue + 1 */
	static uint32_t held[QUEUES][COUNT];
	uint32_t n[QUEUES] = {0}, rnd = 12345, q, i;

	CU_ASSERT_EQUAL_FATAL(netvsc_section_pool_init(&pool, COUNT, 6144, QUEUES), 0);
	for (q = 0; q < QUEUES; q++)
		CU_ASSERT_EQUAL_FATAL(netvsc_section_cache_init(&cache[q], &pool, q), 0);
	for (i = 0; i < STEPS; i++) {
		q = next_random(&rnd) % QUEUES;
		if (next_random(&rnd) % 100 < 52) {
			uint32_t s = netvsc_section_alloc(&cache[q]);

			if (s == NETVSC_SECTION_NONE)
				continue;
			if (s >= COUNT || owner[s] != 0)
				CU_FAIL_FATAL("section given twice or out of range");
			owner[s] = (uint8_t)(q + 1);
			held[q][n[q]++] = s;
		} else if (n[q] != 0) {
			uint32_t at = next_random(&rnd) % n[q], s = held[q][at];

			held[q][at] = held[q][--n[q]];
			owner[s] = 0;
			netvsc_section_release(&cache[q], s);
		}
	}
	/* All of them come back. */
	for (q = 0; q < QUEUES; q++) {
		while (n[q] != 0)
			netvsc_section_release(&cache[q], held[q][--n[q]]);
		CU_ASSERT_EQUAL(cache[q].n_own, pool.share);
		netvsc_section_cache_free(&cache[q]);
	}
	CU_ASSERT_EQUAL(pool.n_free, COUNT - QUEUES * pool.share);
	netvsc_section_pool_free(&pool);
}

/* Pitfall T4: a queue that takes all it can get leaves the others their share. */
static void
test_no_queue_starves_another(void)
{
	struct netvsc_section_cache a, b;
	struct netvsc_section_pool pool;
	uint32_t n = 0, got = 0;

	CU_ASSERT_EQUAL_FATAL(netvsc_section_pool_init(&pool, 100, 6144, 2), 0);
	CU_ASSERT_EQUAL_FATAL(netvsc_section_cache_init(&a, &pool, 0), 0);
	CU_ASSERT_EQUAL_FATAL(netvsc_section_cache_init(&b, &pool, 1), 0);
	while (netvsc_section_alloc(&a) != NETVSC_SECTION_NONE)
		n++;
	CU_ASSERT_EQUAL(n, 75);
	while (netvsc_section_alloc(&b) != NETVSC_SECTION_NONE)
		got++;
	CU_ASSERT_EQUAL(got, 25);
	netvsc_section_cache_free(&a);
	netvsc_section_cache_free(&b);
	netvsc_section_pool_free(&pool);
}

static void
test_no_send_buffer(void)
{
	struct netvsc_section_cache cache;
	struct netvsc_section_pool pool;

	CU_ASSERT_EQUAL_FATAL(netvsc_section_pool_init(&pool, 0, 0, 4), 0);
	CU_ASSERT_EQUAL_FATAL(netvsc_section_cache_init(&cache, &pool, 3), 0);
	CU_ASSERT_EQUAL(netvsc_section_alloc(&cache), NETVSC_SECTION_NONE);
	netvsc_section_cache_free(&cache);
	netvsc_section_pool_free(&pool);
}

/* Fewer sections than twice the queues: one that sent once and rests must not keep them. */
static void
test_idle_queue_keeps_no_section_that_another_needs(void)
{
	static const uint32_t counts[] = {1, 3, 7, 8, 10, 15};
	struct netvsc_section_cache cache[8];
	struct netvsc_section_pool pool;
	uint32_t held[15], n, q, i;

	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		CU_ASSERT_EQUAL_FATAL(netvsc_section_pool_init(&pool, counts[i], 6144, 8), 0);
		for (q = 0; q < 8; q++)
			CU_ASSERT_EQUAL_FATAL(netvsc_section_cache_init(&cache[q], &pool, q), 0);
		for (q = 0; q < 8; q++) {
			for (n = 0; n < counts[i]; n++) {
				held[n] = netvsc_section_alloc(&cache[q]);
				if (held[n] == NETVSC_SECTION_NONE)
					break;
			}
			CU_ASSERT(n != 0);
			while (n != 0)
				netvsc_section_release(&cache[q], held[--n]);
		}
		for (q = 0; q < 8; q++)
			netvsc_section_cache_free(&cache[q]);
		CU_ASSERT_EQUAL(pool.n_free + 8 * pool.share, counts[i]);
		netvsc_section_pool_free(&pool);
	}
}

/* A process that was stopped has the pool's lock: no burst may wait for it. */
static void
test_lock_that_nobody_gives_back(void)
{
	const uint32_t foreign = 7;
	struct netvsc_section_cache a, b;
	struct netvsc_section_pool pool;
	static uint32_t held[COUNT];
	uint32_t n = 0, more = 0, again = 0, queues;

	for (queues = 2; queues <= 200; queues += 198, n = more = again = 0) {
		CU_ASSERT_EQUAL_FATAL(netvsc_section_pool_init(&pool, 100, 6144, queues), 0);
		CU_ASSERT_EQUAL_FATAL(netvsc_section_cache_init(&a, &pool, 0), 0);
		CU_ASSERT_EQUAL_FATAL(netvsc_section_cache_init(&b, &pool, 1), 0);
		while ((held[n] = netvsc_section_alloc(&a)) != NETVSC_SECTION_NONE)
			n++;
		pool.lock = (int)foreign;
		/* Its own, and no more. */
		while ((held[n + more] = netvsc_section_alloc(&b)) != NETVSC_SECTION_NONE)
			more++;
		CU_ASSERT_EQUAL(more, pool.share);
		while (n != 0)
			netvsc_section_release(&a, held[--n]);
		CU_ASSERT_EQUAL(netvsc_section_used(&a), 0);
		/* All of them are still there, each once. */
		while ((held[n] = netvsc_section_alloc(&a)) != NETVSC_SECTION_NONE)
			n++;
		CU_ASSERT_EQUAL(n, 100 - pool.share * (queues - 1));
		CU_ASSERT_EQUAL(netvsc_section_used(&a), n);
		while (n != 0)
			netvsc_section_release(&a, held[--n]);
		pool.lock = 0;
		netvsc_section_cache_free(&a);
		CU_ASSERT_EQUAL(pool.n_free, 100 - pool.share * queues);
		while (netvsc_section_alloc(&b) != NETVSC_SECTION_NONE)
			again++;
		CU_ASSERT_EQUAL(again, 100 - pool.share * queues);
		netvsc_section_cache_free(&b);
		netvsc_section_pool_free(&pool);
	}
}

static const struct unit_test tests[] = {
	{"random alloc and free match a model", test_random_alloc_free_matches_model},
	{"no queue starves another (T4)", test_no_queue_starves_another},
	{"an idle queue keeps no section that another needs",
		test_idle_queue_keeps_no_section_that_another_needs},
	{"a lock that nobody gives back", test_lock_that_nobody_gives_back},
	{"no send buffer", test_no_send_buffer},
};

int
main(void)
{
	return UNIT_RUN("send sections", tests);
}
