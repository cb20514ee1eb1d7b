/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Receive without a copy: a frame stays in its section of the receive buffer, and its mbuf has that
 * as external memory. The section is the host's again when the transfer packet is completed, which
 * is when the last of its mbufs, and of their clones, has been freed (rx_transfer.c).
 *
 * What the host cannot have back, it cannot send with. So all transfer packets that are held, of
 * all channels, have three quarters of the sections at most; above that, frames are copied.
 *
 * Mbufs may be freed on any thread at any time, also after their port was closed. What they need
 * until then belongs to the lender, not to the port: one reference is the port's, one each mbuf's.
 */
#include <errno.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_malloc.h>
#include <rte_rwlock.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"

/* Transfer packets that each channel can have held. */
#define TRANSFERS 4096u
/* Three quarters of fewer are none or all. */
#define LENDING_SECTIONS 4u

/* One section's external buffer. */
struct rx_loan {
	struct rte_mbuf_ext_shared_info shinfo; /* counts its mbufs */
	struct netvsc_rx_lender *lender;
	struct netvsc_rx_transfer *transfer;
	atomic_bool out; /* a host may name a section again though it is held: then it is copied */
};

struct netvsc_rx_lender {
	_Atomic uint32_t references;
	_Atomic uint32_t withheld; /* sections of packets that are held */
	uint32_t limit;		   /* of @a withheld */
	uint32_t section;	   /* bytes */
	uint32_t recv_count;	   /* sections that the session has */
	uint32_t n_loans;	   /* one per section */
	rte_rwlock_t lock;	   /* read: a loan comes back to a channel; write: the port goes */
	bool orphan;		   /* it has: channels are gone */
	uint8_t *base;		   /* the receive buffer */
	size_t len;
	struct rx_loan loans[];
};

/* ---- back from the application ---- */

static void
lender_put(struct netvsc_rx_lender *lender)
{
	/* Pairs with itself: who frees it comes after all who used it. */
	if (atomic_fetch_sub_explicit(&lender->references, 1, memory_order_acq_rel) != 1)
		return;
	hpbus_recv_free(lender->base, lender->len);
	rte_free(lender);
}

/* The last mbuf of a frame has been freed. Any thread. */
static void
loan_back(void *addr, void *opaque)
{
	struct rx_loan *loan = opaque;
	struct netvsc_rx_lender *lender = loan->lender;
	struct netvsc_rx_transfer *transfer = loan->transfer;

	/* Release: pairs with the exchange in netvsc_rx_lend(). */
	atomic_store_explicit(&loan->out, false, memory_order_release);
	rte_rwlock_read_lock(&lender->lock);
	if (!lender->orphan)
		netvsc_rx_put(transfer);
	rte_rwlock_read_unlock(&lender->lock);
	lender_put(lender);
}

/* ---- to the application ---- */

/* A reference to the packet under the cursor, within the limit. */
static struct netvsc_rx_transfer *
lend_transfer(struct netvsc_rx_lender *lender, struct netvsc_channel *ch)
{
	struct netvsc_rx_transfer *transfer;
	uint32_t ranges = ch->cursor.ranges;

	if (ch->cursor.transfer != NULL)
		return netvsc_rx_hold(ch);
	if (atomic_fetch_add_explicit(&lender->withheld, ranges, memory_order_relaxed) + ranges <=
		lender->limit) {
		transfer = netvsc_rx_hold(ch);
		if (transfer != NULL) {
			transfer->withheld = &lender->withheld;
			transfer->ranges = ranges;
			return transfer;
		}
	}
	atomic_fetch_sub_explicit(&lender->withheld, ranges, memory_order_relaxed);
	return NULL;
}

bool
netvsc_rx_lend(struct netvsc_rxq *rxq, const uint8_t *msg, const struct rndis_packet_info *info,
	struct rte_mbuf *m)
{
	struct netvsc_rx_lender *lender = rxq->port->lender;
	size_t at = (size_t)(msg - lender->base);
	uint32_t len = info->data_abs + info->data_length;
	struct netvsc_rx_transfer *transfer;
	struct rx_loan *loan;

	if (at / lender->section >= lender->n_loans || len > UINT16_MAX ||
		atomic_load_explicit(&rxq->port->others, memory_order_relaxed))
		return false;
	loan = &lender->loans[at / lender->section];
	/* Acquire: pairs with the release in loan_back(). */
	if (atomic_exchange_explicit(&loan->out, true, memory_order_acquire))
		return false;
	transfer = lend_transfer(lender, rxq->ch);
	if (transfer == NULL) {
		atomic_store_explicit(&loan->out, false, memory_order_relaxed);
		return false;
	}
	loan->transfer = transfer;
	atomic_fetch_add_explicit(&lender->references, 1, memory_order_relaxed);
	rte_mbuf_ext_refcnt_set(&loan->shinfo, 1);
	memcpy(&m->rearm_data, &rxq->rearm, sizeof(rxq->rearm));
	m->ol_flags = 0;
	/* No other device has the buffer mapped: any address for one would lead elsewhere (X8). */
	rte_pktmbuf_attach_extbuf(m, lender->base + at, RTE_BAD_IOVA, (uint16_t)len, &loan->shinfo);
	m->data_off = (uint16_t)info->data_abs;
	m->data_len = (uint16_t)info->data_length;
	m->pkt_len = info->data_length;
	rxq->ch->stats.rx_lent++;
	return true;
}

/* ---- life ---- */

