/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Offloads of a send queue against a scripted host: which words go with a frame, and that the host
 * finds in the frame what they say. The host's own code fills checksums and cuts segments, and what
 * comes out is compared with frames that were made whole in software.
 */
#include <errno.h>

#include <rte_errno.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "drivers/net/netvsc/tx_offload.h"
#include "lib/host/offload.h"
#include "lib/netvsp/ndis.h"
#include "test/unit/netvsc_tx.h"

#define f tx_fixture

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

static struct tx_seen seen;

/* ---- frames ---- */

/* A frame that an application makes, without checksums. */
struct made {
	bool ipv6, udp, tagged;
	uint32_t options; /* bytes behind the IP header; TCP has as many */
	uint32_t payload;
	uint64_t seed;
	/* Found by make(): */
	uint32_t l2, l3_len, l4_len, len;
	uint8_t bytes[65536 + 64];
};

static void
put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void
make(struct made *w)
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
		put16(p + 12, 0x8100);
		put16(p + 14, TCI);
	}
	put16(p + w->l2 - 2, w->ipv6 ? 0x86dd : 0x0800);
	ip = p + w->l2;
	l4 = ip + w->l3_len;
	if (w->ipv6) {
		ip[0] = 0x60;
		put16(ip + 4, w->l3_len - 40 + w->l4_len + w->payload);
		ip[6] = w->options != 0 ? 60 : w->udp ? 17 : 6; /* destination options */
		if (w->options != 0) {
			ip[40] = w->udp ? 17 : 6;
			ip[41] = (uint8_t)(w->options / 8 - 1);
		}
	} else {
		ip[0] = (uint8_t)(0x40 | w->l3_len / 4);
		put16(ip + 2, w->l3_len + w->l4_len + w->payload);
		put16(ip + 6, 0x4000);
		ip[9] = w->udp ? 17 : 6;
	}
	if (w->udp)
		put16(l4 + 4, 8 + w->payload);
	else
		l4[12] = (uint8_t)(w->l4_len / 4 << 4);
}

/* The frame in mbufs of at most @p seg bytes, with its lengths. */
static struct rte_mbuf *
mbuf_of(const struct made *w, uint32_t seg, uint64_t flags)
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

/* Are these the bytes of the frame, and nobody wrote to them? */
static bool
untouched(const struct rte_mbuf *m, const struct made *w)
{
	uint32_t at = 0;

	for (; m != NULL; at += m->data_len, m = m->next)
		if (memcmp(rte_pktmbuf_mtod(m, const uint8_t *), w->bytes + at, m->data_len) != 0)
			return false;
	return at == w->len;
}

/* ---- the host ---- */

/* Is the checksum right that covers the IP header, or what is behind it? */
static bool
ip_sum_right(const uint8_t *ip)
{
	return ip[0] >> 4 != 4 || rte_raw_cksum(ip, (ip[0] & 15) * 4u) == 0xffff;
}

static bool
l4_sum_right(const uint8_t *ip, uint32_t l3_len, uint32_t l4_len, bool udp)
{
	uint8_t whole[40 + 65536];
	uint32_t addrs = ip[0] >> 4 == 6 ? 32 : 8;

	memcpy(whole, ip + (addrs == 32 ? 8 : 12), addrs);
	put16(whole + addrs, 0);
	put16(whole + addrs + 2, udp ? 17 : 6);
	put16(whole + addrs + 4, 0);
	put16(whole + addrs + 6, l4_len);
	memcpy(whole + addrs + 8, ip + l3_len, l4_len);
	return rte_raw_cksum(whole, addrs + 8 + l4_len) == 0xffff;
}

/*
 * What a host makes of the frames of @a seen, all that it would look at: a request that it cannot
 * meet fails the test, because it would refuse the whole packet. Frames come out with their tag.
 */
static unsigned int
host_sends(unsigned int i, uint8_t out[][2048], uint32_t lens[], unsigned int max)
{
	const struct rndis_packet_info *info = &seen.frame[i].info;
	static uint8_t frame[65536 + 64];
	struct offload_checksum ask = {0};
	struct offload_lso lso;
	unsigned int n = 0;
	uint32_t len;

	CU_ASSERT_FATAL(info->data_length <= sizeof(frame));
	memcpy(frame, seen.frame[i].data, info->data_length);
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
		put16(out[i] + 12, 0x8100);
		put16(out[i] + 14, info->vlan_tci);
		lens[i] += 4;
	}
	return n;
}

static uint8_t out[1024][2048];
static uint32_t lens[1024];

/* Is this the frame, its checksums apart? */
static bool
same_but_sums(const uint8_t *a, const struct made *w)
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

/* Send a frame alone; it is in @a seen afterwards. */
static bool
send_one(struct rte_mbuf *m)
{
	CU_ASSERT_EQUAL(tx_send(&m, 1), 1);
	return tx_take(0, &seen);
}

