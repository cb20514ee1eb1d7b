/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vfio-user backend while its host does not answer: who may wait, waits for its operation, and
 * the data path not at all. The host is the other end of a socket pair.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_memory.h>

#include "drivers/bus/vmbus/vfio.h"
#include "test/unit/unit.h"
#include "test/unit/vfio_user_rig.h"

/* A call that waits for the host for ever ends the program. */
#define HANGS_S	 60
#define SLACK_MS 5000

int hpbus_logtype;

static struct hpbus_device device, other_device;
static struct vfio_device *v, *other;
static int peer, other_peer;

/* ---- what is above the backend ---- */

struct hpbus_device *
hpbus_device_get(const uint8_t instance[16])
{
	return NULL;
}

void
hpbus_device_gone(struct hpbus_device *dev, const char *why)
{
	atomic_store(&dev->gone, true);
}

void
hpbus_dma_changed(void)
{
}

int
hpbus_dma_follow(void)
{
	return 0;
}

/* EAL's memory and who is told of it: the test calls them. */
static rte_mem_event_callback_t memory_event;

int
rte_mem_event_callback_register(const char *name, rte_mem_event_callback_t cb, void *arg)
{
	memory_event = cb;
	return 0;
}

int
rte_mem_event_callback_unregister(const char *name, void *arg)
{
	return 0;
}

int
rte_memseg_walk(rte_memseg_walk_t func, void *arg)
{
	return 0;
}

