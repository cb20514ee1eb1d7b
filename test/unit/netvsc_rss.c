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
#include "drivers/net/netvsc/rx.h"
#include "test/unit/unit.h"

#include <rte_byteorder.h>
#include <rte_thash.h>

int netvsc_logtype;
const struct hpbus_op_kind netvsc_op_setting = {"test", 20000, 1000, false};

/* The host refuses a change while RSS is on, as real ones do. */
static struct {
	uint32_t caps, queues;
	uint16_t entries; /* as announced */
	int query;	  /* what the query for capabilities returns, 0 = answer it */
	int refusals;	  /* settings that are refused from now on; < 0: all */
	int refusal;	  /* what they return */
	struct ndis_rss_config now;
	unsigned int changes;
} host;

static struct rte_eth_dev_data data;
static struct netvsc_rxq rxqs[64];
static void *rx_queues[RTE_DIM(rxqs)];
static struct rte_eth_dev eth = {.data = &data};
static struct hpbus_device bus = {.name = "test", .max_channels = 64};
struct netvsc_process netvsc_process = {NETVSC_PRIMARY, 1};
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
	if (wanted.enabled && host.refusals != 0 && host.refusals-- != 0)
		return host.refusal;
	host.now = wanted;
	host.changes++;
	return 0;
}

int
netvsc_control_begin(struct netvsc_port *p, struct hpbus_op *op, const struct hpbus_op_kind *kind)
{
	return 0;
}

void
netvsc_vf_changed(struct netvsc_port *p, uint32_t what)
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
	unsigned int i;

	memset(&host, 0, sizeof(host));
	host.caps = NDIS_RSS_CAP_TCP_IPV4 | NDIS_RSS_CAP_TCP_IPV6 | 1;
	host.queues = queues;
	host.entries = entries;
	host.refusal = -EIO;
	memset(&port, 0, sizeof(port));
	memset(&data, 0, sizeof(data));
	for (i = 0; i < RTE_DIM(rxqs); i++)
		rx_queues[i] = &rxqs[i];
	memset(rxqs, 0, sizeof(rxqs));
	data.rx_queues = rx_queues;
	port.bus = &bus;
	port.eth = &eth;
	port.data = &data;
	query(NVSP_VERSION_61);
	data.dev_private = &port;
}

/* Configure and start. @return what the start makes of it */
static int
start(uint16_t queues, uint64_t hf)
{
	data.nb_rx_queues = queues;
	memset(data.rx_queue_state, RTE_ETH_QUEUE_STATE_STARTED, queues);
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

	for (i = 0; i < NDIS_RSS_TABLE_MAX; i++)
		if (host.now.table[i] > highest)
			highest = host.now.table[i];
	return highest;
}

