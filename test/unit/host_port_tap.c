/* SPDX-License-Identifier: BSD-3-Clause */
/* Port tap with virtio-net headers, on a real TAP in a network namespace of the test's own. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test/unit/host_nic_guest.h"
#include "test/unit/host_port_tap_stack.h"

struct rig {
	struct guest g;
	struct host_port *tap;
	struct stack stack;
	struct frame f, want;
	uint32_t packet, range; /* what guest_frame() looks at */
};

static struct host_port *
tap_open(const char *spec)
{
	static const uint8_t mac[6] = {0x00, 0x15, 0x5d, 0x48, 0x00, 0x01};
	struct host_port *port = NULL;
	char why[256] = "";

	if (host_port_open(spec, mac, &port, why, sizeof(why)) != 0)
		printf("%s: %s\n", spec, why);
	CU_ASSERT_PTR_NOT_NULL_FATAL(port);
	return port;
}

static void
rig_start(struct rig *r, uint32_t offloads)
{
	static const char nic[] = "recv=2M,send=256K,channels=4";
	uint64_t rsc = offloads & NDIS_CAN_RSC4 ? NVSP_CAP_RSC : 0;

	r->tap = tap_open("tap:hpt0,vnet=on");
	stack_up(&r->stack, "hpt0");
	guest_start_port(&r->g, nic, 64, r->tap);
	guest_nvsp_up(&r->g, NVSP_VERSION_61, NVSP_CAP_8021Q | rsc, 1500);
	guest_rndis_up(&r->g, RNDIS_FILTER_DIRECTED);
	if (offloads != 0)
		guest_offloads(&r->g, offloads);
}

static void
rig_stop(struct rig *r)
{
	guest_stop(&r->g); /* and its port */
	close(r->stack.fd);
}

/* Let the NIC take what the kernel has for it. */
static void
rig_poll(struct rig *r)
{
	struct pollfd readable = {.fd = host_nic_port_fd(r->g.nic), .events = POLLIN};

	CU_ASSERT_EQUAL(poll(&readable, 1, 5000), 1);
	guest_poll(&r->g);
	r->packet = r->range = 0;
}

/* The next data frame of the last poll, parsed; NULL after the last. */
static const uint8_t *
guest_frame(struct rig *r, struct rndis_packet_info *info)
{
	const struct guest_packet *p;
	const uint8_t *m;

	for (; (p = guest_transfer(&r->g, r->packet)) != NULL; r->packet++, r->range = 0) {
		if (p->msg.rndis.channel_type != NVSP_CHANNEL_DATA || r->range == p->ranges)
			continue;
		m = guest_message(&r->g, p, r->range);
		CU_ASSERT_EQUAL_FATAL(rndis_packet_parse_rx(m, p->range[r->range].byte_count,
					      p->range[r->range].byte_count, info),
			0);
		r->range++;
		return m + info->data_abs;
	}
	return NULL;
}

static void
unfilled_frames_come_filled(void)
{
	static struct rig r;
	struct rndis_packet_info info;
	const uint8_t *data;

	rig_start(&r, 0);
	for (unsigned int i = 0; i < 8; i++) {
		bool ipv6 = i & 1, tag = i & 4;
		uint32_t proto = i & 2 ? UDP : TCP;

		frame_make(&r.f, r.g.config.mac, stack_mac, ipv6, proto, 301, tag);
		stack_send(&r.stack, &r.f, 0);
		rig_poll(&r);
		data = guest_frame(&r, &info);
		CU_ASSERT_PTR_NOT_NULL_FATAL(data);
		/* A tag comes apart. */
		frame_make(&r.want, r.g.config.mac, stack_mac, ipv6, proto, 301, false);
		frame_fill(&r.want);
		CU_ASSERT_EQUAL_FATAL(info.data_length, r.want.len);
		CU_ASSERT_EQUAL(memcmp(data, r.want.data, r.want.len), 0);
		CU_ASSERT_EQUAL(info.present, tag ? RNDIS_HAS_VLAN : 0);
		CU_ASSERT_PTR_NULL(guest_frame(&r, &info));
	}
	rig_stop(&r);
}

