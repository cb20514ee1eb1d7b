/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which DPDK memory the host of a vfio-user device can read (spec/vmbus-over-vfio-user.md §11).
 * One mapping per memseg, because freed ranges need not repeat allocated ones; neighbours are
 * merged only where EAL never frees.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_errno.h>
#include <rte_memory.h>

#include "drivers/bus/vmbus/memory_file.h"
#include "drivers/bus/vmbus/mp.h"
#include "drivers/bus/vmbus/vfio.h"

#define MEM_EVENT_NAME "hyperpoll_vfio_user"
/*
 * How long a memory event may wait for the host, all its pages together; EAL's memory lock is held
 * meanwhile. Busy hosts took 15 s to answer (pitfall N2).
 */
#define EVENT_MS 20000
/*
 * An event during a control operation has what is left of that operation, but never less than this:
 * every device hears of it, and one that answers must not pay for the silence of another.
 */
#define EVENT_LEAST_MS 1000

/* Until when what is done under EAL's memory lock may wait for the host. */
static int64_t
locked_until(void)
{
	int64_t until = hpbus_now_ms() + EVENT_MS;

	return hpbus_op_current() != NULL ? RTE_MIN(until, hpbus_op_talk_until()) : until;
}

static int64_t
event_until(void)
{
	int64_t least = hpbus_now_ms() + EVENT_LEAST_MS, until = locked_until();

	return RTE_MAX(least, until);
}

/* Share one range of a file, unless it is shared: the event may come before the walk. */
static int
dma_map(struct vfio_device *v, int fd, uint64_t offset, const struct hpbus_dma_range *range,
	int64_t until)
{
	int ro, rc;

	/* A NIC host only reads guest memory: a bug in it must not be able to write. */
	ro = vfu_reopen_read_only(fd);
	if (ro < 0)
		return ro;
	rc = vfio_enter(v, until);
	if (rc != 0)
		goto out;
	if (!hpbus_dma_table_has(&v->dma, range->va)) {
		rc = vfu_client_dma_map(
			v->client, ro, VFIO_USER_DMA_READ_FLAG, offset, range->iova, range->len);
		if (rc == 0) {
			rc = hpbus_dma_table_add(&v->dma, range);
			if (rc != 0)
				vfu_client_dma_unmap(v->client, range->iova, range->len);
		}
	}
	vfio_leave(v);
out:
	close(ro);
	return rc;
}

/* Not all of EAL's memory is shared: other processes, which have no table of it, copy. */
static void
dma_partial(struct vfio_device *v)
{
	struct hpbus_shared *shared = v->dev->sharing.shared;

	atomic_store(&v->dev->dma_partial, true);
	if (shared != NULL)
		atomic_store(&shared->partial, true);
}

/* Share one memseg if it can be. EAL's memory lock is held by the caller. */
static int
dma_map_seg(struct vfio_device *v, const struct rte_memseg *ms, int64_t until)
{
	struct hpbus_dma_range range = {(uintptr_t)ms->addr, ms->iova, ms->len};
	size_t offset;
	int fd, rc;

	fd = rte_memseg_get_fd_thread_unsafe(ms);
	if (fd < 0 || ms->iova == RTE_BAD_IOVA ||
		rte_memseg_get_fd_offset_thread_unsafe(ms, &offset) != 0) {
		dma_partial(v);
		return 0; /* what is not in the table is copied */
	}
	rc = dma_map(v, fd, offset, &range, until);
	if (rc != 0) {
		dma_partial(v);
		HPBUS_LOG(WARNING,
			"%s: the host cannot map %zu bytes of memory at %p (%s): "
			"packets in it will be copied",
			v->dev->name, (size_t)ms->len, ms->addr, strerror(-rc));
	}
	return rc;
}

