/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmbusctl doctor: virtual functions (accelerated networking). Only the guest's driver moves a
 * NIC's packets to its virtual function and back (spec/nvsp.md §9): hv_netvsc does, hyperpoll does
 * not.
 */
#include "app/vmbusctl/doctor.h"
#include "app/vmbusctl/functions.h"

#include <stdio.h>
#include <string.h>

static void
judge(struct report *r, const struct ctl_function *f, const char *interface)
{
	static const char unused[] = "hyperpoll does not use virtual functions yet";
	static const char in_tree[] =
		"to use it: DPDK's own netvsc driver (HYPERPOLL_YIELD=1) with the "
		"PMD of the function, mlx5 for instance, and rdma-core";
	static const char mana[] =
		"to use it: DPDK's own netvsc driver (HYPERPOLL_YIELD=1) with the mana "
		"PMD, rdma-core, and Linux 6.14 or later (or back-ported drivers)";
	const struct vmbus_sysfs_device *d =
		interface[0] == '\0' ? NULL : ctl_function_adapter(r->ctl, f, interface);
	const char *fix = f->mana ? mana : in_tree, *netdev;
	char what[160], serial[24] = "";

	if (f->has_serial)
		snprintf(serial, sizeof(serial), " (serial %u)", f->serial);
	snprintf(what, sizeof(what), "%s %s%s%s%.15s",
		f->mana ? "MANA function" : "virtual function", f->pci, serial,
		interface[0] == '\0' ? "" : " as ", interface);
	if (f->driver[0] == '\0') {
		doctor_find(r, WARN, "vf", fix,
			"%s has no driver: all packets take the synthetic path, under hv_netvsc too; %s",
			what, unused);
	} else if (strcmp(f->driver, "vfio-pci") == 0) {
		doctor_find(r, NOTE, "vf", fix,
			"%s is bound to vfio-pci: packets take the synthetic path, nothing moves them to "
			"it; %s",
			what, unused);
	} else if (d != NULL && strcmp(d->driver, VMBUS_UIO_DRIVER) == 0) {
		doctor_find(r, NOTE, "vf", fix,
			"%s with driver %s belongs to %s, which is bound to uio_hv_generic: all its "
			"packets take the synthetic path, expect none here; %s",
			what, f->driver, d->name, unused);
	} else if (d != NULL && strcmp(d->driver, VMBUS_NETVSC_DRIVER) == 0) {
		netdev = d->n_netdevs > 0 ? d->netdevs[0] : d->name;
		doctor_find(r, NOTE, "vf", fix,
			"%s with driver %s carries the packets of %s while hv_netvsc has that; bound to "
			"uio_hv_generic, they all take the slower synthetic path: %s",
			what, f->driver, netdev, unused);
	} else {
		doctor_find(r, NOTE, "vf", fix,
			"%s with driver %s: %s, packets of its adapter take the synthetic path when that "
			"is bound to uio_hv_generic, and this one's only under hv_netvsc",
			what, f->driver, unused);
	}
}

static void
judge_interfaces(struct report *r, const struct ctl_function *f)
{
	char names[CTL_FUNCTION_INTERFACES_MAX][16];
	unsigned int n = ctl_function_interfaces(r->ctl, f, names), i;

	for (i = 0; i < n; i++)
		judge(r, f, names[i]);
	if (n == 0)
		judge(r, f, "");
}

/* spec/hosts.md §1 */
static void
explain_mana(struct report *r)
{
	bool old = doctor_before(r, 6, 14);
	char kernel[160] = "";

	if (old)
		snprintf(kernel, sizeof(kernel),
			"; this is Linux %u.%u, so only back-ported drivers would do",
			r->kernel.major, r->kernel.minor);
	doctor_find(r, NOTE, "mana", NULL,
		"PCI 1414:00ba is the Microsoft Azure Network Adapter: DPDK's fast path on it needs Linux "
		"6.14 or later (or back-ported Ethernet and InfiniBand drivers), rdma-core and the mana "
		"PMD; without them all packets of DPDK take the synthetic path, as they do with "
		"hyperpoll%s",
		kernel);
}

void
doctor_check_functions(struct report *r)
{
	struct ctl_function list[CTL_FUNCTIONS_MAX];
	unsigned int n = ctl_functions(r->ctl, true, list), i;
	bool mana = false;

	for (i = 0; i < n; i++) {
		judge_interfaces(r, &list[i]);
		mana |= list[i].mana;
	}
	if (mana)
		explain_mana(r);
	if (n == 0)
		doctor_find(r, NOTE, "vf", NULL,
			"no virtual function: packets take the synthetic path");
}
