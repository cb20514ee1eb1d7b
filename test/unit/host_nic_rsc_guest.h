/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The guest of host_nic_guest.h as one that wants segments of TCP coalesced (spec/rndis.md §4.3),
 * and puts frames together from their ranges. One thread.
 */
#ifndef HP_TEST_HOST_NIC_RSC_GUEST_H
#define HP_TEST_HOST_NIC_RSC_GUEST_H

#include "test/unit/host_nic_guest.h"

/** The NIC that it has. */
#define RSC_NIC "recv=1M,send=256K,channels=4"
/** Offloads that it enables. */
#define RSC_WANTED                                                                                 \
	(NDIS_CAN_RX_IP4 | NDIS_CAN_RX_TCP4 | NDIS_CAN_RX_TCP6 | NDIS_CAN_RSC4 | NDIS_CAN_RSC6)

/** A frame as the guest puts it together (rndis_rsc_next()). */
struct rsc_frame {
	uint32_t len, pieces, segments;
	struct rndis_packet_info first;
	uint8_t data[RNDIS_MAX_BIG_FRAME];
};

/** A guest that has enabled the offloads @p can, NDIS_CAN_*. */
void rsc_start_wanting(struct guest *g, uint32_t can);
/** The same with RSC_WANTED. */
void rsc_start(struct guest *g);
/** Put together the frames of the last poll, at most @p most. @return how many there are */
uint32_t rsc_collect(const struct guest *g, struct rsc_frame *to, uint32_t most);
/** Is @p w one frame of @p payload bytes from @p seq on, with verified headers? */
void rsc_check_whole(struct guest *g, const struct rsc_frame *w, uint32_t version, uint32_t flow,
	uint32_t seq, uint32_t payload);
/** The port has a segment of @p payload bytes. */
void rsc_put(struct guest *g, uint32_t version, uint32_t payload, uint32_t flow, uint32_t seq);

#endif
