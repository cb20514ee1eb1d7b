/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/bus/vmbus/dma_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>
#include <rte_pause.h>

#include "drivers/bus/vmbus/bus_private.h"
#include "drivers/bus/vmbus/op.h"

/* Looks at the lock before the data path does without the table. */
#define LOCK_LOOKS 500u

void
hpbus_dma_table_init(struct hpbus_dma_table *table)
{
	memset(table, 0, sizeof(*table));
	rte_rwlock_init(&table->lock);
}

void
hpbus_dma_table_clear(struct hpbus_dma_table *table)
{
	rte_rwlock_write_lock(&table->lock);
	free(table->range);
	table->range = NULL;
	table->n = table->cap = 0;
	rte_rwlock_write_unlock(&table->lock);
}

/* First range whose end lies beyond va; the lock is held. */
static unsigned int
table_find(const struct hpbus_dma_table *table, uintptr_t va)
{
	unsigned int lo = 0, hi = table->n;

	while (lo < hi) {
		unsigned int mid = (lo + hi) / 2;

		if (table->range[mid].va + table->range[mid].len <= va)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int
hpbus_dma_table_add(struct hpbus_dma_table *table, const struct hpbus_dma_range *range)
{
	unsigned int at;
	int rc = 0;

	rte_rwlock_write_lock(&table->lock);
	if (table->n == table->cap) {
		unsigned int cap = table->cap == 0 ? 64 : 2 * table->cap;
		struct hpbus_dma_range *more = realloc(table->range, cap * sizeof(*more));

		if (more == NULL) {
			rc = -ENOMEM;
			goto out;
		}
		table->range = more;
		table->cap = cap;
	}
	at = table_find(table, range->va);
	memmove(&table->range[at + 1], &table->range[at], (table->n - at) * sizeof(*table->range));
	table->range[at] = *range;
	table->n++;
out:
	rte_rwlock_write_unlock(&table->lock);
	return rc;
}

bool
hpbus_dma_table_take(
	struct hpbus_dma_table *table, uintptr_t va, uintptr_t end, struct hpbus_dma_range *range)
{
	unsigned int at;
	bool found;

	rte_rwlock_write_lock(&table->lock);
	at = table_find(table, va);
	found = at < table->n && table->range[at].va < end;
	if (found) {
		*range = table->range[at];
		table->n--;
		memmove(&table->range[at], &table->range[at + 1],
			(table->n - at) * sizeof(*table->range));
	}
	rte_rwlock_write_unlock(&table->lock);
	return found;
}

bool
hpbus_dma_table_has(struct hpbus_dma_table *table, uintptr_t va)
{
	unsigned int at;
	bool has;

	rte_rwlock_read_lock(&table->lock);
	at = table_find(table, va);
	has = at < table->n && table->range[at].va <= va;
	rte_rwlock_read_unlock(&table->lock);
	return has;
}

/*
 * A control operation waits for the answer. The data path does not: whoever changes the table may
 * not be scheduled.
 */
static bool
table_read_lock(struct hpbus_dma_table *table)
{
	unsigned int looks;

	if (hpbus_op_current() != NULL) {
		rte_rwlock_read_lock(&table->lock);
		return true;
	}
	for (looks = 0; rte_rwlock_read_trylock(&table->lock) != 0; looks++) {
		if (looks == LOCK_LOOKS)
			return false;
		rte_pause();
	}
	return true;
}

bool
hpbus_dma_table_covers(struct hpbus_dma_table *table, const void *addr, size_t len)
{
	uintptr_t va = (uintptr_t)addr, end = va + len;
	unsigned int at;

	if (!table_read_lock(table))
		return false;
	for (at = table_find(table, va); va < end && at < table->n && table->range[at].va <= va;
		at++)
		va = table->range[at].va + table->range[at].len;
	rte_rwlock_read_unlock(&table->lock);
	return va >= end;
}

bool
hpbus_dma_table_run(struct hpbus_dma_table *table, uintptr_t addr, struct hpbus_dma_run *run)
{
	const struct hpbus_dma_range *range;
	uintptr_t start, end;
	unsigned int at;
	bool found;

	if (!table_read_lock(table))
		return false;
	at = table_find(table, addr);
	range = &table->range[at];
	found = at < table->n && range->va <= addr;
	if (found) {
		start = RTE_MAX(run->start, range->va);
		end = RTE_MIN(run->start + run->len, range->va + range->len);
		*run = (struct hpbus_dma_run){
			.start = start,
			.len = end - start,
			.usable = true,
			.offset = range->iova - range->va,
		};
	}
	rte_rwlock_read_unlock(&table->lock);
	return found;
}
