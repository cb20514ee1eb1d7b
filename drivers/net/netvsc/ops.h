/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Operations of the ethdev that ethdev.c puts into its table, and what they share: coming and going
 * (probe.c), settings (info.c, rss.c), what is refused (conf.c), housekeeping (events.c), devargs
 * (devargs.c).
 */
#ifndef HP_NETVSC_OPS_H
#define HP_NETVSC_OPS_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_ethdev.h>
#include <rte_ether.h>
#include <ethdev_driver.h>

#include "drivers/bus/vmbus/bus.h"

struct netvsc_port;

/* ---- ethdev.c, probe.c ---- */

extern const struct eth_dev_ops netvsc_ops;
/** What the bursts of the port run into: ours, or functions that do nothing. */
void netvsc_set_bursts(struct rte_eth_dev *eth, bool on);
/**
 * The session carries frames, as everything is configured; no channel runs yet. Control side.
 * @return 0 or a negative errno: it does not
 */
int netvsc_port_up(struct netvsc_port *port);
/** From here the queues are quiet: no burst is inside, and none that comes goes on. */
void netvsc_port_quiet(struct netvsc_port *port);
/**
 * It does not any more: no channel runs, the host delivers nothing, what was in flight has come
 * back, or the session is over.
 */
void netvsc_port_down(struct netvsc_port *port);
/** Free what belongs to a port, which is not attached; not the structure itself. */
void netvsc_port_free(struct netvsc_port *port);
int netvsc_is_removed(struct rte_eth_dev *eth);

/* ---- process.c: the primary, for others ---- */

/**
 * Free memory of rte_malloc() that a burst of another process may be about to look at: when there
 * is no other process any more. Also NULL.
 */
void netvsc_let_go(void *memory);
/**
 * Memory of one session, all zeros, for bursts of all processes; the next session has the same
 * again. @param what a constant: for what. @return NULL: there is none
 */
void *netvsc_session_memory(const char *what, size_t bytes, int socket);
/** The session is over. Also NULL. */
void netvsc_session_memory_free(void *memory);
/** Of struct hpbus_driver. */
void netvsc_process_came(struct hpbus_device *bus);
bool netvsc_process_ready(struct hpbus_device *bus);
bool netvsc_process_ended(struct hpbus_device *bus, unsigned int slot);
uint64_t netvsc_process_call(struct hpbus_device *bus, uint64_t channels);
/**
 * A process is dead: what it has the lock of is free again. Where that was a channel the port is
 * broken. Any process. @return whether it is
 */
bool netvsc_break_locks(struct netvsc_port *port, int holder);

/* ---- secondary.c ---- */

int netvsc_secondary_probe(struct hpbus_device *bus);
int netvsc_secondary_remove(struct hpbus_device *bus);
void netvsc_secondary_changed(struct hpbus_device *bus);
void netvsc_secondary_removed(struct rte_eth_dev *eth);

/* ---- info.c: ethdev operations that look ---- */

int netvsc_infos_get(struct rte_eth_dev *eth, struct rte_eth_dev_info *info);
int netvsc_fw_version(struct rte_eth_dev *eth, char *text, size_t size);

/* ---- settings.c ---- */

/** Packet filter of a port that is started, for all that is set. */
uint32_t netvsc_filter_of(const struct netvsc_port *port);
int netvsc_promiscuous_enable(struct rte_eth_dev *eth);
int netvsc_promiscuous_disable(struct rte_eth_dev *eth);
int netvsc_allmulticast_enable(struct rte_eth_dev *eth);
int netvsc_allmulticast_disable(struct rte_eth_dev *eth);
/** More comes than was asked for: all multicast, unless the list is empty. */
int netvsc_set_mc_addr_list(struct rte_eth_dev *eth, struct rte_ether_addr *list, uint32_t n);
/** Until the port is started again. */
int netvsc_set_link_down(struct rte_eth_dev *eth);
int netvsc_set_link_up(struct rte_eth_dev *eth);
int netvsc_mac_addr_set(struct rte_eth_dev *eth, struct rte_ether_addr *mac);

/* ---- regs.c ---- */

/** Registers (doc/guide.md): what people who look at a hang want to know, as 32-bit words. */
int netvsc_get_reg(struct rte_eth_dev *eth, struct rte_dev_reg_info *info);

/* ---- mtu.c ---- */

/**
 * Change the MTU, stopped or started: with a session for another size of frames where that is
 * needed. What is configured stays; if the host does not allow it, the port goes on with the one
 * that it has.
 */
int netvsc_mtu_set(struct rte_eth_dev *eth, uint16_t mtu);

/* ---- queue_run.c: queues start and stop ---- */

/** The port starts: all queues do that are not deferred. Their states, before the host is told. */
void netvsc_queues_begin(struct netvsc_port *port);
/** The port stops, or did not start: no queue is started. */
void netvsc_queues_end(struct netvsc_port *port);
/** Sends of the queues that are started can complete. */
void netvsc_queues_link(struct netvsc_port *port);
/** No send can complete any more: the queues may be released. */
void netvsc_queues_unlink(struct netvsc_port *port);
/** Bursts may come to the queues that are started. */
void netvsc_queues_run(struct netvsc_port *port);
int netvsc_rx_queue_start(struct rte_eth_dev *eth, uint16_t queue);
int netvsc_rx_queue_stop(struct rte_eth_dev *eth, uint16_t queue);
int netvsc_tx_queue_start(struct rte_eth_dev *eth, uint16_t queue);
int netvsc_tx_queue_stop(struct rte_eth_dev *eth, uint16_t queue);

