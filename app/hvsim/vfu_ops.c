/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device behind vfio-user: regions, doorbells, guest memory
 * (spec/vmbus-over-vfio-user.md §7, §9, §12). All run on the control thread inside
 * vfu_session_process(), the device locked.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "app/hvsim/hvsim.h"

/* Region -> file and size; fd -1 when it is not present. */
static int
region_file(const struct hvsim_device *device, uint32_t index, uint64_t *size)
{
	const struct hvsim_session_memory *m = device->memory;
	uint32_t channel = index == VMBUS_REGION_RINGS ? 0 : index - VMBUS_REGION_CHANNEL_BASE;

	if (index > VMBUS_REGION_RINGS && index < VMBUS_REGION_DOORBELL) {
		*size = m->region[index].len;
		return m->region[index].fd;
	}
	if (index != VMBUS_REGION_RINGS && index < VMBUS_REGION_CHANNEL_BASE)
		return -1;
	/* Region 16 is not used: the primary's rings are region 0. */
	if (index == VMBUS_REGION_CHANNEL_BASE || channel >= HOST_MAX_CHANNELS)
		return -1;
	*size = 2 * (uint64_t)device->config.ring_bytes;
	return m->rings[channel].fd;
}

static int
op_opened(void *ctx, struct vfu_session *session)
{
	return device_opened(ctx);
}

static int
op_region_info(void *ctx, uint32_t index, struct vfu_region_desc *region)
{
	struct hvsim_device *device = ctx;

	region->type = VMBUS_REGION_TYPE;
	if (index == VMBUS_REGION_DOORBELL) {
		region->flags = VFIO_USER_REGION_FLAG_WRITE;
		region->size = VMBUS_DEVICE_DOORBELL_SIZE;
		region->subtype = VMBUS_KIND_DOORBELL;
		return 0;
	}
	region->fd = region_file(device, index, &region->size);
	if (region->fd < 0) {
		region->size = 0;
		return 0;
	}
	region->flags = VFIO_USER_REGION_FLAG_READ | VFIO_USER_REGION_FLAG_MMAP;
	if (index != VMBUS_REGION_DESCRIPTOR)
		region->flags |= VFIO_USER_REGION_FLAG_WRITE;
	region->subtype =
		index >= VMBUS_REGION_CHANNEL_BASE ? VMBUS_KIND_RINGS : VMBUS_KIND_RINGS + index;
	return 0;
}

static int
op_region_read(void *ctx, uint32_t index, uint64_t offset, void *data, uint32_t count)
{
	struct hvsim_device *device = ctx;
	uint64_t size = 0;
	int fd;

	/* Consistent: we are the only writer and on the thread that writes, or it stands. */
	if (index == VMBUS_REGION_DESCRIPTOR) {
		memcpy(data, (uint8_t *)device->memory->region[index].map + offset, count);
		return 0;
	}
	fd = region_file(device, index, &size);
	if (fd < 0)
		return -EINVAL;
	return pread(fd, data, count, (off_t)offset) == (ssize_t)count ? 0 : -EIO;
}

static int
op_region_write(void *ctx, uint32_t index, uint64_t offset, const void *data, uint32_t count)
{
	struct hvsim_device *device = ctx;
	uint64_t size = 0;
	int fd;

	if (index == VMBUS_REGION_DOORBELL) {
		/* The unlocking after this call wakes the worker; that is all a doorbell does. */
		if (count != 4 || (offset & 3) != 0 || offset / 4 >= device->config.channels)
			return -EINVAL;
		return 0;
	}
	fd = region_file(device, index, &size);
	if (fd < 0)
		return -EINVAL;
	return pwrite(fd, data, count, (off_t)offset) == (ssize_t)count ? 0 : -EIO;
}

static int
op_io_fds(void *ctx, uint32_t index, struct vfu_io_fd_desc *entries, uint32_t *count, int *fds,
	uint32_t max_fds, uint32_t *n_fds)
{
	struct hvsim_device *device = ctx;

	*count = 0;
	*n_fds = 0;
	if (index != VMBUS_REGION_DOORBELL || max_fds == 0)
		return 0;
	for (uint32_t i = 0; i < device->config.channels; i++)
		entries[i] = (struct vfu_io_fd_desc){4 * (uint64_t)i, 4, 0};
	*count = device->config.channels;
	fds[0] = device->memory->doorbell;
	*n_fds = 1;
	return 0;
}

static int
op_dma_map(void *ctx, int fd, uint32_t flags, uint64_t offset, uint64_t iova, uint64_t size)
{
	struct hvsim_device *device = ctx;

	return host_memmap_map(device->memory->map, fd, offset, iova, size, flags);
}

static int
op_dma_unmap(void *ctx, uint64_t iova, uint64_t size)
{
	struct hvsim_device *device = ctx;

	return host_memmap_unmap(device->memory->map, iova, size);
}

static int
op_dma_unmap_all(void *ctx)
{
	struct hvsim_device *device = ctx;

	host_memmap_unmap_all(device->memory->map);
	return 0;
}

static int
op_reset(void *ctx)
{
	return device_reset(ctx);
}

const struct vfu_device_ops hvsim_vfu_ops = {
	.opened = op_opened,
	.region_info = op_region_info,
	.region_read = op_region_read,
	.region_write = op_region_write,
	.io_fds = op_io_fds,
	.dma_map = op_dma_map,
	.dma_unmap = op_dma_unmap,
	.dma_unmap_all = op_dma_unmap_all,
	.reset = op_reset,
};