static void
done(void)
{
	tx_answer(0, &seen, NVSP_STATUS_SUCCESS);
	netvsc_tx_done_cleanup(f.tx_queues[0], 0);
	CU_ASSERT_EQUAL(netvsc_tx_inflight(fixture_txq(&f, 0)), 0);
}

/* ---- checksums ---- */

/*
 * All combinations of what can be asked for, over both families and protocols: the L4 field is
 * compared as one (pitfall T12), and what is asked is done, no more.
 */
static void
test_every_combination_of_checksums(void)
{
	static const uint64_t l4s[] = {0, TCP, UDP, SCTP};
	struct fixture_conf conf = {.tx_offloads = ALL_OFFLOADS};
	static struct made w;
	unsigned int i, by;

	for (i = 0; i < 4 * 2 * 2 * 2 * 2 * 2; i++) {
		uint64_t l4 = l4s[i & 3], flags;
		bool ip = i & 4;
		uint32_t word = 0, off;

		memset(&w, 0, sizeof(w));
		w.ipv6 = i & 8;
		w.options = i & 16 ? 8 : 0;
		w.tagged = i & 32;
		w.udp = l4 == UDP;
		w.payload = 101;
		w.seed = i;
		make(&w);
		if (w.ipv6 && ip)
			continue;
		flags = (w.ipv6 ? V6 : V4) | (ip ? IP : 0) | l4;
		conf.tx_copybreak = i & 64 ? 60 : 0;
		REQUIRE(fixture_begin(&f, &conf));
		for (by = 0; by < 2; by++) {
			REQUIRE(send_one(mbuf_of(&w, by == 0 ? 4096 : 14, flags)));
			CU_ASSERT_EQUAL(seen.n, 1);
			CU_ASSERT_EQUAL(seen.frame[0].len, w.len - (w.tagged ? 4 : 0));
			off = 14 + w.l3_len;
			word = ip ? RNDIS_TX_CSUM_IP_HDR : 0;
			if (l4 == TCP || l4 == UDP)
				word |= (l4 == TCP ? RNDIS_TX_CSUM_TCP : RNDIS_TX_CSUM_UDP) |
					off << RNDIS_L4_OFFSET_SHIFT;
			if (word != 0)
				word |= w.ipv6 ? RNDIS_TX_CSUM_IPV6 : RNDIS_TX_CSUM_IPV4;
			CU_ASSERT_EQUAL(seen.frame[0].info.present,
				(word != 0 ? RNDIS_HAS_CSUM : 0) | (w.tagged ? RNDIS_HAS_VLAN : 0));
			if (word != 0) {
				CU_ASSERT_EQUAL(seen.frame[0].info.csum, word);
			}
			CU_ASSERT_EQUAL(host_sends(0, out, lens, 1), 1);
			CU_ASSERT_EQUAL(lens[0], w.len);
			CU_ASSERT(same_but_sums(out[0], &w));
			CU_ASSERT(!ip || ip_sum_right(out[0] + w.l2));
			CU_ASSERT((l4 != TCP && l4 != UDP) || l4_sum_right(out[0] + w.l2, w.l3_len,
								      w.l4_len + w.payload, w.udp));
			done();
		}
		fixture_end(&f);
	}
}

/* Frames that ask for something stand between others, and with the word that names the queue. */
static void
test_frames_with_and_without_words_share_a_section(void)
{
	struct fixture_conf conf = {.tx_offloads = ALL_OFFLOADS, .channels = 2};
	static struct made w = {.payload = 33};
	struct rte_mbuf *pkts[8];
	unsigned int i;

	make(&w);
	REQUIRE(fixture_begin(&f, &conf));
	for (i = 0; i < 8; i++) {
		pkts[i] = mbuf_of(&w, 4096, i % 2 ? V4 | IP | TCP : 0);
		if (i >= 4) {
			pkts[i]->ol_flags |= VLAN;
			pkts[i]->vlan_tci = TCI + i;
		}
	}
	CU_ASSERT_EQUAL(netvsc_tx_burst(f.tx_queues[1], pkts, 8), 8);
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
	REQUIRE(tx_take(1, &seen));
	CU_ASSERT_EQUAL(seen.n, 8);
	for (i = 0; i < 8; i++) {
		const struct rndis_packet_info *info = &seen.frame[i].info;

		CU_ASSERT_EQUAL(info->present, RNDIS_HAS_HASH_VALUE | (i % 2 ? RNDIS_HAS_CSUM : 0) |
						       (i >= 4 ? RNDIS_HAS_VLAN : 0));
		CU_ASSERT_EQUAL(info->hash_value, 1);
		CU_ASSERT_EQUAL(info->data_abs, 44 + info->ppi_length);
		CU_ASSERT(seen.frame[i].len == w.len &&
			  memcmp(seen.frame[i].data, w.bytes, w.len) == 0);
		if (i >= 4)
			CU_ASSERT_EQUAL(info->vlan_tci, TCI + i);
	}
	tx_answer(1, &seen, NVSP_STATUS_SUCCESS);
	fixture_end(&f);
}

