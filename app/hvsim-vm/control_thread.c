/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The thread of the control socket and of a scenario, which is nothing but requests that come by
 * the clock. NICs are polled by the bus thread, which a client must not hold up: not by many
 * requests, nor by one that waits for a disk. A command takes the bus lock as a vCPU does.
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
/* No longer sleep than that before a time that is told. */
#define LOOK_MS 3600000

static int
timeout_ms(const struct nics *nics)
{
	uint64_t due = UINT64_MAX, now = monotonic_ns();

	if (nics->control != NULL)
		due = host_control_deadline(nics->control);
	if (nics->scenario != NULL && host_scenario_deadline(nics->scenario) < due)
		due = host_scenario_deadline(nics->scenario);
	if (due == UINT64_MAX)
		return -1;
	if (due <= now)
		return 0;
	/* What is far away is looked for again. */
	return due - now < LOOK_MS * UINT64_C(1000000) ? (int)((due - now) / 1000000u) + 1
						       : LOOK_MS;
}

static char *
scenario_command(void *ctx, const char *request)
{
	return host_control_execute(ctx, request);
}

/* What is due of it, if it goes on. */
static void
scenario_turn(struct nics *nics, struct host_control_ops *ops)
{
	if (nics->scenario == NULL || host_scenario_ended(nics->scenario))
		return;
	host_scenario_run(nics->scenario, monotonic_ns(), scenario_command, ops);
	if (host_scenario_ended(nics->scenario) && nics->scenario_ended != NULL)
		nics->scenario_ended(nics->scenario_ctx);
}

static void *
control_thread(void *arg)
{
	struct nics *nics = arg;
	struct host_control_ops ops = nics_control_ops(nics);
	struct pollfd p[2] = {{nics->control_stop, POLLIN, 0}, {.fd = -1, .events = POLLIN}};

	if (nics->control != NULL)
		p[1].fd = host_control_fd(nics->control);
	if (nics->scenario != NULL)
		host_scenario_start(nics->scenario, monotonic_ns());
	while (!atomic_load(&nics->stop)) {
		if (poll(p, 2, timeout_ms(nics)) < 0)
			poll(NULL, 0, REST_MS);
		if (nics->control != NULL)
			host_control_poll(nics->control);
		scenario_turn(nics, &ops);
	}
	return NULL;
}

int
nics_control_start(struct nics *nics)
{
	int rc;

	if (nics->control == NULL && nics->scenario == NULL)
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
	if (nics->control != NULL)
		host_control_close(nics->control);
	nics->control = NULL;
	return true;
}
