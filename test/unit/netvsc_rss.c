/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver's receive side scaling against a host that is a function of the test: what it is sent,
 * in which order, and that no table names a queue that nobody polls (spec/rndis.md §7).
 */
#include <errno.h>
#include <string.h>

#include "drivers/net/netvsc/control.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "test/unit/unit.h"

int netvsc_logtype;
const struct hpbus_op_kind netvsc_op_setting = {"test", 20000, 1000, false};

/* The host refuses a change while RSS is on, as real ones do. */
static struct {
	uint32_t caps, queues;
	uint16_t entries; /* as announced */
	int query;	  /* what the query for capabilities returns, 0 = answer it */
	struct ndis_rss_config now;
	unsigned int changes;
} host;

static struct rte_eth_dev_data data;
static struct rte_eth_dev eth = {.data = &data};
static struct hpbus_device bus = {.name = "test", .max_channels = 64};
static struct netvsc_port port;

int
netvsc_query(struct netvsc_port *p, uint32_t oid, const void *in, uint32_t in_len, void *out,
	uint32_t out_len, uint32_t *got)
{
	struct ndis_rss_caps caps;
	int n;

	CU_ASSERT_EQUAL(oid, OID_GEN_RECEIVE_SCALE_CAPABILITIES);
	if (host.query != 0)
		return host.query;
	n = ndis_build_rss_caps(
		out, out_len, nvsp_ndis_version(NVSP_VERSION_61), host.caps, host.queues);
	CU_ASSERT_FATAL(n > 0 && (size_t)n <= sizeof(caps));
	memcpy(&caps, out, (size_t)n);
	caps.table_entries = host.entries;
	memcpy(out, &caps, (size_t)n);
	*got = (uint32_t)n;
	return 0;
}

int
netvsc_set(struct netvsc_port *p, uint32_t oid, const void *in, uint32_t in_len)
{
	struct ndis_rss_config wanted;

	CU_ASSERT_EQUAL(oid, OID_GEN_RECEIVE_SCALE_PARAMETERS);
	memset(&wanted, 0, sizeof(wanted));
	if (ndis_parse_rss_params(in, in_len, host.queues, &wanted) != RNDIS_STATUS_SUCCESS ||
		(wanted.enabled && host.now.enabled))
		return -EIO;
	host.now = wanted;
	host.changes++;
	return 0;
}

void
netvsc_control_begin(struct netvsc_port *p, struct hpbus_op *op, const struct hpbus_op_kind *kind)
{
}

void
netvsc_control_end(struct netvsc_port *p, struct hpbus_op *op)
{
}

/* What attaching does. */
static void
query(uint32_t version)
{
	memset(&port.session, 0, sizeof(port.session));
	port.session.nvsp_version = version;
	port.session.max_queues = 1;
	CU_ASSERT_EQUAL(netvsc_rss_query(&port), 0);
	port.limits.max_queues = port.session.max_queues;
	port.limits.reta_size = port.session.reta_size;
	port.limits.rss_caps = port.session.rss_caps;
}

/* A port at a host with all hash types and @p queues queues. */
static void
attach(uint32_t queues, uint16_t entries)
{
	memset(&host, 0, sizeof(host));
	host.caps = NDIS_RSS_CAP_TCP_IPV4 | NDIS_RSS_CAP_TCP_IPV6 | 1;
	host.queues = queues;
	host.entries = entries;
	memset(&port, 0, sizeof(port));
	memset(&data, 0, sizeof(data));
	port.bus = &bus;
	port.eth = &eth;
	query(NVSP_VERSION_61);
	data.dev_private = &port;
}

/* Configure and start. @return what the start makes of it */
static int
start(uint16_t queues, uint64_t hf)
{
	data.nb_rx_queues = queues;
	data.dev_conf.rxmode.mq_mode = hf != 0 ? RTE_ETH_MQ_RX_RSS : RTE_ETH_MQ_RX_NONE;
	data.dev_conf.rx_adv_conf.rss_conf.rss_hf = hf;
	data.dev_started = 1;
	netvsc_rss_default(&port);
	return netvsc_rss_apply(&port);
}

