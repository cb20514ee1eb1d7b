/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/vfio_user/sockets.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX	   ".sock"
#define SYSTEM_DIR "/run/hyperpoll"
/* ".<pid>.tmp" of a server being born must fit too, or its clients could never meet it. */
#define TMP_ROOM 16u

int
vfu_socket_name_parse(const char *name, uint8_t guid[16])
{
	char text[VMBUS_GUID_LEN + 1], again[VMBUS_GUID_LEN + 1];

	if (strlen(name) != VMBUS_GUID_LEN + strlen(SUFFIX) ||
		strcmp(name + VMBUS_GUID_LEN, SUFFIX) != 0)
		return -EINVAL;
	memcpy(text, name, VMBUS_GUID_LEN);
	text[VMBUS_GUID_LEN] = '\0';
	if (vmbus_guid_parse(text, guid) < 0)
		return -EINVAL;
	/* Lower case only: one device has one name. */
	vmbus_guid_format(guid, again);
	return strcmp(text, again) == 0 ? 0 : -EINVAL;
}

int
vfu_socket_path(const char *dir, const uint8_t guid[16], char path[VFU_PATH_MAX])
{
	char text[VMBUS_GUID_LEN + 1];
	int n;

	vmbus_guid_format(guid, text);
	n = snprintf(path, VFU_PATH_MAX, "%s/%s" SUFFIX, dir, text);
	return n > 0 && (unsigned int)n < VFU_PATH_MAX - TMP_ROOM ? 0 : -ENAMETOOLONG;
}

static int
set_dir(char dir[VFU_PATH_MAX], const char *text, size_t len, const char *more)
{
	int n = snprintf(dir, VFU_PATH_MAX, "%.*s%s", (int)len, text, more);

	return n > 0 && (unsigned int)n < VFU_PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int
user_dir(char dir[VFU_PATH_MAX])
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (runtime == NULL || runtime[0] == '\0')
		return -ENOENT;
	return set_dir(dir, runtime, strnlen(runtime, VFU_PATH_MAX), "/hyperpoll");
}

int
vfu_client_dir(unsigned int i, char dir[VFU_PATH_MAX])
{
	const char *list = getenv("HYPERPOLL_VFIO_USER_DIRS");

	if (i >= VFU_MAX_DIRS)
		return -ENOENT;
	if (list == NULL) {
		if (i == 0)
			return set_dir(dir, SYSTEM_DIR, strlen(SYSTEM_DIR), "");
		return i == 1 ? user_dir(dir) : -ENOENT;
	}
	for (;;) {
		size_t len = strcspn(list, ":");

		if (len > 0 && i-- == 0)
			return set_dir(dir, list, len < VFU_PATH_MAX ? len : VFU_PATH_MAX, "");
		if (list[len] == '\0')
			return -ENOENT;
		list += len + 1;
	}
}

int
vfu_server_dir(char dir[VFU_PATH_MAX], const char *user)
{
	if (geteuid() != 0)
		return user_dir(dir);
	return user == NULL ? set_dir(dir, SYSTEM_DIR, strlen(SYSTEM_DIR), "")
			    : set_dir(dir, SYSTEM_DIR "/", strlen(SYSTEM_DIR "/"), user);
}

void
vfu_dir_refusing(const char *dir, char at[VFU_PATH_MAX])
{
	for (const char *slash = strchr(dir + 1, '/'); slash != NULL;
		slash = strchr(slash + 1, '/'))
		if (set_dir(at, dir, (size_t)(slash - dir), "") != 0 ||
			faccessat(AT_FDCWD, at, X_OK, AT_EACCESS) != 0)
			return;
	set_dir(at, dir, strlen(dir), "");
}

