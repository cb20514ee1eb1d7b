/* SPDX-License-Identifier: BSD-3-Clause */
/* Extended statistics: names, ids and values belong together; the histogram of frame sizes. */
#include <errno.h>

#include "drivers/net/netvsc/sizes.h"
#include "drivers/net/netvsc/stats.h"
#include "lib/netvsp/nvsp.h"
#include "test/unit/netvsc_fixture.h"

#define MAX 512u

static struct fixture f;
static struct netvsc_sizes sizes;
static struct rte_eth_xstat_name names[MAX];

static bool
begin(bool sized)
{
	const struct fixture_conf conf = {
		.channels = 2, .recv_section = 10240, .room = 9216, .mbufs = 255, .recv_count = 64};

	if (!fixture_begin(&f, &conf))
		return false;
	memset(&sizes, 0, sizeof(sizes));
	f.port.sizes = sized ? &sizes : NULL;
	return true;
}

/* Its id, or -1. */
static int
find(const char *name)
{
	int n = netvsc_xstats_get_names(&f.eth, names, MAX), i;

	CU_ASSERT(n <= (int)MAX);
	for (i = 0; i < n; i++)
		if (strcmp(names[i].name, name) == 0)
			return i;
	return -1;
}

static uint64_t
xstat(const char *name)
{
	uint64_t value = UINT64_MAX, id = (uint64_t)find(name);

	CU_ASSERT_EQUAL(netvsc_xstats_get_by_id(&f.eth, &id, &value, 1), 1);
	return value;
}

/* Pitfall I1. Every counter has a value of its own, which all ways of asking give. */
static void
test_names_ids_and_values_belong_together(void)
{
	struct rte_eth_xstat_name one[3];
	struct rte_eth_xstat all[MAX];
	uint64_t values[MAX], ids[3];
	unsigned int sized, i, k;
	int n;

	for (sized = 0; sized < 2; sized++) {
		REQUIRE(begin(sized != 0));
		f.port.channels[0]->stats.rx_malformed = 11;
		f.port.channels[1]->stats.rx_malformed = 31;
		f.port.channels[1]->stats.done_deferred = 43;
		fixture_txq(&f, 0)->drops.ring_full = 44;
		fixture_txq(&f, 1)->drops.doorbells = 45;
		sizes.rx[0][0] = 46;
		sizes.tx[1][7] = 47;
		n = netvsc_xstats_get_names(&f.eth, NULL, 0);
		CU_ASSERT(n > 0 && n < (int)MAX);
		CU_ASSERT_EQUAL(netvsc_xstats_get(&f.eth, NULL, 0), n);
		CU_ASSERT_EQUAL(netvsc_xstats_get_by_id(&f.eth, NULL, NULL, 0), n);
		CU_ASSERT_EQUAL(netvsc_xstats_get_names(&f.eth, names, MAX), n);
		CU_ASSERT_EQUAL(netvsc_xstats_get(&f.eth, all, MAX), n);
		CU_ASSERT_EQUAL(netvsc_xstats_get_by_id(&f.eth, NULL, values, MAX), n);
		for (i = 0; i < (unsigned int)n; i++) {
			CU_ASSERT_EQUAL(all[i].id, i);
			CU_ASSERT_EQUAL(all[i].value, values[i]);
			/* No blanks (pitfall I5), and no name twice. */
			CU_ASSERT_EQUAL(
				strspn(names[i].name, "abcdefghijklmnopqrstuvwxyz_0123456789"),
				strlen(names[i].name));
			for (k = 0; k < i; k++)
				CU_ASSERT_NOT_EQUAL(strcmp(names[i].name, names[k].name), 0);
		}
		CU_ASSERT_EQUAL(xstat("rx_malformed"), 42);
		CU_ASSERT_EQUAL(xstat("rx_completions_deferred"), 43);
		CU_ASSERT_EQUAL(xstat("tx_q0_ring_full"), 44);
		CU_ASSERT_EQUAL(xstat("tx_q1_doorbells"), 45);
		if (sized) {
			CU_ASSERT_EQUAL(xstat("rx_undersize_packets"), 46);
			CU_ASSERT_EQUAL(xstat("tx_size_1519_to_max_packets"), 47);
		}
		/* In any order, and none that there is not. */
		ids[0] = (uint64_t)n - 1;
		ids[1] = 0;
		ids[2] = (uint64_t)n;
		CU_ASSERT_EQUAL(netvsc_xstats_get_by_id(&f.eth, ids, values, 2), 2);
		CU_ASSERT_EQUAL(values[0], 45);
		CU_ASSERT_EQUAL(values[1], 42);
		CU_ASSERT_EQUAL(netvsc_xstats_get_names_by_id(&f.eth, ids, one, 2), 2);
		CU_ASSERT_STRING_EQUAL(one[0].name, "tx_q1_doorbells");
		CU_ASSERT_STRING_EQUAL(one[1].name, "rx_malformed");
		CU_ASSERT_EQUAL(netvsc_xstats_get_by_id(&f.eth, ids, values, 3), -EINVAL);
		CU_ASSERT_EQUAL(netvsc_xstats_get_names_by_id(&f.eth, ids, one, 3), -EINVAL);
		CU_ASSERT_EQUAL(netvsc_xstats_reset(&f.eth), 0);
		CU_ASSERT_EQUAL(netvsc_xstats_get(&f.eth, all, MAX), n);
		for (i = 0; i < (unsigned int)n; i++)
			CU_ASSERT_EQUAL(all[i].value, 0);
		fixture_end(&f);
	}
}

