/* SPDX-License-Identifier: BSD-3-Clause */
#include "app/common/printed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int
printed(FILE *f)
{
	if (fflush(f) != 0)
		return -errno;
	/* A long text goes out at once, and when that fails there is nothing left to flush. */
	return ferror(f) != 0 ? -EIO : 0;
}

int
printed_status(const char *program, int status)
{
	int rc = printed(stdout);

	if (rc == 0 || status != 0)
		return status;
	fprintf(stderr, "%s: cannot write the output: %s\n", program, strerror(-rc));
	return EXIT_FAILURE;
}
