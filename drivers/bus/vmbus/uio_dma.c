/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which memory packets name by its physical address (spec/linux-uio-vmbus.md §9): EAL's hugepages,
 * and of the application's own what it has mapped for the device and surely stays where it is.
 */
#include <errno.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_memory.h>

#include "drivers/bus/vmbus/memory_file.h"
#include "drivers/bus/vmbus/uio.h"

/* GPA-direct packets carry physical addresses here; never a virtual one (pitfall A3). */
void
uio_choose_mode(struct hpbus_device *dev)
{
	const char *why = NULL;

	if (dev->want_copy_only)
		why = "copy_only=1";
	else if (rte_eal_iova_mode() != RTE_IOVA_PA)
		why = "EAL uses virtual addresses";
	else if (!rte_eal_has_hugepages())
		why = "without hugepages memory may move";
	else if (hpbus_dma_follow() != 0)
		why = "EAL does not tell when memory goes";
	dev->copy_only = why != NULL;
	if (why != NULL)
		HPBUS_LOG(NOTICE, "%s: copy-only mode (%s)", dev->name, why);
}

bool
uio_dma_usable(struct hpbus_device *dev, const void *addr, size_t len)
{
	uintptr_t va = (uintptr_t)addr, end = va + len;
	const struct rte_memseg_list *msl = rte_mem_virt2memseg_list(addr);
	struct uio_device *u = dev->backend_data;

	if (msl == NULL || msl->external)
		return hpbus_dma_table_covers(&u->dma, addr, len);
	while (va < end) {
		const struct rte_memseg *ms = rte_mem_virt2memseg((void *)va, msl);

		if (ms == NULL || ms->iova == RTE_BAD_IOVA || ms->iova == 0)
			return false;
		va = (uintptr_t)ms->addr + ms->len;
	}
	return true;
}

/* ---- memory of the application's own ---- */

/* Add a piece of a page to the range before it if it goes on there, or let that be and begin anew.
 */
static int
own_add(struct uio_device *u, struct hpbus_dma_range *range, const struct hpbus_dma_range *piece)
{
	int rc = 0;

	if (range->len != 0 && range->iova + range->len == piece->iova) {
		range->len += piece->len;
		return 0;
	}
	if (range->len != 0)
		rc = hpbus_dma_table_add(&u->dma, range);
	*range = *piece;
	return rc;
}

static void
own_take(struct uio_device *u, uintptr_t addr, size_t len)
{
	struct hpbus_dma_range range;

	while (hpbus_dma_table_take(&u->dma, addr, addr + len, &range))
		;
	hpbus_dma_changed();
}

/*
 * By what the kernel says of each page, whatever address the application gives: that is one of an
 * IOMMU, or none, or one that it has looked up likewise.
 */
static int
own_map(struct uio_device *u, uintptr_t addr, size_t len)
{
	struct hpbus_dma_range range = {0}, piece;
	size_t left = 0, page = 0;
	uintptr_t at = addr;
	int rc = 0;

	while (rc == 0 && at < addr + len) {
		if (left == 0)
			rc = hpbus_memory_hugepages(at, &left, &page);
		if (rc != 0)
			break;
		piece.va = at;
		piece.len = RTE_MIN(page - at % page, addr + len - at);
		piece.iova = rte_mem_virt2phy((const void *)at);
		rc = piece.iova == RTE_BAD_IOVA ? -EFAULT : own_add(u, &range, &piece);
		at += piece.len;
		left -= RTE_MIN(left, piece.len);
	}
	return rc != 0 ? rc : hpbus_dma_table_add(&u->dma, &range);
}

int
uio_dma_map(struct hpbus_device *dev, uintptr_t addr, uint64_t iova, size_t len)
{
	struct uio_device *u = dev->backend_data;
	int rc;

	if (len == 0 || ((addr | len) & (VMBUS_PAGE_SIZE - 1)) != 0)
		return -EINVAL;
	/* Another mapping of the same pages would be another range. */
	own_take(u, addr, len);
	rc = own_map(u, addr, len);
	if (rc != 0) {
		own_take(u, addr, len);
		HPBUS_LOG(NOTICE,
			"%s: the host cannot be told of %zu bytes of the application's memory at "
			"%#zx (%s): packets in it are copied%s",
			dev->name, len, (size_t)addr, strerror(-rc),
			rc == -ENOTSUP	? "; hugepages that are mapped shared can be"
			: rc == -EFAULT ? "; each page must have been touched before"
					: "");
	}
	hpbus_dma_changed();
	return rc;
}

void
uio_dma_unmap(struct hpbus_device *dev, uintptr_t addr, size_t len)
{
	own_take(dev->backend_data, addr, len);
}

bool
uio_dma_own(struct hpbus_device *dev, uintptr_t addr, struct hpbus_dma_run *run)
{
	struct uio_device *u = dev->backend_data;

	return hpbus_dma_table_run(&u->dma, addr, run);
}
