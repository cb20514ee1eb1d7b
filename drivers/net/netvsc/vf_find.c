/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which ethdev is the VF of a port (spec/linux-uio-vmbus.md §10, pitfalls V8 to V11). Either the
 * user names it (devarg vf=), whatever it is; or it is a PCI function with the port's MAC address
 * that Linux shows in the slot of the serial number which the host has associated. The MAC address
 * alone decides only where no slot says anything, and only among PCI functions: a TAP, a bond or
 * another port of this driver may carry it, too.
 *
 * What can be the VF is reserved as soon as it is seen, before applications see it. The host's
 * association, the function, its driver and its ethdev come in any order, seconds or minutes apart:
 * nothing is given up. ethdev and EAL tell of ports and devices; the slot is looked at now and
 * then.
 *
 * Callbacks run on any thread, and only look at what is in memory.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_dev.h>
#include <ethdev_driver.h>

#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/vf.h"
#include "drivers/net/netvsc/vf_dev.h"

#define LOOK_MS 1000 /* a VF that is there */
#define WAIT_MS 500  /* ... that is associated and is not */

struct netvsc_vf_list netvsc_vf_list = TAILQ_HEAD_INITIALIZER(netvsc_vf_list);

struct netvsc_vf_dev *
netvsc_vf_dev_of(const struct netvsc_port *port)
{
	struct netvsc_vf_dev *dev;

	TAILQ_FOREACH (dev, &netvsc_vf_list, next)
		if (dev->port == port)
			return dev;
	return NULL;
}

bool
netvsc_vf_ref(const struct netvsc_port *port, struct netvsc_vf_dev **dev)
{
	if (!netvsc_lock_in_time(&netvsc_vf_lock))
		return false;
	*dev = netvsc_vf_dev_of(port);
	if (*dev != NULL)
		(*dev)->refs++;
	rte_spinlock_unlock(&netvsc_vf_lock);
	return true;
}

/* ---- is it? ---- */

enum match {
	MATCH_NOT,
	MATCH_PERHAPS, /* reserved until it is known */
	MATCH_IS,
};

static bool
same_mac(const struct netvsc_vf_dev *dev, const struct rte_ether_addr *mac)
{
	const struct rte_ether_addr *now = dev->port->eth->data->mac_addrs;

	return rte_is_same_ether_addr(mac, &dev->mac) ||
	       (now != NULL && rte_is_same_ether_addr(mac, now));
}

/* The lock is held; the port is there. */
static enum match
match(const struct netvsc_vf_dev *dev, const struct netvsc_vf_candidate *c)
{
	if (c->ours || (c->owner != RTE_ETH_DEV_NO_OWNER && c->owner != dev->owner.id))
		return MATCH_NOT;
	if (dev->want[0] != '\0') {
		if (strcmp(c->name, dev->want) == 0)
			return MATCH_IS;
		/* Named by its device, which may have ports of other adapters, too. */
		return strcmp(c->device, dev->want) == 0 && same_mac(dev, &c->mac) ? MATCH_IS
										   : MATCH_NOT;
	}
	if (strcmp(c->bus, "pci") != 0 || !same_mac(dev, &c->mac))
		return MATCH_NOT;
	if (!dev->associated || dev->slot[0] == '\0')
		return MATCH_PERHAPS;
	return strcmp(c->device, dev->slot) == 0 ? MATCH_IS : MATCH_NOT;
}

/* ---- what others tell ---- */

/* The lock is held. */
static void
tell_found(struct netvsc_vf_dev *dev)
{
	dev->told = true;
	netvsc_vf_event(dev->port, NETVSC_VF_FOUND, dev->held);
}

void
netvsc_vf_tell_lost(struct netvsc_vf_dev *dev)
{
	/* Nobody uses it: find_again() does the rest, if there is any. */
	if (!dev->told && !dev->removed) {
		netvsc_vf_let_go(dev);
		return;
	}
	/* Again, if it is not even there any more: a reset that it was in the middle of is over. */
	if (dev->told &&
		(!dev->gone || ((dev->destroyed || dev->removed) && netvsc_vf_is_recovering(dev))))
		netvsc_vf_event(dev->port, NETVSC_VF_LOST, dev->held);
	dev->gone = true;
}

