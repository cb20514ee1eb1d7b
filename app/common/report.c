/* SPDX-License-Identifier: BSD-3-Clause */
/* Reports for a reader, and what they have in common with those in JSON. */
#include "app/common/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/common/colour.h"
#include "lib/vmbus/clock.h"
#include "lib/vmbus/guid.h"

struct output report_output;

/* A report is made in memory and then handed over whole. */
static FILE *out;
static char *text;
static size_t text_len;

/* ---- in common ---- */

double
report_seconds(const struct report *r)
{
	return (double)(monotonic_ns() - r->started) / 1e9;
}

struct report_extra
report_extra(const struct report *r, unsigned int nic)
{
	struct report_extra extra = {.socket = NULL};

	if (r->extra != NULL)
		r->extra(r->ops->ctx, nic, &extra);
	return extra;
}

void
report_exact(const struct report *r, unsigned int nic)
{
	if (r->ops->lock != NULL)
		r->ops->lock(r->ops->ctx, nic);
	host_nic_publish(r->ops->nic(r->ops->ctx, nic));
	if (r->ops->unlock != NULL)
		r->ops->unlock(r->ops->ctx, nic);
}

static unsigned int
nics(const struct report *r)
{
	return r->ops->nics(r->ops->ctx);
}

static double
rate(uint64_t now, uint64_t before, double seconds)
{
	return seconds > 0 ? (double)(now - before) / seconds : 0;
}

void
report_flow(struct report *report, unsigned int nic, const struct host_nic_stats *now,
	struct report_flow *flow)
{
	struct host_nic_stats *before = &report->previous[nic];
	double seconds = (double)(report->now - report->at) / 1e9;

	flow->rx_frames = rate(now->rx_frames + now->vf_rx_frames,
		before->rx_frames + before->vf_rx_frames, seconds);
	flow->rx_bytes = rate(
		now->rx_bytes + now->vf_rx_bytes, before->rx_bytes + before->vf_rx_bytes, seconds);
	flow->tx_frames = rate(now->tx_frames + now->vf_tx_frames,
		before->tx_frames + before->vf_tx_frames, seconds);
	flow->tx_bytes = rate(
		now->tx_bytes + now->vf_tx_bytes, before->tx_bytes + before->vf_tx_bytes, seconds);
	*before = *now;
}

/* ---- for a reader ---- */

static bool
report_begin(void)
{
	out = open_memstream(&text, &text_len);
	return out != NULL;
}

static void
report_end(void)
{
	if (fclose(out) == 0)
		output_put(&report_output, text, text_len);
	free(text);
	text = NULL;
}

static void
print_ports(const struct host_nic_config *config)
{
	if (config->vf_port[0] != '\0')
		fprintf(out, " vf-port=%s", config->vf_port);
	fprintf(out, " port=%s\n", config->port);
}

static const struct host_nic_config *
config_of(const struct report *r, unsigned int nic)
{
	return host_nic_config(r->ops->nic(r->ops->ctx, nic));
}

static void
print_start(struct report *r)
{
	struct report_extra extra;

	if (!report_begin())
		return;
	for (unsigned int i = 0; i < nics(r); i++) {
		extra = report_extra(r, i);
		fprintf(out, "NIC %u", i);
		if (extra.socket != NULL)
			fprintf(out, " at %s", extra.socket);
		print_ports(config_of(r, i));
	}
	report_end();
}

/* Bits on the wire per second without preamble and FCS, as frames are counted here. */
static void
print_flow(const char *what, double frames, double bytes)
{
	fprintf(out, "%s %.3f Mpps %.3f Gbit/s", what, frames / 1e6, bytes * 8 / 1e9);
}

/* Every counter of lost frames and refused sends that is not 0, by its name. */
static bool
print_port_drops(const char *name, const struct host_port_stats *p, bool any)
{
	const struct host_counter *c;

	for (c = host_port_counters; c->name != NULL; c++)
		if (host_counter(p, c) != 0 && strstr(c->name, "_dropped_") != NULL)
			any = fprintf(out, "%s%s_%s %" PRIu64, any ? ", " : "", name, c->name,
				host_counter(p, c));
	return any;
}

