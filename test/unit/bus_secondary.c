/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device in a secondary process, whose primary is this test: it answers late, and what it has
 * vanishes and comes back. The source is taken in whole, because what it keeps is its own.
 */
#include "drivers/bus/vmbus/secondary.c"
#include "drivers/bus/vmbus/secondary_link.c"
#include "drivers/bus/vmbus/secondary_places.c"

#include <sys/mman.h>

#include "test/unit/frozen_clock.h"
#include "test/unit/unit.h"

#define LEN   (64u << 10)
#define FIRST 0x5a

int hpbus_logtype;

static struct hpbus_device device = {.name = "device", .instance = {1}};
static struct hpbus_shared shared;
static unsigned int changes, marked;

/* The primary. */
static struct {
	bool uio;
	uint32_t generation;
	struct hpbus_place place;
	int file;
	int link; /* its end of the sockets */
	uint64_t ready, left;
	enum hpbus_mp_op silent; /* its next request is answered too late, if not HELLO */
	bool stopped;		 /* it answers nothing */
	bool late;		 /* there is an answer that nobody took */
	struct rte_mp_msg answer;
} host;

/* ---- around it ---- */

static bool walking; /* the device list is locked */
static bool tells_removal;
static unsigned int removals;
static struct rte_eth_dev *removed_eth;

static void
on_changed(struct hpbus_device *dev)
{
	changes++;
	dev->removed |= tells_removal;
}

/* As if the application detached the port. */
static void
on_removed(struct rte_eth_dev *eth)
{
	CU_ASSERT_FALSE(walking);
	CU_ASSERT_EQUAL(pthread_mutex_trylock(&secondary_lock), 0);
	pthread_mutex_unlock(&secondary_lock);
	removals++;
	removed_eth = eth;
}

const struct hpbus_driver *
hpbus_driver(void)
{
	static const struct hpbus_driver driver = {.changed = on_changed, .removed = on_removed};

	return &driver;
}

void
hpbus_devices_each(void (*fn)(struct hpbus_device *dev, void *arg), void *arg)
{
	unsigned int i;

	walking = true;
	for (i = 0; i < (host.stopped ? 8 : 1); i++)
		fn(&device, arg);
	walking = false;
}

struct hpbus_device *
hpbus_device_get(const uint8_t instance[16])
{
	return &device;
}

bool
hpbus_device_mark_gone(struct hpbus_device *dev, const char *why)
{
	marked++;
	atomic_store(&dev->gone, true);
	return !atomic_exchange(&dev->told, true);
}

int
hpbus_dma_follow(void)
{
	return 0;
}

int
vmbus_sysfs_init(struct vmbus_sysfs *fs, vmbus_sysfs_log_fn log, void *opaque)
{
	memset(fs, 0, sizeof(*fs));
	return 0;
}

int
vmbus_sysfs_scan(struct vmbus_sysfs *fs, const uint8_t *class_guid,
	struct vmbus_sysfs_device **list, size_t *n)
{
	*list = calloc(1, sizeof(**list));
	memcpy((*list)->instance, device.instance, sizeof(device.instance));
	*n = 1;
	return 0;
}

void
vmbus_sysfs_free(struct vmbus_sysfs_device *list, size_t n)
{
	free(list);
}

int
vmbus_sysfs_uio_read(
	struct vmbus_sysfs *fs, const char *name, size_t page, struct vmbus_sysfs_uio *uio)
{
	return 0;
}

int
vmbus_sysfs_uio_open(struct vmbus_sysfs *fs, const char *name, const struct vmbus_sysfs_uio *uio)
{
	return dup(host.file);
}

static rte_intr_callback_fn watching;

int
rte_intr_callback_register(const struct rte_intr_handle *handle, rte_intr_callback_fn cb, void *arg)
{
	watching = cb;
	return 0;
}

static void
host_answer(const struct hpbus_mp_request *rq, struct rte_mp_msg *msg)
{
	struct hpbus_mp_reply *reply = (struct hpbus_mp_reply *)msg->param;

	memset(msg, 0, sizeof(*msg));
	msg->len_param = sizeof(*reply);
	reply->op = rq->op;
	reply->number = rq->number;
	switch (rq->op) {
	case HPBUS_MP_HELLO:
		reply->hello.slot = 1;
		break;
	case HPBUS_MP_DEVICES:
		reply->n = reply->total = 1;
		memcpy(reply->devices[0].guid, device.instance, sizeof(device.instance));
		break;
	case HPBUS_MP_OPEN:
		reply->open.shared = (uintptr_t)&shared;
		reply->open.uio = host.uio;
		break;
	case HPBUS_MP_PLACES:
		reply->n = reply->total = 1;
		reply->generation = host.generation;
		reply->places[0] = host.place;
		if (!host.uio)
			msg->fds[msg->num_fds++] = dup(host.file);
		break;
	case HPBUS_MP_READY:
		reply->rc = rq->generation == host.generation ? 0 : -EAGAIN;
		host.ready++;
		break;
	case HPBUS_MP_LEAVE:
		host.left++;
		break;
	}
}