static void
ethdev_new(uint16_t id)
{
	struct netvsc_vf_candidate c;
	struct netvsc_vf_dev *dev;
	enum match is;

	if (!netvsc_vf_candidate(id, &c))
		return;
	TAILQ_FOREACH (dev, &netvsc_vf_list, next) {
		if (dev->held != NETVSC_VF_NONE)
			continue;
		is = match(dev, &c);
		if (is == MATCH_NOT || c.started || netvsc_vf_hold(dev, &c) != 0)
			continue;
		if (is == MATCH_IS)
			tell_found(dev);
		return;
	}
}

static void
ethdev_link(const struct netvsc_vf_dev *dev)
{
	struct rte_eth_link link;

	/* As the driver has stored it before it told: asking the driver might take long. */
	rte_eth_linkstatus_get(&rte_eth_devices[dev->held], &link);
	netvsc_vf_event(
		dev->port, NETVSC_VF_LINK, link.link_status == RTE_ETH_LINK_UP && !dev->removing);
}

static int
on_ethdev(uint16_t id, enum rte_eth_event_type event, void *arg, void *ret)
{
	struct netvsc_vf_dev *dev, *destroyed = NULL;

	rte_spinlock_lock(&netvsc_vf_lock);
	if (event == RTE_ETH_EVENT_NEW)
		ethdev_new(id);
	TAILQ_FOREACH (dev, &netvsc_vf_list, next) {
		if (dev->held != id || dev->destroyed)
			continue;
		switch (event) {
		case RTE_ETH_EVENT_DESTROY:
			dev->destroyed = true;
			netvsc_vf_tell_lost(dev);
			dev->refs++;
			destroyed = dev;
			break;
		case RTE_ETH_EVENT_INTR_RMV:
			dev->removed = true;
			netvsc_vf_tell_lost(dev);
			break;
		case RTE_ETH_EVENT_INTR_RESET:
			dev->reset = true;
			/* Nobody uses it yet: it is reset when it is owned, and heard until then.
			 */
			if (dev->told)
				netvsc_vf_tell_lost(dev);
			break;
		case RTE_ETH_EVENT_INTR_LSC:
			ethdev_link(dev);
			break;
		case RTE_ETH_EVENT_ERR_RECOVERING:
			netvsc_vf_event(dev->port, NETVSC_VF_RECOVERING, id);
			break;
		case RTE_ETH_EVENT_RECOVERY_SUCCESS:
			netvsc_vf_event(dev->port, NETVSC_VF_RECOVERED, id);
			break;
		case RTE_ETH_EVENT_RECOVERY_FAILED:
			netvsc_vf_event(dev->port, NETVSC_VF_RECOVERY_FAILED, id);
			break;
		default:
			break;
		}
		break;
	}
	rte_spinlock_unlock(&netvsc_vf_lock);
	if (destroyed != NULL) {
		netvsc_vf_await_quiet(destroyed);
		netvsc_vf_unref(destroyed);
	}
	return 0;
}

/* Of EAL's monitor, if the application has started it, and of VFIO. */
static void
on_device(const char *name, enum rte_dev_event_type event, void *arg)
{
	struct netvsc_vf_dev *dev;

	if (event != RTE_DEV_EVENT_REMOVE)
		return;
	rte_spinlock_lock(&netvsc_vf_lock);
	TAILQ_FOREACH (dev, &netvsc_vf_list, next)
		if (dev->held != NETVSC_VF_NONE && strcmp(dev->record->device, name) == 0) {
			dev->removed = true;
			netvsc_vf_tell_lost(dev);
		}
	rte_spinlock_unlock(&netvsc_vf_lock);
}

