/* SPDX-License-Identifier: BSD-3-Clause */
/** @file What a program prints has arrived, or its exit status is not 0. Any thread. */
#ifndef HP_COMMON_PRINTED_H
#define HP_COMMON_PRINTED_H

#include <stdio.h>

/**
 * Write what @p f still holds.
 * @return 0, or a negative errno: something of all that went there is lost (-EIO: its reason, too)
 */
int printed(FILE *f);

/**
 * The end of a program that prints to standard output.
 * @param status its exit status so far
 * @return it, but 1 in the place of 0 when something is lost, after a sentence on standard error
 */
int printed_status(const char *program, int status);

#endif
