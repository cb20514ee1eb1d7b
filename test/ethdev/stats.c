/* SPDX-License-Identifier: BSD-3-Clause */
/* Statistics: what is reported is true, and never goes backwards (pitfalls I1 to I6). */
#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/tx.h"
#include "test/ethdev/ethdev.h"

/* A host that has frames and keeps them until told. */
static void
frames_wait(void)
{
	ethdev_knob("stall_rx", 1);
}

static void
rx_nombuf_does_not_grow_by_being_looked_at(void)
{
	struct rte_mbuf *taken[ETHDEV_MBUFS];
	uint64_t lost;
	unsigned int n;

	frames_wait();
	ethdev_bring_up(1, 1);
	for (n = 0; n < ETHDEV_MBUFS; n++)
		if ((taken[n] = rte_pktmbuf_alloc(ethdev_pool)) == NULL)
			break;
	ethdev_knob("stall_rx", 0);
	WAIT_UNTIL((ethdev_receive(0), ethdev_stats().rx_nombuf) > 0);
	ethdev_knob("stall_rx", 1);
	while (n > 0)
		rte_pktmbuf_free(taken[--n]);
	rte_delay_us_sleep(100000); /* whatever was on its way has come */
	while (ethdev_receive(0) != 0)
		;
	lost = ethdev_stats().rx_nombuf;
	CHECK_EQUAL(ethdev_stats().rx_nombuf, lost);
	CHECK_EQUAL(ethdev_stats().rx_nombuf, lost);
	CHECK_EQUAL(ethdev_xstat("rx_mbuf_allocation_errors"), lost);
	CHECK_EQUAL(rte_eth_stats_reset(ethdev_port), 0);
	CHECK_EQUAL(ethdev_stats().rx_nombuf, 0);
}

/* Frames sent and not looked at by the host, which will refuse them. */
static void
send_doomed(unsigned int n, uint16_t size)
{
	ethdev_knob("refuse_pct", 100);
	ethdev_knob("stall", 1);
	ethdev_send(0, n, size);
}

static void
doom(uint64_t errors)
{
	ethdev_knob("stall", 0);
	WAIT_UNTIL((ethdev_receive(0), rte_eth_tx_done_cleanup(ethdev_port, 0, 0),
			   ethdev_stats().oerrors) >= errors);
	CHECK_EQUAL(ethdev_stats().oerrors, errors);
	ethdev_knob("refuse_pct", 0);
}

/* Everything that was sent is over. */
static void
drain(void)
{
	const struct netvsc_txq *txq =
		netvsc_port_of(&rte_eth_devices[ethdev_port])->counts.tx[0].queue;

	WAIT_UNTIL((ethdev_receive(0), rte_eth_tx_done_cleanup(ethdev_port, 0, 0),
			   netvsc_tx_inflight(txq)) == 0);
}

static void
sends_that_fail_after_a_reset_leave_opackets_alone(void)
{
	struct rte_eth_stats stats;

	ethdev_bring_up(1, 1);
	send_doomed(10, 100);
	send_doomed(2, 1200); /* by reference too */
	CHECK_EQUAL(ethdev_stats().opackets, 12);
	CHECK_EQUAL(ethdev_stats().obytes, 10 * 100 + 2 * 1200);
	CHECK_EQUAL(rte_eth_stats_reset(ethdev_port), 0);
	doom(12);
	stats = ethdev_stats();
	CHECK_EQUAL(stats.opackets, 0);
	CHECK_EQUAL(stats.obytes, 0);
	CHECK_EQUAL(ethdev_xstat("tx_q0_packets"), 0);
	CHECK_EQUAL(ethdev_xstat("tx_q0_bytes"), 0);
	/* What is sent now counts in full. */
	ethdev_send(0, 5, 100);
	drain();
	CHECK_EQUAL(ethdev_stats().opackets, 5);
	CHECK_EQUAL(ethdev_stats().obytes, 500);
}

static void
opackets_never_goes_backwards(void)
{
	ethdev_bring_up(1, 1);
	send_doomed(10, 100);
	CHECK_EQUAL(ethdev_stats().opackets, 10);
	doom(10);
	/* Told is told; the next sends make up for it. */
	CHECK_EQUAL(ethdev_stats().opackets, 10);
	CHECK_EQUAL(ethdev_stats().obytes, 1000);
	ethdev_send(0, 4, 100);
	drain();
	CHECK_EQUAL(ethdev_stats().opackets, 10);
	ethdev_send(0, 8, 100);
	drain();
	CHECK_EQUAL(ethdev_stats().opackets, 12);
	CHECK_EQUAL(ethdev_stats().obytes, 1200);
}

