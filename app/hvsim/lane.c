/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lanes of a NIC (lib/host/nic_lanes.c) on other workers than the NIC's own. A lane has a lock of
 * its own, which its worker holds for one turn. Who stops the NIC stops its lanes as well: the
 * control thread takes all locks, the NIC's worker tries to, and neither lets a lane begin another
 * turn meanwhile.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app/hvsim/hvsim.h"

/* ---- locks ---- */

bool
lane_try_lock(struct hvsim_lane *lane)
{
	struct hvsim_device *device = lane->device;

	/* Wanted first: else whoever wants it might never find it free. */
	return atomic_load_explicit(&device->wanted, memory_order_relaxed) == 0 &&
	       !atomic_load_explicit(&device->halt, memory_order_relaxed) &&
	       pthread_mutex_trylock(&lane->lock) == 0;
}

void
lanes_lock(struct hvsim_device *device)
{
	for (unsigned int k = 1; k < device->n_lanes; k++)
		pthread_mutex_lock(&device->lanes[k]->lock);
}

static void
unlock_before(struct hvsim_device *device, unsigned int k)
{
	while (k-- > 1)
		pthread_mutex_unlock(&device->lanes[k]->lock);
}

void
lanes_unlock(struct hvsim_device *device)
{
	unlock_before(device, device->n_lanes);
}

void
lanes_wake(struct hvsim_device *device)
{
	for (unsigned int k = 1; k < device->n_lanes; k++)
		worker_wake(device->lanes[k]->worker);
}

bool
lanes_stop(struct hvsim_device *device)
{
	unsigned int k;

	atomic_store(&device->halt, true);
	device->asked_halt = true;
	for (k = 1; k < device->n_lanes; k++)
		if (pthread_mutex_trylock(&device->lanes[k]->lock) != 0) {
			unlock_before(device, k);
			return false;
		}
	device->halted = true;
	return true;
}

void
lanes_turn_over(struct hvsim_device *device)
{
	bool halt = atomic_load_explicit(&device->halt, memory_order_relaxed);

	if (device->halted)
		lanes_unlock(device);
	/* One that was asked for in vain stays until the next turn, which asks again. */
	if (device->halted || (halt && !device->asked_halt)) {
		atomic_store(&device->halt, false);
		lanes_wake(device);
	}
	device->halted = device->asked_halt = false;
}

void
lanes_refresh(struct hvsim_device *device)
{
	for (unsigned int k = 1; k < device->n_lanes; k++) {
		struct hvsim_lane *lane = device->lanes[k];

		if (pthread_mutex_trylock(&lane->lock) != 0)
			continue;
		host_nic_publish(lane->nic);
		pthread_mutex_unlock(&lane->lock);
		worker_wake(lane->worker);
	}
}

/* ---- sessions: control thread, device locked ---- */

int
lanes_attach(struct hvsim_device *device)
{
	struct hvsim_session_memory *m = device->memory;

	for (unsigned int k = 1; k < device->n_lanes; k++) {
		int rc = worker_watch(device->lanes[k]->worker, m->doorbell);

		if (rc != 0) {
			while (k-- > 1)
				worker_unwatch(device->lanes[k]->worker, m->doorbell);
			return rc;
		}
	}
	for (unsigned int k = 1; k < device->n_lanes; k++)
		host_memmap_reader_add(m->map, &device->lanes[k]->reader);
	return 0;
}

void
lanes_detach(struct hvsim_device *device)
{
	for (unsigned int k = 1; k < device->n_lanes; k++) {
		worker_unwatch(device->lanes[k]->worker, device->memory->doorbell);
		host_memmap_reader_remove(device->memory->map, &device->lanes[k]->reader);
	}
}

/* ---- turns: the lane's worker, lane locked ---- */

