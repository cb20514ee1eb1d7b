/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A port with a VF that misbehaves (test/fake_vf), a host that gives it and takes it, and the
 * application's calls in between: the port keeps working, and waits for nobody (pitfalls V5, V6).
 */
#include <pthread.h>

#include <rte_bus.h>
#include <rte_dev.h>

#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/vf.h"
#include "test/ethdev/ethdev.h"
#include "test/fake_vf/fake_vf.h"

#define VF "vf0"

/* The port under test, attached anew with a name for its VF. */
static void
port_with_vf(void)
{
	char device[sizeof(ethdev_device) + 16];

	ethdev_detach();
	snprintf(device, sizeof(device), "%s,vf=" VF, ethdev_device);
	CHECK_EQUAL(ethdev_attach(device), 0);
	ethdev_knob("stall_rx", 1); /* what the host generates is none of this */
}

static struct fake_vf *
plug(const char *args)
{
	struct fake_vf *vf;

	CHECK_EQUAL(rte_eal_hotplug_add("fakevf", VF, args), 0);
	vf = fake_vf_find(VF);
	CHECK(vf != NULL);
	return vf;
}

static struct netvsc_vf_status
status(void)
{
	struct netvsc_vf_status s;

	netvsc_vf_status(netvsc_port_of(&rte_eth_devices[ethdev_port]), &s);
	return s;
}

/* Frames that the VF was given to send; they are freed. */
static unsigned int
sent_by(struct fake_vf *vf)
{
	struct rte_ring *ring = fake_vf_ring(vf, false, 0);
	struct rte_mbuf *m;
	unsigned int n;

	for (n = 0; ring != NULL && rte_ring_dequeue(ring, (void **)&m) == 0; n++)
		rte_pktmbuf_free(m);
	return n;
}

static void
received_through(struct fake_vf *vf, unsigned int n)
{
	struct rte_mbuf *m;

	while (n-- != 0) {
		m = rte_pktmbuf_alloc(ethdev_pool);
		CHECK(m != NULL && rte_pktmbuf_append(m, 60) != NULL);
		CHECK_EQUAL(rte_ring_enqueue(fake_vf_ring(vf, true, 0), m), 0);
	}
}

static void
vf_carries_frames_and_is_seen_by_nobody(void)
{
	unsigned long before;
	struct fake_vf *vf;
	unsigned int n = 0;

	port_with_vf();
	ethdev_bring_up(1, 1);
	vf = plug("");
	CHECK_EQUAL(rte_eth_dev_count_avail(), 1);
	ethdev_vf(true, 1);
	WAIT_UNTIL(status().used);
	CHECK_EQUAL(fake_vf_seen(vf)->mtu, 1500);
	before = ethdev_host_counter("tx_frames");
	ethdev_send(0, 20, 60);
	CHECK_EQUAL(sent_by(vf), 20);
	CHECK_EQUAL(ethdev_host_counter("tx_frames"), before);
	received_through(vf, 10);
	WAIT_UNTIL((n += ethdev_receive(0)) >= 10);
	CHECK_EQUAL(n, 10);
	CHECK_EQUAL(ethdev_stats().opackets, 20);
	CHECK_EQUAL(ethdev_stats().ipackets, 10);
	CHECK_EQUAL(ethdev_xstat("tx_vf_packets"), 20);
	CHECK_EQUAL(ethdev_xstat("vf_tx_good_packets"), 20);
	/* A setting that comes meanwhile reaches it. */
	CHECK_EQUAL(rte_eth_promiscuous_enable(ethdev_port), 0);
	WAIT_UNTIL(fake_vf_seen(vf)->promiscuous);
	ethdev_vf(false, 1);
	WAIT_UNTIL(!status().used);
	ethdev_send(0, 5, 60);
	WAIT_UNTIL(ethdev_host_counter("tx_frames") == before + 5);
	CHECK_EQUAL(sent_by(vf), 0);
	CHECK_EQUAL(ethdev_stats().opackets, 25);
	CHECK_EQUAL(rte_eth_dev_count_avail(), 1);
}

static void
vf_that_is_plugged_again_is_used_again(void)
{
	struct fake_vf *vf;
	unsigned int i;

	port_with_vf();
	ethdev_bring_up(1, 1);
	ethdev_vf(true, 1);
	for (i = 0; i < 20; i++) {
		vf = plug("queues=2");
		WAIT_UNTIL(status().used);
		ethdev_send(0, 10, 60);
		CHECK_EQUAL(sent_by(vf), 10);
		CHECK_EQUAL(fake_command(VF " unplug", NULL, 0), 0);
		/* The driver detaches it: EAL cannot have a device of that name plugged meanwhile.
		 */
		WAIT_UNTIL(fake_vf_find(VF) == NULL && !status().owned);
	}
	CHECK_EQUAL(ethdev_stats().opackets, 200);
	CHECK_EQUAL(fake_vf_alive, 0);
}

