/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Several NICs on one worker of hvsim: each client has its share of mappings, memory, descriptors
 * and time, and none of its neighbours' (spec/vmbus-over-vfio-user.md §12, §15).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/netvsp/nvsp.h"
#include "lib/vfio_user/client.h"
#include "lib/vmbus/ring_map.h"
#include "test/unit/hvsim_guest.h"
#include "test/unit/hvsim_rig.h"
#include "test/unit/wait.h"
#include "test/unit/unit.h"

/* Only a failure takes so long; on a machine whose processors are busy an answer may take seconds.
 */
#define PATIENCE_MS 60000u

static char dir[] = "/tmp/hvsim_share.XXXXXX";

static void
host_start(const struct hvsim_budget *budget, bool busy)
{
	rig_start(dir, RIG_NICS, "channels=4,ring=64K,recv=1M,send=1M,port=echo", budget, busy);
}

/* ---- a guest that says INIT ---- */

static void
guest_ask_init(struct guest *g)
{
	struct nvsp_message msg;

	nvsp_build_init(&msg, NVSP_VERSION_61);
	guest_send(g, &msg, 5);
}

static bool
guest_answered(struct guest *g, unsigned int ms)
{
	struct vmbus_packet pkt;
	int total = 0;

	for (unsigned int i = 0; i <= ms && total == 0; i++) {
		total = vmbus_ring_peek(&g->in, &pkt);
		if (total == 0 && i < ms)
			usleep(1000);
	}
	if (total > 0) {
		vmbus_ring_consume(&g->in, (uint32_t)total);
		vmbus_ring_reader_publish(&g->in, true);
	}
	return total > 0;
}

/* ---- tests ---- */

/* A command on one NIC: the worker's other NIC goes on, and the first one after it. */
static void
test_one_nic_is_held(void)
{
	struct host_nic_status status;
	struct guest g[RIG_NICS];
	uint64_t sleeps;

	host_start(NULL, false);
	guest_connect(&g[0], rig.device[0].path);
	guest_connect(&g[1], rig.device[1].path);
	pthread_mutex_lock(&rig.lock);
	device_lock(&rig.device[0]);
	guest_ask_init(&g[0]);
	guest_ask_init(&g[1]);
	CU_ASSERT(guest_answered(&g[1], PATIENCE_MS));
	sleeps = atomic_load(&rig.worker.sleeps);
	CU_ASSERT(!guest_answered(&g[0], 0));
	/* Statistics of both need nobody's consent. */
	for (unsigned int i = 0; i < RIG_NICS; i++) {
		device_refresh(&rig.device[i]);
		host_nic_status(rig.device[i].nic, &status);
		CU_ASSERT_EQUAL(status.channels_open, 1);
	}
	/* Time enough for the worker to fall asleep without the first one's doorbell. */
	for (unsigned int i = 0; i < 100 && atomic_load(&rig.worker.sleeps) == sleeps; i++)
		usleep(1000);
	device_unlock(&rig.device[0]);
	CU_ASSERT(guest_answered(&g[0], PATIENCE_MS));
	pthread_mutex_unlock(&rig.lock);
	guest_close(&g[0]);
	guest_close(&g[1]);
	rig_stop();
}

/* A worker that takes its lock again at once would never let the control thread have it. */
static void
test_control_thread_goes_first(void)
{
	struct guest g[RIG_NICS];

	host_start(NULL, true);
	guest_connect(&g[0], rig.device[0].path);
	guest_connect(&g[1], rig.device[1].path);
	pthread_mutex_lock(&rig.lock);
	/* As device_lock() before it has the lock; a turn that had begun still ends. */
	atomic_fetch_add(&rig.device[0].wanted, 1);
	pthread_mutex_lock(&rig.device[0].lock);
	pthread_mutex_unlock(&rig.device[0].lock);
	guest_ask_init(&g[0]);
	guest_ask_init(&g[1]);
	CU_ASSERT(guest_answered(&g[1], PATIENCE_MS));
	CU_ASSERT(!guest_answered(&g[0], 0));
	atomic_fetch_sub(&rig.device[0].wanted, 1);
	worker_wake(&rig.worker);
	CU_ASSERT(guest_answered(&g[0], PATIENCE_MS));
	pthread_mutex_unlock(&rig.lock);
	guest_close(&g[0]);
	guest_close(&g[1]);
	rig_stop();
}

