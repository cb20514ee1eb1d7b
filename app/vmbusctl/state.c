/* SPDX-License-Identifier: BSD-3-Clause */
/* /run/vmbusctl; see state.h. */
#include "app/vmbusctl/state.h"
#include "app/vmbusctl/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int
cannot_write(const struct ctl *ctl, const char *name, const char *why)
{
	ctl_error("cannot write %s/" CTL_STATE_FOLDER "/%s: %s", ctl->root, name, why);
	return CTL_FAILED;
}

int
ctl_state_write(const struct ctl *ctl, const char *name, struct json_object *value)
{
	char temporary[VMBUS_SYSFS_NAME_MAX + 16], why[CTL_WHY_MAX] = "";
	const char *text = json_object_to_json_string(value);
	int folder = ctl_trusted_folder(ctl->root, CTL_STATE_FOLDER, 1, why), fd;
	ssize_t n = (ssize_t)strlen(text);
	bool ok;

	if (folder < 0)
		return cannot_write(ctl, name, why);
	snprintf(temporary, sizeof(temporary), "%s.new", name);
	unlinkat(folder, temporary, 0);
	fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	errno = fd < 0 ? errno : EIO;
	ok = fd >= 0 && write(fd, text, (size_t)n) == n &&
	     renameat(folder, temporary, folder, name) == 0;
	if (!ok) {
		snprintf(why, sizeof(why), "%s%s", strerror(errno),
			errno == EACCES ? ": run as root" : "");
		unlinkat(folder, temporary, 0);
	}
	if (fd >= 0)
		close(fd);
	close(folder);
	return ok ? CTL_OK : cannot_write(ctl, name, why);
}

struct json_object *
ctl_state_read(const struct ctl *ctl, const char *name)
{
	char why[CTL_WHY_MAX];
	int folder = ctl_trusted_folder(ctl->root, CTL_STATE_FOLDER, 0, why), fd = -1;
	struct json_object *value = NULL;

	if (folder < 0)
		return NULL;
	fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0) {
		value = json_object_from_fd(fd);
		close(fd);
	}
	close(folder);
	return value;
}

bool
ctl_state_exists(const struct ctl *ctl, const char *name)
{
	char path[VMBUS_SYSFS_PATH_MAX];

	snprintf(path, sizeof(path), "%s/" CTL_STATE_FOLDER "/%s", ctl->root, name);
	return access(path, F_OK) == 0;
}

void
ctl_state_remove(const struct ctl *ctl, const char *name)
{
	char path[VMBUS_SYSFS_PATH_MAX];

	snprintf(path, sizeof(path), "%s/" CTL_STATE_FOLDER "/%s", ctl->root, name);
	unlink(path);
}
