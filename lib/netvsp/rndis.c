/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/netvsp/rndis.h"

/* ---- data packets ---- */

/** Take one PPI's word; the first of a kind wins (spec/rndis.md §10). */
static void
ppi_take(struct rndis_packet_info *info, uint32_t type, const uint8_t *payload)
{
	uint32_t bit, value;

	switch (type) {
	case RNDIS_PPI_CHECKSUM:
		bit = RNDIS_HAS_CSUM;
		break;
	case RNDIS_PPI_LSO:
		bit = RNDIS_HAS_LSO;
		break;
	case RNDIS_PPI_VLAN:
		bit = RNDIS_HAS_VLAN;
		break;
	case RNDIS_PPI_HASH_VALUE:
		bit = RNDIS_HAS_HASH_VALUE;
		break;
	case RNDIS_PPI_HASH_INFO:
		bit = RNDIS_HAS_HASH_INFO;
		break;
	case RNDIS_PPI_PACKET_ID:
		bit = RNDIS_HAS_PACKET_ID;
		break;
	default:
		return;
	}
	if (info->present & bit)
		return;
	info->present |= bit;
	memcpy(&value, payload, sizeof(value));
	switch (bit) {
	case RNDIS_HAS_CSUM:
		info->csum = value;
		break;
	case RNDIS_HAS_LSO:
		info->lso = value;
		break;
	case RNDIS_HAS_VLAN:
		info->vlan_tci = rndis_vlan_to_tci(value);
		break;
	case RNDIS_HAS_HASH_VALUE:
		info->hash_value = value;
		break;
	case RNDIS_HAS_HASH_INFO:
		info->hash_info = value;
		break;
	default:
		info->rsc_flags = rndis_packet_id_flags(value);
		info->rsc_id = rndis_packet_id_number(value);
		break;
	}
}

int
rndis_ppi_walk(const void *ppis, uint32_t length, struct rndis_packet_info *info)
{
	const uint8_t *p = ppis;
	uint32_t left = length;

	info->present = 0;
	for (unsigned int n = 0; left != 0; n++) {
		struct {
			uint32_t size, type, offset;
		} h;

		if (n == RNDIS_MAX_PPIS || left < RNDIS_PPI_HEADER)
			return -EBADMSG;
		memcpy(&h, p, sizeof(h));
		if (h.size < RNDIS_PPI_HEADER || h.size > left || h.size % 4 != 0 ||
			h.offset < RNDIS_PPI_HEADER || h.offset % 4 != 0)
			return -EBADMSG;
		/* There must be a whole payload word, in unknown kinds too. */
		if (h.offset > h.size - sizeof(uint32_t))
			return -EBADMSG;
		ppi_take(info, h.type, p + h.offset);
		p += h.size;
		left -= h.size;
	}
	return 0;
}

/* Where the word of a kind is remembered, and its bit; NULL: a kind that the parser skips, too. */
static uint32_t *
shape_place(struct rndis_shape *shape, uint32_t type, uint32_t *bit)
{
	switch (type) {
	case RNDIS_PPI_CHECKSUM:
		*bit = RNDIS_HAS_CSUM;
		return &shape->csum_at;
	case RNDIS_PPI_VLAN:
		*bit = RNDIS_HAS_VLAN;
		return &shape->vlan_at;
	case RNDIS_PPI_HASH_VALUE:
		*bit = RNDIS_HAS_HASH_VALUE;
		return &shape->hash_value_at;
	case RNDIS_PPI_HASH_INFO:
		*bit = RNDIS_HAS_HASH_INFO;
		return &shape->hash_info_at;
	case RNDIS_PPI_PACKET_ID:
		*bit = RNDIS_HAS_PACKET_ID;
		return &shape->packet_id_at;
	default:
		*bit = 0;
		return NULL;
	}
}

