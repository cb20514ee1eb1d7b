/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What a port tells of its VFs: what they can, and what they have counted (pitfalls I2, I4, V18).
 * It lies in memory that processes share, because each of them is asked. What is in it the port's
 * control thread writes, which has it from the VF's driver; whoever else reads it, or begins the
 * sums anew, calls no driver. It outlives the port if a call into the VF's driver does.
 */
#ifndef HP_NETVSC_VF_TOLD_H
#define HP_NETVSC_VF_TOLD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_ethdev.h>
#include <rte_spinlock.h>

struct netvsc_port;

/** A sum that goes on when a VF's counter begins anew, or the VF is gone. */
struct netvsc_vf_count {
	uint64_t sum;  /**< since the last reset of the port's counters */
	uint64_t last; /**< as the driver said last */
	uint64_t owed; /**< of what the driver counts: not to be added, for nobody received it */
};

#define NETVSC_VF_BASIC	    8u /**< members of struct rte_eth_stats that are added up */
#define NETVSC_VF_PER_QUEUE 5u

struct netvsc_vf_told {
	_Atomic unsigned int references; /**< in the primary: the port's, the VF object's */
	/** Which ethdev is reserved, counted up with each that is; 0: none. */
	_Atomic uint32_t held;
	_Atomic uint32_t releases; /**< of queues of the port so far */

	rte_spinlock_t lock;	      /**< innermost; of what follows; had in time or not at all */
	uint32_t info_of;	      /**< @a held when @a info was learned */
	struct rte_eth_dev_info info; /**< limits, no pointers */
	struct netvsc_vf_count basic[NETVSC_VF_BASIC];
	struct netvsc_vf_count queue[NETVSC_VF_PER_QUEUE][RTE_ETHDEV_QUEUE_STAT_CNTRS];
	uint64_t dropped; /**< frames that were in VFs' rings when these were stopped */
	/* Extended statistics of all VFs so far. */
	unsigned int n_xstats;
	struct rte_eth_xstat_name *names;
	struct netvsc_vf_count *xstats;
};

/** The port looks for VFs: it has one from now on. Control side, primary. @return 0 or -ENOMEM */
int netvsc_vf_told_begin(struct netvsc_port *port);
/** The port is freed. */
void netvsc_vf_told_end(struct netvsc_port *port);
void netvsc_vf_told_put(struct netvsc_vf_told *told);

/**
 * What the VF that is held can, as it was asked.
 * @return 0, -ENODEV: there is none, -EAGAIN: that is not known (yet)
 */
int netvsc_vf_told_info(const struct netvsc_port *port, struct rte_eth_dev_info *info);

#endif
