/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/host/file_open.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
may_wait(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) != 0 ? -errno : 0;
}

/* A read that does not wait tells what poll() does not of a pipe that was just opened. */
static bool
has_writer(FILE *f)
{
	int c = getc(f);
	bool yes = !feof(f);

	if (c != EOF)
		ungetc(c, f);
	clearerr(f);
	return yes;
}

/* Of a file that is open. Returns NULL: it can be read to an end. */
static const char *
not_to_be_read(FILE *f, mode_t mode)
{
	if (S_ISREG(mode) || (S_ISCHR(mode) && isatty(fileno(f))))
		return NULL;
	if (!S_ISFIFO(mode))
		return "it is a device";
	return has_writer(f) ? NULL : "it is a pipe to which nobody writes";
}

FILE *
file_open_read(const char *path, const char **why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), rc;
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	const char *refused = NULL;
	struct stat st;

	if (f == NULL || fstat(fd, &st) != 0)
		rc = -errno;
	else if (S_ISDIR(st.st_mode))
		rc = -EISDIR;
	else if ((refused = not_to_be_read(f, st.st_mode)) != NULL)
		rc = -EINVAL;
	else
		rc = may_wait(fd);
	if (rc == 0)
		return f;
	*why = refused != NULL ? refused : strerror(-rc);
	if (f != NULL)
		fclose(f);
	else if (fd >= 0)
		close(fd);
	errno = -rc;
	return NULL;
}

int
file_open_write(const char *path, const char **why)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0666), rc;
	bool refused;
	struct stat st;

	/* ENXIO: a FIFO that nobody reads, or a socket. */
	refused = fd < 0 && errno == ENXIO;
	if (fd < 0 || fstat(fd, &st) != 0) {
		rc = -errno;
	} else {
		refused = !S_ISREG(st.st_mode) && (!S_ISCHR(st.st_mode) || isatty(fd));
		rc = refused ? -EINVAL : may_wait(fd);
	}
	if (rc == 0)
		return fd;
	*why = refused ? "it is no file but a pipe, socket or terminal, which may take no more; name "
			 "a file"
		       : strerror(-rc);
	if (fd >= 0)
		close(fd);
	return rc;
}
