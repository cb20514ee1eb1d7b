/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Wrong mbufs of each kind between good neighbours, small ones that are packed with them and large
 * ones: the neighbours arrive, the bad ones are counted and freed.
 */
#include "test/ethdev/mbufs.h"

#define NEIGHBOURS 4u
#define BIG_ROOM   60128u

static struct rte_mempool *mp, *big;
static uint32_t next_frame;

/* A chain with segments of these lengths, each in an mbuf of its own. */
static struct rte_mbuf *
chain(struct rte_mempool *pool, unsigned int n, uint32_t len)
{
	struct rte_mbuf *m = mbuf_alloc(pool), *seg = m;
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (i != 0) {
			seg->next = mbuf_alloc(pool);
			seg = seg->next;
			m->nb_segs++;
		}
		memset(rte_pktmbuf_mtod(seg, void *), 0xee, len);
		seg->data_len = (uint16_t)len;
		m->pkt_len += len;
	}
	return m;
}

static struct rte_mbuf *
good(uint32_t size)
{
	struct rte_mbuf *m = mbuf_alloc(mp);

	frame_fill(rte_pktmbuf_append(m, (uint16_t)size), next_frame, 0, size);
	frame_expect(next_frame++, size);
	return m;
}

static struct rte_mbuf *
of_size(uint32_t size)
{
	return chain(mp, 1, size);
}

/* ---- kinds ---- */

static struct rte_mbuf *
make_empty(uint32_t size)
{
	return of_size(0);
}

static struct rte_mbuf *
make_one_byte(uint32_t size)
{
	return of_size(1);
}

static struct rte_mbuf *
make_header_cut_short(uint32_t size)
{
	return of_size(RTE_ETHER_HDR_LEN - 1);
}

static struct rte_mbuf *
make_chain_of_a_runt(uint32_t size)
{
	return chain(mp, 3, 4);
}

/* One byte more than an MTU of 1,500 with a tag. */
static struct rte_mbuf *
make_oversize(uint32_t size)
{
	return of_size(1519);
}

static struct rte_mbuf *
make_oversize_chain(uint32_t size)
{
	return chain(mp, 2, 800);
}

/* More than the smallest ring has room for, were it named page by page. */
static struct rte_mbuf *
make_gigantic(uint32_t size)
{
	return chain(big, 20, 60000);
}

static struct rte_mbuf *
make_pkt_len_short(uint32_t size)
{
	struct rte_mbuf *m = of_size(1500);

	m->pkt_len = size;
	return m;
}

static struct rte_mbuf *
make_pkt_len_far_too_short(uint32_t size)
{
	struct rte_mbuf *m = chain(big, 1, 60000);

	m->pkt_len = size;
	return m;
}

static struct rte_mbuf *
make_pkt_len_long(uint32_t size)
{
	struct rte_mbuf *m = of_size(size);

	m->pkt_len = size + 1;
	return m;
}

static struct rte_mbuf *
make_chain_with_pkt_len_short(uint32_t size)
{
	struct rte_mbuf *m = chain(mp, 3, size / 3);

	m->pkt_len--;
	return m;
}

static struct rte_mbuf *
make_chain_with_pkt_len_long(uint32_t size)
{
	struct rte_mbuf *m = chain(mp, 3, size / 3);

	m->pkt_len++;
	return m;
}

static struct rte_mbuf *
make_nb_segs_zero(uint32_t size)
{
	struct rte_mbuf *m = of_size(size);

	m->nb_segs = 0;
	return m;
}

static struct rte_mbuf *
make_nb_segs_too_many(uint32_t size)
{
	struct rte_mbuf *m = of_size(size);

	m->nb_segs = 2;
	return m;
}

/* The second segment is there, and nobody counted it. */
static struct rte_mbuf *
make_nb_segs_too_few(uint32_t size)
{
	struct rte_mbuf *m = chain(mp, 2, size);

	m->nb_segs = 1;
	m->pkt_len = size;
	return m;
}

static struct rte_mbuf *
make_chain_cut_off(uint32_t size)
{
	struct rte_mbuf *m = chain(mp, 2, size / 2);

	m->nb_segs = 3;
	return m;
}

static struct rte_mbuf *
make_beyond_its_buffer(uint32_t size)
{
	struct rte_mbuf *m = of_size(size);

	m->data_off = (uint16_t)(m->buf_len - size + 1);
	return m;
}

static struct rte_mbuf *
make_segment_beyond_its_buffer(uint32_t size)
{
	struct rte_mbuf *m = chain(mp, 2, size / 2);

	m->next->data_off = m->next->buf_len;
	return m;
}

static struct rte_mbuf *
make_null(uint32_t size)
{
	return NULL;
}

