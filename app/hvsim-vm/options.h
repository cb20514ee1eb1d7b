/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * hvsim-vm's command line. Everything that can be checked without KVM is checked before /dev/kvm
 * is touched. Main thread only.
 */
#ifndef HVSIM_VM_OPTIONS_H
#define HVSIM_VM_OPTIONS_H

#include <stdbool.h>

#include "app/hvsim-vm/kvm.h"
#include "app/hvsim-vm/nics.h"
#include "lib/host/privileges.h"

/** Exit status of a wrong command line. */
#define OPTIONS_USAGE 2

struct options {
	struct vm_options vm;
	struct host_nic_config nic[NICS_MAX];
	unsigned int n_nics;
	const char *control;
	struct privileges_user user;	/**< --user */
	const char *scenario_path;	/**< --scenario; NULL: none */
	struct host_scenario *scenario; /**< of that, for who parsed it to free */
	bool exit_after_scenario;
	const char *trace;     /**< of NICs that have none of their own; NULL: none */
	bool check;	       /**< --check: only say what KVM lacks */
	bool json, rings;      /**< of reports, and of --check */
	unsigned int interval; /**< --stats-interval, seconds; 0: none */
	char append[VM_CMDLINE_MAX];
};

/**
 * Parse the command line. What is wrong, --help and --version have been printed.
 * @return exit status, or -1 to go on
 */
int options_parse(struct options *options, int argc, char **argv);

#endif
