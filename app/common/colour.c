/* SPDX-License-Identifier: BSD-3-Clause */
#include "app/common/colour.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Terminals without colour whose descriptions are old and common. */
static bool
has_colour(const char *term)
{
	return term != NULL && term[0] != '\0' && strcmp(term, "dumb") != 0 &&
	       strncmp(term, "vt", 2) != 0;
}

bool
colour_wanted(int fd)
{
	const char *no = getenv("NO_COLOR");

	/* Any value that is not empty (no-color.org). */
	return isatty(fd) && (no == NULL || no[0] == '\0') && has_colour(getenv("TERM"));
}

const char *
colour(bool on, enum colour which)
{
	static const char *const codes[] = {
		[COLOUR_GOOD] = "\033[32m",
		[COLOUR_NOTE] = "\033[36m",
		[COLOUR_WARN] = "\033[33m",
		[COLOUR_BAD] = "\033[31m",
		[COLOUR_END] = "\033[0m",
	};

	return on ? codes[which] : "";
}
