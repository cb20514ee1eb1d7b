/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Others take the VF away while the port uses it: the application detaches its device, or closes
 * its ethdev. Drivers free what their bursts use first, and ethdev tells of it then. So a removal
 * is met where EAL begins it, in the bus. First the VF, which works still, is one without a link:
 * nothing is sent through it, the host takes the path back, and who polls receives what is on its
 * way. Then it is lost, and its device is removed when no burst of ours is inside and the control
 * thread has left it. If that does not come to pass, the removal fails and the device stays as it
 * is: nothing else keeps memory under a burst.
 *
 * A close of the ethdev alone nobody meets. What its driver frees after it has told is freed when
 * bursts have come out; after a while it goes on, and that is said. Frames that wait in a VF which
 * somebody else stops are lost, and nobody can count them.
 */
#include <errno.h>

#include <rte_bus.h>
#include <rte_cycles.h>
#include <bus_driver.h>
#include <dev_driver.h>
#include <ethdev_driver.h>

#include "drivers/net/netvsc/compat.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/stats.h"
#include "drivers/net/netvsc/vf.h"
#include "drivers/net/netvsc/vf_dev.h"

/* A burst that was preempted comes out in this time, and a VF has started and stopped. */
#define REMOVAL_MS 5000
#define CLOSE_MS   1000
/* So long the host may take to move the path; */
#define BACK_MS 1000
/* ... what came by it until then has been received when nothing has been for so long, */
#define DRY_MS 20
/* ... or this has passed. */
#define DRY_MAX_MS 500

typedef int (*unplug_function)(struct rte_device *device);

/* Buses whose removals are met; for the life of the process. Under the lock. */
static struct {
	struct rte_bus *bus;
	unplug_function unplug;
} buses[16];

/* ---- nothing is on its way ---- */

bool
netvsc_vf_goes(struct netvsc_vf_dev *dev)
{
	bool goes;

	rte_spinlock_lock(&netvsc_vf_lock);
	goes = dev->removing;
	rte_spinlock_unlock(&netvsc_vf_lock);
	return goes;
}

/* Does the host send to it? */
static bool
host_sends(const struct netvsc_vf_dev *dev)
{
	bool sends;

	rte_spinlock_lock(&netvsc_vf_lock);
	sends = dev->port != NULL && dev->port->vf != NULL && atomic_load(&dev->port->vf->sends);
	rte_spinlock_unlock(&netvsc_vf_lock);
	return sends;
}

/* @param frames that were received from VFs so far. @return whether bursts go there */
static bool
is_polled(const struct netvsc_vf_dev *dev, uint64_t *frames)
{
	bool polled;

	rte_spinlock_lock(&netvsc_vf_lock);
	polled = dev->port != NULL && netvsc_vf_path(dev->port->vf_rx) != 0;
	*frames = polled ? netvsc_stats_path(dev->port, 0) : 0;
	rte_spinlock_unlock(&netvsc_vf_lock);
	return polled;
}

static void
await_received(const struct netvsc_vf_dev *dev)
{
	int64_t now = hpbus_now_ms(), until = now + BACK_MS, dry = now + DRY_MS;
	uint64_t frames, before = 0;

	while (host_sends(dev) && hpbus_now_ms() < until)
		rte_delay_us_sleep(100);
	now = hpbus_now_ms();
	for (until = now + DRY_MAX_MS; is_polled(dev, &frames) && now < RTE_MIN(dry, until);
		now = hpbus_now_ms()) {
		if (frames != before)
			dry = now + DRY_MS;
		before = frames;
		rte_delay_us_sleep(100);
	}
}

/* ---- is it left? ---- */

/* No burst is inside, nor will be. */
static bool
is_quiet(const struct netvsc_vf_dev *dev)
{
	bool inside = false;
	unsigned int i;

	rte_spinlock_lock(&netvsc_vf_lock);
	for (i = 0; dev->port != NULL && i < HPBUS_MAX_CHANNELS; i++)
		inside |= netvsc_vf_is_inside(dev->port, i);
	rte_spinlock_unlock(&netvsc_vf_lock);
	return !inside;
}

void
netvsc_vf_await_quiet(struct netvsc_vf_dev *dev)
{
	int64_t until = hpbus_now_ms() + CLOSE_MS;

	while (!is_quiet(dev)) {
		if (hpbus_now_ms() >= until) {
			NETVSC_VF_LOG(ERR, dev->name,
				"VF %s was closed by somebody else while a burst is inside of its "
				"driver, which does not come out: what it uses is freed; stop the "
				"port first, or detach the device, which waits",
				netvsc_vf_name(dev));
			return;
		}
		rte_delay_us_sleep(50);
	}
}

