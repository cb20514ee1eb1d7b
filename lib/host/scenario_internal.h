/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Between scenario_parse.c (the file) and scenario.c (its run). Owns nothing. */
#ifndef HP_HOST_SCENARIO_INTERNAL_H
#define HP_HOST_SCENARIO_INTERNAL_H

#include "lib/host/scenario.h"

#define SCENARIO_NEVER UINT64_MAX

enum scenario_kind { SCENARIO_COMMAND, SCENARIO_WAIT, SCENARIO_END };

struct scenario_step {
	enum scenario_kind kind;
	unsigned int line;
	unsigned int phase;  /**< counts the waits above; a wait is the first of its phase */
	uint64_t at, period; /**< ns in its phase; period 0: once */
	uint64_t until;	     /**< last time of a period */
	uint64_t next;	     /**< SCENARIO_NEVER: done */
	char *request;	     /**< of a command; "stats" of a wait */
	char *text;	     /**< as it was written */
	char *key, *value;   /**< of a wait */
	bool at_least;	     /**< the wait's >= */
	uint64_t least;	     /**< its number */
	uint64_t within;     /**< ns that a wait may take */
};

struct host_scenario {
	char *path;
	struct scenario_step *steps;
	unsigned int n;
	/* Of the run. */
	unsigned int phase, executed, failures;
	bool ended;
	const struct scenario_step *wait; /**< what the phase waits for; NULL: not, or no longer */
	uint64_t started, origin;	  /**< monotonic ns: of the scenario, of the phase */
	uint64_t look;			  /**< monotonic ns: when a wait looks again */
};

#endif
