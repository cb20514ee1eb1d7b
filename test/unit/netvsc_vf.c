/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A port and its VF: the control thread of the driver as it is, the host's messages scripted, and a
 * VF whose bursts and calls are functions of the test. A call of the VF may last as long as the
 * test likes, and a burst may stay inside of its driver.
 */
#include <errno.h>
#include <unistd.h>

#include <rte_power_intrinsics.h>
#include <rte_ring.h>

#include "drivers/net/netvsc/vf.h"
#include "lib/netvsp/nvsp.h"
#include "lib/netvsp/rndis.h"
#include "test/unit/netvsc_fixture.h"

#define VF	 9u    /* its port id */
#define PATIENCE 20000 /* ms, on a busy machine */
#define FRAME	 60u
#define SERIAL	 3u
#define TID_VF	 UINT64_C(0x8000000000000000)
#define FRAMES	 200000u /* most that a test numbers */

static struct fixture f;

/* ---- the VF ---- */

static struct {
	atomic_bool owned, started, link;
	atomic_uint owns, starts, stops, disowns, replays, copies, looks;
	atomic_uint inside; /* bursts */
	atomic_uint strays; /* in a VF that is not started, or is being stopped */
	atomic_bool hold_start, hold_stop, hold_burst;
	atomic_bool in_start, in_stop, in_burst;
	atomic_int own_rc, start_rc, replay_rc;
	_Atomic uint32_t replayed;
	struct rte_ring *rx, *tx; /* to the port, from the port */
} vf;

static void
vf_hold(atomic_bool *hold, atomic_bool *in)
{
	atomic_store(in, true);
	while (atomic_load(hold))
		usleep(200);
	atomic_store(in, false);
}

static uint16_t
vf_rx_burst(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t got;

	atomic_fetch_add(&vf.inside, 1);
	if (!atomic_load(&vf.started))
		atomic_fetch_add(&vf.strays, 1);
	if (atomic_load(&vf.hold_burst))
		vf_hold(&vf.hold_burst, &vf.in_burst);
	got = (uint16_t)rte_ring_dequeue_burst(vf.rx, (void **)pkts, n, NULL);
	atomic_fetch_sub(&vf.inside, 1);
	return got;
}

static uint16_t
vf_tx_burst(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t sent;

	atomic_fetch_add(&vf.inside, 1);
	if (!atomic_load(&vf.started))
		atomic_fetch_add(&vf.strays, 1);
	sent = (uint16_t)rte_ring_enqueue_burst(vf.tx, (void **)pkts, n, NULL);
	atomic_fetch_sub(&vf.inside, 1);
	return sent;
}

static int
call_find_start(struct netvsc_port *port, struct netvsc_vf_setup *setup)
{
	return 0;
}

static void
call_find_stop(struct netvsc_port *port)
{
}

static int
call_find_again(struct netvsc_vf_setup *setup, bool associated, uint32_t serial)
{
	atomic_fetch_add(&vf.looks, 1);
	return -1;
}

static int
call_setup_copy(struct netvsc_port *port, struct netvsc_vf_setup *setup)
{
	CU_ASSERT(pthread_mutex_trylock(&port->control_lock) != 0);
	atomic_fetch_add(&vf.copies, 1);
	return 0;
}

static void
call_setup_free(struct netvsc_vf_setup *setup)
{
}

static int
call_own(struct netvsc_vf_setup *setup, uint16_t id)
{
	int rc = atomic_load(&vf.own_rc);

	CU_ASSERT_EQUAL(id, VF);
	atomic_fetch_add(&vf.owns, 1);
	atomic_store(&vf.owned, rc == 0);
	return rc;
}

static void
call_disown(struct netvsc_vf_setup *setup, uint16_t id)
{
	CU_ASSERT(atomic_load(&vf.owned));
	atomic_store(&vf.owned, false);
	atomic_fetch_add(&vf.disowns, 1);
}

static int
call_start(struct netvsc_vf_setup *setup, uint16_t id)
{
	int rc;

	vf_hold(&vf.hold_start, &vf.in_start);
	rc = atomic_load(&vf.start_rc);
	CU_ASSERT_FALSE(atomic_load(&vf.started));
	atomic_store(&vf.started, rc == 0);
	atomic_fetch_add(&vf.starts, 1);
	return rc;
}

static void
call_stop(struct netvsc_vf_setup *setup, uint16_t id)
{
	CU_ASSERT_TRUE(atomic_load(&vf.started));
	atomic_store(&vf.started, false);
	if (atomic_load(&vf.inside) != 0)
		atomic_fetch_add(&vf.strays, 1);
	vf_hold(&vf.hold_stop, &vf.in_stop);
	atomic_fetch_add(&vf.stops, 1);
}

static int
call_replay(struct netvsc_vf_setup *setup, uint16_t id, uint32_t what)
{
	atomic_fetch_or(&vf.replayed, what);
	atomic_fetch_add(&vf.replays, 1);
	return atomic_load(&vf.replay_rc);
}

static bool
call_link(struct netvsc_vf_setup *setup, uint16_t id)
{
	return atomic_load(&vf.link);
}

static const struct netvsc_vf_calls calls = {
	.find_start = call_find_start,
	.find_stop = call_find_stop,
	.find_again = call_find_again,
	.setup_copy = call_setup_copy,
	.setup_free = call_setup_free,
	.own = call_own,
	.disown = call_disown,
	.start = call_start,
	.stop = call_stop,
	.replay = call_replay,
	.link = call_link,
};

/* ---- the host ---- */

static struct {
	bool associated, path_vf;
	bool holds;   /* it does not answer a 129 */
	bool refuses; /* it completes a 129(1), and moves the path back */
	uint64_t tid; /* of a 129 that is not answered */
	uint32_t asked;
	unsigned int to_vf, back; /* 129s of the driver */
	unsigned int empty;	  /* completions of notices */
	uint64_t empty_tid;
	unsigned int requests; /* for subchannels */
	bool polled;	       /* somebody else receives */
	bool strict;	       /* frames to the VF only when the path is there */
	unsigned int early;    /* that were not */
} host;

