/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What others than the lcore that polls a queue ask of it: how much waits, what a descriptor is,
 * how bursts work. A receive queue has no descriptors of its own: the n-th one stands for the n-th
 * frame that waits in the ring. The ring is looked at under its lock, which keeps it mapped, for a
 * bounded walk that changes nothing; a burst that meets it comes again.
 *
 * Behind these stand the descriptors of the VF that frames come from, too (vf_asked.c). Frames are
 * sent by one path at a time, so the other one's descriptors are none of the application's.
 *
 * Here and in bursts a queue may be NULL: ethdev asks for none of its own checks, and one that was
 * to be set up anew while the port runs, and could not be, is not there.
 */
#include <errno.h>
#include <string.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/compat.h"
#include "drivers/net/netvsc/offload.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/tx.h"
#include "drivers/net/netvsc/vf.h"
#include "drivers/net/netvsc/wire.h"

/* Ring packets that are looked at: what is behind them counts as not there yet. */
#define WALK_BUDGET 512u

/* ---- receive ---- */

/* Was this one control, and handled by a scan? rx_lock held. */
static bool
rx_handled(const struct netvsc_channel *ch, uint32_t at)
{
	uint32_t i;

	for (i = 0; i < ch->n_handled; i++)
		if (ch->handled[i] == at)
			return true;
	return false;
}

/* Frames that wait in the ring, not more than @p most; rx_lock held. */
static uint32_t
rx_count_frames(struct netvsc_channel *ch, uint32_t most)
{
	struct vmbus_ring_reader *in = &ch->in;
	uint32_t frames = ch->cursor.left, skip = frames != 0 ? ch->cursor.total : 0;
	uint32_t size = in->ring.size, at = vmbus_ring_advance(size, in->next_r, skip);
	unsigned int budget = WALK_BUDGET;
	struct vmbus_packet pkt;
	const uint8_t *first;
	uint32_t left;
	int total;

	if (in->corrupt || !vmbus_ring_reader_refresh(in))
		return frames;
	left = vmbus_ring_used(size, in->cached_w, in->next_r);
	left = left > skip ? left - skip : 0;
	while (frames < most && left != 0 && budget-- != 0) {
		total = vmbus_ring_peek_at(&in->ring, at, left, &pkt);
		if (total <= 0)
			break;
		if (pkt.type == VMBUS_PACKET_XFER_PAGES && !rx_handled(ch, at)) {
			int ranges = netvsc_rx_transfer_header(ch, &pkt, at, &first);

			frames += ranges > 0 ? (uint32_t)ranges : 0;
		}
		at = vmbus_ring_advance(size, at, (uint32_t)total);
		left -= (uint32_t)total;
	}
	return frames;
}

/* Descriptors with a frame, not more than @p most of them. @return -EBUSY: a holder of the lock */
static int
rx_used(struct netvsc_rxq *rxq, uint32_t most)
{
	struct netvsc_channel *ch = rxq->ch;
	uint32_t frames = 0;

	if (!netvsc_channel_lock_soon(&ch->rx_lock))
		return -EBUSY;
	if (netvsc_channel_receives(ch))
		frames = rx_count_frames(ch, most);
	netvsc_channel_unlock(&ch->rx_lock);
	return (int)RTE_MIN(frames, most);
}

static netvsc_rx_count
rx_queue_count(void *queue)
{
	struct netvsc_rxq *rxq = queue;
	int used;

	if (rxq == NULL)
		return (netvsc_rx_count)-EINVAL;
	used = rx_used(rxq, rxq->nb_desc);
	return (netvsc_rx_count)(used < 0 ? used : used + (int)netvsc_vf_rx_waiting(rxq));
}

static int
rx_descriptor_status(void *queue, uint16_t offset)
{
	struct netvsc_rxq *rxq = queue;
	int used;

	if (rxq == NULL || offset >= rxq->nb_desc)
		return -EINVAL;
	used = rx_used(rxq, offset + 1u);
	if (used < 0)
		return used;
	if (used > offset || netvsc_vf_rx_done(rxq, (uint16_t)(offset - used)))
		return RTE_ETH_RX_DESC_DONE;
	return RTE_ETH_RX_DESC_AVAIL;
}

