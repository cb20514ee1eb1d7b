/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What comes in beside frames: dispatch of completions and control messages, scanning ahead of
 * receive. See doc/design.md "Receive" for the cursors.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_malloc.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/control.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/tx.h"
#include "drivers/net/netvsc/wire.h"

/* Control messages are copied out up to this much; the longest are a few hundred bytes. */
#define CONTROL_MAX 2048u
/* Occupancy above which an unpolled ring is emptied, in eighths (pitfall X1). */
#define HIGH_MARK_EIGHTHS 7
/* Nobody has received for this long while the ring was that full: nobody will. */
#define UNPOLLED_US 10000
/* Ring packets that one scan looks at: what is left is the next one's. */
#define SCAN_BUDGET 1024u

/* ---- dispatch ---- */

/* Answers come where requests go; the request is under the primary's rx_lock. */
static void
rx_control_completion(struct netvsc_channel *ch, uint64_t trans_id, const uint8_t *at, uint32_t len)
{
	uint8_t payload[sizeof(struct nvsp_message)];

	if (ch->index != 0) {
		ch->stats.tx_bad_completions++;
		return;
	}
	len = RTE_MIN(len, (uint32_t)sizeof(payload));
	vmbus_load(payload, at, len);
	netvsc_control_completion(ch->port, trans_id, payload, len);
}

static void
rx_notice(
	struct netvsc_channel *ch, const struct vmbus_packet *pkt, const uint8_t *at, uint32_t len)
{
	uint8_t payload[NVSP_SEND_TABLE_MAX_LEN + 8];

	if (ch->index != 0)
		return;
	len = RTE_MIN(len, (uint32_t)sizeof(payload));
	vmbus_load(payload, at, len);
	netvsc_control_notice(ch->port, pkt, payload, len);
}

void
netvsc_rx_other_packet(struct netvsc_channel *ch, const struct vmbus_packet *pkt, uint32_t at)
{
	uint32_t offset = (uint32_t)pkt->offset8 * 8, len = (uint32_t)pkt->len8 * 8 - offset;
	const uint8_t *payload = vmbus_ring_view(&ch->in.ring, at) + offset;
	struct netvsc_txq *txq;

	if (unlikely(pkt->type != VMBUS_PACKET_COMPLETION)) {
		if (pkt->type == VMBUS_PACKET_INBAND)
			rx_notice(ch, pkt, payload, len);
		else
			ch->stats.rx_unknown_packets++;
		return;
	}
	if (unlikely(pkt->trans_id & NETVSC_TID_CONTROL)) {
		rx_control_completion(ch, pkt->trans_id, payload, len);
		return;
	}
	txq = atomic_load_explicit(&ch->txq, memory_order_acquire);
	if (unlikely(txq == NULL || !netvsc_tx_complete(txq, pkt->trans_id,
					    nvsp_parse_rndis_complete(payload, len) == 0)))
		ch->stats.tx_bad_completions++;
}

bool
netvsc_rx_control_range(struct netvsc_channel *ch, struct vmbus_xfer_range range)
{
	struct netvsc_port *port = ch->port;
	const uint8_t *at = port->recv.base + range.byte_offset;
	uint8_t msg[CONTROL_MAX];

	if (ch->index != 0 ||
		!nvsp_xfer_range_ok(range, (uint32_t)port->recv.len, port->session.recv_section))
		return false;
	if (vmbus_load32(at) == RNDIS_TYPE_PACKET)
		return false;
	range.byte_count = RTE_MIN(range.byte_count, (uint32_t)sizeof(msg));
	vmbus_load(msg, at, range.byte_count);
	netvsc_control_rndis(port, msg, range.byte_count);
	return true;
}

/* A transfer packet that no burst has looked at: handle it if it is control. @return whether */
static bool
rx_control_transfer(struct netvsc_channel *ch, const struct vmbus_packet *pkt, uint32_t at)
{
	const uint8_t *first;

	if (ch->index != 0 || netvsc_rx_transfer_header(ch, pkt, at, &first) != 1 ||
		!netvsc_rx_control_range(ch, nvsp_xfer_range_load(first)))
		return false;
	netvsc_rx_complete(ch, pkt->trans_id, true);
	return true;
}

