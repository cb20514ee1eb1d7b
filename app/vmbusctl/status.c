/* SPDX-License-Identifier: BSD-3-Clause */
/* vmbusctl status: every device as it is now. */
#include "app/vmbusctl/ctl.h"
#include "app/vmbusctl/functions.h"
#include "app/vmbusctl/give.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define VIEW_FUNCTIONS_MAX 4

/* What is not in the device's own attributes. */
struct view {
	bool has_maps;
	struct vmbus_sysfs_uio uio;
	unsigned int n_users;
	struct ctl_user users[CTL_USERS_MAX];
	bool default_route, ssh;
	struct ctl_default route;
	char ssh_interface[16];
	char cpus[128];
	enum ctl_given given;
	struct ctl_owner owner;
	unsigned int n_functions;
	struct {
		struct ctl_function function;
		char interface[16];
	} functions[VIEW_FUNCTIONS_MAX];
};

/* Virtual functions below the adapter, as far as they have an interface to be known by. */
static void
look_for_functions(
	const struct ctl *ctl, const struct vmbus_sysfs_device *device, struct view *view)
{
	struct ctl_function list[CTL_FUNCTIONS_MAX];
	char names[CTL_FUNCTION_INTERFACES_MAX][16];
	unsigned int n = ctl_is_nic(device) ? ctl_functions(ctl, false, list) : 0, m, i, j;

	for (i = 0; i < n; i++) {
		m = ctl_function_interfaces(ctl, &list[i], names);
		for (j = 0; j < m && view->n_functions < VIEW_FUNCTIONS_MAX; j++) {
			if (ctl_function_adapter(ctl, &list[i], names[j]) != device)
				continue;
			view->functions[view->n_functions].function = list[i];
			strcpy(view->functions[view->n_functions++].interface, names[j]);
		}
	}
}

static void
look(struct ctl *ctl, const struct vmbus_sysfs_device *device, struct view *view)
{
	struct ctl_interfaces set;

	memset(view, 0, sizeof(*view));
	if (device->uio >= 0 && ctl_is_nic(device)) {
		/* Doctor explains what is wrong with the maps; here they are only left out. */
		ctl->keep_errors = true;
		view->has_maps = vmbus_sysfs_uio_read(&ctl->fs, device->name,
					 (size_t)sysconf(_SC_PAGESIZE), &view->uio) == 0;
		ctl->keep_errors = false;
	}
	view->n_users = ctl_users(ctl, device, view->users);
	ctl_interfaces(ctl, device, &set);
	view->default_route = ctl_has_default_route(ctl, &set, &view->route);
	view->ssh = ctl_has_ssh(ctl, &set, view->ssh_interface);
	ctl_numa_cpus(ctl, device->numa_node, view->cpus, sizeof(view->cpus));
	view->given = ctl_given_to(ctl, device, &view->owner);
	look_for_functions(ctl, device, view);
}

/* Both rings in bytes; 0 unknown. */
static uint64_t
ring_bytes(const struct vmbus_sysfs_channel *channel, const struct view *view)
{
	if (channel->subchannel == 0 && view->has_maps)
		return view->uio.maps[VMBUS_MAP_RINGS].size;
	return channel->has_ring ? channel->ring_size : 0;
}

static void
print_channels(const struct vmbus_sysfs_device *device, const struct view *view)
{
	const struct vmbus_sysfs_channel *c;
	char role[32], monitor[32], cpu[16];
	unsigned int i;
	uint64_t bytes;

	for (i = 0; i < device->n_channels; i++) {
		c = &device->channels[i];
		if (c->subchannel == 0)
			strcpy(role, "primary");
		else
			snprintf(role, sizeof(role), "subchannel %u", c->subchannel);
		strcpy(monitor, "no monitor");
		if (c->monitor_id >= 0)
			snprintf(monitor, sizeof(monitor), "monitor %d", c->monitor_id);
		strcpy(cpu, "cpu ?");
		if (c->cpu >= 0)
			snprintf(cpu, sizeof(cpu), "cpu %d", c->cpu);
		printf("    %-12s relid %u, %s, %s", i == 0 ? "channels" : "", c->relid, role, cpu);
		printf(", %s", monitor);
		bytes = ring_bytes(c, view);
		if (bytes != 0)
			printf(", rings 2 x %llu KiB", (unsigned long long)(bytes / 2048));
		putchar('\n');
	}
}

