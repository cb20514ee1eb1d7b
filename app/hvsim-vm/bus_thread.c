/* SPDX-License-Identifier: BSD-3-Clause */
/* The bus thread: NICs, monitor page, messages (spec/hyperv-host-on-kvm.md §2, §8). */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/host/log.h"
#include "app/hvsim-vm/nics.h"
#include "lib/vmbus/clock.h"

/* Packets and frames per NIC and turn: short enough that a vCPU never waits long for the lock. */
#define BUDGET 64u
/*
 * The guest signals through the monitor page, which nobody but us looks at: look every 200 us
 * while something moved lately, then every millisecond (spec §8).
 */
#define TICK_BUSY_NS UINT64_C(200000)
#define TICK_IDLE_NS UINT64_C(1000000)
#define BUSY_FOR_NS  UINT64_C(10000000)
/* A longest sleep, should anything ever be missed. */
#define TICK_MAX_NS UINT64_C(100000000)
#define PAUSE_NS    UINT64_C(50000)
#define EPOLL_EVERY 16u
/* How long the end of the machine waits for the bus thread. */
#define JOIN_SECONDS 5

static void
drain(int fd)
{
	uint64_t count;

	/* Nonblocking: whether it was readable does not matter. */
	if (read(fd, &count, sizeof(count)) < 0)
		return;
}

/* One turn over everything, bus lock held. @return units of work */
static unsigned int
turn(struct nics *nics)
{
	unsigned int i, work = vbus_monitor_poll(nics->bus);

	for (i = 0; i < nics->count; i++)
		work += host_nic_poll(nics->nic[i].nic, BUDGET);
	synic_pump(nics->bus->synic);
	return work;
}

/* How long to sleep, bus lock held; 0 = do not: something arrived while preparing to. */
static uint64_t
sleep_time(struct nics *nics, uint64_t last_work)
{
	uint64_t ns = TICK_MAX_NS, tick;
	unsigned int i;
	bool work = false;

	for (i = 0; i < nics->count; i++) {
		uint64_t deadline;

		work |= host_nic_sleep(nics->nic[i].nic);
		deadline = host_nic_deadline(nics->nic[i].nic);
		if (deadline < ns)
			ns = deadline;
	}
	if (work)
		return 0;
	if (nics->bus->monitor_page != NULL || nics->bus->synic->queued > 0) {
		tick = monotonic_ns() - last_work < BUSY_FOR_NS ? TICK_BUSY_NS : TICK_IDLE_NS;
		if (tick < ns)
			ns = tick;
	}
	/* A NIC that found no work now finds none in a moment: others may have the CPU. */
	return ns < PAUSE_NS ? PAUSE_NS : ns;
}

/* Wait for events, at most @p ns; 0 = only look. */
static void
wait_events(struct nics *nics, uint64_t ns)
{
	struct itimerspec timer = {.it_value = {.tv_sec = (time_t)(ns / 1000000000u),
					   .tv_nsec = (long)(ns % 1000000000u)}};
	struct epoll_event events[32];
	int i, n;

	if (ns != 0)
		timerfd_settime(nics->timer_fd, 0, &timer, NULL);
	n = epoll_wait(nics->epoll_fd, events, 32, ns == 0 ? 0 : -1);
	for (i = 0; i < n; i++) {
		int fd = events[i].data.fd;

		/* Port descriptors are edge-triggered and read by their ports. */
		if (fd >= 0)
			drain(fd);
	}
}

static void *
bus_thread(void *arg)
{
	struct nics *nics = arg;
	uint64_t last_work = monotonic_ns();
	unsigned int turns = 0, i;

	while (!atomic_load(&nics->stop)) {
		uint64_t ns = 0;
		unsigned int work;

		bus_lock_take_turn(nics->lock);
		work = turn(nics);
		if (work == 0)
			ns = sleep_time(nics, last_work);
		else
			last_work = monotonic_ns();
		bus_lock_drop(nics->lock);

		if (ns == 0 && ++turns % EPOLL_EVERY != 0)
			continue;
		wait_events(nics, ns);
		if (ns == 0)
			continue;
		bus_lock_take_turn(nics->lock);
		for (i = 0; i < nics->count; i++)
			host_nic_wake(nics->nic[i].nic);
		bus_lock_drop(nics->lock);
	}
	return NULL;
}

static int
watch(struct nics *nics, int fd, uint32_t events, bool drained)
{
	struct epoll_event e = {.events = events, .data = {.fd = drained ? fd : -1}};

	return epoll_ctl(nics->epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0 ? 0 : -errno;
}

int
nics_start(struct nics *nics, const int *acks, unsigned int n_acks)
{
	unsigned int i;
	int rc;

	nics->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	nics->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (nics->epoll_fd < 0 || nics->timer_fd < 0) {
		rc = -errno;
		goto fail;
	}
	rc = watch(nics, nics->timer_fd, EPOLLIN, true);
	if (rc == 0)
		rc = watch(nics, nics->kick_fd, EPOLLIN, true);
	for (i = 0; rc == 0 && i < n_acks; i++)
		rc = watch(nics, acks[i], EPOLLIN, true);
	for (i = 0; rc == 0 && i < nics->count; i++) {
		int fd = host_nic_port_fd(nics->nic[i].nic);
		int vf_fd = host_nic_vf_port_fd(nics->nic[i].nic);

		if (fd >= 0)
			rc = watch(nics, fd, EPOLLIN | EPOLLET, false);
		if (rc == 0 && vf_fd >= 0)
			rc = watch(nics, vf_fd, EPOLLIN | EPOLLET, false);
	}
	if (rc != 0)
		goto fail;
	rc = -pthread_create(&nics->thread, NULL, bus_thread, nics);
	nics->started = rc == 0;
	if (rc == 0)
		return nics_control_start(nics);
fail:
	log_line("cannot start the bus thread: %s", strerror(-rc));
	return rc;
}

static bool
join(struct nics *nics, const struct timespec *until)
{
	const uint64_t one = 1;

	/* An eventfd write fails only at 2^64-1: then the thread is awake anyway. */
	if (write(nics->kick_fd, &one, sizeof(one)) < 0)
		log_line("cannot wake the bus thread");
	/* It may hang in a port: a file of the user's on a dead file system. */
	return pthread_timedjoin_np(nics->thread, NULL, until) == 0;
}

bool
nics_stop(struct nics *nics)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += JOIN_SECONDS;
	atomic_store(&nics->stop, true);
	if (nics->started && !join(nics, &until)) {
		log_line("the bus thread does not stop; giving up on it");
		return false;
	}
	nics->started = false;
	if (!nics_control_stop(nics, &until)) {
		log_line("the thread of the control socket does not stop; giving up on it");
		return false;
	}
	return true;
}

bool
nics_destroy(struct nics *nics)
{
	unsigned int i;

	if (!nics_stop(nics))
		return false;
	if (nics->count != 0) {
		bus_lock_take(nics->lock);
		vbus_reset(nics->bus);
		nics->bus->devices = NULL;
		bus_lock_drop(nics->lock);
	}
	for (i = 0; i < nics->count; i++)
		host_nic_destroy(nics->nic[i].nic);
	nics->count = 0;
	if (nics->epoll_fd >= 0)
		close(nics->epoll_fd);
	if (nics->timer_fd >= 0)
		close(nics->timer_fd);
	return true;
}
