/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A receive queue against a scripted host: what is no frame, hosts that break the ring, and others
 * that have the channel at the same time.
 */
#include "lib/netvsp/nvsp.h"
#include "lib/netvsp/rndis.h"
#include "test/unit/netvsc_receive.h"

static bool
broken(void)
{
	return atomic_load(&f.port.state) & NETVSC_STATE_BROKEN;
}

static void
patch(struct vmbus_xfer_range range, uint32_t at, uint32_t value)
{
	memcpy(f.bus.recv.base + range.byte_offset + at, &value, sizeof(value));
}

/* ---- what is no frame ---- */

/* One of three ranges is bad: the others arrive, and the packet is completed with a failure. */
static void
expect_malformed(struct vmbus_xfer_range bad)
{
	struct vmbus_xfer_range ranges[3];
	struct fixture_frame frame = {.len = 64};
	uint64_t before = counts()->rx_malformed;
	uint32_t status = 0;

	frame.seed = 1;
	ranges[0] = fixture_message(&f, 10, &frame);
	ranges[1] = bad;
	frame.seed = 2;
	ranges[2] = fixture_message(&f, 12, &frame);
	CU_ASSERT_EQUAL(fixture_xfer(&f, 0, 9, ranges, 3), 0);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(burst(8), 2);
	CU_ASSERT(fixture_mbuf_is(got[0], 64, 1));
	CU_ASSERT(fixture_mbuf_is(got[1], 64, 2));
	free_got(2);
	CU_ASSERT_EQUAL(counts()->rx_malformed, before + 1);
	CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, &status, 1), 1);
	CU_ASSERT_EQUAL(status, NVSP_STATUS_FAILURE);
}

static void
test_malformed_ranges(void)
{
	const uint32_t buffer = 2048 * 256;
	const struct vmbus_xfer_range ranges[] = {
		{0, 0},
		{7, 0},
		{2049, 0},
		{UINT32_MAX, 0},
		{200, buffer},
		{200, buffer - 199},
		{200, UINT32_MAX},
		{200, UINT32_MAX - 199},
		{43, 0},
		{8, 0},
	};
	uint32_t i;

	REQUIRE(fixture_begin(&f, NULL));
	memset(f.bus.recv.base, 0, f.bus.recv.len);
	for (i = 0; i < ARRAY_SIZE(ranges); i++)
		expect_malformed(ranges[i]);
	fixture_end(&f);
}

/* Each is the message before it but for one word: neither parser nor comparison may take it. */
static void
test_malformed_messages(void)
{
#define AT(field) offsetof(struct rndis_packet, field)
	static const struct {
		unsigned int n_ppis;
		uint32_t at, value;
	} cases[] = {
		{0, AT(h.type), 0x7f},
		{0, AT(h.type), RNDIS_TYPE_INDICATE_STATUS},
		{0, AT(h.length), 0},
		{0, AT(h.length), 43},
		{0, AT(h.length), 128 + 64 + 1},
		{0, AT(h.length), UINT32_MAX},
		{0, AT(h.length), 128 + 63},
		{0, AT(data_offset), 0},
		{0, AT(data_offset), 35},
		{0, AT(data_offset), 128 - 8 + 1},
		{0, AT(data_offset), UINT32_MAX - 7},
		{0, AT(data_length), 0},
		{0, AT(data_length), RNDIS_MIN_FRAME - 1},
		{0, AT(data_length), 65},
		{0, AT(data_length), UINT32_MAX},
		{1, AT(ppi_offset), 32},
		{1, AT(ppi_offset), 37},
		{1, AT(ppi_offset), 128 + 64 - 8 - 15},
		{1, AT(ppi_offset), UINT32_MAX - 3},
		{1, AT(ppi_length), 4},
		{1, AT(ppi_length), 17},
		{1, AT(ppi_length), 260},
		{1, AT(ppi_length), UINT32_MAX},
		{1, 44, 0}, /* size of the PPI */
		{1, 44, 15},
		{1, 44, 20},
		{1, 44, UINT32_MAX},
		{1, 52, 0}, /* where its word is */
		{1, 52, 13},
		{1, 52, 16},
		{1, 52, UINT32_MAX - 3},
		{2, 60, 0},
		{2, 68, 8},
	};
#undef AT
	struct fixture_frame frame = {
		.len = 64, .seed = 5, .ppis = {{RNDIS_PPI_HASH_VALUE, 1}, {RNDIS_PPI_CHECKSUM, 0}}};
	struct vmbus_xfer_range range;
	uint32_t i, known;

	REQUIRE(fixture_begin(&f, NULL));
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		for (known = 0; known < 2; known++) {
			frame.n_ppis = cases[i].n_ppis;
			range = fixture_message(&f, 11, &frame);
			if (known) {
				CU_ASSERT_EQUAL(fixture_xfer(&f, 0, 1, &range, 1), 0);
				fixture_publish(&f, 0);
				CU_ASSERT_EQUAL_FATAL(burst(1), 1);
				free_got(1);
				fixture_completions(&f, 0, NULL, NULL, 0);
			}
			patch(range, cases[i].at, cases[i].value);
			if (known && cases[i].n_ppis != 0) {
				/* Alone, right behind the one that it nearly is. */
				CU_ASSERT_EQUAL(fixture_xfer(&f, 0, 1, &range, 1), 0);
				fixture_publish(&f, 0);
				CU_ASSERT_EQUAL(burst(1), 0);
				fixture_completions(&f, 0, NULL, NULL, 0);
			} else {
				expect_malformed(range);
			}
		}
	fixture_end(&f);
}

