/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Golden bytes of spec/ as strings, for the tests of lib/netvsp. A struct bytes owns its memory,
 * exactly as long as its content so that AddressSanitizer sees a read past the end.
 */
#ifndef HP_TEST_NETVSP_BYTES_H
#define HP_TEST_NETVSP_BYTES_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/unit/unit.h"

struct bytes {
	uint8_t *p;
	uint32_t len;
};

static inline struct bytes
bytes_copy(const void *src, size_t len)
{
	struct bytes b = {malloc(len != 0 ? len : 1), (uint32_t)len};

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.p);
	if (len != 0)
		memcpy(b.p, src, len);
	return b;
}

static inline void
bytes_free(struct bytes *b)
{
	free(b->p);
	b->p = NULL;
}

/** Hexadecimal digits; spaces are skipped, "N*00" is N zero bytes as in the spec. */
static inline struct bytes
bytes_of(const char *hex)
{
	uint8_t buffer[2048] = {0};
	unsigned int value, zeros;
	uint32_t len = 0;
	int used;

	while (*hex != '\0') {
		if (*hex == ' ') {
			hex++;
		} else if (sscanf(hex, "%u*00%n", &zeros, &used) == 1 && strchr(hex, '*') != NULL &&
			   strspn(hex, "0123456789") == (size_t)(strchr(hex, '*') - hex)) {
			CU_ASSERT_FATAL(zeros <= sizeof(buffer) - len);
			len += zeros;
			hex += used;
		} else {
			CU_ASSERT_FATAL(len < sizeof(buffer));
			CU_ASSERT_EQUAL_FATAL(sscanf(hex, "%2x%n", &value, &used), 1);
			CU_ASSERT_EQUAL_FATAL(used, 2);
			buffer[len++] = (uint8_t)value;
			hex += 2;
		}
	}
	return bytes_copy(buffer, len);
}

/** Whether @p got is what @p hex says; prints both when not. */
static inline int
bytes_match(const char *hex, const void *got, uint32_t len)
{
	struct bytes want = bytes_of(hex);
	int same = want.len == len && memcmp(want.p, got, len) == 0;

	if (!same) {
		fprintf(stderr, "\nwant (%u) %s\ngot  (%u) ", want.len, hex, len);
		for (uint32_t i = 0; i < len; i++)
			fprintf(stderr, "%02x%s", ((const uint8_t *)got)[i], i % 4 == 3 ? " " : "");
		fprintf(stderr, "\n");
	}
	bytes_free(&want);
	return same;
}

static inline uint32_t
bytes_crc32(const void *data, uint32_t len)
{
	const uint8_t *p = data;
	uint32_t crc = 0xffffffffu;

	for (uint32_t i = 0; i < len; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

/** Write a 32-bit field of a message. */
static inline void
put32(uint8_t *msg, uint32_t at, uint32_t value)
{
	memcpy(msg + at, &value, sizeof(value));
}

/** Repeatable numbers for property tests. */
static inline uint32_t
bytes_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 32);
}

#endif
