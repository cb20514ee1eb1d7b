/* SPDX-License-Identifier: BSD-3-Clause */
/* The client's end of the protocol: golden requests, hostile answers, and a real session (§17). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "test/unit/refused_poll.h"
#include "test/unit/unit.h"
#include "test/unit/vfio_user_rig.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define TEXT VFU_ERRLEN
#define HELLO                                                                                      \
	{                                                                                          \
		.expect = RIG_VERSION, .reply = RIG_VERSION_REPLY                                  \
	}
/* What a region info request looks like, up to its id. */
#define REGION_0                                                                                   \
	"0500 30000000 00000000 00000000 00100000 00000000 00000000 00000000 00000000 00000000"    \
	"00000000 00000000"

static struct vfu_client *
attach(struct rig_script *s, const struct rig_step *steps, unsigned int n)
{
	struct vfu_client *client;
	char err[TEXT];
	int fd = rig_script_start(s, steps, n);

	CU_ASSERT_EQUAL_FATAL(vfu_client_attach(fd, &client, err, sizeof(err)), 0);
	return client;
}

static void
test_golden_requests(void)
{
	/* Takes the fds of ids 4 to 6 for granted, so that the ids of §17 come out. */
	struct rig_step steps[] = {
		{.expect = RIG_VERSION,
			.reply = "01000100 48000000 01000000 00000000 00000100"
				 /* {"capabilities": {"max_msg_fds": 16, "unknown": 1}} */
				 "7b226361706162696c6974696573223a207b226d61785f6d73675f66647322"
				 "3a2031362c2022756e6b6e6f776e223a20317d7d 00"},
		{.expect = "02000400 20000000 00000000 00000000"
			   "10000000 00000000 00000000 00000000",
			.reply = "02000400 20000000 01000000 00000000"
				 "10000000 01000000 14000000 02000000"},
		{.expect = "0300" REGION_0,
			.reply = "03000500 40000000 01000000 00000000 30000000 0f000000 00000000"
				 "20000000 00004000 00000000 00000000 00000000 02000100 00000000"
				 "14140080 01000000",
			.reply_n_fds = 1},
		{.expect = "04000700 20000000 00000000 00000000"
			   "10000000 00000000 00000000 00000000",
			.reply = "id 0700 20000000 01000000 00000000"
				 "10000000 01000000 00000000 04000000"},
		{.reply = "id 0d00 10000000 01000000 00000000"},
		{.reply = "id 0d00 10000000 01000000 00000000"},
		{.expect = "07000800 24000000 00000000 00000000 14000000 24000000 01000000"
			   "00000000 01000000",
			.n_fds = 1,
			.reply = "07000800 10000000 01000000 00000000"},
		{.reply = "id 0d00 10000000 01000000 00000000"},
		{.expect = "09000200 30000000 00000000 00000000 20000000 01000000 00002000"
			   "00000000 00002080 11000000 00002000 00000000",
			.n_fds = 1,
			.reply = "09000200 10000000 01000000 00000000"},
		{.expect = "0a000300 28000000 00000000 00000000 18000000 00000000 00002080"
			   "11000000 00002000 00000000",
			.reply = "0a000300 28000000 01000000 00000000 18000000 00000000 00002080"
				 "11000000 00002000 00000000"},
		{.expect = "0b000900 20000000 00000000 00000000"
			   "00000000 00000000 05000000 10000000",
			.reply = "0b000900 30000000 01000000 00000000 00000000 00000000 05000000"
				 "10000000 564d4244 01000000 00020000 02000000"},
		{.expect = "0c000d00 10000000 00000000 00000000",
			.reply = "0c000d00 10000000 01000000 00000000"},
		{.expect = "0d000a00 24000000 00000000 00000000"
			   "08000000 00000000 06000000 04000000 01000000",
			.reply = "0d000a00 20000000 01000000 00000000"
				 "08000000 00000000 06000000 04000000"},
	};
	struct vfu_device_info info;
	struct vfu_irq_info irq;
	struct vfu_region region;
	struct vfu_client *client;
	struct rig_script s;
	uint8_t magic[16];
	uint32_t one = 1;
	int fd = rig_memfd(4u << 20), efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	steps[2].fds[0] = fd;
	client = attach(&s, steps, N(steps));
	CU_ASSERT_EQUAL(vfu_client_max_fds(client), 16);
	CU_ASSERT_EQUAL(vfu_client_device_info(client, &info), 0);
	CU_ASSERT_EQUAL(info.flags, VFIO_USER_DEVICE_RESET_CAP);
	CU_ASSERT_EQUAL(info.num_regions, 20);
	CU_ASSERT_EQUAL(info.num_irqs, 2);
	CU_ASSERT_EQUAL(vfu_client_region_info(client, 0, &region), 0);
	CU_ASSERT_EQUAL(region.size, 4u << 20);
	CU_ASSERT_TRUE(region.fd >= 0);
	CU_ASSERT_TRUE(region.has_type);
	CU_ASSERT_EQUAL(region.type, VMBUS_REGION_TYPE);
	CU_ASSERT_EQUAL(region.subtype, VMBUS_KIND_RINGS);
	close(region.fd);
	CU_ASSERT_EQUAL(vfu_client_irq_info(client, 0, &irq), 0);
	CU_ASSERT_EQUAL(irq.count, 4);
	CU_ASSERT_EQUAL(irq.flags, VFIO_USER_IRQ_EVENTFD);
	CU_ASSERT_EQUAL(vfu_client_reset(client), 0);
	CU_ASSERT_EQUAL(vfu_client_reset(client), 0);
	CU_ASSERT_EQUAL(vfu_client_set_irqs(client, 1, 0, 1, &efd), 0);
	CU_ASSERT_EQUAL(vfu_client_reset(client), 0);
	CU_ASSERT_EQUAL(vfu_client_dma_map(client, fd, VFIO_USER_DMA_READ_FLAG, 0x200000,
				0x1180200000, 0x200000),
		0);
	CU_ASSERT_EQUAL(vfu_client_dma_unmap(client, 0x1180200000, 0x200000), 0);
	CU_ASSERT_EQUAL(vfu_client_region_read(client, 5, 0, magic, 16), 0);
	CU_ASSERT_EQUAL(memcmp(magic, "VMBD\x01\0\0\0\0\x02\0\0\x02\0\0\0", 16), 0);
	CU_ASSERT_EQUAL(vfu_client_reset(client), 0);
	CU_ASSERT_EQUAL(vfu_client_region_write(client, 6, 8, &one, 4), 0);
	CU_ASSERT_EQUAL(vfu_client_alive(client), 0);
	vfu_client_close(client);
	rig_script_end(&s);
	close(fd);
	close(efd);
}