/* As a host tells of senders on the same machine: TCP is well, its field is not. */
static void
who_has_checksums_looked_at_is_told(void)
{
	static struct rig r;
	struct rndis_packet_info info;
	const uint8_t *data;

	rig_start(&r, NDIS_CAN_RX_IP4 | NDIS_CAN_RX_TCP4 | NDIS_CAN_RX_UDP4);
	frame_make(&r.f, r.g.config.mac, stack_mac, false, TCP, 300, false);
	stack_send(&r.stack, &r.f, 0);
	rig_poll(&r);
	data = guest_frame(&r, &info);
	CU_ASSERT_PTR_NOT_NULL_FATAL(data);
	CU_ASSERT_EQUAL(info.csum, RNDIS_RX_CSUM_IP_OK | RNDIS_RX_CSUM_TCP_OK |
					   RNDIS_RX_CSUM_TCP_VALUE_INVALID |
					   RNDIS_RX_CSUM_LOOPBACK);
	CU_ASSERT_EQUAL(memcmp(data, r.f.data, r.f.len), 0);

	/* There is no such word for UDP; and TCP over IPv6 was not asked for. */
	frame_make(&r.f, r.g.config.mac, stack_mac, false, UDP, 300, false);
	stack_send(&r.stack, &r.f, 0);
	rig_poll(&r);
	data = guest_frame(&r, &info);
	CU_ASSERT_PTR_NOT_NULL_FATAL(data);
	CU_ASSERT_EQUAL(info.csum, RNDIS_RX_CSUM_IP_OK | RNDIS_RX_CSUM_UDP_OK);
	frame_fill(&r.f);
	CU_ASSERT_EQUAL(memcmp(data, r.f.data, r.f.len), 0);

	frame_make(&r.f, r.g.config.mac, stack_mac, true, TCP, 300, false);
	stack_send(&r.stack, &r.f, 0);
	rig_poll(&r);
	data = guest_frame(&r, &info);
	CU_ASSERT_PTR_NOT_NULL_FATAL(data);
	CU_ASSERT_EQUAL(info.present, 0);
	frame_fill(&r.f);
	CU_ASSERT_EQUAL(memcmp(data, r.f.data, r.f.len), 0);
	rig_stop(&r);
}

/* Segment @p n of r->f; @p done of its payload came before. */
static void
check_segment(struct rig *r, const uint8_t *data, uint32_t len, uint32_t n, uint32_t done)
{
	struct frame *want = &r->want;
	uint32_t payload = len - r->f.l4 - TCP_BYTES;
	uint8_t *l4;

	frame_make(want, r->g.config.mac, stack_mac, r->f.ipv6, TCP, payload, false);
	memcpy(want->data + want->l4 + TCP_BYTES, r->f.data + r->f.l4 + TCP_BYTES + done, payload);
	if (!want->ipv6) {
		put16(want->data + want->l3 + 4, 0x1234 + n);
		put16(want->data + want->l3 + 10, 0);
		put16(want->data + want->l3 + 10, ~sum16(0, want->data + want->l3, 20));
	}
	l4 = want->data + want->l4;
	put16(l4 + 6, done);
	if (done + payload != LARGE)
		l4[13] = 0x10; /* PSH is the last one's */
	frame_fill(want);
	CU_ASSERT_EQUAL_FATAL(len, want->len);
	CU_ASSERT_EQUAL(memcmp(data, want->data, len), 0);
}

static void
large_frames_come_in_segments(void)
{
	static struct rig r;
	struct rndis_packet_info info;
	struct host_port_stats stats;
	const uint8_t *data;
	uint32_t n, done;

	rig_start(&r, 0);
	for (unsigned int ipv6 = 0; ipv6 < 2; ipv6++) {
		frame_make(&r.f, r.g.config.mac, stack_mac, ipv6, TCP, LARGE, false);
		stack_send(&r.stack, &r.f, 1400);
		rig_poll(&r);
		for (n = 0, done = 0; (data = guest_frame(&r, &info)) != NULL; n++) {
			check_segment(&r, data, info.data_length, n, done);
			done += info.data_length - r.f.l4 - TCP_BYTES;
		}
		CU_ASSERT_EQUAL(n, (LARGE + 1399) / 1400);
		CU_ASSERT_EQUAL(done, LARGE);
	}
	/* What is longer than the guest's MTU once it is cut is lost and counted. */
	frame_make(&r.f, r.g.config.mac, stack_mac, false, TCP, LARGE, false);
	stack_send(&r.stack, &r.f, 9000);
	rig_poll(&r);
	CU_ASSERT_PTR_NULL(guest_frame(&r, &info));
	r.tap->ops->stats(r.tap, &stats);
	CU_ASSERT_EQUAL(stats.rx_dropped_size, 1);
	rig_stop(&r);
}