static struct vfio_device *
connect_device(struct hpbus_device *dev, int *host)
{
	uint8_t hello[20], request[512];
	struct vfio_device *connected;
	char err[VFU_ERRLEN];
	int pair[2];

	memset(dev, 0, sizeof(*dev));
	CU_ASSERT_EQUAL_FATAL(hpbus_vfio_attach(dev, "/nowhere"), 0);
	connected = dev->backend_data;
	CU_ASSERT_EQUAL_FATAL(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	*host = pair[1];
	rig_hex("01000100 14000000 01000000 00000000 00000100", hello, sizeof(hello));
	CU_ASSERT_EQUAL(write(*host, hello, sizeof(hello)), sizeof(hello));
	CU_ASSERT_EQUAL_FATAL(vfu_client_attach(pair[0], &connected->client, err, sizeof(err)), 0);
	CU_ASSERT(read(*host, request, sizeof(request)) > 100);
	return connected;
}

static void
disconnect_device(struct vfio_device *connected, int host)
{
	struct hpbus_device *dev = connected->dev;

	vfu_client_close(connected->client);
	connected->client = NULL;
	vfu_signaller_fini(&connected->signaller);
	free(connected->dma);
	dev->backend->release(dev);
	close(host);
}

static void
begin(void)
{
	v = connect_device(&device, &peer);
	alarm(HANGS_S);
}

static void
end(void)
{
	alarm(0);
	disconnect_device(v, peer);
}

/* The host has mapped these pages. */
static void
share(struct vfio_device *with, void *memory, size_t len)
{
	with->dma = malloc(sizeof(*with->dma));
	with->dma[0] = (struct vfio_dma_range){(uintptr_t)memory, (uintptr_t)memory, len};
	with->n_dma = with->cap_dma = 1;
}

static bool
doorbell_written(uint32_t offset)
{
	uint8_t want[36], got[64];

	rig_hex("ffff 0a00 24000000 10000000 00000000"
		"0000000000000000 06000000 04000000 01000000",
		want, sizeof(want));
	memcpy(want + 16, &offset, sizeof(offset));
	return read(peer, got, sizeof(got)) == sizeof(want) && memcmp(got, want, 36) == 0;
}

static const struct hpbus_op_kind short_op = {"test", 400, 200, false};

/* ---- tests ---- */

/* A control thread holds the connection for as long as its request takes. */
static void
test_memory_is_looked_up_during_a_request(void)
{
	static uint8_t memory[8192];

	begin();
	share(v, memory, 4096);
	pthread_mutex_lock(&v->lock);
	CU_ASSERT_TRUE(vfio_dma_usable(&device, memory + 100, 1000));
	CU_ASSERT_FALSE(vfio_dma_usable(&device, memory + 4000, 1000));
	pthread_mutex_unlock(&v->lock);
	end();
}

/* A memory event that is not scheduled while it changes the table: HANGS_S would end this. */
static void
test_a_lookup_does_not_wait_for_whoever_changes_the_table(void)
{
	static uint8_t memory[4096];
	struct hpbus_op op;

	begin();
	share(v, memory, 4096);
	rte_rwlock_write_lock(&v->dma_lock);
	CU_ASSERT_FALSE(vfio_dma_usable(&device, memory, 100));
	rte_rwlock_write_unlock(&v->dma_lock);
	CU_ASSERT_TRUE(vfio_dma_usable(&device, memory, 100));
	/* Others who look are no reason, nor for a control operation. */
	rte_rwlock_read_lock(&v->dma_lock);
	CU_ASSERT_TRUE(vfio_dma_usable(&device, memory, 100));
	hpbus_op_begin(&op, &short_op);
	CU_ASSERT_TRUE(vfio_dma_usable(&device, memory, 100));
	hpbus_op_end(&op);
	rte_rwlock_read_unlock(&v->dma_lock);
	end();
}

static void
test_signals_during_a_request(void)
{
	struct hpbus_channel ch = {.dev = &device, .index = 3, .doorbell = 12};
	uint64_t value;
	int fd = eventfd(0, EFD_CLOEXEC);

	begin();
	pthread_mutex_lock(&v->lock);
	ch.signal = HPBUS_SIGNAL_CALL;
	device.signal_fd[3] = -1;
	device.backend->signal(&device, &ch);
	CU_ASSERT_TRUE(doorbell_written(12));

	ch.signal = HPBUS_SIGNAL_EVENTFD;
	device.signal_fd[3] = fd;
	CU_ASSERT_EQUAL_FATAL(vfu_signaller_init(&v->signaller), 0);
	device.backend->signal(&device, &ch);
	CU_ASSERT_EQUAL(vfu_eventfd_drain(fd, &value), 0);
	CU_ASSERT_EQUAL(value, 1);
	CU_ASSERT_FALSE(doorbell_written(12));

	/* A doorbell that does not work is no reason to lose the signal. */
	device.signal_fd[3] = STDIN_FILENO;
	device.backend->signal(&device, &ch);
	CU_ASSERT_TRUE(doorbell_written(12));
	pthread_mutex_unlock(&v->lock);
	close(fd);
	end();
}

/* What a full socket did not take is delivered when there is room. */
static void
test_no_signal_is_lost(void)
{
	struct hpbus_channel a = {.dev = &device, .signal = HPBUS_SIGNAL_CALL};
	struct hpbus_channel b = a;
	struct pollfd pfd = {.events = POLLIN};
	unsigned int n[64] = {0};
	uint8_t got[36];

	a.index = 1;
	a.doorbell = 4;
	b.index = 2;
	b.doorbell = 8;
	begin();
	pfd.fd = peer;
	for (int i = 0; i < 10000; i++)
		device.backend->signal(&device, &a);
	device.backend->signal(&device, &b);
	for (int again = 0; again < 2; again++) {
		while (poll(&pfd, 1, 0) == 1 && read(peer, got, sizeof(got)) == sizeof(got))
			n[got[16] / 4]++;
		if (again == 0) {
			CU_ASSERT_EQUAL(n[2], 0);
			device.backend->signal_again(&device);
		}
	}
	CU_ASSERT(n[1] > 1);
	CU_ASSERT_EQUAL(n[2], 1);
	end();
}

static void
test_a_request_waits_for_another_no_longer_than_its_operation(void)
{
	struct hpbus_op op;
	int64_t began;

	begin();
	began = hpbus_now_ms();
	pthread_mutex_lock(&v->lock);
	hpbus_op_begin(&op, &short_op);
	CU_ASSERT_EQUAL(vfio_enter(v, hpbus_op_talk_until()), -ETIMEDOUT);
	hpbus_op_end(&op);
	pthread_mutex_unlock(&v->lock);
	CU_ASSERT(hpbus_now_ms() - began >= 200);
	CU_ASSERT(hpbus_now_ms() - began < 400 + SLACK_MS);
	end();
}

static bool
hung_up_on(int host)
{
	struct pollfd pfd = {.fd = host, .events = POLLIN};

	return poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLHUP);
}

static bool
hung_up(void)
{
	return hung_up_on(peer);
}

