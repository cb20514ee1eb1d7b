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
#define EVENTS	     16

static inline void
relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#endif
}

/* ---- the control thread's side ---- */

static void
attract(struct hvsim_worker *worker)
{
	uint64_t one = 1;

	/* Seen before the next round, or, when it sleeps, because the write ends its sleep. */
	atomic_store(&worker->attention, true);
	if (write(worker->wake_fd, &one, sizeof(one)) != sizeof(one))
		return;
}

void
worker_pause(struct hvsim_worker *worker)
{
	if (!worker->started)
		return;
	pthread_mutex_lock(&worker->lock);
	worker->pauses++;
	if (!worker->paused)
		attract(worker);
	while (!worker->paused)
		pthread_cond_wait(&worker->changed, &worker->lock);
	pthread_mutex_unlock(&worker->lock);
}

void
worker_resume(struct hvsim_worker *worker)
{
	if (!worker->started)
		return;
	pthread_mutex_lock(&worker->lock);
	if (--worker->pauses == 0) {
		/* Here and not by the worker: a pause that follows at once waits for it to move. */
		worker->paused = false;
		pthread_cond_broadcast(&worker->changed);
	}
	pthread_mutex_unlock(&worker->lock);
}

void
worker_watch(struct hvsim_worker *worker, int fd)
{
	/*
	 * Edge-triggered and never read: each write of the guest wakes us, and a guest that plays
	 * with the flags of the shared descriptor cannot make a read block.
	 */
	struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data = {.fd = fd}};

	epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, fd, &e);
}

void
worker_unwatch(struct hvsim_worker *worker, int fd)
{
	epoll_ctl(worker->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

/* ---- the worker's side ---- */

/* Stand still while somebody wants it. @return false: end */
static bool
worker_attend(struct hvsim_worker *worker)
{
	uint64_t count;
	bool stop;

	pthread_mutex_lock(&worker->lock);
	atomic_store(&worker->attention, false);
	if (read(worker->wake_fd, &count, sizeof(count)) < 0)
		count = 0;
	if (worker->pauses > 0) {
		worker->paused = true;
		pthread_cond_broadcast(&worker->changed);
		while (worker->paused)
			pthread_cond_wait(&worker->changed, &worker->lock);
	}
	stop = worker->stop;
	pthread_mutex_unlock(&worker->lock);
	return !stop;
}

/* Tell the control thread once about a session that must end. */
static void
worker_report(struct hvsim_worker *worker, struct hvsim_device *device)
{
	uint64_t one = 1;

	if (device->reported || atomic_load_explicit(&device->ended, memory_order_relaxed) == NULL)
		return;
	device->reported = true;
	if (write(worker->main_fd, &one, sizeof(one)) != sizeof(one))
		device->reported = false;
}

/* Ports come and go from the set (knob stall_rx, a TAP that was deleted). */
static void
watch_ports(struct hvsim_worker *worker)
{
	for (unsigned int i = 0; i < worker->n_devices; i++) {
		struct hvsim_device *device = worker->devices[i];
		int fd = host_nic_port_fd(device->nic);
		struct epoll_event e = {.events = EPOLLIN, .data = {.fd = fd}};

		if (fd == device->port_fd)
			continue;
		if (device->port_fd >= 0)
			epoll_ctl(worker->epoll_fd, EPOLL_CTL_DEL, device->port_fd, NULL);
		device->port_fd = fd;
		if (fd >= 0)
			epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, fd, &e);
	}
}

static uint64_t
worker_deadline(struct hvsim_worker *worker)
{
	uint64_t least = UINT64_MAX;

	for (unsigned int i = 0; i < worker->n_devices; i++) {
		uint64_t t = host_nic_deadline(worker->devices[i]->nic);

		least = t < least ? t : least;
	}
	return least;
}

/* Sleep until a doorbell, a port, the control thread or a deadline; or not at all. */
static void
worker_sleep(struct hvsim_worker *worker)
{
	struct epoll_event events[EVENTS];
	uint64_t deadline = worker_deadline(worker);
	unsigned int i, asleep;
	struct timespec ts;
	bool work = false;

	if (deadline < SHORTEST_NAP)
		return;
	watch_ports(worker);
	for (asleep = 0; asleep < worker->n_devices && !work; asleep++)
		work = host_nic_sleep(worker->devices[asleep]->nic);
	if (!work) {
		ts.tv_sec = (time_t)(deadline / UINT64_C(1000000000));
		ts.tv_nsec = (long)(deadline % UINT64_C(1000000000));
		atomic_fetch_add_explicit(&worker->sleeps, 1, memory_order_relaxed);
		epoll_pwait2(worker->epoll_fd, events, EVENTS, deadline == UINT64_MAX ? NULL : &ts,
			NULL);
	}
	for (i = 0; i < asleep; i++)
		host_nic_wake(worker->devices[i]->nic);
}

static void *
worker_run(void *arg)
{
	struct hvsim_worker *worker = arg;
	uint64_t idle_since = 0, now;
	unsigned int i, work;

	if (worker->node >= 0)
		numa_run_on_node(worker->node);
	for (;;) {
		if (atomic_load_explicit(&worker->attention, memory_order_acquire) &&
			!worker_attend(worker))
			return NULL;
		for (i = 0, work = 0; i < worker->n_devices; i++) {
			work += device_poll(worker->devices[i], BUDGET);
			worker_report(worker, worker->devices[i]);
		}
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
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->changed, NULL);
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
	pthread_mutex_lock(&worker->lock);
	worker->stop = true;
	attract(worker);
	pthread_mutex_unlock(&worker->lock);
	pthread_join(worker->thread, NULL);
	worker->started = false;
}

void
worker_destroy(struct hvsim_worker *worker)
{
	close(worker->epoll_fd);
	close(worker->wake_fd);
	pthread_mutex_destroy(&worker->lock);
	pthread_cond_destroy(&worker->changed);
}