static void
print_rest(const struct view *view)
{
	static const char *const helper[] = {[CTL_GIVEN_HELPED] = ", a helper hands over rings",
		[CTL_GIVEN_UNHELPED] = ", no helper: one queue",
		[CTL_GIVEN_UNKNOWN] = ""};
	unsigned int i;

	if (view->given != CTL_GIVEN_NOT)
		printf("    %-12s %s (uid %u)%s\n", "user", view->owner.name,
			(unsigned int)view->owner.uid, helper[view->given]);
	for (i = 0; i < view->n_functions; i++)
		printf("    %-12s %s, %s as %s\n", i == 0 ? "function" : "",
			view->functions[i].function.pci,
			view->functions[i].function.driver[0] == '\0'
				? "no driver"
				: view->functions[i].function.driver,
			view->functions[i].interface);
}

static void
print_device(const struct vmbus_sysfs_device *device, const struct view *view)
{
	unsigned int i;

	printf("%s  %s\n", device->name, vmbus_class_name(device->class_guid));
	printf("    %-12s %s", "driver", device->driver[0] == '\0' ? "none" : device->driver);
	if (device->override_unknown)
		printf(" (override unknown)");
	else if (device->driver_override[0] != '\0')
		printf(" (override %s)", device->driver_override);
	putchar('\n');
	for (i = 0; i < device->n_netdevs; i++)
		printf("    %-12s %s\n", i == 0 ? "interface" : "", device->netdevs[i]);
	if (view->default_route && view->route.table == CTL_TABLE_MAIN)
		printf("    %-12s default route (%s)\n", "carries", view->route.interface);
	else if (view->default_route)
		printf("    %-12s default route of table %u (%s)\n", "carries", view->route.table,
			view->route.interface);
	if (view->ssh)
		printf("    %-12s this SSH connection (%s)\n", "carries", view->ssh_interface);
	if (device->uio >= 0)
		printf("    %-12s /dev/uio%d\n", "uio", device->uio);
	print_rest(view);
	for (i = 0; i < view->n_users; i++)
		printf("    %-12s %s (pid %d)\n", i == 0 ? "in use by" : "", view->users[i].command,
			view->users[i].pid);
	printf("    %-12s %s, relid %u", "state", ctl_state_name(device->state), device->relid);
	if (device->monitor_id >= 0)
		printf(", monitor %d\n", device->monitor_id);
	else
		printf(", no monitor\n");
	if (device->numa_node >= 0)
		printf("    %-12s %d%s%s%s\n", "NUMA node", device->numa_node,
			view->cpus[0] == '\0' ? "" : " (CPUs ", view->cpus,
			view->cpus[0] == '\0' ? "" : ")");
	print_channels(device, view);
	if (view->has_maps)
		printf("    %-12s receive %llu KiB, send %llu KiB\n", "buffers",
			(unsigned long long)(view->uio.maps[VMBUS_MAP_RECV].size / 1024),
			(unsigned long long)(view->uio.maps[VMBUS_MAP_SEND].size / 1024));
}

static void
add_string(struct json_object *o, const char *key, const char *value)
{
	json_object_object_add(o, key, value[0] == '\0' ? NULL : json_object_new_string(value));
}

static void
add_int(struct json_object *o, const char *key, int value)
{
	json_object_object_add(o, key, value < 0 ? NULL : json_object_new_int(value));
}

static struct json_object *
json_channels(const struct vmbus_sysfs_device *device, const struct view *view)
{
	struct json_object *list = json_object_new_array(), *o;
	const struct vmbus_sysfs_channel *c;
	uint64_t bytes;
	unsigned int i;

	for (i = 0; i < device->n_channels; i++) {
		c = &device->channels[i];
		bytes = ring_bytes(c, view);
		o = json_object_new_object();
		add_int(o, "relid", c->relid);
		add_int(o, "subchannel", c->subchannel);
		add_int(o, "cpu", c->cpu);
		add_int(o, "monitor_id", c->monitor_id);
		json_object_object_add(
			o, "ring_bytes", bytes == 0 ? NULL : json_object_new_uint64(bytes / 2));
		json_object_array_add(list, o);
	}
	return list;
}