/* Basic statistics have 16 queues; a host has up to 64. */
static void
test_queues_that_basic_statistics_do_not_know_have_their_frames(void)
{
	struct netvsc_counts *c = &f.port.counts;

	REQUIRE(begin(false));
	c->rx[15].kept.packets = 1;
	c->rx[16].kept.packets = 3;
	c->rx[16].kept.bytes = 300;
	c->rx[17].kept.packets = 5;
	c->tx[16].kept.packets = 7;
	c->tx[17].kept.bytes = 1100;
	CU_ASSERT_EQUAL(find("rx_q16_packets"), -1);
	f.data.nb_rx_queues = f.data.nb_tx_queues = 18;
	CU_ASSERT_EQUAL(find("rx_q15_packets"), -1); /* ethdev's */
	CU_ASSERT_EQUAL(find("rx_q18_packets"), -1);
	CU_ASSERT_EQUAL(xstat("rx_q16_packets"), 3);
	CU_ASSERT_EQUAL(xstat("rx_q16_bytes"), 300);
	CU_ASSERT_EQUAL(xstat("rx_q16_errors"), 0);
	CU_ASSERT_EQUAL(xstat("rx_q17_packets"), 5);
	CU_ASSERT_EQUAL(xstat("tx_q16_packets"), 7);
	CU_ASSERT_EQUAL(xstat("tx_q16_bytes"), 0);
	CU_ASSERT_EQUAL(xstat("tx_q17_bytes"), 1100);
	CU_ASSERT_EQUAL(netvsc_xstats_reset(&f.eth), 0);
	CU_ASSERT_EQUAL(xstat("rx_q16_packets"), 0);
	CU_ASSERT_EQUAL(xstat("tx_q17_bytes"), 0);
	c->rx[16].kept.packets += 2;
	CU_ASSERT_EQUAL(xstat("rx_q16_packets"), 2);
	fixture_end(&f);
}

/* The edges of each bin, and which names they have. */
static const struct {
	const char *bin;
	uint32_t from, to;
} bins[] = {
	{"undersize", 14, 63},
	{"size_64", 64, 64},
	{"size_65_to_127", 65, 127},
	{"size_128_to_255", 128, 255},
	{"size_256_to_511", 256, 511},
	{"size_512_to_1023", 512, 1023},
	{"size_1024_to_1518", 1024, 1518},
	{"size_1519_to_max", 1519, 9000},
};

static uint64_t
bin(const char *way, size_t i)
{
	char name[RTE_ETH_XSTATS_NAME_SIZE];

	snprintf(name, sizeof(name), "%s_%s_packets", way, bins[i].bin);
	return xstat(name);
}

static void
test_sizes_of_what_is_received(void)
{
	struct rte_mbuf *m[4];
	uint32_t lens[2];
	size_t i;
	int k;

	REQUIRE(begin(true));
	for (i = 0; i < RTE_DIM(bins); i++) {
		lens[0] = bins[i].from;
		lens[1] = bins[i].to;
		for (k = 0; k < 2; k++) {
			/* A queue each: what is told is the sum. */
			CU_ASSERT_EQUAL(fixture_frames(&f, k, 2 * i + k, 4, 1, lens[k], 7), 0);
			fixture_publish(&f, k);
			CU_ASSERT_EQUAL_FATAL(netvsc_rx_burst_sized(f.rx_queues[k], m, 4), 1);
			CU_ASSERT_TRUE(fixture_mbuf_is(m[0], lens[k], 7));
			rte_pktmbuf_free(m[0]);
		}
		CU_ASSERT_EQUAL(bin("rx", i), 2);
		CU_ASSERT_EQUAL(bin("tx", i), 0);
	}
	CU_ASSERT_EQUAL(netvsc_xstats_reset(&f.eth), 0);
	CU_ASSERT_EQUAL(bin("rx", 3), 0);
	fixture_end(&f);
}

