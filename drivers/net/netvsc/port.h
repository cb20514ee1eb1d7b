/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A port: what the application wants (config), what this attach learned from the host (session),
 * and what lives as long as the device is open. Ownership and threads:
 *
 * - struct netvsc_port belongs to the control side: ethdev operations. They are serialised by the
 *   application and take @a control_lock once each (control.h), because the housekeeping alarm is
 *   an extra caller, which tries it.
 * - struct netvsc_channel (channel.h) owns both directions of one channel. Everything inbound is
 *   under its rx_lock, the outbound ring under its tx_lock; each is taken at most once per burst.
 *   Order: rx_lock before tx_lock; a holder of tx_lock never takes an rx_lock. Its state, changed
 *   with both held, says whether bursts may be inside. No operation waits for a lock for longer
 * than it may take: its holder may be dead, or interrupted by who waits (channel_lock.c).
 * - struct netvsc_rxq (rx.h) and netvsc_txq (tx.h) belong to the lcore that polls them; they refer
 *   to a channel. What a receiving lcore learns about sends (completions) travels to the sending
 *   lcore through netvsc_txq.completed, a single-producer (rx_lock) single-consumer ring.
 */
#ifndef HP_NETVSC_PORT_H
#define HP_NETVSC_PORT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_log.h>
#include <rte_memzone.h>
#include <rte_spinlock.h>
#include <ethdev_driver.h>

#include "drivers/bus/vmbus/bus.h"
#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/control.h"
#include "drivers/net/netvsc/flight.h"
#include "drivers/net/netvsc/host_stats.h"
#include "drivers/net/netvsc/recover.h"
#include "drivers/net/netvsc/sections.h"
#include "drivers/net/netvsc/stats.h"
#include "drivers/net/netvsc/vf.h"
#include "lib/netvsp/ndis.h"

extern int netvsc_logtype;
#define NETVSC_LOG(level, port, ...)                                                               \
	rte_log(RTE_LOG_##level, netvsc_logtype,                                                   \
		RTE_FMT("hyperpoll: %s: " RTE_FMT_HEAD(__VA_ARGS__, ) "\n",                        \
			netvsc_bus_of(port)->name, RTE_FMT_TAIL(__VA_ARGS__, )))

#define NETVSC_DEFAULT_MTU   1500u
#define NETVSC_MAX_MTU	     9216u /**< that a host is asked for; none is known to have more */
#define NETVSC_UNDIVIDED     UINT32_MAX
#define NETVSC_RETA_MAX	     NDIS_RSS_TABLE_MAX
#define NETVSC_RSS_KEY_LEN   40u
#define NETVSC_MULTICAST_MAX 64u  /**< addresses that are kept of a multicast list */
#define NETVSC_VF_ARGS_MAX   512u /**< bytes of a VF's devargs */

/** Bits of netvsc_port.state, an early exit for bursts; netvsc_channel.state decides. */
#define NETVSC_STATE_RUNNING	0x1u
#define NETVSC_STATE_GONE	0x2u  /**< the host or the device went away for good */
#define NETVSC_STATE_BROKEN	0x4u  /**< the host broke the protocol; needs reset */
#define NETVSC_STATE_LINK_DOWN	0x8u  /**< the application has taken the link down */
#define NETVSC_STATE_RECOVERING 0x10u /**< it went away, and is waited for (recover.h) */

/** Nothing that was asked of the host or is in flight comes back. */
#define NETVSC_STATE_NO_HOST (NETVSC_STATE_GONE | NETVSC_STATE_BROKEN | NETVSC_STATE_RECOVERING)

/** Bits of netvsc_port.events: set by netvsc_event(), handled by the housekeeping alarm. */
#define NETVSC_EVENT_LINK	0x1u
#define NETVSC_EVENT_GONE	0x2u
#define NETVSC_EVENT_RESET	0x4u
#define NETVSC_EVENT_FLAP	0x8u  /**< announce the link as down, then up (network change) */
#define NETVSC_EVENT_WAKE	0x10u /**< wake up whoever waits for a queue */
#define NETVSC_EVENT_RECOVERING 0x20u
#define NETVSC_EVENT_RECOVERED	0x40u
#define NETVSC_EVENT_FAILED	0x80u  /**< it did not recover */
#define NETVSC_EVENT_VF		0x100u /**< another process has told something of a VF */

/** netvsc_port.alarm: the housekeeping alarm (events.c). */
enum netvsc_alarm {
	NETVSC_ALARM_OFF,    /**< not begun, or stopped for good */
	NETVSC_ALARM_SET,    /**< a tick runs, or will */
	NETVSC_ALARM_MISSED, /**< EAL had none for us: set with the next call or event */
};

