/* SPDX-License-Identifier: BSD-3-Clause */
/* Files written for others; see files.h. */
#include "app/vmbusctl/files.h"
#include "app/vmbusctl/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* @return 0 when nothing is in the way of a file that vmbusctl writes or removes, else -errno */
static int
is_ours(int folder, const char *name, char why[CTL_WHY_MAX])
{
	char line[sizeof(CTL_FILE_MARK)] = "";
	int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	ssize_t n;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0) {
		n = -errno;
		if (n == -ELOOP)
			snprintf(why, CTL_WHY_MAX, "it is a symbolic link: remove it first");
		else
			snprintf(why, CTL_WHY_MAX, "%s", strerror((int)-n));
		return (int)n;
	}
	n = read(fd, line, sizeof(line) - 1);
	close(fd);
	if (n == (ssize_t)sizeof(line) - 1 && strcmp(line, CTL_FILE_MARK) == 0)
		return 0;
	snprintf(why, CTL_WHY_MAX, "it was not written by vmbusctl: move it away first");
	return -EEXIST;
}

static int
cannot(const struct ctl *ctl, const char *verb, const char *path, int error, const char *why)
{
	ctl_error("cannot %s %s/%s: %s%s", verb, ctl->root, path, why,
		error == -EACCES ? ": run as root"
		: error == -EPERM
			? ": only root may be able to change what root reads at boot (chown root, chmod go-w)"
			: "");
	return CTL_FAILED;
}

/* @return the folder a file is in and *name in it, or as ctl_trusted_folder() */
static int
open_folder(const struct ctl *ctl, const char *path, int create, const char **name,
	char why[CTL_WHY_MAX])
{
	char folder[VMBUS_SYSFS_PATH_MAX];
	const char *slash = strrchr(path, '/');

	*name = slash + 1;
	snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
	return ctl_trusted_folder(ctl->root, folder, create, why);
}

int
ctl_file_check(const struct ctl *ctl, const char *path)
{
	char why[CTL_WHY_MAX] = "";
	const char *name;
	int folder = open_folder(ctl, path, 0, &name, why), rc = folder;

	if (folder >= 0) {
		rc = is_ours(folder, name, why);
		close(folder);
	}
	return rc < 0 && rc != -ENOENT ? cannot(ctl, "write", path, rc, why) : CTL_OK;
}

/* Whole or not at all: half a rule would be read at the next boot. */
int
ctl_file_write(const struct ctl *ctl, const char *path, const char *text)
{
	char temporary[VMBUS_SYSFS_NAME_MAX + 64], why[CTL_WHY_MAX] = "";
	const char *name;
	int folder = open_folder(ctl, path, 1, &name, why), fd = -1, rc = 0;
	size_t n = strlen(text);

	if (folder < 0)
		return cannot(ctl, "write", path, folder, why);
	snprintf(temporary, sizeof(temporary), "%s.new", name);
	rc = is_ours(folder, name, why);
	if (rc == 0) {
		/* What an earlier run, killed, left behind. */
		unlinkat(folder, temporary, 0);
		fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			0644);
		if (fd < 0 || fchmod(fd, 0644) < 0 || write(fd, text, n) != (ssize_t)n ||
			fsync(fd) < 0 || renameat(folder, temporary, folder, name) < 0) {
			rc = errno == 0 ? -EIO : -errno;
			snprintf(why, sizeof(why), "%s", strerror(-rc));
		}
		if (fd >= 0)
			close(fd);
		if (rc < 0)
			unlinkat(folder, temporary, 0);
	}
	close(folder);
	return rc == 0 ? CTL_OK : cannot(ctl, "write", path, rc, why);
}

int
ctl_file_remove(const struct ctl *ctl, const char *path)
{
	char why[CTL_WHY_MAX] = "";
	const char *name;
	int folder = open_folder(ctl, path, 0, &name, why), rc = folder;

	if (folder >= 0) {
		rc = is_ours(folder, name, why);
		if (rc == 0 && unlinkat(folder, name, 0) < 0 && errno != ENOENT) {
			rc = -errno;
			snprintf(why, sizeof(why), "%s", strerror(-rc));
		}
		close(folder);
	}
	return rc == 0 || rc == -ENOENT ? CTL_OK : cannot(ctl, "remove", path, rc, why);
}
