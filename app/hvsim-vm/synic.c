/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/hvsim-vm/synic.h"

/* One message slot of a SIMP page (spec/hyperv-host-on-kvm.md §7). */
struct slot {
	_Atomic uint32_t type; /* 0 = free */
	uint8_t payload_size;
	_Atomic uint8_t flags; /* bit 0: more is waiting, write EOM */
	uint16_t reserved;
	uint64_t sender;
	uint8_t payload[SYNIC_MAX_PAYLOAD];
};

static_assert(sizeof(struct slot) == 256, "16 slots fill a page");
static_assert(offsetof(struct slot, payload) == 16, "payload at 16");

#define SLOT_TYPE_FREE	  0u
#define SLOT_TYPE_VMBUS	  1u
#define SLOT_FLAG_PENDING 1u
#define PAGE_ENABLED	  UINT64_C(1)

/* What stands behind an enabled SIMP or SIEFP, or NULL. */
static void *
sint_area(const struct synic *synic, uint64_t msr)
{
	uint8_t *page;

	if (!(msr & PAGE_ENABLED))
		return NULL;
	page = ram_at(synic->ram, msr & ~UINT64_C(0xfff), 4096);
	return page == NULL ? NULL : page + SYNIC_SINT_VMBUS * 256;
}

static void
interrupt(struct synic *synic, struct synic_vp *vp)
{
	const uint64_t one = 1;

	synic->interrupts++;
	/* An eventfd write fails only at 2^64-1: then an interrupt is pending anyway. */
	if (write(vp->irq_fd, &one, sizeof(one)) < 0)
		return;
}

void
synic_init(struct synic *synic, const struct ram *ram, unsigned int n_vps)
{
	unsigned int i;

	memset(synic, 0, sizeof(*synic));
	synic->ram = ram;
	synic->n_vps = n_vps;
	synic->tail = &synic->head;
	for (i = 0; i < SYNIC_MAX_VPS; i++)
		synic->vp[i].irq_fd = -1;
}

void
synic_destroy(struct synic *synic)
{
	synic_drop(synic);
}

void
synic_set_pages(struct synic *synic, unsigned int vp, uint64_t control, uint64_t event_page,
	uint64_t msg_page)
{
	if (vp >= synic->n_vps)
		return;
	synic->vp[vp].on = control & 1;
	synic->vp[vp].event_page = event_page;
	synic->vp[vp].msg_page = msg_page;
	synic_pump(synic);
}

int
synic_post(struct synic *synic, const void *payload, uint8_t len)
{
	struct synic_message *m = malloc(sizeof(*m));

	if (m == NULL)
		return -ENOMEM;
	m->next = NULL;
	m->len = len;
	memcpy(m->payload, payload, len);
	*synic->tail = m;
	synic->tail = &m->next;
	synic->queued++;
	synic_pump(synic);
	return 0;
}

void
synic_drop(struct synic *synic)
{
	while (synic->head != NULL) {
		struct synic_message *m = synic->head;

		synic->head = m->next;
		free(m);
	}
	synic->tail = &synic->head;
	synic->queued = 0;
}

void
synic_pump(struct synic *synic)
{
	struct synic_vp *vp = &synic->vp[synic->target];
	struct slot *slot;

	if (synic->head == NULL)
		return;
	slot = vp->on ? sint_area(synic, vp->msg_page) : NULL;
	if (slot == NULL) {
		synic_drop(synic);
		return;
	}
	while (synic->head != NULL) {
		struct synic_message *m = synic->head;

		if (atomic_load_explicit(&slot->type, memory_order_acquire) != SLOT_TYPE_FREE) {
			/*
			 * Ask for an EOM, then look again. The guest frees the slot, fences, and
			 * reads the flag: with the fence here either we see the slot free or it
			 * sees the flag.
			 */
			atomic_fetch_or(&slot->flags, SLOT_FLAG_PENDING);
			atomic_thread_fence(memory_order_seq_cst);
			if (atomic_load_explicit(&slot->type, memory_order_acquire) !=
				SLOT_TYPE_FREE)
				return;
		}
		memcpy(slot->payload, m->payload, m->len);
		slot->payload_size = m->len;
		slot->reserved = 0;
		slot->sender = 0;
		atomic_store_explicit(&slot->flags, m->next != NULL ? SLOT_FLAG_PENDING : 0,
			memory_order_relaxed);
		/* Release: the guest reads the message after it has seen the type. */
		atomic_store_explicit(&slot->type, SLOT_TYPE_VMBUS, memory_order_release);
		interrupt(synic, vp);
		synic->head = m->next;
		if (synic->head == NULL)
			synic->tail = &synic->head;
		synic->queued--;
		free(m);
	}
}

bool
synic_signal(struct synic *synic, unsigned int vp, uint32_t relid)
{
	_Atomic uint32_t *flags;
	uint32_t bit = UINT32_C(1) << (relid % 32);

	if (vp >= synic->n_vps || relid == 0 || relid > SYNIC_MAX_RELID || !synic->vp[vp].on)
		return false;
	flags = sint_area(synic, synic->vp[vp].event_page);
	if (flags == NULL)
		return false;
	/* Full barrier: the ring's new write index is visible before the flag. */
	if (!(atomic_fetch_or(&flags[relid / 32], bit) & bit))
		interrupt(synic, &synic->vp[vp]);
	return true;
}
