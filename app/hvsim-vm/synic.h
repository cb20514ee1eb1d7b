/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The host's side of the guest's synthetic interrupt controllers: the queue of VMBus messages to
 * the guest and the event flags of its channels (spec/hyperv-host-on-kvm.md §7).
 *
 * Everything here runs under the bus lock. It knows nothing of KVM: an interrupt is a write to
 * an eventfd, an acknowledgement arrives by calling synic_pump().
 */
#ifndef HVSIM_VM_SYNIC_H
#define HVSIM_VM_SYNIC_H

#include <stdbool.h>
#include <stdint.h>

#include "app/hvsim-vm/ram.h"

#define SYNIC_MAX_VPS	  32u
#define SYNIC_SINT_VMBUS  2u
#define SYNIC_MAX_PAYLOAD 240u
/** Relids are event flag numbers; 0 is reserved. */
#define SYNIC_MAX_RELID 2047u

struct synic_vp {
	bool on;	     /**< SCONTROL bit 0 */
	uint64_t msg_page;   /**< SIMP as the guest wrote it; bit 0 = enabled */
	uint64_t event_page; /**< SIEFP likewise */
	int irq_fd;	     /**< a write of 1 raises SINT2 on this VP */
};

struct synic_message {
	struct synic_message *next;
	uint8_t len;
	uint8_t payload[SYNIC_MAX_PAYLOAD];
};

struct synic {
	const struct ram *ram;
	unsigned int n_vps;
	struct synic_vp vp[SYNIC_MAX_VPS];
	unsigned int target; /**< VP that gets messages */
	struct synic_message *head, **tail;
	unsigned int queued;
	uint64_t interrupts; /**< raised so far, for statistics */
};

void synic_init(struct synic *synic, const struct ram *ram, unsigned int n_vps);
void synic_destroy(struct synic *synic);

/** The guest wrote SCONTROL, SIMP or SIEFP of @p vp (raw values). */
void synic_set_pages(struct synic *synic, unsigned int vp, uint64_t control, uint64_t event_page,
	uint64_t msg_page);

/**
 * Queue a VMBus message of @p len <= SYNIC_MAX_PAYLOAD bytes and send what can be sent. Messages
 * are never dropped while the guest listens: it waits for each answer without a time limit.
 * @return 0 or -ENOMEM
 */
int synic_post(struct synic *synic, const void *payload, uint8_t len);

/**
 * Try to move queued messages into the guest's slot: after an acknowledgement, and on a timer
 * while something is queued.
 */
void synic_pump(struct synic *synic);

/** Forget all queued messages (the guest starts over or is gone). */
void synic_drop(struct synic *synic);

/**
 * Set the event flag @p relid (1..SYNIC_MAX_RELID) on @p vp and interrupt it if it was clear.
 * @return false when the VP's event page is not enabled
 */
bool synic_signal(struct synic *synic, unsigned int vp, uint32_t relid);

#endif
