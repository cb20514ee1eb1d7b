/* SPDX-License-Identifier: BSD-3-Clause */
/* Interfaces whose loss would cut the user off: default routes, and this SSH connection. */
#include "app/vmbusctl/ctl.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUTE_UP     0x0001u
#define ROUTE_REJECT 0x0200u
/* Shells between us and sshd, sudo among them. */
#define PARENTS_MAX 32

static void
add_interface(struct ctl_interfaces *set, const char *name)
{
	unsigned int i;

	for (i = 0; i < set->n; i++)
		if (strcmp(set->names[i], name) == 0)
			return;
	if (set->n < CTL_INTERFACES_MAX && strlen(name) < sizeof(set->names[0]))
		strcpy(set->names[set->n++], name);
}

static void
add_uppers(struct ctl_interfaces *set, const char *path)
{
	struct dirent *entry;
	DIR *d = opendir(path);

	if (d == NULL)
		return;
	while ((entry = readdir(d)) != NULL)
		if (strncmp(entry->d_name, "upper_", 6) == 0)
			add_interface(set, entry->d_name + 6);
	closedir(d);
}

void
ctl_interfaces(
	const struct ctl *ctl, const struct vmbus_sysfs_device *device, struct ctl_interfaces *set)
{
	char path[VMBUS_SYSFS_PATH_MAX];
	unsigned int i;

	set->n = 0;
	for (i = 0; i < device->n_netdevs; i++)
		add_interface(set, device->netdevs[i]);
	/* The set grows under this loop: bridges and VLANs on bonds on the adapter. */
	for (i = 0; i < set->n; i++) {
		if (i < device->n_netdevs) {
			snprintf(path, sizeof(path), "%s/bus/vmbus/devices/%s/net/%s", ctl->fs.sys,
				device->name, set->names[i]);
			add_uppers(set, path);
		}
		snprintf(path, sizeof(path), "%s/class/net/%s", ctl->fs.sys, set->names[i]);
		add_uppers(set, path);
	}
}

static bool
contains(const struct ctl_interfaces *set, const char *name)
{
	unsigned int i;

	for (i = 0; i < set->n; i++)
		if (strcmp(set->names[i], name) == 0)
			return true;
	return false;
}

/* One line of either routing table. */
struct route {
	char interface[16];
	uint8_t prefix[16]; /* IPv4 in the first four bytes, network order */
	unsigned int length;
};

static bool
parse_route4(const char *line, struct route *r)
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

static bool
parse_hex16(const char *text, uint8_t bytes[16])
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
parse_route6(const char *line, struct route *r)
{
	unsigned int flags;
	char prefix[33];

	if (sscanf(line, "%32s %2x %*s %*x %*s %*x %*x %*x %8x %15s", prefix, &r->length, &flags,
		    r->interface) != 4 ||
		strlen(prefix) != 32 || (flags & ROUTE_UP) == 0 || (flags & ROUTE_REJECT) != 0)
		return false;
	return r->length <= 128 && parse_hex16(prefix, r->prefix);
}

static bool
matches(const struct route *r, const uint8_t *address)
{
	unsigned int whole = r->length / 8, rest = r->length % 8;
	uint8_t mask = (uint8_t)(0xff00u >> rest);

	return memcmp(r->prefix, address, whole) == 0 &&
	       (rest == 0 || ((r->prefix[whole] ^ address[whole]) & mask) == 0);
}

