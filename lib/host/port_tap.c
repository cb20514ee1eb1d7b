/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Port "tap": a Linux TAP device of the current network namespace. With vnet=on every frame has a
 * struct virtio_net_hdr in front, and the kernel hands over, and takes, TCP frames of up to 64 KiB
 * and frames without their L4 checksum. Those for the guest are cut here, those of the guest go on
 * as they are.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/host/offload.h"
#include "lib/host/port_spec.h"

#define TAP_FRAME_MAX 65536u
/* Frames looked at for each that is asked for: what is dropped takes time, too. */
#define TAP_TRIES 4u
/* Of the flags of a TCP header, in byte 13. */
#define TCP_CWR 0x80u

struct port_tap {
	struct host_port port;
	struct host_port_stats stats;
	int fd;
	bool gone;			  /* the device was deleted */
	bool more;			  /* there may be frames of which fd does not tell again */
	struct offload_lso cut;		  /* of the frame at large */
	uint32_t cut_next;		  /* bytes of its next segment; 0: there is none */
	uint8_t large[2 * TAP_FRAME_MAX]; /* what does not fit the guest's buffer ends here */
};

static unsigned int
tap_receive(struct host_port *port, struct host_frame *frames, unsigned int n)
{
	struct port_tap *tap = (struct port_tap *)port;
	unsigned int done = 0, tries = TAP_TRIES * n;

	tap->more = false;
	while (done < n && !tap->gone) {
		struct iovec iov[2] = {
			{frames[done].data, frames[done].room},
			{tap->large, sizeof(tap->large)},
		};
		ssize_t len;

		if (tries-- == 0) {
			tap->more = true;
			break;
		}
		len = readv(tap->fd, iov, 2);
		if (len < 0) {
			tap->gone = errno == EBADFD;
			break;
		}
		if ((size_t)len > frames[done].room || len == 0) {
			port_drop(&tap->stats, &tap->stats.rx_dropped_size);
			continue;
		}
		frames[done++].len = (uint32_t)len;
		tap->stats.rx_frames++;
		tap->stats.rx_bytes += (uint64_t)len;
	}
	return done;
}

/* The next segment of the frame that is being cut. False: it has no room and all of it is lost. */
static bool
tap_segment(struct port_tap *tap, struct host_frame *frame)
{
	if (tap->cut_next > frame->room) {
		tap->cut_next = 0;
		port_drop(&tap->stats, &tap->stats.rx_dropped_size);
		return false;
	}
	frame->len = tap->cut_next;
	offload_lso_next_unfilled(&tap->cut, frame->data, &frame->work);
	tap->cut_next = offload_lso_next_len(&tap->cut);
	return true;
}

/*
 * A frame of @p len bytes of which the first @p in_section lie in the guest's memory and the rest
 * behind as many in large. Returns false when it cannot be cut.
 */
static bool
tap_cut(struct port_tap *tap, const struct virtio_net_hdr *h, const struct host_frame *frame,
	uint32_t in_section, uint32_t len)
{
	uint8_t type = h->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;

	if (type != VIRTIO_NET_HDR_GSO_TCPV4 && type != VIRTIO_NET_HDR_GSO_TCPV6)
		return false;
	memcpy(tap->large, frame->data, in_section < len ? in_section : len);
	if (offload_lso_begin(&tap->cut, tap->large, len, h->gso_size, h->csum_start,
		    type == VIRTIO_NET_HDR_GSO_TCPV6) != 0)
		return false;
	tap->cut_next = offload_lso_next_len(&tap->cut);
	return true;
}

/* Take a frame with its header. Returns its bytes, 0: it is to be cut or is lost, -1: no more. */
static int
tap_take(struct port_tap *tap, struct host_frame *frame)
{
	struct virtio_net_hdr h;
	uint32_t room = frame->room < TAP_FRAME_MAX ? frame->room : TAP_FRAME_MAX, len;
	struct iovec iov[3] = {
		{&h, sizeof(h)},
		{frame->data, room},
		{tap->large + room, sizeof(tap->large) - room},
	};
	ssize_t got = readv(tap->fd, iov, 3);

	if (got < 0) {
		tap->gone = errno == EBADFD;
		return -1;
	}
	len = (size_t)got > sizeof(h) ? (uint32_t)((size_t)got - sizeof(h)) : 0;
	frame->work = (struct host_frame_work){0};
	if (h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		frame->work.csum_start = h.csum_start;
		frame->work.csum_offset = h.csum_offset;
	}
	if (len != 0 && h.gso_type == VIRTIO_NET_HDR_GSO_NONE && len <= room) {
		frame->len = len;
		return (int)len;
	}
	if (h.gso_type == VIRTIO_NET_HDR_GSO_NONE || !tap_cut(tap, &h, frame, room, len))
		port_drop(&tap->stats, &tap->stats.rx_dropped_size);
	return 0;
}

