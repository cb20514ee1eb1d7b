/* SPDX-License-Identifier: BSD-3-Clause */
/* What a primary process answers to others, which may be of another build or wrong. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_interrupts.h>
#include <rte_malloc.h>

#include "drivers/bus/vmbus/mp.h"
#include "test/unit/unit.h"

#define ABI 0x1234u

int hpbus_logtype;
const struct hpbus_backend hpbus_uio_backend = {.name = "uio"};

static const struct hpbus_backend backend = {.name = "test"};
static struct hpbus_device device = {.backend = &backend, .name = "device", .instance = {1}};
static int came, ready, ended;
static uint64_t called;
static bool done = true; /* channels can be had */

/* ---- around it ---- */

static void
on_came(struct hpbus_device *dev)
{
	came++;
}

static bool
on_ready(struct hpbus_device *dev)
{
	ready++;
	return done;
}

static bool
on_ended(struct hpbus_device *dev, unsigned int slot)
{
	ended = (int)slot;
	return done;
}

/* Channel 1 must wait. */
static uint64_t
on_call(struct hpbus_device *dev, uint64_t channels)
{
	called |= channels;
	return channels & 2;
}

const struct hpbus_driver *
hpbus_driver(void)
{
	static const struct hpbus_driver driver = {
		.abi = ABI,
		.process_came = on_came,
		.process_ready = on_ready,
		.process_ended = on_ended,
		.call = on_call,
	};

	return &driver;
}

static void (*before_lock)(void);

void
hpbus_devices_lock(void)
{
	void (*before)(void) = before_lock;

	before_lock = NULL;
	if (before != NULL)
		before();
}

void
hpbus_devices_unlock(void)
{
}

void
hpbus_devices_walk(void (*fn)(struct hpbus_device *dev, void *arg), void *arg)
{
	fn(&device, arg);
}

void
hpbus_devices_each(void (*fn)(struct hpbus_device *dev, void *arg), void *arg)
{
	fn(&device, arg);
}

struct hpbus_device *
hpbus_device_find(const uint8_t instance[16])
{
	return memcmp(instance, device.instance, 16) == 0 ? &device : NULL;
}

void *
rte_zmalloc_socket(const char *type, size_t size, unsigned int align, int socket)
{
	return calloc(1, size);
}

/* EAL's interrupt thread: the test. */
static rte_intr_callback_fn watching;
static void *watching_arg;
static void (*while_registering)(void);
static int register_rc, unregister_rc;

int
rte_intr_callback_register(const struct rte_intr_handle *handle, rte_intr_callback_fn cb, void *arg)
{
	if (while_registering != NULL)
		while_registering();
	if (register_rc != 0)
		return register_rc;
	watching = cb;
	watching_arg = arg;
	return 0;
}

int
rte_intr_callback_unregister_pending(const struct rte_intr_handle *handle, rte_intr_callback_fn cb,
	void *arg, rte_intr_unregister_callback_fn last)
{
	if (unregister_rc != 0)
		return unregister_rc;
	last(NULL, arg);
	return 1;
}

/* ---- tests ---- */

static struct hpbus_mp_reply reply;
static uint32_t asked;
static int fds[HPBUS_MP_PLACES_MAX];

static int
ask(struct hpbus_mp_request rq, int fd)
{
	rq.version = HPBUS_MP_VERSION;
	rq.abi = ABI;
	rq.guid[0] = 1;
	rq.number = ++asked;
	hpbus_mp_answer(&rq, sizeof(rq), fd, &reply, fds);
	CU_ASSERT(reply.op == rq.op && reply.number == asked);
	return reply.rc;
}

/* A secondary, in @p slot; @return its end of the sockets */
static int
hello(uint32_t *slot)
{
	int pair[2];

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	CU_ASSERT_EQUAL_FATAL(ask((struct hpbus_mp_request){.op = HPBUS_MP_HELLO}, pair[1]), 0);
	*slot = reply.hello.slot;
	return pair[0];
}

static void
bye(int fd)
{
	close(fd);
	watching(watching_arg);
}

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void
another_build_is_refused(void)
{
	struct hpbus_mp_request rq = {
		.op = HPBUS_MP_HELLO, .version = HPBUS_MP_VERSION, .abi = ABI};
	struct hpbus_mp_request other = rq;
	int fd = dup(0);

	other.abi++;
	hpbus_mp_answer(&other, sizeof(other), fd, &reply, fds);
	CU_ASSERT_EQUAL(reply.rc, -EPROTO);
	CU_ASSERT_FALSE(is_open(fd));
	other = rq;
	other.version++;
	hpbus_mp_answer(&other, sizeof(other), -1, &reply, fds);
	CU_ASSERT_EQUAL(reply.rc, -EPROTO);
	hpbus_mp_answer(&rq, sizeof(rq) - 1, -1, &reply, fds);
	CU_ASSERT_EQUAL(reply.rc, -EPROTO);
	hpbus_mp_answer(&rq, 0, -1, &reply, fds);
	CU_ASSERT_EQUAL(reply.rc, -EPROTO);
	CU_ASSERT_FALSE(hpbus_has_peers());
}

