/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Queues that sleep: nothing is received but behind an event, and no event that is due stays away.
 * The host's generator sends 20,000 frames a second; while it is held, none.
 */
#include <unistd.h>

#include <rte_dev.h>
#include <rte_interrupts.h>

#include "test/ethdev/ethdev.h"
#include "test/unit/descriptors.h"

#define LOST_MS	 10000 /* an event that does not come in this time is lost */
#define QUIET_MS 3     /* nothing has come for so long: the port is idle */
#define ROUNDS	 100

static void
bring_up(uint16_t queues)
{
	struct rte_eth_conf conf = {.intr_conf = {.rxq = 1}};
	uint16_t q;

	if (queues > 1) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf = RTE_ETH_RSS_IPV4;
	}
	CHECK_EQUAL(rte_eth_dev_configure(ethdev_port, queues, queues, &conf), 0);
	for (q = 0; q < queues; q++) {
		CHECK_EQUAL(rte_eth_rx_queue_setup(
				    ethdev_port, q, 512, SOCKET_ID_ANY, NULL, ethdev_pool),
			0);
		CHECK_EQUAL(rte_eth_tx_queue_setup(ethdev_port, q, 512, SOCKET_ID_ANY, NULL), 0);
	}
}

static void
start(uint16_t queues)
{
	uint16_t q;

	CHECK_EQUAL(rte_eth_dev_start(ethdev_port), 0);
	for (q = 0; q < queues; q++)
		CHECK_EQUAL(rte_eth_dev_rx_intr_ctl_q(ethdev_port, q, RTE_EPOLL_PER_THREAD,
				    RTE_INTR_EVENT_ADD, (void *)(uintptr_t)q),
			0);
}

/* @return the queue that an event is for, -1 none */
static int
event(int ms)
{
	struct rte_epoll_event e;

	return rte_epoll_wait(RTE_EPOLL_PER_THREAD, &e, 1, ms) == 1 ? (int)(uintptr_t)e.epdata.data
								    : -1;
}

static void
arm(uint16_t queues)
{
	uint16_t q;

	for (q = 0; q < queues; q++)
		CHECK_EQUAL(rte_eth_dev_rx_intr_enable(ethdev_port, q), 0);
}

/* Awake: take what there is. @return frames */
static unsigned int
take(uint16_t queue)
{
	unsigned int n, frames = 0;

	CHECK_EQUAL(rte_eth_dev_rx_intr_disable(ethdev_port, queue), 0);
	while ((n = ethdev_receive(queue)) != 0)
		frames += n;
	return frames;
}

/* Sleep until something comes. @return frames; events may be for nothing */
static unsigned int
sleep_and_take(uint16_t queues)
{
	int q;

	arm(queues);
	q = event(LOST_MS);
	if (q < 0)
		FAIL("an event is lost: nothing comes for %u ms, %lu frames are with the host",
			LOST_MS, ethdev_host_counter("rx_frames"));
	CHECK(q < queues);
	return take((uint16_t)q);
}

static void
hold(bool on)
{
	ethdev_knob("stall_rx", on);
}

/* Asleep, with nothing on its way. */
static void
fall_asleep(uint16_t queues)
{
	int q;

	do {
		arm(queues);
		q = event(QUIET_MS);
		if (q >= 0)
			take((uint16_t)q);
	} while (q >= 0);
}

static void
every_frame_wakes(void)
{
	unsigned int frames = 0, wakes = 0;

	bring_up(1);
	start(1);
	for (; frames < 20000; wakes++)
		frames += sleep_and_take(1);
	CHECK(wakes > 1);
	CHECK_EQUAL(ethdev_stats().ierrors, 0);
}

static void
idle_rounds(void)
{
	unsigned int round;

	bring_up(1);
	start(1);
	for (round = 0; round < ROUNDS; round++) {
		snprintf(ethdev_note, sizeof(ethdev_note), "round %u", round);
		hold(true);
		fall_asleep(1);
		hold(false);
		while (sleep_and_take(1) == 0)
			;
	}
}

static void
queues_wake_apart(void)
{
	unsigned int frames[2] = {0}, other = 0;
	int q;

	bring_up(2);
	start(2);
	while (frames[0] < 2000 || frames[1] < 2000) {
		arm(2);
		q = event(LOST_MS);
		CHECK(q >= 0);
		frames[q] += take((uint16_t)q);
		/* Only one is armed; the other's frames wait in their ring. */
		CHECK_EQUAL(rte_eth_dev_rx_intr_disable(ethdev_port, (uint16_t)!q), 0);
		other += rte_eth_dev_rx_intr_ctl_q_get_fd(ethdev_port, (uint16_t)!q) >= 0;
	}
	CHECK(other > 0);
}

