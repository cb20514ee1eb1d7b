/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One NIC served over vfio-user: its socket, the life of its sessions
 * (spec/vmbus-over-vfio-user.md §10), and the transport it gives to lib/host.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/hvsim/hvsim.h"
#include "lib/vmbus/guid.h"

/* Any non-zero, different numbers will do (§8); these are easy to spot in a dump. */
#define GPADL_RECV UINT32_C(0xe1e10)
#define GPADL_SEND UINT32_C(0xe1e11)
#define RELID_BASE 14u

#define RESCIND_WAIT_NS UINT64_C(5000000000)
/* Without descriptors or memory for another client: try again then. */
#define ACCEPT_PAUSE_NS UINT64_C(100000000)

/* ---- lock ---- */

bool
device_try_lock(struct hvsim_device *device)
{
	/* Wanted first: else the control thread might never find it free. */
	return atomic_load_explicit(&device->wanted, memory_order_relaxed) == 0 &&
	       pthread_mutex_trylock(&device->lock) == 0;
}

void
device_lock(struct hvsim_device *device)
{
	atomic_fetch_add(&device->wanted, 1);
	pthread_mutex_lock(&device->lock);
	lanes_lock(device);
}

void
device_unlock(struct hvsim_device *device)
{
	host_nic_settle(device->nic);
	atomic_store(&device->halt, false);
	lanes_unlock(device);
	pthread_mutex_unlock(&device->lock);
	atomic_fetch_sub(&device->wanted, 1);
	/* It may have gone to sleep without this NIC's doorbell. */
	if (device->worker != NULL) {
		worker_wake(device->worker);
		lanes_wake(device);
	}
}

void
device_refresh(struct hvsim_device *device)
{
	if (pthread_mutex_trylock(&device->lock) != 0)
		return;
	host_nic_publish(device->nic);
	lanes_refresh(device);
	pthread_mutex_unlock(&device->lock);
	if (device->worker != NULL)
		worker_wake(device->worker);
}

/* ---- descriptor ---- */

void
device_publish(struct hvsim_device *device, bool event)
{
	vmbus_device_publish(device->memory->region[VMBUS_REGION_DESCRIPTOR].map, &device->info);
	if (event && device->session != NULL)
		vfu_session_signal(device->session, VMBUS_IRQ_DEVICE, 0);
}

static void
describe_channel(struct hvsim_device *device, unsigned int k)
{
	device->info.channel[k] = (struct vmbus_device_channel){
		.state = VMBUS_CHANNEL_OPEN,
		.relid = RELID_BASE + k,
		.monitor_id = VMBUS_MONITOR_NONE,
		.region = k == 0 ? VMBUS_REGION_RINGS : VMBUS_REGION_CHANNEL_BASE + k,
		.ring_bytes = device->config.ring_bytes,
		.doorbell = 4 * k,
		.irq = k,
		.target_vp = VMBUS_VP_UNKNOWN,
		.epoch = device->epoch,
	};
}

/* The descriptor of a session that begins, or begins anew: only the primary channel. */
static void
describe(struct hvsim_device *device, uint32_t state)
{
	uint32_t generation = device->info.generation;

	device->epoch++;
	device->info = (struct vmbus_device_info){
		.generation = generation,
		.state = state,
		.flags = VMBUS_DEVICE_FLAG_DOORBELL | (device->busy ? VMBUS_DEVICE_FLAG_BUSY : 0),
		.vmbus_version = VMBUS_DESC_VERSION_5_3,
		.epoch = device->epoch,
		.relid = RELID_BASE,
		.monitor_id = VMBUS_MONITOR_NONE,
		.numa_node = device->node,
		.max_channels = device->config.channels,
		.num_channels = 1,
		.recv_gpadl = GPADL_RECV,
		.send_gpadl = GPADL_SEND,
		.recv_size = device->config.recv_bytes,
		.send_size = device->config.send_bytes,
		.rings_size = 2 * (uint64_t)device->config.ring_bytes,
	};
	memcpy(device->info.instance, device->config.instance, 16);
	describe_channel(device, 0);
}