/* Take back what begins in [va, end) or spans va. */
static void
dma_unmap_range(struct vfio_device *v, uintptr_t va, uintptr_t end, int64_t until)
{
	struct hpbus_dma_range range;
	int rc = 0;

	while (hpbus_dma_table_take(&v->dma, va, end, &range)) {
		if (rc != 0)
			continue; /* the connection is over, and with it the host's mappings */
		rc = vfio_enter(v, until);
		if (rc == 0) {
			rc = vfu_client_dma_unmap(v->client, range.iova, range.len);
			vfio_leave(v);
		}
		/* Whatever kept the host from it: it must not have these pages any more. */
		if (rc != 0)
			vfio_cut_off(v);
	}
	hpbus_dma_changed();
}

static void
dma_event(enum rte_mem_event event, const void *addr, size_t len, void *arg)
{
	struct vfio_device *v = arg;
	uintptr_t va = (uintptr_t)addr, end = va + len;
	const struct rte_memseg_list *msl;
	int64_t until = event_until();
	int rc;

	if (event == RTE_MEM_EVENT_ALLOC) {
		msl = rte_mem_virt2memseg_list(addr);
		while (msl != NULL && !msl->external && va < end) {
			const struct rte_memseg *ms = rte_mem_virt2memseg((void *)va, msl);

			if (ms == NULL)
				break;
			/* Without a connection none of the others can be shared either. */
			rc = dma_map_seg(v, ms, until);
			if (rc == -ENOTCONN || rc == -ETIMEDOUT)
				break;
			va += msl->page_sz;
		}
		hpbus_dma_changed();
		return;
	}
	/* Waits for the replies: EAL gives the pages away when we return. */
	dma_unmap_range(v, va, end, until);
}

struct dma_walk {
	struct vfio_device *v;
	int64_t until;
};

static int
dma_walk_one(const struct rte_memseg_list *msl, const struct rte_memseg *ms, void *arg)
{
	struct dma_walk *walk = arg;
	int rc = msl->external ? 0 : dma_map_seg(walk->v, ms, walk->until);

	return rc == -ENOTCONN || rc == -ETIMEDOUT;
}

/* ---- memory that never changes: merge neighbours ---- */

struct dma_merge {
	struct vfio_device *v;
	int64_t until;
	struct hpbus_dma_range range;
	uint64_t offset;
	int fd;
};

static void
dma_merge_flush(struct dma_merge *m)
{
	int rc;

	if (m->range.len == 0)
		return;
	rc = dma_map(m->v, m->fd, m->offset, &m->range, m->until);
	if (rc != 0) {
		dma_partial(m->v);
		HPBUS_LOG(WARNING,
			"%s: the host cannot map %zu bytes of memory at %#zx (%s): "
			"packets in it will be copied",
			m->v->dev->name, (size_t)m->range.len, (size_t)m->range.va, strerror(-rc));
	}
	m->range.len = 0;
}

static int
dma_walk_merge(const struct rte_memseg_list *msl, const struct rte_memseg *ms, void *arg)
{
	struct dma_merge *m = arg;
	size_t offset;
	int fd;

	if (msl->external)
		return 0;
	fd = rte_memseg_get_fd_thread_unsafe(ms);
	if (fd < 0 || ms->iova == RTE_BAD_IOVA ||
		rte_memseg_get_fd_offset_thread_unsafe(ms, &offset) != 0) {
		dma_partial(m->v);
		return 0;
	}
	if (m->range.len != 0 && fd == m->fd && m->offset + m->range.len == offset &&
		m->range.va + m->range.len == (uintptr_t)ms->addr &&
		m->range.iova + m->range.len == ms->iova) {
		m->range.len += ms->len;
		return 0;
	}
	dma_merge_flush(m);
	m->fd = fd;
	m->offset = offset;
	m->range = (struct hpbus_dma_range){(uintptr_t)ms->addr, ms->iova, ms->len};
	return 0;
}