/* A fence that is not answered in its time is made by cutting the host off. */
static void
test_reset_of_a_silent_host(void)
{
	struct hpbus_op op;
	int64_t began;

	begin();
	began = hpbus_now_ms();
	hpbus_op_begin(&op, &short_op);
	CU_ASSERT_EQUAL(device.backend->reset(&device), -ETIMEDOUT);
	hpbus_op_end(&op);
	CU_ASSERT(hpbus_now_ms() - began < 400 + SLACK_MS);
	CU_ASSERT_TRUE(atomic_load(&device.gone));
	CU_ASSERT_TRUE(hung_up());
	CU_ASSERT_STRING_EQUAL(vfio_why_gone(v), "the host did not answer in time and was cut off");
	end();
}

/* The same when another thread's request is what it would have to wait for. */
static void
test_reset_behind_another_request(void)
{
	struct hpbus_op op;

	begin();
	pthread_mutex_lock(&v->lock);
	hpbus_op_begin(&op, &short_op);
	CU_ASSERT_EQUAL(device.backend->reset(&device), -ETIMEDOUT);
	hpbus_op_end(&op);
	CU_ASSERT_TRUE(atomic_load(&device.gone));
	CU_ASSERT_TRUE(hung_up());
	pthread_mutex_unlock(&v->lock);
	end();
}

/* A host that refuses the fence keeps its hands on our memory: it is cut off, too. */
static void
test_reset_that_is_refused(void)
{
	uint8_t refusal[16];
	struct hpbus_op op;

	begin();
	rig_hex("02000d00 10000000 21000000 05000000", refusal, sizeof(refusal));
	CU_ASSERT_EQUAL(write(peer, refusal, sizeof(refusal)), sizeof(refusal));
	hpbus_op_begin(&op, &short_op);
	CU_ASSERT_EQUAL(device.backend->reset(&device), -EIO);
	hpbus_op_end(&op);
	CU_ASSERT_TRUE(atomic_load(&device.gone));
	CU_ASSERT_TRUE(hung_up());
	CU_ASSERT_STRING_EQUAL(vfio_why_gone(v), "the host was cut off");
	end();
}

static void
test_a_host_that_leaves_is_not_said_to_be_cut_off(void)
{
	begin();
	CU_ASSERT_EQUAL(shutdown(peer, SHUT_RDWR), 0);
	CU_ASSERT_EQUAL(vfu_client_alive(v->client), -ENOTCONN);
	vfio_cut_off(v);
	CU_ASSERT_STRING_EQUAL(vfio_why_gone(v), "the host closed the connection");
	end();
}

/* What the host says to the first request after the greeting, a removal of this range. */
static void
answer_unmap(int host, void *memory, size_t len)
{
	struct {
		struct vfio_user_header h;
		struct vfio_user_dma_unmap unmap;
	} reply = {
		.h = {.msg_id = 2,
			.command = VFIO_USER_DMA_UNMAP,
			.size = sizeof(reply),
			.flags = VFIO_USER_TYPE_REPLY},
		.unmap = {sizeof(reply.unmap), 0, (uintptr_t)memory, len},
	};

	CU_ASSERT_EQUAL(write(host, &reply, sizeof(reply)), sizeof(reply));
}

