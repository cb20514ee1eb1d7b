/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The virtual function under a port (spec/nvsp.md §9): another ethdev of the same network, to which
 * the host moves the port's traffic and from which it takes it away again.
 *
 * - What happens is an *event* (netvsc_vf_event()), told by any thread at any time. Events end in
 *   one word of facts (vf_facts.h); nobody waits.
 * - Each port that may use a VF has a control thread (vf_thread.c), which does one *step* at a time
 * of what the state machine wants. Only it calls the VF's driver, with no lock held: a call that
 * never returns keeps nobody but that thread. That is why there is a thread for each port: another
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

#include "drivers/net/netvsc/thread.h"
#include "drivers/net/netvsc/vf_machine.h"
#include "drivers/net/netvsc/vf_port.h"

struct netvsc_port;
struct netvsc_vf_told;

/** One direction of a queue of the port, on a cache line of its own. */
struct netvsc_vf_queue {
	/**
	 * Where the burst goes: 0 the synthetic path, else the port id of the VF + 1, with the
	 * number of times that it was switched on above.
	 */
	_Atomic uint32_t path;
	/** A burst is inside of the VF's driver; written by the queue's lcore alone. */
	_Atomic uint32_t inside;
	uint32_t turn;	/**< receive: which path was the first in the last burst */
	uint32_t times; /**< of the first queue: what is above the port id; netvsc_vf.lock */
	_Atomic uint64_t packets; /**< that went through the VF so far; netvsc_vf_counted() */
	/** Most segments of a frame that the VF divides, and of others; 0: any (vf_segments.c). */
	_Atomic uint16_t segs, mtu_segs;
	/** Threads that ask the VF's driver about the queue, and count as inside (vf_asked.c). */
	_Atomic uint32_t asking;
} __rte_cache_aligned;

/** So many packets more; the queue's lcore alone. */
static inline void
netvsc_vf_counted(struct netvsc_vf_queue *q, int64_t more)
{
	uint64_t packets = atomic_load_explicit(&q->packets, memory_order_relaxed);

	atomic_store_explicit(&q->packets, packets + (uint64_t)more, memory_order_relaxed);
}

/** What all processes have of it: a burst of any of them hears the host. */
struct netvsc_vf_shared {
	bool asked;		     /**< the host is asked for VFs, and there may be one */
	_Atomic uint64_t facts;	     /**< netvsc_vf_facts_add() */
	_Atomic uint64_t switch_tid; /**< SWITCH_DATA_PATH that is not completed yet, 0: none */
	struct netvsc_vf_told *told; /**< vf_told.h; NULL: there never was a VF */
};

/** What the thread calls, in the order of vf_port.h: a table, so that a test can have its own. */
struct netvsc_vf_calls {
	int (*find_start)(struct netvsc_port *port, struct netvsc_vf_setup *setup);
	void (*find_stop)(struct netvsc_port *port);
	int (*find_again)(struct netvsc_vf_setup *setup, bool associated, uint32_t serial);
	int (*setup_copy)(struct netvsc_port *port, struct netvsc_vf_setup *setup);
	void (*setup_free)(struct netvsc_vf_setup *setup);
	int (*own)(struct netvsc_vf_setup *setup, uint16_t vf);
	void (*disown)(struct netvsc_vf_setup *setup, uint16_t vf);
	int (*start)(struct netvsc_vf_setup *setup, uint16_t vf);
	void (*stop)(struct netvsc_vf_setup *setup, uint16_t vf);
	int (*replay)(struct netvsc_vf_setup *setup, uint16_t vf, uint32_t what);
	bool (*link)(struct netvsc_vf_setup *setup, uint16_t vf);
	void (*count)(struct netvsc_vf_setup *setup, uint16_t vf);
};
extern const struct netvsc_vf_calls netvsc_vf_calls;

/** Where the thread is. */
enum netvsc_vf_at {
	NETVSC_VF_AT_REST, /**< it waits, or for the lock */
	NETVSC_VF_AT_PORT, /**< it uses the port: not for long */
	NETVSC_VF_AT_CALL, /**< in a call of vf_port.h, without the port: for ever, perhaps */
	NETVSC_VF_AT_END,  /**< it does nothing any more */
};

/** Of one port, in shared memory for its atomic words; the rest is the primary's. A thread in a
 * call that does not return outlives the port.
 */
struct netvsc_vf {
	_Atomic unsigned int references; /**< the port's, the thread's */
	_Atomic uint32_t replay;	 /**< NETVSC_VF_SET_*: changed, and not done for the VF */
	atomic_bool sends; /**< the host may send to the VF, as far as the machine knows */
	/**
	 * How often the thread was asked, for what the VF has counted, and has answered; and the
	 * number of one who has given up waiting: until it is answered nobody waits. They come
	 * round.
	 */
	_Atomic uint32_t asked, answered, overdue;
	atomic_bool unknown; /**< ... and for what the VF can, too */
	int wake;	     /**< eventfd */
	const struct netvsc_vf_calls *calls;
	netvsc_thread thread;
	bool has_thread;