/* What a queue was not set up for means nothing on it, as to any driver. */
static void
test_a_queue_does_only_what_it_was_set_up_for(void)
{
	static const struct {
		uint64_t offloads;
		uint32_t present, csum;
	} cases[] = {
		{0, 0, 0},
		{RTE_ETH_TX_OFFLOAD_IPV4_CKSUM, RNDIS_HAS_CSUM,
			RNDIS_TX_CSUM_IPV4 | RNDIS_TX_CSUM_IP_HDR},
		{RTE_ETH_TX_OFFLOAD_TCP_CKSUM, RNDIS_HAS_CSUM,
			RNDIS_TX_CSUM_IPV4 | RNDIS_TX_CSUM_TCP | 34u << 16},
		{RTE_ETH_TX_OFFLOAD_UDP_CKSUM, 0, 0},
		{RTE_ETH_TX_OFFLOAD_VLAN_INSERT, RNDIS_HAS_VLAN, 0},
	};
	static struct made w = {.payload = 600};
	struct fixture_conf conf = {0};
	struct rte_mbuf *m;
	size_t i;

	make(&w);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		conf.tx_offloads = cases[i].offloads;
		REQUIRE(fixture_begin(&f, &conf));
		m = mbuf_of(&w, 4096, V4 | IP | TCP | VLAN | SEG);
		m->tso_segsz = 200;
		m->vlan_tci = TCI;
		CU_ASSERT_EQUAL(netvsc_tx_prepare(f.tx_queues[0], &m, 1), 0);
		CU_ASSERT_EQUAL(rte_errno, ENOTSUP);
		CU_ASSERT(untouched(m, &w));
		REQUIRE(send_one(m));
		CU_ASSERT_EQUAL(seen.frame[0].info.present, cases[i].present);
		if (cases[i].present & RNDIS_HAS_CSUM)
			CU_ASSERT_EQUAL(seen.frame[0].info.csum, cases[i].csum);
		CU_ASSERT(memcmp(seen.frame[0].data, w.bytes, w.len) == 0);
		done();
		fixture_end(&f);
	}
}

/* ---- tags ---- */

/*
 * The host takes frames for untagged: a tag in one goes as a word, on a queue with offloads and on
 * one without, by copy and by reference, whatever the segments; a clone's bytes stay.
 */
static void
test_a_tag_in_the_frame_goes_as_a_word(void)
{
	static const uint32_t segs[] = {4096, 14, 12, 13, 16, 1};
	static struct made w;
	struct rte_mbuf *m, *clone;
	unsigned int i, how;

	for (how = 0; how < 4; how++) {
		struct fixture_conf conf = {
			.tx_offloads = how & 1 ? ALL_OFFLOADS : 0,
			.tx_copybreak = how & 2 ? 40 : 0,
			.mtu = 1500,
		};

		for (i = 0; i < ARRAY_SIZE(segs); i++) {
			w = (struct made){.tagged = true, .payload = i == 5 ? 0 : 100, .seed = i};
			make(&w);
			REQUIRE(fixture_begin(&f, &conf));
			m = mbuf_of(&w, segs[i], 0);
			clone = rte_pktmbuf_clone(m, f.pool);
			CU_ASSERT_PTR_NOT_NULL_FATAL(clone);
			REQUIRE(send_one(clone));
			CU_ASSERT_EQUAL(seen.frame[0].info.present, RNDIS_HAS_VLAN);
			CU_ASSERT_EQUAL(seen.frame[0].info.vlan_tci, TCI);
			CU_ASSERT_EQUAL(seen.frame[0].len, w.len - 4);
			CU_ASSERT(memcmp(seen.frame[0].data, w.bytes, 12) == 0);
			CU_ASSERT(memcmp(seen.frame[0].data + 12, w.bytes + 16, w.len - 16) == 0);
			CU_ASSERT(untouched(m, &w));
			if (how & 2 && w.payload != 0)
				CU_ASSERT(seen.n_ranges > 1 || segs[i] < 14);
			done();
			rte_pktmbuf_free(m);
			fixture_end(&f);
		}
	}
}

/* A tag that is added stands before the one in the frame. */
static void
test_a_second_tag_is_the_outer_one(void)
{
	struct fixture_conf conf = {.tx_offloads = ALL_OFFLOADS};
	static struct made w = {.tagged = true, .payload = 80};
	struct rte_mbuf *m;

	make(&w);
	REQUIRE(fixture_begin(&f, &conf));
	m = mbuf_of(&w, 4096, VLAN | V4 | IP | TCP);
	m->vlan_tci = 0x0fff;
	REQUIRE(send_one(m));
	CU_ASSERT_EQUAL(seen.frame[0].info.vlan_tci, 0x0fff);
	CU_ASSERT_EQUAL(seen.frame[0].len, w.len);
	/* The header is where it is, behind the inner tag. */
	CU_ASSERT_EQUAL(rndis_tx_csum_l4_offset(seen.frame[0].info.csum), 38);
	CU_ASSERT(memcmp(seen.frame[0].data, w.bytes, w.len) == 0);
	done();
	fixture_end(&f);
}

