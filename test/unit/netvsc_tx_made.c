/* SPDX-License-Identifier: BSD-3-Clause */
/* See netvsc_tx_made.h. */
#include <rte_ip.h>

#include "lib/host/offload.h"
#include "test/unit/netvsc_tx_made.h"

#define f tx_fixture

struct tx_seen made_seen;
uint8_t made_out[1024][2048];
uint32_t made_lens[1024];

/* ---- frames ---- */

void
made_put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

void
made_build(struct made *w)
{
	uint8_t *p = w->bytes, *ip, *l4;

	w->l2 = 14 + (w->tagged ? 4 : 0);
	w->l3_len = (w->ipv6 ? 40 : 20) + w->options;
	w->l4_len = w->udp ? 8 : 20 + w->options;
	w->len = w->l2 + w->l3_len + w->l4_len + w->payload;
	CU_ASSERT_FATAL(w->len <= sizeof(w->bytes));
	fixture_fill(p, w->len, w->seed);
	p[0] &= 0xfe;
	if (w->tagged) {
		made_put16(p + 12, 0x8100);
		made_put16(p + 14, TCI);
	}
	made_put16(p + w->l2 - 2, w->ipv6 ? 0x86dd : 0x0800);
	ip = p + w->l2;
	l4 = ip + w->l3_len;
	if (w->ipv6) {
		ip[0] = 0x60;
		made_put16(ip + 4, w->l3_len - 40 + w->l4_len + w->payload);
		ip[6] = w->options != 0 ? 60 : w->udp ? 17 : 6; /* destination options */
		if (w->options != 0) {
			ip[40] = w->udp ? 17 : 6;
			ip[41] = (uint8_t)(w->options / 8 - 1);
		}
	} else {
		ip[0] = (uint8_t)(0x40 | w->l3_len / 4);
		made_put16(ip + 2, w->l3_len + w->l4_len + w->payload);
		made_put16(ip + 6, 0x4000);
		ip[9] = w->udp ? 17 : 6;
	}
	if (w->udp)
		made_put16(l4 + 4, 8 + w->payload);
	else
		l4[12] = (uint8_t)(w->l4_len / 4 << 4);
}

struct rte_mbuf *
made_mbuf(const struct made *w, uint32_t seg, uint64_t flags)
{
	struct rte_mbuf *head = NULL, *last = NULL, *m;
	uint32_t at = 0, room;

	while (at < w->len) {
		m = rte_pktmbuf_alloc(f.pool);
		CU_ASSERT_PTR_NOT_NULL_FATAL(m);
		room = RTE_MIN(seg, (uint32_t)rte_pktmbuf_tailroom(m));
		m->data_len = (uint16_t)RTE_MIN(room, w->len - at);
		memcpy(rte_pktmbuf_mtod(m, uint8_t *), w->bytes + at, m->data_len);
		at += m->data_len;
		if (head == NULL)
			head = m;
		else
			last->next = m;
		last = m;
	}
	head->pkt_len = w->len;
	for (head->nb_segs = 0, m = head; m != NULL; m = m->next)
		head->nb_segs++;
	head->ol_flags = flags;
	head->l2_len = w->l2;
	head->l3_len = w->l3_len;
	head->l4_len = w->l4_len;
	return head;
}

bool
made_untouched(const struct rte_mbuf *m, const struct made *w)
{
	uint32_t at = 0;

	for (; m != NULL; at += m->data_len, m = m->next)
		if (memcmp(rte_pktmbuf_mtod(m, const uint8_t *), w->bytes + at, m->data_len) != 0)
			return false;
	return at == w->len;
}

/* ---- the host ---- */

bool
made_ip_sum_right(const uint8_t *ip)
{
	return ip[0] >> 4 != 4 || rte_raw_cksum(ip, (ip[0] & 15) * 4u) == 0xffff;
}

