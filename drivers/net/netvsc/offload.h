/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Which offloads a port has, and agreeing on them with the host (spec/rndis.md §6). What the host
 * can is asked by every attach and stands in the session; what applications are told is that, less
 * what the driver has no part for; what they configure is sent to the host by every start.
 *
 * The capabilities may be asked on any thread; all else is the control side's, control_lock held.
 */
#ifndef HP_NETVSC_OFFLOAD_H
#define HP_NETVSC_OFFLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_ethdev.h>
#include <ethdev_driver.h>

struct netvsc_port;

/** Offloads that receive and send of this driver know; the host must know its part of them, too. */
#define NETVSC_RX_OFFLOADS                                                                         \
	(RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM |                            \
		RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_VLAN_STRIP |                     \
		RTE_ETH_RX_OFFLOAD_RSS_HASH | RTE_ETH_RX_OFFLOAD_SCATTER |                         \
		RTE_ETH_RX_OFFLOAD_TCP_LRO)
#define NETVSC_TX_OFFLOADS                                                                         \
	(RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM |                            \
		RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_TSO |                        \
		RTE_ETH_TX_OFFLOAD_VLAN_INSERT | RTE_ETH_TX_OFFLOAD_MULTI_SEGS |                   \
		RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE)

/** RTE_ETH_RX_OFFLOAD_* that the host of the last session and the driver can. */
uint64_t netvsc_offload_rx_capa(const struct netvsc_port *port);
/** RTE_ETH_TX_OFFLOAD_*, likewise. */
uint64_t netvsc_offload_tx_capa(const struct netvsc_port *port);

/**
 * Longest frame that the application takes of what is coalesced. ethdev stands the longest frame of
 * the MTU in the place of 0, which limits nothing, nor does what the longest IP packet fits.
 * @return rxmode.max_lro_pkt_size, or 0: all that can be
 */
uint32_t netvsc_lro_limit(const struct rte_eth_rxmode *rx);
/**
 * Is the host to coalesce what the port receives? It has no limit that it can be told, so that it
 * is not where the application has one.
 */
bool netvsc_lro_is_on(const struct rte_eth_dev_data *data);

/**
 * Attach: ask the host what it can, and switch off what it may have left on.
 * @return 0, also when it has no answer that makes sense: then it can nothing
 */
int netvsc_offload_attach(struct netvsc_port *port);
/**
 * Start: have the host do exactly what the application has configured, for the port or a queue.
 * @return 0; -ENOTSUP, -EIO with a message: the host does not do what was asked for
 */
int netvsc_offload_apply(struct netvsc_port *port);

#endif
