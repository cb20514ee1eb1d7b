/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Giving an adapter to a user; see give.h. Owners are changed through descriptors that were looked
 * at first: no path is followed twice, no link is followed at all, and a uio number that has gone
 * to another device is seen.
 */
#include "app/vmbusctl/give.h"
#include "app/vmbusctl/hand_over.h"
#include "app/vmbusctl/state.h"
#include "app/vmbusctl/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define START_MS 5000
#define END_MS	 3000
#define STEP_MS	 10

static void
set_owner(struct ctl_owner *owner, uid_t uid)
{
	const struct passwd *entry = getpwuid(uid);

	owner->uid = uid;
	if (entry != NULL)
		snprintf(owner->name, sizeof(owner->name), "%s", entry->pw_name);
	else
		snprintf(owner->name, sizeof(owner->name), "%u", (unsigned int)uid);
}

int
ctl_find_user(const char *text, struct ctl_owner *owner)
{
	const struct passwd *entry = getpwnam(text);
	uint32_t number;

	if (entry != NULL) {
		owner->uid = entry->pw_uid;
		snprintf(owner->name, sizeof(owner->name), "%s", entry->pw_name);
	} else if (vmbus_parse_u32(text, UINT32_MAX - 2, &number) == 0) {
		set_owner(owner, number);
	} else {
		ctl_error("--user: no user '%.64s' here: give a name or number of 'getent passwd'",
			text);
		return CTL_USAGE;
	}
	if (owner->uid == 0) {
		ctl_error("--user: root needs nothing given");
		return CTL_USAGE;
	}
	return CTL_OK;
}

/* ---- the node ---- */

static bool
read_number(const struct ctl *ctl, const struct vmbus_sysfs_device *device, dev_t *number)
{
	char path[VMBUS_SYSFS_PATH_MAX], text[64];
	unsigned int major_number, minor_number;

	snprintf(path, sizeof(path), "bus/vmbus/devices/%s/uio/uio%d/dev", device->name,
		device->uio);
	if (vmbus_sysfs_read(&ctl->fs, path, text, sizeof(text)) < 0 ||
		sscanf(text, "%u:%u", &major_number, &minor_number) != 2)
		return false;
	*number = makedev(major_number, minor_number);
	return true;
}

/*
 * Opened without opening the device, which would open the channel. @return descriptor, or -errno
 */
static int
open_node(const struct ctl *ctl, const struct vmbus_sysfs_device *device, struct stat *st)
{
	char name[32];
	int folder = open(ctl->fs.dev, O_PATH | O_DIRECTORY | O_CLOEXEC), fd;
	dev_t number;

	if (folder < 0)
		return -errno;
	snprintf(name, sizeof(name), "uio%d", device->uio);
	fd = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	close(folder);
	if (fd < 0)
		return -errno;
	/* Read now: what is open cannot change any more, and numbers are reused. */
	if (fstat(fd, st) == 0 && S_ISCHR(st->st_mode) && read_number(ctl, device, &number) &&
		st->st_rdev == number)
		return fd;
	close(fd);
	return -ENODEV;
}

/* udev may be behind with making it. */
static int
wait_node(const struct ctl *ctl, const struct vmbus_sysfs_device *device, struct stat *st)
{
	const struct timespec step = {.tv_nsec = STEP_MS * 1000000L};
	int fd, waited;

	for (waited = 0;; waited += STEP_MS) {
		fd = open_node(ctl, device, st);
		if (fd != -ENOENT || waited >= 2000)
			return fd;
		nanosleep(&step, NULL);
	}
}

static int
cannot_give(const struct ctl *ctl, const struct vmbus_sysfs_device *device, int error)
{
	ctl_error("cannot change the owner of %s/uio%d: %s", ctl->fs.dev, device->uio,
		error == -ENODEV ? "it is not the device that sysfs names"
		: error == -EPERM || error == -EACCES
			? "Operation not permitted: run as root, outside containers"
			: strerror(-error));
	return CTL_FAILED;
}

