/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Control threads of the driver, in whichever way the DPDK release makes them: on the CPUs that no
 * lcore has (spec/dpdk-driver-api.md §13).
 */
#ifndef HP_NETVSC_THREAD_H
#define HP_NETVSC_THREAD_H

#include <pthread.h>
#include <stdint.h>

#include <rte_lcore.h>
#include <rte_thread.h>
#include <rte_version.h>

#if RTE_VERSION >= RTE_VERSION_NUM(23, 11, 0, 0)

typedef rte_thread_t netvsc_thread;
typedef uint32_t netvsc_thread_result;

/** @return 0 or a negative errno */
static inline int
netvsc_thread_begin(
	netvsc_thread *thread, const char *name, netvsc_thread_result (*run)(void *arg), void *arg)
{
	return rte_thread_create_control(thread, name, run, arg);
}

static inline void
netvsc_thread_join(netvsc_thread thread)
{
	rte_thread_join(thread, NULL);
}

static inline void
netvsc_thread_detach(netvsc_thread thread)
{
	rte_thread_detach(thread);
}

#else

typedef pthread_t netvsc_thread;
typedef void *netvsc_thread_result;

static inline int
netvsc_thread_begin(
	netvsc_thread *thread, const char *name, netvsc_thread_result (*run)(void *arg), void *arg)
{
	return rte_ctrl_thread_create(thread, name, NULL, run, arg);
}

static inline void
netvsc_thread_join(netvsc_thread thread)
{
	pthread_join(thread, NULL);
}

static inline void
netvsc_thread_detach(netvsc_thread thread)
{
	pthread_detach(thread);
}

#endif

#endif