/* Priority 0 and id 0 is a tag, too; what looks like one but ends before it is none. */
static void
test_tags_at_the_edges(void)
{
	struct fixture_conf conf = {.tx_offloads = ALL_OFFLOADS};
	uint8_t runt[18] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0xff, 0xff, 8, 0};
	struct rte_mbuf *m;
	uint16_t len;

	REQUIRE(fixture_begin(&f, &conf));
	tx_make(&m, 1, 60, 9);
	m->ol_flags = VLAN;
	m->vlan_tci = 0;
	REQUIRE(send_one(m));
	CU_ASSERT_EQUAL(seen.frame[0].info.present, RNDIS_HAS_VLAN);
	CU_ASSERT_EQUAL(seen.frame[0].info.vlan_tci, 0);
	CU_ASSERT(tx_frame_is(&seen, 0, 60, 9));
	done();
	for (len = 14; len <= 18; len++) {
		tx_make(&m, 1, len, 0);
		memcpy(rte_pktmbuf_mtod(m, void *), runt, len);
		REQUIRE(send_one(m));
		CU_ASSERT_EQUAL(seen.frame[0].info.present, len < 18 ? 0 : RNDIS_HAS_VLAN);
		CU_ASSERT_EQUAL(seen.frame[0].len, len < 18 ? len : 14);
		done();
	}
	fixture_end(&f);
}

/* ---- segmentation ---- */

/* Is it segment @p n of the frame, complete and right? */
static bool
segment_right(const struct made *w, unsigned int n, uint32_t mss)
{
	uint32_t headers = w->l2 + w->l3_len + w->l4_len, left = w->payload - n * mss;
	const uint8_t *ip = out[n] + w->l2;

	left = RTE_MIN(left, mss);
	return lens[n] == headers + left && memcmp(out[n], w->bytes, w->l2) == 0 &&
	       memcmp(out[n] + headers, w->bytes + headers + (size_t)n * mss, left) == 0 &&
	       ip_sum_right(ip) && l4_sum_right(ip, w->l3_len, w->l4_len + left, false);
}

/* Everything that a large frame can be: families, options, tags, segments of any size, clones. */
static void
test_large_frames_are_cut_by_the_host(void)
{
	static const uint32_t segs[] = {65535, 4000, 2048, 1500};
	struct fixture_conf conf = {
		.tx_offloads = ALL_OFFLOADS,
		.max_transfer = 0xefffffff,
		.room = 4096,
	};
	static struct made w;
	unsigned int i, n, s;

	for (i = 0; i < 64; i++) {
		uint32_t mss = i & 16 ? 1400 : 536;
		struct rte_mbuf *m, *clone;

		w = (struct made){
			.ipv6 = i & 1,
			.options = i & 2 ? 8 : 0,
			.tagged = i & 4,
			.payload = i & 8 ? 3000 + i : 40000 + i,
			.seed = i,
		};
		make(&w);
		conf.tx_copybreak = i & 32 ? 200 : 0;
		REQUIRE(fixture_begin(&f, &conf));
		m = mbuf_of(&w, segs[i % 4], SEG | TCP | (w.ipv6 ? V6 : V4 | IP));
		m->tso_segsz = (uint16_t)mss;
		clone = rte_pktmbuf_clone(m, f.pool);
		CU_ASSERT_PTR_NOT_NULL_FATAL(clone);
		REQUIRE(send_one(clone));
		CU_ASSERT_TRUE(seen.frame[0].info.present & RNDIS_HAS_LSO);
		/* Lengths are the host's to write (spec/rndis.md §4.1). */
		CU_ASSERT_EQUAL(seen.frame[0].data[14 + (w.ipv6 ? 4 : 2)], 0);
		CU_ASSERT_EQUAL(seen.frame[0].data[14 + (w.ipv6 ? 5 : 3)], 0);
		n = host_sends(0, out, lens, RTE_DIM(lens));
		CU_ASSERT_EQUAL(n, (w.payload + mss - 1) / mss);
		for (s = 0; s < n; s++)
			CU_ASSERT(segment_right(&w, s, mss));
		CU_ASSERT(untouched(m, &w));
		CU_ASSERT_EQUAL(fixture_txq(&f, 0)->stats.bytes, w.len);
		done();
		rte_pktmbuf_free(m);
		fixture_end(&f);
	}
}

/*
 * What can only be copied goes in pieces that the host cuts further, and nobody on the wire sees
 * that: where no memory has a name, and where there are more segments than ranges.
 */
