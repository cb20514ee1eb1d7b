/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bus under the real EAL of whichever DPDK it is built with: devices come and go by EAL's own
 * calls. Below it is a backend that serves what the test says, above it a driver that does what the
 * test says. The tests share one EAL, whose end is the last of them.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

#include <rte_bus.h>
#include <rte_devargs.h>
#include <rte_eal.h>
#include <rte_malloc.h>
#include <rte_memory.h>

#include "drivers/bus/vmbus/bus_private.h"
#include "drivers/bus/vmbus/mappings.h"
#include "drivers/bus/vmbus/mp.h"
#include "test/unit/unit.h"

#define GUID "48795065-7230-4000-8000-00000000000"

/* ---- below: a backend ---- */

static unsigned int released;

static void
fake_release(struct hpbus_device *dev)
{
	released++;
}

/* What the host shares of the application's own memory, by its last call. */
static unsigned int maps, unmaps;
static uintptr_t mapped_addr;
static uint64_t mapped_iova;
static int map_result;
/* A host that is silent until it is let speak, but not for ever. */
static atomic_bool map_waits, map_given_up;
static sem_t map_asked, map_let;

static int
fake_dma_map(struct hpbus_device *dev, uintptr_t addr, uint64_t iova, size_t len)
{
	struct timespec until;

	if (atomic_exchange(&map_waits, false)) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += 20;
		sem_post(&map_asked);
		if (sem_timedwait(&map_let, &until) != 0)
			atomic_store(&map_given_up, true);
		return map_result;
	}
	maps++;
	mapped_addr = addr;
	mapped_iova = iova;
	return map_result;
}

static void
fake_dma_unmap(struct hpbus_device *dev, uintptr_t addr, size_t len)
{
	unmaps++;
}

const struct hpbus_backend hpbus_vfio_backend = {
	.name = "fake",
	.release = fake_release,
	.dma_map = fake_dma_map,
	.dma_unmap = fake_dma_unmap,
};
const struct hpbus_backend hpbus_uio_backend = {.name = "none"};

int
hpbus_vfio_attach(struct hpbus_device *dev, const char *path)
{
	dev->backend = &hpbus_vfio_backend;
	return 0;
}

/* Serves NICs 1 and 2. */
void
hpbus_vfio_scan(void)
{
	struct hpbus_device *dev;
	uint8_t guid[16];
	unsigned int i;
	char text[40];

	for (i = 1; i <= 2; i++) {
		snprintf(text, sizeof(text), GUID "%u", i);
		dev = vmbus_guid_parse(text, guid) == 0 ? hpbus_device_get(guid) : NULL;
		if (dev != NULL)
			dev->backend = &hpbus_vfio_backend;
	}
}

void
hpbus_uio_scan(void)
{
}

void
hpbus_hotplug_stop(void)
{
}

int
hpbus_sigbus_handle(const void *addr)
{
	return 1;
}

/* ---- beside: other processes, of which there are none ---- */

void
hpbus_mp_start(void)
{
}

void
hpbus_mp_calls(struct hpbus_device *dev)
{
}

void
hpbus_places_clear(struct hpbus_device *dev)
{
}

void
hpbus_secondary_scan(void)
{
}

enum rte_iova_mode
hpbus_secondary_iova_mode(void)
{
	return RTE_IOVA_DC;
}

/* ---- above: a driver ---- */

static unsigned int probes, removes;
static int probe_result, remove_result;
static bool probe_saw_driver;
static char probe_args[64];

static int
fake_probe(struct hpbus_device *dev)
{
	const struct rte_devargs *da = dev->device.devargs;

	probes++;
	probe_saw_driver = dev->device.driver != NULL;
	snprintf(probe_args, sizeof(probe_args), "%s", da == NULL ? "" : da->args);
	return probe_result;
}

static int
fake_remove(struct hpbus_device *dev)
{
	removes++;
	return remove_result;
}

static struct hpbus_driver fake_driver = {
	.driver = {.name = "net_fake"},
	.probe = fake_probe,
	.remove = fake_remove,
};

