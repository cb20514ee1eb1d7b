/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The part that the kernel plays: devices that come and go, channels that open, interrupts. One
 * vfio-user connection per NIC stands for one offer of it; the first open() of /dev/uioN opens the
 * channel, and the last close with all mappings gone is a reset (spec/linux-uio-vmbus.md §7).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lib/vfio_user/sockets.h"
#include "lib/vmbus/clock.h"
#include "lib/vmbus/guid.h"
#include "lib/vmbus/monitor.h"
#include "lib/vmbus/packet.h"
#include "lib/vmbus/ring.h"
#include "test/uio/rig.h"

#define MS	      UINT64_C(1000000)
#define CONNECT_MS    3000
#define CLEAN_LATE_NS (30 * MS) /* folders of closed subchannels vanish later */
#define SCAN_NS	      100000	/* of the monitor page, when the host sleeps */
#define LOOK_AGAIN_NS (20 * MS) /* for a socket that comes back */

struct rig_slot rig_slots[RIG_MAX_SLOTS];

static pthread_t thread;
static int wake_fd = -1, next_number;
static bool stopping;

/* Tell other processes with this folder which uioN the NIC is. */
static void
publish_number(struct rig_slot *slot, int number)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d\n", number);

	if (pwrite(slot->owner_fd, text, (size_t)n, 0) != n)
		rig_log("%s: cannot write the owner file", slot->name);
}

/* What its owner says. @return whether there is one */
static bool
read_number(const struct rig_slot *slot, int *number)
{
	char path[RIG_PATH], text[16] = "";
	bool read;
	int fd;

	snprintf(path, sizeof(path), "%.255s/%s.owner", rig_options.dir, slot->name);
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	read = fd >= 0 && pread(fd, text, sizeof(text) - 1, 0) > 0;
	rig_close_fd(&fd);
	if (read)
		*number = atoi(text);
	return read;
}

/* The NIC is offered. @return 0 or a negative errno, all undone */
static int
slot_connect(struct rig_slot *slot, char *err, size_t errlen)
{
	struct rig_device *device = rig_device_new(slot);
	int rc;

	if (device == NULL)
		return -ENOMEM;
	rc = vfu_client_connect(slot->path, &device->client, err, errlen);
	if (rc != 0) {
		free(device);
		return rc;
	}
	rc = rig_discover(device);
	if (rc != 0) {
		snprintf(err, errlen, "%s", vfu_client_error(device->client));
		rig_disconnect(device);
		free(device);
		return rc;
	}
	device->number = next_number++;
	slot->device = device;
	publish_number(slot, device->number);
	rig_memory_share(slot);
	rc = rig_tree_build(device);
	rig_tree_uevent(device, "add");
	rig_tree_uevent(device, "bind");
	if (rig_options.verbose)
		rig_log("%s is uio%d", slot->name, device->number);
	return rc;
}

/* ---- leaving ---- */

static void
device_free_if_unused(struct rig_device *device)
{
	if (device->gone && device->opens == 0 && device->maps == 0 && device->ring_files == 0)
		free(device);
}

/* What the process has of the device ends. @param stays the folder does, for another driver */
static void
device_leave(struct rig_device *device, const char *why, bool stays)
{
	if (rig_options.verbose)
		rig_log("%s: %s", device->slot->name, why);
	device->gone = true;
	/* Before anything else lets the process know: what it touches must be a SIGBUS already. */
	rig_revoke_rings(device);
	if (stays)
		rig_tree_unbind(device);
	else
		rig_tree_remove(device);
	rig_files_hang_up(device);
	if (stays) {
		rig_tree_uevent(device, "leave");
		rig_tree_uevent(device, "unbind");
	} else {
		rig_tree_uevent(device, "remove");
	}
	rig_disconnect(device);
	device->slot->device = NULL;
	device_free_if_unused(device);
}

/* Rescind, or the end of the host: the kernel unregisters the device at once (§7.2). */
static void
device_remove(struct rig_device *device, const char *why)
{
	device_leave(device, why, false);
}

/* Has the user unbound the driver, or unloaded its module? */
static bool
unbound(void)
{
	return rig_options.unbound[0] != '\0' &&
	       syscall(SYS_faccessat, AT_FDCWD, rig_options.unbound, F_OK) == 0;
}

