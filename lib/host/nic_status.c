/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What others may know of a NIC while it is polled: its owner publishes counters and state, anybody
 * reads the last ones without stopping it.
 */
#include <sched.h>

#include "lib/host/nic_internal.h"

/* Tries before the processor is left to a writer that was interrupted. */
#define TRIES 100u

void
host_nic_publish(struct host_nic *nic)
{
	struct nic_published *p = &nic->published;
	union nic_status_words now;
	uint32_t sequence = atomic_load_explicit(&p->sequence, memory_order_relaxed);

	nic->turns_unseen = 0;
	memset(&now, 0, sizeof(now));
	host_nic_get_stats(nic, &now.status.stats, &now.status.port);
	now.status.state = host_nic_state_name(nic);
	now.status.channels_open = nic->channels_open;
	now.status.path_is_vf = nic->vf.on;
	now.status.vf_present = nic->vf.present;
	now.status.link_up = nic->link_up;
	now.status.stalled = nic->knobs.stall != 0 || nic->knobs.stall_rx != 0;
	if (nic->sections_n > nic->reserved) {
		now.status.sections = nic->sections_n - nic->reserved;
		now.status.sections_used = now.status.sections - nic->free_n;
	}
	if (nic->vf.port != NULL && nic->vf.port->ops->stats != NULL)
		nic->vf.port->ops->stats(nic->vf.port, &now.status.vf_port);
	/* Odd while it is being changed. */
	atomic_store_explicit(&p->sequence, sequence + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	for (unsigned int i = 0; i < NIC_STATUS_WORDS; i++)
		atomic_store_explicit(&p->words[i], now.words[i], memory_order_relaxed);
	/* Release: the words come before; pairs with the acquire load in host_nic_status(). */
	atomic_store_explicit(&p->sequence, sequence + 2, memory_order_release);
}

void
host_nic_status(struct host_nic *nic, struct host_nic_status *status)
{
	struct nic_published *p = &nic->published;
	union nic_status_words copy;

	for (unsigned int try = 1;; try++) {
		uint32_t before = atomic_load_explicit(&p->sequence, memory_order_acquire);

		for (unsigned int i = 0; i < NIC_STATUS_WORDS; i++)
			copy.words[i] = atomic_load_explicit(&p->words[i], memory_order_relaxed);
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
