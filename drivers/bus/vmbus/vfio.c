/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Backend "vfio": a VMBus NIC served by another process over vfio-user
 * (spec/vmbus-over-vfio-user.md §7-§11). The connection plays the part of the open /dev/uioN. Here
 * is the connection itself; its channels are in vfio_channel.c, shared memory in vfio_dma.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "drivers/bus/vmbus/vfio.h"
#include "drivers/bus/vmbus/watch.h"

/* ---- the connection ---- */

int
vfio_enter(struct vfio_device *v, int64_t until)
{
	while (pthread_mutex_trylock(&v->lock) != 0) {
		if (hpbus_op_given_up())
			return -ECANCELED;
		if (hpbus_now_ms() >= until)
			return -ETIMEDOUT;
		rte_delay_us_sleep(100);
	}
	if (v->client == NULL) {
		pthread_mutex_unlock(&v->lock);
		return -ENOTCONN;
	}
	if (hpbus_op_given_up()) {
		pthread_mutex_unlock(&v->lock);
		return -ECANCELED;
	}
	/* Not even to ask: a request that ends unanswered ends the connection. */
	if (hpbus_now_ms() >= until) {
		pthread_mutex_unlock(&v->lock);
		return -ETIMEDOUT;
	}
	vfu_client_set_deadline(v->client, until);
	return 0;
}

void
vfio_leave(struct vfio_device *v)
{
	pthread_mutex_unlock(&v->lock);
}

void
vfio_cut_off(struct vfio_device *v)
{
	if (v->client != NULL)
		vfu_client_abort(v->client);
}

const char *
vfio_why_gone(const struct vfio_device *v)
{
	switch (v->client != NULL ? vfu_client_why(v->client) : 0) {
	case -ETIMEDOUT:
		return "the host did not answer in time and was cut off";
	case -EPROTO:
		return "the host broke the protocol and was cut off";
	case -ECANCELED:
		return "the host was cut off";
	default:
		return "the host closed the connection";
	}
}

/* ---- events ---- */

static void
vfio_on_hup(void *arg)
{
	struct vfio_device *v = arg;
	const char *why;
	int rc;

	/* Level-triggered, and readable too while a reply is on its way: try again then. */
	if (pthread_mutex_trylock(&v->lock) != 0)
		return;
	rc = v->client == NULL ? -ENOTCONN : vfu_client_alive(v->client);
	why = vfio_why_gone(v);
	pthread_mutex_unlock(&v->lock);
	if (rc == 0)
		return;
	hpbus_watch_over(v->hup_intr, vfio_on_hup, v, NULL);
	hpbus_device_gone(v->dev, why);
}

static void
vfio_on_event(void *arg)
{
	struct vfio_device *v = arg;
	uint8_t bytes[VMBUS_DEVICE_DESCRIPTOR_SIZE];
	struct vmbus_desc_header header;
	int rc;

	/* The host holds the other end of it: a plain read could be made to wait. */
	rc = vfu_eventfd_drain(v->event_fd, NULL);
	if (rc == -EAGAIN)
		return;
	if (rc != 0) {
		/* Ready for ever: only the end of the connection tells of a withdrawal then. */
		HPBUS_LOG(NOTICE, "%s: device events cannot be read on this kernel: %s",
			v->dev->name, strerror(-rc));
		hpbus_watch_over(v->event_intr, vfio_on_event, v, NULL);
	}
	/* From the mapped page: the interrupt thread never waits for a reply. */
	if (v->descriptor == NULL || vmbus_device_snapshot(v->descriptor, bytes) != 0)
		return;
	memcpy(&header, bytes, sizeof(header));
	if (header.state == VMBUS_DEVICE_RESCINDED)
		hpbus_device_gone(v->dev, "the host withdrew the device");
}

/* ---- descriptor and regions ---- */

/* Between vfio_enter() and vfio_leave(). */
int
vfio_read_descriptor(struct vfio_device *v, char *err, size_t errlen)
{
	uint8_t bytes[VMBUS_DEVICE_DESCRIPTOR_SIZE];
	int rc = 0;

	if (v->descriptor == NULL || vmbus_device_snapshot(v->descriptor, bytes) != 0)
		rc = vfu_client_region_read(
			v->client, VMBUS_REGION_DESCRIPTOR, 0, bytes, sizeof(bytes));
	if (rc != 0) {
		snprintf(err, errlen, "%s", vfu_client_error(v->client));
		return rc;
	}
	return vmbus_device_describe(bytes, sizeof(bytes), &v->expect, &v->info, err, errlen);
}

/*
 * May all of a region be mapped? An access behind the end of its file would be a SIGBUS: the file
 * must hold it (the client has looked), in one piece, and be sealed so that it stays so (§7).
 */
