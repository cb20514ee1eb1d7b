/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver's control logic (drivers/net/netvsc/attach.c, control.c, answers.c, nvsp.c, rss.c and
 * what settings need) fed by a hostile host: it answers as it should or in one of the ways of
 * netvsc_ladder.h, and words of its answers are changed before the driver sees them; among them
 * come forged completions, notices and indications. Time moves when the driver waits, so that every
 * wait ends; every operation must return.
 */
#include <limits.h>

#include <rte_log.h>

#include "drivers/net/netvsc/control.h"
#include "drivers/net/netvsc/host_stats.h"
#include "lib/netvsp/ndis.h"
#include "lib/netvsp/nvsp.h"
#include "lib/netvsp/rndis.h"
#include "test/fuzz/fuzz.h"
#include "test/unit/netvsc_ladder.h"

static struct fuzz in;
static bool hostile;
static unsigned int spoiled; /* the opening of the channel whose ring the host has spoiled */

/* Packets and messages of the host's own accord. */
static void
forge(void)
{
	struct vmbus_xfer_range range;
	struct nvsp_message msg;
	static const uint8_t info[64];
	uint8_t bytes[128] = {0};
	uint32_t speed = fuzz_u32(&in);
	int n;

	switch (fuzz_below(&in, 6)) {
	case 0:
		nvsp_build_vf_association(&msg, fuzz_bool(&in), fuzz_below(&in, 3));
		fuzz_scribble(&in, &msg, sizeof(msg));
		fixture_inband(&f, 0, &msg, fuzz_bool(&in) ? fuzz_below(&in, 41) : sizeof(msg));
		break;
	case 1:
		n = rndis_build_indicate(bytes, sizeof(bytes),
			fuzz_bool(&in) ? RNDIS_STATUS_LINK_SPEED_CHANGE
				       : RNDIS_STATUS_MEDIA_CONNECT,
			&speed, sizeof(speed));
		fuzz_scribble(&in, bytes, (size_t)n);
		range = fixture_bytes(&f, 4, bytes, (uint32_t)n);
		fixture_xfer(&f, 0, 7, &range, 1);
		break;
	case 2: /* for what is waited for, maybe */
		nvsp_build(&msg, (enum nvsp_type)(100 + fuzz_below(&in, 40)));
		fuzz_take(&in, (uint8_t *)&msg + 4, 16);
		fixture_packet(&f, 0, VMBUS_PACKET_COMPLETION,
			fuzz_bool(&in) ? fuzz_u64(&in) : atomic_load(&f.port.request.trans_id),
			&msg, 0, fuzz_below(&in, 41));
		break;
	case 3:
		n = rndis_build_query_complete(bytes, sizeof(bytes),
			fuzz_bool(&in) ? fuzz_u32(&in) : atomic_load(&f.port.request.rndis_id),
			fuzz_bool(&in) ? RNDIS_STATUS_FAILURE : RNDIS_STATUS_SUCCESS, info,
			fuzz_below(&in, 64));
		fuzz_scribble(&in, bytes, (size_t)n);
		range = fixture_bytes(&f, 5, bytes, (uint32_t)n);
		fuzz_scribble(&in, &range, sizeof(range));
		fixture_xfer(&f, 0, 8, &range, 1);
		break;
	case 4:
		fuzz_take(&in, bytes, 64);
		fixture_packet(&f, 0, (enum vmbus_packet_type)fuzz_u8(&in), fuzz_u8(&in), bytes,
			8 * fuzz_below(&in, 8), 64);
		break;
	case 5:
		n = nvsp_build_send_table(bytes, sizeof(bytes), NVSP_SEND_TABLE_AT_OLD,
			NVSP_SEND_TABLE_AT_OLD, (const uint32_t[NVSP_SEND_TABLE_ENTRIES]){0, 1});
		fuzz_scribble(&in, bytes, (size_t)n);
		fixture_inband(&f, 0, bytes, (uint32_t)n);
		break;
	}
}

/* The host takes its turn, and what it wrote is changed before anybody has seen it. */
static void
turn(void)
{
	struct vmbus_ring *ring = &f.host[0].in.ring;
	uint32_t before, len;
	uint8_t how;

	if (!f.host[0].open || f.host[0].opens == spoiled)
		return;
	before = f.host[0].to_guest.next_w;
	ladder_turn();
	if (!hostile || in.left == 0 || !f.host[0].open)
		return;
	len = vmbus_ring_used(ring->size, f.host[0].to_guest.next_w, before);
	how = fuzz_u8(&in);
	if (how & 1 && len != 0)
		fuzz_scribble(&in, ring->data + before, len);
	if (how & 2)
		fuzz_scribble(&in, f.bus.recv.base + fuzz_below(&in, 2) * f.conf.recv_section, 256);
	if (how & 4) {
		forge();
		fixture_publish(&f, 0);
	}
	if ((how & 0xf8) == 0xf8) {
		fuzz_scribble(&in, ring->ctl, 20);
		spoiled = f.host[0].opens;
	}
	if ((how & 0xf8) == 0xf0)
		atomic_store(&f.bus.gone, true);
}

