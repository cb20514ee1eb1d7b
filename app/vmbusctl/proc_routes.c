/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Routes as the files of /proc show them: the main table only. Fixtures have nothing else; a real
 * machine is asked by network.c.
 */
#include "app/vmbusctl/proc_routes.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define ROUTE_UP     0x0001u
#define ROUTE_REJECT 0x0200u

static bool
parse_route4(const char *line, struct ctl_proc_route *r)
{
	unsigned int destination, gateway, flags, mask;

	/* Words are printed as the kernel holds them in memory, in network order. */
	if (sscanf(line, "%15s %8x %8x %4x %*d %*d %*d %8x", r->interface, &destination, &gateway,
		    &flags, &mask) != 5 ||
		(flags & ROUTE_UP) == 0 || (flags & ROUTE_REJECT) != 0)
		return false;
	memset(r->prefix, 0, sizeof(r->prefix));
	memcpy(r->prefix, &destination, 4);
	r->length = (unsigned int)__builtin_popcount(mask);
	return true;
}

bool
ctl_parse_hex16(const char *text, uint8_t bytes[16])
{
	unsigned int i, byte;

	for (i = 0; i < 16; i++) {
		if (sscanf(text + 2 * i, "%2x", &byte) != 1)
			return false;
		bytes[i] = (uint8_t)byte;
	}
	return true;
}

static bool
parse_route6(const char *line, struct ctl_proc_route *r)
{
	unsigned int flags;
	char prefix[33];

	if (sscanf(line, "%32s %2x %*s %*x %*s %*x %*x %*x %8x %15s", prefix, &r->length, &flags,
		    r->interface) != 4 ||
		strlen(prefix) != 32 || (flags & ROUTE_UP) == 0 || (flags & ROUTE_REJECT) != 0)
		return false;
	return r->length <= 128 && ctl_parse_hex16(prefix, r->prefix);
}

bool
ctl_for_each_proc_route(const struct ctl *ctl, int family,
	bool (*each)(const struct ctl_proc_route *, void *), void *opaque)
{
	char path[VMBUS_SYSFS_PATH_MAX], line[512];
	struct ctl_proc_route r;
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/net/%s", ctl->fs.proc,
		family == AF_INET ? "route" : "ipv6_route");
	f = fopen(path, "re");
	if (f == NULL)
		return false;
	while (!found && fgets(line, sizeof(line), f) != NULL)
		if (family == AF_INET ? parse_route4(line, &r) : parse_route6(line, &r))
			found = each(&r, opaque);
	fclose(f);
	return found;
}