/* Memory is given back by an operation that has waited in vain for a silent host. */
static void
test_memory_goes_during_another_devices_spent_operation(void)
{
	static const struct hpbus_op_kind spent_op = {"test", 200, 200, true};
	static uint8_t memory[8192];
	struct hpbus_op op;
	int64_t began;

	begin();
	other = connect_device(&other_device, &other_peer);
	CU_ASSERT_EQUAL(vfio_dma_start(v), 0);
	CU_ASSERT_EQUAL(vfio_dma_start(other), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(memory_event);
	share(v, memory, 4096);
	share(other, memory, 4096);
	answer_unmap(other_peer, memory, 4096);
	hpbus_op_begin(&op, &spent_op);
	CU_ASSERT_EQUAL(device.backend->reset(&device), -ETIMEDOUT);
	CU_ASSERT_TRUE(hung_up());
	CU_ASSERT(hpbus_now_ms() >= op.talk_until);
	began = hpbus_now_ms();
	memory_event(RTE_MEM_EVENT_FREE, memory, 4096, v);
	memory_event(RTE_MEM_EVENT_FREE, memory, 4096, other);
	hpbus_op_end(&op);
	CU_ASSERT(hpbus_now_ms() - began < 2000 + SLACK_MS);
	CU_ASSERT_FALSE(vfio_dma_usable(&device, memory, 100));
	CU_ASSERT_FALSE(vfio_dma_usable(&other_device, memory, 100));
	CU_ASSERT_FALSE(hung_up_on(other_peer));
	CU_ASSERT_FALSE(atomic_load(&other_device.gone));
	CU_ASSERT_EQUAL(vfu_client_alive(other->client), 0);
	disconnect_device(other, other_peer);
	end();
}

/* The host stays silent: it must not keep what is given away. */
static void
test_memory_goes_and_the_host_does_not_let_go(void)
{
	static uint8_t memory[4096];
	struct hpbus_op op;
	int64_t began;

	begin();
	CU_ASSERT_EQUAL(vfio_dma_start(v), 0);
	share(v, memory, sizeof(memory));
	hpbus_op_begin(&op, &short_op);
	began = hpbus_now_ms();
	memory_event(RTE_MEM_EVENT_FREE, memory, sizeof(memory), v);
	hpbus_op_end(&op);
	CU_ASSERT(hpbus_now_ms() - began < 1000 + SLACK_MS);
	CU_ASSERT_TRUE(hung_up());
	end();
}

/* A request that has no time left is not made: its end would be the connection's. */
static void
test_a_request_too_late_costs_no_connection(void)
{
	begin();
	CU_ASSERT_EQUAL(vfio_enter(v, hpbus_now_ms()), -ETIMEDOUT);
	CU_ASSERT_EQUAL(pthread_mutex_trylock(&v->lock), 0);
	CU_ASSERT_EQUAL(vfu_client_alive(v->client), 0);
	pthread_mutex_unlock(&v->lock);
	end();
}

/* A port is closed when all of its time is gone: a host that answers hears of it all the same. */
static void
test_close_of_a_spent_operation_tells_the_host(void)
{
	static const struct hpbus_op_kind nothing_left = {"test", 0, 0, true};
	uint8_t answer[16], want[16], got[64];
	struct hpbus_op op;

	begin();
	rig_hex("02000d00 10000000 01000000 00000000", answer, sizeof(answer));
	rig_hex("02000d00 10000000 00000000 00000000", want, sizeof(want));
	CU_ASSERT_EQUAL(write(peer, answer, sizeof(answer)), sizeof(answer));
	hpbus_op_begin(&op, &nothing_left);
	device.backend->close(&device);
	hpbus_op_end(&op);
	CU_ASSERT_EQUAL(read(peer, got, sizeof(got)), sizeof(want));
	CU_ASSERT_EQUAL(memcmp(got, want, sizeof(want)), 0);
	end();
}

/* ---- receive interrupts ---- */

static void
irqs(uint32_t first, uint32_t second)
{
	v->info.channel[0].irq = first;
	v->info.channel[1].irq = second;
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

	begin();
	irqs(0, 1);
	rig_hex("02000800 10000000 01000000 00000000 03000800 10000000 01000000 00000000", answer,
		sizeof(answer));
	CU_ASSERT_EQUAL(write(peer, answer, sizeof(answer)), sizeof(answer));
	hpbus_op_begin(&op, &short_op);
	CU_ASSERT_EQUAL(hpbus_intr_open(&device, 2), 0);
	/* They are there already. */
	CU_ASSERT_EQUAL(hpbus_intr_open(&device, 1), 0);
	hpbus_op_end(&op);
	CU_ASSERT_EQUAL(device.intr.n, 2);
	for (k = 0; k < 2; k++) {
		rig_hex("02000800 24000000 00000000 00000000"
			"14000000 24000000 00000000 00000000 01000000",
			want, sizeof(want));
		want[0] += k;
		want[28] = (uint8_t)k;
		n_fds = 1;
		CU_ASSERT_EQUAL(rig_recv(peer, got, sizeof(got), &fds[k], &n_fds), sizeof(got));
		CU_ASSERT_EQUAL(n_fds, 1);
		CU_ASSERT_EQUAL(memcmp(got, want, sizeof(want)), 0);
	}
	/* What the host does with its own is seen in ours, and holds nobody. */
	CU_ASSERT_EQUAL(write(fds[1], &full, sizeof(full)), sizeof(full));
	CU_ASSERT_EQUAL(fcntl(fds[1], F_SETFL, 0), 0);
	CU_ASSERT_EQUAL(hpbus_intr_raise(&device, 1), 0);
	hpbus_intr_clear(&device, 1);
	hpbus_intr_clear(&device, 1);
	CU_ASSERT_EQUAL(vfu_eventfd_drain(fds[1], &value), -EAGAIN);
	CU_ASSERT_EQUAL(hpbus_intr_raise(&device, 1), 0);
	CU_ASSERT_EQUAL(vfu_eventfd_drain(fds[1], &value), 0);
	CU_ASSERT_EQUAL(value, 1);
	CU_ASSERT_EQUAL(vfu_eventfd_drain(fds[0], &value), -EAGAIN);
	hpbus_intr_close(&device);
	close(fds[0]);
	close(fds[1]);
	end();
}

/* One event of several channels would be taken by one of them. */
static void
test_interrupts_that_channels_share_are_refused(void)
{
	struct pollfd pfd = {.events = POLLIN};
	struct hpbus_op op;

	begin();
	pfd.fd = peer;
	irqs(0, 0);
	hpbus_op_begin(&op, &short_op);
	CU_ASSERT_EQUAL(hpbus_intr_open(&device, 2), -ENOTSUP);
	hpbus_op_end(&op);
	CU_ASSERT_EQUAL(device.intr.n, 0);
	CU_ASSERT_EQUAL(poll(&pfd, 1, 0), 0);
	CU_ASSERT_FALSE(hung_up());
	end();
}

static void
test_interrupts_of_a_silent_host(void)
{
	struct hpbus_op op;
	int64_t began;

	begin();
	irqs(0, 1);
	began = hpbus_now_ms();
	hpbus_op_begin(&op, &short_op);
	CU_ASSERT_EQUAL(hpbus_intr_open(&device, 2), -ETIMEDOUT);
	hpbus_op_end(&op);
	CU_ASSERT(hpbus_now_ms() - began < 400 + SLACK_MS);
	CU_ASSERT_EQUAL(device.intr.n, 0);
	end();
}

/* ---- connecting ---- */

struct refuser {
	int listener;
	unsigned int left; /* how many connections it takes */
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
			recv(sock, request, sizeof(request), 0) > 0 &&
			write(sock, no, sizeof(no)) == sizeof(no))
			while (recv(sock, request, sizeof(request), 0) > 0)
				;
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
	memset(&device, 0, sizeof(device));
	CU_ASSERT_EQUAL_FATAL(hpbus_vfio_attach(&device, addr.sun_path), 0);
	v = device.backend_data;
	device.returning = true;
	atomic_store(&device.gone, true);
	hpbus_op_begin(&op, &patient);
	CU_ASSERT_EQUAL(device.backend->open(&device), -ENOENT); /* nobody listens yet */
	CU_ASSERT_EQUAL_FATAL(listen(host.listener, 4), 0);
	fds = rig_count_fds();
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, refuse, &host), 0);
	for (i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(device.backend->open(&device), -EIO);
		CU_ASSERT_PTR_NULL(v->client);
	}
	hpbus_op_end(&op);
	/* It would wait for the end of a connection that was left open. */
	CU_ASSERT_EQUAL_FATAL(pthread_join(thread, NULL), 0);
	CU_ASSERT_EQUAL(rig_count_fds(), fds);
	close(host.listener);
	device.backend->release(&device);
	unlink(addr.sun_path);
	rmdir(folder);
	alarm(0);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"memory is looked up during a request", test_memory_is_looked_up_during_a_request},
		{"a lookup does not wait for whoever changes the table",
			test_a_lookup_does_not_wait_for_whoever_changes_the_table},
		{"signals during a request", test_signals_during_a_request},
		{"no signal is lost", test_no_signal_is_lost},
		{"a request waits for another no longer than its operation",
			test_a_request_waits_for_another_no_longer_than_its_operation},
		{"reset of a silent host", test_reset_of_a_silent_host},
		{"reset behind another request", test_reset_behind_another_request},
		{"reset that is refused", test_reset_that_is_refused},
		{"a host that leaves is not said to be cut off",
			test_a_host_that_leaves_is_not_said_to_be_cut_off},
		{"memory goes during another device's spent operation",
			test_memory_goes_during_another_devices_spent_operation},
		{"memory goes and the host does not let go",
			test_memory_goes_and_the_host_does_not_let_go},
		{"close of a spent operation tells the host",
			test_close_of_a_spent_operation_tells_the_host},
		{"a request too late costs no connection",
			test_a_request_too_late_costs_no_connection},
		{"interrupts are the channels' own", test_interrupts_are_the_channels_own},
		{"interrupts that channels share are refused",
			test_interrupts_that_channels_share_are_refused},
		{"interrupts of a silent host", test_interrupts_of_a_silent_host},
		{"a host that refuses while it is waited for",
			test_a_host_that_refuses_while_it_is_waited_for},
	};

	return UNIT_RUN("vfio_backend_wait", tests);
}
