/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Habits of hosts and applications that have tripped other drivers: packets of any shape, answers
 * to nothing, limits that are reached, and calls that ask much or often.
 */
#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/tx.h"
#include "lib/netvsp/oid.h"
#include "lib/netvsp/rndis_layout.h"
#include "test/ethdev/ethdev.h"

static struct netvsc_port *
port_now(void)
{
	return netvsc_port_of(&rte_eth_devices[ethdev_port]);
}

/* ---- receive ---- */

/* Frames come one by one, then as many together as the host takes from its port at a time. */
static void
receive_together(void)
{
	uint64_t before = ethdev_stats().ipackets;
	unsigned int round;

	for (round = 0; round < 5; round++) {
		ethdev_knob("stall_rx", 1);
		rte_delay_us_sleep(5000); /* so that 64 are due at 20,000 frames/s */
		ethdev_knob("stall_rx", 0);
		before += 100;
		WAIT_UNTIL((ethdev_receive(0), ethdev_stats().ipackets) >= before);
	}
	CHECK_EQUAL(ethdev_stats().ierrors, 0);
	CHECK_EQUAL(ethdev_host_counter("rx_dropped_no_section"), 0);
}

/* Pitfalls R4 and X22: many ranges in one packet, and ranges as long as the section. */
static void
transfer_packets_may_have_many_ranges(void)
{
	static const unsigned int batches[] = {1, 8, 375};
	unsigned int slot, i;

	ethdev_bring_up(1, 1);
	for (slot = 0; slot < 2; slot++)
		for (i = 0; i < RTE_DIM(batches); i++) {
			ethdev_knob("range_slot", slot);
			ethdev_knob("batch", batches[i]);
			receive_together();
		}
}

/* Pitfalls X6 and X7: ids are echoed, and they index nothing. */
static void
receive_transaction_ids_may_be_any_number(void)
{
	static const unsigned long bases[] = {1, 65536, UINT32_MAX, 1ul << 40, 1ul << 61};
	uint64_t before;
	unsigned int i;

	for (i = 0; i < RTE_DIM(bases); i++) {
		/* Not changed under a guest, and the rig of test/uio never leaves its host. */
		if (strstr(ethdev_device, "vfio-user=") != NULL) {
			ethdev_detach();
			WAIT_UNTIL(ethdev_host_counter("channels") == 0);
			ethdev_knob("tid_base", bases[i]);
			CHECK_EQUAL(ethdev_attach(ethdev_device), 0);
		}
		ethdev_bring_up(2, 2);
		before = ethdev_stats().ipackets;
		WAIT_UNTIL((ethdev_receive(0), ethdev_receive(1), ethdev_stats().ipackets) >=
			   before + 500);
		CHECK_EQUAL(ethdev_stats().ierrors, 0);
		CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
	}
	CHECK_EQUAL(ethdev_host_counter("rx_dropped_no_section"), 0);
	CHECK_EQUAL(ethdev_host_counter("protocol_errors"), 0);
}

static struct rte_eth_link
link_now(void)
{
	struct rte_eth_link link;

	CHECK_EQUAL(rte_eth_link_get_nowait(ethdev_port, &link), 0);
	return link;
}

/* Pitfall X19: an application that polls for nothing still hears of its link. */
static void
polls_for_no_frames_keep_notices_coming(void)
{
	struct rte_mbuf *m;

	ethdev_bring_up(1, 1);
	CHECK_EQUAL(link_now().link_status, RTE_ETH_LINK_UP);
	ethdev_link(false);
	WAIT_UNTIL((rte_eth_rx_burst(ethdev_port, 0, &m, 0), link_now().link_status) ==
		   RTE_ETH_LINK_DOWN);
	ethdev_link(true);
	WAIT_UNTIL((rte_eth_rx_burst(ethdev_port, 0, &m, 0), link_now().link_status) ==
		   RTE_ETH_LINK_UP);
}

/* Pitfall K3: the link stays up all the time. */
static void
a_new_link_speed_is_told(void)
{
	static const unsigned int mbps[] = {1000, 40000, 200000};
	unsigned int i;

	ethdev_bring_up(1, 1);
	for (i = 0; i < RTE_DIM(mbps); i++) {
		ethdev_knob("link_mbps", mbps[i]);
		WAIT_UNTIL((ethdev_receive(0), link_now().link_speed) == mbps[i]);
		CHECK_EQUAL(link_now().link_status, RTE_ETH_LINK_UP);
	}
}

