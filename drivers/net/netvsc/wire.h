/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What goes over the wire, as a trace for Wireshark (lib/trace, doc/trace.md): devarg trace=FILE.
 * Control messages, or with trace_data=1 everything. The primary process's: bursts of others are
 * not seen.
 *
 * A channel that is traced has @a wire. Its bursts then go other ways, which are there anyway (a
 * mode of receive, a bit of netvsc_txq.work), so that a port without a trace pays for none of it. A
 * packet is traced when it is first seen, and before the host can know of it.
 */
#ifndef HP_NETVSC_WIRE_H
#define HP_NETVSC_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "drivers/net/netvsc/channel.h"

struct netvsc_port;
struct netvsc_wire;

/** Bit of netvsc_txq.work that no mbuf has in its ol_flags: the burst ends with wire_out(). */
#define NETVSC_TX_TRACED (UINT64_C(1) << 63)

/**
 * Begin the trace that the devargs ask for. Primary's probe.
 * @return 0, or a negative errno that has been told
 */
int netvsc_wire_begin(struct netvsc_port *port);
/** The file is finished, or left to its writer when it does not take what is left. */
void netvsc_wire_end(struct netvsc_port *port);

/** The rings are there: is the channel one that is traced? Control side. */
void netvsc_wire_opened(struct netvsc_channel *ch);
void netvsc_wire_closed(struct netvsc_channel *ch);
/** Are frames of the channel traced? */
bool netvsc_wire_has_data(const struct netvsc_channel *ch);

/** Trace what has been seen in the inbound ring, up to cached_w. rx_lock held, @a wire is there. */
void netvsc_wire_in(struct netvsc_channel *ch);
/** Trace what has been written to the outbound ring. tx_lock held, @a wire is there. */
void netvsc_wire_out(struct netvsc_channel *ch);
/** The same of one control packet that has just been written there. */
void netvsc_wire_sent(struct netvsc_channel *ch, const void *packet, uint32_t len);

#endif
