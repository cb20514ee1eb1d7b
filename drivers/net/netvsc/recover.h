/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A device that went away comes back: the host was serviced or started anew, a driver was bound
 * again. The port stays, waits for it, and goes on as it was (spec/nvsp.md §10).
 *
 * A recovery is noted by whoever hears that the device is gone (any thread), begun and reported by
 * the housekeeping alarm (events.c), and done on a control thread of its own, which lives as long
 * as the recovery: whatever the host makes it wait for, nobody else waits. It takes control_lock
 * for each try; in between the port can be stopped and closed, and nothing else.
 */
#ifndef HP_NETVSC_RECOVER_H
#define HP_NETVSC_RECOVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "drivers/bus/vmbus/op.h"
#include "drivers/net/netvsc/thread.h"

struct netvsc_port;

#define NETVSC_RECOVERY_S 60u /**< devarg recovery_s: how long a device is waited for */

struct netvsc_recovery {
	_Atomic int64_t since; /**< when the device went away; CLOCK_MONOTONIC, milliseconds */
	int64_t back;	       /**< when the last one came back; the thread's */
	/** How many operations wait that take the port down: a try, and every wait in it, ends for
	 * them; and one for good when the port is being closed. */
	_Atomic uint32_t hurry;
	atomic_bool stop;  /**< the port is being closed */
	atomic_bool ended; /**< the thread is through with the port */
	bool begun;	   /**< there is a thread that nobody has joined; alarm, then close */
	netvsc_thread thread;
	bool said;		  /**< why it does not go on; the thread's */
	_Atomic uint32_t done;	  /**< recoveries so far */
	_Atomic uint32_t failed;  /**< and those that did not succeed */
	_Atomic uint32_t last_ms; /**< how long the last one took from when the device went */
};

/** One try of a recovery: what takes the port down must not wait for long, and ends it. */
extern const struct hpbus_op_kind netvsc_op_recover;

/**
 * The device is gone. Any thread; never waits.
 * @return whether the port waits for it; false: it is GONE
 */
bool netvsc_recover_note(struct netvsc_port *port);
/** The alarm: begin. @return false: the one before is not over, or there is no thread: later */
bool netvsc_recover_begin(struct netvsc_port *port);
/** End it, in whatever state; the alarm runs no more. @return 0; -EBUSY: its thread goes on */
int netvsc_recover_end(struct netvsc_port *port);

#endif