/* ---- send ---- */

/* Pitfall T8: no id that the host makes up frees anything. */
static void
completions_of_nothing_complete_nothing(void)
{
	struct netvsc_port *port = port_now();
	struct netvsc_channel *ch;
	struct netvsc_txq *txq;
	uint64_t id;
	uint32_t i;

	ethdev_knob("stall_rx", 1);
	ethdev_bring_up(1, 1);
	ch = port->channels[0];
	txq = port->eth->data->tx_queues[0];
	ethdev_knob("no_complete", 1);
	ethdev_send(0, 3, 1200);
	i = netvsc_tx_inflight(txq);
	rte_spinlock_lock(&ch->rx_lock);
	CHECK(!netvsc_tx_complete(txq, 0, true));
	CHECK(!netvsc_tx_complete(txq, UINT64_MAX, true));
	CHECK(!netvsc_tx_complete(txq, (uintptr_t)txq, true));
	/* Every slot, of a generation that is not its own. */
	for (id = 1; id <= txq->nb_desc; id++)
		CHECK(!netvsc_tx_complete(txq, id | UINT64_C(0x7fffff) << 32, true));
	CHECK(!netvsc_tx_complete(txq, (uint64_t)txq->nb_desc + 1, true));
	rte_spinlock_unlock(&ch->rx_lock);
	rte_eth_tx_done_cleanup(ethdev_port, 0, 0);
	CHECK_EQUAL(netvsc_tx_inflight(txq), i);
	CHECK_EQUAL(ethdev_stats().oerrors, 0);
	ethdev_knob("no_complete", 0);
	WAIT_UNTIL((ethdev_receive(0), rte_eth_tx_done_cleanup(ethdev_port, 0, 0),
			   netvsc_tx_inflight(txq)) == 0);
	CHECK_EQUAL(ethdev_xstat("tx_bad_completions"), 0);
}

/* Pitfall T6: a host that does not read is no error, and what was refused is the caller's. */
static void
back_pressure_is_no_error(void)
{
	struct rte_mbuf *m[32];
	unsigned int sent = 0, i;
	uint16_t n;

	ethdev_knob("stall_rx", 1);
	ethdev_bring_up(1, 1);
	ethdev_knob("stall", 1);
	do {
		CHECK_EQUAL(rte_pktmbuf_alloc_bulk(ethdev_pool, m, RTE_DIM(m)), 0);
		for (i = 0; i < RTE_DIM(m); i++)
			memset(rte_pktmbuf_append(m[i], 1000), 0x55, 1000);
		n = rte_eth_tx_burst(ethdev_port, 0, m, RTE_DIM(m));
		sent += n;
		rte_pktmbuf_free_bulk(m + n, RTE_DIM(m) - n);
	} while (n == RTE_DIM(m));
	CHECK(sent > 0);
	CHECK(ethdev_xstat("tx_q0_ring_full") + ethdev_xstat("tx_q0_no_descriptor") +
			ethdev_xstat("tx_q0_no_section") >
		0);
	CHECK_EQUAL(ethdev_stats().oerrors, 0);
	CHECK_EQUAL(ethdev_stats().opackets, sent);
	ethdev_knob("stall", 0);
	WAIT_UNTIL((ethdev_receive(0), rte_eth_tx_done_cleanup(ethdev_port, 0, 0),
			   ethdev_mbufs_out()) == 0);
	CHECK_EQUAL(ethdev_stats().oerrors, 0);
}

