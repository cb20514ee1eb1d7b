/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a host has when it cannot be talked to any more: no memory of ours is freed before it has
 * been fenced off, and that takes no longer than promised.
 */
#include <rte_dev.h>

#include "drivers/net/netvsc/attach.h"
#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/control.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/tx.h"
#include "test/ethdev/ethdev.h"

void
ethdev_backend(const struct hpbus_backend *backend)
{
	struct netvsc_port *port = netvsc_port_of(port_device());

	pthread_mutex_lock(&port->control_lock);
	port->bus->backend = backend;
	pthread_mutex_unlock(&port->control_lock);
}

int
ethdev_end_session(void)
{
	struct netvsc_port *port = netvsc_port_of(port_device());
	int rc;

	pthread_mutex_lock(&port->control_lock);
	rc = netvsc_detach(port, true);
	pthread_mutex_unlock(&port->control_lock);
	return rc;
}

static const struct hpbus_backend *real_backend;
static bool resets_fail;

static int
failing_reset(struct hpbus_device *dev)
{
	return resets_fail ? -EIO : real_backend->reset(dev);
}

/* Frames that the host has and does not complete, and a host that cannot be talked to any more. */
static void
send_and_break(struct netvsc_port *port)
{
	ethdev_knob("no_complete", 1);
	/* By reference: the mbufs are in flight. */
	port->config.tx_copybreak = 512;
	netvsc_tx_template(port->eth->data->tx_queues[0]);
	ethdev_send(0, 3, 1200);
	ethdev_knob("corrupt_ring", 0);
	WAIT_UNTIL((ethdev_receive(0), atomic_load(&port->state) & NETVSC_STATE_BROKEN));
	ethdev_knob("no_complete", 0);
}

static void
memory_in_flight_is_kept_until_the_host_is_fenced_off(void)
{
	struct netvsc_port *port = netvsc_port_of(port_device());
	struct hpbus_backend backend = *port->bus->backend;
	struct rte_eth_conf conf = {0};
	unsigned int n;

	ethdev_knob("stall_rx", 1);
	real_backend = port->bus->backend;
	backend.reset = failing_reset;
	ethdev_bring_up(1, 1);
	send_and_break(port);
	CHECK_EQUAL(ethdev_xstat("tx_q0_by_reference"), port->bus->copy_only ? 0 : 3);
	n = port->bus->copy_only ? 0 : 3;
	ethdev_backend(&backend);
	resets_fail = true;
	/* Stop fences the host off, and that fails. */
	CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
	CHECK_EQUAL(ethdev_mbufs_out(), n);
	CHECK_REFUSED(rte_eth_dev_start(ethdev_port), -EIO, "the reset failed");
	CHECK_EQUAL(ethdev_mbufs_out(), n);
	/* Queues go: what the host may read does not. */
	CHECK_EQUAL(rte_eth_tx_queue_setup(ethdev_port, 0, 64, SOCKET_ID_ANY, NULL), 0);
	CHECK_EQUAL(ethdev_mbufs_out(), n);
	CHECK(rte_eth_dev_reset(ethdev_port) < 0);
	CHECK_EQUAL(ethdev_mbufs_out(), n);
	CHECK_REFUSED(rte_eth_dev_configure(ethdev_port, 1, 1, &conf), -EIO, "the reset failed");
	CHECK_EQUAL(ethdev_mbufs_out(), n);
	/* The fence holds: all comes back and the port works. */
	resets_fail = false;
	ethdev_bring_up(1, 1);
	CHECK_EQUAL(ethdev_mbufs_out(), 0);
	ethdev_send(0, 3, 1200);
	/* Once more, and this time the port is closed: that is the last fence. */
	send_and_break(port);
	resets_fail = true;
	CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
	CHECK_EQUAL(rte_eth_tx_queue_setup(ethdev_port, 0, 64, SOCKET_ID_ANY, NULL), 0);
	ethdev_backend(real_backend);
	CHECK_EQUAL(rte_eth_dev_close(ethdev_port), 0);
	CHECK_EQUAL(ethdev_mbufs_out(), 0);
}

/* What the vfio-user backend makes of a host that does not answer the reset. */
static int
cutting_reset(struct hpbus_device *dev)
{
	/* Nor does the bus tell anybody: after that, ethdev's answer is -EIO instead of ours. */
	atomic_store(&dev->told, true);
	atomic_store(&dev->gone, true);
	return -ETIMEDOUT;
}

static void
memory_of_a_host_that_was_cut_off_is_kept_until_close(void)
{
	struct netvsc_port *port = netvsc_port_of(port_device());
	struct hpbus_backend backend = *port->bus->backend;
	unsigned int n = port->bus->copy_only ? 0 : 3;

	ethdev_knob("stall_rx", 1);
	real_backend = port->bus->backend;
	backend.reset = cutting_reset;
	ethdev_bring_up(1, 1);
	send_and_break(port);
	ethdev_backend(&backend);
	CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
	CHECK_EQUAL(ethdev_mbufs_out(), n);
	/* The second fence of a host that runs on without us is none. */
	CHECK_REFUSED(rte_eth_dev_start(ethdev_port), -ENODEV, "close the port");
	CHECK_EQUAL(ethdev_mbufs_out(), n);
	CHECK_EQUAL(rte_eth_tx_queue_setup(ethdev_port, 0, 64, SOCKET_ID_ANY, NULL), 0);
	CHECK_REFUSED(rte_eth_dev_reset(ethdev_port), -ENODEV, "close the port");
	CHECK_EQUAL(ethdev_mbufs_out(), n);
	ethdev_backend(real_backend);
	CHECK_EQUAL(rte_eth_dev_close(ethdev_port), 0);
	CHECK_EQUAL(ethdev_mbufs_out(), 0);
}

