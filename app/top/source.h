/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Where the samples of a live view come from (hvsim's control socket, a DPDK application's
 * telemetry), and the loop that shows them. One thread.
 */
#ifndef HP_TOP_SOURCE_H
#define HP_TOP_SOURCE_H

#include <json-c/json.h>
#include <stddef.h>

#include "app/top/model.h"

struct top_source {
	void *ctx;
	const char *program; /**< in front of messages: "hvsim top" */
	const char *title;   /**< what is looked at */
	const char *keys;    /**< help for key(), "" none */
	/**
	 * Fill in all but at_ns. Waits for the peer no longer than its own deadline.
	 * @return 0, or a negative errno with a sentence
	 */
	int (*poll)(void *ctx, struct top_sample *sample, char *errbuf, size_t errlen);
	/**
	 * A key that the loop has no use for, for one NIC. May be NULL.
	 * @return 0: not one of ours; 1: done, @p what says what; negative errno, @p what says why
	 * not
	 */
	int (*key)(void *ctx, const struct top_nic *nic, int key, char *what, size_t size);
};

struct top_options {
	unsigned int interval_ms; /**< between samples */
	bool once;		  /**< two samples, one page, the end */
	bool takes_prefix;	  /**< set before parsing: there is --file-prefix */
	const char *file_prefix;  /**< NULL: none was given */
	bool json;		  /**< one line of JSON for each sample instead of pages */
};

/**
 * Take --interval, --once, --json and --help from the words argv[1..argc).
 * @param options zero but for takes_prefix
 * @param usage   printed by --help
 * @param others  how many words may be left, in argv[1..]
 * @return -1 go on, *argc words left; otherwise the exit status, everything has been printed
 */
int top_options_parse(
	struct top_options *options, int *argc, char **argv, const char *usage, int others);

/** Show until the user leaves. @return exit status */
int top_run(const struct top_source *source, const struct top_options *options);

/** A sample as a JSON object with rates and the events since the @p seen th. */
struct json_object *top_json(const struct top_model *model, uint64_t seen, double unix_time);

#endif
