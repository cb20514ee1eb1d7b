/* SPDX-License-Identifier: BSD-3-Clause */
/* Descriptor, socket names and the listener (spec/vmbus-over-vfio-user.md §7, §8, §10, §13, §17).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/vfio_user/sockets.h"
#include "lib/vmbus/guid.h"
#include "test/unit/unit.h"
#include "test/unit/vfio_user_rig.h"

#define DESC 8192
#define TEXT 256

/* ---- descriptor ---- */

static struct vmbus_device_expect
expectation(const struct rig_device *d)
{
	return (struct vmbus_device_expect){.instance = d->info.instance,
		.region_size = {4u << 20, 4096, 4096, 16u << 20, 16u << 20, 8192, 4096},
		.num_regions = 20,
		.irq_count = 4};
}

static void
test_golden_descriptor(void)
{
	static const char header[] =
		"564d4244 01000000 00020000 02000000 635161f8 3edfc546 913ff2d2 f965ed0e"
		"113a0d00 33220d00 3a112233 000d3a11 01000000 07000000 03000500 01000000"
		"0e000000 03000000 00000000 04000000 01000000 00010000 40000000 00000000"
		"101e0e00 111e0e00 00000001 00000000 00000001 00000000 00004000 00000000";
	static const char entry[] =
		"01000000 0e000000 00000300 00000000 00004000 00000000 00000000 00002000"
		"00002000 00002000 00000000 00000000 ffffffff 01000000 00000000 00000000";
	uint8_t want[DESC] = {0}, copy[DESC];
	struct vmbus_device_expect expect;
	struct vmbus_device_info info;
	struct rig_device d;
	char err[TEXT];

	rig_device_open(&d);
	CU_ASSERT_EQUAL(rig_hex(header, want, 128), 128);
	CU_ASSERT_EQUAL(rig_hex(entry, want + 256, 64), 64);
	CU_ASSERT_EQUAL(vmbus_device_snapshot(d.descriptor, copy), 0);
	CU_ASSERT_EQUAL(memcmp(copy, want, DESC), 0);

	expect = expectation(&d);
	CU_ASSERT_EQUAL_FATAL(
		vmbus_device_describe(copy, DESC, &expect, &info, err, sizeof(err)), 0);
	CU_ASSERT_EQUAL(memcmp(&info, &d.info, sizeof(info)), 0);
	CU_ASSERT_EQUAL(info.ignored, 0);
	CU_ASSERT_EQUAL(info.generation, 2);
	/* The table alone is enough; less is not. */
	CU_ASSERT_EQUAL(vmbus_device_describe(copy, 0x200, &expect, &info, err, sizeof(err)), 0);
	CU_ASSERT_EQUAL(
		vmbus_device_describe(copy, 0x1ff, &expect, &info, err, sizeof(err)), -EPROTO);

	/* A grant: generation + 2, entry 2 appears. */
	d.info.channel[2] = (struct vmbus_device_channel){.state = VMBUS_CHANNEL_OPEN,
		.relid = 16,
		.monitor_id = VMBUS_MONITOR_NONE,
		.region = 18,
		.ring_bytes = 8192,
		.doorbell = 8,
		.irq = 2,
		.target_vp = 3,
		.epoch = 1};
	d.info.num_channels = 2;
	vmbus_device_publish(d.descriptor, &d.info);
	CU_ASSERT_EQUAL(vmbus_device_generation(d.descriptor), 4);
	CU_ASSERT_EQUAL(vmbus_device_snapshot(d.descriptor, copy), 0);
	CU_ASSERT_EQUAL(vmbus_device_describe(copy, DESC, &expect, &info, err, sizeof(err)), 0);
	CU_ASSERT_EQUAL(memcmp(&info, &d.info, sizeof(info)), 0);
	rig_device_close(&d);
}

