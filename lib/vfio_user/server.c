/* SPDX-License-Identifier: BSD-3-Clause */
/* The listener: lock, socket file, and who may come in (§10, §13). */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/vfio_user/server_priv.h"
#include "lib/vfio_user/session.h"
#include "lib/vfio_user/sockets.h"

#define BACKLOG 8
/* Clients being told no; they have 5 s to ask. More than this are just hung up on. */
#define MAX_REFUSED 8

struct vfu_server {
	const struct vfu_device *device;
	int lock, sock, epoll; /* sock: -1 after vfu_server_withdraw() */
	dev_t dev;
	ino_t ino;
	char path[VFU_PATH_MAX];
	struct vfu_session *session; /* the one that lives, or NULL; its owner closes it */
	struct vfu_session *refused[MAX_REFUSED];
};

__attribute__((format(printf, 4, 5))) static int
fail(int err, char *errbuf, size_t errlen, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	if (errlen > 0)
		vsnprintf(errbuf, errlen, format, ap);
	va_end(ap);
	return err;
}

/* Two servers of one device would both think they own it: the lock file decides. */
static int
take_lock(struct vfu_server *server, char *errbuf, size_t errlen)
{
	static const char suffix[] = ".sock";
	char path[VFU_PATH_MAX + 8];
	size_t len = strlen(server->path);
	int ret;

	if (len > strlen(suffix) && strcmp(server->path + len - strlen(suffix), suffix) == 0)
		len -= strlen(suffix);
	snprintf(path, sizeof(path), "%.*s.lock", (int)len, server->path);
	server->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (server->lock < 0) {
		ret = -errno;
		return fail(ret, errbuf, errlen, "cannot open %s: %s", path, strerror(-ret));
	}
	/* The file stays behind on purpose: removing it would let two servers lock two files. */
	if (flock(server->lock, LOCK_EX | LOCK_NB) < 0) {
		ret = errno == EWOULDBLOCK ? -EBUSY : -errno;
		return fail(ret, errbuf, errlen,
			ret == -EBUSY ? "%s: another process serves this device" : "cannot lock %s",
			path);
	}
	return 0;
}

