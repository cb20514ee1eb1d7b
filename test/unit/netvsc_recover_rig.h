/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A port whose device goes away and comes back, against the scripted host of netvsc_ladder.h, and
 * what its application was told. The alarm and the thread of the recovery are the real ones; the
 * host talks on whichever thread asks it. One of each in a program.
 */
#ifndef HP_TEST_NETVSC_RECOVER_RIG_H
#define HP_TEST_NETVSC_RECOVER_RIG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_cycles.h>

#include "drivers/net/netvsc/attach.h"
#include "test/unit/netvsc_ladder.h"

#define PATIENCE_MS 20000 /* on a busy machine */

#define WAIT_FOR(condition)                                                                        \
	do {                                                                                       \
		int64_t until_ = hpbus_now_ms() + PATIENCE_MS;                                     \
		while (!(condition) && hpbus_now_ms() < until_)                                    \
			rte_delay_us_sleep(1000);                                                  \
		CU_ASSERT_FATAL(condition);                                                        \
	} while (0)

/** Events that the application was told, and the first of them. */
extern _Atomic unsigned int recover_n_told, recover_told_event[16];
/** An event at which it closes the port, within the callback; what the close said, 1 before. */
extern enum rte_eth_event_type recover_closes_at;
extern _Atomic int recover_closed;
/** What the backend's open of the device says, and how often it was asked. */
extern _Atomic int recover_open_rc;
/** How often the application's memory cannot be shared again in time. */
extern _Atomic unsigned int fixture_dma_busy;
extern _Atomic unsigned int recover_tries;

/** For fixture.on_open: a backend that got as far as to find the device there. */
int recover_on_open_there(struct fixture *fixture);

bool recover_told(enum rte_eth_event_type event);
/** These and no others, in this order. */
void recover_check_told(const enum rte_eth_event_type *events, unsigned int n);
/** As the bus does when it hears of it. */
void recover_go_away(void);
/** A port that is neither configured nor started. @return false: that failed, and is told */
bool recover_begin_as(struct fixture_conf conf, uint32_t recovery_s);
/** A running port. @return likewise */
bool recover_start_as(struct fixture_conf conf, uint32_t recovery_s);
bool recover_start(void);
void recover_stop(void);
void recover_finish(void);
/** It runs as it was started, with everything set at the host. */
void recover_check_running(void);
/** The flight recorder has how it ended: 0 or a negative errno. */
void recover_check_noted(int64_t value);
/** A frame goes each way on every queue, byte by byte. */
void recover_check_frames(uint32_t len);

#endif