/* Pitfall T11: more segments than a packet may name pages. */
static void
a_frame_of_many_segments_is_copied(void)
{
	enum { SEGMENTS = 60, EACH = 25 };
	struct rte_mbuf *head = NULL, *m;
	struct rte_ether_addr mac;
	unsigned int i;
	uint8_t *bytes;

	ethdev_knob("stall_rx", 1);
	ethdev_bring_up(1, 1);
	CHECK_EQUAL(rte_eth_macaddr_get(ethdev_port, &mac), 0);
	for (i = 0; i < SEGMENTS; i++) {
		CHECK((m = rte_pktmbuf_alloc(ethdev_pool)) != NULL);
		CHECK((bytes = (uint8_t *)rte_pktmbuf_append(m, EACH)) != NULL);
		memset(bytes, 0xff, EACH);
		if (head == NULL)
			memcpy(bytes + sizeof(mac), &mac, sizeof(mac));
		if (head == NULL)
			head = m;
		else
			CHECK_EQUAL(rte_pktmbuf_chain(head, m), 0);
	}
	CHECK_EQUAL(rte_eth_tx_burst(ethdev_port, 0, &head, 1), 1);
	WAIT_UNTIL((ethdev_receive(0), rte_eth_tx_done_cleanup(ethdev_port, 0, 0),
			   ethdev_mbufs_out()) == 0);
	/* What is copied is free before the host has looked. */
	WAIT_UNTIL(ethdev_host_counter("tx_frames") == 1);
	CHECK_EQUAL(ethdev_host_counter("tx_bytes"), SEGMENTS * EACH);
	CHECK_EQUAL(ethdev_xstat("tx_q0_by_reference"), 0);
	CHECK_EQUAL(ethdev_stats().oerrors, 0);
}

/*
 * Pitfall T20: bursts that find the lock taken go on, look for longer once that has happened often
 * enough, and never wait for a holder that is not scheduled; they miss nothing by it.
 */
static void
a_lock_that_is_always_taken_is_not_waited_for_for_ever(void)
{
	struct netvsc_channel *ch;
	struct netvsc_rxq *rxq;
	struct rte_mbuf *m;
	unsigned int i;
	uint64_t polls;

	ethdev_knob("stall_rx", 1);
	ethdev_bring_up(1, 1);
	ch = port_now()->channels[0];
	rxq = rte_eth_devices[ethdev_port].data->rx_queues[0];
	polls = netvsc_channel_polls(ch);
	rte_spinlock_lock(&ch->rx_lock);
	for (i = 0; i < 2 * NETVSC_TRYLOCK_LIMIT; i++)
		CHECK_EQUAL(rte_eth_rx_burst(ethdev_port, 0, &m, 0), 0);
	CHECK(rxq->lock_misses >= NETVSC_TRYLOCK_LIMIT);
	CHECK_EQUAL(netvsc_channel_polls(ch), polls);
	rte_spinlock_unlock(&ch->rx_lock);
	CHECK_EQUAL(rte_eth_rx_burst(ethdev_port, 0, &m, 0), 0);
	CHECK_EQUAL(netvsc_channel_polls(ch), polls + 1);
	CHECK_EQUAL(rxq->lock_misses, 0);
}

/* ---- control ---- */

/* Pitfall N13: what is known is told by a host that does not answer, too. */
static void
information_costs_no_round_trip(void)
{
	struct rte_eth_dev_info info;
	struct rte_ether_addr mac;
	struct rte_eth_link link;
	char version[64];

	ethdev_bring_up(1, 1);
	ethdev_knob("stall", 1);
	CHECK_EQUAL(rte_eth_dev_info_get(ethdev_port, &info), 0);
	CHECK_EQUAL(rte_eth_macaddr_get(ethdev_port, &mac), 0);
	CHECK_EQUAL(rte_eth_link_get(ethdev_port, &link), 0);
	CHECK_EQUAL(rte_eth_dev_fw_version_get(ethdev_port, version, sizeof(version)), 0);
	ethdev_stats();
	CHECK_EQUAL(atomic_load(&port_now()->state), NETVSC_STATE_RUNNING);
	ethdev_knob("stall", 0);
}

static void
check_filter(bool promiscuous, bool all_multicast)
{
	CHECK_EQUAL(promiscuous ? rte_eth_promiscuous_enable(ethdev_port)
				: rte_eth_promiscuous_disable(ethdev_port),
		0);
	CHECK_EQUAL(all_multicast ? rte_eth_allmulticast_enable(ethdev_port)
				  : rte_eth_allmulticast_disable(ethdev_port),
		0);
	CHECK_EQUAL(port_now()->session.filter,
		promiscuous ? RNDIS_FILTER_PROMISCUOUS
			    : RNDIS_FILTER_DIRECTED | RNDIS_FILTER_BROADCAST |
				      (all_multicast ? RNDIS_FILTER_ALL_MULTICAST : 0));
}

