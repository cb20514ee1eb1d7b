/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/unit/hvsim_rig.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "test/unit/unit.h"

struct hvsim_rig rig = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void
serve(struct hvsim_device *device, const struct pollfd *p)
{
	bool due = device_deadline(device) <= now_ns();

	if (p[1].revents != 0 || atomic_load(&device->ended) != NULL)
		device_process(device);
	if (p[0].revents == 0 && !(due && device->accept_after != 0))
		return;
	atomic_fetch_add(&rig.accepts, 1);
	device_accept(device);
}

static void *
control_run(void *arg)
{
	while (!atomic_load(&rig.stop)) {
		struct pollfd p[1 + 2 * RIG_NICS] = {{rig.event_fd, POLLIN, 0}};
		uint64_t count;
		unsigned int i;

		pthread_mutex_lock(&rig.lock);
		for (i = 0; i < rig.n; i++) {
			p[1 + 2 * i] = (struct pollfd){device_listen_fd(&rig.device[i]), POLLIN, 0};
			p[2 + 2 * i] =
				(struct pollfd){device_session_fd(&rig.device[i]), POLLIN, 0};
		}
		pthread_mutex_unlock(&rig.lock);
		poll(p, 1 + 2 * rig.n, 10);
		pthread_mutex_lock(&rig.lock);
		if (p[0].revents != 0 && read(rig.event_fd, &count, sizeof(count)) < 0)
			count = 0;
		/* The bound is for gcc 14, which takes the loop apart and fears the worst. */
		for (i = 0; i < rig.n && i < RIG_NICS; i++)
			serve(&rig.device[i], &p[1 + 2 * i]);
		pthread_mutex_unlock(&rig.lock);
	}
	return NULL;
}

void
rig_start(const char *dir, unsigned int n, const char *spec, const struct hvsim_budget *budget,
	bool busy)
{
	struct host_nic_config config;
	char err[HVSIM_ERRLEN] = "";
	unsigned int i;

	CU_ASSERT_EQUAL_FATAL(vfu_signaller_init(&rig.signaller), 0);
	rig.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	CU_ASSERT_EQUAL_FATAL(worker_create(&rig.worker, 0, -1, busy, rig.event_fd), 0);
	for (i = 0; i < n; i++) {
		struct hvsim_device *device = &rig.device[i];

		CU_ASSERT_EQUAL_FATAL(host_nic_config_parse(spec, i, &config, err, sizeof(err)), 0);
		CU_ASSERT_EQUAL_FATAL(device_create(device, i, &config, dir, err, sizeof(err)), 0);
		device->signaller = &rig.signaller;
		if (budget != NULL)
			device->budget = *budget;
		worker_add(&rig.worker, device);
	}
	rig.n = n;
	for (i = 1; i < rig.lanes; i++)
		CU_ASSERT_EQUAL_FATAL(worker_create(&rig.other[i], i, -1, busy, rig.event_fd), 0);
	if (rig.lanes > 1)
		CU_ASSERT_EQUAL_FATAL(device_spread(&rig.device[0], rig.lanes), rig.lanes);
	for (i = 1; i < rig.lanes; i++) {
		worker_add_lane(&rig.other[i], rig.device[0].lanes[i]);
		CU_ASSERT_EQUAL_FATAL(worker_start(&rig.other[i]), 0);
	}
	CU_ASSERT_EQUAL_FATAL(worker_start(&rig.worker), 0);
	for (i = 0; i < n; i++)
		CU_ASSERT_EQUAL_FATAL(device_serve(&rig.device[i], err, sizeof(err)), 0);
	atomic_store(&rig.stop, false);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&rig.control, NULL, control_run, NULL), 0);
}

void
rig_stop(void)
{
	atomic_store(&rig.stop, true);
	pthread_join(rig.control, NULL);
	worker_stop(&rig.worker);
	for (unsigned int i = 1; i < rig.lanes; i++)
		worker_stop(&rig.other[i]);
	for (unsigned int i = 0; i < rig.n; i++) {
		device_destroy(&rig.device[i]);
		CU_ASSERT_NOT_EQUAL(access(rig.device[i].path, F_OK), 0);
	}
	worker_destroy(&rig.worker);
	for (unsigned int i = 1; i < rig.lanes; i++)
		worker_destroy(&rig.other[i]);
	vfu_signaller_fini(&rig.signaller);
	close(rig.event_fd);
	rig.event_fd = 0;
}
