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

#include <stddef.h>
#include <stdint.h>

/** The state @p crc after @p len bytes more. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

/** What stands for 0 to @p n bytes in crc32c_skip(): n + 1 words. */
void crc32c_distances(uint32_t *distance, uint32_t n);

/**
 * The state @p crc after as many zero bytes as @p distance stands for. As states add up by XOR,
 * the state after bytes whose own state from 0 is known is crc32c_skip() of the one before, XOR
 * theirs.
 */
uint32_t crc32c_skip(uint32_t crc, uint32_t distance);

/** The same without any special instruction, for tests. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len);
uint32_t crc32c_skip_portable(uint32_t crc, uint32_t distance);

#endif
