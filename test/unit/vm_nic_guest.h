/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What programs have in common whose guest in hvsim-vm gives a NIC its memory: which GPADLs it has
 * and where, and whether somebody writes to what it has back. For one source each.
 */
#ifndef HP_TEST_VM_NIC_GUEST_H
#define HP_TEST_VM_NIC_GUEST_H

#include <string.h>

#include "test/unit/vm_guest.h"

#define NIC "channels=4,port=gen:size=60"

#define RECV	   0xe1e10u
#define SEND	   0xe1e11u
#define ODD	   0xe1e12u
#define RECV_PFN   AREA_FREE
#define SEND_PFN   (AREA_FREE + AREA_PAGES)
#define ODD_PFN	   (AREA_FREE + 2 * AREA_PAGES)
#define RECV_BYTES (AREA_PAGES * 4096u)
#define SEND_BYTES (16 * 4096u)
#define ODD_BYTES  4097u /* no multiple of a page: refused as a buffer */
#define PATTERN	   0x5a

static struct vm_guest g;

/* The guest uses the pages of a GPADL that it has torn down for something else. */
static inline void
reuse_pages(uint64_t pfn, unsigned int pages)
{
	memset(vm_guest_page(&g, pfn), PATTERN, pages * 4096u);
}

static inline bool
untouched(uint64_t pfn, unsigned int pages)
{
	const uint8_t *p = vm_guest_page(&g, pfn);

	return p[0] == PATTERN && memcmp(p, p + 1, pages * 4096u - 1) == 0;
}

static inline void
start(void)
{
	vm_guest_start(&g, NIC);
	vm_guest_connect(&g);
	CU_ASSERT_TRUE_FATAL(vm_guest_open(&g, 0));
	vm_guest_ladder(&g);
}

#endif