/* ---- open and last close ---- */

struct rig_device *
rig_device_by_number(int number)
{
	unsigned int i;

	for (i = 0; i < rig_options.n_sockets; i++) {
		struct rig_device *device = rig_slots[i].device;

		/* One that went away under its owner has come back with another. */
		if (device != NULL && device->foreign)
			read_number(&rig_slots[i], &device->number);
		if (device != NULL && device->number == number)
			return device;
	}
	return NULL;
}

static void
set_mask(struct rig_channel *ch, uint32_t mask)
{
	struct vmbus_ring_control *ctl = ch->rx_control;

	if (ctl != NULL)
		atomic_store(&ctl->interrupt_mask, mask);
}

void
rig_device_open(struct rig_device *device)
{
	device->open = true;
	if (device->foreign)
		return;
	rig_tree_state(device, 3);
	if (rig_options.masks)
		set_mask(&device->channel[0], 1);
	rig_poke(wake_fd);
}

void
rig_device_control(struct rig_device *device, bool on)
{
	unsigned int k, reached = rig_options.call_primary ? 1 : VMBUS_DEVICE_MAX_CHANNELS;

	for (k = 0; k < reached; k++)
		set_mask(&device->channel[k], !on);
	if (!on || rig_monitor_id(device, 0) >= 0)
		return;
	/* Without monitors the write also makes the call that the process cannot (§7.1). */
	for (k = 0; k < reached; k++)
		if (device->channel[k].rx_control != NULL) {
			device->channel[k].calls++;
			rig_tree_calls(device, k);
		}
	for (k = 0; k < device->doorbells.n_fds; k++)
		rig_poke(device->doorbells.fds[k]);
}

static void
forget_subchannels(struct rig_device *device)
{
	unsigned int k;

	for (k = 1; k < VMBUS_DEVICE_MAX_CHANNELS; k++) {
		struct rig_channel *ch = &device->channel[k];

		if (ch->rx_control != NULL)
			syscall(SYS_munmap, ch->rx_control, VMBUS_DEVICE_PAGE);
		ch->rx_control = NULL;
		ch->ring_at = 0;
		rig_close_fd(&ch->fd);
	}
}

void
rig_device_released(struct rig_device *device)
{
	if (device->gone) {
		device_free_if_unused(device);
		return;
	}
	if (!device->open || device->opens > 0 || device->maps > 0)
		return;
	device->open = false;
	if (device->foreign)
		return;
	rig_revoke_rings(device);
	forget_subchannels(device);
	if (vfu_client_reset(device->client) != 0 || rig_read_descriptor(device) != 0) {
		device_remove(device, vfu_client_error(device->client));
		return;
	}
	rig_tree_state(device, 2);
	device->clean_at = monotonic_ns() + CLEAN_LATE_NS;
	rig_poke(wake_fd);
}

/* ---- the thread ---- */

static void
clean_subchannels(struct rig_device *device)
{
	unsigned int k;

	for (k = 1; k < VMBUS_DEVICE_MAX_CHANNELS; k++)
		if (device->channel[k].listed && device->channel[k].fd < 0)
			rig_tree_channel_remove(device, k);
	device->clean_at = 0;
}

static void
offer_channel(struct rig_device *device, unsigned int k)
{
	struct vfu_region region;

	if (vfu_client_region_info(device->client, device->info.channel[k].region, &region) != 0 ||
		region.fd < 0)
		return;
	rig_adopt_channel(device, k, region.fd, region.offset);
	if (rig_options.masks)
		set_mask(&device->channel[k], 1);
	/* First the folder, later and without any event the file (§4). */
	rig_tree_channel(device, k, rig_options.late_ms == 0);
	if (rig_options.late_ms != 0)
		device->channel[k].ring_at = monotonic_ns() + rig_options.late_ms * MS;
}

/* The descriptor has changed: channels granted, or the NIC withdrawn. */
static void
device_changed(struct rig_device *device)
{
	unsigned int k;

	if (rig_read_descriptor(device) != 0) {
		device_remove(device, vfu_client_error(device->client));
		return;
	}
	if (device->info.state != VMBUS_DEVICE_OFFERED) {
		device_remove(device, "withdrawn by the host");
		return;
	}
	if (device->clean_at != 0)
		clean_subchannels(device);
	for (k = 1; device->open && k < VMBUS_DEVICE_MAX_CHANNELS; k++)
		if (device->info.channel[k].state == VMBUS_CHANNEL_OPEN &&
			device->channel[k].fd < 0)
			offer_channel(device, k);
}