static int
own_node(struct ctl *ctl, const struct vmbus_sysfs_device *device, uid_t uid)
{
	struct stat st = {0};
	int fd = wait_node(ctl, device, &st), rc = 0;

	if (fd < 0)
		return cannot_give(ctl, device, fd);
	if (st.st_uid != uid && fchownat(fd, "", uid, (gid_t)-1, AT_EMPTY_PATH) < 0)
		rc = -errno;
	close(fd);
	return rc == 0 ? CTL_OK : cannot_give(ctl, device, rc);
}

/* ---- the helper ---- */

static void
lock_name(const struct vmbus_sysfs_device *device, char name[VMBUS_SYSFS_NAME_MAX + 8])
{
	snprintf(name, VMBUS_SYSFS_NAME_MAX + 8, "%s.user", device->name);
}

/* Of the helper's file, which it keeps locked. @return descriptor or -errno with `why` */
static int
open_lock(const struct ctl *ctl, const struct vmbus_sysfs_device *device, int flags,
	char why[CTL_WHY_MAX])
{
	char name[VMBUS_SYSFS_NAME_MAX + 8];
	int folder, fd;

	folder = ctl_trusted_folder(ctl->root, CTL_STATE_FOLDER, (flags & O_CREAT) != 0, why);
	if (folder < 0)
		return folder;
	lock_name(device, name);
	fd = openat(folder, name, flags | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		fd = -errno;
		snprintf(why, CTL_WHY_MAX, "%s", strerror(-fd));
	}
	close(folder);
	return fd;
}

/*
 * The lock belongs to the open file (F_OFD_SETLK), so a helper inherits it; and that somebody has
 * it can be seen without taking it, which would look like a helper to others.
 */
static bool
is_locked(int fd)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
}

/* Empty until its helper works: what a dead one wrote does not count. */
static bool
take_lock(int fd)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return fcntl(fd, F_OFD_SETLK, &whole) == 0 && ftruncate(fd, 0) == 0;
}

/* Does the one that has the lock work for this user, on the device that has the name now? */
static bool
is_helper_of(const struct ctl *ctl, const struct vmbus_sysfs_device *device, uid_t uid, int lock)
{
	char path[VMBUS_SYSFS_PATH_MAX];
	char is[CTL_HELPER_TEXT_MAX] = "", wanted[CTL_HELPER_TEXT_MAX];
	struct stat folder;

	snprintf(path, sizeof(path), "%s/bus/vmbus/devices/%s", ctl->fs.sys, device->name);
	if (stat(path, &folder) < 0 || pread(lock, is, sizeof(is) - 1, 0) <= 0)
		return false;
	ctl_helper_text(uid, &folder, wanted);
	return strcmp(is, wanted) == 0;
}

/* Its file goes: it sees that and ends. @return whether it has ended */
static bool
end_helper(const struct ctl *ctl, const struct vmbus_sysfs_device *device)
{
	const struct timespec step = {.tv_nsec = STEP_MS * 1000000L};
	char why[CTL_WHY_MAX], name[VMBUS_SYSFS_NAME_MAX + 8];
	int lock = open_lock(ctl, device, 0, why), waited;
	bool ended = false;

	/* None was started, or it cannot be told: it ends when the device leaves. */
	if (lock < 0)
		return true;
	lock_name(device, name);
	ctl_state_remove(ctl, name);
	for (waited = 0; !ended && waited < END_MS; waited += STEP_MS) {
		ended = !is_locked(lock);
		if (!ended)
			nanosleep(&step, NULL);
	}
	close(lock);
	return ended;
}