static int
reta(uint16_t at, uint16_t queue)
{
	struct rte_eth_rss_reta_entry64 groups[NETVSC_RETA_MAX / 64] = {0};

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
	static const uint16_t entries[] = {0, 16, 64, 100, 128, 256, 512, 1024};
	static const uint16_t used[] = {128, 16, 64, 64, 128, 256, 512, 512};
	struct rte_eth_rss_reta_entry64 groups[NETVSC_RETA_MAX / 64];
	size_t i, e;

	for (i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		attach(8, entries[i]);
		CU_ASSERT_EQUAL(port.session.max_queues, 8);
		CU_ASSERT_EQUAL(port.session.reta_size, used[i]);
		CU_ASSERT_EQUAL(start(8, RTE_ETH_RSS_IPV4), 0);
		CU_ASSERT_EQUAL(highest_queue(), 7);
		CU_ASSERT_EQUAL(host.now.entries, used[i]);
		/* All of it is the application's. */
		memset(groups, 0xff, sizeof(groups));
		for (e = 0; e < used[i]; e++)
			groups[e / 64].reta[e % 64] = (uint16_t)(e * 5 % 7);
		CU_ASSERT_EQUAL(netvsc_reta_update(&eth, groups, used[i]), 0);
		CU_ASSERT_EQUAL(netvsc_reta_update(&eth, groups, used[i] + 1), -EINVAL);
		memset(groups, 0xff, sizeof(groups));
		CU_ASSERT_EQUAL(netvsc_reta_query(&eth, groups, used[i]), 0);
		for (e = 0; e < used[i]; e++) {
			CU_ASSERT_EQUAL(groups[e / 64].reta[e % 64], e * 5 % 7);
			CU_ASSERT_EQUAL(host.now.table[e], e * 5 % 7);
		}
	}
	/* A table with fewer entries than the host has queues: so many queues. */
	attach(64, 4);
	CU_ASSERT_EQUAL(port.session.max_queues, 4);
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

/* Pitfall H5: no type is sent that the host has no capability for, and none is without effect. */
static void
hash_types_are_the_hosts(void)
{
	static const struct {
		uint32_t caps;
		uint64_t hf;
		uint32_t hash;
	} want[] = {
		{0x300, RTE_ETH_RSS_IPV4, NDIS_HASH_IPV4},
		{0x300, RTE_ETH_RSS_FRAG_IPV4, NDIS_HASH_IPV4},
		{0x300, RTE_ETH_RSS_IP, NDIS_HASH_IPV4 | NDIS_HASH_IPV6},
		{0x300, RTE_ETH_RSS_TCP, NDIS_HASH_TCP_IPV4 | NDIS_HASH_TCP_IPV6},
		{0x300, RTE_ETH_RSS_UDP, NDIS_HASH_IPV4 | NDIS_HASH_TCP_IPV4 | NDIS_HASH_IPV6},
		{0x300, RTE_ETH_RSS_SCTP, NDIS_HASH_IPV4 | NDIS_HASH_IPV6},
		{0x700, RTE_ETH_RSS_IP, NDIS_HASH_IPV4 | NDIS_HASH_IPV6 | NDIS_HASH_IPV6_EX},
		{0x700, RTE_ETH_RSS_TCP,
			NDIS_HASH_TCP_IPV4 | NDIS_HASH_TCP_IPV6 | NDIS_HASH_TCP_IPV6_EX},
		{0xb00, RTE_ETH_RSS_UDP, NDIS_HASH_UDP_IPV4 | NDIS_HASH_IPV6},
		{0x1b00, RTE_ETH_RSS_UDP, NDIS_HASH_UDP_IPV4 | NDIS_HASH_UDP_IPV6},
		{0x3f00, RTE_ETH_RSS_UDP,
			NDIS_HASH_UDP_IPV4 | NDIS_HASH_UDP_IPV6 | NDIS_HASH_UDP_IPV6_EX},
		{0x100, RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_IPV6, NDIS_HASH_IPV4},
	};
	size_t i;

	attach(8, 128);
	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		host.caps = want[i].caps | NDIS_RSS_CAP_TOEPLITZ;
		query(NVSP_VERSION_61);
		CU_ASSERT_EQUAL(start(4, want[i].hf), 0);
		CU_ASSERT_EQUAL(host.now.hash_info, NDIS_HASH_TOEPLITZ | want[i].hash);
	}
	/* The last one: nothing of IPv6 is offered. */
	CU_ASSERT_EQUAL(netvsc_rss_offloads(&port) & RTE_ETH_RSS_IPV6, 0);
}