static void
test_malformed_transfer_packets(void)
{
	struct fixture_frame frame = {.len = 64, .seed = 3};
	struct vmbus_xfer_range ranges[NVSP_MAX_XFER_RANGES_RSC];
	uint32_t statuses[8], i;

	const struct fixture_conf conf = {.ring = 128u << 10};

	REQUIRE(fixture_begin(&f, &conf));
	for (i = 0; i < ARRAY_SIZE(ranges); i++)
		ranges[i] = fixture_message(&f, 0, &frame);
	fixture_xfer_as(&f, 0, 1, 0xdead, 1, ranges, 1);
	fixture_xfer_as(&f, 0, 2, NVSP_RECV_BUF_ID, 0, ranges, 1);
	fixture_xfer_as(&f, 0, 3, NVSP_RECV_BUF_ID, 3, ranges, 2);
	fixture_xfer_as(&f, 0, 4, NVSP_RECV_BUF_ID, UINT32_MAX, ranges, 2);
	/* No transfer header at all. */
	fixture_packet(&f, 0, VMBUS_PACKET_XFER_PAGES, 5, ranges, 0, 64);
	/* The most that a host with coalescing sends. */
	fixture_xfer(&f, 0, 6, ranges, NVSP_MAX_XFER_RANGES_RSC);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL(burst(1000), NVSP_MAX_XFER_RANGES_RSC);
	free_got(NVSP_MAX_XFER_RANGES_RSC);
	CU_ASSERT_EQUAL(counts()->rx_malformed, 5);
	CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, statuses, 8), 6);
	for (i = 0; i < 6; i++)
		CU_ASSERT_EQUAL(statuses[i], i < 5 ? NVSP_STATUS_FAILURE : NVSP_STATUS_SUCCESS);
	fixture_end(&f);
}

static void
test_unknown_packets(void)
{
	const uint64_t nothing = 0;

	REQUIRE(fixture_begin(&f, NULL));
	fixture_packet(&f, 0, (enum vmbus_packet_type)0x3f, 1, &nothing, 0, 8);
	fixture_packet(&f, 0, VMBUS_PACKET_GPA_DIRECT, 2, &nothing, 0, 8);
	CU_ASSERT_EQUAL(fixture_frames(&f, 0, 3, 0, 1, 64, 0), 0);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL(burst(4), 1);
	free_got(1);
	CU_ASSERT_EQUAL(counts()->rx_unknown_packets, 2);
	CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, NULL, 0), 1);
	fixture_end(&f);
}

/* ---- control ---- */

