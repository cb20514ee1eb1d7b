/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The client against servers that are silent, slow or talk too much: no call takes longer than its
 * operation, and a write that wants no reply waits for nothing at all.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/vfio_user/client.h"
#include "lib/vfio_user/vfio_user.h"
#include "lib/vmbus/clock.h"
#include "test/unit/unit.h"
#include "test/unit/vfio_user_rig.h"

/* A call that waits for the peer for ever ends the program. */
#define HANGS_S	  60
#define DOORBELLS 6u

/* A client whose server is the test itself, behind VERSION. */
static struct vfu_client *
attach_raw(int *peer)
{
	struct vfu_client *client = NULL;
	uint8_t hello[20], request[512];
	char err[VFU_ERRLEN];
	int pair[2];

	CU_ASSERT_EQUAL_FATAL(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	rig_hex("01000100 14000000 01000000 00000000 00000100", hello, sizeof(hello));
	CU_ASSERT_EQUAL(write(pair[1], hello, sizeof(hello)), sizeof(hello));
	CU_ASSERT_EQUAL_FATAL(vfu_client_attach(pair[0], &client, err, sizeof(err)), 0);
	CU_ASSERT(read(pair[1], request, sizeof(request)) > 100);
	*peer = pair[1];
	return client;
}

static void
reply(int peer, const char *hex)
{
	uint8_t bytes[256];
	size_t n = rig_hex(hex, bytes, sizeof(bytes));

	CU_ASSERT_EQUAL(write(peer, bytes, n), (ssize_t)n);
}

/* Take @p len bytes, waiting for them; @return how many came before the end or 10 s of nothing. */
static size_t
take(int peer, void *bytes, size_t len)
{
	struct pollfd pfd = {.fd = peer, .events = POLLIN};
	size_t have = 0;

	while (have < len && poll(&pfd, 1, 10000) == 1) {
		ssize_t got = read(peer, (uint8_t *)bytes + have, len - have);

		if (got <= 0)
			break;
		have += (size_t)got;
	}
	return have;
}

struct post {
	struct vfio_user_header h;
	struct vfio_user_region_access access;
	uint32_t value;
};
#define POST_LEN 36u

/* Take one message, which must be a post. @return its word, or -1 */
static int
take_post(int peer)
{
	struct post p;

	if (take(peer, &p, POST_LEN) != POST_LEN)
		return -1;
	CU_ASSERT_EQUAL(p.h.command, VFIO_USER_REGION_WRITE);
	CU_ASSERT_EQUAL(p.h.size, POST_LEN);
	CU_ASSERT_EQUAL(p.h.flags, VFIO_USER_NO_REPLY);
	CU_ASSERT_EQUAL(p.h.error, 0);
	CU_ASSERT_EQUAL(p.access.region, DOORBELLS);
	CU_ASSERT_EQUAL(p.access.count, 4);
	CU_ASSERT_EQUAL(p.value, 1);
	return (int)(p.access.offset / 4);
}

static bool
nothing_there(int peer)
{
	struct pollfd pfd = {.fd = peer, .events = POLLIN};

	return poll(&pfd, 1, 0) == 0;
}

/* ---- operations ---- */

/* The bound is the operation's, not that of each request. */
static void
test_silent_host(void)
{
	int64_t began = monotonic_ms();
	struct vfu_client *client;
	int peer;

	client = attach_raw(&peer);
	vfu_client_set_deadline(client, began + 300);
	CU_ASSERT_EQUAL(vfu_client_reset(client), -ETIMEDOUT); /* 30 s by itself */
	CU_ASSERT(monotonic_ms() - began >= 300);
	CU_ASSERT(monotonic_ms() - began < 20000);
	CU_ASSERT_EQUAL(vfu_client_reset(client), -ENOTCONN);
	vfu_client_close(client);
	close(peer);
}

static void *
answer_late(void *arg)
{
	uint8_t request[64];
	int peer = *(int *)arg;

	CU_ASSERT_EQUAL(take(peer, request, 32), 32);
	poll(NULL, 0, 5500); /* more than any request may take by itself */
	reply(peer, "02000400 20000000 01000000 00000000 10000000 01000000 14000000 02000000");
	return NULL;
}

static void
test_late_answer_within_the_operation(void)
{
	struct vfu_device_info info;
	struct vfu_client *client;
	pthread_t thread;
	int peer;

	client = attach_raw(&peer);
	vfu_client_set_deadline(client, monotonic_ms() + 60000);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, answer_late, &peer), 0);
	CU_ASSERT_EQUAL(vfu_client_device_info(client, &info), 0);
	CU_ASSERT_EQUAL(info.num_regions, 20);
	pthread_join(thread, NULL);
	vfu_client_close(client);
	close(peer);
}

static int talkative = -1; /* a socket that has always one more command for us */

