/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app/hvsim-vm/vbus.h"

static void
answer(struct vbus *bus, uint32_t relid, uint32_t id, uint32_t status)
{
	struct vbus_result result = {
		.h = {.type = VBUS_GPADL_CREATED}, .relid = relid, .id = id, .status = status};

	synic_post(bus->synic, &result, sizeof(result));
}

static struct vbus_gpadl *
find_any(struct vbus *bus, uint32_t id)
{
	struct vbus_gpadl *g;

	for (g = bus->gpadls; g != NULL; g = g->next)
		if (g->id == id)
			return g;
	return NULL;
}

void
vbus_view_put(struct vbus *bus, struct vbus_view *view)
{
	if (--view->users != 0)
		return;
	bus->n_maps -= view->map.maps;
	bus->n_views--;
	ram_view_unmap(&view->map);
	free(view);
}

/*
 * Forget a GPADL. A device that uses it lets go first; should it not, the view outlives the GPADL
 * and the guest has only lost the use of these pages for something else.
 */
static void
gpadl_free(struct vbus *bus, struct vbus_gpadl *gpadl)
{
	struct vbus_gpadl **p = &bus->gpadls;
	struct vbus_view *view = gpadl->view;

	while (*p != gpadl)
		p = &(*p)->next;
	*p = gpadl->next;
	bus->n_gpadls--;
	bus->n_gpadl_pages -= gpadl->n_pages;
	if (view != NULL) {
		if (view->users > 1)
			view->device->ops->revoked(view->device->ctx, view);
		vbus_view_put(bus, view);
	}
	free(gpadl);
}

/*
 * Take PFNs from a message and answer when the list is complete. Bytes beyond the announced list
 * are ignored: some clients pad (spec/hyperv-host-on-kvm.md §10).
 */
static void
take_pfns(struct vbus *bus, struct vbus_gpadl *gpadl, const uint8_t *pfns, size_t len)
{
	size_t n = len / 8;
	uint32_t relid = gpadl->relid, id = gpadl->id;

	if (n > gpadl->n_pages - gpadl->have)
		n = gpadl->n_pages - gpadl->have;
	memcpy(gpadl->pfn + gpadl->have, pfns, n * 8);
	for (size_t i = 0; i < n; i++) {
		if (!ram_pfn_ok(bus->ram, gpadl->pfn[gpadl->have + i])) {
			vbus_log(bus,
				"GPADL 0x%x of channel %u: page 0x%llx is not memory of the guest",
				id, relid, (unsigned long long)gpadl->pfn[gpadl->have + i]);
			bus->bad_messages++;
			gpadl_free(bus, gpadl);
			answer(bus, relid, id, VBUS_STATUS_FAILED);
			return;
		}
	}
	gpadl->have += (uint32_t)n;
	if (gpadl->have == gpadl->n_pages)
		answer(bus, relid, id, VBUS_STATUS_OK);
}

void
vbus_gpadl_header(struct vbus *bus, const uint8_t *msg, size_t len)
{
	struct vbus_gpadl_header h;
	struct vbus_channel *channel;
	struct vbus_gpadl *gpadl;
	uint64_t pages;

	memcpy(&h, msg, sizeof(h));
	channel = vbus_channel_find(bus, h.relid);
	if (channel != NULL && channel->state == VBUS_RESCINDED) {
		/* The guest is about to notice: let it go on, keep nothing. */
		answer(bus, h.relid, h.gpadl, VBUS_STATUS_OK);
		return;
	}
	pages = vmbus_gpa_pages(h.byte_offset, h.byte_count);
	/* Only lists of one range: all that rings and buffers of a NIC consist of. */
	if (channel == NULL || h.range_count != 1 || h.byte_count == 0 ||
		h.byte_offset >= VMBUS_PAGE_SIZE || h.range_buflen != 8 + 8 * pages ||
		find_any(bus, h.gpadl) != NULL || bus->n_gpadls >= VBUS_MAX_GPADLS ||
		pages > VBUS_MAX_GPADL_PAGES - bus->n_gpadl_pages)
		goto refuse;
	gpadl = calloc(1, sizeof(*gpadl) + pages * sizeof(gpadl->pfn[0]));
	if (gpadl == NULL)
		goto refuse;
	gpadl->id = h.gpadl;
	gpadl->relid = h.relid;
	gpadl->byte_count = h.byte_count;
	gpadl->byte_offset = h.byte_offset;
	gpadl->n_pages = (uint32_t)pages;
	gpadl->next = bus->gpadls;
	bus->gpadls = gpadl;
	bus->n_gpadls++;
	bus->n_gpadl_pages += gpadl->n_pages;
	take_pfns(bus, gpadl, msg + sizeof(h), len - sizeof(h));
	return;
refuse:
	vbus_log(
		bus, "GPADL 0x%x of channel %u refused (%u bytes)", h.gpadl, h.relid, h.byte_count);
	bus->bad_messages++;
	answer(bus, h.relid, h.gpadl, VBUS_STATUS_FAILED);
}

