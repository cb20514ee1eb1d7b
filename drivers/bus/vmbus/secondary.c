/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device in a secondary process: the primary's, found by asking it, with the same memory mapped
 * at the same addresses (secondary_places.c). Nothing here talks to the host: what only the
 * connection can do, the primary does.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/bus/vmbus/mappings.h"
#include "drivers/bus/vmbus/secondary.h"
#include "drivers/bus/vmbus/sysfs.h"
#include "lib/vfio_user/signal.h"

static const struct hpbus_backend vfio_secondary, uio_secondary;

/* ---- the primary ---- */

static void
primary_ended(struct hpbus_device *dev, void *arg)
{
	struct secondary_device *s = dev->backend_data;

	if (s == NULL || s->shared == NULL)
		return;
	/* The kernel closes the channel when the last mapping and descriptor has gone. */
	atomic_store(&dev->gone, true);
	if (s->uio_fd >= 0) {
		hpbus_mappings_replace(dev);
		close(s->uio_fd);
		s->uio_fd = -1;
	}
	hpbus_device_mark_gone(dev, "the primary process has ended");
}

static void
tell_changed(struct hpbus_device *dev, void *arg)
{
	struct secondary_device *s = dev->backend_data;

	if (s != NULL && dev->driver_data != NULL && hpbus_driver()->changed != NULL)
		hpbus_driver()->changed(dev);
}

static void
find_removed(struct hpbus_device *dev, void *arg)
{
	struct rte_eth_dev **eth = arg;

	if (*eth != NULL || !dev->removed)
		return;
	dev->removed = false;
	*eth = dev->driver_eth;
}

static void
tell_driver(void)
{
	struct rte_eth_dev *eth;

	hpbus_devices_each(tell_changed, NULL);
	/* From the beginning: any device may be gone behind such a call. */
	do {
		eth = NULL;
		hpbus_devices_each(find_removed, &eth);
		if (eth != NULL)
			hpbus_driver()->removed(eth);
	} while (eth != NULL);
}

void
secondary_ended(void)
{
	pthread_mutex_lock(&secondary_lock);
	hpbus_devices_each(primary_ended, NULL);
	pthread_mutex_unlock(&secondary_lock);
	tell_driver();
}

/* ---- as the primary has it ---- */

/*
 * The device cannot be had as it is: it is not waited for when the primary closes its files. When
 * the primary does not hear of that, bursts may be inside: what is mapped stays.
 */
static void
sync_give_up(struct secondary_device *s)
{
	struct hpbus_mp_reply reply;

	if (secondary_ask_of(s->dev, HPBUS_MP_LEAVE, 0, &reply) == 0)
		secondary_places_end(s);
}

static void
sync_one(struct hpbus_device *dev, void *arg)
{
	struct secondary_device *s = dev->backend_data;
	struct hpbus_mp_reply reply;
	int rc;

	if (s == NULL || s->shared == NULL)
		return;
	/* It may have been left out. */
	rc = secondary_ask_of(dev, HPBUS_MP_OPEN, 0, &reply);
	if (rc == 0)
		rc = secondary_places_sync(s);
	if (rc != 0)
		sync_give_up(s);
	if (rc == -ENODEV) {
		s->shared = NULL;
		dev->sharing.on = false;
		hpbus_device_mark_gone(dev, "the primary process has closed the device");
	} else if (rc != 0 && !secondary_link_lost()) {
		HPBUS_LOG(ERR, "%s: not usable in this process any more: %s", dev->name,
			strerror(-rc));
	}
}

void
secondary_changed(void)
{
	pthread_mutex_lock(&secondary_lock);
	/* Others wait for EAL's interrupt thread and for the devices meanwhile. */
	secondary_ask_until(hpbus_now_ms() + SECONDARY_ANSWER_MS);
	hpbus_devices_each(sync_one, NULL);
	secondary_ask_until(0);
	pthread_mutex_unlock(&secondary_lock);
	tell_driver();
}

/* ---- of struct hpbus_backend ---- */

/* In some kernels it is not just the GUID. */
static int
find_folder(struct secondary_device *s)
{
	struct vmbus_sysfs_device *found;
	int rc = vmbus_sysfs_init(&s->fs, NULL, NULL);
	size_t i, n;

	if (rc == 0)
		rc = vmbus_sysfs_scan(&s->fs, vmbus_nic_class, &found, &n);
	if (rc != 0)
		return rc;
	for (i = 0, rc = -ENODEV; i < n; i++)
		if (memcmp(found[i].instance, s->dev->instance, sizeof(s->dev->instance)) == 0) {
			snprintf(s->name, sizeof(s->name), "%s", found[i].name);
			rc = 0;
		}
	vmbus_sysfs_free(found, n);
	return rc;
}

