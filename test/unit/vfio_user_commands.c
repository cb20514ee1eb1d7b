/* SPDX-License-Identifier: BSD-3-Clause */
/* What the server does for each command, with raw bytes (spec/vmbus-over-vfio-user.md §4, §5). */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "test/unit/unit.h"
#include "test/unit/vfio_user_rig.h"

static void
test_argsz_and_unknown(void)
{
	struct vfio_user_region_info info = {.argsz = 32, .index = 0};
	struct vfio_user_device_info dev = {.argsz = 15};
	struct vfio_user_io_fds io = {.argsz = 16, .index = 6};
	static const uint16_t unknown[] = {0, 11, 12, 14, 15, 16, 17, 18, 999};
	struct rig r;
	int efd = eventfd(0, EFD_CLOEXEC);
	unsigned int before;

	rig_open_version(&r);
	before = rig_count_fds();
	/* Too little room: the fixed part, the larger argsz, and the fd all the same. */
	CU_ASSERT_EQUAL(rig_command(&r, 5, &info, sizeof(info), NULL, 0), 0);
	memcpy(&info, rig_reply + 16, sizeof(info));
	CU_ASSERT_EQUAL(rig_reply_len, 48);
	CU_ASSERT_EQUAL(info.argsz, 48);
	CU_ASSERT_EQUAL(info.cap_offset, 0);
	CU_ASSERT_EQUAL(rig_reply_n_fds, 1);
	info.argsz = 31;
	CU_ASSERT_EQUAL(rig_command(&r, 5, &info, sizeof(info), NULL, 0), EINVAL);
	CU_ASSERT_EQUAL(rig_command(&r, 5, &info, sizeof(info) - 1, NULL, 0), EINVAL);
	CU_ASSERT_EQUAL(rig_command(&r, 4, &dev, sizeof(dev), NULL, 0), EINVAL);
	CU_ASSERT_EQUAL(rig_command(&r, 6, &io, sizeof(io), NULL, 0), 0);
	CU_ASSERT_EQUAL(rig_reply_len, 32);
	CU_ASSERT_EQUAL(rig_reply_n_fds, 0);
	memcpy(&io, rig_reply + 16, sizeof(io));
	CU_ASSERT_EQUAL(io.argsz, 16 + 4 * 40);

	/* Region not present; index out of range. */
	info = (struct vfio_user_region_info){.argsz = 4096, .index = 17};
	CU_ASSERT_EQUAL(rig_command(&r, 5, &info, sizeof(info), NULL, 0), 0);
	memcpy(&info, rig_reply + 16, sizeof(info));
	CU_ASSERT_EQUAL(info.size, 0);
	CU_ASSERT_EQUAL(info.flags, 0);
	CU_ASSERT_EQUAL(info.argsz, 32);
	info = (struct vfio_user_region_info){.argsz = 4096, .index = 20};
	CU_ASSERT_EQUAL(rig_command(&r, 5, &info, sizeof(info), NULL, 0), EINVAL);

	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		CU_ASSERT_EQUAL(rig_command(&r, unknown[i], NULL, 0, NULL, 0), ENOTSUP);
	CU_ASSERT_EQUAL(rig_command(&r, VFIO_USER_DEVICE_RESET, "x", 1, NULL, 0), EINVAL);

	/* A stray fd: executed, fd closed. */
	dev.argsz = 16;
	CU_ASSERT_EQUAL(rig_command(&r, 4, &dev, sizeof(dev), &efd, 1), 0);
	rig_reply_close_fds();
	CU_ASSERT_EQUAL(rig_count_fds(), before);
	close(efd);
	rig_close(&r);
}

static int
set_irqs(struct rig *r, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
	const int *fds, unsigned int n_fds)
{
	struct vfio_user_irq_set set = {20, flags, index, start, count};

	return rig_command(r, VFIO_USER_DEVICE_SET_IRQS, &set, sizeof(set), fds, n_fds);
}

static bool
fired(int efd)
{
	uint64_t value;

	return read(efd, &value, 8) == 8;
}

