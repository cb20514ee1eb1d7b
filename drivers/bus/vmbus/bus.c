/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bus: registration, scan, probe, plug and unplug (spec/dpdk-driver-api.md §2-§4). The device
 * list is changed by EAL's control paths only, which EAL serialises; hot-plug events look at it on
 * the interrupt thread, so changes and those looks take devices_lock.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/mempolicy.h>

#include <rte_devargs.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_kvargs.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_version.h>

#include "drivers/bus/vmbus/bus_private.h"
#include "drivers/bus/vmbus/compat.h"
#include "drivers/bus/vmbus/mappings.h"
#include "drivers/bus/vmbus/mp.h"

#define BUS_NAME "vmbus"

TAILQ_HEAD(hpbus_device_list, hpbus_device);
static struct hpbus_device_list devices = TAILQ_HEAD_INITIALIZER(devices);
/* Unplugged, with nothing left but the structure: EAL may still write to it (§3). */
static struct hpbus_device_list unplugged = TAILQ_HEAD_INITIALIZER(unplugged);
static struct hpbus_device_list kept = TAILQ_HEAD_INITIALIZER(kept); /* for good */
static pthread_mutex_t devices_lock = PTHREAD_MUTEX_INITIALIZER;
static struct hpbus_driver *the_driver;
static bool scanned;

static struct rte_bus hpbus;

RTE_LOG_REGISTER(hpbus_logtype, bus.hyperpoll, NOTICE);

void
hpbus_register_driver(struct hpbus_driver *driver)
{
	the_driver = driver;
}

/* ---- devices ---- */

void
hpbus_devices_lock(void)
{
	pthread_mutex_lock(&devices_lock);
}

void
hpbus_devices_unlock(void)
{
	pthread_mutex_unlock(&devices_lock);
}

/* A GUID of any case, in braces as Windows writes it or without, with the bus's prefix or without.
 */
static int
hpbus_parse_guid(const char *name, uint8_t guid[16])
{
	static const char prefix[] = BUS_NAME ":";
	char text[VMBUS_GUID_LEN + 1];

	if (strncmp(name, prefix, sizeof(prefix) - 1) == 0)
		name += sizeof(prefix) - 1;
	if (name[0] != '{')
		return vmbus_guid_parse(name, guid);
	if (strlen(name) != VMBUS_GUID_LEN + 2 || name[VMBUS_GUID_LEN + 1] != '}')
		return -EINVAL;
	memcpy(text, name + 1, VMBUS_GUID_LEN);
	text[VMBUS_GUID_LEN] = '\0';
	return vmbus_guid_parse(text, guid);
}

const struct hpbus_driver *
hpbus_driver(void)
{
	return the_driver;
}

void
hpbus_devices_walk(void (*fn)(struct hpbus_device *dev, void *arg), void *arg)
{
	struct hpbus_device *dev;

	TAILQ_FOREACH (dev, &devices, next)
		fn(dev, arg);
}

void
hpbus_devices_each(void (*fn)(struct hpbus_device *dev, void *arg), void *arg)
{
	hpbus_devices_lock();
	hpbus_devices_walk(fn, arg);
	hpbus_devices_unlock();
}

struct hpbus_device *
hpbus_device_find(const uint8_t instance[16])
{
	struct hpbus_device *dev;

	TAILQ_FOREACH (dev, &devices, next)
		if (memcmp(dev->instance, instance, 16) == 0)
			return dev;
	return NULL;
}

struct hpbus_device *
hpbus_device_get(const uint8_t instance[16])
{
	struct hpbus_device *dev = hpbus_device_find(instance);

	if (dev != NULL)
		return dev;
	dev = calloc(1, sizeof(*dev));
	if (dev == NULL)
		return NULL;
	pthread_mutex_init(&dev->own_turn, NULL);
	memcpy(dev->instance, instance, 16);
	vmbus_guid_format(instance, dev->name);
	dev->device.name = dev->name;
	dev->device.bus = &hpbus;
	dev->device.numa_node = SOCKET_ID_ANY;
	hpbus_devices_lock();
	TAILQ_INSERT_TAIL(&devices, dev, next);
	hpbus_devices_unlock();
	return dev;
}