/* ---- transport: called by the NIC on the worker ---- */

static void
transport_signal(void *ctx, unsigned int channel)
{
	struct hvsim_device *device = ctx;

	if (device->session != NULL)
		vfu_session_signal_channel(device->session, channel);
}

static const void *
transport_page(void *ctx, uint64_t pfn)
{
	struct hvsim_device *device = ctx;

	return host_memmap_page(&device->reader, pfn);
}

static int
transport_buffer(void *ctx, uint32_t handle, struct host_buffer *buffer)
{
	struct hvsim_device *device = ctx;
	struct hvsim_region *region;

	if (!device->attached || (handle != GPADL_RECV && handle != GPADL_SEND))
		return -ENOENT;
	region = &device->memory
			  ->region[handle == GPADL_RECV ? VMBUS_REGION_RECV : VMBUS_REGION_SEND];
	buffer->base = region->map;
	buffer->len = region->len;
	return 0;
}

/* §10 "Subchannels": everything is valid before the answer goes into the ring. */
static int
transport_subchannels(void *ctx, unsigned int count)
{
	struct hvsim_device *device = ctx;
	unsigned int k;
	int rc = 0;

	if (!device->attached)
		return -ENODEV;
	for (k = 1; k <= count && k < device->config.channels; k++) {
		struct hvsim_rings *rings = &device->memory->rings[k];

		if (rings->fd >= 0)
			continue;
		rc = memory_rings_create(device, rings, k, false);
		if (rc == 0)
			rc = host_nic_channel_open(device->nic, k, &rings->tx, &rings->rx);
		if (rc != 0) {
			memory_rings_destroy(rings);
			break;
		}
		describe_channel(device, k);
		device->info.num_channels++;
	}
	device_publish(device, true);
	return k > 1 ? (int)k - 1 : rc;
}

static void
transport_broken(void *ctx, unsigned int channel, const char *why)
{
	struct hvsim_device *device = ctx;

	log_guest(&device->complaints, "nic %u: channel %u stopped: %s; the guest must reset it",
		device->number, channel, why);
}

static void
transport_complain(void *ctx, const char *what)
{
	struct hvsim_device *device = ctx;

	/* Bounded already: one of a kind in ten seconds. */
	log_line("nic %u: %s", device->number, what);
}

void
device_check_memory(struct hvsim_device *device)
{
	/* Announced with the lock held: the session that ends is still this one. */
	if (host_memmap_poisoned(device->memory->map) && atomic_load(&device->ended) == NULL) {
		atomic_store(&device->ended, "it truncated a file that it shares");
		worker_announce(device->worker);
	}
}

static bool
transport_stop_lanes(void *ctx)
{
	return lanes_stop(ctx);
}

static unsigned int
device_poll(struct hvsim_device *device, unsigned int budget)
{
	unsigned int work;

	if (device->asleep)
		host_nic_wake(device->nic);
	device->asleep = false;
	if (!device->attached)
		return host_nic_poll(device->nic, budget);
	host_memmap_enter(&device->reader);
	work = host_nic_poll(device->nic, budget);
	host_memmap_leave(&device->reader);
	device_check_memory(device);
	return work;
}

unsigned int
device_turn(struct hvsim_device *device, unsigned int budget)
{
	unsigned int work;

	if (!device_try_lock(device))
		return 0;
	work = device_poll(device, budget);
	if (device->n_lanes != 0)
		lanes_turn_over(device);
	pthread_mutex_unlock(&device->lock);
	return work;
}

/* ---- sessions: control thread, device locked unless noted ---- */

int
device_opened(struct hvsim_device *device)
{
	struct hvsim_session_memory *m = device->memory;
	int rc;

	if (m == NULL)
		return -ENOMEM;
	describe(device, VMBUS_DEVICE_OFFERED);
	device_publish(device, false);
	rc = worker_watch(device->worker, m->doorbell);
	if (rc != 0)
		return rc;
	rc = host_nic_channel_open(device->nic, 0, &m->rings[0].tx, &m->rings[0].rx);
	if (rc == 0) {
		rc = lanes_attach(device);
		if (rc != 0)
			host_nic_channel_close(device->nic, 0);
	}
	if (rc != 0) {
		worker_unwatch(device->worker, m->doorbell);
		return rc;
	}
	host_memmap_reader_add(m->map, &device->reader);
	device->attached = true;
	device->sessions++;
	return 0;
}