void
rndis_shape_learn(struct rndis_shape *shape, const void *header, uint32_t avail,
	const struct rndis_packet_info *info)
{
	const uint8_t *bytes = header;
	uint32_t at = info->ppi_abs, bit;
	struct rndis_ppi ppi;
	uint32_t *place;

	/* What the sender may do but does not frame after frame is the parser's. */
	rndis_shape_forget(shape);
	shape->present = 0;
	shape->n_ppis = info->ppi_length / (uint32_t)sizeof(ppi);
	if (info->ppi_length % sizeof(ppi) != 0 || shape->n_ppis > RNDIS_SHAPE_PPIS ||
		info->present & RNDIS_HAS_LSO || at > avail || info->ppi_length > avail - at)
		return;
	for (uint32_t i = 0; i < shape->n_ppis; i++, at += (uint32_t)sizeof(ppi)) {
		memcpy(&ppi, bytes + at, sizeof(ppi));
		place = shape_place(shape, ppi.type, &bit);
		if (ppi.size != sizeof(ppi) || ppi.offset != RNDIS_PPI_HEADER ||
			shape->present & bit)
			return;
		memcpy(&shape->ppi[i], &ppi, sizeof(shape->ppi[i]));
		if (place != NULL)
			*place = at + RNDIS_PPI_HEADER;
		shape->present |= bit;
	}
	/* What is in front of a frame is in the message if the frame is. */
	if (at > info->data_abs)
		return;
	shape->data_offset = info->data_abs - RNDIS_OFFSET_BASE;
	shape->ppi_abs = info->ppi_abs;
	memcpy(&shape->ppi_area, bytes + offsetof(struct rndis_packet, ppi_offset),
		sizeof(shape->ppi_area));
}

/** Checksum and LSO words must point into the frame (spec/rndis.md §4.1, §10). */
static int
tx_offload_check(const struct rndis_tx_rules *rules, const struct rndis_packet_info *info)
{
	const uint32_t min_v4 = 34, min_v6 = 54, tcp_header = 20, udp_header = 8;
	uint32_t at, header, min;

	/* When both words come, LSO wins and the checksum word is not looked at. */
	if (info->present & RNDIS_HAS_LSO) {
		at = rndis_lso_tcp_offset(info->lso);
		min = info->lso & RNDIS_LSO_IPV6 ? min_v6 : min_v4;
		if (!(info->lso & RNDIS_LSO_V2) || rndis_lso_mss(info->lso) == 0 ||
			rndis_lso_mss(info->lso) < rules->mss_floor || at < min ||
			(uint64_t)at + tcp_header > info->data_length)
			return -EBADMSG;
		return 0;
	}
	if (!(info->present & RNDIS_HAS_CSUM))
		return 0;
	if (!(info->csum & RNDIS_TX_CSUM_IPV4) == !(info->csum & RNDIS_TX_CSUM_IPV6))
		return 0;
	if (info->csum & RNDIS_TX_CSUM_TCP)
		header = tcp_header;
	else if (info->csum & RNDIS_TX_CSUM_UDP)
		header = udp_header;
	else
		return 0;
	at = rndis_tx_csum_l4_offset(info->csum);
	min = info->csum & RNDIS_TX_CSUM_IPV6 ? min_v6 : min_v4;
	if (at == 0)
		at = min;
	if (at < min || (uint64_t)at + header > info->data_length)
		return -EBADMSG;
	return 0;
}

int
rndis_packet_parse_tx(const void *header, uint32_t avail, uint32_t left,
	const struct rndis_tx_rules *rules, struct rndis_packet_info *info)
{
	int ret = rndis_packet_parse_head(header, avail, left, info);
	struct rndis_packet p;
	uint32_t max;

	if (ret != 0)
		return ret;
	memcpy(&p, header, sizeof(p));
	if (p.oob_offset != 0 || p.oob_length != 0 || p.oob_count != 0 || p.vc_handle != 0)
		return -EBADMSG;
	if (info->ppi_length != 0) {
		if (info->ppi_abs > avail || info->ppi_length > avail - info->ppi_abs)
			return -ENOBUFS;
		ret = rndis_ppi_walk(
			(const uint8_t *)header + info->ppi_abs, info->ppi_length, info);
		if (ret != 0)
			return ret;
	}
	max = info->present & RNDIS_HAS_LSO ? rules->max_lso : rules->max_frame;
	if (info->data_length > max)
		return -EBADMSG;
	return tx_offload_check(rules, info);
}