struct hpbus_device *
hpbus_device_by_folder(const char *folder)
{
	size_t len = strlen(folder);
	struct hpbus_device *dev;
	uint8_t guid[16];

	if (len < VMBUS_GUID_LEN || vmbus_guid_parse(folder + len - VMBUS_GUID_LEN, guid) != 0)
		return NULL;
	TAILQ_FOREACH (dev, &devices, next)
		if (memcmp(dev->instance, guid, sizeof(guid)) == 0)
			return dev;
	return NULL;
}

static void
hpbus_device_unlist(struct hpbus_device *dev)
{
	hpbus_devices_lock();
	TAILQ_REMOVE(&devices, dev, next);
	hpbus_devices_unlock();
	if (dev->kept) {
		TAILQ_INSERT_TAIL(&kept, dev, next);
		return;
	}
	if (dev->backend != NULL && dev->backend->release != NULL)
		dev->backend->release(dev);
	hpbus_places_clear(dev);
	TAILQ_INSERT_TAIL(&unplugged, dev, next);
}

static void
hpbus_free_unplugged(void)
{
	struct hpbus_device *dev;

	while ((dev = TAILQ_FIRST(&unplugged)) != NULL) {
		TAILQ_REMOVE(&unplugged, dev, next);
		pthread_mutex_destroy(&dev->own_turn);
		free(dev);
	}
}

void
hpbus_device_set_driver_data(
	struct hpbus_device *dev, void *data, bool (*on_gone)(struct hpbus_device *dev))
{
	hpbus_devices_lock();
	dev->driver_data = data;
	__atomic_store_n(&dev->on_gone, on_gone, __ATOMIC_RELEASE);
	hpbus_devices_unlock();
}

bool
hpbus_device_mark_gone(struct hpbus_device *dev, const char *why)
{
	bool (*on_gone)(struct hpbus_device *), waits;

	atomic_store(&dev->gone, true);
	if (atomic_exchange(&dev->told, true))
		return false;
	/* Once: a port that is being closed takes it away meanwhile. */
	on_gone = __atomic_load_n(&dev->on_gone, __ATOMIC_ACQUIRE);
	waits = on_gone != NULL && on_gone(dev);
	HPBUS_LOG(WARNING, "%s: %s; the port %s", dev->name, why,
		waits ? "waits for it to come back" : "stays until it is detached");
	return !waits;
}

void
hpbus_device_gone(struct hpbus_device *dev, const char *why)
{
	if (hpbus_device_mark_gone(dev, why))
		rte_dev_event_callback_process(dev->name, RTE_DEV_EVENT_REMOVE);
}

void
hpbus_device_lost(struct hpbus_device *dev)
{
	rte_dev_event_callback_process(dev->name, RTE_DEV_EVENT_REMOVE);
}

int
hpbus_device_node(const struct hpbus_device *dev)
{
	unsigned int i, count = rte_socket_count();
	int node = dev->device.numa_node, lies_on = -1;

	if (node < 0 && dev->recv.base != NULL &&
		syscall(SYS_get_mempolicy, &lies_on, NULL, 0UL, dev->recv.base,
			MPOL_F_NODE | MPOL_F_ADDR) == 0)
		node = lies_on;
	/* Only where DPDK has memory: an application allocates there. */
	for (i = 0; i < count; i++)
		if (rte_socket_id_by_idx(i) == node)
			return node;
	return count == 0 ? 0 : rte_socket_id_by_idx(0);
}

void
hpbus_channel_signal(struct hpbus_device *dev, struct hpbus_channel *ch)
{
	switch (ch->signal) {
	case HPBUS_SIGNAL_MONITOR:
		vmbus_monitor_signal(dev->monitor, ch->monitor_id);
		break;
	case HPBUS_SIGNAL_EVENTFD:
	case HPBUS_SIGNAL_CALL:
		dev->backend->signal(dev, ch);
		break;
	case HPBUS_SIGNAL_NONE:
		break;
	}
}

void
hpbus_signal_again(struct hpbus_device *dev)
{
	hpbus_mp_calls(dev);
	if (dev->backend->signal_again != NULL)
		dev->backend->signal_again(dev);
}

bool
hpbus_dma_usable(struct hpbus_device *dev, const void *addr, size_t len)
{
	if (dev->copy_only || dev->backend->dma_usable == NULL)
		return false;
	return dev->backend->dma_usable(dev, addr, len);
}