static void
whoever_has_not_said_hello_gets_nothing(void)
{
	const uint32_t slots[] = {0, 1, HPBUS_MAX_PROCESSES - 1, HPBUS_MAX_PROCESSES, UINT32_MAX};
	unsigned int i;

	CU_ASSERT_EQUAL(ask((struct hpbus_mp_request){.op = HPBUS_MP_HELLO}, -1), -EINVAL);
	for (i = 0; i < RTE_DIM(slots); i++)
		CU_ASSERT_EQUAL(
			ask((struct hpbus_mp_request){.op = HPBUS_MP_OPEN, .slot = slots[i]}, -1),
			-EPERM);
	CU_ASSERT_EQUAL(atomic_load(&device.sharing.attached), 0);
}

static void
a_device_is_had_from_open_to_leave(void)
{
	struct hpbus_place place = {.address = 4096, .span = 4096, .piece = {{0, 4096, 0}}};
	struct hpbus_mp_request rq = {.op = HPBUS_MP_DEVICES};
	int fd = hello(&rq.slot), file = dup(0);
	uint32_t generation;
	void *shared;

	CU_ASSERT_TRUE(hpbus_has_peers());
	CU_ASSERT_EQUAL(ask(rq, -1), 0);
	CU_ASSERT_EQUAL(reply.total, 0);
	rq.op = HPBUS_MP_OPEN;
	CU_ASSERT_EQUAL(ask(rq, -1), -ENODEV);
	device.driver_data = &device;
	CU_ASSERT_EQUAL_FATAL(hpbus_share(&device, "port"), 0);
	rq.op = HPBUS_MP_DEVICES;
	CU_ASSERT_EQUAL(ask(rq, -1), 0);
	CU_ASSERT_EQUAL(reply.n, 1);
	rq.op = HPBUS_MP_READY;
	CU_ASSERT_EQUAL(ask(rq, -1), -ENODEV);
	rq.op = HPBUS_MP_OPEN;
	CU_ASSERT_EQUAL(ask(rq, -1), 0);
	CU_ASSERT_STRING_EQUAL(reply.open.port, "port");
	CU_ASSERT_EQUAL(came, 1);
	/* What is mapped, with its file. */
	CU_ASSERT_EQUAL(hpbus_place_add(&device, &place, file), 0);
	rq.op = HPBUS_MP_PLACES;
	CU_ASSERT_EQUAL(ask(rq, -1), 0);
	CU_ASSERT(reply.n == 1 && reply.total == 1 && fds[0] >= 0 && fds[0] != file);
	close(fds[0]);
	generation = reply.generation;
	rq.first = 1;
	CU_ASSERT_EQUAL(ask(rq, -1), 0);
	CU_ASSERT_EQUAL(reply.n, 0);
	/* Of before the last change: not ready. */
	rq.op = HPBUS_MP_READY;
	rq.generation = generation - 1;
	CU_ASSERT_EQUAL(ask(rq, -1), -EAGAIN);
	CU_ASSERT_EQUAL(ready, 0);
	CU_ASSERT_FALSE(hpbus_gather(&device, 0));
	rq.generation = generation;
	CU_ASSERT_EQUAL(ask(rq, -1), 0);
	CU_ASSERT_EQUAL(ready, 1);
	CU_ASSERT_EQUAL(hpbus_processes(&device), UINT64_C(1) << rq.slot);
	CU_ASSERT_TRUE(hpbus_gather(&device, 0));
	/* A device that goes is left by who has it, though there is nothing to be had any more. */
	rq.op = 77;
	CU_ASSERT_EQUAL(ask(rq, -1), -EPROTO);
	hpbus_place_remove(&device, (void *)4096);
	CU_ASSERT_EQUAL(hpbus_processes(&device), 0);
	device.sharing.on = false;
	rq.op = HPBUS_MP_LEAVE;
	CU_ASSERT_EQUAL(ask(rq, -1), 0);
	CU_ASSERT_EQUAL(atomic_load(&device.sharing.attached), 0);
	shared = hpbus_unshare(&device);
	CU_ASSERT_PTR_NOT_NULL(shared);
	free(shared);
	device.driver_data = NULL;
	hpbus_places_clear(&device);
	close(file);
	bye(fd);
	CU_ASSERT_FALSE(hpbus_has_peers());
}

