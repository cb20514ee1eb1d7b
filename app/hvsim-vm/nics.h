/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * lib/host's NICs as devices of the virtual bus, and the thread that serves both: it polls the
 * NICs and the monitor page, delivers messages, and sleeps when nothing moves. None of it knows
 * KVM.
 *
 * NICs are touched only with the bus lock held: by the bus thread, by vCPU threads when the guest
 * opens, closes or revokes something, and by the control thread for a command of the control
 * socket or of a scenario.
 */
#ifndef HVSIM_VM_NICS_H
#define HVSIM_VM_NICS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "app/hvsim-vm/bus_lock.h"
#include "app/hvsim-vm/vbus.h"
#include "lib/host/control.h"
#include "lib/host/log.h"
#include "lib/host/nic.h"
#include "lib/host/scenario.h"

#define NICS_MAX 16u

struct nic_device {
	struct vbus *bus;
	unsigned int number; /**< as in the order of --nic */
	struct vbus_device device;
	struct host_nic_config config;
	struct host_nic *nic;
	struct log_limit complaints; /**< of lines about the guest */
};

struct nics {
	struct vbus *bus;
	struct bus_lock *lock;
	struct nic_device nic[NICS_MAX];
	unsigned int count;
	int kick_fd; /**< the guest has signalled; also wakes the bus thread */
	int epoll_fd;
	int timer_fd;
	pthread_t thread;
	bool started;
	atomic_bool stop;
	struct host_control *control; /**< the control socket, or NULL; its thread's once started */
	struct host_scenario *scenario; /**< or NULL; the same thread's once started */
	void (*scenario_ended)(void *ctx);
	void *scenario_ctx;
	pthread_t control_thread;
	bool control_started;
	int control_stop; /**< eventfd: its thread is to end, @a stop is set */
};

/**
 * Make the NICs of @p configs and put them on the bus. Starts no thread.
 * @param kick_fd eventfd that the hypervisor signals for the guest
 * @return 0 or a negative errno; the reason has been printed. nics_destroy() is due in any case.
 */
int nics_create(struct nics *nics, struct vbus *bus, struct bus_lock *lock, int kick_fd,
	const struct host_nic_config *configs, unsigned int count);
/** Open the files that they write: as the user to become. @return as nics_create() */
int nics_record(struct nics *nics);
/** Listen at the control socket @p path, which nics_start() serves; call before it. */
int nics_control(struct nics *nics, const char *path);
/**
 * Execute @p scenario, whose first moment is in nics_start(); call before it. The caller frees it
 * after nics_destroy().
 * @param ended called once when it has ended, on the control thread; may be NULL
 */
void nics_scenario(
	struct nics *nics, struct host_scenario *scenario, void (*ended)(void *ctx), void *ctx);
/**
 * Start the bus thread, and that of the control socket and the scenario.
 * @param acks eventfds that say a virtual processor has acknowledged its interrupt
 */
int nics_start(struct nics *nics, const int *acks, unsigned int n_acks);
/** How reports look at the NICs (report.h); the bus thread goes on. Any thread. */
struct host_control_ops nics_report_ops(struct nics *nics);
/**
 * Stop the bus thread; nics_destroy() does it, too.
 * @return false when it does not come back within seconds: what it holds may be locked for ever
 */
bool nics_stop(struct nics *nics);
/**
 * Stop both threads, reset the bus and free the NICs. The vCPUs have been stopped.
 * @return false when one of them does not come back within seconds: then nothing is freed, and the
 *         process should end
 */
bool nics_destroy(struct nics *nics);

/* ---- control_thread.c, for bus_thread.c ---- */

/** @return 0, also without socket and scenario, or a negative errno; the reason has been printed */
int nics_control_start(struct nics *nics);
/** How commands reach the NICs; on the control thread. */
struct host_control_ops nics_control_ops(struct nics *nics);
/** Close the socket; nics.stop is set. @return false: its thread has not ended by @p until */
bool nics_control_stop(struct nics *nics, const struct timespec *until);

#endif
