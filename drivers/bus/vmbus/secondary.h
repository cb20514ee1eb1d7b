/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A secondary process's side: requests to the primary (secondary_link.c), and what follows for the
 * devices (secondary.c). Both are one thread's at a time, who has secondary_lock.
 */
#ifndef HP_VMBUS_SECONDARY_H
#define HP_VMBUS_SECONDARY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_eal.h>

#include "drivers/bus/vmbus/mp.h"

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

/* ---- secondary.c; without the lock ---- */

/** The primary has something else than before. */
void secondary_changed(void);
/** It is dead. */
void secondary_ended(void);

#endif