/* What the hypervisor does for a host that sleeps: bits of the monitor page become signals. */
static void
scan_monitor(struct rig_device *device)
{
	unsigned int g, i;

	for (g = 0; g < 4; g++) {
		_Atomic uint32_t *pending = (_Atomic uint32_t *)(device->monitor + 8 + 8 * g);

		if (atomic_load(pending) == 0 || atomic_exchange(pending, 0) == 0)
			continue;
		for (i = 0; i < device->doorbells.n_fds; i++)
			rig_poke(device->doorbells.fds[i]);
	}
}

static bool
scans(const struct rig_device *device)
{
	return device->open && device->monitor != NULL && !rig_options.no_monitor &&
	       !(device->info.flags & VMBUS_DEVICE_FLAG_BUSY);
}

/* Files that come or go later than the event; lock held. @return ns until more is due */
static uint64_t
files_due(struct rig_device *device)
{
	uint64_t now = monotonic_ns(), wait = UINT64_MAX;
	unsigned int k;

	if (device->clean_at != 0 && device->clean_at <= now)
		clean_subchannels(device);
	else if (device->clean_at != 0)
		wait = device->clean_at - now;
	for (k = 1; k < VMBUS_DEVICE_MAX_CHANNELS; k++) {
		struct rig_channel *ch = &device->channel[k];

		if (ch->ring_at != 0 && ch->ring_at <= now) {
			ch->ring_at = 0;
			rig_tree_ring(device, k);
		} else if (ch->ring_at != 0 && ch->ring_at - now < wait) {
			wait = ch->ring_at - now;
		}
	}
	return wait;
}

/* Everything that is due; lock held. @return ns until something else is, UINT64_MAX = nothing */
static uint64_t
device_due(struct rig_slot *slot)
{
	struct rig_device *device = slot->device;
	uint64_t wait, count;
	unsigned int k;

	if (syscall(SYS_read, device->interrupt_fd, &count, sizeof(count)) == sizeof(count)) {
		/* First the mask, then the event: §7. Of which channel it was nothing is known. */
		for (k = 0; rig_options.masks && k < VMBUS_DEVICE_MAX_CHANNELS; k++)
			set_mask(&device->channel[k], 1);
		device->events++;
		rig_files_wake(device);
	}
	if (syscall(SYS_read, device->change_fd, &count, sizeof(count)) == sizeof(count))
		device_changed(device);
	else if (vfu_client_alive(device->client) != 0)
		device_remove(device, "the host is gone");
	if (slot->device == NULL)
		return UINT64_MAX;
	/* Behind the change, which may have put more on the list. */
	wait = files_due(device);
	if (scans(device)) {
		scan_monitor(device);
		wait = wait < SCAN_NS ? wait : SCAN_NS;
	}
	return wait;
}

static void *
rig_run(void *arg)
{
	struct pollfd fds[1 + 3 * RIG_MAX_SLOTS];
	char err[VFU_ERRLEN];

	pthread_mutex_lock(&rig_lock);
	while (!stopping) {
		uint64_t wait = UINT64_MAX, due, count;
		unsigned int i, n = 0;
		struct timespec ts;

		fds[n++] = (struct pollfd){.fd = wake_fd, .events = POLLIN};
		for (i = 0; i < rig_options.n_sockets; i++) {
			struct rig_slot *slot = &rig_slots[i];

			if (slot->device == NULL && slot->owner_fd >= 0 && !unbound())
				slot_connect(slot, err, sizeof(err));
			else if (slot->device != NULL && !slot->device->foreign && unbound())
				device_leave(slot->device, "unbound", true);
			if (slot->device != NULL && !slot->device->foreign) {
				due = device_due(slot);
				wait = due < wait ? due : wait;
			}
			if (slot->device == NULL || rig_options.unbound[0] != '\0')
				wait = wait < LOOK_AGAIN_NS ? wait : LOOK_AGAIN_NS;
			if (slot->device != NULL && !slot->device->foreign) {
				fds[n++] = (struct pollfd){
					.fd = slot->device->interrupt_fd, .events = POLLIN};
				fds[n++] = (struct pollfd){
					.fd = slot->device->change_fd, .events = POLLIN};
				fds[n++] =
					(struct pollfd){.fd = vfu_client_fd(slot->device->client),
						.events = POLLRDHUP};
			}
		}
		pthread_mutex_unlock(&rig_lock);
		ts = (struct timespec){.tv_sec = (time_t)(wait / 1000000000),
			.tv_nsec = (long)(wait % 1000000000)};
		ppoll(fds, n, wait == UINT64_MAX ? NULL : &ts, NULL);
		pthread_mutex_lock(&rig_lock);
		if (fds[0].revents != 0 &&
			syscall(SYS_read, wake_fd, &count, sizeof(count)) != sizeof(count))
			continue;
	}
	pthread_mutex_unlock(&rig_lock);
	return NULL;
}

