/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hvsim's device and worker with a raw vfio-user client: discovery, NVSP over ring 0, reset,
 * subchannels, rescind, client death (spec/vmbus-over-vfio-user.md §8-§10, §13).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lib/netvsp/nvsp.h"
#include "lib/vfio_user/client.h"
#include "lib/vmbus/ring_map.h"
#include "test/unit/hvsim_guest.h"
#include "test/unit/hvsim_rig.h"
#include "test/unit/unit.h"

static char dir[] = "/tmp/hvsim_session.XXXXXX";

/* What the worker tells the control thread, and whether it held the device's lock then. */
static _Atomic unsigned int announced, announced_unlocked;

static void *
try_lock_run(void *arg)
{
	*(bool *)arg = pthread_mutex_trylock(&rig.device[0].lock) == 0;
	if (*(bool *)arg)
		pthread_mutex_unlock(&rig.device[0].lock);
	return NULL;
}

ssize_t
write(int fd, const void *data, size_t len)
{
	pthread_t other;
	bool free_now = false;

	/* The lock is recursive, so another thread has to try it. */
	if (rig.event_fd > 0 && fd == rig.event_fd &&
		pthread_equal(pthread_self(), rig.worker.thread) &&
		pthread_create(&other, NULL, try_lock_run, &free_now) == 0) {
		pthread_join(other, NULL);
		atomic_fetch_add(&announced, 1);
		atomic_fetch_add(&announced_unlocked, free_now);
	}
	return syscall(SYS_write, fd, data, len);
}

static void
host_start(bool busy)
{
	rig_start(dir, 1, "channels=4,ring=64K,recv=1M,send=1M,port=echo", NULL, busy);
}

/* ---- the guest ---- */

static int
read_descriptor(struct guest *g)
{
	struct vmbus_device_expect expect = {.instance = rig.device[0].config.instance,
		.region_size = {128 << 10, 4096, 4096, 1 << 20, 1 << 20, 8192, 4096},
		.num_regions = 20,
		.irq_count = 4};
	uint8_t bytes[VMBUS_DEVICE_DESCRIPTOR_SIZE];
	char err[VFU_ERRLEN] = "";
	int rc;

	rc = vfu_client_region_read(g->client, VMBUS_REGION_DESCRIPTOR, 0, bytes, sizeof(bytes));
	if (rc == 0)
		rc = vmbus_device_describe(
			bytes, sizeof(bytes), &expect, &g->info, err, sizeof(err));
	if (rc != 0)
		printf("descriptor: %s\n", err);
	return rc;
}