/* As EAL does: an answer to this action of this peer, whichever it is. */
int
rte_mp_request_sync(struct rte_mp_msg *msg, struct rte_mp_reply *reply, const struct timespec *ts)
{
	const struct hpbus_mp_request *rq = (const struct hpbus_mp_request *)msg->param;

	if (host.stopped) {
		frozen_ms += ts->tv_sec * 1000 + ts->tv_nsec / 1000000;
		rte_errno = ETIMEDOUT;
		return -1;
	}
	if (msg->num_fds != 0)
		host.link = dup(msg->fds[0]);
	if (host.silent != HPBUS_MP_HELLO && rq->op == host.silent) {
		host.silent = HPBUS_MP_HELLO;
		host_answer(rq, &host.answer);
		host.late = true;
		rte_errno = ETIMEDOUT;
		return -1;
	}
	reply->msgs = calloc(1, sizeof(*reply->msgs));
	reply->nb_sent = reply->nb_received = 1;
	host_answer(rq, reply->msgs);
	if (host.late) {
		/* Its own answer comes when nobody waits for it. */
		while (reply->msgs->num_fds != 0)
			close(reply->msgs->fds[--reply->msgs->num_fds]);
		*reply->msgs = host.answer;
		host.late = false;
	}
	return 0;
}

/* ---- tests ---- */

static struct secondary_device *
secondary(void)
{
	return device.backend_data;
}

static void
place_at(uintptr_t address)
{
	host.generation++;
	host.place = (struct hpbus_place){
		.address = address,
		.span = LEN,
		.piece = {{0, LEN, 0}},
		.role = HPBUS_PLACE_RECV,
		.source = host.uio ? HPBUS_PLACE_DEVICE_FILE : 0,
	};
}

static volatile uint8_t *
here(void)
{
	return (volatile uint8_t *)(uintptr_t)host.place.address;
}

static bool
is_mapped(const volatile void *at)
{
	return msync((void *)(uintptr_t)at, LEN, MS_ASYNC) == 0;
}

/* Room that nobody else has, in the middle of a lot of it; each time another. */
static uintptr_t
room(void)
{
	static uintptr_t at;
	const size_t len = (size_t)1 << 30;
	void *p;

	if (at == 0) {
		p = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		CU_ASSERT_FATAL(p != MAP_FAILED);
		munmap(p, len);
		at = (uintptr_t)p + len / 4;
	}
	at += 2 * LEN;
	return at;
}

