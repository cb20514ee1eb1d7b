/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * One step of sending or receiving a message with descriptors, shared by client and server;
 * internal to lib/vfio_user (spec/vmbus-over-vfio-user.md §1).
 *
 * Owns nothing, keeps nothing, never waits: the sockets are non-blocking. Any thread.
 */
#ifndef HP_VFIO_USER_MSG_H
#define HP_VFIO_USER_MSG_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/** Descriptors received and not yet taken over. */
struct vfu_fds {
	unsigned int n;
	int fd[64]; /* VFIO_USER_CLIENT_MAX_FDS; the server uses 16 */
};

/**
 * One sendmsg(). The descriptors leave with the first byte, so give them only until something went
 * out.
 * @return bytes sent; -EAGAIN; -ECONNRESET; other errno
 */
ssize_t vfu_msg_send(
	int sock, const struct iovec *iov, unsigned int n_iov, const int *fds, unsigned int n_fds);

/**
 * Receive up to @p len bytes of a header. Descriptors are appended to @p fds even on failure: the
 * caller closes them.
 * @param max_fds most descriptors of the whole message
 * @return bytes; 0 end of file; -EAGAIN; -EPROTO too many descriptors; -ECONNRESET; ...
 */
ssize_t vfu_msg_recv_header(
	int sock, void *data, size_t len, struct vfu_fds *fds, unsigned int max_fds);
/** The same for what follows the header, where descriptors are a protocol error. */
ssize_t vfu_msg_recv_body(int sock, void *data, size_t len);

/** Close what is left (entries < 0 were taken over) and forget it. */
void vfu_fds_close(struct vfu_fds *fds);

#endif
