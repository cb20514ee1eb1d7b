/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Having EAL attach and detach the devices of VFs. EAL's lists of devices and of what the user said
 * for them have no lock, and each port has a thread: one of them at a time is in here. A probe may
 * hang, so nobody waits for another port's: who attaches comes again, who detaches waits a little
 * and leaves the device to who comes next. What the application plugs is its own business, as it
 * is without us: it is to do so while no VF comes or goes.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_devargs.h>
#include <rte_errno.h>
#include <dev_driver.h>

#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/vf_dev.h"

#define TRY_FIRST_MS 1000
#define TRY_LAST_MS  10000
/* Less than a close waits for the thread. */
#define DETACH_MS 1000

static pthread_mutex_t plugging = PTHREAD_MUTEX_INITIALIZER;

/* What EAL was told of a device at its start; NULL: nothing. */
static const struct rte_devargs *
user_devargs(const char *bus, const char *device)
{
	const struct rte_devargs *da;

	RTE_EAL_DEVARGS_FOREACH (bus, da)
		/* PCI addresses of domain 0 are written without it, too. */
		if (strcmp(da->name, device) == 0 ||
			(strncmp(device, "0000:", 5) == 0 && strcmp(da->name, device + 5) == 0))
			return da;
	return NULL;
}

/* Nobody has it: neither the application nor another port has seen it and taken it. */
static bool
is_nobodys(const char *device)
{
	struct netvsc_vf_candidate c;
	uint16_t id;

	for (id = 0; id < RTE_MAX_ETHPORTS; id++)
		if (netvsc_vf_candidate(id, &c) && strcmp(c.device, device) == 0 &&
			(c.started || c.owner != RTE_ETH_DEV_NO_OWNER))
			return false;
	return true;
}

/* The port was closed during the probe, when nothing of it was reserved: nobody wants it. */
static void
attached_for_nobody(struct netvsc_vf_dev *dev, const char *bus, const char *device)
{
	bool wanted;

	rte_spinlock_lock(&netvsc_vf_lock);
	wanted = dev->port != NULL || dev->held != NETVSC_VF_NONE;
	rte_spinlock_unlock(&netvsc_vf_lock);
	if (wanted || !is_nobodys(device))
		return;
	NETVSC_VF_LOG(NOTICE, dev->name,
		"VF %s was attached when the port had been closed: it is detached again", device);
	rte_eal_hotplug_remove(bus, device);
}

static void
attach(struct netvsc_vf_dev *dev, const char *bus, const char *device)
{
	const struct rte_devargs *user = user_devargs(bus, device);
	struct netvsc_vf_record *record;
	char args[NETVSC_VF_ARGS_MAX];
	int rc;

	if (user != NULL && user->policy == RTE_DEV_BLOCKED) {
		netvsc_vf_say(dev, "VF %s is on EAL's block list (-b): it is not used", device);
		return;
	}
	rte_spinlock_lock(&netvsc_vf_lock);
	record = netvsc_vf_record_find(device);
	snprintf(args, sizeof(args), "%s",
		dev->args[0] != '\0'			    ? dev->args
		: record != NULL && record->args[0] != '\0' ? record->args
		: user != NULL && user->args != NULL	    ? user->args
							    : "");
	rte_spinlock_unlock(&netvsc_vf_lock);
	rc = rte_eal_hotplug_add(bus, device, args);
	dev->try_at = hpbus_now_ms() + dev->try_after;
	dev->try_after = RTE_MIN(2 * dev->try_after, TRY_LAST_MS);
	if (rc == 0)
		attached_for_nobody(dev, bus, device);
	else
		netvsc_vf_say(dev,
			"VF %s cannot be attached (%s, Linux has '%s' for it): it needs a driver that "
			"DPDK can use, see the guide; it is tried again",
			device, rte_strerror(rc < 0 ? -rc : rc), dev->driver);
}

void
netvsc_vf_attach(struct netvsc_vf_dev *dev, const char *bus, const char *device)
{
	char driver[NETVSC_VF_NAME_MAX];
	int64_t now = hpbus_now_ms();

	/* It takes the kernel's driver a while to be there, and it may be bound to another one. */
	netvsc_vf_driver(device, driver);
	if (strcmp(device, dev->tried) != 0 || strcmp(driver, dev->driver) != 0) {
		snprintf(dev->tried, sizeof(dev->tried), "%s", device);
		snprintf(dev->driver, sizeof(dev->driver), "%s", driver);
		dev->try_at = now;
		dev->try_after = TRY_FIRST_MS;
	}
	if (now < dev->try_at)
		return;
	dev->attach_waits = pthread_mutex_trylock(&plugging) != 0;
	if (dev->attach_waits)
		return;
	attach(dev, bus, device);
	pthread_mutex_unlock(&plugging);
}

void
netvsc_vf_detach(struct netvsc_vf_dev *dev, struct rte_device *device)
{
	int64_t until = hpbus_now_ms() + DETACH_MS;
	int rc;

	while (pthread_mutex_trylock(&plugging) != 0) {
		if (hpbus_now_ms() >= until) {
			rte_spinlock_lock(&netvsc_vf_lock);
			dev->record->left = true;
			dev->record->ours = !dev->removed;
			rte_spinlock_unlock(&netvsc_vf_lock);
			NETVSC_VF_LOG(NOTICE, dev->name,
				"VF %s: another one is being attached or detached, which lasts: it "
				"is detached later",
				dev->record->device);
			return;
		}
		rte_delay_us_sleep(500);
	}
	if (rte_dev_is_probed(device)) {
		rc = rte_dev_remove(device);
		dev->record->ours = rc == 0 && !dev->removed;
		if (rc != 0)
			NETVSC_VF_LOG(NOTICE, dev->name, "VF %s cannot be detached: %s",
				dev->record->device, rte_strerror(-rc));
	}
	pthread_mutex_unlock(&plugging);
}

bool
netvsc_vf_detach_left(void)
{
	char bus[NETVSC_VF_NAME_MAX] = "", device[NETVSC_VF_NAME_MAX] = "";
	struct netvsc_vf_record *record;

	rte_spinlock_lock(&netvsc_vf_lock);
	record = netvsc_vf_record_left();
	rte_spinlock_unlock(&netvsc_vf_lock);
	if (record == NULL)
		return false;
	if (pthread_mutex_trylock(&plugging) != 0)
		return true;
	rte_spinlock_lock(&netvsc_vf_lock);
	record = netvsc_vf_record_left();
	if (record != NULL) {
		snprintf(bus, sizeof(bus), "%s", record->bus);
		snprintf(device, sizeof(device), "%s", record->device);
		record->left = false;
	}
	rte_spinlock_unlock(&netvsc_vf_lock);
	/* Somebody may have made something of it meanwhile. */
	if (device[0] != '\0' && is_nobodys(device))
		rte_eal_hotplug_remove(bus, device);
	pthread_mutex_unlock(&plugging);
	return false;
}
