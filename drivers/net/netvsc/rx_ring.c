/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What comes in beside frames: dispatch of completions and control messages, scanning ahead of
 * receive, receive completions. See doc/design.md "Receive" for the cursors.
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

/* Occupancy above which an unpolled ring is emptied, in eighths (pitfall X1). */
#define HIGH_MARK_EIGHTHS 7
/* Nobody has received for this long while the ring was that full: nobody will. */
#define UNPOLLED_US 10000
/* Ring packets that one scan looks at: what is left is the next one's. */
#define SCAN_BUDGET 1024u

/* ---- dispatch ---- */

void
netvsc_rx_control_packet(struct netvsc_channel *ch, const struct vmbus_packet *pkt, uint32_t at)
{
	uint32_t offset = (uint32_t)pkt->offset8 * 8, len = (uint32_t)pkt->len8 * 8 - offset;
	uint8_t payload[NVSP_SEND_TABLE_MAX_LEN + 8];
	struct netvsc_txq *txq;

	if (len > sizeof(payload))
		len = sizeof(payload);
	vmbus_ring_copy_out(
		&ch->in.ring, vmbus_ring_advance(ch->in.ring.size, at, offset), payload, len);
	if (pkt->type == VMBUS_PACKET_INBAND) {
		if (ch->index == 0)
			netvsc_control_notice(ch->port, payload, len);
		return;
	}
	if (pkt->trans_id & NETVSC_TID_CONTROL) {
		/* Answers come where requests go; the request is under the primary's rx_lock. */
		if (ch->index == 0)
			netvsc_control_completion(ch->port, pkt->trans_id, payload, len);
		else
			ch->stats.tx_bad_completions++;
		return;
	}
	txq = atomic_load_explicit(&ch->txq, memory_order_acquire);
	if (txq == NULL || !netvsc_tx_complete(txq, pkt->trans_id,
				   nvsp_parse_rndis_complete(payload, len) == 0))
		ch->stats.tx_bad_completions++;
}

int
netvsc_rx_transfer_header(
	struct netvsc_channel *ch, const struct vmbus_packet *pkt, uint32_t at, uint32_t *first)
{
	const struct vmbus_ring *ring = &ch->in.ring;
	uint32_t bytes = (uint32_t)pkt->offset8 * 8 - (uint32_t)sizeof(*pkt);
	struct vmbus_xfer_header header;
	uint32_t header_at;

	if (bytes < sizeof(header))
		return -EBADMSG;
	header_at = vmbus_ring_advance(ring->size, at, sizeof(*pkt));
	vmbus_ring_copy_out(ring, header_at, &header, sizeof(header));
	if (header.set_id != NVSP_RECV_BUF_ID || header.range_count == 0 ||
		header.range_count > (bytes - sizeof(header)) / sizeof(struct vmbus_xfer_range))
		return -EBADMSG;
	*first = vmbus_ring_advance(ring->size, header_at, sizeof(header));
	return (int)header.range_count;
}

bool
netvsc_rx_control_transfer(struct netvsc_channel *ch, const struct vmbus_packet *pkt, uint32_t at)
{
	struct netvsc_port *port = ch->port;
	struct vmbus_xfer_range range;
	uint32_t first, type;
	/* Not on the stack of a receiving lcore's deepest call, and one control channel per port.
	 */
	uint8_t msg[2048];

	/* Control comes alone, on the primary channel (spec/rndis.md §1). */
	if (ch->index != 0 || netvsc_rx_transfer_header(ch, pkt, at, &first) != 1)
		return false;
	vmbus_ring_copy_out(&ch->in.ring, first, &range, sizeof(range));
	if (!nvsp_xfer_range_ok(range, (uint32_t)port->bus->recv.len, port->session.recv_section))
		return false;
	memcpy(&type, port->bus->recv.base + range.byte_offset, sizeof(type));
	if (type == RNDIS_TYPE_PACKET)
		return false;
	if (range.byte_count > sizeof(msg))
		range.byte_count = sizeof(msg);
	memcpy(msg, port->bus->recv.base + range.byte_offset, range.byte_count);
	netvsc_control_rndis(port, msg, range.byte_count);
	netvsc_rx_complete(ch, pkt->trans_id, true);
	return true;
}