static int
awaking_reset(struct hpbus_device *dev)
{
	ethdev_knob("stall", 0);
	return real_backend->reset(dev);
}

/* As a host that hangs, and whose end of the channel is made anew by the reset. */
static void
a_host_that_only_a_reset_awakes_is_reset_in_time(void)
{
	struct netvsc_port *port = netvsc_port_of(port_device());
	struct hpbus_backend backend = *port->bus->backend;

	real_backend = port->bus->backend;
	backend.reset = awaking_reset;
	ethdev_bring_up(1, 1);
	CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
	ethdev_backend(&backend);
	ethdev_knob("stall", 1);
	CHECK_EQUAL(rte_eth_dev_reset(ethdev_port), 0);
	ethdev_backend(real_backend);
	ethdev_bring_up(1, 1);
	WAIT_UNTIL(ethdev_receive(0) != 0);
}

static uint64_t
now_ms(void)
{
	return rte_get_timer_cycles() / (rte_get_timer_hz() / 1000);
}

/* Of a host that is silent all the time; the fence it answers. */
static void
a_stop_is_not_charged_to_a_later_reset(void)
{
	uint64_t both = netvsc_op_stop.budget - netvsc_op_stop.fence + netvsc_op_reset.budget -
			netvsc_op_reset.fence;
	uint64_t began, took = both;
	unsigned int round;

	ethdev_bring_up(1, 1);
	ethdev_knob("stall", 1);
	CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
	rte_delay_us_sleep(1000);
	began = now_ms();
	CHECK(rte_eth_dev_reset(ethdev_port) < 0);
	CHECK(now_ms() - began >= 3500);
	/*
	 * A reset that stops first is one call, and no longer: less than what both may talk. Not so
	 * where this thread was off the processor between the two, hence the rounds.
	 */
	for (round = 0; round < 3 && took >= both; round++) {
		ethdev_knob("stall", 0);
		ethdev_bring_up(1, 1);
		WAIT_UNTIL(ethdev_receive(0) != 0);
		ethdev_knob("stall", 1);
		began = now_ms();
		CHECK(rte_eth_dev_reset(ethdev_port) < 0);
		took = now_ms() - began;
	}
	CHECK(took < both);
	ethdev_knob("stall", 0);
}

static void
a_frame_longer_than_a_message_may_be_is_not_offered_to_the_host(void)
{
	struct netvsc_port *port = netvsc_port_of(port_device());

	ethdev_knob("stall_rx", 1);
	ethdev_bring_up(1, 1);
	port->session.max_transfer = 1000;
	netvsc_tx_template(port->eth->data->tx_queues[0]);
	ethdev_send(0, 1, 1200);
	CHECK_EQUAL(ethdev_xstat("tx_q0_unsendable"), 1);
	CHECK_EQUAL(ethdev_xstat("tx_q0_by_reference"), 0);
	CHECK_EQUAL(ethdev_stats().oerrors, 1);
	CHECK_EQUAL(ethdev_stats().opackets, 0);
	ethdev_send(0, 1, 800);
	CHECK_EQUAL(ethdev_stats().opackets, 1);
}

/* As on an lcore that has read the state and is not scheduled until the stop is over. */
static void
a_burst_that_comes_after_the_fence_does_nothing(void)
{
	struct netvsc_port *port = netvsc_port_of(port_device());
	struct rte_mbuf *m, *got;

	ethdev_bring_up(1, 1);
	WAIT_UNTIL(ethdev_receive(0) != 0);
	CHECK_EQUAL(ethdev_end_session(), 0);
	CHECK(!netvsc_channel_is_open(port->channels[0]));
	m = rte_pktmbuf_alloc(ethdev_pool);
	CHECK(m != NULL && rte_pktmbuf_append(m, 100) != NULL);
	CHECK_EQUAL(atomic_load(&port->state), NETVSC_STATE_RUNNING);
	CHECK_EQUAL(netvsc_rx_burst(port->eth->data->rx_queues[0], &got, 1), 0);
	CHECK_EQUAL(netvsc_tx_burst(port->eth->data->tx_queues[0], &m, 1), 0);
	rte_pktmbuf_free(m);
}

#define CASE(name)                                                                                 \
	{                                                                                          \
#name, name                                                                        \
	}
const struct ethdev_case ethdev_fence_cases[] = {
	CASE(memory_in_flight_is_kept_until_the_host_is_fenced_off),
	CASE(memory_of_a_host_that_was_cut_off_is_kept_until_close),
	CASE(a_host_that_only_a_reset_awakes_is_reset_in_time),
	CASE(a_stop_is_not_charged_to_a_later_reset),
	CASE(a_frame_longer_than_a_message_may_be_is_not_offered_to_the_host),
	CASE(a_burst_that_comes_after_the_fence_does_nothing),
	{NULL, NULL},
};
