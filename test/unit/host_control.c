/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control socket without means: pauses instead of a loop, and service afterwards; or no socket,
 * with a sentence, and no file.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/host/control.h"
#include "lib/vmbus/clock.h"
#include "test/unit/unit.h"

static char dir[] = "/tmp/host_control.XXXXXX";

/* The kernel refuses these while set. */
static bool no_accept, no_watch, no_listen, no_memory;
static unsigned int watches;

int
accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
	if (no_accept) {
		errno = EMFILE;
		return -1;
	}
	return (int)syscall(SYS_accept4, fd, address, len, flags);
}

int
epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
	if (op == EPOLL_CTL_ADD) {
		watches++;
		if (no_watch) {
			errno = ENOSPC;
			return -1;
		}
	}
	return (int)syscall(SYS_epoll_ctl, epoll, op, fd, event);
}

int
listen(int fd, int backlog)
{
	if (no_listen) {
		errno = EADDRINUSE;
		return -1;
	}
	return (int)syscall(SYS_listen, fd, backlog);
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

void *
__wrap_calloc(size_t n, size_t size)
{
	return no_memory ? NULL : __real_calloc(n, size);
}

static void
no_lock(void *ctx, unsigned int nic)
{
}

static unsigned int executed;

/* Asked for with every request. */
static unsigned int
no_nics(void *ctx)
{
	executed++;
	return 0;
}

static struct host_nic *
no_nic(void *ctx, unsigned int number)
{
	return NULL;
}

static int
no_command(void *ctx, const char *cmd, unsigned int nic, char *errbuf, size_t errlen)
{
	return -ENOSYS;
}

static const struct host_control_ops ops = {
	.lock = no_lock, .unlock = no_lock, .nics = no_nics, .nic = no_nic, .command = no_command};

/* One wait of the control thread. */
static void
turn(struct host_control *c)
{
	struct pollfd p = {host_control_fd(c), POLLIN, 0};
	uint64_t deadline = host_control_deadline(c), now = monotonic_ns();

	poll(&p, 1, deadline == UINT64_MAX ? 1000 : deadline <= now ? 0 : 1000);
	host_control_poll(c);
}

static void
wait_deadline(struct host_control *c)
{
	while (monotonic_ns() < host_control_deadline(c))
		usleep(1000);
}

static void
test_pause_that_cannot_end(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct host_control *c = NULL;
	struct pollfd p = {.events = POLLIN};
	char why[256] = "", byte;
	unsigned int i, before;
	uint64_t start;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/ctl", dir);
	CU_ASSERT_EQUAL_FATAL(host_control_open(&c, address.sun_path, &ops, why, sizeof(why)), 0);
	p.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL(connect(p.fd, (struct sockaddr *)&address, sizeof(address)), 0);
	CU_ASSERT_EQUAL(send(p.fd, "{\"cmd\":\"knobs\"}\n", 16, 0), 16);
	no_accept = true;
	turn(c);
	CU_ASSERT_NOT_EQUAL_FATAL(host_control_deadline(c), UINT64_MAX);
	no_watch = true;
	for (i = 0; i < 3; i++) {
		wait_deadline(c);
		before = watches;
		start = monotonic_ns();
		host_control_poll(c);
		CU_ASSERT_EQUAL(watches, before + 1);
		CU_ASSERT(host_control_deadline(c) > start);
		CU_ASSERT_NOT_EQUAL(host_control_deadline(c), UINT64_MAX);
	}
	no_accept = no_watch = false;
	wait_deadline(c);
	for (i = 0; i < 10 && poll(&p, 1, 0) == 0; i++)
		turn(c);
	CU_ASSERT_EQUAL(recv(p.fd, &byte, 1, MSG_DONTWAIT), 1);
	CU_ASSERT_EQUAL(host_control_deadline(c), UINT64_MAX);
	close(p.fd);
	host_control_close(c);
}

static int
client(const struct sockaddr_un *address, const char *requests)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CU_ASSERT_EQUAL(connect(fd, (const struct sockaddr *)address, sizeof(*address)), 0);
	CU_ASSERT_EQUAL(send(fd, requests, strlen(requests), 0), (ssize_t)strlen(requests));
	return fd;
}