/* ---- send ---- */

uint32_t
netvsc_tx_outstanding(const struct netvsc_txq *txq)
{
	/* Counts of others: each is looked at once. */
	uint32_t tail = atomic_load_explicit(&txq->completed_tail, memory_order_acquire);
	uint32_t done = atomic_load_explicit(&txq->completed_head, memory_order_acquire) - tail;
	uint32_t taken = txq->nb_desc - __atomic_load_n(&txq->n_free, __ATOMIC_RELAXED);

	return taken > done ? taken - done : 0;
}

static netvsc_tx_count
tx_queue_count(void *queue)
{
	return (netvsc_tx_count)(queue == NULL ? -EINVAL
					       : (int)(netvsc_tx_outstanding(queue) +
							 netvsc_vf_tx_waiting(queue)));
}

/* Descriptors are taken from a stack: those that are free come first, those in flight behind them.
 */
static int
tx_descriptor_status(void *queue, uint16_t offset)
{
	const struct netvsc_txq *txq = queue;
	int own;

	if (txq == NULL || offset >= txq->nb_desc)
		return -EINVAL;
	own = offset < txq->nb_desc - netvsc_tx_outstanding(txq) ? RTE_ETH_TX_DESC_DONE
								 : RTE_ETH_TX_DESC_FULL;
	return netvsc_vf_tx_status(txq, offset, own);
}

void
netvsc_set_status_calls(struct rte_eth_dev *eth)
{
	eth->rx_queue_count = rx_queue_count;
	eth->rx_descriptor_status = rx_descriptor_status;
	eth->tx_descriptor_status = tx_descriptor_status;
	netvsc_compat_tx_queue_count(eth, tx_queue_count);
}

/* ---- burst modes ---- */

/*
 * How a burst of this queue works, in the order in which a frame meets it. Whoever gives receive or
 * send another way of doing something adds its word here.
 */
static void
mode_add(struct rte_eth_burst_mode *mode, bool has, const char *word)
{
	size_t at = strlen(mode->info);

	if (has)
		snprintf(mode->info + at, sizeof(mode->info) - at, "%s%s", at == 0 ? "" : ", ",
			word);
}

int
netvsc_rx_burst_mode(struct rte_eth_dev *eth, uint16_t queue, struct rte_eth_burst_mode *mode)
{
	const struct netvsc_rxq *rxq = eth->data->rx_queues[queue];

	if (rxq == NULL) {
		NETVSC_LOG(ERR, netvsc_port_of(eth), "receive queue %u is not set up", queue);
		return -EINVAL;
	}
	memset(mode, 0, sizeof(*mode));
	mode_add(mode, true, "Scalar");
	mode_add(mode, netvsc_rxq_tells(rxq), "offloads");
	mode_add(mode, rxq->chains, "scattered");
	mode_add(mode, netvsc_lro_is_on(eth->data), "coalescing");
	mode_add(mode, rxq->copybreak != 0, "copy");
	mode_add(mode, rxq->copybreak != NETVSC_RX_COPY_ALL, "zero copy");
	mode_add(mode, netvsc_port_of(eth)->sizes != NULL, "sizes");
	return 0;
}

int
netvsc_tx_burst_mode(struct rte_eth_dev *eth, uint16_t queue, struct rte_eth_burst_mode *mode)
{
	const struct netvsc_txq *txq = eth->data->tx_queues[queue];

	if (txq == NULL) {
		NETVSC_LOG(ERR, netvsc_port_of(eth), "transmit queue %u is not set up", queue);
		return -EINVAL;
	}
	memset(mode, 0, sizeof(*mode));
	mode_add(mode, true, "Scalar");
	mode_add(mode, (txq->work & ~NETVSC_TX_TRACED) != 0, "offloads");
	mode_add(mode, true, "copy");
	mode_add(mode, txq->headers_usable, "large frames by reference");
	mode_add(mode, netvsc_port_of(eth)->sizes != NULL, "sizes");
	return 0;
}
