/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/host/file_claim.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct file_claim *claims;

/* One that is closed may have been removed, and its inode be another file's by now. */
static bool
is_gone(const struct file_claim *c)
{
	struct stat st;

	if (c->path == NULL)
		return false;
	if (stat(c->path, &st) != 0)
		return errno == ENOENT || errno == ENOTDIR;
	return st.st_dev != c->device || st.st_ino != c->inode;
}

static void
add(struct file_claim *claim, const struct stat *st, const char *what)
{
	claim->device = st->st_dev;
	claim->inode = st->st_ino;
	claim->what = what;
	claim->next = claims;
	claims = claim;
}

int
file_claim_written(struct file_claim *claim, int fd, const char *what, const char **who)
{
	const struct file_claim *c;
	struct stat st;
	int rc = 0;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return 0;
	pthread_mutex_lock(&lock);
	for (c = claims; c != NULL; c = c->next)
		if (c->device == st.st_dev && c->inode == st.st_ino && !is_gone(c))
			break;
	if (c == NULL) {
		add(claim, &st, what);
	} else {
		*who = c->what;
		rc = -EBUSY;
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

int
file_claim_read(struct file_claim *claim, int fd, const char *path, const char *what)
{
	struct stat st;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return 0;
	claim->path = strdup(path);
	if (claim->path == NULL)
		return -ENOMEM;
	pthread_mutex_lock(&lock);
	add(claim, &st, what);
	pthread_mutex_unlock(&lock);
	return 0;
}

void
file_claim_end(struct file_claim *claim)
{
	struct file_claim **at;

	pthread_mutex_lock(&lock);
	for (at = &claims; *at != NULL; at = &(*at)->next)
		if (*at == claim) {
			*at = claim->next;
			break;
		}
	pthread_mutex_unlock(&lock);
	free(claim->path);
	*claim = (struct file_claim){0};
}
