/* SPDX-License-Identifier: BSD-3-Clause */
/* NetworkManager, systemd-networkd, ifupdown, DHCP clients; see managers.h. */
#include "app/vmbusctl/managers.h"
#include "app/vmbusctl/changes.h"
#include "app/vmbusctl/files.h"
#include "app/vmbusctl/processes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OUTPUT_MAX 65536

enum { NM_FILE, NETWORKD_FILE };

static bool
exists(const struct ctl *ctl, const char *path)
{
	char full[VMBUS_SYSFS_PATH_MAX];

	snprintf(full, sizeof(full), "%s/%s", ctl->root, path);
	return access(full, F_OK) == 0;
}

void
ctl_managers_files(
	const char *device, bool persist, char paths[CTL_MANAGERS_FILES][VMBUS_SYSFS_PATH_MAX])
{
	const char *base = persist ? "etc" : "run";

	snprintf(paths[NM_FILE], VMBUS_SYSFS_PATH_MAX,
		"%s/NetworkManager/conf.d/70-hyperpoll-%s.conf", base, device);
	/* The first file that matches is networkd's choice. */
	snprintf(paths[NETWORKD_FILE], VMBUS_SYSFS_PATH_MAX,
		"%s/systemd/network/00-hyperpoll-%s.network", base, device);
}

/*
 * By MAC address, and not while hv_netvsc has the adapter: rules of Azure's images know a function
 * by being a slave, which it is not below an adapter that is bound to uio_hv_generic.
 */
static void
nm_adapter(const char *path, const char *device, const char *mac, bool tell,
	struct json_object *changes)
{
	char text[512];

	snprintf(text, sizeof(text),
		CTL_FILE_MARK "; vmbusctl unbind removes it.\n"
			      "[device-hyperpoll-%s]\n"
			      "match-device=mac:%s,except:driver:hv_netvsc\n"
			      "managed=0\n",
		device, mac);
	/* Told after the file has changed, whichever way. */
	if (tell)
		ctl_change(changes, "tell NetworkManager", NULL, NULL,
			ctl_deed("tell", "nmcli", "general", "reload", "conf", NULL));
	ctl_change(changes, "keep NetworkManager away", NULL, ctl_deed("file", path, text, NULL),
		ctl_deed("remove", path, NULL));
	if (tell)
		ctl_change(changes, "tell NetworkManager", NULL,
			ctl_deed("tell", "nmcli", "general", "reload", "conf", NULL), NULL);
}

static void
networkd_adapter(const char *path, const char *mac, bool tell, struct json_object *changes)
{
	char text[512];

	snprintf(text, sizeof(text),
		CTL_FILE_MARK "; vmbusctl unbind removes it.\n"
			      "[Match]\n"
			      "MACAddress=%s\n"
			      "Driver=!hv_netvsc\n"
			      "\n"
			      "[Link]\n"
			      "Unmanaged=yes\n",
		mac);
	if (tell)
		ctl_change(changes, "tell systemd-networkd", NULL, NULL,
			ctl_deed("tell", "networkctl", "reload", NULL));
	ctl_change(changes, "keep systemd-networkd away", NULL, ctl_deed("file", path, text, NULL),
		ctl_deed("remove", path, NULL));
	if (tell)
		ctl_change(changes, "tell systemd-networkd", NULL,
			ctl_deed("tell", "networkctl", "reload", NULL), NULL);
}

static bool
nm_runs(const struct ctl *ctl)
{
	return exists(ctl, "run/NetworkManager") && ctl_has_program("nmcli");
}

static bool
networkd_runs(const struct ctl *ctl)
{
	return exists(ctl, "run/systemd/netif/links") && ctl_has_program("networkctl");
}

void
ctl_managers_adapter(const struct ctl *ctl, const char *device, const char *mac, bool persist,
	struct json_object *changes)
{
	char paths[CTL_MANAGERS_FILES][VMBUS_SYSFS_PATH_MAX];

	if (mac[0] == '\0')
		return;
	ctl_managers_files(device, persist, paths);
	if (persist ? exists(ctl, "etc/NetworkManager") : nm_runs(ctl))
		nm_adapter(paths[NM_FILE], device, mac, !persist, changes);
	if (persist ? exists(ctl, "etc/systemd/network") : networkd_runs(ctl))
		networkd_adapter(paths[NETWORKD_FILE], mac, !persist, changes);
}

/* ---- one interface ---- */

static bool
nm_has(const char *interface)
{
	const char *const ask[] = {
		"nmcli", "-g", "GENERAL.NM-MANAGED", "device", "show", interface, NULL};
	char answer[64];

	return ctl_program(ask, answer, sizeof(answer)) == 0 && strncmp(answer, "yes", 3) == 0;
}