/* Appear under the final name only when listening, over a stale socket if there is one. */
static int
listen_at(struct vfu_server *server, char *errbuf, size_t errlen)
{
	struct epoll_event ev = {.events = EPOLLIN};
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct stat st;
	int n, ret;

	n = snprintf(
		addr.sun_path, sizeof(addr.sun_path), "%s.%d.tmp", server->path, (int)getpid());
	if (n < 0 || (size_t)n >= sizeof(addr.sun_path))
		return fail(-ENAMETOOLONG, errbuf, errlen,
			"%s: too long for a socket; use a shorter directory", server->path);
	if (lstat(server->path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return fail(-EEXIST, errbuf, errlen, "%s exists and is not a socket; remove it",
			server->path);
	server->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (server->sock < 0) {
		ret = -errno;
		return fail(ret, errbuf, errlen, "cannot make a socket: %s", strerror(-ret));
	}
	unlink(addr.sun_path); /* of a dead namesake: we hold the lock */
	/* Before bind, so that the file never exists with a wider mode (§13). */
	if (fchmod(server->sock, 0600) < 0 ||
		bind(server->sock, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		ret = -errno;
		return fail(
			ret, errbuf, errlen, "cannot make %s: %s", addr.sun_path, strerror(-ret));
	}
	ev.data.fd = server->sock;
	if (listen(server->sock, BACKLOG) < 0 || lstat(addr.sun_path, &st) < 0 ||
		epoll_ctl(server->epoll, EPOLL_CTL_ADD, server->sock, &ev) < 0 ||
		rename(addr.sun_path, server->path) < 0) {
		ret = -errno;
		unlink(addr.sun_path);
		return fail(ret, errbuf, errlen, "cannot listen at %s: %s", server->path,
			strerror(-ret));
	}
	server->dev = st.st_dev;
	server->ino = st.st_ino;
	return 0;
}

int
vfu_server_create(const char *path, const struct vfu_device *device, struct vfu_server **server,
	char *errbuf, size_t errlen)
{
	struct vfu_server *s;
	int ret;

	*server = NULL;
	if (device->num_regions > VFIO_USER_MAX_REGIONS || device->num_irqs > VFU_SERVER_MAX_IRQS)
		return fail(-EINVAL, errbuf, errlen, "too many regions or interrupts");
	for (uint32_t i = 0; i < device->num_irqs; i++)
		if (device->irq_count[i] > VFU_SERVER_MAX_SUBIRQ)
			return fail(-EINVAL, errbuf, errlen, "too many interrupts");
	if (strlen(path) >= VFU_PATH_MAX)
		return fail(
			-ENAMETOOLONG, errbuf, errlen, "socket path is too long: %.80s...", path);
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return fail(-ENOMEM, errbuf, errlen, "no memory for a vfio-user server");
	s->device = device;
	s->lock = s->sock = s->epoll = -1;
	memcpy(s->path, path, strlen(path) + 1);
	ret = take_lock(s, errbuf, errlen);
	if (ret == 0) {
		s->epoll = epoll_create1(EPOLL_CLOEXEC);
		if (s->epoll < 0) {
			ret = -errno;
			fail(ret, errbuf, errlen, "cannot watch %s: %s", path, strerror(-ret));
		}
	}
	if (ret == 0)
		ret = listen_at(s, errbuf, errlen);
	if (ret < 0) {
		vfu_server_destroy(s);
		return ret;
	}
	*server = s;
	return 0;
}

void
vfu_server_withdraw(struct vfu_server *server)
{
	struct stat st;

	/* A newer server's file is not ours, though it has our name (§16.12). */
	if (server->ino != 0 && lstat(server->path, &st) == 0 && st.st_dev == server->dev &&
		st.st_ino == server->ino)
		unlink(server->path);
	server->ino = 0;
	if (server->sock >= 0)
		close(server->sock);
	server->sock = -1;
}

int
vfu_server_return(struct vfu_server *server, char *errbuf, size_t errlen)
{
	int ret;

	vfu_server_withdraw(server);
	ret = listen_at(server, errbuf, errlen);
	if (ret < 0)
		vfu_server_withdraw(server);
	return ret;
}

void
vfu_server_destroy(struct vfu_server *server)
{
	if (server == NULL)
		return;
	vfu_server_withdraw(server);
	for (unsigned int i = 0; i < MAX_REFUSED; i++)
		vfu_session_close(server->refused[i]);
	if (server->session != NULL)
		server->session->server = NULL;
	if (server->epoll >= 0)
		close(server->epoll);
	if (server->lock >= 0)
		close(server->lock); /* last: the name is free only now */
	free(server);
}

int
vfu_server_listen_fd(const struct vfu_server *server)
{
	return server->epoll;
}

void
vfu_server_session_gone(struct vfu_server *server, struct vfu_session *session)
{
	if (server->session == session)
		server->session = NULL;
}

/* Let a client ask for VERSION to tell it no; it costs us nothing to wait. */
static void
turn_away(struct vfu_server *server, struct vfu_session *session, int err)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = vfu_session_fd(session)};

	vfu_session_refuse(session, err);
	for (unsigned int i = 0; i < MAX_REFUSED; i++) {
		if (server->refused[i] != NULL)
			continue;
		if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, vfu_session_fd(session), &ev) < 0)
			break;
		server->refused[i] = session;
		return;
	}
	vfu_session_close(session);
}

int
vfu_server_accept(struct vfu_server *server, struct vfu_session **session)
{
	*session = NULL;
	for (unsigned int i = 0; i < MAX_REFUSED; i++) {
		if (server->refused[i] == NULL || vfu_session_process(server->refused[i]) == 0)
			continue;
		vfu_session_close(server->refused[i]);
		server->refused[i] = NULL;
	}
	if (server->sock < 0)
		return -EAGAIN;
	/* Bounded: others than the device's owner must not keep the loop here. */
	for (unsigned int i = 0; i < BACKLOG; i++) {
		struct vfu_session *s;
		int fd = accept4(server->sock, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		bool allowed;
		int ret;

		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0)
			return errno == EWOULDBLOCK ? -EAGAIN : -errno;
		allowed = vfu_client_allowed(fd);
		ret = vfu_session_create(fd, server->device, &s);
		if (ret < 0)
			return ret;
		if (!allowed || server->session != NULL) {
			turn_away(server, s, allowed ? EBUSY : EACCES);
			continue;
		}
		s->server = server;
		server->session = s;
		*session = s;
		return 0;
	}
	return -EAGAIN;
}
