/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every parser of RNDIS (lib/netvsp/rndis.h) on one message, and messages of one shape after
 * another: what the comparison says is what the parser says.
 */
#include <errno.h>

#include "lib/netvsp/rndis.h"
#include "test/fuzz/fuzz.h"

static void
check_frame(const struct rndis_packet_info *info, uint32_t len)
{
	FUZZ_CHECK(info->message_length <= len);
	FUZZ_CHECK(info->data_length >= RNDIS_MIN_FRAME);
	FUZZ_CHECK((uint64_t)info->data_abs + info->data_length <= info->message_length);
	FUZZ_CHECK((uint64_t)info->ppi_abs + info->ppi_length <= info->message_length);
}

static void
same(const struct rndis_packet_info *a, const struct rndis_packet_info *b)
{
	FUZZ_CHECK(a->message_length == b->message_length && a->data_abs == b->data_abs &&
		   a->data_length == b->data_length && a->present == b->present &&
		   a->ppi_length == b->ppi_length);
	FUZZ_CHECK(!(a->present & RNDIS_HAS_CSUM) || a->csum == b->csum);
	FUZZ_CHECK(!(a->present & RNDIS_HAS_VLAN) || a->vlan_tci == b->vlan_tci);
	FUZZ_CHECK(!(a->present & RNDIS_HAS_HASH_VALUE) || a->hash_value == b->hash_value);
	FUZZ_CHECK(!(a->present & RNDIS_HAS_HASH_INFO) || a->hash_info == b->hash_info);
	FUZZ_CHECK(!(a->present & RNDIS_HAS_PACKET_ID) ||
		   (a->rsc_flags == b->rsc_flags && a->rsc_id == b->rsc_id));
}

/* Far PPIs, as the caller is told to get them. */
static int
parse_rx(const uint8_t *msg, uint32_t len, struct rndis_packet_info *info)
{
	uint32_t avail = len < 300 ? len : 300;
	int rc = rndis_packet_parse_rx(msg, avail, len, info);
	uint8_t *ppis;

	if (rc != -ENOBUFS)
		return rc;
	FUZZ_CHECK((uint64_t)info->ppi_abs + info->ppi_length <= len);
	ppis = malloc(info->ppi_length);
	memcpy(ppis, msg + info->ppi_abs, info->ppi_length);
	rc = rndis_ppi_walk(ppis, info->ppi_length, info);
	free(ppis);
	return rc;
}

/* A message, and the same with a few words of it changed, as a receive queue looks at them. */
static void
receive(struct fuzz *in, uint8_t *msg, uint32_t len)
{
	struct rndis_packet_info info = {0}, again = {0};
	struct rndis_shape shape = {0};
	struct rndis_rsc rsc = {0};
	unsigned int act, i;

	rndis_shape_forget(&shape);
	if (parse_rx(msg, len, &info) != 0)
		return;
	check_frame(&info, len);
	rndis_shape_learn(&shape, msg, len < 300 ? len : 300, &info);
	for (i = 0; i < 3; i++) {
		if (len >= sizeof(struct rndis_packet) &&
			rndis_shape_match(&shape, msg, len, RNDIS_HAS_ALL, &again)) {
			check_frame(&again, len);
			FUZZ_CHECK(parse_rx(msg, len, &info) == 0);
			same(&info, &again);
		}
		act = rndis_rsc_next(&rsc, &info, fuzz_bool(in));
		if (act & RNDIS_RSC_ACT_DROP)
			rndis_rsc_reset(&rsc);
		fuzz_scribble(in, msg, len < 128 ? len : 128);
		if (parse_rx(msg, len, &info) != 0)
			rndis_rsc_reset(&rsc);
	}
}

static void
send(const uint8_t *msg, uint32_t len)
{
	const struct rndis_tx_rules rules = {1518, RNDIS_MAX_BIG_FRAME, RNDIS_MSS_FLOOR};
	struct rndis_packet_info info = {0};

	if (rndis_packet_parse_tx(msg, len, len, &rules, &info) == 0)
		check_frame(&info, len);
}

static void
control(const uint8_t *msg, uint32_t len)
{
	struct rndis_completion completion;
	struct rndis_indication indication;
	struct rndis_control request;

	if (rndis_parse_completion(msg, len, &completion) == 0 && completion.info_length != 0)
		FUZZ_CHECK((uint64_t)completion.info_abs + completion.info_length <= len);
	if (rndis_parse_indicate(msg, len, &indication) == 0 && indication.buffer_length != 0)
		FUZZ_CHECK((uint64_t)indication.buffer_abs + indication.buffer_length <= len);
	if (rndis_parse_control(msg, len, &request) == 0 && request.info_length != 0)
		FUZZ_CHECK((uint64_t)request.info_abs + request.info_length <= len);
	if (len >= 4)
		FUZZ_CHECK(rndis_type_name(rndis_message_type(msg)) != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A length and the message, then what is changed in it. */
	struct fuzz in = {data, size};
	size_t len = fuzz_u16(&in) % 4096;
	uint8_t *msg = fuzz_block(&in, len, &len);

	control(msg, (uint32_t)len);
	send(msg, (uint32_t)len);
	receive(&in, msg, (uint32_t)len);
	free(msg);
	return 0;
}
