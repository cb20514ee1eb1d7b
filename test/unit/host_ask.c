/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A question to a control socket whose server is not what it should be: root asks whom it finds in
 * a user's folder, and that user must hold up nobody and fill nobody's memory.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/host/control.h"
#include "test/unit/unit.h"

static char dir[] = "/tmp/host_ask.XXXXXX";

/* The server lets time pass. */
static _Atomic int64_t later_ms;

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	int rc = (int)syscall(SYS_clock_gettime, id, ts);
	int64_t ms = atomic_load(&later_ms);

	ts->tv_sec += ms / 1000;
	return rc;
}

struct server {
	int listener;
	struct sockaddr_un address;
	void (*answer)(int fd);
	pthread_t thread;
};

static void *
serve(void *arg)
{
	struct server *s = arg;
	char request[64];
	int fd = accept(s->listener, NULL, NULL);

	if (recv(fd, request, sizeof(request), 0) > 0)
		s->answer(fd);
	close(fd);
	return NULL;
}

/* Ask it: @return as host_control_ask(). */
static int
ask(void (*how)(int fd), char **answer)
{
	struct server s = {.address = {.sun_family = AF_UNIX}, .answer = how};
	int rc;

	snprintf(s.address.sun_path, sizeof(s.address.sun_path), "%s/ctl", dir);
	s.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(
		bind(s.listener, (struct sockaddr *)&s.address, sizeof(s.address)), 0);
	CU_ASSERT_EQUAL_FATAL(listen(s.listener, 1), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&s.thread, NULL, serve, &s), 0);
	rc = host_control_ask(s.address.sun_path, false, "{}", answer);
	pthread_join(s.thread, NULL);
	close(s.listener);
	unlink(s.address.sun_path);
	return rc;
}

static void
put(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		text += n;
		len -= (size_t)n;
	}
}

static void
dribble(int fd)
{
	for (unsigned int i = 0; i < 100; i++) {
		put(fd, " ", 1);
		atomic_fetch_add(&later_ms, 3000);
		usleep(2000);
	}
	put(fd, "{}\n", 3);
}

static void
test_a_byte_now_and_then(void)
{
	char *answer;

	CU_ASSERT_EQUAL(ask(dribble, &answer), -ETIMEDOUT);
	CU_ASSERT_PTR_NULL(answer);
	free(answer);
}

static void
flood(int fd)
{
	static char blanks[1 << 20];

	memset(blanks, ' ', sizeof(blanks));
	for (unsigned int i = 0; i < 4; i++)
		put(fd, blanks, sizeof(blanks));
	put(fd, "{}\n", 3);
}

static void
test_no_end(void)
{
	char *answer;

	CU_ASSERT_EQUAL(ask(flood, &answer), -EMSGSIZE);
	CU_ASSERT_PTR_NULL(answer);
	free(answer);
}

static void
hang_up(int fd)
{
	put(fd, "{", 1);
}

static void
test_half_an_answer(void)
{
	char *answer;

	CU_ASSERT_EQUAL(ask(hang_up, &answer), -EPIPE);
	CU_ASSERT_PTR_NULL(answer);
}

static void
pieces(int fd)
{
	static char blanks[100000];

	memset(blanks, ' ', sizeof(blanks));
	put(fd, "{", 1);
	usleep(1000);
	for (unsigned int i = 0; i < 4; i++)
		put(fd, blanks, sizeof(blanks));
	put(fd, "}\n", 2);
}

static void
test_in_pieces(void)
{
	char *answer;

	CU_ASSERT_EQUAL_FATAL(ask(pieces, &answer), 0);
	CU_ASSERT_EQUAL(strlen(answer), 400003);
	CU_ASSERT_EQUAL(answer[0], '{');
	CU_ASSERT_STRING_EQUAL(answer + 400000, " }\n");
	free(answer);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"a byte now and then is no answer", test_a_byte_now_and_then},
		{"an answer without an end", test_no_end},
		{"half an answer", test_half_an_answer},
		{"an answer in pieces", test_in_pieces},
	};

	return UNIT_RUN_IN(dir, "host_ask", tests);
}
