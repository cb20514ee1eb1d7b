/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whose memory a VF has. Its queues are made of the pools of the port's, and an application that
 * has stopped the port and released a queue may free them, while the VF is stopped later, on the
 * control thread. So a VF that is stopped has no queues, a queue of the port is not released before
 * (within reason), and no VF is started with what was copied of queues that have been released.
 */
#include <rte_cycles.h>
#include <ethdev_driver.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/vf_dev.h"

/* So long a queue is kept for a VF that has not stopped. */
#define RELEASE_MS 3000

static bool
has_queues(struct netvsc_vf_dev *dev)
{
	bool has;

	rte_spinlock_lock(&netvsc_vf_lock);
	has = dev->has_queues;
	rte_spinlock_unlock(&netvsc_vf_lock);
	return has;
}

void
netvsc_vf_release_queue(struct netvsc_channel *ch)
{
	struct netvsc_port *port = ch->port;
	struct netvsc_vf_dev *dev;
	int64_t until;
	bool kept;

	if (port->vf_shared.told == NULL)
		return; /* it never looked for one */
	/* Before the lock, which may not be had: none is started with this one from here on. */
	atomic_fetch_add(&port->vf_shared.told->releases, 1);
	if (!netvsc_vf_ref(port, &dev)) {
		/* Whether a VF has it nobody knows, nor will: it stays, and the port says so. */
		netvsc_channel_stuck(ch, "the search for virtual functions");
		return;
	}
	if (dev == NULL)
		return;
	until = hpbus_now_ms() + RELEASE_MS;
	rte_spinlock_lock(&netvsc_vf_lock);
	kept = dev->keeps_them;
	rte_spinlock_unlock(&netvsc_vf_lock);
	while (!kept && has_queues(dev) && hpbus_now_ms() < until)
		rte_delay_us_sleep(500);
	rte_spinlock_lock(&netvsc_vf_lock);
	dev->keeps_them = dev->has_queues;
	kept = kept || !dev->keeps_them;
	rte_spinlock_unlock(&netvsc_vf_lock);
	if (!kept)
		NETVSC_LOG(ERR, port,
			"the VF does not stop: it may write to memory of the pools that the port's "
			"queues had, which are to stay until the port is closed");
	netvsc_vf_unref(dev);
}

bool
netvsc_vf_queues_begin(struct netvsc_vf_dev *dev, const struct netvsc_vf_want *want)
{
	bool same;

	rte_spinlock_lock(&netvsc_vf_lock);
	same = atomic_load(&dev->shared->releases) == want->releases;
	dev->has_queues |= same;
	rte_spinlock_unlock(&netvsc_vf_lock);
	return same;
}

void
netvsc_vf_queues_end(struct netvsc_vf_dev *dev, uint16_t vf)
{
	struct rte_eth_dev *eth = &rte_eth_devices[vf];

	if (!rte_eth_dev_is_valid_port(vf) || eth->data->dev_started)
		return;
	rte_eth_dev_internal_reset(eth);
	rte_spinlock_lock(&netvsc_vf_lock);
	dev->has_queues = dev->keeps_them = false;
	rte_spinlock_unlock(&netvsc_vf_lock);
}
