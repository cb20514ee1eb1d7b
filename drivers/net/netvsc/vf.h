/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The virtual function under a port (spec/nvsp.md §9): another ethdev of the same network, to which
 * the host moves the port's traffic and from which it takes it away again.
 *
 * - What happens is an *event* (netvsc_vf_event()), told by any thread at any time. Events end in
 *   one word of facts (vf_machine.h); nobody waits.
 * - Each port that may use a VF has a control thread (vf.c), which does one *step* at a time of
 * what the state machine wants. Only it calls the VF's driver, with no lock held: a call that never
 *   returns keeps nobody but that thread. That is why there is a thread for each port: another
 *   port's VF goes on, and so does everything of this one that is not the VF's.
 * - Operations of the application (start, stop, MTU, queues) do themselves only what cannot wait:
 *   they take the queues off the VF, and the host's data path with them (netvsc_vf_leave()).
 * - Bursts (vf_burst.c) look at one word for each queue, netvsc_vf_queue.path.
 *
 * Order of locks: control_lock (port.h), netvsc_vf.lock; neither is held in a call of vf_port.h,
 * but for netvsc_vf_setup_copy().
 */
#ifndef HP_NETVSC_VF_H
#define HP_NETVSC_VF_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_common.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "drivers/net/netvsc/vf_machine.h"
#include "drivers/net/netvsc/vf_port.h"

struct netvsc_port;

/** One direction of a queue of the port, on a cache line of its own. */
struct netvsc_vf_queue {
	/** Where the burst goes: 0 the synthetic path, else the port id of the VF + 1. */
	_Atomic uint32_t path;
	/** A burst is inside of the VF's driver; written by the queue's lcore alone. */
	_Atomic uint32_t inside;
	uint32_t turn;	  /**< receive: which path was the first in the last burst */
	uint64_t packets; /**< that went through the VF so far; the queue's lcore counts */
} __rte_cache_aligned;

/** Of one port, in the primary process; not freed before its thread has ended. */
struct netvsc_vf {
	_Atomic uint64_t facts;	     /**< netvsc_vf_facts_add() */
	_Atomic uint32_t replay;     /**< NETVSC_VF_SET_*: changed, and not done for the VF */
	_Atomic uint64_t switch_tid; /**< SWITCH_DATA_PATH that is not completed yet, 0: none */
	int wake;		     /**< eventfd */
	pthread_t thread;
	bool has_thread;

	pthread_mutex_t lock; /**< the rest, but for what is the thread's */
	pthread_cond_t ended;
	struct netvsc_port *port; /**< NULL: closed, while a call did not return */
	struct netvsc_vf_machine machine;
	bool busy; /**< the thread is in a call of vf_port.h */
	bool over; /**< the thread does nothing any more */

	struct netvsc_vf_setup setup; /**< the thread's */
};

/* ---- vf.c ---- */

/**
 * A port that may use a VF (devarg ignore_vf is not set) comes, in the primary process: port->vf,
 * its thread, and netvsc_vf_find_start(). Without them there is a port without VF, which is told.
 */
void netvsc_vf_open(struct netvsc_port *port);
/**
 * It goes: the thread stops using its VF. No lock of ours is held; the port is stopped.
 * @return false: a burst is inside of the VF's driver and does not come out; all stays
 */
bool netvsc_vf_close(struct netvsc_port *port);

/**
 * Something has happened. Any thread, any order, any number of times; never waits.
 * @param value see enum netvsc_vf_event
 */
void netvsc_vf_event(struct netvsc_port *port, enum netvsc_vf_event event, uint32_t value);
/** Settings of the port have changed (NETVSC_VF_SET_*): they are replayed onto the VF in use. */
void netvsc_vf_changed(struct netvsc_port *port, uint32_t what);

/**
 * The port runs, or runs differently: tell whether a VF may be used now. That is when the port and
 * all its queues are started, its link is not down by request, and nobody sleeps on its interrupts.
 * Control side, control_lock held.
 */
void netvsc_vf_join(struct netvsc_port *port);
/**
 * The port, a queue of it, or its session is about to stop: when this returns no burst goes to the
 * VF, and the host has the data path on the synthetic side, or was asked to and had its time (that
 * of the operation). The VF itself is stopped later. Control side, control_lock held.
 * @return false: a burst is inside of the VF's driver and does not come out
 */
bool netvsc_vf_leave(struct netvsc_port *port);

/** May bursts of this port meet with a VF? If not, the plain functions are the port's. */
bool netvsc_vf_possible(const struct netvsc_port *port);
/** The serial number that the host has associated. @return false: none */
bool netvsc_vf_serial(const struct netvsc_port *port, uint32_t *serial);

/** How it stands, for who shows it. Any thread. */
struct netvsc_vf_status {
	bool possible, associated, found, owned, running, link, recovering, used;
	uint32_t serial;
	uint16_t vf; /**< ethdev's number, when @a found or @a owned */
	enum netvsc_vf_host host;
	struct netvsc_vf_counts counts;
};
void netvsc_vf_status(const struct netvsc_port *port, struct netvsc_vf_status *status);

/* ---- vf_burst.c ---- */

uint16_t netvsc_vf_rx_burst(void *rxq, struct rte_mbuf **pkts, uint16_t n);
uint16_t netvsc_vf_tx_burst(void *txq, struct rte_mbuf **pkts, uint16_t n);
/** Where all bursts of a direction go from now on. @param path 0, or the VF's port id + 1 */
void netvsc_vf_rx_path(struct netvsc_port *port, uint32_t path);
void netvsc_vf_tx_path(struct netvsc_port *port, uint32_t path);
/** Is no burst of a direction inside of the VF's driver? Of a path that is 0: none will be, then.
 */
bool netvsc_vf_rx_is_quiet(const struct netvsc_port *port);
bool netvsc_vf_tx_is_quiet(const struct netvsc_port *port);

#endif