/* How often each numbered frame has come, on either path. */
static uint8_t seen[FRAMES];
static unsigned int seen_vf, seen_synthetic, damaged;

static void
number_put(uint8_t *frame, uint32_t number)
{
	fixture_fill(frame, FRAME, number);
	frame[12] = 0x88; /* an EtherType of nobody, by no chance a tag's */
	frame[13] = 0xb5;
	memcpy(frame + 14, &number, sizeof(number));
}

static void
number_seen(const uint8_t *frame, uint32_t len)
{
	uint8_t want[FRAME];
	uint32_t number;

	memcpy(&number, frame + 14, sizeof(number));
	number_put(want, number);
	if (len != FRAME || number >= FRAMES || memcmp(want, frame, FRAME) != 0)
		damaged++;
	else
		seen[number]++;
}

static struct rte_mbuf *
numbered(uint32_t number)
{
	struct rte_mbuf *m = fixture_mbuf(&f, FRAME, 0);

	if (m != NULL)
		number_put(rte_pktmbuf_mtod(m, uint8_t *), number);
	return m;
}

static void
host_notice(const struct nvsp_message *msg, uint64_t tid)
{
	/* As from a host that wants a completion. */
	struct {
		struct vmbus_packet desc;
		struct nvsp_message msg;
	} pkt = {.msg = *msg};

	vmbus_packet_init(&pkt.desc, VMBUS_PACKET_INBAND, sizeof(pkt.desc), sizeof(pkt),
		VMBUS_FLAG_COMPLETION, tid);
	CU_ASSERT_EQUAL(vmbus_ring_write(&f.host[0].to_guest, &pkt, sizeof(pkt), 0), 0);
	fixture_publish(&f, 0);
}

static void
host_associate(bool on, uint32_t serial)
{
	struct nvsp_message msg;

	host.associated = on;
	nvsp_build_vf_association(&msg, on, serial);
	host_notice(&msg, TID_VF);
}

static void
host_force(void)
{
	struct nvsp_message msg;

	host.path_vf = false;
	nvsp_build_switch_data_path(&msg, NVSP_DATA_PATH_SYNTHETIC);
	host_notice(&msg, TID_VF + 1);
}

static void
host_answer(void)
{
	bool refuse = host.asked == NVSP_DATA_PATH_VF && host.refuses;

	host.path_vf = host.asked == NVSP_DATA_PATH_VF && host.associated && !refuse;
	CU_ASSERT_EQUAL(fixture_packet(&f, 0, VMBUS_PACKET_COMPLETION, host.tid, NULL, 0, 0), 0);
	fixture_publish(&f, 0);
	host.tid = 0;
	if (refuse)
		host_force();
}

static void
host_frames(const struct nvsp_message *msg)
{
	static const struct rndis_tx_rules rules = {
		.max_frame = 1518, .max_lso = RNDIS_MAX_BIG_FRAME, .mss_floor = 1};
	const uint8_t *bytes =
		f.bus.send.base + (size_t)msg->rndis.section_index * f.conf.send_section;
	uint32_t at = 0, len = msg->rndis.section_bytes;
	struct rndis_packet_info info;

	CU_ASSERT_FATAL(msg->rndis.section_index < f.conf.send_count);
	while (at != len) {
		CU_ASSERT_EQUAL_FATAL(
			rndis_packet_parse_tx(bytes + at, len - at, len - at, &rules, &info), 0);
		number_seen(bytes + at + info.data_abs, info.data_length);
		seen_synthetic++;
		at += info.message_length;
	}
}

static void
host_take(const struct fixture_packet *pkt)
{
	struct nvsp_message msg = fixture_nvsp(pkt);

	if (pkt->desc.type == VMBUS_PACKET_COMPLETION) {
		if (pkt->len == sizeof(pkt->desc)) {
			host.empty++;
			host.empty_tid = pkt->desc.trans_id;
		}
		return;
	}
	if (msg.type == NVSP_TYPE_SWITCH_DATA_PATH) {
		/* One at a time (spec/nvsp.md §2), to be completed (pitfall N12). */
		CU_ASSERT_EQUAL(host.tid, 0);
		CU_ASSERT_EQUAL(pkt->desc.flags, VMBUS_FLAG_COMPLETION);
		CU_ASSERT_EQUAL(pkt->len, sizeof(pkt->desc) + sizeof(msg));
		host.tid = pkt->desc.trans_id;
		host.asked = msg.switch_data_path.path;
		if (host.asked == NVSP_DATA_PATH_VF)
			host.to_vf++;
		else
			host.back++;
		if (!host.holds)
			host_answer();
	} else if (msg.type == NVSP_TYPE_RNDIS) {
		host_frames(&msg);
		CU_ASSERT_EQUAL(
			fixture_complete(&f, 0, pkt->desc.trans_id, NVSP_STATUS_SUCCESS), 0);
	} else if (msg.type == NVSP_TYPE_SUBCHANNEL) {
		CU_ASSERT_EQUAL(host.tid, 0);
		host.requests++;
		nvsp_build_subchannel_complete(&msg, NVSP_STATUS_FAILURE, 0);
		CU_ASSERT_EQUAL(fixture_packet(&f, 0, VMBUS_PACKET_COMPLETION, pkt->desc.trans_id,
					&msg, 0, sizeof(msg)),
			0);
	}
}

/* Frames that went through the VF. */
static void
host_take_from_vf(void)
{
	struct rte_mbuf *m;

	while (rte_ring_dequeue(vf.tx, (void **)&m) == 0) {
		if (host.strict && !host.path_vf)
			host.early++;
		number_seen(rte_pktmbuf_mtod(m, const uint8_t *), m->pkt_len);
		seen_vf++;
		rte_pktmbuf_free(m);
	}
}

