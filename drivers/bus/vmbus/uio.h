/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Private to the uio backend: one device bound to uio_hv_generic. uio.c opens, maps and closes;
 * uio_dma.c says which memory packets name; uio_intr.c has what comes through the descriptor:
 * interrupts, and the news that the device went.
 */
#ifndef HP_BUS_VMBUS_UIO_H
#define HP_BUS_VMBUS_UIO_H

#include <pthread.h>

#include <rte_interrupts.h>

#include "drivers/bus/vmbus/bus_private.h"
#include "drivers/bus/vmbus/dma_table.h"
#include "drivers/bus/vmbus/place.h"
#include "drivers/bus/vmbus/sysfs.h"

struct uio_device {
	struct hpbus_device *dev;
	struct vmbus_sysfs fs;
	char name[VMBUS_SYSFS_NAME_MAX]; /* folder in sysfs */
	struct vmbus_sysfs_uio uio;
	uint16_t relid;
	int monitor_id;
	int fd;
	void *int_page;
	struct rte_intr_handle *intr;
	/** Nobody unmaps a ring whose mask is written, and nobody masks one that is being armed. */
	pthread_mutex_t channels_lock;
	struct hpbus_channel *channels[HPBUS_MAX_CHANNELS]; /* open ones, for masks */
	struct hpbus_dma_table dma; /**< memory of the application's own that packets may name */
};

/** The device is gone: put zeroed memory in the place of everything mapped. Any thread, once. */
void uio_replace(struct uio_device *u);

/* ---- uio_dma.c ---- */

/** At each opening: may packets name memory at all? If not it says why, and dev->copy_only. */
void uio_choose_mode(struct hpbus_device *dev);

/* Of struct hpbus_backend. */
bool uio_dma_usable(struct hpbus_device *dev, const void *addr, size_t len);
int uio_dma_map(struct hpbus_device *dev, uintptr_t addr, uint64_t iova, size_t len);
void uio_dma_unmap(struct hpbus_device *dev, uintptr_t addr, size_t len);
bool uio_dma_own(struct hpbus_device *dev, uintptr_t addr, struct hpbus_dma_run *run);

/* ---- uio_intr.c ---- */

/** Listen to the device on EAL's interrupt thread. @return 0 or a negative errno */
int uio_watch(struct uio_device *u);
/** Harmless when nobody listens. */
void uio_unwatch(struct uio_device *u);
/** Interrupts of channels that nobody armed are on: switch them off. Any thread. */
void uio_mask_unarmed(struct uio_device *u);

/* Of struct hpbus_backend. */
int uio_intr_open(struct hpbus_device *dev, unsigned int n);
int uio_intr_raise(struct hpbus_device *dev, int fd);
bool uio_arm(struct hpbus_channel *ch, struct vmbus_ring_reader *in);
void uio_disarm(struct hpbus_channel *ch);

#endif
