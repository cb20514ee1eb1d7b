/* SPDX-License-Identifier: BSD-3-Clause */
#include "app/common/verb.h"

#include <stdio.h>
#include <string.h>

bool
verb_is_late(const char *program, int argc, char *const *argv, const char *const *verbs)
{
	for (; *verbs != NULL; verbs++)
		for (int i = 1; i < argc; i++)
			if (strcmp(argv[i], *verbs) == 0) {
				fprintf(stderr,
					"%s: '%s' is the first word, before all options: %s %s --help\n",
					program, *verbs, program, *verbs);
				return true;
			}
	return false;
}
