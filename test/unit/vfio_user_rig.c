/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/unit/vfio_user_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/vmbus/guid.h"
#include "test/unit/descriptors.h"
#include "test/unit/unit.h"

uint8_t rig_reply[70000];
long rig_reply_len;
int rig_reply_fds[64];
unsigned int rig_reply_n_fds;

const uint64_t rig_region_size[VMBUS_REGION_FIXED_COUNT] = {
	4u << 20, 4096, 4096, 16u << 20, 16u << 20, 8192, 4096};

const struct vmbus_device_info rig_device_info = {.state = VMBUS_DEVICE_OFFERED,
	.flags = VMBUS_DEVICE_FLAG_MONITOR | VMBUS_DEVICE_FLAG_DOORBELL | VMBUS_DEVICE_FLAG_BUSY,
	.vmbus_version = VMBUS_DESC_VERSION_5_3,
	.epoch = 1,
	.relid = 14,
	.monitor_id = 3,
	.max_channels = 4,
	.num_channels = 1,
	.recv_gpadl = 0xe1e10,
	.send_gpadl = 0xe1e11,
	.recv_size = 16u << 20,
	.send_size = 16u << 20,
	.rings_size = 4u << 20,
	.channel[0] = {.state = VMBUS_CHANNEL_OPEN,
		.relid = 14,
		.monitor_id = 3,
		.ring_bytes = 2u << 20,
		.target_vp = VMBUS_VP_UNKNOWN,
		.epoch = 1}};

