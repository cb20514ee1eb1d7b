/* SPDX-License-Identifier: BSD-3-Clause */
/* Port "sink": takes everything the guest sends and verifies what came from a generator. */
#include <errno.h>
#include <stdlib.h>

#include "lib/host/port_spec.h"
#include "lib/host/verify.h"

#define SINK_FLOWS 8192u

struct port_sink {
	struct host_port port;
	struct host_port_stats stats;
	struct verifier *verifier; /* NULL: verify=none */
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

static void
sink_close(struct host_port *port)
{
	struct port_sink *sink = (struct port_sink *)port;

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
