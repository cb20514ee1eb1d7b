/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Moving a device between drivers is a list of writes to sysfs (spec/linux-uio-vmbus.md §3). The
 * list is made from where the device is, so the same code does, undoes and repeats.
 */
#include "app/vmbusctl/ctl.h"
#include "app/vmbusctl/processes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Kernel's ENOTSUPP, which has no name in libc: the probe refused a device without monitor. */
#define KERNEL_ENOTSUPP 524
#define INTERFACE_UP	0x1u

static struct ctl_step *__attribute__((format(printf, 5, 6))) add_step(struct ctl_plan *plan,
	const char *value, int already, const char *what, const char *fmt, ...)
{
	struct ctl_step *step = &plan->steps[plan->n];
	va_list ap;

	/* The longest plan has CTL_STEPS_MAX steps; a longer one would be a mistake here. */
	if (plan->n + 1 < CTL_STEPS_MAX)
		plan->n++;
	memset(step, 0, sizeof(*step));
	snprintf(step->what, sizeof(step->what), "%s", what);
	snprintf(step->value, sizeof(step->value), "%s", value);
	step->already = already;
	va_start(ap, fmt);
	vsnprintf(step->path, sizeof(step->path), fmt, ap);
	va_end(ap);
	return step;
}

static void
need_driver(const struct ctl *ctl, const char *driver, struct ctl_plan *plan)
{
	char path[VMBUS_SYSFS_PATH_MAX], what[64];

	snprintf(path, sizeof(path), "%s/bus/vmbus/drivers/%s", ctl->fs.sys, driver);
	if (access(path, F_OK) == 0)
		return;
	snprintf(what, sizeof(what), "load %s", driver);
	add_step(plan, driver, 0, what, "%s", "");
}

/* An interface that is up is taken down first, as an administrator would. */
static void
links_down(const struct ctl *ctl, const struct vmbus_sysfs_device *device, struct ctl_plan *plan)
{
	char path[VMBUS_SYSFS_PATH_MAX], text[32], value[32];
	struct ctl_step *step;
	uint64_t flags;
	unsigned int i;

	for (i = 0; i < device->n_netdevs; i++) {
		snprintf(path, sizeof(path), "bus/vmbus/devices/%s/net/%s/flags", device->name,
			device->netdevs[i]);
		if (vmbus_sysfs_read(&ctl->fs, path, text, sizeof(text)) < 0 ||
			vmbus_parse_hex64(text, &flags) < 0 || (flags & INTERFACE_UP) == 0)
			continue;
		snprintf(value, sizeof(value), "0x%llx",
			(unsigned long long)(flags & ~(uint64_t)INTERFACE_UP));
		step = add_step(
			plan, value, 0, "take the interface down", "%s/%s", ctl->fs.sys, path);
		snprintf(step->before, sizeof(step->before), "%s", text);
	}
}

void
ctl_plan_links_up(const struct ctl_plan *plan, struct ctl_plan *undo)
{
	const struct ctl_step *step;
	unsigned int i;

	for (i = 0; i < plan->done; i++) {
		step = &plan->steps[i];
		if (step->before[0] != '\0')
			add_step(undo, step->before, ENOENT, "bring the interface up again", "%s",
				step->path);
	}
}

static void
release(const struct ctl *ctl, const struct vmbus_sysfs_device *device, struct ctl_plan *plan)
{
	char what[64];

	if (device->driver[0] == '\0')
		return;
	snprintf(what, sizeof(what), "release the device from %.32s", device->driver);
	add_step(plan, device->name, 0, what, "%s/bus/vmbus/drivers/%s/unbind", ctl->fs.sys,
		device->driver)
		->releases = true;
}

void
ctl_plan_uio(const struct ctl *ctl, const struct vmbus_sysfs_device *device, struct ctl_plan *plan)
{
	const char *sys = ctl->fs.sys;
	struct ctl_step *step;

	plan->n = 0;
	plan->done = 0;
	plan->added_id = plan->released = false;
	need_driver(ctl, VMBUS_UIO_DRIVER, plan);
	if (strcmp(device->driver, VMBUS_UIO_DRIVER) == 0)
		return;
	links_down(ctl, device, plan);
	if (device->has_override) {
		add_step(plan, VMBUS_UIO_DRIVER, 0, "set the driver override",
			"%s/bus/vmbus/devices/%s/driver_override", sys, device->name);
		release(ctl, device, plan);
		add_step(plan, device->name, 0, "give the device to uio_hv_generic",
			"%s/bus/vmbus/drivers_probe", sys)
			->gives = true;
		return;
	}
	step = add_step(plan, VMBUS_NIC_CLASS, EEXIST, "add the NIC class to uio_hv_generic",
		"%s/bus/vmbus/drivers/" VMBUS_UIO_DRIVER "/new_id", sys);
	step->adds_id = true;
	release(ctl, device, plan);
	/* A device without driver is bound by the write to new_id; the second write then says
	 * EBUSY. */
	add_step(plan, device->name, device->driver[0] == '\0' ? EBUSY : 0,
		"give the device to uio_hv_generic",
		"%s/bus/vmbus/drivers/" VMBUS_UIO_DRIVER "/bind", sys);
}

