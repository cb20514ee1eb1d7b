/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/net/netvsc/tx_offload.h"

#include <errno.h>

#include <rte_errno.h>
#include <rte_ip.h>
#include <rte_tcp.h>

#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/tx.h"
#include "drivers/net/netvsc/tx_frame.h"
#include "drivers/net/netvsc/vf.h"
#include "lib/netvsp/rndis.h"

#define IP4_MIN	     20u
#define IP4_LEN_AT   2u
#define IP4_ID_AT    4u
#define IP4_SUM_AT   10u
#define IP4_ADDRS_AT 12u
#define IP6_LEN	     40u
#define IP6_LEN_AT   4u
#define IP6_ADDRS_AT 8u
#define TCP_MIN	     20u
#define TCP_SEQ_AT   4u
#define TCP_DOFF_AT  12u
#define TCP_FLAGS_AT 13u
#define TCP_SUM_AT   16u
#define UDP_LEN	     8u
#define UDP_SUM_AT   6u
#define PROTO_TCP    6u
#define PROTO_UDP    17u

static uint32_t
get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static void
put16(uint8_t *p, uint32_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

/* The frame as it lies in the mbuf: its tag, if it has one, counts. */
struct head {
	const uint8_t *bytes;
	uint32_t bytes_len; /* of them that can be looked at */
	uint32_t len;	    /* of the frame */
	uint32_t l3, l4;    /* l4 0: not looked for */
	bool ipv6;
	uint8_t copy[NETVSC_TX_HEAD_MAX]; /* of bytes that lie in several segments */
};

/* ---- what is asked ---- */

/* The tag that the application adds, or the one that stands in the frame (pitfall T13). */
static void
ask_vlan(const struct rte_mbuf *m, uint64_t flags, struct head *h, struct netvsc_tx_asks *asks)
{
	uint32_t tci;
	bool here;

	here = h->len >= RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN &&
	       get16(h->bytes + NETVSC_TYPE_AT) == RTE_ETHER_TYPE_VLAN;
	h->l3 = RTE_ETHER_HDR_LEN + (here ? RTE_VLAN_HLEN : 0);
	asks->tagged = here || (flags & RTE_MBUF_F_TX_VLAN);
	if (!asks->tagged)
		return;
	tci = m->vlan_tci;
	if (!(flags & RTE_MBUF_F_TX_VLAN)) {
		tci = get16(h->bytes + NETVSC_TYPE_AT + 2);
		asks->cut = RTE_VLAN_HLEN;
	}
	asks->vlan = rndis_vlan_from_tci((uint16_t)tci);
}

/* Find the IP header, and where it ends. */
static int
find_l4(const struct rte_mbuf *m, struct head *h)
{
	uint32_t min, version;

	/* Tunnels and other tags have a longer one, and the host looks for IP behind this. */
	if (m->l2_len != h->l3)
		return -EINVAL;
	if (h->bytes_len < h->l3 + IP4_MIN)
		return -EINVAL;
	version = h->bytes[h->l3] >> 4;
	h->ipv6 = version == 6;
	min = h->ipv6 ? IP6_LEN : IP4_MIN;
	if (h->bytes_len < h->l3 + min || m->l3_len < min)
		return -EINVAL;
	if (h->ipv6 ? (m->ol_flags & (RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM)) != 0
		    : version != 4 || (m->ol_flags & RTE_MBUF_F_TX_IPV6) != 0 ||
				(h->bytes[h->l3] & 15u) * 4 != m->l3_len)
		return -EINVAL;
	h->l4 = h->l3 + m->l3_len;
	return h->l4 <= h->len ? 0 : -EINVAL;
}

/* Bytes from the IP header on, as it says. */
static uint32_t
ip_total(const struct head *h)
{
	const uint8_t *ip = h->bytes + h->l3;

	return h->ipv6 ? IP6_LEN + get16(ip + IP6_LEN_AT) : get16(ip + IP4_LEN_AT);
}

/*
 * Has the application left the sum of the pseudo header to the driver, as VPP does, which never
 * calls prepare? The field is 0 then. Headers that the driver has no room for stay as they are.
 */
static void
ask_pseudo_sum(const struct head *h, bool tcp, struct netvsc_tx_asks *asks)
{
	uint32_t at = h->l4 + (tcp ? TCP_SUM_AT : UDP_SUM_AT);
	uint32_t headers = h->l4 + (tcp ? TCP_MIN : UDP_LEN);

	if (headers > h->bytes_len || headers - asks->cut > NETVSC_TX_HEADERS_MAX ||
		get16(h->bytes + at) != 0)
		return;
	asks->sum_only = true;
	asks->ipv6 = h->ipv6;
	asks->l3 = (uint8_t)(h->l3 - asks->cut);
	asks->l4 = (uint16_t)(h->l4 - asks->cut);
	asks->headers = (uint16_t)(headers - asks->cut);
	asks->l4_len = ip_total(h) - (h->l4 - h->l3);
}

/* @param l4_flags 0, RTE_MBUF_F_TX_TCP_CKSUM or _UDP_CKSUM */
static int
ask_checksums(const struct head *h, bool ip_header, uint64_t l4_flags, struct netvsc_tx_asks *asks)
{
	uint32_t word = h->ipv6 ? RNDIS_TX_CSUM_IPV6 : RNDIS_TX_CSUM_IPV4, offset = 0, need, total;

	if (ip_header)
		word |= RNDIS_TX_CSUM_IP_HDR;
	if (l4_flags != 0) {
		bool tcp = l4_flags == RTE_MBUF_F_TX_TCP_CKSUM;

		need = h->l4 - h->l3 + (tcp ? TCP_MIN : UDP_LEN);
		total = ip_total(h);
		if (total < need || total > h->len - h->l3)
			return -EINVAL;
		offset = h->l4 - asks->cut;
		word |= tcp ? RNDIS_TX_CSUM_TCP : RNDIS_TX_CSUM_UDP;
		ask_pseudo_sum(h, tcp, asks);
	}
	if (offset > RNDIS_L4_OFFSET_MAX)
		return -ENOTSUP;
	asks->type = RNDIS_PPI_CHECKSUM;
	asks->word = rndis_tx_csum(word, offset);
	return 0;
}

/* One segment is none to a host: it gets checksums, and headers that say so. */
void
netvsc_tx_ask_one_segment(struct netvsc_tx_asks *asks, uint32_t payload)
{
	uint32_t flags =
		asks->ipv6 ? RNDIS_TX_CSUM_IPV6 : RNDIS_TX_CSUM_IPV4 | RNDIS_TX_CSUM_IP_HDR;

	asks->type = RNDIS_PPI_CHECKSUM;
	asks->word = rndis_tx_csum(flags | RNDIS_TX_CSUM_TCP, asks->l4);
	asks->l4_len = asks->headers - asks->l4 + payload;
}

static int
ask_segments(const struct netvsc_txq *txq, const struct rte_mbuf *m, const struct head *h,
	struct netvsc_tx_asks *asks)
{
	uint32_t headers = h->l4 + m->l4_len;

	if (txq->tso_max[h->ipv6] == 0)
		return -ENOTSUP;
	if (m->l4_len < TCP_MIN || headers >= h->len)
		return -EINVAL;
	if (headers > h->bytes_len || headers - asks->cut > NETVSC_TX_HEADERS_MAX)
		return -ENOTSUP;
	if ((h->bytes[h->l4 + TCP_DOFF_AT] >> 4) * 4u != m->l4_len)
		return -EINVAL;
	/* Segments are frames like others, with room for a tag. */
	if (m->tso_segsz < NETVSC_TX_MSS_MIN ||
		headers - asks->cut + m->tso_segsz > txq->max_frame - RTE_VLAN_HLEN)
		return -EINVAL;
	asks->ipv6 = h->ipv6;
	asks->l3 = (uint8_t)(h->l3 - asks->cut);
	asks->l4 = (uint16_t)(h->l4 - asks->cut);
	asks->headers = (uint16_t)(headers - asks->cut);
	if (h->len - headers > m->tso_segsz) {
		asks->too_large = h->len - asks->cut > txq->tso_max[h->ipv6];
		asks->type = RNDIS_PPI_LSO;
		asks->word = rndis_lso(m->tso_segsz, asks->l4, h->ipv6);
		return 0;
	}
	netvsc_tx_ask_one_segment(asks, h->len - headers);
	return 0;
}

/* One field, not bits (pitfall T12). */
static bool
offers_l4(const struct netvsc_txq *txq, uint64_t l4)
{
	if (l4 == RTE_MBUF_F_TX_TCP_CKSUM)
		return (txq->conf.offloads & RTE_ETH_TX_OFFLOAD_TCP_CKSUM) != 0;
	if (l4 == RTE_MBUF_F_TX_UDP_CKSUM)
		return (txq->conf.offloads & RTE_ETH_TX_OFFLOAD_UDP_CKSUM) != 0;
	return l4 == 0;
}

static int
ask(const struct netvsc_txq *txq, const struct rte_mbuf *m, struct head *h,
	struct netvsc_tx_asks *asks)
{
	uint64_t flags = m->ol_flags & txq->work, l4 = flags & RTE_MBUF_F_TX_L4_MASK;
	int rc;

	memset(asks, 0, sizeof(*asks));
	h->len = m->pkt_len;
	h->bytes_len = RTE_MIN(m->pkt_len, NETVSC_TX_HEAD_MAX);
	h->bytes = rte_pktmbuf_read(m, 0, h->bytes_len, h->copy);
	h->l4 = 0;
	ask_vlan(m, flags, h, asks);
	if (!offers_l4(txq, l4))
		l4 = 0;
	if (!(flags & (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_IP_CKSUM)) && l4 == 0)
		return 0;
	rc = find_l4(m, h);
	if (rc != 0)
		return rc;
	if (flags & RTE_MBUF_F_TX_TCP_SEG)
		return ask_segments(txq, m, h, asks);
	return ask_checksums(h, flags & RTE_MBUF_F_TX_IP_CKSUM, l4, asks);
}

int
netvsc_tx_ask(const struct netvsc_txq *txq, const struct rte_mbuf *m, struct netvsc_tx_asks *asks)
{
	struct head h;

	return ask(txq, m, &h, asks);
}

/* ---- headers written anew ---- */

/* The sum that a host completes: of the pseudo header, not inverted (spec/rndis.md §4.1). */
static uint16_t
pseudo_sum(const uint8_t *ip, bool ipv6, uint32_t l4_len, uint8_t proto)
{
	uint32_t addrs_len = ipv6 ? 32 : 8;
	uint8_t pseudo[2 * 16 + 8] = {0};

	memcpy(pseudo, ip + (ipv6 ? IP6_ADDRS_AT : IP4_ADDRS_AT), addrs_len);
	put16(pseudo + addrs_len, l4_len >> 16);
	put16(pseudo + addrs_len + 2, l4_len);
	pseudo[addrs_len + 7] = proto;
	return rte_raw_cksum(pseudo, addrs_len + 8);
}

void
netvsc_tx_fix(uint8_t *frame, const struct netvsc_tx_asks *asks)
{
	uint32_t l3_len = (uint32_t)asks->l4 - asks->l3, l4_len = asks->l4_len;
	bool udp = asks->sum_only && (asks->word & RNDIS_TX_CSUM_UDP);
	uint8_t *ip = frame + asks->l3;
	uint16_t sum;

	if (asks->sum_only) {
		/* Lengths are right, and IP's own checksum may be. */
	} else if (asks->ipv6) {
		put16(ip + IP6_LEN_AT, l4_len == 0 ? 0 : l3_len - IP6_LEN + l4_len);
	} else {
		put16(ip + IP4_LEN_AT, l4_len == 0 ? 0 : l3_len + l4_len);
		put16(ip + IP4_SUM_AT, 0);
	}
	sum = pseudo_sum(ip, asks->ipv6, l4_len, udp ? PROTO_UDP : PROTO_TCP);
	memcpy(frame + asks->l4 + (udp ? UDP_SUM_AT : TCP_SUM_AT), &sum, sizeof(sum));
}

void
netvsc_tx_fix_piece(uint8_t *frame, const struct netvsc_tx_asks *asks, uint32_t segments,
	uint32_t bytes, bool last)
{
	uint8_t *ip = frame + asks->l3, *tcp = frame + asks->l4;
	uint32_t seq = get16(tcp + TCP_SEQ_AT) << 16 | get16(tcp + TCP_SEQ_AT + 2);

	if (!asks->ipv6)
		put16(ip + IP4_ID_AT, get16(ip + IP4_ID_AT) + segments);
	seq += bytes;
	put16(tcp + TCP_SEQ_AT, seq >> 16);
	put16(tcp + TCP_SEQ_AT + 2, seq);
	if (!last)
		tcp[TCP_FLAGS_AT] &= (uint8_t) ~(RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG);
	if (bytes != 0)
		tcp[TCP_FLAGS_AT] &= (uint8_t)~RTE_TCP_CWR_FLAG;
}

/* ---- prepare ---- */

/* Is there something that the queue was not set up for, or that nobody can? */
static bool
not_offered(const struct netvsc_txq *txq, uint64_t flags)
{
	uint64_t known = RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_L4_MASK;
	uint64_t l4 = flags & RTE_MBUF_F_TX_L4_MASK;

	/* Segmentation implies two checksums. */
	if (txq->work & flags & RTE_MBUF_F_TX_TCP_SEG) {
		known |= RTE_MBUF_F_TX_IP_CKSUM;
		if (l4 == RTE_MBUF_F_TX_TCP_CKSUM)
			l4 = 0;
	}
	return !offers_l4(txq, l4) ||
	       (flags & RTE_MBUF_F_TX_OFFLOAD_MASK & ~(known | txq->work)) != 0;
}

/* Write two bytes of a frame, which may lie in two segments. */
static void
store16(struct rte_mbuf *m, uint32_t at, uint16_t value)
{
	const uint8_t *from = (const uint8_t *)&value;
	unsigned int i;

	for (i = 0; i < sizeof(value); i++, at++) {
		for (; at >= m->data_len; m = m->next)
			at -= m->data_len;
		*rte_pktmbuf_mtod_offset(m, uint8_t *, at) = from[i];
	}
}

/* What hosts complete, where applications expect it to be written for them (pitfall T14). */
static void
prepare_sums(struct rte_mbuf *m, const struct head *h, const struct netvsc_tx_asks *asks)
{
	bool segments = asks->headers != 0 && !asks->sum_only;
	uint64_t l4 = segments ? RTE_MBUF_F_TX_TCP_CKSUM : m->ol_flags & RTE_MBUF_F_TX_L4_MASK;
	bool tcp = l4 == RTE_MBUF_F_TX_TCP_CKSUM;

	if (asks->word & (asks->type == RNDIS_PPI_CHECKSUM ? RNDIS_TX_CSUM_TCP | RNDIS_TX_CSUM_UDP
							   : UINT32_MAX))
		store16(m, h->l4 + (tcp ? TCP_SUM_AT : UDP_SUM_AT),
			pseudo_sum(h->bytes + h->l3, h->ipv6,
				segments ? asks->l4_len : ip_total(h) - (h->l4 - h->l3),
				tcp ? PROTO_TCP : PROTO_UDP));
	if (!h->ipv6 && (m->ol_flags & RTE_MBUF_F_TX_IP_CKSUM))
		store16(m, h->l3 + IP4_SUM_AT, 0);
}

/* @return 0, or why the frame cannot be sent as it is */
static int
prepare(const struct netvsc_txq *txq, struct rte_mbuf *m)
{
	struct netvsc_tx_asks asks;
	struct head h;
	int rc;

	if (netvsc_tx_judge(txq, m) != 0)
		return -EINVAL;
	if (not_offered(txq, m->ol_flags))
		return -ENOTSUP;
	rc = ask(txq, m, &h, &asks);
	if (rc == 0 && asks.word != 0)
		prepare_sums(m, &h, &asks);
	return rc;
}

uint16_t
netvsc_tx_prepare(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	const struct netvsc_txq *txq = queue;
	uint16_t i;
	int rc;

	if (unlikely(txq == NULL)) {
		rte_errno = EINVAL;
		return 0;
	}
	for (i = 0; i < n; i++) {
		rc = prepare(txq, pkts[i]);
		if (rc != 0) {
			rte_errno = -rc;
			break;
		}
	}
	return netvsc_vf_tx_prepare(txq, pkts, i);
}
