/* SPDX-License-Identifier: BSD-3-Clause */
/* Interfaces that stop working with an adapter, and the default routes on them. */
#include "app/vmbusctl/ctl.h"
#include "app/vmbusctl/functions.h"
#include "app/vmbusctl/proc_routes.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool
ctl_interfaces_contain(const struct ctl_interfaces *set, const char *name)
{
	unsigned int i;

	for (i = 0; i < set->n; i++)
		if (strcmp(set->names[i], name) == 0)
			return true;
	return false;
}

static void
add_interface(struct ctl_interfaces *set, const char *name)
{
	if (name[0] == '\0' || strlen(name) >= sizeof(set->names[0]) ||
		ctl_interfaces_contain(set, name))
		return;
	if (set->n < CTL_INTERFACES_MAX)
		strcpy(set->names[set->n++], name);
	else
		set->more = true;
}

/* Links that sysfs keeps in an interface's directory: upper_NAME, lower_NAME. */
static void
add_linked(struct ctl_interfaces *set, const char *path, const char *kind)
{
	size_t n = strlen(kind);
	struct dirent *entry;
	DIR *d = opendir(path);

	if (d == NULL)
		return;
	while ((entry = readdir(d)) != NULL)
		if (strncmp(entry->d_name, kind, n) == 0)
			add_interface(set, entry->d_name + n);
	closedir(d);
}

static void
interface_path(
	const struct ctl *ctl, const char *name, const char *more, char path[VMBUS_SYSFS_PATH_MAX])
{
	snprintf(path, VMBUS_SYSFS_PATH_MAX, "%s/class/net/%s%s", ctl->fs.sys, name, more);
}

bool
ctl_master(const struct ctl *ctl, const char *name, char master[16])
{
	char path[VMBUS_SYSFS_PATH_MAX], target[512];
	ssize_t n;

	interface_path(ctl, name, "/master", path);
	n = readlink(path, target, sizeof(target) - 1);
	if (n <= 0)
		return false;
	target[n] = '\0';
	snprintf(master, 16, "%.15s", basename(target));
	return true;
}

/* hv_netvsc makes the virtual function of the same NIC its slave. */
static void
add_functions(
	const struct ctl *ctl, const struct vmbus_sysfs_device *device, struct ctl_interfaces *set)
{
	char path[VMBUS_SYSFS_PATH_MAX], master[16];
	struct dirent *entry;
	unsigned int i;
	DIR *d;

	for (i = 0; i < device->n_netdevs; i++) {
		snprintf(path, sizeof(path), "%s/bus/vmbus/devices/%s/net/%s", ctl->fs.sys,
			device->name, device->netdevs[i]);
		add_linked(set, path, "lower_");
		interface_path(ctl, device->netdevs[i], "", path);
		add_linked(set, path, "lower_");
	}
	snprintf(path, sizeof(path), "%s/class/net", ctl->fs.sys);
	d = opendir(path);
	while (d != NULL && (entry = readdir(d)) != NULL)
		for (i = 0; i < device->n_netdevs; i++)
			if (entry->d_name[0] != '.' && ctl_master(ctl, entry->d_name, master) &&
				strcmp(master, device->netdevs[i]) == 0)
				add_interface(set, entry->d_name);
	if (d != NULL)
		closedir(d);
}

static const struct ctl_link *
link_by_name(const struct ctl_network *net, const char *name)
{
	size_t i;

	for (i = 0; i < net->n_links; i++)
		if (strcmp(net->links[i].name, name) == 0)
			return &net->links[i];
	return NULL;
}

static void
add_functions_of_kernel(const struct ctl_network *net, const struct vmbus_sysfs_device *device,
	struct ctl_interfaces *set)
{
	const struct ctl_link *link;
	unsigned int i;
	size_t j;

	for (i = 0; i < device->n_netdevs; i++) {
		link = link_by_name(net, device->netdevs[i]);
		for (j = 0; link != NULL && j < net->n_links; j++)
			if (net->links[j].master == link->index)
				add_interface(set, net->links[j].name);
	}
}

/* A function that hv_netvsc has not enslaved is told by its MAC address. */
static void
add_functions_alone(
	const struct ctl *ctl, const struct vmbus_sysfs_device *device, struct ctl_interfaces *set)
{
	struct ctl_function list[CTL_FUNCTIONS_MAX];
	char names[CTL_FUNCTION_INTERFACES_MAX][16];
	unsigned int n = ctl_functions(ctl, false, list), m, i, j;

	for (i = 0; i < n; i++) {
		m = ctl_function_interfaces(ctl, &list[i], names);
		for (j = 0; j < m; j++)
			if (ctl_function_adapter(ctl, &list[i], names[j]) == device)
				add_interface(set, names[j]);
	}
}

