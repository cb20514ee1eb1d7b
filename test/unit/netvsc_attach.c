/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way up of a session against a scripted host: every refusal, silence and malformed answer at
 * each rung of the ladder.
 */
#include <errno.h>

#include <rte_malloc.h>

#include "drivers/net/netvsc/attach.h"
#include "test/unit/netvsc_ladder.h"

static void
test_the_ladder(void)
{
	static const enum rung order[] = {INIT, OTHER, OTHER, RECV_BUF, SEND_BUF, RNDIS_INIT,
		FILTER, MAC, FRAME_SIZE, OFFLOAD_CAPS, OFFLOADS, MEDIA, SPEED, RSS, SUBCHANNELS};

	REQUIRE(ladder_begin(true));
	CU_ASSERT_EQUAL(ladder_attach(CHANNELS, 1500), 0);
	ladder_check_attached(CHANNELS);
	CU_ASSERT_EQUAL(f.port.session.nvsp_version, NVSP_VERSION_61);
	CU_ASSERT_EQUAL(f.port.session.send_count, f.conf.send_count);
	CU_ASSERT_EQUAL(f.port.session.control_section, NETVSC_SECTION_NONE);
	CU_ASSERT_EQUAL(f.port.session.max_queues, CHANNELS);
	CU_ASSERT_EQUAL(f.port.session.mtu, 1500);
	CU_ASSERT_EQUAL(f.port.link.up, 1);
	CU_ASSERT_EQUAL(f.port.link.speed, 100000000);
	CU_ASSERT_EQUAL(host.n_said, RTE_DIM(order));
	CU_ASSERT(memcmp(host.said, order, sizeof(order)) == 0);
	ladder_end();
}

static void
test_one_channel_asks_for_no_subchannels(void)
{
	REQUIRE(ladder_begin(true));
	CU_ASSERT_EQUAL(ladder_attach(1, 1500), 0);
	ladder_check_attached(1);
	CU_ASSERT_EQUAL(host.asked[SUBCHANNELS], 0);
	ladder_end();
}

static void
test_the_oldest_host(void)
{
	REQUIRE(ladder_begin(true));
	host.newest = NVSP_VERSION_1;
	CU_ASSERT_EQUAL(ladder_attach(1, 1500), 0);
	ladder_check_attached(1);
	CU_ASSERT_EQUAL(f.port.session.nvsp_version, NVSP_VERSION_1);
	CU_ASSERT_EQUAL(host.asked[INIT], NVSP_VERSION_COUNT);
	CU_ASSERT_EQUAL(host.asked[RSS], 0);
	CU_ASSERT_EQUAL(f.port.session.max_queues, 1);
	ladder_end();
}

static void
test_requests_through_the_send_buffer(void)
{
	REQUIRE(ladder_begin(false));
	CU_ASSERT_EQUAL(ladder_attach(1, 1500), 0);
	ladder_check_attached(1);
	CU_ASSERT_EQUAL(f.port.session.control_section, f.conf.send_count - 1);
	CU_ASSERT_EQUAL(f.port.host_stats.section, f.conf.send_count - 2);
	CU_ASSERT_EQUAL(f.port.session.send_count, f.conf.send_count - 2);
	ladder_end();
	/* And where there is none. */
	REQUIRE(ladder_begin(false));
	ladder_script(SEND_BUF, REFUSE);
	CU_ASSERT_EQUAL(ladder_attach(1, 1500), -EOPNOTSUPP);
	ladder_check_nothing_left();
	ladder_end();
}

