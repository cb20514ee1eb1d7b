/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Colour in what people read. */
#ifndef HP_COMMON_COLOUR_H
#define HP_COMMON_COLOUR_H

#include <stdbool.h>

enum colour { COLOUR_GOOD, COLOUR_NOTE, COLOUR_WARN, COLOUR_BAD, COLOUR_END };

/** May colour be used on descriptor @p fd? A terminal that has it, and NO_COLOR is not set. */
bool colour_wanted(int fd);

/** What switches to a colour and, with COLOUR_END, back; "" unless @p on. */
const char *colour(bool on, enum colour which);

#endif