/* What networkd tells networkctl of an interface. */
static bool
networkd_has(const struct ctl *ctl, const char *interface)
{
	char path[VMBUS_SYSFS_PATH_MAX], index[16], line[256];
	bool known = false, managed = true;
	FILE *f;

	snprintf(path, sizeof(path), "class/net/%s/ifindex", interface);
	if (vmbus_sysfs_read(&ctl->fs, path, index, sizeof(index)) < 0)
		return false;
	snprintf(path, sizeof(path), "%s/run/systemd/netif/links/%s", ctl->root, index);
	f = fopen(path, "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		known |= strncmp(line, "ADMIN_STATE=", 12) == 0;
		if (strcmp(line, "ADMIN_STATE=unmanaged\n") == 0)
			managed = false;
	}
	if (f != NULL)
		fclose(f);
	return known && managed;
}

/* ifupdown's list of what it has up: "eth0=eth0", or a file for each. */
static bool
ifupdown_has(const struct ctl *ctl, const char *interface)
{
	char path[VMBUS_SYSFS_PATH_MAX], line[256];
	size_t n = strlen(interface);
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/run/network/ifstate", ctl->root);
	f = fopen(path, "re");
	while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL)
		found = strncmp(line, interface, n) == 0 && line[n] == '=';
	if (f != NULL)
		fclose(f);
	return found && ctl_has_program("ifdown");
}

static void
add_word(struct json_object *deed, const char *word)
{
	json_object_array_add(deed, json_object_new_string(word));
}

/* A word of the command, and what the address has under that name. */
static void
add_value(struct json_object *deed, const char *word, const char *value)
{
	if (value == NULL)
		return;
	add_word(deed, word);
	add_word(deed, value);
}

static struct json_object *
start_again(const struct ctl_process *client)
{
	struct json_object *deed = ctl_deed("start", NULL);
	const char *slash = strrchr(client->arguments[0], '/');
	unsigned int i;

	json_object_array_add(
		deed, json_object_new_string(slash == NULL ? client->arguments[0] : slash + 1));
	for (i = 1; i < client->n; i++)
		json_object_array_add(deed, json_object_new_string(client->arguments[i]));
	return deed;
}

/* ---- addresses and routes that nobody would bring back ---- */

static char *
ask_ip(const char *const *words)
{
	char *text = calloc(1, OUTPUT_MAX);

	if (text != NULL && ctl_program(words, text, OUTPUT_MAX) != 0)
		text[0] = '\0';
	return text;
}

/*
 * Lines as "192.0.2.0/24 via 10.0.1.1 table 7 proto static metric 100": those that belong to an
 * address or that a protocol brings back are left out, and so are remarks that cannot be given.
 */
static void
keep_route(const char *family, const char *interface, char *line, struct json_object *changes)
{
	static const char *const remarks[] = {
		"linkdown", "dead", "offload", "rt_offload", "trap", "rt_trap"};
	static const char *const others[] = {"kernel", "ra", "dhcp", "redirect"};
	struct json_object *deed = ctl_deed("run", "ip", family, "route", "replace", NULL);
	char *word, *more = NULL;
	bool remark, proto = false, by_hand = true;
	unsigned int n = 0;
	size_t i;

	for (word = strtok_r(line, " \t", &more); word != NULL;
		word = strtok_r(NULL, " \t", &more)) {
		/* Its other ways are on other interfaces: with them it cannot be given here. */
		by_hand &= strcmp(word, "nexthop") != 0;
		for (i = 0; proto && i < sizeof(others) / sizeof(others[0]); i++)
			by_hand &= strcmp(word, others[i]) != 0;
		proto = strcmp(word, "proto") == 0;
		remark = false;
		for (i = 0; i < sizeof(remarks) / sizeof(remarks[0]); i++)
			remark |= strcmp(word, remarks[i]) == 0;
		if (!remark)
			add_word(deed, word);
		n++;
	}
	if (n == 0 || !by_hand) {
		json_object_put(deed);
		return;
	}
	add_value(deed, "dev", interface);
	ctl_change(changes, "bring a route back", interface, NULL, deed);
}

static void
keep_routes(const char *family, const char *interface, struct json_object *changes)
{
	const char *const ask[] = {
		"ip", "-o", family, "route", "show", "table", "all", "dev", interface, NULL};
	char *text = ask_ip(ask), *line, *more = NULL;

	if (text == NULL)
		return;
	for (line = strtok_r(text, "\n", &more); line != NULL; line = strtok_r(NULL, "\n", &more))
		keep_route(family, interface, line, changes);
	free(text);
}

static const char *
string_of(struct json_object *o, const char *key)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(o, key, &value);
	return value == NULL ? NULL : json_object_get_string(value);
}

static bool
is_global(struct json_object *address)
{
	const char *scope = string_of(address, "scope");

	return scope != NULL && strcmp(scope, "global") == 0;
}

static bool
has_flag(struct json_object *address, const char *name)
{
	struct json_object *flag = NULL;

	return json_object_object_get_ex(address, name, &flag) && json_object_get_boolean(flag);
}

