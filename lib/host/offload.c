/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "lib/host/offload.h"
#include "lib/netvsp/rndis.h"

#define ETHER_LEN      14u
#define ETHERTYPE_IP4  0x0800u
#define ETHERTYPE_IP6  0x86ddu
#define ETHERTYPE_VLAN 0x8100u
#define IP4_MIN	       20u
#define IP6_LEN	       40u
#define TCP_MIN	       20u
#define UDP_LEN	       8u
#define PROTO_TCP      6u
#define PROTO_UDP      17u
#define PROTO_FRAGMENT 44u

/* What the word of a guest has room for (spec/rndis.md §4.1). */
#define LSO_OFFSET_MAX 1023u
#define LSO_HEADER_MAX (LSO_OFFSET_MAX + 60u)

#define TCP_SUM_AT   16u
#define UDP_SUM_AT   6u
#define TCP_FLAGS_AT 13u
#define TCP_FIN	     0x01u
#define TCP_PSH	     0x08u
#define TCP_CWR	     0x80u

static uint32_t
get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static void
put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t
get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

static void
put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

/*
 * One's complement sum in memory order (RFC 1071: byte order does not matter until the end).
 * @p p starts at an even byte of the summed data.
 */
static uint64_t
sum_add(uint64_t sum, const uint8_t *p, uint32_t len)
{
	uint64_t word;
	uint32_t half;
	uint16_t last;

	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&word, p, 8);
		sum += (word & UINT32_MAX) + (word >> 32);
	}
	if (len & 4) {
		memcpy(&half, p, 4);
		sum += half;
		p += 4;
	}
	if (len & 2) {
		memcpy(&last, p, 2);
		sum += last;
		p += 2;
	}
	if (len & 1)
		sum += *p;
	return sum;
}

