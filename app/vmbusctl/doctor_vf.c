/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmbusctl doctor: virtual functions (accelerated networking). Only the guest's driver moves a
 * NIC's packets to its virtual function and back (spec/nvsp.md §9), hv_netvsc as hyperpoll; the
 * latter needs DPDK's PMD of the function, and the function the way that PMD wants it.
 */
#include "app/vmbusctl/doctor.h"
#include "app/vmbusctl/functions.h"
#include "app/vmbusctl/vf.h"

#include <glob.h>
#include <stdio.h>
#include <string.h>

#define INTERFACE_UP 0x1u

/* The PMD of a function that stays with the kernel's driver; NULL: of others there are many. */
static const char *
pmd_of(const struct ctl_function *f)
{
	return f->mana				     ? "mana"
	       : strcmp(f->driver, "mlx5_core") == 0 ? "mlx5"
	       : strcmp(f->driver, "mlx4_core") == 0 ? "mlx4"
						     : NULL;
}

static bool
is_installed(const struct ctl *ctl, const char *pmd)
{
	static const char *const places[] = {"usr/lib", "usr/lib64", "usr/lib/*-linux-gnu",
		"usr/local/lib", "usr/local/lib64", "usr/local/lib/*-linux-gnu"};
	char pattern[VMBUS_SYSFS_PATH_MAX];
	bool found = false;
	glob_t files;
	size_t i;

	for (i = 0; !found && i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(pattern, sizeof(pattern), "%s/%s{,/dpdk/pmds-*}/librte_net_%s.so*",
			ctl->root, places[i], pmd);
		found = glob(pattern, GLOB_BRACE, NULL, &files) == 0;
		globfree(&files);
	}
	return found;
}

static bool
is_up(const struct ctl *ctl, const char *interface)
{
	char path[VMBUS_SYSFS_PATH_MAX], text[32];
	uint64_t flags;

	snprintf(path, sizeof(path), "class/net/%s/flags", interface);
	return vmbus_sysfs_read(&ctl->fs, path, text, sizeof(text)) > 0 &&
	       vmbus_parse_hex64(text, &flags) == 0 && (flags & INTERFACE_UP) != 0;
}

/* Below an adapter that is bound to uio_hv_generic: is it as its PMD wants it? */
static void
judge_below(struct report *r, const struct ctl_function *f, const char *interface,
	const struct vmbus_sysfs_device *d, const char *what)
{
	char bind[VMBUS_SYSFS_NAME_MAX + 64];
	const char *pmd = pmd_of(f);

	snprintf(bind, sizeof(bind), "vmbusctl bind %s%s", d->name,
		pmd == NULL ? " --vf vfio-pci" : "");
	if (pmd == NULL && !ctl_function_is_shared(f))
		doctor_find(r, WARN, "vf", bind,
			"%s with driver %s belongs to %s, but its PMD wants vfio-pci: packets take the "
			"synthetic path",
			what, f->driver, d->name);
	else if (f->mana && is_up(r->ctl, interface))
		doctor_find(r, WARN, "vf", bind,
			"%s belongs to %s and its interface is up, which keeps the mana PMD from it: "
			"packets take the synthetic path",
			what, d->name);
	else if (!ctl_vf_is_done(r->ctl, d->name))
		doctor_find(r, WARN, "vf", bind,
			"%s with driver %s belongs to %s, but nothing keeps NetworkManager, DHCP "
			"clients and the like from its interface",
			what, f->driver, d->name);
	else
		doctor_find(r, OK, "vf", NULL,
			"%s with driver %s belongs to %s: packets take it while the host offers it, "
			"and the synthetic path else",
			what, f->driver, d->name);
}

static void
judge(struct report *r, const struct ctl_function *f, const char *interface)
{
	const struct vmbus_sysfs_device *d =
		interface[0] == '\0' ? NULL : ctl_function_adapter(r->ctl, f, interface);
	char what[160], serial[24] = "";

	if (f->has_serial)
		snprintf(serial, sizeof(serial), " (serial %u)", f->serial);
	snprintf(what, sizeof(what), "%s %s%s%s%.15s",
		f->mana ? "MANA function" : "virtual function", f->pci, serial,
		interface[0] == '\0' ? "" : " as ", interface);
	if (f->driver[0] == '\0')
		doctor_find(r, WARN, "vf",
			f->mana ? "use Linux 6.14 or later, or back-ported drivers"
				: "load its driver (modprobe mlx5_core), or bind it to vfio-pci",
			"%s has no driver: all packets take the synthetic path, under hv_netvsc too",
			what);
	else if (strcmp(f->driver, "vfio-pci") == 0)
		doctor_find(r, NOTE, "vf", NULL,
			"%s is bound to vfio-pci: packets of its adapter take it while the host offers "
			"it, if DPDK has a PMD for it",
			what);
	else if (d != NULL && strcmp(d->driver, VMBUS_UIO_DRIVER) == 0)
		judge_below(r, f, interface, d, what);
	else if (d != NULL && strcmp(d->driver, VMBUS_NETVSC_DRIVER) == 0)
		doctor_find(r, NOTE, "vf", NULL,
			"%s with driver %s carries the packets of %s while the host offers it; when "
			"that is bound to uio_hv_generic, hyperpoll uses it",
			what, f->driver, d->n_netdevs > 0 ? d->netdevs[0] : d->name);
	else
		doctor_find(r, NOTE, "vf", NULL,
			"%s with driver %s: hyperpoll uses it when its adapter is bound to "
			"uio_hv_generic",
			what, f->driver);
}

/* Once for all functions of a kind. */
static void
check_pmd(struct report *r, const char *pmd)
{
	char fix[128];

	if (is_installed(r->ctl, pmd))
		return;
	snprintf(fix, sizeof(fix), "install rdma-core and a DPDK with the %s PMD", pmd);
	doctor_find(r, WARN, "vf", fix,
		"librte_net_%s.so is not installed in the usual places: without it packets take the "
		"synthetic path",
		pmd);
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
		"PMD; without them all packets of DPDK take the synthetic path%s",
		kernel);
}

void
doctor_check_functions(struct report *r)
{
	struct ctl_function list[CTL_FUNCTIONS_MAX];
	unsigned int n = ctl_functions(r->ctl, true, list), i;
	static const char *const pmds[] = {"mlx4", "mlx5", "mana"};
	bool wanted[3] = {false}, mana = false;
	const char *pmd;
	size_t k;

	for (i = 0; i < n; i++) {
		judge_interfaces(r, &list[i]);
		mana |= list[i].mana;
		pmd = pmd_of(&list[i]);
		for (k = 0; pmd != NULL && k < 3; k++)
			wanted[k] |= strcmp(pmd, pmds[k]) == 0;
	}
	for (k = 0; k < 3; k++)
		if (wanted[k])
			check_pmd(r, pmds[k]);
	if (mana)
		explain_mana(r);
	if (n == 0)
		doctor_find(r, NOTE, "vf", NULL,
			"no virtual function: packets take the synthetic path");
}