void
ctl_plan_kernel(const struct ctl *ctl, const struct vmbus_sysfs_device *device, const char *driver,
	const char *override, bool remove_id, struct ctl_plan *plan)
{
	const char *sys = ctl->fs.sys;
	char what[64];

	plan->n = 0;
	plan->done = 0;
	plan->added_id = plan->released = false;
	if (driver[0] != '\0')
		need_driver(ctl, driver, plan);
	/* Before the bind: an override keeps every other driver away. */
	if (device->has_override &&
		(device->override_unknown || strcmp(device->driver_override, override) != 0))
		add_step(plan, override, 0,
			override[0] == '\0' ? "clear the driver override"
					    : "restore the driver override",
			"%s/bus/vmbus/devices/%s/driver_override", sys, device->name);
	if (remove_id)
		add_step(plan, VMBUS_NIC_CLASS, ENODEV, "take the NIC class from uio_hv_generic",
			"%s/bus/vmbus/drivers/" VMBUS_UIO_DRIVER "/remove_id", sys);
	if (strcmp(device->driver, driver) == 0)
		return;
	release(ctl, device, plan);
	if (driver[0] == '\0')
		return;
	snprintf(what, sizeof(what), "give the device to %.32s", driver);
	add_step(plan, device->name, 0, what, "%s/bus/vmbus/drivers/%s/bind", sys, driver)->gives =
		true;
}

/*
 * Not by PATH, which is the user's own when root came by su, and not with the rest of the
 * environment, where MODPROBE_OPTIONS is as good as an argument.
 */
static const char *
modprobe(void)
{
	static const char *const places[] = {
		"/sbin/modprobe", "/usr/sbin/modprobe", "/usr/bin/modprobe", "/bin/modprobe"};
	const char *given = secure_getenv("HYPERPOLL_MODPROBE");
	size_t i;

	if (given != NULL && given[0] != '\0' && secure_getenv("HYPERPOLL_SYSFS_ROOT") != NULL)
		return given;
	for (i = 0; i + 1 < sizeof(places) / sizeof(places[0]); i++)
		if (access(places[i], X_OK) == 0)
			break;
	return places[i];
}

void
ctl_step_command(const struct ctl_step *step, char command[CTL_COMMAND_MAX])
{
	if (step->path[0] == '\0')
		snprintf(command, CTL_COMMAND_MAX, "modprobe %s", step->value);
	else if (step->value[0] == '\0')
		snprintf(command, CTL_COMMAND_MAX, "echo > %s", step->path);
	else
		snprintf(command, CTL_COMMAND_MAX, "echo %s > %s", step->value, step->path);
}

/* @return 0 or -errno */
static int
run_modprobe(const char *module)
{
	static char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
	char *const arguments[] = {"modprobe", (char *)module, NULL};
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		execve(modprobe(), arguments, environment);
		_exit(127);
	}
	status = ctl_child_end(pid);
	return status > 0 || status == -EINTR ? -ENOENT : status;
}

int
ctl_write_attr(const char *path, const char *value)
{
	char text[VMBUS_SYSFS_NAME_MAX + 1];
	int n = snprintf(text, sizeof(text), "%s\n", value), rc = 0;
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	/* The kernel takes an attribute in one write, whole. */
	if (write(fd, text, (size_t)n) != n)
		rc = -errno;
	close(fd);
	return rc;
}

static void
explain(const struct ctl_step *step, int error)
{
	char command[CTL_COMMAND_MAX];

	ctl_step_command(step, command);
	if (error == EACCES || error == EPERM)
		ctl_error("cannot %s (%s): %s: run as root", step->what, command, strerror(error));
	else if (error == KERNEL_ENOTSUPP)
		ctl_error("cannot %s (%s): the host gave this device no monitor bit, and kernels "
			  "before 6.10 refuse it: use a newer kernel",
			step->what, command);
	else if (step->path[0] == '\0' && error == ETIMEDOUT)
		ctl_error(
			"cannot %s (%s did not end within 10 s): its module may still be starting; "
			"see dmesg, and try again",
			step->what, command);
	else if (step->path[0] == '\0')
		ctl_error("cannot %s (%s failed): install a kernel with this module, see vmbusctl "
			  "doctor",
			step->what, command);
	else if (error == ENOMEM)
		ctl_error(
			"cannot %s (%s): %s: the kernel needs 4 MiB in one piece, free memory and "
			"try again",
			step->what, command, strerror(error));
	else
		ctl_error("cannot %s (%s): %s", step->what, command, strerror(error));
}

int
ctl_plan_run(struct ctl_plan *plan, bool keep_going)
{
	struct ctl_step *step;
	int rc, result = CTL_OK;
	unsigned int i;

	plan->done = 0;
	for (i = 0; i < plan->n; i++) {
		step = &plan->steps[i];
		rc = step->path[0] == '\0' ? run_modprobe(step->value)
					   : ctl_write_attr(step->path, step->value);
		if (rc == 0 && step->adds_id)
			plan->added_id = true;
		if (rc == 0 || (step->already != 0 && rc == -step->already)) {
			plan->done++;
			plan->released = step->releases || (plan->released && !step->gives);
			continue;
		}
		explain(step, -rc);
		result = CTL_FAILED;
		if (!keep_going)
			break;
	}
	return result;
}