/* @return milliseconds that a call took */
#define TOOK(call)                                                                                 \
	({                                                                                         \
		uint64_t began_ = rte_get_timer_cycles();                                          \
		CHECK_EQUAL(call, 0);                                                              \
		(rte_get_timer_cycles() - began_) * 1000 / rte_get_timer_hz();                     \
	})

/* Pitfall V5: the synthetic path carries frames while the VF takes its time to start. */
static void
slow_start_of_the_vf_holds_nobody(void)
{
	uint64_t longest = 0, began, took;
	unsigned long before;
	struct fake_vf *vf;
	unsigned int n = 0;

	port_with_vf();
	ethdev_bring_up(1, 1);
	ethdev_vf(true, 1);
	before = ethdev_host_counter("tx_frames");
	vf = plug("start_ms=3000");
	while (!status().running) {
		began = rte_get_timer_cycles();
		ethdev_send(0, 1, 60);
		n++;
		took = (rte_get_timer_cycles() - began) * 1000 / rte_get_timer_hz();
		longest = RTE_MAX(longest, took);
		CHECK(n < 100000);
		rte_delay_us_sleep(1000);
	}
	CHECK(n > 100);
	CHECK(longest < 1000);
	CHECK(ethdev_host_counter("tx_frames") - before > 100);
	WAIT_UNTIL(status().used);
	sent_by(vf);
	CHECK_EQUAL(ethdev_stats().opackets, n);
}

/* Pitfall V6: its driver does not come back. Everything else does. */
static void
vf_whose_stop_hangs_keeps_only_itself(void)
{
	struct fake_vf *vf;

	port_with_vf();
	ethdev_bring_up(1, 1);
	ethdev_vf(true, 1);
	vf = plug("");
	WAIT_UNTIL(status().used);
	ethdev_send(0, 7, 60);
	CHECK_EQUAL(sent_by(vf), 7);
	__atomic_store_n(&fake_vf_knobs(vf)->stop_hangs, 1, __ATOMIC_RELEASE);
	CHECK(TOOK(rte_eth_dev_stop(ethdev_port)) < 5000);
	CHECK_EQUAL(ethdev_stats().opackets, 7);
	CHECK_EQUAL(rte_eth_dev_start(ethdev_port), 0);
	ethdev_send(0, 3, 60);
	WAIT_UNTIL(ethdev_host_counter("tx_frames") >= 3);
	CHECK_EQUAL(ethdev_stats().opackets, 10);
	/* It does come back, after all. */
	__atomic_store_n(&fake_vf_knobs(vf)->stop_hangs, 0, __ATOMIC_RELEASE);
	WAIT_UNTIL(status().used);
	ethdev_send(0, 3, 60);
	CHECK_EQUAL(sent_by(vf), 3);
}

static int
remove_device(struct fake_vf *vf)
{
	struct rte_eth_dev_info info;

	CHECK_EQUAL(rte_eth_dev_info_get(fake_vf_port(vf), &info), 0);
	return rte_dev_remove(info.device);
}

static atomic_bool polls;

/* An lcore that has much to do with each frame. @return how many it got */
static void *
poll_slowly(void *arg)
{
	unsigned int *got = arg;
	struct rte_mbuf *m;

	while (atomic_load(&polls)) {
		if (rte_eth_rx_burst(ethdev_port, 0, &m, 1) == 1) {
			rte_pktmbuf_free(m);
			++*got;
		}
		rte_delay_us_sleep(100);
	}
	return NULL;
}

/* @return how many of so many frames that wait in the VF it gets while that is detached */
static unsigned int
received_while_detached(unsigned int n)
{
	struct fake_vf *vf = plug("");
	unsigned int got = 0;
	pthread_t poller;

	WAIT_UNTIL(status().used);
	received_through(vf, n);
	atomic_store(&polls, true);
	CHECK_EQUAL(pthread_create(&poller, NULL, poll_slowly, &got), 0);
	CHECK_EQUAL(remove_device(vf), 0);
	atomic_store(&polls, false);
	CHECK_EQUAL(pthread_join(poller, NULL), 0);
	CHECK(fake_vf_find(VF) == NULL);
	return got;
}