static void
test_set_irqs(void)
{
	struct rig r;
	int efd[4], pipes[2];
	unsigned int before;

	for (unsigned int i = 0; i < 4; i++)
		efd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	CU_ASSERT_EQUAL_FATAL(pipe2(pipes, O_CLOEXEC), 0);
	rig_open_version(&r);
	before = rig_count_fds();
	CU_ASSERT_EQUAL(set_irqs(&r, 0x24, 0, 0xffffffff, 2, NULL, 0), EINVAL);
	CU_ASSERT_EQUAL(set_irqs(&r, 0x24, 0, 0xffffffff, 2, efd, 2), EINVAL);
	CU_ASSERT_EQUAL(set_irqs(&r, 0x24, 0, 0, 0, NULL, 0), EINVAL);
	CU_ASSERT_EQUAL(set_irqs(&r, 0x24, 0, 0, 3, efd, 2), EINVAL);
	CU_ASSERT_EQUAL(set_irqs(&r, 0x24, 0, 0, 1, pipes, 1), EINVAL);
	CU_ASSERT_EQUAL(set_irqs(&r, 0x24, 0, 1, 4, efd, 4), EINVAL);
	CU_ASSERT_EQUAL(set_irqs(&r, 0x24, 0, 4, 1, efd, 1), EINVAL);
	CU_ASSERT_EQUAL(set_irqs(&r, 0x24, 2, 0, 1, efd, 1), EINVAL);
	CU_ASSERT_EQUAL(set_irqs(&r, 0x21, 0, 1, 0, NULL, 0), EINVAL);
	CU_ASSERT_EQUAL(set_irqs(&r, 0x21, 0, 0, 1, efd, 1), EINVAL);
	CU_ASSERT_EQUAL(set_irqs(&r, 0x22, 0, 0, 1, NULL, 0), EINVAL); /* no bools */
	CU_ASSERT_EQUAL(set_irqs(&r, 0x25, 0, 0, 1, NULL, 0), EINVAL);
	CU_ASSERT_EQUAL(set_irqs(&r, 0x20, 0, 0, 1, NULL, 0), EINVAL);
	CU_ASSERT_EQUAL(set_irqs(&r, 0x04, 0, 0, 1, efd, 1), EINVAL);
	CU_ASSERT_EQUAL(set_irqs(&r, 0x09, 0, 0, 1, NULL, 0), EINVAL); /* mask */
	CU_ASSERT_EQUAL(set_irqs(&r, 0x11, 0, 0, 1, NULL, 0), EINVAL); /* unmask */
	CU_ASSERT_EQUAL(set_irqs(&r, 0x64, 0, 0, 1, efd, 1), EINVAL);
	CU_ASSERT_EQUAL(rig_count_fds(), before);
	CU_ASSERT_EQUAL(r.d.irqs_changed, 0);

	/* A pipe among eventfds: none is installed. */
	int mixed[2] = {efd[0], pipes[1]};

	CU_ASSERT_EQUAL(set_irqs(&r, 0x24, 0, 0, 2, mixed, 2), EINVAL);
	CU_ASSERT_FALSE(vfu_session_has_irq(r.session, 0, 0));

	CU_ASSERT_EQUAL(set_irqs(&r, 0x24, 0, 0, 2, efd, 2), 0);
	CU_ASSERT_EQUAL(rig_count_fds(), before + 2);
	CU_ASSERT_EQUAL(set_irqs(&r, 0x24, 0, 1, 1, efd + 2, 1), 0); /* replaces */
	CU_ASSERT_EQUAL(rig_count_fds(), before + 2);
	CU_ASSERT_EQUAL(r.d.irqs_changed, 2);
	/* Channel 1 has its own, channel 3 shares the first. */
	CU_ASSERT_EQUAL(vfu_session_signal_channel(r.session, 1), 0);
	CU_ASSERT_TRUE(fired(efd[2]));
	CU_ASSERT_FALSE(fired(efd[0]));
	CU_ASSERT_FALSE(fired(efd[1]));
	CU_ASSERT_EQUAL(vfu_session_signal_channel(r.session, 3), 0);
	CU_ASSERT_TRUE(fired(efd[0]));
	/* Fire by hand: NONE, then BOOL. */
	CU_ASSERT_EQUAL(set_irqs(&r, 0x21, 0, 0, 4, NULL, 0), 0);
	CU_ASSERT_TRUE(fired(efd[0]));
	CU_ASSERT_TRUE(fired(efd[2]));
	uint8_t bools[24];

	rig_hex("18000000 22000000 00000000 00000000 04000000 00010000", bools, sizeof(bools));
	CU_ASSERT_EQUAL(rig_command(&r, 8, bools, sizeof(bools), NULL, 0), 0);
	CU_ASSERT_FALSE(fired(efd[0]));
	CU_ASSERT_TRUE(fired(efd[2]));
	/* Remove one, then all. */
	CU_ASSERT_EQUAL(set_irqs(&r, 0x24, 0, 1, 1, NULL, 0), 0);
	CU_ASSERT_FALSE(vfu_session_has_irq(r.session, 0, 1));
	CU_ASSERT_TRUE(vfu_session_has_irq(r.session, 0, 0));
	CU_ASSERT_EQUAL(set_irqs(&r, 0x21, 0, 0, 0, NULL, 0), 0);
	CU_ASSERT_FALSE(vfu_session_has_irq(r.session, 0, 0));
	CU_ASSERT_EQUAL(vfu_session_signal(r.session, 0, 0), -ENOENT);
	CU_ASSERT_EQUAL(rig_count_fds(), before);
	/* Left installed: closed with the session. */
	CU_ASSERT_EQUAL(set_irqs(&r, 0x24, 0, 0, 4, efd, 4), 0);
	rig_close(&r);
	for (unsigned int i = 0; i < 4; i++)
		close(efd[i]);
	close(pipes[0]);
	close(pipes[1]);
}

