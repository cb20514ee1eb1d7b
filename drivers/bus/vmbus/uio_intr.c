/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What comes through /dev/uioN (spec/linux-uio-vmbus.md §7). The device has one descriptor and one
 * count for all its channels, and reading it takes the event away from everybody else. So EAL's
 * interrupt thread reads, and passes every event on to all armed channels, whose descriptors are
 * eventfds of our own: it cannot know for which of them the event was.
 *
 * Kernels before 6.18 mask the channel in their interrupt callback, which may run late and undo
 * an arming. They count the event after that, so that whoever was armed is woken once more, finds
 * nothing and arms again.
 */
#include <errno.h>
#include <unistd.h>

#include "drivers/bus/vmbus/uio.h"
#include "drivers/bus/vmbus/watch.h"

void
uio_mask_unarmed(struct uio_device *u)
{
	unsigned int i;

	pthread_mutex_lock(&u->channels_lock);
	for (i = 0; i < HPBUS_MAX_CHANNELS; i++)
		if (u->channels[i] != NULL && !atomic_load(&u->channels[i]->armed))
			atomic_store(&u->channels[i]->rx.ctl->interrupt_mask, 1);
	pthread_mutex_unlock(&u->channels_lock);
}

static void
uio_raise_armed(struct uio_device *u)
{
	unsigned int i;

	pthread_mutex_lock(&u->channels_lock);
	for (i = 0; i < HPBUS_MAX_CHANNELS; i++)
		if (u->channels[i] != NULL && atomic_load(&u->channels[i]->armed))
			hpbus_intr_raise(u->dev, i);
	pthread_mutex_unlock(&u->channels_lock);
}

static void
uio_on_event(void *arg)
{
	struct uio_device *u = arg;
	int32_t count;

	/* O_NONBLOCK is ours alone here: the other end of this file is the kernel. */
	if (read(u->fd, &count, sizeof(count)) == sizeof(count)) {
		uio_raise_armed(u);
		/* An interrupt although a ring should be masked (pitfall R10). */
		uio_mask_unarmed(u);
		if (!atomic_load(&u->dev->gone))
			return;
	} else if ((errno == EAGAIN || errno == EINTR) && !atomic_load(&u->dev->gone)) {
		return;
	}
	/* Ready for ever from now on: stop listening before anything else. */
	hpbus_watch_over(u->intr, uio_on_event, u, NULL);
	uio_replace(u);
	hpbus_device_gone(u->dev, "the host withdrew the device");
}

int
uio_watch(struct uio_device *u)
{
	return hpbus_watch(u->fd, uio_on_event, u, &u->intr);
}

void
uio_unwatch(struct uio_device *u)
{
	hpbus_unwatch(&u->intr, uio_on_event, u);
}

/* ---- receive interrupts ---- */

/*
 * Kernels that cannot take an interrupt of a subchannel end the machine when one comes (§8 "bad
 * window"). Those that can came with a write() that reaches all channels: 0 masks, and leaves a 1.
 */
static bool
uio_subchannels_interrupt(struct uio_device *u)
{
	_Atomic uint32_t *mask = &u->channels[1]->rx.ctl->interrupt_mask;
	int32_t off = 0;
	bool reached;

	atomic_store(mask, 2);
	reached = write(u->fd, &off, sizeof(off)) == sizeof(off) && atomic_load(mask) == 1;
	atomic_store(mask, 1);
	return reached;
}

int
uio_intr_open(struct hpbus_device *dev, unsigned int n)
{
	struct uio_device *u = dev->backend_data;
	bool can;

	if (n == 1)
		return 0;
	pthread_mutex_lock(&u->channels_lock);
	can = u->channels[1] != NULL && uio_subchannels_interrupt(u);
	pthread_mutex_unlock(&u->channels_lock);
	if (can)
		return 0;
	HPBUS_LOG(ERR,
		"%s: this kernel cannot take interrupts of other channels than the first: use one "
		"receive queue, or kernel 6.17 and later, or a stable one of December 2025 and "
		"later",
		dev->name);
	return -ENOTSUP;
}

int
uio_intr_raise(struct hpbus_device *dev, int fd)
{
	uint64_t one = 1;

	/* Nobody else has this descriptor: the write never waits, and a full one is readable. */
	return write(fd, &one, sizeof(one)) == sizeof(one) || errno == EAGAIN ? 0 : -errno;
}

bool
uio_arm(struct hpbus_channel *ch, struct vmbus_ring_reader *in)
{
	struct uio_device *u = ch->dev->backend_data;
	bool armed;

	/* Masking is under way, perhaps by a thread that is not scheduled: the caller tries again.
	 */
	if (pthread_mutex_trylock(&u->channels_lock) != 0)
		return false;
	armed = !vmbus_ring_reader_unmask(in);
	atomic_store(&ch->armed, armed);
	pthread_mutex_unlock(&u->channels_lock);
	return armed;
}

/*
 * Without the lock: who sees the channel armed leaves its mask alone, who sees it disarmed writes
 * what is written here. A kernel's write() that unmasks it meanwhile is followed by
 * uio_mask_unarmed() of whoever made it.
 */
void
uio_disarm(struct hpbus_channel *ch)
{
	atomic_store(&ch->armed, false);
	atomic_store(&ch->rx.ctl->interrupt_mask, 1);
}
