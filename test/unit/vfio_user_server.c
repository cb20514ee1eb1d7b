/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The server's end of the protocol, with raw bytes: VERSION, frames and what belongs to them
 * (spec/vmbus-over-vfio-user.md §1-§5, §17).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test/unit/unit.h"
#include "test/unit/vfio_user_rig.h"

/* Send hex, compare the reply with hex. @return descriptors in the reply (closed) */
static unsigned int
exchange(struct rig *r, const char *request, const char *reply)
{
	uint8_t bytes[4096], want[4096];
	size_t len = rig_hex(request, bytes, sizeof(bytes));
	size_t want_len = rig_hex(reply, want, sizeof(want));
	unsigned int n;

	rig_send(r->peer, bytes, len, NULL, 0);
	r->end = vfu_session_process(r->session);
	rig_reply_len =
		rig_recv(r->peer, rig_reply, sizeof(rig_reply), rig_reply_fds, &rig_reply_n_fds);
	CU_ASSERT_EQUAL(rig_reply_len, (long)want_len);
	if (rig_reply_len == (long)want_len)
		CU_ASSERT_EQUAL(memcmp(rig_reply, want, want_len), 0);
	n = rig_reply_n_fds;
	rig_reply_close_fds();
	return n;
}

/* The session ended without a reply. */
static void
expect_closed(struct rig *r, int err)
{
	unsigned int n;
	uint8_t byte;
	int fds[64];

	CU_ASSERT_EQUAL(vfu_session_process(r->session), err);
	vfu_session_close(r->session);
	r->session = NULL;
	CU_ASSERT_EQUAL(rig_recv(r->peer, &byte, 1, fds, &n), 0);
}

static void
test_version(void)
{
	struct rig r;

	rig_open_version(&r);
	/* §3: the reply names what was proposed. */
	CU_ASSERT_EQUAL(memcmp(rig_reply, "\x01\x00\x01\x00", 4), 0);
	CU_ASSERT_EQUAL(memcmp(rig_reply + 16, "\x00\x00\x01\x00", 4), 0);
	CU_ASSERT_STRING_EQUAL((char *)rig_reply + 20,
		"{\"capabilities\":{\"max_msg_fds\":16,\"max_data_xfer_size\":65536,"
		"\"max_dma_maps\":65535,\"pgsizes\":4096}}");
	CU_ASSERT_EQUAL(rig_reply_len, (long)(21 + strlen((char *)rig_reply + 20)));
	CU_ASSERT_EQUAL(r.d.opened, 1);
	rig_close(&r);

	/* Without JSON; minor 7 is answered with ours, minor 0 with 0. */
	rig_open(&r);
	exchange(&r, "01000100 14000000 00000000 00000000 00000700",
		"01000100 14000000 01000000 00000000 00000100");
	rig_close(&r);
	rig_open(&r);
	exchange(&r, "01000100 14000000 00000000 00000000 00000000",
		"01000100 14000000 01000000 00000000 00000000");
	rig_close(&r);
}

static void
test_version_major_1(void)
{
	struct rig r;
	uint8_t byte;
	unsigned int n;
	int fds[64];

	rig_open(&r);
	exchange(&r, "01000100 14000000 00000000 00000000 01000100",
		"01000100 10000000 21000000 16000000");
	CU_ASSERT_EQUAL(r.end, -EINVAL);
	CU_ASSERT_EQUAL(r.d.opened, 0);
	vfu_session_close(r.session);
	r.session = NULL;
	CU_ASSERT_EQUAL(rig_recv(r.peer, &byte, 1, fds, &n), 0);
	rig_close(&r);
}

static void
test_version_refused_by_device(void)
{
	struct rig r;

	rig_open(&r);
	r.d.open_error = -ENOMEM;
	exchange(&r, "01000100 14000000 00000000 00000000 00000100",
		"01000100 10000000 21000000 0c000000");
	CU_ASSERT_EQUAL(r.end, -ENOMEM);
	rig_close(&r);
}

