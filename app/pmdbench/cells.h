/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Which cells are measured: sets by name, and lists from the command line. Plain data.
 */
#ifndef PMDBENCH_CELLS_H
#define PMDBENCH_CELLS_H

#include <stddef.h>

#include "app/pmdbench/pmdbench.h"

#define CELLS_MAX 512u

struct cells {
	unsigned int n;
	struct bench_cell cell[CELLS_MAX];
};

/** Values of one property, for the product of all. */
struct cells_list {
	unsigned int n;
	uint32_t value[16];
};
struct cells_lists {
	struct cells_list op, size, burst, ppis, queues, flows, cross, offloads;
};

/** Names of the sets with a line of help each. */
extern const char *const cells_help;

/** @return 0, or -ENOENT: no set of that name */
int cells_set(struct cells *cells, const char *name);
/** Parse "64,1514,imix", "rx,fwd", "none,all". @return 0 or -EINVAL */
int cells_parse_ops(struct cells_list *list, const char *text);
int cells_parse_offloads(struct cells_list *list, const char *text);
int cells_parse(struct cells_list *list, const char *text, uint32_t min, uint32_t max);
/** Add the product of all lists; an empty one has its usual value. @return 0 or -E2BIG */
int cells_product(struct cells *cells, const struct cells_lists *lists);

#endif