static void
guest_open(struct guest *g)
{
	struct vfu_device_info info;

	guest_connect(g, rig.device[0].path);
	CU_ASSERT_EQUAL_FATAL(vfu_client_device_info(g->client, &info), 0);
	CU_ASSERT_EQUAL(info.flags, VFIO_USER_DEVICE_RESET_CAP);
	CU_ASSERT_EQUAL(info.num_regions, 20);
	CU_ASSERT_EQUAL(info.num_irqs, 2);
	CU_ASSERT_EQUAL_FATAL(read_descriptor(g), 0);
	for (unsigned int i = 0; i < 5; i++)
		g->irq[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	CU_ASSERT_EQUAL(vfu_client_set_irqs(g->client, VMBUS_IRQ_DEVICE, 0, 1, &g->irq[4]), 0);
	CU_ASSERT_EQUAL(vfu_client_set_irqs(g->client, VMBUS_IRQ_CHANNEL, 0, 4, g->irq), 0);
	CU_ASSERT_EQUAL(g->io.count, 4);
}

/* The next completion, by interrupt; false when none comes within seconds. */
static bool
guest_wait(struct guest *g, uint64_t *tid, struct nvsp_message *msg)
{
	struct pollfd p = {g->irq[0], POLLIN, 0};
	struct vmbus_packet pkt;
	uint64_t count;
	int total;

	for (unsigned int i = 0; i < 10; i++) {
		while ((total = vmbus_ring_peek(&g->in, &pkt)) > 0) {
			uint32_t start = pkt.offset8 * 8u, len = pkt.len8 * 8u - start;

			memset(msg, 0, sizeof(*msg));
			vmbus_ring_copy_out(&g->rx,
				vmbus_ring_advance(g->rx.size, g->in.next_r, start), msg,
				len < sizeof(*msg) ? len : (uint32_t)sizeof(*msg));
			vmbus_ring_consume(&g->in, (uint32_t)total);
			vmbus_ring_reader_publish(&g->in, true);
			if (pkt.type != VMBUS_PACKET_COMPLETION)
				continue;
			*tid = pkt.trans_id;
			return true;
		}
		CU_ASSERT_EQUAL_FATAL(total, 0);
		if (vmbus_ring_reader_unmask(&g->in))
			continue;
		if (poll(&p, 1, 1000) == 1 && read(g->irq[0], &count, sizeof(count)) != 8)
			return false;
		vmbus_ring_reader_mask(&g->in);
	}
	return false;
}

static void
guest_ask(struct guest *g, const struct nvsp_message *msg, struct nvsp_message *answer)
{
	static uint64_t next = 0x1234;
	uint64_t tid = 0;

	guest_send(g, msg, ++next);
	CU_ASSERT_FATAL(guest_wait(g, &tid, answer));
	CU_ASSERT_EQUAL(tid, next);
}

static void
guest_init(struct guest *g)
{
	struct nvsp_message msg, answer;

	nvsp_build_init(&msg, NVSP_VERSION_61);
	guest_ask(g, &msg, &answer);
	CU_ASSERT_EQUAL(answer.type, NVSP_TYPE_INIT_COMPLETE);
	CU_ASSERT_EQUAL(answer.init_complete.status, NVSP_STATUS_SUCCESS);
}

/* ---- tests ---- */

static void
check_init(bool busy)
{
	struct guest g;

	host_start(busy);
	guest_open(&g);
	CU_ASSERT_EQUAL(g.info.state, VMBUS_DEVICE_OFFERED);
	CU_ASSERT_EQUAL(g.info.max_channels, 4);
	CU_ASSERT_EQUAL(g.info.num_channels, 1);
	CU_ASSERT_EQUAL(g.info.channel[0].ring_bytes, 64 << 10);
	CU_ASSERT_EQUAL((g.info.flags & VMBUS_DEVICE_FLAG_BUSY) != 0, busy);
	/* The host falls asleep, unless it never sleeps. */
	usleep(20000);
	for (unsigned int i = 0; i < 5000 && !busy && atomic_load(&rig.worker.sleeps) == 0; i++)
		usleep(1000);
	CU_ASSERT_EQUAL(atomic_load(&rig.worker.sleeps) != 0, !busy);
	guest_init(&g);
	guest_close(&g);
	rig_stop();
}

static void
test_init_adaptive(void)
{
	check_init(false);
}

static void
test_init_busy(void)
{
	check_init(true);
}

static void
test_regions(void)
{
	static const uint64_t sizes[7] = {128 << 10, 4096, 4096, 1 << 20, 1 << 20, 8192, 4096};
	struct vfu_region r;
	uint32_t word = 0;
	struct guest g;

	host_start(false);
	guest_open(&g);
	for (uint32_t i = 0; i < 7; i++) {
		CU_ASSERT_EQUAL_FATAL(vfu_client_region_info(g.client, i, &r), 0);
		CU_ASSERT_EQUAL(r.size, sizes[i]);
		CU_ASSERT_EQUAL(r.type, VMBUS_REGION_TYPE);
		CU_ASSERT_EQUAL(r.subtype, i + 1);
		CU_ASSERT_EQUAL(r.fd >= 0, i != VMBUS_REGION_DOORBELL);
		if (r.fd < 0)
			continue;
		/* Sealed: a guest cannot take the file away under the host. */
		CU_ASSERT_EQUAL(ftruncate(r.fd, 0), -1);
		CU_ASSERT_EQUAL(errno, EPERM);
		if (i == VMBUS_REGION_DESCRIPTOR)
			CU_ASSERT_PTR_EQUAL(
				mmap(NULL, r.size, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, 0),
				MAP_FAILED);
		close(r.fd);
	}
	for (uint32_t i = 7; i < 20; i++) {
		CU_ASSERT_EQUAL(vfu_client_region_info(g.client, i, &r), 0);
		CU_ASSERT_EQUAL(r.size, 0);
	}
	CU_ASSERT_EQUAL(vfu_client_region_info(g.client, 20, &r), -EINVAL);
	CU_ASSERT_EQUAL(vfu_client_region_write(g.client, 6, 12, &word, 4), 0);
	CU_ASSERT_EQUAL(vfu_client_region_write(g.client, 6, 16, &word, 4), -EINVAL);
	CU_ASSERT_EQUAL(vfu_client_region_write(g.client, 6, 2, &word, 4), -EINVAL);
	CU_ASSERT_EQUAL(vfu_client_region_write(g.client, 6, 0, &word, 2), -EINVAL);
	CU_ASSERT_EQUAL(vfu_client_region_write(g.client, 5, 0, &word, 4), -EPERM);
	guest_close(&g);
	rig_stop();
}

/* A client that leaves in the middle: the next one finds new rings, zeroed, and a new epoch. */
static void
test_next_client(void)
{
	struct guest g, h;
	char err[VFU_ERRLEN];

	host_start(false);
	guest_open(&g);
	guest_init(&g);
	CU_ASSERT_EQUAL(
		vfu_client_connect(rig.device[0].path, &h.client, err, sizeof(err)), -EBUSY);
	vfu_client_close(g.client);
	g.client = NULL;
	usleep(50000);
	guest_open(&h);
	CU_ASSERT_EQUAL(h.info.epoch, g.info.epoch + 1);
	CU_ASSERT_EQUAL(atomic_load(&h.tx.ctl->write_index), 0);
	CU_ASSERT_EQUAL(atomic_load(&h.rx.ctl->write_index), 0);
	/* The old client's memory is still there and no longer the host's. */
	CU_ASSERT_NOT_EQUAL(atomic_load(&g.tx.ctl->write_index), 0);
	guest_init(&h);
	guest_close(&h);
	guest_close(&g);
	rig_stop();
}

/* Up to subchannels, then reset, and all of it again. */
static void
bring_up(struct guest *g)
{
	struct nvsp_message msg, answer;

	guest_init(g);
	nvsp_build_ndis_config(&msg, 1500, 0);
	guest_send(g, &msg, 1);
	nvsp_build_ndis_version(&msg, NVSP_VERSION_61);
	guest_send(g, &msg, 2);
	nvsp_build_send_recv_buf(&msg, g->info.recv_gpadl, 0xcafe);
	guest_send(g, &msg, 3);
	for (uint64_t tid = 0; tid != 3;)
		CU_ASSERT_FATAL(guest_wait(g, &tid, &answer));
	CU_ASSERT_EQUAL(answer.type, NVSP_TYPE_RECV_BUF_COMPLETE);
	CU_ASSERT_EQUAL(answer.recv_buf_complete.status, NVSP_STATUS_SUCCESS);
	nvsp_build_send_send_buf(&msg, g->info.send_gpadl, 0);
	guest_ask(g, &msg, &answer);
	CU_ASSERT_EQUAL(answer.type, NVSP_TYPE_SEND_BUF_COMPLETE);
}

static void
test_subchannels_and_reset(void)
{
	struct vmbus_ring tx = {0}, rx = {0};
	struct nvsp_message msg, answer;
	uint32_t generation;
	uint64_t count;
	struct guest g;

	host_start(false);
	guest_open(&g);
	for (unsigned int round = 0; round < 3; round++) {
		uint32_t epoch = g.info.epoch;

		bring_up(&g);
		generation = g.info.generation;
		while (read(g.irq[4], &count, sizeof(count)) == 8)
			;
		nvsp_build_subchannel(&msg, 3);
		guest_ask(&g, &msg, &answer);
		CU_ASSERT_EQUAL(answer.type, NVSP_TYPE_SUBCHANNEL);
		CU_ASSERT_EQUAL(answer.subchannel_complete.granted, 3);
		/* With the answer everything is there, and the device event has fired. */
		CU_ASSERT_EQUAL(read(g.irq[4], &count, sizeof(count)), 8);
		CU_ASSERT_EQUAL_FATAL(read_descriptor(&g), 0);
		CU_ASSERT(g.info.generation - generation >= 2);
		CU_ASSERT_EQUAL(g.info.num_channels, 4);
		for (uint32_t k = 1; k < 4; k++) {
			CU_ASSERT_EQUAL(g.info.channel[k].state, VMBUS_CHANNEL_OPEN);
			CU_ASSERT_EQUAL(g.info.channel[k].region, 16 + k);
			CU_ASSERT_EQUAL(g.info.channel[k].doorbell, 4 * k);
			CU_ASSERT_EQUAL_FATAL(guest_map_rings(&g, 16 + k, &tx, &rx), 0);
			CU_ASSERT_EQUAL(atomic_load(&tx.ctl->feature_bits), 1);
			vmbus_ring_unmap(&tx);
			vmbus_ring_unmap(&rx);
		}
		CU_ASSERT_EQUAL_FATAL(vfu_client_reset(g.client), 0);
		CU_ASSERT_EQUAL_FATAL(read_descriptor(&g), 0);
		CU_ASSERT_EQUAL(g.info.epoch, epoch + 1);
		CU_ASSERT_EQUAL(g.info.num_channels, 1);
		CU_ASSERT_EQUAL(g.info.channel[1].state, VMBUS_CHANNEL_NONE);
		CU_ASSERT_EQUAL(guest_map_rings(&g, 17, &tx, &rx), -ENOENT);
		/* The same ring memory, empty again. */
		CU_ASSERT_EQUAL(atomic_load(&g.tx.ctl->write_index), 0);
		CU_ASSERT_EQUAL(atomic_load(&g.rx.ctl->write_index), 0);
		guest_rings_open(&g);
	}
	guest_close(&g);
	rig_stop();
}

static void
test_memory(void)
{
	int fd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING), ro;
	struct guest g;

	CU_ASSERT_EQUAL_FATAL(ftruncate(fd, 4 << 20), 0);
	ro = vfu_reopen_read_only(fd);
	host_start(false);
	guest_open(&g);
	for (uint64_t i = 0; i < 512; i++)
		CU_ASSERT_EQUAL_FATAL(vfu_client_dma_map(g.client, ro, VFIO_USER_DMA_READ_FLAG,
					      i * 8192, UINT64_C(0x7f0000000000) + i * 8192, 8192),
			0);
	CU_ASSERT_EQUAL(vfu_client_dma_map(g.client, ro, VFIO_USER_DMA_READ_FLAG, 0,
				UINT64_C(0x7f0000001000), 4096),
		-EEXIST);
	CU_ASSERT_EQUAL(vfu_client_dma_unmap(g.client, UINT64_C(0x7f0000000000), 4096), -ENOENT);
	CU_ASSERT_EQUAL(vfu_client_dma_unmap(g.client, UINT64_C(0x7f0000000000), 8192), 0);
	pthread_mutex_lock(&rig.lock);
	CU_ASSERT_EQUAL(host_memmap_count(rig.device[0].memory->map, NULL), 511);
	pthread_mutex_unlock(&rig.lock);
	guest_init(&g);
	guest_close(&g);
	rig_stop();
	close(ro);
	close(fd);
}