static void
test_large_frames_that_can_only_be_copied(void)
{
	struct fixture_conf conf = {
		.tx_offloads = ALL_OFFLOADS,
		.max_transfer = 0xefffffff,
		.mbufs = 4095,
	};
	static struct made w;
	unsigned int i, n, s;

	for (i = 0; i < 16; i++) {
		uint32_t mss = i & 2 ? 1440 : 700;
		struct rte_mbuf *m;

		w = (struct made){
			.ipv6 = i & 1,
			.tagged = i & 4,
			.payload = 60000 + i * 100,
			.seed = i,
		};
		make(&w);
		w.bytes[w.l2 + w.l3_len + 13] = 0x99; /* CWR, ACK, PSH, FIN */
		conf.copy_only = i & 8;
		REQUIRE(fixture_begin(&f, &conf));
		m = mbuf_of(&w, i & 8 ? 4096 : 1000, SEG | TCP | (w.ipv6 ? V6 : V4 | IP));
		m->tso_segsz = (uint16_t)mss;
		CU_ASSERT_EQUAL(tx_send(&m, 1), 1);
		CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
		CU_ASSERT_EQUAL(fixture_txq(&f, 0)->stats.packets, 1);
		CU_ASSERT_EQUAL(fixture_txq(&f, 0)->stats.bytes, w.len);
		for (n = 0; tx_take(0, &seen); tx_answer(0, &seen, NVSP_STATUS_SUCCESS)) {
			CU_ASSERT_EQUAL(seen.n_ranges, 0);
			n += host_sends(0, out + n, lens + n, RTE_DIM(lens) - n);
		}
		CU_ASSERT_EQUAL(n, (w.payload + mss - 1) / mss);
		for (s = 0; s < n; s++) {
			const uint8_t *ip = out[s] + w.l2, *was = w.bytes + w.l2;
			const uint8_t *tcp = ip + w.l3_len;
			rte_be32_t seq, first;

			CU_ASSERT(segment_right(&w, s, mss));
			CU_ASSERT_EQUAL(
				tcp[13], 0x10 | (s == 0 ? 0x80 : 0) | (s == n - 1 ? 0x09 : 0));
			memcpy(&seq, tcp + 4, 4);
			memcpy(&first, was + w.l3_len + 4, 4);
			CU_ASSERT_EQUAL(rte_be_to_cpu_32(seq), rte_be_to_cpu_32(first) + s * mss);
			if (!w.ipv6) {
				CU_ASSERT_EQUAL((uint16_t)(ip[4] << 8 | ip[5]),
					(uint16_t)((was[4] << 8 | was[5]) + s));
			}
		}
		netvsc_tx_done_cleanup(f.tx_queues[0], 0);
		CU_ASSERT_EQUAL(fixture_txq(&f, 0)->stats.over, 1);
		CU_ASSERT_EQUAL(netvsc_tx_inflight(fixture_txq(&f, 0)), 0);
		fixture_end(&f);
	}
}

/* All or nothing: without sections or slots for all pieces none is sent, and nothing is lost. */
static void
test_pieces_wait_for_each_other(void)
{
	struct fixture_conf conf = {
		.tx_offloads = ALL_OFFLOADS,
		.max_transfer = 0xefffffff,
		.copy_only = true,
		.send_count = 16,
		.nb_desc = 64,
	};
	static struct made w = {.payload = 60000};
	struct rte_mbuf *m, *small[10];
	unsigned int i;

	make(&w);
	REQUIRE(fixture_begin(&f, &conf));
	for (i = 0; i < 10; i++) {
		tx_make(&small[i], 1, 60, i);
		CU_ASSERT_EQUAL(tx_send(&small[i], 1), 1);
	}
	m = mbuf_of(&w, 4096, SEG | TCP | V4 | IP);
	m->tso_segsz = 1440;
	CU_ASSERT_EQUAL(tx_send(&m, 1), 0);
	CU_ASSERT_EQUAL(fixture_txq(&f, 0)->drops.no_section, 1);
	CU_ASSERT(untouched(m, &w));
	CU_ASSERT_EQUAL(tx_take_all(0), 10);
	netvsc_tx_done_cleanup(f.tx_queues[0], 0);
	CU_ASSERT_EQUAL(tx_send(&m, 1), 1);
	CU_ASSERT(tx_take_all(0) > 10);
	netvsc_tx_done_cleanup(f.tx_queues[0], 0);
	fixture_end(&f);
	/* Where there are never so many, waiting would be for ever. */
	conf.send_count = 8;
	REQUIRE(fixture_begin(&f, &conf));
	m = mbuf_of(&w, 4096, SEG | TCP | V4 | IP);
	m->tso_segsz = 1440;
	CU_ASSERT_EQUAL(tx_send(&m, 1), 1);
	CU_ASSERT_EQUAL(fixture_txq(&f, 0)->drops.unsendable, 1);
	CU_ASSERT_FALSE(tx_take(0, &seen));
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
	fixture_end(&f);
}

