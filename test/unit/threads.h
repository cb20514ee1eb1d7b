/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * How many threads this program has. One that was joined may be seen for a moment, and one on a
 * busy machine be left behind: threads_become() waits.
 */
#ifndef HP_TEST_THREADS_H
#define HP_TEST_THREADS_H

#include <dirent.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

#define THREADS_WAIT_S 60

static unsigned int threads_of_an_emulator; /* qemu's user mode has one of its own */

static inline unsigned int
threads_seen(void)
{
	DIR *tasks = opendir("/proc/self/task");
	unsigned int n = 0;
	struct dirent *e;

	while (tasks != NULL && (e = readdir(tasks)) != NULL)
		n += e->d_name[0] != '.';
	if (tasks != NULL)
		closedir(tasks);
	return n;
}

__attribute__((constructor)) static void
threads_at_start(void)
{
	threads_of_an_emulator = threads_seen() - 1;
}

static inline unsigned int
threads(void)
{
	return threads_seen() - threads_of_an_emulator;
}

static inline bool
threads_become(unsigned int n)
{
	time_t until = time(NULL) + THREADS_WAIT_S;

	while (threads() != n && time(NULL) < until)
		usleep(1000);
	return threads() == n;
}

#endif
