/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Loads from memory that the peer may be changing: rings, receive buffer, send buffer. What came
 * through here is a private value; nothing that decides anything is read in another way. Any
 * thread.
 *
 * The empty assembly hides where a value came from, so that the compiler cannot read the memory a
 * second time behind a check. It orders nothing: that is done by the indices of the ring.
 */
#ifndef HP_VMBUS_SHARED_H
#define HP_VMBUS_SHARED_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** One load of a 32-bit word at any address. */
static inline uint32_t
vmbus_load32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	__asm__("" : "+r"(v));
	return v;
}

/** One load of a 64-bit word at any address. */
static inline uint64_t
vmbus_load64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	__asm__("" : "+r"(v));
	return v;
}

/** A private copy of @p len bytes, each read once. */
static inline void
vmbus_load(void *dst, const void *src, size_t len)
{
	memcpy(dst, src, len);
	__asm__ volatile("" : : "r"(dst) : "memory");
}

#endif
