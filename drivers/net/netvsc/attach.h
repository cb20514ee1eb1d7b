/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Attaching and detaching a session: which one a port has (session.c), the bring-up ladder and its
 * way down (attach.c). Control side only; control_lock is held.
 */
#ifndef HP_NETVSC_ATTACH_H
#define HP_NETVSC_ATTACH_H

#include <stdbool.h>
#include <stdint.h>

#include "drivers/net/netvsc/port.h"

/* ---- session.c; no channel is NETVSC_CHANNEL_RUNNING ---- */

/**
 * Have the first session, with one channel, and find out how large an MTU the host allows:
 * limits.mtu. That can take several sessions.
 */
int netvsc_session_first(struct netvsc_port *port);
/**
 * Have a session with so many channels for this MTU, with sections divided for the device's queues:
 * the one that is attached, or another one in its place.
 * @return 0; -ENOSPC: the host granted fewer channels; -EINVAL: it does not allow the MTU; or a
 *         negative errno. Unless 0 there may be no session, or one with less than what was wanted
 */
int netvsc_session_want(struct netvsc_port *port, unsigned int channels, uint32_t mtu);
/** What a host is asked for so that frames of @p mtu pass: none honours less than 1500. */
static inline uint32_t
netvsc_session_mtu(uint32_t mtu)
{
	return mtu > NETVSC_DEFAULT_MTU ? mtu : NETVSC_DEFAULT_MTU;
}
/** Have another session, with one channel. */
int netvsc_session_renew(struct netvsc_port *port);
/**
 * Have none. @return 0; -EBUSY: a channel is stuck, and the session stays; or why the host was not
 * fenced off: nothing in flight may be touched
 */
int netvsc_session_end(struct netvsc_port *port);

/**
 * The device is away: have no session, and close the backend. What is in flight is over, what the
 * application holds of the receive buffer is its own.
 * @return 0; -EBUSY: somebody is inside of a channel or waits for words in its rings, and all stays
 */
int netvsc_session_lost(struct netvsc_port *port);

/* ---- attach.c ---- */

/**
 * Bring the device up: NVSP and RNDIS negotiation with @p channels channels.
 * @return 0; -E2BIG: the host has no receive sections for an @p mtu of more than 1500, which is not
 *         said; or a negative errno
 */
int netvsc_attach(struct netvsc_port *port, unsigned int channels, uint32_t mtu);
/**
 * Ask for subchannels of a session that has none and has not asked yet, and open what is granted;
 * with an error the session has to be replaced.
 * @param channels to have then, with the primary
 */
int netvsc_attach_subchannels(struct netvsc_port *port, unsigned int channels);
/**
 * Take it down (spec/nvsp.md §10) and close all channels; idempotent, bounded.
 * @param reset fence off what is in flight and stay open; false: backend->close() follows and does
 * @return 0; -EBUSY: a channel is stuck, and the session stays; or why the fence failed:
 *         port->unfenced is set
 */
int netvsc_detach(struct netvsc_port *port, bool reset);
/** Make the host let go of all memory; the channels are closed. Sets port->unfenced. */
int netvsc_fence(struct netvsc_port *port);
/** Say why there is no such MTU. @param most there is */
void netvsc_refuse_mtu(const struct netvsc_port *port, uint32_t mtu, uint32_t most);
int netvsc_set_filter(struct netvsc_port *port, uint32_t filter);
/** Have the host know the port by this address; 0 when it does. */
int netvsc_set_mac(struct netvsc_port *port, const struct rte_ether_addr *mac);
/**
 * Let the port go by the address that the host knows it by.
 * @return 0; -ECANCELED: who closes the port has given up waiting, and that place is ethdev's
 */
int netvsc_own_mac(struct netvsc_port *port);
/** Ask the host for link state and speed. */
int netvsc_query_link(struct netvsc_port *port);

#endif
