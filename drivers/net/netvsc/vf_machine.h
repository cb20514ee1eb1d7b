/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What is to be done about a VF, as a function of what has happened and of the time. Nothing here
 * does anything: no DPDK, no clock, no lock. All orders of events: test/unit/netvsc_vf_orders.c.
 *
 * Events of all sources end in one 64-bit word of *facts*. Some are levels (a VF is there), some
 * are marks that stay until the machine has seen them (it has been away meanwhile): so events that
 * come faster than they are looked at lose nothing that matters, and telling one is a single
 * compare-and-swap from any thread.
 *
 * The machine takes the facts and says which step is next. A step is done, or fails, and the
 * machine is told. Nothing is given up: what fails is tried again, later and later, until the VF is
 * gone.
 */
#ifndef HP_NETVSC_VF_MACHINE_H
#define HP_NETVSC_VF_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

enum netvsc_vf_event {
	NETVSC_VF_HOST_ASSOCIATED,    /**< 128(1); value: the serial */
	NETVSC_VF_HOST_DISASSOCIATED, /**< 128(0) */
	NETVSC_VF_HOST_PATH,	      /**< the host's own 129; value: 0 synthetic, else the VF */
	NETVSC_VF_HOST_ANSWERED,      /**< our 129 is completed */
	NETVSC_VF_FOUND,	      /**< value: port id of the ethdev that is the VF */
	NETVSC_VF_LOST,		      /**< value: port id; another than was found means nothing */
	NETVSC_VF_LINK,		      /**< of the VF that was found; value: 0 down, 1 up */
	/** It resets itself: nothing of it may be called. Value of this and the next two: port id.
	 */
	NETVSC_VF_RECOVERING,
	NETVSC_VF_RECOVERED,
	NETVSC_VF_RECOVERY_FAILED, /**< it is of no use until it is found again, or recovers */
	NETVSC_VF_PORT_STARTED,	   /**< frames may go through a VF: netvsc_vf_join() */
	NETVSC_VF_PORT_STOPPING,
	NETVSC_VF_SESSION_NEW,
	NETVSC_VF_SESSION_GONE, /**< with it goes the association */
	NETVSC_VF_CLOSING,	/**< the last one */
};

/** How long the host may take to complete a 129; then the path counts as synthetic. */
#define NETVSC_VF_SWITCH_MS 60000
/** ... after it has moved the path back by itself, or taken the VF away. */
#define NETVSC_VF_GRACE_MS 5000
/** What fails is tried again after this, then after twice as long, ... */
#define NETVSC_VF_RETRY_MS     1000
#define NETVSC_VF_RETRY_MAX_MS 32000
/**
 * What cannot be done just now: somebody holds a lock, a ring is full, a burst is inside, the probe
 * of a VF that is found is not over.
 */
#define NETVSC_VF_SOON_MS     1
#define NETVSC_VF_SOON_MAX_MS 64
/** A send burst that is inside of the VF's driver keeps the host from being asked so long. */
#define NETVSC_VF_QUIET_MS 100
/** The link of a VF that runs is looked at as often as this. */
#define NETVSC_VF_POLL_MS 1000

/** Which side the host sends frames of the port to, and takes them from. */
enum netvsc_vf_host {
	NETVSC_VF_HOST_SYNTHETIC,
	NETVSC_VF_HOST_LEFT,   /**< as the session before left it: the path outlives channels */
	NETVSC_VF_HOST_TO_VF,  /**< asked, not answered */
	NETVSC_VF_HOST_VF,     /**< it said so */
	NETVSC_VF_HOST_UNSURE, /**< nobody knows: ask for the synthetic side */
	NETVSC_VF_HOST_BACK,   /**< asked, not answered */
};

enum netvsc_vf_step {
	NETVSC_VF_WAIT, /**< nothing, until an event or the time that goes with it */
	/* Quick: done by whoever holds the lock. */
	NETVSC_VF_STEP_TX_OFF,	 /**< no send bursts to the VF */
	NETVSC_VF_STEP_RX_OFF,	 /**< no receive bursts */
	NETVSC_VF_STEP_TX_QUIET, /**< no send burst is inside of its driver? -EAGAIN: there is */
	NETVSC_VF_STEP_RX_QUIET, /**< no receive burst? */
	NETVSC_VF_STEP_BACK,	 /**< 129(0) to the host */
	NETVSC_VF_STEP_RX,	 /**< receive from the VF, too */
	NETVSC_VF_STEP_ASK,	 /**< 129(1) to the host */
	NETVSC_VF_STEP_TX,	 /**< send through the VF */
	/* Slow: calls of the VF's driver, by the control thread, between begin and done. */
	NETVSC_VF_STEP_STOP,
	NETVSC_VF_STEP_DISOWN,
	NETVSC_VF_STEP_OWN,
	NETVSC_VF_STEP_START,
	NETVSC_VF_STEP_LINK, /**< ask for the link; the answer is an event */
	NETVSC_VF_STEP_END,  /**< closing, and nothing is left */
};

