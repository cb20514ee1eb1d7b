/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/net/netvsc/host_stats.h"

#include <string.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/control.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/tx.h"
#include "drivers/net/netvsc/wire.h"
#include "lib/netvsp/nvsp.h"
#include "lib/netvsp/oid.h"
#include "lib/netvsp/rndis.h"

/* As the host sees its guest: it transmits what we send. */
static const struct {
	const char *name;
	uint32_t oid;
} counters[NETVSC_HOST_STATS] = {
	{"host_tx_packets", OID_GEN_XMIT_OK},
	{"host_rx_packets", OID_GEN_RCV_OK},
	{"host_tx_errors", OID_GEN_XMIT_ERROR},
	{"host_rx_errors", OID_GEN_RCV_ERROR},
	{"host_rx_no_buffer", OID_GEN_RCV_NO_BUFFER},
	{"host_tx_bytes", OID_GEN_BYTES_XMIT},
	{"host_rx_bytes", OID_GEN_BYTES_RCV},
	{"host_tx_multicast_packets", OID_GEN_MULTICAST_FRAMES_XMIT},
	{"host_rx_multicast_packets", OID_GEN_MULTICAST_FRAMES_RCV},
	{"host_tx_broadcast_packets", OID_GEN_BROADCAST_FRAMES_XMIT},
	{"host_rx_broadcast_packets", OID_GEN_BROADCAST_FRAMES_RCV},
	{"host_rounds", 0},
};
#define ROUNDS NETVSC_HOST_COUNTERS

/* ---- for who reads ---- */

const char *
netvsc_host_stats_name(unsigned int i)
{
	return counters[i].name;
}

uint64_t
netvsc_host_stats_value(struct netvsc_port *port, unsigned int i)
{
	struct netvsc_host_stats *hs = &port->host_stats;

	atomic_store_explicit(&hs->wanted, true, memory_order_relaxed);
	return atomic_load(&hs->value[i]) - hs->base[i];
}

void
netvsc_host_stats_reset(struct netvsc_port *port)
{
	struct netvsc_host_stats *hs = &port->host_stats;
	unsigned int i;

	for (i = 0; i < NETVSC_HOST_STATS; i++)
		hs->base[i] = atomic_load(&hs->value[i]);
}

/* ---- asking ---- */

void
netvsc_host_stats_forget(struct netvsc_port *port)
{
	struct netvsc_host_stats *hs = &port->host_stats;

	hs->round = false;
	hs->next = 0;
	hs->section = NETVSC_SECTION_NONE;
	atomic_store(&hs->trans_id, 0);
	atomic_store(&hs->rndis_id, 0);
	atomic_store(&hs->not_there, 0);
	atomic_store(&hs->bare, 0);
	atomic_store(&hs->again, false);
}

/* Where requests of ours are written, in memory of the port; and whence the host reads them. */
static uint8_t *
request_page(const struct netvsc_port *port)
{
	return (uint8_t *)port->control_zone->addr + RNDIS_MAX_REQUEST;
}

/* Put a request into the ring, if that can be had now. @return whether it is there */
static bool
request_write(struct netvsc_port *port, uint32_t len, uint64_t tid)
{
	struct netvsc_channel *ch = port->channels[0];
	uint8_t pkt[NETVSC_RNDIS_PACKET_MAX] __rte_aligned(8);
	bool written, signal = false;
	int bytes;

	bytes = netvsc_rndis_packet(
		port, pkt, RNDIS_MAX_REQUEST, port->host_stats.section, len, tid);
	if (bytes < 0 || !netvsc_trylock(&ch->tx_lock))
		return false;
	written = netvsc_channel_live(ch) &&
		  vmbus_ring_write(&ch->out, pkt, (uint32_t)bytes, NETVSC_RING_RESERVE) == 0;
	if (written && ch->wire != NULL)
		netvsc_wire_sent(ch, pkt, (uint32_t)bytes);
	if (written)
		signal = vmbus_ring_writer_publish(&ch->out);
	if (signal)
		hpbus_channel_signal(netvsc_bus_of(ch->port), &ch->bus);
	rte_spinlock_unlock(&ch->tx_lock);
	return written;
}

