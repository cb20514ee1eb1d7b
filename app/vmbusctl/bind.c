/* SPDX-License-Identifier: BSD-3-Clause */
/* vmbusctl bind and unbind: checks first, then the writes, then a look at what came of them. */
#include "app/vmbusctl/changes.h"
#include "app/vmbusctl/ctl.h"
#include "app/vmbusctl/give.h"
#include "app/vmbusctl/vf.h"
#include "drivers/bus/vmbus/isolation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Probing is synchronous but for deferrals. */
#define SETTLE_STEPS 200
#define SETTLE_MS    10

struct job {
	struct ctl *ctl;
	const struct vmbus_sysfs_device *device;
	const char *driver; /* where to */
	const char *undo_verb;
	struct ctl_plan plan;
	struct ctl_vf vf;	/* bind: what becomes of virtual functions */
	struct ctl_owner given; /* unbind: whose it was */
};

/* New state of the device; the caller clears it when 0 is returned. */
static int
look_again(const struct job *job, struct vmbus_sysfs_device *now)
{
	return vmbus_sysfs_device_read(&job->ctl->fs, job->device->name, NULL, now);
}

static bool
arrived(const struct job *job, const char *driver, struct vmbus_sysfs_device *now)
{
	const struct timespec step = {.tv_nsec = SETTLE_MS * 1000000L};
	bool to_uio = strcmp(driver, VMBUS_UIO_DRIVER) == 0;
	unsigned int i;

	for (i = 0; i < SETTLE_STEPS; i++) {
		if (look_again(job, now) != 0)
			return false;
		if (strcmp(now->driver, driver) == 0 && (!to_uio || now->uio >= 0))
			return true;
		vmbus_sysfs_device_clear(now);
		nanosleep(&step, NULL);
	}
	return false;
}

/* Back to where the device was. */
static void
undo(struct job *job)
{
	const struct vmbus_sysfs_device *was = job->device;
	struct vmbus_sysfs_device now;
	char command[CTL_COMMAND_MAX];
	struct ctl_plan plan;
	unsigned int i;
	int rc;

	if (look_again(job, &now) != 0) {
		ctl_error("%s is gone: nothing to undo", was->name);
		return;
	}
	if (job->plan.released)
		now.driver[0] = '\0';
	if (strcmp(was->driver, VMBUS_UIO_DRIVER) == 0 && strcmp(now.driver, was->driver) != 0)
		ctl_plan_uio(job->ctl, &now, &plan);
	else
		ctl_plan_kernel(job->ctl, &now, was->driver, was->driver_override,
			job->plan.added_id, &plan);
	vmbus_sysfs_device_clear(&now);
	ctl_plan_links_up(&job->plan, &plan);
	if (plan.n == 0) {
		ctl_error("nothing was changed");
		return;
	}
	rc = ctl_plan_run(&plan, true);
	if (!arrived(job, was->driver, &now))
		rc = CTL_FAILED;
	else
		vmbus_sysfs_device_clear(&now);
	if (rc == CTL_OK) {
		ctl_error("undone: %s is back as it was (driver %s)", was->name,
			was->driver[0] == '\0' ? "none" : was->driver);
	} else {
		ctl_error("not all could be undone; the whole undo is:");
		for (i = 0; i < plan.n; i++) {
			ctl_step_command(&plan.steps[i], command);
			ctl_error("  %s", command);
		}
	}
}

/* Also what bind changed around the device; an unbind that failed leaves that as it is. */
static int
fail(struct job *job)
{
	struct vmbus_sysfs_device now;

	undo(job);
	if (job->vf.changes != NULL)
		ctl_vf_undo(job->ctl, job->device->name);
	if (job->given.uid != 0 && look_again(job, &now) == 0) {
		if (now.uio >= 0)
			ctl_give(job->ctl, &now, &job->given);
		vmbus_sysfs_device_clear(&now);
	}
	return CTL_FAILED;
}