unsigned int
lane_turn(struct hvsim_lane *lane, unsigned int budget)
{
	struct hvsim_device *device = lane->device;
	unsigned int work = 0;

	if (!lane_try_lock(lane))
		return 0;
	if (lane->asleep)
		host_nic_wake(lane->nic);
	lane->asleep = false;
	if (device->attached) {
		host_memmap_enter(&lane->reader);
		work = host_nic_poll(lane->nic, budget);
		host_memmap_leave(&lane->reader);
		device_check_memory(device);
	}
	pthread_mutex_unlock(&lane->lock);
	return work;
}

bool
lane_prepare_sleep(struct hvsim_lane *lane, uint64_t shortest, uint64_t *deadline)
{
	uint64_t least;
	bool work;

	/* Its end wakes us. */
	if (!lane_try_lock(lane))
		return true;
	least = host_nic_deadline(lane->nic);
	*deadline = least < *deadline ? least : *deadline;
	work = least < shortest || host_nic_sleep(lane->nic);
	lane->asleep = !work;
	pthread_mutex_unlock(&lane->lock);
	return !work;
}

/* ---- transport ---- */

static void
lane_signal(void *ctx, unsigned int channel)
{
	struct hvsim_lane *lane = ctx;

	if (lane->device->session != NULL)
		vfu_session_signal_channel(lane->device->session, channel);
}

static const void *
lane_page(void *ctx, uint64_t pfn)
{
	return host_memmap_page(&((struct hvsim_lane *)ctx)->reader, pfn);
}

static void
lane_broken(void *ctx, unsigned int channel, const char *why)
{
	struct hvsim_lane *lane = ctx;

	log_guest(&lane->device->complaints,
		"nic %u: channel %u stopped: %s; the guest must reset it", lane->device->number,
		channel, why);
}

static void
lane_complain(void *ctx, const char *what)
{
	log_line("nic %u: %s", ((struct hvsim_lane *)ctx)->device->number, what);
}

static void
lane_wake(void *ctx)
{
	worker_wake(((struct hvsim_lane *)ctx)->device->worker);
}

/* ---- life ---- */

unsigned int
device_spread(struct hvsim_device *device, unsigned int threads)
{
	static const struct host_transport transport = {
		.signal = lane_signal,
		.page = lane_page,
		.broken = lane_broken,
		.complain = lane_complain,
		.wake = lane_wake,
	};
	unsigned int k, n = threads;
	void *ctx[HOST_MAX_LANES];

	if (n > device->config.channels)
		n = device->config.channels;
	if (n > HOST_MAX_LANES)
		n = HOST_MAX_LANES;
	if (n < 2 || !device->config.spread || device->config.capture[0] != '\0')
		return 1;
	for (k = 1; k < n; k++) {
		struct hvsim_lane *lane = calloc(1, sizeof(*lane));

		if (lane == NULL)
			break;
		lock_init(&lane->lock);
		lane->device = device;
		ctx[k] = device->lanes[k] = lane;
	}
	device->n_lanes = k;
	/* One that cannot be spread is served by one thread, as any. */
	if (k < n || host_nic_spread(device->nic, n, &transport, ctx) != 0) {
		lanes_free(device);
		return 1;
	}
	for (k = 1; k < n; k++)
		device->lanes[k]->nic = host_nic_lane(device->nic, k);
	return n;
}

void
lanes_free(struct hvsim_device *device)
{
	for (unsigned int k = 1; k < device->n_lanes; k++) {
		pthread_mutex_destroy(&device->lanes[k]->lock);
		free(device->lanes[k]);
	}
	device->n_lanes = 0;
}

void
lanes_spread(struct hvsim_device *devices, unsigned int n_devices, struct hvsim_worker *workers,
	unsigned int n_workers)
{
	for (unsigned int i = 0; n_workers > n_devices && i < n_devices; i++)
		for (unsigned int k = device_spread(&devices[i], n_workers); k-- > 1;)
			worker_add_lane(&workers[(i + k) % n_workers], devices[i].lanes[k]);
}
