/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Under AddressSanitizer the driver's memory comes from the C library's heap, which the sanitizer
 * watches, instead of DPDK's, which it does not know. What the host reads stays where it was.
 * With and without it, a test can have there be no memory (heap_fails).
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <rte_alarm.h>
#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_memzone.h>

#include "test/ethdev/ethdev.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WATCHED 1
#endif
#endif

const char *_Atomic heap_fails;

static void *
real(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

static bool
heap_is_empty(const char *type)
{
	const char *fails = heap_fails;

	return fails != NULL && type != NULL && strcmp(type, fails) == 0;
}

#ifdef WATCHED

#define MAX_BLOCKS 4096u

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *blocks[MAX_BLOCKS];
static unsigned int n_blocks;

static void *
heap_alloc(size_t size, unsigned int align)
{
	void *p = NULL;

	if (align < sizeof(void *))
		align = RTE_CACHE_LINE_SIZE;
	pthread_mutex_lock(&lock);
	if (n_blocks < MAX_BLOCKS && posix_memalign(&p, align, size) == 0) {
		memset(p, 0, size);
		blocks[n_blocks++] = p;
	}
	pthread_mutex_unlock(&lock);
	return p;
}

void
rte_free(void *p)
{
	static void (*next)(void *);
	unsigned int i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < n_blocks; i++)
		if (blocks[i] == p) {
			blocks[i] = blocks[--n_blocks];
			pthread_mutex_unlock(&lock);
			free(p);
			return;
		}
	pthread_mutex_unlock(&lock);
	if (next == NULL)
		next = real("rte_free");
	next(p);
}

#endif

void *
rte_zmalloc_socket(const char *type, size_t size, unsigned int align, int socket)
{
	static void *(*next)(const char *, size_t, unsigned int, int);

	if (heap_is_empty(type))
		return NULL;
#ifdef WATCHED
	if (type != NULL && strncmp(type, "netvsc_", 7) == 0 && strcmp(type, "netvsc_headers") != 0)
		return heap_alloc(size, align);
#endif
	if (next == NULL)
		next = real("rte_zmalloc_socket");
	return next(type, size, align, socket);
}

void *
rte_calloc(const char *type, size_t n, size_t size, unsigned int align)
{
	static void *(*next)(const char *, size_t, size_t, unsigned int);

	if (heap_is_empty(type))
		return NULL;
	if (next == NULL)
		next = real("rte_calloc");
	return next(type, n, size, align);
}

const struct rte_memzone *
rte_memzone_reserve_aligned(
	const char *name, size_t len, int socket, unsigned int flags, unsigned int align)
{
	static const struct rte_memzone *(*next)(
		const char *, size_t, int, unsigned int, unsigned int);
	const char *fails = heap_fails;

	if (fails != NULL && strncmp(name, fails, strlen(fails)) == 0) {
		rte_errno = ENOMEM;
		return NULL;
	}
	if (next == NULL)
		next = real("rte_memzone_reserve_aligned");
	return next(name, len, socket, flags, align);
}

/*
 * Who cancels an alarm waits for the callback that runs, under EAL's lock, which ThreadSanitizer
 * does not see: this word says to it what that lock does. A callback ends by setting the next
 * alarm.
 */
static atomic_uint alarms;

int
rte_eal_alarm_set(uint64_t us, rte_eal_alarm_callback cb, void *arg)
{
	static int (*_Atomic next)(uint64_t, rte_eal_alarm_callback, void *);

	/* Release: pairs with the acquire of who cancels. */
	atomic_fetch_add_explicit(&alarms, 1, memory_order_release);
	if (heap_is_empty("alarm"))
		return -ENOMEM;
	if (next == NULL)
		next = real("rte_eal_alarm_set");
	return next(us, cb, arg);
}

int
rte_eal_alarm_cancel(rte_eal_alarm_callback cb, void *arg)
{
	static int (*_Atomic next)(rte_eal_alarm_callback, void *);
	int n;

	if (next == NULL)
		next = real("rte_eal_alarm_cancel");
	n = next(cb, arg);
	atomic_load_explicit(&alarms, memory_order_acquire);
	return n;
}
