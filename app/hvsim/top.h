/* SPDX-License-Identifier: BSD-3-Clause */
/** @file hvsim top: the live view as a client of the control socket. One thread. */
#ifndef HVSIM_TOP_H
#define HVSIM_TOP_H

#include <json-c/json.h>

#include "app/top/model.h"

/**
 * The NICs of an answer to "stats". What is missing, or of another type, is left out: the host may
 * be older or newer.
 * @return how many, at most TOP_NICS
 */
unsigned int top_parse_stats(struct json_object *answer, struct top_sample *sample);
/** Occupancy of an answer to "rings" of one NIC. */
void top_parse_rings(struct json_object *answer, struct top_nic *nic);

/** "top [OPTION]... [SOCKET]", argv[0] being "top". @return exit status */
int hvsim_top(int argc, char **argv);

#endif