static void
test_sizes_of_what_is_sent(void)
{
	struct rte_mbuf *m[3];
	struct fixture_packet pkt;
	size_t i;

	REQUIRE(begin(true));
	for (i = 0; i < 7; i++) {
		m[0] = fixture_mbuf(&f, bins[i].from, 1);
		m[1] = fixture_mbuf(&f, bins[i].to, 2);
		CU_ASSERT_EQUAL(netvsc_tx_burst_sized(f.tx_queues[0], m, 2), 2);
		CU_ASSERT_EQUAL(bin("tx", i), 2);
		CU_ASSERT_EQUAL(bin("rx", i), 0);
		CU_ASSERT_TRUE(fixture_read(&f, 0, &pkt));
		fixture_complete(&f, 0, pkt.desc.trans_id, NVSP_STATUS_SUCCESS);
		fixture_publish(&f, 0);
		CU_ASSERT_EQUAL(netvsc_tx_burst_sized(f.tx_queues[0], NULL, 0), 0);
		CU_ASSERT_EQUAL(netvsc_rx_burst_sized(f.rx_queues[0], m, 1), 0);
	}
	/* What the queue does not take is counted when it does. */
	fixture_fill_out(&f, 0);
	m[0] = fixture_mbuf(&f, 64, 3);
	m[1] = NULL;
	CU_ASSERT_EQUAL(netvsc_tx_burst_sized(f.tx_queues[0], m, 2), 0);
	CU_ASSERT_EQUAL(bin("tx", 1), 2);
	while (fixture_read(&f, 0, &pkt))
		;
	CU_ASSERT_EQUAL(netvsc_tx_burst_sized(f.tx_queues[0], m, 1), 1);
	CU_ASSERT_EQUAL(bin("tx", 1), 3);
	fixture_end(&f);
}

/* Taken from the caller and counted as errors: they have not gone anywhere. */
static void
test_sizes_are_of_frames_that_were_sent(void)
{
	struct rte_eth_stats stats = {0};
	struct rte_mbuf *m[8];
	uint64_t sum = 0;
	size_t i;

	REQUIRE(begin(true));
	for (i = 0; i < 5; i++)
		m[i] = fixture_mbuf(&f, i == 3 ? 9000 : 300, (uint8_t)i);
	m[1]->pkt_len = m[1]->data_len = 5;
	m[2]->pkt_len = 700; /* which its segment has not */
	m[5] = NULL;
	m[6] = fixture_mbuf(&f, 300, 6);
	CU_ASSERT_EQUAL(netvsc_tx_burst_sized(f.tx_queues[0], m, 7), 7);
	CU_ASSERT_EQUAL(netvsc_stats_get(&f.eth, &stats, NULL), 0);
	CU_ASSERT_EQUAL(stats.opackets, 3);
	CU_ASSERT_EQUAL(stats.oerrors, 4);
	for (i = 0; i < RTE_DIM(bins); i++)
		sum += bin("tx", i);
	CU_ASSERT_EQUAL(sum, stats.opackets);
	CU_ASSERT_EQUAL(bin("tx", 4), 3);
	fixture_end(&f);
}

/* Who did not ask has the usual bursts, and none of the names. */
static void
test_a_port_without_sizes_has_the_usual_bursts(void)
{
	unsigned int with, i;
	int n;

	for (with = 0; with < 2; with++) {
		REQUIRE(begin(with != 0));
		netvsc_set_bursts(&f.eth, true);
		CU_ASSERT_EQUAL(f.eth.rx_pkt_burst == netvsc_rx_burst, with == 0);
		CU_ASSERT_EQUAL(f.eth.tx_pkt_burst == netvsc_tx_burst, with == 0);
		CU_ASSERT_EQUAL(f.eth.rx_pkt_burst == netvsc_rx_burst_sized, with != 0);
		CU_ASSERT_EQUAL(f.eth.tx_pkt_burst == netvsc_tx_burst_sized, with != 0);
		/* ethdev's copies go with a stop. */
		rte_eth_fp_ops[f.data.port_id].rx_pkt_burst = f.eth.rx_pkt_burst;
		rte_eth_fp_ops[f.data.port_id].tx_pkt_burst = f.eth.tx_pkt_burst;
		netvsc_set_bursts(&f.eth, false);
		CU_ASSERT(rte_eth_fp_ops[f.data.port_id].rx_pkt_burst == rte_eth_pkt_burst_dummy);
		CU_ASSERT(rte_eth_fp_ops[f.data.port_id].tx_pkt_burst == rte_eth_pkt_burst_dummy);
		n = netvsc_xstats_get_names(&f.eth, names, MAX);
		for (i = 0; with == 0 && i < (unsigned int)n; i++)
			CU_ASSERT(strstr(names[i].name, "_size") == NULL);
		fixture_end(&f);
	}
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"names, ids and values belong together",
			test_names_ids_and_values_belong_together},
		{"queues that basic statistics do not know have their frames",
			test_queues_that_basic_statistics_do_not_know_have_their_frames},
		{"sizes of what is received", test_sizes_of_what_is_received},
		{"sizes of what is sent", test_sizes_of_what_is_sent},
		{"sizes are of frames that were sent", test_sizes_are_of_frames_that_were_sent},
		{"a port without sizes has the usual bursts",
			test_a_port_without_sizes_has_the_usual_bursts},
	};

	return UNIT_RUN("netvsc_xstats", tests);
}
