/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Private to the vfio-user backend (vfio.c, vfio_channel.c, vfio_dma.c): one served device.
 *
 * @a lock serialises requests and is held until their replies are there, so only those who may wait
 * take it, with a deadline: control operations and memory events. Nobody allocates DPDK memory
 * while holding it, because memory event callbacks take it with EAL's memory lock held. The data
 * path and the interrupt thread never wait for it: signals need no lock, and the table of shared
 * memory has a lock of its own (dma_table.h).
 */
#ifndef HP_BUS_VMBUS_VFIO_H
#define HP_BUS_VMBUS_VFIO_H

#include <pthread.h>

#include <rte_interrupts.h>

#include "drivers/bus/vmbus/bus_private.h"
#include "drivers/bus/vmbus/dma_table.h"
#include "drivers/bus/vmbus/place.h"
#include "lib/vfio_user/client.h"
#include "lib/vfio_user/signal.h"
#include "lib/vfio_user/sockets.h"
#include "lib/vfio_user/vmbus_device.h"

struct vfio_device {
	struct hpbus_device *dev;
	char path[VFU_PATH_MAX];

	/* Valid while connected, under lock; client is changed by open and close only. */
	pthread_mutex_t lock;
	struct vfu_client *client; /**< NULL when not connected */
	struct vmbus_device_info info;
	struct vmbus_device_expect expect;
	int rings_fd; /**< region 0 */
	uint64_t rings_offset;
	int event_fd; /**< irq 1: the descriptor changed */
	struct vfu_io_fds doorbells;
	const void *descriptor; /**< mapped, or NULL: only to be had by a request */
	struct vfu_signaller signaller;
	struct rte_intr_handle *hup_intr, *event_intr;

	struct hpbus_dma_table dma; /**< shared memory */
	bool dma_active;	    /**< memory event callback is registered */
};

/**
 * Take @a lock for requests that end by @p until (CLOCK_MONOTONIC, milliseconds).
 * @return 0; -ETIMEDOUT: it is later, or somebody else still waits for the host; -ENOTCONN;
 *         -ECANCELED: the operation has been given up; not locked then
 */
int vfio_enter(struct vfio_device *v, int64_t until);
void vfio_leave(struct vfio_device *v);
/** The host is not to be reckoned with any more: every request ends now. Any thread, no lock. */
void vfio_cut_off(struct vfio_device *v);
/** Why there is no connection any more, for a message. */
const char *vfio_why_gone(const struct vfio_device *v);

/** Read and check what the host says of its device, into @a info; between enter and leave. */
int vfio_read_descriptor(struct vfio_device *v, char *err, size_t errlen);
/** May all of a region be mapped? @return 0, -ENXIO, -EPERM */
int vfio_check_region(const struct vfu_region *region);

/* ---- vfio_channel.c: of struct hpbus_backend ---- */

int vfio_channel_open(struct hpbus_device *dev, unsigned int index, struct hpbus_channel *ch);
void vfio_channel_close(struct hpbus_device *dev, struct hpbus_channel *ch);
void vfio_signal(struct hpbus_device *dev, struct hpbus_channel *ch);
void vfio_signal_again(struct hpbus_device *dev);
int vfio_intr_open(struct hpbus_device *dev, unsigned int n);
int vfio_intr_raise(struct hpbus_device *dev, int fd);

/* ---- vfio_dma.c ---- */

/** Share all DPDK memory that has a file, now and as it comes and goes (spec §11). */
int vfio_dma_start(struct vfio_device *v);
/** Stop following memory events and forget the table; the host forgets with the connection. */
void vfio_dma_stop(struct vfio_device *v);
bool vfio_dma_usable(struct hpbus_device *dev, const void *addr, size_t len);
int vfio_dma_map(struct hpbus_device *dev, uintptr_t addr, uint64_t iova, size_t len);
void vfio_dma_unmap(struct hpbus_device *dev, uintptr_t addr, size_t len);
bool vfio_dma_own(struct hpbus_device *dev, uintptr_t addr, struct hpbus_dma_run *run);

#endif
