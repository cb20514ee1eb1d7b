/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/vfio_user/client.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/vfio_user/client_priv.h"
#include "lib/vfio_user/sockets.h"
#include "lib/vfio_user/version.h"
#include "lib/vmbus/clock.h"

/* Limits of §5, milliseconds. */
#define CONNECT_TIMEOUT 1000
#define VERSION_TIMEOUT 5000
/* How often it is asked whether a wait has been given up. */
#define LOOK_MS 20

int
vfu_client_fail(struct vfu_client *client, int err, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(client->error, sizeof(client->error), format, ap);
	va_end(ap);
	return err;
}

int
vfu_client_end(struct vfu_client *client, int err, const char *why)
{
	int none = 0;

	atomic_compare_exchange_strong(&client->why, &none, err);
	/* Shut down, not closed: the number must not be reused under the caller's event loop. */
	shutdown(client->fd, SHUT_RDWR);
	client->ended = true;
	return vfu_client_fail(client, err, "%s; the connection is closed", why);
}

/* Wait for @p events until @p deadline; never a moment longer, even for what comes in crumbs. */
static int
wait_for(struct vfu_client *client, short events, int64_t deadline)
{
	for (;;) {
		struct pollfd pfd = {.fd = client->fd, .events = events};
		int64_t left = deadline - monotonic_ms();
		int n;

		if (client->given_up != NULL && client->given_up())
			return vfu_client_end(client, -ECANCELED, "the wait was given up");
		if (left <= 0)
			return vfu_client_end(
				client, -ETIMEDOUT, "the server did not answer in time");
		if (client->given_up != NULL && left > LOOK_MS)
			left = LOOK_MS;
		n = poll(&pfd, 1, left < INT_MAX ? (int)left : INT_MAX);
		if (n < 0 && errno == EINTR)
			continue;
		/* Refused, as with a limit of 0 open files: who is told to try finds out. */
		if (n < 0)
			poll(NULL, 0, 1);
		if (n != 0)
			return 0;
	}
}

static int
lost(struct vfu_client *client, ssize_t ret)
{
	if (ret == -EPROTO)
		return vfu_client_end(client, -EPROTO, "the server sent unexpected descriptors");
	if (ret == 0 || ret == -ECONNRESET)
		return vfu_client_end(
			client, -ECONNRESET, "the server closed or dropped the connection");
	return vfu_client_end(client, (int)ret, "the socket failed");
}

/* send_lock held: nothing may come between the pieces of a message. */
static int
send_pieces(struct vfu_client *client, struct iovec *iov, unsigned int n_iov, const int *fds,
	unsigned int n_fds, int64_t deadline)
{
	while (n_iov > 0) {
		ssize_t sent = vfu_msg_send(client->fd, iov, n_iov, fds, n_fds);

		if (sent == -EAGAIN) {
			int ret = wait_for(client, POLLOUT, deadline);

			if (ret < 0)
				return ret;
			continue;
		}
		if (sent == -EBADF || sent == -ETOOMANYREFS || sent == -E2BIG)
			/* Nothing has left: the connection is fine. */
			return vfu_client_fail(client, (int)sent,
				"a descriptor cannot be passed to the server: %s",
				strerror((int)-sent));
		if (sent <= 0)
			return lost(client, sent);
		n_fds = 0; /* they left with the first byte */
		while (n_iov > 0 && (size_t)sent >= iov->iov_len) {
			sent -= (ssize_t)iov->iov_len;
			iov++;
			n_iov--;
		}
		if (n_iov > 0) {
			iov->iov_base = (uint8_t *)iov->iov_base + sent;
			iov->iov_len -= (size_t)sent;
		}
	}
	return 0;
}

static int
send_message(struct vfu_client *client, struct iovec *iov, unsigned int n_iov, const int *fds,
	unsigned int n_fds, int64_t deadline)
{
	int ret;

	pthread_mutex_lock(&client->send_lock);
	ret = send_pieces(client, iov, n_iov, fds, n_fds, deadline);
	vfu_client_send_unlock(client);
	return ret;
}