static void
test_control_among_frames(void)
{
	const struct fixture_conf conf = {.channels = 2};
	struct vmbus_xfer_range ranges[2];
	struct fixture_frame frame = {.len = 64, .seed = 1};
	uint32_t statuses[4], event;

	REQUIRE(fixture_begin(&f, &conf));
	fixture_frames(&f, 0, 1, 0, 2, 64, 0);
	ranges[0] = link_down(5);
	fixture_xfer(&f, 0, 2, ranges, 1);
	fixture_frames(&f, 0, 3, 2, 1, 64, 2);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL(burst(8), 3);
	free_got(3);
	event = atomic_exchange(&f.port.events, 0);
	CU_ASSERT(event & NETVSC_EVENT_LINK);
	CU_ASSERT_EQUAL(counts()->rx_malformed, 0);
	CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, statuses, 4), 3);
	CU_ASSERT_EQUAL(statuses[1], NVSP_STATUS_SUCCESS);
	/* It comes alone and on the primary channel, or it is none. */
	ranges[0] = link_down(5);
	ranges[1] = fixture_message(&f, 6, &frame);
	fixture_xfer(&f, 0, 4, ranges, 2);
	fixture_xfer(&f, 1, 5, ranges, 1);
	fixture_publish(&f, 0);
	fixture_publish(&f, 1);
	CU_ASSERT_EQUAL(burst(8), 1);
	free_got(1);
	CU_ASSERT_EQUAL(netvsc_rx_burst(f.rx_queues[1], got, 8), 0);
	CU_ASSERT_EQUAL(atomic_load(&f.port.events), 0);
	CU_ASSERT_EQUAL(counts()->rx_malformed, 1);
	CU_ASSERT_EQUAL(fixture_channel(&f, 1)->stats.rx_malformed, 1);
	fixture_end(&f);
}

/* A notice moves with a burst of 0, behind a packet that is half taken (pitfall X19). */
static void
test_burst_of_nothing(void)
{
	struct vmbus_xfer_range range;

	REQUIRE(fixture_begin(&f, NULL));
	CU_ASSERT_EQUAL(burst(0), 0);
	fixture_frames(&f, 0, 1, 0, 3, 64, 0);
	range = link_down(5);
	fixture_xfer(&f, 0, 2, &range, 1);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL(burst(1), 1);
	free_got(1);
	CU_ASSERT_EQUAL(atomic_load(&f.port.events), 0);
	CU_ASSERT_EQUAL(burst(0), 0);
	CU_ASSERT(atomic_exchange(&f.port.events, 0) & NETVSC_EVENT_LINK);
	CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, NULL, 0), 1);
	/* No frame was lost, and the notice does not come again. */
	CU_ASSERT_EQUAL_FATAL(burst(8), 2);
	CU_ASSERT(fixture_mbuf_is(got[0], 64, 1));
	CU_ASSERT(fixture_mbuf_is(got[1], 64, 2));
	free_got(2);
	CU_ASSERT_EQUAL(atomic_load(&f.port.events), 0);
	CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, NULL, 0), 1);
	fixture_end(&f);
}

static void
test_completions_of_nobody(void)
{
	const struct fixture_conf conf = {.channels = 2};

	REQUIRE(fixture_begin(&f, &conf));
	fixture_complete(&f, 0, 12345, NVSP_STATUS_SUCCESS);
	fixture_complete(&f, 0, NETVSC_TID_CONTROL | 1, NVSP_STATUS_SUCCESS);
	fixture_complete(&f, 1, NETVSC_TID_CONTROL | 1, NVSP_STATUS_SUCCESS);
	fixture_complete(&f, 1, 0, NVSP_STATUS_SUCCESS);
	/* Notices mean nothing anywhere but on the primary channel. */
	fixture_inband(&f, 1, "\x80\0\0\0\1\0\0\0\1\0\0\0", 12);
	fixture_publish(&f, 0);
	fixture_publish(&f, 1);
	CU_ASSERT_EQUAL(burst(8), 0);
	CU_ASSERT_EQUAL(netvsc_rx_burst(f.rx_queues[1], got, 8), 0);
	CU_ASSERT_EQUAL(fixture_channel(&f, 1)->stats.tx_bad_completions, 2);
	CU_ASSERT(counts()->tx_bad_completions >= 1);
	/* Notices of the primary channel: this one is of a type that nobody uses. */
	fixture_inband(&f, 0, "\x82\0\0\0\1\0\0\0", 8);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL(burst(8), 0);
	/* Without a send queue there is nothing in flight. */
	atomic_store(&fixture_channel(&f, 0)->txq, NULL);
	fixture_complete(&f, 0, 1, NVSP_STATUS_SUCCESS);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL(burst(8), 0);
	CU_ASSERT(counts()->tx_bad_completions >= 2);
	CU_ASSERT_FALSE(broken());
	fixture_end(&f);
}