int
rig_memfd(uint64_t size)
{
	int fd = memfd_create("rig", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	CU_ASSERT_FATAL(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
	return fd;
}

/* One for all: giving one back takes the kernel milliseconds. */
static const struct vfu_signaller *
rig_signaller(void)
{
	static struct vfu_signaller signaller;

	if (signaller.context == 0 && vfu_signaller_init(&signaller) != 0)
		return NULL;
	return &signaller;
}

unsigned int
rig_count_fds(void)
{
	/* Not assertions: main() calls this too. The signaller's is there from the start. */
	rig_signaller();
	return count_descriptors();
}

unsigned int rig_fds_at_start;

void
rig_test_no_descriptor_left(void)
{
	rig_reply_close_fds();
	CU_ASSERT_EQUAL(rig_count_fds(), rig_fds_at_start);
}

/* ---- the device ---- */

static int
on_opened(void *ctx, struct vfu_session *session)
{
	struct rig_device *d = ctx;

	d->opened++;
	return d->open_error;
}

static int
on_region_info(void *ctx, uint32_t index, struct vfu_region_desc *region)
{
	struct rig_device *d = ctx;

	if (index >= VMBUS_REGION_FIXED_COUNT)
		return 0;
	region->size = rig_region_size[index];
	region->type = VMBUS_REGION_TYPE;
	region->subtype = index + 1;
	region->fd = d->region_fd[index];
	region->flags = index == VMBUS_REGION_DOORBELL ? VFIO_USER_REGION_FLAG_WRITE
			: index == VMBUS_REGION_DESCRIPTOR
				? VFIO_USER_REGION_FLAG_READ | VFIO_USER_REGION_FLAG_MMAP
				: VFIO_USER_REGION_FLAG_READ | VFIO_USER_REGION_FLAG_WRITE |
					  VFIO_USER_REGION_FLAG_MMAP;
	return 0;
}

static int
on_region_read(void *ctx, uint32_t index, uint64_t offset, void *data, uint32_t count)
{
	struct rig_device *d = ctx;

	return pread(d->region_fd[index], data, count, (off_t)offset) == count ? 0 : -EIO;
}

static int
on_region_write(void *ctx, uint32_t index, uint64_t offset, const void *data, uint32_t count)
{
	struct rig_device *d = ctx;

	if (index != VMBUS_REGION_DOORBELL)
		return pwrite(d->region_fd[index], data, count, (off_t)offset) == count ? 0 : -EIO;
	if (count != 4 || offset % 4 != 0)
		return -EINVAL;
	d->doorbell_written = (uint32_t)offset + 1;
	return 0;
}

static int
on_io_fds(void *ctx, uint32_t index, struct vfu_io_fd_desc *entries, uint32_t *count, int *fds,
	uint32_t max_fds, uint32_t *n_fds)
{
	struct rig_device *d = ctx;

	if (index != VMBUS_REGION_DOORBELL)
		return 0;
	*n_fds = max_fds < 2 ? max_fds : 2;
	memcpy(fds, d->doorbell, *n_fds * sizeof(int));
	*count = d->info.max_channels;
	for (uint32_t k = 0; k < *count; k++)
		entries[k] = (struct vfu_io_fd_desc){4 * k, 4, k % *n_fds};
	return 0;
}

static void
on_irqs_changed(void *ctx, uint32_t index)
{
	((struct rig_device *)ctx)->irqs_changed++;
}

static int
on_dma_map(void *ctx, int fd, uint32_t flags, uint64_t offset, uint64_t iova, uint64_t size)
{
	struct rig_device *d = ctx;

	for (unsigned int i = 0; i < d->n_maps; i++)
		if (iova < d->map[i].iova + d->map[i].size && d->map[i].iova < iova + size)
			return -EEXIST;
	if (d->n_maps == 8)
		return -ENOSPC;
	d->map[d->n_maps].iova = iova;
	d->map[d->n_maps].size = size;
	d->map[d->n_maps].offset = offset;
	d->map[d->n_maps++].flags = flags;
	return fcntl(fd, F_GETFD) < 0 ? -EIO : 0;
}

static int
on_dma_unmap(void *ctx, uint64_t iova, uint64_t size)
{
	struct rig_device *d = ctx;

	for (unsigned int i = 0; i < d->n_maps; i++) {
		if (d->map[i].iova != iova || d->map[i].size != size)
			continue;
		d->map[i] = d->map[--d->n_maps];
		return 0;
	}
	return -ENOENT;
}

static int
on_dma_unmap_all(void *ctx)
{
	struct rig_device *d = ctx;

	d->unmap_alls++;
	d->n_maps = 0;
	return 0;
}

static int
on_reset(void *ctx)
{
	((struct rig_device *)ctx)->resets++;
	return 0;
}

static const struct vfu_device_ops ops = {.opened = on_opened,
	.region_info = on_region_info,
	.region_read = on_region_read,
	.region_write = on_region_write,
	.io_fds = on_io_fds,
	.irqs_changed = on_irqs_changed,
	.dma_map = on_dma_map,
	.dma_unmap = on_dma_unmap,
	.dma_unmap_all = on_dma_unmap_all,
	.reset = on_reset};

void
rig_device_open(struct rig_device *d)
{
	memset(d, 0, sizeof(*d));
	d->device = (struct vfu_device){.ops = &ops,
		.ctx = d,
		.flags = VFIO_USER_DEVICE_RESET_CAP,
		.num_regions = VMBUS_DEVICE_REGIONS(4),
		.num_irqs = VMBUS_IRQ_COUNT,
		.irq_count = {4, 1},
		.signaller = rig_signaller()};
	d->info = rig_device_info;
	CU_ASSERT_EQUAL_FATAL(vmbus_guid_parse(RIG_INSTANCE, d->info.instance), 0);
	for (unsigned int i = 0; i < VMBUS_REGION_FIXED_COUNT; i++)
		d->region_fd[i] = i == VMBUS_REGION_DOORBELL ? -1 : rig_memfd(rig_region_size[i]);
	d->descriptor = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED,
		d->region_fd[VMBUS_REGION_DESCRIPTOR], 0);
	CU_ASSERT_FATAL(d->descriptor != MAP_FAILED);
	vmbus_device_publish(d->descriptor, &d->info);
	d->doorbell[0] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	d->doorbell[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

void
rig_device_close(struct rig_device *d)
{
	munmap(d->descriptor, 8192);
	for (unsigned int i = 0; i < VMBUS_REGION_FIXED_COUNT; i++)
		if (d->region_fd[i] >= 0)
			close(d->region_fd[i]);
	close(d->doorbell[0]);
	close(d->doorbell[1]);
}

/* ---- raw messages ---- */

size_t
rig_hex(const char *hex, uint8_t *bytes, size_t size)
{
	size_t n = 0;

	while (*hex != '\0') {
		int hi = vmbus_guid_nibble(hex[0]);

		if (hi < 0) {
			hex++;
			continue;
		}
		CU_ASSERT_FATAL(n < size && vmbus_guid_nibble(hex[1]) >= 0);
		bytes[n++] = (uint8_t)(hi << 4 | vmbus_guid_nibble(hex[1]));
		hex += 2;
	}
	return n;
}

ssize_t
rig_try_send(int sock, const void *bytes, size_t len, const int *fds, unsigned int n_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(64 * sizeof(int))];
	} control = {0};
	struct iovec iov = {(void *)bytes, len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (n_fds > 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.align), fds, n_fds * sizeof(int));
	}
	return sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void
rig_send(int sock, const void *bytes, size_t len, const int *fds, unsigned int n_fds)
{
	CU_ASSERT_EQUAL(rig_try_send(sock, bytes, len, fds, n_fds), (ssize_t)len);
}

long
rig_recv(int sock, void *bytes, size_t size, int *fds, unsigned int *n_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(64 * sizeof(int))];
	} control;
	struct iovec iov = {bytes, size};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *cmsg;
	ssize_t n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	*n_fds = 0;
	if (n < 0)
		return errno == ECONNRESET ? 0 : -1;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg != NULL && cmsg->cmsg_type == SCM_RIGHTS) {
		*n_fds = (unsigned int)((cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(cmsg), *n_fds * sizeof(int));
	}
	return n;
}

