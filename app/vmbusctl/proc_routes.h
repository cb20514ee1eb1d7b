/* SPDX-License-Identifier: BSD-3-Clause */
/** @file vmbusctl: /proc/net/route and /proc/net/ipv6_route. */
#ifndef HP_VMBUSCTL_PROC_ROUTES_H
#define HP_VMBUSCTL_PROC_ROUTES_H

#include "app/vmbusctl/ctl.h"

struct ctl_proc_route {
	char interface[16];
	uint8_t prefix[16]; /**< IPv4 in the first four bytes, network order */
	unsigned int length;
};

/** Calls `each` for every usable route of a family until it returns true. @return the last result
 */
bool ctl_for_each_proc_route(const struct ctl *ctl, int family,
	bool (*each)(const struct ctl_proc_route *, void *), void *opaque);

/** 32 hex digits. */
bool ctl_parse_hex16(const char *text, uint8_t bytes[16]);

#endif
