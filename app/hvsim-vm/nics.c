/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/host/log.h"
#include "app/hvsim-vm/nics.h"
#include "lib/vmbus/guid.h"

/* ---- what the bus asks of the NIC ---- */

static int
device_open(void *ctx, unsigned int index, const struct vmbus_ring *tx, const struct vmbus_ring *rx)
{
	struct nic_device *n = ctx;

	return host_nic_channel_open(n->nic, index, tx, rx);
}

static void
device_close(void *ctx, unsigned int index)
{
	struct nic_device *n = ctx;

	host_nic_channel_close(n->nic, index);
}

/* One buffer takes the other along: a NIC without one of them is of no use (spec/nvsp.md §12). */
static void
device_revoked(void *ctx, struct vbus_view *view)
{
	struct nic_device *n = ctx;

	host_nic_buffers_revoked(n->nic);
}

static const struct vbus_device_ops device_ops = {
	.open = device_open, .close = device_close, .revoked = device_revoked};

/* ---- what the NIC asks of the bus ---- */

static void
transport_signal(void *ctx, unsigned int channel)
{
	struct nic_device *n = ctx;

	vbus_device_signal(n->bus, &n->device, channel);
}

static const void *
transport_page(void *ctx, uint64_t pfn)
{
	struct nic_device *n = ctx;

	return ram_pfn_ok(n->bus->ram, pfn) ? ram_at(n->bus->ram, pfn << 12, 4096) : NULL;
}

static int
transport_buffer(void *ctx, uint32_t handle, struct host_buffer *buffer)
{
	struct nic_device *n = ctx;
	struct vbus_view *view;
	int rc = vbus_view_get(n->bus, &n->device, handle, &view);

	if (rc != 0)
		return rc;
	buffer->base = view->base;
	buffer->len = view->len;
	buffer->owner = view;
	return 0;
}

static void
transport_release(void *ctx, const struct host_buffer *buffer)
{
	struct nic_device *n = ctx;

	vbus_view_put(n->bus, buffer->owner);
}

static int
transport_subchannels(void *ctx, unsigned int count)
{
	struct nic_device *n = ctx;
	unsigned int most = n->device.max_channels - 1;

	return (int)(count < most ? count : most);
}

static void
transport_offer(void *ctx, unsigned int count)
{
	struct nic_device *n = ctx;

	vbus_device_offer_subchannels(n->bus, &n->device, count);
}

static void
transport_broken(void *ctx, unsigned int channel, const char *why)
{
	struct nic_device *n = ctx;

	log_guest(&n->complaints, "NIC %u: channel %u stopped: %s", n->number, channel, why);
}

static void
transport_complain(void *ctx, const char *what)
{
	struct nic_device *n = ctx;

	/* Bounded already: one of a kind in ten seconds. */
	log_line("NIC %u: %s", n->number, what);
}

int
nics_create(struct nics *nics, struct vbus *bus, struct bus_lock *lock, int kick_fd,
	const struct host_nic_config *configs, unsigned int count)
{
	unsigned int i;

	memset(nics, 0, sizeof(*nics));
	nics->bus = bus;
	nics->lock = lock;
	nics->kick_fd = kick_fd;
	nics->epoll_fd = nics->timer_fd = nics->control_stop = -1;
	for (i = 0; i < count && i < NICS_MAX; i++) {
		struct nic_device *n = &nics->nic[i];
		struct host_transport transport = {.ctx = n,
			.signal = transport_signal,
			.page = transport_page,
			.buffer = transport_buffer,
			.release = transport_release,
			.subchannels = transport_subchannels,
			.offer = transport_offer,
			.broken = transport_broken,
			.complain = transport_complain};
		char errbuf[512];
		int rc;

		n->bus = bus;
		n->number = i;
		n->config = configs[i];
		nics->count = i + 1;
		rc = host_nic_create(&n->config, &transport, &n->nic, errbuf, sizeof(errbuf));
		if (rc != 0) {
			log_line("--nic number %u: %s", i, errbuf);
			n->nic = NULL;
			return rc;
		}
		memcpy(n->device.type, vmbus_nic_class, 16);
		memcpy(n->device.instance, n->config.instance, 16);
		n->device.max_channels = n->config.channels;
		n->device.ops = &device_ops;
		n->device.ctx = n;
		vbus_device_add(bus, &n->device);
	}
	return 0;
}

