/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A host NIC whose channels are spread over lanes: by one thread in any order, and by a thread for
 * each. The guest forwards a generator's frames, so that each loss, copy and damage is counted.
 */
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "test/unit/host_nic_guest.h"

#define CHANNELS 4u
#define SECTIONS 2048u
#define TID	 100000u
#define PATIENCE 2000000u /* turns */

struct rig {
	struct guest g;
	unsigned int lanes;
	bool busy[SECTIONS];
	uint32_t next;
	/* With threads: */
	bool threads;
	pthread_t thread[HOST_MAX_LANES];
	pthread_mutex_t lock[HOST_MAX_LANES];
	_Atomic bool stop, halt;
	bool held;
	unsigned int wakes;
	unsigned int refusals; /* how often lanes are still at it */
	unsigned int asked;
};

static struct rig r;

/* ---- threads ---- */

struct lane_arg {
	unsigned int k;
};
static struct lane_arg args[HOST_MAX_LANES];

static void *
lane_run(void *arg)
{
	unsigned int k = ((struct lane_arg *)arg)->k;

	while (!atomic_load(&r.stop)) {
		if (atomic_load(&r.halt) || pthread_mutex_trylock(&r.lock[k]) != 0) {
			sched_yield();
			continue;
		}
		host_nic_poll(host_nic_lane(r.g.nic, k), 64);
		pthread_mutex_unlock(&r.lock[k]);
	}
	return NULL;
}

static bool
stop_lanes(void *ctx)
{
	unsigned int k;

	r.asked++;
	if (r.refusals != 0) {
		r.refusals--;
		return false;
	}
	if (!r.threads || r.held)
		return true;
	atomic_store(&r.halt, true);
	for (k = 1; k < r.lanes; k++)
		if (pthread_mutex_trylock(&r.lock[k]) != 0) {
			while (k-- > 1)
				pthread_mutex_unlock(&r.lock[k]);
			return false;
		}
	r.held = true;
	return true;
}

/* The fixture's counts signals, on one thread. */
static void
lane_signal(void *ctx, unsigned int channel)
{
}

static void
lane_wake(void *ctx)
{
	r.wakes++;
}

static void
hold(void)
{
	for (unsigned int k = 1; r.threads && k < r.lanes; k++)
		pthread_mutex_lock(&r.lock[k]);
	r.held = true;
}

static void
release(void)
{
	if (!r.held)
		return;
	r.held = false;
	for (unsigned int k = 1; r.threads && k < r.lanes; k++)
		pthread_mutex_unlock(&r.lock[k]);
	atomic_store(&r.halt, false);
}

/* ---- the guest ---- */

static bool
host_has_read_all(void)
{
	for (unsigned int i = 0; i < CHANNELS; i++) {
		const struct vmbus_ring_control *ctl = r.g.out[i].ring.ctl;

		if (atomic_load(&ctl->read_index) != atomic_load(&ctl->write_index))
			return false;
	}
	return true;
}

/* A turn of each lane, and what they have sent. */
static void
turn(void)
{
	host_nic_poll(r.g.nic, 64);
	release();
	for (unsigned int k = 1; !r.threads && k < r.lanes; k++)
		host_nic_poll(host_nic_lane(r.g.nic, k), 64);
	/* A guest that did not wait would run out of sections. */
	while (r.threads && !host_has_read_all()) {
		host_nic_poll(r.g.nic, 64);
		release();
		sched_yield();
	}
	guest_drain(&r.g);
}

static uint32_t
section_take(void)
{
	for (uint32_t i = 0; i < SECTIONS; i++) {
		uint32_t at = r.next++ % SECTIONS;

		if (!r.busy[at]) {
			r.busy[at] = true;
			return at;
		}
	}
	CU_FAIL_FATAL("no section is free");
	return 0;
}

static void
send_section(unsigned int channel, uint32_t section, uint32_t bytes)
{
	CU_ASSERT_EQUAL_FATAL(guest_send_section(&r.g, channel, section, bytes, TID + section), 0);
}