/* The driver hears what the host has said. */
static void
scan(void)
{
	struct netvsc_channel *ch = fixture_channel(&f, 0);

	rte_spinlock_lock(&ch->rx_lock);
	netvsc_rx_scan(ch);
	rte_spinlock_unlock(&ch->rx_lock);
}

/* The host does what there is to do, and the driver hears of it. */
static void
turn(void)
{
	struct fixture_packet pkt;

	/* Before: a 129(0) comes after the last frame. */
	host_take_from_vf();
	while (fixture_read(&f, 0, &pkt))
		host_take(&pkt);
	fixture_publish(&f, 0);
	if (!host.polled)
		scan();
}

static void
turn_for_control(struct fixture *fixture)
{
	turn();
}

#define UNTIL(cond)                                                                                \
	do {                                                                                       \
		int64_t until_end = hpbus_now_ms() + PATIENCE;                                     \
                                                                                                   \
		while (!(cond) && hpbus_now_ms() < until_end) {                                    \
			turn();                                                                    \
			usleep(100);                                                               \
		}                                                                                  \
		CU_ASSERT(cond);                                                                   \
	} while (0)

/* ---- a port ---- */

static struct netvsc_vf_status
status(void)
{
	struct netvsc_vf_status s;

	netvsc_vf_status(&f.port, &s);
	return s;
}

static bool
used(void)
{
	return status().used;
}

static struct rte_ring *
ring_make(const char *name)
{
	struct rte_ring *ring = rte_ring_lookup(name);

	/* Any thread, as far as it matters here. */
	return ring != NULL ? ring : rte_ring_create(name, 256, SOCKET_ID_ANY, 0);
}

static void
join(void)
{
	struct hpbus_op op;

	CU_ASSERT_EQUAL_FATAL(netvsc_control_begin(&f.port, &op, &netvsc_op_setting), 0);
	netvsc_vf_join(&f.port);
	netvsc_control_end(&f.port, &op);
}

static bool
leave(void)
{
	struct hpbus_op op;
	bool quiet;

	CU_ASSERT_EQUAL_FATAL(netvsc_control_begin(&f.port, &op, &netvsc_op_stop), 0);
	quiet = netvsc_vf_leave(&f.port);
	netvsc_control_end(&f.port, &op);
	return quiet;
}

/* A port that runs, and no VF. */
static bool
begin(void)
{
	static void *queues[RTE_MAX_QUEUES_PER_PORT], *callbacks[RTE_MAX_QUEUES_PER_PORT];
	const struct fixture_conf conf = {.mbufs = 4095, .copy_only = true};

	memset(&vf, 0, sizeof(vf));
	memset(&host, 0, sizeof(host));
	memset(seen, 0, sizeof(seen));
	seen_vf = seen_synthetic = damaged = 0;
	if (!fixture_begin(&f, &conf))
		return false;
	vf.rx = ring_make("vf_rx");
	vf.tx = ring_make("vf_tx");
	atomic_store(&vf.link, true);
	rte_eth_fp_ops[VF].rx_pkt_burst = vf_rx_burst;
	rte_eth_fp_ops[VF].tx_pkt_burst = vf_tx_burst;
	rte_eth_fp_ops[VF].rxq.data = rte_eth_fp_ops[VF].txq.data = queues;
	rte_eth_fp_ops[VF].rxq.clbk = rte_eth_fp_ops[VF].txq.clbk = (void *)callbacks;
	f.on_signal_again = turn_for_control;
	f.data.dev_started = 1;
	f.data.rx_queue_state[0] = f.data.tx_queue_state[0] = RTE_ETH_QUEUE_STATE_STARTED;
	CU_ASSERT_EQUAL_FATAL(netvsc_vf_new(&f.port), 0);
	f.port.vf->calls = &calls;
	netvsc_vf_open(&f.port);
	netvsc_vf_session_begins(&f.port);
	CU_ASSERT_TRUE(netvsc_vf_possible(&f.port));
	return true;
}

static void
end(void)
{
	host.polled = false;
	if (f.port.vf->has_thread)
		CU_ASSERT_TRUE(netvsc_vf_close(&f.port));
	CU_ASSERT_EQUAL(atomic_load(&vf.strays), 0);
	netvsc_vf_put(f.port.vf);
	f.port.vf = NULL;
	turn();
	fixture_end(&f);
}

/* ... that sends through its VF. */
static bool
begin_used(void)
{
	if (!begin())
		return false;
	join();
	host_associate(true, SERIAL);
	netvsc_vf_event(&f.port, NETVSC_VF_FOUND, VF);
	UNTIL(used());
	return used();
}

static uint16_t
send_one(uint32_t number)
{
	struct rte_mbuf *m = numbered(number);
	uint16_t n = netvsc_vf_tx_burst(f.tx_queues[0], &m, 1);

	if (n == 0)
		rte_pktmbuf_free(m);
	return n;
}

/* Send a frame. @return whether it goes through the VF */
static bool
goes_to_vf(uint32_t number)
{
	unsigned int before = seen_vf, other = seen_synthetic;

	CU_ASSERT_EQUAL(send_one(number), 1);
	turn();
	CU_ASSERT_EQUAL(seen_vf - before + seen_synthetic - other, 1);
	CU_ASSERT_EQUAL(seen[number], 1);
	return seen_vf != before;
}

/* ---- tests ---- */

