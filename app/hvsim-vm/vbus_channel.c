/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app/hvsim-vm/vbus.h"

/* Event connection of a channel: any distinct 24-bit number (spec/hyperv-host-on-kvm.md §8). */
#define CONNECTION_OF(relid) ((relid) | 0x2000u)

struct vbus_channel *
vbus_channel_find(struct vbus *bus, uint32_t relid)
{
	return relid != 0 && relid <= SYNIC_MAX_RELID ? bus->by_relid[relid] : NULL;
}

/* A relid nobody uses; the search goes round so that a released one is not reused at once. */
static uint32_t
relid_alloc(struct vbus *bus)
{
	unsigned int i;

	for (i = 0; i < SYNIC_MAX_RELID; i++) {
		uint32_t relid = bus->next_relid;

		bus->next_relid = relid == SYNIC_MAX_RELID ? 1 : relid + 1;
		if (bus->by_relid[relid] == NULL)
			return relid;
	}
	return 0;
}

/* A monitor id of its own for every channel while there are some. */
static void
monitor_alloc(struct vbus *bus, struct vbus_channel *channel)
{
	unsigned int id;

	channel->monitor_id = VMBUS_MONITOR_NONE;
	if (bus->monitor_page == NULL)
		return;
	/* Id 0 is legal; starting at the relid only makes traces easier to read. */
	for (unsigned int i = 0; i < VMBUS_MONITOR_IDS; i++) {
		id = (channel->relid + i) % VMBUS_MONITOR_IDS;
		if (bus->by_monitor[id] != NULL)
			continue;
		bus->by_monitor[id] = channel;
		channel->monitor_id = (uint8_t)id;
		bus->monitor_page->parameter[id].connection_id = channel->connection_id;
		bus->monitor_page->parameter[id].flag_number = 0;
		return;
	}
}

static void
channel_free(struct vbus *bus, struct vbus_channel *channel)
{
	if (bus->hypervisor.connect != NULL)
		bus->hypervisor.connect(bus->hypervisor.ctx, channel->connection_id, false);
	if (channel->monitor_id != VMBUS_MONITOR_NONE)
		bus->by_monitor[channel->monitor_id] = NULL;
	if (channel->device->channel[channel->index] == channel)
		channel->device->channel[channel->index] = NULL;
	bus->by_relid[channel->relid] = NULL;
	free(channel);
}

/* Offer channel @p index of a device. */
static int
offer(struct vbus *bus, struct vbus_device *device, unsigned int index)
{
	struct vbus_offer msg = {.h = {.type = VBUS_OFFERCHANNEL}};
	struct vbus_channel *channel = calloc(1, sizeof(*channel));
	int rc;

	if (channel == NULL)
		return -ENOMEM;
	channel->device = device;
	channel->state = VBUS_OFFERED;
	channel->index = index;
	channel->target_vp = UINT32_MAX;
	channel->monitor_id = VMBUS_MONITOR_NONE;
	channel->relid = relid_alloc(bus);
	if (channel->relid == 0) {
		free(channel);
		return -ENOSPC;
	}
	channel->connection_id = CONNECTION_OF(channel->relid);
	if (bus->hypervisor.connect != NULL) {
		rc = bus->hypervisor.connect(bus->hypervisor.ctx, channel->connection_id, true);
		if (rc != 0) {
			free(channel);
			return rc;
		}
	}
	bus->by_relid[channel->relid] = channel;
	device->channel[index] = channel;
	monitor_alloc(bus, channel);

	memcpy(msg.type, device->type, 16);
	memcpy(msg.instance, device->instance, 16);
	msg.sub_channel_index = (uint16_t)index;
	msg.relid = channel->relid;
	msg.monitor_id = channel->monitor_id;
	msg.monitor_allocated = channel->monitor_id != VMBUS_MONITOR_NONE;
	msg.dedicated_interrupt = 1;
	msg.connection_id = channel->connection_id;
	return synic_post(bus->synic, &msg, sizeof(msg));
}

/* Offer a device's primary, unless the guest still holds an older incarnation of it. */
static void
offer_primary(struct vbus *bus, struct vbus_device *device)
{
	if (bus->state != VBUS_OFFERING || !device->present || device->channel[0] != NULL ||
		device->unreleased != 0)
		return;
	if (offer(bus, device, 0) != 0)
		vbus_log(bus, "cannot offer a device: out of channel ids or event connections");
}

void
vbus_offer_all(struct vbus *bus)
{
	struct vbus_device *device;

	for (device = bus->devices; device != NULL; device = device->next)
		offer_primary(bus, device);
}

void
vbus_device_add(struct vbus *bus, struct vbus_device *device)
{
	struct vbus_device **p = &bus->devices;

	while (*p != NULL)
		p = &(*p)->next;
	*p = device;
	device->next = NULL;
	device->unreleased = 0;
	memset(device->channel, 0, sizeof(device->channel));
	vbus_device_present(bus, device);
}