static void
print_notes(const struct job *job, const char *prefix)
{
	size_t i;

	for (i = 0; job->vf.notes != NULL && i < json_object_array_length(job->vf.notes); i++)
		printf("%s%s\n", prefix,
			json_object_get_string(json_object_array_get_idx(job->vf.notes, i)));
}

/* Is the user's device from now on. */
static void
print_user(const struct ctl *ctl, const struct vmbus_sysfs_device *now)
{
	printf("%s is %s's, and so are its channels' rings while a helper runs; who has the device "
	       "can send any page of this machine's memory\n",
		now->name, ctl->user.name);
}

static void
print_result(const struct job *job, const struct vmbus_sysfs_device *now, bool changed)
{
	char where[64] = "";
	struct json_object *o;

	if (now->uio >= 0)
		snprintf(where, sizeof(where), "/dev/uio%d", now->uio);
	else if (now->n_netdevs > 0)
		strcpy(where, now->netdevs[0]);
	if (job->ctl->json) {
		o = json_object_new_object();
		json_object_object_add(o, "device", json_object_new_string(now->name));
		json_object_object_add(o, "driver", json_object_new_string(now->driver));
		json_object_object_add(
			o, "node", where[0] == '\0' ? NULL : json_object_new_string(where));
		json_object_object_add(o, "changed", json_object_new_boolean(changed));
		json_object_object_add(o, "persistent",
			json_object_new_boolean(ctl_persist_exists(job->ctl, now)));
		if (job->ctl->user.uid != 0)
			json_object_object_add(
				o, "user", json_object_new_string(job->ctl->user.name));
		if (job->vf.notes != NULL && json_object_array_length(job->vf.notes) > 0)
			json_object_object_add(o, "notes", json_object_get(job->vf.notes));
		ctl_print_json(o);
		return;
	}
	printf("%s is %s to %s%s%s\n", now->name, changed ? "bound" : "already bound", now->driver,
		where[0] == '\0' ? "" : " as ", where);
	if (changed)
		printf("undo: vmbusctl %s %s%s\n", job->undo_verb, now->name,
			job->ctl->persist ? " --persist" : "");
}

/* Commands of a dry run: text, or strings of a JSON array. */
static void
show_command(void *opaque, char *command)
{
	const char *text = command != NULL ? command : "# no memory to show this command";

	if (opaque == NULL)
		puts(text);
	else
		json_object_array_add(opaque, json_object_new_string(text));
	free(command);
}

static void
show_commands(struct job *job, struct json_object *list)
{
	bool to_uio = strcmp(job->driver, VMBUS_UIO_DRIVER) == 0;
	struct ctl *ctl = job->ctl;
	char command[CTL_COMMAND_MAX];
	unsigned int i;

	if (job->vf.changes != NULL) {
		ctl_vf_undo_commands(ctl, job->device->name, show_command, list);
		ctl_changes_commands(ctl, job->vf.changes, false, show_command, list);
	}
	if (job->given.uid != 0) {
		snprintf(command, sizeof(command), "chown root %s/uio%d", ctl->fs.dev,
			job->device->uio);
		show_command(list, strdup(command));
	}
	for (i = 0; i < job->plan.n; i++) {
		ctl_step_command(&job->plan.steps[i], command);
		show_command(list, strdup(command));
	}
	if (!to_uio)
		ctl_vf_undo_commands(ctl, job->device->name, show_command, list);
	if (to_uio && ctl->user.uid != 0) {
		snprintf(command, sizeof(command), "chown %s %s/uio%s", ctl->user.name, ctl->fs.dev,
			job->device->uio < 0 ? "N" : "");
		if (job->device->uio >= 0)
			snprintf(command + strlen(command), 16, "%d", job->device->uio);
		show_command(list, strdup(command));
		snprintf(command, sizeof(command),
			"# and a helper process, until unbind: chown %s %s/bus/vmbus/devices/%s/channels/*/ring",
			ctl->user.name, ctl->fs.sys, job->device->name);
		show_command(list, strdup(command));
	}
	if (ctl->persist)
		ctl_persist_commands(ctl, job->device, to_uio, show_command, list);
}

