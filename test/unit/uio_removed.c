/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel removes a device of the uio backend: who is told, and where it is found again. The
 * backend is taken in whole, because what it keeps of a device is its own.
 */
#include "drivers/bus/vmbus/uio.c"
#include "lib/vmbus/guid.h"
#include "test/unit/sysfs_tree.h"
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

void
hpbus_dma_changed(void)
{
}

bool
hpbus_gather(struct hpbus_device *dev, unsigned int ms)
{
	/* As if the time were over. */
	return (atomic_load(&dev->sharing.attached) & ~hpbus_places_mapped(dev)) == 0;
}

void
hpbus_hotplug_start(void)
{
}

static void
begin(int fd, void *driver_data)
{
	memset(&device, 0, sizeof(device));
	memset(&uio, 0, sizeof(uio));
	marked = 0;
	uio.dev = &device;
	uio.fd = fd;
	device.backend = &hpbus_uio_backend;
	device.backend_data = &uio;
	device.driver_data = driver_data;
}

static bool
removed(int fd, void *driver_data)
{
	begin(fd, driver_data);
	return hpbus_uio_removed(&device);
}

/* The device of the tree, open as uio0. */
static void
begin_in_tree(void)
{
	tree_build(&tree_kernels[TREE_6_1]);
	begin(0, &device);
	CU_ASSERT_EQUAL(vmbus_sysfs_init(&uio.fs, uio_log, NULL), 0);
	CU_ASSERT_EQUAL(vmbus_guid_parse(TREE_NIC, device.instance), 0);
	snprintf(uio.name, sizeof(uio.name), "%s", TREE_NIC);
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

/* Events are late: the device that they tell of is not the one that has come back meanwhile. */
static void
test_an_event_of_the_device_before(void)
{
	begin_in_tree();
	CU_ASSERT_FALSE(hpbus_uio_removed(&device));
	CU_ASSERT_FALSE(atomic_load(&device.gone));
	CU_ASSERT_EQUAL(marked, 0);
	/* What is open has another number: it is gone. */
	uio.uio.number = 7;
	CU_ASSERT_TRUE(hpbus_uio_removed(&device));
	CU_ASSERT_TRUE(atomic_load(&device.gone));
	uio.uio.number = 0;
	atomic_store(&device.gone, false);
	tree_delete(TREE_NIC_DIR "/uio");
	CU_ASSERT_TRUE(hpbus_uio_removed(&device));
	CU_ASSERT_EQUAL(marked, 2);
	tree_remove();
}

/* By its GUID, whatever the folder's name and the number are, and only where we may have it. */
static void
test_found_again(void)
{
	begin_in_tree();
	CU_ASSERT_EQUAL(uio_find_again(&uio), 0);
	CU_ASSERT_STRING_EQUAL(uio.name, TREE_NIC);
	CU_ASSERT_STRING_EQUAL(device.where, "uio0");
	snprintf(uio.name, sizeof(uio.name), "vmbus_0_3");
	CU_ASSERT_EQUAL(vmbus_guid_parse(TREE_NEIGHBOUR, device.instance), 0);
	CU_ASSERT_EQUAL(uio_find_again(&uio), 0);
	CU_ASSERT_STRING_EQUAL(uio.name, TREE_NEIGHBOUR);
	CU_ASSERT_STRING_NOT_EQUAL(device.where, "uio0");
	tree_link(TREE_NEIGHBOUR_DIR "/driver", "../../../../bus/vmbus/drivers/hv_netvsc");
	CU_ASSERT_EQUAL(uio_find_again(&uio), -ENOENT);
	tree_delete(TREE_NEIGHBOUR_DIR "/driver");
	CU_ASSERT_EQUAL(uio_find_again(&uio), -ENOENT);
	tree_delete(TREE_NEIGHBOUR_DIR);
	CU_ASSERT_EQUAL(uio_find_again(&uio), -ENOENT);
	device.returning = true;
	CU_ASSERT_EQUAL(uio_open(&device), -ENOENT);
	tree_remove();
	CU_ASSERT_EQUAL(uio_find_again(&uio), -ENOENT);
}

/* The channel stays open as long as anybody has it mapped: that is no fence. */
static void
test_a_reset_that_another_process_holds_up(void)
{
	begin(open("/dev/null", O_RDWR | O_CLOEXEC), &device);
	atomic_store(&device.sharing.attached, 2);
	CU_ASSERT_EQUAL(uio_reset(&device), -EBUSY);
	CU_ASSERT_TRUE(uio.fd < 0);
	/* Also when it is tried once more. */
	CU_ASSERT_EQUAL(uio_reset(&device), -EBUSY);
	/* It has ended. */
	atomic_store(&device.sharing.attached, 0);
	CU_ASSERT_EQUAL(uio_reset(&device), 0);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"removed while open", test_removed_while_open},
		{"removed after a reset that failed", test_removed_after_a_reset_that_failed},
		{"removed while nobody uses it", test_removed_while_nobody_uses_it},
		{"an event of the device before", test_an_event_of_the_device_before},
		{"found again", test_found_again},
		{"a reset that another process holds up",
			test_a_reset_that_another_process_holds_up},
	};

	return UNIT_RUN("uio_removed", tests);
}
