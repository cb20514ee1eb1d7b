/* SPDX-License-Identifier: BSD-3-Clause */
/* Generated frames and their verifier; the format is described in verify.h. */
#include <stdlib.h>
#include <string.h>

#include "lib/host/crc32c.h"
#include "lib/host/verify.h"

#define ETHERTYPE_IPV4 0x0800u
#define ETHERTYPE_VLAN 0x8100u
#define IP_DF	       0x4000u

/* Offsets in our payload header. */
#define TAG_MAGIC    0u
#define TAG_STREAM   2u
#define TAG_FLOW     4u
#define TAG_SEQUENCE 6u
#define TAG_CRC	     14u

static void
put16be(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t
get16be(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

uint64_t
gen_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* ---- frames ---- */

static uint32_t
ip_checksum(const uint8_t *ip)
{
	uint32_t sum = 0;

	for (unsigned int i = 0; i < GEN_IP_LEN; i += 2)
		sum += get16be(ip + i);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

/* A UDP checksum that somebody filled in (0 = none) must be right. */
static bool
udp_checksum_ok(const uint8_t *ip, const uint8_t *udp, uint32_t udp_len)
{
	uint64_t sum = 17 + udp_len;
	uint32_t i;

	if (get16be(udp + 6) == 0)
		return true;
	for (i = 12; i < 20; i += 2)
		sum += get16be(ip + i);
	for (i = 0; i + 1 < udp_len; i += 2)
		sum += get16be(udp + i);
	if (i < udp_len)
		sum += (uint32_t)udp[i] << 8;
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff;
}

/* CRC over everything that forwarding leaves alone. */
static uint32_t
frame_crc(const uint8_t *udp, uint32_t udp_len)
{
	const uint8_t *payload = udp + GEN_UDP_LEN;
	/* The XOR of the ports survives their exchange. */
	uint32_t seed = (get16be(udp) ^ get16be(udp + 2)) << 16 | get16be(udp + 4);
	uint32_t crc = crc32c(~seed, payload, TAG_CRC);

	return ~crc32c(crc, payload + GEN_TAG_LEN, udp_len - GEN_UDP_LEN - GEN_TAG_LEN);
}

void
gen_frame_write(uint8_t *frame, uint32_t size, const uint8_t dst[6], const uint8_t src[6],
	const struct gen_tag *tag, const uint8_t *pattern)
{
	uint8_t *ip = frame + GEN_ETH_LEN, *udp = ip + GEN_IP_LEN, *payload = udp + GEN_UDP_LEN;
	uint32_t ip_len = size - GEN_ETH_LEN, crc;
	uint16_t magic = GEN_MAGIC;

	memcpy(frame, dst, 6);
	memcpy(frame + 6, src, 6);
	put16be(frame + 12, ETHERTYPE_IPV4);
	/* 198.18.0.0/15 is the range for benchmarks (RFC 2544); the flow is in the source. */
	const uint8_t header[GEN_IP_LEN] = {0x45, 0, (uint8_t)(ip_len >> 8), (uint8_t)ip_len, 0, 0,
		IP_DF >> 8, 0, 64, 17, 0, 0, 198, 19, (uint8_t)(tag->flow >> 8), (uint8_t)tag->flow,
		198, 18, 0, 2};
	memcpy(ip, header, sizeof(header));
	put16be(ip + 10, ip_checksum(ip));
	put16be(udp, 1024u + tag->flow % 32768u);
	put16be(udp + 2, GEN_UDP_PORT);
	put16be(udp + 4, ip_len - GEN_IP_LEN);
	put16be(udp + 6, 0);
	memcpy(payload + TAG_MAGIC, &magic, 2);
	memcpy(payload + TAG_STREAM, &tag->stream, 2);
	memcpy(payload + TAG_FLOW, &tag->flow, 2);
	memcpy(payload + TAG_SEQUENCE, &tag->sequence, 8);
	/* Another start for each frame, so that a stale buffer does not look like this one. */
	memcpy(payload + GEN_TAG_LEN, pattern + (tag->sequence & 63),
		size - GEN_HEADER_LEN - GEN_TAG_LEN);
	crc = frame_crc(udp, ip_len - GEN_IP_LEN);
	memcpy(payload + TAG_CRC, &crc, 4);
}

enum gen_verdict
gen_frame_check(const uint8_t *frame, uint32_t len, struct gen_tag *tag)
{
	uint32_t eth = GEN_ETH_LEN, ip_len, crc;
	const uint8_t *ip, *udp, *payload;
	uint16_t magic;

	if (len >= GEN_ETH_LEN + 4 && get16be(frame + 12) == ETHERTYPE_VLAN)
		eth += 4;
	if (len < eth + GEN_IP_LEN + GEN_UDP_LEN + GEN_TAG_LEN ||
		get16be(frame + eth - 2) != ETHERTYPE_IPV4)
		return GEN_FOREIGN;
	ip = frame + eth;
	udp = ip + GEN_IP_LEN;
	payload = udp + GEN_UDP_LEN;
	memcpy(&magic, payload + TAG_MAGIC, 2);
	/* Either mark makes it ours, so that damage to one of them shows as corruption. */
	if (magic != GEN_MAGIC && get16be(udp) != GEN_UDP_PORT && get16be(udp + 2) != GEN_UDP_PORT)
		return GEN_FOREIGN;
	ip_len = get16be(ip + 2);
	if (magic != GEN_MAGIC || ip[0] != 0x45 || ip[9] != 17 || ip_len != len - eth ||
		get16be(udp + 4) != ip_len - GEN_IP_LEN || ip_checksum(ip) != 0)
		return GEN_CORRUPT;
	memcpy(&crc, payload + TAG_CRC, 4);
	if (crc != frame_crc(udp, ip_len - GEN_IP_LEN) ||
		!udp_checksum_ok(ip, udp, ip_len - GEN_IP_LEN))
		return GEN_CORRUPT;
	memcpy(&tag->stream, payload + TAG_STREAM, 2);
	memcpy(&tag->flow, payload + TAG_FLOW, 2);
	memcpy(&tag->sequence, payload + TAG_SEQUENCE, 8);
	return GEN_INTACT;
}

/* ---- verifier ---- */

struct verify_flow {
	bool used;
	uint16_t stream, flow;
	uint64_t first;			   /* oldest sequence number expected */
	uint64_t next;			   /* newest seen + 1 */
	uint64_t seen[VERIFY_WINDOW / 64]; /* bit s % VERIFY_WINDOW for the newest ones */
};

struct verifier {
	uint64_t verified, corrupt, lost, duplicate, reordered, foreign;
	bool own;
	uint16_t own_stream;
	uint32_t mask; /* slots - 1 */
	uint32_t left; /* flows that may still be added */
	struct verify_flow *flows;
};

struct verifier *
verifier_create(uint32_t flows)
{
	struct verifier *v = calloc(1, sizeof(*v));
	uint32_t slots = 64;

	if (v == NULL)
		return NULL;
	if (flows > 2 * GEN_FLOWS_MAX)
		flows = 2 * GEN_FLOWS_MAX;
	while (slots < 2 * flows)
		slots *= 2;
	v->flows = calloc(slots, sizeof(v->flows[0]));
	if (v->flows == NULL) {
		free(v);
		return NULL;
	}
	v->mask = slots - 1;
	v->left = flows;
	return v;
}

void
verifier_destroy(struct verifier *v)
{
	if (v == NULL)
		return;
	free(v->flows);
	free(v);
}

void
verifier_own_stream(struct verifier *v, uint16_t stream)
{
	v->own = true;
	v->own_stream = stream;
}

/* The table is at most half full, so a free slot ends every search. */
static struct verify_flow *
verifier_flow(struct verifier *v, const struct gen_tag *tag)
{
	/* Neighbouring flows in neighbouring slots. */
	uint32_t at = tag->flow + (uint32_t)tag->stream * 0x9e3779b1u;
	struct verify_flow *f;

	for (;; at++) {
		f = &v->flows[at & v->mask];
		if (!f->used)
			break;
		if (f->stream == tag->stream && f->flow == tag->flow)
			return f;
	}
	if (v->left == 0)
		return NULL;
	v->left--;
	f->used = true;
	f->stream = tag->stream;
	f->flow = tag->flow;
	f->first = f->next = v->own && tag->stream == v->own_stream ? 0 : tag->sequence;
	return f;
}

static bool
flow_test_and_set(struct verify_flow *f, uint64_t s)
{
	uint64_t *word = &f->seen[s % VERIFY_WINDOW / 64], bit = UINT64_C(1) << (s & 63);
	bool was = (*word & bit) != 0;

	*word |= bit;
	return was;
}

static void
flow_forget(struct verify_flow *f, uint64_t from, uint64_t n)
{
	if (n >= VERIFY_WINDOW) {
		memset(f->seen, 0, sizeof(f->seen));
		return;
	}
	for (; n > 0; n--, from++)
		f->seen[from % VERIFY_WINDOW / 64] &= ~(UINT64_C(1) << (from & 63));
}

static void
verifier_sequence(struct verifier *v, struct verify_flow *f, uint64_t s)
{
	if (s >= f->next) {
		v->lost += s - f->next;
		flow_forget(f, f->next, s - f->next + 1);
		flow_test_and_set(f, s);
		f->next = s + 1;
		v->verified++;
		return;
	}
	if (f->next - s > VERIFY_WINDOW) {
		v->duplicate++;
		return;
	}
	if (flow_test_and_set(f, s)) {
		v->duplicate++;
		return;
	}
	v->reordered++;
	v->verified++;
	if (s >= f->first) {
		v->lost--;
	} else {
		v->lost += f->first - s - 1;
		f->first = s;
	}
}

void
verifier_frame(struct verifier *v, const uint8_t *frame, uint32_t len)
{
	struct verify_flow *f;
	struct gen_tag tag;

	switch (gen_frame_check(frame, len, &tag)) {
	case GEN_FOREIGN:
		v->foreign++;
		return;
	case GEN_CORRUPT:
		v->corrupt++;
		return;
	case GEN_INTACT:
		break;
	}
	f = verifier_flow(v, &tag);
	if (f == NULL)
		v->verified++;
	else
		verifier_sequence(v, f, tag.sequence);
}

void
verifier_stats(const struct verifier *v, struct host_port_stats *stats)
{
	stats->verifies = true;
	stats->verified = v->verified;
	stats->corrupt = v->corrupt;
	stats->lost = v->lost;
	stats->duplicate = v->duplicate;
	stats->foreign = v->foreign;
	stats->reordered = v->reordered;
}
