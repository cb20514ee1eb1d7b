/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Checksums and tags that a send queue leaves to a scripted host: which words go with a frame, that
 * the host finds in the frame what they say, and what prepare does before. What comes out of the
 * host is compared with frames that were made whole in software.
 */
#include <errno.h>
#include <signal.h>

#include <rte_errno.h>
#include <rte_ip.h>

#include "drivers/net/netvsc/tx_offload.h"
#include "test/unit/netvsc_tx_made.h"

#define f tx_fixture

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
		made_build(&w);
		if (w.ipv6 && ip)
			continue;
		flags = (w.ipv6 ? V6 : V4) | (ip ? IP : 0) | l4;
		conf.tx_copybreak = i & 64 ? 60 : 0;
		REQUIRE(fixture_begin(&f, &conf));
		for (by = 0; by < 2; by++) {
			REQUIRE(made_send(made_mbuf(&w, by == 0 ? 4096 : 14, flags)));
			CU_ASSERT_EQUAL(made_seen.n, 1);
			CU_ASSERT_EQUAL(made_seen.frame[0].len, w.len - (w.tagged ? 4 : 0));
			off = 14 + w.l3_len;
			word = ip ? RNDIS_TX_CSUM_IP_HDR : 0;
			if (l4 == TCP || l4 == UDP)
				word |= (l4 == TCP ? RNDIS_TX_CSUM_TCP : RNDIS_TX_CSUM_UDP) |
					off << RNDIS_L4_OFFSET_SHIFT;
			if (word != 0)
				word |= w.ipv6 ? RNDIS_TX_CSUM_IPV6 : RNDIS_TX_CSUM_IPV4;
			CU_ASSERT_EQUAL(made_seen.frame[0].info.present,
				(word != 0 ? RNDIS_HAS_CSUM : 0) | (w.tagged ? RNDIS_HAS_VLAN : 0));
			if (word != 0) {
				CU_ASSERT_EQUAL(made_seen.frame[0].info.csum, word);
			}
			CU_ASSERT_EQUAL(made_host_sends(0, made_out, made_lens, 1), 1);
			CU_ASSERT_EQUAL(made_lens[0], w.len);
			CU_ASSERT(made_same_but_sums(made_out[0], &w));
			CU_ASSERT(!ip || made_ip_sum_right(made_out[0] + w.l2));
			CU_ASSERT((l4 != TCP && l4 != UDP) ||
				  made_l4_sum_right(made_out[0] + w.l2, w.l3_len,
					  w.l4_len + w.payload, w.udp));
			made_done();
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

	made_build(&w);
	REQUIRE(fixture_begin(&f, &conf));
	for (i = 0; i < 8; i++) {
		pkts[i] = made_mbuf(&w, 4096, i % 2 ? V4 | IP | TCP : 0);
		if (i >= 4) {
			pkts[i]->ol_flags |= VLAN;
			pkts[i]->vlan_tci = TCI + i;
		}
	}
	CU_ASSERT_EQUAL(netvsc_tx_burst(f.tx_queues[1], pkts, 8), 8);
	CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
	REQUIRE(tx_take(1, &made_seen));
	CU_ASSERT_EQUAL(made_seen.n, 8);
	for (i = 0; i < 8; i++) {
		const struct rndis_packet_info *info = &made_seen.frame[i].info;

		CU_ASSERT_EQUAL(info->present, RNDIS_HAS_HASH_VALUE | (i % 2 ? RNDIS_HAS_CSUM : 0) |
						       (i >= 4 ? RNDIS_HAS_VLAN : 0));
		CU_ASSERT_EQUAL(info->hash_value, 1);
		CU_ASSERT_EQUAL(info->data_abs, 44 + info->ppi_length);
		CU_ASSERT(made_seen.frame[i].len == w.len &&
			  memcmp(made_seen.frame[i].data, w.bytes, w.len) == 0);
		if (i >= 4)
			CU_ASSERT_EQUAL(info->vlan_tci, TCI + i);
	}
	tx_answer(1, &made_seen, NVSP_STATUS_SUCCESS);
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

	made_build(&w);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		conf.tx_offloads = cases[i].offloads;
		REQUIRE(fixture_begin(&f, &conf));
		m = made_mbuf(&w, 4096, V4 | IP | TCP | VLAN | SEG);
		m->tso_segsz = 200;
		m->vlan_tci = TCI;
		CU_ASSERT_EQUAL(netvsc_tx_prepare(f.tx_queues[0], &m, 1), 0);
		CU_ASSERT_EQUAL(rte_errno, ENOTSUP);
		CU_ASSERT(made_untouched(m, &w));
		REQUIRE(made_send(m));
		CU_ASSERT_EQUAL(made_seen.frame[0].info.present, cases[i].present);
		if (cases[i].present & RNDIS_HAS_CSUM)
			CU_ASSERT_EQUAL(made_seen.frame[0].info.csum, cases[i].csum);
		CU_ASSERT(memcmp(made_seen.frame[0].data, w.bytes, w.len) == 0);
		made_done();
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
			made_build(&w);
			REQUIRE(fixture_begin(&f, &conf));
			m = made_mbuf(&w, segs[i], 0);
			clone = rte_pktmbuf_clone(m, f.pool);
			CU_ASSERT_PTR_NOT_NULL_FATAL(clone);
			REQUIRE(made_send(clone));
			CU_ASSERT_EQUAL(made_seen.frame[0].info.present, RNDIS_HAS_VLAN);
			CU_ASSERT_EQUAL(made_seen.frame[0].info.vlan_tci, TCI);
			CU_ASSERT_EQUAL(made_seen.frame[0].len, w.len - 4);
			CU_ASSERT(memcmp(made_seen.frame[0].data, w.bytes, 12) == 0);
			CU_ASSERT(memcmp(made_seen.frame[0].data + 12, w.bytes + 16, w.len - 16) ==
				  0);
			CU_ASSERT(made_untouched(m, &w));
			if (how & 2 && w.payload != 0)
				CU_ASSERT(made_seen.n_ranges > 1 || segs[i] < 14);
			made_done();
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

	made_build(&w);
	REQUIRE(fixture_begin(&f, &conf));
	m = made_mbuf(&w, 4096, VLAN | V4 | IP | TCP);
	m->vlan_tci = 0x0fff;
	REQUIRE(made_send(m));
	CU_ASSERT_EQUAL(made_seen.frame[0].info.vlan_tci, 0x0fff);
	CU_ASSERT_EQUAL(made_seen.frame[0].len, w.len);
	/* The header is where it is, behind the inner tag. */
	CU_ASSERT_EQUAL(rndis_tx_csum_l4_offset(made_seen.frame[0].info.csum), 38);
	CU_ASSERT(memcmp(made_seen.frame[0].data, w.bytes, w.len) == 0);
	made_done();
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
	REQUIRE(made_send(m));
	CU_ASSERT_EQUAL(made_seen.frame[0].info.present, RNDIS_HAS_VLAN);
	CU_ASSERT_EQUAL(made_seen.frame[0].info.vlan_tci, 0);
	CU_ASSERT(tx_frame_is(&made_seen, 0, 60, 9));
	made_done();
	for (len = 14; len <= 18; len++) {
		tx_make(&m, 1, len, 0);
		memcpy(rte_pktmbuf_mtod(m, void *), runt, len);
		REQUIRE(made_send(m));
		CU_ASSERT_EQUAL(made_seen.frame[0].info.present, len < 18 ? 0 : RNDIS_HAS_VLAN);
		CU_ASSERT_EQUAL(made_seen.frame[0].len, len < 18 ? len : 14);
		made_done();
	}
	fixture_end(&f);
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
		made_put16(p + 16, 0xffff);
		break;
	case 11:
		made_put16(p + 16, 39);
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

	made_build(&w);
	for (seg = 0; seg < 2; seg++)
		for (i = 0; i < (seg ? SEG_LIES : LIES); i++) {
			uint64_t flags = V4 | IP | TCP | (seg ? SEG : 0);

			/* Segmentation writes lengths itself. */
			if (seg && (i == 10 || i == 11))
				continue;
			REQUIRE(fixture_begin(&f, &conf));
			tx_make(pkts, 1, 60, 1);
			pkts[1] = made_mbuf(&w, 4096, flags);
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
			REQUIRE(tx_take(0, &made_seen));
			CU_ASSERT(made_seen.n == 2 && tx_frame_is(&made_seen, 0, 60, 1) &&
				  tx_frame_is(&made_seen, 1, 61, 2));
			made_done();
			fixture_end(&f);
		}
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
		made_build(&w);
		flags = (w.ipv6 ? V6 : V4 | IP) | (w.udp ? UDP : TCP) | (seg ? SEG : 0);
		REQUIRE(fixture_begin(&f, &conf));
		m = made_mbuf(&w, segs[i / 16], flags);
		m->tso_segsz = 100;
		CU_ASSERT_EQUAL(netvsc_tx_prepare(f.tx_queues[0], &m, 1), 1);
		ip = w.bytes + w.l2;
		l4 = ip + w.l3_len;
		if (!w.ipv6)
			made_put16(ip + 10, 0);
		sum = w.ipv6 ? rte_ipv6_phdr_cksum((const struct rte_ipv6_hdr *)ip, flags)
			     : rte_ipv4_phdr_cksum((const struct rte_ipv4_hdr *)ip, flags);
		memcpy(l4 + (w.udp ? 6 : 16), &sum, 2);
		CU_ASSERT(made_untouched(m, &w));
		rte_pktmbuf_free(m);
		fixture_end(&f);
	}
}

