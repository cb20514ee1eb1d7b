/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Mbufs of the port's own, for frames that are too long for a section of the send buffer and lie
 * where the host cannot read, such as VPP's buffers: they are copied here, and sent by reference.
 * There are some only where frames get that long and the pool of a receive queue has such memory.
 */
#ifndef HP_NETVSC_TX_SPARE_H
#define HP_NETVSC_TX_SPARE_H

#include <rte_mbuf.h>

struct netvsc_port;

/** Get them, when the port is started and has a session. Control side. */
void netvsc_tx_spare_begin(struct netvsc_port *port);
/** The port is closed, and its queues are released. */
void netvsc_tx_spare_end(struct netvsc_port *port);
/**
 * Copy a frame, which stays the caller's. The sending lcore.
 * @return 0; -EMSGSIZE there are none, or none so long; -ENOBUFS all are with the host
 */
int netvsc_tx_spare_copy(
	const struct netvsc_port *port, const struct rte_mbuf *m, struct rte_mbuf **copy);

#endif
