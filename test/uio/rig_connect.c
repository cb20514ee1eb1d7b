/* SPDX-License-Identifier: BSD-3-Clause */
/* The vfio-user side of a device: connect, learn its regions, disconnect. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "test/uio/rig.h"

void
rig_close_fd(int *fd)
{
	if (*fd >= 0)
		syscall(SYS_close, *fd);
	*fd = -1;
}

void
rig_poke(int fd)
{
	uint64_t one = 1;

	syscall(SYS_write, fd, &one, sizeof(one));
}

/* Not through our own mmap(): these views are the kernel's, not the process's. */
static void *
own_view(int fd, uint64_t offset)
{
	void *p = (void *)syscall(
		SYS_mmap, NULL, VMBUS_DEVICE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);

	return p == MAP_FAILED ? NULL : p;
}

int
rig_read_descriptor(struct rig_device *device)
{
	uint8_t bytes[VMBUS_DEVICE_DESCRIPTOR_SIZE];
	char err[VFU_ERRLEN] = "";
	int rc;

	rc = vfu_client_region_read(
		device->client, VMBUS_REGION_DESCRIPTOR, 0, bytes, sizeof(bytes));
	if (rc == 0)
		rc = vmbus_device_describe(
			bytes, sizeof(bytes), &device->expect, &device->info, err, sizeof(err));
	if (err[0] != '\0')
		rig_log("%s: %s", device->slot->path, err);
	return rc;
}

/* Regions 0-4 are kept; of the others only the size. */
static int
learn_regions(struct rig_device *device)
{
	struct vfu_device_info info;
	struct vfu_region region;
	struct vfu_irq_info irq;
	unsigned int i;
	int rc;

	rc = vfu_client_device_info(device->client, &info);
	if (rc == 0)
		rc = vfu_client_irq_info(device->client, VMBUS_IRQ_CHANNEL, &irq);
	for (i = 0; rc == 0 && i < VMBUS_REGION_FIXED_COUNT; i++) {
		rc = vfu_client_region_info(device->client, i, &region);
		if (rc != 0)
			break;
		device->expect.region_size[i] = region.size;
		if (i < RIG_MAPS) {
			device->region_fd[i] = region.fd;
			device->region_size[i] = region.size;
			device->region_offset[i] = region.offset;
			rc = region.fd < 0 ? -ENXIO : 0;
		} else {
			rig_close_fd(&region.fd);
		}
	}
	if (rc != 0)
		return rc;
	device->expect.instance = device->slot->guid;
	device->expect.num_regions = info.num_regions;
	device->expect.irq_count = irq.count;
	return 0;
}

/* ---- for other processes with this folder: a line for each memory, the last one counts ---- */

static void
share_path(const struct rig_device *device, char path[RIG_PATH])
{
	snprintf(path, RIG_PATH, "%.255s/%s.memory", rig_options.dir, device->slot->name);
}