static unsigned int
highest_queue(void)
{
	unsigned int i, highest = 0;

	for (i = 0; i < NDIS_RSS_TABLE_ENTRIES; i++)
		if (host.now.table[i] > highest)
			highest = host.now.table[i];
	return highest;
}

static int
reta(uint16_t at, uint16_t queue)
{
	struct rte_eth_rss_reta_entry64 groups[2] = {0};

	groups[at / 64].mask = UINT64_C(1) << (at % 64);
	groups[at / 64].reta[at % 64] = queue;
	return netvsc_reta_update(&eth, groups, (uint16_t)port.session.reta_size);
}

/* Pitfalls C2 and C3: whatever the queue counts were before. */
static void
table_names_only_queues_that_are_there(void)
{
	static const uint16_t counts[] = {4, 2, 8, 3, 2, 64, 5};
	size_t i;

	attach(64, 128);
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		CU_ASSERT_EQUAL(start(counts[i], RTE_ETH_RSS_IPV4), 0);
		CU_ASSERT_TRUE(host.now.enabled);
		CU_ASSERT_EQUAL(highest_queue(), counts[i] - 1u);
	}
}

/* Pitfall H1. */
static void
a_change_switches_rss_off_first(void)
{
	struct rte_eth_rss_conf conf = {.rss_hf = RTE_ETH_RSS_NONFRAG_IPV4_TCP};

	attach(8, 128);
	CU_ASSERT_EQUAL(start(4, RTE_ETH_RSS_IPV4), 0);
	CU_ASSERT_EQUAL(host.now.hash_info, NDIS_HASH_TOEPLITZ | NDIS_HASH_IPV4);
	CU_ASSERT_EQUAL(netvsc_rss_hash_update(&eth, &conf), 0);
	CU_ASSERT_EQUAL(host.now.hash_info, NDIS_HASH_TOEPLITZ | NDIS_HASH_TCP_IPV4);
	CU_ASSERT_EQUAL(reta(0, 3), 0);
	CU_ASSERT_EQUAL(host.now.table[0], 3);
	CU_ASSERT_EQUAL(host.changes, 3 * 2);
}

/* Pitfall H2: also after it was on. */
static void
one_queue_or_no_hash_types_is_rss_off(void)
{
	attach(8, 128);
	CU_ASSERT_EQUAL(start(4, RTE_ETH_RSS_IPV4), 0);
	CU_ASSERT_TRUE(host.now.enabled);
	CU_ASSERT_EQUAL(start(1, RTE_ETH_RSS_IPV4), 0);
	CU_ASSERT_FALSE(host.now.enabled);
	CU_ASSERT_EQUAL(start(4, RTE_ETH_RSS_IPV4), 0);
	CU_ASSERT_EQUAL(start(4, 0), 0);
	CU_ASSERT_FALSE(host.now.enabled);
}

/* Pitfall H3: a table of another size than 128 is no reason for a single queue. */
static void
hosts_with_other_table_sizes_have_all_queues(void)
{
	static const uint16_t entries[] = {0, 16, 64, 128, 256, 1024};
	size_t i;

	for (i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		attach(8, entries[i]);
		CU_ASSERT_EQUAL(port.session.max_queues, 8);
		CU_ASSERT_EQUAL(start(8, RTE_ETH_RSS_IPV4), 0);
		CU_ASSERT_EQUAL(highest_queue(), 7);
	}
	/* And a host without RSS has one queue and takes no parameters. */
	attach(8, 128);
	host.query = -ENOTSUP;
	query(NVSP_VERSION_61);
	CU_ASSERT_EQUAL(port.session.max_queues, 1);
	CU_ASSERT_EQUAL(start(1, 0), 0);
	CU_ASSERT_EQUAL(host.changes, 0);
	CU_ASSERT_EQUAL(start(2, RTE_ETH_RSS_IPV4), -ENOTSUP);
}