/* ---- start and stop ---- */

/* Is this the process that talks to the host? Another one may have been first. */
static void
slot_claim(struct rig_slot *slot)
{
	char path[RIG_PATH];
	int fd;

	snprintf(path, sizeof(path), "%.255s/%s.owner", rig_options.dir, slot->name);
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	slot->owner_fd = fd;
	if (fd >= 0 && syscall(SYS_flock, fd, LOCK_EX | LOCK_NB) == 0)
		return;
	slot->device = rig_device_new(slot);
	if (slot->device != NULL && read_number(slot, &slot->device->number)) {
		slot->device->foreign = true;
	} else {
		free(slot->device);
		slot->device = NULL;
	}
	rig_close_fd(&slot->owner_fd);
}

static void
slot_start(struct rig_slot *slot, const char *socket)
{
	const char *file = strrchr(socket, '/');
	uint64_t deadline = monotonic_ns() + CONNECT_MS * MS;
	char err[VFU_ERRLEN] = "";
	int rc;

	snprintf(slot->path, sizeof(slot->path), "%s", socket);
	slot->owner_fd = -1;
	if (vfu_socket_name_parse(file == NULL ? socket : file + 1, slot->guid) != 0) {
		rig_log("%s: the name of the socket must be the GUID of the NIC", socket);
		return;
	}
	vmbus_guid_format(slot->guid, slot->name);
	slot->name[VMBUS_GUID_LEN] = '\0';
	slot_claim(slot);
	if (slot->device != NULL)
		return;
	/* The host may still be busy with a process that has just ended. */
	do {
		rc = slot_connect(slot, err, sizeof(err));
		if (rc == 0)
			return;
		poll(NULL, 0, 20);
	} while (rc == -EBUSY && monotonic_ns() < deadline);
	rig_log("%s: %s", socket, err);
}

void
rig_start(void)
{
	sigset_t all, before;
	unsigned int i;

	rig_options.own_dir = rig_options.dir[0] == '\0';
	if (rig_options.own_dir) {
		snprintf(rig_options.dir, sizeof(rig_options.dir), "/tmp/hyperpoll-rig-XXXXXX");
		if (mkdtemp(rig_options.dir) == NULL)
			rig_log("%s: %s", rig_options.dir, strerror(errno));
	}
	wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	pthread_mutex_lock(&rig_lock);
	for (i = 0; i < rig_options.n_sockets; i++)
		slot_start(&rig_slots[i], rig_options.sockets[i]);
	pthread_mutex_unlock(&rig_lock);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&thread, NULL, rig_run, NULL) == 0) {
		pthread_setname_np(thread, "rig");
		pthread_detach(thread);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void
rig_stop(void)
{
	unsigned int i;

	pthread_mutex_lock(&rig_lock);
	stopping = true;
	for (i = 0; i < rig_options.n_sockets; i++) {
		struct rig_device *device = rig_slots[i].device;

		if (device != NULL && !device->foreign) {
			rig_slots[i].device = NULL;
			rig_disconnect(device);
		}
	}
	if (rig_options.own_dir)
		rig_remove_all(rig_options.dir);
	if (wake_fd >= 0)
		rig_poke(wake_fd);
	pthread_mutex_unlock(&rig_lock);
}
