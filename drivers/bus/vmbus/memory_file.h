/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What is behind memory that an application has mapped itself, so that it can be shared with a
 * host: its file, or its pages. Control side only; reads /proc/self.
 */
#ifndef HP_BUS_MEMORY_FILE_H
#define HP_BUS_MEMORY_FILE_H

#include <stddef.h>
#include <stdint.h>

/**
 * Find the file that is mapped, shared, at an address.
 * @param[out] len    bytes from @p addr to the end of the mapping
 * @param[out] offset of @p addr in the file
 * @return a descriptor, the caller's to close; -ENOTSUP: private or anonymous memory, or its file
 *         cannot be opened any more; -ENOENT: nothing is mapped there
 */
int hpbus_memory_file(uintptr_t addr, size_t *len, uint64_t *offset);

/**
 * Are the pages at an address ones that stay where they are: hugepages, mapped shared? Those of a
 * private mapping are exchanged by a write after a fork().
 * @param[out] len  bytes from @p addr to the end of the mapping
 * @param[out] page bytes of one of its pages
 * @return 0; -ENOTSUP: no; -ENOENT: nothing is mapped there
 */
int hpbus_memory_hugepages(uintptr_t addr, size_t *len, size_t *page);

#endif
