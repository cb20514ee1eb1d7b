/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hvsim-vm's bus thread against vCPU threads and the control socket: what one of them takes away
 * while a NIC's turn runs is not touched afterwards. Made for the sanitizers; no KVM.
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "test/unit/vm_guest.h"

#define RECV	   0xe1e10u
#define RECV_PFN   AREA_FREE
#define RECV_BYTES (AREA_PAGES * 4096u)
#define PATTERN	   0x5a

static struct vm_guest g;

static void
start(const char *nic)
{
	vm_guest_start(&g, nic);
	g.threaded = true;
	CU_ASSERT_EQUAL_FATAL(nics_start(&g.nics, NULL, 0), 0);
}

static void
run(void)
{
	vm_guest_connect(&g);
	CU_ASSERT_TRUE_FATAL(vm_guest_open(&g, 0));
	vm_guest_ladder(&g);
	CU_ASSERT_EQUAL(vm_guest_gpadl(&g, 0, RECV, RECV_PFN, 0, RECV_BYTES), 0);
	CU_ASSERT_EQUAL(vm_guest_recv_buf(&g, RECV), NVSP_STATUS_SUCCESS);
	vm_guest_rndis(&g);
}

static bool
frames_arrive(void)
{
	time_t end = time(NULL) + 20;

	for (g.transfers = 0; g.transfers == 0 && time(NULL) < end;)
		vm_guest_poll(&g);
	return g.transfers > 0;
}

static bool
untouched(uint64_t pfn, unsigned int pages)
{
	const uint8_t *p = vm_guest_page(&g, pfn);

	return p[0] == PATTERN && memcmp(p, p + 1, pages * 4096u - 1) == 0;
}

/* In the middle of traffic, each way a guest can take its memory back. */
static void
test_memory_taken_under_traffic(void)
{
	unsigned int i;

	start("channels=4,port=gen:size=60");
	for (i = 0; i < 120; i++) {
		run();
		CU_ASSERT_TRUE_FATAL(frames_arrive());
		switch (i % 4) {
		case 0:
			CU_ASSERT_TRUE(vm_guest_teardown(&g, 0, RECV));
			break;
		case 1:
			vm_guest_close(&g, 0);
			break;
		case 2:
			CU_ASSERT_TRUE(vm_guest_teardown(&g, 0, VM_GUEST_RING));
			memset(vm_guest_page(&g, AREA_RING(0)), PATTERN, 8 * 4096);
			break;
		case 3:
			vm_guest_released(&g, g.ch[0].relid);
			break;
		}
		memset(vm_guest_page(&g, RECV_PFN), PATTERN, RECV_BYTES);
		CU_ASSERT_TRUE_FATAL(vm_guest_wait_turn(&g));
		CU_ASSERT_TRUE(untouched(RECV_PFN, AREA_PAGES));
		if (i % 4 == 2)
			CU_ASSERT_TRUE(untouched(AREA_RING(0), 8));
		bus_lock_take(&g.lock);
		vm_guest_check(&g);
		bus_lock_drop(&g.lock);
	}
	vm_guest_stop(&g);
}

static atomic_bool stop;
static atomic_uint posted;

/* A vCPU that posts what it likes: ids and numbers that the other one uses too. */
static void *
hostile_vcpu(void *arg)
{
	uint64_t state = (uintptr_t)arg;
	uint8_t input[256] = {4, 0, 0, 0, 0, 0, 0, 0, 1};

	while (!atomic_load(&stop)) {
		static const uint8_t types[] = {VBUS_OPENCHANNEL, VBUS_CLOSECHANNEL,
			VBUS_GPADL_HEADER, VBUS_GPADL_BODY, VBUS_GPADL_TEARDOWN,
			VBUS_GPADL_TEARDOWN, VBUS_RELID_RELEASED, VBUS_MODIFYCHANNEL};
		uint32_t size = 240, relid, id, word;

		state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		relid = (uint32_t)(state >> 60);
		id = state & 1 ? RECV : VM_GUEST_RING + (uint32_t)(state >> 40) % 4;
		memset(input + 12, 0, sizeof(input) - 12);
		memcpy(input + 12, &size, 4);
		input[16] = types[(state >> 50) % 8];
		memcpy(input + 24, &relid, 4);
		memcpy(input + 28, &id, 4);
		if (input[16] == VBUS_GPADL_HEADER) {
			word = 8 + 8 * 2 + (1u << 16); /* one range of two pages */
			memcpy(input + 32, &word, 4);
			word = 8192;
			memcpy(input + 36, &word, 4);
		}
		bus_lock_take(&g.lock);
		vbus_hypercall_post(&g.bus, input);
		bus_lock_drop(&g.lock);
		atomic_fetch_add(&posted, 1);
		sched_yield();
	}
	return NULL;
}

