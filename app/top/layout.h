/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The lines of the live view for a terminal of some size; nothing of a terminal itself. screen.c
 * draws them, --once prints them, tests read them. One thread.
 */
#ifndef HP_TOP_LAYOUT_H
#define HP_TOP_LAYOUT_H

#include "app/top/model.h"

#define TOP_COLUMNS 256u
#define TOP_ROWS    128u

/** How a line is to stand out; a terminal without colour uses what else it has. */
enum top_look {
	TOP_PLAIN,
	TOP_HEADER,
	TOP_SELECTED,
	TOP_GOOD,
	TOP_WARN,
	TOP_BAD,
	TOP_DIM,
};

struct top_line {
	enum top_look look;
	char text[TOP_COLUMNS];
};

struct top_page {
	unsigned int rows, columns;
	struct top_line line[TOP_ROWS];
};

struct top_view {
	const char *title;     /**< what is looked at */
	const char *keys;      /**< last line; NULL: none */
	const char *trouble;   /**< why there is no newer sample; "" or NULL: there is */
	unsigned int selected; /**< of the sample's NICs */
	bool interactive;      /**< mark what is selected */
	time_t when;
};

/**
 * Lay the model out. @p rows and @p columns are those of the terminal, bounded by TOP_ROWS and
 * TOP_COLUMNS; every line is shorter than @p columns + 1. With rows 0 the page is as long as what
 * there is to say.
 */
void top_layout(const struct top_model *model, const struct top_view *view, unsigned int rows,
	unsigned int columns, struct top_page *page);

#endif