static const enum rte_eth_event_type heard[] = {RTE_ETH_EVENT_NEW, RTE_ETH_EVENT_DESTROY,
	RTE_ETH_EVENT_INTR_RMV, RTE_ETH_EVENT_INTR_RESET, RTE_ETH_EVENT_INTR_LSC,
	RTE_ETH_EVENT_ERR_RECOVERING, RTE_ETH_EVENT_RECOVERY_SUCCESS,
	RTE_ETH_EVENT_RECOVERY_FAILED};

static void
hear_end(void)
{
	size_t i;

	/* Who is inside of one keeps it (-EAGAIN): it does nothing for a list that is empty. */
	for (i = 0; i < RTE_DIM(heard); i++)
		rte_eth_dev_callback_unregister(RTE_ETH_ALL, heard[i], on_ethdev, NULL);
	rte_dev_event_callback_unregister(NULL, on_device, NULL);
}

static int
hear_begin(void)
{
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < RTE_DIM(heard); i++)
		rc = rte_eth_dev_callback_register(RTE_ETH_ALL, heard[i], on_ethdev, NULL);
	if (rc == 0)
		rc = rte_dev_event_callback_register(NULL, on_device, NULL);
	if (rc == -EEXIST)
		rc = 0;
	if (rc != 0)
		hear_end();
	return rc;
}

/* ---- looking ---- */

/* It would be the VF, but the application has it. */
static void
is_used(struct netvsc_vf_dev *dev, const struct netvsc_vf_candidate *c)
{
	char text[NETVSC_VF_WHY_MAX];

	dev->is_busy = true;
	snprintf(text, sizeof(text),
		"port %u (%.32s) is it, but is used as a port of its own: it is taken once it is stopped",
		c->id, c->name);
	netvsc_vf_why(dev, text);
	if (strcmp(dev->busy, c->name) == 0)
		return;
	snprintf(dev->busy, sizeof(dev->busy), "%s", c->name);
	NETVSC_VF_LOG(WARNING, dev->name,
		"port %u (%s) is this port's VF, but it is used as a port of its own: it is taken "
		"once it is stopped",
		c->id, c->name);
}

/* Reserve the best of the ethdevs that there are. @return whether it is the VF */
static bool
look_at_ethdevs(struct netvsc_vf_dev *dev)
{
	struct netvsc_vf_candidate c;
	enum match is, least = MATCH_IS;
	bool found = false;
	uint16_t id;

	dev->is_busy = false;
	for (; !found && least > MATCH_NOT; least--)
		for (id = 0; !found && id < RTE_MAX_ETHPORTS; id++) {
			if (!netvsc_vf_candidate(id, &c) || !c.usable)
				continue;
			rte_spinlock_lock(&netvsc_vf_lock);
			is = dev->port != NULL && dev->held == NETVSC_VF_NONE ? match(dev, &c)
									      : MATCH_NOT;
			if (is >= least && !c.started)
				found = netvsc_vf_hold(dev, &c) == 0;
			rte_spinlock_unlock(&netvsc_vf_lock);
			if (is >= least && !found)
				is_used(dev, &c);
		}
	return found;
}