/* A stop takes the queues out of epoll sets; a start has them again, with no descriptor more. */
static void
stop_and_start(void)
{
	unsigned int round, before = 0;

	bring_up(2);
	for (round = 0; round < 5; round++) {
		start(2);
		if (round == 0)
			before = count_descriptors();
		while (sleep_and_take(2) == 0)
			;
		arm(2);
		CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
		CHECK_EQUAL(event(0), -1);
		CHECK_EQUAL(rte_eth_dev_rx_intr_enable(ethdev_port, 0), -EINVAL);
		CHECK(rte_eth_dev_rx_intr_ctl_q(
			      ethdev_port, 0, RTE_EPOLL_PER_THREAD, RTE_INTR_EVENT_ADD, NULL) != 0);
	}
	CHECK_EQUAL(count_descriptors(), before);
}

static void
reset_and_attach(void)
{
	unsigned int round;

	for (round = 0; round < 3; round++) {
		bring_up(2);
		start(2);
		while (sleep_and_take(2) == 0)
			;
		arm(2);
		CHECK_EQUAL(rte_eth_dev_reset(ethdev_port), 0);
		CHECK_EQUAL(event(0), -1);
		bring_up(2);
		start(2);
		while (sleep_and_take(2) == 0)
			;
		arm(2);
		ethdev_detach();
		CHECK_EQUAL(event(0), -1);
		CHECK_EQUAL(ethdev_attach(ethdev_device), 0);
	}
	bring_up(1);
	start(1);
	while (sleep_and_take(1) == 0)
		;
}

/* Without intr_conf there is nothing to add and nothing to arm, and a restart can change that. */
static void
only_when_configured(void)
{
	ethdev_bring_up(1, 1);
	CHECK_EQUAL(rte_eth_dev_rx_intr_enable(ethdev_port, 0), -EINVAL);
	CHECK(rte_eth_dev_rx_intr_ctl_q(
		      ethdev_port, 0, RTE_EPOLL_PER_THREAD, RTE_INTR_EVENT_ADD, NULL) < 0);
	CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
	bring_up(1);
	start(1);
	while (sleep_and_take(1) == 0)
		;
	arm(1);
	CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
	ethdev_bring_up(1, 1);
	CHECK_EQUAL(rte_eth_dev_rx_intr_enable(ethdev_port, 0), -EINVAL);
	WAIT_UNTIL(ethdev_receive(0) != 0);
	CHECK_EQUAL(event(0), -1);
}

/* Another MTU is another session with rings of its own, which nobody has armed yet. */
static void
another_mtu_wakes(void)
{
	int q;

	bring_up(2);
	start(2);
	hold(true);
	fall_asleep(2);
	CHECK_EQUAL(rte_eth_dev_set_mtu(ethdev_port, 2000), 0);
	/* The first queue's ring has control messages, too; the second's has nothing. */
	do
		q = event(LOST_MS);
	while (q == 0);
	CHECK_EQUAL(q, 1);
	fall_asleep(2);
	hold(false);
	while (sleep_and_take(2) == 0)
		;
}

/* Whoever sleeps hears of a device that is gone; after that it sleeps for good. */
static void
removal_wakes(void)
{
	bring_up(1);
	start(1);
	hold(true);
	fall_asleep(1);
	ethdev_rescind();
	CHECK_EQUAL(event(LOST_MS), 0);
	WAIT_UNTIL(rte_eth_dev_is_removed(ethdev_port) == 1);
	CHECK_EQUAL(rte_eth_dev_rx_intr_enable(ethdev_port, 0), -EIO);
	/* Another one may have been on its way. */
	event(50);
	CHECK_EQUAL(event(50), -1);
	ethdev_detach();
	CHECK_EQUAL(event(0), -1);
}

/* Whoever sleeps hears that the device is away, and that it is back; frames wake him as before. */
static void
recovery_wakes(void)
{
	unsigned int round;

	bring_up(2);
	start(2);
	for (round = 0; round < 5; round++) {
		snprintf(ethdev_note, sizeof(ethdev_note), "round %u", round);
		hold(true);
		fall_asleep(2);
		ethdev_rescind();
		CHECK(event(LOST_MS) >= 0);
		WAIT_UNTIL(rte_eth_dev_rx_intr_enable(ethdev_port, 0) == -EIO);
		/* What was on its way to the other queue is over. */
		while (event(100) >= 0)
			;
		ethdev_offer();
		CHECK(event(LOST_MS) >= 0);
		CHECK_EQUAL(rte_eth_dev_is_removed(ethdev_port), 0);
		fall_asleep(2);
		hold(false);
		while (sleep_and_take(2) == 0)
			;
	}
}

const struct ethdev_case ethdev_interrupt_cases[] = {
	{"sleep_every_frame_wakes", every_frame_wakes},
	{"sleep_idle_rounds", idle_rounds},
	{"sleep_queues_wake_apart", queues_wake_apart},
	{"sleep_stop_and_start", stop_and_start},
	{"sleep_reset_and_attach", reset_and_attach},
	{"sleep_only_when_configured", only_when_configured},
	{"sleep_another_mtu_wakes", another_mtu_wakes},
	{"sleep_removal_wakes", removal_wakes},
	{"sleep_recovery_wakes", recovery_wakes},
	{NULL, NULL},
};
