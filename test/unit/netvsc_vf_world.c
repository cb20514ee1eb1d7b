/* SPDX-License-Identifier: BSD-3-Clause */
/* See netvsc_vf_world.h. */
#include "lib/netvsp/rndis.h"
#include "test/unit/netvsc_vf_world.h"

struct fixture f;

/* ---- the VF ---- */

struct world_vf vf;

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
	/* Else ethdev may release the queues that are looked at. */
	CU_ASSERT_TRUE(port->started);
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

static void
call_count(struct netvsc_vf_setup *setup, uint16_t id)
{
	CU_ASSERT_EQUAL(id, VF);
	vf_hold(&vf.hold_count, &vf.in_count);
	vf.counted_by = pthread_self();
	atomic_fetch_add(&vf.counts, 1);
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
	.count = call_count,
};

/* ---- the host ---- */

struct world_host host;

/* How often each numbered frame has come, on either path. */
uint8_t seen[FRAMES];
unsigned int seen_vf, seen_synthetic, damaged;

void
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

struct rte_mbuf *
numbered(uint32_t number)
{
	struct rte_mbuf *m = fixture_mbuf(&f, FRAME, 0);

	if (m != NULL)
		number_put(rte_pktmbuf_mtod(m, uint8_t *), number);
	return m;
}

void
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

void
host_associate(bool on, uint32_t serial)
{
	struct nvsp_message msg;

	host.associated = on;
	nvsp_build_vf_association(&msg, on, serial);
	host_notice(&msg, TID_VF);
}

void
host_force(void)
{
	struct nvsp_message msg;

	host.path_vf = false;
	nvsp_build_switch_data_path(&msg, NVSP_DATA_PATH_SYNTHETIC);
	host_notice(&msg, TID_VF + 1);
}

void
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
void
scan(void)
{
	struct netvsc_channel *ch = fixture_channel(&f, 0);

	rte_spinlock_lock(&ch->rx_lock);
	netvsc_rx_scan(ch);
	rte_spinlock_unlock(&ch->rx_lock);
}

/* The host does what there is to do, and the driver hears of it. */
void
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

/* ---- a port ---- */

struct netvsc_vf_status
status(void)
{
	struct netvsc_vf_status s;

	netvsc_vf_status(&f.port, &s);
	return s;
}

bool
used(void)
{
	return status().used;
}

/* Every other turn of the thread answers who asks for counters: it takes its steps in the rest. */
void
looked(void)
{
	struct netvsc_vf *v = f.port.vf;
	unsigned int i;
	uint32_t mine;

	for (i = 0; i < 3; i++) {
		mine = atomic_fetch_add(&v->asked, 1) + 1;
		netvsc_vf_wake(v);
		UNTIL((int32_t)(atomic_load(&v->answered) - mine) >= 0);
	}
}

static struct rte_ring *
ring_make(const char *name)
{
	struct rte_ring *ring = rte_ring_lookup(name);

	/* Any thread, as far as it matters here. */
	return ring != NULL ? ring : rte_ring_create(name, 256, SOCKET_ID_ANY, 0);
}

void
join(void)
{
	struct hpbus_op op;

	CU_ASSERT_EQUAL_FATAL(netvsc_control_begin(&f.port, &op, &netvsc_op_setting), 0);
	f.port.started = true;
	netvsc_vf_join(&f.port);
	netvsc_control_end(&f.port, &op);
}

bool
leave(void)
{
	struct hpbus_op op;
	bool quiet;

	CU_ASSERT_EQUAL_FATAL(netvsc_control_begin(&f.port, &op, &netvsc_op_stop), 0);
	quiet = netvsc_vf_leave(&f.port, true);
	f.port.started = false;
	netvsc_control_end(&f.port, &op);
	return quiet;
}

/* A port that runs, and no VF. */
bool
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

void
end(void)
{
	host.polled = false;
	if (f.port.vf->has_thread)
		CU_ASSERT_TRUE(netvsc_vf_close(&f.port));
	CU_ASSERT_EQUAL(atomic_load(&vf.strays), 0);
	netvsc_vf_put(f.port.vf);
	f.port.vf = NULL;
	f.port.vf_shared.asked = false;
	turn();
	fixture_end(&f);
}

/* ... that sends through its VF. */
bool
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

uint16_t
send_one(uint32_t number)
{
	struct rte_mbuf *m = numbered(number);
	uint16_t n = netvsc_vf_tx_burst(f.tx_queues[0], &m, 1);

	if (n == 0)
		rte_pktmbuf_free(m);
	return n;
}

/* Send a frame. @return whether it goes through the VF */
bool
goes_to_vf(uint32_t number)
{
	unsigned int before = seen_vf, other = seen_synthetic;

	CU_ASSERT_EQUAL(send_one(number), 1);
	turn();
	CU_ASSERT_EQUAL(seen_vf - before + seen_synthetic - other, 1);
	CU_ASSERT_EQUAL(seen[number], 1);
	return seen_vf != before;
}
