/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long the server waits for a client: VERSION, the rest of a message, a reply that is not read
 * (spec/vmbus-over-vfio-user.md §5, §15), and never at all for its eventfds (§9). No test waits for
 * the five seconds: they are taken from the session's timer.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/vfio_user/session.h"
#include "test/unit/unit.h"
#include "test/unit/vfio_user_rig.h"

/* GET_INFO, 32 bytes. */
#define GET_INFO     "02000400 20000000 00000000 00000000 10000000 00000000 00000000 00000000"
#define GET_INFO_LEN 32u

/*
 * The library's poll() and this one are the same: a client that fills its eventfd and clears the
 * flag right after the look at it, which no look can exclude.
 */
static int hostile_fd = -1;

int
poll(struct pollfd *p, nfds_t n, int timeout)
{
	struct timespec ts = {timeout / 1000, timeout % 1000 * 1000000L};
	const uint64_t full = UINT64_MAX - 1;
	int rc = (int)syscall(SYS_ppoll, p, n, timeout < 0 ? NULL : &ts, NULL, 0);

	for (nfds_t i = 0; hostile_fd >= 0 && rc > 0 && i < n; i++) {
		if (!vfu_fd_is_eventfd(p[i].fd))
			continue;
		CU_ASSERT_EQUAL(write(hostile_fd, &full, sizeof(full)), sizeof(full));
		CU_ASSERT_EQUAL(fcntl(hostile_fd, F_SETFL, 0), 0);
		hostile_fd = -1;
	}
	return rc;
}

/* A machine so busy that each look at the clock costs a second. */
static bool slow_machine;

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	static time_t seconds;
	int rc = (int)syscall(SYS_clock_gettime, id, ts);

	if (slow_machine)
		ts->tv_sec += ++seconds;
	return rc;
}

static bool
is_armed(struct rig *r)
{
	struct itimerspec t;

	CU_ASSERT_EQUAL_FATAL(timerfd_gettime(r->session->timer, &t), 0);
	return t.it_value.tv_sec != 0 || t.it_value.tv_nsec != 0;
}

