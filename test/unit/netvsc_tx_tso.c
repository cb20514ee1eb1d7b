/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Large frames that a scripted host cuts, or the driver where it can only copy, and requests of any
 * kind. Each segment is compared with the frame that was made whole in software.
 */
#include <errno.h>

#include <rte_errno.h>

#include "drivers/net/netvsc/tx_offload.h"
#include "test/unit/netvsc_tx_made.h"

#define f tx_fixture

/* ---- segmentation ---- */

/* Is it segment @p n of the frame, complete and right? */
static bool
segment_right(const struct made *w, unsigned int n, uint32_t mss)
{
	uint32_t headers = w->l2 + w->l3_len + w->l4_len, left = w->payload - n * mss;
	const uint8_t *ip = made_out[n] + w->l2;

	left = RTE_MIN(left, mss);
	return made_lens[n] == headers + left && memcmp(made_out[n], w->bytes, w->l2) == 0 &&
	       memcmp(made_out[n] + headers, w->bytes + headers + (size_t)n * mss, left) == 0 &&
	       made_ip_sum_right(ip) && made_l4_sum_right(ip, w->l3_len, w->l4_len + left, false);
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
		made_build(&w);
		conf.tx_copybreak = i & 32 ? 200 : 0;
		REQUIRE(fixture_begin(&f, &conf));
		m = made_mbuf(&w, segs[i % 4], SEG | TCP | (w.ipv6 ? V6 : V4 | IP));
		m->tso_segsz = (uint16_t)mss;
		clone = rte_pktmbuf_clone(m, f.pool);
		CU_ASSERT_PTR_NOT_NULL_FATAL(clone);
		REQUIRE(made_send(clone));
		CU_ASSERT_TRUE(made_seen.frame[0].info.present & RNDIS_HAS_LSO);
		/* Lengths are the host's to write (spec/rndis.md §4.1). */
		CU_ASSERT_EQUAL(made_seen.frame[0].data[14 + (w.ipv6 ? 4 : 2)], 0);
		CU_ASSERT_EQUAL(made_seen.frame[0].data[14 + (w.ipv6 ? 5 : 3)], 0);
		n = made_host_sends(0, made_out, made_lens, RTE_DIM(made_lens));
		CU_ASSERT_EQUAL(n, (w.payload + mss - 1) / mss);
		for (s = 0; s < n; s++)
			CU_ASSERT(segment_right(&w, s, mss));
		CU_ASSERT(made_untouched(m, &w));
		CU_ASSERT_EQUAL(fixture_txq(&f, 0)->stats.bytes, w.len);
		made_done();
		rte_pktmbuf_free(m);
		fixture_end(&f);
	}
}

/*
 * What can only be copied goes in pieces that the host cuts further, and nobody on the wire sees
 * that: where no memory has a name, and where there are more segments than ranges. So does what is
 * longer than the host cuts at once: the longest that IP has.
 */