/* What fits one segment is a frame with checksums to a host, whatever lengths it was given. */
static void
test_a_large_frame_of_one_segment(void)
{
	struct fixture_conf conf = {.tx_offloads = RTE_ETH_TX_OFFLOAD_TCP_TSO};
	static struct made w;
	struct rte_mbuf *m;
	unsigned int i;

	for (i = 0; i < 8; i++) {
		w = (struct made){.ipv6 = i & 1, .tagged = i & 2, .payload = 536, .seed = i};
		make(&w);
		conf.tx_copybreak = i & 4 ? 100 : 0;
		REQUIRE(fixture_begin(&f, &conf));
		m = mbuf_of(&w, 4096, SEG | (w.ipv6 ? V6 : V4));
		/* As applications leave it who expect a host that cuts. */
		put16(rte_pktmbuf_mtod(m, uint8_t *) + w.l2 + (w.ipv6 ? 4 : 2), 0);
		m->tso_segsz = 536;
		REQUIRE(send_one(m));
		CU_ASSERT_EQUAL(seen.frame[0].info.present & ~RNDIS_HAS_VLAN, RNDIS_HAS_CSUM);
		CU_ASSERT_EQUAL(host_sends(0, out, lens, 1), 1);
		CU_ASSERT_EQUAL(lens[0], w.len);
		CU_ASSERT(same_but_sums(out[0], &w));
		CU_ASSERT(segment_right(&w, 0, 536));
		done();
		fixture_end(&f);
	}
}

/* ---- what cannot be ---- */

static void
lie(unsigned int i, struct rte_mbuf *m)
{
	uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *);

	switch (i) {
	case 0:
		m->l2_len = 0;
		break;
	case 1:
		m->l2_len = 18;
		break;
	case 2:
		m->l2_len = 127;
		break;
	case 3:
		m->l3_len = 0;
		break;
	case 4:
		m->l3_len = 24;
		break;
	case 5:
		m->l3_len = 511;
		break;
	case 6:
		p[14] = 0x65;
		break;
	case 7:
		p[14] = 0x4f;
		break;
	case 8:
		p[14] = 0x44;
		break;
	case 9:
		m->ol_flags = (m->ol_flags & ~(V4 | IP)) | V6;
		break;
	case 10:
		put16(p + 16, 0xffff);
		break;
	case 11:
		put16(p + 16, 39);
		break;
	case 12:
		m->pkt_len = m->data_len = 53; /* ends in the TCP header */
		break;
	case 13:
		m->pkt_len = m->data_len = 14;
		break;
	case 14: /* on: segmentation only */
		m->l4_len = 0;
		break;
	case 15:
		m->l4_len = 255;
		break;
	case 16:
		m->l4_len = 24;
		break;
	case 17:
		m->tso_segsz = 0;
		break;
	case 18:
		m->tso_segsz = 63;
		break;
	case 19:
		m->tso_segsz = 65535;
		break;
	case 20:
		m->tso_segsz = 1500 - 39;
		break;
	case 21:
		m->pkt_len = m->data_len = 54; /* no payload */
		break;
	}
}
#define LIES	 14u /* to any frame that asks for checksums */
#define SEG_LIES 22u

/* One that cannot be done is dropped alone: the host would refuse its whole packet. */
static void
test_requests_that_contradict_the_frame_are_dropped(void)
{
	struct fixture_conf conf = {.tx_offloads = ALL_OFFLOADS};
	static struct made w = {.payload = 900};
	struct rte_mbuf *pkts[3];
	unsigned int i, seg;

	make(&w);
	for (seg = 0; seg < 2; seg++)
		for (i = 0; i < (seg ? SEG_LIES : LIES); i++) {
			uint64_t flags = V4 | IP | TCP | (seg ? SEG : 0);

			/* Segmentation writes lengths itself. */
			if (seg && (i == 10 || i == 11))
				continue;
			REQUIRE(fixture_begin(&f, &conf));
			tx_make(pkts, 1, 60, 1);
			pkts[1] = mbuf_of(&w, 4096, flags);
			pkts[1]->tso_segsz = 200;
			lie(i, pkts[1]);
			tx_make(pkts + 2, 1, 61, 2);
			CU_ASSERT_EQUAL(netvsc_tx_prepare(f.tx_queues[0], pkts, 3), 1);
			CU_ASSERT(rte_errno == EINVAL || rte_errno == ENOTSUP);
			CU_ASSERT_EQUAL(tx_send(pkts, 3), 3);
			if (fixture_txq(&f, 0)->drops.bad_offload != 1)
				printf("\nlie %u seg %u\n", i, seg);
			CU_ASSERT_EQUAL(fixture_txq(&f, 0)->drops.bad_offload, 1);
			CU_ASSERT_EQUAL(fixture_txq(&f, 0)->stats.errors, 1);
			CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
			REQUIRE(tx_take(0, &seen));
			CU_ASSERT(seen.n == 2 && tx_frame_is(&seen, 0, 60, 1) &&
				  tx_frame_is(&seen, 1, 61, 2));
			done();
			fixture_end(&f);
		}
}

