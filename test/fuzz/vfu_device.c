/* SPDX-License-Identifier: BSD-3-Clause */
/* The client's validator of a device descriptor (lib/vfio_user/vmbus_device.h). */
#include <errno.h>

#include "lib/vfio_user/vmbus_device.h"
#include "test/fuzz/fuzz.h"
#include "test/unit/vfio_user_rig.h"

static void
publish(void *page)
{
	struct vmbus_device_info info = rig_device_info;

	info.num_channels = 2;
	info.channel[1] = (struct vmbus_device_channel){.state = VMBUS_CHANNEL_OPEN,
		.relid = 15,
		.monitor_id = VMBUS_MONITOR_NONE,
		.region = VMBUS_REGION_CHANNEL_BASE + 1,
		.ring_bytes = 1u << 20,
		.doorbell = 4,
		.irq = 1,
		.epoch = 1};
	vmbus_device_publish(page, &info);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t instance[16];
	struct vmbus_device_expect expect = {
		.instance = instance, .num_regions = VMBUS_DEVICE_REGIONS(4), .irq_count = 4};
	struct fuzz in = {data, size};
	struct vmbus_device_info info;
	uint8_t *page, *copy;
	char why[256] = "";
	size_t len, k;
	int rc;

	memcpy(expect.region_size, rig_region_size, sizeof(rig_region_size));
	page = aligned_alloc(4096, VMBUS_DEVICE_DESCRIPTOR_SIZE);
	memset(page, 0, VMBUS_DEVICE_DESCRIPTOR_SIZE);
	publish(page);
	for (k = 1 + fuzz_below(&in, 4); k != 0; k--)
		fuzz_scribble(&in, page, 0x100 + 4 * VMBUS_DESC_ENTRY_LEN);
	if (fuzz_bool(&in))
		fuzz_scribble(&in, expect.region_size, sizeof(expect.region_size));
	len = fuzz_bool(&in) ? fuzz_u16(&in) % (VMBUS_DEVICE_DESCRIPTOR_SIZE + 1)
			     : VMBUS_DEVICE_DESCRIPTOR_SIZE;
	copy = malloc(VMBUS_DEVICE_DESCRIPTOR_SIZE);
	rc = vmbus_device_snapshot(page, copy);
	FUZZ_CHECK(rc == 0 || rc == -EAGAIN);
	if (rc == 0) {
		copy = realloc(copy, len + (len == 0));
		rc = vmbus_device_describe(copy, len, &expect, &info, why, sizeof(why));
		FUZZ_CHECK(rc == 0 || why[0] != '\0');
		for (k = 0; rc == 0 && k < VMBUS_DEVICE_MAX_CHANNELS; k++)
			if (info.channel[k].state != VMBUS_CHANNEL_NONE)
				FUZZ_CHECK(info.channel[k].region < expect.num_regions &&
					   info.channel[k].ring_bytes >= VMBUS_DEVICE_MIN_RING &&
					   info.channel[k].ring_bytes <= VMBUS_DEVICE_MAX_RING);
	}
	free(copy);
	free(page);
	return 0;
}