static void
a_failed_send_that_nobody_was_told_of_is_only_an_error(void)
{
	ethdev_bring_up(1, 1);
	send_doomed(10, 100);
	ethdev_knob("stall", 0);
	WAIT_UNTIL((ethdev_receive(0), rte_eth_tx_done_cleanup(ethdev_port, 0, 0),
			   netvsc_port_of(&rte_eth_devices[ethdev_port])
				   ->counts.tx[0]
				   .queue->stats.errors) == 10);
	CHECK_EQUAL(ethdev_stats().opackets, 0);
	CHECK_EQUAL(ethdev_stats().obytes, 0);
	CHECK_EQUAL(ethdev_stats().oerrors, 10);
}

/* As an application that looks all the time: after the drain the sums are the host's. */
static void
sums_are_exact_after_a_drain_however_often_one_looks(void)
{
	struct rte_eth_stats stats;
	unsigned int i;

	ethdev_bring_up(1, 1);
	ethdev_knob("refuse_pct", 100);
	ethdev_send(0, 10, 100); /* the host shows what it is */
	drain();
	ethdev_knob("refuse_pct", 50);
	for (i = 0; i < 200; i++) {
		ethdev_send(0, 3, 100);
		ethdev_stats();
	}
	ethdev_knob("stall", 1);
	ethdev_send(0, 20, 100);
	ethdev_stats();
	ethdev_knob("refuse_pct", 100);
	ethdev_knob("stall", 0);
	drain();
	stats = ethdev_stats();
	CHECK_EQUAL(stats.opackets + stats.oerrors, 630);
	CHECK_EQUAL(stats.opackets, ethdev_host_counter("tx_frames"));
}

/* Everything that is told of the port; frames neither come nor go. */
struct told {
	struct rte_eth_stats basic;
	uint64_t tx_aggregated, tx_referenced, rx_q1, tx_q1;
};

static struct told
told_now(bool queue_1)
{
	struct told t = {.basic = ethdev_stats()};

	t.tx_aggregated = ethdev_xstat("tx_q0_aggregated");
	t.tx_referenced = ethdev_xstat("tx_q0_by_reference");
	if (queue_1) {
		t.rx_q1 = ethdev_xstat("rx_q1_packets");
		t.tx_q1 = ethdev_xstat("tx_q1_aggregated");
	}
	return t;
}

static void
counters_stay_when_queues_are_released(void)
{
	struct rte_eth_conf conf = {0};
	struct told before, after;

	ethdev_bring_up(2, 2);
	ethdev_send(0, 20, 100);
	ethdev_send(1, 30, 100);
	WAIT_UNTIL((ethdev_receive(0), ethdev_receive(1), ethdev_stats().ipackets) >= 100);
	CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
	before = told_now(true);
	CHECK_EQUAL(before.basic.opackets, 50);
	CHECK(before.basic.ipackets >= 100);

	/* Queue 1 goes, queue 0 is set up anew. */
	CHECK_EQUAL(rte_eth_dev_configure(ethdev_port, 1, 1, &conf), 0);
	after = told_now(false);
	CHECK(memcmp(&before.basic, &after.basic, sizeof(before.basic)) == 0);
	CHECK_EQUAL(
		rte_eth_rx_queue_setup(ethdev_port, 0, 64, SOCKET_ID_ANY, NULL, ethdev_pool), 0);
	CHECK_EQUAL(rte_eth_tx_queue_setup(ethdev_port, 0, 64, SOCKET_ID_ANY, NULL), 0);
	after = told_now(false);
	CHECK(memcmp(&before.basic, &after.basic, sizeof(before.basic)) == 0);
	CHECK_EQUAL(after.tx_aggregated, before.tx_aggregated);

	/* All come back and go on where they were. */
	ethdev_knob("stall_rx", 1);
	ethdev_bring_up(2, 2);
	ethdev_send(1, 5, 100);
	after = told_now(true);
	CHECK_EQUAL(after.basic.opackets, 55);
	CHECK_EQUAL(after.tx_q1, before.tx_q1 + 5);
	CHECK(after.rx_q1 >= before.rx_q1);

	/* A reset is for all of them. */
	CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
	CHECK_EQUAL(rte_eth_dev_configure(ethdev_port, 1, 1, &conf), 0);
	CHECK_EQUAL(rte_eth_stats_reset(ethdev_port), 0);
	CHECK_EQUAL(ethdev_stats().opackets, 0);
	CHECK_EQUAL(ethdev_stats().ipackets, 0);
	CHECK_EQUAL(ethdev_stats().obytes, 0);
	ethdev_bring_up(2, 2);
	CHECK_EQUAL(ethdev_stats().opackets, 0);
	CHECK_EQUAL(ethdev_xstat("tx_q1_aggregated"), 0);
}

static int
reset_that_fails(struct hpbus_device *dev)
{
	return -EIO;
}

