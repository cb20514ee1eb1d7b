/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The flight recorder: what happened on the control path of a port, always on. A ring of events in
 * the port's memory, without pointers, so that another process can read it. Whoever notes something
 * never waits: any thread, the rare paths of bursts included, and handlers of signals.
 *
 * An event has a number. It is noted in slot "number modulo ring", under a word of the slot that
 * says which number is there and whether it is complete (flight.c).
 */
#ifndef HP_NETVSC_FLIGHT_H
#define HP_NETVSC_FLIGHT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/netvsp/nvsp.h"

#define NETVSC_FLIGHT_EVENTS 256u /**< that are kept; a power of two */
#define NETVSC_FLIGHT_LAST   4u	  /**< slots for the last one of a kind (flight.c) */
#define NETVSC_FLIGHT_TEXT   40u  /**< bytes of an event's text, its end included */
#define NETVSC_FLIGHT_LINE   128u /**< bytes of an event as netvsc_flight_line() writes it */

/**
 * What an event tells. Of some kinds the last one is what the port is like (netvsc_flight_last()).
 */
enum netvsc_flight_kind {
	NETVSC_FLIGHT_SENT,	      /**< code: NVSP type; value: what is in it (see flight.c) */
	NETVSC_FLIGHT_RECEIVED,	      /**< the same: answers and notices */
	NETVSC_FLIGHT_RNDIS_SENT,     /**< code: RNDIS type; value: OID */
	NETVSC_FLIGHT_RNDIS_RECEIVED, /**< code: RNDIS type; value: RNDIS status */
	NETVSC_FLIGHT_UNANSWERED,     /**< text: which request; value: negative errno */
	NETVSC_FLIGHT_STATE,	      /**< text: what the port became; value: negative errno or 0 */
	NETVSC_FLIGHT_BROKEN,	      /**< text: why the port is broken */
	NETVSC_FLIGHT_LINK,	      /**< text: up or down; value: Mbit/s */
	NETVSC_FLIGHT_MTU,	      /**< value: bytes; code: -errno of the change, 0 */
	NETVSC_FLIGHT_FENCE,	      /**< a reset of the device; value: negative errno or 0 */
	NETVSC_FLIGHT_PATH,	      /**< which path data takes. value: 0 synthetic, 1 VF */
	NETVSC_FLIGHT_VF,	      /**< text: what the virtual function is; value: as of STATE */
	NETVSC_FLIGHT_RECOVERY,	      /**< text: what of which; value: negative errno or 0 */
	NETVSC_FLIGHT_KINDS
};

/** An event, as read. */
struct netvsc_flight_event {
	uint64_t tsc;
	uint32_t kind; /**< enum netvsc_flight_kind */
	uint32_t code;
	int64_t value;
	char text[NETVSC_FLIGHT_TEXT]; /**< with its end, whatever was written */
};

/** Number of an event and whether it is complete, then its words. */
struct netvsc_flight_slot {
	_Atomic uint64_t turn;
	_Atomic uint64_t words[sizeof(struct netvsc_flight_event) / 8];
};

/** All zero is an empty one. */
struct netvsc_flight {
	uint64_t epoch;	       /**< TSC that times count from */
	uint16_t port_id;      /**< for trace points */
	_Atomic uint64_t next; /**< number of the next event, and how many there were */
	_Atomic uint64_t lost; /**< events that found their slots being written */
	_Atomic uint64_t count[NETVSC_FLIGHT_KINDS];
	struct netvsc_flight_slot last[NETVSC_FLIGHT_KINDS][NETVSC_FLIGHT_LAST];
	struct netvsc_flight_slot ring[NETVSC_FLIGHT_EVENTS];
};

/** Times count from now on. Before anybody else knows the port. */
void netvsc_flight_init(struct netvsc_flight *flight, uint16_t port_id);
/** Note an event. Any thread, never waits. @param text NULL: none; cut to NETVSC_FLIGHT_TEXT - 1 */
void netvsc_flight_note(struct netvsc_flight *flight, enum netvsc_flight_kind kind, uint32_t code,
	int64_t value, const char *text);
/** Note a message: NETVSC_FLIGHT_SENT or NETVSC_FLIGHT_RECEIVED. */
void netvsc_flight_nvsp(
	struct netvsc_flight *flight, enum netvsc_flight_kind kind, const struct nvsp_message *msg);

/** Events so far; the last NETVSC_FLIGHT_EVENTS of them are there. */
static inline uint64_t
netvsc_flight_total(const struct netvsc_flight *flight)
{
	return atomic_load_explicit(&flight->next, memory_order_acquire);
}

/**
 * Read event number @p n. Any thread of any process that has the port's memory; never waits.
 * @return false: it is not there any more, or not yet
 */
bool netvsc_flight_read(
	const struct netvsc_flight *flight, uint64_t n, struct netvsc_flight_event *event);
/** The last event of a kind. @return false: there was none, or all its slots are being written */
bool netvsc_flight_last(const struct netvsc_flight *flight, enum netvsc_flight_kind kind,
	struct netvsc_flight_event *event);

/** Microseconds from the epoch to an event. */
uint64_t netvsc_flight_us(
	const struct netvsc_flight *flight, const struct netvsc_flight_event *event);
/** An event in a line of text without its end, such as "0.001234 sent INIT 0x60001". */
void netvsc_flight_line(const struct netvsc_flight *flight, const struct netvsc_flight_event *event,
	char line[NETVSC_FLIGHT_LINE]);
/** Print all events that are there, oldest first. */
void netvsc_flight_dump(const struct netvsc_flight *flight, FILE *f);

#endif