/* ---- a host that breaks the ring ---- */

static void
test_broken_descriptors(void)
{
	static const struct {
		uint16_t offset8, len8;
	} cases[] = {{0, 10}, {1, 10}, {11, 10}, {2, 0}, {2, 1}, {2, UINT16_MAX}, {2, 200}};
	struct vmbus_packet pkt;
	uint32_t i, at, of_scan;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		for (of_scan = 0; of_scan < 2; of_scan++) {
			REQUIRE(fixture_begin(&f, NULL));
			fixture_frames(&f, 0, 1, 0, 1, 64, 0);
			at = f.host[0].to_guest.next_w;
			fixture_frames(&f, 0, 2, 1, 1, 64, 1);
			vmbus_packet_init(&pkt, VMBUS_PACKET_XFER_PAGES, 16, 80, 0, 2);
			pkt.offset8 = cases[i].offset8;
			pkt.len8 = cases[i].len8;
			memcpy(f.host[0].in.ring.data + at, &pkt, sizeof(pkt));
			fixture_publish(&f, 0);
			if (of_scan) {
				CU_ASSERT_EQUAL(burst(0), 0);
			} else {
				/* What came before is good. */
				CU_ASSERT_EQUAL_FATAL(burst(8), 1);
				CU_ASSERT(fixture_mbuf_is(got[0], 64, 0));
				free_got(1);
			}
			CU_ASSERT(broken());
			CU_ASSERT_EQUAL(burst(8), 0);
			CU_ASSERT(atomic_load(&f.port.events) & NETVSC_EVENT_RESET);
			fixture_end(&f);
		}
}

static void
test_broken_indices(void)
{
	static const uint32_t writes[] = {4, 64u << 10, UINT32_MAX, 8};
	uint32_t i, of_scan;

	for (i = 0; i < ARRAY_SIZE(writes); i++)
		for (of_scan = 0; of_scan < 2; of_scan++) {
			REQUIRE(fixture_begin(&f, NULL));
			atomic_store(&f.host[0].in.ring.ctl->write_index, writes[i]);
			CU_ASSERT_EQUAL(burst(of_scan ? 0 : 8), 0);
			CU_ASSERT(broken());
			CU_ASSERT_EQUAL(burst(8), 0);
			fixture_end(&f);
		}
	/* The other ring, which takes the completions. */
	REQUIRE(fixture_begin(&f, NULL));
	fixture_frames(&f, 0, 1, 0, 1, 64, 0);
	fixture_publish(&f, 0);
	atomic_store(&f.host[0].out.ring.ctl->read_index, 12345 * 8);
	CU_ASSERT_EQUAL(burst(8), 1);
	free_got(1);
	CU_ASSERT(broken());
	fixture_end(&f);
}

/* ---- stop, close, and others with the lock ---- */