static void
test_a_host_that_does_not_cut_ipv6(void)
{
	struct fixture_conf conf = {.tx_offloads = ALL_OFFLOADS};
	static struct made w = {.ipv6 = true, .payload = 1000};
	struct rte_mbuf *m;

	make(&w);
	REQUIRE(fixture_begin(&f, &conf));
	f.port.session.offloads.tso6_max = 0;
	netvsc_tx_template(fixture_txq(&f, 0));
	m = mbuf_of(&w, 4096, V6 | TCP | SEG);
	m->tso_segsz = 500;
	CU_ASSERT_EQUAL(netvsc_tx_prepare(f.tx_queues[0], &m, 1), 0);
	CU_ASSERT_EQUAL(rte_errno, ENOTSUP);
	CU_ASSERT_EQUAL(tx_send(&m, 1), 1);
	CU_ASSERT_EQUAL(fixture_txq(&f, 0)->drops.bad_offload, 1);
	fixture_end(&f);
}

/* ---- prepare ---- */

/* The sums that DPDK's own helper writes, in any segments, and nothing else. */
static void
test_prepare_writes_the_sums_of_pseudo_headers(void)
{
	static const uint32_t segs[] = {4096, 14, 51, 1};
	struct fixture_conf conf = {.tx_offloads = ALL_OFFLOADS};
	static struct made w;
	struct rte_mbuf *m;
	unsigned int i;

	for (i = 0; i < 64; i++) {
		bool seg = i & 8;
		uint64_t flags;
		uint8_t *ip, *l4;
		uint16_t sum;

		w = (struct made){
			.ipv6 = i & 1,
			.udp = (i & 2) && !seg,
			.tagged = i & 4,
			.payload = seg ? 300 : 20,
			.seed = i,
		};
		make(&w);
		flags = (w.ipv6 ? V6 : V4 | IP) | (w.udp ? UDP : TCP) | (seg ? SEG : 0);
		REQUIRE(fixture_begin(&f, &conf));
		m = mbuf_of(&w, segs[i / 16], flags);
		m->tso_segsz = 100;
		CU_ASSERT_EQUAL(netvsc_tx_prepare(f.tx_queues[0], &m, 1), 1);
		ip = w.bytes + w.l2;
		l4 = ip + w.l3_len;
		if (!w.ipv6)
			put16(ip + 10, 0);
		sum = w.ipv6 ? rte_ipv6_phdr_cksum((const struct rte_ipv6_hdr *)ip, flags)
			     : rte_ipv4_phdr_cksum((const struct rte_ipv4_hdr *)ip, flags);
		memcpy(l4 + (w.udp ? 6 : 16), &sum, 2);
		CU_ASSERT(untouched(m, &w));
		rte_pktmbuf_free(m);
		fixture_end(&f);
	}
}

static void
test_prepare_names_the_first_that_cannot_be_sent(void)
{
	static const uint64_t unknown[] = {RTE_MBUF_F_TX_QINQ, SCTP | V4,
		RTE_MBUF_F_TX_TUNNEL_VXLAN | V4, RTE_MBUF_F_TX_OUTER_IP_CKSUM,
		RTE_MBUF_F_TX_OUTER_UDP_CKSUM, RTE_MBUF_F_TX_UDP_SEG, RTE_MBUF_F_TX_SEC_OFFLOAD,
		RTE_MBUF_F_TX_MACSEC, RTE_MBUF_F_TX_IEEE1588_TMST};
	struct fixture_conf conf = {.tx_offloads = ALL_OFFLOADS};
	struct rte_mbuf *pkts[4], *none = NULL;
	size_t i;

	REQUIRE(fixture_begin(&f, &conf));
	tx_make(pkts, 4, 60, 0);
	CU_ASSERT_EQUAL(netvsc_tx_prepare(f.tx_queues[0], pkts, 0), 0);
	CU_ASSERT_EQUAL(netvsc_tx_prepare(f.tx_queues[0], pkts, 4), 4);
	for (i = 0; i < ARRAY_SIZE(unknown); i++) {
		pkts[2]->ol_flags = unknown[i];
		rte_errno = 0;
		CU_ASSERT_EQUAL(netvsc_tx_prepare(f.tx_queues[0], pkts, 4), 2);
		CU_ASSERT_EQUAL(rte_errno, ENOTSUP);
	}
	pkts[2]->ol_flags = 0;
	/* Too short, too long, at odds with itself, and no mbuf. */
	for (i = 0; i < 4; i++) {
		pkts[2]->data_len = 60;
		pkts[2]->pkt_len = i == 0 ? 13 : i == 1 ? 1519 : i == 2 ? 59 : 60;
		if (i < 2)
			pkts[2]->data_len = (uint16_t)pkts[2]->pkt_len;
		rte_errno = 0;
		if (i == 3) {
			CU_ASSERT_EQUAL(netvsc_tx_prepare(f.tx_queues[0], &none, 1), 0);
		} else {
			CU_ASSERT_EQUAL(netvsc_tx_prepare(f.tx_queues[0], pkts, 4), 2);
		}
		CU_ASSERT_EQUAL(rte_errno, EINVAL);
	}
	rte_pktmbuf_free_bulk(pkts, 4);
	fixture_end(&f);
}

