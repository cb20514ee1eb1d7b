/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "app/hvsim-vm/kvm.h"
#include "lib/host/log.h"

#define LOOK_MS 200

enum { EXIT, SIGNAL, N_FDS };

static uint64_t
seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec;
}

/* @return 0 or a negative errno */
static int
wait_round(struct pollfd fds[N_FDS])
{
	struct signalfd_siginfo signal;

	if (poll(fds, N_FDS, LOOK_MS) >= 0 || errno == EINTR)
		return 0;
	if (errno != EINVAL)
		return -errno;
	/*
	 * It refuses more descriptors than RLIMIT_NOFILE, open or not, which somebody may lower
	 * while we run (prlimit(2)).
	 */
	poll(NULL, 0, LOOK_MS);
	fds[SIGNAL].revents =
		read(fds[SIGNAL].fd, &signal, sizeof(signal)) == sizeof(signal) ? POLLIN : 0;
	return 0;
}

void
vm_wait(struct vm *vm, int signal_fd, void (*look)(void *ctx), void *ctx)
{
	uint64_t end = seconds_now() + vm->options->timeout;
	struct pollfd fds[N_FDS] = {[EXIT] = {.fd = vm->exit_fd, .events = POLLIN},
		[SIGNAL] = {.fd = signal_fd, .events = POLLIN}};
	int rc;

	while (atomic_load(&vm->exit_reason) == VM_RUNNING) {
		rc = wait_round(fds);
		if (rc != 0) {
			log_line("cannot wait for the guest: %s", strerror(-rc));
			vm_stop(vm, VM_FAILED);
		}
		if (vm->options->timeout != 0 && seconds_now() >= end) {
			log_line("the guest did not end within %u seconds", vm->options->timeout);
			vm_stop(vm, VM_TIMEOUT);
		}
		if (fds[SIGNAL].revents != 0)
			vm_stop(vm, VM_FAILED);
		if (look != NULL)
			look(ctx);
	}
}
