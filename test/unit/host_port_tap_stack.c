/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/unit/host_port_tap_stack.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "test/unit/unit.h"

/* ---- frames ---- */

uint32_t
frame_pseudo(const struct frame *f)
{
	uint8_t tail[4] = {0, (uint8_t)f->proto};
	const uint8_t *ip = f->data + f->l3;

	put16(tail + 2, f->len - f->l4);
	return sum16(f->ipv6 ? sum16(0, ip + 8, 32) : sum16(0, ip + 12, 8), tail, 4);
}

uint8_t *
frame_csum(struct frame *f)
{
	return f->data + f->l4 + (f->proto == TCP ? CSUM_OF_TCP : CSUM_OF_UDP);
}

void
frame_fill(struct frame *f)
{
	put16(frame_csum(f), 0);
	put16(frame_csum(f), ~sum16(frame_pseudo(f), f->data + f->l4, f->len - f->l4));
}

void
frame_make(struct frame *f, const uint8_t dst[6], const uint8_t src[6], bool ipv6, uint32_t proto,
	uint32_t payload, bool tag)
{
	uint32_t header = proto == TCP ? TCP_BYTES : 8, i;
	uint8_t *ip, *l4;

	memset(f, 0, sizeof(*f));
	f->ipv6 = ipv6;
	f->proto = proto;
	f->l3 = ETHER + (tag ? 4 : 0);
	f->l4 = f->l3 + (ipv6 ? 40 : 20);
	f->len = f->l4 + header + payload;
	memcpy(f->data, dst, 6);
	memcpy(f->data + 6, src, 6);
	if (tag)
		memcpy(f->data + 12, "\x81\x00\x20\x05", 4);
	put16(f->data + f->l3 - 2, ipv6 ? 0x86dd : 0x0800);
	ip = f->data + f->l3;
	if (ipv6) {
		ip[0] = 0x60;
		put16(ip + 4, f->len - f->l4);
		ip[6] = (uint8_t)proto;
		ip[7] = 64;
		for (i = 8; i < 40; i++)
			ip[i] = (uint8_t)(i * 5);
		ip[8] = ip[24] = 0x20;
	} else {
		ip[0] = 0x45;
		put16(ip + 2, f->len - f->l3);
		put16(ip + 4, 0x1234);
		ip[8] = 64;
		ip[9] = (uint8_t)proto;
		memcpy(ip + 12, "\x0a\x00\x00\x02\x0a\x00\x00\x01", 8);
		put16(ip + 10, ~sum16(0, ip, 20));
	}
	l4 = f->data + f->l4;
	memcpy(l4, "\x30\x39\x00\x50", 4);
	if (proto == TCP) {
		put16(l4 + 4, 0x0102);
		l4[12] = 0x50;
		l4[13] = 0x18; /* ACK, PSH */
		put16(l4 + 14, 1000);
	} else {
		put16(l4 + 4, f->len - f->l4);
	}
	for (i = 0; i < payload; i++)
		l4[header + i] = (uint8_t)(i * 31 + i / 256);
	put16(frame_csum(f), frame_pseudo(f));
}

/* ---- the stack's side ---- */

void
stack_up(struct stack *s, const char *name)
{
	struct ifreq ifr = {.ifr_flags = IFF_UP};
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int on = 1;

	strcpy(s->name, name);
	strcpy(ifr.ifr_name, name);
	s->fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL));
	CU_ASSERT_FATAL(s->fd >= 0);
	CU_ASSERT_EQUAL(ioctl(s->fd, SIOCSIFFLAGS, &ifr), 0);
	CU_ASSERT_EQUAL(setsockopt(s->fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)), 0);
	at.sll_ifindex = (int)if_nametoindex(name);
	CU_ASSERT_EQUAL(bind(s->fd, (struct sockaddr *)&at, sizeof(at)), 0);
}

void
stack_send(struct stack *s, const struct frame *f, uint32_t mss)
{
	struct virtio_net_hdr h = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.csum_start = (uint16_t)f->l4,
		.csum_offset = f->proto == TCP ? CSUM_OF_TCP : CSUM_OF_UDP,
	};
	struct iovec iov[2] = {{&h, sizeof(h)}, {(void *)f->data, f->len}};

	if (mss != 0) {
		h.gso_type = f->ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
		h.gso_size = (uint16_t)mss;
		h.hdr_len = (uint16_t)(f->l4 + TCP_BYTES);
	}
	CU_ASSERT_EQUAL(writev(s->fd, iov, 2), (ssize_t)(sizeof(h) + f->len));
}

uint32_t
stack_take(struct stack *s, const uint8_t guest_mac[6], struct virtio_net_hdr *h, uint8_t *data)
{
	struct sockaddr_ll from;
	struct iovec iov[2] = {{h, sizeof(*h)}, {data, FRAME}};
	struct msghdr msg = {.msg_name = &from, .msg_iov = iov, .msg_iovlen = 2};
	ssize_t n;

	do {
		msg.msg_namelen = sizeof(from);
		n = recvmsg(s->fd, &msg, 0);
		if (n < (ssize_t)sizeof(*h))
			return 0;
	} while (from.sll_pkttype == PACKET_OUTGOING || memcmp(data + 6, guest_mac, 6) != 0);
	return (uint32_t)n - sizeof(*h);
}