static void
begin(bool uio)
{
	const uint8_t byte = FIRST;

	host.uio = uio;
	host.file = memfd_create("device", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	CU_ASSERT_FATAL(host.file >= 0 && ftruncate(host.file, LEN) == 0);
	CU_ASSERT_EQUAL(pwrite(host.file, &byte, 1, 0), 1);
	place_at(room());
	hpbus_secondary_scan();
	CU_ASSERT_PTR_NOT_NULL_FATAL(secondary());
	CU_ASSERT_EQUAL_FATAL(device.backend->open(&device), 0);
	device.driver_data = &device;
	CU_ASSERT_EQUAL(*here(), FIRST);
	host.ready = host.left = changes = marked = 0;
}

static void
end(void)
{
	device.driver_data = NULL;
	device.backend->close(&device);
	device.backend->release(&device);
	close(host.file);
}

static void
poke(void)
{
	watching(NULL);
}

/* The mapping would go while the primary has this process's bursts running. */
static void
a_late_answer_is_not_taken_for_the_next_one(void)
{
	begin(false);
	host.silent = HPBUS_MP_OPEN;
	poke();
	/* It has said that it leaves, and does not know whether that was heard. */
	CU_ASSERT_EQUAL(host.left, 1);
	CU_ASSERT_EQUAL_FATAL(secondary()->n, 1);
	CU_ASSERT_TRUE_FATAL(is_mapped(here()));
	CU_ASSERT_EQUAL(*here(), FIRST);
	/* It comes in again. */
	poke();
	CU_ASSERT_EQUAL(host.ready, 1);
	CU_ASSERT_EQUAL(*here(), FIRST);
	end();
}

/* Of the places that a late answer names the files are closed. */
static void
files_of_a_late_answer_are_closed(void)
{
	int file;

	begin(false);
	place_at(room());
	host.silent = HPBUS_MP_PLACES;
	poke();
	CU_ASSERT_EQUAL(host.ready, 0);
	host.late = true;
	host_answer(&(struct hpbus_mp_request){.op = HPBUS_MP_PLACES}, &host.answer);
	file = host.answer.fds[0];
	poke();
	CU_ASSERT_TRUE(fcntl(file, F_GETFD) < 0);
	poke();
	CU_ASSERT_EQUAL(host.ready, 1);
	CU_ASSERT_EQUAL(*here(), FIRST);
	end();
}

/* As when the kernel takes the device away before the primary has heard of it. */
static void
what_a_sigbus_has_replaced_comes_back(void)
{
	begin(true);
	CU_ASSERT_EQUAL(hpbus_sigbus_handle((void *)(uintptr_t)here()), 0);
	CU_ASSERT_TRUE(atomic_load(&device.gone));
	CU_ASSERT_EQUAL(*here(), 0);
	/* What is there is still what went away. */
	poke();
	CU_ASSERT_TRUE(atomic_load(&device.gone));
	CU_ASSERT_EQUAL(*here(), 0);
	/* It is back, in the same place. */
	host.generation++;
	poke();
	CU_ASSERT_FALSE(atomic_load(&device.gone));
	CU_ASSERT_EQUAL(*here(), FIRST);
	CU_ASSERT_EQUAL(marked, 0);
	CU_ASSERT_EQUAL(changes, 2);
	/* And in another. */
	CU_ASSERT_EQUAL(hpbus_sigbus_handle((void *)(uintptr_t)here()), 0);
	place_at(room());
	poke();
	CU_ASSERT_FALSE(atomic_load(&device.gone));
	CU_ASSERT_EQUAL(*here(), FIRST);
	end();
}

/* A host that seals its memory once the primary has it: -EPERM, which is -1. */
static void
memory_that_may_not_be_mapped_is_not_taken_for_mapped(void)
{
	begin(false);
	CU_ASSERT_EQUAL_FATAL(fcntl(host.file, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
	place_at(room());
	poke();
	CU_ASSERT_EQUAL(host.ready, 0);
	CU_ASSERT_EQUAL(host.left, 1);
	CU_ASSERT_EQUAL(secondary()->n, 0);
	CU_ASSERT_FALSE(is_mapped(here()));
	end();
}

/* The interrupt thread is everybody's: as long for many devices as for one. */
static void
a_primary_that_is_stopped_is_waited_for_once(void)
{
	int64_t since;

	begin(false);
	since = frozen_ms = 1000000;
	host.stopped = true;
	poke();
	CU_ASSERT_EQUAL(frozen_ms - since, SECONDARY_ANSWER_MS);
	host.stopped = false;
	frozen_ms = 0;
	CU_ASSERT_EQUAL(*here(), FIRST);
	poke();
	CU_ASSERT_EQUAL(host.ready, 1);
	end();
}

/* Without an alarm, for which there may be no memory; and a port that was closed is not told of. */
static void
a_removal_is_told_once_with_no_lock_held(void)
{
	static char eth;

	begin(false);
	device.driver_eth = (struct rte_eth_dev *)&eth;
	removals = 0;
	tells_removal = true;
	poke();
	CU_ASSERT_EQUAL(removals, 1);
	CU_ASSERT_PTR_EQUAL(removed_eth, (struct rte_eth_dev *)&eth);
	tells_removal = false;
	poke();
	CU_ASSERT_EQUAL(removals, 1);
	tells_removal = true;
	device.driver_eth = NULL;
	poke();
	CU_ASSERT_EQUAL(removals, 1);
	CU_ASSERT_FALSE(device.removed);
	tells_removal = false;
	end();
}

static const struct unit_test tests[] = {
	{"a removal is told once with no lock held", a_removal_is_told_once_with_no_lock_held},
	{"a late answer is not taken for the next one",
		a_late_answer_is_not_taken_for_the_next_one},
	{"files of a late answer are closed", files_of_a_late_answer_are_closed},
	{"memory that may not be mapped is not taken for mapped",
		memory_that_may_not_be_mapped_is_not_taken_for_mapped},
	{"a primary that is stopped is waited for once",
		a_primary_that_is_stopped_is_waited_for_once},
	{"what a SIGBUS has replaced comes back", what_a_sigbus_has_replaced_comes_back},
};

int
main(void)
{
	return UNIT_RUN("bus_secondary", tests);
}
