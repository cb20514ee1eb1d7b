/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lanes of a host NIC (nic_lanes.c says what they are). Part of struct host_nic; what is not atomic
 * is its thread's, or of whoever has stopped all lanes.
 */
#ifndef HP_HOST_NIC_LANES_H
#define HP_HOST_NIC_LANES_H

#include <stdatomic.h>

#include "lib/host/nic.h"
#include "lib/netvsp/ndis.h"

struct nic_oid_stats;

/* What decides which lane a frame of the port belongs to. */
struct nic_lanes_dealt {
	uint64_t works; /* channels */
	uint32_t enabled, hash_info, udp_hash;
	uint16_t table[NDIS_RSS_TABLE_MAX];
	uint8_t key[NDIS_RSS_KEY_SIZE];
};

/* Lanes of a NIC, and a NIC as one of them (nic_lanes.c). All zero: its channels are one thread's.
 */
struct nic_lanes {
	uint32_t n;	       /* lanes, the NIC itself included; 0 in a lane, too */
	uint32_t number;       /* of this lane; the NIC itself is 0 */
	struct host_nic *lead; /* of a lane: the NIC */
	struct host_nic *lane[HOST_MAX_LANES];
	bool primary_works; /* of a lane: does channel 0? */
	bool stopped;	    /* until the end of the turn */
	bool seen;	    /* the packet that is next on channel 0 was there in the last turn */
	bool is_dealt;
	struct nic_lanes_dealt dealt;
	_Atomic(bool) stale;  /* a channel broke: the lanes are to have new copies */
	_Atomic(bool) asleep; /* what a lane leaves for the NIC is to wake it */
};

/*
 * Stop the lanes until the end of this turn, without waiting. @return false: not yet; the next turn
 * is to ask again
 */
bool nic_lanes_stop(struct host_nic *nic);
/* What a turn of the NIC does for its lanes. Returns units of work. */
unsigned int nic_lanes_turn(struct host_nic *nic);
/* Copy the settings to the lanes, which are stopped. Without any: nothing. */
void nic_lanes_sync(struct host_nic *nic);
/* A channel of this lane, or of the NIC, broke. */
void nic_lanes_stale(struct host_nic *nic);
/* A lane's turn has done something: wake the NIC if that left something for it. */
void nic_lanes_tell(struct host_nic *lane);
/* The NIC is about to sleep. Returns false: its lanes have left something for it. */
bool nic_lanes_asleep(struct host_nic *nic);
/* The receive sections are gone. */
void nic_lanes_release(struct host_nic *nic);
void nic_lanes_destroy(struct host_nic *nic);
void nic_stats_add(struct host_nic_stats *sum, const struct host_nic_stats *more);
void nic_port_stats_add(struct host_port_stats *sum, const struct host_port_stats *more);
void nic_lanes_oid_stats(const struct host_nic *nic, struct nic_oid_stats *sum);

#endif