/* All frames of a packet go back on @p channel, up to eight small ones in a send. */
static void
forward_packet(const struct guest_packet *p, unsigned int channel)
{
	uint32_t section = 0, used = 0, n = 0;

	for (uint32_t i = 0; i < p->ranges; i++) {
		const uint8_t *m = guest_message(&r.g, p, i);
		struct rndis_packet_info info;

		CU_ASSERT_PTR_NOT_NULL_FATAL(m);
		CU_ASSERT_EQUAL_FATAL(
			rndis_packet_parse_rx(m, 2048, p->range[i].byte_count, &info), 0);
		if (n == 0)
			section = section_take();
		used += guest_make_packet(r.g.send + (size_t)section * r.g.send_section + used,
			m + info.data_abs, info.data_length);
		if (++n == 8 || used % 8 != 0 || used > r.g.send_section - 1700) {
			send_section(channel, section, used);
			used = n = 0;
		}
	}
	if (n != 0)
		send_section(channel, section, used);
}

/* @param shift by how many channels frames go back elsewhere than they came */
static void
forward(unsigned int shift)
{
	for (uint32_t i = 0; i < r.g.packets_n; i++) {
		const struct guest_packet *p = &r.g.packets[i];

		if (p->desc.type == VMBUS_PACKET_COMPLETION && p->desc.trans_id >= TID &&
			p->desc.trans_id < TID + SECTIONS) {
			CU_ASSERT_EQUAL(p->msg.rndis_complete.status, NVSP_STATUS_SUCCESS);
			r.busy[p->desc.trans_id - TID] = false;
		} else if (p->desc.type == VMBUS_PACKET_XFER_PAGES &&
			   p->msg.rndis.channel_type == NVSP_CHANNEL_DATA) {
			forward_packet(p, (p->channel + shift) % CHANNELS);
		}
		/* Only now: a lane may write the next frame there at once. */
		if (p->desc.type == VMBUS_PACKET_XFER_PAGES)
			CU_ASSERT_EQUAL(guest_ack(&r.g, p->channel, p->desc.trans_id), 0);
	}
}

static void
send_set(uint32_t oid, const void *info, uint32_t len, uint64_t tid)
{
	uint8_t msg[RNDIS_MAX_REQUEST];
	struct guest_range range = {0, 16, 0};

	range.count = (uint32_t)rndis_build_set(msg, sizeof(msg), (uint32_t)tid, oid, info, len);
	memcpy(r.g.pages + 16, msg, range.count);
	guest_send_pages(&r.g, 0, NVSP_CHANNEL_CONTROL, &range, 1, tid);
}

/* Set while frames go on; the answer may take turns. */
static void
set_meanwhile(uint32_t oid, const void *info, uint32_t len)
{
	uint64_t tid = r.g.next_tid++;
	uint32_t answer_len, n;

	send_set(oid, info, len, tid);
	for (n = 0; n < PATIENCE; n++) {
		turn();
		forward(0);
		if (guest_control(&r.g, RNDIS_TYPE_SET_CMPLT, &answer_len) != NULL)
			return;
	}
	CU_FAIL_FATAL("the host does not answer");
}

static uint32_t
rss(uint8_t *params, uint32_t size, unsigned int first)
{
	uint16_t table[NDIS_RSS_TABLE_ENTRIES];
	int len;

	for (unsigned int i = 0; i < NDIS_RSS_TABLE_ENTRIES; i++)
		table[i] = (uint16_t)((first + i) % CHANNELS);
	len = ndis_build_rss_params(params, size,
		NDIS_HASH_TOEPLITZ | NDIS_HASH_IPV4 | NDIS_HASH_TCP_IPV4, table,
		NDIS_RSS_TABLE_ENTRIES, toeplitz_default_key);
	CU_ASSERT_FATAL(len > 0);
	return (uint32_t)len;
}

