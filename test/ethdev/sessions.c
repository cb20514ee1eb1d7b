/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sessions: what was set goes on with the next one, and one that failed leaves nothing behind.
 */
#include "drivers/net/netvsc/attach.h"
#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/tx.h"
#include "test/ethdev/ethdev.h"

static struct netvsc_port *
the_port(void)
{
	return netvsc_port_of(&rte_eth_devices[ethdev_port]);
}

/* Frames of the port's address are taken by the host, which forwards no foreign ones. */
static void
frames_pass(void)
{
	unsigned long dropped = ethdev_host_counter("tx_dropped_spoof");
	unsigned long before = ethdev_host_counter("tx_frames");

	ethdev_knob("spoof", 0);
	ethdev_send(0, 20, 200);
	WAIT_UNTIL(ethdev_host_counter("tx_frames") == before + 20);
	CHECK_EQUAL(ethdev_host_counter("tx_dropped_spoof"), dropped);
}

static void
a_mac_address_that_was_set_survives_the_session(void)
{
	struct rte_ether_addr mac = {{0x02, 0x12, 0x34, 0x56, 0x78, 0x9a}}, now;
	struct netvsc_port *port = the_port();

	ethdev_bring_up(1, 1);
	CHECK_EQUAL(rte_eth_dev_default_mac_addr_set(ethdev_port, &mac), 0);
	frames_pass();
	CHECK_EQUAL(rte_eth_dev_reset(ethdev_port), 0);
	/* Before ethdev sets it once more, at the start. */
	CHECK(rte_is_same_ether_addr(&port->session.mac, &mac));
	ethdev_bring_up(1, 1);
	CHECK_EQUAL(rte_eth_macaddr_get(ethdev_port, &now), 0);
	CHECK(rte_is_same_ether_addr(&now, &mac));
	frames_pass();
	/* Another number of queues is another session. */
	CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
	ethdev_bring_up(2, 2);
	CHECK_EQUAL(port->session.n_channels, 2);
	CHECK(rte_is_same_ether_addr(&port->session.mac, &mac));
	frames_pass();
}

static void
set_table(struct rte_eth_rss_reta_entry64 *reta, uint16_t size)
{
	uint16_t i;

	/* Nothing that a driver would come to by itself. */
	for (i = 0; i < size; i++) {
		reta[i / 64].mask |= UINT64_C(1) << (i % 64);
		reta[i / 64].reta[i % 64] = i % 3 == 0;
	}
	CHECK_EQUAL(rte_eth_dev_rss_reta_update(ethdev_port, reta, size), 0);
}

static void
check_table(const struct rte_eth_rss_reta_entry64 *want, uint16_t size)
{
	struct rte_eth_rss_reta_entry64 reta[RTE_ETH_RSS_RETA_SIZE_512 / 64] = {0};
	uint16_t i;

	for (i = 0; i < size; i++)
		reta[i / 64].mask |= UINT64_C(1) << (i % 64);
	CHECK_EQUAL(rte_eth_dev_rss_reta_query(ethdev_port, reta, size), 0);
	for (i = 0; i < size; i++)
		CHECK_EQUAL(reta[i / 64].reta[i % 64], want[i / 64].reta[i % 64]);
}

static void
an_rss_table_and_key_survive_the_session(void)
{
	struct rte_eth_rss_reta_entry64 reta[RTE_ETH_RSS_RETA_SIZE_512 / 64] = {0};
	uint8_t key[NETVSC_RSS_KEY_LEN], got[NETVSC_RSS_KEY_LEN];
	struct rte_eth_rss_conf rss = {
		.rss_key = key, .rss_key_len = sizeof(key), .rss_hf = RTE_ETH_RSS_IPV4};
	struct rte_eth_dev_info info;

	memset(key, 0x3c, sizeof(key));
	ethdev_bring_up(2, 2);
	CHECK_EQUAL(rte_eth_dev_info_get(ethdev_port, &info), 0);
	set_table(reta, info.reta_size);
	CHECK_EQUAL(rte_eth_dev_rss_hash_update(ethdev_port, &rss), 0);
	CHECK_EQUAL(rte_eth_dev_reset(ethdev_port), 0);
	ethdev_bring_up(2, 2);
	check_table(reta, info.reta_size);
	rss.rss_key = got;
	CHECK_EQUAL(rte_eth_dev_rss_hash_conf_get(ethdev_port, &rss), 0);
	CHECK(memcmp(key, got, sizeof(key)) == 0);
	CHECK_EQUAL(rss.rss_hf, RTE_ETH_RSS_IPV4);
	/* One queue more takes it along; with one queue it would name one that is not there. */
	if (info.max_rx_queues >= 3) {
		CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
		ethdev_bring_up(3, 3);
		check_table(reta, info.reta_size);
	}
	CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
	memset(reta, 0, sizeof(reta));
	ethdev_bring_up(1, 1);
	check_table(reta, info.reta_size);
}