/* The version exchange that does not work out. */
static void
test_bad_version_replies(void)
{
	static const struct {
		const char *reply;
		int want;
	} cases[] = {
		{"id 0100 10000000 21000000 10000000", -EBUSY},
		{"id 0100 10000000 21000000 0d000000", -EACCES},
		{"id 0100 10000000 21000000 00000000", -EINVAL},
		{"id 0100 10000000 21000000 ffffffff", -EINVAL},
		{"id 0100 14000000 01000000 00000000 01000000", -EPROTO},
		{"id 0100 12000000 01000000 00000000 0000", -EPROTO},
		{"id 0100 16000000 01000000 00000000 00000100 7b7d", -EPROTO},
		{"id 0100 17000000 01000000 00000000 00000100 5b5d00", -EPROTO},
		{"id 0100 15100000 01000000 00000000 00000100", -EPROTO}, /* 4 + 4097 bytes */
		{"id 0400 14000000 01000000 00000000 00000100", -EPROTO},
		{"07000100 14000000 01000000 00000000 00000100", -EPROTO},
		{"id 0100 14000000 02000000 00000000 00000100", -EPROTO},
		{"id 0100 14000000 00000000 00000000 00000100", -EPROTO},
		{"id 0100 0f000000 01000000 00000000", -EPROTO},
	};

	for (size_t i = 0; i < N(cases); i++) {
		const struct rig_step step = {.expect = RIG_VERSION, .reply = cases[i].reply};
		struct vfu_client *client;
		struct rig_script s;
		char err[TEXT] = "";
		int got;

		got = vfu_client_attach(rig_script_start(&s, &step, 1), &client, err, sizeof(err));
		if (got != cases[i].want)
			printf("\n    %s: %d %s\n", cases[i].reply, got, err);
		CU_ASSERT_EQUAL(got, cases[i].want);
		CU_ASSERT_PTR_NULL(client);
		CU_ASSERT_TRUE(err[0] != '\0');
		rig_script_end(&s);
	}
}

