/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Subjects as the first process sees them: start, ask, stop. Every wait has a deadline.
 */
#ifndef PMDBENCH_PROCESS_H
#define PMDBENCH_PROCESS_H

#include <sys/types.h>

#include "app/pmdbench/pmdbench.h"

/** What all subjects of a run share. */
struct process_options {
	const char *dir; /**< private folder; each subject gets one in it */
	const char *plugin, *rig;
	int cpu, host_cpu;
	bool verbose; /**< their messages are shown */
};

struct process {
	enum bench_pmd pmd;
	pid_t pid; /**< 0: not running */
	int fd;
	bool counts;	    /**< under callgrind */
	unsigned int dumps; /**< that callgrind has written */
	char dir[160];
};

/**
 * Start the subject for @p pmd with as many queue pairs and the offloads of @p cell, and wait until
 * its port is up.
 * @param count run it under callgrind, for BENCH_COUNT
 * @return 0 or a negative errno with a sentence
 */
int process_start(struct process *process, const struct process_options *options,
	enum bench_pmd pmd, const struct bench_cell *cell, bool count, char *errbuf, size_t errlen);
/** Ask and wait for the answer. A subject that is gone or silent is an error in the reply. */
void process_ask(
	struct process *process, const struct bench_request *request, struct bench_reply *reply);
void process_stop(struct process *process);
/** How the names of files that are kept end. */
#define PROCESS_KEPT ".callgrind"

/**
 * Instructions in the counted functions of the last BENCH_COUNT, which was of @p cell and @p
 * frames.
 * @param keep folder to keep callgrind's file in, under the cell's name, where none is yet; or NULL
 * @return 0, -EEXIST there is one, or a negative errno
 */
int process_instructions(struct process *process, const char *keep, const struct bench_cell *cell,
	uint64_t frames, uint64_t *instructions);

#endif
