/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What the tests of the send side share: the host's view of what a burst wrote, taken apart with
 * the parser that a host uses. One fixture per program, named tx_fixture.
 */
#ifndef HP_TEST_NETVSC_TX_H
#define HP_TEST_NETVSC_TX_H

#include "lib/netvsp/nvsp.h"
#include "lib/netvsp/rndis.h"
#include "test/unit/netvsc_fixture.h"

#define TX_FRAMES_MAX 64u

/** One packet, as a host would take it apart. */
struct tx_seen {
	struct vmbus_packet desc;
	struct nvsp_message msg;
	unsigned int n_ranges; /**< of guest memory; 0: by copy */
	struct {
		uint32_t len, offset;
		uint64_t first_pfn;
	} range[32];
	unsigned int n; /**< frames */
	struct {
		uint32_t start, message_len, len; /**< of the message in the section; frame bytes */
		uint32_t header;
		uint32_t ppi_type, ppi_value; /**< of the first PPI; 0: none */
		struct rndis_packet_info info;
		const uint8_t *data; /**< the frame, until the next packet is taken */
		uint8_t bytes[2048]; /**< its first ones */
	} frame[TX_FRAMES_MAX];
};

extern struct fixture tx_fixture;

/** Take the next packet. @return false when there is none; what a host would refuse fails */
bool tx_take(unsigned int ch, struct tx_seen *seen);
/** Is frame @p i of the packet this one? */
bool tx_frame_is(const struct tx_seen *seen, unsigned int i, uint32_t len, uint64_t seed);
/** Complete it. */
void tx_answer(unsigned int ch, const struct tx_seen *seen, uint32_t status);
/** Take and complete all that is there. @return frames */
unsigned int tx_take_all(unsigned int ch);
/** @p n mbufs of @p len bytes, with seeds @p seed and on, in @p pkts. */
void tx_make(struct rte_mbuf **pkts, unsigned int n, uint32_t len, uint64_t seed);
/** Send a burst of queue 0. @return what the driver took */
uint16_t tx_send(struct rte_mbuf **pkts, uint16_t n);
/** One frame of several segments; their lengths end with 0. */
struct rte_mbuf *tx_chain(const uint16_t *lengths, uint64_t seed);

#endif
