/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The ethdev below a port: what is known of it. Shared by vf_find.c (which one it is), vf_slot.c
 * (what Linux says of it), vf_plug.c (having EAL attach and detach it), vf_removal.c (others detach
 * it), vf_hold.c (taking and leaving it), vf_port.c and vf_settings.c (making it what the port is),
 * vf_want.c (which is what), vf_queues.c (whose memory it has) and vf_stats.c (what it counts).
 *
 * One object for each port that looks for a VF, from netvsc_vf_find_start() on; it is freed when
 * neither the port (netvsc_vf_find_stop()) nor its control thread (netvsc_vf_setup_free()) needs it
 * any more. What its comments do not give to somebody is under @a netvsc_vf_lock: that is held for
 * loads, stores, netvsc_vf_event() and for taking ownership, never around a call into a driver.
 * Such calls are made with @a calls held, on the control thread (or the one that brings the port
 * up). What others are told of them is a copy (vf_told.h).
 */
#ifndef HP_NETVSC_VF_DEV_H
#define HP_NETVSC_VF_DEV_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_spinlock.h>

#include "drivers/bus/vmbus/bus.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/vf_port.h"
#include "drivers/net/netvsc/vf_told.h"

#define NETVSC_VF_NAME_MAX 64u /**< of a device or bus */
/** Characters of a reason: what telemetry takes. */
#define NETVSC_VF_WHY_MAX  128u
#define NETVSC_VF_KEY_MAX  64u /**< bytes of an RSS key; no VF is known to have a longer one */
#define NETVSC_VF_RETA_MAX 512u

/** For who has only a name of the port. */
#define NETVSC_VF_LOG(level, name, ...)                                                            \
	rte_log(RTE_LOG_##level, netvsc_logtype,                                                   \
		RTE_FMT("hyperpoll: %s: " RTE_FMT_HEAD(__VA_ARGS__, ) "\n", name,                  \
			RTE_FMT_TAIL(__VA_ARGS__, )))

/** What is remembered of a device as long as the process lives: it is plugged again (V11). */
struct netvsc_vf_record {
	TAILQ_ENTRY(netvsc_vf_record) next;
	char bus[NETVSC_VF_NAME_MAX], device[NETVSC_VF_NAME_MAX];
	char args[NETVSC_VF_ARGS_MAX];
	bool ours; /**< it was there, and was detached when the port was closed */
	bool left; /**< it is to be detached: EAL was not free to do it */
	uint8_t rss_key[NETVSC_VF_KEY_MAX]; /**< to which ethdev keeps a pointer */
};

struct netvsc_vf_dev {
	TAILQ_ENTRY(netvsc_vf_dev) next;
	struct netvsc_port *port; /**< NULL: it has stopped looking */
	unsigned int refs;
	char name[RTE_ETH_NAME_MAX_LEN]; /**< of the port; constant, as are @a owner to @a args */
	struct rte_eth_dev_owner owner;
	struct rte_ether_addr mac;	 /**< the port's as the host gave it */
	char want[RTE_ETH_NAME_MAX_LEN]; /**< devarg vf=, or "" */
	char args[NETVSC_VF_ARGS_MAX];	 /**< devarg vf_args=, or "" */

	/* The ethdev that is reserved. */
	uint16_t held; /**< its port id, or NETVSC_VF_NONE */
	bool told;     /**< it was reported as found, */
	bool gone;  /**< ... and as lost since: until netvsc_vf_disown() nobody is held instead */
	bool owned; /**< from netvsc_vf_own() to netvsc_vf_disown() */
	bool destroyed; /**< it does not exist any more */
	bool removed;	/**< its device goes, or is gone */
	bool removing;	/**< ... and somebody is removing it: nobody else looks at it */
	bool reset;	/**< it asked for rte_eth_dev_reset() */
	bool configured;
	bool attached; /**< its device was attached by us */
	bool pci;
	bool has_queues; /**< like the port's: it has memory of the application's pools */
	bool keeps_them; /**< ... and that it gives that back was waited for in vain */
	struct netvsc_vf_record *record;

	bool associated;
	uint32_t serial;
	char slot[NETVSC_VF_NAME_MAX]; /**< PCI device with that serial, "" unknown */
	char why[NETVSC_VF_WHY_MAX];   /**< why it is not used, "" unknown */

	/* The control thread's. */
	char busy[RTE_ETH_NAME_MAX_LEN]; /**< ethdev of which was said that others use it */
	bool is_busy;			 /**< others use one that would be it */
	char tried[NETVSC_VF_NAME_MAX];	 /**< device that could not be attached, */
	char driver[NETVSC_VF_NAME_MAX]; /**< ... what Linux had for it then, */
	int64_t try_at, try_after;	 /**< ... when it is tried again, and after how long */
	bool attach_waits; /**< other ports' devices, or other processes, are in the way */
	char said[256];	   /**< why it is not used, as was said */
	bool replaying;
	bool one_mode; /**< its only one is not what is wanted, as was said */

	pthread_mutex_t calls;
	struct rte_eth_dev_info info; /**< of the one that is held */
	bool has_info;

