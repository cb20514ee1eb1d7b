/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What the fuzz targets share: a cursor over one input, mutation of valid bytes, and a thread that
 * changes shared memory meanwhile. A target is one file with LLVMFuzzerTestOneInput(); it runs on
 * one thread and keeps nothing from one input to the next, so that an input that found something
 * finds it again.
 *
 * Inputs of structured targets are programs: a byte says what is done next, the bytes behind it are
 * its arguments. An input that has ended reads as zero, and zero means that nothing is mutated. So
 * the empty input is valid traffic, and each byte is a step away from it.
 *
 * The assertions of fixtures of test/unit are used as they are: one that fails ends the process
 * (fuzz.c), as does FUZZ_CHECK().
 */
#ifndef HP_TEST_FUZZ_H
#define HP_TEST_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/** What must hold whatever the input is. */
#define FUZZ_CHECK(cond)                                                                           \
	do {                                                                                       \
		if (!(cond))                                                                       \
			fuzz_fail(#cond, __FILE__, __LINE__);                                      \
	} while (0)
__attribute__((noreturn)) void fuzz_fail(const char *what, const char *file, unsigned int line);

/** The rest of an input. */
struct fuzz {
	const uint8_t *at;
	size_t left;
};

static inline void
fuzz_take(struct fuzz *in, void *dst, size_t len)
{
	size_t n = len < in->left ? len : in->left;

	memset(dst, 0, len);
	if (n != 0)
		memcpy(dst, in->at, n);
	in->at += n;
	in->left -= n;
}

static inline uint8_t
fuzz_u8(struct fuzz *in)
{
	uint8_t v;

	fuzz_take(in, &v, sizeof(v));
	return v;
}

static inline uint16_t
fuzz_u16(struct fuzz *in)
{
	uint16_t v;

	fuzz_take(in, &v, sizeof(v));
	return v;
}

static inline uint32_t
fuzz_u32(struct fuzz *in)
{
	uint32_t v;

	fuzz_take(in, &v, sizeof(v));
	return v;
}

static inline uint64_t
fuzz_u64(struct fuzz *in)
{
	uint64_t v;

	fuzz_take(in, &v, sizeof(v));
	return v;
}

/** One of @p n, 1 to 256. */
static inline uint32_t
fuzz_below(struct fuzz *in, uint32_t n)
{
	return fuzz_u8(in) % n;
}

/** True for the odd byte: an input that has ended says no. */
static inline bool
fuzz_bool(struct fuzz *in)
{
	return fuzz_u8(in) & 1;
}

/** A word: one that somebody may have forgotten, or any. */
uint32_t fuzz_word(struct fuzz *in);

/** Change up to 3 bytes or words of valid bytes; an input that has ended changes nothing. */
void fuzz_scribble(struct fuzz *in, void *bytes, size_t len);

/** Up to @p max bytes as a block of their own, so that AddressSanitizer sees both its ends. */
uint8_t *fuzz_block(struct fuzz *in, size_t max, size_t *len);

/** The same with a NUL behind it. */
char *fuzz_text(struct fuzz *in, size_t max);

/**
 * From now on another thread changes words of this memory as it likes, until fuzz_flip_end(). Does
 * nothing unless the target was built with FUZZ_FLIP. What it does is not in the input: a finding
 * may take a number of tries to be found again.
 */
void fuzz_flip(void *base, size_t len);
void fuzz_flip_end(void);
/** Around what only an honest peer does, such as making new rings; also before fuzz_flip(). */
void fuzz_flip_pause(void);
void fuzz_flip_resume(void);

#endif