int
vfio_check_region(const struct vfu_region *region)
{
	int seals;

	if (region->fd < 0 || region->size == 0)
		return -ENXIO;
	if (region->n_areas != 0 && (region->n_areas != 1 || region->areas[0].offset != 0 ||
					    region->areas[0].size != region->size))
		return -ENXIO;
	seals = fcntl(region->fd, F_GET_SEALS);
	return seals < 0 || !(seals & F_SEAL_SHRINK) ? -EPERM : 0;
}

static int
vfio_map_region(const struct vfu_region *region, int prot, void **base)
{
	int rc = vfio_check_region(region);
	void *p;

	if (rc != 0)
		return rc;
	p = hpbus_place_reserve(region->size);
	if (p == NULL)
		return -errno;
	if (mmap(p, region->size, prot, MAP_SHARED | MAP_POPULATE | MAP_FIXED, region->fd,
		    (off_t)region->offset) == MAP_FAILED) {
		rc = -errno;
		munmap(p, region->size);
		return rc;
	}
	*base = p;
	return 0;
}

/* A region that other processes must have, too. */
static int
vfio_map_shared(struct vfio_device *v, const struct vfu_region *region, uint32_t role, void **base)
{
	struct hpbus_place place = {
		.span = region->size,
		.piece = {{0, region->size, region->offset}},
		.role = role,
	};
	int rc = vfio_map_region(region, PROT_READ | PROT_WRITE, base);

	if (rc != 0)
		return rc;
	place.address = (uintptr_t)*base;
	return hpbus_place_add(v->dev, &place, region->fd);
}

static int
vfio_map_fixed_regions(struct vfio_device *v, struct vfu_region *regions)
{
	struct hpbus_device *dev = v->dev;
	void *monitor = NULL, *descriptor = NULL;
	int rc;

	rc = vfio_check_region(&regions[VMBUS_REGION_RINGS]);
	if (rc == 0 && regions[VMBUS_REGION_MONITOR].size != sizeof(*dev->monitor))
		rc = -EPROTO;
	if (rc != 0)
		return rc;
	v->rings_fd = regions[VMBUS_REGION_RINGS].fd;
	v->rings_offset = regions[VMBUS_REGION_RINGS].offset;
	regions[VMBUS_REGION_RINGS].fd = -1;
	dev->recv.len = regions[VMBUS_REGION_RECV].size;
	rc = vfio_map_shared(
		v, &regions[VMBUS_REGION_RECV], HPBUS_PLACE_RECV, (void **)&dev->recv.base);
	dev->send.len = regions[VMBUS_REGION_SEND].size;
	if (rc == 0)
		rc = vfio_map_shared(
			v, &regions[VMBUS_REGION_SEND], HPBUS_PLACE_SEND, (void **)&dev->send.base);
	if (rc == 0)
		rc = vfio_map_shared(
			v, &regions[VMBUS_REGION_MONITOR], HPBUS_PLACE_MONITOR, &monitor);
	dev->monitor = monitor;
	/* A convenience: what stands in it can be asked for, too. */
	if (rc == 0 && regions[VMBUS_REGION_DESCRIPTOR].size == VMBUS_DEVICE_DESCRIPTOR_SIZE &&
		vfio_map_region(&regions[VMBUS_REGION_DESCRIPTOR], PROT_READ, &descriptor) == 0)
		v->descriptor = descriptor;
	return rc;
}

/* Doorbells, and what it takes to ring them; without either, another method is chosen (§9). */
static void
vfio_discover_doorbells(struct vfio_device *v)
{
	struct hpbus_device *dev = v->dev;
	int rc;

	if (!(v->info.flags & VMBUS_DEVICE_FLAG_DOORBELL) ||
		vfu_client_io_fds(v->client, VMBUS_REGION_DOORBELL, &v->doorbells) != 0) {
		v->doorbells.count = v->doorbells.skipped = v->doorbells.n_fds = 0;
		return;
	}
	if (v->doorbells.skipped != 0)
		HPBUS_LOG(NOTICE,
			"%s: %u of the host's %u doorbells are not eventfds and are not used",
			dev->name, v->doorbells.skipped, v->doorbells.skipped + v->doorbells.count);
	if (v->doorbells.count == 0)
		return;
	rc = v->signaller.context != 0 ? 0 : vfu_signaller_init(&v->signaller);
	if (rc != 0)
		HPBUS_LOG(NOTICE,
			"%s: no asynchronous I/O here (%s%s): the host is signalled the slow way",
			dev->name, strerror(-rc),
			rc == -EAGAIN ? ", sysctl fs.aio-max-nr is used up" : "");
}

