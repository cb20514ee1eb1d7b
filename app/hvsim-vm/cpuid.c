/* SPDX-License-Identifier: BSD-3-Clause */
/* What the guest sees of its processors: Hyper-V instead of KVM (spec/hyperv-host-on-kvm.md §5). */
#include <cpuid.h>
#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "app/hvsim-vm/kvm.h"

#define MAX_LEAVES 160u

/* Leaf 0x40000003 EAX, EBX, EDX and 0x40000004 EAX; bits in the table of the spec section. */
#define HV_FEATURES_EAX 0x00000af7u
#define HV_FEATURES_EBX 0x00000030u
#define HV_FEATURES_EDX 0x00000510u
#define HV_HINTS	0x00000228u
#define HV_HINTS_PV_IPI 0x00000e2cu

static void
add(struct kvm_cpuid2 *l, uint32_t function, uint32_t eax, uint32_t ebx, uint32_t ecx, uint32_t edx)
{
	struct kvm_cpuid_entry2 *e;

	if (l->nent == MAX_LEAVES)
		return;
	e = &l->entries[l->nent++];
	memset(e, 0, sizeof(*e));
	e->function = function;
	e->eax = eax;
	e->ebx = ebx;
	e->ecx = ecx;
	e->edx = edx;
}

/*
 * QEMU's instruction emulator (TCG) does not intercept XSETBV for a nested guest: the state KVM
 * keeps and the guest's differ, and AVX code faults at random. So XSAVE is hidden there.
 */
static bool
host_is_emulated(void)
{
	uint32_t eax, s[3];

	__cpuid(1, eax, s[0], s[1], s[2]);
	if (!(s[1] & (1u << 31)))
		return false;
	__cpuid(0x40000000, eax, s[0], s[1], s[2]);
	return memcmp(s, "TCGTCGTCGTCG", 12) == 0;
}

static void
hide_xsave(struct kvm_cpuid_entry2 *e)
{
	switch (e->function) {
	case 1: /* FMA, XSAVE, OSXSAVE, AVX, F16C */
		e->ecx &= ~(1u << 12 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 29);
		break;
	case 7:
		if (e->index != 0)
			break;
		e->ebx &= ~(
			1u << 5 | 1u << 16 | 1u << 17 | 1u << 21 | 1u << 28 | 1u << 30 | 1u << 31);
		e->ecx &= ~(1u << 3 | 1u << 4 | 1u << 9 | 1u << 10);
		break;
	case 0xd:
		e->eax = e->ebx = e->ecx = e->edx = 0;
		break;
	case 0x80000001: /* XOP, FMA4 */
		e->ecx &= ~(1u << 11 | 1u << 16);
		break;
	}
}

static void
edit(struct kvm_cpuid_entry2 *e, unsigned int apic_id, bool no_xsave)
{
	switch (e->function) {
	case 1:
		e->ecx |= 1u << 31; /* running on a hypervisor */
		e->ebx = (e->ebx & 0x00ffffff) | apic_id << 24;
		break;
	case 0xb:
	case 0x1f:
		e->edx = apic_id;
		break;
	case 0x8000001e:
		e->eax = apic_id;
		e->ebx = (e->ebx & ~0xffu) | apic_id;
		break;
	}
	if (no_xsave)
		hide_xsave(e);
}

static void
add_hyperv(struct kvm_cpuid2 *l, bool pv_ipi)
{
	add(l, 0x40000000, 0x40000005, 0x7263694d, 0x666f736f, 0x76482074); /* "Microsoft Hv" */
	add(l, 0x40000001, 0x31237648, 0, 0, 0);			    /* "Hv#1" */
	add(l, 0x40000002, 20348, 10u << 16, 0, 0);
	add(l, 0x40000003, HV_FEATURES_EAX, HV_FEATURES_EBX, 0, HV_FEATURES_EDX);
	add(l, 0x40000004, pv_ipi ? HV_HINTS_PV_IPI : HV_HINTS, UINT32_MAX, 0, 0);
	add(l, 0x40000005, 0x400, 0x40, 0, 0);
}

int
vm_cpuid_set(struct vm *vm, struct vcpu *vcpu)
{
	int xsave = vm->options->xsave;
	bool no_xsave = xsave == 0 || (xsave < 0 && host_is_emulated());
	struct kvm_cpuid2 *l = calloc(1, sizeof(*l) + MAX_LEAVES * sizeof(l->entries[0]));
	unsigned int i, n = 0;
	int rc = 0;

	if (l == NULL)
		return -ENOMEM;
	l->nent = MAX_LEAVES - 8;
	if (ioctl(vm->kvm_fd, KVM_GET_SUPPORTED_CPUID, l) != 0) {
		rc = -errno;
		goto out;
	}
	for (i = 0; i < l->nent; i++) {
		/* A KVM signature at any base makes Linux prefer KVM to Hyper-V. */
		if (l->entries[i].function >> 16 == 0x4000)
			continue;
		l->entries[n] = l->entries[i];
		edit(&l->entries[n++], vcpu->index, no_xsave);
	}
	l->nent = n;
	add_hyperv(l, vm->options->pv_ipi);
	if (ioctl(vcpu->fd, KVM_SET_CPUID2, l) != 0)
		rc = -errno;
out:
	free(l);
	return rc;
}
