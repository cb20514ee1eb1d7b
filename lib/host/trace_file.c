/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/host/trace_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/host/file_claim.h"
#include "lib/host/log.h"

struct trace_file {
	struct trace_file *next;
	struct trace *trace;
	unsigned int users; /* 0: it ends, or its writer was left behind */
	dev_t device;
	ino_t inode;
	struct file_claim claim;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct trace_file *files;

static void
complain(const char *what)
{
	log_line("%s", what);
}

/* A file by whatever name; who gives what is no file means it by its name. */
static struct trace_file *
find(const char *path)
{
	struct trace_file *f;
	struct stat st;

	if (stat(path, &st) != 0)
		return NULL;
	for (f = files; f != NULL; f = f->next)
		if (f->device == st.st_dev && f->inode == st.st_ino)
			break;
	return f;
}

static int
permit(void *ctx, int fd, const char **why)
{
	struct trace_file *f = ctx;
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -errno;
	f->device = st.st_dev;
	f->inode = st.st_ino;
	return file_claim_written(&f->claim, fd, "a trace or capture goes into it", why);
}

/* Its writer has ended, and the file is closed: it can be opened again. */
static void
end(struct trace_file *f)
{
	struct trace_file **at;

	pthread_mutex_lock(&lock);
	for (at = &files; *at != f; at = &(*at)->next)
		;
	*at = f->next;
	pthread_mutex_unlock(&lock);
	file_claim_end(&f->claim);
	free(f);
}

static void
gone(void *ctx)
{
	end(ctx);
}

static int
add(const char *path, bool append, struct trace **trace, char *errbuf, size_t errlen)
{
	struct trace_file *f = calloc(1, sizeof(*f));
	const struct trace_options options = {.path = path,
		.application = "hyperpoll host",
		.complain = complain,
		.permit = permit,
		.gone = gone,
		.ctx = f,
		.append = append};
	int rc;

	if (f == NULL) {
		snprintf(errbuf, errlen, "no memory for a trace to %s", path);
		return -ENOMEM;
	}
	rc = trace_open(&f->trace, &options, errbuf, errlen);
	if (rc != 0) {
		file_claim_end(&f->claim);
		free(f);
		return rc;
	}
	f->users = 1;
	f->next = files;
	files = f;
	*trace = f->trace;
	return 0;
}

int
host_trace_open(const char *path, bool append, struct trace **trace, char *errbuf, size_t errlen)
{
	struct trace_file *f;
	int rc = 0;

	pthread_mutex_lock(&lock);
	f = find(path);
	if (f == NULL) {
		rc = add(path, append, trace, errbuf, errlen);
	} else if (f->users == 0) {
		snprintf(errbuf, errlen,
			"cannot write a trace to %s: the one before is not written to its end, for "
			"the file does not take it; wait until it is, or give another file",
			path);
		rc = -EBUSY;
	} else {
		f->users++;
		*trace = f->trace;
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

bool
host_trace_close(struct trace *trace, unsigned int ms)
{
	struct trace_file *f;
	bool last = false;

	if (trace == NULL)
		return true;
	pthread_mutex_lock(&lock);
	for (f = files; f != NULL && f->trace != trace; f = f->next)
		;
	if (f != NULL)
		last = --f->users == 0;
	pthread_mutex_unlock(&lock);
	if (!last)
		return true;
	if (!trace_close_within(trace, ms))
		return false; /* ... and gone() is called some time */
	end(f);
	return true;
}