/* Exactly @p len bytes; a header may carry descriptors, a body may not. */
static int
receive(struct vfu_client *client, void *data, size_t len, bool header, int64_t deadline)
{
	size_t have = 0;

	while (have < len) {
		uint8_t *at = (uint8_t *)data + have;
		ssize_t got = header ? vfu_msg_recv_header(client->fd, at, len - have, &client->fds,
					       VFIO_USER_CLIENT_MAX_FDS)
				     : vfu_msg_recv_body(client->fd, at, len - have);

		if (got == -EAGAIN) {
			int ret = wait_for(client, POLLIN, deadline);

			if (ret < 0)
				return ret;
			continue;
		}
		if (got <= 0)
			return lost(client, got);
		have += (size_t)got;
	}
	return 0;
}

/* A command of the server: none is needed, DMA_READ and DMA_WRITE are answered with ENOTSUP (§2).
 */
static int
answer_command(struct vfu_client *client, const struct vfio_user_header *command, int64_t deadline)
{
	struct vfio_user_header reply = {.msg_id = command->msg_id,
		.command = command->command,
		.size = sizeof(reply),
		.flags = VFIO_USER_TYPE_REPLY | VFIO_USER_ERROR,
		.error = ENOTSUP};
	struct iovec iov = {&reply, sizeof(reply)};
	int ret;

	if ((command->command != VFIO_USER_DMA_READ && command->command != VFIO_USER_DMA_WRITE) ||
		command->size < sizeof(*command) || command->size > VFIO_USER_MAX_REQUEST)
		return vfu_client_end(client, -EPROTO, "the server sent an unknown command");
	ret = receive(client, client->rx, command->size - sizeof(*command), false, deadline);
	vfu_fds_close(&client->fds);
	if (ret < 0 || (command->flags & VFIO_USER_NO_REPLY))
		return ret;
	return send_message(client, &iov, 1, NULL, 0, deadline);
}

static int
receive_reply(struct vfu_client *client, const struct vfio_user_header *request,
	struct vfu_call *call, int64_t deadline)
{
	struct vfio_user_header h;
	int ret;

	for (;;) {
		/* Also for a server that never stops to send something else. */
		if (monotonic_ms() > deadline)
			return vfu_client_end(
				client, -ETIMEDOUT, "the server did not answer in time");
		vfu_fds_close(&client->fds);
		ret = receive(client, client->rx, client->skip, false, deadline);
		if (ret < 0)
			return ret;
		client->skip = 0;
		ret = receive(client, &h, sizeof(h), true, deadline);
		if (ret < 0)
			return ret;
		if (vfu_client_is_post_reply(client, &h)) {
			client->skip = h.size - sizeof(h);
			continue;
		}
		if ((h.flags & VFIO_USER_TYPE_MASK) != VFIO_USER_TYPE_COMMAND)
			break;
		ret = answer_command(client, &h, deadline);
		if (ret < 0)
			return ret;
	}
	if ((h.flags & VFIO_USER_TYPE_MASK) != VFIO_USER_TYPE_REPLY ||
		h.msg_id != request->msg_id || h.command != request->command)
		return vfu_client_end(client, -EPROTO,
			"the server answered something else: does it serve vfio-user?");
	if (h.size < sizeof(h) || h.size - sizeof(h) > call->reply_max)
		return vfu_client_end(client, -EPROTO, "the server's reply has a bad size");
	call->reply_len = h.size - sizeof(h);
	ret = receive(client, client->rx, call->reply_len, false, deadline);
	if (ret < 0)
		return ret;
	if (h.flags & VFIO_USER_ERROR) {
		int err = h.error == 0 || h.error > 4095 ? EINVAL : (int)h.error;

		return vfu_client_fail(client, -err, "the server refused command %u: %s",
			request->command, strerror(err));
	}
	if (call->reply_len < call->reply_min)
		return vfu_client_end(client, -EPROTO, "the server's reply is too short");
	return 0;
}

static int64_t
call_deadline(const struct vfu_client *client, int limit)
{
	if (client->timeout_ms > 0)
		return monotonic_ms() + client->timeout_ms;
	return client->deadline != 0 ? client->deadline : monotonic_ms() + limit;
}

static uint16_t
next_id(struct vfu_client *client)
{
	if (++client->msg_id == VFU_POST_ID)
		client->msg_id = 0;
	return client->msg_id;
}

