/* SPDX-License-Identifier: BSD-3-Clause */
/* Does an interface carry the SSH connection that vmbusctl was started from? */
#include "app/vmbusctl/ctl.h"
#include "app/vmbusctl/network.h"
#include "app/vmbusctl/proc_routes.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool
matches(const struct ctl_proc_route *r, const uint8_t *address)
{
	unsigned int whole = r->length / 8, rest = r->length % 8;
	uint8_t mask = (uint8_t)(0xff00u >> rest);

	return memcmp(r->prefix, address, whole) == 0 &&
	       (rest == 0 || ((r->prefix[whole] ^ address[whole]) & mask) == 0);
}

struct best_search {
	const uint8_t *address;
	int length; /* of the best so far, -1 none */
	char interface[16];
};

static bool
take_longer(const struct ctl_proc_route *r, void *opaque)
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

	ctl_for_each_proc_route(ctl, family, take_longer, &s);
	if (s.length < 0 || !ctl_interfaces_contain(set, s.interface))
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
			strlen(text) == 32 && ctl_parse_hex16(text, bytes) &&
			memcmp(bytes, address, 16) == 0 && ctl_interfaces_contain(set, name);
	fclose(f);
	if (found)
		strcpy(which, name);
	return found;
}

struct peer {
	int family;
	uint8_t bytes[16];
	char scope[16]; /* of a link-local address; "" */
};

static bool
parse_peer(const char *text, struct peer *p)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	const char *scope = strchr(text, '%');
	char address[INET6_ADDRSTRLEN];

	memset(p, 0, sizeof(*p));
	if (scope != NULL)
		snprintf(p->scope, sizeof(p->scope), "%.15s", scope + 1);
	snprintf(address, sizeof(address), "%.*s", (int)strcspn(text, "%"), text);
	p->family = AF_INET;
	if (inet_pton(AF_INET, address, p->bytes) == 1)
		return true;
	p->family = AF_INET6;
	if (inet_pton(AF_INET6, address, p->bytes) != 1)
		return false;
	if (memcmp(p->bytes, mapped, sizeof(mapped)) == 0) {
		p->family = AF_INET;
		memcpy(p->bytes, p->bytes + 12, 4);
	}
	return true;
}

/* An interface of the set has the address as its own. */
static bool
is_own(const struct ctl *ctl, const struct peer *p, const struct ctl_interfaces *set, char *which)
{
	const struct ctl_address *a;
	size_t i;

	for (i = 0; i < ctl->network.n_addresses; i++) {
		a = &ctl->network.addresses[i];
		if (a->family == p->family &&
			memcmp(a->bytes, p->bytes, p->family == AF_INET ? 4 : 16) == 0 &&
			ctl_interfaces_contain(set, a->interface)) {
			strcpy(which, a->interface);
			return true;
		}
	}
	return p->family == AF_INET6 && has_address6(ctl, p->bytes, set, which);
}

static bool
leads_to_set(const struct ctl *ctl, const struct peer *to, const struct peer *from,
	const struct ctl_interfaces *set, char *which)
{
	const uint8_t *source = to->family == from->family ? from->bytes : NULL;
	char way[CTL_IFNAME];

	/* Its rules for the answers' source address; or whatever they are, when that is not ours.
	 */
	if (ctl->network.asked &&
		(ctl_network_way(&ctl->network, to->family, to->bytes, source, way) ||
			ctl_network_way(&ctl->network, to->family, to->bytes, NULL, way)) &&
		ctl_interfaces_contain(set, way)) {
		strcpy(which, way);
		return true;
	}
	return ctl_is_fixture(ctl) && route_to_set(ctl, to->family, to->bytes, set, which);
}

int
ctl_parent_of(const char *proc, int pid)
{
	char path[64], line[512], *end;
	int parent;

	snprintf(path, sizeof(path), "%d/stat", pid);
	if (!ctl_read_line(proc, path, line, sizeof(line)))
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
	for (i = 0; i < CTL_PARENTS_MAX && pid > 1; i++) {
		if (environment_of(ctl, pid, value, size))
			return true;
		pid = ctl_parent_of(ctl->fs.proc, pid);
	}
	return false;
}

bool
ctl_has_ssh(const struct ctl *ctl, const struct ctl_interfaces *set, char *which)
{
	char value[256], client[80], server[80];

	struct peer of_client, of_server;

	if (set->n == 0 || !ssh_connection(ctl, value, sizeof(value)) ||
		sscanf(value, "%79s %*s %79s", client, server) != 2 ||
		!parse_peer(client, &of_client) || !parse_peer(server, &of_server))
		return false;
	/* A link-local address names its interface. */
	if (ctl_interfaces_contain(set, of_server.scope)) {
		strcpy(which, of_server.scope);
		return true;
	}
	/* The address that is ours, or the way the answers take. */
	return is_own(ctl, &of_server, set, which) ||
	       leads_to_set(ctl, &of_server, &of_client, set, which) ||
	       leads_to_set(ctl, &of_client, &of_server, set, which);
}
