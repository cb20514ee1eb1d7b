/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/host/trace_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/host/log.h"

struct trace_file {
	struct trace_file *next;
	struct trace *trace;
	unsigned int users;
	dev_t device;
	ino_t inode;
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
add(const char *path, struct trace **trace, char *errbuf, size_t errlen)
{
	const struct trace_options options = {
		.path = path, .application = "hyperpoll host", .complain = complain};
	struct trace_file *f = calloc(1, sizeof(*f));
	struct stat st;
	int rc;

	if (f == NULL)
		return -ENOMEM;
	rc = trace_open(&f->trace, &options, errbuf, errlen);
	if (rc != 0) {
		free(f);
		return rc;
	}
	if (stat(path, &st) == 0) {
		f->device = st.st_dev;
		f->inode = st.st_ino;
	}
	f->users = 1;
	f->next = files;
	files = f;
	*trace = f->trace;
	return 0;
}

int
host_trace_open(const char *path, struct trace **trace, char *errbuf, size_t errlen)
{
	struct trace_file *f;
	int rc = 0;

	pthread_mutex_lock(&lock);
	f = find(path);
	if (f != NULL) {
		f->users++;
		*trace = f->trace;
	} else {
		rc = add(path, trace, errbuf, errlen);
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

bool
host_trace_close(struct trace *trace, unsigned int ms)
{
	struct trace_file **at, *f = NULL;

	if (trace == NULL)
		return true;
	pthread_mutex_lock(&lock);
	for (at = &files; *at != NULL && (*at)->trace != trace; at = &(*at)->next)
		;
	if (*at != NULL && --(*at)->users == 0) {
		f = *at;
		*at = f->next;
	}
	pthread_mutex_unlock(&lock);
	if (f == NULL)
		return true;
	free(f);
	return trace_close_within(trace, ms);
}
