/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which memory GPA-direct packets may name, asked by address: EAL's own, and what an application
 * has mapped for the device (rte_dev_dma_map()) where a backend can share its file
 * (spec/vmbus-over-vfio-user.md §11) or find its pages (spec/linux-uio-vmbus.md §9). Of everything
 * else nobody knows the physical address: what stands in memory that was registered as external is
 * what the application says, and pages outside of hugepages move. It is copied.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <rte_cycles.h>
#include <rte_errno.h>

#include "drivers/bus/vmbus/bus_private.h"

_Atomic uint32_t hpbus_dma_generation_word = 1;

/* EAL never frees memory (--legacy-mem, --no-huge): neighbouring pages may be taken together. */
static atomic_bool memory_is_static;

void
hpbus_dma_changed(void)
{
	/* Release: pairs with the acquire in hpbus_dma_generation(). */
	atomic_fetch_add_explicit(&hpbus_dma_generation_word, 1, memory_order_release);
}

static void
dma_event(enum rte_mem_event event, const void *addr, size_t len, void *arg)
{
	hpbus_dma_changed();
}

int
hpbus_dma_follow(void)
{
	static const char name[] = "hyperpoll_dma";

	if (rte_mem_event_callback_register(name, dma_event, NULL) == 0 || rte_errno == EEXIST)
		return 0;
	if (rte_errno != ENOTSUP)
		return -rte_errno;
	atomic_store(&memory_is_static, true);
	return 0;
}

/* ---- runs ---- */

static bool
memseg_named(const struct rte_memseg *ms)
{
	/* An unreadable page frame number is read as 0 (pitfall A4). */
	return ms != NULL && ms->len != 0 && ms->iova != RTE_BAD_IOVA && ms->iova != 0;
}

/* Does @p next continue @p ms, for us and for the host? */
static bool
memseg_continues(const struct rte_memseg *ms, const struct rte_memseg *next)
{
	return memseg_named(next) && (uintptr_t)next->addr == (uintptr_t)ms->addr + ms->len &&
	       next->iova == ms->iova + ms->len;
}

/* Grow [start, end) over contiguous pages of memory that stays, within the window. */
static void
run_extend(const struct rte_memseg_list *msl, const struct rte_memseg *ms,
	const struct hpbus_dma_run *window, uintptr_t *start, uintptr_t *end)
{
	const struct rte_memseg *at = ms, *near;

	while ((uintptr_t)at->addr > window->start) {
		near = rte_mem_virt2memseg((const void *)((uintptr_t)at->addr - 1), msl);
		if (!memseg_named(near) || !memseg_continues(near, at))
			break;
		at = near;
	}
	*start = RTE_MAX(window->start, (uintptr_t)at->addr);
	for (at = ms; (uintptr_t)at->addr + at->len < window->start + window->len; at = near) {
		near = rte_mem_virt2memseg((const void *)((uintptr_t)at->addr + at->len), msl);
		if (near == NULL || !memseg_continues(at, near))
			break;
	}
	*end = RTE_MIN(window->start + window->len, (uintptr_t)at->addr + at->len);
}

/* The part of the window around an address in a memseg list of EAL. */
static struct hpbus_dma_run
run_of_memory(struct hpbus_device *dev, const struct rte_memseg_list *msl, uintptr_t addr,
	const struct hpbus_dma_run *window)
{
	const struct rte_memseg *ms = rte_mem_virt2memseg((const void *)addr, msl);
	uintptr_t base = addr - (addr - (uintptr_t)msl->base_va) % msl->page_sz;
	uintptr_t start = RTE_MAX(window->start, base);
	uintptr_t end = RTE_MIN(window->start + window->len, base + msl->page_sz);
	struct hpbus_dma_run run = {.start = start, .len = end - start};

	if (msl->external || !memseg_named(ms) ||
		!hpbus_dma_usable(dev, (const void *)start, end - start))
		return run;
	run.usable = true;
	run.offset = ms->iova - (uintptr_t)ms->addr;
	if (!atomic_load_explicit(&memory_is_static, memory_order_relaxed))
		return run;
	run_extend(msl, ms, window, &start, &end);
	if (hpbus_dma_usable(dev, (const void *)start, end - start)) {
		run.start = start;
		run.len = end - start;
	}
	return run;
}

struct run_clip {
	uintptr_t addr;
	struct hpbus_dma_run *run;
};

/* Memory that is not EAL's ends where EAL's begins. */
static int
run_clip(const struct rte_memseg_list *msl, void *arg)
{
	struct run_clip *clip = arg;
	uintptr_t start = (uintptr_t)msl->base_va, end = start + msl->len;
	uintptr_t run_end = clip->run->start + clip->run->len;

	if (end <= clip->addr && end > clip->run->start) {
		clip->run->start = end;
		clip->run->len = run_end - end;
	} else if (start > clip->addr && start < run_end) {
		clip->run->len = start - clip->run->start;
	}
	return 0;
}

