/* SPDX-License-Identifier: BSD-3-Clause */
/* See vf.h. */
#include <errno.h>
#include <unistd.h>

#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/vf.h"

/* ---- events ---- */

/* The thread looks. The descriptor is nobody else's: a write never blocks. */
static void
vf_wake(struct netvsc_vf *vf)
{
	const uint64_t one = 1;
	ssize_t n = write(vf->wake, &one, sizeof(one));

	(void)n; /* a counter that is full wakes, too */
}

void
netvsc_vf_event(struct netvsc_port *port, enum netvsc_vf_event event, uint32_t value)
{
	struct netvsc_vf *vf = port->vf;
	uint64_t before, after;

	if (vf == NULL)
		return;
	before = atomic_load(&vf->facts);
	do
		after = netvsc_vf_facts_add(before, event, value);
	while (!atomic_compare_exchange_weak(&vf->facts, &before, after));
	/* What must not go on does not wait for the thread, which does the rest. */
	if (netvsc_vf_facts_cut_tx(after))
		netvsc_vf_tx_path(port, 0);
	if (netvsc_vf_facts_cut_rx(after))
		netvsc_vf_rx_path(port, 0);
	vf_wake(vf);
}

void
netvsc_vf_changed(struct netvsc_port *port, uint32_t what)
{
	if (port->vf == NULL)
		return;
	atomic_fetch_or(&port->vf->replay, what);
	vf_wake(port->vf);
}

bool
netvsc_vf_serial(const struct netvsc_port *port, uint32_t *serial)
{
	return port->vf != NULL && netvsc_vf_facts_serial(atomic_load(&port->vf->facts), serial);
}