/* Golden bytes (spec/nvsp.md, Checks), and who asks for VFs. */
static void
test_the_host_is_asked_for_virtual_functions(void)
{
	static const uint32_t versions[] = {NVSP_VERSION_61, NVSP_VERSION_5, NVSP_VERSION_4};
	struct netvsc_vf *with;
	struct fixture_packet pkt;
	struct nvsp_message msg;
	unsigned int i;

	REQUIRE(begin());
	with = f.port.vf;
	f.port.session.asked_mtu = 1500;
	for (i = 0; i < 6; i++) {
		f.port.session.nvsp_version = versions[i / 2];
		f.port.vf = i % 2 == 0 ? with : NULL;
		CU_ASSERT_EQUAL(netvsc_nvsp_configure(&f.port), 0);
		CU_ASSERT_TRUE(fixture_read(&f, 0, &pkt));
		msg = fixture_nvsp(&pkt);
		CU_ASSERT_EQUAL(msg.type, NVSP_TYPE_NDIS_CONFIG);
		CU_ASSERT_EQUAL((msg.ndis_config.capabilities & NVSP_CAP_SRIOV) != 0,
			f.port.vf != NULL && versions[i / 2] >= NVSP_VERSION_5);
		CU_ASSERT_TRUE(fixture_read(&f, 0, &pkt)); /* NDIS_VERSION */
	}
	f.port.session.nvsp_version = NVSP_VERSION_61;
	f.port.vf = with;
	end();
}

static void
test_frames_go_through_the_vf_when_the_host_has_moved_the_path(void)
{
	struct rte_mbuf *m, *got[4];

	REQUIRE(begin());
	CU_ASSERT_FALSE(goes_to_vf(1));
	host_associate(true, SERIAL);
	UNTIL(host.empty == 1); /* who asks for a completion gets an empty one */
	CU_ASSERT_EQUAL(host.empty_tid, TID_VF);
	UNTIL(atomic_load(&vf.looks) == 1);
	CU_ASSERT_TRUE(status().associated);
	CU_ASSERT_EQUAL(status().serial, SERIAL);
	/* The session before may have left the path where nobody listens. */
	UNTIL(host.back == 1);
	netvsc_vf_event(&f.port, NETVSC_VF_FOUND, VF);
	UNTIL(atomic_load(&vf.owned));
	CU_ASSERT_FALSE(atomic_load(&vf.started));
	CU_ASSERT_FALSE(goes_to_vf(2));
	host.holds = true;
	join();
	UNTIL(host.tid != 0);
	CU_ASSERT_TRUE(atomic_load(&vf.started));
	CU_ASSERT_EQUAL(host.asked, NVSP_DATA_PATH_VF);
	/* Frames may come before the answer does, but none is sent (pitfall N12). */
	CU_ASSERT_FALSE(goes_to_vf(3));
	CU_ASSERT_EQUAL(rte_ring_enqueue(vf.rx, numbered(4)), 0);
	CU_ASSERT_EQUAL(netvsc_vf_rx_burst(f.rx_queues[0], got, 4), 1);
	CU_ASSERT_EQUAL(got[0]->port, f.data.port_id); /* pitfall X18 */
	rte_pktmbuf_free(got[0]);
	host.holds = false;
	host_answer();
	UNTIL(used());
	CU_ASSERT_TRUE(goes_to_vf(5));
	/* Both paths are received from, whichever is full. */
	CU_ASSERT_EQUAL(fixture_frames(&f, 0, 1, 4, 3, FRAME, 70), 0);
	fixture_publish(&f, 0);
	m = numbered(6);
	m->port = VF;
	CU_ASSERT_EQUAL(rte_ring_enqueue(vf.rx, m), 0);
	CU_ASSERT_EQUAL(netvsc_vf_rx_burst(f.rx_queues[0], got, 2), 2);
	CU_ASSERT_EQUAL(netvsc_vf_rx_burst(f.rx_queues[0], got + 2, 2), 2);
	CU_ASSERT_EQUAL(got[0]->port, f.data.port_id);
	CU_ASSERT_EQUAL(got[1]->port, f.data.port_id);
	rte_pktmbuf_free_bulk(got, 4);
	CU_ASSERT_EQUAL(rte_ring_count(vf.rx), 0);
	CU_ASSERT_EQUAL(f.port.vf_tx[0].packets, 1);
	CU_ASSERT_EQUAL(f.port.vf_rx[0].packets, 2);
	/* Nobody sleeps on one ring who receives from two. */
	struct rte_power_monitor_cond cond = {0};
	CU_ASSERT_EQUAL(netvsc_get_monitor_addr(f.rx_queues[0], &cond), 0);
	CU_ASSERT_EQUAL(cond.opaque[0], UINT64_MAX);
	end();
	CU_ASSERT_EQUAL(atomic_load(&vf.stops), 1);
	CU_ASSERT_EQUAL(atomic_load(&vf.disowns), 1);
}

/* A host's messages are heard in every burst, also by who has room for no frame (pitfall X19). */
static void
test_a_burst_of_nothing_hears_the_host(void)
{
	REQUIRE(begin_used());
	host_force();
	CU_ASSERT_EQUAL(netvsc_vf_rx_burst(f.rx_queues[0], NULL, 0), 0);
	CU_ASSERT_EQUAL(netvsc_vf_path(f.port.vf_tx), 0);
	end();
}

/* The burst that hears of it is the last one there: nobody waits for the thread. */
static void
test_a_forced_switch_counts_at_once(void)
{
	unsigned int asked;

	REQUIRE(begin_used());
	asked = host.to_vf;
	host_force();
	scan();
	CU_ASSERT_FALSE(goes_to_vf(1));
	CU_ASSERT_EQUAL(netvsc_vf_path(f.port.vf_tx), 0);
	CU_ASSERT(netvsc_vf_path(f.port.vf_rx) != 0); /* what is there still comes */
	UNTIL(status().counts.forced == 1);
	CU_ASSERT_EQUAL(host.back, 1); /* it knows already */
	/* Later it is asked again. */
	UNTIL(used());
	CU_ASSERT_EQUAL(host.to_vf, asked + 1);
	CU_ASSERT_TRUE(goes_to_vf(2));
	CU_ASSERT_EQUAL(atomic_load(&vf.starts), 1);
	end();
}

