/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vfio-user backend while its host does not answer: who may wait, waits for its operation, and
 * the data path not at all.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test/unit/unit.h"
#include "test/unit/vfio_backend_rig.h"
#include "test/unit/vfio_user_rig.h"

static struct hpbus_device other_device;
static struct vfio_device *other;
static int other_peer;

/* The host has mapped these pages. */
static void
share(struct vfio_device *with, void *memory, size_t len)
{
	const struct hpbus_dma_range range = {(uintptr_t)memory, (uintptr_t)memory, len};

	CU_ASSERT_EQUAL(hpbus_dma_table_add(&with->dma, &range), 0);
}

static bool
doorbell_written(uint32_t offset)
{
	uint8_t want[36], got[64];

	rig_hex("ffff 0a00 24000000 10000000 00000000"
		"0000000000000000 06000000 04000000 01000000",
		want, sizeof(want));
	memcpy(want + 16, &offset, sizeof(offset));
	return read(backend_peer, got, sizeof(got)) == sizeof(want) && memcmp(got, want, 36) == 0;
}

/* A control thread holds the connection for as long as its request takes. */
static void
test_memory_is_looked_up_during_a_request(void)
{
	static uint8_t memory[8192];

	backend_begin();
	share(backend, memory, 4096);
	pthread_mutex_lock(&backend->lock);
	CU_ASSERT_TRUE(vfio_dma_usable(&backend_device, memory + 100, 1000));
	CU_ASSERT_FALSE(vfio_dma_usable(&backend_device, memory + 4000, 1000));
	pthread_mutex_unlock(&backend->lock);
	backend_end();
}

/* A memory event that is not scheduled while it changes the table: HANGS_S would end this. */
static void
test_a_lookup_does_not_wait_for_whoever_changes_the_table(void)
{
	static uint8_t memory[4096];
	struct hpbus_op op;

	backend_begin();
	share(backend, memory, 4096);
	rte_rwlock_write_lock(&backend->dma.lock);
	CU_ASSERT_FALSE(vfio_dma_usable(&backend_device, memory, 100));
	rte_rwlock_write_unlock(&backend->dma.lock);
	CU_ASSERT_TRUE(vfio_dma_usable(&backend_device, memory, 100));
	/* Others who look are no reason, nor for a control operation. */
	rte_rwlock_read_lock(&backend->dma.lock);
	CU_ASSERT_TRUE(vfio_dma_usable(&backend_device, memory, 100));
	hpbus_op_begin(&op, &backend_short_op);
	CU_ASSERT_TRUE(vfio_dma_usable(&backend_device, memory, 100));
	hpbus_op_end(&op);
	rte_rwlock_read_unlock(&backend->dma.lock);
	backend_end();
}

static void
test_signals_during_a_request(void)
{
	struct hpbus_channel ch = {.dev = &backend_device, .index = 3, .doorbell = 12};
	uint64_t value;
	int fd = eventfd(0, EFD_CLOEXEC);

	backend_begin();
	pthread_mutex_lock(&backend->lock);
	ch.signal = HPBUS_SIGNAL_CALL;
	backend_device.signal_fd[3] = -1;
	backend_device.backend->signal(&backend_device, &ch);
	CU_ASSERT_TRUE(doorbell_written(12));

	ch.signal = HPBUS_SIGNAL_EVENTFD;
	backend_device.signal_fd[3] = fd;
	CU_ASSERT_EQUAL_FATAL(vfu_signaller_init(&backend->signaller), 0);
	backend_device.backend->signal(&backend_device, &ch);
	CU_ASSERT_EQUAL(vfu_eventfd_drain(fd, &value), 0);
	CU_ASSERT_EQUAL(value, 1);
	CU_ASSERT_FALSE(doorbell_written(12));

	/* A doorbell that does not work is no reason to lose the signal. */
	backend_device.signal_fd[3] = STDIN_FILENO;
	backend_device.backend->signal(&backend_device, &ch);
	CU_ASSERT_TRUE(doorbell_written(12));
	pthread_mutex_unlock(&backend->lock);
	close(fd);
	backend_end();
}

/* What a full socket did not take is delivered when there is room. */
static void
test_no_signal_is_lost(void)
{
	struct hpbus_channel a = {.dev = &backend_device, .signal = HPBUS_SIGNAL_CALL};
	struct hpbus_channel b = a;
	struct pollfd pfd = {.events = POLLIN};
	unsigned int n[64] = {0};
	uint8_t got[36];

	a.index = 1;
	a.doorbell = 4;
	b.index = 2;
	b.doorbell = 8;
	backend_begin();
	pfd.fd = backend_peer;
	for (int i = 0; i < 10000; i++)
		backend_device.backend->signal(&backend_device, &a);
	backend_device.backend->signal(&backend_device, &b);
	for (int again = 0; again < 2; again++) {
		while (poll(&pfd, 1, 0) == 1 && read(backend_peer, got, sizeof(got)) == sizeof(got))
			n[got[16] / 4]++;
		if (again == 0) {
			CU_ASSERT_EQUAL(n[2], 0);
			backend_device.backend->signal_again(&backend_device);
		}
	}
	CU_ASSERT(n[1] > 1);
	CU_ASSERT_EQUAL(n[2], 1);
	backend_end();
}

