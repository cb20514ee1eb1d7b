/* SPDX-License-Identifier: BSD-3-Clause */
/* vmbusctl doctor: what stands between this guest and hyperpoll, and what to run about it. */
#include "app/common/colour.h"
#include "app/vmbusctl/doctor.h"
#include "drivers/bus/vmbus/isolation.h"

#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CAP_SYS_ADMIN_BIT 21

static const char *const verdict_names[] = {"ok", "note", "warn", "fail"};
static const enum colour verdict_colours[] = {COLOUR_GOOD, COLOUR_NOTE, COLOUR_WARN, COLOUR_BAD};

void
doctor_find(struct report *r, enum verdict verdict, const char *check, const char *fix,
	const char *fmt, ...)
{
	struct json_object *o;
	char text[1280];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->count[verdict]++;
	if (r->checks == NULL) {
		printf("%s%-4s%s  %-10s  %s\n", colour(r->colour, verdict_colours[verdict]),
			verdict_names[verdict], colour(r->colour, COLOUR_END), check, text);
		if (fix != NULL)
			printf("%18sfix: %s\n", "", fix);
		return;
	}
	o = json_object_new_object();
	json_object_object_add(o, "check", json_object_new_string(check));
	json_object_object_add(o, "verdict", json_object_new_string(verdict_names[verdict]));
	json_object_object_add(o, "text", json_object_new_string(text));
	json_object_object_add(o, "fix", fix == NULL ? NULL : json_object_new_string(fix));
	json_object_array_add(r->checks, o);
}

static void
check_isolation(struct report *r)
{
	static const char *const names[] = {"", "VBS", "SEV-SNP", "TDX"};
	unsigned int type = vmbus_isolation();

	if (type != 0)
		doctor_find(r, FAIL, "isolation",
			"use a VM without memory isolation, or the kernel's hv_netvsc",
			"this is an isolated VM (%s): user space cannot share memory with the host",
			type < 4 ? names[type] : "unknown type");
}

static bool
file_has(const struct ctl *ctl, const char *path, const char *text)
{
	char full[VMBUS_SYSFS_PATH_MAX], *line = NULL;
	size_t room = 0;
	bool found = false;
	FILE *f;

	snprintf(full, sizeof(full), "%s/%s", ctl->root, path);
	f = fopen(full, "re");
	if (f == NULL)
		return false;
	while (!found && getline(&line, &room, f) > 0)
		found = strstr(line, text) != NULL;
	free(line);
	fclose(f);
	return found;
}

static void
check_module(struct report *r)
{
	struct ctl *ctl = r->ctl;
	char path[VMBUS_SYSFS_PATH_MAX], beside[VMBUS_SYSFS_PATH_MAX];

	snprintf(path, sizeof(path), "%s/bus/vmbus/drivers/" VMBUS_UIO_DRIVER, ctl->fs.sys);
	if (access(path, F_OK) == 0) {
		doctor_find(r, OK, "module", NULL, "uio_hv_generic is loaded");
		return;
	}
	snprintf(path, sizeof(path), "lib/modules/%s/modules.dep", r->release);
	if (file_has(ctl, path, "/uio_hv_generic.ko")) {
		doctor_find(r, NOTE, "module", "modprobe uio_hv_generic",
			"uio_hv_generic is installed and not loaded; vmbusctl bind loads it");
		return;
	}
	/* Newer packages of Debian have it beside the modules. */
	snprintf(path, sizeof(path), "boot/config-%s", r->release);
	snprintf(beside, sizeof(beside), "lib/modules/%s/config", r->release);
	if (file_has(ctl, path, "CONFIG_UIO_HV_GENERIC=m") ||
		file_has(ctl, beside, "CONFIG_UIO_HV_GENERIC=m"))
		doctor_find(r, FAIL, "module",
			"install the rest of the kernel's modules (Ubuntu: linux-modules-extra-$(uname -r)), "
			"or depmod",
			"the kernel was built with uio_hv_generic but the module is not installed");
	else if (file_has(ctl, path, "# CONFIG_UIO_HV_GENERIC is not set") ||
		 file_has(ctl, beside, "# CONFIG_UIO_HV_GENERIC is not set"))
		doctor_find(r, FAIL, "module", "install a kernel with CONFIG_UIO_HV_GENERIC=m",
			"the kernel %s was built without uio_hv_generic", r->release);
	else
		doctor_find(r, FAIL, "module", "install a kernel with CONFIG_UIO_HV_GENERIC=m",
			"no module uio_hv_generic for kernel %s", r->release);
}

