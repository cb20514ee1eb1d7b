/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Backend "uio": a NIC bound to uio_hv_generic in a Linux guest (spec/linux-uio-vmbus.md §5-§7).
 * Opening /dev/uioN opens the channel with the host; the last close, with all mappings gone, closes
 * it. What must not happen is that a mapping outlives its pages: subchannel rings are unmapped
 * before the descriptor is closed, and when the device vanishes all mappings are replaced.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_memory.h>

#include "drivers/bus/vmbus/mappings.h"
#include "drivers/bus/vmbus/uio.h"

static void
uio_log(void *opaque, enum vmbus_sysfs_level level, const char *device, const char *sentence)
{
	switch (level) {
	case VMBUS_SYSFS_ERROR:
		HPBUS_LOG(ERR, "%s: %s", device, sentence);
		break;
	case VMBUS_SYSFS_WARN:
		HPBUS_LOG(WARNING, "%s: %s", device, sentence);
		break;
	default:
		HPBUS_LOG(DEBUG, "%s: %s", device, sentence);
		break;
	}
}

/* ---- removal ---- */

/* The flag first: who sees zeroed rings must know why. */
void
uio_replace(struct uio_device *u)
{
	atomic_store(&u->dev->gone, true);
	hpbus_mappings_replace(u->dev);
}

/* Has the kernel the node that is open? A device that came back is not the one of a late event. */
static bool
uio_is_there(struct uio_device *u)
{
	struct vmbus_sysfs_uio now;

	return u->fd >= 0 &&
	       vmbus_sysfs_uio_read(&u->fs, u->name, (size_t)sysconf(_SC_PAGESIZE), &now) == 0 &&
	       now.number == u->uio.number;
}

bool
hpbus_uio_removed(struct hpbus_device *dev)
{
	struct uio_device *u = dev->backend_data;

	/* A port whose reset could not open the node again has it closed and must hear of this. */
	if (dev->backend != &hpbus_uio_backend || (u->fd < 0 && dev->driver_data == NULL))
		return false;
	/* If it is only not gone yet, its descriptor tells. */
	if (uio_is_there(u))
		return false;
	uio_replace(u);
	return hpbus_device_mark_gone(dev, "the kernel removed the device");
}

/* ---- mapping ---- */

static int
uio_map(struct uio_device *u, unsigned int map, void **base)
{
	size_t len = u->uio.maps[map].size;
	void *p = hpbus_place_reserve(len);

	if (p == NULL)
		return -errno;
	/* The offset selects the map, in system pages (§5). Touch it all now, not in the data path.
	 */
	if (mmap(p, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE | MAP_FIXED, u->fd,
		    (off_t)map * sysconf(_SC_PAGESIZE)) == MAP_FAILED) {
		int rc = -errno;

		munmap(p, len);
		return rc;
	}
	if (hpbus_mapping_add(u->dev, p, len) != 0) {
		munmap(p, len);
		return -ENOSPC;
	}
	*base = p;
	return 0;
}

/* One that other processes must have, too. */
static int
uio_map_shared(struct uio_device *u, unsigned int map, uint32_t role, void **base)
{
	struct hpbus_place place = {
		.span = u->uio.maps[map].size,
		.piece = {{0, u->uio.maps[map].size, map * (uint64_t)sysconf(_SC_PAGESIZE)}},
		.role = role,
		.source = HPBUS_PLACE_DEVICE_FILE,
	};
	int rc = uio_map(u, map, base);

	if (rc != 0)
		return rc;
	place.address = (uintptr_t)*base;
	return hpbus_place_add(u->dev, &place, -1);
}

static void
uio_unmap(void *base, size_t len)
{
	if (base == NULL)
		return;
	hpbus_mapping_remove(base);
	munmap(base, len);
}

/*
 * Rings of map 0: every mmap starts at its first page, so the second view of the data area is
 * what shows of a mapping laid one page earlier over the end of another (vmbus-ring.md §3).
 */