static struct netvsc_rx_lender *
lender_make(struct netvsc_port *port)
{
	const struct hpbus_buffer *recv = &port->bus->recv;
	uint32_t section = port->session.recv_section, i;
	uint32_t n = (uint32_t)(recv->len / section);
	struct netvsc_rx_lender *lender;

	lender = rte_zmalloc_socket("netvsc_lender", sizeof(*lender) + n * sizeof(lender->loans[0]),
		RTE_CACHE_LINE_SIZE, port->bus->device.numa_node);
	if (lender == NULL)
		return NULL;
	atomic_init(&lender->references, 1);
	lender->limit = RTE_MIN(n, port->session.recv_count) / 4 * 3;
	lender->section = section;
	lender->recv_count = port->session.recv_count;
	lender->n_loans = n;
	lender->base = recv->base;
	lender->len = recv->len;
	rte_rwlock_init(&lender->lock);
	for (i = 0; i < n; i++) {
		lender->loans[i].lender = lender;
		lender->loans[i].shinfo.free_cb = loan_back;
		lender->loans[i].shinfo.fcb_opaque = &lender->loans[i];
	}
	return lender;
}

/* Objects for channels that have none; a channel cannot use more of them than there are sections.
 */
static int
lender_transfers(struct netvsc_port *port, uint32_t limit)
{
	uint32_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < port->session.n_channels; i++)
		if (port->channels[i]->transfers == NULL)
			rc = netvsc_rx_transfers_make(port->channels[i], RTE_MIN(limit, TRANSFERS));
	return rc;
}

/* Nothing is lent. */
static void
lender_free(struct netvsc_port *port)
{
	bool alone = true;
	unsigned int i;

	for (i = 0; i < RTE_DIM(port->channels); i++)
		if (port->channels[i] != NULL)
			alone &= netvsc_rx_transfers_forget(port->channels[i]);
	if (alone)
		rte_free(port->lender);
	port->lender = NULL;
}

/* Each session divides the buffer anew, and a reset may have put it elsewhere. */
static bool
lender_fits(const struct netvsc_rx_lender *lender, const struct netvsc_port *port)
{
	return lender->section == port->session.recv_section &&
	       lender->recv_count == port->session.recv_count &&
	       lender->base == port->bus->recv.base && lender->len == port->bus->recv.len;
}

void
netvsc_rx_lender_begin(struct netvsc_port *port)
{
	if (port->config.rx_copybreak == NETVSC_RX_COPY_ALL)
		return;
	/* Nothing is lent by one of another session: session_replace() and netvsc_fence(). */
	if (port->lender != NULL && !lender_fits(port->lender, port))
		lender_free(port);
	if (port->session.recv_count < LENDING_SECTIONS) {
		if (!port->few_sections)
			NETVSC_LOG(NOTICE, port,
				"the host has %u sections in the receive buffer: too few to "
				"receive without a copy (rx_copybreak), frames are copied",
				port->session.recv_count);
		port->few_sections = true;
		return;
	}
	if (port->lender == NULL)
		port->lender = lender_make(port);
	if (port->lender != NULL && lender_transfers(port, port->lender->limit) == 0)
		return;
	if (port->lender != NULL && netvsc_rx_lent(port) == 0)
		lender_free(port);
	NETVSC_LOG(WARNING, port,
		"no memory for receiving without a copy (rx_copybreak): frames are copied; give "
		"EAL more (-m, --socket-mem)");
}

uint32_t
netvsc_rx_lent(const struct netvsc_port *port)
{
	return port->lender == NULL ? 0 : atomic_load(&port->lender->references) - 1;
}

int
netvsc_rx_lender_check(struct netvsc_port *port)
{
	uint32_t lent = netvsc_rx_lent(port);

	if (lent == 0)
		return 0;
	NETVSC_LOG(ERR, port,
		"the application holds %u frames in the receive buffer, which the host would get "
		"anew: free their mbufs first (or do without rx_copybreak)",
		lent);
	return -EBUSY;
}

/* Who frees an mbuf holds the lock for a moment, and may be killed or interrupted with it, too. */
static bool
lender_lock(struct netvsc_rx_lender *lender)
{
	int64_t until = hpbus_op_until();

	while (rte_rwlock_write_trylock(&lender->lock) != 0) {
		if (hpbus_now_ms() >= until)
			return false;
		rte_delay_us_sleep(50);
	}
	return true;
}

/*
 * The application holds frames of a port or session that goes: the memory stays, until they are
 * freed. The bus lets go of it by @keep. @return what that said; -EBUSY: somebody is inside
 */
static int
lender_leave(struct netvsc_port *port, int (*keep)(struct hpbus_device *))
{
	struct netvsc_rx_lender *lender = port->lender;
	unsigned int i;
	int rc = 0;

	if (lender != NULL) {
		/* Who is inside goes on, to a channel that is there; who comes later does not. */
		if (!lender_lock(lender))
			return -EBUSY;
		lender->orphan = true;
		rte_rwlock_write_unlock(&lender->lock);
		port->lender = NULL;
		/* Only the port's own: the memory is the bus's, as before. */
		if (atomic_load(&lender->references) == 1) {
			rte_free(lender);
		} else {
			rc = keep(port->bus);
			if (rc != 0)
				NETVSC_LOG(WARNING, port,
					"no memory (%s) for the received frames that the "
					"application still holds: the host can change them",
					strerror(-rc));
			lender_put(lender);
		}
	}
	for (i = 0; i < RTE_DIM(port->channels); i++)
		if (port->channels[i] != NULL)
			netvsc_rx_transfers_free(port->channels[i]);
	return rc;
}

bool
netvsc_rx_lender_end(struct netvsc_port *port)
{
	return lender_leave(port, hpbus_recv_keep) != -EBUSY;
}

int
netvsc_rx_lender_fence(struct netvsc_port *port)
{
	return netvsc_rx_lent(port) == 0 ? 0 : lender_leave(port, hpbus_recv_renew);
}
