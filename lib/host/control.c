/* SPDX-License-Identifier: BSD-3-Clause */
/* Sockets of the control server: listening, connections, lines. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/host/control_internal.h"
#include "lib/host/log.h"
#include "lib/vmbus/clock.h"

#define CLIENTS	       8u
#define LINE_MAX_BYTES 4096u
/* How long a host that holds our socket may take to answer. */
#define OLD_HOST_MS 1000
/* Without a descriptor for a client: try again then. */
#define ACCEPT_PAUSE_NS UINT64_C(100000000)

struct client {
	int fd;
	uint64_t active; /* number of its last request, to find the longest silent */
	size_t len;
	char line[LINE_MAX_BYTES];
};

struct host_control {
	struct host_control_ops ops;
	int listen_fd, epoll_fd;
	dev_t dev; /* of our socket file */
	ino_t ino;
	uint64_t requests;
	unsigned int next;     /* client whose request comes first */
	uint64_t accept_after; /* monotonic ns; 0: the listening socket is watched */
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

/* Does the host at the other end answer? It has a second for it. */
static bool
answers(int fd)
{
	static const char question[] = "{\"cmd\":\"knobs\"}\n";
	struct pollfd p = {fd, POLLIN, 0};
	char byte;

	return send(fd, question, sizeof(question) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) ==
		       (ssize_t)sizeof(question) - 1 &&
	       poll(&p, 1, OLD_HOST_MS) == 1 && recv(fd, &byte, 1, MSG_DONTWAIT) == 1;
}

/*
 * A socket file may be replaced when nobody serves it, or a host that hangs: it must not hold up
 * the next one, and connect() itself waits where nobody accepts any more.
 */
static int
remove_stale(const struct sockaddr_un *address)
{
	struct stat st;
	bool alive = false, hung;
	int fd;

	if (lstat(address->sun_path, &st) != 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0) {
		alive = answers(fd);
		hung = !alive;
	} else {
		hung = errno == EAGAIN; /* its queue is full */
	}
	close(fd);
	if (alive)
		return -EADDRINUSE;
	if (hung)
		log_line("%s: the host that serves this control socket does not answer; taking "
			 "its place",
			address->sun_path);
	return unlink(address->sun_path) == 0 || errno == ENOENT ? 0 : -errno;
}

static int
listen_on(struct host_control *c, const struct sockaddr_un *address)
{
	struct stat st;
	mode_t mask;
	int rc;

	c->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->listen_fd < 0)
		return -errno;
	mask = umask(0177);
	rc = bind(c->listen_fd, (const struct sockaddr *)address, sizeof(*address));
	umask(mask);
	if (rc != 0)
		return -errno;
	/*
	 * From here on the file goes with a close, whatever fails. Whose it is then: another host
	 * may take our place when we hang.
	 */
	if (lstat(address->sun_path, &st) == 0) {
		c->dev = st.st_dev;
		c->ino = st.st_ino;
		strcpy(c->path, address->sun_path);
	}
	return listen(c->listen_fd, CLIENTS) == 0 ? 0 : -errno;
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

