/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Scenarios: commands of the control socket with times, from a file. One line is one of
 *
 *     TIME COMMAND [NIC] [KEY=VALUE]...
 *     every PERIOD [from TIME] [to TIME] COMMAND [NIC] [KEY=VALUE]...
 *     wait [within TIME] NIC KEY=VALUE|KEY>=VALUE
 *     TIME end
 *
 * TIME is in seconds (1.5) or with a unit (200ms, 3s, 2min), since the start or the "wait" before;
 * +TIME counts from the line before. "wait" lets what is above it finish, then waits until the
 * statistics of a NIC say so. What is behind # is a comment.
 *
 * No clock of its own: who owns it says what time it is. One thread.
 */
#ifndef HP_HOST_SCENARIO_H
#define HP_HOST_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct host_scenario;

/**
 * Read a scenario for a host with @p nics NICs.
 * @return 0 and *scenario, or a negative errno with a sentence that begins "FILE:LINE: "
 */
int host_scenario_load(struct host_scenario **scenario, const char *path, unsigned int nics,
	char *errbuf, size_t errlen);
/** NULL is allowed. */
void host_scenario_free(struct host_scenario *scenario);

/** Time 0 is now. */
void host_scenario_start(struct host_scenario *scenario, uint64_t now_ns);
/** When host_scenario_run() is due: monotonic ns, UINT64_MAX = never (it has ended). */
uint64_t host_scenario_deadline(const struct host_scenario *scenario);

/**
 * Do what is due, in the order of its times; a bounded number of commands, so that other things
 * have their turn. A command that fails is logged, and the scenario goes on; a "wait" that comes to
 * nothing ends it. Its end is logged.
 * @param execute one request line of the control socket; the answer's line, to be freed, or NULL
 */
void host_scenario_run(struct host_scenario *scenario, uint64_t now_ns,
	char *(*execute)(void *ctx, const char *request), void *ctx);

bool host_scenario_ended(const struct host_scenario *scenario);
/** Commands that failed, and waits that came to nothing. */
unsigned int host_scenario_failures(const struct host_scenario *scenario);

#endif
