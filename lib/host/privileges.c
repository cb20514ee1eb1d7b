/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/host/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/vmbus/number.h"

/* All but -1, which the calls take for "leave it". */
#define ID_MAX (UINT32_MAX - 1)

static int
parse_user(const char *text, struct privileges_user *user, bool *has_gid)
{
	const struct passwd *pw = getpwnam(text);
	uint64_t id;

	if (pw == NULL && number_parse(text, NUMBER_PLAIN, 0, ID_MAX, &id) == 0) {
		user->uid = (uid_t)id;
		pw = getpwuid(user->uid);
	} else if (pw == NULL) {
		return -EINVAL;
	}
	*has_gid = pw != NULL;
	if (pw != NULL) {
		user->uid = pw->pw_uid;
		user->gid = pw->pw_gid;
	}
	return 0;
}

static int
parse_group(const char *text, struct privileges_user *user)
{
	const struct group *gr = getgrnam(text);
	uint64_t id;

	if (gr != NULL)
		user->gid = gr->gr_gid;
	else if (number_parse(text, NUMBER_PLAIN, 0, ID_MAX, &id) == 0)
		user->gid = (gid_t)id;
	else
		return -EINVAL;
	return 0;
}

int
privileges_parse(const char *text, struct privileges_user *user, char *errbuf, size_t errlen)
{
	const char *colon = strchr(text, ':');
	size_t len = colon != NULL ? (size_t)(colon - text) : strlen(text);
	bool has_gid = false;

	*user = (struct privileges_user){.set = true};
	if (len == 0 || len >= sizeof(user->name)) {
		snprintf(errbuf, errlen, "needs NAME or NAME:GROUP");
		return -EINVAL;
	}
	memcpy(user->name, text, len);
	if (parse_user(user->name, user, &has_gid) != 0) {
		snprintf(errbuf, errlen, "there is no user '%s'", user->name);
		return -EINVAL;
	}
	if (colon != NULL && parse_group(colon + 1, user) != 0) {
		snprintf(errbuf, errlen, "there is no group '%s'", colon + 1);
		return -EINVAL;
	}
	if (colon == NULL && !has_gid) {
		snprintf(errbuf, errlen,
			"user %s has no account that tells its group; give %s:GROUP", user->name,
			user->name);
		return -EINVAL;
	}
	if (user->uid == 0) {
		snprintf(errbuf, errlen, "that is root; name the user to run as");
		return -EINVAL;
	}
	return 0;
}

/* Is there nothing to become? A service manager may have seen to it. */
static bool
is_already(const struct privileges_user *user)
{
	uid_t r, e, s;
	gid_t gr, ge, gs;

	return getresuid(&r, &e, &s) == 0 && getresgid(&gr, &ge, &gs) == 0 && r == user->uid &&
	       e == user->uid && s == user->uid && gr == user->gid && ge == user->gid &&
	       gs == user->gid;
}

int
privileges_check(const struct privileges_user *user, char *errbuf, size_t errlen)
{
	if (!user->set || geteuid() == 0 || is_already(user))
		return 0;
	snprintf(errbuf, errlen,
		"cannot become user %s: this is user %u, and only root can; start as root or as that "
		"user, or leave out --user",
		user->name, (unsigned int)geteuid());
	return -EPERM;
}

int
privileges_no_new(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : -errno;
}

static int
become(const struct privileges_user *user)
{
	/* The user last: who is not root any more cannot change groups. */
	if (setgroups(1, &user->gid) != 0 || setresgid(user->gid, user->gid, user->gid) != 0 ||
		setresuid(user->uid, user->uid, user->uid) != 0)
		return -errno;
	return 0;
}

/* They go with root by themselves, but those that a service manager gave to a user do not. */
static int
drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

	return syscall(SYS_capset, &header, none) == 0 ? 0 : -errno;
}

int
privileges_drop(const struct privileges_user *user, char *errbuf, size_t errlen)
{
	int rc;

	if (!user->set)
		return 0;
	rc = is_already(user) ? 0 : become(user);
	if (rc != 0) {
		snprintf(errbuf, errlen, "cannot become user %s: %s", user->name, strerror(-rc));
		return rc;
	}
	rc = drop_capabilities();
	if (rc != 0)
		snprintf(errbuf, errlen, "cannot give up capabilities: %s", strerror(-rc));
	return rc;
}