/* Lock held; leaves everything mapped so far to vfio_unmap(). */
static int
vfio_discover(struct vfio_device *v, char *err, size_t errlen)
{
	struct vfu_region regions[VMBUS_REGION_FIXED_COUNT];
	struct hpbus_device *dev = v->dev;
	struct vfu_device_info info;
	struct vfu_irq_info irq;
	unsigned int i, n = 0;
	int rc;

	rc = vfu_client_device_info(v->client, &info);
	if (rc == 0 && (info.flags & VFIO_USER_DEVICE_PCI)) {
		snprintf(err, errlen, "the socket serves a PCI device, not a VMBus NIC");
		return -ENODEV;
	}
	if (rc == 0)
		rc = vfu_client_irq_info(v->client, VMBUS_IRQ_CHANNEL, &irq);
	memset(&v->expect, 0, sizeof(v->expect));
	for (i = 0; rc == 0 && i < VMBUS_REGION_FIXED_COUNT; i++) {
		rc = vfu_client_region_info(v->client, i, &regions[i]);
		if (rc == 0) {
			v->expect.region_size[i] = regions[i].size;
			n++;
		}
	}
	if (rc != 0) {
		snprintf(err, errlen, "%s", vfu_client_error(v->client));
		goto out;
	}
	v->expect.instance = dev->instance;
	v->expect.num_regions = info.num_regions;
	v->expect.irq_count = irq.count;
	rc = vfio_read_descriptor(v, err, errlen);
	if (rc != 0)
		goto out;
	rc = vfio_map_fixed_regions(v, regions);
	if (rc != 0) {
		snprintf(err, errlen, "cannot map the device's memory: %s", strerror(-rc));
		goto out;
	}
	vfio_discover_doorbells(v);
	v->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	rc = v->event_fd < 0 ? -errno
			     : vfu_client_set_irqs(v->client, VMBUS_IRQ_DEVICE, 0, 1, &v->event_fd);
	if (rc != 0)
		snprintf(err, errlen, "cannot install the device event: %s", strerror(-rc));
	dev->recv.gpadl = v->info.recv_gpadl;
	dev->send.gpadl = v->info.send_gpadl;
	dev->max_channels = RTE_MIN(v->info.max_channels, HPBUS_MAX_CHANNELS);
	dev->device.numa_node = v->info.numa_node < 0 ? SOCKET_ID_ANY : v->info.numa_node;
out:
	for (i = 0; i < n; i++)
		if (regions[i].fd >= 0)
			close(regions[i].fd);
	return rc;
}

static void
vfio_unmap(struct vfio_device *v)
{
	struct hpbus_device *dev = v->dev;

	hpbus_places_clear(dev);
	if (dev->recv.base != NULL)
		munmap(dev->recv.base, dev->recv.len);
	if (dev->send.base != NULL)
		munmap(dev->send.base, dev->send.len);
	if (dev->monitor != NULL)
		munmap(dev->monitor, sizeof(*dev->monitor));
	if (v->descriptor != NULL)
		munmap((void *)(uintptr_t)v->descriptor, VMBUS_DEVICE_DESCRIPTOR_SIZE);
	memset(&dev->recv, 0, sizeof(dev->recv));
	memset(&dev->send, 0, sizeof(dev->send));
	dev->monitor = NULL;
	v->descriptor = NULL;
	/* Lcores that wait for the device to come back are woken with it. */
	if (!dev->returning)
		vfu_signaller_fini(&v->signaller);
	vfu_io_fds_close(&v->doorbells);
	if (v->rings_fd >= 0)
		close(v->rings_fd);
	if (v->event_fd >= 0)
		close(v->event_fd);
	v->rings_fd = v->event_fd = -1;
}

static void
vfio_close(struct hpbus_device *dev)
{
	struct vfio_device *v = dev->backend_data;
	struct vfu_client *client;

	hpbus_unwatch(&v->hup_intr, vfio_on_hup, v);
	hpbus_unwatch(&v->event_intr, vfio_on_event, v);
	/* The reset tells a living host at once; otherwise it sees the end of the connection. */
	if (vfio_enter(v, hpbus_op_until()) == 0) {
		if (!atomic_load(&dev->gone))
			vfu_client_reset(v->client);
		vfio_leave(v);
	}
	/* So that a memory event that still waits for the host does not keep us. */
	vfio_cut_off(v);
	vfio_dma_stop(v);
	pthread_mutex_lock(&v->lock);
	client = v->client;
	v->client = NULL;
	pthread_mutex_unlock(&v->lock);
	vfu_client_close(client);
	vfio_unmap(v);
}

/* What connect() says where nobody serves a socket: nobody has yet, or not any more. */
static bool
vfio_is_away(int rc)
{
	return rc == -ENOENT || rc == -ECONNREFUSED;
}

