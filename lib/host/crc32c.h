/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * CRC-32C (Castagnoli, RFC 3720), as generated frames carry it. Three streams at once where the
 * processor has the instructions, tables elsewhere; chosen when the program starts. Any thread.
 *
 * A CRC here is its state: start with ~0 and invert at the end for the standard value.
 */
#ifndef HP_HOST_CRC32C_H
#define HP_HOST_CRC32C_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#if defined(__x86_64__)
#include <emmintrin.h>
#endif

/** The state @p crc after @p len bytes more. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

/** The same without any special instruction, for tests. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len);
uint32_t crc32c_skip_portable(uint32_t crc, uint32_t distance);

/** What stands for 0 to @p n bytes in crc32c_skip(): n + 1 words. */
void crc32c_distances(uint32_t *distance, uint32_t n);

#if defined(__x86_64__)
/** Does the processor multiply without carries, and know this CRC? Constant once a program runs. */
extern bool crc32c_fast __attribute__((visibility("hidden")));

/*
 * As assembly: an intrinsic of these cannot be inlined where the compiler is not told that every
 * processor has the instruction.
 */
static inline uint64_t
crc32c_multiply(uint32_t a, uint32_t b)
{
	__m128i product = _mm_cvtsi32_si128((int)a);

	__asm__("pclmulqdq $0, %1, %0" : "+x"(product) : "x"(_mm_cvtsi32_si128((int)b)));
	return (uint64_t)_mm_cvtsi128_si64(product);
}

static inline uint32_t
crc32c_instruction(uint64_t crc, uint64_t word)
{
	__asm__("crc32q %1, %0" : "+r"(crc) : "rm"(word));
	return (uint32_t)crc;
}
#endif

/**
 * The state @p crc after 14 bytes more, which lie in @p first and in the low ones of @p second: a
 * generated frame's own header.
 */
static inline uint32_t
crc32c_14(uint32_t crc, uint64_t first, uint64_t second)
{
	uint64_t bytes[2];

#if defined(__x86_64__)
	if (crc32c_fast) {
		crc = crc32c_instruction(crc, first);
		__asm__("crc32l %1, %0" : "+r"(crc) : "r"((uint32_t)second));
		__asm__("crc32w %1, %0" : "+r"(crc) : "r"((uint16_t)(second >> 32)));
		return crc;
	}
#endif
	bytes[0] = first;
	bytes[1] = second;
	return crc32c_portable(crc, bytes, 14);
}

/**
 * The state @p crc after as many zero bytes as @p distance stands for. As states add up by XOR,
 * the state after bytes whose own state from 0 is known is crc32c_skip() of the one before, XOR
 * theirs.
 */
static inline uint32_t
crc32c_skip(uint32_t crc, uint32_t distance)
{
#if defined(__x86_64__)
	if (crc32c_fast)
		return crc32c_instruction(0, crc32c_multiply(crc, distance));
#endif
	return crc32c_skip_portable(crc, distance);
}

#endif
