/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What programs have in common that receive on the first queue of a fixture. For one source each.
 */
#ifndef HP_TEST_NETVSC_RECEIVE_H
#define HP_TEST_NETVSC_RECEIVE_H

#include "lib/netvsp/rndis.h"
#include "test/unit/netvsc_fixture.h"

static struct fixture f;
static struct rte_mbuf *got[2048];

/* A burst of the first queue. */
static inline uint16_t
burst(uint16_t n)
{
	return netvsc_rx_burst(f.rx_queues[0], got, n);
}

static inline void
free_got(unsigned int n)
{
	rte_pktmbuf_free_bulk(got, n);
}

static inline struct netvsc_channel_stats *
counts(void)
{
	return &fixture_channel(&f, 0)->stats;
}

static inline struct vmbus_xfer_range
link_down(uint32_t section)
{
	uint8_t msg[64];
	int len = rndis_build_indicate(msg, sizeof(msg), RNDIS_STATUS_MEDIA_DISCONNECT, NULL, 0);

	CU_ASSERT_FATAL(len > 0);
	return fixture_bytes(&f, section, msg, (uint32_t)len);
}

#endif