static int
vfio_open(struct hpbus_device *dev)
{
	struct vfio_device *v = dev->backend_data;
	char err[VFU_ERRLEN] = "";
	bool away = false;
	int rc;

	pthread_mutex_lock(&v->lock);
	rc = vfu_client_connect_until(
		v->path, hpbus_op_talk_until(), hpbus_op_given_up, &v->client, err, sizeof(err));
	if (rc != 0) {
		v->client = NULL;
		away = vfio_is_away(rc);
	} else {
		rc = vfio_discover(v, err, sizeof(err));
		/* Not what it says of a socket: there is a host, and it has refused something. */
		if (vfio_is_away(rc))
			rc = -EIO;
	}
	pthread_mutex_unlock(&v->lock);
	if (away && dev->returning)
		return -ENOENT;
	if (rc == -ECANCELED)
		goto fail;
	if (rc != 0) {
		HPBUS_LOG(ERR, "%s: socket %s: %s", dev->name, v->path, err);
		goto fail;
	}
	atomic_store(&dev->gone, false);
	atomic_store(&dev->told, false);
	rc = vfio_dma_start(v);
	if (rc == 0)
		rc = hpbus_watch(vfu_client_fd(v->client), vfio_on_hup, v, &v->hup_intr);
	if (rc == 0)
		rc = hpbus_watch(v->event_fd, vfio_on_event, v, &v->event_intr);
	if (rc == 0)
		return 0;
	HPBUS_LOG(ERR, "%s: cannot watch the connection: %s", dev->name, strerror(-rc));
fail:
	vfio_close(dev);
	return rc;
}

static int
vfio_reset(struct hpbus_device *dev)
{
	struct vfio_device *v = dev->backend_data;
	char err[VFU_ERRLEN] = "";
	int rc;

	rc = vfio_enter(v, hpbus_op_until());
	if (rc == 0) {
		rc = vfu_client_reset(v->client);
		if (rc == 0)
			rc = vfio_read_descriptor(v, err, sizeof(err));
		vfio_leave(v);
	}
	if (rc == 0)
		return 0;
	HPBUS_LOG(
		ERR, "%s: reset failed: %s %s; the host is cut off", dev->name, strerror(-rc), err);
	/* No fence but this one: a host that sees the end of the connection forgets our memory. */
	atomic_store(&dev->gone, true);
	vfio_cut_off(v);
	return rc;
}

/* ---- discovery ---- */

static void
vfio_release(struct hpbus_device *dev)
{
	struct vfio_device *v = dev->backend_data;

	pthread_mutex_destroy(&v->lock);
	free(v);
	dev->backend_data = NULL;
	dev->backend = NULL;
}

int
hpbus_vfio_attach(struct hpbus_device *dev, const char *path)
{
	struct vfio_device *v = dev->backend_data;

	if (dev->backend != NULL && dev->backend != &hpbus_vfio_backend)
		return -EBUSY;
	if (v == NULL) {
		v = calloc(1, sizeof(*v));
		if (v == NULL)
			return -ENOMEM;
		v->dev = dev;
		v->rings_fd = v->event_fd = -1;
		pthread_mutex_init(&v->lock, NULL);
		hpbus_dma_table_init(&v->dma);
		dev->backend_data = v;
		dev->backend = &hpbus_vfio_backend;
	}
	snprintf(v->path, sizeof(v->path), "%s", path);
	snprintf(dev->where, sizeof(dev->where), "%s", path);
	return 0;
}

static int
vfio_scan_one(void *arg, const uint8_t guid[16], const char *path)
{
	struct hpbus_device *dev = hpbus_device_get(guid);

	/* A folder earlier in the list, or the socket named in the devargs, wins. */
	if (dev != NULL && dev->backend == NULL)
		hpbus_vfio_attach(dev, path);
	return 0;
}

void
hpbus_vfio_scan(void)
{
	int rc = vfu_scan(vfio_scan_one, NULL);

	if (rc < 0)
		HPBUS_LOG(ERR, "cannot look for sockets: %s", strerror(-rc));
}

const struct hpbus_backend hpbus_vfio_backend = {
	.name = "vfio-user",
	.open = vfio_open,
	.close = vfio_close,
	.reset = vfio_reset,
	.channel_open = vfio_channel_open,
	.channel_close = vfio_channel_close,
	.signal = vfio_signal,
	.signal_again = vfio_signal_again,
	.dma_usable = vfio_dma_usable,
	.dma_map = vfio_dma_map,
	.dma_unmap = vfio_dma_unmap,
	.dma_own = vfio_dma_own,
	.intr_open = vfio_intr_open,
	.intr_raise = vfio_intr_raise,
	.release = vfio_release,
};
