/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A guest of hvsim as a raw vfio-user client: the rings of channel 0, mapped, and its doorbell.
 * What goes wrong ends the test. One thread each.
 */
#ifndef HP_TEST_HVSIM_GUEST_H
#define HP_TEST_HVSIM_GUEST_H

#include "lib/netvsp/nvsp.h"
#include "lib/vfio_user/client.h"
#include "lib/vfio_user/vmbus_device.h"
#include "lib/vmbus/ring.h"

struct guest {
	struct vfu_client *client;
	struct vmbus_device_info info; /**< for who reads the descriptor */
	struct vfu_io_fds io;
	int irq[5]; /**< for who asks for interrupts: four channels and the device event; or -1 */
	struct vmbus_ring tx, rx;
	struct vmbus_ring_writer out;
	struct vmbus_ring_reader in;
};

/** Connect to the socket at @p path, map the rings and begin to use them. */
void guest_connect(struct guest *g, const char *path);
/** Begin to use the rings, again. */
void guest_rings_open(struct guest *g);
/** The rings of the channel whose region has this number. @return 0 or a negative errno */
int guest_map_rings(struct guest *g, uint32_t index, struct vmbus_ring *tx, struct vmbus_ring *rx);
void guest_close(struct guest *g);
/** Send one message that asks for completion; the doorbell only if the host wants it. */
void guest_send(struct guest *g, const struct nvsp_message *msg, uint64_t tid);

#endif