/* One region info reply, made of @p words after the header. @return of vfu_client_region_info() */
static int
region_reply(const uint32_t *words, size_t n, int fd, struct vfu_region *region)
{
	uint8_t reply[16 + 4096] = {0};
	struct vfio_user_header h = {
		0, VFIO_USER_DEVICE_GET_REGION_INFO, (uint32_t)(16 + 4 * n), 1, 0};
	struct rig_step steps[] = {HELLO,
		{.reply_raw = reply, .reply_raw_len = h.size, .fds = {fd}, .reply_n_fds = fd >= 0}};
	struct vfu_client *client;
	struct rig_script s;
	int ret;

	memcpy(reply, &h, sizeof(h));
	memcpy(reply + 16, words, 4 * n);
	client = attach(&s, steps, N(steps));
	ret = vfu_client_region_info(client, 0, region);
	CU_ASSERT_EQUAL(vfu_client_alive(client), ret == -EPROTO ? -ENOTCONN : 0);
	if (ret == -EPROTO) {
		CU_ASSERT_EQUAL(vfu_client_reset(client), -ENOTCONN);
		CU_ASSERT_EQUAL(region->fd, -1);
	}
	vfu_client_close(client);
	rig_script_end(&s);
	return ret;
}

#define REGION(...)                                                                                \
	region_reply((const uint32_t[]){__VA_ARGS__}, N(((const uint32_t[]){__VA_ARGS__})), fd, &r)

static void
test_region_replies(void)
{
	int fd = rig_memfd(0x20000), keep = fd;
	struct vfu_region r;

	/* Two sparse areas, fd offset 0x8000; type behind them. */
	CU_ASSERT_EQUAL(REGION(96, 15, 0, 32, 0x10000, 0, 0x8000, 0, 0x10001, 80, 2, 0, 0x1000, 0,
				0x1000, 0, 0x4000, 0, 0x2000, 0, 0x10002, 0, 0x80001414, 5),
		0);
	CU_ASSERT_EQUAL(r.offset, 0x8000);
	CU_ASSERT_EQUAL(r.n_areas, 2);
	CU_ASSERT_EQUAL(r.areas[0].offset, 0x1000);
	CU_ASSERT_EQUAL(r.areas[1].offset, 0x4000);
	CU_ASSERT_EQUAL(r.areas[1].size, 0x2000);
	CU_ASSERT_EQUAL(r.subtype, 5);
	CU_ASSERT_TRUE(r.fd >= 0);
	close(r.fd);
	/* Fits exactly; one page more does not. */
	CU_ASSERT_EQUAL(REGION(32, 7, 0, 0, 0x18000, 0, 0x8000, 0), 0);
	close(r.fd);
	CU_ASSERT_EQUAL(REGION(32, 7, 0, 0, 0x19000, 0, 0x8000, 0), -EPROTO);
	/* Not mappable though there is an fd; absent. */
	CU_ASSERT_EQUAL(REGION(32, 3, 0, 0, 0x1000, 0, 0, 0), 0);
	CU_ASSERT_EQUAL(r.fd, -1);
	CU_ASSERT_EQUAL(REGION(32, 0, 0, 0, 0, 0, 0, 0), 0);
	CU_ASSERT_EQUAL(r.fd, -1);
	/* Malformed. */
	CU_ASSERT_EQUAL(REGION(31, 7, 0, 0, 0x1000, 0, 0, 0), -EPROTO);	   /* argsz */
	CU_ASSERT_EQUAL(REGION(32, 7, 1, 0, 0x1000, 0, 0, 0), -EPROTO);	   /* index */
	CU_ASSERT_EQUAL(REGION(32, 7, 0, 0, 0x1001, 0, 0, 0), -EPROTO);	   /* page */
	CU_ASSERT_EQUAL(REGION(32, 7, 0, 0, 0x1000, 0, 0x10, 0), -EPROTO); /* page */
	CU_ASSERT_EQUAL(REGION(32, 7, 0, 0, 0, 1u << 31, 0, 0), -EPROTO);  /* 2^63 */
	CU_ASSERT_EQUAL(REGION(32, 7, 0, 0, 0x1000, 0, ~0xfffu, 0x7fffffff), -EPROTO);
	CU_ASSERT_EQUAL(REGION(32, 7, 0, 0, 0x1000, 0, 0), -EPROTO); /* short */
	CU_ASSERT_EQUAL(REGION(48, 15, 0, 36, 0x1000, 0, 0, 0, 0, 2, 0, 0), -EPROTO);
	CU_ASSERT_EQUAL(REGION(48, 15, 0, 24, 0x1000, 0, 0, 0, 2, 0, 0, 0), -EPROTO);
	CU_ASSERT_EQUAL(REGION(48, 15, 0, 48, 0x1000, 0, 0, 0, 2, 0, 0, 0), -EPROTO);
	CU_ASSERT_EQUAL(REGION(48, 15, 0, 0xfffffff8, 0x1000, 0, 0, 0, 2, 0, 0, 0), -EPROTO);
	CU_ASSERT_EQUAL(REGION(48, 15, 0, 32, 0x1000, 0, 0, 0, 2, 32, 0, 0), -EPROTO); /* loop */
	CU_ASSERT_EQUAL(REGION(40, 15, 0, 32, 0x1000, 0, 0, 0, 2, 0), -EPROTO); /* cut type */
	CU_ASSERT_EQUAL(REGION(48, 15, 0, 32, 0x1000, 0, 0, 0, 1, 0, 1, 0), -EPROTO);
	CU_ASSERT_EQUAL(REGION(48, 15, 0, 32, 0x1000, 0, 0, 0, 1, 0, 0x10000000, 0), -EPROTO);
	CU_ASSERT_EQUAL(
		REGION(64, 15, 0, 32, 0x1000, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0x2000, 0), -EPROTO);
	CU_ASSERT_EQUAL(REGION(64, 15, 0, 32, 0x1000, 0, 0, 0, 1, 0, 1, 0, ~0xfffu, ~0u, 0x1000, 0),
		-EPROTO);
	/* 17 capabilities. */
	uint32_t many[8 + 17 * 2] = {8 * 21, 15, 0, 32, 0x1000, 0, 0, 0};

	for (uint32_t i = 0; i < 17; i++) {
		many[8 + 2 * i] = 0x100;
		many[9 + 2 * i] = i < 16 ? 40 + 8 * i : 0;
	}
	CU_ASSERT_EQUAL(region_reply(many, N(many), fd, &r), -EPROTO);
	many[9 + 2 * 15] = 0;
	CU_ASSERT_EQUAL(region_reply(many, N(many), fd, &r), 0);
	close(r.fd);
	/* MMAP without fd; an fd that is no file. */
	fd = -1;
	CU_ASSERT_EQUAL(REGION(32, 7, 0, 0, 0x1000, 0, 0, 0), 0);
	CU_ASSERT_EQUAL(r.fd, -1);
	fd = eventfd(0, EFD_CLOEXEC);
	CU_ASSERT_EQUAL(REGION(32, 7, 0, 0, 0x1000, 0, 0, 0), -EPROTO);
	close(fd);
	close(keep);
}

