/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Copying frames. Short ones take a few moves inline. Long ones go through the C library's
 * memcpy(), which chooses its routine by the CPU it finds: libdpdk and all that includes its
 * headers, and with them rte_memcpy(), are built for the oldest CPU that a distribution supports.
 * Any thread; nothing outside of the two areas is read or written, and they do not overlap.
 */
#ifndef HP_NETVSC_COPY_H
#define HP_NETVSC_COPY_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** 16 bytes at any address. */
typedef uint64_t netvsc_copy16 __attribute__((vector_size(16), aligned(1), may_alias));

/* Two ends of an area, which meet or overlap, cover all lengths from one end's to twice that. */

static inline void
netvsc_copy_32_to_64(uint8_t *dst, const uint8_t *src, size_t len)
{
	const netvsc_copy16 *from = (const netvsc_copy16 *)src;
	const netvsc_copy16 *from_end = (const netvsc_copy16 *)(src + len);
	netvsc_copy16 *to = (netvsc_copy16 *)dst, *to_end = (netvsc_copy16 *)(dst + len);
	netvsc_copy16 a = from[0], b = from[1], y = from_end[-2], z = from_end[-1];

	to[0] = a;
	to[1] = b;
	to_end[-2] = y;
	to_end[-1] = z;
}

/** Copy @p len bytes, any number. */
static inline void
netvsc_copy(void *dst, const void *src, size_t len)
{
	uint8_t *to = dst;
	const uint8_t *from = src;

	if (len >= 32 && len <= 64) {
		netvsc_copy_32_to_64(to, from, len);
	} else if (len > 64 && len <= 128) {
		netvsc_copy_32_to_64(to, from, 64);
		netvsc_copy_32_to_64(to + len - 64, from + len - 64, 64);
	} else {
		memcpy(dst, src, len);
	}
}

#endif
