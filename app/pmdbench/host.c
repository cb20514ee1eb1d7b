/* SPDX-License-Identifier: BSD-3-Clause */
/* The host's half of a subject. */
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "app/pmdbench/host.h"
/* For the port of our own, and for where a frame's header is. */
#include "lib/host/nic_internal.h"

#define BUDGET 64u
/*
 * Of a turn that a cell asked for: all of it in one poll. Else the frames of a poll are divided
 * among the channels, and the more queues there are the fewer frames come in a transfer packet.
 */
#define TURN_BUDGET 4096u
#define IDLE_NS	    50000L

static inline void
relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#endif
}

/*
 * PPIs in front of the frames of this turn, whatever was negotiated: 1 = checksum, 2 = hash value
 * and type, in the order in which hosts write them (spec/rndis.md §4.2). The guest has not looked
 * yet.
 */
static void
write_ppis(struct bench_host *host, uint32_t ppis)
{
	uint32_t at = host->device.nic->data_offset;

	for (uint32_t i = 0; i < host->port.handed; i++) {
		const struct host_frame *frame = &host->port.frame[i];
		struct rndis_packet_builder b;

		rndis_packet_begin(&b, frame->data - at);
		if (ppis == 1) {
			rndis_packet_add(
				&b, RNDIS_PPI_CHECKSUM, RNDIS_RX_CSUM_IP_OK | RNDIS_RX_CSUM_UDP_OK);
		} else if (ppis == 2) {
			rndis_packet_add(&b, RNDIS_PPI_HASH_VALUE, 0x12345678u + i);
			rndis_packet_add(
				&b, RNDIS_PPI_HASH_INFO, NDIS_HASH_TOEPLITZ | NDIS_HASH_IPV4);
		}
		rndis_packet_end_at(&b, at, frame->len, at + frame->len);
	}
}

/* Does the NIC write just so many by itself? The hash where RSS is on; checksums that the guest has
 * switched on besides. */
static bool
has_ppis(const struct bench_host *host, uint32_t ppis)
{
	const struct host_nic *nic = host->device.nic;

	return nic->offloads_on == 0 && ppis == (nic->rss.enabled ? 2 : 0);
}

static void
turn(struct bench_host *host, uint32_t ppis)
{
	while (device_turn(&host->device, TURN_BUDGET) != 0)
		;
	if (!has_ppis(host, ppis))
		write_ppis(host, ppis);
}

/* ---- the thread ---- */

static void
serve_socket(struct bench_host *host, int timeout)
{
	struct hvsim_device *device = &host->device;
	struct pollfd p[] = {
		{host->wake_fd, POLLIN, 0},
		{device_listen_fd(device), POLLIN, 0},
		{device_session_fd(device), POLLIN, 0},
	};
	struct timespec nap = {0, IDLE_NS};
	uint64_t count;
	int n = ppoll(p, 3, timeout < 0 ? NULL : &nap, NULL);

	/* Refused, as with a limit of 0 open files. */
	if (n < 0)
		poll(NULL, 0, 1);
	if (n <= 0)
		return;
	if (p[0].revents != 0 && read(host->wake_fd, &count, sizeof(count)) < 0)
		return;
	if (p[2].revents != 0 || atomic_load(&device->ended) != NULL)
		device_process(device);
	if (p[1].revents != 0)
		device_accept(device);
}

static void
serve_crossing(struct bench_host *host)
{
	uint64_t asked;

	while (atomic_load_explicit(&host->wanted, memory_order_relaxed) == HOST_CROSS) {
		/* Acquire and release: pair with host_turn() of the guest's thread. */
		asked = atomic_load_explicit(&host->turns_asked, memory_order_acquire);
		if (asked == atomic_load_explicit(&host->turns_done, memory_order_relaxed)) {
			relax();
			continue;
		}
		turn(host, host->port.ppis);
		atomic_store_explicit(&host->turns_done, asked, memory_order_release);
	}
}

static void *
run(void *arg)
{
	/* Where the rig is preloaded, this thread is not its guest's. */
	void (*outside)(void) = (void (*)(void))dlsym(RTLD_DEFAULT, "rig_outside_thread");
	struct bench_host *host = arg;
	enum host_mode mode;

	if (outside != NULL)
		outside();
	while ((mode = atomic_load(&host->wanted)) != HOST_STOP) {
		bool idle = true;

		atomic_store(&host->mode, mode);
		if (mode == HOST_CROSS) {
			serve_crossing(host);
			continue;
		}
		if (mode == HOST_SERVE)
			idle = device_turn(&host->device, BUDGET) == 0;
		serve_socket(host, mode == HOST_PAUSED ? -1 : idle);
	}
	return NULL;
}