bool
netvsc_rx_was_handled(struct netvsc_channel *ch)
{
	uint32_t i;

	if (ch->consumed >= ch->scanned)
		return false;
	for (i = 0; i < ch->n_handled; i++)
		if (ch->handled[i] == ch->consumed) {
			ch->handled[i] = ch->handled[--ch->n_handled];
			return true;
		}
	return false;
}

/* ---- receive completions ---- */

void
netvsc_rx_complete(struct netvsc_channel *ch, uint64_t trans_id, bool ok)
{
	struct netvsc_rx_done *done = &ch->done[ch->done_head++ & ch->done_mask];

	done->trans_id = trans_id;
	done->status = ok ? NVSP_STATUS_SUCCESS : NVSP_STATUS_FAILURE;
}

/* Write as many waiting completions as fit; tx_lock held. @return whether to signal. */
static bool
channel_send_done(struct netvsc_channel *ch)
{
	struct {
		struct vmbus_packet pkt;
		uint32_t type, status;
	} msg;

	vmbus_packet_init(&msg.pkt, VMBUS_PACKET_COMPLETION, sizeof(msg.pkt), sizeof(msg), 0, 0);
	msg.type = NVSP_TYPE_RNDIS_COMPLETE;
	while (ch->done_tail != ch->done_head) {
		const struct netvsc_rx_done *done = &ch->done[ch->done_tail & ch->done_mask];

		msg.pkt.trans_id = done->trans_id;
		msg.status = done->status;
		if (vmbus_ring_write(&ch->out, &msg, sizeof(msg), 0) != 0) {
			ch->stats.done_deferred++;
			break;
		}
		ch->done_tail++;
	}
	return vmbus_ring_writer_publish(&ch->out);
}

void
netvsc_rx_flush(struct netvsc_channel *ch)
{
	bool signal = false;

	/* If the lock cannot be had they wait for the next flush. */
	if (ch->done_tail != ch->done_head && netvsc_channel_lock_soon(&ch->tx_lock)) {
		signal = channel_send_done(ch);
		rte_spinlock_unlock(&ch->tx_lock);
		if (unlikely(ch->out.corrupt))
			netvsc_port_broken(ch->port, "the host broke the outbound ring");
	}
	signal |= vmbus_ring_reader_publish(&ch->in, true);
	if (signal) {
		ch->stats.doorbells++;
		hpbus_channel_signal(&ch->bus);
	}
}

/* ---- scanning ahead of receive ---- */

/* A packet that no scan has looked at yet: what is not a frame must not be lost. @return handled */
static bool
channel_drop_control(struct netvsc_channel *ch, const struct vmbus_packet *pkt)
{
	if (ch->consumed < ch->scanned)
		return pkt->type != VMBUS_PACKET_XFER_PAGES || netvsc_rx_was_handled(ch);
	if (pkt->type == VMBUS_PACKET_XFER_PAGES)
		return netvsc_rx_control_transfer(ch, pkt, ch->in.next_r);
	if (pkt->type == VMBUS_PACKET_COMPLETION || pkt->type == VMBUS_PACKET_INBAND)
		netvsc_rx_control_packet(ch, pkt, ch->in.next_r);
	return true;
}

/*
 * Complete the oldest packets unread until at most @keep bytes are left in the ring and a scan can
 * remember what it handles.
 */