unsigned int
rndis_rsc_next(struct rndis_rsc *rsc, const struct rndis_packet_info *info, bool final_range)
{
	const uint32_t max_fragments = 562; /* ranges of one packet with RSC (§4.3) */
	unsigned int act = 0;

	if (!(info->present & RNDIS_HAS_PACKET_ID) || !(info->rsc_flags & RNDIS_RSC_MULTI)) {
		rsc->count = 0;
		return RNDIS_RSC_ACT_START | RNDIS_RSC_ACT_FINISH;
	}
	if (info->rsc_flags & RNDIS_RSC_FIRST) {
		rsc->count = 0;
		rsc->bytes = 0;
		rsc->id = info->rsc_id;
		act = RNDIS_RSC_ACT_START;
	} else if (rsc->count == 0) {
		return RNDIS_RSC_ACT_DROP;
	}
	if ((!(info->rsc_flags & RNDIS_RSC_LAST) && final_range) || rsc->count >= max_fragments ||
		info->rsc_id != rsc->id || info->data_length > RNDIS_MAX_BIG_FRAME - rsc->bytes) {
		rsc->count = 0;
		return RNDIS_RSC_ACT_DROP;
	}
	rsc->count++;
	rsc->bytes += info->data_length;
	if (info->rsc_flags & RNDIS_RSC_LAST) {
		rsc->count = 0;
		act |= RNDIS_RSC_ACT_FINISH;
	}
	return act;
}

/* ---- control: building ---- */

/** Header @p fixed, then @p tail; NULL tail leaves its bytes to the caller. */
static int
put(void *dst, size_t size, const void *fixed, size_t fixed_length, const void *tail,
	uint32_t tail_length)
{
	if (size < fixed_length || tail_length > size - fixed_length ||
		tail_length > INT32_MAX - fixed_length)
		return -ENOSPC;
	memcpy(dst, fixed, fixed_length);
	if (tail != NULL && tail_length != 0)
		memcpy((uint8_t *)dst + fixed_length, tail, tail_length);
	return (int)(fixed_length + tail_length);
}

int
rndis_build_initialize(void *dst, size_t size, uint32_t request_id, uint32_t max_transfer)
{
	const struct rndis_initialize m = {
		.h = {RNDIS_TYPE_INITIALIZE, sizeof(m)},
		.request_id = request_id,
		.major = 1,
		.max_transfer_size = max_transfer,
	};

	return put(dst, size, &m, sizeof(m), NULL, 0);
}

int
rndis_build_short(void *dst, size_t size, enum rndis_type type, uint32_t request_id)
{
	const struct rndis_short_request m = {
		.h = {(uint32_t)type, sizeof(m)},
		.request_id = request_id,
	};

	return put(dst, size, &m, sizeof(m), NULL, 0);
}

static int
build_request(void *dst, size_t size, uint32_t type, uint32_t request_id, uint32_t oid,
	const void *info, uint32_t info_length)
{
	/* The offset is 20 even without info: real hosts fail a query whose offset is 0 (§2). */
	const struct rndis_request m = {
		.h = {type, (uint32_t)sizeof(m) + info_length},
		.request_id = request_id,
		.oid = oid,
		.info_length = info_length,
		.info_offset = sizeof(m) - RNDIS_OFFSET_BASE,
	};

	return put(dst, size, &m, sizeof(m), info, info_length);
}

int
rndis_build_query(void *dst, size_t size, uint32_t request_id, uint32_t oid, const void *info,
	uint32_t info_length)
{
	return build_request(dst, size, RNDIS_TYPE_QUERY, request_id, oid, info, info_length);
}

int
rndis_build_set(void *dst, size_t size, uint32_t request_id, uint32_t oid, const void *info,
	uint32_t info_length)
{
	return build_request(dst, size, RNDIS_TYPE_SET, request_id, oid, info, info_length);
}

int
rndis_build_initialize_complete(void *dst, size_t size, uint32_t request_id, uint32_t status,
	uint32_t max_packets, uint32_t max_transfer, uint32_t alignment_factor)
{
	const struct rndis_initialize_complete m = {
		.h = {RNDIS_TYPE_INITIALIZE_CMPLT, sizeof(m)},
		.request_id = request_id,
		.status = status,
		.major = 1,
		.device_flags = 1,
		.max_packets = max_packets,
		.max_transfer_size = max_transfer,
		.alignment_factor = alignment_factor,
	};

	return put(dst, size, &m, sizeof(m), NULL, 0);
}

int
rndis_build_query_complete(void *dst, size_t size, uint32_t request_id, uint32_t status,
	const void *info, uint32_t info_length)
{
	const uint32_t length = status == RNDIS_STATUS_SUCCESS ? info_length : 0;
	const struct rndis_query_complete m = {
		.h = {RNDIS_TYPE_QUERY_CMPLT, (uint32_t)sizeof(m) + length},
		.request_id = request_id,
		.status = status,
		.info_length = length,
		.info_offset = sizeof(m) - RNDIS_OFFSET_BASE,
	};

	return put(dst, size, &m, sizeof(m), info, length);
}