/* §9: a client that saturates its eventfd and makes it blocking must not stop the server. */
static void
test_signal_never_blocks(void)
{
	struct rig r;
	uint64_t full = UINT64_MAX - 1;
	int efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	rig_open_version(&r);
	CU_ASSERT_EQUAL(set_irqs(&r, 0x24, 0, 0, 1, &efd, 1), 0);
	CU_ASSERT_EQUAL(write(efd, &full, 8), 8);
	CU_ASSERT_EQUAL(fcntl(efd, F_SETFL, 0), 0);
	alarm(10); /* it would hang here */
	CU_ASSERT_EQUAL(vfu_session_signal(r.session, 0, 0), 0);
	alarm(0);
	close(efd);
	rig_close(&r);
}

static int
dma_map(struct rig *r, uint32_t flags, uint64_t offset, uint64_t iova, uint64_t size,
	const int *fds, unsigned int n_fds)
{
	struct vfio_user_dma_map map = {32, flags, offset, iova, size};

	return rig_command(r, VFIO_USER_DMA_MAP, &map, sizeof(map), fds, n_fds);
}

static int
dma_unmap(struct rig *r, uint32_t flags, uint64_t iova, uint64_t size)
{
	struct vfio_user_dma_unmap unmap = {24, flags, iova, size};

	return rig_command(r, VFIO_USER_DMA_UNMAP, &unmap, sizeof(unmap), NULL, 0);
}

