/* SPDX-License-Identifier: BSD-3-Clause */
/* Every parser of NDIS objects (lib/netvsp/ndis.h) on one info buffer, behind a byte of queues. */
#include "lib/netvsp/ndis.h"
#include "lib/netvsp/rndis.h"
#include "test/fuzz/fuzz.h"

static void
guest(const uint8_t *info, size_t len)
{
	struct ndis_offloads offloads;
	struct ndis_rss_caps caps;
	uint64_t speed;
	bool up;

	if (ndis_parse_offload_caps(info, len, &offloads) == 0)
		FUZZ_CHECK((offloads.can & ~NDIS_CAN_ALL) == 0);
	if (ndis_parse_rss_caps(info, len, &caps) == 0)
		FUZZ_CHECK(caps.table_entries != 0);
	ndis_parse_link_state(info, len, &up, &speed);
}

static void
host(const uint8_t *info, size_t len, uint32_t queues)
{
	static struct ndis_rss_config config;
	uint32_t on = NDIS_CAN_TX_TCP4, i;
	uint8_t mac[6];

	ndis_apply_offload_params(info, len, NDIS_CAN_ALL & ~NDIS_CAN_TSO6, &on);
	FUZZ_CHECK((on & ~(NDIS_CAN_ALL & ~NDIS_CAN_TSO6)) == 0);
	ndis_check_offload_encap(info, len);
	if (ndis_parse_rss_params(info, len, queues, &config) == RNDIS_STATUS_SUCCESS &&
		config.enabled)
		for (i = 0; i < NDIS_RSS_TABLE_MAX; i++)
			FUZZ_CHECK(config.table[i] < queues);
	if (ndis_parse_config_mac(info, len, mac) == RNDIS_STATUS_SUCCESS)
		FUZZ_CHECK((mac[0] & 1) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = {data, size};
	uint32_t queues = 1 + fuzz_below(&in, 64);
	size_t len;
	uint8_t *info = fuzz_block(&in, 4096, &len);

	guest(info, len);
	host(info, len, queues);
	free(info);
	return 0;
}