static void
test_a_refused_switch_is_survived_and_tried_again(void)
{
	REQUIRE(begin());
	host.refuses = true;
	join();
	host_associate(true, SERIAL);
	netvsc_vf_event(&f.port, NETVSC_VF_FOUND, VF);
	UNTIL(status().counts.refused + status().counts.forced == 2);
	CU_ASSERT_FALSE(goes_to_vf(1));
	CU_ASSERT_EQUAL(seen_vf, 0);
	host.refuses = false;
	UNTIL(used());
	CU_ASSERT_TRUE(goes_to_vf(2));
	CU_ASSERT_EQUAL(atomic_load(&vf.starts), 1);
	end();
}

/* Either message may be the first, and the device goes at any time (spec/nvsp.md §9). */
static void
test_a_vf_goes_in_any_order(void)
{
	unsigned int order;

	for (order = 0; order < 4; order++) {
		REQUIRE(begin_used());
		host.strict = true;
		if (order == 0)
			host_force();
		if (order <= 1)
			host_associate(false, SERIAL);
		if (order == 2)
			host_associate(false, 0);
		if (order == 3)
			netvsc_vf_event(&f.port, NETVSC_VF_LOST, VF);
		scan();
		CU_ASSERT_FALSE(goes_to_vf(1));
		UNTIL(!status().used && !host.path_vf);
		if (order != 3) {
			CU_ASSERT_TRUE(atomic_load(&vf.started));
			netvsc_vf_event(&f.port, NETVSC_VF_LOST, VF);
		}
		UNTIL(atomic_load(&vf.disowns) == 1);
		CU_ASSERT_EQUAL(atomic_load(&vf.stops), 1);
		if (order == 3)
			host_associate(false, 0);
		/* It comes back, with another serial. */
		netvsc_vf_event(&f.port, NETVSC_VF_FOUND, VF);
		host_associate(true, SERIAL + 1);
		UNTIL(used());
		CU_ASSERT_TRUE(goes_to_vf(2));
		CU_ASSERT_EQUAL(host.early, 0);
		end();
	}
}

/* Pitfall V13: a stopped VF that still gets the frames of the host drops them. */
static void
test_a_port_that_stops_takes_the_path_back_first(void)
{
	unsigned int i;

	REQUIRE(begin_used());
	for (i = 0; i < 2; i++) {
		CU_ASSERT_TRUE(leave());
		CU_ASSERT_FALSE(host.path_vf);
		CU_ASSERT_FALSE(goes_to_vf(2 * i));
		UNTIL(atomic_load(&vf.stops) == i + 1);
		CU_ASSERT_FALSE(host.path_vf);
		join();
		UNTIL(used());
		CU_ASSERT_TRUE(goes_to_vf(2 * i + 1));
	}
	end();
}

/* The VF itself stays started until the host has the path elsewhere, or is past waiting for. */
static void
test_a_host_that_is_slow_keeps_the_vf_started_not_the_port(void)
{
	int64_t began;

	REQUIRE(begin_used());
	host.holds = true;
	began = hpbus_now_ms();
	CU_ASSERT_TRUE(leave());
	CU_ASSERT(hpbus_now_ms() - began < 2800);
	CU_ASSERT_EQUAL(host.asked, NVSP_DATA_PATH_SYNTHETIC);
	CU_ASSERT_FALSE(goes_to_vf(1));
	usleep(20000);
	CU_ASSERT_TRUE(atomic_load(&vf.started));
	CU_ASSERT_EQUAL(atomic_load(&vf.stops), 0);
	host.holds = false;
	host_answer();
	UNTIL(atomic_load(&vf.stops) == 1);
	end();
}

/* spec/nvsp.md §10: who leaves the session, or the device, leaves the path where others are. */
static void
test_a_session_that_ends_takes_the_path_back(void)
{
	struct hpbus_op op;

	REQUIRE(begin_used());
	CU_ASSERT_EQUAL_FATAL(netvsc_control_begin(&f.port, &op, &netvsc_op_stop), 0);
	netvsc_vf_session_ends(&f.port, true);
	netvsc_control_end(&f.port, &op);
	CU_ASSERT_FALSE(host.path_vf);
	host.associated = false;
	CU_ASSERT_EQUAL(netvsc_vf_path(f.port.vf_tx), 0);
	CU_ASSERT_FALSE(status().associated);
	/* Another session: wait for the association, and ask again. */
	netvsc_vf_session_begins(&f.port);
	usleep(20000);
	turn();
	CU_ASSERT_FALSE(used());
	host_associate(true, SERIAL + 1);
	UNTIL(used());
	CU_ASSERT_EQUAL(atomic_load(&vf.starts), 1); /* the VF has nothing to do with it */
	end();
}

/* One at a time: what NVSP answers is asked when the answer to a switch has come. */
static unsigned int waits;

static void
answer_in_a_moment(struct fixture *fixture)
{
	if (++waits == 20) {
		CU_ASSERT_EQUAL(host.requests, 0);
		host.holds = false;
		host_answer();
	}
	turn();
}

static void
test_a_request_waits_for_the_answer_to_a_switch(void)
{
	struct hpbus_op op;
	unsigned int granted;

	REQUIRE(begin());
	host.holds = true;
	join();
	netvsc_vf_event(&f.port, NETVSC_VF_FOUND, VF);
	host_associate(true, SERIAL);
	UNTIL(host.tid != 0);
	waits = 0;
	f.on_signal_again = answer_in_a_moment;
	CU_ASSERT_EQUAL_FATAL(netvsc_control_begin(&f.port, &op, &netvsc_op_setting), 0);
	CU_ASSERT_EQUAL(netvsc_nvsp_subchannels(&f.port, 1, &granted), 0);
	netvsc_control_end(&f.port, &op);
	CU_ASSERT(waits >= 20);
	CU_ASSERT_EQUAL(host.requests, 1);
	CU_ASSERT_FALSE(netvsc_vf_switching(&f.port));
	end();
}