void
vbus_gpadl_body(struct vbus *bus, const uint8_t *msg, size_t len)
{
	struct vbus_gpadl_body h;
	struct vbus_gpadl *gpadl;

	memcpy(&h, msg, sizeof(h));
	gpadl = find_any(bus, h.gpadl);
	/* Unknown: refused or of a rescinded channel, and answered with the header. */
	if (gpadl == NULL || gpadl->have == gpadl->n_pages)
		return;
	take_pfns(bus, gpadl, msg + sizeof(h), len - sizeof(h));
}

void
vbus_gpadl_teardown(struct vbus *bus, const struct vbus_gpadl_teardown *msg)
{
	struct vbus_gpadl_torndown done = {.h = {.type = VBUS_GPADL_TORNDOWN}, .gpadl = msg->gpadl};
	struct vbus_gpadl *gpadl = find_any(bus, msg->gpadl);

	if (gpadl != NULL && gpadl->relid == msg->relid) {
		struct vbus_channel *channel = vbus_channel_find(bus, msg->relid);

		/* A ring that is in use is closed first. */
		if (channel != NULL && channel->state == VBUS_OPEN &&
			channel->ring_gpadl == gpadl->id)
			vbus_channel_close(bus, msg->relid);
		gpadl_free(bus, gpadl);
	}
	/* Always answered: the guest waits without a time limit. */
	synic_post(bus->synic, &done, sizeof(done));
}

struct vbus_gpadl *
vbus_gpadl_find(struct vbus *bus, uint32_t relid, uint32_t id)
{
	struct vbus_gpadl *gpadl = find_any(bus, id);

	return gpadl != NULL && gpadl->relid == relid && gpadl->have == gpadl->n_pages ? gpadl
										       : NULL;
}

static struct vbus_view *
view_make(struct vbus *bus, struct vbus_device *device, const struct vbus_gpadl *gpadl)
{
	struct vbus_view *view = calloc(1, sizeof(*view));

	if (view == NULL)
		return NULL;
	if (ram_view_map(bus->ram, &view->map, gpadl->pfn, gpadl->n_pages, gpadl->n_pages) != 0) {
		free(view);
		return NULL;
	}
	view->device = device;
	view->users = 1; /* the GPADL: asking again and again costs nothing */
	view->base = view->map.base + gpadl->byte_offset;
	view->len = gpadl->byte_count;
	bus->n_maps += view->map.maps;
	bus->n_views++;
	return view;
}

int
vbus_view_get(struct vbus *bus, struct vbus_device *device, uint32_t id, struct vbus_view **view)
{
	struct vbus_channel *primary = device->channel[0];
	struct vbus_gpadl *gpadl;
	struct vbus_view *found;

	if (primary == NULL || primary->state != VBUS_OPEN)
		return -ENOENT;
	gpadl = vbus_gpadl_find(bus, primary->relid, id);
	if (gpadl == NULL)
		return -ENOENT;
	found = gpadl->view;
	if (found == NULL) {
		if (gpadl->n_pages > VBUS_MAX_MAPS - bus->n_maps)
			return -ENOMEM;
		found = view_make(bus, device, gpadl);
		if (found == NULL)
			return -ENOMEM;
		gpadl->view = found;
	}
	found->users++;
	*view = found;
	return 0;
}

void
vbus_gpadls_free(struct vbus *bus, uint32_t relid)
{
	struct vbus_gpadl *g, *next;

	for (g = bus->gpadls; g != NULL; g = next) {
		next = g->next;
		if (relid == 0 || g->relid == relid)
			gpadl_free(bus, g);
	}
}