/* ---- scan ---- */

/* The in-tree bus of the same name would probe the same devices: ours takes its place (§2). */
static int
hpbus_is_peer(const struct rte_bus *bus, const void *ours)
{
	return bus == ours || strcmp(bus->name, BUS_NAME) != 0;
}

static void
hpbus_replace_peer(void)
{
	struct rte_bus *other = rte_bus_find(NULL, hpbus_is_peer, &hpbus);

	if (other == NULL)
		return;
	if (hpbus.conf.scan_mode == RTE_BUS_SCAN_UNDEFINED)
		hpbus.conf.scan_mode = other->conf.scan_mode;
	rte_bus_unregister(other);
	HPBUS_LOG(NOTICE, "took the place of the in-tree bus of the same name "
			  "(with HYPERPOLL_YIELD=1 in the environment it would stay in charge)");
}

struct vfio_user_key {
	char *path;
	size_t len;
};

static int
hpbus_copy_path(const char *key, const char *value, void *opaque)
{
	struct vfio_user_key *out = opaque;

	if (value == NULL || value[0] == '\0' || strlen(value) >= out->len) {
		HPBUS_LOG(ERR, "devargs key %s needs the path of a socket, at most %zu characters",
			key, out->len - 1);
		return -EINVAL;
	}
	strcpy(out->path, value);
	return 0;
}

/* Devices that exist only because the user named a socket for them. */
static void
hpbus_scan_devargs(void)
{
	struct rte_devargs *da;

	RTE_EAL_DEVARGS_FOREACH (BUS_NAME, da) {
		char path[108] = "";
		struct vfio_user_key out = {path, sizeof(path)};
		struct rte_kvargs *kv = NULL;
		struct hpbus_device *dev;
		uint8_t guid[16];

		if (hpbus_parse_guid(da->name, guid) != 0)
			continue;
		if (da->args != NULL && da->args[0] != '\0')
			kv = rte_kvargs_parse(da->args, NULL);
		if (kv != NULL && rte_kvargs_count(kv, "vfio-user") != 0 &&
			hpbus_compat_kvargs(kv, "vfio-user", hpbus_copy_path, &out) == 0) {
			dev = hpbus_device_get(guid);
			if (dev != NULL && dev->device.driver == NULL &&
				hpbus_vfio_attach(dev, path) != 0)
				HPBUS_LOG(ERR, "%s: cannot use socket %s", da->name, path);
		}
		rte_kvargs_free(kv);
	}
}

static void
hpbus_match_devargs(struct hpbus_device *dev)
{
	struct rte_devargs *da;
	uint8_t guid[16];

	dev->device.devargs = NULL;
	RTE_EAL_DEVARGS_FOREACH (BUS_NAME, da) {
		if (hpbus_parse_guid(da->name, guid) != 0 ||
			memcmp(guid, dev->instance, sizeof(guid)) != 0)
			continue;
		/*
		 * EAL finds the device to attach by comparing names, and frees the devargs when it
		 * finds none: another spelling of the GUID becomes ours.
		 */
		snprintf(da->name, sizeof(da->name), "%s", dev->name);
		dev->device.devargs = da;
	}
}

static int
hpbus_scan(void)
{
	struct hpbus_device *dev;

	if (!scanned) {
		scanned = true;
		hpbus_replace_peer();
		if (the_driver != NULL)
			hpbus_compat_add_driver(&hpbus, &the_driver->driver);
	}
	hpbus_free_unplugged();
	if (rte_eal_process_type() == RTE_PROC_SECONDARY) {
		hpbus_secondary_scan();
	} else {
		hpbus_mp_start();
		hpbus_uio_scan();
		hpbus_vfio_scan();
		hpbus_scan_devargs();
	}
	TAILQ_FOREACH (dev, &devices, next)
		hpbus_match_devargs(dev);
	return 0;
}

/* ---- probe ---- */

static int
hpbus_probe_device(struct hpbus_device *dev)
{
	int rc;

	if (the_driver == NULL)
		return 1;
	if (dev->backend == NULL) {
		HPBUS_LOG(ERR, "%s: nothing serves this device", dev->name);
		return -ENODEV;
	}
	/* ethdev asks for the driver's name as soon as there is a port. */
	dev->device.driver = &the_driver->driver;
	rc = the_driver->probe(dev);
	if (rc != 0)
		dev->device.driver = NULL;
	return rc;
}

