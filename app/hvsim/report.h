/* SPDX-License-Identifier: BSD-3-Clause */
/** @file What hvsim prints. Control thread; the NICs go on. */
#ifndef HVSIM_REPORT_H
#define HVSIM_REPORT_H

#include "app/hvsim/hvsim.h"

/** Where reports go: standard output. */
extern struct output report_output;

/** Lines per second of --stats-interval. @p previous holds the counters of the last call. */
struct hvsim_rates {
	struct host_nic_stats nic[HVSIM_MAX_NICS];
	uint64_t at;
};

/** Per second, on whichever path. */
struct hvsim_flow {
	double rx_frames, rx_bytes, tx_frames, tx_bytes;
};

/** Rates since @p before, which becomes the counters of now. */
void report_flow(const struct hvsim_device *device, struct host_nic_stats *before, uint64_t ns,
	struct hvsim_flow *flow);

/** Where the NICs are. */
void report_start(struct hvsim_device *devices, unsigned int n);
void report_rates(struct hvsim_device *devices, unsigned int n, struct hvsim_rates *previous,
	uint64_t since_start_ns);
void report_totals(struct hvsim_device *devices, unsigned int n);
void report_rings(struct hvsim_device *devices, unsigned int n);

/** The same for scripts, one JSON object per line, with or without the rings. */
void report_json_start(struct hvsim_device *devices, unsigned int n);
void report_json_rates(struct hvsim_device *devices, unsigned int n, struct hvsim_rates *previous,
	uint64_t since_start_ns, bool rings);
void report_json_totals(
	struct hvsim_device *devices, unsigned int n, uint64_t since_start_ns, bool rings);

#endif
