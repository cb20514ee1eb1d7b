/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the vfio-user backend and its host agree on, or do not: the connection itself, and the
 * descriptors of receive interrupts.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "test/unit/unit.h"
#include "test/unit/vfio_backend_rig.h"
#include "test/unit/vfio_user_rig.h"

/* ---- receive interrupts ---- */

static void
irqs(uint32_t first, uint32_t second)
{
	backend->info.channel[0].irq = first;
	backend->info.channel[1].irq = second;
}

/* Each channel's descriptor goes to the host, one in a message, as this host has it. */
static void
test_interrupts_are_the_channels_own(void)
{
	const uint64_t full = UINT64_MAX - 1;
	uint8_t answer[32], got[36], want[36];
	unsigned int k, n_fds;
	struct hpbus_op op;
	uint64_t value;
	int fds[2];

	backend_begin();
	irqs(0, 1);
	rig_hex("02000800 10000000 01000000 00000000 03000800 10000000 01000000 00000000", answer,
		sizeof(answer));
	CU_ASSERT_EQUAL(write(backend_peer, answer, sizeof(answer)), sizeof(answer));
	hpbus_op_begin(&op, &backend_short_op);
	CU_ASSERT_EQUAL(hpbus_intr_open(&backend_device, 2), 0);
	/* They are there already. */
	CU_ASSERT_EQUAL(hpbus_intr_open(&backend_device, 1), 0);
	hpbus_op_end(&op);
	CU_ASSERT_EQUAL(backend_device.intr.n, 2);
	for (k = 0; k < 2; k++) {
		rig_hex("02000800 24000000 00000000 00000000"
			"14000000 24000000 00000000 00000000 01000000",
			want, sizeof(want));
		want[0] += k;
		want[28] = (uint8_t)k;
		n_fds = 1;
		CU_ASSERT_EQUAL(
			rig_recv(backend_peer, got, sizeof(got), &fds[k], &n_fds), sizeof(got));
		CU_ASSERT_EQUAL(n_fds, 1);
		CU_ASSERT_EQUAL(memcmp(got, want, sizeof(want)), 0);
	}
	/* What the host does with its own is seen in ours, and holds nobody. */
	CU_ASSERT_EQUAL(write(fds[1], &full, sizeof(full)), sizeof(full));
	CU_ASSERT_EQUAL(fcntl(fds[1], F_SETFL, 0), 0);
	CU_ASSERT_EQUAL(hpbus_intr_raise(&backend_device, 1), 0);
	hpbus_intr_clear(&backend_device, 1);
	hpbus_intr_clear(&backend_device, 1);
	CU_ASSERT_EQUAL(vfu_eventfd_drain(fds[1], &value), -EAGAIN);
	CU_ASSERT_EQUAL(hpbus_intr_raise(&backend_device, 1), 0);
	CU_ASSERT_EQUAL(vfu_eventfd_drain(fds[1], &value), 0);
	CU_ASSERT_EQUAL(value, 1);
	CU_ASSERT_EQUAL(vfu_eventfd_drain(fds[0], &value), -EAGAIN);
	hpbus_intr_close(&backend_device);
	close(fds[0]);
	close(fds[1]);
	backend_end();
}

/* One event of several channels would be taken by one of them. */
static void
test_interrupts_that_channels_share_are_refused(void)
{
	struct pollfd pfd = {.events = POLLIN};
	struct hpbus_op op;

	backend_begin();
	pfd.fd = backend_peer;
	irqs(0, 0);
	hpbus_op_begin(&op, &backend_short_op);
	CU_ASSERT_EQUAL(hpbus_intr_open(&backend_device, 2), -ENOTSUP);
	hpbus_op_end(&op);
	CU_ASSERT_EQUAL(backend_device.intr.n, 0);
	CU_ASSERT_EQUAL(poll(&pfd, 1, 0), 0);
	CU_ASSERT_FALSE(backend_hung_up());
	backend_end();
}

static void
test_interrupts_of_a_silent_host(void)
{
	struct hpbus_op op;
	int64_t began;

	backend_begin();
	irqs(0, 1);
	began = hpbus_now_ms();
	hpbus_op_begin(&op, &backend_short_op);
	CU_ASSERT_EQUAL(hpbus_intr_open(&backend_device, 2), -ETIMEDOUT);
	hpbus_op_end(&op);
	CU_ASSERT(hpbus_now_ms() - began < 400 + SLACK_MS);
	CU_ASSERT_EQUAL(backend_device.intr.n, 0);
	backend_end();
}

/* ---- connecting ---- */

struct refuser {
	int listener;
	unsigned int left;	  /* how many connections it takes */
	_Atomic uint32_t *silent; /* instead of an answer: says so, and nothing */
};

