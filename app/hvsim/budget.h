/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What one client may use up of the process: mappings, bytes of memory, descriptors. Each NIC has
 * the same share, fixed at the start, so that clients at their limits take nothing from the next
 * one.
 *
 * Plain data; computed once by the control thread.
 */
#ifndef HVSIM_BUDGET_H
#define HVSIM_BUDGET_H

#include <stddef.h>
#include <stdint.h>

#include "lib/host/nic.h"

/** Shares of one client; 0 in the options means: what the process's limits allow. */
struct hvsim_budget {
	uint32_t maps;	/**< mappings of its memory (DMA_MAP) */
	uint64_t bytes; /**< of these mappings, in whole pages of their files */
	uint32_t fds;	/**< eventfds of its that are kept */
};

/** The limits that all NICs share. */
struct hvsim_limits {
	uint64_t max_maps;   /**< vm.max_map_count */
	uint64_t max_fds;    /**< RLIMIT_NOFILE */
	uint64_t phys_bytes; /**< memory of the machine */
};

/** Raise RLIMIT_NOFILE to its hard limit, and read all limits. */
void budget_limits(struct hvsim_limits *limits);

/**
 * Are there the descriptors without which so many NICs and polling threads cannot be? Before any
 * is opened.
 * @return 0, or -EMFILE with a sentence in @p errbuf
 */
int budget_check(unsigned int n_nics, unsigned int n_threads, char *errbuf, size_t errlen);

/**
 * Divide @p limits among the NICs.
 * @param asked   values given by the user, 0 where none was given
 * @param warning filled with a sentence when the descriptors might not do; else empty
 * @return 0 and *share; -EINVAL with a sentence in @p errbuf: more was asked than there is
 */
int budget_divide(const struct hvsim_limits *limits, const struct host_nic_config *nics,
	unsigned int n_nics, unsigned int n_threads, const struct hvsim_budget *asked,
	struct hvsim_budget *share, char *warning, size_t warnlen, char *errbuf, size_t errlen);

#endif