	struct netvsc_vf_told *shared; /**< a reference */
	uint32_t holds;		       /**< so far */
};

TAILQ_HEAD(netvsc_vf_list, netvsc_vf_dev);
extern rte_spinlock_t netvsc_vf_lock;
extern struct netvsc_vf_list netvsc_vf_list; /**< of ports that look for their VF */

/* ---- vf_find.c ---- */

/** The VF of a port, or NULL. With the lock held, or by whom the port would wait for. */
struct netvsc_vf_dev *netvsc_vf_dev_of(const struct netvsc_port *port);
/**
 * The same with a reference, to be given back by netvsc_vf_unref(). The lock is not held.
 * @return false: nobody knows, because who has the lock does not go on (this thread may have
 * interrupted him)
 */
bool netvsc_vf_ref(const struct netvsc_port *port, struct netvsc_vf_dev **dev);
/** Learn what the VF can, unless that is known or a call into its driver is going on. */
void netvsc_vf_know(struct netvsc_vf_dev *dev);

/** It is not there any more, or not for long. The lock is held. */
void netvsc_vf_tell_lost(struct netvsc_vf_dev *dev);

/* ---- vf_removal.c ---- */

/** From now on removals of devices of bus @p name wait until VFs are left. The lock is held. */
void netvsc_vf_meet_removals(const char *name);
/** Is it about to be removed? Then it counts as one without a link. The lock is not held. */
bool netvsc_vf_goes(struct netvsc_vf_dev *dev);
/** Paths to it are off: no burst is inside when this returns, or that is said. No lock is held. */
void netvsc_vf_await_quiet(struct netvsc_vf_dev *dev);

/* ---- vf_slot.c: control side; sysfs is small files, read at once ---- */

/** The PCI function of a serial number, "": there is none (yet). */
void netvsc_vf_slot(uint32_t serial, char name[NETVSC_VF_NAME_MAX]);
/** Does a slot, of whichever serial number, have this function? */
bool netvsc_vf_has_slot(const char *device);
/** Is there such a function in the machine? */
bool netvsc_vf_function(const char *device);
/** What Linux has for a function: its driver, and what that has made of it. */
void netvsc_vf_driver(const char *device, char text[NETVSC_VF_NAME_MAX]);

/* ---- vf_hold.c ---- */

int netvsc_vf_owner_new(uint64_t *id);

/** An ethdev as others may see it: what decides whether it is a VF. */
struct netvsc_vf_candidate {
	uint16_t id;
	bool usable; /**< its probe is over */
	bool ours;   /**< a port of this driver */
	bool started;
	uint64_t owner;
	char name[RTE_ETH_NAME_MAX_LEN];
	char bus[NETVSC_VF_NAME_MAX], device[NETVSC_VF_NAME_MAX];
	char args[NETVSC_VF_ARGS_MAX];
	struct rte_ether_addr mac;
};

/** @return false: there is no such ethdev */
bool netvsc_vf_candidate(uint16_t id, struct netvsc_vf_candidate *c);
/** Is the one that is held still there, and ours? The lock is held. */
bool netvsc_vf_is_there(const struct netvsc_vf_dev *dev);
/** Does it reset itself? Then nothing of it may be called. The lock is held. */
bool netvsc_vf_is_recovering(const struct netvsc_vf_dev *dev);
/** Reserve an ethdev: applications that iterate do not see it any more. The lock is held. */
int netvsc_vf_hold(struct netvsc_vf_dev *dev, const struct netvsc_vf_candidate *c);
/** It is not the VF; who sees it may have it. The lock is held; it was not reported. */
void netvsc_vf_let_go(struct netvsc_vf_dev *dev);
/** Nobody reports anything of this object any more, or needs it: the last one frees it. */
void netvsc_vf_unref(struct netvsc_vf_dev *dev);
/** What is known of a device, by its name; the lock is held. NULL: no memory */
struct netvsc_vf_record *netvsc_vf_record(const char *bus, const char *device);
/** A device that is to be detached, NULL: none. The lock is held. */
struct netvsc_vf_record *netvsc_vf_record_left(void);
/** The one that a device was attached with before; NULL: never. The lock is held. */
struct netvsc_vf_record *netvsc_vf_record_find(const char *device);
/**
 * Nobody uses the VF any more: it stays reserved, or goes: closed, detached, and (if it was not
 * ours to begin with) left to others. On the control thread, @a calls held.
 */
void netvsc_vf_leave_it(struct netvsc_vf_dev *dev);
/** It is not used for this reason, NULL: for none that is known. No lock is held. */
void netvsc_vf_why(struct netvsc_vf_dev *dev, const char *text);
/** Say why the VF is not used, unless that was said last. The control thread's, as the above. */
__rte_format_printf(2, 3) void netvsc_vf_say(struct netvsc_vf_dev *dev, const char *format, ...);

/** The control thread has ended, or has nothing to do with it any more: leave the VF. */
void netvsc_vf_end(struct netvsc_vf_dev *dev);

/* ---- vf_plug.c: the control thread; no lock of ours but @a calls is held ---- */

