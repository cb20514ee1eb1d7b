/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Directories and owners of sockets (lib/vfio_user/sockets.h), and where a server cannot be. What
 * takes a second user is for root alone; others skip it.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/vfio_user/server.h"
#include "lib/vfio_user/sockets.h"
#include "test/unit/unit.h"

#define NOBODY 65534u

static char top[] = "/tmp/vfio_user_owners.XXXXXX";

static const char *
in_top(const char *name)
{
	static char path[VFU_PATH_MAX];

	CU_ASSERT_FATAL(snprintf(path, sizeof(path), "%s/%s", top, name) < (int)sizeof(path));
	return path;
}

static unsigned int
mode_of(const char *path)
{
	struct stat st;

	CU_ASSERT_EQUAL_FATAL(stat(path, &st), 0);
	return st.st_mode & 07777;
}

/* ---- directories ---- */

static void
test_a_directory_is_made_closed_and_is_found_again(void)
{
	char at[VFU_PATH_MAX], dir[VFU_PATH_MAX];
	mode_t mask = umask(0);

	strcpy(dir, in_top("made"));
	CU_ASSERT_EQUAL(vfu_dir_create(dir, geteuid(), getegid(), at), 0);
	umask(mask);
	CU_ASSERT_EQUAL(mode_of(dir), 0700);
	CU_ASSERT_EQUAL(vfu_dir_create(dir, geteuid(), getegid(), at), 0);
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

static void
test_a_directory_where_others_may_write_is_refused(void)
{
	static const mode_t modes[] = {0770, 0702, 01777};
	char at[VFU_PATH_MAX], dir[VFU_PATH_MAX];
	size_t i;

	strcpy(dir, in_top("open"));
	CU_ASSERT_EQUAL_FATAL(mkdir(dir, 0700), 0);
	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		CU_ASSERT_EQUAL(chmod(dir, modes[i]), 0);
		CU_ASSERT_EQUAL(vfu_dir_create(dir, geteuid(), getegid(), at), -EPERM);
		CU_ASSERT_STRING_EQUAL(at, dir);
	}
	CU_ASSERT_EQUAL(chmod(dir, 0755), 0);
	CU_ASSERT_EQUAL(vfu_dir_create(dir, geteuid(), getegid(), at), 0);
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

static void
test_what_is_no_directory_is_refused_by_name(void)
{
	char at[VFU_PATH_MAX], file[VFU_PATH_MAX], below[VFU_PATH_MAX];
	FILE *f;

	strcpy(file, in_top("file"));
	strcpy(below, in_top("nowhere/dir"));
	f = fopen(file, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fclose(f);
	CU_ASSERT_EQUAL(vfu_dir_create(file, geteuid(), getegid(), at), -ENOTDIR);
	CU_ASSERT_STRING_EQUAL(at, file);
	/* Parents are not made; the one that is not there is named. */
	CU_ASSERT_EQUAL(vfu_dir_create(below, geteuid(), getegid(), at), -ENOENT);
	CU_ASSERT_STRING_EQUAL(at, in_top("nowhere"));
	CU_ASSERT_EQUAL(unlink(file), 0);
}

static void
test_a_directory_is_its_users_or_roots(void)
{
	char at[VFU_PATH_MAX], dir[VFU_PATH_MAX];
	struct stat st;

	if (geteuid() != 0)
		return;
	strcpy(dir, in_top("given"));
	CU_ASSERT_EQUAL(vfu_dir_create(dir, NOBODY, NOBODY, at), 0);
	CU_ASSERT_EQUAL_FATAL(stat(dir, &st), 0);
	CU_ASSERT_EQUAL(st.st_uid, NOBODY);
	CU_ASSERT_EQUAL(st.st_gid, NOBODY);
	/* Once more for him it is good, for anybody else it is a stranger's. */
	CU_ASSERT_EQUAL(vfu_dir_create(dir, NOBODY, NOBODY, at), 0);
	CU_ASSERT_EQUAL(vfu_dir_create(dir, 0, 0, at), -EPERM);
	CU_ASSERT_EQUAL(vfu_dir_create(dir, NOBODY - 1, NOBODY, at), -EPERM);
	CU_ASSERT_EQUAL(chown(dir, 0, 0), 0);
	CU_ASSERT_EQUAL(vfu_dir_create(dir, NOBODY, NOBODY, at), 0);
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

/* ---- owners ---- */

/* A socket that is connected to a listener of this user at this path. */
static int
connected(const char *path, uid_t uid)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	unlink(path);
	CU_ASSERT_EQUAL_FATAL(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	/* Whose it is, is decided by who listens (unix(7), SO_PEERCRED). */
	CU_ASSERT_EQUAL_FATAL(uid == geteuid() ? 0 : seteuid(uid), 0);
	CU_ASSERT_EQUAL(listen(listener, 1), 0);
	CU_ASSERT_EQUAL_FATAL(uid == geteuid() && uid != getuid() ? seteuid(getuid()) : 0, 0);
	CU_ASSERT_EQUAL_FATAL(connect(sock, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(listener);
	return sock;
}

static void
test_our_own_servers_are_allowed(void)
{
	int sock = connected(in_top("own.sock"), geteuid());

	CU_ASSERT_TRUE(vfu_client_allowed(sock));
	CU_ASSERT_TRUE(vfu_server_allowed(sock, in_top("own.sock")));
	CU_ASSERT_TRUE(vfu_found_server_allowed(sock, in_top("own.sock")));
	close(sock);
	unlink(in_top("own.sock"));
	/* What is no socket is nobody's. */
	CU_ASSERT_FALSE(vfu_client_allowed(STDIN_FILENO));
	CU_ASSERT_FALSE(vfu_server_allowed(-1, top));
	CU_ASSERT_FALSE(vfu_found_server_allowed(-1, top));
}

static void
test_a_strangers_server_is_allowed_only_where_he_alone_writes(void)
{
	char dir[VFU_PATH_MAX], path[VFU_PATH_MAX];
	int sock;

	if (geteuid() != 0)
		return;
	strcpy(dir, in_top("his"));
	strcpy(path, in_top("his/a.sock"));
	CU_ASSERT_EQUAL_FATAL(mkdir(dir, 0700), 0);
	CU_ASSERT_EQUAL(chmod(top, 0755), 0);
	sock = connected(path, NOBODY);
	CU_ASSERT_EQUAL(geteuid(), 0);
	CU_ASSERT_FALSE(vfu_client_allowed(sock));
	/* In root's directory he is nobody that root chose. */
	CU_ASSERT_FALSE(vfu_server_allowed(sock, path));
	CU_ASSERT_EQUAL(chown(dir, NOBODY, NOBODY), 0);
	CU_ASSERT_TRUE(vfu_server_allowed(sock, path));
	CU_ASSERT_EQUAL(chmod(dir, 0770), 0);
	CU_ASSERT_FALSE(vfu_server_allowed(sock, path));
	CU_ASSERT_EQUAL(chmod(dir, 0700), 0);
	/* Nobody named that directory: one found below /tmp can be anybody's. */
	CU_ASSERT_FALSE(vfu_found_server_allowed(sock, path));
	close(sock);
	unlink(path);
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

/* ---- where a server cannot be ---- */

static void
refused(const char *path, const struct vfu_device *device, int rc, const char *why)
{
	struct vfu_server *server = (void *)&server;
	char err[300] = "";

	CU_ASSERT_EQUAL(vfu_server_create(path, device, &server, err, sizeof(err)), rc);
	CU_ASSERT_PTR_NULL(server);
	if (strstr(err, why) == NULL)
		fprintf(stderr, "%s\n", err);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, why));
}

static void
test_a_server_that_cannot_be_says_why(void)
{
	static const struct vfu_device device = {0};
	struct vfu_device many = device;
	char path[2 * VFU_PATH_MAX], plain[VFU_PATH_MAX];
	FILE *f;

	refused(in_top("nowhere/a.sock"), &device, -ENOENT, "cannot open");
	/* Its lock has room, its name before it listens has not. */
	memset(path, 'x', sizeof(path));
	memcpy(path, top, strlen(top));
	path[strlen(top)] = '/';
	path[VFU_PATH_MAX - 1] = '\0';
	refused(path, &device, -ENAMETOOLONG, "use a shorter directory");
	strcat(path, ".lock");
	unlink(path);
	path[VFU_PATH_MAX - 1] = 'x';
	path[sizeof(path) - 1] = '\0';
	refused(path, &device, -ENAMETOOLONG, "socket path is too long");
	strcpy(plain, in_top("plain.sock"));
	f = fopen(plain, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fclose(f);
	refused(plain, &device, -EEXIST, "exists and is not a socket");
	CU_ASSERT_EQUAL(unlink(plain), 0);
	CU_ASSERT_EQUAL(unlink(in_top("plain.lock")), 0);
	many.num_regions = 1000;
	refused(in_top("many.sock"), &many, -EINVAL, "too many regions or interrupts");
	CU_ASSERT_NOT_EQUAL(access(in_top("many.lock"), F_OK), 0);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"a directory is made closed, and is found again",
			test_a_directory_is_made_closed_and_is_found_again},
		{"a directory where others may write is refused",
			test_a_directory_where_others_may_write_is_refused},
		{"what is no directory is refused by name",
			test_what_is_no_directory_is_refused_by_name},
		{"a directory is its user's or root's", test_a_directory_is_its_users_or_roots},
		{"our own servers are allowed", test_our_own_servers_are_allowed},
		{"a stranger's server is allowed only where he alone writes",
			test_a_strangers_server_is_allowed_only_where_he_alone_writes},
		{"a server that cannot be says why", test_a_server_that_cannot_be_says_why},
	};
	int rc;

	if (mkdtemp(top) == NULL)
		return EXIT_FAILURE;
	rc = UNIT_RUN("vfio_user_owners", tests);
	if (rmdir(top) != 0) {
		perror(top);
		return EXIT_FAILURE;
	}
	return rc;
}