int
hpbus_probe(void)
{
	unsigned int tried = 0, failed = 0;
	struct hpbus_device *dev;
	struct rte_devargs *da;
	uint8_t guid[16];

	TAILQ_FOREACH (dev, &devices, next) {
		if (dev->device.driver != NULL || !hpbus_compat_wanted(&hpbus, &dev->device))
			continue;
		tried++;
		if (hpbus_probe_device(dev) != 0) {
			HPBUS_LOG(ERR, "%s (%s): not usable, see above", dev->name, dev->where);
			failed++;
		}
	}
	/* A device asked for by name but found nowhere deserves a word. */
	RTE_EAL_DEVARGS_FOREACH (BUS_NAME, da) {
		bool found = false;

		if (da->policy != RTE_DEV_ALLOWED || hpbus_parse_guid(da->name, guid) != 0)
			continue;
		TAILQ_FOREACH (dev, &devices, next)
			found |= memcmp(guid, dev->instance, sizeof(guid)) == 0;
		if (!found) {
			HPBUS_LOG(ERR,
				"%s: no such device: neither bound to uio_hv_generic nor served "
				"over vfio-user in the default folders; name its socket with "
				"vfio-user=PATH",
				da->name);
			tried++;
			failed++;
		}
	}
	if (tried != 0 && tried == failed) {
		rte_errno = ENODEV;
		return -1;
	}
	return 0;
}

struct rte_device *
hpbus_find_device(const struct rte_device *start, rte_dev_cmp_t cmp, const void *data)
{
	struct hpbus_device *dev;

	dev = start == NULL
		      ? TAILQ_FIRST(&devices)
		      : TAILQ_NEXT(hpbus_device_of((struct rte_device *)(uintptr_t)start), next);
	for (; dev != NULL; dev = TAILQ_NEXT(dev, next))
		if (cmp(&dev->device, data) == 0)
			return &dev->device;
	return NULL;
}

int
hpbus_plug(struct rte_device *device)
{
	struct hpbus_device *dev = hpbus_device_of(device);
	int rc = hpbus_probe_device(dev);

	/* EAL frees the devargs of a failed attach (§4). */
	if (rc != 0)
		device->devargs = NULL;
	return rc;
}

int
hpbus_unplug(struct rte_device *device)
{
	struct hpbus_device *dev = hpbus_device_of(device);
	int rc;

	if (device->driver != NULL) {
		rc = dev->kept ? -EBUSY : the_driver->remove(dev);
		if (dev->kept)
			HPBUS_LOG(ERR,
				"%s: a thread may be inside of it: it stays until the "
				"process ends",
				dev->name);
		if (rc != 0)
			return rc;
		device->driver = NULL;
	}
	if (device->devargs != NULL)
		rte_devargs_remove(device->devargs);
	device->devargs = NULL;
	hpbus_device_unlist(dev);
	return 0;
}

static int
hpbus_parse(const char *name, void *addr)
{
	uint8_t guid[16];

	if (hpbus_parse_guid(name, guid) != 0)
		return -1;
	if (addr != NULL)
		memcpy(addr, guid, sizeof(guid));
	return 0;
}

static int
hpbus_dma_map(struct rte_device *device, void *addr, uint64_t iova, size_t len)
{
	struct hpbus_device *dev = hpbus_device_of(device);
	const struct rte_memseg_list *list = rte_mem_virt2memseg_list(addr);
	int rc = -ENOTSUP;

	/* EAL's memory that has a file is shared already (spec §11), or will be. */
	if (hpbus_dma_usable(dev, addr, len) || (dev->returning && list != NULL && !list->external))
		return 0;
	if (!dev->copy_only && dev->backend->dma_map != NULL)
		rc = hpbus_dma_own_map(dev, (uintptr_t)addr, iova, len);
	if (rc == 0)
		return 0;
	rte_errno = -rc;
	return -1;
}

