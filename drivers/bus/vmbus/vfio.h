/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Private to the vfio-user backend (vfio.c, vfio_dma.c): one served device.
 * @a lock serialises the connection and the table of shared memory. Nobody allocates DPDK memory
 * while holding it, because memory event callbacks take it with EAL's memory lock held.
 */
#ifndef HP_BUS_VMBUS_VFIO_H
#define HP_BUS_VMBUS_VFIO_H

#include <pthread.h>

#include <rte_interrupts.h>

#include "drivers/bus/vmbus/bus_private.h"
#include "lib/vfio_user/client.h"
#include "lib/vfio_user/sockets.h"
#include "lib/vfio_user/vmbus_device.h"

/** One range of guest memory that the host has mapped. */
struct vfio_dma_range {
	uintptr_t va;
	uint64_t iova;
	uint64_t len;
};

struct vfio_device {
	struct hpbus_device *dev;
	char path[VFU_PATH_MAX];

	/* Valid while connected, under lock. */
	pthread_mutex_t lock;
	struct vfu_client *client; /**< NULL when not connected */
	struct vmbus_device_info info;
	struct vmbus_device_expect expect;
	int rings_fd; /**< region 0 */
	uint64_t rings_offset;
	int event_fd; /**< irq 1: the descriptor changed */
	struct vfu_io_fds doorbells;
	struct rte_intr_handle *hup_intr, *event_intr;

	/* Shared memory, sorted by va; under lock. */
	struct vfio_dma_range *dma;
	unsigned int n_dma, cap_dma;
	bool dma_active; /**< memory event callback is registered */
};

/** Share all DPDK memory that has a file, now and as it comes and goes (spec §11). */
int vfio_dma_start(struct vfio_device *v);
/** Stop following memory events and forget the table; the host forgets with the connection. */
void vfio_dma_stop(struct vfio_device *v);
bool vfio_dma_usable(struct hpbus_device *dev, const void *addr, size_t len);

#endif
