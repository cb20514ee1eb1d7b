/* SPDX-License-Identifier: BSD-3-Clause */
/* lib/vfio_user/signal: a signal and a read of a shared eventfd never wait for the peer. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/vfio_user/signal.h"
#include "test/unit/unit.h"

/* A call that waits for the peer ends the program: nobody would ever wake it. */
#define HANGS_S 20

static uint64_t
value_of(int fd)
{
	uint64_t value = 0;

	return vfu_eventfd_drain(fd, &value) == 0 ? value : 0;
}

/* The host fills the doorbell and makes it blocking: write() would never return. */
static void
test_full_blocking_eventfd(void)
{
	const uint64_t full = UINT64_MAX - 1;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct vfu_signaller s;

	CU_ASSERT_EQUAL_FATAL(vfu_signaller_init(&s), 0);
	CU_ASSERT_EQUAL(write(fd, &full, sizeof(full)), sizeof(full));
	CU_ASSERT_EQUAL(fcntl(fd, F_SETFL, 0), 0);
	alarm(HANGS_S);
	for (int i = 0; i < 1000; i++)
		CU_ASSERT_EQUAL(vfu_signal(&s, fd), 0);
	alarm(0);
	/* Full is still readable: no wake-up was lost. */
	CU_ASSERT(value_of(fd) >= full);
	CU_ASSERT_EQUAL(vfu_signal(&s, fd), 0);
	CU_ASSERT_EQUAL(value_of(fd), 1);
	vfu_signaller_fini(&s);
	close(fd);
}

/* Signals are counted one by one, also when the kernel's list of results has wrapped often. */
static void
test_every_signal_counts(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	struct vfu_signaller s;

	CU_ASSERT_EQUAL_FATAL(vfu_signaller_init(&s), 0);
	CU_ASSERT_EQUAL(poll(&pfd, 1, 0), 0);
	CU_ASSERT_EQUAL(vfu_signal(&s, fd), 0);
	CU_ASSERT_EQUAL(poll(&pfd, 1, 0), 1);
	for (int i = 0; i < 9999; i++)
		CU_ASSERT_EQUAL(vfu_signal(&s, fd), 0);
	CU_ASSERT_EQUAL(value_of(fd), 10000);
	vfu_signaller_fini(&s);
	close(fd);
}

#define THREADS 4
#define EACH	20000

struct shared {
	struct vfu_signaller s;
	int fd;
};

static void *
signal_often(void *arg)
{
	struct shared *shared = arg;
	uintptr_t failed = 0;

	for (int i = 0; i < EACH; i++)
		failed += vfu_signal(&shared->s, shared->fd) != 0;
	return (void *)failed;
}

static void
test_threads_share_a_signaller(void)
{
	struct shared shared = {.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	pthread_t thread[THREADS];

	CU_ASSERT_EQUAL_FATAL(vfu_signaller_init(&shared.s), 0);
	for (int i = 0; i < THREADS; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&thread[i], NULL, signal_often, &shared), 0);
	for (int i = 0; i < THREADS; i++) {
		void *failed = NULL;

		pthread_join(thread[i], &failed);
		CU_ASSERT_PTR_NULL(failed);
	}
	CU_ASSERT_EQUAL(value_of(shared.fd), THREADS * EACH);
	vfu_signaller_fini(&shared.s);
	close(shared.fd);
}

/* Whatever poses as an eventfd is refused, and a full pipe does not hold us. */
static void
test_not_an_eventfd(void)
{
	int pipes[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);
	char block[4096] = {0};
	struct vfu_signaller s;

	CU_ASSERT_EQUAL_FATAL(vfu_signaller_init(&s), 0);
	CU_ASSERT_EQUAL_FATAL(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
	while (write(pipes[1], block, sizeof(block)) > 0)
		;
	CU_ASSERT_EQUAL(fcntl(pipes[1], F_SETFL, 0), 0);
	alarm(HANGS_S);
	CU_ASSERT_EQUAL(vfu_signal(&s, pipes[1]), -EINVAL);
	CU_ASSERT_EQUAL(vfu_signal(&s, null), -EINVAL);
	CU_ASSERT_EQUAL(vfu_signal(&s, -1), -EBADF);
	alarm(0);
	CU_ASSERT_FALSE(vfu_fd_is_eventfd(pipes[1]));
	CU_ASSERT_FALSE(vfu_fd_is_eventfd(null));
	CU_ASSERT_FALSE(vfu_fd_is_eventfd(-1));
	close(pipes[0]);
	close(pipes[1]);
	pipes[0] = eventfd(0, EFD_CLOEXEC);
	CU_ASSERT_TRUE(vfu_fd_is_eventfd(pipes[0]));
	close(pipes[0]);
	close(null);
	vfu_signaller_fini(&s);
}

/* The peer drained it first and made it blocking: read() would never return. */
static void
test_drain_of_empty_blocking_eventfd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	uint64_t value = 7;
	struct vfu_signaller s;

	CU_ASSERT_EQUAL_FATAL(vfu_signaller_init(&s), 0);
	alarm(HANGS_S);
	CU_ASSERT_EQUAL(vfu_eventfd_drain(fd, &value), -EAGAIN);
	CU_ASSERT_EQUAL(value, 7);
	CU_ASSERT_EQUAL(vfu_signal(&s, fd), 0);
	CU_ASSERT_EQUAL(vfu_eventfd_drain(fd, NULL), 0);
	CU_ASSERT_EQUAL(vfu_eventfd_drain(fd, NULL), -EAGAIN);
	alarm(0);
	CU_ASSERT_EQUAL(vfu_eventfd_drain(-1, NULL), -EBADF);
	vfu_signaller_fini(&s);
	close(fd);
}

static void
test_not_initialised(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	struct vfu_signaller s = {0};

	CU_ASSERT_EQUAL(vfu_signal(&s, fd), -ENOTCONN);
	vfu_signaller_fini(&s);
	CU_ASSERT_EQUAL_FATAL(vfu_signaller_init(&s), 0);
	vfu_signaller_fini(&s);
	vfu_signaller_fini(&s);
	CU_ASSERT_EQUAL(vfu_signal(&s, fd), -ENOTCONN);
	close(fd);
}

/* Each context is a mapping of the process, and the system has only so many. */
static unsigned int
contexts(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned int n = 0;
	char line[512];

	while (maps != NULL && fgets(line, sizeof(line), maps) != NULL)
		n += strstr(line, "[aio]") != NULL;
	if (maps != NULL)
		fclose(maps);
	return n;
}

static void
test_no_leak(void)
{
	struct vfu_signaller s;
	int fd = dup(0);

	close(fd);
	CU_ASSERT_EQUAL(contexts(), 0);
	CU_ASSERT_EQUAL_FATAL(vfu_signaller_init(&s), 0);
	CU_ASSERT_EQUAL(contexts(), 1);
	vfu_signaller_fini(&s);
	CU_ASSERT_EQUAL(contexts(), 0);
	CU_ASSERT_EQUAL(dup(0), fd);
	close(fd);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"a full doorbell made blocking", test_full_blocking_eventfd},
		{"every signal counts", test_every_signal_counts},
		{"threads share a signaller", test_threads_share_a_signaller},
		{"what is not an eventfd", test_not_an_eventfd},
		{"reading an empty eventfd made blocking", test_drain_of_empty_blocking_eventfd},
		{"not initialised", test_not_initialised},
		{"no leak", test_no_leak},
	};

	return UNIT_RUN("vfio_user_signal", tests);
}
