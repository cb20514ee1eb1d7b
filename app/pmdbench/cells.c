/* SPDX-License-Identifier: BSD-3-Clause */
/* Which cells are measured. */
#include <errno.h>
#include <string.h>

#include "app/pmdbench/cells.h"
#include "lib/vmbus/number.h"

/* Enough that each of many queues gets some. */
#define FLOWS_PER_QUEUE 64u
#define MANY_FLOWS	100000u

const char *const cells_help =
	"  steer  rx, tx, fwd; 64 and 1514 bytes; bursts of 32 and 1 (default)\n"
	"  host   the simulated host: generate, discard, generate and verify\n"
	"  quick  the cells with goals: PPIs, burst 1, across cores, many queues, idle polls,\n"
	"         receive offloads\n"
	"  full   all sizes, bursts, PPIs, queues, flows, IMIX, and across cores\n";

#define LIST(...)                                                                                  \
	{                                                                                          \
		sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t),                              \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}
#define ALL_OPS LIST(BENCH_RX, BENCH_TX, BENCH_FWD)
#define TELLING LIST(BENCH_ALL, BENCH_TYPES)

static const struct cells_lists steer[] = {
	{.op = ALL_OPS, .size = LIST(64, 1514), .burst = LIST(32, 1)},
};
#define HOST_OPS LIST(BENCH_HOST_GEN, BENCH_HOST_SINK, BENCH_HOST_VERIFY)
static const struct cells_lists host[] = {
	{.op = HOST_OPS, .size = LIST(64, 1514)},
};
static const struct cells_lists quick[] = {
	{.op = ALL_OPS, .size = LIST(64, 1514)},
	{.op = LIST(BENCH_RX, BENCH_FWD), .size = LIST(64), .ppis = LIST(2)},
	{.op = LIST(BENCH_FWD), .size = LIST(64), .burst = LIST(1)},
	{.op = LIST(BENCH_FWD), .size = LIST(64), .cross = LIST(1)},
	{.op = LIST(BENCH_IDLE), .size = LIST(64)},
	{.op = LIST(BENCH_RX), .size = LIST(64), .ppis = LIST(0, 2), .offloads = TELLING},
	{.op = ALL_OPS, .size = LIST(64), .offloads = LIST(BENCH_OTHERS)},
	{.op = HOST_OPS, .size = LIST(64)},
	{.op = LIST(BENCH_FWD), .size = LIST(64), .queues = LIST(4, 16)},
	{.op = LIST(BENCH_IDLE), .size = LIST(64), .queues = LIST(16)},
};
static const struct cells_lists full[] = {
	{.op = ALL_OPS,
		.size = LIST(64, 128, 256, 512, 1024, 1514, BENCH_SIZE_IMIX),
		.burst = LIST(1, 4, 8, 32, 64)},
	{.op = LIST(BENCH_RX, BENCH_FWD),
		.size = LIST(64, 1514),
		.burst = LIST(1, 32),
		.ppis = LIST(1, 2)},
	{.op = ALL_OPS, .size = LIST(64, 1514), .burst = LIST(1, 32), .cross = LIST(1)},
	{.op = LIST(BENCH_RX, BENCH_FWD), .size = LIST(64, 1514), .flows = LIST(MANY_FLOWS)},
	{.op = LIST(BENCH_IDLE), .size = LIST(64)},
	{.op = LIST(BENCH_RX, BENCH_FWD),
		.size = LIST(64, 1514),
		.burst = LIST(1, 32),
		.ppis = LIST(0, 1, 2),
		.offloads = TELLING},
	{.op = ALL_OPS, .size = LIST(64, 1514), .offloads = LIST(BENCH_OTHERS)},
	{.op = HOST_OPS, .size = LIST(64, 1514, BENCH_SIZE_IMIX), .burst = LIST(1, 32)},
	{.op = ALL_OPS, .size = LIST(64, 1514), .queues = LIST(4, 16)},
	{.op = LIST(BENCH_IDLE), .size = LIST(64), .queues = LIST(4, 16)},
};

#define SET(name)                                                                                  \
	{                                                                                          \
#name, name, sizeof(name) / sizeof((name)[0])                                      \
	}

int
cells_set(struct cells *cells, const char *name)
{
	static const struct {
		const char *name;
		const struct cells_lists *lists;
		unsigned int n;
	} sets[] = {SET(steer), SET(host), SET(quick), SET(full)};

	for (unsigned int i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		if (strcmp(sets[i].name, name) != 0)
			continue;
		for (unsigned int k = 0; k < sets[i].n; k++)
			if (cells_product(cells, &sets[i].lists[k]) != 0)
				return -E2BIG;
		return 0;
	}
	return -ENOENT;
}

