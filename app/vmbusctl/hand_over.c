/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The helper that hands over subchannels' rings; see give.h. It keeps the device's folder open from
 * the start, so that it can only ever reach files of this one device: should another appear under
 * the same name, the folder it holds is empty.
 */
#include "app/vmbusctl/hand_over.h"
#include "app/vmbusctl/processes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The driver waits 2 s for a ring that is not his yet. */
#define LOOK_MS 100
#define NOBODY	65534

/* Everything but changing owners goes; as user nobody, so that root's files are not its own. */
static bool
drop_privileges(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}, {0}};
	const struct rlimit none = {0, 0};
	int cap;

	for (cap = 0; cap < 64; cap++)
		if (cap != CAP_CHOWN && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EINVAL)
			return false;
	data[CAP_TO_INDEX(CAP_CHOWN)].effective = CAP_TO_MASK(CAP_CHOWN);
	data[CAP_TO_INDEX(CAP_CHOWN)].permitted = CAP_TO_MASK(CAP_CHOWN);
	return setrlimit(RLIMIT_CORE, &none) == 0 && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0 &&
	       setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0 &&
	       setresuid(NOBODY, NOBODY, NOBODY) == 0 && syscall(SYS_capset, &header, data) == 0 &&
	       prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

/* Away from the terminal and the folder it was started in; no descriptor but its own. */
static void
detach(int keep[3])
{
	int null, i;

	setsid();
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (chdir("/") < 0)
		_exit(1);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (i = 0; i < 3; i++)
		dup2(null, i);
	/* Out of the way first, so that none takes another's place among 3, 4, 5. */
	for (i = 0; i < 3; i++)
		keep[i] = fcntl(keep[i], F_DUPFD_CLOEXEC, 6);
	for (i = 0; i < 3; i++)
		keep[i] = dup3(keep[i], 3 + i, O_CLOEXEC);
	ctl_close_from(6);
}

static bool
is_ours(int folder)
{
	char target[256];
	const char *slash;
	ssize_t n = readlinkat(folder, "driver", target, sizeof(target) - 1);

	if (n <= 0)
		return false;
	target[n] = '\0';
	slash = strrchr(target, '/');
	return strcmp(slash == NULL ? target : slash + 1, VMBUS_UIO_DRIVER) == 0;
}

static void
hand_over_ring(int channels, const char *relid, uid_t uid)
{
	int channel = openat(channels, relid, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), ring;
	struct stat st;

	if (channel < 0)
		return;
	ring = openat(channel, "ring", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	close(channel);
	if (ring < 0)
		return;
	/*
	 * Of one name only: a second one would be somebody's link to it. If it cannot be given, the
	 * next look tries again: nobody hears what a helper says.
	 */
	if (fstat(ring, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 && st.st_uid != uid)
		(void)!fchownat(ring, "", uid, (gid_t)-1, AT_EMPTY_PATH);
	close(ring);
}

static void
hand_over_rings(int folder, uid_t uid)
{
	int channels = openat(folder, "channels", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = channels < 0 ? NULL : fdopendir(channels);
	struct dirent *entry;
	uint32_t relid;

	if (d == NULL) {
		if (channels >= 0)
			close(channels);
		return;
	}
	while ((entry = readdir(d)) != NULL)
		if (vmbus_parse_u32(entry->d_name, VMBUS_RELID_MAX, &relid) == 0 && relid != 0)
			hand_over_ring(channels, entry->d_name, uid);
	closedir(d);
}

void
ctl_helper_text(uid_t uid, const struct stat *folder, char text[CTL_HELPER_TEXT_MAX])
{
	snprintf(text, CTL_HELPER_TEXT_MAX, "%u %llu:%llu\n", (unsigned int)uid,
		(unsigned long long)folder->st_dev, (unsigned long long)folder->st_ino);
}

static bool
write_text(int lock, uid_t uid, int folder)
{
	char text[CTL_HELPER_TEXT_MAX];
	struct stat st;

	if (fstat(folder, &st) < 0)
		return false;
	ctl_helper_text(uid, &st, text);
	return pwrite(lock, text, strlen(text), 0) == (ssize_t)strlen(text);
}

void
ctl_hand_over(const struct vmbus_sysfs *fs, const char *device, uid_t uid, int lock, int ready)
{
	const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
	char path[VMBUS_SYSFS_PATH_MAX], one = 1;
	int kept[3] = {lock, ready, -1};
	struct stat st;

	snprintf(path, sizeof(path), "%s/bus/vmbus/devices/%s", fs->sys, device);
	kept[2] = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (kept[2] < 0)
		_exit(1);
	detach(kept);
	if (!drop_privileges() || !is_ours(kept[2]) || !write_text(kept[0], uid, kept[2]) ||
		write(kept[1], &one, 1) != 1)
		_exit(1);
	close(kept[1]);
	while (fstat(kept[0], &st) == 0 && st.st_nlink > 0 && is_ours(kept[2])) {
		hand_over_rings(kept[2], uid);
		nanosleep(&pause, NULL);
	}
	_exit(0);
}
