/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/net/netvsc/sections.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "drivers/net/netvsc/process.h"

/* Looks at the lock; its holder has a copy of some sections to make. */
#define LOOKS 500u
/* Who takes a queue down comes back so often for it. */
#define LAST_LOOKS 20u
#define LAST_NS	   1000000

static bool
pool_lock(struct netvsc_section_pool *pool)
{
	unsigned int looks;

	for (looks = 0; !netvsc_lock_word_try(&pool->lock); looks++)
		if (looks == LOOKS)
			return false;
	return true;
}

static void
pool_unlock(struct netvsc_section_pool *pool)
{
	netvsc_lock_word_release(&pool->lock);
}

int
netvsc_section_pool_init(
	struct netvsc_section_pool *pool, uint32_t count, uint32_t size, uint32_t queues)
{
	uint32_t i;

	memset(pool, 0, sizeof(*pool));
	pool->count = count;
	pool->size = size;
	pool->share = queues == 0 ? 0 : count / (2 * queues);
	/* Scarce: a section each, so that no queue can wait for one that another only keeps (T4).
	 */
	if (pool->share == 0 && queues != 0 && count >= queues)
		pool->share = 1;
	if (pool->share != 0)
		pool->batch = NETVSC_SECTION_BATCH;
	pool->free = netvsc_section_memory((count + 1) * sizeof(*pool->free));
	if (pool->free == NULL)
		return -ENOMEM;
	for (i = count; i > pool->share * queues; i--)
		pool->free[pool->n_free++] = i - 1;
	return 0;
}

void
netvsc_section_pool_free(struct netvsc_section_pool *pool)
{
	netvsc_section_memory_free(pool->free);
	memset(pool, 0, sizeof(*pool));
}

int
netvsc_section_cache_init(
	struct netvsc_section_cache *cache, struct netvsc_section_pool *pool, uint32_t queue)
{
	uint32_t i;

	memset(cache, 0, sizeof(*cache));
	cache->own = netvsc_section_memory((pool->share + 1 + pool->count) * sizeof(*cache->own));
	if (cache->own == NULL)
		return -ENOMEM;
	cache->pool = pool;
	cache->due = cache->own + pool->share + 1;
	cache->own_first = queue * pool->share;
	cache->own_end = cache->own_first + pool->share;
	for (i = cache->own_end; i > cache->own_first; i--)
		cache->own[cache->n_own++] = i - 1;
	return 0;
}

/* Lock held. */
static void
pool_put(struct netvsc_section_pool *pool, const uint32_t *sections, uint32_t n)
{
	/* Not more than there are, whatever a process that was killed has left behind. */
	if (n > pool->count - pool->n_free)
		n = pool->count - pool->n_free;
	memcpy(pool->free + pool->n_free, sections, n * sizeof(*pool->free));
	pool->n_free += n;
}

void
netvsc_section_cache_free(struct netvsc_section_cache *cache)
{
	const struct timespec pause = {.tv_nsec = LAST_NS};
	unsigned int i;

	if (cache->pool != NULL)
		netvsc_section_give_back(cache, 0);
	/* What cannot be given back is lost until the sections are divided anew. */
	for (i = 0; cache->pool != NULL && cache->n_due != 0 && i < LAST_LOOKS; i++) {
		nanosleep(&pause, NULL);
		if (pool_lock(cache->pool)) {
			pool_put(cache->pool, cache->due, cache->n_due);
			cache->n_due = 0;
			pool_unlock(cache->pool);
		}
	}
	netvsc_section_memory_free(cache->own);
	memset(cache, 0, sizeof(*cache));
}

/* @return sections for @p cache->borrowed, from those that are due or from the pool */
static uint32_t
borrow_some(struct netvsc_section_cache *cache)
{
	struct netvsc_section_pool *pool = cache->pool;
	uint32_t n = pool->batch == 0 ? 1 : pool->batch;

	if (cache->n_due != 0) {
		n = cache->n_due < n ? cache->n_due : n;
		cache->n_due -= n;
		memcpy(cache->borrowed, cache->due + cache->n_due, n * sizeof(*cache->due));
		return n;
	}
	if (!pool_lock(pool))
		return 0;
	n = pool->n_free < n ? pool->n_free : n;
	pool->n_free -= n;
	memcpy(cache->borrowed, pool->free + pool->n_free, n * sizeof(*pool->free));
	pool_unlock(pool);
	return n;
}

uint32_t
netvsc_section_borrow(struct netvsc_section_cache *cache)
{
	uint32_t n = cache->pool == NULL ? 0 : borrow_some(cache);

	if (n == 0)
		return NETVSC_SECTION_NONE;
	cache->taken += n;
	cache->n_borrowed = n - 1;
	return cache->borrowed[n - 1];
}

/* Return borrowed sections to the pool until @keep are left. */
void
netvsc_section_give_back(struct netvsc_section_cache *cache, uint32_t keep)
{
	struct netvsc_section_pool *pool = cache->pool;
	uint32_t n;

	if (cache->n_borrowed <= keep)
		return;
	n = cache->n_borrowed - keep;
	cache->taken -= n;
	cache->n_borrowed = keep;
	if (!pool_lock(pool)) {
		if (n > pool->count - cache->n_due)
			n = pool->count - cache->n_due;
		memcpy(cache->due + cache->n_due, cache->borrowed + keep, n * sizeof(*cache->due));
		cache->n_due += n;
		return;
	}
	pool_put(pool, cache->borrowed + keep, n);
	if (cache->n_due != 0)
		pool_put(pool, cache->due, cache->n_due);
	cache->n_due = 0;
	pool_unlock(pool);
}