static int
hpbus_dma_unmap(struct rte_device *device, void *addr, uint64_t iova, size_t len)
{
	struct hpbus_device *dev = hpbus_device_of(device);
	const struct rte_memseg_list *list = rte_mem_virt2memseg_list(addr);

	/* EAL's own was not shared by a call, and the driver lives in it. */
	if (list != NULL && !list->external)
		return 0;
	if (dev->backend->dma_unmap != NULL)
		hpbus_dma_own_unmap(dev, (uintptr_t)addr, len);
	return 0;
}

static enum rte_iova_mode
hpbus_iommu_class(void)
{
	bool uio = false, vfio = false;
	struct hpbus_device *dev;

	if (rte_eal_process_type() == RTE_PROC_SECONDARY)
		return hpbus_secondary_iova_mode();
	TAILQ_FOREACH (dev, &devices, next) {
		if (!hpbus_compat_wanted(&hpbus, &dev->device))
			continue;
		uio |= dev->backend == &hpbus_uio_backend;
		vfio |= dev->backend == &hpbus_vfio_backend;
	}
	/* Asking for physical addresses where there are none would end EAL's start (§11). */
	if (uio)
		return rte_eal_using_phys_addrs() ? RTE_IOVA_PA : RTE_IOVA_DC;
	return vfio ? RTE_IOVA_VA : RTE_IOVA_DC;
}

static int
hpbus_sigbus(const void *addr)
{
	return hpbus_sigbus_handle(addr);
}

void *
hpbus_iterate(const void *start, const char *str, const struct rte_dev_iterator *it)
{
	static const char *const keys[] = {"name", NULL};
	struct rte_kvargs *kv = NULL;
	struct hpbus_device *dev;
	const char *name = NULL;
	uint8_t guid[16];

	if (str != NULL) {
		kv = rte_kvargs_parse(str, keys);
		if (kv == NULL) {
			rte_errno = EINVAL;
			return NULL;
		}
		name = rte_kvargs_get(kv, "name");
	}
	dev = start == NULL
		      ? TAILQ_FIRST(&devices)
		      : TAILQ_NEXT(hpbus_device_of((struct rte_device *)(uintptr_t)start), next);
	while (dev != NULL && name != NULL &&
		(hpbus_parse_guid(name, guid) != 0 ||
			memcmp(guid, dev->instance, sizeof(guid)) != 0))
		dev = TAILQ_NEXT(dev, next);
	rte_kvargs_free(kv);
	return dev == NULL ? NULL : &dev->device;
}

int
hpbus_cleanup(void)
{
	struct hpbus_device *dev;
	int error = 0;

	hpbus_hotplug_stop();
	while ((dev = TAILQ_FIRST(&devices)) != NULL) {
		if (dev->device.driver != NULL && the_driver->remove(dev) != 0)
			error = -1;
		dev->device.driver = NULL;
		hpbus_device_unlist(dev);
	}
	hpbus_free_unplugged();
	return error;
}

static struct rte_bus hpbus = {
	.name = BUS_NAME,
	.scan = hpbus_scan,
	HPBUS_COMPAT_OPS,
	.parse = hpbus_parse,
	.dma_map = hpbus_dma_map,
	.dma_unmap = hpbus_dma_unmap,
	.get_iommu_class = hpbus_iommu_class,
	.sigbus_handler = hpbus_sigbus,
};

/*
 * Internal DPDK structures carry no promise between releases, not even under one SONAME: a plugin
 * built for another year and month must not register (spec/dpdk-driver-api.md §1).
 */
static bool
hpbus_version_ok(void)
{
	unsigned int year = 0, month = 0;

	return sscanf(rte_version(), "%*[^0-9]%u.%u", &year, &month) == 2 && year == RTE_VER_YEAR &&
	       month == RTE_VER_MONTH;
}

RTE_INIT_PRIO(hpbus_init, BUS)
{
	const char *yield = getenv("HYPERPOLL_YIELD");

	if (yield != NULL && strcmp(yield, "1") == 0)
		return;
	if (!hpbus_version_ok()) {
		RTE_LOG(ERR, EAL,
			"hyperpoll: built for DPDK %u.%02u but this is %s: not registered; "
			"rebuild the plugin against this DPDK\n",
			RTE_VER_YEAR, RTE_VER_MONTH, rte_version());
		return;
	}
	rte_bus_register(&hpbus);
}