static struct json_object *
json_device(const struct vmbus_sysfs_device *device, const struct view *view)
{
	struct json_object *o = json_object_new_object(), *list, *entry;
	char guid[VMBUS_GUID_LEN + 1], path[32];
	unsigned int i;

	add_string(o, "name", device->name);
	vmbus_guid_format(device->instance, guid);
	add_string(o, "instance", guid);
	vmbus_guid_format(device->class_guid, guid);
	add_string(o, "class", guid);
	add_string(o, "class_name", vmbus_class_name(device->class_guid));
	add_string(o, "driver", device->driver);
	add_string(o, "driver_override", device->driver_override);
	if (device->override_unknown)
		json_object_object_add(o, "driver_override_unknown", json_object_new_boolean(true));
	list = json_object_new_array();
	for (i = 0; i < device->n_netdevs; i++)
		json_object_array_add(list, json_object_new_string(device->netdevs[i]));
	json_object_object_add(o, "interfaces", list);
	add_string(o, "default_route", view->route.interface);
	add_string(o, "ssh", view->ssh_interface);
	path[0] = '\0';
	if (device->uio >= 0)
		snprintf(path, sizeof(path), "/dev/uio%d", device->uio);
	add_string(o, "uio", path);
	list = json_object_new_array();
	for (i = 0; i < view->n_users; i++) {
		entry = json_object_new_object();
		add_int(entry, "pid", view->users[i].pid);
		add_string(entry, "command", view->users[i].command);
		json_object_array_add(list, entry);
	}
	json_object_object_add(o, "users", list);
	add_string(o, "given_to", view->owner.name);
	json_object_object_add(o, "helper",
		view->given == CTL_GIVEN_HELPED	    ? json_object_new_boolean(true)
		: view->given == CTL_GIVEN_UNHELPED ? json_object_new_boolean(false)
						    : NULL);
	list = json_object_new_array();
	for (i = 0; i < view->n_functions; i++) {
		entry = json_object_new_object();
		add_string(entry, "pci", view->functions[i].function.pci);
		add_string(entry, "driver", view->functions[i].function.driver);
		add_string(entry, "interface", view->functions[i].interface);
		json_object_array_add(list, entry);
	}
	json_object_object_add(o, "functions", list);
	add_string(o, "state", ctl_state_name(device->state));
	add_int(o, "relid", device->relid);
	add_int(o, "monitor_id", device->monitor_id);
	add_int(o, "numa_node", device->numa_node);
	add_string(o, "cpus", view->cpus);
	json_object_object_add(o, "channels", json_channels(device, view));
	json_object_object_add(o, "receive_buffer",
		view->has_maps ? json_object_new_uint64(view->uio.maps[VMBUS_MAP_RECV].size)
			       : NULL);
	json_object_object_add(o, "send_buffer",
		view->has_maps ? json_object_new_uint64(view->uio.maps[VMBUS_MAP_SEND].size)
			       : NULL);
	return o;
}

int
ctl_status(struct ctl *ctl)
{
	struct json_object *out = NULL, *list = NULL;
	const struct vmbus_sysfs_device *only = NULL;
	struct view view;
	size_t i;

	if (ctl_scan(ctl) != CTL_OK)
		return CTL_FAILED;
	if (ctl->device != NULL && (only = ctl_find(ctl, ctl->device)) == NULL)
		return CTL_FAILED;
	if (ctl->json) {
		out = json_object_new_object();
		list = json_object_new_array();
		json_object_object_add(out, "devices", list);
	} else if (ctl->n_devices == 0) {
		puts("no VMBus devices");
	}
	for (i = 0; i < ctl->n_devices; i++) {
		if (only != NULL && only != &ctl->devices[i])
			continue;
		look(ctl, &ctl->devices[i], &view);
		if (ctl->json)
			json_object_array_add(list, json_device(&ctl->devices[i], &view));
		else
			print_device(&ctl->devices[i], &view);
	}
	if (ctl->json)
		ctl_print_json(out);
	return CTL_OK;
}