/* Mappings and bytes of one client end at its budget; the neighbour has its own. */
static void
test_map_budget(void)
{
	const struct hvsim_budget budget = {.maps = 100, .bytes = 64 << 20, .fds = 5};
	int fd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct guest g[RIG_NICS];

	/* A sparse terabyte costs the client nothing. */
	CU_ASSERT_EQUAL_FATAL(ftruncate(fd, (off_t)1 << 40), 0);
	host_start(&budget, false);
	guest_connect(&g[0], rig.device[0].path);
	guest_connect(&g[1], rig.device[1].path);
	CU_ASSERT_EQUAL(vfu_client_dma_map(
				g[0].client, fd, VFIO_USER_DMA_READ_FLAG, 0, 0, UINT64_C(1) << 40),
		-ENOSPC);
	CU_ASSERT_EQUAL(vfu_client_dma_map(
				g[0].client, fd, VFIO_USER_DMA_READ_FLAG, 0, 0, (64 << 20) + 4096),
		-ENOSPC);
	CU_ASSERT_EQUAL(
		vfu_client_dma_map(g[0].client, fd, VFIO_USER_DMA_READ_FLAG, 0, 0, 64 << 20), 0);
	CU_ASSERT_EQUAL(vfu_client_dma_map(g[0].client, fd, VFIO_USER_DMA_READ_FLAG, 0,
				UINT64_C(1) << 40, 4096),
		-ENOSPC);
	CU_ASSERT_EQUAL(vfu_client_dma_unmap(g[0].client, 0, 64 << 20), 0);
	for (uint64_t i = 0; i < 101; i++)
		CU_ASSERT_EQUAL(vfu_client_dma_map(g[0].client, fd, VFIO_USER_DMA_READ_FLAG, 0,
					i * 8192, 4096),
			i < 100 ? 0 : -ENOSPC);
	/* What is given back can be had again. */
	CU_ASSERT_EQUAL(vfu_client_dma_unmap(g[0].client, 0, 4096), 0);
	CU_ASSERT_EQUAL(
		vfu_client_dma_map(g[0].client, fd, VFIO_USER_DMA_READ_FLAG, 0, 0, 4096), 0);
	CU_ASSERT_EQUAL(
		vfu_client_dma_map(g[1].client, fd, VFIO_USER_DMA_READ_FLAG, 0, 0, 4096), 0);
	for (unsigned int i = 0; i < RIG_NICS; i++) {
		guest_ask_init(&g[i]);
		CU_ASSERT(guest_answered(&g[i], PATIENCE_MS));
		guest_close(&g[i]);
	}
	rig_stop();
	close(fd);
}

