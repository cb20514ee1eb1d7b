/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control socket's thread. NICs are polled by the bus thread, which a client must not hold up:
 * not by many requests, nor by one that waits for a disk. A command takes the bus lock as a vCPU
 * does.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/host/log.h"
#include "app/hvsim-vm/nics.h"
#include "lib/vmbus/clock.h"

/* Should poll() refuse: a rest in its place. */
#define REST_MS 10

static int
timeout_ms(const struct host_control *control)
{
	uint64_t due = host_control_deadline(control), now;

	if (due == UINT64_MAX)
		return -1;
	now = monotonic_ns();
	return due <= now ? 0 : (int)((due - now) / 1000000u) + 1;
}

static void *
control_thread(void *arg)
{
	struct nics *nics = arg;
	struct pollfd p[2] = {
		{nics->control_stop, POLLIN, 0}, {host_control_fd(nics->control), POLLIN, 0}};

	while (!atomic_load(&nics->stop)) {
		if (poll(p, 2, timeout_ms(nics->control)) < 0)
			poll(NULL, 0, REST_MS);
		host_control_poll(nics->control);
	}
	return NULL;
}

int
nics_control_start(struct nics *nics)
{
	int rc;

	if (nics->control == NULL)
		return 0;
	nics->control_stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = nics->control_stop < 0
		     ? -errno
		     : -pthread_create(&nics->control_thread, NULL, control_thread, nics);
	nics->control_started = rc == 0;
	if (rc != 0)
		log_line("cannot start the thread of the control socket: %s", strerror(-rc));
	return rc;
}

bool
nics_control_stop(struct nics *nics, const struct timespec *until)
{
	const uint64_t one = 1;

	if (nics->control_started) {
		if (write(nics->control_stop, &one, sizeof(one)) < 0)
			log_line("cannot wake the thread of the control socket");
		/* It may hang in a file of the user's, or wait for the bus thread. */
		if (pthread_timedjoin_np(nics->control_thread, NULL, until) != 0)
			return false;
	}
	nics->control_started = false;
	if (nics->control_stop >= 0)
		close(nics->control_stop);
	nics->control_stop = -1;
	host_control_close(nics->control);
	nics->control = NULL;
	return true;
}