bool
netvsc_rx_was_handled(struct netvsc_channel *ch)
{
	uint32_t i;

	if (ch->ahead == 0)
		return false;
	for (i = 0; i < ch->n_handled; i++)
		if (ch->handled[i] == ch->in.next_r) {
			ch->handled[i] = ch->handled[--ch->n_handled];
			return true;
		}
	return false;
}

void
netvsc_rx_begin(struct netvsc_channel *ch)
{
	if (ch->cursor.transfer != NULL)
		netvsc_rx_put_cursor(ch);
	memset(&ch->cursor, 0, sizeof(ch->cursor));
	ch->opened++;
	ch->ahead = 0;
	ch->n_handled = 0;
	ch->high_since = 0;
	netvsc_rx_done_begin(ch);
}

/* ---- dropping ---- */

/* The packet at the consume position is not a frame, or is handled already. @return whether */
static bool
rx_drop_control(struct netvsc_channel *ch, const struct vmbus_packet *pkt)
{
	if (pkt->type == VMBUS_PACKET_XFER_PAGES)
		return ch->ahead != 0 ? netvsc_rx_was_handled(ch)
				      : rx_control_transfer(ch, pkt, ch->in.next_r);
	/* What no scan has looked at must not be lost. */
	if (ch->ahead == 0)
		netvsc_rx_other_packet(ch, pkt, ch->in.next_r);
	return true;
}

/* The burst will not come back to the packet under the cursor. @return ranges nobody took */
static uint32_t
rx_drop_cursor(struct netvsc_channel *ch)
{
	uint32_t left = ch->cursor.left;

	if (ch->cursor.transfer != NULL)
		netvsc_rx_put_cursor(ch);
	else
		netvsc_rx_complete(ch, ch->cursor.trans_id, !ch->cursor.bad);
	ch->cursor.left = 0;
	return left;
}

/*
 * Complete the oldest packets unread until at most @keep bytes are left in the ring and a scan can
 * remember what it handles.
 */
static void
rx_drop(struct netvsc_channel *ch, uint32_t keep, uint64_t *counter)
{
	uint32_t size = ch->in.ring.size, used;
	struct vmbus_packet pkt;
	const uint8_t *first;
	int total, ranges;

	while (netvsc_rx_complete_room(ch)) {
		used = vmbus_ring_used(size, ch->in.cached_w, ch->in.next_r);
		if (used == 0 || (used <= keep && ch->n_handled < NETVSC_HANDLED_MAX))
			break;
		if (ch->cursor.left != 0) {
			total = (int)ch->cursor.total;
			*counter += rx_drop_cursor(ch);
			netvsc_rx_consume(ch, (uint32_t)total);
			continue;
		}
		total = vmbus_ring_peek(&ch->in, &pkt);
		if (total <= 0)
			break;
		if (!rx_drop_control(ch, &pkt)) {
			ranges = netvsc_rx_transfer_header(ch, &pkt, ch->in.next_r, &first);
			*counter += ranges > 0 ? (unsigned int)ranges : 1;
			netvsc_rx_complete(ch, pkt.trans_id, ranges > 0);
		}
		netvsc_rx_consume(ch, (uint32_t)total);
	}
}

void
netvsc_rx_drain(struct netvsc_channel *ch)
{
	/* Completions and control first, then the frames that nobody will receive any more. */
	netvsc_rx_scan(ch);
	if (ch->in.corrupt)
		return;
	rx_drop(ch, 0, &ch->stats.rx_dropped_stopped);
	netvsc_rx_flush_any(ch);
}

static void
rx_check_unpolled(struct netvsc_channel *ch)
{
	uint32_t size = ch->in.ring.size;
	uint64_t now;

	/* Frames for a queue that is stopped: nobody will come for them. */
	if (netvsc_channel_live(ch) && !netvsc_channel_receives(ch)) {
		rx_drop(ch, 0, &ch->stats.rx_dropped_stopped);
		return;
	}
	/* A scan that cannot go on for want of memory for what it handled starves sends, too. */
	if (vmbus_ring_used(size, ch->in.cached_w, ch->in.next_r) <= size / 8 * HIGH_MARK_EIGHTHS &&
		ch->n_handled < NETVSC_HANDLED_MAX)
		return;
	now = rte_get_timer_cycles();
	if (ch->high_polls != ch->polls || ch->high_since == 0) {
		ch->high_polls = ch->polls;
		ch->high_since = now;
	} else if (now - ch->high_since > rte_get_timer_hz() / US_PER_S * UNPOLLED_US) {
		rx_drop(ch, size / 8 * HIGH_MARK_EIGHTHS, &ch->stats.rx_dropped_unpolled);
	}
}