static void
test_dma(void)
{
	const uint64_t page = 4096, iova = 0x10000000;
	char disk_path[] = "/var/tmp/vfio_user_XXXXXX", path[64];
	int fds[2] = {rig_memfd(0x10000), rig_memfd(0x10000)};
	int disk = mkstemp(disk_path), efd = eventfd(0, EFD_CLOEXEC), ro, wo;
	unsigned int before;
	struct rig r;

	CU_ASSERT_FATAL(disk >= 0);
	unlink(disk_path);
	CU_ASSERT_EQUAL(ftruncate(disk, 0x10000), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	wo = open(path, O_WRONLY | O_CLOEXEC);
	rig_open_version(&r);
	before = rig_count_fds();
	CU_ASSERT_EQUAL(dma_map(&r, 1, 0, iova, 0, fds, 1), EINVAL);
	CU_ASSERT_EQUAL(dma_map(&r, 1, 0, UINT64_MAX - page + 1, page, fds, 1), EINVAL);
	CU_ASSERT_EQUAL(dma_map(&r, 1, 0, UINT64_MAX - page + 1, 2 * page, fds, 1), EINVAL);
	CU_ASSERT_EQUAL(dma_map(&r, 1, 0, UINT64_C(1) << 56, page, fds, 1), EINVAL);
	CU_ASSERT_EQUAL(dma_map(&r, 1, 0xf000, iova, 2 * page, fds, 1), EINVAL);
	CU_ASSERT_EQUAL(dma_map(&r, 1, UINT64_MAX - page + 1, iova, page, fds, 1), EINVAL);
	CU_ASSERT_EQUAL(dma_map(&r, 1, 0, iova + 1, page, fds, 1), EINVAL);
	CU_ASSERT_EQUAL(dma_map(&r, 1, 0, iova, page + 1, fds, 1), EINVAL);
	CU_ASSERT_EQUAL(dma_map(&r, 1, 1, iova, page, fds, 1), EINVAL);
	if (fcntl(disk, F_GET_SEALS) < 0) /* not when /var/tmp is a tmpfs */
		CU_ASSERT_EQUAL(dma_map(&r, 1, 0, iova, page, &disk, 1), EINVAL);
	CU_ASSERT_EQUAL(dma_map(&r, 1, 0, iova, page, &efd, 1), EINVAL);
	CU_ASSERT_EQUAL(dma_map(&r, 1, 0, iova, page, NULL, 0), ENOTSUP);
	CU_ASSERT_EQUAL(dma_map(&r, 1, 0, iova, page, fds, 2), EINVAL);
	CU_ASSERT_EQUAL(dma_map(&r, 4, 0, iova, page, fds, 1), EINVAL);
	CU_ASSERT_EQUAL(dma_map(&r, 5, 0, iova, page, fds, 1), EINVAL);
	CU_ASSERT_EQUAL(dma_map(&r, 0, 0, iova, page, fds, 1), EINVAL);
	CU_ASSERT_EQUAL(dma_map(&r, 3, 0, iova, page, &ro, 1), EPERM);
	CU_ASSERT_EQUAL(dma_map(&r, 1, 0, iova, page, &wo, 1), EPERM);
	CU_ASSERT_EQUAL(r.d.n_maps, 0);
	CU_ASSERT_EQUAL(rig_count_fds(), before);

	CU_ASSERT_EQUAL(dma_map(&r, 1, 0xf000, iova, page, &ro, 1), 0);
	CU_ASSERT_EQUAL(dma_map(&r, 3, 0, (UINT64_C(1) << 56) - page, page, fds, 1), 0);
	CU_ASSERT_EQUAL(dma_map(&r, 1, 0xf000, iova, page, &ro, 1), EEXIST);
	CU_ASSERT_EQUAL(rig_count_fds(), before);
	CU_ASSERT_EQUAL(dma_unmap(&r, 0, iova, 2 * page), ENOENT);
	CU_ASSERT_EQUAL(dma_unmap(&r, 1, iova, page), EINVAL);
	CU_ASSERT_EQUAL(dma_unmap(&r, 2, iova, page), EINVAL);
	CU_ASSERT_EQUAL(dma_unmap(&r, 0, iova, 0), EINVAL);
	CU_ASSERT_EQUAL(dma_unmap(&r, 0, iova, page), 0);
	CU_ASSERT_EQUAL(r.d.n_maps, 1);
	CU_ASSERT_EQUAL(dma_unmap(&r, 2, 0, 0), 0);
	CU_ASSERT_EQUAL(r.d.unmap_alls, 1);
	CU_ASSERT_EQUAL(rig_reply_len, 40);
	rig_close(&r);
	close(ro);
	close(wo);
	close(disk);
	close(efd);
	close(fds[0]);
	close(fds[1]);
}

static void
test_region_access(void)
{
	static uint8_t bytes[70000];
	struct vfio_user_region_access a;
	struct rig r;

	rig_open_version(&r);
#define ACCESS(command, off, reg, n, extra)                                                        \
	(a = (struct vfio_user_region_access){off, reg, n}, memcpy(bytes, &a, 16),                 \
		rig_command(&r, command, bytes, 16 + (extra), NULL, 0))
	/* The largest request there is. */
	memset(bytes + 16, 0x5a, 65536);
	CU_ASSERT_EQUAL(ACCESS(10, 0, 3, 65536, 65536), 0);
	CU_ASSERT_EQUAL(rig_reply_len, 32);
	CU_ASSERT_EQUAL(ACCESS(9, 0xfff0, 3, 32, 0), 0);
	CU_ASSERT_EQUAL(rig_reply_len, 64);
	CU_ASSERT_EQUAL(rig_reply[32 + 15], 0x5a);
	CU_ASSERT_EQUAL(rig_reply[32 + 16], 0);
	CU_ASSERT_EQUAL(ACCESS(9, 0, 3, 65536, 0), 0);
	CU_ASSERT_EQUAL(ACCESS(9, 0, 3, 65537, 0), EINVAL);
	CU_ASSERT_EQUAL(ACCESS(9, 8192, 5, 0, 0), 0);
	CU_ASSERT_EQUAL(ACCESS(9, 8191, 5, 2, 0), EINVAL);
	CU_ASSERT_EQUAL(ACCESS(9, UINT64_MAX, 5, 2, 0), EINVAL);
	CU_ASSERT_EQUAL(ACCESS(9, 0, 7, 4, 0), EINVAL);
	CU_ASSERT_EQUAL(ACCESS(9, 0, 20, 4, 0), EINVAL);
	CU_ASSERT_EQUAL(ACCESS(9, 0, 6, 4, 0), EPERM);
	CU_ASSERT_EQUAL(ACCESS(10, 0, 5, 4, 4), EPERM);
	CU_ASSERT_EQUAL(ACCESS(10, 0, 3, 8, 4), EINVAL);
	CU_ASSERT_EQUAL(ACCESS(10, 0, 3, 4, 8), EINVAL);
	CU_ASSERT_EQUAL(ACCESS(10, 8, 6, 4, 4), 0);
	CU_ASSERT_EQUAL(r.d.doorbell_written, 9);
	CU_ASSERT_EQUAL(ACCESS(10, 6, 6, 4, 4), EINVAL);
	CU_ASSERT_EQUAL(ACCESS(10, 8, 6, 8, 8), EINVAL);
#undef ACCESS
	rig_close(&r);
}

/* A client that asks and does not read: the server waits without spinning, then goes on in order.
 */
static void
test_slow_reader(void)
{
	struct vfio_user_region_access a = {0, 3, 65536};
	struct vfio_user_header h = {0, VFIO_USER_REGION_READ, 32, 0, 0};
	uint8_t bytes[32];
	struct pollfd pfd;
	struct rig r;
	unsigned int sent = 0, n;
	long total = 0;

	rig_open_version(&r);
	for (; sent < 16; sent++) {
		h.msg_id = (uint16_t)sent;
		memcpy(bytes, &h, 16);
		memcpy(bytes + 16, &a, 16);
		rig_send(r.peer, bytes, sizeof(bytes), NULL, 0);
	}
	pfd = (struct pollfd){.fd = vfu_session_fd(r.session), .events = POLLIN};
	/* A turn ends after some time: on a busy machine all that fits takes more than one. */
	for (n = 0; n < 17 && poll(&pfd, 1, 0) == 1; n++)
		CU_ASSERT_EQUAL(vfu_session_process(r.session), 0);
	CU_ASSERT_EQUAL(poll(&pfd, 1, 0), 0);
	while (total < 16 * (65536 + 32)) {
		long got = rig_recv(r.peer, rig_reply, sizeof(rig_reply), rig_reply_fds, &n);

		if (got > 0) {
			total += got;
			continue;
		}
		CU_ASSERT_EQUAL_FATAL(poll(&pfd, 1, 1000), 1);
		CU_ASSERT_EQUAL_FATAL(vfu_session_process(r.session), 0);
	}
	CU_ASSERT_EQUAL(total, 16 * (65536 + 32));
	CU_ASSERT_EQUAL(vfu_session_process(r.session), 0);
	CU_ASSERT_EQUAL(poll(&pfd, 1, 0), 0); /* not left waiting for room */
	CU_ASSERT_EQUAL(rig_command(&r, VFIO_USER_DEVICE_RESET, NULL, 0, NULL, 0), 0);
	rig_close(&r);
}

static void
test_io_fds(void)
{
	struct vfio_user_io_fds io = {.argsz = 4096, .index = 6};
	struct vfio_user_io_fd entry[4];
	uint8_t version[64] = {0, 0, 1, 0};
	uint64_t value = 1;
	struct rig r;

	rig_open_version(&r);
	CU_ASSERT_EQUAL(rig_command(&r, 6, &io, sizeof(io), NULL, 0), 0);
	CU_ASSERT_EQUAL(rig_reply_len, 32 + 4 * 40);
	CU_ASSERT_EQUAL(rig_reply_n_fds, 2);
	memcpy(&io, rig_reply + 16, sizeof(io));
	CU_ASSERT_EQUAL(io.count, 4);
	CU_ASSERT_EQUAL(io.argsz, 16 + 4 * 40);
	memcpy(entry, rig_reply + 32, sizeof(entry));
	for (uint32_t k = 0; k < 4; k++) {
		CU_ASSERT_EQUAL(entry[k].offset, 4 * k);
		CU_ASSERT_EQUAL(entry[k].size, 4);
		CU_ASSERT_EQUAL(entry[k].fd_index, k % 2);
		CU_ASSERT_EQUAL(entry[k].type, 0);
		CU_ASSERT_EQUAL(entry[k].datamatch, 0);
	}
	CU_ASSERT_EQUAL(write(rig_reply_fds[1], &value, 8), 8);
	CU_ASSERT_TRUE(fired(r.d.doorbell[1]));
	CU_ASSERT_FALSE(fired(r.d.doorbell[0]));
	rig_reply_close_fds();
	io = (struct vfio_user_io_fds){.argsz = 4096, .index = 7};
	CU_ASSERT_EQUAL(rig_command(&r, 6, &io, sizeof(io), NULL, 0), EINVAL);
	rig_close(&r);

	/* A client that takes one fd, and one that takes none. */
	rig_open(&r);
	CU_ASSERT_EQUAL(rig_command(&r, 1, version, 4, NULL, 0), 0);
	io = (struct vfio_user_io_fds){.argsz = 4096, .index = 6};
	CU_ASSERT_EQUAL(rig_command(&r, 6, &io, sizeof(io), NULL, 0), 0);
	CU_ASSERT_EQUAL(rig_reply_n_fds, 1);
	rig_reply_close_fds();
	rig_close(&r);
	rig_open(&r);
	memcpy(version + 4, "{\"capabilities\":{\"max_msg_fds\":0}}", 35);
	CU_ASSERT_EQUAL(rig_command(&r, 1, version, 39, NULL, 0), 0);
	CU_ASSERT_EQUAL(rig_command(&r, 6, &io, sizeof(io), NULL, 0), ENOTSUP);
	struct vfio_user_region_info info = {.argsz = 4096};

	CU_ASSERT_EQUAL(rig_command(&r, 5, &info, sizeof(info), NULL, 0), 0);
	CU_ASSERT_EQUAL(rig_reply_n_fds, 0);
	rig_close(&r);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"argsz, absent regions, unknown commands", test_argsz_and_unknown},
		{"SET_IRQS", test_set_irqs},
		{"signalling never blocks", test_signal_never_blocks},
		{"DMA_MAP and DMA_UNMAP", test_dma},
		{"REGION_READ and REGION_WRITE", test_region_access},
		{"a client that does not read", test_slow_reader},
		{"IO_FDS", test_io_fds},
		{"no descriptor left open", rig_test_no_descriptor_left},
	};

	return RIG_RUN("vfio-user server: commands", tests);
}
