/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What the hosts, hvsim and hvsim-vm, print of their NICs: where they are, rates, totals; for a
 * reader, or as JSON, one object per line. One thread, the owner's; the NICs go on.
 */
#ifndef HP_APP_REPORT_H
#define HP_APP_REPORT_H

#include <json-c/json.h>

#include "lib/host/control.h"
#include "lib/host/output.h"

#define REPORT_NICS 64u

/** What only some hosts have of a NIC. */
struct report_extra {
	const char *socket; /**< NULL: there is none of its own */
	bool has_sessions;
	uint64_t sessions;
};

struct report {
	/** The NICs, and how to look at them: all but the commands. */
	const struct host_control_ops *ops;
	/** NULL: there is nothing more. */
	void (*extra)(void *ctx, unsigned int nic, struct report_extra *extra);
	bool json, rings;

	/* The report's own. */
	bool coloured;
	uint64_t started, at, now; /* monotonic ns: report_start(); rates before, and these */
	struct host_nic_stats previous[REPORT_NICS];
};

/** Where reports go to; open before report_start() and closed at the end by the owner. */
extern struct output report_output;

/** Time begins; with @p tell where the NICs are is said. */
void report_start(struct report *report, bool tell);
/** Rates since the last ones. */
void report_rates(struct report *report);
/** What there was in all. */
void report_totals(struct report *report);

/* ---- between report.c and report_json.c ---- */

/** Per second, on whichever path. */
struct report_flow {
	double rx_frames, rx_bytes, tx_frames, tx_bytes;
};

/** Rates of a NIC since the last ones; what there is now is kept for the next. */
void report_flow(struct report *report, unsigned int nic, const struct host_nic_stats *now,
	struct report_flow *flow);
/** Let the status of a NIC be that of now, whoever has to wait for it. */
void report_exact(const struct report *report, unsigned int nic);
struct report_extra report_extra(const struct report *report, unsigned int nic);
double report_seconds(const struct report *report);

void report_json_start(struct report *report);
void report_json_rates(struct report *report);
void report_json_totals(struct report *report);

#endif