static int
uio_overlay(struct uio_device *u, uint32_t pages, uint32_t first, struct vmbus_ring *ring)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), ring_pages = pages - first;
	size_t len = pages * page, total = len + (ring_pages - 1) * page;
	struct hpbus_place place = {
		.span = total,
		.piece = {{total - len, len, 0}, {0, len, 0}},
		.role = HPBUS_PLACE_RING,
		.source = HPBUS_PLACE_DEVICE_FILE,
	};
	uint8_t *base = hpbus_place_reserve(total);
	int rc = 0;

	if (base == NULL)
		return -errno;
	place.address = (uintptr_t)base;
	if (mmap(base + total - len, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, u->fd,
		    0) == MAP_FAILED ||
		mmap(base, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, u->fd, 0) ==
			MAP_FAILED)
		rc = -errno;
	if (rc == 0)
		rc = hpbus_place_add(u->dev, &place, -1);
	if (rc != 0) {
		munmap(base, total);
		return rc;
	}
	/* The other ring's pages in front are of no use here; another process needs the room. If it
	 * fails that one has not the device. */
	if (first != 0)
		(void)mmap(base, first * page, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	ring->ctl = (struct vmbus_ring_control *)(base + first * page);
	ring->data = (uint8_t *)ring->ctl + page;
	ring->size = (uint32_t)((ring_pages - 1) * page);
	ring->mirrored = true;
	return 0;
}

static size_t
uio_ring_span(const struct vmbus_ring *ring)
{
	return (size_t)(ring->data - (uint8_t *)ring->ctl) + 2 * (size_t)ring->size;
}

static void
uio_unmap_ring(struct hpbus_device *dev, struct vmbus_ring *ring)
{
	if (ring->ctl != NULL)
		hpbus_mapping_remove(ring->ctl);
	hpbus_place_ring_end(dev, ring);
}

/* ---- open and close ---- */

/*
 * The kernel closes the channel when nobody has the file or any of it mapped, or when it takes the
 * device away.
 */
static bool
uio_let_go(struct hpbus_device *dev)
{
	dev->held = !hpbus_gather(dev, HPBUS_GATHER_MS) && !atomic_load(&dev->gone);
	if (dev->held)
		HPBUS_LOG(ERR,
			"%s: that secondary process has the device mapped, which keeps the channel "
			"open, and the host goes on with what it has: end the process",
			dev->name);
	return !dev->held;
}

/* @return whether the host has let go */
static bool
uio_end(struct hpbus_device *dev)
{
	struct uio_device *u = dev->backend_data;
	bool fenced;

	uio_unwatch(u);
	if (u->fd < 0)
		return !dev->held || uio_let_go(dev);
	hpbus_places_clear(dev);
	uio_unmap(u->int_page, u->uio.maps[VMBUS_MAP_INTERRUPT].size);
	uio_unmap(dev->monitor, u->uio.maps[VMBUS_MAP_MONITOR].size);
	uio_unmap(dev->recv.base, dev->recv.len);
	uio_unmap(dev->send.base, dev->send.len);
	u->int_page = NULL;
	dev->monitor = NULL;
	memset(&dev->recv, 0, sizeof(dev->recv));
	memset(&dev->send, 0, sizeof(dev->send));
	fenced = uio_let_go(dev);
	close(u->fd);
	u->fd = -1;
	hpbus_sigbus_restore();
	return fenced;
}

static void
uio_close(struct hpbus_device *dev)
{
	struct uio_device *u = dev->backend_data;

	uio_end(dev);
	/* A device that comes back is told of it again. */
	hpbus_dma_table_clear(&u->dma);
	hpbus_dma_changed();
}

static int
uio_take(struct uio_device *u)
{
	struct hpbus_device *dev = u->dev;
	int state = vmbus_sysfs_state(&u->fs, u->name);
	int rc;

	if (state == VMBUS_STATE_OPEN || state == VMBUS_STATE_OPENING) {
		HPBUS_LOG(ERR,
			"%s: the channel is open already: another process uses the device, or the "
			"kernel is older than 4.20; 'vmbusctl status' tells which process",
			dev->name);
		return -EBUSY;
	}
	if (state < 0)
		return state;
	rc = vmbus_sysfs_uio_read(&u->fs, u->name, (size_t)sysconf(_SC_PAGESIZE), &u->uio);
	if (rc != 0)
		return rc;
	u->fd = vmbus_sysfs_uio_open(&u->fs, u->name, &u->uio);
	if (u->fd < 0)
		return u->fd;
	dev->held = false;
	hpbus_sigbus_install();
	if (flock(u->fd, LOCK_EX | LOCK_NB) != 0) {
		HPBUS_LOG(ERR, "%s: %s is in use by another process", dev->name, u->uio.path);
		return -EBUSY;
	}
	return 0;
}

/*
 * Where a device that went away is by now: under the same GUID, with another number, and in another
 * folder if the kernel likes. @return 0, or -ENOENT: not there, or not bound to uio_hv_generic yet
 */