/* Pitfall V5: a VF that takes its time to start holds up nobody. */
static void
test_a_start_that_lasts_holds_up_nobody(void)
{
	int64_t began;

	REQUIRE(begin());
	atomic_store(&vf.hold_start, true);
	host_associate(true, SERIAL);
	netvsc_vf_event(&f.port, NETVSC_VF_FOUND, VF);
	join();
	UNTIL(atomic_load(&vf.in_start));
	CU_ASSERT_FALSE(goes_to_vf(1));
	began = hpbus_now_ms();
	CU_ASSERT_TRUE(leave());
	join();
	CU_ASSERT(hpbus_now_ms() - began < 2000);
	CU_ASSERT_FALSE(goes_to_vf(2));
	/* The port has been stopped meanwhile: it is not what it was configured for. */
	atomic_store(&vf.hold_start, false);
	UNTIL(used());
	CU_ASSERT_EQUAL(atomic_load(&vf.starts), 2);
	CU_ASSERT_EQUAL(atomic_load(&vf.stops), 1);
	end();
}

/* Pitfall V6: nor does one whose stop never returns; the port is closed without it. */
static void
test_a_stop_that_hangs_holds_up_nobody(void)
{
	int64_t began;
	unsigned int i;

	REQUIRE(begin_used());
	atomic_store(&vf.hold_stop, true);
	CU_ASSERT_TRUE(leave());
	UNTIL(atomic_load(&vf.in_stop));
	join();
	CU_ASSERT_FALSE(goes_to_vf(1));
	CU_ASSERT_TRUE(leave());
	began = hpbus_now_ms();
	CU_ASSERT_TRUE(netvsc_vf_close(&f.port));
	CU_ASSERT(hpbus_now_ms() - began < 2800);
	f.port.vf->has_thread = false; /* left alone */
	end();
	/* The port is gone when the call returns, and what is left is done. */
	atomic_store(&vf.hold_stop, false);
	for (i = 0; i < PATIENCE && atomic_load(&vf.disowns) == 0; i++)
		usleep(1000);
	CU_ASSERT_EQUAL(atomic_load(&vf.disowns), 1);
}

/* A burst that does not come out of the VF's driver: the VF is not taken away from under it. */
static void *
burst_once(void *arg)
{
	struct rte_mbuf *m[1];

	netvsc_vf_rx_burst(f.rx_queues[0], m, 0);
	netvsc_vf_rx_burst(f.rx_queues[0], m, 1);
	return NULL;
}

static void
test_a_burst_that_stays_inside_keeps_the_vf(void)
{
	pthread_t thread;
	int64_t began;

	REQUIRE(begin_used());
	atomic_store(&vf.hold_burst, true);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, burst_once, NULL), 0);
	UNTIL(atomic_load(&vf.in_burst));
	began = hpbus_now_ms();
	CU_ASSERT_FALSE(leave());
	CU_ASSERT(hpbus_now_ms() - began < 2000);
	CU_ASSERT_FALSE(host.path_vf);
	CU_ASSERT_FALSE(goes_to_vf(1));
	CU_ASSERT_TRUE(atomic_load(&vf.started));
	CU_ASSERT_FALSE(netvsc_vf_close(&f.port)); /* all stays */
	CU_ASSERT_TRUE(atomic_load(&vf.started));
	atomic_store(&vf.hold_burst, false);
	pthread_join(thread, NULL);
	UNTIL(atomic_load(&vf.stops) == 1);
	end();
}

static void
test_a_vf_without_a_link_is_not_used(void)
{
	REQUIRE(begin());
	atomic_store(&vf.link, false);
	join();
	host_associate(true, SERIAL);
	netvsc_vf_event(&f.port, NETVSC_VF_FOUND, VF);
	UNTIL(status().receives);
	CU_ASSERT_FALSE(goes_to_vf(1));
	CU_ASSERT_EQUAL(host.to_vf, 0);
	/* Nobody tells: it is looked at. */
	atomic_store(&vf.link, true);
	UNTIL(used());
	atomic_store(&vf.link, false);
	netvsc_vf_event(&f.port, NETVSC_VF_LINK, 0);
	CU_ASSERT_FALSE(goes_to_vf(2)); /* at once */
	UNTIL(host.back == 2);
	CU_ASSERT_FALSE(host.path_vf);
	end();
}

/* Pitfall V16. */
static void
test_a_vf_that_resets_itself_is_left_and_entered_again(void)
{
	REQUIRE(begin_used());
	netvsc_vf_event(&f.port, NETVSC_VF_RECOVERING, 0);
	CU_ASSERT_FALSE(goes_to_vf(1));
	CU_ASSERT_EQUAL(netvsc_vf_path(f.port.vf_rx), 0);
	UNTIL(!host.path_vf);
	CU_ASSERT_TRUE(leave());
	usleep(20000);
	CU_ASSERT_EQUAL(atomic_load(&vf.stops), 0); /* nothing of it may be called */
	join();
	netvsc_vf_event(&f.port, NETVSC_VF_RECOVERED, 0);
	UNTIL(used());
	CU_ASSERT_TRUE(goes_to_vf(2));
	netvsc_vf_event(&f.port, NETVSC_VF_RECOVERING, 0);
	netvsc_vf_event(&f.port, NETVSC_VF_RECOVERY_FAILED, 0);
	CU_ASSERT_FALSE(goes_to_vf(3));
	UNTIL(atomic_load(&vf.stops) == 2);
	netvsc_vf_event(&f.port, NETVSC_VF_FOUND, VF);
	UNTIL(used());
	end();
}