/* Stop using the session's memory. */
static void
device_detach(struct hvsim_device *device)
{
	if (!device->attached)
		return;
	host_nic_channel_close(device->nic, 0);
	host_nic_buffers_revoked(device->nic);
	worker_unwatch(device->worker, device->memory->doorbell);
	host_memmap_reader_remove(device->memory->map, &device->reader);
	lanes_detach(device);
	device->attached = false;
}

int
device_reset(struct hvsim_device *device)
{
	struct hvsim_session_memory *m = device->memory;
	uint32_t state = device->rescinded ? VMBUS_DEVICE_RESCINDED : VMBUS_DEVICE_OFFERED;

	if (!device->attached)
		return -EINVAL;
	device->reset_seen = true;
	host_nic_channel_close(device->nic, 0);
	host_nic_buffers_revoked(device->nic);
	for (unsigned int k = 1; k < HOST_MAX_CHANNELS; k++)
		memory_rings_destroy(&m->rings[k]);
	memory_rings_reset(&m->rings[0]);
	memset(m->region[VMBUS_REGION_MONITOR].map, 0, VMBUS_DEVICE_PAGE);
	describe(device, state);
	/* No interrupt: the client asked and re-reads (§9). */
	device_publish(device, false);
	return host_nic_channel_open(device->nic, 0, &m->rings[0].tx, &m->rings[0].rx);
}

static void
session_end(struct hvsim_device *device, const char *why)
{
	struct hvsim_session_memory *memory = device->memory;
	struct vfu_session *session = device->session;

	if (session == NULL)
		return;
	device_lock(device);
	if (why != NULL)
		log_guest(&device->complaints, "nic %u: session of process %d ended: %s",
			device->number, vfu_session_peer_pid(session), why);
	device_detach(device);
	if (memory != NULL) {
		/* Secondaries of the client may still look at it (§13). */
		device->info.state = VMBUS_DEVICE_DEAD;
		device_publish(device, false);
	}
	device->session = NULL;
	device->memory = NULL;
	atomic_store(&device->ended, NULL);
	device_unlock(device);
	vfu_session_close(session);
	memory_destroy(memory);
}

/*
 * There are not the means for a client. The listening socket stays readable: without a pause we
 * would do nothing but try.
 */
static void
accept_later(struct hvsim_device *device, int err)
{
	device->accept_after = now_ns() + ACCEPT_PAUSE_NS;
	log_guest(&device->complaints, "nic %u: cannot serve a client now: %s%s", device->number,
		strerror(-err),
		err == -EMFILE ? "; raise the limit of open files (ulimit -Hn)" : "");
}

void
device_accept(struct hvsim_device *device)
{
	struct vfu_session *session = NULL;
	int rc;

	device->accept_after = 0;
	/* It may have been taken away since poll() saw a client. */
	if (device->rescinded)
		return;
	/* Tens of megabytes of zeroed memory: made while the worker runs. */
	if (device->session == NULL && device->memory == NULL) {
		device->memory = memory_create(device);
		if (device->memory == NULL)
			accept_later(device, -errno);
	}
	rc = vfu_server_accept(device->server, &session);
	if (rc != 0 && rc != -EAGAIN)
		accept_later(device, rc);
	if (rc != 0)
		return;
	device_lock(device);
	device->session = session;
	device->reset_seen = false;
	device_unlock(device);
}

void
device_process(struct hvsim_device *device)
{
	const char *why = atomic_load(&device->ended);
	int rc;

	if (device->session == NULL)
		return;
	if (why != NULL) {
		session_end(device, why);
		return;
	}
	device_lock(device);
	rc = vfu_session_process(device->session);
	device_unlock(device);
	if (rc == -ECONNRESET)
		session_end(device, NULL);
	else if (rc != 0)
		session_end(device, vfu_session_error(device->session));
	else if (device->rescinded && (device->reset_seen || now_ns() >= device->rescind_deadline))
		session_end(device, NULL);
}