static void __attribute__((constructor)) fake_driver_init(void)
{
	hpbus_register_driver(&fake_driver);
}

/* The device that EAL finds by its name, or NULL. */
static struct rte_device *
find(const char *guid)
{
	struct rte_dev_iterator it;
	struct rte_device *dev;
	char filter[64];

	snprintf(filter, sizeof(filter), "bus=vmbus,name=%s", guid);
	RTE_DEV_FOREACH(dev, filter, &it)
	return dev;
	return NULL;
}

/* ---- tests ---- */

static void
start_probes_what_is_allowed(void)
{
	CU_ASSERT_EQUAL(probes, 1);
	CU_ASSERT_TRUE(probe_saw_driver);
	CU_ASSERT_PTR_NOT_NULL_FATAL(find(GUID "1"));
	CU_ASSERT_TRUE(rte_dev_is_probed(find(GUID "1")));
	CU_ASSERT_PTR_NOT_NULL_FATAL(find(GUID "2"));
	CU_ASSERT_FALSE(rte_dev_is_probed(find(GUID "2")));
}

static void
plug_unplug_and_plug_again(void)
{
	struct rte_device *dev;
	unsigned int i;
	char text[64];

	for (i = 0; i < 3; i++) {
		probes = removes = released = 0;
		snprintf(text, sizeof(text), "vmbus:" GUID "2,round=%u", i);
		CU_ASSERT_EQUAL_FATAL(rte_dev_probe(text), 0);
		CU_ASSERT_EQUAL(probes, 1);
		CU_ASSERT_TRUE(probe_saw_driver);
		CU_ASSERT_PTR_NOT_NULL(strstr(text, probe_args));
		dev = find(GUID "2");
		CU_ASSERT_TRUE_FATAL(dev != NULL && rte_dev_is_probed(dev));
		CU_ASSERT_STRING_EQUAL(rte_driver_name(rte_dev_driver(dev)), "net_fake");
		CU_ASSERT_EQUAL(rte_dev_remove(dev), 0);
		/* EAL of 26.07 writes to it after that. */
		CU_ASSERT_PTR_NULL(dev->driver);
		CU_ASSERT_EQUAL(removes, 1);
		CU_ASSERT_EQUAL(released, 1);
		CU_ASSERT_PTR_NULL(find(GUID "2"));
		CU_ASSERT_PTR_NOT_NULL(find(GUID "1"));
	}
	/* By the other pair of calls. */
	CU_ASSERT_EQUAL(rte_eal_hotplug_add("vmbus", GUID "2", "round=4"), 0);
	CU_ASSERT_EQUAL(rte_eal_hotplug_remove("vmbus", GUID "2"), 0);
}

static void
plug_of_what_is_plugged_succeeds_without_a_probe(void)
{
	probes = 0;
	CU_ASSERT_EQUAL(rte_dev_probe("vmbus:" GUID "1"), 0);
	CU_ASSERT_EQUAL(probes, 0);
	CU_ASSERT_TRUE(rte_dev_is_probed(find(GUID "1")));
}

