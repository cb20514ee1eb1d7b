/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * States are polynomials over GF(2) modulo the CRC's, bit 31 being the constant term: a zero bit
 * more multiplies by x. A distance of n bytes is x^(8n-33): the product of two such words without
 * carries lies one bit lower in 64 bits than the CRC instruction reads them, and that instruction
 * multiplies by x^32 when it reduces.
 */
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "lib/host/crc32c.h"

#define POLYNOMIAL 0x82f63b78u
#define ONE	   0x80000000u /* the constant polynomial 1 */

static uint32_t table[8][256];

static uint32_t
times_x(uint32_t a)
{
	return a & 1 ? a >> 1 ^ POLYNOMIAL : a >> 1;
}

static uint32_t
over_x(uint32_t a)
{
	return a & ONE ? (a ^ POLYNOMIAL) << 1 | 1 : a << 1;
}

static uint32_t
times(uint32_t a, uint32_t b)
{
	uint32_t product = 0;

	for (; a != 0; a <<= 1, b = times_x(b))
		if (a & ONE)
			product ^= b;
	return product;
}

static uint32_t
times_x_to(uint32_t a, unsigned int power)
{
	while (power-- > 0)
		a = times_x(a);
	return a;
}

void
crc32c_distances(uint32_t *distance, uint32_t n)
{
	distance[0] = ONE;
	for (unsigned int i = 0; i < 33; i++)
		distance[0] = over_x(distance[0]);
	for (uint32_t i = 0; i < n; i++)
		distance[i + 1] = times_x_to(distance[i], 8);
}

uint32_t
crc32c_skip_portable(uint32_t crc, uint32_t distance)
{
	return times_x_to(times(crc, distance), 33);
}

uint32_t
crc32c_portable(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t w;

	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&w, p, 8);
		w ^= crc;
		crc = table[7][w & 0xff] ^ table[6][w >> 8 & 0xff] ^ table[5][w >> 16 & 0xff] ^
		      table[4][w >> 24 & 0xff] ^ table[3][w >> 32 & 0xff] ^
		      table[2][w >> 40 & 0xff] ^ table[1][w >> 48 & 0xff] ^ table[0][w >> 56];
	}
	while (len-- > 0)
		crc = crc >> 8 ^ table[0][(crc ^ *p++) & 0xff];
	return crc;
}

static void
table_fill(void)
{
	for (uint32_t i = 0; i < 256; i++)
		table[0][i] = times_x_to(i, 8);
	for (int t = 1; t < 8; t++)
		for (uint32_t i = 0; i < 256; i++)
			table[t][i] = table[t - 1][i] >> 8 ^ table[0][table[t - 1][i] & 0xff];
}

#if defined(__x86_64__)
#define FAST __attribute__((target("sse4.2,pclmul")))
/* Words of one of the three streams: below, dividing costs more than it saves. */
#define STREAM_MIN 8u
#define STREAM_MAX 128u

bool crc32c_fast;
/* Distances of so many words. */
static uint32_t word_distance[2 * STREAM_MAX + 1];

static inline uint64_t
word_at(const uint8_t *p, size_t i)
{
	uint64_t w;

	memcpy(&w, p + 8 * i, 8);
	return w;
}

/* The instruction takes three cycles but can start in each: three streams of @p n words. */
FAST static uint32_t
three_streams(uint32_t crc, const uint8_t *p, size_t n)
{
	uint64_t a = crc, b = 0, c = 0, product;

	for (size_t i = 0; i < n; i++) {
		a = _mm_crc32_u64(a, word_at(p, i));
		b = _mm_crc32_u64(b, word_at(p, n + i));
		c = _mm_crc32_u64(c, word_at(p, 2 * n + i));
	}
	product = crc32c_multiply((uint32_t)a, word_distance[2 * n]) ^
		  crc32c_multiply((uint32_t)b, word_distance[n]);
	return (uint32_t)(_mm_crc32_u64(0, product) ^ c);
}

FAST static uint32_t
crc32c_here(uint32_t crc, const uint8_t *p, size_t len)
{
	uint32_t half;
	uint16_t quarter;
	uint64_t c;

	while (len >= 24 * STREAM_MIN) {
		size_t n = len / 24 < STREAM_MAX ? len / 24 : STREAM_MAX;

		crc = three_streams(crc, p, n);
		p += 24 * n;
		len -= 24 * n;
	}
	for (c = crc; len >= 8; len -= 8, p += 8)
		c = _mm_crc32_u64(c, word_at(p, 0));
	crc = (uint32_t)c;
	if (len & 4) {
		memcpy(&half, p, 4);
		crc = _mm_crc32_u32(crc, half);
		p += 4;
	}
	if (len & 2) {
		memcpy(&quarter, p, 2);
		crc = _mm_crc32_u16(crc, quarter);
		p += 2;
	}
	return len & 1 ? _mm_crc32_u8(crc, *p) : crc;
}
#endif

__attribute__((constructor)) static void
crc32c_choose(void)
{
	table_fill();
#if defined(__x86_64__)
	crc32c_fast = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
	crc32c_distances(word_distance, 0);
	for (uint32_t i = 0; i < 2 * STREAM_MAX; i++)
		word_distance[i + 1] = times_x_to(word_distance[i], 64);
#endif
}

uint32_t
crc32c(uint32_t crc, const void *data, size_t len)
{
#if defined(__x86_64__)
	if (crc32c_fast)
		return crc32c_here(crc, data, len);
#endif
	return crc32c_portable(crc, data, len);
}