void
rig_open(struct rig *r)
{
	int pair[2];

	rig_device_open(&r->d);
	CU_ASSERT_EQUAL_FATAL(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	r->peer = pair[0];
	r->end = 0;
	CU_ASSERT_EQUAL_FATAL(vfu_session_create(pair[1], &r->d.device, &r->session), 0);
}

void
rig_open_version(struct rig *r)
{
	uint8_t bytes[256];
	size_t len = rig_hex(RIG_VERSION, bytes, sizeof(bytes));

	rig_open(r);
	rig_send(r->peer, bytes, len, NULL, 0);
	CU_ASSERT_EQUAL_FATAL(vfu_session_process(r->session), 0);
	CU_ASSERT_FATAL(vfu_session_is_open(r->session));
	rig_reply_len =
		rig_recv(r->peer, rig_reply, sizeof(rig_reply), rig_reply_fds, &rig_reply_n_fds);
	CU_ASSERT_FATAL(rig_reply_len > 20);
}

void
rig_close(struct rig *r)
{
	vfu_session_close(r->session);
	if (r->peer >= 0)
		close(r->peer);
	rig_device_close(&r->d);
}

void
rig_reply_close_fds(void)
{
	for (unsigned int i = 0; i < rig_reply_n_fds; i++)
		close(rig_reply_fds[i]);
	rig_reply_n_fds = 0;
}

int
rig_command(struct rig *r, uint16_t command, const void *payload, size_t len, const int *fds,
	unsigned int n_fds)
{
	static uint8_t bytes[70000];
	struct vfio_user_header h = {0x1234, command, (uint32_t)(sizeof(h) + len), 0, 0};

	rig_reply_close_fds();
	memcpy(bytes, &h, sizeof(h));
	if (len > 0)
		memcpy(bytes + sizeof(h), payload, len);
	rig_send(r->peer, bytes, sizeof(h) + len, fds, n_fds);
	r->end = vfu_session_process(r->session);
	rig_reply_len =
		rig_recv(r->peer, rig_reply, sizeof(rig_reply), rig_reply_fds, &rig_reply_n_fds);
	if (rig_reply_len < (long)sizeof(h))
		return -1;
	memcpy(&h, rig_reply, sizeof(h));
	CU_ASSERT_EQUAL(h.msg_id, 0x1234);
	CU_ASSERT_EQUAL(h.command, command);
	CU_ASSERT_EQUAL(h.size, (uint32_t)rig_reply_len);
	if (h.flags == (VFIO_USER_TYPE_REPLY | VFIO_USER_ERROR)) {
		CU_ASSERT_EQUAL(h.size, 16);
		CU_ASSERT_EQUAL(rig_reply_n_fds, 0);
		return (int)h.error;
	}
	CU_ASSERT_EQUAL(h.flags, VFIO_USER_TYPE_REPLY);
	CU_ASSERT_EQUAL(h.error, 0);
	return 0;
}

/* ---- a scripted server ---- */

static bool
recv_all(int sock, uint8_t *bytes, size_t len, unsigned int *n_fds)
{
	size_t have = 0;

	while (have < len) {
		struct pollfd pfd = {.fd = sock, .events = POLLIN};
		unsigned int n;
		int fds[64];

		if (poll(&pfd, 1, 10000) != 1)
			return false;
		long got = rig_recv(sock, bytes + have, len - have, fds, &n);

		if (got <= 0)
			return false;
		*n_fds += n;
		while (n > 0)
			close(fds[--n]);
		have += (size_t)got;
	}
	return true;
}

/* CUnit is not made for threads: failures are words until the end. */
static bool
run_step(struct rig_script *s, const struct rig_step *step)
{
	static uint8_t request[70000], expect[70000], reply[70000];
	struct vfio_user_header h;
	unsigned int n_fds = 0;
	size_t len = step->reply_raw_len;

	if (!recv_all(s->sock, request, sizeof(h), &n_fds)) {
		snprintf(s->failure, sizeof(s->failure), "no request");
		return false;
	}
	memcpy(&h, request, sizeof(h));
	if (h.size < sizeof(h) || h.size > sizeof(request) ||
		!recv_all(s->sock, request + sizeof(h), h.size - sizeof(h), &n_fds)) {
		snprintf(s->failure, sizeof(s->failure), "half a request");
		return false;
	}
	if (step->expect != NULL &&
		(rig_hex(step->expect, expect, sizeof(expect)) != h.size ||
			memcmp(expect, request, h.size) != 0 || n_fds != step->n_fds)) {
		snprintf(s->failure, sizeof(s->failure), "command %u, id %u, %u bytes, %u fds",
			h.command, h.msg_id, h.size, n_fds);
		return false;
	}
	if (step->reply_raw != NULL) {
		memcpy(reply, step->reply_raw, len);
	} else if (step->reply != NULL) {
		bool id = strncmp(step->reply, "id", 2) == 0;

		len = rig_hex(step->reply + (id ? 2 : 0), reply + (id ? 2 : 0), sizeof(reply) - 2) +
		      (id ? 2 : 0);
	}
	if (len > 0) {
		if (step->reply_raw != NULL || strncmp(step->reply, "id", 2) == 0)
			memcpy(reply, request, 2);
		rig_send(s->sock, reply, len, step->fds, step->reply_n_fds);
	}
	if (step->hang_up)
		shutdown(s->sock, SHUT_RDWR);
	return true;
}

static void *
script_thread(void *arg)
{
	struct rig_script *s = arg;

	for (unsigned int i = 0; i < s->n; i++) {
		if (!run_step(s, &s->steps[i]))
			break;
		s->done++;
	}
	return NULL;
}

int
rig_script_start(struct rig_script *s, const struct rig_step *steps, unsigned int n)
{
	int pair[2];

	memset(s, 0, sizeof(*s));
	s->steps = steps;
	s->n = n;
	CU_ASSERT_EQUAL_FATAL(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	s->sock = pair[1];
	CU_ASSERT_EQUAL_FATAL(pthread_create(&s->thread, NULL, script_thread, s), 0);
	return pair[0];
}

void
rig_script_end(struct rig_script *s)
{
	pthread_join(s->thread, NULL);
	close(s->sock);
	if (s->done != s->n)
		printf("\n    step %u of %u: %s\n", s->done + 1, s->n, s->failure);
	CU_ASSERT_EQUAL(s->done, s->n);
}

/* ---- a real session on a thread ---- */

static void *
session_thread(void *arg)
{
	struct rig_thread *t = arg;

	while (!__atomic_load_n(&t->stop, __ATOMIC_ACQUIRE) && t->r.end == 0) {
		struct pollfd pfd = {.fd = vfu_session_fd(t->r.session), .events = POLLIN};

		if (poll(&pfd, 1, 20) == 1)
			t->r.end = vfu_session_process(t->r.session);
	}
	return NULL;
}

int
rig_thread_start(struct rig_thread *t)
{
	int peer;

	rig_open(&t->r);
	peer = t->r.peer;
	t->r.peer = -1;
	t->stop = 0;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&t->thread, NULL, session_thread, t), 0);
	return peer;
}

void
rig_thread_end(struct rig_thread *t)
{
	__atomic_store_n(&t->stop, 1, __ATOMIC_RELEASE);
	pthread_join(t->thread, NULL);
	rig_close(&t->r);
}