/* ipfixprobe, F-Stack, nff-go: sets of types that are not masked by what the port offers. */
static void
sets_as_applications_write_them_are_offered(void)
{
	static const uint64_t sets[] = {RTE_ETH_RSS_IP, RTE_ETH_RSS_TCP, RTE_ETH_RSS_UDP,
		RTE_ETH_RSS_SCTP, RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP, 0x28};
	size_t i;

	attach(8, 128);
	for (i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
		CU_ASSERT_EQUAL(sets[i] & ~netvsc_rss_offloads(&port), 0);
	/* And what nothing stands for is not. */
	CU_ASSERT_EQUAL(
		netvsc_rss_offloads(&port) &
			(RTE_ETH_RSS_L2_PAYLOAD | RTE_ETH_RSS_L3_SRC_ONLY | RTE_ETH_RSS_VXLAN),
		0);
}

/* The queue of a flow is what rte_softrss() makes of the key and the table that dev_ops tell. */
static void
the_spread_is_that_of_a_software_toeplitz(void)
{
	static const uint16_t sizes[] = {64, 128, 512};
	struct rte_eth_rss_reta_entry64 groups[NETVSC_RETA_MAX / 64];
	uint8_t key[NETVSC_RSS_KEY_LEN], told[NETVSC_RSS_KEY_LEN], input[12];
	struct rte_eth_rss_conf conf = {
		.rss_key = key, .rss_key_len = sizeof(key), .rss_hf = RTE_ETH_RSS_IP};
	struct rte_eth_rss_conf get = {.rss_key = told, .rss_key_len = sizeof(told)};
	struct toeplitz *of_host = malloc(sizeof(*of_host));
	uint32_t tuple[3], hash, s, i, k;

	CU_ASSERT_PTR_NOT_NULL_FATAL(of_host);
	for (i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(i * 31 + 5);
	for (s = 0; s < RTE_DIM(sizes); s++) {
		attach(8, sizes[s]);
		CU_ASSERT_EQUAL(start(8, RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP), 0);
		CU_ASSERT_EQUAL(netvsc_rss_hash_update(&eth, &conf), 0);
		for (i = 0; i < sizes[s]; i++)
			CU_ASSERT_EQUAL(reta((uint16_t)i, (uint16_t)(i * 3 % 8)), 0);
		CU_ASSERT_EQUAL(netvsc_rss_hash_conf_get(&eth, &get), 0);
		memset(groups, 0xff, sizeof(groups));
		CU_ASSERT_EQUAL(netvsc_reta_query(&eth, groups, sizes[s]), 0);
		toeplitz_set_key(of_host, host.now.key);
		for (i = 0; i < 1000; i++) {
			for (k = 0; k < RTE_DIM(tuple); k++)
				tuple[k] = i * 2654435761u + k * 40503u;
			hash = rte_softrss(tuple, RTE_DIM(tuple), told);
			for (k = 0; k < RTE_DIM(tuple); k++) {
				uint32_t word = rte_cpu_to_be_32(tuple[k]);

				memcpy(input + 4 * k, &word, sizeof(word));
			}
			CU_ASSERT_EQUAL(toeplitz_hash(of_host, input, sizeof(input)), hash);
			CU_ASSERT_EQUAL(host.now.table[hash % NDIS_RSS_TABLE_MAX],
				groups[hash % sizes[s] / 64].reta[hash % 64]);
		}
	}
	free(of_host);
}

/* Settings that are refused leave the port as it was, at the host and in what is told. */
static void
refused_settings_leave_those_before(void)
{
	struct rte_eth_rss_conf conf = {.rss_hf = RTE_ETH_RSS_NONFRAG_IPV4_TCP};
	struct rte_eth_rss_conf get = {0};

	attach(8, 128);
	CU_ASSERT_EQUAL(start(4, RTE_ETH_RSS_IPV4), 0);
	host.refusals = 1;
	CU_ASSERT_EQUAL(netvsc_rss_hash_update(&eth, &conf), -EIO);
	CU_ASSERT_TRUE(host.now.enabled);
	CU_ASSERT_EQUAL(host.now.hash_info, NDIS_HASH_TOEPLITZ | NDIS_HASH_IPV4);
	CU_ASSERT_EQUAL(netvsc_rss_hash_conf_get(&eth, &get), 0);
	CU_ASSERT_EQUAL(get.rss_hf, RTE_ETH_RSS_IPV4);
	host.refusals = 1;
	CU_ASSERT_EQUAL(reta(0, 3), -EIO);
	CU_ASSERT_EQUAL(host.now.table[0], 0);
	CU_ASSERT_FALSE(port.config.rss.user);
	/* A host that takes nothing any more: an error, and no loop. */
	host.refusals = -1;
	CU_ASSERT_EQUAL(reta(0, 3), -EIO);
	CU_ASSERT_FALSE(host.now.enabled);
}

/* However it says no, and whatever it makes of it: queues have frames again. */
static void
rss_is_on_again_after_any_refusal(void)
{
	static const int refusals[] = {-EIO, -ENOTSUP, -EPROTO};
	struct rte_eth_rss_conf conf = {.rss_hf = RTE_ETH_RSS_NONFRAG_IPV4_TCP};
	unsigned int i, changes;

	for (i = 0; i < RTE_DIM(refusals); i++) {
		attach(8, 128);
		CU_ASSERT_EQUAL(start(4, RTE_ETH_RSS_IPV4), 0);
		host.refusals = 1;
		host.refusal = refusals[i];
		CU_ASSERT_EQUAL(netvsc_rss_hash_update(&eth, &conf), refusals[i]);
		CU_ASSERT_TRUE(host.now.enabled);
		CU_ASSERT_EQUAL(host.now.hash_info, NDIS_HASH_TOEPLITZ | NDIS_HASH_IPV4);
	}
	/* Who does not answer any more is not asked again. */
	host.refusals = 1;
	host.refusal = -ENOTCONN;
	changes = host.changes;
	atomic_store(&port.state, NETVSC_STATE_BROKEN);
	CU_ASSERT_EQUAL(netvsc_rss_hash_update(&eth, &conf), -ENOTCONN);
	CU_ASSERT_EQUAL(host.changes, changes + 1);
}

/* As the in-tree driver's users found it: their key of 52 bytes was cut to 40 without a word. */
static void
a_key_of_another_length_is_refused(void)
{
	uint8_t key[52] = {1};
	struct rte_eth_rss_conf conf = {.rss_key = key, .rss_hf = RTE_ETH_RSS_IPV4};

	attach(8, 128);
	CU_ASSERT_EQUAL(start(4, RTE_ETH_RSS_IPV4), 0);
	for (conf.rss_key_len = 0; conf.rss_key_len <= sizeof(key); conf.rss_key_len += 4)
		CU_ASSERT_EQUAL(netvsc_rss_hash_update(&eth, &conf),
			conf.rss_key_len == NETVSC_RSS_KEY_LEN ? 0 : -EINVAL);
	CU_ASSERT_EQUAL(memcmp(host.now.key, key, NETVSC_RSS_KEY_LEN), 0);
}

/* The hash of frames of a single queue is the application's wish, and the host's to grant. */
static void
a_single_queue_has_a_hash_when_asked_for(void)
{
	attach(8, 128);
	data.dev_conf.rxmode.offloads = RTE_ETH_RX_OFFLOAD_RSS_HASH;
	CU_ASSERT_EQUAL(start(1, RTE_ETH_RSS_IPV4), 0);
	CU_ASSERT_TRUE(host.now.enabled);
	CU_ASSERT_EQUAL(highest_queue(), 0);
	host.refusals = -1;
	CU_ASSERT_EQUAL(start(1, RTE_ETH_RSS_IPV4), 0);
	CU_ASSERT_FALSE(host.now.enabled);
}

/* The offload can be a queue's own, and a queue may not be set up. */
static void
a_single_queue_asks_for_its_hash_itself(void)
{
	attach(8, 128);
	rxqs[0].conf.offloads = RTE_ETH_RX_OFFLOAD_RSS_HASH;
	CU_ASSERT_EQUAL(start(1, RTE_ETH_RSS_IPV4), 0);
	CU_ASSERT_TRUE(host.now.enabled);
	rx_queues[0] = NULL;
	CU_ASSERT_EQUAL(start(1, RTE_ETH_RSS_IPV4), 0);
	CU_ASSERT_FALSE(host.now.enabled);
}

/* A queue that is stopped gets nothing; what it would get goes to the others. */
static void
a_stopped_queue_is_not_in_the_table(void)
{
	unsigned int i, n[4] = {0};

	attach(8, 128);
	CU_ASSERT_EQUAL(start(4, RTE_ETH_RSS_IPV4), 0);
	data.rx_queue_state[1] = RTE_ETH_QUEUE_STATE_STOPPED;
	CU_ASSERT_EQUAL(netvsc_rss_apply(&port), 0);
	for (i = 0; i < 128; i++)
		n[host.now.table[i]]++;
	CU_ASSERT_EQUAL(n[1], 0);
	CU_ASSERT(n[0] > 40 && n[2] > 40 && n[3] > 40);
	/* Whose table names it stays with whom it was. */
	for (i = 0; i < 128; i++)
		if (i % 4 != 1)
			CU_ASSERT_EQUAL(host.now.table[i], i % 4);
	data.rx_queue_state[1] = RTE_ETH_QUEUE_STATE_STARTED;
	CU_ASSERT_EQUAL(netvsc_rss_apply(&port), 0);
	CU_ASSERT_EQUAL(host.now.table[5], 1);
	/* The last one of several takes all. */
	for (i = 0; i < 3; i++)
		data.rx_queue_state[i] = RTE_ETH_QUEUE_STATE_STOPPED;
	CU_ASSERT_EQUAL(netvsc_rss_apply(&port), 0);
	CU_ASSERT_TRUE(host.now.enabled);
	for (i = 0; i < 128; i++)
		CU_ASSERT_EQUAL(host.now.table[i], 3);
	/* And nobody: all come on the primary, where they are counted. */
	data.rx_queue_state[3] = RTE_ETH_QUEUE_STATE_STOPPED;
	CU_ASSERT_EQUAL(netvsc_rss_apply(&port), 0);
	CU_ASSERT_FALSE(host.now.enabled);
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
		{"sets as applications write them are offered",
			sets_as_applications_write_them_are_offered},
		{"the spread is that of a software Toeplitz",
			the_spread_is_that_of_a_software_toeplitz},
		{"refused settings leave those before", refused_settings_leave_those_before},
		{"RSS is on again after any refusal", rss_is_on_again_after_any_refusal},
		{"a key of another length is refused", a_key_of_another_length_is_refused},
		{"a single queue has a hash when asked for",
			a_single_queue_has_a_hash_when_asked_for},
		{"a single queue asks for its hash itself",
			a_single_queue_asks_for_its_hash_itself},
		{"a stopped queue is not in the table", a_stopped_queue_is_not_in_the_table},
		{"the user's table stays while its queues exist",
			the_users_table_stays_while_its_queues_exist},
	};

	return UNIT_RUN("netvsc_rss", tests);
}
