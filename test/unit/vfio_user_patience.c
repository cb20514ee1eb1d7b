/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long the server waits for a client: VERSION, the rest of a message, a reply that is not read
 * (spec/vmbus-over-vfio-user.md §5, §15). No test waits for the five seconds: they are taken from
 * the session's timer.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/vfio_user/session.h"
#include "test/unit/unit.h"
#include "test/unit/vfio_user_rig.h"

/* GET_INFO, 32 bytes. */
#define GET_INFO     "02000400 20000000 00000000 00000000 10000000 00000000 00000000 00000000"
#define GET_INFO_LEN 32u

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

int
main(void)
{
	static const struct unit_test tests[] = {
		{"half a message, then silence", test_half_a_message},
		{"byte by byte", test_byte_by_byte},
		{"whole messages go on", test_whole_messages_go_on},
		{"replies that nobody reads", test_unread_replies},
	};

	return UNIT_RUN("vfio-user patience", tests);
}
