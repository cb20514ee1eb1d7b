/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The bus lock: it covers synic, vbus and NICs. The bus thread holds it for one turn at a time, and
 * a turn is bounded; vCPU threads and the control socket take it for one message or command.
 */
#ifndef HVSIM_VM_BUS_LOCK_H
#define HVSIM_VM_BUS_LOCK_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

struct bus_lock {
	pthread_mutex_t mutex;
	atomic_uint waiters; /**< the bus thread lets them go first */
};

static inline void
bus_lock_init(struct bus_lock *lock)
{
	pthread_mutex_init(&lock->mutex, NULL);
	atomic_init(&lock->waiters, 0);
}

/** From a thread that is not the bus thread. */
static inline void
bus_lock_take(struct bus_lock *lock)
{
	atomic_fetch_add(&lock->waiters, 1);
	pthread_mutex_lock(&lock->mutex);
	atomic_fetch_sub(&lock->waiters, 1);
}

/** From the bus thread: a mutex is not fair, so waiting vCPUs go first, but not for ever. */
static inline void
bus_lock_take_turn(struct bus_lock *lock)
{
	for (unsigned int i = 0; i < 1000 && atomic_load(&lock->waiters) != 0; i++)
		sched_yield();
	pthread_mutex_lock(&lock->mutex);
}

static inline void
bus_lock_drop(struct bus_lock *lock)
{
	pthread_mutex_unlock(&lock->mutex);
}

#endif