static void
print_drops(const struct report *r, const struct host_nic_status *status)
{
	const struct host_nic_stats *s = &status->stats;
	const struct host_counter *c;
	bool any = false;

	fputs(colour(r->coloured, COLOUR_WARN), out);
	for (c = host_nic_counters; c->name != NULL; c++)
		if (host_counter(s, c) != 0 &&
			(strstr(c->name, "_dropped") != NULL || strstr(c->name, "_refused")))
			any = fprintf(
				out, "%s%s %" PRIu64, any ? ", " : "", c->name, host_counter(s, c));
	any = print_port_drops("port", &status->port, any);
	any = print_port_drops("vf_port", &status->vf_port, any);
	fputs(colour(r->coloured, COLOUR_END), out);
	if (!any)
		fprintf(out, "no drops");
}

static void
print_verified(const struct report *r, const struct host_port_stats *p)
{
	bool bad = p->corrupt != 0 || p->lost != 0 || p->duplicate != 0;

	if (p->verifies)
		fprintf(out,
			"%sverified %" PRIu64 " corrupt %" PRIu64 " lost %" PRIu64
			" duplicate %" PRIu64 " reordered %" PRIu64 "%s",
			colour(r->coloured, bad ? COLOUR_BAD : COLOUR_GOOD), p->verified,
			p->corrupt, p->lost, p->duplicate, p->reordered,
			colour(r->coloured, COLOUR_END));
	if (p->latency.frames != 0)
		fprintf(out, ", latency p50 %.1f p99 %.1f p99.9 %.1f max %.1f us",
			(double)p->latency.p50 / 1e3, (double)p->latency.p99 / 1e3,
			(double)p->latency.p999 / 1e3, (double)p->latency.max / 1e3);
}

/* Times as a reader takes them in. */
static void
print_time(uint64_t ns)
{
	if (ns < 1000000)
		fprintf(out, "%8.1f us", (double)ns / 1e3);
	else if (ns < UINT64_C(1000000000))
		fprintf(out, "%8.1f ms", (double)ns / 1e6);
	else
		fprintf(out, "%8.1f s ", (double)ns / 1e9);
}

#define BAR 40

/* A line for each power of two that is not empty: its longest time, frames, a bar. */
static void
print_latencies(const char *name, const uint64_t steps[LATENCY_STEPS])
{
	static const char bar[BAR + 1] = "########################################";
	uint64_t count[LATENCY_STEPS / 4] = {0}, most = 1;
	unsigned int i;

	for (i = 0; i < LATENCY_STEPS; i++) {
		count[i / 4] += steps[i];
		if (count[i / 4] > most)
			most = count[i / 4];
	}
	for (i = 0; i < LATENCY_STEPS / 4; i++) {
		if (count[i] == 0)
			continue;
		fprintf(out, "  %s to ", name);
		print_time(latency_step_end(4 * i + 3));
		fprintf(out, " %12" PRIu64 " %.*s\n", count[i],
			(int)((count[i] * BAR + most - 1) / most), bar);
	}
}

static void
print_rates(struct report *r)
{
	if (!report_begin())
		return;
	for (unsigned int i = 0; i < nics(r); i++) {
		struct host_nic_status status;
		struct host_port_stats p;
		struct report_flow flow;

		if (r->ops->refresh != NULL)
			r->ops->refresh(r->ops->ctx, i);
		host_nic_status(r->ops->nic(r->ops->ctx, i), &status);
		report_flow(r, i, &status.stats, &flow);
		p = status.port;
		fprintf(out, "%4.0fs NIC %u %s%-11s%s ", report_seconds(r), i,
			colour(r->coloured && strcmp(status.state, "running") == 0, COLOUR_GOOD),
			status.state, colour(r->coloured, COLOUR_END));
		print_flow("to guest", flow.rx_frames, flow.rx_bytes);
		print_flow(" from guest", flow.tx_frames, flow.tx_bytes);
		fprintf(out, " | ");
		if (status.path_is_vf)
			fprintf(out, "VF | ");
		print_drops(r, &status);
		if (p.verifies)
			fprintf(out, " | ");
		print_verified(r, &p);
		fprintf(out, "\n");
	}
	report_end();
}

