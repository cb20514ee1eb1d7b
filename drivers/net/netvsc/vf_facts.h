/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What has happened to a VF, its host and its port. Events of all sources end in one 64-bit word of
 * *facts*: serial, port id, bits. Some are levels (a VF is there), some are marks that stay until
 * the machine has seen them (it has been away meanwhile): so events that come faster than they are
 * looked at lose nothing that matters, and telling one is a single compare-and-swap from any
 * thread. Nothing here does anything: no DPDK, no clock, no lock.
 */
#ifndef HP_NETVSC_VF_FACTS_H
#define HP_NETVSC_VF_FACTS_H

#include <stdbool.h>
#include <stdint.h>

enum netvsc_vf_event {
	NETVSC_VF_HOST_ASSOCIATED,    /**< 128(1); value: the serial */
	NETVSC_VF_HOST_DISASSOCIATED, /**< 128(0) */
	NETVSC_VF_HOST_PATH,	      /**< the host's own 129; value: 0 synthetic, else the VF */
	NETVSC_VF_HOST_ANSWERED,      /**< our 129 is completed */
	NETVSC_VF_FOUND,	      /**< value: port id of the ethdev that is the VF */
	NETVSC_VF_LOST,		      /**< value: port id; another than was found means nothing */
	NETVSC_VF_LINK,		      /**< of the VF that was found; value: 0 down, 1 up */
	/** It resets itself: nothing of it may be called. Value of this and the next two: port id.
	 */
	NETVSC_VF_RECOVERING,
	NETVSC_VF_RECOVERED,
	NETVSC_VF_RECOVERY_FAILED, /**< it is of no use until it is found again, or recovers */
	NETVSC_VF_PORT_STARTED,	   /**< frames may go through a VF: netvsc_vf_join() */
	NETVSC_VF_PORT_STOPPING,
	NETVSC_VF_SESSION_NEW,
	NETVSC_VF_SESSION_GONE, /**< with it goes the association */
	NETVSC_VF_CLOSING,	/**< the last one */
};

#define NETVSC_VF_NONE UINT16_MAX /**< no port id */

/* ---- bits, of vf_facts.c and vf_machine.c ---- */

#define VF_FACT_VF_SHIFT 32
#define VF_FACT_VF	 (UINT64_C(0xffff) << VF_FACT_VF_SHIFT)
#define VF_FACT_SERIAL	 UINT64_C(0xffffffff)
#define VF_FACT_BIT(bit) (UINT64_C(1) << (48 + (bit)))
/* Levels: how it is. */
#define VF_FACT_ASSOCIATED VF_FACT_BIT(0)
#define VF_FACT_FOUND	   VF_FACT_BIT(1)
#define VF_FACT_LINK	   VF_FACT_BIT(2)
#define VF_FACT_RECOVERING VF_FACT_BIT(3)
#define VF_FACT_FAILED	   VF_FACT_BIT(4)
#define VF_FACT_STARTED	   VF_FACT_BIT(5)
#define VF_FACT_SESSION	   VF_FACT_BIT(6)
#define VF_FACT_CLOSING	   VF_FACT_BIT(7)
/* Marks: it was so at some time since they were last taken. */
#define VF_MARK_DISASSOCIATED VF_FACT_BIT(8)
#define VF_MARK_SYNTHETIC     VF_FACT_BIT(9)
#define VF_MARK_ANSWERED      VF_FACT_BIT(10)
#define VF_MARK_LOST	      VF_FACT_BIT(11)
#define VF_MARK_LINK_DOWN     VF_FACT_BIT(12)
#define VF_MARK_RECOVERING    VF_FACT_BIT(13)
#define VF_MARK_STOPPING      VF_FACT_BIT(14)
#define VF_MARK_SESSION_GONE  VF_FACT_BIT(15)

/* ---- functions ---- */

/** Facts after an event. Pure. */
uint64_t netvsc_vf_facts_add(uint64_t facts, enum netvsc_vf_event event, uint32_t value);
/** The same without the marks: what stays when they have been taken. */
uint64_t netvsc_vf_facts_rest(uint64_t facts);
/** A 129 is about to be sent: what was answered before means nothing. */
uint64_t netvsc_vf_facts_unanswered(uint64_t facts);
/** The serial that the host has associated. @return false: none */
bool netvsc_vf_facts_serial(uint64_t facts, uint32_t *serial);
/** Which port is the VF, or NETVSC_VF_NONE. */
uint16_t netvsc_vf_facts_found(uint64_t facts);
bool netvsc_vf_facts_link(uint64_t facts);
/** Does this one reset itself, found or not? */
bool netvsc_vf_facts_recovering(uint64_t facts, uint16_t vf);
/** Has its reset failed? */
bool netvsc_vf_facts_failed(uint64_t facts, uint16_t vf);
/** Is anything known of this one, found or not? */
bool netvsc_vf_facts_know(uint64_t facts, uint16_t vf);
/** May the port use a VF? */
bool netvsc_vf_facts_started(uint64_t facts);
/** Do facts forbid to send (receive) through the VF at once, before the machine looks? */
bool netvsc_vf_facts_cut_tx(uint64_t facts);
bool netvsc_vf_facts_cut_rx(uint64_t facts);

#endif
