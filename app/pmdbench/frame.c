/* SPDX-License-Identifier: BSD-3-Clause */
/* Making and checking frames. */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "app/pmdbench/frame.h"

/* Addresses are in network byte order, so the fields are bytes. */
struct frame_head {
	uint8_t dst[6], src[6], type[2];
	uint8_t version, tos, ip_len[2], id[2], fragment[2], ttl, protocol, ip_sum[2];
	uint8_t ip_src[4], ip_dst[4];
	uint8_t port_src[2], port_dst[2], udp_len[2], udp_sum[2];
	uint64_t number;
} __attribute__((packed));
static_assert(sizeof(struct frame_head) == 50, "headers and a number");

/* "Simple IMIX" 7:4:1, without FCS. */
static const uint16_t imix[12] = {60, 590, 60, 60, 590, 60, 1514, 60, 590, 60, 60, 590};

static const uint8_t peer[6] = {0x02, 0x48, 0x50, 0, 0, 1};
static uint8_t guest[6];
/* The payload of frame n is a window of this that moves with n. */
static uint8_t pattern[FRAME_MAX + 256];

void
frame_init(const uint8_t mac[6])
{
	uint64_t word = UINT64_C(0x9e3779b97f4a7c15);

	memcpy(guest, mac, 6);
	for (size_t i = 0; i < sizeof(pattern); i++) {
		word ^= word << 13;
		word ^= word >> 7;
		word ^= word << 17;
		pattern[i] = (uint8_t)word;
	}
}

uint32_t
frame_size(uint32_t size, uint64_t number)
{
	return size == BENCH_SIZE_IMIX ? imix[number % (sizeof(imix) / sizeof(imix[0]))] : size;
}

static void
put16(uint8_t at[2], uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void
ip_checksum(struct frame_head *h)
{
	const uint8_t *at = &h->version;
	uint32_t sum = 0;

	put16(h->ip_sum, 0);
	for (unsigned int i = 0; i < 20; i += 2)
		sum += (uint32_t)at[i] << 8 | at[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum += sum >> 16;
	put16(h->ip_sum, ~sum);
}

void
frame_write(uint8_t *frame, uint32_t len, enum frame_direction direction, uint32_t flow,
	uint64_t number)
{
	struct frame_head h = {
		.type = {0x08, 0x00},
		.version = 0x45,
		.ttl = 64,
		.protocol = 17,
		/* Flows differ where every host hashes: in the address. */
		.ip_src = {10, (uint8_t)(flow >> 16), (uint8_t)(flow >> 8), (uint8_t)flow},
		.ip_dst = {198, 19, 0, 1},
		.port_src = {0, 9},
		.port_dst = {0, 9},
		.number = number,
	};

	memcpy(h.dst, direction == FRAME_TO_GUEST ? guest : peer, 6);
	memcpy(h.src, direction == FRAME_TO_GUEST ? peer : guest, 6);
	/* A word over the whole number: the payload follows only from its last byte. */
	put16(h.id, (uint32_t)(number ^ number >> 16 ^ number >> 32 ^ number >> 48) & 0xffff);
	put16(h.ip_len, len - 14);
	put16(h.udp_len, len - 34);
	ip_checksum(&h);
	memcpy(frame, &h, sizeof(h));
	memcpy(frame + sizeof(h), pattern + (number & 0xff), len - sizeof(h));
}

uint64_t
frame_number(const uint8_t *frame)
{
	uint64_t number;

	memcpy(&number, frame + offsetof(struct frame_head, number), sizeof(number));
	return number;
}

int
frame_check(const uint8_t *frame, uint32_t len, enum frame_direction direction, uint32_t size)
{
	uint8_t expected[FRAME_MAX];
	struct frame_head h;
	uint32_t flow;

	if (len < FRAME_MIN || len > FRAME_MAX)
		return -EBADMSG;
	memcpy(&h, frame, sizeof(h));
	if (len != frame_size(size, h.number))
		return -EBADMSG;
	flow = (uint32_t)h.ip_src[1] << 16 | (uint32_t)h.ip_src[2] << 8 | h.ip_src[3];
	frame_write(expected, len, direction, flow, h.number);
	return memcmp(frame, expected, len) == 0 ? 0 : -EBADMSG;
}