/* What becomes of the port when the host does this at that rung: 0 means that it comes up. */
static const struct misdeed {
	enum rung rung;
	enum deed deed;
	int rc;
} misdeeds[] = {
	{INIT, REFUSE, -EPROTONOSUPPORT},
	{INIT, SHORT, -EPROTO},
	{INIT, WRONG_TYPE, -EPROTO},
	{INIT, SILENT, -ETIMEDOUT},
	{INIT, VANISH, -ENODEV},
	{RECV_BUF, REFUSE, -EIO},
	{RECV_BUF, ODD, -EPROTO},
	{RECV_BUF, SHORT, -EPROTO},
	{RECV_BUF, WRONG_TYPE, -EPROTO},
	{RECV_BUF, SILENT, -ETIMEDOUT},
	{RECV_BUF, VANISH, -ENODEV},
	{SEND_BUF, REFUSE, 0},
	{SEND_BUF, ODD, 0},
	{SEND_BUF, SHORT, -EPROTO},
	{SEND_BUF, WRONG_TYPE, -EPROTO},
	{SEND_BUF, SILENT, -ETIMEDOUT},
	{SEND_BUF, VANISH, -ENODEV},
	{RNDIS_INIT, REFUSE, -EIO},
	{RNDIS_INIT, UNSENT, -EIO},
	{RNDIS_INIT, SHORT, -EPROTO},
	{RNDIS_INIT, WRONG_TYPE, -EPROTO},
	{RNDIS_INIT, SILENT, -ETIMEDOUT},
	{RNDIS_INIT, VANISH, -ENODEV},
	{FILTER, REFUSE, -EIO},
	{FILTER, NOT_SUPPORTED, -ENOTSUP},
	{FILTER, UNSENT, -EIO},
	{FILTER, SHORT, -EPROTO},
	{FILTER, WRONG_TYPE, -EPROTO},
	{FILTER, SILENT, -ETIMEDOUT},
	{FILTER, VANISH, -ENODEV},
	{MAC, REFUSE, -EIO},
	{MAC, NOT_SUPPORTED, -ENOTSUP},
	{MAC, UNSENT, -EIO},
	{MAC, EMPTY, -ENODATA},
	{MAC, ODD, -EPROTO},
	{MAC, SHORT, -EPROTO},
	{MAC, WRONG_TYPE, -EPROTO},
	{MAC, SILENT, -ETIMEDOUT},
	{MAC, VANISH, -ENODEV},
	{FRAME_SIZE, REFUSE, 0},
	{FRAME_SIZE, NOT_SUPPORTED, 0},
	{FRAME_SIZE, UNSENT, 0},
	{FRAME_SIZE, EMPTY, 0},
	{FRAME_SIZE, ODD, 0},
	{FRAME_SIZE, SHORT, -EPROTO},
	{FRAME_SIZE, WRONG_TYPE, -EPROTO},
	{FRAME_SIZE, SILENT, -ETIMEDOUT},
	{FRAME_SIZE, VANISH, -ENODEV},
	{OFFLOAD_CAPS, REFUSE, 0},
	{OFFLOAD_CAPS, NOT_SUPPORTED, 0},
	{OFFLOAD_CAPS, UNSENT, 0},
	{OFFLOAD_CAPS, EMPTY, 0},
	{OFFLOAD_CAPS, ODD, 0},
	{OFFLOAD_CAPS, SHORT, -EPROTO},
	{OFFLOAD_CAPS, WRONG_TYPE, -EPROTO},
	{OFFLOAD_CAPS, SILENT, -ETIMEDOUT},
	{OFFLOAD_CAPS, VANISH, -ENODEV},
	{OFFLOADS, REFUSE, 0},
	{OFFLOADS, NOT_SUPPORTED, 0},
	{OFFLOADS, UNSENT, 0},
	{OFFLOADS, SHORT, -EPROTO},
	{OFFLOADS, WRONG_TYPE, -EPROTO},
	{OFFLOADS, SILENT, -ETIMEDOUT},
	{OFFLOADS, VANISH, -ENODEV},
	{MEDIA, REFUSE, 0},
	{MEDIA, NOT_SUPPORTED, 0},
	{MEDIA, UNSENT, 0},
	{MEDIA, EMPTY, -ENODATA},
	{MEDIA, SHORT, -EPROTO},
	{MEDIA, WRONG_TYPE, -EPROTO},
	{MEDIA, SILENT, -ETIMEDOUT},
	{MEDIA, VANISH, -ENODEV},
	{SPEED, REFUSE, 0},
	{SPEED, NOT_SUPPORTED, 0},
	{SPEED, UNSENT, 0},
	{SPEED, EMPTY, -ENODATA},
	{SPEED, SHORT, -EPROTO},
	{SPEED, WRONG_TYPE, -EPROTO},
	{SPEED, SILENT, -ETIMEDOUT},
	{SPEED, VANISH, -ENODEV},
	{RSS, REFUSE, 0},
	{RSS, NOT_SUPPORTED, 0},
	{RSS, UNSENT, 0},
	{RSS, EMPTY, 0},
	{RSS, ODD, 0},
	{RSS, SHORT, -EPROTO},
	{RSS, WRONG_TYPE, -EPROTO},
	{RSS, SILENT, -ETIMEDOUT},
	{RSS, VANISH, -ENODEV},
	{SUBCHANNELS, REFUSE, 0},
	{SUBCHANNELS, ODD, -EPROTO},
	{SUBCHANNELS, SHORT, -EPROTO},
	{SUBCHANNELS, WRONG_TYPE, -EPROTO},
	{SUBCHANNELS, SILENT, -ETIMEDOUT},
	{SUBCHANNELS, VANISH, -ENODEV},
};

