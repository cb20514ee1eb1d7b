/* SPDX-License-Identifier: BSD-3-Clause */
/* See fake_vf.h: the bus, and commands. */
#include "test/fake_vf/fake_vf.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_devargs.h>
#include <rte_errno.h>
#include <bus_driver.h>
#include <dev_driver.h>

/* The shapes that a bus has in the releases of DPDK: those of the driver's own bus. */
#define hpbus_probe	  fake_bus_probe
#define hpbus_find_device fake_bus_find_device
#define hpbus_plug	  fake_bus_plug
#define hpbus_unplug	  fake_bus_unplug
#define hpbus_iterate	  fake_bus_iterate
#define hpbus_cleanup	  fake_bus_cleanup
#include "drivers/bus/vmbus/compat.h"

struct fake_device {
	TAILQ_ENTRY(fake_device) next;
	struct rte_device device;
	char name[RTE_DEV_NAME_MAX_LEN];
};

static TAILQ_HEAD(, fake_device) devices = TAILQ_HEAD_INITIALIZER(devices);
static struct rte_driver fake_driver = {.name = "net_fakevf"};
static struct rte_bus fake_bus;
static bool pci; /* it stands for EAL's */
void (*fake_bus_meanwhile)(const char *device);

static struct fake_device *
fake_of(struct rte_device *device)
{
	return (struct fake_device *)((char *)device - offsetof(struct fake_device, device));
}

static bool
machine_has(const char *name)
{
	const char *root = getenv("HYPERPOLL_SYSFS_ROOT");
	char path[1024];

	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s", root == NULL ? "/sys" : root, name);
	return !pci || access(path, F_OK) == 0;
}

static void
device_add(struct rte_devargs *da)
{
	struct fake_device *fake;

	TAILQ_FOREACH (fake, &devices, next)
		if (strcmp(fake->name, da->name) == 0) {
			fake->device.devargs = da;
			return;
		}
	fake = calloc(1, sizeof(*fake));
	if (fake == NULL)
		return;
	snprintf(fake->name, sizeof(fake->name), "%s", da->name);
	fake->device.name = fake->name;
	fake->device.bus = &fake_bus;
	fake->device.devargs = da;
	TAILQ_INSERT_TAIL(&devices, fake, next);
}

static int
fake_scan(void)
{
	struct rte_devargs *da;

	RTE_EAL_DEVARGS_FOREACH (fake_bus.name, da)
		if (machine_has(da->name))
			device_add(da);
	return 0;
}

int
fake_bus_plug(struct rte_device *device)
{
	int rc;

	if (fake_bus_meanwhile != NULL)
		fake_bus_meanwhile(device->name);
	rc = fake_vf_make(device, device->name);
	/* Others look at it without a lock, as at EAL's own. */
	if (rc == 0)
		__atomic_store_n(&device->driver, &fake_driver, __ATOMIC_RELEASE);
	return rc;
}

int
fake_bus_probe(void)
{
	struct fake_device *fake;

	TAILQ_FOREACH (fake, &devices, next)
		if (fake->device.driver == NULL && hpbus_compat_wanted(&fake_bus, &fake->device))
			fake_bus_plug(&fake->device);
	return 0;
}

int
fake_bus_unplug(struct rte_device *device)
{
	struct fake_device *fake = fake_of(device);
	int rc;

	if (fake_bus_meanwhile != NULL)
		fake_bus_meanwhile(device->name);
	rc = fake_vf_unmake(device);
	if (rc != 0)
		return rc;
	device->driver = NULL;
	rte_devargs_remove(device->devargs);
	TAILQ_REMOVE(&devices, fake, next);
	/* Since 26.07 EAL looks at it once more: it stays, as one that nobody finds. */
#if RTE_VERSION < RTE_VERSION_NUM(26, 7, 0, 0)
	free(fake);
#endif
	return 0;
}

struct rte_device *
fake_bus_find_device(const struct rte_device *start, rte_dev_cmp_t cmp, const void *data)
{
	struct fake_device *fake;
	bool on = start == NULL;

	TAILQ_FOREACH (fake, &devices, next) {
		if (on && cmp(&fake->device, data) == 0)
			return &fake->device;
		on |= &fake->device == start;
	}
	return NULL;
}

void *
fake_bus_iterate(const void *start, const char *str, const struct rte_dev_iterator *it)
{
	struct fake_device *fake;
	bool on = start == NULL;

	TAILQ_FOREACH (fake, &devices, next) {
		if (on && (str == NULL || (strncmp(str, "name=", 5) == 0 &&
						  strcmp(str + 5, fake->name) == 0)))
			return &fake->device;
		on |= &fake->device == start;
	}
	return NULL;
}

