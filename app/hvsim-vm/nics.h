/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * lib/host's NICs as devices of the virtual bus, and the thread that serves both: it polls the
 * NICs and the monitor page, delivers messages, and sleeps when nothing moves.
 *
 * NICs are touched only with the bus lock held: by the bus thread, and by vCPU threads when the
 * guest opens, closes or revokes something.
 */
#ifndef HVSIM_VM_NICS_H
#define HVSIM_VM_NICS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "app/hvsim-vm/kvm.h"
#include "lib/host/control.h"
#include "lib/host/nic.h"

#define NICS_MAX 16u

struct nic_device {
	struct vm *vm;
	unsigned int number; /**< as in the order of --nic */
	struct vbus_device device;
	struct host_nic_config config;
	struct host_nic *nic;
	uint32_t buffer[2]; /**< GPADLs the NIC has mapped, newest first; 0 none */
	bool added;
};

struct nics {
	struct vm *vm;
	struct nic_device nic[NICS_MAX];
	unsigned int count;
	int epoll_fd;
	int timer_fd;
	pthread_t thread;
	bool started;
	atomic_bool stop;
	struct host_control *control; /**< the control socket, or NULL */
};

/**
 * Make the NICs of @p configs and put them on the bus.
 * @return 0 or a negative errno; the reason has been printed
 */
int nics_create(struct nics *nics, struct vm *vm, const struct host_nic_config *configs,
	unsigned int count);
/** Serve the control socket @p path; call before nics_start(). */
int nics_control(struct nics *nics, const char *path);
/** Start the bus thread. */
int nics_start(struct nics *nics);
/** Stop the bus thread and free the NICs. The vCPUs may still run: the bus is reset first. */
void nics_destroy(struct nics *nics);

#endif
