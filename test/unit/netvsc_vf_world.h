/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A port and its VF: the control thread of the driver as it is, the host's messages scripted, and a
 * VF whose bursts and calls are functions of the test. A call of the VF may last as long as the
 * test likes, and a burst may stay inside of its driver. One of each in a program.
 */
#ifndef HP_TEST_NETVSC_VF_WORLD_H
#define HP_TEST_NETVSC_VF_WORLD_H

#include <unistd.h>

#include <rte_ring.h>

#include "drivers/net/netvsc/vf.h"
#include "lib/netvsp/nvsp.h"
#include "test/unit/netvsc_fixture.h"

#define VF	 9u    /**< its port id */
#define PATIENCE 20000 /**< ms, on a busy machine */
#define FRAME	 60u
#define SERIAL	 3u
#define TID_VF	 UINT64_C(0x8000000000000000)
#define FRAMES	 200000u /**< most that a test numbers */

extern struct fixture f;

extern struct world_vf {
	atomic_bool owned, started, link;
	atomic_uint owns, starts, stops, disowns, replays, copies, looks, counts;
	atomic_uint inside; /* bursts */
	atomic_uint strays; /* in a VF that is not started, or is being stopped */
	atomic_bool hold_start, hold_stop, hold_burst, hold_count;
	atomic_bool in_start, in_stop, in_burst, in_count;
	pthread_t counted_by;
	atomic_int own_rc, start_rc, replay_rc;
	_Atomic uint32_t replayed;
	struct rte_ring *rx, *tx; /* to the port, from the port */
} vf;

extern struct world_host {
	bool associated, path_vf;
	bool holds;   /* it does not answer a 129 */
	bool refuses; /* it completes a 129(1), and moves the path back */
	uint64_t tid; /* of a 129 that is not answered */
	uint32_t asked;
	unsigned int to_vf, back; /* 129s of the driver */
	unsigned int empty;	  /* completions of notices */
	uint64_t empty_tid;
	unsigned int requests; /* for subchannels */
	bool polled;	       /* somebody else receives */
	bool strict;	       /* frames to the VF only when the path is there */
	unsigned int early;    /* that were not */
} host;

/** How often each numbered frame has come, on either path. */
extern uint8_t seen[FRAMES];
extern unsigned int seen_vf, seen_synthetic, damaged;

/** The bytes of a frame with a number. */
void number_put(uint8_t *frame, uint32_t number);
/** The same in an mbuf, NULL: there is none. */
struct rte_mbuf *numbered(uint32_t number);

/* ---- the host ---- */

void host_notice(const struct nvsp_message *msg, uint64_t tid);
void host_associate(bool on, uint32_t serial);
void host_force(void);
void host_answer(void);
/** The driver hears what the host has said. */
void scan(void);
/** The host does what there is to do, and the driver hears of it. */
void turn(void);

#define UNTIL(cond)                                                                                \
	do {                                                                                       \
		int64_t until_end = hpbus_now_ms() + PATIENCE;                                     \
                                                                                                   \
		while (!(cond) && hpbus_now_ms() < until_end) {                                    \
			turn();                                                                    \
			usleep(100);                                                               \
		}                                                                                  \
		CU_ASSERT(cond);                                                                   \
	} while (0)

/* ---- the port ---- */

struct netvsc_vf_status status(void);
bool used(void);
/** The control thread has looked at what has happened so far, and done what is to be done now. */
void looked(void);
void join(void);
bool leave(void);
/** A port that runs, and no VF. */
bool begin(void);
/** ... that sends through its VF. */
bool begin_used(void);
void end(void);
uint16_t send_one(uint32_t number);
/** Send a frame. @return whether it goes through the VF */
bool goes_to_vf(uint32_t number);

#endif