static inline bool
netvsc_vf_step_is_slow(enum netvsc_vf_step step)
{
	return step >= NETVSC_VF_STEP_STOP;
}

#define NETVSC_VF_NONE UINT16_MAX /**< no port id */

/** When something that failed is tried again, and how long that was. */
struct netvsc_vf_retry {
	int64_t at;
	uint32_t after; /**< milliseconds; 0: it has not failed */
};

struct netvsc_vf_machine {
	uint64_t levels;     /**< of the facts, as last taken */
	uint16_t vf;	     /**< the one that is owned, or about to be, or NETVSC_VF_NONE */
	bool starting;	     /**< it is being started */
	bool running;	     /**< it is started, at least in parts */
	bool leave;	     /**< it is to be stopped, even if wanted: it, or the port, was away */
	bool lost;	     /**< it is to be left to others; it may not be there any more */
	bool tx, rx;	     /**< bursts go there */
	bool cut_tx, cut_rx; /**< an event forbade it: to be done again, if at all */
	bool tx_quiet, rx_quiet; /**< no burst is inside */
	int64_t tx_quiet_since;	 /**< sends were last told not to go there */
	enum netvsc_vf_host host;
	int64_t host_until; /**< it is waited for an answer until then */
	int64_t host_since; /**< it is on the VF since then */
	bool refused;	    /**< the host moved the path back before it answered */
	struct netvsc_vf_retry own, start, ask;
	struct netvsc_vf_retry look, say; /**< quick steps: whether it is quiet; the host */
	int64_t poll;			  /**< the link is asked for next */

	/** What has become of VFs so far: all count up. */
	struct netvsc_vf_counts {
		uint64_t to_vf;	       /**< the host moved the path to the VF, as it was asked */
		uint64_t to_synthetic; /**< ... away from it, as it was asked */
		uint64_t forced;       /**< ... by itself */
		uint64_t refused;      /**< ... instead of moving it to the VF */
		uint64_t timeouts;     /**< it did not answer in time */
		uint64_t starts, failed_starts, stops;
	} counts;
};

/** Facts after an event. Pure. */
uint64_t netvsc_vf_facts_add(uint64_t facts, enum netvsc_vf_event event, uint32_t value);
/** The same without the marks: what stays when they have been taken. */
uint64_t netvsc_vf_facts_rest(uint64_t facts);
/** A 129 is about to be sent: what was answered before means nothing. */
uint64_t netvsc_vf_facts_unanswered(uint64_t facts);
/** The serial that the host has associated. @return false: none */
bool netvsc_vf_facts_serial(uint64_t facts, uint32_t *serial);
/** Which port is the VF, or NETVSC_VF_NONE. */
uint16_t netvsc_vf_facts_found(uint64_t facts);
bool netvsc_vf_facts_link(uint64_t facts);
/** Does this one reset itself, found or not? */
bool netvsc_vf_facts_recovering(uint64_t facts, uint16_t vf);
/** Has its reset failed? */
bool netvsc_vf_facts_failed(uint64_t facts, uint16_t vf);
/** Is anything known of this one, found or not? */
bool netvsc_vf_facts_know(uint64_t facts, uint16_t vf);
/** May the port use a VF? */
bool netvsc_vf_facts_started(uint64_t facts);
/** Do facts forbid to send (receive) through the VF at once, before the machine looks? */
bool netvsc_vf_facts_cut_tx(uint64_t facts);
bool netvsc_vf_facts_cut_rx(uint64_t facts);

void netvsc_vf_machine_init(struct netvsc_vf_machine *m);
/**
 * Take facts, marks included, and let time pass.
 * @param now milliseconds of any clock that only goes forward
 */
void netvsc_vf_machine_take(struct netvsc_vf_machine *m, uint64_t facts, int64_t now);
/**
 * The next step; it does not depend on whether the thread is in a call.
 * @param until WAIT: when to take and ask again, INT64_MAX: after the next event
 */
enum netvsc_vf_step netvsc_vf_machine_next(
	const struct netvsc_vf_machine *m, int64_t now, int64_t *until);
/** A slow step begins. */
void netvsc_vf_machine_begin(struct netvsc_vf_machine *m, enum netvsc_vf_step step);
/** A step is done. @param rc 0; quick steps, OWN: -EAGAIN, not just now; or why it failed */
void netvsc_vf_machine_done(
	struct netvsc_vf_machine *m, enum netvsc_vf_step step, int rc, int64_t now);
/** May settings be replayed onto the VF? */
bool netvsc_vf_machine_replays(const struct netvsc_vf_machine *m);
/** That failed: it does not do what the port does until it has been started anew. */
void netvsc_vf_machine_restart(struct netvsc_vf_machine *m, int64_t now);
/** Nobody will receive any more, whatever the host does: RX_OFF is next. */
void netvsc_vf_machine_cut_rx(struct netvsc_vf_machine *m);

#endif