/* §12: the client truncates its file under a send; the host lives and ends that session only. */
static void
test_truncated_memory(void)
{
	struct {
		struct vmbus_packet desc;
		struct vmbus_gpa_header header;
		uint32_t byte_count, byte_offset; /* struct vmbus_gpa_range with one page */
		uint64_t pfn;
		struct nvsp_message msg;
	} pkt;
	int fd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct guest g;
	uint64_t one = 1;

	CU_ASSERT_EQUAL_FATAL(host_memmap_sigbus_install(), 0);
	CU_ASSERT_EQUAL_FATAL(ftruncate(fd, 1 << 20), 0);
	host_start(false);
	guest_open(&g);
	bring_up(&g);
	CU_ASSERT_EQUAL_FATAL(vfu_client_dma_map(g.client, fd, VFIO_USER_DMA_READ_FLAG, 0,
				      UINT64_C(0x7f0000000000), 1 << 20),
		0);
	CU_ASSERT_EQUAL_FATAL(ftruncate(fd, 0), 0);
	memset(&pkt, 0, sizeof(pkt));
	pkt.header.range_count = 1;
	pkt.byte_count = 100;
	pkt.pfn = UINT64_C(0x7f0000000000) >> 12;
	nvsp_build_rndis(&pkt.msg, 0, UINT32_MAX, 0);
	vmbus_packet_init(
		&pkt.desc, VMBUS_PACKET_GPA_DIRECT, 40, sizeof(pkt), VMBUS_FLAG_COMPLETION, 77);
	CU_ASSERT_EQUAL_FATAL(vmbus_ring_write(&g.out, &pkt, sizeof(pkt) & ~7u, 0), 0);
	if (vmbus_ring_writer_publish(&g.out))
		CU_ASSERT_EQUAL(write(g.io.fds[0], &one, sizeof(one)), 8);
	for (unsigned int i = 0; i < 200 && vfu_client_alive(g.client) == 0; i++)
		usleep(10000);
	CU_ASSERT_NOT_EQUAL(vfu_client_alive(g.client), 0);
	guest_close(&g);
	close(fd);
	/* The next client is served. */
	guest_open(&g);
	guest_init(&g);
	guest_close(&g);
	rig_stop();
}

