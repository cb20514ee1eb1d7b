/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/net/netvsc/tx_frame.h"

#include <errno.h>

#include <rte_ip.h>

/* Does a chain agree with itself? What is legal is what rte_mbuf_check() says. */
static bool
chain_ok(const struct rte_mbuf *m)
{
	const struct rte_mbuf *seg;
	uint32_t segs = 0, len = 0;

	for (seg = m; seg != NULL; seg = seg->next) {
		if (segs++ == m->nb_segs || rte_mbuf_refcnt_read(seg) == 0 ||
			(uint32_t)seg->data_off + seg->data_len > seg->buf_len)
			return false;
		len += seg->data_len;
	}
	return segs == m->nb_segs && len == m->pkt_len;
}

int
netvsc_tx_judge(const struct netvsc_txq *txq, const struct rte_mbuf *m)
{
	uint32_t max = txq->max_frame;

	if (m == NULL || rte_mbuf_refcnt_read(m) == 0)
		return -EFAULT;
	if (!chain_ok(m))
		return -EINVAL;
	/* The host's bounds, whatever MTU the application has set (spec/rndis.md §10). */
	if (m->pkt_len < RTE_ETHER_HDR_LEN)
		return -ENODATA;
	if (m->ol_flags & txq->work & RTE_MBUF_F_TX_TCP_SEG)
		max = UINT16_MAX + (uint32_t)sizeof(struct rte_ipv6_hdr) + RTE_ETHER_HDR_LEN +
		      RTE_VLAN_HLEN;
	return m->pkt_len > max ? -EMSGSIZE : 0;
}

int
netvsc_tx_check(struct netvsc_txq *txq, const struct rte_mbuf *m)
{
	int rc = netvsc_tx_judge(txq, m);

	if (rc == -EFAULT || rc == -EINVAL)
		txq->drops.bad_mbuf++;
	else if (rc == -ENODATA)
		txq->drops.runt++;
	else if (rc == -EMSGSIZE)
		txq->drops.oversize++;
	return rc;
}
