/* SPDX-License-Identifier: BSD-3-Clause */
/* See netvsc_mtu_rig.h. */
#include "drivers/net/netvsc/attach.h"
#include "drivers/net/netvsc/ops.h"
#include "lib/netvsp/nvsp.h"
#include "test/unit/netvsc_mtu_rig.h"

const struct fixture_conf mtu_big = {
	.recv_section = 10240, .recv_count = 64, .room = 9216, .mbufs = 255};

/* Started with all queues at 1500, on a host that allows 9216. */
bool
mtu_start_as(const struct fixture_conf *conf)
{
	unsigned int i;

	if (!ladder_begin_as(*conf))
		return false;
	host.max_mtu = 9216;
	host.clamps = true;
	f.port.limits.mtu = 9216;
	f.data.dev_conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	f.data.dev_conf.rx_adv_conf.rss_conf.rss_hf = RTE_ETH_RSS_NONFRAG_IPV4_TCP;
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, CHANNELS, 1500), 0);
	netvsc_rss_default(&f.port);
	for (i = 0; i < CHANNELS; i++)
		f.data.rx_queue_state[i] = f.data.tx_queue_state[i] = RTE_ETH_QUEUE_STATE_STARTED;
	CU_ASSERT_EQUAL(netvsc_port_up(&f.port), 0);
	for (i = 0; i < CHANNELS; i++)
		netvsc_channel_set(fixture_channel(&f, i), NETVSC_CHANNEL_RUNNING);
	f.data.dev_started = 1;
	CU_ASSERT_EQUAL(host.filter, FILTER_);
	return true;
}

bool
mtu_start(void)
{
	return mtu_start_as(&mtu_big);
}

/* As ethdev: the new one is stored when it was taken. With a clock that only waiting moves. */
int
mtu_set(uint16_t mtu)
{
	int rc;

	ladder_ms = 1000000;
	rc = netvsc_mtu_set(&f.eth, mtu);
	ladder_ms = 0;
	if (rc == 0)
		f.data.mtu = mtu;
	return rc;
}

void
mtu_finish(void)
{
	unsigned int i;

	f.data.dev_started = 0;
	atomic_fetch_and(&f.port.state, ~NETVSC_STATE_RUNNING);
	for (i = 0; i < CHANNELS; i++)
		if (netvsc_channel_is_open(fixture_channel(&f, i)))
			netvsc_channel_set(fixture_channel(&f, i), NETVSC_CHANNEL_OPEN);
	atomic_fetch_and(&f.port.state, ~NETVSC_STATE_BROKEN);
	ladder_end();
}

void
mtu_check_frames(uint32_t len)
{
	f.on_signal = NULL;
	ladder_check_frames(len);
	f.on_signal = ladder_on_signal;
}

void
mtu_check_running(uint32_t mtu)
{
	unsigned int i;

	CU_ASSERT_TRUE(f.port.session.attached);
	CU_ASSERT_EQUAL(f.port.session.mtu, mtu);
	CU_ASSERT_EQUAL(f.port.session.n_channels, CHANNELS);
	CU_ASSERT_EQUAL(atomic_load(&f.port.state), NETVSC_STATE_RUNNING);
	for (i = 0; i < CHANNELS; i++)
		CU_ASSERT_EQUAL(fixture_channel(&f, i)->state, NETVSC_CHANNEL_RUNNING);
	CU_ASSERT_EQUAL(host.filter, FILTER_);
	CU_ASSERT_EQUAL(f.port.section_queues, CHANNELS);
}