/* Answers that have come. */
static unsigned int
answers(int fd)
{
	static char text[1 << 16];
	ssize_t n = recv(fd, text, sizeof(text), MSG_DONTWAIT);
	unsigned int lines = 0;

	for (ssize_t i = 0; i < n; i++)
		lines += text[i] == '\n';
	return lines;
}

/* Requests in one piece, of two clients: one of them each time, each client in its turn. */
static void
test_one_request_at_a_time(void)
{
	static const char many[] = "{\"cmd\":\"stats\"}\n{\"cmd\":\"stats\"}\n"
				   "{\"cmd\":\"stats\"}\n{\"cmd\":\"stats\"}\n{\"cmd\":";
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct host_control *c = NULL;
	char why[256] = "";
	int first, second;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/ctl", dir);
	CU_ASSERT_EQUAL_FATAL(host_control_open(&c, address.sun_path, &ops, why, sizeof(why)), 0);
	first = client(&address, many);
	second = client(&address, "{\"cmd\":\"stats\"}\n");
	/* Each poll accepts one client. */
	executed = 0;
	host_control_poll(c);
	host_control_poll(c);
	for (unsigned int i = 0; i < 3 && executed < 2; i++)
		turn(c);
	CU_ASSERT_EQUAL(executed, 2);
	CU_ASSERT_EQUAL(answers(first), 1);
	CU_ASSERT_EQUAL(answers(second), 1);
	for (unsigned int i = 3; i <= 5; i++) {
		CU_ASSERT_EQUAL(host_control_deadline(c), 0);
		turn(c);
		CU_ASSERT_EQUAL(executed, i);
	}
	CU_ASSERT_EQUAL(host_control_deadline(c), UINT64_MAX);
	CU_ASSERT_EQUAL(answers(first), 3);
	/* And the one that had not come as a whole. */
	CU_ASSERT_EQUAL(send(first, "\"stats\"}\n", 9, 0), 9);
	turn(c);
	CU_ASSERT_EQUAL(answers(first), 1);
	close(first);
	close(second);
	host_control_close(c);
}

/* What is there afterwards would be taken for a host's. */
static void
check_not_served(int rc, const char *reason)
{
	char path[64], why[256] = "";
	struct host_control *c = NULL;

	snprintf(path, sizeof(path), "%s/ctl", dir);
	CU_ASSERT_EQUAL(host_control_open(&c, path, &ops, why, sizeof(why)), rc);
	CU_ASSERT_PTR_NULL(c);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, path));
	CU_ASSERT_PTR_NOT_NULL(strstr(why, reason));
	CU_ASSERT(access(path, F_OK) != 0 && errno == ENOENT);
}

static void
test_no_memory_is_said(void)
{
	no_memory = true;
	check_not_served(-ENOMEM, "Cannot allocate memory");
	no_memory = false;
}

static void
test_no_socket_file_is_left(void)
{
	no_watch = true;
	check_not_served(-ENOSPC, "No space left on device");
	no_watch = false;
	no_listen = true;
	check_not_served(-EADDRINUSE, "Address already in use");
	no_listen = false;
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"no memory is said", test_no_memory_is_said},
		{"no socket file is left", test_no_socket_file_is_left},
		{"a pause that cannot end is another pause", test_pause_that_cannot_end},
		{"one request at a time", test_one_request_at_a_time},
	};
	int rc;

	if (mkdtemp(dir) == NULL)
		return EXIT_FAILURE;
	rc = UNIT_RUN("host_control", tests);
	return rmdir(dir) == 0 ? rc : EXIT_FAILURE;
}