static int
uio_find_again(struct uio_device *u)
{
	struct hpbus_device *dev = u->dev;
	struct vmbus_sysfs_device *found;
	struct vmbus_sysfs quiet = u->fs;
	int rc = -ENOENT;
	size_t i, n;

	quiet.log = NULL;
	if (vmbus_sysfs_scan(&quiet, vmbus_nic_class, &found, &n) != 0)
		return -ENOENT;
	for (i = 0; i < n; i++)
		if (memcmp(found[i].instance, dev->instance, sizeof(dev->instance)) == 0 &&
			found[i].uio >= 0 && strcmp(found[i].driver, VMBUS_UIO_DRIVER) == 0) {
			snprintf(u->name, sizeof(u->name), "%s", found[i].name);
			snprintf(dev->where, sizeof(dev->where), "uio%d", found[i].uio);
			rc = 0;
		}
	vmbus_sysfs_free(found, n);
	return rc;
}

static int
uio_open(struct hpbus_device *dev)
{
	struct uio_device *u = dev->backend_data;
	struct vmbus_sysfs_device sysfs;
	void *monitor = NULL;
	int rc;

	if (dev->returning && uio_find_again(u) != 0)
		return -ENOENT;
	rc = vmbus_sysfs_device_read(&u->fs, u->name, vmbus_nic_class, &sysfs);
	if (rc != 0) {
		HPBUS_LOG(ERR, "%s: not in sysfs any more: %s", dev->name, strerror(-rc));
		return rc;
	}
	u->relid = sysfs.relid;
	u->monitor_id = sysfs.monitor_id;
	dev->device.numa_node = sysfs.numa_node < 0 ? SOCKET_ID_ANY : sysfs.numa_node;
	vmbus_sysfs_device_clear(&sysfs);

	atomic_store(&dev->gone, false);
	atomic_store(&dev->told, false);
	rc = uio_take(u);
	if (rc == 0)
		rc = uio_map(u, VMBUS_MAP_INTERRUPT, &u->int_page);
	if (rc == 0)
		rc = uio_map_shared(u, VMBUS_MAP_MONITOR, HPBUS_PLACE_MONITOR, &monitor);
	dev->monitor = monitor;
	if (rc == 0) {
		dev->recv.len = u->uio.maps[VMBUS_MAP_RECV].size;
		dev->recv.gpadl = u->uio.recv_gpadl;
		rc = uio_map_shared(u, VMBUS_MAP_RECV, HPBUS_PLACE_RECV, (void **)&dev->recv.base);
	}
	if (rc == 0) {
		dev->send.len = u->uio.maps[VMBUS_MAP_SEND].size;
		dev->send.gpadl = u->uio.send_gpadl;
		rc = uio_map_shared(u, VMBUS_MAP_SEND, HPBUS_PLACE_SEND, (void **)&dev->send.base);
	}
	if (rc == 0)
		rc = uio_watch(u);
	if (rc != 0) {
		HPBUS_LOG(ERR, "%s: cannot use %s: %s", dev->name, dev->where, strerror(-rc));
		uio_close(dev);
		return rc;
	}
	dev->max_channels = HPBUS_MAX_CHANNELS;
	uio_choose_mode(dev);
	return 0;
}

static unsigned int
uio_patience(int64_t until)
{
	int64_t left = until - hpbus_now_ms();

	if (left <= 0)
		return 0;
	return left < VMBUS_SYSFS_WAIT_MS ? (unsigned int)left : VMBUS_SYSFS_WAIT_MS;
}

/* Subchannels of the closed session vanish some time later; a new one must not meet them. */
static int
uio_reopen(struct hpbus_device *dev, int64_t until)
{
	struct uio_device *u = dev->backend_data;

	vmbus_sysfs_primary_wait(&u->fs, u->name, u->relid, uio_patience(until));
	if (hpbus_op_given_up())
		return -ECANCELED;
	return hpbus_now_ms() >= until ? -ETIMEDOUT : uio_open(dev);
}

static int
uio_reset(struct hpbus_device *dev)
{
	/*
	 * The fence: the kernel closes the channel and has the host's answer before it returns.
	 * That wait is the kernel's own; nobody can bound it (linux-uio-vmbus.md §7 "last close").
	 */
	if (!uio_end(dev))
		return -EBUSY;
	/* What does not come back in time is waited for when the channel is opened. */
	uio_reopen(dev, hpbus_op_until());
	return 0;
}

/* ---- channels ---- */

static bool uio_call_reaches(struct uio_device *u, struct hpbus_channel *ch);
static void uio_channel_close(struct hpbus_device *dev, struct hpbus_channel *ch);