int
vfu_client_call(struct vfu_client *client, struct vfu_call *call)
{
	struct vfio_user_header h = {.msg_id = next_id(client),
		.command = call->command,
		.size = (uint32_t)(sizeof(h) + call->fixed_len + call->data_len)};
	struct iovec iov[3] = {{&h, sizeof(h)}, {(void *)call->fixed, call->fixed_len},
		{(void *)call->data, call->data_len}};
	int64_t deadline = call_deadline(client, call->timeout);
	int ret;

	if (client->ended)
		return vfu_client_fail(client, -ENOTCONN, "the connection to the server is closed");
	if (call->n_fds > client->max_fds)
		return vfu_client_fail(client, -ENOTSUP, "the server takes %u descriptors at once",
			client->max_fds);
	ret = send_message(client, iov,
		call->data_len > 0    ? 3
		: call->fixed_len > 0 ? 2
				      : 1,
		call->fds, call->n_fds, deadline);
	if (ret == 0)
		ret = receive_reply(client, &h, call, deadline);
	if (ret < 0 || !call->want_fds)
		vfu_fds_close(&client->fds);
	return ret;
}

/* The first message, §3. */
static int
negotiate(struct vfu_client *client)
{
	const struct vfio_user_version ours = {VFIO_USER_MAJOR, VFIO_USER_MINOR};
	struct vfio_user_version theirs;
	struct vfu_caps caps;
	char json[256];
	struct vfu_call call = {.command = VFIO_USER_VERSION,
		.timeout = VERSION_TIMEOUT,
		.fixed = &ours,
		.fixed_len = sizeof(ours),
		.data = json,
		.reply_min = sizeof(theirs),
		.reply_max = sizeof(theirs) + VFIO_USER_MAX_JSON};
	int ret;

	call.data_len = vfu_caps_format(json, sizeof(json), VFIO_USER_CLIENT_MAX_FDS, VFU_CAP_ALL);
	ret = vfu_client_call(client, &call);
	if (ret < 0)
		return ret;
	memcpy(&theirs, client->rx, sizeof(theirs));
	/* A larger minor than asked for would be odd, but means nothing to us. */
	if (theirs.major != VFIO_USER_MAJOR)
		return vfu_client_end(client, -EPROTO, "the server speaks another version");
	ret = vfu_caps_parse(
		(char *)client->rx + sizeof(theirs), call.reply_len - sizeof(theirs), &caps);
	if (ret < 0)
		return vfu_client_end(client, ret == -EINVAL ? -EPROTO : ret,
			"the server's capabilities make no sense");
	client->max_fds = caps.max_msg_fds < VFIO_USER_CLIENT_MAX_FDS ? caps.max_msg_fds
								      : VFIO_USER_CLIENT_MAX_FDS;
	client->max_xfer = caps.max_data_xfer < VFIO_USER_MAX_DATA_XFER
				   ? (uint32_t)caps.max_data_xfer
				   : VFIO_USER_MAX_DATA_XFER;
	return 0;
}

static int
attach_until(int fd, int64_t until, bool (*given_up)(void), struct vfu_client **client,
	char *errbuf, size_t errlen)
{
	struct vfu_client *c = calloc(1, sizeof(*c));
	int ret;

	*client = NULL;
	if (c == NULL) {
		close(fd);
		snprintf(errbuf, errlen, "no memory for a vfio-user client");
		return -ENOMEM;
	}
	c->fd = fd;
	c->given_up = given_up;
	pthread_mutex_init(&c->send_lock, NULL);
	snprintf(c->error, sizeof(c->error), "no error");
	/* A server that does not even speak is not worth the whole operation. */
	if (until != 0 && until < monotonic_ms() + VERSION_TIMEOUT)
		c->deadline = until;
	ret = negotiate(c);
	c->deadline = until;
	if (ret < 0) {
		snprintf(errbuf, errlen, "%s", c->error);
		vfu_client_close(c);
		return ret;
	}
	*client = c;
	return 0;
}

int
vfu_client_attach(int fd, struct vfu_client **client, char *errbuf, size_t errlen)
{
	return attach_until(fd, 0, NULL, client, errbuf, errlen);
}

