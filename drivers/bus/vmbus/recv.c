/* SPDX-License-Identifier: BSD-3-Clause */
/* A receive buffer that outlives its device: frames in it are the application's. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "drivers/bus/vmbus/bus.h"
#include "drivers/bus/vmbus/mappings.h"
#include "drivers/bus/vmbus/place.h"

int
hpbus_recv_keep(struct hpbus_device *dev)
{
	struct hpbus_buffer *recv = &dev->recv;
	void *copy =
		mmap(NULL, recv->len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int rc = copy == MAP_FAILED ? -errno : 0;

	if (rc == 0)
		memcpy(copy, recv->base, recv->len);
	hpbus_mapping_remove(recv->base);
	hpbus_place_remove(dev, recv->base);
	/* One system call: who reads there sees the old pages or the same bytes in the new ones. */
	if (rc == 0 && mremap(copy, recv->len, recv->len, MREMAP_MAYMOVE | MREMAP_FIXED,
			       recv->base) == MAP_FAILED) {
		rc = -errno;
		munmap(copy, recv->len);
	}
	/* Also when it failed: it stays as it is, and is not unmapped under who reads there. */
	recv->base = NULL;
	return rc;
}

int
hpbus_recv_renew(struct hpbus_device *dev)
{
	struct hpbus_buffer *recv = &dev->recv;
	void *again = NULL;
	int rc = 0, kept;

	/* Of a shared mapping, size 0 asks for another one of the same pages (mremap(2)). */
	if (!dev->backend->reset_maps) {
		again = hpbus_place_reserve(recv->len);
		if (again == NULL || mremap(recv->base, 0, recv->len, MREMAP_MAYMOVE | MREMAP_FIXED,
					     again) == MAP_FAILED)
			rc = -errno;
		if (rc == 0)
			rc = hpbus_place_copy(dev, recv->base, again);
	}
	kept = hpbus_recv_keep(dev);
	rc = rc != 0 ? rc : kept;
	if (rc == 0)
		recv->base = again;
	else if (again != NULL) {
		hpbus_place_remove(dev, again);
		munmap(again, recv->len);
	}
	return rc;
}

void
hpbus_recv_free(void *base, size_t len)
{
	munmap(base, len);
}