/* One change to a good descriptor with channels 0 and 2. */
struct patch {
	const char *what;
	unsigned int offset, bytes;
	uint64_t value;
	int want;	  /* of vmbus_device_describe() */
	uint64_t ignored; /* when want is 0 */
};

#define ENTRY(k, off) (0x100 + 64 * (k) + (off))

static const struct patch patches[] = {
	{"magic", 0, 1, 'v', -EPROTO, 0},
	{"major 0", 4, 2, 0, -ENOTSUP, 0},
	{"major 2", 4, 2, 2, -ENOTSUP, 0},
	{"minor 7 is fine", 6, 2, 7, 0, 0},
	{"total_len over the region", 8, 4, 8193, -EPROTO, 0},
	{"total_len 0", 8, 4, 0, -EPROTO, 0},
	{"total_len cuts the table", 8, 4, 0x1f8, -EPROTO, 0},
	{"odd generation", 12, 4, 3, -EPROTO, 0},
	{"another class", 0x10, 1, 0x64, -ENODEV, 0},
	{"another instance", 0x2f, 1, 0x12, -ENODEV, 0},
	{"state 3", 0x30, 4, 3, -EPROTO, 0},
	{"unknown flags are fine", 0x34, 4, 0xfffffff8, 0, 0},
	{"relid 0", 0x40, 4, 0, -EPROTO, 0},
	{"relid 2048", 0x40, 4, 2048, -EPROTO, 0},
	{"relid not that of entry 0", 0x40, 4, 15, -EPROTO, 0},
	{"monitor 128", 0x44, 1, 128, -EPROTO, 0},
	{"no monitor is fine", 0x44, 1, 255, 0, 0},
	{"reserved bytes are ignored", 0x45, 3, 0xffffff, 0, 0},
	{"no channels", 0x4c, 4, 0, -EPROTO, 0},
	{"more channels than regions", 0x4c, 4, 5, -EPROTO, 0},
	{"65 channels", 0x4c, 4, 65, -EPROTO, 0},
	{"2^31 channels", 0x4c, 4, 1u << 31, -EPROTO, 0},
	{"more valid than there can be", 0x50, 4, 5, -EPROTO, 0},
	{"table behind the end", 0x54, 4, 0x108, -EPROTO, 0},
	{"table offset wraps in 32 bits", 0x54, 4, 0xffffff00, -EPROTO, 0},
	{"table over the header", 0x54, 4, 0x40, -EPROTO, 0},
	{"entries of 56 bytes", 0x58, 4, 56, -EPROTO, 0},
	{"entries of 68 bytes", 0x58, 4, 68, -EPROTO, 0},
	{"entries of 72 bytes in too few", 0x58, 4, 72, -EPROTO, 0},
	{"entry length wraps in 32 bits", 0x58, 4, 0x40000000, -EPROTO, 0},
	{"GPADL 0", 0x60, 4, 0, -EPROTO, 0},
	{"equal GPADLs", 0x64, 4, 0xe1e10, -EPROTO, 0},
	{"receive buffer not the region's", 0x68, 8, 8u << 20, -EPROTO, 0},
	{"send buffer not the region's", 0x70, 8, UINT64_C(1) << 40, -EPROTO, 0},
	{"rings not the region's", 0x78, 8, 2u << 20, -EPROTO, 0},

	{"primary missing", ENTRY(0, 0), 4, 0, -EPROTO, 0},
	{"primary with region 16", ENTRY(0, 12), 4, 16, -EPROTO, 0},
	{"primary with rings of another size", ENTRY(0, 16), 8, 2u << 20, -EPROTO, 0},
	{"primary with tx_off", ENTRY(0, 24), 4, 4096, -EPROTO, 0},

	{"state 3 of an entry", ENTRY(2, 0), 4, 3, 0, 4},
	{"relid of the primary", ENTRY(2, 4), 4, 14, 0, 4},
	{"relid 0 of an entry", ENTRY(2, 4), 4, 0, 0, 4},
	{"index of another", ENTRY(2, 8), 2, 1, 0, 4},
	{"monitor 200", ENTRY(2, 10), 1, 200, 0, 4},
	{"region of another", ENTRY(2, 12), 4, 17, 0, 4},
	{"region 0", ENTRY(2, 12), 4, 0, 0, 4},
	{"region size not the sum", ENTRY(2, 16), 8, 16384 + 4096, 0, 4},
	{"tx ring not at 0", ENTRY(2, 24), 4, 4096, 0, 4},
	{"tx ring of 4096 bytes", ENTRY(2, 28), 4, 4096, 0, 4},
	{"tx ring of half pages", ENTRY(2, 28), 4, 8192 + 2048, 0, 4},
	{"tx ring of 4 GiB - 4096", ENTRY(2, 28), 4, 0xfffff000, 0, 4},
	{"rx ring elsewhere", ENTRY(2, 32), 4, 4096, 0, 4},
	{"rx ring of another size", ENTRY(2, 36), 4, 16384, 0, 4},
	{"doorbell outside", ENTRY(2, 40), 4, 4096, 0, 4},
	{"doorbell between", ENTRY(2, 40), 4, 6, 0, 4},
	{"irq subindex 4 of 4", ENTRY(2, 44), 4, 4, 0, 4},
	{"reserved end is ignored", ENTRY(2, 56), 8, UINT64_MAX, 0, 0},
	{"an absent entry may hold anything", ENTRY(1, 4), 4, 0xffffffff, 0, 0},
};