static void
the_filter_goes_on_with_the_next_session(void)
{
	struct netvsc_port *port = the_port();

	ethdev_bring_up(1, 1);
	CHECK_EQUAL(rte_eth_promiscuous_enable(ethdev_port), 0);
	CHECK_EQUAL(rte_eth_dev_reset(ethdev_port), 0);
	CHECK_EQUAL(port->session.filter, 0);
	ethdev_bring_up(1, 1);
	CHECK_EQUAL(port->session.filter, RNDIS_FILTER_PROMISCUOUS);
	CHECK_EQUAL(rte_eth_promiscuous_disable(ethdev_port), 0);
	CHECK_EQUAL(port->session.filter, RNDIS_FILTER_DIRECTED | RNDIS_FILTER_BROADCAST);
}

static void
a_session_that_failed_leaves_nothing_behind(void)
{
	struct netvsc_port *port = the_port();
	struct rte_eth_dev_info before, after;

	ethdev_bring_up(2, 2);
	CHECK_EQUAL(rte_eth_dev_info_get(ethdev_port, &before), 0);
	ethdev_knob("stall", 1);
	CHECK(rte_eth_dev_reset(ethdev_port) < 0);
	CHECK(memcmp(&port->session, &netvsc_session_none, sizeof(port->session)) == 0);
	CHECK(!netvsc_channel_is_open(port->channels[0]));
	CHECK(!netvsc_channel_is_open(port->channels[1]));
	/* What the port can do is known all the same: how else would it be brought up again? */
	CHECK_EQUAL(rte_eth_dev_info_get(ethdev_port, &after), 0);
	CHECK_EQUAL(after.max_rx_queues, before.max_rx_queues);
	CHECK_EQUAL(after.max_mtu, before.max_mtu);
	CHECK_EQUAL(after.reta_size, before.reta_size);
	ethdev_knob("stall", 0);
	ethdev_bring_up(2, 2);
	frames_pass();
}

/* ---- no memory ---- */

static void
a_device_that_cannot_be_brought_up_has_a_reason(void)
{
	static const struct {
		const char *what, *words;
		int error;
	} fails[] = {
		{"netvsc_ctl", "no memory for pages of requests", -ENOMEM},
		{"netvsc_channel", "cannot open the primary channel: Cannot allocate memory",
			-ENOMEM},
		{"netvsc_done", "bring-up failed: Cannot allocate memory", -ENOMEM},
		{"alarm", "no alarm for housekeeping", -ENOMEM},
	};
	size_t i;

	for (i = 0; i < RTE_DIM(fails); i++) {
		if (rte_eth_dev_is_valid_port(ethdev_port))
			ethdev_detach();
		heap_fails = fails[i].what;
		CHECK_REFUSED(ethdev_attach(ethdev_device), fails[i].error, fails[i].words);
		heap_fails = NULL;
		CHECK_EQUAL(ethdev_attach(ethdev_device), 0);
		ethdev_bring_up(1, 1);
		frames_pass();
	}
}

static void
a_subchannel_without_memory_has_a_reason(void)
{
	struct netvsc_port *port = the_port();
	struct rte_eth_conf conf = {0};

	ethdev_bring_up(1, 1);
	CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
	heap_fails = "netvsc_channel";
	CHECK_REFUSED(rte_eth_dev_configure(ethdev_port, 2, 2, &conf), -ENOMEM,
		"cannot open subchannel 1: Cannot allocate memory");
	CHECK(memcmp(&port->session, &netvsc_session_none, sizeof(port->session)) == 0);
	heap_fails = NULL;
	ethdev_bring_up(2, 2);
	frames_pass();
}

/* What is not divided is not taken for divided by the next attempt. */
static void
sections_that_could_not_be_divided_are_divided_by_the_next_start(void)
{
	struct netvsc_port *port = the_port();
	struct rte_eth_conf conf = {0};

	ethdev_bring_up(2, 2);
	CHECK_EQUAL(rte_eth_dev_stop(ethdev_port), 0);
	CHECK_EQUAL(port->section_queues, 2);
	heap_fails = "netvsc_sections";
	CHECK_REFUSED(rte_eth_dev_configure(ethdev_port, 1, 1, &conf), -ENOMEM,
		"no memory to divide the send buffer");
	heap_fails = NULL;
	CHECK_EQUAL(port->section_queues, NETVSC_UNDIVIDED);
	/* The number of queues that they were divided for before: they are not now. */
	ethdev_bring_up(2, 2);
	CHECK_EQUAL(port->section_queues, 2);
	CHECK(port->sections.share != 0);
	frames_pass();
}

#define CASE(name)                                                                                 \
	{                                                                                          \
#name, name                                                                        \
	}
const struct ethdev_case ethdev_session_cases[] = {
	CASE(a_mac_address_that_was_set_survives_the_session),
	CASE(an_rss_table_and_key_survive_the_session),
	CASE(the_filter_goes_on_with_the_next_session),
	CASE(a_session_that_failed_leaves_nothing_behind),
	CASE(a_device_that_cannot_be_brought_up_has_a_reason),
	CASE(a_subchannel_without_memory_has_a_reason),
	CASE(sections_that_could_not_be_divided_are_divided_by_the_next_start),
	{NULL, NULL},
};
