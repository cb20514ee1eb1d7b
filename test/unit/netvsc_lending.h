/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What programs have in common in which frames stay in the receive buffer. For one source each.
 */
#ifndef HP_TEST_NETVSC_LENDING_H
#define HP_TEST_NETVSC_LENDING_H

#include <pthread.h>

#include "test/unit/netvsc_fixture.h"

#define COPYBREAK 256u
#define SECTIONS  256u

static const struct fixture_conf lending = {
	.rx_copybreak = COPYBREAK, .mbufs = 4095, .ring = 256u << 10};

static struct fixture f;
static struct rte_mbuf *got[4096];

static inline uint16_t
burst_of(unsigned int q, uint16_t n)
{
	return netvsc_rx_burst(f.rx_queues[q], got, n);
}

static inline uint16_t
burst(uint16_t n)
{
	return burst_of(0, n);
}

static inline bool
is_lent(const struct rte_mbuf *m)
{
	const uint8_t *at = m->buf_addr;

	return RTE_MBUF_HAS_EXTBUF(m) && at >= f.bus.recv.base &&
	       at < f.bus.recv.base + f.bus.recv.len;
}

static inline uint64_t
lent(unsigned int ch)
{
	return fixture_channel(&f, ch)->stats.rx_lent;
}

static inline unsigned int
completed(unsigned int ch)
{
	return fixture_completions(&f, ch, NULL, NULL, 0);
}

/* All mbufs of the pool have their own buffers again. */
static inline void
expect_pool_sound(void)
{
	unsigned int n = 0, i;

	netvsc_rx_give_back(fixture_rxq(&f, 0));
	while (n < RTE_DIM(got) && (got[n] = rte_pktmbuf_alloc(f.pool)) != NULL)
		n++;
	CU_ASSERT_EQUAL(n, f.conf.mbufs);
	for (i = 0; i < n; i++) {
		CU_ASSERT(RTE_MBUF_DIRECT(got[i]));
		CU_ASSERT_PTR_EQUAL(got[i]->buf_addr, rte_mbuf_to_baddr(got[i]));
	}
	rte_pktmbuf_free_bulk(got, n);
}

static inline void *
free_thread(void *m)
{
	rte_pktmbuf_free(m);
	return NULL;
}

static inline void
free_elsewhere(struct rte_mbuf *m)
{
	pthread_t thread;

	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, free_thread, m), 0);
	pthread_join(thread, NULL);
}

#endif
