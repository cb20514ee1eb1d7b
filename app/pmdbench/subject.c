/* SPDX-License-Identifier: BSD-3-Clause */
/* One subject: a process with a host NIC and the driver under test, which does as it is told. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app/pmdbench/frame.h"
#include "app/pmdbench/measure.h"

static struct bench_host host;
static struct bench_guest guest;

static void
serve(int fd)
{
	struct bench_request request;
	struct bench_reply reply;

	while (recv(fd, &request, sizeof(request), 0) == sizeof(request) &&
		request.what != BENCH_QUIT) {
		measure(&guest, &host, &request, &reply);
		if (send(fd, &reply, sizeof(reply), MSG_NOSIGNAL) != sizeof(reply))
			return;
	}
}

int
subject_main(const struct bench_subject_options *options)
{
	struct bench_reply ready = {0};
	int rc;

	/* It holds hugepages and perhaps a core: never longer than its parent lives. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	rc = host_start(&host, options->dir, options->nic, options->host_cpu, ready.error,
		sizeof(ready.error));
	if (rc == 0) {
		frame_init(host.device.config.mac);
		rc = guest_start(&guest, options, &host, ready.error, sizeof(ready.error));
	}
	if (rc == 0)
		measure_calibrate();
	ready.rc = rc;
	if (send(options->fd, &ready, sizeof(ready), MSG_NOSIGNAL) != sizeof(ready) || rc != 0)
		return EXIT_FAILURE;
	serve(options->fd);
	host_set_mode(&host, HOST_SERVE);
	guest_stop(&guest);
	host_stop(&host);
	return EXIT_SUCCESS;
}
