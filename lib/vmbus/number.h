/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Numbers in what a user typed: options, device arguments, knobs. Strict: digits only, so no sign,
 * blank or trailing character passes, and nothing wraps. Any thread.
 */
#ifndef HP_VMBUS_NUMBER_H
#define HP_VMBUS_NUMBER_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

/** What a number may have besides decimal digits; may be combined. */
enum {
	NUMBER_PLAIN = 0,
	NUMBER_KMG_1024 = 1, /**< a suffix K, M or G of either case, powers of 1024: bytes */
	NUMBER_KMG_1000 = 2, /**< the same, powers of 1000: rates and counts */
	NUMBER_HEX = 4,	     /**< a prefix 0x and then hexadecimal digits */
};

static inline int
number_digit(char c, unsigned int base)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (base == 16 && c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (base == 16 && c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static inline unsigned int
number_suffix_power(char c)
{
	switch (c) {
	case 'k':
	case 'K':
		return 1;
	case 'm':
	case 'M':
		return 2;
	case 'g':
	case 'G':
		return 3;
	default:
		return 0;
	}
}

/**
 * Take a number from the front of a text, as for "A-B".
 *
 * @param text  is moved behind the number; unchanged when it fails; NULL has no number
 * @param flags NUMBER_*
 * @return 0 and *value; -EINVAL: no number here; -ERANGE: it does not fit 64 bits
 */
static inline int
number_take(const char **text, unsigned int flags, uint64_t *value)
{
	const char *p = *text;
	unsigned int base = 10, power;
	uint64_t n = 0, unit = 1;
	int digit;

	if (p == NULL)
		return -EINVAL;
	if ((flags & NUMBER_HEX) && p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
		base = 16;
		p += 2;
	}
	if (number_digit(*p, base) < 0)
		return -EINVAL;
	for (; (digit = number_digit(*p, base)) >= 0; p++) {
		if (n > (UINT64_MAX - (unsigned int)digit) / base)
			return -ERANGE;
		n = n * base + (unsigned int)digit;
	}
	power = flags & (NUMBER_KMG_1024 | NUMBER_KMG_1000) ? number_suffix_power(*p) : 0;
	p += power != 0;
	for (; power != 0; power--)
		unit *= flags & NUMBER_KMG_1024 ? 1024 : 1000;
	if (n > UINT64_MAX / unit)
		return -ERANGE;
	*value = n * unit;
	*text = p;
	return 0;
}

/**
 * Parse a text that is one number and nothing else.
 *
 * @param text  NULL is not a number
 * @param flags NUMBER_*
 * @param min,max inclusive range
 * @return 0 and *value; -EINVAL: not a number; -ERANGE: a number, but not from @p min to @p max.
 *         *value is unchanged when it fails. What to tell the user is the caller's.
 */
static inline int
number_parse(const char *text, unsigned int flags, uint64_t min, uint64_t max, uint64_t *value)
{
	uint64_t n;
	int rc = number_take(&text, flags, &n);

	if (rc == 0 && *text != '\0')
		rc = -EINVAL;
	if (rc == 0 && (n < min || n > max))
		rc = -ERANGE;
	if (rc == 0)
		*value = n;
	return rc;
}

#endif
