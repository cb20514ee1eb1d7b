/* SPDX-License-Identifier: BSD-3-Clause */
/* See vf_told.h. */
#include <errno.h>

#include <rte_malloc.h>

#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/vf_dev.h"

int
netvsc_vf_told_begin(struct netvsc_port *port)
{
	struct netvsc_vf_told *told;

	if (port->vf_shared.told != NULL)
		return 0;
	told = rte_zmalloc("netvsc_vf_told", sizeof(*told), RTE_CACHE_LINE_SIZE);
	if (told == NULL)
		return -ENOMEM;
	rte_spinlock_init(&told->lock);
	atomic_store(&told->references, 1);
	port->vf_shared.told = told;
	return 0;
}

void
netvsc_vf_told_put(struct netvsc_vf_told *told)
{
	if (told == NULL || atomic_fetch_sub(&told->references, 1) != 1)
		return;
	netvsc_let_go(told->names);
	netvsc_let_go(told->xstats);
	netvsc_let_go(told);
}

void
netvsc_vf_told_end(struct netvsc_port *port)
{
	netvsc_vf_told_put(port->vf_shared.told);
	port->vf_shared.told = NULL;
}

void
netvsc_vf_tell_info(struct netvsc_vf_dev *dev)
{
	struct netvsc_vf_told *told = dev->shared;

	/* Who has not let go of it in time has it asked again. */
	if (!netvsc_lock_in_time(&told->lock)) {
		dev->has_info = false;
		return;
	}
	told->info = dev->info;
	told->info_of = dev->holds;
	netvsc_channel_unlock(&told->lock);
}

int
netvsc_vf_told_info(const struct netvsc_port *port, struct rte_eth_dev_info *info)
{
	struct netvsc_vf_told *told = port->vf_shared.told;
	uint32_t held = told != NULL ? atomic_load(&told->held) : 0;
	bool known;

	if (held == 0)
		return -ENODEV;
	if (!netvsc_lock_in_time(&told->lock))
		return -EAGAIN;
	known = told->info_of == held;
	if (known)
		*info = told->info;
	netvsc_channel_unlock(&told->lock);
	return known ? 0 : -EAGAIN;
}