static void
the_end_of_a_process_is_heard_and_its_calls_are(void)
{
	struct hpbus_mp_request rq = {.op = HPBUS_MP_OPEN};
	uint32_t slot;
	void *shared;
	int fd = hello(&slot);

	rq.slot = slot;
	device.driver_data = &device;
	CU_ASSERT_EQUAL_FATAL(hpbus_share(&device, "port"), 0);
	CU_ASSERT_EQUAL(ask(rq, -1), 0);
	atomic_fetch_or(&device.sharing.shared->calls, 6);
	CU_ASSERT_EQUAL(send(fd, "", 1, 0), 1);
	watching(watching_arg);
	CU_ASSERT_EQUAL(called, 6);
	CU_ASSERT_EQUAL(atomic_load(&device.sharing.shared->calls), 2);
	CU_ASSERT_EQUAL(ended, 0);
	bye(fd);
	CU_ASSERT_EQUAL(ended, (int)slot);
	CU_ASSERT_EQUAL(atomic_load(&device.sharing.attached), 0);
	/* Its slot is another's. */
	fd = hello(&rq.slot);
	CU_ASSERT_EQUAL(rq.slot, slot);
	bye(fd);
	shared = hpbus_unshare(&device);
	free(shared);
	device.driver_data = NULL;
}

/* ---- the same with a device that is shared ---- */

/* A secondary that has it. @return its end of the sockets */
static int
begin_shared(struct hpbus_mp_request *rq)
{
	int fd = hello(&rq->slot);

	device.driver_data = &device;
	CU_ASSERT_EQUAL_FATAL(hpbus_share(&device, "port"), 0);
	rq->op = HPBUS_MP_OPEN;
	CU_ASSERT_EQUAL(ask(*rq, -1), 0);
	rq->op = HPBUS_MP_PLACES;
	CU_ASSERT_EQUAL(ask(*rq, -1), 0);
	rq->op = HPBUS_MP_READY;
	rq->generation = reply.generation;
	CU_ASSERT_EQUAL(ask(*rq, -1), 0);
	return fd;
}

static void
end_shared(void)
{
	free(device.sharing.shared);
	device.sharing = (struct hpbus_sharing){.on = false};
	device.driver_data = NULL;
	hpbus_places_clear(&device);
	done = true;
	ended = 0;
}

static bool
is_told(int fd)
{
	char byte;
	bool told = false;

	while (recv(fd, &byte, 1, MSG_DONTWAIT) == 1)
		told = true;
	return told;
}

/* A burst of its may go on with what it would unmap. */
static void
a_leave_that_a_channel_has_not_heard_of_is_refused(void)
{
	struct hpbus_mp_request rq = {0};
	int fd = begin_shared(&rq);

	rq.op = HPBUS_MP_LEAVE;
	done = false;
	CU_ASSERT_EQUAL(ask(rq, -1), -EAGAIN);
	CU_ASSERT_EQUAL(hpbus_processes(&device), 0);
	CU_ASSERT_EQUAL(atomic_load(&device.sharing.attached), UINT64_C(1) << rq.slot);
	done = true;
	CU_ASSERT_EQUAL(ask(rq, -1), 0);
	CU_ASSERT_EQUAL(atomic_load(&device.sharing.attached), 0);
	bye(fd);
	end_shared();
}

/* Its bit in a channel's masks would be the next one's, who has nothing mapped yet. */
static void
the_slot_of_a_dead_process_is_free_when_all_channels_know(void)
{
	struct hpbus_mp_request rq = {0};
	int fd = begin_shared(&rq);
	uint32_t slot = rq.slot;

	done = false;
	bye(fd);
	CU_ASSERT_FALSE(hpbus_has_peers());
	fd = hello(&rq.slot);
	CU_ASSERT_NOT_EQUAL(rq.slot, slot);
	bye(fd);
	done = true;
	fd = hello(&rq.slot);
	CU_ASSERT_EQUAL(rq.slot, slot);
	bye(fd);
	end_shared();
}