static void
share(struct rig_device *device, unsigned int map, int fd, uint64_t offset, uint64_t size)
{
	char path[RIG_PATH], line[128];
	int file, n;

	share_path(device, path);
	file = (int)syscall(
		SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	n = snprintf(line, sizeof(line), "%u /proc/%d/fd/%d %llu %llu\n", map, getpid(), fd,
		(unsigned long long)offset, (unsigned long long)size);
	if (file < 0 || write(file, line, (size_t)n) != n)
		rig_log("cannot tell other processes of %s", device->slot->name);
	rig_close_fd(&file);
}

int
rig_foreign_memory(struct rig_device *device, unsigned int map, uint64_t *offset, uint64_t *size)
{
	char path[RIG_PATH], name[64], found[64] = "";
	unsigned long long at, len;
	unsigned int which;
	FILE *file;

	share_path(device, path);
	file = fopen(path, "re");
	if (file == NULL)
		return -1;
	while (fscanf(file, "%u %63s %llu %llu", &which, name, &at, &len) == 4)
		if (which == map) {
			snprintf(found, sizeof(found), "%s", name);
			*offset = at;
			*size = len;
		}
	fclose(file);
	if (found[0] == '\0') {
		errno = ENODEV;
		return -1;
	}
	return (int)syscall(SYS_openat, AT_FDCWD, found, O_RDWR | O_CLOEXEC, 0);
}

/* The channel's memory is there: take our view of the inbound ring. */
void
rig_adopt_channel(struct rig_device *device, unsigned int k, int fd, uint64_t offset)
{
	struct rig_channel *ch = &device->channel[k];

	ch->fd = fd;
	ch->offset = offset;
	ch->calls = 0;
	ch->relid = device->info.channel[k].relid;
	ch->ring_bytes = device->info.channel[k].ring_bytes;
	ch->rx_control = own_view(fd, offset + ch->ring_bytes);
	share(device, RIG_MAPS + ch->relid, fd, offset, 2 * (uint64_t)ch->ring_bytes);
}

int
rig_discover(struct rig_device *device)
{
	int rc = learn_regions(device);

	if (rc == 0)
		rc = rig_read_descriptor(device);
	if (rc == 0 && device->info.state != VMBUS_DEVICE_OFFERED)
		rc = -ENODEV;
	if (rc != 0)
		return rc;
	for (unsigned int i = 0; i < RIG_MAPS; i++)
		share(device, i, device->region_fd[i], device->region_offset[i],
			device->region_size[i]);
	device->monitor = own_view(device->region_fd[VMBUS_REGION_MONITOR],
		device->region_offset[VMBUS_REGION_MONITOR]);
	rig_adopt_channel(device, 0, device->region_fd[VMBUS_REGION_RINGS],
		device->region_offset[VMBUS_REGION_RINGS]);
	if (vfu_client_io_fds(device->client, VMBUS_REGION_DOORBELL, &device->doorbells) != 0)
		memset(&device->doorbells, 0, sizeof(device->doorbells));
	device->interrupt_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	device->change_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	rc = vfu_client_set_irqs(device->client, VMBUS_IRQ_DEVICE, 0, 1, &device->change_fd);
	if (rc == 0)
		rc = vfu_client_set_irqs(
			device->client, VMBUS_IRQ_CHANNEL, 0, 1, &device->interrupt_fd);
	return rc;
}

void
rig_disconnect(struct rig_device *device)
{
	struct vfu_client *client = device->client;
	unsigned int i;

	device->client = NULL;
	rig_memory_unshared(device->slot);
	vfu_client_close(client);
	for (i = 0; i < VMBUS_DEVICE_MAX_CHANNELS; i++) {
		if (device->channel[i].rx_control != NULL)
			syscall(SYS_munmap, device->channel[i].rx_control, VMBUS_DEVICE_PAGE);
		device->channel[i].rx_control = NULL;
		if (i > 0)
			rig_close_fd(&device->channel[i].fd);
	}
	if (device->monitor != NULL)
		syscall(SYS_munmap, device->monitor, VMBUS_DEVICE_PAGE);
	device->monitor = NULL;
	for (i = 0; i < RIG_MAPS; i++)
		rig_close_fd(&device->region_fd[i]);
	vfu_io_fds_close(&device->doorbells);
	rig_close_fd(&device->interrupt_fd);
	rig_close_fd(&device->change_fd);
}

struct rig_device *
rig_device_new(struct rig_slot *slot)
{
	struct rig_device *device = calloc(1, sizeof(*device));
	unsigned int i;

	if (device == NULL)
		return NULL;
	device->slot = slot;
	for (i = 0; i < VMBUS_DEVICE_MAX_CHANNELS; i++)
		device->channel[i].fd = -1;
	for (i = 0; i < RIG_MAPS; i++)
		device->region_fd[i] = -1;
	device->interrupt_fd = device->change_fd = -1;
	return device;
}