static int
build_short_complete(void *dst, size_t size, uint32_t type, uint32_t request_id, uint32_t status)
{
	const struct rndis_short_complete m = {
		.h = {type, sizeof(m)},
		.request_id = request_id,
		.status = status,
	};

	return put(dst, size, &m, sizeof(m), NULL, 0);
}

int
rndis_build_set_complete(void *dst, size_t size, uint32_t request_id, uint32_t status)
{
	return build_short_complete(dst, size, RNDIS_TYPE_SET_CMPLT, request_id, status);
}

int
rndis_build_keepalive_complete(void *dst, size_t size, uint32_t request_id, uint32_t status)
{
	return build_short_complete(dst, size, RNDIS_TYPE_KEEPALIVE_CMPLT, request_id, status);
}

int
rndis_build_reset_complete(void *dst, size_t size, uint32_t status, bool addressing_reset)
{
	const struct rndis_reset_complete m = {
		.h = {RNDIS_TYPE_RESET_CMPLT, sizeof(m)},
		.status = status,
		.addressing_reset = addressing_reset,
	};

	return put(dst, size, &m, sizeof(m), NULL, 0);
}

int
rndis_build_indicate(void *dst, size_t size, uint32_t status, const void *buffer, uint32_t length)
{
	const struct rndis_indicate_status m = {
		.h = {RNDIS_TYPE_INDICATE_STATUS, (uint32_t)sizeof(m) + length},
		.status = status,
		.status_length = length,
		.status_offset = length != 0 ? sizeof(m) - RNDIS_OFFSET_BASE : 0,
	};

	return put(dst, size, &m, sizeof(m), buffer, length);
}

/* ---- control: parsing ---- */

/** Type and length of a control message of >= @p min bytes that lies inside @p avail. */
static int
control_header(const void *msg, uint32_t avail, uint32_t min, struct rndis_header *h)
{
	if (avail < sizeof(*h))
		return -EBADMSG;
	memcpy(h, msg, sizeof(*h));
	return h->length >= min && h->length <= avail ? 0 : -EBADMSG;
}

/** Info of @p length bytes at wire offset @p offset >= @p min in a message of @p total bytes. */
static bool
info_ok(uint32_t offset, uint32_t length, uint32_t min, uint32_t total)
{
	uint32_t s = total - RNDIS_OFFSET_BASE;

	return length == 0 || (offset >= min && offset <= s && length <= s - offset);
}

static int
parse_initialize_complete(const void *msg, uint32_t length, struct rndis_completion *out)
{
	struct rndis_initialize_complete m;

	if (out->status != RNDIS_STATUS_SUCCESS)
		return 0;
	if (length < RNDIS_INITIALIZE_CMPLT_MIN)
		return -EBADMSG;
	memcpy(&m, msg, RNDIS_INITIALIZE_CMPLT_MIN);
	out->max_packets = m.max_packets != 0 ? m.max_packets : 1;
	out->max_transfer_size = m.max_transfer_size;
	if (m.alignment_factor > 12) {
		/* Not believable: one message per send needs no alignment between messages. */
		out->max_packets = 1;
		out->alignment = 4;
	} else {
		out->alignment = m.alignment_factor < 2 ? 4 : 1u << m.alignment_factor;
	}
	return 0;
}

int
rndis_parse_completion(const void *msg, uint32_t avail, struct rndis_completion *out)
{
	const uint32_t min = sizeof(struct rndis_short_complete);
	struct rndis_short_complete s;
	struct rndis_reset_complete r;
	struct rndis_query_complete q;
	struct rndis_header h;

	memset(out, 0, sizeof(*out));
	if (control_header(msg, avail, min, &h) != 0)
		return -EBADMSG;
	out->type = h.type;
	if (h.type == RNDIS_TYPE_RESET_CMPLT) {
		memcpy(&r, msg, sizeof(r));
		out->status = r.status;
		return 0;
	}
	memcpy(&s, msg, sizeof(s));
	out->request_id = s.request_id;
	out->status = s.status;
	switch (h.type) {
	case RNDIS_TYPE_INITIALIZE_CMPLT:
		return parse_initialize_complete(msg, h.length, out);
	case RNDIS_TYPE_SET_CMPLT:
	case RNDIS_TYPE_KEEPALIVE_CMPLT:
		return 0;
	case RNDIS_TYPE_QUERY_CMPLT:
		if (h.length < sizeof(q))
			return out->status == RNDIS_STATUS_SUCCESS ? -EBADMSG : 0;
		memcpy(&q, msg, sizeof(q));
		if (!info_ok(q.info_offset, q.info_length, sizeof(q) - RNDIS_OFFSET_BASE, h.length))
			return -EBADMSG;
		if (q.info_length != 0) {
			out->info_abs = q.info_offset + RNDIS_OFFSET_BASE;
			out->info_length = q.info_length;
		}
		return 0;
	default:
		return -ENOTSUP;
	}
}