/* libvfio-user answers too little room without the fd: ask once more. */
static void
test_region_argsz_retry(void)
{
	static uint8_t large[16 + 8192];
	struct vfio_user_header h = {0, 5, sizeof(large), 1, 0};
	struct vfio_user_region_info info = {.argsz = 8192, .flags = 7, .size = 4096};
	int fd = rig_memfd(4096);
	struct rig_step steps[] = {HELLO,
		{.expect = "0200" REGION_0,
			.reply = "id 0500 30000000 01000000 00000000 00200000 0f000000 00000000"
				 "00000000 00100000 00000000 00000000 00000000"},
		{.expect = "03000500 30000000 00000000 00000000 00200000 00000000 00000000"
			   "00000000 00000000 00000000 00000000 00000000",
			.reply_raw = large,
			.reply_raw_len = sizeof(large),
			.fds = {fd},
			.reply_n_fds = 1}};
	struct vfu_client *client;
	struct vfu_region r;
	struct rig_script s;

	memcpy(large, &h, sizeof(h));
	memcpy(large + 16, &info, sizeof(info));
	client = attach(&s, steps, N(steps));
	CU_ASSERT_EQUAL(vfu_client_region_info(client, 0, &r), 0);
	CU_ASSERT_TRUE(r.fd >= 0);
	close(r.fd);
	vfu_client_close(client);
	rig_script_end(&s);
	close(fd);
}

/* One IO_FDS reply with @p stride bytes per entry and 2 descriptors. */
static int
io_fds_reply(uint32_t count, uint32_t stride, uint32_t fd_index, int fd, struct vfu_io_fds *io)
{
	static uint8_t reply[16 + 8192];
	uint32_t len = 16 + count * stride;
	struct vfio_user_header h = {0, VFIO_USER_DEVICE_GET_REGION_IO_FDS, 16 + len, 1, 0};
	struct vfio_user_io_fds r = {len, 0, 6, count};
	int second = eventfd(0, EFD_CLOEXEC), ret;
	struct rig_step steps[] = {HELLO, {.reply_raw = reply,
						  .reply_raw_len = h.size,
						  .fds = {fd, second},
						  .reply_n_fds = 2}};
	struct vfu_client *client;
	struct rig_script s;

	memset(reply, 0xee, sizeof(reply));
	memcpy(reply, &h, sizeof(h));
	memcpy(reply + 16, &r, sizeof(r));
	for (uint32_t i = 0; i < count; i++) {
		struct vfio_user_io_fd e = {.offset = 4 * i, .size = 4, .fd_index = i % 2};

		if (i == count - 1)
			e.fd_index = fd_index;
		memcpy(reply + 32 + i * stride, &e, stride < 28 ? stride : 28);
	}
	client = attach(&s, steps, N(steps));
	ret = vfu_client_io_fds(client, 6, io);
	vfu_client_close(client);
	rig_script_end(&s);
	close(second);
	return ret;
}

