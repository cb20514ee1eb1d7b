/* SPDX-License-Identifier: BSD-3-Clause */
/** @file vmbusctl doctor: what its checks share. One struct report per run; one thread. */
#ifndef HP_VMBUSCTL_DOCTOR_H
#define HP_VMBUSCTL_DOCTOR_H

#include "app/vmbusctl/ctl.h"

enum verdict { OK, NOTE, WARN, FAIL };

struct report {
	struct ctl *ctl;
	struct json_object *checks; /**< NULL: text */
	bool colour;		    /**< of the text */
	unsigned int count[FAIL + 1];
	struct ctl_version kernel;
	bool has_kernel;
	char release[128];
};

/** One finding; `fix` is a command or advice, NULL when there is nothing to do. */
void doctor_find(struct report *r, enum verdict verdict, const char *check, const char *fix,
	const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* doctor_kernel.c */

/** The kernel is known to be older than that. */
bool doctor_before(const struct report *r, unsigned int major_number, unsigned int minor_number);
/** The kernel signals the host for a subchannel without monitor bit, or is unknown. */
bool doctor_signals_subchannels(const struct report *r);
void doctor_check_kernel(struct report *r);

/* doctor_vf.c */

/** Virtual functions: which path packets will take. */
void doctor_check_functions(struct report *r);

/* doctor_user.c */

/** What users without privileges need. */
void doctor_check_users(struct report *r);

#endif