/* In the place of the C library's: the socket is never found empty, whoever is the faster. */
ssize_t
recvmsg(int sock, struct msghdr *msg, int flags)
{
	static const struct vfio_user_header h = {
		1, VFIO_USER_DMA_WRITE, sizeof(h), VFIO_USER_NO_REPLY | VFIO_USER_TYPE_COMMAND, 0};

	if (sock != talkative)
		return syscall(SYS_recvmsg, sock, msg, flags);
	CU_ASSERT_EQUAL_FATAL(msg->msg_iov[0].iov_len, sizeof(h));
	memcpy(msg->msg_iov[0].iov_base, &h, sizeof(h));
	msg->msg_controllen = 0;
	msg->msg_flags = 0;
	return sizeof(h);
}

/* A server that always has something else to say never leaves the client a moment to look up. */
static void
test_talkative_host(void)
{
	int64_t began = monotonic_ms();
	struct vfu_client *client;
	int peer;

	client = attach_raw(&peer);
	talkative = vfu_client_fd(client);
	vfu_client_set_deadline(client, began + 300);
	alarm(HANGS_S);
	CU_ASSERT_EQUAL(vfu_client_reset(client), -ETIMEDOUT);
	alarm(0);
	talkative = -1;
	CU_ASSERT(monotonic_ms() - began < 20000);
	vfu_client_close(client);
	close(peer);
}

static void *
ask(void *arg)
{
	struct vfu_device_info info;

	return (void *)(intptr_t)vfu_client_device_info(arg, &info);
}

/* Another thread ends a wait that would last. */
static void
test_abort(void)
{
	struct vfu_client *client;
	uint8_t request[32];
	pthread_t thread;
	void *ret;
	int peer;

	client = attach_raw(&peer);
	vfu_client_set_deadline(client, monotonic_ms() + HANGS_S * 1000);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, ask, client), 0);
	CU_ASSERT_EQUAL(take(peer, request, sizeof(request)), sizeof(request));
	vfu_client_abort(client);
	pthread_join(thread, &ret);
	CU_ASSERT_EQUAL((intptr_t)ret, -ECONNRESET);
	vfu_client_close(client);
	close(peer);
}

/* ---- posts ---- */

/* A host that reads nothing: no post waits, and none is lost when it reads again. */
static void
test_post_to_a_full_socket(void)
{
	unsigned int count[64] = {0}, total = 0;
	struct vfu_client *client;
	int peer, word;

	client = attach_raw(&peer);
	alarm(HANGS_S);
	for (int i = 0; i < 100000; i++)
		vfu_client_post(client, DOORBELLS, 3, 4 * 3);
	for (unsigned int k = 0; k < 64; k++)
		vfu_client_post(client, DOORBELLS, k, 4 * k);
	CU_ASSERT_FALSE(vfu_client_repost(client));
	alarm(0);
	while (!nothing_there(peer)) {
		word = take_post(peer);
		CU_ASSERT_FATAL(word >= 0 && word < 64);
		count[word]++;
		total++;
	}
	CU_ASSERT(total < 100000);
	CU_ASSERT_EQUAL(count[5], 0);
	CU_ASSERT_TRUE(vfu_client_repost(client));
	while (!nothing_there(peer)) {
		word = take_post(peer);
		CU_ASSERT_FATAL(word >= 0 && word < 64);
		count[word]++;
	}
	for (unsigned int k = 0; k < 64; k++)
		CU_ASSERT(count[k] >= 1);
	vfu_client_close(client);
	close(peer);
}

/* A request in progress holds no post back. */
static void
test_post_during_a_request(void)
{
	struct vfu_client *client;
	uint8_t request[32];
	pthread_t thread;
	void *ret;
	int peer;

	client = attach_raw(&peer);
	vfu_client_set_deadline(client, monotonic_ms() + HANGS_S * 1000);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, ask, client), 0);
	CU_ASSERT_EQUAL(take(peer, request, sizeof(request)), sizeof(request));
	alarm(HANGS_S);
	vfu_client_post(client, DOORBELLS, 2, 4 * 2);
	alarm(0);
	CU_ASSERT_EQUAL(take_post(peer), 2);
	reply(peer, "02000400 20000000 01000000 00000000 10000000 01000000 14000000 02000000");
	pthread_join(thread, &ret);
	CU_ASSERT_EQUAL((intptr_t)ret, 0);
	vfu_client_close(client);
	close(peer);
}

static uint8_t big[60000];

static void *
write_big(void *arg)
{
	return (void *)(intptr_t)vfu_client_region_write(arg, 3, 0, big, sizeof(big));
}

