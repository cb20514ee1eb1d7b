/* SPDX-License-Identifier: BSD-3-Clause */
/* A message that matches a shape is one of which the parser says the same. */
#include <stdlib.h>
#include <string.h>

#include "lib/netvsp/rndis.h"
#include "test/unit/unit.h"
#include "test/unit/vmbus_fixture.h"

#define ROOM 512u

/* What the parser says of it, wherever the PPIs are. */
static int
parse(const uint8_t *msg, uint32_t range, struct rndis_packet_info *info)
{
	memset(info, 0, sizeof(*info));
	return rndis_packet_parse_rx(msg, range, range, info);
}

static bool
same(const struct rndis_packet_info *a, const struct rndis_packet_info *b)
{
	if (a->message_length != b->message_length || a->data_abs != b->data_abs ||
		a->data_length != b->data_length || a->ppi_abs != b->ppi_abs ||
		a->ppi_length != b->ppi_length || a->present != b->present)
		return false;
	return (!(a->present & RNDIS_HAS_CSUM) || a->csum == b->csum) &&
	       (!(a->present & RNDIS_HAS_VLAN) || a->vlan_tci == b->vlan_tci) &&
	       (!(a->present & RNDIS_HAS_HASH_VALUE) || a->hash_value == b->hash_value) &&
	       (!(a->present & RNDIS_HAS_HASH_INFO) || a->hash_info == b->hash_info) &&
	       (!(a->present & RNDIS_HAS_PACKET_ID) ||
		       (a->rsc_id == b->rsc_id && a->rsc_flags == b->rsc_flags));
}

static const uint32_t kinds[] = {RNDIS_PPI_CHECKSUM, RNDIS_PPI_VLAN, RNDIS_PPI_HASH_VALUE,
	RNDIS_PPI_HASH_INFO, RNDIS_PPI_PACKET_ID, 55, RNDIS_PPI_LSO};

/* A good message. @return bytes */
static uint32_t
build(uint8_t *msg, uint64_t *rnd, unsigned int n_ppis)
{
	struct rndis_packet_builder b;
	uint32_t data_abs, data, length;
	unsigned int i;

	memset(msg, 0, ROOM);
	rndis_packet_begin(&b, msg);
	for (i = 0; i < n_ppis; i++)
		rndis_packet_add(
			&b, kinds[rnd_below(rnd, ARRAY_SIZE(kinds))], (uint32_t)rnd_next(rnd));
	data_abs = rndis_packet_header_length(&b) + rnd_below(rnd, 8) * 4;
	data = RNDIS_MIN_FRAME + rnd_below(rnd, 100);
	length = data_abs + data + rnd_below(rnd, 5);
	rndis_packet_end_at(&b, data_abs, data, length);
	return length;
}

/* One or two words of the header or the PPIs become something else. */
static void
mutate(uint8_t *msg, uint64_t *rnd)
{
	static const uint32_t values[] = {0, 1, 4, 8, 12, 13, 14, 16, 35, 36, 37, 44, 128, 300,
		UINT32_MAX, UINT32_MAX - 7, 0x80000000u};
	uint32_t at = rnd_below(rnd, 30) * 4, value, was;

	memcpy(&was, msg + at, sizeof(was));
	switch (rnd_below(rnd, 4)) {
	case 0:
		value = values[rnd_below(rnd, ARRAY_SIZE(values))];
		break;
	case 1:
		value = was + 1;
		break;
	case 2:
		value = was - 1;
		break;
	default:
		value = was ^ 1u << rnd_below(rnd, 32);
	}
	memcpy(msg + at, &value, sizeof(value));
}

static void
test_match_says_what_the_parser_says(void)
{
	uint8_t first[ROOM], msg[ROOM], *exact;
	struct rndis_packet_info parsed, matched;
	unsigned int matches = 0, refused = 0, i, k;
	struct rndis_shape shape;
	uint64_t rnd = 20250101;
	uint32_t length, range;

	for (i = 0; i < 200000; i++) {
		length = build(first, &rnd, rnd_below(&rnd, 6));
		if (parse(first, length, &parsed) != 0)
			CU_FAIL_FATAL("a good message is refused");
		rndis_shape_learn(&shape, first, length, &parsed);
		memcpy(msg, first, sizeof(msg));
		for (k = rnd_below(&rnd, 3); k != 0; k--)
			mutate(msg, &rnd);
		range = rnd_below(&rnd, 3) == 0 ? rnd_below(&rnd, length + 8) : length;
		/* As long as the range is: AddressSanitizer sees a look beyond. */
		exact = malloc(
			range < sizeof(struct rndis_packet) ? sizeof(struct rndis_packet) : range);
		memcpy(exact, msg,
			range < sizeof(struct rndis_packet) ? sizeof(struct rndis_packet) : range);
		memset(&matched, 0, sizeof(matched));
		if (rndis_shape_match(&shape, exact, range, RNDIS_HAS_ALL, &matched)) {
			matches++;
			if (parse(msg, range, &parsed) != 0 || !same(&parsed, &matched))
				CU_FAIL_FATAL("a match that the parser does not confirm");
		} else {
			refused++;
		}
		free(exact);
	}
	/* Both happen, or this shows nothing. */
	CU_ASSERT(matches > 30000);
	CU_ASSERT(refused > 30000);
}

