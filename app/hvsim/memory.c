/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory of one session: sealed memfds and our mappings of them
 * (spec/vmbus-over-vfio-user.md §7 "Backing").
 */
#include <errno.h>
#include <fcntl.h>
#include <numa.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "app/hvsim/hvsim.h"
#include "lib/vmbus/ring_map.h"

/* Sealed against truncation: the client holds the same file, and would give us SIGBUS. */
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static int
file_create(const char *name, size_t len)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && ftruncate(fd, (off_t)len) != 0) {
		int rc = errno;

		close(fd);
		errno = rc;
		return -1;
	}
	return fd;
}

/* Place the pages and take them now: later, a full tmpfs would be SIGBUS. */
static int
file_fill(int fd, void *map, size_t len, int node)
{
	if (node >= 0)
		numa_tonode_memory(map, len, node);
	return fallocate(fd, 0, 0, (off_t)len) == 0 ? 0 : -errno;
}

static int
region_create(
	struct hvsim_region *region, const char *name, size_t len, int prot, int seals, int node)
{
	int rc;

	region->map = NULL;
	region->len = len;
	region->fd = file_create(name, len);
	if (region->fd < 0)
		return -errno;
	/* Our own mapping first: F_SEAL_FUTURE_WRITE would refuse it afterwards. */
	region->map = mmap(NULL, len, prot, MAP_SHARED, region->fd, 0);
	if (region->map == MAP_FAILED) {
		region->map = NULL;
		return -errno;
	}
	madvise(region->map, len, MADV_DONTFORK);
	rc = file_fill(region->fd, region->map, len, node);
	if (rc == 0 && fcntl(region->fd, F_ADD_SEALS, seals) != 0)
		rc = -errno;
	return rc;
}

static void
region_destroy(struct hvsim_region *region)
{
	if (region->map != NULL)
		munmap(region->map, region->len);
	if (region->fd >= 0)
		close(region->fd);
	region->map = NULL;
	region->fd = -1;
}

static void
control_reset(struct vmbus_ring_control *control)
{
	atomic_store(&control->write_index, 0);
	atomic_store(&control->read_index, 0);
	atomic_store(&control->interrupt_mask, 0);
	atomic_store(&control->pending_send_sz, 0);
	atomic_store(&control->feature_bits, VMBUS_RING_FEATURE_PENDING_SEND);
}

void
memory_rings_reset(struct hvsim_rings *rings)
{
	control_reset(rings->tx.ctl);
	control_reset(rings->rx.ctl);
}

void
memory_rings_destroy(struct hvsim_rings *rings)
{
	vmbus_ring_unmap(&rings->tx);
	vmbus_ring_unmap(&rings->rx);
	if (rings->fd >= 0)
		close(rings->fd);
	rings->fd = -1;
}

int
memory_rings_create(const struct hvsim_device *device, struct hvsim_rings *rings,
	unsigned int channel, bool fill)
{
	uint32_t bytes = device->config.ring_bytes;
	char name[64];
	int rc;

	snprintf(name, sizeof(name), "hvsim-rings%u", channel);
	rings->fd = file_create(name, 2 * (size_t)bytes);
	if (rings->fd < 0)
		return -errno;
	rc = vmbus_ring_map(rings->fd, 0, bytes, VMBUS_PAGE_SIZE, &rings->tx);
	if (rc == 0)
		rc = vmbus_ring_map(rings->fd, bytes, bytes, VMBUS_PAGE_SIZE, &rings->rx);
	if (rc == 0 && device->node >= 0) {
		numa_tonode_memory(rings->tx.ctl, bytes, device->node);
		numa_tonode_memory(rings->rx.ctl, bytes, device->node);
	}
	if (rc == 0 && fill)
		rc = file_fill(rings->fd, NULL, 2 * (size_t)bytes, -1);
	if (rc == 0 && fcntl(rings->fd, F_ADD_SEALS, SEALS) != 0)
		rc = -errno;
	if (rc == 0)
		memory_rings_reset(rings);
	else
		memory_rings_destroy(rings);
	return rc;
}

void
memory_destroy(struct hvsim_session_memory *memory)
{
	unsigned int i;

	if (memory == NULL)
		return;
	for (i = 0; i < VMBUS_REGION_DOORBELL; i++)
		region_destroy(&memory->region[i]);
	for (i = 0; i < HOST_MAX_CHANNELS; i++)
		memory_rings_destroy(&memory->rings[i]);
	if (memory->doorbell >= 0)
		close(memory->doorbell);
	host_memmap_destroy(memory->map);
	free(memory);
}

struct hvsim_session_memory *
memory_create(const struct hvsim_device *device)
{
	struct hvsim_session_memory *m = calloc(1, sizeof(*m));
	const struct {
		unsigned int index;
		const char *name;
		size_t len;
		int prot, seals;
	} regions[] = {
		{VMBUS_REGION_INT_PAGE, "hvsim-int", VMBUS_DEVICE_PAGE, PROT_READ | PROT_WRITE,
			SEALS},
		{VMBUS_REGION_MONITOR, "hvsim-monitor", VMBUS_DEVICE_PAGE, PROT_READ | PROT_WRITE,
			SEALS},
		{VMBUS_REGION_RECV, "hvsim-recv", device->config.recv_bytes, PROT_READ | PROT_WRITE,
			SEALS},
		/* The guest's to write; we only read. */
		{VMBUS_REGION_SEND, "hvsim-send", device->config.send_bytes, PROT_READ, SEALS},
		{VMBUS_REGION_DESCRIPTOR, "hvsim-descriptor", VMBUS_DEVICE_DESCRIPTOR_SIZE,
			PROT_READ | PROT_WRITE, SEALS | F_SEAL_FUTURE_WRITE},
	};
	unsigned int i;
	int rc = 0;

	if (m == NULL)
		return NULL;
	for (i = 0; i < VMBUS_REGION_DOORBELL; i++)
		m->region[i].fd = -1;
	for (i = 0; i < HOST_MAX_CHANNELS; i++)
		m->rings[i].fd = -1;
	m->doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	m->map = host_memmap_create();
	if (m->doorbell < 0 || m->map == NULL)
		rc = m->doorbell < 0 ? -errno : -ENOMEM;
	else if (device->budget.maps != 0)
		host_memmap_limit(m->map, device->budget.maps, device->budget.bytes);
	for (i = 0; rc == 0 && i < sizeof(regions) / sizeof(regions[0]); i++)
		rc = region_create(&m->region[regions[i].index], regions[i].name, regions[i].len,
			regions[i].prot, regions[i].seals, device->node);
	if (rc == 0)
		rc = memory_rings_create(device, &m->rings[0], 0, true);
	if (rc != 0) {
		memory_destroy(m);
		errno = -rc;
		return NULL;
	}
	return m;
}
