/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What came of a run, and how it is shown. Plain data of the first process.
 */
#ifndef PMDBENCH_RESULT_H
#define PMDBENCH_RESULT_H

#include <stdio.h>

#include "app/pmdbench/pmdbench.h"

/** Of one driver in one cell. Costs are ticks per frame, per poll with BENCH_IDLE. */
struct result {
	bool present;		     /**< measured; else nothing below means anything */
	unsigned int rounds;	     /**< 0: only instructions */
	double lower, median, upper; /**< quartiles of the rounds */
	double instructions;	     /**< per frame; negative: not counted */
	char error[256];	     /**< why it is not present; empty: not asked for */
};

struct result_row {
	struct bench_cell cell;
	struct result pmd[BENCH_PMDS];
};

/** Quartiles of @p n > 0 samples, which are sorted on the way. */
void result_quartiles(struct result *result, double *samples, unsigned int n);
/** Before all else, also to see how busy the machine is; then a line for each row as it comes. */
void result_header(FILE *out);
void result_line(FILE *out, const struct result_row *row);
/** @return 0 or a negative errno, and in @p why what is the matter with the file */
int result_json(const char *path, const struct result_row *rows, unsigned int n, const char **why);

#endif