static const struct kind {
	const char *name, *counter;
	struct rte_mbuf *(*make)(uint32_t size);
} kinds[] = {
	{"empty", "runt", make_empty},
	{"one byte", "runt", make_one_byte},
	{"header cut short", "runt", make_header_cut_short},
	{"chain of a runt", "runt", make_chain_of_a_runt},
	{"oversize", "oversize", make_oversize},
	{"oversize chain", "oversize", make_oversize_chain},
	{"gigantic", "oversize", make_gigantic},
	{"pkt_len short", "bad_mbuf", make_pkt_len_short},
	{"pkt_len far too short", "bad_mbuf", make_pkt_len_far_too_short},
	{"pkt_len long", "bad_mbuf", make_pkt_len_long},
	{"chain with pkt_len short", "bad_mbuf", make_chain_with_pkt_len_short},
	{"chain with pkt_len long", "bad_mbuf", make_chain_with_pkt_len_long},
	{"nb_segs zero", "bad_mbuf", make_nb_segs_zero},
	{"nb_segs too many", "bad_mbuf", make_nb_segs_too_many},
	{"nb_segs too few", "bad_mbuf", make_nb_segs_too_few},
	{"chain cut off", "bad_mbuf", make_chain_cut_off},
	{"beyond its buffer", "bad_mbuf", make_beyond_its_buffer},
	{"segment beyond its buffer", "bad_mbuf", make_segment_beyond_its_buffer},
	{"no mbuf", "bad_mbuf", make_null},
};

static void
try_kind(const struct kind *kind, uint32_t size)
{
	struct rte_mbuf *burst[2 * NEIGHBOURS + 1];
	uint64_t counted, dropped;
	struct rte_eth_stats was, is;
	char counter[64];
	unsigned int i;

	snprintf(counter, sizeof(counter), "tx_q0_%s", kind->counter);
	counted = xstat(counter);
	dropped = xstat("tx_q0_runt") + xstat("tx_q0_oversize") + xstat("tx_q0_bad_mbuf") +
		  xstat("tx_q0_unsendable");
	rte_eth_stats_get(0, &was);
	for (i = 0; i < RTE_DIM(burst); i++)
		burst[i] = i == NEIGHBOURS ? kind->make(size) : good(size + i);
	send_all(burst, RTE_DIM(burst));
	rte_eth_stats_get(0, &is);
	CHECK(is.oerrors - was.oerrors == 1, "%s: oerrors %" PRIu64, kind->name,
		is.oerrors - was.oerrors);
	CHECK(is.opackets - was.opackets == 2 * NEIGHBOURS, "%s: opackets %" PRIu64, kind->name,
		is.opackets - was.opackets);
	CHECK(xstat(counter) - counted == 1, "%s is not counted as %s", kind->name, counter);
	CHECK(xstat("tx_q0_runt") + xstat("tx_q0_oversize") + xstat("tx_q0_bad_mbuf") +
				xstat("tx_q0_unsendable") - dropped ==
			1,
		"%s is counted more than once", kind->name);
}

/* An mbuf that nobody holds is not ours to free. */
static void
try_unreferenced(uint32_t size)
{
	uint64_t counted = xstat("tx_q0_bad_mbuf");
	struct rte_mbuf *burst[3], *bad = of_size(size);

	burst[0] = good(size);
	burst[1] = bad;
	burst[2] = good(size);
	rte_mbuf_refcnt_set(bad, 0);
	send_all(burst, RTE_DIM(burst));
	CHECK(xstat("tx_q0_bad_mbuf") - counted == 1, "refcnt 0 is not counted");
	CHECK(rte_mbuf_refcnt_read(bad) == 0, "refcnt is %u", rte_mbuf_refcnt_read(bad));
	rte_mbuf_refcnt_set(bad, 1);
	rte_pktmbuf_free(bad);
}

/* Legal, if odd: the shortest and the longest frame, an empty segment, an mbuf held twice. */
static void
try_legal(void)
{
	static const uint32_t sizes[] = {RTE_ETHER_HDR_LEN, 1518, 300, 700};
	struct rte_mbuf *burst[RTE_DIM(sizes)], **held = burst + 2, *keep[2], *none, *rest;
	struct rte_eth_stats was, is;
	unsigned int i;

	rte_eth_stats_get(0, &was);
	for (i = 0; i < RTE_DIM(sizes); i++)
		burst[i] = good(sizes[i]);
	for (i = 0; i < 2; i++) {
		none = mbuf_alloc(mp);
		rest = mbuf_alloc(mp);
		memcpy(rte_pktmbuf_append(rest, 100),
			rte_pktmbuf_mtod_offset(held[i], void *, held[i]->data_len - 100), 100);
		rte_pktmbuf_trim(held[i], 100);
		rte_pktmbuf_chain(held[i], none);
		rte_pktmbuf_chain(held[i], rest);
		rte_pktmbuf_refcnt_update(held[i], 1);
		keep[i] = held[i];
	}
	send_all(burst, RTE_DIM(burst));
	rte_eth_stats_get(0, &is);
	CHECK(is.oerrors == was.oerrors, "legal frames refused: %" PRIu64,
		is.oerrors - was.oerrors);
	for (i = 0; i < 2; i++)
		rte_pktmbuf_free(keep[i]);
}

void
case_bad(void)
{
	static const uint32_t sizes[] = {60, 400, 1000};
	unsigned int i, k;

	mp = pool_plain("good", 2047, ROOM);
	big = pool_plain("big", 63, BIG_ROOM);
	port_start(mp);
	for (i = 0; i < RTE_DIM(sizes); i++) {
		for (k = 0; k < RTE_DIM(kinds); k++)
			try_kind(&kinds[k], sizes[i]);
		try_unreferenced(sizes[i]);
	}
	try_legal();
	rte_eth_dev_stop(0);
	pool_audit(mp);
	pool_audit(big);
}
