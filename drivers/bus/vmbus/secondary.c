/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device in a secondary process: the primary's, found by asking it, with the same memory mapped
 * at the same addresses. Nothing here talks to the host: what only the connection can do, the
 * primary does.
 *
 * The primary's byte on the socket says that something has changed; then everything is asked for
 * again and what differs is mapped or unmapped. By then no burst of this process is inside of a
 * channel, for the primary has taken it out of running, with its locks, before it changed anything.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "drivers/bus/vmbus/mappings.h"
#include "drivers/bus/vmbus/secondary.h"
#include "drivers/bus/vmbus/sysfs.h"
#include "lib/vfio_user/signal.h"

/* The primary may be changing what it has: how often it is looked at again. */
#define ROUNDS	 50u
#define ROUND_US 10000

/* A place that is mapped here. */
struct secondary_place {
	struct hpbus_place place;
	int fd; /* of a doorbell, else -1 */
};

struct secondary_device {
	struct hpbus_device *dev;
	struct hpbus_shared *shared; /* NULL: not open */
	struct secondary_place *list;
	unsigned int n;
	bool synced; /* the list is all of this one: */
	uint32_t generation;
	struct vfu_signaller signaller;
	bool signals; /* it works */
	bool uio;
	struct vmbus_sysfs fs;
	char name[VMBUS_SYSFS_NAME_MAX]; /* folder in sysfs */
	int uio_fd;
};

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

/* ---- what is mapped ---- */

static void
place_end(struct secondary_device *s, struct secondary_place *p)
{
	struct hpbus_device *dev = s->dev;

	if (p->place.role == HPBUS_PLACE_DOORBELL) {
		if (p->place.source < HPBUS_MAX_CHANNELS)
			dev->signal_fd[p->place.source] = -1;
		close(p->fd);
		return;
	}
	if (s->uio)
		hpbus_mapping_remove((void *)(uintptr_t)p->place.address);
	hpbus_place_unmap(&p->place);
	if (p->place.role == HPBUS_PLACE_MONITOR)
		dev->monitor = NULL;
}

static void
places_unmap(struct secondary_device *s)
{
	while (s->n != 0)
		place_end(s, &s->list[--s->n]);
}

static void
places_end(struct secondary_device *s)
{
	places_unmap(s);
	free(s->list);
	s->list = NULL;
	s->synced = false;
	if (s->uio_fd >= 0)
		close(s->uio_fd);
	s->uio_fd = -1;
}

/* The file of a place that no file came with. @return to be closed unless it is uio_fd */
static int
place_open(struct secondary_device *s, const struct hpbus_place *place)
{
	char path[VMBUS_SYSFS_PATH_MAX];
	struct vmbus_sysfs_uio uio;
	int fd, rc;

	if (!s->uio)
		return -EPROTO;
	if (place->source == HPBUS_PLACE_DEVICE_FILE) {
		if (s->uio_fd >= 0)
			return s->uio_fd;
		rc = vmbus_sysfs_uio_read(&s->fs, s->name, (size_t)sysconf(_SC_PAGESIZE), &uio);
		s->uio_fd = rc == 0 ? vmbus_sysfs_uio_open(&s->fs, s->name, &uio) : rc;
		return s->uio_fd;
	}
	snprintf(path, sizeof(path), "%s/bus/vmbus/devices/%s/channels/%u/ring", s->fs.sys, s->name,
		place->source);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* @p file comes with it, -1: none. What of it is left to place_end(), a doorbell's, stays there. */
static int
place_begin(struct secondary_device *s, const struct hpbus_place *place, int *file)
{
	struct hpbus_device *dev = s->dev;
	void *base = (void *)(uintptr_t)place->address;
	int rc, fd = *file;

	if (place->role == HPBUS_PLACE_DOORBELL) {
		if (fd < 0 || place->source >= HPBUS_MAX_CHANNELS || !vfu_fd_is_eventfd(fd))
			return -EPROTO;
		dev->signal_fd[place->source] = fd;
		return 0;
	}
	*file = -1;
	if (fd < 0)
		fd = place_open(s, place);
	if (fd < 0)
		return fd;
	rc = hpbus_place_map(place, fd);
	if (fd != s->uio_fd)
		close(fd);
	if (rc == 0 && s->uio && hpbus_mapping_add(dev, base, place->span) != 0) {
		hpbus_place_unmap(place);
		rc = -ENOSPC;
	}
	if (rc != 0) {
		HPBUS_LOG(ERR,
			"%s: %zu bytes of the device cannot be mapped at %p, where the primary "
			"process has them: %s%s",
			dev->name, (size_t)place->span, base, strerror(-rc),
			rc == -EEXIST ? "; something else of this process is there: try again, or "
					"give both another --base-virtaddr"
				      : "");
		return rc;
	}
	if (place->role == HPBUS_PLACE_MONITOR)
		dev->monitor = base;
	return 0;
}

/* ---- as the primary has it ---- */

struct wanted {
	struct hpbus_place place;
	int fd;
};

static void
wanted_close(struct wanted *list, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		if (list[i].fd >= 0)
			close(list[i].fd);
	free(list);
}

static bool
place_has_file(const struct hpbus_place *place, bool uio)
{
	return !uio || place->role == HPBUS_PLACE_DOORBELL;
}

/* One answer's places, appended. @return 0, -EAGAIN: it is another generation by now */
static int
wanted_add(struct secondary_device *s, struct rte_mp_msg *msg, struct wanted **list, uint32_t *n,
	uint32_t *generation)
{
	const struct hpbus_mp_reply *reply = (const struct hpbus_mp_reply *)msg->param;
	int i, fds = 0, rc = reply->rc;
	struct wanted *more;
	uint32_t k;

	if (rc == 0 && *n != 0 && reply->generation != *generation)
		rc = -EAGAIN;
	if (rc == 0 && reply->n > HPBUS_MP_PLACES_MAX)
		rc = -EPROTO;
	more = rc == 0 ? realloc(*list, (*n + HPBUS_MP_PLACES_MAX) * sizeof(**list)) : NULL;
	if (rc == 0 && more == NULL)
		rc = -ENOMEM;
	if (more != NULL)
		*list = more;
	for (k = 0; rc == 0 && k < reply->n; k++) {
		struct wanted *w = &(*list)[(*n)++];

		*w = (struct wanted){.place = reply->places[k], .fd = -1};
		if (!place_has_file(&w->place, s->uio))
			continue;
		if (fds < msg->num_fds)
			w->fd = msg->fds[fds++];
		else
			rc = -EPROTO;
	}
	for (i = fds; i < msg->num_fds; i++)
		close(msg->fds[i]);
	*generation = reply->generation;
	return rc;
}

static int
wanted_get(struct secondary_device *s, struct wanted **list, uint32_t *n, uint32_t *generation)
{
	struct hpbus_mp_request rq = {.op = HPBUS_MP_PLACES};
	struct rte_mp_msg msg;
	uint32_t total = 1;
	int rc = 0;

	memcpy(rq.guid, s->dev->instance, sizeof(rq.guid));
	for (*list = NULL, *n = 0; rc == 0 && *n < total;) {
		rq.first = *n;
		rc = secondary_ask(&rq, -1, &msg);
		if (rc != 0)
			break;
		rc = wanted_add(s, &msg, list, n, generation);
		total = ((const struct hpbus_mp_reply *)msg.param)->total;
		/* There is no more than it says there is. */
		if (rc == 0 && ((const struct hpbus_mp_reply *)msg.param)->n == 0)
			break;
	}
	return rc;
}

static int
find_place(const struct wanted *list, uint32_t n, const struct hpbus_place *place)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		if (memcmp(&list[i].place, place, sizeof(*place)) == 0)
			return (int)i;
	return -1;
}

