/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Preloaded into a program under test: plays the peer at the worst moment, or a system that lacks
 * something. HOSTILE names what, as a list of words:
 *   full      every eventfd received from the peer is filled and made blocking right before each
 *             attempt to signal it, as the peer may do at any time
 *   pipe      eventfds given to the peer as doorbells are the ends of full pipes instead
 *   noaio     asynchronous I/O is not to be had
 *   immortal  no child ends by a signal, as when it is in the kernel's hands
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FDS		     4096
#define VFIO_USER_GET_IO_FDS 6

static bool received[FDS]; /* eventfds that the peer holds too */

static bool
asked_for(const char *word)
{
	const char *list = getenv("HOSTILE");

	return list != NULL && strstr(list, word) != NULL;
}

static void *
next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

static bool
is_eventfd(int fd)
{
	char link[64], target[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	return strcmp(target, "anon_inode:[eventfd]") == 0;
}

/* What the peer can do between any two instructions of ours. */
static void
fill(int fd)
{
	const uint64_t full = UINT64_MAX - 1;
	ssize_t (*real)(int, const void *, size_t) = next("write");

	if (fd < 0 || fd >= FDS || !received[fd] || !asked_for("full"))
		return;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	/* Down to zero first: what is in it already does not fit on top. */
	if (read(fd, &(uint64_t){0}, sizeof(uint64_t)) < 0)
		errno = 0;
	if (real(fd, &full, sizeof(full)) != sizeof(full))
		abort();
	fcntl(fd, F_SETFL, 0);
}

ssize_t
recvmsg(int sock, struct msghdr *msg, int flags)
{
	ssize_t (*real)(int, struct msghdr *, int) = next("recvmsg");
	ssize_t got = real(sock, msg, flags);

	if (got < 0 || msg->msg_controllen == 0)
		return got;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (fd < FDS)
				received[fd] = is_eventfd(fd);
		}
	}
	return got;
}

ssize_t
write(int fd, const void *buf, size_t len)
{
	ssize_t (*real)(int, const void *, size_t) = next("write");

	fill(fd);
	return real(fd, buf, len);
}

long
syscall(long number, ...)
{
	long (*real)(long, ...) = next("syscall");
	long a[6];
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_io_setup && asked_for("noaio")) {
		errno = EAGAIN;
		return -1;
	}
	if (number == SYS_io_submit) {
		struct iocb **list = (struct iocb **)a[2];

		for (long i = 0; i < a[1]; i++)
			fill((int)list[i]->aio_resfd);
	}
	return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* A pipe that takes no more, in the place of an eventfd. */
static int
full_pipe(void)
{
	static int ends[2] = {-1, -1};
	char block[4096] = {0};
	ssize_t (*real)(int, const void *, size_t) = next("write");

	if (ends[0] < 0) {
		if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
			abort();
		while (real(ends[1], block, sizeof(block)) > 0)
			;
		fcntl(ends[1], F_SETFL, 0);
	}
	return ends[1];
}

ssize_t
sendmsg(int sock, const struct msghdr *msg, int flags)
{
	ssize_t (*real)(int, const struct msghdr *, int) = next("sendmsg");
	struct cmsghdr *c = msg->msg_controllen > 0 ? CMSG_FIRSTHDR((struct msghdr *)msg) : NULL;
	const uint16_t *header = msg->msg_iovlen > 0 ? msg->msg_iov[0].iov_base : NULL;

	if (asked_for("pipe") && c != NULL && header[1] == VFIO_USER_GET_IO_FDS)
		for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int fd = full_pipe();

			memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(fd));
		}
	return real(sock, msg, flags);
}

int
kill(pid_t pid, int number)
{
	int (*real)(pid_t, int) = next("kill");

	return asked_for("immortal") ? 0 : real(pid, number);
}