static void
test_a_vf_that_fails_leaves_the_port_as_it_is(void)
{
	REQUIRE(begin());
	atomic_store(&vf.own_rc, -EPERM);
	join();
	host_associate(true, SERIAL);
	netvsc_vf_event(&f.port, NETVSC_VF_FOUND, VF);
	UNTIL(atomic_load(&vf.owns) == 1);
	CU_ASSERT_FALSE(goes_to_vf(1));
	atomic_store(&vf.own_rc, 0);
	atomic_store(&vf.start_rc, -EIO);
	UNTIL(atomic_load(&vf.starts) == 1);
	CU_ASSERT_FALSE(goes_to_vf(2));
	atomic_store(&vf.start_rc, 0);
	UNTIL(used());
	CU_ASSERT_TRUE(goes_to_vf(3));
	CU_ASSERT_EQUAL(status().counts.failed_starts, 1);
	end();
}

static void
test_settings_are_replayed_onto_the_vf(void)
{
	REQUIRE(begin_used());
	netvsc_vf_changed(&f.port, NETVSC_VF_SET_PROMISCUOUS);
	netvsc_vf_changed(&f.port, NETVSC_VF_SET_RSS);
	UNTIL(atomic_load(&vf.replayed) == (NETVSC_VF_SET_PROMISCUOUS | NETVSC_VF_SET_RSS));
	CU_ASSERT_EQUAL(atomic_load(&vf.starts), 1);
	/* What it does not take while it runs it gets by another start. */
	atomic_store(&vf.replay_rc, -EBUSY);
	netvsc_vf_changed(&f.port, NETVSC_VF_SET_MTU);
	UNTIL(atomic_load(&vf.stops) == 1);
	UNTIL(used());
	CU_ASSERT_EQUAL(atomic_load(&vf.starts), 2);
	end();
}

/* A VF would spread frames over all queues, and interrupts come from one path only. */
static void
test_a_vf_is_for_ports_with_all_queues_polled(void)
{
	REQUIRE(begin_used());
	CU_ASSERT_EQUAL(netvsc_rx_queue_stop(&f.eth, 0), 0);
	CU_ASSERT_FALSE(host.path_vf);
	CU_ASSERT_FALSE(goes_to_vf(1));
	join();
	UNTIL(atomic_load(&vf.stops) == 1);
	CU_ASSERT_FALSE(used());
	CU_ASSERT_EQUAL(netvsc_rx_queue_start(&f.eth, 0), 0);
	UNTIL(used());
	CU_ASSERT_EQUAL(netvsc_tx_queue_stop(&f.eth, 0), 0);
	CU_ASSERT_FALSE(host.path_vf);
	CU_ASSERT_EQUAL(netvsc_tx_queue_start(&f.eth, 0), 0);
	UNTIL(used());
	CU_ASSERT_TRUE(leave());
	f.data.dev_conf.intr_conf.rxq = 1;
	join();
	usleep(20000);
	turn();
	CU_ASSERT_FALSE(used());
	end();
}

/* What a host says that makes no sense, and a port that wants no VF. */
static void
test_notices_of_a_host_that_was_not_asked(void)
{
	struct netvsc_channel_stats *stats;
	struct nvsp_message msg;
	struct netvsc_vf *with;

	REQUIRE(begin());
	stats = &fixture_channel(&f, 0)->stats;
	nvsp_build_switch_data_path(&msg, 7);
	host_notice(&msg, TID_VF);
	scan();
	CU_ASSERT_EQUAL(stats->rx_unknown_packets, 1);
	with = f.port.vf;
	f.port.vf = NULL;
	host_associate(true, SERIAL);
	host_force();
	scan();
	f.port.vf = with;
	CU_ASSERT_FALSE(status().associated);
	f.port.session.nvsp_version = NVSP_VERSION_4;
	CU_ASSERT_FALSE(netvsc_vf_possible(&f.port));
	host_associate(true, SERIAL);
	scan();
	CU_ASSERT_FALSE(status().associated);
	CU_ASSERT_EQUAL(stats->rx_unknown_packets, 1);
	f.port.session.nvsp_version = NVSP_VERSION_61;
	end();
}

/* ---- flips under bursts of other threads ---- */

static struct {
	atomic_bool stop;
	_Atomic uint32_t sent; /* numbers from 0 */
	_Atomic uint32_t received, twice, foreign;
	uint8_t got[FRAMES];
} traffic;

static void *
sender(void *arg)
{
	struct rte_mbuf *m[8];
	uint32_t next = 0;
	uint16_t n, i;

	while (!atomic_load(&traffic.stop) && next < FRAMES - 8) {
		for (n = 0; n < 8; n++) {
			m[n] = numbered(next + n);
			if (m[n] == NULL)
				break;
		}
		i = netvsc_vf_tx_burst(f.tx_queues[0], m, n);
		next += i;
		rte_pktmbuf_free_bulk(m + i, n - i);
		atomic_store(&traffic.sent, next);
		usleep(i < n || n == 0 ? 50 : 20);
	}
	return NULL;
}

static void *
receiver(void *arg)
{
	struct rte_mbuf *m[16];
	uint32_t number;
	uint16_t n, i;

	while (!atomic_load(&traffic.stop)) {
		n = netvsc_vf_rx_burst(f.rx_queues[0], m, 16);
		for (i = 0; i < n; i++) {
			memcpy(&number, rte_pktmbuf_mtod_offset(m[i], void *, 14), sizeof(number));
			if (m[i]->port != f.data.port_id || number >= FRAMES)
				atomic_fetch_add(&traffic.foreign, 1);
			else if (traffic.got[number]++ != 0)
				atomic_fetch_add(&traffic.twice, 1);
			atomic_fetch_add(&traffic.received, 1);
			rte_pktmbuf_free(m[i]);
		}
		if (n == 0)
			usleep(20);
	}
	return NULL;
}

/* A numbered frame to the guest, on either path. @return whether there was room */
static bool
inject(uint32_t number)
{
	static uint32_t section;
	struct fixture_frame frame = {.len = FRAME};
	struct vmbus_xfer_range range;
	struct rte_mbuf *m;

	if (number % 2 == 0) {
		m = numbered(number);
		if (m == NULL || rte_ring_enqueue(vf.rx, m) != 0) {
			rte_pktmbuf_free(m);
			return false;
		}
		return true;
	}
	section = (section + 1) % 64;
	range = fixture_message(&f, section, &frame);
	number_put(f.bus.recv.base + range.byte_offset + FIXTURE_DATA_AT, number);
	return fixture_xfer(&f, 0, number, &range, 1) == 0;
}