static void
channel_drop(struct netvsc_channel *ch, uint32_t keep, uint64_t *counter)
{
	uint32_t size = ch->in.ring.size, used, first;
	struct vmbus_packet pkt;
	int total, ranges;

	while (netvsc_rx_complete_room(ch)) {
		used = vmbus_ring_used(size, ch->in.cached_w, ch->in.next_r);
		if (used == 0 || (used <= keep && ch->n_handled < NETVSC_HANDLED_MAX))
			break;
		total = vmbus_ring_peek(&ch->in, &pkt);
		if (total <= 0)
			break;
		if (ch->cursor.active) {
			*counter += ch->cursor.left;
			netvsc_rx_complete(ch, ch->cursor.trans_id, !ch->cursor.bad);
			ch->cursor.active = false;
			total = (int)ch->cursor.total;
		} else if (!channel_drop_control(ch, &pkt)) {
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
	channel_drop(ch, 0, &ch->stats.rx_dropped_stopped);
	netvsc_rx_flush(ch);
}

static void
channel_check_unpolled(struct netvsc_channel *ch)
{
	uint32_t size = ch->in.ring.size;
	uint64_t now;

	/* A scan that cannot go on for want of memory for what it handled starves sends, too. */
	if (vmbus_ring_used(size, ch->in.cached_w, ch->in.next_r) <= size / 8 * HIGH_MARK_EIGHTHS &&
		ch->n_handled < NETVSC_HANDLED_MAX)
		return;
	now = rte_get_timer_cycles();
	if (ch->high_polls != ch->polls || ch->high_since == 0) {
		ch->high_polls = ch->polls;
		ch->high_since = now;
	} else if (now - ch->high_since > rte_get_timer_hz() / US_PER_S * UNPOLLED_US) {
		channel_drop(ch, size / 8 * HIGH_MARK_EIGHTHS, &ch->stats.rx_dropped_unpolled);
	}
}

void
netvsc_rx_scan(struct netvsc_channel *ch)
{
	struct vmbus_ring_reader *in = &ch->in;
	uint32_t size = in->ring.size, left;
	unsigned int budget = SCAN_BUDGET;
	struct vmbus_packet pkt;
	int total;

	if (in->corrupt || !vmbus_ring_reader_refresh(in)) {
		netvsc_port_broken(ch->port, "the host broke the inbound ring");
		return;
	}
	if (ch->scanned == ch->consumed)
		ch->n_handled = 0;
	while (ch->n_handled < NETVSC_HANDLED_MAX && netvsc_rx_complete_room(ch) && budget-- != 0) {
		left = vmbus_ring_used(size, in->cached_w, in->next_r) -
		       (uint32_t)(ch->scanned - ch->consumed);
		if (left == 0)
			break;
		if (ch->cursor.active && ch->scanned == ch->consumed) {
			/* Half-taken: receive's, whatever the host makes of it meanwhile. */
			total = (int)ch->cursor.total;
			goto next;
		}
		total = vmbus_ring_peek_at(&in->ring, ch->scan_at, left, &pkt);
		if (total < 0) {
			in->corrupt = true;
			netvsc_port_broken(ch->port, "the host broke the inbound ring");
			return;
		}
		if (pkt.type == VMBUS_PACKET_COMPLETION || pkt.type == VMBUS_PACKET_INBAND) {
			netvsc_rx_control_packet(ch, &pkt, ch->scan_at);
		} else if (pkt.type == VMBUS_PACKET_XFER_PAGES) {
			if (netvsc_rx_control_transfer(ch, &pkt, ch->scan_at)) {
				if (ch->scanned != ch->consumed)
					ch->handled[ch->n_handled++] = ch->scanned;
			} else {
				goto next;
			}
		}
		/* Nothing unread before it: receive need not see it again. */
		if (ch->scanned == ch->consumed) {
			netvsc_rx_consume(ch, (uint32_t)total);
			continue;
		}
	next:
		ch->scan_at = vmbus_ring_advance(size, ch->scan_at, (uint32_t)total);
		ch->scanned += (uint32_t)total;
	}
	channel_check_unpolled(ch);
	netvsc_rx_flush(ch);
}

void
netvsc_rx_try_scan(struct netvsc_channel *ch, uint16_t *misses)
{
	if (!rte_spinlock_trylock(&ch->rx_lock)) {
		if (++*misses < NETVSC_TRYLOCK_LIMIT)
			return;
		if (!netvsc_channel_lock_soon(&ch->rx_lock))
			return;
	}
	*misses = 0;
	/* The port may have been stopped, or more, since the look at its state. */
	if (netvsc_channel_live(ch))
		netvsc_rx_scan(ch);
	rte_spinlock_unlock(&ch->rx_lock);
}
