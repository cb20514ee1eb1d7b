/* SPDX-License-Identifier: BSD-3-Clause */
/** @file vmbusctl report: what report.c and report_traffic.c share. One thread. */
#ifndef HP_VMBUSCTL_REPORT_H
#define HP_VMBUSCTL_REPORT_H

#include "app/vmbusctl/ctl.h"

/** Words of one command of the traffic test. */
#define TRAFFIC_WORDS 40
struct traffic_run {
	const char *name;		  /**< of its file */
	const char *words[TRAFFIC_WORDS]; /**< NULL-terminated */
	char text[8][96];		  /**< what the words are made of */
};

/**
 * Bounded runs of testpmd: frames from one free adapter on uio_hv_generic to another one, or to
 * itself; with hyperpoll, and with DPDK's own driver where that is installed.
 * @param why why there are none, when there are none
 * @return how many, 0 to 2
 */
unsigned int traffic_plan(struct ctl *ctl, struct traffic_run runs[2], const char **why);

#endif