/* Is the one that is held the VF? @return false: nothing is held any more */
static bool
look_at_held(struct netvsc_vf_dev *dev)
{
	struct netvsc_vf_candidate c;
	char device[NETVSC_VF_NAME_MAX];
	enum match is = MATCH_NOT;
	bool pci, held, removing;

	rte_spinlock_lock(&netvsc_vf_lock);
	removing = dev->removing;
	rte_spinlock_unlock(&netvsc_vf_lock);
	if (removing)
		return true;
	/* It was lost, and the machine does not have it (any more). */
	if (dev->gone && !dev->owned) {
		pthread_mutex_lock(&dev->calls);
		netvsc_vf_leave_it(dev);
		pthread_mutex_unlock(&dev->calls);
	}
	rte_spinlock_lock(&netvsc_vf_lock);
	held = dev->port != NULL && dev->held != NETVSC_VF_NONE;
	if (held && !dev->gone) {
		if (netvsc_vf_is_there(dev) && netvsc_vf_candidate(dev->held, &c))
			is = match(dev, &c);
		else
			dev->destroyed = true;
	}
	pci = held && dev->pci;
	snprintf(device, sizeof(device), "%s", held ? dev->record->device : "");
	held = held && !dev->gone;
	rte_spinlock_unlock(&netvsc_vf_lock);
	if (!held)
		return dev->held != NETVSC_VF_NONE;
	if (pci && !netvsc_vf_function(device))
		is = MATCH_NOT;
	else if (is == MATCH_PERHAPS && dev->associated)
		is = netvsc_vf_has_slot(device) ? MATCH_NOT : MATCH_IS;
	rte_spinlock_lock(&netvsc_vf_lock);
	if (dev->port != NULL && dev->held != NETVSC_VF_NONE && !dev->gone) {
		if (is == MATCH_NOT) {
			dev->removed |= pci && !netvsc_vf_function(device);
			netvsc_vf_tell_lost(dev);
		} else if (is == MATCH_IS && !dev->told)
			tell_found(dev);
	}
	held = dev->held != NETVSC_VF_NONE;
	rte_spinlock_unlock(&netvsc_vf_lock);
	return held;
}

/* The device that the VF is on, if it is known and has no ethdev. */
static void
look_for_device(struct netvsc_vf_dev *dev)
{
	struct netvsc_vf_record *record;
	char bus[NETVSC_VF_NAME_MAX] = "pci", device[NETVSC_VF_NAME_MAX];
	struct netvsc_vf_candidate c;
	bool others;
	uint16_t id;

	snprintf(device, sizeof(device), "%.63s", dev->want[0] != '\0' ? dev->want : dev->slot);
	if (dev->want[0] != '\0') {
		/* What is no PCI function comes from the user, unless we have detached it. */
		rte_spinlock_lock(&netvsc_vf_lock);
		record = netvsc_vf_record_find(device);
		if (record != NULL && record->ours)
			snprintf(bus, sizeof(bus), "%s", record->bus);
		rte_spinlock_unlock(&netvsc_vf_lock);
	}
	if (device[0] == '\0' || (strcmp(bus, "pci") == 0 && !netvsc_vf_function(device))) {
		dev->tried[0] = '\0'; /* at once when it comes (back) */
		if (!dev->is_busy)
			netvsc_vf_why(dev, NULL);
		return;
	}
	for (id = 0; id < RTE_MAX_ETHPORTS; id++)
		if (netvsc_vf_candidate(id, &c) && strcmp(c.device, device) == 0) {
			if (strcmp(dev->busy, c.name) != 0)
				netvsc_vf_say(dev,
					"port %u is on the VF's device %s, but it has another MAC "
					"address or another owner: it is not used",
					id, device);
			return;
		}
	rte_spinlock_lock(&netvsc_vf_lock);
	others = dev->port != NULL && netvsc_vf_others(dev->port);
	rte_spinlock_unlock(&netvsc_vf_lock);
	if (others) {
		netvsc_vf_say(
			dev, "VF %s is not attached while other processes have the port", device);
		dev->attach_waits = true;
		return;
	}
	netvsc_vf_attach(dev, bus, device);
}

int
netvsc_vf_find_again(struct netvsc_vf_setup *setup, bool associated, uint32_t serial)
{
	struct netvsc_vf_dev *dev = setup->dev;
	char slot[NETVSC_VF_NAME_MAX] = "";
	bool found, waits;
	int next = -1;

	if (dev == NULL)
		return -1;
	dev->attach_waits = false;
	waits = netvsc_vf_detach_left();
	if (associated && dev->want[0] == '\0')
		netvsc_vf_slot(serial, slot);
	rte_spinlock_lock(&netvsc_vf_lock);
	dev->associated = associated;
	dev->serial = serial;
	memcpy(dev->slot, slot, sizeof(dev->slot));
	rte_spinlock_unlock(&netvsc_vf_lock);
	found = look_at_held(dev);
	if (!found && look_at_ethdevs(dev))
		found = look_at_held(dev);
	if (!found) {
		look_for_device(dev);
		if (dev->held != NETVSC_VF_NONE || look_at_ethdevs(dev))
			found = look_at_held(dev);
	}
	if (found && !dev->gone)
		netvsc_vf_know(dev);
	if (dev->held != NETVSC_VF_NONE)
		next = LOOK_MS;
	else if (associated || waits || dev->attach_waits)
		next = WAIT_MS;
	return next;
}

