/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hot-plug of kernel-bound devices. EAL's own monitor knows only PCI-shaped events, so the bus
 * listens to the kernel itself (spec/linux-uio-vmbus.md §4) and hands events to EAL's device event
 * callbacks. Runs on EAL's interrupt thread; touches no device list but through the bus functions.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netlink.h>

#include <rte_dev.h>

#include "drivers/bus/vmbus/bus_private.h"
#include "drivers/bus/vmbus/sysfs.h"
#include "drivers/bus/vmbus/watch.h"

static int uevent_fd = -1;
static bool uevent_missed; /* and said so */
static struct rte_intr_handle *uevent_intr;

static void
hotplug_event(const struct vmbus_uevent *ev)
{
	char name[VMBUS_GUID_LEN + 1] = "";
	struct hpbus_device *dev;

	switch (ev->action) {
	case VMBUS_UEVENT_BIND:
		/* The class may be missing from the event: the scan looks again anyway. */
		if (ev->subsystem != VMBUS_UEVENT_VMBUS || ev->driver == NULL ||
			strcmp(ev->driver, VMBUS_UIO_DRIVER) != 0 || ev->synthetic ||
			(ev->has_class && memcmp(ev->class_guid, vmbus_nic_class, 16) != 0))
			return;
		HPBUS_LOG(INFO, "%s: bound to %s", ev->device, ev->driver);
		rte_dev_event_callback_process(ev->device, RTE_DEV_EVENT_ADD);
		return;
	case VMBUS_UEVENT_REMOVE:
		if (ev->subsystem == VMBUS_UEVENT_CHANNELS)
			return;
		hpbus_devices_lock();
		dev = hpbus_device_by_folder(ev->device);
		if (dev != NULL && hpbus_uio_removed(dev))
			snprintf(name, sizeof(name), "%s", dev->name);
		hpbus_devices_unlock();
		if (name[0] != '\0')
			rte_dev_event_callback_process(name, RTE_DEV_EVENT_REMOVE);
		return;
	default:
		return;
	}
}

static int
hotplug_receive(char *buffer, size_t size, struct vmbus_uevent *ev)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct sockaddr_nl from = {0};
	struct iovec iov = {buffer, size};
	struct msghdr msg = {
		.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	unsigned int arrival = 0;
	struct cmsghdr *c;
	ssize_t n;

	n = recvmsg(uevent_fd, &msg, MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	if (from.nl_pid == 0)
		arrival |= VMBUS_UEVENT_FROM_KERNEL;
	if (msg.msg_flags & MSG_TRUNC)
		arrival |= VMBUS_UEVENT_TRUNCATED;
	for (c = CMSG_FIRSTHDR(&msg); c != NULL; c = CMSG_NXTHDR(&msg, c)) {
		struct ucred cred;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS)
			continue;
		memcpy(&cred, CMSG_DATA(c), sizeof(cred));
		if (cred.uid == 0)
			arrival |= VMBUS_UEVENT_FROM_ROOT;
	}
	return vmbus_uevent_parse(buffer, (size_t)n, arrival, ev) == 0 ? 1 : 0;
}

static void
on_uevent(void *arg)
{
	struct vmbus_uevent ev;
	char buffer[8192];
	int rc;

	for (;;) {
		rc = hotplug_receive(buffer, sizeof(buffer), &ev);
		if (rc == 1)
			hotplug_event(&ev);
		else if (rc == -ENOBUFS)
			HPBUS_LOG(WARNING,
				"device events were lost; the next scan finds what is new");
		else if (rc < 0 && rc != -EINTR)
			return;
	}
}

/* @return a socket that hears the kernel, or a negative errno */
static int
hotplug_listen(void)
{
	struct sockaddr_nl addr = {.nl_family = AF_NETLINK, .nl_groups = 1};
	int on = 1, rc;
	int fd = socket(
		AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);

	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0 &&
		bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	rc = -errno;
	if (fd >= 0)
		close(fd);
	return rc;
}

void
hpbus_hotplug_start(void)
{
	int rc;

	if (uevent_fd >= 0)
		return;
	uevent_fd = hotplug_listen(); /* from where the callback reads */
	rc = uevent_fd < 0 ? uevent_fd : hpbus_watch(uevent_fd, on_uevent, NULL, &uevent_intr);
	if (rc == 0)
		return;
	/* It is tried again with each scan. */
	if (!uevent_missed)
		HPBUS_LOG(NOTICE,
			"no device events: %s; NICs that come or go are seen at the next scan only",
			strerror(-rc));
	uevent_missed = true;
	hpbus_hotplug_stop();
}

void
hpbus_hotplug_stop(void)
{
	hpbus_unwatch(&uevent_intr, on_uevent, NULL);
	if (uevent_fd >= 0)
		close(uevent_fd);
	uevent_fd = -1;
}