static bool
has_hugetlbfs(const struct ctl *ctl)
{
	char path[VMBUS_SYSFS_PATH_MAX], line[1024];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/mounts", ctl->fs.proc);
	f = fopen(path, "re");
	while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL)
		found = strstr(line, " hugetlbfs ") != NULL;
	if (f != NULL)
		fclose(f);
	return found;
}

static void
check_hugepages(struct report *r)
{
	uint64_t mib = ctl_hugepages(r->ctl, -1) >> 20;

	if (mib == 0)
		doctor_find(r, WARN, "hugepages",
			"echo 512 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages",
			"no free huge pages: sending without a copy needs them");
	else if (!has_hugetlbfs(r->ctl))
		doctor_find(r, WARN, "hugepages",
			"mount -t hugetlbfs none /dev/hugepages (or --in-memory)",
			"%llu MiB of free huge pages, but no hugetlbfs is mounted",
			(unsigned long long)mib);
	else
		doctor_find(r, OK, "hugepages", NULL, "%llu MiB free", (unsigned long long)mib);
}

static void
check_privileges(struct report *r)
{
	char path[VMBUS_SYSFS_PATH_MAX], line[256];
	unsigned long long caps = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/self/status", r->ctl->fs.proc);
	f = fopen(path, "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "CapEff: %llx", &caps) == 1)
			break;
	if (f != NULL)
		fclose(f);
	if ((caps >> CAP_SYS_ADMIN_BIT & 1) != 0)
		doctor_find(r, OK, "privileges", NULL,
			"CAP_SYS_ADMIN: physical addresses can be read from pagemap");
	else
		doctor_find(r, NOTE, "privileges",
			"run the application as root to send without a copy",
			"no CAP_SYS_ADMIN: pagemap hides physical addresses, packets are copied "
			"(copy-only mode)");
}

static void
check_plugin(struct report *r)
{
	static const char *const places[] = {"usr/lib", "usr/lib64", "usr/lib/*-linux-gnu",
		"usr/local/lib", "usr/local/lib64", "usr/local/lib/*-linux-gnu"};
	char pattern[VMBUS_SYSFS_PATH_MAX];
	glob_t found = {0};
	size_t i;

	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(pattern, sizeof(pattern), "%s/%s/librte_hyperpoll.so*", r->ctl->root,
			places[i]);
		glob(pattern, i == 0 ? 0 : GLOB_APPEND, NULL, &found);
		snprintf(pattern, sizeof(pattern), "%s/%s/dpdk/pmds-*/librte_hyperpoll.so*",
			r->ctl->root, places[i]);
		glob(pattern, GLOB_APPEND, NULL, &found);
	}
	if (found.gl_pathc > 0)
		doctor_find(r, OK, "plugin", NULL, "%s", found.gl_pathv[0] + strlen(r->ctl->root));
	else
		doctor_find(r, NOTE, "plugin",
			"meson install, or give the application -d PATH/librte_hyperpoll.so",
			"librte_hyperpoll.so is not installed in the usual places");
	globfree(&found);
}

static void
check_access(struct report *r, const struct vmbus_sysfs_device *d, const char *check,
	const struct vmbus_sysfs_uio *uio)
{
	char path[VMBUS_SYSFS_PATH_MAX], fix[VMBUS_SYSFS_PATH_MAX + 32];
	unsigned int i;

	if (access(uio->path, F_OK) != 0) {
		doctor_find(r, FAIL, check, "udevadm trigger -c add -s uio", "%s does not exist",
			uio->path);
	} else if (access(uio->path, R_OK | W_OK) != 0) {
		snprintf(fix, sizeof(fix), "as root: vmbusctl bind %s --user $USER", d->name);
		doctor_find(r, WARN, check, fix, "no permission to open %s", uio->path);
	}
	for (i = 0; i < d->n_channels; i++) {
		snprintf(path, sizeof(path), "%s/bus/vmbus/devices/%s/channels/%u/ring",
			r->ctl->fs.sys, d->name, d->channels[i].relid);
		if (!d->channels[i].has_ring || access(path, R_OK | W_OK) == 0)
			continue;
		snprintf(fix, sizeof(fix), "as root: vmbusctl bind %s --user $USER", d->name);
		doctor_find(r, WARN, check, fix, "no permission to map the rings of channel %u",
			d->channels[i].relid);
	}
}

