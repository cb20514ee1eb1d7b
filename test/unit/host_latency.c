/* SPDX-License-Identifier: BSD-3-Clause */
/* The histogram of latencies against sorted times. */
#include <stdlib.h>
#include <string.h>

#include "lib/host/gen_frame.h"
#include "lib/host/latency.h"
#include "test/unit/unit.h"

static struct latency l;

static int
compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void
nothing_is_all_zero(void)
{
	struct latency_summary s, zero = {0};

	memset(&l, 0, sizeof(l));
	memset(&s, 0xff, sizeof(s));
	latency_summarize(&l, &s);
	CU_ASSERT(memcmp(&s, &zero, sizeof(s)) == 0);
}

static void
one_time_is_every_quantile(void)
{
	static const uint64_t times[] = {0, 1, 63, 64, 65, 1000, 123456789, UINT64_C(1) << 39,
		(UINT64_C(1) << 40) - 1, UINT64_C(1) << 40, UINT64_MAX};
	struct latency_summary s;

	for (unsigned int i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		memset(&l, 0, sizeof(l));
		latency_add(&l, times[i]);
		latency_summarize(&l, &s);
		CU_ASSERT_EQUAL(s.frames, 1);
		CU_ASSERT_EQUAL(s.min, times[i]);
		CU_ASSERT_EQUAL(s.max, times[i]);
		if (times[i] >> 40 == 0) {
			CU_ASSERT_EQUAL(s.p50, times[i]);
			CU_ASSERT_EQUAL(s.p999, times[i]);
		}
	}
}

/* Within a bucket's width above the sorted one, asked after each time or at the end. */
static void
quantiles_are_those_of_the_sorted_times(void)
{
	enum { N = 5000 };
	static uint64_t sorted[N];
	uint64_t random = 7;

	memset(&l, 0, sizeof(l));
	for (unsigned int n = 1; n <= N; n++) {
		uint64_t ns = gen_random(&random) >> (24 + gen_random(&random) % 36);
		const unsigned int permille[3] = {500, 990, 999};
		struct latency_summary s;

		latency_add(&l, ns);
		sorted[n - 1] = ns;
		if (n % 7 != 0 && n != N)
			continue;
		qsort(sorted, n, sizeof(sorted[0]), compare);
		latency_summarize(&l, &s);
		const uint64_t got[3] = {s.p50, s.p99, s.p999};

		CU_ASSERT_EQUAL(s.min, sorted[0]);
		CU_ASSERT_EQUAL(s.max, sorted[n - 1]);
		for (unsigned int i = 0; i < 3; i++) {
			uint64_t want = sorted[(n * permille[i] + 999) / 1000 - 1];

			CU_ASSERT(got[i] >= want && got[i] <= want + want / 32);
		}
	}
}

/* Every time is in the step that ends at it or behind it, and all are in one. */
static void
steps_hold_all_times(void)
{
	uint64_t random = 9, end = 0, wanted[LATENCY_STEPS] = {0}, sum = 0;
	struct latency_summary s;
	unsigned int i, step;

	memset(&l, 0, sizeof(l));
	for (i = 0; i < LATENCY_STEPS; i++) {
		CU_ASSERT(i == 0 || latency_step_end(i) > end);
		/* Never more than a quarter beyond the times in it, from where they are that wide.
		 */
		CU_ASSERT(i < 8 || latency_step_end(i) <= end + 1 + (end + 1) / 4);
		end = latency_step_end(i);
	}
	CU_ASSERT_EQUAL(end, (UINT64_C(1) << 40) - 1);
	for (i = 0; i < 100000; i++) {
		uint64_t ns = gen_random(&random) >> (gen_random(&random) % 64);

		latency_add(&l, ns);
		for (step = 0; step < LATENCY_STEPS - 1 && latency_step_end(step) < ns; step++)
			;
		wanted[step]++;
	}
	latency_summarize(&l, &s);
	CU_ASSERT_EQUAL(s.frames, 100000);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s.steps);
	for (step = 0; step < LATENCY_STEPS; step++) {
		CU_ASSERT_EQUAL(s.steps[step], wanted[step]);
		sum += s.steps[step];
	}
	CU_ASSERT_EQUAL(sum, s.frames);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"nothing is all zero", nothing_is_all_zero},
		{"one time is every quantile", one_time_is_every_quantile},
		{"quantiles are those of the sorted times",
			quantiles_are_those_of_the_sorted_times},
		{"steps hold all times", steps_hold_all_times},
	};

	return UNIT_RUN("host_latency", tests);
}