/* What the host has cut it puts together again: one frame, as the stack sent it. */
static void
large_frame_comes_whole_to_who_coalesces(void)
{
	static struct rig r;
	static uint8_t whole[FRAME];
	struct rndis_packet_info info, first = {0};
	const uint8_t *data;
	uint32_t len = 0;

	rig_start(&r, NDIS_CAN_RX_IP4 | NDIS_CAN_RX_TCP4 | NDIS_CAN_RSC4 | NDIS_CAN_RSC6);
	frame_make(&r.f, r.g.config.mac, stack_mac, false, TCP, LARGE, false);
	r.f.data[r.f.l4 + 13] = 0x10; /* no PSH: data and nothing else */
	put16(frame_csum(&r.f), 0);
	put16(frame_csum(&r.f), frame_pseudo(&r.f));
	stack_send(&r.stack, &r.f, 1400);
	rig_poll(&r);
	while ((data = guest_frame(&r, &info)) != NULL) {
		if (len == 0)
			first = info;
		CU_ASSERT_FATAL(len + info.data_length <= sizeof(whole));
		memcpy(whole + len, data, info.data_length);
		len += info.data_length;
	}
	CU_ASSERT_EQUAL_FATAL(len, r.f.len);
	CU_ASSERT_EQUAL(r.g.nic->stats.rx_large, 1);
	CU_ASSERT_EQUAL(r.g.nic->stats.rx_segments, (LARGE + 1399) / 1400);
	CU_ASSERT_EQUAL(first.csum & (RNDIS_RX_CSUM_TCP_OK | RNDIS_RX_CSUM_TCP_VALUE_INVALID),
		RNDIS_RX_CSUM_TCP_OK | RNDIS_RX_CSUM_TCP_VALUE_INVALID);
	/* All but the checksums, which are told to be invalid. */
	CU_ASSERT_EQUAL(memcmp(whole, r.f.data, r.f.l3 + 10), 0);
	CU_ASSERT_EQUAL(
		memcmp(whole + r.f.l3 + 12, r.f.data + r.f.l3 + 12, r.f.l4 + 16 - r.f.l3 - 12), 0);
	CU_ASSERT_EQUAL(
		memcmp(whole + r.f.l4 + 18, r.f.data + r.f.l4 + 18, r.f.len - r.f.l4 - 18), 0);
	rig_stop(&r);
}

/* A poller that slept on the descriptor would forget the segments that had no room. */
static void
segments_that_wait_are_work(void)
{
	struct host_port *tap = tap_open("tap:hpt1,vnet=on");
	static uint8_t room[2048];
	static struct frame f;
	struct host_frame frame = {.data = room, .room = sizeof(room)};
	struct stack stack;
	uint32_t n = 0;

	stack_up(&stack, "hpt1");
	CU_ASSERT_EQUAL(tap->ops->deadline(tap), UINT64_MAX);
	frame_make(&f, (const uint8_t *)"\x00\x15\x5d\x48\x00\x01", stack_mac, false, TCP, LARGE,
		false);
	stack_send(&stack, &f, 1000);
	CU_ASSERT_EQUAL_FATAL(
		poll(&(struct pollfd){.fd = tap->ops->fd(tap), .events = POLLIN}, 1, 5000), 1);
	/* The stack's own frames may come before. */
	while (tap->ops->receive(tap, &frame, 1) == 1 && memcmp(room + 6, stack_mac, 6) != 0)
		;
	for (n = 1; tap->ops->deadline(tap) == 0 && n < 100; n++)
		CU_ASSERT_EQUAL(tap->ops->receive(tap, &frame, 1), 1);
	CU_ASSERT_EQUAL(n, 40);
	close(stack.fd);
	tap->ops->close(tap);
}

/* The message of r->f with one PPI, sent in pages. */
static void
guest_sends(struct rig *r, uint32_t type, uint32_t word, bool tag, uint64_t tid)
{
	struct guest_range range = {0, 0, 4};
	struct rndis_packet_builder b;
	uint8_t *msg = r->g.pages + 4 * 4096;
	uint32_t header;

	rndis_packet_begin(&b, msg);
	rndis_packet_add(&b, type, word);
	if (tag)
		rndis_packet_add(&b, RNDIS_PPI_VLAN, rndis_vlan_from_tci(0x2005));
	header = rndis_packet_end(&b, r->f.len);
	memcpy(msg + header, r->f.data, r->f.len);
	range.count = header + r->f.len;
	guest_send_pages(&r->g, 0, NVSP_CHANNEL_DATA, &range, 1, tid);
	guest_poll(&r->g);
	CU_ASSERT_PTR_NOT_NULL_FATAL(guest_completion(&r->g, tid));
	CU_ASSERT_EQUAL(
		guest_completion(&r->g, tid)->msg.rndis_complete.status, NVSP_STATUS_SUCCESS);
}