/* The VF works until it is removed: the host takes the path back, and who polls gets what waits. */
static void
vf_that_is_detached_is_received_from_until_it_is_empty(void)
{
	unsigned int got, i, sum = 0, n = 100;

	port_with_vf();
	ethdev_bring_up(1, 1);
	ethdev_vf(true, 1);
	/* A machine that does not let the poller go on for long loses some: those are counted. */
	for (i = 0; i < 20; i++) {
		got = received_while_detached(n);
		sum += got;
		CHECK_EQUAL(ethdev_stats().ipackets, sum);
		CHECK_EQUAL(ethdev_stats().ipackets + ethdev_stats().imissed, (i + 1) * n);
		if (got == n)
			break;
	}
	CHECK_EQUAL(got, n);
	CHECK_EQUAL(fake_vf_alive, 0);
}

static void
frames_that_nobody_fetches_from_a_vf_are_counted_as_missed(void)
{
	struct fake_vf *vf;
	unsigned int n = 0;

	port_with_vf();
	ethdev_bring_up(1, 1);
	ethdev_vf(true, 1);
	vf = plug("");
	WAIT_UNTIL(status().used);
	received_through(vf, 30);
	CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
	WAIT_UNTIL(ethdev_stats().imissed == 30);
	CHECK_EQUAL(rte_eth_dev_start(ethdev_port), 0);
	WAIT_UNTIL(status().used);
	received_through(vf, 5);
	WAIT_UNTIL((n += ethdev_receive(0)) >= 5);
	received_through(vf, 20);
	CHECK_EQUAL(remove_device(vf), 0);
	CHECK_EQUAL(ethdev_stats().imissed, 50);
	CHECK_EQUAL(ethdev_xstat("rx_vf_dropped_stopped"), 50);
	CHECK_EQUAL(ethdev_stats().ipackets, 5);
	CHECK_EQUAL(ethdev_stats().ibytes, 5 * 60);
}

/* What is asked of a queue beside bursts is about both paths. */
static void
queue_calls_follow_the_path_to_the_vf(void)
{
	struct rte_mbuf *m[4];
	struct fake_vf *vf;
	unsigned int i, calls;

	port_with_vf();
	ethdev_bring_up(1, 1);
	CHECK_ASKED(rte_eth_rx_queue_count(ethdev_port, 0), 0);
	vf = plug("");
	ethdev_vf(true, 1);
	WAIT_UNTIL(status().used);
	received_through(vf, 5);
	CHECK_ASKED(rte_eth_rx_queue_count(ethdev_port, 0), 5);
	CHECK_ASKED(rte_eth_rx_descriptor_status(ethdev_port, 0, 4), RTE_ETH_RX_DESC_DONE);
	CHECK_ASKED(rte_eth_rx_descriptor_status(ethdev_port, 0, 5), RTE_ETH_RX_DESC_AVAIL);
	for (i = 0; i < 5;)
		i += ethdev_receive(0);
	CHECK_ASKED(rte_eth_rx_queue_count(ethdev_port, 0), 0);
	ethdev_send(0, 7, 60);
	CHECK_EQUAL(rte_eth_tx_descriptor_status(ethdev_port, 0, 6), RTE_ETH_TX_DESC_FULL);
	CHECK_EQUAL(rte_eth_tx_descriptor_status(ethdev_port, 0, 7), RTE_ETH_TX_DESC_DONE);
	CHECK_EQUAL(rte_eth_tx_done_cleanup(ethdev_port, 0, 3), 3);
	CHECK_EQUAL(rte_eth_tx_done_cleanup(ethdev_port, 0, 0), 4);
	CHECK_EQUAL(rte_eth_tx_done_cleanup(ethdev_port, 0, 0), 0);
	for (i = 0; i < RTE_DIM(m); i++) {
		m[i] = rte_pktmbuf_alloc(ethdev_pool);
		CHECK(m[i] != NULL && rte_pktmbuf_append(m[i], 60) != NULL);
	}
	CHECK_EQUAL(rte_eth_tx_prepare(ethdev_port, 0, m, RTE_DIM(m)), RTE_DIM(m));
	CHECK_EQUAL(fake_vf_seen(vf)->prepared, RTE_DIM(m));
	rte_pktmbuf_free_bulk(m, RTE_DIM(m));
	/* Where it sends nothing, it is not asked what it has sent; frames may still come from it.
	 */
	ethdev_vf(false, 1);
	WAIT_UNTIL(!status().used);
	calls = fake_vf_seen(vf)->queue_calls;
	CHECK(calls != 0);
	CHECK_EQUAL(rte_eth_tx_descriptor_status(ethdev_port, 0, 0), RTE_ETH_TX_DESC_DONE);
	CHECK_EQUAL(rte_eth_tx_done_cleanup(ethdev_port, 0, 0), 0);
	CHECK_EQUAL(fake_vf_seen(vf)->queue_calls, calls);
}

