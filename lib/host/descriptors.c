/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/host/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>

/* What Linux has when nobody changed it. */
#define LIMIT_DEFAULT 1024u

uint64_t
descriptors_limit(void)
{
	struct rlimit r = {.rlim_cur = LIMIT_DEFAULT, .rlim_max = LIMIT_DEFAULT};

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &r) != 0)
			getrlimit(RLIMIT_NOFILE, &r);
	}
	return r.rlim_cur;
}

int
descriptors_check(unsigned int need, char *errbuf, size_t errlen)
{
	uint64_t limit = descriptors_limit();
	unsigned int left = 0;

	/* Numbers that who started us has left open are not to be had. */
	for (uint64_t fd = 0; fd < limit && left < need; fd++)
		left += fcntl((int)fd, F_GETFD) < 0;
	if (left == need)
		return 0;
	snprintf(errbuf, errlen,
		"%u file descriptors are needed and %u are free: raise the limit (ulimit -Hn, now "
		"%llu), or give fewer NICs",
		need, left, (unsigned long long)limit);
	return -EMFILE;
}

void
descriptors_wait(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	if (poll(&p, 1, -1) < 0)
		poll(NULL, 0, 1);
}
