/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/vfio_user/msg.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/vfio_user/vfio_user.h"

static_assert(sizeof(((struct vfu_fds *)0)->fd) / sizeof(int) == VFIO_USER_CLIENT_MAX_FDS,
	"the control buffers are made for as many");

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(VFIO_USER_CLIENT_MAX_FDS * sizeof(int))];
};

/* A reset and a broken pipe both mean that the peer is gone (§1). */
static ssize_t
socket_error(void)
{
	if (errno == EPIPE)
		return -ECONNRESET;
	return errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

ssize_t
vfu_msg_send(
	int sock, const struct iovec *iov, unsigned int n_iov, const int *fds, unsigned int n_fds)
{
	union control control;
	struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = n_iov};
	ssize_t sent;

	if (n_fds > VFIO_USER_CLIENT_MAX_FDS)
		return -E2BIG;
	if (n_fds > 0) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));

		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, n_fds * sizeof(int));
	}
	do
		sent = sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? socket_error() : sent;
}

/* Append the descriptors of a received message; too many are closed here. */
static int
take_fds(struct msghdr *msg, struct vfu_fds *fds, unsigned int max_fds)
{
	struct cmsghdr *cmsg;
	int ret = 0;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg != NULL; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(fd));
			if (fds->n < max_fds) {
				fds->fd[fds->n++] = fd;
			} else {
				close(fd);
				ret = -EPROTO;
			}
		}
	}
	/* Not an equality: MSG_CMSG_CLOEXEC comes back in msg_flags. */
	return msg->msg_flags & MSG_CTRUNC ? -EPROTO : ret;
}

ssize_t
vfu_msg_recv_header(int sock, void *data, size_t len, struct vfu_fds *fds, unsigned int max_fds)
{
	union control control;
	struct iovec iov = {data, len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t got;
	int ret;

	if (max_fds > VFIO_USER_CLIENT_MAX_FDS)
		max_fds = VFIO_USER_CLIENT_MAX_FDS;
	do {
		msg.msg_control = control.bytes;
		/* LEN, not SPACE: the padding of an odd number would let one more through. */
		msg.msg_controllen = CMSG_LEN(max_fds * sizeof(int));
		got = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return socket_error();
	ret = take_fds(&msg, fds, max_fds);
	return ret < 0 ? ret : got;
}

ssize_t
vfu_msg_recv_body(int sock, void *data, size_t len)
{
	struct iovec iov = {data, len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t got;

	do
		got = recvmsg(sock, &msg, MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return socket_error();
	return msg.msg_flags & MSG_CTRUNC ? -EPROTO : got;
}

void
vfu_fds_close(struct vfu_fds *fds)
{
	for (unsigned int i = 0; i < fds->n; i++)
		if (fds->fd[i] >= 0)
			close(fds->fd[i]);
	fds->n = 0;
}