static unsigned int
tap_receive_vnet(struct host_port *port, struct host_frame *frames, unsigned int n)
{
	struct port_tap *tap = (struct port_tap *)port;
	unsigned int done = 0, tries = TAP_TRIES * n;
	int len = 0;

	tap->more = false;
	while (done < n && len >= 0) {
		if (tries-- == 0) {
			tap->more = true;
			break;
		}
		if (tap->cut_next != 0)
			len = tap_segment(tap, &frames[done]) ? (int)frames[done].len : 0;
		else
			len = tap->gone ? -1 : tap_take(tap, &frames[done]);
		if (len <= 0)
			continue;
		done++;
		tap->stats.rx_frames++;
		tap->stats.rx_bytes += (uint32_t)len;
	}
	return done;
}

static void
tap_sent(struct port_tap *tap, const struct host_frame *frame, ssize_t written)
{
	tap->stats.tx_frames++;
	tap->stats.tx_bytes += frame->len;
	/* EIO: the interface is down; EAGAIN: its queue is full. */
	if (!tap->gone && written < 0)
		port_drop(&tap->stats, errno == EAGAIN ? &tap->stats.tx_dropped_full
						       : &tap->stats.tx_dropped_error);
	else if (tap->gone)
		port_drop(&tap->stats, &tap->stats.tx_dropped_error);
}

static void
tap_send(struct host_port *port, const struct host_frame *frames, unsigned int n)
{
	struct port_tap *tap = (struct port_tap *)port;

	for (unsigned int i = 0; i < n; i++)
		tap_sent(tap, &frames[i],
			tap->gone ? 0 : write(tap->fd, frames[i].data, frames[i].len));
}

static void
tap_send_vnet(struct host_port *port, const struct host_frame *frames, unsigned int n)
{
	struct port_tap *tap = (struct port_tap *)port;

	for (unsigned int i = 0; i < n; i++) {
		const struct host_frame_work *work = &frames[i].work;
		struct virtio_net_hdr h = {0};
		struct iovec iov[2] = {{&h, sizeof(h)}, {frames[i].data, frames[i].len}};

		if (work->csum_start != 0) {
			h.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
			h.csum_start = work->csum_start;
			h.csum_offset = work->csum_offset;
		}
		if (work->mss != 0) {
			const uint8_t *tcp = frames[i].data + work->csum_start;

			h.gso_type =
				work->ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
			if (tcp[13] & TCP_CWR)
				h.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
			h.gso_size = work->mss;
			h.hdr_len = (uint16_t)(work->csum_start + (tcp[12] >> 4) * 4);
		}
		tap_sent(tap, &frames[i], tap->gone ? 0 : writev(tap->fd, iov, 2));
	}
}

/* The descriptor of a device that was deleted reports an error for ever: nobody is to wait for it.
 */
static int
tap_fd(struct host_port *port)
{
	const struct port_tap *tap = (const struct port_tap *)port;

	return tap->gone ? -1 : tap->fd;
}

static uint64_t
tap_deadline(struct host_port *port)
{
	const struct port_tap *tap = (struct port_tap *)port;

	return tap->cut_next != 0 || tap->more ? 0 : UINT64_MAX;
}

static void
tap_stats(struct host_port *port, struct host_port_stats *stats)
{
	struct port_tap *tap = (struct port_tap *)port;

	*stats = tap->stats;
	stats->finished = tap->gone;
}

static void
tap_close(struct host_port *port)
{
	struct port_tap *tap = (struct port_tap *)port;

	close(tap->fd);
	free(tap);
}

static const struct host_port_ops tap_ops = {
	.kind = "tap",
	.receive = tap_receive,
	.send = tap_send,
	.fd = tap_fd,
	.deadline = tap_deadline,
	.stats = tap_stats,
	.close = tap_close,
};

