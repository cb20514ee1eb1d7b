/* SPDX-License-Identifier: BSD-3-Clause */
/* The rounds in which subjects take turns, and the counts under callgrind. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/pmdbench/rounds.h"

/* So many that what a driver does now and then, such as freeing what was sent, averages out. */
#define COUNT_TURNS  256u
#define COUNT_FRAMES 8192u

static void
result_fail(struct result *result, const struct bench_reply *reply)
{
	result->present = false;
	snprintf(result->error, sizeof(result->error), "%s",
		reply->error[0] != '\0' ? reply->error : strerror(-reply->rc));
}

/* Every byte of a few turns. */
static void
check_cell(struct process *process, struct result_row *row)
{
	const struct bench_request check = {BENCH_CHECK, row->cell, 0};
	struct result *result = &row->pmd[process->pmd];
	struct bench_reply reply;

	process_ask(process, &check, &reply);
	result->present = reply.rc == 0;
	if (reply.rc != 0)
		result_fail(result, &reply);
}

/* One round of one subject. @return ticks per frame, negative when it failed */
static double
one_round(struct process *process, const struct rounds_options *o, struct result_row *row)
{
	const struct bench_request request = {BENCH_TIME, row->cell, o->frames};
	struct bench_reply reply;

	process_ask(process, &request, &reply);
	if (reply.rc == 0)
		return (double)reply.ticks / (double)reply.frames;
	result_fail(&row->pmd[process->pmd], &reply);
	return -1;
}

/* Check a cell on all subjects, then let them take turns. */
static void
time_cell(struct process *subjects, const struct rounds_options *o, struct result_row *row)
{
	static double samples[BENCH_PMDS][ROUNDS_MAX];
	unsigned int round, i, p;

	for (p = 0; p < BENCH_PMDS; p++)
		if (subjects[p].pid != 0)
			check_cell(&subjects[p], row);
	for (round = 0; round < o->rounds; round++)
		for (i = 0; i < BENCH_PMDS; i++) {
			p = (round + i) % BENCH_PMDS;
			if (row->pmd[p].present)
				samples[p][round] = one_round(&subjects[p], o, row);
		}
	for (p = 0; p < BENCH_PMDS; p++)
		if (row->pmd[p].present)
			result_quartiles(&row->pmd[p], samples[p], o->rounds);
}

static void
count_cell(struct process *process, const struct rounds_options *o, struct result_row *row)
{
	uint64_t turns = (uint64_t)COUNT_TURNS * row->cell.burst * row->cell.queues;
	const struct bench_request request = {
		BENCH_COUNT, row->cell, turns > COUNT_FRAMES ? turns : COUNT_FRAMES};
	struct result *result = &row->pmd[process->pmd];
	struct bench_reply reply;
	uint64_t n = 0;

	check_cell(process, row);
	if (!result->present)
		return;
	process_ask(process, &request, &reply);
	if (reply.rc == 0) {
		reply.rc = process_instructions(process, o->keep, &row->cell, reply.frames, &n);
		if (reply.rc != 0)
			snprintf(reply.error, sizeof(reply.error),
				"callgrind's count could not be read%s: %s",
				o->keep != NULL ? ", or its file not kept" : "",
				strerror(-reply.rc));
	}
	if (reply.rc != 0)
		result_fail(result, &reply);
	else
		result->instructions = (double)n / (double)reply.frames;
}

/* @return 0, or 1 when it does not start though it should */
static unsigned int
start(struct process *process, const struct rounds_options *o, unsigned int p,
	const struct bench_cell *cell, bool count)
{
	char err[256] = "";
	int rc;

	memset(process, 0, sizeof(*process));
	if (!o->pmd[p] || (count && !o->count[p]) ||
		(cell->offloads == BENCH_OTHERS && !bench_pmd_is_ours(p)))
		return 0;
	rc = process_start(process, o->process, p, cell, count, err, sizeof(err));
	if (rc == 0)
		return 0;
	fprintf(stderr, "pmdbench: %s with %u queues%s does not start: %s\n", bench_pmd_names[p],
		cell->queues, count ? " under callgrind" : "",
		err[0] != '\0' ? err : strerror(-rc));
	return 1;
}

static unsigned int
time_all(const struct rounds_options *o, struct result_row *rows, unsigned int n, bool counts)
{
	struct process subjects[BENCH_PMDS];
	unsigned int p, i, failed = 0;

	for (p = 0; p < BENCH_PMDS; p++)
		failed += start(&subjects[p], o, p, &rows[0].cell, false);
	for (i = 0; i < n; i++) {
		time_cell(subjects, o, &rows[i]);
		if (!counts)
			result_line(stdout, &rows[i]);
	}
	for (p = 0; p < BENCH_PMDS; p++)
		process_stop(&subjects[p]);
	return failed;
}

static unsigned int
count_all(const struct rounds_options *o, struct result_row *rows, unsigned int n)
{
	struct process counter;
	unsigned int p, i, failed = 0;

	for (p = 0; p < BENCH_PMDS; p++) {
		failed += start(&counter, o, p, &rows[0].cell, true);
		/* Across cores the calls are the same, and a count no other. */
		for (i = 0; i < n && counter.pid != 0; i++)
			if (!rows[i].cell.cross && rows[i].pmd[p].error[0] == '\0')
				count_cell(&counter, o, &rows[i]);
		process_stop(&counter);
	}
	for (i = 0; i < n; i++)
		result_line(stdout, &rows[i]);
	return failed;
}

unsigned int
rounds_run(const struct rounds_options *o, struct result_row *rows, unsigned int n)
{
	unsigned int i, p, failed = 0;
	bool counts = false;

	for (p = 0; p < BENCH_PMDS; p++)
		counts |= o->pmd[p] && o->count[p];
	for (i = 0; i < n; i++)
		for (p = 0; p < BENCH_PMDS; p++)
			rows[i].pmd[p].instructions = -1;
	if (o->rounds != 0)
		failed += time_all(o, rows, n, counts);
	if (counts)
		failed += count_all(o, rows, n);
	for (i = 0; i < n; i++)
		for (p = 0; p < BENCH_PMDS; p++)
			failed += rows[i].pmd[p].error[0] != '\0';
	return failed;
}