struct netvsc_channel;
struct netvsc_rx_lender;
struct netvsc_sizes;
struct netvsc_txq;
struct netvsc_wire;

/** Receive side scaling as the application wants it; rss.c. */
struct netvsc_rss {
	uint64_t hf; /**< hash types as asked for; the host may not have all of them */
	bool user;   /**< the table is the user's, not derived */
	uint16_t reta[NETVSC_RETA_MAX]; /**< queues; a shorter table is repeated */
	uint8_t key[NETVSC_RSS_KEY_LEN];
};

/** What the application and the user want; replayed onto every session. */
struct netvsc_config {
	bool mac_user; /**< the application has set the address: */
	struct rte_ether_addr mac;
	bool promiscuous, all_multicast;
	uint32_t n_multicast; /**< addresses in its multicast list */
	struct rte_ether_addr multicast[NETVSC_MULTICAST_MAX]; /**< the first of them */
	struct netvsc_rss rss;
	uint32_t ptypes; /**< RTE_PTYPE_*_MASK: packet types are told of these layers */
	uint16_t mtu;	 /**< ethdev's, which is told it when the operation is over */

	/* Devargs. */
	uint32_t tx_copybreak;
	uint32_t rx_copybreak; /**< longer frames stay where they are; NETVSC_RX_COPY_ALL */
	uint32_t latency_ns;
	bool size_stats;
	bool ignore_vf;
	uint32_t recovery_s; /**< a device that went away is waited for so long; 0: not at all */
	char vf[RTE_ETH_NAME_MAX_LEN];	  /**< which ethdev is the VF, "": found out */
	char vf_args[NETVSC_VF_ARGS_MAX]; /**< devargs that its device is attached with */
	char trace[256];		  /**< file of the trace, "": none */
	bool trace_data;		  /**< of frames, too */
	uint32_t trace_snaplen;
};

/**
 * What one attach learned from the host and agreed with it. Replaced as a whole: all as in
 * netvsc_session_none unless attached.
 */
struct netvsc_session {
	bool attached;
	uint32_t nvsp_version;
	struct rte_ether_addr mac;	   /**< that the host knows the port by */
	uint32_t recv_section, recv_count; /**< bytes of a section, sections */
	uint32_t send_section, send_count;
	uint32_t max_messages; /**< RNDIS messages per send */
	uint32_t max_transfer; /**< bytes of RNDIS per send */
	uint32_t alignment;    /**< of messages in one send */
	uint32_t asked_mtu;    /**< IP MTU that we asked for */
	uint32_t host_mtu;     /**< ... that the host allows of it, 0: it does not say */
	uint32_t mtu;	       /**< ... of which frames can be sent, too */
	uint32_t max_queues;
	uint32_t n_channels;	/**< open, including the primary */
	bool subchannels_asked; /**< which a session does once (spec/nvsp.md §8) */
	uint32_t filter;	/**< packet filter as last set */
	bool recv_connected, send_connected;
	uint32_t control_section;      /**< section kept for control messages in copy-only mode */
	uint32_t reta_size;	       /**< a power of two */
	uint32_t rss_caps;	       /**< NDIS capability flags, 0 = the host has none */
	struct ndis_offloads offloads; /**< that the host can do */
	uint32_t offloads_on;	       /**< and does: NDIS_CAN_* */
};

extern const struct netvsc_session netvsc_session_none;

/** What dev_info tells, attached or not: what the last session that came up had. */
struct netvsc_limits {
	uint32_t nvsp_version;
	uint32_t mtu; /**< largest that any session was seen to have */
	uint32_t max_queues;
	uint32_t reta_size;
	uint32_t rss_caps;
	struct ndis_offloads offloads;
};

/** What the host said of the link last. */
struct netvsc_link {
	_Atomic uint32_t up;
	_Atomic uint32_t speed; /**< units of 100 bit/s */
};

/**
 * Channels on which the host would have flows, by their hash (spec/nvsp.md §8): told to who asks.
 * Written with rx_lock of channel 0, read by anybody.
 */
struct netvsc_send_table {
	_Atomic uint32_t tables;			   /**< that came in this session */
	_Atomic uint32_t channel[NVSP_SEND_TABLE_ENTRIES]; /**< UINT32_MAX: none was named */
};