/* A host that is there and refuses the first request, as one without such a device: ENOENT. */
static void *
refuse(void *arg)
{
	struct refuser *r = arg;
	uint8_t hello[20], no[16], request[512];

	rig_hex("01000100 14000000 01000000 00000000 00000100", hello, sizeof(hello));
	rig_hex("02000400 10000000 21000000 02000000", no, sizeof(no));
	for (; r->left != 0; r->left--) {
		int sock = accept(r->listener, NULL, NULL);

		if (recv(sock, request, sizeof(request), 0) > 0 &&
			write(sock, hello, sizeof(hello)) == sizeof(hello) &&
			recv(sock, request, sizeof(request), 0) > 0) {
			if (r->silent != NULL)
				atomic_store(r->silent, 1);
			else if (write(sock, no, sizeof(no)) != sizeof(no))
				break;
			while (recv(sock, request, sizeof(request), 0) > 0)
				;
		}
		close(sock);
	}
	return NULL;
}

/* It is not away, and each try leaves nothing behind. */
static void
test_a_host_that_refuses_while_it_is_waited_for(void)
{
	static const struct hpbus_op_kind patient = {"test", 20000, 200, false};
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	char folder[] = "/tmp/vfio_backend_XXXXXX";
	struct refuser host = {.left = 3};
	unsigned int i, fds;
	struct hpbus_op op;
	pthread_t thread;

	alarm(HANGS_S);
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/sock", folder);
	host.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(bind(host.listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	memset(&backend_device, 0, sizeof(backend_device));
	CU_ASSERT_EQUAL_FATAL(hpbus_vfio_attach(&backend_device, addr.sun_path), 0);
	backend = backend_device.backend_data;
	backend_device.returning = true;
	atomic_store(&backend_device.gone, true);
	hpbus_op_begin(&op, &patient);
	CU_ASSERT_EQUAL(
		backend_device.backend->open(&backend_device), -ENOENT); /* nobody listens yet */
	CU_ASSERT_EQUAL_FATAL(listen(host.listener, 4), 0);
	fds = rig_count_fds();
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, refuse, &host), 0);
	for (i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(backend_device.backend->open(&backend_device), -EIO);
		CU_ASSERT_PTR_NULL(backend->client);
	}
	hpbus_op_end(&op);
	/* It would wait for the end of a connection that was left open. */
	CU_ASSERT_EQUAL_FATAL(pthread_join(thread, NULL), 0);
	CU_ASSERT_EQUAL(rig_count_fds(), fds);
	close(host.listener);
	backend_device.backend->release(&backend_device);
	unlink(addr.sun_path);
	rmdir(folder);
	alarm(0);
}

/* A recovery waits for what the host says, and the port is stopped. */
static void
test_an_operation_that_is_given_up_ends_its_wait(void)
{
	static const struct hpbus_op_kind patient = {"test", 20000, 200, false};
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	char folder[] = "/tmp/vfio_backend_XXXXXX";
	_Atomic uint32_t hurry = 0;
	struct refuser host = {.left = 1, .silent = &hurry};
	struct hpbus_op op;
	pthread_t thread;
	int64_t began;

	alarm(HANGS_S);
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/sock", folder);
	host.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(bind(host.listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	CU_ASSERT_EQUAL_FATAL(listen(host.listener, 4), 0);
	memset(&backend_device, 0, sizeof(backend_device));
	CU_ASSERT_EQUAL_FATAL(hpbus_vfio_attach(&backend_device, addr.sun_path), 0);
	backend = backend_device.backend_data;
	backend_device.returning = true;
	atomic_store(&backend_device.gone, true);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, refuse, &host), 0);
	began = hpbus_now_ms();
	hpbus_op_begin(&op, &patient);
	hpbus_op_end_for(&op, &hurry);
	CU_ASSERT_EQUAL(backend_device.backend->open(&backend_device), -ECANCELED);
	CU_ASSERT_PTR_NULL(backend->client);
	/* Nor for another thread's request. */
	pthread_mutex_lock(&backend->lock);
	CU_ASSERT_EQUAL(vfio_enter(backend, hpbus_op_talk_until()), -ECANCELED);
	pthread_mutex_unlock(&backend->lock);
	hpbus_op_end(&op);
	CU_ASSERT(hpbus_now_ms() - began < SLACK_MS);
	CU_ASSERT_EQUAL_FATAL(pthread_join(thread, NULL), 0);
	close(host.listener);
	backend_device.backend->release(&backend_device);
	unlink(addr.sun_path);
	rmdir(folder);
	alarm(0);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"interrupts are the channels' own", test_interrupts_are_the_channels_own},
		{"interrupts that channels share are refused",
			test_interrupts_that_channels_share_are_refused},
		{"interrupts of a silent host", test_interrupts_of_a_silent_host},
		{"a host that refuses while it is waited for",
			test_a_host_that_refuses_while_it_is_waited_for},
		{"an operation that is given up ends its wait",
			test_an_operation_that_is_given_up_ends_its_wait},
	};

	return UNIT_RUN("vfio_backend_connect", tests);
}