static void
ask(struct netvsc_port *port, uint32_t which)
{
	struct netvsc_host_stats *hs = &port->host_stats;
	uint64_t tid = netvsc_control_next_tid(port);
	uint32_t id = netvsc_rndis_next_id(port);
	/* There are hosts that answer with as many bytes as the question has room for. */
	static const uint64_t room;
	uint32_t bytes = atomic_load(&hs->bare) >> which & 1 ? 0 : sizeof(room);
	int len = rndis_build_query(
		request_page(port), RNDIS_MAX_REQUEST, id, counters[which].oid, &room, bytes);

	if (len < 0)
		return;
	hs->asked = which;
	/* Before it can be answered. */
	atomic_store(&hs->rndis_id, id);
	atomic_store(&hs->trans_id, tid);
	if (request_write(port, (uint32_t)len, tid)) {
		hs->next = which + 1;
		return;
	}
	atomic_store(&hs->trans_id, 0);
	atomic_store(&hs->rndis_id, 0);
}

/* The next counter that the host has, from @p at on. */
static uint32_t
next_there(const struct netvsc_host_stats *hs, uint32_t at)
{
	while (at < NETVSC_HOST_COUNTERS && atomic_load(&hs->not_there) >> at & 1)
		at++;
	return at;
}

void
netvsc_host_stats_tick(struct netvsc_port *port)
{
	struct netvsc_host_stats *hs = &port->host_stats;

	if (atomic_load(&hs->trans_id) != 0 || atomic_load(&hs->rndis_id) != 0)
		return;
	if (!hs->round) {
		if (!atomic_exchange(&hs->wanted, false))
			return;
		hs->round = true;
		hs->next = 0;
	}
	if (atomic_exchange(&hs->again, false))
		hs->next = hs->asked;
	hs->next = next_there(hs, hs->next);
	if (hs->next != NETVSC_HOST_COUNTERS) {
		ask(port, hs->next);
		return;
	}
	hs->round = false;
	atomic_fetch_add(&hs->value[ROUNDS], 1);
}

/* ---- answers ---- */

bool
netvsc_host_stats_completion(
	struct netvsc_port *port, uint64_t trans_id, const void *payload, uint32_t len)
{
	struct netvsc_host_stats *hs = &port->host_stats;

	if (trans_id != atomic_load_explicit(&hs->trans_id, memory_order_acquire))
		return false;
	/* Refused as a whole: no answer follows. */
	if (nvsp_parse_rndis_complete(payload, len) != 0)
		atomic_store(&hs->rndis_id, 0);
	atomic_store_explicit(&hs->trans_id, 0, memory_order_release);
	return true;
}

/*
 * What has come since the host said it last. One that restarted, or that the guest was moved to,
 * counts from 0. A counter of four bytes that fell may also have passed its end: by less than half
 * of them, or it would be too long since somebody asked.
 */
static void
value_add(struct netvsc_host_stats *hs, uint32_t which, uint64_t now, bool narrow)
{
	uint64_t more = now - hs->said[which];

	if (now < hs->said[which])
		more = narrow && (uint32_t)more <= INT32_MAX ? (uint32_t)more : now;
	hs->said[which] = now;
	atomic_fetch_add(&hs->value[which], more);
}

/* Not in this way: then in the other one, once. */
static void
refused(struct netvsc_host_stats *hs)
{
	uint32_t bit = UINT32_C(1) << hs->asked;

	if (atomic_fetch_or(&hs->bare, bit) & bit)
		atomic_fetch_or(&hs->not_there, bit);
	else
		atomic_store(&hs->again, true);
}

bool
netvsc_host_stats_answer(struct netvsc_port *port, const void *msg, uint32_t len)
{
	struct netvsc_host_stats *hs = &port->host_stats;
	uint32_t id = atomic_load_explicit(&hs->rndis_id, memory_order_acquire), half = 0;
	struct rndis_completion done;
	uint64_t value = 0;
	bool narrow;

	if (id == 0 || rndis_parse_completion(msg, len, &done) != 0 ||
		done.type != RNDIS_TYPE_QUERY_CMPLT || done.request_id != id)
		return false;
	if (done.status != RNDIS_STATUS_SUCCESS || done.info_length < sizeof(half)) {
		refused(hs);
	} else {
		/* Hosts have counters of either size. */
		narrow = done.info_length < sizeof(value);
		if (narrow)
			memcpy(&half, (const uint8_t *)msg + done.info_abs, sizeof(half));
		else
			memcpy(&value, (const uint8_t *)msg + done.info_abs, sizeof(value));
		value_add(hs, hs->asked, value + half, narrow);
	}
	atomic_store_explicit(&hs->rndis_id, 0, memory_order_release);
	return true;
}