void
vbus_device_present(struct vbus *bus, struct vbus_device *device)
{
	device->present = true;
	offer_primary(bus, device);
}

static void
channel_close_subchannels(struct vbus *bus, struct vbus_device *device)
{
	unsigned int i;

	for (i = device->max_channels; i-- > 1;)
		if (device->channel[i] != NULL)
			vbus_channel_stop(bus, device->channel[i]);
}

void
vbus_channel_stop(struct vbus *bus, struct vbus_channel *channel)
{
	if (channel->state != VBUS_OPEN)
		return;
	/* A primary takes its subchannels along: the device forgets all of them at once. */
	if (channel->index == 0)
		channel_close_subchannels(bus, channel->device);
	channel->device->ops->close(channel->device->ctx, channel->index);
	channel->state = VBUS_OFFERED;
	for (unsigned int i = 0; i < 2; i++) {
		bus->n_maps -= channel->ring[i].maps;
		ram_view_unmap(&channel->ring[i]);
	}
}

/* Stop a channel and tell the guest that it is gone. Its GPADLs go when the guest lets go. */
static void
rescind(struct vbus *bus, struct vbus_channel *channel)
{
	struct vbus_relid msg = {.h = {.type = VBUS_RESCIND_CHANNELOFFER}, .relid = channel->relid};

	vbus_log(bus, "channel %u (number %u of its device) rescinded", channel->relid,
		channel->index);
	vbus_channel_stop(bus, channel);
	channel->state = VBUS_RESCINDED;
	channel->device->channel[channel->index] = NULL;
	channel->device->unreleased += channel->index == 0;
	synic_post(bus->synic, &msg, sizeof(msg));
}

static void
rescind_subchannels(struct vbus *bus, struct vbus_device *device)
{
	unsigned int i;

	for (i = device->max_channels; i-- > 1;)
		if (device->channel[i] != NULL)
			rescind(bus, device->channel[i]);
}

void
vbus_device_rescind(struct vbus *bus, struct vbus_device *device)
{
	device->present = false;
	if (device->primary_first && device->channel[0] != NULL)
		rescind(bus, device->channel[0]);
	rescind_subchannels(bus, device);
	if (device->channel[0] != NULL)
		rescind(bus, device->channel[0]);
}

void
vbus_device_offer_subchannels(struct vbus *bus, struct vbus_device *device, unsigned int count)
{
	unsigned int i;

	if (bus->state != VBUS_OFFERING || device->channel[0] == NULL)
		return;
	for (i = 1; i <= count && i < device->max_channels; i++)
		if (device->channel[i] == NULL && offer(bus, device, i) != 0) {
			vbus_log(bus, "cannot offer subchannel %u", i);
			return;
		}
}

void
vbus_device_signal(struct vbus *bus, struct vbus_device *device, unsigned int index)
{
	struct vbus_channel *channel = index < HOST_MAX_CHANNELS ? device->channel[index] : NULL;

	if (channel != NULL && channel->state == VBUS_OPEN && channel->target_vp != UINT32_MAX)
		synic_signal(bus->synic, channel->target_vp, channel->relid);
}

/* Map one ring of a channel: control page, data pages, data pages again. */
static int
ring_map(struct vbus *bus, struct vbus_channel *channel, unsigned int which, const uint64_t *pfns,
	uint32_t n, struct vmbus_ring *ring)
{
	struct ram_view *view = &channel->ring[which];
	int rc;

	if (bus->n_maps + 2 * n > VBUS_MAX_MAPS)
		return -ENOMEM;
	rc = ram_view_map(bus->ram, view, pfns, n, 1);
	if (rc != 0)
		return rc;
	bus->n_maps += view->maps;
	ring->ctl = (struct vmbus_ring_control *)view->base;
	ring->data = view->base + VMBUS_PAGE_SIZE;
	ring->size = (n - 1) * VMBUS_PAGE_SIZE;
	ring->mirrored = true;
	return 0;
}

static int
open_channel(struct vbus *bus, struct vbus_channel *channel, const struct vbus_open *msg)
{
	struct vbus_gpadl *gpadl = vbus_gpadl_find(bus, msg->relid, msg->ring_gpadl);
	uint32_t offset = msg->downstream_offset;
	struct vmbus_ring tx, rx;
	int rc;

	if (channel->state != VBUS_OFFERED)
		return -EBUSY;
	if (gpadl == NULL || gpadl->byte_offset != 0 || (gpadl->byte_count & 0xfff) != 0)
		return -ENOENT;
	if (gpadl->n_pages < 4 || offset < 2 || offset > gpadl->n_pages - 2)
		return -EINVAL;
	if (msg->target_vp != UINT32_MAX && msg->target_vp >= bus->synic->n_vps)
		return -EINVAL;
	/* Subchannels live only beside an open primary. */
	if (channel->index != 0 && (channel->device->channel[0] == NULL ||
					   channel->device->channel[0]->state != VBUS_OPEN))
		return -EINVAL;
	rc = ring_map(bus, channel, 0, gpadl->pfn, offset, &tx);
	if (rc == 0)
		rc = ring_map(bus, channel, 1, gpadl->pfn + offset, gpadl->n_pages - offset, &rx);
	if (rc == 0)
		rc = channel->device->ops->open(channel->device->ctx, channel->index, &tx, &rx);
	if (rc != 0) {
		for (unsigned int i = 0; i < 2; i++) {
			bus->n_maps -= channel->ring[i].maps;
			ram_view_unmap(&channel->ring[i]);
		}
		return rc;
	}
	channel->ring_gpadl = msg->ring_gpadl;
	channel->target_vp = msg->target_vp;
	channel->state = VBUS_OPEN;
	return 0;
}

