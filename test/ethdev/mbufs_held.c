/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Received frames that the application keeps, with rx_copybreak: they stay as they were received
 * over a stop, another start and the end of the port.
 */
#include <errno.h>

#include <rte_cycles.h>

#include "test/ethdev/mbufs.h"

#define PATIENCE_S 20

struct held {
	struct rte_mbuf *m;
	uint8_t *bytes; /* as received */
};

static void
check_bytes(const struct held *held, unsigned int n, const char *when)
{
	unsigned int i, bad = 0;

	for (i = 0; i < n; i++)
		bad += memcmp(held[i].bytes, rte_pktmbuf_mtod(held[i].m, void *),
			       held[i].m->pkt_len) != 0;
	CHECK(bad == 0, "%u of %u frames have changed %s", bad, n, when);
}

static unsigned int
hold(struct held *held, unsigned int count)
{
	uint64_t end = rte_get_timer_cycles() + PATIENCE_S * rte_get_timer_hz();
	struct rte_mbuf *rx[32];
	unsigned int got = 0, n, i;

	while (got < count && rte_get_timer_cycles() < end) {
		n = rte_eth_rx_burst(0, 0, rx, (uint16_t)RTE_MIN(32u, count - got));
		for (i = 0; i < n; i++, got++) {
			held[got].m = rx[i];
			held[got].bytes = malloc(rx[i]->pkt_len);
			memcpy(held[got].bytes, rte_pktmbuf_mtod(rx[i], void *), rx[i]->pkt_len);
		}
	}
	CHECK(got == count, "%u of %u frames received", got, count);
	return got;
}

void
case_held(void)
{
	unsigned int count = (unsigned int)atoi(getenv("MBUFS_COUNT")), got, i, lent = 0;
	struct rte_mempool *mp = pool_plain("held", 8191, ROOM);
	struct held *held = calloc(count, sizeof(*held));

	port_start(mp);
	got = hold(held, count);
	for (i = 0; i < got; i++)
		lent += RTE_MBUF_HAS_EXTBUF(held[i].m) != 0;
	CHECK(lent > got / 2, "%u of %u frames were not copied", lent, got);
	CHECK(xstat("rx_by_reference") == lent, "rx_by_reference %" PRIu64 ", not %u",
		xstat("rx_by_reference"), lent);
	CHECK(rte_eth_dev_stop(0) == 0, "stop");
	check_bytes(held, got, "by a stop");
	CHECK(rte_eth_dev_reset(0) == -EBUSY, "the host would get the buffer anew");
	CHECK(rte_eth_dev_start(0) == 0, "start again");
	CHECK(rte_eth_dev_stop(0) == 0, "stop again");
	check_bytes(held, got, "by another start");
	CHECK(rte_eth_dev_close(0) == 0, "close");
	check_bytes(held, got, "by the end of the port");
	for (i = 0; i < got; i++) {
		rte_pktmbuf_free(held[i].m);
		free(held[i].bytes);
	}
	free(held);
	pool_audit(mp);
}
