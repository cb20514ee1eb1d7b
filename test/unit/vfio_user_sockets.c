/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of sockets, where they are looked for, and the listener (spec/vmbus-over-vfio-user.md §10,
 * §13). */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/vfio_user/sockets.h"
#include "lib/vmbus/guid.h"
#include "test/unit/unit.h"
#include "test/unit/vfio_user_rig.h"

#define TEXT 256

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
	/* The name is ours all the same. */
	CU_ASSERT_EQUAL(vfu_server_create(t.path, &d.device, &second, err, sizeof(err)), -EBUSY);
	CU_ASSERT_EQUAL(vfu_server_return(server, err, sizeof(err)), 0);
	fd = raw_connect(t.path);
	CU_ASSERT_TRUE(fd >= 0);
	close(fd);
	vfu_server_destroy(server);
	CU_ASSERT_EQUAL(lstat(t.path, &st), -1);
	/* Not over a file. */
	fd = open(t.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	CU_ASSERT_EQUAL(vfu_server_create(t.path, &d.device, &server, err, sizeof(err)), -EEXIST);
	rig_device_close(&d);
	temp_close(&t);
}

/* ---- a process that can have so many descriptors more, and no others ---- */

static struct rlimit descriptors;

static void
descriptors_left(unsigned int n)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); /* the first one that is free */
	struct rlimit few = descriptors;

	CU_ASSERT_FATAL(fd >= 0);
	close(fd);
	few.rlim_cur = (rlim_t)fd + n;
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &few), 0);
}

static void
descriptors_enough(void)
{
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &descriptors), 0);
}

/* A lock, something to watch with, a socket: whichever cannot be had is named, and the next one
 * tries anew. */
static void
test_a_server_without_descriptors_leaves_nothing_behind(void)
{
	static const char *const why[] = {"cannot open", "cannot watch", "cannot make a socket"};
	unsigned int fds, left;
	struct vfu_server *server;
	struct rig_device d;
	char err[TEXT];
	struct stat st;
	struct temp t;
	int rc;

	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_NOFILE, &descriptors), 0);
	temp_open(&t);
	rig_device_open(&d);
	fds = rig_count_fds();
	for (left = 0; left <= 3; left++) {
		descriptors_left(left);
		rc = vfu_server_create(t.path, &d.device, &server, err, sizeof(err));
		descriptors_enough();
		CU_ASSERT_EQUAL_FATAL(rc, left < 3 ? -EMFILE : 0);
		if (left == 3)
			break;
		CU_ASSERT_PTR_NULL(server);
		CU_ASSERT_PTR_NOT_NULL(strstr(err, why[left]));
		CU_ASSERT_EQUAL(lstat(t.path, &st), -1);
		CU_ASSERT_EQUAL(rig_count_fds(), fds);
	}
	/* It comes back without a socket, and is still the one of this name. */
	vfu_server_withdraw(server);
	descriptors_left(0);
	rc = vfu_server_return(server, err, sizeof(err));
	descriptors_enough();
	CU_ASSERT_EQUAL(rc, -EMFILE);
	CU_ASSERT_EQUAL(lstat(t.path, &st), -1);
	CU_ASSERT_EQUAL(vfu_server_return(server, err, sizeof(err)), 0);
	CU_ASSERT_EQUAL(lstat(t.path, &st), 0);
	vfu_server_destroy(server);
	rig_device_close(&d);
	temp_close(&t);
}

/* The connection itself, its epoll, its timer: who cannot be served is hung up on, or waits. */
static void
test_a_client_without_descriptors_is_no_session(void)
{
	struct vfu_session *session;
	struct vfu_server *server;
	unsigned int fds, left, n;
	uint8_t byte[16];
	int client, none[64];
	struct rig_device d;
	char err[TEXT];
	struct temp t;
	int rc;

	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_NOFILE, &descriptors), 0);
	temp_open(&t);
	rig_device_open(&d);
	CU_ASSERT_EQUAL_FATAL(vfu_server_create(t.path, &d.device, &server, err, sizeof(err)), 0);
	fds = rig_count_fds();
	for (left = 0; left <= 3; left++) {
		client = raw_connect(t.path);
		CU_ASSERT_FATAL(client >= 0);
		descriptors_left(left);
		rc = vfu_server_accept(server, &session);
		descriptors_enough();
		CU_ASSERT_EQUAL(rc, left < 3 ? -EMFILE : 0);
		if (left == 0) {
			/* It is not lost. */
			CU_ASSERT_EQUAL(vfu_server_accept(server, &session), 0);
		} else if (left < 3) {
			CU_ASSERT_PTR_NULL(session);
			CU_ASSERT_EQUAL(rig_recv(client, byte, sizeof(byte), none, &n), 0);
		}
		vfu_session_close(session);
		close(client);
		CU_ASSERT_EQUAL(rig_count_fds(), fds);
	}
	/* Nor is there one for a server that has gone from its name. */
	vfu_server_withdraw(server);
	CU_ASSERT_EQUAL(vfu_server_accept(server, &session), -EAGAIN);
	vfu_server_destroy(server);
	rig_device_close(&d);
	temp_close(&t);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"socket names", test_names},
		{"directories", test_directories},
		{"scan", test_scan},
		{"scan finds no socket that is closed to us",
			test_scan_finds_no_socket_that_is_closed_to_us},
		{"a second client is told EBUSY", test_second_client_is_busy},
		{"many refused clients", test_many_refused},
		{"a foreign user is told EACCES", test_foreign_user},
		{"lock, stale socket, own inode", test_lock_stale_and_own_inode},
		{"a server without descriptors leaves nothing behind",
			test_a_server_without_descriptors_leaves_nothing_behind},
		{"a client without descriptors is no session",
			test_a_client_without_descriptors_is_no_session},
		{"no descriptor left open", rig_test_no_descriptor_left},
	};

	return RIG_RUN("vfio-user sockets", tests);
}
