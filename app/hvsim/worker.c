/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Worker threads: poll the NICs, and sleep when nothing moves
 * (spec/vmbus-over-vfio-user.md §9 "A, falling back to C").
 */
#include <errno.h>
#include <numa.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "app/hvsim/hvsim.h"

#define BUDGET	     64u
#define SPIN_NS	     UINT64_C(100000) /* without work this long: sleep */
#define SHORTEST_NAP UINT64_C(50000)  /* a nearer deadline is waited for awake */
/* How often a port is looked at whose descriptor cannot be watched. */
#define UNHEARD_NS UINT64_C(1000000)
#define EVENTS	   16

static inline void
relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#endif
}

void
worker_wake(struct hvsim_worker *worker)
{
	uint64_t one = 1;

	/* Ours alone and never read but by the worker: it cannot be full. */
	if (worker->started && write(worker->wake_fd, &one, sizeof(one)) != sizeof(one))
		return;
}

int
worker_watch(struct hvsim_worker *worker, int fd)
{
	/*
	 * Edge-triggered and never read: each write of the guest wakes us, and a guest that plays
	 * with the flags of the shared descriptor cannot make a read block.
	 */
	struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data = {.fd = fd}};

	return epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0 ? 0 : -errno;
}

void
worker_unwatch(struct hvsim_worker *worker, int fd)
{
	epoll_ctl(worker->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

void
worker_announce(struct hvsim_worker *worker)
{
	uint64_t one = 1;

	/* Only a full one takes no more, and that is readable all the same. */
	if (write(worker->main_fd, &one, sizeof(one)) != sizeof(one))
		return;
}

/*
 * Ports come and go from the set (knob stall_rx, a TAP that was deleted). @return false: it would
 * not be heard, because the user's sets are full (epoll(7), max_user_watches) or memory is
 */
static bool
watch_port(struct hvsim_worker *worker, int *watched, int fd)
{
	struct epoll_event e = {.events = EPOLLIN, .data = {.fd = fd}};

	if (fd == *watched)
		return true;
	if (*watched >= 0)
		epoll_ctl(worker->epoll_fd, EPOLL_CTL_DEL, *watched, NULL);
	*watched = -1;
	if (fd >= 0 && epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, fd, &e) != 0)
		return false;
	*watched = fd;
	return true;
}

/*
 * Let one NIC ask for signals. @return false: it has work after all, or soon. One that the control
 * thread has is passed over: its end wakes us.
 */
static bool
prepare_sleep(struct hvsim_worker *worker, struct hvsim_device *device, uint64_t *deadline)
{
	uint64_t least;
	bool heard, work;

	if (!device_try_lock(device))
		return true;
	/* Both in any case: what a port had before is not to be waited for. */
	heard = watch_port(worker, &device->port_fd[0], host_nic_port_fd(device->nic));
	heard &= watch_port(worker, &device->port_fd[1], host_nic_vf_port_fd(device->nic));
	least = host_nic_deadline(device->nic);
	if (!heard && least > UNHEARD_NS)
		least = UNHEARD_NS;
	*deadline = least < *deadline ? least : *deadline;
	work = least < SHORTEST_NAP || host_nic_sleep(device->nic);
	device->asleep = !work;
	pthread_mutex_unlock(&device->lock);
	return !work;
}

/* Sleep until a doorbell, a port, the control thread or a deadline; or not at all. */
static void
worker_sleep(struct hvsim_worker *worker)
{
	struct epoll_event events[EVENTS];
	uint64_t deadline = UINT64_MAX, count;
	struct timespec ts;

	for (unsigned int i = 0; i < worker->n_devices; i++)
		if (!prepare_sleep(worker, worker->devices[i], &deadline))
			return;
	for (unsigned int i = 0; i < worker->n_lanes; i++)
		if (!lane_prepare_sleep(worker->lanes[i], SHORTEST_NAP, &deadline))
			return;
	ts.tv_sec = (time_t)(deadline / UINT64_C(1000000000));
	ts.tv_nsec = (long)(deadline % UINT64_C(1000000000));
	atomic_fetch_add_explicit(&worker->sleeps, 1, memory_order_relaxed);
	epoll_pwait2(worker->epoll_fd, events, EVENTS, deadline == UINT64_MAX ? NULL : &ts, NULL);
	/* Before the next round: a wake that comes during it ends the next sleep. */
	if (read(worker->wake_fd, &count, sizeof(count)) < 0)
		return;
}

static void *
worker_run(void *arg)
{
	struct hvsim_worker *worker = arg;
	uint64_t idle_since = 0, now;
	unsigned int i, work;

	if (worker->node >= 0)
		numa_run_on_node(worker->node);
	while (!atomic_load_explicit(&worker->stop, memory_order_acquire)) {
		for (i = 0, work = 0; i < worker->n_devices; i++)
			work += device_turn(worker->devices[i], BUDGET);
		for (i = 0; i < worker->n_lanes; i++)
			work += lane_turn(worker->lanes[i], BUDGET);
		if (work != 0) {
			idle_since = 0;
			continue;
		}
		relax();
		if (worker->busy)
			continue;
		now = now_ns();
		if (idle_since == 0)
			idle_since = now;
		else if (now - idle_since >= SPIN_NS) {
			worker_sleep(worker);
			idle_since = 0;
		}
	}
	return NULL;
}

int
worker_create(struct hvsim_worker *worker, unsigned int number, int node, bool busy, int main_fd)
{
	struct epoll_event e = {.events = EPOLLIN};

	memset(worker, 0, sizeof(*worker));
	worker->number = number;
	worker->node = node;
	worker->busy = busy;
	worker->main_fd = main_fd;
	worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	worker->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (worker->epoll_fd < 0 || worker->wake_fd < 0)
		return -errno;
	e.data.fd = worker->wake_fd;
	return epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, worker->wake_fd, &e) == 0 ? 0 : -errno;
}

void
worker_add(struct hvsim_worker *worker, struct hvsim_device *device)
{
	device->worker = worker;
	device->node = worker->node;
	device->busy = worker->busy;
	worker->devices[worker->n_devices++] = device;
}

void
worker_add_lane(struct hvsim_worker *worker, struct hvsim_lane *lane)
{
	lane->worker = worker;
	worker->lanes[worker->n_lanes++] = lane;
}

int
worker_start(struct hvsim_worker *worker)
{
	int rc = -pthread_create(&worker->thread, NULL, worker_run, worker);

	if (rc == 0) {
		char name[16];

		snprintf(name, sizeof(name), "hvsim-w%u", worker->number);
		pthread_setname_np(worker->thread, name);
		worker->started = true;
	}
	return rc;
}

void
worker_stop(struct hvsim_worker *worker)
{
	if (!worker->started)
		return;
	atomic_store(&worker->stop, true);
	worker_wake(worker);
	pthread_join(worker->thread, NULL);
	worker->started = false;
}

void
worker_destroy(struct hvsim_worker *worker)
{
	close(worker->epoll_fd);
	close(worker->wake_fd);
}
