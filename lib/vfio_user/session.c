/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/vfio_user/session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/vfio_user/server_priv.h"
#include "lib/vmbus/clock.h"

/* Commands and time of one call; the descriptor stays readable when there are more. */
#define BUDGET	  64
#define BUDGET_NS UINT64_C(200000)
#define HEADER	  sizeof(struct vfio_user_header)

__attribute__((format(printf, 3, 4))) static int
end(struct vfu_session *s, int err, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(s->error, sizeof(s->error), format, ap);
	va_end(ap);
	s->state = VFU_SESSION_OVER;
	s->end = err;
	return err;
}

static int
watch(struct vfu_session *s, int op, int fd, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.fd = fd};

	return epoll_ctl(s->epoll, op, fd, &ev) < 0 ? -errno : 0;
}

int
vfu_session_create(int fd, const struct vfu_device *device, struct vfu_session **session)
{
	const struct itimerspec deadline = {.it_value.tv_sec = VFU_SESSION_SECONDS};
	struct vfu_session *s = calloc(1, sizeof(*s));
	struct ucred cred;
	socklen_t len = sizeof(cred);
	int ret;

	*session = NULL;
	if (s == NULL) {
		close(fd);
		return -ENOMEM;
	}
	memset(s->irq, 0xff, sizeof(s->irq)); /* -1: none */
	s->sock = fd;
	s->device = device;
	s->wait = VFU_WAIT_VERSION;
	s->peer_pid = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 ? (int)cred.pid : 0;
	snprintf(s->error, sizeof(s->error), "no error");
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (s->epoll < 0 || s->timer < 0 || timerfd_settime(s->timer, 0, &deadline, NULL) < 0) {
		ret = -errno;
		vfu_session_close(s);
		return ret;
	}
	ret = watch(s, EPOLL_CTL_ADD, s->timer, EPOLLIN);
	if (ret == 0)
		ret = watch(s, EPOLL_CTL_ADD, s->sock, EPOLLIN);
	if (ret < 0) {
		vfu_session_close(s);
		return ret;
	}
	*session = s;
	return 0;
}

/* Forget the reply, and its descriptors if they are duplicates. */
static void
drop_output(struct vfu_session *s)
{
	struct vfu_output *out = &s->out;

	if (out->fds_are_ours)
		for (unsigned int i = 0; i < out->n_fds; i++)
			if (out->fds[i] >= 0)
				close(out->fds[i]);
	out->fds_are_ours = false;
	out->n_fds = 0;
	out->len = out->sent = 0;
}

void
vfu_session_close(struct vfu_session *s)
{
	if (s == NULL)
		return;
	if (s->server != NULL)
		vfu_server_session_gone(s->server, s);
	vfu_session_drop_irqs(s);
	drop_output(s);
	vfu_fds_close(&s->fds);
	if (s->timer >= 0)
		close(s->timer);
	if (s->epoll >= 0)
		close(s->epoll);
	close(s->sock);
	free(s);
}

void
vfu_session_refuse(struct vfu_session *s, int err)
{
	s->refuse = err;
}

/* The socket is full: the device's descriptors may be closed before it drains. */
static int
keep_fds(struct vfu_session *s)
{
	struct vfu_output *out = &s->out;
	unsigned int i;

	if (out->n_fds == 0 || out->fds_are_ours)
		return 0;
	for (i = 0; i < out->n_fds; i++) {
		int fd = fcntl(out->fds[i], F_DUPFD_CLOEXEC, 0);

		if (fd < 0) {
			int ret = -errno;

			while (i-- > 0)
				close(out->fds[i]);
			out->n_fds = 0;
			return ret;
		}
		out->fds[i] = fd;
	}
	out->fds_are_ours = true;
	return 0;
}

/* Wait for room in the socket, or for commands. */
static int
watch_output(struct vfu_session *s, bool output)
{
	int ret;

	if (s->output_watched == output)
		return 0;
	ret = watch(s, EPOLL_CTL_MOD, s->sock, output ? EPOLLOUT : EPOLLIN);
	if (ret < 0)
		return end(s, ret, "cannot watch the socket");
	s->output_watched = output;
	return 0;
}

