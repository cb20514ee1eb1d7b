/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Channels of a device served over vfio-user: their rings, how each signals the host, and how the
 * host signals each (spec/vmbus-over-vfio-user.md §8-§10).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "drivers/bus/vmbus/vfio.h"

/* Subchannels may be late: steps and limit of §10. */
#define CHANNEL_STEP_MS	 10
#define CHANNEL_LIMIT_MS 10000

/* Lock held. Fills *fd, which the caller closes unless it is region 0's. */
static int
vfio_channel_region(struct vfio_device *v, unsigned int index, const struct vmbus_device_channel *c,
	int *fd, uint64_t *offset)
{
	struct vfu_region region;
	int rc;

	if (index == 0) {
		*fd = v->rings_fd;
		*offset = v->rings_offset;
		return 0;
	}
	rc = vfu_client_region_info(v->client, c->region, &region);
	if (rc != 0)
		return rc;
	rc = vfio_check_region(&region);
	if (rc == 0 && region.size != 2 * (uint64_t)c->ring_bytes)
		rc = -EPROTO;
	if (rc != 0) {
		if (region.fd >= 0)
			close(region.fd);
		return rc;
	}
	*fd = region.fd;
	*offset = region.offset;
	return 0;
}

static int
vfio_wait_channel(struct vfio_device *v, unsigned int index, struct vmbus_device_channel *c)
{
	int64_t until = RTE_MIN(hpbus_now_ms() + CHANNEL_LIMIT_MS, hpbus_op_talk_until());
	char err[VFU_ERRLEN] = "no connection, or no time left to ask the host";
	int rc;

	for (;;) {
		rc = vfio_enter(v, until);
		if (rc == 0) {
			rc = vfio_read_descriptor(v, err, sizeof(err));
			*c = v->info.channel[index];
			vfio_leave(v);
		}
		if (rc != 0) {
			if (rc != -ECANCELED)
				HPBUS_LOG(ERR, "%s: %s", v->dev->name, err);
			return rc;
		}
		if (c->state == VMBUS_CHANNEL_OPEN)
			return 0;
		if (hpbus_now_ms() >= until)
			return -ETIMEDOUT;
		rte_delay_us_sleep(CHANNEL_STEP_MS * 1000);
	}
}

static void
vfio_choose_signal(
	struct vfio_device *v, const struct vmbus_device_channel *c, struct hpbus_channel *ch)
{
	const struct hpbus_place doorbell = {.role = HPBUS_PLACE_DOORBELL, .source = ch->index};
	int *fd = &v->dev->signal_fd[ch->index];
	unsigned int i;

	ch->monitor_id = c->monitor_id;
	ch->doorbell = c->doorbell;
	*fd = -1;
	for (i = 0; v->signaller.context != 0 && i < v->doorbells.count; i++)
		if (v->doorbells.entry[i].offset == c->doorbell)
			*fd = v->doorbells.fds[v->doorbells.entry[i].fd_index];
	if (*fd >= 0) {
		ch->signal = HPBUS_SIGNAL_EVENTFD;
		/* Without it another process has the host signalled by this one. */
		hpbus_place_add(v->dev, &doorbell, *fd);
	} else if ((v->info.flags & VMBUS_DEVICE_FLAG_MONITOR) &&
		   c->monitor_id < VMBUS_MONITOR_IDS) {
		ch->signal = HPBUS_SIGNAL_MONITOR;
	} else {
		ch->signal = HPBUS_SIGNAL_CALL;
	}
}

