/* SPDX-License-Identifier: BSD-3-Clause */
/* Sockets of the control server: listening, connections, lines. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/host/control_internal.h"

#define CLIENTS	       8u
#define LINE_MAX_BYTES 4096u

struct client {
	int fd;
	size_t len;
	char line[LINE_MAX_BYTES];
};

struct host_control {
	struct host_control_ops ops;
	int listen_fd, epoll_fd;
	struct client client[CLIENTS];
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

int
control_address(struct sockaddr_un *address, const char *path)
{
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	if (path[0] == '\0' || strlen(path) >= sizeof(address->sun_path))
		return -ENAMETOOLONG;
	strcpy(address->sun_path, path);
	return 0;
}

/* A socket file that nobody serves may be replaced. */
static int
remove_stale(const struct sockaddr_un *address)
{
	struct stat st;
	int fd, rc;

	if (lstat(address->sun_path, &st) != 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	rc = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ? -EADDRINUSE : 0;
	close(fd);
	if (rc == 0 && unlink(address->sun_path) != 0)
		rc = -errno;
	return rc;
}

static int
listen_on(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), rc;
	mode_t mask;

	if (fd < 0)
		return -errno;
	mask = umask(0177);
	rc = bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ? 0 : -errno;
	umask(mask);
	if (rc == 0 && listen(fd, CLIENTS) != 0)
		rc = -errno;
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

static int
watch(struct host_control *c, int fd)
{
	struct epoll_event e = {.events = EPOLLIN, .data = {.fd = fd}};

	return epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0 ? 0 : -errno;
}

int
host_control_open(struct host_control **control, const char *path,
	const struct host_control_ops *ops, char *errbuf, size_t errlen)
{
	struct host_control *c = calloc(1, sizeof(*c));
	struct sockaddr_un address;
	int rc;

	if (c == NULL)
		return -ENOMEM;
	c->ops = *ops;
	c->listen_fd = -1;
	for (unsigned int i = 0; i < CLIENTS; i++)
		c->client[i].fd = -1;
	c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	rc = c->epoll_fd < 0 ? -errno : control_address(&address, path);
	if (rc == 0)
		rc = remove_stale(&address);
	if (rc == 0) {
		c->listen_fd = listen_on(&address);
		rc = c->listen_fd < 0 ? c->listen_fd : watch(c, c->listen_fd);
	}
	if (rc == 0) {
		strcpy(c->path, path);
		*control = c;
		return 0;
	}
	snprintf(errbuf, errlen, "cannot serve the control socket %s: %s%s", path, strerror(-rc),
		rc == -EADDRINUSE ? " by another host; choose another path" : "");
	host_control_close(c);
	return rc;
}

static void
drop(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
	client->len = 0;
}

void
host_control_close(struct host_control *c)
{
	if (c == NULL)
		return;
	for (unsigned int i = 0; i < CLIENTS; i++)
		drop(&c->client[i]);
	if (c->path[0] != '\0')
		unlink(c->path);
	if (c->listen_fd >= 0)
		close(c->listen_fd);
	if (c->epoll_fd >= 0)
		close(c->epoll_fd);
	free(c);
}

int
host_control_fd(const struct host_control *c)
{
	return c->epoll_fd;
}

static void
accept_client(struct host_control *c)
{
	int fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	for (unsigned int i = 0; i < CLIENTS; i++) {
		if (c->client[i].fd >= 0)
			continue;
		if (watch(c, fd) != 0)
			break;
		c->client[i].fd = fd;
		c->client[i].len = 0;
		return;
	}
	close(fd);
}

/* One request line, answered at once. @return false: the client is gone or does not read */
static bool
serve_line(struct host_control *c, struct client *client, const char *line)
{
	char *answer;
	ssize_t n, len;

	answer = control_execute(&c->ops, line);
	if (answer == NULL)
		return false;
	len = (ssize_t)strlen(answer);
	/* An answer fits a socket's buffer; a client that lets it fill up is dropped. */
	n = send(client->fd, answer, (size_t)len, MSG_NOSIGNAL);
	free(answer);
	return n == len;
}

static void
serve(struct host_control *c, struct client *client)
{
	ssize_t n = recv(
		client->fd, client->line + client->len, sizeof(client->line) - 1 - client->len, 0);
	char *end;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop(client);
		return;
	}
	client->len += (size_t)n;
	client->line[client->len] = '\0';
	while ((end = memchr(client->line, '\n', client->len)) != NULL) {
		size_t used = (size_t)(end - client->line) + 1;

		*end = '\0';
		if (!serve_line(c, client, client->line)) {
			drop(client);
			return;
		}
		client->len -= used;
		memmove(client->line, end + 1, client->len + 1);
	}
	if (client->len == sizeof(client->line) - 1)
		drop(client); /* a line without an end */
}

void
host_control_poll(struct host_control *c)
{
	struct epoll_event events[CLIENTS + 1];
	int n = epoll_wait(c->epoll_fd, events, CLIENTS + 1, 0), i;

	for (i = 0; i < n; i++) {
		if (events[i].data.fd == c->listen_fd) {
			accept_client(c);
			continue;
		}
		for (unsigned int k = 0; k < CLIENTS; k++)
			if (c->client[k].fd == events[i].data.fd)
				serve(c, &c->client[k]);
	}
}