/* Pitfall V14: also one that was set while neither path was started. */
static void
mtu_of_the_port_reaches_the_vf_started_or_not(void)
{
	struct fake_vf *vf;

	port_with_vf();
	ethdev_bring_up(1, 1);
	vf = plug("");
	ethdev_vf(true, 1);
	WAIT_UNTIL(status().used);
	CHECK_EQUAL(fake_vf_seen(vf)->mtu, 1500);
	CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
	CHECK_EQUAL(rte_eth_dev_set_mtu(ethdev_port, 1400), 0);
	CHECK_EQUAL(rte_eth_dev_start(ethdev_port), 0);
	WAIT_UNTIL(status().used);
	CHECK_EQUAL(fake_vf_seen(vf)->mtu, 1400);
	CHECK_EQUAL(rte_eth_dev_set_mtu(ethdev_port, 1300), 0);
	WAIT_UNTIL(fake_vf_seen(vf)->mtu == 1300 && status().used);
	ethdev_send(0, 3, 1300);
	CHECK_EQUAL(sent_by(vf), 3);
}

/* Rings of DPDK have neither a filter nor an address: the port is promiscuous all the same. */
static void
vf_that_is_a_ring_gives_back_what_it_is_given(void)
{
	enum { N = 64 };
	char device[sizeof(ethdev_device) + 16], bytes[N][60];
	struct rte_mbuf *m[N];
	unsigned int i, k, got = 0;

	ethdev_detach();
	snprintf(device, sizeof(device), "%s,vf=net_ring0", ethdev_device);
	CHECK_EQUAL(ethdev_attach(device), 0);
	ethdev_knob("stall_rx", 1);
	CHECK_EQUAL(rte_eth_promiscuous_enable(ethdev_port), 0);
	ethdev_bring_up(1, 1);
	CHECK_EQUAL(rte_eal_hotplug_add("vdev", "net_ring0", ""), 0);
	CHECK_EQUAL(rte_eth_dev_count_avail(), 1);
	ethdev_vf(true, 1);
	WAIT_UNTIL(status().used);
	for (i = 0; i < N; i++) {
		m[i] = rte_pktmbuf_alloc(ethdev_pool);
		CHECK(m[i] != NULL && rte_pktmbuf_append(m[i], sizeof(bytes[i])) != NULL);
		for (k = 0; k < sizeof(bytes[i]); k++)
			bytes[i][k] = (char)(i * 31 + k * 7);
		memcpy(rte_pktmbuf_mtod(m[i], void *), bytes[i], sizeof(bytes[i]));
	}
	CHECK_EQUAL(rte_eth_tx_burst(ethdev_port, 0, m, N), N);
	while (got < N) {
		uint16_t n = rte_eth_rx_burst(ethdev_port, 0, m, N);

		for (i = 0; i < n; i++, got++) {
			CHECK_EQUAL(m[i]->port, ethdev_port);
			CHECK_EQUAL(m[i]->pkt_len, sizeof(bytes[got]));
			CHECK_EQUAL(memcmp(rte_pktmbuf_mtod(m[i], void *), bytes[got],
					    sizeof(bytes[got])),
				0);
		}
		rte_pktmbuf_free_bulk(m, n);
	}
	CHECK_EQUAL(ethdev_xstat("tx_vf_packets"), N);
	CHECK_EQUAL(ethdev_xstat("rx_vf_packets"), N);
}

const struct ethdev_case ethdev_vf_cases[] = {
	{"vf_carries_frames_and_is_seen_by_nobody", vf_carries_frames_and_is_seen_by_nobody},
	{"vf_that_is_plugged_again_is_used_again", vf_that_is_plugged_again_is_used_again},
	{"slow_start_of_the_vf_holds_nobody", slow_start_of_the_vf_holds_nobody},
	{"vf_whose_stop_hangs_keeps_only_itself", vf_whose_stop_hangs_keeps_only_itself},
	{"vf_that_is_detached_is_received_from_until_it_is_empty",
		vf_that_is_detached_is_received_from_until_it_is_empty},
	{"frames_that_nobody_fetches_from_a_vf_are_counted_as_missed",
		frames_that_nobody_fetches_from_a_vf_are_counted_as_missed},
	{"mtu_of_the_port_reaches_the_vf_started_or_not",
		mtu_of_the_port_reaches_the_vf_started_or_not},
	{"queue_calls_follow_the_path_to_the_vf", queue_calls_follow_the_path_to_the_vf},
	{"vf_that_is_a_ring_gives_back_what_it_is_given",
		vf_that_is_a_ring_gives_back_what_it_is_given},
	{NULL, NULL},
};