int
vfu_client_connect(const char *path, struct vfu_client **client, char *errbuf, size_t errlen)
{
	return vfu_client_connect_until(path, 0, NULL, client, errbuf, errlen);
}

int
vfu_client_connect_until(const char *path, int64_t until, bool (*given_up)(void),
	struct vfu_client **client, char *errbuf, size_t errlen)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int64_t deadline = monotonic_ms() + CONNECT_TIMEOUT;
	char why[VFU_ERRLEN];
	int fd, ret;

	*client = NULL;
	if (strlen(path) >= sizeof(addr.sun_path)) {
		snprintf(errbuf, errlen, "socket path longer than %zu bytes: %.80s...",
			sizeof(addr.sun_path) - 1, path);
		return -ENAMETOOLONG;
	}
	memcpy(addr.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		ret = -errno;
		snprintf(errbuf, errlen, "cannot make a socket: %s", strerror(-ret));
		return ret;
	}
	/* EAGAIN: the backlog is full, and nothing tells when it is not any more. */
	while (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		ret = -errno;
		if (ret == -EINTR)
			continue;
		if (ret == -EAGAIN && monotonic_ms() < deadline &&
			(given_up == NULL || !given_up())) {
			poll(NULL, 0, 10);
			continue;
		}
		if (ret == -EAGAIN)
			ret = -ETIMEDOUT;
		snprintf(errbuf, errlen, "cannot connect to %s: %s%s", path, strerror(-ret),
			ret == -EACCES ? ": run as the user who serves it, or as root" : "");
		close(fd);
		return ret;
	}
	if (!vfu_server_allowed(fd, path)) {
		snprintf(errbuf, errlen,
			"%s is served by another user, neither ours nor root, in a folder that is not "
			"his",
			path);
		close(fd);
		return -EACCES;
	}
	ret = attach_until(fd, until, given_up, client, why, sizeof(why));
	if (ret < 0)
		snprintf(errbuf, errlen, "%s: %s", path, why);
	return ret;
}

void
vfu_client_close(struct vfu_client *client)
{
	if (client == NULL)
		return;
	vfu_fds_close(&client->fds);
	close(client->fd);
	pthread_mutex_destroy(&client->send_lock);
	free(client);
}

int
vfu_client_fd(const struct vfu_client *client)
{
	return client->fd;
}

/* Take in what a server answers to posts. @return 0 nothing is left, > 0 something else is there */
static int
alive_look(struct vfu_client *client)
{
	struct vfio_user_header h;
	ssize_t got;

	for (;;) {
		if (client->skip > 0)
			got = recv(client->fd, client->rx, client->skip, MSG_DONTWAIT);
		else
			got = recv(client->fd, &h, sizeof(h), MSG_PEEK | MSG_DONTWAIT);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
		if (got == 0)
			return -ECONNRESET;
		if (client->skip > 0) {
			client->skip -= (uint32_t)got;
		} else if (got == (ssize_t)sizeof(h) && vfu_client_is_post_reply(client, &h)) {
			if (recv(client->fd, &h, sizeof(h), MSG_DONTWAIT) != sizeof(h))
				return -ECONNRESET;
			client->skip = h.size - sizeof(h);
		} else {
			return 1;
		}
	}
}

int
vfu_client_alive(struct vfu_client *client)
{
	int ret;

	if (client->ended)
		return -ENOTCONN;
	ret = alive_look(client);
	if (ret == 0)
		return 0;
	if (ret > 0)
		return vfu_client_end(client, -EPROTO, "the server sent something unasked");
	vfu_client_end(client, -ECONNRESET, "the server closed or dropped the connection");
	return -ENOTCONN;
}

int
vfu_client_why(const struct vfu_client *client)
{
	return client->why;
}

const char *
vfu_client_error(const struct vfu_client *client)
{
	return client->error;
}

unsigned int
vfu_client_max_fds(const struct vfu_client *client)
{
	return client->max_fds;
}

void
vfu_client_set_timeout(struct vfu_client *client, int ms)
{
	client->timeout_ms = ms;
}

void
vfu_client_set_deadline(struct vfu_client *client, int64_t until)
{
	client->deadline = until;
}
