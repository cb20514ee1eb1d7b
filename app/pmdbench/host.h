/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The host's half of a subject: hvsim's NIC on its vfio-user socket in this process.
 *
 * Threads: a thread of its own serves the socket, and in mode SERVE the NIC too. In PAUSED it
 * sleeps, and the guest's thread runs the NIC with host_turn(). In CROSS it runs the NIC when
 * host_turn() asks it to, while the guest's thread waits.
 */
#ifndef PMDBENCH_HOST_H
#define PMDBENCH_HOST_H

#include <pthread.h>
#include <stdatomic.h>

#include "app/hvsim/hvsim.h"
#include "app/pmdbench/port.h"

enum host_mode { HOST_SERVE, HOST_PAUSED, HOST_CROSS, HOST_STOP };

struct bench_host {
	struct hvsim_device device;
	struct hvsim_worker worker; /**< never started: its place is the thread's and the guest's */
	struct vfu_signaller signaller;
	struct bench_port port;
	int cpu; /**< of the thread, -1 anywhere */
	int wake_fd;
	pthread_t thread;
	bool started;
	_Atomic enum host_mode wanted, mode; /**< asked for; reached */
	_Atomic uint64_t turns_asked, turns_done;
};

/**
 * Make the NIC and serve its socket in @p dir, in mode SERVE.
 * @param nic as hvsim's --nic, without port=
 * @return 0 or a negative errno with a sentence
 */
int host_start(struct bench_host *host, const char *dir, const char *nic, int cpu, char *errbuf,
	size_t errlen);
void host_stop(struct bench_host *host);
/** Returns when the mode is reached. */
void host_set_mode(struct bench_host *host, enum host_mode mode);
/**
 * One turn: take everything that the guest sent, and deliver @p frames frames with @p ppis PPIs
 * each. Mode PAUSED or CROSS.
 * @return frames that could not be delivered
 */
uint32_t host_turn(struct bench_host *host, uint32_t frames, uint32_t ppis);

/*
 * One poll, as hvsim's worker makes it, for who measures the host: mode PAUSED, nothing written
 * into headers. Never inlined, so that callgrind finds the counted one by name.
 */
typedef uint32_t (*host_poll)(struct bench_host *host, uint32_t frames);
uint32_t timed_poll(struct bench_host *host, uint32_t frames);
uint32_t counted_poll(struct bench_host *host, uint32_t frames);

#endif
