/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/vfio_user/signal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* What the context is charged with in fs.aio-max-nr; the kernel makes room for 127 or more. */
#define EVENTS 32u
/*
 * Each request is over when io_submit() returns, so room is short only for want of collecting, or
 * because other threads took it: somebody got on each time. The limit is for a kernel without
 * memory, which answers the same.
 */
#define ATTEMPTS 1000u

int
vfu_signaller_init(struct vfu_signaller *signaller)
{
	aio_context_t context = 0;
	int fd, err;

	*signaller = (struct vfu_signaller){.null_fd = -1};
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (syscall(SYS_io_setup, EVENTS, &context) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	signaller->context = context;
	signaller->null_fd = fd;
	return 0;
}

void
vfu_signaller_fini(struct vfu_signaller *signaller)
{
	if (signaller->context == 0)
		return;
	syscall(SYS_io_destroy, (aio_context_t)signaller->context);
	close(signaller->null_fd);
	*signaller = (struct vfu_signaller){.null_fd = -1};
}

/* Make room; the results say nothing. */
static void
collect(const struct vfu_signaller *signaller)
{
	struct timespec at_once = {0};
	struct io_event events[EVENTS];

	while (syscall(SYS_io_getevents, (aio_context_t)signaller->context, 0L, (long)EVENTS,
		       events, &at_once) == (long)EVENTS)
		;
}

int
vfu_signal(const struct vfu_signaller *signaller, int fd)
{
	struct iocb nothing = {
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = (uint32_t)signaller->null_fd,
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = (uint32_t)fd,
	};
	struct iocb *list[] = {&nothing};

	if (signaller->context == 0)
		return -ENOTCONN;
	if (fd < 0)
		return -EBADF;
	for (unsigned int i = 0; i < ATTEMPTS; i++) {
		if (syscall(SYS_io_submit, (aio_context_t)signaller->context, 1L, list) == 1)
			return 0;
		if (errno != EAGAIN)
			return -errno;
		collect(signaller);
	}
	return -EAGAIN;
}

int
vfu_eventfd_drain(int fd, uint64_t *value)
{
	uint64_t count = 0;
	struct iovec iov = {&count, sizeof(count)};
	ssize_t n;

	do
		n = preadv2(fd, &iov, 1, -1, RWF_NOWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EOPNOTSUPP || errno == ENOSYS ? -ENOTSUP : -errno;
	if (n != sizeof(count))
		return -EINVAL;
	if (value != NULL)
		*value = count;
	return 0;
}

bool
vfu_fd_is_eventfd(int fd)
{
	static const char want[] = "anon_inode:[eventfd]";
	char link[32], target[sizeof(want)];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, target, sizeof(target));
	return n == (ssize_t)sizeof(want) - 1 && memcmp(target, want, sizeof(want) - 1) == 0;
}