/** Shared by all processes that have the port (process.h). */
struct netvsc_port {
	/** The primary's, for its control side; what runs in any process has netvsc_bus_of(). */
	struct hpbus_device *bus;
	struct rte_eth_dev *eth; /**< as @a bus; what all share of it is @a data */
	struct rte_eth_dev_data *data;
	uint16_t port_id;
	struct hpbus_buffer recv; /**< of the device: what receive reads */
	_Atomic uint32_t state;
	_Atomic uint32_t events;
	_Atomic uint32_t alarm;	 /**< enum netvsc_alarm */
	_Atomic uint32_t arming; /**< threads that may be setting it: a close waits for them */
	atomic_bool alarm_said;	 /**< that it was missed, until it is set again */
	atomic_bool others;	 /**< there is, or was, a secondary: nothing is lent */
	bool started;		 /**< as netvsc_start() and netvsc_stop() left it; control_lock */
	bool bus_closed;	 /**< the backend is, while a device is waited for */
	struct netvsc_recovery recovery;
	atomic_bool monitored;	      /**< since its start: somebody reads a ring without us */
	_Atomic uint32_t n_intr;      /**< receive queues that can be armed (intr.c) */
	pthread_mutex_t control_lock; /**< netvsc_control_begin() */
	struct netvsc_counts counts;
	struct netvsc_sizes *sizes; /**< NULL: nobody asked for them (sizes.h) */

	/**
	 * The host may still read what was sent: a reset that should have fenced it off failed.
	 * Until the device is closed (or a reset succeeds) nothing in flight is freed or used
	 * again.
	 */
	bool unfenced;
	struct netvsc_txq *quarantine; /**< released with sends in flight while unfenced */

	struct netvsc_config config;
	struct netvsc_session session;
	struct netvsc_limits limits;
	struct netvsc_link link;
	struct netvsc_send_table send_table;
	struct netvsc_section_pool sections;
	struct netvsc_rx_lender *lender; /**< NULL: receive copies all */
	bool few_sections;		 /**< it does for that, as has been said */
	struct netvsc_rx_pool done_pool; /**< of this session */
	struct rte_mempool *spare; /**< for frames that nobody can name (tx_spare.h), or NULL */
	uint32_t section_queues;   /**< queues the pool is divided for, or NETVSC_UNDIVIDED */

	struct netvsc_request request;
	struct netvsc_host_stats host_stats;
	uint64_t next_trans_id;
	uint32_t next_rndis_id;
	const struct rte_memzone *control_zone; /**< pages that requests are sent from */
	bool control_usable;

	struct netvsc_vf *vf; /**< the primary process's; NULL: it has none and will not have one */
	struct netvsc_vf_shared vf_shared;
	struct netvsc_wire *wire; /**< the primary process's trace; NULL: none */

	struct netvsc_channel *channels[HPBUS_MAX_CHANNELS];
	struct netvsc_vf_queue vf_rx[HPBUS_MAX_CHANNELS], vf_tx[HPBUS_MAX_CHANNELS];
	struct netvsc_flight flight; /**< what happened on the control path */
};

static inline struct netvsc_port *
netvsc_port_of(const struct rte_eth_dev *eth)
{
	return eth->data->dev_private;
}

/**
 * This process's device under a port. The primary's is the port's: ethdev forgets its own when the
 * port is closed, and the burst that a closing handler has interrupted goes on.
 */
static inline struct hpbus_device *
netvsc_bus_of(const struct netvsc_port *port)
{
	if (likely(netvsc_is_primary()))
		return port->bus;
	return rte_eth_devices[port->port_id].process_private;
}

/** Processes that have all of the port's memory mapped as it is now. Control side. */
static inline uint64_t
netvsc_processes(const struct netvsc_port *port)
{
	return NETVSC_PRIMARY | hpbus_processes(port->bus);
}

/** Is a device that went away waited for? Then nothing can be asked of it. */
static inline bool
netvsc_port_recovers(const struct netvsc_port *port)
{
	return (atomic_load(&port->state) & NETVSC_STATE_RECOVERING) != 0;
}

/** If the device is away: is it waited for, or will it be? Not for a port that nobody knows yet. */
static inline bool
netvsc_port_may_recover(const struct netvsc_port *port)
{
	return port->config.recovery_s != 0 && port->bus->driver_data == port &&
	       !(atomic_load(&port->state) & NETVSC_STATE_GONE);
}

/** What an operation says to a device that is away, in a message. @return -EAGAIN or -ENODEV */
int netvsc_port_away(struct netvsc_port *port);

/**
 * Something has happened: the housekeeping tells the application. Any thread, a burst included;
 * never waits.
 * @param events NETVSC_EVENT_*
 */
void netvsc_event(struct netvsc_port *port, uint32_t events);

/** The host broke the ring or the protocol: stop the port, tell the application once. */
void netvsc_port_broken(struct netvsc_port *port, const char *why);

#endif
