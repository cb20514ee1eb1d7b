/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bus's devices: which there are, what becomes of one that goes, and what a driver asks of one
 * whichever its backend is. The list is changed by EAL's control paths only, which EAL serialises;
 * hot-plug events look at it on the interrupt thread, so changes and those looks take devices_lock.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/mempolicy.h>

#include <rte_lcore.h>

#include "drivers/bus/vmbus/bus_private.h"
#include "drivers/bus/vmbus/mp.h"

TAILQ_HEAD(hpbus_device_list, hpbus_device);
static struct hpbus_device_list devices = TAILQ_HEAD_INITIALIZER(devices);
/*
 * Unplugged, with nothing left but the structure: EAL may still write to it
 * (spec/dpdk-driver-api.md §3).
 */
static struct hpbus_device_list unplugged = TAILQ_HEAD_INITIALIZER(unplugged);
static struct hpbus_device_list kept = TAILQ_HEAD_INITIALIZER(kept); /* for good */
static pthread_mutex_t devices_lock = PTHREAD_MUTEX_INITIALIZER;

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
hpbus_device_next(const struct hpbus_device *dev)
{
	return dev == NULL ? TAILQ_FIRST(&devices) : TAILQ_NEXT(dev, next);
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

void
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

void
hpbus_devices_free_unplugged(void)
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
