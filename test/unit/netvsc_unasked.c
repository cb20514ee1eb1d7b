/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the host says unasked: indications, notices, and answers that belong to no request.
 */
#include <errno.h>

#include "drivers/net/netvsc/attach.h"
#include "lib/netvsp/nvsp.h"
#include "lib/netvsp/rndis.h"
#include "test/unit/netvsc_ladder.h"

static void
say(const void *msg, uint32_t len)
{
	struct vmbus_xfer_range range = fixture_bytes(&f, 1, msg, len);
	struct netvsc_channel *ch = fixture_channel(&f, 0);

	CU_ASSERT_EQUAL(fixture_xfer(&f, 0, ++host.next_tid, &range, 1), 0);
	fixture_publish(&f, 0);
	rte_spinlock_lock(&ch->rx_lock);
	netvsc_rx_scan(ch);
	rte_spinlock_unlock(&ch->rx_lock);
}

static uint32_t
indicate(uint32_t status, const void *buffer, uint32_t len)
{
	uint8_t msg[128];
	int n = rndis_build_indicate(msg, sizeof(msg), status, buffer, len);

	CU_ASSERT_FATAL(n > 0);
	say(msg, (uint32_t)n);
	return atomic_exchange(&f.port.events, 0);
}

static void
test_indications(void)
{
	uint32_t speed = 400000000;
	uint8_t msg[64];
	int n;

	REQUIRE(ladder_begin(true));
	CU_ASSERT_EQUAL(ladder_attach(1, 1500), 0);
	CU_ASSERT_EQUAL(indicate(RNDIS_STATUS_MEDIA_DISCONNECT, NULL, 0), NETVSC_EVENT_LINK);
	CU_ASSERT_EQUAL(f.port.link.up, 0);
	CU_ASSERT_EQUAL(indicate(RNDIS_STATUS_MEDIA_CONNECT, NULL, 0), NETVSC_EVENT_LINK);
	CU_ASSERT_EQUAL(f.port.link.up, 1);
	CU_ASSERT_EQUAL(
		indicate(RNDIS_STATUS_LINK_SPEED_CHANGE, &speed, sizeof(speed)), NETVSC_EVENT_LINK);
	CU_ASSERT_EQUAL(f.port.link.speed, speed);
	CU_ASSERT_EQUAL(indicate(RNDIS_STATUS_LINK_SPEED_CHANGE, &speed, 2), 0);
	CU_ASSERT_EQUAL(f.port.link.speed, speed);
	CU_ASSERT_EQUAL(indicate(RNDIS_STATUS_NETWORK_CHANGE, NULL, 0),
		NETVSC_EVENT_LINK | NETVSC_EVENT_FLAP);
	CU_ASSERT_EQUAL(indicate(RNDIS_STATUS_SUCCESS, NULL, 0), 0);
	CU_ASSERT_EQUAL(fixture_channel(&f, 0)->stats.rx_control_malformed, 0);
	n = rndis_build_indicate(msg, sizeof(msg), RNDIS_STATUS_MEDIA_CONNECT, NULL, 0);
	CU_ASSERT(n > 0);
	say(msg, 12);
	CU_ASSERT_EQUAL(fixture_channel(&f, 0)->stats.rx_control_malformed, 1);
	ladder_end();
}

static void
test_what_belongs_to_no_request(void)
{
	struct netvsc_channel_stats *stats;
	struct nvsp_message m = {0};
	uint8_t msg[128];
	uint32_t type;
	int n;

	REQUIRE(ladder_begin(true));
	CU_ASSERT_EQUAL(ladder_attach(1, 1500), 0);
	stats = &fixture_channel(&f, 0)->stats;
	memset(stats, 0, sizeof(*stats));
	/* Answers that nobody waits for, a request, something with no name. */
	n = rndis_build_set_complete(msg, sizeof(msg), 77, RNDIS_STATUS_SUCCESS);
	say(msg, (uint32_t)n);
	n = rndis_build_reset_complete(msg, sizeof(msg), RNDIS_STATUS_SUCCESS, false);
	say(msg, (uint32_t)n);
	n = rndis_build_short(msg, sizeof(msg), RNDIS_TYPE_HALT, 1);
	say(msg, (uint32_t)n);
	CU_ASSERT_EQUAL(stats->rx_control_malformed, 3);
	type = 0x1234;
	memcpy(msg, &type, sizeof(type));
	say(msg, 64);
	CU_ASSERT_EQUAL(stats->rx_malformed, 1);
	/* Notices, known and not. */
	nvsp_build_vf_association(&m, true, 1);
	CU_ASSERT_EQUAL(fixture_inband(&f, 0, &m, sizeof(m)), 0);
	nvsp_build_switch_data_path(&m, 0);
	CU_ASSERT_EQUAL(fixture_inband(&f, 0, &m, sizeof(m)), 0);
	nvsp_build_subchannel(&m, 1);
	CU_ASSERT_EQUAL(fixture_inband(&f, 0, &m, sizeof(m)), 0);
	CU_ASSERT_EQUAL(fixture_inband(&f, 0, &m, 2), 0);
	/* A completion of a request that there is not. */
	CU_ASSERT_EQUAL(
		fixture_complete(&f, 0, NETVSC_TID_CONTROL | 12345, NVSP_STATUS_SUCCESS), 0);
	fixture_publish(&f, 0);
	rte_spinlock_lock(&fixture_channel(&f, 0)->rx_lock);
	netvsc_rx_scan(fixture_channel(&f, 0));
	rte_spinlock_unlock(&fixture_channel(&f, 0)->rx_lock);
	CU_ASSERT_EQUAL(stats->rx_unknown_packets, 2);
	CU_ASSERT_EQUAL(stats->tx_bad_completions, 1);
	ladder_end();
}