static int
uio_map_ring_file(struct uio_device *u, const struct vmbus_sysfs_channel *sub, const char *path,
	struct hpbus_channel *ch)
{
	unsigned int patience = uio_patience(hpbus_op_talk_until());
	uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE);
	uint64_t bytes = sub->ring_size;
	int fd, rc;

	fd = vmbus_sysfs_ring_open(&u->fs, u->name, path,
		patience < VMBUS_SYSFS_GIVEN_MS ? patience : VMBUS_SYSFS_GIVEN_MS);
	if (fd < 0)
		return fd;
	rc = hpbus_place_ring(u->dev, fd, sub->relid, 0, bytes / 2, page, &ch->tx);
	if (rc == 0) {
		rc = hpbus_place_ring(u->dev, fd, sub->relid, bytes / 2, bytes / 2, page, &ch->rx);
		if (rc != 0)
			hpbus_place_ring_end(u->dev, &ch->tx);
	}
	close(fd);
	return rc;
}

static int
uio_map_primary(struct uio_device *u, struct vmbus_ring *tx, struct vmbus_ring *rx)
{
	uint32_t pages = u->uio.ring_bytes / (uint32_t)sysconf(_SC_PAGESIZE);
	int rc;

	rc = uio_overlay(u, pages, 0, tx);
	if (rc != 0)
		return rc;
	rc = uio_overlay(u, 2 * pages, pages, rx);
	if (rc != 0)
		hpbus_place_ring_end(u->dev, tx);
	return rc;
}

static void
uio_choose_signal(struct uio_device *u, struct hpbus_channel *ch, int monitor_id)
{
	ch->monitor_id = monitor_id < 0 ? VMBUS_MONITOR_NONE : (uint8_t)monitor_id;
	/* Without a monitor the kernel must make the call for us; 6.10 and later can (§7.1). */
	ch->signal = monitor_id < 0 ? HPBUS_SIGNAL_CALL : HPBUS_SIGNAL_MONITOR;
}

static void
uio_set_channel(struct uio_device *u, unsigned int index, struct hpbus_channel *ch)
{
	pthread_mutex_lock(&u->channels_lock);
	u->channels[index] = ch;
	pthread_mutex_unlock(&u->channels_lock);
}

static int
uio_channel_open(struct hpbus_device *dev, unsigned int index, struct hpbus_channel *ch)
{
	struct uio_device *u = dev->backend_data;
	struct vmbus_sysfs_channel sub = {.relid = u->relid, .monitor_id = u->monitor_id};
	char path[VMBUS_SYSFS_PATH_MAX];
	int rc;

	if (index >= HPBUS_MAX_CHANNELS || (index != 0 && u->fd < 0))
		return -EINVAL;
	/* A reset that could not open the device again is made good here. */
	rc = u->fd < 0 ? uio_reopen(dev, hpbus_op_talk_until()) : 0;
	if (rc != 0)
		return rc;
	memset(ch, 0, sizeof(*ch));
	if (index == 0) {
		rc = uio_map_primary(u, &ch->tx, &ch->rx);
	} else {
		rc = vmbus_sysfs_ring_wait(&u->fs, u->name, u->relid, HPBUS_MAX_CHANNELS,
			(uint16_t)index, uio_patience(hpbus_op_talk_until()), &sub, path);
		if (rc == 0)
			rc = uio_map_ring_file(u, &sub, path, ch);
	}
	if (rc != 0)
		return rc;
	/* At once: some kernels cannot take an interrupt of a subchannel (§8 "bad window"). */
	atomic_store(&ch->rx.ctl->interrupt_mask, 1);
	if (hpbus_mapping_add(dev, ch->tx.ctl, uio_ring_span(&ch->tx)) != 0 ||
		hpbus_mapping_add(dev, ch->rx.ctl, uio_ring_span(&ch->rx)) != 0) {
		uio_unmap_ring(dev, &ch->tx);
		uio_unmap_ring(dev, &ch->rx);
		return -ENOSPC;
	}
	ch->dev = dev;
	ch->index = (uint16_t)index;
	ch->relid = sub.relid;
	uio_choose_signal(u, ch, sub.monitor_id);
	uio_set_channel(u, index, ch);
	if (index != 0 && ch->signal == HPBUS_SIGNAL_CALL && !uio_call_reaches(u, ch)) {
		HPBUS_LOG(ERR,
			"%s: channel %u has no monitor and this kernel cannot signal it: use one "
			"queue, or kernel 6.17 and later",
			dev->name, index);
		uio_channel_close(dev, ch);
		return -ENOTSUP;
	}
	return 0;
}