	if (c == NULL) {
		snprintf(errbuf, errlen, "cannot serve the control socket %s: %s", path,
			strerror(ENOMEM));
		return -ENOMEM;
	}
	c->ops = *ops;
	c->listen_fd = -1;
	for (unsigned int i = 0; i < CLIENTS; i++)
		c->client[i].fd = -1;
	c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	rc = c->epoll_fd < 0 ? -errno : control_address(&address, path);
	if (rc == 0)
		rc = remove_stale(&address);
	if (rc == 0)
		rc = listen_on(c, &address);
	if (rc == 0)
		rc = watch(c, c->listen_fd);
	if (rc == 0) {
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
	struct stat st;

	if (c == NULL)
		return;
	for (unsigned int i = 0; i < CLIENTS; i++)
		drop(&c->client[i]);
	if (c->path[0] != '\0' && lstat(c->path, &st) == 0 && st.st_dev == c->dev &&
		st.st_ino == c->ino)
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

/*
 * No descriptor for a client: the listening socket stays readable, so do not look at it for a
 * while, instead of doing nothing else.
 */
static void
pause_accept(struct host_control *c)
{
	epoll_ctl(c->epoll_fd, EPOLL_CTL_DEL, c->listen_fd, NULL);
	c->accept_after = monotonic_ns() + ACCEPT_PAUSE_NS;
}

/* A free place; when all are taken the client that was silent longest leaves. */
static struct client *
place(struct host_control *c)
{
	struct client *oldest = &c->client[0];

	for (unsigned int i = 0; i < CLIENTS; i++) {
		if (c->client[i].fd < 0)
			return &c->client[i];
		if (c->client[i].active < oldest->active)
			oldest = &c->client[i];
	}
	drop(oldest);
	return oldest;
}

static void
accept_client(struct host_control *c)
{
	int fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *client;

	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			pause_accept(c);
		return;
	}
	client = place(c);
	if (watch(c, fd) != 0) {
		close(fd);
		return;
	}
	client->fd = fd;
	client->len = 0;
	client->active = ++c->requests;
}

static bool
has_line(const struct client *client)
{
	return client->fd >= 0 && memchr(client->line, '\n', client->len) != NULL;
}

/* One request line, answered at once. @return false: the client is gone or does not read */
static bool
serve_line(struct host_control *c, struct client *client, const char *line, size_t used)
{
	char *answer;
	ssize_t n, len;

	/* What is behind a NUL would not be looked at. */
	answer = host_control_execute(&c->ops, strlen(line) == used ? line : "");
	if (answer == NULL)
		return false;
	len = (ssize_t)strlen(answer);
	/* An answer fits a socket's buffer; a client that lets it fill up is dropped. */
	client->active = ++c->requests;
	n = send(client->fd, answer, (size_t)len, MSG_NOSIGNAL);
	free(answer);
	return n == len;
}

/* What has come; behind a request that waits for its turn it stays where it is. */
static void
receive(struct client *client)
{
	ssize_t n;

	if (has_line(client))
		return;
	n = recv(client->fd, client->line + client->len, sizeof(client->line) - 1 - client->len, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop(client);
		return;
	}
	client->len += (size_t)n;
	if (client->len == sizeof(client->line) - 1 && !has_line(client))
		drop(client); /* a line without an end */
}

/*
 * One request of one client. A line is short and what it asks for may be long: before the next one
 * comes whatever else our owner has to do, and the other clients.
 */
static void
serve_one(struct host_control *c)
{
	for (unsigned int i = 0; i < CLIENTS; i++) {
		struct client *client = &c->client[(c->next + i) % CLIENTS];
		char *end;
		size_t used;

		if (!has_line(client))
			continue;
		c->next = (c->next + i + 1) % CLIENTS;
		end = memchr(client->line, '\n', client->len);
		used = (size_t)(end - client->line) + 1;
		*end = '\0';
		if (!serve_line(c, client, client->line, used - 1)) {
			drop(client);
			return;
		}
		client->len -= used;
		memmove(client->line, end + 1, client->len);
		return;
	}
}

uint64_t
host_control_deadline(const struct host_control *c)
{
	for (unsigned int i = 0; i < CLIENTS; i++)
		if (has_line(&c->client[i]))
			return 0;
	return c->accept_after != 0 ? c->accept_after : UINT64_MAX;
}

void
host_control_poll(struct host_control *c)
{
	struct epoll_event events[CLIENTS + 1];
	int n, i;

	/* When it cannot be watched: another pause, for a deadline in the past is no rest. */
	if (c->accept_after != 0 && monotonic_ns() >= c->accept_after)
		c->accept_after =
			watch(c, c->listen_fd) == 0 ? 0 : monotonic_ns() + ACCEPT_PAUSE_NS;
	n = epoll_wait(c->epoll_fd, events, CLIENTS + 1, 0);
	for (i = 0; i < n; i++) {
		if (events[i].data.fd == c->listen_fd) {
			accept_client(c);
			continue;
		}
		for (unsigned int k = 0; k < CLIENTS; k++)
			if (c->client[k].fd == events[i].data.fd)
				receive(&c->client[k]);
	}
	serve_one(c);
}