/* Of nobody's but ours, whatever took its place meanwhile. */
static int
give_dir(const char *dir, uid_t uid, gid_t gid)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), rc = 0;
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		rc = -errno;
	else if (st.st_uid != geteuid())
		rc = -EPERM;
	else if (fchown(fd, uid, gid) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

static int
check_dir(const char *dir, uid_t uid)
{
	struct stat st;

	if (stat(dir, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	/* Whoever may write there can put a socket of his in the place of ours (§13). */
	if (st.st_uid != 0 && st.st_uid != uid)
		return -EPERM;
	return (st.st_mode & (S_IWGRP | S_IWOTH)) == 0 ? 0 : -EPERM;
}

/*
 * The directory of all hosts' directories and of root's sockets, which are closed themselves:
 * whoever root's first host is run for, the next one's user must get through.
 */
static int
create_system_dir(void)
{
	if (mkdir(SYSTEM_DIR, 0700) == 0)
		/* Whatever the umask. */
		return chmod(SYSTEM_DIR, 0755) == 0 ? 0 : -errno;
	return errno == EEXIST ? check_dir(SYSTEM_DIR, 0) : -errno;
}

int
vfu_dir_create(const char *dir, uid_t uid, gid_t gid, char at[VFU_PATH_MAX])
{
	size_t len = strlen(SYSTEM_DIR);
	int rc;

	vfu_dir_refusing(dir, at);
	if (geteuid() == 0 && strncmp(dir, SYSTEM_DIR, len) == 0 &&
		(dir[len] == '/' || dir[len] == '\0')) {
		rc = create_system_dir();
		if (rc != 0)
			return set_dir(at, SYSTEM_DIR, len, "") == 0 ? rc : -ENAMETOOLONG;
		vfu_dir_refusing(dir, at);
	}
	if (mkdir(dir, 0700) == 0)
		return uid == geteuid() ? 0 : give_dir(dir, uid, gid);
	return errno == EEXIST ? check_dir(dir, uid) : -errno;
}

static bool
peer_uid(int sock, uid_t *uid)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
		return false;
	*uid = cred.uid;
	return true;
}

static bool
trusted(uid_t uid)
{
	return uid == 0 || uid == geteuid();
}

/* Does the directory of @p path belong to this user, and may nobody else write there? */
static bool
owns_dir_of(uid_t uid, const char *path)
{
	const char *slash = strrchr(path, '/');
	char dir[VFU_PATH_MAX] = ".";
	struct stat st;

	if (slash != NULL && set_dir(dir, path, (size_t)(slash - path) + 1, "") != 0)
		return false;
	return stat(dir, &st) == 0 && st.st_uid == uid && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

bool
vfu_client_allowed(int sock)
{
	uid_t uid;

	return peer_uid(sock, &uid) && trusted(uid);
}

bool
vfu_server_allowed(int sock, const char *path)
{
	uid_t uid;

	return peer_uid(sock, &uid) && (trusted(uid) || owns_dir_of(uid, path));
}

/* Nobody but root can change where this path leads to. */
static bool
is_roots(const char *path)
{
	char dir[VFU_PATH_MAX];
	struct stat st;

	for (const char *slash = path; slash != NULL; slash = strchr(slash + 1, '/'))
		if (set_dir(dir, path, (size_t)(slash - path) + (slash == path), "") != 0 ||
			lstat(dir, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != 0 ||
			(st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
			return false;
	return path[0] == '/';
}

/* Length of the directory's part of the first @p len characters of @p path. */
static size_t
dir_len(const char *path, size_t len)
{
	while (len > 0 && path[len - 1] != '/')
		len--;
	return len > 0 ? len - 1 : 0;
}

bool
vfu_found_server_allowed(int sock, const char *path)
{
	size_t len = dir_len(path, dir_len(path, strlen(path)));
	uid_t uid;

	if (!peer_uid(sock, &uid))
		return false;
	if (trusted(uid) || is_roots(path))
		return true;
	/* Of a user for whom root made a folder among those of all hosts. */
	return len == strlen(SYSTEM_DIR) && strncmp(path, SYSTEM_DIR, len) == 0 &&
	       is_roots(SYSTEM_DIR "/") && owns_dir_of(uid, path);
}

static int
is_socket_name(const struct dirent *entry)
{
	uint8_t guid[16];

	return vfu_socket_name_parse(entry->d_name, guid) == 0;
}

/* One name that passed the filter. */
static int
visit(const char *dir, const char *name, vfu_scan_fn fn, void *arg)
{
	char path[VFU_PATH_MAX];
	uint8_t guid[16];
	struct stat st;
	int n;

	n = snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (n <= 0 || (size_t)n >= sizeof(path) || vfu_socket_name_parse(name, guid) < 0)
		return 0;
	if (lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode) ||
		(!trusted(st.st_uid) && !owns_dir_of(st.st_uid, path)))
		return 0;
	/* Root's, for a user who may not connect: no device of his. */
	if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) != 0 && errno == EACCES)
		return 0;
	return fn(arg, guid, path);
}

int
vfu_scan(vfu_scan_fn fn, void *arg)
{
	char dir[VFU_PATH_MAX];
	struct dirent **names;
	int ret = 0;

	for (unsigned int i = 0; ret == 0; i++) {
		int found = vfu_client_dir(i, dir);
		int n;

		if (found == -ENAMETOOLONG)
			continue;
		if (found < 0)
			/* The second default may be missing and is the last anyway. */
			break;
		/* Sorted: the order of devices must not depend on the file system. */
		n = scandir(dir, &names, is_socket_name, alphasort);
		if (n < 0) {
			if (errno == ENOMEM)
				ret = -ENOMEM;
			continue;
		}
		for (int k = 0; k < n; k++) {
			if (ret == 0)
				ret = visit(dir, names[k]->d_name, fn, arg);
			free(names[k]);
		}
		free(names);
	}
	return ret;
}