/* @return 0: all has left; -EAGAIN: later; other errors end the session */
static int
flush(struct vfu_session *s)
{
	struct vfu_output *out = &s->out;

	while (out->sent < out->len) {
		struct iovec iov = {out->bytes + out->sent, out->len - out->sent};
		ssize_t n =
			vfu_msg_send(s->sock, &iov, 1, out->fds, out->sent == 0 ? out->n_fds : 0);

		if (n == -EAGAIN) {
			int ret = out->sent == 0 ? keep_fds(s) : 0;

			if (ret < 0)
				return end(s, ret, "cannot keep descriptors for a reply");
			/* Not EPOLLIN: nothing is read until the client has taken this. */
			ret = watch_output(s, true);
			return ret < 0 ? ret : -EAGAIN;
		}
		if (n <= 0)
			return end(s, n == 0 ? -EIO : (int)n, "cannot send a reply: %s",
				strerror(n == 0 ? EIO : (int)-n));
		out->sent += (size_t)n;
	}
	s->moved |= out->len > 0;
	drop_output(s);
	return watch_output(s, false);
}

static void
queue_reply(struct vfu_session *s, int result)
{
	struct vfio_user_header h = {.msg_id = s->header.msg_id,
		.command = s->header.command,
		.size = HEADER,
		.flags = VFIO_USER_TYPE_REPLY};

	if (s->header.flags & VFIO_USER_NO_REPLY) {
		drop_output(s);
		return;
	}
	if (result < 0) {
		drop_output(s);
		h.flags |= VFIO_USER_ERROR;
		h.error = (uint32_t)-result;
	} else {
		h.size += (uint32_t)result;
	}
	memcpy(s->out.bytes, &h, sizeof(h));
	s->out.len = h.size;
	s->out.sent = 0;
}

/* A whole header is there: framing errors end the session without a reply (§5). */
static int
check_header(struct vfu_session *s)
{
	const struct vfio_user_header *h = &s->header;

	if (h->size < HEADER || h->size > VFIO_USER_MAX_REQUEST)
		return end(s, -EPROTO, "message of %u bytes", h->size);
	if ((h->flags & VFIO_USER_TYPE_MASK) != VFIO_USER_TYPE_COMMAND)
		return end(s, -EPROTO, "message type %u where a command is due",
			h->flags & VFIO_USER_TYPE_MASK);
	if (s->state == VFU_SESSION_NEW && h->command != VFIO_USER_VERSION)
		return end(s, -EPROTO, "first command is %u, not VERSION", h->command);
	if (s->state == VFU_SESSION_OPEN && h->command == VFIO_USER_VERSION)
		return end(s, -EPROTO, "second VERSION");
	return 0;
}

/* @return 1: a whole message; 0: not yet; negative: over */
static int
receive(struct vfu_session *s)
{
	for (;;) {
		ssize_t got;

		if (s->have < HEADER) {
			got = vfu_msg_recv_header(s->sock, (uint8_t *)&s->header + s->have,
				HEADER - s->have, &s->fds, VFIO_USER_SERVER_MAX_FDS);
		} else {
			size_t body = s->have - HEADER, want = s->header.size - HEADER - body;

			if (want == 0)
				return 1;
			got = vfu_msg_recv_body(s->sock, s->body + body, want);
		}
		if (got == -EAGAIN)
			return 0;
		if (got == -EPROTO)
			return end(s, -EPROTO, "too many or misplaced descriptors");
		if (got == 0 && s->have > 0)
			return end(s, -EPROTO, "the client left inside a message");
		if (got == 0 || got == -ECONNRESET)
			return end(s, -ECONNRESET, "the client left");
		if (got < 0)
			return end(s, (int)got, "the socket failed: %s", strerror((int)-got));

		size_t before = s->have;

		s->have += (size_t)got;
		if (before < HEADER && s->have == HEADER) {
			int ret = check_header(s);

			if (ret < 0)
				return ret;
		}
	}
}