int
rndis_parse_indicate(const void *msg, uint32_t avail, struct rndis_indication *out)
{
	struct rndis_indicate_status m;
	struct rndis_header h;

	memset(out, 0, sizeof(*out));
	if (control_header(msg, avail, sizeof(m), &h) != 0 || h.type != RNDIS_TYPE_INDICATE_STATUS)
		return -EBADMSG;
	memcpy(&m, msg, sizeof(m));
	out->status = m.status;
	if (m.status_length != 0 &&
		info_ok(m.status_offset, m.status_length, sizeof(m) - RNDIS_OFFSET_BASE, avail)) {
		out->buffer_abs = m.status_offset + RNDIS_OFFSET_BASE;
		out->buffer_length = m.status_length;
	}
	return 0;
}

int
rndis_parse_control(const void *msg, uint32_t avail, struct rndis_control *out)
{
	struct rndis_short_request s;
	struct rndis_initialize i;
	struct rndis_request r;
	struct rndis_header h;

	memset(out, 0, sizeof(*out));
	if (control_header(msg, avail, sizeof(s), &h) != 0)
		return -EBADMSG;
	memcpy(&s, msg, sizeof(s));
	out->type = h.type;
	out->request_id = s.request_id;
	switch (h.type) {
	case RNDIS_TYPE_INITIALIZE:
		if (h.length < sizeof(i))
			return -EBADMSG;
		memcpy(&i, msg, sizeof(i));
		out->major = i.major;
		out->minor = i.minor;
		out->max_transfer_size = i.max_transfer_size;
		return 0;
	case RNDIS_TYPE_QUERY:
	case RNDIS_TYPE_SET:
		if (h.length < sizeof(r))
			return -EBADMSG;
		memcpy(&r, msg, sizeof(r));
		if (!info_ok(r.info_offset, r.info_length, sizeof(r) - RNDIS_OFFSET_BASE, h.length))
			return -EBADMSG;
		out->oid = r.oid;
		if (r.info_length != 0) {
			out->info_abs = r.info_offset + RNDIS_OFFSET_BASE;
			out->info_length = r.info_length;
		}
		return 0;
	case RNDIS_TYPE_RESET:
		out->request_id = 0;
		return 0;
	case RNDIS_TYPE_HALT:
	case RNDIS_TYPE_KEEPALIVE:
		return 0;
	default:
		return -ENOTSUP;
	}
}

const char *
rndis_type_name(uint32_t type)
{
	switch (type) {
	case RNDIS_TYPE_PACKET:
		return "PACKET";
	case RNDIS_TYPE_INITIALIZE:
		return "INITIALIZE";
	case RNDIS_TYPE_HALT:
		return "HALT";
	case RNDIS_TYPE_QUERY:
		return "QUERY";
	case RNDIS_TYPE_SET:
		return "SET";
	case RNDIS_TYPE_RESET:
		return "RESET";
	case RNDIS_TYPE_INDICATE_STATUS:
		return "INDICATE_STATUS";
	case RNDIS_TYPE_KEEPALIVE:
		return "KEEPALIVE";
	case RNDIS_TYPE_INITIALIZE_CMPLT:
		return "INITIALIZE_C";
	case RNDIS_TYPE_QUERY_CMPLT:
		return "QUERY_C";
	case RNDIS_TYPE_SET_CMPLT:
		return "SET_C";
	case RNDIS_TYPE_RESET_CMPLT:
		return "RESET_C";
	case RNDIS_TYPE_KEEPALIVE_CMPLT:
		return "KEEPALIVE_C";
	default:
		return "unknown RNDIS message";
	}
}
