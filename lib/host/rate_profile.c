/* SPDX-License-Identifier: BSD-3-Clause */
/* Rates that change with time. */
#include <errno.h>
#include <string.h>

#include "lib/host/rate_profile.h"
#include "lib/vmbus/number.h"

#define RATE_MAX    UINT64_C(1000000000)
#define SECONDS_MAX 86400u
#define NS_PER_MS   UINT64_C(1000000)
/* How often a ramp moves. */
#define RAMP_NS (10 * NS_PER_MS)

static int
rate_take(const char **at, uint64_t *rate)
{
	if (number_take(at, NUMBER_KMG_1000, rate) != 0 || *rate == 0 || *rate > RATE_MAX)
		return -EINVAL;
	return 0;
}

/* Seconds, or milliseconds with "ms". */
static int
time_take(const char **at, uint64_t *ns)
{
	uint64_t n;

	if (number_take(at, NUMBER_PLAIN, &n) != 0 || n == 0 || n > SECONDS_MAX * 1000u)
		return -EINVAL;
	if (strncmp(*at, "ms", 2) == 0) {
		*at += 2;
		*ns = n * NS_PER_MS;
		return 0;
	}
	*at += **at == 's';
	*ns = n * 1000 * NS_PER_MS;
	return n <= SECONDS_MAX ? 0 : -EINVAL;
}

static int
step_take(const char **at, struct rate_step *step)
{
	int rc = rate_take(at, &step->from);

	step->to = step->from;
	if (rc == 0 && **at == '-') {
		(*at)++;
		rc = rate_take(at, &step->to);
	}
	if (rc != 0 || **at != ':')
		/* Only the last one may be without a time, and then it cannot be a ramp. */
		return rc != 0 || **at != '\0' || step->to != step->from ? -EINVAL : 0;
	(*at)++;
	return time_take(at, &step->ns);
}

int
rate_profile_parse(const struct port_spec *spec, const char *value, struct rate_profile *profile,
	uint64_t *rate)
{
	const char *at = value;
	int rc = 0;

	if (number_parse(value, NUMBER_KMG_1000, 0, RATE_MAX, rate) == 0)
		return 0;
	while (rc == 0 && profile->n < RATE_STEPS_MAX) {
		rc = step_take(&at, &profile->step[profile->n++]);
		if (rc == 0 && *at == '\0')
			return 0;
		if (rc == 0 && *at++ != '/')
			break;
	}
	return port_fail(spec->error, -EINVAL,
		"port %s: rate=%s is neither a number of frames per second, 0 to 1000000000, nor up to %u "
		"steps PPS:SECONDS or PPS-PPS:SECONDS with '/' between them (5 or 500ms), the last "
		"without SECONDS if it is to stay",
		spec->kind, value, RATE_STEPS_MAX);
}

uint64_t
rate_profile_at(struct rate_profile *profile, uint64_t now, uint64_t *left)
{
	const struct rate_step *s;
	uint64_t gone;
	double part;

	if (profile->begun == 0)
		profile->begun = now;
	for (;; profile->at++) {
		s = &profile->step[profile->at];
		gone = now - profile->begun;
		if (gone < s->ns)
			break;
		if (profile->at + 1 == profile->n) {
			*left = UINT64_MAX;
			return s->to;
		}
		profile->begun += s->ns;
	}
	*left = s->ns - gone;
	if (s->from != s->to && *left > RAMP_NS)
		*left = RAMP_NS;
	/* Both products and their difference are exact enough, and never 0: no rate is. */
	part = (double)gone / (double)s->ns;
	return (uint64_t)((double)s->from * (1 - part) + (double)s->to * part + 0.5);
}