/* What the control socket does. */
static void *
operator(void *arg)
{
	struct vbus_device *device = &g.nics.nic[0].device;
	unsigned int i;

	for (i = 0; !atomic_load(&stop); i++) {
		bus_lock_take(&g.lock);
		if (device->present)
			vbus_device_rescind(&g.bus, device);
		else
			vbus_device_present(&g.bus, device);
		host_nic_set_link(vm_guest_nic(&g), i & 1);
		bus_lock_drop(&g.lock);
		usleep(500);
	}
	return NULL;
}

static void
test_vcpus_against_bus_thread(void)
{
	pthread_t thread[3];
	unsigned int i;

	start("channels=4,port=gen:size=60");
	atomic_store(&stop, false);
	atomic_store(&posted, 0);
	pthread_create(&thread[0], NULL, hostile_vcpu, (void *)1);
	pthread_create(&thread[1], NULL, hostile_vcpu, (void *)2);
	pthread_create(&thread[2], NULL, operator, NULL);
	/* Nothing of this need succeed. */
	for (i = 0; i < 300 || atomic_load(&posted) < 3000; i++) {
		vm_guest_connect(&g);
		vm_guest_open(&g, 0);
		vm_guest_gpadl(&g, 0, RECV, RECV_PFN, 0, RECV_BYTES);
		g.ch[0].open = false; /* the rings may have gone: no NVSP from here */
		bus_lock_take(&g.lock);
		vm_guest_check(&g);
		bus_lock_drop(&g.lock);
	}
	atomic_store(&stop, true);
	for (i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	/* And the machine still works. */
	bus_lock_take(&g.lock);
	g.nics.nic[0].device.present = true;
	host_nic_set_link(vm_guest_nic(&g), true);
	bus_lock_drop(&g.lock);
	run();
	CU_ASSERT_TRUE(frames_arrive());
	vm_guest_stop(&g);
}

static sem_t entered, go_on;
static atomic_bool inside;

bool __real_host_trace_close(struct trace *trace, unsigned int ms);
bool __wrap_host_trace_close(struct trace *trace, unsigned int ms);

/* The disk takes what is left of a trace only when the test says so. */
bool
__wrap_host_trace_close(struct trace *trace, unsigned int ms)
{
	struct timespec until;

	if (trace != NULL) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += 20;
		atomic_store(&inside, true);
		sem_post(&entered);
		sem_timedwait(&go_on, &until);
		atomic_store(&inside, false);
	}
	return __real_host_trace_close(trace, ms);
}