/* A process with the lock becomes the helper. */
static int
fork_helper(struct ctl *ctl, const struct vmbus_sysfs_device *device, uid_t uid, int lock)
{
	struct pollfd ready = {.fd = -1, .events = POLLIN};
	char byte = 0;
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return CTL_FAILED;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		ctl_hand_over(&ctl->fs, device->name, uid, lock, ends[1]);
	}
	close(ends[1]);
	ready.fd = ends[0];
	if (pid < 0 || poll(&ready, 1, START_MS) != 1 || read(ends[0], &byte, 1) != 1)
		byte = 0;
	close(ends[0]);
	return byte == 1 ? CTL_OK : CTL_FAILED;
}

/* See that this user's helper runs; another's ends, as does one of a device that has left. */
static int
start_helper(struct ctl *ctl, const struct vmbus_sysfs_device *device, uid_t uid)
{
	char why[CTL_WHY_MAX] = "";
	int lock, rc, i;

	for (i = 0; i < 2; i++) {
		lock = open_lock(ctl, device, O_CREAT, why);
		if (lock < 0) {
			ctl_error("cannot start the helper: %s%s", why,
				lock == -EACCES || lock == -EPERM ? ": run as root" : "");
			return CTL_FAILED;
		}
		if (take_lock(lock)) {
			rc = fork_helper(ctl, device, uid, lock);
			close(lock);
			if (rc != CTL_OK)
				ctl_error("the helper that hands subchannels' rings over did not "
					  "start");
			return rc;
		}
		rc = is_helper_of(ctl, device, uid, lock) ? CTL_OK : CTL_FAILED;
		close(lock);
		if (rc == CTL_OK)
			return CTL_OK;
		if (!end_helper(ctl, device))
			break;
	}
	ctl_error("cannot start the helper: another one of %s did not end in %d s: try again",
		device->name, END_MS / 1000);
	return CTL_FAILED;
}

/* ---- given and taken back ---- */

enum ctl_given
ctl_given_to(
	const struct ctl *ctl, const struct vmbus_sysfs_device *device, struct ctl_owner *owner)
{
	char why[CTL_WHY_MAX];
	enum ctl_given given;
	struct stat st = {0};
	int fd;

	memset(owner, 0, sizeof(*owner));
	fd = device->uio < 0 ? -ENODEV : open_node(ctl, device, &st);
	if (fd < 0)
		return CTL_GIVEN_NOT;
	close(fd);
	if (st.st_uid == 0)
		return CTL_GIVEN_NOT;
	set_owner(owner, st.st_uid);
	fd = open_lock(ctl, device, 0, why);
	if (fd < 0)
		return fd == -EACCES || fd == -EPERM ? CTL_GIVEN_UNKNOWN : CTL_GIVEN_UNHELPED;
	given = is_locked(fd) ? CTL_GIVEN_HELPED : CTL_GIVEN_UNHELPED;
	close(fd);
	return given;
}

int
ctl_give(struct ctl *ctl, const struct vmbus_sysfs_device *device, const struct ctl_owner *owner)
{
	struct ctl_owner now;

	if (ctl_given_to(ctl, device, &now) != CTL_GIVEN_NOT && now.uid != owner->uid) {
		ctl_error("%s is %s's already: 'vmbusctl unbind %s' takes it back", device->name,
			now.name, device->name);
		return CTL_FAILED;
	}
	if (start_helper(ctl, device, owner->uid) != CTL_OK)
		return CTL_FAILED;
	if (own_node(ctl, device, owner->uid) == CTL_OK)
		return CTL_OK;
	end_helper(ctl, device);
	return CTL_FAILED;
}

int
ctl_give_back(struct ctl *ctl, const struct vmbus_sysfs_device *device)
{
	struct ctl_owner owner;

	/* The helper of a device that is not given any more, too. */
	if (!end_helper(ctl, device))
		ctl_error(
			"note: the helper of %s did not end in %d s", device->name, END_MS / 1000);
	if (ctl_given_to(ctl, device, &owner) == CTL_GIVEN_NOT)
		return CTL_OK;
	return own_node(ctl, device, 0);
}