int
vfio_dma_start(struct vfio_device *v)
{
	struct hpbus_device *dev = v->dev;
	int rc;

	dev->copy_only = dev->want_copy_only;
	atomic_store(&dev->dma_partial, false);
	hpbus_dma_table_clear(&v->dma);
	if (dev->want_copy_only)
		return 0; /* nothing is shared */
	rc = hpbus_dma_follow();
	if (rc != 0) {
		HPBUS_LOG(ERR, "%s: cannot follow memory events: %s", dev->name, strerror(-rc));
		return rc;
	}
	/* Register first, then walk: what comes in between is seen twice, never missed. */
	if (rte_mem_event_callback_register(MEM_EVENT_NAME, dma_event, v) == 0) {
		struct dma_walk walk = {.v = v, .until = locked_until()};

		v->dma_active = true;
		rte_memseg_walk(dma_walk_one, &walk);
	} else if (rte_errno == ENOTSUP) {
		struct dma_merge merge = {.v = v, .until = locked_until()};

		rte_memseg_walk(dma_walk_merge, &merge);
		dma_merge_flush(&merge);
	} else {
		HPBUS_LOG(ERR, "%s: cannot follow memory events: %s", dev->name,
			rte_strerror(rte_errno));
		return -rte_errno;
	}
	dev->copy_only = v->dma.n == 0;
	hpbus_dma_changed();
	if (dev->copy_only)
		HPBUS_LOG(WARNING,
			"%s: none of DPDK's memory can be shared with the host, every packet is "
			"copied; without --legacy-mem --single-file-segments it could be",
			dev->name);
	return 0;
}

void
vfio_dma_stop(struct vfio_device *v)
{
	if (v->dma_active)
		rte_mem_event_callback_unregister(MEM_EVENT_NAME, v);
	v->dma_active = false;
	hpbus_dma_table_clear(&v->dma);
	hpbus_dma_changed();
}

bool
vfio_dma_usable(struct hpbus_device *dev, const void *addr, size_t len)
{
	struct vfio_device *v = dev->backend_data;

	return hpbus_dma_table_covers(&v->dma, addr, len);
}

/* ---- memory of the application's own ---- */

int
vfio_dma_map(struct hpbus_device *dev, uintptr_t addr, uint64_t iova, size_t len)
{
	struct vfio_device *v = dev->backend_data;
	int64_t until = locked_until();
	uint64_t offset;
	size_t at, part;
	int fd, rc = 0;

	if (len == 0 || ((addr | len) & (VMBUS_PAGE_SIZE - 1)) != 0)
		return -EINVAL;
	/* Applications that have no addresses of their own say 0: then these are as good. */
	if (iova == 0 || iova == RTE_BAD_IOVA)
		iova = addr;
	for (at = 0; rc == 0 && at < len; at += part) {
		fd = hpbus_memory_file(addr + at, &part, &offset);
		if (fd < 0) {
			rc = fd;
			break;
		}
		part = RTE_MIN(part, len - at);
		rc = dma_map(v, fd, offset, &(struct hpbus_dma_range){addr + at, iova + at, part},
			until);
		close(fd);
	}
	if (rc != 0 && at != 0)
		dma_unmap_range(v, addr, addr + at, until);
	if (rc != 0)
		HPBUS_LOG(NOTICE,
			"%s: %zu bytes of the application's memory at %#zx cannot be shared with "
			"the host (%s): packets in it are copied%s",
			dev->name, len, (size_t)addr, strerror(-rc),
			rc == -ENOTSUP ? "; memory of a file, mapped shared, can be" : "");
	hpbus_dma_changed();
	return rc;
}

void
vfio_dma_unmap(struct hpbus_device *dev, uintptr_t addr, size_t len)
{
	dma_unmap_range(dev->backend_data, addr, addr + len, event_until());
}

bool
vfio_dma_own(struct hpbus_device *dev, uintptr_t addr, struct hpbus_dma_run *run)
{
	struct vfio_device *v = dev->backend_data;

	return hpbus_dma_table_run(&v->dma, addr, run);
}