/* Pitfalls N14 and N15: every transition between the four, and 0 when the port is stopped. */
static void
the_packet_filter_follows_all_flags(void)
{
	unsigned int from, to;

	CHECK_EQUAL(port_now()->session.filter, 0);
	ethdev_bring_up(1, 1);
	for (from = 0; from < 4; from++)
		for (to = 0; to < 4; to++) {
			check_filter(from & 1, from & 2);
			check_filter(to & 1, to & 2);
		}
	check_filter(true, false);
	CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
	CHECK_EQUAL(port_now()->session.filter, 0);
	CHECK_EQUAL(rte_eth_dev_start(ethdev_port), 0);
	CHECK_EQUAL(port_now()->session.filter, RNDIS_FILTER_PROMISCUOUS);
}

/* Pitfall A5: each of the two is built at the beginning of a page, and has no more than that. */
static void
requests_lie_within_one_page(void)
{
	const struct rte_memzone *zone = port_now()->control_zone;

	CHECK(RNDIS_MAX_REQUEST <= 4096);
	CHECK_EQUAL(zone->addr_64 % 4096, 0);
	CHECK_EQUAL(zone->len, 2 * RNDIS_MAX_REQUEST);
	CHECK_EQUAL(RNDIS_MAX_REQUEST % 4096, 0);
}

/* Pitfall B8: an application may close and never detach. */
static void
a_closed_port_leaves_no_channel_open(void)
{
	ethdev_bring_up(2, 2);
	CHECK_EQUAL(ethdev_host_counter("channels"), 2);
	CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
	CHECK_EQUAL(rte_eth_dev_close(ethdev_port), 0);
	/* The rig of test/uio stays connected, which is what opens the primary. */
	WAIT_UNTIL(ethdev_host_counter("channels") <
		   (strstr(ethdev_device, "vfio-user=") != NULL ? 1u : 2u));
}

/* Pitfalls I1, I2 and I5. */
static void
extended_statistics_have_names_that_fit(void)
{
	struct rte_eth_xstat_name names[256];
	struct rte_eth_xstat values[256];
	uint64_t id, value;
	int n, i;

	ethdev_bring_up(2, 2);
	WAIT_UNTIL((ethdev_receive(0), ethdev_receive(1), ethdev_stats().ipackets) > 100);
	CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
	n = rte_eth_xstats_get_names(ethdev_port, names, RTE_DIM(names));
	CHECK(n > 20 && n <= (int)RTE_DIM(names));
	CHECK_EQUAL(rte_eth_xstats_get(ethdev_port, values, RTE_DIM(values)), n);
	for (i = 0; i < n; i++) {
		CHECK_EQUAL(strspn(names[i].name, "abcdefghijklmnopqrstuvwxyz0123456789_"),
			strlen(names[i].name));
		CHECK_EQUAL(values[i].id, i);
		CHECK_EQUAL(rte_eth_xstats_get_id_by_name(ethdev_port, names[i].name, &id), 0);
		CHECK_EQUAL(id, i);
		CHECK_EQUAL(rte_eth_xstats_get_by_id(ethdev_port, &id, &value, 1), 1);
		CHECK_EQUAL(value, values[i].value);
	}
	CHECK_EQUAL(ethdev_xstat("rx_good_packets"), ethdev_stats().ipackets);
	CHECK_EQUAL(rte_eth_xstats_reset(ethdev_port), 0);
	CHECK_EQUAL(ethdev_xstat("rx_good_packets"), 0);
	CHECK_EQUAL(ethdev_stats().ipackets, 0);
}

#define CASE(name)                                                                                 \
	{                                                                                          \
#name, name                                                                        \
	}
const struct ethdev_case ethdev_habits_cases[] = {
	CASE(transfer_packets_may_have_many_ranges),
	CASE(receive_transaction_ids_may_be_any_number),
	CASE(polls_for_no_frames_keep_notices_coming),
	CASE(a_new_link_speed_is_told),
	CASE(completions_of_nothing_complete_nothing),
	CASE(back_pressure_is_no_error),
	CASE(a_frame_of_many_segments_is_copied),
	CASE(a_lock_that_is_always_taken_is_not_waited_for_for_ever),
	CASE(information_costs_no_round_trip),
	CASE(the_packet_filter_follows_all_flags),
	CASE(requests_lie_within_one_page),
	CASE(a_closed_port_leaves_no_channel_open),
	CASE(extended_statistics_have_names_that_fit),
	{NULL, NULL},
};
