/* SPDX-License-Identifier: BSD-3-Clause */
/* What counts as a number in options, device arguments and knobs. */
#include "lib/vmbus/number.h"
#include "test/unit/unit.h"

static void
a_number_is_digits_and_nothing_else(void)
{
	static const char *const bad[] = {
		"", " 1", "1 ", "-1", "+1", "1x", "0x10", "1K", "1,2", "K", "1.5", "\t7", "one"};
	uint64_t n = 77;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_EQUAL(number_parse(bad[i], NUMBER_PLAIN, 0, UINT64_MAX, &n), -EINVAL);
	CU_ASSERT_EQUAL(number_parse(NULL, NUMBER_PLAIN, 0, UINT64_MAX, &n), -EINVAL);
	CU_ASSERT_EQUAL(n, 77);
	CU_ASSERT_EQUAL(number_parse("0", NUMBER_PLAIN, 0, 0, &n), 0);
	CU_ASSERT_EQUAL(n, 0);
	/* Decimal, also behind zeros. */
	CU_ASSERT_EQUAL(number_parse("010", NUMBER_PLAIN, 0, 99, &n), 0);
	CU_ASSERT_EQUAL(n, 10);
}

static void
out_of_range_and_overflow_are_told_from_nonsense(void)
{
	uint64_t n = 77;

	CU_ASSERT_EQUAL(number_parse("18446744073709551615", 0, 0, UINT64_MAX, &n), 0);
	CU_ASSERT_EQUAL(n, UINT64_MAX);
	n = 77;
	CU_ASSERT_EQUAL(number_parse("18446744073709551616", 0, 0, UINT64_MAX, &n), -ERANGE);
	CU_ASSERT_EQUAL(number_parse("99999999999999999999999", 0, 0, UINT64_MAX, &n), -ERANGE);
	CU_ASSERT_EQUAL(number_parse("4", 0, 5, 7, &n), -ERANGE);
	CU_ASSERT_EQUAL(number_parse("8", 0, 5, 7, &n), -ERANGE);
	CU_ASSERT_EQUAL(n, 77);
	CU_ASSERT_EQUAL(number_parse("5", 0, 5, 7, &n), 0);
	CU_ASSERT_EQUAL(number_parse("7", 0, 5, 7, &n), 0);
}

static void
suffixes_count_in_the_unit_asked_for(void)
{
	uint64_t n = 77;

	CU_ASSERT_EQUAL(number_parse("16M", NUMBER_KMG_1024, 0, UINT64_MAX, &n), 0);
	CU_ASSERT_EQUAL(n, 16u << 20);
	CU_ASSERT_EQUAL(number_parse("2k", NUMBER_KMG_1000, 0, UINT64_MAX, &n), 0);
	CU_ASSERT_EQUAL(n, 2000);
	CU_ASSERT_EQUAL(number_parse("3G", NUMBER_KMG_1000, 0, UINT64_MAX, &n), 0);
	CU_ASSERT_EQUAL(n, UINT64_C(3000000000));
	n = 77;
	CU_ASSERT_EQUAL(number_parse("1KK", NUMBER_KMG_1024, 0, UINT64_MAX, &n), -EINVAL);
	CU_ASSERT_EQUAL(number_parse("1T", NUMBER_KMG_1024, 0, UINT64_MAX, &n), -EINVAL);
	/* 2^64 bytes exactly: wraps to 0 where nobody looks. */
	CU_ASSERT_EQUAL(number_parse("17179869184G", NUMBER_KMG_1024, 0, UINT64_MAX, &n), -ERANGE);
	/* The range is that of the value, not of the digits. */
	CU_ASSERT_EQUAL(number_parse("5K", NUMBER_KMG_1024, 0, 5000, &n), -ERANGE);
	CU_ASSERT_EQUAL(n, 77);
}

static void
hexadecimal_only_where_asked_for(void)
{
	uint64_t n = 77;

	CU_ASSERT_EQUAL(number_parse("0x10000000000", NUMBER_HEX, 0, UINT64_MAX, &n), 0);
	CU_ASSERT_EQUAL(n, UINT64_C(1) << 40);
	CU_ASSERT_EQUAL(number_parse("0XfF", NUMBER_HEX, 0, 255, &n), 0);
	CU_ASSERT_EQUAL(n, 255);
	CU_ASSERT_EQUAL(number_parse("ff", NUMBER_HEX, 0, 255, &n), -EINVAL);
	CU_ASSERT_EQUAL(number_parse("0x", NUMBER_HEX, 0, 255, &n), -EINVAL);
	CU_ASSERT_EQUAL(
		number_parse("0x10000000000000000", NUMBER_HEX, 0, UINT64_MAX, &n), -ERANGE);
}

static void
taking_stops_behind_the_number(void)
{
	const char *text = "60-1514", *range = text;
	uint64_t n = 0;

	CU_ASSERT_EQUAL(number_take(&text, NUMBER_PLAIN, &n), 0);
	CU_ASSERT_EQUAL(n, 60);
	CU_ASSERT_PTR_EQUAL(text, range + 2);
	CU_ASSERT_EQUAL(number_take(&text, NUMBER_PLAIN, &n), -EINVAL);
	CU_ASSERT_PTR_EQUAL(text, range + 2);
	text = NULL;
	CU_ASSERT_EQUAL(number_take(&text, NUMBER_PLAIN, &n), -EINVAL);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"a number is digits and nothing else", a_number_is_digits_and_nothing_else},
		{"out of range and overflow are told from nonsense",
			out_of_range_and_overflow_are_told_from_nonsense},
		{"suffixes count in the unit asked for", suffixes_count_in_the_unit_asked_for},
		{"hexadecimal only where asked for", hexadecimal_only_where_asked_for},
		{"taking stops behind the number", taking_stops_behind_the_number},
	};

	return UNIT_RUN("number", tests);
}
