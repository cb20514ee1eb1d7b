/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Taking and leaving the ethdev that is the VF, and what is remembered of its device. Who may see
 * it: ethdev has owners of ports, and those who iterate over ports skip what others own.
 */
#include "drivers/net/netvsc/vf_dev.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_dev.h>
#include <rte_devargs.h>
#include <bus_driver.h>
#include <dev_driver.h>
#include <ethdev_driver.h>

#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/vf.h"

rte_spinlock_t netvsc_vf_lock = RTE_SPINLOCK_INITIALIZER;

static TAILQ_HEAD(, netvsc_vf_record) records = TAILQ_HEAD_INITIALIZER(records);

/* Owners that nobody uses: to delete one is a line in ethdev's log for each port that is closed. */
static struct {
	uint64_t id[RTE_MAX_ETHPORTS];
	unsigned int n;
} owners;

int
netvsc_vf_owner_new(uint64_t *id)
{
	bool spare;

	rte_spinlock_lock(&netvsc_vf_lock);
	spare = owners.n != 0;
	if (spare)
		*id = owners.id[--owners.n];
	rte_spinlock_unlock(&netvsc_vf_lock);
	return spare ? 0 : rte_eth_dev_owner_new(id);
}

void
netvsc_vf_why(struct netvsc_vf_dev *dev, const char *text)
{
	static const char more[] = " ...";

	rte_spinlock_lock(&netvsc_vf_lock);
	if (snprintf(dev->why, sizeof(dev->why), "%s", text != NULL ? text : "") >=
		(int)sizeof(dev->why))
		memcpy(dev->why + sizeof(dev->why) - sizeof(more), more, sizeof(more));
	rte_spinlock_unlock(&netvsc_vf_lock);
}

