/* SPDX-License-Identifier: BSD-3-Clause */
/* What hvsim prints: rates, totals, rings. Control thread; the NICs go on. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/common/colour.h"
#include "app/hvsim/report.h"

struct output report_output;

/* A report is made in memory and then handed over whole. */
static FILE *out;
static char *text;
static size_t text_len;
static bool coloured;

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
print_ports(const struct hvsim_device *device)
{
	if (device->config.vf_port[0] != '\0')
		fprintf(out, " vf-port=%s", device->config.vf_port);
	fprintf(out, " port=%s\n", device->config.port);
}

void
report_start(struct hvsim_device *devices, unsigned int n)
{
	coloured = colour_wanted(STDOUT_FILENO);
	if (!report_begin())
		return;
	for (unsigned int i = 0; i < n; i++) {
		fprintf(out, "NIC %u at %s", i, devices[i].path);
		print_ports(&devices[i]);
	}
	report_end();
}

static double
rate(uint64_t now, uint64_t before, double seconds)
{
	return seconds > 0 ? (double)(now - before) / seconds : 0;
}

void
report_flow(const struct hvsim_device *device, struct host_nic_stats *before, uint64_t ns,
	struct hvsim_flow *flow)
{
	double seconds = (double)ns / 1e9;
	struct host_nic_status status;
	struct host_nic_stats s;

	host_nic_status(device->nic, &status);
	s = status.stats;
	flow->rx_frames = rate(
		s.rx_frames + s.vf_rx_frames, before->rx_frames + before->vf_rx_frames, seconds);
	flow->rx_bytes =
		rate(s.rx_bytes + s.vf_rx_bytes, before->rx_bytes + before->vf_rx_bytes, seconds);
	flow->tx_frames = rate(
		s.tx_frames + s.vf_tx_frames, before->tx_frames + before->vf_tx_frames, seconds);
	flow->tx_bytes =
		rate(s.tx_bytes + s.vf_tx_bytes, before->tx_bytes + before->vf_tx_bytes, seconds);
	*before = s;
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
print_drops(const struct host_nic_status *status)
{
	const struct host_nic_stats *s = &status->stats;
	const struct host_counter *c;
	bool any = false;

	fputs(colour(coloured, COLOUR_WARN), out);
	for (c = host_nic_counters; c->name != NULL; c++)
		if (host_counter(s, c) != 0 &&
			(strstr(c->name, "_dropped") != NULL || strstr(c->name, "_refused")))
			any = fprintf(
				out, "%s%s %" PRIu64, any ? ", " : "", c->name, host_counter(s, c));
	any = print_port_drops("port", &status->port, any);
	any = print_port_drops("vf_port", &status->vf_port, any);
	fputs(colour(coloured, COLOUR_END), out);
	if (!any)
		fprintf(out, "no drops");
}

static void
print_verified(const struct host_port_stats *p)
{
	bool bad = p->corrupt != 0 || p->lost != 0 || p->duplicate != 0;

	if (p->verifies)
		fprintf(out,
			"%sverified %" PRIu64 " corrupt %" PRIu64 " lost %" PRIu64
			" duplicate %" PRIu64 " reordered %" PRIu64 "%s",
			colour(coloured, bad ? COLOUR_BAD : COLOUR_GOOD), p->verified, p->corrupt,
			p->lost, p->duplicate, p->reordered, colour(coloured, COLOUR_END));
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

void
report_rates(struct hvsim_device *devices, unsigned int n, struct hvsim_rates *previous,
	uint64_t since_start_ns)
{
	uint64_t now = now_ns();

	if (!report_begin())
		return;
	for (unsigned int i = 0; i < n; i++) {
		struct host_nic_status status;
		struct host_port_stats p;
		struct hvsim_flow flow;

		device_refresh(&devices[i]);
		report_flow(&devices[i], &previous->nic[i], now - previous->at, &flow);
		host_nic_status(devices[i].nic, &status);
		p = status.port;
		fprintf(out, "%4.0fs NIC %u %s%-11s%s ", (double)since_start_ns / 1e9, i,
			colour(coloured && strcmp(status.state, "running") == 0, COLOUR_GOOD),
			status.state, colour(coloured, COLOUR_END));
		print_flow("to guest", flow.rx_frames, flow.rx_bytes);
		print_flow(" from guest", flow.tx_frames, flow.tx_bytes);
		fprintf(out, " | ");
		if (status.path_is_vf)
			fprintf(out, "VF | ");
		print_drops(&status);
		if (p.verifies)
			fprintf(out, " | ");
		print_verified(&p);
		fprintf(out, "\n");
	}
	previous->at = now;
	report_end();
}

void
report_totals(struct hvsim_device *devices, unsigned int n)
{
	if (!report_begin())
		return;
	for (unsigned int i = 0; i < n; i++) {
		struct hvsim_device *d = &devices[i];
		struct host_nic_status status;
		struct host_nic_stats s;
		struct host_port_stats p;

		/* The last totals are to be exact. */
		device_lock(d);
		device_unlock(d);
		host_nic_status(d->nic, &status);
		s = status.stats;
		p = status.port;
		fprintf(out, "NIC %u %s", i, d->guid);
		print_ports(d);
		fprintf(out, "  sessions   %" PRIu64 "\n", d->sessions);
		fprintf(out,
			"  to guest   frames %" PRIu64 ", bytes %" PRIu64 ", packets %" PRIu64 "\n",
			s.rx_frames, s.rx_bytes, s.rx_packets);
		fprintf(out,
			"  from guest frames %" PRIu64 ", bytes %" PRIu64 ", packets %" PRIu64 "\n",
			s.tx_frames, s.tx_bytes, s.tx_packets);
		if (d->config.vf_port[0] != '\0')
			fprintf(out,
				"  by the VF  to guest frames %" PRIu64 ", bytes %" PRIu64
				"; from guest frames %" PRIu64 ", bytes %" PRIu64 "\n",
				s.vf_rx_frames, s.vf_rx_bytes, s.vf_tx_frames, s.vf_tx_bytes);
		fprintf(out,
			"  port       out frames %" PRIu64 ", bytes %" PRIu64 "; in frames %" PRIu64
			", bytes %" PRIu64 "\n",
			p.rx_frames, p.rx_bytes, p.tx_frames, p.tx_bytes);
		fprintf(out, "  ");
		print_drops(&status);
		fprintf(out, "\n  signals %" PRIu64 ", protocol-errors %" PRIu64 "\n", s.signals,
			s.protocol_errors);
		if (p.verifies) {
			fprintf(out, "  ");
			print_verified(&p);
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

void
report_rings(struct hvsim_device *devices, unsigned int n)
{
	if (!report_begin())
		return;
	for (unsigned int i = 0; i < n; i++)
		for (unsigned int k = 0; k < devices[i].config.channels; k++) {
			struct host_channel_state state;
			int rc;

			device_lock(&devices[i]);
			rc = host_nic_channel_state(devices[i].nic, k, &state);
			device_unlock(&devices[i]);
			if (rc != 0 || !state.open)
				continue;
			fprintf(out, "NIC %u channel %u\n", i, k);
			print_ring("tx (guest to host)", &state.tx);
			print_ring("rx (host to guest)", &state.rx);
		}
	report_end();
}