/* Entries that are announced but not there: far outside, had they been looked for. */
static void
test_io_fds_cut(void)
{
	static const char *const replies[] = {
		"id 0600 48000000 01000000 00000000 60000000 00000000 06000000 02000000",
		"id 0600 48000000 01000000 00000000 f0ffffff 00000000 06000000 02000000",
	};
	int efd = eventfd(0, EFD_CLOEXEC);

	for (size_t i = 0; i < N(replies); i++) {
		char reply[400];
		struct rig_step steps[] = {HELLO, {.reply = reply, .fds = {efd}, .reply_n_fds = 1}};
		struct vfu_client *client;
		struct vfu_io_fds io;
		struct rig_script s;

		/* One whole entry of zeroes. */
		snprintf(reply, sizeof(reply), "%s %080d", replies[i], 0);
		client = attach(&s, steps, N(steps));
		CU_ASSERT_EQUAL(vfu_client_io_fds(client, 6, &io), -EPROTO);
		CU_ASSERT_EQUAL(io.count, 0);
		vfu_client_close(client);
		rig_script_end(&s);
	}
	close(efd);
}

static void
test_io_fds_replies(void)
{
	struct vfu_io_fds io;
	int efd = eventfd(0, EFD_CLOEXEC), pipes[2];

	CU_ASSERT_EQUAL_FATAL(pipe2(pipes, O_CLOEXEC), 0);
	for (uint32_t stride = 40; stride <= 48; stride += 8) {
		CU_ASSERT_EQUAL(io_fds_reply(5, stride, 1, efd, &io), 0);
		CU_ASSERT_EQUAL(io.count, 5);
		CU_ASSERT_EQUAL(io.n_fds, 2);
		CU_ASSERT_EQUAL(io.entry[3].offset, 12);
		CU_ASSERT_EQUAL(io.entry[3].fd_index, 1);
		CU_ASSERT_EQUAL(io.entry[4].fd_index, 1);
		vfu_io_fds_close(&io);
	}
	CU_ASSERT_EQUAL(io_fds_reply(0, 40, 0, efd, &io), 0);
	CU_ASSERT_EQUAL(io.n_fds, 0);
	CU_ASSERT_EQUAL(io_fds_reply(5, 32, 1, efd, &io), -EPROTO);
	CU_ASSERT_EQUAL(io_fds_reply(5, 40, 2, efd, &io), -EPROTO);
	CU_ASSERT_EQUAL(io_fds_reply(5, 40, 0xffffffff, efd, &io), -EPROTO);
	/* A pipe in the place of every second doorbell: those are skipped, the others serve. */
	CU_ASSERT_EQUAL(io_fds_reply(5, 40, 1, pipes[1], &io), 0);
	CU_ASSERT_EQUAL(io.count, 3);
	CU_ASSERT_EQUAL(io.skipped, 2);
	for (uint32_t i = 0; i < io.count; i++)
		CU_ASSERT_EQUAL(io.entry[i].fd_index, 1);
	CU_ASSERT_EQUAL(io.entry[0].offset, 4);
	vfu_io_fds_close(&io);
	CU_ASSERT_EQUAL(io_fds_reply(129, 40, 1, efd, &io), -E2BIG);
	CU_ASSERT_EQUAL(io.n_fds, 0);
	close(efd);
	close(pipes[0]);
	close(pipes[1]);
}