static void
test_malformed_descriptors(void)
{
	struct vmbus_device_expect expect;
	struct vmbus_device_info info;
	uint8_t good[DESC], bad[DESC];
	struct rig_device d;
	char err[TEXT];

	rig_device_open(&d);
	expect = expectation(&d);
	d.info.channel[2] = (struct vmbus_device_channel){.state = VMBUS_CHANNEL_OPEN,
		.relid = 16,
		.monitor_id = VMBUS_MONITOR_NONE,
		.region = 18,
		.ring_bytes = 8192,
		.doorbell = 8,
		.irq = 2,
		.target_vp = VMBUS_VP_UNKNOWN,
		.epoch = 1};
	vmbus_device_publish(d.descriptor, &d.info);
	CU_ASSERT_EQUAL(vmbus_device_snapshot(d.descriptor, good), 0);
	for (size_t i = 0; i < sizeof(patches) / sizeof(patches[0]); i++) {
		const struct patch *p = &patches[i];
		int got;

		memcpy(bad, good, DESC);
		memcpy(bad + p->offset, &p->value, p->bytes);
		err[0] = '\0';
		got = vmbus_device_describe(bad, DESC, &expect, &info, err, sizeof(err));
		if (got != p->want || (got == 0 && info.ignored != p->ignored))
			printf("\n    %s: %d, ignored %llx\n", p->what, got,
				(unsigned long long)info.ignored);
		CU_ASSERT_EQUAL(got, p->want);
		if (got < 0) {
			CU_ASSERT_NOT_EQUAL(err[0], '\0');
			continue;
		}
		CU_ASSERT_EQUAL(info.ignored, p->ignored);
		CU_ASSERT_EQUAL(info.channel[0].state, VMBUS_CHANNEL_OPEN);
		CU_ASSERT_EQUAL(info.channel[2].state,
			p->ignored ? VMBUS_CHANNEL_NONE : VMBUS_CHANNEL_OPEN);
	}
	/* Every short length, from a buffer that ends there (for ASan). */
	for (size_t len = 0; len < 0x200; len += 8) {
		uint8_t *exact = malloc(len + 1);

		memcpy(exact, good, len);
		CU_ASSERT_EQUAL(vmbus_device_describe(exact, len, &expect, &info, err, sizeof(err)),
			-EPROTO);
		free(exact);
	}
	/* Longer entries of a later minor version. */
	memcpy(bad, good, DESC);
	memset(bad + 0x100, 0xee, 0x200);
	for (unsigned int k = 0; k < 4; k++)
		memcpy(bad + 0x100 + 72 * k, good + ENTRY(k, 0), 64);
	bad[0x58] = 72;
	bad[0x08] = 0x20;
	CU_ASSERT_EQUAL(vmbus_device_describe(bad, DESC, &expect, &info, err, sizeof(err)), 0);
	CU_ASSERT_EQUAL(info.channel[2].relid, 16);
	/* Rescinded: known, not an error; the primary may be gone. */
	memcpy(bad, good, DESC);
	bad[0x30] = VMBUS_DEVICE_RESCINDED;
	bad[ENTRY(0, 0)] = VMBUS_CHANNEL_RESCINDED;
	CU_ASSERT_EQUAL(vmbus_device_describe(bad, DESC, &expect, &info, err, sizeof(err)), 0);
	CU_ASSERT_EQUAL(info.channel[0].state, VMBUS_CHANNEL_RESCINDED);
	rig_device_close(&d);
}

