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

int
main(void)
{
	static const struct unit_test tests[] = {
		{"nothing is all zero", nothing_is_all_zero},
		{"one time is every quantile", one_time_is_every_quantile},
		{"quantiles are those of the sorted times",
			quantiles_are_those_of_the_sorted_times},
	};

	return UNIT_RUN("host_latency", tests);
}