/** Have EAL probe a device that has no ethdev, if it is time to try. May take long. */
void netvsc_vf_attach(struct netvsc_vf_dev *dev, const char *bus, const char *device);
/** Have EAL detach the device of a VF that is closed; later, if it is not free to. */
void netvsc_vf_detach(struct netvsc_vf_dev *dev, struct rte_device *device);
/** Detach what was left. @return whether something still is */
bool netvsc_vf_detach_left(void);

/* ---- vf_info.c ---- */

/**
 * Offloads that a port can have though its VF has them not: frames that came through the VF say in
 * their ol_flags that nothing was found out about them.
 */
#define NETVSC_VF_RX_HARMLESS                                                                      \
	(RTE_ETH_RX_OFFLOAD_CHECKSUM | RTE_ETH_RX_OFFLOAD_RSS_HASH | RTE_ETH_RX_OFFLOAD_TCP_LRO |  \
		RTE_ETH_RX_OFFLOAD_SCATTER)
/** ... or they are a promise of the application. */
#define NETVSC_VF_TX_HARMLESS RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE
/** The largest MTU that a VF can have. */
uint32_t netvsc_vf_mtu_max(const struct rte_eth_dev_info *info);

/* ---- vf_want.c ---- */

/** What a VF is to be like, as of one moment; the setup's. */
struct netvsc_vf_want {
	uint16_t n_rx, n_tx, mtu;
	uint64_t rx_offloads, tx_offloads; /**< RTE_ETH_*_OFFLOAD_* of the port as a whole */
	uint32_t lro_limit;		   /**< netvsc_lro_limit() */
	bool sleeps;			   /**< the application sleeps on receive queues */
	uint32_t releases;		   /**< netvsc_vf_told's: these queues are still there */
	struct rte_ether_addr mac;
	bool promiscuous, all_multicast;
	uint32_t n_multicast; /**< more than there is room for: all */
	struct rte_ether_addr multicast[NETVSC_MULTICAST_MAX];
	uint32_t ptypes; /**< RTE_PTYPE_*_MASK; all that there are, if nobody asked for less */
	uint64_t rss_hf;
	uint8_t rss_key[NETVSC_VF_KEY_MAX]; /**< the port's, repeated */
	uint16_t reta[NETVSC_VF_RETA_MAX];  /**< likewise */
	struct netvsc_vf_want_rx {
		struct rte_eth_rxconf conf;
		struct rte_mempool *mp;
		uint16_t nb_desc;
		bool strips; /**< tags are taken out of its frames */
	} rx[HPBUS_MAX_CHANNELS];
	struct netvsc_vf_want_tx {
		struct rte_eth_txconf conf;
		uint16_t nb_desc;
	} tx[HPBUS_MAX_CHANNELS];
};

/* ---- vf_port.c ---- */

/** Its name, for messages. */
static inline const char *
netvsc_vf_name(const struct netvsc_vf_dev *dev)
{
	return dev->record->device[0] != '\0' ? dev->record->device : "?";
}

/** Say what the VF does not take, if @p rc says so. @return @p rc */
int netvsc_vf_refused(struct netvsc_vf_dev *dev, const char *what, int rc);

/* ---- vf_settings.c: the control thread, @a calls held ---- */

/** RTE_ETH_RSS_* that frames are spread by, 0: they are not. */
uint64_t netvsc_vf_rss_types(const struct netvsc_vf_dev *dev, const struct netvsc_vf_want *want);
/** The key of the port in the length that the VF has. ethdev keeps the pointer. */
struct rte_eth_rss_conf netvsc_vf_rss_conf(
	struct netvsc_vf_dev *dev, const struct netvsc_vf_want *want);
/** @param what NETVSC_VF_SET_*; @param again it runs, and was set up before */
int netvsc_vf_settings(struct netvsc_vf_dev *dev, struct netvsc_vf_want *want, uint16_t vf,
	uint32_t what, bool again);

/* ---- vf_queues.c: the control thread, @a calls held ---- */

/** The VF gets queues. @return false: the port has not the ones any more that were copied */
bool netvsc_vf_queues_begin(struct netvsc_vf_dev *dev, const struct netvsc_vf_want *want);
/** It is stopped: it gives back what its queues have. */
void netvsc_vf_queues_end(struct netvsc_vf_dev *dev, uint16_t vf);

/* ---- vf_stats.c ---- */

/** Count from here on. @a calls held. */
void netvsc_vf_stats_begin(struct netvsc_vf_dev *dev, uint16_t vf);
/** Read what it has counted. @a calls held. */
void netvsc_vf_stats_read(struct netvsc_vf_dev *dev, uint16_t vf);

/**
 * Frames of a queue were taken out of its ring and freed: of what the driver counts as received,
 * now or before, they are not the port's. Before the next netvsc_vf_stats_read(). @a calls held.
 */
void netvsc_vf_stats_dropped(
	struct netvsc_vf_dev *dev, uint16_t queue, uint64_t frames, uint64_t bytes);

/* ---- vf_told.c ---- */

/** What the VF can is known. @a calls held. */
void netvsc_vf_tell_info(struct netvsc_vf_dev *dev);

#endif