/* Pitfall H4. */
static void
a_bad_table_entry_leaves_the_table_alone(void)
{
	struct rte_eth_rss_reta_entry64 groups[2] = {0}, after[2] = {0};
	unsigned int i;

	attach(8, 128);
	CU_ASSERT_EQUAL(start(4, RTE_ETH_RSS_IPV4), 0);
	groups[0].mask = groups[1].mask = UINT64_MAX;
	groups[1].reta[63] = 4; /* the last one: all others are queue 0 */
	host.changes = 0;
	CU_ASSERT_EQUAL(netvsc_reta_update(&eth, groups, 128), -EINVAL);
	CU_ASSERT_EQUAL(host.changes, 0);
	after[0].mask = after[1].mask = UINT64_MAX;
	CU_ASSERT_EQUAL(netvsc_reta_query(&eth, after, 128), 0);
	for (i = 0; i < 128; i++)
		CU_ASSERT_EQUAL(after[i / 64].reta[i % 64], i % 4);
}

/* Pitfall H5: nothing is promised that the host has no bit for. */
static void
hash_types_are_the_hosts(void)
{
	attach(8, 128);
	CU_ASSERT_FALSE(netvsc_rss_offloads(&port) & RTE_ETH_RSS_NONFRAG_IPV4_UDP);
	CU_ASSERT_EQUAL(start(4, RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_IPV4), 0);
	CU_ASSERT_EQUAL(host.now.hash_info, NDIS_HASH_TOEPLITZ | NDIS_HASH_IPV4);
	host.caps |= NDIS_RSS_CAP_UDP_IPV4;
	query(NVSP_VERSION_61);
	CU_ASSERT_TRUE(netvsc_rss_offloads(&port) & RTE_ETH_RSS_NONFRAG_IPV4_UDP);
	CU_ASSERT_EQUAL(start(4, RTE_ETH_RSS_NONFRAG_IPV4_UDP), 0);
	CU_ASSERT_EQUAL(host.now.hash_info, NDIS_HASH_TOEPLITZ | NDIS_HASH_UDP_IPV4);
}

/* Pitfall H7: while its queues exist, and not beyond. */
static void
the_users_table_stays_while_its_queues_exist(void)
{
	attach(8, 128);
	CU_ASSERT_EQUAL(start(4, RTE_ETH_RSS_IPV4), 0);
	CU_ASSERT_EQUAL(reta(127, 1), 0); /* 127 % 4 would be 3 */
	CU_ASSERT_EQUAL(reta(0, 3), 0);
	CU_ASSERT_EQUAL(start(5, RTE_ETH_RSS_IPV4), 0);
	CU_ASSERT_EQUAL(host.now.table[127], 1);
	CU_ASSERT_EQUAL(host.now.table[0], 3);
	CU_ASSERT_EQUAL(start(3, RTE_ETH_RSS_IPV4), 0);
	CU_ASSERT_EQUAL(host.now.table[0], 0);
	CU_ASSERT_EQUAL(highest_queue(), 2);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"table names only queues that are there", table_names_only_queues_that_are_there},
		{"a change switches RSS off first", a_change_switches_rss_off_first},
		{"one queue or no hash types is RSS off", one_queue_or_no_hash_types_is_rss_off},
		{"hosts with other table sizes have all queues",
			hosts_with_other_table_sizes_have_all_queues},
		{"a bad table entry leaves the table alone",
			a_bad_table_entry_leaves_the_table_alone},
		{"hash types are the host's", hash_types_are_the_hosts},
		{"the user's table stays while its queues exist",
			the_users_table_stays_while_its_queues_exist},
	};

	return UNIT_RUN("netvsc_rss", tests);
}