/* ---- queue_status.c: what others than their lcore ask of queues ---- */

/** Functions of the port that ethdev calls without its table of operations. */
void netvsc_set_status_calls(struct rte_eth_dev *eth);
int netvsc_rx_burst_mode(struct rte_eth_dev *eth, uint16_t queue, struct rte_eth_burst_mode *mode);
int netvsc_tx_burst_mode(struct rte_eth_dev *eth, uint16_t queue, struct rte_eth_burst_mode *mode);

/* ---- rss.c ---- */

/** Read the host's capabilities; a host without RSS leaves one queue. */
int netvsc_rss_query(struct netvsc_port *port);
/** Send key, table and hash types to the host, or switch RSS off. */
int netvsc_rss_apply(struct netvsc_port *port);
void netvsc_rss_default(struct netvsc_port *port);
/**
 * The table with so many @p entries: a queue that is stopped gets nothing, what it would get goes
 * to the others in turn. @return receive queues that take frames; 0: there is no table
 */
uint16_t netvsc_rss_table(const struct netvsc_port *port, uint16_t *table, uint32_t entries);
uint64_t netvsc_rss_offloads(const struct netvsc_port *port);
int netvsc_rss_hash_update(struct rte_eth_dev *eth, struct rte_eth_rss_conf *conf);
int netvsc_rss_hash_conf_get(struct rte_eth_dev *eth, struct rte_eth_rss_conf *conf);
int netvsc_reta_update(
	struct rte_eth_dev *eth, struct rte_eth_rss_reta_entry64 *reta, uint16_t size);
int netvsc_reta_query(
	struct rte_eth_dev *eth, struct rte_eth_rss_reta_entry64 *reta, uint16_t size);

/* ---- conf.c: refuse what is not there ---- */

/** @return 0, or -EINVAL or -ENOTSUP with a message that names the setting */
int netvsc_check_conf(struct netvsc_port *port, const struct rte_eth_conf *conf);
int netvsc_check_txconf(struct netvsc_port *port, uint16_t queue, uint16_t nb_desc,
	const struct rte_eth_txconf *conf);
/** All queues are set up, and receive queues take frames of @p mtu. */
int netvsc_check_queues(struct netvsc_port *port);
/** @param offloads RTE_ETH_RX_OFFLOAD_* of the queue, the port's included */
int netvsc_check_pool(struct netvsc_port *port, uint16_t queue, struct rte_mempool *mp,
	uint32_t mtu, uint64_t offloads);
int netvsc_check_pools(struct netvsc_port *port, uint32_t mtu);
/** Bytes that any mbuf must have room for, also where frames are scattered. */
#define NETVSC_RX_MIN_ROOM 64u
/** Bytes that an mbuf must have room for to take every frame: one with a tag. */
static inline uint32_t
netvsc_rx_room(uint32_t mtu)
{
	return mtu + RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN;
}

/* ---- events.c ---- */

int netvsc_link_update(struct rte_eth_dev *eth, int wait);
int netvsc_events_start(struct netvsc_port *port);
/**
 * Set the alarm if EAL had none when its turn was. For whoever comes by and is inside of the port:
 * every control operation, who looks at link or counters, and netvsc_event(). Never waits.
 */
void netvsc_events_again(struct netvsc_port *port);
/**
 * No tick runs after this; control_lock must not be held.
 * @return false: a thread that was setting the alarm does not go on; it may touch the port
 */
bool netvsc_events_stop(struct netvsc_port *port);

/* ---- intr.c ---- */

struct rte_power_monitor_cond;

/**
 * The port is about to run: if the application wants receive interrupts, there is a descriptor for
 * each receive queue in eth->intr_handle. Control side, channels open.
 * @return 0, or a negative errno
 */
int netvsc_intr_start(struct netvsc_port *port);
/** No queue is armed, no epoll set has the descriptors any more. Channels are not running. */
void netvsc_intr_stop(struct netvsc_port *port);
/** The port is closed, and so is the bus's backend. */
void netvsc_intr_free(struct netvsc_port *port);
/** Wake up whoever waits for a queue: something else has happened. Never waits. */
void netvsc_intr_wake(struct netvsc_port *port);
int netvsc_rx_queue_intr_enable(struct rte_eth_dev *eth, uint16_t queue);
int netvsc_rx_queue_intr_disable(struct rte_eth_dev *eth, uint16_t queue);
int netvsc_get_monitor_addr(void *queue, struct rte_power_monitor_cond *cond);

/* ---- telemetry.c ---- */

/** Have telemetry show a port, whose port_id is free there. Control side. */
void netvsc_telemetry_add(struct netvsc_port *port);
/**
 * Not any more: its memory may go. Control side; also of a port that was not added.
 * @return false: somebody who reads it does not go on
 */
bool netvsc_telemetry_remove(struct netvsc_port *port);

/* ---- devargs.c ---- */

/**
 * The name of a device's port: what the devargs say, else its GUID.
 * @return 0, or -EINVAL with a message: not a name, or another port's
 */
int netvsc_devargs_name(const struct hpbus_device *bus, char name[RTE_ETH_NAME_MAX_LEN]);
/** Read the devargs of a device. @return 0, or -EINVAL with a message that names the key. */
int netvsc_devargs_parse(struct netvsc_port *port, const struct rte_devargs *devargs);

#endif
