/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * GUIDs as text (lower case, dashes) and in Hyper-V's memory order: the first three groups are
 * little-endian (spec/linux-uio-vmbus.md §1, §2).
 */
#ifndef HP_VMBUS_GUID_H
#define HP_VMBUS_GUID_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/** Length of the text form without the terminating NUL. */
#define VMBUS_GUID_LEN 36

/** Class of the synthetic NIC, text and memory form. */
#define VMBUS_NIC_CLASS "f8615163-df3e-46c5-913f-f2d2f965ed0e"
static const uint8_t vmbus_nic_class[16] = {0x63, 0x51, 0x61, 0xf8, 0x3e, 0xdf, 0xc5, 0x46, 0x91,
	0x3f, 0xf2, 0xd2, 0xf9, 0x65, 0xed, 0x0e};

/* Text order of the bytes in memory order. */
static const uint8_t vmbus_guid_order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};

static inline int
vmbus_guid_nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/**
 * Parse exactly 36 characters 8-4-4-4-12 of any case, nothing after them.
 * @return 0 or -EINVAL
 */
static inline int
vmbus_guid_parse(const char *text, uint8_t guid[16])
{
	unsigned int i, n = 0;

	for (i = 0; i < VMBUS_GUID_LEN; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (text[i] != '-')
				return -EINVAL;
			continue;
		}
		int hi = vmbus_guid_nibble(text[i]);
		int lo = hi < 0 ? -1 : vmbus_guid_nibble(text[i + 1]);

		if (lo < 0)
			return -EINVAL;
		guid[vmbus_guid_order[n++]] = (uint8_t)(hi << 4 | lo);
		i++;
	}
	return text[VMBUS_GUID_LEN] == '\0' ? 0 : -EINVAL;
}

static inline void
vmbus_guid_format(const uint8_t guid[16], char text[VMBUS_GUID_LEN + 1])
{
	unsigned int i, n = 0;

	for (i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			text[n++] = '-';
		n += (unsigned int)snprintf(text + n, 3, "%02x", guid[vmbus_guid_order[i]]);
	}
}

#endif