	pthread_mutex_t lock;	  /**< of what follows */
	struct netvsc_port *port; /**< NULL: closed, while a call did not return */
	uint64_t last_facts;	  /**< ... and what was known then */
	bool shared;		  /**< other processes have the port, as has been said */
	struct netvsc_vf_machine machine;
	enum netvsc_vf_at at;
	pthread_t self; /**< the thread's, as soon as it is in a call */

	/* The thread's. */
	struct netvsc_vf_setup setup;
	uint64_t looked_for; /**< serial + 1 that VFs were last looked for with, 0: without one */
	int64_t look_at;     /**< ... and when they are looked for again all the same */
	bool answers;	     /**< the last turn was for who asks: the next one is not */
};

/* ---- vf.c ---- */

/**
 * A port that may use a VF (devarg ignore_vf is not set), in the primary process: port->vf, before
 * the first session, which asks the host for VFs. @return 0 or a negative errno
 */
int netvsc_vf_new(struct netvsc_port *port);
/**
 * It goes: the thread leaves its VF to others. No lock of ours is held; the port is stopped.
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

/** May a VF be used in this session? */
bool netvsc_vf_possible(const struct netvsc_port *port);
/** Has the host been asked to move the data path, and has not answered? */
bool netvsc_vf_switching(const struct netvsc_port *port);
/** The serial number that the host has associated. @return false: none */
bool netvsc_vf_serial(const struct netvsc_port *port, uint32_t *serial);

/**
 * What VFs have counted is about to be told: have the control thread ask the one in use, and wait
 * for that, a second at most: a machine may be busy. A VF that does not answer is waited for once.
 * Any thread of the primary.
 */
void netvsc_vf_count_now(struct netvsc_port *port);

/**
 * There is a VF, and what it can is not known yet: have the control thread look at it, likewise. An
 * application may ask for the port's limits as soon as EAL has begun.
 */
void netvsc_vf_know_now(struct netvsc_port *port);

/** How it stands, for who shows it. Any thread. */
struct netvsc_vf_status {
	bool possible, associated, found, owned, starting, running, link, recovering, failed;
	bool hangs;	     /**< its driver does not return from a call, as somebody has noticed */
	bool asks_later;     /**< the host is asked for the data path again, but not yet */
	bool receives, used; /**< frames come from it; frames are sent through it, too */
	uint32_t serial;
	uint16_t vf; /**< ethdev's number, when @a found or @a owned */
	enum netvsc_vf_host host;
	struct netvsc_vf_counts counts;
};
void netvsc_vf_status(const struct netvsc_port *port, struct netvsc_vf_status *status);

/** Has somebody asked the thread, and waited in vain for an answer that has not come since? */
static inline bool
netvsc_vf_hangs(struct netvsc_vf *vf)
{
	return (int32_t)(atomic_load(&vf->overdue) - atomic_load(&vf->answered)) > 0;
}

/* What vf.c, vf_operations.c and vf_thread.c have of each other. */

/** Have the lock; @return false: not in time, who has it does not go on */
bool netvsc_vf_lock_soon(struct netvsc_vf *vf);

void netvsc_vf_wake(struct netvsc_vf *vf);
/** Let the machine take the facts; with the lock, as for the next. */
void netvsc_vf_take(struct netvsc_vf *vf);
/** A step is done, or failed: for the machine, and for who looks at the port later. */
void netvsc_vf_done(struct netvsc_vf *vf, enum netvsc_vf_step step, int rc);
/** Do a quick step, to the host with control_lock. @return as netvsc_vf_machine_done() */
int netvsc_vf_do_quick(struct netvsc_vf *vf, enum netvsc_vf_step step);
void netvsc_vf_put(struct netvsc_vf *vf);
/** The host may have answered before: that means nothing any more. With rx_lock of channel 0. */
void netvsc_vf_unanswered(struct netvsc_port *port);

/* ---- vf_operations.c ---- */

/**
 * The port runs, or runs differently: tell whether a VF may be used now. That is when the port and
 * all its queues are started, its link is not down by request, and nobody sleeps on its interrupts.
 * Control side, control_lock held.
 */
void netvsc_vf_join(struct netvsc_port *port);
/**
 * The port, a queue of it, or its session is about to stop: when this returns no frame is sent
 * through the VF, and the host has the data path on the synthetic side, or was asked to and had its
 * time. What it still sends to the VF is received until it has moved the path. The VF itself is
 * stopped later. Control side, control_lock held.
 * @param stops the port as a whole: nothing is received any more, either
 * @return false: a burst is inside of the VF's driver and does not come out: its channel is stuck
 */
