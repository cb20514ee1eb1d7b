/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The VF as an ethdev: which one it is (vf_find.c), and how it is made to do what the port does
 * (vf_port.c), and what the port tells of both (vf_stats.c).
 *
 * A call into the VF's driver may last, or never return. So functions that make such calls run on
 * the port's control thread without any lock, and know nothing but a copy of what they need, struct
 * netvsc_vf_setup, which is the thread's: the port may be closed and freed meanwhile. Each returns
 * 0, or a negative errno with one line of log; it is tried again, later and later, so that the line
 * is said once until something else is the trouble.
 */
#ifndef HP_NETVSC_VF_PORT_H
#define HP_NETVSC_VF_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_ethdev.h>

struct netvsc_channel;
struct netvsc_port;

/** Settings of the port that can be replayed onto a VF while it runs: netvsc_vf_changed(). */
#define NETVSC_VF_SET_PROMISCUOUS    0x01u
#define NETVSC_VF_SET_ALLMULTICAST   0x02u
#define NETVSC_VF_SET_MULTICAST_LIST 0x04u
#define NETVSC_VF_SET_MAC	     0x08u
#define NETVSC_VF_SET_RSS	     0x10u /**< key, hash types, table */
#define NETVSC_VF_SET_VLAN	     0x20u
#define NETVSC_VF_SET_MTU	     0x80u
#define NETVSC_VF_SET_PTYPES	     0x100u /**< layers that packet types are told of */

/*
 * Beware: ethdev writes some of what it keeps of a port (mtu, promiscuous, all_multicast) when the
 * operation is over, which may be later than the copy is made. netvsc_config has what is meant.
 */

struct netvsc_vf_dev;
struct netvsc_vf_want;
struct eth_queue_stats; /* compat.h, before 25.11 */

/** What a VF is set up as: all of it a copy; vf_port.c's, but for the name. */
struct netvsc_vf_setup {
	char name[RTE_ETH_NAME_MAX_LEN]; /**< of the port, for messages */
	struct netvsc_vf_dev *dev;	 /**< vf_dev.h; a reference */
	struct netvsc_vf_want *want;
	/** Of a VF that is started: most segments of frames of the port; 0: any number. */
	uint16_t segs, mtu_segs;
};

/**
 * Take a copy of what the port is configured as. On the control thread, with control_lock held,
 * before netvsc_vf_start() and _replay(); not while they run. The port and its queues are started.
 */
int netvsc_vf_setup_copy(struct netvsc_port *port, struct netvsc_vf_setup *setup);
/**
 * A queue of the port is about to be released, and the application may free what its mbufs are of:
 * wait for the VF, which has queues like it until it is stopped. Control side, which may have the
 * port; not for long, even if the VF hangs. @p ch, the queue's, is stuck if nobody can say whether
 * there is a VF: then the queue stays.
 */
void netvsc_vf_release_queue(struct netvsc_channel *ch);
/** Free what is in it; the thread ends. */
void netvsc_vf_setup_free(struct netvsc_vf_setup *setup);

/* ---- vf_port.c: control thread, no lock held ---- */

/** Take ownership of ethdev port @p vf, and look whether it can be the VF at all. */
int netvsc_vf_own(struct netvsc_vf_setup *setup, uint16_t vf);
/** Leave it to others, when it is stopped. It may be gone. */
void netvsc_vf_disown(struct netvsc_vf_setup *setup, uint16_t vf);
/** Configure it as the port is, set up its queues, start it. On failure it is stopped. */
int netvsc_vf_start(struct netvsc_vf_setup *setup, uint16_t vf);
/** No burst is inside. It may be gone. */
void netvsc_vf_stop(struct netvsc_vf_setup *setup, uint16_t vf);
/**
 * Settings have changed while it runs. What cannot be changed while it runs is refused with
 * -EBUSY: then it is stopped and started again.
 * @param what NETVSC_VF_SET_*
 */
int netvsc_vf_replay(struct netvsc_vf_setup *setup, uint16_t vf, uint32_t what);
/** Is its link up? Asked once a second while it runs; also told by NETVSC_VF_LINK. */
bool netvsc_vf_link(struct netvsc_vf_setup *setup, uint16_t vf);
/** Read what it has counted, unless nothing of it may be called. */
void netvsc_vf_count(struct netvsc_vf_setup *setup, uint16_t vf);

/* ---- vf_find.c ---- */

/**
 * Begin to look for the port's VF: devarg vf=, ports that there are, ports that come, devices that
 * are plugged in. Tells NETVSC_VF_FOUND, _LOST, _LINK, _RECOVERING, _RECOVERED and
 * _RECOVERY_FAILED. Control side.
 * @param setup the thread's, which does not run yet; its @a dev is set
 */
int netvsc_vf_find_start(struct netvsc_port *port, struct netvsc_vf_setup *setup);
/** No event is told any more when this returns; control_lock is not held. Never waits. */
void netvsc_vf_find_stop(struct netvsc_port *port);
/**
 * Look again: the host has associated a serial, or none any more; or it is time. On the control
 * thread, no lock held; may take as long as the probe of a device does.
 * @return milliseconds after which to look again, or -1: when the association changes
 */
int netvsc_vf_find_again(struct netvsc_vf_setup *setup, bool associated, uint32_t serial);

/* ---- vf_info.c ---- */

/** Make dev_info what both paths can do, if a VF is known. Any thread of any process. */
void netvsc_vf_limit_info(struct netvsc_port *port, struct rte_eth_dev_info *info);

/* ---- vf_stats.c: any thread of any process. false: somebody who reads them does not go on ---- */

/** Add what VFs have counted. @param queues NULL: nobody asks for them */
bool netvsc_vf_stats_add(
	struct netvsc_port *port, struct rte_eth_stats *stats, struct eth_queue_stats *queues);
/** All counters of VFs start again at 0. */
bool netvsc_vf_stats_reset(struct netvsc_port *port);
/** Extended statistics of VFs, those that are gone included; a copy. */
struct netvsc_vf_xstats {
	unsigned int n;
	struct rte_eth_xstat_name *names;
	uint64_t *values;
	uint64_t dropped; /**< frames that were in VFs' rings when these were stopped */
};
/** @param x freed by netvsc_vf_xstats_free() in any case */
bool netvsc_vf_xstats(struct netvsc_port *port, struct netvsc_vf_xstats *x);
void netvsc_vf_xstats_free(struct netvsc_vf_xstats *x);

#endif