static void
misdo(const struct misdeed *m)
{
	unsigned int resets = f.resets, channels = CHANNELS;
	int rc;

	ladder_script(m->rung, m->deed);
	rc = ladder_attach(CHANNELS, 1500);
	if (rc != m->rc)
		printf("\nrung %d deed %d: %d, not %d\n", m->rung, m->deed, rc, m->rc);
	CU_ASSERT_EQUAL(rc, m->rc);
	if (m->rung == SUBCHANNELS)
		channels = 1;
	if (m->rc == 0) {
		ladder_check_attached(channels);
		if (m->rung == RSS)
			CU_ASSERT_EQUAL(f.port.session.max_queues, 1);
		CU_ASSERT_EQUAL(f.port.limits.offloads.can != 0, m->rung != OFFLOAD_CAPS);
		if (m->rung == SEND_BUF)
			CU_ASSERT_EQUAL(f.port.session.send_count, 0);
		CU_ASSERT_EQUAL(netvsc_session_end(&f.port), 0);
	} else {
		ladder_check_nothing_left();
		/* The fence, unless there is nobody to be fenced off. */
		CU_ASSERT_EQUAL(f.resets, resets + (m->deed != VANISH));
		/* Silence is the application's to know of: only a reset helps. */
		CU_ASSERT_EQUAL(
			atomic_load(&f.port.state) == NETVSC_STATE_BROKEN, m->deed == SILENT);
		CU_ASSERT_EQUAL((atomic_exchange(&f.port.events, 0) & NETVSC_EVENT_RESET) != 0,
			m->deed == SILENT);
	}
	CU_ASSERT_FALSE(f.port.unfenced);
	/* Nothing of it is left with a host that behaves. */
	atomic_store(&f.bus.gone, false);
	ladder_script(OTHER, ANSWER);
	CU_ASSERT_EQUAL(ladder_attach(CHANNELS, 1500), 0);
	ladder_check_attached(CHANNELS);
	CU_ASSERT_EQUAL(netvsc_session_end(&f.port), 0);
	ladder_check_nothing_left();
}

static void
test_every_misdeed_at_every_rung(void)
{
	size_t i;

	REQUIRE(ladder_begin(true));
	for (i = 0; i < RTE_DIM(misdeeds); i++)
		misdo(&misdeeds[i]);
	ladder_end();
}