static void *
publisher(void *arg)
{
	struct rig_device *d = arg;

	for (uint32_t i = 0; i < 20000; i++) {
		d->info.epoch = d->info.channel[0].epoch = d->info.channel[0].target_vp = i;
		vmbus_device_publish(d->descriptor, &d->info);
	}
	return NULL;
}

/* A reader never sees half a change, whatever it costs the two. */
static void
test_snapshot_is_consistent(void)
{
	struct vmbus_desc_header h;
	struct vmbus_desc_channel e;
	unsigned int good = 0;
	uint8_t copy[DESC];
	struct rig_device d;
	pthread_t thread;

	rig_device_open(&d);
	d.info.channel[0].target_vp = 1;
	vmbus_device_publish(d.descriptor, &d.info);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, publisher, &d), 0);
	do {
		if (vmbus_device_snapshot(d.descriptor, copy) < 0)
			continue;
		memcpy(&h, copy, sizeof(h));
		memcpy(&e, copy + 0x100, sizeof(e));
		if (h.generation & 1 || h.epoch != e.epoch || e.target_vp != e.epoch)
			break;
		good++;
	} while (h.epoch < 19999);
	pthread_join(thread, NULL);
	CU_ASSERT_TRUE(good > 0);
	CU_ASSERT_EQUAL(h.epoch, 19999);
	CU_ASSERT_EQUAL(vmbus_device_generation(d.descriptor), 4 + 2 * 20000);
	/* A server that died inside a change. */
	__atomic_store_n((uint32_t *)d.descriptor + 3, 7, __ATOMIC_RELAXED);
	CU_ASSERT_EQUAL(vmbus_device_snapshot(d.descriptor, copy), -EAGAIN);
	rig_device_close(&d);
}

/* ---- names and directories ---- */

struct temp {
	char dir[64];
	char path[VFU_PATH_MAX];
};