/* A command that waits for a disk: the NICs do not wait for it, nor does the machine. */
static void
test_frames_flow_while_a_command_waits(void)
{
	static const char on[] = "{\"cmd\":\"trace\",\"file\":\"%s/trace\"}\n",
			  off[] = "{\"cmd\":\"trace\",\"on\":false}\n";
	char dir[] = "/tmp/vm_bus_thread.XXXXXX", line[128], answer[512];
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	sem_init(&entered, 0, 0);
	sem_init(&go_on, 0, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/ctl", dir);
	vm_guest_start(&g, "channels=4,port=gen:size=60");
	g.threaded = true;
	CU_ASSERT_EQUAL_FATAL(nics_control(&g.nics, address.sun_path), 0);
	CU_ASSERT_EQUAL_FATAL(nics_start(&g.nics, NULL, 0), 0);
	run();
	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	snprintf(line, sizeof(line), on, dir);
	CU_ASSERT_EQUAL(send(fd, line, strlen(line), 0), (ssize_t)strlen(line));
	CU_ASSERT(recv(fd, answer, sizeof(answer), 0) > 0);
	CU_ASSERT_EQUAL(strncmp(answer, "{\"trace\":{", 10), 0);
	CU_ASSERT_EQUAL(send(fd, off, strlen(off), 0), (ssize_t)strlen(off));
	sem_wait(&entered);
	/* What was in the ring before is no proof. */
	for (unsigned int i = 0; i < 20; i++) {
		CU_ASSERT_TRUE_FATAL(frames_arrive());
		CU_ASSERT_TRUE_FATAL(vm_guest_wait_turn(&g));
	}
	CU_ASSERT_TRUE(atomic_load(&inside));
	sem_post(&go_on);
	CU_ASSERT(recv(fd, answer, sizeof(answer), 0) > 0);
	vm_guest_stop(&g);
	CU_ASSERT_NOT_EQUAL(access(address.sun_path, F_OK), 0);
	close(fd);
	snprintf(line, sizeof(line), "%s/trace", dir);
	unlink(line);
	rmdir(dir);
	sem_destroy(&entered);
	sem_destroy(&go_on);
}

/* The hypervisor's part of an offer, which the bus thread asks for in its turn. */
static int
hanging_connect(void *ctx, uint32_t id, bool on)
{
	if (on) {
		sem_post(&entered);
		sem_wait(&go_on);
	}
	return 0;
}

/* The bus thread stands still in its turn: the end of the machine does not wait for ever. */
static void
test_end_with_a_hanging_bus_thread(void)
{
	struct nvsp_message msg;
	time_t before;

	sem_init(&entered, 0, 0);
	sem_init(&go_on, 0, 0);
	start("channels=4,port=sink");
	run();
	bus_lock_take(&g.lock);
	g.bus.hypervisor.connect = hanging_connect;
	bus_lock_drop(&g.lock);
	nvsp_build_subchannel(&msg, 1);
	vm_guest_post_nvsp(&g, &msg);
	sem_wait(&entered);
	before = time(NULL);
	CU_ASSERT_FALSE(nics_destroy(&g.nics));
	CU_ASSERT(time(NULL) - before < 20);
	/* Nothing was freed under it. */
	sem_post(&go_on);
	vm_guest_stop(&g);
	sem_destroy(&entered);
	sem_destroy(&go_on);
}

static void
scenario_has_ended(void *ctx)
{
	sem_post(ctx);
}

static bool
stats_say(const char *what)
{
	struct host_control_ops ops = nics_report_ops(&g.nics);
	char *answer = host_control_execute(&ops, "{\"cmd\":\"stats\",\"nic\":0}");
	bool found = answer != NULL && strstr(answer, what) != NULL;

	free(answer);
	return found;
}

/* By the clock and by what the NIC's statistics say, with nobody at a socket. */
static void
test_scenario_is_executed(bool with_socket)
{
	static const char text[] = "wait 0 state=running\n+20ms link 0 up=false\n+20ms rescind 7\n";
	char dir[] = "/tmp/vm_bus_thread.XXXXXX", path[64], errbuf[256];
	struct host_scenario *scenario;
	struct timespec until;
	FILE *file;

	sem_init(&entered, 0, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/scenario", dir);
	file = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	fputs(text, file);
	fclose(file);
	/* Of the eight NICs that it is told there is one: the last command fails. */
	CU_ASSERT_EQUAL_FATAL(host_scenario_load(&scenario, path, 8, errbuf, sizeof(errbuf)), 0);
	unlink(path);
	vm_guest_start(&g, "channels=4,port=sink");
	g.threaded = true;
	snprintf(path, sizeof(path), "%s/ctl", dir);
	if (with_socket)
		CU_ASSERT_EQUAL_FATAL(nics_control(&g.nics, path), 0);
	nics_scenario(&g.nics, scenario, scenario_has_ended, &entered);
	CU_ASSERT_EQUAL_FATAL(nics_start(&g.nics, NULL, 0), 0);
	CU_ASSERT_TRUE(stats_say("\"link_up\":true"));
	run();
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	CU_ASSERT_EQUAL(sem_timedwait(&entered, &until), 0);
	CU_ASSERT_TRUE(stats_say("\"link_up\":false"));
	vm_guest_stop(&g);
	CU_ASSERT_TRUE(host_scenario_ended(scenario));
	CU_ASSERT_EQUAL(host_scenario_failures(scenario), 1);
	/* Once. */
	CU_ASSERT_NOT_EQUAL(sem_trywait(&entered), 0);
	host_scenario_free(scenario);
	sem_destroy(&entered);
	rmdir(dir);
}

static void
test_scenario_without_a_control_socket(void)
{
	test_scenario_is_executed(false);
}

static void
test_scenario_beside_the_control_socket(void)
{
	test_scenario_is_executed(true);
}

/* One that waits for a guest that never comes: the end of the machine ends it. */
static void
test_scenario_that_is_not_over(void)
{
	char path[] = "/tmp/vm_bus_thread.XXXXXX", errbuf[256];
	static const char text[] = "600 link 0 up=false\n";
	int fd = mkstemp(path);
	struct host_scenario *scenario;

	CU_ASSERT_EQUAL_FATAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	CU_ASSERT_EQUAL_FATAL(host_scenario_load(&scenario, path, 1, errbuf, sizeof(errbuf)), 0);
	unlink(path);
	vm_guest_start(&g, "channels=4,port=sink");
	g.threaded = true;
	nics_scenario(&g.nics, scenario, NULL, NULL);
	CU_ASSERT_EQUAL_FATAL(nics_start(&g.nics, NULL, 0), 0);
	vm_guest_stop(&g);
	CU_ASSERT_FALSE(host_scenario_ended(scenario));
	host_scenario_free(scenario);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"memory taken back under traffic", test_memory_taken_under_traffic},
		{"vCPUs and control against the bus thread", test_vcpus_against_bus_thread},
		{"frames flow while a command of the control socket waits",
			test_frames_flow_while_a_command_waits},
		{"a scenario without a control socket", test_scenario_without_a_control_socket},
		{"a scenario beside the control socket", test_scenario_beside_the_control_socket},
		{"a scenario that is not over ends with the machine",
			test_scenario_that_is_not_over},
		{"the end does not wait for a bus thread that hangs",
			test_end_with_a_hanging_bus_thread},
	};

	return UNIT_RUN("vm_bus_thread", tests);
}
