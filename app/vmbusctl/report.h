/* SPDX-License-Identifier: BSD-3-Clause */
/** @file vmbusctl report: what report.c and report_traffic.c share. One thread. */
#ifndef HP_VMBUSCTL_REPORT_H
#define HP_VMBUSCTL_REPORT_H

#include "app/vmbusctl/ctl.h"

/** Words of one command of the traffic test. */
#define TRAFFIC_WORDS 40
struct traffic_run {
	const char *name; /**< of its file */
	/** Between two adapters: says what addresses they have; empty for one adapter. */
	const char *look[TRAFFIC_WORDS];
	const char *words[TRAFFIC_WORDS]; /**< the test; both are NULL-terminated */
	char text[8][96];		  /**< what the words are made of */
};

/**
 * Bounded runs of testpmd: two free adapters on uio_hv_generic send to each other and count what
 * arrives, one sends; with hyperpoll, and with DPDK's own driver where that is installed.
 * @param why why there are none, when there are none
 * @return how many, 0 to 2
 */
unsigned int traffic_plan(struct ctl *ctl, struct traffic_run runs[2], const char **why);

/** Take the adapters' addresses from what @a look printed. @return false: they are not there */
bool traffic_addresses(struct traffic_run *run, const char *printed);

/** What was sent by each of two adapters and arrived at the other one, a line for each way. */
void traffic_summary(const char *printed, char *text, size_t size);

#endif