/* Cut the next word of a list off. */
static const char *
next_word(const char **text, char word[32])
{
	size_t len;

	if (*text == NULL)
		return NULL;
	len = strcspn(*text, ",");
	if (len >= 32)
		len = 31;
	memcpy(word, *text, len);
	word[len] = '\0';
	*text = (*text)[len] == ',' ? *text + len + 1 : NULL;
	return word;
}

static int
list_add(struct cells_list *list, uint32_t value)
{
	if (list->n == sizeof(list->value) / sizeof(list->value[0]))
		return -EINVAL;
	list->value[list->n++] = value;
	return 0;
}

static int
parse_names(struct cells_list *list, const char *const *names, uint32_t n, const char *text)
{
	const char *word;
	char buffer[32];
	uint32_t i;

	while ((word = next_word(&text, buffer)) != NULL) {
		for (i = 0; i < n && strcmp(word, names[i]) != 0; i++)
			;
		if (i == n || list_add(list, i) != 0)
			return -EINVAL;
	}
	return 0;
}

int
cells_parse_ops(struct cells_list *list, const char *text)
{
	return parse_names(list, bench_op_names, BENCH_OPS, text);
}

int
cells_parse_offloads(struct cells_list *list, const char *text)
{
	return parse_names(list, bench_offload_names, BENCH_OFFLOADS, text);
}

int
cells_parse(struct cells_list *list, const char *text, uint32_t min, uint32_t max)
{
	const char *word;
	char buffer[32];
	uint64_t value;

	while ((word = next_word(&text, buffer)) != NULL) {
		if (strcmp(word, "imix") == 0 && min != 0 && max > 1000 && max < 10000)
			value = BENCH_SIZE_IMIX;
		else if (number_parse(word, NUMBER_PLAIN, min, max, &value) != 0)
			return -EINVAL;
		if (list_add(list, (uint32_t)value) != 0)
			return -EINVAL;
	}
	return 0;
}

/* A list that was not given has its usual value. */
static struct cells_list
or_usual(const struct cells_list *list, uint32_t usual)
{
	return list->n != 0 ? *list : (struct cells_list){1, {usual}};
}

/* Digit of the counter @p index whose base is the list's length; moves on to the next digit. */
static uint32_t
pick(const struct cells_list *list, unsigned int *index)
{
	uint32_t value = list->value[*index % list->n];

	*index /= list->n;
	return value;
}

/* Does another subject serve the cell, of those that come later? */
static bool
comes_later(const struct bench_cell *cell, const struct bench_cell *than)
{
	return cell->queues != than->queues ? cell->queues > than->queues
					    : cell->offloads > than->offloads;
}

/* Beside its like: subjects are started once for as many queues with the same offloads. */
static int
cells_add(struct cells *cells, const struct bench_cell *cell)
{
	unsigned int i, at = cells->n;

	for (i = 0; i < cells->n; i++)
		if (memcmp(&cells->cell[i], cell, sizeof(*cell)) == 0)
			return 0;
	if (cells->n == CELLS_MAX)
		return -E2BIG;
	while (at > 0 && comes_later(&cells->cell[at - 1], cell))
		at--;
	memmove(&cells->cell[at + 1], &cells->cell[at], (cells->n - at) * sizeof(*cell));
	cells->cell[at] = *cell;
	cells->n++;
	return 0;
}

int
cells_product(struct cells *cells, const struct cells_lists *lists)
{
	const struct cells_list op = or_usual(&lists->op, BENCH_FWD);
	const struct cells_list size = or_usual(&lists->size, 64);
	const struct cells_list burst = or_usual(&lists->burst, 32);
	const struct cells_list ppis = or_usual(&lists->ppis, 0);
	const struct cells_list queues = or_usual(&lists->queues, 1);
	const struct cells_list flows = or_usual(&lists->flows, 1);
	const struct cells_list cross = or_usual(&lists->cross, 0);
	const struct cells_list offloads = or_usual(&lists->offloads, BENCH_NONE);
	unsigned int n = op.n * size.n * burst.n * ppis.n * queues.n * flows.n * cross.n, i, at;
	int rc = 0;

	n *= offloads.n;
	for (i = 0; i < n && rc == 0; i++) {
		struct bench_cell cell;

		/* All of it, padding too: cells are compared as memory. */
		memset(&cell, 0, sizeof(cell));
		at = i;
		cell.cross = pick(&cross, &at) != 0;
		cell.flows = pick(&flows, &at);
		cell.ppis = pick(&ppis, &at);
		cell.burst = pick(&burst, &at);
		cell.size = pick(&size, &at);
		cell.op = (enum bench_op)pick(&op, &at);
		cell.queues = pick(&queues, &at);
		cell.offloads = (enum bench_offloads)pick(&offloads, &at);
		if (bench_channels(cell.queues, cell.offloads) > 1 &&
			cell.flows < FLOWS_PER_QUEUE * cell.queues)
			cell.flows = FLOWS_PER_QUEUE * cell.queues;
		rc = cells_add(cells, &cell);
	}
	return rc;
}
