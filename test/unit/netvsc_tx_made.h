/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What the tests of send offloads share: frames that an application makes for the device to finish,
 * and a host that does what is asked, with the code of ours that a host runs. See netvsc_tx.h.
 */
#ifndef HP_TEST_NETVSC_TX_MADE_H
#define HP_TEST_NETVSC_TX_MADE_H

#include "test/unit/netvsc_tx.h"

#define ALL_OFFLOADS                                                                               \
	(RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM |                            \
		RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_TSO |                        \
		RTE_ETH_TX_OFFLOAD_VLAN_INSERT | RTE_ETH_TX_OFFLOAD_MULTI_SEGS)
#define TCP  RTE_MBUF_F_TX_TCP_CKSUM
#define UDP  RTE_MBUF_F_TX_UDP_CKSUM
#define SCTP RTE_MBUF_F_TX_SCTP_CKSUM
#define IP   RTE_MBUF_F_TX_IP_CKSUM
#define SEG  RTE_MBUF_F_TX_TCP_SEG
#define VLAN RTE_MBUF_F_TX_VLAN
#define V4   RTE_MBUF_F_TX_IPV4
#define V6   RTE_MBUF_F_TX_IPV6
#define TCI  0xa064u /* priority 5, id 100 */

/** A frame that an application makes, without checksums. */
struct made {
	bool ipv6, udp, tagged;
	uint32_t options; /**< bytes behind the IP header; TCP has as many */
	uint32_t payload;
	uint64_t seed;
	/* Found by made_build(): */
	uint32_t l2, l3_len, l4_len, len;
	uint8_t bytes[65536 + 64];
};

/** What tx_take() took last for made_send() and made_host_sends(). */
extern struct tx_seen made_seen;
/** Room for what a host makes of one frame. */
extern uint8_t made_out[1024][2048];
extern uint32_t made_lens[1024];

void made_put16(uint8_t *p, uint32_t v);
void made_build(struct made *w);
/** The frame in mbufs of at most @p seg bytes, with its lengths. */
struct rte_mbuf *made_mbuf(const struct made *w, uint32_t seg, uint64_t flags);
/** Are these the bytes of the frame, and nobody wrote to them? */
bool made_untouched(const struct rte_mbuf *m, const struct made *w);

/** Is the checksum right that covers the IP header, or what is behind it? */
bool made_ip_sum_right(const uint8_t *ip);
bool made_l4_sum_right(const uint8_t *ip, uint32_t l3_len, uint32_t l4_len, bool udp);
/**
 * What a host makes of frame @p i of @a made_seen, all that it would look at: a request that it
 * cannot meet fails the test, because it would refuse the whole packet. Frames come out with their
 * tag. @return how many
 */
unsigned int made_host_sends(
	unsigned int i, uint8_t out[][2048], uint32_t lens[], unsigned int max);
/** Is this the frame, its checksums apart? */
bool made_same_but_sums(const uint8_t *a, const struct made *w);

/** Send a frame alone; it is in @a made_seen afterwards. */
bool made_send(struct rte_mbuf *m);
/** Complete it. */
void made_done(void);

#endif
