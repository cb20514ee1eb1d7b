/* SPDX-License-Identifier: BSD-3-Clause */
/* See fuzz.h. */
#include <pthread.h>
#include <stdatomic.h>

#include <CUnit/CUnit.h>

#include "test/fuzz/fuzz.h"

void
fuzz_fail(const char *what, const char *file, unsigned int line)
{
	fprintf(stderr, "%s:%u: does not hold: %s\n", file, line, what);
	abort();
}

/* In the place of CUnit's: outside of its runs that one only says that it was called there. */
CU_BOOL
CU_assertImplementation(CU_BOOL value, unsigned int line, const char *condition, const char *file,
	const char *function, CU_BOOL fatal)
{
	if (!value)
		fuzz_fail(condition, file, line);
	return CU_TRUE;
}

uint32_t
fuzz_word(struct fuzz *in)
{
	static const uint32_t words[] = {0, 1, 7, 8, 44, 64, 255, 4095, 4096, 65535, 0x7fffffff,
		0x80000000, 0xfffffff8, UINT32_MAX};
	uint8_t how = fuzz_u8(in);

	if (how < sizeof(words) / sizeof(words[0]))
		return words[how];
	return how < 128 ? fuzz_u8(in) : how < 192 ? fuzz_u16(in) : fuzz_u32(in);
}

void
fuzz_scribble(struct fuzz *in, void *bytes, size_t len)
{
	uint8_t *p = bytes;
	uint32_t n = fuzz_u8(in), word;
	size_t at;

	if (n < 128 || len == 0)
		return;
	for (n = 1 + n % 3; n != 0; n--) {
		at = fuzz_u16(in);
		word = fuzz_word(in);
		if (at & 0x8000 || len < 4) {
			p[(at & 0x7fff) % len] = (uint8_t)word;
		} else {
			at = at * 4 % (len - 3);
			memcpy(p + at, &word, sizeof(word));
		}
	}
}

uint8_t *
fuzz_block(struct fuzz *in, size_t max, size_t *len)
{
	size_t n = in->left < max ? in->left : max;
	uint8_t *p = malloc(n + (n == 0));

	FUZZ_CHECK(p != NULL);
	fuzz_take(in, p, n);
	*len = n;
	return p;
}

char *
fuzz_text(struct fuzz *in, size_t max)
{
	size_t n = in->left < max ? in->left : max;
	char *p = malloc(n + 1);

	FUZZ_CHECK(p != NULL);
	fuzz_take(in, p, n);
	p[n] = '\0';
	return p;
}

#ifdef FUZZ_FLIP
static pthread_t flipper;
static atomic_bool flipping;
static _Atomic uint32_t *flip_base;
static size_t flip_words;
static bool flip_paused;

static void *
flip_main(void *arg)
{
	uint64_t x = UINT64_C(0x9e3779b97f4a7c15) ^ (uintptr_t)arg;

	while (atomic_load_explicit(&flipping, memory_order_relaxed)) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		/* Mostly near the start, where headers and indices are. */
		size_t at = (size_t)(x >> 20) % (x & 1 ? flip_words : flip_words / 64 + 1);

		if (x & 2)
			atomic_fetch_xor_explicit(
				&flip_base[at], 1u << (x >> 8 & 31), memory_order_relaxed);
		else
			atomic_store_explicit(
				&flip_base[at], (uint32_t)(x >> 32), memory_order_relaxed);
	}
	return NULL;
}

static void
flip_begin(void)
{
	atomic_store(&flipping, true);
	FUZZ_CHECK(pthread_create(&flipper, NULL, flip_main, (void *)flip_base) == 0);
}

void
fuzz_flip(void *base, size_t len)
{
	flip_base = base;
	flip_words = len / 4;
	flip_begin();
}

void
fuzz_flip_end(void)
{
	atomic_store(&flipping, false);
	pthread_join(flipper, NULL);
}

void
fuzz_flip_pause(void)
{
	flip_paused = atomic_load(&flipping);
	if (flip_paused)
		fuzz_flip_end();
}

void
fuzz_flip_resume(void)
{
	if (flip_paused)
		flip_begin();
}
#else
void
fuzz_flip(void *base, size_t len)
{
}

void
fuzz_flip_end(void)
{
}

void
fuzz_flip_pause(void)
{
}

void
fuzz_flip_resume(void)
{
}
#endif