static void
print_totals(struct report *r)
{
	if (!report_begin())
		return;
	for (unsigned int i = 0; i < nics(r); i++) {
		const struct host_nic_config *config = config_of(r, i);
		struct report_extra extra = report_extra(r, i);
		char guid[VMBUS_GUID_LEN + 1];
		struct host_nic_status status;
		struct host_nic_stats s;
		struct host_port_stats p;

		report_exact(r, i);
		host_nic_status(r->ops->nic(r->ops->ctx, i), &status);
		vmbus_guid_format(config->instance, guid);
		guid[VMBUS_GUID_LEN] = '\0';
		s = status.stats;
		p = status.port;
		fprintf(out, "NIC %u %s", i, guid);
		print_ports(config);
		if (extra.has_sessions)
			fprintf(out, "  sessions   %" PRIu64 "\n", extra.sessions);
		fprintf(out,
			"  to guest   frames %" PRIu64 ", bytes %" PRIu64 ", packets %" PRIu64 "\n",
			s.rx_frames, s.rx_bytes, s.rx_packets);
		fprintf(out,
			"  from guest frames %" PRIu64 ", bytes %" PRIu64 ", packets %" PRIu64 "\n",
			s.tx_frames, s.tx_bytes, s.tx_packets);
		if (config->vf_port[0] != '\0')
			fprintf(out,
				"  by the VF  to guest frames %" PRIu64 ", bytes %" PRIu64
				"; from guest frames %" PRIu64 ", bytes %" PRIu64 "\n",
				s.vf_rx_frames, s.vf_rx_bytes, s.vf_tx_frames, s.vf_tx_bytes);
		fprintf(out,
			"  port       out frames %" PRIu64 ", bytes %" PRIu64 "; in frames %" PRIu64
			", bytes %" PRIu64 "\n",
			p.rx_frames, p.rx_bytes, p.tx_frames, p.tx_bytes);
		fprintf(out, "  ");
		print_drops(r, &status);
		fprintf(out, "\n  signals %" PRIu64 ", protocol-errors %" PRIu64 "\n", s.signals,
			s.protocol_errors);
		if (p.verifies) {
			fprintf(out, "  ");
			print_verified(r, &p);
			fprintf(out, "\n");
		}
		print_latencies("latency", status.latency);
		print_latencies("vf-port latency", status.vf_latency);
	}
	report_end();
}

static void
print_ring(const char *name, const struct host_ring_state *r)
{
	fprintf(out, "  %s w %8u r %8u of %u mask %u pending %u features %u host's index %u\n",
		name, r->write_index, r->read_index, r->size, r->interrupt_mask, r->pending_send_sz,
		r->feature_bits, r->private_index);
}

static void
print_rings(struct report *r)
{
	if (!report_begin())
		return;
	for (unsigned int i = 0; i < nics(r); i++)
		for (unsigned int k = 0; k < config_of(r, i)->channels; k++) {
			struct host_channel_state state;
			int rc;

			if (r->ops->lock != NULL)
				r->ops->lock(r->ops->ctx, i);
			rc = host_nic_channel_state(r->ops->nic(r->ops->ctx, i), k, &state);
			if (r->ops->unlock != NULL)
				r->ops->unlock(r->ops->ctx, i);
			if (rc != 0 || !state.open)
				continue;
			fprintf(out, "NIC %u channel %u\n", i, k);
			print_ring("tx (guest to host)", &state.tx);
			print_ring("rx (host to guest)", &state.rx);
		}
	report_end();
}

/* ---- either ---- */

void
report_start(struct report *r, bool tell)
{
	r->started = r->at = monotonic_ns();
	r->coloured = colour_wanted(report_output.fd);
	if (!tell)
		return;
	if (r->json)
		report_json_start(r);
	else
		print_start(r);
}

void
report_rates(struct report *r)
{
	r->now = monotonic_ns();
	if (r->json)
		report_json_rates(r);
	else
		print_rates(r);
	if (!r->json && r->rings)
		print_rings(r);
	r->at = r->now;
}

void
report_totals(struct report *r)
{
	if (r->json) {
		report_json_totals(r);
		return;
	}
	if (r->rings)
		print_rings(r);
	print_totals(r);
}