static void
check_memory_of_node(struct report *r, const struct vmbus_sysfs_device *d, const char *check)
{
	char fix[160], cpus[128];

	if (d->numa_node < 0 || ctl_numa_nodes(r->ctl) < 2)
		return;
	ctl_numa_cpus(r->ctl, d->numa_node, cpus, sizeof(cpus));
	if (ctl_hugepages(r->ctl, d->numa_node) != 0) {
		doctor_find(r, NOTE, check, NULL, "is on NUMA node %d: use its CPUs (%s)",
			d->numa_node, cpus);
		return;
	}
	snprintf(fix, sizeof(fix),
		"echo 256 > /sys/devices/system/node/node%d/hugepages/hugepages-2048kB/nr_hugepages",
		d->numa_node);
	doctor_find(r, WARN, check, fix,
		"is on NUMA node %d (CPUs %s), which has no free huge pages", d->numa_node, cpus);
}

static void
check_uio_nic(struct report *r, const struct vmbus_sysfs_device *d, const char *check)
{
	struct ctl_user users[CTL_USERS_MAX];
	struct ctl *ctl = r->ctl;
	struct vmbus_sysfs_uio uio;
	unsigned int n;
	char node[32];
	int rc;

	ctl->keep_errors = true;
	ctl->last_error[0] = '\0';
	rc = vmbus_sysfs_uio_read(&ctl->fs, d->name, (size_t)sysconf(_SC_PAGESIZE), &uio);
	ctl->keep_errors = false;
	if (rc < 0) {
		doctor_find(r, FAIL, check,
			"install a newer kernel, or vmbusctl unbind and bind again", "%s",
			ctl->last_error[0] != '\0' ? ctl->last_error
						   : "its uio device is not readable");
		return;
	}
	n = ctl_users(ctl, d, users);
	snprintf(node, sizeof(node), "/dev/uio%d", uio.number);
	doctor_find(r, OK, check, NULL, "bound to uio_hv_generic as %s, %s%s%s", node,
		n > 0			       ? "in use by "
		: d->state == VMBUS_STATE_OPEN ? "open"
					       : "free",
		n > 0 ? users[0].command : "", n > 1 ? " and others" : "");
	if (n == 0 && d->state == VMBUS_STATE_OPEN && !doctor_before(r, 4, 20))
		doctor_find(r, WARN, check, "run as root, outside containers",
			"is open, but by no process that can be seen from here");
	check_access(r, d, check, &uio);
}

static void
check_kernel_nic(struct report *r, const struct vmbus_sysfs_device *d, const char *check)
{
	struct ctl_interfaces set;
	struct ctl_default route = {0};
	char which[16], fix[128], text[96];

	ctl_interfaces(r->ctl, d, &set);
	if (ctl_has_ssh(r->ctl, &set, which)) {
		doctor_find(r, NOTE, check, NULL,
			"bound to %s, carries this SSH connection (%s): keep it", d->driver, which);
	} else if (ctl_has_default_route(r->ctl, &set, &route)) {
		ctl_default_text(&route, text, sizeof(text));
		doctor_find(r, NOTE, check, NULL, "bound to %s, carries %s (%s): keep it",
			d->driver, text, route.interface);
	} else if (r->ctl->network.error != 0) {
		doctor_find(r, WARN, check, "run as root, outside containers",
			"bound to %s; whether it carries the default route cannot be found out "
			"(rtnetlink: %s)",
			d->driver, strerror(r->ctl->network.error));
	} else if (d->n_netdevs == 0 && strcmp(d->driver, VMBUS_NETVSC_DRIVER) == 0) {
		doctor_find(r, NOTE, check, NULL,
			"bound to %s, its interface is in another network namespace", d->driver);
	} else {
		snprintf(fix, sizeof(fix), "vmbusctl bind %s", d->name);
		doctor_find(r, NOTE, check, fix, "bound to %s%s%s, free for hyperpoll",
			d->driver[0] == '\0' ? "no driver" : d->driver,
			d->n_netdevs > 0 ? " as " : "", d->n_netdevs > 0 ? d->netdevs[0] : "");
	}
}