static void
test_late_bursts_touch_nothing(void)
{
	struct netvsc_channel *ch;

	REQUIRE(fixture_begin(&f, NULL));
	ch = fixture_channel(&f, 0);
	fixture_frames(&f, 0, 1, 0, 1, 64, 0);
	fixture_publish(&f, 0);
	netvsc_channel_set(ch, NETVSC_CHANNEL_OPEN);
	CU_ASSERT_EQUAL(burst(8), 0);
	netvsc_channel_set(ch, NETVSC_CHANNEL_RUNNING);
	atomic_fetch_or(&f.port.state, NETVSC_STATE_GONE);
	CU_ASSERT_EQUAL(burst(8), 0);
	CU_ASSERT_EQUAL(burst(0), 0);
	atomic_fetch_and(&f.port.state, ~NETVSC_STATE_GONE);
	/* From here on a look at the rings is the end of this program. */
	netvsc_channel_close(ch);
	CU_ASSERT_EQUAL(burst(8), 0);
	CU_ASSERT_EQUAL(burst(0), 0);
	netvsc_rx_try_scan(ch, &fixture_txq(&f, 0)->lock_misses);
	/* Opened again: everything starts over. */
	CU_ASSERT_EQUAL_FATAL(netvsc_channel_open(&f.port, 0), 0);
	netvsc_channel_set(ch, NETVSC_CHANNEL_RUNNING);
	fixture_frames(&f, 0, 1, 0, 1, 64, 8);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL_FATAL(burst(8), 1);
	CU_ASSERT(fixture_mbuf_is(got[0], 64, 8));
	free_got(1);
	fixture_end(&f);
}

static unsigned int locked_signals;

static void
signal_with_locks(struct fixture *fixture, unsigned int ch)
{
	locked_signals += rte_spinlock_is_locked(&fixture_channel(fixture, ch)->rx_lock);
}

/* Whoever closes takes the lock: until a burst has rung the doorbell nothing goes away under it. */
static void
test_burst_is_inside_until_its_doorbell(void)
{
	REQUIRE(fixture_begin(&f, NULL));
	f.on_signal = signal_with_locks;
	locked_signals = 0;
	fixture_frames(&f, 0, 1, 0, 1, 64, 0);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL(burst(8), 1);
	free_got(1);
	CU_ASSERT_EQUAL(f.host[0].signals, 1);
	CU_ASSERT_EQUAL(locked_signals, 1);
	CU_ASSERT_FALSE(rte_spinlock_is_locked(&fixture_channel(&f, 0)->rx_lock));
	fixture_end(&f);
}

static void
test_lock_that_cannot_be_had(void)
{
	struct netvsc_channel *ch;
	unsigned int i;

	REQUIRE(fixture_begin(&f, NULL));
	ch = fixture_channel(&f, 0);
	fixture_frames(&f, 0, 1, 0, 1, 64, 0);
	fixture_publish(&f, 0);
	rte_spinlock_lock(&ch->rx_lock);
	for (i = 0; i < 2 * NETVSC_TRYLOCK_LIMIT; i++)
		CU_ASSERT_EQUAL(burst(8), 0);
	rte_spinlock_unlock(&ch->rx_lock);
	CU_ASSERT_EQUAL(fixture_rxq(&f, 0)->lock_misses, 2 * NETVSC_TRYLOCK_LIMIT);
	/* A sender that does not let go delays completions, not frames. */
	rte_spinlock_lock(&ch->tx_lock);
	CU_ASSERT_EQUAL(burst(8), 1);
	free_got(1);
	rte_spinlock_unlock(&ch->tx_lock);
	CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, NULL, 0), 0);
	CU_ASSERT_EQUAL(burst(8), 0);
	CU_ASSERT_EQUAL(fixture_completions(&f, 0, NULL, NULL, 0), 1);
	CU_ASSERT_EQUAL(fixture_rxq(&f, 0)->lock_misses, 0);
	fixture_end(&f);
}

static const struct unit_test tests[] = {
	{"malformed ranges", test_malformed_ranges},
	{"malformed messages", test_malformed_messages},
	{"malformed transfer packets", test_malformed_transfer_packets},
	{"unknown packets", test_unknown_packets},
	{"control among frames", test_control_among_frames},
	{"a burst of nothing moves events (X19)", test_burst_of_nothing},
	{"completions of nobody", test_completions_of_nobody},
	{"broken descriptors", test_broken_descriptors},
	{"broken indices", test_broken_indices},
	{"late bursts touch nothing", test_late_bursts_touch_nothing},
	{"a burst is inside until its doorbell", test_burst_is_inside_until_its_doorbell},
	{"a lock that cannot be had", test_lock_that_cannot_be_had},
};

int
main(void)
{
	return UNIT_RUN("receive, hostile", tests);
}
