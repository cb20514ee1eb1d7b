/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The Linux stack's side of a TAP: frames whose checksums and lengths the kernel leaves open, and a
 * packet socket with headers of its own (PACKET_VNET_HDR), which hands it large and unfilled frames
 * and shows what it got of the guest. What goes wrong ends the test.
 */
#ifndef HP_TEST_HOST_PORT_TAP_STACK_H
#define HP_TEST_HOST_PORT_TAP_STACK_H

#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#define TCP	    6u
#define UDP	    17u
#define ETHER	    14u
#define TCP_BYTES   20u
#define CSUM_OF_TCP 16u
#define CSUM_OF_UDP 6u
#define LARGE	    40000u
#define FRAME	    (LARGE + 200u)

static const uint8_t stack_mac[6] = {0x02, 0, 0, 0, 0, 0x77};

static inline void
put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline uint32_t
get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static inline uint32_t
sum16(uint32_t sum, const uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

struct frame {
	uint32_t len, l3, l4, proto;
	bool ipv6;
	uint8_t data[FRAME];
};

/** Sum of the pseudo header. */
uint32_t frame_pseudo(const struct frame *f);
uint8_t *frame_csum(struct frame *f);
/** Fill in the L4 checksum. */
void frame_fill(struct frame *f);
/** @p payload bytes; the L4 checksum is that of the pseudo header. */
void frame_make(struct frame *f, const uint8_t dst[6], const uint8_t src[6], bool ipv6,
	uint32_t proto, uint32_t payload, bool tag);

struct stack {
	char name[IFNAMSIZ];
	int fd;
};

void stack_up(struct stack *s, const char *name);
/** @param mss of a frame to be cut, or 0 */
void stack_send(struct stack *s, const struct frame *f, uint32_t mss);
/** The next frame that the guest sent. @return its bytes, 0: there is none */
uint32_t stack_take(
	struct stack *s, const uint8_t guest_mac[6], struct virtio_net_hdr *h, uint8_t *data);

#endif