/*
 * VPP's way: no prepare, and 0 where the sum of the pseudo header should be. The host gets one to
 * complete, in the driver's copy; what is there already is left, and so is IP's checksum.
 */
static void
test_a_sum_of_the_pseudo_header_that_is_missing_is_written(void)
{
	struct fixture_conf conf = {
		.tx_offloads = ALL_OFFLOADS & ~(uint64_t)RTE_ETH_TX_OFFLOAD_TCP_TSO,
	};
	static struct made w;
	static uint8_t want[2048];
	unsigned int i;

	for (i = 0; i < 64; i++) {
		uint32_t at, cut;
		uint8_t *ip, *l4;
		struct rte_mbuf *m, *seg;
		uint64_t flags;
		uint16_t sum;

		w = (struct made){
			.ipv6 = i & 1,
			.udp = i & 2,
			.tagged = i & 4,
			.payload = 400,
			.seed = i,
		};
		made_build(&w);
		ip = w.bytes + w.l2;
		l4 = ip + w.l3_len;
		at = w.udp ? 6 : 16;
		made_put16(l4 + at, i & 8 ? 0x1234 : 0);
		flags = (w.ipv6 ? V6 : V4) | (w.udp ? UDP : TCP);
		conf.tx_copybreak = i & 16 ? 60 : 0;
		REQUIRE(fixture_begin(&f, &conf));
		m = made_mbuf(&w, i & 32 ? 51 : 4096, flags);
		for (seg = m; seg != NULL; seg = seg->next)
			rte_mbuf_refcnt_update(seg, 1);
		REQUIRE(made_send(m));
		CU_ASSERT(made_untouched(m, &w));
		memcpy(want, w.bytes, w.len);
		sum = w.ipv6 ? rte_ipv6_phdr_cksum((const struct rte_ipv6_hdr *)ip, 0)
			     : rte_ipv4_phdr_cksum((const struct rte_ipv4_hdr *)ip, 0);
		if (!(i & 8))
			memcpy(want + (l4 - w.bytes) + at, &sum, sizeof(sum));
		cut = w.tagged ? 4 : 0;
		memmove(want + 12, want + 12 + cut, w.len - 12 - cut);
		CU_ASSERT_EQUAL_FATAL(made_seen.n, 1);
		CU_ASSERT_EQUAL_FATAL(made_seen.frame[0].len, w.len - cut);
		CU_ASSERT_EQUAL(memcmp(made_seen.frame[0].data, want, w.len - cut), 0);
		made_done();
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

/* ---- prepare while the port has another session ---- */

#ifdef __x86_64__
static const struct netvsc_txq *watched;
static uint64_t work_before;
static uint32_t tso_before[2];
static volatile unsigned int steps, torn;

/* Behind each instruction: what another lcore would read now. */
static void
look(int signal)
{
	steps++;
	torn += watched->work != work_before || watched->tso_max[0] != tso_before[0] ||
		watched->tso_max[1] != tso_before[1];
}

/* The processor's trap flag; what lies below the stack pointer is the caller's. */
static inline __attribute__((always_inline)) void
single_step(bool on)
{
	if (on)
		__asm__ volatile(
			"lea -128(%%rsp), %%rsp\n\tpushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\t"
			"lea 128(%%rsp), %%rsp" ::
				: "memory", "cc");
	else
		__asm__ volatile(
			"lea -128(%%rsp), %%rsp\n\tpushfq\n\tandq $~0x100, (%%rsp)\n\tpopfq\n\t"
			"lea 128(%%rsp), %%rsp" ::
				: "memory", "cc");
}

/* A queue never seems to have lost its offloads, not even for an instruction. */
static void
test_prepare_never_meets_half_a_queue(void)
{
	const struct fixture_conf conf = {.tx_offloads = ALL_OFFLOADS};
	const struct sigaction stepping = {.sa_handler = look};
	struct sigaction before;

	REQUIRE(fixture_begin(&f, &conf));
	watched = fixture_txq(&f, 0);
	work_before = watched->work;
	memcpy(tso_before, watched->tso_max, sizeof(tso_before));
	CU_ASSERT(work_before != 0 && tso_before[0] != 0 && tso_before[1] != 0);
	steps = torn = 0;
	CU_ASSERT_EQUAL_FATAL(sigaction(SIGTRAP, &stepping, &before), 0);
	single_step(true);
	netvsc_tx_template(fixture_txq(&f, 0));
	single_step(false);
	sigaction(SIGTRAP, &before, NULL);
	CU_ASSERT(steps > 50);
	CU_ASSERT_EQUAL(torn, 0);
	fixture_end(&f);
}
#endif

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
		{"requests that contradict the frame are dropped",
			test_requests_that_contradict_the_frame_are_dropped},
		{"prepare writes the sums of pseudo headers",
			test_prepare_writes_the_sums_of_pseudo_headers},
		{"prepare names the first that cannot be sent",
			test_prepare_names_the_first_that_cannot_be_sent},
		{"a sum of the pseudo header that is missing is written",
			test_a_sum_of_the_pseudo_header_that_is_missing_is_written},
#ifdef __x86_64__
		{"prepare never meets half a queue", test_prepare_never_meets_half_a_queue},
#endif
	};

	return UNIT_RUN("netvsc_tx_offload", tests);
}