static void
test_a_request_waits_for_another_no_longer_than_its_operation(void)
{
	struct hpbus_op op;
	int64_t began;

	backend_begin();
	began = hpbus_now_ms();
	pthread_mutex_lock(&backend->lock);
	hpbus_op_begin(&op, &backend_short_op);
	CU_ASSERT_EQUAL(vfio_enter(backend, hpbus_op_talk_until()), -ETIMEDOUT);
	hpbus_op_end(&op);
	pthread_mutex_unlock(&backend->lock);
	CU_ASSERT(hpbus_now_ms() - began >= 200);
	CU_ASSERT(hpbus_now_ms() - began < 400 + SLACK_MS);
	backend_end();
}

/* A fence that is not answered in its time is made by cutting the host off. */
static void
test_reset_of_a_silent_host(void)
{
	struct hpbus_op op;
	int64_t began;

	backend_begin();
	began = hpbus_now_ms();
	hpbus_op_begin(&op, &backend_short_op);
	CU_ASSERT_EQUAL(backend_device.backend->reset(&backend_device), -ETIMEDOUT);
	hpbus_op_end(&op);
	CU_ASSERT(hpbus_now_ms() - began < 400 + SLACK_MS);
	CU_ASSERT_TRUE(atomic_load(&backend_device.gone));
	CU_ASSERT_TRUE(backend_hung_up());
	CU_ASSERT_STRING_EQUAL(
		vfio_why_gone(backend), "the host did not answer in time and was cut off");
	backend_end();
}

/* The same when another thread's request is what it would have to wait for. */
static void
test_reset_behind_another_request(void)
{
	struct hpbus_op op;

	backend_begin();
	pthread_mutex_lock(&backend->lock);
	hpbus_op_begin(&op, &backend_short_op);
	CU_ASSERT_EQUAL(backend_device.backend->reset(&backend_device), -ETIMEDOUT);
	hpbus_op_end(&op);
	CU_ASSERT_TRUE(atomic_load(&backend_device.gone));
	CU_ASSERT_TRUE(backend_hung_up());
	pthread_mutex_unlock(&backend->lock);
	backend_end();
}

/* A host that refuses the fence keeps its hands on our memory: it is cut off, too. */
static void
test_reset_that_is_refused(void)
{
	uint8_t refusal[16];
	struct hpbus_op op;

	backend_begin();
	rig_hex("02000d00 10000000 21000000 05000000", refusal, sizeof(refusal));
	CU_ASSERT_EQUAL(write(backend_peer, refusal, sizeof(refusal)), sizeof(refusal));
	hpbus_op_begin(&op, &backend_short_op);
	CU_ASSERT_EQUAL(backend_device.backend->reset(&backend_device), -EIO);
	hpbus_op_end(&op);
	CU_ASSERT_TRUE(atomic_load(&backend_device.gone));
	CU_ASSERT_TRUE(backend_hung_up());
	CU_ASSERT_STRING_EQUAL(vfio_why_gone(backend), "the host was cut off");
	backend_end();
}

static void
test_a_host_that_leaves_is_not_said_to_be_cut_off(void)
{
	backend_begin();
	CU_ASSERT_EQUAL(shutdown(backend_peer, SHUT_RDWR), 0);
	CU_ASSERT_EQUAL(vfu_client_alive(backend->client), -ENOTCONN);
	vfio_cut_off(backend);
	CU_ASSERT_STRING_EQUAL(vfio_why_gone(backend), "the host closed the connection");
	backend_end();
}

/* What the host says to the first request after the greeting, a removal of this range. */
static void
answer_unmap(int host, void *memory, size_t len)
{
	struct {
		struct vfio_user_header h;
		struct vfio_user_dma_unmap unmap;
	} reply = {
		.h = {.msg_id = 2,
			.command = VFIO_USER_DMA_UNMAP,
			.size = sizeof(reply),
			.flags = VFIO_USER_TYPE_REPLY},
		.unmap = {sizeof(reply.unmap), 0, (uintptr_t)memory, len},
	};

	CU_ASSERT_EQUAL(write(host, &reply, sizeof(reply)), sizeof(reply));
}