/* ---- hot-remove and hot-add ---- */

uint64_t
device_deadline(const struct hvsim_device *device)
{
	uint64_t when = device->accept_after != 0 ? device->accept_after : UINT64_MAX;

	if (device->rescinded && device->session != NULL && device->rescind_deadline < when)
		when = device->rescind_deadline;
	return when;
}

int
device_rescind(struct hvsim_device *device, char *errbuf, size_t errlen)
{
	if (device->rescinded) {
		snprintf(errbuf, errlen, "NIC %u is rescinded already", device->number);
		return -EALREADY;
	}
	device_lock(device);
	device->rescinded = true;
	device->reset_seen = false;
	device->rescind_deadline = now_ns() + RESCIND_WAIT_NS;
	device->accept_after = 0;
	vfu_server_withdraw(device->server);
	if (device->attached) {
		device->info.state = VMBUS_DEVICE_RESCINDED;
		device_publish(device, true);
	}
	device_unlock(device);
	return 0;
}

int
device_offer(struct hvsim_device *device, char *errbuf, size_t errlen)
{
	int rc;

	if (!device->rescinded) {
		snprintf(errbuf, errlen, "NIC %u is offered already", device->number);
		return -EALREADY;
	}
	/* First: when it fails nothing has changed. */
	rc = vfu_server_return(device->server, errbuf, errlen);
	if (rc != 0)
		return rc;
	session_end(device, NULL);
	device->rescinded = false;
	return 0;
}

/* ---- life of the device ---- */

int
device_serve(struct hvsim_device *device, char *errbuf, size_t errlen)
{
	device->vfu.signaller = device->signaller;
	device->vfu.max_irq_fds = device->budget.fds;
	return vfu_server_create(device->path, &device->vfu, &device->server, errbuf, errlen);
}

int
device_create(struct hvsim_device *device, unsigned int number,
	const struct host_nic_config *config, const char *dir, char *errbuf, size_t errlen)
{
	const struct host_transport transport = {
		.ctx = device,
		.signal = transport_signal,
		.page = transport_page,
		.buffer = transport_buffer,
		.subchannels = transport_subchannels,
		.broken = transport_broken,
		.complain = transport_complain,
		.stop_lanes = transport_stop_lanes,
	};

	memset(device, 0, sizeof(*device));
	lock_init(&device->lock);
	device->number = number;
	device->config = *config;
	device->node = -1;
	device->port_fd[0] = device->port_fd[1] = -1;
	vmbus_guid_format(config->instance, device->guid);
	if (vfu_socket_path(dir, config->instance, device->path) != 0) {
		snprintf(errbuf, errlen,
			"the path of a socket in %s is longer than %u bytes; use a shorter --dir",
			dir, VFU_PATH_MAX - 1);
		return -ENAMETOOLONG;
	}
	device->vfu = (struct vfu_device){
		.ops = &hvsim_vfu_ops,
		.ctx = device,
		.flags = VFIO_USER_DEVICE_RESET_CAP,
		.num_regions = VMBUS_DEVICE_REGIONS(config->channels),
		.num_irqs = VMBUS_IRQ_COUNT,
		.irq_count = {config->channels, 1},
	};
	return host_nic_create(config, &transport, &device->nic, errbuf, errlen);
}

void
device_destroy(struct hvsim_device *device)
{
	if (device->session != NULL)
		session_end(device, NULL);
	memory_destroy(device->memory);
	device->memory = NULL;
	vfu_server_destroy(device->server);
	device->server = NULL;
	host_nic_destroy(device->nic);
	device->nic = NULL;
	lanes_free(device);
	pthread_mutex_destroy(&device->lock);
}

int
device_listen_fd(const struct hvsim_device *device)
{
	return device->server != NULL && !device->rescinded && device->accept_after == 0
		       ? vfu_server_listen_fd(device->server)
		       : -1;
}

int
device_session_fd(const struct hvsim_device *device)
{
	return device->session != NULL ? vfu_session_fd(device->session) : -1;
}
