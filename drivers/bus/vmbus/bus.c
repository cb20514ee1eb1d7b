/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bus as EAL sees it: registration, scan, probe, plug and unplug (spec/dpdk-driver-api.md
 * §2-§4). On EAL's control paths only, which EAL serialises. The devices are in devices.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_devargs.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_kvargs.h>
#include <rte_log.h>
#include <rte_version.h>

#include "drivers/bus/vmbus/bus_private.h"
#include "drivers/bus/vmbus/compat.h"
#include "drivers/bus/vmbus/mappings.h"
#include "drivers/bus/vmbus/mp.h"

#define BUS_NAME "vmbus"

static struct hpbus_driver *the_driver;
static bool scanned;

RTE_LOG_REGISTER(hpbus_logtype, bus.hyperpoll, NOTICE);

void
hpbus_register_driver(struct hpbus_driver *driver)
{
	the_driver = driver;
}

const struct hpbus_driver *
hpbus_driver(void)
{
	return the_driver;
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
	hpbus_devices_free_unplugged();
	if (rte_eal_process_type() == RTE_PROC_SECONDARY) {
		hpbus_secondary_scan();
	} else {
		hpbus_mp_start();
		hpbus_uio_scan();
		hpbus_vfio_scan();
		hpbus_scan_devargs();
	}
	for (dev = hpbus_device_next(NULL); dev != NULL; dev = hpbus_device_next(dev))
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

	for (dev = hpbus_device_next(NULL); dev != NULL; dev = hpbus_device_next(dev)) {
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
		for (dev = hpbus_device_next(NULL); dev != NULL; dev = hpbus_device_next(dev))
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

	dev = hpbus_device_next(
		start == NULL ? NULL : hpbus_device_of((struct rte_device *)(uintptr_t)start));
	for (; dev != NULL; dev = hpbus_device_next(dev))
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
	for (dev = hpbus_device_next(NULL); dev != NULL; dev = hpbus_device_next(dev)) {
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
	dev = hpbus_device_next(
		start == NULL ? NULL : hpbus_device_of((struct rte_device *)(uintptr_t)start));
	while (dev != NULL && name != NULL &&
		(hpbus_parse_guid(name, guid) != 0 ||
			memcmp(guid, dev->instance, sizeof(guid)) != 0))
		dev = hpbus_device_next(dev);
	rte_kvargs_free(kv);
	return dev == NULL ? NULL : &dev->device;
}

int
hpbus_cleanup(void)
{
	struct hpbus_device *dev;
	int error = 0;

	hpbus_hotplug_stop();
	while ((dev = hpbus_device_next(NULL)) != NULL) {
		if (dev->device.driver != NULL && the_driver->remove(dev) != 0)
			error = -1;
		dev->device.driver = NULL;
		hpbus_device_unlist(dev);
	}
	hpbus_devices_free_unplugged();
	return error;
}

struct rte_bus hpbus = {
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