static void
print_dry_run(struct job *job)
{
	struct json_object *o, *list;

	if (job->ctl->json) {
		o = json_object_new_object();
		list = json_object_new_array();
		json_object_object_add(o, "device", json_object_new_string(job->device->name));
		json_object_object_add(o, "dry_run", json_object_new_boolean(true));
		show_commands(job, list);
		json_object_object_add(o, "commands", list);
		if (job->vf.notes != NULL && json_object_array_length(job->vf.notes) > 0)
			json_object_object_add(o, "notes", json_object_get(job->vf.notes));
		ctl_print_json(o);
		return;
	}
	if (job->plan.n == 0)
		printf("# nothing to do: %s is already bound to %s\n", job->device->name,
			job->device->driver);
	print_notes(job, "# ");
	show_commands(job, NULL);
}

/* What comes when the device has arrived. @return CTL_OK or CTL_FAILED (reported) */
static int
settle(struct job *job, const struct vmbus_sysfs_device *now)
{
	bool to_uio = strcmp(job->driver, VMBUS_UIO_DRIVER) == 0;
	struct ctl *ctl = job->ctl;
	int rc = CTL_OK;

	if (to_uio && ctl->user.uid != 0 && ctl_give(ctl, now, &ctl->user) != CTL_OK) {
		if (job->plan.n > 0)
			return fail(job);
		/* It was bound already: what was done to its function now is all there is. */
		if (job->vf.changes != NULL)
			ctl_vf_undo(ctl, now->name);
		return CTL_FAILED;
	}
	if (!to_uio && ctl_vf_undo(ctl, now->name) != CTL_OK) {
		ctl_error("%s is bound to %s, but not all around it is as it was", now->name,
			now->driver);
		rc = CTL_FAILED;
	}
	/* The MAC address of the time before goes into the files. */
	if (ctl->persist && (to_uio ? ctl_persist_write(ctl, job->device)
				    : ctl_persist_remove(ctl, now)) != CTL_OK) {
		ctl_error(
			"%s is bound to %s, but only until the next boot", now->name, now->driver);
		rc = CTL_FAILED;
	}
	return rc;
}

static int
do_job(struct job *job)
{
	bool to_uio = strcmp(job->driver, VMBUS_UIO_DRIVER) == 0;
	struct vmbus_sysfs_device now;
	struct ctl *ctl = job->ctl;
	int rc;

	if (ctl->dry_run) {
		print_dry_run(job);
		return CTL_OK;
	}
	if (job->vf.changes != NULL && ctl_vf_do(ctl, job->device->name, &job->vf) != CTL_OK)
		return CTL_FAILED;
	if (ctl_plan_run(&job->plan, false) != CTL_OK)
		return fail(job);
	if (!arrived(job, job->driver, &now)) {
		ctl_error("%s did not come to %s: see dmesg", job->device->name, job->driver);
		return fail(job);
	}
	rc = settle(job, &now);
	if (rc == CTL_OK) {
		print_result(job, &now, job->plan.n > 0);
		if (!ctl->json)
			print_notes(job, "");
		if (!ctl->json && to_uio && ctl->user.uid != 0)
			print_user(ctl, &now);
		/* driver_override goes with the device's object (spec/linux-uio-vmbus.md). */
		if (to_uio && !ctl->json && job->plan.n > 0 && !ctl_persist_exists(ctl, &now))
			printf("note: hv_netvsc gets it when the host takes it away and offers it "
			       "again, and at the next boot; with --persist it is bound again by "
			       "itself\n");
		if (!to_uio && !ctl->persist && !ctl->json && ctl_persist_exists(ctl, &now))
			printf("note: a rule binds it again at the next boot; vmbusctl unbind %s --persist "
			       "removes it\n",
				now.name);
	}
	vmbus_sysfs_device_clear(&now);
	return rc;
}

static int
run_job(struct job *job)
{
	int rc = do_job(job);

	ctl_vf_free(&job->vf);
	return rc;
}