static void
keep_address(const char *interface, struct json_object *a, struct json_object *changes)
{
	static const char *const flags[] = {
		"noprefixroute", "nodad", "home", "mngtmpaddr", "autojoin"};
	const char *local = string_of(a, "local"), *label = string_of(a, "label"),
		   *length = string_of(a, "prefixlen"), *peer = string_of(a, "address");
	struct json_object *deed;
	char prefix[64];
	size_t i;

	/* One with a lifetime is renewed by who had it. */
	if (local == NULL || length == NULL || !is_global(a) || has_flag(a, "dynamic"))
		return;
	snprintf(prefix, sizeof(prefix), "%s/%s", peer == NULL ? local : peer, length);
	deed = ctl_deed("run", "ip", "address", "replace", peer == NULL ? prefix : local, NULL);
	add_value(deed, "peer", peer == NULL ? NULL : prefix);
	add_value(deed, "broadcast", string_of(a, "broadcast"));
	if (label != NULL && strcmp(label, interface) != 0)
		add_value(deed, "label", label);
	add_value(deed, "metric", string_of(a, "metric"));
	add_value(deed, "dev", interface);
	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (has_flag(a, flags[i]))
			add_word(deed, flags[i]);
	ctl_change(changes, "bring an address back", interface, NULL, deed);
}

/* @return whether the interface has addresses to be taken off */
static bool
keep_addresses(const char *interface, bool by_hand, struct json_object *changes)
{
	const char *const ask[] = {"ip", "-j", "address", "show", "dev", interface, NULL};
	struct json_object *answer, *list = NULL, *address;
	char *text = ask_ip(ask);
	bool has = false;
	size_t n, i;

	answer = text == NULL ? NULL : json_tokener_parse(text);
	free(text);
	if (json_object_is_type(answer, json_type_array) && json_object_array_length(answer) > 0)
		json_object_object_get_ex(json_object_array_get_idx(answer, 0), "addr_info", &list);
	n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
	/* Undone from last to first, so that the first is the first again. */
	for (i = n; i-- > 0;) {
		address = json_object_array_get_idx(list, i);
		has |= is_global(address);
		if (by_hand)
			keep_address(interface, address, changes);
	}
	json_object_put(answer);
	return has;
}

static void
release_ipv6(const struct ctl *ctl, const char *interface, struct json_object *changes)
{
	char path[VMBUS_SYSFS_PATH_MAX], now[16];

	snprintf(path, sizeof(path), "sys/net/ipv6/conf/%s/disable_ipv6", interface);
	if (!ctl_read_line(ctl->fs.proc, path, now, sizeof(now)) || strcmp(now, "1") == 0)
		return;
	snprintf(path, sizeof(path), "%s/sys/net/ipv6/conf/%s/disable_ipv6", ctl->fs.proc,
		interface);
	ctl_change(changes, "keep the kernel's IPv6 off it", interface,
		ctl_deed("write", path, "1", NULL), ctl_deed("write", path, now, NULL));
}

void
ctl_managers_interface(const struct ctl *ctl, const char *interface, struct json_object *changes,
	char *who, size_t size)
{
	struct ctl_process client;
	bool by_hand = false;

	if (nm_runs(ctl) && nm_has(interface)) {
		snprintf(who, size, "NetworkManager");
		ctl_change(changes, "take the interface from NetworkManager", interface,
			ctl_deed("run", "nmcli", "device", "set", interface, "managed", "no", NULL),
			ctl_deed("run", "nmcli", "device", "set", interface, "managed", "yes",
				NULL));
	} else if (networkd_runs(ctl) && networkd_has(ctl, interface)) {
		/* Its file has told it. */
		snprintf(who, size, "systemd-networkd");
	} else if (ifupdown_has(ctl, interface)) {
		snprintf(who, size, "ifupdown");
		ctl_change(changes, "take the interface from ifupdown", interface,
			ctl_deed("run", "ifdown", "--force", interface, NULL),
			ctl_deed("run", "ifup", interface, NULL));
	} else if (ctl_dhcp_client(ctl, interface, &client)) {
		snprintf(who, size, "a DHCP client (pid %s)", client.pid);
		ctl_change(changes, "end the DHCP client", interface,
			ctl_deed("stop", client.pid, client.started, NULL), start_again(&client));
	} else {
		by_hand = true;
		keep_routes("-4", interface, changes);
		keep_routes("-6", interface, changes);
	}
	if (keep_addresses(interface, by_hand, changes)) {
		if (by_hand)
			snprintf(who, size, "somebody by hand");
		ctl_change(changes, "take the addresses off", interface,
			ctl_deed("run", "ip", "address", "flush", "dev", interface, "scope",
				"global", NULL),
			NULL);
	} else if (by_hand) {
		snprintf(who, size, "nobody");
	}
	release_ipv6(ctl, interface, changes);
}

void
ctl_managers_cloud_init(const struct ctl *ctl, char *text, size_t size)
{
	text[0] = '\0';
	if (exists(ctl, "var/lib/cloud/hotplug.enabled"))
		snprintf(text, size,
			"cloud-init configures interfaces that come (its hot-plug hook is enabled), "
			"the function's too: have it update at boot only (updates: {network: {when: "
			"[boot]}} in /etc/cloud/cloud.cfg.d)");
	else if (exists(ctl, "run/cloud-init"))
		snprintf(text, size,
			"cloud-init wrote the network configuration at boot; what applies it is "
			"told");
}
