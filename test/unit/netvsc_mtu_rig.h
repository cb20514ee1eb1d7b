/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A port of CHANNELS queues whose MTU changes, against the scripted host of netvsc_ladder.h.
 */
#ifndef HP_TEST_NETVSC_MTU_RIG_H
#define HP_TEST_NETVSC_MTU_RIG_H

#include "test/unit/netvsc_ladder.h"

#define JUMBO	9000u
#define FILTER_ (RNDIS_FILTER_DIRECTED | RNDIS_FILTER_BROADCAST)

/** Sections and mbufs that hold jumbo frames. */
extern const struct fixture_conf mtu_big;

/** Started with all queues at 1500, on a host that allows 9216. */
bool mtu_start_as(const struct fixture_conf *conf);
/** ... as mtu_big. */
bool mtu_start(void);
/** As ethdev: the new one is stored when it was taken. With a clock that only waiting moves. */
int mtu_set(uint16_t mtu);
void mtu_finish(void);
/** Frames of this length go both ways on every queue, byte by byte. */
void mtu_check_frames(uint32_t len);
void mtu_check_running(uint32_t mtu);

#endif