static void
wake(struct bench_host *host)
{
	uint64_t one = 1;

	if (write(host->wake_fd, &one, sizeof(one)) != sizeof(one))
		return;
}

void
host_set_mode(struct bench_host *host, enum host_mode mode)
{
	atomic_store(&host->wanted, mode);
	wake(host);
	/* The thread is our own and bounds what it does. */
	while (atomic_load(&host->mode) != mode)
		sched_yield();
}

uint32_t
host_turn(struct bench_host *host, uint32_t frames, uint32_t ppis)
{
	uint64_t number;

	bench_port_ask(&host->port, frames);
	if (atomic_load_explicit(&host->mode, memory_order_relaxed) != HOST_CROSS) {
		turn(host, ppis);
		return frames - host->port.handed;
	}
	host->port.ppis = ppis;
	number = atomic_load_explicit(&host->turns_asked, memory_order_relaxed) + 1;
	atomic_store_explicit(&host->turns_asked, number, memory_order_release);
	while (atomic_load_explicit(&host->turns_done, memory_order_acquire) != number)
		relax();
	return frames - host->port.handed;
}

static inline uint32_t
one_poll(struct bench_host *host, uint32_t frames)
{
	bench_port_ask(&host->port, frames);
	do {
		device_turn(&host->device, BUDGET);
	} while (host->port.handed < frames && host->port.handed != 0);
	return frames - host->port.handed;
}

__attribute__((noinline)) uint32_t
timed_poll(struct bench_host *host, uint32_t frames)
{
	__asm__ volatile("# timed");
	return one_poll(host, frames);
}

__attribute__((noinline)) uint32_t
counted_poll(struct bench_host *host, uint32_t frames)
{
	__asm__ volatile("# counted");
	return one_poll(host, frames);
}

/* ---- life ---- */

static int
start_thread(struct bench_host *host)
{
	pthread_attr_t attr;
	cpu_set_t cpus;
	int rc;

	pthread_attr_init(&attr);
	CPU_ZERO(&cpus);
	if (host->cpu >= 0) {
		CPU_SET((unsigned int)host->cpu, &cpus);
		pthread_attr_setaffinity_np(&attr, sizeof(cpus), &cpus);
	}
	rc = -pthread_create(&host->thread, &attr, run, host);
	pthread_attr_destroy(&attr);
	host->started = rc == 0;
	return rc;
}

int
host_start(struct bench_host *host, const char *dir, const char *nic, int cpu, char *errbuf,
	size_t errlen)
{
	struct host_nic_config config;
	char text[256];
	int rc;

	memset(host, 0, sizeof(*host));
	host->cpu = cpu;
	bench_port_init(&host->port);
	atomic_store(&host->wanted, HOST_SERVE);
	snprintf(text, sizeof(text), "%s%sport=sink", nic, nic[0] == '\0' ? "" : ",");
	rc = host_nic_config_parse(text, 0, &config, errbuf, errlen);
	if (rc == 0)
		rc = device_create(&host->device, 0, &config, dir, errbuf, errlen);
	if (rc != 0)
		return rc;
	host->device.nic->port->ops->close(host->device.nic->port);
	host->device.nic->port = &host->port.port;
	host->device.signaller = &host->signaller;
	host->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = vfu_signaller_init(&host->signaller);
	if (rc == 0)
		rc = worker_create(&host->worker, 0, -1, true, host->wake_fd);
	if (rc == 0) {
		worker_add(&host->worker, &host->device);
		rc = device_serve(&host->device, errbuf, errlen);
	}
	if (rc == 0)
		rc = start_thread(host);
	if (rc != 0 && errbuf[0] == '\0')
		snprintf(errbuf, errlen, "the host cannot start: %s", strerror(-rc));
	return rc;
}

void
host_stop(struct bench_host *host)
{
	if (host->started) {
		atomic_store(&host->wanted, HOST_STOP);
		wake(host);
		pthread_join(host->thread, NULL);
		host->started = false;
	}
	device_destroy(&host->device);
	worker_destroy(&host->worker);
	vfu_signaller_fini(&host->signaller);
	close(host->wake_fd);
}
