/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A queue that sleeps through the uio backend, in the orders of everybody's accesses: the host, the
 * kernel's interrupt and EAL's interrupt thread behind it, and another lcore that calls the host,
 * which unmasks all channels. What the host writes always wakes the queue
 * (spec/linux-uio-vmbus.md §7). The backend's file is taken in whole.
 */
#include "test/unit/interleave.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "lib/vmbus/ring.h"

/* Locks and the device file are the scheduler's. */
static int model_lock(pthread_mutex_t *lock);
static int model_trylock(pthread_mutex_t *lock);
static int model_unlock(pthread_mutex_t *lock);
static ssize_t model_read(int fd, void *to, size_t len);
#define pthread_mutex_lock    model_lock
#define pthread_mutex_trylock model_trylock
#define pthread_mutex_unlock  model_unlock
#define read		      model_read
#include "drivers/bus/vmbus/uio_intr.c"
#undef read
#include "test/unit/unit.h"

#define DATA  4096u
#define BYTES 64u

int hpbus_logtype;

static struct {
	_Alignas(64) struct vmbus_ring_control ctl;
	_Alignas(8) uint8_t data[DATA];
} memory;

static struct vmbus_ring_writer w;
static struct vmbus_ring_reader r;
static struct hpbus_device device;
static struct uio_device uio;
static struct hpbus_channel channel;
static bool unlocked, event, interrupt;
static unsigned int got;
static int32_t count;

static bool kernel_masks;     /* as before 6.18 */
static bool sender_masks_all; /* as a backend that knows nothing of armed channels */

/* ---- what is around the file ---- */

static int
model_lock(pthread_mutex_t *lock)
{
	il_wait(&unlocked);
	unlocked = false;
	return 0;
}

static int
model_trylock(pthread_mutex_t *lock)
{
	il_call();
	if (!unlocked) {
		/* Whoever has it gets on some time, and until then this would come again and again.
		 */
		il_wait(&unlocked);
		return EBUSY;
	}
	unlocked = false;
	return 0;
}

static int
model_unlock(pthread_mutex_t *lock)
{
	il_call();
	unlocked = true;
	return 0;
}

static ssize_t
model_read(int fd, void *to, size_t len)
{
	memcpy(to, &count, sizeof(count));
	return sizeof(count);
}

int
hpbus_intr_raise(struct hpbus_device *dev, unsigned int k)
{
	il_call();
	event = true;
	return 0;
}

void
uio_replace(struct uio_device *u)
{
}

void
hpbus_device_gone(struct hpbus_device *dev, const char *why)
{
}

/* ---- threads ---- */

static void
guest(void)
{
	struct vmbus_packet pkt;
	int total;

	while (got == 0) {
		il_call();
		event = false;
		vmbus_ring_reader_publish(&r, true);
		if (!uio_arm(&channel, &r))
			hpbus_intr_raise(&device, 0);
		il_wait(&event);
		uio_disarm(&channel);
		while ((total = vmbus_ring_peek(&r, &pkt)) > 0) {
			vmbus_ring_consume(&r, (uint32_t)total);
			got++;
		}
	}
	/* So that the thread behind interrupts comes to its end, too. */
	interrupt = true;
}

static void
host(void)
{
	_Alignas(8) uint8_t packet[BYTES] = {0};

	vmbus_packet_init((struct vmbus_packet *)packet, VMBUS_PACKET_INBAND,
		sizeof(struct vmbus_packet), BYTES, 0, 0);
	vmbus_ring_write(&w, packet, BYTES, 0);
	if (!vmbus_ring_writer_publish(&w))
		return;
	il_call();
	interrupt = true;
}

static void
kernel_and_eal(void)
{
	while (got == 0) {
		il_wait(&interrupt);
		interrupt = false;
		if (kernel_masks)
			atomic_store(&memory.ctl.interrupt_mask, 1);
		count++;
		uio_on_event(&uio);
	}
}

/* What uio_signal() does. */
static void
sender(void)
{
	il_call();
	memory.ctl.interrupt_mask = 0;
	if (sender_masks_all)
		atomic_store(&memory.ctl.interrupt_mask, 1);
	else
		uio_mask_unarmed(&uio);
}

/* One interrupt late, from when the queue was awake. */
static void
prepare_late(void)
{
	memset(&memory, 0, sizeof(memory));
	memory.ctl.interrupt_mask = 1;
	memset(&channel, 0, sizeof(channel));
	w = (struct vmbus_ring_writer){
		.ring = {.ctl = &memory.ctl, .data = memory.data, .size = DATA}};
	r = (struct vmbus_ring_reader){.ring = w.ring};
	channel.dev = &device;
	channel.rx = w.ring;
	device.backend_data = &uio;
	uio.dev = &device;
	uio.channels[0] = &channel;
	unlocked = interrupt = true;
	event = false;
	got = 0;
	count = 0;
}

static void
prepare(void)
{
	prepare_late();
	interrupt = false;
}

static unsigned long
explore(void (*how)(void), void (*third)(void), unsigned int bound)
{
	void (*const runs[])(void) = {guest, host, kernel_and_eal, third};
	unsigned long lost = il_explore(how, runs, third != NULL ? 4 : 3, bound);

	printf("%lu orders ... ", il.runs);
	return lost;
}

static void
test_an_interrupt_wakes(void)
{
	kernel_masks = sender_masks_all = false;
	CU_ASSERT_EQUAL(explore(prepare, NULL, 2), 0);
	CU_ASSERT_EQUAL(explore(prepare_late, NULL, 2), 0);
	CU_ASSERT(il.runs > 100);
}

static void
test_a_kernel_that_masks_late_does_not_undo_arming(void)
{
	kernel_masks = true;
	CU_ASSERT_EQUAL(explore(prepare, NULL, 2), 0);
	CU_ASSERT_EQUAL(explore(prepare_late, NULL, 2), 0);
	CU_ASSERT(il.runs > 100);
}

static void
test_calling_the_host_does_not_undo_arming(void)
{
	kernel_masks = sender_masks_all = false;
	CU_ASSERT_EQUAL(explore(prepare, sender, 1), 0);
	CU_ASSERT(il.runs > 100);
	/* It does where armed channels are masked with the others. */
	sender_masks_all = true;
	CU_ASSERT_NOT_EQUAL(explore(prepare, sender, 1), 0);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"an interrupt wakes", test_an_interrupt_wakes},
		{"a kernel that masks late does not undo arming",
			test_a_kernel_that_masks_late_does_not_undo_arming},
		{"calling the host does not undo arming",
			test_calling_the_host_does_not_undo_arming},
	};

	return UNIT_RUN("uio_interleave", tests);
}