bool
made_l4_sum_right(const uint8_t *ip, uint32_t l3_len, uint32_t l4_len, bool udp)
{
	uint8_t whole[40 + 65536];
	uint32_t addrs = ip[0] >> 4 == 6 ? 32 : 8;

	memcpy(whole, ip + (addrs == 32 ? 8 : 12), addrs);
	made_put16(whole + addrs, 0);
	made_put16(whole + addrs + 2, udp ? 17 : 6);
	made_put16(whole + addrs + 4, 0);
	made_put16(whole + addrs + 6, l4_len);
	memcpy(whole + addrs + 8, ip + l3_len, l4_len);
	return rte_raw_cksum(whole, addrs + 8 + l4_len) == 0xffff;
}

unsigned int
made_host_sends(unsigned int i, uint8_t out[][2048], uint32_t lens[], unsigned int max)
{
	const struct rndis_packet_info *info = &made_seen.frame[i].info;
	static uint8_t frame[65536 + 64];
	struct offload_checksum ask = {0};
	struct offload_lso lso;
	unsigned int n = 0;
	uint32_t len;

	CU_ASSERT_FATAL(info->data_length <= sizeof(frame));
	memcpy(frame, made_seen.frame[i].data, info->data_length);
	if (info->present & RNDIS_HAS_LSO) {
		CU_ASSERT_FALSE(info->present & RNDIS_HAS_CSUM);
		CU_ASSERT_TRUE(info->lso & RNDIS_LSO_V2);
		CU_ASSERT_EQUAL_FATAL(
			offload_lso_begin(&lso, frame, info->data_length, rndis_lso_mss(info->lso),
				rndis_lso_tcp_offset(info->lso), info->lso & RNDIS_LSO_IPV6),
			0);
		for (; (len = offload_lso_next_len(&lso)) != 0; n++) {
			CU_ASSERT_FATAL(n < max && len <= 2044);
			lens[n] = len;
			offload_lso_next(&lso, out[n]);
		}
		CU_ASSERT(n > 1);
	} else {
		CU_ASSERT_FATAL(info->data_length <= 2044 && max != 0);
		if (info->present & RNDIS_HAS_CSUM) {
			ask.ipv4 = info->csum & RNDIS_TX_CSUM_IPV4;
			ask.ipv6 = info->csum & RNDIS_TX_CSUM_IPV6;
			ask.ip_header = info->csum & RNDIS_TX_CSUM_IP_HDR;
			ask.tcp = info->csum & RNDIS_TX_CSUM_TCP;
			ask.udp = info->csum & RNDIS_TX_CSUM_UDP;
			ask.l4_offset = (uint16_t)rndis_tx_csum_l4_offset(info->csum);
			CU_ASSERT_NOT_EQUAL(ask.ipv4, ask.ipv6);
			CU_ASSERT_FALSE(ask.tcp && ask.udp);
			CU_ASSERT_EQUAL(offload_fill(frame, info->data_length, &ask), 0);
		}
		memcpy(out[0], frame, info->data_length);
		lens[0] = info->data_length;
		n = 1;
	}
	for (i = 0; i < n && (info->present & RNDIS_HAS_VLAN); i++) {
		memmove(out[i] + 16, out[i] + 12, lens[i] - 12);
		made_put16(out[i] + 12, 0x8100);
		made_put16(out[i] + 14, info->vlan_tci);
		lens[i] += 4;
	}
	return n;
}

bool
made_same_but_sums(const uint8_t *a, const struct made *w)
{
	static uint8_t x[2048], y[2048];
	uint32_t l4 = w->l2 + w->l3_len;

	memcpy(x, a, w->len);
	memcpy(y, w->bytes, w->len);
	if (!w->ipv6)
		memcpy(x + w->l2 + 10, y + w->l2 + 10, 2);
	memcpy(x + l4 + (w->udp ? 6 : 16), y + l4 + (w->udp ? 6 : 16), 2);
	return memcmp(x, y, w->len) == 0;
}

bool
made_send(struct rte_mbuf *m)
{
	CU_ASSERT_EQUAL(tx_send(&m, 1), 1);
	return tx_take(0, &made_seen);
}

void
made_done(void)
{
	tx_answer(0, &made_seen, NVSP_STATUS_SUCCESS);
	netvsc_tx_done_cleanup(f.tx_queues[0], 0);
	CU_ASSERT_EQUAL(netvsc_tx_inflight(fixture_txq(&f, 0)), 0);
}