static void
uio_channel_close(struct hpbus_device *dev, struct hpbus_channel *ch)
{
	struct uio_device *u = dev->backend_data;

	uio_set_channel(u, ch->index, NULL);
	uio_unmap_ring(dev, &ch->tx);
	uio_unmap_ring(dev, &ch->rx);
	memset(ch, 0, sizeof(*ch));
}

static void
uio_signal(struct hpbus_device *dev, struct hpbus_channel *ch)
{
	struct uio_device *u = dev->backend_data;
	int32_t one = 1;

	if (atomic_load(&dev->gone))
		return;
	vmbus_int_page_signal(u->int_page, ch->relid);
	/* To the kernel, which makes a hypercall of it and never waits (linux-uio-vmbus.md §7). */
	if (write(u->fd, &one, sizeof(one)) < 0 && errno == EIO)
		return; /* withdrawn: the event thread hears of it */
	/* That write also unmasked interrupts of those who poll (pitfall R9). */
	uio_mask_unarmed(u);
}

/*
 * Kernels 6.10 to 6.16 take a subchannel without a monitor but cannot signal it; only the counter
 * of the kernel's own signals tells (spec/vmbus-ring.md §9.1 (f)).
 */
static bool
uio_call_reaches(struct uio_device *u, struct hpbus_channel *ch)
{
	char path[VMBUS_SYSFS_PATH_MAX], before[32], after[32];

	snprintf(path, sizeof(path), "bus/vmbus/devices/%s/channels/%u/events", u->name, ch->relid);
	if (vmbus_sysfs_read(&u->fs, path, before, sizeof(before)) < 0)
		return false;
	uio_signal(u->dev, ch);
	return vmbus_sysfs_read(&u->fs, path, after, sizeof(after)) >= 0 &&
	       strcmp(before, after) != 0;
}

/* ---- discovery ---- */

static void
uio_release(struct hpbus_device *dev)
{
	struct uio_device *u = dev->backend_data;

	pthread_mutex_destroy(&u->channels_lock);
	hpbus_dma_table_clear(&u->dma);
	free(u);
	dev->backend_data = NULL;
	dev->backend = NULL;
}

static void
uio_found(const struct vmbus_sysfs *fs, const struct vmbus_sysfs_device *found)
{
	struct hpbus_device *dev = hpbus_device_get(found->instance);
	struct uio_device *u;

	if (dev == NULL || dev->backend != NULL)
		return;
	u = calloc(1, sizeof(*u));
	if (u == NULL)
		return;
	u->dev = dev;
	u->fs = *fs;
	u->fd = -1;
	pthread_mutex_init(&u->channels_lock, NULL);
	hpbus_dma_table_init(&u->dma);
	snprintf(u->name, sizeof(u->name), "%s", found->name);
	dev->backend_data = u;
	dev->backend = &hpbus_uio_backend;
	dev->device.numa_node = found->numa_node < 0 ? SOCKET_ID_ANY : found->numa_node;
	snprintf(dev->where, sizeof(dev->where), "uio%d", found->uio);
}

void
hpbus_uio_scan(void)
{
	struct vmbus_sysfs_device *found;
	struct vmbus_sysfs fs;
	size_t i, n;

	if (vmbus_sysfs_init(&fs, uio_log, NULL) != 0 ||
		vmbus_sysfs_scan(&fs, vmbus_nic_class, &found, &n) != 0)
		return; /* no VMBus here */
	fs.given_up = hpbus_op_given_up;
	hpbus_hotplug_start();
	for (i = 0; i < n; i++)
		if (found[i].uio >= 0 && strcmp(found[i].driver, VMBUS_UIO_DRIVER) == 0)
			uio_found(&fs, &found[i]);
	vmbus_sysfs_free(found, n);
}

const struct hpbus_backend hpbus_uio_backend = {
	.name = "uio",
	.open = uio_open,
	.close = uio_close,
	.reset = uio_reset,
	.reset_maps = true,
	.channel_open = uio_channel_open,
	.channel_close = uio_channel_close,
	.signal = uio_signal,
	.dma_usable = uio_dma_usable,
	.dma_map = uio_dma_map,
	.dma_unmap = uio_dma_unmap,
	.dma_own = uio_dma_own,
	.intr_open = uio_intr_open,
	.intr_raise = uio_intr_raise,
	.arm = uio_arm,
	.disarm = uio_disarm,
	.release = uio_release,
};