/* Memory is given back by an operation that has waited in vain for a silent host. */
static void
test_memory_goes_during_another_devices_spent_operation(void)
{
	static const struct hpbus_op_kind spent_op = {"test", 200, 200, true};
	static uint8_t memory[8192];
	struct hpbus_op op;
	int64_t began;

	backend_begin();
	other = backend_connect(&other_device, &other_peer);
	CU_ASSERT_EQUAL(vfio_dma_start(backend), 0);
	CU_ASSERT_EQUAL(vfio_dma_start(other), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(backend_memory_event);
	share(backend, memory, 4096);
	share(other, memory, 4096);
	answer_unmap(other_peer, memory, 4096);
	hpbus_op_begin(&op, &spent_op);
	CU_ASSERT_EQUAL(backend_device.backend->reset(&backend_device), -ETIMEDOUT);
	CU_ASSERT_TRUE(backend_hung_up());
	CU_ASSERT(hpbus_now_ms() >= op.talk_until);
	began = hpbus_now_ms();
	backend_memory_event(RTE_MEM_EVENT_FREE, memory, 4096, backend);
	backend_memory_event(RTE_MEM_EVENT_FREE, memory, 4096, other);
	hpbus_op_end(&op);
	CU_ASSERT(hpbus_now_ms() - began < 2000 + SLACK_MS);
	CU_ASSERT_FALSE(vfio_dma_usable(&backend_device, memory, 100));
	CU_ASSERT_FALSE(vfio_dma_usable(&other_device, memory, 100));
	CU_ASSERT_FALSE(backend_hung_up_on(other_peer));
	CU_ASSERT_FALSE(atomic_load(&other_device.gone));
	CU_ASSERT_EQUAL(vfu_client_alive(other->client), 0);
	backend_disconnect(other, other_peer);
	backend_end();
}

/* The host stays silent: it must not keep what is given away. */
static void
test_memory_goes_and_the_host_does_not_let_go(void)
{
	static uint8_t memory[4096];
	struct hpbus_op op;
	int64_t began;

	backend_begin();
	CU_ASSERT_EQUAL(vfio_dma_start(backend), 0);
	share(backend, memory, sizeof(memory));
	hpbus_op_begin(&op, &backend_short_op);
	began = hpbus_now_ms();
	backend_memory_event(RTE_MEM_EVENT_FREE, memory, sizeof(memory), backend);
	hpbus_op_end(&op);
	CU_ASSERT(hpbus_now_ms() - began < 1000 + SLACK_MS);
	CU_ASSERT_TRUE(backend_hung_up());
	backend_end();
}

/* A request that has no time left is not made: its end would be the connection's. */
static void
test_a_request_too_late_costs_no_connection(void)
{
	backend_begin();
	CU_ASSERT_EQUAL(vfio_enter(backend, hpbus_now_ms()), -ETIMEDOUT);
	CU_ASSERT_EQUAL(pthread_mutex_trylock(&backend->lock), 0);
	CU_ASSERT_EQUAL(vfu_client_alive(backend->client), 0);
	pthread_mutex_unlock(&backend->lock);
	backend_end();
}

/* A port is closed when all of its time is gone: a host that answers hears of it all the same. */
static void
test_close_of_a_spent_operation_tells_the_host(void)
{
	static const struct hpbus_op_kind nothing_left = {"test", 0, 0, true};
	uint8_t answer[16], want[16], got[64];
	struct hpbus_op op;

	backend_begin();
	rig_hex("02000d00 10000000 01000000 00000000", answer, sizeof(answer));
	rig_hex("02000d00 10000000 00000000 00000000", want, sizeof(want));
	CU_ASSERT_EQUAL(write(backend_peer, answer, sizeof(answer)), sizeof(answer));
	hpbus_op_begin(&op, &nothing_left);
	backend_device.backend->close(&backend_device);
	hpbus_op_end(&op);
	CU_ASSERT_EQUAL(read(backend_peer, got, sizeof(got)), sizeof(want));
	CU_ASSERT_EQUAL(memcmp(got, want, sizeof(want)), 0);
	backend_end();
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"memory is looked up during a request", test_memory_is_looked_up_during_a_request},
		{"a lookup does not wait for whoever changes the table",
			test_a_lookup_does_not_wait_for_whoever_changes_the_table},
		{"signals during a request", test_signals_during_a_request},
		{"no signal is lost", test_no_signal_is_lost},
		{"a request waits for another no longer than its operation",
			test_a_request_waits_for_another_no_longer_than_its_operation},
		{"reset of a silent host", test_reset_of_a_silent_host},
		{"reset behind another request", test_reset_behind_another_request},
		{"reset that is refused", test_reset_that_is_refused},
		{"a host that leaves is not said to be cut off",
			test_a_host_that_leaves_is_not_said_to_be_cut_off},
		{"memory goes during another device's spent operation",
			test_memory_goes_during_another_devices_spent_operation},
		{"memory goes and the host does not let go",
			test_memory_goes_and_the_host_does_not_let_go},
		{"close of a spent operation tells the host",
			test_close_of_a_spent_operation_tells_the_host},
		{"a request too late costs no connection",
			test_a_request_too_late_costs_no_connection},
	};

	return UNIT_RUN("vfio_backend_wait", tests);
}
