/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Memory that the host of a device can read, as a table by our addresses: of vfio-user, what was
 * shared with it; of uio, what the application has mapped for the device. Written by memory events
 * and control operations. The data path reads it, and does without it while somebody changes it:
 * whoever does makes every answer void afterwards (hpbus_dma_changed()), a hasty no, too.
 */
#ifndef HP_BUS_VMBUS_DMA_TABLE_H
#define HP_BUS_VMBUS_DMA_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_rwlock.h>

struct hpbus_dma_run;

struct hpbus_dma_range {
	uintptr_t va;
	uint64_t iova; /**< that packets name */
	uint64_t len;
};

struct hpbus_dma_table {
	rte_rwlock_t lock;	       /**< never held while waiting for anything */
	struct hpbus_dma_range *range; /**< sorted by va, without overlaps */
	unsigned int n, cap;
};

void hpbus_dma_table_init(struct hpbus_dma_table *table);
/** Forget all of it. */
void hpbus_dma_table_clear(struct hpbus_dma_table *table);
/** @return 0 or -ENOMEM */
int hpbus_dma_table_add(struct hpbus_dma_table *table, const struct hpbus_dma_range *range);
/** Take the first range that begins in [va, end) or spans va out of the table. @return whether */
bool hpbus_dma_table_take(
	struct hpbus_dma_table *table, uintptr_t va, uintptr_t end, struct hpbus_dma_range *range);
bool hpbus_dma_table_has(struct hpbus_dma_table *table, uintptr_t va);
/** Any thread, the data path's too. @return whether all of [addr, addr + len) is in the table */
bool hpbus_dma_table_covers(struct hpbus_dma_table *table, const void *addr, size_t len);
/** Any thread. @param run narrowed to the range around @p addr, and usable, if there is one */
bool hpbus_dma_table_run(struct hpbus_dma_table *table, uintptr_t addr, struct hpbus_dma_run *run);

#endif
