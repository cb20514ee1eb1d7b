/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A secondary process's side: requests to the primary (secondary_link.c), what is mapped of its
 * devices (secondary_places.c), and their life (secondary.c). All are one thread's at a time, who
 * has secondary_lock.
 */
#ifndef HP_VMBUS_SECONDARY_H
#define HP_VMBUS_SECONDARY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_eal.h>

#include "drivers/bus/vmbus/mp.h"
#include "drivers/bus/vmbus/sysfs.h"
#include "lib/vfio_user/signal.h"

/** The primary's thread answers from memory; a machine that is busy takes its time. */
#define SECONDARY_ANSWER_MS 10000

/* ---- secondary_link.c; with the lock, unless it is said otherwise ---- */

extern pthread_mutex_t secondary_lock;

/** Find the primary; once. @return 0 or a negative errno */
int secondary_link_make(void);
/** The primary is dead. Any thread, without the lock. */
bool secondary_link_lost(void);
/** Requests may last until then, all together; 0: each has its time. */
void secondary_ask_until(int64_t until);
/**
 * Ask. @param fd goes with the request, -1: none
 * @param msg the answer and its files, which are the caller's to close
 * @return 0 or a negative errno: there is no answer
 */
int secondary_ask(struct hpbus_mp_request *rq, int fd, struct rte_mp_msg *msg);
/** The same where no files come. @return what the primary says, too */
int secondary_ask_plain(struct hpbus_mp_request *rq, int fd, struct hpbus_mp_reply *reply);
/** ... of a device */
int secondary_ask_of(const struct hpbus_device *dev, enum hpbus_mp_op op, uint32_t generation,
	struct hpbus_mp_reply *reply);
/** Have the primary look at what is written for it. Any thread, without the lock; never waits. */
void secondary_wake_primary(void);

/* ---- secondary_places.c; with the lock ---- */

/** A place that is mapped here. */
struct secondary_place {
	struct hpbus_place place;
	int fd; /**< of a doorbell, else -1 */
};

/** dev->backend_data. */
struct secondary_device {
	struct hpbus_device *dev;
	struct hpbus_shared *shared; /**< NULL: not open */
	struct secondary_place *list;
	unsigned int n;
	bool synced; /**< the list is all of this one: */
	uint32_t generation;
	struct vfu_signaller signaller;
	bool signals; /**< it works */
	bool uio;
	struct vmbus_sysfs fs;
	char name[VMBUS_SYSFS_NAME_MAX]; /**< folder in sysfs */
	int uio_fd;
};

/** Nothing of it is mapped any more. */
void secondary_places_end(struct secondary_device *s);
/** Have mapped what the primary has. @return 0 or a negative errno */
int secondary_places_sync(struct secondary_device *s);

/* ---- secondary.c; without the lock ---- */

/** The primary has something else than before. */
void secondary_changed(void);
/** It is dead. */
void secondary_ended(void);

#endif
