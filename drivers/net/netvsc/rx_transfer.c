/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Transfer packets that outlive the burst which read them. Objects are taken under rx_lock; the
 * last reference may go on any lcore. It puts the object on the channel's list of released ones
 * without a lock; whoever holds rx_lock next turns those into completions. So no completion waits
 * for longer than until the next burst, scan or housekeeping tick.
 */
#include <errno.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"

int
netvsc_rx_transfers_make(struct netvsc_channel *ch, uint32_t count)
{
	uint32_t i;

	ch->transfers = netvsc_session_memory("netvsc_transfers", count * sizeof(*ch->transfers),
		ch->port->bus->device.numa_node);
	if (ch->transfers == NULL)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		ch->transfers[i].ch = ch;
		ch->transfers[i].next = ch->free_transfers;
		ch->free_transfers = &ch->transfers[i];
	}
	return 0;
}

void
netvsc_rx_transfers_free(struct netvsc_channel *ch)
{
	netvsc_session_memory_free(ch->transfers);
	ch->transfers = ch->free_transfers = ch->releasing = ch->cursor.transfer = NULL;
	atomic_store(&ch->released, NULL);
}

bool
netvsc_rx_transfers_forget(struct netvsc_channel *ch)
{
	struct netvsc_rx_transfer *transfer;

	if (!netvsc_channel_lock(ch, &ch->rx_lock))
		return false;
	if (ch->cursor.transfer != NULL)
		ch->cursor.transfer->withheld = NULL;
	for (transfer = ch->releasing; transfer != NULL; transfer = transfer->next)
		transfer->withheld = NULL;
	for (transfer = atomic_load_explicit(&ch->released, memory_order_acquire); transfer != NULL;
		transfer = transfer->next)
		transfer->withheld = NULL;
	rte_spinlock_unlock(&ch->rx_lock);
	return true;
}

struct netvsc_rx_transfer *
netvsc_rx_hold(struct netvsc_channel *ch)
{
	struct netvsc_rx_transfer *transfer = ch->cursor.transfer;

	if (transfer == NULL) {
		transfer = ch->free_transfers;
		if (transfer == NULL)
			return NULL;
		ch->free_transfers = transfer->next;
		transfer->trans_id = ch->cursor.trans_id;
		transfer->opened = ch->opened;
		transfer->withheld = NULL;
		/* One is the burst's own, until it is through with the packet. */
		atomic_init(&transfer->references, 1);
		ch->cursor.transfer = transfer;
	}
	/* Relaxed: the burst's own reference keeps it, and an mbuf that is handed on orders the
	 * rest. */
	atomic_fetch_add_explicit(&transfer->references, 1, memory_order_relaxed);
	return transfer;
}

/* @return whether it was the last one */
static bool
transfer_drop(struct netvsc_rx_transfer *transfer)
{
	struct netvsc_channel *ch = transfer->ch;

	/* Release: all reads of the sections come before the completion; pairs with the acquire of
	 * whoever drops the last one. */
	if (atomic_fetch_sub_explicit(&transfer->references, 1, memory_order_acq_rel) != 1)
		return false;
	transfer->next = atomic_load_explicit(&ch->released, memory_order_relaxed);
	/* Release: pairs with the exchange in netvsc_rx_take_released(). */
	while (!atomic_compare_exchange_weak_explicit(&ch->released, &transfer->next, transfer,
		memory_order_release, memory_order_relaxed))
		;
	return true;
}

void
netvsc_rx_put(struct netvsc_rx_transfer *transfer)
{
	struct netvsc_channel *ch = transfer->ch;

	/* If the lock is taken, a burst or scan is at work, and another will follow. */
	if (!transfer_drop(transfer) || !netvsc_trylock(&ch->rx_lock))
		return;
	/* This may be a send, which has the other lock and frees what it has copied. */
	if (netvsc_channel_is_open(ch) && !rte_spinlock_is_locked(&ch->tx_lock))
		netvsc_rx_flush(ch);
	netvsc_channel_unlock(&ch->rx_lock);
}

void
netvsc_rx_put_cursor(struct netvsc_channel *ch)
{
	struct netvsc_rx_transfer *transfer = ch->cursor.transfer;

	transfer->bad = ch->cursor.bad;
	ch->cursor.transfer = NULL;
	transfer_drop(transfer);
}

void
netvsc_rx_take_released(struct netvsc_channel *ch)
{
	struct netvsc_rx_transfer *transfer;

	/* All at once: there is no other taker, and no object comes back in between. */
	if (ch->releasing == NULL)
		ch->releasing = atomic_exchange_explicit(&ch->released, NULL, memory_order_acquire);
	while ((transfer = ch->releasing) != NULL && netvsc_rx_complete_room(ch)) {
		ch->releasing = transfer->next;
		/* After a reset the host has its sections back, and other packets have the id. */
		if (transfer->opened == ch->opened)
			netvsc_rx_complete(ch, transfer->trans_id, !transfer->bad);
		/* A number, which guards no memory. */
		if (transfer->withheld != NULL)
			atomic_fetch_sub_explicit(
				transfer->withheld, transfer->ranges, memory_order_relaxed);
		transfer->next = ch->free_transfers;
		ch->free_transfers = transfer;
	}
}