static void
guest_frames_go_on_unfinished(void)
{
	static struct rig r;
	static uint8_t data[FRAME];
	struct virtio_net_hdr h;
	uint32_t word;

	rig_start(&r, NDIS_CAN_ALL & ~(NDIS_CAN_RSC4 | NDIS_CAN_RSC6));
	for (unsigned int i = 0; i < 4; i++) {
		bool ipv6 = i & 1, tag = i & 2;

		/* LSO: lengths are 0, and the sum is without them (spec/rndis.md §4.1). */
		frame_make(&r.f, stack_mac, r.g.config.mac, ipv6, TCP, LARGE, false);
		put16(r.f.data + r.f.l3 + (ipv6 ? 4 : 2), 0);
		if (!ipv6)
			put16(r.f.data + r.f.l3 + 10, 0);
		put16(frame_csum(&r.f), 0x5555);
		guest_sends(&r, RNDIS_PPI_LSO, rndis_lso(1400, r.f.l4, ipv6), tag, 10 + i);
		frame_make(&r.want, stack_mac, r.g.config.mac, ipv6, TCP, LARGE, tag);
		CU_ASSERT_EQUAL_FATAL(stack_take(&r.stack, r.g.config.mac, &h, data), r.f.len);
		CU_ASSERT_EQUAL(
			h.gso_type, ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4);
		CU_ASSERT_EQUAL(h.gso_size, 1400);
		CU_ASSERT_EQUAL(h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, 1);
		/* The kernel takes the tag off for the socket, and counts it. */
		CU_ASSERT(h.csum_start == r.f.l4 || h.csum_start == r.want.l4);
		CU_ASSERT_EQUAL(
			memcmp(data + r.f.l3, r.want.data + r.want.l3, r.f.len - r.f.l3), 0);
	}
	for (unsigned int i = 0; i < 4; i++) {
		bool ipv6 = i & 1;
		uint32_t proto = i & 2 ? UDP : TCP;

		frame_make(&r.f, stack_mac, r.g.config.mac, ipv6, proto, 700, false);
		frame_make(&r.want, stack_mac, r.g.config.mac, ipv6, proto, 700, false);
		put16(frame_csum(&r.f), 0x5555);
		if (!ipv6)
			put16(r.f.data + r.f.l3 + 10, 0x6666);
		word = (ipv6 ? RNDIS_TX_CSUM_IPV6 : RNDIS_TX_CSUM_IPV4 | RNDIS_TX_CSUM_IP_HDR) |
		       (proto == TCP ? RNDIS_TX_CSUM_TCP : RNDIS_TX_CSUM_UDP) | r.f.l4 << 16;
		guest_sends(&r, RNDIS_PPI_CHECKSUM, word, false, 20 + i);
		CU_ASSERT_EQUAL_FATAL(stack_take(&r.stack, r.g.config.mac, &h, data), r.f.len);
		CU_ASSERT_EQUAL(h.gso_type, VIRTIO_NET_HDR_GSO_NONE);
		CU_ASSERT_EQUAL(h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, 1);
		CU_ASSERT_EQUAL(h.csum_start, r.f.l4);
		CU_ASSERT_EQUAL(h.csum_offset, proto == TCP ? CSUM_OF_TCP : CSUM_OF_UDP);
		CU_ASSERT_EQUAL(memcmp(data, r.want.data, r.f.len), 0);
	}
	/* The one behind asks for nothing and gets nothing. */
	frame_fill(&r.f);
	put16(frame_csum(&r.f), get16(frame_csum(&r.f)) ^ 0x0101);
	memcpy(r.want.data, r.f.data, r.f.len);
	word = guest_make_packet(r.g.send, r.f.data, r.f.len);
	guest_send_section(&r.g, 0, 0, word, 30);
	guest_poll(&r.g);
	CU_ASSERT_EQUAL_FATAL(stack_take(&r.stack, r.g.config.mac, &h, data), r.f.len);
	CU_ASSERT_EQUAL(h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, 0);
	CU_ASSERT_EQUAL(memcmp(data, r.want.data, r.f.len), 0);
	rig_stop(&r);
}