int
vfio_channel_open(struct hpbus_device *dev, unsigned int index, struct hpbus_channel *ch)
{
	struct vfio_device *v = dev->backend_data;
	struct vmbus_device_channel c;
	uint64_t offset, bytes;
	int rc, fd = -1;

	if (index >= dev->max_channels)
		return -EINVAL;
	rc = vfio_wait_channel(v, index, &c);
	if (rc != 0)
		return rc;
	memset(ch, 0, sizeof(*ch));
	rc = vfio_enter(v, hpbus_op_talk_until());
	if (rc == 0) {
		rc = vfio_channel_region(v, index, &c, &fd, &offset);
		vfio_leave(v);
	}
	if (rc != 0)
		return rc;
	bytes = c.ring_bytes;
	rc = hpbus_place_ring(dev, fd, 0, offset, bytes, VMBUS_PAGE_SIZE, &ch->tx);
	if (rc == 0) {
		rc = hpbus_place_ring(dev, fd, 0, offset + bytes, bytes, VMBUS_PAGE_SIZE, &ch->rx);
		if (rc != 0)
			hpbus_place_ring_end(dev, &ch->tx);
	}
	if (index != 0)
		close(fd);
	if (rc != 0)
		return rc;
	ch->dev = dev;
	ch->index = (uint16_t)index;
	ch->relid = (uint16_t)c.relid;
	vfio_choose_signal(v, &c, ch);
	return 0;
}

void
vfio_channel_close(struct hpbus_device *dev, struct hpbus_channel *ch)
{
	hpbus_place_remove_doorbell(dev, ch->index);
	hpbus_place_ring_end(dev, &ch->tx);
	hpbus_place_ring_end(dev, &ch->rx);
	memset(ch, 0, sizeof(*ch));
}

/*
 * From the data path, with no lock: the client stays until the port is closed, and by then nobody
 * sends.
 */
void
vfio_signal(struct hpbus_device *dev, struct hpbus_channel *ch)
{
	struct vfio_device *v = dev->backend_data;

	/* A full counter means that the host has not looked yet: nothing is lost. */
	if (ch->signal == HPBUS_SIGNAL_EVENTFD &&
		vfu_signal(&v->signaller, dev->signal_fd[ch->index]) == 0)
		return;
	if (v->client != NULL)
		vfu_client_post(v->client, VMBUS_REGION_DOORBELL, ch->index, ch->doorbell);
}

void
vfio_signal_again(struct hpbus_device *dev)
{
	struct vfio_device *v = dev->backend_data;

	if (v->client != NULL)
		vfu_client_repost(v->client);
}

/* ---- receive interrupts ---- */

/* The host holds the descriptors too, so that only the kernel may write to them for us. */
static int
vfio_intr_signaller(struct vfio_device *v)
{
	int rc = v->signaller.context != 0 ? 0 : vfu_signaller_init(&v->signaller);

	if (rc == 0)
		return 0;
	HPBUS_LOG(ERR, "%s: no receive interrupts without asynchronous I/O (%s%s)", v->dev->name,
		strerror(-rc), rc == -EAGAIN ? ", sysctl fs.aio-max-nr is used up" : "");
	return -ENOTSUP;
}

/* Lock held. */
static int
vfio_intr_install(struct vfio_device *v, unsigned int n)
{
	const struct vmbus_device_channel *c = v->info.channel;
	unsigned int k;

	for (k = 0; k < n; k++)
		if (c[k].irq != k)
			return -ENOTSUP;
	return vfu_client_set_irqs(v->client, VMBUS_IRQ_CHANNEL, 0, n, v->dev->intr.fd);
}

/* Those that were there before are installed again: an irq has one descriptor. */
int
vfio_intr_open(struct hpbus_device *dev, unsigned int n)
{
	struct vfio_device *v = dev->backend_data;
	int rc = vfio_intr_signaller(v);

	if (rc != 0)
		return rc;
	rc = vfio_enter(v, hpbus_op_talk_until());
	if (rc == 0) {
		rc = vfio_intr_install(v, n);
		vfio_leave(v);
	}
	if (rc != 0)
		HPBUS_LOG(ERR, "%s: the host does not take %u receive interrupts: %s", dev->name, n,
			rc == -ENOTSUP ? "its channels share them" : strerror(-rc));
	return rc;
}

int
vfio_intr_raise(struct hpbus_device *dev, int fd)
{
	struct vfio_device *v = dev->backend_data;

	return vfu_signal(&v->signaller, fd);
}
