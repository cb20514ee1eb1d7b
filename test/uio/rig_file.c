/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Descriptors of the process that stand for /dev/uioN, for a "ring" file or for the kernel's
 * events. /dev/uioN is one end of a socket pair: pollable, and closing the other end hangs it up as
 * the kernel does when the device goes (spec/linux-uio-vmbus.md §7).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "test/uio/rig.h"

static LIST_HEAD(, rig_file) files = LIST_HEAD_INITIALIZER(files);

/* The descriptor stands for @p device from now on. Lock held. @return fd, or -1 when it cannot */
static int
file_add(int fd, int peer, enum rig_kind kind, struct rig_device *device)
{
	struct rig_file *file = fd < RIG_MAX_FDS ? calloc(1, sizeof(*file)) : NULL;

	if (file == NULL) {
		syscall(SYS_close, fd);
		if (peer >= 0)
			syscall(SYS_close, peer);
		errno = ENOMEM;
		return -1;
	}
	file->kind = kind;
	file->device = device;
	file->peer = peer;
	file->lock_fd = file->foreign_fd = -1;
	LIST_INSERT_HEAD(&files, file, next);
	atomic_store_explicit(&rig_files[fd], file, memory_order_release);
	return fd;
}

/* Socket pair whose first end takes the flags of an open(). */
static int
file_pair(int type, int flags, int pair[2])
{
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
		return -1;
	if (!(flags & O_NONBLOCK))
		fcntl(pair[0], F_SETFL, 0);
	if (!(flags & O_CLOEXEC))
		fcntl(pair[0], F_SETFD, 0);
	return 0;
}

int
rig_uio_open(int number, int flags)
{
	struct rig_device *device;
	int pair[2], fd = -1;
	char path[RIG_PATH];

	pthread_mutex_lock(&rig_lock);
	device = rig_device_by_number(number);
	snprintf(path, sizeof(path), "%.255s/dev/uio%d", rig_options.dir, number);
	if (device == NULL) {
		errno = ENOENT;
	} else if (syscall(SYS_faccessat, AT_FDCWD, path, R_OK | W_OK) != 0) {
		/* errno says why */
	} else if (file_pair(SOCK_STREAM, flags, pair) == 0) {
		fd = file_add(pair[0], pair[1], RIG_FILE_UIO, device);
		if (fd >= 0) {
			device->opens++;
			rig_files[fd]->seen = device->events;
			if (!device->open)
				rig_device_open(device);
		}
	}
	pthread_mutex_unlock(&rig_lock);
	return fd;
}

/* The device and channel that a path of the tree names. */
static struct rig_device *
find_channel(const char *path, unsigned int *k)
{
	unsigned int i, relid;
	const char *at;

	for (i = 0; i < rig_options.n_sockets; i++) {
		struct rig_device *device = rig_slots[i].device;

		at = device == NULL ? NULL : strstr(path, device->slot->name);
		if (at == NULL ||
			sscanf(at + strlen(device->slot->name), "/channels/%u/ring", &relid) != 1)
			continue;
		/* The owner's list of channels is not here: the number stands for itself. */
		*k = relid;
		if (device->foreign)
			return device;
		for (*k = 0; *k < VMBUS_DEVICE_MAX_CHANNELS; (*k)++)
			if (device->channel[*k].listed && device->channel[*k].relid == relid)
				return device;
	}
	return NULL;
}

int
rig_ring_open(const char *path, int flags)
{
	struct rig_device *device;
	unsigned int k;
	int fd;

	pthread_mutex_lock(&rig_lock);
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, 0);
	device = fd < 0 ? NULL : find_channel(path, &k);
	if (device != NULL) {
		fd = file_add(fd, -1, RIG_FILE_RING, device);
		if (fd >= 0) {
			rig_files[fd]->channel = k;
			device->ring_files++;
		}
	}
	pthread_mutex_unlock(&rig_lock);
	return fd;
}

int
rig_uevent_socket(int type)
{
	int pair[2], fd = -1;
	int flags = (type & SOCK_NONBLOCK ? O_NONBLOCK : 0) | (type & SOCK_CLOEXEC ? O_CLOEXEC : 0);

	pthread_mutex_lock(&rig_lock);
	if (file_pair(SOCK_DGRAM, flags, pair) == 0)
		fd = file_add(pair[0], pair[1], RIG_FILE_UEVENT, NULL);
	pthread_mutex_unlock(&rig_lock);
	return fd;
}