struct hpbus_dma_run
hpbus_dma_lookup(struct hpbus_device *dev, uintptr_t addr)
{
	struct hpbus_dma_run run = {
		.start = addr & ~(uintptr_t)(HPBUS_DMA_WINDOW - 1),
		.len = HPBUS_DMA_WINDOW,
	};
	struct run_clip clip = {addr, &run};
	const struct rte_memseg_list *msl;

	if (dev->copy_only)
		return run;
	msl = rte_mem_virt2memseg_list((const void *)addr);
	if (msl != NULL && !msl->external)
		return run_of_memory(dev, msl, addr, &run);
	if (dev->backend->dma_own != NULL && dev->backend->dma_own(dev, addr, &run))
		return run;
	if (msl != NULL)
		return run_of_memory(dev, msl, addr, &run);
	/* Without EAL's memory lock: its holder may be waiting for a host. Lists never move. */
	rte_memseg_list_walk_thread_unsafe(run_clip, &clip);
	return run;
}

/* ---- memory of the application's own ---- */

struct hpbus_dma_own {
	uintptr_t addr;
	uint64_t iova;
	size_t len;
};

/*
 * The lists of all devices: never held while a host is asked, so that nobody waits for another
 * device's. What a device's host is asked to do with its list comes one at a time, by own_turn of
 * the device. Neither is taken on the data path.
 */
static pthread_mutex_t own_lock = PTHREAD_MUTEX_INITIALIZER;

static int
own_remember(struct hpbus_device *dev, const struct hpbus_dma_own *own)
{
	struct hpbus_dma_own *more;
	int rc = -ENOMEM;

	pthread_mutex_lock(&own_lock);
	more = realloc(dev->own, (dev->n_own + 1) * sizeof(*more));
	if (more != NULL) {
		more[dev->n_own] = *own;
		dev->own = more;
		dev->n_own++;
		rc = 0;
	}
	pthread_mutex_unlock(&own_lock);
	return rc;
}

/* What begins in [addr, addr + len). */
static void
own_drop(struct hpbus_device *dev, uintptr_t addr, size_t len)
{
	unsigned int i, left = 0;

	pthread_mutex_lock(&own_lock);
	for (i = 0; i < dev->n_own; i++)
		if (dev->own[i].addr < addr || dev->own[i].addr - addr >= len)
			dev->own[left++] = dev->own[i];
	dev->n_own = left;
	pthread_mutex_unlock(&own_lock);
}

/* The one that own_remember() added, if the port has not been closed since. */
static void
own_drop_last(struct hpbus_device *dev)
{
	pthread_mutex_lock(&own_lock);
	if (dev->n_own != 0)
		dev->n_own--;
	pthread_mutex_unlock(&own_lock);
}

/* @return whether there is an @p i-th: a port that is closed meanwhile has none any more */
static bool
own_at(struct hpbus_device *dev, unsigned int i, struct hpbus_dma_own *own)
{
	bool there;

	pthread_mutex_lock(&own_lock);
	there = i < dev->n_own;
	if (there)
		*own = dev->own[i];
	pthread_mutex_unlock(&own_lock);
	return there;
}

int
hpbus_dma_own_map(struct hpbus_device *dev, uintptr_t addr, uint64_t iova, size_t len)
{
	int rc;

	pthread_mutex_lock(&dev->own_turn);
	rc = own_remember(dev, &(struct hpbus_dma_own){addr, iova, len});
	if (rc == 0 && !dev->returning) {
		rc = dev->backend->dma_map(dev, addr, iova, len);
		if (rc != 0)
			own_drop_last(dev);
	}
	pthread_mutex_unlock(&dev->own_turn);
	return rc;
}

void
hpbus_dma_own_unmap(struct hpbus_device *dev, uintptr_t addr, size_t len)
{
	pthread_mutex_lock(&dev->own_turn);
	own_drop(dev, addr, len);
	dev->backend->dma_unmap(dev, addr, len);
	pthread_mutex_unlock(&dev->own_turn);
}

int
hpbus_dma_again(struct hpbus_device *dev)
{
	int64_t until = hpbus_op_talk_until();
	struct hpbus_dma_own own;
	unsigned int i;

	while (pthread_mutex_trylock(&dev->own_turn) != 0) {
		if (hpbus_op_given_up())
			return -ECANCELED;
		if (hpbus_now_ms() >= until)
			return -ETIMEDOUT;
		rte_delay_us_sleep(100);
	}
	/* What cannot be had any more is copied; the backend says so. */
	for (i = 0; !dev->copy_only && own_at(dev, i, &own); i++)
		dev->backend->dma_map(dev, own.addr, own.iova, own.len);
	pthread_mutex_unlock(&dev->own_turn);
	return 0;
}

void
hpbus_dma_forget(struct hpbus_device *dev)
{
	pthread_mutex_lock(&own_lock);
	free(dev->own);
	dev->own = NULL;
	dev->n_own = 0;
	pthread_mutex_unlock(&own_lock);
}