static bool
have_place(const struct secondary_device *s, const struct hpbus_place *place)
{
	unsigned int i;

	for (i = 0; i < s->n; i++)
		if (memcmp(&s->list[i].place, place, sizeof(*place)) == 0)
			return true;
	return false;
}

/* Map what is wanted and not here, after what is here and not wanted has gone. */
static int
sync_places(struct secondary_device *s, struct wanted *list, uint32_t n)
{
	struct secondary_place *room;
	bool file = false;
	unsigned int i;
	int rc;

	for (i = s->n; i > 0; i--)
		/* A doorbell says only by its number whose it is: it may be another one now. */
		if (s->list[i - 1].place.role == HPBUS_PLACE_DOORBELL ||
			find_place(list, n, &s->list[i - 1].place) < 0) {
			place_end(s, &s->list[i - 1]);
			s->list[i - 1] = s->list[--s->n];
		}
	room = realloc(s->list, (s->n + n + 1) * sizeof(*room));
	if (room == NULL)
		return -ENOMEM;
	s->list = room;
	for (i = 0; i < n; i++) {
		file |= s->uio && list[i].place.source == HPBUS_PLACE_DEVICE_FILE;
		if (have_place(s, &list[i].place))
			continue;
		rc = place_begin(s, &list[i].place, &list[i].fd);
		if (rc != 0)
			return rc;
		s->list[s->n++] = (struct secondary_place){list[i].place, list[i].fd};
		list[i].fd = -1;
	}
	/* A kernel closes the channel when nobody has the file any more. */
	if (!file && s->uio_fd >= 0) {
		close(s->uio_fd);
		s->uio_fd = -1;
	}
	return 0;
}

/* Another generation. No burst is inside. */
static int
sync_changed(struct secondary_device *s, struct wanted *list, uint32_t n, uint32_t generation)
{
	struct hpbus_device *dev = s->dev;
	int rc;

	s->synced = false;
	/* A device that went away took all pages with it, whatever comes back in the same place. */
	if (atomic_load(&dev->gone))
		places_unmap(s);
	rc = sync_places(s, list, n);
	if (rc != 0)
		return rc;
	s->synced = true;
	s->generation = generation;
	/* With this lock a primary that ends says so behind it. */
	if (!secondary_link_lost())
		atomic_store(&dev->gone, false);
	return 0;
}

/* secondary_lock held. @return 0; -ENODEV: the primary has the device no more; a negative errno */
static int
sync_device(struct secondary_device *s)
{
	struct hpbus_mp_reply reply;
	struct wanted *list;
	uint32_t n, generation = 0;
	unsigned int round;
	int rc = -EAGAIN;

	for (round = 0; rc == -EAGAIN && round < ROUNDS; round++) {
		if (round != 0)
			rte_delay_us_sleep(ROUND_US);
		rc = wanted_get(s, &list, &n, &generation);
		/* Bursts may be inside when nothing has changed. */
		if (rc == 0 && !(s->synced && s->generation == generation))
			rc = sync_changed(s, list, n, generation);
		wanted_close(list, n);
		if (rc == 0)
			rc = secondary_ask_of(s->dev, HPBUS_MP_READY, generation, &reply);
	}
	return rc;
}

/*
 * The device cannot be had as it is: it is not waited for when the primary closes its files. When
 * the primary does not hear of that, bursts may be inside: what is mapped stays.
 */
static void
sync_give_up(struct secondary_device *s)
{
	struct hpbus_mp_reply reply;

	if (secondary_ask_of(s->dev, HPBUS_MP_LEAVE, 0, &reply) == 0)
		places_end(s);
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
		rc = sync_device(s);
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
			rc = sync_device(s);
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
	places_end(s);
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