/*
 * Else the session ends by other means between the worker's look and its word, and the word about
 * the next session is taken for said.
 */
static void
test_end_is_announced_with_the_lock_held(void)
{
	atomic_store(&announced, 0);
	atomic_store(&announced_unlocked, 0);
	test_truncated_memory();
	CU_ASSERT_EQUAL(atomic_load(&announced), 1);
	test_truncated_memory();
	CU_ASSERT_EQUAL(atomic_load(&announced), 2);
	CU_ASSERT_EQUAL(atomic_load(&announced_unlocked), 0);
}

/* Fill a pipe that nobody reads and put it in the place of standard error. */
static void
block_stderr(int fd[2])
{
	char junk[4096];

	memset(junk, '\n', sizeof(junk));
	CU_ASSERT_EQUAL_FATAL(pipe2(fd, O_CLOEXEC), 0);
	fcntl(fd[1], F_SETFL, O_NONBLOCK);
	while (write(fd[1], junk, sizeof(junk)) > 0)
		;
	fcntl(fd[1], F_SETFL, 0);
	dup2(fd[1], STDERR_FILENO);
}

/* @return how many lines with @p what there are; the pipe is empty then, for a second */
static unsigned int
read_lines(int fd, const char *what)
{
	static char text[256 << 10];
	struct pollfd p = {fd, POLLIN, 0};
	unsigned int lines = 0;
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(text) - 1 && poll(&p, 1, 1000) == 1 &&
		(n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
		lines++;
	return lines;
}

static void *
lock_run(void *arg)
{
	device_lock(&rig.device[0]);
	device_unlock(&rig.device[0]);
	return arg;
}

/* The worker says why a channel stopped, with the device's lock held: it waited for the reader. */
static void
test_nobody_reads_the_log(void)
{
	int saved = dup(STDERR_FILENO), fd[2];
	struct nvsp_message msg;
	struct timespec until;
	pthread_t other;
	struct guest g;
	bool locked;
	unsigned int lines;

	host_start(false);
	guest_open(&g);
	guest_init(&g);
	block_stderr(fd);
	CU_ASSERT_EQUAL(log_start(), 0);
	nvsp_build_init(&msg, NVSP_VERSION_61);
	guest_send(&g, &msg, 1);
	for (unsigned int i = 0; i < 10000; i++) {
		struct host_nic_status status;

		host_nic_status(rig.device[0].nic, &status);
		if (status.stats.protocol_errors != 0)
			break;
		/* Stuck in the line about it, the worker does not come to publish. */
		usleep(1000);
	}
	CU_ASSERT_EQUAL_FATAL(pthread_create(&other, NULL, lock_run, NULL), 0);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 10;
	locked = pthread_timedjoin_np(other, NULL, &until) == 0;
	lines = read_lines(fd[0], "nic 0: channel 0 stopped: ");
	if (!locked)
		pthread_join(other, NULL);
	log_stop();
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fd[0]);
	close(fd[1]);
	CU_ASSERT_TRUE(locked);
	CU_ASSERT_EQUAL(lines, 1);
	guest_close(&g);
	rig_stop();
}