static const struct host_port_ops tap_vnet_ops = {
	.kind = "tap",
	.receive = tap_receive_vnet,
	.send = tap_send_vnet,
	.fd = tap_fd,
	.deadline = tap_deadline,
	.stats = tap_stats,
	.close = tap_close,
	.carries_work = true,
};

/*
 * What the kernel may leave undone. A TAP that outlives who attaches to it remembers what the one
 * before could take, so it is told in any case.
 */
static int
tap_offloads(int fd, const char *name, bool vnet, const struct port_error *error)
{
	unsigned long offloads = vnet ? TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 : 0;
	int size = sizeof(struct virtio_net_hdr);

	if ((!vnet || ioctl(fd, TUNSETVNETHDRSZ, &size) == 0) &&
		ioctl(fd, TUNSETOFFLOAD, offloads) == 0)
		return 0;
	return port_fail(error, -errno, "port tap:%s: the kernel refuses %s: %s; use vnet=off",
		name, vnet ? "virtio-net headers" : "to finish frames", strerror(errno));
}

static int
tap_attach(const char *name, bool vnet, int *fd_out, const struct port_error *error)
{
	struct ifreq ifr;
	int rc, fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return port_fail(error, -errno,
			"port tap:%s: cannot open /dev/net/tun: %s; load the tun module and run as "
			"root or with access to it",
			name, strerror(errno));
	memset(&ifr, 0, sizeof(ifr));
	ifr.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | (vnet ? IFF_VNET_HDR : 0));
	strcpy(ifr.ifr_name, name);
	if (ioctl(fd, TUNSETIFF, &ifr) == 0) {
		*fd_out = fd;
		rc = tap_offloads(fd, name, vnet, error);
		if (rc != 0)
			close(fd);
		return rc;
	}
	rc = -errno;
	close(fd);
	switch (-rc) {
	case EPERM:
	case EACCES:
		return port_fail(error, rc,
			"port tap:%s: no permission; run as root (CAP_NET_ADMIN) or give the TAP to "
			"this user with 'ip tuntap add dev %s mode tap user UID'",
			name, name);
	case EBUSY:
		return port_fail(error, rc,
			"port tap:%s: another process is attached to this TAP; choose another name or "
			"end that process",
			name);
	case EINVAL:
		return port_fail(error, rc,
			"port tap:%s: an interface of this name exists and is not a single-queue TAP; "
			"choose another name",
			name);
	default:
		return port_fail(error, rc, "port tap:%s: cannot attach: %s", name, strerror(-rc));
	}
}

int
port_tap_open(const char *args, const uint8_t mac[6], struct host_port **port,
	const struct port_error *error)
{
	static const char *const keys[] = {"vnet", NULL};
	struct port_tap *tap;
	bool vnet = false;
	struct port_spec spec;
	const char *name, *value;
	int fd = -1, rc = port_spec_init(&spec, "tap", args, keys, error);

	if (rc != 0)
		return rc;
	name = port_spec_name(&spec);
	if (name == NULL)
		return port_fail(
			error, -EINVAL, "port tap: needs the interface's name, as in tap:hp0");
	if (strlen(name) >= IFNAMSIZ || strpbrk(name, "/% \t:") != NULL || strcmp(name, ".") == 0 ||
		strcmp(name, "..") == 0)
		return port_fail(error, -EINVAL,
			"port tap: '%s' is not an interface name (at most %d characters, no '/', '%%', "
			"':' or blanks)",
			name, IFNAMSIZ - 1);
	while ((rc = port_spec_next(&spec, &value)) >= 0) {
		vnet = strcmp(value, "on") == 0;
		if (!vnet && strcmp(value, "off") != 0)
			return port_fail(error, -EINVAL,
				"port tap:%s: vnet=%s is neither on nor off", name, value);
	}
	if (rc != -ENODATA || port == NULL)
		return rc == -ENODATA ? 0 : rc;
	rc = tap_attach(name, vnet, &fd, error);
	if (rc != 0)
		return rc;
	tap = calloc(1, sizeof(*tap));
	if (tap == NULL) {
		close(fd);
		return port_fail(error, -ENOMEM, "port tap:%s: out of memory", name);
	}
	tap->fd = fd;
	tap->port.ops = vnet ? &tap_vnet_ops : &tap_ops;
	*port = &tap->port;
	return 0;
}