/* Without a descriptor for a client the loop rests, and serves the client when there is one. */
static void
test_accept_without_descriptors(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct rlimit before, few;
	struct guest g, waiting;
	int fd, taken[64], free_fd;
	unsigned int n, n_taken = 0;
	char byte;

	host_start(NULL, false);
	guest_connect(&g, rig.device[0].path);
	/* The next client connects itself, for our descriptors are the host's. */
	strcpy(address.sun_path, rig.device[1].path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pthread_mutex_lock(&rig.lock);
	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = 64;
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &few), 0);
	while (n_taken < 64 && (free_fd = dup(fd)) >= 0)
		taken[n_taken++] = free_fd;
	n = atomic_load(&rig.accepts);
	CU_ASSERT_EQUAL(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	pthread_mutex_unlock(&rig.lock);
	UNIT_WAIT_UNTIL(atomic_load(&rig.accepts) != n);
	usleep(350000);
	/* Four pauses; without them it is tens of thousands. */
	CU_ASSERT(atomic_load(&rig.accepts) - n < 20);
	/* The client that is there is served meanwhile. */
	guest_ask_init(&g);
	CU_ASSERT(guest_answered(&g, PATIENCE_MS));
	pthread_mutex_lock(&rig.lock);
	while (n_taken > 0)
		close(taken[--n_taken]);
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &before), 0);
	pthread_mutex_unlock(&rig.lock);
	close(fd);
	for (unsigned int i = 0; i < 5000 && recv(fd, &byte, 1, MSG_DONTWAIT) > 0; i++)
		;
	usleep(300000);
	guest_connect(&waiting, rig.device[1].path);
	guest_ask_init(&waiting);
	CU_ASSERT(guest_answered(&waiting, PATIENCE_MS));
	guest_close(&waiting);
	guest_close(&g);
	rig_stop();
}

/* The division of what the kernel allows. */
static void
test_divide(void)
{
	struct hvsim_limits limits = {
		.max_maps = 65530, .max_fds = 20000, .phys_bytes = UINT64_C(256) << 30};
	static struct host_nic_config nics[64];
	struct hvsim_budget none = {0}, asked = {0}, share;
	char warning[512] = "", why[512] = "";

	for (unsigned int i = 0; i < 64; i++)
		nics[i].channels = 8;
	CU_ASSERT_EQUAL(budget_divide(&limits, nics, 1, 1, &none, &share, warning, sizeof(warning),
				why, sizeof(why)),
		0);
	CU_ASSERT(share.maps > 60000);
	CU_ASSERT(share.maps < 65000);
	CU_ASSERT_EQUAL(share.bytes, UINT64_C(256) << 30);
	CU_ASSERT_EQUAL(share.fds, 9);
	CU_ASSERT_STRING_EQUAL(warning, "");
	CU_ASSERT_EQUAL(budget_divide(&limits, nics, 64, 4, &none, &share, warning, sizeof(warning),
				why, sizeof(why)),
		0);
	/* All at their limits, and the host's own mappings, are within the kernel's. */
	CU_ASSERT(share.maps * 64 + 64 * (5 + 4 * 8) + 1000 < 65530);
	CU_ASSERT(share.maps > 500);
	CU_ASSERT_EQUAL(share.bytes, UINT64_C(4) << 30);
	CU_ASSERT_STRING_EQUAL(warning, "");
	/* What the user wants goes before, as far as there is. */
	asked = (struct hvsim_budget){.maps = 200, .bytes = 1 << 20, .fds = 3};
	CU_ASSERT_EQUAL(budget_divide(&limits, nics, 64, 4, &asked, &share, warning,
				sizeof(warning), why, sizeof(why)),
		0);
	CU_ASSERT_EQUAL(share.maps, 200);
	CU_ASSERT_EQUAL(share.bytes, 1 << 20);
	CU_ASSERT_EQUAL(share.fds, 3);
	asked.maps = 2000;
	CU_ASSERT_EQUAL(budget_divide(&limits, nics, 64, 4, &asked, &share, warning,
				sizeof(warning), why, sizeof(why)),
		-EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "vm.max_map_count"));
	/* Too few descriptors for all are said at the start. */
	limits.max_fds = 1024;
	CU_ASSERT_EQUAL(budget_divide(&limits, nics, 64, 4, &none, &share, warning, sizeof(warning),
				why, sizeof(why)),
		0);
	CU_ASSERT_PTR_NOT_NULL(strstr(warning, "1024"));
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"one NIC is held, its neighbour goes on", test_one_nic_is_held},
		{"the control thread goes first", test_control_thread_goes_first},
		{"mappings and memory of one client", test_map_budget},
		{"accept without descriptors", test_accept_without_descriptors},
		{"the division", test_divide},
	};

	return UNIT_RUN_IN(dir, "hvsim_share", tests);
}