/* A message of the host with channels first, first + 1, ... modulo @modulo, @claimed its offset. */
static void
say_table(uint32_t first, uint32_t modulo, uint32_t claimed)
{
	uint32_t table[NVSP_SEND_TABLE_ENTRIES], i;
	uint8_t msg[NVSP_SEND_TABLE_MAX_LEN];
	struct netvsc_channel *ch = fixture_channel(&f, 0);
	int n;

	for (i = 0; i < NVSP_SEND_TABLE_ENTRIES; i++)
		table[i] = (first + i) % modulo;
	n = nvsp_build_send_table(msg, sizeof(msg), NVSP_SEND_TABLE_AT_VMM, claimed, table);
	CU_ASSERT_FATAL(n > 0);
	CU_ASSERT_EQUAL(fixture_inband(&f, 0, msg, (uint32_t)n), 0);
	fixture_publish(&f, 0);
	rte_spinlock_lock(&ch->rx_lock);
	netvsc_rx_scan(ch);
	rte_spinlock_unlock(&ch->rx_lock);
}

/* @return the table in words; @tables of this session */
static const char *
table_text(uint32_t *tables)
{
	static char text[NETVSC_SEND_TABLE_TEXT];
	uint32_t table[NVSP_SEND_TABLE_ENTRIES];

	*tables = netvsc_send_table_read(&f.port, table);
	netvsc_send_table_text(table, text);
	return text;
}

/* Where the host would have sends is known to who asks, until another session. */
static void
test_the_send_table_is_kept(void)
{
	uint32_t table[NVSP_SEND_TABLE_ENTRIES], n;

	REQUIRE(ladder_begin(true));
	CU_ASSERT_EQUAL(ladder_attach(1, 1500), 0);
	CU_ASSERT_STRING_EQUAL(table_text(&n), "none");
	CU_ASSERT_EQUAL(n, 0);
	say_table(0, 3, NVSP_SEND_TABLE_AT_VMM);
	CU_ASSERT_STRING_EQUAL(table_text(&n), "0 1 2 0 1 2 0 1 2 0 1 2 0 1 2 0");
	CU_ASSERT_EQUAL(n, 1);
	/* It moves them: the newest counts; what names no channel that can be changes nothing. */
	say_table(62, 66, NVSP_SEND_TABLE_AT_VMM);
	CU_ASSERT_STRING_EQUAL(table_text(&n), "62 63 2 0 0 1 2 3 4 5 6 7 8 9 10 11");
	CU_ASSERT_EQUAL(n, 2);
	netvsc_send_table_read(&f.port, table);
	CU_ASSERT_EQUAL(netvsc_send_table_share(table, 0), 2);
	CU_ASSERT_EQUAL(netvsc_send_table_share(table, 62), 1);
	CU_ASSERT_EQUAL(netvsc_send_table_share(table, 20), 0);
	CU_ASSERT_EQUAL(fixture_channel(&f, 0)->stats.rx_unknown_packets, 0);
	/* One that lies beyond its message. */
	say_table(0, 1, 1000);
	CU_ASSERT_STRING_EQUAL(table_text(&n), "62 63 2 0 0 1 2 3 4 5 6 7 8 9 10 11");
	CU_ASSERT_EQUAL(n, 2);
	CU_ASSERT_EQUAL(fixture_channel(&f, 0)->stats.rx_unknown_packets, 1);
	CU_ASSERT_EQUAL(netvsc_detach(&f.port, true), 0);
	CU_ASSERT_EQUAL(ladder_attach(1, 1500), 0);
	CU_ASSERT_STRING_EQUAL(table_text(&n), "none");
	/* One whose every entry is nonsense names nothing, and one of another session is not kept.
	 */
	say_table(64, 1000, NVSP_SEND_TABLE_AT_VMM);
	CU_ASSERT_STRING_EQUAL(table_text(&n), "none");
	CU_ASSERT_EQUAL(n, 1);
	say_table(63, 1000, NVSP_SEND_TABLE_AT_VMM);
	CU_ASSERT_STRING_EQUAL(table_text(&n), "63 - - - - - - - - - - - - - - -");
	ladder_end();
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"indications", test_indications},
		{"what belongs to no request", test_what_belongs_to_no_request},
		{"the send table is kept", test_the_send_table_is_kept},
	};

	return UNIT_RUN("netvsc_unasked", tests);
}