/* Let the time that the session gives its client be over now. */
static void
time_is_over(struct rig *r)
{
	const struct itimerspec soon = {.it_value.tv_nsec = 1};
	struct pollfd p = {r->session->timer, POLLIN, 0};

	CU_ASSERT_FATAL(is_armed(r));
	CU_ASSERT_EQUAL_FATAL(timerfd_settime(r->session->timer, 0, &soon, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(poll(&p, 1, 5000), 1);
	/* The owner is told by the one descriptor that it watches. */
	p.fd = vfu_session_fd(r->session);
	CU_ASSERT_EQUAL(poll(&p, 1, 0), 1);
}

static void
send_part(struct rig *r, size_t from, size_t to)
{
	uint8_t bytes[GET_INFO_LEN];

	CU_ASSERT_EQUAL_FATAL(rig_hex(GET_INFO, bytes, sizeof(bytes)), GET_INFO_LEN);
	rig_send(r->peer, bytes + from, to - from, NULL, 0);
}

static void
expect_end(struct rig *r, const char *why)
{
	CU_ASSERT_EQUAL(vfu_session_process(r->session), -ETIMEDOUT);
	CU_ASSERT_PTR_NOT_NULL(strstr(vfu_session_error(r->session), why));
}

/* Half a message, then silence: the device was the client's for ever. */
static void
test_half_a_message(void)
{
	static const size_t cuts[] = {1, 15, 16, 31};
	struct rig r;

	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		rig_open_version(&r);
		CU_ASSERT(!is_armed(&r));
		send_part(&r, 0, cuts[i]);
		CU_ASSERT_EQUAL(vfu_session_process(r.session), 0);
		time_is_over(&r);
		expect_end(&r, "the rest of a message");
		rig_close(&r);
	}
}

/* One byte now and then does not buy more time. */
static void
test_byte_by_byte(void)
{
	struct rig r;

	rig_open_version(&r);
	send_part(&r, 0, 1);
	CU_ASSERT_EQUAL(vfu_session_process(r.session), 0);
	time_is_over(&r);
	send_part(&r, 1, 2);
	expect_end(&r, "the rest of a message");
	rig_close(&r);
}

/* The host may be late itself: what has come in whole is answered, and each message has its time.
 */
static void
test_whole_messages_go_on(void)
{
	unsigned int n;
	int fds[64];
	struct rig r;

	rig_open_version(&r);
	send_part(&r, 0, 20);
	CU_ASSERT_EQUAL(vfu_session_process(r.session), 0);
	for (unsigned int i = 0; i < 5; i++) {
		time_is_over(&r);
		send_part(&r, 20, GET_INFO_LEN);
		send_part(&r, 0, 20);
		CU_ASSERT_EQUAL(vfu_session_process(r.session), 0);
		CU_ASSERT_EQUAL(rig_recv(r.peer, rig_reply, sizeof(rig_reply), fds, &n), 32);
	}
	send_part(&r, 20, GET_INFO_LEN);
	CU_ASSERT_EQUAL(vfu_session_process(r.session), 0);
	/* Between messages a client may be silent. */
	CU_ASSERT(!is_armed(&r));
	rig_close(&r);
}

/* A client that asks and does not read: the server never waits for it, and ends it. */
static void
test_unread_replies(void)
{
	const struct vfio_user_region_access read = {.region = 5, .count = 8192};
	struct vfio_user_header h = {
		.command = VFIO_USER_REGION_READ, .size = sizeof(h) + sizeof(read)};
	uint8_t request[sizeof(h) + sizeof(read)];
	struct rig r;

	memcpy(request, &h, sizeof(h));
	memcpy(request + sizeof(h), &read, sizeof(read));
	rig_open_version(&r);
	for (unsigned int i = 0; i < 10000 && r.session->out.len == 0; i++) {
		rig_send(r.peer, request, sizeof(request), NULL, 0);
		CU_ASSERT_EQUAL_FATAL(vfu_session_process(r.session), 0);
	}
	CU_ASSERT_NOT_EQUAL_FATAL(r.session->out.len, 0);
	CU_ASSERT_EQUAL(vfu_session_process(r.session), 0);
	time_is_over(&r);
	expect_end(&r, "did not take a reply");
	rig_close(&r);
}

/* The refusal is out: the session is over, though its time was up before it could look again. */
static void
test_refused_on_a_busy_machine(void)
{
	uint8_t request[20];
	struct rig r;

	rig_open(&r);
	rig_hex("01000100 14000000 00000000 00000000 01000100", request, sizeof(request));
	rig_send(r.peer, request, sizeof(request), NULL, 0);
	slow_machine = true;
	CU_ASSERT_EQUAL(vfu_session_process(r.session), -EINVAL);
	slow_machine = false;
	rig_close(&r);
}

/* Installed, or a client's pipe in the place of an eventfd: signals come back at once. */
static void
test_hostile_eventfd(void)
{
	struct vfio_user_irq_set set = {.argsz = 20,
		.flags = VFIO_USER_IRQ_DATA_EVENTFD | VFIO_USER_IRQ_ACTION_TRIGGER,
		.count = 1};
	const uint64_t full = UINT64_MAX - 1;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), ends[2];
	struct rig r;

	rig_open_version(&r);
	CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
	CU_ASSERT_EQUAL(
		rig_command(&r, VFIO_USER_DEVICE_SET_IRQS, &set, sizeof(set), &ends[1], 1), EINVAL);
	CU_ASSERT(!vfu_session_has_irq(r.session, 0, 0));
	CU_ASSERT_EQUAL(rig_command(&r, VFIO_USER_DEVICE_SET_IRQS, &set, sizeof(set), &fd, 1), 0);
	hostile_fd = fd;
	alarm(10); /* ends the test where the server waits */
	CU_ASSERT_EQUAL(vfu_session_signal_channel(r.session, 0), 0);
	hostile_fd = -1;
	/* Full and blocking all along. */
	if (fcntl(fd, F_GETFL) & O_NONBLOCK)
		CU_ASSERT_EQUAL(write(fd, &(const uint64_t){full - 1}, sizeof(full)), sizeof(full));
	CU_ASSERT_EQUAL(fcntl(fd, F_SETFL, 0), 0);
	for (unsigned int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(vfu_session_signal_channel(r.session, 0), 0);
	alarm(0);
	close(ends[0]);
	close(ends[1]);
	close(fd);
	rig_close(&r);
}

/* The device says how many eventfds a client may leave with the host. */
static void
test_too_many_eventfds(void)
{
	struct vfio_user_irq_set set = {.argsz = 20,
		.flags = VFIO_USER_IRQ_DATA_EVENTFD | VFIO_USER_IRQ_ACTION_TRIGGER,
		.count = 2};
	int fds[2] = {eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC)};
	struct rig r;

	rig_open_version(&r);
	r.d.device.max_irq_fds = 3;
	CU_ASSERT_EQUAL(rig_command(&r, VFIO_USER_DEVICE_SET_IRQS, &set, sizeof(set), fds, 2), 0);
	set.start = 2;
	CU_ASSERT_EQUAL(
		rig_command(&r, VFIO_USER_DEVICE_SET_IRQS, &set, sizeof(set), fds, 2), ENOSPC);
	/* In the place of others they cost nothing. */
	set.start = 1;
	CU_ASSERT_EQUAL(rig_command(&r, VFIO_USER_DEVICE_SET_IRQS, &set, sizeof(set), fds, 2), 0);
	set.index = 1;
	set.start = 0;
	set.count = 1;
	CU_ASSERT_EQUAL(
		rig_command(&r, VFIO_USER_DEVICE_SET_IRQS, &set, sizeof(set), fds, 1), ENOSPC);
	close(fds[0]);
	close(fds[1]);
	rig_close(&r);
}

/* ---- descriptors of a reply for which the socket has no room ---- */

