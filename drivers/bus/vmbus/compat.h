/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What differs between DPDK releases for the bus (spec/dpdk-driver-api.md §3, §13). bus.c has its
 * operations in one shape; here they become those of the release that is compiled against.
 */
#ifndef HP_BUS_VMBUS_COMPAT_H
#define HP_BUS_VMBUS_COMPAT_H

#include <errno.h>
#include <stdbool.h>

#include <rte_devargs.h>
#include <rte_kvargs.h>
#include <rte_version.h>
#include <bus_driver.h>
#include <dev_driver.h>

/* bus.c's operations, called by EAL only. */
int hpbus_probe(void);
struct rte_device *hpbus_find_device(
	const struct rte_device *start, rte_dev_cmp_t cmp, const void *data);
/** Probe one device that has no driver; @return 0, a negative errno, or 1: not for this bus. */
int hpbus_plug(struct rte_device *device);
/** Take the driver away and the device from the list; it is freed by the next scan or cleanup. */
int hpbus_unplug(struct rte_device *device);
void *hpbus_iterate(const void *start, const char *str, const struct rte_dev_iterator *it);
int hpbus_cleanup(void);

#if RTE_VERSION >= RTE_VERSION_NUM(26, 7, 0, 0)

static inline int
hpbus_compat_probe(struct rte_bus *bus)
{
	return hpbus_probe();
}

static inline struct rte_device *
hpbus_compat_find_device(const struct rte_bus *bus, const struct rte_device *start,
	rte_dev_cmp_t cmp, const void *data)
{
	return hpbus_find_device(start, cmp, data);
}

static inline bool
hpbus_compat_match(const struct rte_driver *driver, const struct rte_device *device)
{
	return true; /* one driver, and nothing but its devices is listed */
}

/* EAL has seen to it that the device has no driver, and takes this one back after a failure. */
static inline int
hpbus_compat_probe_device(struct rte_driver *driver, struct rte_device *device)
{
	return hpbus_plug(device);
}

static inline void *
hpbus_compat_iterate(const struct rte_bus *bus, const void *start, const char *str,
	const struct rte_dev_iterator *it)
{
	return hpbus_iterate(start, str, it);
}

static inline int
hpbus_compat_cleanup(struct rte_bus *bus)
{
	return hpbus_cleanup();
}

#define HPBUS_COMPAT_OPS                                                                           \
	.probe = hpbus_compat_probe, .find_device = hpbus_compat_find_device,                      \
	.match = hpbus_compat_match, .probe_device = hpbus_compat_probe_device,                    \
	.unplug_device = hpbus_unplug, .dev_iterate = hpbus_compat_iterate,                        \
	.cleanup = hpbus_compat_cleanup

/** EAL looks for the driver of a device in a list that exists once the bus is registered. */
static inline void
hpbus_compat_add_driver(struct rte_bus *bus, struct rte_driver *driver)
{
	rte_bus_add_driver(bus, driver);
}

/** Whether the user's -a, -b and -A leave this device to us. */
static inline bool
hpbus_compat_wanted(const struct rte_bus *bus, const struct rte_device *device)
{
	return !rte_bus_device_is_ignored(bus, device->name);
}

#else

/* Of a probed device it says that it is there, which EAL takes for success. */
static inline int
hpbus_compat_plug(struct rte_device *device)
{
	return device->driver != NULL ? -EEXIST : hpbus_plug(device);
}

#define HPBUS_COMPAT_OPS                                                                           \
	.probe = hpbus_probe, .find_device = hpbus_find_device, .plug = hpbus_compat_plug,         \
	.unplug = hpbus_unplug, .dev_iterate = hpbus_iterate, .cleanup = hpbus_cleanup

static inline void
hpbus_compat_add_driver(struct rte_bus *bus, struct rte_driver *driver)
{
}

static inline bool
hpbus_compat_wanted(const struct rte_bus *bus, const struct rte_device *device)
{
	const struct rte_devargs *da = device->devargs;

	if (bus->conf.scan_mode == RTE_BUS_SCAN_ALLOWLIST)
		return da != NULL && da->policy == RTE_DEV_ALLOWED;
	return da == NULL || da->policy != RTE_DEV_BLOCKED;
}

#endif

/** rte_kvargs_process() as it was until 24.07: keys without a value are the handler's, too. */
static inline int
hpbus_compat_kvargs(
	const struct rte_kvargs *kv, const char *key, arg_handler_t handle, void *opaque)
{
#if RTE_VERSION >= RTE_VERSION_NUM(24, 11, 0, 0)
	return rte_kvargs_process_opt(kv, key, handle, opaque);
#else
	return rte_kvargs_process(kv, key, handle, opaque);
#endif
}

#endif