/* It looks at the port though it has left: it must hear when that goes. */
static void
who_has_left_is_told_of_changes(void)
{
	struct hpbus_place place = {.address = 4096, .span = 4096, .piece = {{0, 4096, 0}}};
	struct hpbus_mp_request rq = {0};
	int fd = begin_shared(&rq);

	rq.op = HPBUS_MP_LEAVE;
	CU_ASSERT_EQUAL(ask(rq, -1), 0);
	CU_ASSERT_EQUAL(hpbus_place_add(&device, &place, -1), 0);
	CU_ASSERT_FALSE(is_told(fd));
	CU_ASSERT_TRUE(hpbus_gather(&device, 0));
	CU_ASSERT_TRUE(is_told(fd));
	free(hpbus_unshare(&device));
	CU_ASSERT_TRUE(is_told(fd));
	bye(fd);
	end_shared();
}

/* Though it has all that was left of the device before. */
static void
who_has_a_device_is_told_when_it_goes(void)
{
	struct hpbus_mp_request rq = {0};
	int fd = begin_shared(&rq);

	free(hpbus_unshare(&device));
	CU_ASSERT_TRUE(is_told(fd));
	bye(fd);
	end_shared();
}

static int dying;

static void
it_dies(void)
{
	bye(dying);
}

/* Nobody would take back what it gets then: each gather would wait for it. */
static void
a_process_that_dies_gets_no_device(void)
{
	struct hpbus_mp_request rq = {0};

	dying = begin_shared(&rq);
	rq.op = HPBUS_MP_OPEN;
	before_lock = it_dies;
	CU_ASSERT_EQUAL(ask(rq, -1), -EPERM);
	CU_ASSERT_EQUAL(atomic_load(&device.sharing.attached), 0);
	end_shared();
}

static rte_intr_callback_fn first_watching;
static void *first_arg;
static bool first_forgotten;

static void *
first_is_forgotten(void *arg)
{
	first_watching(first_arg);
	return NULL;
}

/* EAL has a lock while it forgets one, and takes it to register another. */
static void
first_ends_meanwhile(void)
{
	struct timespec limit;
	pthread_t thread;

	while_registering = NULL;
	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += 5;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, first_is_forgotten, NULL), 0);
	first_forgotten = pthread_timedjoin_np(thread, NULL, &limit) == 0;
	if (!first_forgotten)
		pthread_detach(thread);
}

static void
one_comes_while_another_is_forgotten(void)
{
	uint32_t first, second;
	int fd = hello(&first), other;

	first_watching = watching;
	first_arg = watching_arg;
	close(fd);
	while_registering = first_ends_meanwhile;
	other = hello(&second);
	CU_ASSERT_TRUE(first_forgotten);
	CU_ASSERT_NOT_EQUAL(first, second);
	bye(other);
	CU_ASSERT_FALSE(hpbus_has_peers());
}

/* Its slot would never be another's. */
static void
a_process_that_eal_does_not_forget_at_once_is_forgotten_later(void)
{
	uint32_t first, second;
	int fd = hello(&first);

	unregister_rc = -EAGAIN;
	bye(fd);
	CU_ASSERT_FALSE(hpbus_has_peers());
	/* The socket that nobody reads brings it again. */
	unregister_rc = 0;
	watching(watching_arg);
	fd = hello(&second);
	CU_ASSERT_EQUAL(first, second);
	bye(fd);
}

static void
a_process_is_told_why_it_is_not_taken(void)
{
	int pair[2];

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	register_rc = -ENOSPC;
	CU_ASSERT_EQUAL(ask((struct hpbus_mp_request){.op = HPBUS_MP_HELLO}, pair[1]), -ENOSPC);
	register_rc = 0;
	CU_ASSERT_FALSE(is_open(pair[1]));
	CU_ASSERT_FALSE(hpbus_has_peers());
	close(pair[0]);
}

static const struct unit_test tests[] = {
	{"a process that EAL does not forget at once is forgotten later",
		a_process_that_eal_does_not_forget_at_once_is_forgotten_later},
	{"a process is told why it is not taken", a_process_is_told_why_it_is_not_taken},
	{"another build is refused", another_build_is_refused},
	{"who has not said hello gets nothing", whoever_has_not_said_hello_gets_nothing},
	{"a device is had from open to leave", a_device_is_had_from_open_to_leave},
	{"a leave that a channel has not heard of is refused",
		a_leave_that_a_channel_has_not_heard_of_is_refused},
	{"the slot of a dead process", the_slot_of_a_dead_process_is_free_when_all_channels_know},
	{"who has left is told of changes", who_has_left_is_told_of_changes},
	{"who has a device is told when it goes", who_has_a_device_is_told_when_it_goes},
	{"a process that dies gets no device", a_process_that_dies_gets_no_device},
	{"one comes while another is forgotten", one_comes_while_another_is_forgotten},
	{"the end of a process", the_end_of_a_process_is_heard_and_its_calls_are},
};

int
main(void)
{
	return UNIT_RUN("bus_mp", tests);
}