static void
failed_plug_leaves_no_driver_and_can_be_repeated(void)
{
	probes = removes = 0;
	probe_result = -EIO;
	CU_ASSERT_TRUE(rte_dev_probe("vmbus:" GUID "2,round=5") < 0);
	CU_ASSERT_EQUAL(probes, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(find(GUID "2"));
	CU_ASSERT_FALSE(rte_dev_is_probed(find(GUID "2")));
	CU_ASSERT_NOT_EQUAL(rte_dev_remove(find(GUID "2")), 0);
	CU_ASSERT_EQUAL(removes, 0);
	probe_result = 0;
	CU_ASSERT_EQUAL(rte_dev_probe("vmbus:" GUID "2,round=6"), 0);
	CU_ASSERT_STRING_EQUAL(probe_args, "round=6");
}

static void
failed_unplug_keeps_the_device(void)
{
	remove_result = -EBUSY;
	CU_ASSERT_EQUAL(rte_dev_remove(find(GUID "2")), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL_FATAL(find(GUID "2"));
	CU_ASSERT_TRUE(rte_dev_is_probed(find(GUID "2")));
	remove_result = 0;
	CU_ASSERT_EQUAL(rte_dev_remove(find(GUID "2")), 0);
	CU_ASSERT_PTR_NULL(find(GUID "2"));
}

static void
other_spellings_of_a_guid_are_the_same_device(void)
{
	CU_ASSERT_EQUAL(rte_dev_probe("vmbus:{48795065-7230-4000-8000-000000000002}"), 0);
	CU_ASSERT_TRUE_FATAL(find(GUID "2") != NULL);
	CU_ASSERT_TRUE(rte_dev_is_probed(find(GUID "2")));
}

/* The driver lives in it, and the host has it whether an application asks for that or not. */
static void
unmapping_memory_of_eal_leaves_it_with_the_host(void)
{
	void *own = rte_malloc(NULL, 4096, 4096), *foreign;
	struct rte_device *dev = find(GUID "1");

	CU_ASSERT_TRUE_FATAL(own != NULL && dev != NULL);
	unmaps = 0;
	CU_ASSERT_EQUAL(rte_dev_dma_unmap(dev, own, (uintptr_t)own, 4096), 0);
	CU_ASSERT_EQUAL(unmaps, 0);
	rte_free(own);
	/* What an application has registered was shared by a call, and goes by one. */
	foreign = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_TRUE_FATAL(foreign != MAP_FAILED);
	CU_ASSERT_EQUAL_FATAL(rte_extmem_register(foreign, 8192, NULL, 0, 4096), 0);
	CU_ASSERT_EQUAL(rte_dev_dma_unmap(dev, foreign, (uintptr_t)foreign, 8192), 0);
	CU_ASSERT_EQUAL(unmaps, 1);
	CU_ASSERT_EQUAL(rte_extmem_unregister(foreign, 8192), 0);
	munmap(foreign, 8192);
}

/* A device that came back shares what the one before did, and nothing that was taken back. */
static void
memory_that_an_application_has_mapped_is_mapped_again(void)
{
	static _Alignas(4096) uint8_t own[2][4096];
	struct rte_device *rte = find(GUID "1");
	struct hpbus_device *dev = hpbus_device_of(rte);

	/* EAL takes none that it does not know. */
	CU_ASSERT_EQUAL_FATAL(rte_extmem_register(own, sizeof(own), NULL, 0, sizeof(own[0])), 0);
	CU_ASSERT_EQUAL(rte_dev_dma_map(rte, own[0], 100, sizeof(own[0])), 0);
	map_result = -ENOTSUP;
	CU_ASSERT_EQUAL(rte_dev_dma_map(rte, own[1], 200, sizeof(own[1])), -1);
	map_result = maps = unmaps = 0;
	hpbus_dma_again(dev);
	CU_ASSERT_EQUAL(maps, 1);
	CU_ASSERT_EQUAL(mapped_addr, (uintptr_t)own[0]);
	CU_ASSERT_EQUAL(mapped_iova, 100);
	/* While it is away the backend is not asked. */
	dev->returning = true;
	CU_ASSERT_EQUAL(rte_dev_dma_map(rte, own[1], 200, sizeof(own[1])), 0);
	CU_ASSERT_EQUAL(maps, 1);
	hpbus_dma_again(dev);
	CU_ASSERT_EQUAL(maps, 3);
	CU_ASSERT_EQUAL(mapped_addr, (uintptr_t)own[1]);
	dev->returning = false;
	CU_ASSERT_EQUAL(rte_dev_dma_unmap(rte, own[0], 100, sizeof(own[0])), 0);
	CU_ASSERT_EQUAL(unmaps, 1);
	maps = 0;
	hpbus_dma_again(dev);
	CU_ASSERT_EQUAL(maps, 1);
	CU_ASSERT_EQUAL(mapped_addr, (uintptr_t)own[1]);
	hpbus_dma_forget(dev);
	hpbus_dma_again(dev);
	CU_ASSERT_EQUAL(maps, 1);
}

static _Alignas(4096) uint8_t mapped_late[2][4096];

static void *
map_in_a_thread(void *arg)
{
	CU_ASSERT_EQUAL(rte_dev_dma_map(find(GUID "1"), mapped_late[0], 100, 4096), 0);
	return NULL;
}

/* Neither other devices, nor the close of its own; and its recovery only as long as that may take.
 */
static void
a_silent_host_that_is_to_map_memory_holds_up_nobody_else(void)
{
	static const struct hpbus_op_kind brief = {.budget = 50};
	struct rte_device *silent = find(GUID "1"), *other = find(GUID "2");
	struct hpbus_op op;
	pthread_t thread;

	CU_ASSERT_TRUE_FATAL(silent != NULL && other != NULL);
	CU_ASSERT_EQUAL_FATAL(
		rte_extmem_register(mapped_late, sizeof(mapped_late), NULL, 0, 4096), 0);
	sem_init(&map_asked, 0, 0);
	sem_init(&map_let, 0, 0);
	atomic_store(&map_waits, true);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, map_in_a_thread, NULL), 0);
	sem_wait(&map_asked);
	CU_ASSERT_EQUAL(rte_dev_dma_map(other, mapped_late[1], 200, 4096), 0);
	CU_ASSERT_EQUAL(rte_dev_dma_unmap(other, mapped_late[1], 200, 4096), 0);
	CU_ASSERT_EQUAL(hpbus_dma_again(hpbus_device_of(other)), 0);
	hpbus_dma_forget(hpbus_device_of(other));
	hpbus_op_begin(&op, &brief);
	CU_ASSERT_EQUAL(hpbus_dma_again(hpbus_device_of(silent)), -ETIMEDOUT);
	hpbus_op_end(&op);
	hpbus_dma_forget(hpbus_device_of(silent));
	CU_ASSERT_FALSE(atomic_load(&map_given_up));
	sem_post(&map_let);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(hpbus_device_of(silent)->n_own, 0);
	CU_ASSERT_EQUAL(hpbus_dma_again(hpbus_device_of(silent)), 0);
	CU_ASSERT_EQUAL(rte_extmem_unregister(mapped_late, sizeof(mapped_late)), 0);
}