static const struct vmbus_sysfs_device *
find_nic(struct ctl *ctl)
{
	const struct vmbus_sysfs_device *device;

	if (ctl_scan(ctl) != CTL_OK || (device = ctl_find(ctl, ctl->device)) == NULL)
		return NULL;
	if (!ctl_is_nic(device)) {
		ctl_error("%s is no network adapter but '%s': only network adapters are bound",
			device->name, vmbus_class_name(device->class_guid));
		return NULL;
	}
	return device;
}

/* Would the user be cut off? */
static bool
is_lifeline(const struct ctl *ctl, const struct vmbus_sysfs_device *device)
{
	struct ctl_interfaces set;
	struct ctl_default route = {0};
	char which[16], text[96];

	ctl_interfaces(ctl, device, &set);
	if (ctl_has_ssh(ctl, &set, which)) {
		ctl_error(
			"%s (%s) carries this SSH connection: it would be cut; --force does it all "
			"the same",
			device->name, which);
		return true;
	}
	if (ctl_has_default_route(ctl, &set, &route)) {
		ctl_default_text(&route, text, sizeof(text));
		ctl_error("%s (%s) carries %s: the machine would lose its network; --force does it "
			  "all the same",
			device->name, route.interface, text);
		return true;
	}
	/* What cannot be seen may be just that. */
	if (ctl->network.error != 0) {
		ctl_error("the routes of this machine cannot be read (rtnetlink: %s), so %s may "
			  "carry the default route; --force does it all the same",
			strerror(ctl->network.error), device->name);
		return true;
	}
	if (set.more) {
		ctl_error("%s has more than %d interfaces on it, too many to look for a default "
			  "route on each; --force does it all the same",
			device->name, CTL_INTERFACES_MAX);
		return true;
	}
	if (device->n_netdevs == 0 && strcmp(device->driver, VMBUS_NETVSC_DRIVER) == 0) {
		ctl_error(
			"%s has its interface in another network namespace, where it may carry "
			"the default route: give it back first, or run this there; --force does it "
			"all the same",
			device->name);
		return true;
	}
	if (ctl_has_only_address(ctl, &set))
		ctl_error("note: no interface but those of %s has an address: nobody will reach "
			  "this machine over the network",
			device->name);
	return false;
}

/* new_id binds every NIC without a driver, not only the one that was asked for. */
static void
warn_others(const struct ctl *ctl, const struct vmbus_sysfs_device *device)
{
	size_t i;

	for (i = 0; i < ctl->n_devices && !device->has_override; i++)
		if (&ctl->devices[i] != device && ctl_is_nic(&ctl->devices[i]) &&
			ctl->devices[i].driver[0] == '\0')
			ctl_error("note: this kernel has no driver_override, so %s, which has no "
				  "driver, is bound too",
				ctl->devices[i].name);
}

/* The undo would be to clear it. */
static void
warn_override(const struct vmbus_sysfs_device *device)
{
	if (device->override_unknown)
		ctl_error(
			"note: the driver_override of %s cannot be read, so nothing will bring it "
			"back; unbind clears it",
			device->name);
}

/*
 * What becomes of virtual functions. What a bind that was killed left of them is undone first: only
 * then they are as the plan has to find them. @return CTL_OK or CTL_FAILED (reported)
 */
static int
plan_functions(struct job *job)
{
	const char *name = job->device->name;
	struct ctl *ctl = job->ctl;
	bool left = ctl_vf_is_done(ctl, name);

	/* Of an adapter that is bound already only what nobody has seen to. */
	if (job->plan.n == 0 && left)
		return CTL_OK;
	if (left && ctl_vf_is_open(ctl, name))
		return CTL_FAILED;
	if (left && !ctl->dry_run && ctl_vf_undo(ctl, name) != CTL_OK)
		return CTL_FAILED;
	if (ctl_vf_plan(ctl, job->device, &job->vf) != CTL_OK)
		return CTL_FAILED;
	if (left && ctl->dry_run)
		json_object_array_add(job->vf.notes,
			json_object_new_string(
				"what an earlier bind left changed is undone first: what "
				"is done with its virtual function then may differ"));
	return CTL_OK;
}

