/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Shared between the bus and its backends only.
 */
#ifndef HP_BUS_VMBUS_PRIVATE_H
#define HP_BUS_VMBUS_PRIVATE_H

#include "drivers/bus/vmbus/bus.h"

extern const struct hpbus_backend hpbus_vfio_backend;
extern const struct hpbus_backend hpbus_uio_backend;

/** What EAL knows of us (bus.c). */
extern struct rte_bus hpbus;

/**
 * Find a device by memory-order GUID or make one. EAL's scan thread only.
 * @return NULL when out of memory
 */
struct hpbus_device *hpbus_device_get(const uint8_t instance[16]);

/** Backend discovery, called by the bus scan: make a device for everything that is served. */
void hpbus_vfio_scan(void);
/** Attach the vfio-user backend at socket @p path to a device. @return 0 or negative errno. */
int hpbus_vfio_attach(struct hpbus_device *dev, const char *path);

/** Make a device for every NIC bound to uio_hv_generic. */
void hpbus_uio_scan(void);

/**
 * The kernel removed the device or its uio node. Interrupt thread, device list locked.
 * @return whether EAL's device event callbacks are to be told, with the list unlocked
 */
bool hpbus_uio_removed(struct hpbus_device *dev);
/** Nobody frees a device until hpbus_devices_unlock(); not around callbacks of the application. */
void hpbus_devices_lock(void);
void hpbus_devices_unlock(void);
/** All devices, with the list locked; and the same for who has locked it. */
void hpbus_devices_each(void (*fn)(struct hpbus_device *dev, void *arg), void *arg);
void hpbus_devices_walk(void (*fn)(struct hpbus_device *dev, void *arg), void *arg);
/** The first device for NULL, the one behind @p dev, or NULL. As hpbus_devices_walk(). */
struct hpbus_device *hpbus_device_next(const struct hpbus_device *dev);
/** It is no device of the bus any more; its structure stays. EAL's control paths. */
void hpbus_device_unlist(struct hpbus_device *dev);
/** Free the structures of those, but what a thread may be inside of. Not before EAL's next scan. */
void hpbus_devices_free_unplugged(void);
/** By GUID in memory order, or NULL. The device list is locked. */
struct hpbus_device *hpbus_device_find(const uint8_t instance[16]);
/** The driver, or NULL. */
const struct hpbus_driver *hpbus_driver(void);
/**
 * Device whose sysfs folder (its GUID, in some kernels with a prefix) is @p folder, or NULL. The
 * device list is locked.
 */
struct hpbus_device *hpbus_device_by_folder(const char *folder);

/** Listen to the kernel's device events (hotplug.c). Failing costs only the events. */
void hpbus_hotplug_start(void);
void hpbus_hotplug_stop(void);

/**
 * From now on hpbus_dma_generation() follows EAL's memory; by every backend's open().
 * @return 0 or a negative errno
 */
int hpbus_dma_follow(void);
/**
 * Share memory of the application's own, and remember it: now, or when a device comes back that is
 * away. @return as hpbus_backend.dma_map()
 */
int hpbus_dma_own_map(struct hpbus_device *dev, uintptr_t addr, uint64_t iova, size_t len);
/** Not any more; what is remembered is forgotten by the address that it was mapped by. */
void hpbus_dma_own_unmap(struct hpbus_device *dev, uintptr_t addr, size_t len);
/** What the host can read has changed. A backend with a table of its own says so after it did. */
void hpbus_dma_changed(void);

/**
 * The host is gone: mark the device and tell its driver.
 * @return true: the first time, and the driver does not wait for it
 */
bool hpbus_device_mark_gone(struct hpbus_device *dev, const char *why);
/** The same, and if so tell EAL's device event callbacks. Interrupt thread. */
void hpbus_device_gone(struct hpbus_device *dev, const char *why);

#endif