/* ---- anything ---- */

/*
 * Mbufs that say anything of themselves: whatever is sent, a host meets each request; all else is
 * counted and freed, and prepare has said so before.
 */
static void
test_random_requests(void)
{
	static const uint64_t bits[] = {TCP, UDP, IP, SEG, VLAN, V4, V6, RTE_MBUF_F_TX_QINQ};
	struct fixture_conf conf = {
		.tx_offloads = ALL_OFFLOADS,
		.max_transfer = 0xefffffff,
		.ring = 256 << 10,
		.mbufs = 4095,
	};
	static struct made w;
	uint64_t rnd = 1234;
	unsigned int round, i, sent = 0, dropped, total = 0;

	REQUIRE(fixture_begin(&f, &conf));
	for (round = 0; round < 3000; round++) {
		struct rte_mbuf *m;
		uint32_t *word;

		w = (struct made){
			.ipv6 = rnd_below(&rnd, 2),
			.udp = rnd_below(&rnd, 2),
			.tagged = rnd_below(&rnd, 2),
			.options = rnd_below(&rnd, 3) * 8,
			.payload = rnd_below(&rnd, rnd_below(&rnd, 2) ? 40 : 3000),
			.seed = round,
		};
		make(&w);
		m = mbuf_of(&w, 1 + rnd_below(&rnd, rnd_below(&rnd, 2) ? 60 : 3000), 0);
		for (i = 0; i < ARRAY_SIZE(bits); i++)
			if (rnd_below(&rnd, 2))
				m->ol_flags |= bits[i];
		m->tso_segsz = (uint16_t)rnd_below(&rnd, 1500);
		m->vlan_tci = (uint16_t)rnd_below(&rnd, 65536);
		switch (rnd_below(&rnd, 6)) {
		case 0:
			m->l2_len = rnd_below(&rnd, 128);
			break;
		case 1:
			m->l3_len = rnd_below(&rnd, 512);
			break;
		case 2:
			m->l4_len = rnd_below(&rnd, 256);
			break;
		case 3:
			word = rte_pktmbuf_mtod(m, uint32_t *);
			if (m->data_len >= 40)
				word[3 + rnd_below(&rnd, 6)] = rnd_below(&rnd, UINT32_MAX);
			break;
		default:
			break;
		}
		total++;
		i = netvsc_tx_prepare(f.tx_queues[0], &m, 1);
		dropped = (unsigned int)fixture_txq(&f, 0)->stats.errors;
		CU_ASSERT_EQUAL(tx_send(&m, 1), 1);
		if (i == 1)
			CU_ASSERT_EQUAL(fixture_txq(&f, 0)->stats.errors, dropped);
		if (tx_take(0, &seen)) {
			CU_ASSERT(host_sends(0, out, lens, RTE_DIM(lens)) >= 1);
			sent++;
			done();
		}
		CU_ASSERT_EQUAL_FATAL(sent + fixture_txq(&f, 0)->stats.errors, total);
		CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
	}
	CU_ASSERT(sent > 300 && sent < total);
	fixture_end(&f);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"every combination of checksums", test_every_combination_of_checksums},
		{"frames with and without words share a section",
			test_frames_with_and_without_words_share_a_section},
		{"a queue does only what it was set up for",
			test_a_queue_does_only_what_it_was_set_up_for},
		{"a tag in the frame goes as a word", test_a_tag_in_the_frame_goes_as_a_word},
		{"a second tag is the outer one", test_a_second_tag_is_the_outer_one},
		{"tags at the edges", test_tags_at_the_edges},
		{"large frames are cut by the host", test_large_frames_are_cut_by_the_host},
		{"large frames that can only be copied", test_large_frames_that_can_only_be_copied},
		{"pieces wait for each other", test_pieces_wait_for_each_other},
		{"a large frame of one segment", test_a_large_frame_of_one_segment},
		{"requests that contradict the frame are dropped",
			test_requests_that_contradict_the_frame_are_dropped},
		{"a host that does not cut IPv6", test_a_host_that_does_not_cut_ipv6},
		{"prepare writes the sums of pseudo headers",
			test_prepare_writes_the_sums_of_pseudo_headers},
		{"prepare names the first that cannot be sent",
			test_prepare_names_the_first_that_cannot_be_sent},
		{"random requests", test_random_requests},
	};

	return UNIT_RUN("netvsc_tx_offload", tests);
}
