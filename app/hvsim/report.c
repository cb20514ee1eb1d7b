/* SPDX-License-Identifier: BSD-3-Clause */
/* What hvsim prints: rates, totals, rings. Control thread; the NICs go on. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/hvsim/hvsim.h"

static double
rate(uint64_t now, uint64_t before, double seconds)
{
	return seconds > 0 ? (double)(now - before) / seconds : 0;
}

/* Bits on the wire per second without preamble and FCS, as frames are counted here. */
static void
print_flow(const char *what, double frames, double bytes)
{
	printf("%s %.3f Mpps %.3f Gbit/s", what, frames / 1e6, bytes * 8 / 1e9);
}

/* Every counter of lost frames and refused sends that is not 0, by its name. */
static void
print_drops(const struct host_nic_stats *s, const struct host_port_stats *p)
{
	const struct host_counter *c;
	bool any = false;

	for (c = host_nic_counters; c->name != NULL; c++)
		if (host_counter(s, c) != 0 &&
			(strstr(c->name, "_dropped") != NULL || strstr(c->name, "_refused")))
			any = printf("%s%s %" PRIu64, any ? ", " : "", c->name, host_counter(s, c));
	for (c = host_port_counters; c->name != NULL; c++)
		if (host_counter(p, c) != 0 && strstr(c->name, "_dropped_") != NULL)
			any = printf(
				"%sport_%s %" PRIu64, any ? ", " : "", c->name, host_counter(p, c));
	if (!any)
		printf("no drops");
}

static void
print_verified(const struct host_port_stats *p)
{
	if (p->verifies)
		printf("verified %" PRIu64 " corrupt %" PRIu64 " lost %" PRIu64
		       " duplicate %" PRIu64 " reordered %" PRIu64,
			p->verified, p->corrupt, p->lost, p->duplicate, p->reordered);
}

void
report_rates(struct hvsim_device *devices, unsigned int n, struct hvsim_rates *previous,
	uint64_t since_start_ns)
{
	uint64_t now = now_ns();
	double seconds = (double)(now - previous->at) / 1e9;

	for (unsigned int i = 0; i < n; i++) {
		struct host_nic_stats s, *before = &previous->nic[i];
		struct host_nic_status status;
		struct host_port_stats p;

		device_refresh(&devices[i]);
		host_nic_status(devices[i].nic, &status);
		s = status.stats;
		p = status.port;
		printf("%4.0fs NIC %u %-11s ", (double)since_start_ns / 1e9, i, status.state);
		print_flow("to guest", rate(s.rx_frames, before->rx_frames, seconds),
			rate(s.rx_bytes, before->rx_bytes, seconds));
		print_flow(" from guest", rate(s.tx_frames, before->tx_frames, seconds),
			rate(s.tx_bytes, before->tx_bytes, seconds));
		printf(" | ");
		print_drops(&s, &p);
		if (p.verifies)
			printf(" | ");
		print_verified(&p);
		printf("\n");
		previous->nic[i] = s;
		previous->port[i] = p;
	}
	previous->at = now;
	fflush(stdout);
}

void
report_totals(struct hvsim_device *devices, unsigned int n)
{
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
		printf("NIC %u %s port=%s\n", i, d->guid, d->config.port);
		printf("  sessions   %" PRIu64 "\n", d->sessions);
		printf("  to guest   frames %" PRIu64 ", bytes %" PRIu64 ", packets %" PRIu64 "\n",
			s.rx_frames, s.rx_bytes, s.rx_packets);
		printf("  from guest frames %" PRIu64 ", bytes %" PRIu64 ", packets %" PRIu64 "\n",
			s.tx_frames, s.tx_bytes, s.tx_packets);
		printf("  port       out frames %" PRIu64 ", bytes %" PRIu64 "; in frames %" PRIu64
		       ", bytes %" PRIu64 "\n",
			p.rx_frames, p.rx_bytes, p.tx_frames, p.tx_bytes);
		printf("  ");
		print_drops(&s, &p);
		printf("\n  signals %" PRIu64 ", protocol-errors %" PRIu64 "\n", s.signals,
			s.protocol_errors);
		if (!p.verifies)
			continue;
		printf("  ");
		print_verified(&p);
		printf("\n");
	}
	fflush(stdout);
}

static void
print_ring(const char *name, const struct host_ring_state *r)
{
	printf("  %s w %8u r %8u of %u mask %u pending %u features %u host's index %u\n", name,
		r->write_index, r->read_index, r->size, r->interrupt_mask, r->pending_send_sz,
		r->feature_bits, r->private_index);
}

void
report_rings(struct hvsim_device *devices, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		for (unsigned int k = 0; k < devices[i].config.channels; k++) {
			struct host_channel_state state;
			int rc;

			device_lock(&devices[i]);
			rc = host_nic_channel_state(devices[i].nic, k, &state);
			device_unlock(&devices[i]);
			if (rc != 0 || !state.open)
				continue;
			printf("NIC %u channel %u\n", i, k);
			print_ring("tx (guest to host)", &state.tx);
			print_ring("rx (host to guest)", &state.rx);
		}
	fflush(stdout);
}