static void
test_rescind_and_offer(void)
{
	char err[HVSIM_ERRLEN] = "";
	uint64_t count;
	struct guest g;

	host_start(false);
	guest_open(&g);
	guest_init(&g);
	pthread_mutex_lock(&rig.lock);
	CU_ASSERT_EQUAL(device_rescind(&rig.device[0], err, sizeof(err)), 0);
	CU_ASSERT_EQUAL(device_rescind(&rig.device[0], err, sizeof(err)), -EALREADY);
	pthread_mutex_unlock(&rig.lock);
	CU_ASSERT_EQUAL(read(g.irq[4], &count, sizeof(count)), 8);
	CU_ASSERT_EQUAL(read_descriptor(&g), 0);
	CU_ASSERT_EQUAL(g.info.state, VMBUS_DEVICE_RESCINDED);
	CU_ASSERT_NOT_EQUAL(access(rig.device[0].path, F_OK), 0);
	/* The client agrees by a reset; the host hangs up. */
	CU_ASSERT_EQUAL(vfu_client_reset(g.client), 0);
	for (unsigned int i = 0; i < 200 && vfu_client_alive(g.client) == 0; i++)
		usleep(10000);
	CU_ASSERT_NOT_EQUAL(vfu_client_alive(g.client), 0);
	guest_close(&g);
	pthread_mutex_lock(&rig.lock);
	CU_ASSERT_EQUAL(device_offer(&rig.device[0], err, sizeof(err)), 0);
	pthread_mutex_unlock(&rig.lock);
	guest_open(&g);
	CU_ASSERT_EQUAL(g.info.state, VMBUS_DEVICE_OFFERED);
	guest_init(&g);
	guest_close(&g);
	rig_stop();
}