static void
test_large_frames_that_can_only_be_copied(void)
{
	struct fixture_conf conf = {
		.tx_offloads = ALL_OFFLOADS,
		.max_transfer = 0xefffffff,
		.mbufs = 4095,
		.room = 4096,
	};
	static struct made w;
	unsigned int i, n, s;

	for (i = 0; i < 24; i++) {
		uint32_t mss = i & 2 ? 1440 : 700;
		struct rte_mbuf *m;

		w = (struct made){
			.ipv6 = i & 1,
			.tagged = i & 4,
			.payload = i < 16 ? 60000 + i * 100 : UINT16_MAX - (i & 1 ? 20 : 40),
			.seed = i,
		};
		made_build(&w);
		w.bytes[w.l2 + w.l3_len + 13] = 0x99; /* CWR, ACK, PSH, FIN */
		conf.copy_only = i >= 8 && i < 16;
		REQUIRE(fixture_begin(&f, &conf));
		m = made_mbuf(&w, i < 8 ? 1000 : 4096, SEG | TCP | (w.ipv6 ? V6 : V4 | IP));
		m->tso_segsz = (uint16_t)mss;
		CU_ASSERT_EQUAL(tx_send(&m, 1), 1);
		CU_ASSERT_EQUAL(fixture_mbufs_out(&f), 0);
		CU_ASSERT_EQUAL(fixture_txq(&f, 0)->stats.packets, 1);
		CU_ASSERT_EQUAL(fixture_txq(&f, 0)->stats.bytes, w.len);
		for (n = 0; tx_take(0, &made_seen); tx_answer(0, &made_seen, NVSP_STATUS_SUCCESS)) {
			CU_ASSERT_EQUAL(made_seen.n_ranges, 0);
			n += made_host_sends(
				0, made_out + n, made_lens + n, RTE_DIM(made_lens) - n);
		}
		CU_ASSERT_EQUAL(n, (w.payload + mss - 1) / mss);
		for (s = 0; s < n; s++) {
			const uint8_t *ip = made_out[s] + w.l2, *was = w.bytes + w.l2;
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

	made_build(&w);
	REQUIRE(fixture_begin(&f, &conf));
	for (i = 0; i < 10; i++) {
		tx_make(&small[i], 1, 60, i);
		CU_ASSERT_EQUAL(tx_send(&small[i], 1), 1);
	}
	m = made_mbuf(&w, 4096, SEG | TCP | V4 | IP);
	m->tso_segsz = 1440;
	CU_ASSERT_EQUAL(tx_send(&m, 1), 0);
	CU_ASSERT_EQUAL(fixture_txq(&f, 0)->drops.no_section, 1);
	CU_ASSERT(made_untouched(m, &w));
	CU_ASSERT_EQUAL(tx_take_all(0), 10);
	netvsc_tx_done_cleanup(f.tx_queues[0], 0);
	CU_ASSERT_EQUAL(tx_send(&m, 1), 1);
	CU_ASSERT(tx_take_all(0) > 10);
	netvsc_tx_done_cleanup(f.tx_queues[0], 0);
	fixture_end(&f);
	/* Where there are never so many, waiting would be for ever. */
	conf.send_count = 8;
	REQUIRE(fixture_begin(&f, &conf));
	m = made_mbuf(&w, 4096, SEG | TCP | V4 | IP);
	m->tso_segsz = 1440;
	CU_ASSERT_EQUAL(tx_send(&m, 1), 1);
	CU_ASSERT_EQUAL(fixture_txq(&f, 0)->drops.unsendable, 1);
	CU_ASSERT_FALSE(tx_take(0, &made_seen));
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
		made_build(&w);
		conf.tx_copybreak = i & 4 ? 100 : 0;
		REQUIRE(fixture_begin(&f, &conf));
		m = made_mbuf(&w, 4096, SEG | (w.ipv6 ? V6 : V4));
		/* As applications leave it who expect a host that cuts. */
		made_put16(rte_pktmbuf_mtod(m, uint8_t *) + w.l2 + (w.ipv6 ? 4 : 2), 0);
		m->tso_segsz = 536;
		REQUIRE(made_send(m));
		CU_ASSERT_EQUAL(made_seen.frame[0].info.present & ~RNDIS_HAS_VLAN, RNDIS_HAS_CSUM);
		CU_ASSERT_EQUAL(made_host_sends(0, made_out, made_lens, 1), 1);
		CU_ASSERT_EQUAL(made_lens[0], w.len);
		CU_ASSERT(made_same_but_sums(made_out[0], &w));
		CU_ASSERT(segment_right(&w, 0, 536));
		made_done();
		fixture_end(&f);
	}
}

static void
test_a_host_that_does_not_cut_ipv6(void)
{
	struct fixture_conf conf = {.tx_offloads = ALL_OFFLOADS};
	static struct made w = {.ipv6 = true, .payload = 1000};
	struct rte_mbuf *m;

	made_build(&w);
	REQUIRE(fixture_begin(&f, &conf));
	f.port.session.offloads.tso6_max = 0;
	netvsc_tx_template(fixture_txq(&f, 0));
	m = made_mbuf(&w, 4096, V6 | TCP | SEG);
	m->tso_segsz = 500;
	CU_ASSERT_EQUAL(netvsc_tx_prepare(f.tx_queues[0], &m, 1), 0);
	CU_ASSERT_EQUAL(rte_errno, ENOTSUP);
	CU_ASSERT_EQUAL(tx_send(&m, 1), 1);
	CU_ASSERT_EQUAL(fixture_txq(&f, 0)->drops.bad_offload, 1);
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
		made_build(&w);
		m = made_mbuf(&w, 1 + rnd_below(&rnd, rnd_below(&rnd, 2) ? 60 : 3000), 0);
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
		if (tx_take(0, &made_seen)) {
			CU_ASSERT(made_host_sends(0, made_out, made_lens, RTE_DIM(made_lens)) >= 1);
			sent++;
			made_done();
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
		{"large frames are cut by the host", test_large_frames_are_cut_by_the_host},
		{"large frames that can only be copied", test_large_frames_that_can_only_be_copied},
		{"pieces wait for each other", test_pieces_wait_for_each_other},
		{"a large frame of one segment", test_a_large_frame_of_one_segment},
		{"a host that does not cut IPv6", test_a_host_that_does_not_cut_ipv6},
		{"random requests", test_random_requests},
	};

	return UNIT_RUN("netvsc_tx_tso", tests);
}