static void
test_the_users_mac_address_goes_with_every_session(void)
{
	REQUIRE(ladder_begin(true));
	f.port.config.mac = ladder_users;
	f.port.config.mac_user = true;
	CU_ASSERT_EQUAL(ladder_attach(1, 1500), 0);
	CU_ASSERT_EQUAL(host.asked[USER_MAC], 1);
	CU_ASSERT(rte_is_same_ether_addr(&f.port.session.mac, &ladder_users));
	CU_ASSERT_EQUAL(netvsc_session_end(&f.port), 0);
	/* A host that is silent about it is as silent as any. */
	ladder_script(USER_MAC, SILENT);
	CU_ASSERT_EQUAL(ladder_attach(1, 1500), -ETIMEDOUT);
	ladder_check_nothing_left();
	CU_ASSERT_TRUE(f.port.config.mac_user);
	/* This one does not allow it any more: the application is not left with a wrong one. */
	ladder_script(USER_MAC, REFUSE);
	CU_ASSERT_EQUAL(ladder_attach(1, 1500), 0);
	CU_ASSERT(rte_is_same_ether_addr(&f.port.session.mac, &ladder_own));
	CU_ASSERT(rte_is_same_ether_addr(&ladder_told, &ladder_own));
	CU_ASSERT_FALSE(f.port.config.mac_user);
	ladder_end();
}

/* The recovery in which the host refuses goes on when the port was closed around it. */
static _Atomic uint32_t closing;

static void
close_at_the_address(struct fixture *fixture, unsigned int ch)
{
	ladder_on_signal(fixture, ch);
	if (host.asked[USER_MAC] != 0)
		atomic_store(&closing, 1);
}

static void
test_the_address_of_a_port_that_was_closed_is_not_written(void)
{
	static const struct hpbus_op_kind kind = {"a recovery", 2000, 500, false};
	struct hpbus_op op;

	REQUIRE(ladder_begin(true));
	f.port.config.mac = ladder_users;
	f.port.config.mac_user = true;
	ladder_script(USER_MAC, REFUSE);
	f.on_signal = close_at_the_address;
	CU_ASSERT_EQUAL(netvsc_control_begin(&f.port, &op, &kind), 0);
	hpbus_op_end_for(&op, &closing);
	CU_ASSERT_EQUAL(netvsc_attach(&f.port, 1, 1500), -ECANCELED);
	netvsc_control_end(&f.port, &op);
	/* ethdev has freed it. */
	CU_ASSERT(rte_is_same_ether_addr(&ladder_told, &ladder_users));
	ladder_end();
}

static int (*real_open)(struct hpbus_device *, unsigned int, struct hpbus_channel *);
static unsigned int bad_index;
static enum { REFUSED, BAD_TX, BAD_RX } bad_how;

static int
bad_open(struct hpbus_device *dev, unsigned int index, struct hpbus_channel *ch)
{
	int rc;

	if (index == bad_index && bad_how == REFUSED)
		return -EACCES;
	rc = real_open(dev, index, ch);
	if (rc == 0 && index == bad_index)
		atomic_store(bad_how == BAD_TX ? &ch->tx.ctl->read_index : &ch->rx.ctl->write_index,
			0x7fffffff);
	return rc;
}

static void
free_channel(unsigned int i)
{
	rte_free(f.port.channels[i]);
	f.port.channels[i] = NULL;
}

static void
test_channels_that_cannot_be_opened(void)
{
	unsigned int index, how;

	REQUIRE(ladder_begin(true));
	real_open = f.backend.channel_open;
	f.backend.channel_open = bad_open;
	for (index = 0; index < CHANNELS; index++)
		for (how = REFUSED; how <= BAD_RX; how++) {
			bad_index = index;
			bad_how = how;
			CU_ASSERT(ladder_attach(CHANNELS, 1500) < 0);
			ladder_check_nothing_left();
		}
	f.backend.channel_open = real_open;
	/* Without memory for what a channel is, and for what it must remember. */
	free_channel(1);
	ladder_no_memory = "netvsc_channel";
	CU_ASSERT_EQUAL(ladder_attach(CHANNELS, 1500), -ENOMEM);
	ladder_no_memory = "netvsc_done";
	CU_ASSERT_EQUAL(ladder_attach(CHANNELS, 1500), -ENOMEM);
	ladder_no_memory = NULL;
	CU_ASSERT_EQUAL(ladder_attach(CHANNELS, 1500), 0);
	ladder_check_attached(CHANNELS);
	ladder_end();
}