void
netvsc_vf_say(struct netvsc_vf_dev *dev, const char *format, ...)
{
	char text[sizeof(dev->said)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	netvsc_vf_why(dev, text);
	/* What is tried again and again fails again and again. */
	if (strcmp(text, dev->said) == 0)
		return;
	memcpy(dev->said, text, sizeof(text));
	NETVSC_VF_LOG(WARNING, dev->name, "%s", text);
}

/* ---- ethdevs ---- */

/*
 * The public API knows a port when its probe is over (rte_eth_dev_is_valid_port()), and then
 * applications do, too. What is read here is there when RTE_ETH_EVENT_NEW is told, just before.
 */
bool
netvsc_vf_candidate(uint16_t id, struct netvsc_vf_candidate *c)
{
	const struct rte_eth_dev *eth = &rte_eth_devices[id];
	const struct rte_ether_addr *macs;
	const struct rte_eth_dev_data *data;
	const struct rte_device *device;

	memset(c, 0, sizeof(*c));
	if (id >= RTE_MAX_ETHPORTS)
		return false;
	/* Once each: who releases the port meanwhile sets them to NULL. */
	data = __atomic_load_n(&eth->data, __ATOMIC_RELAXED);
	device = __atomic_load_n(&eth->device, __ATOMIC_RELAXED);
	if (data == NULL || data->name[0] == '\0')
		return false;
	c->id = id;
	/* EAL says last who its driver is, and rte_eth_dev_info_get() looks there. */
	c->usable = eth->state != RTE_ETH_DEV_UNUSED && device != NULL &&
		    __atomic_load_n(&device->driver, __ATOMIC_ACQUIRE) != NULL;
	c->ours = eth->dev_ops == &netvsc_ops;
	/* Not of ours, which is nobody's VF: its own thread writes the bits beside this one. */
	c->started = !c->ours && data->dev_started;
	c->owner = data->owner.id;
	snprintf(c->name, sizeof(c->name), "%s", data->name);
	macs = __atomic_load_n(&data->mac_addrs, __ATOMIC_RELAXED);
	if (macs != NULL)
		c->mac = macs[0];
	if (device == NULL)
		return true;
	snprintf(c->device, sizeof(c->device), "%s", device->name);
	if (device->bus != NULL)
		snprintf(c->bus, sizeof(c->bus), "%s", device->bus->name);
	if (device->devargs != NULL && device->devargs->args != NULL)
		snprintf(c->args, sizeof(c->args), "%s", device->devargs->args);
	return true;
}

bool
netvsc_vf_is_there(const struct netvsc_vf_dev *dev)
{
	struct netvsc_vf_candidate c;

	return dev->held != NETVSC_VF_NONE && !dev->destroyed &&
	       netvsc_vf_candidate(dev->held, &c) && c.owner == dev->owner.id;
}

bool
netvsc_vf_is_recovering(const struct netvsc_vf_dev *dev)
{
	return dev->port != NULL &&
	       netvsc_vf_facts_recovering(atomic_load(&dev->port->vf_shared.facts), dev->held);
}

int
netvsc_vf_hold(struct netvsc_vf_dev *dev, const struct netvsc_vf_candidate *c)
{
	struct netvsc_vf_record *record = netvsc_vf_record(c->bus, c->device);
	int rc = 0;

	if (record == NULL)
		return -ENOMEM;
	if (c->owner != dev->owner.id)
		rc = rte_eth_dev_owner_set(c->id, &dev->owner);
	if (rc != 0)
		return rc;
	/* EAL forgets them with the device. */
	if (c->args[0] != '\0')
		snprintf(record->args, sizeof(record->args), "%s", c->args);
	dev->held = c->id;
	dev->why[0] = '\0'; /* it was another one's */
	dev->told = dev->gone = dev->owned = false;
	dev->destroyed = dev->removed = dev->reset = dev->configured = dev->has_info = false;
	atomic_store(&dev->shared->held, ++dev->holds);
	netvsc_vf_meet_removals(c->bus);
	dev->attached = strcmp(dev->tried, c->device) == 0;
	if (dev->attached)
		dev->tried[0] = '\0'; /* it did not fail */
	dev->pci = strcmp(c->bus, "pci") == 0;
	dev->record = record;
	record->ours = false;
	return 0;
}

void
netvsc_vf_let_go(struct netvsc_vf_dev *dev)
{
	/* What was told of it ends here, found or not: another one may have its number next. */
	if (dev->port != NULL &&
		netvsc_vf_facts_know(atomic_load(&dev->port->vf_shared.facts), dev->held))
		netvsc_vf_event(dev->port, NETVSC_VF_LOST, dev->held);
	if (netvsc_vf_is_there(dev))
		rte_eth_dev_owner_unset(dev->held, dev->owner.id);
	dev->held = NETVSC_VF_NONE;
	atomic_store(&dev->shared->held, 0);
	dev->told = dev->gone = dev->owned = dev->has_queues = dev->keeps_them = false;
}

/* Close it, and detach its device unless other ports live on that. No lock but @a calls. */
static void
vf_remove(struct netvsc_vf_dev *dev, uint16_t vf)
{
	struct rte_device *device = rte_eth_devices[vf].device;
	bool alone = true;
	uint16_t other;
	int rc;

	if (!rte_eth_dev_is_valid_port(vf))
		return;
	if (device != NULL) {
		RTE_ETH_FOREACH_DEV_OF(other, device)
		{
			alone &= other == vf;
		}
	}
	netvsc_vf_stats_read(dev, vf);
	rc = rte_eth_dev_close(vf);
	if (rc != 0)
		NETVSC_VF_LOG(NOTICE, dev->name, "VF %s: its driver could not close it: %s",
			dev->record->device, rte_strerror(-rc));
	/* A function may have ports of other adapters, too (pitfall V9). */
	if (device == NULL || !alone)
		return;
	/* It is left: nobody meets this removal. */
	rte_spinlock_lock(&netvsc_vf_lock);
	dev->removing = true;
	rte_spinlock_unlock(&netvsc_vf_lock);
	netvsc_vf_detach(dev, device);
	rte_spinlock_lock(&netvsc_vf_lock);
	dev->removing = false;
	rte_spinlock_unlock(&netvsc_vf_lock);
}

void
netvsc_vf_leave_it(struct netvsc_vf_dev *dev)
{
	bool keep, remove;
	uint16_t vf;

	rte_spinlock_lock(&netvsc_vf_lock);
	dev->owned = false;
	vf = dev->held;
	/* One that is still there stays reserved, with all that it has, as long as the port is. */
	keep = dev->port != NULL && !dev->removed && !dev->destroyed;
	if (keep) {
		dev->told = dev->told && !dev->gone;
		dev->gone = false;
	}
	remove = !keep && !dev->removing && netvsc_vf_is_there(dev) &&
		 (dev->removed || dev->configured || dev->attached);
	rte_spinlock_unlock(&netvsc_vf_lock);
	if (keep)
		return;
	/* Its queues hold mbufs of pools that the application frees when the port is closed. */
	if (remove)
		vf_remove(dev, vf);
	rte_spinlock_lock(&netvsc_vf_lock);
	netvsc_vf_let_go(dev);
	rte_spinlock_unlock(&netvsc_vf_lock);
}

void
netvsc_vf_unref(struct netvsc_vf_dev *dev)
{
	bool last;

	rte_spinlock_lock(&netvsc_vf_lock);
	last = --dev->refs == 0;
	if (last && owners.n < RTE_DIM(owners.id))
		owners.id[owners.n++] = dev->owner.id;
	rte_spinlock_unlock(&netvsc_vf_lock);
	if (!last)
		return;
	netvsc_vf_told_put(dev->shared);
	pthread_mutex_destroy(&dev->calls);
	free(dev);
}

/* ---- records ---- */

struct netvsc_vf_record *
netvsc_vf_record_find(const char *device)
{
	struct netvsc_vf_record *record;

	TAILQ_FOREACH (record, &records, next)
		if (strcmp(record->device, device) == 0)
			return record;
	return NULL;
}

struct netvsc_vf_record *
netvsc_vf_record_left(void)
{
	struct netvsc_vf_record *record;

	TAILQ_FOREACH (record, &records, next)
		if (record->left)
			return record;
	return NULL;
}

struct netvsc_vf_record *
netvsc_vf_record(const char *bus, const char *device)
{
	struct netvsc_vf_record *record = netvsc_vf_record_find(device);

	if (record != NULL)
		return record;
	record = calloc(1, sizeof(*record));
	if (record == NULL)
		return NULL;
	snprintf(record->bus, sizeof(record->bus), "%s", bus);
	snprintf(record->device, sizeof(record->device), "%s", device);
	TAILQ_INSERT_TAIL(&records, record, next);
	return record;
}
