/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Which of the processes that share a port this one is. A port, its channels and queues lie in
 * memory that the primary and its secondaries have at the same address; what is in them must mean
 * the same to all. What does not (descriptors, functions, the bus's device) hangs on ethdev's
 * process_private, or is the primary's alone.
 *
 * A process that ends inside of a burst leaves a lock behind. So a lock says whose it is, and who
 * hears that this process is dead takes it away (process.c). No DPDK here.
 */
#ifndef HP_NETVSC_PROCESS_H
#define HP_NETVSC_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

struct netvsc_process {
	uint64_t bit; /**< in masks of processes */
	int holder;   /**< what a lock says that it has: never 0; the primary's is 1 */
};

/** Constant once the process has a port. */
extern struct netvsc_process netvsc_process;
/** The primary's bit. */
#define NETVSC_PRIMARY UINT64_C(1)

static inline bool
netvsc_is_primary(void)
{
	return netvsc_process.bit == NETVSC_PRIMARY;
}

/**
 * Take the word of a spinlock in shared memory, if nobody has it. It must not be taken in another
 * way while processes share it: rte_spinlock_trylock() writes to the word when it fails, too.
 */
static inline bool
netvsc_lock_word_try(volatile int *word)
{
	int nobody = 0;

	return __atomic_compare_exchange_n(
		word, &nobody, netvsc_process.holder, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static inline void
netvsc_lock_word_release(volatile int *word)
{
	__atomic_store_n(word, 0, __ATOMIC_RELEASE);
}

#endif