static void
on_signal(struct fixture *fixture, unsigned int ch)
{
	if (ch == 0)
		turn();
}

static void
on_signal_again(struct fixture *fixture)
{
	if (ladder_ms != 0)
		ladder_ms += 10;
	turn();
}

/* What needs an operation around it. */
static void
within(unsigned int what)
{
	static const struct hpbus_op_kind kind = {"a target", 2000, 500, false};
	const struct rte_ether_addr mac = {{2, 1, 2, 3, 4, 5}};
	struct hpbus_op op;

	if (netvsc_control_begin(&f.port, &op, &kind) != 0)
		return;
	switch (what) {
	case 0:
		netvsc_query_link(&f.port);
		break;
	case 1:
		netvsc_set_filter(&f.port, fuzz_u8(&in));
		break;
	case 2:
		netvsc_set_mac(&f.port, &mac);
		break;
	case 3:
		netvsc_rss_query(&f.port);
		netvsc_rss_default(&f.port);
		netvsc_rss_apply(&f.port);
		break;
	case 4:
		netvsc_session_want(
			&f.port, 1 + fuzz_below(&in, CHANNELS), 1500 + fuzz_below(&in, 2) * 2500);
		break;
	case 5:
		netvsc_session_renew(&f.port);
		break;
	case 6:
		netvsc_attach_subchannels(&f.port, 1 + fuzz_below(&in, CHANNELS));
		break;
	case 7:
		for (unsigned int i = 0; i < 4; i++)
			netvsc_host_stats_tick(&f.port);
		break;
	}
	netvsc_control_end(&f.port, &op);
}

static void
step(void)
{
	unsigned int what = fuzz_below(&in, 16);

	ladder_ms = 1000000;
	switch (what) {
	case 8:
		netvsc_promiscuous_enable(&f.eth);
		break;
	case 9:
		netvsc_allmulticast_disable(&f.eth);
		break;
	case 10:
		netvsc_link_update(&f.eth, 1);
		break;
	case 11:
		netvsc_mac_addr_set(&f.eth, (struct rte_ether_addr *)(uintptr_t)&ladder_users);
		break;
	case 12:
		if (f.host[0].open) {
			forge();
			fixture_publish(&f, 0);
		}
		break;
	case 13:
		netvsc_control_scan(&f.port);
		break;
	case 14:
		turn();
		break;
	default:
		if (what < 8 && f.port.session.attached)
			within(what);
	}
	ladder_ms = 0;
}

static void
begin(void)
{
	static FILE *nowhere;

	if (nowhere == NULL)
		nowhere = fopen("/dev/null", "w");
	rte_openlog_stream(nowhere); /* what is said is still put together */
	hostile = false;
	spoiled = UINT_MAX;
	FUZZ_CHECK(ladder_begin_as((struct fixture_conf){
		.ring = 16u << 10, .recv_count = 32, .send_count = 8, .mbufs = 63, .nb_desc = 64}));
	ladder_script((enum rung)((OTHER + fuzz_u8(&in)) % N_RUNGS),
		(enum deed)fuzz_below(&in, VANISH + 1));
	host.newest = nvsp_versions_newest_first[fuzz_below(&in, NVSP_VERSION_COUNT)];
	host.max_mtu = fuzz_bool(&in) ? 9000 : 1500;
	host.counter_bytes = fuzz_bool(&in) ? 4 : 8;
	f.on_signal = on_signal;
	f.on_signal_again = on_signal_again;
	hostile = true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int n = 0;
	int rc;

	in = (struct fuzz){data, size};
	begin();
	rc = ladder_attach(1 + fuzz_below(&in, CHANNELS), 1500);
	FUZZ_CHECK(rc <= 0 && f.port.session.attached == (rc == 0));
	while (in.left != 0 && n++ < 32)
		step();
	hostile = false;
	spoiled = UINT_MAX;
	f.on_signal = ladder_on_signal;
	f.on_signal_again = ladder_on_signal_again;
	ladder_ms = 1000000;
	ladder_script(OTHER, ANSWER);
	atomic_store(&f.bus.gone, false);
	netvsc_session_end(&f.port);
	FUZZ_CHECK(!f.port.session.attached);
	ladder_end();
	return 0;
}
