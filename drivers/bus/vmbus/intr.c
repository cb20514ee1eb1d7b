/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Receive interrupts: a descriptor for each channel, and the ring's mask
 * (spec/vmbus-over-vfio-user.md §9, spec/linux-uio-vmbus.md §7).
 *
 * Why no wake-up is lost. Arming stores mask = 0, then a full fence (I3), then loads the write
 * index w. A host that writes stores w, then a full fence (P3, in vmbus_ring_writer_publish() or
 * whatever the host has there), then loads the mask and our read index r. Of two such sequences at
 * least one sees the other's store:
 *   - our load sees the new w: arming says so, the ring is masked again, and the caller makes the
 *     event itself;
 *   - it does not: then P3 comes after I3, and the host finds mask = 0. It also finds r as we
 *     published it, equal to the old w, because the caller publishes what it has consumed before it
 *     arms (I1); so the ring went from empty to non-empty, and the host signals.
 * What is signalled stays in the descriptor until it is cleared, which is done before arming only:
 * an event between arming and the application's wait ends that wait.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "drivers/bus/vmbus/bus.h"
#include "lib/vfio_user/signal.h"

static void
close_from(struct hpbus_device *dev, unsigned int first, unsigned int n)
{
	for (; first < n; first++)
		if (dev->intr.fd[first] >= 0)
			close(dev->intr.fd[first]);
}

int
hpbus_intr_open(struct hpbus_device *dev, unsigned int n)
{
	unsigned int made = dev->intr.n;
	int rc = 0;

	if (n <= dev->intr.installed)
		return 0;
	for (; rc == 0 && made < n; made++) {
		dev->intr.fd[made] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (dev->intr.fd[made] < 0)
			rc = -errno;
	}
	if (rc != 0)
		HPBUS_LOG(ERR, "%s: no descriptor for receive interrupts: %s", dev->name,
			strerror(-rc));
	else
		rc = dev->backend->intr_open(dev, n);
	if (rc == 0) {
		dev->intr.n = made;
		dev->intr.installed = n;
	} else {
		close_from(dev, dev->intr.n, made);
	}
	return rc;
}

void
hpbus_intr_lost(struct hpbus_device *dev)
{
	dev->intr.installed = 0;
}

void
hpbus_intr_close(struct hpbus_device *dev)
{
	close_from(dev, 0, dev->intr.n);
	dev->intr.n = dev->intr.installed = 0;
}

int
hpbus_intr_raise(struct hpbus_device *dev, unsigned int channel)
{
	return dev->backend->intr_raise(dev, dev->intr.fd[channel]);
}

void
hpbus_intr_clear(struct hpbus_device *dev, unsigned int channel)
{
	/* Once: a peer that fills it again makes it readable, which is all that it can do. */
	vfu_eventfd_drain(dev->intr.fd[channel], NULL);
}

bool
hpbus_channel_arm(struct hpbus_channel *ch, struct vmbus_ring_reader *in)
{
	const struct hpbus_backend *backend = ch->dev->backend;

	return backend->arm != NULL ? backend->arm(ch, in) : !vmbus_ring_reader_unmask(in);
}

void
hpbus_channel_disarm(struct hpbus_channel *ch)
{
	const struct hpbus_backend *backend = ch->dev->backend;

	if (backend->disarm != NULL)
		backend->disarm(ch);
	else
		atomic_store(&ch->rx.ctl->interrupt_mask, 1);
}