/* A message that is half sent is neither waited for nor broken in two, and nothing is lost. */
static void
test_post_while_a_message_is_half_sent(void)
{
	struct vfio_user_region_access access;
	struct vfio_user_header h;
	struct vfu_client *client;
	static uint8_t got[sizeof(big)];
	pthread_t thread;
	int peer, small = 4096;
	void *ret;

	client = attach_raw(&peer);
	/* Less than the message: its sender must wait for the reader. */
	setsockopt(vfu_client_fd(client), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	vfu_client_set_deadline(client, monotonic_ms() + HANGS_S * 1000);
	memset(big, 0x5a, sizeof(big));
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, write_big, client), 0);
	/* Its header is here, so the sender is in the middle of it. */
	CU_ASSERT_EQUAL(take(peer, &h, sizeof(h)), sizeof(h));
	alarm(HANGS_S);
	vfu_client_post(client, DOORBELLS, 1, 4 * 1);
	alarm(0);
	CU_ASSERT_EQUAL(take(peer, &access, sizeof(access)), sizeof(access));
	CU_ASSERT_EQUAL(access.count, sizeof(big));
	CU_ASSERT_EQUAL(take(peer, got, sizeof(got)), sizeof(got));
	CU_ASSERT_EQUAL(memcmp(got, big, sizeof(big)), 0);
	CU_ASSERT_EQUAL(take_post(peer), 1);
	reply(peer, "02000a00 20000000 01000000 00000000 00000000 00000000 03000000 60ea0000");
	pthread_join(thread, &ret);
	CU_ASSERT_EQUAL((intptr_t)ret, 0);
	CU_ASSERT_TRUE(nothing_there(peer));
	vfu_client_close(client);
	close(peer);
}

#define POSTERS 4
#define POSTS	20000

static void *
post_often(void *arg)
{
	for (unsigned int i = 0; i < POSTS; i++)
		vfu_client_post(arg, DOORBELLS, i % 64, 4 * (i % 64));
	return NULL;
}

/* The last post of each word arrives, whoever held the socket when it was made. */
static void
test_posts_of_many_threads(void)
{
	struct vfu_client *client;
	pthread_t thread[POSTERS];
	uint64_t seen = 0;
	int peer, word;

	client = attach_raw(&peer);
	alarm(HANGS_S);
	for (int i = 0; i < POSTERS; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&thread[i], NULL, post_often, client), 0);
	for (int i = 0; i < POSTERS; i++)
		pthread_join(thread[i], NULL);
	do {
		while (!nothing_there(peer)) {
			word = take_post(peer);
			CU_ASSERT_FATAL(word >= 0 && word < 64);
			seen |= UINT64_C(1) << word;
		}
	} while (!vfu_client_repost(client) || !nothing_there(peer));
	alarm(0);
	CU_ASSERT_EQUAL(seen, UINT64_MAX);
	vfu_client_close(client);
	close(peer);
}

/* A host that knows no no-reply flag: its answers disturb nothing. */
static void
test_replies_to_posts(void)
{
	static const char answer[] =
		"ffff0a00 20000000 01000000 00000000 00000000 00000000 06000000 04000000";
	static const char refusal[] = "ffff0a00 10000000 21000000 16000000";
	struct vfu_client *client;
	int peer;

	/* Nobody posted: an unasked reply as any other. */
	client = attach_raw(&peer);
	reply(peer, answer);
	CU_ASSERT_EQUAL(vfu_client_alive(client), -EPROTO);
	vfu_client_close(client);
	close(peer);

	client = attach_raw(&peer);
	vfu_client_post(client, DOORBELLS, 0, 4 * 0);
	CU_ASSERT_EQUAL(take_post(peer), 0);
	reply(peer, answer);
	reply(peer, refusal);
	CU_ASSERT_EQUAL(vfu_client_alive(client), 0);
	/* Between a request and its reply, and in two pieces. */
	reply(peer, refusal);
	reply(peer, "ffff0a00 20000000 01000000 00000000");
	CU_ASSERT_EQUAL(vfu_client_alive(client), 0);
	reply(peer, "00000000 00000000 06000000 04000000");
	reply(peer, answer);
	reply(peer, "02000d00 10000000 01000000 00000000");
	CU_ASSERT_EQUAL(vfu_client_reset(client), 0);
	CU_ASSERT_EQUAL(vfu_client_alive(client), 0);
	vfu_client_close(client);
	close(peer);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"a silent host", test_silent_host},
		{"a late answer within the operation", test_late_answer_within_the_operation},
		{"a talkative host", test_talkative_host},
		{"a wait ended from outside", test_abort},
		{"posts to a full socket", test_post_to_a_full_socket},
		{"a post during a request", test_post_during_a_request},
		{"a post while a message is half sent", test_post_while_a_message_is_half_sent},
		{"posts of many threads", test_posts_of_many_threads},
		{"replies to posts", test_replies_to_posts},
	};

	return UNIT_RUN("vfio_user_wait", tests);
}