static int
secondary_open(struct hpbus_device *dev)
{
	struct secondary_device *s = dev->backend_data;
	struct hpbus_mp_reply reply;
	unsigned int i;
	int rc;

	for (i = 0; i < HPBUS_MAX_CHANNELS; i++)
		dev->signal_fd[i] = -1;
	pthread_mutex_lock(&secondary_lock);
	rc = secondary_ask_of(dev, HPBUS_MP_OPEN, 0, &reply);
	if (rc == 0) {
		reply.open.port[sizeof(reply.open.port) - 1] = '\0';
		reply.open.where[sizeof(reply.open.where) - 1] = '\0';
		snprintf(dev->sharing.port, sizeof(dev->sharing.port), "%s", reply.open.port);
		snprintf(dev->where, sizeof(dev->where), "%s", reply.open.where);
		dev->device.numa_node = reply.open.numa_node;
		s->shared = (struct hpbus_shared *)(uintptr_t)reply.open.shared;
		s->uio = reply.open.uio != 0;
		s->uio_fd = -1;
		dev->sharing.on = true;
		dev->backend = s->uio ? &uio_secondary : &vfio_secondary;
		dev->copy_only = atomic_load(&s->shared->copy_only);
		atomic_store(&dev->gone, false);
		atomic_store(&dev->told, false);
		s->signals = vfu_signaller_init(&s->signaller) == 0;
		if (s->uio) {
			hpbus_sigbus_install();
			rc = find_folder(s);
		}
		if (rc == 0 && !dev->copy_only)
			rc = hpbus_dma_follow();
		if (rc == 0)
			rc = secondary_places_sync(s);
	}
	pthread_mutex_unlock(&secondary_lock);
	if (rc != 0) {
		HPBUS_LOG(
			ERR, "%s: cannot have the primary's device: %s", dev->name, strerror(-rc));
		dev->backend->close(dev);
	}
	return rc;
}

static void
secondary_close(struct hpbus_device *dev)
{
	struct secondary_device *s = dev->backend_data;
	struct hpbus_mp_reply reply;

	pthread_mutex_lock(&secondary_lock);
	if (s->shared != NULL) {
		/* Those of our bursts that are inside end first, says ethdev. */
		secondary_ask_of(dev, HPBUS_MP_LEAVE, 0, &reply);
		if (s->uio)
			hpbus_sigbus_restore();
	}
	s->shared = NULL;
	secondary_places_end(s);
	vfu_signaller_fini(&s->signaller);
	pthread_mutex_unlock(&secondary_lock);
}

static void
secondary_signal(struct hpbus_device *dev, struct hpbus_channel *ch)
{
	struct secondary_device *s = dev->backend_data;
	uint64_t bit = UINT64_C(1) << ch->index % HPBUS_MAX_CHANNELS;
	int fd = dev->signal_fd[ch->index % HPBUS_MAX_CHANNELS];

	if (ch->signal == HPBUS_SIGNAL_EVENTFD && s->signals && vfu_signal(&s->signaller, fd) == 0)
		return;
	/* What only the primary can do. Full: it has bytes to read, and looks at all then. */
	if (s->shared != NULL && !(atomic_fetch_or(&s->shared->calls, bit) & bit))
		secondary_wake_primary();
}

/*
 * The primary has told the host of all of EAL's memory, or says that it has not. What the
 * application maps for the device in one process is copied in another.
 */
static bool
secondary_dma_usable(struct hpbus_device *dev, const void *addr, size_t len)
{
	struct secondary_device *s = dev->backend_data;
	const struct rte_memseg_list *msl = rte_mem_virt2memseg_list(addr);
	uintptr_t va = (uintptr_t)addr, end = va + len;

	if (s->shared == NULL || msl == NULL || msl->external || atomic_load(&s->shared->partial))
		return false;
	while (va < end) {
		const struct rte_memseg *ms = rte_mem_virt2memseg((void *)va, msl);

		if (ms == NULL || ms->len == 0 || ms->iova == RTE_BAD_IOVA || ms->iova == 0)
			return false;
		va = (uintptr_t)ms->addr + ms->len;
	}
	return true;
}

static void
secondary_release(struct hpbus_device *dev)
{
	free(dev->backend_data);
	dev->backend_data = NULL;
	dev->backend = NULL;
}

static const struct hpbus_backend vfio_secondary = {
	.name = "vfio-user",
	.open = secondary_open,
	.close = secondary_close,
	.signal = secondary_signal,
	.dma_usable = secondary_dma_usable,
	.release = secondary_release,
};

static const struct hpbus_backend uio_secondary = {
	.name = "uio",
	.open = secondary_open,
	.close = secondary_close,
	.signal = secondary_signal,
	.dma_usable = secondary_dma_usable,
	.release = secondary_release,
};

/* ---- discovery ---- */

static void
secondary_found(const uint8_t guid[16])
{
	struct hpbus_device *dev = hpbus_device_get(guid);
	struct secondary_device *s;

	if (dev == NULL || dev->backend != NULL)
		return;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return;
	s->dev = dev;
	s->uio_fd = -1;
	dev->backend_data = s;
	dev->backend = &vfio_secondary;
	snprintf(dev->where, sizeof(dev->where), "of the primary process");
}

void
hpbus_secondary_scan(void)
{
	struct hpbus_mp_request rq = {.op = HPBUS_MP_DEVICES};
	struct hpbus_mp_reply reply = {.total = 1};
	uint32_t i;
	int rc;

	pthread_mutex_lock(&secondary_lock);
	rc = secondary_link_make();
	while (rc == 0 && rq.first < reply.total) {
		rc = secondary_ask_plain(&rq, -1, &reply);
		if (rc != 0 || reply.n == 0 || reply.n > HPBUS_MP_DEVICES_MAX)
			break;
		for (i = 0; i < reply.n; i++)
			secondary_found(reply.devices[i].guid);
		rq.first += reply.n;
	}
	pthread_mutex_unlock(&secondary_lock);
	if (rc == -EPROTO)
		HPBUS_LOG(ERR, "the primary process has another build of this plugin: load the "
			       "same one in both (-d)");
	else if (rc != 0)
		HPBUS_LOG(NOTICE,
			"no devices of the primary process: %s; it answers when this plugin is "
			"loaded there, too (-d)",
			strerror(-rc));
}
