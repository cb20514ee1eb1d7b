/* SPDX-License-Identifier: BSD-3-Clause */
/* What a port refuses to be configured as (drivers/net/netvsc/conf.c), and what it says of itself.
 */
#include <errno.h>

#include "drivers/net/netvsc/control.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/stats.h"
#include "test/unit/netvsc_fixture.h"

#define CHANNELS 2u

static struct fixture f;

static bool
begin(void)
{
	const struct fixture_conf conf = {.channels = CHANNELS, .mbufs = 255};

	return fixture_begin(&f, &conf);
}

static void
test_a_configuration_that_cannot_be_is_refused(void)
{
	static uint8_t key[64];
	const struct {
		int rc;
		struct rte_eth_conf conf;
	} cases[] = {
		{0, {0}},
		{0, {.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS}},
		{0, {.lpbk_mode = 1}},
		{0, {.rx_adv_conf.rss_conf = {.rss_key = key, .rss_key_len = NETVSC_RSS_KEY_LEN}}},
		{-EINVAL, {.rx_adv_conf.rss_conf = {.rss_key = key, .rss_key_len = 39}}},
		{-EINVAL, {.rx_adv_conf.rss_conf = {.rss_key = key, .rss_key_len = 52}}},
		{-EINVAL, {.link_speeds = RTE_ETH_LINK_SPEED_FIXED | RTE_ETH_LINK_SPEED_10G}},
		{-EINVAL, {.link_speeds = RTE_ETH_LINK_SPEED_10M_HD}},
		{-EINVAL, {.rxmode.mq_mode = RTE_ETH_MQ_RX_VMDQ_ONLY}},
		{-EINVAL, {.rxmode.mq_mode = RTE_ETH_MQ_RX_DCB_RSS}},
		{-EINVAL, {.txmode.mq_mode = RTE_ETH_MQ_TX_DCB}},
		{-EINVAL, {.dcb_capability_en = RTE_ETH_DCB_PG_SUPPORT}},
		{-ENOTSUP, {.txmode.hw_vlan_reject_tagged = 1}},
		{-ENOTSUP, {.txmode.hw_vlan_reject_untagged = 1}},
		{-ENOTSUP, {.txmode.hw_vlan_insert_pvid = 1}},
	};
	size_t i;

	REQUIRE(begin());
	for (i = 0; i < RTE_DIM(cases); i++)
		CU_ASSERT_EQUAL(netvsc_check_conf(&f.port, &cases[i].conf), cases[i].rc);
	fixture_end(&f);
}

/* Of a list the one speed there is may be met; a fixed one is the host's to decide. */
static void
test_a_list_of_speeds_with_the_link_s_is_met(void)
{
	struct rte_eth_conf conf = {.link_speeds = RTE_ETH_LINK_SPEED_10G | RTE_ETH_LINK_SPEED_40G};

	REQUIRE(begin());
	atomic_store(&f.port.link.speed, UINT64_C(10000) * 10000); /* in 100 b/s */
	CU_ASSERT_EQUAL(netvsc_check_conf(&f.port, &conf), 0);
	conf.link_speeds |= RTE_ETH_LINK_SPEED_FIXED;
	CU_ASSERT_EQUAL(netvsc_check_conf(&f.port, &conf), -EINVAL);
	conf.link_speeds = RTE_ETH_LINK_SPEED_25G;
	CU_ASSERT_EQUAL(netvsc_check_conf(&f.port, &conf), -EINVAL);
	fixture_end(&f);
}

static void
test_a_start_without_a_queue_is_refused(void)
{
	void **queues[2];
	unsigned int i, q;

	REQUIRE(begin());
	CU_ASSERT_EQUAL(netvsc_check_queues(&f.port), 0);
	queues[0] = f.data.rx_queues;
	queues[1] = f.data.tx_queues;
	for (i = 0; i < 2; i++)
		for (q = 0; q < CHANNELS; q++) {
			void *queue = queues[i][q];

			queues[i][q] = NULL;
			CU_ASSERT_EQUAL(netvsc_check_queues(&f.port), -EINVAL);
			queues[i][q] = queue;
		}
	CU_ASSERT_EQUAL(netvsc_check_queues(&f.port), 0);
	fixture_end(&f);
}

static void
test_a_threshold_above_the_ring_is_refused(void)
{
	struct rte_eth_txconf conf = {0};

	REQUIRE(begin());
	CU_ASSERT_EQUAL(netvsc_check_txconf(&f.port, 0, 64, &conf), 0);
	conf.tx_free_thresh = 60;
	CU_ASSERT_EQUAL(netvsc_check_txconf(&f.port, 0, 64, &conf), 0);
	conf.tx_free_thresh = 61;
	CU_ASSERT_EQUAL(netvsc_check_txconf(&f.port, 0, 64, &conf), -EINVAL);
	fixture_end(&f);
}

static char *
dump(void)
{
	size_t len;
	char *text = NULL;
	FILE *file = open_memstream(&text, &len);

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT_EQUAL(netvsc_priv_dump(&f.eth, file), 0);
	fclose(file);
	return text;
}

static void
test_a_dump_has_all_channels_but_waits_for_nobody(void)
{
	struct nvsp_message msg = {.type = NVSP_TYPE_VF_ASSOCIATION};
	char want[64], *text;
	unsigned int i;

	REQUIRE(begin());
	CU_ASSERT_EQUAL(fixture_inband(&f, 1, &msg, sizeof(msg)), 0);
	fixture_publish(&f, 1);
	text = dump();
	for (i = 0; i < CHANNELS; i++) {
		snprintf(want, sizeof(want), "channel %u relid %u\n", i,
			f.port.channels[i]->bus.relid);
		CU_ASSERT_PTR_NOT_NULL(strstr(text, want));
	}
	/* The rings as they are: one of them has a packet that nobody has read. */
	snprintf(want, sizeof(want), "write %u",
		(unsigned int)atomic_load(&f.port.channels[1]->bus.rx.ctl->write_index));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, want));
	free(text);
	CU_ASSERT_FATAL(netvsc_control_try(&f.port));
	text = dump();
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "a control operation is going on, ask again"));
	CU_ASSERT_PTR_NULL(strstr(text, "channel 0 relid"));
	free(text);
	netvsc_control_try_end(&f.port);
	fixture_end(&f);
}

static void
test_the_version_of_nvsp_is_the_firmware_s(void)
{
	char text[16] = "";

	REQUIRE(begin());
	f.port.limits.nvsp_version = NVSP_VERSION_61;
	CU_ASSERT_EQUAL(netvsc_fw_version(&f.eth, text, sizeof(text)), 0);
	CU_ASSERT_STRING_EQUAL(text, "NVSP 6.1");
	CU_ASSERT_EQUAL(netvsc_fw_version(&f.eth, text, 9), 0);
	/* Too small: how much it takes. */
	CU_ASSERT_EQUAL(netvsc_fw_version(&f.eth, text, 8), 9);
	fixture_end(&f);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"a configuration that cannot be is refused",
			test_a_configuration_that_cannot_be_is_refused},
		{"a list of speeds with the link's is met",
			test_a_list_of_speeds_with_the_link_s_is_met},
		{"a start without a queue is refused", test_a_start_without_a_queue_is_refused},
		{"a threshold above the ring is refused",
			test_a_threshold_above_the_ring_is_refused},
		{"a dump has all channels, but waits for nobody",
			test_a_dump_has_all_channels_but_waits_for_nobody},
		{"the version of NVSP is the firmware's",
			test_the_version_of_nvsp_is_the_firmware_s},
	};

	return UNIT_RUN("netvsc_conf", tests);
}
