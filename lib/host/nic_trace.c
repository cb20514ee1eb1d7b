/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A NIC's packets for its trace (lib/trace): what the guest has written when it is read, what the
 * guest is to read before it can; so an answer stands behind its question.
 */
#include "lib/host/nic_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/host/trace_file.h"
#include "lib/vmbus/guid.h"

static struct trace_memory
memory(const struct host_nic *nic)
{
	return (struct trace_memory){
		.recv = nic->recv.base,
		.send = nic->send.base,
		.recv_length = (uint32_t)nic->recv.len,
		.send_length = (uint32_t)nic->send.len,
		.send_section = nic->send_section,
		.page = nic->transport.page,
		.ctx = nic->transport.ctx,
	};
}

void
nic_trace_in(struct host_nic *nic, unsigned int channel, uint32_t total)
{
	const struct vmbus_ring_reader *in = &nic->channels[channel].in;
	struct trace_memory m = memory(nic);

	trace_ring_packet(nic->tap, channel, TRACE_TO_HOST, &in->ring, in->next_r,
		total - VMBUS_TRAILER_SIZE, &m);
}

void
nic_trace_out(struct host_nic *nic, unsigned int channel, const void *packet, uint32_t len)
{
	struct trace_memory m = memory(nic);

	trace_packet(nic->tap, channel, TRACE_TO_GUEST, packet, (len + 7) & ~7u, &m);
}

void
nic_trace_event(struct host_nic *nic, unsigned int channel, bool opened)
{
	struct trace_memory m = memory(nic);

	trace_event(nic->tap, channel, opened ? TRACE_EVENT_OPENED : TRACE_EVENT_CLOSED, &m);
}

/* ---- on and off ---- */

static void
names(const struct host_nic_config *config, const char *what, char name[TRACE_NAME],
	char description[TRACE_NAME])
{
	char guid[VMBUS_GUID_LEN + 1];

	vmbus_guid_format(config->instance, guid);
	guid[VMBUS_GUID_LEN] = '\0';
	snprintf(name, TRACE_NAME, "nic%u%s", config->number, what);
	snprintf(description, TRACE_NAME, "host, %s", guid);
}

int
host_nic_trace(struct host_nic *nic, struct trace *trace, uint32_t snaplen, struct trace **old)
{
	char name[TRACE_NAME], description[TRACE_NAME], *path;
	struct trace_tap *tap = NULL;

	if (trace != NULL) {
		tap = malloc(sizeof(*tap));
		path = strdup(trace_path(trace));
		if (tap == NULL || path == NULL) {
			free(tap);
			free(path);
			return -ENOMEM;
		}
		free(nic->trace_path);
		nic->trace_path = path;
		nic->trace_snaplen = snaplen;
		names(&nic->config, "", name, description);
		trace_tap_init(tap, trace, name, description, snaplen);
	}
	*old = nic->tap == NULL ? NULL : nic->tap->trace;
	free(nic->tap);
	nic->tap = tap;
	nic_lanes_sync(nic);
	return 0;
}

struct trace *
host_nic_traced(const struct host_nic *nic)
{
	return nic->tap == NULL ? NULL : nic->tap->trace;
}

const char *
host_nic_trace_last(const struct host_nic *nic, uint32_t *snaplen)
{
	*snaplen = nic->trace_snaplen;
	return nic->trace_path;
}

void
nic_trace_end(struct host_nic *nic)
{
	struct trace *trace = NULL;

	host_nic_trace(nic, NULL, 0, &trace);
	host_trace_close(trace, TRACE_CLOSE_MS);
	free(nic->trace_path);
}

/* ---- what the configuration asks for ---- */

static int
trace_start(struct host_nic *nic, char *errbuf, size_t errlen)
{
	struct trace *trace, *none;
	int rc;

	if (nic->config.trace[0] == '\0')
		return 0;
	rc = host_trace_open(nic->config.trace, false, &trace, errbuf, errlen);
	if (rc != 0)
		return rc;
	rc = host_nic_trace(nic, trace, nic->config.snaplen, &none);
	if (rc != 0) {
		host_trace_close(trace, TRACE_CLOSE_MS);
		snprintf(errbuf, errlen, "no memory for a trace");
	}
	return rc;
}

/* Put capture= in front of a port, if it is asked for. @param what which port, in its name */
static int
capture(const struct host_nic_config *config, const char *what, struct host_port **port,
	char *errbuf, size_t errlen)
{
	char name[TRACE_NAME], description[TRACE_NAME];
	struct host_port *outer;
	struct trace *trace;
	int rc;

	if (config->capture[0] == '\0')
		return 0;
	rc = host_trace_open(config->capture, false, &trace, errbuf, errlen);
	if (rc != 0)
		return rc;
	names(config, what, name, description);
	outer = port_capture_new(*port, trace, config->snaplen, name, description);
	if (outer == NULL) {
		host_trace_close(trace, TRACE_CLOSE_MS);
		snprintf(errbuf, errlen, "no memory for a capture");
		return -ENOMEM;
	}
	*port = outer;
	return 0;
}

int
host_nic_record(struct host_nic *nic, char *errbuf, size_t errlen)
{
	int rc = host_port_record(nic->port, errbuf, errlen);

	if (rc == 0)
		rc = capture(&nic->config, "", &nic->port, errbuf, errlen);
	if (rc == 0 && nic->vf.port != NULL) {
		rc = host_port_record(nic->vf.port, errbuf, errlen);
		if (rc == 0)
			rc = capture(&nic->config, " vf", &nic->vf.port, errbuf, errlen);
	}
	return rc == 0 ? trace_start(nic, errbuf, errlen) : rc;
}