int
nics_record(struct nics *nics)
{
	char errbuf[512];
	unsigned int i;
	int rc = 0;

	for (i = 0; rc == 0 && i < nics->count; i++) {
		rc = host_nic_record(nics->nic[i].nic, errbuf, sizeof(errbuf));
		if (rc != 0)
			log_line("--nic number %u: %s", i, errbuf);
	}
	return rc;
}

/* ---- control socket ---- */

static void
control_lock(void *ctx, unsigned int nic)
{
	struct nics *nics = ctx;

	bus_lock_take(nics->lock);
}

static void
control_unlock(void *ctx, unsigned int nic)
{
	const uint64_t one = 1;
	struct nics *nics = ctx;

	bus_lock_drop(nics->lock);
	/* What has changed is the bus thread's to tell the guest; it fails only when that is awake.
	 */
	if (write(nics->kick_fd, &one, sizeof(one)) < 0)
		return;
}

static unsigned int
control_nics(void *ctx)
{
	struct nics *nics = ctx;

	return nics->count;
}

static struct host_nic *
control_nic(void *ctx, unsigned int number)
{
	struct nics *nics = ctx;

	return number < nics->count ? nics->nic[number].nic : NULL;
}

/* Only control commands change it, which are its thread's. */
static bool
control_offered(void *ctx, unsigned int number)
{
	struct nics *nics = ctx;

	return nics->nic[number].device.present;
}

static int
control_command(void *ctx, const char *cmd, unsigned int number, char *errbuf, size_t errlen)
{
	struct nics *nics = ctx;
	struct vbus_device *device = &nics->nic[number].device;

	if (strcmp(cmd, "rescind") == 0) {
		if (!device->present) {
			snprintf(errbuf, errlen, "the NIC has been rescinded already");
			return -EALREADY;
		}
		device->primary_first = host_nic_rescinds_primary_first(nics->nic[number].nic);
		vbus_device_rescind(nics->bus, device);
		return 0;
	}
	if (strcmp(cmd, "offer") == 0) {
		if (device->present) {
			snprintf(errbuf, errlen, "the NIC is offered already");
			return -EALREADY;
		}
		vbus_device_present(nics->bus, device);
		return 0;
	}
	return -ENOSYS;
}

struct host_control_ops
nics_control_ops(struct nics *nics)
{
	return (struct host_control_ops){.ctx = nics,
		.lock = control_lock,
		.unlock = control_unlock,
		.nics = control_nics,
		.nic = control_nic,
		.offered = control_offered,
		.command = control_command};
}

/* Of another thread than the one that changes it. */
static bool
report_offered(void *ctx, unsigned int number)
{
	bool offered;

	control_lock(ctx, number);
	offered = control_offered(ctx, number);
	control_unlock(ctx, number);
	return offered;
}

struct host_control_ops
nics_report_ops(struct nics *nics)
{
	struct host_control_ops ops = nics_control_ops(nics);

	ops.offered = report_offered;
	ops.command = NULL;
	return ops;
}

int
nics_control(struct nics *nics, const char *path)
{
	const struct host_control_ops ops = nics_control_ops(nics);
	char errbuf[512];
	int rc = host_control_open(&nics->control, path, &ops, errbuf, sizeof(errbuf));

	if (rc != 0)
		log_line("%s", errbuf);
	return rc;
}

void
nics_scenario(
	struct nics *nics, struct host_scenario *scenario, void (*ended)(void *ctx), void *ctx)
{
	nics->scenario = scenario;
	nics->scenario_ended = ended;
	nics->scenario_ctx = ctx;
}
