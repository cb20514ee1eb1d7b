/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Who uses which section of the send buffer (spec/nvsp.md §7). The buffer is one per device and
 * shared by all queues: half of it is divided into shares that only their queue can use, so that
 * no queue can starve another (pitfall T4); the other half is a pool to borrow from.
 *
 * A cache belongs to one queue and its lcore; the pool takes a spinlock, once per batch. No DPDK
 * here, so that it is tested on its own: whoever links it says where its memory comes from.
 */
#ifndef HP_NETVSC_SECTIONS_H
#define HP_NETVSC_SECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NETVSC_SECTION_NONE UINT32_MAX
/** Most sections that change hands between a cache and the pool at a time. */
#define NETVSC_SECTION_BATCH 16u

struct netvsc_section_pool {
	volatile int lock; /**< process.h */
	uint32_t count;	   /**< sections in the send buffer */
	uint32_t size;	   /**< bytes of one */
	uint32_t share;	   /**< sections that each queue owns */
	uint32_t batch;	   /**< sections that change hands at a time; 0: one, and none is kept */
	uint32_t n_free;
	uint32_t *free; /**< stack of common sections */
};

/** One queue's sections. */
struct netvsc_section_cache {
	struct netvsc_section_pool *pool;
	uint32_t own_first, own_end; /**< share of this queue */
	uint32_t n_own, n_borrowed;
	uint32_t taken; /**< from the pool and not given back: free here, or in use */
	uint32_t *own;	/**< stack of free own sections */
	/** Behind @a own: sections that the pool's lock could not be had for. */
	uint32_t *due;
	uint32_t n_due;
	uint32_t borrowed[2 * NETVSC_SECTION_BATCH + 1];
};

/** Zeroed memory that all processes with the port have, or NULL; and its end, also of NULL. */
void *netvsc_section_memory(size_t bytes);
void netvsc_section_memory_free(void *memory);

/**
 * @param count  sections, 0 = the host gave no send buffer
 * @param queues caches that will be made
 * @return 0 or -ENOMEM
 */
int netvsc_section_pool_init(
	struct netvsc_section_pool *pool, uint32_t count, uint32_t size, uint32_t queues);
void netvsc_section_pool_free(struct netvsc_section_pool *pool);

/** @param queue number of the cache, < queues. @return 0 or -ENOMEM */
int netvsc_section_cache_init(
	struct netvsc_section_cache *cache, struct netvsc_section_pool *pool, uint32_t queue);
/** Give everything back; sections still in flight must have been released. */
void netvsc_section_cache_free(struct netvsc_section_cache *cache);

/** Neither waits for a lock whose holder is not scheduled, or is stopped for good. */
uint32_t netvsc_section_borrow(struct netvsc_section_cache *cache);
void netvsc_section_give_back(struct netvsc_section_cache *cache, uint32_t keep);

/** Sections that hold something, as far as completions have been reaped; about, of any thread. */
static inline uint32_t
netvsc_section_used(const struct netvsc_section_cache *cache)
{
	return cache->own_end - cache->own_first - cache->n_own + cache->taken - cache->n_borrowed;
}

/** How many can be had without the pool? */
static inline uint32_t
netvsc_section_at_hand(const struct netvsc_section_cache *cache)
{
	return cache->n_own + cache->n_borrowed;
}

/** Take a free section. @return its index, or NETVSC_SECTION_NONE */
static inline uint32_t
netvsc_section_alloc(struct netvsc_section_cache *cache)
{
	if (cache->n_own != 0)
		return cache->own[--cache->n_own];
	if (cache->n_borrowed != 0)
		return cache->borrowed[--cache->n_borrowed];
	return netvsc_section_borrow(cache);
}

/** Return a section that the host has completed. */
static inline void
netvsc_section_release(struct netvsc_section_cache *cache, uint32_t section)
{
	if (section - cache->own_first < cache->own_end - cache->own_first) {
		cache->own[cache->n_own++] = section;
		return;
	}
	cache->borrowed[cache->n_borrowed++] = section;
	if (cache->n_borrowed > 2 * cache->pool->batch)
		netvsc_section_give_back(cache, cache->pool->batch);
}

#endif
