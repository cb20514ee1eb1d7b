/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What others may know of a NIC while it is polled: its owner publishes counters and state, anybody
 * reads the last ones without stopping it.
 */
#include <assert.h>
#include <sched.h>
#include <stddef.h>

#include "lib/host/nic_internal.h"

/* The counts of latencies come last, and only where there are any. */
#define STATUS_WORDS	 (offsetof(struct host_nic_status, latency) / 8)
#define VF_LATENCY_WORDS (offsetof(struct host_nic_status, vf_latency) / 8)

static_assert(offsetof(struct host_nic_status, latency) % 8 == 0, "whole words");

/* Tries before the processor is left to a writer that was interrupted. */
#define TRIES 100u

static void
publish_words(struct nic_published *p, size_t at, const uint64_t *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		atomic_store_explicit(&p->words[at + i], words[i], memory_order_relaxed);
}

static void
read_words(struct nic_published *p, size_t at, uint64_t *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		words[i] = atomic_load_explicit(&p->words[at + i], memory_order_relaxed);
}

/* The port's counts, which are its thread's: they are copied, and the pointer goes to nobody. */
static const uint64_t *
take_steps(struct host_port_stats *port)
{
	const uint64_t *steps = port->latency.steps;

	port->latency.steps = NULL;
	return steps;
}

void
host_nic_publish(struct host_nic *nic)
{
	struct nic_published *p = &nic->published;
	const uint64_t *steps, *vf_steps;
	union nic_status_words now;
	uint32_t sequence = atomic_load_explicit(&p->sequence, memory_order_relaxed);

	nic->turns_unseen = 0;
	memset(&now, 0, STATUS_WORDS * 8);
	nic_own_stats(nic, &now.status.stats, &now.status.port);
	now.status.state = host_nic_state_name(nic);
	now.status.channels_open = nic->channels_open;
	now.status.path_is_vf = nic->vf.on;
	now.status.vf_present = nic->vf.present;
	now.status.link_up = nic->link_up;
	now.status.stalled = nic->knobs.stall != 0 || nic->knobs.stall_rx != 0;
	if (nic->sections_n > nic->reserved) {
		now.status.sections = nic->own_n;
		now.status.sections_used = now.status.sections - nic->free_n;
	}
	if (nic->vf.port != NULL && nic->vf.port->ops->stats != NULL)
		nic->vf.port->ops->stats(nic->vf.port, &now.status.vf_port);
	steps = take_steps(&now.status.port);
	vf_steps = take_steps(&now.status.vf_port);
	/* Odd while it is being changed. */
	atomic_store_explicit(&p->sequence, sequence + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	publish_words(p, 0, now.words, STATUS_WORDS);
	if (steps != NULL)
		publish_words(p, STATUS_WORDS, steps, LATENCY_STEPS);
	if (vf_steps != NULL)
		publish_words(p, VF_LATENCY_WORDS, vf_steps, LATENCY_STEPS);
	/* Release: the words come before; pairs with the acquire load in host_nic_status(). */
	atomic_store_explicit(&p->sequence, sequence + 2, memory_order_release);
}

static void
read_status(struct host_nic *nic, struct host_nic_status *status)
{
	struct nic_published *p = &nic->published;
	union nic_status_words copy;

	for (unsigned int try = 1;; try++) {
		uint32_t before = atomic_load_explicit(&p->sequence, memory_order_acquire);

		read_words(p, 0, copy.words, STATUS_WORDS);
		memset(copy.words + STATUS_WORDS, 0, sizeof(copy) - STATUS_WORDS * 8);
		if (copy.status.port.latency.frames != 0)
			read_words(p, STATUS_WORDS, copy.status.latency, LATENCY_STEPS);
		if (copy.status.vf_port.latency.frames != 0)
			read_words(p, VF_LATENCY_WORDS, copy.status.vf_latency, LATENCY_STEPS);
		/* The words come before this look; pairs with the fence in host_nic_publish(). */
		atomic_thread_fence(memory_order_acquire);
		if ((before & 1) == 0 &&
			atomic_load_explicit(&p->sequence, memory_order_relaxed) == before)
			break;
		if (try % TRIES == 0)
			sched_yield();
	}
	*status = copy.status;
}

void
host_nic_status(struct host_nic *nic, struct host_nic_status *status)
{
	struct host_nic_status more;

	read_status(nic, status);
	for (unsigned int k = 1; k < nic->lanes.n; k++) {
		read_status(nic->lanes.lane[k], &more);
		nic_stats_add(&status->stats, &more.stats);
		nic_port_stats_add(&status->port, &more.port);
		status->channels_open += more.channels_open;
		status->sections += more.sections;
		status->sections_used += more.sections_used;
	}
}