/* Calls `each` for every usable route of a family until it returns true. */
static bool
for_each_route(
	const struct ctl *ctl, int family, bool (*each)(const struct route *, void *), void *opaque)
{
	char path[VMBUS_SYSFS_PATH_MAX], line[512];
	struct route r;
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

struct default_search {
	const struct ctl_interfaces *set;
	char *which;
};

static bool
is_default_of_set(const struct route *r, void *opaque)
{
	struct default_search *s = opaque;

	if (r->length != 0 || !contains(s->set, r->interface))
		return false;
	strcpy(s->which, r->interface);
	return true;
}

bool
ctl_has_default_route(const struct ctl *ctl, const struct ctl_interfaces *set, char *which)
{
	struct default_search s = {set, which};

	return for_each_route(ctl, AF_INET, is_default_of_set, &s) ||
	       for_each_route(ctl, AF_INET6, is_default_of_set, &s);
}

struct best_search {
	const uint8_t *address;
	int length; /* of the best so far, -1 none */
	char interface[16];
};

static bool
take_longer(const struct route *r, void *opaque)
{
	struct best_search *s = opaque;

	if ((int)r->length > s->length && matches(r, s->address)) {
		s->length = (int)r->length;
		strcpy(s->interface, r->interface);
	}
	return false;
}

/* Interface of the longest matching route; the local table of IPv6 names "lo": not taken here. */
static bool
route_to_set(const struct ctl *ctl, int family, const uint8_t *address,
	const struct ctl_interfaces *set, char *which)
{
	struct best_search s = {address, -1, ""};

	for_each_route(ctl, family, take_longer, &s);
	if (s.length < 0 || !contains(set, s.interface))
		return false;
	strcpy(which, s.interface);
	return true;
}

/* if_inet6 lists every IPv6 address with its interface. */
static bool
has_address6(const struct ctl *ctl, const uint8_t *address, const struct ctl_interfaces *set,
	char *which)
{
	char path[VMBUS_SYSFS_PATH_MAX], line[256], text[33], name[16];
	bool found = false;
	uint8_t bytes[16];
	FILE *f;

	snprintf(path, sizeof(path), "%s/net/if_inet6", ctl->fs.proc);
	f = fopen(path, "re");
	if (f == NULL)
		return false;
	while (!found && fgets(line, sizeof(line), f) != NULL)
		found = sscanf(line, "%32s %*x %*x %*x %*x %15s", text, name) == 2 &&
			strlen(text) == 32 && parse_hex16(text, bytes) &&
			memcmp(bytes, address, 16) == 0 && contains(set, name);
	fclose(f);
	if (found)
		strcpy(which, name);
	return found;
}

static bool
address_in_set(
	const struct ctl *ctl, const char *text, const struct ctl_interfaces *set, char *which)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	char address[INET6_ADDRSTRLEN];
	uint8_t bytes[16];
	const char *scope = strchr(text, '%');

	/* A link-local address names its interface. */
	if (scope != NULL && contains(set, scope + 1)) {
		snprintf(which, 16, "%.15s", scope + 1);
		return true;
	}
	snprintf(address, sizeof(address), "%.*s", (int)strcspn(text, "%"), text);
	if (inet_pton(AF_INET, address, bytes) == 1)
		return route_to_set(ctl, AF_INET, bytes, set, which);
	if (inet_pton(AF_INET6, address, bytes) != 1)
		return false;
	if (memcmp(bytes, mapped, sizeof(mapped)) == 0)
		return route_to_set(ctl, AF_INET, bytes + 12, set, which);
	return has_address6(ctl, bytes, set, which) ||
	       route_to_set(ctl, AF_INET6, bytes, set, which);
}

static int
parent_of(const struct ctl *ctl, int pid)
{
	char path[64], line[512], *end;
	int parent;

	snprintf(path, sizeof(path), "%d/stat", pid);
	if (!ctl_read_line(ctl->fs.proc, path, line, sizeof(line)))
		return 0;
	/* The name in parentheses may hold anything. */
	end = strrchr(line, ')');
	return end != NULL && sscanf(end + 1, " %*c %d", &parent) == 1 ? parent : 0;
}

/* SSH_CONNECTION in the environment of one process. */
static bool
environment_of(const struct ctl *ctl, int pid, char *value, size_t size)
{
	static const char key[] = "SSH_CONNECTION=";
	char path[VMBUS_SYSFS_PATH_MAX], *pair = NULL;
	size_t room = 0;
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%d/environ", ctl->fs.proc, pid);
	f = fopen(path, "re");
	if (f == NULL)
		return false;
	while (!found && getdelim(&pair, &room, '\0', f) > 0)
		if (strncmp(pair, key, sizeof(key) - 1) == 0) {
			snprintf(value, size, "%s", pair + sizeof(key) - 1);
			found = true;
		}
	free(pair);
	fclose(f);
	return found;
}

/* sudo takes SSH_CONNECTION away, so look at the shells above it too. */
static bool
ssh_connection(const struct ctl *ctl, char *value, size_t size)
{
	const char *own = getenv("SSH_CONNECTION");
	int pid, i;

	if (own != NULL && own[0] != '\0') {
		snprintf(value, size, "%s", own);
		return true;
	}
	pid = (int)getppid();
	for (i = 0; i < PARENTS_MAX && pid > 1; i++) {
		if (environment_of(ctl, pid, value, size))
			return true;
		pid = parent_of(ctl, pid);
	}
	return false;
}

bool
ctl_has_ssh(const struct ctl *ctl, const struct ctl_interfaces *set, char *which)
{
	char value[256], client[80], server[80];

	if (set->n == 0 || !ssh_connection(ctl, value, sizeof(value)) ||
		sscanf(value, "%79s %*s %79s", client, server) != 2)
		return false;
	/* The address that is ours, or the way the answers take. */
	return address_in_set(ctl, server, set, which) || address_in_set(ctl, client, set, which);
}
