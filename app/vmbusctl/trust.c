/* SPDX-License-Identifier: BSD-3-Clause */
/* Who can change a file? See trust.h. */
#include "app/vmbusctl/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Leaves room for the rest of a reason. */
#define PATH_ROOM (CTL_WHY_MAX - 256)

/* The owner of a fixture stands in for root. */
static uid_t
owner_of_root(const char *root)
{
	struct stat st;

	return root[0] != '\0' && stat(root, &st) == 0 ? st.st_uid : 0;
}

/* @return 0, or -EPERM with the reason */
static int
only_root_writes(const struct stat *st, const char *path, uid_t owner, char why[CTL_WHY_MAX])
{
	if (st->st_uid != owner)
		snprintf(why, CTL_WHY_MAX, "%s belongs to user %u and not to root", path,
			(unsigned int)st->st_uid);
	else if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0)
		snprintf(why, CTL_WHY_MAX, "others than root may write to %s (mode %03o)", path,
			(unsigned int)st->st_mode & 07777);
	else
		return 0;
	return -EPERM;
}

/* A file here was built and not installed: the next build or checkout replaces it. */
static int
is_workshop(const char *folder)
{
	static const char *const marks[] = {"meson-private", "meson-info", ".git"};
	char path[PATH_ROOM + 16];
	size_t i;

	for (i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, marks[i]);
		if (access(path, F_OK) == 0)
			return 1;
	}
	return 0;
}

/* Every folder above the file, from `from` characters on, and the file. */
static int
check_way(char *path, size_t from, uid_t owner, char why[CTL_WHY_MAX])
{
	char *slash = path + from;
	const char *shown;
	struct stat st;
	int rc;

	for (;;) {
		if (slash != NULL)
			*slash = '\0';
		shown = path[0] == '\0' ? "/" : path;
		if (lstat(shown, &st) < 0) {
			snprintf(why, CTL_WHY_MAX, "%s is not there (%s)", shown, strerror(errno));
			return -EPERM;
		}
		rc = only_root_writes(&st, shown, owner, why);
		if (rc == 0 && slash != NULL && slash != path + from && is_workshop(shown)) {
			snprintf(why, CTL_WHY_MAX, "%s is a folder to build in", shown);
			rc = -EPERM;
		}
		if (slash == NULL) {
			if (rc == 0 && !S_ISREG(st.st_mode)) {
				snprintf(why, CTL_WHY_MAX, "%s is no regular file", shown);
				rc = -EPERM;
			}
			return rc;
		}
		*slash = '/';
		if (rc < 0)
			return rc;
		slash = strchr(slash + 1, '/');
	}
}

int
ctl_trusted_self(const char *root, char *path, size_t size, char why[CTL_WHY_MAX])
{
	char self[PATH_ROOM], installed[PATH_ROOM];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	size_t skip = 0;

	snprintf(path, size, "vmbusctl");
	if (n <= 0 || n == (ssize_t)sizeof(self) - 1) {
		snprintf(why, CTL_WHY_MAX, "its own path %s",
			n <= 0 ? "is unknown (/proc/self/exe)" : "is too long");
		return -EPERM;
	}
	self[n] = '\0';
	snprintf(installed, sizeof(installed), "%s%s", root, VMBUSCTL_INSTALLED);
	if (root[0] != '\0' && strcmp(self, installed) == 0)
		skip = strlen(root);
	if ((size_t)snprintf(path, size, "%s", self + skip) >= size) {
		snprintf(why, CTL_WHY_MAX, "its path is too long");
		return -EPERM;
	}
	/* In a unit some characters would have to be quoted; a path of that kind is no sbin. */
	if (strpbrk(path, " \t\n\"'\\%$;") != NULL) {
		snprintf(why, CTL_WHY_MAX, "its path has characters that a unit cannot hold");
		return -EPERM;
	}
	return check_way(self, skip, skip > 0 ? owner_of_root(root) : 0, why);
}

/* @return the folder below `parent`, or -errno with the reason when there is one */
static int
step_down(int parent, const char *name, const char *shown, uid_t owner, int create,
	char why[CTL_WHY_MAX])
{
	struct stat st;
	int fd, rc;

	if (create && mkdirat(parent, name, 0755) < 0 && errno != EEXIST) {
		rc = -errno;
		snprintf(why, CTL_WHY_MAX, "%s cannot be made (%s)", shown, strerror(-rc));
		return rc;
	}
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		rc = -errno;
		if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
			snprintf(why, CTL_WHY_MAX, "%s is a symbolic link", shown);
		else
			snprintf(why, CTL_WHY_MAX, "%s: %s", shown, strerror(-rc));
		return rc;
	}
	rc = fstat(fd, &st) < 0 ? -errno : only_root_writes(&st, shown, owner, why);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	return fd;
}

int
ctl_trusted_folder(const char *root, const char *folder, int create, char why[CTL_WHY_MAX])
{
	uid_t owner = owner_of_root(root);
	char shown[PATH_ROOM], name[NAME_MAX + 1];
	const char *at = folder;
	int fd, next;
	size_t n;

	fd = open(root[0] == '\0' ? "/" : root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		next = -errno;
		snprintf(why, CTL_WHY_MAX, "%s: %s", root, strerror(-next));
		return next;
	}
	while (*at != '\0') {
		n = strcspn(at, "/");
		snprintf(name, sizeof(name), "%.*s", (int)n, at);
		at += n + (at[n] == '/');
		snprintf(shown, sizeof(shown), "%s/%.*s", root, (int)(at - folder), folder);
		if (shown[strlen(shown) - 1] == '/')
			shown[strlen(shown) - 1] = '\0';
		next = step_down(fd, name, shown, owner, create, why);
		close(fd);
		if (next < 0)
			return next;
		fd = next;
	}
	return fd;
}