static void
test_a_device_that_is_gone(void)
{
	REQUIRE(ladder_begin(true));
	atomic_store(&f.bus.gone, true);
	CU_ASSERT_EQUAL(ladder_attach(1, 1500), -ENODEV);
	CU_ASSERT_EQUAL(f.host[0].opens, 1);
	ladder_end();
}

/* Room in the ring is waited for as an answer is, and others' packets go first. */
static void
test_a_full_ring_is_waited_for(void)
{
	REQUIRE(ladder_begin(true));
	CU_ASSERT_EQUAL(ladder_attach(1, 1500), 0);
	f.on_signal = NULL;
	fixture_fill_out(&f, 0);
	ladder_ms = 1000000;
	CU_ASSERT_EQUAL(netvsc_set_filter(&f.port, RNDIS_FILTER_DIRECTED), 0);
	ladder_ms = 0;
	CU_ASSERT_EQUAL(host.filter, RNDIS_FILTER_DIRECTED);
	ladder_end();
}

static void
to_an_lcore(struct fixture *fixture)
{
	struct rte_mbuf *m[4];

	ladder_ms++;
	ladder_turn();
	CU_ASSERT_EQUAL(netvsc_rx_burst(f.rx_queues[0], m, RTE_DIM(m)), 0);
}

/* An lcore that receives finds the answer in its ring, which is left to it. */
static void
test_an_lcore_takes_the_answer(void)
{
	struct netvsc_channel *ch;
	struct rte_mbuf *m[4];

	REQUIRE(ladder_begin(true));
	CU_ASSERT_EQUAL(ladder_attach(1, 1500), 0);
	ch = fixture_channel(&f, 0);
	atomic_store(&f.port.state, NETVSC_STATE_RUNNING);
	netvsc_channel_set(ch, NETVSC_CHANNEL_RUNNING);
	f.on_signal = NULL;
	f.on_signal_again = to_an_lcore;
	ladder_ms = 1000000;
	CU_ASSERT_EQUAL(netvsc_rx_burst(f.rx_queues[0], m, RTE_DIM(m)), 0);
	CU_ASSERT_TRUE(netvsc_channel_is_polled(ch));
	CU_ASSERT_EQUAL(netvsc_set_filter(&f.port, RNDIS_FILTER_DIRECTED), 0);
	CU_ASSERT_TRUE(netvsc_channel_is_polled(ch));
	ladder_ms += 2;
	CU_ASSERT_FALSE(netvsc_channel_is_polled(ch));
	ladder_ms = 0;
	netvsc_channel_set(ch, NETVSC_CHANNEL_OPEN);
	CU_ASSERT_FALSE(netvsc_channel_is_polled(ch));
	f.on_signal = ladder_on_signal;
	f.on_signal_again = ladder_on_signal_again;
	ladder_end();
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"the ladder", test_the_ladder},
		{"one channel asks for no subchannels", test_one_channel_asks_for_no_subchannels},
		{"the oldest host", test_the_oldest_host},
		{"requests through the send buffer", test_requests_through_the_send_buffer},
		{"every misdeed at every rung", test_every_misdeed_at_every_rung},
		{"the address of a port that was closed is not written",
			test_the_address_of_a_port_that_was_closed_is_not_written},
		{"the user's MAC address goes with every session",
			test_the_users_mac_address_goes_with_every_session},
		{"channels that cannot be opened", test_channels_that_cannot_be_opened},
		{"a device that is gone", test_a_device_that_is_gone},
		{"a full ring is waited for", test_a_full_ring_is_waited_for},
		{"an lcore takes the answer", test_an_lcore_takes_the_answer},
	};

	return UNIT_RUN("netvsc_attach", tests);
}