static void
guest_begin(void)
{
	uint8_t params[NDIS_RSS_PARAMS_MAX];
	uint32_t len = rss(params, sizeof(params), 0);

	memset(r.busy, 0, sizeof(r.busy));
	r.g.ack = true;
	guest_up(&r.g, RNDIS_FILTER_DIRECTED);
	guest_subchannels(&r.g, CHANNELS - 1);
	CU_ASSERT_EQUAL(guest_set(&r.g, OID_GEN_RECEIVE_SCALE_PARAMETERS, params, len),
		RNDIS_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(host_nic_knob(r.g.nic, "stall_rx", "0"), 0);
	host_nic_settle(r.g.nic);
	r.g.ack = false;
}

/* Frames wait until the guest is up. */
static void
start(const char *spec, unsigned int lanes, bool threads)
{
	struct host_transport lane;
	void *ctx[HOST_MAX_LANES] = {NULL};
	struct host_port *port;
	char err[200] = "";

	memset(&r, 0, sizeof(r));
	CU_ASSERT_EQUAL_FATAL(host_port_open(spec, (const uint8_t *)"\0\x15\x5d\x48\0\1", &port,
				      err, sizeof(err)),
		0);
	guest_start_port(&r.g, "recv=4M,send=16M,channels=4,spoof=on", 64, port);
	host_nic_channel_close(r.g.nic, 0);
	for (unsigned int k = 1; k < lanes; k++)
		ctx[k] = &r.g;
	lane = r.g.nic->transport;
	lane.signal = lane_signal;
	lane.wake = threads ? NULL : lane_wake;
	CU_ASSERT_EQUAL_FATAL(host_nic_spread(r.g.nic, lanes, &lane, ctx), 0);
	r.g.nic->transport.stop_lanes = stop_lanes;
	r.lanes = lanes;
	CU_ASSERT_EQUAL(host_nic_knob(r.g.nic, "stall_rx", "1"), 0);
	guest_open(&r.g, 0);
	for (unsigned int k = 1; k < lanes; k++)
		pthread_mutex_init(&r.lock[k], NULL);
	guest_begin();
	r.threads = threads;
	for (unsigned int k = 1; threads && k < lanes; k++) {
		args[k].k = k;
		CU_ASSERT_EQUAL_FATAL(pthread_create(&r.thread[k], NULL, lane_run, &args[k]), 0);
	}
}

static void
end(void)
{
	atomic_store(&r.stop, true);
	for (unsigned int k = 1; r.threads && k < r.lanes; k++)
		pthread_join(r.thread[k], NULL);
	guest_stop(&r.g);
}

/* Every frame in is a frame out or a drop with a reason, both ways. */
static void
books_balance(struct host_port_stats *port)
{
	struct host_nic_stats s;

	hold();
	host_nic_get_stats(r.g.nic, &s, port);
	release();
	CU_ASSERT_EQUAL(port->rx_frames, s.rx_frames + guest_sum(&s, "rx_dropped_"));
	CU_ASSERT_EQUAL(port->tx_frames, s.tx_frames);
	CU_ASSERT_EQUAL(s.tx_errors, 0);
	CU_ASSERT_EQUAL(s.protocol_errors, 0);
}

/* Until @p count frames are back. */
static void
run_until(uint64_t count, unsigned int shift)
{
	struct host_nic_status status;
	uint32_t n;

	for (n = 0; n < PATIENCE; n++) {
		turn();
		forward(shift);
		host_nic_status(r.g.nic, &status);
		if (status.port.verified >= count)
			return;
	}
	CU_FAIL_FATAL("frames do not come back");
}

static void
all_are_verified(uint64_t count)
{
	struct host_port_stats port;

	books_balance(&port);
	CU_ASSERT_EQUAL(port.rx_frames, count);
	CU_ASSERT_EQUAL(port.verified, count);
	CU_ASSERT_EQUAL(port.lost, 0);
	CU_ASSERT_EQUAL(port.corrupt, 0);
	CU_ASSERT_EQUAL(port.duplicate, 0);
	CU_ASSERT(port.finished);
}

/* ---- tests ---- */

static void
frames_of_all_lanes_come_back_once(void)
{
	for (unsigned int lanes = 2; lanes <= CHANNELS; lanes++) {
		start("gen:size=60-1514,flows=64,count=8K", lanes, false);
		run_until(8000, 0);
		all_are_verified(8000);
		for (unsigned int k = 0; k < lanes; k++)
			CU_ASSERT(host_nic_lane(r.g.nic, k)->stats.rx_frames != 0);
		end();
	}
}

/* A flow that comes back on another lane than it went out by. */
static void
frames_may_come_back_on_another_lane(void)
{
	start("gen:flows=64,count=8K", 4, false);
	run_until(8000, 1);
	all_are_verified(8000);
	end();
}

static void
flows_move_with_the_table(void)
{
	uint8_t params[NDIS_RSS_PARAMS_MAX];

	start("gen:flows=64,count=9K", 3, false);
	for (unsigned int i = 1; i < 9; i++) {
		run_until(1000 * i, 0);
		set_meanwhile(
			OID_GEN_RECEIVE_SCALE_PARAMETERS, params, rss(params, sizeof(params), i));
	}
	run_until(9000, 0);
	all_are_verified(9000);
	end();
}

/* The request stays in the ring, and what it sets is as it was, while a lane is at it. */
static void
control_waits_for_lanes_that_are_at_it(void)
{
	uint32_t filter = 0, len;
	struct nvsp_message msg;
	uint64_t packets;

	start("gen:flows=64", 4, false);
	turn();
	forward(0);
	r.refusals = 2;
	r.asked = 0;
	packets = r.g.nic->stats.tx_packets;
	send_set(OID_GEN_CURRENT_PACKET_FILTER, &filter, sizeof(filter), 7);
	for (unsigned int i = 0; i < 2; i++) {
		host_nic_poll(r.g.nic, 64);
		guest_drain(&r.g);
		CU_ASSERT_PTR_NULL(guest_completion(&r.g, 7));
		CU_ASSERT_EQUAL(r.g.nic->filter, RNDIS_FILTER_DIRECTED);
	}
	host_nic_poll(r.g.nic, 64);
	release();
	CU_ASSERT_EQUAL(host_nic_lane(r.g.nic, 1)->filter, 0);
	guest_drain(&r.g);
	CU_ASSERT_PTR_NOT_NULL(guest_completion(&r.g, 7));
	CU_ASSERT_PTR_NOT_NULL(guest_control(&r.g, RNDIS_TYPE_SET_CMPLT, &len));
	CU_ASSERT_EQUAL(r.asked, 3);
	CU_ASSERT(r.g.nic->stats.tx_packets > packets);
	/* NVSP as well. */
	r.refusals = 1;
	nvsp_build_revoke(&msg, NVSP_TYPE_REVOKE_RECV_BUF, NVSP_RECV_BUF_ID);
	guest_nvsp(&r.g, &msg, VMBUS_NO_TRANS_ID, false);
	host_nic_poll(r.g.nic, 64);
	CU_ASSERT_EQUAL(r.g.nic->state, NIC_READY);
	CU_ASSERT_PTR_NOT_NULL(host_nic_lane(r.g.nic, 1)->sections);
	host_nic_poll(r.g.nic, 64);
	release();
	CU_ASSERT_EQUAL(host_nic_lane(r.g.nic, 1)->state, NIC_REVOKED);
	CU_ASSERT_PTR_NULL(host_nic_lane(r.g.nic, 1)->sections);
	end();
}

/* The packet is another lane's, which may be changing it now. */
static void
packets_of_another_lane_cannot_be_acknowledged(void)
{
	const struct guest_packet *p = NULL;

	start("gen:flows=64", 4, false);
	turn();
	for (uint32_t i = 0; i < r.g.packets_n && p == NULL; i++)
		if (r.g.packets[i].desc.type == VMBUS_PACKET_XFER_PAGES &&
			r.g.packets[i].channel == 1)
			p = &r.g.packets[i];
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(guest_ack(&r.g, 2, p->desc.trans_id), 0);
	turn();
	CU_ASSERT_EQUAL(r.g.broken[2], 1);
	/* To this lane it is as if there were none; what the other has of it was not looked at. */
	CU_ASSERT_STRING_EQUAL(r.g.why, "receive completion with an unknown transaction id");
	CU_ASSERT_EQUAL(r.g.broken[1], 0);
	end();
}

/* Every section is somebody's, and free again in the end. */
static void
sections_come_back_to_their_lanes(void)
{
	struct host_nic_status status;
	uint32_t all;

	start("gen:flows=64,count=4K", 4, false);
	host_nic_status(r.g.nic, &status);
	all = status.sections;
	CU_ASSERT_EQUAL(all, r.g.nic->sections_n - r.g.nic->reserved);
	run_until(4000, 0);
	for (unsigned int i = 0; i < 4; i++)
		turn();
	host_nic_settle(r.g.nic);
	host_nic_status(r.g.nic, &status);
	CU_ASSERT_EQUAL(status.sections, all);
	CU_ASSERT_EQUAL(status.sections_used, 0);
	CU_ASSERT_EQUAL(status.channels_open, CHANNELS);
	end();
}

/* Numbers that a lane has left are judged, although no guest signals the NIC. */
static void
lanes_wake_a_nic_that_sleeps(void)
{
	struct host_nic_status status;
	struct host_nic *lane;

	start("gen:flows=64,count=64", 2, false);
	lane = host_nic_lane(r.g.nic, 1);
	turn();
	forward(0);
	/* The NIC has read what is its own before the lane has. */
	while (host_nic_poll(r.g.nic, 64) != 0)
		;
	CU_ASSERT(!host_nic_sleep(r.g.nic));
	CU_ASSERT_EQUAL(r.wakes, 0);
	while (host_nic_poll(lane, 64) != 0)
		;
	CU_ASSERT_EQUAL(r.wakes, 1);
	/* What is left already does not let it fall asleep. */
	host_nic_wake(r.g.nic);
	CU_ASSERT(host_nic_sleep(r.g.nic));
	while (host_nic_poll(r.g.nic, 64) != 0)
		;
	CU_ASSERT(!host_nic_sleep(r.g.nic));
	host_nic_status(r.g.nic, &status);
	CU_ASSERT_EQUAL(status.port.verified, 64);
	end();
}

/* A thread for each lane, settings in flight. */
static void
lanes_on_threads_keep_every_frame(void)
{
	uint8_t params[NDIS_RSS_PARAMS_MAX];
	uint32_t filter;

	for (unsigned int lanes = 2; lanes <= CHANNELS; lanes += 2) {
		start("gen:size=60-1514,flows=64,count=10K", lanes, true);
		for (unsigned int i = 1; i < 8; i++) {
			run_until(1250 * i, 0);
			set_meanwhile(OID_GEN_RECEIVE_SCALE_PARAMETERS, params,
				rss(params, sizeof(params), i));
			filter = i & 1 ? RNDIS_FILTER_DIRECTED | RNDIS_FILTER_BROADCAST
				       : RNDIS_FILTER_DIRECTED;
			set_meanwhile(OID_GEN_CURRENT_PACKET_FILTER, &filter, sizeof(filter));
		}
		run_until(10000, 0);
		all_are_verified(10000);
		end();
	}
}

/* The guest goes and comes, as after a reset or a kill, while lanes are polled. */
static void
guests_come_and_go_beside_threads(void)
{
	struct host_port_stats port;

	start("gen:flows=64", 4, true);
	for (unsigned int i = 1; i < 4; i++) {
		for (unsigned int n = 0; n < 40; n++) {
			turn();
			forward(n & 1);
		}
		hold();
		host_nic_channel_close(r.g.nic, 0);
		host_nic_buffers_revoked(r.g.nic);
		guest_open(&r.g, 0);
		host_nic_settle(r.g.nic);
		release();
		/* Control is answered at once, for the fixture's sake. */
		hold();
		guest_begin();
		release();
		books_balance(&port);
		CU_ASSERT_EQUAL(port.corrupt, 0);
		CU_ASSERT_EQUAL(port.duplicate, 0);
	}
	end();
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"frames of all lanes come back once", frames_of_all_lanes_come_back_once},
		{"frames may come back on another lane", frames_may_come_back_on_another_lane},
		{"flows move with the table", flows_move_with_the_table},
		{"control waits for lanes that are at it", control_waits_for_lanes_that_are_at_it},
		{"packets of another lane cannot be acknowledged",
			packets_of_another_lane_cannot_be_acknowledged},
		{"sections come back to their lanes", sections_come_back_to_their_lanes},
		{"lanes wake a NIC that sleeps", lanes_wake_a_nic_that_sleeps},
		{"lanes on threads keep every frame", lanes_on_threads_keep_every_frame},
		{"guests come and go beside threads", guests_come_and_go_beside_threads},
	};

	return UNIT_RUN("host_lanes", tests);
}