/* The next frame of the same kind, with other lengths and words, needs no parser. */
static void
test_the_same_kind_matches(void)
{
	uint8_t msg[ROOM];
	struct rndis_packet_info info;
	struct rndis_packet_builder b;
	struct rndis_shape shape;
	uint32_t n, i;

	for (n = 0; n <= RNDIS_SHAPE_PPIS; n++) {
		for (i = 0; i < 3; i++) {
			uint32_t k;

			memset(msg, 0, sizeof(msg));
			rndis_packet_begin(&b, msg);
			for (k = 0; k < n; k++)
				rndis_packet_add(&b, kinds[k], 1000 * i + k);
			rndis_packet_end_at(&b, 128, 14 + 50 * i, 142 + 50 * i);
			if (i != 0) {
				CU_ASSERT(rndis_shape_match(
					&shape, msg, sizeof(msg), RNDIS_HAS_ALL, &info));
				CU_ASSERT_EQUAL(info.data_length, 14 + 50 * i);
				if (n > 2)
					CU_ASSERT_EQUAL(info.hash_value, 1000 * i + 2);
				continue;
			}
			CU_ASSERT_EQUAL(parse(msg, sizeof(msg), &info), 0);
			rndis_shape_learn(&shape, msg, sizeof(msg), &info);
		}
	}
}

/* That the frame is in a message would say nothing of PPIs behind it, which nobody sends. */
static void
test_ppis_behind_the_frame_leave_no_shape(void)
{
	const struct rndis_ppi ppi = {sizeof(ppi), RNDIS_PPI_HASH_VALUE, RNDIS_PPI_HEADER, 1};
	struct rndis_packet_info info;
	struct rndis_shape shape;
	uint8_t msg[ROOM] = {0};
	struct rndis_packet p = {
		.h = {RNDIS_TYPE_PACKET, 80},
		.data_offset = sizeof(p) - RNDIS_OFFSET_BASE,
		.data_length = 20,
		.ppi_offset = 64 - RNDIS_OFFSET_BASE,
		.ppi_length = sizeof(ppi),
	};

	memcpy(msg, &p, sizeof(p));
	memcpy(msg + 64, &ppi, sizeof(ppi));
	CU_ASSERT_EQUAL(parse(msg, 80, &info), 0);
	CU_ASSERT_EQUAL(info.hash_value, 1);
	rndis_shape_learn(&shape, msg, 80, &info);
	CU_ASSERT_FALSE(rndis_shape_match(&shape, msg, 80, RNDIS_HAS_ALL, &info));
}

static void
test_no_shape(void)
{
	uint8_t msg[ROOM];
	struct rndis_packet_info info;
	struct rndis_packet_builder b;
	struct rndis_shape shape;
	uint32_t i, way;

	memset(&shape, 0, sizeof(shape));
	rndis_shape_forget(&shape);
	for (way = 0; way < 4; way++) {
		memset(msg, 0, sizeof(msg));
		rndis_packet_begin(&b, msg);
		/* Too many, a kind twice, one that hosts do not send to guests, none of 16 bytes.
		 */
		for (i = 0; i < (way == 0 ? RNDIS_SHAPE_PPIS + 1 : 2); i++)
			rndis_packet_add(&b,
				way == 2 && i == 1 ? RNDIS_PPI_LSO : kinds[way == 1 ? 0 : i],
				RNDIS_LSO_V2 | 100);
		rndis_packet_end_at(&b, 160, 64, 224);
		if (way == 3) {
			msg[44] = 32;
			msg[52] = 28;
		}
		CU_ASSERT_FALSE(rndis_shape_match(&shape, msg, sizeof(msg), RNDIS_HAS_ALL, &info));
		CU_ASSERT_EQUAL(parse(msg, sizeof(msg), &info), 0);
		rndis_shape_learn(&shape, msg, sizeof(msg), &info);
		CU_ASSERT_FALSE(rndis_shape_match(&shape, msg, sizeof(msg), RNDIS_HAS_ALL, &info));
	}
	/* PPIs outside of what was copied. */
	rndis_packet_begin(&b, msg);
	rndis_packet_add(&b, RNDIS_PPI_HASH_VALUE, 1);
	rndis_packet_end_at(&b, 160, 64, 224);
	CU_ASSERT_EQUAL(parse(msg, sizeof(msg), &info), 0);
	rndis_shape_learn(&shape, msg, 50, &info);
	CU_ASSERT_FALSE(rndis_shape_match(&shape, msg, sizeof(msg), RNDIS_HAS_ALL, &info));
	rndis_shape_learn(&shape, msg, 60, &info);
	CU_ASSERT(rndis_shape_match(&shape, msg, sizeof(msg), RNDIS_HAS_ALL, &info));
}

static const struct unit_test tests[] = {
	{"a match says what the parser says", test_match_says_what_the_parser_says},
	{"the same kind matches", test_the_same_kind_matches},
	{"PPIs behind the frame leave no shape", test_ppis_behind_the_frame_leave_no_shape},
	{"messages without a shape", test_no_shape},
};

int
main(void)
{
	return UNIT_RUN("shape", tests);
}
