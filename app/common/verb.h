/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Verbs of a command line: the first word, as their options are their own. */
#ifndef HP_COMMON_VERB_H
#define HP_COMMON_VERB_H

#include <stdbool.h>

/**
 * Of a command line that is wrong: say so on standard error when one of these verbs stands in it
 * behind something else, as in "hvsim --json ctl stats".
 * @param verbs  NULL-terminated
 * @return whether it did
 */
bool verb_is_late(const char *program, int argc, char *const *argv, const char *const *verbs);

#endif
