/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The Toeplitz hash of receive-side scaling (spec/rndis.md §7, §13), one table look-up per input
 * byte. The owner of a struct toeplitz sets its key while nobody hashes; then any thread may hash.
 */
#ifndef HP_NETVSP_TOEPLITZ_H
#define HP_NETVSP_TOEPLITZ_H

#include <stddef.h>
#include <stdint.h>

#define TOEPLITZ_KEY_SIZE 40u
/** Longest input of a 40-byte key: IPv6 addresses and ports. */
#define TOEPLITZ_MAX_INPUT 36u

/** The key everybody starts with (spec/rndis.md §13). */
extern const uint8_t toeplitz_default_key[TOEPLITZ_KEY_SIZE];

/** A key prepared for hashing: contribution of byte value v at input position i. 36 KiB. */
struct toeplitz {
	uint32_t table[TOEPLITZ_MAX_INPUT][256];
};

/** Prepare @p key. Costs some ten thousand operations. */
void toeplitz_set_key(struct toeplitz *t, const uint8_t key[TOEPLITZ_KEY_SIZE]);

/**
 * Contribution of @p len bytes in network order at input position @p at; the hash of an input is
 * the XOR of its parts, so addresses and ports need not be gathered first. at + len <= 36.
 */
static inline uint32_t
toeplitz_part(const struct toeplitz *t, uint32_t at, const void *data, uint32_t len)
{
	const uint8_t *p = (const uint8_t *)data;
	uint32_t hash = 0;

	for (uint32_t i = 0; i < len; i++)
		hash ^= t->table[at + i][p[i]];
	return hash;
}

/** Hash of @p len <= 36 bytes: source address, destination address[, source port, dest. port]. */
static inline uint32_t
toeplitz_hash(const struct toeplitz *t, const void *data, uint32_t len)
{
	return toeplitz_part(t, 0, data, len);
}

#endif