/* Somebody's file is where the socket was: nothing has changed then, and the NIC stays ours. */
static void
test_offer_that_fails(void)
{
	struct hvsim_device *device, other;
	char err[HVSIM_ERRLEN] = "";
	struct guest g;
	int fd;

	host_start(false);
	device = &rig.device[0];
	guest_open(&g);
	pthread_mutex_lock(&rig.lock);
	/* As after a client that there were not the means for. */
	device->accept_after = 1;
	CU_ASSERT_EQUAL(device_rescind(device, err, sizeof(err)), 0);
	CU_ASSERT_EQUAL(device_deadline(device), device->rescind_deadline);
	fd = open(device->path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	CU_ASSERT_FATAL(fd >= 0);
	close(fd);
	for (unsigned int i = 0; i < 2; i++)
		CU_ASSERT_EQUAL(device_offer(device, err, sizeof(err)), -EEXIST);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "exists and is not a socket"));
	CU_ASSERT_EQUAL(device_listen_fd(device), -1);
	/* As main() does, which polled when there was a client. */
	device_accept(device);
	device_process(device);
	CU_ASSERT_PTR_NOT_NULL(device->session);
	pthread_mutex_unlock(&rig.lock);
	CU_ASSERT_EQUAL(vfu_client_alive(g.client), 0);
	guest_close(&g);
	CU_ASSERT_EQUAL_FATAL(device_create(&other, 1, &device->config, dir, err, sizeof(err)), 0);
	CU_ASSERT_EQUAL(device_serve(&other, err, sizeof(err)), -EBUSY);
	device_destroy(&other);
	CU_ASSERT_EQUAL(unlink(device->path), 0);
	pthread_mutex_lock(&rig.lock);
	CU_ASSERT_EQUAL(device_offer(device, err, sizeof(err)), 0);
	pthread_mutex_unlock(&rig.lock);
	guest_open(&g);
	guest_init(&g);
	guest_close(&g);
	rig_stop();
}

static void
test_two_servers(void)
{
	struct hvsim_device other;
	char err[HVSIM_ERRLEN] = "";
	struct stat st;

	host_start(false);
	CU_ASSERT_EQUAL(stat(rig.device[0].path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	CU_ASSERT_EQUAL_FATAL(
		device_create(&other, 1, &rig.device[0].config, dir, err, sizeof(err)), 0);
	CU_ASSERT_EQUAL(device_serve(&other, err, sizeof(err)), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, rig.device[0].guid));
	device_destroy(&other);
	/* The first server's socket is untouched. */
	CU_ASSERT_EQUAL(access(rig.device[0].path, F_OK), 0);
	rig_stop();
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"NVSP INIT to a sleeping host", test_init_adaptive},
		{"NVSP INIT to a busy host", test_init_busy},
		{"regions", test_regions},
		{"next client", test_next_client},
		{"subchannels and reset", test_subchannels_and_reset},
		{"memory", test_memory},
		{"truncated memory", test_truncated_memory},
		{"a session's end is announced with the lock held",
			test_end_is_announced_with_the_lock_held},
		{"nobody reads the log, and the device's lock is free", test_nobody_reads_the_log},
		{"rescind and offer", test_rescind_and_offer},
		{"an offer that fails changes nothing", test_offer_that_fails},
		{"two servers", test_two_servers},
	};

	return UNIT_RUN_IN(dir, "hvsim_session", tests);
}
