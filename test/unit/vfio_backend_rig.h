/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The bus's vfio-user backend with what is above it in the test's hands; its host is the other end
 * of a socket pair, which says what the test writes there. One thread owns all of it.
 */
#ifndef HP_TEST_VFIO_BACKEND_RIG_H
#define HP_TEST_VFIO_BACKEND_RIG_H

#include <stdbool.h>

#include <rte_memory.h>

#include "drivers/bus/vmbus/vfio.h"

/** A call that waits for the host for ever ends the program. */
#define HANGS_S	 60
#define SLACK_MS 5000

/** The device of backend_begin(), its backend, and the host's end of its connection. */
extern struct hpbus_device backend_device;
extern struct vfio_device *backend;
extern int backend_peer;
/** Who is told of EAL's memory: the test calls it. */
extern rte_mem_event_callback_t backend_memory_event;
/** An operation that may talk 400 ms. */
extern const struct hpbus_op_kind backend_short_op;

/** A device that has a connection. @param host the other end of it */
struct vfio_device *backend_connect(struct hpbus_device *dev, int *host);
void backend_disconnect(struct vfio_device *connected, int host);
void backend_begin(void);
void backend_end(void);
/** The backend has ended this connection, or that of backend_begin(). */
bool backend_hung_up_on(int host);
bool backend_hung_up(void);

#endif