int
ctl_bind(struct ctl *ctl)
{
	struct job job = {.ctl = ctl, .driver = VMBUS_UIO_DRIVER, .undo_verb = "unbind"};

	job.device = find_nic(ctl);
	if (job.device == NULL)
		return CTL_FAILED;
	if (strcmp(job.device->driver, VMBUS_UIO_DRIVER) != 0 && !ctl->force) {
		if (is_lifeline(ctl, job.device))
			return CTL_FAILED;
		if (vmbus_isolation() != 0) {
			ctl_error("this is an isolated VM: user space cannot share memory with the "
				  "host here, the adapter would not work; --force does it all the "
				  "same");
			return CTL_FAILED;
		}
	}
	if (ctl->persist && ctl_persist_check(ctl, job.device) != CTL_OK)
		return CTL_FAILED;
	ctl_plan_uio(ctl, job.device, &job.plan);
	if (plan_functions(&job) != CTL_OK)
		return CTL_FAILED;
	if (job.vf.changes == NULL && ctl->vf != CTL_VF_AUTO)
		ctl_error(
			"note: --vf changes nothing of what was seen to when %s was bound: unbind it "
			"first",
			job.device->name);
	if (job.plan.n > 0) {
		warn_others(ctl, job.device);
		warn_override(job.device);
	}
	return run_job(&job);
}

/* The kernel lets go of memory that the host still writes to (§7.2): no --force against that. */
static bool
is_open(const struct ctl *ctl, const struct vmbus_sysfs_device *device)
{
	struct ctl_user users[CTL_USERS_MAX];
	unsigned int n = ctl_users(ctl, device, users);

	if (n > 0) {
		ctl_error("/dev/uio%d is in use by %s (pid %d)%s: end it first, unbinding an open "
			  "device corrupts memory",
			device->uio, users[0].command, users[0].pid, n > 1 ? " and others" : "");
		return true;
	}
	if (device->state == VMBUS_STATE_OPEN && !ctl->force) {
		ctl_error(
			"the channel of %s is open although no process with /dev/uio%d was found: "
			"run as root outside containers to see them all; on kernels before 4.20 it "
			"is always open, there use --force",
			device->name, device->uio);
		return true;
	}
	return false;
}

static bool
others_on_uio(const struct ctl *ctl, const struct vmbus_sysfs_device *device)
{
	size_t i;

	for (i = 0; i < ctl->n_devices; i++)
		if (&ctl->devices[i] != device && ctl_is_nic(&ctl->devices[i]) &&
			strcmp(ctl->devices[i].driver, VMBUS_UIO_DRIVER) == 0)
			return true;
	return false;
}

int
ctl_unbind(struct ctl *ctl)
{
	struct job job = {.ctl = ctl, .driver = VMBUS_NETVSC_DRIVER, .undo_verb = "bind"};
	const struct vmbus_sysfs_device *device = find_nic(ctl);
	bool on_uio;

	if (device == NULL)
		return CTL_FAILED;
	job.device = device;
	on_uio = strcmp(device->driver, VMBUS_UIO_DRIVER) == 0;
	if (device->driver[0] != '\0' && !on_uio && strcmp(device->driver, job.driver) != 0) {
		ctl_error("%s is bound to %s, not to uio_hv_generic: left alone", device->name,
			device->driver);
		return CTL_FAILED;
	}
	if ((on_uio && is_open(ctl, device)) || ctl_vf_is_open(ctl, device->name))
		return CTL_FAILED;
	ctl_given_to(ctl, device, &job.given);
	if (!ctl->dry_run && ctl_give_back(ctl, device) != CTL_OK)
		return CTL_FAILED;
	/* Its user could open it meanwhile; now he cannot any more. */
	if (on_uio && job.given.uid != 0 && !ctl->dry_run && is_open(ctl, device)) {
		ctl_give(ctl, device, &job.given);
		return CTL_FAILED;
	}
	ctl_plan_kernel(ctl, device, job.driver, "",
		on_uio && !device->has_override && !others_on_uio(ctl, device), &job.plan);
	return run_job(&job);
}