static void
test_version_json(void)
{
	static const struct {
		const char *json;
		int want;
	} cases[] = {
		{"{}", 0},
		{"{ \"capabilities\" : { \"max_msg_fds\" : 0 } }", 0},
		{"{\"capabilities\":{\"unknown\":[1,2,{\"a\":null}]},\"other\":3}", 0},
		{"{\"capabilities\":{\"pgsizes\":18446744073709547520}}", 0},
		{"{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1}}}}}}}", 0},
		{"{\"capabilities\":{\"max_msg_fds\":1024}} ", 0},
		{"", EINVAL},
		{"[]", EINVAL},
		{"{\"capabilities\":[]}", EINVAL},
		{"{\"capabilities\":{\"max_msg_fds\":\"8\"}}", EINVAL},
		{"{\"capabilities\":{\"max_msg_fds\":8.5}}", EINVAL},
		{"{\"capabilities\":{\"max_msg_fds\":-1}}", EINVAL},
		{"{\"capabilities\":{\"max_msg_fds\":1025}}", EINVAL},
		{"{\"capabilities\":{\"max_data_xfer_size\":4095}}", EINVAL},
		{"{\"capabilities\":{\"max_dma_maps\":0}}", EINVAL},
		{"{\"capabilities\":{\"max_dma_maps\":65536}}", EINVAL},
		{"{\"capabilities\":{\"pgsizes\":8192}}", EINVAL},
		{"{\"capabilities\":{\"max_msg_fds\":8}", EINVAL},
		{"{\"capabilities\":{}} trailing", EINVAL},
		{"{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1}}}}}}}}}",
			EINVAL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t payload[512] = {0, 0, 1, 0};
		size_t len = strlen(cases[i].json) + 1;
		struct rig r;
		int got;

		rig_open(&r);
		memcpy(payload + 4, cases[i].json, len);
		got = rig_command(&r, VFIO_USER_VERSION, payload, 4 + len, NULL, 0);
		if (got != cases[i].want)
			printf("\n    %s: %d\n", cases[i].json, got);
		CU_ASSERT_EQUAL(got, cases[i].want);
		CU_ASSERT_EQUAL(r.end, -cases[i].want);
		rig_close(&r);

		/* The last byte must be the NUL. */
		rig_open(&r);
		CU_ASSERT_EQUAL(rig_command(&r, VFIO_USER_VERSION, payload, 4 + len - 1, NULL, 0),
			len > 1 ? EINVAL : 0);
		rig_close(&r);
	}

	/* 4097 bytes. */
	static uint8_t large[4 + 4097] = {0, 0, 1, 0};
	struct rig r;

	memset(large + 4, ' ', 4096);
	large[4] = '{';
	large[4 + 4095] = '}';
	rig_open(&r);
	CU_ASSERT_EQUAL(rig_command(&r, VFIO_USER_VERSION, large, sizeof(large), NULL, 0), EINVAL);
	rig_close(&r);
}

static void
test_golden_replies(void)
{
	struct rig r;

	rig_open_version(&r);
	CU_ASSERT_EQUAL(exchange(&r,
				"02000400 20000000 00000000 00000000"
				"10000000 00000000 00000000 00000000",
				"02000400 20000000 01000000 00000000"
				"10000000 01000000 14000000 02000000"),
		0);
	CU_ASSERT_EQUAL(exchange(&r,
				"03000500 30000000 00000000 00000000 00100000 00000000 00000000"
				"00000000 00000000 00000000 00000000 00000000",
				"03000500 40000000 01000000 00000000 30000000 0f000000 00000000"
				"20000000 00004000 00000000 00000000 00000000 02000100 00000000"
				"14140080 01000000"),
		1);
	CU_ASSERT_EQUAL(exchange(&r,
				"0b000900 20000000 00000000 00000000"
				"00000000 00000000 05000000 10000000",
				"0b000900 30000000 01000000 00000000 00000000 00000000 05000000"
				"10000000 564d4244 01000000 00020000 02000000"),
		0);
	CU_ASSERT_EQUAL(exchange(&r, "0c000d00 10000000 00000000 00000000",
				"0c000d00 10000000 01000000 00000000"),
		0);
	CU_ASSERT_EQUAL(r.d.resets, 1);
	/* IRQ info of both, and of none. */
	CU_ASSERT_EQUAL(exchange(&r,
				"0d000700 20000000 00000000 00000000"
				"10000000 00000000 00000000 00000000",
				"0d000700 20000000 01000000 00000000"
				"10000000 01000000 00000000 04000000"),
		0);
	exchange(&r, "0d000700 20000000 00000000 00000000 10000000 00000000 02000000 00000000",
		"0d000700 10000000 21000000 16000000");
	rig_close(&r);
}

static void
test_golden_requests(void)
{
	uint8_t bytes[64];
	struct rig r;
	int fd, ro, efd;
	char path[64];
	uint64_t value = 0;

	rig_open_version(&r);
	efd = eventfd(0, EFD_CLOEXEC);
	rig_send(r.peer, bytes,
		rig_hex("07000800 24000000 00000000 00000000 14000000 24000000 01000000 00000000"
			"01000000",
			bytes, sizeof(bytes)),
		&efd, 1);
	CU_ASSERT_EQUAL(vfu_session_process(r.session), 0);
	CU_ASSERT_EQUAL(
		rig_recv(r.peer, bytes, sizeof(bytes), rig_reply_fds, &rig_reply_n_fds), 16);
	CU_ASSERT_TRUE(vfu_session_has_irq(r.session, 1, 0));
	CU_ASSERT_FALSE(vfu_session_has_irq(r.session, 0, 0));
	/* The library made it non-blocking, whatever the client did. */
	CU_ASSERT_TRUE(fcntl(efd, F_GETFL) & O_NONBLOCK);
	CU_ASSERT_EQUAL(vfu_session_signal(r.session, 1, 0), 0);
	CU_ASSERT_EQUAL(read(efd, &value, 8), 8);
	CU_ASSERT_EQUAL(value, 1);
	close(efd);

	fd = rig_memfd(4u << 20);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	rig_send(r.peer, bytes,
		rig_hex("09000200 30000000 00000000 00000000 20000000 01000000 00002000 00000000"
			"00002080 11000000 00002000 00000000",
			bytes, sizeof(bytes)),
		&ro, 1);
	CU_ASSERT_EQUAL(vfu_session_process(r.session), 0);
	CU_ASSERT_EQUAL(
		rig_recv(r.peer, bytes, sizeof(bytes), rig_reply_fds, &rig_reply_n_fds), 16);
	CU_ASSERT_EQUAL(r.d.n_maps, 1);
	CU_ASSERT_EQUAL(r.d.map[0].iova, 0x1180200000);
	CU_ASSERT_EQUAL(r.d.map[0].size, 0x200000);
	CU_ASSERT_EQUAL(r.d.map[0].offset, 0x200000);
	CU_ASSERT_EQUAL(r.d.map[0].flags, 1);
	close(ro);
	close(fd);
	exchange(&r,
		"0a000300 28000000 00000000 00000000 18000000 00000000 00002080 11000000"
		"00002000 00000000",
		"0a000300 28000000 01000000 00000000 18000000 00000000 00002080 11000000"
		"00002000 00000000");
	CU_ASSERT_EQUAL(r.d.n_maps, 0);
	rig_close(&r);
}

static void
test_one_byte_sends(void)
{
	struct rig r;
	uint8_t info[32], two[64];

	rig_open_version(&r);
	rig_hex("02000400 20000000 00000000 00000000 10000000 00000000 00000000 00000000", info,
		sizeof(info));
	for (size_t i = 0; i < sizeof(info); i++) {
		CU_ASSERT_EQUAL(
			rig_recv(r.peer, rig_reply, 64, rig_reply_fds, &rig_reply_n_fds), -1);
		rig_send(r.peer, info + i, 1, NULL, 0);
		CU_ASSERT_EQUAL(vfu_session_process(r.session), 0);
	}
	CU_ASSERT_EQUAL(rig_recv(r.peer, rig_reply, 64, rig_reply_fds, &rig_reply_n_fds), 32);

	/* Two messages in one send. */
	memcpy(two, info, 32);
	memcpy(two + 32, info, 32);
	two[32] = 3;
	rig_send(r.peer, two, sizeof(two), NULL, 0);
	CU_ASSERT_EQUAL(vfu_session_process(r.session), 0);
	CU_ASSERT_EQUAL(rig_recv(r.peer, rig_reply, 32, rig_reply_fds, &rig_reply_n_fds), 32);
	CU_ASSERT_EQUAL(rig_reply[0], 2);
	CU_ASSERT_EQUAL(rig_recv(r.peer, rig_reply, 32, rig_reply_fds, &rig_reply_n_fds), 32);
	CU_ASSERT_EQUAL(rig_reply[0], 3);
	rig_close(&r);
}

/* A (no fd) and B with its fd are queued together: B keeps its fd, A gets none. */
static void
test_fd_of_the_second_message(void)
{
	struct rig r;
	uint8_t info[32], set[36];
	int efd = eventfd(0, EFD_CLOEXEC);

	rig_open_version(&r);
	rig_hex("02000400 20000000 00000000 00000000 10000000 00000000 00000000 00000000", info,
		sizeof(info));
	rig_hex("07000800 24000000 00000000 00000000 14000000 24000000 00000000 02000000 01000000",
		set, sizeof(set));
	rig_send(r.peer, info, sizeof(info), NULL, 0);
	/* Its header in two pieces, the fd with the first. */
	rig_send(r.peer, set, 5, &efd, 1);
	rig_send(r.peer, set + 5, sizeof(set) - 5, NULL, 0);
	CU_ASSERT_EQUAL(vfu_session_process(r.session), 0);
	CU_ASSERT_TRUE(vfu_session_has_irq(r.session, 0, 2));
	CU_ASSERT_EQUAL(rig_recv(r.peer, rig_reply, 64, rig_reply_fds, &rig_reply_n_fds), 32 + 16);
	close(efd);
	rig_close(&r);
}

static void
test_close_without_reply(void)
{
	static const char *const headers[] = {
		"02000400 0f000000 00000000 00000000", /* size 15 */
		"02000400 00000000 00000000 00000000",
		"02000400 21000100 00000000 00000000", /* size 65569 */
		"02000400 ffffffff 00000000 00000000",
		"02000400 20000000 02000000 00000000", /* type 2 */
		"02000400 20000000 01000000 00000000", /* a reply */
		"02000100 14000000 00000000 00000000", /* second VERSION */
	};
	uint8_t bytes[64];
	struct rig r;
	int fds[17];

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		rig_open_version(&r);
		rig_send(r.peer, bytes, rig_hex(headers[i], bytes, sizeof(bytes)), NULL, 0);
		expect_closed(&r, -EPROTO);
		rig_close(&r);
	}
	/* Another first command. */
	rig_open(&r);
	rig_send(r.peer, bytes,
		rig_hex("02000d00 10000000 00000000 00000000", bytes, sizeof(bytes)), NULL, 0);
	expect_closed(&r, -EPROTO);
	rig_close(&r);

	/* End of file inside a header, inside a body, between messages. */
	rig_hex("02000400 20000000 00000000 00000000 10000000", bytes, sizeof(bytes));
	for (unsigned int len = 0; len <= 20; len += 10) {
		rig_open_version(&r);
		if (len > 0)
			rig_send(r.peer, bytes, len, NULL, 0);
		shutdown(r.peer, SHUT_WR);
		expect_closed(&r, len == 0 ? -ECONNRESET : -EPROTO);
		rig_close(&r);
	}

	/* 17 fds at once; 9 + 9 in two pieces of a header; one with the body. */
	for (unsigned int i = 0; i < 17; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	unsigned int before = rig_count_fds();

	rig_hex("07000800 24000000 00000000 00000000 14000000 24000000 00000000 00000000 11000000",
		bytes, sizeof(bytes));
	rig_open_version(&r);
	rig_send(r.peer, bytes, 36, fds, 17);
	expect_closed(&r, -EPROTO);
	rig_close(&r);
	rig_open_version(&r);
	rig_send(r.peer, bytes, 8, fds, 9);
	rig_send(r.peer, bytes + 8, 28, fds, 9);
	expect_closed(&r, -EPROTO);
	rig_close(&r);
	rig_open_version(&r);
	rig_send(r.peer, bytes, 16, NULL, 0);
	rig_send(r.peer, bytes + 16, 20, fds, 1);
	expect_closed(&r, -EPROTO);
	rig_close(&r);
	CU_ASSERT_EQUAL(rig_count_fds(), before);
	for (unsigned int i = 0; i < 17; i++)
		close(fds[i]);
}

static void
test_no_reply(void)
{
	struct rig r;
	uint8_t bytes[32];

	rig_open_version(&r);
	/* RESET without reply, an error without reply, a region fd without reply, then RESET. */
	rig_send(r.peer, bytes,
		rig_hex("01000d00 10000000 10000000 00000000", bytes, sizeof(bytes)), NULL, 0);
	rig_send(r.peer, bytes,
		rig_hex("02000700 14000000 10000000 00000000 00000000", bytes, sizeof(bytes)), NULL,
		0);
	exchange(&r, "03000d00 10000000 00000000 00000000", "03000d00 10000000 01000000 00000000");
	CU_ASSERT_EQUAL(r.d.resets, 2);
	rig_close(&r);
}

static void
test_version_deadline(void)
{
	struct pollfd pfd;
	struct rig r;

	rig_open(&r);
	rig_send(r.peer, "\x01\x00\x01", 3, NULL, 0);
	CU_ASSERT_EQUAL(vfu_session_process(r.session), 0);
	pfd = (struct pollfd){.fd = vfu_session_fd(r.session), .events = POLLIN};
	CU_ASSERT_EQUAL(poll(&pfd, 1, 7000), 1);
	CU_ASSERT_EQUAL(vfu_session_process(r.session), -ETIMEDOUT);
	CU_ASSERT_EQUAL(vfu_session_process(r.session), -ETIMEDOUT);
	rig_close(&r);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"VERSION", test_version},
		{"VERSION with major 1", test_version_major_1},
		{"VERSION refused by the device", test_version_refused_by_device},
		{"VERSION: JSON", test_version_json},
		{"golden replies", test_golden_replies},
		{"golden requests", test_golden_requests},
		{"one byte at a time, two at once", test_one_byte_sends},
		{"an fd belongs to its message", test_fd_of_the_second_message},
		{"framing errors close without reply", test_close_without_reply},
		{"no_reply", test_no_reply},
		{"no VERSION within 5 s", test_version_deadline},
		{"no descriptor left open", rig_test_no_descriptor_left},
	};

	return RIG_RUN("vfio-user server", tests);
}