void
vbus_channel_open(struct vbus *bus, const struct vbus_open *msg)
{
	struct vbus_result result = {
		.h = {.type = VBUS_OPENCHANNEL_RESULT}, .relid = msg->relid, .id = msg->openid};
	struct vbus_channel *channel = vbus_channel_find(bus, msg->relid);
	int rc;

	if (channel != NULL && channel->state == VBUS_RESCINDED)
		return;
	rc = channel == NULL ? -ENOENT : open_channel(bus, channel, msg);
	if (rc != 0) {
		vbus_log(bus, "open of channel %u refused: %s", msg->relid, strerror(-rc));
		bus->bad_messages++;
		result.status = VBUS_STATUS_FAILED;
	}
	synic_post(bus->synic, &result, sizeof(result));
}

void
vbus_channel_close(struct vbus *bus, uint32_t relid)
{
	struct vbus_channel *channel = vbus_channel_find(bus, relid);

	if (channel == NULL || channel->state != VBUS_OPEN) {
		bus->bad_messages += channel == NULL || channel->state != VBUS_RESCINDED;
		return;
	}
	vbus_channel_stop(bus, channel);
	/* Subchannels do not outlive their primary's opening (spec/linux-uio-vmbus.md §11). */
	if (channel->index == 0)
		rescind_subchannels(bus, channel->device);
}

void
vbus_channel_modify(struct vbus *bus, const struct vbus_modify *msg)
{
	struct vbus_modify response = {
		.h = {.type = VBUS_MODIFYCHANNEL_RESPONSE}, .relid = msg->relid};
	struct vbus_channel *channel = vbus_channel_find(bus, msg->relid);

	if (channel != NULL && channel->state == VBUS_OPEN && msg->value < bus->synic->n_vps) {
		channel->target_vp = msg->value;
		/* What was signalled on the old VP may have been missed: look once on the new one.
		 */
		vbus_device_signal(bus, channel->device, channel->index);
	} else if (channel == NULL || channel->state != VBUS_RESCINDED) {
		bus->bad_messages++;
		response.value = VBUS_STATUS_FAILED;
	}
	if (bus->version >= VBUS_VERSION(5, 3))
		synic_post(bus->synic, &response, sizeof(response));
}

void
vbus_channel_released(struct vbus *bus, uint32_t relid)
{
	struct vbus_channel *channel = vbus_channel_find(bus, relid);
	struct vbus_device *device;
	bool primary;

	if (channel == NULL) {
		bus->bad_messages++;
		return;
	}
	device = channel->device;
	primary = channel->index == 0;
	vbus_log(bus, "the guest has released channel %u (number %u of its device)", relid,
		channel->index);
	if (channel->state == VBUS_RESCINDED) {
		device->unreleased -= primary;
	} else {
		vbus_channel_stop(bus, channel);
		/* A guest that lets go of a primary has no use for its subchannels. */
		if (primary)
			rescind_subchannels(bus, device);
	}
	vbus_gpadls_free(bus, relid);
	/*
	 * Linux never releases a subchannel that was open through uio_hv_generic when the host
	 * rescinded it. Its pages at least are not kept, and the device is not held back.
	 */
	for (relid = 1; primary && relid <= SYNIC_MAX_RELID; relid++) {
		struct vbus_channel *other = bus->by_relid[relid];

		if (other != NULL && other->device == device && other->state == VBUS_RESCINDED)
			vbus_gpadls_free(bus, relid);
	}
	channel_free(bus, channel);
	offer_primary(bus, device);
}

void
vbus_channels_free(struct vbus *bus)
{
	struct vbus_device *device;
	uint32_t relid;

	for (device = bus->devices; device != NULL; device = device->next) {
		if (device->channel[0] != NULL)
			vbus_channel_stop(bus, device->channel[0]);
		device->unreleased = 0;
	}
	for (relid = 1; relid <= SYNIC_MAX_RELID; relid++)
		if (bus->by_relid[relid] != NULL)
			channel_free(bus, bus->by_relid[relid]);
}
