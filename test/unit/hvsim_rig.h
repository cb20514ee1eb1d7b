/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * hvsim's devices and one worker, and for its control thread what main.c does in its loop, without
 * signals and reports. What goes wrong ends the test.
 */
#ifndef HP_TEST_HVSIM_RIG_H
#define HP_TEST_HVSIM_RIG_H

#include <pthread.h>

#include "app/hvsim/hvsim.h"

#define RIG_NICS  2u
#define RIG_LANES 4u

struct hvsim_rig {
	struct hvsim_device device[RIG_NICS];
	unsigned int n;
	struct hvsim_worker worker;
	unsigned int
		lanes; /**< workers, set before rig_start(): the device's lanes are on others */
	struct hvsim_worker other[RIG_LANES];
	struct vfu_signaller signaller;
	int event_fd; /**< of the control thread; 0: there is no host */
	pthread_t control;
	pthread_mutex_t lock; /**< held by the control thread but where it waits */
	_Atomic bool stop;
	_Atomic unsigned int accepts; /**< tries to let a client in */
};

/** The only one. */
extern struct hvsim_rig rig;

/**
 * Start it with @p n NICs that serve in @p dir.
 * @param spec   of each of them, as after --nic
 * @param budget of each client, or NULL
 */
void rig_start(const char *dir, unsigned int n, const char *spec, const struct hvsim_budget *budget,
	bool busy);
/** Its sockets are gone behind it. */
void rig_stop(void);

#endif