/* Errors of the peer do not end the connection; a server's own commands are answered. */
static void
test_errors_and_server_commands(void)
{
	static uint8_t burst[16 + 8 + 16];
	struct rig_step steps[] = {HELLO, {.reply = "id 0d00 10000000 21000000 05000000"},
		{.reply = "id 0300 10000000 21000000 02000000"},
		/* DMA_WRITE with 8 bytes, then the reply. */
		{.reply_raw = burst, .reply_raw_len = sizeof(burst)},
		/* Its ENOTSUP. */
		{.expect = "03010c00 10000000 21000000 5f000000"},
		{.reply = "id 0d00 10000000 01000000 00000000"}};
	struct vfu_client *client;
	struct rig_script s;

	/* The script writes the request's id in bytes 0-1: 0x0004. */
	rig_hex("0000 0c00 18000000 00000000 00000000 0000000000000000"
		"04000d00 10000000 01000000 00000000",
		burst, sizeof(burst));
	steps[4].expect = "04000c00 10000000 21000000 5f000000";
	client = attach(&s, steps, N(steps));
	CU_ASSERT_EQUAL(vfu_client_reset(client), -EIO);
	CU_ASSERT_EQUAL(vfu_client_dma_unmap(client, 0, 4096), -ENOENT);
	CU_ASSERT_EQUAL(vfu_client_reset(client), 0);
	CU_ASSERT_EQUAL(vfu_client_reset(client), 0);
	/* Something that cannot be sent. */
	CU_ASSERT_EQUAL(vfu_client_dma_map(client, 9999, 1, 0, 0, 4096), -EBADF);
	CU_ASSERT_EQUAL(vfu_client_alive(client), 0);
	vfu_client_close(client);
	rig_script_end(&s);
}

static void
test_a_refused_poll_ends_nothing(void)
{
	struct rig_step steps[] = {HELLO, {.reply = "id 0d00 10000000 01000000 00000000"},
		{.reply = "id 0d00 10000000 01000000 00000000"}};
	struct vfu_client *client;
	struct rig_script s;

	poll_refuses_here = true;
	client = attach(&s, steps, N(steps));
	CU_ASSERT_EQUAL(vfu_client_reset(client), 0);
	CU_ASSERT_EQUAL(vfu_client_reset(client), 0);
	poll_refuses_here = false;
	/* An answer that is there before it is waited for makes none. */
	CU_ASSERT_EQUAL(atomic_load(&poll_spins), 0);
	CU_ASSERT_EQUAL(vfu_client_alive(client), 0);
	vfu_client_close(client);
	rig_script_end(&s);
}

static void
test_lost_connections(void)
{
	struct rig_step silent[] = {HELLO, {.expect = NULL}};
	struct rig_step gone[] = {HELLO, {.hang_up = true}};
	struct rig_step half[] = {
		HELLO, {.reply = "id 0400 20000000 01000000 00000000 10000000", .hang_up = true}};
	struct rig_step chatty[] = {HELLO,
		{.reply = "id 0d00 10000000 01000000 00000000 09000d00 10000000 01000000 00000000"}};
	struct rig_step unasked[] = {HELLO, {.reply = "id 0e00 10000000 00000000 00000000"}};
	struct vfu_device_info info;
	struct vfu_client *client;
	struct rig_script s;
	int fd;

	client = attach(&s, silent, N(silent));
	fd = vfu_client_fd(client);
	vfu_client_set_timeout(client, 100);
	CU_ASSERT_EQUAL(vfu_client_reset(client), -ETIMEDOUT);
	CU_ASSERT_EQUAL(vfu_client_reset(client), -ENOTCONN);
	CU_ASSERT_EQUAL(vfu_client_alive(client), -ENOTCONN);
	CU_ASSERT_TRUE(fcntl(fd, F_GETFD) >= 0); /* the number is not free yet */
	vfu_client_close(client);
	rig_script_end(&s);

	client = attach(&s, gone, N(gone));
	CU_ASSERT_EQUAL(vfu_client_reset(client), -ECONNRESET);
	vfu_client_close(client);
	rig_script_end(&s);

	client = attach(&s, half, N(half));
	CU_ASSERT_EQUAL(vfu_client_device_info(client, &info), -ECONNRESET);
	vfu_client_close(client);
	rig_script_end(&s);

	client = attach(&s, chatty, N(chatty));
	CU_ASSERT_EQUAL(vfu_client_reset(client), 0);
	CU_ASSERT_EQUAL(vfu_client_alive(client), -EPROTO);
	CU_ASSERT_EQUAL(vfu_client_reset(client), -ENOTCONN);
	vfu_client_close(client);
	rig_script_end(&s);

	client = attach(&s, unasked, N(unasked));
	CU_ASSERT_EQUAL(vfu_client_reset(client), -EPROTO);
	vfu_client_close(client);
	rig_script_end(&s);

	/* The peer goes away between commands. */
	client = attach(&s, silent, 1);
	rig_script_end(&s);
	CU_ASSERT_EQUAL(vfu_client_alive(client), -ENOTCONN);
	CU_ASSERT_PTR_NOT_NULL(strstr(vfu_client_error(client), "server"));
	vfu_client_close(client);
}

