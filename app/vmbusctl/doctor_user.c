/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmbusctl doctor: what a user without privileges needs: the adapter that root gave him, huge pages
 * he may map, and memory he may lock. Of whoever runs this, or, for root, of those who were given
 * an adapter.
 */
#include "app/vmbusctl/doctor.h"
#include "app/vmbusctl/functions.h"
#include "app/vmbusctl/give.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEMLOCK_ENOUGH (64ull << 20)

/* Of another user only owner and mode are known, not his groups. */
static bool
may_write(const char *path, const struct ctl_owner *user)
{
	struct stat st;

	if (user->uid == geteuid())
		return access(path, W_OK) == 0;
	return stat(path, &st) == 0 && ((st.st_uid == user->uid && (st.st_mode & S_IWUSR) != 0) ||
					       (st.st_mode & S_IWOTH) != 0);
}

static void
check_mounts(struct report *r, const struct ctl_owner *user)
{
	char path[VMBUS_SYSFS_PATH_MAX], line[1024], where[512], type[32], fix[256];
	unsigned int mounted = 0, writable = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/mounts", r->ctl->fs.proc);
	f = fopen(path, "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "%*s %511s %31s", where, type) != 2 ||
			strcmp(type, "hugetlbfs") != 0)
			continue;
		snprintf(path, sizeof(path), "%s%s", r->ctl->root, where);
		mounted++;
		writable += may_write(path, user);
	}
	if (f != NULL)
		fclose(f);
	snprintf(fix, sizeof(fix),
		"give EAL --in-memory, or: mount -t hugetlbfs -o uid=%u,mode=0700 none "
		"/mnt/huge-%.64s, and --huge-dir",
		(unsigned int)user->uid, user->name);
	if (mounted > 0 && writable == 0)
		doctor_find(r, WARN, "user", fix, "%s may not write to any mounted hugetlbfs",
			user->name);
}

static void
check_memlock(struct report *r, const struct ctl_owner *user)
{
	struct ctl_function list[CTL_FUNCTIONS_MAX];
	bool himself = user->uid == geteuid();
	struct rlimit limit = {0, 0};
	char fix[256], now[64] = "";

	/* What pins memory is the function's driver; the synthetic path copies. */
	if (ctl_functions(r->ctl, false, list) == 0)
		return;
	if (himself && getrlimit(RLIMIT_MEMLOCK, &limit) == 0) {
		if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= MEMLOCK_ENOUGH)
			return;
		snprintf(now, sizeof(now), " and is %llu KiB now",
			(unsigned long long)limit.rlim_cur / 1024);
	}
	snprintf(fix, sizeof(fix),
		"echo '%.64s - memlock unlimited' > /etc/security/limits.d/hyperpoll.conf and log in "
		"again; in a unit: LimitMEMLOCK=infinity",
		user->name);
	doctor_find(r, NOTE, "user", fix,
		"RLIMIT_MEMLOCK of %s must cover all memory of the application for the PMD of a "
		"virtual function, which pins it%s",
		user->name, now);
}

static void
check_given(struct report *r, const struct vmbus_sysfs_device *d, enum ctl_given given,
	const struct ctl_owner *owner)
{
	char check[VMBUS_SYSFS_NAME_MAX + 4], fix[VMBUS_SYSFS_NAME_MAX + 128];

	snprintf(check, sizeof(check), "nic %s", d->name);
	snprintf(fix, sizeof(fix), "vmbusctl bind %s --user %s", d->name, owner->name);
	if (given == CTL_GIVEN_UNHELPED)
		doctor_find(r, WARN, check, fix,
			"is %s's, but nothing hands its subchannels' rings over: he can use one queue",
			owner->name);
	else
		doctor_find(r, OK, check, NULL, "is %s's%s", owner->name,
			given == CTL_GIVEN_HELPED ? ", with a helper for its subchannels" : "");
}

void
doctor_check_users(struct report *r)
{
	struct ctl_owner seen = {0}, owner;
	enum ctl_given given;
	char number[16];
	size_t i;

	if (geteuid() != 0) {
		snprintf(number, sizeof(number), "%u", (unsigned int)geteuid());
		if (ctl_find_user(number, &seen) == CTL_OK) {
			check_mounts(r, &seen);
			check_memlock(r, &seen);
		}
	}
	for (i = 0; i < r->ctl->n_devices; i++) {
		given = ctl_given_to(r->ctl, &r->ctl->devices[i], &owner);
		if (given == CTL_GIVEN_NOT || !ctl_is_nic(&r->ctl->devices[i]))
			continue;
		check_given(r, &r->ctl->devices[i], given, &owner);
		if (owner.uid == seen.uid)
			continue;
		seen = owner;
		check_mounts(r, &owner);
		check_memlock(r, &owner);
	}
}