/* Its master, and whatever stands on it. The two ends of a veth pair name each other. */
static void
add_uppers_of_kernel(
	const struct ctl_network *net, const struct ctl_link *link, struct ctl_interfaces *set)
{
	const struct ctl_link *l;
	size_t i;

	for (i = 0; link != NULL && i < net->n_links; i++) {
		l = &net->links[i];
		if (l->index == link->master ||
			(l->lower == link->index && link->lower != l->index && l != link))
			add_interface(set, l->name);
	}
}

void
ctl_interfaces(
	const struct ctl *ctl, const struct vmbus_sysfs_device *device, struct ctl_interfaces *set)
{
	char path[VMBUS_SYSFS_PATH_MAX], master[16];
	unsigned int i;

	set->n = 0;
	set->more = false;
	for (i = 0; i < device->n_netdevs; i++)
		add_interface(set, device->netdevs[i]);
	add_functions(ctl, device, set);
	add_functions_of_kernel(&ctl->network, device, set);
	add_functions_alone(ctl, device, set);
	/* The set grows under this loop: bridges and VLANs on bonds on the adapter. */
	for (i = 0; i < set->n; i++) {
		if (i < device->n_netdevs) {
			snprintf(path, sizeof(path), "%s/bus/vmbus/devices/%s/net/%s", ctl->fs.sys,
				device->name, set->names[i]);
			add_linked(set, path, "upper_");
		}
		interface_path(ctl, set->names[i], "", path);
		add_linked(set, path, "upper_");
		if (ctl_master(ctl, set->names[i], master))
			add_interface(set, master);
		add_uppers_of_kernel(
			&ctl->network, link_by_name(&ctl->network, set->names[i]), set);
	}
}

struct default_search {
	const struct ctl_interfaces *set;
	struct ctl_default *found;
	int family;
};

static bool
is_default_of_set(const struct ctl_proc_route *r, void *opaque)
{
	struct default_search *s = opaque;

	if (!ctl_is_default(s->family, r->length) || !ctl_interfaces_contain(s->set, r->interface))
		return false;
	strcpy(s->found->interface, r->interface);
	s->found->table = CTL_TABLE_MAIN;
	return true;
}

bool
ctl_has_default_route(
	const struct ctl *ctl, const struct ctl_interfaces *set, struct ctl_default *found)
{
	struct default_search s = {set, found, AF_INET};
	const struct ctl_route *r, *best = NULL;
	size_t i;

	/* The main table first: that one is what people call the default route. */
	for (i = 0; i < ctl->network.n_routes; i++) {
		r = &ctl->network.routes[i];
		if (ctl_interfaces_contain(set, r->interface) &&
			(best == NULL ||
				(best->table != CTL_TABLE_MAIN && r->table == CTL_TABLE_MAIN)))
			best = r;
	}
	if (ctl_is_fixture(ctl) && (best == NULL || best->table != CTL_TABLE_MAIN)) {
		if (ctl_for_each_proc_route(ctl, AF_INET, is_default_of_set, &s))
			return true;
		s.family = AF_INET6;
		if (ctl_for_each_proc_route(ctl, AF_INET6, is_default_of_set, &s))
			return true;
	}
	if (best == NULL)
		return false;
	strcpy(found->interface, best->interface);
	found->table = best->table;
	return true;
}

void
ctl_default_text(const struct ctl_default *found, char *text, size_t size)
{
	if (found->table == CTL_TABLE_MAIN)
		snprintf(text, size, "the default route");
	else
		snprintf(text, size, "the default route of table %u (VRF or policy routing)",
			found->table);
}

bool
ctl_has_only_address(const struct ctl *ctl, const struct ctl_interfaces *set)
{
	const struct ctl_address *a;
	bool here = false;
	size_t i;

	for (i = 0; i < ctl->network.n_addresses; i++) {
		a = &ctl->network.addresses[i];
		if (!a->global || strcmp(a->interface, "lo") == 0)
			continue;
		if (!ctl_interfaces_contain(set, a->interface))
			return false;
		here = true;
	}
	return here;
}