/* ---- begin and end ---- */

/* Of who is the first and who is the last: one port may come while another one goes. */
static pthread_mutex_t hearing = PTHREAD_MUTEX_INITIALIZER;

static int
list_add(struct netvsc_vf_dev *dev)
{
	bool first;
	int rc;

	pthread_mutex_lock(&hearing);
	rte_spinlock_lock(&netvsc_vf_lock);
	first = TAILQ_EMPTY(&netvsc_vf_list);
	TAILQ_INSERT_TAIL(&netvsc_vf_list, dev, next);
	rte_spinlock_unlock(&netvsc_vf_lock);
	rc = first ? hear_begin() : 0;
	pthread_mutex_unlock(&hearing);
	return rc;
}

static struct netvsc_vf_dev *
list_remove(const struct netvsc_port *port)
{
	struct netvsc_vf_dev *dev;
	bool last = false;

	pthread_mutex_lock(&hearing);
	rte_spinlock_lock(&netvsc_vf_lock);
	dev = netvsc_vf_dev_of(port);
	if (dev != NULL) {
		TAILQ_REMOVE(&netvsc_vf_list, dev, next);
		dev->port = NULL;
		/* With more than a reservation the thread is done, which may still be at it. */
		if (dev->held != NETVSC_VF_NONE && !dev->owned && !dev->configured &&
			!dev->attached)
			netvsc_vf_let_go(dev);
		last = TAILQ_EMPTY(&netvsc_vf_list);
	}
	rte_spinlock_unlock(&netvsc_vf_lock);
	if (last)
		hear_end();
	pthread_mutex_unlock(&hearing);
	return dev;
}

int
netvsc_vf_find_start(struct netvsc_port *port, struct netvsc_vf_setup *setup)
{
	struct netvsc_vf_dev *dev = calloc(1, sizeof(*dev));
	int rc;

	if (dev == NULL || netvsc_vf_told_begin(port) != 0) {
		free(dev);
		return -ENOMEM;
	}
	dev->port = port;
	dev->refs = 2;
	dev->held = NETVSC_VF_NONE;
	dev->mac = port->session.mac;
	snprintf(dev->name, sizeof(dev->name), "%s", port->bus->name);
	snprintf(dev->want, sizeof(dev->want), "%s", port->config.vf);
	snprintf(dev->args, sizeof(dev->args), "%s", port->config.vf_args);
	pthread_mutex_init(&dev->calls, NULL);
	rc = netvsc_vf_owner_new(&dev->owner.id);
	if (rc != 0) {
		pthread_mutex_destroy(&dev->calls);
		free(dev);
		return rc;
	}
	dev->shared = port->vf_shared.told;
	atomic_fetch_add(&dev->shared->references, 1);
	snprintf(dev->owner.name, sizeof(dev->owner.name), "%s", port->bus->name);
	setup->dev = dev;
	rc = list_add(dev);
	if (rc != 0) {
		netvsc_vf_find_stop(port);
		netvsc_vf_setup_free(setup);
		return rc;
	}
	/* Before applications look at the ports there are. */
	if (look_at_ethdevs(dev)) {
		look_at_held(dev);
		netvsc_vf_know(dev);
	}
	return 0;
}

void
netvsc_vf_find_stop(struct netvsc_port *port)
{
	struct netvsc_vf_dev *dev = list_remove(port);

	if (dev != NULL)
		netvsc_vf_unref(dev);
}