/* ---- scanning ahead of receive ---- */

/*
 * The packet at the scan position: handle what is no frame.
 * @return bytes it takes in the ring, 0 there is none that may be looked at, or -EIO
 */
static int
rx_scan_one(struct netvsc_channel *ch, bool *handled)
{
	struct vmbus_ring_reader *in = &ch->in;
	uint32_t size = in->ring.size, at = vmbus_ring_advance(size, in->next_r, ch->ahead);
	uint32_t left = vmbus_ring_used(size, in->cached_w, in->next_r) - ch->ahead;
	struct vmbus_packet pkt;
	int total;

	*handled = false;
	if (left == 0)
		return 0;
	/* Half-taken: receive's, whatever the host makes of it meanwhile. */
	if (ch->cursor.left != 0 && ch->ahead == 0)
		return (int)ch->cursor.total;
	total = vmbus_ring_peek_at(&in->ring, at, left, &pkt);
	if (total < 0)
		return total;
	*handled = true;
	if (pkt.type != VMBUS_PACKET_XFER_PAGES) {
		netvsc_rx_other_packet(ch, &pkt, at);
	} else if (!rx_control_transfer(ch, &pkt, at)) {
		*handled = false;
	} else if (ch->ahead != 0) {
		ch->handled[ch->n_handled++] = at;
	}
	return total;
}

void
netvsc_rx_scan(struct netvsc_channel *ch)
{
	unsigned int budget = SCAN_BUDGET;
	bool handled;
	int total = 0;

	if (ch->in.corrupt || !vmbus_ring_reader_refresh(&ch->in)) {
		netvsc_port_broken(ch->port, "the host broke the inbound ring");
		return;
	}
	if (unlikely(ch->wire != NULL))
		netvsc_wire_in(ch);
	if (ch->ahead == 0)
		ch->n_handled = 0;
	while (ch->n_handled < NETVSC_HANDLED_MAX && netvsc_rx_complete_room(ch) && budget-- != 0) {
		total = rx_scan_one(ch, &handled);
		if (total <= 0)
			break;
		/* Nothing unread before it: receive need not see it again. */
		if (handled && ch->ahead == 0)
			netvsc_rx_consume(ch, (uint32_t)total);
		else
			ch->ahead += (uint32_t)total;
	}
	if (total < 0) {
		ch->in.corrupt = true;
		netvsc_port_broken(ch->port, "the host broke the inbound ring");
		return;
	}
	rx_check_unpolled(ch);
	netvsc_rx_flush_any(ch);
}

bool
netvsc_rx_each_channel(struct netvsc_port *port, void (*look)(struct netvsc_channel *ch))
{
	bool waiting = false;
	unsigned int i;

	for (i = 0; i < port->session.n_channels; i++) {
		struct netvsc_channel *ch = port->channels[i];

		if (!netvsc_channel_lock(ch, &ch->rx_lock))
			continue;
		if (netvsc_channel_is_open(ch))
			look(ch);
		waiting |= ch->done_head != ch->done_tail;
		rte_spinlock_unlock(&ch->rx_lock);
	}
	return waiting;
}

void
netvsc_rx_try_scan(struct netvsc_channel *ch, uint16_t *misses)
{
	if (!netvsc_trylock(&ch->rx_lock)) {
		if (++*misses < NETVSC_TRYLOCK_LIMIT)
			return;
		if (!netvsc_channel_lock_soon(&ch->rx_lock))
			return;
	}
	*misses = 0;
	/* The port may have been stopped, or more, since the look at its state. */
	if (netvsc_channel_live(ch))
		netvsc_rx_scan(ch);
	netvsc_channel_unlock(&ch->rx_lock);
}