/* A segment's payload or less is no large frame, and the kernel would refuse it as one. */
static void
large_send_of_one_segment_is_an_ordinary_frame(void)
{
	static struct rig r;
	static uint8_t data[FRAME];
	struct virtio_net_hdr h;

	rig_start(&r, NDIS_CAN_TSO4);
	CU_ASSERT_EQUAL(host_nic_knob(r.g.nic, "lenient", "1"), 0);
	frame_make(&r.f, stack_mac, r.g.config.mac, false, TCP, 1000, false);
	guest_sends(&r, RNDIS_PPI_LSO, rndis_lso(1400, r.f.l4, false), false, 10);
	CU_ASSERT_EQUAL_FATAL(stack_take(&r.stack, r.g.config.mac, &h, data), r.f.len);
	CU_ASSERT_EQUAL(h.gso_type, VIRTIO_NET_HDR_GSO_NONE);
	CU_ASSERT_EQUAL(h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, 1);
	CU_ASSERT_EQUAL(memcmp(data, r.f.data, r.f.len), 0);
	rig_stop(&r);
}

/* A TAP that stays when its user goes still has what that one could take. */
static void
plain_port_on_a_tap_that_had_headers(void)
{
	struct ifreq ifr = {.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	static uint8_t room[2048];
	static struct frame f, back;
	struct host_frame frame = {.data = room, .room = sizeof(room)};
	struct host_port_stats stats;
	struct host_port *tap;
	struct stack stack;
	uint32_t done = 0;

	strcpy(ifr.ifr_name, "hpt2");
	CU_ASSERT_EQUAL(ioctl(fd, TUNSETIFF, &ifr), 0);
	CU_ASSERT_EQUAL(ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6), 0);
	CU_ASSERT_EQUAL(ioctl(fd, TUNSETPERSIST, 1), 0);
	close(fd);
	tap = tap_open("tap:hpt2,vnet=off");
	stack_up(&stack, "hpt2");
	frame_make(&f, (const uint8_t *)"\x00\x15\x5d\x48\x00\x01", stack_mac, false, TCP, LARGE,
		false);
	stack_send(&stack, &f, 1400);
	while (done < LARGE &&
		poll(&(struct pollfd){.fd = tap->ops->fd(tap), .events = POLLIN}, 1, 5000) == 1) {
		if (tap->ops->receive(tap, &frame, 1) != 1)
			break;
		if (memcmp(room + 6, stack_mac, 6) != 0)
			continue;
		CU_ASSERT_EQUAL_FATAL(
			memcmp(room + f.l4 + TCP_BYTES, f.data + f.l4 + TCP_BYTES + done,
				frame.len - f.l4 - TCP_BYTES),
			0);
		memcpy(back.data, room, frame.len);
		back.l3 = f.l3, back.l4 = f.l4, back.proto = TCP, back.len = frame.len;
		frame_fill(&back);
		CU_ASSERT_EQUAL(memcmp(back.data, room, frame.len), 0);
		done += frame.len - f.l4 - TCP_BYTES;
	}
	CU_ASSERT_EQUAL(done, LARGE);
	tap->ops->stats(tap, &stats);
	CU_ASSERT_EQUAL(stats.rx_dropped_size, 0);
	close(stack.fd);
	tap->ops->close(tap);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"unfilled frames come filled", unfilled_frames_come_filled},
		{"who has checksums looked at is told", who_has_checksums_looked_at_is_told},
		{"large frames come in segments", large_frames_come_in_segments},
		{"large frame comes whole to who coalesces",
			large_frame_comes_whole_to_who_coalesces},
		{"segments that wait are work", segments_that_wait_are_work},
		{"guest's frames go on unfinished", guest_frames_go_on_unfinished},
		{"large send of one segment is an ordinary frame",
			large_send_of_one_segment_is_an_ordinary_frame},
		{"plain port on a TAP that had headers", plain_port_on_a_tap_that_had_headers},
	};

	if ((unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) ||
		access("/dev/net/tun", R_OK | W_OK) != 0) {
		fprintf(stderr, "skipped: no network namespace or no /dev/net/tun: %s\n",
			strerror(errno));
		return 77;
	}
	return UNIT_RUN("host_port_tap", tests);
}