static void
check_nic(struct report *r, const struct vmbus_sysfs_device *d)
{
	char check[VMBUS_SYSFS_NAME_MAX + 4];

	snprintf(check, sizeof(check), "nic %s", d->name);
	if (strcmp(d->driver, VMBUS_UIO_DRIVER) == 0)
		check_uio_nic(r, d, check);
	else
		check_kernel_nic(r, d, check);
	if (d->monitor_id < 0 && doctor_before(r, 6, 10))
		doctor_find(r, FAIL, check, "install Linux 6.10 or later",
			"has no monitor bit, and kernels before 6.10 refuse such a device");
	else if (d->monitor_id < 0 && !doctor_signals_subchannels(r))
		doctor_find(r, WARN, check, "use one queue, or install Linux 6.17 or later",
			"has no monitor bit, and kernels before 6.17 cannot signal its subchannels");
	check_memory_of_node(r, d, check);
}

static const char *
plural(unsigned int n)
{
	return n == 1 ? "" : "s";
}

int
ctl_doctor(struct ctl *ctl)
{
	struct report r = {.ctl = ctl, .colour = colour_wanted(STDOUT_FILENO)};
	struct json_object *out;
	unsigned int nics = 0;
	char path[VMBUS_SYSFS_PATH_MAX];
	size_t i;

	if (ctl->json)
		r.checks = json_object_new_array();
	r.has_kernel = ctl_kernel(ctl, r.release, &r.kernel);
	snprintf(path, sizeof(path), "%s/bus/vmbus/devices", ctl->fs.sys);
	if (access(path, F_OK) != 0) {
		/* 7.3: VMBus 4.0 is the least (spec/hosts.md §3). */
		doctor_find(&r, FAIL, "vmbus", "run this in a Hyper-V guest, with hv_vmbus loaded",
			"no VMBus: %s is missing%s", path,
			r.has_kernel && !doctor_before(&r, 7, 3)
				? "; from 7.3 on Linux has none on Windows Server 2012 R2 and older hosts"
				: "");
	} else if (ctl_scan(ctl) == CTL_OK) {
		for (i = 0; i < ctl->n_devices; i++)
			nics += ctl_is_nic(&ctl->devices[i]);
		doctor_find(&r, nics > 0 ? OK : FAIL, "vmbus",
			nics > 0 ? NULL : "add a network adapter to the VM",
			"%zu device%s, %u of them %s", ctl->n_devices,
			plural((unsigned int)ctl->n_devices), nics,
			nics == 1 ? "a network adapter" : "network adapters");
	} else {
		doctor_find(&r, FAIL, "vmbus", "run as root", "%s cannot be read", path);
	}
	doctor_check_kernel(&r);
	check_isolation(&r);
	check_module(&r);
	check_hugepages(&r);
	check_privileges(&r);
	check_plugin(&r);
	for (i = 0; i < ctl->n_devices; i++)
		if (ctl_is_nic(&ctl->devices[i]))
			check_nic(&r, &ctl->devices[i]);
	doctor_check_users(&r);
	doctor_check_functions(&r);
	if (ctl->json) {
		out = json_object_new_object();
		json_object_object_add(out, "checks", r.checks);
		json_object_object_add(out, "warnings", json_object_new_int((int)r.count[WARN]));
		json_object_object_add(out, "failures", json_object_new_int((int)r.count[FAIL]));
		ctl_print_json(out);
	} else {
		printf("%u ok, %u note%s, %u warning%s, %u failure%s\n", r.count[OK], r.count[NOTE],
			plural(r.count[NOTE]), r.count[WARN], plural(r.count[WARN]), r.count[FAIL],
			plural(r.count[FAIL]));
	}
	return r.count[FAIL] == 0 ? CTL_OK : CTL_FAILED;
}
