/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel removes a device of the uio backend: who is told. The backend is taken in whole,
 * because what it keeps of a device is its own.
 */
#include "drivers/bus/vmbus/uio.c"
#include "test/unit/unit.h"

int hpbus_logtype;

static struct hpbus_device device;
static struct uio_device uio;
static unsigned int marked;

/* ---- what is above and beside the backend ---- */

struct hpbus_device *
hpbus_device_get(const uint8_t instance[16])
{
	return NULL;
}

bool
hpbus_device_mark_gone(struct hpbus_device *dev, const char *why)
{
	marked++;
	return true;
}

void
hpbus_device_gone(struct hpbus_device *dev, const char *why)
{
}

int
hpbus_dma_follow(void)
{
	return 0;
}

bool
hpbus_gather(struct hpbus_device *dev, unsigned int ms)
{
	return true;
}

void
hpbus_hotplug_start(void)
{
}

static bool
removed(int fd, void *driver_data)
{
	memset(&device, 0, sizeof(device));
	memset(&uio, 0, sizeof(uio));
	marked = 0;
	uio.dev = &device;
	uio.fd = fd;
	device.backend = &hpbus_uio_backend;
	device.backend_data = &uio;
	device.driver_data = driver_data;
	return hpbus_uio_removed(&device);
}

static void
test_removed_while_open(void)
{
	CU_ASSERT_TRUE(removed(0, &device));
	CU_ASSERT_TRUE(atomic_load(&device.gone));
	CU_ASSERT_EQUAL(marked, 1);
}

/* After a reset that could not open the node again there is still a port. */
static void
test_removed_after_a_reset_that_failed(void)
{
	CU_ASSERT_TRUE(removed(-1, &device));
	CU_ASSERT_TRUE(atomic_load(&device.gone));
	CU_ASSERT_EQUAL(marked, 1);
}

static void
test_removed_while_nobody_uses_it(void)
{
	CU_ASSERT_FALSE(removed(-1, NULL));
	CU_ASSERT_FALSE(atomic_load(&device.gone));
	CU_ASSERT_EQUAL(marked, 0);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"removed while open", test_removed_while_open},
		{"removed after a reset that failed", test_removed_after_a_reset_that_failed},
		{"removed while nobody uses it", test_removed_while_nobody_uses_it},
	};

	return UNIT_RUN("uio_removed", tests);
}