/* 5 fds for a peer that takes 2 at once, with a hole: 2, remove 1, 2. */
static void
test_set_irqs_in_chunks(void)
{
	int efd = eventfd(0, EFD_CLOEXEC);
	const int fds[] = {efd, efd, efd, -1, efd};
	struct rig_step steps[] = {
		{.expect = RIG_VERSION,
			/* {"capabilities":{"max_msg_fds":2}} */
			.reply = "id 0100 37000000 01000000 00000000 00000100"
				 "7b226361706162696c6974696573223a7b226d61785f6d73675f666473223a"
				 "327d7d00"},
		{.expect = "02000800 24000000 00000000 00000000 14000000 24000000 00000000"
			   "01000000 02000000",
			.n_fds = 2,
			.reply = "id 0800 10000000 01000000 00000000"},
		{.expect = "03000800 24000000 00000000 00000000 14000000 24000000 00000000"
			   "03000000 01000000",
			.n_fds = 1,
			.reply = "id 0800 10000000 01000000 00000000"},
		{.expect = "04000800 24000000 00000000 00000000 14000000 24000000 00000000"
			   "04000000 01000000",
			.reply = "id 0800 10000000 01000000 00000000"},
		{.expect = "05000800 24000000 00000000 00000000 14000000 24000000 00000000"
			   "05000000 01000000",
			.n_fds = 1,
			.reply = "id 0800 10000000 01000000 00000000"},
		{.expect = "06000800 24000000 00000000 00000000 14000000 21000000 00000000"
			   "00000000 00000000",
			.reply = "id 0800 10000000 01000000 00000000"}};
	struct vfu_client *client;
	struct rig_script s;

	client = attach(&s, steps, N(steps));
	CU_ASSERT_EQUAL(vfu_client_set_irqs(client, 0, 1, N(fds), fds), 0);
	CU_ASSERT_EQUAL(vfu_client_clear_irqs(client, 0), 0);
	vfu_client_close(client);
	rig_script_end(&s);
	close(efd);
}