static void
cleanup_removes_and_frees_all(void)
{
	removes = released = 0;
	CU_ASSERT_EQUAL(rte_eal_cleanup(), 0);
	CU_ASSERT_EQUAL(removes, 2);
	CU_ASSERT_EQUAL(released, 2);
}

static const struct unit_test tests[] = {
	{"start_probes_what_is_allowed", start_probes_what_is_allowed},
	{"plug_unplug_and_plug_again", plug_unplug_and_plug_again},
	{"plug_of_what_is_plugged_succeeds_without_a_probe",
		plug_of_what_is_plugged_succeeds_without_a_probe},
	{"failed_plug_leaves_no_driver_and_can_be_repeated",
		failed_plug_leaves_no_driver_and_can_be_repeated},
	{"failed_unplug_keeps_the_device", failed_unplug_keeps_the_device},
	{"other_spellings_of_a_guid_are_the_same_device",
		other_spellings_of_a_guid_are_the_same_device},
	{"unmapping_memory_of_eal_leaves_it_with_the_host",
		unmapping_memory_of_eal_leaves_it_with_the_host},
	{"memory_that_an_application_has_mapped_is_mapped_again",
		memory_that_an_application_has_mapped_is_mapped_again},
	{"a_silent_host_that_is_to_map_memory_holds_up_nobody_else",
		a_silent_host_that_is_to_map_memory_holds_up_nobody_else},
	{"cleanup_removes_and_frees_all", cleanup_removes_and_frees_all},
};

int
main(int argc, char **argv)
{
	static char *eal[] = {"bus_plug", "--no-huge", "-m", "32", "--no-shconf", "--no-pci",
		"--no-telemetry", "-a", "vmbus:" GUID "1", NULL};

	if (rte_eal_init(9, eal) < 0) {
		fprintf(stderr, "EAL does not start\n");
		return EXIT_FAILURE;
	}
	return UNIT_RUN("bus_plug", tests);
}
