/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A rate that changes with time: steps of a rate, or of a rate that grows or falls evenly. Private
 * to lib/host/port_gen.c; on the NIC's thread.
 */
#ifndef HP_HOST_RATE_PROFILE_H
#define HP_HOST_RATE_PROFILE_H

#include <stdint.h>

#include "lib/host/port_spec.h"

#define RATE_STEPS_MAX 32u

/** Frames per second; @a to is where it gets to in @a ns. */
struct rate_step {
	uint64_t from, to, ns;
};

/** All zero: none. */
struct rate_profile {
	struct rate_step step[RATE_STEPS_MAX];
	uint32_t n, at;
	uint64_t begun; /* of step @a at; 0: not yet */
};

/**
 * Parse the value of rate=: "PPS" alone is no profile and goes to @p rate, else steps
 * "PPS:TIME" or "PPS-PPS:TIME" with "/" between them; the last PPS stays, with or without TIME.
 * @return 0, or -EINVAL with a sentence
 */
int rate_profile_parse(const struct port_spec *spec, const char *value,
	struct rate_profile *profile, uint64_t *rate);

/**
 * What the rate is at @p now.
 * @param left nanoseconds until it will be another one, UINT64_MAX: it stays
 */
uint64_t rate_profile_at(struct rate_profile *profile, uint64_t now, uint64_t *left);

#endif