int
fake_bus_cleanup(void)
{
	struct fake_device *fake;

	while ((fake = TAILQ_FIRST(&devices)) != NULL) {
		fake_vf_unmake(&fake->device);
		TAILQ_REMOVE(&devices, fake, next);
		free(fake);
	}
	return 0;
}

static int
fake_parse(const char *name, void *addr)
{
	unsigned int domain, bus, device, function;
	char end;

	if (pci && sscanf(name, "%x:%x:%x.%x%c", &domain, &bus, &device, &function, &end) != 4)
		return -EINVAL;
	return pci || strncmp(name, "vf", 2) == 0 ? 0 : -EINVAL;
}

static struct rte_bus fake_bus = {
	.scan = fake_scan,
	.parse = fake_parse,
	HPBUS_COMPAT_OPS,
};

/* ---- commands ---- */

static int
command_of(struct fake_vf *vf, const char *device, char *key, char *value, char *reply, size_t size)
{
	char name[RTE_DEV_NAME_MAX_LEN];
	struct rte_eth_dev_info info;

	snprintf(name, sizeof(name), "%s", device);
	if (strcmp(key, "plug") == 0)
		return rte_eal_hotplug_add(fake_bus.name, name, value == NULL ? "" : value);
	if (vf == NULL)
		return -ENODEV;
	if (strcmp(key, "unplug") == 0) {
		fake_vf_vanish(vf);
		return 0;
	}
	if (strcmp(key, "remove") == 0) {
		if (rte_eth_dev_info_get(fake_vf_port(vf), &info) != 0)
			return -ENODEV;
		return rte_dev_remove(info.device);
	}
	if (strcmp(key, "seen") == 0) {
		if (reply != NULL)
			fake_vf_tell(vf, reply, size);
		return 0;
	}
	if (value == NULL)
		return -EINVAL;
	return strcmp(key, "event") == 0 ? fake_vf_event(vf, value)
					 : fake_vf_key(fake_vf_knobs(vf), key, value);
}

int
fake_command(const char *command, char *reply, size_t size)
{
	char text[512], *rest, *device, *key, *value;

	snprintf(text, sizeof(text), "%s", command);
	text[strcspn(text, "\n")] = '\0';
	device = strtok_r(text, " ", &rest);
	key = strtok_r(NULL, " ", &rest);
	value = strtok_r(NULL, " ", &rest);
	if (reply != NULL)
		reply[0] = '\0';
	if (device == NULL || key == NULL)
		return -EINVAL;
	return command_of(fake_vf_find(device), device, key, value, reply, size);
}

static void *
commands(void *arg)
{
	const int fd = (int)(intptr_t)arg;
	char command[512], answer[2048], reply[2300];
	struct sockaddr_un from;
	socklen_t len;
	ssize_t n;
	int rc;

	for (;;) {
		len = sizeof(from);
		n = recvfrom(fd, command, sizeof(command) - 1, 0, (struct sockaddr *)&from, &len);
		if (n < 0 && errno != EINTR)
			return NULL;
		if (n <= 0)
			continue;
		command[n] = '\0';
		rc = fake_command(command, answer, sizeof(answer));
		n = snprintf(
			reply, sizeof(reply), "%s\n%s", rc == 0 ? "ok" : rte_strerror(-rc), answer);
		sendto(fd, reply, (size_t)n, MSG_DONTWAIT, (struct sockaddr *)&from, len);
	}
}

static void
commands_begin(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	pthread_t thread;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 ||
		pthread_create(&thread, NULL, commands, (void *)(intptr_t)fd) != 0) {
		fprintf(stderr, "fake VF: no commands at %s: %s\n", path, strerror(errno));
		return;
	}
	pthread_detach(thread);
}

static void
bus_begin(const char *name)
{
	struct rte_bus *other;

	fake_bus.name = name;
	pci = strcmp(name, "pci") == 0;
	/* EAL's own is linked, and so registered before a plugin is loaded. */
	other = rte_bus_find_by_name(name);
	if (other != NULL)
		rte_bus_unregister(other);
	rte_bus_register(&fake_bus);
	hpbus_compat_add_driver(&fake_bus, &fake_driver);
}

void
fake_bus_take(const char *name)
{
	rte_bus_unregister(&fake_bus);
	bus_begin(name);
}

RTE_INIT(fake_bus_init)
{
	const char *name = getenv("HYPERPOLL_FAKE_BUS"), *path = getenv("HYPERPOLL_FAKE_CONTROL");

	bus_begin(name != NULL ? name : "fakevf");
	if (path != NULL)
		commands_begin(path);
}
