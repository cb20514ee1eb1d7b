/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Open descriptors of this process, for tests that nothing stays open. Any thread. */
#ifndef HP_TEST_DESCRIPTORS_H
#define HP_TEST_DESCRIPTORS_H

#include <dirent.h>
#include <stddef.h>

/** How many there are, always with the same few more. */
static inline unsigned int
count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (dir != NULL && readdir(dir) != NULL)
		n++;
	if (dir != NULL)
		closedir(dir);
	return n;
}

#endif
