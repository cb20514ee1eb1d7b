/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/netvsp/toeplitz.h"

const uint8_t toeplitz_default_key[TOEPLITZ_KEY_SIZE] = {
	0x6d,
	0x5a,
	0x56,
	0xda,
	0x25,
	0x5b,
	0x0e,
	0xc2,
	0x41,
	0x67,
	0x25,
	0x3d,
	0x43,
	0xa3,
	0x8f,
	0xb0,
	0xd0,
	0xca,
	0x2b,
	0xcb,
	0xae,
	0x7b,
	0x30,
	0xb4,
	0x77,
	0xcb,
	0x2d,
	0xa3,
	0x80,
	0x30,
	0xf2,
	0x0c,
	0x6a,
	0x42,
	0xb7,
	0x3b,
	0xbe,
	0xac,
	0x01,
	0xfa,
};

void
toeplitz_set_key(struct toeplitz *t, const uint8_t key[TOEPLITZ_KEY_SIZE])
{
	for (uint32_t at = 0; at < TOEPLITZ_MAX_INPUT; at++) {
		/* 40 key bits from bit 8 * at on: the windows of this byte's eight bits. */
		uint64_t window = 0;

		for (uint32_t i = 0; i < 5; i++)
			window = window << 8 | (at + i < TOEPLITZ_KEY_SIZE ? key[at + i] : 0);
		for (uint32_t value = 0; value < 256; value++) {
			uint32_t hash = 0;

			/* The most significant bit of the input meets the first 32 key bits. */
			for (uint32_t bit = 0; bit < 8; bit++)
				if (value & 0x80u >> bit)
					hash ^= (uint32_t)(window >> (8 - bit));
			t->table[at][value] = hash;
		}
	}
}
