/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The rounds in which subjects take turns, and the counts under callgrind. First process.
 */
#ifndef PMDBENCH_ROUNDS_H
#define PMDBENCH_ROUNDS_H

#include "app/pmdbench/process.h"
#include "app/pmdbench/result.h"

#define ROUNDS_MAX 1000u

struct rounds_options {
	bool pmd[BENCH_PMDS];	/**< who takes part */
	unsigned int rounds;	/**< at most ROUNDS_MAX; 0: no clock */
	uint32_t frames;	/**< of a round, at least */
	bool count[BENCH_PMDS]; /**< whose instructions are counted, of those who take part */
	const char *keep;	/**< folder for callgrind's files, or NULL */
	const struct process_options *process;
};

/**
 * Measure @p n > 0 rows whose cells all have the same number of queues; prints a line for each.
 * @return how much failed: subjects that did not start, cells that went wrong
 */
unsigned int rounds_run(
	const struct rounds_options *options, struct result_row *rows, unsigned int n);

#endif