/* Has the control thread left it? Then nothing of it is called any more. */
static bool
take_from_thread(struct netvsc_vf_dev *dev)
{
	bool left;

	if (pthread_mutex_trylock(&dev->calls) != 0)
		return false;
	rte_spinlock_lock(&netvsc_vf_lock);
	left = !dev->owned;
	dev->destroyed |= left;
	rte_spinlock_unlock(&netvsc_vf_lock);
	pthread_mutex_unlock(&dev->calls);
	return left;
}

static bool
await_left(struct netvsc_vf_dev *dev)
{
	int64_t until = hpbus_now_ms() + REMOVAL_MS;
	bool quiet;

	for (;;) {
		quiet = is_quiet(dev);
		if (quiet && take_from_thread(dev))
			return true;
		if (hpbus_now_ms() >= until)
			break;
		rte_delay_us_sleep(100);
	}
	NETVSC_VF_LOG(WARNING, dev->name,
		"VF %s is not removed, because %s its driver does not come back: try again",
		netvsc_vf_name(dev), quiet ? "a call of" : "a burst inside of");
	return false;
}

/* ---- removals ---- */

/* It goes: ports whose VF is on it leave that. @return how many these are, a reference to each */
static unsigned int
removal_begins(const struct rte_device *device, struct netvsc_vf_dev **devs)
{
	struct netvsc_vf_dev *dev;
	unsigned int n = 0;

	rte_spinlock_lock(&netvsc_vf_lock);
	TAILQ_FOREACH (dev, &netvsc_vf_list, next) {
		if (n == RTE_MAX_ETHPORTS || dev->removing || !netvsc_vf_is_there(dev) ||
			rte_eth_devices[dev->held].device != device)
			continue;
		dev->removing = true;
		dev->refs++;
		devs[n++] = dev;
		/* What was not told is reserved, and used by nobody. */
		if (dev->told)
			netvsc_vf_event(dev->port, NETVSC_VF_LINK, 0);
	}
	rte_spinlock_unlock(&netvsc_vf_lock);
	return n;
}

/* It may be lost by now, or its port closed. */
static void
removal_goes_on(struct netvsc_vf_dev *dev)
{
	rte_spinlock_lock(&netvsc_vf_lock);
	if (dev->port != NULL && dev->told)
		netvsc_vf_tell_lost(dev);
	rte_spinlock_unlock(&netvsc_vf_lock);
}

static void
removal_ends(struct netvsc_vf_dev *dev, bool gone)
{
	rte_spinlock_lock(&netvsc_vf_lock);
	dev->removing = false;
	if (dev->destroyed) {
		dev->destroyed = false;
		dev->destroyed = gone || !netvsc_vf_is_there(dev);
		dev->gone = dev->destroyed;
	}
	gone = dev->gone && !dev->owned;
	rte_spinlock_unlock(&netvsc_vf_lock);
	/* Or the control thread does so when it looks. */
	if (gone && pthread_mutex_trylock(&dev->calls) == 0) {
		netvsc_vf_leave_it(dev);
		pthread_mutex_unlock(&dev->calls);
	}
	netvsc_vf_unref(dev);
}

static unplug_function
unplug_of(const struct rte_bus *bus)
{
	unplug_function unplug = NULL;
	unsigned int i;

	rte_spinlock_lock(&netvsc_vf_lock);
	for (i = 0; i < RTE_DIM(buses); i++)
		if (buses[i].bus == bus)
			unplug = buses[i].unplug;
	rte_spinlock_unlock(&netvsc_vf_lock);
	return unplug;
}

static int
removal(struct rte_device *device)
{
	struct netvsc_vf_dev *devs[RTE_MAX_ETHPORTS];
	unplug_function unplug = unplug_of(device->bus);
	unsigned int i, n = removal_begins(device, devs);
	bool left = true;
	int rc;

	for (i = 0; i < n; i++)
		await_received(devs[i]);
	for (i = 0; i < n; i++)
		removal_goes_on(devs[i]);
	for (i = 0; left && i < n; i++)
		left = await_left(devs[i]);
	rc = left ? unplug(device) : -EBUSY;
	for (i = 0; i < n; i++)
		removal_ends(devs[i], rc == 0);
	return rc;
}

void
netvsc_vf_meet_removals(const char *name)
{
	struct rte_bus *bus = rte_bus_find_by_name(name);
	unsigned int i;

	for (i = 0; i < RTE_DIM(buses) && buses[i].bus != NULL; i++)
		if (buses[i].bus == bus)
			return;
	if (bus == NULL || i == RTE_DIM(buses) || bus->NETVSC_COMPAT_UNPLUG == NULL)
		return;
	buses[i].bus = bus;
	buses[i].unplug = bus->NETVSC_COMPAT_UNPLUG;
	/* Others may be about to call it: either will do. */
	__atomic_store_n(&bus->NETVSC_COMPAT_UNPLUG, removal, __ATOMIC_RELEASE);
}