void
rig_uevent_send(const char *text, size_t len)
{
	struct rig_file *file;

	LIST_FOREACH(file, &files, next)
	if (file->kind == RIG_FILE_UEVENT)
		send(file->peer, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void
rig_files_wake(struct rig_device *device)
{
	struct rig_file *file;

	LIST_FOREACH(file, &files, next)
	if (file->device == device && file->peer >= 0)
		send(file->peer, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void
rig_files_hang_up(struct rig_device *device)
{
	struct rig_file *file;

	LIST_FOREACH(file, &files, next)
	if (file->device == device && file->peer >= 0) {
		syscall(SYS_close, file->peer);
		file->peer = -1;
	}
}

/* ---- calls on /dev/uioN ---- */

/* One try. @return 1 the count is in *count, 0 nothing new, or a negative errno */
static int
uio_try_read(int fd, int32_t *count)
{
	struct rig_file *file;
	char drain[64];
	int rc = 0;

	pthread_mutex_lock(&rig_lock);
	file = rig_file_of(fd);
	if (file == NULL || file->kind != RIG_FILE_UIO) {
		rc = -EBADF;
	} else if (file->device->gone) {
		rc = -EIO;
	} else {
		while (recv(fd, drain, sizeof(drain), MSG_DONTWAIT) > 0)
			;
		if (file->seen != file->device->events) {
			*count = file->seen = file->device->events;
			rc = 1;
		}
	}
	pthread_mutex_unlock(&rig_lock);
	return rc;
}

ssize_t
rig_uio_read(int fd, void *buf, size_t len)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	int32_t count;
	int rc;

	if (len != sizeof(count)) {
		errno = EINVAL;
		return -1;
	}
	while ((rc = uio_try_read(fd, &count)) == 0) {
		if (fcntl(fd, F_GETFL) & O_NONBLOCK) {
			errno = EAGAIN;
			return -1;
		}
		if (poll(&wait, 1, -1) < 0)
			return -1;
	}
	if (rc < 0) {
		errno = -rc;
		return -1;
	}
	memcpy(buf, &count, sizeof(count));
	return sizeof(count);
}

ssize_t
rig_uio_write(int fd, const void *buf, size_t len)
{
	struct rig_file *file;
	ssize_t rc = -1;
	int32_t value;

	if (len != sizeof(value)) {
		errno = EINVAL;
		return -1;
	}
	memcpy(&value, buf, sizeof(value));
	pthread_mutex_lock(&rig_lock);
	file = rig_file_of(fd);
	if (file == NULL || file->device->gone || file->device->foreign) {
		errno = EIO;
	} else {
		rig_device_control(file->device, value != 0);
		rc = sizeof(value);
	}
	pthread_mutex_unlock(&rig_lock);
	return rc;
}

int
rig_file_flock(int fd, int operation)
{
	struct rig_file *file;
	char path[RIG_PATH];
	int lock_fd = -1;

	pthread_mutex_lock(&rig_lock);
	file = rig_file_of(fd);
	if (file != NULL && file->lock_fd < 0) {
		snprintf(path, sizeof(path), "%.255s/dev/uio%d", rig_options.dir,
			file->device->number);
		file->lock_fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	}
	if (file != NULL)
		lock_fd = file->lock_fd;
	pthread_mutex_unlock(&rig_lock);
	return (int)syscall(SYS_flock, lock_fd, operation);
}

int
rig_file_close(int fd)
{
	struct rig_device *device;
	struct rig_file *file;
	int rc;

	pthread_mutex_lock(&rig_lock);
	file = rig_file_of(fd);
	if (file != NULL) {
		atomic_store_explicit(&rig_files[fd], NULL, memory_order_release);
		LIST_REMOVE(file, next);
		if (file->peer >= 0)
			syscall(SYS_close, file->peer);
		if (file->lock_fd >= 0)
			syscall(SYS_close, file->lock_fd);
		rig_close_fd(&file->foreign_fd);
		device = file->device;
		if (file->kind == RIG_FILE_UIO)
			device->opens--;
		else if (file->kind == RIG_FILE_RING)
			device->ring_files--;
		free(file);
		if (device != NULL)
			rig_device_released(device);
	}
	rc = (int)syscall(SYS_close, fd);
	pthread_mutex_unlock(&rig_lock);
	return rc;
}

/* The same memory, of the process that has the connection. Its descriptor is the file's. */
static int
foreign_backing(struct rig_file *file, size_t len, off_t *offset)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	bool uio = file->kind == RIG_FILE_UIO;
	uint64_t size, start;

	rig_close_fd(&file->foreign_fd);
	file->foreign_fd = rig_foreign_memory(file->device,
		uio ? (unsigned int)((uint64_t)*offset / page) : RIG_MAPS + file->channel, &start,
		&size);
	if (file->foreign_fd >= 0 && (uio ? 0 : (uint64_t)*offset) + len > size) {
		errno = EINVAL;
		return -1;
	}
	*offset = (off_t)start + (uio ? 0 : *offset);
	return file->foreign_fd;
}

int
rig_file_backing(struct rig_file *file, size_t len, off_t *offset)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct rig_device *device = file->device;
	struct rig_channel *ch = &device->channel[device->foreign ? 0 : file->channel];
	uint64_t map = (uint64_t)*offset / page;

	if (device->foreign)
		return foreign_backing(file, len, offset);
	if (device->gone) {
		errno = ENODEV;
		return -1;
	}
	if (file->kind == RIG_FILE_UIO) {
		/* The offset names the map; only a prefix of it can be mapped (§5). */
		if (map >= RIG_MAPS ||
			((len + page - 1) & ~(page - 1)) > device->region_size[map]) {
			errno = EINVAL;
			return -1;
		}
		*offset = (off_t)device->region_offset[map];
		return device->region_fd[map];
	}
	if (!device->open || ch->fd < 0) {
		errno = ENODEV;
		return -1;
	}
	if ((uint64_t)*offset + len > 2 * (uint64_t)ch->ring_bytes) {
		errno = EINVAL;
		return -1;
	}
	*offset += (off_t)ch->offset;
	return ch->fd;
}