static void
handle(struct vfu_session *s)
{
	uint32_t len = s->header.size - (uint32_t)HEADER;
	int result;

	if (s->state == VFU_SESSION_NEW) {
		result = s->refuse != 0 ? -s->refuse : vfu_session_version(s, len);
		if (result < 0) {
			snprintf(s->error, sizeof(s->error), "VERSION refused: %s",
				strerror(-result));
			s->state = VFU_SESSION_LEAVING;
			s->end = result;
		} else {
			s->state = VFU_SESSION_OPEN;
		}
	} else {
		result = vfu_session_command(s, len);
	}
	vfu_fds_close(&s->fds);
	s->have = 0;
	s->moved = true;
	queue_reply(s, result);
}

static enum vfu_session_wait
waits_for(const struct vfu_session *s)
{
	if (s->out.len > 0)
		return VFU_WAIT_ROOM;
	if (s->state == VFU_SESSION_NEW)
		return VFU_WAIT_VERSION;
	return s->have > 0 ? VFU_WAIT_MESSAGE : VFU_WAIT_NOTHING;
}

/*
 * A client may be silent between messages, but one that stops inside a message, or does not read,
 * would own the device for ever.
 */
static int
check_deadline(struct vfu_session *s)
{
	static const char *const what[] = {
		[VFU_WAIT_VERSION] = "no VERSION",
		[VFU_WAIT_MESSAGE] = "the rest of a message did not come",
		[VFU_WAIT_ROOM] = "the client did not take a reply",
	};
	enum vfu_session_wait wait = waits_for(s);
	struct itimerspec deadline = {0};
	uint64_t times;

	if (wait != s->wait || s->moved) {
		s->moved = false;
		if (wait == s->wait && wait == VFU_WAIT_NOTHING)
			return 0;
		s->wait = wait;
		deadline.it_value.tv_sec = wait == VFU_WAIT_NOTHING ? 0 : VFU_SESSION_SECONDS;
		if (timerfd_settime(s->timer, 0, &deadline, NULL) < 0)
			return end(s, -errno, "cannot set a timer");
	} else if (wait != VFU_WAIT_NOTHING &&
		   read(s->timer, &times, sizeof(times)) == sizeof(times)) {
		return end(s, -ETIMEDOUT, "%s within %d s", what[wait], VFU_SESSION_SECONDS);
	}
	return 0;
}

int
vfu_session_process(struct vfu_session *s)
{
	uint64_t until = monotonic_ns() + BUDGET_NS;
	int ret;

	if (s->state == VFU_SESSION_OVER)
		return s->end;
	for (int i = 0; i < BUDGET && (i == 0 || monotonic_ns() < until); i++) {
		ret = flush(s);
		if (ret == -EAGAIN)
			break;
		if (ret < 0)
			return ret;
		if (s->state == VFU_SESSION_LEAVING)
			break;
		ret = receive(s);
		if (ret < 0)
			return ret;
		if (ret == 0)
			break;
		handle(s);
	}
	/* The last command's reply, when the budget ran out. */
	if (s->out.len > 0) {
		ret = flush(s);
		if (ret < 0 && ret != -EAGAIN)
			return ret;
	}
	if (s->state == VFU_SESSION_LEAVING && s->out.len == 0) {
		s->state = VFU_SESSION_OVER;
		return s->end;
	}
	return check_deadline(s);
}

int
vfu_session_fd(const struct vfu_session *s)
{
	return s->epoll;
}

bool
vfu_session_is_open(const struct vfu_session *s)
{
	return s->state == VFU_SESSION_OPEN;
}

const char *
vfu_session_error(const struct vfu_session *s)
{
	return s->error;
}

int
vfu_session_peer_pid(const struct vfu_session *s)
{
	return s->peer_pid;
}
