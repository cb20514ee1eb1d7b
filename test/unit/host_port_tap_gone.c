/* SPDX-License-Identifier: BSD-3-Clause */
/* Port tap when its device is deleted, on real TAPs in a network namespace of the test's own. */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test/unit/host_port.h"
#include "test/unit/unit.h"

/* @return 0 or what the kernel said */
static int
interface_delete(const char *name)
{
	struct {
		struct nlmsghdr head;
		struct ifinfomsg link;
	} request = {
		.head = {.nlmsg_len = sizeof(request),
			.nlmsg_type = RTM_DELLINK,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
		.link = {.ifi_index = (int)if_nametoindex(name)},
	};
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
		uint8_t rest[256];
	} answer = {.error = {.error = -EIO}};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	CU_ASSERT_FATAL(fd >= 0 && request.link.ifi_index != 0);
	CU_ASSERT_EQUAL(send(fd, &request, sizeof(request), 0), (ssize_t)sizeof(request));
	CU_ASSERT(recv(fd, &answer, sizeof(answer), 0) > (ssize_t)sizeof(answer.head));
	close(fd);
	return answer.error.error;
}

/* As a worker does: receive when woken, and ask anew what to wait for. */
static void
deleted_tap_wakes_nobody(const char *spec)
{
	struct host_port *tap = open_port(spec);
	struct rlimit before, none;
	uint8_t room[2048];
	struct host_frame frame = {.data = room, .room = sizeof(room)};
	struct host_port_stats stats;
	struct pollfd readable;

	readable = (struct pollfd){tap->ops->fd(tap), POLLIN, 0};
	CU_ASSERT(readable.fd >= 0);
	CU_ASSERT_EQUAL(interface_delete("hpt0"), 0);
	CU_ASSERT_EQUAL(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){(rlim_t)readable.fd + 1, before.rlim_max};
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &none), 0);
	while (dup(STDERR_FILENO) >= 0)
		;
	CU_ASSERT_EQUAL(errno, EMFILE);

	CU_ASSERT_EQUAL(poll(&readable, 1, 30000), 1);
	CU_ASSERT_EQUAL(tap->ops->receive(tap, &frame, 1), 0);
	readable = (struct pollfd){tap->ops->fd(tap), POLLIN, 0};
	CU_ASSERT_EQUAL(poll(&readable, 1, 0), 0);
	CU_ASSERT_EQUAL(tap->ops->deadline(tap), UINT64_MAX);

	/* What the guest sends is lost, and counted. */
	memset(room, 0, sizeof(room));
	frame.len = 60;
	tap->ops->send(tap, &frame, 1);
	tap->ops->stats(tap, &stats);
	CU_ASSERT_TRUE(stats.finished);
	CU_ASSERT_EQUAL(stats.tx_dropped_error, 1);
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &before), 0);
	tap->ops->close(tap);
}

static void
deleted_tap_wakes_nobody_when_no_descriptor_is_left(void)
{
	deleted_tap_wakes_nobody("tap:hpt0");
}

static void
deleted_tap_with_headers_wakes_nobody_when_no_descriptor_is_left(void)
{
	deleted_tap_wakes_nobody("tap:hpt0,vnet=on");
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"deleted TAP wakes nobody when no descriptor is left",
			deleted_tap_wakes_nobody_when_no_descriptor_is_left},
		{"deleted TAP with headers wakes nobody when no descriptor is left",
			deleted_tap_with_headers_wakes_nobody_when_no_descriptor_is_left},
	};

	if ((unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) ||
		access("/dev/net/tun", R_OK | W_OK) != 0) {
		fprintf(stderr, "skipped: no network namespace or no /dev/net/tun: %s\n",
			strerror(errno));
		return 77;
	}
	return UNIT_RUN("host_port_tap_gone", tests);
}