bool netvsc_vf_leave(struct netvsc_port *port, bool stops);
/** A session is attached. Control side, control_lock held, as for the next. */
void netvsc_vf_session_begins(struct netvsc_port *port);
/** One is about to be detached. @param talk the host can be asked for the synthetic side */
void netvsc_vf_session_ends(struct netvsc_port *port, bool talk);

/**
 * The housekeeping alarm, with control_lock: a VF is not used while other processes have the port,
 * who would not receive from it.
 */
void netvsc_vf_tick(struct netvsc_port *port);

/**
 * Do other processes have the port, or map it just now? They receive from the synthetic path alone:
 * no VF is used, nor attached, which EAL would do in all of them.
 */
bool netvsc_vf_others(const struct netvsc_port *port);

/* ---- vf_thread.c ---- */

/** The port is complete: the thread begins, and VFs are looked for. */
void netvsc_vf_open(struct netvsc_port *port);

/* ---- vf_burst.c ---- */

uint16_t netvsc_vf_rx_burst(void *queue, struct rte_mbuf **pkts, uint16_t n);
uint16_t netvsc_vf_tx_burst(void *queue, struct rte_mbuf **pkts, uint16_t n);

/* ---- vf_segments.c ---- */

struct netvsc_txq;

/** The VF that is about to be sent through takes so many segments; 0: any number. */
void netvsc_vf_segments_set(struct netvsc_vf_queue *queues, uint16_t segs, uint16_t mtu_segs);
/** Send through a VF with such a limit. @return frames that are done with */
uint16_t netvsc_vf_tx_segments(struct netvsc_txq *txq, struct netvsc_vf_queue *q, uint16_t vf,
	struct rte_mbuf **pkts, uint16_t n);

/* ---- vf_asked.c: any thread, and any process, of which only the primary has a VF ---- */

struct netvsc_rxq;

/** Frames that wait in the VF's queue; 0 also when its driver cannot say. */
uint32_t netvsc_vf_rx_waiting(const struct netvsc_rxq *rxq);
/** Does one wait in the VF's descriptor @p offset? */
bool netvsc_vf_rx_done(const struct netvsc_rxq *rxq, uint16_t offset);
/** @return RTE_ETH_TX_DESC_*, or @p own: no VF sends, or its driver cannot say */
int netvsc_vf_tx_status(const struct netvsc_txq *txq, uint16_t offset, int own);
/** Frames in the VF's queue. */
uint32_t netvsc_vf_tx_waiting(const struct netvsc_txq *txq);
/** Have the VF's driver free what it has sent. @return how many frames (packets) that were */
uint32_t netvsc_vf_tx_cleanup(const struct netvsc_txq *txq, uint32_t count);
/** The VF's own preparation. @return frames that may be sent; rte_errno says why not the next */
uint16_t netvsc_vf_tx_prepare(const struct netvsc_txq *txq, struct rte_mbuf **pkts, uint16_t n);

/**
 * One who asks is about to call the VF's driver. @return false: not now; else @p vf is it, until
 * netvsc_vf_ask_end()
 */
bool netvsc_vf_ask_begin(struct netvsc_vf_queue *q, uint16_t *vf);
void netvsc_vf_ask_end(struct netvsc_vf_queue *q);
/** Does a frame of so many segments go through the VF as it is (vf_segments.c)? */
bool netvsc_vf_segments_fit(const struct netvsc_vf_queue *q, const struct rte_mbuf *m);

/* ---- vf_burst.c, the other side ---- */

/* One direction: port->vf_rx or port->vf_tx. On and off with netvsc_vf.lock. */

/** All bursts of the direction go to @p vf, too, from now on. */
void netvsc_vf_path_on(struct netvsc_vf_queue *queues, uint16_t vf);
void netvsc_vf_path_off(struct netvsc_vf_queue *queues);
/** Where they go: a word for the next function, 0: the synthetic path. Any thread. */
uint32_t netvsc_vf_path(const struct netvsc_vf_queue *queues);
/** Off, unless it was switched on since netvsc_vf_path() was @p path. Any thread, never waits. */
void netvsc_vf_path_cut(struct netvsc_vf_queue *queues, uint32_t path);
/** Is no burst inside of the VF's driver? After the path is off: then none will be. */
bool netvsc_vf_path_is_quiet(const struct netvsc_vf_queue *queues);
/** Is a burst of this queue, in either direction, inside of the VF's driver, or may one go there?
 */
bool netvsc_vf_is_inside(const struct netvsc_port *port, unsigned int queue);

#endif