/* A host that has refused something gets no credit, and what it keeps is never over. */
static void
sends_of_a_quarantined_queue_are_not_missing(void)
{
	struct netvsc_port *port = netvsc_port_of(&rte_eth_devices[ethdev_port]);
	const struct hpbus_backend *real = port->bus->backend;
	struct hpbus_backend backend = *real;

	backend.reset = reset_that_fails;
	frames_wait();
	ethdev_bring_up(1, 1);
	ethdev_knob("refuse_pct", 100);
	ethdev_send(0, 10, 100);
	drain();
	ethdev_knob("refuse_pct", 0);
	CHECK_EQUAL(ethdev_stats().opackets, 0);
	CHECK_EQUAL(ethdev_stats().oerrors, 10);
	ethdev_knob("no_complete", 1);
	ethdev_send(0, 5, 100);
	ethdev_backend(&backend);
	CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
	CHECK_EQUAL(rte_eth_tx_queue_setup(ethdev_port, 0, 64, SOCKET_ID_ANY, NULL), 0);
	CHECK(port->quarantine != NULL);
	CHECK_EQUAL(ethdev_stats().opackets, 5);
	CHECK_EQUAL(ethdev_stats().obytes, 500);
	ethdev_backend(real);
	ethdev_knob("no_complete", 0);
	ethdev_bring_up(1, 1);
	ethdev_send(0, 3, 100);
	drain();
	CHECK_EQUAL(ethdev_stats().opackets, 8);
}

static void
frames_dropped_at_stop_are_missed(void)
{
	unsigned long sent;

	frames_wait();
	ethdev_bring_up(1, 1);
	ethdev_knob("stall_rx", 0);
	WAIT_UNTIL(ethdev_host_counter("rx_frames") > 0); /* rx_packets has answers, too */
	ethdev_knob("stall_rx", 1);
	CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
	sent = ethdev_stats().imissed;
	CHECK(sent > 0);
	CHECK_EQUAL(ethdev_xstat("rx_dropped_stopped") + ethdev_xstat("rx_dropped_unpolled"), sent);
	CHECK_EQUAL(ethdev_stats().ipackets, 0);
}

static void
ierrors_counts_frames_and_not_control_messages(void)
{
	struct netvsc_port *port = netvsc_port_of(&rte_eth_devices[ethdev_port]);
	const uint32_t indication[3] = {RNDIS_TYPE_INDICATE_STATUS, sizeof(indication), 0};
	const uint32_t unknown[3] = {0x7777, sizeof(unknown), 0};
	const uint32_t completion[4] = {
		RNDIS_TYPE_QUERY | RNDIS_TYPE_COMPLETION, sizeof(completion), 12345, 0};

	frames_wait();
	ethdev_bring_up(1, 1);
	CHECK_EQUAL(ethdev_xstat("rx_control_malformed"), 0);
	rte_spinlock_lock(&port->channels[0]->rx_lock);
	netvsc_control_rndis(port, indication, sizeof(indication));
	netvsc_control_rndis(port, completion, sizeof(completion));
	rte_spinlock_unlock(&port->channels[0]->rx_lock);
	CHECK_EQUAL(ethdev_xstat("rx_control_malformed"), 2);
	CHECK_EQUAL(ethdev_stats().ierrors, 0);
	CHECK_EQUAL(ethdev_xstat("rx_malformed"), 0);
	/* Neither control nor a frame: taken for a frame. */
	rte_spinlock_lock(&port->channels[0]->rx_lock);
	netvsc_control_rndis(port, unknown, sizeof(unknown));
	rte_spinlock_unlock(&port->channels[0]->rx_lock);
	CHECK_EQUAL(ethdev_stats().ierrors, 1);

	ethdev_knob("malformed_rx_pct", 100);
	ethdev_knob("stall_rx", 0);
	WAIT_UNTIL((ethdev_receive(0), ethdev_stats().ierrors) >= 10);
	ethdev_knob("malformed_rx_pct", 0);
	ethdev_knob("stall_rx", 1);
	CHECK_EQUAL(ethdev_xstat("rx_q0_errors"), ethdev_stats().ierrors);
	CHECK_EQUAL(ethdev_stats().ierrors, ethdev_xstat("rx_malformed"));
}

#define CASE(name)                                                                                 \
	{                                                                                          \
#name, name                                                                        \
	}
const struct ethdev_case ethdev_stats_cases[] = {
	CASE(rx_nombuf_does_not_grow_by_being_looked_at),
	CASE(sends_that_fail_after_a_reset_leave_opackets_alone),
	CASE(opackets_never_goes_backwards),
	CASE(a_failed_send_that_nobody_was_told_of_is_only_an_error),
	CASE(sums_are_exact_after_a_drain_however_often_one_looks),
	CASE(counters_stay_when_queues_are_released),
	CASE(sends_of_a_quarantined_queue_are_not_missing),
	CASE(frames_dropped_at_stop_are_missed),
	CASE(ierrors_counts_frames_and_not_control_messages),
	{NULL, NULL},
};
