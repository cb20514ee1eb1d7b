/* SPDX-License-Identifier: BSD-3-Clause */
/* Port "sink": takes everything the guest sends and verifies what came from a generator. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/host/port_spec.h"
#include "lib/host/verify.h"

#define SINK_FLOWS 8192u

/* What other threads take of it, each its own. */
struct sink_part {
	_Alignas(128) struct host_port port;
	struct host_port_stats stats;
	struct verifier_part *verifier; /* NULL: verify=none */
};

struct port_sink {
	struct host_port port;
	struct host_port_stats stats;
	struct verifier *verifier; /* NULL: verify=none */
	unsigned int n;		   /* parts, from 1 on; 0: one thread's */
	struct sink_part *part;
};

static void
sink_send(struct host_port *port, const struct host_frame *frames, unsigned int n)
{
	struct port_sink *sink = (struct port_sink *)port;

	if (sink->verifier != NULL)
		verifier_frames(sink->verifier, frames, n);
	port_count_sent(&sink->stats, frames, n);
}

static int
sink_fd(struct host_port *port)
{
	return -1;
}

static uint64_t
sink_deadline(struct host_port *port)
{
	return UINT64_MAX;
}

static void
sink_stats(struct host_port *port, struct host_port_stats *stats)
{
	struct port_sink *sink = (struct port_sink *)port;

	*stats = sink->stats;
	if (sink->verifier != NULL)
		verifier_stats(sink->verifier, stats);
}

/* ---- parts ---- */

static void
part_send(struct host_port *port, const struct host_frame *frames, unsigned int n)
{
	struct sink_part *part = (struct sink_part *)port;

	if (part->verifier != NULL)
		verifier_part_frames(part->verifier, frames, n);
	port_count_sent(&part->stats, frames, n);
}

static void
part_stats(struct host_port *port, struct host_port_stats *stats)
{
	struct sink_part *part = (struct sink_part *)port;

	*stats = part->stats;
	if (part->verifier != NULL)
		verifier_part_stats(part->verifier, stats);
}

static bool
part_full(struct host_port *port)
{
	struct sink_part *part = (struct sink_part *)port;

	return part->verifier != NULL && verifier_part_full(part->verifier);
}

/* The sink frees all. */
static void
part_close(struct host_port *port)
{
}

static const struct host_port_ops part_ops = {
	.kind = "sink",
	.send = part_send,
	.fd = sink_fd,
	.deadline = sink_deadline,
	.stats = part_stats,
	.close = part_close,
	.full = part_full,
	.in_place = true,
};

static void
sink_unsplit(struct port_sink *sink)
{
	for (unsigned int k = 1; k < sink->n; k++)
		verifier_part_destroy(sink->part[k].verifier);
	free(sink->part);
	sink->part = NULL;
	sink->n = 0;
}

static int
sink_split(struct host_port *port, struct host_port **others, unsigned int n)
{
	struct port_sink *sink = (struct port_sink *)port;

	sink->part = aligned_alloc(_Alignof(struct sink_part), n * sizeof(sink->part[0]));
	if (sink->part == NULL)
		return -ENOMEM;
	memset(sink->part, 0, n * sizeof(sink->part[0]));
	sink->n = n;
	for (unsigned int k = 1; k < n; k++) {
		sink->part[k].port.ops = &part_ops;
		others[k] = &sink->part[k].port;
		if (sink->verifier == NULL)
			continue;
		sink->part[k].verifier = verifier_part_create(sink->verifier);
		if (sink->part[k].verifier == NULL) {
			sink_unsplit(sink);
			return -ENOMEM;
		}
	}
	return 0;
}

static unsigned int
sink_gather(struct host_port *port)
{
	struct port_sink *sink = (struct port_sink *)port;
	unsigned int work = 0;

	for (unsigned int k = 1; sink->verifier != NULL && k < sink->n; k++)
		work += verifier_gather(sink->verifier, sink->part[k].verifier);
	return work;
}

static bool
sink_left(struct host_port *port)
{
	struct port_sink *sink = (struct port_sink *)port;

	for (unsigned int k = 1; sink->verifier != NULL && k < sink->n; k++)
		if (verifier_part_left(sink->part[k].verifier))
			return true;
	return false;
}

/* ---- life ---- */

static void
sink_close(struct host_port *port)
{
	struct port_sink *sink = (struct port_sink *)port;

	sink_unsplit(sink);
	verifier_destroy(sink->verifier);
	free(sink);
}

static const struct host_port_ops sink_ops = {
	.kind = "sink",
	.send = sink_send,
	.fd = sink_fd,
	.deadline = sink_deadline,
	.stats = sink_stats,
	.close = sink_close,
	.split = sink_split,
	.gather = sink_gather,
	.left = sink_left,
	.in_place = true,
};

int
port_sink_open(const char *args, const uint8_t mac[6], struct host_port **port,
	const struct port_error *error)
{
	static const char *const keys[] = {"flows", "verify", NULL};
	uint64_t flows = SINK_FLOWS;
	uint32_t sample = 1;
	struct port_sink *sink;
	struct port_spec spec;
	const char *value;
	int key, rc = port_spec_init(&spec, "sink", args, keys, error);

	if (rc != 0)
		return rc;
	while ((key = port_spec_next(&spec, &value)) >= 0) {
		rc = key == 0 ? port_spec_number(&spec, key, value, 1, 2 * GEN_FLOWS_MAX, &flows)
			      : port_spec_verify(&spec, value, &sample);
		if (rc != 0)
			return rc;
	}
	if (key != -ENODATA)
		return key;
	if (port == NULL)
		return 0;
	sink = calloc(1, sizeof(*sink));
	if (sink != NULL && sample != 0)
		sink->verifier = verifier_create((uint32_t)flows);
	if (sink == NULL || (sample != 0 && sink->verifier == NULL)) {
		free(sink);
		return port_fail(error, -ENOMEM, "port sink: out of memory for flows=%llu",
			(unsigned long long)flows);
	}
	if (sink->verifier != NULL)
		verifier_sample(sink->verifier, sample);
	sink->port.ops = &sink_ops;
	*port = &sink->port;
	return 0;
}
