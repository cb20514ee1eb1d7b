/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames to and from the guest of host_nic_guest.h. */
#include "test/unit/host_nic_guest.h"

uint32_t
guest_make_udp(struct guest *g, uint8_t *frame, uint32_t len, uint32_t flow)
{
	const struct offload_checksum all = {.ipv4 = true, .ip_header = true, .udp = true};
	uint32_t i;

	memset(frame, 0, len);
	/* For the guest and, so that it may send it back, from the guest. */
	memcpy(frame, g->config.mac, 6);
	memcpy(frame + 6, g->config.mac, 6);
	memcpy(frame + 12, "\x08\x00\x45\x00", 4);
	frame[16] = (uint8_t)((len - 14) >> 8);
	frame[17] = (uint8_t)(len - 14);
	memcpy(frame + 22, "\x40\x11", 2);
	memcpy(frame + 26, "\x0a\x00\x00\x02\x0a\x00\x00\x01", 8);
	frame[34] = (uint8_t)(flow >> 8);
	frame[35] = (uint8_t)flow;
	frame[36] = 0x12;
	frame[37] = 0x34;
	frame[38] = (uint8_t)((len - 34) >> 8);
	frame[39] = (uint8_t)(len - 34);
	for (i = 42; i < len; i++)
		frame[i] = (uint8_t)(i * 7 + flow);
	CU_ASSERT_EQUAL(offload_fill(frame, len, &all), 0);
	return len;
}

uint32_t
guest_make_tcp(struct guest *g, uint8_t *frame, uint32_t version, uint32_t payload, uint32_t flow,
	uint32_t seq)
{
	uint32_t l4 = version == 4 ? 34 : 54, len = l4 + 20 + payload, i;
	const struct offload_checksum all = {.ipv4 = version == 4,
		.ipv6 = version == 6,
		.ip_header = version == 4,
		.tcp = true,
		.l4_offset = (uint16_t)l4};

	memset(frame, 0, len);
	memcpy(frame, g->config.mac, 6);
	memcpy(frame + 6, g->config.mac, 6);
	if (version == 4) {
		memcpy(frame + 12, "\x08\x00\x45\x00", 4);
		frame[16] = (uint8_t)((len - 14) >> 8);
		frame[17] = (uint8_t)(len - 14);
		memcpy(frame + 20, "\x40\x00\x40\x06", 4);
		memcpy(frame + 26, "\x0a\x00\x00\x02\x0a\x00\x00\x01", 8);
	} else {
		memcpy(frame + 12, "\x86\xdd\x60\x00", 4);
		frame[18] = (uint8_t)((len - l4) >> 8);
		frame[19] = (uint8_t)(len - l4);
		memcpy(frame + 20, "\x06\x40\xfd", 3);
		memcpy(frame + 38, "\xfd", 1);
	}
	frame[l4] = (uint8_t)(flow >> 8);
	frame[l4 + 1] = (uint8_t)flow;
	frame[l4 + 3] = 80;
	for (i = 0; i < 4; i++)
		frame[l4 + 4 + i] = (uint8_t)(seq >> (24 - 8 * i));
	memcpy(frame + l4 + 12, "\x50\x10\x20", 3);
	for (i = 0; i < payload; i++)
		frame[l4 + 20 + i] = (uint8_t)((seq + i) * 31 + (seq + i) / 256);
	CU_ASSERT_EQUAL(offload_fill(frame, len, &all), 0);
	return len;
}

uint32_t
guest_tag(uint8_t *frame, uint32_t len, uint16_t tci)
{
	memmove(frame + 16, frame + 12, len - 12);
	frame[12] = 0x81;
	frame[13] = 0x00;
	frame[14] = (uint8_t)(tci >> 8);
	frame[15] = (uint8_t)tci;
	return len + 4;
}

const uint8_t *
guest_data(const struct guest *g, uint32_t n, struct rndis_packet_info *info)
{
	const struct guest_packet *p;
	const uint8_t *m;
	uint32_t i;

	for (i = 0; (p = guest_transfer(g, i)) != NULL; i++) {
		if (p->msg.rndis.channel_type != NVSP_CHANNEL_DATA)
			continue;
		if (n >= p->ranges) {
			n -= p->ranges;
			continue;
		}
		m = guest_message(g, p, n);
		CU_ASSERT_PTR_NOT_NULL_FATAL(m);
		CU_ASSERT_EQUAL_FATAL(
			rndis_packet_parse_rx(m, 300, p->range[n].byte_count, info), 0);
		return m;
	}
	return NULL;
}

uint32_t
guest_make_packet(uint8_t *dst, const void *frame, uint32_t len)
{
	struct rndis_packet_builder b;
	uint32_t header;

	rndis_packet_begin(&b, dst);
	header = rndis_packet_end(&b, len);
	memcpy(dst + header, frame, len);
	return header + len;
}