/* Folded sum in memory order; 0xffff when the data contains its correct checksum. */
static uint16_t
sum_fold(uint64_t sum)
{
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* Pseudo header: addresses at @p l3, protocol and L4 length. */
static uint64_t
sum_pseudo(const uint8_t *l3, bool ipv6, uint32_t proto, uint32_t l4_len)
{
	uint8_t tail[8] = {0};

	put32(tail, l4_len);
	tail[7] = (uint8_t)proto;
	return sum_add(ipv6 ? sum_add(0, l3 + 8, 32) : sum_add(0, l3 + 12, 8), tail, sizeof(tail));
}

static void
store_sum(uint8_t *at, uint64_t sum, bool udp)
{
	uint16_t folded = (uint16_t)~sum_fold(sum);

	if (udp && folded == 0)
		folded = 0xffff;
	memcpy(at, &folded, 2);
}

static uint32_t
l3_offset(const uint8_t *head, uint32_t head_len, uint32_t *ethertype)
{
	uint32_t at = 12;

	if (head_len < ETHER_LEN)
		return 0;
	*ethertype = get16(head + at);
	if (*ethertype == ETHERTYPE_VLAN) {
		at += OFFLOAD_VLAN_TAG;
		if (head_len < at + 2)
			return 0;
		*ethertype = get16(head + at);
	}
	return at + 2;
}

void
offload_parse(const uint8_t *head, uint32_t head_len, uint32_t len, struct offload_headers *h)
{
	uint32_t ethertype, l3, l4, ip_len, need;

	memset(h, 0, sizeof(*h));
	l3 = l3_offset(head, head_len, &ethertype);
	if (l3 == 0)
		return;
	if (ethertype == ETHERTYPE_IP4) {
		if (head_len - l3 < IP4_MIN || head[l3] >> 4 != 4)
			return;
		l4 = l3 + (head[l3] & 15u) * 4;
		ip_len = get16(head + l3 + 2);
		if (l4 - l3 < IP4_MIN || l4 > head_len || ip_len < l4 - l3 || ip_len > len - l3)
			return;
		h->ip = 4;
		h->fragment = (get16(head + l3 + 6) & 0x3fff) != 0;
		h->proto = head[l3 + 9];
		h->l4_len = ip_len - (l4 - l3);
	} else if (ethertype == ETHERTYPE_IP6) {
		if (head_len - l3 < IP6_LEN || head[l3] >> 4 != 6)
			return;
		l4 = l3 + IP6_LEN;
		h->l4_len = get16(head + l3 + 4);
		if (h->l4_len > len - l4)
			return;
		h->ip = 6;
		h->proto = head[l3 + 6];
		h->fragment = h->proto == PROTO_FRAGMENT;
	} else {
		return;
	}
	h->l3 = (uint16_t)l3;
	h->l4 = (uint16_t)l4;
	need = h->proto == PROTO_TCP ? TCP_MIN : h->proto == PROTO_UDP ? UDP_LEN : 0;
	if (need == 0 || h->fragment || h->l4_len < need || head_len - l4 < need)
		h->proto = 0;
}

/* The part of a checksum that is known without the payload. */
static void
leave_sum(uint8_t *at, uint64_t pseudo)
{
	uint16_t folded = sum_fold(pseudo);

	memcpy(at, &folded, 2);
}

int
offload_finish(uint8_t *frame, uint32_t len, const struct host_frame_work *work)
{
	uint32_t at = (uint32_t)work->csum_start + work->csum_offset;

	if (at + 2 > len)
		return -EINVAL;
	store_sum(frame + at, sum_add(0, frame + work->csum_start, len - work->csum_start),
		work->csum_offset == UDP_SUM_AT);
	return 0;
}

int
offload_fill(uint8_t *frame, uint32_t len, const struct offload_checksum *ask)
{
	return offload_leave(frame, len, ask, NULL);
}

int
offload_leave(uint8_t *frame, uint32_t len, const struct offload_checksum *ask,
	struct host_frame_work *left)
{
	uint32_t ethertype = 0, l3, l4, header, l4_len, proto, at;

	if (ask->ipv4 == ask->ipv6)
		return 0; /* neither or both: nothing is offloaded (spec/rndis.md §4.1) */
	l3 = l3_offset(frame, len, &ethertype);
	header = ask->ipv4 ? IP4_MIN : IP6_LEN;
	if (l3 == 0 || len - l3 < header || frame[l3] >> 4 != (ask->ipv4 ? 4 : 6))
		return -EINVAL;
	if (ask->ipv4)
		header = (frame[l3] & 15u) * 4;
	if (header < IP4_MIN || len - l3 < header)
		return -EINVAL;
	if (ask->ipv4 && ask->ip_header) {
		put16(frame + l3 + 10, 0);
		store_sum(frame + l3 + 10, sum_add(0, frame + l3, header), false);
	}
	if (!ask->tcp && !ask->udp)
		return 0;
	proto = ask->tcp ? PROTO_TCP : PROTO_UDP;
	l4 = ask->l4_offset != 0 ? ask->l4_offset : l3 + (ask->ipv4 ? IP4_MIN : IP6_LEN);
	if (l4 < l3 + (ask->ipv4 ? IP4_MIN : IP6_LEN) || l4 >= len ||
		len - l4 < (ask->tcp ? TCP_MIN : UDP_LEN))
		return -EINVAL;
	/* The frame may be padded, so the length comes from the IP header. */
	l4_len = ask->ipv4 ? get16(frame + l3 + 2) : IP6_LEN + get16(frame + l3 + 4);
	if (l4_len < l4 - l3 + (ask->tcp ? TCP_MIN : UDP_LEN) || l4_len > len - l3)
		return -EINVAL;
	l4_len -= l4 - l3;
	at = l4 + (ask->tcp ? TCP_SUM_AT : UDP_SUM_AT);
	/* The sum that is left covers all bytes to the end, so padding must not be there. */
	if (left != NULL && l4 + l4_len == len) {
		leave_sum(frame + at, sum_pseudo(frame + l3, ask->ipv6, proto, l4_len));
		left->csum_start = (uint16_t)l4;
		left->csum_offset = (uint16_t)(at - l4);
		return 0;
	}
	put16(frame + at, 0);
	store_sum(frame + at,
		sum_add(sum_pseudo(frame + l3, ask->ipv6, proto, l4_len), frame + l4, l4_len),
		!ask->tcp);
	return 0;
}

int
offload_lso_begin(struct offload_lso *lso, const uint8_t *frame, uint32_t len, uint32_t mss,
	uint32_t tcp_offset, bool ipv6)
{
	uint32_t ethertype = 0, l3 = l3_offset(frame, len, &ethertype), min, doff;

	min = ipv6 ? IP6_LEN : IP4_MIN;
	if (l3 == 0 || mss == 0 || len - l3 < min || frame[l3] >> 4 != (ipv6 ? 6 : 4))
		return -EINVAL;
	if (tcp_offset == 0)
		tcp_offset = l3 + min;
	if (tcp_offset < l3 + min || tcp_offset > LSO_OFFSET_MAX || tcp_offset >= len ||
		len - tcp_offset < TCP_MIN)
		return -EINVAL;
	if (!ipv6 && l3 + (frame[l3] & 15u) * 4 > tcp_offset)
		return -EINVAL;
	doff = (uint32_t)(frame[tcp_offset + 12] >> 4) * 4;
	if (doff < TCP_MIN || doff > len - tcp_offset)
		return -EINVAL;
	lso->frame = frame;
	lso->header = tcp_offset + doff;
	lso->payload = len - lso->header;
	lso->mss = mss;
	lso->done = 0;
	lso->l3 = (uint16_t)l3;
	lso->l4 = (uint16_t)tcp_offset;
	lso->ipv6 = ipv6;
	lso->ethertype = (uint16_t)ethertype;
	lso->first_id = (uint16_t)get16(frame + l3 + 4);
	lso->seq = get32(frame + tcp_offset + 4);
	/* The IP length of a segment is a 16-bit field. */
	if (lso->header - l3 + (lso->payload < mss ? lso->payload : mss) > UINT16_MAX)
		return -EINVAL;
	return lso->payload == 0 ? -EINVAL : 0;
}

bool
offload_lso_sane(const struct offload_lso *lso, uint32_t max_frame)
{
	const uint8_t *ip = lso->frame + lso->l3;
	uint32_t tag = lso->l3 - ETHER_LEN;

	if (lso->ethertype != (lso->ipv6 ? ETHERTYPE_IP6 : ETHERTYPE_IP4))
		return false;
	/* Extension headers may stand between IPv6 and TCP; nothing may between IPv4 and TCP. */
	if (lso->ipv6 ? lso->l4 == lso->l3 + IP6_LEN && ip[6] != PROTO_TCP
		      : lso->l4 != lso->l3 + (ip[0] & 15u) * 4 || ip[9] != PROTO_TCP ||
				(get16(ip + 6) & 0x3fff) != 0)
		return false;
	return lso->payload > lso->mss && lso->header + lso->mss <= max_frame + tag;
}

uint32_t
offload_lso_next_len(const struct offload_lso *lso)
{
	uint32_t left = lso->payload - lso->done;

	if (left == 0)
		return 0;
	return lso->header + (left < lso->mss ? left : lso->mss);
}

/* Lengths and the sum of an IP header; @p len: of the whole frame. */
static void
lso_ip(const struct offload_lso *lso, uint8_t *ip, uint32_t len, uint32_t id)
{
	if (lso->ipv6) {
		put16(ip + 4, len - lso->l3 - IP6_LEN);
		return;
	}
	put16(ip + 2, len - lso->l3);
	put16(ip + 4, id);
	put16(ip + 10, 0);
	store_sum(ip + 10, sum_add(0, ip, (ip[0] & 15u) * 4), false);
}

/*
 * Headers of the next segment, of @p len bytes, at @p header. Returns the sum of its pseudo
 * header.
 */
static uint64_t
lso_headers(const struct offload_lso *lso, uint8_t *header, uint32_t len)
{
	uint32_t data = len - lso->header;
	uint8_t *ip = header + lso->l3, *tcp = header + lso->l4;
	bool first = lso->done == 0, last = lso->done + data == lso->payload;

	memcpy(header, lso->frame, lso->header);
	lso_ip(lso, ip, len, lso->first_id + lso->done / lso->mss);
	put32(tcp + 4, lso->seq + lso->done);
	if (!last)
		tcp[TCP_FLAGS_AT] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	if (!first)
		tcp[TCP_FLAGS_AT] &= (uint8_t)~TCP_CWR;
	return sum_pseudo(ip, lso->ipv6, PROTO_TCP, len - lso->l4);
}

void
offload_lso_next(struct offload_lso *lso, uint8_t *out)
{
	uint32_t len = offload_lso_next_len(lso), data = len - lso->header;
	uint64_t pseudo = lso_headers(lso, out, len);
	uint8_t *tcp = out + lso->l4;

	memcpy(out + lso->header, lso->frame + lso->header + lso->done, data);
	put16(tcp + TCP_SUM_AT, 0);
	store_sum(tcp + TCP_SUM_AT, sum_add(pseudo, tcp, len - lso->l4), false);
	lso->done += data;
}

void
offload_lso_next_unfilled(struct offload_lso *lso, uint8_t *out, struct host_frame_work *left)
{
	uint32_t len = offload_lso_next_len(lso), data = len - lso->header;
	uint8_t header[LSO_HEADER_MAX];

	leave_sum(header + lso->l4 + TCP_SUM_AT, lso_headers(lso, header, len));
	memcpy(out, header, lso->header);
	memcpy(out + lso->header, lso->frame + lso->header + lso->done, data);
	*left = (struct host_frame_work){
		.csum_start = lso->l4, .csum_offset = TCP_SUM_AT, .ipv6 = lso->ipv6};
	lso->done += data;
}

int
offload_lso_whole(const struct offload_lso *lso, uint8_t *frame, struct host_frame_work *left)
{
	uint32_t len = lso->header + lso->payload;

	if (len - lso->l3 > UINT16_MAX)
		return -EINVAL;
	lso_ip(lso, frame + lso->l3, len, lso->first_id);
	leave_sum(frame + lso->l4 + TCP_SUM_AT,
		sum_pseudo(frame + lso->l3, lso->ipv6, PROTO_TCP, len - lso->l4));
	*left = (struct host_frame_work){
		.csum_start = lso->l4,
		.csum_offset = TCP_SUM_AT,
		.mss = lso->payload > lso->mss ? (uint16_t)lso->mss : 0,
		.ipv6 = lso->ipv6,
	};
	return 0;
}

uint32_t
offload_verify(const struct offload_headers *h, const uint8_t *head, const uint8_t *frame,
	const struct offload_verify *want)
{
	uint32_t word = 0;
	bool tcp = h->proto == PROTO_TCP, good;

	if (h->ip == 0)
		return 0;
	if (h->ip == 4 && want->ip4)
		word |= sum_fold(sum_add(0, head + h->l3, (uint32_t)h->l4 - h->l3)) == 0xffff
				? RNDIS_RX_CSUM_IP_OK
				: RNDIS_RX_CSUM_IP_FAILED;
	if (h->proto == 0)
		return word;
	if (h->ip == 4 ? !(tcp ? want->tcp4 : want->udp4) : !(tcp ? want->tcp6 : want->udp6))
		return word;
	if (!tcp && get16(head + h->l4 + 6) == 0 && h->ip == 4)
		return word; /* sent without a checksum */
	good = sum_fold(sum_add(sum_pseudo(head + h->l3, h->ip == 6, h->proto, h->l4_len),
		       frame + h->l4, h->l4_len)) == 0xffff;
	if (tcp)
		return word | (good ? RNDIS_RX_CSUM_TCP_OK : RNDIS_RX_CSUM_TCP_FAILED);
	return word | (good ? RNDIS_RX_CSUM_UDP_OK : RNDIS_RX_CSUM_UDP_FAILED);
}

uint32_t
offload_unfill(const struct offload_headers *h, uint8_t *head, uint8_t *frame, uint32_t word)
{
	uint16_t sum;

	if (word & RNDIS_RX_CSUM_IP_OK) {
		put16(head + h->l3 + 10, 0);
		memcpy(frame + h->l3 + 10, head + h->l3 + 10, 2);
		word |= RNDIS_RX_CSUM_IP_VALUE_INVALID | RNDIS_RX_CSUM_LOOPBACK;
	}
	/* There is no such bit for UDP. */
	if (word & RNDIS_RX_CSUM_TCP_OK) {
		sum = sum_fold(sum_pseudo(head + h->l3, h->ip == 6, PROTO_TCP, h->l4_len));
		memcpy(head + h->l4 + 16, &sum, sizeof(sum));
		memcpy(frame + h->l4 + 16, &sum, sizeof(sum));
		word |= RNDIS_RX_CSUM_TCP_VALUE_INVALID | RNDIS_RX_CSUM_LOOPBACK;
	}
	return word;
}