/* Ask for the doorbells without reading, until a reply waits. @return replies that are in the
 * socket */
static unsigned int
ask_until_a_reply_waits(struct rig *r)
{
	const struct vfio_user_io_fds io = {.argsz = 4096, .index = 6};
	const struct vfio_user_header h = {
		.command = VFIO_USER_DEVICE_GET_REGION_IO_FDS, .size = sizeof(h) + sizeof(io)};
	uint8_t request[sizeof(h) + sizeof(io)];
	unsigned int n = 0;
	int small = 1;

	CU_ASSERT_EQUAL(
		setsockopt(r->session->sock, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	memcpy(request, &h, sizeof(h));
	memcpy(request + sizeof(h), &io, sizeof(io));
	for (;;) {
		rig_send(r->peer, request, sizeof(request), NULL, 0);
		r->end = vfu_session_process(r->session);
		if (r->end != 0 || r->session->out.len != 0)
			return n;
		CU_ASSERT_FATAL(++n < 1000);
	}
}

/* @return descriptors that came with the next reply, [1] of which is in @p fd; 0: no reply is there
 */
static unsigned int
next_reply(struct rig *r, int *fd)
{
	unsigned int n;
	int fds[64];

	if (rig_recv(r->peer, rig_reply, sizeof(rig_reply), fds, &n) <= 0)
		return 0;
	CU_ASSERT_EQUAL_FATAL(n, 2);
	close(fds[0]);
	*fd = fds[1];
	return n;
}

static void
test_descriptors_of_a_reply_that_waits_are_kept(void)
{
	uint64_t value = 7;
	unsigned int n, i;
	struct rig r;
	int fd = -1;

	rig_open_version(&r);
	n = ask_until_a_reply_waits(&r);
	CU_ASSERT_EQUAL(r.end, 0);
	CU_ASSERT_EQUAL(r.session->out.sent, 0);
	/* The device has another one now; the old one is known by its count. */
	CU_ASSERT_EQUAL(write(r.d.doorbell[1], &value, sizeof(value)), sizeof(value));
	close(r.d.doorbell[1]);
	r.d.doorbell[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (i = 0; i < n; i++) {
		CU_ASSERT_EQUAL_FATAL(next_reply(&r, &fd), 2);
		close(fd);
	}
	CU_ASSERT_EQUAL(vfu_session_process(r.session), 0);
	CU_ASSERT_EQUAL_FATAL(next_reply(&r, &fd), 2);
	value = 0;
	CU_ASSERT_EQUAL(read(fd, &value, sizeof(value)), sizeof(value));
	CU_ASSERT_EQUAL(value, 7);
	close(fd);
	CU_ASSERT_EQUAL(r.session->out.len, 0);
	CU_ASSERT_EQUAL(next_reply(&r, &fd), 0);
	rig_close(&r);
}

static void
test_who_leaves_with_a_reply_that_waits_leaves_no_descriptor(void)
{
	unsigned int before = rig_count_fds();
	struct rig r;

	rig_open_version(&r);
	ask_until_a_reply_waits(&r);
	CU_ASSERT_EQUAL(r.end, 0);
	rig_close(&r);
	CU_ASSERT_EQUAL(rig_count_fds(), before);
}

static void
test_a_reply_whose_descriptors_cannot_be_kept_ends_the_session(void)
{
	unsigned int before = rig_count_fds(), left;
	struct rlimit limit, few;
	struct rig r;
	int free_fd;

	for (left = 0; left < 2; left++) {
		rig_open_version(&r);
		/* None is left, or one where two are needed. */
		free_fd = eventfd(0, EFD_CLOEXEC);
		close(free_fd);
		CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_NOFILE, &limit), 0);
		few = limit;
		few.rlim_cur = (rlim_t)free_fd + left;
		CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &few), 0);
		ask_until_a_reply_waits(&r);
		CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &limit), 0);
		CU_ASSERT_EQUAL(r.end, -EMFILE);
		CU_ASSERT_PTR_NOT_NULL(strstr(vfu_session_error(r.session), "descriptors"));
		rig_close(&r);
		CU_ASSERT_EQUAL(rig_count_fds(), before);
	}
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"half a message, then silence", test_half_a_message},
		{"byte by byte", test_byte_by_byte},
		{"whole messages go on", test_whole_messages_go_on},
		{"replies that nobody reads", test_unread_replies},
		{"VERSION refused on a busy machine", test_refused_on_a_busy_machine},
		{"an eventfd made to block", test_hostile_eventfd},
		{"too many eventfds", test_too_many_eventfds},
		{"descriptors of a reply that waits are kept",
			test_descriptors_of_a_reply_that_waits_are_kept},
		{"who leaves with a reply that waits leaves no descriptor",
			test_who_leaves_with_a_reply_that_waits_leaves_no_descriptor},
		{"a reply whose descriptors cannot be kept ends the session",
			test_a_reply_whose_descriptors_cannot_be_kept_ends_the_session},
	};

	return UNIT_RUN("vfio-user patience", tests);
}