static void
temp_open(struct temp *t)
{
	uint8_t guid[16];

	snprintf(t->dir, sizeof(t->dir), "/tmp/vfu_XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(t->dir));
	CU_ASSERT_EQUAL_FATAL(vmbus_guid_parse(RIG_INSTANCE, guid), 0);
	CU_ASSERT_EQUAL_FATAL(vfu_socket_path(t->dir, guid, t->path), 0);
}

static void
temp_close(struct temp *t)
{
	char path[VFU_PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s.lock", t->dir, RIG_INSTANCE);
	unlink(path);
	unlink(t->path);
	CU_ASSERT_EQUAL(rmdir(t->dir), 0); /* nothing else is left behind */
}

static void
test_names(void)
{
	static const char *const bad[] = {"", ".sock", RIG_INSTANCE, RIG_INSTANCE ".sock2",
		RIG_INSTANCE ".lock", RIG_INSTANCE ".sock.1.tmp",
		"000D3A11-2233-000d-3a11-2233000d3a11.sock",
		"000d3a1122-33-000d-3a11-2233000d3a11.sock",
		"x00d3a11-2233-000d-3a11-2233000d3a11.sock",
		"000d3a11-2233-000d-3a11-2233000d3a1.socks"};
	char path[VFU_PATH_MAX], dir[200];
	uint8_t guid[16], want[16];

	vmbus_guid_parse(RIG_INSTANCE, want);
	CU_ASSERT_EQUAL(vfu_socket_name_parse(RIG_INSTANCE ".sock", guid), 0);
	CU_ASSERT_EQUAL(memcmp(guid, want, 16), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_EQUAL(vfu_socket_name_parse(bad[i], guid), -EINVAL);
	CU_ASSERT_EQUAL(vfu_socket_path("/run/hyperpoll", want, path), 0);
	CU_ASSERT_STRING_EQUAL(path, "/run/hyperpoll/" RIG_INSTANCE ".sock");
	memset(dir, 'd', sizeof(dir));
	dir[60] = '\0';
	CU_ASSERT_EQUAL(vfu_socket_path(dir, want, path), -ENAMETOOLONG);
}

static void
test_directories(void)
{
	char dir[VFU_PATH_MAX], list[400];

	setenv("HYPERPOLL_VFIO_USER_DIRS", ":/a::/b:", 1);
	CU_ASSERT_EQUAL(vfu_client_dir(0, dir), 0);
	CU_ASSERT_STRING_EQUAL(dir, "/a");
	CU_ASSERT_EQUAL(vfu_client_dir(1, dir), 0);
	CU_ASSERT_STRING_EQUAL(dir, "/b");
	CU_ASSERT_EQUAL(vfu_client_dir(2, dir), -ENOENT);
	memset(list, 'x', sizeof(list));
	snprintf(list + 300, 20, ":/c");
	setenv("HYPERPOLL_VFIO_USER_DIRS", list, 1);
	CU_ASSERT_EQUAL(vfu_client_dir(0, dir), -ENAMETOOLONG);
	CU_ASSERT_EQUAL(vfu_client_dir(1, dir), 0);
	CU_ASSERT_STRING_EQUAL(dir, "/c");
	setenv("HYPERPOLL_VFIO_USER_DIRS", "", 1);
	CU_ASSERT_EQUAL(vfu_client_dir(0, dir), -ENOENT);
	unsetenv("HYPERPOLL_VFIO_USER_DIRS");
	setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
	CU_ASSERT_EQUAL(vfu_client_dir(0, dir), 0);
	CU_ASSERT_STRING_EQUAL(dir, "/run/hyperpoll");
	CU_ASSERT_EQUAL(vfu_client_dir(1, dir), 0);
	CU_ASSERT_STRING_EQUAL(dir, "/run/user/7/hyperpoll");
	CU_ASSERT_EQUAL(vfu_client_dir(2, dir), -ENOENT);
	unsetenv("XDG_RUNTIME_DIR");
	CU_ASSERT_EQUAL(vfu_client_dir(1, dir), -ENOENT);
}

struct seen {
	unsigned int n;
	char path[4][VFU_PATH_MAX];
	int stop;
};

static int
on_found(void *arg, const uint8_t guid[16], const char *path)
{
	struct seen *seen = arg;

	if (seen->n < 4)
		snprintf(seen->path[seen->n], VFU_PATH_MAX, "%s", path);
	seen->n++;
	return seen->stop;
}

/* ---- the listener ---- */

static int
raw_connect(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	int ret = -errno;

	close(fd);
	return ret;
}

static void
test_scan(void)
{
	struct vfu_server *server;
	struct seen seen = {0};
	struct rig_device d;
	char dirs[256], other[VFU_PATH_MAX], err[TEXT];
	struct temp t;
	int fd;

	temp_open(&t);
	rig_device_open(&d);
	snprintf(dirs, sizeof(dirs), "/nonexistent:%s", t.dir);
	setenv("HYPERPOLL_VFIO_USER_DIRS", dirs, 1);
	CU_ASSERT_EQUAL(vfu_scan(on_found, &seen), 0);
	CU_ASSERT_EQUAL(seen.n, 0);
	CU_ASSERT_EQUAL_FATAL(vfu_server_create(t.path, &d.device, &server, err, sizeof(err)), 0);
	/* A file and a link with good names, the lock file: not sockets. */
	snprintf(other, sizeof(other), "%s/%s", t.dir, "100d3a11-2233-000d-3a11-2233000d3a11.sock");
	fd = open(other, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	CU_ASSERT_EQUAL(vfu_scan(on_found, &seen), 0);
	CU_ASSERT_EQUAL(seen.n, 1);
	CU_ASSERT_STRING_EQUAL(seen.path[0], t.path);
	unlink(other);
	CU_ASSERT_EQUAL(symlink(t.path, other), 0);
	CU_ASSERT_EQUAL(vfu_scan(on_found, &seen), 0);
	CU_ASSERT_EQUAL(seen.n, 2);
	unlink(other);
	seen.stop = -ECANCELED;
	CU_ASSERT_EQUAL(vfu_scan(on_found, &seen), -ECANCELED);
	/* It never connected. */
	struct pollfd pfd = {.fd = vfu_server_listen_fd(server), .events = POLLIN};

	CU_ASSERT_EQUAL(poll(&pfd, 1, 0), 0);
	vfu_server_destroy(server);
	seen = (struct seen){0};
	CU_ASSERT_EQUAL(vfu_scan(on_found, &seen), 0);
	CU_ASSERT_EQUAL(seen.n, 0);
	if (geteuid() == 0) { /* of another user */
		CU_ASSERT_EQUAL_FATAL(
			vfu_server_create(t.path, &d.device, &server, err, sizeof(err)), 0);
		CU_ASSERT_EQUAL(chown(t.path, 65534, 65534), 0);
		CU_ASSERT_EQUAL(vfu_scan(on_found, &seen), 0);
		CU_ASSERT_EQUAL(seen.n, 0);
		vfu_server_destroy(server);
	}
	unsetenv("HYPERPOLL_VFIO_USER_DIRS");
	rig_device_close(&d);
	temp_close(&t);
}

/* /run/hyperpoll is open, what root serves in it is no device of an application of another user. */
static void
test_scan_finds_no_socket_that_is_closed_to_us(void)
{
	struct vfu_server *server;
	struct seen seen = {0};
	struct rig_device d;
	char err[TEXT];
	struct temp t;
	pid_t child;
	int status;

	if (geteuid() != 0)
		return;
	temp_open(&t);
	rig_device_open(&d);
	CU_ASSERT_EQUAL(chmod(t.dir, 0755), 0);
	setenv("HYPERPOLL_VFIO_USER_DIRS", t.dir, 1);
	CU_ASSERT_EQUAL_FATAL(vfu_server_create(t.path, &d.device, &server, err, sizeof(err)), 0);
	for (unsigned int open = 0; open < 2; open++) {
		CU_ASSERT_EQUAL(chmod(t.path, open ? 0666 : 0600), 0);
		child = fork();
		if (child == 0)
			_exit(setresuid(65534, 65534, 65534) != 0 || vfu_scan(on_found, &seen) != 0
					? 99
					: (int)seen.n);
		CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
		CU_ASSERT_TRUE(WIFEXITED(status));
		CU_ASSERT_EQUAL(WEXITSTATUS(status), open);
	}
	vfu_server_destroy(server);
	unsetenv("HYPERPOLL_VFIO_USER_DIRS");
	rig_device_close(&d);
	temp_close(&t);
}

static void
test_second_client_is_busy(void)
{
	struct vfu_server *server;
	struct vfu_session *first, *none, *next;
	uint8_t version[256], reply[64];
	size_t len = rig_hex(RIG_VERSION, version, sizeof(version));
	struct rig_device d;
	unsigned int n;
	char err[TEXT];
	struct temp t;
	int a, b, c, fds[64];

	temp_open(&t);
	rig_device_open(&d);
	CU_ASSERT_EQUAL_FATAL(vfu_server_create(t.path, &d.device, &server, err, sizeof(err)), 0);
	CU_ASSERT_EQUAL(vfu_server_accept(server, &none), -EAGAIN);
	a = raw_connect(t.path);
	CU_ASSERT_EQUAL_FATAL(vfu_server_accept(server, &first), 0);
	CU_ASSERT_EQUAL(vfu_session_peer_pid(first), getpid());
	b = raw_connect(t.path);
	CU_ASSERT_EQUAL(vfu_server_accept(server, &none), -EAGAIN);
	CU_ASSERT_PTR_NULL(none);
	rig_send(b, version, len, NULL, 0);
	struct pollfd pfd = {.fd = vfu_server_listen_fd(server), .events = POLLIN};

	CU_ASSERT_EQUAL(poll(&pfd, 1, 1000), 1);
	CU_ASSERT_EQUAL(vfu_server_accept(server, &none), -EAGAIN);
	CU_ASSERT_EQUAL(rig_recv(b, reply, sizeof(reply), fds, &n), 16);
	CU_ASSERT_EQUAL(memcmp(reply, "\x01\x00\x01\x00\x10\0\0\0\x21\0\0\0\x10\0\0\0", 16), 0);
	CU_ASSERT_EQUAL(rig_recv(b, reply, sizeof(reply), fds, &n), 0);
	CU_ASSERT_EQUAL(poll(&pfd, 1, 0), 0);
	close(b);
	/* The first is undisturbed; when it is gone the next is served. */
	rig_send(a, version, len, NULL, 0);
	CU_ASSERT_EQUAL(vfu_session_process(first), 0);
	CU_ASSERT_TRUE(vfu_session_is_open(first));
	close(a);
	CU_ASSERT_EQUAL(vfu_session_process(first), -ECONNRESET);
	vfu_session_close(first);
	c = raw_connect(t.path);
	CU_ASSERT_EQUAL(vfu_server_accept(server, &next), 0);
	/* A session outlives its listener. */
	vfu_server_destroy(server);
	rig_send(c, version, len, NULL, 0);
	CU_ASSERT_EQUAL(vfu_session_process(next), 0);
	vfu_session_close(next);
	close(c);
	rig_device_close(&d);
	temp_close(&t);
}

static void
test_many_refused(void)
{
	struct vfu_server *server;
	struct vfu_session *first, *none;
	struct rig_device d;
	char err[TEXT];
	struct temp t;
	int fds[12];

	temp_open(&t);
	rig_device_open(&d);
	CU_ASSERT_EQUAL_FATAL(vfu_server_create(t.path, &d.device, &server, err, sizeof(err)), 0);
	for (unsigned int i = 0; i < 12; i++) {
		fds[i] = raw_connect(t.path);
		CU_ASSERT_TRUE(fds[i] >= 0);
		CU_ASSERT_EQUAL(
			vfu_server_accept(server, i == 0 ? &first : &none), i == 0 ? 0 : -EAGAIN);
	}
	vfu_session_close(first);
	vfu_server_destroy(server);
	for (unsigned int i = 0; i < 12; i++)
		close(fds[i]);
	rig_device_close(&d);
	temp_close(&t);
}

static void
test_foreign_user(void)
{
	struct vfu_server *server;
	struct vfu_session *none;
	struct rig_device d;
	char err[TEXT];
	struct temp t;
	int status = 0;
	pid_t pid;

	if (geteuid() != 0)
		return;
	temp_open(&t);
	rig_device_open(&d);
	CU_ASSERT_EQUAL_FATAL(vfu_server_create(t.path, &d.device, &server, err, sizeof(err)), 0);
	/* As if somebody had opened up the files; otherwise connect() fails already. */
	CU_ASSERT_EQUAL(chmod(t.dir, 0755) | chmod(t.path, 0666), 0);
	pid = fork();
	if (pid == 0) {
		struct vfu_client *client;

		if (setgid(65534) < 0 || setuid(65534) < 0)
			_exit(2);
		_exit(vfu_client_connect(t.path, &client, err, sizeof(err)) == -EACCES ? 0 : 1);
	}
	while (waitpid(pid, &status, WNOHANG) == 0) {
		struct pollfd pfd = {.fd = vfu_server_listen_fd(server), .events = POLLIN};

		poll(&pfd, 1, 10);
		CU_ASSERT_EQUAL(vfu_server_accept(server, &none), -EAGAIN);
	}
	CU_ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CU_ASSERT_EQUAL(d.opened, 0);
	vfu_server_destroy(server);
	rig_device_close(&d);
	temp_close(&t);
}

static void
test_lock_stale_and_own_inode(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct vfu_server *server, *second;
	struct vfu_client *client;
	struct rig_device d;
	struct stat st;
	char err[TEXT];
	struct temp t;
	int fd;

	temp_open(&t);
	rig_device_open(&d);
	/* A stale socket: nobody listens. */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", t.path);
	CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	CU_ASSERT_EQUAL(vfu_client_connect(t.path, &client, err, sizeof(err)), -ECONNREFUSED);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, t.path));
	/* It is replaced; the mode is tight; a second server is refused by the lock. */
	CU_ASSERT_EQUAL_FATAL(vfu_server_create(t.path, &d.device, &server, err, sizeof(err)), 0);
	CU_ASSERT_EQUAL(lstat(t.path, &st), 0);
	CU_ASSERT_TRUE(S_ISSOCK(st.st_mode));
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	CU_ASSERT_EQUAL(vfu_server_create(t.path, &d.device, &second, err, sizeof(err)), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "another process"));
	fd = raw_connect(t.path);
	CU_ASSERT_TRUE(fd >= 0);
	close(fd);
	/* Somebody else's socket under our name stays. */
	CU_ASSERT_EQUAL(unlink(t.path), 0);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	vfu_server_destroy(server);
	CU_ASSERT_EQUAL(lstat(t.path, &st), 0);
	close(fd);
	/* The lock is free again; our own socket goes away with us. */
	CU_ASSERT_EQUAL_FATAL(vfu_server_create(t.path, &d.device, &server, err, sizeof(err)), 0);
	vfu_server_withdraw(server);
	CU_ASSERT_EQUAL(lstat(t.path, &st), -1);
	CU_ASSERT_EQUAL(raw_connect(t.path), -ENOENT);
	vfu_server_destroy(server);
	/* Not over a file. */
	fd = open(t.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	CU_ASSERT_EQUAL(vfu_server_create(t.path, &d.device, &server, err, sizeof(err)), -EEXIST);
	rig_device_close(&d);
	temp_close(&t);
}

static unsigned int fds_at_start;

static void
test_no_descriptor_left(void)
{
	CU_ASSERT_EQUAL(rig_count_fds(), fds_at_start);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"golden descriptor", test_golden_descriptor},
		{"malformed descriptors", test_malformed_descriptors},
		{"a snapshot is consistent", test_snapshot_is_consistent},
		{"socket names", test_names},
		{"directories", test_directories},
		{"scan", test_scan},
		{"scan finds no socket that is closed to us",
			test_scan_finds_no_socket_that_is_closed_to_us},
		{"a second client is told EBUSY", test_second_client_is_busy},
		{"many refused clients", test_many_refused},
		{"a foreign user is told EACCES", test_foreign_user},
		{"lock, stale socket, own inode", test_lock_stale_and_own_inode},
		{"no descriptor left open", test_no_descriptor_left},
	};

	fds_at_start = rig_count_fds();
	return UNIT_RUN("vfio-user device and sockets", tests);
}