/* Both ends of ours: what a driver does from connecting to leaving, §10. */
static void
test_against_our_server(void)
{
	struct vmbus_device_expect expect = {0};
	struct vmbus_device_info info;
	struct vfu_device_info dev;
	struct vfu_irq_info irq;
	struct vfu_io_fds io;
	struct vfu_client *client;
	struct rig_thread t;
	static uint8_t bytes[200000];
	uint64_t value = 1;
	char err[TEXT];
	int efds[4], fd, ro;

	CU_ASSERT_EQUAL_FATAL(
		vfu_client_attach(rig_thread_start(&t), &client, err, sizeof(err)), 0);
	CU_ASSERT_EQUAL(vfu_client_device_info(client, &dev), 0);
	CU_ASSERT_EQUAL(dev.flags, VFIO_USER_DEVICE_RESET_CAP);
	for (uint32_t i = 0; i < dev.num_regions; i++) {
		struct vfu_region r;

		CU_ASSERT_EQUAL(vfu_client_region_info(client, i, &r), 0);
		CU_ASSERT_EQUAL(r.size > 0, i < VMBUS_REGION_FIXED_COUNT);
		CU_ASSERT_EQUAL(r.fd >= 0, i < VMBUS_REGION_DOORBELL);
		if (i < VMBUS_REGION_FIXED_COUNT) {
			CU_ASSERT_EQUAL(r.subtype, i + 1);
			expect.region_size[i] = r.size;
		}
		if (r.fd >= 0)
			close(r.fd);
	}
	CU_ASSERT_EQUAL(vfu_client_irq_info(client, VMBUS_IRQ_CHANNEL, &irq), 0);
	expect.num_regions = dev.num_regions;
	expect.irq_count = irq.count;
	expect.instance = t.r.d.info.instance;
	CU_ASSERT_EQUAL(vfu_client_region_read(client, 5, 0, bytes, 8192), 0);
	CU_ASSERT_EQUAL(vmbus_device_describe(bytes, 8192, &expect, &info, err, sizeof(err)), 0);
	CU_ASSERT_EQUAL(info.channel[0].ring_bytes, 2u << 20);
	CU_ASSERT_EQUAL(vfu_client_io_fds(client, VMBUS_REGION_DOORBELL, &io), 0);
	CU_ASSERT_EQUAL(io.count, 4);
	CU_ASSERT_EQUAL(io.n_fds, 2);
	CU_ASSERT_EQUAL(write(io.fds[io.entry[3].fd_index], &value, 8), 8);
	CU_ASSERT_EQUAL(read(t.r.d.doorbell[1], &value, 8), 8);
	vfu_io_fds_close(&io);

	/* Split reads and writes. */
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 >> 3);
	CU_ASSERT_EQUAL(vfu_client_region_write(client, 4, 4096, bytes, sizeof(bytes)), 0);
	memset(bytes, 0, sizeof(bytes));
	CU_ASSERT_EQUAL(vfu_client_region_read(client, 4, 4096, bytes, sizeof(bytes)), 0);
	for (size_t i = 0; i < sizeof(bytes); i++)
		if (bytes[i] != (uint8_t)(i * 7 >> 3)) {
			CU_FAIL("data came back different");
			break;
		}
	CU_ASSERT_EQUAL(vfu_client_region_write(client, 5, 0, bytes, 4), -EPERM);
	CU_ASSERT_EQUAL(vfu_client_region_read(client, 4, 16u << 20, bytes, 1), -EINVAL);

	for (unsigned int i = 0; i < 4; i++)
		efds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	CU_ASSERT_EQUAL(vfu_client_set_irqs(client, 0, 0, 4, efds), 0);
	CU_ASSERT_EQUAL(vfu_client_trigger_irqs(client, 0, 2, 1), 0);
	CU_ASSERT_EQUAL(read(efds[2], &value, 8), 8);
	CU_ASSERT_EQUAL(read(efds[1], &value, 8), -1);
	CU_ASSERT_EQUAL(vfu_client_trigger_irqs(client, 0, 0, 0), -EINVAL);
	CU_ASSERT_EQUAL(vfu_client_set_irqs(client, 0, 1, 4, efds), -EINVAL);

	fd = rig_memfd(0x10000);
	ro = vfu_reopen_read_only(fd);
	CU_ASSERT_TRUE(ro >= 0);
	CU_ASSERT_TRUE(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, ro, 0) == MAP_FAILED);
	CU_ASSERT_EQUAL(vfu_client_dma_map(client, ro, 1, 0, 0x100000, 0x10000), 0);
	CU_ASSERT_EQUAL(vfu_client_dma_map(client, ro, 1, 0, 0x10f000, 0x1000), -EEXIST);
	CU_ASSERT_EQUAL(vfu_client_dma_map(client, ro, 3, 0, 0x200000, 0x1000), -EPERM);
	CU_ASSERT_EQUAL(vfu_client_dma_unmap(client, 0x100000, 0x8000), -ENOENT);
	CU_ASSERT_EQUAL(vfu_client_dma_unmap(client, 0x100000, 0x10000), 0);
	CU_ASSERT_EQUAL(vfu_client_reset(client), 0);
	CU_ASSERT_EQUAL(vfu_client_alive(client), 0);
	close(ro);
	close(fd);
	for (unsigned int i = 0; i < 4; i++)
		close(efds[i]);
	vfu_client_close(client);
	rig_thread_end(&t);
	CU_ASSERT_EQUAL(t.r.d.resets, 1);
}

static void
test_connect_errors(void)
{
	struct vfu_client *client;
	char err[TEXT], path[200];

	CU_ASSERT_EQUAL(
		vfu_client_connect("/nonexistent/x.sock", &client, err, sizeof(err)), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "/nonexistent/x.sock"));
	memset(path, 'p', sizeof(path));
	path[108] = '\0';
	CU_ASSERT_EQUAL(vfu_client_connect(path, &client, err, sizeof(err)), -ENAMETOOLONG);
	CU_ASSERT_PTR_NULL(client);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"golden requests", test_golden_requests},
		{"bad answers to VERSION", test_bad_version_replies},
		{"region info, good and bad", test_region_replies},
		{"region info that needs more room", test_region_argsz_retry},
		{"IO_FDS, good and bad", test_io_fds_replies},
		{"IO_FDS that is cut short", test_io_fds_cut},
		{"error replies and a server's commands", test_errors_and_server_commands},
		{"a refused poll() ends nothing", test_a_refused_poll_ends_nothing},
		{"lost connections", test_lost_connections},
		{"SET_IRQS in pieces", test_set_irqs_in_chunks},
		{"against our own server", test_against_our_server},
		{"connect", test_connect_errors},
		{"no descriptor left open", rig_test_no_descriptor_left},
	};

	return RIG_RUN("vfio-user client", tests);
}