/* There and back, in one of the ways that there are. */
static void
flip(unsigned int i)
{
	uint64_t before = status().counts.to_vf;

	host.strict = i % 7 != 0;
	switch (i % 7) {
	case 0:
		host_force();
		UNTIL(!used());
		/* What a host does that wants it back soon. */
		host_associate(false, SERIAL);
		host_associate(true, SERIAL);
		break;
	case 1:
		atomic_store(&vf.link, false);
		netvsc_vf_event(&f.port, NETVSC_VF_LINK, 0);
		UNTIL(!host.path_vf);
		atomic_store(&vf.link, true);
		netvsc_vf_event(&f.port, NETVSC_VF_LINK, 1);
		break;
	case 2:
		host_associate(false, SERIAL);
		UNTIL(!host.path_vf);
		host_associate(true, SERIAL + i);
		break;
	case 3:
		netvsc_vf_event(&f.port, NETVSC_VF_LOST, VF);
		UNTIL(!atomic_load(&vf.owned));
		netvsc_vf_event(&f.port, NETVSC_VF_FOUND, VF);
		break;
	case 4:
		netvsc_vf_event(&f.port, NETVSC_VF_RECOVERING, 0);
		UNTIL(!host.path_vf);
		netvsc_vf_event(&f.port, NETVSC_VF_RECOVERED, 0);
		break;
	case 5:
		CU_ASSERT_TRUE(leave());
		join();
		break;
	default:
		/* Faster than anybody looks. */
		netvsc_vf_event(&f.port, NETVSC_VF_LOST, VF);
		netvsc_vf_event(&f.port, NETVSC_VF_FOUND, VF);
		break;
	}
	UNTIL(status().counts.to_vf > before && used());
}

static void
test_flips_under_bursts_lose_and_double_nothing(void)
{
	const unsigned int flips = 140;
	pthread_t tx, rx;
	uint32_t injected = 0, i, missing = 0, doubled = 0;

	REQUIRE(begin_used());
	memset(&traffic, 0, sizeof(traffic));
	host.polled = true;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&tx, NULL, sender, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&rx, NULL, receiver, NULL), 0);
	for (i = 0; i < flips; i++) {
		flip(i);
		/* Some frames on each path, at most as many as are in the sections. */
		while (injected < FRAMES && injected - atomic_load(&traffic.received) < 48 &&
			inject(injected))
			injected++;
		turn();
	}
	UNTIL(atomic_load(&traffic.received) == injected);
	atomic_store(&traffic.stop, true);
	pthread_join(tx, NULL);
	pthread_join(rx, NULL);
	host.polled = false;
	host.strict = false;
	turn();
	for (i = 0; i < FRAMES; i++) {
		missing += i < atomic_load(&traffic.sent) && seen[i] == 0;
		doubled += seen[i] > (i < atomic_load(&traffic.sent));
	}
	printf("%u sent (%u by the VF), %u received ", atomic_load(&traffic.sent), seen_vf,
		injected);
	CU_ASSERT_EQUAL(missing, 0);
	CU_ASSERT_EQUAL(doubled, 0);
	CU_ASSERT_EQUAL(damaged, 0);
	CU_ASSERT_EQUAL(atomic_load(&traffic.twice), 0);
	CU_ASSERT_EQUAL(atomic_load(&traffic.foreign), 0);
	CU_ASSERT(seen_vf != 0 && seen_synthetic != 0);
	/* Nor was anything sent there while the host had not opened it. */
	CU_ASSERT_EQUAL(host.early, 0);
	CU_ASSERT(status().counts.to_vf >= flips);
	end();
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"the host is asked for virtual functions",
			test_the_host_is_asked_for_virtual_functions},
		{"frames go through the VF when the host has moved the path",
			test_frames_go_through_the_vf_when_the_host_has_moved_the_path},
		{"a burst of nothing hears the host", test_a_burst_of_nothing_hears_the_host},
		{"a forced switch counts at once", test_a_forced_switch_counts_at_once},
		{"a refused switch is survived and tried again",
			test_a_refused_switch_is_survived_and_tried_again},
		{"a VF goes in any order", test_a_vf_goes_in_any_order},
		{"a port that stops takes the path back first",
			test_a_port_that_stops_takes_the_path_back_first},
		{"a host that is slow keeps the VF started, not the port",
			test_a_host_that_is_slow_keeps_the_vf_started_not_the_port},
		{"a session that ends takes the path back",
			test_a_session_that_ends_takes_the_path_back},
		{"a request waits for the answer to a switch",
			test_a_request_waits_for_the_answer_to_a_switch},
		{"a start that lasts holds up nobody", test_a_start_that_lasts_holds_up_nobody},
		{"a stop that hangs holds up nobody", test_a_stop_that_hangs_holds_up_nobody},
		{"a burst that stays inside keeps the VF",
			test_a_burst_that_stays_inside_keeps_the_vf},
		{"a VF without a link is not used", test_a_vf_without_a_link_is_not_used},
		{"a VF that resets itself is left and entered again",
			test_a_vf_that_resets_itself_is_left_and_entered_again},
		{"a VF that fails leaves the port as it is",
			test_a_vf_that_fails_leaves_the_port_as_it_is},
		{"settings are replayed onto the VF", test_settings_are_replayed_onto_the_vf},
		{"a VF is for ports with all queues polled",
			test_a_vf_is_for_ports_with_all_queues_polled},
		{"notices of a host that was not asked", test_notices_of_a_host_that_was_not_asked},
		{"flips under bursts lose and double nothing",
			test_flips_under_bursts_lose_and_double_nothing},
	};

	return UNIT_RUN("netvsc_vf", tests);
}
